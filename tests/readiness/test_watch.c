/*
 * test_watch.c: the table of descriptors against a model that keeps one slot for each number:
 * random adds, finds and removes, with numbers that crowd in few places; and its caught errors.
 */
#include "fake.h"

#include "../io/chance.h"
#include "../io/dies.h"

#define NUMBERS 4096

static struct orr__watches watches;
static struct orr__watch *model[NUMBERS]; /* of each number; NULL = not in the table */

static struct orr_completion waiting;

static void must_match(uint32_t live)
{
    uint32_t found = 0;

    for (int32_t number = 0; number < NUMBERS; number++) {
        struct orr__watch *watch = orr__watches_find(&watches, number);
        if (watch != model[number] || (watch != NULL && watch->descriptor != number))
            ck_abort_msg("descriptor %d is not what the model has", number);
        found += watch != NULL;
    }
    ck_assert_uint_eq(found, live);
}

static void add_number(int32_t number)
{
    model[number] = orr__watches_add(&watches, number, ORR__KIND_STREAM);
    if (model[number]->armed != 0 || model[number]->wanted != 0 || model[number]->listed ||
        model[number]->readers.head != NULL)
        ck_abort_msg("a new watch of %d is not new", number);
    model[number]->armed = ORR__WATCH_READ; /* must not be there for the next one */
}

static void remove_number(int32_t number)
{
    orr__watches_remove(&watches, model[number]);
    model[number] = NULL;
}

/* Numbers that share their low bits stand in one another's way; those near the end of the index go
 * round its edge. */
static int32_t pick(uint64_t *luck, int crowd)
{
    const int32_t base = (int32_t)chance_below(luck, NUMBERS / 64) * 64;
    const int32_t low = (int32_t)chance_below(luck, 64);

    return crowd == 0 ? base + low : crowd == 1 ? base + 60 + low % 4 : base;
}

START_TEST(test_watch__is_as_the_model_says)
{
    uint64_t luck = 1 + (uint64_t)_i;
    const uint32_t count_max = 1 + (uint32_t)chance_below(&luck, 40);
    uint32_t live = 0;

    ck_assert(orr__watches_open(&watches, count_max));
    for (int step = 0; step < 3000; step++) {
        const int32_t number = pick(&luck, _i % 3);
        if (model[number] != NULL) {
            remove_number(number);
            live--;
        } else if (live < count_max) {
            add_number(number);
            live++;
        }
        if (step % 16 == 0)
            must_match(live);
    }
    for (int32_t number = 0; number < NUMBERS; number++) {
        if (model[number] != NULL)
            remove_number(number);
    }
    must_match(0);
    orr__watches_close(&watches);
}
END_TEST

/* Full to the last watch, then empty, then full again: none is lost on the way. */
START_TEST(test_watch__fills_and_empties)
{
    const uint32_t counts[] = {1, 8, 9, 1000};
    const uint32_t count = counts[_i];

    ck_assert(orr__watches_open(&watches, count));
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < count; i++)
            add_number((int32_t)(i * 3));
        must_match(count);
        for (uint32_t i = 0; i < count; i++)
            remove_number((int32_t)((round == 1 ? count - 1 - i : i) * 3));
        must_match(0);
    }
    orr__watches_close(&watches);
}
END_TEST

START_TEST(test_watch__numbers_may_be_large)
{
    ck_assert(orr__watches_open(&watches, 4));
    const int32_t numbers[] = {INT32_MAX, INT32_MAX - 16, 1 << 30, 0};
    for (int i = 0; i < 4; i++)
        ck_assert_ptr_nonnull(orr__watches_add(&watches, numbers[i], ORR__KIND_SOCKET));
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(orr__watches_find(&watches, numbers[i])->descriptor, numbers[i]);
        orr__watches_remove(&watches, orr__watches_find(&watches, numbers[i]));
        ck_assert_ptr_null(orr__watches_find(&watches, numbers[i]));
    }
    orr__watches_close(&watches);
}
END_TEST

static void add_twice(void *context)
{
    (void)context;
    (void)orr__watches_add(&watches, 7, ORR__KIND_SOCKET);
    (void)orr__watches_add(&watches, 7, ORR__KIND_SOCKET);
}

static void add_too_many(void *context)
{
    (void)context;
    for (int32_t i = 0; i < 3; i++)
        (void)orr__watches_add(&watches, i, ORR__KIND_SOCKET);
}

static void remove_in_use(void *context)
{
    (void)context;
    struct orr__watch *watch = orr__watches_add(&watches, 7, ORR__KIND_SOCKET);
    orr_queue_push(&watch->polls, &waiting);
    orr__watches_remove(&watches, watch);
}

START_TEST(test_watch__catches_errors)
{
    ck_assert(orr__watches_open(&watches, 2));
    DIES(add_twice, NULL, "descriptor 7 was closed behind the loop's back");
    DIES(add_too_many, NULL, "more than 2 descriptors");
    DIES(remove_in_use, NULL, "descriptor 7 is closed while operations wait on it");
    orr__watches_close(&watches);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("watch");

    tcase_add_loop_test(tests, test_watch__is_as_the_model_says, 0, 30);
    tcase_add_loop_test(tests, test_watch__fills_and_empties, 0, 4);
    tcase_add_test(tests, test_watch__numbers_may_be_large);
    tcase_add_test(tests, test_watch__catches_errors);
    return suite_run("watch", tests);
}

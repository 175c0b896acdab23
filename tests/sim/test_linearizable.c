/*
 * test_linearizable.c: histories made by hand, some with an order and some without; what is said of
 * those without; limits; models of one's own; misuse.
 */
#include <orrery/linearizable.h>

#include <string.h>

#include "../io/dies.h"
#include "../suite.h"
#include "history_text.h"

#define GOOD ORR_VERDICT_LINEARIZABLE
#define BAD ORR_VERDICT_NOT_LINEARIZABLE

struct known {
    const char *history;
    enum orr_verdict verdict;
};

static const struct known known[] = {
    {"", GOOD},
    {"0(r 0)0", GOOD},
    {"0(r 0)1", BAD}, /* nobody wrote it */
    {"0(w1 0) 0(r 0)1", GOOD},
    {"0(w1 0) 0(r 0)0", BAD}, /* its own write is lost */
    {"0(w1 0) 1(r 1)0", BAD},
    {"0(r 1(w1 1) 0)0", GOOD}, /* a read across a write may see either */
    {"0(r 1(w1 1) 0)1", GOOD},
    {"0(r 0)1 1(w1 1)", BAD}, /* from the future */
    {"0(w1 1(r 1)1 0)", GOOD},
    {"0(w1 1(r 1)1 2(r 2)0 0)", BAD}, /* back in time, though the write is still under way */
    {"0(w1 1(r 1)1 2(r 2)1 0)", GOOD},
    {"0(w1 1(r 2(r 2)0 1)1 0)", GOOD},
    {"0(w1 1(r 2(r 1)1 2)0 0)", GOOD}, /* the reads overlap */
    {"0(w1 0) 0(w2 0) 1(r 1)1", BAD},
    {"0(w1 1(w2 0) 1) 2(r 2)1 2(r 2)1", GOOD}, /* either write may be the last one */
    {"0(w1 1(w2 0) 1) 2(r 2)2 2(r 2)2", GOOD},
    {"0(w1 1(w2 0) 1) 2(r 2)2 2(r 2)1", BAD},
    {"0(w1 1(w2 2(r 3(r 2)1 3)2 2(r 3(r 2)2 3)1 0) 1)", BAD}, /* two readers, two orders */
    {"0(w1 0) 1(w2 1? 2(r 2)1 2(r 2)2", GOOD}, /* a write that never returned strikes late */
    {"0(w1 0) 1(w2 1? 2(r 2)1 2(r 2)1", GOOD}, /* or never */
    {"0(w1 0) 1(w2 1? 2(r 2)2 2(r 2)1", BAD},  /* but not only for a while */
    {"0(w1 0) 2(r 2)2 1(w2 1?", BAD},          /* and not before it began */
    {"0(w1 0) 1(r 1? 2(r 2)1", GOOD},          /* a read that never returned says nothing */
    {"0(w1 0) 1(w1 1) 2(r 2)1", GOOD},         /* the same value twice */
    {"0(w1 0) 0(w2 0) 1(w1 1? 2(r 2)1 2(r 2)1", GOOD},
    {"0(w1 0) 0(w2 0) 1(w1 1? 2(r 2)1 2(r 2)2", BAD},
    {"0(w0 0) 1(r 1)0", GOOD}, /* 0 is a value like others */
    {"0(w1 0) 1(w0 1? 2(r 2)0", GOOD},
    {"0(w1@1 0) 1(r@2 1)0 1(r@1 1)1", GOOD}, /* keys are apart */
    {"0(w1@1 0) 1(r@2 1)1", BAD},
    {"0(w1@1 1(w2@2 2(r@1 3(r@2 2)1 3)2 0) 1)", GOOD},
};

START_TEST(test_linearizable__made_by_hand)
{
    const struct known *one = &known[_i];
    ck_assert_msg(verdict_of(one->history) == one->verdict, "%s", one->history);
}
END_TEST

/* ---- what is said ---------------------------------------------------------------------------- */

static void said_of(const char *text, char said[ORR_NOTE_MAX])
{
    struct orr_history *history = history_of(text);
    said[0] = '\0';
    ck_assert_int_eq(orr_history_judge(history, 0, said, ORR_NOTE_MAX), BAD);
    orr_history_destroy(history);
}

START_TEST(test_linearizable__tells_the_calls_that_have_no_order)
{
    char said[ORR_NOTE_MAX];
    said_of("0(w1@7 0) 1(r@7 1)1 0(w2@7 0) 1(r@7 1)2 3(w9@5 3) 0(w3@7 2(r@7 0) 2)3 1(r@7 1)2 "
            "0(w4@7 0)",
            said);
    ck_assert_str_eq(said,
                     "key 7: these calls have no order\n"
                     "  client 0: write 2, 5.000000 ms to 6.000000 ms\n"
                     "  client 0: write 3, 11.000000 ms to 13.000000 ms\n"
                     "  client 1: read 2, 15.000000 ms to 16.000000 ms  <- impossible: by then "
                     "there could be 3 only");
}
END_TEST

START_TEST(test_linearizable__tells_what_nobody_wrote)
{
    char said[ORR_NOTE_MAX];
    said_of("0(w1 0) 0(w2 1(r 0) 1)2 1(r 1)3 2(r 2)2", said);
    ck_assert_str_eq(said, "key 0: these calls have no order\n"
                           "  client 1: read 3, 7.000000 ms to 8.000000 ms  <- impossible: by then "
                           "there could be 0 only");
}
END_TEST

START_TEST(test_linearizable__tells_a_call_that_never_returned)
{
    char said[ORR_NOTE_MAX];
    said_of("0(w1 0) 1(w2 1? 2(r 2)1 2(r 2)2 3(w5 3? 2(r 2)2 2(r 2)1 1(r 1)2", said);
    ck_assert_ptr_nonnull(strstr(said, "client 1: write 2, 3.000000 ms, never returned\n"));
    ck_assert_ptr_nonnull(strstr(said, "client 2: read 1,"));
    ck_assert_ptr_null(strstr(said, "client 3"));
}
END_TEST

/* Two writes at once leave two values possible: both are told. */
START_TEST(test_linearizable__tells_all_states_there_could_be)
{
    char said[ORR_NOTE_MAX];
    said_of("0(w1 0) 0(w2 1(w3 0) 1) 2(r 2)1", said);
    ck_assert_msg(strstr(said, "could be 3 only") != NULL ||
                      strstr(said, "could be 2 only") != NULL,
                  "one write is enough: %s", said);
    said_of("0(w1 1(w2 2(r 3(r 2)1 3)2 2(r 3(r 2)2 3)1 0) 1)", said);
    ck_assert_ptr_nonnull(strstr(said, "impossible"));
}
END_TEST

START_TEST(test_linearizable__a_short_buffer_gets_the_beginning)
{
    struct orr_history *history = history_of("0(w1 0) 1(r 1)0");
    char said[12] = "untouched";
    ck_assert_int_eq(orr_history_judge(history, 0, said, sizeof said), BAD);
    ck_assert_str_eq(said, "key 0: thes");
    orr_history_destroy(history);
}
END_TEST

START_TEST(test_linearizable__says_nothing_of_what_is_in_order)
{
    struct orr_history *history = history_of("0(w1 0) 1(r 1)1");
    char said[16] = "untouched";
    ck_assert_int_eq(orr_history_judge(history, 0, said, sizeof said), GOOD);
    ck_assert_str_eq(said, "untouched");
    orr_history_destroy(history);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

/* Writes that all overlap, then reads of each value: an order exists for no more than one of them.
 * Values are read again so that no write is without a witness. */
static void add_knot(struct orr_history *history, uint64_t key, uint64_t writes)
{
    uint64_t calls[64];
    ck_assert(writes <= 64);
    for (uint64_t i = 0; i < writes; i++)
        calls[i] = orr_history_begin(history, &(struct orr_call){.client = (uint32_t)i,
                                                                 .key = key,
                                                                 .kind = ORR_REGISTER_WRITE,
                                                                 .argument = i + 1});
    for (uint64_t i = 0; i < writes; i++)
        orr_history_end(history, calls[i], 0, 0);
    for (uint64_t i = 0; i < writes; i++) {
        uint64_t call = orr_history_begin(
            history, &(struct orr_call){.client = 99, .key = key, .kind = ORR_REGISTER_READ});
        orr_history_end(history, call, writes - i, 0);
    }
}

START_TEST(test_linearizable__too_much_is_said_to_be_too_much)
{
    struct orr_history *history = orr_history_create(orr_register_model());
    char said[ORR_NOTE_MAX] = "";
    add_knot(history, 4, 20);
    ck_assert_int_eq(orr_history_judge(history, 1 << 20, said, sizeof said), ORR_VERDICT_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(said, "key 4: unknown: 1048576 bytes do not suffice"));
    orr_history_destroy(history);
}
END_TEST

/* A key that certainly has no order counts for more than one that nobody knows. */
START_TEST(test_linearizable__a_violation_is_found_beside_too_much)
{
    struct orr_history *history = history_of("0(w1@9 0) 1(r@9 1)0 0(w1@2 0) 1(r@2 1)1");
    char said[ORR_NOTE_MAX] = "";
    add_knot(history, 4, 20);
    ck_assert_int_eq(orr_history_judge(history, 1 << 20, said, sizeof said), BAD);
    ck_assert_ptr_nonnull(strstr(said, "key 9"));
    orr_history_destroy(history);
}
END_TEST

START_TEST(test_linearizable__a_small_knot_is_untied)
{
    struct orr_history *history = orr_history_create(orr_register_model());
    char said[ORR_NOTE_MAX] = "";
    add_knot(history, 4, 8);
    ck_assert_int_eq(orr_history_judge(history, 0, said, sizeof said), BAD);
    orr_history_destroy(history);
}
END_TEST

/* ---- another model --------------------------------------------------------------------------- */

/* A stack of bytes, at most 15 deep: push its argument, pop its result (0 = empty). */
enum { PUSH, POP };

static bool stack_apply(void *state, const struct orr_call *call)
{
    uint8_t *stack = state; /* [0]: how deep */
    if (call->kind == PUSH) {
        if (stack[0] == 15)
            return false;
        stack[++stack[0]] = (uint8_t)call->argument;
        return true;
    }
    uint8_t top = stack[0] == 0 ? 0 : stack[stack[0]];
    if (stack[0] > 0)
        stack[stack[0]--] = 0; /* equal states have equal bytes */
    return call->ended == 0 || call->result == top;
}

static void stack_describe(const struct orr_call *call, char *text, size_t text_size)
{
    if (call->kind == PUSH)
        snprintf(text, text_size, "push %u", (unsigned)call->argument);
    else
        snprintf(text, text_size, "pop %u", (unsigned)call->result);
}

static void stack_describe_state(const void *state, char *text, size_t text_size)
{
    const uint8_t *stack = state;
    snprintf(text, text_size, "a stack of %u", stack[0]);
}

static const struct orr_model stack_model = {
    .state_size = 16,
    .apply = stack_apply,
    .describe = stack_describe,
    .describe_state = stack_describe_state,
};

static uint64_t push(struct orr_history *history, uint64_t value)
{
    return orr_history_begin(history, &(struct orr_call){.kind = PUSH, .argument = value});
}

static void pop(struct orr_history *history, uint64_t result)
{
    uint64_t call = orr_history_begin(history, &(struct orr_call){.kind = POP});
    orr_history_end(history, call, result, 0);
}

START_TEST(test_linearizable__a_model_of_ones_own)
{
    struct orr_history *history = orr_history_create(&stack_model);
    uint64_t first = push(history, 1);
    uint64_t second = push(history, 2);
    (void)push(history, 3); /* never returns */
    orr_history_end(history, first, 0, 0);
    orr_history_end(history, second, 0, 0);
    pop(history, 1); /* so 2 was pushed before it */
    pop(history, 3);
    pop(history, 2);
    ck_assert_int_eq(orr_history_judge(history, 0, NULL, 0), GOOD);
    char said[ORR_NOTE_MAX] = "";
    pop(history, 1);
    ck_assert_int_eq(orr_history_judge(history, 0, said, sizeof said), BAD);
    ck_assert_ptr_nonnull(strstr(said, "client 0: push 2, "));
    ck_assert_ptr_nonnull(strstr(said, "could be a stack of 0"));
    orr_history_destroy(history);
}
END_TEST

/* ---- in a world ------------------------------------------------------------------------------ */

START_TEST(test_linearizable__is_a_check_of_a_world)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_history *good = history_of("0(w1 0) 1(r 1)1");
    struct orr_history *bad = history_of("0(w1 0) 1(r 1)0");
    ck_assert(orr_linearizable(world, good, "one order"));
    ck_assert(!orr_world_failed(world));
    ck_assert(!orr_linearizable(world, bad, "one order"));
    ck_assert(orr_world_failed(world));
    orr_history_destroy(good);
    orr_history_destroy(bad);
    orr_world_destroy(world);
}
END_TEST

static void end_twice(void *context)
{
    uint64_t call = orr_history_begin(context, &(struct orr_call){.kind = ORR_REGISTER_READ});
    orr_history_end(context, call, 0, 0);
    orr_history_end(context, call, 0, 0);
}

static void end_unknown(void *context)
{
    orr_history_end(context, 5, 0, 0);
}

static void large_state(void *context)
{
    struct orr_model model = *(const struct orr_model *)context;
    model.state_size = 65;
    (void)orr_history_create(&model);
}

START_TEST(test_linearizable__misuse_is_caught)
{
    struct orr_history *history = orr_history_create(orr_register_model());
    DIES(end_twice, history, "orr_history_end: call 0 has ended before");
    DIES(end_unknown, history, "orr_history_end: call 5, but only 0 have begun");
    DIES(large_state, (void *)orr_register_model(), "a state of 65 bytes: 1 to 64 are possible");
    ck_assert_uint_eq(orr_history_count(history), 0);
    ck_assert_ptr_null(orr_history_call(history, 0));
    orr_history_destroy(history);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("linearizable");
    tcase_add_loop_test(tests, test_linearizable__made_by_hand, 0,
                        (int)(sizeof known / sizeof known[0]));
    tcase_add_test(tests, test_linearizable__tells_the_calls_that_have_no_order);
    tcase_add_test(tests, test_linearizable__tells_what_nobody_wrote);
    tcase_add_test(tests, test_linearizable__tells_a_call_that_never_returned);
    tcase_add_test(tests, test_linearizable__tells_all_states_there_could_be);
    tcase_add_test(tests, test_linearizable__a_short_buffer_gets_the_beginning);
    tcase_add_test(tests, test_linearizable__says_nothing_of_what_is_in_order);
    tcase_add_test(tests, test_linearizable__too_much_is_said_to_be_too_much);
    tcase_add_test(tests, test_linearizable__a_violation_is_found_beside_too_much);
    tcase_add_test(tests, test_linearizable__a_small_knot_is_untied);
    tcase_add_test(tests, test_linearizable__a_model_of_ones_own);
    tcase_add_test(tests, test_linearizable__is_a_check_of_a_world);
    tcase_add_test(tests, test_linearizable__misuse_is_caught);
    return suite_run("linearizable", tests);
}

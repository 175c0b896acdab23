/*
 * test_linearizable_random.c: random histories. Those that a real register made must pass, at any
 * length; small ones that were tampered with must get the verdict of a checker that tries every
 * order and knows no trick.
 */
#include <orrery/linearizable.h>

#include <string.h>

#include "../io/chance.h"
#include "../suite.h"

#define CLIENTS_MAX 16u
#define KEYS_MAX 64u
#define CALLS_MAX 2000u

/* ---- an execution: real calls on real registers ---------------------------------------------- */

struct plan {
    uint32_t calls;
    uint32_t clients;
    uint32_t keys;
    uint32_t values;       /* writes choose among so many; 0 = each writes another one */
    uint32_t lost_percent; /* calls that never return */
};

struct client {
    bool busy;
    bool done; /* its call took effect */
    bool lost; /* its call will not return */
    struct orr_call call;
    uint64_t number;
};

struct execution {
    struct plan plan;
    uint64_t *chance;
    struct orr_history *history;
    uint64_t registers[KEYS_MAX];
    struct client clients[CLIENTS_MAX];
    uint32_t begun;
};

static void begin_call(struct execution *execution, uint32_t number)
{
    const struct plan *plan = &execution->plan;
    struct client *client = &execution->clients[number];
    uint64_t value =
        plan->values == 0 ? execution->begun + 1 : chance_below(execution->chance, plan->values);
    client->call = (struct orr_call){
        .client = number,
        .key = chance_below(execution->chance, plan->keys),
        .kind = chance_below(execution->chance, 2) == 0 ? ORR_REGISTER_READ : ORR_REGISTER_WRITE,
        .begun_ns = execution->begun,
    };
    if (client->call.kind == ORR_REGISTER_WRITE)
        client->call.argument = value;
    client->busy = true;
    client->done = false;
    client->lost = chance_below(execution->chance, 100) < plan->lost_percent;
    client->number = orr_history_begin(execution->history, &client->call);
    execution->begun++;
}

static void do_call(struct execution *execution, struct client *client)
{
    uint64_t *value = &execution->registers[client->call.key];
    if (client->call.kind == ORR_REGISTER_WRITE)
        *value = client->call.argument;
    else
        client->call.result = *value;
    client->done = true;
}

/* A client does one thing: begin, take effect, return; or give up, before or after the effect. */
static void step(struct execution *execution, uint32_t number)
{
    struct client *client = &execution->clients[number];
    if (!client->busy) {
        if (execution->begun < execution->plan.calls)
            begin_call(execution, number);
    } else if (client->lost && chance_below(execution->chance, 2) == 0) {
        client->busy = false;
    } else if (!client->done) {
        do_call(execution, client);
    } else if (!client->lost) {
        orr_history_end(execution->history, client->number, client->call.result, execution->begun);
        client->busy = false;
    }
}

static struct orr_history *execute(const struct plan *plan, uint64_t *state)
{
    struct execution execution = {.plan = *plan, .chance = state};
    execution.history = orr_history_create(orr_register_model());
    bool busy = true;
    while (busy || execution.begun < plan->calls) {
        step(&execution, (uint32_t)chance_below(state, plan->clients));
        busy = false;
        for (uint32_t i = 0; i < plan->clients; i++)
            busy = busy || execution.clients[i].busy;
    }
    return execution.history;
}

/* ---- tampering: the same calls in the same order with other results -------------------------- */

struct moment {
    uint64_t place;
    uint64_t call;
    bool is_end;
};

static int compare_moments(const void *a, const void *b)
{
    const struct moment *left = a;
    const struct moment *right = b;
    return left->place < right->place ? -1 : left->place > right->place;
}

/* Copies a history, with `result` for one of its calls (UINT64_MAX: for none). */
static struct orr_history *copy_with(const struct orr_history *history,
                                     const struct orr_model *model, uint64_t changed,
                                     uint64_t result)
{
    static struct moment moments[2 * CALLS_MAX];
    size_t count = 0;
    for (uint64_t i = 0; i < orr_history_count(history); i++) {
        const struct orr_call *call = orr_history_call(history, i);
        moments[count++] = (struct moment){call->begun, i, false};
        if (call->ended != 0)
            moments[count++] = (struct moment){call->ended, i, true};
    }
    qsort(moments, count, sizeof *moments, compare_moments);
    struct orr_history *copy = orr_history_create(model);
    for (size_t i = 0; i < count; i++) {
        const struct orr_call *call = orr_history_call(history, moments[i].call);
        if (moments[i].is_end)
            orr_history_end(copy, moments[i].call,
                            moments[i].call == changed ? result : call->result, call->ended_ns);
        else
            ck_assert_uint_eq(orr_history_begin(copy, call), moments[i].call);
    }
    return copy;
}

/* Gives one read another result, and destroys what it was given. */
static struct orr_history *tamper(struct orr_history *history, uint64_t values, uint64_t *state)
{
    uint64_t changed = chance_below(state, orr_history_count(history));
    struct orr_history *copy =
        copy_with(history, orr_register_model(), changed, chance_below(state, values));
    orr_history_destroy(history);
    return copy;
}

/* ---- every order, one after the other -------------------------------------------------------- */

struct brute {
    const struct orr_history *history;
    uint64_t count;
    uint64_t placed; /* a bit for each call */
};

static bool comes_too_early(const struct brute *brute, const struct orr_call *call)
{
    for (uint64_t i = 0; i < brute->count; i++) {
        const struct orr_call *other = orr_history_call(brute->history, i);
        bool placed = (brute->placed >> i & 1) != 0;
        if (!placed && other->ended != 0 && other->ended < call->begun)
            return true;
    }
    return false;
}

static bool all_returned_are_placed(const struct brute *brute)
{
    for (uint64_t i = 0; i < brute->count; i++)
        if ((brute->placed >> i & 1) == 0 && orr_history_call(brute->history, i)->ended != 0)
            return false;
    return true;
}

static bool goes_on(struct brute *brute, uint64_t value)
{
    if (all_returned_are_placed(brute))
        return true;
    for (uint64_t i = 0; i < brute->count; i++) {
        const struct orr_call *call = orr_history_call(brute->history, i);
        bool is_read = call->kind == ORR_REGISTER_READ;
        if ((brute->placed >> i & 1) != 0 || comes_too_early(brute, call) ||
            (is_read && call->ended != 0 && call->result != value))
            continue;
        brute->placed |= UINT64_C(1) << i;
        if (goes_on(brute, is_read ? value : call->argument))
            return true;
        brute->placed &= ~(UINT64_C(1) << i);
    }
    return false;
}

static enum orr_verdict brute_force(const struct orr_history *history)
{
    struct brute brute = {.history = history, .count = orr_history_count(history)};
    return goes_on(&brute, 0) ? ORR_VERDICT_LINEARIZABLE : ORR_VERDICT_NOT_LINEARIZABLE;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* The register without its hints: other paths of the search, the same verdicts. */
static const struct orr_model *plain_register(void)
{
    static struct orr_model model;
    model = *orr_register_model();
    model.reads = NULL;
    model.shows = NULL;
    return &model;
}

static const struct plan plans_small[] = {
    {.calls = 6, .clients = 3, .keys = 1, .values = 0, .lost_percent = 0},
    {.calls = 7, .clients = 4, .keys = 1, .values = 3, .lost_percent = 0},
    {.calls = 7, .clients = 3, .keys = 1, .values = 0, .lost_percent = 30},
    {.calls = 8, .clients = 4, .keys = 1, .values = 2, .lost_percent = 30},
    {.calls = 8, .clients = 2, .keys = 1, .values = 4, .lost_percent = 10},
    {.calls = 7, .clients = 7, .keys = 1, .values = 3, .lost_percent = 50},
};

START_TEST(test_random__small_ones_as_every_order_says)
{
    const struct plan *plan = &plans_small[_i];
    uint64_t state = 100 + (uint64_t)_i;
    uint64_t verdicts[2] = {0, 0};
    for (uint32_t round = 0; round < 1500; round++) {
        struct orr_history *history = execute(plan, &state);
        for (uint64_t times = chance_below(&state, 3); times > 0; times--)
            history = tamper(history, plan->calls, &state);
        enum orr_verdict expected = brute_force(history);
        verdicts[expected == ORR_VERDICT_LINEARIZABLE ? 0 : 1]++;
        ck_assert_int_eq(orr_history_judge(history, 0, NULL, 0), expected);
        struct orr_history *plain = copy_with(history, plain_register(), UINT64_MAX, 0);
        ck_assert_int_eq(orr_history_judge(plain, 0, NULL, 0), expected);
        orr_history_destroy(plain);
        orr_history_destroy(history);
    }
    ck_assert_msg(verdicts[0] > 100 && verdicts[1] > 100, "%u have an order, %u have none",
                  (unsigned)verdicts[0], (unsigned)verdicts[1]);
}
END_TEST

static const struct plan plans_large[] = {
    {.calls = 1000, .clients = 10, .keys = 1, .values = 0, .lost_percent = 0},
    {.calls = 1000, .clients = 10, .keys = 1, .values = 0, .lost_percent = 10},
    {.calls = 1000, .clients = 10, .keys = 1, .values = 5, .lost_percent = 0},
    {.calls = 1000, .clients = 5, .keys = 1, .values = 50, .lost_percent = 0},
    {.calls = 1000, .clients = 16, .keys = 64, .values = 0, .lost_percent = 20},
    {.calls = 2000, .clients = 4, .keys = 2, .values = 0, .lost_percent = 5},
};

START_TEST(test_random__what_a_register_did_passes)
{
    uint64_t state = 200 + (uint64_t)_i;
    for (uint32_t round = 0; round < 20; round++) {
        struct orr_history *history = execute(&plans_large[_i], &state);
        char said[ORR_NOTE_MAX] = "";
        ck_assert_msg(orr_history_judge(history, 0, said, sizeof said) == ORR_VERDICT_LINEARIZABLE,
                      "round %u: %s", round, said);
        orr_history_destroy(history);
    }
}
END_TEST

/* A read of what nobody ever wrote must be found in the largest history, and told by itself. */
START_TEST(test_random__one_wrong_read_among_many_calls_is_found)
{
    uint64_t state = 300 + (uint64_t)_i;
    for (uint32_t round = 0; round < 5; round++) {
        struct orr_history *history = execute(&plans_large[_i], &state);
        uint64_t wrong = 0;
        do
            wrong = chance_below(&state, orr_history_count(history));
        while (orr_history_call(history, wrong)->kind != ORR_REGISTER_READ ||
               orr_history_call(history, wrong)->ended == 0);
        struct orr_history *copy = copy_with(history, orr_register_model(), wrong, 1000000);
        char said[ORR_NOTE_MAX] = "";
        ck_assert_int_eq(orr_history_judge(copy, 0, said, sizeof said),
                         ORR_VERDICT_NOT_LINEARIZABLE);
        ck_assert_ptr_nonnull(strstr(said, ": read 1000000, "));
        ck_assert_ptr_null(strstr(said, "write"));
        orr_history_destroy(copy);
        orr_history_destroy(history);
    }
}
END_TEST

/* Tampered histories of any size get a verdict, and those without an order a short report. */
START_TEST(test_random__large_tampered_ones_are_known_and_told_in_short)
{
    uint64_t state = 400 + (uint64_t)_i;
    uint64_t without_order = 0;
    for (uint32_t round = 0; round < 10; round++) {
        struct orr_history *history = execute(&plans_large[_i], &state);
        history = tamper(history, plans_large[_i].calls, &state);
        history = tamper(history, plans_large[_i].calls, &state);
        char said[ORR_NOTE_MAX] = "";
        enum orr_verdict verdict = orr_history_judge(history, 0, said, sizeof said);
        ck_assert_msg(verdict != ORR_VERDICT_UNKNOWN, "%s", said);
        without_order += verdict == ORR_VERDICT_NOT_LINEARIZABLE ? 1 : 0;
        ck_assert_ptr_null(strstr(said, "not shown"));
        orr_history_destroy(history);
    }
    ck_assert_uint_gt(without_order, 0);
}
END_TEST

/* The same history, the same words. */
START_TEST(test_random__what_is_said_is_the_same_each_time)
{
    char said[2][ORR_NOTE_MAX] = {"", ""};
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t state = 500;
        struct orr_history *history = execute(&plans_large[1], &state);
        uint64_t wrong = 0;
        while (orr_history_call(history, wrong)->kind != ORR_REGISTER_READ)
            wrong++;
        struct orr_history *copy = copy_with(history, orr_register_model(), wrong, 77777);
        (void)orr_history_judge(copy, 0, said[i], sizeof said[i]);
        orr_history_destroy(copy);
        orr_history_destroy(history);
    }
    ck_assert_str_ne(said[0], "");
    ck_assert_str_eq(said[0], said[1]);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("linearizable_random");
    const int small = (int)(sizeof plans_small / sizeof plans_small[0]);
    const int large = (int)(sizeof plans_large / sizeof plans_large[0]);
    tcase_add_loop_test(tests, test_random__small_ones_as_every_order_says, 0, small);
    tcase_add_loop_test(tests, test_random__what_a_register_did_passes, 0, large);
    tcase_add_loop_test(tests, test_random__one_wrong_read_among_many_calls_is_found, 0, large);
    tcase_add_loop_test(tests, test_random__large_tampered_ones_are_known_and_told_in_short, 0,
                        large);
    tcase_add_test(tests, test_random__what_is_said_is_the_same_each_time);
    return suite_run("linearizable_random", tests);
}

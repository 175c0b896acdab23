/*
 * test_world.c: the world itself: order of events, virtual time, processes that die and boot,
 * checks, the trace hash.
 */
#include "sim/world.h"

#include "../suite.h"

#include <errno.h>
#include <string.h>

#define EVENTS 500

struct log {
    uint64_t times[EVENTS];
    uint64_t values[EVENTS];
    uint32_t count;
};

static void note_event(struct orr_world *world, void *object, uint64_t a)
{
    struct log *log = object;
    ck_assert_uint_lt(log->count, EVENTS);
    log->times[log->count] = orr__now(world);
    log->values[log->count++] = a;
}

START_TEST(test_world__events_come_in_order_of_time)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct log log = {.count = 0};
    for (uint64_t i = 0; i < EVENTS; i++)
        orr__schedule(world, i * 7919 % EVENTS, note_event, NULL, &log, i);
    orr_world_run_for(world, EVENTS);
    ck_assert_uint_eq(log.count, EVENTS);
    for (uint32_t i = 0; i < EVENTS; i++)
        ck_assert_uint_eq(log.times[i], log.values[i] * 7919 % EVENTS);
    for (uint32_t i = 1; i < EVENTS; i++)
        ck_assert_uint_le(log.times[i - 1], log.times[i]);
    ck_assert_uint_eq(orr_world_now(world), EVENTS);
    orr_world_destroy(world);
}
END_TEST

/* Which of two simultaneous events is first is a choice: over some seeds both orders are seen. */
START_TEST(test_world__ties_are_broken_by_choice)
{
    uint32_t first_won = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct orr_world *world = orr_world_create(seed, NULL);
        struct log log = {.count = 0};
        orr__schedule(world, 5, note_event, NULL, &log, 1);
        orr__schedule(world, 5, note_event, NULL, &log, 2);
        orr_world_run_for(world, 10);
        ck_assert_uint_eq(log.count, 2);
        first_won += log.values[0] == 1 ? 1 : 0;
        orr_world_destroy(world);
    }
    ck_assert_msg(first_won > 10 && first_won < 54, "the first came first in %u of 64 seeds",
                  first_won);
}
END_TEST

START_TEST(test_world__forgotten_events_do_not_run)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct log log = {.count = 0};
    int owner;
    orr__schedule(world, 1, note_event, &owner, &log, 1);
    orr__schedule(world, 2, note_event, NULL, &log, 2);
    orr__schedule(world, 3, note_event, &owner, &log, 3);
    orr__forget(world, &owner);
    orr_world_run_for(world, 10);
    ck_assert_uint_eq(log.count, 1);
    ck_assert_uint_eq(log.values[0], 2);
    orr_world_destroy(world);
}
END_TEST

/* ---- processes ------------------------------------------------------------------------------- */

struct life {
    uint32_t boots;
    uint32_t crashes;
    uint32_t ticks;
    bool stops;
    bool refuses;
    bool forgets_a_completion;
};

struct program_state {
    struct orr_loop *loop;
    struct life *life;
    struct orr_completion timer;
    struct orr_completion never;
};

static void on_never(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result;
    ck_abort_msg("a crash must not call back");
}

static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct program_state *state = context;
    ck_assert_int_eq(result, 0);
    state->life->ticks++;
    if (state->life->stops)
        orr_stop(state->loop);
    else
        orr_timeout(state->loop, completion, ORR_MILLISECOND, on_tick, state);
}

static void *life_boot(struct orr_loop *loop, void *config)
{
    struct life *life = config;
    life->boots++;
    if (life->refuses)
        return NULL;
    struct program_state *state = orr_malloc(loop, sizeof *state);
    memset(state, 0, sizeof *state);
    state->loop = loop;
    state->life = life;
    orr_timeout(loop, &state->timer, ORR_MILLISECOND, on_tick, state);
    orr_timeout(loop, &state->never, UINT64_MAX, on_never, state);
    return state;
}

static void life_crash(void *application)
{
    struct program_state *state = application;
    state->life->crashes++;
}

static const struct orr_program life_program = {.boot = life_boot, .crash = life_crash};

START_TEST(test_world__idle_time_is_skipped)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct life life = {.boots = 0};
    (void)orr_node_create(world, "a", &life_program, &life);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert_msg(life.ticks >= 990 && life.ticks <= 1000, "%u ticks", life.ticks);
    orr_world_destroy(world);
    ck_assert_uint_eq(life.crashes, 1);
}
END_TEST

START_TEST(test_world__crash_drops_everything_without_a_callback)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct life life = {.boots = 0};
    struct orr_node *node = orr_node_create(world, "a", &life_program, &life);
    orr_world_run_for(world, 10 * ORR_MILLISECOND);
    uint32_t ticks = life.ticks;
    orr_node_crash(node, ORR_CRASH_POWER);
    ck_assert(!orr_node_is_up(node));
    ck_assert_ptr_null(orr_node_application(node));
    ck_assert_ptr_null(orr_node_loop(node));
    orr_world_run_for(world, ORR_SECOND);
    ck_assert_uint_eq(life.ticks, ticks);
    orr_node_start(node);
    ck_assert_uint_eq(life.boots, 2);
    orr_world_run_for(world, 10 * ORR_MILLISECOND);
    ck_assert_uint_gt(life.ticks, ticks);
    orr_world_destroy(world);
    ck_assert_uint_eq(life.crashes, 2);
}
END_TEST

START_TEST(test_world__crashes_by_choice_and_boots_again)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct life life = {.boots = 0};
    orr_world_set_rate(world, ORR_FAMILY_POWER_LOSS, 50000);
    struct orr_node *node = orr_node_create(world, "a", &life_program, &life);
    orr_node_allow_crashes(node, ORR_CRASH_POWER);
    orr_world_run_for(world, 20 * ORR_SECOND);
    ck_assert_msg(life.crashes > 5, "%u crashes", life.crashes);
    orr_world_heal(world);
    ck_assert(orr_node_is_up(node));
    uint32_t crashes = life.crashes;
    orr_world_run_for(world, 20 * ORR_SECOND);
    ck_assert_uint_eq(life.crashes, crashes);
    ck_assert_uint_eq(life.boots, crashes + 1);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_world__stop_ends_the_process)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct life life = {.stops = true};
    struct orr_node *node = orr_node_create(world, "a", &life_program, &life);
    orr_world_run_for(world, 100 * ORR_MILLISECOND);
    ck_assert(!orr_node_is_up(node));
    ck_assert_uint_eq(life.ticks, 1);
    life.refuses = true;
    orr_node_start(node);
    ck_assert_uint_eq(life.boots, 2);
    ck_assert(!orr_node_is_up(node));
    orr_world_destroy(world);
    ck_assert_uint_eq(life.crashes, 1);
}
END_TEST

/* ---- checks ---------------------------------------------------------------------------------- */

START_TEST(test_world__the_first_failed_check_ends_the_run)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct life life = {.boots = 0};
    (void)orr_node_create(world, "a", &life_program, &life);
    orr_world_run_for(world, 10 * ORR_MILLISECOND);
    orr_note(world, "seven is %d", 7);
    ck_assert(orr_always(world, true, "fine"));
    ck_assert(!orr_world_failed(world));
    ck_assert(!orr_always(world, 1 + 1 == 3, "arithmetic"));
    ck_assert(orr_world_failed(world));
    ck_assert(!orr_always(world, false, "later"));
    ck_assert_str_eq(world->check, "arithmetic");
    ck_assert_ptr_nonnull(strstr(world->detail, "1 + 1 == 3"));
    ck_assert_ptr_nonnull(strstr(world->detail, "seven is 7"));
    ck_assert_ptr_nonnull(strstr(world->detail, "test_world.c:"));
    uint64_t hash = orr_world_trace_hash(world);
    uint32_t ticks = life.ticks;
    orr_world_run_for(world, ORR_SECOND);
    ck_assert_uint_eq(life.ticks, ticks);
    ck_assert_uint_eq(orr_world_trace_hash(world), hash);
    orr_world_destroy(world);
}
END_TEST

static bool ticked_often(void *context)
{
    const struct life *life = context;
    return life->ticks >= 100;
}

START_TEST(test_world__eventually_waits_and_gives_up)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct life life = {.boots = 0};
    (void)orr_node_create(world, "a", &life_program, &life);
    ck_assert(orr_eventually(world, ticked_often, &life, ORR_SECOND, "it ticks"));
    ck_assert_uint_eq(life.ticks, 100);
    life.ticks = 0;
    ck_assert(!orr_eventually(world, ticked_often, &life, 50 * ORR_MILLISECOND, "it ticks fast"));
    ck_assert_str_eq(world->check, "it ticks fast");
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_world__too_many_events_are_a_hang)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct life life = {.boots = 0};
    world->events_max = 100;
    (void)orr_node_create(world, "a", &life_program, &life);
    orr_world_run_for(world, ORR_MINUTE);
    ck_assert(orr_world_failed(world));
    ck_assert_str_eq(world->check, "no end in sight");
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_world__notes_keep_the_newest)
{
    struct orr_world *world = orr_world_create(1, NULL);
    for (int i = 0; i < 1000; i++)
        orr_note(world, "note %d", i);
    orr_always(world, false, "noted");
    ck_assert_ptr_nonnull(strstr(world->detail, "note 999\n"));
    ck_assert_ptr_null(strstr(world->detail, "note 1\n"));
    orr_world_destroy(world);
}
END_TEST

/* ---- a loop that the test runs itself -------------------------------------------------------- */

static void count_callback(void *context, struct orr_completion *completion, int64_t result)
{
    uint32_t *count = context;
    (void)completion;
    ck_assert_int_eq(result, 0);
    (*count)++;
}

START_TEST(test_world__an_external_loop_moves_the_world)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_loop *loop;
    struct orr_completion timer = {0};
    uint32_t count = 0;
    ck_assert_int_eq(orr_node_open_loop(world, "a", NULL, &loop), 0);
    struct orr_loop *second;
    ck_assert_int_eq(orr_node_open_loop(world, "a", NULL, &second), -EBUSY);
    uint64_t began_ns = orr_now(loop);
    orr_timeout(loop, &timer, 3 * ORR_SECOND, count_callback, &count);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(orr_now(loop) - began_ns, 3 * ORR_SECOND);
    orr_run_for_ns(loop, ORR_SECOND);
    ck_assert_uint_eq(orr_now(loop) - began_ns, 4 * ORR_SECOND);
    orr_loop_close(loop);
    ck_assert_int_eq(orr_node_open_loop(world, "a", NULL, &loop), 0);
    orr_loop_close(loop);
    orr_world_destroy(world);
}
END_TEST

static void tick_again(void *context, struct orr_completion *completion, int64_t result)
{
    if (result == 0)
        orr_next_tick(context, completion, tick_again, context);
}

/* Nothing moves in it any more but the clock. */
START_TEST(test_world__run_for_ns_ends_in_a_failed_world)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_loop *loop;
    struct orr_completion tick = {0};
    ck_assert_int_eq(orr_node_open_loop(world, "a", NULL, &loop), 0);
    orr_next_tick(loop, &tick, tick_again, loop);
    orr_run_for_ns(loop, ORR_MILLISECOND);
    (void)orr_always(world, false, "fails");
    orr_run_for_ns(loop, ORR_MILLISECOND);
    ck_assert(orr_in_flight(&tick));
    orr_drain(loop);
    orr_loop_close(loop);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_world__knows_no_kernel)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_loop *loop;
    ck_assert_int_eq(orr_node_open_loop(world, "a", NULL, &loop), 0);
    ck_assert_int_eq(orr_loop_descriptor(loop), -ENOTSUP);
    ck_assert_int_eq(orr_adopt(loop, 0), -ENOTSUP);
    orr_loop_close(loop);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_world__memory_is_the_nodes)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_loop *loop;
    ck_assert_int_eq(orr_node_open_loop(world, "a", NULL, &loop), 0);
    uint8_t *memory = orr_malloc(loop, 100);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(memory[i], 0xa5);
    memory[99] = 1;
    memory = orr_realloc(loop, memory, 1000);
    ck_assert_uint_eq(memory[99], 1);
    ck_assert_uint_eq(memory[999], 0xa5);
    ck_assert_ptr_null(orr_realloc(loop, memory, SIZE_MAX / 2));
    orr_free(loop, orr_malloc(loop, 5));
    orr_free(loop, NULL);
    orr_loop_close(loop); /* frees what is left: the leak checker watches */
    orr_world_destroy(world);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("world");
    tcase_add_test(tests, test_world__events_come_in_order_of_time);
    tcase_add_test(tests, test_world__ties_are_broken_by_choice);
    tcase_add_test(tests, test_world__forgotten_events_do_not_run);
    tcase_add_test(tests, test_world__idle_time_is_skipped);
    tcase_add_test(tests, test_world__crash_drops_everything_without_a_callback);
    tcase_add_test(tests, test_world__crashes_by_choice_and_boots_again);
    tcase_add_test(tests, test_world__stop_ends_the_process);
    tcase_add_test(tests, test_world__the_first_failed_check_ends_the_run);
    tcase_add_test(tests, test_world__eventually_waits_and_gives_up);
    tcase_add_test(tests, test_world__too_many_events_are_a_hang);
    tcase_add_test(tests, test_world__notes_keep_the_newest);
    tcase_add_test(tests, test_world__an_external_loop_moves_the_world);
    tcase_add_test(tests, test_world__run_for_ns_ends_in_a_failed_world);
    tcase_add_test(tests, test_world__knows_no_kernel);
    tcase_add_test(tests, test_world__memory_is_the_nodes);
    return suite_run("world", tests);
}

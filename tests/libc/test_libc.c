/*
 * test_libc.c: the C library under the world, as a library that knows nothing of one calls it:
 * what is answered, what is reported, and that all of it is real again outside.
 */
#define _GNU_SOURCE 1 /* syscall */

#include "library.h"

#include "../suite.h"

#include <orrery/sim.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 6

/* What one asker saw in one callback, and what the loop says at the same time. */
struct sample {
    struct library_times times;
    uint64_t randoms[LIBRARY_RANDOMS];
    uint64_t now_ns;
    uint64_t wall_ns;
};

struct asker {
    struct orr_loop *loop;
    struct orr_completion tick;
    struct sample samples[SAMPLES];
    uint32_t count;
    uint32_t stop_at; /* 0 = never */
};

static void take(struct asker *asker)
{
    if (asker->count == SAMPLES)
        return;
    struct sample *sample = &asker->samples[asker->count++];
    library_times(&sample->times);
    library_randoms(sample->randoms);
    sample->now_ns = orr_now(asker->loop);
    sample->wall_ns = (uint64_t)orr_wall_clock(asker->loop);
}

static void on_tick(void *context, struct orr_completion *tick, int64_t result)
{
    struct asker *asker = context;
    (void)result;
    take(asker);
    if (asker->count == asker->stop_at)
        orr_stop(asker->loop);
    else
        orr_timeout(asker->loop, tick, 1234567 * ORR_MICROSECOND, on_tick, asker);
}

/* The first sample is of boot, the others are of callbacks. */
static void *boot_asker(struct orr_loop *loop, void *config)
{
    struct asker *asker = config;
    asker->loop = loop;
    memset(&asker->tick, 0, sizeof asker->tick);
    on_tick(asker, &asker->tick, 0);
    return asker;
}

static const struct orr_program asking = {.boot = boot_asker};

/* ---- runs ------------------------------------------------------------------------------------ */

/* What a scenario and its nodes share with the test: a run has no other way to be told of it. */
static struct {
    struct asker askers[2];
    struct sample scenario;
    const struct library_leak *leak;
    int answer;
} shared;

static struct orr_outcome outcome;

static void run(void (*function)(struct orr_world *world), uint64_t seed)
{
    const struct orr_scenario scenario = {.name = "libc", .summary = "asks", .run = function};
    struct orr_run_options options = {.seed = seed};
    ck_assert_int_eq(orr_scenario_run(&scenario, &options, &outcome), 0);
}

static void no_faults(struct orr_world *world)
{
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++)
        orr_world_set_rate(world, (enum orr_fault_family)family, 0);
}

static void run_askers(struct orr_world *world)
{
    memset(&shared, 0, sizeof shared);
    no_faults(world);
    struct orr_node *one = orr_node_create(world, "one", &asking, &shared.askers[0]);
    orr_node_create(world, "two", &asking, &shared.askers[1]);
    orr_world_run_for(world, 10 * ORR_SECOND);
    library_times(&shared.scenario.times);
    library_randoms(shared.scenario.randoms);
    shared.scenario.now_ns = orr_world_now(world);
    shared.scenario.wall_ns = (uint64_t)orr_node_wall_clock(one);
}

static struct sample *sample_of(uint32_t index)
{
    if (index == 2 * SAMPLES)
        return &shared.scenario;
    return &shared.askers[index / SAMPLES].samples[index % SAMPLES];
}

/* ---- what is answered ------------------------------------------------------------------------ */

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

START_TEST(test_clocks__are_the_node_s)
{
    run(run_askers, 7);
    ck_assert_msg(!outcome.failed, "%s\n%s", outcome.check, outcome.detail);
    for (uint32_t i = 0; i < 2 * SAMPLES; i++) {
        const struct sample *sample = sample_of(i);
        ck_assert_uint_ne(sample->wall_ns, 0);
        for (uint32_t j = 0; j < LIBRARY_WALLS; j++) /* gettimeofday and time know less digits */
            ck_assert_uint_lt(difference(sample->times.wall[j], sample->wall_ns),
                              j == 4   ? ORR_SECOND
                              : j == 2 ? ORR_MICROSECOND
                                       : 1);
        for (uint32_t j = 0; j < LIBRARY_MONOTONICS; j++)
            ck_assert_uint_eq(sample->times.monotonic[j], sample->now_ns);
        for (uint32_t j = 0; j < LIBRARY_PROCESSORS; j++)
            ck_assert_uint_le(sample->times.processor[j], sample->now_ns);
        ck_assert_uint_eq(sample->times.resolution, 1);
    }
    ck_assert_uint_ne(shared.askers[0].samples[0].wall_ns, shared.askers[1].samples[0].wall_ns);
}
END_TEST

START_TEST(test_clocks__of_the_scenario)
{
    run(run_askers, 7);
    const struct library_times *times = &shared.scenario.times;
    ck_assert_uint_eq(shared.scenario.now_ns, 10 * ORR_SECOND);
    /* Nodes are set right, but for what setting a clock leaves. */
    ck_assert_uint_ne(shared.scenario.wall_ns, 0);
    ck_assert_uint_le(difference(times->wall[0], shared.scenario.wall_ns), 2 * ORR_MILLISECOND);
    ck_assert_uint_eq(times->monotonic[0], 11 * ORR_SECOND);
    for (uint32_t j = 0; j < LIBRARY_PROCESSORS; j++)
        ck_assert_uint_eq(times->processor[j], 10 * ORR_SECOND);
}
END_TEST

START_TEST(test_answers__replay)
{
    run(run_askers, 11);
    struct sample first[2 * SAMPLES + 1];
    uint64_t hash = outcome.trace_hash;
    for (uint32_t i = 0; i <= 2 * SAMPLES; i++)
        first[i] = *sample_of(i);
    library_seed(99); /* what happens between two runs is no part of them */
    uint64_t between[LIBRARY_RANDOMS];
    library_randoms(between);
    run(run_askers, 11);
    ck_assert_uint_eq(outcome.trace_hash, hash);
    for (uint32_t i = 0; i <= 2 * SAMPLES; i++)
        ck_assert_mem_eq(&first[i], sample_of(i), sizeof first[i]);
}
END_TEST

/* Every function, on every node, in every callback, and in the scenario: no two seeds agree. */
START_TEST(test_randoms__are_the_seed_s)
{
    uint64_t first[2 * SAMPLES + 1][LIBRARY_RANDOMS];
    run(run_askers, 1);
    for (uint32_t i = 0; i <= 2 * SAMPLES; i++)
        memcpy(first[i], sample_of(i)->randoms, sizeof first[i]);
    run(run_askers, 2);
    for (uint32_t i = 0; i <= 2 * SAMPLES; i++)
        for (uint32_t j = 0; j < LIBRARY_RANDOMS; j++)
            ck_assert_msg(first[i][j] != sample_of(i)->randoms[j], "%s, sample %" PRIu32,
                          library_random_names[j], i);
}
END_TEST

START_TEST(test_randoms__differ_from_node_to_node_and_call_to_call)
{
    run(run_askers, 3);
    for (uint32_t i = 0; i <= 2 * SAMPLES; i++)
        for (uint32_t k = 0; k < i; k++)
            for (uint32_t j = 0; j < LIBRARY_RANDOMS; j++)
                ck_assert_msg(sample_of(i)->randoms[j] != sample_of(k)->randoms[j],
                              "%s, samples %" PRIu32 " and %" PRIu32, library_random_names[j], i,
                              k);
}
END_TEST

START_TEST(test_randoms__stay_in_their_range)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        run(run_askers, seed);
        for (uint32_t i = 0; i <= 2 * SAMPLES; i++) {
            const uint64_t *randoms = sample_of(i)->randoms;
            ck_assert_uint_le(randoms[2], UINT32_MAX);
            ck_assert_uint_lt(randoms[3], 1000000000);
            ck_assert_uint_le(randoms[5], RAND_MAX);
            ck_assert_uint_le(randoms[6], INT32_MAX);
        }
    }
}
END_TEST

/* ---- keyed, not streamed --------------------------------------------------------------------- */

struct drawer {
    bool draws; /* from the C library, before it asks the loop */
    uint64_t of_loop;
    uint64_t of_library[LIBRARY_RANDOMS];
};
static struct drawer drawers[2];

static void *boot_drawer(struct orr_loop *loop, void *config)
{
    struct drawer *drawer = config;
    if (drawer->draws)
        library_randoms(drawer->of_library);
    orr_random(loop, &drawer->of_loop, sizeof drawer->of_loop);
    return drawer;
}

static void run_drawers(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_drawer};
    orr_node_create(world, "one", &program, &drawers[0]);
    orr_node_create(world, "two", &program, &drawers[1]);
}

START_TEST(test_randoms__move_no_other_draw)
{
    memset(drawers, 0, sizeof drawers);
    drawers[1].draws = true;
    run(run_drawers, 5);
    struct drawer before[2] = {drawers[0], drawers[1]};
    drawers[0].draws = true;
    run(run_drawers, 5);
    ck_assert_uint_eq(drawers[0].of_loop, before[0].of_loop);
    ck_assert_uint_eq(drawers[1].of_loop, before[1].of_loop);
    for (uint32_t j = 0; j < LIBRARY_RANDOMS; j++)
        ck_assert_uint_eq(drawers[1].of_library[j], before[1].of_library[j]);
}
END_TEST

/* ---- srand ----------------------------------------------------------------------------------- */

#define RANDS 8
static struct {
    const struct library_generator *generator;
    int values[2][2 * RANDS];
    int reborn;
    uint32_t lives;
} seeded;

static void *boot_seeded(struct orr_loop *loop, void *config)
{
    int *values = config;
    (void)loop;
    if (values == NULL) {
        seeded.lives++;
        seeded.reborn = seeded.generator->next();
        seeded.generator->seed(1);
        return &seeded;
    }
    for (uint32_t i = 0; i < 2 * RANDS; i++) {
        if (i % RANDS == 0)
            seeded.generator->seed(42);
        values[i] = seeded.generator->next();
    }
    return values;
}

static void run_seeded(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_seeded};
    memset(&seeded.values, 0, sizeof seeded.values);
    orr_node_create(world, "one", &program, seeded.values[0]);
    orr_node_create(world, "two", &program, seeded.values[1]);
}

START_TEST(test_srand__fixes_the_sequence)
{
    int first[RANDS];
    seeded.generator = &library_generators[_i];
    run(run_seeded, 1);
    memcpy(first, seeded.values[0], sizeof first);
    run(run_seeded, 2);
    for (uint32_t i = 0; i < RANDS; i++) {
        ck_assert_int_eq(seeded.values[0][i], first[i]);
        ck_assert_int_eq(seeded.values[0][RANDS + i], first[i]);
        ck_assert_int_eq(seeded.values[1][i], first[i]);
        ck_assert_int_eq(seeded.values[1][RANDS + i], first[i]);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_int_ne(first[i], first[j]);
    }
}
END_TEST

static int reborn_first;
static void run_reborn(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_seeded};
    no_faults(world);
    seeded.lives = 0;
    struct orr_node *node = orr_node_create(world, "one", &program, NULL);
    reborn_first = seeded.reborn;
    seeded.generator->seed(1); /* the scenario's own: no node's */
    int sequence[2] = {seeded.generator->next(), seeded.generator->next()};
    orr_node_crash(node, ORR_CRASH_POWER);
    orr_node_start(node);
    orr_always(world, seeded.reborn != sequence[0] && seeded.reborn != sequence[1],
               "a new life knows nothing of the seed of the one before");
}

START_TEST(test_srand__ends_with_the_life)
{
    seeded.generator = &library_generators[_i];
    run(run_reborn, 4);
    ck_assert_msg(!outcome.failed, "%s\n%s", outcome.check, outcome.detail);
    ck_assert_uint_eq(seeded.lives, 2);
    ck_assert_int_ne(seeded.reborn, reborn_first);
}
END_TEST

/* ---- the crash function ---------------------------------------------------------------------- */

static uint64_t crash_wall_ns;
static void note_crash(void *application)
{
    struct library_times times;
    (void)application;
    library_times(&times);
    crash_wall_ns = times.wall[0];
}

static void run_crash(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_asker, .crash = note_crash};
    memset(&shared, 0, sizeof shared);
    no_faults(world);
    struct orr_node *node = orr_node_create(world, "one", &program, &shared.askers[0]);
    orr_world_run_for(world, ORR_SECOND);
    orr_node_crash(node, ORR_CRASH_PROCESS);
}

START_TEST(test_clocks__of_a_crash_function)
{
    run(run_crash, 6);
    ck_assert_uint_eq(crash_wall_ns, shared.askers[0].samples[0].wall_ns + ORR_SECOND);
}
END_TEST

/* ---- what is reported ------------------------------------------------------------------------ */

static void *boot_leak(struct orr_loop *loop, void *config)
{
    (void)loop;
    shared.answer = shared.leak->call();
    return config;
}

static void run_leak(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_leak};
    orr_node_create(world, "server", &program, &shared);
}

static void run_leak_of_scenario(struct orr_world *world)
{
    (void)world;
    shared.answer = shared.leak->call();
}

#define ck_contains(text, part) \
    ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" is not in:\n%s", (part), (text))

static void expect_leak(const char *who)
{
    char calls[64];
    ck_assert(outcome.failed);
    ck_assert_str_eq(outcome.check, shared.leak->check);
    ck_assert_int_eq(shared.answer, shared.leak->refused);
    snprintf(calls, sizeof calls, ": %s calls %s: ", who, shared.leak->function);
    ck_contains(outcome.detail, calls);
    ck_contains(outcome.detail, "\ncalled from (addr2line -e FILE ADDRESS):\n  ");
    ck_contains(outcome.detail, "\n  libc-library.so+0x");
    ck_contains(outcome.detail, "\n  test_libc");
}

START_TEST(test_leak__of_a_program)
{
    shared.leak = &library_leaks[_i];
    run(run_leak, 1);
    expect_leak("node server");
    struct orr_outcome first = outcome;
    run(run_leak, 1);
    ck_assert_str_eq(outcome.detail, first.detail);
    ck_assert_uint_eq(outcome.trace_hash, first.trace_hash);
}
END_TEST

START_TEST(test_leak__of_the_scenario)
{
    shared.leak = &library_leaks[_i];
    run(run_leak_of_scenario, 1);
    expect_leak("the scenario");
}
END_TEST

/* The symbols that the linker knows are told, and nothing above the program. */
START_TEST(test_leak__stack)
{
    shared.leak = &library_leaks[0];
    run(run_leak_of_scenario, 1);
    ck_contains(outcome.detail, "libc-library.so+0x");
    ck_contains(outcome.detail, " library_thread\n");
    const char *stack = strstr(outcome.detail, "called from");
    uint32_t lines = 0;
    for (const char *at = stack; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    /* itself, library_thread, run_leak_of_scenario; a sanitizer's wrapper may come before */
    ck_assert_uint_ge(lines, 3);
    ck_assert_uint_le(lines, LIBC_WRAPPED ? 6 : 3);
}
END_TEST

static int leak_from_elsewhere(void)
{
    int result = library_leaks[0].call();
    return result + (shared.leak == NULL);
}

static void run_leak_from_elsewhere(struct orr_world *world)
{
    (void)world;
    shared.answer = leak_from_elsewhere();
}

START_TEST(test_leak__stack_is_not_in_the_hash)
{
    shared.leak = &library_leaks[0];
    run(run_leak_of_scenario, 1);
    struct orr_outcome first = outcome;
    run(run_leak_from_elsewhere, 1);
    ck_assert_str_ne(outcome.detail, first.detail);
    ck_assert_uint_eq(outcome.trace_hash, first.trace_hash);
}
END_TEST

/* ---- outside --------------------------------------------------------------------------------- */

static uint64_t real_ns(clockid_t clock)
{
    struct timespec time;
    ck_assert_int_eq((int)syscall(SYS_clock_gettime, clock, &time), 0);
    return (uint64_t)time.tv_sec * ORR_SECOND + (uint64_t)time.tv_nsec;
}

/* All clocks between two readings of the kernel's. time() cuts the second off, of a clock that may
 * be a tick behind. */
static void expect_real(void)
{
    static const uint64_t slack_ns = 2 * ORR_SECOND;
    struct library_times times;
    uint64_t wall = real_ns(CLOCK_REALTIME);
    uint64_t monotonic = real_ns(CLOCK_MONOTONIC);
    library_times(&times);
    uint64_t wall_after = real_ns(CLOCK_REALTIME);
    uint64_t monotonic_after = real_ns(CLOCK_MONOTONIC);
    for (uint32_t j = 0; j < 5; j++) {
        ck_assert_uint_ge(times.wall[j] + slack_ns, wall);
        ck_assert_uint_le(times.wall[j], wall_after);
    }
    ck_assert_uint_ge(times.monotonic[0], monotonic);
    ck_assert_uint_le(times.monotonic[0], monotonic_after);
    for (uint32_t i = 0; i < LIBRARY_LEAKS; i++)
        ck_assert_msg(library_leaks[i].call() == 0, "%s", library_leaks[i].function);
}

START_TEST(test_outside__all_is_real)
{
    expect_real();
    run(run_askers, 1);
    expect_real();
    shared.leak = &library_leaks[0];
    run(run_leak, 1);
    expect_real();
}
END_TEST

START_TEST(test_outside__random_is_real)
{
    uint64_t first[LIBRARY_RANDOMS];
    uint64_t second[LIBRARY_RANDOMS];
    library_randoms(first);
    library_randoms(second);
    for (uint32_t j = 0; j < LIBRARY_RANDOMS; j++)
        ck_assert_uint_ne(first[j], second[j]);
}
END_TEST

START_TEST(test_outside__what_was_seeded_goes_on)
{
    const struct library_generator *generator = &library_generators[_i];
    int expected[RANDS];
    generator->seed(17);
    for (uint32_t i = 0; i < RANDS; i++)
        expected[i] = generator->next();
    generator->seed(17);
    ck_assert_int_eq(generator->next(), expected[0]);
    seeded.generator = generator;
    run(run_seeded, 1); /* moves nothing outside */
    run(run_askers, 1);
    for (uint32_t i = 1; i < RANDS; i++)
        ck_assert_int_eq(generator->next(), expected[i]);
}
END_TEST

/* ---- a bare world ---------------------------------------------------------------------------- */

START_TEST(test_bare__answers_but_reports_nothing)
{
    struct orr_world *world = orr_world_create(1, NULL);
    static const struct orr_program leaking = {.boot = boot_leak};
    memset(&shared, 0, sizeof shared);
    shared.leak = &library_leaks[_i];
    orr_node_create(world, "leaking", &leaking, &shared);
    ck_assert(!orr_world_failed(world));
    ck_assert_int_eq(shared.answer, 0); /* it was made */
    orr_node_create(world, "asking", &asking, &shared.askers[0]);
    const struct sample *sample = &shared.askers[0].samples[0];
    ck_assert_uint_eq(sample->times.wall[0], sample->wall_ns);
    expect_real(); /* the test itself is not in the world */
    orr_world_police(world);
    orr_node_create(world, "watched", &leaking, &shared);
    ck_assert(orr_world_failed(world));
    ck_assert_int_eq(shared.answer, shared.leak->refused);
    orr_world_destroy(world);
}
END_TEST

static uint64_t elsewhere_ns;
static void *boot_elsewhere(struct orr_loop *loop, void *config)
{
    (void)loop;
    elsewhere_ns = library_wall_elsewhere();
    return config;
}

START_TEST(test_bare__other_threads_are_outside)
{
    struct orr_world *world = orr_world_create(1, NULL);
    static const struct orr_program program = {.boot = boot_elsewhere};
    uint64_t before_ns = real_ns(CLOCK_REALTIME);
    orr_node_create(world, "one", &program, &shared);
    ck_assert_uint_ge(elsewhere_ns, before_ns);
    ck_assert_uint_le(elsewhere_ns, real_ns(CLOCK_REALTIME));
    orr_world_destroy(world);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("libc");
    tcase_add_test(tests, test_clocks__are_the_node_s);
    tcase_add_test(tests, test_clocks__of_the_scenario);
    tcase_add_test(tests, test_clocks__of_a_crash_function);
    tcase_add_test(tests, test_answers__replay);
    tcase_add_test(tests, test_randoms__are_the_seed_s);
    tcase_add_test(tests, test_randoms__differ_from_node_to_node_and_call_to_call);
    tcase_add_test(tests, test_randoms__stay_in_their_range);
    tcase_add_test(tests, test_randoms__move_no_other_draw);
    tcase_add_loop_test(tests, test_srand__fixes_the_sequence, 0, LIBRARY_GENERATORS);
    tcase_add_loop_test(tests, test_srand__ends_with_the_life, 0, LIBRARY_GENERATORS);
    tcase_add_loop_test(tests, test_leak__of_a_program, 0, LIBRARY_LEAKS);
    tcase_add_loop_test(tests, test_leak__of_the_scenario, 0, LIBRARY_LEAKS);
    tcase_add_test(tests, test_leak__stack);
    tcase_add_test(tests, test_leak__stack_is_not_in_the_hash);
    tcase_add_test(tests, test_outside__all_is_real);
    tcase_add_test(tests, test_outside__random_is_real);
    tcase_add_loop_test(tests, test_outside__what_was_seeded_goes_on, 0, LIBRARY_GENERATORS);
    tcase_add_loop_test(tests, test_bare__answers_but_reports_nothing, 0, LIBRARY_LEAKS);
    tcase_add_test(tests, test_bare__other_threads_are_outside);
    return suite_run("libc", tests);
}

/*
 * cases_time.c: timers, next tick, clocks, wake, random bytes (rules 2, 7, 8 and 12). Nothing here
 * says that something is fast; only that it is never early, and in order.
 */
#include "tests/conformance/cases.h"

#include <stdlib.h>
#include <string.h>

#define COUNT 100u
#define NESTED_TIMERS 10u

static struct probe probes[COUNT];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

static void tick(struct probe *probe)
{
    orr_next_tick(ground.loop, &probe->completion, probe_called, probe);
}

static void wait_wake(struct probe *probe)
{
    orr_wait_wake(ground.loop, &probe->completion, probe_called, probe);
}

/* ---- timers ---------------------------------------------------------------------------------- */

static void not_before(struct probe *probe)
{
    must(orr_now(ground.loop) >= *(const uint64_t *)probe->context);
}

static void timers_are_never_early(void)
{
    static const uint64_t lengths[] = {0,     1,      999,    1000,    1001,
                                       50000, 123456, 999999, 1000000, 2500000};
    static uint64_t due[10];
    reset();
    for (uint32_t i = 0; i < 10; i++) {
        due[i] = orr_now(ground.loop) + lengths[i];
        probes[i].context = &due[i];
        probes[i].then = not_before;
        START(&probes[i], orr_timeout, lengths[i]);
    }
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 10; i++)
        EXPECT_END(0, &probes[i]);
}

/* Each deadline lies between two looks at the clock; those that certainly differ come in order. */
static void timers_come_by_deadline(void)
{
    static uint64_t earliest_ns[COUNT];
    static uint64_t latest_ns[COUNT];
    reset();
    for (uint32_t i = 0; i < COUNT; i++) {
        uint64_t length_ns = (i * 37 % COUNT) * 10000;
        earliest_ns[i] = orr_now(ground.loop) + length_ns;
        START(&probes[i], orr_timeout, length_ns);
        latest_ns[i] = orr_now(ground.loop) + length_ns;
    }
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < COUNT; i++) {
        EXPECT_END(0, &probes[i]);
        for (uint32_t j = 0; j < COUNT; j++)
            must(latest_ns[i] >= earliest_ns[j] || probes[i].order < probes[j].order);
    }
}

/* The clock may stand still between two submits: then the order of submit decides. */
static void equal_deadlines_come_in_submit_order(void)
{
    static const uint64_t lengths[] = {0, 1, 100000, 1500000};
    for (uint32_t round = 0; round < 4; round++) {
        reset();
        probe_count = 0;
        for (uint32_t i = 0; i < COUNT; i++)
            START(&probes[i], orr_timeout, lengths[round]);
        orr_run_until_idle(ground.loop);
        for (uint32_t i = 0; i < COUNT; i++) {
            EXPECT_END(0, &probes[i]);
            ck_assert_uint_eq(probes[i].order, i + 1);
        }
    }
}

static void submit_zero(struct probe *probe)
{
    (void)probe;
    START(&probes[1], orr_timeout, 0);
}

static void a_zero_timer_runs_on_the_next_pass(void)
{
    reset();
    probes[0].then = submit_zero;
    START(&probes[0], orr_timeout, 0);
    orr_run_for_ns(ground.loop, 0);
    EXPECT_END(0, &probes[0]);
    ck_assert_uint_eq(probes[1].calls, 0);
    orr_run_for_ns(ground.loop, 0);
    ck_assert_uint_eq(probes[1].calls, 1);
}

static void the_end_of_time_never_comes(void)
{
    reset();
    START(&probes[0], orr_timeout, UINT64_MAX);
    START(&probes[1], orr_timeout, UINT64_MAX - 1);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls + probes[1].calls, 0);
    orr_drain(ground.loop);
    EXPECT_END(-ECANCELED, &probes[0]);
    EXPECT_END(-ECANCELED, &probes[1]);
}

static void time_again(struct probe *probe)
{
    if (probe->result == 0 && probes[0].calls == 0)
        START(probe, orr_timeout, 1000);
}

static void a_timer_is_not_starved_by_others(void)
{
    reset();
    uint64_t start_ns = orr_now(ground.loop);
    START(&probes[0], orr_timeout, 700000);
    for (uint32_t i = 1; i < 20; i++) {
        probes[i].then = time_again;
        START(&probes[i], orr_timeout, 0);
    }
    EXPECT_END(0, &probes[0]);
    ck_assert_uint_ge(orr_now(ground.loop), start_ns + 700000);
    orr_run_until_idle(ground.loop);
}

static void a_timer_is_canceled(void)
{
    struct probe cancel = {.calls = 0};
    reset();
    START(&probes[0], orr_timeout, 3600 * ORR_SECOND);
    START(&probes[1], orr_timeout, 1000);
    START(&cancel, orr_cancel, &probes[0].completion);
    orr_run_until_idle(ground.loop);
    EXPECT_END(-ECANCELED, &probes[0]);
    EXPECT_END(0, &probes[1]);
    EXPECT_END(0, &cancel);
    ck_assert_uint_lt(probes[0].order, cancel.order);
}

static void many_timers(void)
{
    static struct probe many[5000];
    memset(many, 0, sizeof many);
    for (uint32_t i = 0; i < 5000; i++)
        START(&many[i], orr_timeout, (i * 7919 % 5000) * 400);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 5000; i++)
        must(many[i].calls == 1 && many[i].result == 0);
}

static void next_tick_runs_on_the_next_pass(void)
{
    uint64_t before = probe_count;
    reset();
    for (uint32_t i = 0; i < 10; i++)
        tick(&probes[i]);
    ck_assert_uint_eq(probe_count, before);
    orr_run_for_ns(ground.loop, 0);
    for (uint32_t i = 0; i < 10; i++) {
        EXPECT_END(0, &probes[i]);
        ck_assert_uint_eq(probes[i].order, probes[0].order + i);
    }
}

/* A million in flight, which all come, or are all canceled. Not in static memory: a leak checker
 * would look at all of it at the end of every case. */
#define TIMERS 1000000u

static struct orr_completion *timers;
static uint64_t *timers_due_ns;
static uint32_t timers_came;
static uint32_t timers_canceled;

static void timer_ended(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    must(result == 0 || result == -ECANCELED);
    if (result < 0) {
        timers_canceled++;
    } else {
        must(orr_now(ground.loop) >= *(const uint64_t *)context);
        timers_came++;
    }
}

static void start_timers(uint64_t shortest_ns)
{
    for (uint32_t i = 0; i < TIMERS; i++) {
        uint64_t length_ns = shortest_ns + i * UINT64_C(7919) % 1000 * 1000;
        timers_due_ns[i] = orr_now(ground.loop) + length_ns;
        orr_timeout(ground.loop, &timers[i], length_ns, timer_ended, &timers_due_ns[i]);
    }
}

static void a_million_timers(void)
{
    timers = calloc(TIMERS, sizeof *timers);
    timers_due_ns = calloc(TIMERS, sizeof *timers_due_ns);
    must(timers != NULL && timers_due_ns != NULL);
    timers_came = 0;
    timers_canceled = 0;
    start_timers(0);
    orr_run_until_idle(ground.loop);
    ck_assert_uint_eq(timers_came, TIMERS);
    start_timers(3600 * ORR_SECOND);
    orr_drain(ground.loop);
    ck_assert_uint_eq(timers_came, TIMERS);
    ck_assert_uint_eq(timers_canceled, TIMERS);
    free(timers);
    free(timers_due_ns);
}

static void tick_again(struct probe *probe)
{
    if (probe->calls < 50)
        tick(probe);
}

/* Each pass has something ready; the timers that are due come all the same, in the very pass. */
static void timers_are_not_stranded_behind_what_is_ready(void)
{
    reset();
    for (uint32_t i = 1; i < 20; i++) {
        probes[i].then = tick_again;
        tick(&probes[i]);
    }
    for (uint32_t pass = 1; pass < 50; pass++) {
        probe_reset(&probes[0]);
        START(&probes[0], orr_timeout, 0);
        orr_run_for_ns(ground.loop, 0);
        EXPECT_END(0, &probes[0]);
        ck_assert_uint_eq(probes[19].calls, pass);
    }
    orr_run_until_idle(ground.loop);
}

/* ---- work that never ends -------------------------------------------------------------------- */

static void tick_until_canceled(struct probe *probe)
{
    if (probe->result == 0)
        tick(probe);
}

/* Work that never ends does not keep a run call from ending. */
static void run_for_ns_ends_though_work_never_does(void)
{
    reset();
    for (uint32_t i = 1; i < 8; i++) {
        probes[i].then = tick_until_canceled;
        tick(&probes[i]);
    }
    START(&probes[0], orr_timeout, 200000);
    orr_run_for_ns(ground.loop, 100000);
    orr_run_for_ns(ground.loop, 300000);
    EXPECT_END(0, &probes[0]);
    orr_drain(ground.loop);
}

static void zero_again(struct probe *probe)
{
    if (probe->result == 0 && probes[0].calls + probes[1].calls + probes[2].calls < 3)
        START(probe, orr_timeout, 0);
}

/* Timers that start themselves again at once keep neither bytes, nor files, nor later timers from
 * coming. */
static void a_zero_timer_that_starts_again_starves_nobody(void)
{
    struct pair pair;
    uint8_t byte;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    orr_handle file = ground_file("f");
    reset();
    START(&probes[0], orr_recv, pair.client, &byte, 1);
    START(&probes[1], orr_fsync, file);
    START(&probes[2], orr_timeout, 300000);
    START(&probes[3], orr_send_all, pair.server, "x", 1);
    for (uint32_t i = 4; i < 16; i++) {
        probes[i].then = zero_again;
        START(&probes[i], orr_timeout, 0);
    }
    EXPECT_END(1, &probes[0]);
    EXPECT_END(0, &probes[1]);
    EXPECT_END(0, &probes[2]);
    orr_run_until_idle(ground.loop);
    ground_close(file);
    ground_close_pair(&pair);
}

/* ---- callbacks that take long ---------------------------------------------------------------- */

#define LONG_NS (2 * ORR_MILLISECOND)

static void take_long(struct probe *probe)
{
    (void)probe;
    ground.driver->pass_time(ground.loop, LONG_NS);
}

static void the_deadline_is_checked_after_every_callback(void)
{
    reset();
    for (uint32_t i = 0; i < 10; i++) {
        probes[i].then = take_long;
        tick(&probes[i]);
    }
    orr_run_for_ns(ground.loop, ORR_MILLISECOND);
    ck_assert_uint_eq(probes[0].calls, 1);
    ck_assert_uint_eq(probes[1].calls, 0);
    orr_run_once(ground.loop); /* the rest is still there */
    for (uint32_t i = 0; i < 10; i++)
        EXPECT_END(0, &probes[i]);
}

static uint64_t due_ns[NESTED_TIMERS];

static void start_late(struct probe *probe)
{
    take_long(probe);
    due_ns[1] = orr_now(ground.loop) + ORR_MILLISECOND;
    START(&probes[1], orr_timeout, ORR_MILLISECOND);
}

/* A timer runs from its submit, not from when the loop last looked at the clock. */
static void timers_count_from_their_submit(void)
{
    reset();
    take_long(NULL);
    due_ns[0] = orr_now(ground.loop) + ORR_MILLISECOND;
    START(&probes[0], orr_timeout, ORR_MILLISECOND);
    EXPECT_END(0, &probes[0]);
    ck_assert_uint_ge(orr_now(ground.loop), due_ns[0]);
    probes[2].then = start_late;
    tick(&probes[2]);
    EXPECT_END(0, &probes[2]);
    EXPECT_END(0, &probes[1]);
    ck_assert_uint_ge(orr_now(ground.loop), due_ns[1]);
}

/* As long as there is nothing but timers, another loop around this one needs no more than the time
 * to the next step. */
static void timers_of_a_nested_loop(void)
{
    uint32_t steps = 0;
    reset();
    orr_run_for_ns(ground.loop, 0);
    probe_count = 0;
    for (uint32_t i = 0; i < NESTED_TIMERS; i++) {
        due_ns[i] = orr_now(ground.loop) + i * 700000;
        START(&probes[i], orr_timeout, i * 700000);
    }
    for (; probe_count < NESTED_TIMERS; steps++) {
        uint64_t left_ns = orr_loop_timeout_ns(ground.loop);
        ck_assert_uint_lt(left_ns, ORR_SECOND);
        ground.driver->pass_time(ground.loop, left_ns);
        orr_run_for_ns(ground.loop, 0);
        for (uint32_t i = 0; i < NESTED_TIMERS; i++)
            must(probes[i].calls == 0 || orr_now(ground.loop) >= due_ns[i]);
    }
    ck_assert_uint_eq(orr_loop_timeout_ns(ground.loop), UINT64_MAX);
    for (uint32_t i = 0; i < NESTED_TIMERS; i++)
        EXPECT_END(0, &probes[i]);
    ck_assert_uint_le(steps, 4 * NESTED_TIMERS);
}

/* ---- wake ------------------------------------------------------------------------------------ */

static void a_wake_before_the_wait(void)
{
    reset();
    orr_wake(ground.loop);
    orr_wake(ground.loop);
    wait_wake(&probes[0]);
    wait_wake(&probes[1]);
    EXPECT_END(0, &probes[0]);
    EXPECT_END(0, &probes[1]);
    wait_wake(&probes[2]);
    ground_settle();
    ck_assert_uint_eq(probes[2].calls, 0);
    orr_wake(ground.loop);
    EXPECT_END(0, &probes[2]);
    orr_wake(ground.loop);
    ground_settle(); /* the loop has seen it, nobody has taken it */
    wait_wake(&probes[3]);
    EXPECT_END(0, &probes[3]);
}

static void wake_up(struct probe *probe)
{
    (void)probe;
    orr_wake(ground.loop);
}

static void a_wake_from_a_callback(void)
{
    reset();
    wait_wake(&probes[0]);
    probes[1].then = wake_up;
    START(&probes[1], orr_timeout, 100000);
    orr_run_until_idle(ground.loop);
    EXPECT_END(0, &probes[0]);
    ck_assert_uint_lt(probes[1].order, probes[0].order);
}

static void wakes_over_and_over(void)
{
    reset();
    for (uint32_t i = 0; i < 1000; i++) {
        probe_reset(&probes[0]);
        wait_wake(&probes[0]);
        if (i % 3 == 0)
            orr_run_for_ns(ground.loop, 0);
        orr_wake(ground.loop);
        EXPECT_END(0, &probes[0]);
    }
}

static void a_wait_for_a_wake_is_canceled(void)
{
    struct probe cancel = {.calls = 0};
    reset();
    wait_wake(&probes[0]);
    START(&cancel, orr_cancel, &probes[0].completion);
    EXPECT_END(0, &cancel);
    EXPECT_END(-ECANCELED, &probes[0]);
}

/* ---- clocks, random bytes, memory ------------------------------------------------------------ */

static void clocks_go_forward(void)
{
    uint64_t before = orr_now(ground.loop);
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t now = orr_now(ground.loop);
        must(now >= before);
        before = now;
    }
    orr_run_for_ns(ground.loop, 1500000);
    ck_assert_uint_ge(orr_now(ground.loop), before + 1500000);
    ck_assert_int_gt(orr_wall_clock(ground.loop), 978307200 * (int64_t)ORR_SECOND); /* 2001 */
}

static void random_bytes_are_random(void)
{
    uint8_t bytes[4][64];
    uint32_t ones = 0;
    memset(bytes, 0, sizeof bytes);
    for (uint32_t i = 0; i < 4; i++)
        orr_random(ground.loop, bytes[i], 63);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(bytes[i][63], 0);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_mem_ne(bytes[i], bytes[j], 63);
        for (uint32_t j = 0; j < 63 * 8; j++)
            ones += bytes[i][j / 8] >> j % 8 & 1u;
    }
    ck_assert_uint_gt(ones, 800); /* of 2016; chance would have it once in 10^19 */
    ck_assert_uint_lt(ones, 1216);
    orr_random(ground.loop, bytes, 0);
}

static void memory_is_memory(void)
{
    uint8_t *blocks[50];
    for (uint32_t i = 0; i < 50; i++) {
        blocks[i] = orr_malloc(ground.loop, i + 1);
        ck_assert_ptr_nonnull(blocks[i]);
        ground_fill(blocks[i], i + 1, i);
    }
    for (uint32_t i = 0; i < 50; i += 2) {
        blocks[i] = orr_realloc(ground.loop, blocks[i], 10000);
        ground_check(blocks[i], i + 1, i);
        ground_fill(blocks[i], 10000, i);
        blocks[i] = orr_realloc(ground.loop, blocks[i], i + 1);
    }
    for (uint32_t i = 0; i < 50; i++) {
        ground_check(blocks[i], i + 1, i);
        orr_free(ground.loop, blocks[i]);
    }
    orr_free(ground.loop, NULL);
}

const struct conformance_case cases_time[] = {
    {.name = "timers_are_never_early", .run = timers_are_never_early},
    {.name = "timers_come_by_deadline", .run = timers_come_by_deadline},
    {.name = "equal_deadlines_come_in_submit_order", .run = equal_deadlines_come_in_submit_order},
    {.name = "a_zero_timer_runs_on_the_next_pass", .run = a_zero_timer_runs_on_the_next_pass},
    {.name = "the_end_of_time_never_comes", .run = the_end_of_time_never_comes},
    {.name = "a_timer_is_not_starved_by_others", .run = a_timer_is_not_starved_by_others},
    {.name = "a_timer_is_canceled", .run = a_timer_is_canceled},
    {.name = "many_timers", .run = many_timers},
    {.name = "a_million_timers", .run = a_million_timers, .once = true},
    {.name = "timers_are_not_stranded_behind_what_is_ready",
     .run = timers_are_not_stranded_behind_what_is_ready},
    {.name = "run_for_ns_ends_though_work_never_does",
     .run = run_for_ns_ends_though_work_never_does},
    {.name = "a_zero_timer_that_starts_again_starves_nobody",
     .run = a_zero_timer_that_starts_again_starves_nobody},
    {.name = "the_deadline_is_checked_after_every_callback",
     .run = the_deadline_is_checked_after_every_callback},
    {.name = "timers_count_from_their_submit", .run = timers_count_from_their_submit},
    {.name = "timers_of_a_nested_loop", .run = timers_of_a_nested_loop},
    {.name = "next_tick_runs_on_the_next_pass", .run = next_tick_runs_on_the_next_pass},
    {.name = "a_wake_before_the_wait", .run = a_wake_before_the_wait},
    {.name = "a_wake_from_a_callback", .run = a_wake_from_a_callback},
    {.name = "wakes_over_and_over", .run = wakes_over_and_over},
    {.name = "a_wait_for_a_wake_is_canceled", .run = a_wait_for_a_wake_is_canceled},
    {.name = "clocks_go_forward", .run = clocks_go_forward},
    {.name = "random_bytes_are_random", .run = random_bytes_are_random},
    {.name = "memory_is_memory", .run = memory_is_memory},
    {.name = NULL},
};

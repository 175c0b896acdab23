/*
 * cases_loop.c: submitting, passes, run calls, stop, overflow, the table of handles and the caught
 * errors (rules 1, 2, 5, 6, 8, 11).
 */
#include "tests/conformance/cases.h"

#include "tests/io/dies.h"

#include <string.h>

#define COUNT 64u
#define MANY 10000u

static struct probe probes[COUNT];
static struct probe many[MANY];
static uint8_t bytes[4096];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
    memset(many, 0, sizeof many);
}

static void tick(struct probe *probe)
{
    orr_next_tick(ground.loop, &probe->completion, probe_called, probe);
}

static struct orr_statistics statistics(void)
{
    struct orr_statistics now;
    orr_loop_statistics(ground.loop, &now);
    return now;
}

/* ---- callbacks and passes -------------------------------------------------------------------- */

static void submitting_never_calls_back(void)
{
    orr_handle file = ground_file("f");
    uint64_t before = probe_count;
    reset();
    START(&probes[0], orr_write, file, bytes, 10, 0);
    START(&probes[1], orr_read, file, bytes + 100, 10, 0);
    START(&probes[2], orr_recv, 12345, bytes, 1); /* fails at once */
    START(&probes[3], orr_timeout, 0);
    tick(&probes[4]);
    START(&probes[5], orr_cancel, &probes[6].completion);
    START(&probes[7], orr_open, ground.directory, "missing", ORR_OPEN_READ, 0);
    START(&probes[8], orr_poll, file, ORR_POLL_IN);
    START(&probes[9], orr_close, 12345);
    ck_assert_uint_eq(probe_count, before);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert(orr_in_flight(&probes[i].completion) == (i != 6));
    orr_run_until_idle(ground.loop);
    EXPECT_END(-EBADF, &probes[2]);
    EXPECT_END(0, &probes[3]);
    EXPECT_END(0, &probes[4]);
    EXPECT_END(-ENOENT, &probes[5]);
    EXPECT_END(-ENOENT, &probes[7]);
    EXPECT_END(ORR_POLL_IN, &probes[8]);
    EXPECT_END(-EBADF, &probes[9]);
}

static void tick_again(struct probe *probe)
{
    if (probe->result == 0)
        tick(probe);
}

static void one_pass_calls_back_only_what_was_ready(void)
{
    reset();
    for (uint32_t i = 0; i < 10; i++) {
        probes[i].then = tick_again;
        tick(&probes[i]);
    }
    for (uint64_t pass = 1; pass <= 50; pass++) {
        orr_run_for_ns(ground.loop, 0);
        for (uint32_t i = 0; i < 10; i++)
            ck_assert_uint_eq(probes[i].calls, pass);
    }
}

static void read_again(struct probe *probe)
{
    must(probe->calls < 10000);
    if (probe->result >= 0 && probes[1].calls == 0)
        START(probe, orr_read, *(const orr_handle *)probe->context, bytes, 100, 0);
}

/* A callback that resubmits at once shares a batch of one with an operation that waits. */
static void a_callback_that_resubmits_starves_nobody(void)
{
    orr_handle file = ground_file("f");
    reset();
    for (uint32_t i = 2; i < 20; i++) {
        probes[i].then = read_again;
        probes[i].context = &file;
        START(&probes[i], orr_read, file, bytes, 100, 0);
    }
    START(&probes[1], orr_fsync, file);
    EXPECT_END(0, &probes[1]);
    orr_run_until_idle(ground.loop);
}

static void submit_itself(struct probe *probe)
{
    if (probe->calls < 100)
        START(probe, orr_read, *(const orr_handle *)probe->context, bytes, 10, 0);
}

static void a_callback_submits_its_own_completion(void)
{
    orr_handle file = ground_file("f");
    reset();
    probes[0].then = submit_itself;
    probes[0].context = &file;
    START(&probes[0], orr_read, file, bytes, 10, 0);
    orr_run_until_idle(ground.loop);
    ck_assert_uint_eq(probes[0].calls, 100);
    ck_assert_int_eq(probes[0].result, 0);
}

/* ---- run calls ------------------------------------------------------------------------------- */

static void run_calls_return_when_nothing_is_in_flight(void)
{
    orr_run_once(ground.loop);
    orr_run_until_idle(ground.loop);
    orr_run_for_ns(ground.loop, 0);
    orr_drain(ground.loop);
    ck_assert_uint_eq(statistics().in_flight, 0);
}

static void run_for_zero_does_not_wait(void)
{
    reset();
    START(&probes[0], orr_timeout, 3600 * ORR_SECOND);
    uint64_t passes = statistics().passes;
    for (uint32_t i = 0; i < 100; i++)
        orr_run_for_ns(ground.loop, 0);
    ck_assert_uint_eq(statistics().passes, passes + 100);
    ck_assert_uint_eq(probes[0].calls, 0);
}

static void run_for_ns_lasts_as_long_as_asked(void)
{
    static const uint64_t lengths[] = {1, 1000, 500000, 2000000};
    reset();
    START(&probes[0], orr_timeout, 3600 * ORR_SECOND);
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t start_ns = orr_now(ground.loop);
        orr_run_for_ns(ground.loop, lengths[i]);
        ck_assert_uint_ge(orr_now(ground.loop), start_ns + lengths[i]);
    }
}

static void stop(struct probe *probe)
{
    (void)probe;
    orr_stop(ground.loop);
}

/* The deadline of a run call may lie beyond the end of time. */
static void a_run_call_without_end(void)
{
    static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 1, INT64_MAX};
    for (uint32_t i = 0; i < 3; i++) {
        reset();
        probes[0].then = stop;
        START(&probes[0], orr_timeout, 500000);
        orr_run_for_ns(ground.loop, lengths[i]);
        ck_assert_uint_eq(probes[0].calls, 1); /* it did not return before */
        ck_assert(orr_stopped(ground.loop));
    }
}

/* While only timers and the deadline of a run call wait there are few flushes, however long it
 * takes, and whatever a system's own clock rounds them to. */
static void waiting_does_not_spin(void)
{
    static const uint64_t lengths[] = {50000, 999000, 1001000, 2900000, 3000000};
    for (uint32_t i = 0; i < 5; i++) {
        reset();
        uint64_t flushes = statistics().flushes;
        START(&probes[0], orr_timeout, lengths[i]);
        orr_run_until_idle(ground.loop);
        ck_assert_uint_le(statistics().flushes, flushes + 8);
        flushes = statistics().flushes;
        START(&probes[1], orr_timeout, 3600 * ORR_SECOND);
        orr_run_for_ns(ground.loop, lengths[i]);
        ck_assert_uint_le(statistics().flushes, flushes + 8);
        orr_drain(ground.loop);
    }
}

/* Nor does a wake that was taken, or that nobody takes, keep the loop awake. */
static void a_wake_is_over_when_it_is_over(void)
{
    reset();
    for (uint32_t i = 0; i < 3; i++)
        orr_wake(ground.loop);
    if (ground.seed % 2 == 0) {
        orr_wait_wake(ground.loop, &probes[0].completion, probe_called, &probes[0]);
        EXPECT_END(0, &probes[0]);
    }
    START(&probes[1], orr_timeout, 3600 * ORR_SECOND);
    uint64_t flushes = statistics().flushes;
    orr_run_for_ns(ground.loop, 2 * ORR_MILLISECOND);
    ck_assert_uint_le(statistics().flushes, flushes + 12);
    orr_wake(ground.loop);
    orr_run_for_ns(ground.loop, 2 * ORR_MILLISECOND);
    ck_assert_uint_le(statistics().flushes, flushes + 24);
}

/* A timed wait that ends leaves nothing behind that would cut the next one short. */
static void no_timer_of_the_loop_is_left_behind(void)
{
    reset();
    orr_handle file = ground_file("f");
    START(&probes[0], orr_timeout, 3600 * ORR_SECOND);
    for (uint32_t i = 1; i <= 40; i++) { /* these waits end before their time */
        START(&probes[i], orr_fsync, file);
        probes[i].then = stop;
        orr_run_for_ns(ground.loop, ORR_MILLISECOND + i * 20000);
        EXPECT_END(0, &probes[i]);
    }
    uint64_t flushes = statistics().flushes;
    orr_run_for_ns(ground.loop, 3 * ORR_MILLISECOND);
    ck_assert_uint_le(statistics().flushes, flushes + 8);
    ck_assert_uint_eq(statistics().in_flight, 1);
    ground_close(file);
}

/* What is ready comes at once, though something else is waited for that never comes. */
static void what_is_ready_is_not_slept_on(void)
{
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 1, &address);
    reset();
    START(&probes[0], orr_accept, listener, NULL);
    ground_settle();
    for (uint32_t i = 1; i < 4; i++) {
        probes[i].then = stop;
        tick(&probes[i]);
    }
    for (uint32_t i = 1; i < 4; i++) { /* each stops the loop with the rest still ready */
        orr_run_until_idle(ground.loop);
        EXPECT_END(0, &probes[i]);
    }
    START(&probes[4], orr_recv, 12345, bytes, 1);
    orr_run_once(ground.loop);
    EXPECT_END(-EBADF, &probes[4]);
    START(&probes[5], orr_cancel, &probes[6].completion);
    orr_run_once(ground.loop);
    EXPECT_END(-ENOENT, &probes[5]);
    START(&probes[7], orr_timeout, 0);
    orr_run_once(ground.loop);
    EXPECT_END(0, &probes[7]);
    ck_assert_uint_eq(probes[0].calls, 0);
}

static void stop_ends_a_run_call(void)
{
    reset();
    for (uint32_t i = 0; i < 3; i++) {
        probes[i].then = i == 1 ? stop : NULL;
        tick(&probes[i]);
    }
    orr_run_until_idle(ground.loop);
    ck_assert(orr_stopped(ground.loop));
    ck_assert_uint_eq(probes[1].calls, 1);
    ck_assert_uint_eq(probes[2].calls, 0);
    orr_run_until_idle(ground.loop);
    ck_assert(!orr_stopped(ground.loop));
    EXPECT_END(0, &probes[2]);
    orr_stop(ground.loop); /* outside: for the next one */
    tick(&probes[3]);
    orr_run_until_idle(ground.loop);
    ck_assert_uint_eq(probes[3].calls, 0);
    orr_run_until_idle(ground.loop);
    EXPECT_END(0, &probes[3]);
}

static void the_loop_says_what_it_is(void)
{
    const char *name = orr_loop_backend_name(ground.loop);
    ck_assert_msg(strncmp(ground.driver->name, name, strlen(name)) == 0, "%s", name);
    ck_assert_uint_eq(orr_loop_timeout_ns(ground.loop), UINT64_MAX);
    reset();
    START(&probes[0], orr_timeout, 3600 * ORR_SECOND);
    ck_assert_uint_le(orr_loop_timeout_ns(ground.loop), 3600 * ORR_SECOND);
    ck_assert_uint_gt(orr_loop_timeout_ns(ground.loop), 3500 * ORR_SECOND);
    tick(&probes[1]);
    ck_assert_uint_eq(orr_loop_timeout_ns(ground.loop), 0);
}

/* ---- overflow -------------------------------------------------------------------------------- */

/* Each read has its own place in the file; whatever is lost, doubled or swapped shows. */
static void ten_thousand_reads(void)
{
    static uint8_t to[MANY][4];
    static uint8_t content[MANY * 4];
    orr_handle file = ground_file("f");
    reset();
    ground_fill(content, sizeof content, 3);
    EXPECT((int64_t)sizeof content, END_OF(orr_write_all, file, content, sizeof content, 0));
    for (uint32_t i = 0; i < MANY; i++)
        START(&many[i], orr_read_exact, file, to[i], 4, i * 4);
    ck_assert_uint_eq(statistics().in_flight, MANY);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < MANY; i++)
        must(many[i].calls == 1 && many[i].result == 4);
    ground_check(to, sizeof to, 3);
    ck_assert_uint_gt(statistics().overflowed, MANY / 2);
}

/* All of them in flight at once, until they are canceled. */
static void ten_thousand_in_flight(void)
{
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
    reset();
    for (uint32_t i = 0; i < MANY; i++)
        START(&many[i], orr_poll, listener, ORR_POLL_IN);
    ground_settle();
    for (uint32_t i = 0; i < MANY; i++)
        must(many[i].calls == 0);
    orr_drain(ground.loop);
    for (uint32_t i = 0; i < MANY; i++)
        must(many[i].calls == 1 && many[i].result == -ECANCELED);
}

/* A mix over a batch of one. */
static void a_batch_of_one(void)
{
    orr_handle file = ground_file("f");
    struct pair pair;
    reset();
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    for (uint32_t i = 0; i < 20; i++) {
        START(&probes[i], orr_write_all, file, bytes + i, 1, i);
        START(&probes[20 + i], orr_timeout, i * 1000);
    }
    START(&probes[40], orr_recv_exact, pair.client, bytes + 1000, 500);
    START(&probes[41], orr_send_all, pair.server, bytes + 2000, 500);
    START(&probes[42], orr_fsync, file);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 20; i++) {
        EXPECT_END(1, &probes[i]);
        EXPECT_END(0, &probes[20 + i]);
    }
    EXPECT_END(500, &probes[40]);
    EXPECT_END(500, &probes[41]);
    EXPECT_END(0, &probes[42]);
    ground_close_pair(&pair);
}

/* ---- handles --------------------------------------------------------------------------------- */

static void handles_are_limited(void)
{
    orr_handle handles[8];
    uint32_t count = 0; /* of 6, one is the directory's */
    for (; count < 5; count++)
        handles[count] = ground_file("f");
    EXPECT(-EMFILE, orr_socket(ground.loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM));
    EXPECT(-EMFILE, END_OF(orr_open, ground.directory, "f", ORR_OPEN_READ, 0));
    ground_close(handles[2]);
    handles[2] = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(-EMFILE, orr_socket(ground.loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM));
    for (uint32_t i = 0; i < 5; i++)
        ground_close(handles[i]);
}

static void closed_handles_are_refused_for_ever(void)
{
    static orr_handle old[300];
    for (uint32_t i = 0; i < 300; i++) {
        old[i] = i % 2 == 0 ? ground_file("f") : ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        for (uint32_t j = 0; j < i; j++)
            must(old[i] != old[j] && orr_descriptor(ground.loop, old[j]) == -EBADF);
        ground_close(old[i]);
    }
    orr_handle file = ground_file("f"); /* stands on the same descriptor as many before */
    EXPECT(3, END_OF(orr_write_all, file, "abc", 3, 0));
    for (uint32_t i = 0; i < 300; i += 7) {
        EXPECT(-EBADF, END_OF(orr_write, old[i], "xyz", 3, 0));
        EXPECT(-EBADF, END_OF(orr_truncate, old[i], 0));
        EXPECT(-EBADF, END_OF(orr_close, old[i]));
        EXPECT(-EBADF, orr_listen(ground.loop, old[i], 1));
    }
    EXPECT(3, END_OF(orr_read_exact, file, bytes, 10, 0));
    ck_assert_mem_eq(bytes, "abc", 3);
    ground_close(file);
}

static void a_loop_closes_what_is_left_open(void)
{
    for (uint32_t i = 0; i < 10; i++) {
        (void)ground_file("f");
        (void)ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    }
    /* The suite closes the loop now; a leak shows in the sanitizers and the world. */
}

/* ---- caught errors --------------------------------------------------------------------------- */

/* A child may not use its parent's loop: each opens its own. */
static void fresh_loop(void)
{
    ground.loop = ground_open_loop(NULL);
    reset();
}

/* What must not be called from inside a callback. */
static void run_once_inside(struct probe *probe)
{
    (void)probe;
    orr_run_once(ground.loop);
}

static void run_for_inside(struct probe *probe)
{
    (void)probe;
    orr_run_for_ns(ground.loop, 0);
}

static void run_idle_inside(struct probe *probe)
{
    (void)probe;
    orr_run_until_idle(ground.loop);
}

static void drain_inside(struct probe *probe)
{
    (void)probe;
    orr_drain(ground.loop);
}

static void close_inside(struct probe *probe)
{
    (void)probe;
    orr_loop_close(ground.loop);
}

static const struct {
    void (*inside)(struct probe *probe);
    const char *name;
} callback_calls[] = {{run_once_inside, "orr_run_once"},
                      {run_for_inside, "orr_run_for_ns"},
                      {run_idle_inside, "orr_run_until_idle"},
                      {drain_inside, "orr_drain"},
                      {close_inside, "orr_loop_close"}};

static void call_from_a_callback(void *context)
{
    fresh_loop();
    probes[0].then = callback_calls[*(const uint32_t *)context].inside;
    tick(&probes[0]);
    orr_run_once(ground.loop);
}

static void submit_twice(void *context)
{
    (void)context;
    fresh_loop();
    START(&probes[0], orr_timeout, 1);
    START(&probes[0], orr_timeout, 1);
}

static void close_undrained(void *context)
{
    (void)context;
    fresh_loop();
    START(&probes[0], orr_timeout, 1);
    orr_loop_close(ground.loop);
}

static void misuse_is_caught(void)
{
    for (uint32_t i = 0; i < 5; i++)
        DIES(call_from_a_callback, &i, callback_calls[i].name, "callback");
    DIES(submit_twice, NULL, "timeout at ", "in flight already: timeout submitted at ",
         "cases_loop.c:");
    DIES(close_undrained, NULL, "orr_loop_close", "orr_drain");
}

static void options_out_of_bounds(void)
{
    char text[200];
    struct orr_loop *loop = NULL;
    struct orr_options options = {
        .batch_entries = ORR_BATCH_ENTRIES_MAX + 1, .error = text, .error_size = sizeof text};
    EXPECT(-EINVAL, ground.driver->open(&options, 0, &loop));
    ck_assert_msg(strstr(text, "batch_entries is 32769") != NULL, "%s", text);
    ck_assert_ptr_null(loop);
}

const struct conformance_case cases_loop[] = {
    {.name = "submitting_never_calls_back", .run = submitting_never_calls_back},
    {.name = "one_pass_calls_back_only_what_was_ready",
     .run = one_pass_calls_back_only_what_was_ready},
    {.name = "a_callback_that_resubmits_starves_nobody",
     .run = a_callback_that_resubmits_starves_nobody,
     .batch_entries = 1},
    {.name = "a_callback_submits_its_own_completion", .run = a_callback_submits_its_own_completion},
    {.name = "run_calls_return_when_nothing_is_in_flight",
     .run = run_calls_return_when_nothing_is_in_flight},
    {.name = "run_for_zero_does_not_wait", .run = run_for_zero_does_not_wait},
    {.name = "run_for_ns_lasts_as_long_as_asked", .run = run_for_ns_lasts_as_long_as_asked},
    {.name = "a_run_call_without_end", .run = a_run_call_without_end},
    {.name = "waiting_does_not_spin", .run = waiting_does_not_spin},
    {.name = "a_wake_is_over_when_it_is_over", .run = a_wake_is_over_when_it_is_over},
    {.name = "no_timer_of_the_loop_is_left_behind", .run = no_timer_of_the_loop_is_left_behind},
    {.name = "what_is_ready_is_not_slept_on", .run = what_is_ready_is_not_slept_on},
    {.name = "stop_ends_a_run_call", .run = stop_ends_a_run_call},
    {.name = "the_loop_says_what_it_is", .run = the_loop_says_what_it_is},
    {.name = "ten_thousand_reads", .run = ten_thousand_reads, .batch_entries = 8},
    {.name = "ten_thousand_in_flight", .run = ten_thousand_in_flight, .batch_entries = 8},
    {.name = "a_batch_of_one", .run = a_batch_of_one, .batch_entries = 1},
    {.name = "handles_are_limited", .run = handles_are_limited, .handles_max = 6},
    {.name = "closed_handles_are_refused_for_ever", .run = closed_handles_are_refused_for_ever},
    {.name = "a_loop_closes_what_is_left_open", .run = a_loop_closes_what_is_left_open},
    {.name = "misuse_is_caught", .run = misuse_is_caught},
    {.name = "options_out_of_bounds", .run = options_out_of_bounds},
    {.name = NULL},
};

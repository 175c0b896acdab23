/*
 * test_loop.c: opening, running and closing a loop (io/loop.c): what one pass does, when a run call
 * ends, when it sleeps, stop, wake, statistics.
 */
#include "tests/io/dies.h"
#include "tests/io/probe.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <string.h>

#define COUNT 200u

static struct stub stub;
static struct orr_loop *loop;
static orr_handle handle;
static struct probe probes[COUNT];
static char bytes[16];

static void setup(void)
{
    memset(&stub, 0, sizeof stub);
    memset(probes, 0, sizeof probes);
    probe_count = 0;
    stub.now_ns = 1000;
    loop = stub_open(&stub, NULL);
    handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

static void tick(struct probe *probe)
{
    orr_next_tick(loop, &probe->completion, probe_called, probe);
}

static void timeout(struct probe *probe, uint64_t after_ns)
{
    orr_timeout(loop, &probe->completion, after_ns, probe_called, probe);
}

static void receive(struct probe *probe)
{
    orr_recv(loop, &probe->completion, handle, bytes, sizeof bytes, probe_called, probe);
}

static void wait_wake(struct probe *probe)
{
    orr_wait_wake(loop, &probe->completion, probe_called, probe);
}

static struct orr_statistics statistics(void)
{
    struct orr_statistics now;
    orr_loop_statistics(loop, &now);
    return now;
}

static void stop(struct probe *probe)
{
    (void)probe;
    orr_stop(loop);
}

static void finish(void)
{
    orr_drain(loop);
    stub_close(&stub);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void check_open_fails(struct orr_options options, int open_result, int expected,
                             const char *needle)
{
    char text[200] = "untouched";
    struct orr_loop *untouched = loop;
    memset(&stub, 0, sizeof stub);
    stub.open_result = open_result;
    options.error = text;
    options.error_size = sizeof text;
    ck_assert_int_eq(orr_loop_open_with(&options, &stub_backend, &stub, &loop), expected);
    ck_assert_ptr_eq(loop, untouched);
    ck_assert_msg(strstr(text, needle) != NULL, "'%s' is not in '%s'", needle, text);
    options.error = NULL; /* no room for a sentence: no sentence */
    ck_assert_int_eq(orr_loop_open_with(&options, &stub_backend, &stub, &loop), expected);
    options.error = text;
    options.error_size = 4;
    ck_assert_int_eq(orr_loop_open_with(&options, &stub_backend, &stub, &loop), expected);
    ck_assert_uint_eq(strlen(text), 3);
    ck_assert(!stub.is_open);
}

START_TEST(options_out_of_bounds_and_a_backend_that_does_not_open)
{
    check_open_fails((struct orr_options){.batch_entries = ORR_BATCH_ENTRIES_MAX + 1}, 0, -EINVAL,
                     "batch_entries is 32769; it must be at most 32768");
    check_open_fails((struct orr_options){.batch_entries = UINT32_MAX}, 0, -EINVAL, "4294967295");
    check_open_fails((struct orr_options){.handles_max = ORR_HANDLES_MAX + 1}, 0, -EINVAL,
                     "handles_max is 16777216; it must be at most 16777215");
    check_open_fails((struct orr_options){.handles_max = 0}, -ENOSYS, -ENOSYS, "ENOSYS");
}
END_TEST

START_TEST(options_at_their_bounds)
{
    const struct orr_options options = {.batch_entries = ORR_BATCH_ENTRIES_MAX, .handles_max = 1};
    memset(&stub, 0, sizeof stub);
    loop = stub_open(&stub, &options);
    ck_assert_uint_eq(stub.batch_max, ORR_BATCH_ENTRIES_MAX);
    ck_assert_int_gt(orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM), 0);
    ck_assert_int_eq(orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM), -EMFILE);
    finish();
}
END_TEST

START_TEST(options_have_defaults)
{
    setup();
    ck_assert_uint_eq(stub.batch_max, ORR_BATCH_ENTRIES_DEFAULT);
    ck_assert_str_eq(orr_loop_backend_name(loop), "stub");
    ck_assert_ptr_eq(orr_loop_backend_state(loop), &stub);
    finish();
    orr_loop_close(NULL);
}
END_TEST

static void close_undrained(void *context)
{
    (void)context;
    setup();
    timeout(&probes[0], 1);
    receive(&probes[1]);
    orr_loop_close(loop);
}

static void close_inside(struct probe *probe)
{
    (void)probe;
    orr_loop_close(loop);
}

static void run_inside(struct probe *probe)
{
    switch ((uintptr_t)probe->context) {
    case 0:
        orr_run_once(loop);
        break;
    case 1:
        orr_run_for_ns(loop, 0);
        break;
    case 2:
        orr_run_until_idle(loop);
        break;
    default:
        orr_drain(loop);
        break;
    }
}

static void run_re_entrantly(void *context)
{
    setup();
    probes[0].then = run_inside;
    probes[0].context = context;
    tick(&probes[0]);
    orr_run_once(loop);
}

static void close_re_entrantly(void *context)
{
    (void)context;
    setup();
    probes[0].then = close_inside;
    tick(&probes[0]);
    orr_run_once(loop);
}

static void run_on_a_dead_backend(void *context)
{
    (void)context;
    setup();
    stub.flush_result = -EIO;
    timeout(&probes[0], 0);
    orr_run_once(loop);
}

static void run_on_another_thread(void *context)
{
    (void)context;
    setup();
    stub.flush_result = -EEXIST;
    timeout(&probes[0], 0);
    orr_run_once(loop);
}

START_TEST(caught_errors)
{
    DIES(close_undrained, NULL, "orr_loop_close", "2 operations are in flight", "orr_drain");
    DIES(close_re_entrantly, NULL, "orr_loop_close", "from a callback");
    DIES(run_re_entrantly, (void *)0, "orr_run_once: the loop is running");
    DIES(run_re_entrantly, (void *)1, "orr_run_for_ns: the loop is running");
    DIES(run_re_entrantly, (void *)2, "orr_run_until_idle: the loop is running");
    DIES(run_re_entrantly, (void *)3, "orr_drain: the loop is running");
    DIES(run_on_a_dead_backend, NULL, "backend stub cannot go on");
    DIES(run_on_another_thread, NULL, "the thread that opened it");
}
END_TEST

START_TEST(discarding_forgets_everything)
{
    setup();
    receive(&probes[0]);
    timeout(&probes[1], 5);
    stub.on_flush = NULL;
    orr_loop_discard(loop);
    ck_assert(!stub.is_open);
    ck_assert_uint_eq(probe_count, 0);
    ck_assert_uint_eq(stub.discards, 0);
    ck_assert_uint_eq(stub.flushes, 0);
}
END_TEST

/* ---- passes ---------------------------------------------------------------------------------- */

static void tick_again(struct probe *probe)
{
    if (probe->result != -ECANCELED)
        tick(probe);
}

START_TEST(one_pass_calls_back_only_what_was_ready)
{
    setup();
    for (uint32_t i = 0; i < 3; i++) {
        probes[i].then = tick_again;
        tick(&probes[i]);
    }
    for (uint64_t pass = 1; pass <= 10; pass++) {
        orr_run_for_ns(loop, 0);
        ck_assert_uint_eq(probe_count, 3 * pass);
        ck_assert_uint_eq(statistics().passes, pass);
    }
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(probes[i].order, 28 + i);
    finish();
}
END_TEST

static void submit_each_kind(struct probe *probe)
{
    if (probe != &probes[0])
        return;
    tick(&probes[1]);
    timeout(&probes[2], 0);
    receive(&probes[3]);
    orr_recv(loop, &probes[4].completion, 77, bytes, 1, probe_called, &probes[4]);
    orr_wake(loop);
    wait_wake(&probes[5]);
}

START_TEST(whatever_a_callback_submits_waits_for_the_next_pass)
{
    for (enum stub_way way = STUB_ENDS; way <= STUB_AT_ONCE; way += 2) {
        setup();
        stub_set_ways(&stub, way);
        probes[0].then = submit_each_kind;
        tick(&probes[0]);
        orr_run_for_ns(loop, 0);
        ck_assert_uint_eq(probe_count, 1);
        orr_run_for_ns(loop, 0);
        ck_assert_uint_eq(probe_count, 6);
        finish();
    }
}
END_TEST

START_TEST(run_for_zero_makes_one_pass_that_does_not_wait)
{
    setup();
    orr_run_for_ns(loop, 0); /* with nothing to do */
    ck_assert_uint_eq(stub.flushes, 1);
    timeout(&probes[0], 10);
    stub.ways[ORR_OP_RECV] = STUB_HOLDS;
    receive(&probes[1]);
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(stub.flushes, 2);
    ck_assert_uint_eq(stub.deadline_ns, ORR_WAIT_NOT);
    ck_assert_uint_eq(stub.sleeps, 0);
    ck_assert_uint_eq(statistics().passes, 2);
    ck_assert_uint_eq(probe_count, 0);
    stub_end(&stub, &probes[1].completion, 3);
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(stub.flushes, 3);
    probe_check(&probes[1], 3);
    finish();
}
END_TEST

START_TEST(run_once_waits_for_the_first_and_not_longer)
{
    setup();
    orr_run_once(loop); /* nothing in flight: returns at once */
    ck_assert_uint_eq(stub.flushes, 0);
    timeout(&probes[0], 10);
    timeout(&probes[1], 20);
    orr_run_once(loop);
    ck_assert_uint_eq(stub.now_ns, 1010);
    probe_check(&probes[0], 0);
    ck_assert_uint_eq(probes[1].calls, 0);
    orr_run_once(loop);
    ck_assert_uint_eq(stub.now_ns, 1020);
    probe_check(&probes[1], 0);
    ck_assert_uint_eq(stub.flushes, 2);
    finish();
}
END_TEST

START_TEST(run_until_idle_ends_when_nothing_is_in_flight)
{
    setup();
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.flushes, 0);
    for (uint32_t i = 0; i < 100; i++)
        timeout(&probes[i], i * 7 % 50);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < 100; i++)
        probe_check(&probes[i], 0);
    ck_assert_uint_eq(stub.now_ns, 1049);
    finish();
}
END_TEST

/* ---- deadlines ------------------------------------------------------------------------------- */

static void take_time(struct probe *probe)
{
    stub.now_ns += 10;
    (void)probe;
}

START_TEST(the_deadline_is_checked_after_every_callback)
{
    setup();
    for (uint32_t i = 0; i < 10; i++) {
        probes[i].then = take_time;
        tick(&probes[i]);
    }
    orr_run_for_ns(loop, 25);
    ck_assert_uint_eq(probe_count, 3);
    orr_run_for_ns(loop, 1);
    ck_assert_uint_eq(probe_count, 4);
    orr_run_for_ns(loop, 10);
    ck_assert_uint_eq(probe_count, 5);
    orr_run_for_ns(loop, 0); /* the rest is ready: one pass takes it all */
    ck_assert_uint_eq(probe_count, 10);
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_uint_eq(probes[i].order, i + 1);
    ck_assert_uint_eq(stub.sleeps, 0);
    finish();
}
END_TEST

static void take_time_and_go_on(struct probe *probe)
{
    stub.now_ns += 10;
    tick_again(probe);
}

START_TEST(run_for_ns_ends_though_work_never_does)
{
    setup();
    probes[0].then = take_time_and_go_on;
    tick(&probes[0]);
    orr_run_for_ns(loop, 995);
    ck_assert_uint_eq(probe_count, 100);
    ck_assert_uint_eq(stub.now_ns, 2000);
    finish();
}
END_TEST

/* Sleeps are as long as the first deadline allows, and there are no flushes beside them. */
START_TEST(waiting_for_timers_does_not_spin)
{
    setup();
    for (uint32_t i = 0; i < 50; i++)
        timeout(&probes[i], 100 + i * 100);
    orr_run_for_ns(loop, 10000);
    ck_assert_uint_eq(stub.now_ns, 11000);
    ck_assert_uint_eq(probe_count, 50);
    ck_assert_uint_eq(stub.sleeps, 51);
    ck_assert_uint_eq(stub.flushes, 51);
    finish();
}
END_TEST

START_TEST(waiting_with_nothing_to_do_sleeps_once)
{
    setup();
    orr_run_for_ns(loop, 12345);
    ck_assert_uint_eq(stub.now_ns, 13345);
    ck_assert_uint_eq(stub.sleeps, 1);
    ck_assert_uint_eq(stub.flushes, 1);
    orr_run_for_ns(loop, 1);
    ck_assert_uint_eq(stub.now_ns, 13346);
    finish();
}
END_TEST

START_TEST(flushes_that_return_early_are_repeated)
{
    setup();
    stub.early = 5;
    stub.early_ns = 7;
    orr_run_for_ns(loop, 1000);
    ck_assert_uint_eq(stub.now_ns, 2000);
    stub.early = 5;
    timeout(&probes[0], 100);
    orr_run_once(loop);
    probe_check(&probes[0], 0);
    ck_assert_uint_eq(stub.now_ns, 2100);
    finish();
}
END_TEST

START_TEST(the_deadline_saturates)
{
    setup();
    stub.now_ns = UINT64_MAX - 10;
    timeout(&probes[0], 9);
    timeout(&probes[1], 10); /* the end of time: never */
    probes[0].then = stop;
    orr_run_for_ns(loop, 100);
    probe_check(&probes[0], 0);
    ck_assert_uint_eq(stub.now_ns, UINT64_MAX - 1);
    finish();
    probe_check(&probes[1], -ECANCELED);
}
END_TEST

static void check_deadline(struct stub *of, uint64_t deadline_ns)
{
    must(loop->completed.count == 0 || deadline_ns <= of->now_ns);
}

static void mix(struct probe *probe)
{
    uint32_t at = (uint32_t)(probe - probes);
    stub.now_ns += at % 3;
    if (probe->calls < 20) {
        if (at % 4 == 0)
            tick(probe);
        else if (at % 4 == 1)
            timeout(probe, at % 7);
        else
            receive(probe);
    }
}

/* Ready operations are left over by deadlines; no flush may sleep on them. */
START_TEST(never_sleeps_on_ready_operations)
{
    setup();
    stub.on_flush = check_deadline;
    stub.deliver_max = 3;
    for (uint32_t i = 0; i < 40; i++) {
        probes[i].then = mix;
        mix(&probes[i]);
    }
    while (statistics().in_flight > 0)
        orr_run_for_ns(loop, 2);
    for (uint32_t i = 0; i < 40; i++)
        ck_assert_uint_eq(probes[i].calls, 20);
    finish();
}
END_TEST

static void receive_then_leave(struct probe *probe)
{
    (void)probe;
    receive(&probes[1]);
}

/* What the last callback submitted is on its way when the run call returns. */
START_TEST(nothing_stays_unflushed_when_a_run_call_returns)
{
    setup();
    stub.ways[ORR_OP_RECV] = STUB_HOLDS;
    probes[0].then = receive_then_leave;
    tick(&probes[0]);
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(stub.held.count, 1);
    ck_assert_uint_eq(stub.batch.count, 0);
    ck_assert_uint_eq(stub.sleeps, 0);
    finish();
}
END_TEST

/* ---- stop ------------------------------------------------------------------------------------ */

START_TEST(stop_ends_the_run_call_after_the_callback)
{
    setup();
    for (uint32_t i = 0; i < 4; i++)
        tick(&probes[i]);
    probes[1].then = stop;
    ck_assert(!orr_stopped(loop));
    orr_run_until_idle(loop);
    ck_assert_uint_eq(probe_count, 2);
    ck_assert(orr_stopped(loop)); /* until the next run call starts */
    orr_run_until_idle(loop);
    ck_assert(!orr_stopped(loop));
    ck_assert_uint_eq(probe_count, 4);
    finish();
}
END_TEST

static void run(uint32_t which)
{
    if (which == 0)
        orr_run_once(loop);
    else if (which == 1)
        orr_run_for_ns(loop, 0);
    else if (which == 2)
        orr_run_for_ns(loop, 1000);
    else
        orr_run_until_idle(loop);
}

START_TEST(stop_outside_of_a_run_call_ends_the_next_one)
{
    for (uint32_t which = 0; which < 4; which++) {
        setup();
        tick(&probes[0]);
        orr_stop(loop);
        ck_assert(orr_stopped(loop));
        run(which);
        ck_assert_uint_eq(probe_count, 0);
        ck_assert_uint_eq(stub.sleeps, 0);
        run(which);
        ck_assert_uint_eq(probe_count, 1);
        ck_assert(!orr_stopped(loop));
        finish();
    }
}
END_TEST

START_TEST(stop_inside_ends_any_run_call)
{
    for (uint32_t which = 0; which < 4; which++) {
        setup();
        probes[0].then = stop;
        tick(&probes[0]);
        timeout(&probes[1], 10);
        run(which);
        ck_assert_uint_eq(probe_count, 1);
        ck_assert_uint_eq(stub.now_ns, 1000);
        ck_assert(orr_stopped(loop));
        run(3);
        ck_assert_uint_eq(probe_count, 2);
        finish();
    }
}
END_TEST

static void stop_while_sleeping(struct stub *of, uint64_t deadline_ns)
{
    (void)deadline_ns;
    orr_stop(loop);
    of->woken = true;
}

START_TEST(stop_during_the_wait)
{
    setup();
    timeout(&probes[0], 1000);
    stub.on_sleep = stop_while_sleeping;
    orr_run_until_idle(loop);
    stub.on_sleep = NULL;
    ck_assert_uint_eq(probe_count, 0);
    ck_assert_uint_eq(stub.now_ns, 1000);
    finish();
    probe_check(&probes[0], -ECANCELED);
}
END_TEST

/* ---- wake ------------------------------------------------------------------------------------ */

static void wake_up(struct stub *of, uint64_t deadline_ns)
{
    (void)of;
    (void)deadline_ns;
    orr_wake(loop);
}

START_TEST(wake_before_the_wait)
{
    setup();
    orr_wake(loop);
    orr_wake(loop); /* counts as one */
    wait_wake(&probes[0]);
    wait_wake(&probes[1]);
    orr_run_once(loop);
    probe_check(&probes[0], 0);
    probe_check(&probes[1], 0);
    ck_assert_uint_eq(stub.sleeps, 0);
    ck_assert_uint_eq(stub.wakes, 1);
    wait_wake(&probes[2]);
    orr_run_for_ns(loop, 100); /* no wake is left */
    ck_assert_uint_eq(probes[2].calls, 0);
    finish();
    probe_check(&probes[2], -ECANCELED);
}
END_TEST

START_TEST(wake_during_the_wait)
{
    setup();
    wait_wake(&probes[0]);
    stub.on_sleep = wake_up;
    orr_run_until_idle(loop);
    probe_check(&probes[0], 0);
    ck_assert_uint_eq(stub.sleeps, 1);
    ck_assert_uint_eq(stub.wakes, 1);
    finish();
}
END_TEST

/* Nobody waits for it: it ends the sleep of run_once, and of run_for_ns not. */
START_TEST(wake_without_anybody_waiting_for_it)
{
    setup();
    timeout(&probes[0], 100);
    stub.on_sleep = wake_up;
    orr_run_once(loop);
    stub.on_sleep = NULL;
    ck_assert_uint_eq(probe_count, 0);
    ck_assert_uint_eq(stub.now_ns, 1000);
    wait_wake(&probes[1]); /* takes the wake that nobody took */
    orr_run_for_ns(loop, 200);
    probe_check(&probes[0], 0);
    probe_check(&probes[1], 0);
    ck_assert_uint_eq(probes[1].order, 1);
    ck_assert_uint_eq(stub.now_ns, 1200);
    finish();
}
END_TEST

static void wake_the_loop(struct probe *probe)
{
    (void)probe;
    orr_wake(loop);
}

START_TEST(wake_from_a_callback)
{
    setup();
    wait_wake(&probes[0]);
    probes[1].then = wake_the_loop;
    tick(&probes[1]);
    orr_run_until_idle(loop);
    probe_check(&probes[0], 0);
    ck_assert_uint_eq(probes[0].order, 2);
    ck_assert_uint_eq(stub.sleeps, 0);
    finish();
}
END_TEST

START_TEST(wake_does_not_make_the_loop_spin)
{
    setup();
    orr_wake(loop);
    timeout(&probes[0], 1000);
    orr_run_until_idle(loop);
    ck_assert_uint_le(stub.flushes, 3);
    ck_assert_uint_eq(stub.sleeps, 1);
    finish();
}
END_TEST

START_TEST(a_wake_between_two_run_calls_is_not_lost)
{
    setup();
    wait_wake(&probes[0]);
    orr_run_for_ns(loop, 0);
    orr_wake(loop);
    orr_run_for_ns(loop, 0);
    probe_check(&probes[0], 0);
    finish();
}
END_TEST

/* ---- nesting --------------------------------------------------------------------------------- */

START_TEST(timeout_tells_when_the_next_step_is_due)
{
    setup();
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), UINT64_MAX);
    stub.ways[ORR_OP_RECV] = STUB_HOLDS;
    receive(&probes[0]);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 0); /* not yet flushed */
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), UINT64_MAX);
    timeout(&probes[1], 70);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 70);
    stub.now_ns += 30;
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 40);
    stub.now_ns += 100;
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 0);
    orr_run_for_ns(loop, 0);
    probe_check(&probes[1], 0);
    tick(&probes[2]);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 0);
    orr_run_for_ns(loop, 0);
    orr_wake(loop);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 0);
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), UINT64_MAX);
    wait_wake(&probes[3]); /* the wake is still to be had */
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 0);
    orr_run_for_ns(loop, 0);
    probe_check(&probes[3], 0);
    finish();
}
END_TEST

START_TEST(timeout_is_zero_while_operations_overflow)
{
    setup();
    stub.batch_max = 1;
    stub_set_ways(&stub, STUB_HOLDS);
    stub.held_max = 1;
    receive(&probes[0]);
    receive(&probes[1]);
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 0);
    finish();
}
END_TEST

/* A program that only ever steps the loop when it is told to gets everything done. */
START_TEST(stepping_by_timeout_alone)
{
    setup();
    stub.batch_max = 2;
    stub.deliver_max = 2;
    for (uint32_t i = 0; i < 40; i++) {
        probes[i].then = mix;
        mix(&probes[i]);
    }
    uint64_t due_ns;
    while ((due_ns = orr_loop_timeout_ns(loop)) != UINT64_MAX || stub.ready.count > 0) {
        if (due_ns != UINT64_MAX)
            stub.now_ns += due_ns;
        orr_run_for_ns(loop, 0);
    }
    for (uint32_t i = 0; i < 40; i++)
        ck_assert_uint_eq(probes[i].calls, 20);
    ck_assert_uint_eq(stub.sleeps, 0);
    finish();
}
END_TEST

START_TEST(the_descriptor_is_the_backends)
{
    setup();
    stub.descriptor_result = 77;
    ck_assert_int_eq(orr_loop_descriptor(loop), 77);
    stub.descriptor_result = -ENOTSUP;
    ck_assert_int_eq(orr_loop_descriptor(loop), -ENOTSUP);
    finish();
}
END_TEST

/* ---- statistics ------------------------------------------------------------------------------ */

START_TEST(statistics_count)
{
    setup();
    stub.flush_ns = 5;
    probes[0].then = take_time;
    tick(&probes[0]);
    timeout(&probes[1], 100);
    receive(&probes[2]);
    orr_recv(loop, &probes[3].completion, 99, bytes, 1, probe_called, &probes[3]);
    ck_assert_uint_eq(statistics().submits, 4);
    ck_assert_uint_eq(statistics().in_flight, 4);
    orr_run_once(loop);
    ck_assert_uint_eq(statistics().callbacks, 3);
    ck_assert_uint_eq(statistics().in_flight, 1);
    ck_assert_uint_eq(statistics().flushes, 1);
    ck_assert_uint_eq(statistics().in_callbacks_ns, 10);
    ck_assert_uint_eq(statistics().in_backend_ns, 5);
    orr_run_once(loop);
    ck_assert_uint_eq(statistics().timers_fired, 1);
    ck_assert_uint_eq(statistics().in_backend_ns, 95); /* it slept 85, and 5 more */
    ck_assert_uint_eq(statistics().passes, 2);
    ck_assert_uint_eq(statistics().flushes, stub.flushes);
    ck_assert_uint_eq(statistics().canceled, 0);
    ck_assert_uint_eq(statistics().unexpected_errors, 0);
    finish();
}
END_TEST

PROBE_MAIN("loop", options_out_of_bounds_and_a_backend_that_does_not_open, options_at_their_bounds,
           options_have_defaults, caught_errors, discarding_forgets_everything,
           one_pass_calls_back_only_what_was_ready,
           whatever_a_callback_submits_waits_for_the_next_pass,
           run_for_zero_makes_one_pass_that_does_not_wait,
           run_once_waits_for_the_first_and_not_longer,
           run_until_idle_ends_when_nothing_is_in_flight,
           the_deadline_is_checked_after_every_callback, run_for_ns_ends_though_work_never_does,
           waiting_for_timers_does_not_spin, waiting_with_nothing_to_do_sleeps_once,
           flushes_that_return_early_are_repeated, the_deadline_saturates,
           never_sleeps_on_ready_operations, nothing_stays_unflushed_when_a_run_call_returns,
           stop_ends_the_run_call_after_the_callback, stop_outside_of_a_run_call_ends_the_next_one,
           stop_inside_ends_any_run_call, stop_during_the_wait, wake_before_the_wait,
           wake_during_the_wait, wake_without_anybody_waiting_for_it, wake_from_a_callback,
           wake_does_not_make_the_loop_spin, a_wake_between_two_run_calls_is_not_lost,
           timeout_tells_when_the_next_step_is_due, timeout_is_zero_while_operations_overflow,
           stepping_by_timeout_alone, the_descriptor_is_the_backends, statistics_count)

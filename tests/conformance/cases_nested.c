/*
 * cases_nested.c: a loop inside another, which sleeps on its descriptor and steps it (rule 12).
 */
#define _GNU_SOURCE 1 /* pipe */
#include "tests/conformance/cases.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct probe probes[16];
static uint8_t in[100];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

static void wait_wake(struct probe *probe)
{
    orr_wait_wake(ground.loop, &probe->completion, probe_called, probe);
}

/* 1 if the loop's descriptor is readable now. */
static int readable(void)
{
    struct pollfd poll_of = {.fd = orr_loop_descriptor(ground.loop), .events = POLLIN};
    return poll(&poll_of, 1, 0);
}

/* It may call for a step without need, but not for ever. */
static void step_until_quiet(void)
{
    for (uint32_t i = 0; i < 5 && readable() != 0; i++)
        orr_run_for_ns(ground.loop, 0);
    ck_assert_int_eq(readable(), 0);
}

/* Poll takes a last look when its time is over: being told only then is not being woken. */
#define HANG_MS 15000

static void wait_readable(void)
{
    struct pollfd poll_of = {.fd = orr_loop_descriptor(ground.loop), .events = POLLIN};
    uint64_t hang_ns = orr_now(ground.loop) + HANG_MS * ORR_MILLISECOND;
    ck_assert_int_eq(poll(&poll_of, 1, HANG_MS), 1);
    ck_assert_msg(orr_now(ground.loop) < hang_ns, "nothing woke who slept on the descriptor");
}

static void step_until(const struct probe *probe)
{
    while (probe->calls == 0) {
        wait_readable();
        orr_run_for_ns(ground.loop, 0);
    }
}

static void the_descriptor_tells_when_a_step_is_due(void)
{
    struct pair pair;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    ground_settle();
    for (uint32_t i = 0; i < 20; i++) {
        reset();
        step_until_quiet();
        START(&probes[0], orr_recv, pair.client, in, 1);
        ck_assert_uint_eq(orr_loop_timeout_ns(ground.loop), 0); /* not yet flushed */
        orr_run_for_ns(ground.loop, 0);
        ck_assert_uint_eq(orr_loop_timeout_ns(ground.loop), UINT64_MAX);
        step_until_quiet();
        ck_assert_uint_eq(probes[0].calls, 0);
        START(&probes[1], orr_send, pair.server, "x", 1);
        orr_run_for_ns(ground.loop, 0);
        step_until(&probes[0]);
        while (probes[1].calls == 0)
            orr_run_for_ns(ground.loop, 0);
        EXPECT_END(1, &probes[0]);
    }
    wait_wake(&probes[2]);
    orr_run_for_ns(ground.loop, 0);
    step_until_quiet();
    orr_wake(ground.loop);
    step_until(&probes[2]);
    ground_close_pair(&pair);
}

/* Acts once the main thread has had time to fall asleep. */
struct late {
    int descriptor; /* to write to, or -1: wakes the loop */
};

static void *act_late(void *context)
{
    const struct late *late = context;
    const struct timespec pause = {.tv_nsec = 3000000};
    nanosleep(&pause, NULL);
    if (late->descriptor < 0)
        orr_wake(ground.loop);
    else
        ck_assert_int_eq(write(late->descriptor, "x", 1), 1);
    return NULL;
}

static void sleep_until_ended(const struct probe *probe, int descriptor)
{
    struct late late = {.descriptor = descriptor};
    pthread_t thread;
    orr_run_for_ns(ground.loop, 0);
    step_until_quiet();
    ck_assert_uint_eq(probe->calls, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, act_late, &late), 0);
    step_until(probe);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* Who sleeps on the descriptor is woken, by whatever ends an operation: it must not only tell those
 * who look. */
static void the_descriptor_wakes_a_sleeper(void)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    orr_handle reader = orr_adopt(ground.loop, ends[0]);
    for (uint32_t i = 0; i < 10; i++) {
        reset();
        START(&probes[0], orr_read, reader, in, 1, 0);
        sleep_until_ended(&probes[0], ends[1]);
        EXPECT_END(1, &probes[0]);
        START(&probes[1], orr_poll, reader, ORR_POLL_IN);
        sleep_until_ended(&probes[1], ends[1]);
        EXPECT(1, END_OF(orr_read, reader, in, 1, 0));
        wait_wake(&probes[2]);
        sleep_until_ended(&probes[2], -1);
        EXPECT_END(0, &probes[2]);
    }
    ground_close(reader);
    close(ends[1]);
}

static void stop(struct probe *probe)
{
    (void)probe;
    orr_stop(ground.loop);
}

/* True if the descriptor stays quiet after a timed wait that ended long before its time. */
static bool quiet_after_a_timed_wait(orr_handle file)
{
    struct pollfd poll_of = {.fd = orr_loop_descriptor(ground.loop), .events = POLLIN};
    probe_reset(&probes[3]);
    probes[3].then = stop;
    START(&probes[3], orr_fsync, file);
    orr_run_for_ns(ground.loop, 40 * ORR_MILLISECOND);
    EXPECT_END(0, &probes[3]);
    step_until_quiet();
    ck_assert_uint_eq(orr_loop_timeout_ns(ground.loop), UINT64_MAX);
    return poll(&poll_of, 1, 60) == 0;
}

/* Such a wait leaves nothing in the kernel that would end later and call for a step. A thread of
 * the kernel may be late with its news of the fsync, but not time after time. */
static void a_timed_wait_leaves_nothing_behind(void)
{
    struct pair pair;
    uint32_t tries = 0;
    orr_handle file = ground_file("f");
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    reset();
    START(&probes[0], orr_recv, pair.client, in, 1);
    for (uint32_t i = 0; i < 10; i++)
        orr_run_for_ns(ground.loop, 200000);
    START(&probes[1], orr_timeout, 20 * ORR_MILLISECOND);
    START(&probes[2], orr_cancel, &probes[1].completion);
    EXPECT_END(0, &probes[2]);
    while (!quiet_after_a_timed_wait(file))
        ck_assert_uint_lt(++tries, 6);
    ck_assert_uint_eq(probes[0].calls, 0);
    orr_drain(ground.loop);
    ground_close(file);
    ground_close_pair(&pair);
}

/* All of these sleep in poll on the loop's descriptor; a world has none, because nothing in it
 * happens while its program sleeps in this system. */
const struct conformance_case cases_nested[] = {
    {.name = "the_descriptor_tells_when_a_step_is_due",
     .run = the_descriptor_tells_when_a_step_is_due,
     .needs = NEEDS_SLEEPERS},
    {.name = "the_descriptor_wakes_a_sleeper",
     .run = the_descriptor_wakes_a_sleeper,
     .needs = NEEDS_SLEEPERS},
    {.name = "a_timed_wait_leaves_nothing_behind", .run = a_timed_wait_leaves_nothing_behind},
    {.name = NULL},
};

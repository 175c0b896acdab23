/*
 * test_skeleton.c: a loop on the skeleton of a backend does what the skeleton says it does.
 */
#define _GNU_SOURCE 1 /* mkdtemp */

#include "backends/skeleton.h"

#include "tests/io/every.h"
#include "tests/io/probe.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static struct orr_loop *loop;

static void setup(void)
{
    const struct orr_options options = {.batch_entries = 2};
    ck_assert_int_eq(orr_loop_open_with(&options, &orr__skeleton, NULL, &loop), 0);
}

static void teardown(void)
{
    orr_drain(loop);
    orr_loop_close(loop);
}

#define START(of, function, ...) function(loop, &(of)->completion, __VA_ARGS__, probe_called, (of))

START_TEST(timers_and_ticks_run)
{
    static struct probe late;
    static struct probe early;
    static struct probe tick;
    setup();
    START(&late, orr_timeout, 2 * ORR_MILLISECOND);
    START(&early, orr_timeout, ORR_MILLISECOND);
    orr_next_tick(loop, &tick.completion, probe_called, &tick);
    orr_run_until_idle(loop);
    probe_check(&tick, 0);
    probe_check(&early, 0);
    probe_check(&late, 0);
    ck_assert(tick.order < early.order && early.order < late.order);
    teardown();
}
END_TEST

static void *wake(void *context)
{
    orr_wake(context);
    return NULL;
}

START_TEST(a_wake_ends_the_wait)
{
    static struct probe probe;
    pthread_t thread;
    setup();
    for (uint32_t i = 0; i < 100; i++) {
        probe_reset(&probe);
        orr_wait_wake(loop, &probe.completion, probe_called, &probe);
        ck_assert_int_eq(pthread_create(&thread, NULL, wake, loop), 0);
        orr_run_until_idle(loop);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        probe_check(&probe, 0);
    }
    teardown();
}
END_TEST

START_TEST(files_are_written_and_read)
{
    static struct probe probe;
    static struct probe writes[10];
    char path[] = "/tmp/orrery-XXXXXX";
    char bytes[10];
    setup();
    int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    START(&probe, orr_open, ORR_DIRECTORY_CURRENT, path, ORR_OPEN_READ | ORR_OPEN_WRITE, 0);
    orr_run_until_idle(loop);
    orr_handle file = probe.result;
    ck_assert_int_gt(file, 0);
    for (uint32_t i = 0; i < 10; i++) /* the batch holds two */
        START(&writes[i], orr_write, file, &"0123456789"[i], 1, i);
    orr_run_until_idle(loop);
    START(&probe, orr_read, file, bytes, sizeof bytes, 0);
    orr_run_until_idle(loop);
    ck_assert_int_eq(probe.result, 10);
    ck_assert_mem_eq(bytes, "0123456789", 10);
    START(&probe, orr_close, file);
    START(&writes[0], orr_unlink, ORR_DIRECTORY_CURRENT, path, ORR_UNLINK_FILE);
    orr_run_until_idle(loop);
    ck_assert_int_eq(probe.result, 0);
    ck_assert_int_eq(writes[0].result, 0);
    teardown();
}
END_TEST

START_TEST(what_waits_for_others_is_not_supported)
{
    static struct probe probe;
    setup();
    orr_handle socket = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    ck_assert_int_gt(socket, 0);
    for (enum orr_op op = ORR_OP_ACCEPT; op <= ORR_OP_SEND_TO; op++) {
        probe_reset(&probe);
        every_submit(loop, op, &probe, socket);
        orr_run_until_idle(loop);
        probe_check(&probe, -ENOTSUP);
    }
    START(&probe, orr_close, socket);
    orr_run_until_idle(loop);
    ck_assert_int_eq(probe.result, 0);
    teardown();
}
END_TEST

PROBE_MAIN("skeleton", timers_and_ticks_run, a_wake_ends_the_wait, files_are_written_and_read,
           what_waits_for_others_is_not_supported)

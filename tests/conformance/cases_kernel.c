/*
 * cases_kernel.c: what only a kernel has: threads that wake, signals, foreign descriptors, a loop
 * inside another (rules 12 and 13). The world's part of it comes first: that it says so.
 */
#define _GNU_SOURCE 1 /* F_DUPFD_CLOEXEC, pipe, poll, kill */
#include "tests/conformance/cases.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static struct probe probes[8];
static uint8_t in[100];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

static void wait_wake(struct probe *probe)
{
    orr_wait_wake(ground.loop, &probe->completion, probe_called, probe);
}

static void a_simulated_backend_knows_no_kernel(void)
{
    if ((ground.driver->has & NEEDS_KERNEL) != 0)
        return;
    EXPECT(-ENOTSUP, orr_loop_descriptor(ground.loop));
    EXPECT(-ENOTSUP, orr_adopt(ground.loop, 0));
}

/* ---- wake ------------------------------------------------------------------------------------ */

#define WAKES 2000u

static void *wake_often(void *context)
{
    for (uint32_t i = 0; i < WAKES; i++)
        orr_wake(context);
    return NULL;
}

static void count_wakes(struct probe *probe)
{
    if (probe->result == 0)
        wait_wake(probe);
}

static void wakes_from_threads(void)
{
    pthread_t threads[3];
    reset();
    probes[0].then = count_wakes;
    wait_wake(&probes[0]);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, wake_often, ground.loop), 0);
    while (probes[0].calls == 0)
        orr_run_once(ground.loop); /* sleeps until a thread wakes it */
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ground_settle();
    ck_assert_uint_le(probes[0].calls, 3 * WAKES);
    probes[0].then = NULL;
    orr_wake(ground.loop);
    uint64_t before = probes[0].calls;
    orr_run_once(ground.loop);
    ck_assert_uint_eq(probes[0].calls, before + 1);
}

/* Ping-pong: every wake must be heard, or this stands still. */
struct ping {
    struct orr_loop *loop;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t asked;
    uint32_t answered;
};

static void *answer_pings(void *context)
{
    struct ping *ping = context;
    pthread_mutex_lock(&ping->mutex);
    while (ping->answered < WAKES) {
        while (ping->asked == ping->answered)
            pthread_cond_wait(&ping->changed, &ping->mutex);
        ping->answered++;
        pthread_mutex_unlock(&ping->mutex);
        orr_wake(ping->loop);
        pthread_mutex_lock(&ping->mutex);
    }
    pthread_mutex_unlock(&ping->mutex);
    return NULL;
}

static void no_wake_is_lost(void)
{
    struct ping ping = {.loop = ground.loop,
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, answer_pings, &ping), 0);
    for (uint32_t i = 0; i < WAKES; i++) {
        reset();
        wait_wake(&probes[0]);
        pthread_mutex_lock(&ping.mutex);
        ping.asked++;
        pthread_cond_signal(&ping.changed);
        pthread_mutex_unlock(&ping.mutex);
        (void)ground_result(&probes[0]);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static struct orr_loop *loop_of_signal;

static void wake_by_signal(int number)
{
    (void)number;
    orr_wake(loop_of_signal);
}

static void *send_signal(void *context)
{
    pthread_kill(*(const pthread_t *)context, SIGUSR1);
    return NULL;
}

/* The signal interrupts the sleep and wakes the loop from its handler; nobody sees EINTR. */
static void a_wake_from_a_signal_handler(void)
{
    struct sigaction action;
    pthread_t self = pthread_self();
    pthread_t thread;
    memset(&action, 0, sizeof action);
    action.sa_handler = wake_by_signal;
    loop_of_signal = ground.loop;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    for (uint32_t i = 0; i < 50; i++) {
        reset();
        wait_wake(&probes[0]);
        START(&probes[1], orr_timeout, 3600 * ORR_SECOND);
        ck_assert_int_eq(pthread_create(&thread, NULL, send_signal, &self), 0);
        EXPECT_END(0, &probes[0]);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        orr_drain(ground.loop);
    }
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static void check_close_on_exec(orr_handle handle)
{
    int32_t descriptor = orr_descriptor(ground.loop, handle);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_ne(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
}

static void every_descriptor_is_close_on_exec(void)
{
    struct pair pair;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    check_close_on_exec(pair.listener);
    check_close_on_exec(pair.client);
    check_close_on_exec(pair.server);
    check_close_on_exec(ground.directory);
    check_close_on_exec(ground_file("f"));
    ck_assert_int_ne(fcntl(orr_loop_descriptor(ground.loop), F_GETFD) & FD_CLOEXEC, 0);
    ground_close_pair(&pair);
}

static void adopted_descriptors(void)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    reset();
    orr_handle reader = orr_adopt(ground.loop, ends[0]);
    orr_handle writer = orr_adopt(ground.loop, ends[1]);
    ck_assert(reader > 0 && writer > 0);
    check_close_on_exec(reader);
    EXPECT(ends[0], orr_descriptor(ground.loop, reader));
    START(&probes[0], orr_poll, reader, ORR_POLL_IN);
    START(&probes[1], orr_read, reader, in, sizeof in, 0);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls + probes[1].calls, 0);
    EXPECT(4, END_OF(orr_write, writer, "pipe", 4, 0));
    EXPECT_END(4, &probes[1]);
    ck_assert_mem_eq(in, "pipe", 4);
    EXPECT_END(ORR_POLL_IN, &probes[0]);
    START(&probes[2], orr_poll, reader, ORR_POLL_IN);
    ground_close(writer);
    EXPECT_END(ORR_POLL_HANGUP, &probes[2]);
    EXPECT(0, END_OF(orr_read, reader, in, sizeof in, 0));
    ground_close(reader);
    EXPECT(-1, fcntl(ends[0], F_GETFD));
    EXPECT(-1, fcntl(ends[1], F_GETFD));
    EXPECT(-EBADF, orr_adopt(ground.loop, ends[0]));
    EXPECT(-EBADF, orr_adopt(ground.loop, -1));
}

/* The process has no descriptor left. Who waits to be accepted is accepted when there is one. */
static void the_limit_of_the_process(void)
{
    struct orr_address address;
    struct rlimit limit;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
    orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(0, END_OF(orr_connect, client, &address));
    orr_handle last = ground_file("f");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)orr_descriptor(ground.loop, last) + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT(-EMFILE, orr_socket(ground.loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM));
    EXPECT(-EMFILE, END_OF(orr_open, ground.directory, "f", ORR_OPEN_READ, 0));
    EXPECT(-EMFILE, END_OF(orr_accept, listener, NULL));
    ground_close(last);
    orr_handle server = END_OF(orr_accept, listener, NULL);
    ck_assert_int_gt(server, 0);
    ground_close(server);
    ground_close(client);
    ground_close(listener);
}

/* Neither a pipe nor a socket that is written to like a file raises a signal. */
static void no_signal_from_a_broken_pipe(void)
{
    int ends[2];
    struct pair pair;
    ck_assert_int_eq(pipe(ends), 0);
    orr_handle writer = orr_adopt(ground.loop, ends[1]);
    close(ends[0]);
    EXPECT(-EPIPE, END_OF(orr_write, writer, "x", 1, 0));
    EXPECT(-EPIPE, END_OF(orr_write_all, writer, "x", 1, 0));
    ground_close(writer);
    ck_assert(ground_pair(ORR_FAMILY_UNIX, &pair));
    ground_close(pair.server);
    EXPECT(-EPIPE, END_OF(orr_write, pair.client, "x", 1, 0));
    ground_close(pair.client);
    ground_close(pair.listener);
}

/* ---- a loop inside another ------------------------------------------------------------------- */

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

/* ---- threads --------------------------------------------------------------------------------- */

/* probe_called counts for one thread only. */
static void called_elsewhere(void *context, struct orr_completion *completion, int64_t result)
{
    struct probe *probe = context;
    (void)completion;
    probe->calls += result == 0;
}

static void *run_elsewhere(void *context)
{
    struct orr_loop *loop;
    struct probe *probe = context;
    int status = orr_loop_open(NULL, &loop);
    if (status == 0) {
        orr_timeout(loop, &probe->completion, 1000, called_elsewhere, probe);
        orr_run_until_idle(loop);
        orr_loop_close(loop);
    }
    probe->context = status == 0 ? probe : NULL;
    return NULL;
}

/* Each loop belongs to its thread; several threads have several loops. */
static void a_loop_in_each_thread(void)
{
    pthread_t threads[3];
    reset();
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_elsewhere, &probes[i]), 0);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_ptr_nonnull(probes[i].context);
        ck_assert_uint_eq(probes[i].calls, 1);
    }
}

const struct conformance_case cases_kernel[] = {
    {.name = "a_simulated_backend_knows_no_kernel", .run = a_simulated_backend_knows_no_kernel},
    {.name = "wakes_from_threads", .run = wakes_from_threads, .needs = NEEDS_KERNEL},
    {.name = "no_wake_is_lost", .run = no_wake_is_lost, .needs = NEEDS_KERNEL},
    {.name = "a_wake_from_a_signal_handler",
     .run = a_wake_from_a_signal_handler,
     .needs = NEEDS_KERNEL},
    {.name = "every_descriptor_is_close_on_exec",
     .run = every_descriptor_is_close_on_exec,
     .needs = NEEDS_KERNEL},
    {.name = "adopted_descriptors", .run = adopted_descriptors, .needs = NEEDS_KERNEL},
    {.name = "the_limit_of_the_process", .run = the_limit_of_the_process, .needs = NEEDS_KERNEL},
    {.name = "no_signal_from_a_broken_pipe",
     .run = no_signal_from_a_broken_pipe,
     .needs = NEEDS_KERNEL},
    {.name = "the_descriptor_tells_when_a_step_is_due",
     .run = the_descriptor_tells_when_a_step_is_due,
     .needs = NEEDS_KERNEL},
    {.name = "the_descriptor_wakes_a_sleeper",
     .run = the_descriptor_wakes_a_sleeper,
     .needs = NEEDS_KERNEL},
    {.name = "a_loop_in_each_thread", .run = a_loop_in_each_thread, .needs = NEEDS_KERNEL},
    {.name = NULL},
};

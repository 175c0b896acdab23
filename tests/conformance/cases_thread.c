/*
 * cases_thread.c: what only a kernel has, where threads come in: wakes from threads and signal
 * handlers, signals, processor time (rules 7, 8, 12 and 13).
 */
#define _GNU_SOURCE 1 /* pthread_kill, setitimer */
#include "tests/conformance/cases.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct probe probes[16];
static uint8_t in[4096];
static uint8_t out[4096];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

static void wait_wake(struct probe *probe)
{
    orr_wait_wake(ground.loop, &probe->completion, probe_called, probe);
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

/* ---- signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

/* Signals that interrupt system calls, every 100 us of real time from now on; 0 = no more. */
static void rain_signals(suseconds_t interval_us)
{
    struct sigaction action;
    const struct itimerval interval = {{0, interval_us}, {0, interval_us}};
    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal; /* without SA_RESTART */
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

/* Connects, transfers, timers, files: each call of the kernel may be interrupted, nobody is
 * told. */
static void use_everything_once(orr_handle file)
{
    struct pair pair;
    struct orr_stat status;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    reset();
    START(&probes[0], orr_recv_exact, pair.server, in, sizeof in);
    START(&probes[1], orr_timeout, ORR_MILLISECOND);
    EXPECT_END(0, &probes[1]);
    START(&probes[2], orr_send_all, pair.client, out, sizeof out);
    START(&probes[3], orr_write_all, file, out, sizeof out, 0);
    START(&probes[4], orr_fsync, file);
    START(&probes[5], orr_open, ground.directory, "f", ORR_OPEN_READ, 0);
    START(&probes[6], orr_stat, ground.directory, "f", &status);
    START(&probes[7], orr_poll, pair.client, ORR_POLL_OUT);
    orr_run_until_idle(ground.loop);
    EXPECT_END(sizeof in, &probes[0]);
    EXPECT_END(sizeof out, &probes[2]);
    EXPECT_END(sizeof out, &probes[3]);
    EXPECT_END(0, &probes[4]);
    EXPECT_END(0, &probes[6]);
    EXPECT_END(ORR_POLL_OUT, &probes[7]);
    ck_assert_mem_eq(in, out, sizeof in);
    memset(in, 0, sizeof in);
    ground_close((orr_handle)ground_result(&probes[5]));
    ground_close_pair(&pair);
}

static void signals_interrupt_nothing(void)
{
    orr_handle file = ground_file("f");
    ground_fill(out, sizeof out, 1);
    signals_seen = 0;
    rain_signals(100);
    for (uint32_t i = 0; i < 1000 && (i < 20 || signals_seen < 20); i++)
        use_everything_once(file);
    uint64_t start_ns = orr_now(ground.loop);
    orr_run_for_ns(ground.loop, 3 * ORR_MILLISECOND);
    ck_assert_uint_ge(orr_now(ground.loop), start_ns + 3 * ORR_MILLISECOND);
    rain_signals(0);
    ck_assert_int_ge(signals_seen, 20);
    ground_close(file);
}

/* ---- processor time -------------------------------------------------------------------------- */

static uint64_t processor_ns(void)
{
    struct timespec spent;
    ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent), 0);
    return (uint64_t)spent.tv_sec * ORR_SECOND + (uint64_t)spent.tv_nsec;
}

/* Asleep, not going round: a loop that spins takes all of the time that it waits, or the scheduler
 * gives it less; one that sleeps takes next to none. */
static void waiting_takes_no_processor_time(void)
{
    struct pair pair;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    reset();
    START(&probes[0], orr_recv, pair.client, in, 1);
    START(&probes[1], orr_timeout, 3600 * ORR_SECOND);
    wait_wake(&probes[2]);
    orr_wake(ground.loop);
    EXPECT_END(0, &probes[2]); /* a wake that was taken keeps nobody awake */
    ground_settle();
    uint64_t start_ns = processor_ns();
    orr_run_for_ns(ground.loop, 400 * ORR_MILLISECOND);
    ck_assert_uint_lt(processor_ns() - start_ns, 100 * ORR_MILLISECOND);
    start_ns = processor_ns();
    for (uint32_t i = 0; i < 400; i++) /* shorter than the milliseconds that some systems count */
        orr_run_for_ns(ground.loop, 900000);
    ck_assert_uint_lt(processor_ns() - start_ns, 180 * ORR_MILLISECOND);
    orr_drain(ground.loop);
    ground_close_pair(&pair);
}

/* ---- a loop in each thread ------------------------------------------------------------------- */

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
    int status = ground.driver->open(NULL, 0, &loop);
    bool own = status == 0 && strcmp(orr_loop_backend_name(loop), ground.driver->name) == 0;
    if (status == 0) {
        orr_timeout(loop, &probe->completion, 1000, called_elsewhere, probe);
        orr_run_until_idle(loop);
        orr_loop_close(loop);
    }
    probe->context = own ? probe : NULL;
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

const struct conformance_case cases_thread[] = {
    /* A world has one thread: nothing can wake it while it waits. */
    {.name = "wakes_from_threads", .run = wakes_from_threads},
    {.name = "no_wake_is_lost", .run = no_wake_is_lost},
    /* Signals are this system's; a world makes no system call that one could interrupt. */
    {.name = "a_wake_from_a_signal_handler", .run = a_wake_from_a_signal_handler},
    {.name = "signals_interrupt_nothing", .run = signals_interrupt_nothing},
    /* A world never sleeps: it skips the time. That it makes no passes meanwhile is a common case
     * (waiting_does_not_spin). */
    {.name = "waiting_takes_no_processor_time", .run = waiting_takes_no_processor_time},
    /* All loops of a world run on the thread that made it. */
    {.name = "a_loop_in_each_thread", .run = a_loop_in_each_thread},
    {.name = NULL},
};

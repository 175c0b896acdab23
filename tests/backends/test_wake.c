/*
 * test_wake.c: the one hook that may be called from elsewhere: from threads, from signal handlers,
 * before, during and after the flush that it ends.
 *
 * No wake may be lost: where one is, the flush sleeps until RIG_LATE_NS and the test fails. Built
 * with -Db_sanitize=thread this program also shows that waking races with nothing.
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

/* Takes what is left of many wakes that came at once: more than one event of the poll, perhaps. */
static void take_the_rest(struct rig *rig)
{
    for (int i = 0;; i++) {
        const uint64_t deadline_ns = rig_now(rig) + ORR_MILLISECOND;
        rig_flush(rig, deadline_ns);
        if (rig_now(rig) >= deadline_ns)
            return;
        must(i < 100);
    }
}

/* ---- on the loop's own thread ---------------------------------------------------------------- */

/* On kernels whose polls end with their first event, each wake is a poll armed anew. */
START_TEST(test_wake__before_the_flush)
{
    struct rig rig;

    rig_open_setting(&rig, _i);
    for (int round = 0; round < 20; round++) {
        orr__uring.wake(rig.state);
        rig_must_wake(&rig);
    }
    rig_must_sleep(&rig);
    rig_close(&rig);
}
END_TEST

START_TEST(test_wake__many_are_one)
{
    struct rig rig;

    rig_open_setting(&rig, _i);
    for (int i = 0; i < 1000; i++)
        orr__uring.wake(rig.state);
    rig_must_wake(&rig);
    rig_must_sleep(&rig);
    rig_must_sleep(&rig);
    rig_close(&rig);
}
END_TEST

/* The wake ends the wait that the loop means to take, not a look in between. */
START_TEST(test_wake__outlives_flushes_that_do_not_wait)
{
    struct rig rig;

    rig_open_setting(&rig, _i);
    orr__uring.wake(rig.state);
    for (int i = 0; i < 5; i++)
        rig_flush(&rig, ORR_WAIT_NOT);
    rig_must_wake(&rig);
    rig_must_sleep(&rig);
    rig_close(&rig);
}
END_TEST

/* The batch fills the ring, so that there is no entry left to arm the wake with. */
START_TEST(test_wake__with_a_full_batch)
{
    struct orr_completion polls[256] = {0};
    struct rig rig;
    int ends[2];

    rig_open_setting(&rig, _i);
    must(pipe(ends) == 0);
    for (int round = 0; round < 3; round++) {
        orr__uring.wake(rig.state);
        rig_must_wake(&rig);
        for (uint32_t i = 0; i < rig.batch_entries; i++)
            must(rig_offer(&rig, &polls[i], ORR_OP_POLL, ends[0],
                           ARGUMENTS(.events = ORR_POLL_IN)) == ORR_SUBMIT_QUEUED);
        orr__uring.wake(rig.state);
        rig_must_wake(&rig);
        must_be(rig.held, rig.batch_entries);
        rig_must_sleep(&rig);
        for (uint32_t i = 0; i < rig.batch_entries; i++)
            rig_cancel(&rig, &polls[i]);
        rig_end_all(&rig);
    }
    close(ends[0]);
    close(ends[1]);
    rig_close(&rig);
}
END_TEST

/* A poll that stays armed ends when its event finds no room in the completion ring. */
START_TEST(test_wake__survives_a_full_completion_ring)
{
    enum { MANY = 300 };
    struct orr_completion polls[MANY] = {0};
    struct rig rig;
    int ends[2];

    kernel.version = &kernel_versions[_i];
    kernel.completions = 16;
    rig_open(&rig, 8);
    must(pipe(ends) == 0);
    for (int round = 0; round < 5; round++) {
        char byte;
        for (int i = 0; i < MANY; i++)
            rig_submit(&rig, &polls[i], ORR_OP_POLL, ends[0], ARGUMENTS(.events = ORR_POLL_IN));
        rig_flush(&rig, ORR_WAIT_NOT);
        must(write(ends[1], "x", 1) == 1);
        orr__uring.wake(rig.state);
        rig_end_all(&rig);
        must(read(ends[0], &byte, 1) == 1);
        take_the_rest(&rig);
        rig_must_sleep(&rig);
        orr__uring.wake(rig.state);
        rig_must_wake(&rig);
    }
    close(ends[0]);
    close(ends[1]);
    rig_close(&rig);
}
END_TEST

START_TEST(test_wake__while_the_kernel_is_in_a_mood)
{
    struct rig rig;

    kernel.version = &kernel_versions[_i / KERNEL_BROKEN];
    rig_open(&rig, 8);
    kernel_be((enum kernel_mood)(_i % KERNEL_BROKEN), false);
    for (int round = 0; round < 50; round++) {
        orr__uring.wake(rig.state);
        rig_must_wake(&rig);
    }
    rig_must_sleep(&rig);
    rig_close(&rig);
}
END_TEST

/* Better the end of the loop than one that nobody can wake. */
START_TEST(test_wake__that_cannot_be_armed_is_an_error)
{
    struct rig rig;

    for (int i = 0; i < KERNEL_VERSIONS; i++) {
        kernel.version = &kernel_versions[i];
        if (!kernel.version->polls_once)
            continue;
        rig_open(&rig, 8);
        orr__uring.wake(rig.state);
        rig_must_wake(&rig);                     /* it is to be armed again, */
        close(rig_uring(&rig)->wake_descriptor); /* and now it cannot be */
        must_be(rig_try_flush(&rig, ORR_WAIT_FOREVER), -EBADF);
        rig_close(&rig);
    }
}
END_TEST

/* ---- from threads ---------------------------------------------------------------------------- */

struct waker {
    struct rig rig;
    useconds_t delay_us;
};

static void *wake_once(void *context)
{
    const struct waker *waker = context;

    if (waker->delay_us > 0)
        usleep(waker->delay_us);
    orr__uring.wake(waker->rig.state);
    return NULL;
}

/* The wake falls anywhere: before the flush, into it, while it goes to sleep. */
START_TEST(test_wake__from_another_thread)
{
    struct waker waker = {.delay_us = 0};

    rig_open_setting(&waker.rig, _i);
    for (unsigned round = 0; round < 20; round++) {
        pthread_t thread;
        waker.delay_us = round / 2 * 20;
        must(pthread_create(&thread, NULL, wake_once, &waker) == 0);
        if (round % 2 == 0)
            rig_must_wake(&waker.rig);
        else
            rig_flush(&waker.rig, ORR_WAIT_FOREVER);
        must(pthread_join(thread, NULL) == 0);
        rig_must_sleep(&waker.rig);
    }
    rig_close(&waker.rig);
}
END_TEST

#define WAKERS 4
#define WAKES_EACH 2000

static void *wake_often(void *context)
{
    const struct rig *rig = context;

    for (int i = 0; i < WAKES_EACH; i++)
        orr__uring.wake(rig->state);
    return NULL;
}

/* While they hammer, the loop works; the last of them all is seen. */
START_TEST(test_wake__from_many_threads)
{
    struct rig rig;
    pthread_t threads[WAKERS];
    int ends[2];

    kernel.version = &kernel_versions[_i];
    rig_open(&rig, 8);
    must(pipe(ends) == 0);
    for (int i = 0; i < WAKERS; i++)
        must(pthread_create(&threads[i], NULL, wake_often, &rig) == 0);
    for (int round = 0; round < 200; round++)
        must_be(rig_do(&rig, ORR_OP_POLL, ends[1], ARGUMENTS(.events = ORR_POLL_OUT)),
                ORR_POLL_OUT);
    for (int i = 0; i < WAKERS; i++)
        must(pthread_join(threads[i], NULL) == 0);
    take_the_rest(&rig);
    rig_must_sleep(&rig);
    orr__uring.wake(rig.state);
    rig_must_wake(&rig);
    close(ends[0]);
    close(ends[1]);
    rig_close(&rig);
}
END_TEST

/* ---- from a signal handler ------------------------------------------------------------------- */

static void *state_to_wake;
static volatile sig_atomic_t kept_errno;

static void wake_on_signal(int number)
{
    const int interrupted = errno;

    (void)number;
    errno = E2BIG;
    orr__uring.wake(state_to_wake);
    kept_errno = errno == E2BIG ? 1 : 0;
    errno = interrupted;
}

/* The handler runs on the loop's own thread, in the middle of the flush. */
START_TEST(test_wake__from_a_signal_handler)
{
    const struct sigaction action = {.sa_handler = wake_on_signal};
    const struct itimerval soon = {.it_value = {.tv_usec = 2000}};
    struct rig rig;

    rig_open_setting(&rig, _i);
    state_to_wake = rig.state;
    must(sigaction(SIGALRM, &action, NULL) == 0);
    for (int round = 0; round < 3; round++) {
        kept_errno = 0;
        must(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        rig_must_wake(&rig);
        must_be(kept_errno, 1);
    }
    rig_close(&rig);
}
END_TEST

/* The eventfd is full, so this wake cannot be counted: it is readable all the same, and nobody's
 * errno changes. */
START_TEST(test_wake__with_a_full_counter)
{
    const uint64_t most = UINT64_MAX - 1;
    struct rig rig;

    rig_open(&rig, 8);
    must(write(rig_uring(&rig)->wake_descriptor, &most, sizeof most) == sizeof most);
    errno = E2BIG;
    orr__uring.wake(rig.state);
    must_be(errno, E2BIG);
    rig_must_wake(&rig);
    rig_must_sleep(&rig);
    rig_close(&rig);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, test_wake__before_the_flush, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_wake__many_are_one, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_wake__outlives_flushes_that_do_not_wait, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_wake__with_a_full_batch, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_wake__survives_a_full_completion_ring, 0, KERNEL_VERSIONS);
    tcase_add_loop_test(tests, test_wake__while_the_kernel_is_in_a_mood, 0,
                        KERNEL_VERSIONS * KERNEL_BROKEN);
    tcase_add_test(tests, test_wake__that_cannot_be_armed_is_an_error);
    tcase_add_loop_test(tests, test_wake__from_another_thread, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_wake__from_many_threads, 0, KERNEL_VERSIONS);
    tcase_add_loop_test(tests, test_wake__from_a_signal_handler, 0, RIG_SETTINGS);
    tcase_add_test(tests, test_wake__with_a_full_counter);
}

int main(void)
{
    return rig_run("wake", add, suite_run_apart);
}

/*
 * test_descriptor.c: the descriptor by which another loop learns that this one has something to do:
 * what it tells to those who look, and to those who sleep on it when it happens. Built with
 * -Db_sanitize=thread this program also shows that the latter races with nothing.
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LATE_MS ((int)(RIG_LATE_NS / ORR_MILLISECOND))

static const union orr_arguments readable = {.events = ORR_POLL_IN};

static bool is_ready(const struct rig *rig)
{
    struct pollfd descriptor = {.fd = orr__uring.descriptor(rig->state), .events = POLLIN};

    must(poll(&descriptor, 1, 0) >= 0);
    return (descriptor.revents & POLLIN) != 0;
}

/* The last look of poll, at the end of its time, would see what it should have been woken for. */
static void sleep_in_poll(const struct rig *rig)
{
    struct pollfd descriptor = {.fd = orr__uring.descriptor(rig->state), .events = POLLIN};
    const uint64_t late_ns = rig_now(rig) + RIG_LATE_NS;

    must(poll(&descriptor, 1, LATE_MS) == 1);
    must(rig_now(rig) < late_ns);
}

/* Without DEFER_TASKRUN the kernel interrupts the sleeper to do the work in its system call; poll
 * goes on by itself then. */
static void sleep_in_epoll(const struct rig *rig, int outer)
{
    const uint64_t late_ns = rig_now(rig) + RIG_LATE_NS;
    struct epoll_event event;
    int count;

    do
        count = epoll_wait(outer, &event, 1, LATE_MS);
    while (count < 0 && errno == EINTR && rig_now(rig) < late_ns);
    must_be(count, 1);
}

/* The loop's rule: nobody sleeps on the descriptor while something is unflushed. */
static void flush_all(struct rig *rig)
{
    rig_flush(rig, ORR_WAIT_NOT);
    if (orr__uring.unflushed(rig->state))
        rig_flush(rig, ORR_WAIT_NOT);
    must(!orr__uring.unflushed(rig->state));
}

/* ---- looking --------------------------------------------------------------------------------- */

START_TEST(test_descriptor__tells_of_a_wake)
{
    struct rig rig;

    rig_open_setting(&rig, _i);
    for (int round = 0; round < 5; round++) {
        must(!is_ready(&rig));
        orr__uring.wake(rig.state);
        sleep_in_poll(&rig);
        flush_all(&rig);
        must(!is_ready(&rig));
        rig_must_wake(&rig); /* it is still due */
        flush_all(&rig);
    }
    rig_close(&rig);
}
END_TEST

/* As long as anything is left: a ring for sixteen shows a part of it at a time. */
START_TEST(test_descriptor__tells_of_all_completions)
{
    enum { MANY = 300 };
    struct orr_completion polls[MANY] = {0};
    struct rig rig;
    int ends[2];

    kernel.version = &kernel_versions[_i];
    kernel.completions = 16;
    rig_open(&rig, 8);
    must(pipe(ends) == 0);
    must(!is_ready(&rig));
    for (int i = 0; i < MANY; i++)
        rig_submit(&rig, &polls[i], ORR_OP_POLL, ends[0], readable);
    flush_all(&rig);
    must(!is_ready(&rig));
    must(write(ends[1], "x", 1) == 1);
    while (rig.held > 0) {
        sleep_in_poll(&rig);
        rig_flush(&rig, ORR_WAIT_NOT);
    }
    flush_all(&rig);
    must(!is_ready(&rig));
    close(ends[0]);
    close(ends[1]);
    rig_close(&rig);
}
END_TEST

/* Asked for when something has happened already. */
START_TEST(test_descriptor__tells_of_what_was_before)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int ends[2];

    rig_open_setting(&rig, _i);
    must(pipe(ends) == 0);
    rig_submit(&rig, &completion, ORR_OP_POLL, ends[0], readable);
    flush_all(&rig);
    must(write(ends[1], "x", 1) == 1);
    sleep_in_poll(&rig);
    must_be(rig_end(&rig, &completion), ORR_POLL_IN);
    flush_all(&rig);
    must(!is_ready(&rig));
    close(ends[0]);
    close(ends[1]);
    rig_close(&rig);
}
END_TEST

/* ---- sleeping -------------------------------------------------------------------------------- */

/* Long enough that the other thread sleeps; if it does not yet, the test shows less. */
#define DELAY_US 5000

static void *wake_later(void *context)
{
    const struct rig *rig = context;

    usleep(DELAY_US);
    orr__uring.wake(rig->state);
    return NULL;
}

START_TEST(test_descriptor__a_wake_wakes_who_sleeps_on_it)
{
    struct rig rig;

    rig_open_setting(&rig, _i);
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        must(pthread_create(&thread, NULL, wake_later, &rig) == 0);
        sleep_in_poll(&rig);
        must(pthread_join(thread, NULL) == 0);
        rig_must_wake(&rig);
        flush_all(&rig);
    }
    rig_close(&rig);
}
END_TEST

static void *write_later(void *context)
{
    const int *writer = context;

    usleep(DELAY_US);
    (void)!write(*writer, "x", 1);
    return NULL;
}

/* Level-triggered, in poll as in epoll: told once more until it is taken. */
START_TEST(test_descriptor__a_completion_wakes_who_sleeps_on_it)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int ends[2];

    rig_open_setting(&rig, _i);
    const int outer = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    must(epoll_ctl(outer, EPOLL_CTL_ADD, orr__uring.descriptor(rig.state), &event) == 0);
    must(pipe(ends) == 0);
    for (int round = 0; round < 4; round++) {
        pthread_t thread;
        char byte;
        rig_submit(&rig, &completion, ORR_OP_POLL, ends[0], readable);
        must(orr__uring.unflushed(rig.state));
        flush_all(&rig);
        must(pthread_create(&thread, NULL, write_later, &ends[1]) == 0);
        if (round % 2 == 0)
            sleep_in_poll(&rig);
        sleep_in_epoll(&rig, outer);
        sleep_in_epoll(&rig, outer);
        must(pthread_join(thread, NULL) == 0);
        must_be(rig_end(&rig, &completion), ORR_POLL_IN);
        flush_all(&rig);
        must(!is_ready(&rig) && epoll_wait(outer, &event, 1, 0) == 0);
        must(read(ends[0], &byte, 1) == 1);
    }
    close(outer);
    close(ends[0]);
    close(ends[1]);
    rig_close(&rig);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, test_descriptor__tells_of_a_wake, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_descriptor__tells_of_all_completions, 0, KERNEL_VERSIONS);
    tcase_add_loop_test(tests, test_descriptor__tells_of_what_was_before, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_descriptor__a_wake_wakes_who_sleeps_on_it, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_descriptor__a_completion_wakes_who_sleeps_on_it, 0,
                        RIG_SETTINGS);
}

int main(void)
{
    return rig_run("descriptor", add, suite_run_apart);
}

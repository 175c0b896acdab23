/*
 * test_kqueue.c: the calls of the shim: change lists and their errors, closing, waiting, and the
 * hooks for tests.
 */
#define _GNU_SOURCE 1

#include "fixture.h"
#include "kqueue_shim.h"

#include "tests/suite.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>

static char second; /* elsewhere to point udata */

/* ---- changes --------------------------------------------------------------------------------- */

START_TEST(test_change__adding_again_replaces_udata)
{
    open_all();
    must_be(change(kq, ends[0], EVFILT_READ, EV_ADD, &first), 0);
    must_be(change(kq, ends[0], EVFILT_READ, EV_ADD, &second), 0);
    must_be((int)kqueue_shim.knotes, 1);
    must(must_see(kq, ends[0], EVFILT_READ).udata == &second);
    must_be(change(kq, ends[0], EVFILT_READ, EV_ENABLE, &first), 0);
    must(must_see(kq, ends[0], EVFILT_READ).udata == &first);
}
END_TEST

START_TEST(test_change__adding_again_keeps_the_mode)
{
    open_all();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD | EV_ONESHOT);
    must((must_see(kq, ends[0], EVFILT_READ).flags & EV_ONESHOT) == 0);
    must_see_nothing(kq);
    must_be((int)kqueue_shim.knotes, 1);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD); /* but it looks again */
    must_see(kq, ends[0], EVFILT_READ);
    must_see_nothing(kq);
}
END_TEST

START_TEST(test_change__filters_are_apart)
{
    int sockets[2];
    struct kevent events[3];

    open_all();
    must_be(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    must_be((int)write(sockets[1], "x", 1), 1);
    must_be(change(kq, sockets[0], EVFILT_READ, EV_ADD, &first), 0);
    must_be(change(kq, sockets[0], EVFILT_WRITE, EV_ADD, &second), 0);
    must_be(change(kq, sockets[0], EVFILT_USER, EV_ADD, NULL), 0);
    must_be((int)kqueue_shim.knotes, 3);
    must_be(peek(kq, events, 3), 2);
    const int read = events[0].filter == EVFILT_READ ? 0 : 1;
    must(events[read].filter == EVFILT_READ && events[read].udata == &first);
    must(events[1 - read].filter == EVFILT_WRITE && events[1 - read].udata == &second);
    must_change(kq, sockets[0], EVFILT_READ, EV_DELETE);
    must_see(kq, sockets[0], EVFILT_WRITE);
}
END_TEST

START_TEST(test_change__errors_without_room)
{
    const struct timespec none = {0};

    open_all();
    must_fail(change(kq, ends[0], EVFILT_READ, EV_DELETE, NULL), ENOENT);
    must_fail(change(kq, ends[0], EVFILT_READ, EV_ENABLE, NULL), ENOENT);
    must_fail(change(kq, 999, EVFILT_READ, EV_ADD, NULL), EBADF);
    must_fail(change(kq, -1, EVFILT_WRITE, EV_ADD, NULL), EBADF);
    must_fail(change(kq, kq, EVFILT_READ, EV_ADD, NULL), EINVAL);
    must_fail(change(kq, ends[0], 0, EV_ADD, NULL), EINVAL);
    must_fail(change(kq, ends[0], -7, EV_ADD, NULL), EINVAL);
    must_fail(change(ends[0], ends[0], EVFILT_READ, EV_ADD, NULL), EBADF);
    must_fail(kevent(999, NULL, 0, NULL, 0, &none), EBADF);
    must_be((int)kqueue_shim.knotes, 0);
}
END_TEST

/* In order, each with its own error; then neither a wait nor an event, though one is ready. */
START_TEST(test_change__errors_with_room)
{
    struct kevent list[4] = {
        entry(ends[0], EVFILT_READ, EV_DELETE, &first),
        entry(ends[0], EVFILT_READ, EV_ADD, NULL),
        entry(999, EVFILT_WRITE, EV_ADD, &second),
        entry(ends[1], EVFILT_WRITE, EV_ADD, NULL),
    };

    open_all();
    list[0].ident = list[1].ident = (uintptr_t)ends[0];
    list[3].ident = (uintptr_t)ends[1];
    must_be(kevent(kq, list, 4, list, 4, NULL), 2); /* one array for both is allowed */
    must((list[0].flags & EV_ERROR) != 0 && list[0].data == ENOENT && list[0].udata == &first);
    must(list[0].ident == (uintptr_t)ends[0] && list[0].filter == EVFILT_READ);
    must((list[1].flags & EV_ERROR) != 0 && list[1].data == EBADF && list[1].udata == &second);
    must_be((int)kqueue_shim.knotes, 2);
    must_be(peek(kq, list, 4), 2);
}
END_TEST

START_TEST(test_change__room_for_one_error_only)
{
    open_all();
    const struct kevent list[] = {
        entry(ends[0], EVFILT_READ, EV_DELETE, NULL),
        entry(999, EVFILT_READ, EV_ADD, NULL),
        entry(ends[1], EVFILT_WRITE, EV_ADD, NULL),
    };
    struct kevent event;
    must_fail(kevent(kq, list, 3, &event, 1, NULL), EBADF);
    must_be((int)event.data, ENOENT);
    must_be((int)kqueue_shim.knotes, 0); /* the rest is not applied */
}
END_TEST

START_TEST(test_change__receipts)
{
    open_all();
    const struct kevent list[] = {
        entry(ends[0], EVFILT_READ, EV_ADD | EV_RECEIPT, &first),
        entry(ends[1], EVFILT_WRITE, EV_ADD, NULL),
        entry(999, EVFILT_READ, EV_ADD | EV_RECEIPT, &second),
    };
    struct kevent events[4];
    must_be(kevent(kq, list, 3, events, 4, NULL), 2);
    must((events[0].flags & EV_ERROR) != 0 && events[0].data == 0 && events[0].udata == &first);
    must((events[1].flags & EV_ERROR) != 0 && events[1].data == EBADF);
    must_be(peek(kq, events, 4), 2);
    must((events[0].flags & EV_ERROR) == 0 && (events[1].flags & EV_ERROR) == 0);
    must_be(kevent(kq, list, 2, NULL, 0, NULL), 0);
    must_be((int)kqueue_shim.changes, 4); /* the receipt had no room, and ended that list */
}
END_TEST

START_TEST(test_change__table_is_full)
{
    enum { MANY = 4096 };

    open_all();
    for (int i = 0; i < MANY; i++)
        must_change(kq, i, EVFILT_USER, EV_ADD);
    must_fail(change(kq, MANY, EVFILT_USER, EV_ADD, NULL), ENOMEM);
    must_change(kq, 17, EVFILT_USER, EV_DELETE);
    must_change(kq, MANY, EVFILT_USER, EV_ADD);
    must_be((int)kqueue_shim.knotes, MANY);
}
END_TEST

/* ---- closing --------------------------------------------------------------------------------- */

static void close_it(int descriptor)
{
    must_be(close(descriptor), 0);
}

static void replace_it(int descriptor)
{
    const int other = socket(AF_INET, SOCK_DGRAM, 0);
    must_be(dup2(other, descriptor), descriptor);
    must_be(close(other), 0);
}

static void replace_it_by_dup3(int descriptor)
{
    const int other = socket(AF_INET, SOCK_DGRAM, 0);
    must_be(dup3(other, descriptor, O_CLOEXEC), descriptor);
    must_be(close(other), 0);
}

static void (*const closers[])(int descriptor) = {close_it, replace_it, replace_it_by_dup3};

#define CLOSERS 3

/* Though a duplicate keeps the file open. What gets the number is not reported for it. */
START_TEST(test_close__drops_knotes)
{
    open_all();
    const int duplicate = dup(ends[0]);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_change(kq, ends[0], EVFILT_USER, EV_ADD); /* no descriptor: it stays */
    closers[_i](ends[0]);
    must_be((int)kqueue_shim.knotes, 1);
    must_poll(0);
    must_see_nothing(kq);
    must_be(dup2(duplicate, ends[0]), ends[0]);
    must_see_nothing(kq);
    must_fail(change(kq, ends[0], EVFILT_READ, EV_DELETE, NULL), ENOENT);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_see(kq, ends[0], EVFILT_READ);
    must_change(kq, duplicate, EVFILT_READ, EV_ADD);
    closers[_i](ends[0]);
    must_see(kq, duplicate, EVFILT_READ);
}
END_TEST

/* Edges that were taken and not yet reported go too. */
START_TEST(test_close__drops_what_is_ready)
{
    int others[2];
    struct kevent event;

    open_all();
    must_be(pipe(others), 0);
    must_be((int)write(others[1], "x", 1), 1);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR);
    must_change(kq, others[0], EVFILT_READ, EV_ADD | EV_CLEAR);
    must_be(peek(kq, &event, 1), 1);
    const int left = (int)event.ident == ends[0] ? others[0] : ends[0];
    must_poll(1);
    closers[_i](left);
    must_poll(0);
    must_see_nothing(kq);
}
END_TEST

START_TEST(test_close__not_when_nothing_closes)
{
    open_all();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_be(dup2(ends[0], ends[0]), ends[0]);
    must_fail(dup2(999, ends[0]), EBADF);
    must_fail(dup3(ends[0], ends[0], 0), EINVAL);
    must_fail(dup3(999, ends[0], 0), EBADF);
    must_fail(close(999), EBADF);
    must_see(kq, ends[0], EVFILT_READ);
}
END_TEST

START_TEST(test_close__of_a_kqueue)
{
    const struct timespec none = {0};

    open_all();
    const int other = kqueue();
    const int before = dup(other);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_change(other, ends[0], EVFILT_READ, EV_ADD);
    must_change(other, 7, EVFILT_USER, EV_ADD);
    must_be((int)kqueue_shim.knotes, 3);
    must_be(close(other), 0);
    must_be((int)kqueue_shim.knotes, 1);
    must_fail(kevent(other, NULL, 0, NULL, 0, &none), EBADF);
    must_see(kq, ends[0], EVFILT_READ);
    must_be(close(before), 0);
    for (int i = 0; i < 1000; i++)
        must_be(close(kqueue()), 0); /* nothing is left of them */
}
END_TEST

START_TEST(test_kqueue__is_pollable_and_survives_exec)
{
    open_all();
    must_be(fcntl(kq, F_GETFD) & FD_CLOEXEC, 0);
    must_poll(0);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_poll(1);
    must_see(kq, ends[0], EVFILT_READ);
    must_poll(1);
    take_byte();
    must_poll(0);
}
END_TEST

START_TEST(test_kqueue__in_a_kqueue)
{
    open_all();
    const int outer = kqueue();
    must_change(outer, kq, EVFILT_READ, EV_ADD);
    must_see_nothing(outer);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_see(outer, kq, EVFILT_READ);
    take_byte();
    must_see_nothing(outer);
}
END_TEST

/* ---- waiting --------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

START_TEST(test_wait__never_too_short)
{
    static const long times_ns[] = {1, 999, 50000, 999999, 20000000};
    struct kevent event;

    open_all();
    for (size_t i = 0; i < sizeof times_ns / sizeof *times_ns; i++) {
        const struct timespec timeout = {.tv_nsec = times_ns[i]};
        const int64_t start_ns = now_ns();
        must_be(kevent(kq, NULL, 0, &event, 1, &timeout), 0);
        must(now_ns() - start_ns >= times_ns[i]);
    }
}
END_TEST

START_TEST(test_wait__invalid)
{
    static const struct timespec invalid[] = {
        {-1, 0}, {0, -1}, {0, 1000000000}, {100000001, 0}, {INT_MAX, 0}, {INT64_MAX, 999999999},
    };
    const struct timespec longest = {100000000, 0};
    struct kevent event;

    open_all();
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        must_fail(kevent(kq, NULL, 0, &event, 1, &invalid[i]), EINVAL);
    must_fail(kevent(kq, NULL, 0, &event, -1, &longest), EINVAL);
    must_fail(kevent(kq, NULL, -1, &event, 1, &longest), EINVAL);
    must_be(kevent(kq, NULL, 0, NULL, 0, NULL), 0); /* without room no wait */
    event = entry(ends[0], EVFILT_READ, EV_ADD, NULL);
    must_be(kevent(kq, &event, 1, &event, 1, &longest), 1);
}
END_TEST

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
    if (alarms > 3)
        (void)trigger(kq, 7, 0, 0, NULL);
}

/* Again and again, lest the first comes before the wait: that is no interruption. */
static void ring_alarms(void)
{
    const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    const struct itimerval soon = {{0, 5000}, {0, 5000}};

    must_be(sigaction(SIGALRM, &action, NULL), 0);
    must_be(setitimer(ITIMER_REAL, &soon, NULL), 0);
}

/* With its changes applied; and its handler may trigger. */
START_TEST(test_wait__signal)
{
    struct kevent event;

    open_all();
    take_byte();
    const struct kevent changes[] = {
        entry(ends[0], EVFILT_READ, EV_ADD, NULL),
        entry(7, EVFILT_USER, EV_ADD | EV_CLEAR, NULL),
    };
    ring_alarms();
    must_fail(kevent(kq, changes, 2, &event, 1, NULL), EINTR);
    must(alarms > 0);
    must_be((int)kqueue_shim.knotes, 2);
    int result = -1;
    while (result < 0) {
        result = kevent(kq, NULL, 0, &event, 1, NULL);
        must(result == 1 || errno == EINTR);
    }
    must_be((int)event.ident, 7);
}
END_TEST

/* ---- hooks ----------------------------------------------------------------------------------- */

START_TEST(test_hooks__kqueue_fails)
{
    kqueue_shim.kqueue = (struct kqueue_shim_fault){.in = 2, .error = EMFILE};
    must(kqueue() >= 0);
    must_fail(kqueue(), EMFILE);
    must(kqueue() >= 0);
    must_be((int)kqueue_shim.kqueues, 3);
}
END_TEST

START_TEST(test_hooks__kevent_fails)
{
    open_all();
    kqueue_shim.kevent = (struct kqueue_shim_fault){.in = 2, .error = ENOMEM};
    must_see_nothing(kq);
    must_fail(change(kq, ends[0], EVFILT_READ, EV_ADD, NULL), ENOMEM);
    must_be((int)kqueue_shim.knotes, 0);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_be((int)kqueue_shim.kevents, 3);
    must_be((int)kqueue_shim.changes, 1);
}
END_TEST

START_TEST(test_hooks__change_fails)
{
    open_all();
    const struct kevent list[] = {
        entry(ends[0], EVFILT_READ, EV_ADD, NULL),
        entry(ends[1], EVFILT_WRITE, EV_ADD, &first),
    };
    struct kevent events[2];
    kqueue_shim.change = (struct kqueue_shim_fault){.in = 2, .error = ENOMEM};
    must_be(kevent(kq, list, 2, events, 2, NULL), 1);
    must((events[0].flags & EV_ERROR) != 0 && events[0].data == ENOMEM);
    must(events[0].udata == &first);
    must_be((int)kqueue_shim.knotes, 1);
    kqueue_shim.change = (struct kqueue_shim_fault){.in = 1, .error = ENOSPC};
    must_fail(change(kq, ends[1], EVFILT_WRITE, EV_ADD, NULL), ENOSPC);
    must_be(kevent(kq, list, 2, events, 2, NULL), 2);
}
END_TEST

START_TEST(test_hooks__interrupt)
{
    const bool after = _i == 1;
    struct kevent event;

    open_all();
    event = entry(ends[0], EVFILT_READ, EV_ADD, NULL);
    kqueue_shim.interrupt = after ? KQUEUE_SHIM_AFTER_CHANGES : KQUEUE_SHIM_BEFORE_CHANGES;
    must_see_nothing(kq); /* no wait */
    must_be(kevent(kq, NULL, 0, NULL, 0, NULL), 0);
    must_fail(kevent(kq, &event, 1, &event, 1, NULL), EINTR);
    must_be((int)kqueue_shim.knotes, after ? 1 : 0);
    must_be(kevent(kq, &event, 1, &event, 1, NULL), 1);
}
END_TEST

START_TEST(test_hooks__hasty)
{
    struct kevent event;

    open_all();
    event = entry(ends[0], EVFILT_READ, EV_ADD, NULL);
    kqueue_shim.hasty = true;
    must_be(peek(kq, &event, 1), 0);
    must(kqueue_shim.hasty);
    must_be(kevent(kq, &event, 1, &event, 1, NULL), 0);
    must_be((int)kqueue_shim.knotes, 1);
    must_be(kevent(kq, NULL, 0, &event, 1, NULL), 1);
    must_be((int)kqueue_shim.sleeps, 0);
}
END_TEST

START_TEST(test_hooks__few_events)
{
    struct kevent events[3];

    open_all();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_change(kq, ends[1], EVFILT_WRITE, EV_ADD);
    kqueue_shim.events_max = 1;
    must_be(peek(kq, events, 3), 1);
    const uintptr_t before = events[0].ident;
    must_be(peek(kq, events, 3), 1);
    must(events[0].ident != before);
    kqueue_shim.events_max = 0;
    must_be(peek(kq, events, 3), 2);
}
END_TEST

static TCase *tests(void)
{
    TCase *tests = tcase_create("kqueue");

    tcase_add_test(tests, test_change__adding_again_replaces_udata);
    tcase_add_test(tests, test_change__adding_again_keeps_the_mode);
    tcase_add_test(tests, test_change__filters_are_apart);
    tcase_add_test(tests, test_change__errors_without_room);
    tcase_add_test(tests, test_change__errors_with_room);
    tcase_add_test(tests, test_change__room_for_one_error_only);
    tcase_add_test(tests, test_change__receipts);
    tcase_add_test(tests, test_change__table_is_full);
    tcase_add_loop_test(tests, test_close__drops_knotes, 0, CLOSERS);
    tcase_add_loop_test(tests, test_close__drops_what_is_ready, 0, CLOSERS);
    tcase_add_test(tests, test_close__not_when_nothing_closes);
    tcase_add_test(tests, test_close__of_a_kqueue);
    tcase_add_test(tests, test_kqueue__is_pollable_and_survives_exec);
    tcase_add_test(tests, test_kqueue__in_a_kqueue);
    tcase_add_test(tests, test_wait__never_too_short);
    tcase_add_test(tests, test_wait__invalid);
    tcase_add_test(tests, test_wait__signal);
    tcase_add_test(tests, test_hooks__kqueue_fails);
    tcase_add_test(tests, test_hooks__kevent_fails);
    tcase_add_test(tests, test_hooks__change_fails);
    tcase_add_loop_test(tests, test_hooks__interrupt, 0, 2);
    tcase_add_test(tests, test_hooks__hasty);
    tcase_add_test(tests, test_hooks__few_events);
    return tests;
}

int main(void)
{
    return suite_run_apart("kqueue", tests());
}

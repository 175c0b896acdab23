/*
 * test_reports.c: how the shim reports knotes: while they are ready, once, by turns; and user
 * events.
 *
 * Built with -Db_sanitize=thread this program also shows that triggering races with nothing.
 */
#define _GNU_SOURCE 1

#include "fixture.h"
#include "kqueue_shim.h"

#include "tests/suite.h"

#include <pthread.h>
#include <sys/socket.h>

/* ---- reports --------------------------------------------------------------------------------- */

START_TEST(test_report__level)
{
    open_all();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    for (int i = 0; i < 3; i++)
        must_see(kq, ends[0], EVFILT_READ);
    take_byte();
    must_see_nothing(kq);
}
END_TEST

START_TEST(test_report__clear)
{
    open_all();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD | EV_CLEAR);
    must_be((int)must_see(kq, ends[0], EVFILT_READ).data, 1);
    must_see_nothing(kq);
    must_be((int)write(ends[1], "y", 1), 1);
    must_be((int)must_see(kq, ends[0], EVFILT_READ).data, 2);
    must_see_nothing(kq);
    take_byte();
    must_be((int)write(ends[1], "z", 1), 1); /* as much as before: an arrival all the same */
    must_be((int)must_see(kq, ends[0], EVFILT_READ).data, 2);
    must_be((int)write(ends[1], "z", 1), 1);
    take_byte();
    take_byte();
    take_byte();
    must_see_nothing(kq); /* it arrived and is gone */
}
END_TEST

/* What happens to one filter is no edge for the other. */
START_TEST(test_report__clear_of_both_filters)
{
    int sockets[2];
    struct kevent events[2];

    open_all();
    must_be(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    must_change(kq, sockets[0], EVFILT_READ, EV_ADD | EV_CLEAR);
    must_change(kq, sockets[0], EVFILT_WRITE, EV_ADD | EV_CLEAR);
    must_see(kq, sockets[0], EVFILT_WRITE);
    for (int i = 0; i < 3; i++) {
        must_be((int)write(sockets[1], "x", 1), 1);
        must_see(kq, sockets[0], EVFILT_READ);
        must_see_nothing(kq);
    }
    close(sockets[1]);
    must_be(peek(kq, events, 2), 2);
    must_see_nothing(kq);
}
END_TEST

START_TEST(test_report__oneshot)
{
    open_all();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD | EV_ONESHOT);
    must_see(kq, ends[0], EVFILT_READ);
    must_be((int)kqueue_shim.knotes, 0);
    must_see_nothing(kq);
    must_fail(change(kq, ends[0], EVFILT_READ, EV_DELETE, NULL), ENOENT);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_see(kq, ends[0], EVFILT_READ);
    must_see(kq, ends[0], EVFILT_READ);
}
END_TEST

START_TEST(test_report__dispatch)
{
    open_all();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD | EV_DISPATCH);
    for (int i = 0; i < 3; i++) {
        must_see(kq, ends[0], EVFILT_READ);
        must_poll(0);
        must_see_nothing(kq);
        must_change(kq, ends[0], EVFILT_READ, EV_ADD | EV_DISPATCH);
        must_see_nothing(kq); /* adding is not enabling */
        must_change(kq, ends[0], EVFILT_READ, EV_ENABLE);
    }
    must_be((int)kqueue_shim.knotes, 1);
}
END_TEST

START_TEST(test_report__disabled)
{
    const struct timespec short_time = {.tv_nsec = 20000000};
    struct kevent event;

    open_all();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD | EV_DISABLE);
    must_poll(0);
    const uint64_t looks = kqueue_shim.looks;
    must_be(kevent(kq, NULL, 0, &event, 1, &short_time), 0);
    must(kqueue_shim.looks - looks <= 4); /* it does not spin on what is ready and disabled */
    must_change(kq, ends[0], EVFILT_READ, EV_ENABLE);
    must_see(kq, ends[0], EVFILT_READ);
    must_change(kq, ends[0], EVFILT_READ, EV_DISABLE);
    must_see_nothing(kq);
    take_byte();
    must_change(kq, ends[0], EVFILT_READ, EV_ENABLE);
    must_see_nothing(kq);
}
END_TEST

/* Little room: what was left out comes next, edges too, and the kqueue stays readable. */
START_TEST(test_report__takes_turns)
{
    enum { MANY = 5 };
    int pipes[MANY][2];
    int seen[MANY] = {0};
    struct kevent event;

    open_all();
    for (int i = 0; i < MANY; i++) {
        must_be(pipe(pipes[i]), 0);
        must_be((int)write(pipes[i][1], "x", 1), 1);
        must_be(change(kq, pipes[i][0], EVFILT_READ, EV_ADD | (_i == 0 ? 0 : EV_CLEAR), &seen[i]),
                0);
    }
    for (int i = 0; i < MANY; i++) {
        must_poll(1);
        must_be(peek(kq, &event, 1), 1);
        ++*(int *)event.udata;
    }
    for (int i = 0; i < MANY; i++)
        must_be(seen[i], 1);
    must_poll(_i == 0 ? 1 : 0);
}
END_TEST

/* ---- user events ----------------------------------------------------------------------------- */

START_TEST(test_user__triggers_are_one)
{
    open_all();
    must_be(change(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, &first), 0);
    must_see_nothing(kq);
    must_be(trigger(kq, 7, 0, 0, &first), 0);
    must_be(trigger(kq, 7, 0, 0, &first), 0);
    must_poll(1);
    must(must_see(kq, 7, EVFILT_USER).udata == &first);
    must_poll(0);
    must_see_nothing(kq);
    must_be(trigger(kq, 7, 0, 0, NULL), 0);
    must(must_see(kq, 7, EVFILT_USER).udata == NULL); /* a bare trigger has taken it away */
    must_fail(trigger(kq, 8, 0, 0, NULL), ENOENT);
}
END_TEST

START_TEST(test_user__level_until_cleared)
{
    open_all();
    must_be(trigger(kq, 7, EV_ADD, 0, NULL), 0);
    for (int i = 0; i < 3; i++)
        must_see(kq, 7, EVFILT_USER);
    must_change(kq, 7, EVFILT_USER, EV_CLEAR);
    must_see_nothing(kq);
}
END_TEST

START_TEST(test_user__adding_with_clear_undoes_a_trigger)
{
    open_all();
    must_be(trigger(kq, 7, EV_ADD | EV_CLEAR, 0, NULL), 0);
    must_see(kq, 7, EVFILT_USER);
    must_be(trigger(kq, 7, EV_ADD | EV_CLEAR, 0, NULL), 0);
    must_see_nothing(kq);
}
END_TEST

START_TEST(test_user__flags_of_its_own)
{
    struct kevent event;

    open_all();
    EV_SET(&event, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0xF0, 0, NULL);
    must_be(kevent(kq, &event, 1, NULL, 0, NULL), 0);
    must_be(trigger(kq, 7, 0, NOTE_FFOR | 0x0F, NULL), 0);
    must_be((int)must_see(kq, 7, EVFILT_USER).fflags, 0xFF);
    must_be(trigger(kq, 7, 0, NOTE_FFAND | 0x3C, NULL), 0);
    must_be((int)must_see(kq, 7, EVFILT_USER).fflags, 0x3C);
    must_be(trigger(kq, 7, 0, NOTE_FFCOPY | 0x01, NULL), 0);
    must_be((int)must_see(kq, 7, EVFILT_USER).fflags, 0x01);
    must_be(trigger(kq, 7, 0, NOTE_FFNOP | 0x02, NULL), 0);
    must_be((int)must_see(kq, 7, EVFILT_USER).fflags, 0x01);
}
END_TEST

START_TEST(test_user__disabled_remembers)
{
    open_all();
    must_change(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR | EV_DISABLE);
    must_be(trigger(kq, 7, 0, 0, NULL), 0);
    must_poll(0);
    must_see_nothing(kq);
    must_change(kq, 7, EVFILT_USER, EV_ENABLE);
    must_see(kq, 7, EVFILT_USER);
    must_see_nothing(kq);
}
END_TEST

#define TRIGGERS 2000

static void *trigger_often(void *context)
{
    (void)context;
    for (int i = 0; i < TRIGGERS; i++)
        must_be(trigger(kq, 7, 0, 0, &first), 0);
    return NULL;
}

/* The last of them all is seen; where one is lost, this waits until it is late, and fails. */
START_TEST(test_user__from_threads)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];

    open_all();
    take_byte();
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_be(change(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, &first), 0);
    for (int i = 0; i < THREADS; i++)
        must_be(pthread_create(&threads[i], NULL, trigger_often, NULL), 0);
    for (int i = 0; i < 50; i++) {
        if (peek(kq, &(struct kevent){0}, 1) == 0)
            break;
    }
    for (int i = 0; i < THREADS; i++)
        must_be(pthread_join(threads[i], NULL), 0);
    must_be(trigger(kq, 7, 0, 0, &first), 0);
    must(must_see(kq, 7, EVFILT_USER).udata == &first);
    must_see_nothing(kq);
}
END_TEST

static void *trigger_once(void *context)
{
    const useconds_t *delay_us = context;

    usleep(*delay_us);
    must_be(trigger(kq, 7, 0, 0, NULL), 0);
    return NULL;
}

/* Before the wait, into it, while it goes to sleep. */
START_TEST(test_user__ends_a_wait)
{
    open_all();
    must_change(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR);
    for (useconds_t round = 0; round < 40; round++) {
        pthread_t thread;
        useconds_t delay_us = round * 10;
        must_be(pthread_create(&thread, NULL, trigger_once, &delay_us), 0);
        must_see(kq, 7, EVFILT_USER);
        must_be(pthread_join(thread, NULL), 0);
        must_see_nothing(kq);
    }
}
END_TEST

static TCase *tests(void)
{
    TCase *tests = tcase_create("kqueue reports");

    tcase_add_test(tests, test_report__level);
    tcase_add_test(tests, test_report__clear);
    tcase_add_test(tests, test_report__clear_of_both_filters);
    tcase_add_test(tests, test_report__oneshot);
    tcase_add_test(tests, test_report__dispatch);
    tcase_add_test(tests, test_report__disabled);
    tcase_add_loop_test(tests, test_report__takes_turns, 0, 2);
    tcase_add_test(tests, test_user__triggers_are_one);
    tcase_add_test(tests, test_user__level_until_cleared);
    tcase_add_test(tests, test_user__adding_with_clear_undoes_a_trigger);
    tcase_add_test(tests, test_user__flags_of_its_own);
    tcase_add_test(tests, test_user__disabled_remembers);
    tcase_add_test(tests, test_user__from_threads);
    tcase_add_test(tests, test_user__ends_a_wait);
    return tests;
}

int main(void)
{
    return suite_run_apart("kqueue reports", tests());
}

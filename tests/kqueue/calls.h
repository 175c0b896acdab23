/*
 * calls.h: kevent in the forms in which the shim's own tests call it.
 */
#ifndef TESTS_KQUEUE_CALLS_H
#define TESTS_KQUEUE_CALLS_H

#include <sys/event.h>

#include <check.h>
#include <errno.h>
#include <time.h>

#define must(condition) ck_assert(condition)
#define must_be(value, wanted) ck_assert_int_eq((value), (wanted))

/* Longer than anything takes that happens at all. */
#define LATE_SECONDS 60

/* Evaluates to kevent's answer, which must be -1, and checks errno. */
#define must_fail(call, error)   \
    do {                         \
        must_be((call), -1);     \
        must_be(errno, (error)); \
    } while (0)

static inline struct kevent entry(int ident, short filter, int flags, void *udata)
{
    struct kevent event;

    EV_SET(&event, ident, filter, flags, 0, 0, udata);
    return event;
}

/* One change, and no room for an answer. */
static inline int change(int kq, int ident, short filter, int flags, void *udata)
{
    const struct kevent event = entry(ident, filter, flags, udata);
    return kevent(kq, &event, 1, NULL, 0, NULL);
}

static inline void must_change(int kq, int ident, short filter, int flags)
{
    must_be(change(kq, ident, filter, flags, NULL), 0);
}

/* What is there now. */
static inline int peek(int kq, struct kevent *ret_events, int events_max)
{
    const struct timespec none = {0};
    return kevent(kq, NULL, 0, ret_events, events_max, &none);
}

static inline void must_see_nothing(int kq)
{
    struct kevent event;
    must_be(peek(kq, &event, 1), 0);
}

/* Waits for the one event that comes. */
static inline struct kevent must_see(int kq, int ident, short filter)
{
    const struct timespec late = {.tv_sec = LATE_SECONDS};
    struct kevent events[2];

    must_be(kevent(kq, NULL, 0, events, 2, &late), 1);
    must_be((int)events[0].ident, ident);
    must_be(events[0].filter, filter);
    must((events[0].flags & EV_ERROR) == 0);
    return events[0];
}

static inline int trigger(int kq, int ident, int flags, unsigned int fflags, void *udata)
{
    struct kevent event;

    EV_SET(&event, ident, EVFILT_USER, flags, fflags | NOTE_TRIGGER, 0, udata);
    return kevent(kq, &event, 1, NULL, 0, NULL);
}

#endif

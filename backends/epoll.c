/*
 * epoll.c: Linux's epoll as a poller for the readiness engine: the fallback where io_uring is
 * forbidden.
 *
 * The model: one epoll instance per loop, level-triggered unless the engine asks for edges. A
 * descriptor is registered while something of it is watched and unregistered otherwise, because a
 * registered one always tells of hang-ups. Wakes come by an eventfd that stays registered.
 */
#define _GNU_SOURCE 1 /* epoll_pwait2 */

#include "backends.h"
#include "eventfd.h"
#include "posix.h"
#include "readiness.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct epoll {
    int descriptor;
    int wake_descriptor;
    bool coarse; /* the kernel (before 5.11) waits in whole milliseconds only */
    struct epoll_event events[ORR__EVENTS_MAX];
};

/* ---- what is watched ------------------------------------------------------------------------- */

/* EPERM: what is always ready (a file, /dev/null) cannot be watched. What waits for it all the
 * same, a poll for a hang-up, ends with the error that io_uring gives it. */
static int control(const struct epoll *epoll, int operation, int32_t descriptor, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = descriptor}};

    if (epoll_ctl(epoll->descriptor, operation, descriptor, &event) == 0)
        return 0;
    return errno == EPERM ? -EINVAL : -errno;
}

static int epoll_arm(void *state, int32_t descriptor, uint8_t armed, uint8_t wanted)
{
    uint32_t events = 0;

    if ((wanted & ORR__WATCH_READ) != 0)
        events |= EPOLLIN;
    if ((wanted & ORR__WATCH_WRITE) != 0)
        events |= EPOLLOUT;
    if ((wanted & ORR__WATCH_EDGE) != 0)
        events |= EPOLLET;
    if (wanted == 0)
        return control(state, EPOLL_CTL_DEL, descriptor, 0);
    return control(state, armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, events);
}

/* Said, not left to the close: a duplicate of the descriptor, in a child process too, would keep
 * the registration alive. */
static void epoll_forget(void *state, int32_t descriptor, uint8_t armed)
{
    (void)armed;
    (void)control(state, EPOLL_CTL_DEL, descriptor, 0);
}

static bool epoll_pending(const void *state)
{
    (void)state;
    return false;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Rounded up: woken early, the loop would spin until the deadline. */
static int milliseconds(uint64_t sleep_ns)
{
    if (sleep_ns == ORR_WAIT_FOREVER)
        return -1;
    const uint64_t rounded = sleep_ns / ORR_MILLISECOND + (sleep_ns % ORR_MILLISECOND != 0);
    return rounded < INT_MAX ? (int)rounded : INT_MAX;
}

static int wait_for_events(struct epoll *epoll, uint64_t sleep_ns)
{
    if (!epoll->coarse && sleep_ns != 0 && sleep_ns != ORR_WAIT_FOREVER) {
        const struct timespec span = orr__posix_sleep_span(sleep_ns);
        const int count =
            epoll_pwait2(epoll->descriptor, epoll->events, ORR__EVENTS_MAX, &span, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        epoll->coarse = true; /* an old kernel, or a filter that does not know the call */
    }
    return epoll_wait(epoll->descriptor, epoll->events, ORR__EVENTS_MAX, milliseconds(sleep_ns));
}

static struct orr__event report_of(const struct epoll_event *event)
{
    const bool broken = (event->events & (EPOLLERR | EPOLLHUP)) != 0;
    const bool reads = broken || (event->events & EPOLLIN) != 0;
    const bool writes = broken || (event->events & EPOLLOUT) != 0;

    return (struct orr__event){
        .descriptor = event->data.fd,
        .ready = (uint8_t)((reads ? ORR__WATCH_READ : 0u) | (writes ? ORR__WATCH_WRITE : 0u)),
    };
}

static int epoll_look(void *state, uint64_t sleep_ns, struct orr__event *ret_events)
{
    struct epoll *epoll = state;
    const int count = wait_for_events(epoll, sleep_ns);

    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        ret_events[i] = report_of(&epoll->events[i]);
        if (ret_events[i].descriptor != epoll->wake_descriptor)
            continue;
        orr__eventfd_empty(epoll->wake_descriptor);
        ret_events[i].descriptor = ORR__EVENT_WAKE;
    }
    return count;
}

static void epoll_wake(void *state)
{
    const struct epoll *epoll = state;

    orr__eventfd_signal(epoll->wake_descriptor);
}

static int epoll_descriptor(const void *state)
{
    const struct epoll *epoll = state;

    return epoll->descriptor;
}

/* ---- open, close ----------------------------------------------------------------------------- */

static void epoll_close(void *state)
{
    struct epoll *epoll = state;

    if (epoll->wake_descriptor >= 0)
        (void)close(epoll->wake_descriptor);
    if (epoll->descriptor >= 0)
        (void)close(epoll->descriptor);
    free(epoll);
}

static int set_up(struct epoll *epoll)
{
    epoll->descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->descriptor < 0)
        return -errno;
    epoll->wake_descriptor = orr__eventfd_open();
    if (epoll->wake_descriptor < 0)
        return epoll->wake_descriptor;
    return control(epoll, EPOLL_CTL_ADD, epoll->wake_descriptor, EPOLLIN);
}

static int epoll_open(const struct orr_options *options, void **ret_state)
{
    struct epoll *epoll = calloc(1, sizeof *epoll);

    if (epoll == NULL) {
        orr_options_error(options, "no memory for an epoll instance");
        return -ENOMEM;
    }
    epoll->descriptor = -1;
    epoll->wake_descriptor = -1;
    const int error = set_up(epoll);
    if (error < 0) {
        epoll_close(epoll);
        orr__posix_explain_descriptors(options, "an epoll instance", error);
        return error;
    }
    *ret_state = epoll;
    return 0;
}

/* ---- the backend ----------------------------------------------------------------------------- */

static const struct orr__poller poller = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .arm = epoll_arm,
    .pending = epoll_pending,
    .forget = epoll_forget,
    .wait = epoll_look,
    .wake = epoll_wake,
    .descriptor = epoll_descriptor,
};

static int open_backend(const struct orr_options *options, void *argument, void **ret_state)
{
    (void)argument;
    return orr__readiness_open(options, &poller, ret_state);
}

const struct orr_backend orr__epoll = {
    .name = "epoll",
    .open = open_backend,
    ORR__READINESS_HOOKS,
};

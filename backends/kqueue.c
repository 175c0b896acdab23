/*
 * kqueue.c: the BSDs' and macOS' kqueue as a poller for the readiness engine.
 *
 * The model: one kqueue per loop. A direction is watched by a one-shot event, so nothing has to be
 * taken back when it fires. Changes are collected and handed over by the same kevent call that
 * waits. Wakes are an EVFILT_USER event, or a pipe where there is none.
 *
 * Invariants: the system keeps one event per (descriptor, filter), so the engine's watch stands
 * behind it and never an operation; udata is not used. There is always room in the list of reports
 * for an error of each change, so none is applied unnoticed. A descriptor with changes that wait is
 * forgotten before it is closed: its changes are struck out.
 *
 * What differs between systems where it bites:
 *   - The list of reports must have room: NetBSD hangs on a negative count.
 *   - macOS refuses time-outs of years: they are cut to a day.
 *   - An error of a change is told by EV_ERROR alone; which other flags it carries differs.
 *   - Deleting what has fired answers ENOENT everywhere: no error for us.
 *   - OpenBSD before 7.7 has no EVFILT_USER: a pipe wakes there.
 *   - NetBSD before 10 has an integer in udata: it is left 0.
 *   - macOS cannot watch most devices (EINVAL): the operations on them end with that.
 */
#define _GNU_SOURCE 1

#include "backends.h"
#include "posix.h"
#include "readiness.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#define CHANGES_MAX ORR__EVENTS_MAX
/* One arm makes up to this many. */
#define CHANGES_PER_ARM 4

/* The number of the wake event: numbers of another filter cannot collide, but a large one is told
 * apart from a descriptor at sight. */
#define WAKE_IDENT 0x6f7272u

struct kqueue {
    int descriptor;
    int wake_reader; /* -1 where EVFILT_USER does it */
    int wake_writer;
    int change_count;
    struct kevent changes[CHANGES_MAX];
    struct kevent events[ORR__EVENTS_MAX];
};

/* ---- what is watched ------------------------------------------------------------------------- */

static void change(struct kqueue *kqueue, int32_t descriptor, int filter, unsigned flags)
{
    struct kevent *event = &kqueue->changes[kqueue->change_count++];

    EV_SET(event, (uintptr_t)descriptor, (short)filter, (unsigned short)flags, 0, 0, 0);
}

/*
 * Told only of hang-ups means: of each arrival once (EV_CLEAR), since no filter tells of the one
 * without the other. An event keeps that flag when it is added again, so it is deleted first.
 */
static int kqueue_arm(void *state, int32_t descriptor, uint8_t armed, uint8_t wanted)
{
    struct kqueue *kqueue = state;
    const unsigned added = wanted & ~(unsigned)armed;
    const unsigned removed = armed & ~(unsigned)wanted;

    if (kqueue->change_count > CHANGES_MAX - CHANGES_PER_ARM)
        return ORR__POLLER_FULL;
    if ((removed & (ORR__WATCH_READ | ORR__WATCH_HANGUP)) != 0)
        change(kqueue, descriptor, EVFILT_READ, EV_DELETE);
    if ((removed & ORR__WATCH_WRITE) != 0)
        change(kqueue, descriptor, EVFILT_WRITE, EV_DELETE);
    if ((added & ORR__WATCH_READ) != 0)
        change(kqueue, descriptor, EVFILT_READ, EV_ADD | EV_ONESHOT);
    else if ((added & ORR__WATCH_HANGUP) != 0)
        change(kqueue, descriptor, EVFILT_READ, EV_ADD | EV_CLEAR);
    if ((added & ORR__WATCH_WRITE) != 0)
        change(kqueue, descriptor, EVFILT_WRITE, EV_ADD | EV_ONESHOT);
    return 0;
}

static bool kqueue_pending(const void *state)
{
    const struct kqueue *kqueue = state;

    return kqueue->change_count > 0;
}

/* libkqueue, which stands for the system's kqueue on Linux, does not hear of a close: it would go
 * on with the next file of that number as if it were this one. */
static void delete_events(const struct kqueue *kqueue, int32_t descriptor, uint8_t armed)
{
#if defined(__linux__)
    struct kevent event;

    if ((armed & (ORR__WATCH_READ | ORR__WATCH_HANGUP)) != 0) {
        EV_SET(&event, (uintptr_t)descriptor, EVFILT_READ, EV_DELETE, 0, 0, 0);
        (void)kevent(kqueue->descriptor, &event, 1, NULL, 0, NULL);
    }
    if ((armed & ORR__WATCH_WRITE) != 0) {
        EV_SET(&event, (uintptr_t)descriptor, EVFILT_WRITE, EV_DELETE, 0, 0, 0);
        (void)kevent(kqueue->descriptor, &event, 1, NULL, 0, NULL);
    }
#else
    (void)kqueue;
    (void)descriptor;
    (void)armed;
#endif
}

/* The close drops its events; its changes must not meet whoever gets the number next. */
static void kqueue_forget(void *state, int32_t descriptor, uint8_t armed)
{
    struct kqueue *kqueue = state;
    int kept = 0;

    delete_events(kqueue, descriptor, armed);
    for (int i = 0; i < kqueue->change_count; i++) {
        if (kqueue->changes[i].ident != (uintptr_t)descriptor)
            kqueue->changes[kept++] = kqueue->changes[i];
    }
    kqueue->change_count = kept;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* False if the report means nothing to anybody. */
static bool translate(struct kqueue *kqueue, const struct kevent *event, struct orr__event *ret)
{
    const bool reads = event->filter == EVFILT_READ;

    *ret = (struct orr__event){
        .descriptor = (int32_t)event->ident,
        .ready = reads ? ORR__WATCH_READ : ORR__WATCH_WRITE,
    };
    if ((event->flags & EV_ERROR) != 0) {
        ret->failed = (int32_t)event->data;
        return event->data != 0 && event->data != ENOENT;
    }
    if ((event->flags & EV_EOF) != 0)
        ret->error = (int32_t)event->fflags;
#if defined(EVFILT_USER)
    if (event->filter == EVFILT_USER)
        ret->descriptor = ORR__EVENT_WAKE;
#endif
    if (kqueue->wake_reader >= 0 && ret->descriptor == kqueue->wake_reader) {
        char bytes[64];
        while (read(kqueue->wake_reader, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
            continue;
        ret->descriptor = ORR__EVENT_WAKE;
    }
    return true;
}

/* The changes are taken even when a signal ends the call: only a refused call leaves them. */
static int kqueue_look(void *state, uint64_t sleep_ns, struct orr__event *ret_events)
{
    struct kqueue *kqueue = state;
    const struct timespec span = orr__posix_sleep_span(sleep_ns);
    const int changes = kqueue->change_count;
    int reports = 0;

    const int count = kevent(kqueue->descriptor, kqueue->changes, changes, kqueue->events,
                             ORR__EVENTS_MAX, sleep_ns == ORR_WAIT_FOREVER ? NULL : &span);
    if (count < 0 && errno != EINTR)
        return -errno;
    kqueue->change_count = 0;
    for (int i = 0; i < count; i++)
        reports += translate(kqueue, &kqueue->events[i], &ret_events[reports]) ? 1 : 0;
    return reports;
}

static int kqueue_descriptor(const void *state)
{
    const struct kqueue *kqueue = state;

    return kqueue->descriptor;
}

/* ---- wake ------------------------------------------------------------------------------------ */

static void kqueue_wake(void *state)
{
    const struct kqueue *kqueue = state;
    const int error = errno;

    if (kqueue->wake_writer >= 0)
        (void)!write(kqueue->wake_writer, "", 1);
#if defined(EVFILT_USER)
    else {
        struct kevent trigger;
        EV_SET(&trigger, WAKE_IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
        (void)kevent(kqueue->descriptor, &trigger, 1, NULL, 0, NULL);
    }
#endif
    errno = error;
}

#if defined(EVFILT_USER)

static int set_up_wake(struct kqueue *kqueue)
{
    struct kevent event;

    EV_SET(&event, WAKE_IDENT, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 0);
    return kevent(kqueue->descriptor, &event, 1, NULL, 0, NULL) == 0 ? 0 : -errno;
}

#else

static int set_up_wake(struct kqueue *kqueue)
{
    struct kevent event;
    int ends[2];

    if (pipe(ends) != 0)
        return -errno;
    kqueue->wake_reader = ends[0];
    kqueue->wake_writer = ends[1];
    for (int i = 0; i < 2; i++) {
        if (orr__posix_adopt(NULL, ends[i]) < 0 || orr__descriptor_block(ends[i], false) < 0)
            return -errno;
    }
    EV_SET(&event, kqueue->wake_reader, EVFILT_READ, EV_ADD, 0, 0, 0);
    return kevent(kqueue->descriptor, &event, 1, NULL, 0, NULL) == 0 ? 0 : -errno;
}

#endif

/* ---- open, close ----------------------------------------------------------------------------- */

static void kqueue_close(void *state)
{
    struct kqueue *kqueue = state;

    if (kqueue->wake_reader >= 0)
        (void)close(kqueue->wake_reader);
    if (kqueue->wake_writer >= 0)
        (void)close(kqueue->wake_writer);
    if (kqueue->descriptor >= 0)
        (void)close(kqueue->descriptor);
    free(kqueue);
}

static int set_up(struct kqueue *state)
{
    state->descriptor = kqueue();
    if (state->descriptor < 0)
        return -errno;
    const int adopted = orr__posix_adopt(NULL, state->descriptor); /* close-on-exec */
    return adopted < 0 ? adopted : set_up_wake(state);
}

static int kqueue_open(const struct orr_options *options, void **ret_state)
{
    struct kqueue *state = calloc(1, sizeof *state);

    if (state == NULL) {
        orr_options_error(options, "no memory for a kqueue");
        return -ENOMEM;
    }
    state->descriptor = -1;
    state->wake_reader = -1;
    state->wake_writer = -1;
    const int error = set_up(state);
    if (error < 0) {
        kqueue_close(state);
        orr__posix_explain_descriptors(options, "a kqueue", error);
        return error;
    }
    *ret_state = state;
    return 0;
}

/* ---- the backend ----------------------------------------------------------------------------- */

static const struct orr__poller poller = {
    .name = "kqueue",
    .one_shot = true,
    .open = kqueue_open,
    .close = kqueue_close,
    .arm = kqueue_arm,
    .pending = kqueue_pending,
    .forget = kqueue_forget,
    .wait = kqueue_look,
    .wake = kqueue_wake,
    .descriptor = kqueue_descriptor,
};

static int open_backend(const struct orr_options *options, void *argument, void **ret_state)
{
    (void)argument;
    return orr__readiness_open(options, &poller, ret_state);
}

const struct orr_backend orr__kqueue = {
    .name = "kqueue",
    .open = open_backend,
    ORR__READINESS_HOOKS,
};

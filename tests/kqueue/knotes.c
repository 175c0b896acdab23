/*
 * knotes.c: see knotes.h.
 *
 * The model: epoll says where to look, condition.c whether the filter is ready. A knote that is
 * reported while it is ready is watched level-triggered; with EV_CLEAR edge-triggered, for BSD too
 * activates such a knote with each arrival (comparing counts of bytes would miss an arrival as
 * large as what was read meanwhile). Where epoll finds ready what BSD does not, the knote is
 * watched edge-triggered until its condition holds: so no wait spins. A disabled knote is not
 * watched.
 *
 * Edges that were taken but not reported, triggered user events and files, which epoll does not
 * take, keep `own` readable: poll(2) of the kqueue says what kevent would find. It may say so once
 * too often, for what epoll finds ready and BSD does not.
 */
#define _GNU_SOURCE 1

#include "knotes.h"

#include "condition.h"
#include "kqueue_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- knotes ---------------------------------------------------------------------------------- */

static int side_of(const struct knote *knote)
{
    return knote->event.filter == EVFILT_READ ? SIDE_READ : SIDE_WRITE;
}

static struct knote *find(struct knotes *kq, uintptr_t ident, short filter)
{
    for (size_t i = 0; i < kq->high; i++) {
        struct knote *knote = &kq->table[i];
        if (knote->alive && knote->event.ident == ident && knote->event.filter == filter)
            return knote;
    }
    return NULL;
}

/* Lets epoll look again even if nothing changes: what is ready now is an edge. */
static int watch(struct knotes *kq, struct knote *knote, enum watch wanted)
{
    const int side = side_of(knote);
    struct epoll_event event = {.data.fd = (int)knote->event.ident};
    int action = knote->watch == WATCH_NOT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (knote->event.filter == EVFILT_USER || knote->watch == WATCH_FILE)
        return 0;
    if (wanted == WATCH_NOT && knote->watch == WATCH_NOT)
        return 0;
    if (wanted == WATCH_NOT)
        action = EPOLL_CTL_DEL;
    event.events = side == SIDE_READ ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
    if (wanted == WATCH_EDGE)
        event.events |= EPOLLET;
    if (epoll_ctl(kq->sides[side], action, event.data.fd, &event) == 0)
        knote->watch = wanted;
    else if (errno == EPERM)
        knote->watch = WATCH_FILE;
    else
        return errno;
    return 0;
}

static int watch_as_flagged(struct knotes *kq, struct knote *knote)
{
    return watch(kq, knote, (knote->event.flags & EV_CLEAR) != 0 ? WATCH_EDGE : WATCH_LEVEL);
}

static void disable(struct knotes *kq, struct knote *knote)
{
    (void)watch(kq, knote, WATCH_NOT);
    knote->enabled = false;
    if (knote->event.filter != EVFILT_USER)
        knote->hit = false;
}

static void drop(struct knotes *kq, struct knote *knote)
{
    (void)watch(kq, knote, WATCH_NOT);
    knote->alive = false;
    kqueue_shim.knotes--;
    while (kq->high > 0 && !kq->table[kq->high - 1].alive)
        kq->high--;
}

/* ---- changes --------------------------------------------------------------------------------- */

static int refusal(const struct knotes *kq, const struct kevent *change)
{
    struct stat status;

    if (change->filter == EVFILT_USER)
        return 0;
    if (change->ident > INT_MAX || fstat((int)change->ident, &status) != 0)
        return EBADF;
    if ((int)change->ident == kq->descriptor)
        return EINVAL;
    if (change->filter == EVFILT_WRITE && S_ISFIFO(status.st_mode) &&
        condition_of_write((int)change->ident).eof)
        return EPIPE;
    return 0;
}

static struct knote *free_slot(struct knotes *kq)
{
    for (size_t i = 0; i < KNOTES_MAX; i++) {
        if (!kq->table[i].alive) {
            kq->high = i < kq->high ? kq->high : i + 1;
            return &kq->table[i];
        }
    }
    return NULL;
}

static int add(struct knotes *kq, const struct kevent *change)
{
    const int refused = refusal(kq, change);
    struct knote *knote = refused == 0 ? free_slot(kq) : NULL;

    if (knote == NULL)
        return refused != 0 ? refused : ENOMEM;
    *knote = (struct knote){.alive = true, .event = *change};
    kqueue_shim.knotes++;
    knote->event.flags &= EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_RECEIPT;
    knote->event.fflags &= NOTE_FFLAGSMASK;
    knote->enabled = (change->flags & EV_DISABLE) == 0;
    knote->hit = change->filter == EVFILT_USER && (change->fflags & NOTE_TRIGGER) != 0;
    const int failed = knote->enabled ? watch_as_flagged(kq, knote) : 0;
    if (failed != 0)
        drop(kq, knote);
    return failed;
}

static void touch_user(struct knote *knote, const struct kevent *change)
{
    const unsigned int flags = change->fflags & NOTE_FFLAGSMASK;

    switch (change->fflags & NOTE_FFCTRLMASK) {
    case NOTE_FFAND:
        knote->event.fflags &= flags;
        break;
    case NOTE_FFOR:
        knote->event.fflags |= flags;
        break;
    case NOTE_FFCOPY:
        knote->event.fflags = flags;
        break;
    default:
        break;
    }
    knote->event.data = change->data;
    if ((change->fflags & NOTE_TRIGGER) != 0)
        knote->hit = true;
    if ((change->flags & EV_CLEAR) != 0)
        knote->hit = false;
}

static int modify(struct knotes *kq, struct knote *knote, const struct kevent *change)
{
    knote->event.udata = change->udata;
    if (change->filter == EVFILT_USER)
        touch_user(knote, change);
    if ((change->flags & EV_ENABLE) != 0)
        knote->enabled = true;
    else if ((change->flags & EV_DISABLE) != 0)
        disable(kq, knote);
    return knote->enabled ? watch_as_flagged(kq, knote) : 0;
}

int knotes_change(struct knotes *kq, const struct kevent *change)
{
    struct knote *knote = find(kq, change->ident, change->filter);

    if (change->filter != EVFILT_READ && change->filter != EVFILT_WRITE &&
        change->filter != EVFILT_USER)
        return EINVAL;
    if (knote == NULL)
        return (change->flags & EV_ADD) != 0 ? add(kq, change) : ENOENT;
    if ((change->flags & EV_DELETE) == 0)
        return modify(kq, knote, change);
    drop(kq, knote);
    return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void take_hits(struct knotes *kq, int side)
{
    const short filter = side == SIDE_READ ? EVFILT_READ : EVFILT_WRITE;
    const int count = epoll_wait(kq->sides[side], kq->hits, KNOTES_MAX, 0);

    for (int i = 0; i < count; i++) {
        struct knote *knote = find(kq, (uintptr_t)kq->hits[i].data.fd, filter);
        if (knote != NULL)
            knote->hit = true;
    }
}

static bool condition_holds(const struct knote *knote, struct kevent *ret_event)
{
    const int descriptor = (int)knote->event.ident;
    const struct condition condition = knote->event.filter == EVFILT_READ
                                           ? condition_of_read(descriptor)
                                           : condition_of_write(descriptor);

    *ret_event = knote->event;
    ret_event->data = condition.data;
    ret_event->fflags = condition.error;
    if (condition.eof)
        ret_event->flags |= EV_EOF;
    return condition.ready;
}

static bool is_ready(struct knotes *kq, struct knote *knote, struct kevent *ret_event)
{
    if (!knote->alive || !knote->enabled || (!knote->hit && knote->watch != WATCH_FILE))
        return false;
    if (knote->event.filter == EVFILT_USER) {
        *ret_event = knote->event;
        return true;
    }
    knote->hit = false;
    if (condition_holds(knote, ret_event))
        return true;
    if (knote->watch == WATCH_LEVEL)
        (void)watch(kq, knote, WATCH_EDGE);
    return false;
}

static void after_report(struct knotes *kq, struct knote *knote)
{
    if ((knote->event.flags & EV_CLEAR) != 0)
        knote->hit = false;
    if ((knote->event.flags & EV_ONESHOT) != 0)
        drop(kq, knote);
    else if ((knote->event.flags & EV_DISPATCH) != 0)
        disable(kq, knote);
    else if ((knote->event.flags & EV_CLEAR) == 0 && knote->watch == WATCH_EDGE)
        (void)watch(kq, knote, WATCH_LEVEL);
}

int knotes_report(struct knotes *kq, struct kevent *events, int events_max)
{
    take_hits(kq, SIDE_READ);
    take_hits(kq, SIDE_WRITE);
    const size_t first = kq->cursor < kq->high ? kq->cursor : 0;
    const size_t count = kq->high;
    struct kevent event;
    int reported = 0;

    for (size_t i = 0; i < count && reported < events_max; i++) {
        const size_t at = (first + i) % count;
        if (!is_ready(kq, &kq->table[at], &event))
            continue;
        events[reported++] = event;
        after_report(kq, &kq->table[at]);
        kq->cursor = at + 1;
    }
    return reported;
}

void knotes_settle(struct knotes *kq)
{
    struct kevent event;
    uint64_t number = 1;
    bool more = false;

    for (size_t i = 0; i < kq->high; i++) {
        struct knote *knote = &kq->table[i];
        if (!knote->alive || !knote->enabled)
            continue;
        if (knote->watch == WATCH_LEVEL)
            knote->hit = false;
        more = more || knote->hit || (knote->watch == WATCH_FILE && condition_holds(knote, &event));
    }
    if (more == kq->own_readable)
        return;
    kq->own_readable = more;
    if ((more ? write(kq->own, &number, sizeof number) : read(kq->own, &number, sizeof number)) < 0)
        abort();
}

/* ---- opening and closing --------------------------------------------------------------------- */

void knotes_forget(struct knotes *kq, int descriptor)
{
    for (size_t i = 0; i < kq->high; i++) {
        struct knote *knote = &kq->table[i];
        if (knote->alive && knote->event.filter != EVFILT_USER &&
            knote->event.ident == (uintptr_t)descriptor)
            drop(kq, knote);
    }
}

static void close_if_open(int descriptor)
{
    if (descriptor >= 0)
        __real_close(descriptor);
}

void knotes_close(struct knotes *kq)
{
    for (size_t i = 0; i < kq->high; i++)
        kqueue_shim.knotes -= kq->table[i].alive ? 1 : 0;
    for (int side = 0; side < SIDES; side++)
        close_if_open(kq->sides[side]);
    close_if_open(kq->own);
}

static bool include(const struct knotes *kq, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(kq->descriptor, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static bool open_parts(struct knotes *kq)
{
    kq->descriptor = epoll_create1(0);
    kq->own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool opened = kq->descriptor >= 0 && kq->own >= 0 && include(kq, kq->own);
    for (int side = 0; side < SIDES && opened; side++) {
        kq->sides[side] = epoll_create1(EPOLL_CLOEXEC);
        opened = kq->sides[side] >= 0 && include(kq, kq->sides[side]);
    }
    return opened;
}

int knotes_open(struct knotes *kq)
{
    memset(kq, 0, sizeof *kq);
    kq->sides[SIDE_READ] = kq->sides[SIDE_WRITE] = -1;
    if (open_parts(kq))
        return 0;
    const int error = errno;
    knotes_close(kq);
    close_if_open(kq->descriptor);
    return error;
}

/*
 * kqueue.c: BSD's kqueue on Linux, for tests: strict where programs go wrong.
 *
 * The model: knotes.c has the knotes of each kqueue; here are the calls: faults, the change list,
 * then the wait. Traps are kept as on BSD, by the manual pages, and by what the kernels do where
 * those are silent or too kind:
 *
 * - One knote for each (ident, filter). Adding it again, enabling, disabling and triggering it
 *   replace udata. Adding again changes neither EV_CLEAR nor EV_ONESHOT, nor does it enable a
 *   disabled knote: that takes EV_ENABLE. EV_CLEAR with a trigger undoes the trigger, but for the
 *   call that makes the knote.
 * - Changes are applied in order, then events are waited for. What fails is an EV_ERROR entry, and
 *   then kevent neither waits nor reports events; without room for the entry, kevent fails there
 *   and then and leaves the rest undone (a receipt without room also ends the call, with what it
 *   has).
 * - Without room for events kevent never waits. Interrupted, it fails with changes applied.
 * - EVFILT_WRITE of a pipe without readers cannot be added (EPIPE); an older knote reports EV_EOF.
 * - Closing a descriptor drops its knotes, duplicates or not, without a word.
 * - A timeout over TIMEOUT_SECONDS_MAX is invalid (macOS).
 * - Descriptors of kqueues are not close-on-exec.
 *
 * What differs: knotes are dropped by close, dup2 and dup3 as this program calls them, not by what
 * the C library closes inside; a file that grows wakes no waiting kevent, and EV_CLEAR means
 * nothing to files; EV_DELETE for a closed number is ENOENT (macOS; FreeBSD: EBADF); a child
 * inherits its parent's kqueue.
 *
 * Invariants: all state is under `lock`, which is released only while the kernel waits. Signals are
 * blocked under it, so that a handler may trigger and close; ppoll lets them in. After kqueue()
 * nothing is allocated.
 */
#define _GNU_SOURCE 1

#include <sys/event.h>

#include "knotes.h"
#include "kqueue_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define KQUEUES_MAX 64
#define TIMEOUT_SECONDS_MAX 100000000

/* The arguments of kevent. */
struct call {
    const struct kevent *changes;
    int changes_count;
    struct kevent *events;
    int events_max;
    const struct timespec *timeout;
    const sigset_t *signals; /* blocked by the caller */
};

struct kqueue_shim kqueue_shim;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct knotes *kqueues[KQUEUES_MAX];

int __wrap_close(int descriptor);
int __real_dup2(int from, int to);
int __wrap_dup2(int from, int to);
int __real_dup3(int from, int to, int flags);
int __wrap_dup3(int from, int to, int flags);

static void enter(sigset_t *ret_signals)
{
    sigset_t all;

    sigfillset(&all);
    sigdelset(&all, SIGSEGV); /* a sanitizer's report */
    pthread_sigmask(SIG_SETMASK, &all, ret_signals);
    pthread_mutex_lock(&lock);
}

static void leave(const sigset_t *signals)
{
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, signals, NULL);
}

static int strikes(struct kqueue_shim_fault *fault)
{
    return fault->in > 0 && --fault->in == 0 ? fault->error : 0;
}

/* ---- changes --------------------------------------------------------------------------------- */

static int change_one(struct knotes *kq, const struct kevent *change)
{
    const int fault = strikes(&kqueue_shim.change);

    kqueue_shim.changes++;
    return fault != 0 ? fault : knotes_change(kq, change);
}

/* The number of EV_ERROR entries or -errno; *ret_go_on: all are applied, and events may follow. */
static int apply_all(struct knotes *kq, const struct call *call, bool *ret_go_on)
{
    int entries = 0;

    *ret_go_on = false;
    for (int i = 0; i < call->changes_count; i++) {
        const struct kevent change = call->changes[i]; /* it may lie where an entry goes */
        const int error = change_one(kq, &change);
        if (error == 0 && (change.flags & EV_RECEIPT) == 0)
            continue;
        if (entries == call->events_max)
            return error != 0 ? -error : entries;
        call->events[entries] = change;
        call->events[entries].flags = (unsigned short)((change.flags & ~EV_SYSFLAGS) | EV_ERROR);
        call->events[entries].data = error;
        entries++;
    }
    *ret_go_on = entries == 0;
    return entries;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int look(struct knotes *kq, const struct call *call)
{
    const int limit = kqueue_shim.events_max;
    const int events_max = limit > 0 && limit < call->events_max ? limit : call->events_max;

    kqueue_shim.looks++;
    const int reported = knotes_report(kq, call->events, events_max);
    knotes_settle(kq);
    return reported;
}

#define SECOND_NS 1000000000

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* Without the lock. 1 = something happened, 0 = the time has come (INT64_MAX: never), or -errno. */
static int sleep_until(const struct knotes *kq, const sigset_t *signals, int64_t deadline_ns)
{
    struct pollfd poller = {.fd = kq->descriptor, .events = POLLIN};
    const int64_t left_ns = deadline_ns - now_ns();
    const struct timespec left = {.tv_sec = left_ns / SECOND_NS, .tv_nsec = left_ns % SECOND_NS};

    if (left_ns <= 0)
        return 0;
    kqueue_shim.sleeps++;
    pthread_mutex_unlock(&lock);
    const int count = ppoll(&poller, 1, deadline_ns == INT64_MAX ? NULL : &left, signals);
    const int error = errno;
    pthread_mutex_lock(&lock);
    return count < 0 ? -error : count;
}

static int wait_for_events(struct knotes *kq, const struct call *call)
{
    const struct timespec *timeout = call->timeout;
    int64_t deadline_ns = INT64_MAX;

    if (timeout != NULL)
        deadline_ns = now_ns() + (int64_t)timeout->tv_sec * SECOND_NS + timeout->tv_nsec;
    for (;;) {
        const int reported = look(kq, call);
        if (reported > 0)
            return reported;
        const int slept = sleep_until(kq, call->signals, deadline_ns);
        if (slept <= 0)
            return slept;
    }
}

static bool may_wait(const struct call *call)
{
    const struct timespec *timeout = call->timeout;
    return call->events_max > 0 && (timeout == NULL || timeout->tv_sec > 0 || timeout->tv_nsec > 0);
}

static bool interrupts(enum kqueue_shim_interrupt when, const struct call *call)
{
    if (kqueue_shim.interrupt != when || !may_wait(call))
        return false;
    kqueue_shim.interrupt = KQUEUE_SHIM_UNDISTURBED;
    return true;
}

static int change_and_wait(struct knotes *kq, const struct call *call)
{
    bool go_on;

    if (interrupts(KQUEUE_SHIM_BEFORE_CHANGES, call))
        return -EINTR;
    const int entries = apply_all(kq, call, &go_on);
    knotes_settle(kq);
    if (!go_on || call->events_max == 0)
        return entries;
    if (interrupts(KQUEUE_SHIM_AFTER_CHANGES, call))
        return -EINTR;
    if (kqueue_shim.hasty && may_wait(call)) {
        kqueue_shim.hasty = false;
        return 0;
    }
    return wait_for_events(kq, call);
}

static bool is_valid(const struct call *call)
{
    const struct timespec *timeout = call->timeout;

    if (call->changes_count < 0 || call->events_max < 0)
        return false;
    return timeout == NULL || (timeout->tv_sec >= 0 && timeout->tv_sec <= TIMEOUT_SECONDS_MAX &&
                               timeout->tv_nsec >= 0 && timeout->tv_nsec < SECOND_NS);
}

static int kevent_locked(int descriptor, const struct call *call)
{
    const int fault = strikes(&kqueue_shim.kevent);

    kqueue_shim.kevents++;
    if (fault != 0)
        return -fault;
    for (size_t i = 0; i < KQUEUES_MAX; i++) {
        if (kqueues[i] != NULL && kqueues[i]->descriptor == descriptor)
            return is_valid(call) ? change_and_wait(kqueues[i], call) : -EINVAL;
    }
    return -EBADF;
}

int kevent(int kq, const struct kevent *changelist, int nchanges, struct kevent *eventlist,
           int nevents, const struct timespec *timeout)
{
    sigset_t signals;
    const struct call call = {changelist, nchanges, eventlist, nevents, timeout, &signals};

    const int before = errno;
    enter(&signals);
    const int result = kevent_locked(kq, &call);
    leave(&signals);
    errno = result < 0 ? -result : before;
    return result < 0 ? -1 : result;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static int kqueue_locked(void)
{
    const int fault = strikes(&kqueue_shim.kqueue);
    size_t at = 0;

    kqueue_shim.kqueues++;
    while (at < KQUEUES_MAX && kqueues[at] != NULL)
        at++;
    if (fault != 0 || at == KQUEUES_MAX)
        return fault != 0 ? -fault : -EMFILE;
    struct knotes *kq = malloc(sizeof *kq);
    const int error = kq != NULL ? knotes_open(kq) : ENOMEM;
    if (error == 0) {
        kqueues[at] = kq;
        return kq->descriptor;
    }
    free(kq);
    return -error;
}

int kqueue(void)
{
    sigset_t signals;

    enter(&signals);
    const int result = kqueue_locked();
    leave(&signals);
    if (result < 0)
        errno = -result;
    return result < 0 ? -1 : result;
}

static void forget(int descriptor)
{
    sigset_t signals;

    enter(&signals);
    for (size_t i = 0; i < KQUEUES_MAX; i++) {
        struct knotes *kq = kqueues[i];
        if (kq == NULL)
            continue;
        knotes_forget(kq, descriptor);
        knotes_settle(kq);
        if (kq->descriptor == descriptor) {
            knotes_close(kq);
            free(kq);
            kqueues[i] = NULL;
        }
    }
    leave(&signals);
}

int __wrap_close(int descriptor)
{
    forget(descriptor);
    return __real_close(descriptor);
}

int __wrap_dup2(int from, int to)
{
    if (from != to && fcntl(from, F_GETFD) >= 0)
        forget(to);
    return __real_dup2(from, to);
}

int __wrap_dup3(int from, int to, int flags)
{
    if (from != to && fcntl(from, F_GETFD) >= 0)
        forget(to);
    return __real_dup3(from, to, flags);
}

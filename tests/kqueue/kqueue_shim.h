/*
 * kqueue_shim.h: kqueue on Linux as tests see it: what its calls shall answer, and what happened.
 *
 *     program --> kqueue, kevent ----------------> kqueue.c --> knotes.c --> epoll, eventfd
 *            \--> close, dup2, dup3 (ld --wrap) --/                   \--> condition.c --> poll
 *
 * The model: kqueue.c says what it does as BSD does, and where it cannot. Tests fill in the struct
 * below; it is as on a willing machine when a test starts, because Check gives every test a process
 * of its own. Faults strike once and are then gone. While other threads trigger events, only the
 * shim touches the struct.
 */
#ifndef TESTS_KQUEUE_SHIM_H
#define TESTS_KQUEUE_SHIM_H

#include <stdbool.h>
#include <stdint.h>

/* One call of a kind shall fail. */
struct kqueue_shim_fault {
    uint32_t in; /* 1 = the next call, 2 = the one after it, ...; 0 = none */
    int error;   /* its errno */
};

enum kqueue_shim_interrupt {
    KQUEUE_SHIM_UNDISTURBED,
    KQUEUE_SHIM_BEFORE_CHANGES,
    KQUEUE_SHIM_AFTER_CHANGES,
};

struct kqueue_shim {
    struct kqueue_shim_fault kqueue; /* of kqueue() */
    struct kqueue_shim_fault kevent; /* of kevent(), before it has done anything; any thread's */
    struct kqueue_shim_fault change; /* of the entries of change lists; not applied, EV_ERROR */

    /* Of calls that could wait: they have room for events and no timeout of 0. */
    enum kqueue_shim_interrupt interrupt; /* the next one ends with EINTR, whatever is ready */
    bool hasty;                           /* the next one ends with 0 events, likewise */

    int events_max; /* the most events that a call reports; 0 = as many as it has room for */

    /* What happened. */
    uint64_t kqueues; /* calls of kqueue() */
    uint64_t kevents; /* calls of kevent() */
    uint64_t changes; /* entries of change lists that were reached */
    uint64_t looks;   /* passes over what is ready: a few a call, unless the shim spins */
    uint64_t sleeps;  /* waits in the kernel of this machine */
    uint64_t knotes;  /* alive now, in all kqueues */
};

extern struct kqueue_shim kqueue_shim;

#endif

/*
 * readiness.h: the engine that makes completions out of "this descriptor is ready", and what it
 * asks of a poller. Internal to backends/.
 *
 *   readiness.c             the engine: batch, attempts, waiting, reports, cancel
 *   readiness_descriptor.c  descriptors come and go
 *   readiness_open.c        open, close
 *   watch.c                 the table of descriptors, and who waits on each
 *   attempt.c               one attempt, as a system call that does not wait
 *   pool.c                  threads for files
 *   epoll.c, kqueue.c       the pollers
 *
 * A poller says which descriptors are ready, level-triggered: what is ready now is reported now,
 * however often it was reported before. It keeps no operations.
 */
#ifndef ORR_BACKENDS_READINESS_H
#define ORR_BACKENDS_READINESS_H

#include "pool.h"
#include "watch.h"

#include <stdatomic.h>

/* Reports taken from one look at the poller. */
#define ORR__EVENTS_MAX 256

/* The descriptor of the report that somebody woke the poller. */
#define ORR__EVENT_WAKE (-1)

struct orr__event {
    int32_t descriptor;
    uint8_t ready; /* directions; a hang-up is told as both */
    int32_t error; /* the socket's, if the system tells it here: a positive errno */
    int32_t
        failed; /* the descriptor cannot be watched in these directions, because of this errno */
};

struct orr__poller {
    const char *name;
    /* Kept by the system until it is reported once, then forgotten by itself. */
    bool one_shot;

    /* Once per loop. Returns 0 or -errno with a sentence in options->error. */
    int (*open)(const struct orr_options *options, void **ret_state);
    void (*close)(void *state);
    /* Changes what is watched of a descriptor from `armed` to `wanted`, now or by the next wait.
     * ORR__WATCH_EDGE is wanted of pollers that are not one-shot only. Returns 0, -errno (it cannot
     * be watched), or ORR__POLLER_FULL: ask again after a wait. */
    int (*arm)(void *state, int32_t descriptor, uint8_t armed, uint8_t wanted);
    /* Changes that only the next wait makes. */
    bool (*pending)(const void *state);
    /* The descriptor is about to be closed: no report of it comes any more, and no change of it is
     * pending. */
    void (*forget)(void *state, int32_t descriptor, uint8_t armed);
    /* Waits for reports, up to sleep_ns (ORR_WAIT_FOREVER: without end); may return early. Returns
     * their number, at most ORR__EVENTS_MAX, or -errno if the poller is beyond use. */
    int (*wait)(void *state, uint64_t sleep_ns, struct orr__event *ret_events);
    /* From any thread and from signal handlers: makes the current or next wait report a wake. */
    void (*wake)(void *state);
    /* Polls readable when wait has something to report. */
    int (*descriptor)(const void *state);
};

#define ORR__POLLER_FULL 1

/* One loop's engine. */
struct orr__readiness {
    const struct orr__poller *poller;
    void *poller_state;
    uint32_t batch_entries;
    pthread_t owner;
    struct orr_queue batch;     /* taken, not attempted yet */
    struct orr_queue ended;     /* canceled: the next flush appends them */
    struct orr_queue for_pool;  /* of this flush, not given yet */
    struct orr__watch *changes; /* watches whose `armed` is to change */
    uint64_t waiting;           /* operations in the queues of watches */
    bool looked;                /* the last flush looked at the poller */
    bool woken;                 /* a wake that no waiting flush has returned for */
    atomic_bool wake_asked;     /* by orr_wake and not by the pool */
    struct orr__watches watches;
    struct orr__pool pool;
    struct orr__event events[ORR__EVENTS_MAX];
};

/* readiness_descriptor.c */
/* The watch of a descriptor; one that the backend did not make is looked at first. NULL with
 * *ret_error if that is impossible. */
struct orr__watch *orr__readiness_learn(struct orr__readiness *readiness, int32_t descriptor,
                                        int *ret_error);
/* Before a close, or before another loop gets it. */
void orr__readiness_forget(struct orr__readiness *readiness, int32_t descriptor);
/* Takes a watch out of the list of changes. */
void orr__readiness_unlist(struct orr__readiness *readiness, struct orr__watch *watch);

/* The hooks of a vtable; open is a poller's own, and calls this one. */
int orr__readiness_open(const struct orr_options *options, const struct orr__poller *poller,
                        void **ret_state);
void orr__readiness_close(void *state);
enum orr_submit orr__readiness_submit(void *state, struct orr_completion *completion);
enum orr_submit orr__readiness_cancel(void *state, struct orr_completion *completion);
int orr__readiness_flush(void *state, uint64_t deadline_ns, struct orr_queue *completed);
bool orr__readiness_unflushed(const void *state);
void orr__readiness_wake(void *state);
int orr__readiness_descriptor(void *state);
int32_t orr__readiness_socket(void *state, enum orr_family family, enum orr_socket_type type);
int32_t orr__readiness_adopt(void *state, int32_t descriptor);
void orr__readiness_release(void *state, int32_t descriptor);
void orr__readiness_discard(void *state, int32_t descriptor);

/* All that a vtable over this engine holds, but `name` and `open`. */
#define ORR__READINESS_HOOKS                                                                      \
    .operations = ORR__POSIX_OPERATIONS | ORR__ATTEMPT_OPERATIONS, .close = orr__readiness_close, \
    .submit = orr__readiness_submit, .cancel = orr__readiness_cancel,                             \
    .flush = orr__readiness_flush, .unflushed = orr__readiness_unflushed, .now = orr__posix_now,  \
    .wake = orr__readiness_wake, .descriptor = orr__readiness_descriptor,                         \
    .random = orr__posix_random, .memory = orr__posix_memory, .socket = orr__readiness_socket,    \
    .bind = orr__posix_bind, .listen = orr__posix_listen, .option_set = orr__posix_option_set,    \
    .option_get = orr__posix_option_get, .local_address = orr__posix_local_address,               \
    .peer_address = orr__posix_peer_address, .directory_list = orr__posix_directory_list,         \
    .adopt = orr__readiness_adopt, .release = orr__readiness_release,                             \
    .discard = orr__readiness_discard

#endif

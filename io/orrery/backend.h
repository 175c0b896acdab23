/*
 * backend.h: what a backend is: the vtable behind a loop. For those who write one; programs include
 * io.h.
 *
 * A backend only takes operations into its batch, says when it is full, exchanges the batch for
 * completions, and tells the time. Everything else (overflow queue, order, timers, cancel, close,
 * drain, whole transfers, handles, retries, errors) is the loop's and exists once. A backend never
 * calls back, never keeps an operation after it has completed it, and never sees a handle: requests
 * carry its own descriptors.
 *
 * From submit until completion the backend owns the completion's `next`, `previous`, `result` and
 * `request.backend_bits`; it reads the rest of `request` and touches nothing else. For a look at
 * what else is in flight on the handle, `handle_next` leads from a completion to the older ones.
 *
 * A backend that wants to know an operation's end, over all attempts of a whole transfer, may put a
 * function of its own in place of `callback`, once, and call the caller's from there; meanwhile
 * `request.arguments.backend.mark` is its own. One that does so may also lead `accepted`, `stat` or
 * `datagram` elsewhere until then.
 */
#ifndef ORRERY_BACKEND_H
#define ORRERY_BACKEND_H

#include <orrery/io.h>

ORR_BEGIN

/* A first-in-first-out queue of completions, linked through `next` and `previous`. */
struct orr_queue {
    struct orr_completion *head;
    struct orr_completion *tail;
    uint64_t count;
};

enum orr_submit {
    ORR_SUBMIT_QUEUED, /* taken: its end will be appended by a later flush */
    ORR_SUBMIT_FULL,   /* not taken: the batch has no room until the next flush */
    ORR_SUBMIT_DONE    /* done at once: `result` is set, the loop takes it back */
};

enum orr_clock { ORR_CLOCK_MONOTONIC, ORR_CLOCK_WALL };

/* A deadline for flush: do not wait at all; wait for ever. */
#define ORR_WAIT_NOT UINT64_C(0)
#define ORR_WAIT_FOREVER UINT64_MAX

#define ORR_OP_BIT(op) (UINT64_C(1) << (op))

struct orr_backend {
    const char *name;
    uint64_t operations; /* ORR_OP_BIT of each it can do; the loop ends all others with -ENOTSUP */

    /* Whether this system has it and allows it, without opening anything that lasts: 0, or -ENOSYS
     * or -EPERM with a sentence in options->error. Only the run-time choice asks; NULL = always. */
    int (*probe)(const struct orr_options *options);
    /* Once per loop, from orr_loop_open. `argument` is what orr_loop_open_with was given. Returns 0
     * or -errno with a sentence in options->error (if there is room). All memory is allocated here.
     */
    int (*open)(const struct orr_options *options, void *argument, void **ret_state);
    /* Once, with nothing in flight (or the loop was discarded). */
    void (*close)(void *state);

    /* Takes one operation. Must not block. FULL must be cured by one flush. */
    enum orr_submit (*submit)(void *state, struct orr_completion *completion);
    /* Asks for the early end of an operation it holds: QUEUED = the request is on its way, FULL =
     * ask again after a flush, DONE = nothing to do: the operation ends by itself soon. The
     * operation is completed by flush as ever, and not before the backend has forgotten the
     * request. */
    enum orr_submit (*cancel)(void *state, struct orr_completion *completion);
    /* Hands the batch over and appends what completed, with orr_backend_complete, in one system
     * call if it can. Waits until something completed, a wake came or the deadline (absolute,
     * monotonic clock) passed, whichever is first; it may return early. Returns 0, or -errno if the
     * backend is beyond use. */
    int (*flush)(void *state, uint64_t deadline_ns, struct orr_queue *completed);
    /* Operations taken but not yet handed over: the loop flushes them before it returns from a run
     * call. */
    bool (*unflushed)(const void *state);

    uint64_t (*now)(void *state, enum orr_clock clock);
    /* The only thread-safe hook, async-signal-safe too: makes the current or next waiting flush
     * return. */
    void (*wake)(void *state);
    /* A descriptor that polls readable when flush has something to append, or -ENOTSUP. */
    int (*descriptor)(void *state);
    void (*random)(void *state, void *buffer, size_t length);
    /* realloc: memory NULL = allocate, size 0 = free (returns NULL). */
    void *(*memory)(void *state, void *memory, size_t size);

    /* The immediate calls, on the backend's own descriptors: >= 0 or -errno. */
    int32_t (*socket)(void *state, enum orr_family family, enum orr_socket_type type);
    int (*bind)(void *state, int32_t descriptor, const struct orr_address *address);
    int (*listen)(void *state, int32_t descriptor, uint32_t backlog);
    int (*option_set)(void *state, int32_t descriptor, enum orr_socket_option option,
                      int32_t value);
    int (*option_get)(void *state, int32_t descriptor, enum orr_socket_option option,
                      int32_t *ret_value);
    int (*local_address)(void *state, int32_t descriptor, struct orr_address *ret_address);
    int (*peer_address)(void *state, int32_t descriptor, struct orr_address *ret_address);
    int (*directory_list)(void *state, int32_t descriptor, orr_directory_visit visit,
                          void *context);
    /* A foreign descriptor becomes one of the backend's, or -errno. */
    int32_t (*adopt)(void *state, int32_t descriptor);
    /* Lets go of a descriptor that stays open, with nothing in flight on it: another loop may adopt
     * it, on another thread. NULL = there is nothing to forget. */
    void (*release)(void *state, int32_t descriptor);
    /* An operation names a handle that was open once: its close is under way (then `closer` is
     * that) or over (NULL). `slot` is the one that request.slot was. It ends with -EBADF; this is
     * for a backend that tells the program more. NULL = it does not. */
    void (*stale)(void *state, const struct orr_completion *completion,
                  const struct orr_completion *closer, uint32_t slot);
    /* Whose loop it is, for messages about misuse; NULL = it does not know, as in production. */
    const char *(*owner)(const void *state);
    /* Closes a descriptor at once: for what the loop cannot hand out, and at orr_loop_close. */
    void (*discard)(void *state, int32_t descriptor);
};

/* Opens a loop on a given backend. Returns and errors as orr_loop_open. */
ORR_API int orr_loop_open_with(const struct orr_options *options, const struct orr_backend *backend,
                               void *argument, struct orr_loop **ret_loop);

/*
 * A host is asked before any backend of this system: the simulated world, for the programs that it
 * runs. It answers an orr_loop_open of its programs, with what that shall return; any other, with
 * ORR_HOST_ELSEWHERE. There is one for the whole process; NULL = none, as ever in production.
 */
typedef int (*orr_loop_host)(const struct orr_options *options, struct orr_loop **ret_loop);
#define ORR_HOST_ELSEWHERE 1

/* From now on this one is asked. */
ORR_API void orr_loop_set_host(orr_loop_host host);
/* What the host answers; ORR_HOST_ELSEWHERE if there is none. */
ORR_API int orr_loop_open_hosted(const struct orr_options *options, struct orr_loop **ret_loop);

/* Shows what is in flight in the loop: for each handle the newest first, timers in no order, waits
 * for a wake; but no next ticks and no cancels, which wait for nothing of their own. */
typedef void (*orr_operation_visit)(void *context, const struct orr_completion *completion);
ORR_API void orr_loop_operations(const struct orr_loop *loop, orr_operation_visit visit,
                                 void *context);

/* True while the loop is being drained: each operation has been canceled, and is waited for. */
ORR_API bool orr_loop_draining(const struct orr_loop *loop);

/* The line of the call under way, as orr_at noted it, or NULL. */
ORR_API const char *orr_loop_site(const struct orr_loop *loop);

/* The state that the backend's open returned. */
ORR_API void *orr_loop_backend_state(struct orr_loop *loop);

/* Forgets everything in flight without a callback and frees the loop: what a crash does to a
 * process. */
ORR_API void orr_loop_discard(struct orr_loop *loop);

/*
 * Queues, for whoever owns a completion's links at the moment: the loop, or the backend that holds
 * it. Both links must be NULL before a push and are NULL again after a pop or remove; pushing what
 * is linked is a caught error. pop returns NULL when the queue is empty. All take constant time.
 */
ORR_API void orr_queue_push(struct orr_queue *queue, struct orr_completion *completion);
ORR_API void orr_queue_push_first(struct orr_queue *queue, struct orr_completion *completion);
ORR_API struct orr_completion *orr_queue_pop(struct orr_queue *queue);
ORR_API void orr_queue_remove(struct orr_queue *queue, struct orr_completion *completion);

/* Appends a completion with its result to `completed`. */
ORR_API void orr_backend_complete(struct orr_queue *completed, struct orr_completion *completion,
                                  int64_t result);

/* The declared errors of an operation: true if `error` (positive errno) is one of them. */
ORR_API bool orr_op_declares(uint8_t op, int error);

/* Writes a sentence to options->error, if there is room for one. */
ORR_API void orr_options_error(const struct orr_options *options, const char *format, ...)
    ORR_PRINTF(2, 3);

/* Ends the program because of a caught error: prints "orrery: ..." and aborts. In every build. */
ORR_API void orr_fatal(const char *format, ...) ORR_PRINTF(1, 2) ORR_NORETURN;

ORR_END
#endif

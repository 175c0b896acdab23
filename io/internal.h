/*
 * internal.h: what the files of io/ share: the loop, its queues, its handle table.
 *
 *   submit.c     the submit functions: fill in a request, hand it over
 *   loop.c       open, close, one pass, the run calls, drain
 *   dispatch.c   the end of an operation: retry, whole transfers, handles, the callback
 *   cancel.c     cancel, and close, which cancels first
 *   timer.c      a pairing heap of timeouts, linked through the completions
 *   handle.c     the table of handles: slot + generation -> the backend's descriptor
 *   operation.c  names and declared errors of the operations
 *   calls.c      the immediate calls; address.c: network addresses
 *
 * Where a completion can be: `state` says it, and exactly one structure holds it.
 *
 *   OVERFLOWED  loop->overflow    QUEUED   the backend    COMPLETED  loop->completed
 *   TIMER       the timer heap    WAITING  loop->wakes
 *   HELD        a cancel: by the operation whose end it waits for; a close: by its slot
 *
 * Besides, every operation on a handle is in the list of its slot until its end (slot 0: operations
 * on none), so that close and drain find it.
 */
#ifndef ORR_IO_INTERNAL_H
#define ORR_IO_INTERNAL_H

#define ORR_NO_SITES /* the functions themselves are defined here, not their macros */
#include <orrery/backend.h>

#include <stdatomic.h>

#define ORR__TEXT_(line) #line
#define ORR__TEXT(line) ORR__TEXT_(line)
#define orr__assert(condition) \
    ((condition) ? (void)0     \
                 : orr_fatal("internal: %s at " __FILE__ ":" ORR__TEXT(__LINE__), #condition))

enum orr__state {
    ORR__IDLE,
    ORR__OVERFLOWED,
    ORR__QUEUED,
    ORR__COMPLETED,
    ORR__TIMER,
    ORR__WAITING,
    ORR__HELD,
    ORR__STATE_COUNT
};

/* orr_request.flags */
#define ORR__CANCEL_WANTED 0x01u /* whatever happens next, do not start another attempt */
#define ORR__CANCEL_UNSENT 0x02u /* the backend was full: ask again */

/* One handle. In the free list while `descriptor` is ORR__SLOT_FREE: then `next_free` counts. */
struct orr__slot {
    struct orr_completion *operations;
    struct orr_completion
        *closer; /* the close that waits for the operations' end, or is under way */
    int32_t descriptor;
    uint32_t next_free;
    uint64_t generation;
};

#define ORR__SLOT_FREE (-1)
#define ORR__SLOT_RESERVED (-2)

struct orr_loop {
    const struct orr_backend *backend;
    void *backend_state;
    const char *site; /* of the next submit, see site.h */

    struct orr_queue overflow;
    struct orr_queue completed;
    struct orr_queue wakes;
    struct orr_completion *timers;
    uint64_t timer_sequence;
    uint64_t in_backend; /* operations the backend holds */
    uint64_t cancels_unsent;

    struct orr__slot *slots;
    uint32_t slot_count; /* of the table */
    uint32_t slot_used;  /* slots below this one were used before */
    uint32_t slot_free;  /* head of the free list; 0 = empty */

    bool running;
    bool draining;
    bool stopped;
    bool stop_obeyed;        /* a run call has returned because of it: the next one runs again */
    bool wake_pending;       /* a wake that no orr_wait_wake has taken */
    atomic_bool wake_signal; /* set by orr_wake, from any thread */
    uint64_t looked_ns;      /* when the clock was last looked at in a run call */
    uint64_t refusals;       /* submits refused by this drain */
    struct orr_statistics statistics;
};

/* operation.c */
/* Aborts because the caller broke a rule: names the operation, the line, the loop's owner if its
 * backend knows one, and the rule. */
void orr__misuse(const struct orr_loop *loop, const char *site, uint8_t op, const char *rule, ...)
    ORR_PRINTF(4, 5) ORR_NORETURN;

/* handle.c */
bool orr__handles_open(struct orr_loop *loop, uint32_t count);
/* The slot of an open handle, or 0. */
uint32_t orr__slot_of(const struct orr_loop *loop, orr_handle handle);
/* Tells the backend of an operation whose handle is not open (any more). */
void orr__handle_stale(struct orr_loop *loop, const struct orr_completion *completion,
                       orr_handle handle);
/* Takes a free slot, or returns 0 if none is left. */
uint32_t orr__slot_reserve(struct orr_loop *loop);
void orr__slot_release(struct orr_loop *loop, uint32_t slot);
orr_handle orr__slot_fill(struct orr_loop *loop, uint32_t slot, int32_t descriptor);
void orr__slot_link(struct orr_loop *loop, struct orr_completion *completion);
void orr__slot_unlink(struct orr_completion *completion);
void orr__handles_discard(struct orr_loop *loop);

/* timer.c */
void orr__timer_add(struct orr_loop *loop, struct orr_completion *completion);
void orr__timer_remove(struct orr_loop *loop, struct orr_completion *completion);
/* Moves the timers that are due at now_ns to the completed queue, in order. */
void orr__timers_expire(struct orr_loop *loop, uint64_t now_ns);
void orr__timers_visit(const struct orr_loop *loop, orr_operation_visit visit, void *context);
/* The first deadline; UINT64_MAX if there is none. */
uint64_t orr__timers_deadline(const struct orr_loop *loop);

/* submit.c */
/* Hands a filled-in request to the backend, or queues it behind those that wait. */
void orr__start(struct orr_loop *loop, struct orr_completion *completion);
/* Ends an operation: its callback runs in a later pass (or later in this one if it is among what
 * was ready). */
void orr__complete(struct orr_loop *loop, struct orr_completion *completion, int64_t result);
/* Takes the idle completion into the loop. */
void orr__begin(struct orr_loop *loop, struct orr_completion *completion, enum orr_op op,
                orr_callback callback, void *context);
/* True if the loop takes no new operations: the completion was ended then. */
bool orr__refused(struct orr_loop *loop, struct orr_completion *completion);

/* dispatch.c */
void orr__dispatch(struct orr_loop *loop, struct orr_completion *completion);

/* cancel.c */
void orr__request_cancel(struct orr_loop *loop, struct orr_completion *target);
void orr__cancel_all(struct orr_loop *loop);
void orr__resend_cancels(struct orr_loop *loop);
void orr__close_if_quiet(struct orr_loop *loop, uint32_t slot);

static inline uint64_t orr__now_ns(const struct orr_loop *loop)
{
    return loop->backend->now(loop->backend_state, ORR_CLOCK_MONOTONIC);
}

static inline uint64_t orr__add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif

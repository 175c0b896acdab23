/*
 * loop.h: open, run and close a loop.
 *
 * A loop belongs to one thread: the one that opened it. Only orr_wake may be called from elsewhere.
 *
 *   submit --> batch full? --no--> batch ---.
 *                 | yes                     |  flush: one system call
 *                 v                         v
 *           overflow queue --(first)--> backend --> completed queue --> callbacks, one pass at a
 * time
 *
 * One pass = refill the batch from the overflow queue, flush, collect the timers that are due, then
 * call back what was ready at that moment: what a callback submits waits for the next pass, so a
 * callback that resubmits cannot starve the rest. Submitting never calls back and never blocks.
 */
#ifndef ORRERY_LOOP_H
#define ORRERY_LOOP_H

#include <orrery/completion.h>

ORR_BEGIN

#define ORR_BATCH_ENTRIES_DEFAULT 256u
#define ORR_BATCH_ENTRIES_MAX 32768u
#define ORR_HANDLES_DEFAULT 16384u
#define ORR_HANDLES_MAX ((1u << 24) - 1)

/* Zero in any field asks for the default. */
struct orr_options {
    uint32_t batch_entries; /* operations the backend takes between two
                               flushes, 1..ORR_BATCH_ENTRIES_MAX */
    uint32_t handles_max;   /* handles open at once, 1..ORR_HANDLES_MAX; more answer -EMFILE */
    const char
        *backend; /* "uring", "epoll" or "kqueue": this one or none. NULL = what the environment
                            variable ORR_BACKEND names, or the fastest that the system allows */
    char *error;  /* if opening fails: filled with a sentence that says why and what to do */
    size_t error_size; /* bytes at `error`, including the final NUL */
};

/*
 * Opens a loop on this system's kernel: on Linux io_uring, or epoll where io_uring is missing or
 * forbidden (in many containers it is); on macOS and the BSDs kqueue. SIGPIPE is ignored from then
 * on, in the whole process, unless the program handles it itself. All memory the loop will ever
 * need is allocated here; on epoll and kqueue four threads for operations on files are started,
 * which take no signals. Returns 0; -EINVAL (an option is out of bounds, or no such backend);
 * -ENOMEM; -ENOSYS or -EPERM (no backend is there, or all are forbidden: the sentence says which
 * were tried and why each was refused), or what the system said. options may be NULL. A program
 * that runs in a simulated world gets a further loop of its node there.
 */
ORR_API int orr_loop_open(const struct orr_options *options, struct orr_loop **ret_loop);

/*
 * Closes a loop in which nothing is in flight (else: a caught error; drain first). Handles that are
 * still open are closed. NULL is allowed.
 */
ORR_API void orr_loop_close(struct orr_loop *loop);

/* One pass; waits until at least one operation can be called back. Returns at once if nothing is in
 * flight. */
ORR_API void orr_run_once(struct orr_loop *loop);

/*
 * Runs passes for `ns` nanoseconds. The deadline is checked after every callback. Sleeps while
 * nothing is ready and never while something is. With 0: exactly one pass that does not wait.
 * Returns early only after orr_stop.
 */
ORR_API void orr_run_for_ns(struct orr_loop *loop, uint64_t ns);

/* Runs until nothing is in flight, or until orr_stop. A server's main calls this. */
ORR_API void orr_run_until_idle(struct orr_loop *loop);

/*
 * Makes the run call that is under way return after the current callback; outside of a run call,
 * the next one returns at once. What is in flight stays in flight. Under the world, which makes the
 * run calls, this ends the process; a further loop that the program has opened just runs no more.
 */
ORR_API void orr_stop(struct orr_loop *loop);

/* True after orr_stop, until the next run call starts. */
ORR_API bool orr_stopped(const struct orr_loop *loop);

/*
 * Ends everything: cancels what is in flight and runs until each operation has had its callback,
 * with -ECANCELED or with what it had already done. Operations submitted meanwhile end with
 * -ECANCELED, except closes, which are done. A callback that resubmits ORR_DRAIN_REFUSALS_MAX times
 * is a caught error.
 */
ORR_API void orr_drain(struct orr_loop *loop);

#define ORR_DRAIN_REFUSALS_MAX 1000000u

/*
 * Thread-safe and safe in a signal handler: ends the wait of the loop, now or the next one, and
 * completes a pending orr_wait_wake. Wakes that nobody has taken yet count as one.
 */
ORR_API void orr_wake(struct orr_loop *loop);

/*
 * To nest this loop in another: a descriptor that becomes readable when orr_run_for_ns(loop, 0) has
 * something to do (level-triggered; valid until the loop is closed; -ENOTSUP under the world, or
 * why the system makes none: -EMFILE, -ENFILE), and the nanoseconds after which that call is due
 * even so, because of a timer, work that waits inside the loop, or operations not yet flushed: 0 =
 * now, UINT64_MAX = no need.
 */
ORR_API int orr_loop_descriptor(struct orr_loop *loop);
ORR_API uint64_t orr_loop_timeout_ns(struct orr_loop *loop);

/* The name of the backend: "uring", "epoll", "kqueue", "world". */
ORR_API const char *orr_loop_backend_name(const struct orr_loop *loop);

struct orr_statistics {
    uint64_t submits;   /* operations handed in */
    uint64_t callbacks; /* operations ended */
    uint64_t in_flight; /* the difference, now */
    uint64_t passes;
    uint64_t flushes;    /* exchanges with the backend */
    uint64_t overflowed; /* submits that found the batch full */
    uint64_t timers_fired;
    uint64_t canceled;          /* operations that ended with -ECANCELED */
    uint64_t retried;           /* attempts repeated because of EINTR or a partial whole transfer */
    uint64_t unexpected_errors; /* results outside the operation's declared errors */
    uint64_t in_callbacks_ns;   /* time spent in callbacks */
    uint64_t in_backend_ns;     /* time spent in flushes: the kernel, waiting included */
};

/* What the loop has done since it was opened. Callable from anywhere on its thread. */
ORR_API void orr_loop_statistics(const struct orr_loop *loop,
                                 struct orr_statistics *ret_statistics);

ORR_END
#endif

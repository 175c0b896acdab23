/*
 * kernel.h: the kernel as the io_uring backend sees it, made older, poorer or unwilling.
 *
 *     backend --> io_uring_queue_init_params, io_uring_get_probe_ring, io_uring_enter2, fopen
 *                    \_____________ wrapped by kernel.c (ld --wrap) ______________/
 *                                               |
 *                                      liburing and the kernel of this machine
 *
 * The model: all that the backend hears from its kernel passes these calls. The wraps take away
 * what an older kernel lacks and answer what an unwilling one answers; everything else is done by
 * the real kernel. So a test on "Linux 5.11" shows that the backend's path for 5.11 works, not that
 * 5.11 does.
 *
 * Tests fill in the struct below; it is as in an untouched kernel when a test starts, because Check
 * gives every test a process of its own.
 */
#ifndef TESTS_BACKENDS_KERNEL_H
#define TESTS_BACKENDS_KERNEL_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct kernel_version {
    const char *name;
    uint32_t setup_refused; /* IORING_SETUP_... flags that it answers -EINVAL to */
    uint8_t opcode_last;    /* the newest IORING_OP_... that it has */
    bool polls_once;        /* it answers -EINVAL to polls that stay armed */
    bool plain_missing;     /* of the backend's operations, it has only those that wait */
};

/* Newest first: those between which the backend tells a difference. */
#define KERNEL_VERSIONS 7
extern const struct kernel_version kernel_versions[KERNEL_VERSIONS];

/* How it answers io_uring_enter. */
enum kernel_mood {
    KERNEL_WILLING,
    KERNEL_AGAIN,       /* -EAGAIN instead of taking entries: no memory */
    KERNEL_BUSY,        /* -EBUSY instead of taking entries: completions overflowed */
    KERNEL_INTERRUPTED, /* -EINTR */
    KERNEL_HASTY,       /* -ETIME before its time */
    KERNEL_PARTIAL,     /* takes a part of the entries, and does not wait */
    KERNEL_ANY,         /* each time another one of those above */
    KERNEL_BROKEN,      /* `error`, whatever is asked */
    KERNEL_MOODS
};

extern const char *const kernel_mood_names[KERNEL_MOODS];

#define KERNEL_SETUPS_MAX 16

struct kernel {
    const struct kernel_version *version; /* NULL = this machine's */
    int setup_error;                      /* -errno of every io_uring_setup */
    uint32_t features_missing;            /* IORING_FEAT_... */
    uint64_t operations_missing;          /* ORR_OP_BIT */
    bool probe_denied;                    /* io_uring_register answers nothing */
    const char *disabled;                 /* the text of kernel.io_uring_disabled */
    uint32_t completions;     /* size of the completion ring whatever is asked, if not 0 */
    uint32_t completions_max; /* -ENOMEM for a larger one, if not 0 */

    enum kernel_mood mood;
    int error;             /* of KERNEL_BROKEN */
    bool always;           /* the mood strikes wherever it can; otherwise 3 times of 4 */
    uint64_t strikes_left; /* then the mood has passed */

    /* What happened. */
    uint32_t setups; /* calls of io_uring_setup, and what the first of them asked for */
    struct io_uring_params asked[KERNEL_SETUPS_MAX];
    uint64_t enters;  /* calls of io_uring_enter, those that a mood answered included */
    uint64_t strikes; /* of the mood */
    uint64_t refused_polls;
};

extern struct kernel kernel;

/* From now on, in this mood; `always` and without end, or by chance. */
void kernel_be(enum kernel_mood mood, bool always);

/* NULL, or why the kernel of this machine has no io_uring that the backend could use. */
const char *kernel_forbids(void);

#endif

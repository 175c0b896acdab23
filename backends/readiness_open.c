/*
 * readiness_open.c: opens and closes a loop's engine: the table of descriptors, the poller, the
 * threads. What fails half-way leaves nothing behind. And what others than the loop use of it:
 * waking it, and the descriptor to sleep on.
 */
#define _GNU_SOURCE 1

#include "readiness.h"

#include "posix.h"

#include <errno.h>
#include <stdlib.h>

static void tell_of_pool(void *context)
{
    struct orr__readiness *readiness = context;

    readiness->poller->wake(readiness->poller_state);
}

static int open_parts(struct orr__readiness *readiness, const struct orr_options *options)
{
    if (!orr__watches_open(&readiness->watches, options->handles_max)) {
        orr_options_error(options,
                          "no memory for the descriptors of %u handles: ask for fewer "
                          "handles_max",
                          options->handles_max);
        return -ENOMEM;
    }
    int error = readiness->poller->open(options, &readiness->poller_state);
    if (error < 0) {
        orr__watches_close(&readiness->watches);
        return error;
    }
    error = orr__pool_open(&readiness->pool, tell_of_pool, readiness);
    if (error < 0) {
        orr_options_error(options,
                          "the %d threads for file operations cannot be started (errno %d): this "
                          "user has too many (RLIMIT_NPROC, ulimit -u), or there is no memory",
                          ORR__POOL_THREADS, -error);
        readiness->poller->close(readiness->poller_state);
        orr__watches_close(&readiness->watches);
    }
    return error;
}

int orr__readiness_open(const struct orr_options *options, const struct orr__poller *poller,
                        void **ret_state)
{
    orr__posix_ignore_broken_pipes();
    struct orr__readiness *readiness = calloc(1, sizeof *readiness);
    if (readiness == NULL) {
        orr_options_error(options, "no memory for a loop");
        return -ENOMEM;
    }
    readiness->poller = poller;
    readiness->batch_entries = options->batch_entries;
    readiness->owner = pthread_self();
    atomic_init(&readiness->wake_asked, false);
    const int error = open_parts(readiness, options);
    if (error < 0) {
        free(readiness);
        return error;
    }
    *ret_state = readiness;
    return 0;
}

void orr__readiness_close(void *state)
{
    struct orr__readiness *readiness = state;

    orr__pool_close(&readiness->pool);
    readiness->poller->close(readiness->poller_state);
    orr__watches_close(&readiness->watches);
    free(readiness);
}

/* ---- for others ------------------------------------------------------------------------------ */

void orr__readiness_wake(void *state)
{
    struct orr__readiness *readiness = state;

    atomic_store(&readiness->wake_asked, true);
    readiness->poller->wake(readiness->poller_state);
}

int orr__readiness_descriptor(void *state)
{
    const struct orr__readiness *readiness = state;

    return readiness->poller->descriptor(readiness->poller_state);
}

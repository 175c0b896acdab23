/*
 * skeleton.c: the least that a backend can be: where to start the next one.
 *
 * Copy it, rename it, and replace what it does by what your system does better. As it stands a loop
 * opens on it; timers, ticks and wakes work, and so do operations on files, which stop the loop
 * while they last. Operations that wait for other programs are missing: the loop ends them with
 * -ENOTSUP. Add a bit to `operations` for each that you teach it, and the conformance suite's cases
 * for it will tell whether it is right. The build compiles this and a test runs it, so that it
 * cannot rot; the library does not contain it.
 *
 * The model of every backend:
 *
 *     submit --> batch --flush--> whatever does the work --flush--> completed
 *
 * What a backend never does: call back, keep an operation after it has completed it, look at a
 * handle, sort, retry, or wait outside of flush. All that is the loop's.
 */
#define _GNU_SOURCE 1

#include "skeleton.h"

#include "posix.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* One loop's state. All that the backend will ever need is allocated in open. */
struct skeleton {
    uint32_t batch_entries;
    struct orr_queue batch; /* taken by submit, not handed over yet */
    int wake_reader;
    int wake_writer;
    bool woken; /* a wake that no waiting flush has returned for */
};

/* ---- operations ------------------------------------------------------------------------------ */

/*
 * Required. Takes one operation: by its request alone, without a system call that could wait. The
 * links and `result` of the completion, and `request.backend_bits` (0 on arrival), are yours until
 * you complete it. Answer FULL when there is no room: the loop keeps the operation and offers it
 * again after a flush, before any other.
 */
static enum orr_submit skeleton_submit(void *state, struct orr_completion *completion)
{
    struct skeleton *skeleton = state;

    if (skeleton->batch.count >= skeleton->batch_entries)
        return ORR_SUBMIT_FULL;
    orr_queue_push(&skeleton->batch, completion);
    return ORR_SUBMIT_QUEUED;
}

/*
 * Required. Asks for the early end of an operation that you hold. Whatever you answer, the
 * operation is completed by a later flush, once: with -ECANCELED, or with what it had done. Answer
 * DONE when nothing more has to be sent, FULL to be asked again after a flush.
 */
static enum orr_submit skeleton_cancel(void *state, struct orr_completion *completion)
{
    (void)state;
    (void)completion;
    return ORR_SUBMIT_DONE; /* everything in the batch ends with the next flush anyway */
}

/* Required. What must be handed over before a run call returns, and before somebody else sleeps on
 * your descriptor. */
static bool skeleton_unflushed(const void *state)
{
    const struct skeleton *skeleton = state;

    return skeleton->batch.head != NULL;
}

/* The place where your system comes in. What `operations` does not name never gets here. */
static void hand_over(struct skeleton *skeleton, struct orr_queue *completed)
{
    struct orr_completion *completion;

    while ((completion = orr_queue_pop(&skeleton->batch)) != NULL)
        orr_backend_complete(completed, completion, orr__posix_perform(completion));
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Rounded up: a wait that ends before its deadline makes the loop spin. */
static int milliseconds(uint64_t sleep_ns)
{
    const struct timespec span = orr__posix_sleep_span(sleep_ns);

    if (sleep_ns == ORR_WAIT_FOREVER)
        return -1;
    return (int)(span.tv_sec * 1000 + (span.tv_nsec + 999999) / 1000000);
}

static void sleep_until(struct skeleton *skeleton, uint64_t deadline_ns)
{
    struct pollfd look = {.fd = skeleton->wake_reader, .events = POLLIN};
    char bytes[64];

    if (poll(&look, 1, milliseconds(orr__posix_left_ns(deadline_ns))) <= 0)
        return; /* late or interrupted: the loop looks at the clock itself */
    while (read(skeleton->wake_reader, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        continue;
    skeleton->woken = true;
}

/*
 * Required. Hands the batch over and appends what has completed, in one system call if you can.
 * Sleeps until the deadline unless something has completed or a wake came: a wake that a flush with
 * ORR_WAIT_NOT met counts for the next one that may sleep. Returning early is allowed, sleeping
 * with something completed is not. Returns -errno only if the loop cannot go on.
 */
static int skeleton_flush(void *state, uint64_t deadline_ns, struct orr_queue *completed)
{
    struct skeleton *skeleton = state;
    const uint64_t before = completed->count;

    hand_over(skeleton, completed);
    const bool sleeps = completed->count == before && !skeleton->woken;
    sleep_until(skeleton, sleeps ? deadline_ns : ORR_WAIT_NOT);
    if (deadline_ns != ORR_WAIT_NOT)
        skeleton->woken = false;
    return 0;
}

/* Required. From any thread and from signal handlers: makes the current or the next waiting flush
 * return. Many wakes may count as one. */
static void skeleton_wake(void *state)
{
    const struct skeleton *skeleton = state;
    const int error = errno;

    (void)!write(skeleton->wake_writer, "", 1);
    errno = error;
}

/* Not required: answer -ENOTSUP if your loop cannot be nested in another. */
static int skeleton_descriptor(void *state)
{
    const struct skeleton *skeleton = state;

    return skeleton->wake_reader; /* enough as long as nothing but wakes ends a wait */
}

/* ---- open, close ----------------------------------------------------------------------------- */

/* Required. With nothing in flight, or after a discard: then what you hold is forgotten, and its
 * memory is the caller's again when this returns. */
static void skeleton_close(void *state)
{
    struct skeleton *skeleton = state;

    (void)close(skeleton->wake_reader);
    (void)close(skeleton->wake_writer);
    free(skeleton);
}

static int set_up_wake(struct skeleton *skeleton)
{
    int ends[2];

    if (pipe(ends) != 0)
        return -errno;
    skeleton->wake_reader = ends[0];
    skeleton->wake_writer = ends[1];
    for (int i = 0; i < 2; i++) {
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0)
            return -errno;
    }
    return 0;
}

/* Required. Once per loop; the options are checked and their defaults filled in. On failure leaves
 * nothing behind, and a sentence that says why and what to do. */
static int skeleton_open(const struct orr_options *options, void *argument, void **ret_state)
{
    struct skeleton *skeleton = calloc(1, sizeof *skeleton);

    (void)argument;
    if (skeleton == NULL) {
        orr_options_error(options, "no memory for a loop");
        return -ENOMEM;
    }
    skeleton->wake_reader = -1;
    skeleton->wake_writer = -1;
    skeleton->batch_entries = options->batch_entries;
    const int error = set_up_wake(skeleton);
    if (error < 0) {
        skeleton_close(skeleton);
        orr__posix_explain_descriptors(options, "a skeleton", error);
        return error;
    }
    *ret_state = skeleton;
    return 0;
}

/* Not required: whether this system has what you need and allows it. Without it the choice finds
 * out by opening. */
static int skeleton_probe(const struct orr_options *options)
{
    (void)options;
    return 0;
}

/* ---- the vtable ------------------------------------------------------------------------------ */

const struct orr_backend orr__skeleton = {
    .name = "skeleton",
    .operations = ORR__POSIX_OPERATIONS, /* ORR_OP_BIT of each that submit can take */
    .probe = skeleton_probe,
    .open = skeleton_open,
    .close = skeleton_close,
    .submit = skeleton_submit,
    .cancel = skeleton_cancel,
    .flush = skeleton_flush,
    .unflushed = skeleton_unflushed,
    .wake = skeleton_wake,
    .descriptor = skeleton_descriptor,
    /* Required, all of them; on a POSIX system these are yours as they are. */
    .now = orr__posix_now,
    .random = orr__posix_random,
    .memory = orr__posix_memory,
    .socket = orr__posix_socket,
    .bind = orr__posix_bind,
    .listen = orr__posix_listen,
    .option_set = orr__posix_option_set,
    .option_get = orr__posix_option_get,
    .local_address = orr__posix_local_address,
    .peer_address = orr__posix_peer_address,
    .directory_list = orr__posix_directory_list,
    .adopt = orr__posix_adopt,
    .discard = orr__posix_discard,
    /* Not required: .release, to forget a descriptor that another loop gets. Here none is known. */
};

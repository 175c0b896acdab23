/*
 * uring_open.c: makes a ring with the best that the running kernel offers, or says why there is
 * none.
 *
 * The model: a ladder of setup flags, newest first; a kernel answers -EINVAL to flags that it does
 * not know, and the next rung is tried. What the ring then can do is asked of the ring (features,
 * probe) and never derived from a version number: distributions backport, and seccomp filters take
 * away.
 *
 * Needed without exception, all in Linux 5.11: NODROP (completions beyond the ring are kept),
 * SUBMIT_STABLE (an entry is read when it is handed over), FAST_POLL (sockets wait without a
 * thread), EXT_ARG (an enter that waits with a timeout). Operations that came later are done as
 * plain system calls where they are missing.
 */
#define _GNU_SOURCE 1

#include "eventfd.h"
#include "posix.h"
#include "uring.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * Completions that can wait in the ring, per entry of the batch: there are more operations in
 * flight than in the batch. Beyond it the kernel keeps them in a list, correct but slow.
 */
#define COMPLETIONS_PER_ENTRY 16u
#define COMPLETIONS_MAX 65536u

static const struct {
    uint32_t flag;
    const char *name;
} features_needed[] = {
    {IORING_FEAT_NODROP, "NODROP"},
    {IORING_FEAT_SUBMIT_STABLE, "SUBMIT_STABLE"},
    {IORING_FEAT_FAST_POLL, "FAST_POLL"},
    {IORING_FEAT_EXT_ARG, "EXT_ARG"},
};

/* ---- what is wrong --------------------------------------------------------------------------- */

static void explain_missing(const struct orr_options *options)
{
    orr_options_error(options,
                      "io_uring is missing (ENOSYS): the kernel is older than Linux 5.11 or built "
                      "without it, or a seccomp filter hides it, as container runtimes do; use a "
                      "newer kernel, or allow io_uring_setup, io_uring_enter and io_uring_register "
                      "in the filter (docker run --security-opt seccomp=FILE)");
}

/* The value of kernel.io_uring_disabled, or -1 if the kernel (before 6.6) has no such setting. */
static int disabled_setting(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int digit = file != NULL ? fgetc(file) : EOF;

    if (file != NULL)
        (void)fclose(file);
    return digit >= '0' && digit <= '9' ? digit - '0' : -1;
}

static void explain_forbidden(const struct orr_options *options, int error)
{
    const int setting = disabled_setting();

    if (setting > 0)
        orr_options_error(
            options,
            "io_uring is forbidden: kernel.io_uring_disabled is %d; it must be 0 (or 1, "
            "with CAP_SYS_ADMIN or membership in kernel.io_uring_group): "
            "sysctl -w kernel.io_uring_disabled=0",
            setting);
    else
        orr_options_error(options,
                          "io_uring is forbidden (errno %d): a seccomp filter or a security module "
                          "denies it, as container runtimes do; allow io_uring_setup, "
                          "io_uring_enter and io_uring_register in the filter "
                          "(docker run --security-opt seccomp=FILE)",
                          -error);
}

static uint64_t locked_kib_max(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? (uint64_t)limit.rlim_cur / 1024 : 0;
}

static int explain(const struct orr_options *options, int error)
{
    switch (error) {
    case -ENOSYS:
        explain_missing(options);
        break;
    case -EPERM:
    case -EACCES:
        explain_forbidden(options, error);
        break;
    case -ENOMEM:
        orr_options_error(options,
                          "no memory for an io_uring of %" PRIu32 " entries: RLIMIT_MEMLOCK is "
                          "%" PRIu64 " KiB, which counts on kernels before 5.12; ask for fewer "
                          "batch_entries, or raise it (ulimit -l)",
                          options->batch_entries, locked_kib_max());
        break;
    case -EMFILE:
    case -ENFILE:
        orr__posix_explain_descriptors(options, "an io_uring", error);
        break;
    default:
        orr_options_error(options,
                          "opening an io_uring of %" PRIu32 " entries failed with errno %d",
                          options->batch_entries, -error);
        break;
    }
    return error;
}

/* ---- the ring -------------------------------------------------------------------------------- */

static int set_up(struct io_uring *ring, uint32_t entries)
{
    static const uint32_t ladder[] = {
        /* 6.1: completions are worked off in our own enters, and nobody else submits */
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
            IORING_SETUP_SUBMIT_ALL,
        /* 5.19: they are worked off when we enter the kernel anyway */
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
        /* 5.18: a bad entry does not stop those behind it */
        IORING_SETUP_SUBMIT_ALL,
        /* 5.11 */
        0,
    };
    uint32_t completions = entries > COMPLETIONS_MAX / COMPLETIONS_PER_ENTRY
                               ? COMPLETIONS_MAX
                               : entries * COMPLETIONS_PER_ENTRY;
    size_t rung = 0;

    for (;;) {
        struct io_uring_params params = {
            .flags = ladder[rung] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = completions,
        };
        const int result = io_uring_queue_init_params(entries, ring, &params);
        if (result == -EINVAL && rung + 1 < sizeof ladder / sizeof ladder[0])
            rung++;
        else if (result == -ENOMEM && completions / 2 >= entries * 2)
            completions /= 2;
        else
            return result;
    }
}

static int check_features(const struct orr_options *options, uint32_t features)
{
    for (size_t i = 0; i < sizeof features_needed / sizeof features_needed[0]; i++) {
        if ((features & features_needed[i].flag) != 0)
            continue;
        orr_options_error(
            options,
            "io_uring of this kernel is too old: it lacks IORING_FEAT_%s (its features "
            "are 0x%x); Linux 5.11 or later is needed",
            features_needed[i].name, features);
        return -ENOSYS;
    }
    return 0;
}

/* Asks for every operation whether the kernel has it; what it lacks must be a plain system call. */
static int probe(struct orr__uring *uring, const struct orr_options *options)
{
    struct io_uring_probe *answers = io_uring_get_probe_ring(&uring->ring);
    int result = 0;

    if (answers == NULL) {
        orr_options_error(options, "io_uring does not tell its operations: a seccomp filter denies "
                                   "io_uring_register (allow it), or there is no memory");
        return -ENOSYS;
    }
    for (unsigned i = ORR_OP_ACCEPT; i <= ORR_OP_POLL; i++) {
        const uint8_t op = (uint8_t)i;
        if (io_uring_opcode_supported(answers, orr__uring_opcode(op)))
            continue;
        uring->missing |= ORR_OP_BIT(op);
        if ((ORR__POSIX_OPERATIONS & ORR_OP_BIT(op)) != 0)
            continue;
        orr_options_error(options,
                          "io_uring of this kernel lacks %s (opcode %u); Linux 5.11 or later, with "
                          "networking, is needed",
                          orr_op_name(op), orr__uring_opcode(op));
        result = -ENOSYS;
        break;
    }
    io_uring_free_probe(answers);
    return result;
}

/* A registered ring spares each enter a look into the descriptor table. Linux 5.18; no need. */
static void register_ring(struct orr__uring *uring)
{
    if (io_uring_register_ring_fd(&uring->ring) == 1)
        uring->enter_flags |= IORING_ENTER_REGISTERED_RING;
}

static int prepare_ring(struct orr__uring *uring, const struct orr_options *options)
{
    struct orr_queue completed = {0};
    int result = check_features(options, uring->ring.features);

    if (result == 0)
        result = probe(uring, options);
    if (result < 0)
        return result;
    /* A forked child must not share the ring: both would write its tail. */
    result = io_uring_ring_dontfork(&uring->ring);
    if (result < 0)
        return explain(options, result);
    register_ring(uring);
    /* Arms the wake, and finds out now if a filter denies io_uring_enter. */
    result = orr__uring_flush(uring, ORR_WAIT_NOT, &completed);
    return result < 0 ? explain(options, result) : 0;
}

static int open_ring(struct orr__uring *uring, const struct orr_options *options)
{
    int result = set_up(&uring->ring, options->batch_entries);

    if (result < 0)
        return explain(options, result);
    result = prepare_ring(uring, options);
    if (result < 0)
        io_uring_queue_exit(&uring->ring);
    return result;
}

/* An entry count of 0 is refused as such, but only by a kernel that has and allows io_uring. */
int orr__uring_probe(const struct orr_options *options)
{
    struct io_uring_params params = {0};
    const int result = io_uring_setup(0, &params);

    if (result == -ENOSYS || result == -EPERM || result == -EACCES)
        return explain(options, result);
    if (result >= 0)
        (void)close(result);
    return 0;
}

int orr__uring_open(const struct orr_options *options, void *argument, void **ret_state)
{
    (void)argument;
    orr__posix_ignore_broken_pipes();
    struct orr__uring *uring = calloc(1, sizeof *uring);
    if (uring == NULL)
        return explain(options, -ENOMEM);
    uring->batch_entries = options->batch_entries;
    uring->owner = pthread_self();
    uring->nest_descriptor = -1;
    uring->wake_descriptor = orr__eventfd_open();
    int result = uring->wake_descriptor < 0 ? explain(options, uring->wake_descriptor)
                                            : open_ring(uring, options);
    if (result == 0) {
        *ret_state = uring;
        return 0;
    }
    if (uring->wake_descriptor >= 0)
        (void)close(uring->wake_descriptor);
    free(uring);
    return result;
}

/*
 * A discarded loop leaves operations in flight, whose memory is the caller's again when this
 * returns. So they are canceled and waited for first (from Linux 6.0 on; before, the kernel cancels
 * them some time after the close). Only file operations that a device never answers outlast the
 * second.
 */
static void cancel_everything(struct orr__uring *uring)
{
    struct io_uring_sync_cancel_reg cancel = {
        .fd = -1,
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = {.tv_sec = 1},
    };

    (void)io_uring_register_sync_cancel(&uring->ring, &cancel);
}

void orr__uring_close(void *state)
{
    struct orr__uring *uring = state;

    cancel_everything(uring);
    io_uring_queue_exit(&uring->ring);
    (void)close(uring->wake_descriptor);
    if (uring->nest_descriptor >= 0)
        (void)close(uring->nest_descriptor);
    free(uring);
}

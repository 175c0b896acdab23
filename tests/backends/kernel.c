/*
 * kernel.c: see kernel.h.
 *
 * Why the linker's --wrap and not symbols of the same name that hide liburing's: it says in
 * meson.build what is replaced, fails to link if nothing is, and works alike with every sanitizer.
 */
#define _GNU_SOURCE 1

#include "kernel.h"

#include "../io/chance.h"
#include "backends/posix.h"
#include "backends/uring.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* More than any test needs: whoever enters as often goes round without waiting. */
#define ENTERS_MAX 3000000u

#define SINCE_6_1 (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
#define SINCE_5_19 (SINCE_6_1 | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)
#define SINCE_5_18 (SINCE_5_19 | IORING_SETUP_SUBMIT_ALL)

const struct kernel_version kernel_versions[KERNEL_VERSIONS] = {
    {"of this machine", 0, UINT8_MAX, false, false},
    {"6.1", 0, 48, false, false},
    {"5.19", SINCE_6_1, 46, false, false},
    {"5.18", SINCE_5_19, 40, false, false},
    {"5.13", SINCE_5_18, IORING_OP_UNLINKAT, false, false},
    {"5.11", SINCE_5_18, IORING_OP_UNLINKAT, true, false},
    {"5.11 without files", SINCE_5_18, IORING_OP_UNLINKAT, true, true},
};

const char *const kernel_mood_names[KERNEL_MOODS] = {
    [KERNEL_WILLING] = "willing", [KERNEL_AGAIN] = "EAGAIN",
    [KERNEL_BUSY] = "EBUSY",      [KERNEL_INTERRUPTED] = "interrupted",
    [KERNEL_HASTY] = "hasty",     [KERNEL_PARTIAL] = "partial",
    [KERNEL_ANY] = "any",         [KERNEL_BROKEN] = "broken",
};

struct kernel kernel = {.version = &kernel_versions[0]};

static struct io_uring *ring; /* set up last */
static uint64_t luck = 1;

/* ---- setup ----------------------------------------------------------------------------------- */

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *new_ring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *new_ring,
                                      struct io_uring_params *params);

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *new_ring,
                                      struct io_uring_params *params)
{
    if (kernel.setups < KERNEL_SETUPS_MAX)
        kernel.asked[kernel.setups] = *params;
    kernel.setups++;
    if (kernel.setup_error != 0)
        return kernel.setup_error;
    if ((params->flags & kernel.version->setup_refused) != 0)
        return -EINVAL;
    if (kernel.completions_max != 0 && params->cq_entries > kernel.completions_max)
        return -ENOMEM;
    if (kernel.completions != 0)
        params->cq_entries = kernel.completions;
    const int result = __real_io_uring_queue_init_params(entries, new_ring, params);
    if (result == 0) {
        new_ring->features &= ~kernel.features_missing;
        ring = new_ring;
    }
    return result;
}

static bool lacks(uint8_t op)
{
    const struct kernel_version *version = kernel.version;
    const uint64_t plain = version->plain_missing ? ORR__POSIX_OPERATIONS : 0;

    return orr__uring_opcode(op) > version->opcode_last ||
           ((plain | kernel.operations_missing) & ORR_OP_BIT(op)) != 0;
}

struct io_uring_probe *__real_io_uring_get_probe_ring(struct io_uring *of);
struct io_uring_probe *__wrap_io_uring_get_probe_ring(struct io_uring *of);

struct io_uring_probe *__wrap_io_uring_get_probe_ring(struct io_uring *of)
{
    struct io_uring_probe *probe = kernel.probe_denied ? NULL : __real_io_uring_get_probe_ring(of);

    for (uint8_t op = ORR_OP_ACCEPT; probe != NULL && op <= ORR_OP_POLL; op++) {
        const uint8_t opcode = orr__uring_opcode(op);
        if (opcode <= probe->last_op && lacks(op))
            probe->ops[opcode].flags = 0;
    }
    return probe;
}

/* What Meson makes of fopen, by _FILE_OFFSET_BITS. */
FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);

FILE *__wrap_fopen64(const char *path, const char *mode)
{
    if (kernel.disabled == NULL || strcmp(path, "/proc/sys/kernel/io_uring_disabled") != 0)
        return __real_fopen64(path, mode);
    FILE *setting = tmpfile();
    ck_assert_ptr_nonnull(setting);
    (void)fputs(kernel.disabled, setting);
    rewind(setting);
    return setting;
}

/* ---- enter ----------------------------------------------------------------------------------- */

struct call {
    unsigned count;
    unsigned wait;
    unsigned flags;
    sigset_t *argument;
    size_t argument_size;
};

static int strike_again(struct call *call)
{
    return call->count > 0 ? -EAGAIN : 0;
}

static int strike_busy(struct call *call)
{
    return call->count > 0 ? -EBUSY : 0;
}

static int strike_interrupted(struct call *call)
{
    (void)call;
    return -EINTR;
}

static int strike_hasty(struct call *call)
{
    return call->count == 0 && (call->flags & IORING_ENTER_EXT_ARG) != 0 ? -ETIME : 0;
}

/* As the kernel does when it runs out of memory in mid-batch: it takes some and returns at once. */
static int strike_partial(struct call *call)
{
    if (call->count < 2)
        return 0;
    *call = (struct call){
        .count = 1 + (unsigned)chance_below(&luck, call->count - 1),
        .flags = call->flags & ~IORING_ENTER_EXT_ARG,
        .argument_size = _NSIG / 8,
    };
    return 1;
}

static int strike_broken(struct call *call)
{
    (void)call;
    return kernel.error;
}

/* Each returns -errno to answer with, 1 if it changed the call, 0 if nothing was to strike. */
static int (*const strikes[KERNEL_MOODS])(struct call *call) = {
    [KERNEL_AGAIN] = strike_again,     [KERNEL_BUSY] = strike_busy,
    [KERNEL_HASTY] = strike_hasty,     [KERNEL_INTERRUPTED] = strike_interrupted,
    [KERNEL_PARTIAL] = strike_partial, [KERNEL_BROKEN] = strike_broken,
};

static int strike(struct call *call)
{
    enum kernel_mood mood = kernel.mood;

    if (mood == KERNEL_WILLING || kernel.strikes_left == 0)
        return 0;
    if (!kernel.always && chance_below(&luck, 4) == 0)
        return 0;
    if (mood == KERNEL_ANY)
        mood = (enum kernel_mood)(1 + chance_below(&luck, KERNEL_ANY - 1));
    const int answer = strikes[mood](call);
    if (answer != 0) {
        kernel.strikes++;
        kernel.strikes_left--;
    }
    return answer;
}

/*
 * Makes polls that stay armed invalid: kernels before 5.13 know no flag in that field, today's know
 * but a few, and both check it in the same place.
 */
static void spoil_polls(void)
{
    for (unsigned head = IO_URING_READ_ONCE(*ring->sq.khead); head != ring->sq.sqe_tail; head++) {
        struct io_uring_sqe *sqe = &ring->sq.sqes[head & ring->sq.ring_mask];
        if (sqe->opcode == IORING_OP_POLL_ADD && sqe->len == IORING_POLL_ADD_MULTI) {
            sqe->len = UINT32_C(1) << 12;
            kernel.refused_polls++;
        }
    }
}

int __real_io_uring_enter2(unsigned descriptor, unsigned count, unsigned wait, unsigned flags,
                           sigset_t *argument, size_t argument_size);
int __wrap_io_uring_enter2(unsigned descriptor, unsigned count, unsigned wait, unsigned flags,
                           sigset_t *argument, size_t argument_size);

int __wrap_io_uring_enter2(unsigned descriptor, unsigned count, unsigned wait, unsigned flags,
                           sigset_t *argument, size_t argument_size)
{
    struct call call = {count, wait, flags, argument, argument_size};

    if (++kernel.enters > ENTERS_MAX)
        ck_abort_msg("the backend entered the kernel %u times: it spins", ENTERS_MAX);
    if (kernel.version->polls_once && count > 0)
        spoil_polls();
    const int answer = strike(&call);
    if (answer < 0)
        return answer;
    return __real_io_uring_enter2(descriptor, call.count, call.wait, call.flags, call.argument,
                                  call.argument_size);
}

void kernel_be(enum kernel_mood mood, bool always)
{
    kernel.mood = mood;
    kernel.always = always;
    kernel.strikes_left = UINT64_MAX;
    kernel.strikes = 0;
}

/* ---- this machine's -------------------------------------------------------------------------- */

/* Asks liburing and not the backend: a backend that fails to open must not look like a kernel that
 * forbids. */
const char *kernel_forbids(void)
{
    struct io_uring own;
    const int result = io_uring_queue_init(2, &own, 0);

    if (result == -ENOSYS)
        return "io_uring is missing here (ENOSYS)";
    if (result == -EPERM || result == -EACCES)
        return "io_uring is forbidden here";
    if (result < 0)
        return NULL; /* then the tests say what is wrong */
    const bool is_old = (own.features & IORING_FEAT_EXT_ARG) == 0;
    io_uring_queue_exit(&own);
    return is_old ? "the kernel is older than Linux 5.11" : NULL;
}

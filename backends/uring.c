/*
 * uring.c: the backend on Linux's io_uring.
 *
 *     submit --> submission ring --enter--> kernel --> completion ring --reap--> completed
 *       \_________ the batch _______/
 *
 * The model: one ring per loop. submit and cancel fill entries and never enter the kernel. A flush
 * is one enter that hands the batch over, runs the kernel's deferred work and waits, then one walk
 * over the completion ring. The number that enter returns is not believed: it hides time-outs and
 * signals behind the count of entries taken. What was handed over is what the submission ring's
 * head says; what happened is what the completion ring holds; how late it is, the clock says.
 *
 * An entry's user_data is the completion's address. The lowest bits, free because completions are
 * aligned, tell its own end (0) from the end of a cancel that aims at it (1) and from the wake (2).
 *
 * Invariants:
 *   - A completion leaves only when no entry in the kernel names it: not before its own end, and if
 *     a cancel was sent, not before the cancel's end. Otherwise an old cancel could hit the
 *     address's next operation.
 *   - A flush never sleeps while something has completed, nor while the wake is not armed.
 *   - Entries that the kernel did not take (no memory, completion ring overflown) stay in the ring,
 *     as part of the batch.
 *
 * Why enter by hand and not through io_uring_submit_and_wait_timeout: that enters a second time on
 * a short submit, leaves the deferred work lying when completions are ready, and cannot wait
 * without submitting.
 */
#define _GNU_SOURCE 1

#include "uring.h"

#include "eventfd.h"
#include "posix.h"
#include "sigpipe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define TAG_MASK UINT64_C(3)
#define TAG_CANCEL UINT64_C(1)
#define TAG_WAKE UINT64_C(2)

_Static_assert(_Alignof(struct orr_completion) > TAG_MASK, "an address leaves room for the tag");

/* request.backend_bits */
#define CANCEL_SENT 1u /* a cancel that aims at this operation has not ended yet */
#define ENDED 2u       /* the operation itself has, with `result` */

/* How long to wait for something to end before refused entries are offered again. */
#define REFUSED_NS ORR_MILLISECOND

/* ---- the batch ------------------------------------------------------------------------------- */

static struct io_uring_sqe *take_entry(struct orr__uring *uring)
{
    if (io_uring_sq_ready(&uring->ring) >= uring->batch_entries)
        return NULL;
    return io_uring_get_sqe(&uring->ring);
}

/* 1 or 0. Unlike a send, a write cannot say that it wants no SIGPIPE. */
static uint64_t writes(const struct orr_completion *completion)
{
    return completion->request.op == ORR_OP_WRITE || completion->request.op == ORR_OP_WRITEV;
}

static enum orr_submit uring_submit(void *state, struct orr_completion *completion)
{
    struct orr__uring *uring = state;

    if ((uring->missing & ORR_OP_BIT(completion->request.op)) != 0) {
        completion->result = orr__posix_perform(completion);
        return ORR_SUBMIT_DONE;
    }
    struct io_uring_sqe *sqe = take_entry(uring);
    if (sqe == NULL)
        return ORR_SUBMIT_FULL;
    orr__uring_prepare(sqe, &completion->request);
    io_uring_sqe_set_data(sqe, completion);
    uring->writes += writes(completion);
    return ORR_SUBMIT_QUEUED;
}

static enum orr_submit uring_cancel(void *state, struct orr_completion *completion)
{
    struct orr__uring *uring = state;

    if ((completion->request.backend_bits & CANCEL_SENT) != 0)
        return ORR_SUBMIT_DONE;
    struct io_uring_sqe *sqe = take_entry(uring);
    if (sqe == NULL)
        return ORR_SUBMIT_FULL;
    io_uring_prep_cancel64(sqe, (uintptr_t)completion, 0);
    sqe->user_data = (uintptr_t)completion | TAG_CANCEL;
    completion->request.backend_bits |= CANCEL_SENT;
    return ORR_SUBMIT_QUEUED;
}

/* An unarmed wake counts, too: until it is handed over, descriptor() would not tell of a wake. */
static bool uring_unflushed(const void *state)
{
    const struct orr__uring *uring = state;

    return io_uring_sq_ready(&uring->ring) > 0 || !uring->wake_armed;
}

/* ---- wake ------------------------------------------------------------------------------------ */

/*
 * Takes any free entry of the ring. A batch that fills the ring leaves none; then the flush enters
 * once without sleeping, which frees them all, and comes here again. So no entry has to be
 * reserved, which would double the ring for every batch that is a power of two.
 */
static void arm_wake(struct orr__uring *uring)
{
    if (uring->wake_armed)
        return;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe == NULL)
        return;
    io_uring_prep_poll_add(sqe, uring->wake_descriptor, POLLIN);
    if (!uring->wake_once)
        sqe->len = IORING_POLL_ADD_MULTI;
    sqe->user_data = TAG_WAKE;
    uring->wake_armed = true;
}

/* Without IORING_CQE_F_MORE the poll is over, whatever its result: the next flush arms it again. */
static void take_wake(struct orr__uring *uring, const struct io_uring_cqe *cqe)
{
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        uring->wake_armed = false;
    if (cqe->res == -EINVAL && !uring->wake_once) {
        uring->wake_once = true;
        return;
    }
    if (cqe->res < 0) {
        uring->wake_error = cqe->res;
        return;
    }
    uring->wakes++;
    uring->woken = true;
    orr__eventfd_empty(uring->wake_descriptor); /* before it is armed again: that would fire */
}

/* From any thread and from signal handlers: touches the eventfd and nothing else. */
static void uring_wake(void *state)
{
    const struct orr__uring *uring = state;

    orr__eventfd_signal(uring->wake_descriptor);
}

/* ---- flush ----------------------------------------------------------------------------------- */

static void take_end(struct orr__uring *uring, struct orr_completion *completion, int32_t res,
                     struct orr_queue *completed)
{
    const int64_t result = orr__uring_result(&completion->request, res);

    uring->writes -= writes(completion);
    if ((completion->request.backend_bits & CANCEL_SENT) == 0) {
        orr_backend_complete(completed, completion, result);
        return;
    }
    completion->result = result;
    completion->request.backend_bits |= ENDED;
}

/* The cancel's own result says nothing that its target's does not say better. */
static void take_cancel_end(struct orr_completion *completion, struct orr_queue *completed)
{
    completion->request.backend_bits &= (uint8_t)~CANCEL_SENT;
    if ((completion->request.backend_bits & ENDED) != 0)
        orr_backend_complete(completed, completion, completion->result);
}

static void take(struct orr__uring *uring, const struct io_uring_cqe *cqe,
                 struct orr_queue *completed)
{
    void *data = io_uring_cqe_get_data(cqe);

    switch (cqe->user_data & TAG_MASK) {
    case 0:
        take_end(uring, data, cqe->res, completed);
        break;
    case TAG_CANCEL:
        take_cancel_end((void *)((char *)data - TAG_CANCEL), completed);
        break;
    case TAG_WAKE:
        take_wake(uring, cqe);
        break;
    default:
        orr_fatal("internal: io_uring completed an entry nobody submitted: user_data 0x%llx",
                  (unsigned long long)cqe->user_data);
    }
}

/* Takes everything out of the completion ring. Returns how many entries that were. */
static uint32_t reap(struct orr__uring *uring, struct orr_queue *completed)
{
    struct io_uring_cqe *cqe;
    uint32_t count = 0;
    unsigned head;

    io_uring_for_each_cqe (&uring->ring, head, cqe) {
        take(uring, cqe, completed);
        count++;
    }
    io_uring_cq_advance(&uring->ring, count);
    return count;
}

/* True if the kernel keeps completions that only an enter moves into the ring. */
static bool kernel_holds_back(const struct orr__uring *uring)
{
    const unsigned flags = IO_URING_READ_ONCE(*uring->ring.sq.kflags);

    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* One system call: offers `count` entries and sleeps up to sleep_ns for a completion. */
static int enter(struct orr__uring *uring, uint32_t count, uint64_t sleep_ns)
{
    struct io_uring *ring = &uring->ring;
    const struct timespec bounded = orr__posix_sleep_span(sleep_ns);
    struct __kernel_timespec span = {.tv_sec = bounded.tv_sec, .tv_nsec = bounded.tv_nsec};
    struct io_uring_getevents_arg argument = {.sigmask_sz = _NSIG / 8, .ts = (uintptr_t)&span};
    const unsigned flags = uring->enter_flags | IORING_ENTER_GETEVENTS;
    int result;

    ring->sq.sqe_head = ring->sq.sqe_tail;
    IO_URING_WRITE_ONCE(*ring->sq.ktail, ring->sq.sqe_tail);
    if (sleep_ns == 0 || sleep_ns == ORR_WAIT_FOREVER)
        result = io_uring_enter2((unsigned)ring->enter_ring_fd, count, sleep_ns != 0, flags, NULL,
                                 _NSIG / 8);
    else
        result =
            io_uring_enter2((unsigned)ring->enter_ring_fd, count, 1, flags | IORING_ENTER_EXT_ARG,
                            (sigset_t *)(void *)&argument, sizeof argument);
    return result < 0 ? result : 0;
}

static bool refuses(int error)
{
    return error == -EAGAIN || error == -EBUSY;
}

/* Time-outs and signals are looked up in the clock; a refusal in the submission ring. */
static bool is_fatal(int error)
{
    return error < 0 && error != -ETIME && error != -EINTR && !refuses(error);
}

/* Grows with everything that a flush may return for. */
static uint64_t events(const struct orr__uring *uring, const struct orr_queue *completed)
{
    return completed->count + uring->wakes;
}

/*
 * Goes round until the batch is handed over and something has happened, or the deadline has passed:
 * once, unless a signal came, the kernel took only a part, or the wake had no room. While the
 * kernel refuses the batch, it sleeps without offering any, for something to end and make room; it
 * returns with the batch if it may not sleep.
 */
static int exchange(struct orr__uring *uring, uint64_t deadline_ns, struct orr_queue *completed)
{
    const uint64_t before = events(uring, completed);
    bool entered = false;
    bool refused = false;

    (void)reap(uring, completed);
    for (;;) {
        const bool over = events(uring, completed) != before;
        if (!over)
            arm_wake(uring);
        const uint32_t batch = io_uring_sq_ready(&uring->ring);
        const bool may_sleep = !over && !uring->woken && uring->wake_armed;
        const uint64_t sleep_ns = may_sleep ? orr__posix_left_ns(deadline_ns) : 0;
        const bool idle = batch == 0 && (entered || !kernel_holds_back(uring));
        if (sleep_ns == 0 && (idle || refused))
            return 0;
        const int error = refused ? enter(uring, 0, sleep_ns < REFUSED_NS ? sleep_ns : REFUSED_NS)
                                  : enter(uring, batch, sleep_ns);
        entered = true;
        const bool reaped = reap(uring, completed) > 0;
        if (is_fatal(error))
            return error;
        if (uring->wake_error != 0)
            return uring->wake_error;
        refused = refuses(error) && !reaped && io_uring_sq_ready(&uring->ring) == batch;
    }
}

/* ---- for who nests the loop ------------------------------------------------------------------ */

/*
 * Leaves the descriptor readable if and only if a flush has something to append. Emptied before the
 * look: what comes after the look signals it again. Registered afresh each time, because a kernel
 * that has to put one signal off (it came out of a write to another eventfd: a wake is one) was
 * measured to give none after it (6.18). Without a registration whoever nests us must not sleep.
 */
static void settle_nest(struct orr__uring *uring)
{
    orr__eventfd_empty(uring->nest_descriptor);
    (void)io_uring_unregister_eventfd(&uring->ring);
    const bool deaf = io_uring_register_eventfd(&uring->ring, uring->nest_descriptor) < 0;
    if (deaf || io_uring_cq_ready(&uring->ring) > 0 || kernel_holds_back(uring))
        orr__eventfd_signal(uring->nest_descriptor);
}

/*
 * Not the ring's own descriptor: that tells those who look, but deferred work does not wake who
 * sleeps on it. An eventfd that is registered with the ring is signaled for both. Made when it is
 * first asked for, because it costs every completion something.
 */
static int uring_descriptor(void *state)
{
    struct orr__uring *uring = state;

    if (uring->nest_descriptor >= 0)
        return uring->nest_descriptor;
    const int descriptor = orr__eventfd_open();
    if (descriptor < 0)
        return descriptor;
    uring->nest_descriptor = descriptor;
    settle_nest(uring);
    return descriptor;
}

/* The kernel writes in an enter, and raises SIGPIPE in the thread that enters. */
static int exchange_silently(struct orr__uring *uring, uint64_t deadline_ns,
                             struct orr_queue *completed)
{
    struct orr__sigpipe hold;

    if (uring->writes == 0)
        return exchange(uring, deadline_ns, completed);
    orr__sigpipe_hold(&hold);
    const int error = exchange(uring, deadline_ns, completed);
    orr__sigpipe_release(&hold);
    return error;
}

int orr__uring_flush(void *state, uint64_t deadline_ns, struct orr_queue *completed)
{
    struct orr__uring *uring = state;

    /* A registered ring is a number of its thread: from another thread it could be another ring. */
    if (pthread_equal(uring->owner, pthread_self()) == 0)
        return -EEXIST;
    const int error = exchange_silently(uring, deadline_ns, completed);
    if (deadline_ns != ORR_WAIT_NOT)
        uring->woken = false;
    if (uring->nest_descriptor >= 0)
        settle_nest(uring);
    if (error == 0 && IO_URING_READ_ONCE(*uring->ring.cq.koverflow) != 0)
        return -EBADR; /* the kernel ran out of memory and lost completions */
    return error;
}

/* ---- the vtable ------------------------------------------------------------------------------ */

const struct orr_backend orr__uring = {
    .name = "uring",
    .operations = ORR__POSIX_OPERATIONS | ORR_OP_BIT(ORR_OP_ACCEPT) | ORR_OP_BIT(ORR_OP_CONNECT) |
                  ORR_OP_BIT(ORR_OP_RECV) | ORR_OP_BIT(ORR_OP_SEND) | ORR_OP_BIT(ORR_OP_RECV_FROM) |
                  ORR_OP_BIT(ORR_OP_SEND_TO) | ORR_OP_BIT(ORR_OP_POLL),
    .probe = orr__uring_probe,
    .open = orr__uring_open,
    .close = orr__uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .flush = orr__uring_flush,
    .unflushed = uring_unflushed,
    .now = orr__posix_now,
    .wake = uring_wake,
    .descriptor = uring_descriptor,
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
};

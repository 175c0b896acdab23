/*
 * readiness.c: the engine behind epoll and kqueue: makes completions out of "this descriptor is
 * ready".
 *
 *     submit --> batch --flush--> attempt --done--------------------------> completed
 *                                   | not ready                                ^
 *                                   v                                          |
 *                             a queue of the descriptor --report--> attempt ---'
 *                                   file: pool of threads ---------------------'
 *
 * The model: submit only takes operations into the batch. A flush attempts each in turn with a
 * system call that does not wait; what is not ready waits in its descriptor's queue for the
 * poller's report, and is attempted then. Operations on files never wait for a report, and could
 * stop the loop: threads do them. shutdown, and close of what is no file, are done at once.
 *
 * Invariants:
 *   - An operation is in one place, which its backend_bits tell: batch, a queue of its descriptor's
 *     watch, the pool, or `ended`.
 *   - In one direction of a descriptor the operations are attempted in the order of their submit: a
 *     later one only when no earlier one waits.
 *   - What the poller has not been told yet counts as unflushed, so that whoever sleeps on its
 *     descriptor is woken.
 *   - Reports are hints. What a report is good for, the attempt decides; one that nobody waited for
 *     ends the watching of that direction, the second one where the next receive may be under way.
 *     So no report is too many, and none can be too old.
 *   - A descriptor is forgotten before it is closed.
 *   - A report that stays and helps nobody (an error in a socket's error queue, which only a
 *     special call reads) must not keep the loop from sleeping: from then on the descriptor is
 *     watched for what happens, not for what is, until an attempt gets on.
 *
 * Reading stays watched between two receives, writing only while somebody waits: almost always a
 * socket is writable, and almost never readable. So an exchange of messages needs no call to change
 * what is watched.
 */
#define _GNU_SOURCE 1

#include "readiness.h"

#include "posix.h"

#include <errno.h>

/* request.backend_bits: where an operation is. */
enum place { BATCH = 1, READERS, WRITERS, POLLS, POOL, ENDED };

/* ---- places ---------------------------------------------------------------------------------- */

/* Takes an operation out of the engine with its result. */
static void complete(struct orr_completion *completion, int64_t result, struct orr_queue *completed)
{
    if (result < 0)
        orr__attempt_failed(completion);
    orr_backend_complete(completed, completion, result);
}

static struct orr_queue *queue_of(struct orr__watch *watch, uint8_t place)
{
    return place == READERS ? &watch->readers : place == WRITERS ? &watch->writers : &watch->polls;
}

/* The queue in which an operation on a descriptor would wait. */
static uint8_t waiting_place(uint8_t op)
{
    switch (op) {
    case ORR_OP_POLL:
        return POLLS;
    case ORR_OP_ACCEPT:
    case ORR_OP_RECV:
    case ORR_OP_RECV_FROM:
    case ORR_OP_READ:
    case ORR_OP_READV:
        return READERS;
    default:
        return WRITERS;
    }
}

static uint8_t poll_directions(const struct orr_completion *poll)
{
    const uint32_t events = poll->request.arguments.events;
    const bool reads = (events & ORR_POLL_IN) != 0;
    const bool writes = (events & ORR_POLL_OUT) != 0;

    if (!reads && !writes)
        return ORR__WATCH_HANGUP;
    return (uint8_t)((reads ? ORR__WATCH_READ : 0u) | (writes ? ORR__WATCH_WRITE : 0u));
}

/* Directions in which somebody waits. */
static uint8_t directions_needed(const struct orr__watch *watch)
{
    uint8_t needed = 0;

    for (const struct orr_completion *c = watch->polls.head; c != NULL; c = c->next)
        needed |= poll_directions(c);
    if (watch->readers.head != NULL)
        needed |= ORR__WATCH_READ;
    if (watch->writers.head != NULL)
        needed |= ORR__WATCH_WRITE;
    return needed;
}

static void list_change(struct orr__readiness *readiness, struct orr__watch *watch)
{
    watch->listed = true;
    watch->previous = NULL;
    watch->next = readiness->changes;
    if (watch->next != NULL)
        watch->next->previous = watch;
    readiness->changes = watch;
}

/* After a change of who waits: what is to be watched from now on. `vain` directions were reported
 * to nobody. */
static void update(struct orr__readiness *readiness, struct orr__watch *watch, uint8_t vain)
{
    const uint8_t kept = readiness->poller->one_shot ? ORR__WATCH_READ | ORR__WATCH_WRITE
                                                     : (uint8_t)(ORR__WATCH_READ & ~(unsigned)vain);

    watch->wanted = (uint8_t)(directions_needed(watch) | (watch->armed & kept));
    if ((watch->wanted & ORR__WATCH_READ) != 0) /* which tells of hang-ups, too */
        watch->wanted &= (uint8_t)~ORR__WATCH_HANGUP;
    if (watch->stuck && watch->wanted != 0)
        watch->wanted |= ORR__WATCH_EDGE;
    if (watch->wanted != watch->armed && !watch->listed)
        list_change(readiness, watch);
    else if (watch->wanted == watch->armed && watch->listed)
        orr__readiness_unlist(readiness, watch);
}

static void wait_in_queue(struct orr__readiness *readiness, struct orr__watch *watch,
                          struct orr_completion *completion)
{
    const uint8_t place = waiting_place(completion->request.op);

    completion->request.backend_bits = place;
    orr_queue_push(queue_of(watch, place), completion);
    readiness->waiting++;
}

static void leave_queue(struct orr__readiness *readiness, struct orr__watch *watch,
                        struct orr_completion *completion)
{
    orr_queue_remove(queue_of(watch, completion->request.backend_bits), completion);
    readiness->waiting--;
}

/* ---- the batch ------------------------------------------------------------------------------- */

enum orr_submit orr__readiness_submit(void *state, struct orr_completion *completion)
{
    struct orr__readiness *readiness = state;

    if (readiness->batch.count >= readiness->batch_entries)
        return ORR_SUBMIT_FULL;
    completion->request.backend_bits = BATCH;
    orr_queue_push(&readiness->batch, completion);
    return ORR_SUBMIT_QUEUED;
}

static void cancel_waiting(struct orr__readiness *readiness, struct orr_completion *completion)
{
    struct orr__watch *watch =
        orr__watches_find(&readiness->watches, completion->request.descriptor);

    leave_queue(readiness, watch, completion);
    update(readiness, watch, 0);
}

enum orr_submit orr__readiness_cancel(void *state, struct orr_completion *completion)
{
    struct orr__readiness *readiness = state;

    switch (completion->request.backend_bits) {
    case BATCH:
        orr_queue_remove(&readiness->batch, completion);
        break;
    case READERS:
    case WRITERS:
    case POLLS:
        cancel_waiting(readiness, completion);
        break;
    case POOL:
        if (!orr__pool_take_back(&readiness->pool, completion))
            return ORR_SUBMIT_DONE;
        break;
    default:
        return ORR_SUBMIT_DONE; /* it has ended */
    }
    completion->request.backend_bits = ENDED;
    orr_queue_push(&readiness->ended, completion);
    return ORR_SUBMIT_DONE;
}

bool orr__readiness_unflushed(const void *state)
{
    const struct orr__readiness *readiness = state;

    return readiness->batch.head != NULL || readiness->ended.head != NULL ||
           readiness->changes != NULL || readiness->poller->pending(readiness->poller_state);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static bool transfers(uint8_t op)
{
    return op == ORR_OP_READ || op == ORR_OP_WRITE || op == ORR_OP_READV || op == ORR_OP_WRITEV;
}

/* After a receive that got less than it asked for nothing is left, as a rule: the next one would
 * ask in vain. If something is left all the same, the poller reports it at once. */
static void take_note(struct orr__watch *watch, const struct orr_completion *completion,
                      int64_t result)
{
    if (completion->request.op == ORR_OP_RECV)
        watch->drained = result > 0 && result < completion->request.arguments.transfer.length;
}

static void add_accepted(struct orr__readiness *readiness, const struct orr_completion *completion,
                         int64_t result)
{
    if (completion->request.op == ORR_OP_ACCEPT && result >= 0)
        (void)orr__watches_add(&readiness->watches, (int32_t)result, ORR__KIND_SOCKET);
}

/* A report may have taken the socket's error out of it: then it goes to the first who would be told
 * that there is nothing, or no more. An error that the socket tells itself is that one. */
static int64_t with_reported_error(struct orr__watch *watch,
                                   const struct orr_completion *completion, int64_t result)
{
    const int64_t error = -watch->error;
    const bool reads = waiting_place(completion->request.op) == READERS;

    if (error == 0 || completion->request.op == ORR_OP_POLL)
        return result;
    if (result != ORR__NOT_READY && (result > 0 || (result == 0 && !reads)))
        return result;
    watch->error = 0;
    return result < 0 && result != ORR__NOT_READY ? result : error;
}

/* What an operation that would have to wait ends with, after a shutdown of receiving. */
static int64_t result_when_shut(uint8_t op)
{
    if (op == ORR_OP_ACCEPT)
        return -EINVAL;
    return op == ORR_OP_RECV || op == ORR_OP_RECV_FROM ? 0 : ORR__NOT_READY;
}

/* A new connect has nothing to do with an error from before; for one that waits it is the
 * answer. */
static int64_t attempt_connect(struct orr__watch *watch, const struct orr_completion *completion,
                               bool reported)
{
    const int32_t error = watch->error;

    watch->error = 0;
    return reported ? orr__attempt_connected(completion, error)
                    : orr__attempt(completion, (enum orr__kind)watch->kind);
}

/* False if the descriptor is not ready. `reported`: the poller says that it is. */
static bool attempt(struct orr__readiness *readiness, struct orr__watch *watch,
                    struct orr_completion *completion, bool reported, struct orr_queue *completed)
{
    int64_t result;

    if (completion->request.op == ORR_OP_CONNECT)
        result = attempt_connect(watch, completion, reported);
    else
        result = with_reported_error(watch, completion,
                                     orr__attempt(completion, (enum orr__kind)watch->kind));
    if (result == ORR__NOT_READY && watch->shut)
        result = result_when_shut(completion->request.op);
    if (result == ORR__NOT_READY)
        return false;
    watch->stuck = false;
    if (reported)
        leave_queue(readiness, watch, completion);
    take_note(watch, completion, result);
    add_accepted(readiness, completion, result);
    complete(completion, result, completed);
    return true;
}

static bool reads_nothing(const struct orr_request *request)
{
    const uint32_t length = request->arguments.transfer.length; /* vectors: their number */

    if (request->op == ORR_OP_READ)
        return length == 0;
    for (uint32_t i = 0; i < length && request->op == ORR_OP_READV; i++)
        if (request->arguments.transfer.vectors[i].length > 0)
            return false;
    return request->op == ORR_OP_READV;
}

/* Whether it ends at once whatever waits: a second connect, an offset on a socket, a read of
 * nothing, an accept where others receive, and the other way round. */
static bool has_no_turn(const struct orr__watch *watch, const struct orr_completion *completion,
                        const struct orr_completion *first)
{
    const uint8_t op = completion->request.op;

    if (op == ORR_OP_CONNECT)
        return true;
    if (transfers(op) && watch->kind == ORR__KIND_SOCKET &&
        (completion->request.arguments.transfer.offset != 0 || reads_nothing(&completion->request)))
        return true;
    return first != NULL && (first->request.op == ORR_OP_ACCEPT) != (op == ORR_OP_ACCEPT);
}

static bool must_wait(struct orr__watch *watch, const struct orr_completion *completion)
{
    const uint8_t op = completion->request.op;

    if (op == ORR_OP_POLL)
        return false;
    const struct orr_completion *first = queue_of(watch, waiting_place(op))->head;
    if (has_no_turn(watch, completion, first))
        return false;
    return first != NULL || (op == ORR_OP_RECV && watch->drained);
}

static void start_here(struct orr__readiness *readiness, struct orr__watch *watch,
                       struct orr_completion *completion, struct orr_queue *completed)
{
    if (!must_wait(watch, completion) && attempt(readiness, watch, completion, false, completed))
        return;
    wait_in_queue(readiness, watch, completion);
    update(readiness, watch, 0);
}

static void start_in_pool(struct orr__readiness *readiness, struct orr_completion *completion)
{
    completion->request.backend_bits = POOL;
    orr_queue_push(&readiness->for_pool, completion);
}

/* Closing a file may wait for a device or a server. */
static void start_close(struct orr__readiness *readiness, struct orr_completion *completion,
                        struct orr_queue *completed)
{
    const int32_t descriptor = completion->request.descriptor;
    const struct orr__watch *watch = orr__watches_find(&readiness->watches, descriptor);
    const bool waits = watch == NULL || watch->kind == ORR__KIND_FILE;

    orr__readiness_forget(readiness, descriptor);
    if (waits)
        start_in_pool(readiness, completion);
    else
        complete(completion, orr__posix_perform(completion), completed);
}

/* A datagram socket, or a listener of Unix streams, that is shut down is readable for ever, and yet
 * a call that does not wait is told to come again: the engine must know better. Linux shuts down
 * what has no peer, too. */
static void start_shutdown(struct orr__readiness *readiness, struct orr_completion *completion,
                           struct orr_queue *completed)
{
    struct orr__watch *watch =
        orr__watches_find(&readiness->watches, completion->request.descriptor);
    const int64_t result = orr__posix_perform(completion);
    const bool receives_no_more =
        completion->request.arguments.events != ORR_SHUTDOWN_SEND &&
        (result == 0 || (result == -ENOTCONN && orr__shuts_without_peer()));

    if (watch != NULL && receives_no_more)
        watch->shut = true;
    complete(completion, result, completed);
}

/* A socket refuses reads and writes at any offset but 0, whoever waits on it. */
static bool has_wrong_offset(const struct orr__watch *watch,
                             const struct orr_completion *completion)
{
    return watch->kind == ORR__KIND_SOCKET && completion->request.arguments.transfer.offset != 0;
}

static void start(struct orr__readiness *readiness, struct orr_completion *completion,
                  struct orr_queue *completed)
{
    const uint8_t op = completion->request.op;
    const bool here = (ORR__ATTEMPT_OPERATIONS & ORR_OP_BIT(op)) != 0;
    int error = 0;

    if (op == ORR_OP_CLOSE) {
        start_close(readiness, completion, completed);
        return;
    }
    if (op == ORR_OP_SHUTDOWN) {
        start_shutdown(readiness, completion, completed);
        return;
    }
    if (!here && !transfers(op)) {
        start_in_pool(readiness, completion);
        return;
    }
    struct orr__watch *watch =
        orr__readiness_learn(readiness, completion->request.descriptor, &error);
    if (watch == NULL)
        complete(completion, error, completed);
    else if (!here && has_wrong_offset(watch, completion))
        complete(completion, -ESPIPE, completed);
    else if (!here && watch->kind == ORR__KIND_FILE)
        start_in_pool(readiness, completion);
    else
        start_here(readiness, watch, completion, completed);
}

static void start_batch(struct orr__readiness *readiness, struct orr_queue *completed)
{
    struct orr_completion *completion;

    while ((completion = orr_queue_pop(&readiness->batch)) != NULL)
        start(readiness, completion, completed);
    orr__pool_give(&readiness->pool, &readiness->for_pool);
}

/* ---- reports --------------------------------------------------------------------------------- */

/* Serves those who wait in one direction, first come, first served. True if there was anybody. */
static bool serve(struct orr__readiness *readiness, struct orr__watch *watch,
                  struct orr_queue *queue, struct orr_queue *completed)
{
    if (queue->head == NULL)
        return false;
    while (queue->head != NULL && attempt(readiness, watch, queue->head, true, completed))
        continue;
    return true;
}

/* True if a poll got what it waited for. */
static bool serve_polls(struct orr__readiness *readiness, struct orr__watch *watch,
                        struct orr_queue *completed)
{
    struct orr_completion *next;
    bool served = false;

    for (struct orr_completion *c = watch->polls.head; c != NULL; c = next) {
        next = c->next;
        served = attempt(readiness, watch, c, true, completed) || served;
    }
    return served;
}

static void end_queue(struct orr__readiness *readiness, struct orr__watch *watch,
                      struct orr_queue *queue, int64_t result, struct orr_queue *completed)
{
    while (queue->head != NULL) {
        struct orr_completion *completion = queue->head;
        leave_queue(readiness, watch, completion);
        complete(completion, result, completed);
    }
}

static void end_polls(struct orr__readiness *readiness, struct orr__watch *watch,
                      uint8_t directions, int64_t result, struct orr_queue *completed)
{
    struct orr_completion *next;

    for (struct orr_completion *c = watch->polls.head; c != NULL; c = next) {
        next = c->next;
        if ((poll_directions(c) & directions) == 0)
            continue;
        leave_queue(readiness, watch, c);
        complete(c, result, completed);
    }
}

/* The system cannot watch the descriptor: who waits for a report would wait for ever. Hang-ups are
 * watched like reads. */
static void fail_watch(struct orr__readiness *readiness, struct orr__watch *watch,
                       uint8_t directions, int64_t error, struct orr_queue *completed)
{
    if ((directions & ORR__WATCH_READ) != 0)
        directions |= ORR__WATCH_HANGUP;
    watch->armed &= (uint8_t)~directions;
    if ((directions & ORR__WATCH_READ) != 0)
        end_queue(readiness, watch, &watch->readers, error, completed);
    if ((directions & ORR__WATCH_WRITE) != 0)
        end_queue(readiness, watch, &watch->writers, error, completed);
    end_polls(readiness, watch, directions, error, completed);
    update(readiness, watch, ORR__WATCH_READ);
}

static void take_report(struct orr__readiness *readiness, const struct orr__event *event,
                        struct orr_queue *completed)
{
    struct orr__watch *watch = orr__watches_find(&readiness->watches, event->descriptor);
    const uint64_t before = readiness->waiting;
    uint8_t vain = 0;

    if (watch == NULL)
        return;
    const bool drained = watch->drained;
    if (event->failed != 0) {
        fail_watch(readiness, watch, event->ready, -event->failed, completed);
        return;
    }
    if (readiness->poller->one_shot)
        watch->armed &= (uint8_t) ~(event->ready & (ORR__WATCH_READ | ORR__WATCH_WRITE));
    watch->error = event->error != 0 ? event->error : watch->error;
    watch->drained = false;
    const bool polled = serve_polls(readiness, watch, completed);
    /* Writers first: a connect must see the socket's error, which is told only once. */
    if ((event->ready & ORR__WATCH_WRITE) != 0)
        (void)serve(readiness, watch, &watch->writers, completed);
    if ((event->ready & ORR__WATCH_READ) != 0 &&
        !serve(readiness, watch, &watch->readers, completed) && !polled && !drained)
        vain = ORR__WATCH_READ;
    if (readiness->waiting == before && (directions_needed(watch) & event->ready) != 0)
        watch->stuck = !readiness->poller->one_shot;
    update(readiness, watch, vain);
}

/* ---- flush ----------------------------------------------------------------------------------- */

/* Tells the poller what is to be watched. False if it has no room before a wait. */
static bool apply_changes(struct orr__readiness *readiness, struct orr_queue *completed)
{
    while (readiness->changes != NULL) {
        struct orr__watch *watch = readiness->changes;
        const int result = readiness->poller->arm(readiness->poller_state, watch->descriptor,
                                                  watch->armed, watch->wanted);
        if (result == ORR__POLLER_FULL)
            return false;
        orr__readiness_unlist(readiness, watch);
        const uint8_t added = (uint8_t)(watch->wanted & ~watch->armed);
        watch->armed = watch->wanted;
        if (result < 0)
            fail_watch(readiness, watch, added, result, completed);
    }
    return true;
}

static void take_wake(struct orr__readiness *readiness)
{
    if (atomic_exchange(&readiness->wake_asked, false))
        readiness->woken = true;
}

/* One look at the poller. Returns 0, or -errno if it is beyond use. */
static int look(struct orr__readiness *readiness, uint64_t sleep_ns, struct orr_queue *completed)
{
    const int count = readiness->poller->wait(readiness->poller_state, sleep_ns, readiness->events);

    for (int i = 0; i < count; i++) {
        if (readiness->events[i].descriptor == ORR__EVENT_WAKE)
            take_wake(readiness);
        else
            take_report(readiness, &readiness->events[i], completed);
    }
    orr__pool_collect(&readiness->pool, completed);
    return count < 0 ? count : 0;
}

/* Looks until the poller has taken all changes; sleeps if nothing has ended. */
static int look_and_wait(struct orr__readiness *readiness, uint64_t deadline_ns, uint64_t before,
                         struct orr_queue *completed)
{
    bool all = apply_changes(readiness, completed);
    int error;

    do {
        const bool sleeps = all && completed->count == before && !readiness->woken;
        error = look(readiness, sleeps ? orr__posix_left_ns(deadline_ns) : 0, completed);
        all = apply_changes(readiness, completed);
    } while (error == 0 && !all);
    return error;
}

/*
 * The poller may be left alone when the batch itself completed something (what is ready there is
 * told by the next flush; that halves the looks of a server that answers each message), and when
 * nobody waits. Never twice on end: whoever sleeps on the poller's descriptor, and finds it
 * readable because of a wake or of a report that nobody wants, would go round for ever.
 */
static bool may_skip(struct orr__readiness *readiness, uint64_t before,
                     const struct orr_queue *completed, uint64_t deadline_ns)
{
    if (!readiness->looked || readiness->changes != NULL ||
        readiness->poller->pending(readiness->poller_state))
        return false;
    if (completed->count != before)
        return true;
    return deadline_ns == ORR_WAIT_NOT && readiness->waiting == 0 &&
           readiness->pool.outstanding == 0;
}

int orr__readiness_flush(void *state, uint64_t deadline_ns, struct orr_queue *completed)
{
    struct orr__readiness *readiness = state;
    const uint64_t before = completed->count;
    struct orr_completion *completion;
    int error = 0;

    if (pthread_equal(readiness->owner, pthread_self()) == 0)
        return -EEXIST;
    while ((completion = orr_queue_pop(&readiness->ended)) != NULL)
        complete(completion, -ECANCELED, completed);
    start_batch(readiness, completed);
    orr__pool_collect(&readiness->pool, completed);
    const bool skips = may_skip(readiness, before, completed, deadline_ns);
    if (!skips)
        error = look_and_wait(readiness, deadline_ns, before, completed);
    readiness->looked = !skips;
    if (deadline_ns != ORR_WAIT_NOT)
        readiness->woken = false;
    return error;
}

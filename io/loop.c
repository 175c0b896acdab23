/*
 * loop.c: opening, closing and running a loop.
 *
 * One pass is exchange + callbacks. The exchange moves the overflow queue into the batch, flushes,
 * and collects wakes and timers, until something is ready or its deadline has passed. Then exactly
 * what was ready at that moment is called back: what callbacks submit waits for the next pass, so
 * that nobody starves. The clock is looked at only where something depends on it.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

static int check_options(const struct orr_options *options, struct orr_options *ret_checked)
{
    struct orr_options checked = options != NULL ? *options : (struct orr_options){0};
    if (checked.batch_entries == 0)
        checked.batch_entries = ORR_BATCH_ENTRIES_DEFAULT;
    if (checked.handles_max == 0)
        checked.handles_max = ORR_HANDLES_DEFAULT;
    if (checked.batch_entries > ORR_BATCH_ENTRIES_MAX) {
        orr_options_error(options, "batch_entries is %u; it must be at most %u",
                          checked.batch_entries, ORR_BATCH_ENTRIES_MAX);
        return -EINVAL;
    }
    if (checked.handles_max > ORR_HANDLES_MAX) {
        orr_options_error(options, "handles_max is %u; it must be at most %u", checked.handles_max,
                          ORR_HANDLES_MAX);
        return -EINVAL;
    }
    *ret_checked = checked;
    return 0;
}

int orr_loop_open_with(const struct orr_options *options, const struct orr_backend *backend,
                       void *argument, struct orr_loop **ret_loop)
{
    struct orr_options checked;
    int status = check_options(options, &checked);
    if (status < 0)
        return status;
    struct orr_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL || !orr__handles_open(loop, checked.handles_max)) {
        free(loop);
        orr_options_error(options, "no memory for a loop with %u handles", checked.handles_max);
        return -ENOMEM;
    }
    loop->backend = backend;
    atomic_init(&loop->wake_signal, false);
    status = backend->open(&checked, argument, &loop->backend_state);
    if (status < 0) {
        free(loop->slots);
        free(loop);
        return status;
    }
    *ret_loop = loop;
    return 0;
}

static _Atomic(orr_loop_host) loop_host;

void orr_loop_set_host(orr_loop_host host)
{
    atomic_store(&loop_host, host);
}

int orr_loop_open_hosted(const struct orr_options *options, struct orr_loop **ret_loop)
{
    orr_loop_host host = atomic_load(&loop_host);
    return host != NULL ? host(options, ret_loop) : ORR_HOST_ELSEWHERE;
}

static uint64_t in_flight(const struct orr_loop *loop)
{
    return loop->statistics.submits - loop->statistics.callbacks;
}

void orr_loop_close(struct orr_loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->running)
        orr_fatal("orr_loop_close: called from a callback of the same loop: stop it, and close it "
                  "after the run call");
    if (in_flight(loop) > 0)
        orr_fatal("orr_loop_close: %llu operations are in flight: call orr_drain first",
                  (unsigned long long)in_flight(loop));
    orr__handles_discard(loop);
    orr_loop_discard(loop);
}

void orr_loop_discard(struct orr_loop *loop)
{
    loop->backend->close(loop->backend_state);
    free(loop->slots);
    free(loop);
}

/* Moves overflowed operations into the batch, oldest first. False if the very first found no
 * room. */
static bool refill(struct orr_loop *loop)
{
    bool moved = false;
    while (loop->overflow.head != NULL) {
        struct orr_completion *head = loop->overflow.head;
        orr_queue_remove(&loop->overflow, head);
        head->request.state = ORR__QUEUED;
        head->request.backend_bits = 0;
        enum orr_submit answer = loop->backend->submit(loop->backend_state, head);
        if (answer == ORR_SUBMIT_FULL) {
            head->request.state = ORR__OVERFLOWED;
            orr_queue_push_first(&loop->overflow, head);
            return moved;
        }
        moved = true;
        if (answer == ORR_SUBMIT_QUEUED)
            loop->in_backend++;
        else
            orr__complete(loop, head, head->result);
    }
    return true;
}

/* Looks at the clock, and books the time since the last look. One look each after the flush and
 * after the callbacks is all that a pass needs. */
static void book_time(struct orr_loop *loop, uint64_t *account_ns)
{
    uint64_t now_ns = orr__now_ns(loop);
    *account_ns += now_ns - loop->looked_ns;
    loop->looked_ns = now_ns;
}

static void flush(struct orr_loop *loop, uint64_t deadline_ns)
{
    uint64_t before = loop->completed.count;
    int status = loop->backend->flush(loop->backend_state, deadline_ns, &loop->completed);
    if (status < 0)
        orr_fatal("backend %s cannot go on: flush failed with errno %d%s", loop->backend->name,
                  -status,
                  status == -EEXIST ? ": a loop runs only on the thread that opened it" : "");
    uint64_t done = loop->completed.count - before;
    orr__assert(done <= loop->in_backend);
    loop->in_backend -= done;
    loop->statistics.flushes++;
    book_time(loop, &loop->statistics.in_backend_ns);
}

/* True if somebody woke the loop. One waiting operation is enough to take the wake; all that wait
 * get it. */
static bool collect_wakes(struct orr_loop *loop)
{
    bool woken = atomic_load_explicit(&loop->wake_signal, memory_order_relaxed) &&
                 atomic_exchange(&loop->wake_signal, false);
    if (woken)
        loop->wake_pending = true;
    if (loop->wake_pending && loop->wakes.head != NULL) {
        loop->wake_pending = false;
        struct orr_completion *waiting;
        while ((waiting = orr_queue_pop(&loop->wakes)) != NULL)
            orr__complete(loop, waiting, 0);
    }
    return woken;
}

/* The batch has no room although it was flushed and the backend holds nothing: waiting would be for
 * ever. */
static void give_up_on_head(struct orr_loop *loop)
{
    struct orr_completion *head = orr_queue_pop(&loop->overflow);
    orr__assert(head != NULL);
    bool closes = head->request.op == ORR_OP_CLOSE;
    if (closes) /* its handle is gone whatever the result: so must the descriptor be */
        loop->backend->discard(loop->backend_state, head->request.descriptor);
    orr__complete(loop, head, closes ? 0 : -ENOBUFS);
}

/* Exchanges until something is ready to be called back, the loop was woken, or deadline_ns has
 * passed. */
static void exchange(struct orr_loop *loop, uint64_t deadline_ns)
{
    bool flushed = false;
    for (;;) {
        orr__resend_cancels(loop);
        bool moved = refill(loop);
        if (!moved && flushed && loop->in_backend == 0)
            give_up_on_head(loop);
        bool woken = collect_wakes(loop);
        bool more = loop->overflow.head != NULL && (moved || !flushed);
        more = more || loop->cancels_unsent > 0;
        uint64_t until_ns = deadline_ns;
        if (orr__timers_deadline(loop) < until_ns)
            until_ns = orr__timers_deadline(loop);
        if (loop->completed.count > 0 || more || woken)
            until_ns = ORR_WAIT_NOT;
        flush(loop, until_ns);
        flushed = true;
        woken = collect_wakes(loop) || woken;
        orr__timers_expire(loop, loop->looked_ns);
        if (loop->completed.count > 0 || woken || loop->stopped)
            return;
        if (!more && (deadline_ns == ORR_WAIT_NOT || loop->looked_ns >= deadline_ns))
            return;
    }
}

/* One pass. With check_deadline, the callbacks stop once deadline_ns has passed: the rest stays
 * ready. */
static void pass(struct orr_loop *loop, uint64_t deadline_ns, bool check_deadline)
{
    loop->statistics.passes++;
    exchange(loop, deadline_ns);
    uint64_t ready = loop->completed.count;
    if (ready == 0)
        return;
    while (ready-- > 0 && !loop->stopped) {
        orr__dispatch(loop, orr_queue_pop(&loop->completed));
        if (!check_deadline)
            continue;
        book_time(loop, &loop->statistics.in_callbacks_ns);
        if (loop->looked_ns >= deadline_ns)
            return;
    }
    if (!check_deadline)
        book_time(loop, &loop->statistics.in_callbacks_ns);
}

static void enter(struct orr_loop *loop, const char *call)
{
    if (loop->running)
        orr_fatal("%s: the loop is running: a run call must not be made from inside a callback",
                  call);
    loop->running = true;
    loop->looked_ns = orr__now_ns(loop);
    if (loop->stop_obeyed)
        loop->stopped = false;
    loop->stop_obeyed = false;
}

/* What was submitted last must be on its way when the run call returns. */
static void leave(struct orr_loop *loop)
{
    if (loop->backend->unflushed(loop->backend_state))
        flush(loop, ORR_WAIT_NOT);
    loop->stop_obeyed = loop->stopped;
    loop->running = false;
}

void orr_run_once(struct orr_loop *loop)
{
    enter(loop, "orr_run_once");
    if (!loop->stopped && in_flight(loop) > 0)
        pass(loop, ORR_WAIT_FOREVER, false);
    leave(loop);
}

void orr_run_for_ns(struct orr_loop *loop, uint64_t ns)
{
    enter(loop, "orr_run_for_ns");
    if (ns == 0 && !loop->stopped) {
        pass(loop, ORR_WAIT_NOT, false);
    } else {
        uint64_t deadline_ns = orr__add_saturated(loop->looked_ns, ns);
        do {
            if (!loop->stopped)
                pass(loop, deadline_ns, true);
        } while (!loop->stopped && loop->looked_ns < deadline_ns);
    }
    leave(loop);
}

void orr_run_until_idle(struct orr_loop *loop)
{
    enter(loop, "orr_run_until_idle");
    while (!loop->stopped && in_flight(loop) > 0)
        pass(loop, ORR_WAIT_FOREVER, false);
    leave(loop);
}

void orr_drain(struct orr_loop *loop)
{
    enter(loop, "orr_drain");
    loop->draining = true;
    loop->stopped = false;
    loop->refusals = 0;
    orr__cancel_all(loop);
    while (in_flight(loop) > 0) {
        loop->stopped = false;
        pass(loop, ORR_WAIT_FOREVER, false);
    }
    loop->stopped = false;
    loop->draining = false;
    leave(loop);
}

void orr_stop(struct orr_loop *loop)
{
    loop->stopped = true;
    loop->stop_obeyed = false;
}

bool orr_stopped(const struct orr_loop *loop)
{
    return loop->stopped;
}

void orr_wake(struct orr_loop *loop)
{
    if (!atomic_exchange(&loop->wake_signal, true))
        loop->backend->wake(loop->backend_state);
}

int orr_loop_descriptor(struct orr_loop *loop)
{
    return loop->backend->descriptor(loop->backend_state);
}

uint64_t orr_loop_timeout_ns(struct orr_loop *loop)
{
    bool waiting = loop->completed.count > 0 || loop->overflow.count > 0 ||
                   loop->cancels_unsent > 0 || atomic_load(&loop->wake_signal) ||
                   (loop->wake_pending && loop->wakes.head != NULL) ||
                   loop->backend->unflushed(loop->backend_state);
    if (waiting)
        return 0;
    uint64_t deadline_ns = orr__timers_deadline(loop);
    if (deadline_ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now_ns = orr__now_ns(loop);
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

void orr_loop_operations(const struct orr_loop *loop, orr_operation_visit visit, void *context)
{
    for (uint32_t slot = 0; slot < loop->slot_used; slot++) {
        const struct orr_completion *c = loop->slots[slot].operations;
        for (; c != NULL; c = c->handle_next)
            visit(context, c);
        if (loop->slots[slot].descriptor >= 0 && loop->slots[slot].closer != NULL)
            visit(context, loop->slots[slot].closer);
    }
    orr__timers_visit(loop, visit, context);
    for (const struct orr_completion *c = loop->wakes.head; c != NULL; c = c->next)
        visit(context, c);
}

bool orr_loop_draining(const struct orr_loop *loop)
{
    return loop->draining;
}

const char *orr_loop_site(const struct orr_loop *loop)
{
    return loop->site;
}

const char *orr_loop_backend_name(const struct orr_loop *loop)
{
    return loop->backend->name;
}

void *orr_loop_backend_state(struct orr_loop *loop)
{
    return loop->backend_state;
}

void orr_loop_statistics(const struct orr_loop *loop, struct orr_statistics *ret_statistics)
{
    *ret_statistics = loop->statistics;
    ret_statistics->in_flight = in_flight(loop);
}

struct orr_loop *orr_at(struct orr_loop *loop, const char *site)
{
    loop->site = site;
    return loop;
}

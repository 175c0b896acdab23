/*
 * cancel.c: the early end of operations: cancel, and close, which cancels what is left on its
 * handle first.
 *
 * An operation that the backend holds can only be asked to end: it completes through the backend as
 * ever. One that waits in the loop ends at once. Either way the operation ends exactly once, and
 * before the cancel that asked. A request that the backend had no room for is remembered in the
 * operation's flags and sent again before each flush, ahead of the overflow queue: cancels make
 * room.
 */
#include "internal.h"

#include <errno.h>

/* False if the backend had no room. */
static bool ask_backend(struct orr_loop *loop, struct orr_completion *target)
{
    bool unsent = (target->request.flags & ORR__CANCEL_UNSENT) != 0;
    bool full = loop->backend->cancel(loop->backend_state, target) == ORR_SUBMIT_FULL;
    if (full && !unsent) {
        target->request.flags |= ORR__CANCEL_UNSENT;
        loop->cancels_unsent++;
    }
    if (!full && unsent) {
        target->request.flags &= (uint8_t)~ORR__CANCEL_UNSENT;
        loop->cancels_unsent--;
    }
    return !full;
}

void orr__request_cancel(struct orr_loop *loop, struct orr_completion *target)
{
    if ((target->request.flags & ORR__CANCEL_WANTED) != 0)
        return;
    target->request.flags |= ORR__CANCEL_WANTED;
    switch ((enum orr__state)target->request.state) {
    case ORR__OVERFLOWED:
        orr_queue_remove(&loop->overflow, target);
        orr__complete(loop, target, -ECANCELED);
        break;
    case ORR__WAITING:
        orr_queue_remove(&loop->wakes, target);
        orr__complete(loop, target, -ECANCELED);
        break;
    case ORR__TIMER:
        orr__timer_remove(loop, target);
        orr__complete(loop, target, -ECANCELED);
        break;
    case ORR__QUEUED:
        (void)ask_backend(loop, target);
        break;
    case ORR__COMPLETED: /* ends with what it has; the flag keeps it from another attempt */
    case ORR__HELD:
        break;
    case ORR__IDLE:
    case ORR__STATE_COUNT:
        orr_fatal("internal: cancel of an idle %s", orr_op_name(target->request.op));
    }
}

void orr_cancel(struct orr_loop *loop, struct orr_completion *completion,
                struct orr_completion *target, orr_callback callback, void *context)
{
    if (completion == target)
        orr__misuse(loop, loop->site, ORR_OP_CANCEL, "a cancel needs a completion of its own");
    orr__begin(loop, completion, ORR_OP_CANCEL, callback, context);
    if (orr__refused(loop, completion))
        return;
    uint8_t op = target->request.op;
    if (!orr_in_flight(target)) {
        orr__complete(loop, completion, -ENOENT);
    } else if (target->canceler != NULL || op == ORR_OP_CLOSE || op == ORR_OP_CANCEL) {
        orr__complete(loop, completion, -EALREADY);
    } else {
        target->canceler = completion;
        orr__request_cancel(loop, target);
    }
}

void orr__resend_cancels(struct orr_loop *loop)
{
    for (uint32_t slot = 0; slot < loop->slot_used && loop->cancels_unsent > 0; slot++)
        for (struct orr_completion *c = loop->slots[slot].operations; c != NULL; c = c->handle_next)
            if ((c->request.flags & ORR__CANCEL_UNSENT) != 0 && c->request.state == ORR__QUEUED &&
                !ask_backend(loop, c))
                return; /* the others would find no room either */
}

static void cancel_list(struct orr_loop *loop, struct orr_completion *head)
{
    for (struct orr_completion *c = head; c != NULL; c = c->handle_next)
        orr__request_cancel(loop, c);
}

void orr__cancel_all(struct orr_loop *loop)
{
    for (uint32_t slot = 0; slot < loop->slot_used; slot++)
        cancel_list(loop, loop->slots[slot].operations);
    while (loop->timers != NULL)
        orr__request_cancel(loop, loop->timers);
    while (loop->wakes.head != NULL)
        orr__request_cancel(loop, loop->wakes.head);
}

/* Once nothing is left on a handle whose close was submitted, the close itself starts. */
void orr__close_if_quiet(struct orr_loop *loop, uint32_t slot)
{
    struct orr__slot *entry = &loop->slots[slot];
    if (entry->closer == NULL || entry->operations != NULL)
        return;
    orr__assert(entry->closer->request.state == ORR__HELD);
    orr__start(loop, entry->closer);
}

void orr_close(struct orr_loop *loop, struct orr_completion *completion, orr_handle handle,
               orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_CLOSE, callback, context);
    uint32_t slot = orr__slot_of(loop, handle);
    if (slot == 0 || loop->slots[slot].closer != NULL) {
        orr__handle_stale(loop, completion, handle);
        if (!orr__refused(loop, completion))
            orr__complete(loop, completion, -EBADF);
        return;
    }
    struct orr__slot *entry = &loop->slots[slot];
    completion->request.slot = slot;
    completion->request.descriptor = entry->descriptor;
    entry->closer = completion;
    cancel_list(loop, entry->operations);
    orr__close_if_quiet(loop, slot);
}

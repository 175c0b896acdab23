/*
 * dispatch.c: the end of an operation. A completion leaves the completed queue either for another
 * attempt (EINTR, or a whole transfer that is not whole yet) or for good: the handle it made is
 * filled in, the one it closed is freed, it leaves its handle's list, and its callback runs. From
 * then on it is the caller's again.
 */
#include "internal.h"

#include <errno.h>

static bool transfers(uint8_t op)
{
    return op == ORR_OP_RECV || op == ORR_OP_SEND || op == ORR_OP_READ || op == ORR_OP_WRITE;
}

/* Moves a whole transfer on by what the last attempt did. True if another attempt is due. */
static bool transfer_goes_on(struct orr_completion *completion)
{
    struct orr_request *request = &completion->request;
    if (!transfers(request->op) || request->arguments.transfer.whole == 0 || completion->result < 0)
        return false;
    bool sends = request->op == ORR_OP_SEND || request->op == ORR_OP_WRITE;
    if (completion->result == 0) {
        completion->result = sends ? -EIO : (int64_t)request->arguments.transfer.done;
        return false;
    }
    uint32_t step = (uint32_t)completion->result;
    orr__assert(completion->result <= request->arguments.transfer.length);
    request->arguments.transfer.done += step;
    request->arguments.transfer.buffer = (char *)request->arguments.transfer.buffer + step;
    request->arguments.transfer.offset += step;
    request->arguments.transfer.length -= step;
    completion->result = request->arguments.transfer.done;
    return request->arguments.transfer.length > 0;
}

/* True if the operation was started again instead of ending. */
static bool tried_again(struct orr_loop *loop, struct orr_completion *completion)
{
    bool interrupted = completion->result == -EINTR && completion->request.op != ORR_OP_CLOSE;
    if (!interrupted && !transfer_goes_on(completion))
        return false;
    bool closing =
        completion->request.slot != 0 && loop->slots[completion->request.slot].closer != NULL;
    if (loop->draining || closing || (completion->request.flags & ORR__CANCEL_WANTED) != 0) {
        completion->result = -ECANCELED;
        return false;
    }
    loop->statistics.retried++;
    orr__start(loop, completion);
    return true;
}

/* The slot that was kept gets the new descriptor, or is given back. */
static void settle_new_handle(struct orr_loop *loop, struct orr_completion *completion)
{
    uint32_t slot = completion->request.slot_new;
    if (slot == 0)
        return;
    if (completion->result >= 0)
        completion->result = orr__slot_fill(loop, slot, (int32_t)completion->result);
    else
        orr__slot_release(loop, slot);
}

static void settle_close(struct orr_loop *loop, struct orr_completion *completion)
{
    uint32_t slot = completion->request.slot;
    if (completion->request.op != ORR_OP_CLOSE || slot == 0)
        return;
    orr__assert(loop->slots[slot].closer == completion);
    orr__slot_release(loop, slot);
    if (completion->result == -EINTR) /* the descriptor is gone all the same */
        completion->result = 0;
}

static void settle_result(struct orr_loop *loop, const struct orr_completion *completion)
{
    if (completion->result == -ECANCELED)
        loop->statistics.canceled++;
    else if (completion->result < 0 &&
             !orr_op_declares(completion->request.op, (int)-completion->result))
        loop->statistics.unexpected_errors++;
}

void orr__dispatch(struct orr_loop *loop, struct orr_completion *completion)
{
    struct orr_request *request = &completion->request;
    orr__assert(request->state == ORR__COMPLETED && completion->next == NULL);
    if (tried_again(loop, completion))
        return;
    settle_new_handle(loop, completion);
    settle_close(loop, completion);
    settle_result(loop, completion);
    if ((request->flags & ORR__CANCEL_UNSENT) != 0)
        loop->cancels_unsent--;
    bool linked = completion->handle_link != NULL;
    orr__slot_unlink(completion);
    if (completion->canceler != NULL)
        orr__complete(loop, completion->canceler, completion->result == -ECANCELED ? 0 : -EALREADY);
    if (linked && request->slot != 0)
        orr__close_if_quiet(loop, request->slot);
    request->state = ORR__IDLE;
    loop->statistics.callbacks++;
    completion->callback(completion->context, completion, completion->result);
}

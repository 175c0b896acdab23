/*
 * police.c: rules of the interface that a kernel lets a program break, until a day when it matters.
 * The world has the program fail at once, with the lines that broke the rule.
 *
 * One receive and one send at a time on a stream: a kernel gives two of them no order, so bytes get
 * mixed, but only under load. An operation is in flight from its submit until its callback starts:
 * also while its result waits to be delivered, and while a whole transfer is between two attempts,
 * when no backend holds it. So it is not the sockets' queues that are looked at but the loop's list
 * of what is in flight on the handle, which a completion leads to: from the newest to the oldest.
 *
 * What waits in the loop's overflow queue is looked at when it gets into the batch: earlier no
 * backend is shown it, and a hook for every submit would be one that only the world wants. If the
 * other one has been called back by then, this run was lucky; a seed whose batch is large enough
 * sees each submit at once, and will tell.
 */
#include "world.h"

static const uint64_t receives = ORR_OP_BIT(ORR_OP_RECV) | ORR_OP_BIT(ORR_OP_RECV_FROM) |
                                 ORR_OP_BIT(ORR_OP_READ) | ORR_OP_BIT(ORR_OP_READV);
static const uint64_t sends = ORR_OP_BIT(ORR_OP_SEND) | ORR_OP_BIT(ORR_OP_SEND_TO) |
                              ORR_OP_BIT(ORR_OP_WRITE) | ORR_OP_BIT(ORR_OP_WRITEV);

void orr_world_police(struct orr_world *world)
{
    world->policed = true;
}

/* The newest operation of these kinds that was submitted on the same handle before, or NULL. */
static const struct orr_completion *older(const struct orr_completion *completion, uint64_t kinds)
{
    const struct orr_completion *other = completion->handle_next;
    while (other != NULL && (kinds & ORR_OP_BIT(other->request.op)) == 0)
        other = other->handle_next;
    return other;
}

static const char *site_text(const struct orr_completion *completion)
{
    return completion->site != NULL ? completion->site : "an unknown line";
}

void orr__police_submit(struct orr__process *process, const struct orr_completion *completion)
{
    uint8_t op = completion->request.op;
    bool is_receive = (receives & ORR_OP_BIT(op)) != 0;
    if (!process->world->policed || (!is_receive && (sends & ORR_OP_BIT(op)) == 0))
        return;
    const struct orr__socket *socket = orr__socket_of(process, completion->request.descriptor);
    const struct orr_completion *other = older(completion, is_receive ? receives : sends);
    if (socket == NULL || other == NULL || !orr__socket_is_stream(socket))
        return;
    orr__world_fail(process->world,
                    is_receive ? "a stream has one receive in flight at a time"
                               : "a stream has one send in flight at a time",
                    site_text(completion),
                    "node %s submits this %s on %d before its %s from %s has called back: a kernel "
                    "gives the two no order",
                    process->node->name, orr_op_name(op), completion->request.descriptor,
                    orr_op_name(other->request.op), site_text(other));
}

/*
 * queue.c: the intrusive queue of completions: first in, first out, linked through the completions
 * themselves, so that queueing never allocates. Removing from the middle takes constant time.
 * Invariant: a completion outside every queue has both links NULL; pushing one that is linked is a
 * caught error (a stale link in a queue is how loops lose operations).
 */
#include "internal.h"

void orr_queue_push(struct orr_queue *queue, struct orr_completion *completion)
{
    orr__assert(completion->next == NULL && completion->previous == NULL);
    orr__assert(queue->head != completion);
    completion->previous = queue->tail;
    if (queue->tail != NULL)
        queue->tail->next = completion;
    else
        queue->head = completion;
    queue->tail = completion;
    queue->count++;
}

void orr_queue_push_first(struct orr_queue *queue, struct orr_completion *completion)
{
    orr__assert(completion->next == NULL && completion->previous == NULL);
    orr__assert(queue->head != completion);
    completion->next = queue->head;
    if (queue->head != NULL)
        queue->head->previous = completion;
    else
        queue->tail = completion;
    queue->head = completion;
    queue->count++;
}

void orr_queue_remove(struct orr_queue *queue, struct orr_completion *completion)
{
    orr__assert(queue->count > 0);
    if (completion->previous != NULL)
        completion->previous->next = completion->next;
    else
        queue->head = completion->next;
    if (completion->next != NULL)
        completion->next->previous = completion->previous;
    else
        queue->tail = completion->previous;
    completion->next = NULL;
    completion->previous = NULL;
    queue->count--;
    orr__assert((queue->head == NULL) == (queue->count == 0));
}

struct orr_completion *orr_queue_pop(struct orr_queue *queue)
{
    struct orr_completion *head = queue->head;
    if (head != NULL)
        orr_queue_remove(queue, head);
    return head;
}

void orr_backend_complete(struct orr_queue *completed, struct orr_completion *completion,
                          int64_t result)
{
    if (completion->request.state != ORR__QUEUED)
        orr_fatal("internal: a backend completed a %s that it does not hold",
                  orr_op_name(completion->request.op));
    completion->next = NULL;
    completion->previous = NULL;
    completion->result = result;
    completion->request.state = ORR__COMPLETED;
    orr_queue_push(completed, completion);
}

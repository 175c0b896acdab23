/*
 * handle.c: the table of handles. A handle is generation * 2^24 + slot; the slot holds the
 * backend's descriptor. A slot's generation grows when it is freed, so an old handle answers -EBADF
 * for ever, whatever descriptor number the kernel hands out next. The table is allocated when the
 * loop opens and touched only as far as it was used. Slot 0 is no handle: its list holds the
 * operations that have none.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define SLOT_BITS 24
#define SLOT_MASK ((INT64_C(1) << SLOT_BITS) - 1)

_Static_assert(ORR_HANDLES_MAX < (1 << SLOT_BITS), "a slot fits into its bits of a handle");

bool orr__handles_open(struct orr_loop *loop, uint32_t count)
{
    orr__assert(count >= 1 && count <= ORR_HANDLES_MAX);
    loop->slot_count = count + 1;
    loop->slot_used = 1;
    loop->slots = calloc(loop->slot_count, sizeof *loop->slots);
    return loop->slots != NULL;
}

uint32_t orr__slot_of(const struct orr_loop *loop, orr_handle handle)
{
    if (handle < 1)
        return 0;
    uint32_t slot = (uint32_t)(handle & SLOT_MASK);
    if (slot == 0 || slot >= loop->slot_used)
        return 0;
    const struct orr__slot *entry = &loop->slots[slot];
    if (entry->descriptor < 0 || entry->generation != (uint64_t)handle >> SLOT_BITS)
        return 0;
    return slot;
}

void orr__handle_stale(struct orr_loop *loop, const struct orr_completion *completion,
                       orr_handle handle)
{
    if (loop->backend->stale == NULL || loop->draining || handle < 1)
        return;
    uint32_t slot = (uint32_t)(handle & SLOT_MASK);
    uint64_t generation = (uint64_t)handle >> SLOT_BITS;
    if (slot == 0 || slot >= loop->slot_used || generation > loop->slots[slot].generation)
        return;
    bool closing = generation == loop->slots[slot].generation;
    const struct orr_completion *closer = closing ? loop->slots[slot].closer : NULL;
    if (!closing || closer != NULL)
        loop->backend->stale(loop->backend_state, completion, closer, slot);
}

uint32_t orr__slot_reserve(struct orr_loop *loop)
{
    uint32_t slot = loop->slot_free;
    if (slot != 0)
        loop->slot_free = loop->slots[slot].next_free;
    else if (loop->slot_used < loop->slot_count)
        slot = loop->slot_used++;
    else
        return 0;
    struct orr__slot *entry = &loop->slots[slot];
    orr__assert(entry->operations == NULL && entry->closer == NULL);
    entry->descriptor = ORR__SLOT_RESERVED;
    return slot;
}

void orr__slot_release(struct orr_loop *loop, uint32_t slot)
{
    orr__assert(slot >= 1 && slot < loop->slot_used);
    struct orr__slot *entry = &loop->slots[slot];
    orr__assert(entry->operations == NULL && entry->descriptor != ORR__SLOT_FREE);
    if (entry->descriptor != ORR__SLOT_RESERVED)
        entry->generation++;
    entry->descriptor = ORR__SLOT_FREE;
    entry->closer = NULL;
    entry->next_free = loop->slot_free;
    loop->slot_free = slot;
}

orr_handle orr__slot_fill(struct orr_loop *loop, uint32_t slot, int32_t descriptor)
{
    struct orr__slot *entry = &loop->slots[slot];
    orr__assert(entry->descriptor == ORR__SLOT_RESERVED && descriptor >= 0);
    entry->descriptor = descriptor;
    return (orr_handle)(entry->generation << SLOT_BITS | slot);
}

void orr__slot_link(struct orr_loop *loop, struct orr_completion *completion)
{
    struct orr_completion **head = &loop->slots[completion->request.slot].operations;
    orr__assert(completion->handle_link == NULL);
    completion->handle_next = *head;
    completion->handle_link = head;
    if (*head != NULL)
        (*head)->handle_link = &completion->handle_next;
    *head = completion;
}

void orr__slot_unlink(struct orr_completion *completion)
{
    if (completion->handle_link == NULL)
        return;
    *completion->handle_link = completion->handle_next;
    if (completion->handle_next != NULL)
        completion->handle_next->handle_link = completion->handle_link;
    completion->handle_next = NULL;
    completion->handle_link = NULL;
}

void orr__handles_discard(struct orr_loop *loop)
{
    for (uint32_t slot = 1; slot < loop->slot_used; slot++)
        if (loop->slots[slot].descriptor >= 0)
            loop->backend->discard(loop->backend_state, loop->slots[slot].descriptor);
}

/*
 * ring.c: the memory of the bytes that are under way in streams.
 *
 * Most connections hold no byte most of the time, so a flow borrows its ring while it needs one.
 * What is given back is kept for the whole world, by size, and what came last goes first: it is
 * still in the cache. The world thus has as many rings of a size as were in use at one time.
 */
#include "world.h"

#include <stdlib.h>

/* A ring that nobody uses. */
struct orr__ring {
    struct orr__ring *next;
};

_Static_assert(sizeof(struct orr__ring) <= UINT64_C(1) << ORR__RING_BITS_FIRST,
               "the link fits into the smallest ring");

static struct orr__ring **list_of(struct orr_world *world, uint8_t bits)
{
    orr__assert(bits >= ORR__RING_BITS_FIRST && bits <= ORR__RING_BITS_MAX);
    return &world->rings[bits - ORR__RING_BITS_FIRST];
}

uint8_t *orr__ring_take(struct orr_world *world, uint8_t bits)
{
    struct orr__ring **list = list_of(world, bits);
    void *ring = *list;
    if (ring != NULL)
        *list = (*list)->next;
    else
        ring = malloc((size_t)1 << bits);
    if (ring == NULL)
        orr_fatal("no memory for %u bytes of a simulated connection", 1u << bits);
    return ring;
}

void orr__ring_give(struct orr_world *world, uint8_t *ring, uint8_t bits)
{
    if (ring == NULL)
        return;
    struct orr__ring **list = list_of(world, bits);
    struct orr__ring *given = (struct orr__ring *)(void *)ring;
    given->next = *list;
    *list = given;
}

void orr__rings_free(struct orr_world *world)
{
    for (uint32_t i = 0; i < ORR__RING_SIZES; i++) {
        while (world->rings[i] != NULL) {
            struct orr__ring *ring = world->rings[i];
            world->rings[i] = ring->next;
            free(ring);
        }
    }
}

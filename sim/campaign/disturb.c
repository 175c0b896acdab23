/*
 * disturb.c: a process in whose memory a seed finds everything elsewhere, and garbage where nobody
 * has written. A program that depends on either does something else there than in an undisturbed
 * one.
 *
 *   mappings  a mapping before the run: what is mapped after it lies lower
 *   heap      holes of all sizes, filled with garbage, and free in an order that is none of theirs:
 *             blocks that would lie one after the other lie in any order
 *   malloc    glibc fills what it gives, and what is given back
 *   stack     begins deeper, and holds garbage
 *
 * Where the allocator is another one (a sanitizer's, another C library's), only what is asked of it
 * is different. Blocks that keep the holes apart are never freed; a list leads to them, so that
 * they are no leaks.
 */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS */

#include "campaign.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

enum {
    GARBAGE = 0x5a,
    MAPPING_BYTES = 37 * 4096,
    STACK_SHIFT = 4096 + 272,
    STACK_BYTES = 192 * 1024, /* below where the run begins */
    HOLES = 24,               /* of each size */
    HOLES_STRIDE = 7,         /* no divisor in common with HOLES: each is met once */
    SMALL_BYTES = 16,
    SMALL_SIZES = 64, /* 16, 32, ... 1024 */
    LARGE_SIZES = 5,  /* and twice, four times, ... as large */
};

/* Called by pointers that may change, so that no compiler leaves them out. */
static void *(*volatile fill)(void *memory, int byte, size_t size) = memset;

/* ---- heap ------------------------------------------------------------------------------------ */

struct kept {
    struct kept *next;
};

static struct kept *kept_first;

static void keep_apart(void)
{
    struct kept *kept = malloc(sizeof *kept);
    if (kept == NULL)
        return;
    kept->next = kept_first;
    kept_first = kept;
}

static void dig_holes(size_t size)
{
    void *holes[HOLES];
    for (uint32_t i = 0; i < HOLES; i++) {
        holes[i] = malloc(size);
        keep_apart();
        if (holes[i] != NULL)
            fill(holes[i], GARBAGE, size);
    }
    for (uint32_t i = 0; i < HOLES; i++)
        free(holes[(i * HOLES_STRIDE + 3) % HOLES]);
}

static void disturb_heap(void)
{
    size_t size = 0;
    for (uint32_t i = 0; i < SMALL_SIZES; i++) {
        size += SMALL_BYTES;
        dig_holes(size);
    }
    for (uint32_t i = 0; i < LARGE_SIZES; i++) {
        size *= 2;
        dig_holes(size);
    }
}

/* ---- stack ----------------------------------------------------------------------------------- */

static __attribute__((noinline)) void spoil_stack(void)
{
    char bytes[STACK_BYTES];
    fill(bytes, GARBAGE, sizeof bytes);
}

static __attribute__((noinline)) void go_deeper(void (*function)(void *context), void *context)
{
    char shift[STACK_SHIFT];
    fill(shift, GARBAGE, sizeof shift);
    spoil_stack();
    function(context);
    fill(shift, 0, sizeof shift); /* it lasts until here */
}

void orr__disturb(void (*function)(void *context), void *context)
{
#ifdef __GLIBC__
    mallopt(M_PERTURB, GARBAGE);
#endif
    (void)mmap(NULL, MAPPING_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    disturb_heap();
    go_deeper(function, context);
}

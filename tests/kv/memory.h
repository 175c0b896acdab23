/*
 * memory.h: the memory that tests and fuzz targets give to buffers: the C library's, with an
 * allocation that can be told to fail, so that every failure path can be walked one by one.
 */
#ifndef KV_TEST_MEMORY_H
#define KV_TEST_MEMORY_H

#include <stdlib.h>

#include "examples/kv/buffer.h"

struct test_memory {
    struct kv_memory memory;
    int64_t allocations_left; /* then it answers NULL; negative: never */
    int64_t blocks;           /* allocated and not released */
};

static void *test_allocate(void *context, size_t length)
{
    struct test_memory *memory = context;
    if (memory->allocations_left == 0) {
        return NULL;
    }
    memory->allocations_left -= memory->allocations_left > 0 ? 1 : 0;
    void *block = malloc(length);
    memory->blocks += block != NULL ? 1 : 0;
    return block;
}

static void test_release(void *context, void *block)
{
    struct test_memory *memory = context;
    memory->blocks -= block != NULL ? 1 : 0;
    free(block);
}

/* `memory` stays where it is: buffers point into it. */
static inline void test_memory_init(struct test_memory *memory, int64_t allocations_left)
{
    *memory = (struct test_memory){
        .memory = {.allocate = test_allocate, .release = test_release, .context = memory},
        .allocations_left = allocations_left,
    };
}

#endif

/*
 * count_allocations.c: see count_allocations.h.
 */
#include "count_allocations.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

static uint64_t counted;
static uint64_t live;
static uint64_t fail_at;

uint64_t allocations_counted(void)
{
    return counted;
}

uint64_t allocations_live(void)
{
    return live;
}

void allocations_fail_at(uint64_t n)
{
    fail_at = n;
}

/* True if this one is to fail. */
static bool fails(void)
{
    return fail_at > 0 && --fail_at == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret_memory, size_t alignment, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__real_mmap(void *at, size_t length, int protection, int flags, int descriptor, off_t offset);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret_memory, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);
void *__wrap_mmap(void *at, size_t length, int protection, int flags, int descriptor, off_t offset);

void *__wrap_malloc(size_t size)
{
    counted++;
    if (fails())
        return NULL;
    live++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    counted++;
    if (fails())
        return NULL;
    live++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    counted++;
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    counted++;
    return __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    counted++;
    return __real_posix_memalign(ret_memory, alignment, size);
}

char *__wrap_strdup(const char *text)
{
    counted++;
    return __real_strdup(text);
}

void __wrap_free(void *memory)
{
    counted++;
    live -= memory != NULL;
    __real_free(memory);
}

void *__wrap_mmap(void *at, size_t length, int protection, int flags, int descriptor, off_t offset)
{
    counted++;
    return __real_mmap(at, length, protection, flags, descriptor, offset);
}

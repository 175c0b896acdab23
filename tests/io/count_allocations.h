/*
 * count_allocations.h: counts what the library's own code asks of malloc and its family. The
 * program is linked with --wrap for each of them (see meson.build), so that calls from statically
 * linked libraries come by here. Check is one of them: between two looks at a counter there must
 * be no assertion of it.
 */
#ifndef ORR_TESTS_IO_COUNT_ALLOCATIONS_H
#define ORR_TESTS_IO_COUNT_ALLOCATIONS_H

#include <stdint.h>

/* Calls so far: malloc, calloc, realloc, aligned_alloc, posix_memalign, strdup, free and mmap. */
uint64_t allocations_counted(void);

/* Blocks that malloc and calloc gave and free did not get. */
uint64_t allocations_live(void);

/* Lets the n-th malloc or calloc from now fail, 0 = none. */
void allocations_fail_at(uint64_t n);

#endif

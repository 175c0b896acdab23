/*
 * count_allocations.h: counts what the library's own code asks of malloc and its family. The program is
 * linked with --wrap for each of them (see meson.build), so that calls from the statically linked
 * library come by here; those of other libraries do not.
 */
#ifndef ORR_TESTS_IO_COUNT_ALLOCATIONS_H
#define ORR_TESTS_IO_COUNT_ALLOCATIONS_H

#include <stdint.h>

/* Calls so far: of malloc, calloc, realloc, aligned_alloc, posix_memalign, strdup, free and mmap. */
uint64_t allocations_counted(void);

#endif

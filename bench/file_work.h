/*
 * What the file programs of this folder have in common, so that only their loops differ.
 *
 * The model: `lanes` chains of operations go on side by side until the time is up. In "read" and
 * "direct" all lanes share one file, and an operation reads a random page of it; in "sync" each
 * lane has a file of its own, and an operation overwrites a random page of it and makes that
 * durable (write, then fdatasync). Every program draws the same pages in the same order.
 *
 * Arguments: read|direct|sync LANES MILLISECONDS PATH; the files are PATH.0, PATH.1 ..., and exist.
 * What is measured is this process with all its threads, without the opening of loop and files;
 * kernel threads that io_uring makes for this process belong to it. What the kernel does elsewhere
 * (interrupts, the journal) belongs to nobody.
 */
#ifndef BENCH_FILE_WORK_H
#define BENCH_FILE_WORK_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum {
    WORK_PAGE_BYTES = 4096,
    WORK_LANES_MAX = 256,
    WORK_MS_MAX = 60000,
};

struct work {
    bool sync;
    int lanes;
    int files[WORK_LANES_MAX];
    char *buffers; /* a page for each lane, aligned as O_DIRECT wants it */
    uint64_t pages;
    uint64_t state; /* of the random numbers */
    uint64_t operations;
    uint64_t start_ns;
    uint64_t end_ns; /* no operation starts after it */
    uint64_t start_cpu_ns;
};

static inline _Noreturn void work_die(const char *what, int64_t error)
{
    fprintf(stderr, "%s failed: %s\n", what, strerror((int)-error));
    exit(EXIT_FAILURE);
}

static inline void work_check(const char *what, int64_t result, int64_t expected)
{
    if (result != expected)
        work_die(what, result < 0 ? result : -EIO);
}

static inline uint64_t work_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t work_cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

static inline int work_number(const char *text, int most)
{
    char *end;
    const long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < 1 || number > most)
        work_die(text, -EINVAL);
    return (int)number;
}

static inline int work_open(const char *path, int lane, bool sync, bool direct)
{
    char name[4096];
    snprintf(name, sizeof name, "%s.%d", path, lane);
    int file = open(name, (sync ? O_WRONLY : O_RDONLY) | (direct ? O_DIRECT : 0) | O_CLOEXEC);
    if (file < 0)
        work_die(name, -errno);
    return file;
}

static inline void work_begin(struct work *work, int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s read|direct|sync LANES MILLISECONDS PATH\n", argv[0]);
        exit(EXIT_FAILURE);
    }
    const bool direct = strcmp(argv[1], "direct") == 0;
    work->sync = strcmp(argv[1], "sync") == 0;
    work->lanes = work_number(argv[2], WORK_LANES_MAX);
    const size_t bytes = (size_t)work->lanes * WORK_PAGE_BYTES;
    work->buffers = aligned_alloc(WORK_PAGE_BYTES, bytes);
    if (work->buffers == NULL)
        work_die("aligned_alloc", -ENOMEM);
    memset(work->buffers, 'b', bytes);
    for (int lane = 0; lane < work->lanes; lane++)
        work->files[lane] =
            lane == 0 || work->sync ? work_open(argv[4], lane, work->sync, direct) : work->files[0];
    struct stat status; /* of the last file: where there are several, the first may be longer */
    if (fstat(work->files[work->lanes - 1], &status) != 0 || status.st_size < WORK_PAGE_BYTES)
        work_die("fstat of a file of at least a page", -EINVAL);
    work->pages = (uint64_t)status.st_size / WORK_PAGE_BYTES;
    work->state = 1;
    work->start_cpu_ns = work_cpu_ns();
    work->start_ns = work_now_ns();
    work->end_ns = work->start_ns + (uint64_t)work_number(argv[3], WORK_MS_MAX) * 1000000u;
}

/* The offset of the next operation. */
static inline uint64_t work_offset(struct work *work)
{
    work->state ^= work->state << 13;
    work->state ^= work->state >> 7;
    work->state ^= work->state << 17;
    return work->state % work->pages * WORK_PAGE_BYTES;
}

static inline char *work_buffer(const struct work *work, int lane)
{
    return work->buffers + (size_t)lane * WORK_PAGE_BYTES;
}

/* An operation has ended. True if the lane goes on. */
static inline bool work_done(struct work *work)
{
    work->operations++;
    return work_now_ns() < work->end_ns;
}

/* All lanes have ended. */
static inline void work_report(const struct work *work)
{
    const uint64_t cpu_ns = work_cpu_ns() - work->start_cpu_ns;
    const uint64_t wall_ns = work_now_ns() - work->start_ns;
    printf("{\"operations\": %" PRIu64 ", \"wall_ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 "}\n",
           work->operations, wall_ns, cpu_ns);
}

#endif

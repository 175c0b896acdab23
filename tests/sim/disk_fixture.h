/*
 * disk_fixture.h: a disk of a node in a bare world, without a process, for the tests of
 * sim/disk*.c; and a way to look at all of it as one number.
 */
#ifndef ORR_TESTS_SIM_DISK_FIXTURE_H
#define ORR_TESTS_SIM_DISK_FIXTURE_H

#include <check.h>

#include "sim/disk.h"
#include "sim/world.h"

/* For loops over seeds and bytes: Check writes to a file for every assertion of its own, even if it
 * holds. */
#define MUST(condition, disk)                                                            \
    do {                                                                                 \
        if (!(condition))                                                                \
            ck_abort_msg("seed %llu: %s", (unsigned long long)(disk)->seed, #condition); \
    } while (0)

struct fixture {
    uint64_t seed;
    uint64_t draws; /* of the test itself */
    struct orr_world *world;
    struct orr_node node;
    struct orr__disk *disk;
};

void fixture_open(struct fixture *fixture, uint64_t seed);
void fixture_open_on(struct fixture *fixture, uint64_t seed, enum orr_file_system file_system);
void fixture_close(struct fixture *fixture);

/* The test's own choices: 0 <= value < bound. */
uint64_t fixture_below(struct fixture *fixture, uint64_t bound);
void fixture_fill(struct fixture *fixture, uint8_t *bytes, size_t length);

/* Opens a path that must be there. */
struct orr__file *fixture_open_file(struct fixture *fixture, const char *path, uint32_t flags);
/* Opens a file for reading and writing, and makes it if it is not there. */
struct orr__file *fixture_create(struct fixture *fixture, const char *path);
/* Makes a file durable with all that leads to it. */
void fixture_write_synced(struct fixture *fixture, const char *path, const void *data,
                          uint32_t length);
void fixture_write(struct fixture *fixture, const char *path, const void *data, uint32_t length,
                   uint64_t offset);
void fixture_mkdir(struct fixture *fixture, const char *path);
void fixture_rename(struct fixture *fixture, const char *path, const char *path_new);
void fixture_unlink(struct fixture *fixture, const char *path);
/* fsync of everything written so far to the file or directory. */
void fixture_sync_file(struct orr__file *file);
void fixture_sync(struct fixture *fixture, const char *path);
/* fsync of every file and directory. */
void fixture_sync_all(struct fixture *fixture);
bool fixture_exists(struct fixture *fixture, const char *path);
/* Reads a whole file that must be there; returns its size. */
uint64_t fixture_read(struct fixture *fixture, const char *path, uint8_t *buffer, uint32_t length);

/* Called for each file and directory but the root, directories before what they hold, names in
 * order of bytes. */
typedef void (*fixture_visit)(void *context, const char *path, const struct orr_stat *stat);
void fixture_walk(struct fixture *fixture, fixture_visit visit, void *context);
/* Names, types, modes, links, sizes and bytes of everything. */
uint64_t fixture_hash(struct fixture *fixture);

#endif

/*
 * disk_fixture.c: see disk_fixture.h. It looks at the disk only through the calls that the world
 * makes.
 */
#include "tests/sim/disk_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BUFFER 8192

void fixture_open(struct fixture *fixture, uint64_t seed)
{
    fixture_open_on(fixture, seed, ORR_FILE_SYSTEM_PORTABLE);
}

void fixture_open_on(struct fixture *fixture, uint64_t seed, enum orr_file_system file_system)
{
    *fixture = (struct fixture){.seed = seed, .world = orr_world_create(seed, NULL)};
    orr_world_set_disks(fixture->world, &(struct orr_disk_options){.file_system = file_system});
    fixture->node = (struct orr_node){.world = fixture->world,
                                      .name = "server",
                                      .id = orr__actor_id("server"),
                                      .wall_offset_ns = 1000};
    fixture->disk = orr__disk_create(&fixture->node, &fixture->world->disks);
}

void fixture_close(struct fixture *fixture)
{
    orr__disk_destroy(fixture->disk);
    orr_world_destroy(fixture->world);
}

uint64_t fixture_below(struct fixture *fixture, uint64_t bound)
{
    return orr__mix(fixture->seed, fixture->draws++) % bound;
}

void fixture_fill(struct fixture *fixture, uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)fixture_below(fixture, 256);
}

struct orr__file *fixture_open_file(struct fixture *fixture, const char *path, uint32_t flags)
{
    struct orr__file *file = NULL;
    int status = orr__disk_open(fixture->disk, NULL, path, flags, 0644, &file);
    if (status != 0)
        ck_abort_msg("seed %llu: open of %s: %d", (unsigned long long)fixture->seed, path, status);
    return file;
}

void fixture_write(struct fixture *fixture, const char *path, const void *data, uint32_t length,
                   uint64_t offset)
{
    struct orr__file *file = fixture_open_file(fixture, path, ORR_OPEN_WRITE | ORR_OPEN_CREATE);
    MUST(orr__file_write(file, data, length, offset) == length, fixture);
    orr__file_close(file);
}

struct orr__file *fixture_create(struct fixture *fixture, const char *path)
{
    return fixture_open_file(fixture, path, ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE);
}

void fixture_sync_file(struct orr__file *file)
{
    orr__file_sync(file, orr__file_sync_mark(file));
}

void fixture_rename(struct fixture *fixture, const char *path, const char *path_new)
{
    MUST(orr__disk_rename(fixture->disk, NULL, path, path_new) == 0, fixture);
}

void fixture_unlink(struct fixture *fixture, const char *path)
{
    MUST(orr__disk_unlink(fixture->disk, NULL, path, ORR_UNLINK_FILE) == 0, fixture);
}

void fixture_mkdir(struct fixture *fixture, const char *path)
{
    MUST(orr__disk_mkdir(fixture->disk, NULL, path, 0755) == 0, fixture);
}

void fixture_sync(struct fixture *fixture, const char *path)
{
    struct orr__file *file = fixture_open_file(fixture, path, ORR_OPEN_READ);
    fixture_sync_file(file);
    orr__file_close(file);
}

static void sync_one(void *context, const char *path, const struct orr_stat *stat)
{
    (void)stat;
    fixture_sync(context, path);
}

void fixture_sync_all(struct fixture *fixture)
{
    fixture_sync(fixture, "/");
    fixture_walk(fixture, sync_one, fixture);
}

void fixture_write_synced(struct fixture *fixture, const char *path, const void *data,
                          uint32_t length)
{
    fixture_write(fixture, path, data, length, 0);
    fixture_sync_all(fixture);
}

bool fixture_exists(struct fixture *fixture, const char *path)
{
    struct orr_stat stat;
    return orr__disk_stat(fixture->disk, NULL, path, &stat) == 0;
}

uint64_t fixture_read(struct fixture *fixture, const char *path, uint8_t *buffer, uint32_t length)
{
    struct orr__file *file = fixture_open_file(fixture, path, ORR_OPEN_READ);
    struct orr_stat stat;
    MUST(orr__file_stat(file, &stat) == 0, fixture);
    MUST(stat.size <= length, fixture);
    MUST(orr__file_read(file, buffer, length, 0) == (int64_t)stat.size, fixture);
    orr__file_close(file);
    return stat.size;
}

/* ---- walking --------------------------------------------------------------------------------- */

struct listing {
    const struct fixture *fixture;
    char **names;
    size_t count;
};

static int add_name(void *context, const char *name, uint32_t type)
{
    struct listing *listing = context;
    MUST(type == ORR_FILE_REGULAR || type == ORR_FILE_DIRECTORY, listing->fixture);
    listing->names =
        orr__disk_memory(listing->names, (listing->count + 1) * sizeof *listing->names);
    listing->names[listing->count++] = orr__text_copy(name);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk(struct fixture *fixture, const char *path, fixture_visit visit, void *context)
{
    struct listing listing = {.fixture = fixture};
    struct orr__file *directory = fixture_open_file(fixture, path, ORR_OPEN_DIRECTORY);
    MUST(orr__disk_list(fixture->disk, directory, add_name, &listing) == 0, fixture);
    orr__file_close(directory);
    if (listing.count > 0)
        qsort(listing.names, listing.count, sizeof *listing.names, compare_names);
    for (size_t i = 0; i < listing.count; i++) {
        char inner[PATH_BUFFER];
        int length = snprintf(inner, sizeof inner, "%s/%s", path, listing.names[i]);
        MUST(length < (int)sizeof inner, fixture);
        free(listing.names[i]);
        struct orr_stat stat;
        MUST(orr__disk_stat(fixture->disk, NULL, inner, &stat) == 0, fixture);
        visit(context, inner, &stat);
        if (stat.type == ORR_FILE_DIRECTORY)
            walk(fixture, inner, visit, context);
    }
    free(listing.names);
}

void fixture_walk(struct fixture *fixture, fixture_visit visit, void *context)
{
    walk(fixture, "/", visit, context);
}

struct hashing {
    struct fixture *fixture;
    uint64_t hash;
};

static void hash_one(void *context, const char *path, const struct orr_stat *stat)
{
    struct hashing *hashing = context;
    uint64_t hash = orr__mix(hashing->hash, orr__actor_id(path));
    hash = orr__mix(hash, (uint64_t)stat->type << 32 | stat->mode);
    hash = orr__mix(hash, orr__mix(stat->size, stat->links));
    if (stat->type == ORR_FILE_REGULAR) {
        uint8_t buffer[4096];
        struct orr__file *file = fixture_open_file(hashing->fixture, path, ORR_OPEN_READ);
        int64_t length = sizeof buffer;
        for (uint64_t offset = 0; length == sizeof buffer; offset += sizeof buffer) {
            length = orr__file_read(file, buffer, sizeof buffer, offset);
            for (int64_t i = 0; i < length; i++)
                hash = orr__mix(hash, buffer[i]);
        }
        orr__file_close(file);
    }
    hashing->hash = hash;
}

uint64_t fixture_hash(struct fixture *fixture)
{
    struct hashing hashing = {.fixture = fixture};
    fixture_walk(fixture, hash_one, &hashing);
    return hashing.hash;
}

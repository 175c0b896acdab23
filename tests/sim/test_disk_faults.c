/*
 * test_disk_faults.c: the faults of a disk as a program meets them: each family strikes where it
 * says, enters the ledger under its name, and leaves behind what it stands for.
 *
 * The programs run on a loop in a bare world with the family's rate at certainty, so that nothing
 * is left to a lucky seed; what is a choice all the same is looked for over many.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/sim/disk_fixture.h"
#include "tests/suite.h"

#define ALWAYS 1000000u
#define SECTOR 512u

static struct orr_world *world;
static struct orr_loop *loop;
static struct orr_completion completion;
static int64_t end_result;
static bool ended;

static void note_end(void *context, struct orr_completion *of, int64_t result)
{
    (void)context;
    (void)of;
    end_result = result;
    ended = true;
}

static int64_t wait_for_end(void)
{
    while (!ended)
        orr_run_once(loop);
    ended = false;
    return end_result;
}

#define END_OF(function, ...) \
    (function(loop, &completion, __VA_ARGS__, note_end, NULL), wait_for_end())

static void open_world(uint64_t seed)
{
    struct orr_options options = {.batch_entries = 16, .handles_max = 64};
    world = orr_world_create(seed, NULL);
    ended = false;
    ck_assert_int_eq(orr_node_open_loop(world, "node", &options, &loop), 0);
}

static void close_world(void)
{
    orr_loop_close(loop);
    orr_world_destroy(world);
}

static orr_handle open_file(uint32_t flags)
{
    int64_t handle = END_OF(orr_open, ORR_DIRECTORY_CURRENT, "f", flags, 0644);
    ck_assert_int_ge(handle, 0);
    return (orr_handle)handle;
}

static orr_handle create_file(void)
{
    return open_file(ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE);
}

static void strike(enum orr_fault_family family, bool on)
{
    orr_world_set_rate(world, family, on ? ALWAYS : 0);
}

/* How many faults of a family there have been. */
static uint32_t struck(enum orr_fault_family family)
{
    return world->faults_by_family[family];
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Linux tells a failed writeback to each open file that was open then, once. */
START_TEST(test_disk_faults__failed_fsync_is_told_once_to_each_open_file)
{
    open_world(1);
    orr_handle first = create_file();
    orr_handle second = create_file();
    ck_assert_int_eq(END_OF(orr_write, first, "x", 1, 0), 1);
    strike(ORR_FAMILY_DISK_ERROR, true);
    ck_assert_int_eq(END_OF(orr_fsync, first), -EIO);
    strike(ORR_FAMILY_DISK_ERROR, false);
    orr_handle third = create_file();
    ck_assert_int_eq(END_OF(orr_fsync, first), 0);
    ck_assert_int_eq(END_OF(orr_fsync, third), 0);
    ck_assert_int_eq(END_OF(orr_fsync, second), -EIO);
    ck_assert_int_eq(END_OF(orr_fdatasync, second), 0);
    ck_assert_uint_ge(struck(ORR_FAMILY_DISK_ERROR), 1); /* it may have written something */
    ck_assert_uint_le(struck(ORR_FAMILY_DISK_ERROR), 2);
    close_world();
}
END_TEST

/* Whether a write whose fsync failed is on the disk after the next fsync. */
static bool is_there_all_the_same(uint64_t seed)
{
    char byte = 0;
    open_world(seed);
    orr_handle file = create_file();
    orr_handle root = (orr_handle)END_OF(orr_open, ORR_DIRECTORY_CURRENT, "/",
                                         ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0);
    ck_assert_int_eq(END_OF(orr_fsync, root), 0);
    ck_assert_int_eq(END_OF(orr_write, file, "x", 1, 0), 1);
    strike(ORR_FAMILY_DISK_ERROR, true);
    ck_assert_int_eq(END_OF(orr_fsync, file), -EIO);
    uint32_t faults = struck(ORR_FAMILY_DISK_ERROR);
    ck_assert_int_eq(END_OF(orr_fsync, file), -EIO); /* nothing is dirty any more */
    ck_assert_uint_eq(struck(ORR_FAMILY_DISK_ERROR), faults + 1);
    strike(ORR_FAMILY_DISK_ERROR, false);
    ck_assert_int_eq(END_OF(orr_fsync, file), 0);
    orr_loop_close(loop);
    orr__disk_power_loss(orr__world_node(world, 0)->disk);
    ck_assert_int_eq(orr_node_read_file(orr__world_node(world, 0), "f", &byte, 1), 1);
    orr_world_destroy(world);
    ck_assert(byte == 0 || (byte == 'x' && faults == 2));
    return byte == 'x';
}

START_TEST(test_disk_faults__failed_fsync_may_have_written)
{
    uint32_t there = 0;
    for (uint64_t seed = 0; seed < 40; seed++)
        there += is_there_all_the_same(seed) ? 1 : 0;
    ck_assert_uint_ge(there, 5);
    ck_assert_uint_le(there, 35);
}
END_TEST

/* What a read returns of a sector of "o" to which "n" was written, when the fsync has failed. */
static char read_after_failed_fsync(uint64_t seed, uint32_t flags)
{
    static char sector[512];
    open_world(seed);
    orr_handle file = create_file();
    memset(sector, 'o', sizeof sector);
    ck_assert_int_eq(END_OF(orr_write, file, sector, sizeof sector, 0), sizeof sector);
    ck_assert_int_eq(END_OF(orr_fsync, file), 0);
    memset(sector, 'n', sizeof sector);
    ck_assert_int_eq(END_OF(orr_write, file, sector, sizeof sector, 0), sizeof sector);
    strike(ORR_FAMILY_DISK_ERROR, true);
    ck_assert_int_eq(END_OF(orr_fsync, file), -EIO);
    uint32_t faults = struck(ORR_FAMILY_DISK_ERROR);
    strike(ORR_FAMILY_DISK_ERROR, false);
    orr_handle other = open_file(ORR_OPEN_READ | flags);
    ck_assert_int_eq(END_OF(orr_read, other, sector, sizeof sector, 0), sizeof sector);
    bool evicted = struck(ORR_FAMILY_DISK_ERROR) > faults;
    ck_assert(!evicted || flags == 0);
    ck_assert(!evicted || faults == 2 || sector[0] == 'o');
    close_world();
    return sector[0];
}

START_TEST(test_disk_faults__read_after_a_failed_fsync_may_show_the_disk)
{
    uint32_t old[2] = {0}; /* through the page cache, and past it: that is the disk, always */
    for (uint64_t seed = 0; seed < 80; seed++) {
        old[0] += read_after_failed_fsync(seed, 0) == 'o' ? 1 : 0;
        old[1] += read_after_failed_fsync(seed, ORR_OPEN_DIRECT) == 'o' ? 1 : 0;
    }
    ck_assert_uint_ge(old[1], 20);
    ck_assert_uint_ge(old[0], 3);
    ck_assert_uint_lt(old[0], old[1] / 2);
}
END_TEST

START_TEST(test_disk_faults__failed_write_and_read_did_nothing)
{
    char byte = 'o';
    open_world(1);
    orr_handle file = create_file();
    ck_assert_int_eq(END_OF(orr_write, file, "x", 1, 0), 1);
    strike(ORR_FAMILY_DISK_ERROR, true);
    ck_assert_int_eq(END_OF(orr_write, file, "y", 1, 0), -EIO);
    ck_assert_int_eq(END_OF(orr_read, file, &byte, 1, 0), -EIO);
    strike(ORR_FAMILY_DISK_ERROR, false);
    ck_assert_int_eq(byte, 'o');
    ck_assert_int_eq(END_OF(orr_read, file, &byte, 1, 0), 1);
    ck_assert_int_eq(byte, 'x');
    ck_assert_uint_eq(struck(ORR_FAMILY_DISK_ERROR), 2);
    close_world();
}
END_TEST

/* A disk with a file "f" of one byte, an empty directory "d", and nothing else. */
static orr_handle make_tree(void)
{
    orr_handle file = create_file();
    ck_assert_int_eq(END_OF(orr_write, file, "x", 1, 0), 1);
    ck_assert_int_eq(END_OF(orr_mkdir, ORR_DIRECTORY_CURRENT, "d", 0755), 0);
    return file;
}

static int64_t look_at(const char *path, struct orr_stat *ret_stat)
{
    return END_OF(orr_stat, ORR_DIRECTORY_CURRENT, path, ret_stat);
}

START_TEST(test_disk_faults__failed_change_of_names_or_sizes_did_nothing)
{
    const orr_handle here = ORR_DIRECTORY_CURRENT;
    struct orr_stat status;
    open_world(1);
    orr_handle file = make_tree();
    strike(ORR_FAMILY_DISK_ERROR, true);
    ck_assert_int_eq(END_OF(orr_open, here, "new", ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644), -EIO);
    ck_assert_int_eq(END_OF(orr_open, here, "f", ORR_OPEN_WRITE | ORR_OPEN_TRUNCATE, 0), -EIO);
    ck_assert_int_eq(look_at("f", &status), -EIO);
    ck_assert_int_eq(END_OF(orr_rename, here, "f", "new"), -EIO);
    ck_assert_int_eq(END_OF(orr_link, here, "f", "new"), -EIO);
    ck_assert_int_eq(END_OF(orr_unlink, here, "f", ORR_UNLINK_FILE), -EIO);
    ck_assert_int_eq(END_OF(orr_unlink, here, "d", ORR_UNLINK_DIRECTORY), -EIO);
    ck_assert_int_eq(END_OF(orr_mkdir, here, "new", 0755), -EIO);
    ck_assert_int_eq(END_OF(orr_truncate, file, 0), -EIO);
    ck_assert_int_eq(END_OF(orr_allocate, file, 0, 100), -EIO);
    ck_assert_uint_eq(struck(ORR_FAMILY_DISK_ERROR), 10);
    ck_assert_int_eq(END_OF(orr_stat, file, NULL, &status), 0); /* nothing is read for that */
    strike(ORR_FAMILY_DISK_ERROR, false);
    ck_assert_int_eq(look_at("new", &status), -ENOENT);
    ck_assert_int_eq(look_at("d", &status), 0);
    ck_assert_int_eq(look_at("f", &status), 0);
    ck_assert_uint_eq(status.size, 1);
    ck_assert_uint_eq(status.links, 1);
    close_world();
}
END_TEST

static int count_name(void *context, const char *name, uint32_t type)
{
    uint32_t *count = context;
    (void)name;
    (void)type;
    return ++*count == 4 ? 77 : 0; /* which ends it, if it comes that far */
}

/* Lists the root of a disk with so many directories; returns how many names came. */
static uint32_t names_before_the_error(uint64_t seed, const char *const *names, uint32_t count)
{
    uint32_t listed = 0;
    open_world(seed);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(END_OF(orr_mkdir, ORR_DIRECTORY_CURRENT, names[i], 0755), 0);
    orr_handle root = (orr_handle)END_OF(orr_open, ORR_DIRECTORY_CURRENT, "/",
                                         ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0);
    strike(ORR_FAMILY_DISK_ERROR, true);
    ck_assert_int_eq(orr_directory_list(loop, root, count_name, &listed), -EIO);
    ck_assert_uint_eq(struck(ORR_FAMILY_DISK_ERROR), 1);
    strike(ORR_FAMILY_DISK_ERROR, false);
    uint32_t all = 0;
    ck_assert_int_eq(orr_directory_list(loop, root, count_name, &all), count < 4 ? 0 : 77);
    ck_assert_uint_eq(all, count < 4 ? count : 4);
    close_world();
    return listed;
}

START_TEST(test_disk_faults__failed_listing_gives_some_names)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    uint32_t seen[5] = {0};
    for (uint64_t seed = 0; seed < 40; seed++) {
        seen[names_before_the_error(seed, names, 5)]++;
        ck_assert_uint_le(names_before_the_error(seed, names, 1), 1);
    }
    ck_assert_uint_eq(seen[0] + seen[1] + seen[2] + seen[3], 40);
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_ge(seen[i], 1);
}
END_TEST

START_TEST(test_disk_faults__full_disk_is_out_of_space_or_over_quota)
{
    uint32_t space = 0;
    uint32_t quota = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        open_world(seed);
        orr_handle file = create_file();
        strike(ORR_FAMILY_DISK_FULL, true);
        int64_t result = END_OF(orr_write, file, "x", 1, 0);
        space += result == -ENOSPC ? 1 : 0;
        quota += result == -EDQUOT ? 1 : 0;
        ck_assert_uint_eq(struck(ORR_FAMILY_DISK_FULL), 1);
        close_world();
    }
    ck_assert_uint_eq(space + quota, 40);
    ck_assert_uint_ge(space, 10);
    ck_assert_uint_ge(quota, 1);
}
END_TEST

static bool is_no_space(int64_t result)
{
    return result == -ENOSPC || result == -EDQUOT;
}

/* What makes a name needs room for it, what is there needs none. */
START_TEST(test_disk_faults__full_disk_has_no_room_for_names)
{
    const orr_handle here = ORR_DIRECTORY_CURRENT;
    struct orr_stat status;
    open_world(1);
    orr_handle file = make_tree();
    strike(ORR_FAMILY_DISK_FULL, true);
    ck_assert(is_no_space(END_OF(orr_open, here, "new", ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644)));
    ck_assert(is_no_space(END_OF(orr_mkdir, here, "new", 0755)));
    ck_assert(is_no_space(END_OF(orr_link, here, "f", "new")));
    ck_assert(is_no_space(END_OF(orr_rename, here, "f", "new")));
    ck_assert(is_no_space(END_OF(orr_allocate, file, 0, 100)));
    ck_assert_uint_eq(struck(ORR_FAMILY_DISK_FULL), 5);
    ck_assert_int_ge(END_OF(orr_open, here, "f", ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644), 0);
    ck_assert_int_ge(END_OF(orr_open, here, "f", ORR_OPEN_WRITE, 0), 0);
    ck_assert_int_eq(END_OF(orr_open, here, "no", ORR_OPEN_WRITE, 0), -ENOENT);
    ck_assert_int_eq(END_OF(orr_unlink, here, "d", ORR_UNLINK_DIRECTORY), 0);
    ck_assert_uint_eq(struck(ORR_FAMILY_DISK_FULL), 5);
    strike(ORR_FAMILY_DISK_FULL, false);
    ck_assert_int_eq(look_at("new", &status), -ENOENT);
    ck_assert_int_eq(look_at("f", &status), 0);
    close_world();
}
END_TEST

/* Blocks are allocated when they are written back: the error comes then, and is told as any. */
START_TEST(test_disk_faults__full_disk_fails_an_fsync)
{
    open_world(1);
    orr_handle first = create_file();
    orr_handle second = create_file();
    ck_assert_int_eq(END_OF(orr_write, first, "x", 1, 0), 1);
    strike(ORR_FAMILY_DISK_FULL, true);
    int64_t result = END_OF(orr_fsync, first);
    ck_assert(is_no_space(result));
    ck_assert_int_eq(END_OF(orr_fsync, first), 0); /* nothing is dirty any more */
    ck_assert_int_eq(END_OF(orr_fsync, second), result);
    ck_assert_int_eq(END_OF(orr_fsync, second), 0);
    ck_assert_uint_eq(struck(ORR_FAMILY_DISK_FULL), 1);
    close_world();
}
END_TEST

START_TEST(test_disk_faults__no_descriptor_is_left_in_the_process_or_the_system)
{
    uint32_t process = 0;
    uint32_t system = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        open_world(seed);
        strike(ORR_FAMILY_HANDLES, true);
        int64_t result = END_OF(orr_open, ORR_DIRECTORY_CURRENT, "f", ORR_OPEN_WRITE, 0);
        process += result == -EMFILE ? 1 : 0;
        system += result == -ENFILE ? 1 : 0;
        ck_assert_uint_eq(struck(ORR_FAMILY_HANDLES), 1);
        close_world();
    }
    ck_assert_uint_eq(process + system, 40);
    ck_assert_uint_ge(process, 10);
    ck_assert_uint_ge(system, 1);
}
END_TEST

/* ---- a disk that lies ------------------------------------------------------------------------ */

static struct orr__disk *the_disk(void)
{
    return orr__world_node(world, 0)->disk;
}

/* How often of 40 seeds a write that was acknowledged as durable is gone. */
static uint32_t losses(uint32_t flags, bool sync)
{
    uint32_t lost = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        char byte = 0;
        open_world(seed);
        orr_handle file = create_file();
        orr_handle root = (orr_handle)END_OF(orr_open, ORR_DIRECTORY_CURRENT, "/",
                                             ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0);
        ck_assert_int_eq(END_OF(orr_fsync, root), 0);
        ck_assert_int_eq(END_OF(orr_close, root), 0);
        ck_assert_int_eq(END_OF(orr_close, file), 0);
        file = open_file(ORR_OPEN_WRITE | flags);
        strike(ORR_FAMILY_LOST_SYNC, true);
        ck_assert_int_eq(END_OF(orr_write, file, "x", 1, 0), 1);
        if (sync)
            ck_assert_int_eq(END_OF(orr_fsync, file), 0);
        ck_assert_uint_eq(struck(ORR_FAMILY_LOST_SYNC), 1);
        orr_loop_close(loop);
        orr__disk_power_loss(the_disk());
        int64_t length = orr_node_read_file(orr__world_node(world, 0), "f", &byte, 1);
        lost += length == 1 && byte == 'x' ? 0 : 1;
        orr_world_destroy(world);
    }
    return lost;
}

START_TEST(test_disk_faults__lost_sync_is_acknowledged_and_loses_data)
{
    uint32_t lost = losses(0, true);
    ck_assert_uint_ge(lost, 5);
    ck_assert_uint_le(lost, 35);
}
END_TEST

/* The names, too: nothing at all is durable but by chance. */
START_TEST(test_disk_faults__a_lying_disk_needs_no_family)
{
    uint32_t lost = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        const struct orr_options options = {.batch_entries = 16, .handles_max = 64};
        char byte = 0;
        world = orr_world_create(seed, NULL);
        orr_world_set_disks(world, &(struct orr_disk_options){.is_lying = true});
        ck_assert_int_eq(orr_node_open_loop(world, "node", &options, &loop), 0);
        orr_handle file = create_file();
        ck_assert_int_eq(END_OF(orr_write, file, "x", 1, 0), 1);
        ck_assert_int_eq(END_OF(orr_fsync, file), 0);
        orr_handle root = (orr_handle)END_OF(orr_open, ORR_DIRECTORY_CURRENT, "/",
                                             ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0);
        ck_assert_int_eq(END_OF(orr_fsync, root), 0);
        orr_loop_close(loop);
        orr__disk_power_loss(the_disk());
        int64_t length = orr_node_read_file(orr__world_node(world, 0), "f", &byte, 1);
        lost += length == 1 && byte == 'x' ? 0 : 1;
        orr_world_destroy(world);
    }
    ck_assert_uint_ge(lost, 5);
}
END_TEST

/* Several copies of a datum, and a family that damages each: only so many are. */
START_TEST(test_disk_faults__no_more_disks_are_damaged_than_the_budget_allows)
{
    static const char *const names[] = {"a", "b", "c"};
    for (uint32_t budget = 0; budget <= 3; budget++) {
        struct orr_loop *loops[3];
        uint32_t damaged = 0;
        world = orr_world_create(budget, NULL);
        orr_world_set_rate(world, ORR_FAMILY_BIT_ROT, ALWAYS);
        orr_world_limit_damage(world, budget);
        for (uint32_t i = 0; i < 3; i++) {
            const struct orr_options options = {.batch_entries = 16, .handles_max = 64};
            ck_assert_int_eq(orr_node_open_loop(world, names[i], &options, &loops[i]), 0);
            loop = loops[i];
            orr_handle file = create_file();
            for (uint32_t times = 0; times < 4; times++) {
                char byte = 'x';
                ck_assert_int_eq(END_OF(orr_write, file, "x", 1, 0), 1);
                ck_assert_int_eq(END_OF(orr_read, file, &byte, 1, 0), 1);
                damaged += times == 3 && byte != 'x' ? 1 : 0;
            }
        }
        ck_assert_uint_eq(damaged, budget);
        ck_assert_uint_eq(world->faults, 4 * budget);
        for (uint32_t i = 0; i < 3; i++)
            orr_loop_close(loops[i]);
        orr_world_destroy(world);
    }
}
END_TEST

/* The sector of a file of four that chance has made unreadable on a node; 4 = none. */
static uint32_t bad_sector_of(const char *path)
{
    static uint8_t sectors[4 * SECTOR];
    uint32_t bad = 4;
    orr_handle file = (orr_handle)END_OF(orr_open, ORR_DIRECTORY_CURRENT, path,
                                         ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644);
    ck_assert_int_eq(END_OF(orr_write, file, sectors, sizeof sectors, 0), sizeof sectors);
    strike(ORR_FAMILY_BAD_SECTOR, true);
    END_OF(orr_read, file, sectors, sizeof sectors, 0);
    strike(ORR_FAMILY_BAD_SECTOR, false);
    for (uint32_t i = 0; i < 4; i++)
        if (END_OF(orr_read, file, sectors, SECTOR, (uint64_t)i * SECTOR) < 0)
            bad = i;
    return bad;
}

/* Each node may lose a sector, but no two the same one of the same file. */
START_TEST(test_disk_faults__no_more_copies_are_damaged_than_the_budget_allows)
{
    static const char *const names[] = {"a", "b"};
    uint32_t both = 0;
    uint32_t spared = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct orr_loop *loops[2];
        uint32_t bad[2];
        const char *other = seed % 2 == 0 ? "f" : "g";
        world = orr_world_create(seed, NULL);
        orr_world_limit_copies(world, 1);
        for (uint32_t i = 0; i < 2; i++) {
            const struct orr_options options = {.batch_entries = 16, .handles_max = 64};
            ck_assert_int_eq(orr_node_open_loop(world, names[i], &options, &loops[i]), 0);
            loop = loops[i];
            bad[i] = bad_sector_of(i == 0 ? "f" : other);
        }
        ck_assert_uint_lt(bad[0], 4);
        ck_assert(seed % 2 == 1 || bad[0] != bad[1]);
        ck_assert(seed % 2 == 0 || bad[1] < 4);
        both += bad[1] < 4 ? 1 : 0;
        spared += bad[1] == 4 ? 1 : 0;
        ck_assert_uint_eq(struck(ORR_FAMILY_BAD_SECTOR), bad[1] < 4 ? 2 : 1);
        for (uint32_t i = 0; i < 2; i++)
            orr_loop_close(loops[i]);
        orr_node_wipe(orr__world_node(world, 0)); /* a new disk has no damage */
        ck_assert_int_eq(orr_node_open_loop(world, names[1], NULL, &loop), 0);
        ck_assert(seed % 2 == 1 || bad[1] < 4 || bad_sector_of("f") < 4);
        orr_loop_close(loop);
        orr_world_destroy(world);
    }
    ck_assert_uint_ge(both, 20);
    ck_assert_uint_ge(spared, 2);
}
END_TEST

START_TEST(test_disk_faults__lost_sync_strikes_writes_with_sync)
{
    uint32_t lost = losses(ORR_OPEN_SYNC, false);
    ck_assert_uint_ge(lost, 5);
    ck_assert_uint_le(lost, 35);
}
END_TEST

/* The next honest fsync makes up for it. */
START_TEST(test_disk_faults__honest_sync_after_a_lost_one_keeps_all)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fixture disk;
        uint8_t bytes[4];
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "f", "", 0);
        struct orr__file *file = fixture_open_file(&disk, "f", ORR_OPEN_WRITE | ORR_OPEN_SYNC);
        orr__file_lose_sync(file);
        MUST(orr__file_write(file, "a", 1, 0) == 1, &disk);
        MUST(orr__file_write(file, "b", 1, 1) == 1, &disk);
        fixture_sync_file(file);
        orr__file_close(file);
        orr__disk_power_loss(disk.disk);
        MUST(fixture_read(&disk, "f", bytes, sizeof bytes) == 2, &disk);
        MUST(memcmp(bytes, "ab", 2) == 0, &disk);
        fixture_close(&disk);
    }
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------- */

static uint8_t bytes[4 * SECTOR];

/* A synced file of four sectors: 0, 1, 2, 3. */
static orr_handle make_four_sectors(void)
{
    orr_handle file = create_file();
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i / SECTOR);
    ck_assert_int_eq(END_OF(orr_write, file, bytes, sizeof bytes, 0), sizeof bytes);
    ck_assert_int_eq(END_OF(orr_fsync, file), 0);
    return file;
}

START_TEST(test_disk_faults__bad_sector_fails_until_all_of_it_is_written)
{
    open_world(1);
    orr_handle file = make_four_sectors();
    strike(ORR_FAMILY_BAD_SECTOR, true);
    ck_assert_int_eq(END_OF(orr_read, file, bytes, 100, SECTOR + 50), -EIO);
    strike(ORR_FAMILY_BAD_SECTOR, false);
    ck_assert_uint_eq(struck(ORR_FAMILY_BAD_SECTOR), 1);
    orr_world_heal(world);
    ck_assert_int_eq(END_OF(orr_read, file, bytes, 10, 2 * SECTOR - 10), -EIO);
    ck_assert_int_eq(END_OF(orr_read, file, bytes, SECTOR, 2 * SECTOR), SECTOR);
    ck_assert_int_eq(END_OF(orr_read, file, bytes, 2 * SECTOR, 0), SECTOR); /* up to it */
    ck_assert_int_eq(END_OF(orr_write, file, bytes, 10, SECTOR), -EIO);
    ck_assert_int_eq(END_OF(orr_write, file, bytes, SECTOR, SECTOR), SECTOR);
    ck_assert_int_eq(END_OF(orr_read, file, bytes, 2 * SECTOR, 0), 2 * SECTOR);
    close_world();
}
END_TEST

START_TEST(test_disk_faults__bad_sector_survives_power_loss_and_goes_with_truncate)
{
    struct fixture disk;
    fixture_open(&disk, 1);
    fixture_write_synced(&disk, "f", bytes, sizeof bytes);
    struct orr__file *file = fixture_create(&disk, "f");
    orr__file_spoil_sector(file, 3 * SECTOR + 7);
    orr__file_close(file);
    orr__disk_power_loss(disk.disk);
    file = fixture_create(&disk, "f");
    ck_assert_int_eq(orr__file_read(file, bytes, 1, 3 * SECTOR), -EIO);
    ck_assert_int_eq(orr__file_truncate(file, 3 * SECTOR), 0);
    ck_assert_int_eq(orr__file_truncate(file, 4 * SECTOR), 0);
    ck_assert_int_eq(orr__file_read(file, bytes, 1, 3 * SECTOR), 1);
    orr__file_close(file);
    fixture_close(&disk);
}
END_TEST

/* One bit differs, in what is read, and goes on to. */
START_TEST(test_disk_faults__bit_rot_changes_one_bit_for_good)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        static uint8_t seen[2][2 * SECTOR];
        uint32_t bits = 0;
        open_world(seed);
        orr_handle file = make_four_sectors();
        strike(ORR_FAMILY_BIT_ROT, true);
        ck_assert_int_eq(END_OF(orr_read, file, seen[0], 2 * SECTOR, SECTOR), 2 * SECTOR);
        strike(ORR_FAMILY_BIT_ROT, false);
        ck_assert_uint_eq(struck(ORR_FAMILY_BIT_ROT), 1);
        ck_assert_int_eq(END_OF(orr_read, file, seen[1], 2 * SECTOR, SECTOR), 2 * SECTOR);
        for (uint32_t i = 0; i < 2 * SECTOR; i++) {
            uint32_t change = seen[0][i] ^ bytes[SECTOR + i];
            for (; change != 0; change &= change - 1)
                bits++;
        }
        ck_assert_uint_eq(bits, 1);
        ck_assert_mem_eq(seen[0], seen[1], 2 * SECTOR);
        close_world();
    }
}
END_TEST

/* The cache is right; the disk has the bytes at another place, or nowhere. */
START_TEST(test_disk_faults__misdirected_write_shows_after_power_loss)
{
    static const char *const left[] = {"CB", "AC", "AB"}; /* by where it lands */
    for (uint32_t landing = 0; landing < 3; landing++) {
        struct fixture disk;
        static uint8_t data[2 * SECTOR];
        fixture_open(&disk, landing);
        memset(data, 'A', SECTOR);
        memset(data + SECTOR, 'B', SECTOR);
        fixture_write_synced(&disk, "f", data, sizeof data);
        memset(data, 'C', SECTOR);
        struct orr__file *file = fixture_create(&disk, "f");
        orr__file_misdirect(file, landing);
        ck_assert_int_eq(orr__file_write(file, data, SECTOR, 0), SECTOR);
        fixture_sync_file(file);
        ck_assert_int_eq(orr__file_read(file, data, sizeof data, 0), sizeof data);
        ck_assert_int_eq(data[0], 'C');
        ck_assert_int_eq(data[SECTOR], 'B');
        orr__file_close(file);
        orr__disk_power_loss(disk.disk);
        ck_assert_uint_eq(fixture_read(&disk, "f", data, sizeof data), sizeof data);
        ck_assert_int_eq(data[0], left[landing][0]);
        ck_assert_int_eq(data[2 * SECTOR - 1], left[landing][1]);
        fixture_close(&disk);
    }
}
END_TEST

START_TEST(test_disk_faults__misdirected_write_enters_the_ledger)
{
    open_world(1);
    orr_handle file = make_four_sectors();
    strike(ORR_FAMILY_MISDIRECTED, true);
    ck_assert_int_eq(END_OF(orr_write, file, bytes, SECTOR, 0), SECTOR);
    ck_assert_uint_eq(struck(ORR_FAMILY_MISDIRECTED), 1);
    close_world();
}
END_TEST

/* The cache of the other file is right, and so is the write's; the disk has it in the other one. */
START_TEST(test_disk_faults__misdirected_write_may_overwrite_another_file)
{
    struct fixture disk;
    static uint8_t data[2 * SECTOR];
    fixture_open(&disk, 1);
    memset(data, 'A', sizeof data);
    fixture_write_synced(&disk, "f", data, sizeof data);
    fixture_write_synced(&disk, "g", data, SECTOR + 10);
    struct orr__file *file = fixture_create(&disk, "f");
    ck_assert_uint_eq(orr__file_others(file), 1);
    memset(data, 'C', sizeof data);
    orr__file_misdirect(file, 1);
    orr__file_misdirect_into(file, orr__file_other(file, 0));
    ck_assert_int_eq(orr__file_write(file, data, SECTOR, 0), SECTOR);
    ck_assert_int_eq(orr__file_write(file, data, 3, SECTOR), 3); /* the next one is not */
    fixture_sync_file(file);
    ck_assert_uint_eq(fixture_read(&disk, "g", data, sizeof data), SECTOR + 10);
    ck_assert_int_eq(data[SECTOR], 'A');
    orr__file_close(file);
    orr__disk_power_loss(disk.disk);
    ck_assert_uint_eq(fixture_read(&disk, "f", data, sizeof data), sizeof data);
    ck_assert_int_eq(data[0], 'A');
    ck_assert_int_eq(data[SECTOR + 2], 'C');
    ck_assert_int_eq(data[SECTOR + 3], 'A');
    ck_assert_uint_eq(fixture_read(&disk, "g", data, sizeof data), SECTOR + 10);
    ck_assert_int_eq(data[SECTOR - 1], 'A');
    ck_assert_int_eq(data[SECTOR], 'C');
    ck_assert_int_eq(data[SECTOR + 9], 'C');
    fixture_close(&disk);
}
END_TEST

START_TEST(test_disk_faults__misdirected_writes_hit_both_kinds_of_places)
{
    static uint8_t data[SECTOR];
    uint32_t elsewhere = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        open_world(seed);
        orr_handle file = make_four_sectors();
        orr_handle other = (orr_handle)END_OF(orr_open, ORR_DIRECTORY_CURRENT, "g",
                                              ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0);
        ck_assert_int_eq(END_OF(orr_write, other, bytes, SECTOR, 0), SECTOR); /* zeros */
        ck_assert_int_eq(END_OF(orr_fsync, other), 0);
        memset(data, 'C', sizeof data);
        strike(ORR_FAMILY_MISDIRECTED, true);
        ck_assert_int_eq(END_OF(orr_write, file, data, SECTOR, 0), SECTOR);
        uint32_t faults = struck(ORR_FAMILY_MISDIRECTED);
        strike(ORR_FAMILY_MISDIRECTED, false);
        orr_handle direct = (orr_handle)END_OF(orr_open, ORR_DIRECTORY_CURRENT, "g",
                                               ORR_OPEN_READ | ORR_OPEN_DIRECT, 0);
        ck_assert_int_eq(END_OF(orr_read, direct, data, SECTOR, 0), SECTOR);
        ck_assert_uint_eq(faults, data[0] == 'C' ? 2 : 1);
        elsewhere += data[0] == 'C' ? 1 : 0;
        close_world();
    }
    ck_assert_uint_ge(elsewhere, 5);
    ck_assert_uint_le(elsewhere, 35);
}
END_TEST

/* ---- in between ------------------------------------------------------------------------------ */

static void note_result(void *context, struct orr_completion *of, int64_t result)
{
    (void)of;
    *(int64_t *)context = result;
}

/* How often of 100 seeds a link of a file to the name that it has is made, because something takes
 * that name away from under it; or, unless it can strike, that it is not. */
static uint32_t links_made(bool unlinks, bool reorders)
{
    uint32_t made = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct orr_completion other = {0};
        int64_t link = 1;
        int64_t taken = 1;
        open_world(seed);
        ck_assert_int_eq(END_OF(orr_close, create_file()), 0);
        strike(ORR_FAMILY_REORDER, reorders);
        orr_link(loop, &completion, ORR_DIRECTORY_CURRENT, "f", "f", note_result, &link);
        if (unlinks)
            orr_unlink(loop, &other, ORR_DIRECTORY_CURRENT, "f", ORR_UNLINK_FILE, note_result,
                       &taken);
        else
            orr_rename(loop, &other, ORR_DIRECTORY_CURRENT, "f", "g", note_result, &taken);
        while (link == 1 || taken == 1)
            orr_run_once(loop);
        ck_assert_int_eq(taken, 0);
        ck_assert(link == 0 || link == -EEXIST || link == -ENOENT);
        made += link == 0 ? 1 : 0;
        close_world();
    }
    return made;
}

START_TEST(test_disk_faults__link_finds_its_file_before_it_makes_the_name)
{
    ck_assert_uint_ge(links_made(false, true), 5);
    ck_assert_uint_eq(links_made(false, false), 0);
    ck_assert_uint_eq(links_made(true, true), 0); /* a file without a name gets none */
}
END_TEST

/* ---- never ----------------------------------------------------------------------------------- */

static void note_cancel(void *context, struct orr_completion *of, int64_t result)
{
    (void)context;
    (void)of;
    ck_assert(ended); /* its target comes first */
    ck_assert_int_eq(result, end_result == -ECANCELED ? 0 : -EALREADY);
}

START_TEST(test_disk_faults__stuck_operation_ends_when_the_world_is_healed)
{
    struct orr_completion cancel = {0};
    open_world(1);
    orr_handle file = create_file();
    strike(ORR_FAMILY_STUCK, true);
    orr_write(loop, &completion, file, "x", 1, 0, note_end, NULL);
    orr_run_for_ns(loop, 600 * ORR_SECOND);
    ck_assert(!ended);
    ck_assert_uint_eq(struck(ORR_FAMILY_STUCK), 1);
    orr_cancel(loop, &cancel, &completion, note_cancel, NULL);
    orr_run_for_ns(loop, 600 * ORR_SECOND);
    ck_assert(!ended);
    orr_world_heal(world);
    orr_run_for_ns(loop, 3 * ORR_SECOND);
    ck_assert(ended);
    ck_assert(end_result == 1 || end_result == -ECANCELED);
    close_world();
}
END_TEST

/* ---- times ----------------------------------------------------------------------------------- */

/* Virtual time of 40 writes, 40 fsyncs and 40 writes with SYNC on a disk with those means. */
static void measure(const struct orr_disk_options *disks, uint64_t ret_ns[3])
{
    struct orr_options options = {.batch_entries = 16, .handles_max = 64};
    world = orr_world_create(1, NULL);
    orr_world_set_disks(world, disks);
    ended = false;
    ck_assert_int_eq(orr_node_open_loop(world, "node", &options, &loop), 0);
    orr_handle file = create_file();
    uint64_t begin_ns = orr_world_now(world);
    for (uint32_t i = 0; i < 40; i++)
        ck_assert_int_eq(END_OF(orr_write, file, "x", 1, 0), 1);
    ret_ns[0] = orr_world_now(world) - begin_ns;
    for (uint32_t i = 0; i < 40; i++)
        ck_assert_int_eq(END_OF(orr_fsync, file), 0);
    ret_ns[1] = orr_world_now(world) - begin_ns - ret_ns[0];
    file = open_file(ORR_OPEN_WRITE | ORR_OPEN_SYNC);
    begin_ns = orr_world_now(world);
    for (uint32_t i = 0; i < 40; i++)
        ck_assert_int_eq(END_OF(orr_write, file, "x", 1, 0), 1);
    ret_ns[2] = orr_world_now(world) - begin_ns;
    close_world();
}

START_TEST(test_disk_faults__times_are_those_of_the_device)
{
    const struct orr_disk_options usual = {.file_system = ORR_FILE_SYSTEM_PORTABLE};
    const struct orr_disk_options slow = {.transfer_ns = 8 * ORR_MILLISECOND,
                                          .sync_ns = 20 * ORR_MILLISECOND};
    uint64_t usual_ns[3];
    uint64_t slow_ns[3];
    measure(&usual, usual_ns);
    measure(&slow, slow_ns);
    ck_assert_uint_le(usual_ns[0], 40 * 100 * ORR_MICROSECOND);
    ck_assert_uint_ge(slow_ns[0], 40 * 2 * ORR_MILLISECOND);
    for (uint32_t i = 1; i < 3; i++) {
        ck_assert_uint_ge(usual_ns[i], 40 * 100 * ORR_MICROSECOND);
        ck_assert_uint_le(usual_ns[i], 40 * 4 * ORR_MILLISECOND);
        ck_assert_uint_ge(slow_ns[i], 40 * 5 * ORR_MILLISECOND);
    }
}
END_TEST

int main(void)
{
    TCase *faults = tcase_create("faults");
    tcase_add_test(faults, test_disk_faults__failed_fsync_is_told_once_to_each_open_file);
    tcase_add_test(faults, test_disk_faults__failed_fsync_may_have_written);
    tcase_add_test(faults, test_disk_faults__read_after_a_failed_fsync_may_show_the_disk);
    tcase_add_test(faults, test_disk_faults__failed_write_and_read_did_nothing);
    tcase_add_test(faults, test_disk_faults__failed_change_of_names_or_sizes_did_nothing);
    tcase_add_test(faults, test_disk_faults__failed_listing_gives_some_names);
    tcase_add_test(faults, test_disk_faults__full_disk_is_out_of_space_or_over_quota);
    tcase_add_test(faults, test_disk_faults__full_disk_has_no_room_for_names);
    tcase_add_test(faults, test_disk_faults__full_disk_fails_an_fsync);
    tcase_add_test(faults, test_disk_faults__no_descriptor_is_left_in_the_process_or_the_system);
    tcase_add_test(faults, test_disk_faults__lost_sync_is_acknowledged_and_loses_data);
    tcase_add_test(faults, test_disk_faults__lost_sync_strikes_writes_with_sync);
    tcase_add_test(faults, test_disk_faults__a_lying_disk_needs_no_family);
    tcase_add_test(faults, test_disk_faults__no_more_disks_are_damaged_than_the_budget_allows);
    tcase_add_test(faults, test_disk_faults__no_more_copies_are_damaged_than_the_budget_allows);
    tcase_add_test(faults, test_disk_faults__honest_sync_after_a_lost_one_keeps_all);
    tcase_add_test(faults, test_disk_faults__bad_sector_fails_until_all_of_it_is_written);
    tcase_add_test(faults, test_disk_faults__bad_sector_survives_power_loss_and_goes_with_truncate);
    tcase_add_test(faults, test_disk_faults__bit_rot_changes_one_bit_for_good);
    tcase_add_test(faults, test_disk_faults__misdirected_write_shows_after_power_loss);
    tcase_add_test(faults, test_disk_faults__misdirected_write_enters_the_ledger);
    tcase_add_test(faults, test_disk_faults__misdirected_write_may_overwrite_another_file);
    tcase_add_test(faults, test_disk_faults__misdirected_writes_hit_both_kinds_of_places);
    tcase_add_test(faults, test_disk_faults__link_finds_its_file_before_it_makes_the_name);
    tcase_add_test(faults, test_disk_faults__stuck_operation_ends_when_the_world_is_healed);
    tcase_add_test(faults, test_disk_faults__times_are_those_of_the_device);
    return suite_run("sim/disk-faults", faults);
}

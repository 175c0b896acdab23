/*
 * test_disk_names.c: what power loss leaves of the names on the simulated disk, and of the disk as
 * a whole.
 *
 * As in test_disk_loss.c: nothing outside of the rules ever appears, and what they allow does. The
 * expectations are the states that each directory has had since its last sync.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_fixture.h"

#define SEEDS 400u

/* ---- names ----------------------------------------------------------------------------------- */

START_TEST(test_disk_loss__created_file_may_be_gone_though_it_was_synced)
{
    uint32_t gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        uint8_t bytes[8];
        bool directory_too = seed % 2 == 0;
        fixture_open(&disk, seed);
        fixture_write(&disk, "file", "abc", 3, 0);
        fixture_sync(&disk, "file");
        if (directory_too)
            fixture_sync(&disk, "/");
        orr__disk_power_loss(disk.disk);
        if (fixture_exists(&disk, "file")) {
            MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 3, &disk);
            MUST(memcmp(bytes, "abc", 3) == 0, &disk);
        } else {
            MUST(!directory_too, &disk);
            MUST(disk.disk->inode_count == 1, &disk);
            gone++;
        }
        fixture_close(&disk);
    }
    ck_assert_uint_ge(gone, SEEDS / 8);
    ck_assert_uint_le(gone, SEEDS * 3 / 8);
}
END_TEST

/* The name of a socket has nothing to sync but its directory. */
START_TEST(test_disk_loss__socket_lasts_as_its_directory_does)
{
    uint32_t gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        uint64_t made;
        uint64_t found;
        bool synced = seed % 2 == 0;
        fixture_open(&disk, seed);
        MUST(orr__disk_make_socket(disk.disk, "s", &made) == 0, &disk);
        if (synced)
            fixture_sync(&disk, "/");
        orr__disk_power_loss(disk.disk);
        int answer = orr__disk_find_socket(disk.disk, "s", &found);
        if (answer == 0) {
            MUST(found == made, &disk);
            MUST(orr__disk_make_socket(disk.disk, "s", NULL) == -EADDRINUSE, &disk);
        } else {
            MUST(answer == -ENOENT && !synced, &disk);
            MUST(orr__disk_make_socket(disk.disk, "s", &found) == 0 && found > made, &disk);
            gone++;
        }
        fixture_close(&disk);
    }
    ck_assert_uint_ge(gone, SEEDS / 8);
    ck_assert_uint_le(gone, SEEDS * 3 / 8);
}
END_TEST

/* The right way to replace a file: at any moment one of the two is there, whole. */
START_TEST(test_disk_loss__rename_is_atomic)
{
    uint32_t seen[2] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        uint8_t bytes[8];
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "file", "old", 3);
        fixture_write(&disk, "new", "new", 3, 0);
        fixture_sync(&disk, "new");
        fixture_rename(&disk, "new", "file");
        orr__disk_power_loss(disk.disk);
        MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 3, &disk);
        bool is_new = memcmp(bytes, "new", 3) == 0;
        MUST(is_new || memcmp(bytes, "old", 3) == 0, &disk);
        MUST(!is_new || !fixture_exists(&disk, "new"), &disk);
        seen[is_new ? 1 : 0]++;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(seen[0], SEEDS / 8);
    ck_assert_uint_ge(seen[1], SEEDS / 8);
}
END_TEST

/* The wrong way: without the fsync of the new file there may be an empty one under the old name. */
START_TEST(test_disk_loss__rename_can_overtake_the_data)
{
    uint32_t empty = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        uint8_t bytes[8];
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "file", "old", 3);
        fixture_write(&disk, "new", "new", 3, 0);
        fixture_rename(&disk, "new", "file");
        fixture_sync(&disk, "/");
        orr__disk_power_loss(disk.disk);
        empty += fixture_read(&disk, "file", bytes, sizeof bytes) == 0 ? 1 : 0;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(empty, SEEDS / 8);
}
END_TEST

START_TEST(test_disk_loss__directory_keeps_a_prefix_of_its_changes)
{
    uint32_t seen[5] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        static const char *const names[] = {"d/d", "d/b", "d/a", "d/c"};
        struct fixture disk;
        uint32_t count = 0;
        fixture_open(&disk, seed);
        fixture_mkdir(&disk, "d");
        fixture_sync(&disk, "/");
        for (uint32_t i = 0; i < 4; i++)
            fixture_write(&disk, names[i], "", 0, 0);
        orr__disk_power_loss(disk.disk);
        while (count < 4 && fixture_exists(&disk, names[count]))
            count++;
        for (uint32_t i = count; i < 4; i++)
            MUST(!fixture_exists(&disk, names[i]), &disk);
        seen[count]++;
        fixture_close(&disk);
    }
    for (uint32_t i = 0; i < 5; i++)
        ck_assert_uint_ge(seen[i], SEEDS / 20);
}
END_TEST

START_TEST(test_disk_loss__rename_between_directories_is_in_both_or_neither)
{
    uint32_t moved = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        fixture_mkdir(&disk, "a");
        fixture_mkdir(&disk, "b");
        fixture_write_synced(&disk, "a/file", "x", 1);
        fixture_write(&disk, "b/older", "", 0, 0);
        fixture_rename(&disk, "a/file", "b/file");
        if (seed % 4 == 0)
            fixture_sync(&disk, "a");
        if (seed % 4 == 1)
            fixture_sync(&disk, "b");
        orr__disk_power_loss(disk.disk);
        bool there = fixture_exists(&disk, "b/file");
        MUST(there != fixture_exists(&disk, "a/file"), &disk);
        MUST(there || seed % 4 >= 2, &disk);
        MUST(!there || fixture_exists(&disk, "b/older"), &disk);
        moved += there && seed % 4 >= 2 ? 1 : 0;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(moved, SEEDS / 8);
    ck_assert_uint_le(moved, SEEDS * 7 / 16);
}
END_TEST

/* What another directory waits for does not come along. */
START_TEST(test_disk_loss__rename_between_directories_leaves_others_alone)
{
    uint32_t lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        fixture_mkdir(&disk, "a");
        fixture_mkdir(&disk, "b");
        fixture_mkdir(&disk, "c");
        fixture_write_synced(&disk, "a/file", "x", 1);
        fixture_write(&disk, "c/other", "", 0, 0);
        fixture_rename(&disk, "a/file", "b/file");
        fixture_sync(&disk, "b");
        orr__disk_power_loss(disk.disk);
        MUST(fixture_exists(&disk, "b/file"), &disk);
        lost += fixture_exists(&disk, "c/other") ? 0 : 1;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(lost, SEEDS / 8);
}
END_TEST

/* A file moved into a directory that is itself new: wherever the power goes, it is in one of the
 * two. */
START_TEST(test_disk_loss__file_moved_into_a_new_directory_is_not_lost)
{
    uint32_t moved = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        fixture_mkdir(&disk, "a");
        fixture_write_synced(&disk, "a/file", "x", 1);
        fixture_mkdir(&disk, "new");
        fixture_mkdir(&disk, "new/inner");
        fixture_rename(&disk, "a/file", "new/inner/file");
        if (seed % 2 == 0)
            fixture_sync(&disk, "a");
        orr__disk_power_loss(disk.disk);
        bool there = fixture_exists(&disk, "new/inner/file");
        MUST(there != fixture_exists(&disk, "a/file"), &disk);
        moved += there ? 1 : 0;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(moved, SEEDS / 2);
    ck_assert_uint_lt(moved, SEEDS);
}
END_TEST

/* The fsync of a directory covers what came before its mark, too. */
START_TEST(test_disk_loss__directory_fsync_keeps_what_came_before_its_mark)
{
    uint32_t later_lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        struct orr__file *root = fixture_open_file(&disk, "/", ORR_OPEN_DIRECTORY);
        fixture_write(&disk, "before", "", 0, 0);
        uint64_t mark = orr__file_sync_mark(root);
        fixture_write(&disk, "after", "", 0, 0);
        orr__file_sync(root, mark);
        orr__file_close(root);
        orr__disk_power_loss(disk.disk);
        MUST(fixture_exists(&disk, "before"), &disk);
        later_lost += fixture_exists(&disk, "after") ? 0 : 1;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(later_lost, SEEDS / 8);
}
END_TEST

/* A failed fsync of a directory loses nothing: another one succeeds. */
START_TEST(test_disk_loss__failed_directory_fsync_can_be_repeated)
{
    uint32_t lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        bool again = seed % 2 == 0;
        fixture_open(&disk, seed);
        struct orr__file *root = fixture_open_file(&disk, "/", ORR_OPEN_DIRECTORY);
        fixture_write(&disk, "file", "", 0, 0);
        orr__file_sync_failed(root, orr__file_sync_mark(root), true, -EIO);
        if (again)
            fixture_sync_file(root);
        orr__file_close(root);
        orr__disk_power_loss(disk.disk);
        MUST(fixture_exists(&disk, "file") || !again, &disk);
        lost += fixture_exists(&disk, "file") ? 0 : 1;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(lost, SEEDS / 8);
}
END_TEST

START_TEST(test_disk_loss__unlink_can_be_undone)
{
    uint32_t back = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        uint8_t bytes[8];
        bool synced = seed % 2 == 0;
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "file", "abc", 3);
        fixture_unlink(&disk, "file");
        if (synced)
            fixture_sync(&disk, "/");
        orr__disk_power_loss(disk.disk);
        if (fixture_exists(&disk, "file")) {
            MUST(!synced, &disk);
            MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 3, &disk);
            MUST(memcmp(bytes, "abc", 3) == 0, &disk);
            MUST(disk.disk->used_pages == 1, &disk);
            back++;
        }
        fixture_close(&disk);
    }
    ck_assert_uint_ge(back, SEEDS / 8);
}
END_TEST

/* A file moved out of a directory, which is then removed: a journal never loses it, whatever was
 * synced. */
START_TEST(test_disk_loss__file_moved_out_of_a_removed_directory_is_not_lost)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        fixture_mkdir(&disk, "a");
        fixture_mkdir(&disk, "b");
        fixture_write_synced(&disk, "a/file", "x", 1);
        fixture_rename(&disk, "a/file", "b/file");
        MUST(orr__disk_unlink(disk.disk, NULL, "a", ORR_UNLINK_DIRECTORY) == 0, &disk);
        if (seed % 2 == 0)
            fixture_sync(&disk, "/");
        orr__disk_power_loss(disk.disk);
        MUST(fixture_exists(&disk, "b/file") != fixture_exists(&disk, "a/file"), &disk);
        fixture_close(&disk);
    }
}
END_TEST

/* Directories that go round each other: had the first move come to the disk without the second, the
 * third would cut both off from the root. */
START_TEST(test_disk_loss__directories_never_end_up_in_each_other)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        fixture_mkdir(&disk, "p");
        fixture_mkdir(&disk, "q");
        fixture_mkdir(&disk, "p/a");
        fixture_mkdir(&disk, "q/b");
        fixture_write(&disk, "p/a/f", "", 0, 0);
        fixture_write(&disk, "q/b/g", "", 0, 0);
        fixture_sync_all(&disk);
        fixture_rename(&disk, "p/a", "q/b/a");
        fixture_rename(&disk, "q/b/a", "a");
        fixture_rename(&disk, "q/b", "a/b");
        if (seed % 3 == 0)
            fixture_sync(&disk, "a");
        orr__disk_power_loss(disk.disk);
        MUST(fixture_exists(&disk, "p/a/f") || fixture_exists(&disk, "q/b/a/f") ||
                 fixture_exists(&disk, "a/f"),
             &disk);
        MUST(fixture_exists(&disk, "q/b/g") || fixture_exists(&disk, "a/b/g"), &disk);
        MUST(disk.disk->inode_count == 7, &disk);
        fixture_close(&disk);
    }
}
END_TEST

/* ---- names at random ------------------------------------------------------------------------- */

#define STATES_MAX 128u
#define DIRECTORIES_MAX 256u
#define FILES_MAX 256u

/* The states of each directory since its last sync, by inode number, and the files that must not
 * get lost. */
struct name_oracle {
    struct {
        uint64_t states[STATES_MAX];
        uint32_t count;
    } directories[DIRECTORIES_MAX];
    uint64_t current[DIRECTORIES_MAX];
    bool seen[DIRECTORIES_MAX];
    bool safe[FILES_MAX];
    struct fixture *disk;
};

/* The state of a directory is the sum over its entries: the order of the walk does not matter. */
static void note_entry(void *context, const char *path, const struct orr_stat *stat)
{
    struct name_oracle *oracle = context;
    char parent[4096];
    const char *name = strrchr(path, '/') + 1;
    size_t length = (size_t)(name - path);
    struct orr_stat above;
    memcpy(parent, path, length);
    parent[length] = '\0';
    MUST(orr__disk_stat(oracle->disk->disk, NULL, parent, &above) == 0, oracle->disk);
    MUST(stat->inode < DIRECTORIES_MAX, oracle->disk);
    MUST(!oracle->seen[stat->inode], oracle->disk);
    oracle->seen[stat->inode] = true;
    oracle->current[above.inode] += orr__mix(orr__actor_id(name), stat->inode);
}

static void note_states(struct name_oracle *oracle)
{
    memset(oracle->current, 0, sizeof oracle->current);
    memset(oracle->seen, 0, sizeof oracle->seen);
    oracle->seen[oracle->disk->disk->root->number] = true;
    fixture_walk(oracle->disk, note_entry, oracle);
}

/* After each call: new states are allowed from now on. */
static void allow_states(struct name_oracle *oracle)
{
    note_states(oracle);
    for (uint32_t i = 0; i < DIRECTORIES_MAX; i++) {
        uint32_t count = oracle->directories[i].count;
        if (!oracle->seen[i] ||
            (count > 0 && oracle->directories[i].states[count - 1] == oracle->current[i]))
            continue;
        ck_assert_uint_lt(count, STATES_MAX);
        oracle->directories[i].states[count] = oracle->current[i];
        oracle->directories[i].count++;
    }
}

static void check_states(struct name_oracle *oracle)
{
    note_states(oracle);
    for (uint32_t i = 0; i < DIRECTORIES_MAX; i++) {
        bool found = !oracle->seen[i];
        for (uint32_t state = 0; state < oracle->directories[i].count; state++)
            found = found || oracle->directories[i].states[state] == oracle->current[i];
        MUST(found, oracle->disk);
    }
    for (uint32_t i = 0; i < FILES_MAX; i++)
        MUST(oracle->seen[i] || !oracle->safe[i], oracle->disk);
}

static uint64_t inode_of(struct fixture *disk, const char *path)
{
    struct orr_stat stat;
    return orr__disk_stat(disk->disk, NULL, path, &stat) == 0 ? stat.inode : 0;
}

static void random_path(struct fixture *disk, char path[32])
{
    uint64_t depth = 1 + fixture_below(disk, 3);
    size_t at = 0;
    for (uint64_t i = 0; i < depth; i++) {
        path[at++] = '/';
        path[at++] = (char)('a' + fixture_below(disk, 3));
    }
    path[at] = '\0';
}

static void sync_directory(struct name_oracle *oracle, const char *path)
{
    struct orr_stat stat;
    struct fixture *disk = oracle->disk;
    if (orr__disk_stat(disk->disk, NULL, path, &stat) != 0)
        return;
    fixture_sync(disk, path);
    if (stat.type == ORR_FILE_DIRECTORY)
        oracle->directories[stat.inode].count = 0; /* allow_states puts the present one back */
}

static void random_name_change(struct name_oracle *oracle)
{
    struct fixture *disk = oracle->disk;
    char path[32];
    char path_new[32];
    struct orr__file *file;
    random_path(disk, path);
    random_path(disk, path_new);
    uint64_t what = fixture_below(disk, 16);
    uint64_t victim = inode_of(disk, what < 5 ? path_new : path);
    uint64_t mover = inode_of(disk, path);
    int status = 0;
    if (what < 5)
        status = orr__disk_rename(disk->disk, NULL, path, path_new);
    else if (what < 9)
        (void)orr__disk_mkdir(disk->disk, NULL, path, 0755);
    else if (what < 12 && orr__disk_open(disk->disk, NULL, path, ORR_OPEN_WRITE | ORR_OPEN_CREATE,
                                         0644, &file) == 0)
        orr__file_close(file);
    else if (what >= 12 && what < 15)
        status = orr__disk_unlink(disk->disk, NULL, path,
                                  what == 12 ? ORR_UNLINK_FILE : ORR_UNLINK_DIRECTORY);
    else if (what == 15)
        sync_directory(oracle, fixture_below(disk, 3) == 0 ? "/" : path);
    bool removes = what < 5 ? victim != mover : what >= 12 && what < 15;
    if (removes && status == 0)
        oracle->safe[victim] = false;
}

static void sync_everything(struct name_oracle *oracle)
{
    fixture_sync_all(oracle->disk);
    for (uint32_t i = 0; i < DIRECTORIES_MAX; i++)
        oracle->directories[i].count = 0;
    allow_states(oracle);
    memcpy(oracle->safe, oracle->seen, sizeof oracle->safe);
}

START_TEST(test_disk_loss__directories_are_in_a_state_that_they_were_in)
{
    static struct name_oracle oracle;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        memset(&oracle, 0, sizeof oracle);
        oracle.disk = &disk;
        for (uint32_t life = 0; life < 3; life++) {
            for (uint32_t i = 0; i < 20; i++)
                random_name_change(&oracle);
            sync_everything(&oracle);
            for (uint32_t i = 0; i < 40; i++) {
                random_name_change(&oracle);
                allow_states(&oracle);
            }
            orr__disk_power_loss(disk.disk);
            check_states(&oracle);
        }
        fixture_close(&disk);
    }
}
END_TEST

/* ---- the whole ------------------------------------------------------------------------------- */

/* Names and bytes at random, on a few files; returns the state before a power loss. */
static uint64_t random_work(struct fixture *disk, bool sync)
{
    static uint8_t data[3000];
    for (uint32_t i = 0; i < 60; i++) {
        struct orr__file *file = NULL;
        char path[32];
        char path_new[32];
        random_path(disk, path);
        random_path(disk, path_new);
        uint64_t what = fixture_below(disk, 8);
        if (what == 0)
            (void)orr__disk_mkdir(disk->disk, NULL, path, 0700);
        else if (what == 1)
            (void)orr__disk_rename(disk->disk, NULL, path, path_new);
        else if (what == 2)
            (void)orr__disk_unlink(disk->disk, NULL, path, ORR_UNLINK_FILE);
        else if (orr__disk_open(disk->disk, NULL, path, ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0600,
                                &file) != 0)
            continue;
        if (file == NULL)
            continue;
        uint32_t length = (uint32_t)fixture_below(disk, sizeof data);
        fixture_fill(disk, data, length);
        MUST(orr__file_write(file, data, length, fixture_below(disk, 4000)) == length, disk);
        if (what == 7)
            MUST(orr__file_truncate(file, fixture_below(disk, 4000)) == 0, disk);
        orr__file_close(file);
    }
    if (sync)
        fixture_sync_all(disk);
    return fixture_hash(disk);
}

START_TEST(test_disk_loss__what_is_synced_stays)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fixture disk;
        fixture_open_on(&disk, seed, (enum orr_file_system)_i);
        for (uint32_t life = 0; life < 3; life++) {
            uint64_t hash = random_work(&disk, true);
            orr__disk_power_loss(disk.disk);
            MUST(fixture_hash(&disk) == hash, &disk);
        }
        fixture_close(&disk);
    }
}
END_TEST

START_TEST(test_disk_loss__what_survived_once_is_durable)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fixture disk;
        fixture_open_on(&disk, seed, (enum orr_file_system)_i);
        random_work(&disk, false);
        orr__disk_power_loss(disk.disk);
        uint64_t hash = fixture_hash(&disk);
        uint64_t used_pages = disk.disk->used_pages;
        orr__disk_power_loss(disk.disk);
        MUST(fixture_hash(&disk) == hash, &disk);
        MUST(disk.disk->used_pages == used_pages, &disk);
        fixture_close(&disk);
    }
}
END_TEST

/* The same seed leaves the same disk, wherever its memory lies; and seeds differ. */
START_TEST(test_disk_loss__same_seed_same_disk)
{
    void *shift[64];
    uint32_t differ = 0;
    uint64_t before = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        uint64_t hashes[2];
        shift[seed] = orr__disk_memory(NULL, 1 + seed * 37);
        for (uint32_t run = 0; run < 2; run++) {
            struct fixture disk;
            fixture_open(&disk, seed);
            disk.seed = 12345; /* the same work for all */
            random_work(&disk, false);
            orr__disk_power_loss(disk.disk);
            random_work(&disk, false);
            orr__disk_power_loss(disk.disk);
            hashes[run] = fixture_hash(&disk);
            fixture_close(&disk);
            if (run == 0 && seed > 0) {
                free(shift[seed - 1]);
                shift[seed - 1] = NULL;
            }
        }
        ck_assert_uint_eq(hashes[0], hashes[1]);
        differ += hashes[0] != before ? 1 : 0;
        before = hashes[0];
    }
    free(shift[63]);
    ck_assert_uint_ge(differ, 60);
}
END_TEST

/* One number that all compilers and machines agree on; it changes when the disk's choices do, and
 * then for all. */
START_TEST(test_disk_loss__same_disk_everywhere)
{
    struct fixture disk;
    fixture_open(&disk, 2026);
    random_work(&disk, false);
    orr__disk_power_loss(disk.disk);
    ck_assert_uint_eq(fixture_hash(&disk), UINT64_C(11462948653748980147));
    fixture_close(&disk);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim/disk-names");
    TCase *names = tcase_create("names");
    tcase_set_timeout(names, 120);
    tcase_add_test(names, test_disk_loss__created_file_may_be_gone_though_it_was_synced);
    tcase_add_test(names, test_disk_loss__socket_lasts_as_its_directory_does);
    tcase_add_test(names, test_disk_loss__rename_is_atomic);
    tcase_add_test(names, test_disk_loss__rename_can_overtake_the_data);
    tcase_add_test(names, test_disk_loss__directory_keeps_a_prefix_of_its_changes);
    tcase_add_test(names, test_disk_loss__rename_between_directories_is_in_both_or_neither);
    tcase_add_test(names, test_disk_loss__rename_between_directories_leaves_others_alone);
    tcase_add_test(names, test_disk_loss__file_moved_into_a_new_directory_is_not_lost);
    tcase_add_test(names, test_disk_loss__directory_fsync_keeps_what_came_before_its_mark);
    tcase_add_test(names, test_disk_loss__failed_directory_fsync_can_be_repeated);
    tcase_add_test(names, test_disk_loss__unlink_can_be_undone);
    tcase_add_test(names, test_disk_loss__file_moved_out_of_a_removed_directory_is_not_lost);
    tcase_add_test(names, test_disk_loss__directories_never_end_up_in_each_other);
    tcase_add_test(names, test_disk_loss__directories_are_in_a_state_that_they_were_in);
    suite_add_tcase(suite, names);
    TCase *whole = tcase_create("whole");
    tcase_set_timeout(whole, 120);
    tcase_add_loop_test(whole, test_disk_loss__what_is_synced_stays, 0, ORR_FILE_SYSTEM_COUNT);
    tcase_add_loop_test(whole, test_disk_loss__what_survived_once_is_durable, 0,
                        ORR_FILE_SYSTEM_COUNT);
    tcase_add_test(whole, test_disk_loss__same_seed_same_disk);
    tcase_add_test(whole, test_disk_loss__same_disk_everywhere);
    suite_add_tcase(suite, whole);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

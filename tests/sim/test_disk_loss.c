/*
 * test_disk_loss.c: what power loss and failed fsyncs leave on the simulated disk.
 *
 * Each rule is tested from two sides: over many seeds nothing outside of the rule ever appears, and everything that the
 * rule allows does. The expectations are written down here from the rules alone: sets of bytes, sector images and
 * directory states that were there since the last sync; they know nothing of how the disk chooses.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_fixture.h"

#define SECTOR 512u
#define SEEDS 400u

static struct orr__file *create(struct fixture *disk, const char *path)
{
    return fixture_open_file(disk, path, ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE);
}

static void sync_file(struct orr__file *file)
{
    orr__file_sync(file, orr__file_sync_mark(file), false);
}

static void rename_path(struct fixture *disk, const char *path, const char *path_new)
{
    MUST(orr__disk_rename(disk->disk, NULL, path, path_new) == 0, disk);
}

static void unlink_path(struct fixture *disk, const char *path)
{
    MUST(orr__disk_unlink(disk->disk, NULL, path, ORR_UNLINK_FILE) == 0, disk);
}

/* ---- bytes: nothing but what may be there ---------------------------------------------------- */

#define SPACE 12288u
#define SIZES_MAX 256u

/* What may be on disk of one file: for each byte the values it had since the last sync, and the sizes. */
struct oracle {
    uint8_t now[SPACE];
    uint64_t size;
    uint64_t allowed[SPACE][4];
    uint64_t sizes[SIZES_MAX];
    uint32_t size_count;
};

static void oracle_allow(struct oracle *oracle, uint64_t at, uint8_t value)
{
    oracle->allowed[at][value / 64] |= UINT64_C(1) << value % 64;
}

static bool oracle_allows(const struct oracle *oracle, uint64_t at, uint8_t value)
{
    return (oracle->allowed[at][value / 64] >> value % 64 & 1) != 0;
}

static void oracle_set_size(struct oracle *oracle, uint64_t size)
{
    ck_assert_uint_lt(oracle->size_count, SIZES_MAX);
    oracle->size = size;
    oracle->sizes[oracle->size_count++] = size;
}

static void oracle_sync(struct oracle *oracle)
{
    memset(oracle->allowed, 0, sizeof oracle->allowed);
    for (uint32_t i = 0; i < SPACE; i++)
        oracle_allow(oracle, i, oracle->now[i]);
    oracle->size_count = 0;
    oracle_set_size(oracle, oracle->size);
}

static void oracle_write(struct oracle *oracle, const uint8_t *data, uint64_t length,
                         uint64_t offset)
{
    for (uint64_t i = 0; i < length; i++)
        oracle_allow(oracle, offset + i, oracle->now[offset + i] = data[i]);
    oracle_set_size(oracle, offset + length > oracle->size ? offset + length : oracle->size);
}

static void oracle_truncate(struct oracle *oracle, uint64_t size)
{
    for (uint64_t i = size; i < oracle->size && i < SPACE; i++)
        oracle_allow(oracle, i, oracle->now[i] = 0);
    oracle_set_size(oracle, size);
}

/* A size that the file had, or a sector's end on the way to a larger one. */
static bool oracle_allows_size(const struct oracle *oracle, uint64_t size)
{
    for (uint32_t i = 0; i < oracle->size_count; i++) {
        if (oracle->sizes[i] == size)
            return true;
        if (i > 0 && size % SECTOR == 0 && oracle->sizes[i - 1] < size && size < oracle->sizes[i])
            return true;
    }
    return false;
}

/* After a power loss; what is there now is durable. */
static void oracle_check(struct oracle *oracle, struct fixture *disk, const char *path)
{
    static uint8_t bytes[SPACE + 1];
    uint64_t size = fixture_read(disk, path, bytes, sizeof bytes);
    MUST(oracle_allows_size(oracle, size), disk);
    for (uint64_t i = 0; i < size; i++)
        MUST(oracle_allows(oracle, i, bytes[i]), disk);
    memset(oracle->now, 0, sizeof oracle->now);
    memcpy(oracle->now, bytes, size);
    oracle->size = size;
    oracle_sync(oracle);
}

static void random_write(struct fixture *disk, struct orr__file *file, struct oracle *oracle)
{
    static uint8_t data[SPACE];
    uint64_t length = 1 + fixture_below(disk, fixture_below(disk, 3) == 0 ? 5000 : 300);
    uint64_t offset = fixture_below(disk, 2) == 0 ? oracle->size : fixture_below(disk, SPACE);
    if (offset + length > SPACE)
        return;
    fixture_fill(disk, data, length);
    MUST(orr__file_write(file, data, (uint32_t)length, offset) == (int64_t)length, disk);
    oracle_write(oracle, data, length, offset);
}

static void random_change(struct fixture *disk, struct orr__file *file, struct oracle *oracle)
{
    uint64_t what = fixture_below(disk, 16);
    if (what == 0) {
        uint64_t size = fixture_below(disk, oracle->size + 1000);
        size = size < SPACE ? size : SPACE;
        MUST(orr__file_truncate(file, size) == 0, disk);
        oracle_truncate(oracle, size);
    } else if (what == 1 && oracle->size + 700 <= SPACE) {
        MUST(orr__file_allocate(file, oracle->size, 700) == 0, disk);
        oracle_truncate(oracle, oracle->size + 700);
    } else {
        random_write(disk, file, oracle);
    }
}

START_TEST(test_disk_loss__nothing_but_old_new_and_zero_bytes)
{
    static struct oracle oracle;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        memset(&oracle, 0, sizeof oracle);
        oracle_sync(&oracle);
        fixture_write_synced(&disk, "file", "", 0);
        for (uint32_t life = 0; life < 4; life++) {
            struct orr__file *file = create(&disk, "file");
            for (uint64_t left = fixture_below(&disk, 40); left > 0; left--) {
                random_change(&disk, file, &oracle);
                if (fixture_below(&disk, 8) > 0)
                    continue;
                sync_file(file);
                oracle_sync(&oracle);
            }
            orr__file_close(file);
            orr__disk_power_loss(disk.disk);
            oracle_check(&oracle, &disk, "file");
        }
        fixture_close(&disk);
    }
}
END_TEST

/* ---- sectors: written whole ------------------------------------------------------------------ */

#define IMAGES_MAX 24u

/* The contents of a file after each change since its last sync, and the size of those that cut it. */
struct history {
    uint8_t images[IMAGES_MAX][SPACE];
    uint64_t cuts[IMAGES_MAX]; /* UINT64_MAX = not a cut */
    uint32_t count;
};

static void history_add(struct history *history, const struct oracle *oracle, uint64_t size_before)
{
    memcpy(history->images[history->count], oracle->now, SPACE);
    history->cuts[history->count++] = oracle->size < size_before ? oracle->size : UINT64_MAX;
}

/* True if the sector was like this after a change, less what later truncates cut. */
static bool history_has(const struct history *history, const uint8_t *sector, uint64_t at,
                        uint64_t length)
{
    for (uint32_t first = 0; first < history->count; first++) {
        uint8_t image[SECTOR];
        memcpy(image, history->images[first] + at, SECTOR);
        for (uint32_t i = first; i < history->count; i++) {
            uint64_t cut = i > first ? history->cuts[i] : UINT64_MAX;
            if (cut < at + SECTOR) {
                uint64_t kept = cut > at ? cut - at : 0;
                memset(image + kept, 0, SECTOR - kept);
            }
            if (memcmp(sector, image, length) == 0)
                return true;
        }
    }
    return false;
}

/* Each sector is what it was in the cache at one moment since the last sync: a disk cannot do otherwise. */
START_TEST(test_disk_loss__every_sector_is_one_that_the_cache_held)
{
    static struct oracle oracle;
    static struct history history;
    static uint8_t bytes[SPACE];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        memset(&oracle, 0, sizeof oracle);
        history.count = 0;
        struct orr__file *file = create(&disk, "file");
        for (uint32_t i = 0; i < 5; i++)
            random_change(&disk, file, &oracle);
        fixture_sync_all(&disk);
        history_add(&history, &oracle, oracle.size);
        for (uint64_t left = fixture_below(&disk, IMAGES_MAX); left > 0; left--) {
            uint64_t size_before = oracle.size;
            random_change(&disk, file, &oracle);
            history_add(&history, &oracle, size_before);
        }
        orr__file_close(file);
        orr__disk_power_loss(disk.disk);
        uint64_t size = fixture_read(&disk, "file", bytes, SPACE);
        for (uint64_t at = 0; at < size; at += SECTOR)
            MUST(history_has(&history, bytes + at, at, size - at < SECTOR ? size - at : SECTOR),
                 &disk);
        fixture_close(&disk);
    }
}
END_TEST

/* ---- everything that may happen does --------------------------------------------------------- */

/* A synced head of 700 bytes, and an unsynced append of 3000. */
START_TEST(test_disk_loss__append_is_lost_whole_torn_short_or_zero)
{
    static uint8_t data[3700];
    static uint8_t bytes[4096];
    uint32_t lost = 0;
    uint32_t whole = 0;
    uint32_t zeros = 0;
    uint32_t torn = 0;
    uint32_t cut = 0;
    memset(data, 'x', sizeof data);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "log", data, 700);
        fixture_write(&disk, "log", data + 700, 3000, 700);
        orr__disk_power_loss(disk.disk);
        memset(bytes, 0, sizeof bytes);
        uint64_t size = fixture_read(&disk, "log", bytes, sizeof bytes);
        uint64_t there = 0;
        for (uint64_t i = 0; i < size; i++)
            there += bytes[i] == 'x' ? 1 : 0;
        MUST(memcmp(bytes, data, 700) == 0, &disk);
        lost += size == 700 ? 1 : 0;
        whole += there == 3700 ? 1 : 0;
        zeros += size == 3700 && there == 700 ? 1 : 0;
        torn += size == 3700 && there > 700 && there < 3700 ? 1 : 0;
        cut += size > 700 && size < 3700 ? 1 : 0;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(lost, SEEDS / 8);
    ck_assert_uint_ge(whole, SEEDS / 8);
    ck_assert_uint_ge(torn, SEEDS / 8);
    ck_assert_uint_ge(zeros, SEEDS / 80);
    ck_assert_uint_ge(cut, SEEDS / 80);
}
END_TEST

/* Which of eight sectors, overwritten in order, survived: one bit each. */
static uint32_t survivors(uint64_t seed)
{
    static uint8_t data[8 * SECTOR];
    static uint8_t bytes[8 * SECTOR];
    struct fixture disk;
    uint32_t mask = 0;
    fixture_open(&disk, seed);
    memset(data, 'o', sizeof data);
    fixture_write_synced(&disk, "file", data, sizeof data);
    memset(data, 'n', sizeof data);
    for (uint32_t i = 0; i < 8; i++)
        fixture_write(&disk, "file", data, SECTOR, (uint64_t)i * SECTOR);
    orr__disk_power_loss(disk.disk);
    MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == sizeof bytes, &disk);
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        MUST(bytes[i] == bytes[i / SECTOR * SECTOR], &disk);
        MUST(bytes[i] == 'o' || bytes[i] == 'n', &disk);
        mask |= bytes[i] == 'n' ? 1u << i / SECTOR : 0;
    }
    fixture_close(&disk);
    return mask;
}

START_TEST(test_disk_loss__any_subset_of_the_writes_survives)
{
    static bool seen[256];
    uint32_t subsets = 0;
    for (uint64_t seed = 0; seed < 4000; seed++)
        seen[survivors(seed)] = true;
    for (uint32_t i = 0; i < 256; i++)
        subsets += seen[i] ? 1 : 0;
    ck_assert_uint_eq(subsets, 256);
}
END_TEST

/* Forty unsynced appends: it happens that all are lost, that all survive, that the oldest ones survive, and that their
 * room is there without them. */
START_TEST(test_disk_loss__many_writes_may_share_one_fate)
{
    uint32_t none = 0;
    uint32_t all = 0;
    uint32_t prefix = 0;
    uint32_t room = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        static uint8_t data[40 * SECTOR];
        static uint8_t bytes[40 * SECTOR];
        struct fixture disk;
        fixture_open(&disk, seed);
        memset(data, 'x', sizeof data);
        fixture_write_synced(&disk, "file", "", 0);
        for (uint32_t i = 0; i < 40; i++)
            fixture_write(&disk, "file", data, SECTOR, (uint64_t)i * SECTOR);
        orr__disk_power_loss(disk.disk);
        uint64_t size = fixture_read(&disk, "file", bytes, sizeof bytes);
        uint64_t there = 0;
        while (there < size && bytes[there] == 'x')
            there++;
        none += size == 0 ? 1 : 0;
        all += there == sizeof data ? 1 : 0;
        prefix += there == size && there > 0 && there < sizeof data ? 1 : 0;
        room += size == sizeof data && memchr(bytes, 'x', size) == NULL ? 1 : 0;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(none, 50);
    ck_assert_uint_ge(all, 50);
    ck_assert_uint_ge(prefix, 100);
    ck_assert_uint_ge(room, 5);
}
END_TEST

/* Two writes to the same place: the older may win, the newer may, or neither. */
START_TEST(test_disk_loss__overlapping_writes_survive_in_any_order)
{
    uint32_t seen[3] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        uint8_t byte;
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "file", "0", 1);
        fixture_write(&disk, "file", "1", 1, 0);
        fixture_write(&disk, "file", "2", 1, 0);
        orr__disk_power_loss(disk.disk);
        MUST(fixture_read(&disk, "file", &byte, 1) == 1, &disk);
        MUST(byte >= '0' && byte <= '2', &disk);
        seen[byte - '0']++;
        fixture_close(&disk);
    }
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_ge(seen[i], SEEDS / 16);
}
END_TEST

/* Truncate and rewrite, the way not to replace a file: old, nothing, half of it, and new must all be seen. */
START_TEST(test_disk_loss__truncate_and_rewrite_is_seen_half_done)
{
    uint32_t old = 0;
    uint32_t empty = 0;
    uint32_t zeros = 0;
    uint32_t new = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        uint8_t bytes[8];
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "file", "old old", 7);
        orr__file_close(fixture_open_file(&disk, "file", ORR_OPEN_WRITE | ORR_OPEN_TRUNCATE));
        fixture_write(&disk, "file", "new", 3, 0);
        orr__disk_power_loss(disk.disk);
        uint64_t size = fixture_read(&disk, "file", bytes, sizeof bytes);
        MUST(size == 0 || size == 3 || size == 7, &disk);
        old += size == 7 && memcmp(bytes, "old old", 7) == 0 ? 1 : 0;
        empty += size == 0 ? 1 : 0;
        zeros += size == 3 && memcmp(bytes, "\0\0\0", 3) == 0 ? 1 : 0;
        new += size == 3 && memcmp(bytes, "new", 3) == 0 ? 1 : 0;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(old, SEEDS / 16);
    ck_assert_uint_ge(empty, SEEDS / 16);
    ck_assert_uint_ge(zeros, SEEDS / 80);
    ck_assert_uint_ge(new, SEEDS / 16);
}
END_TEST

/* ---- syncs ----------------------------------------------------------------------------------- */

/* What an fsync covers is what came before its mark. */
START_TEST(test_disk_loss__fsync_keeps_what_came_before_its_mark)
{
    uint32_t later_lost = 0;
    uint32_t later_kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        uint8_t bytes[16];
        fixture_open(&disk, seed);
        struct orr__file *file = create(&disk, "file");
        fixture_sync(&disk, "/");
        MUST(orr__file_write(file, "before", 6, 0) == 6, &disk);
        uint64_t mark = orr__file_sync_mark(file);
        MUST(orr__file_write(file, "after", 5, 6) == 5, &disk);
        orr__file_sync(file, mark, seed % 2 == 0);
        orr__file_close(file);
        orr__disk_power_loss(disk.disk);
        uint64_t size = fixture_read(&disk, "file", bytes, sizeof bytes);
        MUST(size >= 6, &disk);
        MUST(memcmp(bytes, "before", 6) == 0, &disk);
        later_lost += size == 6 ? 1 : 0;
        later_kept += size == 11 && memcmp(bytes + 6, "after", 5) == 0 ? 1 : 0;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(later_lost, SEEDS / 8);
    ck_assert_uint_ge(later_kept, SEEDS / 8);
}
END_TEST

START_TEST(test_disk_loss__writes_of_a_sync_file_are_durable)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fixture disk;
        uint8_t bytes[16];
        fixture_open(&disk, seed);
        uint32_t flags = ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_SYNC;
        struct orr__file *file = fixture_open_file(&disk, "file", flags);
        fixture_sync(&disk, "/");
        MUST(orr__file_write(file, "abc", 3, 0) == 3, &disk);
        MUST(orr__file_write(file, "def", 3, 3) == 3, &disk);
        orr__file_close(file);
        orr__disk_power_loss(disk.disk);
        MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 6, &disk);
        MUST(memcmp(bytes, "abcdef", 6) == 0, &disk);
        fixture_close(&disk);
    }
}
END_TEST

/* After a failed fsync reads show the data, further fsyncs succeed, and it is lost all the same. */
START_TEST(test_disk_loss__failed_fsync_drops_data_for_good)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fixture disk;
        uint8_t bytes[16];
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "file", "0123456789", 10);
        struct orr__file *file = create(&disk, "file");
        MUST(orr__file_write(file, "AAA", 3, 2) == 3, &disk);
        uint64_t mark = orr__file_sync_mark(file);
        MUST(orr__file_write(file, "BB", 2, 8) == 2, &disk);
        orr__file_sync_failed(file, mark);
        MUST(orr__file_read(file, bytes, sizeof bytes, 0) == 10, &disk);
        MUST(memcmp(bytes, "01AAA567BB", 10) == 0, &disk);
        sync_file(file);
        orr__file_close(file);
        MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 10, &disk);
        MUST(memcmp(bytes, "01AAA567BB", 10) == 0, &disk);
        orr__disk_power_loss(disk.disk);
        MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 10, &disk);
        MUST(memcmp(bytes, "01234567BB", 10) == 0, &disk);
        fixture_close(&disk);
    }
}
END_TEST

START_TEST(test_disk_loss__writing_again_repairs_a_failed_fsync)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fixture disk;
        uint8_t bytes[16];
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "file", "0123456789", 10);
        struct orr__file *file = create(&disk, "file");
        MUST(orr__file_write(file, "AAA", 3, 2) == 3, &disk);
        orr__file_sync_failed(file, orr__file_sync_mark(file));
        MUST(orr__file_write(file, "AAA", 3, 2) == 3, &disk);
        sync_file(file);
        orr__file_close(file);
        orr__disk_power_loss(disk.disk);
        MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 10, &disk);
        MUST(memcmp(bytes, "01AAA56789", 10) == 0, &disk);
        fixture_close(&disk);
    }
}
END_TEST

/* An append whose fsync failed: the size comes with the next fsync, the data does not. */
START_TEST(test_disk_loss__failed_fsync_of_an_append_leaves_zeros)
{
    uint32_t short_sizes = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fixture disk;
        uint8_t bytes[16];
        bool again = seed % 2 == 0;
        fixture_open(&disk, seed);
        fixture_write_synced(&disk, "file", "0123", 4);
        struct orr__file *file = create(&disk, "file");
        MUST(orr__file_write(file, "AAAA", 4, 4) == 4, &disk);
        orr__file_sync_failed(file, orr__file_sync_mark(file));
        if (again)
            sync_file(file);
        orr__file_close(file);
        orr__disk_power_loss(disk.disk);
        uint64_t size = fixture_read(&disk, "file", bytes, sizeof bytes);
        MUST(size == 8 || (size == 4 && !again), &disk);
        MUST(memcmp(bytes, "0123\0\0\0\0", size) == 0, &disk);
        short_sizes += size == 4 ? 1 : 0;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(short_sizes, 10);
}
END_TEST

/* An append to what a failed fsync has dropped: a hole in the middle. */
START_TEST(test_disk_loss__append_after_a_failed_fsync_leaves_a_hole)
{
    struct fixture disk;
    uint8_t bytes[16];
    fixture_open(&disk, 1);
    fixture_write_synced(&disk, "file", "0123", 4);
    struct orr__file *file = create(&disk, "file");
    MUST(orr__file_write(file, "ZZ", 2, 0) == 2, &disk);
    MUST(orr__file_write(file, "AAAA", 4, 4) == 4, &disk);
    orr__file_sync_failed(file, orr__file_sync_mark(file));
    MUST(orr__file_write(file, "BBBB", 4, 8) == 4, &disk);
    sync_file(file);
    orr__file_close(file);
    orr__disk_power_loss(disk.disk);
    MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 12, &disk);
    MUST(memcmp(bytes, "0123\0\0\0\0BBBB", 12) == 0, &disk);
    fixture_close(&disk);
}
END_TEST

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
        rename_path(&disk, "new", "file");
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
        rename_path(&disk, "new", "file");
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
        rename_path(&disk, "a/file", "b/file");
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
        rename_path(&disk, "a/file", "b/file");
        fixture_sync(&disk, "b");
        orr__disk_power_loss(disk.disk);
        MUST(fixture_exists(&disk, "b/file"), &disk);
        lost += fixture_exists(&disk, "c/other") ? 0 : 1;
        fixture_close(&disk);
    }
    ck_assert_uint_ge(lost, SEEDS / 8);
}
END_TEST

/* A file moved into a directory that is itself new: wherever the power goes, it is in one of the two. */
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
        rename_path(&disk, "a/file", "new/inner/file");
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
        orr__file_sync(root, mark, false);
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
        orr__file_sync_failed(root, orr__file_sync_mark(root));
        if (again)
            sync_file(root);
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
        unlink_path(&disk, "file");
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

/* A file moved out of a directory, which is then removed: a journal never loses it, whatever was synced. */
START_TEST(test_disk_loss__file_moved_out_of_a_removed_directory_is_not_lost)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture disk;
        fixture_open(&disk, seed);
        fixture_mkdir(&disk, "a");
        fixture_mkdir(&disk, "b");
        fixture_write_synced(&disk, "a/file", "x", 1);
        rename_path(&disk, "a/file", "b/file");
        MUST(orr__disk_unlink(disk.disk, NULL, "a", ORR_UNLINK_DIRECTORY) == 0, &disk);
        if (seed % 2 == 0)
            fixture_sync(&disk, "/");
        orr__disk_power_loss(disk.disk);
        MUST(fixture_exists(&disk, "b/file") != fixture_exists(&disk, "a/file"), &disk);
        fixture_close(&disk);
    }
}
END_TEST

/* Directories that go round each other: had the first move come to the disk without the second, the third would cut both
 * off from the root. */
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
        rename_path(&disk, "p/a", "q/b/a");
        rename_path(&disk, "q/b/a", "a");
        rename_path(&disk, "q/b", "a/b");
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

/* The states of each directory since its last sync, by inode number, and the files that must not get lost. */
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
        fixture_open(&disk, seed);
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
        fixture_open(&disk, seed);
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

/* One number that all compilers and machines agree on; it changes when the disk's choices do, and then for all. */
START_TEST(test_disk_loss__same_disk_everywhere)
{
    struct fixture disk;
    fixture_open(&disk, 2024);
    random_work(&disk, false);
    orr__disk_power_loss(disk.disk);
    ck_assert_uint_eq(fixture_hash(&disk), UINT64_C(7724455257208411942));
    fixture_close(&disk);
}
END_TEST

static void add_byte_tests(Suite *suite)
{
    TCase *bytes = tcase_create("bytes");
    tcase_set_timeout(bytes, 120);
    tcase_add_test(bytes, test_disk_loss__nothing_but_old_new_and_zero_bytes);
    tcase_add_test(bytes, test_disk_loss__every_sector_is_one_that_the_cache_held);
    tcase_add_test(bytes, test_disk_loss__append_is_lost_whole_torn_short_or_zero);
    tcase_add_test(bytes, test_disk_loss__any_subset_of_the_writes_survives);
    tcase_add_test(bytes, test_disk_loss__many_writes_may_share_one_fate);
    tcase_add_test(bytes, test_disk_loss__overlapping_writes_survive_in_any_order);
    tcase_add_test(bytes, test_disk_loss__truncate_and_rewrite_is_seen_half_done);
    tcase_add_test(bytes, test_disk_loss__fsync_keeps_what_came_before_its_mark);
    tcase_add_test(bytes, test_disk_loss__writes_of_a_sync_file_are_durable);
    tcase_add_test(bytes, test_disk_loss__failed_fsync_drops_data_for_good);
    tcase_add_test(bytes, test_disk_loss__writing_again_repairs_a_failed_fsync);
    tcase_add_test(bytes, test_disk_loss__failed_fsync_of_an_append_leaves_zeros);
    tcase_add_test(bytes, test_disk_loss__append_after_a_failed_fsync_leaves_a_hole);
    suite_add_tcase(suite, bytes);
}

static void add_name_tests(Suite *suite)
{
    TCase *names = tcase_create("names");
    tcase_set_timeout(names, 120);
    tcase_add_test(names, test_disk_loss__created_file_may_be_gone_though_it_was_synced);
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
}

int main(void)
{
    Suite *suite = suite_create("sim/disk-loss");
    add_byte_tests(suite);
    add_name_tests(suite);
    TCase *whole = tcase_create("whole");
    tcase_set_timeout(whole, 120);
    tcase_add_test(whole, test_disk_loss__what_is_synced_stays);
    tcase_add_test(whole, test_disk_loss__what_survived_once_is_durable);
    tcase_add_test(whole, test_disk_loss__same_seed_same_disk);
    tcase_add_test(whole, test_disk_loss__same_disk_everywhere);
    suite_add_tcase(suite, whole);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

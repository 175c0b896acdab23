/*
 * test_disk_loss.c: what power loss and failed fsyncs leave of the bytes of files on the simulated
 * disk.
 *
 * Each rule is tested from two sides: over many seeds nothing outside of the rule ever appears, and
 * everything that the rule allows does. The expectations are written down here from the rules
 * alone: sets of bytes and sector images that were there since the last sync; they know nothing of
 * how the disk chooses.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_fixture.h"

#define SECTOR 512u
#define SEEDS 400u

/* ---- bytes: nothing but what may be there ---------------------------------------------------- */

#define SPACE 12288u
#define SIZES_MAX 256u

/* What may be on disk of one file: for each byte the values it had since the last sync, and the
 * sizes. */
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
            struct orr__file *file = fixture_create(&disk, "file");
            for (uint64_t left = fixture_below(&disk, 40); left > 0; left--) {
                random_change(&disk, file, &oracle);
                if (fixture_below(&disk, 8) > 0)
                    continue;
                fixture_sync_file(file);
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

/* What a file held after each change since its last sync, and the size of those that cut it. */
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

/* Each sector is what it was in the cache at one moment since the last sync: a disk cannot do
 * otherwise. */
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
        struct orr__file *file = fixture_create(&disk, "file");
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

/* Forty unsynced appends: it happens that all are lost, that all survive, that the oldest ones
 * survive, and that their room is there without them. */
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

/* Truncate and rewrite, the way not to replace a file: old, nothing, half of it, and new must all
 * be seen. */
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
        struct orr__file *file = fixture_create(&disk, "file");
        fixture_sync(&disk, "/");
        MUST(orr__file_write(file, "before", 6, 0) == 6, &disk);
        uint64_t mark = orr__file_sync_mark(file);
        MUST(orr__file_write(file, "after", 5, 6) == 5, &disk);
        orr__file_sync(file, mark);
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
        struct orr__file *file = fixture_create(&disk, "file");
        MUST(orr__file_write(file, "AAA", 3, 2) == 3, &disk);
        uint64_t mark = orr__file_sync_mark(file);
        MUST(orr__file_write(file, "BB", 2, 8) == 2, &disk);
        orr__file_sync_failed(file, mark, false, -EIO);
        MUST(orr__file_read(file, bytes, sizeof bytes, 0) == 10, &disk);
        MUST(memcmp(bytes, "01AAA567BB", 10) == 0, &disk);
        fixture_sync_file(file);
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
        struct orr__file *file = fixture_create(&disk, "file");
        MUST(orr__file_write(file, "AAA", 3, 2) == 3, &disk);
        orr__file_sync_failed(file, orr__file_sync_mark(file), false, -EIO);
        MUST(orr__file_write(file, "AAA", 3, 2) == 3, &disk);
        fixture_sync_file(file);
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
        struct orr__file *file = fixture_create(&disk, "file");
        MUST(orr__file_write(file, "AAAA", 4, 4) == 4, &disk);
        orr__file_sync_failed(file, orr__file_sync_mark(file), false, -EIO);
        if (again)
            fixture_sync_file(file);
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
    struct orr__file *file = fixture_create(&disk, "file");
    MUST(orr__file_write(file, "ZZ", 2, 0) == 2, &disk);
    MUST(orr__file_write(file, "AAAA", 4, 4) == 4, &disk);
    orr__file_sync_failed(file, orr__file_sync_mark(file), false, -EIO);
    MUST(orr__file_write(file, "BBBB", 4, 8) == 4, &disk);
    fixture_sync_file(file);
    orr__file_close(file);
    orr__disk_power_loss(disk.disk);
    MUST(fixture_read(&disk, "file", bytes, sizeof bytes) == 12, &disk);
    MUST(memcmp(bytes, "0123\0\0\0\0BBBB", 12) == 0, &disk);
    fixture_close(&disk);
}
END_TEST

/* A page that nobody has written to since is read from the disk again, a dirty one is not. */
START_TEST(test_disk_loss__clean_pages_are_read_again_after_a_failed_fsync)
{
    static uint8_t data[3 * ORR__PAGE];
    struct fixture disk;
    fixture_open(&disk, 1);
    memset(data, 'A', sizeof data);
    fixture_write_synced(&disk, "file", data, sizeof data);
    struct orr__file *file = fixture_create(&disk, "file");
    memset(data, 'B', sizeof data);
    ck_assert_int_eq(orr__file_write(file, data, 2 * ORR__PAGE, 0), 2 * ORR__PAGE);
    ck_assert_int_eq(orr__file_write(file, data, 10, sizeof data), 10);
    ck_assert(!orr__file_cache_differs(file));
    orr__file_sync_failed(file, orr__file_sync_mark(file), false, -EIO);
    ck_assert(orr__file_cache_differs(file));
    ck_assert_int_eq(orr__file_write(file, "C", 1, ORR__PAGE), 1);
    orr__file_evict(file);
    ck_assert_int_eq(orr__file_read(file, data, sizeof data, 0), sizeof data);
    ck_assert_int_eq(data[0], 'A');
    ck_assert_int_eq(data[ORR__PAGE], 'C');
    ck_assert_int_eq(data[ORR__PAGE + 1], 'B'); /* as long as that page is dirty */
    ck_assert_int_eq(data[2 * ORR__PAGE], 'A');
    ck_assert_int_eq(orr__file_read(file, data, sizeof data, sizeof data), 10);
    ck_assert_int_eq(data[0], 0);
    ck_assert(orr__file_cache_differs(file));
    fixture_sync_file(file);
    orr__file_evict(file);
    ck_assert_int_eq(orr__file_read(file, data, 2, ORR__PAGE), 2);
    ck_assert_int_eq(data[0], 'C');
    ck_assert_int_eq(data[1], 'A');
    ck_assert(!orr__file_cache_differs(file));
    orr__file_close(file);
    fixture_close(&disk);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim/disk-loss");
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
    tcase_add_test(bytes, test_disk_loss__clean_pages_are_read_again_after_a_failed_fsync);
    suite_add_tcase(suite, bytes);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

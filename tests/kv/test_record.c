/*
 * test_record.c: the log's format, and what its reader makes of power losses and of damage.
 *
 * The two exhaustive tests state the contract of record.h: after a power loss any subset of the
 * sectors of unsynced appends may be on disk, and none of those states may be called corrupt or
 * lose a synced record; while damage to a synced record must be called corrupt wherever it strikes,
 * as long as something was written after that record's sync.
 */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "examples/kv/record.h"
#include "tests/kv/log_model.h"
#include "tests/suite.h"

#define SECTOR_LENGTH ((size_t)512)

static struct log_model model;
static struct kv_buffer text;

static void setup(void)
{
    log_model_init(&model);
    kv_buffer_init(&text, &model.memory.memory, (size_t)256 * 1024 * 1024);
}

static void teardown(void)
{
    kv_buffer_free(&text);
    log_model_free(&model);
}

static struct kv_slice slice(const char *bytes)
{
    return (struct kv_slice){.bytes = (const uint8_t *)bytes, .length = (uint32_t)strlen(bytes)};
}

static struct kv_operation set(const char *key, const char *value)
{
    return (struct kv_operation){
        .type = KV_OPERATION_SET, .key = slice(key), .value = slice(value)};
}

/* Adds a record that sets one key to `length` bytes. */
static void add_value(uint8_t fill, uint32_t length)
{
    static uint8_t value[8192];
    ck_assert_uint_le(length, sizeof(value));
    memset(value, fill, length);
    struct kv_operation operation = {
        .type = KV_OPERATION_SET, .key = slice("key"), .value = {.bytes = value, .length = length}};
    log_model_add(&model, &operation, 1);
}

/* Reads `bytes` with windows as small and as large as can be, and compares with the verdict. */
static void check_reading(const uint8_t *bytes, size_t length, enum kv_read end, uint32_t records)
{
    static const size_t slacks[] = {SIZE_MAX, 0, 100};
    for (size_t i = 0; i < sizeof(slacks) / sizeof(*slacks); i++) {
        struct kv_record_reader reader;
        kv_buffer_truncate(&text, 0);
        enum kv_read result =
            log_reading_of(bytes, length, LOG_MODEL_IDENTITY, slacks[i], &text, &reader);
        ck_assert_int_eq(result, end);
        ck_assert_uint_eq(reader.sequence_next, records + 1);
        ck_assert_uint_eq(text.length, model.text_starts[records]);
        if (text.length > 0) {
            ck_assert_mem_eq(text.bytes, model.text.bytes, text.length);
        }
        uint32_t batch = records;
        while (batch > 1 && model.synced[batch - 2] == model.synced[records - 1]) {
            batch--;
        }
        ck_assert_uint_eq(reader.batch_offset, model.starts[batch > 0 ? batch - 1 : 0]);
        if (end == KV_READ_TORN || (end == KV_READ_CORRUPT && reader.in_hole)) {
            ck_assert_uint_eq(reader.hole_offset, model.starts[records]);
        }
    }
}

/* Five small records in three batches, [1 2] [3] [4 5], the last one not synced. */
static void make_three_batches(void)
{
    struct kv_operation pair[] = {set("a", "1"), set("b", "")};
    struct kv_operation del = {.type = KV_OPERATION_DEL, .key = slice("a")};
    struct kv_operation flush = {.type = KV_OPERATION_FLUSH};
    log_model_add(&model, pair, 2);
    log_model_add(&model, &del, 1);
    log_model_sync(&model);
    log_model_add(&model, &flush, 1);
    log_model_sync(&model);
    log_model_add(&model, NULL, 0);
    log_model_add(&model, pair, 1);
    log_model_seal(&model);
}

static uint8_t *copy_of_model(void)
{
    uint8_t *copy = malloc(model.bytes.length);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, model.bytes.bytes, model.bytes.length);
    return copy;
}

START_TEST(test_record__round_trip)
{
    make_three_batches();
    check_reading(model.bytes.bytes, model.bytes.length, KV_READ_END, 5);
    static const char expected[] = "record 1 synced 0\nSET 1:a 1:1\nSET 1:b 0:\n"
                                   "record 2 synced 0\nDEL 1:a\n"
                                   "record 3 synced 2\nFLUSH\n"
                                   "record 4 synced 3\n"
                                   "record 5 synced 3\nSET 1:a 1:1\n";
    ck_assert_uint_eq(text.length, sizeof(expected) - 1);
    ck_assert_mem_eq(text.bytes, expected, sizeof(expected) - 1);
}
END_TEST

START_TEST(test_record__empty_log)
{
    check_reading(model.bytes.bytes, model.bytes.length, KV_READ_END, 0);
}
END_TEST

/* The format is a promise to files already written: it must not change by accident. */
START_TEST(test_record__format_is_frozen)
{
    static const uint8_t expected[] = {
        0x8b, 'K',  'V',  'L',  'O',  'G',  '\r', '\n', /* magic */
        1,    0,    0,    0,                            /* version */
        0,    0,    0,    0,                            /* checksum, below */
        0x88, 0xf7, 0xe6, 0xd5, 0xc4, 0xb3, 0xa2, 0x91, /* identity */
        0xd5, 'k',  'v',  'r',                          /* magic */
        0,    0,    0,    0,                            /* checksum, below */
        0,    0,    0,    0,                            /* payload checksum, below */
        12,   0,    0,    0,                            /* payload length */
        1,    0,    0,    0,                            /* type */
        1,    0,    0,    0,                            /* operation count */
        0x88, 0xf7, 0xe6, 0xd5, 0xc4, 0xb3, 0xa2, 0x91, /* identity */
        1,    0,    0,    0,    0,    0,    0,    0,    /* sequence */
        0,    0,    0,    0,    0,    0,    0,    0,    /* synced sequence */
        1,                                              /* SET */
        1,    0,    0,    0,    'k',                    /* key */
        2,    0,    0,    0,    'v',  'w',              /* value */
    };
    struct kv_operation operation = set("k", "vw");
    log_model_add(&model, &operation, 1);
    log_model_seal(&model);
    const uint8_t *file = model.bytes.bytes;
    ck_assert_uint_eq(model.bytes.length, sizeof(expected));
    for (size_t i = 0; i < sizeof(expected); i++) {
        bool is_checksum = (i >= 12 && i < 16) || (i >= 28 && i < 36);
        ck_assert_msg(is_checksum || file[i] == expected[i], "byte %zu is %u", i, file[i]);
    }
    uLong header = crc32(crc32(0, file, 12), file + 16, 8);
    uLong record = crc32(crc32(0, file + 24, 4), file + 32, 40);
    uLong payload = crc32(0, file + 72, 12);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(file[12 + i], header >> (8 * i) & 0xff);
        ck_assert_uint_eq(file[28 + i], record >> (8 * i) & 0xff);
        ck_assert_uint_eq(file[32 + i], payload >> (8 * i) & 0xff);
    }
}
END_TEST

START_TEST(test_record__any_truncation_is_an_end_or_a_torn_tail)
{
    make_three_batches();
    for (size_t length = KV_LOG_HEADER_LENGTH; length <= model.bytes.length; length++) {
        uint32_t records = 0;
        while (records < 5 && model.starts[records + 1] <= length) {
            records++;
        }
        enum kv_read end = length == model.starts[records] ? KV_READ_END : KV_READ_TORN;
        check_reading(model.bytes.bytes, length, end, records);
    }
}
END_TEST

/* Eight sectors are touched by the unsynced appends; each is on disk or is not, in a file that has
 * its full length or ends after the last sector that is there. */
START_TEST(test_record__every_torn_power_loss_is_legal)
{
    add_value('a', 700);
    add_value('b', 30);
    log_model_sync(&model);
    size_t durable_length = model.bytes.length;
    add_value('c', 10);
    add_value('d', 1200);
    add_value('e', 100);
    add_value('f', 100);
    add_value('g', 2000);
    log_model_seal(&model);
    size_t first = durable_length / SECTOR_LENGTH;
    size_t sectors = (model.bytes.length + SECTOR_LENGTH - 1) / SECTOR_LENGTH - first;
    ck_assert_uint_eq(sectors, 8);
    for (uint32_t subset = 0; subset < 1u << sectors; subset++) {
        uint8_t *disk = copy_of_model();
        size_t written_end = durable_length;
        for (size_t i = 0; i < sectors; i++) {
            size_t start = (first + i) * SECTOR_LENGTH;
            size_t end = start + SECTOR_LENGTH;
            start = start > durable_length ? start : durable_length;
            end = end < model.bytes.length ? end : model.bytes.length;
            if (subset >> i & 1) {
                written_end = end;
            } else {
                memset(disk + start, 0, end - start);
            }
        }
        for (int pass = 0; pass < 2; pass++) {
            size_t length = pass == 0 ? model.bytes.length : written_end;
            struct log_verdict verdict = log_model_judge(&model, disk, length);
            ck_assert_int_ne(verdict.end, KV_READ_CORRUPT);
            ck_assert_uint_ge(verdict.records, 2);
            check_reading(disk, length, verdict.end, verdict.records);
        }
        free(disk);
    }
}
END_TEST

/* Record 10 zeros, record 11 intact, in the same batch: nobody was told of either. */
START_TEST(test_record__a_hole_in_the_unsynced_batch_is_torn)
{
    make_three_batches();
    uint8_t *disk = copy_of_model();
    memset(disk + model.starts[3], 0, model.starts[4] - model.starts[3]);
    check_reading(disk, model.bytes.length, KV_READ_TORN, 3);
    free(disk);
}
END_TEST

/* Each byte of each synced record, changed in each bit. */
START_TEST(test_record__damage_to_synced_records_is_corruption)
{
    make_three_batches();
    uint8_t *disk = copy_of_model();
    for (size_t at = model.starts[0]; at < model.starts[3]; at++) {
        uint32_t record = 0;
        while (model.starts[record + 1] <= at) {
            record++;
        }
        for (uint32_t bit = 0; bit < 8; bit++) {
            disk[at] ^= (uint8_t)(1u << bit);
            check_reading(disk, model.bytes.length, KV_READ_CORRUPT, record);
            disk[at] ^= (uint8_t)(1u << bit);
        }
    }
    free(disk);
}
END_TEST

START_TEST(test_record__a_header_alone_proves_durability)
{
    add_value('a', 100);
    log_model_sync(&model);
    add_value('b', 100);
    log_model_seal(&model);
    uint8_t *disk = copy_of_model();
    disk[model.starts[0] + 60] ^= 1;
    size_t header_end = model.starts[1] + KV_RECORD_HEADER_LENGTH;
    memset(disk + header_end, 0, model.bytes.length - header_end);
    check_reading(disk, model.bytes.length, KV_READ_CORRUPT, 0);
    check_reading(disk, header_end, KV_READ_CORRUPT, 0);
    check_reading(disk, header_end - 1, KV_READ_TORN, 0);
    free(disk);
}
END_TEST

/* A client stores what it believes to be records of a log, and then the value is torn. */
START_TEST(test_record__records_inside_values_prove_nothing)
{
    struct log_model forged;
    log_model_init(&forged);
    struct kv_operation operation = set("k", "v");
    for (int i = 0; i < 4; i++) {
        log_model_add(&forged, &operation, 1);
        log_model_sync(&forged);
    }
    for (size_t i = 0; i < forged.record_count; i++) {
        uint8_t *header = forged.bytes.bytes + forged.starts[i];
        header[24] ^= 1; /* the identity it guessed, and the checksum to go with it */
        uLong checksum = crc32(crc32(0, header, 4), header + 8, 40);
        for (uint32_t byte = 0; byte < 4; byte++) {
            header[4 + byte] = (uint8_t)(checksum >> (8 * byte));
        }
    }
    operation.value =
        (struct kv_slice){.bytes = forged.bytes.bytes + KV_LOG_HEADER_LENGTH,
                          .length = (uint32_t)(forged.bytes.length - KV_LOG_HEADER_LENGTH)};
    log_model_add(&model, &operation, 1);
    log_model_seal(&model);
    log_model_free(&forged);
    check_reading(model.bytes.bytes, model.bytes.length, KV_READ_END, 1);
    model.bytes.bytes[model.starts[0]] = 0;
    check_reading(model.bytes.bytes, model.bytes.length, KV_READ_TORN, 0);
}
END_TEST

/* A block of an older log, handed out again where record 1 would be. */
START_TEST(test_record__records_of_another_log_are_a_hole)
{
    make_three_batches();
    struct kv_record_reader reader;
    ck_assert_int_eq(log_reading_of(model.bytes.bytes, model.bytes.length, LOG_MODEL_IDENTITY + 1,
                                    SIZE_MAX, &text, &reader),
                     KV_READ_TORN);
    ck_assert_uint_eq(text.length, 0);
}
END_TEST

static void repair_header(uint8_t *header)
{
    uLong checksum = crc32(crc32(0, header, 4), header + 8, 40);
    for (uint32_t i = 0; i < 4; i++) {
        header[4 + i] = (uint8_t)(checksum >> (8 * i));
    }
}

struct wrong_header {
    size_t at;
    uint8_t value;
    const char *damage;
};

static const struct wrong_header wrong_headers[] = {
    {32, 4, "sequence out of order"},
    {32, 2, "sequence out of order"},
    {32, 0, "sequence out of order"},
    {39, 1, "sequence out of order"},
    {40, 3, "synced sequence out of order"},
    {40, 4, "synced sequence out of order"},
    {40, 1, "synced sequence out of order"},
    {47, 1, "synced sequence out of order"},
    {15, 5, "payload longer than any record has"},
    {16, 0, "type unknown, or at odds with the operation count"},
    {16, 2, "type unknown, or at odds with the operation count"},
    {16, 3, "type unknown, or at odds with the operation count"},
    {20, 0, "type unknown, or at odds with the operation count"},
    {20, 2, "payload is not the operations it claims"},
    {23, 255, "payload is not the operations it claims"},
};

START_TEST(test_record__wrong_headers_with_right_checksums_are_corruption)
{
    const struct wrong_header *wrong = &wrong_headers[_i];
    struct kv_operation operation = set("k", "v");
    for (int i = 0; i < 3; i++) {
        log_model_add(&model, &operation, 1);
    }
    log_model_seal(&model);
    uint8_t *header = model.bytes.bytes + model.starts[2];
    header[wrong->at] = wrong->value;
    repair_header(header);
    struct kv_record_reader reader;
    ck_assert_int_eq(log_reading_of(model.bytes.bytes, model.bytes.length, LOG_MODEL_IDENTITY, 0,
                                    &text, &reader),
                     KV_READ_CORRUPT);
    ck_assert_str_eq(reader.damage, wrong->damage);
    ck_assert_uint_eq(reader.sequence_next, 3);
    ck_assert_uint_eq(reader.offset, model.starts[2]);
}
END_TEST

/* Payloads whose checksums are right and whose content is not. */
struct wrong_payload {
    size_t at;
    uint8_t value;
};

static const struct wrong_payload wrong_payloads[] = {
    {0, 0},   /* no such operation */
    {0, 4},   /* no such operation */
    {0, 2},   /* a DEL with bytes left over */
    {0, 3},   /* a FLUSH with bytes left over */
    {1, 2},   /* the key ends in the value's length */
    {4, 1},   /* the key ends far outside */
    {6, 2},   /* the value ends just outside */
    {6, 0},   /* the value ends early */
    {9, 255}, /* the value ends far outside */
};

START_TEST(test_record__wrong_payloads_with_right_checksums_are_corruption)
{
    struct kv_operation operation = set("k", "v");
    log_model_add(&model, &operation, 1);
    log_model_seal(&model);
    uint8_t *header = model.bytes.bytes + model.starts[0];
    header[KV_RECORD_HEADER_LENGTH + wrong_payloads[_i].at] = wrong_payloads[_i].value;
    uLong checksum = crc32(0, header + KV_RECORD_HEADER_LENGTH, 11);
    for (uint32_t i = 0; i < 4; i++) {
        header[8 + i] = (uint8_t)(checksum >> (8 * i));
    }
    repair_header(header);
    struct kv_record_reader reader;
    ck_assert_int_eq(log_reading_of(model.bytes.bytes, model.bytes.length, LOG_MODEL_IDENTITY, 0,
                                    &text, &reader),
                     KV_READ_CORRUPT);
    ck_assert_str_eq(reader.damage, "payload is not the operations it claims");
}
END_TEST

START_TEST(test_record__an_unsealed_record_is_not_valid)
{
    struct kv_operation operation = set("k", "v");
    log_model_add(&model, &operation, 1);
    check_reading(model.bytes.bytes, model.bytes.length, KV_READ_TORN, 0);
}
END_TEST

/* A batch of one log is given a place in another: it says what the other's own batch would say. */
START_TEST(test_record__a_sealed_batch_can_have_a_place_elsewhere)
{
    struct kv_operation operation = set("k", "v");
    struct kv_record_place place = {
        .identity = LOG_MODEL_IDENTITY, .sequence = 2, .synced_sequence = 1};
    struct log_model other;
    log_model_init(&other);
    log_model_add(&model, &operation, 1);
    log_model_add(&model, &operation, 1);
    log_model_seal(&model);
    log_model_add(&other, NULL, 0);
    log_model_sync(&other);
    log_model_add(&other, &operation, 1);
    log_model_add(&other, &operation, 1);
    log_model_seal(&other);
    size_t length = model.bytes.length - model.starts[0];
    ck_assert_uint_eq(length, other.bytes.length - other.starts[1]);
    ck_assert_uint_eq(kv_records_seal(model.bytes.bytes + model.starts[0], length, &place), 4);
    ck_assert_mem_eq(model.bytes.bytes + model.starts[0], other.bytes.bytes + other.starts[1],
                     length);
    log_model_free(&other);
}
END_TEST

START_TEST(test_record__a_canceled_record_leaves_no_trace)
{
    struct kv_record_writer writer;
    size_t before = model.bytes.length;
    kv_record_begin(&writer, &model.bytes);
    kv_record_set(&writer, slice("k"), slice("v"));
    kv_record_cancel(&writer);
    ck_assert_uint_eq(model.bytes.length, before);
}
END_TEST

START_TEST(test_record__what_does_not_fit_leaves_no_trace)
{
    struct kv_buffer small;
    struct kv_record_writer writer;
    for (size_t ceiling = 0; ceiling <= 48 + 11 + 48 + 11; ceiling++) {
        kv_buffer_init(&small, &model.memory.memory, ceiling);
        for (uint64_t i = 0; i < 2; i++) {
            size_t before = small.length;
            kv_record_begin(&writer, &small);
            kv_record_set(&writer, slice("k"), slice("v"));
            int result = kv_record_end(&writer);
            ck_assert_int_eq(result, ceiling >= (i + 1) * 59 ? 0 : -ENOMEM);
            ck_assert_uint_eq(small.length, before + (result == 0 ? 59 : 0));
            ck_assert(!small.failed);
        }
        kv_buffer_free(&small);
    }
}
END_TEST

START_TEST(test_record__payload_has_a_limit)
{
    static const uint32_t half = KV_RECORD_PAYLOAD_LENGTH_MAX / 2;
    uint8_t *value = calloc(1, half);
    ck_assert_ptr_nonnull(value);
    struct kv_record_writer writer;
    size_t before = model.bytes.length;
    struct kv_slice first = {.bytes = value, .length = half};
    struct kv_slice second = {.bytes = value, .length = half - 18};
    kv_record_begin(&writer, &model.bytes);
    kv_record_set(&writer, slice(""), first);
    kv_record_set(&writer, slice(""), second);
    ck_assert_int_eq(kv_record_end(&writer), 0);
    kv_buffer_truncate(&model.bytes, before);
    second.length++;
    kv_record_begin(&writer, &model.bytes);
    kv_record_set(&writer, slice(""), first);
    kv_record_set(&writer, slice(""), second);
    ck_assert_int_eq(kv_record_end(&writer), -EMSGSIZE);
    ck_assert_uint_eq(model.bytes.length, before);
    free(value);
}
END_TEST

static enum kv_log_header decode(const void *bytes, size_t length)
{
    uint64_t identity;
    uint32_t version;
    return kv_log_header_decode(bytes, length, &identity, &version);
}

START_TEST(test_record__log_header)
{
    uint64_t identity = 0;
    uint32_t version = 0;
    ck_assert_int_eq(
        kv_log_header_decode(model.bytes.bytes, model.bytes.length, &identity, &version),
        KV_LOG_VALID);
    ck_assert_uint_eq(identity, LOG_MODEL_IDENTITY);
    ck_assert_uint_eq(version, KV_LOG_VERSION);
    uint8_t newer[KV_LOG_HEADER_LENGTH];
    memcpy(newer, model.bytes.bytes, sizeof(newer));
    newer[8] = 2;
    uLong checksum = crc32(crc32(0, newer, 12), newer + 16, 8);
    for (uint32_t i = 0; i < 4; i++) {
        newer[12 + i] = (uint8_t)(checksum >> (8 * i));
    }
    ck_assert_int_eq(kv_log_header_decode(newer, sizeof(newer), &identity, &version),
                     KV_LOG_VERSION_UNKNOWN);
    ck_assert_uint_eq(version, 2);
}
END_TEST

START_TEST(test_record__log_header_damage)
{
    make_three_batches();
    uint8_t *disk = copy_of_model();
    for (size_t at = 0; at < KV_LOG_HEADER_LENGTH; at++) {
        disk[at] ^= 1;
        enum kv_log_header expected = at < 8 ? KV_LOG_FOREIGN : KV_LOG_DAMAGED;
        ck_assert_int_eq(decode(disk, model.bytes.length), expected);
        disk[at] ^= 1;
    }
    free(disk);
}
END_TEST

START_TEST(test_record__only_an_empty_log_is_unborn)
{
    static const uint8_t zeros[1000];
    uint8_t header[KV_LOG_HEADER_LENGTH];
    for (size_t length = 0; length <= sizeof(header); length++) {
        memset(header, 0, sizeof(header));
        ck_assert_int_eq(decode(header, length), KV_LOG_UNBORN);
        memcpy(header, model.bytes.bytes, length);
        enum kv_log_header whole = length == sizeof(header) ? KV_LOG_VALID : KV_LOG_UNBORN;
        ck_assert_int_eq(decode(header, length), whole);
        ck_assert_int_eq(decode(header, sizeof(header)), whole);
    }
    ck_assert_int_eq(decode(zeros, sizeof(header) + 1), KV_LOG_FOREIGN);
    ck_assert_int_eq(decode("h", 1), KV_LOG_FOREIGN);
    ck_assert_int_eq(decode("hello, this is a letter.", 24), KV_LOG_FOREIGN);
    ck_assert_int_eq(decode("hello, this is a letter. It goes on.", 36), KV_LOG_FOREIGN);
    memset(header, 0, sizeof(header));
    header[4] = 'x';
    ck_assert_int_eq(decode(header, 5), KV_LOG_FOREIGN);
}
END_TEST

START_TEST(test_record__explanations_name_record_and_offset)
{
    make_three_batches();
    struct kv_record_reader reader;
    char line[400];
    uint8_t *disk = copy_of_model();
    disk[model.starts[1]] ^= 1;
    log_reading_of(disk, model.bytes.length, LOG_MODEL_IDENTITY, 0, &text, &reader);
    kv_record_explain(&reader, line, sizeof(line));
    ck_assert_str_eq(line, "record 2 at offset 93 is damaged (no intact record header), and record "
                           "3 at offset 147 proves that it was durable: acknowledged data is lost");
    log_reading_of(disk, model.starts[2], LOG_MODEL_IDENTITY, 0, &text, &reader);
    kv_record_explain(&reader, line, sizeof(line));
    ck_assert_str_eq(line, "the log ends before record 2 at offset 93 (no intact record header): "
                           "the remains of writes that were never acknowledged");
    disk[model.starts[1]] ^= 1;
    disk[model.starts[1] + 32] = 7;
    repair_header(disk + model.starts[1]);
    log_reading_of(disk, model.bytes.length, LOG_MODEL_IDENTITY, 0, &text, &reader);
    kv_record_explain(&reader, line, sizeof(line));
    ck_assert_str_eq(line,
                     "expected record 2 at offset 93, found record 7 with an intact checksum but "
                     "wrong (sequence out of order): not what a power loss leaves");
    free(disk);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("record");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_record__round_trip);
    tcase_add_test(tcase, test_record__empty_log);
    tcase_add_test(tcase, test_record__format_is_frozen);
    tcase_add_test(tcase, test_record__an_unsealed_record_is_not_valid);
    tcase_add_test(tcase, test_record__a_sealed_batch_can_have_a_place_elsewhere);
    tcase_add_test(tcase, test_record__a_canceled_record_leaves_no_trace);
    tcase_add_test(tcase, test_record__what_does_not_fit_leaves_no_trace);
    tcase_add_test(tcase, test_record__payload_has_a_limit);
    tcase_add_test(tcase, test_record__log_header);
    tcase_add_test(tcase, test_record__log_header_damage);
    tcase_add_test(tcase, test_record__only_an_empty_log_is_unborn);
    tcase_add_test(tcase, test_record__any_truncation_is_an_end_or_a_torn_tail);
    tcase_add_test(tcase, test_record__every_torn_power_loss_is_legal);
    tcase_add_test(tcase, test_record__a_hole_in_the_unsynced_batch_is_torn);
    tcase_add_test(tcase, test_record__damage_to_synced_records_is_corruption);
    tcase_add_test(tcase, test_record__a_header_alone_proves_durability);
    tcase_add_test(tcase, test_record__records_inside_values_prove_nothing);
    tcase_add_test(tcase, test_record__records_of_another_log_are_a_hole);
    tcase_add_loop_test(tcase, test_record__wrong_headers_with_right_checksums_are_corruption, 0,
                        sizeof(wrong_headers) / sizeof(*wrong_headers));
    tcase_add_loop_test(tcase, test_record__wrong_payloads_with_right_checksums_are_corruption, 0,
                        sizeof(wrong_payloads) / sizeof(*wrong_payloads));
    tcase_add_test(tcase, test_record__explanations_name_record_and_offset);
    return suite_run("kv/record", tcase);
}

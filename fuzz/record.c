/*
 * fuzz/record.c: the log reader against damaged logs, and against files that are no logs.
 *
 * The first byte of the input chooses:
 *   even  the rest is a program that writes a log of known records, in batches, and then damages
 *         it; log_model_judge says from the bytes alone what the reader must answer;
 *   1     the rest is a log file as it stands;
 *   3 ..  likewise, but checksums, magics and identities are put right first, so that inputs get
 *         past them to what is behind.
 * In all cases the reader must give the same answer for windows of every size, and keep what
 * log_model.c demands of every input; the sanitizers see reads outside.
 */
#include <string.h>
#include <zlib.h>

#include "examples/kv/ensure.h"
#include "examples/kv/record.h"
#include "tests/kv/log_model.h"

#define TEXT_LENGTH_MAX ((size_t)64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a stream of decisions; a stream that has run out says 0, the harmless choice. */
struct decisions {
    const uint8_t *bytes;
    const uint8_t *text; /* the same without the highest bits: what clients send */
    size_t length;
    size_t position;
};

static uint32_t decide(struct decisions *decisions)
{
    return decisions->position < decisions->length ? decisions->bytes[decisions->position++] : 0;
}

static uint32_t decide_wide(struct decisions *decisions)
{
    uint32_t high = decide(decisions);
    return high << 8 | decide(decisions);
}

/* The next `length` bytes of the input itself, or fewer, as text. A fuzzer soon learns the log's
 * identity and puts whole records into values; clients cannot, and in text it cannot either. */
static struct kv_slice decide_bytes(struct decisions *decisions, uint32_t length)
{
    size_t left = decisions->length - decisions->position;
    uint32_t taken = length < left ? length : (uint32_t)left;
    struct kv_slice slice = {.bytes = decisions->text + decisions->position, .length = taken};
    decisions->position += taken;
    return slice;
}

static void add_record(struct log_model *model, struct decisions *decisions)
{
    struct kv_operation operations[4];
    uint32_t count = decide(decisions) % 5;
    for (uint32_t i = 0; i < count; i++) {
        operations[i] = (struct kv_operation){.type = 1 + decide(decisions) % 3};
        if (operations[i].type != KV_OPERATION_FLUSH) {
            operations[i].key = decide_bytes(decisions, decide(decisions) % 16);
        }
        if (operations[i].type == KV_OPERATION_SET) {
            operations[i].value = decide_bytes(decisions, decide_wide(decisions) % 1024);
        }
    }
    log_model_add(model, operations, count);
    if (decide(decisions) % 2 == 1) {
        log_model_sync(model);
    }
}

/* Zeros a range or flips one bit. Not just any bytes: those could be a forged record with the right
 * checksum, which no reader can tell from a true one. */
static void damage(uint8_t *file, size_t length, struct decisions *decisions)
{
    size_t start = KV_LOG_HEADER_LENGTH + decide_wide(decisions);
    uint32_t bit = decide(decisions);
    size_t count = decide_wide(decisions);
    if (start >= length) {
        return;
    }
    if (count == 0) {
        file[start] ^= (uint8_t)(1u << bit % 8);
    } else {
        memset(file + start, 0, count < length - start ? count : length - start);
    }
}

static void check_verdict(const struct log_model *model, const uint8_t *file, size_t length,
                          size_t slack)
{
    struct kv_buffer text;
    struct kv_record_reader reader;
    struct log_verdict verdict = log_model_judge(model, file, length);
    kv_buffer_init(&text, &model->memory.memory, TEXT_LENGTH_MAX);
    enum kv_read end = log_reading_of(file, length, LOG_MODEL_IDENTITY, slack, &text, &reader);
    kv_ensure(end == verdict.end);
    kv_ensure(reader.sequence_next == verdict.records + 1);
    kv_ensure(text.length == model->text_starts[verdict.records]);
    kv_ensure(text.length == 0 || memcmp(text.bytes, model->text.bytes, text.length) == 0);
    kv_buffer_free(&text);
}

static void run_program(struct decisions *decisions)
{
    struct log_model model;
    log_model_init(&model);
    uint32_t count = decide(decisions) % 24;
    for (uint32_t i = 0; i < count; i++) {
        add_record(&model, decisions);
    }
    log_model_seal(&model);
    check_verdict(&model, model.bytes.bytes, model.bytes.length, SIZE_MAX);
    uint8_t *file = malloc(model.bytes.length);
    kv_ensure(file != NULL);
    memcpy(file, model.bytes.bytes, model.bytes.length);
    size_t length = model.bytes.length;
    for (uint32_t i = decide(decisions) % 3; i > 0; i--) {
        damage(file, length, decisions);
    }
    size_t cut = decide_wide(decisions);
    length -= cut < length - KV_LOG_HEADER_LENGTH ? cut : 0;
    size_t slack = decide(decisions);
    check_verdict(&model, file, length, SIZE_MAX);
    check_verdict(&model, file, length, slack);
    free(file);
    log_model_free(&model);
}

static void put_checksum(uint8_t *at, uLong checksum)
{
    for (uint32_t i = 0; i < 4; i++) {
        at[i] = (uint8_t)(checksum >> (8 * i));
    }
}

/* Puts right all that a checksum or magic would refuse, as far as record follows record. */
static void repair(uint8_t *file, size_t length)
{
    kv_log_header_encode(LOG_MODEL_IDENTITY, file);
    size_t at = KV_LOG_HEADER_LENGTH;
    while (length - at >= KV_RECORD_HEADER_LENGTH) {
        uint8_t *header = file + at;
        size_t room = length - at - KV_RECORD_HEADER_LENGTH;
        uint32_t payload_length = (uint32_t)header[12] | (uint32_t)header[13] << 8;
        memcpy(header, (const uint8_t[]){0xd5, 'k', 'v', 'r'}, 4);
        memcpy(header + 24, file + 16, 8);
        if (payload_length <= room) {
            put_checksum(header + 8, crc32(0, header + KV_RECORD_HEADER_LENGTH, payload_length));
        }
        put_checksum(header + 4, crc32(crc32(0, header, 4), header + 8, 40));
        at += KV_RECORD_HEADER_LENGTH + (payload_length <= room ? payload_length : room);
    }
}

static void check_windows(const uint8_t *file, size_t length, uint64_t identity, size_t slack)
{
    struct test_memory memory;
    struct kv_buffer text[2];
    struct kv_record_reader reader[2];
    enum kv_read end[2];
    test_memory_init(&memory, -1);
    for (size_t i = 0; i < 2; i++) {
        kv_buffer_init(&text[i], &memory.memory, TEXT_LENGTH_MAX);
        end[i] =
            log_reading_of(file, length, identity, i == 0 ? SIZE_MAX : slack, &text[i], &reader[i]);
        char line[400];
        if (end[i] != KV_READ_END) {
            kv_record_explain(&reader[i], line, sizeof(line));
        }
    }
    kv_ensure(end[0] == end[1] && reader[0].sequence_next == reader[1].sequence_next);
    kv_ensure(reader[0].hole_offset == reader[1].hole_offset);
    kv_ensure(reader[0].proof_offset == reader[1].proof_offset);
    kv_ensure(text[0].length == text[1].length);
    kv_ensure(text[0].length == 0 || memcmp(text[0].bytes, text[1].bytes, text[0].length) == 0);
    kv_buffer_free(&text[0]);
    kv_buffer_free(&text[1]);
}

static void run_file(const uint8_t *bytes, size_t length, uint32_t mode)
{
    uint8_t *file = malloc(length > 0 ? length : 1);
    kv_ensure(file != NULL);
    memcpy(file, bytes, length);
    if (mode > 1 && length >= KV_LOG_HEADER_LENGTH) {
        repair(file, length);
    }
    uint64_t identity;
    uint32_t version;
    if (kv_log_header_decode(file, length, &identity, &version) == KV_LOG_VALID) {
        check_windows(file, length, identity, mode / 4);
    }
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 18) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        uint8_t *text = malloc(size);
        kv_ensure(text != NULL);
        for (size_t i = 0; i < size; i++) {
            text[i] = data[i] & 0x7f;
        }
        struct decisions decisions = {.bytes = data + 1, .text = text + 1, .length = size - 1};
        run_program(&decisions);
        free(text);
    } else {
        run_file(data + 1, size - 1, data[0]);
    }
    return 0;
}

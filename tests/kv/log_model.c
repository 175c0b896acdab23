/*
 * log_model.c: see log_model.h.
 */
#include "tests/kv/log_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/kv/ensure.h"

#define BYTES_MAX ((size_t)256 * 1024 * 1024)

void log_model_init(struct log_model *model)
{
    uint8_t header[KV_LOG_HEADER_LENGTH];
    *model = (struct log_model){.record_count = 0};
    test_memory_init(&model->memory, -1);
    kv_buffer_init(&model->bytes, &model->memory.memory, BYTES_MAX);
    kv_buffer_init(&model->text, &model->memory.memory, BYTES_MAX);
    kv_log_header_encode(LOG_MODEL_IDENTITY, header);
    kv_buffer_append(&model->bytes, header, sizeof(header));
    model->starts[0] = model->bytes.length;
}

void log_model_free(struct log_model *model)
{
    kv_buffer_free(&model->bytes);
    kv_buffer_free(&model->text);
    kv_ensure(model->memory.blocks == 0);
}

static void write_slice(struct kv_buffer *text, const struct kv_slice *slice)
{
    char head[32];
    int length = snprintf(head, sizeof(head), " %" PRIu32 ":", slice->length);
    kv_buffer_append(text, head, (size_t)length);
    kv_buffer_append(text, slice->bytes, slice->length);
}

static void write_operation(struct kv_buffer *text, const struct kv_operation *operation)
{
    static const char *const names[] = {"?", "SET", "DEL", "FLUSH"};
    kv_ensure(operation->type >= KV_OPERATION_SET && operation->type <= KV_OPERATION_FLUSH);
    kv_buffer_append(text, names[operation->type], strlen(names[operation->type]));
    if (operation->type != KV_OPERATION_FLUSH) {
        write_slice(text, &operation->key);
    }
    if (operation->type == KV_OPERATION_SET) {
        write_slice(text, &operation->value);
    }
    kv_buffer_append(text, "\n", 1);
}

static void write_record(struct kv_buffer *text, uint64_t sequence, uint64_t synced_sequence)
{
    char line[80];
    int length = snprintf(line, sizeof(line), "record %" PRIu64 " synced %" PRIu64 "\n", sequence,
                          synced_sequence);
    kv_buffer_append(text, line, (size_t)length);
}

static void encode_operation(struct kv_record_writer *writer, const struct kv_operation *operation)
{
    switch ((enum kv_operation_type)operation->type) {
    case KV_OPERATION_SET:
        kv_record_set(writer, operation->key, operation->value);
        break;
    case KV_OPERATION_DEL:
        kv_record_del(writer, operation->key);
        break;
    case KV_OPERATION_FLUSH:
        kv_record_flush(writer);
        break;
    }
}

void log_model_add(struct log_model *model, const struct kv_operation *operations, uint32_t count)
{
    kv_ensure(model->record_count < LOG_MODEL_RECORDS_MAX);
    struct kv_record_writer writer;
    uint64_t sequence = model->record_count + 1;
    uint64_t synced_sequence = model->sealed_count;
    write_record(&model->text, sequence, synced_sequence);
    kv_record_begin(&writer, &model->bytes);
    for (uint32_t i = 0; i < count; i++) {
        encode_operation(&writer, &operations[i]);
        write_operation(&model->text, &operations[i]);
    }
    kv_ensure(kv_record_end(&writer) == 0);
    model->synced[model->record_count++] = synced_sequence;
    model->starts[model->record_count] = model->bytes.length;
    model->text_starts[model->record_count] = model->text.length;
}

void log_model_seal(struct log_model *model)
{
    size_t start = model->starts[model->sealed_count];
    struct kv_record_place place = {
        .identity = LOG_MODEL_IDENTITY,
        .sequence = model->sealed_count + 1,
        .synced_sequence = model->sealed_count,
    };
    uint64_t sequence_next =
        kv_records_seal(model->bytes.bytes + start, model->bytes.length - start, &place);
    kv_ensure(sequence_next == model->record_count + 1);
}

void log_model_sync(struct log_model *model)
{
    log_model_seal(model);
    model->sealed_count = model->record_count;
}

static bool is_unchanged(const struct log_model *model, const uint8_t *damaged, size_t length,
                         size_t start, size_t count)
{
    return start + count <= length &&
           memcmp(model->bytes.bytes + start, damaged + start, count) == 0;
}

struct log_verdict log_model_judge(const struct log_model *model, const uint8_t *damaged,
                                   size_t length)
{
    uint32_t intact = 0;
    while (intact < model->record_count &&
           is_unchanged(model, damaged, length, model->starts[intact],
                        model->starts[intact + 1] - model->starts[intact])) {
        intact++;
    }
    struct log_verdict verdict = {.end = KV_READ_TORN, .records = intact};
    if (length == model->starts[intact]) {
        verdict.end = KV_READ_END;
    }
    for (uint32_t i = intact + 1; i < model->record_count; i++) {
        if (model->synced[i] > intact &&
            is_unchanged(model, damaged, length, model->starts[i], KV_RECORD_HEADER_LENGTH)) {
            verdict.end = KV_READ_CORRUPT;
        }
    }
    return verdict;
}

/* A part of the file as a window in an allocation of its own, which is returned. */
static uint8_t *show(const uint8_t *bytes, size_t length, uint64_t offset, size_t count,
                     struct kv_window *ret_window)
{
    size_t start = (size_t)offset;
    size_t shown = count < length - start ? count : length - start;
    uint8_t *copy = malloc(shown > 0 ? shown : 1);
    kv_ensure(copy != NULL);
    memcpy(copy, bytes + start, shown);
    *ret_window = (struct kv_window){
        .bytes = copy,
        .offset = offset,
        .length = shown,
        .reaches_end = start + shown == length,
    };
    return copy;
}

static void write_reading(struct kv_buffer *text, const struct kv_record *record)
{
    size_t position = 0;
    uint32_t count = 0;
    struct kv_operation operation;
    write_record(text, record->sequence, record->synced_sequence);
    while (kv_record_next(record, &position, &operation)) {
        kv_ensure(position <= record->payload_length);
        write_operation(text, &operation);
        count++;
    }
    kv_ensure(count == record->operation_count);
    kv_ensure((count == 0) == (record->type == KV_RECORD_MARK));
}

/* Reads all records of one window; answers what made it stop. */
static enum kv_read read_window(struct kv_record_reader *reader, const struct kv_window *window,
                                struct kv_buffer *text)
{
    for (;;) {
        struct kv_record record;
        uint64_t offset = reader->offset;
        enum kv_read result = kv_record_read(reader, window, &record);
        kv_ensure(reader->offset >= offset);
        kv_ensure(reader->offset <= window->offset + window->length);
        if (result != KV_READ_RECORD) {
            return result;
        }
        kv_ensure(record.sequence == reader->sequence_next - 1);
        kv_ensure(record.synced_sequence < record.sequence);
        write_reading(text, &record);
    }
}

enum kv_read log_reading_of(const uint8_t *bytes, size_t length, uint64_t identity, size_t slack,
                            struct kv_buffer *ret_text, struct kv_record_reader *ret_reader)
{
    struct kv_record_reader reader;
    kv_record_reader_init(&reader, identity);
    size_t wanted = 0;
    enum kv_read result;
    do {
        size_t count = slack > length - wanted ? length : wanted + slack;
        struct kv_window window;
        uint8_t *shown = show(bytes, length, reader.offset, count, &window);
        bool is_last = window.reaches_end;
        result = read_window(&reader, &window, ret_text);
        uint64_t window_end = window.offset + window.length;
        kv_ensure(result != KV_READ_MORE || !is_last);
        kv_ensure(result != KV_READ_MORE || reader.offset + reader.wanted > window_end);
        struct kv_record record;
        kv_ensure(result == KV_READ_MORE || kv_record_read(&reader, &window, &record) == result);
        free(shown);
        wanted = reader.wanted < length ? reader.wanted : length;
    } while (result == KV_READ_MORE);
    *ret_reader = reader;
    return result;
}

/*
 * record.c: encoder and reader of the log in record.h.
 *
 * The reader has two modes. In order: the record at `offset` must be record `sequence_next`, and is
 * returned. In a hole: some record was not there, and everything after it is only searched, byte by
 * byte, for a header that proves that it once was. It never leaves the hole: what follows a hole
 * is not part of the log, however intact.
 *
 * What fails a checksum is a hole (a power loss may leave anything there). What passes it and is
 * still wrong was written wrongly, or by another program: no power loss does that, so it is
 * corruption at once.
 *
 * Numbers are put together byte by byte, so that the file is the same on every machine.
 */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "../common/little_endian.h"
#include "ensure.h"

static const uint8_t LOG_MAGIC[8] = {0x8b, 'K', 'V', 'L', 'O', 'G', '\r', '\n'};
static const uint8_t RECORD_MAGIC[4] = {0xd5, 'k', 'v', 'r'};

enum log_header_field {
    LOG_VERSION_AT = 8,
    LOG_CHECKSUM_AT = 12,
    LOG_IDENTITY_AT = 16,
};

enum record_header_field {
    CHECKSUM_AT = 4,
    PAYLOAD_CHECKSUM_AT = 8,
    PAYLOAD_LENGTH_AT = 12,
    TYPE_AT = 16,
    OPERATION_COUNT_AT = 20,
    IDENTITY_AT = 24,
    SEQUENCE_AT = 32,
    SYNCED_SEQUENCE_AT = 40,
};

/* The checksum of a header, which leaves out the four bytes at `hole`. */
static uint32_t header_checksum(const uint8_t *header, uint32_t hole, uint32_t length)
{
    uLong checksum = crc32(0, header, hole);
    return (uint32_t)crc32(checksum, header + hole + 4, length - hole - 4);
}

static uint32_t log_header_checksum(const uint8_t *header)
{
    return header_checksum(header, LOG_CHECKSUM_AT, KV_LOG_HEADER_LENGTH);
}

static uint32_t record_header_checksum(const uint8_t *header)
{
    return header_checksum(header, CHECKSUM_AT, KV_RECORD_HEADER_LENGTH);
}

void kv_log_header_encode(uint64_t identity, uint8_t ret_bytes[KV_LOG_HEADER_LENGTH])
{
    memcpy(ret_bytes, LOG_MAGIC, sizeof(LOG_MAGIC));
    put_u32(ret_bytes + LOG_VERSION_AT, KV_LOG_VERSION);
    put_u64(ret_bytes + LOG_IDENTITY_AT, identity);
    put_u32(ret_bytes + LOG_CHECKSUM_AT, log_header_checksum(ret_bytes));
}

/* Whether a file no longer than a header can be what a power loss left of one: our magic, or a
 * beginning of it, perhaps none, with zeros behind. */
static bool may_be_unborn(const uint8_t *bytes, size_t length)
{
    size_t same = 0;
    while (same < length && same < sizeof(LOG_MAGIC) && bytes[same] == LOG_MAGIC[same]) {
        same++;
    }
    if (same == sizeof(LOG_MAGIC)) {
        return true;
    }
    while (same < length && bytes[same] == 0) {
        same++;
    }
    return same == length;
}

enum kv_log_header kv_log_header_decode(const uint8_t *bytes, uint64_t file_length,
                                        uint64_t *ret_identity, uint32_t *ret_version)
{
    if (file_length < KV_LOG_HEADER_LENGTH) {
        return may_be_unborn(bytes, (size_t)file_length) ? KV_LOG_UNBORN : KV_LOG_FOREIGN;
    }
    bool is_ours = memcmp(bytes, LOG_MAGIC, sizeof(LOG_MAGIC)) == 0;
    if (!is_ours || get_u32(bytes + LOG_CHECKSUM_AT) != log_header_checksum(bytes)) {
        if (file_length == KV_LOG_HEADER_LENGTH && may_be_unborn(bytes, KV_LOG_HEADER_LENGTH)) {
            return KV_LOG_UNBORN;
        }
        return is_ours ? KV_LOG_DAMAGED : KV_LOG_FOREIGN;
    }
    *ret_version = get_u32(bytes + LOG_VERSION_AT);
    if (*ret_version != KV_LOG_VERSION) {
        return KV_LOG_VERSION_UNKNOWN;
    }
    *ret_identity = get_u64(bytes + LOG_IDENTITY_AT);
    return KV_LOG_VALID;
}

void kv_record_begin(struct kv_record_writer *writer, struct kv_buffer *buffer)
{
    static const uint8_t blank[KV_RECORD_HEADER_LENGTH];
    kv_ensure(!buffer->failed);
    *writer = (struct kv_record_writer){.buffer = buffer, .start = buffer->length};
    kv_buffer_append(buffer, blank, sizeof(blank));
}

static void append_slice(struct kv_buffer *buffer, struct kv_slice slice)
{
    uint8_t length[4];
    put_u32(length, slice.length);
    kv_buffer_append(buffer, length, sizeof(length));
    kv_buffer_append(buffer, slice.bytes, slice.length);
}

static void append_type(struct kv_record_writer *writer, enum kv_operation_type type)
{
    uint8_t byte = (uint8_t)type;
    kv_buffer_append(writer->buffer, &byte, sizeof(byte));
    writer->operation_count++;
}

void kv_record_set(struct kv_record_writer *writer, struct kv_slice key, struct kv_slice value)
{
    append_type(writer, KV_OPERATION_SET);
    append_slice(writer->buffer, key);
    append_slice(writer->buffer, value);
}

void kv_record_del(struct kv_record_writer *writer, struct kv_slice key)
{
    append_type(writer, KV_OPERATION_DEL);
    append_slice(writer->buffer, key);
}

void kv_record_flush(struct kv_record_writer *writer)
{
    append_type(writer, KV_OPERATION_FLUSH);
}

int kv_record_end(struct kv_record_writer *writer)
{
    struct kv_buffer *buffer = writer->buffer;
    size_t payload_length = buffer->length - writer->start - KV_RECORD_HEADER_LENGTH;
    if (buffer->failed || payload_length > KV_RECORD_PAYLOAD_LENGTH_MAX) {
        int result = buffer->failed ? -ENOMEM : -EMSGSIZE;
        kv_record_cancel(writer);
        return result;
    }
    uint8_t *header = buffer->bytes + writer->start;
    uint8_t *payload = header + KV_RECORD_HEADER_LENGTH;
    memcpy(header, RECORD_MAGIC, sizeof(RECORD_MAGIC));
    put_u32(header + PAYLOAD_CHECKSUM_AT, (uint32_t)crc32(0, payload, (uInt)payload_length));
    put_u32(header + PAYLOAD_LENGTH_AT, (uint32_t)payload_length);
    put_u32(header + TYPE_AT, writer->operation_count > 0 ? KV_RECORD_BATCH : KV_RECORD_MARK);
    put_u32(header + OPERATION_COUNT_AT, writer->operation_count);
    return 0;
}

void kv_record_cancel(struct kv_record_writer *writer)
{
    kv_buffer_truncate(writer->buffer, writer->start);
}

uint64_t kv_records_seal(uint8_t *bytes, size_t length, const struct kv_record_place *place)
{
    size_t position = 0;
    uint64_t sequence = place->sequence;
    kv_ensure(place->synced_sequence < sequence);
    while (position < length) {
        uint8_t *header = bytes + position;
        kv_ensure(length - position >= KV_RECORD_HEADER_LENGTH);
        put_u64(header + IDENTITY_AT, place->identity);
        put_u64(header + SEQUENCE_AT, sequence++);
        put_u64(header + SYNCED_SEQUENCE_AT, place->synced_sequence);
        put_u32(header + CHECKSUM_AT, record_header_checksum(header));
        position += KV_RECORD_HEADER_LENGTH + get_u32(header + PAYLOAD_LENGTH_AT);
    }
    kv_ensure(position == length);
    return sequence;
}

static bool decode_slice(const uint8_t *payload, size_t length, size_t *position,
                         struct kv_slice *ret_slice)
{
    if (length - *position < 4) {
        return false;
    }
    uint32_t slice_length = get_u32(payload + *position);
    *position += 4;
    if (length - *position < slice_length) {
        return false;
    }
    *ret_slice = (struct kv_slice){.bytes = payload + *position, .length = slice_length};
    *position += slice_length;
    return true;
}

/* Reads one operation at `*position`, inside the payload. False if it is none. */
static bool decode_operation(const uint8_t *payload, size_t length, size_t *position,
                             struct kv_operation *ret_operation)
{
    if (*position == length) {
        return false;
    }
    struct kv_operation operation = {.type = payload[(*position)++]};
    bool has_key = operation.type == KV_OPERATION_SET || operation.type == KV_OPERATION_DEL;
    if (!has_key && operation.type != KV_OPERATION_FLUSH) {
        return false;
    }
    if (has_key && !decode_slice(payload, length, position, &operation.key)) {
        return false;
    }
    if (operation.type == KV_OPERATION_SET &&
        !decode_slice(payload, length, position, &operation.value)) {
        return false;
    }
    *ret_operation = operation;
    return true;
}

bool kv_record_next(const struct kv_record *record, size_t *position,
                    struct kv_operation *ret_operation)
{
    if (*position == record->payload_length) {
        return false;
    }
    kv_ensure(decode_operation(record->payload, record->payload_length, position, ret_operation));
    return true;
}

static bool payload_is_well_formed(const struct kv_record *record)
{
    size_t position = 0;
    for (uint32_t i = 0; i < record->operation_count; i++) {
        struct kv_operation operation;
        if (!decode_operation(record->payload, record->payload_length, &position, &operation)) {
            return false;
        }
    }
    return position == record->payload_length;
}

void kv_record_reader_init(struct kv_record_reader *reader, uint64_t identity)
{
    *reader = (struct kv_record_reader){
        .identity = identity,
        .offset = KV_LOG_HEADER_LENGTH,
        .sequence_next = 1,
        .batch_offset = KV_LOG_HEADER_LENGTH,
    };
}

/* Whether these bytes are the intact header of a record of this log. */
static bool header_is_intact(const struct kv_record_reader *reader, const uint8_t *header)
{
    return memcmp(header, RECORD_MAGIC, sizeof(RECORD_MAGIC)) == 0 &&
           get_u64(header + IDENTITY_AT) == reader->identity &&
           get_u32(header + CHECKSUM_AT) == record_header_checksum(header);
}

/* What an intact header says that no writer of ours ever said; NULL if nothing. */
static const char *header_fault(const struct kv_record_reader *reader, const uint8_t *header)
{
    uint32_t type = get_u32(header + TYPE_AT);
    bool is_batch = get_u32(header + OPERATION_COUNT_AT) > 0;
    uint64_t synced_sequence = get_u64(header + SYNCED_SEQUENCE_AT);
    if (get_u64(header + SEQUENCE_AT) != reader->sequence_next) {
        return "sequence out of order";
    }
    if (synced_sequence != reader->synced_sequence &&
        synced_sequence != reader->sequence_next - 1) {
        return "synced sequence out of order";
    }
    if (get_u32(header + PAYLOAD_LENGTH_AT) > KV_RECORD_PAYLOAD_LENGTH_MAX) {
        return "payload longer than any record has";
    }
    if (type != (is_batch ? KV_RECORD_BATCH : KV_RECORD_MARK)) {
        return "type unknown, or at odds with the operation count";
    }
    return NULL;
}

static enum kv_read read_more(struct kv_record_reader *reader, size_t wanted)
{
    reader->wanted = wanted;
    return KV_READ_MORE;
}

static enum kv_read corrupt(struct kv_record_reader *reader, const char *damage,
                            const uint8_t *header, uint64_t header_offset)
{
    reader->damage = damage;
    reader->proof_sequence = get_u64(header + SEQUENCE_AT);
    reader->proof_offset = header_offset;
    return KV_READ_CORRUPT;
}

/* Searches on for a header that proves the hole's record durable. */
static enum kv_read search_hole(struct kv_record_reader *reader, const struct kv_window *window)
{
    const uint8_t *at = window->bytes + (reader->offset - window->offset);
    const uint8_t *end = window->bytes + window->length;
    while ((size_t)(end - at) >= KV_RECORD_HEADER_LENGTH) {
        size_t candidates = (size_t)(end - at) - KV_RECORD_HEADER_LENGTH + 1;
        const uint8_t *found = memchr(at, RECORD_MAGIC[0], candidates);
        if (found == NULL) {
            at += candidates;
            break;
        }
        if (header_is_intact(reader, found) &&
            get_u64(found + SYNCED_SEQUENCE_AT) >= reader->sequence_next) {
            uint64_t found_offset = window->offset + (uint64_t)(found - window->bytes);
            return corrupt(reader, reader->damage, found, found_offset);
        }
        at = found + 1;
    }
    reader->offset = window->offset + (uint64_t)(at - window->bytes);
    return window->reaches_end ? KV_READ_TORN : read_more(reader, KV_RECORD_HEADER_LENGTH);
}

static enum kv_read enter_hole(struct kv_record_reader *reader, const struct kv_window *window,
                               const char *damage)
{
    reader->in_hole = true;
    reader->hole_offset = reader->offset;
    reader->damage = damage;
    return search_hole(reader, window);
}

/* Reads the record whose intact header is at `header`, with `available` bytes from there. */
static enum kv_read read_payload(struct kv_record_reader *reader, const struct kv_window *window,
                                 const uint8_t *header, size_t available,
                                 struct kv_record *ret_record)
{
    struct kv_record record = {
        .sequence = get_u64(header + SEQUENCE_AT),
        .synced_sequence = get_u64(header + SYNCED_SEQUENCE_AT),
        .type = get_u32(header + TYPE_AT),
        .operation_count = get_u32(header + OPERATION_COUNT_AT),
        .payload = header + KV_RECORD_HEADER_LENGTH,
        .payload_length = get_u32(header + PAYLOAD_LENGTH_AT),
    };
    size_t length = KV_RECORD_HEADER_LENGTH + record.payload_length;
    if (available < length) {
        return window->reaches_end ? enter_hole(reader, window, "payload cut short")
                                   : read_more(reader, length);
    }
    if (crc32(0, record.payload, record.payload_length) != get_u32(header + PAYLOAD_CHECKSUM_AT)) {
        return enter_hole(reader, window, "wrong payload checksum");
    }
    if (!payload_is_well_formed(&record)) {
        return corrupt(reader, "payload is not the operations it claims", header, reader->offset);
    }
    if (record.synced_sequence != reader->synced_sequence) {
        reader->synced_sequence = record.synced_sequence;
        reader->batch_offset = reader->offset;
    }
    reader->offset += length;
    reader->sequence_next++;
    *ret_record = record;
    return KV_READ_RECORD;
}

enum kv_read kv_record_read(struct kv_record_reader *reader, const struct kv_window *window,
                            struct kv_record *ret_record)
{
    kv_ensure(reader->offset >= window->offset);
    kv_ensure(reader->offset - window->offset <= window->length);
    if (reader->in_hole) {
        return search_hole(reader, window);
    }
    size_t start = (size_t)(reader->offset - window->offset);
    size_t available = window->length - start;
    if (available == 0 && window->reaches_end) {
        return KV_READ_END;
    }
    if (available < KV_RECORD_HEADER_LENGTH) {
        return window->reaches_end ? enter_hole(reader, window, "header cut short")
                                   : read_more(reader, KV_RECORD_HEADER_LENGTH);
    }
    const uint8_t *header = window->bytes + start;
    if (!header_is_intact(reader, header)) {
        return enter_hole(reader, window, "no intact record header");
    }
    const char *fault = header_fault(reader, header);
    if (fault != NULL) {
        return corrupt(reader, fault, header, reader->offset);
    }
    return read_payload(reader, window, header, available, ret_record);
}

void kv_record_explain(const struct kv_record_reader *reader, char *ret_text, size_t text_size)
{
    if (!reader->in_hole) {
        snprintf(ret_text, text_size,
                 "expected record %" PRIu64 " at offset %" PRIu64 ", found record %" PRIu64
                 " with an intact checksum but wrong (%s): not what a power loss leaves",
                 reader->sequence_next, reader->offset, reader->proof_sequence, reader->damage);
    } else if (reader->proof_sequence > 0) {
        snprintf(ret_text, text_size,
                 "record %" PRIu64 " at offset %" PRIu64 " is damaged (%s), and record %" PRIu64
                 " at offset %" PRIu64 " proves that it was durable: acknowledged data is lost",
                 reader->sequence_next, reader->hole_offset, reader->damage, reader->proof_sequence,
                 reader->proof_offset);
    } else {
        snprintf(ret_text, text_size,
                 "the log ends before record %" PRIu64 " at offset %" PRIu64
                 " (%s): the remains of writes that were never acknowledged",
                 reader->sequence_next, reader->hole_offset, reader->damage);
    }
}

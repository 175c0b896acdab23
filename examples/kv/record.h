/*
 * record.h: the bytes of the append-only log, and what a power loss may do to them.
 *
 *      file   = file header (24 bytes), then records without gaps
 *      record = record header (48 bytes), then payload
 *
 *      file header                      record header
 *       0  magic, 8 bytes                0  magic, 4 bytes
 *       8  version                u32    4  header checksum        u32
 *      12  checksum               u32    8  payload checksum       u32
 *      16  identity               u64   12  payload length         u32
 *                                       16  type                   u32
 *      all numbers little-endian;       20  operation count        u32
 *      checksums are zlib's CRC-32      24  identity               u64
 *      over everything in the header    32  sequence               u64
 *      but the checksum itself          40  synced sequence        u64
 *
 * A record is a batch of operations that apply together or not at all (MSET is one record), or a
 * mark without operations. Sequences are 1, 2, 3 … without gaps.
 *
 * The question a log must answer at start is: is what is broken at its end the ordinary remains of
 * a power loss, to be cut off, or is acknowledged data damaged? Cutting off the second silently
 * would lose it; refusing to start on the first would make every power loss a manual repair. The
 * appends since the last fsync may be on disk in any subset, sector by sector, in any order: so
 * record 10 may be zeros while record 11 is intact, and that is ordinary, since neither was
 * acknowledged. Finding a later record is therefore no proof. But every record says which sequence
 * was known durable when it was written (`synced_sequence`), and so:
 *
 *      a hole where record S should be, and after it a header with synced_sequence >= S:
 *      S was durable once, and is damaged now. Corruption.
 *      A hole at S without such a header: a torn tail. It begins where S would.
 *
 * Appends go to the file batch by batch, the next one after the sync of the one before, so all
 * records of a batch say the same: the sequence before the batch's first. The reader holds them to
 * that, and so knows where the last batch begins (`batch_offset`): what lies before it is proven
 * durable, only what lies after it may exist in a page cache alone.
 *
 * A header alone is proof enough, even when its payload is torn, because it has a checksum of its
 * own. That is why there are two checksums, and it makes the search linear: 48 bytes a candidate.
 * What cannot be told from a torn tail is damage to the last batch that was synced, as long as
 * nothing was written after it; closing a log writes a mark, so that a cleanly closed log has no
 * such batch.
 *
 * The identity is drawn at random when the log is created or written anew, and clients never see
 * it. It keeps two things from being taken for records of this log: blocks of an older log that the
 * file system hands out again, and values that clients made to look like records.
 *
 * Sectors are taken to be atomic: a torn append leaves the earlier records in its first sector as
 * they were. Hence no padding of records to sectors.
 */
#ifndef KV_RECORD_H
#define KV_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

#define KV_LOG_VERSION 1
#define KV_LOG_HEADER_LENGTH ((size_t)24)
#define KV_RECORD_HEADER_LENGTH ((size_t)48)

/* Above any command that the protocol limits of a server may let in. */
#define KV_RECORD_PAYLOAD_LENGTH_MAX ((uint32_t)64 * 1024 * 1024)

/* What an operation adds to a payload besides its key and value, at most. */
#define KV_OPERATION_OVERHEAD ((size_t)9)

enum kv_record_type {
    KV_RECORD_BATCH = 1, /* one operation or more, applied together */
    KV_RECORD_MARK = 2,  /* none: it carries `synced_sequence`, nothing else */
};

enum kv_operation_type {
    KV_OPERATION_SET = 1,   /* key, value */
    KV_OPERATION_DEL = 2,   /* key */
    KV_OPERATION_FLUSH = 3, /* all keys go */
};

struct kv_operation {
    uint32_t type;
    struct kv_slice key;
    struct kv_slice value;
};

struct kv_record {
    uint64_t sequence;
    uint64_t synced_sequence;
    uint32_t type;
    uint32_t operation_count;
    const uint8_t *payload;
    uint32_t payload_length;
};

/* What the first bytes of a file say. */
enum kv_log_header {
    KV_LOG_VALID,
    KV_LOG_UNBORN,  /* its creation never became durable: nothing is in it, begin anew */
    KV_LOG_FOREIGN, /* somebody else's file */
    KV_LOG_VERSION_UNKNOWN,
    KV_LOG_DAMAGED, /* ours, with a broken header */
};

void kv_log_header_encode(uint64_t identity, uint8_t ret_bytes[KV_LOG_HEADER_LENGTH]);

/* `bytes`: the first of the file, KV_LOG_HEADER_LENGTH of them or all there are in a file of
 * `file_length` bytes. `*ret_identity` is set when the answer is KV_LOG_VALID, and
 * `*ret_version` then and for KV_LOG_VERSION_UNKNOWN. A file is UNBORN only when it holds nothing
 * beyond a header that failed to become durable: records are not written before the header is. */
enum kv_log_header kv_log_header_decode(const uint8_t *bytes, uint64_t file_length,
                                        uint64_t *ret_identity, uint32_t *ret_version);

/* A record being written at the end of a buffer. */
struct kv_record_writer {
    struct kv_buffer *buffer;
    size_t start;
    uint32_t operation_count;
};

/* Writing: begin, add operations (none for a mark), end. Keys and values are copied. When the
 * record does not fit in the buffer, or its payload exceeds KV_RECORD_PAYLOAD_LENGTH_MAX, end
 * answers -ENOMEM or -EMSGSIZE and leaves the buffer as it was before begin; so does cancel, in
 * place of end. A record is not valid before kv_records_seal. */
void kv_record_begin(struct kv_record_writer *writer, struct kv_buffer *buffer);
void kv_record_set(struct kv_record_writer *writer, struct kv_slice key, struct kv_slice value);
void kv_record_del(struct kv_record_writer *writer, struct kv_slice key);
void kv_record_flush(struct kv_record_writer *writer);
int kv_record_end(struct kv_record_writer *writer);
void kv_record_cancel(struct kv_record_writer *writer);

/* Where in which log records go. */
struct kv_record_place {
    uint64_t identity;        /* of the log */
    uint64_t sequence;        /* of the first of them */
    uint64_t synced_sequence; /* known durable by now; in one batch all records say the same */
};

/* Gives the whole records in `bytes` their place, just before they are written to the file: earlier
 * nobody knows `synced_sequence`. They may have had a place in another log, or none. Returns the
 * sequence after the last of them. */
uint64_t kv_records_seal(uint8_t *bytes, size_t length, const struct kv_record_place *place);

/* The operations of a record, one after the other: `*position` begins at 0. False: no more.
 * The record must be one that kv_record_read found. */
bool kv_record_next(const struct kv_record *record, size_t *position,
                    struct kv_operation *ret_operation);

/* What the reader found. */
enum kv_read {
    KV_READ_MORE,    /* the window does not reach far enough: see `wanted` */
    KV_READ_RECORD,  /* the next record */
    KV_READ_END,     /* the file ends where a record does */
    KV_READ_TORN,    /* the log ends at `hole_offset`; the rest is what a power loss left */
    KV_READ_CORRUPT, /* acknowledged data is damaged, or was written wrongly: see the explanation */
};

/* A part of the log file in memory. `bytes` is not NULL, even when `length` is 0. */
struct kv_window {
    const uint8_t *bytes;
    uint64_t offset; /* of the first byte, in the file */
    size_t length;
    bool reaches_end; /* the file has no byte after it */
};

/* Reads a log's records in order. All members are for readers, none for writers. */
struct kv_record_reader {
    uint64_t identity;
    uint64_t offset;          /* the next byte to read, in the file */
    uint64_t sequence_next;   /* the last record read has the one before; 0 was none */
    uint64_t synced_sequence; /* what that record says */
    uint64_t batch_offset;    /* where the first record that says so begins */
    size_t wanted;      /* after KV_READ_MORE: bytes to have from `offset`, unless at the end */
    const char *damage; /* what is wrong with the hole, or with the record that ends it all */
    bool in_hole;
    uint64_t hole_offset; /* where record `sequence_next` should be, and is not */
    uint64_t proof_offset;
    uint64_t proof_sequence; /* after KV_READ_CORRUPT: the record that proves it */
};

/* Begins at the first record of the log with that identity. */
void kv_record_reader_init(struct kv_record_reader *reader, uint64_t identity);

/* Finds the next record. The window must hold the byte at `reader->offset`, or end there. After
 * KV_READ_MORE show a window with `wanted` bytes from `reader->offset` on (as many as there are, if
 * the file ends before): never more than a record of the largest size. `*ret_record` is set after
 * KV_READ_RECORD and points into the window. After END, TORN or CORRUPT the answer stays. */
enum kv_read kv_record_read(struct kv_record_reader *reader, const struct kv_window *window,
                            struct kv_record *ret_record);

/* Writes what a TORN or CORRUPT is about, as one line without an end, to `ret_text`. */
void kv_record_explain(const struct kv_record_reader *reader, char *ret_text, size_t text_size);

#endif

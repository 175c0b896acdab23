/*
 * log_recovery.c: opening the log, reading it, and putting it right.
 *
 *      open directory, open file --none--> create it --------------------------+
 *                |                                                             |
 *                v                                                             v
 *        read the header --unborn--> write a header --> sync file, leftovers, directory --> ready
 *                | valid                                                ^
 *                v                                                      |
 *        read all records --torn--> cut off the tail --> rewrite the last batch
 *                | corrupt, foreign
 *                v
 *        report, fail: the file is left as it is
 *
 * The file is judged as a whole before a byte of it is changed. The last batch is rewritten even if
 * it reads well, because it may be in the page cache alone: a process whose sync failed has left it
 * there, marked clean, and no sync would write it again. Everything before it is proven durable by
 * the batch itself (record.h). For the same reason it is compared with what was judged: a clean
 * page may be given up between the two reads, and the second one shows what the disk has.
 *
 * The directory is synced at every start, not only after the file was made: the process that made
 * it may have ended just before.
 *
 * What a compaction left that came to no end, a file with a name of its own, is removed. The log is
 * complete without it: the rename that ends a compaction is all or nothing.
 *
 * A repair after a failed write cuts the file back to what is durable and reads it from there on,
 * without a rewrite: no sync has failed in this process.
 *
 * Every step ends in a callback that does the next one. -ECANCELED: see log.c.
 */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "ensure.h"

/* Read and rewritten at a time, unless a record is larger. */
#define CHUNK_LENGTH ((size_t)64 * 1024)

#define LOG_MODE 0644u
#define EXPLANATION_SIZE 512

static const char hint_disk[] = "see to the file and its disk, then start again";

static void become_ready(struct kv_log *log)
{
    kv_buffer_free(&log->window);
    if (log->phase == KV_LOG_REPAIRING) {
        kv_log__repaired(log);
        return;
    }
    log->phase = KV_LOG_READY;
    log->events->ready(log->context);
}

/* Whether the step is over: it failed (then so has the log), or the loop is being drained. */
static bool is_over(struct kv_log *log, int64_t result, const char *doing)
{
    if (result < 0 && result != -ECANCELED) {
        kv_log__fail(log, result, doing, hint_disk);
    }
    return result < 0;
}

/* ---- making it durable ----------------------------------------------------------------------- */

static void on_directory_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (!is_over(log, result, "make durable the name of")) {
        become_ready(log);
    }
}

static void on_leftover_removed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (result == -ECANCELED) {
        return;
    }
    if (result < 0 && result != -ENOENT) {
        kv_log__report(log, "cannot remove %s/%s: %s; it is not needed, and only takes room",
                       log->directory_path, KV_LOG_NEW_NAME, strerror((int)-result));
    }
    orr_fsync(log->loop, completion, log->directory, on_directory_synced, log);
}

static void on_file_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (!is_over(log, result, "make durable")) {
        orr_unlink(log->loop, completion, log->directory, KV_LOG_NEW_NAME, ORR_UNLINK_FILE,
                   on_leftover_removed, log);
    }
}

static void sync_file(struct kv_log *log)
{
    orr_fsync(log->loop, &log->completion, log->file, on_file_synced, log);
}

/* ---- a new log ------------------------------------------------------------------------------- */

static void on_header_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (!is_over(log, result, "write the header of")) {
        log->length_durable = KV_LOG_HEADER_LENGTH;
        sync_file(log);
    }
}

static void on_emptied(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (is_over(log, result, "empty")) {
        return;
    }
    orr_random(log->loop, &log->identity, sizeof(log->identity));
    kv_log_header_encode(log->identity, log->header);
    orr_write_all(log->loop, completion, log->file, log->header, sizeof(log->header), 0,
                  on_header_written, log);
}

/* ---- rewriting the last batch ---------------------------------------------------------------- */

static void rewrite_chunk(struct kv_log *log);

static void on_chunk_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (!is_over(log, result, "rewrite")) {
        log->rewrite_offset += (uint64_t)result;
        rewrite_chunk(log);
    }
}

static void on_chunk_read(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (is_over(log, result == 0 ? -EIO : result, "read again")) {
        return;
    }
    log->rewrite_checksum = (uint32_t)crc32(log->rewrite_checksum, log->window.bytes, (uInt)result);
    orr_write_all(log->loop, completion, log->file, log->window.bytes, (size_t)result,
                  log->rewrite_offset, on_chunk_written, log);
}

static void finish_rewriting(struct kv_log *log)
{
    if (log->rewrite_checksum == log->batch_checksum) {
        sync_file(log);
        return;
    }
    kv_log__report(
        log,
        "%s/%s: its last bytes change from one read to the next: an earlier sync has "
        "failed, and they are not on the disk; nothing acknowledged is lost; start again",
        log->directory_path, KV_LOG_NAME);
    kv_log__end_failed(log);
}

static void rewrite_chunk(struct kv_log *log)
{
    uint64_t left = log->length_durable - log->rewrite_offset;
    size_t count = left < CHUNK_LENGTH ? (size_t)left : CHUNK_LENGTH;
    if (count == 0) {
        finish_rewriting(log);
        return;
    }
    kv_buffer_truncate(&log->window, 0);
    if (!kv_buffer_reserve(&log->window, count)) {
        kv_log__fail(log, -ENOMEM, "rewrite", "it needs memory for a chunk of the file");
        return;
    }
    orr_read_exact(log->loop, &log->completion, log->file, log->window.bytes, count,
                   log->rewrite_offset, on_chunk_read, log);
}

/* The header's own durability is proven by any record. */
static void rewrite(struct kv_log *log)
{
    bool is_first_batch = log->reader.batch_offset == KV_LOG_HEADER_LENGTH;
    log->rewrite_offset = is_first_batch ? 0 : log->reader.batch_offset;
    log->rewrite_checksum = 0;
    rewrite_chunk(log);
}

static void on_tail_cut(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (!is_over(log, result, "cut off the torn tail of")) {
        rewrite(log);
    }
}

/* ---- reading the records --------------------------------------------------------------------- */

static void report_explanation(struct kv_log *log, const char *format)
{
    char explanation[EXPLANATION_SIZE];
    kv_record_explain(&log->reader, explanation, sizeof(explanation));
    kv_log__report(log, "%s/%s: %s%s", log->directory_path, KV_LOG_NAME, explanation, format);
}

static void put_right(struct kv_log *log, bool is_torn)
{
    if ((log->bugs & KV_BUG_IGNORE_TORN_TAIL) != 0) {
        log->length_durable = log->file_length;
        become_ready(log);
        return;
    }
    log->length_durable = is_torn ? log->reader.hole_offset : log->reader.offset;
    if (!is_torn) {
        rewrite(log);
        return;
    }
    report_explanation(log, "; they are cut off");
    orr_truncate(log->loop, &log->completion, log->file, log->length_durable, on_tail_cut, log);
}

/* All records are read; `end` says how the file ends. */
static void finish_reading(struct kv_log *log, enum kv_read end)
{
    uint64_t sequence = log->reader.sequence_next - 1;
    if (log->phase == KV_LOG_REPAIRING) {
        uint64_t expected = log->sequence_durable - log->sequence_base;
        if (end != KV_READ_END || sequence != expected) {
            kv_log__report(log,
                           "%s/%s: expected to end with record %" PRIu64 ", but its end is %" PRIu64
                           ": somebody else writes to it; stop the other writer, then start again",
                           log->directory_path, KV_LOG_NAME, expected, sequence);
            kv_log__end_failed(log);
            return;
        }
        become_ready(log);
        return;
    }
    if (end == KV_READ_CORRUPT) {
        report_explanation(log, "; the file is left as it is: restore it from a copy, or move it "
                                "away to begin with no data");
        kv_log__end_failed(log);
        return;
    }
    log->sequence_appended = sequence;
    log->sequence_writing = sequence;
    log->sequence_durable = sequence;
    put_right(log, end == KV_READ_TORN);
}

static int apply_record(struct kv_log *log, const struct kv_record *record)
{
    size_t position = 0;
    struct kv_operation operation;
    while (kv_record_next(record, &position, &operation)) {
        int result = log->events->apply(log->context, &operation);
        if (result < 0) {
            return result;
        }
    }
    log->needs_no_mark = record->type == KV_RECORD_MARK;
    return 0;
}

/* Of the last batch so far; before the first record that is the header. */
static void note_checksum(struct kv_log *log, const struct kv_record *record)
{
    size_t length = KV_RECORD_HEADER_LENGTH + record->payload_length;
    uint64_t offset = log->reader.offset - length;
    if (offset == log->reader.batch_offset && offset > KV_LOG_HEADER_LENGTH) {
        log->batch_checksum = 0;
    }
    log->batch_checksum = (uint32_t)crc32(log->batch_checksum,
                                          record->payload - KV_RECORD_HEADER_LENGTH, (uInt)length);
}

static void read_chunk(struct kv_log *log);

/* Takes the records out of the window. */
static void digest(struct kv_log *log)
{
    struct kv_window window = {
        .bytes = log->window.bytes,
        .offset = log->window_offset,
        .length = log->window.length,
        .reaches_end = log->window_offset + log->window.length == log->file_length,
    };
    struct kv_record record;
    enum kv_read result;
    while ((result = kv_record_read(&log->reader, &window, &record)) == KV_READ_RECORD) {
        note_checksum(log, &record);
        int applied = apply_record(log, &record);
        if (applied < 0) {
            kv_log__fail(log, applied, "hold the data of", "the machine has too little memory");
            return;
        }
    }
    if (result == KV_READ_MORE) {
        kv_buffer_consume(&log->window, (size_t)(log->reader.offset - log->window_offset));
        log->window_offset = log->reader.offset;
        read_chunk(log);
    } else {
        finish_reading(log, result);
    }
}

static void on_records_read(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (is_over(log, result == 0 ? -EIO : result, "read")) {
        return;
    }
    log->window.length += (size_t)result;
    digest(log);
}

static void read_chunk(struct kv_log *log)
{
    uint64_t position = log->window_offset + log->window.length;
    uint64_t left = log->file_length - position;
    size_t count = CHUNK_LENGTH;
    if (log->reader.wanted > log->window.length + count) {
        count = log->reader.wanted - log->window.length;
    }
    count = left < count ? (size_t)left : count;
    if (!kv_buffer_reserve(&log->window, count)) {
        kv_log__fail(log, -ENOMEM, "read", "it needs memory for its largest record");
        return;
    }
    orr_read(log->loop, &log->completion, log->file, log->window.bytes + log->window.length, count,
             position, on_records_read, log);
}

static void read_records(struct kv_log *log)
{
    kv_record_reader_init(&log->reader, log->identity);
    log->batch_checksum = (uint32_t)crc32(0, log->header, KV_LOG_HEADER_LENGTH);
    log->window_offset = log->reader.offset;
    kv_buffer_truncate(&log->window, 0);
    if (!kv_buffer_reserve(&log->window, CHUNK_LENGTH)) {
        kv_log__fail(log, -ENOMEM, "read", "it needs memory for a chunk of the file");
        return;
    }
    digest(log);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void refuse(struct kv_log *log, const char *why)
{
    kv_log__report(log, "%s/%s: %s; the file is left as it is", log->directory_path, KV_LOG_NAME,
                   why);
    kv_log__end_failed(log);
}

static void judge_header(struct kv_log *log)
{
    uint32_t version;
    switch (kv_log_header_decode(log->header, log->file_length, &log->identity, &version)) {
    case KV_LOG_VALID:
        read_records(log);
        break;
    case KV_LOG_UNBORN:
        orr_truncate(log->loop, &log->completion, log->file, 0, on_emptied, log);
        break;
    case KV_LOG_FOREIGN:
        refuse(log, "not a log of this server: move it away, or name another directory");
        break;
    case KV_LOG_VERSION_UNKNOWN:
        refuse(log, "a log of a newer version: start the server that wrote it");
        break;
    case KV_LOG_DAMAGED:
        refuse(log, "its header is damaged (wrong checksum): restore it from a copy");
        break;
    }
}

static void on_header_read(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (!is_over(log, result == 0 ? -EIO : result, "read")) {
        judge_header(log);
    }
}

static void on_stat(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (is_over(log, result, "look at")) {
        return;
    }
    if (log->status.type != ORR_FILE_REGULAR) {
        refuse(log, "not a regular file: name another directory");
        return;
    }
    log->file_length = log->status.size;
    size_t count =
        log->file_length < KV_LOG_HEADER_LENGTH ? (size_t)log->file_length : KV_LOG_HEADER_LENGTH;
    if (count == 0) {
        judge_header(log);
        return;
    }
    orr_read_exact(log->loop, completion, log->file, log->header, count, 0, on_header_read, log);
}

static void on_file_open(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (result == -ENOENT) {
        orr_open(log->loop, completion, log->directory, KV_LOG_NAME,
                 ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_EXCLUSIVE, LOG_MODE,
                 on_file_open, log);
        return;
    }
    if (is_over(log, result, "open")) {
        return;
    }
    log->file = result;
    orr_stat(log->loop, completion, log->file, NULL, &log->status, on_stat, log);
}

static void on_directory_open(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (result < 0 && result != -ECANCELED) {
        kv_log__report(log, "cannot open the directory %s: %s; make it, or name another one",
                       log->directory_path, strerror((int)-result));
        kv_log__end_failed(log);
    }
    if (result < 0) {
        return;
    }
    log->directory = result;
    orr_open(log->loop, completion, log->directory, KV_LOG_NAME, ORR_OPEN_READ | ORR_OPEN_WRITE, 0,
             on_file_open, log);
}

void kv_log_open(struct kv_log *log)
{
    log->phase = KV_LOG_RECOVERING;
    orr_open(log->loop, &log->completion, ORR_DIRECTORY_CURRENT, log->directory_path,
             ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0, on_directory_open, log);
}

/* ---- repair ---------------------------------------------------------------------------------- */

static void on_repair_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (!is_over(log, result, "make durable")) {
        log->events->reset(log->context);
        log->file_length = log->length_durable;
        read_records(log);
    }
}

static void on_repair_cut(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (!is_over(log, result, "cut off the failed write of")) {
        orr_fdatasync(log->loop, completion, log->file, on_repair_synced, log);
    }
}

void kv_log__repair(struct kv_log *log)
{
    orr_truncate(log->loop, &log->completion, log->file, log->length_durable, on_repair_cut, log);
}

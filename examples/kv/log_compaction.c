/*
 * log_compaction.c: writing the log anew, with nothing in it but the live data, while it is in use.
 *
 *      old log   a batch  a batch  a batch  a batch | (held)              | a batch ...
 *                  |         |        |        |    |                     | into the new file
 *      new file  keys      keys+    keys+    keys+  | the rest, or a mark |
 *                        a batch  a batch  a batch  |                     |
 *                                               sync               sync, rename, sync directory
 *      step      WRITING ..................... WAITING  FINISHING  RENAMING  RENAMED
 *
 * The new file is a log like any other, with an identity and sequences of its own. Live keys go
 * into it some at a time, with the values of that moment, and so do the batches that have become
 * durable in the old log since the beginning, in their order. Every write is absolute (INCR is
 * logged as the SET it amounts to), so a key that changed before it was taken is changed to the
 * same again, and one that changed after is changed then: when all batches are in it that were
 * appended by the time the last keys were taken, the new file says what the old log says.
 *
 * Then no batch begins (writes gather, reads go on) until the log is the new file. All that is in
 * the old log is in the new file too by then, so whichever of the two has the name after a crash,
 * nothing acknowledged is missing. That standstill is short because what was written before it is
 * durable already. The rest makes a batch of its own, a mark if there is no rest: it proves the
 * first one durable (record.h), so that recovery does not write the whole file again.
 *
 * Why not write each batch to both files instead, and never stand still? Then either of the two
 * writes and either of the two syncs could fail by itself, and a batch would be durable in three
 * ways.
 *
 * When something fails:
 *   - Before the rename: the new file is dropped, and the old log stays in force. So it is after a
 *     failed sync too: the file is never synced again, the next one is another file. The next one
 *     is tried when the log has grown by a quarter, so that the work is in proportion.
 *   - The rename: likewise, but the new file's name must still be there to be removed. If it is
 *     not, the rename has happened after all, and the log fails.
 *   - The directory's sync: which of the files has the name after a power loss nobody can tell, and
 *     what is written to one of them is missing in the other. The log fails.
 * What a crash leaves under the new file's name is removed at the next start (log_recovery.c).
 *
 * One operation is in flight at most (compaction->completion), beside that of the log. -ECANCELED,
 * and any end after the log has failed: see log.c.
 */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ensure.h"

#define LOG_MODE 0644u

/* How much live data goes into one chunk: a part of it all, so that small data, too, takes several
 * (as in tests), but never so much that a callback takes long. */
#define CHUNKS_LEAST 16u
static const uint64_t CHUNK_LENGTH_MAX = UINT64_C(64) * 1024;

/* A batch or two that become durable while a chunk is written; the second term is for one record
 * of the largest size in each. */
static const size_t BUFFER_LENGTH_MAX =
    4 * (KV_LOG_PENDING_SOFT_MAX + KV_RECORD_HEADER_LENGTH + KV_RECORD_PAYLOAD_LENGTH_MAX);

void kv_compaction_init(struct kv_log *log, const struct kv_memory *memory)
{
    struct kv_compaction *compaction = &log->compaction;
    *compaction = (struct kv_compaction){.step = KV_COMPACTION_IDLE, .file = ORR_HANDLE_NONE};
    kv_buffer_init(&compaction->delta, memory, BUFFER_LENGTH_MAX);
    kv_buffer_init(&compaction->chunk, memory, BUFFER_LENGTH_MAX);
}

void kv_compaction_free(struct kv_log *log)
{
    kv_ensure(!orr_in_flight(&log->compaction.completion));
    kv_buffer_free(&log->compaction.delta);
    kv_buffer_free(&log->compaction.chunk);
}

bool kv_compaction_holds(const struct kv_log *log)
{
    return log->compaction.step >= KV_COMPACTION_FINISHING;
}

/* Whether there is nothing to do after an operation, because the log is no more. */
static bool is_over(const struct kv_log *log, int64_t result)
{
    return result == -ECANCELED || log->phase == KV_LOG_ENDED;
}

/* The next step is none: the log may have waited for that. */
static void rest(struct kv_log *log)
{
    log->compaction.step = KV_COMPACTION_IDLE;
    log->compaction.is_dropped = false;
    kv_log__go_on(log);
}

/* ---- giving up ------------------------------------------------------------------------------- */

static void on_new_file_removed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    struct kv_compaction *compaction = &log->compaction;
    (void)completion;
    if (is_over(log, result)) {
        return;
    }
    if (result < 0 && compaction->was_renaming) { /* it may have been done all the same */
        kv_log__fail(log, compaction->error, "tell which file has the name of",
                     "a rename failed, and the new file's name is gone or cannot be removed: see "
                     "to the disk, then start again");
        return;
    }
    if (result < 0 && result != -ENOENT) {
        kv_log__report(log, "cannot remove %s/%s: %s; it is not needed, and only takes room",
                       log->directory_path, KV_LOG_NEW_NAME, strerror((int)-result));
    }
    rest(log);
}

static void remove_new_file(struct kv_log *log)
{
    orr_unlink(log->loop, &log->compaction.completion, log->directory, KV_LOG_NEW_NAME,
               ORR_UNLINK_FILE, on_new_file_removed, log);
}

static void on_new_file_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (!is_over(log, result)) {
        remove_new_file(log);
    }
}

static void drop(struct kv_log *log)
{
    struct kv_compaction *compaction = &log->compaction;
    compaction->was_renaming = compaction->step == KV_COMPACTION_RENAMING;
    compaction->step = KV_COMPACTION_DROPPING;
    compaction->retry_length = log->length_durable + log->length_durable / 4;
    kv_buffer_free(&compaction->delta);
    kv_buffer_free(&compaction->chunk);
    if (compaction->file == ORR_HANDLE_NONE) {
        remove_new_file(log);
        return;
    }
    orr_close(log->loop, &compaction->completion, compaction->file, on_new_file_closed, log);
    compaction->file = ORR_HANDLE_NONE;
}

static void fail(struct kv_log *log, int64_t result, const char *doing)
{
    log->compaction.error = result;
    kv_log__report(log,
                   "cannot %s %s/%s: %s; the log is not written anew for now and stays as it is, "
                   "nothing is lost",
                   doing, log->directory_path, KV_LOG_NEW_NAME, strerror((int)-result));
    drop(log);
}

void kv_compaction_give_up(struct kv_log *log)
{
    struct kv_compaction *compaction = &log->compaction;
    bool is_early = compaction->step >= KV_COMPACTION_WRITING &&
                    compaction->step <= KV_COMPACTION_FINISHING && !compaction->is_dropped;
    if (!is_early) {
        return;
    }
    compaction->is_dropped = true;
    if (compaction->step == KV_COMPACTION_WAITING) {
        drop(log);
    }
}

/* After an operation: whether the step goes on. If not, all that follows is under way. */
static bool goes_on(struct kv_log *log, int64_t result, const char *doing)
{
    if (is_over(log, result)) {
        return false;
    }
    if (log->compaction.is_dropped) {
        drop(log);
        return false;
    }
    if (result < 0) {
        fail(log, result, doing);
    }
    return result >= 0;
}

/* ---- the new file takes over ----------------------------------------------------------------- */

static void on_old_file_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (!is_over(log, result)) {
        rest(log);
    }
}

static void take_over(struct kv_log *log)
{
    struct kv_compaction *compaction = &log->compaction;
    orr_handle old_file = log->file;
    kv_log__report(log, "%s/%s is written anew: it had %" PRIu64 " bytes, now it has %" PRIu64,
                   log->directory_path, KV_LOG_NAME, log->length_durable, compaction->length);
    log->file = compaction->file;
    log->identity = compaction->identity;
    log->length_durable = compaction->length;
    log->sequence_base = log->sequence_durable - (compaction->sequence_next - 1);
    compaction->file = ORR_HANDLE_NONE;
    compaction->base_length = compaction->length;
    compaction->retry_length = 0;
    compaction->error = 0;
    compaction->count++;
    compaction->step = KV_COMPACTION_LEAVING;
    kv_buffer_free(&compaction->delta);
    kv_buffer_free(&compaction->chunk);
    orr_close(log->loop, &compaction->completion, old_file, on_old_file_closed, log);
    kv_log__go_on(log);
}

static void on_directory_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (is_over(log, result)) {
        return;
    }
    if (result < 0) {
        kv_log__fail(log, result, "make durable the name of",
                     "after a power loss the old log could be back: see to the disk, then start "
                     "again");
        return;
    }
    take_over(log);
}

static void on_synced_late(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (!is_over(log, result)) {
        orr_fsync(log->loop, completion, log->directory, on_directory_synced, log);
    }
}

static void on_renamed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (is_over(log, result)) {
        return;
    }
    if (result < 0) {
        fail(log, result, "rename");
        return;
    }
    log->compaction.step = KV_COMPACTION_RENAMED;
    if ((log->bugs & KV_BUG_RENAME_BEFORE_FSYNC) != 0) {
        orr_fsync(log->loop, completion, log->compaction.file, on_synced_late, log);
        return;
    }
    orr_fsync(log->loop, completion, log->directory, on_directory_synced, log);
}

static void rename_file(struct kv_log *log)
{
    log->compaction.step = KV_COMPACTION_RENAMING;
    orr_rename(log->loop, &log->compaction.completion, log->directory, KV_LOG_NEW_NAME, KV_LOG_NAME,
               on_renamed, log);
}

/* ---- syncing --------------------------------------------------------------------------------- */

static void on_new_file_synced(void *context, struct orr_completion *completion, int64_t result);

static void sync_file(struct kv_log *log)
{
    if ((log->bugs & KV_BUG_RENAME_BEFORE_FSYNC) != 0) {
        on_new_file_synced(log, &log->compaction.completion, 0);
        return;
    }
    orr_fsync(log->loop, &log->compaction.completion, log->compaction.file, on_new_file_synced,
              log);
}

static void on_new_file_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    struct kv_compaction *compaction = &log->compaction;
    (void)completion;
    if (result == -EIO && (log->bugs & KV_BUG_FSYNC_RETRY) != 0) {
        sync_file(log);
        return;
    }
    if (!goes_on(log, result, "make durable")) {
        return;
    }
    if (compaction->step == KV_COMPACTION_FINISHING) {
        rename_file(log);
        return;
    }
    compaction->synced_sequence = compaction->sequence_next - 1;
    compaction->step = KV_COMPACTION_WAITING;
    kv_log__go_on(log);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void next_chunk(struct kv_log *log);

static void on_chunk_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    struct kv_compaction *compaction = &log->compaction;
    (void)completion;
    if (!goes_on(log, result, "write")) {
        return;
    }
    kv_ensure((uint64_t)result == compaction->chunk.length);
    compaction->length += compaction->chunk.length;
    kv_buffer_truncate(&compaction->chunk, 0);
    if (compaction->has_snapshot) {
        sync_file(log);
    } else {
        next_chunk(log);
    }
}

/* Writes the chunk; its first `records_at` bytes are no records. */
static void write_chunk(struct kv_log *log, size_t records_at)
{
    struct kv_compaction *compaction = &log->compaction;
    struct kv_buffer *chunk = &compaction->chunk;
    if (chunk->failed) {
        fail(log, -ENOMEM, "write");
        return;
    }
    struct kv_record_place place = {
        .identity = compaction->identity,
        .sequence = compaction->sequence_next,
        .synced_sequence = compaction->synced_sequence,
    };
    compaction->sequence_next =
        kv_records_seal(chunk->bytes + records_at, chunk->length - records_at, &place);
    orr_write_all(log->loop, &compaction->completion, compaction->file, chunk->bytes, chunk->length,
                  compaction->length, on_chunk_written, log);
}

static void append_delta(struct kv_compaction *compaction)
{
    kv_buffer_append(&compaction->chunk, compaction->delta.bytes, compaction->delta.length);
    compaction->chunk.failed |= compaction->delta.failed;
    kv_buffer_truncate(&compaction->delta, 0);
}

/* Appends a record of live keys, unless none is left. */
static void append_snapshot(struct kv_log *log)
{
    struct kv_compaction *compaction = &log->compaction;
    uint64_t length = log->events->live_length(log->context) / CHUNKS_LEAST;
    struct kv_record_writer writer;
    kv_record_begin(&writer, &compaction->chunk);
    compaction->has_snapshot = !log->events->snapshot(
        log->context, &writer, length < CHUNK_LENGTH_MAX ? length : CHUNK_LENGTH_MAX);
    compaction->sequence_snapshot = log->sequence_appended;
    if (writer.operation_count == 0) {
        kv_record_cancel(&writer);
    } else if (kv_record_end(&writer) < 0) {
        compaction->chunk.failed = true;
    }
}

static void next_chunk(struct kv_log *log)
{
    struct kv_compaction *compaction = &log->compaction;
    size_t records_at = 0;
    if (compaction->length == 0) {
        uint8_t header[KV_LOG_HEADER_LENGTH];
        kv_log_header_encode(compaction->identity, header);
        kv_buffer_append(&compaction->chunk, header, sizeof(header));
        records_at = sizeof(header);
    }
    append_delta(compaction);
    if (!compaction->chunk.failed) {
        append_snapshot(log);
    }
    write_chunk(log, records_at);
}

bool kv_compaction_can_finish(const struct kv_log *log)
{
    return log->compaction.step == KV_COMPACTION_WAITING && log->phase == KV_LOG_READY &&
           !log->is_committing && log->sequence_durable >= log->compaction.sequence_snapshot;
}

void kv_compaction_finish(struct kv_log *log)
{
    struct kv_compaction *compaction = &log->compaction;
    kv_ensure(!log->is_committing && log->sequence_durable >= compaction->sequence_snapshot);
    compaction->step = KV_COMPACTION_FINISHING;
    append_delta(compaction);
    if (compaction->chunk.length == 0 && !compaction->chunk.failed) {
        struct kv_record_writer mark;
        kv_record_begin(&mark, &compaction->chunk);
        compaction->chunk.failed = kv_record_end(&mark) < 0;
    }
    write_chunk(log, 0);
}

void kv_compaction_take_batch(struct kv_log *log)
{
    uint32_t step = log->compaction.step;
    bool is_missing = step == KV_COMPACTION_WRITING || step == KV_COMPACTION_WAITING;
    if (is_missing && (log->bugs & KV_BUG_LOG_GAP) == 0) {
        kv_buffer_append(&log->compaction.delta, log->writing.bytes, log->writing.length);
    }
}

/* ---- beginning ------------------------------------------------------------------------------- */

static void on_new_file_open(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (result >= 0) {
        log->compaction.file = result;
    }
    if (goes_on(log, result, "make")) {
        next_chunk(log);
    }
}

static void on_leftover_removed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (goes_on(log, result == -ENOENT ? 0 : result, "remove the last")) {
        orr_open(log->loop, completion, log->directory, KV_LOG_NEW_NAME,
                 ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_EXCLUSIVE, LOG_MODE,
                 on_new_file_open, log);
    }
}

static bool is_due(struct kv_log *log)
{
    const struct kv_compaction *compaction = &log->compaction;
    uint64_t length = log->length_durable;
    return log->phase == KV_LOG_READY && compaction->step == KV_COMPACTION_IDLE &&
           log->compact_above > 0 && length > log->compact_above &&
           length >= compaction->retry_length &&
           length / 2 > log->events->live_length(log->context);
}

void kv_compaction_begin_if_due(struct kv_log *log)
{
    struct kv_compaction *compaction = &log->compaction;
    if (!is_due(log)) {
        return;
    }
    compaction->step = KV_COMPACTION_WRITING;
    compaction->has_snapshot = false;
    compaction->length = 0;
    compaction->sequence_next = 1;
    compaction->synced_sequence = 0;
    orr_random(log->loop, &compaction->identity, sizeof(compaction->identity));
    log->events->snapshot_begin(log->context);
    orr_unlink(log->loop, &compaction->completion, log->directory, KV_LOG_NEW_NAME, ORR_UNLINK_FILE,
               on_leftover_removed, log);
}

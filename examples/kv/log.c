/*
 * log.c: appending to the log, group commit, failed writes, closing.
 *
 * At most one step is in flight (log->completion; log_compaction.c has its own), so that sequences
 * and file offsets move in one place at a time: the batch being written always begins at
 * length_durable, with record sequence_durable + 1. A write that failed may have left any part of
 * the batch in the file; the next batch is not written before that is gone (log_recovery.c).
 *
 * An operation that ends with -ECANCELED means that the loop is being drained: whoever drains has
 * given up on this log, so the step just ends.
 */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ensure.h"

#define REPORT_SIZE 1024

/* A batch buffer that grew beyond this is given back once it is empty. */
static const size_t KEPT_CAPACITY_MAX = 1024 * 1024;

void kv_log_init(struct kv_log *log, struct orr_loop *loop, const struct kv_memory *memory,
                 const struct kv_config *config, const struct kv_log_events *events, void *context)
{
    static const size_t record_max = KV_RECORD_HEADER_LENGTH + KV_RECORD_PAYLOAD_LENGTH_MAX;
    *log = (struct kv_log){
        .loop = loop,
        .events = events,
        .context = context,
        .directory_path = config->directory,
        .compact_above = config->compact_above,
        .bugs = config->bugs,
        .phase = KV_LOG_ENDED,
        .directory = ORR_HANDLE_NONE,
        .file = ORR_HANDLE_NONE,
    };
    kv_buffer_init(&log->pending, memory, KV_LOG_PENDING_SOFT_MAX + record_max);
    kv_buffer_init(&log->writing, memory, KV_LOG_PENDING_SOFT_MAX + record_max);
    kv_buffer_init(&log->window, memory, 2 * record_max);
    kv_compaction_init(log, memory);
}

void kv_log_free(struct kv_log *log)
{
    kv_ensure(!orr_in_flight(&log->completion) && !orr_in_flight(&log->tick));
    kv_buffer_free(&log->pending);
    kv_buffer_free(&log->writing);
    kv_buffer_free(&log->window);
    kv_compaction_free(log);
}

void kv_log__report(struct kv_log *log, const char *format, ...)
{
    char line[REPORT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    log->events->report(log->context, line);
}

void kv_log__end_failed(struct kv_log *log)
{
    log->phase = KV_LOG_ENDED;
    log->events->failed(log->context);
}

void kv_log__fail(struct kv_log *log, int64_t result, const char *doing, const char *hint)
{
    kv_log__report(log, "cannot %s %s/%s: %s; %s", doing, log->directory_path, KV_LOG_NAME,
                   strerror((int)-result), hint);
    kv_log__end_failed(log);
}

bool kv_log_is_busy(const struct kv_log *log)
{
    return log->phase != KV_LOG_READY || log->pending.length >= KV_LOG_PENDING_SOFT_MAX;
}

static void on_written(void *context, struct orr_completion *completion, int64_t result);
static void on_synced(void *context, struct orr_completion *completion, int64_t result);

/* Starts the next batch: all that is pending. */
static void commit(struct kv_log *log)
{
    kv_ensure(!log->is_committing && log->writing.length == 0);
    struct kv_buffer empty = log->writing;
    log->writing = log->pending;
    log->pending = empty;
    log->is_committing = true;
    log->sequence_writing = log->sequence_appended;
    struct kv_record_place place = {
        .identity = log->identity,
        .sequence = log->sequence_durable - log->sequence_base + 1,
        .synced_sequence = log->sequence_durable - log->sequence_base,
    };
    uint64_t next = kv_records_seal(log->writing.bytes, log->writing.length, &place);
    kv_ensure(next + log->sequence_base == log->sequence_writing + 1);
    orr_write_all(log->loop, &log->completion, log->file, log->writing.bytes, log->writing.length,
                  log->length_durable, on_written, log);
}

static bool can_commit(const struct kv_log *log)
{
    bool is_open = log->phase == KV_LOG_READY || log->phase == KV_LOG_CLOSING;
    return is_open && !log->is_committing && log->pending.length > 0 && !kv_compaction_holds(log);
}

static void on_tick(void *context, struct orr_completion *completion, int64_t result);

int kv_log_begin(struct kv_log *log, struct kv_record_writer *ret_writer)
{
    kv_ensure(log->phase == KV_LOG_READY);
    if (log->write_error != 0 && orr_now(log->loop) < log->read_only_until_ns) {
        return -EROFS;
    }
    kv_record_begin(ret_writer, &log->pending);
    return 0;
}

int kv_log_end(struct kv_log *log, struct kv_record_writer *writer)
{
    int result = kv_record_end(writer);
    if (result < 0) {
        return result;
    }
    log->sequence_appended++;
    log->needs_no_mark = writer->operation_count == 0;
    if (!log->is_committing && !orr_in_flight(&log->tick)) {
        orr_next_tick(log->loop, &log->tick, on_tick, log);
    }
    return 0;
}

static void empty_batch(struct kv_buffer *batch)
{
    kv_buffer_truncate(batch, 0);
    if (batch->capacity > KEPT_CAPACITY_MAX) {
        kv_buffer_free(batch);
    }
}

static void on_directory_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    (void)result; /* nothing was written through the directory's handle */
    log->phase = KV_LOG_ENDED;
    log->events->closed(log->context);
}

static void on_file_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    (void)result; /* all that matters was synced */
    orr_close(log->loop, &log->completion, log->directory, on_directory_closed, log);
}

static void close_file(struct kv_log *log)
{
    orr_close(log->loop, &log->completion, log->file, on_file_closed, log);
}

/* Everything is durable: says so in the log, unless it says so already, and closes it. */
static void finish(struct kv_log *log)
{
    struct kv_record_writer writer;
    if (log->needs_no_mark || log->sequence_durable == 0) {
        close_file(log);
        return;
    }
    kv_record_begin(&writer, &log->pending);
    if (kv_log_end(log, &writer) < 0) {
        close_file(log);
    }
}

void kv_log__go_on(struct kv_log *log)
{
    if (kv_compaction_can_finish(log)) {
        kv_compaction_finish(log);
    } else if (can_commit(log)) {
        commit(log);
    } else if (log->phase == KV_LOG_CLOSING && !log->is_committing && !orr_in_flight(&log->tick) &&
               log->compaction.step == KV_COMPACTION_IDLE) {
        finish(log);
    }
}

static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result == 0) {
        kv_log__go_on(context);
    }
}

static void fail_write(struct kv_log *log, int64_t result)
{
    empty_batch(&log->pending);
    empty_batch(&log->writing);
    log->is_committing = false;
    log->sequence_appended = log->sequence_durable;
    log->sequence_writing = log->sequence_durable;
    log->write_error = result;
    log->read_only_until_ns = orr_now(log->loop) + KV_LOG_READ_ONLY_NS;
    kv_log__report(log,
                   "cannot write %s/%s: %s; nothing acknowledged is lost, writes are refused for "
                   "%" PRIu64 " ms: make room on the disk, or replace it",
                   log->directory_path, KV_LOG_NAME, strerror((int)-result),
                   KV_LOG_READ_ONLY_NS / ORR_MILLISECOND);
    kv_compaction_give_up(log);
    if (log->phase == KV_LOG_CLOSING) {
        log->needs_no_mark = true; /* nobody waits; the next start cuts off what is left of it */
        kv_log__go_on(log);
        return;
    }
    log->phase = KV_LOG_REPAIRING;
    kv_log__repair(log);
}

static void on_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    if (result == -ECANCELED) {
        return;
    }
    if (result < 0) {
        fail_write(log, result);
        return;
    }
    kv_ensure((uint64_t)result == log->writing.length);
    orr_fdatasync(log->loop, completion, log->file, on_synced, log);
}

static void on_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_log *log = context;
    (void)completion;
    if (result == -ECANCELED) {
        return;
    }
    if (result < 0) {
        kv_log__fail(log, result, "make durable",
                     "after a failed sync, what the system shows of the file may not be on the "
                     "disk: the server stops; see to the disk, then start again");
        return;
    }
    log->length_durable += log->writing.length;
    log->sequence_durable = log->sequence_writing;
    log->is_committing = false;
    log->write_error = 0;
    kv_compaction_take_batch(log);
    empty_batch(&log->writing);
    kv_compaction_begin_if_due(log);
    kv_log__go_on(log);
    log->events->durable(log->context);
}

void kv_log__repaired(struct kv_log *log)
{
    log->phase = KV_LOG_READY;
    log->events->rolled_back(log->context);
}

void kv_log_close(struct kv_log *log)
{
    kv_ensure(log->phase == KV_LOG_READY);
    log->phase = KV_LOG_CLOSING;
    kv_compaction_give_up(log);
    if (!orr_in_flight(&log->tick)) {
        kv_log__go_on(log);
    }
}

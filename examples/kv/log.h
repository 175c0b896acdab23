/*
 * log.h: the append-only log file: recovery, group commit, and what to do when the disk fails.
 *
 *      commands append records      -->  pending
 *      one batch at a time          -->  writing: one write, one fdatasync
 *      then everybody who waits for a sequence up to the batch's last is told
 *
 * While a batch is on its way the next one gathers, so one fdatasync serves all who wait, and the
 * more there are the fewer are needed. Three sequences say where things stand:
 *
 *      sequence_durable <= sequence_writing <= sequence_appended
 *
 * When the disk fails:
 *   - A write fails (disk full, EIO): nothing in the batch, nor after it, was acknowledged. The
 *     file is cut back to what is durable, and the store is built again from it: the log is the
 *     truth, and an undo list would be a second one. Who waited gets an error; writes are refused
 *     for KV_LOG_READ_ONLY_NS, and are then tried again.
 *   - A sync fails: the system may have dropped the data and call its cache clean, so neither the
 *     file as we read it nor a second sync can be trusted. The log fails, the process must end.
 *   - At the next start the file may therefore show records that are not on the disk. Recovery
 *     writes what no later record proves durable once more, in place, and syncs, before anybody
 *     reads it.
 */
#ifndef KV_LOG_H
#define KV_LOG_H

#include <orrery/io.h>

#include "buffer.h"
#include "kv.h"
#include "record.h"

#define KV_LOG_NAME "kv.log"

/* Beyond this, commands wait until a batch is done. */
#define KV_LOG_PENDING_SOFT_MAX ((size_t)8 * 1024 * 1024)

/* How long writes are refused after one failed. */
#define KV_LOG_READ_ONLY_NS ORR_SECOND

/* The log's calls to its owner. Each may append to the log, but for `apply` and `reset`. */
struct kv_log_events {
    /* Recovery read an operation. Returns 0, or -ENOMEM, which makes the log fail. */
    int (*apply)(void *context, const struct kv_operation *operation);
    /* Forget all that was applied: the log will be read again. */
    void (*reset)(void *context);
    /* The log is read; appends may begin. */
    void (*ready)(void *context);
    /* sequence_durable has grown. */
    void (*durable)(void *context);
    /* A write failed: all sequences beyond sequence_durable never happened, and the store is again
     * what is durable. Appends may begin again. */
    void (*rolled_back)(void *context);
    /* kv_log_close is done. */
    void (*closed)(void *context);
    /* The log cannot go on; why was reported. */
    void (*failed)(void *context);
    /* A line for the operator. */
    void (*report)(void *context, const char *line);
};

enum kv_log_phase {
    KV_LOG_RECOVERING,
    KV_LOG_READY,
    KV_LOG_REPAIRING, /* after a failed write */
    KV_LOG_CLOSING,
    KV_LOG_ENDED, /* closed or failed */
};

struct kv_log {
    struct orr_loop *loop;
    const struct kv_log_events *events;
    void *context;
    const char *directory_path;
    uint32_t bugs;

    uint32_t phase;
    orr_handle directory;
    orr_handle file;
    struct orr_completion completion; /* of the one step that is under way */
    struct orr_completion tick;       /* gathers the appends of one pass of the loop */
    struct orr_stat status;
    uint8_t header[KV_LOG_HEADER_LENGTH];
    uint64_t identity;

    struct kv_buffer pending;
    struct kv_buffer writing;
    bool is_committing;
    bool ends_with_mark;
    uint64_t sequence_appended;
    uint64_t sequence_writing;
    uint64_t sequence_durable;
    uint64_t length_durable; /* of the file: the next batch goes there */
    uint64_t read_only_until_ns;
    int64_t write_error; /* the last one, -errno */

    struct kv_buffer window; /* recovery: a part of the file, from window_offset on */
    uint64_t window_offset;
    uint64_t file_length;
    uint64_t rewrite_offset;
    struct kv_record_reader reader;
};

void kv_log_init(struct kv_log *log, struct orr_loop *loop, const struct kv_memory *memory,
                 const struct kv_config *config, const struct kv_log_events *events, void *context);

/* Gives the memory back. Nothing of the log may be in flight. */
void kv_log_free(struct kv_log *log);

/* Opens or creates the log and recovers it. Ends with `ready` or `failed`. */
void kv_log_open(struct kv_log *log);

/* Appends a record, in a log that is ready: begin, add operations to the writer, end. Begin answers
 * 0, or -EROFS while writes are refused (see write_error); end answers 0, -ENOMEM or -EMSGSIZE.
 * After an error nothing was appended. */
int kv_log_begin(struct kv_log *log, struct kv_record_writer *ret_writer);
int kv_log_end(struct kv_log *log, struct kv_record_writer *writer);

/* Whether commands should wait, because too much is pending or the log is not ready. */
bool kv_log_is_busy(const struct kv_log *log);

/* Makes what was appended durable, marks the log as cleanly closed, and closes it. Ends with
 * `closed`, or with `failed` if a sync fails. The log must be ready. */
void kv_log_close(struct kv_log *log);

/* Shared by log.c and log_recovery.c. */

void kv_log__report(struct kv_log *log, const char *format, ...) ORR_PRINTF(2, 3);
/* Reports "cannot DOING DIRECTORY/kv.log: REASON", and HINT, then ends the log. */
void kv_log__fail(struct kv_log *log, int64_t result, const char *doing, const char *hint);
/* Reports why by itself first: then ends the log. */
void kv_log__end_failed(struct kv_log *log);
/* Cuts the file back to length_durable and reads it again. Ends with kv_log__repaired, or fails. */
void kv_log__repair(struct kv_log *log);
void kv_log__repaired(struct kv_log *log);

#endif

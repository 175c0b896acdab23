/*
 * log.h: the append-only log file: recovery, group commit, compaction, and what to do when the disk
 * fails.
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
 *   - While the log is written anew, an error there makes only that fail (log_compaction.c).
 */
#ifndef KV_LOG_H
#define KV_LOG_H

#include <orrery/io.h>

#include "buffer.h"
#include "kv.h"
#include "record.h"

#define KV_LOG_NAME "kv.log"
#define KV_LOG_NEW_NAME "kv.log.new" /* while the log is written anew; else it means nothing */

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
    /* How long the live data is: what one SET for each key adds to a log. */
    uint64_t (*live_length)(void *context);
    /* From here on `snapshot` goes over the live data, once. */
    void (*snapshot_begin)(void *context);
    /* Adds live keys to the record until they make up `length` or more. False: these were the last,
     * and there may be none. Every write that changes the data meanwhile is in the log. */
    bool (*snapshot)(void *context, struct kv_record_writer *writer, uint64_t length);
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

/* The log being written anew: log_compaction.c. */
struct kv_compaction {
    uint32_t step;     /* enum kv_compaction_step */
    bool is_dropped;   /* given up, but an operation is in flight */
    bool was_renaming; /* when it was dropped */
    bool has_snapshot; /* all live keys are in the chunks so far */
    struct orr_completion completion;
    orr_handle file;
    uint64_t identity;
    uint64_t length;            /* of the file */
    uint64_t sequence_next;     /* of its next record */
    uint64_t synced_sequence;   /* of its last record that is durable */
    uint64_t sequence_snapshot; /* appended to the old log when the last live keys were taken */
    struct kv_buffer delta;     /* what became durable in the old log and is not in a chunk */
    struct kv_buffer chunk;     /* on its way to the file */
    uint64_t retry_length;      /* of the log: after a failure, none begins before */
    uint64_t count;             /* that came to their end */
    uint64_t base_length;       /* of the log after the last one */
    int64_t error;              /* of the last one, -errno; 0: it came to its end */
};

struct kv_log {
    struct orr_loop *loop;
    const struct kv_log_events *events;
    void *context;
    const char *directory_path;
    uint64_t compact_above;
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
    bool needs_no_mark; /* at its close: it ends with one, or cannot be written */
    uint64_t sequence_appended;
    uint64_t sequence_writing;
    uint64_t sequence_durable;
    uint64_t sequence_base;  /* a record's sequence in the file is the one here less this */
    uint64_t length_durable; /* of the file: the next batch goes there */
    uint64_t read_only_until_ns;
    int64_t write_error; /* the last one, -errno */

    struct kv_buffer window; /* recovery: a part of the file, from window_offset on */
    uint64_t window_offset;
    uint64_t file_length;
    uint64_t rewrite_offset;
    uint32_t rewrite_checksum; /* of what was rewritten, and ... */
    uint32_t batch_checksum;   /* ... of the same when it was judged */
    struct kv_record_reader reader;

    struct kv_compaction compaction;
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

/* Shared by log.c, log_recovery.c and log_compaction.c. */

void kv_log__report(struct kv_log *log, const char *format, ...) ORR_PRINTF(2, 3);
/* Reports "cannot DOING DIRECTORY/kv.log: REASON", and HINT, then ends the log. */
void kv_log__fail(struct kv_log *log, int64_t result, const char *doing, const char *hint);
/* Reports why by itself first: then ends the log. */
void kv_log__end_failed(struct kv_log *log);
/* Cuts the file back to length_durable and reads it again. Ends with kv_log__repaired, or fails. */
void kv_log__repair(struct kv_log *log);
void kv_log__repaired(struct kv_log *log);
/* Does what is next, when neither a batch nor a repair is under way: a batch, the end of a
 * compaction, the end of the log. */
void kv_log__go_on(struct kv_log *log);

void kv_compaction_init(struct kv_log *log, const struct kv_memory *memory);
void kv_compaction_free(struct kv_log *log);
/* A batch became durable, and `writing` still holds it. */
void kv_compaction_take_batch(struct kv_log *log);
/* Begins to write the log anew, if it is due. */
void kv_compaction_begin_if_due(struct kv_log *log);
/* Whether it can come to its end, now that no batch is under way; and its end. */
bool kv_compaction_can_finish(const struct kv_log *log);
void kv_compaction_finish(struct kv_log *log);
/* Whether batches have to stay back. */
bool kv_compaction_holds(const struct kv_log *log);
/* Gives it up, if that can be done yet: the old log stays in force. */
void kv_compaction_give_up(struct kv_log *log);

#endif

/*
 * kv.h: a durable key-value server that speaks RESP2, as a library of application code.
 *
 * It does all its I/O through the loop it is given and keeps nothing in globals, so that one
 * process can hold several servers, in production or in a simulated world.
 *
 * What a client may rely on: when a reply has arrived, every write that the reply shows, its own or
 * another client's, survives any crash. A reply is held back until the log is durable up to the
 * moment at which its command ran; that holds for reads too, so that nobody sees a value which a
 * power loss then takes back. An error reply to a write means that it did not happen.
 */
#ifndef KV_KV_H
#define KV_KV_H

#include <orrery/io.h>

/* Planted bugs, to show that the simulated world finds them; in one build with the correct code. */
enum kv_bug {
    KV_BUG_ACK_BEFORE_FSYNC = 1u << 0, /* replies do not wait for the log */
    KV_BUG_SHORT_SEND = 1u << 1,       /* takes a send that sent a part for one that sent all */
    KV_BUG_SHORT_RECV = 1u << 2,       /* takes what one recv brought for whole commands */
    KV_BUG_IGNORE_TORN_TAIL = 1u << 3, /* recovery leaves the remains of a power loss in the log */
    KV_BUG_RENAME_BEFORE_FSYNC = 1u << 4, /* a new log gets its name before it is durable */
    KV_BUG_FSYNC_RETRY = 1u << 5, /* after a failed fsync of a new log the next one is trusted */
    KV_BUG_LOG_GAP = 1u << 6,     /* a new log lacks what was written while it was made */
};

/* All of it must outlive the server. */
struct kv_config {
    const char *directory; /* of the log: relative to the current directory, or absolute */
    const char *listen;    /* "127.0.0.1:6379": see orr_address_parse */
    /* The log is written anew, with nothing but the live data, when it is longer than so many bytes
     * and than twice its live data. 0: never. */
    uint64_t compact_above;
    uint32_t bugs; /* enum kv_bug, ored; 0: none */
    /* Gets each message to the operator, one line without its end. May be NULL. */
    void (*report)(void *context, const char *line);
    void *report_context;
};

struct kv;

/* Listens, and begins to recover the log; clients are served once it is read. Returns NULL, after a
 * report, if the server cannot start. If it fails later, it reports why and calls orr_stop.
 *
 * orr_wake on the loop ends the server cleanly: it accepts nobody any more, finishes what it has
 * received, closes everything, and leaves nothing in flight, so that orr_run_until_idle returns. */
struct kv *kv_boot(struct orr_loop *loop, const struct kv_config *config);

/* What the process should exit with: 0 after a clean end, 1 after a failure. */
int kv_exit_status(const struct kv *kv);

/* Where the server is in writing its log anew, for tests that crash it there. Files and names are
 * those of log.h. */
enum kv_compaction_step {
    KV_COMPACTION_IDLE,
    KV_COMPACTION_LEAVING,   /* the new log is in force; the old one is being closed */
    KV_COMPACTION_WRITING,   /* the live data and what is written meanwhile go to the new file */
    KV_COMPACTION_WAITING,   /* that is durable: for the batch under way in the old log to end */
    KV_COMPACTION_FINISHING, /* the rest goes to the new file. From here on no batch begins */
    KV_COMPACTION_RENAMING,  /* the new file is durable and takes the log's name */
    KV_COMPACTION_RENAMED,   /* the directory is being synced */
    KV_COMPACTION_DROPPING,  /* given up: the new file is being removed */
};
enum kv_compaction_step kv_compaction_step(const struct kv *kv);

/* How often the log was written anew since the boot. */
uint64_t kv_compaction_count(const struct kv *kv);

/* Gives all memory back. The loop must have been drained. NULL is allowed. */
void kv_free(struct kv *kv);

#endif

/*
 * server.h: one server, as its parts see each other. Not for users: they include kv.h.
 *
 *      kv.c          boots, accepts, stops; passes the log's events on
 *      connection.c  one client's bytes: in, through commands.c, and out when the log allows
 *      commands.c    what each command does to store and log
 *
 * Everything hangs off struct kv; all memory comes from the loop's allocator through kv->memory.
 */
#ifndef KV_SERVER_H
#define KV_SERVER_H

#include <orrery/io.h>

#include "../common/listener.h"
#include "buffer.h"
#include "kv.h"
#include "log.h"
#include "resp.h"
#include "store.h"

/* Limits of one command: see resp.h. Any command that they let in fits into a log record. */
#define KV_ARGUMENTS_MAX ((uint32_t)64 * 1024)
#define KV_BULK_LENGTH_MAX ((uint32_t)16 * 1024 * 1024)
#define KV_COMMAND_LENGTH_MAX ((size_t)32 * 1024 * 1024)

/* Replies of one connection that have not been sent: beyond the first, no more commands are run;
 * beyond the second, a reply becomes an error. */
#define KV_REPLIES_SOFT_MAX ((size_t)1024 * 1024)
#define KV_REPLIES_LENGTH_MAX ((size_t)64 * 1024 * 1024)

/* Room that is there for a reply before its command runs: any reply to a write, any error. */
#define KV_REPLY_RESERVE ((size_t)512)

struct kv_connection;

enum kv_state {
    KV_STATE_RECOVERING,
    KV_STATE_SERVING,
    KV_STATE_STOPPING,    /* connections finish */
    KV_STATE_CLOSING_LOG, /* none is left */
    KV_STATE_ENDED,
};

struct kv {
    struct orr_loop *loop;
    const struct kv_config *config;
    struct kv_memory memory;
    struct kv_resp_limits limits;
    struct kv_store store;
    struct kv_log log;
    uint32_t state;
    int exit_status;

    struct listener listener;
    struct orr_completion wake;
    struct orr_completion deadline; /* a timer, for clients that do not let go */
    struct orr_completion cancel;   /* of the deadline */

    struct kv_connection *connections;
    struct kv_connection *waiting; /* for the log */
    uint32_t connection_count;
    uint64_t commands_run;

    struct kv_slice *arguments; /* of the command that runs */
    uint32_t arguments_capacity;
};

/* A line for the operator. */
void kv__report(struct kv *kv, const char *format, ...) ORR_PRINTF(2, 3);

/* A connection has been closed and its memory given back. */
void kv__connection_gone(struct kv *kv);

#endif

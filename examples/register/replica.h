/*
 * replica.h: one replica, as its parts see each other. Not for users: they include register.h.
 *
 *      replica.c   boots, accepts, stops; passes the log's events on
 *      serve.c     one client's connection: requests in, answers out when the log allows
 *
 * Values lie in the log and the store of kv, each behind its stamp (16 bytes). All memory comes
 * from the loop's allocator.
 */
#ifndef REGISTER_REPLICA_H
#define REGISTER_REPLICA_H

#include "../common/listener.h"
#include "../kv/buffer.h"
#include "../kv/log.h"
#include "../kv/store.h"
#include "message.h"
#include "register.h"

struct connection;

enum replica_state {
    REPLICA_RECOVERING,
    REPLICA_SERVING,
    REPLICA_STOPPING,    /* connections close */
    REPLICA_CLOSING_LOG, /* none is left */
    REPLICA_ENDED,
};

struct register_replica {
    struct orr_loop *loop;
    const struct register_config *config;
    struct kv_config log_config;
    struct kv_memory memory;
    struct kv_store store;
    struct kv_log log;
    enum replica_state state;
    int exit_status;
    struct listener listener;
    struct orr_completion wake;
    struct connection *connections;
};

/* Takes over an accepted handle and starts to receive. False without memory: then the handle is
 * still the caller's. */
bool replica__connection_open(struct register_replica *replica, orr_handle handle);

/* Goes on with all requests that waited for the log: it is durable further than before, or was
 * rolled back. */
void replica__connections_resume(struct register_replica *replica);

/* Closes them all, whatever they wait for; each ends with replica__connection_gone. */
void replica__connections_close(struct register_replica *replica);

/* Gives their memory back: nothing of them is in flight. */
void replica__connections_free(struct register_replica *replica);

/* A connection has been closed and its memory given back. */
void replica__connection_gone(struct register_replica *replica);

#endif

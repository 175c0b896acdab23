/*
 * connection.h: one client of the server: its requests, its replies, and its end.
 *
 * A connection frees itself: after kv_connection_open the only way out is its own close, which
 * ends with kv__connection_gone. Nothing here frees one inside a call, so walking over them all
 * while they advance or abort is safe.
 */
#ifndef KV_CONNECTION_H
#define KV_CONNECTION_H

#include "server.h"

/* Takes over an accepted handle and starts to receive. Returns 0; after -ENOMEM the handle is still
 * the caller's. */
int kv_connection_open(struct kv *kv, orr_handle handle);

/* Does all that can be done now: runs commands, sends, receives, closes. Call it for connections
 * that wait when the log has moved. */
void kv_connection_advance(struct kv_connection *connection);

/* Receives no more; closes once all that was received is answered. */
void kv_connection_finish(struct kv_connection *connection);

/* Closes now, whatever was received or is to be sent. */
void kv_connection_abort(struct kv_connection *connection);

/* Makes every reply that waits for the log an error: what it tells never happened. */
void kv_connection_fail_held(struct kv_connection *connection, const char *error);

/* Lets go of all connections that wait: calls kv_connection_advance for each, which may make it
 * wait again. */
void kv_connections_resume(struct kv *kv);

/* Over all connections, in no order that matters. */
struct kv_connection *kv_connection_next(struct kv *kv, struct kv_connection *connection);

/* Gives back the memory of a connection that has nothing in flight. */
void kv_connection_free(struct kv_connection *connection);

#endif

/*
 * serve.c: one client of a replica: a request comes in, waits if it must, and is answered.
 *
 *      RECEIVING --whole--> HELD --log not busy--> done --QUERY---------------------> SENDING
 *          ^                                         \--STORE--> WAITING --durable-----^  |
 *          |                                                                              |
 *          +------------------------------------------------------------------------------+
 *
 * One request at a time, with one completion, which is by turns a receive and a send, and one
 * buffer, which holds the request and then its answer. While it waits nothing is received: that is
 * the backpressure.
 *
 * A STORE is acknowledged when the log is durable up to what had been appended when it ran: also if
 * the replica had a newer value already, for that one may not be durable yet. A QUERY need not
 * wait: what a reader takes from it, it stores with a majority before it believes it. But while a
 * failed write is rolled back the store is being built anew, and shows less than it has: everything
 * is held.
 */
#include "replica.h"

#include <string.h>
#include <utlist.h>

#include "../common/little_endian.h"

#define STAMP_LENGTH ((size_t)16)

enum connection_state { RECEIVING, HELD, WAITING, SENDING, CLOSING };

struct connection {
    struct register_replica *replica;
    orr_handle handle;
    enum connection_state state;
    struct register_message request;
    uint64_t sequence; /* of the log, WAITING: to be durable first */
    struct orr_completion io;
    struct orr_completion close;
    struct connection *prev;
    struct connection *next;
    uint8_t bytes[REGISTER_MESSAGE_MAX];
};

/* ---- life ------------------------------------------------------------------------------------ */

static void free_connection(struct connection *connection)
{
    DL_DELETE(connection->replica->connections, connection);
    orr_free(connection->replica->loop, connection);
}

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct connection *connection = context;
    struct register_replica *replica = connection->replica;
    (void)completion;
    (void)result; /* the handle is gone whatever it says */
    free_connection(connection);
    replica__connection_gone(replica);
}

static void hang_up(struct connection *connection)
{
    if (connection->state == CLOSING)
        return;
    connection->state = CLOSING;
    orr_close(connection->replica->loop, &connection->close, connection->handle, on_closed,
              connection);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void receive(struct connection *connection);

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct connection *connection = context;
    (void)completion;
    if (connection->state == CLOSING)
        return;
    if (result < 0)
        hang_up(connection);
    else
        receive(connection);
}

static void answer(struct connection *connection, const struct register_message *message)
{
    size_t length = register_message_encode(message, connection->bytes);
    connection->state = SENDING;
    orr_send_all(connection->replica->loop, &connection->io, connection->handle, connection->bytes,
                 length, on_sent, connection);
}

static void answer_store(struct connection *connection, enum register_message_type type)
{
    answer(connection,
           &(struct register_message){.type = type, .epoch = connection->request.epoch});
}

/* ---- requests -------------------------------------------------------------------------------- */

/* What the replica has of the request's key; counter 0 if it has nothing. */
static struct register_stamp look_up(const struct connection *connection,
                                     struct kv_slice *ret_value)
{
    struct kv_slice key = {connection->request.key, connection->request.key_length};
    struct kv_slice kept;
    struct register_stamp stamp = {0, 0};
    *ret_value = (struct kv_slice){NULL, 0};
    if (!kv_store_get(&connection->replica->store, key, &kept) || kept.length < STAMP_LENGTH)
        return stamp;
    stamp.counter = get_u64(kept.bytes);
    stamp.writer = get_u64(kept.bytes + 8);
    ret_value->bytes = kept.bytes + STAMP_LENGTH;
    ret_value->length = kept.length - (uint32_t)STAMP_LENGTH;
    return stamp;
}

static void do_query(struct connection *connection)
{
    struct kv_slice value;
    struct register_stamp stamp = look_up(connection, &value);
    answer(connection, &(struct register_message){
                           .type = REGISTER_VALUE,
                           .epoch = connection->request.epoch,
                           .stamp = stamp,
                           .value = value.bytes,
                           .value_length = value.length,
                       });
}

/* Puts the request's value into store and log, or into neither. Returns 0 or -errno. */
static int keep(struct connection *connection)
{
    struct register_replica *replica = connection->replica;
    const struct register_message *request = &connection->request;
    uint8_t bytes[STAMP_LENGTH + REGISTER_VALUE_MAX];
    put_u64(bytes, request->stamp.counter);
    put_u64(bytes + 8, request->stamp.writer);
    memcpy(bytes + STAMP_LENGTH, request->value, request->value_length);
    struct kv_slice key = {request->key, request->key_length};
    struct kv_slice kept = {bytes, (uint32_t)STAMP_LENGTH + request->value_length};
    struct kv_record_writer writer;
    int result = kv_store_stage(&replica->store, key, kept);
    if (result == 0)
        result = kv_log_begin(&replica->log, &writer);
    if (result == 0) {
        kv_record_set(&writer, key, kept);
        result = kv_log_end(&replica->log, &writer);
    }
    if (result == 0)
        kv_store_commit(&replica->store);
    else
        kv_store_abort(&replica->store);
    return result;
}

/* A request that waited for the log: answered if the log is as far, or cannot get there. */
static void answer_waiting(struct connection *connection)
{
    const struct kv_log *log = &connection->replica->log;
    if (connection->sequence <= log->sequence_durable)
        answer_store(connection, REGISTER_STORED);
    else if (connection->sequence > log->sequence_appended)
        answer_store(connection, REGISTER_REFUSED);
}

static void do_store(struct connection *connection)
{
    struct register_replica *replica = connection->replica;
    struct kv_slice value;
    struct register_stamp stamp = look_up(connection, &value);
    if (register_stamp_is_newer(connection->request.stamp, stamp) && keep(connection) < 0) {
        answer_store(connection, REGISTER_REFUSED);
        return;
    }
    if ((replica->config->bugs & REGISTER_BUG_UNSYNCED_TIMESTAMP) != 0) {
        answer_store(connection, REGISTER_STORED);
        return;
    }
    connection->state = WAITING;
    connection->sequence = replica->log.sequence_appended;
    answer_waiting(connection);
}

/* Does the request that is held, unless it has to be held on. */
static void do_request(struct connection *connection)
{
    if (kv_log_is_busy(&connection->replica->log))
        return;
    if (connection->request.key_length > 0 && connection->request.type == REGISTER_QUERY)
        do_query(connection);
    else if (connection->request.key_length > 0 && connection->request.type == REGISTER_STORE &&
             connection->request.stamp.counter > 0)
        do_store(connection);
    else
        hang_up(connection);
}

static void on_body(void *context, struct orr_completion *completion, int64_t result)
{
    struct connection *connection = context;
    (void)completion;
    size_t body;
    if (connection->state == CLOSING)
        return;
    if (result < 0 || !register_message_body(connection->bytes, &body) || (size_t)result != body ||
        !register_message_decode(connection->bytes, &connection->request)) {
        hang_up(connection);
        return;
    }
    connection->state = HELD;
    do_request(connection);
}

static void on_header(void *context, struct orr_completion *completion, int64_t result)
{
    struct connection *connection = context;
    size_t body;
    if (connection->state == CLOSING)
        return;
    if (result != (int64_t)REGISTER_HEADER_LENGTH ||
        !register_message_body(connection->bytes, &body) || body == 0) {
        hang_up(connection);
        return;
    }
    orr_recv_exact(connection->replica->loop, completion, connection->handle,
                   connection->bytes + REGISTER_HEADER_LENGTH, body, on_body, connection);
}

static void receive(struct connection *connection)
{
    connection->state = RECEIVING;
    orr_recv_exact(connection->replica->loop, &connection->io, connection->handle,
                   connection->bytes, REGISTER_HEADER_LENGTH, on_header, connection);
}

/* ---- all of them ----------------------------------------------------------------------------- */

bool replica__connection_open(struct register_replica *replica, orr_handle handle)
{
    struct connection *connection = orr_malloc(replica->loop, sizeof *connection);
    if (connection == NULL)
        return false;
    memset(connection, 0, sizeof *connection);
    connection->replica = replica;
    connection->handle = handle;
    /* A client that lost its power says nothing more. Without the option its connection stays. */
    (void)orr_socket_option_set(replica->loop, handle, ORR_SOCKET_KEEP_ALIVE, 1);
    DL_APPEND(replica->connections, connection);
    receive(connection);
    return true;
}

/* First those that wait, then those that are held: what these append gets the sequences of what was
 * rolled back, and must not be taken for it. */
void replica__connections_resume(struct register_replica *replica)
{
    struct connection *connection;
    DL_FOREACH(replica->connections, connection)
    {
        if (connection->state == WAITING)
            answer_waiting(connection);
    }
    DL_FOREACH(replica->connections, connection)
    {
        if (connection->state == HELD)
            do_request(connection);
    }
}

void replica__connections_close(struct register_replica *replica)
{
    struct connection *connection;
    DL_FOREACH(replica->connections, connection)
    {
        hang_up(connection);
    }
}

void replica__connections_free(struct register_replica *replica)
{
    while (replica->connections != NULL)
        free_connection(replica->connections);
}

/*
 * connection.c: from received bytes to commands, from replies to sent bytes.
 *
 *      recv --> request --parse, run--> replies --the log is durable--> outgoing --> send
 *
 *      replies:   | released: may be told | held: each part waits for a sequence of the log |
 *                 0                   released                                        length
 *
 * A reply is held until the log is durable up to what had been appended when its command ran: the
 * writes that it reports or shows are then safe, whoever made them. The held part is divided by a
 * mark for each batch of the log that replies wait for: the one being written and the one that
 * gathers. A batch becomes durable or fails as a whole, and so do the replies under its mark; a
 * mark that spanned two would call a durable write failed when only the second one is.
 *
 * One recv and one send are in flight at most. Buffers in flight belong to the loop, hence two for
 * replies: `outgoing` stands still while it is sent, `replies` grows. `request` grows only while no
 * recv is in flight; a recv starts only when what is there holds no whole command. That is also the
 * backpressure: a client whose replies are not taken, or a log that lags, stops the receiving.
 *
 * kv_connection_advance is the only place that starts anything, and can be called at any time. A
 * connection is freed in the callback of its close, after which nothing of it is in flight.
 */
#include "connection.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "commands.h"
#include "ensure.h"

#define MARKS_MAX 2u

/* Room for a recv, at least; and a buffer beyond this is given back once it is empty. */
#define RECV_LENGTH ((size_t)16 * 1024)
#define KEPT_CAPACITY_MAX ((size_t)64 * 1024)

struct mark {
    size_t end;        /* in `replies` */
    uint64_t sequence; /* of the log, to be durable first */
    uint32_t reply_count;
};

struct kv_connection {
    struct kv *kv;
    orr_handle handle;
    struct orr_completion recv;
    struct orr_completion send;
    struct orr_completion close;
    struct kv_resp_parser parser;
    struct kv_buffer request;
    struct kv_buffer replies;
    struct kv_buffer outgoing;
    size_t sent;     /* of outgoing */
    size_t released; /* of replies */
    struct mark marks[MARKS_MAX];
    uint32_t mark_count;
    bool is_starved;   /* request holds no whole command */
    bool is_finishing; /* no recv any more */
    bool is_ending;    /* no command any more either */
    bool is_closing;
    bool is_waiting; /* in kv->waiting */
    struct kv_connection *previous;
    struct kv_connection *next;
    struct kv_connection *waiting_previous;
    struct kv_connection *waiting_next;
};

/* ---- life ------------------------------------------------------------------------------------ */

int kv_connection_open(struct kv *kv, orr_handle handle)
{
    struct kv_connection *connection = orr_malloc(kv->loop, sizeof(*connection));
    if (connection == NULL) {
        return -ENOMEM;
    }
    *connection = (struct kv_connection){.kv = kv, .handle = handle, .is_starved = true};
    kv_resp_init(&connection->parser, &kv->limits);
    kv_buffer_init(&connection->request, &kv->memory,
                   KV_RESP_BUFFER_LENGTH(&kv->limits) + RECV_LENGTH);
    kv_buffer_init(&connection->replies, &kv->memory, KV_REPLIES_LENGTH_MAX);
    kv_buffer_init(&connection->outgoing, &kv->memory, KV_REPLIES_LENGTH_MAX);
    DL_APPEND2(kv->connections, connection, previous, next);
    kv->connection_count++;
    kv_connection_advance(connection);
    return 0;
}

static void stop_waiting(struct kv_connection *connection)
{
    if (connection->is_waiting) {
        DL_DELETE2(connection->kv->waiting, connection, waiting_previous, waiting_next);
        connection->is_waiting = false;
    }
}

void kv_connection_free(struct kv_connection *connection)
{
    struct kv *kv = connection->kv;
    stop_waiting(connection);
    DL_DELETE2(kv->connections, connection, previous, next);
    kv->connection_count--;
    kv_buffer_free(&connection->request);
    kv_buffer_free(&connection->replies);
    kv_buffer_free(&connection->outgoing);
    orr_free(kv->loop, connection);
}

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_connection *connection = context;
    struct kv *kv = connection->kv;
    (void)completion;
    (void)result; /* the handle is gone whatever it says */
    kv_connection_free(connection);
    kv__connection_gone(kv);
}

void kv_connection_abort(struct kv_connection *connection)
{
    if (!connection->is_closing) {
        connection->is_closing = true;
        stop_waiting(connection);
        orr_close(connection->kv->loop, &connection->close, connection->handle, on_closed,
                  connection);
    }
}

struct kv_connection *kv_connection_next(struct kv *kv, struct kv_connection *connection)
{
    return connection == NULL ? kv->connections : connection->next;
}

/* ---- replies --------------------------------------------------------------------------------- */

/* The reply just appended may be told once the log is durable up to what is appended by now. */
static void hold_reply(struct kv_connection *connection)
{
    const struct kv_log *log = &connection->kv->log;
    bool is_safe = log->sequence_appended == log->sequence_durable ||
                   (connection->kv->config->bugs & KV_BUG_ACK_BEFORE_FSYNC) != 0;
    if (is_safe && connection->mark_count == 0) {
        connection->released = connection->replies.length;
        return;
    }
    uint32_t last = connection->mark_count - 1;
    bool is_new =
        connection->mark_count == 0 || (connection->marks[last].sequence <= log->sequence_writing &&
                                        log->sequence_writing < log->sequence_appended);
    if (is_new) {
        kv_ensure(connection->mark_count < MARKS_MAX);
        last = connection->mark_count++;
        connection->marks[last].reply_count = 0;
    }
    connection->marks[last].end = connection->replies.length;
    connection->marks[last].sequence = log->sequence_appended;
    connection->marks[last].reply_count++;
}

static void release_replies(struct kv_connection *connection)
{
    uint32_t count = 0;
    while (count < connection->mark_count &&
           connection->marks[count].sequence <= connection->kv->log.sequence_durable) {
        connection->released = connection->marks[count++].end;
    }
    connection->mark_count -= count;
    memmove(connection->marks, connection->marks + count,
            connection->mark_count * sizeof(*connection->marks));
}

void kv_connection_fail_held(struct kv_connection *connection, const char *error)
{
    uint64_t count = 0;
    release_replies(connection);
    for (uint32_t i = 0; i < connection->mark_count; i++) {
        count += connection->marks[i].reply_count;
    }
    connection->mark_count = 0;
    if (connection->is_closing || count == 0) {
        return;
    }
    kv_buffer_truncate(&connection->replies, connection->released);
    for (uint64_t i = 0; i < count && !connection->replies.failed; i++) {
        kv_reply_error(&connection->replies, error);
    }
    if (connection->replies.failed) {
        kv_connection_abort(connection);
        return;
    }
    connection->released = connection->replies.length;
}

static void empty_buffer(struct kv_buffer *buffer)
{
    kv_buffer_truncate(buffer, 0);
    if (buffer->capacity > KEPT_CAPACITY_MAX) {
        kv_buffer_free(buffer);
    }
}

/* Moves what is released to `outgoing`, which is empty. False if there is no memory for it. */
static bool take_released(struct kv_connection *connection)
{
    kv_ensure(connection->outgoing.length == 0);
    if (connection->released == connection->replies.length) {
        struct kv_buffer empty = connection->outgoing;
        connection->outgoing = connection->replies;
        connection->replies = empty;
    } else {
        kv_buffer_append(&connection->outgoing, connection->replies.bytes, connection->released);
        if (connection->outgoing.failed) {
            return false;
        }
        kv_buffer_consume(&connection->replies, connection->released);
    }
    for (uint32_t i = 0; i < connection->mark_count; i++) {
        connection->marks[i].end -= connection->released;
    }
    connection->released = 0;
    connection->sent = 0;
    return true;
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_connection *connection = context;
    (void)completion;
    if (connection->is_closing) {
        return;
    }
    if (result <= 0) {
        kv_connection_abort(connection);
        return;
    }
    bool is_bug = (connection->kv->config->bugs & KV_BUG_SHORT_SEND) != 0;
    connection->sent += is_bug ? connection->outgoing.length : (size_t)result;
    if (connection->sent >= connection->outgoing.length) {
        empty_buffer(&connection->outgoing);
    }
    kv_connection_advance(connection);
}

static void start_send(struct kv_connection *connection)
{
    if (orr_in_flight(&connection->send)) {
        return;
    }
    if (connection->outgoing.length == 0 && connection->released > 0 &&
        !take_released(connection)) {
        kv_connection_abort(connection);
        return;
    }
    if (connection->outgoing.length > 0) {
        orr_send(connection->kv->loop, &connection->send, connection->handle,
                 connection->outgoing.bytes + connection->sent,
                 connection->outgoing.length - connection->sent, on_sent, connection);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The array that holds the arguments of the command that runs, on any connection; NULL without
 * memory. */
static struct kv_slice *arguments_for(struct kv *kv, uint32_t count)
{
    if (count > kv->arguments_capacity) {
        uint32_t capacity = 16;
        while (capacity < count) {
            capacity *= 2;
        }
        struct kv_slice *arguments =
            orr_realloc(kv->loop, kv->arguments, capacity * sizeof(*arguments));
        if (arguments == NULL) {
            return NULL;
        }
        kv->arguments = arguments;
        kv->arguments_capacity = capacity;
    }
    return kv->arguments;
}

static void run_command(struct kv_connection *connection, const struct kv_resp_command *command,
                        uint8_t *bytes)
{
    struct kv *kv = connection->kv;
    struct kv_slice *arguments = arguments_for(kv, command->argument_count);
    if (arguments == NULL || !kv_buffer_reserve(&connection->replies, KV_REPLY_RESERVE)) {
        kv_connection_abort(connection); /* nothing was run, and nothing can be said */
        return;
    }
    kv_resp_split(command, bytes, arguments);
    struct kv_request request = {
        .kv = kv,
        .arguments = arguments,
        .count = command->argument_count,
        .replies = &connection->replies,
    };
    kv_command_run(&request);
    connection->is_ending = request.quits;
    hold_reply(connection);
}

/* Says why no more commands will be run, and closes after that. */
static void end_with_error(struct kv_connection *connection, const char *error)
{
    connection->is_ending = true;
    if (!kv_buffer_reserve(&connection->replies, KV_REPLY_RESERVE)) {
        kv_connection_abort(connection);
        return;
    }
    kv_reply_error(&connection->replies, error);
    hold_reply(connection);
}

static void end_with_protocol_error(struct kv_connection *connection)
{
    char error[KV_RESP_ERROR_SIZE + sizeof("ERR ")] = "ERR ";
    size_t prefix = strlen(error);
    memcpy(error + prefix, connection->parser.error, strlen(connection->parser.error) + 1);
    end_with_error(connection, error);
}

static bool can_run(const struct kv_connection *connection)
{
    return !connection->is_ending && !connection->is_closing && !orr_in_flight(&connection->recv) &&
           !kv_log_is_busy(&connection->kv->log) &&
           connection->replies.length + connection->outgoing.length < KV_REPLIES_SOFT_MAX;
}

static void drop_half_command(struct kv_connection *connection)
{
    kv_buffer_truncate(&connection->request, 0);
    kv_resp_init(&connection->parser, &connection->kv->limits);
}

/* Runs the commands in `request`, as far as they are whole and may run. */
static void run_commands(struct kv_connection *connection)
{
    size_t used = 0;
    struct kv_buffer *request = &connection->request;
    while (can_run(connection)) {
        struct kv_resp_command command;
        uint8_t *rest = used == 0 ? request->bytes : request->bytes + used; /* may be NULL */
        enum kv_resp_result result =
            kv_resp_parse(&connection->parser, rest, request->length - used, &command);
        connection->is_starved = result == KV_RESP_MORE;
        if (result == KV_RESP_MORE) {
            break;
        }
        if (result == KV_RESP_ERROR) {
            end_with_protocol_error(connection);
            break;
        }
        if (command.argument_count > 0) {
            run_command(connection, &command, rest);
        }
        used += command.length;
    }
    if (used > 0) {
        kv_buffer_consume(request, used);
    }
    if (connection->is_starved && (connection->kv->config->bugs & KV_BUG_SHORT_RECV) != 0 &&
        !orr_in_flight(&connection->recv)) {
        drop_half_command(connection);
    }
}

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv_connection *connection = context;
    (void)completion;
    if (connection->is_closing) {
        return;
    }
    if (result < 0) {
        kv_connection_abort(connection);
        return;
    }
    if (result == 0) {
        connection->is_finishing = true; /* half a command may be left: it is nobody's */
    } else {
        connection->request.length += (size_t)result;
        connection->is_starved = false;
    }
    kv_connection_advance(connection);
}

/* How much room a recv gets: what the command lacks, but at most as much again as is there, so that
 * a client must send what it announces before it is given memory for it. */
static size_t recv_room(const struct kv_connection *connection)
{
    size_t length = connection->request.length;
    size_t room = connection->parser.wanted > length ? connection->parser.wanted - length : 0;
    room = room < length ? room : length;
    return room > RECV_LENGTH ? room : RECV_LENGTH;
}

static void start_recv(struct kv_connection *connection)
{
    struct kv_buffer *request = &connection->request;
    if (orr_in_flight(&connection->recv)) {
        return;
    }
    if (request->length == 0) {
        empty_buffer(request);
    }
    if (!kv_buffer_reserve(request, recv_room(connection))) {
        end_with_error(connection, "ERR no memory for the request");
        return;
    }
    orr_recv(connection->kv->loop, &connection->recv, connection->handle,
             request->bytes + request->length, request->capacity - request->length, on_received,
             connection);
}

/* ---- all together ---------------------------------------------------------------------------- */

static bool is_done(const struct kv_connection *connection)
{
    bool has_replies = connection->outgoing.length > 0 || connection->replies.length > 0;
    bool has_commands = !connection->is_ending && !connection->is_starved;
    return (connection->is_finishing || connection->is_ending) && !has_commands && !has_replies;
}

static void wait_for_log(struct kv_connection *connection)
{
    bool has_commands = !connection->is_ending && !connection->is_starved;
    bool must_wait =
        connection->mark_count > 0 || (has_commands && kv_log_is_busy(&connection->kv->log));
    if (must_wait && !connection->is_waiting) {
        DL_APPEND2(connection->kv->waiting, connection, waiting_previous, waiting_next);
        connection->is_waiting = true;
    }
}

void kv_connection_advance(struct kv_connection *connection)
{
    if (connection->is_closing) {
        return;
    }
    release_replies(connection);
    run_commands(connection);
    if (!connection->is_closing && connection->is_starved && !connection->is_finishing &&
        !connection->is_ending) {
        start_recv(connection);
    }
    if (!connection->is_closing) {
        start_send(connection);
    }
    if (!connection->is_closing && is_done(connection)) {
        kv_connection_abort(connection);
    }
    if (!connection->is_closing) {
        wait_for_log(connection);
    }
}

void kv_connection_finish(struct kv_connection *connection)
{
    connection->is_finishing = true;
    kv_connection_advance(connection);
}

void kv_connections_resume(struct kv *kv)
{
    struct kv_connection *resumed = kv->waiting;
    struct kv_connection *connection;
    kv->waiting = NULL;
    DL_FOREACH2(resumed, connection, waiting_next)
    {
        connection->is_waiting = false;
    }
    while ((connection = resumed) != NULL) {
        DL_DELETE2(resumed, connection, waiting_previous, waiting_next);
        kv_connection_advance(connection);
    }
}

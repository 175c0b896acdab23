/*
 * gate_server.c: see gate.h. In production the second loop runs on a thread of its own, and the
 * queue has a lock; what matters here is the same: several wakes before the worker looks are one.
 */
#include "gate.h"

#include <string.h>

#define BACKLOG 64
#define QUEUE_LENGTH 64u
#define PAUSE_NS (5 * ORR_MILLISECOND)

struct server {
    struct orr_loop *loop;
    struct orr_loop *worker;
    const struct gate_server_config *config;
    orr_handle listener;
    int32_t queue[QUEUE_LENGTH]; /* descriptors, first in, first out */
    uint32_t put;
    uint32_t taken;
    struct orr_completion accept;
    struct orr_completion wake; /* on the worker */
};

struct connection {
    struct orr_loop *loop;
    orr_handle handle;
    struct orr_completion io;
    uint8_t message[GATE_MESSAGE_LENGTH];
};

static bool has_bug(const struct server *server, enum gate_bug bug)
{
    return (server->config->bugs & bug) != 0;
}

/* ---- the worker ------------------------------------------------------------------------------ */

static void on_closed(void *context, struct orr_completion *io, int64_t result)
{
    struct connection *connection = context;
    (void)io;
    (void)result;
    orr_free(connection->loop, connection);
}

static void on_received(void *context, struct orr_completion *io, int64_t result);

static void on_sent(void *context, struct orr_completion *io, int64_t result)
{
    struct connection *connection = context;
    if (result < 0)
        orr_close(connection->loop, io, connection->handle, on_closed, connection);
    else
        orr_recv_exact(connection->loop, io, connection->handle, connection->message,
                       GATE_MESSAGE_LENGTH, on_received, connection);
}

static void on_received(void *context, struct orr_completion *io, int64_t result)
{
    struct connection *connection = context;
    if (result != (int64_t)GATE_MESSAGE_LENGTH)
        orr_close(connection->loop, io, connection->handle, on_closed, connection);
    else
        orr_send_all(connection->loop, io, connection->handle, connection->message,
                     GATE_MESSAGE_LENGTH, on_sent, connection);
}

static void serve(struct orr_loop *worker, int32_t descriptor)
{
    struct connection *connection = orr_malloc(worker, sizeof *connection);
    orr_handle handle = orr_adopt(worker, descriptor);
    if (connection == NULL || handle < 0)
        return; /* out of memory or handles: neither is a subject here */
    *connection = (struct connection){.loop = worker, .handle = handle};
    on_sent(connection, &connection->io, 0);
}

static void on_wake(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    if (result < 0)
        return;
    orr_wait_wake(server->worker, completion, on_wake, server);
    uint32_t waiting = server->put - server->taken;
    uint32_t count = has_bug(server, GATE_BUG_ONE_PER_WAKE) && waiting > 0 ? 1 : waiting;
    for (uint32_t i = 0; i < count; i++)
        serve(server->worker, server->queue[server->taken++ % QUEUE_LENGTH]);
}

/* ---- the gate -------------------------------------------------------------------------------- */

static void accept_next(void *context, struct orr_completion *completion, int64_t result);

static void on_accepted(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    if (result < 0) { /* out of handles: that passes */
        if (!has_bug(server, GATE_BUG_ACCEPT_STOPS))
            orr_timeout(server->loop, completion, PAUSE_NS, accept_next, server);
        return;
    }
    if (server->put - server->taken == QUEUE_LENGTH) {
        orr_close(server->loop, completion, result, accept_next, server);
        return;
    }
    server->queue[server->put++ % QUEUE_LENGTH] = orr_release(server->loop, result);
    orr_wake(server->worker);
    accept_next(server, completion, 0);
}

static void accept_next(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    if (result >= 0)
        orr_accept(server->loop, completion, server->listener, NULL, on_accepted, server);
}

void *gate_server_boot(struct orr_loop *loop, void *config)
{
    struct server *server = orr_malloc(loop, sizeof *server);
    if (server == NULL)
        return NULL;
    memset(server, 0, sizeof *server);
    server->loop = loop;
    server->config = config;
    server->listener = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    if (server->listener < 0 || orr_bind(loop, server->listener, &server->config->address) < 0 ||
        orr_listen(loop, server->listener, BACKLOG) < 0 || orr_loop_open(NULL, &server->worker) < 0)
        return NULL;
    orr_wait_wake(server->worker, &server->wake, on_wake, server);
    accept_next(server, &server->accept, 0);
    return server;
}

/*
 * server.c: the echo server. Each connection has one completion, which is by turns a recv, a send
 * and at last a close: never two at once, so nothing has an order to get wrong.
 */
#include "echo.h"

#include <errno.h>

#define BACKLOG 64
#define ACCEPT_PAUSE (10 * ORR_MILLISECOND)

struct server {
    struct orr_loop *loop;
    orr_handle listener;
    struct orr_completion accept;
};

struct connection {
    struct orr_loop *loop;
    orr_handle handle;
    struct orr_completion io;
    char bytes[1024];
};

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct connection *connection = context;
    (void)completion;
    (void)result;
    orr_free(connection->loop, connection);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result);

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct connection *connection = context;
    if (result > 0) /* send_all: a send may take fewer bytes than it was given */
        orr_send_all(connection->loop, completion, connection->handle, connection->bytes,
                     (size_t)result, on_sent, connection);
    else
        orr_close(connection->loop, completion, connection->handle, on_closed, connection);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct connection *connection = context;
    if (result > 0)
        orr_recv(connection->loop, completion, connection->handle, connection->bytes,
                 sizeof connection->bytes, on_received, connection);
    else
        orr_close(connection->loop, completion, connection->handle, on_closed, connection);
}

static void on_accepted(void *context, struct orr_completion *completion, int64_t result);

static void accept_again(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    if (result == 0)
        orr_accept(server->loop, completion, server->listener, NULL, on_accepted, server);
}

static void on_accepted(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    if (result == -ECANCELED)
        return;
    if (result < 0) { /* out of descriptors or memory: that passes */
        orr_timeout(server->loop, completion, ACCEPT_PAUSE, accept_again, server);
        return;
    }
    struct connection *connection = orr_malloc(server->loop, sizeof *connection);
    if (connection == NULL) {
        orr_close(server->loop, completion, result, accept_again, server);
        return;
    }
    *connection = (struct connection){.loop = server->loop, .handle = result};
    orr_recv(server->loop, &connection->io, connection->handle, connection->bytes,
             sizeof connection->bytes, on_received, connection);
    accept_again(server, completion, 0);
}

void *echo_server_boot(struct orr_loop *loop, void *config)
{
    const struct orr_address *address = config;
    orr_handle listener = orr_socket(loop, orr_address_family(address), ORR_SOCKET_STREAM);
    if (listener < 0 || orr_socket_option_set(loop, listener, ORR_SOCKET_REUSE_ADDRESS, 1) < 0 ||
        orr_bind(loop, listener, address) < 0 || orr_listen(loop, listener, BACKLOG) < 0)
        return NULL;
    struct server *server = orr_malloc(loop, sizeof *server);
    if (server == NULL)
        return NULL;
    *server = (struct server){.loop = loop, .listener = listener};
    accept_again(server, &server->accept, 0);
    return server;
}

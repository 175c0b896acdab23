/*
 * client.c: the echo client: one message at a time, and no faith in the network: a connection that
 * fails is replaced, and so is one that is silent for a second, because a server that lost its
 * power says nothing.
 */
#include "echo.h"

#include <string.h>

#define PATIENCE ORR_SECOND

struct client {
    struct orr_loop *loop;
    struct echo_task *task;
    orr_handle handle;
    bool closing;
    uint32_t echoed_before; /* at the last look of the timer */
    struct orr_completion io;
    struct orr_completion close;
    struct orr_completion timer;
    char sent[256];
    char received[256];
};

static void start(struct client *client);

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    client->closing = false;
    if (!client->task->done) {
        client->task->reconnects++;
        start(client);
    }
}

/* What is in flight on the connection ends first: with -ECANCELED, or with what it had done by
 * then, and nothing may follow it on this handle. */
static void hang_up(struct client *client)
{
    if (client->closing)
        return;
    client->closing = true;
    orr_close(client->loop, &client->close, client->handle, on_closed, client);
}

static void send_message(struct client *client);

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (client->closing || result != sizeof client->received) {
        hang_up(client);
        return;
    }
    if (memcmp(client->sent, client->received, sizeof client->sent) == 0)
        client->task->echoed++;
    else
        client->task->mismatches++;
    client->task->done = client->task->echoed >= client->task->messages;
    if (client->task->done)
        hang_up(client);
    else
        send_message(client);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (client->closing || result < 0)
        hang_up(client);
    else
        orr_recv_exact(client->loop, completion, client->handle, client->received,
                       sizeof client->received, on_received, client);
}

static void send_message(struct client *client)
{
    orr_random(client->loop, client->sent, sizeof client->sent);
    orr_send_all(client->loop, &client->io, client->handle, client->sent, sizeof client->sent,
                 on_sent, client);
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (client->closing || result < 0)
        hang_up(client);
    else
        send_message(client);
}

/* Without a descriptor left it is the timer that tries again. */
static void start(struct client *client)
{
    client->handle =
        orr_socket(client->loop, orr_address_family(&client->task->server), ORR_SOCKET_STREAM);
    if (client->handle >= 0)
        orr_connect(client->loop, &client->io, client->handle, &client->task->server, on_connected,
                    client);
}

static void on_timer(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0 || client->task->done)
        return;
    if (client->handle < 0)
        start(client);
    else if (client->echoed_before == client->task->echoed)
        hang_up(client);
    client->echoed_before = client->task->echoed;
    orr_timeout(client->loop, completion, PATIENCE, on_timer, client);
}

void *echo_client_boot(struct orr_loop *loop, void *config)
{
    struct client *client = orr_malloc(loop, sizeof *client);
    if (client == NULL)
        return NULL;
    *client = (struct client){.loop = loop, .task = config};
    orr_timeout(loop, &client->timer, PATIENCE, on_timer, client);
    start(client);
    return client;
}

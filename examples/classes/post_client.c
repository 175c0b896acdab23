/*
 * post_client.c: see post.h. One post at a time, each over a connection of its own: it sends, shuts
 * its sending down, and then receives.
 */
#include "post.h"

#include <string.h>

#define PAUSE_NS (5 * ORR_MILLISECOND)
#define REPLY_MAX (4u + POST_TEXT_LENGTH)

struct client {
    struct orr_loop *loop;
    struct post_task *task;
    orr_handle handle;
    uint32_t wanted; /* bytes of the reply */
    uint32_t got;
    struct orr_completion send;
    struct orr_completion recv;
    struct orr_completion close;
    uint8_t out[4 + POST_BODY_LONG];
    uint8_t in[REPLY_MAX];
};

static void begin(void *context, struct orr_completion *completion, int64_t result);

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    if (client->task->answered + client->task->lost < client->task->posts)
        orr_timeout(client->loop, completion, PAUSE_NS, begin, client);
}

static bool is_right(const struct client *client)
{
    bool is_long = client->wanted == 4;
    uint32_t status = is_long ? POST_TOO_LONG : POST_OK;
    return client->got == client->wanted &&
           (client->in[0] | (uint32_t)client->in[1] << 8) == status;
}

/* The connection is over, with the reply or without. */
static void hang_up(struct client *client)
{
    if (is_right(client))
        client->task->answered++;
    else
        client->task->lost++;
    orr_close(client->loop, &client->close, client->handle, on_closed, client);
}

static void receive(struct client *client);

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result > 0)
        client->got += (uint32_t)result;
    if (result > 0 && client->got < client->wanted)
        receive(client);
    else
        hang_up(client);
}

static void receive(struct client *client)
{
    orr_recv(client->loop, &client->recv, client->handle, client->in + client->got,
             client->wanted - client->got, on_received, client);
}

static void on_shut_down(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result; /* a connection that is gone ends the receive */
    receive(client);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        hang_up(client);
    else
        orr_shutdown(client->loop, completion, client->handle, ORR_SHUTDOWN_SEND, on_shut_down,
                     client);
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    uint32_t made = client->task->answered + client->task->lost;
    uint32_t length = made % 2 == 0 ? 1000 : POST_BODY_LONG;
    if (result < 0) {
        hang_up(client);
        return;
    }
    client->wanted = length > POST_BODY_MAX ? 4 : REPLY_MAX;
    client->out[0] = (uint8_t)length;
    client->out[1] = (uint8_t)(length >> 8);
    orr_send_all(client->loop, completion, client->handle, client->out, 4 + length, on_sent,
                 client);
}

static void begin(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        return;
    client->got = 0;
    client->wanted = REPLY_MAX;
    client->handle = orr_socket(client->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    if (client->handle < 0)
        orr_timeout(client->loop, completion, PAUSE_NS, begin, client);
    else
        orr_connect(client->loop, &client->send, client->handle, &client->task->server,
                    on_connected, client);
}

void *post_client_boot(struct orr_loop *loop, void *config)
{
    struct client *client = orr_malloc(loop, sizeof *client);
    if (client == NULL)
        return NULL;
    memset(client, 0, sizeof *client);
    client->loop = loop;
    client->task = config;
    begin(client, &client->close, 0);
    return client;
}

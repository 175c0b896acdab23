/* lease.c: see lease.h. Times are those of the machine's own clock. */
#include "lease.h"

#include <string.h>

#define ASK_NS (7 * ORR_MILLISECOND)
#define MESSAGE_LENGTH 8u

/* ---- the server ------------------------------------------------------------------------------ */

struct server {
    struct orr_loop *loop;
    const struct lease_server_config *config;
    orr_handle handle;
    struct orr_address holder;
    int64_t end_ns; /* of the term */
    struct orr_datagram in;
    struct orr_datagram out;
    struct orr_completion recv;
    struct orr_completion send;
    uint8_t asked[MESSAGE_LENGTH];
    uint8_t answer[MESSAGE_LENGTH];
};

static int64_t now(struct orr_loop *loop, uint32_t bugs)
{
    if ((bugs & LEASE_BUG_WALL_CLOCK) != 0)
        return orr_wall_clock(loop);
    return (int64_t)orr_now(loop);
}

static void on_asked(void *context, struct orr_completion *completion, int64_t result);

static void on_answered(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    (void)completion;
    (void)result; /* who hears nothing asks again */
    orr_recv_from(server->loop, &server->recv, server->handle, &server->in, on_asked, server);
}

static void on_asked(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    int64_t now_ns = now(server->loop, server->config->bugs);
    bool is_free = server->holder.length == 0 || now_ns >= server->end_ns;
    if (result != MESSAGE_LENGTH ||
        (!is_free && !orr_address_equal(&server->holder, &server->in.peer))) {
        on_answered(server, completion, 0);
        return;
    }
    server->holder = server->in.peer;
    server->end_ns = now_ns + (int64_t)LEASE_TERM_NS;
    memcpy(server->answer, server->asked, MESSAGE_LENGTH);
    server->out.peer = server->in.peer;
    orr_send_to(server->loop, &server->send, server->handle, &server->out, on_answered, server);
}

void *lease_server_boot(struct orr_loop *loop, void *config)
{
    struct server *server = orr_malloc(loop, sizeof *server);
    if (server == NULL)
        return NULL;
    memset(server, 0, sizeof *server);
    server->loop = loop;
    server->config = config;
    server->in = (struct orr_datagram){.buffer = server->asked, .length = MESSAGE_LENGTH};
    server->out = (struct orr_datagram){.buffer = server->answer, .length = MESSAGE_LENGTH};
    server->handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    if (server->handle < 0 || orr_bind(loop, server->handle, &server->config->address) < 0)
        return NULL;
    on_answered(server, &server->send, 0);
    return server;
}

/* ---- a client -------------------------------------------------------------------------------- */

struct client {
    struct orr_loop *loop;
    const struct lease_client_config *config;
    orr_handle handle;
    uint64_t number; /* of the last question */
    uint64_t asked_ns;
    uint64_t end_ns; /* of the term that it holds; 0: none */
    struct orr_datagram in;
    struct orr_datagram out;
    struct orr_completion recv;
    struct orr_completion send;
    struct orr_completion tick;
    uint8_t question[MESSAGE_LENGTH];
    uint8_t answer[MESSAGE_LENGTH];
};

bool lease_client_holds(const void *application)
{
    const struct client *client = application;
    return orr_now(client->loop) < client->end_ns;
}

static void on_answer(void *context, struct orr_completion *completion, int64_t result);

static void listen_again(struct client *client)
{
    orr_recv_from(client->loop, &client->recv, client->handle, &client->in, on_answer, client);
}

/* Only the answer to the last question counts: it is known when that was asked. */
static void on_answer(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result == MESSAGE_LENGTH && memcmp(client->answer, &client->number, MESSAGE_LENGTH) == 0)
        client->end_ns = client->asked_ns + LEASE_HELD_NS;
    listen_again(client);
}

static void on_tick(void *context, struct orr_completion *completion, int64_t result);

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result; /* a question that is lost is asked again */
    orr_timeout(client->loop, &client->tick, ASK_NS, on_tick, client);
}

/* Asks for the lease, unless it holds it: so others get their turn. */
static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        return;
    if (lease_client_holds(client)) {
        on_sent(client, completion, 0);
        return;
    }
    client->number++;
    client->asked_ns = orr_now(client->loop);
    memcpy(client->question, &client->number, MESSAGE_LENGTH);
    orr_send_to(client->loop, &client->send, client->handle, &client->out, on_sent, client);
}

void *lease_client_boot(struct orr_loop *loop, void *config)
{
    struct client *client = orr_malloc(loop, sizeof *client);
    struct orr_address any;
    if (client == NULL || orr_address_parse("0.0.0.0:0", &any) < 0)
        return NULL;
    memset(client, 0, sizeof *client);
    client->loop = loop;
    client->config = config;
    client->in = (struct orr_datagram){.buffer = client->answer, .length = MESSAGE_LENGTH};
    client->out = (struct orr_datagram){
        .peer = client->config->server, .buffer = client->question, .length = MESSAGE_LENGTH};
    client->handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    if (client->handle < 0 || orr_bind(loop, client->handle, &any) < 0)
        return NULL;
    listen_again(client);
    orr_timeout(loop, &client->tick, ASK_NS, on_tick, client);
    return client;
}

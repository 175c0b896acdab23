/*
 * post_server.c: see post.h. One connection at a time, with one completion for each direction: a
 * receive is always in flight, so that a client which has gone is noticed while the reply is sent.
 *
 *      length --> body --> reply sent, nothing more from the client --> close
 */
#include "post.h"

#include <string.h>

#define BACKLOG 8
#define PAUSE_NS (10 * ORR_MILLISECOND)
#define REPLY_MAX (4u + POST_TEXT_LENGTH)

struct server {
    struct orr_loop *loop;
    const struct post_server_config *config;
    orr_handle listener;
    orr_handle handle;
    uint32_t left; /* of the body */
    bool is_refused;
    bool has_replied; /* the reply is sent as a whole */
    bool has_ended;   /* nothing more comes from the client */
    bool is_closing;
    struct orr_completion accept;
    struct orr_completion recv;
    struct orr_completion send;
    struct orr_completion close;
    uint8_t length[4];
    uint8_t in[1024];
    uint8_t out[REPLY_MAX];
};

static bool has_bug(const struct server *server, enum post_bug bug)
{
    return (server->config->bugs & bug) != 0;
}

static void accept_next(void *context, struct orr_completion *completion, int64_t result);

static void hang_up(struct server *server)
{
    if (server->is_closing)
        return;
    server->is_closing = true;
    orr_close(server->loop, &server->close, server->handle, accept_next, server);
}

/* Closes when both sides have said all. A refused client may go on to send: what it sends is read
 * until it ends. */
static void close_if_done(struct server *server)
{
    bool waits =
        !server->has_ended && !(server->is_refused && has_bug(server, POST_BUG_CLOSE_UNREAD));
    if (server->has_replied && !waits)
        hang_up(server);
}

static void on_replied(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    (void)completion;
    if (result < 0) {
        hang_up(server);
        return;
    }
    server->has_replied = true;
    close_if_done(server);
}

static void reply(struct server *server, uint32_t status, uint32_t text_length)
{
    uint8_t head[4] = {(uint8_t)status, (uint8_t)(status >> 8), 0, 0};
    memcpy(server->out, head, sizeof head);
    memset(server->out + sizeof head, 't', text_length);
    orr_send_all(server->loop, &server->send, server->handle, server->out,
                 sizeof head + text_length, on_replied, server);
}

static void receive(struct server *server);

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    (void)completion;
    if (server->is_closing)
        return;
    if (result < 0 || (result == 0 && (server->left > 0 || has_bug(server, POST_BUG_HALF_CLOSE)))) {
        hang_up(server);
        return;
    }
    server->has_ended = result == 0;
    if (!server->is_refused && server->left > 0 && (uint32_t)result >= server->left)
        reply(server, POST_OK, POST_TEXT_LENGTH);
    server->left -= (uint32_t)result < server->left ? (uint32_t)result : server->left;
    if (!server->has_ended)
        receive(server);
    close_if_done(server);
}

static void receive(struct server *server)
{
    orr_recv(server->loop, &server->recv, server->handle, server->in, sizeof server->in,
             on_received, server);
}

static void on_length(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    (void)completion;
    if (result != sizeof server->length) {
        hang_up(server);
        return;
    }
    server->left = server->length[0] | (uint32_t)server->length[1] << 8;
    server->is_refused = server->left > POST_BODY_MAX;
    if (server->is_refused)
        reply(server, POST_TOO_LONG, 0);
    receive(server);
}

static void on_accepted(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    if (result < 0) {
        orr_timeout(server->loop, completion, PAUSE_NS, accept_next, server);
        return;
    }
    server->handle = result;
    orr_recv_exact(server->loop, &server->recv, server->handle, server->length,
                   sizeof server->length, on_length, server);
}

/* The next client, after the last one's close and after a pause. */
static void accept_next(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    (void)completion;
    (void)result;
    server->is_closing = server->has_replied = server->has_ended = server->is_refused = false;
    orr_accept(server->loop, &server->accept, server->listener, NULL, on_accepted, server);
}

void *post_server_boot(struct orr_loop *loop, void *config)
{
    struct server *server = orr_malloc(loop, sizeof *server);
    if (server == NULL)
        return NULL;
    memset(server, 0, sizeof *server);
    server->loop = loop;
    server->config = config;
    server->listener = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    if (server->listener < 0 || orr_bind(loop, server->listener, &server->config->address) < 0 ||
        orr_listen(loop, server->listener, BACKLOG) < 0)
        return NULL;
    accept_next(server, &server->accept, 0);
    return server;
}

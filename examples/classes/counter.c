/* counter.c: see counter.h. All messages are three numbers, in the byte order of the machine: the
 * nodes are of one kind. */
#include "counter.h"

#include <string.h>

#define PATIENCE_NS (20 * ORR_MILLISECOND)

struct message {
    uint64_t client; /* of what the display gets: nothing */
    uint64_t number; /* the request, or the version */
    uint64_t value;
};

/* A socket with one message under way in each direction. */
struct port {
    struct orr_loop *loop;
    orr_handle handle;
    struct orr_datagram in;
    struct orr_datagram out;
    struct orr_completion recv;
    struct orr_completion send;
    struct message received;
    struct message sent;
};

static bool open_port(struct port *port, struct orr_loop *loop, const struct orr_address *address)
{
    port->loop = loop;
    port->in = (struct orr_datagram){.buffer = &port->received, .length = sizeof port->received};
    port->out = (struct orr_datagram){.buffer = &port->sent, .length = sizeof port->sent};
    port->handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    return port->handle >= 0 && orr_bind(loop, port->handle, address) == 0;
}

static void receive(struct port *port, orr_callback callback, void *context)
{
    orr_recv_from(port->loop, &port->recv, port->handle, &port->in, callback, context);
}

static void send_message(struct port *port, const struct orr_address *peer,
                         const struct message *message, orr_callback callback, void *context)
{
    port->out.peer = *peer;
    port->sent = *message;
    orr_send_to(port->loop, &port->send, port->handle, &port->out, callback, context);
}

/* ---- the server ------------------------------------------------------------------------------ */

struct server {
    struct counter_server_config *config;
    struct port port;
    uint64_t version;
    uint64_t last[COUNTER_CLIENTS]; /* request of each client that was carried out */
};

static void on_request(void *context, struct orr_completion *completion, int64_t result);

static void on_shown(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    (void)completion;
    (void)result;
    receive(&server->port, on_request, server);
}

static void on_replied(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    struct message news = {.number = ++server->version, .value = server->config->sum};
    (void)completion;
    (void)result;
    send_message(&server->port, &server->config->display, &news, on_shown, server);
}

static void on_request(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    const struct message *request = &server->port.received;
    if (result != sizeof *request || request->client >= COUNTER_CLIENTS) {
        on_shown(server, completion, 0);
        return;
    }
    uint64_t *last = &server->last[request->client];
    bool is_new = request->number == *last + 1;
    if (is_new || (server->config->bugs & COUNTER_BUG_RETRY_TWICE) != 0)
        server->config->sum += request->value;
    if (is_new)
        *last = request->number;
    send_message(&server->port, &server->port.in.peer, request, on_replied, server);
}

void *counter_server_boot(struct orr_loop *loop, void *config)
{
    struct server *server = orr_malloc(loop, sizeof *server);
    if (server == NULL)
        return NULL;
    memset(server, 0, sizeof *server);
    server->config = config;
    if (!open_port(&server->port, loop, &server->config->address))
        return NULL;
    receive(&server->port, on_request, server);
    return server;
}

/* ---- a client -------------------------------------------------------------------------------- */

struct client {
    struct counter_task *task;
    struct port port;
    uint64_t answered_before; /* at the last look of the timer */
    struct orr_completion timer;
};

static void on_patience(void *context, struct orr_completion *completion, int64_t result);

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result; /* who hears nothing asks again */
}

static void ask(struct client *client)
{
    const struct counter_task *task = client->task;
    struct message request = {.client = task->client, .number = task->answered + 1, .value = 1};
    if (task->answered < task->requests && !orr_in_flight(&client->port.send))
        send_message(&client->port, &task->server, &request, on_sent, client);
}

static void on_reply(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    const struct message *reply = &client->port.received;
    (void)completion;
    if (result == sizeof *reply && reply->number == client->task->answered + 1) {
        client->task->answered++;
        ask(client);
    }
    receive(&client->port, on_reply, client);
}

static void on_patience(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        return;
    if (client->answered_before == client->task->answered)
        ask(client);
    client->answered_before = client->task->answered;
    orr_timeout(client->port.loop, completion, PATIENCE_NS, on_patience, client);
}

void *counter_client_boot(struct orr_loop *loop, void *config)
{
    struct client *client = orr_malloc(loop, sizeof *client);
    struct orr_address any;
    if (client == NULL || orr_address_parse("0.0.0.0:0", &any) < 0)
        return NULL;
    memset(client, 0, sizeof *client);
    client->task = config;
    if (!open_port(&client->port, loop, &any))
        return NULL;
    receive(&client->port, on_reply, client);
    ask(client);
    orr_timeout(loop, &client->timer, PATIENCE_NS, on_patience, client);
    return client;
}

/* ---- the display ----------------------------------------------------------------------------- */

struct display {
    const struct counter_display_config *config;
    struct port port;
    uint64_t version; /* of what it shows */
};

static void on_news(void *context, struct orr_completion *completion, int64_t result)
{
    struct display *display = context;
    const struct message *news = &display->port.received;
    bool shows_any = (display->config->bugs & COUNTER_BUG_STALE) != 0;
    (void)completion;
    if (result == sizeof *news && (news->number > display->version || shows_any)) {
        display->version = news->number;
        display->config->shows(display->config->context, news->value);
    }
    receive(&display->port, on_news, display);
}

void *counter_display_boot(struct orr_loop *loop, void *config)
{
    struct display *display = orr_malloc(loop, sizeof *display);
    if (display == NULL)
        return NULL;
    memset(display, 0, sizeof *display);
    display->config = config;
    if (!open_port(&display->port, loop, &display->config->address))
        return NULL;
    receive(&display->port, on_news, display);
    return display;
}

/*
 * handshake.c: a client that opens session after session: hello, join, two requests, the end. A
 * session that is lost while it joins is resumed by the next one, with a longer message. The
 * planted bug: a resume whose first send was short is sent again when the answer is late, and the
 * server resumes twice. So three faults are needed, in this order: the connection is lost between
 * the two halves of the handshake, the send of the next session's resume is short, and the answer
 * to it is late (a pause, a clog, a segment that takes long).
 */
#include "planted.h"

#include <string.h>

#define PORT 4000
#define MESSAGE_BYTES 8u
#define RESUME_BYTES 256u
#define SESSION_MESSAGES 4u
#define BETWEEN (2 * ORR_MILLISECOND)
#define LATE (5 * ORR_MILLISECOND)
#define BACKLOG 8

/* ---- the server: answers each message with as many bytes as a short one has ------------------ */

struct peer {
    struct orr_loop *loop;
    orr_handle handle;
    uint32_t taken;    /* bytes of the message under way */
    uint32_t messages; /* answered */
    struct orr_completion io;
    uint8_t bytes[RESUME_BYTES];
};

struct server {
    struct orr_loop *loop;
    orr_handle listener;
    struct orr_completion accept;
};

static void peer_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct peer *peer = context;
    (void)completion;
    (void)result;
    orr_free(peer->loop, peer);
}

static void peer_receive(struct peer *peer);

static void peer_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct peer *peer = context;
    peer->taken = 0;
    peer->messages++;
    if (result < 0)
        orr_close(peer->loop, completion, peer->handle, peer_closed, peer);
    else
        peer_receive(peer);
}

/* The first byte says how long a message is. */
static void peer_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct peer *peer = context;
    if (result <= 0) {
        orr_close(peer->loop, completion, peer->handle, peer_closed, peer);
        return;
    }
    peer->taken += (uint32_t)result;
    if (peer->taken < (peer->bytes[0] == 'r' ? RESUME_BYTES : MESSAGE_BYTES))
        peer_receive(peer);
    else
        orr_send_all(peer->loop, completion, peer->handle, peer->bytes, MESSAGE_BYTES, peer_sent,
                     peer);
}

static void peer_receive(struct peer *peer)
{
    orr_recv(peer->loop, &peer->io, peer->handle, peer->bytes + peer->taken,
             sizeof peer->bytes - peer->taken, peer_received, peer);
}

static void accepted(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    struct peer *peer = result >= 0 ? orr_malloc(server->loop, sizeof *peer) : NULL;
    if (peer != NULL) {
        *peer = (struct peer){.loop = server->loop, .handle = result};
        peer_receive(peer);
    }
    orr_accept(server->loop, completion, server->listener, NULL, accepted, server);
}

static void *server_boot(struct orr_loop *loop, void *config)
{
    struct orr_address address;
    (void)config;
    (void)orr_address_parse("0.0.0.0:4000", &address);
    orr_handle listener = orr_socket(loop, orr_address_family(&address), ORR_SOCKET_STREAM);
    struct server *server = orr_malloc(loop, sizeof *server);
    if (server == NULL || listener < 0 || orr_bind(loop, listener, &address) < 0 ||
        orr_listen(loop, listener, BACKLOG) < 0)
        return NULL;
    *server = (struct server){.loop = loop, .listener = listener};
    orr_accept(loop, &server->accept, listener, NULL, accepted, server);
    return server;
}

/* ---- the client ------------------------------------------------------------------------------ */

struct task {
    struct orr_world *world;
    struct orr_address server;
    bool is_planted;
    uint32_t sessions;
};

struct client {
    struct orr_loop *loop;
    struct task *task;
    orr_handle handle;
    uint32_t answers;    /* in this session */
    bool is_resuming;    /* the last session was lost while it joined */
    bool is_cut;         /* the resume's first send was short */
    bool is_waiting;     /* for the answer to a resume */
    uint64_t resumed_ns; /* when it was sent */
    struct orr_completion io;
    struct orr_completion timer;
    uint8_t sent[RESUME_BYTES];
    uint8_t received[MESSAGE_BYTES];
};

static void begin(void *context, struct orr_completion *completion, int64_t result);

static void ended(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    client->task->sessions++;
    orr_timeout(client->loop, &client->timer, BETWEEN, begin, client);
}

/* What the session leaves for the next one. */
static void end(struct client *client, int64_t result)
{
    bool is_lost = result <= 0 && client->answers == 1 && !client->is_resuming;
    client->is_resuming = orr_sometimes(client->task->world, is_lost,
                                        "a session is lost between the halves of the handshake");
    client->is_cut = client->is_waiting = false;
    orr_close(client->loop, &client->io, client->handle, ended, client);
}

static void send_next(struct client *client);

static void answered(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    struct task *task = client->task;
    (void)completion;
    if (client->is_waiting) {
        bool is_late = result > 0 && orr_now(client->loop) - client->resumed_ns > LATE;
        is_late = orr_sometimes(task->world, is_late && client->is_cut,
                                "the answer to a resume that was cut is late");
        orr_always(task->world, !(is_late && task->is_planted), "a session resumes once");
        client->is_waiting = false;
    }
    client->answers++;
    if (result != (int64_t)MESSAGE_BYTES || client->answers == SESSION_MESSAGES)
        end(client, result);
    else
        send_next(client);
}

static void wait_answer(struct client *client)
{
    orr_recv_exact(client->loop, &client->io, client->handle, client->received, MESSAGE_BYTES,
                   answered, client);
}

static void sent_all(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result < 0)
        end(client, result);
    else
        wait_answer(client);
}

static void sent_resume(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result <= 0) {
        end(client, result);
        return;
    }
    size_t done = (size_t)result;
    client->is_waiting = true;
    client->resumed_ns = orr_now(client->loop);
    client->is_cut =
        orr_sometimes(client->task->world, done < RESUME_BYTES, "the send of a resume is short");
    if (done < RESUME_BYTES)
        orr_send_all(client->loop, completion, client->handle, client->sent + done,
                     RESUME_BYTES - done, sent_all, client);
    else
        wait_answer(client);
}

static void send_next(struct client *client)
{
    bool resumes = client->answers == 1 && client->is_resuming;
    memset(client->sent, resumes ? 'r' : 'm', sizeof client->sent);
    if (resumes)
        orr_send(client->loop, &client->io, client->handle, client->sent, RESUME_BYTES, sent_resume,
                 client);
    else
        orr_send_all(client->loop, &client->io, client->handle, client->sent, MESSAGE_BYTES,
                     sent_all, client);
}

static void connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result < 0)
        end(client, result);
    else
        send_next(client);
}

static void begin(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    client->answers = 0;
    client->handle =
        orr_socket(client->loop, orr_address_family(&client->task->server), ORR_SOCKET_STREAM);
    if (client->handle < 0)
        orr_timeout(client->loop, completion, BETWEEN, begin, client);
    else
        orr_connect(client->loop, &client->io, client->handle, &client->task->server, connected,
                    client);
}

static void *client_boot(struct orr_loop *loop, void *config)
{
    struct client *client = orr_malloc(loop, sizeof *client);
    if (client == NULL)
        return NULL;
    *client = (struct client){.loop = loop, .task = config};
    begin(client, &client->timer, 0);
    return client;
}

static void run(struct orr_world *world)
{
    static const struct orr_program server_program = {.boot = server_boot};
    static const struct orr_program client_program = {.boot = client_boot};
    struct task task = {.world = world};
    task.is_planted = strcmp(orr_parameter_text(world, "bug"), "planted") == 0;
    planted_rates(world);
    struct orr_node *server = orr_node_create(world, "server", &server_program, NULL);
    task.server = orr_node_address(server, PORT);
    (void)orr_node_create(world, "client", &client_program, &task);
    orr_world_run_for(world, 60 * ORR_MILLISECOND);
}

static const struct orr_parameter parameters[] = {PLANTED_PARAMETERS};

const struct orr_scenario handshake_scenario = {
    .name = "handshake",
    .summary = "a session that is lost while it joins is resumed once",
    .parameters = parameters,
    .run = run,
};

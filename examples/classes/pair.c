/*
 * pair.c: see pair.h. Both the client and the primary speak by datagrams, one value at a time, and
 * say it again until it is confirmed: a value that comes again changes nothing.
 */
#include "pair.h"

#include <string.h>

#define PATIENCE_NS (10 * ORR_MILLISECOND)

/* Says a value to a peer until the peer confirms it. */
struct speaker {
    struct orr_loop *loop;
    orr_handle handle;
    uint64_t value;     /* that is being said */
    uint64_t confirmed; /* the last one that was */
    void (*on_confirmed)(void *context);
    void *context;
    struct orr_datagram in;
    struct orr_datagram out;
    struct orr_completion recv;
    struct orr_completion send;
    struct orr_completion timer;
    uint64_t heard;
    uint64_t said;
};

static void on_said(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result; /* what is not confirmed is said again */
}

static void say(struct speaker *speaker, uint64_t value)
{
    speaker->value = value;
    if (orr_in_flight(&speaker->send))
        return;
    speaker->said = value;
    orr_send_to(speaker->loop, &speaker->send, speaker->handle, &speaker->out, on_said, speaker);
}

static void on_patience(void *context, struct orr_completion *completion, int64_t result)
{
    struct speaker *speaker = context;
    if (result < 0)
        return;
    if (speaker->confirmed < speaker->value)
        say(speaker, speaker->value);
    orr_timeout(speaker->loop, completion, PATIENCE_NS, on_patience, speaker);
}

static void on_confirmation(void *context, struct orr_completion *completion, int64_t result)
{
    struct speaker *speaker = context;
    if (result == sizeof speaker->heard && speaker->heard == speaker->value &&
        speaker->heard > speaker->confirmed) {
        speaker->confirmed = speaker->heard;
        speaker->on_confirmed(speaker->context);
    }
    orr_recv_from(speaker->loop, completion, speaker->handle, &speaker->in, on_confirmation,
                  speaker);
}

static bool start_speaking(struct speaker *speaker, struct orr_loop *loop,
                           const struct orr_address *peer)
{
    struct orr_address any;
    speaker->loop = loop;
    speaker->in = (struct orr_datagram){.buffer = &speaker->heard, .length = sizeof speaker->heard};
    speaker->out = (struct orr_datagram){
        .peer = *peer, .buffer = &speaker->said, .length = sizeof speaker->said};
    speaker->handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    if (orr_address_parse("0.0.0.0:0", &any) < 0 || speaker->handle < 0 ||
        orr_bind(loop, speaker->handle, &any) < 0)
        return false;
    orr_recv_from(loop, &speaker->recv, speaker->handle, &speaker->in, on_confirmation, speaker);
    orr_timeout(loop, &speaker->timer, PATIENCE_NS, on_patience, speaker);
    return true;
}

/* ---- primary and backup ---------------------------------------------------------------------- */

struct keeper {
    struct orr_loop *loop;
    const struct pair_keeper_config *config;
    orr_handle handle;
    uint64_t value;
    struct orr_datagram in;
    struct orr_datagram out;
    struct orr_completion recv;
    struct orr_completion send;
    uint64_t heard;
    uint64_t said;
    struct speaker backup;
};

uint64_t pair_keeper_value(const void *application)
{
    const struct keeper *keeper = application;
    return keeper->value;
}

static void on_value(void *context, struct orr_completion *completion, int64_t result);

static void on_replied(void *context, struct orr_completion *completion, int64_t result)
{
    struct keeper *keeper = context;
    (void)completion;
    (void)result; /* who hears nothing asks again */
    orr_recv_from(keeper->loop, &keeper->recv, keeper->handle, &keeper->in, on_value, keeper);
}

static void reply(void *context)
{
    struct keeper *keeper = context;
    keeper->said = keeper->value;
    keeper->out.peer = keeper->in.peer;
    orr_send_to(keeper->loop, &keeper->send, keeper->handle, &keeper->out, on_replied, keeper);
}

/* The backup has it: now the client may be told. */
static void on_backed_up(void *context)
{
    struct keeper *keeper = context;
    if ((keeper->config->bugs & PAIR_BUG_ACK_EARLY) == 0)
        reply(keeper);
}

static void on_value(void *context, struct orr_completion *completion, int64_t result)
{
    struct keeper *keeper = context;
    if (result != sizeof keeper->heard || keeper->heard < keeper->value) {
        on_replied(keeper, completion, 0);
        return;
    }
    keeper->value = keeper->heard;
    bool is_primary = keeper->config->backup.length > 0;
    bool is_kept = !is_primary || keeper->backup.confirmed >= keeper->value;
    if (!is_kept)
        say(&keeper->backup, keeper->value);
    if (is_kept || (keeper->config->bugs & PAIR_BUG_ACK_EARLY) != 0)
        reply(keeper);
}

void *pair_keeper_boot(struct orr_loop *loop, void *config)
{
    struct keeper *keeper = orr_malloc(loop, sizeof *keeper);
    if (keeper == NULL)
        return NULL;
    memset(keeper, 0, sizeof *keeper);
    keeper->loop = loop;
    keeper->config = config;
    keeper->in = (struct orr_datagram){.buffer = &keeper->heard, .length = sizeof keeper->heard};
    keeper->out = (struct orr_datagram){.buffer = &keeper->said, .length = sizeof keeper->said};
    keeper->backup.on_confirmed = on_backed_up;
    keeper->backup.context = keeper;
    keeper->handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    if (keeper->handle < 0 || orr_bind(loop, keeper->handle, &keeper->config->address) < 0)
        return NULL;
    if (keeper->config->backup.length > 0 &&
        !start_speaking(&keeper->backup, loop, &keeper->config->backup))
        return NULL;
    on_replied(keeper, &keeper->send, 0);
    return keeper;
}

/* ---- the client ------------------------------------------------------------------------------ */

struct client {
    struct pair_task *task;
    struct speaker speaker;
};

static void on_kept(void *context)
{
    struct client *client = context;
    client->task->acknowledged = client->speaker.confirmed;
    say(&client->speaker, client->speaker.confirmed + 1);
}

void *pair_client_boot(struct orr_loop *loop, void *config)
{
    struct client *client = orr_malloc(loop, sizeof *client);
    if (client == NULL)
        return NULL;
    memset(client, 0, sizeof *client);
    client->task = config;
    client->speaker.on_confirmed = on_kept;
    client->speaker.context = client;
    if (!start_speaking(&client->speaker, loop, &client->task->primary))
        return NULL;
    say(&client->speaker, 1);
    return client;
}

/*
 * gate_client.c: see gate.h. A slot has up to four operations in flight: what the job is at, its
 * timer, the cancel of the timer, the close. The job ends by its reply, by an error or by the
 * timer, whichever comes first; the slot is free when all of its operations have ended, too.
 */
#include "gate.h"

#include <errno.h>
#include <string.h>

#define TICK_NS (5 * ORR_MILLISECOND)
#define PATIENCE_NS (30 * ORR_MILLISECOND)

struct client;

struct slot {
    struct client *client;
    bool is_taken;
    bool has_ended;     /* the job: what is still in flight is about to end */
    uint32_t in_flight; /* operations */
    orr_handle handle;
    struct orr_completion io;
    struct orr_completion timer;
    struct orr_completion cancel;
    struct orr_completion close;
    uint8_t message[GATE_MESSAGE_LENGTH];
};

struct client {
    struct orr_loop *loop;
    struct gate_task *task;
    uint32_t started; /* jobs that have begun, tries too */
    struct orr_completion tick;
    struct slot slots[GATE_SLOTS];
};

static bool has_bug(const struct slot *slot, enum gate_bug bug)
{
    return (slot->client->task->bugs & bug) != 0;
}

/* ---- the end of a job ------------------------------------------------------------------------ */

static void give_back(struct slot *slot)
{
    slot->is_taken = false;
    slot->client->task->free_slots++;
}

/* An operation of the slot has ended. */
static void settle(struct slot *slot)
{
    slot->in_flight--;
    if (slot->has_ended && slot->in_flight == 0)
        give_back(slot);
}

static void on_settled(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    (void)result;
    settle(context);
}

static void write_message(struct slot *slot)
{
    memset(slot->message, 'a' + (int)(slot->client->started % 26), sizeof slot->message);
}

static void end(struct slot *slot, bool is_answered)
{
    struct orr_loop *loop = slot->client->loop;
    if (slot->has_ended) {
        if (has_bug(slot, GATE_BUG_DOUBLE_RELEASE))
            give_back(slot);
        return;
    }
    slot->has_ended = true;
    if (is_answered)
        slot->client->task->done++;
    else
        slot->client->task->failed++;
    slot->in_flight += 2;
    orr_cancel(loop, &slot->cancel, &slot->timer, on_settled, slot);
    orr_close(loop, &slot->close, slot->handle, on_settled, slot);
    if (has_bug(slot, GATE_BUG_EARLY_REUSE))
        write_message(slot); /* so that it is ready for the next job */
}

/* ---- its steps ------------------------------------------------------------------------------- */

static void on_patience(void *context, struct orr_completion *completion, int64_t result)
{
    struct slot *slot = context;
    (void)completion;
    if (result == 0)
        end(slot, false);
    settle(slot);
}

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct slot *slot = context;
    (void)completion;
    if (result != -ECANCELED)
        end(slot, result == (int64_t)GATE_MESSAGE_LENGTH);
    settle(slot);
}

/* The next step of the job, in the place of the one that has ended; none if the job has. */
static bool goes_on(struct slot *slot, int64_t result)
{
    if (result < 0 && result != -ECANCELED)
        end(slot, false);
    if (slot->has_ended)
        settle(slot);
    return !slot->has_ended;
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct slot *slot = context;
    if (goes_on(slot, result))
        orr_recv_exact(slot->client->loop, completion, slot->handle, slot->message,
                       GATE_MESSAGE_LENGTH, on_received, slot);
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct slot *slot = context;
    if (result == -ECANCELED && has_bug(slot, GATE_BUG_LOST_SLOT))
        return;
    if (goes_on(slot, result))
        orr_send_all(slot->client->loop, completion, slot->handle, slot->message,
                     GATE_MESSAGE_LENGTH, on_sent, slot);
}

static void start(struct slot *slot)
{
    struct client *client = slot->client;
    slot->handle = orr_socket(client->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    if (slot->handle < 0)
        return; /* the next tick tries again */
    client->started++;
    client->task->free_slots--;
    slot->is_taken = true;
    slot->has_ended = false;
    slot->in_flight = 2;
    write_message(slot);
    orr_timeout(client->loop, &slot->timer, PATIENCE_NS, on_patience, slot);
    orr_connect(client->loop, &slot->io, slot->handle, &client->task->server, on_connected, slot);
}

/* At each tick one job starts, if there is a free slot and something to do. */
static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        return;
    orr_timeout(client->loop, completion, TICK_NS, on_tick, client);
    uint32_t busy = GATE_SLOTS - client->task->free_slots;
    if (client->task->done + busy >= client->task->jobs)
        return;
    for (uint32_t i = 0; i < GATE_SLOTS; i++)
        if (!client->slots[i].is_taken) {
            start(&client->slots[i]);
            return;
        }
}

void *gate_client_boot(struct orr_loop *loop, void *config)
{
    struct client *client = orr_malloc(loop, sizeof *client);
    if (client == NULL)
        return NULL;
    memset(client, 0, sizeof *client);
    client->loop = loop;
    client->task = config;
    client->task->free_slots = GATE_SLOTS;
    for (uint32_t i = 0; i < GATE_SLOTS; i++)
        client->slots[i].client = client;
    orr_timeout(loop, &client->tick, TICK_NS, on_tick, client);
    return client;
}

/*
 * model_take.c: what a step does to the model, and what the end of an operation does. Where it is
 * not certain that a call succeeds, the model remembers that it does not know (`guess`).
 */
#include "model.h"

#include <string.h>

#define OUTSTANDING_SMALL 100u /* fits into the buffers even when the world draws tiny ones */

static struct model_connection *connection_of(struct model *model, const struct model_slot *slot)
{
    return &model->connections[slot->connection];
}

/* ---- sockets and addresses ------------------------------------------------------------------- */

static void take_socket(struct model *model, const struct step *step)
{
    model->slots[step->slot] = (struct model_slot){
        .kind = step->other == 0 ? MODEL_STREAM : MODEL_DATAGRAM,
        .family = (enum orr_family)step->kind,
    };
}

static void take_bind(struct model *model, const struct step *step)
{
    struct model_slot *slot = &model->slots[step->slot];
    slot->guess = slot->guess || slot->kind == MODEL_CONNECTED; /* a Unix socket takes it */
    if (slot->kind != MODEL_STREAM && slot->kind != MODEL_DATAGRAM)
        return;
    if (step->kind == BY_PATH)
        return; /* model_bound_by_path says the rest */
    if (step->other == step->slot) {
        if (slot->address == 0 && !slot->guess)
            slot->address = model->address_count++;
    } else if (slot->address == 0 && model->slots[step->other].address != 0) {
        slot->guess = true;
        model->guessed |= UINT64_C(1) << model->slots[step->other].address;
    }
}

void model_bound_by_path(struct model *model, const struct step *step)
{
    struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind != MODEL_STREAM)
        return;
    slot->address = model->address_count++;
    slot->by_path = true;
    slot->names = model->names_changed;
}

static void take_listen(struct model *model, const struct step *step)
{
    struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind == MODEL_STREAM && slot->address == 0 && slot->family != ORR_FAMILY_UNIX)
        slot->address = model->address_count++;
    if (slot->kind == MODEL_STREAM && slot->address != 0)
        slot->kind = MODEL_LISTENER;
    slot->backlog = step->length;
}

static struct model_slot *listener_at(struct model *model, uint32_t address)
{
    for (uint32_t i = 1; i < SLOTS; i++)
        if (model->slots[i].kind == MODEL_LISTENER && model->slots[i].address == address)
            return &model->slots[i];
    return NULL;
}

/* A datagram socket that sends or connects is bound by that, if it was not, to an address of the
 * system's choice. */
static void bind_by_use(struct model_slot *slot)
{
    if (slot->kind == MODEL_DATAGRAM && slot->address == 0)
        slot->guess = true;
}

static void take_connect(struct model *model, const struct step *step)
{
    struct model_slot *slot = &model->slots[step->slot];
    uint32_t address = step->kind == BY_PATH ? 0 : model->slots[step->other].address;
    struct model_slot *listener = listener_at(model, address);
    bind_by_use(slot);
    if (slot->kind == MODEL_DATAGRAM && address != 0 &&
        slot->family == model->slots[step->other].family)
        slot->peer = address;
    if (slot->kind == MODEL_STREAM && slot->family != ORR_FAMILY_UNIX)
        slot->was_refused = true;
    if (slot->kind != MODEL_STREAM || listener == NULL || listener->family != slot->family)
        return;
    slot->kind = MODEL_CONNECTED;
    slot->connection = model->connection_count++;
    slot->end = 0;
    *connection_of(model, slot) =
        (struct model_connection){.family = slot->family, .slots = {step->slot, NOBODY}};
    listener->queue[listener->queued++] = slot->connection;
    model->large = model->large || listener->queued > 1;
}

/* ---- transfers ------------------------------------------------------------------------------- */

static void send_bytes(struct model *model, const struct model_slot *slot, uint32_t length)
{
    struct model_connection *connection = connection_of(model, slot);
    uint32_t peer = 1 - slot->end;
    bool unix_peer = connection->family == ORR_FAMILY_UNIX;
    if (connection->dead || connection->shut_send[slot->end])
        return;
    if (connection->closed[peer] || (connection->shut_receive[peer] && unix_peer) ||
        (connection->shut_receive[peer] && connection->shut_send[peer])) {
        connection->dead = connection->dead || (!unix_peer && length > 0);
        connection->unsettled = true;
        return;
    }
    connection->outstanding[peer] += length;
    connection->carrying = true;
    connection->unsettled = connection->shut_receive[peer];
    model->large = model->large || connection->outstanding[peer] > OUTSTANDING_SMALL;
}

static void send_datagram(struct model *model, struct model_slot *slot, const struct step *step)
{
    uint32_t address = model_datagram_target(model, step);
    bind_by_use(slot);
    model->large = true;
    if (slot->refused) {
        slot->refused = false;
        return;
    }
    if (slot->mute)
        return;
    for (uint32_t i = 1; i < SLOTS && address != 0; i++) {
        struct model_slot *to = &model->slots[i];
        if (to->kind != MODEL_DATAGRAM || to->address != address || to->family != slot->family ||
            (to->peer != 0 && to->peer != slot->address))
            continue;
        to->datagrams++;
        to->datagram_bytes += step->length;
        to->sender = step->slot;
        return;
    }
    slot->refused = slot->peer != 0 && slot->peer == address;
}

static void take_send(struct model *model, const struct step *step)
{
    struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind == MODEL_CONNECTED)
        send_bytes(model, slot, step->length);
    else if (slot->kind == MODEL_DATAGRAM)
        send_datagram(model, slot, step);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void take_shutdown(struct model *model, const struct step *step)
{
    struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind != MODEL_CONNECTED) {
        slot->shut = slot->shut || slot->kind == MODEL_STREAM || step->kind != ORR_SHUTDOWN_SEND;
        slot->mute =
            slot->mute || (slot->kind == MODEL_DATAGRAM && step->kind != ORR_SHUTDOWN_RECV);
        return;
    }
    struct model_connection *connection = connection_of(model, slot);
    if (step->kind != ORR_SHUTDOWN_SEND)
        connection->shut_receive[slot->end] = true;
    if (step->kind != ORR_SHUTDOWN_RECV)
        connection->shut_send[slot->end] = true;
    connection->unsettled = true;
}

static void close_connected(struct model *model, struct model_slot *slot)
{
    struct model_connection *connection = connection_of(model, slot);
    connection->closed[slot->end] = true;
    connection->slots[slot->end] = NOBODY;
    connection->dead = connection->dead || connection->outstanding[slot->end] > 0;
    connection->unsettled = true;
}

static void take_close(struct model *model, const struct step *step)
{
    struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind == MODEL_CONNECTED)
        close_connected(model, slot);
    for (uint32_t i = 0; slot->kind == MODEL_LISTENER && i < slot->queued; i++) {
        struct model_connection *connection = &model->connections[slot->queue[i]];
        connection->dead = connection->unsettled = true;
    }
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        struct model_pending *pending = &model->pending[i];
        if (pending->in_flight && pending->step.slot == step->slot &&
            pending->step.op != STEP_TIMEOUT)
            pending->ended = pending->canceled = true;
    }
    *slot = (struct model_slot){
        .address = slot->address, .family = slot->family, .by_path = slot->by_path};
}

static void take_cancel(struct model *model, const struct step *step, uint32_t at)
{
    struct model_pending *target = &model->pending[at - step->other];
    if (target->in_flight)
        target->ended = target->canceled = true;
}

/* ---- steps and waits ------------------------------------------------------------------------- */

void model_take(struct model *model, const struct step *asked, uint32_t at)
{
    const struct step taken = model_step(model, asked);
    const struct step *step = &taken;
    model->quiet = false;
    model->pending[at] = (struct model_pending){.in_flight = step_submits(step->op), .step = taken};
    switch (step->op) {
    case STEP_SOCKET:
        take_socket(model, step);
        break;
    case STEP_BIND:
        take_bind(model, step);
        break;
    case STEP_LISTEN:
        take_listen(model, step);
        break;
    case STEP_CONNECT:
        take_connect(model, step);
        break;
    case STEP_SEND:
    case STEP_SEND_ALL:
    case STEP_SEND_TO:
        take_send(model, step);
        break;
    case STEP_SHUTDOWN:
        take_shutdown(model, step);
        break;
    case STEP_CLOSE:
        model->pending[at].in_flight = false;
        take_close(model, step);
        model->pending[at].in_flight = true;
        break;
    case STEP_CANCEL:
        take_cancel(model, step, at);
        break;
    case STEP_RENAME:
    case STEP_UNLINK:
        model->names_changed++;
        break;
    default:
        break;
    }
}

static void accepted(struct model *model, const struct step *step)
{
    struct model_slot *listener = &model->slots[step->slot];
    if (listener->kind != MODEL_LISTENER || listener->queued == 0)
        return;
    struct model_connection *connection = &model->connections[listener->queue[0]];
    model->slots[step->other] = (struct model_slot){.kind = MODEL_CONNECTED,
                                                    .family = listener->family,
                                                    .address = 0,
                                                    .connection = listener->queue[0],
                                                    .end = 1};
    connection->slots[1] = step->other;
    listener->queued--;
    memmove(&listener->queue[0], &listener->queue[1], listener->queued * sizeof listener->queue[0]);
}

static void received(struct model *model, const struct step *step)
{
    struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind == MODEL_DATAGRAM && slot->refused) {
        slot->refused = false;
    } else if (slot->kind == MODEL_DATAGRAM && slot->datagrams > 0) {
        if (--slot->datagrams == 0)
            slot->datagram_bytes = 0;
    } else if (slot->kind == MODEL_CONNECTED) {
        uint32_t *there = &connection_of(model, slot)->outstanding[slot->end];
        *there -= step->length < *there ? step->length : *there;
    }
}

void model_waited(struct model *model)
{
    bool ends[STEPS_MAX];
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        ends[i] = model_can_end(model, i);
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        struct model_pending *pending = &model->pending[i];
        if (!ends[i])
            continue;
        pending->in_flight = false;
        if (pending->canceled)
            continue;
        if (pending->step.op == STEP_ACCEPT)
            accepted(model, &pending->step);
        else if (step_receives(pending->step.op))
            received(model, &pending->step);
    }
}

void model_settled(struct model *model)
{
    model->quiet = true;
    for (uint32_t i = 0; i < model->connection_count; i++)
        model->connections[i].unsettled = model->connections[i].carrying = false;
}

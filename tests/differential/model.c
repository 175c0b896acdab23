/*
 * model.c: see model.h. Three questions for each step: does something in flight conflict with it
 * (then wait for that; what cannot end is left, and may still forbid it), is something on its way
 * that decides its result (then let it arrive), and would it wait for something that never comes
 * (allowed for what receives, accepts and polls; refused for what sends and connects).
 */
#include "model.h"

#include <string.h>

#define OUTSTANDING_MAX 12000u /* fits into the buffers of every backend, however the world draws */
#define DATAGRAM_BYTES_MAX 60000u
#define DATAGRAMS_MAX 8u

void model_init(struct model *model)
{
    memset(model, 0, sizeof *model);
    model->address_count = 1;
}

/* ---- kinds of steps -------------------------------------------------------------------------- */

bool step_receives(uint8_t op)
{
    return op == STEP_RECV || op == STEP_RECV_EXACT || op == STEP_RECV_FROM;
}

bool step_sends(uint8_t op)
{
    return op == STEP_SEND || op == STEP_SEND_ALL || op == STEP_SEND_TO;
}

bool step_is_file(uint8_t op)
{
    return (op >= STEP_READ && op <= STEP_OPEN) || (op >= STEP_STAT && op <= STEP_ALLOCATE) ||
           op == STEP_LIST;
}

struct step step_on_socket(const struct step *step)
{
    struct step taken = *step;
    if (step->op < STEP_READ || step->op > STEP_WRITEV || step->offset != 0)
        return taken;
    bool reads = step->op == STEP_READ || step->op == STEP_READ_EXACT || step->op == STEP_READV;
    if (!reads || step->length > 0) /* a read of nothing does not look at the socket */
        taken.op = reads ? STEP_RECV : STEP_SEND;
    return taken;
}

struct step model_step(const struct model *model, const struct step *step)
{
    return model->slots[step->slot].kind == MODEL_EMPTY ? *step : step_on_socket(step);
}

static bool reads_file(uint8_t op)
{
    return op == STEP_READ || op == STEP_READ_EXACT || op == STEP_READV || op == STEP_STAT ||
           op == STEP_LIST;
}

static bool writes_file(uint8_t op)
{
    return op == STEP_WRITE || op == STEP_WRITE_ALL || op == STEP_WRITEV;
}

static bool has_slot(uint8_t op)
{
    return op != STEP_TIMEOUT && op != STEP_TICK && op != STEP_CANCEL && op < STEP_WAIT;
}

static bool fills_other(uint8_t op)
{
    return op == STEP_OPEN || op == STEP_ACCEPT;
}

/* The slot that the step fills, or NOBODY. */
static uint32_t filled_slot(const struct step *step)
{
    if (step->op == STEP_SOCKET)
        return step->slot;
    return fills_other(step->op) ? step->other : NOBODY;
}

static bool names_address(const struct step *step)
{
    return step->op == STEP_BIND || step->op == STEP_CONNECT || step->op == STEP_SEND_TO;
}

/* ---- conflicts ------------------------------------------------------------------------------- */

static bool ranges_meet(const struct step *a, const struct step *b)
{
    return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

/* All files and names are one thing: what changes it goes alone, but for writes to different places
 * (in any file: two handles may be of the same one). */
static bool files_conflict(const struct step *a, const struct step *b)
{
    if (reads_file(a->op) && reads_file(b->op))
        return false;
    if (writes_file(a->op) && writes_file(b->op))
        return ranges_meet(a, b);
    bool syncs = a->op == STEP_FSYNC || a->op == STEP_FDATASYNC || b->op == STEP_FSYNC ||
                 b->op == STEP_FDATASYNC;
    bool bytes = reads_file(a->op) || writes_file(a->op) || reads_file(b->op) || writes_file(b->op);
    return !syncs || !bytes;
}

/* The slots that a step looks at or changes. */
static uint32_t slots_of(const struct step *step)
{
    uint32_t slots = has_slot(step->op) ? 1u << step->slot : 0;
    if (fills_other(step->op) || names_address(step))
        slots |= 1u << step->other;
    return slots & ~1u; /* the program's directory stays as it is */
}

static const struct model_slot *connected(const struct model *model, uint32_t slot)
{
    return model->slots[slot].kind == MODEL_CONNECTED ? &model->slots[slot] : NULL;
}

static bool on_one_connection(const struct model *model, const struct step *a, const struct step *b)
{
    const struct model_slot *first = connected(model, a->slot);
    const struct model_slot *second = connected(model, b->slot);
    return has_slot(a->op) && has_slot(b->op) && first != NULL && second != NULL &&
           first->connection == second->connection;
}

/* Looks at files or names. */
static bool looks_at_files(const struct model *model, const struct step *step)
{
    return step_is_file(step->op) || ((step->op == STEP_BIND || step->op == STEP_CONNECT) &&
                                      model->slots[step->slot].family == ORR_FAMILY_UNIX);
}

/* The close of a listener ends the connections that nobody has accepted. */
static bool ends_other(const struct model *model, const struct step *closes,
                       const struct step *other)
{
    const struct model_slot *listener = &model->slots[closes->slot];
    const struct model_slot *slot = has_slot(other->op) ? connected(model, other->slot) : NULL;
    if (closes->op != STEP_CLOSE || listener->kind != MODEL_LISTENER || slot == NULL)
        return false;
    for (uint32_t i = 0; i < listener->queued; i++)
        if (listener->queue[i] == slot->connection)
            return true;
    return false;
}

/* Where a datagram goes while its target is being closed, nobody knows. */
static bool may_end_target(const struct model *model, const struct step *closes,
                           const struct step *sends)
{
    return closes->op == STEP_CLOSE && step_sends(sends->op) &&
           model->slots[sends->slot].kind == MODEL_DATAGRAM;
}

static bool conflict(const struct model *model, const struct step *a, const struct step *b)
{
    if (ends_other(model, a, b) || ends_other(model, b, a))
        return true;
    if (may_end_target(model, a, b) || may_end_target(model, b, a))
        return true;
    if (looks_at_files(model, a) && looks_at_files(model, b) && files_conflict(a, b))
        return true;
    bool transfers =
        (step_sends(a->op) || step_receives(a->op)) && (step_sends(b->op) || step_receives(b->op));
    if (on_one_connection(model, a, b))
        return !transfers || (a->slot == b->slot && step_sends(a->op) == step_sends(b->op));
    bool both_files = step_is_file(a->op) && step_is_file(b->op);
    uint32_t shared = slots_of(a) & slots_of(b);
    if (both_files && !fills_other(a->op) && !fills_other(b->op))
        return false;
    return shared != 0;
}

static const struct model_connection *connection_of(const struct model *model,
                                                    const struct model_slot *slot)
{
    return &model->connections[slot->connection];
}

/* Whether a step may be taken although this operation waits, and goes on waiting. */
static bool goes_beside(const struct model *model, const struct step *step,
                        const struct model_pending *waiting)
{
    const struct step *other = &waiting->step;
    bool own = has_slot(other->op) && other->slot == step->slot;
    switch (step->op) {
    case STEP_CLOSE: /* it is canceled, or hears of the peer's end; without a part of its bytes */
        return !model_is_partial(model, (uint32_t)(waiting - model->pending)) &&
               !(fills_other(other->op) && other->other == step->slot);
    case STEP_SHUTDOWN:
        return !model_is_partial(model, (uint32_t)(waiting - model->pending)) &&
               step_receives(other->op) && model->slots[step->slot].kind == MODEL_CONNECTED;
    case STEP_CONNECT:
        return !own && other->slot == step->other; /* accept, poll of the listener */
    case STEP_SEND_TO:
        return !own;
    case STEP_SEND:
    case STEP_SEND_ALL:
        return !own || other->op != STEP_POLL;
    case STEP_LOCAL:
    case STEP_PEER:
    case STEP_OPTION_GET:
        return true;
    default:
        return false;
    }
}

static enum model_verdict admit_beside(const struct model *model, const struct step *step)
{
    bool refused = false;
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        if (!model->pending[i].in_flight || !conflict(model, step, &model->pending[i].step))
            continue;
        if (model_can_end(model, i))
            return MODEL_WAIT;
        refused = refused || !goes_beside(model, step, &model->pending[i]);
    }
    return refused ? MODEL_SKIP : MODEL_GO;
}

/* ---- what can end ---------------------------------------------------------------------------- */

/* A receive on this end has something to say besides bytes. */
static bool has_end(const struct model_connection *connection, uint32_t end)
{
    return connection->dead || connection->shut_receive[end] || connection->shut_send[1 - end] ||
           connection->closed[1 - end];
}

static bool hangs_up(const struct model_connection *connection, uint32_t end)
{
    bool unix_peer = connection->family == ORR_FAMILY_UNIX && connection->shut_receive[1 - end];
    bool receive = connection->shut_receive[end] || connection->shut_send[1 - end];
    bool send = connection->shut_send[end] || unix_peer;
    return connection->dead || (receive && send) ||
           (connection->family == ORR_FAMILY_UNIX && connection->closed[1 - end]);
}

bool model_is_partial(const struct model *model, uint32_t at)
{
    const struct step *step = &model->pending[at].step;
    const struct model_slot *slot = &model->slots[step->slot];
    if (!model->pending[at].in_flight || step->op != STEP_RECV_EXACT ||
        slot->kind != MODEL_CONNECTED)
        return false;
    uint32_t there = connection_of(model, slot)->outstanding[slot->end];
    return there > 0 && there < step->length;
}

static bool receive_ends(const struct model *model, const struct step *step)
{
    const struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind == MODEL_DATAGRAM)
        return slot->datagrams > 0 || slot->refused || slot->shut;
    if (slot->kind != MODEL_CONNECTED)
        return true;
    const struct model_connection *connection = connection_of(model, slot);
    /* Also one that asks for nothing waits for a byte: so do kernels. */
    uint32_t enough = step->op == STEP_RECV_EXACT && step->length > 0 ? step->length : 1;
    return connection->outstanding[slot->end] >= enough || has_end(connection, slot->end);
}

static bool poll_ends(const struct model *model, const struct step *step)
{
    const struct model_slot *slot = &model->slots[step->slot];
    bool in = (step->flags & ORR_POLL_IN) != 0;
    bool out = (step->flags & ORR_POLL_OUT) != 0;
    switch (slot->kind) {
    case MODEL_LISTENER:
        return (in && slot->queued > 0) || slot->shut;
    case MODEL_DATAGRAM:
        return out || (in && slot->datagrams > 0) || slot->refused || slot->shut;
    case MODEL_CONNECTED: {
        const struct model_connection *connection = connection_of(model, slot);
        bool bytes = connection->outstanding[slot->end] > 0 || has_end(connection, slot->end);
        return out || (in && bytes) || hangs_up(connection, slot->end);
    }
    default:
        return true;
    }
}

static bool accept_ends(const struct model *model, const struct step *step)
{
    const struct model_slot *slot = &model->slots[step->slot];
    return slot->kind != MODEL_LISTENER || slot->queued > 0;
}

bool model_can_end(const struct model *model, uint32_t at)
{
    const struct model_pending *pending = &model->pending[at];
    if (!pending->in_flight)
        return false;
    if (pending->ended)
        return true;
    switch (pending->step.op) {
    case STEP_RECV:
    case STEP_RECV_EXACT:
    case STEP_RECV_FROM:
        return receive_ends(model, &pending->step);
    case STEP_ACCEPT:
        return accept_ends(model, &pending->step);
    case STEP_POLL:
        return poll_ends(model, &pending->step);
    case STEP_TIMEOUT:
        return pending->step.length < TIMEOUT_FOR_EVER;
    default:
        return true;
    }
}

/* ---- admission ------------------------------------------------------------------------------- */

static uint32_t listener_at(const struct model *model, uint32_t address)
{
    for (uint32_t i = 1; i < SLOTS; i++)
        if (model->slots[i].kind == MODEL_LISTENER && model->slots[i].address == address)
            return i;
    return NOBODY;
}

static bool is_guessed(const struct model *model, uint32_t address)
{
    return (model->guessed >> address & 1) != 0;
}

uint32_t model_datagram_target(const struct model *model, const struct step *step)
{
    uint32_t named = model->slots[step->other].address;
    if (step->op == STEP_SEND_TO && step->other != step->slot && named != 0)
        return named;
    return model->slots[step->slot].peer;
}

static bool has_room(const struct model_slot *listener)
{
    return listener->queued <= listener->backlog && listener->queued < QUEUE_MAX;
}

/* Whether it is certain what a connect by a name among the files meets: nobody, or a listener whose
 * name has not moved. */
static bool knows_name(const struct model *model, const struct step *step, uint32_t listener)
{
    if (step->kind != BY_PATH && !model->slots[step->other].by_path)
        return true;
    if (listener != NOBODY)
        return model->slots[listener].names == model->names_changed;
    for (uint32_t i = 1; i < SLOTS; i++)
        if (model->slots[i].kind == MODEL_LISTENER && model->slots[i].by_path)
            return false;
    return true;
}

static enum model_verdict admit_connect(const struct model *model, const struct step *step)
{
    const struct model_slot *slot = &model->slots[step->slot];
    const struct model_slot *target = &model->slots[step->other];
    uint32_t listener = step->kind == BY_PATH ? NOBODY : listener_at(model, target->address);
    if (slot->kind == MODEL_DATAGRAM && target->address != 0 && target->family != slot->family)
        return MODEL_SKIP; /* an IPv6 socket may have an IPv4 peer */
    if (slot->kind == MODEL_DATAGRAM && target->guess && target->address == 0)
        return MODEL_SKIP; /* whom it would have as a peer is not known */
    if (slot->kind == MODEL_DATAGRAM && !model->quiet)
        return MODEL_SETTLE; /* it may be told of what was sent before */
    if (slot->kind != MODEL_STREAM)
        return MODEL_GO;
    if (!knows_name(model, step, listener))
        return MODEL_SKIP;
    if (slot->shut || slot->guess || is_guessed(model, target->address) ||
        (slot->address != 0 && slot->address == target->address))
        return MODEL_SKIP;
    if (listener == NOBODY || model->slots[listener].family != slot->family)
        return MODEL_GO;
    if (model->slots[listener].shut || !has_room(&model->slots[listener]))
        return MODEL_SKIP;
    bool alone = model->slots[listener].queued == 0 || model->quiet;
    return alone ? MODEL_GO : MODEL_SETTLE; /* else they may arrive in any order */
}

static enum model_verdict admit_send_datagram(const struct model *model, const struct step *step)
{
    for (uint32_t i = 1; i < SLOTS; i++) {
        const struct model_slot *to = &model->slots[i];
        if (to->kind != MODEL_DATAGRAM)
            continue;
        if (to->datagrams >= DATAGRAMS_MAX ||
            to->datagram_bytes + step->length > DATAGRAM_BYTES_MAX)
            return MODEL_SKIP;
        if (to->datagrams > 0 && to->sender != step->slot && !model->quiet)
            return MODEL_SETTLE;
    }
    const struct model_slot *other = &model->slots[step->other];
    bool strange = other->address != 0 && other->family != model->slots[step->slot].family;
    bool unknown = step->op == STEP_SEND_TO && (strange || (other->guess && other->address == 0));
    return unknown || is_guessed(model, model_datagram_target(model, step)) ? MODEL_SKIP : MODEL_GO;
}

static bool receives(const struct model *model, uint32_t slot)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        if (model->pending[i].in_flight && step_receives(model->pending[i].step.op) &&
            model->pending[i].step.slot == slot)
            return true;
    return false;
}

static enum model_verdict admit_send(const struct model *model, const struct step *step)
{
    const struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind == MODEL_DATAGRAM)
        return slot->refused && !model->quiet ? MODEL_SETTLE : admit_send_datagram(model, step);
    if (slot->kind != MODEL_CONNECTED)
        return MODEL_GO;
    const struct model_connection *connection = connection_of(model, slot);
    if (step->op == STEP_SEND_TO && step->other != step->slot)
        return MODEL_SKIP; /* a Unix stream takes no address, if the other has one */
    if (connection->unsettled)
        return MODEL_SETTLE;
    if (connection->shut_receive[1 - slot->end] &&
        receives(model, connection->slots[1 - slot->end]))
        return MODEL_WAIT; /* it ends without these bytes, or with them */
    if (step->op != STEP_SEND_ALL && step->length > 1)
        return MODEL_SKIP; /* how much of it goes at once is the system's business */
    if (step->length > 1 && connection->family != ORR_FAMILY_UNIX && !connection->dead &&
        (connection->closed[1 - slot->end] ||
         (connection->shut_receive[1 - slot->end] && connection->shut_send[1 - slot->end])))
        return MODEL_SKIP; /* how much of it goes before the answer comes is, too */
    bool fits = connection->outstanding[1 - slot->end] + step->length <= OUTSTANDING_MAX;
    return fits ? MODEL_GO : MODEL_SKIP;
}

static enum model_verdict admit_receive(const struct model *model, const struct step *step)
{
    const struct model_slot *slot = &model->slots[step->slot];
    if (slot->kind == MODEL_DATAGRAM && step->op == STEP_RECV_EXACT && step->length > 1)
        return MODEL_SKIP; /* it takes datagram after datagram until it has enough */
    if (slot->kind == MODEL_DATAGRAM)
        return (slot->refused || slot->shut) && !model->quiet ? MODEL_SETTLE : MODEL_GO;
    if (slot->kind != MODEL_CONNECTED)
        return MODEL_GO;
    const struct model_connection *connection = connection_of(model, slot);
    if (connection->unsettled)
        return MODEL_SETTLE;
    if (step->op != STEP_RECV_EXACT && step->length > 1 &&
        (connection->outstanding[slot->end] > 1 || !has_end(connection, slot->end)))
        return MODEL_SKIP; /* the same */
    return MODEL_GO;
}

/* A cancel of what can end races with its end. */
static enum model_verdict admit_cancel(const struct model *model, const struct step *step,
                                       uint32_t at)
{
    if (step->other == 0 || step->other > at)
        return MODEL_SKIP;
    const struct model_pending *target = &model->pending[at - step->other];
    if (!step_submits(target->step.op))
        return MODEL_SKIP; /* not a submit, or skipped */
    if (!target->in_flight)
        return MODEL_GO;
    if (model_can_end(model, at - step->other))
        return MODEL_WAIT;
    return model_is_partial(model, at - step->other) ? MODEL_SKIP : MODEL_GO;
}

static bool fillable(const struct model *model, const struct step *step)
{
    uint32_t filled = filled_slot(step);
    return filled == NOBODY || (filled != 0 && model->slots[filled].kind == MODEL_EMPTY);
}

/* What looks at a connection, or ends a side of it, wants to know where that stands. */
static bool wants_settled(const struct model *model, const struct step *step)
{
    const struct model_slot *slot = &model->slots[step->slot];
    if (!has_slot(step->op) || filled_slot(step) == step->slot)
        return false;
    if (slot->kind != MODEL_CONNECTED)
        return false;
    bool ends = step->op == STEP_CLOSE || step->op == STEP_SHUTDOWN;
    return connection_of(model, slot)->unsettled || (ends && connection_of(model, slot)->carrying);
}

/* What has arrived and what has not would show. */
static bool polls_in(const struct model *model, const struct step *step)
{
    return step->op == STEP_POLL && model->slots[step->slot].kind != MODEL_EMPTY && !model->quiet;
}

/* What it does to a listener's queue differs between families and kernels. */
static enum model_verdict admit_listener(const struct model *model, const struct step *step)
{
    const struct model_slot *slot = &model->slots[step->slot];
    if (step->op == STEP_SHUTDOWN)
        return slot->kind == MODEL_LISTENER ? MODEL_SKIP : MODEL_GO;
    return slot->guess || slot->shut || slot->was_refused ? MODEL_SKIP : MODEL_GO;
}

static enum model_verdict admit_op(const struct model *model, const struct step *step, uint32_t at)
{
    switch (step->op) {
    case STEP_CONNECT:
        return admit_connect(model, step);
    case STEP_SEND:
    case STEP_SEND_ALL:
    case STEP_SEND_TO:
        return admit_send(model, step);
    case STEP_RECV:
    case STEP_RECV_EXACT:
    case STEP_RECV_FROM:
        return admit_receive(model, step);
    case STEP_CANCEL:
        return admit_cancel(model, step, at);
    case STEP_LISTEN:
    case STEP_SHUTDOWN:
        return admit_listener(model, step);
    case STEP_NONE:
        return MODEL_SKIP;
    default:
        return MODEL_GO;
    }
}

enum model_verdict model_admit(const struct model *model, const struct step *asked, uint32_t at)
{
    const struct step taken = model_step(model, asked);
    const struct step *step = &taken;
    if (!fillable(model, step))
        return MODEL_SKIP;
    enum model_verdict verdict = admit_beside(model, step);
    if (verdict == MODEL_GO)
        verdict = admit_op(model, step, at);
    if (verdict == MODEL_GO && wants_settled(model, step))
        verdict = MODEL_SETTLE;
    if (verdict == MODEL_GO && polls_in(model, step))
        verdict = MODEL_SETTLE;
    for (uint32_t i = 0; verdict == MODEL_SETTLE && i < STEPS_MAX; i++)
        if (model_can_end(model, i))
            return MODEL_WAIT;
    return verdict;
}

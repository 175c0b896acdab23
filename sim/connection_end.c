/*
 * connection_end.c: how a connection ends: orderly close, reset, retransmission that is given up,
 * and peers that vanish. How it begins stands in connection.c.
 *
 * Resets follow the kernel's sk_err: the error is reported once, by whichever operation looks
 * first; afterwards recv gives 0 and send -EPIPE. Bytes that arrived before the reset can still be
 * read.
 *
 * A node that lost power answers nothing. What is sent to it is sent again until it has booted,
 * and then it answers RST; after about 15 minutes the sender gives up with -ETIMEDOUT, or with what
 * it has heard of the way there meanwhile, for a connection does not end by that alone.
 */
#include "network.h"

#include <errno.h>

#define RETRANSMIT_FIRST_NS (200 * ORR_MILLISECOND)
#define RETRANSMIT_MAX_NS (120 * ORR_SECOND)
#define RETRANSMIT_DOUBLINGS_MAX 9u
#define RETRIES_MAX 15u
#define RETRIES_ORPHAN_MAX 8u
#define KEEP_ALIVE_NS (7200 * ORR_SECOND)
#define KEEP_ALIVE_PAUSE_NS (75 * ORR_SECOND)
#define KEEP_ALIVE_QUESTIONS 9u

/* The end takes no part any more: no byte leaves or is expected, and its operations end. */
void orr__end_shut_down(struct orr__end *end, int error)
{
    end->state = ORR__END_CLOSED;
    end->error = error;
    end->shut_receive = true;
    end->shut_send = true;
    end->out.written = end->out.sent;
    if (end->socket != NULL && end->socket->connecting != NULL) {
        if (!orr__socket_hears_twice(end->socket))
            end->error = 0; /* the connect reports it */
        orr__socket_connected(end->socket, error);
    }
    orr__stream_wake(end);
}

/* ---- resets ---------------------------------------------------------------------------------- */

static void record_reset(struct orr_world *world, const struct orr__link *link,
                         enum orr__record_kind kind, uint64_t occurrence)
{
    struct orr__message message = {.link = link, .number = occurrence};
    orr__record_message(world, kind, &message, "RST");
}

static void reset_arrives(struct orr_world *world, void *object, uint64_t occurrence)
{
    struct orr__end *end = object;
    struct orr__connection *connection = end->connection;
    const struct orr__link *link = end->peer->out.link;
    orr__trace_hash(world, ORR__NET_RESET, link->id, occurrence, 0);
    if (orr__stack_is_up(end->stack)) {
        record_reset(world, link, ORR__RECORD_ARRIVE, occurrence);
        orr__end_reset(end);
    }
    orr__connection_release(connection);
}

static void left_alone(struct orr__end *end);

/* A RST that answers something is provoked again by its retransmission; one sent on its own is
 * just lost. */
static void reset_lost(struct orr__end *end, bool answers)
{
    enum orr__end_state state = orr__end_state(end);
    if (answers && state == ORR__END_CONNECTING)
        orr__connection_syn_lost(end->connection, "the answer's link is cut");
    else if (answers && state == ORR__END_OPEN)
        orr__end_lose(end);
    else if (state == ORR__END_OPEN)
        left_alone(end);
}

void orr__end_send_reset(struct orr__end *from, bool answers)
{
    struct orr__connection *connection = from->connection;
    struct orr_world *world = connection->world;
    struct orr__link *link = from->out.link;
    uint64_t occurrence = link->segments++;
    bool chosen = connection->severed; /* gets through whatever happens */
    if (!chosen && orr__link_is_cut(world, link)) {
        reset_lost(from->peer, answers);
        return;
    }
    record_reset(world, link, ORR__RECORD_SEND, occurrence);
    if (orr__arrives_at_once(from, occurrence)) {
        connection->references++;
        reset_arrives(world, from->peer, occurrence);
        return;
    }
    uint64_t at_ns = orr__now(world) + orr__link_delay(world, link, false, occurrence, 0);
    if (at_ns <= from->out.arrival_ns)
        at_ns = from->out.arrival_ns + 1;
    from->out.arrival_ns = at_ns;
    orr__connection_schedule(connection, at_ns, reset_arrives, from->peer, occurrence);
}

void orr__end_reset(struct orr__end *end)
{
    struct orr__connection *connection = end->connection;
    switch (orr__end_state(end)) {
    case ORR__END_CLOSED:
        break;
    case ORR__END_CONNECTING:
        orr__end_shut_down(end, ECONNREFUSED);
        break;
    case ORR__END_HALF_OPEN:
        orr__connection_leave_listener(connection);
        end->state = ORR__END_CLOSED;
        orr__connection_release(connection);
        break;
    case ORR__END_OPEN:
        if (!orr__end_is_finished(end))
            orr__end_shut_down(end, end->fin_received && !end->shut_send ? EPIPE : ECONNRESET);
        break;
    }
}

/* ---- closing --------------------------------------------------------------------------------- */

/* Unix sockets learn of it at once, and lose nothing that was sent. */
void orr__end_hang_up(struct orr__end *end, bool unread)
{
    struct orr__end *peer = end->peer;
    end->state = ORR__END_CLOSED;
    if (peer->state != ORR__END_OPEN)
        return;
    peer->shut_receive = true;
    peer->shut_send = true;
    if (unread)
        peer->error = ECONNRESET;
    orr__stream_wake(peer);
}

static void send_fin(struct orr__end *end)
{
    if (end->shut_send)
        return;
    end->shut_send = true;
    end->closed_first = !end->fin_received;
    orr__stream_transmit(end);
}

void orr__end_close(struct orr__end *end)
{
    bool unread = orr__stream_readable(end) > 0;
    end->socket = NULL;
    if (end->connection->instant) {
        orr__end_hang_up(end, unread);
        return;
    }
    if (orr__end_state(end) != ORR__END_OPEN) {
        end->state = ORR__END_CLOSED;
    } else if (unread && !orr__end_is_finished(end)) {
        end->state = ORR__END_CLOSED;
        orr__end_send_reset(end, false);
    } else { /* the system goes on to send what was written, and the FIN */
        end->shut_receive = true;
        send_fin(end);
    }
}

static int shutdown_instant(struct orr__end *end, bool receive, bool send)
{
    struct orr__end *peer = end->peer;
    end->shut_receive = end->shut_receive || receive;
    end->shut_send = end->shut_send || send;
    peer->shut_send = peer->shut_send || receive;
    peer->shut_receive = peer->shut_receive || send;
    orr__stream_wake(end);
    orr__stream_wake(peer);
    return 0;
}

int orr__end_shutdown(struct orr__end *end, enum orr_shutdown how)
{
    bool receive = how != ORR_SHUTDOWN_SEND;
    bool send = how != ORR_SHUTDOWN_RECV;
    if (end->connection->instant)
        return shutdown_instant(end, receive, send);
    switch (orr__end_state(end)) {
    case ORR__END_CONNECTING:
        orr__end_shut_down(end, ECONNRESET);
        return 0;
    case ORR__END_OPEN:
        break;
    default:
        return -ENOTCONN;
    }
    bool finished = orr__end_is_finished(end);
    end->shut_receive = end->shut_receive || receive;
    if (send)
        send_fin(end);
    orr__stream_wake(end);
    return finished ? -ENOTCONN : 0;
}

/* ---- loss and retransmission ----------------------------------------------------------------- */

static uint64_t retransmit_after(uint32_t retries)
{
    return retries > RETRANSMIT_DOUBLINGS_MAX ? RETRANSMIT_MAX_NS : RETRANSMIT_FIRST_NS << retries;
}

/* The way there and back is open, and somebody is there to answer. */
static bool path_is_clear(const struct orr__end *end)
{
    const struct orr_world *world = end->connection->world;
    return !orr__link_is_cut(world, end->out.link) &&
           !orr__link_is_cut(world, end->peer->out.link) && orr__stack_is_up(end->peer->stack);
}

/* All that was sent is there: an answer to it is an answer to all. */
static bool all_has_arrived(const struct orr__flow *flow)
{
    return flow->sent == flow->arrived && flow->hello_sent == flow->hello_arrived &&
           flow->fin_sent == flow->fin_arrived;
}

static void send_again(struct orr__end *end)
{
    orr__stream_resume(end);
    if (!end->out.stalled && all_has_arrived(&end->out))
        orr__end_heard(end);
}

static void give_up(struct orr__end *end)
{
    int error = orr__end_unreachable(end);
    orr__record_text(end->connection->world, end->stack->node,
                     "gives up: nothing was acknowledged");
    orr__end_shut_down(end, error != 0 ? error : ETIMEDOUT);
}

static void retransmit(struct orr_world *world, void *object, uint64_t retries)
{
    struct orr__end *end = object;
    struct orr__flow *flow = &end->out;
    struct orr__connection *connection = end->connection;
    uint32_t retries_max = end->socket != NULL ? RETRIES_MAX : RETRIES_ORPHAN_MAX;
    bool waits = flow->stalled || flow->unheard;
    orr__trace_hash(world, ORR__NET_RETRANSMIT, flow->link->id, retries, 0);
    flow->timed = false;
    flow->stalled = false;
    if (orr__end_state(end) != ORR__END_OPEN || !waits) {
        /* nothing is left to send */
    } else if (flow->retries++ >= retries_max) {
        give_up(end);
    } else if (!path_is_clear(end)) {
        orr__end_stall(end);
    } else if (orr__end_state(end->peer) == ORR__END_CLOSED) {
        orr__end_send_reset(end->peer, true);
    } else {
        send_again(end);
    }
    orr__connection_release(connection);
}

static void appoint_retransmission(struct orr__end *end)
{
    struct orr__connection *connection = end->connection;
    struct orr__flow *flow = &end->out;
    if (flow->timed)
        return;
    flow->timed = true;
    orr__connection_schedule(connection,
                             orr__now(connection->world) + retransmit_after(flow->retries),
                             retransmit, end, flow->retries);
}

void orr__end_stall(struct orr__end *end)
{
    if (end->connection->severed)
        return;
    end->out.stalled = true;
    appoint_retransmission(end);
}

void orr__end_heard(struct orr__end *end)
{
    end->out.unheard = false;
    end->out.retries = 0;
}

void orr__end_unheard(struct orr__end *end)
{
    const struct orr__connection *connection = end->connection;
    if (connection->instant || connection->severed)
        return;
    if (!end->out.unheard && orr__tracing(connection->world))
        orr__record_text(connection->world, end->peer->stack->node,
                         "acknowledges %s: lost, the link is cut", end->out.link->name);
    end->out.unheard = true;
    appoint_retransmission(end);
}

void orr__end_lose(struct orr__end *end)
{
    struct orr__flow *flow = &end->out;
    flow->epoch++;
    flow->sent = flow->arrived;
    flow->hello_sent = flow->hello_arrived;
    flow->fin_sent = flow->fin_arrived;
    orr__end_stall(end);
}

/* ---- keep-alive ------------------------------------------------------------------------------ */

/* When the end asks first: two hours after the last word, or the last answer to that question. */
static uint64_t first_question_ns(const struct orr__end *end)
{
    uint64_t now_ns = orr__now(end->connection->world);
    uint64_t heard_ns = end->connection->begun_ns;
    if (end->peer->out.arrival_ns > heard_ns)
        heard_ns = end->peer->out.arrival_ns;
    if (end->out.arrival_ns > heard_ns)
        heard_ns = end->out.arrival_ns;
    if (heard_ns >= now_ns)
        return heard_ns + KEEP_ALIVE_NS;
    return now_ns + KEEP_ALIVE_NS - (now_ns - heard_ns) % KEEP_ALIVE_NS;
}

static void keep_alive(struct orr_world *world, void *object, uint64_t questions);

static void ask_at(struct orr__end *end, uint64_t at_ns, uint64_t questions)
{
    end->asks = true;
    orr__connection_schedule(end->connection, at_ns, keep_alive, end, questions);
}

/* What is under way asks by itself. */
static void keep_alive(struct orr_world *world, void *object, uint64_t questions)
{
    struct orr__end *end = object;
    struct orr__connection *connection = end->connection;
    orr__trace_hash(world, ORR__NET_KEEP_ALIVE, end->out.link->id, questions, 0);
    end->asks = false;
    if (orr__end_state(end) != ORR__END_OPEN || end->socket == NULL || end->out.timed ||
        !orr__socket_has(end->socket, ORR_SOCKET_KEEP_ALIVE)) {
        /* nobody asks */
    } else if (path_is_clear(end)) {
        if (orr__end_state(end->peer) == ORR__END_CLOSED)
            orr__end_send_reset(end->peer, true);
    } else if (questions == KEEP_ALIVE_QUESTIONS) {
        give_up(end);
    } else {
        ask_at(end, orr__now(world) + KEEP_ALIVE_PAUSE_NS, questions + 1);
    }
    orr__connection_release(connection);
}

/* The peer is gone, or cannot be reached, and this end does not know. With SO_KEEPALIVE it asks. */
static void left_alone(struct orr__end *end)
{
    if (end->socket != NULL && !end->asks && orr__socket_has(end->socket, ORR_SOCKET_KEEP_ALIVE))
        ask_at(end, first_question_ns(end), 0);
}

void orr__stacks_parted(struct orr__stack *a, const struct orr__stack *b)
{
    for (struct orr__connection *connection = a->connections; connection != NULL;
         connection = connection->next)
        for (int i = 0; i < 2; i++)
            if (connection->ends[1].stack == b && !connection->instant &&
                orr__end_state(&connection->ends[i]) == ORR__END_OPEN)
                left_alone(&connection->ends[i]);
}

/* ---- peers that vanish ----------------------------------------------------------------------- */

/* The peer hears nothing; it probes if it waits for room. */
void orr__end_vanish(struct orr__end *end)
{
    struct orr__end *peer = end->peer;
    if (end->state == ORR__END_CLOSED)
        return;
    end->state = ORR__END_CLOSED;
    if (end->connection->instant || orr__end_state(peer) != ORR__END_OPEN)
        return;
    if (peer->out.sent != peer->out.written)
        orr__end_stall(peer);
    left_alone(peer);
}

/* Also those that the system still kept after their sockets were closed. What a listener holds
 * ends with it. */
void orr__connections_vanish(struct orr__stack *of, const struct orr__stack *stack)
{
    for (struct orr__connection *connection = of->connections; connection != NULL;
         connection = connection->next)
        for (int i = 0; i < 2; i++)
            if (connection->ends[i].stack == stack && (i == 0 || connection->listener == NULL))
                orr__end_vanish(&connection->ends[i]);
}

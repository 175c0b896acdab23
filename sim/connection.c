/*
 * connection.c: the life of a connection: handshake, orderly close, reset, and peers that vanish.
 *
 *      connect                                listener
 *      CONNECTING  ---- SYN ---->             (no listener: RST; no room, cut or no power: lost)
 *                  <--- SYN-ACK -             HALF_OPEN
 *      OPEN        ---- hello --->            OPEN, waits to be accepted
 *
 * The hello is the handshake's last packet; it travels as the first segment of its flow. A SYN
 * that is lost is sent again after 1, 3, 7, ... seconds, and -ETIMEDOUT ends it after 127. Resets
 * follow the kernel's sk_err: the error is reported once, by whichever operation looks first;
 * afterwards recv gives 0 and send -EPIPE. Bytes that arrived before the reset can still be read.
 *
 * A node that lost power answers nothing. What is sent to it is sent again until it has booted,
 * and then it answers RST; after about 15 minutes the sender gives up with -ETIMEDOUT.
 */
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYN_TRIES_MAX 7u
#define RETRANSMIT_FIRST_NS (200 * ORR_MILLISECOND)
#define RETRANSMIT_MAX_NS (120 * ORR_SECOND)
#define RETRANSMIT_DOUBLINGS_MAX 9u
#define RETRIES_MAX 15u
#define RETRIES_ORPHAN_MAX 8u
#define KEEP_ALIVE_NS (7200 * ORR_SECOND)

/* ---- memory ---------------------------------------------------------------------------------- */

static struct orr__connection *make_connection(struct orr__stack *stack)
{
    struct orr__connection *connection = stack->connections_free;
    if (connection != NULL)
        stack->connections_free = connection->next;
    else
        connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        orr_fatal("no memory for a connection of node %s", stack->node->name);
    for (int i = 0; i < 2; i++) { /* the rings are used again */
        struct orr__flow ring = {.ring = connection->ends[i].out.ring,
                                 .ring_size = connection->ends[i].out.ring_size};
        connection->ends[i] = (struct orr__end){
            .out = ring, .connection = connection, .peer = &connection->ends[1 - i]};
    }
    connection->stack = stack;
    connection->world = stack->node->world;
    connection->listener = NULL;
    connection->begun_ns = orr__now(connection->world);
    connection->references = 1; /* the socket that connects */
    connection->syn_count = 0;
    connection->instant = false;
    connection->severed = false;
    connection->previous = NULL;
    connection->next = stack->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    stack->connections = connection;
    return connection;
}

void orr__connection_release(struct orr__connection *connection)
{
    orr__assert(connection->references > 0);
    if (--connection->references > 0)
        return;
    struct orr__stack *stack = connection->stack;
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        stack->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    connection->next = stack->connections_free;
    stack->connections_free = connection;
}

static void open_end(struct orr__end *end, struct orr__stack *stack, enum orr__end_state state)
{
    end->stack = stack;
    end->power_losses = stack->power_losses;
    end->state = state;
}

static void link_ends(struct orr__connection *connection, const struct orr__stack *a,
                      const struct orr__stack *b)
{
    connection->ends[0].out.link = orr__world_link(connection->world, a->node, b->node);
    connection->ends[1].out.link = orr__world_link(connection->world, b->node, a->node);
}

bool orr__end_is_finished(const struct orr__end *end)
{
    return end->fin_received && end->out.fin_arrived;
}

/* ---- what a listener holds ------------------------------------------------------------------- */

static void waiting_add(struct orr__waiting *waiting, struct orr__connection *connection)
{
    connection->wait_next = NULL;
    connection->wait_previous = waiting->last;
    if (waiting->last != NULL)
        waiting->last->wait_next = connection;
    else
        waiting->first = connection;
    waiting->last = connection;
    waiting->count++;
}

static void waiting_remove(struct orr__waiting *waiting, struct orr__connection *connection)
{
    if (connection->wait_previous != NULL)
        connection->wait_previous->wait_next = connection->wait_next;
    else
        waiting->first = connection->wait_next;
    if (connection->wait_next != NULL)
        connection->wait_next->wait_previous = connection->wait_previous;
    else
        waiting->last = connection->wait_previous;
    waiting->count--;
}

/* The listener lets go of the connection; its reference stays with the caller. */
static void leave_listener(struct orr__connection *connection)
{
    struct orr__socket *listener = connection->listener;
    orr__assert(listener != NULL);
    bool half_open = connection->ends[1].state == ORR__END_HALF_OPEN;
    waiting_remove(half_open ? &listener->half_open : &listener->arrived, connection);
    connection->listener = NULL;
}

bool orr__end_complete(struct orr__end *end)
{
    struct orr__connection *connection = end->connection;
    struct orr__socket *listener = connection->listener;
    if (!orr__listener_has_room(listener))
        return false;
    waiting_remove(&listener->half_open, connection);
    end->state = ORR__END_OPEN;
    waiting_add(&listener->arrived, connection);
    orr__socket_arrived(listener);
    return true;
}

void orr__listener_hand_over(const struct orr__socket *listener, struct orr__socket *child)
{
    struct orr__connection *connection = child->end->connection;
    orr__assert(connection->listener == listener && &connection->ends[1] == child->end);
    leave_listener(connection); /* its reference is the socket's now */
    child->end->socket = child;
}

static void hang_up(struct orr__end *end, bool unread);

static void stop_one(struct orr__connection *connection, bool vanishes)
{
    struct orr__end *end = &connection->ends[1];
    bool established = end->state == ORR__END_OPEN;
    leave_listener(connection);
    if (vanishes)
        orr__end_vanish(end);
    else if (established && connection->instant)
        hang_up(end, true);
    else if (established)
        orr__end_send_reset(end, false);
    end->state = ORR__END_CLOSED;
    orr__connection_release(connection);
}

void orr__listener_stop(struct orr__socket *listener, bool vanishes)
{
    while (listener->arrived.first != NULL)
        stop_one(listener->arrived.first, vanishes);
    while (listener->half_open.first != NULL)
        stop_one(listener->half_open.first, vanishes);
}

/* The end of the world: whoever still points to the connection must forget it. */
void orr__connection_free(struct orr__connection *connection)
{
    if (connection->references > 0 && connection->listener != NULL)
        leave_listener(connection);
    for (int i = 0; i < 2; i++) {
        struct orr__end *end = &connection->ends[i];
        if (connection->references > 0 && end->socket != NULL)
            end->socket->end = NULL;
        free(end->out.ring);
    }
    free(connection);
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void send_syn(struct orr__connection *connection);

/* What is under way keeps the connection. */
static void schedule(struct orr__connection *connection, uint64_t time_ns, orr__event_run run,
                     void *object, uint64_t a)
{
    connection->references++;
    orr__schedule(connection->world, time_ns, run, NULL, object, a);
}

/* A packet of the handshake: arrives at once, or later. */
static void travel(struct orr__end *from, uint64_t occurrence, orr__event_run run)
{
    struct orr__connection *connection = from->connection;
    struct orr_world *world = connection->world;
    if (orr__arrives_at_once(from, occurrence)) {
        connection->references++;
        run(world, connection, occurrence);
        return;
    }
    uint64_t at_ns = orr__now(world) + orr__link_delay(world, from->out.link, false, occurrence);
    from->out.arrival_ns = at_ns;
    schedule(connection, at_ns, run, connection, occurrence);
}

/* The end takes no part any more: no byte leaves or is expected, and its operations end. */
static void shut_down(struct orr__end *end, int error)
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

static void syn_retry(struct orr_world *world, void *object, uint64_t count)
{
    struct orr__connection *connection = object;
    struct orr__end *end = &connection->ends[0];
    orr__trace_hash(world, ORR__NET_SYN_RETRY, end->stack->node->id, count, 0);
    if (orr__end_state(end) == ORR__END_CONNECTING) {
        connection->syn_count++;
        if (connection->syn_count == SYN_TRIES_MAX) {
            if (orr__tracing(world))
                orr__trace_line(world, end->stack->node->name, "connect to %s timed out",
                                orr__place_text(&end->peer->place));
            shut_down(end, ETIMEDOUT);
        } else {
            send_syn(connection);
        }
    }
    orr__connection_release(connection);
}

/* The SYN (or its answer) did not get through: it is sent again 1, 3, 7, ... seconds after the
 * first. */
static void syn_lost(struct orr__connection *connection, const char *why)
{
    struct orr_world *world = connection->world;
    uint64_t seconds = (UINT64_C(2) << connection->syn_count) - 1;
    uint64_t at_ns = connection->begun_ns + seconds * ORR_SECOND;
    const struct orr__end *end = &connection->ends[0];
    if (orr__tracing(world))
        orr__trace_line(world, end->stack->node->name, "SYN to %s lost: %s",
                        orr__place_text(&end->peer->place), why);
    if (at_ns <= orr__now(world))
        at_ns = orr__now(world) + 1;
    schedule(connection, at_ns, syn_retry, connection, connection->syn_count);
}

static void syn_ack_arrives(struct orr_world *world, void *object, uint64_t occurrence)
{
    struct orr__connection *connection = object;
    struct orr__end *end = &connection->ends[0];
    orr__trace_hash(world, ORR__NET_SYN_ACK, end->peer->out.link->id, occurrence, 0);
    if (orr__end_state(end) == ORR__END_CONNECTING) {
        if (orr__tracing(world))
            orr__trace_line(world, end->out.link->name, "connected to %s",
                            orr__place_text(&end->peer->place));
        end->state = ORR__END_OPEN;
        orr__stream_transmit(end);
        if (end->socket != NULL && !orr__socket_connects_later(end->socket))
            orr__socket_connected(end->socket, 0);
        orr__stream_wake(end);
    } else if (orr__stack_is_up(end->stack)) {
        orr__end_send_reset(end, true);
    }
    orr__connection_release(connection);
}

static void answer_syn(struct orr__connection *connection)
{
    struct orr_world *world = connection->world;
    struct orr__link *link = connection->ends[1].out.link;
    uint64_t occurrence = link->segments++;
    if (orr__link_is_cut(world, link)) {
        syn_lost(connection, "the answer's link is cut");
        return;
    }
    travel(&connection->ends[1], occurrence, syn_ack_arrives);
}

/* Several sockets may listen on one port: the most exact address wins, then a choice as the
 * kernel's hash makes. */
static struct orr__socket *find_listener(const struct orr__end *end)
{
    struct orr__port *port = orr__port_find(end->stack, ORR__TCP, end->place.port);
    struct orr__socket *exact = NULL;
    struct orr__socket *any = NULL;
    uint64_t seen[2] = {0, 0};
    for (struct orr__socket *socket = port != NULL ? port->bound : NULL; socket != NULL;
         socket = socket->port_next) {
        if (!socket->listening || !orr__socket_covers(socket, end->place.ip))
            continue;
        bool is_any = orr__place_is_any(&socket->local);
        struct orr__socket **best = is_any ? &any : &exact;
        uint64_t pick = orr__mix(end->peer->place.port, seen[is_any]++);
        if (*best == NULL || pick % seen[is_any] == 0)
            *best = socket;
    }
    return exact != NULL ? exact : any;
}

static void refuse(struct orr__connection *connection, const char *why)
{
    struct orr__end *end = &connection->ends[1];
    if (orr__tracing(connection->world))
        orr__trace_line(connection->world, end->peer->out.link->name, "connection refused: %s %s",
                        why, orr__place_text(&end->place));
    if (orr__arrives_at_once(end, end->out.link->segments)) {
        end->out.link->segments++;
        orr__end_reset(end->peer);
    } else {
        orr__end_send_reset(end, true);
    }
}

static void hold_half_open(struct orr__connection *connection, struct orr__socket *listener,
                           uint64_t occurrence)
{
    struct orr__end *end = &connection->ends[1];
    open_end(end, end->stack, ORR__END_HALF_OPEN);
    end->out.hello_sent = end->out.hello_arrived = true;
    connection->listener = listener;
    connection->references++;
    waiting_add(&listener->half_open, connection);
    orr__stream_buffers(connection, listener, occurrence);
}

static void syn_arrives(struct orr_world *world, void *object, uint64_t occurrence)
{
    struct orr__connection *connection = object;
    struct orr__end *end = &connection->ends[1];
    const struct orr__link *link = end->peer->out.link;
    orr__trace_hash(world, ORR__NET_SYN, link->id, occurrence, end->place.port);
    struct orr__socket *listener = find_listener(end);
    if (orr__end_state(end->peer) != ORR__END_CONNECTING) {
        /* the connect was given up meanwhile */
    } else if (!orr__stack_is_up(end->stack)) {
        syn_lost(connection, "the node is down");
    } else if (link != end->out.link &&
               orr__strikes(world, ORR_FAMILY_CONNECTION, ORR__SITE_REFUSE, link->id, occurrence)) {
        orr__fault(world, ORR_FAMILY_CONNECTION, orr__link_subject(link, false), occurrence,
                   "connection refused");
        refuse(connection, "by choice, at");
    } else if (orr__end_state(end) == ORR__END_HALF_OPEN) {
        answer_syn(connection);
    } else if (listener == NULL) {
        refuse(connection, "nothing listens on");
    } else if (!orr__listener_has_room(listener)) {
        syn_lost(connection, "the backlog is full");
    } else {
        hold_half_open(connection, listener, occurrence);
        answer_syn(connection);
    }
    orr__connection_release(connection);
}

static void send_syn(struct orr__connection *connection)
{
    struct orr_world *world = connection->world;
    struct orr__end *end = &connection->ends[0];
    if (end->peer->stack == NULL) {
        syn_lost(connection, "no node has this address");
        return;
    }
    struct orr__link *link = end->out.link;
    uint64_t occurrence = link->segments++;
    if (orr__link_is_cut(world, link)) {
        syn_lost(connection, "the link is cut");
        return;
    }
    travel(end, occurrence, syn_arrives);
}

void orr__connection_begin(struct orr__socket *socket)
{
    struct orr__connection *connection = make_connection(socket->stack);
    struct orr__end *end = &connection->ends[0];
    socket->end = end;
    end->socket = socket;
    end->place = socket->local;
    end->peer->place = socket->remote;
    end->peer->stack = orr__stack_find(socket->stack, &socket->remote);
    open_end(end, socket->stack, ORR__END_CONNECTING);
    if (end->peer->stack != NULL)
        link_ends(connection, end->stack, end->peer->stack);
    send_syn(connection);
}

void orr__connection_instant(struct orr__socket *socket, struct orr__socket *listener)
{
    struct orr__connection *connection = make_connection(socket->stack);
    struct orr__end *end = &connection->ends[0];
    connection->instant = true;
    socket->end = end;
    end->socket = socket;
    link_ends(connection, socket->stack, socket->stack);
    for (int i = 0; i < 2; i++) {
        open_end(&connection->ends[i], socket->stack, ORR__END_OPEN);
        connection->ends[i].out.hello_sent = connection->ends[i].out.hello_arrived = true;
    }
    connection->listener = listener;
    connection->references++;
    waiting_add(&listener->arrived, connection);
    orr__stream_buffers(connection, listener, end->out.link->segments++);
    orr__socket_arrived(listener);
}

/* ---- resets ---------------------------------------------------------------------------------- */

static void reset_arrives(struct orr_world *world, void *object, uint64_t occurrence)
{
    struct orr__end *end = object;
    struct orr__connection *connection = end->connection;
    const struct orr__link *link = end->peer->out.link;
    orr__trace_hash(world, ORR__NET_RESET, link->id, occurrence, 0);
    if (orr__stack_is_up(end->stack)) {
        if (orr__tracing(world))
            orr__trace_line(world, link->name, "RST segment#%llu arrives",
                            (unsigned long long)occurrence);
        orr__end_reset(end);
    }
    orr__connection_release(connection);
}

static void keep_alive(struct orr_world *world, void *object, uint64_t number)
{
    struct orr__end *end = object;
    struct orr__connection *connection = end->connection;
    orr__trace_hash(world, ORR__NET_KEEP_ALIVE, end->out.link->id, number, 0);
    if (orr__end_state(end) == ORR__END_OPEN)
        orr__end_stall(end);
    orr__connection_release(connection);
}

/* The peer is gone and this end does not know. With SO_KEEPALIVE it asks, after two hours
 * without a word. */
static void left_alone(struct orr__end *end)
{
    if (end->socket != NULL && end->socket->options[ORR_SOCKET_KEEP_ALIVE] != 0)
        schedule(end->connection, orr__now(end->connection->world) + KEEP_ALIVE_NS, keep_alive, end,
                 end->out.link->segments);
}

/* A RST that answers something is provoked again by its retransmission; one sent on its own is
 * just lost. */
static void reset_lost(struct orr__end *end, bool answers)
{
    enum orr__end_state state = orr__end_state(end);
    if (answers && state == ORR__END_CONNECTING)
        syn_lost(end->connection, "the answer's link is cut");
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
    if (orr__arrives_at_once(from, occurrence)) {
        connection->references++;
        reset_arrives(world, from->peer, occurrence);
        return;
    }
    uint64_t at_ns = orr__now(world) + orr__link_delay(world, link, false, occurrence);
    if (at_ns <= from->out.arrival_ns)
        at_ns = from->out.arrival_ns + 1;
    from->out.arrival_ns = at_ns;
    schedule(connection, at_ns, reset_arrives, from->peer, occurrence);
}

void orr__end_reset(struct orr__end *end)
{
    struct orr__connection *connection = end->connection;
    switch (orr__end_state(end)) {
    case ORR__END_CLOSED:
        break;
    case ORR__END_CONNECTING:
        shut_down(end, ECONNREFUSED);
        break;
    case ORR__END_HALF_OPEN:
        leave_listener(connection);
        end->state = ORR__END_CLOSED;
        orr__connection_release(connection);
        break;
    case ORR__END_OPEN:
        if (!orr__end_is_finished(end))
            shut_down(end, end->fin_received && !end->shut_send ? EPIPE : ECONNRESET);
        break;
    }
}

/* ---- closing --------------------------------------------------------------------------------- */

/* Unix sockets learn of it at once, and lose nothing that was sent. */
static void hang_up(struct orr__end *end, bool unread)
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
        hang_up(end, unread);
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
        shut_down(end, ECONNRESET);
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

static void retransmit(struct orr_world *world, void *object, uint64_t retries)
{
    struct orr__end *end = object;
    struct orr__connection *connection = end->connection;
    uint32_t retries_max = end->socket != NULL ? RETRIES_MAX : RETRIES_ORPHAN_MAX;
    orr__trace_hash(world, ORR__NET_RETRANSMIT, end->out.link->id, retries, 0);
    end->out.stalled = false;
    if (orr__end_state(end) != ORR__END_OPEN) {
        /* nothing is left to send */
    } else if (end->out.retries++ >= retries_max) {
        orr__trace_line(world, end->out.link->name, "gives up: nothing was acknowledged");
        shut_down(end, ETIMEDOUT);
    } else if (!path_is_clear(end)) {
        orr__end_stall(end);
    } else if (orr__end_state(end->peer) == ORR__END_CLOSED) {
        orr__end_send_reset(end->peer, true);
    } else {
        orr__stream_resume(end);
    }
    orr__connection_release(connection);
}

void orr__end_stall(struct orr__end *end)
{
    struct orr__connection *connection = end->connection;
    if (end->out.stalled || connection->severed)
        return;
    end->out.stalled = true;
    schedule(connection, orr__now(connection->world) + retransmit_after(end->out.retries),
             retransmit, end, end->out.retries);
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
    if (peer->out.sent < peer->out.written)
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

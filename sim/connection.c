/*
 * connection.c: how a connection begins: its memory, the handshake, what a listener holds. How it
 * ends stands in connection_end.c.
 *
 *      connect                                listener
 *      CONNECTING  ---- SYN ---->             (no listener: RST; no room, cut or no power: lost)
 *                  <--- SYN-ACK -             HALF_OPEN
 *      OPEN        ---- hello --->            OPEN, waits to be accepted
 *
 * The hello is the handshake's last packet; it travels as the first segment of its flow. A SYN
 * that is lost is sent again after 1, 3, 7, ... seconds, and -ETIMEDOUT ends it after 127; or an
 * answer ends it before: nobody tells who has a neighbour's address, a router knows no way.
 */
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYN_TRIES_MAX 7u
/* Three questions for a neighbour's address, a second each. */
#define NEIGHBOUR_LOST_NS (3 * ORR_SECOND)
#define SYN "SYN"
#define SYN_ACK "SYN-ACK"

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
    for (int i = 0; i < 2; i++) {
        connection->ends[i] =
            (struct orr__end){.connection = connection, .peer = &connection->ends[1 - i]};
        orr__flow_begin(&connection->ends[i].out);
    }
    connection->ends[0].stack = stack;
    connection->world = stack->node->world;
    connection->listener = NULL;
    connection->begun_ns = orr__now(connection->world);
    connection->references = 1; /* the socket that connects */
    connection->syn_count = 0;
    connection->instant = false;
    connection->severed = false;
    connection->hears_unreachable = false;
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
    for (int i = 0; i < 2; i++)
        orr__flow_end(&connection->ends[i]);
    free(connection->left_name);
    connection->left_name = NULL;
    struct orr__stack *stack = connection->ends[0].stack;
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
    end->state = (uint8_t)state;
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
void orr__connection_leave_listener(struct orr__connection *connection)
{
    struct orr__socket *listener = connection->listener;
    orr__assert(listener != NULL);
    bool half_open = connection->ends[1].state == ORR__END_HALF_OPEN;
    struct orr__extras *extras = listener->extras;
    waiting_remove(half_open ? &extras->half_open : &extras->arrived, connection);
    connection->listener = NULL;
}

void orr__connection_keep_name(struct orr__connection *connection, const struct orr__name *name)
{
    if (connection->listener != NULL)
        connection->left_name = orr__name_copy(name);
}

bool orr__end_complete(struct orr__end *end)
{
    struct orr__connection *connection = end->connection;
    struct orr__socket *listener = connection->listener;
    if (!orr__listener_has_room(listener))
        return false;
    waiting_remove(&listener->extras->half_open, connection);
    end->state = ORR__END_OPEN;
    waiting_add(&listener->extras->arrived, connection);
    orr__socket_arrived(listener);
    return true;
}

void orr__listener_hand_over(const struct orr__socket *listener, struct orr__socket *child)
{
    struct orr__connection *connection = child->end->connection;
    orr__assert(connection->listener == listener && &connection->ends[1] == child->end);
    orr__connection_leave_listener(connection); /* its reference is the socket's now */
    child->end->socket = child;
}

static void stop_one(struct orr__connection *connection, bool vanishes)
{
    struct orr__end *end = &connection->ends[1];
    bool established = end->state == ORR__END_OPEN;
    orr__connection_leave_listener(connection);
    if (vanishes)
        orr__end_vanish(end);
    else if (established && connection->instant)
        orr__end_hang_up(end, true);
    else if (established)
        orr__end_send_reset(end, false);
    end->state = ORR__END_CLOSED;
    orr__connection_release(connection);
}

void orr__listener_stop(struct orr__socket *listener, bool vanishes)
{
    struct orr__extras *extras = listener->extras;
    while (extras->arrived.first != NULL)
        stop_one(extras->arrived.first, vanishes);
    while (extras->half_open.first != NULL)
        stop_one(extras->half_open.first, vanishes);
}

/* The end of the world: whoever still points to the connection must forget it. */
void orr__connection_free(struct orr__connection *connection)
{
    if (connection->references > 0 && connection->listener != NULL)
        orr__connection_leave_listener(connection);
    for (int i = 0; i < 2; i++) {
        struct orr__end *end = &connection->ends[i];
        if (connection->references > 0 && end->socket != NULL)
            end->socket->end = NULL;
        orr__flow_end(end);
    }
    free(connection->left_name);
    free(connection);
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void send_syn(struct orr__connection *connection);

/* What is under way keeps the connection. */
void orr__connection_schedule(struct orr__connection *connection, uint64_t time_ns,
                              orr__event_run run, void *object, uint64_t a)
{
    connection->references++;
    orr__schedule(connection->world, time_ns, run, NULL, object, a);
}

static void record_packet(const struct orr__end *from, enum orr__record_kind kind,
                          uint64_t occurrence, const char *name)
{
    struct orr__message message = {.link = from->out.link, .number = occurrence};
    orr__record_message(from->connection->world, kind, &message, name);
}

/* A packet of the handshake: arrives at once, or later. */
static void travel(struct orr__end *from, uint64_t occurrence, orr__event_run run, const char *name)
{
    struct orr__connection *connection = from->connection;
    struct orr_world *world = connection->world;
    record_packet(from, ORR__RECORD_SEND, occurrence, name);
    if (orr__arrives_at_once(from, occurrence)) {
        connection->references++;
        run(world, connection, occurrence);
        return;
    }
    uint64_t at_ns = orr__now(world) + orr__link_delay(world, from->out.link, false, occurrence, 0);
    from->out.arrival_ns = at_ns;
    orr__connection_schedule(connection, at_ns, run, connection, occurrence);
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
                orr__record_text(world, end->stack->node, "connect to %s timed out",
                                 orr__place_text(&end->peer->place));
            orr__end_shut_down(end, ETIMEDOUT);
        } else {
            send_syn(connection);
        }
    }
    orr__connection_release(connection);
}

/* The SYN (or its answer) did not get through: it is sent again 1, 3, 7, ... seconds after the
 * first. */
void orr__connection_syn_lost(struct orr__connection *connection, const char *why)
{
    struct orr_world *world = connection->world;
    uint64_t seconds = (UINT64_C(2) << connection->syn_count) - 1;
    uint64_t at_ns = connection->begun_ns + seconds * ORR_SECOND;
    const struct orr__end *end = &connection->ends[0];
    if (orr__tracing(world))
        orr__record_text(world, end->stack->node, "SYN to %s lost: %s",
                         orr__place_text(&end->peer->place), why);
    if (at_ns <= orr__now(world))
        at_ns = orr__now(world) + 1;
    orr__connection_schedule(connection, at_ns, syn_retry, connection, connection->syn_count);
}

/* A router whose way is whole asks for the address itself. */
int orr__end_unreachable(const struct orr__end *end)
{
    struct orr_world *world = end->connection->world;
    if (orr__link_is_cut(world, end->out.link))
        return orr__link_error(world, end->out.link);
    if (!orr__stack_is_up(end->peer->stack) && orr__link_error(world, end->out.link) != 0)
        return EHOSTUNREACH;
    return 0;
}

static bool nothing_passes(const struct orr__end *end)
{
    return orr__link_is_cut(end->connection->world, end->out.link) ||
           !orr__stack_is_up(end->peer->stack);
}

static void unreachable_arrives(struct orr_world *world, void *object, uint64_t error)
{
    struct orr__connection *connection = object;
    struct orr__end *end = &connection->ends[0];
    orr__trace_hash(world, ORR__NET_UNREACHABLE, end->out.link->id, error, 0);
    connection->hears_unreachable = false;
    if (orr__end_state(end) == ORR__END_CONNECTING &&
        (error == ENETUNREACH || nothing_passes(end))) {
        if (orr__tracing(world))
            orr__record_text(world, end->stack->node, "%s cannot be reached",
                             orr__place_text(&end->peer->place));
        orr__end_shut_down(end, (int)error);
    }
    orr__connection_release(connection);
}

/* A SYN was lost on its way there. */
static void syn_vanished(struct orr__connection *connection, const char *why)
{
    const struct orr__end *end = &connection->ends[0];
    int error = orr__end_unreachable(end);
    orr__connection_syn_lost(connection, why);
    if (error == 0 || connection->hears_unreachable)
        return;
    uint64_t after_ns = error == ENETUNREACH ? 2 * end->out.link->latency_ns : NEIGHBOUR_LOST_NS;
    connection->hears_unreachable = true;
    orr__connection_schedule(connection, orr__now(connection->world) + after_ns,
                             unreachable_arrives, connection, (uint64_t)error);
}

static void syn_ack_arrives(struct orr_world *world, void *object, uint64_t occurrence)
{
    struct orr__connection *connection = object;
    struct orr__end *end = &connection->ends[0];
    orr__trace_hash(world, ORR__NET_SYN_ACK, end->peer->out.link->id, occurrence, 0);
    record_packet(end->peer, ORR__RECORD_ARRIVE, occurrence, SYN_ACK);
    if (orr__end_state(end) == ORR__END_CONNECTING) {
        if (orr__tracing(world))
            orr__record_text(world, end->stack->node, "connected to %s",
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
        orr__connection_syn_lost(connection, "the answer's link is cut");
        return;
    }
    travel(&connection->ends[1], occurrence, syn_ack_arrives, SYN_ACK);
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
        orr__record_text(connection->world, end->stack->node, "connection refused: %s %s", why,
                         orr__place_text(&end->place));
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
    waiting_add(&listener->extras->half_open, connection);
    orr__stream_buffers(connection, listener, occurrence);
}

static void syn_arrives(struct orr_world *world, void *object, uint64_t occurrence)
{
    struct orr__connection *connection = object;
    struct orr__end *end = &connection->ends[1];
    const struct orr__link *link = end->peer->out.link;
    const struct orr__point point =
        orr__link_point(link, ORR__FAULT_REFUSED, ORR__SITE_REFUSE, false, occurrence);
    orr__trace_hash(world, ORR__NET_SYN, link->id, occurrence, end->place.port);
    record_packet(end->peer, ORR__RECORD_ARRIVE, occurrence, SYN);
    struct orr__socket *listener = find_listener(end);
    if (orr__end_state(end->peer) != ORR__END_CONNECTING) {
        /* the connect was given up meanwhile */
    } else if (!orr__stack_is_up(end->stack)) {
        syn_vanished(connection, "the node is down");
    } else if (link != end->out.link && orr__strikes(world, &point)) {
        orr__fault(world, &point, 0, "connection refused");
        refuse(connection, "by choice, at");
    } else if (orr__end_state(end) == ORR__END_HALF_OPEN) {
        answer_syn(connection);
    } else if (listener == NULL) {
        refuse(connection, "nothing listens on");
    } else if (!orr__listener_has_room(listener)) {
        orr__connection_syn_lost(connection, "the backlog is full");
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
        orr__connection_syn_lost(connection, "no node has this address");
        return;
    }
    struct orr__link *link = end->out.link;
    uint64_t occurrence = link->segments++;
    if (orr__link_is_cut(world, link)) {
        syn_vanished(connection, "the link is cut");
        return;
    }
    travel(end, occurrence, syn_arrives, SYN);
}

void orr__connection_begin(struct orr__socket *socket, const struct orr__place *remote)
{
    struct orr__connection *connection = make_connection(socket->stack);
    struct orr__end *end = &connection->ends[0];
    socket->end = end;
    end->socket = socket;
    end->place = socket->local;
    end->peer->place = *remote;
    end->peer->stack = orr__stack_find(socket->stack, remote);
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
    waiting_add(&listener->extras->arrived, connection);
    orr__stream_buffers(connection, listener, end->out.link->segments++);
    orr__socket_arrived(listener);
}

/*
 * datagram.c: UDP. A datagram is a packet that finds its socket when it arrives, or nobody;
 * nothing points from a packet to a socket, so that either can be gone before the other.
 *
 * Datagrams of one socket arrive in the order they were sent, unless DATAGRAM loses, doubles or
 * delays one, or a copy of it. A cut link, a node without power and a full queue lose them
 * silently: Linux keeps to itself what a router answers, unless IP_RECVERR is set. A closed port on
 * a node that is up answers "unreachable", which a connected socket reports once as -ECONNREFUSED;
 * the others never hear of it.
 */
#include "network.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_MAX 65507u
#define QUEUE_CAPACITY 212992u
#define QUEUE_SMALL_LOW 256u
#define QUEUE_SMALL_HIGH 4096u
#define PACKET_OVERHEAD 256u /* what the kernel charges besides the bytes */
#define OVERTAKEN_MEAN_NS (5 * ORR_MILLISECOND)

void orr__datagram_open(struct orr__socket *socket)
{
    struct orr_node *node = socket->stack->node;
    uint64_t number = socket->stack->sockets_made++;
    struct orr__extras *extras = orr__socket_extras(socket);
    extras->queue_capacity = QUEUE_CAPACITY;
    struct orr__point point =
        orr__node_point(node, ORR__FAULT_QUEUE, ORR__SITE_BUFFER, "socket", number);
    point.actor = node->id + 1;
    if (!orr__strikes(node->world, &point))
        return;
    uint64_t drawn = orr__draw_range(node->world, ORR__SITE_BUFFER, ~node->id - 1, number,
                                     QUEUE_SMALL_LOW, QUEUE_SMALL_HIGH);
    extras->queue_capacity =
        orr__extent(node->world, &point, drawn, QUEUE_SMALL_LOW, QUEUE_SMALL_HIGH);
    orr__fault(node->world, &point, extras->queue_capacity, "queue of %" PRIu64 " bytes",
               extras->queue_capacity);
}

/* ---- packets --------------------------------------------------------------------------------- */

static struct orr__packet *make_packet(struct orr__stack *stack, const struct orr__span *span)
{
    uint32_t length = span->length;
    struct orr__packet *packet = stack->packets_free;
    if (packet != NULL)
        stack->packets_free = packet->next;
    else
        packet = calloc(1, sizeof *packet);
    if (packet != NULL && packet->capacity < length) {
        free(packet->bytes);
        packet->bytes = malloc(length);
        packet->capacity = length;
    }
    if (packet == NULL || (length > 0 && packet->bytes == NULL))
        orr_fatal("no memory for a datagram of %u bytes", length);
    packet->origin = stack;
    packet->length = length;
    orr__span_copy(span, packet->bytes, length);
    packet->previous = NULL;
    packet->next = stack->packets;
    if (stack->packets != NULL)
        stack->packets->previous = packet;
    stack->packets = packet;
    return packet;
}

/* It is not on its way any more: whoever calls this holds it. */
static void take_packet(struct orr__packet *packet)
{
    if (packet->previous != NULL)
        packet->previous->next = packet->next;
    else
        packet->origin->packets = packet->next;
    if (packet->next != NULL)
        packet->next->previous = packet->previous;
    packet->next = NULL;
}

static void reuse_packet(struct orr__packet *packet)
{
    packet->next = packet->origin->packets_free;
    packet->origin->packets_free = packet;
}

static void record_packet(const struct orr__packet *packet, enum orr__record_kind kind,
                          const char *text)
{
    struct orr__message message = {.link = packet->link,
                                   .number = packet->occurrence,
                                   .bytes = packet->length,
                                   .is_datagram = true};
    orr__record_message(packet->origin->node->world, kind, &message, text);
}

/* ---- arrival --------------------------------------------------------------------------------- */

/* A connected socket hears its peer only; the most exact match wins. */
static uint32_t match(const struct orr__socket *socket, const struct orr__place *to,
                      const struct orr__place *from)
{
    if (!orr__socket_covers(socket, to->ip))
        return 0;
    uint32_t exact = orr__place_is_any(&socket->local) ? 1 : 2;
    if (socket->phase != ORR__CONNECTED)
        return exact;
    const struct orr__place *remote = &socket->extras->remote;
    bool same = remote->port == from->port && memcmp(remote->ip, from->ip, 16) == 0;
    return same ? exact + 2 : 0;
}

static struct orr__socket *find_socket(struct orr__stack *stack, const struct orr__place *to,
                                       const struct orr__place *from)
{
    struct orr__port *port = orr__port_find(stack, ORR__UDP, to->port);
    struct orr__socket *best = NULL;
    uint32_t best_match = 0;
    for (struct orr__socket *socket = port != NULL ? port->bound : NULL; socket != NULL;
         socket = socket->port_next) {
        uint32_t its_match = match(socket, to, from);
        if (its_match > best_match) {
            best = socket;
            best_match = its_match;
        }
    }
    return best;
}

static void wake_receivers(struct orr__socket *socket);

static void something_arrived(struct orr__socket *socket)
{
    orr__socket_changed(socket);
    if (!orr__socket_notices_later(socket))
        wake_receivers(socket);
}

static void unreachable_arrives(struct orr_world *world, void *object, uint64_t number)
{
    struct orr__packet *packet = object;
    orr__trace_hash(world, ORR__NET_UNREACHABLE, packet->link->id, number, 0);
    struct orr__socket *socket = find_socket(packet->origin, &packet->from, &packet->to);
    if (orr__stack_is_up(packet->origin) && socket != NULL && socket->phase == ORR__CONNECTED) {
        socket->extras->error = ECONNREFUSED;
        something_arrived(socket);
    }
    take_packet(packet);
    reuse_packet(packet);
}

/* On one machine a kernel may carry a datagram, and the answer to it, within the system call that
 * sends it. */
static bool arrives_at_once(struct orr_world *world, const struct orr__link *link, uint64_t number)
{
    return orr__draw_below(world, ORR__SITE_LOOPBACK, link->id + 1, number, 4) == 0;
}

static void answer_unreachable(struct orr_world *world, struct orr__packet *packet,
                               struct orr__stack *stack)
{
    struct orr__link *back = orr__world_link(world, stack->node, packet->origin->node);
    uint64_t number = back->datagrams++;
    if (orr__tracing(world))
        orr__record_text(world, stack->node, "datagram#%" PRIu64 " refused: nothing is bound to %s",
                         packet->occurrence, orr__place_text(&packet->to));
    if (orr__link_is_cut(world, back)) {
        take_packet(packet);
        reuse_packet(packet);
        return;
    }
    if (packet->origin == stack && arrives_at_once(world, back, number)) {
        unreachable_arrives(world, packet, number);
        return;
    }
    orr__schedule(world, orr__now(world) + orr__link_delay(world, back, true, number, 0),
                  unreachable_arrives, NULL, packet, number);
}

static bool enqueue(struct orr__socket *socket, struct orr__packet *packet)
{
    struct orr__extras *extras = socket->extras;
    if (extras->queue_first != NULL &&
        extras->queued_bytes + packet->length > extras->queue_capacity)
        return false;
    if (extras->queue_last != NULL)
        extras->queue_last->next = packet;
    else
        extras->queue_first = packet;
    extras->queue_last = packet;
    extras->queued_bytes += packet->length + PACKET_OVERHEAD;
    something_arrived(socket);
    return true;
}

static void datagram_arrives(struct orr_world *world, void *object, uint64_t number)
{
    struct orr__packet *packet = object;
    orr__trace_hash(world, ORR__NET_DATAGRAM, packet->link->id, number, packet->length);
    struct orr__stack *stack = orr__stack_find(packet->origin, &packet->to);
    bool up = orr__stack_is_up(stack);
    struct orr__socket *socket = up ? find_socket(stack, &packet->to, &packet->from) : NULL;
    if (up)
        record_packet(packet, ORR__RECORD_ARRIVE, NULL);
    else
        record_packet(packet, ORR__RECORD_LOSE, "the node is down");
    if (up && socket == NULL) {
        answer_unreachable(world, packet, stack);
        return;
    }
    take_packet(packet);
    if (socket == NULL) {
        reuse_packet(packet);
    } else if (!enqueue(socket, packet)) {
        orr__record_text(world, stack->node, "datagram#%" PRIu64 " dropped: the queue is full",
                         number);
        reuse_packet(packet);
    }
}

/* ---- departure ------------------------------------------------------------------------------- */

static void post(struct orr__socket *socket, struct orr__packet *packet, uint64_t extra_ns)
{
    struct orr_world *world = socket->stack->node->world;
    uint64_t at_ns = orr__now(world) +
                     orr__link_delay(world, packet->link, true, packet->occurrence, packet->length);
    if (extra_ns > 0) {
        at_ns += extra_ns; /* and later ones overtake it */
    } else {
        if (at_ns <= socket->extras->departure_ns)
            at_ns = socket->extras->departure_ns + 1;
        socket->extras->departure_ns = at_ns;
    }
    orr__schedule(world, at_ns, datagram_arrives, NULL, packet, packet->occurrence);
}

static struct orr__packet *address_packet(struct orr__socket *socket, struct orr__link *link,
                                          const struct orr__place *to, const struct orr__span *span)
{
    struct orr__packet *packet = make_packet(socket->stack, span);
    packet->link = link;
    packet->occurrence = link->datagrams++;
    packet->to = *to;
    packet->from = socket->local;
    if (orr__place_is_any(&socket->local)) {
        orr__stack_source(socket->stack, to, &packet->from);
        packet->from.port = socket->local.port;
    }
    return packet;
}

enum fate { WHOLE, LOST, DOUBLED, OVERTAKEN, STALE };

static enum fate go_astray(struct orr_world *world, const struct orr__point *point, uint64_t number)
{
    static const enum fate fates[ORR__ASTRAY_COUNT] = {[ORR__ASTRAY_DOUBLED] = DOUBLED,
                                                       [ORR__ASTRAY_OVERTAKEN] = OVERTAKEN,
                                                       [ORR__ASTRAY_STALE] = STALE};
    uint64_t drawn = ORR__ASTRAY_OVERTAKEN;
    if (orr__draw_below(world, ORR__SITE_DATAGRAM_COPY, ~point->actor, number, 2) == 0)
        drawn = orr__draw_below(world, ORR__SITE_DATAGRAM_COPY, ~point->actor - 1, number, 2) == 0
                    ? ORR__ASTRAY_DOUBLED
                    : ORR__ASTRAY_STALE;
    uint64_t size = orr__extent(world, point, drawn, 0, ORR__ASTRAY_COUNT - 1);
    orr__fault(world, point, size, "%s", orr__astray_word(size));
    return fates[size];
}

static enum fate draw_fate(struct orr_world *world, const struct orr__link *link, uint64_t number)
{
    struct orr__point loss =
        orr__link_point(link, ORR__FAULT_LOST, ORR__SITE_DATAGRAM_LOSS, true, number);
    struct orr__point astray =
        orr__link_point(link, ORR__FAULT_ASTRAY, ORR__SITE_DATAGRAM_COPY, true, number);
    loss.actor = astray.actor = link->id;
    if (orr__strikes(world, &loss)) {
        orr__fault(world, &loss, 0, "lost");
        return LOST;
    }
    if (!orr__strikes(world, &astray))
        return WHOLE;
    return go_astray(world, &astray, number);
}

/* How much longer than its time the one that later ones overtake is under way. */
static uint64_t detour(struct orr_world *world, const struct orr__link *link, uint64_t number)
{
    return 1 + orr__draw_exponential(world, ORR__SITE_DATAGRAM_COPY, link->id + 1, number,
                                     OVERTAKEN_MEAN_NS);
}

static void transmit(struct orr__socket *socket, const struct orr__place *to,
                     const struct orr__span *span)
{
    struct orr_world *world = socket->stack->node->world;
    struct orr__stack *stack = orr__stack_find(socket->stack, to);
    if (stack == NULL)
        return; /* nobody has that address: lost */
    struct orr__link *link = orr__world_link(world, socket->stack->node, stack->node);
    uint64_t number = link->datagrams;
    enum fate fate = stack == socket->stack ? WHOLE : draw_fate(world, link, number);
    if (fate == LOST || orr__link_is_cut(world, link) || orr__link_is_full(world, link)) {
        const char *why = fate == LOST ? "a fault" : "the link is cut or full";
        struct orr__message lost = {
            .link = link, .number = number, .bytes = span->length, .is_datagram = true};
        orr__record_message(world, ORR__RECORD_LOSE, &lost, why);
        link->datagrams++;
        return;
    }
    struct orr__packet *packet = address_packet(socket, link, to, span);
    record_packet(packet, ORR__RECORD_SEND, NULL);
    if (stack == socket->stack && socket->extras->departure_ns < orr__now(world) &&
        arrives_at_once(world, link, number))
        datagram_arrives(world, packet, number);
    else
        post(socket, packet, fate == OVERTAKEN ? detour(world, link, number) : 0);
    if (fate == DOUBLED || fate == STALE) {
        struct orr__packet *copy = address_packet(socket, link, to, span);
        record_packet(copy, ORR__RECORD_SEND, NULL);
        post(socket, copy, fate == STALE ? detour(world, link, number) : 0);
    }
}

/* ---- operations ------------------------------------------------------------------------------ */

static int64_t take_error(struct orr__socket *socket)
{
    int error = socket->extras->error;
    socket->extras->error = 0;
    return -error;
}

/* Where a datagram goes: to the address it names, or to the peer. */
static int destination(const struct orr__socket *socket, const struct orr_datagram *datagram,
                       struct orr__place *ret_to)
{
    if (datagram == NULL || datagram->peer.length == 0) {
        if (socket->phase != ORR__CONNECTED)
            return -EDESTADDRREQ;
        *ret_to = socket->extras->remote;
        return 0;
    }
    enum orr_family family = orr_address_family(&datagram->peer);
    bool maps = socket->family == ORR_FAMILY_IP6 && family == ORR_FAMILY_IP4;
    if (maps && orr__socket_has(socket, ORR_SOCKET_ONLY_IP6))
        return -ENETUNREACH;
    int status = orr__place_read(&datagram->peer, maps ? family : socket->family, ret_to);
    if (status == -EAFNOSUPPORT && socket->family == ORR_FAMILY_IP6)
        return -EINVAL; /* which is what its connect calls EAFNOSUPPORT */
    if (status < 0)
        return status;
    if (ret_to->port == 0)
        return -EINVAL;
    struct orr__place source;
    if (orr__place_is_any(ret_to)) {
        orr__stack_source(socket->stack, ret_to, &source);
        memcpy(ret_to->ip, source.ip, sizeof source.ip);
    }
    return 0;
}

static int64_t send_one(struct orr__socket *socket, const struct orr_completion *completion)
{
    const struct orr_datagram *datagram =
        completion->request.op == ORR_OP_SEND_TO ? completion->request.arguments.datagram : NULL;
    struct orr__span span;
    orr__span_of(completion, &span);
    if (socket->port == NULL && orr__port_bind(socket) < 0)
        return -EAGAIN;
    if (span.length > LENGTH_MAX)
        return -EMSGSIZE;
    struct orr__place to;
    int status = destination(socket, datagram, &to);
    if (status < 0)
        return status;
    if (socket->extras->error != 0)
        return take_error(socket);
    if (socket->shut_send)
        return -EPIPE;
    transmit(socket, &to, &span);
    return span.length;
}

void orr__datagram_send(struct orr__socket *socket, struct orr_completion *completion)
{
    orr__ready(socket->process, completion, send_one(socket, completion));
}

static int64_t recv_one(struct orr__socket *socket, struct orr_completion *completion)
{
    struct orr__extras *extras = socket->extras;
    struct orr__packet *packet = extras->queue_first;
    extras->queue_first = packet->next;
    if (packet->next == NULL)
        extras->queue_last = NULL;
    extras->queued_bytes -= packet->length + PACKET_OVERHEAD;
    struct orr_datagram *datagram =
        completion->request.op == ORR_OP_RECV_FROM ? completion->request.arguments.datagram : NULL;
    struct orr__span span;
    orr__span_of(completion, &span);
    uint32_t length = packet->length < span.length ? packet->length : span.length;
    orr__span_fill(&span, packet->bytes, length);
    if (datagram != NULL) {
        datagram->truncated = packet->length > span.length;
        orr__place_write(&packet->from, socket->family, &datagram->peer);
    }
    reuse_packet(packet);
    return length;
}

static void wake_receivers(struct orr__socket *socket)
{
    const struct orr__extras *extras = socket->extras;
    while (socket->in.head != NULL &&
           (extras->error != 0 || extras->queue_first != NULL || socket->shut_receive)) {
        struct orr_completion *completion =
            orr__queue_take(&socket->in, orr__socket_overtaken(socket, &socket->in));
        int64_t result = 0;
        if (extras->error != 0)
            result = take_error(socket);
        else if (extras->queue_first != NULL)
            result = recv_one(socket, completion);
        orr__ready(socket->process, completion, result);
    }
}

void orr__datagram_wake(struct orr__socket *socket)
{
    orr__socket_changed(socket);
    wake_receivers(socket);
}

void orr__datagram_close(struct orr__socket *socket)
{
    struct orr__extras *extras = socket->extras;
    while (extras->queue_first != NULL) {
        struct orr__packet *packet = extras->queue_first;
        extras->queue_first = packet->next;
        free(packet->bytes); /* not reused: at the end of the world its origin may be gone */
        free(packet);
    }
    extras->queue_last = NULL;
}

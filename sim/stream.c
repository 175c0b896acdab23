/*
 * stream.c: the bytes of a connection (network.h draws a flow and its marks).
 *
 * A send moves bytes into the ring and ends; what the window and the path allow leaves at once as
 * segments, each an event that carries its length, an epoch and its number. Bytes that may not
 * leave yet stay unsent; when the sender's part of the buffer is full, sends wait. A recv takes
 * what has arrived; if somebody waits for the room it makes, a window update travels back. So
 * there is one event for each segment, and one more only under backpressure.
 *
 * The ring is as large as the most that lay in it at once, and is given back whenever it runs
 * empty: connections that exchange small messages in turn touch the same few cache lines for ever.
 *
 * A Unix connection is `instant`: its segments arrive in the call that sends them.
 */
#include "network.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SEGMENT_MAX 16384u
/* Just before the marks wrap: every connection of some length lives through it. */
#define POSITION_FIRST (UINT32_MAX - 200)
#define CAPACITY_LOW 16384u
#define CAPACITY_HIGH 65536u
#define CAPACITY_SMALL_LOW 128u
#define CAPACITY_SMALL_HIGH 1024u

/* What an event of a segment carries. */
#define SEGMENT_BYTES_MASK 0xfffffu
#define SEGMENT_HELLO (1u << 20)
#define SEGMENT_FIN (1u << 21)
#define SEGMENT_EPOCH_SHIFT 24
#define SEGMENT_NUMBER_SHIFT 32

/* ---- the ring -------------------------------------------------------------------------------- */

static uint32_t ring_size(const struct orr__flow *flow)
{
    return UINT32_C(1) << flow->ring_bits;
}

/* The bytes in the ring from a position on, up to its end: the rest, if there is one, lies at its
 * beginning. */
static uint8_t *ring_at(const struct orr__flow *flow, uint32_t position, uint32_t length,
                        uint32_t *ret_first)
{
    uint32_t at = (position - flow->origin) & (ring_size(flow) - 1);
    uint32_t to_end = ring_size(flow) - at;
    *ret_first = to_end < length ? to_end : length;
    return flow->ring + at;
}

static void ring_read(const struct orr__flow *flow, uint8_t *buffer, uint32_t length)
{
    const uint8_t *ring = flow->ring;
    uint32_t first;
    orr__assert(ring != NULL);
    const uint8_t *at = ring_at(flow, flow->read, length, &first);
    memcpy(buffer, at, first);
    if (first < length)
        memcpy(buffer + first, ring, length - first);
}

static void grow_ring(struct orr_world *world, struct orr__flow *flow, uint32_t needed)
{
    uint8_t bits = flow->ring_bits;
    while (UINT32_C(1) << bits < needed)
        bits++;
    uint8_t *ring = orr__ring_take(world, bits);
    if (flow->ring != NULL)
        ring_read(flow, ring, flow->written - flow->read);
    orr__ring_give(world, flow->ring, flow->ring_bits);
    flow->ring = ring;
    flow->ring_bits = bits;
    flow->origin = flow->read;
}

static void ring_put(struct orr__end *end, const void *data, uint32_t length)
{
    struct orr__flow *flow = &end->out;
    if (flow->read == flow->written)
        flow->origin = flow->written;
    uint32_t needed = flow->written - flow->read + length;
    if (needed > ring_size(flow))
        grow_ring(end->connection->world, flow, needed);
    else if (flow->ring == NULL)
        flow->ring = orr__ring_take(end->connection->world, flow->ring_bits);
    uint32_t first;
    uint8_t *at = ring_at(flow, flow->written, length, &first);
    memcpy(at, data, first);
    if (first < length)
        memcpy(flow->ring, (const uint8_t *)data + first, length - first);
    flow->written += length;
}

static void ring_take(struct orr__end *end, void *buffer, uint32_t length)
{
    struct orr__flow *flow = &end->out;
    ring_read(flow, buffer, length);
    flow->read += length;
    if (flow->read == flow->written)
        orr__flow_end(end);
}

void orr__flow_begin(struct orr__flow *flow)
{
    flow->ring_bits = ORR__RING_BITS_FIRST;
    flow->origin = POSITION_FIRST;
    flow->read = flow->arrived = flow->sent = flow->written = flow->read_seen = POSITION_FIRST;
}

void orr__flow_end(struct orr__end *end)
{
    orr__ring_give(end->connection->world, end->out.ring, end->out.ring_bits);
    end->out.ring = NULL;
}

/* ---- capacities ------------------------------------------------------------------------------ */

static uint32_t capacity(int32_t option, uint32_t drawn)
{
    uint32_t set = (uint32_t)option / 2;
    return set == 0 || (drawn < CAPACITY_LOW && drawn < set) ? drawn : set;
}

void orr__stream_buffers(struct orr__connection *connection, const struct orr__socket *listener,
                         uint64_t occurrence)
{
    struct orr_world *world = connection->world;
    const struct orr__link *link = connection->ends[0].out.link;
    uint32_t low = CAPACITY_LOW;
    uint32_t high = CAPACITY_HIGH;
    const struct orr__point point =
        orr__link_point(link, ORR__FAULT_BUFFERS, ORR__SITE_BUFFER, false, occurrence);
    if (orr__strikes(world, &point)) {
        low = CAPACITY_SMALL_LOW;
        high = CAPACITY_SMALL_HIGH;
        orr__fault(world, &point, 0, "buffers of at most %u bytes", high);
    }
    for (uint64_t i = 0; i < 2; i++) {
        struct orr__flow *flow = &connection->ends[i].out;
        const struct orr__socket *sender = i == 0 ? connection->ends[0].socket : listener;
        const struct orr__socket *receiver = i == 0 ? listener : connection->ends[0].socket;
        uint64_t send =
            orr__draw_range(world, ORR__SITE_BUFFER, link->id + 1 + i * 2, occurrence, low, high);
        uint64_t receive =
            orr__draw_range(world, ORR__SITE_BUFFER, link->id + 2 + i * 2, occurrence, low, high);
        flow->send_capacity = capacity(sender != NULL ? sender->send_buffer : 0, (uint32_t)send);
        flow->receive_capacity =
            capacity(receiver != NULL ? receiver->receive_buffer : 0, (uint32_t)receive);
    }
}

static uint32_t free_part(uint32_t limit, uint32_t used)
{
    return used >= limit ? 0 : limit - used;
}

/* Room for a send. What has left does not count; an instant flow has no such place, and counts
 * all. */
static uint32_t room(const struct orr__end *end)
{
    const struct orr__flow *flow = &end->out;
    uint32_t used = flow->written - (end->connection->instant ? flow->read : flow->sent);
    return free_part(flow->send_capacity, used);
}

/* What the receiver lets the sender send, as far as the sender knows. */
static uint32_t window(struct orr__end *end)
{
    struct orr__flow *flow = &end->out;
    if (end->connection->instant)
        return UINT32_MAX;
    if (!orr__link_is_cut(end->connection->world, end->peer->out.link))
        flow->read_seen = flow->read;
    return free_part(flow->receive_capacity, flow->sent - flow->read_seen);
}

uint32_t orr__stream_readable(const struct orr__end *end)
{
    const struct orr__flow *flow = &end->peer->out;
    return flow->arrived - flow->read;
}

bool orr__stream_writable(const struct orr__end *end)
{
    return room(end) >= (end->out.send_capacity + 2) / 3;
}

/* ---- segments: arrival ----------------------------------------------------------------------- */

/* Bytes for somebody who has closed both ways: the kernel resets the connection. */
static void refuse_bytes(struct orr__end *end)
{
    orr__end_send_reset(end, true);
    orr__end_reset(end);
}

/* The peer acknowledges what has arrived, if it is more than an acknowledgment itself. */
static void acknowledge(struct orr__end *from, bool asks)
{
    const struct orr_world *world = from->connection->world;
    if (!orr__link_is_cut(world, from->peer->out.link))
        orr__end_heard(from);
    else if (asks)
        orr__end_unheard(from);
}

static void deliver(struct orr__end *from, uint32_t bytes, uint32_t flags)
{
    struct orr__end *to = from->peer;
    if (bytes > 0 && to->shut_receive && to->shut_send && !to->fin_received &&
        !from->connection->instant) {
        refuse_bytes(to);
        return;
    }
    acknowledge(from, bytes > 0 || (flags & SEGMENT_FIN) != 0);
    from->out.arrived += bytes;
    if ((flags & SEGMENT_HELLO) != 0)
        from->out.hello_arrived = true;
    if ((flags & SEGMENT_FIN) != 0) {
        from->out.fin_arrived = true;
        to->fin_received = true;
        to->shut_receive = true;
    }
    if (to->socket != NULL) {
        if (orr__socket_poll(to->socket) !=
            NULL) /* they see what a waiting recv is about to take */
            orr__socket_changed(to->socket);
        if (!orr__socket_notices_later(to->socket))
            orr__stream_wake_receivers(to->socket);
    }
}

static void arrive(struct orr__end *from, uint32_t bytes, uint32_t flags)
{
    struct orr__end *to = from->peer;
    switch (orr__end_state(to)) {
    case ORR__END_OPEN:
        deliver(from, bytes, flags);
        break;
    case ORR__END_HALF_OPEN: /* the hello always comes first */
        orr__assert((flags & SEGMENT_HELLO) != 0);
        if (orr__end_complete(to))
            deliver(from, bytes, flags);
        else
            orr__end_lose(from);
        break;
    case ORR__END_CONNECTING:
    case ORR__END_CLOSED:
        if (orr__stack_is_up(to->stack))
            orr__end_send_reset(to, true);
        else
            orr__end_lose(from);
        break;
    }
}

static void record_segment(const struct orr__end *from, enum orr__record_kind kind, uint64_t number,
                           uint32_t bytes, const char *text)
{
    struct orr__message message = {.link = from->out.link, .number = number, .bytes = bytes};
    orr__record_message(from->connection->world, kind, &message, text);
}

/* What a segment is that carries no bytes of the program. */
static const char *segment_name(uint32_t flags)
{
    if ((flags & SEGMENT_FIN) != 0)
        return "FIN";
    return (flags & SEGMENT_HELLO) != 0 ? "ACK" : NULL;
}

static void segment_arrives(struct orr_world *world, void *object, uint64_t a)
{
    struct orr__end *from = object;
    struct orr__connection *connection = from->connection;
    uint32_t bytes = (uint32_t)a & SEGMENT_BYTES_MASK;
    uint32_t flags = (uint32_t)a & (SEGMENT_HELLO | SEGMENT_FIN);
    orr__trace_hash(world, ORR__NET_SEGMENT, from->out.link->id, a >> SEGMENT_NUMBER_SHIFT,
                    a & UINT32_MAX);
    if ((uint8_t)(a >> SEGMENT_EPOCH_SHIFT) == from->out.epoch) {
        record_segment(from, ORR__RECORD_ARRIVE, a >> SEGMENT_NUMBER_SHIFT, bytes,
                       segment_name(flags));
        arrive(from, bytes, flags);
    } else {
        record_segment(from, ORR__RECORD_LOSE, a >> SEGMENT_NUMBER_SHIFT, bytes, "on its way");
    }
    orr__connection_release(connection);
}

/* ---- segments: departure --------------------------------------------------------------------- */

/* A reset in the middle, as by a box between the two: both ends hear of it, and what is on its
 * way is lost. */
static bool sever(struct orr__end *end, uint64_t number)
{
    struct orr__connection *connection = end->connection;
    const struct orr__link *link = end->out.link;
    const struct orr__point point =
        orr__link_point(link, ORR__FAULT_RESET, ORR__SITE_RESET, false, number);
    if (link == end->peer->out.link || !orr__strikes(connection->world, &point))
        return false;
    orr__fault(connection->world, &point, 0, "connection reset");
    connection->severed = true;
    end->out.epoch++;
    end->peer->out.epoch++;
    orr__end_send_reset(end, false);
    orr__end_send_reset(end->peer, false);
    return true;
}

/* On one machine a kernel may carry a segment within the system call that sends it. */
bool orr__arrives_at_once(const struct orr__end *end, uint64_t number)
{
    const struct orr_world *world = end->connection->world;
    const struct orr__flow *flow = &end->out;
    return flow->link == end->peer->out.link && flow->arrival_ns < orr__now(world) &&
           orr__draw_below(end->connection->world, ORR__SITE_LOOPBACK, flow->link->id, number, 4) ==
               0;
}

/* Leaves and arrives in one call. */
static void cross(struct orr__end *end, uint64_t number, uint32_t bytes, uint32_t flags)
{
    record_segment(end, ORR__RECORD_SEND, number, bytes, segment_name(flags));
    record_segment(end, ORR__RECORD_ARRIVE, number, bytes, segment_name(flags));
    arrive(end, bytes, flags);
}

/* One segment leaves. False if it does not: the link is cut, or the connection is. */
static bool depart(struct orr__end *end, uint32_t bytes, uint32_t flags)
{
    struct orr__connection *connection = end->connection;
    struct orr_world *world = connection->world;
    struct orr__flow *flow = &end->out;
    uint64_t number = flow->link->segments++;
    if (connection->instant) {
        cross(end, number, bytes, flags);
        return true;
    }
    if (orr__link_is_cut(world, flow->link)) {
        record_segment(end, ORR__RECORD_LOSE, number, bytes, "the link is cut");
        orr__end_stall(end);
        return false;
    }
    if (bytes > 0 && sever(end, number))
        return false;
    if (orr__arrives_at_once(end, number)) {
        cross(end, number, bytes, flags);
        return true;
    }
    record_segment(end, ORR__RECORD_SEND, number, bytes, segment_name(flags));
    uint64_t at_ns = orr__now(world) + orr__link_delay(world, flow->link, false, number, bytes);
    if (at_ns <= flow->arrival_ns)
        at_ns = flow->arrival_ns + 1;
    flow->arrival_ns = at_ns;
    connection->references++;
    orr__schedule(world, at_ns, segment_arrives, NULL, end,
                  bytes | flags | (uint64_t)flow->epoch << SEGMENT_EPOCH_SHIFT |
                      number << SEGMENT_NUMBER_SHIFT);
    return true;
}

/* PARTIAL cuts segments in two. */
static uint32_t cut_segment(const struct orr__end *end, uint32_t bytes)
{
    struct orr_world *world = end->connection->world;
    const struct orr__link *link = end->out.link;
    const struct orr__point point =
        orr__link_point(link, ORR__FAULT_SHORT, ORR__SITE_SEGMENT_CUT, false, link->segments);
    if (bytes < 2 || end->connection->instant || !orr__strikes(world, &point))
        return bytes;
    uint64_t drawn =
        1 + orr__draw_below(world, ORR__SITE_SEGMENT_LENGTH, link->id, link->segments, bytes - 1);
    uint32_t cut = (uint32_t)orr__extent(world, &point, drawn, 1, bytes - 1);
    orr__fault(world, &point, cut, "%u of %u bytes", cut, bytes);
    return cut;
}

static uint32_t next_segment(struct orr__end *end)
{
    uint32_t unsent = end->out.written - end->out.sent;
    uint32_t allowed = window(end);
    uint32_t bytes = unsent < allowed ? unsent : allowed;
    return cut_segment(end, bytes < SEGMENT_MAX ? bytes : SEGMENT_MAX);
}

/* The window is shut. If it was opened and the link kept the news, the sender has to ask. */
static void probe_window(struct orr__end *end)
{
    if (end->out.read_seen != end->out.read)
        orr__end_stall(end);
}

/* What arrives at once may be lost at once, and has to be sent again (orr__end_lose): so the marks
 * are set before anything departs. */
void orr__stream_transmit(struct orr__end *end)
{
    struct orr__flow *flow = &end->out;
    if (orr__end_state(end) != ORR__END_OPEN || flow->stalled || end->connection->severed)
        return;
    if (!flow->hello_sent) {
        flow->hello_sent = true;
        if (!depart(end, 0, SEGMENT_HELLO))
            flow->hello_sent = false;
        if (!flow->hello_sent || flow->stalled)
            return;
    }
    while (flow->sent != flow->written) {
        uint32_t bytes = next_segment(end);
        if (bytes == 0) {
            probe_window(end);
            return;
        }
        flow->sent += bytes;
        if (!depart(end, bytes, 0)) {
            flow->sent -= bytes;
            return;
        }
        if (flow->stalled)
            return;
    }
    if (orr__end_state(end) == ORR__END_OPEN && end->shut_send && !flow->fin_sent) {
        flow->fin_sent = true;
        if (!depart(end, 0, SEGMENT_FIN))
            flow->fin_sent = false;
    }
}

void orr__stream_resume(struct orr__end *end)
{
    orr__stream_transmit(end);
    if (end->socket == NULL)
        return;
    orr__socket_changed(end->socket);
    orr__stream_wake_senders(end->socket);
}

/* ---- windows --------------------------------------------------------------------------------- */

static void window_arrives(struct orr_world *world, void *object, uint64_t number)
{
    struct orr__end *end = object;
    struct orr__connection *connection = end->connection;
    orr__trace_hash(world, ORR__NET_WINDOW, end->peer->out.link->id, number, 0);
    end->out.window_underway = false;
    orr__stream_resume(end);
    orr__connection_release(connection);
}

/* The receiver read: if the sender waits for room, it will hear of it. */
static void open_window(struct orr__end *end)
{
    struct orr__flow *flow = &end->out;
    const struct orr__socket *socket = end->socket;
    bool waits = flow->sent != flow->written ||
                 (socket != NULL && (socket->out.head != NULL || orr__socket_poll(socket) != NULL));
    if (!waits || flow->stalled || flow->window_underway)
        return;
    if (end->connection->instant) {
        orr__stream_resume(end);
        return;
    }
    struct orr_world *world = end->connection->world;
    struct orr__link *back = end->peer->out.link;
    uint64_t number = back->segments++;
    if (orr__link_is_cut(world, back)) {
        orr__end_stall(end);
        return;
    }
    flow->window_underway = true;
    end->connection->references++;
    orr__schedule(world, orr__now(world) + orr__link_delay(world, back, false, number, 0),
                  window_arrives, NULL, end, number);
}

/* ---- operations ------------------------------------------------------------------------------ */

static int64_t take_error(struct orr__end *end)
{
    int error = end->error;
    end->error = 0;
    return -error;
}

static uint32_t cut_transfer(const struct orr__socket *socket,
                             const struct orr_completion *completion, uint32_t possible,
                             uint32_t wanted)
{
    uint32_t length = possible < wanted ? possible : wanted;
    return orr__cut_transfer(socket->stack->node, completion->request.op,
                             (uint64_t)completion->result, length);
}

/* A stream says neither where its bytes come from nor that some were cut off. */
static void forget_datagram(const struct orr_completion *completion)
{
    if (completion->request.op != ORR_OP_RECV_FROM)
        return;
    completion->request.arguments.datagram->peer.length = 0;
    completion->request.arguments.datagram->truncated = false;
}

/* Unlike TCP, a Unix stream tells whose bytes they are, if the peer has a name. */
static void name_sender(const struct orr__socket *socket, struct orr_datagram *datagram)
{
    const struct orr__name *name = socket->extras->peer_name;
    if (name != NULL && name->length > sizeof(sa_family_t))
        orr__name_write(name, &datagram->peer);
}

static int64_t recv_bytes(struct orr__socket *socket, struct orr_completion *completion)
{
    struct orr__end *end = socket->end;
    forget_datagram(completion);
    struct orr__span span;
    orr__span_of(completion, &span);
    uint32_t length = cut_transfer(socket, completion, orr__stream_readable(end), span.length);
    uint32_t left = length;
    for (const struct orr_vector *piece = span.pieces; left > 0; piece++) {
        uint32_t step = orr__span_step(piece, left);
        if (step > 0)
            ring_take(end->peer, piece->base, step);
        left -= step;
    }
    if (length > 0 && completion->request.op == ORR_OP_RECV_FROM && end->connection->instant)
        name_sender(socket, completion->request.arguments.datagram);
    return length;
}

/* What a recv finds when there are no bytes: in the kernel's order. 1 = it has to wait. */
static int64_t recv_nothing(struct orr__end *end)
{
    if (end->fin_received)
        return 0;
    if (end->error != 0)
        return take_error(end);
    return end->shut_receive ? 0 : 1;
}

void orr__stream_wake_receivers(struct orr__socket *socket)
{
    struct orr__end *end = socket->end;
    while (socket->in.head != NULL) {
        bool bytes = orr__stream_readable(end) > 0;
        int64_t result = bytes ? 0 : recv_nothing(end);
        if (result == 1)
            return;
        struct orr_completion *completion =
            orr__queue_take(&socket->in, orr__socket_overtaken(socket, &socket->in));
        if (bytes)
            result = recv_bytes(socket, completion);
        orr__ready(socket->process, completion, result);
        if (bytes)
            open_window(end->peer);
    }
}

/* The error that ends a send, or 0. A Unix socket keeps its error for recv. */
static int64_t send_error(struct orr__end *end)
{
    if (end->connection->instant)
        return end->shut_send ? -EPIPE : 0;
    if (end->error != 0)
        return take_error(end);
    return end->shut_send ? -EPIPE : 0;
}

static int64_t send_bytes(struct orr__socket *socket, struct orr_completion *completion,
                          uint32_t possible)
{
    struct orr__end *end = socket->end;
    struct orr__span span;
    orr__span_of(completion, &span);
    uint32_t length = cut_transfer(socket, completion, possible, span.length);
    uint32_t left = length;
    for (const struct orr_vector *piece = span.pieces; left > 0; piece++) {
        uint32_t step = orr__span_step(piece, left);
        if (step > 0)
            ring_put(end, piece->base, step);
        left -= step;
    }
    return length;
}

void orr__stream_wake_senders(struct orr__socket *socket)
{
    struct orr__end *end = socket->end;
    while (socket->out.head != NULL && orr__end_state(end) != ORR__END_CONNECTING) {
        int64_t result = send_error(end);
        uint32_t possible = room(end);
        if (result == 0 && possible == 0)
            return;
        struct orr_completion *completion =
            orr__queue_take(&socket->out, orr__socket_overtaken(socket, &socket->out));
        if (result == 0)
            result = send_bytes(socket, completion, possible);
        orr__ready(socket->process, completion, result);
        if (result > 0)
            orr__stream_transmit(end);
    }
}

void orr__stream_wake(struct orr__end *end)
{
    struct orr__socket *socket = end->socket;
    if (socket == NULL)
        return;
    orr__socket_changed(socket);
    if (!orr__socket_notices_later(socket))
        orr__stream_wake_receivers(socket);
    orr__stream_wake_senders(socket);
}

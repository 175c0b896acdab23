/*
 * socket_wait.c: who waits on a socket: the order in which waiting operations are taken, when they
 * hear that something has changed, and poll, which waits for nothing else.
 */
#include "network.h"

#include <inttypes.h>

#define WOKEN_LATER_MEAN_NS (20 * ORR_MICROSECOND)

/* ---- queues ---------------------------------------------------------------------------------- */

struct orr_completion *orr__queue_take(struct orr_queue *queue, uint64_t before)
{
    struct orr_completion *completion = queue->head;
    for (; before > 0; before--)
        completion = completion->next;
    orr__assert(completion != NULL);
    orr_queue_remove(queue, completion);
    return completion;
}

/* A kernel wakes several waiters of one socket in no promised order. */
uint64_t orr__socket_overtaken(const struct orr__socket *socket, const struct orr_queue *queue)
{
    const struct orr_node *node = socket->stack->node;
    const struct orr_completion *first = queue->head;
    uint64_t number = (uint64_t)first->result;
    struct orr__point point =
        orr__op_point(node, ORR__FAULT_TURN, ORR__SITE_REORDER, first->request.op, number);
    point.actor = ~node->id;
    if (queue->count < 2 || !orr__strikes(node->world, &point))
        return 0;
    uint64_t most = queue->count - 1;
    uint64_t drawn =
        1 + orr__draw_below(node->world, ORR__SITE_REORDER, ~node->id - 1, number, most);
    uint64_t others = orr__extent(node->world, &point, drawn, 1, most);
    orr__fault(node->world, &point, others, "lets %" PRIu64 " other%s go first", others,
               ORR__S(others));
    return others;
}

/* ---- who waits is woken, perhaps later than others ------------------------------------------- */

static struct orr__point waiter_point(const struct orr_node *node, enum orr__fault_kind kind,
                                      const struct orr_completion *waits)
{
    struct orr__point point =
        orr__op_point(node, kind, ORR__SITE_REORDER, waits->request.op, (uint64_t)waits->result);
    point.actor = orr__mix(node->id, waits->request.op);
    return point;
}

/* The event names a descriptor, not a socket: that may be gone by then, or be another. */
static bool wake_later(const struct orr__socket *socket, const struct orr_completion *waits,
                       orr__event_run run)
{
    struct orr_node *node = socket->stack->node;
    if (waits == NULL)
        return false;
    const struct orr__point point = waiter_point(node, ORR__FAULT_WOKEN, waits);
    if (!orr__strikes(node->world, &point))
        return false;
    uint64_t drawn_ns = 1 + orr__draw_exponential(node->world, ORR__SITE_REORDER,
                                                  orr__mix(~node->id, waits->request.op),
                                                  point.number, WOKEN_LATER_MEAN_NS);
    uint64_t ns = orr__extent(node->world, &point, drawn_ns, 1, ORR__LONGER_MAX_NS);
    orr__fault(node->world, &point, ns, "is woken later");
    orr__schedule(node->world, orr__now(node->world) + ns, run, socket->process, socket->process,
                  (uint64_t)waits->request.descriptor);
    return true;
}

static struct orr__socket *woken_socket(void *process, uint64_t descriptor)
{
    const struct orr__descriptor *entry = orr__descriptor_get(process, (int32_t)descriptor);
    return entry != NULL && entry->kind == ORR__DESCRIPTOR_SOCKET ? entry->socket : NULL;
}

static void receiver_woken(struct orr_world *world, void *process, uint64_t descriptor)
{
    (void)world;
    struct orr__socket *socket = woken_socket(process, descriptor);
    if (socket != NULL && socket->listening)
        orr__socket_look_again(socket);
    else if (socket != NULL && socket->transport == ORR__UDP)
        orr__datagram_wake(socket);
    else if (socket != NULL && socket->end != NULL)
        orr__stream_wake_receivers(socket);
}

bool orr__socket_notices_later(struct orr__socket *socket)
{
    return wake_later(socket, socket->in.head, receiver_woken);
}

static void connect_woken(struct orr_world *world, void *process, uint64_t descriptor)
{
    (void)world;
    struct orr__socket *socket = woken_socket(process, descriptor);
    if (socket != NULL && socket->end != NULL && orr__end_state(socket->end) == ORR__END_OPEN)
        orr__socket_connected(socket, 0);
}

bool orr__socket_connects_later(const struct orr__socket *socket)
{
    return wake_later(socket, socket->connecting, connect_woken);
}

bool orr__socket_hears_twice(const struct orr__socket *socket)
{
    struct orr_node *node = socket->stack->node;
    const struct orr_completion *waits = socket->in.head;
    if (waits == NULL)
        return false;
    const struct orr__point point = waiter_point(node, ORR__FAULT_HEARS_TWICE, waits);
    if (!orr__strikes(node->world, &point))
        return false;
    orr__fault(node->world, &point, 0, "is told the error of the connect, too");
    return true;
}

/* ---- poll ------------------------------------------------------------------------------------ */

static uint32_t listener_events(const struct orr__socket *socket)
{
    uint32_t events = socket->extras->arrived.count > 0 || socket->shut_receive ? ORR_POLL_IN : 0;
    return events | (socket->shut_receive && socket->shut_send ? ORR_POLL_HANGUP : 0u);
}

static uint32_t stream_events(const struct orr__socket *socket)
{
    const struct orr__end *end = socket->end;
    if (socket->listening)
        return listener_events(socket);
    if (end == NULL)
        return ORR_POLL_OUT | ORR_POLL_HANGUP | (socket->shut_receive ? ORR_POLL_IN : 0u);
    enum orr__end_state state = orr__end_state(end);
    uint32_t events = end->error != 0 ? ORR_POLL_ERROR : 0;
    if (state == ORR__END_CLOSED || (end->shut_receive && end->shut_send))
        events |= ORR_POLL_HANGUP;
    if (end->shut_receive || orr__stream_readable(end) > 0)
        events |= ORR_POLL_IN;
    if (state != ORR__END_CONNECTING && (end->shut_send || orr__stream_writable(end)))
        events |= ORR_POLL_OUT;
    return events;
}

static uint32_t datagram_events(const struct orr__socket *socket)
{
    uint32_t events = ORR_POLL_OUT;
    if (socket->extras->queue_first != NULL || socket->shut_receive)
        events |= ORR_POLL_IN;
    if (socket->extras->error != 0)
        events |= ORR_POLL_ERROR;
    if (socket->shut_receive && socket->shut_send)
        events |= ORR_POLL_HANGUP;
    return events;
}

static uint32_t events_wanted(const struct orr__socket *socket,
                              const struct orr_completion *completion)
{
    uint32_t always = ORR_POLL_ERROR | ORR_POLL_HANGUP;
    uint32_t events =
        socket->transport == ORR__UDP ? datagram_events(socket) : stream_events(socket);
    return events & (completion->request.arguments.events | always);
}

static void answer_polls(struct orr__socket *socket)
{
    struct orr_completion *completion = orr__socket_poll(socket);
    while (completion != NULL) {
        struct orr_completion *next = completion->next;
        uint32_t events = events_wanted(socket, completion);
        if (events != 0) {
            orr_queue_remove(&socket->extras->polls, completion);
            orr__ready(socket->process, completion, events);
        }
        completion = next;
    }
}

/* Who waits for a listener that ends is woken because of an error, and io_uring tells what has
 * woken a poll, not what the socket looks like after it; epoll tells that. */
void orr__socket_polls_hear_of_error(struct orr__socket *socket)
{
    struct orr_node *node = socket->stack->node;
    struct orr_completion *completion;
    while ((completion = orr__socket_poll(socket)) != NULL) {
        const struct orr__point point = orr__op_point(node, ORR__FAULT_ERROR_ALONE, ORR__SITE_POLL,
                                                      ORR_OP_POLL, (uint64_t)completion->result);
        if (!orr__strikes(node->world, &point))
            return;
        orr__fault(node->world, &point, 0, "is told of an error alone");
        orr_queue_remove(&socket->extras->polls, completion);
        orr__ready(socket->process, completion, ORR_POLL_ERROR);
    }
}

static void polls_woken(struct orr_world *world, void *process, uint64_t descriptor)
{
    (void)world;
    struct orr__socket *socket = woken_socket(process, descriptor);
    if (socket != NULL)
        answer_polls(socket);
}

void orr__socket_changed(struct orr__socket *socket)
{
    if (!wake_later(socket, orr__socket_poll(socket), polls_woken))
        answer_polls(socket);
}

void orr__socket_submit_poll(struct orr__socket *socket, struct orr_completion *completion)
{
    uint32_t events = events_wanted(socket, completion);
    if (events != 0)
        orr__ready(socket->process, completion, events);
    else
        orr_queue_push(&orr__socket_extras(socket)->polls, completion);
}

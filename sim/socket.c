/*
 * socket.c: sockets as a process sees them: the immediate calls, the operations and where they
 * wait, listeners, poll.
 *
 * An operation is tried when it is flushed. If it cannot end at once it waits in a queue of its
 * socket, first in, first out: `in` for what receives, `out` for what sends, `polls`, and
 * `connecting` for the one connect that is under way. Whatever changes a socket lets the waiting
 * operations look again. Which queue holds an operation follows from its opcode, so that cancel
 * finds it without a search.
 *
 * Errors are those of Linux, found by trying; where its manuals differ from its kernel, the kernel
 * is right.
 */
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG_MAX 4096u
#define BACKLOG_SMALL 3u
#define WOKEN_LATER_MEAN_NS (20 * ORR_MICROSECOND)
#define BUFFER_MAX (2 * 212992)
#define RECEIVE_BUFFER_MIN 2304
#define SEND_BUFFER_MIN 4608
#define RECEIVE_BUFFER_DEFAULT 131072
#define SEND_BUFFER_DEFAULT 16384
#define OTHER_BUFFER_DEFAULT 212992

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
    uint64_t number = (uint64_t)queue->head->result;
    if (queue->count < 2 ||
        !orr__strikes(node->world, ORR_FAMILY_REORDER, ORR__SITE_REORDER, ~node->id, number))
        return 0;
    return 1 +
           orr__draw_below(node->world, ORR__SITE_REORDER, ~node->id - 1, number, queue->count - 1);
}

/* ---- making and ending ----------------------------------------------------------------------- */

struct orr__socket *orr__socket_new(struct orr__process *process, enum orr__transport transport,
                                    enum orr_family family)
{
    struct orr__stack *stack = process->node->stack;
    struct orr__socket *socket = stack->sockets_free;
    if (socket != NULL)
        stack->sockets_free = socket->next;
    else
        socket = malloc(sizeof *socket);
    if (socket == NULL)
        orr_fatal("no memory for a socket of node %s", process->node->name);
    *socket = (struct orr__socket){
        .process = process, .stack = stack, .transport = transport, .family = family};
    if (family == ORR_FAMILY_IP4)
        socket->local.ip[10] = socket->local.ip[11] = 0xff;
    socket->next = stack->sockets;
    if (stack->sockets != NULL)
        stack->sockets->previous = socket;
    stack->sockets = socket;
    return socket;
}

bool orr__socket_is_stream(const struct orr__socket *socket)
{
    return socket->transport != ORR__UDP;
}

int orr__socket_create(struct orr__process *process, enum orr_family family,
                       enum orr_socket_type type, struct orr__socket **ret_socket)
{
    bool ip = family == ORR_FAMILY_IP4 || family == ORR_FAMILY_IP6;
    if (!ip && family != ORR_FAMILY_UNIX)
        return -EAFNOSUPPORT;
    if (type != ORR_SOCKET_STREAM && (type != ORR_SOCKET_DATAGRAM || !ip))
        return -EINVAL;
    enum orr__transport stream = ip ? ORR__TCP : ORR__UNIX;
    *ret_socket = orr__socket_new(process, type == ORR_SOCKET_STREAM ? stream : ORR__UDP, family);
    if (type == ORR_SOCKET_DATAGRAM)
        orr__datagram_open(*ret_socket);
    return 0;
}

/* Nobody gets in any more: neither those that wait to accept nor those that wait for room. */
static void refuse_waiting(struct orr__socket *socket)
{
    while (socket->in.head != NULL)
        orr__ready(socket->process, orr__queue_take(&socket->in, 0), -EINVAL);
    while (socket->out.head != NULL) {
        struct orr_completion *waiting = socket->out.head;
        struct orr__socket *connects =
            orr__descriptor_get(socket->process, waiting->request.descriptor)->socket;
        orr_queue_remove(&socket->out, waiting);
        connects->waits_at = NULL;
        orr__socket_connected(connects, ECONNREFUSED);
    }
}

static void stop_listening(struct orr__socket *socket, bool vanishes)
{
    socket->listening = false;
    orr__listener_stop(socket, vanishes);
    refuse_waiting(socket);
}

static void drop_end(struct orr__socket *socket)
{
    if (socket->end == NULL)
        return;
    socket->end->socket = NULL;
    orr__connection_release(socket->end->connection);
    socket->end = NULL;
}

void orr__socket_end(struct orr__socket *socket, bool vanishes)
{
    if (socket->listening)
        stop_listening(socket, vanishes);
    if (socket->transport == ORR__UDP)
        orr__datagram_close(socket);
    if (socket->end != NULL && vanishes)
        orr__end_vanish(socket->end);
    else if (socket->end != NULL)
        orr__end_close(socket->end);
    orr__port_leave(socket);
    drop_end(socket);
    struct orr__stack *stack = socket->stack;
    if (socket->previous != NULL)
        socket->previous->next = socket->next;
    else
        stack->sockets = socket->next;
    if (socket->next != NULL)
        socket->next->previous = socket->previous;
    socket->next = stack->sockets_free;
    stack->sockets_free = socket;
}

void orr__socket_close(struct orr__process *process, struct orr__socket *socket)
{
    orr__assert(socket->process == process && socket->connecting == NULL);
    orr__assert(socket->in.count == 0 && socket->polls.count == 0);
    orr__socket_end(socket, false);
}

/* ---- addresses and listening ----------------------------------------------------------------- */

/* The path in a Unix socket's address: 0 or -EINVAL. */
static int path_of(const struct orr_address *address, char path[ORR_ADDRESS_TEXT_MAX])
{
    static const char prefix[] = "unix:";
    if (orr_address_family(address) != ORR_FAMILY_UNIX ||
        orr_address_format(address, path, ORR_ADDRESS_TEXT_MAX) < (int)sizeof prefix)
        return -EINVAL;
    memmove(path, path + strlen(prefix), strlen(path) - strlen(prefix) + 1);
    return 0;
}

/* The kernel looks at the name before it looks at the socket; a bind that fails leaves no name. */
static int bind_name(struct orr__socket *socket, const struct orr_address *address)
{
    struct orr__disk *disk = socket->stack->node->disk;
    char path[ORR_ADDRESS_TEXT_MAX];
    int status = path_of(address, path);
    if (status == 0)
        status = orr__disk_make_socket(disk, path, NULL);
    if (status < 0)
        return status;
    if (socket->port != NULL || socket->name.length > 0) /* an accepted one has its listener's */
        return -EINVAL;
    status = orr__disk_make_socket(disk, path, &socket->inode);
    if (status < 0)
        return status;
    socket->name = *address;
    return orr__port_bind(socket);
}

/* A connection that is over gives back a port that was chosen for it; the socket can be bound, if
 * to no use. */
static bool gave_port_back(const struct orr__socket *socket)
{
    const struct orr__end *end = socket->end;
    if (socket->transport != ORR__TCP || end == NULL || socket->listening || socket->bound_again)
        return false;
    bool over = orr__end_state(end) == ORR__END_CLOSED || orr__end_is_finished(end);
    return over && (socket->is_child || socket->ephemeral);
}

int orr__socket_bind(struct orr__process *process, struct orr__socket *socket,
                     const struct orr_address *address)
{
    (void)process;
    if (socket->transport == ORR__UNIX)
        return bind_name(socket, address);
    struct orr__place place;
    int status = orr__place_read(address, socket->family, &place);
    if (status < 0)
        return status;
    if (orr__stack_find(socket->stack, &place) != socket->stack)
        return -EADDRNOTAVAIL;
    bool again = gave_port_back(socket);
    if (again)
        orr__port_leave(socket);
    else if (socket->port != NULL || socket->phase != ORR__UNCONNECTED)
        return -EINVAL;
    struct orr__place before = socket->local;
    socket->local = place;
    socket->ephemeral = false;
    socket->bound_again = again;
    status = orr__port_bind(socket);
    if (status < 0)
        socket->local = before;
    else if (socket->family == ORR_FAMILY_IP6 && !orr__place_is_any(&place))
        socket->options[ORR_SOCKET_ONLY_IP6] = 1; /* it can have no other peers, says the kernel */
    return status;
}

/* PRESSURE makes the queue of connections to be accepted tiny. */
static uint32_t draw_backlog(struct orr__stack *stack, uint32_t backlog)
{
    struct orr_node *node = stack->node;
    uint64_t number = stack->listens++;
    if (backlog > BACKLOG_MAX)
        backlog = BACKLOG_MAX;
    if (!orr__strikes(node->world, ORR_FAMILY_PRESSURE, ORR__SITE_BUFFER, node->id, number))
        return backlog;
    uint32_t small =
        (uint32_t)orr__draw_below(node->world, ORR__SITE_BUFFER, ~node->id, number, BACKLOG_SMALL);
    if (small >= backlog)
        return backlog;
    char subject[ORR_NODE_NAME_MAX + sizeof "/listen"];
    snprintf(subject, sizeof subject, "%s/listen", node->name);
    orr__fault(node->world, ORR_FAMILY_PRESSURE, subject, number, "backlog %u instead of %u", small,
               backlog);
    return small;
}

int orr__socket_listen(struct orr__process *process, struct orr__socket *socket, uint32_t backlog)
{
    (void)process;
    if (socket->transport == ORR__UDP)
        return -EOPNOTSUPP;
    if (socket->phase != ORR__UNCONNECTED)
        return -EINVAL;
    if (socket->port == NULL) {
        if (socket->transport == ORR__UNIX)
            return -EINVAL;
        int status = orr__port_bind(socket);
        if (status < 0)
            return status;
    }
    if (!socket->listening && orr__port_conflicts(socket->port, socket, true))
        return -EADDRINUSE;
    drop_end(socket); /* of a connect that failed */
    socket->backlog = draw_backlog(socket->stack, backlog);
    socket->listening = true;
    return 0;
}

int orr__socket_local(struct orr__socket *socket, struct orr_address *ret_address)
{
    if (socket->transport != ORR__UNIX) {
        orr__place_write(&socket->local, socket->family, ret_address);
        return 0;
    }
    *ret_address = socket->name;
    if (socket->name.length == 0) { /* unnamed: just the family */
        sa_family_t family = AF_UNIX;
        memcpy(ret_address->storage.bytes, &family, sizeof family);
        ret_address->length = sizeof family;
    }
    return 0;
}

int orr__socket_peer(struct orr__socket *socket, struct orr_address *ret_address)
{
    if (socket->phase != ORR__CONNECTED)
        return -ENOTCONN;
    if (socket->transport == ORR__UNIX) {
        *ret_address = socket->peer_name;
        return 0;
    }
    if (socket->transport == ORR__TCP &&
        (orr__end_state(socket->end) != ORR__END_OPEN || orr__end_is_finished(socket->end)))
        return -ENOTCONN;
    orr__place_write(&socket->remote, socket->family, ret_address);
    return 0;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool has_option(const struct orr__socket *socket, enum orr_socket_option option)
{
    switch (option) {
    case ORR_SOCKET_NO_DELAY:
        return socket->transport == ORR__TCP;
    case ORR_SOCKET_ONLY_IP6:
        return socket->family == ORR_FAMILY_IP6;
    default:
        return option < ORR_SOCKET_OPTION_COUNT;
    }
}

/* The kernel doubles what it is given, for its own bookkeeping. */
static int32_t buffer_size(int32_t value, int32_t min)
{
    if (value < 0 || value > BUFFER_MAX / 2)
        return BUFFER_MAX;
    return value * 2 < min ? min : value * 2;
}

static void apply_buffers(struct orr__socket *socket)
{
    uint32_t receive = (uint32_t)socket->options[ORR_SOCKET_RECEIVE_BUFFER] / 2;
    uint32_t send = (uint32_t)socket->options[ORR_SOCKET_SEND_BUFFER] / 2;
    if (socket->transport == ORR__UDP && receive > 0)
        socket->queue_capacity = receive;
    if (socket->end == NULL)
        return;
    if (receive > 0)
        socket->end->peer->out.receive_capacity = receive;
    if (send > 0)
        socket->end->out.send_capacity = send;
}

int orr__socket_option_set(struct orr__socket *socket, enum orr_socket_option option, int32_t value)
{
    if (!has_option(socket, option) ||
        (option == ORR_SOCKET_REUSE_PORT && value != 0 && socket->transport == ORR__UNIX))
        return -ENOPROTOOPT;
    switch (option) {
    case ORR_SOCKET_RECEIVE_BUFFER:
        socket->options[option] = buffer_size(value, RECEIVE_BUFFER_MIN);
        apply_buffers(socket);
        return 0;
    case ORR_SOCKET_SEND_BUFFER:
        socket->options[option] = buffer_size(value, SEND_BUFFER_MIN);
        apply_buffers(socket);
        return 0;
    case ORR_SOCKET_ONLY_IP6:
        if (socket->port != NULL)
            return -EINVAL;
        break;
    default:
        break;
    }
    socket->options[option] = value != 0;
    return 0;
}

int orr__socket_option_get(struct orr__socket *socket, enum orr_socket_option option,
                           int32_t *ret_value)
{
    if (!has_option(socket, option))
        return -ENOPROTOOPT;
    int32_t value = socket->options[option];
    if (value == 0 && option == ORR_SOCKET_RECEIVE_BUFFER)
        value = socket->transport == ORR__TCP ? RECEIVE_BUFFER_DEFAULT : OTHER_BUFFER_DEFAULT;
    if (value == 0 && option == ORR_SOCKET_SEND_BUFFER)
        value = socket->transport == ORR__TCP ? SEND_BUFFER_DEFAULT : OTHER_BUFFER_DEFAULT;
    *ret_value = value;
    return 0;
}

/* ---- waking, perhaps later than others ------------------------------------------------------- */

static bool strikes_waiter(const struct orr__socket *socket, const struct orr_completion *waits)
{
    struct orr_node *node = socket->stack->node;
    return waits != NULL && orr__family_on(node->world, ORR_FAMILY_REORDER) &&
           orr__strikes(node->world, ORR_FAMILY_REORDER, ORR__SITE_REORDER,
                        orr__mix(node->id, waits->request.op), (uint64_t)waits->result);
}

/* The event names a descriptor, not a socket: that may be gone by then, or be another. */
static bool wake_later(const struct orr__socket *socket, const struct orr_completion *waits,
                       orr__event_run run)
{
    struct orr_node *node = socket->stack->node;
    if (!strikes_waiter(socket, waits))
        return false;
    orr__fault(node->world, ORR_FAMILY_REORDER, orr__op_subject(node, waits->request.op),
               (uint64_t)waits->result, "is woken later");
    uint64_t ns = 1 + orr__draw_exponential(node->world, ORR__SITE_REORDER,
                                            orr__mix(~node->id, waits->request.op),
                                            (uint64_t)waits->result, WOKEN_LATER_MEAN_NS);
    orr__schedule(node->world, orr__now(node->world) + ns, run, socket->process, socket->process,
                  (uint64_t)waits->request.descriptor);
    return true;
}

static void admit_arrived(struct orr__socket *listener);

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
        admit_arrived(socket);
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
    return strikes_waiter(socket, socket->in.head);
}

/* ---- poll ------------------------------------------------------------------------------------ */

static uint32_t listener_events(const struct orr__socket *socket)
{
    uint32_t events = socket->arrived.count > 0 || socket->shut_receive ? ORR_POLL_IN : 0;
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
    if (socket->queue_first != NULL || socket->shut_receive)
        events |= ORR_POLL_IN;
    if (socket->error != 0)
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
    struct orr_completion *completion = socket->polls.head;
    while (completion != NULL) {
        struct orr_completion *next = completion->next;
        uint32_t events = events_wanted(socket, completion);
        if (events != 0) {
            orr_queue_remove(&socket->polls, completion);
            orr__ready(socket->process, completion, events);
        }
        completion = next;
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
    if (!wake_later(socket, socket->polls.head, polls_woken))
        answer_polls(socket);
}

static void submit_poll(struct orr__socket *socket, struct orr_completion *completion)
{
    uint32_t events = events_wanted(socket, completion);
    if (events != 0)
        orr__ready(socket->process, completion, events);
    else
        orr_queue_push(&socket->polls, completion);
}

/* ---- connect --------------------------------------------------------------------------------- */

void orr__socket_connected(struct orr__socket *socket, int error)
{
    struct orr_completion *completion = socket->connecting;
    if (completion == NULL)
        return;
    socket->connecting = NULL;
    socket->phase = error == 0 ? ORR__CONNECTED : ORR__UNCONNECTED;
    orr__ready(socket->process, completion, -error);
}

static void connect_name_now(struct orr__socket *socket, struct orr__socket *listener)
{
    socket->peer_name = listener->name;
    orr__connection_instant(socket, listener);
    orr__socket_connected(socket, 0);
}

static int64_t connect_name(struct orr__socket *socket, struct orr_completion *completion)
{
    char path[ORR_ADDRESS_TEXT_MAX];
    uint64_t inode;
    int status = path_of(completion->request.arguments.peer.target, path);
    if (status == 0)
        status = orr__disk_find_socket(socket->stack->node->disk, path, &inode);
    if (status < 0)
        return status;
    struct orr__socket *listener = orr__port_find_inode(socket->stack, inode);
    if (listener == NULL || !listener->listening || listener->shut_receive)
        return -ECONNREFUSED;
    if (socket->phase == ORR__CONNECTED)
        return -EISCONN;
    if (socket->phase == ORR__CONNECTING)
        return -EALREADY;
    if (socket->listening)
        return -EINVAL;
    socket->connecting = completion;
    socket->phase = ORR__CONNECTING;
    if (orr__listener_has_room(listener)) {
        connect_name_now(socket, listener);
    } else {
        socket->waits_at = listener;
        orr_queue_push(&listener->out, completion);
    }
    return -EINPROGRESS;
}

/* The address to go to and to come from. */
static int route(struct orr__socket *socket, const struct orr_address *target)
{
    struct orr__place remote;
    bool maps = socket->transport == ORR__UDP && socket->family == ORR_FAMILY_IP6 &&
                orr_address_family(target) == ORR_FAMILY_IP4;
    if (maps && socket->options[ORR_SOCKET_ONLY_IP6] != 0)
        return -EAFNOSUPPORT;
    int status = orr__place_read(target, maps ? ORR_FAMILY_IP4 : socket->family, &remote);
    if (status < 0)
        return status;
    struct orr__place source;
    orr__stack_source(socket->stack, &remote, &source);
    if (orr__place_is_any(&remote))
        memcpy(remote.ip, source.ip, sizeof remote.ip);
    if (orr__place_is_loopback(&socket->local) &&
        orr__stack_find(socket->stack, &remote) != socket->stack)
        return -EINVAL;
    if (socket->port == NULL) {
        status = orr__port_bind(socket);
        if (status < 0)
            return socket->transport == ORR__UDP ? -EAGAIN : -EADDRNOTAVAIL;
    }
    if (orr__place_is_any(&socket->local))
        memcpy(socket->local.ip, source.ip, sizeof source.ip);
    socket->remote = remote;
    return 0;
}

/* A connect whose operation was canceled goes on; the next one reports how it went. */
static int64_t connect_again(struct orr__socket *socket)
{
    if (orr__end_state(socket->end) == ORR__END_CONNECTING)
        return -EALREADY;
    if (orr__end_state(socket->end) == ORR__END_OPEN) {
        socket->phase = ORR__CONNECTED;
        return 0;
    }
    int error = socket->end->error != 0 ? socket->end->error : ECONNABORTED;
    socket->end->error = 0;
    socket->phase = ORR__UNCONNECTED;
    return -error;
}

static int64_t connect_place(struct orr__socket *socket, struct orr_completion *completion)
{
    const struct orr_address *target = completion->request.arguments.peer.target;
    if (target->length < sizeof(sa_family_t))
        return -EINVAL;
    if (socket->transport == ORR__UDP) {
        int status = route(socket, target);
        if (status == 0)
            socket->phase = ORR__CONNECTED;
        return status;
    }
    if (socket->phase == ORR__CONNECTED || socket->listening)
        return -EISCONN;
    if (socket->phase == ORR__CONNECTING)
        return connect_again(socket);
    int status = route(socket, target);
    if (status < 0)
        return status;
    drop_end(socket); /* of an earlier connect that failed */
    socket->bound_again = false;
    socket->connecting = completion;
    socket->phase = ORR__CONNECTING;
    orr__connection_begin(socket);
    return -EINPROGRESS;
}

static void submit_connect(struct orr__socket *socket, struct orr_completion *completion)
{
    int64_t result = socket->transport == ORR__UNIX ? connect_name(socket, completion)
                                                    : connect_place(socket, completion);
    if (result != -EINPROGRESS)
        orr__ready(socket->process, completion, result);
}

/* ---- accept ---------------------------------------------------------------------------------- */

/* Unix connects that found the listener full. */
static void admit_waiting(struct orr__socket *listener)
{
    while (listener->out.head != NULL && orr__listener_has_room(listener)) {
        struct orr_completion *waiting = orr__queue_take(&listener->out, 0);
        struct orr__socket *socket =
            orr__descriptor_get(listener->process, waiting->request.descriptor)->socket;
        socket->waits_at = NULL;
        connect_name_now(socket, listener);
    }
}

static struct orr__socket *child_of(struct orr__socket *listener, struct orr__end *end)
{
    struct orr__socket *child =
        orr__socket_new(listener->process, listener->transport, listener->family);
    memcpy(child->options, listener->options, sizeof child->options);
    child->phase = ORR__CONNECTED;
    child->end = end;
    child->local = end->place;
    child->remote = end->peer->place;
    if (listener->transport == ORR__UNIX) {
        child->name = listener->name;
        if (end->peer->socket != NULL)
            (void)orr__socket_local(end->peer->socket, &child->peer_name);
    } else {
        orr__port_adopt(listener->port, child);
    }
    return child;
}

/* The first connection in the queue gets a socket and a descriptor; without one it stays. */
static int64_t accept_first(struct orr__socket *listener, const struct orr_completion *completion)
{
    struct orr__connection *connection = listener->arrived.first;
    struct orr__socket *child = child_of(listener, &connection->ends[1]);
    int32_t descriptor = orr__descriptor_add(listener->process, ORR__DESCRIPTOR_SOCKET, child);
    if (descriptor < 0) {
        child->end = NULL;
        orr__socket_end(child, false);
        return descriptor;
    }
    orr__listener_hand_over(listener, child);
    if (completion->request.arguments.peer.accepted != NULL) {
        struct orr_address *accepted = completion->request.arguments.peer.accepted;
        if (listener->transport == ORR__UNIX)
            *accepted = child->peer_name;
        else
            orr__place_write(&child->remote, child->family, accepted);
    }
    admit_waiting(listener);
    return descriptor;
}

static void admit_arrived(struct orr__socket *listener)
{
    while (listener->in.head != NULL && listener->arrived.count > 0) {
        struct orr_completion *completion =
            orr__queue_take(&listener->in, orr__socket_overtaken(listener, &listener->in));
        orr__ready(listener->process, completion, accept_first(listener, completion));
    }
}

void orr__socket_arrived(struct orr__socket *listener)
{
    orr__socket_changed(listener);
    if (!orr__socket_notices_later(listener))
        admit_arrived(listener);
}

static void submit_accept(struct orr__socket *socket, struct orr_completion *completion)
{
    if (!socket->listening) {
        orr__ready(socket->process, completion,
                   socket->transport == ORR__UDP ? -EOPNOTSUPP : -EINVAL);
        return;
    }
    if (socket->arrived.count > 0) {
        orr__ready(socket->process, completion, accept_first(socket, completion));
        return;
    }
    orr_queue_push(&socket->in, completion);
    if (socket->shut_receive)
        refuse_waiting(socket);
}

/* ---- operations ------------------------------------------------------------------------------ */

static void note_shutdown(struct orr__socket *socket, enum orr_shutdown how)
{
    socket->shut_receive = socket->shut_receive || how != ORR_SHUTDOWN_SEND;
    socket->shut_send = socket->shut_send || how != ORR_SHUTDOWN_RECV;
}

/* TCP stops to listen; a Unix listener lets nobody in any more, and what had arrived can be
 * accepted still. */
static int64_t shutdown_listener(struct orr__socket *socket, enum orr_shutdown how)
{
    if (socket->transport == ORR__UNIX) {
        note_shutdown(socket, how);
        if (socket->shut_receive)
            refuse_waiting(socket);
    } else if (how != ORR_SHUTDOWN_SEND) {
        stop_listening(socket, false);
    }
    return 0;
}

static int64_t shutdown_stream(struct orr__socket *socket, enum orr_shutdown how)
{
    if (socket->listening)
        return shutdown_listener(socket, how);
    if (socket->end != NULL)
        return orr__end_shutdown(socket->end, how);
    note_shutdown(socket, how);
    return socket->transport == ORR__UNIX ? 0 : -ENOTCONN;
}

static int64_t shutdown_datagrams(struct orr__socket *socket, enum orr_shutdown how)
{
    note_shutdown(socket, how);
    orr__datagram_wake(socket);
    return socket->phase == ORR__CONNECTED ? 0 : -ENOTCONN;
}

static void submit_shutdown(struct orr__socket *socket, struct orr_completion *completion)
{
    uint32_t how = completion->request.arguments.events;
    int64_t result = -EINVAL;
    if (how <= ORR_SHUTDOWN_BOTH && socket->transport == ORR__UDP)
        result = shutdown_datagrams(socket, (enum orr_shutdown)how);
    else if (how <= ORR_SHUTDOWN_BOTH)
        result = shutdown_stream(socket, (enum orr_shutdown)how);
    orr__socket_changed(socket);
    orr__ready(socket->process, completion, result);
}

/* A stream that never was connected. */
static int64_t endless(const struct orr__socket *socket, bool sends)
{
    if (socket->transport == ORR__UNIX)
        return sends ? -ENOTCONN : -EINVAL;
    if (sends)
        return -EPIPE;
    return socket->shut_receive && !socket->listening ? 0 : -ENOTCONN;
}

static void submit_recv(struct orr__socket *socket, struct orr_completion *completion)
{
    if (socket->transport != ORR__UDP && socket->end == NULL) {
        orr__ready(socket->process, completion, endless(socket, false));
        return;
    }
    orr_queue_push(&socket->in, completion);
    if (socket->transport == ORR__UDP)
        orr__datagram_wake(socket);
    else
        orr__stream_wake_receivers(socket);
}

static void submit_send(struct orr__socket *socket, struct orr_completion *completion)
{
    bool named = completion->request.op == ORR_OP_SEND_TO &&
                 completion->request.arguments.datagram->peer.length > 0;
    if (socket->transport == ORR__UDP) {
        orr__datagram_send(socket, completion);
    } else if (socket->transport == ORR__UNIX && named) {
        orr__ready(socket->process, completion, socket->end != NULL ? -EISCONN : -EOPNOTSUPP);
    } else if (socket->end == NULL) {
        orr__ready(socket->process, completion, endless(socket, true));
    } else {
        orr_queue_push(&socket->out, completion);
        orr__stream_wake_senders(socket);
    }
}

/* Unlike a recv, a read of nothing does not look at the socket. */
static void submit_read(struct orr__socket *socket, struct orr_completion *completion)
{
    struct orr__span span;
    orr__span_of(completion, &span);
    if (span.length == 0)
        orr__ready(socket->process, completion, 0);
    else
        submit_recv(socket, completion);
}

void orr__socket_submit(struct orr__process *process, struct orr__socket *socket,
                        struct orr_completion *completion, uint64_t occurrence)
{
    orr__assert(socket->process == process);
    completion->result = (int64_t)occurrence;
    switch (completion->request.op) {
    case ORR_OP_RECV:
    case ORR_OP_RECV_FROM:
        submit_recv(socket, completion);
        break;
    case ORR_OP_READ:
    case ORR_OP_READV:
        submit_read(socket, completion);
        break;
    case ORR_OP_SEND:
    case ORR_OP_SEND_TO:
    case ORR_OP_WRITE:
    case ORR_OP_WRITEV:
        submit_send(socket, completion);
        break;
    case ORR_OP_ACCEPT:
        submit_accept(socket, completion);
        break;
    case ORR_OP_CONNECT:
        submit_connect(socket, completion);
        break;
    case ORR_OP_SHUTDOWN:
        submit_shutdown(socket, completion);
        break;
    case ORR_OP_POLL:
        submit_poll(socket, completion);
        break;
    default:
        orr_fatal("internal: a socket got the operation %s", orr_op_name(completion->request.op));
    }
}

void orr__socket_cancel(struct orr__process *process, struct orr__socket *socket,
                        struct orr_completion *completion)
{
    orr__assert(socket->process == process);
    switch (completion->request.op) {
    case ORR_OP_CONNECT:
        if (socket->waits_at != NULL) {
            orr_queue_remove(&socket->waits_at->out, completion);
            socket->waits_at = NULL;
            socket->phase = ORR__UNCONNECTED;
        }
        socket->connecting = NULL;
        break;
    case ORR_OP_POLL:
        orr_queue_remove(&socket->polls, completion);
        break;
    case ORR_OP_SEND:
    case ORR_OP_SEND_TO:
    case ORR_OP_WRITE:
    case ORR_OP_WRITEV:
        orr_queue_remove(&socket->out, completion);
        break;
    default:
        orr_queue_remove(&socket->in, completion);
        break;
    }
    orr__ready(process, completion, -ECANCELED);
}

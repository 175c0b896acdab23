/*
 * socket.c: sockets as a process sees them: how they are made and end, and the operations on them.
 *
 *   socket_calls.c    the immediate calls: bind, listen, addresses, options
 *   socket_connect.c  connect and accept
 *   socket_wait.c     who waits on a socket, how it is woken, poll
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
    *socket = (struct orr__socket){.process = process,
                                   .stack = stack,
                                   .transport = (uint8_t)transport,
                                   .family = (uint8_t)family};
    if (family == ORR_FAMILY_IP4)
        socket->local.ip[10] = socket->local.ip[11] = 0xff;
    socket->next = stack->sockets;
    if (stack->sockets != NULL)
        stack->sockets->previous = socket;
    stack->sockets = socket;
    if (transport != ORR__TCP)
        (void)orr__socket_extras(socket);
    return socket;
}

struct orr__extras *orr__socket_extras(struct orr__socket *socket)
{
    if (socket->extras == NULL)
        socket->extras = calloc(1, sizeof *socket->extras);
    if (socket->extras == NULL)
        orr_fatal("no memory for a socket of node %s", socket->stack->node->name);
    return socket->extras;
}

static void free_extras(struct orr__socket *socket)
{
    if (socket->extras == NULL)
        return;
    free(socket->extras->name);
    free(socket->extras->peer_name);
    free(socket->extras);
    socket->extras = NULL;
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

void orr__socket_drop_end(struct orr__socket *socket)
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
        orr__socket_stop_listening(socket, vanishes);
    if (socket->transport == ORR__UDP)
        orr__datagram_close(socket);
    if (socket->end != NULL && socket->transport == ORR__UNIX)
        orr__connection_keep_name(socket->end->connection, socket->extras->name);
    if (socket->end != NULL && vanishes)
        orr__end_vanish(socket->end);
    else if (socket->end != NULL)
        orr__end_close(socket->end);
    orr__port_leave(socket);
    orr__socket_drop_end(socket);
    struct orr__stack *stack = socket->stack;
    if (socket->previous != NULL)
        socket->previous->next = socket->next;
    else
        stack->sockets = socket->next;
    if (socket->next != NULL)
        socket->next->previous = socket->previous;
    free_extras(socket);
    socket->next = stack->sockets_free;
    stack->sockets_free = socket;
}

void orr__socket_move(struct orr__socket *socket, struct orr__process *process)
{
    orr__assert(socket->connecting == NULL && socket->in.count == 0 &&
                orr__socket_poll(socket) == NULL);
    if (socket->extras != NULL)
        socket->extras->canceled_flush = 0; /* it counts the flushes of one loop */
    socket->process = process;
}

void orr__socket_close(struct orr__process *process, struct orr__socket *socket)
{
    orr__assert(socket->process == process && socket->connecting == NULL);
    orr__assert(socket->in.count == 0 && orr__socket_poll(socket) == NULL);
    orr__socket_end(socket, false);
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
            orr__socket_refuse_waiting(socket);
    } else if (how != ORR_SHUTDOWN_SEND) {
        orr__socket_polls_hear_of_error(socket);
        orr__socket_stop_listening(socket, false);
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
        orr__socket_submit_accept(socket, completion);
        break;
    case ORR_OP_CONNECT:
        orr__socket_submit_connect(socket, completion);
        break;
    case ORR_OP_SHUTDOWN:
        submit_shutdown(socket, completion);
        break;
    case ORR_OP_POLL:
        orr__socket_submit_poll(socket, completion);
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
        if (socket->extras != NULL && socket->extras->waits_at != NULL) {
            orr_queue_remove(&socket->extras->waits_at->out, completion);
            socket->extras->waits_at = NULL;
            socket->phase = ORR__UNCONNECTED;
        }
        socket->connecting = NULL;
        break;
    case ORR_OP_POLL:
        orr_queue_remove(&socket->extras->polls, completion);
        break;
    case ORR_OP_SEND:
    case ORR_OP_SEND_TO:
    case ORR_OP_WRITE:
    case ORR_OP_WRITEV:
        orr_queue_remove(&socket->out, completion);
        break;
    default:
        if (socket->listening && socket->in.head == completion)
            socket->extras->canceled_flush = process->seat->flush_count + 1;
        orr_queue_remove(&socket->in, completion);
        break;
    }
    orr__ready(process, completion, -ECANCELED);
}

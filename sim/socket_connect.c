/*
 * socket_connect.c: how a socket gets a peer: connect, accept, and listeners that let nobody in.
 *
 * A TCP connect sends packets (connection.c) and hears later. A Unix connect is over at once, or
 * waits in the listener's `out` until that has room.
 */
#include "network.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* ---- connect --------------------------------------------------------------------------------- */

void orr__socket_connected(struct orr__socket *socket, int error)
{
    struct orr_completion *completion = socket->connecting;
    if (completion == NULL)
        return;
    socket->connecting = NULL;
    socket->phase = error == 0 ? ORR__CONNECTED : ORR__UNCONNECTED;
    socket->failed_late = error != 0 && socket->end != NULL &&
                          socket->end->connection->begun_ns != orr__now(socket->process->world);
    orr__ready(socket->process, completion, -error);
}

static void connect_name_now(struct orr__socket *socket, struct orr__socket *listener)
{
    socket->extras->peer_name = orr__name_copy(listener->extras->name);
    orr__connection_instant(socket, listener);
    orr__socket_connected(socket, 0);
}

static int64_t connect_name(struct orr__socket *socket, struct orr_completion *completion)
{
    char path[ORR_ADDRESS_TEXT_MAX];
    uint64_t inode = 0;
    int status = orr__socket_path(completion->request.arguments.peer.target, path);
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
        socket->extras->waits_at = listener;
        orr_queue_push(&listener->out, completion);
    }
    return -EINPROGRESS;
}

/* The address to go to and to come from. */
static int route(struct orr__socket *socket, const struct orr_address *target,
                 struct orr__place *ret_remote)
{
    struct orr__place remote;
    bool maps = socket->transport == ORR__UDP && socket->family == ORR_FAMILY_IP6 &&
                orr_address_family(target) == ORR_FAMILY_IP4;
    if (maps && orr__socket_has(socket, ORR_SOCKET_ONLY_IP6))
        return -EAFNOSUPPORT;
    enum orr_family family = maps ? ORR_FAMILY_IP4 : socket->family;
    int status = orr__place_read(target, family, &remote);
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
    *ret_remote = remote;
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
        int status = route(socket, target, &socket->extras->remote);
        if (status == 0)
            socket->phase = ORR__CONNECTED;
        return status;
    }
    if (socket->phase == ORR__CONNECTED || socket->listening)
        return -EISCONN;
    if (socket->phase == ORR__CONNECTING)
        return connect_again(socket);
    struct orr__place remote;
    int status = route(socket, target, &remote);
    if (status < 0)
        return status;
    orr__socket_drop_end(socket); /* of an earlier connect that failed */
    socket->bound_again = false;
    socket->failed_late = false;
    socket->connecting = completion;
    socket->phase = ORR__CONNECTING;
    orr__connection_begin(socket, &remote);
    return -EINPROGRESS;
}

void orr__socket_submit_connect(struct orr__socket *socket, struct orr_completion *completion)
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
        socket->extras->waits_at = NULL;
        connect_name_now(socket, listener);
    }
}

/* What accept tells of who connected, even if that one is closed again. */
static struct orr__name *peer_name(const struct orr__end *end)
{
    const struct orr__socket *peer = end->peer->socket;
    struct orr_address address;
    orr__socket_name(peer != NULL ? peer->extras->name : end->connection->left_name, &address);
    return orr__name_keep(&address);
}

static struct orr__socket *child_of(struct orr__socket *listener, struct orr__end *end)
{
    struct orr__socket *child =
        orr__socket_new(listener->process, listener->transport, listener->family);
    child->switches = listener->switches;
    child->receive_buffer = listener->receive_buffer;
    child->send_buffer = listener->send_buffer;
    child->phase = ORR__CONNECTED;
    child->end = end;
    child->local = end->place;
    if (listener->transport == ORR__UNIX) {
        child->extras->name = orr__name_copy(listener->extras->name);
        child->extras->peer_name = peer_name(end);
    } else {
        orr__port_adopt(listener->port, child);
    }
    return child;
}

/* The first connection in the queue gets a socket and a descriptor; without one it stays, for the
 * next accept. */
static int64_t accept_first(struct orr__socket *listener, const struct orr_completion *completion)
{
    struct orr_node *node = listener->stack->node;
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_HANDLES, ORR__SITE_ACCEPT, completion->request.op,
                      (uint64_t)completion->result);
    int error = orr__error_at(node->world, &point, EMFILE, ENFILE);
    if (error < 0)
        return error;
    struct orr__connection *connection = listener->extras->arrived.first;
    struct orr__socket *child = child_of(listener, &connection->ends[1]);
    int32_t descriptor =
        orr__descriptor_add(listener->process, ORR__DESCRIPTOR_SOCKET, child, completion->site);
    if (descriptor < 0) {
        child->end = NULL;
        orr__socket_end(child, false);
        return descriptor;
    }
    orr__listener_hand_over(listener, child);
    if (completion->request.arguments.peer.accepted != NULL) {
        struct orr_address *accepted = completion->request.arguments.peer.accepted;
        if (listener->transport == ORR__UNIX)
            orr__name_write(child->extras->peer_name, accepted);
        else
            orr__place_write(&child->end->peer->place, child->family, accepted);
    }
    admit_waiting(listener);
    return descriptor;
}

void orr__socket_admit(struct orr__socket *listener)
{
    while (listener->in.head != NULL && listener->extras->arrived.count > 0) {
        struct orr_completion *completion =
            orr__queue_take(&listener->in, orr__socket_overtaken(listener, &listener->in));
        orr__ready(listener->process, completion, accept_first(listener, completion));
    }
}

void orr__socket_look_again(struct orr__socket *listener)
{
    orr__socket_admit(listener);
    if (listener->shut_receive)
        orr__socket_refuse_waiting(listener);
}

/*
 * A connection wakes one accept. On io_uring one that is canceled is among those that wait until
 * the end of the system call, and a connection that comes in the same call may wake that one: the
 * others go on to wait, until the next connection or accept comes.
 */
static bool wakes_a_canceled_one(struct orr__socket *listener)
{
    struct orr_node *node = listener->stack->node;
    uint64_t flush = listener->process->seat->flush_count;
    if (listener->in.head == NULL || listener->extras->canceled_flush != flush + 1)
        return false;
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_NOT_WOKEN, ORR__SITE_WAKE, ORR_OP_ACCEPT,
                      (uint64_t)listener->in.head->result);
    if (!orr__strikes(node->world, &point))
        return false;
    listener->extras->canceled_flush = 0;
    orr__fault(node->world, &point, 0, "is not woken: one that was canceled is");
    return true;
}

void orr__socket_arrived(struct orr__socket *listener)
{
    orr__socket_changed(listener);
    if (!wakes_a_canceled_one(listener) && !orr__socket_notices_later(listener))
        orr__socket_admit(listener);
}

void orr__socket_submit_accept(struct orr__socket *socket, struct orr_completion *completion)
{
    if (!socket->listening) {
        orr__ready(socket->process, completion,
                   socket->transport == ORR__UDP ? -EOPNOTSUPP : -EINVAL);
        return;
    }
    if (socket->extras->arrived.count > 0) {
        orr__ready(socket->process, completion, accept_first(socket, completion));
        return;
    }
    orr_queue_push(&socket->in, completion);
    if (socket->shut_receive && !orr__socket_notices_later(socket)) /* io_uring needs a worker */
        orr__socket_refuse_waiting(socket);
}

/* ---- the end of listening -------------------------------------------------------------------- */

void orr__socket_refuse_waiting(struct orr__socket *socket)
{
    while (socket->in.head != NULL)
        orr__ready(socket->process, orr__queue_take(&socket->in, 0), -EINVAL);
    while (socket->out.head != NULL) {
        struct orr_completion *waiting = socket->out.head;
        struct orr__socket *connects =
            orr__descriptor_get(socket->process, waiting->request.descriptor)->socket;
        orr_queue_remove(&socket->out, waiting);
        connects->extras->waits_at = NULL;
        orr__socket_connected(connects, ECONNREFUSED);
    }
}

void orr__socket_stop_listening(struct orr__socket *socket, bool vanishes)
{
    socket->listening = false;
    orr__listener_stop(socket, vanishes);
    orr__socket_refuse_waiting(socket);
}

/*
 * socket_calls.c: the immediate calls on sockets: bind, listen, addresses and options.
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
#define BUFFER_MAX (2 * 212992)
#define RECEIVE_BUFFER_MIN 2304
#define SEND_BUFFER_MIN 4608
#define RECEIVE_BUFFER_DEFAULT 131072
#define SEND_BUFFER_DEFAULT 16384
#define OTHER_BUFFER_DEFAULT 212992

/* ---- addresses and listening ----------------------------------------------------------------- */

int orr__socket_path(const struct orr_address *address, char path[ORR_ADDRESS_TEXT_MAX])
{
    static const char prefix[] = "unix:";
    if (orr_address_family(address) != ORR_FAMILY_UNIX ||
        orr_address_format(address, path, ORR_ADDRESS_TEXT_MAX) < (int)sizeof prefix)
        return -EINVAL;
    memmove(path, path + strlen(prefix), strlen(path) - strlen(prefix) + 1);
    return 0;
}

struct orr__name *orr__name_copy(const struct orr__name *name)
{
    if (name == NULL)
        return NULL;
    struct orr__name *copy = malloc(sizeof *copy + name->length);
    if (copy == NULL)
        orr_fatal("no memory for the name of a socket");
    copy->length = name->length;
    memcpy(copy->bytes, name->bytes, name->length);
    return copy;
}

struct orr__name *orr__name_keep(const struct orr_address *address)
{
    struct orr__name *name = NULL;
    if (address->length == 0)
        return NULL;
    orr__assert(address->length <= sizeof address->storage.bytes);
    name = malloc(sizeof *name + address->length);
    if (name == NULL)
        orr_fatal("no memory for the name of a socket");
    name->length = address->length;
    memcpy(name->bytes, address->storage.bytes, address->length);
    return name;
}

void orr__name_write(const struct orr__name *name, struct orr_address *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (name == NULL)
        return;
    ret_address->length = name->length;
    memcpy(ret_address->storage.bytes, name->bytes, name->length);
}

/* The kernel looks at the name before it looks at the socket; a bind that fails leaves no name. */
static int bind_name(struct orr__socket *socket, const struct orr_address *address)
{
    struct orr__disk *disk = socket->stack->node->disk;
    char path[ORR_ADDRESS_TEXT_MAX];
    int status = orr__socket_path(address, path);
    if (status == 0)
        status = orr__disk_make_socket(disk, path, NULL);
    if (status < 0)
        return status;
    struct orr__extras *extras = socket->extras;
    if (socket->port != NULL || extras->name != NULL) /* an accepted one has its listener's */
        return -EINVAL;
    status = orr__disk_make_socket(disk, path, &extras->inode);
    if (status < 0)
        return status;
    extras->name = orr__name_keep(address);
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
        socket->switches |=
            1u << ORR_SOCKET_ONLY_IP6; /* it can have no other peers, says the kernel */
    return status;
}

/* PRESSURE makes the queue of connections to be accepted tiny. */
static uint32_t draw_backlog(struct orr__stack *stack, uint32_t backlog)
{
    struct orr_node *node = stack->node;
    uint64_t number = stack->listens++;
    if (backlog > BACKLOG_MAX)
        backlog = BACKLOG_MAX;
    const struct orr__point point =
        orr__node_point(node, ORR__FAULT_BACKLOG, ORR__SITE_BUFFER, "listen", number);
    if (!orr__strikes(node->world, &point))
        return backlog;
    uint64_t drawn =
        orr__draw_below(node->world, ORR__SITE_BUFFER, ~node->id, number, BACKLOG_SMALL);
    uint32_t small = (uint32_t)orr__extent(node->world, &point, drawn, 0, BACKLOG_SMALL - 1);
    if (small >= backlog)
        return backlog;
    orr__fault(node->world, &point, small, "backlog %u instead of %u", small, backlog);
    return small;
}

int orr__socket_listen(struct orr__process *process, struct orr__socket *socket, uint32_t backlog)
{
    (void)process;
    if (socket->transport == ORR__UDP)
        return -EOPNOTSUPP;
    if (socket->phase != ORR__UNCONNECTED || socket->failed_late)
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
    orr__socket_drop_end(socket); /* of a connect that failed */
    orr__socket_extras(socket)->backlog = draw_backlog(socket->stack, backlog);
    socket->listening = true;
    return 0;
}

void orr__socket_name(const struct orr__name *name, struct orr_address *ret_address)
{
    sa_family_t family = AF_UNIX;
    orr__name_write(name, ret_address);
    if (name != NULL)
        return;
    memcpy(ret_address->storage.bytes, &family, sizeof family);
    ret_address->length = sizeof family;
}

int orr__socket_local(struct orr__socket *socket, struct orr_address *ret_address)
{
    if (socket->transport != ORR__UNIX) {
        orr__place_write(&socket->local, socket->family, ret_address);
        return 0;
    }
    orr__socket_name(socket->extras->name, ret_address);
    return 0;
}

int orr__socket_peer(struct orr__socket *socket, struct orr_address *ret_address)
{
    if (socket->phase != ORR__CONNECTED)
        return -ENOTCONN;
    if (socket->transport == ORR__UNIX) {
        orr__name_write(socket->extras->peer_name, ret_address);
        return 0;
    }
    if (socket->transport == ORR__TCP &&
        (orr__end_state(socket->end) != ORR__END_OPEN || orr__end_is_finished(socket->end)))
        return -ENOTCONN;
    const struct orr__place *remote =
        socket->transport == ORR__TCP ? &socket->end->peer->place : &socket->extras->remote;
    orr__place_write(remote, socket->family, ret_address);
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
    uint32_t receive = (uint32_t)socket->receive_buffer / 2;
    uint32_t send = (uint32_t)socket->send_buffer / 2;
    if (socket->transport == ORR__UDP && receive > 0)
        socket->extras->queue_capacity = receive;
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
        socket->receive_buffer = buffer_size(value, RECEIVE_BUFFER_MIN);
        apply_buffers(socket);
        return 0;
    case ORR_SOCKET_SEND_BUFFER:
        socket->send_buffer = buffer_size(value, SEND_BUFFER_MIN);
        apply_buffers(socket);
        return 0;
    case ORR_SOCKET_ONLY_IP6:
        if (socket->port != NULL && !gave_port_back(socket))
            return -EINVAL;
        break;
    default:
        break;
    }
    uint8_t bit = (uint8_t)(1u << option);
    socket->switches = value != 0 ? socket->switches | bit : socket->switches & (uint8_t)~bit;
    return 0;
}

static int32_t buffer_told(int32_t size, int32_t by_default)
{
    return size != 0 ? size : by_default;
}

int orr__socket_option_get(struct orr__socket *socket, enum orr_socket_option option,
                           int32_t *ret_value)
{
    if (!has_option(socket, option))
        return -ENOPROTOOPT;
    bool tcp = socket->transport == ORR__TCP;
    if (option == ORR_SOCKET_RECEIVE_BUFFER)
        *ret_value = buffer_told(socket->receive_buffer,
                                 tcp ? RECEIVE_BUFFER_DEFAULT : OTHER_BUFFER_DEFAULT);
    else if (option == ORR_SOCKET_SEND_BUFFER)
        *ret_value =
            buffer_told(socket->send_buffer, tcp ? SEND_BUFFER_DEFAULT : OTHER_BUFFER_DEFAULT);
    else
        *ret_value = orr__socket_has(socket, option);
    return 0;
}

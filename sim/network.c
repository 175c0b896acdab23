/*
 * network.c: what lies under sockets: the stack of a node, its addresses and ports.
 *
 * Node N has the addresses 10.0.x.y and fd00::xy of N + 1, and its loopback addresses, which lead
 * over a link from the node to itself. A port is an object with the sockets that bound it; who
 * conflicts with whom follows the kernel's rules for SO_REUSEADDR, SO_REUSEPORT, wildcard
 * addresses and TIME_WAIT. The table of ports is hashed by number, and nothing is decided by its
 * order.
 */
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PORT_EPHEMERAL_FIRST 32768u
#define PORT_EPHEMERAL_COUNT 28232u

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t any6[16];
static const uint8_t loopback6[16] = {[15] = 1};

/* ---- addresses ------------------------------------------------------------------------------- */

static bool is_ip4(const uint8_t ip[16])
{
    return memcmp(ip, mapped, sizeof mapped) == 0;
}

bool orr__place_is_any(const struct orr__place *place)
{
    return memcmp(place->ip, any6, sizeof any6) == 0 ||
           (is_ip4(place->ip) && memcmp(place->ip + 12, any6, 4) == 0);
}

bool orr__place_is_loopback(const struct orr__place *place)
{
    return memcmp(place->ip, loopback6, sizeof loopback6) == 0 ||
           (is_ip4(place->ip) && place->ip[12] == 127);
}

int orr__place_read(const struct orr_address *address, enum orr_family family,
                    struct orr__place *ret_place)
{
    struct orr__place place = {.port = orr_address_port(address)};
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    size_t needed = family == ORR_FAMILY_IP4 ? sizeof ip4 : sizeof ip6;
    if (address->length < needed)
        return -EINVAL;
    if (orr_address_family(address) != family)
        return -EAFNOSUPPORT;
    if (family == ORR_FAMILY_IP4) {
        memcpy(&ip4, address->storage.bytes, sizeof ip4);
        memcpy(place.ip, mapped, sizeof mapped);
        memcpy(place.ip + 12, &ip4.sin_addr, 4);
    } else {
        memcpy(&ip6, address->storage.bytes, sizeof ip6);
        memcpy(place.ip, &ip6.sin6_addr, 16);
    }
    *ret_place = place;
    return 0;
}

void orr__place_write(const struct orr__place *place, enum orr_family family,
                      struct orr_address *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (family == ORR_FAMILY_IP4) {
        struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_port = htons(place->port)};
        memcpy(&ip4.sin_addr, place->ip + 12, 4);
        memcpy(ret_address->storage.bytes, &ip4, sizeof ip4);
        ret_address->length = sizeof ip4;
    } else {
        struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6, .sin6_port = htons(place->port)};
        memcpy(&ip6.sin6_addr, place->ip, 16);
        memcpy(ret_address->storage.bytes, &ip6, sizeof ip6);
        ret_address->length = sizeof ip6;
    }
}

const char *orr__place_text(const struct orr__place *place)
{
    static _Thread_local char text[ORR_ADDRESS_TEXT_MAX];
    struct orr_address address;
    orr__place_write(place, is_ip4(place->ip) ? ORR_FAMILY_IP4 : ORR_FAMILY_IP6, &address);
    if (orr_address_format(&address, text, sizeof text) < 0)
        return "?";
    return text;
}

struct orr__stack *orr__stack_find(const struct orr__stack *from, const struct orr__place *place)
{
    if (orr__place_is_any(place) || orr__place_is_loopback(place))
        return from->node->stack;
    struct orr_address address;
    orr__place_write(place, is_ip4(place->ip) ? ORR_FAMILY_IP4 : ORR_FAMILY_IP6, &address);
    struct orr_node *node = orr__world_node_by_address(from->node->world, &address);
    return node != NULL ? node->stack : NULL;
}

void orr__stack_source(const struct orr__stack *stack, const struct orr__place *to,
                       struct orr__place *ret_from)
{
    struct orr__place from = {.port = 0};
    bool ip4 = is_ip4(to->ip);
    if (orr__place_is_any(to) || orr__place_is_loopback(to)) {
        memcpy(from.ip, ip4 ? mapped : loopback6, ip4 ? sizeof mapped : sizeof loopback6);
        if (ip4)
            memcpy(from.ip + 12, (const uint8_t[]){127, 0, 0, 1}, 4);
    } else if (ip4) {
        struct orr_address address = orr_node_address(stack->node, 0);
        (void)orr__place_read(&address, ORR_FAMILY_IP4, &from);
    } else {
        uint32_t number = stack->node->index + 1;
        from.ip[0] = 0xfd;
        from.ip[14] = (uint8_t)(number >> 8);
        from.ip[15] = (uint8_t)number;
    }
    *ret_from = from;
}

/* ---- ports ----------------------------------------------------------------------------------- */

/* An IPv4 address is also covered by the IPv6 wildcard, unless the socket is for IPv6 only. */
bool orr__socket_covers(const struct orr__socket *socket, const uint8_t ip[16])
{
    const struct orr__place *local = &socket->local;
    if (memcmp(local->ip, ip, 16) == 0)
        return true;
    if (!orr__place_is_any(local))
        return false;
    return is_ip4(ip) == is_ip4(local->ip) ||
           (!is_ip4(local->ip) && !orr__socket_has(socket, ORR_SOCKET_ONLY_IP6));
}

struct orr__port *orr__port_find(struct orr__stack *stack, enum orr__transport transport,
                                 uint16_t number)
{
    struct orr__port *port = stack->ports[number % ORR__PORT_BUCKETS];
    while (port != NULL && (port->number != number || port->transport != transport))
        port = port->next;
    return port;
}

static struct orr__port *make_port(struct orr__stack *stack, enum orr__transport transport,
                                   uint16_t number)
{
    struct orr__port *port = stack->ports_free;
    if (port != NULL)
        stack->ports_free = port->next;
    else
        port = malloc(sizeof *port);
    if (port == NULL)
        orr_fatal("no memory for port %u of node %s", number, stack->node->name);
    struct orr__port **bucket = &stack->ports[number % ORR__PORT_BUCKETS];
    *port = (struct orr__port){.next = *bucket, .number = number, .transport = (uint8_t)transport};
    *bucket = port;
    return port;
}

static bool is_busy(const struct orr__port *port, const struct orr__stack *stack)
{
    return port->busy_until_ns > orr__now(stack->node->world);
}

static void drop_port_if_unused(struct orr__stack *stack, struct orr__port *port)
{
    if (port->bound != NULL || port->children > 0 || is_busy(port, stack))
        return;
    struct orr__port **at = &stack->ports[port->number % ORR__PORT_BUCKETS];
    while (*at != port)
        at = &(*at)->next;
    *at = port->next;
    port->next = stack->ports_free;
    stack->ports_free = port;
}

/* Two bound sockets may share a port if their addresses differ, or if both wish to. */
static bool bound_conflict(const struct orr__socket *a, const struct orr__socket *b, bool to_listen)
{
    if (a->transport == ORR__UNIX) /* each has an inode of its own */
        return false;
    if (!orr__socket_covers(a, b->local.ip) && !orr__socket_covers(b, a->local.ip))
        return false;
    if (orr__socket_has(a, ORR_SOCKET_REUSE_PORT) && orr__socket_has(b, ORR_SOCKET_REUSE_PORT))
        return false;
    bool may_share = orr__socket_has(a, ORR_SOCKET_REUSE_ADDRESS) &&
                     orr__socket_has(b, ORR_SOCKET_REUSE_ADDRESS);
    return to_listen ? b->listening : !may_share || b->listening;
}

bool orr__port_conflicts(const struct orr__port *port, const struct orr__socket *socket,
                         bool to_listen)
{
    for (const struct orr__socket *other = port->bound; other != NULL; other = other->port_next)
        if (other != socket && bound_conflict(socket, other, to_listen))
            return true;
    if (to_listen || socket->transport != ORR__TCP)
        return false;
    bool reuses = orr__socket_has(socket, ORR_SOCKET_REUSE_ADDRESS);
    if (port->children > 0 && (!reuses || port->children_strict > 0))
        return true;
    return is_busy(port, socket->stack) && (!reuses || port->busy_strict);
}

static void join_port(struct orr__socket *socket, struct orr__port *port)
{
    socket->port = port;
    socket->is_child = false;
    socket->port_previous = NULL;
    socket->port_next = port->bound;
    if (port->bound != NULL)
        port->bound->port_previous = socket;
    port->bound = socket;
}

/* The ephemeral range is searched from a drawn port on. */
static bool bind_ephemeral(struct orr__socket *socket)
{
    struct orr__stack *stack = socket->stack;
    struct orr_node *node = stack->node;
    uint64_t first = orr__draw_below(node->world, ORR__SITE_PORT, node->id, node->port_count++,
                                     PORT_EPHEMERAL_COUNT);
    for (uint32_t i = 0; i < PORT_EPHEMERAL_COUNT; i++) {
        uint16_t number = (uint16_t)(PORT_EPHEMERAL_FIRST + (first + i) % PORT_EPHEMERAL_COUNT);
        struct orr__port *port = orr__port_find(stack, socket->transport, number);
        if (port != NULL && (port->bound != NULL || port->children > 0 || is_busy(port, stack)))
            continue;
        socket->local.port = number;
        socket->ephemeral = true;
        join_port(socket, port != NULL ? port : make_port(stack, socket->transport, number));
        return true;
    }
    return false;
}

int orr__port_bind(struct orr__socket *socket)
{
    if (socket->transport == ORR__UNIX)
        socket->local.port = (uint16_t)socket->extras->inode;
    else if (socket->local.port == 0)
        return bind_ephemeral(socket) ? 0 : -EADDRINUSE;
    struct orr__stack *stack = socket->stack;
    struct orr__port *port = orr__port_find(stack, socket->transport, socket->local.port);
    if (port != NULL && orr__port_conflicts(port, socket, false))
        return -EADDRINUSE;
    join_port(socket,
              port != NULL ? port : make_port(stack, socket->transport, socket->local.port));
    return 0;
}

void orr__port_adopt(struct orr__port *port, struct orr__socket *child)
{
    child->port = port;
    child->is_child = true;
    child->is_strict = !orr__socket_has(child, ORR_SOCKET_REUSE_ADDRESS);
    port->children++;
    port->children_strict += child->is_strict;
}

/* TIME_WAIT holds the port of the side that closed first for a minute. Ephemeral ports are too
 * many to matter. */
static void note_time_wait(struct orr__port *port, const struct orr__socket *socket)
{
    if (socket->ephemeral || socket->transport != ORR__TCP || socket->end == NULL ||
        !socket->end->closed_first)
        return;
    if (!is_busy(port, socket->stack))
        port->busy_strict = false;
    port->busy_until_ns = orr__now(socket->stack->node->world) + ORR_MINUTE;
    port->busy_strict = port->busy_strict || !orr__socket_has(socket, ORR_SOCKET_REUSE_ADDRESS);
}

void orr__port_leave(struct orr__socket *socket)
{
    struct orr__port *port = socket->port;
    if (port == NULL)
        return;
    note_time_wait(port, socket);
    socket->port = NULL;
    if (socket->is_child) {
        port->children--;
        port->children_strict -= socket->is_strict;
    } else {
        if (socket->port_previous != NULL)
            socket->port_previous->port_next = socket->port_next;
        else
            port->bound = socket->port_next;
        if (socket->port_next != NULL)
            socket->port_next->port_previous = socket->port_previous;
    }
    drop_port_if_unused(socket->stack, port);
}

struct orr__socket *orr__port_find_inode(struct orr__stack *stack, uint64_t inode)
{
    struct orr__port *port = orr__port_find(stack, ORR__UNIX, (uint16_t)inode);
    struct orr__socket *socket = port != NULL ? port->bound : NULL;
    while (socket != NULL && socket->extras->inode != inode)
        socket = socket->port_next;
    return socket;
}

/* ---- stacks ---------------------------------------------------------------------------------- */

struct orr__stack *orr__stack_create(struct orr_node *node)
{
    struct orr__stack *stack = calloc(1, sizeof *stack);
    if (stack == NULL)
        orr_fatal("no memory for the network of node %s", node->name);
    stack->node = node;
    return stack;
}

bool orr__stack_is_up(const struct orr__stack *stack)
{
    return stack->dark_life == 0 || stack->dark_life != stack->node->lives;
}

/* The process's operations are gone with its memory: they must not be touched, let alone
 * completed. */
static void forget_operations(struct orr__socket *socket)
{
    socket->in = socket->out = (struct orr_queue){0};
    socket->connecting = NULL;
    if (socket->extras == NULL)
        return;
    socket->extras->polls = (struct orr_queue){0};
    socket->extras->waits_at = NULL;
}

static void lose_power(struct orr__stack *stack)
{
    stack->power_losses++;
    stack->dark_life = stack->node->lives;
    for (struct orr_node *node = orr__world_node(stack->node->world, 0); node != NULL;
         node = node->next)
        orr__connections_vanish(node->stack, stack);
}

void orr__stack_life_ended(struct orr__stack *stack, enum orr_crash kind)
{
    if (kind == ORR_CRASH_POWER)
        lose_power(stack);
    for (struct orr__socket *socket = stack->sockets; socket != NULL; socket = socket->next)
        forget_operations(socket);
    while (stack->sockets != NULL)
        orr__socket_end(stack->sockets, kind == ORR_CRASH_POWER);
}

static void free_packets(struct orr__packet *packet)
{
    while (packet != NULL) {
        struct orr__packet *next = packet->next;
        free(packet->bytes);
        free(packet);
        packet = next;
    }
}

static void free_connections(struct orr__connection *connection)
{
    while (connection != NULL) {
        struct orr__connection *next = connection->next;
        orr__connection_free(connection);
        connection = next;
    }
}

static void free_ports(struct orr__port *port)
{
    while (port != NULL) {
        struct orr__port *next = port->next;
        free(port);
        port = next;
    }
}

void orr__stack_destroy(struct orr__stack *stack)
{
    if (stack == NULL)
        return;
    orr__assert(stack->sockets == NULL);
    free_connections(stack->connections);
    free_connections(stack->connections_free);
    free_packets(stack->packets);
    free_packets(stack->packets_free);
    for (uint32_t i = 0; i < ORR__PORT_BUCKETS; i++)
        free_ports(stack->ports[i]);
    free_ports(stack->ports_free);
    while (stack->sockets_free != NULL) {
        struct orr__socket *next = stack->sockets_free->next;
        free(stack->sockets_free);
        stack->sockets_free = next;
    }
    free(stack);
}

/*
 * network.h: what the network's files share; nobody else includes it.
 *
 *   network.c     stacks, addresses, ports, how long a packet takes
 *   socket*.c     sockets: their life and operations; calls, connect and accept, who waits
 *   connection*.c connections: handshake, listeners; reset, close, retransmission, who vanishes
 *   stream.c      the bytes of a connection: buffers, segments, windows
 *   ring.c        where they lie meanwhile
 *   datagram.c    datagrams
 *   span.c        the memory of a transfer
 *
 * A connection has two ends, and each end sends one flow of bytes to the other. A flow is one ring
 * with four marks:
 *
 *      read <= arrived <= sent <= written
 *        |        |         |        '-- what send operations have handed over
 *        |        |         '-- what has left the sender's buffer
 *        |        '-- what has reached the receiver's buffer
 *        '-- what recv operations have taken
 *
 * so that bytes are copied twice, once in and once out, and moving a segment moves a number. An
 * event carries the count of its bytes; order within a flow is kept by giving each arrival a later
 * time than the one before. The marks have 32 bits and wrap: only how far two of them are apart
 * means something, and that is never more than the buffers hold.
 *
 * Lifetime: a connection is counted by its references: one for each event under way, each socket
 * at an end, and the listener that holds it. Nothing else points to it, so no event can meet a
 * freed one. Sockets are pointed to by no event at all. All are reused through free lists of their
 * stack, which owns the memory until the world ends.
 *
 * Worlds have many idle connections, so an idle one is small: a flow has a ring only while bytes
 * lie in it, and what few sockets need (`struct orr__extras`) is apart from what all do.
 *
 * Loss is not simulated packet by packet. What a retransmission would repair shows as time only: a
 * flow whose path is cut, whose receiver is down or has no room to accept is `stalled`, its bytes
 * go back to unsent, and one event looks again after 200 ms, 400 ms, ... as TCP's timer does. Where
 * bytes arrive and the way back is cut, the sender is `unheard`: what it writes goes on to leave
 * until that timer has run for the first time.
 */
#ifndef ORR_SIM_NETWORK_H
#define ORR_SIM_NETWORK_H

#include "internal.h"

enum orr__transport { ORR__TCP, ORR__UNIX, ORR__UDP };

/* An IP address and port; IPv4 in its mapped form (::ffff:10.0.0.1), so that both families
 * compare alike. */
struct orr__place {
    uint8_t ip[16];
    uint16_t port;
};

struct orr__connection;

/* The bytes from one end to the other. */
struct orr__flow {
    uint8_t *ring; /* NULL while it holds nothing */
    struct orr__link *link;
    uint64_t arrival_ns; /* of the last segment on its way */
    uint32_t origin;     /* the position that lies at ring[0] */
    uint32_t read;
    uint32_t arrived;
    uint32_t sent;
    uint32_t written;
    uint32_t read_seen; /* `read` as the sender knows it */
    uint32_t send_capacity;
    uint32_t receive_capacity;
    uint8_t ring_bits; /* the ring has, or had last, 2 to that power bytes; it only grows */
    uint8_t epoch;     /* segments of an earlier one were lost */
    uint8_t retries;
    bool stalled : 1;         /* nothing leaves before the retransmission */
    bool timed : 1;           /* a retransmission is appointed */
    bool unheard : 1;         /* the acknowledgment of what arrived was lost */
    bool window_underway : 1; /* a window update is on its way to the sender */
    bool hello_sent : 1;      /* the handshake's last packet; later segments follow it */
    bool hello_arrived : 1;
    bool fin_sent : 1;
    bool fin_arrived : 1;
};

enum orr__end_state {
    ORR__END_CLOSED,
    ORR__END_CONNECTING, /* SYN sent */
    ORR__END_HALF_OPEN,  /* SYN received; held by the listener */
    ORR__END_OPEN
};

struct orr__end {
    struct orr__flow out;
    struct orr__connection *connection;
    struct orr__end *peer;
    struct orr__socket *socket; /* NULL: not accepted yet, or closed */
    struct orr__stack *stack;   /* NULL: an address where no node is */
    struct orr__place place;
    uint8_t state; /* enum orr__end_state; ask orr__end_state */
    bool shut_receive : 1;
    bool shut_send : 1;
    bool fin_received : 1;
    bool asks : 1;         /* a keep-alive question is appointed */
    bool closed_first : 1; /* its FIN was sent before the peer's arrived: TIME_WAIT is here */
    uint32_t
        power_losses; /* the stack's when the end was made: another count now means it vanished */
    int error;        /* positive errno, reported once: the kernel's sk_err */
};

struct orr__connection {
    struct orr__connection *next; /* of the stack's list, or its free list */
    struct orr__connection *previous;
    struct orr_world *world;
    struct orr__socket *listener; /* while half open or not accepted */
    struct orr__connection *wait_next;
    struct orr__connection *wait_previous;
    uint64_t begun_ns;
    uint32_t references;
    uint8_t syn_count;
    bool instant;                /* Unix: the bytes take no time */
    bool severed;                /* a reset by choice is on its way to both ends */
    bool hears_unreachable;      /* the answer to a SYN that was lost is on its way */
    struct orr__name *left_name; /* Unix: of the client that left before it was accepted */
    struct orr__end ends[2];     /* 0 connected, 1 accepted */
};

/* A doubly linked list of connections through wait_next and wait_previous. */
struct orr__waiting {
    struct orr__connection *first;
    struct orr__connection *last;
    uint32_t count;
};

/* One datagram, on its way or in a socket's queue. */
struct orr__packet {
    struct orr__packet *next;
    struct orr__packet *previous; /* while on its way */
    struct orr__stack *origin;
    struct orr__link *link;
    struct orr__place from;
    struct orr__place to;
    uint64_t occurrence;
    uint8_t *bytes;
    uint32_t length;
    uint32_t capacity;
};

/* All that uses one port of one transport on a node; for Unix sockets the number is the low bits of
 * `inode`. */
struct orr__port {
    struct orr__port *next;
    struct orr__socket *bound; /* sockets bound to it themselves */
    uint64_t busy_until_ns;    /* TIME_WAIT of the last connection that was closed from this side */
    uint32_t children;         /* accepted sockets, which share the listener's port */
    uint32_t children_strict;  /* those without SO_REUSEADDR */
    uint16_t number;
    uint8_t transport; /* enum orr__transport */
    bool busy_strict;  /* a connection in TIME_WAIT was without SO_REUSEADDR */
};

/* What connect was told last: the kernel's SS_UNCONNECTED, SS_CONNECTING, SS_CONNECTED. */
enum orr__phase { ORR__UNCONNECTED, ORR__CONNECTING, ORR__CONNECTED };

/* The name of a Unix socket: as much of an orr_address as there is. */
struct orr__name {
    uint32_t length;
    uint8_t bytes[];
};

/* What few sockets need. */
struct orr__extras {
    struct orr_queue polls;

    /* Of one that listens. */
    uint32_t backlog;
    struct orr__waiting half_open;
    struct orr__waiting arrived; /* to be accepted */
    uint64_t canceled_flush;     /* in which the first accept was canceled, + 1; 0 = in none */

    /* Of Unix sockets. */
    struct orr__name *name; /* NULL: none */
    struct orr__name *peer_name;
    uint64_t inode; /* that bind made under that name, whatever became of the name since */
    struct orr__socket *waits_at; /* a listener without room for this connect */

    /* Of datagrams. */
    struct orr__place remote;
    int error;
    uint64_t queued_bytes;
    uint64_t queue_capacity;
    uint64_t departure_ns; /* the arrival of the last datagram sent */
    struct orr__packet *queue_first;
    struct orr__packet *queue_last;
};

struct orr__socket {
    struct orr__end *end; /* of a stream that is or was connected */
    struct orr__process *process;
    struct orr__stack *stack;
    struct orr__extras *extras; /* NULL: a TCP socket that never listened and never was polled */
    struct orr_queue in;        /* RECV, RECV_FROM, READ, READV, ACCEPT that wait */
    struct orr_queue
        out; /* SEND, SEND_TO, WRITE, WRITEV; of a Unix listener: CONNECT that waits for room */
    struct orr_completion *connecting;
    struct orr__socket *next; /* of the stack's list, or its free list */
    struct orr__socket *previous;
    struct orr__port *port;
    struct orr__socket *port_next;
    struct orr__socket *port_previous;
    int32_t receive_buffer; /* as it is read back; 0 = the default */
    int32_t send_buffer;
    struct orr__place local;
    uint8_t transport;     /* enum orr__transport */
    uint8_t family;        /* enum orr_family */
    uint8_t phase;         /* enum orr__phase */
    uint8_t switches;      /* options that are on or off: 1 << enum orr_socket_option */
    bool shut_receive : 1; /* of a stream: while it has no end */
    bool shut_send : 1;
    bool listening : 1;
    bool is_child : 1;    /* of a listener on that port */
    bool is_strict : 1;   /* a child without SO_REUSEADDR */
    bool ephemeral : 1;   /* the port was chosen for it */
    bool bound_again : 1; /* after its connection was over */
    bool failed_late : 1; /* the connect, after a while: for listen, it connects still */
};

static inline bool orr__socket_has(const struct orr__socket *socket, enum orr_socket_option option)
{
    return (socket->switches >> option & 1) != 0;
}

/* The poll that waits longest, or NULL. */
static inline struct orr_completion *orr__socket_poll(const struct orr__socket *socket)
{
    return socket->extras != NULL ? socket->extras->polls.head : NULL;
}

/* With their two links, a port and two descriptors: an idle connection takes less than 1 KiB. */
_Static_assert(2 * sizeof(struct orr__socket) + sizeof(struct orr__connection) <= 648,
               "worlds have many idle connections: keep them small");

#define ORR__PORT_BUCKETS 256u

struct orr__stack {
    struct orr_node *node;
    struct orr__port *ports[ORR__PORT_BUCKETS];
    struct orr__port *ports_free;
    struct orr__socket *sockets;
    struct orr__socket *sockets_free;
    struct orr__connection *connections;
    struct orr__connection *connections_free;
    struct orr__packet *packets; /* sent from here, on their way */
    struct orr__packet *packets_free;
    uint64_t sockets_made;
    uint64_t listens;
    uint32_t power_losses;
    uint64_t dark_life; /* the life that the last power loss ended; 0 = none yet */
};

/* ---- network.c ------------------------------------------------------------------------------- */

/* The machine has power. A killed process leaves it up. */
bool orr__stack_is_up(const struct orr__stack *stack);
/* The stack that an address leads to from here, or NULL. */
struct orr__stack *orr__stack_find(const struct orr__stack *from, const struct orr__place *place);
/* The address that packets from here to there carry, without a port. */
void orr__stack_source(const struct orr__stack *stack, const struct orr__place *to,
                       struct orr__place *ret_from);

/* Reads an address for a socket of that family: -EINVAL, -EAFNOSUPPORT as the kernel. */
int orr__place_read(const struct orr_address *address, enum orr_family family,
                    struct orr__place *ret_place);
void orr__place_write(const struct orr__place *place, enum orr_family family,
                      struct orr_address *ret_address);
/* "10.0.0.1:6379", valid until the next call. */
const char *orr__place_text(const struct orr__place *place);
bool orr__place_is_any(const struct orr__place *place);
bool orr__place_is_loopback(const struct orr__place *place);
/* True if a socket bound to its local place also gets what is sent to `ip`. */
bool orr__socket_covers(const struct orr__socket *socket, const uint8_t ip[16]);

struct orr__port *orr__port_find(struct orr__stack *stack, enum orr__transport transport,
                                 uint16_t number);
/* Binds the socket to its local place; port 0 = a free one. -EADDRINUSE. */
int orr__port_bind(struct orr__socket *socket);
/* True if the socket may not listen because of another socket on its port. */
bool orr__port_conflicts(const struct orr__port *port, const struct orr__socket *socket,
                         bool to_listen);
void orr__port_adopt(struct orr__port *port, struct orr__socket *child);
void orr__port_leave(struct orr__socket *socket);
struct orr__socket *orr__port_find_inode(struct orr__stack *stack, uint64_t inode);

/* ---- socket.c -------------------------------------------------------------------------------- */

struct orr__socket *orr__socket_new(struct orr__process *process, enum orr__transport transport,
                                    enum orr_family family);
/* Closes the socket (or lets it vanish, with the power) and frees it. */
void orr__socket_end(struct orr__socket *socket, bool vanishes);
/* Lets go of the end of a connection that is over, or never came about. */
void orr__socket_drop_end(struct orr__socket *socket);
/* Makes them, if it has none. */
struct orr__extras *orr__socket_extras(struct orr__socket *socket);

/* ---- socket_calls.c -------------------------------------------------------------------------- */

/* What is told of a Unix socket's name; of one without (NULL) just the family. */
void orr__socket_name(const struct orr__name *name, struct orr_address *ret_address);
/* The path in a Unix socket's address: 0 or -EINVAL. */
int orr__socket_path(const struct orr_address *address, char path[ORR_ADDRESS_TEXT_MAX]);
/* A copy, for as long as the socket lives; NULL of an address without length. */
struct orr__name *orr__name_keep(const struct orr_address *address);
struct orr__name *orr__name_copy(const struct orr__name *name);
void orr__name_write(const struct orr__name *name, struct orr_address *ret_address);

/* ---- socket_connect.c ------------------------------------------------------------------------ */

void orr__socket_submit_connect(struct orr__socket *socket, struct orr_completion *completion);
void orr__socket_submit_accept(struct orr__socket *socket, struct orr_completion *completion);
/* Ends the connect that waits, if one does. */
void orr__socket_connected(struct orr__socket *socket, int error);
/* A connection has come to the listener: lets who waits look again. */
void orr__socket_arrived(struct orr__socket *listener);
/* Gives what has arrived to the accepts that wait. */
void orr__socket_admit(struct orr__socket *listener);
/* Those that wait to accept are woken: for a connection, or because there will be none. */
void orr__socket_look_again(struct orr__socket *listener);
/* Nobody gets in any more: neither those that wait to accept nor those that wait for room. */
void orr__socket_refuse_waiting(struct orr__socket *socket);
void orr__socket_stop_listening(struct orr__socket *socket, bool vanishes);

/* ---- socket_wait.c --------------------------------------------------------------------------- */

/* The socket is about to end as a listener: a poll may be told of that error and no more. */
void orr__socket_polls_hear_of_error(struct orr__socket *socket);
/* Lets the waiting polls look again. */
void orr__socket_changed(struct orr__socket *socket);
void orr__socket_submit_poll(struct orr__socket *socket, struct orr_completion *completion);
/* Takes the waiting operation out of a queue that has `before` others before it. */
struct orr_completion *orr__queue_take(struct orr_queue *queue, uint64_t before);
/* True if REORDER lets what waits to receive or to accept be woken later than others, which then
 * come first. */
bool orr__socket_notices_later(struct orr__socket *socket);
/* True if REORDER lets a connect learn later that it is connected, and perhaps of the reset that
 * came meanwhile. */
bool orr__socket_connects_later(const struct orr__socket *socket);
/* True if REORDER lets a recv that waits hear of an error that the connect reports, too. */
bool orr__socket_hears_twice(const struct orr__socket *socket);
/* How many of several waiting operations the next one overtakes: none, unless REORDER strikes. */
uint64_t orr__socket_overtaken(const struct orr__socket *socket, const struct orr_queue *queue);

/* ---- span.c ---------------------------------------------------------------------------------- */

/* Memory in pieces, used one after the other. Not to be copied: `pieces` may point into it. */
struct orr__span {
    const struct orr_vector *pieces;
    uint32_t length; /* of all of them */
    struct orr_vector one;
};

/* The memory that a transfer, or an operation on a datagram, names. */
void orr__span_of(const struct orr_completion *completion, struct orr__span *ret_span);
/* How much of the piece a transfer uses that has `left` bytes left. */
uint32_t orr__span_step(const struct orr_vector *piece, uint32_t left);
/* Copies `length` bytes, at most all, into the span, or out of it. */
void orr__span_fill(const struct orr__span *span, const void *from, uint32_t length);
void orr__span_copy(const struct orr__span *span, void *to, uint32_t length);

/* ---- connection.c ---------------------------------------------------------------------------- */

/* Starts to connect to `remote`, from socket->local, which is bound. */
void orr__connection_begin(struct orr__socket *socket, const struct orr__place *remote);
/* A connected pair with a Unix listener, at once. */
void orr__connection_instant(struct orr__socket *socket, struct orr__socket *listener);
void orr__connection_release(struct orr__connection *connection);
void orr__connection_free(struct orr__connection *connection);
/* An event of the connection, which keeps it until then. */
void orr__connection_schedule(struct orr__connection *connection, uint64_t time_ns,
                              orr__event_run run, void *object, uint64_t a);
/* The SYN, or its answer, did not get through: it is sent again later. */
void orr__connection_syn_lost(struct orr__connection *connection, const char *why);
/* What the end hears of what it sends now and is lost: 0 = nothing, EHOSTUNREACH, ENETUNREACH. */
int orr__end_unreachable(const struct orr__end *end);
/* The listener lets go of the connection; its reference stays with the caller. */
void orr__connection_leave_listener(struct orr__connection *connection);
/* The client of a Unix connection leaves: who accepts it later is still told its name. */
void orr__connection_keep_name(struct orr__connection *connection, const struct orr__name *name);
/* The state; closed also for an end that went with a power loss. */
static inline enum orr__end_state orr__end_state(const struct orr__end *end)
{
    if (end->state != ORR__END_CLOSED && end->power_losses != end->stack->power_losses)
        return ORR__END_CLOSED;
    return end->state;
}
/* Both directions were closed in order: nothing can reset it any more. */
bool orr__end_is_finished(const struct orr__end *end);
/* A half-open end's handshake is complete. False if the listener has no room. */
bool orr__end_complete(struct orr__end *end);
/* The listener stops: what it holds is reset (or vanishes, with the power). */
void orr__listener_stop(struct orr__socket *listener, bool vanishes);
/* The connection was accepted: its reference is the child's now. */
void orr__listener_hand_over(const struct orr__socket *listener, struct orr__socket *child);
/* As in the kernel, one more than the backlog. */
static inline bool orr__listener_has_room(const struct orr__socket *listener)
{
    return listener->extras->arrived.count <= listener->extras->backlog;
}

/* ---- connection_end.c ------------------------------------------------------------------------ */

/* The end takes no part any more: no byte leaves or is expected, and its operations end. */
void orr__end_shut_down(struct orr__end *end, int error);
/* The end of an instant connection is closed: its peer hears of it now. */
void orr__end_hang_up(struct orr__end *end, bool unread);
/* close(2), shutdown(2), power loss of an end that has a socket. */
void orr__end_close(struct orr__end *end);
int orr__end_shutdown(struct orr__end *end, enum orr_shutdown how);
void orr__end_vanish(struct orr__end *end);
/* Lets all ends on `stack` vanish, of the connections that began at `of`. */
void orr__connections_vanish(struct orr__stack *of, const struct orr__stack *stack);
/* What is on its way is lost, and is sent again later. */
void orr__end_lose(struct orr__end *end);
/* Nothing leaves until TCP's retransmission timer looks again. */
void orr__end_stall(struct orr__end *end);
/* What the end sent has arrived, and so has the acknowledgment, or it was lost. */
void orr__end_heard(struct orr__end *end);
void orr__end_unheard(struct orr__end *end);
/* Sends a RST from one end to its peer; one that answers something is provoked again if it gets
 * lost. */
void orr__end_send_reset(struct orr__end *from, bool answers);
/* A RST arrived, or does as good as. */
void orr__end_reset(struct orr__end *end);

/* ---- stream.c -------------------------------------------------------------------------------- */

void orr__flow_begin(struct orr__flow *flow);
/* Gives its ring back: nothing lies in it any more, or nobody will read it. */
void orr__flow_end(struct orr__end *end);
/* True if a segment that leaves now takes no time. */
bool orr__arrives_at_once(const struct orr__end *end, uint64_t number);
/* Bytes that recv would find. */
uint32_t orr__stream_readable(const struct orr__end *end);
/* True if send would find a good part of the buffer free. */
bool orr__stream_writable(const struct orr__end *end);
/* Lets the waiting recvs, or sends, look again. */
void orr__stream_wake_receivers(struct orr__socket *socket);
void orr__stream_wake_senders(struct orr__socket *socket);
/* Sends what the window and the path allow. */
void orr__stream_transmit(struct orr__end *end);
/* Transmits, and lets the waiting sends look again. */
void orr__stream_resume(struct orr__end *end);
/* Lets every waiting operation look again. */
void orr__stream_wake(struct orr__end *end);
/* Draws the capacities of both flows. `listener` and the connecting socket may have set theirs. */
void orr__stream_buffers(struct orr__connection *connection, const struct orr__socket *listener,
                         uint64_t occurrence);

/* ---- datagram.c ------------------------------------------------------------------------------ */

void orr__datagram_open(struct orr__socket *socket);
void orr__datagram_send(struct orr__socket *socket, struct orr_completion *completion);
/* Lets the waiting recvs look again. */
void orr__datagram_wake(struct orr__socket *socket);
/* Drops what is queued. */
void orr__datagram_close(struct orr__socket *socket);

#endif

/*
 * cases_stream.c: bytes on TCP and Unix streams, and the ways a stream ends: close, half-close,
 * reset.
 */
#include "tests/conformance/cases.h"

#include <string.h>

#define MIB (1024u * 1024u)

static uint8_t out[MIB];
static uint8_t in[MIB];
static uint8_t back[MIB];
static struct probe probes[8];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

static void on_each_family(void (*body)(struct pair *pair, enum orr_family family))
{
    ground_each_pair(reset, body);
}

static void close_ends(const struct pair *pair)
{
    ground_close(pair->client);
    ground_close(pair->server);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void carry_bytes(struct pair *pair, enum orr_family family)
{
    (void)family;
    ground_fill(out, 5000, 1);
    START(&probes[0], orr_send_all, pair->client, out, 5000); /* the send comes first */
    ground_settle();
    EXPECT(5000, END_OF(orr_recv_exact, pair->server, in, 5000));
    EXPECT_END(5000, &probes[0]);
    ground_check(in, 5000, 1);
    ground_fill(out, 5000, 2);
    START(&probes[1], orr_recv_exact, pair->client, in, 5000); /* the recv comes first */
    ground_settle();
    ck_assert_uint_eq(probes[1].calls, 0);
    EXPECT(5000, END_OF(orr_send_all, pair->server, out, 5000));
    EXPECT_END(5000, &probes[1]);
    ground_check(in, 5000, 2);
    close_ends(pair);
}

static void streams_carry_bytes(void)
{
    on_each_family(carry_bytes);
}

static void receive_what_is_there(struct pair *pair, enum orr_family family)
{
    (void)family;
    EXPECT(3, END_OF(orr_send_all, pair->client, "abc", 3));
    ground_settle();
    memset(in, 0x77, 10);
    int64_t length = END_OF(orr_recv, pair->server, in, 10); /* fewer than asked: no waiting */
    ck_assert_int_ge(length, 1);
    ck_assert_int_le(length, 3);
    ck_assert_mem_eq(in, "abc", (size_t)length);
    ck_assert_uint_eq(in[length], 0x77);
    if (length < 3)
        EXPECT(3 - length, END_OF(orr_recv_exact, pair->server, in, (size_t)(3 - length)));
    START(&probes[0], orr_recv, pair->server, in, 10);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls, 0);
    EXPECT(1, END_OF(orr_send_all, pair->client, "d", 1));
    EXPECT_END(1, &probes[0]);
    ck_assert_uint_eq(in[0], 'd');
    close_ends(pair);
}

static void a_recv_takes_what_is_there(void)
{
    on_each_family(receive_what_is_there);
}

/* Smaller ones make a kernel's TCP wait for its own timers at every step. */
#define SMALL_BUFFER 32768

static void set_small_buffers(orr_handle socket)
{
    EXPECT(0, orr_socket_option_set(ground.loop, socket, ORR_SOCKET_SEND_BUFFER, SMALL_BUFFER));
    EXPECT(0, orr_socket_option_set(ground.loop, socket, ORR_SOCKET_RECEIVE_BUFFER, SMALL_BUFFER));
}

/* Both ways at once, through buffers that hold a fraction of it. */
static void exchange_a_mebibyte(struct pair *pair, enum orr_family family)
{
    (void)family;
    set_small_buffers(pair->client);
    set_small_buffers(pair->server);
    ground_fill(out, MIB, 3);
    memset(in, 0, MIB);
    memset(back, 0, MIB);
    START(&probes[0], orr_send_all, pair->client, out, MIB);
    START(&probes[1], orr_recv_exact, pair->server, in, MIB);
    START(&probes[2], orr_send_all, pair->server, out, MIB);
    START(&probes[3], orr_recv_exact, pair->client, back, MIB);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 4; i++)
        EXPECT_END(MIB, &probes[i]);
    ground_check(in, MIB, 3);
    ground_check(back, MIB, 3);
    close_ends(pair);
}

static void a_mebibyte_through_small_buffers(void)
{
    on_each_family(exchange_a_mebibyte);
}

/* Nobody receives: what the buffers cannot hold waits, and goes on later. */
static void fill_buffers(struct pair *pair, enum orr_family family)
{
    (void)family;
    set_small_buffers(pair->client);
    set_small_buffers(pair->server);
    ground_fill(out, MIB, 4);
    START(&probes[0], orr_send_all, pair->client, out, MIB);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls, 0);
    EXPECT(MIB, END_OF(orr_recv_exact, pair->server, in, MIB));
    EXPECT_END(MIB, &probes[0]);
    ground_check(in, MIB, 4);
    close_ends(pair);
}

static void a_full_buffer_holds_the_sender(void)
{
    on_each_family(fill_buffers);
}

static void transfer_nothing(struct pair *pair, enum orr_family family)
{
    (void)family;
    EXPECT(0, END_OF(orr_send, pair->client, out, 0));
    EXPECT(0, END_OF(orr_send_all, pair->client, out, 0));
    EXPECT(2, END_OF(orr_send_all, pair->client, "ab", 2));
    ground_settle();
    EXPECT(0, END_OF(orr_recv, pair->server, in, 0)); /* takes nothing */
    EXPECT(2, END_OF(orr_recv_exact, pair->server, in, 2));
    ck_assert_mem_eq(in, "ab", 2);
    close_ends(pair);
}

static void transfers_of_nothing(void)
{
    on_each_family(transfer_nothing);
}

static void send_and_receive_on_one_handle(struct pair *pair, enum orr_family family)
{
    (void)family;
    START(&probes[0], orr_recv_exact, pair->client, in, 4);
    START(&probes[1], orr_send_all, pair->client, "ping", 4);
    START(&probes[2], orr_recv_exact, pair->server, back, 4);
    START(&probes[3], orr_send_all, pair->server, "pong", 4);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 4; i++)
        EXPECT_END(4, &probes[i]);
    ck_assert_mem_eq(in, "pong", 4);
    ck_assert_mem_eq(back, "ping", 4);
    close_ends(pair);
}

static void both_directions_on_one_handle(void)
{
    on_each_family(send_and_receive_on_one_handle);
}

static void too_long_for_one_transfer(void)
{
    struct pair pair;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    EXPECT(-EINVAL, END_OF(orr_send_all, pair.client, out, ORR_TRANSFER_MAX + 1));
    EXPECT(-EINVAL, END_OF(orr_recv_exact, pair.client, in, ORR_TRANSFER_MAX + 1));
    ground_close_pair(&pair);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void end_by_close(struct pair *pair, enum orr_family family)
{
    (void)family;
    EXPECT(3, END_OF(orr_send_all, pair->client, "end", 3));
    ground_close(pair->client); /* what was sent before arrives */
    EXPECT(3, END_OF(orr_recv_exact, pair->server, in, 100));
    EXPECT(0, END_OF(orr_recv, pair->server, in, 100));
    EXPECT(0, END_OF(orr_recv_exact, pair->server, in, 100)); /* as often as one asks */
    ground_close(pair->server);
}

static void close_ends_the_stream(void)
{
    on_each_family(end_by_close);
}

static void end_while_receiving(struct pair *pair, enum orr_family family)
{
    (void)family;
    START(&probes[0], orr_recv, pair->server, in, 100);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls, 0);
    ground_close(pair->client);
    EXPECT_END(0, &probes[0]);
    ground_close(pair->server);
}

static void close_ends_a_recv_of_the_peer(void)
{
    on_each_family(end_while_receiving);
}

static void close_one_half(struct pair *pair, enum orr_family family)
{
    (void)family;
    EXPECT(1, END_OF(orr_send_all, pair->client, "a", 1));
    EXPECT(0, END_OF(orr_shutdown, pair->client, ORR_SHUTDOWN_SEND));
    EXPECT(1, END_OF(orr_recv_exact, pair->server, in, 10));
    EXPECT(0, END_OF(orr_recv, pair->server, in, 10));
    EXPECT(-EPIPE, END_OF(orr_send, pair->client, "b", 1)); /* and no signal */
    ground_fill(out, 10000, 5);
    START(&probes[0], orr_send_all, pair->server, out, 10000); /* the other half is whole */
    EXPECT(10000, END_OF(orr_recv_exact, pair->client, in, 10000));
    EXPECT_END(10000, &probes[0]);
    ground_check(in, 10000, 5);
    EXPECT(0, END_OF(orr_shutdown, pair->server, ORR_SHUTDOWN_SEND));
    EXPECT(0, END_OF(orr_recv, pair->client, in, 10));
    close_ends(pair);
}

static void half_close(void)
{
    on_each_family(close_one_half);
}

static void shut_down_receiving(struct pair *pair, enum orr_family family)
{
    (void)family;
    START(&probes[0], orr_recv, pair->server, in, 10);
    ground_settle();
    EXPECT(0, END_OF(orr_shutdown, pair->server, ORR_SHUTDOWN_RECV));
    EXPECT_END(0, &probes[0]); /* a recv that waits ends */
    EXPECT(0, END_OF(orr_recv, pair->server, in, 10));
    EXPECT(2, END_OF(orr_send_all, pair->server, "ok", 2));
    EXPECT(2, END_OF(orr_recv_exact, pair->client, in, 2));
    close_ends(pair);
}

static void shutdown_of_receiving(void)
{
    on_each_family(shut_down_receiving);
}

static void shut_down_both(struct pair *pair, enum orr_family family)
{
    (void)family;
    EXPECT(0, END_OF(orr_shutdown, pair->client, ORR_SHUTDOWN_BOTH));
    EXPECT(0, END_OF(orr_recv, pair->client, in, 10));
    EXPECT(-EPIPE, END_OF(orr_send, pair->client, "x", 1));
    EXPECT(0, END_OF(orr_recv, pair->server, in, 10));
    close_ends(pair);
}

static void shutdown_of_both(void)
{
    on_each_family(shut_down_both);
}

/* Bytes that nobody read make a close a reset. */
static void reset_by_close(struct pair *pair, enum orr_family family)
{
    (void)family;
    EXPECT(5, END_OF(orr_send_all, pair->client, "never", 5));
    EXPECT(ORR_POLL_IN, END_OF(orr_poll, pair->server, ORR_POLL_IN)); /* they are there */
    START(&probes[0], orr_recv, pair->client, in, 10);
    ground_settle();
    ground_close(pair->server);
    EXPECT_END(-ECONNRESET, &probes[0]);
    EXPECT(-EPIPE, END_OF(orr_send, pair->client, "x", 1));
    EXPECT(0, END_OF(orr_recv, pair->client, in, 10)); /* the error was told once */
    ground_close(pair->client);
}

static void close_with_unread_bytes_resets(void)
{
    on_each_family(reset_by_close);
}

/* Sends until the peer's absence shows, which takes a while on some systems. */
static void send_to_nobody(struct pair *pair, enum orr_family family)
{
    ground_close(pair->server);
    int64_t result = 1;
    for (uint32_t i = 0; i < 1000 && result > 0; i++) {
        result = END_OF(orr_send, pair->client, "x", 1);
        ground_settle();
    }
    if (family == ORR_FAMILY_UNIX)
        EXPECT(-EPIPE, result);
    else
        EXPECT_EITHER(-EPIPE, -ECONNRESET, result);
    EXPECT(-EPIPE, END_OF(orr_send_all, pair->client, "x", 1));
    ground_close(pair->client);
}

static void sending_to_a_closed_peer(void)
{
    on_each_family(send_to_nobody);
}

/* A sender that waits for room hears of the end, too. */
static void reset_while_sending(struct pair *pair, enum orr_family family)
{
    set_small_buffers(pair->client);
    START(&probes[0], orr_send_all, pair->client, out, MIB);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls, 0);
    ground_close(pair->server);
    int64_t result = ground_result(&probes[0]);
    if (family == ORR_FAMILY_UNIX)
        EXPECT(-EPIPE, result);
    else
        EXPECT_EITHER(-ECONNRESET, -EPIPE, result);
    ground_close(pair->client);
}

static void a_waiting_sender_hears_of_the_end(void)
{
    on_each_family(reset_while_sending);
}

static void operations_on_unconnected_sockets(void)
{
    orr_handle socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(-ENOTCONN, END_OF(orr_recv, socket, in, 10));
    EXPECT(-EPIPE, END_OF(orr_send, socket, out, 10)); /* so says Linux of TCP */
    EXPECT(-ENOTCONN, END_OF(orr_shutdown, socket, ORR_SHUTDOWN_BOTH));
    ground_close(socket);
    socket = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    EXPECT(-ENOTCONN, END_OF(orr_send, socket, out, 10));
    EXPECT(0, END_OF(orr_shutdown, socket, ORR_SHUTDOWN_BOTH)); /* and so of Unix sockets */
    ground_close(socket);
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 1, &address);
    EXPECT(-ENOTCONN, END_OF(orr_recv, listener, in, 10));
    EXPECT(-EPIPE, END_OF(orr_send, listener, out, 10));
    ground_close(listener);
}

/* ---- many connections ------------------------------------------------------------------------ */

#define CLIENTS 32u
#define ROUNDS 20u

/* An echo server and its clients in one loop; each connection's bytes are its own. */
struct client {
    struct probe send;
    struct probe recv;
    struct probe echo;
    orr_handle client;
    orr_handle server;
    uint32_t rounds;
    uint8_t out[100];
    uint8_t in[100];
    uint8_t buffer[100];
};

static struct client clients[CLIENTS];

static void echo_back(struct probe *probe)
{
    struct client *client = probe->context;
    if (probe->result <= 0)
        return;
    if (probe->completion.request.op == ORR_OP_RECV)
        START(probe, orr_send_all, client->server, client->buffer, (size_t)probe->result);
    else
        START(probe, orr_recv, client->server, client->buffer, sizeof client->buffer);
}

/* The echo may be there before the send is told to have ended. */
static void next_round(struct probe *probe)
{
    struct client *client = probe->context;
    if (client->rounds > ROUNDS || orr_in_flight(&client->send.completion) ||
        orr_in_flight(&client->recv.completion))
        return;
    if (client->rounds > 0)
        ck_assert_mem_eq(client->in, client->out, sizeof client->in);
    if (client->rounds++ == ROUNDS) {
        client->send.then = NULL;
        START(&client->send, orr_close, client->client);
        return;
    }
    ground_fill(client->out, sizeof client->out,
                (uint32_t)(client - clients) * 31 + client->rounds);
    START(&client->send, orr_send_all, client->client, client->out, sizeof client->out);
    START(&client->recv, orr_recv_exact, client->client, client->in, sizeof client->in);
}

static void open_client(struct client *client, orr_handle listener,
                        const struct orr_address *address)
{
    memset(client, 0, sizeof *client);
    client->client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(0, END_OF(orr_connect, client->client, address));
    client->server = END_OF(orr_accept, listener, NULL);
    client->send.context = client;
    client->send.then = next_round;
    client->recv.context = client;
    client->recv.then = next_round;
    client->echo.context = client;
    client->echo.then = echo_back;
}

static void echo_of_many_clients(void)
{
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, CLIENTS, &address);
    for (uint32_t i = 0; i < CLIENTS; i++)
        open_client(&clients[i], listener, &address);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        START(&clients[i].echo, orr_recv, clients[i].server, clients[i].buffer, 100);
        next_round(&clients[i].recv);
    }
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        ck_assert_uint_eq(clients[i].rounds, ROUNDS + 1);
        ck_assert_uint_eq(clients[i].recv.calls, ROUNDS);
        ck_assert_int_eq(clients[i].echo.result, 0); /* the client closed */
        ground_close(clients[i].server);
    }
    ground_close(listener);
}

const struct conformance_case cases_stream[] = {
    {.name = "streams_carry_bytes", .run = streams_carry_bytes},
    {.name = "a_recv_takes_what_is_there", .run = a_recv_takes_what_is_there},
    {.name = "a_mebibyte_through_small_buffers", .run = a_mebibyte_through_small_buffers},
    {.name = "a_full_buffer_holds_the_sender", .run = a_full_buffer_holds_the_sender},
    {.name = "transfers_of_nothing", .run = transfers_of_nothing},
    {.name = "both_directions_on_one_handle", .run = both_directions_on_one_handle},
    {.name = "too_long_for_one_transfer", .run = too_long_for_one_transfer},
    {.name = "close_ends_the_stream", .run = close_ends_the_stream},
    {.name = "close_ends_a_recv_of_the_peer", .run = close_ends_a_recv_of_the_peer},
    {.name = "half_close", .run = half_close},
    {.name = "shutdown_of_receiving", .run = shutdown_of_receiving},
    {.name = "shutdown_of_both", .run = shutdown_of_both},
    {.name = "close_with_unread_bytes_resets", .run = close_with_unread_bytes_resets},
    {.name = "sending_to_a_closed_peer", .run = sending_to_a_closed_peer},
    {.name = "a_waiting_sender_hears_of_the_end", .run = a_waiting_sender_hears_of_the_end},
    {.name = "operations_on_unconnected_sockets", .run = operations_on_unconnected_sockets},
    {.name = "echo_of_many_clients", .run = echo_of_many_clients, .batch_entries = 4},
    {.name = NULL},
};

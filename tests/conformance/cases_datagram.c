/*
 * cases_datagram.c: datagrams: whole, truncated, empty, too long, from and to whom. Here nothing
 * gets lost: sender and receiver stand on one machine, and few are under way.
 */
#include "tests/conformance/cases.h"

#include <string.h>

static uint8_t out[70000];
static uint8_t in[70000];
static uint8_t copy[70000];
static struct probe probes[8];

struct datagrams {
    orr_handle first;
    orr_handle second;
    struct orr_address first_address;
    struct orr_address second_address;
};

static bool open_datagrams(enum orr_family family, struct datagrams *of)
{
    memset(probes, 0, sizeof probes);
    of->first = ground_datagram(family, &of->first_address);
    if (of->first == ORR_HANDLE_NONE)
        return false;
    of->second = ground_datagram(family, &of->second_address);
    return true;
}

static void close_datagrams(const struct datagrams *of)
{
    ground_close(of->first);
    ground_close(of->second);
}

static int64_t send_to(orr_handle from, const struct orr_address *to, const void *data,
                       uint32_t length)
{
    struct orr_datagram datagram = {.buffer = copy, .length = length};
    memcpy(copy, data, length);
    if (to != NULL)
        datagram.peer = *to;
    return END_OF(orr_send_to, from, &datagram);
}

static void they_come_whole_with_their_sender(void)
{
    static const uint32_t lengths[] = {0, 1, 2, 100, 1400, 9000};
    static const enum orr_family families[] = {ORR_FAMILY_IP4, ORR_FAMILY_IP6};
    for (uint32_t i = 0; i < 2; i++) {
        struct datagrams of;
        if (!open_datagrams(families[i], &of))
            continue;
        for (uint32_t j = 0; j < 6; j++) {
            struct orr_datagram got = {.buffer = in, .length = sizeof in};
            ground_fill(out, lengths[j], j);
            EXPECT(lengths[j], send_to(of.first, &of.second_address, out, lengths[j]));
            EXPECT(lengths[j], END_OF(orr_recv_from, of.second, &got));
            ground_check(in, lengths[j], j);
            ck_assert(orr_address_equal(&got.peer, &of.first_address));
            ck_assert(!got.truncated);
            ck_assert_uint_eq(got.length, sizeof in);
        }
        close_datagrams(&of);
    }
}

static void a_recv_waits(void)
{
    struct datagrams of;
    struct orr_datagram got[2] = {{.buffer = in, .length = 100},
                                  {.buffer = in + 100, .length = 100}};
    ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
    START(&probes[0], orr_recv_from, of.second, &got[0]);
    START(&probes[1], orr_recv_from, of.second, &got[1]); /* two at once: each gets one */
    ground_settle();
    ck_assert_uint_eq(probes[0].calls + probes[1].calls, 0);
    EXPECT(1, send_to(of.first, &of.second_address, "a", 1));
    EXPECT(2, send_to(of.first, &of.second_address, "bb", 2));
    int64_t sum = ground_result(&probes[0]) + ground_result(&probes[1]);
    EXPECT(3, sum);
    close_datagrams(&of);
}

/* A socket of a strained world may have room for one only. */
static void edges_are_kept(void)
{
    const uint32_t count = ground.driver->strained ? 1 : 10;
    struct datagrams of;
    ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
    for (uint32_t i = 1; i <= count; i++)
        EXPECT(i, send_to(of.first, &of.second_address, out, i));
    uint32_t seen = 0;
    for (uint32_t i = 1; i <= count; i++) {
        struct orr_datagram got = {.buffer = in, .length = 100};
        int64_t length = END_OF(orr_recv_from, of.second, &got);
        ck_assert(length >= 1 && length <= count && (seen >> length & 1u) == 0);
        seen |= 1u << length;
    }
    close_datagrams(&of);
}

static void longer_than_the_buffer(void)
{
    struct datagrams of;
    struct orr_datagram got = {.buffer = in, .length = 10};
    ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
    ground_fill(out, 100, 1);
    memset(in, 0x77, 20);
    EXPECT(100, send_to(of.first, &of.second_address, out, 100));
    EXPECT(10, END_OF(orr_recv_from, of.second, &got));
    ck_assert(got.truncated);
    ground_check(in, 10, 1);
    ck_assert_uint_eq(in[10], 0x77);
    EXPECT(5, send_to(of.first, &of.second_address, out, 5)); /* the rest is gone */
    EXPECT(5, END_OF(orr_recv_from, of.second, &got));
    ck_assert(!got.truncated);
    got.length = 0;
    EXPECT(5, send_to(of.first, &of.second_address, out, 5));
    EXPECT(0, END_OF(orr_recv_from, of.second, &got));
    ck_assert(got.truncated);
    close_datagrams(&of);
}

static void the_longest(void)
{
    struct datagrams of;
    struct orr_datagram got = {.buffer = in, .length = sizeof in};
    ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
    ground_fill(out, 65507, 2);
    EXPECT(65507, send_to(of.first, &of.second_address, out, 65507));
    EXPECT(65507, END_OF(orr_recv_from, of.second, &got));
    ground_check(in, 65507, 2);
    EXPECT(-EMSGSIZE, send_to(of.first, &of.second_address, out, 65508));
    EXPECT(-EMSGSIZE, send_to(of.first, &of.second_address, out, 70000));
    close_datagrams(&of);
}

static void without_a_peer(void)
{
    struct datagrams of;
    ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
    EXPECT(-EDESTADDRREQ, send_to(of.first, NULL, out, 1));
    EXPECT(-EDESTADDRREQ, END_OF(orr_send, of.first, out, 1));
    struct orr_address other;
    EXPECT(0, orr_address_parse("[::1]:9", &other));
    EXPECT(-EAFNOSUPPORT, send_to(of.first, &other, out, 1));
    close_datagrams(&of);
}

static void connected(void)
{
    struct datagrams of;
    struct orr_address address;
    struct orr_address third_address;
    struct orr_datagram got = {.buffer = in, .length = 100};
    ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
    orr_handle third = ground_datagram(ORR_FAMILY_IP4, &third_address);
    EXPECT(0, END_OF(orr_connect, of.first, &of.second_address));
    EXPECT(0, orr_peer_address(ground.loop, of.first, &address));
    ck_assert(orr_address_equal(&address, &of.second_address));
    EXPECT(3, END_OF(orr_send, of.first, "abc", 3));
    EXPECT(3, END_OF(orr_recv, of.second, in, 100));
    EXPECT(2, send_to(of.first, NULL, out, 2)); /* no address: the connected peer */
    EXPECT(2, END_OF(orr_recv_from, of.second, &got));
    ck_assert(orr_address_equal(&got.peer, &of.first_address));
    EXPECT(4, send_to(third, &of.first_address, out, 4)); /* not from the peer: not for us */
    EXPECT(5, send_to(of.second, &of.first_address, out, 5));
    EXPECT(5, END_OF(orr_recv_from, of.first, &got));
    ck_assert(orr_address_equal(&got.peer, &of.second_address));
    ground_close(third);
    close_datagrams(&of);
}

/* The peer's machine says that nobody is there; a connected socket is told so once. */
static void refused(void)
{
    struct datagrams of;
    ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
    EXPECT(0, END_OF(orr_connect, of.first, &of.second_address));
    ground_close(of.second);
    START(&probes[0], orr_recv, of.first, in, 100);
    ground_settle();
    EXPECT(1, END_OF(orr_send, of.first, "x", 1));
    EXPECT_END(-ECONNREFUSED, &probes[0]);
    ground_close(of.first);
}

static void sockets_find_their_address(void)
{
    struct orr_address address;
    struct orr_datagram got = {.buffer = in, .length = 10};
    struct datagrams of;
    ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
    orr_handle unbound = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    EXPECT(1, send_to(unbound, &of.first_address, "x", 1)); /* a port is found for it */
    EXPECT(0, orr_local_address(ground.loop, unbound, &address));
    ck_assert_uint_ne(orr_address_port(&address), 0);
    EXPECT(1, END_OF(orr_recv_from, of.first, &got));
    ck_assert_uint_eq(orr_address_port(&got.peer), orr_address_port(&address));
    orr_handle second = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    EXPECT(-EADDRINUSE, orr_bind(ground.loop, second, &of.first_address));
    EXPECT(0, orr_socket_option_set(ground.loop, second, ORR_SOCKET_REUSE_ADDRESS, 0));
    ground_close(second);
    ground_close(unbound);
    close_datagrams(&of);
}

static void on_streams(void)
{
    struct pair pair;
    struct orr_datagram datagram = {.buffer = in, .length = 10};
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    int64_t sent = send_to(pair.client, NULL, "abc", 3); /* like a send */
    ck_assert(sent == 3 || (ground.driver->strained && sent > 0 && sent < 3));
    EXPECT(sent, END_OF(orr_recv_exact, pair.server, in, (size_t)sent));
    EXPECT(3, END_OF(orr_send_all, pair.client, "def", 3));
    ground_settle();
    int64_t length = END_OF(orr_recv_from, pair.server, &datagram); /* like a recv */
    ck_assert_int_ge(length, 1);
    ck_assert_mem_eq(in, "def", (size_t)length);
    ck_assert_uint_eq(datagram.peer.length, 0);
    ground_close_pair(&pair);
}

/* What was there is received first. A socket without a peer is told so, and shut down all the
 * same. */
static void after_a_shutdown(void)
{
    for (uint32_t with_peer = 0; with_peer < 2; with_peer++) {
        struct datagrams of;
        struct orr_datagram datagram = {.buffer = in, .length = 16};
        ck_assert(open_datagrams(ORR_FAMILY_IP4, &of));
        if (with_peer != 0)
            EXPECT(0, END_OF(orr_connect, of.second, &of.first_address));
        EXPECT(3, send_to(of.first, &of.second_address, "abc", 3));
        EXPECT(ORR_POLL_IN, END_OF(orr_poll, of.second, ORR_POLL_IN));
        EXPECT(with_peer != 0 ? 0 : -ENOTCONN, END_OF(orr_shutdown, of.second, ORR_SHUTDOWN_RECV));
        EXPECT(3, END_OF(orr_recv_from, of.second, &datagram));
        EXPECT(0, END_OF(orr_recv_from, of.second, &datagram));
        EXPECT(0, END_OF(orr_recv, of.second, in, 16));
        close_datagrams(&of);
    }
}

const struct conformance_case cases_datagram[] = {
    {.name = "datagrams_after_a_shutdown", .run = after_a_shutdown},
    {.name = "datagrams_come_whole_with_their_sender", .run = they_come_whole_with_their_sender},
    {.name = "datagrams_a_recv_waits", .run = a_recv_waits},
    {.name = "datagrams_edges_are_kept", .run = edges_are_kept},
    {.name = "datagrams_longer_than_the_buffer", .run = longer_than_the_buffer},
    {.name = "datagrams_the_longest", .run = the_longest},
    {.name = "datagrams_without_a_peer", .run = without_a_peer},
    {.name = "datagrams_connected", .run = connected},
    {.name = "datagrams_refused", .run = refused},
    {.name = "datagrams_find_their_socket", .run = sockets_find_their_address},
    {.name = "datagrams_on_streams", .run = on_streams},
    {.name = NULL},
};

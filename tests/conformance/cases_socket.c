/*
 * cases_socket.c: sockets before any byte flows: addresses, options, bind, listen, connect, accept,
 * poll, and the errors of each, which are those of Linux.
 */
#include "tests/conformance/cases.h"

#include <stdio.h>
#include <string.h>

#define MANY 64u

static struct probe probes[MANY * 2];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

static struct orr_address parse(const char *text)
{
    struct orr_address address;
    EXPECT(0, orr_address_parse(text, &address));
    return address;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void both_ends_know_their_addresses(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct orr_address listening;
        struct orr_address local;
        struct orr_address peer;
        struct orr_address accepted;
        orr_handle listener = ground_listen(ground_families[i], 8, &listening);
        if (listener == ORR_HANDLE_NONE)
            continue;
        reset();
        orr_handle client = ground_socket(ground_families[i], ORR_SOCKET_STREAM);
        memset(&accepted, 0x55, sizeof accepted);
        START(&probes[0], orr_accept, listener, &accepted);
        START(&probes[1], orr_connect, client, &listening);
        orr_handle server = ground_result(&probes[0]);
        EXPECT_END(0, &probes[1]);
        EXPECT(0, orr_local_address(ground.loop, client, &local));
        EXPECT(0, orr_peer_address(ground.loop, client, &peer));
        ck_assert(orr_address_equal(&peer, &listening));
        ck_assert(orr_address_equal(&accepted, &local));
        ck_assert_int_eq(orr_address_family(&local), ground_families[i]);
        if (ground_families[i] != ORR_FAMILY_UNIX)
            ck_assert_uint_ne(orr_address_port(&local), orr_address_port(&listening));
        EXPECT(0, orr_local_address(ground.loop, server, &local));
        EXPECT(0, orr_peer_address(ground.loop, server, &peer));
        ck_assert(orr_address_equal(&local, &listening));
        ck_assert(orr_address_equal(&peer, &accepted));
        ground_close(client);
        ground_close(server);
        ground_close(listener);
    }
}

static void addresses_of_unconnected_sockets(void)
{
    struct orr_address address;
    orr_handle socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(0, orr_local_address(ground.loop, socket, &address));
    ck_assert_int_eq(orr_address_family(&address), ORR_FAMILY_IP4);
    ck_assert_uint_eq(orr_address_port(&address), 0);
    EXPECT(-ENOTCONN, orr_peer_address(ground.loop, socket, &address));
    ck_assert_uint_eq(orr_address_port(&address), 0);
    ground_close(socket);
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 1, &address);
    ck_assert_uint_ne(orr_address_port(&address), 0);
    EXPECT(-ENOTCONN, orr_peer_address(ground.loop, listener, &address));
    ground_close(listener);
}

static void free_ports_are_free(void)
{
    struct orr_address addresses[20];
    orr_handle sockets[20];
    for (uint32_t i = 0; i < 20; i++) {
        sockets[i] = ground_listen(ORR_FAMILY_IP4, 1, &addresses[i]);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_uint_ne(orr_address_port(&addresses[i]), orr_address_port(&addresses[j]));
    }
    for (uint32_t i = 0; i < 20; i++)
        ground_close(sockets[i]);
}

/* ---- bind and listen ------------------------------------------------------------------------- */

static void addresses_in_use(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct orr_address address;
        orr_handle listener = ground_listen(ground_families[i], 8, &address);
        if (listener == ORR_HANDLE_NONE)
            continue;
        orr_handle second = ground_socket(ground_families[i], ORR_SOCKET_STREAM);
        EXPECT(-EADDRINUSE, orr_bind(ground.loop, second, &address));
        ground_close(listener);
        if (ground_families[i] != ORR_FAMILY_UNIX) /* such a name may stay: see below */
            EXPECT(0, orr_bind(ground.loop, second, &address));
        ground_close(second);
    }
}

/* Where the name of a Unix socket is an entry of a directory, it stays when the socket is closed,
 * and is taken until it is unlinked. */
static void names_of_unix_sockets_are_files(void)
{
    struct orr_address address;
    struct orr_stat status;
    char text[ORR_ADDRESS_TEXT_MAX];
    ground_close(ground_listen(ORR_FAMILY_UNIX, 1, &address));
    ck_assert_int_gt(orr_address_format(&address, text, sizeof text), 0);
    const char *name = text + strlen("unix:") + strlen(ground.prefix);
    EXPECT(0, END_OF(orr_stat, ground.directory, name, &status));
    ck_assert_uint_eq(status.type, ORR_FILE_OTHER);
    orr_handle socket = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    EXPECT(-ECONNREFUSED, END_OF(orr_connect, socket, &address));
    EXPECT(-EADDRINUSE, orr_bind(ground.loop, socket, &address));
    EXPECT(0, END_OF(orr_unlink, ground.directory, name, ORR_UNLINK_FILE));
    EXPECT(-ENOENT, END_OF(orr_connect, socket, &address));
    EXPECT(0, orr_bind(ground.loop, socket, &address));
    ground_close(socket);
    socket = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    address = parse("unix:/missing-directory/s");
    EXPECT(-ENOENT, orr_bind(ground.loop, socket, &address));
    ground_close(ground_file("file"));
    snprintf(text, sizeof text, "unix:%sfile", ground.prefix);
    address = parse(text);
    EXPECT(-ECONNREFUSED, END_OF(orr_connect, socket, &address));
    EXPECT(-EADDRINUSE, orr_bind(ground.loop, socket, &address));
    ground_close(socket);
}

static void bad_binds(void)
{
    struct orr_address address;
    orr_handle socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    address = parse("192.0.2.1:5000"); /* nobody's */
    EXPECT(-EADDRNOTAVAIL, orr_bind(ground.loop, socket, &address));
    address = parse("127.0.0.1:0");
    EXPECT(0, orr_bind(ground.loop, socket, &address));
    EXPECT(-EINVAL, orr_bind(ground.loop, socket, &address)); /* a second time */
    ground_close(socket);
    socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    address = parse("[::1]:0");
    EXPECT(-EAFNOSUPPORT, orr_bind(ground.loop, socket, &address));
    memset(&address, 0, sizeof address);
    EXPECT(-EINVAL, orr_bind(ground.loop, socket, &address));
    ground_close(socket);
}

static void bad_sockets(void)
{
    EXPECT(-EINVAL, orr_socket(ground.loop, ORR_FAMILY_NONE, ORR_SOCKET_STREAM));
    EXPECT(-EINVAL, orr_socket(ground.loop, (enum orr_family)77, ORR_SOCKET_STREAM));
    EXPECT(-EINVAL, orr_socket(ground.loop, ORR_FAMILY_IP4, (enum orr_socket_type)77));
    EXPECT(-EINVAL, orr_socket(ground.loop, ORR_FAMILY_UNIX, ORR_SOCKET_DATAGRAM));
}

static void listen_without_bind_takes_a_port(void)
{
    struct orr_address address;
    orr_handle listener = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(0, orr_listen(ground.loop, listener, 4));
    EXPECT(0, orr_local_address(ground.loop, listener, &address));
    ck_assert_uint_ne(orr_address_port(&address), 0);
    EXPECT(0, orr_listen(ground.loop, listener, 8)); /* again: another backlog */
    ground_close(listener);
    listener = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    EXPECT(-EOPNOTSUPP, orr_listen(ground.loop, listener, 4));
    ground_close(listener);
}

/* ---- options --------------------------------------------------------------------------------- */

static int32_t option(orr_handle socket, enum orr_socket_option which)
{
    int32_t value = -1;
    EXPECT(0, orr_socket_option_get(ground.loop, socket, which, &value));
    return value;
}

static void options_are_kept(void)
{
    static const enum orr_socket_option flags[] = {ORR_SOCKET_NO_DELAY, ORR_SOCKET_REUSE_ADDRESS,
                                                   ORR_SOCKET_REUSE_PORT, ORR_SOCKET_KEEP_ALIVE};
    orr_handle socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_int_eq(option(socket, flags[i]), 0);
        EXPECT(0, orr_socket_option_set(ground.loop, socket, flags[i], 1));
        ck_assert_int_ne(option(socket, flags[i]), 0);
        EXPECT(0, orr_socket_option_set(ground.loop, socket, flags[i], 0));
        ck_assert_int_eq(option(socket, flags[i]), 0);
    }
    /* A system may round what it is asked for. */
    EXPECT(0, orr_socket_option_set(ground.loop, socket, ORR_SOCKET_SEND_BUFFER, 20000));
    ck_assert_int_ge(option(socket, ORR_SOCKET_SEND_BUFFER), 20000);
    EXPECT(0, orr_socket_option_set(ground.loop, socket, ORR_SOCKET_RECEIVE_BUFFER, 20000));
    ck_assert_int_ge(option(socket, ORR_SOCKET_RECEIVE_BUFFER), 20000);
    ground_close(socket);
}

static void options_of_the_wrong_kind_of_socket(void)
{
    int32_t value = 7;
    orr_handle ip4 = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    orr_handle datagram = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    orr_handle path = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    EXPECT(-ENOPROTOOPT, orr_socket_option_set(ground.loop, ip4, ORR_SOCKET_ONLY_IP6, 1));
    EXPECT(-ENOPROTOOPT, orr_socket_option_set(ground.loop, datagram, ORR_SOCKET_NO_DELAY, 1));
    /* Linux says EOPNOTSUPP where the whole protocol has no such options. */
    EXPECT_EITHER(-ENOPROTOOPT, -EOPNOTSUPP,
                  orr_socket_option_get(ground.loop, datagram, ORR_SOCKET_NO_DELAY, &value));
    EXPECT_EITHER(-ENOPROTOOPT, -EOPNOTSUPP,
                  orr_socket_option_set(ground.loop, path, ORR_SOCKET_NO_DELAY, 1));
    EXPECT(-ENOPROTOOPT, orr_socket_option_set(ground.loop, ip4, (enum orr_socket_option)1000, 1));
    ck_assert_int_eq(value, 7);
    ground_close(ip4);
    ground_close(datagram);
    ground_close(path);
}

/* ---- connect --------------------------------------------------------------------------------- */

static void connect_is_refused(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        char byte;
        struct orr_address address;
        orr_handle listener = ground_listen(ground_families[i], 8, &address);
        if (listener == ORR_HANDLE_NONE)
            continue;
        ground_close(listener);
        orr_handle client = ground_socket(ground_families[i], ORR_SOCKET_STREAM);
        EXPECT(-ECONNREFUSED, END_OF(orr_connect, client, &address));
        EXPECT(-ECONNREFUSED, END_OF(orr_connect, client, &address)); /* may be tried again */
        if (ground_families[i] != ORR_FAMILY_UNIX) { /* the end of the attempt is an end */
            EXPECT(0, END_OF(orr_recv, client, &byte, 1));
            EXPECT(-EPIPE, END_OF(orr_send, client, "x", 1));
        }
        ground_close(client);
    }
}

/* Many at once: no refusal is taken for a success, in whatever order they are told. */
static void many_connects_are_refused(void)
{
    static orr_handle clients[MANY];
    struct orr_address address;
    struct orr_address peer;
    ground_close(ground_listen(ORR_FAMILY_IP4, 8, &address));
    reset();
    for (uint32_t i = 0; i < MANY; i++) {
        clients[i] = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        START(&probes[i], orr_connect, clients[i], &address);
    }
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < MANY; i++) {
        EXPECT_END(-ECONNREFUSED, &probes[i]);
        EXPECT(-ENOTCONN, orr_peer_address(ground.loop, clients[i], &peer));
        EXPECT(-EPIPE, END_OF(orr_send, clients[i], "x", 1));
        ground_close(clients[i]);
    }
}

/* Refused long after the submit: the system asks again, and by then nobody listens. */
static void a_connect_that_is_refused_late(void)
{
    struct orr_address address;
    struct orr_address peer;
    orr_handle client;
    reset();
    orr_handle listener = ground_full_listener(&probes[0], &client, &address);
    ground_close(listener);
    EXPECT_END(-ECONNREFUSED, &probes[0]);
    EXPECT(-ENOTCONN, orr_peer_address(ground.loop, client, &peer));
    ground_close(client);
}

static void connect_to_a_path_that_is_missing(void)
{
    char text[ORR_ADDRESS_TEXT_MAX];
    orr_handle client = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    snprintf(text, sizeof text, "unix:%smissing", ground.prefix);
    struct orr_address address = parse(text);
    EXPECT(-ENOENT, END_OF(orr_connect, client, &address));
    ground_close(client);
}

static void connect_a_second_time(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct pair pair;
        struct orr_address address;
        if (!ground_pair(ground_families[i], &pair))
            continue;
        EXPECT(0, orr_local_address(ground.loop, pair.listener, &address));
        EXPECT(-EISCONN, END_OF(orr_connect, pair.client, &address));
        EXPECT(-EISCONN, END_OF(orr_connect, pair.server, &address));
        ground_close_pair(&pair);
    }
}

static void connect_to_another_family(void)
{
    struct orr_address address;
    orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    address = parse("[::1]:80");
    EXPECT(-EAFNOSUPPORT, END_OF(orr_connect, client, &address));
    ground_close(client);
}

static void connect_from_a_bound_socket(void)
{
    struct orr_address listening;
    struct orr_address mine;
    struct orr_address local;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 4, &listening);
    orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    mine = parse("127.0.0.1:0");
    EXPECT(0, orr_bind(ground.loop, client, &mine));
    EXPECT(0, orr_local_address(ground.loop, client, &mine));
    EXPECT(0, END_OF(orr_connect, client, &listening));
    EXPECT(0, orr_local_address(ground.loop, client, &local));
    ck_assert(orr_address_equal(&mine, &local));
    ground_close(END_OF(orr_accept, listener, NULL));
    ground_close(client);
    ground_close(listener);
}

/* ---- accept ---------------------------------------------------------------------------------- */

static void accept_before_and_after_connect(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct orr_address address;
        orr_handle listener = ground_listen(ground_families[i], 8, &address);
        if (listener == ORR_HANDLE_NONE)
            continue;
        for (uint32_t before = 0; before < 2; before++) {
            reset();
            orr_handle client = ground_socket(ground_families[i], ORR_SOCKET_STREAM);
            if (before == 1) {
                START(&probes[0], orr_accept, listener, NULL);
                ground_settle();
                ck_assert_uint_eq(probes[0].calls, 0);
            }
            EXPECT(0, END_OF(orr_connect, client, &address)); /* the backlog holds it */
            if (before == 0)
                START(&probes[0], orr_accept, listener, NULL);
            orr_handle server = ground_result(&probes[0]);
            ck_assert_int_gt(server, 0);
            ground_close(server);
            ground_close(client);
        }
        ground_close(listener);
    }
}

/* As many accepts as connects in flight, each of which gets a connection of its own. */
static void many_accepts_and_connects(void)
{
    static orr_handle clients[MANY];
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, MANY, &address);
    reset();
    for (uint32_t i = 0; i < MANY; i++) {
        START(&probes[i], orr_accept, listener, NULL);
        clients[i] = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        START(&probes[MANY + i], orr_connect, clients[i], &address);
    }
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < MANY; i++) {
        struct orr_address local;
        struct orr_address peer;
        EXPECT_END(0, &probes[MANY + i]);
        ck_assert_int_gt(probes[i].result, 0);
        EXPECT(0, orr_peer_address(ground.loop, probes[i].result, &peer));
        uint32_t found = 0;
        for (uint32_t j = 0; j < MANY; j++) {
            EXPECT(0, orr_local_address(ground.loop, clients[j], &local));
            found += orr_address_equal(&local, &peer);
        }
        ck_assert_uint_eq(found, 1);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_int_ne(probes[i].result, probes[j].result);
    }
}

#define QUEUED 6u

static uint64_t count_ended(const struct probe *of, uint32_t count)
{
    uint64_t ended = 0;
    for (uint32_t i = 0; i < count; i++)
        ended += of[i].calls;
    return ended;
}

/* Connections that wait for an accept, then accepts that wait for a connection; each accept takes
 * one, and one is left without. */
static void queued_connections_meet_several_accepts(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES * 2; i++) {
        struct orr_address address;
        orr_handle clients[QUEUED];
        struct probe *left = &probes[2 * QUEUED];
        orr_handle listener = ground_listen(ground_families[i / 2], QUEUED, &address);
        if (listener == ORR_HANDLE_NONE)
            continue;
        reset();
        for (uint32_t j = 0; i % 2 == 1 && j < QUEUED; j++)
            START(&probes[j], orr_accept, listener, NULL);
        ground_settle();
        for (uint32_t j = 0; j < QUEUED; j++) {
            clients[j] = ground_socket(ground_families[i / 2], ORR_SOCKET_STREAM);
            START(&probes[QUEUED + j], orr_connect, clients[j], &address);
        }
        ground_settle();
        for (uint32_t j = 0; i % 2 == 0 && j < QUEUED; j++)
            START(&probes[j], orr_accept, listener, NULL);
        START(left, orr_accept, listener, NULL);
        for (uint32_t j = 0; j < QUEUED; j++)
            EXPECT_END(0, &probes[QUEUED + j]);
        while (count_ended(probes, QUEUED) + left->calls < QUEUED)
            orr_run_once(ground.loop);
        ground_settle();
        ck_assert_uint_eq(count_ended(probes, QUEUED) + left->calls, QUEUED);
        orr_handle last = ground_socket(ground_families[i / 2], ORR_SOCKET_STREAM);
        START(&probes[2 * QUEUED + 1], orr_connect, last, &address);
        EXPECT_END(0, &probes[2 * QUEUED + 1]);
        for (uint32_t j = 0; j < QUEUED; j++)
            ground_close(ground_result(&probes[j]));
        ground_close(ground_result(left));
        for (uint32_t j = 0; j < QUEUED; j++)
            ground_close(clients[j]);
        ground_close(last);
        ground_close(listener);
    }
}

/* The client speaks and is gone before anybody accepts. */
static void a_connection_that_ended_before_it_was_accepted(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct orr_address address;
        uint8_t bytes[16];
        orr_handle listener = ground_listen(ground_families[i], 8, &address);
        if (listener == ORR_HANDLE_NONE)
            continue;
        orr_handle client = ground_socket(ground_families[i], ORR_SOCKET_STREAM);
        EXPECT(0, END_OF(orr_connect, client, &address));
        EXPECT(5, END_OF(orr_send_all, client, "hello", 5)); /* nobody has accepted yet */
        ground_close(client);
        ground_settle();
        orr_handle server = END_OF(orr_accept, listener, NULL);
        ck_assert_int_gt(server, 0);
        EXPECT(5, END_OF(orr_recv_exact, server, bytes, sizeof bytes));
        ck_assert_mem_eq(bytes, "hello", 5);
        ground_close(server);
        ground_close(listener);
    }
}

static void accept_where_nobody_listens(void)
{
    orr_handle socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(-EINVAL, END_OF(orr_accept, socket, NULL));
    ground_close(socket);
    socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    EXPECT(-EOPNOTSUPP, END_OF(orr_accept, socket, NULL));
    ground_close(socket);
    struct pair pair;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    EXPECT(-EINVAL, END_OF(orr_accept, pair.client, NULL));
    ground_close_pair(&pair);
}

/* What the socket refuses anyway does not wait behind what waits there. */
static void a_refusal_does_not_queue(void)
{
    char byte;
    struct orr_address address;
    struct probe accept = {.calls = 0};
    struct probe recv = {.calls = 0};
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
    START(&accept, orr_accept, listener, NULL);
    ground_settle();
    EXPECT(-ENOTCONN, END_OF(orr_recv, listener, &byte, 1));
    EXPECT(-ESPIPE, END_OF(orr_read, listener, &byte, 1, 1));
    EXPECT(0, END_OF(orr_cancel, &accept.completion));
    EXPECT_END(-ECANCELED, &accept);
    ground_close(listener);
    orr_handle datagrams = ground_datagram(ORR_FAMILY_IP4, &address);
    START(&recv, orr_recv, datagrams, &byte, 1);
    ground_settle();
    EXPECT(-EOPNOTSUPP, END_OF(orr_accept, datagrams, NULL));
    EXPECT(-ESPIPE, END_OF(orr_read, datagrams, &byte, 1, 1));
    EXPECT(0, END_OF(orr_cancel, &recv.completion));
    EXPECT_END(-ECANCELED, &recv);
    ground_close(datagrams);
}

/* Of 5 handles, one is the directory's. What found no handle is accepted when there is one. */
static void accept_without_a_free_handle(void)
{
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
    orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    orr_handle others[2] = {ground_file("a"), ground_file("b")};
    EXPECT(0, END_OF(orr_connect, client, &address));
    EXPECT(-EMFILE, END_OF(orr_accept, listener, NULL));
    ground_close(others[0]);
    orr_handle server = END_OF(orr_accept, listener, NULL);
    ck_assert_int_gt(server, 0);
    ground_close(server);
    ground_close(others[1]);
}

/* ---- poll ------------------------------------------------------------------------------------ */

static void poll_of_a_listener(void)
{
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
    orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    reset();
    START(&probes[0], orr_poll, listener, ORR_POLL_IN);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls, 0);
    EXPECT(0, END_OF(orr_connect, client, &address));
    EXPECT_END(ORR_POLL_IN, &probes[0]);
    EXPECT(ORR_POLL_IN, END_OF(orr_poll, listener, ORR_POLL_IN)); /* still: it took nothing */
    ground_close(END_OF(orr_accept, listener, NULL));
    ground_close(client);
    ground_close(listener);
}

static void poll_of_a_stream(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct pair pair;
        char byte;
        if (!ground_pair(ground_families[i], &pair))
            continue;
        reset();
        EXPECT(ORR_POLL_OUT, END_OF(orr_poll, pair.client, ORR_POLL_OUT | ORR_POLL_IN));
        START(&probes[0], orr_poll, pair.client, ORR_POLL_IN);
        START(&probes[1], orr_poll, pair.client, ORR_POLL_IN); /* two at once, both are told */
        ground_settle();
        ck_assert_uint_eq(probes[0].calls + probes[1].calls, 0);
        EXPECT(1, END_OF(orr_send_all, pair.server, "x", 1));
        EXPECT_END(ORR_POLL_IN, &probes[0]);
        EXPECT_END(ORR_POLL_IN, &probes[1]);
        EXPECT(1, END_OF(orr_recv, pair.client, &byte, 1));
        ground_close(pair.server);
        int64_t events = END_OF(orr_poll, pair.client, ORR_POLL_IN);
        ck_assert_msg((events & ORR_POLL_IN) != 0, "%s", probe_text(events));
        ground_close(pair.client);
        ground_close(pair.listener);
    }
}

const struct conformance_case cases_socket[] = {
    {.name = "both_ends_know_their_addresses", .run = both_ends_know_their_addresses},
    {.name = "addresses_of_unconnected_sockets", .run = addresses_of_unconnected_sockets},
    {.name = "free_ports_are_free", .run = free_ports_are_free},
    {.name = "addresses_in_use", .run = addresses_in_use},
    {.name = "names_of_unix_sockets_are_files", .run = names_of_unix_sockets_are_files},
    {.name = "bad_binds", .run = bad_binds},
    {.name = "bad_sockets", .run = bad_sockets},
    {.name = "listen_without_bind_takes_a_port", .run = listen_without_bind_takes_a_port},
    {.name = "options_are_kept", .run = options_are_kept},
    {.name = "options_of_the_wrong_kind_of_socket", .run = options_of_the_wrong_kind_of_socket},
    {.name = "connect_is_refused", .run = connect_is_refused},
    {.name = "many_connects_are_refused", .run = many_connects_are_refused, .batch_entries = 4},
    {.name = "a_connect_that_is_refused_late", .run = a_connect_that_is_refused_late},
    {.name = "connect_to_a_path_that_is_missing", .run = connect_to_a_path_that_is_missing},
    {.name = "connect_a_second_time", .run = connect_a_second_time},
    {.name = "connect_to_another_family", .run = connect_to_another_family},
    {.name = "connect_from_a_bound_socket", .run = connect_from_a_bound_socket},
    {.name = "accept_before_and_after_connect", .run = accept_before_and_after_connect},
    {.name = "many_accepts_and_connects", .run = many_accepts_and_connects, .batch_entries = 16},
    {.name = "queued_connections_meet_several_accepts",
     .run = queued_connections_meet_several_accepts},
    {.name = "a_connection_that_ended_before_it_was_accepted",
     .run = a_connection_that_ended_before_it_was_accepted},
    {.name = "accept_where_nobody_listens", .run = accept_where_nobody_listens},
    {.name = "a_refusal_does_not_queue", .run = a_refusal_does_not_queue},
    {.name = "accept_without_a_free_handle", .run = accept_without_a_free_handle, .handles_max = 5},
    {.name = "poll_of_a_listener", .run = poll_of_a_listener},
    {.name = "poll_of_a_stream", .run = poll_of_a_stream},
    {.name = NULL},
};

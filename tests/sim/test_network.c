/*
 * test_network.c: the simulated network against what Linux does. Each result here was seen on a
 * kernel, over loopback, by a program that made the same calls.
 */
#include "network_fixture.h"

/* ---- bytes ----------------------------------------------------------------------------------- */

static void exchange(int client, int server, struct pair pair)
{
    char got[32] = "";
    EXPECT(5, orr_send, client, pair.client, "hello", 5);
    EXPECT(5, orr_recv, server, pair.server, got, sizeof got);
    ck_assert_str_eq(got, "hello");
    EXPECT(3, orr_send, server, pair.server, "abc", 3);
    EXPECT(2, orr_recv, client, pair.client, got, 2);
    EXPECT(1, orr_recv, client, pair.client, got + 2, sizeof got - 2);
    ck_assert_int_eq(memcmp(got, "abc", 3), 0);
}

START_TEST(test_network__streams_carry_bytes)
{
    exchange(CLIENT, SERVER, tcp_pair());
    exchange(CLIENT, SERVER, connected("10.0.0.2:7001", "10.0.0.2:7001", CLIENT, SERVER));
    exchange(CLIENT, SERVER, connected("[::]:7002", "[fd00::2]:7002", CLIENT, SERVER));
    exchange(CLIENT, SERVER, connected("[::]:7003", "10.0.0.2:7003", CLIENT, SERVER));
    exchange(SERVER, SERVER, connected("127.0.0.1:7004", "127.0.0.1:7004", SERVER, SERVER));
    exchange(SERVER, SERVER, connected("[::1]:7005", "[::1]:7005", SERVER, SERVER));
    exchange(SERVER, SERVER, connected("0.0.0.0:7006", "0.0.0.0:7006", SERVER, SERVER));
    exchange(SERVER, SERVER, connected("0.0.0.0:7007", "10.0.0.2:7007", SERVER, SERVER));
    exchange(CLIENT, CLIENT, unix_pair());
}
END_TEST

START_TEST(test_network__empty_transfers)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    EXPECT(0, orr_send, CLIENT, pair.client, "", 0);
    SUBMIT(&recv, orr_recv, SERVER, pair.server, scratch, 0);
    run(SOON);
    ck_assert_int_eq(recv.result, PENDING); /* it waits for bytes, and takes none */
    EXPECT(1, orr_send, CLIENT, pair.client, "x", 1);
    ck_assert_int_eq(recv.result, 0);
    EXPECT(1, orr_recv, SERVER, pair.server, scratch, 9);
}
END_TEST

START_TEST(test_network__addresses_of_both_ends)
{
    struct pair pair = tcp_pair();
    struct orr_address a;
    struct orr_address b;
    char text[ORR_ADDRESS_TEXT_MAX];
    ck_assert_int_eq(orr_peer_address(loop_of(CLIENT), pair.client, &a), 0);
    ck_assert_int_eq(orr_local_address(loop_of(SERVER), pair.server, &b), 0);
    ck_assert(orr_address_equal(&a, &b));
    orr_address_format(&a, text, sizeof text);
    ck_assert_str_eq(text, "10.0.0.2:7000");
    ck_assert_int_eq(orr_local_address(loop_of(CLIENT), pair.client, &a), 0);
    ck_assert_int_eq(orr_peer_address(loop_of(SERVER), pair.server, &b), 0);
    ck_assert(orr_address_equal(&a, &b));
    ck_assert_uint_ge(orr_address_port(&a), 32768);
    ck_assert_int_eq(orr_peer_address(loop_of(SERVER), pair.listener, &a), -ENOTCONN);
}
END_TEST

START_TEST(test_network__accept_names_the_peer)
{
    struct orr_address accepted;
    struct orr_address local;
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
    static struct op accept;
    SUBMIT(&accept, orr_accept, SERVER, listener, &accepted);
    struct orr_address target = at(SERVER, 7000);
    orr_handle handle = stream_for(CLIENT, &target);
    EXPECT(0, orr_connect, CLIENT, handle, &target);
    ck_assert_int_ge(accept.result, 0);
    ck_assert_int_eq(orr_local_address(loop_of(CLIENT), handle, &local), 0);
    ck_assert(orr_address_equal(&local, &accepted));
    struct pair pair = unix_pair();
    ck_assert_int_eq(orr_peer_address(loop_of(CLIENT), pair.client, &local), 0);
    accepted = parse("unix:/s");
    ck_assert(orr_address_equal(&local, &accepted));
    ck_assert_int_eq(orr_peer_address(loop_of(CLIENT), pair.server, &local), 0);
    ck_assert_int_eq(orr_address_family(&local), ORR_FAMILY_UNIX);
    ck_assert_uint_eq(local.length, 2); /* it has no name */
}
END_TEST

static void check_backpressure(int sender, int receiver, orr_handle from, orr_handle to)
{
    static struct op last;
    uint64_t bytes = fill(sender, from, &last);
    ck_assert_uint_ge(bytes, 16384);
    drain_bytes(receiver, to, bytes);
    ck_assert_int_gt(last.result, 0);
    int64_t rest;
    RESULT(rest, orr_recv, receiver, to, scratch, 1000);
    ck_assert_int_eq(rest, last.result);
}

START_TEST(test_network__a_full_buffer_holds_the_sender)
{
    struct pair pair = tcp_pair();
    check_backpressure(CLIENT, SERVER, pair.client, pair.server);
    check_backpressure(SERVER, CLIENT, pair.server, pair.client);
    pair = unix_pair();
    check_backpressure(CLIENT, CLIENT, pair.client, pair.server);
}
END_TEST

START_TEST(test_network__buffers_can_be_set)
{
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
    orr_socket_option_set(loop_of(SERVER), listener, ORR_SOCKET_RECEIVE_BUFFER, 4000);
    struct orr_address target = at(SERVER, 7000);
    orr_handle handle = stream_for(CLIENT, &target);
    orr_socket_option_set(loop_of(CLIENT), handle, ORR_SOCKET_SEND_BUFFER, 3000);
    EXPECT(0, orr_connect, CLIENT, handle, &target);
    static struct op last;
    ck_assert_uint_eq(fill(CLIENT, handle, &last), 7000);
}
END_TEST

/* ---- closing --------------------------------------------------------------------------------- */

START_TEST(test_network__half_close)
{
    struct pair pairs[2] = {tcp_pair(), unix_pair()};
    for (int i = 0; i < 2; i++) {
        int server = i == 0 ? SERVER : CLIENT;
        struct pair pair = pairs[i];
        EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
        EXPECT(0, orr_shutdown, CLIENT, pair.client, ORR_SHUTDOWN_SEND);
        EXPECT(-EPIPE, orr_send, CLIENT, pair.client, "x", 1);
        EXPECT(3, orr_recv, server, pair.server, scratch, 9);
        EXPECT(0, orr_recv, server, pair.server, scratch, 9);
        EXPECT(0, orr_recv, server, pair.server, scratch, 9);
        EXPECT(4, orr_send, server, pair.server, "back", 4);
        EXPECT(4, orr_recv, CLIENT, pair.client, scratch, 9);
        EXPECT(0, orr_close, server, pair.server);
        EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
    }
}
END_TEST

START_TEST(test_network__close_sends_what_was_written)
{
    struct pair pair = tcp_pair();
    static struct op last;
    uint64_t bytes = fill(CLIENT, pair.client, &last);
    EXPECT(0, orr_close, CLIENT, pair.client);
    ck_assert_int_eq(last.result, -ECANCELED);
    drain_bytes(SERVER, pair.server, bytes);
    EXPECT(0, orr_recv, SERVER, pair.server, scratch, 9);
}
END_TEST

START_TEST(test_network__shutdown_recv)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(0, orr_shutdown, CLIENT, pair.client, ORR_SHUTDOWN_RECV);
    ck_assert_int_eq(recv.result, 0);
    EXPECT(2, orr_send, SERVER, pair.server, "ok", 2); /* arrives, and can be read all the same */
    EXPECT(2, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(1, orr_send, CLIENT, pair.client, "x", 1);
}
END_TEST

START_TEST(test_network__bytes_after_shutdown_of_both_reset)
{
    struct pair pair = tcp_pair();
    EXPECT(0, orr_shutdown, CLIENT, pair.client, ORR_SHUTDOWN_BOTH);
    EXPECT(1, orr_send, SERVER, pair.server, "x", 1);
    EXPECT(0, orr_recv, SERVER, pair.server, scratch, 9); /* the FIN came before the RST */
    EXPECT(-EPIPE, orr_send, SERVER, pair.server, "x", 1);
    EXPECT(-ECONNRESET, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
}
END_TEST

START_TEST(test_network__bytes_for_a_closed_peer_reset)
{
    struct pair pair = tcp_pair();
    EXPECT(0, orr_close, SERVER, pair.server);
    EXPECT(9, orr_send, CLIENT, pair.client, scratch, 9); /* answered by a RST */
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(-EPIPE, orr_send, CLIENT, pair.client, scratch, 9);
    EXPECT(-ENOTCONN, orr_shutdown, CLIENT, pair.client, ORR_SHUTDOWN_BOTH);
}
END_TEST

START_TEST(test_network__close_with_unread_bytes_resets)
{
    struct pair pair = tcp_pair();
    struct orr_address address;
    EXPECT(5, orr_send, CLIENT, pair.client, "hello", 5);
    EXPECT(3, orr_send, SERVER, pair.server, "bye", 3);
    EXPECT(0, orr_close, SERVER, pair.server);
    EXPECT(2, orr_recv, CLIENT, pair.client, scratch, 2); /* arrived before the RST */
    EXPECT(1, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(-ECONNRESET, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(-EPIPE, orr_send, CLIENT, pair.client, scratch, 9);
    ck_assert_int_eq(orr_peer_address(loop_of(CLIENT), pair.client, &address), -ENOTCONN);
}
END_TEST

START_TEST(test_network__send_may_report_the_reset)
{
    struct pair pair = tcp_pair();
    EXPECT(5, orr_send, CLIENT, pair.client, "hello", 5);
    EXPECT(0, orr_close, SERVER, pair.server);
    EXPECT(-ECONNRESET, orr_send, CLIENT, pair.client, scratch, 9);
    EXPECT(-EPIPE, orr_send, CLIENT, pair.client, scratch, 9);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
}
END_TEST

START_TEST(test_network__reset_ends_all_that_waits)
{
    struct pair pair = tcp_pair();
    static struct op recvs[2];
    static struct op sends[2];
    for (int i = 0; i < 2; i++)
        SUBMIT(&recvs[i], orr_recv, CLIENT, pair.client, scratch, 9);
    (void)fill(CLIENT, pair.client, &sends[0]);
    SUBMIT(&sends[1], orr_send, CLIENT, pair.client, scratch, 9);
    run(SOON);
    EXPECT(0, orr_close, SERVER, pair.server);
    int errors = 0;
    for (int i = 0; i < 2; i++) {
        ck_assert(recvs[i].result == 0 || recvs[i].result == -ECONNRESET);
        ck_assert(sends[i].result == -EPIPE || sends[i].result == -ECONNRESET);
        errors += (recvs[i].result == -ECONNRESET) + (sends[i].result == -ECONNRESET);
    }
    ck_assert_int_eq(errors, 1);
}
END_TEST

START_TEST(test_network__unix_close)
{
    struct pair pair = unix_pair();
    EXPECT(3, orr_send, CLIENT, pair.server, "bye", 3);
    EXPECT(0, orr_close, CLIENT, pair.server);
    EXPECT(-EPIPE, orr_send, CLIENT, pair.client, scratch, 9);
    EXPECT(3, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
    pair = connected("unix:/t", "unix:/t", CLIENT, CLIENT);
    static struct op recv;
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(1, orr_send, CLIENT, pair.client, "x", 1);
    EXPECT(0, orr_close, CLIENT, pair.server); /* with an unread byte */
    ck_assert_int_eq(recv.result, -ECONNRESET);
    EXPECT(-EPIPE, orr_send, CLIENT, pair.client, scratch, 9);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
    pair = connected("unix:/u", "unix:/u", CLIENT, CLIENT);
    EXPECT(0, orr_shutdown, CLIENT, pair.server, ORR_SHUTDOWN_RECV);
    EXPECT(-EPIPE, orr_send, CLIENT, pair.client, scratch, 9);
    EXPECT(3, orr_send, CLIENT, pair.server, "abc", 3);
    EXPECT(3, orr_recv, CLIENT, pair.client, scratch, 3);
}
END_TEST

/* ---- connecting ------------------------------------------------------------------------------ */

START_TEST(test_network__refused_and_tried_again)
{
    struct orr_address target = at(SERVER, 7000);
    orr_handle handle = stream_for(CLIENT, &target);
    EXPECT(-ECONNREFUSED, orr_connect, CLIENT, handle, &target);
    EXPECT(0, orr_recv, CLIENT, handle, scratch, 9);
    EXPECT(-EPIPE, orr_send, CLIENT, handle, scratch, 9);
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
    EXPECT(0, orr_connect, CLIENT, handle, &target);
    EXPECT(-EISCONN, orr_connect, CLIENT, handle, &target);
    int64_t accepted;
    RESULT(accepted, orr_accept, SERVER, listener, NULL);
    exchange(CLIENT, SERVER, (struct pair){.client = handle, .server = accepted});
}
END_TEST

START_TEST(test_network__unix_connect_errors)
{
    struct orr_address name = parse("unix:/s");
    struct orr_address ip = at(CLIENT, 7000);
    orr_handle handle = stream_for(CLIENT, &name);
    orr_handle server = stream_for(CLIENT, &name);
    EXPECT(-ENOENT, orr_connect, CLIENT, handle, &name);
    ck_assert_int_eq(orr_bind(loop_of(CLIENT), server, &name), 0);
    EXPECT(-ECONNREFUSED, orr_connect, CLIENT, handle, &name);
    EXPECT(-EINVAL, orr_connect, CLIENT, handle, &ip);
    ck_assert_int_eq(orr_listen(loop_of(CLIENT), server, 0), 0);
    EXPECT(0, orr_connect, CLIENT, handle, &name);
    /* the backlog is full: the next waits until there is room */
    static struct op waits[2];
    orr_handle more[2];
    for (int i = 0; i < 2; i++) {
        more[i] = stream_for(CLIENT, &name);
        SUBMIT(&waits[i], orr_connect, CLIENT, more[i], &name);
    }
    run(SOON);
    ck_assert_int_eq(waits[0].result, PENDING);
    int64_t accepted;
    RESULT(accepted, orr_accept, CLIENT, server, NULL);
    ck_assert_int_ge(accepted, 0);
    ck_assert_int_eq(waits[0].result, 0);
    ck_assert_int_eq(waits[1].result, PENDING);
    EXPECT(0, orr_close, CLIENT, server);
    ck_assert_int_eq(waits[1].result, -ECONNREFUSED);
    EXPECT(-ECONNRESET, orr_recv, CLIENT, more[0], scratch, 9); /* never accepted */
}
END_TEST

START_TEST(test_network__operations_wait_for_the_connection)
{
    struct orr_address target = at(SERVER, 7000);
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
    orr_handle handle = stream_for(CLIENT, &target);
    static struct op connect;
    static struct op again;
    static struct op send;
    static struct op recv;
    SUBMIT(&connect, orr_connect, CLIENT, handle, &target);
    SUBMIT(&again, orr_connect, CLIENT, handle, &target);
    SUBMIT(&recv, orr_recv, CLIENT, handle, scratch, 9);
    SUBMIT(&send, orr_send, CLIENT, handle, "abc", 3);
    run(SOON);
    ck_assert_int_eq(connect.result, 0);
    ck_assert_int_eq(again.result, -EALREADY);
    ck_assert_int_eq(send.result, 3);
    int64_t accepted;
    RESULT(accepted, orr_accept, SERVER, listener, NULL);
    EXPECT(3, orr_recv, SERVER, accepted, scratch, 9);
    EXPECT(2, orr_send, SERVER, accepted, "ok", 2);
    ck_assert_int_eq(recv.result, 2);
}
END_TEST

START_TEST(test_network__canceled_connect_goes_on)
{
    struct orr_address target = at(SERVER, 7000);
    (void)listen_at(SERVER, "0.0.0.0:7000", 8);
    orr_handle handle = stream_for(CLIENT, &target);
    static struct op connect;
    static struct op cancel;
    SUBMIT(&connect, orr_connect, CLIENT, handle, &target);
    SUBMIT(&cancel, orr_cancel, CLIENT, &connect.completion);
    run(SOON);
    ck_assert_int_eq(connect.result, -ECANCELED);
    ck_assert_int_eq(cancel.result, 0);
    EXPECT(0, orr_connect, CLIENT, handle, &target); /* it has connected meanwhile */
    EXPECT(-EISCONN, orr_connect, CLIENT, handle, &target);
}
END_TEST

START_TEST(test_network__closing_while_connecting)
{
    struct orr_address target = at(SERVER, 7000);
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
    static struct op connect;
    static struct op accept;
    SUBMIT(&accept, orr_accept, SERVER, listener, NULL);
    for (uint64_t after_ns = 1; after_ns < ORR_MILLISECOND; after_ns *= 2) {
        orr_handle handle = stream_for(CLIENT, &target);
        SUBMIT(&connect, orr_connect, CLIENT, handle, &target);
        run(after_ns);
        EXPECT(0, orr_close, CLIENT, handle);
        ck_assert(connect.result == -ECANCELED || connect.result == 0);
        if (connect.result == -ECANCELED)
            ck_assert_int_eq(accept.result, PENDING);
    }
}
END_TEST

/* ---- listening ------------------------------------------------------------------------------- */

START_TEST(test_network__backlog_is_one_more_than_asked)
{
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 2);
    struct orr_address target = at(SERVER, 7000);
    static struct op connects[4];
    for (int i = 0; i < 4; i++) {
        SUBMIT(&connects[i], orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
        run(SOON);
        ck_assert_int_eq(connects[i].result, i < 3 ? 0 : PENDING);
    }
    int64_t accepted;
    RESULT(accepted, orr_accept, SERVER, listener, NULL);
    ck_assert_int_ge(accepted, 0);
    ck_assert_int_eq(connects[3].result, PENDING); /* until the SYN is sent again, after 1 s */
    run(ORR_SECOND + SOON);
    ck_assert_int_eq(connects[3].result, 0);
}
END_TEST

START_TEST(test_network__accepts_wait_in_line)
{
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
    struct orr_address target = at(SERVER, 7000);
    static struct op accepts[3];
    for (int i = 0; i < 3; i++)
        SUBMIT(&accepts[i], orr_accept, SERVER, listener, NULL);
    for (int i = 0; i < 3; i++) {
        EXPECT(0, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
        for (int k = 0; k < 3; k++)
            ck_assert_int_eq(accepts[k].result != PENDING, k <= i);
    }
}
END_TEST

START_TEST(test_network__a_closed_connection_is_accepted_still)
{
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
    struct orr_address target = at(SERVER, 7000);
    orr_handle handle = stream_for(CLIENT, &target);
    EXPECT(0, orr_connect, CLIENT, handle, &target);
    EXPECT(3, orr_send, CLIENT, handle, "abc", 3);
    EXPECT(0, orr_close, CLIENT, handle);
    int64_t accepted;
    RESULT(accepted, orr_accept, SERVER, listener, NULL);
    ck_assert_int_ge(accepted, 0);
    EXPECT(3, orr_recv, SERVER, accepted, scratch, 9);
    EXPECT(0, orr_recv, SERVER, accepted, scratch, 9);
}
END_TEST

START_TEST(test_network__the_end_of_a_listener)
{
    for (int by_shutdown = 0; by_shutdown < 2; by_shutdown++) {
        orr_handle listener = listen_at(SERVER, by_shutdown ? "0.0.0.0:7000" : "0.0.0.0:7001", 8);
        struct orr_address target = at(SERVER, by_shutdown ? 7000 : 7001);
        orr_handle handle = stream_for(CLIENT, &target);
        EXPECT(0, orr_connect, CLIENT, handle, &target);
        EXPECT(0, orr_shutdown, SERVER, listener, ORR_SHUTDOWN_SEND); /* means nothing here */
        if (by_shutdown)
            EXPECT(0, orr_shutdown, SERVER, listener, ORR_SHUTDOWN_RECV);
        else
            EXPECT(0, orr_close, SERVER, listener);
        EXPECT(-ECONNRESET, orr_recv, CLIENT, handle, scratch, 9);
        EXPECT(0, orr_recv, CLIENT, handle, scratch, 9);
        EXPECT(-ECONNREFUSED, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
        if (by_shutdown) {
            EXPECT(-EINVAL, orr_accept, SERVER, listener, NULL);
            ck_assert_int_eq(orr_listen(loop_of(SERVER), listener, 3), 0);
        }
    }
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7002", 8);
    static struct op accept;
    SUBMIT(&accept, orr_accept, SERVER, listener, NULL);
    run(SOON);
    EXPECT(0, orr_shutdown, SERVER, listener, ORR_SHUTDOWN_RECV);
    ck_assert_int_eq(accept.result, -EINVAL);
}
END_TEST

START_TEST(test_network__accept_without_a_free_descriptor)
{
    struct orr_options options = {.handles_max = 70000};
    struct orr_loop *loop;
    ck_assert_int_eq(orr_node_open_loop(world, "crowded", &options, &loop), 0);
    struct orr_address any = parse("0.0.0.0:7000");
    orr_handle listener = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    ck_assert_int_eq(orr_bind(loop, listener, &any), 0);
    ck_assert_int_eq(orr_listen(loop, listener, 8), 0);
    struct orr_address target = parse("10.0.0.4:7000");
    EXPECT(0, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    orr_handle last = -1;
    for (orr_handle handle = 0; handle >= 0;) {
        handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        if (handle >= 0)
            last = handle;
        else
            ck_assert_int_eq(handle, -EMFILE);
    }
    static struct op op = {.result = PENDING};
    orr_accept(loop, &op.completion, listener, NULL, op_ended, &op);
    orr_run_until_idle(loop);
    ck_assert_int_eq(op.result, -EMFILE);
    op.result = PENDING;
    orr_close(loop, &op.completion, last, op_ended, &op);
    orr_run_until_idle(loop);
    ck_assert_int_eq(op.result, 0);
    op.result = PENDING;
    orr_accept(loop, &op.completion, listener, NULL, op_ended, &op); /* it has waited */
    orr_run_until_idle(loop);
    ck_assert_int_ge(op.result, 0);
    orr_loop_close(loop);
}
END_TEST

/* ---- sockets that are not connected ---------------------------------------------------------- */

START_TEST(test_network__errors_of_unconnected_sockets)
{
    struct orr_address any = parse("0.0.0.0:0");
    struct orr_address name = parse("unix:/s");
    orr_handle tcp = stream_for(CLIENT, &any);
    EXPECT(-ENOTCONN, orr_recv, CLIENT, tcp, scratch, 9);
    EXPECT(-EPIPE, orr_send, CLIENT, tcp, scratch, 9);
    EXPECT(-EINVAL, orr_accept, CLIENT, tcp, NULL);
    EXPECT(-ENOTCONN, orr_shutdown, CLIENT, tcp, ORR_SHUTDOWN_BOTH);
    EXPECT(0, orr_recv, CLIENT, tcp, scratch, 9);
    EXPECT(-EINVAL, orr_shutdown, CLIENT, tcp, (enum orr_shutdown)3);
    orr_handle local = stream_for(CLIENT, &name);
    EXPECT(-EINVAL, orr_recv, CLIENT, local, scratch, 9);
    EXPECT(-ENOTCONN, orr_send, CLIENT, local, scratch, 9);
    EXPECT(-EINVAL, orr_accept, CLIENT, local, NULL);
    EXPECT(0, orr_shutdown, CLIENT, local, ORR_SHUTDOWN_BOTH);
    orr_handle listener = listen_at(CLIENT, "0.0.0.0:7000", 8);
    EXPECT(-ENOTCONN, orr_recv, CLIENT, listener, scratch, 9);
    EXPECT(-EPIPE, orr_send, CLIENT, listener, scratch, 9);
    EXPECT(-EISCONN, orr_connect, CLIENT, listener, &any);
    orr_handle datagrams = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    EXPECT(-EOPNOTSUPP, orr_accept, CLIENT, datagrams, NULL);
    ck_assert_int_eq(orr_listen(loop_of(CLIENT), datagrams, 3), -EOPNOTSUPP);
    ck_assert_int_eq(orr_listen(loop_of(CLIENT), local, 3), -EINVAL);
    ck_assert_int_eq(orr_socket(loop_of(CLIENT), ORR_FAMILY_UNIX, ORR_SOCKET_DATAGRAM), -EINVAL);
}
END_TEST

START_TEST(test_network__datagram_calls_on_streams)
{
    struct pair pair = tcp_pair();
    struct orr_datagram out = {.buffer = scratch, .length = 3, .peer = at(THIRD, 1)};
    struct orr_datagram in = {.buffer = scratch, .length = 9, .peer = at(THIRD, 1)};
    EXPECT(3, orr_send_to, CLIENT, pair.client, &out); /* the address does not count */
    EXPECT(3, orr_recv_from, SERVER, pair.server, &in);
    ck_assert_uint_eq(in.peer.length, 0);
    pair = unix_pair();
    EXPECT(-EISCONN, orr_send_to, CLIENT, pair.client, &out);
    struct orr_address name = parse("unix:/s");
    EXPECT(-EOPNOTSUPP, orr_send_to, CLIENT, stream_for(CLIENT, &name), &out);
}
END_TEST

/* ---- addresses and ports --------------------------------------------------------------------- */

enum { PLAIN, REUSES, SHARES, ONLY_6 };

/* The result of binding a new stream socket of the address's family on SERVER. */
static int bound(const char *text, int how, orr_handle *ret_handle)
{
    struct orr_address address = parse(text);
    orr_handle handle = stream_for(SERVER, &address);
    static const enum orr_socket_option options[] = {ORR_SOCKET_KEEP_ALIVE,
                                                     ORR_SOCKET_REUSE_ADDRESS,
                                                     ORR_SOCKET_REUSE_PORT, ORR_SOCKET_ONLY_IP6};
    ck_assert_int_eq(orr_socket_option_set(loop_of(SERVER), handle, options[how], 1), 0);
    if (ret_handle != NULL)
        *ret_handle = handle;
    return orr_bind(loop_of(SERVER), handle, &address);
}

START_TEST(test_network__ports_in_use)
{
    ck_assert_int_eq(bound("127.0.0.1:7001", PLAIN, NULL), 0);
    ck_assert_int_eq(bound("127.0.0.1:7001", PLAIN, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("0.0.0.0:7001", PLAIN, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("0.0.0.0:7001", REUSES, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("[::]:7001", PLAIN, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("[::]:7001", ONLY_6, NULL), 0);
    ck_assert_int_eq(bound("[::1]:7001", PLAIN, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("10.0.0.2:7001", PLAIN, NULL), 0);
    ck_assert_int_eq(bound("10.0.0.1:7001", PLAIN, NULL), -EADDRNOTAVAIL);
    ck_assert_int_eq(bound("[fd00::1]:7001", PLAIN, NULL), -EADDRNOTAVAIL);
    orr_handle first;
    orr_handle second;
    ck_assert_int_eq(bound("127.0.0.1:7002", REUSES, &first), 0);
    ck_assert_int_eq(bound("0.0.0.0:7002", REUSES, &second), 0);
    ck_assert_int_eq(orr_listen(loop_of(SERVER), first, 3), 0);
    ck_assert_int_eq(orr_listen(loop_of(SERVER), second, 3), -EADDRINUSE);
    ck_assert_int_eq(bound("127.0.0.1:7002", REUSES, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("127.0.0.1:7003", SHARES, &first), 0);
    ck_assert_int_eq(bound("127.0.0.1:7003", SHARES, &second), 0);
    ck_assert_int_eq(orr_listen(loop_of(SERVER), first, 3), 0);
    ck_assert_int_eq(orr_listen(loop_of(SERVER), second, 3), 0);
    ck_assert_int_eq(bound("unix:/a", PLAIN, &first), 0);
    ck_assert_int_eq(bound("unix:/a", PLAIN, &second), -EADDRINUSE);
    ck_assert_int_eq(bound("unix:/b", PLAIN, NULL), 0);
}
END_TEST

START_TEST(test_network__bad_binds)
{
    struct orr_address ip4 = parse("127.0.0.1:0");
    struct orr_address ip6 = parse("[::1]:0");
    struct orr_address name = parse("unix:/a");
    struct orr_address again = parse("unix:/b");
    struct orr_address local;
    orr_handle handle4 = stream_for(SERVER, &ip4);
    orr_handle handle6 = stream_for(SERVER, &ip6);
    orr_handle handle_unix = stream_for(SERVER, &name);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle4, &ip6), -EAFNOSUPPORT);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle6, &ip4), -EINVAL);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle_unix, &ip4), -EINVAL);
    EXPECT(-EAFNOSUPPORT, orr_connect, SERVER, handle4, &ip6);
    EXPECT(-EINVAL, orr_connect, SERVER, handle6, &ip4);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle4, &ip4), 0);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle4, &ip4), -EINVAL);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle_unix, &name), 0);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle_unix, &name), -EADDRINUSE);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle_unix, &again), -EINVAL);
    ck_assert_int_eq(orr_local_address(loop_of(SERVER), handle4, &local), 0);
    ck_assert_uint_ge(orr_address_port(&local), 32768);
    ck_assert_int_eq(orr_local_address(loop_of(SERVER), handle6, &local), 0);
    ck_assert_uint_eq(orr_address_port(&local), 0);
    struct pair pair = tcp_pair();
    ck_assert_int_eq(orr_bind(loop_of(CLIENT), pair.client, &ip4), -EINVAL);
    ck_assert_int_eq(orr_listen(loop_of(CLIENT), pair.client, 1), -EINVAL);
    orr_handle unbound = stream_for(SERVER, &ip4);
    ck_assert_int_eq(orr_listen(loop_of(SERVER), unbound, 1), 0); /* binds by itself */
    ck_assert_int_eq(orr_local_address(loop_of(SERVER), unbound, &local), 0);
    ck_assert_uint_ge(orr_address_port(&local), 32768);
}
END_TEST

/* A listener with one accepted connection, and its client. */
static struct pair served(const char *text, int how)
{
    struct pair pair;
    ck_assert_int_eq(bound(text, how, &pair.listener), 0);
    ck_assert_int_eq(orr_listen(loop_of(SERVER), pair.listener, 3), 0);
    struct orr_address target = parse(text);
    pair.client = stream_for(CLIENT, &target);
    EXPECT(0, orr_connect, CLIENT, pair.client, &target);
    RESULT(pair.server, orr_accept, SERVER, pair.listener, NULL);
    EXPECT(0, orr_close, SERVER, pair.listener);
    return pair;
}

START_TEST(test_network__ports_of_living_and_dead_connections)
{
    struct pair pair = served("10.0.0.2:7001", PLAIN); /* alive */
    ck_assert_int_eq(bound("10.0.0.2:7001", PLAIN, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("10.0.0.2:7001", REUSES, NULL), -EADDRINUSE);
    pair = served("10.0.0.2:7002", REUSES);
    ck_assert_int_eq(bound("10.0.0.2:7002", PLAIN, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("10.0.0.2:7002", REUSES, NULL), 0);
    pair = served("10.0.0.2:7003", PLAIN); /* in TIME_WAIT */
    EXPECT(0, orr_close, SERVER, pair.server);
    EXPECT(0, orr_close, CLIENT, pair.client);
    ck_assert_int_eq(bound("10.0.0.2:7003", PLAIN, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("10.0.0.2:7003", REUSES, NULL), -EADDRINUSE);
    run(ORR_MINUTE);
    ck_assert_int_eq(bound("10.0.0.2:7003", PLAIN, NULL), 0);
    pair = served("10.0.0.2:7004", REUSES);
    EXPECT(0, orr_close, SERVER, pair.server);
    EXPECT(0, orr_close, CLIENT, pair.client);
    ck_assert_int_eq(bound("10.0.0.2:7004", PLAIN, NULL), -EADDRINUSE);
    ck_assert_int_eq(bound("10.0.0.2:7004", REUSES, NULL), 0);
    pair = served("10.0.0.2:7005", PLAIN); /* the client closed first: TIME_WAIT is there */
    EXPECT(0, orr_close, CLIENT, pair.client);
    EXPECT(0, orr_close, SERVER, pair.server);
    ck_assert_int_eq(bound("10.0.0.2:7005", PLAIN, NULL), 0);
}
END_TEST

START_TEST(test_network__ephemeral_ports_differ)
{
    struct orr_address any = parse("0.0.0.0:0");
    static uint16_t seen[2000];
    for (int i = 0; i < 2000; i++) {
        struct orr_address local;
        orr_handle handle = stream_for(CLIENT, &any);
        ck_assert_int_eq(orr_bind(loop_of(CLIENT), handle, &any), 0);
        ck_assert_int_eq(orr_local_address(loop_of(CLIENT), handle, &local), 0);
        seen[i] = orr_address_port(&local);
        if (seen[i] < 32768 || seen[i] > 60999)
            ck_abort_msg("port %u is not in the ephemeral range", seen[i]);
        for (int k = 0; k < i; k++)
            if (seen[k] == seen[i])
                ck_abort_msg("port %u was given twice", seen[i]);
    }
}
END_TEST

START_TEST(test_network__the_more_exact_listener_wins)
{
    orr_handle any;
    orr_handle exact;
    ck_assert_int_eq(bound("0.0.0.0:7001", SHARES, &any), 0);
    ck_assert_int_eq(bound("10.0.0.2:7001", SHARES, &exact), 0);
    ck_assert_int_eq(orr_listen(loop_of(SERVER), any, 3), 0);
    ck_assert_int_eq(orr_listen(loop_of(SERVER), exact, 3), 0);
    static struct op accepts[2];
    SUBMIT(&accepts[0], orr_accept, SERVER, any, NULL);
    SUBMIT(&accepts[1], orr_accept, SERVER, exact, NULL);
    struct orr_address target = at(SERVER, 7001);
    EXPECT(0, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    ck_assert_int_eq(accepts[0].result, PENDING);
    ck_assert_int_ge(accepts[1].result, 0);
    target = parse("127.0.0.1:7001");
    EXPECT(0, orr_connect, SERVER, stream_for(SERVER, &target), &target);
    ck_assert_int_ge(accepts[0].result, 0);
}
END_TEST

/* ---- options --------------------------------------------------------------------------------- */

static int32_t option_after(orr_handle handle, enum orr_socket_option option, int32_t value)
{
    int32_t got = -1;
    int status = orr_socket_option_set(loop_of(CLIENT), handle, option, value);
    if (status < 0)
        return status;
    ck_assert_int_eq(orr_socket_option_get(loop_of(CLIENT), handle, option, &got), 0);
    return got;
}

START_TEST(test_network__options)
{
    orr_handle tcp = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    orr_handle tcp6 = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP6, ORR_SOCKET_STREAM);
    orr_handle udp = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    orr_handle local = orr_socket(loop_of(CLIENT), ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    int32_t value;
    ck_assert_int_eq(option_after(tcp, ORR_SOCKET_NO_DELAY, 5), 1);
    ck_assert_int_eq(option_after(tcp, ORR_SOCKET_REUSE_ADDRESS, 7), 1);
    ck_assert_int_eq(option_after(tcp, ORR_SOCKET_KEEP_ALIVE, 1), 1);
    ck_assert_int_eq(option_after(tcp, ORR_SOCKET_KEEP_ALIVE, 0), 0);
    ck_assert_int_eq(option_after(tcp, ORR_SOCKET_ONLY_IP6, 1), -ENOPROTOOPT);
    ck_assert_int_eq(option_after(tcp6, ORR_SOCKET_ONLY_IP6, 1), 1);
    ck_assert_int_eq(option_after(udp, ORR_SOCKET_NO_DELAY, 1), -ENOPROTOOPT);
    ck_assert_int_eq(option_after(local, ORR_SOCKET_NO_DELAY, 1), -ENOPROTOOPT);
    ck_assert_int_eq(option_after(local, ORR_SOCKET_REUSE_PORT, 1), -ENOPROTOOPT);
    ck_assert_int_eq(option_after(local, ORR_SOCKET_REUSE_ADDRESS, 1), 1);
    ck_assert_int_eq(orr_socket_option_get(loop_of(CLIENT), tcp, ORR_SOCKET_RECEIVE_BUFFER, &value),
                     0);
    ck_assert_int_eq(value, 131072);
    ck_assert_int_eq(option_after(tcp, ORR_SOCKET_RECEIVE_BUFFER, 10000), 20000);
    ck_assert_int_eq(option_after(tcp, ORR_SOCKET_RECEIVE_BUFFER, 1), 2304);
    ck_assert_int_eq(option_after(tcp, ORR_SOCKET_SEND_BUFFER, 1), 4608);
    ck_assert_int_gt(option_after(tcp, ORR_SOCKET_SEND_BUFFER, INT32_MAX), 100000);
    ck_assert_int_gt(option_after(tcp, ORR_SOCKET_SEND_BUFFER, -1), 100000);
    struct orr_address any = parse("[::]:7000");
    ck_assert_int_eq(orr_bind(loop_of(CLIENT), tcp6, &any), 0);
    ck_assert_int_eq(option_after(tcp6, ORR_SOCKET_ONLY_IP6, 0), -EINVAL);
    ck_assert_int_eq(orr_socket_option_set(loop_of(CLIENT), tcp, (enum orr_socket_option)99, 1),
                     -ENOPROTOOPT);
}
END_TEST

START_TEST(test_network__children_inherit_options)
{
    orr_handle listener = listen_at(CLIENT, "127.0.0.1:7000", 3);
    ck_assert_int_eq(option_after(listener, ORR_SOCKET_NO_DELAY, 1), 1);
    ck_assert_int_eq(option_after(listener, ORR_SOCKET_SEND_BUFFER, 5000), 10000);
    struct orr_address target = parse("127.0.0.1:7000");
    EXPECT(0, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    int64_t child;
    int32_t value;
    RESULT(child, orr_accept, CLIENT, listener, NULL);
    ck_assert_int_eq(orr_socket_option_get(loop_of(CLIENT), child, ORR_SOCKET_SEND_BUFFER, &value),
                     0);
    ck_assert_int_eq(value, 10000);
    ck_assert_int_eq(orr_socket_option_get(loop_of(CLIENT), child, ORR_SOCKET_NO_DELAY, &value), 0);
    ck_assert_int_eq(value, 1);
}
END_TEST

/* ---- poll ------------------------------------------------------------------------------------ */

#define IN ORR_POLL_IN
#define OUT ORR_POLL_OUT
#define ERROR ORR_POLL_ERROR
#define HANGUP ORR_POLL_HANGUP

START_TEST(test_network__poll_tells_the_state)
{
    struct orr_address any = parse("0.0.0.0:0");
    struct pair pair = tcp_pair();
    EXPECT(OUT | HANGUP, orr_poll, CLIENT, stream_for(CLIENT, &any), IN | OUT);
    EXPECT(OUT, orr_poll, CLIENT, pair.client, IN | OUT);
    EXPECT(1, orr_send, SERVER, pair.server, "x", 1);
    EXPECT(IN | OUT, orr_poll, CLIENT, pair.client, IN | OUT);
    EXPECT(IN, orr_poll, CLIENT, pair.client, IN);
    EXPECT(1, orr_recv, CLIENT, pair.client, scratch, 1);
    EXPECT(0, orr_shutdown, SERVER, pair.server, ORR_SHUTDOWN_SEND);
    EXPECT(IN | OUT, orr_poll, CLIENT, pair.client, IN | OUT);
    EXPECT(0, orr_shutdown, CLIENT, pair.client, ORR_SHUTDOWN_SEND);
    EXPECT(IN | OUT | HANGUP, orr_poll, CLIENT, pair.client, IN | OUT);
    pair = connected("0.0.0.0:7001", "10.0.0.2:7001", CLIENT, SERVER);
    EXPECT(1, orr_send, CLIENT, pair.client, "x", 1);
    EXPECT(0, orr_close, SERVER, pair.server);
    EXPECT(IN | OUT | ERROR | HANGUP, orr_poll, CLIENT, pair.client, IN | OUT);
    EXPECT(-ECONNRESET, orr_recv, CLIENT, pair.client, scratch, 1);
    EXPECT(IN | OUT | HANGUP, orr_poll, CLIENT, pair.client, IN | OUT);
    pair = unix_pair();
    EXPECT(OUT, orr_poll, CLIENT, pair.client, IN | OUT);
    EXPECT(0, orr_close, CLIENT, pair.server);
    EXPECT(IN | OUT | HANGUP, orr_poll, CLIENT, pair.client, IN | OUT);
}
END_TEST

START_TEST(test_network__poll_waits)
{
    struct pair pair = tcp_pair();
    static struct op polls[3];
    static struct op last;
    SUBMIT(&polls[0], orr_poll, SERVER, pair.server, IN);
    SUBMIT(&polls[1], orr_poll, SERVER, pair.server, 0);
    run(SOON);
    ck_assert_int_eq(polls[0].result, PENDING);
    uint64_t bytes = fill(CLIENT, pair.client, &last);
    ck_assert_int_eq(polls[0].result, IN);
    ck_assert_int_eq(polls[1].result, PENDING);
    static struct op cancel;
    SUBMIT(&cancel, orr_cancel, CLIENT, &last.completion);
    SUBMIT(&polls[2], orr_poll, CLIENT, pair.client, OUT);
    run(SOON);
    ck_assert_int_eq(polls[2].result, PENDING);
    drain_bytes(SERVER, pair.server, bytes);
    ck_assert_int_eq(polls[2].result, OUT);
    SUBMIT(&polls[0], orr_poll, SERVER, pair.listener, IN);
    run(SOON);
    ck_assert_int_eq(polls[0].result, PENDING);
    struct orr_address target = at(SERVER, 7000);
    EXPECT(0, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    ck_assert_int_eq(polls[0].result, IN);
}
END_TEST

/* ---- cancel ---------------------------------------------------------------------------------- */

START_TEST(test_network__every_waiting_operation_can_be_canceled)
{
    struct pair pair = tcp_pair();
    orr_handle datagrams = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    struct orr_address nowhere = parse("10.9.9.9:1");
    struct orr_datagram in = {.buffer = scratch, .length = 9};
    static struct op ops[7];
    (void)fill(CLIENT, pair.client, &ops[0]);
    SUBMIT(&ops[1], orr_send, CLIENT, pair.client, scratch, 9);
    SUBMIT(&ops[2], orr_recv, CLIENT, pair.client, scratch, 9);
    SUBMIT(&ops[3], orr_recv_from, CLIENT, datagrams, &in);
    SUBMIT(&ops[4], orr_poll, CLIENT, pair.client, IN);
    SUBMIT(&ops[5], orr_connect, CLIENT, stream_for(CLIENT, &nowhere), &nowhere);
    SUBMIT(&ops[6], orr_accept, CLIENT, listen_at(CLIENT, "0.0.0.0:7000", 1), NULL);
    run(SOON);
    for (int i = 6; i >= 0; i--) {
        ck_assert_int_eq(ops[i].result, PENDING);
        EXPECT(0, orr_cancel, CLIENT, &ops[i].completion);
        ck_assert_int_eq(ops[i].result, -ECANCELED);
    }
    EXPECT(1, orr_send, SERVER, pair.server, "x", 1);
    EXPECT(1, orr_recv, CLIENT, pair.client, scratch, 9); /* the canceled ones took nothing */
}
END_TEST

/* ---- datagrams ------------------------------------------------------------------------------- */

static orr_handle datagrams_at(int node, const char *text)
{
    struct orr_address address = parse(text);
    orr_handle handle =
        orr_socket(loop_of(node), orr_address_family(&address), ORR_SOCKET_DATAGRAM);
    ck_assert_int_eq(orr_bind(loop_of(node), handle, &address), 0);
    return handle;
}

START_TEST(test_network__datagrams_keep_their_edges)
{
    orr_handle to = datagrams_at(SERVER, "0.0.0.0:7000");
    orr_handle from = datagrams_at(CLIENT, "0.0.0.0:7001");
    struct orr_datagram out = {.buffer = scratch, .length = 5, .peer = at(SERVER, 7000)};
    EXPECT(5, orr_send_to, CLIENT, from, &out);
    out.length = 0;
    EXPECT(0, orr_send_to, CLIENT, from, &out);
    out.length = 65507;
    EXPECT(65507, orr_send_to, CLIENT, from, &out);
    out.length = 65508;
    EXPECT(-EMSGSIZE, orr_send_to, CLIENT, from, &out);
    static char got[70000];
    struct orr_datagram in = {.buffer = got, .length = 3};
    EXPECT(3, orr_recv_from, SERVER, to, &in);
    ck_assert(in.truncated);
    struct orr_address sender = at(CLIENT, 7001);
    ck_assert(orr_address_equal(&in.peer, &sender));
    EXPECT(0, orr_recv, SERVER, to, got, 9);
    in.length = sizeof got;
    EXPECT(65507, orr_recv_from, SERVER, to, &in);
    ck_assert(!in.truncated);
    ck_assert_int_eq(memcmp(got, scratch, 65507), 0);
}
END_TEST

START_TEST(test_network__datagrams_find_their_socket)
{
    orr_handle any = datagrams_at(SERVER, "0.0.0.0:7000");
    orr_handle v6 = datagrams_at(SERVER, "[::]:7001");
    orr_handle from = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    orr_handle from6 = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP6, ORR_SOCKET_DATAGRAM);
    struct orr_datagram out = {.buffer = scratch, .length = 5, .peer = at(SERVER, 7001)};
    struct orr_datagram in = {.buffer = scratch, .length = 9};
    EXPECT(5, orr_send_to, CLIENT, from, &out);
    EXPECT(5, orr_recv_from, SERVER, v6, &in);
    ck_assert_int_eq(orr_address_family(&in.peer), ORR_FAMILY_IP6); /* mapped */
    out.peer = parse("[fd00::2]:7001");
    EXPECT(5, orr_send_to, CLIENT, from6, &out);
    EXPECT(5, orr_recv_from, SERVER, v6, &in);
    out.peer = in.peer;
    EXPECT(5, orr_send_to, SERVER, v6, &out); /* and back */
    EXPECT(5, orr_recv_from, CLIENT, from6, &in);
    out.peer = at(SERVER, 7000);
    EXPECT(5, orr_send_to, CLIENT, from6, &out); /* an IPv4 address on an IPv6 socket */
    EXPECT(5, orr_recv_from, SERVER, any, &in);
    /* a connected socket hears its peer only */
    struct orr_address third = at(THIRD, 7002);
    EXPECT(0, orr_connect, SERVER, any, &third);
    EXPECT(5, orr_send_to, CLIENT, from, &out);
    static struct op recv;
    SUBMIT(&recv, orr_recv, SERVER, any, scratch, 9);
    run(SOON);
    ck_assert_int_eq(recv.result, PENDING);
    EXPECT(5, orr_send_to, THIRD, datagrams_at(THIRD, "0.0.0.0:7002"), &out);
    ck_assert_int_eq(recv.result, 5);
}
END_TEST

START_TEST(test_network__datagram_errors)
{
    orr_handle handle = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    struct orr_datagram out = {.buffer = scratch, .length = 3};
    EXPECT(-EDESTADDRREQ, orr_send, CLIENT, handle, scratch, 3);
    EXPECT(-EDESTADDRREQ, orr_send_to, CLIENT, handle, &out);
    out.peer = at(SERVER, 0);
    EXPECT(-EINVAL, orr_send_to, CLIENT, handle, &out);
    out.peer = parse("[fd00::2]:7000");
    EXPECT(-EAFNOSUPPORT, orr_send_to, CLIENT, handle, &out);
    out.peer = at(SERVER, 7099);
    EXPECT(3, orr_send_to, CLIENT, handle, &out); /* nobody there; it never hears of it */
    EXPECT(OUT, orr_poll, CLIENT, handle, IN | OUT);
    EXPECT(-ENOTCONN, orr_shutdown, CLIENT, handle, ORR_SHUTDOWN_BOTH);
    EXPECT(0, orr_recv, CLIENT, handle, scratch, 9);

    handle = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    struct orr_address closed = at(SERVER, 7099);
    EXPECT(0, orr_connect, CLIENT, handle, &closed);
    EXPECT(3, orr_send, CLIENT, handle, scratch, 3);
    EXPECT(OUT | ERROR, orr_poll, CLIENT, handle, IN | OUT);
    EXPECT(-ECONNREFUSED, orr_send, CLIENT, handle, scratch, 3);
    EXPECT(3, orr_send, CLIENT, handle, scratch, 3);
    EXPECT(-ECONNREFUSED, orr_recv, CLIENT, handle, scratch, 3);
    static struct op recv;
    SUBMIT(&recv, orr_recv, CLIENT, handle, scratch, 3);
    EXPECT(3, orr_send, CLIENT, handle, scratch, 3);
    ck_assert_int_eq(recv.result, -ECONNREFUSED);
    EXPECT(0, orr_shutdown, CLIENT, handle, ORR_SHUTDOWN_BOTH);
    EXPECT(-EPIPE, orr_send, CLIENT, handle, scratch, 3);
    EXPECT(0, orr_recv, CLIENT, handle, scratch, 9);
}
END_TEST

START_TEST(test_network__the_datagram_queue_is_bounded)
{
    orr_handle to = datagrams_at(SERVER, "0.0.0.0:7000");
    orr_handle from = datagrams_at(CLIENT, "0.0.0.0:7001");
    orr_socket_option_set(loop_of(SERVER), to, ORR_SOCKET_RECEIVE_BUFFER, 10000);
    struct orr_datagram out = {.buffer = scratch, .length = 1000, .peer = at(SERVER, 7000)};
    for (int i = 0; i < 100; i++)
        EXPECT(1000, orr_send_to, CLIENT, from, &out);
    int received = 0;
    static struct op recv;
    do {
        SUBMIT(&recv, orr_recv, SERVER, to, scratch, 1000);
        run(SOON);
        received += recv.result == 1000;
    } while (recv.result != PENDING);
    ck_assert_int_ge(received, 5);
    ck_assert_int_le(received, 10);
}
END_TEST

/* ---- what random programs found on kernels --------------------------------------------------- */

START_TEST(test_network__a_client_that_left_has_its_name_still)
{
    struct orr_address target = parse("unix:/s");
    struct orr_address names[] = {{.length = 0}, parse("unix:/client")};
    orr_handle listener = listen_at(CLIENT, "unix:/s", 8);
    for (int named = 0; named < 2; named++) {
        struct orr_address accepted = {.length = 0};
        int64_t server;
        orr_handle client = stream_for(CLIENT, &target);
        EXPECT(0, orr_connect, CLIENT, client, &target);
        if (named == 1) /* also a name that it got after the connect */
            ck_assert_int_eq(orr_bind(loop_of(CLIENT), client, &names[1]), 0);
        ck_assert_int_eq(orr_local_address(loop_of(CLIENT), client, &names[named]), 0);
        EXPECT(0, orr_close, CLIENT, client);
        RESULT(server, orr_accept, CLIENT, listener, &accepted);
        ck_assert_int_ge(server, 0);
        ck_assert(orr_address_equal(&accepted, &names[named]));
        ck_assert_int_eq(orr_address_family(&accepted), ORR_FAMILY_UNIX);
    }
}
END_TEST

START_TEST(test_network__a_datagram_for_another_family)
{
    struct orr_address target = parse("unix:/a-name-as-long-as-an-address-of-ip6");
    struct orr_datagram datagram = {.peer = target, .buffer = scratch, .length = 1};
    orr_handle ip4 = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    orr_handle ip6 = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP6, ORR_SOCKET_DATAGRAM);
    EXPECT(-EAFNOSUPPORT, orr_send_to, CLIENT, ip4, &datagram);
    EXPECT(-EINVAL, orr_send_to, CLIENT, ip6, &datagram);
    EXPECT(-EAFNOSUPPORT, orr_connect, CLIENT, ip6, &target);
}
END_TEST

/* What Linux keeps of a connect that was refused after a while, until the next one. */
START_TEST(test_network__listen_after_a_refused_connect)
{
    struct orr_address target = at(SERVER, 7000);
    orr_handle client = stream_for(CLIENT, &target);
    EXPECT(-ECONNREFUSED, orr_connect, CLIENT, client, &target);
    ck_assert_int_eq(orr_listen(loop_of(CLIENT), client, 1), -EINVAL);
    listen_at(SERVER, "0.0.0.0:7000", 8);
    EXPECT(0, orr_connect, CLIENT, client, &target);
}
END_TEST

/* The port that was chosen for it is given back with the connection. */
START_TEST(test_network__only_ip6_after_a_refused_connect)
{
    struct orr_address target = parse("[fd00::2]:7000");
    orr_handle client = stream_for(CLIENT, &target);
    EXPECT(-ECONNREFUSED, orr_connect, CLIENT, client, &target);
    ck_assert_int_eq(orr_socket_option_set(loop_of(CLIENT), client, ORR_SOCKET_ONLY_IP6, 1), 0);
    struct orr_address own = parse("[::]:0");
    ck_assert_int_eq(orr_bind(loop_of(CLIENT), client, &own), 0);
    ck_assert_int_eq(orr_socket_option_set(loop_of(CLIENT), client, ORR_SOCKET_ONLY_IP6, 0),
                     -EINVAL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_network__streams_carry_bytes,
        test_network__empty_transfers,
        test_network__addresses_of_both_ends,
        test_network__accept_names_the_peer,
        test_network__a_full_buffer_holds_the_sender,
        test_network__buffers_can_be_set,
        test_network__half_close,
        test_network__close_sends_what_was_written,
        test_network__shutdown_recv,
        test_network__bytes_after_shutdown_of_both_reset,
        test_network__bytes_for_a_closed_peer_reset,
        test_network__close_with_unread_bytes_resets,
        test_network__send_may_report_the_reset,
        test_network__reset_ends_all_that_waits,
        test_network__unix_close,
        test_network__refused_and_tried_again,
        test_network__unix_connect_errors,
        test_network__a_client_that_left_has_its_name_still,
        test_network__a_datagram_for_another_family,
        test_network__only_ip6_after_a_refused_connect,
        test_network__listen_after_a_refused_connect,
        test_network__operations_wait_for_the_connection,
        test_network__canceled_connect_goes_on,
        test_network__closing_while_connecting,
        test_network__backlog_is_one_more_than_asked,
        test_network__accepts_wait_in_line,
        test_network__a_closed_connection_is_accepted_still,
        test_network__the_end_of_a_listener,
        test_network__accept_without_a_free_descriptor,
        test_network__errors_of_unconnected_sockets,
        test_network__datagram_calls_on_streams,
        test_network__ports_in_use,
        test_network__bad_binds,
        test_network__ports_of_living_and_dead_connections,
        test_network__ephemeral_ports_differ,
        test_network__the_more_exact_listener_wins,
        test_network__options,
        test_network__children_inherit_options,
        test_network__poll_tells_the_state,
        test_network__poll_waits,
        test_network__every_waiting_operation_can_be_canceled,
        test_network__datagrams_keep_their_edges,
        test_network__datagrams_find_their_socket,
        test_network__datagram_errors,
        test_network__the_datagram_queue_is_bounded,
    };
    TCase *cases = tcase_create("network");
    tcase_add_checked_fixture(cases, world_setup, world_teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(cases, tests[i]);
    return suite_run("sim/network", cases);
}

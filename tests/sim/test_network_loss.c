/*
 * test_network_loss.c: the simulated network when things go wrong: nobody answers, links are cut,
 * nodes lose power or are killed, and every family of faults strikes. The timers are those of
 * Linux: SYN after 1, 3, 7, ... s for 127 s, retransmission after 200 ms doubling for 15 minutes.
 */
#include "network_fixture.h"

#define ALL_STRIKE 1000000u

/* Virtual time that a pending operation takes to end. */
static uint64_t time_to_end(const struct op *op, uint64_t limit_ns)
{
    uint64_t start_ns = orr_world_now(world);
    run(0);
    while (op->result == PENDING && orr_world_now(world) - start_ns < limit_ns)
        orr_world_run_for(world, 10 * ORR_MILLISECOND);
    return orr_world_now(world) - start_ns;
}

#define EXPECT_BETWEEN(value, low, high)   \
    do {                                   \
        uint64_t value_ = (value);         \
        ck_assert_uint_ge(value_, (low));  \
        ck_assert_uint_le(value_, (high)); \
    } while (0)

/* ---- nobody answers -------------------------------------------------------------------------- */

START_TEST(test_network_loss__connect_times_out)
{
    struct orr_address nowhere = parse("10.0.7.7:7000");
    struct orr_address down = at(SERVER, 7000);
    static struct op ops[2];
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    SUBMIT(&ops[0], orr_connect, CLIENT, stream_for(CLIENT, &nowhere), &nowhere);
    SUBMIT(&ops[1], orr_connect, CLIENT, stream_for(CLIENT, &down), &down);
    EXPECT_BETWEEN(time_to_end(&ops[0], 1000 * ORR_SECOND), 127 * ORR_SECOND, 128 * ORR_SECOND);
    run(SOON);
    ck_assert_int_eq(ops[0].result, -ETIMEDOUT);
    ck_assert_int_eq(ops[1].result, -ETIMEDOUT);
}
END_TEST

static void set_unreachable(int from, int to, int error)
{
    const struct orr_link_options options = {
        .latency_ns = ORR_MILLISECOND, .distribution = ORR_LATENCY_FIXED, .unreachable = error};
    orr_world_set_link(world, nodes[from], nodes[to], &options);
}

/* Who has that address is asked three times, a second each. */
START_TEST(test_network_loss__a_neighbour_that_is_gone_is_unreachable)
{
    struct orr_address target = at(SERVER, 7000);
    static struct op op;
    orr_handle handle = stream_for(CLIENT, &target);
    set_unreachable(CLIENT, SERVER, -EHOSTUNREACH);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    SUBMIT(&op, orr_connect, CLIENT, handle, &target);
    EXPECT_BETWEEN(time_to_end(&op, 1000 * ORR_SECOND), 3 * ORR_SECOND, 3100 * ORR_MILLISECOND);
    ck_assert_int_eq(op.result, -EHOSTUNREACH);
    orr_node_start(nodes[SERVER]);
    (void)listen_at(SERVER, "0.0.0.0:7000", 8);
    EXPECT(0, orr_connect, CLIENT, handle, &target); /* the same socket */

    /* It is there again before the third question: the next SYN gets through. */
    orr_world_cut(world, nodes[CLIENT], nodes[SERVER], 2500 * ORR_MILLISECOND);
    SUBMIT(&op, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    EXPECT_BETWEEN(time_to_end(&op, 1000 * ORR_SECOND), 3 * ORR_SECOND, 3 * ORR_SECOND + SOON);
    ck_assert_int_eq(op.result, 0);
}
END_TEST

START_TEST(test_network_loss__a_router_that_knows_no_way_says_so)
{
    struct orr_address target = at(SERVER, 7000);
    static struct op op;
    (void)listen_at(SERVER, "0.0.0.0:7000", 8);
    set_unreachable(CLIENT, SERVER, -ENETUNREACH);
    orr_world_cut(world, nodes[CLIENT], nodes[SERVER], ORR_SECOND);
    EXPECT(-ENETUNREACH, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    run(ORR_SECOND);
    /* The way back is no business of that router's. */
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], 2 * ORR_SECOND);
    SUBMIT(&op, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    EXPECT_BETWEEN(time_to_end(&op, 1000 * ORR_SECOND), 3 * ORR_SECOND, 3 * ORR_SECOND + SOON);
    ck_assert_int_eq(op.result, 0);
    /* It knows the way, and nobody at its end. */
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    SUBMIT(&op, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    EXPECT_BETWEEN(time_to_end(&op, 1000 * ORR_SECOND), 3 * ORR_SECOND, 3100 * ORR_MILLISECOND);
    ck_assert_int_eq(op.result, -EHOSTUNREACH);
}
END_TEST

/* A connection goes on until it would have given up; then it tells what it has heard. */
START_TEST(test_network_loss__a_connection_survives_that_its_peer_is_unreachable)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    set_unreachable(CLIENT, SERVER, -EHOSTUNREACH);
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    orr_world_cut(world, nodes[CLIENT], nodes[SERVER], 700 * ORR_SECOND);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    run(900 * ORR_SECOND);
    ck_assert_int_eq(recv.result, PENDING);
    EXPECT(3, orr_recv, SERVER, pair.server, scratch, 9);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    EXPECT_BETWEEN(time_to_end(&recv, 7200 * ORR_SECOND), 923 * ORR_SECOND, 926 * ORR_SECOND);
    ck_assert_int_eq(recv.result, -EHOSTUNREACH);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
}
END_TEST

/* Of Linux only who sets IP_RECVERR hears of it. */
START_TEST(test_network_loss__datagrams_do_not_hear_that_nobody_is_there)
{
    struct orr_address target = at(SERVER, 7000);
    static struct op recv;
    orr_handle handle = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    EXPECT(0, orr_connect, CLIENT, handle, &target);
    SUBMIT(&recv, orr_recv, CLIENT, handle, scratch, 9);
    set_unreachable(CLIENT, SERVER, -EHOSTUNREACH);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    for (int i = 0; i < 8; i++) {
        EXPECT(4, orr_send, CLIENT, handle, "lost", 4);
        run(ORR_SECOND);
    }
    ck_assert_int_eq(recv.result, PENDING);
}
END_TEST

static int64_t connect_to_nobody(uint64_t seed, uint32_t rate)
{
    static struct op op;
    world_teardown();
    world_begin(seed, NULL);
    orr_world_set_rate(world, ORR_FAMILY_UNREACHABLE, rate);
    struct orr_address target = at(SERVER, 7000);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    orr_world_cut(world, nodes[CLIENT], nodes[SERVER], UINT64_MAX);
    SUBMIT(&op, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    (void)time_to_end(&op, 1000 * ORR_SECOND);
    return op.result;
}

START_TEST(test_network_loss__what_a_connect_hears_of_an_outage_is_a_choice)
{
    uint32_t silent = 0;
    uint32_t no_host = 0;
    uint32_t no_way = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int64_t result = connect_to_nobody(seed, ALL_STRIKE / 2);
        silent += result == -ETIMEDOUT;
        no_host += result == -EHOSTUNREACH;
        no_way += result == -ENETUNREACH;
        ck_assert_int_eq(connect_to_nobody(seed, 0), -ETIMEDOUT);
    }
    ck_assert_uint_eq(silent + no_host + no_way, 60);
    EXPECT_BETWEEN(silent, 5, 30);
    EXPECT_BETWEEN(no_host, 15, 50);
    EXPECT_BETWEEN(no_way, 5, 30);
}
END_TEST

START_TEST(test_network_loss__a_node_that_boots_answers)
{
    struct orr_address target = at(SERVER, 7000);
    static struct op refused;
    static struct op op;
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    SUBMIT(&refused, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    run(2 * ORR_SECOND); /* the next SYN is sent after 3 s */
    ck_assert_int_eq(refused.result, PENDING);
    orr_node_start(nodes[SERVER]);
    EXPECT_BETWEEN(time_to_end(&refused, 1000 * ORR_SECOND), 900 * ORR_MILLISECOND,
                   1100 * ORR_MILLISECOND);
    ck_assert_int_eq(refused.result, -ECONNREFUSED);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    SUBMIT(&op, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    run(2 * ORR_SECOND);
    orr_node_start(nodes[SERVER]);
    (void)listen_at(SERVER, "0.0.0.0:7000", 8);
    (void)time_to_end(&op, 1000 * ORR_SECOND);
    ck_assert_int_eq(op.result, 0);
}
END_TEST

START_TEST(test_network_loss__the_machine_of_a_killed_process_refuses)
{
    struct orr_address target = at(SERVER, 7000);
    (void)listen_at(SERVER, "0.0.0.0:7000", 8);
    orr_node_crash(nodes[SERVER], ORR_CRASH_PROCESS);
    EXPECT(-ECONNREFUSED, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
}
END_TEST

/* ---- cut links ------------------------------------------------------------------------------- */

START_TEST(test_network_loss__the_name_of_a_killed_process_stays)
{
    struct orr_address name = parse("unix:/s");
    (void)listen_at(SERVER, "unix:/s", 8);
    orr_node_crash(nodes[SERVER], ORR_CRASH_PROCESS);
    orr_node_start(nodes[SERVER]);
    orr_handle handle = stream_for(SERVER, &name);
    EXPECT(-ECONNREFUSED, orr_connect, SERVER, handle, &name);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle, &name), -EADDRINUSE);
    EXPECT(0, orr_unlink, SERVER, ORR_DIRECTORY_CURRENT, "s", ORR_UNLINK_FILE);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), handle, &name), 0);
}
END_TEST

START_TEST(test_network_loss__connect_over_a_cut_link)
{
    struct orr_address target = at(SERVER, 7000);
    static struct op op;
    (void)listen_at(SERVER, "0.0.0.0:7000", 8);
    for (int way = 0; way < 2; way++) { /* the SYN is lost, the answer is lost */
        orr_world_cut(world, nodes[way == 0 ? CLIENT : SERVER], nodes[way == 0 ? SERVER : CLIENT],
                      2 * ORR_SECOND);
        SUBMIT(&op, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
        EXPECT_BETWEEN(time_to_end(&op, 1000 * ORR_SECOND), 3 * ORR_SECOND, 3 * ORR_SECOND + SOON);
        ck_assert_int_eq(op.result, 0);
    }
    target = at(SERVER, 7001); /* the RST that refuses is lost */
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], 2 * ORR_SECOND);
    SUBMIT(&op, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    EXPECT_BETWEEN(time_to_end(&op, 1000 * ORR_SECOND), 3 * ORR_SECOND, 3 * ORR_SECOND + SOON);
    ck_assert_int_eq(op.result, -ECONNREFUSED);
}
END_TEST

START_TEST(test_network_loss__bytes_wait_for_a_cut_link)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    SUBMIT(&recv, orr_recv, SERVER, pair.server, scratch, 9);
    run(SOON);
    orr_world_cut(world, nodes[CLIENT], nodes[SERVER], ORR_SECOND);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3); /* it is in the buffer */
    EXPECT(0, orr_shutdown, CLIENT, pair.client, ORR_SHUTDOWN_SEND);
    EXPECT(2, orr_send, SERVER, pair.server, "ok", 2); /* the other way is open */
    EXPECT(2, orr_recv, CLIENT, pair.client, scratch, 9);
    /* sent again 0.2, 0.6 and 1.4 s later */
    EXPECT_BETWEEN(time_to_end(&recv, 1000 * ORR_SECOND), 1100 * ORR_MILLISECOND,
                   1500 * ORR_MILLISECOND);
    ck_assert_int_eq(recv.result, 3);
    EXPECT(0, orr_recv, SERVER, pair.server, scratch, 9);
}
END_TEST

/* What the sender writes arrives and it cannot know: it gives up as if nothing had. Until its timer
 * has run once it goes on to send. */
START_TEST(test_network_loss__acknowledgments_are_lost_on_a_cut_link)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    static struct op rest;
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], UINT64_MAX);
    uint64_t start_ns = orr_world_now(world);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    EXPECT(3, orr_send, CLIENT, pair.client, "def", 3);
    EXPECT(6, orr_recv, SERVER, pair.server, scratch, 9);
    run(ORR_SECOND);
    EXPECT(3, orr_send, CLIENT, pair.client, "ghi", 3); /* into its own buffer */
    SUBMIT(&rest, orr_recv, SERVER, pair.server, scratch, 9);
    (void)time_to_end(&recv, 7200 * ORR_SECOND);
    EXPECT_BETWEEN(orr_world_now(world) - start_ns, 924 * ORR_SECOND, 926 * ORR_SECOND);
    ck_assert_int_eq(recv.result, -ETIMEDOUT);
    ck_assert_int_eq(rest.result, PENDING); /* the reset cannot get through, nor can the bytes */
    EXPECT(-EPIPE, orr_send, CLIENT, pair.client, "jkl", 3);
}
END_TEST

START_TEST(test_network_loss__an_acknowledgment_makes_up_for_lost_ones)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    for (int i = 0; i < 3; i++) { /* each for less time than it takes to give up */
        orr_world_cut(world, nodes[SERVER], nodes[CLIENT], 600 * ORR_SECOND);
        EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
        run(600 * ORR_SECOND);
        run(120 * ORR_SECOND); /* it asks at least so often */
    }
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], ORR_MILLISECOND);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3); /* the next one has an answer, for both */
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], 7200 * ORR_SECOND);
    run(7200 * ORR_SECOND);
    ck_assert_int_eq(recv.result, PENDING);
    EXPECT(15, orr_recv, SERVER, pair.server, scratch, 99);
}
END_TEST

START_TEST(test_network_loss__the_acknowledgment_of_a_fin_is_lost)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], UINT64_MAX);
    EXPECT(0, orr_shutdown, CLIENT, pair.client, ORR_SHUTDOWN_SEND);
    EXPECT(0, orr_recv, SERVER, pair.server, scratch, 9);
    EXPECT_BETWEEN(time_to_end(&recv, 7200 * ORR_SECOND), 923 * ORR_SECOND, 926 * ORR_SECOND);
    ck_assert_int_eq(recv.result, -ETIMEDOUT);
}
END_TEST

START_TEST(test_network_loss__window_updates_wait_for_a_cut_link)
{
    struct pair pair = tcp_pair();
    static struct op last;
    uint64_t bytes = fill(CLIENT, pair.client, &last);
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], 600 * ORR_SECOND);
    int64_t received = 0;
    static struct op recv;
    do { /* what had arrived */
        SUBMIT(&recv, orr_recv, SERVER, pair.server, scratch, sizeof scratch);
        run(SOON);
        received += recv.result != PENDING ? recv.result : 0;
    } while (recv.result != PENDING);
    run(ORR_MINUTE);
    ck_assert_int_lt(received, (int64_t)bytes);
    ck_assert_int_eq(last.result, PENDING);
    (void)time_to_end(&last, 1200 * ORR_SECOND);
    ck_assert_int_gt(last.result, 0);
    ck_assert_int_gt(recv.result, 0);
}
END_TEST

/* The receiver made room before the cut, the sender needs it only now, and the news cannot get
 * through. */
START_TEST(test_network_loss__a_window_that_the_sender_has_not_seen)
{
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
    struct orr_address target = at(SERVER, 7000);
    orr_handle handle = stream_for(CLIENT, &target);
    int64_t accepted;
    static struct op recv;
    orr_socket_option_set(loop_of(SERVER), listener, ORR_SOCKET_RECEIVE_BUFFER, 4000);
    EXPECT(0, orr_connect, CLIENT, handle, &target);
    RESULT(accepted, orr_accept, SERVER, listener, NULL);
    EXPECT(4000, orr_send, CLIENT, handle, scratch, 4000);
    EXPECT(4000, orr_recv, SERVER, accepted, scratch, 4000);
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], ORR_SECOND);
    SUBMIT(&recv, orr_recv, SERVER, accepted, scratch, 4000);
    EXPECT(4000, orr_send, CLIENT, handle, scratch, 4000); /* into its own buffer */
    EXPECT_BETWEEN(time_to_end(&recv, ORR_MINUTE), 900 * ORR_MILLISECOND, 2 * ORR_SECOND);
    ck_assert_int_eq(recv.result, 4000);
}
END_TEST

START_TEST(test_network_loss__a_lost_reset_leaves_the_peer_alone)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    orr_socket_option_set(loop_of(CLIENT), pair.client, ORR_SOCKET_KEEP_ALIVE, 1);
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], ORR_SECOND);
    EXPECT(0, orr_close, SERVER, pair.server); /* with unread bytes: RST, once */
    run(3600 * ORR_SECOND);
    ck_assert_int_eq(recv.result, PENDING);
    (void)time_to_end(&recv, 7200 * ORR_SECOND);
    ck_assert_int_eq(recv.result, -ECONNRESET);

    pair = connected("0.0.0.0:7001", "10.0.0.2:7001", CLIENT, SERVER);
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    orr_world_cut(world, nodes[SERVER], nodes[CLIENT], ORR_SECOND);
    EXPECT(0, orr_close, SERVER, pair.server);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3); /* sent again until the answer comes */
    EXPECT_BETWEEN(time_to_end(&recv, 7200 * ORR_SECOND), 900 * ORR_MILLISECOND, 3 * ORR_SECOND);
    ck_assert_int_eq(recv.result, -ECONNRESET);
}
END_TEST

START_TEST(test_network_loss__datagrams_do_not_wait)
{
    orr_handle to = orr_socket(loop_of(SERVER), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    orr_handle from = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    struct orr_address any = parse("0.0.0.0:7000");
    struct orr_address target = at(SERVER, 7000);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), to, &any), 0);
    EXPECT(0, orr_connect, CLIENT, from, &target);
    orr_world_cut(world, nodes[CLIENT], nodes[SERVER], 100 * ORR_MILLISECOND);
    EXPECT(4, orr_send, CLIENT, from, "lost", 4);
    run(ORR_SECOND);
    EXPECT(5, orr_send, CLIENT, from, "found", 5);
    EXPECT(5, orr_recv, SERVER, to, scratch, 9);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    EXPECT(4, orr_send, CLIENT, from, "lost", 4); /* and nobody says so */
    EXPECT(4, orr_send, CLIENT, from, "lost", 4);
    orr_node_start(nodes[SERVER]);
    EXPECT(4, orr_send, CLIENT, from, "lost", 4);
    EXPECT(-ECONNREFUSED, orr_send, CLIENT, from, "lost", 4);
}
END_TEST

/* ---- nodes that die -------------------------------------------------------------------------- */

START_TEST(test_network_loss__power_loss_is_silent)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    run(SOON);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    run(ORR_SECOND);
    orr_node_start(nodes[SERVER]);
    run(24 * 3600 * ORR_SECOND);
    ck_assert_int_eq(recv.result, PENDING);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    ck_assert_int_eq(recv.result, -ECONNRESET);
}
END_TEST

START_TEST(test_network_loss__a_rebooted_peer_resets)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    run(10 * ORR_SECOND);
    ck_assert_int_eq(recv.result, PENDING);
    orr_node_start(nodes[SERVER]);
    (void)time_to_end(&recv, 20 * ORR_SECOND);
    ck_assert_int_eq(recv.result, -ECONNRESET);
}
END_TEST

START_TEST(test_network_loss__a_dead_peer_times_out)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    run(SOON);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    EXPECT_BETWEEN(time_to_end(&recv, 7200 * ORR_SECOND), 924 * ORR_SECOND, 926 * ORR_SECOND);
    ck_assert_int_eq(recv.result, -ETIMEDOUT);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
    EXPECT(-EPIPE, orr_send, CLIENT, pair.client, scratch, 9);
}
END_TEST

START_TEST(test_network_loss__a_blocked_sender_notices)
{
    for (int boots = 0; boots < 2; boots++) {
        struct pair pair = tcp_pair();
        static struct op last;
        (void)fill(CLIENT, pair.client, &last);
        orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
        if (boots)
            orr_node_start(nodes[SERVER]);
        (void)time_to_end(&last, 7200 * ORR_SECOND);
        ck_assert_int_eq(last.result, boots ? -ECONNRESET : -ETIMEDOUT);
        orr_node_start(nodes[SERVER]);
    }
}
END_TEST

START_TEST(test_network_loss__keep_alive_notices)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    orr_socket_option_set(loop_of(CLIENT), pair.client, ORR_SOCKET_KEEP_ALIVE, 1);
    SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
    run(SOON);
    orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
    orr_node_start(nodes[SERVER]);
    EXPECT_BETWEEN(time_to_end(&recv, 9000 * ORR_SECOND), 7199 * ORR_SECOND, 7201 * ORR_SECOND);
    ck_assert_int_eq(recv.result, -ECONNRESET);
}
END_TEST

/* Nine questions, 75 s apart: of a machine that is gone, and of one that is cut off. */
START_TEST(test_network_loss__keep_alive_gives_up)
{
    static const char *const ports[][2] = {{"0.0.0.0:7000", "10.0.0.2:7000"},
                                           {"0.0.0.0:7001", "10.0.0.2:7001"},
                                           {"0.0.0.0:7002", "10.0.0.2:7002"}};
    for (int way = 0; way < 3; way++) {
        struct pair pair = connected(ports[way][0], ports[way][1], CLIENT, SERVER);
        static struct op recv;
        orr_socket_option_set(loop_of(CLIENT), pair.client, ORR_SOCKET_KEEP_ALIVE, 1);
        SUBMIT(&recv, orr_recv, CLIENT, pair.client, scratch, 9);
        run(SOON);
        if (way == 0)
            orr_node_crash(nodes[SERVER], ORR_CRASH_POWER);
        else
            orr_world_cut(world, nodes[way == 1 ? CLIENT : SERVER],
                          nodes[way == 1 ? SERVER : CLIENT], 9000 * ORR_SECOND);
        EXPECT_BETWEEN(time_to_end(&recv, 9000 * ORR_SECOND), 7874 * ORR_SECOND, 7876 * ORR_SECOND);
        ck_assert_int_eq(recv.result, -ETIMEDOUT);
        EXPECT(-EPIPE, orr_send, CLIENT, pair.client, "abc", 3);
        orr_node_start(nodes[SERVER]);
        orr_world_mend(world, nodes[CLIENT], nodes[SERVER]);
    }
}
END_TEST

/* Who is cut off for less than the questions take, and who does not ask, notices nothing. An idle
 * connection is two hours old when the first one is asked, not the cut. */
START_TEST(test_network_loss__keep_alive_is_answered_after_a_cut)
{
    struct pair pair = tcp_pair();
    static struct op recvs[2];
    orr_socket_option_set(loop_of(CLIENT), pair.client, ORR_SOCKET_KEEP_ALIVE, 1);
    SUBMIT(&recvs[0], orr_recv, CLIENT, pair.client, scratch, 9);
    SUBMIT(&recvs[1], orr_recv, SERVER, pair.server, scratch, 9);
    run(7000 * ORR_SECOND);
    orr_world_cut(world, nodes[CLIENT], nodes[SERVER], 600 * ORR_SECOND);
    run(9000 * ORR_SECOND);
    ck_assert_int_eq(recvs[0].result, PENDING);
    orr_world_run_for(world, 10 * 7200 * ORR_SECOND + 7000 * ORR_SECOND - orr_world_now(world));
    orr_world_cut(world, nodes[CLIENT], nodes[SERVER], 24 * 3600 * ORR_SECOND);
    run(800 * ORR_SECOND);
    ck_assert_int_eq(recvs[0].result, PENDING);
    run(100 * ORR_SECOND);
    ck_assert_int_eq(recvs[0].result, -ETIMEDOUT);
    ck_assert_int_eq(recvs[1].result, PENDING);
}
END_TEST

START_TEST(test_network_loss__a_killed_process_is_closed_by_its_system)
{
    struct pair pair = tcp_pair();
    orr_node_crash(nodes[SERVER], ORR_CRASH_PROCESS);
    EXPECT(0, orr_recv, CLIENT, pair.client, scratch, 9);
    orr_node_start(nodes[SERVER]);
    pair = connected("0.0.0.0:7001", "10.0.0.2:7001", CLIENT, SERVER);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    static struct op last;
    (void)fill(SERVER, pair.server, &last); /* will never end: its process dies first */
    orr_node_crash(nodes[SERVER], ORR_CRASH_PROCESS);
    run(SOON);
    ck_assert_int_eq(last.result, PENDING);
    int64_t received;
    do
        RESULT(received, orr_recv, CLIENT, pair.client, scratch, sizeof scratch);
    while (received > 0);
    ck_assert_int_eq(received, -ECONNRESET);
    orr_node_start(nodes[SERVER]);
    struct orr_address any = parse("0.0.0.0:7001");
    ck_assert_int_eq(orr_bind(loop_of(SERVER), stream_for(SERVER, &any), &any), 0);
    any = parse("0.0.0.0:7000"); /* its system closed that one first: TIME_WAIT */
    ck_assert_int_eq(orr_bind(loop_of(SERVER), stream_for(SERVER, &any), &any), -EADDRINUSE);
}
END_TEST

/* ---- families of faults ---------------------------------------------------------------------- */

static void set_rate(enum orr_fault_family family, uint32_t rate)
{
    orr_world_set_rate(world, family, rate);
}

START_TEST(test_network_loss__connection_faults)
{
    struct orr_address target = at(SERVER, 7000);
    (void)listen_at(SERVER, "0.0.0.0:7000", 8);
    set_rate(ORR_FAMILY_CONNECTION, ALL_STRIKE);
    EXPECT(-ECONNREFUSED, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    struct pair inner = unix_pair(); /* nothing strikes inside a node */
    EXPECT(3, orr_send, CLIENT, inner.client, "abc", 3);
    EXPECT(3, orr_recv, CLIENT, inner.server, scratch, 9);
    set_rate(ORR_FAMILY_CONNECTION, 0);
    struct pair pair = connected("0.0.0.0:7001", "10.0.0.2:7001", CLIENT, SERVER);
    static struct op recvs[2];
    SUBMIT(&recvs[0], orr_recv, CLIENT, pair.client, scratch, 9);
    SUBMIT(&recvs[1], orr_recv, SERVER, pair.server, scratch, 9);
    run(SOON);
    set_rate(ORR_FAMILY_CONNECTION, ALL_STRIKE);
    EXPECT(3, orr_send, CLIENT, pair.client, "abc", 3);
    ck_assert_int_eq(recvs[0].result, -ECONNRESET);
    ck_assert_int_eq(recvs[1].result, -ECONNRESET); /* the bytes are lost */
}
END_TEST

static bool is_no_descriptor(int64_t result)
{
    return result == -EMFILE || result == -ENFILE;
}

/* Whether it waited for the connection or came after it: an accept that fails has not taken it. */
static void accept_without_descriptors(int client, const char *listen_text,
                                       const char *connect_text)
{
    static struct op waiting;
    static struct op later;
    int64_t handle;
    struct orr_address target = parse(connect_text);
    orr_handle listener = listen_at(SERVER, listen_text, 8);
    SUBMIT(&waiting, orr_accept, SERVER, listener, NULL);
    run(SOON);
    set_rate(ORR_FAMILY_HANDLES, ALL_STRIKE);
    ck_assert_int_eq(waiting.result, PENDING);
    set_rate(ORR_FAMILY_HANDLES, 0);
    orr_handle from = stream_for(client, &target);
    set_rate(ORR_FAMILY_HANDLES, ALL_STRIKE);
    EXPECT(0, orr_connect, client, from, &target);
    ck_assert(is_no_descriptor(waiting.result));
    SUBMIT(&later, orr_accept, SERVER, listener, NULL);
    run(SOON);
    ck_assert(is_no_descriptor(later.result));
    set_rate(ORR_FAMILY_HANDLES, 0);
    RESULT(handle, orr_accept, SERVER, listener, NULL);
    ck_assert_int_ge(handle, 0);
    EXPECT(1, orr_send, client, from, "x", 1);
    EXPECT(1, orr_recv, SERVER, (orr_handle)handle, scratch, 1);
}

START_TEST(test_network_loss__without_descriptors_connections_wait)
{
    accept_without_descriptors(CLIENT, "0.0.0.0:7000", "10.0.0.2:7000");
    accept_without_descriptors(SERVER, "unix:/s", "unix:/s");
}
END_TEST

/* Both are the process's limit or the system's. */
START_TEST(test_network_loss__without_descriptors_there_are_no_sockets)
{
    uint32_t system = 0;
    set_rate(ORR_FAMILY_HANDLES, ALL_STRIKE);
    for (uint32_t i = 0; i < 40; i++) {
        orr_handle handle = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        ck_assert(is_no_descriptor(handle));
        system += handle == -ENFILE ? 1 : 0;
    }
    ck_assert_uint_ge(system, 1);
    ck_assert_uint_le(system, 30);
    set_rate(ORR_FAMILY_HANDLES, 0);
    ck_assert_int_ge(orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_STREAM), 0);
}
END_TEST

START_TEST(test_network_loss__partial_cuts_segments)
{
    struct pair pair = tcp_pair();
    static struct op recv;
    static struct op send;
    int64_t sent = 0;
    SUBMIT(&recv, orr_recv, SERVER, pair.server, scratch, 1000);
    run(SOON);
    set_rate(ORR_FAMILY_PARTIAL, ALL_STRIKE);
    while (sent < 2) { /* by the time it arrives nothing is cut any more: not the recv */
        SUBMIT(&send, orr_send, CLIENT, pair.client, scratch, 1000);
        run(10 * ORR_MICROSECOND);
        sent += send.result;
    }
    set_rate(ORR_FAMILY_PARTIAL, 0);
    run(SOON);
    ck_assert_int_lt(send.result, 1000);
    ck_assert_int_gt(recv.result, 0);
    ck_assert_int_lt(recv.result, sent);
    EXPECT(sent - recv.result, orr_recv, SERVER, pair.server, scratch, 1000);
}
END_TEST

/* How long a recv that waits takes to hear of a byte, in all of some seeds. */
static uint64_t time_to_hear(uint32_t reorder)
{
    uint64_t sum_ns = 0;
    for (uint64_t seed = 100; seed < 140; seed++) {
        static struct op recv;
        static struct op send;
        world_teardown();
        world_begin(seed, NULL);
        struct pair pair = tcp_pair();
        SUBMIT(&recv, orr_recv, SERVER, pair.server, scratch, 10);
        run(SOON);
        set_rate(ORR_FAMILY_REORDER, reorder);
        SUBMIT(&send, orr_send, CLIENT, pair.client, "x", 1);
        for (; recv.result == PENDING; sum_ns += ORR_MICROSECOND)
            run(ORR_MICROSECOND);
        ck_assert_int_eq(recv.result, 1);
    }
    return sum_ns;
}

START_TEST(test_network_loss__reorder_wakes_waiters_later)
{
    ck_assert_uint_gt(time_to_hear(ALL_STRIKE), time_to_hear(0) + 40 * 5 * ORR_MICROSECOND);
}
END_TEST

/* How long a shutdown and a close take, in all of some seeds. */
static uint64_t time_to_leave(uint32_t reorder)
{
    uint64_t sum_ns = 0;
    for (uint64_t seed = 200; seed < 240; seed++) {
        static struct op shutdown;
        static struct op close;
        world_teardown();
        world_begin(seed, NULL);
        struct pair pair = tcp_pair();
        set_rate(ORR_FAMILY_REORDER, reorder);
        SUBMIT(&shutdown, orr_shutdown, SERVER, pair.server, ORR_SHUTDOWN_SEND);
        for (; shutdown.result == PENDING; sum_ns += ORR_MICROSECOND)
            run(ORR_MICROSECOND);
        SUBMIT(&close, orr_close, CLIENT, pair.client);
        for (; close.result == PENDING; sum_ns += ORR_MICROSECOND)
            run(ORR_MICROSECOND);
        ck_assert_int_eq(shutdown.result, 0);
        ck_assert_int_eq(close.result, 0);
    }
    return sum_ns;
}

/* What a recv is told that waits while its socket's connect is refused. */
static int64_t recv_of_a_refused_connect(uint32_t reorder)
{
    static struct op connects;
    static struct op recv;
    struct orr_address target = at(SERVER, 7000);
    orr_handle handle = stream_for(CLIENT, &target);
    set_rate(ORR_FAMILY_REORDER, reorder);
    SUBMIT(&connects, orr_connect, CLIENT, handle, &target);
    SUBMIT(&recv, orr_recv, CLIENT, handle, scratch, 9);
    run(SOON);
    ck_assert_int_eq(connects.result, -ECONNREFUSED);
    return recv.result;
}

START_TEST(test_network_loss__reorder_tells_an_error_twice)
{
    ck_assert_int_eq(recv_of_a_refused_connect(0), 0);
    ck_assert_int_eq(recv_of_a_refused_connect(ALL_STRIKE), -ECONNREFUSED);
}
END_TEST

/* The way there and back takes 2 ms, and a pass at each end of it 5 us at most. */
static bool hears_late_that_it_is_connected(uint64_t seed, uint32_t reorder)
{
    static struct op op;
    world_teardown();
    world_begin(seed, NULL);
    set_unreachable(CLIENT, SERVER, 0);
    set_unreachable(SERVER, CLIENT, 0);
    set_rate(ORR_FAMILY_REORDER, reorder);
    struct orr_address target = at(SERVER, 7000);
    (void)listen_at(SERVER, "0.0.0.0:7000", 8);
    SUBMIT(&op, orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
    run(2 * ORR_MILLISECOND + 11 * ORR_MICROSECOND);
    bool late = op.result == PENDING;
    run(SOON);
    ck_assert_int_eq(op.result, 0);
    return late;
}

START_TEST(test_network_loss__reorder_lets_a_connect_hear_late)
{
    uint32_t late = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        ck_assert(!hears_late_that_it_is_connected(seed, 0));
        late += hears_late_that_it_is_connected(seed, ALL_STRIKE) ? 1 : 0;
    }
    ck_assert_uint_gt(late, 5);
}
END_TEST

START_TEST(test_network_loss__reorder_lets_shutdown_and_close_be_overtaken)
{
    ck_assert_uint_gt(time_to_leave(ALL_STRIKE), time_to_leave(0) + 40 * 10 * ORR_MICROSECOND);
}
END_TEST

/* Some kernel interfaces tell a poll what has woken it, and some what there is to see then. */
START_TEST(test_network_loss__a_poll_of_a_listener_that_ends)
{
    uint32_t error = 0;
    uint32_t state = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        static struct op poll;
        world_teardown();
        world_begin(seed, NULL);
        orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 8);
        SUBMIT(&poll, orr_poll, SERVER, listener, ORR_POLL_OUT);
        run(SOON);
        set_rate(ORR_FAMILY_REORDER, seed < 20 ? ALL_STRIKE / 2 : 0);
        EXPECT(0, orr_shutdown, SERVER, listener, ORR_SHUTDOWN_RECV);
        error += poll.result == ORR_POLL_ERROR ? 1 : 0;
        state += poll.result == (ORR_POLL_OUT | ORR_POLL_HANGUP) ? 1 : 0;
    }
    ck_assert_uint_eq(error + state, 40);
    EXPECT_BETWEEN(error, 3, 17);
}
END_TEST

/* The two accepts, the cancel of the first and the connection come in one pass. */
static bool second_accept_waits_on(uint64_t seed, uint32_t reorder)
{
    static struct op accepts[3];
    static struct op cancel;
    static struct op connect;
    struct orr_address target = parse("unix:/s");
    world_teardown();
    world_begin(seed, NULL);
    orr_handle listener = listen_at(CLIENT, "unix:/s", 8);
    orr_handle client = stream_for(CLIENT, &target);
    SUBMIT(&accepts[0], orr_accept, CLIENT, listener, NULL);
    run(SOON);
    set_rate(ORR_FAMILY_REORDER, reorder);
    SUBMIT(&cancel, orr_cancel, CLIENT, &accepts[0].completion);
    SUBMIT(&accepts[1], orr_accept, CLIENT, listener, NULL);
    SUBMIT(&connect, orr_connect, CLIENT, client, &target);
    run(SOON);
    set_rate(ORR_FAMILY_REORDER, 0);
    ck_assert_int_eq(accepts[0].result, -ECANCELED);
    ck_assert_int_eq(connect.result, 0);
    bool waits = accepts[1].result == PENDING;
    SUBMIT(&accepts[2], orr_accept, CLIENT, listener, NULL); /* it finds the connection */
    run(SOON);
    ck_assert_int_eq(accepts[waits ? 1 : 2].result, PENDING);
    ck_assert_int_ge(accepts[waits ? 2 : 1].result, 0);
    return waits;
}

START_TEST(test_network_loss__a_canceled_accept_can_be_woken_for_another)
{
    uint32_t waiting = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        waiting += second_accept_waits_on(seed, ALL_STRIKE / 2) ? 1 : 0;
        ck_assert(!second_accept_waits_on(seed, 0));
    }
    EXPECT_BETWEEN(waiting, 5, 35);
}
END_TEST

/* It is refused by a worker, after a while: it can be canceled before. */
START_TEST(test_network_loss__an_accept_where_nobody_comes_any_more)
{
    static struct op accept;
    orr_handle listener = listen_at(CLIENT, "unix:/s", 8);
    EXPECT(0, orr_shutdown, CLIENT, listener, ORR_SHUTDOWN_BOTH);
    EXPECT(-EINVAL, orr_accept, CLIENT, listener, NULL);
    set_rate(ORR_FAMILY_REORDER, ALL_STRIKE);
    SUBMIT(&accept, orr_accept, CLIENT, listener, NULL);
    run(0);
    orr_world_run_for(world, 5 * ORR_MICROSECOND);
    ck_assert_int_eq(accept.result, PENDING);
    run(SOON);
    ck_assert_int_eq(accept.result, -EINVAL);
}
END_TEST

/* How many datagrams a socket keeps that nobody reads. */
static int64_t datagrams_kept(uint32_t pressure)
{
    static struct op op;
    int64_t kept = 0;
    world_teardown();
    world_begin(7, NULL);
    set_rate(ORR_FAMILY_PRESSURE, pressure);
    struct orr_address target = at(SERVER, 7000);
    orr_handle server = orr_socket(loop_of(SERVER), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    orr_handle client = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), server, &target), 0);
    set_rate(ORR_FAMILY_PRESSURE, 0);
    EXPECT(0, orr_connect, CLIENT, client, &target);
    for (int i = 0; i < 100; i++)
        EXPECT(1000, orr_send, CLIENT, client, scratch, 1000);
    for (;; kept++) {
        SUBMIT(&op, orr_recv, SERVER, server, scratch, 1000);
        run(SOON);
        if (op.result == PENDING)
            return kept;
    }
}

START_TEST(test_network_loss__pressure_makes_queues_of_datagrams_short)
{
    ck_assert_int_eq(datagrams_kept(0), 100);
    ck_assert_int_lt(datagrams_kept(ALL_STRIKE), 50);
}
END_TEST

START_TEST(test_network_loss__pressure_makes_buffers_tiny)
{
    static struct op last;
    set_rate(ORR_FAMILY_PRESSURE, ALL_STRIKE);
    orr_handle listener = listen_at(SERVER, "0.0.0.0:7000", 1000);
    struct orr_address target = at(SERVER, 7000);
    orr_handle handle = stream_for(CLIENT, &target);
    EXPECT(0, orr_connect, CLIENT, handle, &target);
    uint64_t bytes = fill(CLIENT, handle, &last);
    ck_assert_uint_le(bytes, 2048);
    static struct op connects[3]; /* with the first one: one more than fit into a backlog of 2 */
    for (int i = 0; i < 3; i++) {
        SUBMIT(&connects[i], orr_connect, CLIENT, stream_for(CLIENT, &target), &target);
        run(SOON);
    }
    ck_assert_int_eq(connects[2].result, PENDING);
    int64_t accepted;
    RESULT(accepted, orr_accept, SERVER, listener, NULL);
    drain_bytes(SERVER, accepted, bytes);
}
END_TEST

START_TEST(test_network_loss__latency_delays_and_keeps_order)
{
    struct pair pair = tcp_pair();
    set_rate(ORR_FAMILY_LATENCY, ALL_STRIKE / 2);
    uint64_t start_ns = orr_world_now(world);
    static struct op sends[100];
    for (int i = 0; i < 100; i++) {
        SUBMIT(&sends[i], orr_send, CLIENT, pair.client, scratch + i * 10, 10);
        run(ORR_MICROSECOND);
    }
    uint64_t got = 0;
    static char bytes[1000];
    static struct op recv = {.result = 0};
    while (got < sizeof bytes) {
        SUBMIT(&recv, orr_recv, SERVER, pair.server, bytes + got, sizeof bytes - got);
        (void)time_to_end(&recv, 100 * ORR_SECOND);
        ck_assert_int_gt(recv.result, 0);
        got += (uint64_t)recv.result;
    }
    ck_assert_int_eq(memcmp(bytes, scratch, sizeof bytes), 0);
    ck_assert_uint_gt(orr_world_now(world) - start_ns, 40 * ORR_MILLISECOND);
}
END_TEST

START_TEST(test_network_loss__datagram_faults)
{
    orr_handle to = orr_socket(loop_of(SERVER), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    orr_handle from = orr_socket(loop_of(CLIENT), ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    struct orr_address any = parse("0.0.0.0:7000");
    struct orr_address target = at(SERVER, 7000);
    ck_assert_int_eq(orr_bind(loop_of(SERVER), to, &any), 0);
    EXPECT(0, orr_connect, CLIENT, from, &target);
    set_rate(ORR_FAMILY_DATAGRAM, ALL_STRIKE / 4);
    uint32_t seen[200] = {0};
    static struct op sends[200];
    static uint32_t numbers[200];
    for (uint32_t i = 0; i < 200; i++) {
        numbers[i] = i;
        SUBMIT(&sends[i], orr_send, CLIENT, from, &numbers[i], sizeof numbers[i]);
        run(100 * ORR_MICROSECOND);
    }
    run(ORR_SECOND);
    uint32_t lost = 0;
    uint32_t doubled = 0;
    uint32_t overtaken = 0;
    uint32_t stale = 0; /* a copy, with newer ones between the two */
    uint32_t newest = 0;
    for (;;) {
        uint32_t number = 0;
        static struct op recv;
        SUBMIT(&recv, orr_recv, SERVER, to, &number, sizeof number);
        run(SOON);
        if (recv.result == PENDING)
            break;
        ck_assert_int_eq(recv.result, sizeof number);
        stale += seen[number] == 1 && newest > number;
        seen[number]++;
        overtaken += number < newest;
        newest = number > newest ? number : newest;
    }
    for (uint32_t i = 0; i < 200; i++) {
        lost += seen[i] == 0;
        doubled += seen[i] == 2;
        ck_assert_uint_le(seen[i], 2);
    }
    EXPECT_BETWEEN(lost, 20, 90);
    EXPECT_BETWEEN(doubled, 5, 50);
    EXPECT_BETWEEN(stale, 3, doubled - 3); /* some are, some are not */
    EXPECT_BETWEEN(overtaken, 5, 80);
}
END_TEST

START_TEST(test_network_loss__two_recvs_in_flight_have_no_order)
{
    uint32_t first = 0;
    struct pair pair = tcp_pair();
    set_rate(ORR_FAMILY_REORDER, ALL_STRIKE / 2);
    for (int i = 0; i < 100; i++) {
        static struct op recvs[2];
        static char bytes[2];
        for (int k = 0; k < 2; k++)
            SUBMIT(&recvs[k], orr_recv, SERVER, pair.server, &bytes[k], 1);
        EXPECT(2, orr_send, CLIENT, pair.client, "12", 2);
        ck_assert_int_eq(recvs[0].result, 1);
        ck_assert_int_eq(recvs[1].result, 1);
        ck_assert_int_eq(bytes[0] + bytes[1], '1' + '2');
        first += bytes[0] == '1';
    }
    EXPECT_BETWEEN(first, 20, 80);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_network_loss__connect_times_out,
        test_network_loss__a_neighbour_that_is_gone_is_unreachable,
        test_network_loss__a_router_that_knows_no_way_says_so,
        test_network_loss__a_connection_survives_that_its_peer_is_unreachable,
        test_network_loss__datagrams_do_not_hear_that_nobody_is_there,
        test_network_loss__what_a_connect_hears_of_an_outage_is_a_choice,
        test_network_loss__a_node_that_boots_answers,
        test_network_loss__the_machine_of_a_killed_process_refuses,
        test_network_loss__the_name_of_a_killed_process_stays,
        test_network_loss__connect_over_a_cut_link,
        test_network_loss__bytes_wait_for_a_cut_link,
        test_network_loss__acknowledgments_are_lost_on_a_cut_link,
        test_network_loss__an_acknowledgment_makes_up_for_lost_ones,
        test_network_loss__the_acknowledgment_of_a_fin_is_lost,
        test_network_loss__window_updates_wait_for_a_cut_link,
        test_network_loss__a_window_that_the_sender_has_not_seen,
        test_network_loss__a_lost_reset_leaves_the_peer_alone,
        test_network_loss__datagrams_do_not_wait,
        test_network_loss__power_loss_is_silent,
        test_network_loss__a_rebooted_peer_resets,
        test_network_loss__a_dead_peer_times_out,
        test_network_loss__a_blocked_sender_notices,
        test_network_loss__keep_alive_notices,
        test_network_loss__keep_alive_gives_up,
        test_network_loss__keep_alive_is_answered_after_a_cut,
        test_network_loss__a_killed_process_is_closed_by_its_system,
        test_network_loss__connection_faults,
        test_network_loss__without_descriptors_connections_wait,
        test_network_loss__without_descriptors_there_are_no_sockets,
        test_network_loss__partial_cuts_segments,
        test_network_loss__reorder_wakes_waiters_later,
        test_network_loss__reorder_tells_an_error_twice,
        test_network_loss__reorder_lets_a_connect_hear_late,
        test_network_loss__reorder_lets_shutdown_and_close_be_overtaken,
        test_network_loss__a_poll_of_a_listener_that_ends,
        test_network_loss__a_canceled_accept_can_be_woken_for_another,
        test_network_loss__an_accept_where_nobody_comes_any_more,
        test_network_loss__pressure_makes_queues_of_datagrams_short,
        test_network_loss__pressure_makes_buffers_tiny,
        test_network_loss__latency_delays_and_keeps_order,
        test_network_loss__datagram_faults,
        test_network_loss__two_recvs_in_flight_have_no_order,
    };
    TCase *cases = tcase_create("network_loss");
    tcase_add_checked_fixture(cases, world_setup, world_teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(cases, tests[i]);
    return suite_run("sim/network_loss", cases);
}

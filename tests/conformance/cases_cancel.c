/*
 * cases_cancel.c: the early ends: cancel, close with operations in flight, drain (rules 9 and 10).
 * A race may go either way; that the ends are consistent with each other may not.
 */
#include "tests/conformance/cases.h"

#include <string.h>

#define COUNT 16u
#define MANY 1000u

static struct probe probes[COUNT];
static struct probe cancels[COUNT];
static struct probe many[MANY];
static struct probe many_cancels[MANY];
static uint8_t out[1 << 20];
static uint8_t in[4096];
static struct orr_datagram datagram = {.buffer = in, .length = 100};

static void reset(void)
{
    memset(probes, 0, sizeof probes);
    memset(cancels, 0, sizeof cancels);
    memset(many, 0, sizeof many);
    memset(many_cancels, 0, sizeof many_cancels);
}

/* What waits for ever: accept, recv, send into full buffers, recv_from, poll, connect into a full
 * backlog is left out: systems differ in how full that is. */
#define WAITING 5u

struct waiting {
    struct pair pair;
    orr_handle datagram;
    struct orr_address address;
};

static void start_waiting(struct waiting *of)
{
    reset();
    ck_assert(ground_pair(ORR_FAMILY_IP4, &of->pair));
    of->datagram = ground_datagram(ORR_FAMILY_IP4, &of->address);
    EXPECT(0, orr_socket_option_set(ground.loop, of->pair.client, ORR_SOCKET_SEND_BUFFER, 4096));
    EXPECT(0, orr_socket_option_set(ground.loop, of->pair.server, ORR_SOCKET_RECEIVE_BUFFER, 4096));
    START(&probes[0], orr_accept, of->pair.listener, NULL);
    START(&probes[1], orr_recv, of->pair.client, in, 100);
    START(&probes[2], orr_send_all, of->pair.client, out, sizeof out);
    START(&probes[3], orr_recv_from, of->datagram, &datagram);
    START(&probes[4], orr_poll, of->datagram, ORR_POLL_IN);
    ground_settle();
    for (uint32_t i = 0; i < WAITING; i++)
        ck_assert_uint_eq(probes[i].calls, 0);
}

static void close_waiting(const struct waiting *of)
{
    ground_close(of->datagram);
    ground_close_pair(&of->pair);
}

/* Both have ended, the target first, and tell the same story. */
static void check_cancel(struct probe *target, struct probe *cancel)
{
    (void)ground_result(target);
    EXPECT(target->result == -ECANCELED ? 0 : -EALREADY, ground_result(cancel));
    ck_assert_uint_lt(target->order, cancel->order);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

static void whatever_waits_is_canceled(void)
{
    struct waiting of;
    start_waiting(&of);
    for (uint32_t i = 0; i < WAITING; i++)
        START(&cancels[i], orr_cancel, &probes[i].completion);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < WAITING; i++) {
        EXPECT_END(-ECANCELED, &probes[i]);
        check_cancel(&probes[i], &cancels[i]);
    }
    close_waiting(&of);
}

/* The cancel comes before the target was even handed over. */
static void canceled_in_the_same_batch(void)
{
    struct orr_address address;
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    reset();
    START(&probes[0], orr_recv_from, socket, &datagram);
    START(&cancels[0], orr_cancel, &probes[0].completion);
    orr_run_until_idle(ground.loop);
    EXPECT_END(-ECANCELED, &probes[0]);
    check_cancel(&probes[0], &cancels[0]);
    ground_close(socket);
}

static void what_is_not_in_flight(void)
{
    orr_handle file = ground_file("f");
    reset();
    START(&cancels[0], orr_cancel, &probes[0].completion);
    EXPECT_END(-ENOENT, &cancels[0]);
    START(&probes[1], orr_fsync, file);
    EXPECT_END(0, &probes[1]);
    START(&cancels[1], orr_cancel, &probes[1].completion);
    EXPECT_END(-ENOENT, &cancels[1]);
    ck_assert_uint_eq(probes[1].calls, 1);
    ground_close(file);
}

static void two_cancels_of_one_operation(void)
{
    struct orr_address address;
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    reset();
    START(&probes[0], orr_recv_from, socket, &datagram);
    ground_settle();
    START(&cancels[0], orr_cancel, &probes[0].completion);
    START(&cancels[1], orr_cancel, &probes[0].completion);
    EXPECT_END(-EALREADY, &cancels[1]);
    EXPECT_END(0, &cancels[0]);
    EXPECT_END(-ECANCELED, &probes[0]);
    ground_close(socket);
}

static void cancels_and_closes_are_not_canceled(void)
{
    struct orr_address address;
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    reset();
    START(&probes[0], orr_recv_from, socket, &datagram);
    ground_settle();
    START(&cancels[0], orr_cancel, &probes[0].completion);
    START(&cancels[1], orr_cancel, &cancels[0].completion);
    START(&probes[1], orr_close, socket);
    START(&cancels[2], orr_cancel, &probes[1].completion);
    orr_run_until_idle(ground.loop);
    EXPECT_END(0, &cancels[0]);
    EXPECT_END(-EALREADY, &cancels[1]);
    EXPECT_END(-EALREADY, &cancels[2]);
    EXPECT_END(0, &probes[1]);
}

/* An operation on a file may be under way already, and then nothing stops it. */
static void operations_on_files_go_either_way(void)
{
    orr_handle file = ground_file("f");
    reset();
    START(&probes[0], orr_write_all, file, out, 100000, 0);
    START(&probes[1], orr_fsync, file);
    START(&probes[2], orr_read, file, in, 100, 0);
    START(&probes[3], orr_truncate, file, 10);
    START(&probes[4], orr_open, ground.directory, "new", ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644);
    START(&probes[5], orr_mkdir, ground.directory, "d", 0755);
    for (uint32_t i = 0; i < 6; i++)
        START(&cancels[i], orr_cancel, &probes[i].completion);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 6; i++) {
        check_cancel(&probes[i], &cancels[i]);
        ck_assert_msg(probes[i].result >= 0 || probes[i].result == -ECANCELED, "%s: %s",
                      orr_op_name(probes[i].completion.request.op), probe_text(probes[i].result));
    }
    if (probes[4].result > 0)
        ground_close(probes[4].result);
    ground_close(file);
}

/* Bytes and a cancel at once. Whichever wins, no byte is lost and none comes twice. */
static void a_cancel_races_with_bytes(void)
{
    struct pair pair;
    uint8_t next = 0;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    for (uint32_t round = 0; round < 200; round++) {
        uint8_t byte = (uint8_t)round;
        uint8_t got = 0;
        reset();
        START(&probes[0], orr_recv, pair.server, &got, 1);
        if (round % 2 == 0)
            orr_run_for_ns(ground.loop, 0);
        START(&probes[1], orr_send_all, pair.client, &byte, 1);
        if (round % 4 < 2)
            orr_run_for_ns(ground.loop, 0);
        if (orr_in_flight(&probes[0].completion)) {
            START(&cancels[0], orr_cancel, &probes[0].completion);
            check_cancel(&probes[0], &cancels[0]);
        }
        EXPECT_END(1, &probes[1]);
        if (ground_result(&probes[0]) == -ECANCELED)
            EXPECT(1, END_OF(orr_recv, pair.server, &got, 1));
        else
            EXPECT(1, probes[0].result);
        ck_assert_uint_eq(got, next++);
    }
    ground_close_pair(&pair);
}

/* A connection and the cancel of the accept at once: it is accepted, or waits for the next. */
static void a_cancel_races_with_a_connection(void)
{
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
    for (uint32_t round = 0; round < 50; round++) {
        reset();
        orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        START(&probes[0], orr_accept, listener, NULL);
        if (round % 2 == 0)
            orr_run_for_ns(ground.loop, 0);
        START(&probes[1], orr_connect, client, &address);
        if (round % 4 < 2)
            orr_run_for_ns(ground.loop, 0);
        if (orr_in_flight(&probes[0].completion)) {
            START(&cancels[0], orr_cancel, &probes[0].completion);
            check_cancel(&probes[0], &cancels[0]);
        }
        EXPECT_END(0, &probes[1]);
        orr_handle server = ground_result(&probes[0]);
        if (server == -ECANCELED)
            server = END_OF(orr_accept, listener, NULL);
        ck_assert_int_gt(server, 0);
        ground_close(server);
        ground_close(client);
    }
    ground_close(listener);
}

static void submit_again(struct probe *probe)
{
    if (probe->result == -ECANCELED && probe->calls == 1)
        START(probe, orr_recv_from, *(const orr_handle *)probe->context, &datagram);
}

/* The old cancel has nothing to do with the new operation. */
static void a_canceled_completion_is_submitted_again(void)
{
    struct orr_address address;
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    struct orr_datagram sent = {.peer = address, .buffer = out, .length = 5};
    for (uint32_t round = 0; round < 50; round++) {
        reset();
        probes[0].then = submit_again;
        probes[0].context = &socket;
        START(&probes[0], orr_recv_from, socket, &datagram);
        START(&cancels[0], orr_cancel, &probes[0].completion);
        EXPECT_END(0, &cancels[0]);
        ground_settle();
        ck_assert_uint_eq(probes[0].calls, 1);
        EXPECT(5, END_OF(orr_send_to, socket, &sent));
        while (probes[0].calls < 2)
            orr_run_once(ground.loop);
        EXPECT(5, probes[0].result);
    }
    ground_close(socket);
}

/* What is ready ends with what it has, though nobody was told yet. */
static void canceled_when_it_is_ready(void)
{
    reset();
    orr_next_tick(ground.loop, &probes[0].completion, probe_called, &probes[0]);
    START(&probes[1], orr_recv, 12345, in, 1);
    for (uint32_t i = 0; i < 2; i++)
        START(&cancels[i], orr_cancel, &probes[i].completion);
    orr_run_until_idle(ground.loop);
    EXPECT_END(0, &probes[0]);
    EXPECT_END(-EBADF, &probes[1]);
    check_cancel(&probes[0], &cancels[0]);
    check_cancel(&probes[1], &cancels[1]);
}

static void cancel_itself(struct probe *probe)
{
    START(&cancels[0], orr_cancel, &probe->completion); /* it is the caller's again */
    START(&cancels[1], orr_cancel, &probes[1].completion);
    START(&cancels[2], orr_cancel, &probes[2].completion);
}

/* In a callback: the operation that just ended, one that waits, one that is due in this pass. */
static void cancels_from_a_callback(void)
{
    struct orr_address address;
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    reset();
    probes[0].then = cancel_itself;
    START(&probes[1], orr_recv_from, socket, &datagram);
    ground_settle();
    START(&probes[0], orr_timeout, 1000);
    START(&probes[2], orr_timeout, 1000);
    orr_run_until_idle(ground.loop);
    EXPECT_END(0, &probes[0]);
    EXPECT_END(-ENOENT, &cancels[0]);
    EXPECT_END(-ECANCELED, &probes[1]);
    check_cancel(&probes[1], &cancels[1]);
    (void)ground_result(&probes[2]);
    if (cancels[2].result != -ENOENT)
        check_cancel(&probes[2], &cancels[2]);
    ground_close(socket);
}

/* A connect that nobody answers is ended by whoever has waited long enough. */
static void cancel_the_connect(struct probe *probe)
{
    (void)probe;
    START(&cancels[0], orr_cancel, &probes[0].completion);
}

static void a_connect_that_takes_too_long(void)
{
    struct orr_address address;
    orr_handle client;
    reset();
    orr_handle listener = ground_full_listener(&probes[0], &client, &address);
    EXPECT(-EALREADY, END_OF(orr_connect, client, &address)); /* one is under way */
    probes[1].then = cancel_the_connect;
    START(&probes[1], orr_timeout, ORR_MILLISECOND);
    EXPECT_END(-ECANCELED, &probes[0]);
    check_cancel(&probes[0], &cancels[0]);
    ground_close(client);
    client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    probe_reset(&probes[0]);
    START(&probes[0], orr_connect, client, &address);
    START(&probes[2], orr_poll, client, ORR_POLL_OUT);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls, 0);
    START(&probes[3], orr_close, client); /* and a close ends it, too */
    EXPECT_END(-ECANCELED, &probes[0]);
    (void)ground_result(&probes[2]); /* a socket that is not connected yet may count as hung up */
    EXPECT_END(0, &probes[3]);
    ground_close(listener);
}

static void a_thousand_cancels(void)
{
    struct orr_address address;
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    reset();
    for (uint32_t i = 0; i < MANY; i++)
        START(&many[i], orr_recv_from, socket, &datagram);
    ground_settle();
    for (uint32_t i = 0; i < MANY; i++)
        START(&many_cancels[i], orr_cancel, &many[i * 7 % MANY].completion);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < MANY; i++) {
        must(many[i * 7 % MANY].calls == 1 && many[i * 7 % MANY].result == -ECANCELED);
        must(many_cancels[i].calls == 1 && many_cancels[i].result == 0);
        must(many[i * 7 % MANY].order < many_cancels[i].order);
    }
    ground_close(socket);
}

/* ---- close ----------------------------------------------------------------------------------- */

static void close_ends_what_is_in_flight(void)
{
    struct waiting of;
    start_waiting(&of);
    START(&probes[5], orr_close, of.pair.listener);
    START(&probes[6], orr_close, of.pair.client);
    START(&probes[7], orr_close, of.datagram);
    START(&probes[8], orr_recv, of.pair.client, in, 1);
    START(&probes[9], orr_close, of.pair.client);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < WAITING; i++)
        EXPECT_END(-ECANCELED, &probes[i]);
    for (uint32_t i = 5; i < 8; i++)
        EXPECT_END(0, &probes[i]);
    EXPECT_END(-EBADF, &probes[8]);
    EXPECT_END(-EBADF, &probes[9]);
    ck_assert_uint_lt(probes[0].order, probes[5].order);
    ck_assert_uint_lt(probes[1].order, probes[6].order);
    ck_assert_uint_lt(probes[2].order, probes[6].order);
    ck_assert_uint_lt(probes[3].order, probes[7].order);
    ck_assert_uint_lt(probes[4].order, probes[7].order);
    ground_close(of.pair.server);
}

/* In one batch: nothing was handed over when the close is submitted. */
static void close_right_after_submitting(void)
{
    struct orr_address address;
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    orr_handle file = ground_file("f");
    reset();
    START(&probes[0], orr_recv_from, socket, &datagram);
    START(&probes[1], orr_poll, socket, ORR_POLL_IN);
    START(&probes[2], orr_close, socket);
    START(&probes[3], orr_write_all, file, out, 100, 0);
    START(&probes[4], orr_fsync, file);
    START(&probes[5], orr_close, file);
    orr_run_until_idle(ground.loop);
    EXPECT_END(-ECANCELED, &probes[0]);
    EXPECT_END(-ECANCELED, &probes[1]);
    EXPECT_END(0, &probes[2]);
    EXPECT_EITHER(-ECANCELED, 100, ground_result(&probes[3]));
    EXPECT_EITHER(-ECANCELED, 0, ground_result(&probes[4]));
    EXPECT_END(0, &probes[5]);
}

/* The peer hears of it at once, although an operation was in flight on the handle. */
static void the_peer_hears_of_a_close(void)
{
    struct pair pair;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    reset();
    START(&probes[0], orr_recv, pair.client, in, 100);
    START(&probes[1], orr_recv, pair.server, in + 100, 100);
    ground_settle();
    START(&probes[2], orr_close, pair.client);
    EXPECT_END(-ECANCELED, &probes[0]);
    EXPECT_END(0, &probes[2]);
    EXPECT_END(0, &probes[1]);
    ground_close(pair.server);
    ground_close(pair.listener);
}

/* ---- drain ----------------------------------------------------------------------------------- */

static void drain_ends_everything(void)
{
    struct waiting of;
    orr_handle file = ground_file("f");
    start_waiting(&of);
    START(&probes[5], orr_timeout, 3600 * ORR_SECOND);
    orr_wait_wake(ground.loop, &probes[6].completion, probe_called, &probes[6]);
    START(&probes[7], orr_write_all, file, out, 100, 0);
    START(&probes[8], orr_fsync, file);
    START(&probes[9], orr_open, ground.directory, "g", ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644);
    START(&probes[10], orr_cancel, &probes[0].completion);
    START(&probes[11], orr_close, of.datagram);
    orr_drain(ground.loop);
    for (uint32_t i = 0; i < 7; i++)
        EXPECT_END(-ECANCELED, &probes[i]);
    for (uint32_t i = 7; i < 12; i++)
        ck_assert_uint_eq(probes[i].calls, 1);
    EXPECT_END(0, &probes[10]);
    EXPECT_END(0, &probes[11]);
    ground_close_pair(&of.pair);
}

static void submit_more(struct probe *probe)
{
    (void)probe;
    START(&probes[4], orr_recv, *(const orr_handle *)probe->context, in, 10);
    START(&probes[5], orr_timeout, 0);
    START(&probes[6], orr_close, *(const orr_handle *)probe->context);
    START(&probes[7], orr_open, ground.directory, "f", ORR_OPEN_READ, 0);
}

static void drain_takes_closes_only(void)
{
    struct orr_address address;
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    reset();
    probes[0].then = submit_more;
    probes[0].context = &socket;
    START(&probes[0], orr_recv_from, socket, &datagram);
    ground_settle();
    orr_drain(ground.loop);
    EXPECT_END(-ECANCELED, &probes[0]);
    EXPECT_END(-ECANCELED, &probes[4]);
    EXPECT_END(-ECANCELED, &probes[5]);
    EXPECT_END(0, &probes[6]);
    EXPECT_END(-ECANCELED, &probes[7]);
}

static void a_drained_loop_goes_on(void)
{
    struct waiting of;
    start_waiting(&of);
    orr_drain(ground.loop);
    ground_fill(out, 100, 9);
    orr_handle file = ground_file("f");
    EXPECT(100, END_OF(orr_write_all, file, out, 100, 0));
    EXPECT(100, END_OF(orr_read_exact, file, in, 100, 0));
    ground_check(in, 100, 9);
    ground_close(file);
    close_waiting(&of);
}

const struct conformance_case cases_cancel[] = {
    {.name = "whatever_waits_is_canceled", .run = whatever_waits_is_canceled},
    {.name = "canceled_in_the_same_batch", .run = canceled_in_the_same_batch},
    {.name = "what_is_not_in_flight", .run = what_is_not_in_flight},
    {.name = "two_cancels_of_one_operation", .run = two_cancels_of_one_operation},
    {.name = "cancels_and_closes_are_not_canceled", .run = cancels_and_closes_are_not_canceled},
    {.name = "operations_on_files_go_either_way", .run = operations_on_files_go_either_way},
    {.name = "a_cancel_races_with_bytes", .run = a_cancel_races_with_bytes},
    {.name = "a_cancel_races_with_a_connection", .run = a_cancel_races_with_a_connection},
    {.name = "a_canceled_completion_is_submitted_again",
     .run = a_canceled_completion_is_submitted_again},
    {.name = "canceled_when_it_is_ready", .run = canceled_when_it_is_ready},
    {.name = "cancels_from_a_callback", .run = cancels_from_a_callback},
    {.name = "a_connect_that_takes_too_long", .run = a_connect_that_takes_too_long},
    {.name = "a_thousand_cancels", .run = a_thousand_cancels, .batch_entries = 8},
    {.name = "close_ends_what_is_in_flight", .run = close_ends_what_is_in_flight},
    {.name = "close_over_a_batch_of_one", .run = close_ends_what_is_in_flight, .batch_entries = 1},
    {.name = "close_right_after_submitting", .run = close_right_after_submitting},
    {.name = "the_peer_hears_of_a_close", .run = the_peer_hears_of_a_close},
    {.name = "drain_ends_everything", .run = drain_ends_everything},
    {.name = "drain_over_a_batch_of_one", .run = drain_ends_everything, .batch_entries = 1},
    {.name = "drain_takes_closes_only", .run = drain_takes_closes_only},
    {.name = "a_drained_loop_goes_on", .run = a_drained_loop_goes_on},
    {.name = NULL},
};

/*
 * cases_streams.c: the traps of streams: many operations on one handle, in both directions, with
 * bytes that come when nobody asks, readers that are slow, and ends that come together with the
 * last bytes. A backend that waits for readiness can miss each of them; none may.
 */
#include "tests/conformance/cases.h"

#include <string.h>

#define KIB 1024u
#define LONG (256u * KIB)
#define COUNT 24u

static struct probe probes[COUNT];
static uint8_t out[LONG];
static uint8_t in[LONG];
static uint8_t back[LONG];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
    memset(in, 0, sizeof in);
    memset(back, 0, sizeof back);
}

static void close_ends(const struct pair *pair)
{
    ground_close(pair->client);
    ground_close(pair->server);
}

/* Smaller ones make a kernel's TCP wait for its own timers at every step. */
#define SMALL_BUFFER 32768

static void set_small_buffers(const struct pair *pair)
{
    const orr_handle sockets[] = {pair->client, pair->server};
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT(0, orr_socket_option_set(ground.loop, sockets[i], ORR_SOCKET_SEND_BUFFER,
                                        SMALL_BUFFER));
        EXPECT(0, orr_socket_option_set(ground.loop, sockets[i], ORR_SOCKET_RECEIVE_BUFFER,
                                        SMALL_BUFFER));
    }
}

/* ---- readers at their own pace --------------------------------------------------------------- */

#define SIP 7919u
#define PAUSE 3u

/* Takes a sip, then lets a few passes go by. */
struct reader {
    struct probe probe;
    orr_handle handle;
    uint8_t *to;
    size_t done;
    uint32_t pause;
};

static void read_slowly(struct probe *probe)
{
    struct reader *reader = probe->context;
    if (probe->completion.request.op == ORR_OP_RECV) {
        must(probe->result > 0);
        reader->done += (size_t)probe->result;
        reader->pause = PAUSE;
    }
    size_t left = LONG - reader->done;
    if (left > 0 && reader->pause-- > 0)
        orr_next_tick(ground.loop, &probe->completion, probe_called, probe);
    else if (left > 0)
        START(probe, orr_recv, reader->handle, reader->to + reader->done, left < SIP ? left : SIP);
}

static void start_reader(struct reader *reader, orr_handle handle, uint8_t *to)
{
    *reader = (struct reader){.handle = handle, .to = to};
    reader->probe.context = reader;
    reader->probe.then = read_slowly;
    START(&reader->probe, orr_recv, handle, to, SIP);
}

static void exchange_slowly(struct pair *pair, enum orr_family family)
{
    static struct reader readers[2];
    (void)family;
    set_small_buffers(pair);
    ground_fill(out, LONG, 1);
    START(&probes[0], orr_send_all, pair->client, out, LONG);
    START(&probes[1], orr_send_all, pair->server, out, LONG);
    start_reader(&readers[0], pair->server, in);
    start_reader(&readers[1], pair->client, back);
    orr_run_until_idle(ground.loop);
    EXPECT_END(LONG, &probes[0]);
    EXPECT_END(LONG, &probes[1]);
    ground_check(in, LONG, 1);
    ground_check(back, LONG, 1);
    close_ends(pair);
}

static void slow_readers_in_both_directions(void)
{
    ground_each_pair(reset, exchange_slowly);
}

static void send_the_next(struct probe *probe)
{
    must(probe->result == 7);
    if (probe->calls < 100)
        START(probe, orr_send_all, *(const orr_handle *)probe->context, out + probe->calls * 7, 7);
}

static void send_often(struct pair *pair, enum orr_family family)
{
    (void)family;
    ground_fill(out, 700, 2);
    probes[0].then = send_the_next;
    probes[0].context = &pair->client;
    START(&probes[0], orr_send_all, pair->client, out, 7);
    while (probes[0].calls < 100 && !ground.driver->strained) /* small buffers may be full before */
        orr_run_once(ground.loop);
    ground_settle();
    EXPECT(700, END_OF(orr_recv_exact, pair->server, in, 700));
    orr_run_until_idle(ground.loop);
    ck_assert_uint_eq(probes[0].calls, 100);
    ground_check(in, 700, 2);
    close_ends(pair);
}

static void many_small_sends_before_one_recv(void)
{
    ground_each_pair(reset, send_often);
}

/* Each recv leaves something behind, to which the peer adds before the next. */
static void leave_something(struct pair *pair, enum orr_family family)
{
    size_t got = 0;
    (void)family;
    ground_fill(out, 301, 3);
    for (uint32_t i = 0; i < 60; i++) {
        EXPECT(5, END_OF(orr_send_all, pair->client, out + i * 5, 5));
        if (i % 3 == 0)
            ground_settle();
        int64_t length = END_OF(orr_recv, pair->server, in + got, 3);
        ck_assert(length >= 1 && length <= 3);
        got += (size_t)length;
    }
    EXPECT(300 - got, END_OF(orr_recv_exact, pair->server, in + got, 300 - got));
    START(&probes[0], orr_recv, pair->server, in + 300, 10);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls, 0);
    EXPECT(1, END_OF(orr_send_all, pair->client, out + 300, 1));
    EXPECT_END(1, &probes[0]);
    ground_check(in, 301, 3);
    close_ends(pair);
}

static void the_peer_sends_again_between_two_recvs(void)
{
    ground_each_pair(reset, leave_something);
}

static void receive_again(struct probe *probe)
{
    if (probe->result > 0 && probe->calls < 100)
        START(probe, orr_recv, *(const orr_handle *)probe->context, in + probe->calls, 1);
}

/* Submitted from the callback, the next recv waits as well as the first did. */
static void ping_from_callbacks(struct pair *pair, enum orr_family family)
{
    (void)family;
    ground_fill(out, 100, 4);
    probes[0].then = receive_again;
    probes[0].context = &pair->server;
    START(&probes[0], orr_recv, pair->server, in, 1);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t burst = i % 7 == 0 && i + 3 <= 100 ? 3 : 1; /* some come several at once */
        EXPECT(burst, END_OF(orr_send_all, pair->client, out + i, burst));
        i += burst - 1;
        while (probes[0].calls < i + 1)
            orr_run_once(ground.loop);
    }
    ck_assert_uint_eq(probes[0].calls, 100);
    ground_check(in, 100, 4);
    close_ends(pair);
}

static void the_next_recv_comes_from_the_callback(void)
{
    ground_each_pair(reset, ping_from_callbacks);
}

/* ---- both directions of one handle ----------------------------------------------------------- */

static void wait_in_both_directions(struct pair *pair, enum orr_family family)
{
    (void)family;
    set_small_buffers(pair);
    ground_fill(out, LONG, 5);
    for (uint32_t round = 0; round < 2; round++) {
        struct probe *recv = &probes[round * 2];
        struct probe *send = &probes[round * 2 + 1];
        if (round == 0)
            START(recv, orr_recv, pair->client, back, 1);
        START(send, orr_send_all, pair->client, out, LONG);
        if (round == 1)
            START(recv, orr_recv, pair->client, back, 1);
        ground_settle();
        ck_assert_uint_eq(recv->calls + send->calls, 0);
        if (round == 1) { /* the recv ends while the send waits on */
            EXPECT(1, END_OF(orr_send_all, pair->server, "x", 1));
            EXPECT_END(1, recv);
            ck_assert_uint_eq(send->calls, 0);
        }
        EXPECT(LONG, END_OF(orr_recv_exact, pair->server, in, LONG));
        EXPECT_END(LONG, send);
        if (round == 0) { /* the send has ended while the recv waited */
            ground_settle();
            ck_assert_uint_eq(recv->calls, 0);
            EXPECT(1, END_OF(orr_send_all, pair->server, "x", 1));
            EXPECT_END(1, recv);
        }
        ground_check(in, LONG, 5);
    }
    close_ends(pair);
}

static void a_recv_waits_while_a_send_waits(void)
{
    ground_each_pair(reset, wait_in_both_directions);
}

/* The recv may take what the poll waits for; then the poll waits on, for the next. */
static void poll_and_receive(struct pair *pair, enum orr_family family)
{
    (void)family;
    for (uint32_t round = 0; round < 10; round++) {
        reset();
        if (round % 2 == 0)
            START(&probes[0], orr_poll, pair->server, ORR_POLL_IN);
        START(&probes[1], orr_recv, pair->server, in, 1);
        if (round % 2 == 1)
            START(&probes[0], orr_poll, pair->server, ORR_POLL_IN);
        ground_settle();
        ck_assert_uint_eq(probes[0].calls + probes[1].calls, 0);
        EXPECT(1, END_OF(orr_send_all, pair->client, "x", 1));
        EXPECT_END(1, &probes[1]);
        EXPECT(1, END_OF(orr_send_all, pair->client, "y", 1));
        EXPECT_END(ORR_POLL_IN, &probes[0]);
        EXPECT(1, END_OF(orr_recv, pair->server, in, 1));
        ck_assert_uint_eq(in[0], 'y');
    }
    close_ends(pair);
}

static void a_poll_and_a_recv_at_once(void)
{
    ground_each_pair(reset, poll_and_receive);
}

/* Two bytes come, of which the recv takes one: the other is there for all polls to see. */
static void use_one_handle(struct pair *pair, enum orr_family family)
{
    (void)family;
    for (uint32_t i = 0; i < 8; i++) {
        START(&probes[i], orr_poll, pair->client, ORR_POLL_IN);
        START(&probes[8 + i], orr_poll, pair->client, ORR_POLL_OUT);
    }
    START(&probes[16], orr_recv, pair->client, in, 1);
    START(&probes[17], orr_send_all, pair->client, "ab", 2);
    for (uint32_t i = 8; i < 16; i++)
        EXPECT_END(ORR_POLL_OUT, &probes[i]);
    EXPECT_END(2, &probes[17]);
    ground_settle();
    for (uint32_t i = 0; i < 8; i++)
        ck_assert_uint_eq(probes[i].calls, 0);
    START(&probes[18], orr_cancel, &probes[3].completion);
    EXPECT_END(0, &probes[18]);
    EXPECT_END(-ECANCELED, &probes[3]); /* and the others wait on */
    EXPECT(2, END_OF(orr_send_all, pair->server, "cd", 2));
    EXPECT_END(1, &probes[16]);
    for (uint32_t i = 0; i < 8; i++)
        if (i != 3)
            EXPECT_END(ORR_POLL_IN, &probes[i]);
    EXPECT(1, END_OF(orr_recv, pair->client, in + 1, 1));
    EXPECT(2, END_OF(orr_recv_exact, pair->server, back, 2));
    ck_assert_mem_eq(in, "cd", 2);
    ck_assert_mem_eq(back, "ab", 2);
    close_ends(pair);
}

static void everything_at_once_on_one_handle(void)
{
    ground_each_pair(reset, use_one_handle);
}

/* The contract gives two of them no order; each gets bytes that the other does not. */
static void receive_twice(struct pair *pair, enum orr_family family)
{
    (void)family;
    for (uint32_t round = 0; round < 20; round++) {
        reset();
        START(&probes[0], orr_recv, pair->server, in, 1);
        START(&probes[1], orr_recv, pair->server, in + 1, 1);
        if (round % 2 == 0)
            ground_settle();
        EXPECT(1, END_OF(orr_send_all, pair->client, "1", 1));
        if (round % 4 < 2)
            ground_settle();
        EXPECT(1, END_OF(orr_send_all, pair->client, "2", 1));
        EXPECT_END(1, &probes[0]);
        EXPECT_END(1, &probes[1]);
        ck_assert_uint_eq(in[0] + in[1], '1' + '2');
    }
    close_ends(pair);
}

static void two_recvs_on_one_stream(void)
{
    ground_each_pair(reset, receive_twice);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* All that waits on the handle hears of its shutdown. */
static void shut_down_under_way(struct pair *pair, enum orr_family family)
{
    (void)family;
    set_small_buffers(pair);
    START(&probes[0], orr_recv, pair->client, in, 10);
    START(&probes[1], orr_send_all, pair->client, out, LONG);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls + probes[1].calls, 0);
    START(&probes[2], orr_shutdown, pair->client, ORR_SHUTDOWN_BOTH);
    EXPECT_END(0, &probes[2]);
    EXPECT_END(0, &probes[0]);
    EXPECT_END(-EPIPE, &probes[1]);
    int64_t length = END_OF(orr_recv_exact, pair->server, in, LONG); /* what had been taken */
    ck_assert(length > 0 && length < (int64_t)LONG);
    close_ends(pair);
}

static void shutdown_wakes_what_waits(void)
{
    ground_each_pair(reset, shut_down_under_way);
}

/* The last bytes and the end come together; the peer is gone before anybody looks. */
static void end_at_once(struct pair *pair, enum orr_family family)
{
    (void)family;
    START(&probes[0], orr_recv_exact, pair->server, in, 10);
    EXPECT(3, END_OF(orr_send_all, pair->client, "one", 3));
    START(&probes[1], orr_poll, pair->server, 0); /* hangup and error are reported always */
    EXPECT(6, END_OF(orr_send_all, pair->client, "twoend", 6));
    ground_close(pair->client);
    EXPECT_END(9, &probes[0]);
    ck_assert_mem_eq(in, "onetwoend", 9);
    EXPECT(0, END_OF(orr_recv, pair->server, in, 10));
    START(&probes[2], orr_cancel, &probes[1].completion); /* a half-closed TCP is no hangup yet */
    (void)ground_result(&probes[1]);
    (void)ground_result(&probes[2]);
    ground_close(pair->server);
}

static void the_last_bytes_come_with_the_end(void)
{
    ground_each_pair(reset, end_at_once);
}

/* A poll that saw the end takes nothing away from who reads up to it. */
static void look_then_read(struct pair *pair, enum orr_family family)
{
    (void)family;
    START(&probes[0], orr_poll, pair->server, ORR_POLL_IN);
    START(&probes[1], orr_send, pair->client, "bye", 3);
    int64_t sent = ground_result(&probes[1]);
    ck_assert_int_gt(sent, 0);
    ground_close(pair->client);
    ground_settle();
    ck_assert_int_ne(ground_result(&probes[0]) & ORR_POLL_IN, 0);
    int64_t events = END_OF(orr_poll, pair->server, ORR_POLL_IN);
    ck_assert_int_ne(events & ORR_POLL_IN, 0);
    EXPECT(sent, END_OF(orr_recv_exact, pair->server, in, (size_t)sent)); /* up to the edge */
    ck_assert_mem_eq(in, "bye", (size_t)sent);
    EXPECT(0, END_OF(orr_recv, pair->server, in, 1));
    ground_close(pair->server);
}

static void bytes_behind_a_hangup_are_not_lost(void)
{
    ground_each_pair(reset, look_then_read);
}

/* A reset may overtake the bytes before it, or come after them; it is told, and once. */
static void reset_behind_bytes(struct pair *pair, enum orr_family family)
{
    (void)family;
    EXPECT(3, END_OF(orr_send_all, pair->client, "abc", 3));
    EXPECT(1, END_OF(orr_send_all, pair->server, "x", 1));
    EXPECT(ORR_POLL_IN, END_OF(orr_poll, pair->client, ORR_POLL_IN)); /* unread: makes it a reset */
    ground_close(pair->client);
    ground_settle();
    int64_t length = END_OF(orr_recv_exact, pair->server, in, 10);
    ck_assert_msg(length == 3 || length == -ECONNRESET, "%s", probe_text(length));
    if (length == 3)
        ck_assert_mem_eq(in, "abc", 3);
    (void)END_OF(orr_recv, pair->server, in, 10);
    EXPECT(0, END_OF(orr_recv, pair->server, in, 10));
    EXPECT(-EPIPE, END_OF(orr_send, pair->server, "y", 1));
    ground_close(pair->server);
}

static void a_reset_behind_bytes(void)
{
    ground_each_pair(reset, reset_behind_bytes);
}

/* What the system had taken of a send that a close ended arrives, or the stream is reset; nothing
 * else arrives. */
static void close_while_sending(struct pair *pair, enum orr_family family)
{
    (void)family;
    set_small_buffers(pair);
    ground_fill(out, LONG, 6);
    START(&probes[0], orr_send_all, pair->client, out, LONG);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls, 0);
    START(&probes[1], orr_close, pair->client);
    EXPECT_END(-ECANCELED, &probes[0]);
    EXPECT_END(0, &probes[1]);
    int64_t length = END_OF(orr_recv_exact, pair->server, in, LONG);
    ck_assert(length > 0 && length < (int64_t)LONG);
    ground_check(in, (size_t)length, 6);
    ground_close(pair->server);
}

static void a_send_is_ended_by_a_close(void)
{
    ground_each_pair(reset, close_while_sending);
}

/* 4 GiB and a little: what is cut to 32 bits asks for less than is there. */
#define HUGE_LENGTH ((size_t)0x100000002)

static void receive_hugely(struct pair *pair, enum orr_family family)
{
    (void)family;
    EXPECT(5, END_OF(orr_send_all, pair->client, "abcde", 5));
    ground_settle();
    uint8_t *space = ground_space(HUGE_LENGTH + 5);
    size_t got = 0;
    for (uint32_t calls = 0; got < 5; calls++) {
        int64_t length = END_OF(orr_recv, pair->server, space + got, HUGE_LENGTH);
        ck_assert(length >= 1 && (ground.driver->strained || length == 5));
        got += (size_t)length;
        ck_assert_uint_lt(calls, 5);
    }
    ck_assert_mem_eq(space, "abcde", 5);
    close_ends(pair);
}

static void a_recv_longer_than_any_buffer(void)
{
    ground_each_pair(reset, receive_hugely);
}

const struct conformance_case cases_streams[] = {
    {.name = "slow_readers_in_both_directions", .run = slow_readers_in_both_directions},
    {.name = "many_small_sends_before_one_recv", .run = many_small_sends_before_one_recv},
    {.name = "the_peer_sends_again_between_two_recvs",
     .run = the_peer_sends_again_between_two_recvs},
    {.name = "the_next_recv_comes_from_the_callback", .run = the_next_recv_comes_from_the_callback},
    {.name = "a_recv_waits_while_a_send_waits", .run = a_recv_waits_while_a_send_waits},
    {.name = "a_poll_and_a_recv_at_once", .run = a_poll_and_a_recv_at_once},
    {.name = "everything_at_once_on_one_handle", .run = everything_at_once_on_one_handle},
    {.name = "two_recvs_on_one_stream", .run = two_recvs_on_one_stream},
    {.name = "shutdown_wakes_what_waits", .run = shutdown_wakes_what_waits},
    {.name = "the_last_bytes_come_with_the_end", .run = the_last_bytes_come_with_the_end},
    {.name = "bytes_behind_a_hangup_are_not_lost", .run = bytes_behind_a_hangup_are_not_lost},
    {.name = "a_reset_behind_bytes", .run = a_reset_behind_bytes},
    {.name = "a_send_is_ended_by_a_close", .run = a_send_is_ended_by_a_close},
    {.name = "a_recv_longer_than_any_buffer", .run = a_recv_longer_than_any_buffer},
    {.name = NULL},
};

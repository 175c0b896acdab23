/*
 * cases_reuse.c: descriptors that come and go: a number that was closed is the next one's at once,
 * and nothing of the old may reach the new, not even inside of one pass (rule 10).
 */
#include "tests/conformance/cases.h"

#include <string.h>

static struct probe probes[16];
static uint8_t in[100];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

/*
 * A descriptor is closed under operations and its number taken by the next socket, again and again:
 * no operation of the old one may reach the new.
 */
static void a_reused_descriptor_gets_nothing_of_the_old(void)
{
    struct pair pair;
    orr_handle old = ORR_HANDLE_NONE;
    for (uint32_t round = 0; round < 30; round++) {
        uint8_t byte = 0;
        reset();
        ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
        if (old != ORR_HANDLE_NONE)
            EXPECT(-EBADF, END_OF(orr_send, old, "old", 3));
        START(&probes[0], orr_recv, pair.server, in, 100);
        START(&probes[1], orr_close, pair.server);
        START(&probes[2], orr_send, pair.server, "late", 4);
        orr_run_until_idle(ground.loop);
        EXPECT_END(-ECANCELED, &probes[0]);
        EXPECT_END(-EBADF, &probes[2]);
        EXPECT(0, END_OF(orr_recv, pair.client, &byte, 1));
        old = pair.server;
        ground_close(pair.client);
        ground_close(pair.listener);
    }
}

static void a_connection_races_with_the_close_of_its_listener(void)
{
    for (uint32_t round = 0; round < 30; round++) {
        struct orr_address address;
        orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
        orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        reset();
        START(&probes[0], orr_accept, listener, NULL);
        START(&probes[1], orr_connect, client, &address);
        for (uint32_t i = 0; i < round % 3; i++)
            orr_run_for_ns(ground.loop, 0);
        START(&probes[2], orr_close, listener);
        orr_run_until_idle(ground.loop);
        EXPECT_END(0, &probes[2]);
        EXPECT_EITHER(0, -ECONNREFUSED, probes[1].result == -ECONNRESET ? 0 : probes[1].result);
        if (probes[0].result > 0)
            ground_close(probes[0].result); /* it won: then the handle is good */
        else
            EXPECT(-ECANCELED, probes[0].result);
        ground_close(client);
    }
}

/* ---- closed inside of a callback ------------------------------------------------------------- */

/* Two streams have bytes for a waiting recv each. Whoever is called back first closes the other's
 * handle; when that is closed, a new stream takes its number and waits for bytes, too. */
struct reuse {
    struct pair pairs[2];
    struct pair fresh;
    struct probe recvs[2];
    struct probe close;
    struct probe fresh_recv;
    struct probe fresh_connect;
    struct orr_address listening;
    uint8_t bytes[3];
};

static struct reuse reuse;

static void take_the_number(struct probe *probe)
{
    must(probe->result == 0);
    reuse.fresh.client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    START(&reuse.fresh_connect, orr_connect, reuse.fresh.client, &reuse.listening);
}

static void receive_on_the_fresh(struct probe *probe)
{
    must(probe->result == 0);
    START(&reuse.fresh_recv, orr_recv, reuse.fresh.client, &reuse.bytes[2], 1);
}

static void close_the_other(struct probe *probe)
{
    uint32_t other = probe == &reuse.recvs[0] ? 1 : 0;
    reuse.recvs[other].then = NULL;
    START(&reuse.close, orr_close, reuse.pairs[other].client);
}

static void open_reuse(void)
{
    memset(&reuse, 0, sizeof reuse);
    for (uint32_t i = 0; i < 2; i++) {
        ck_assert(ground_pair(ORR_FAMILY_IP4, &reuse.pairs[i]));
        reuse.recvs[i].then = close_the_other;
        START(&reuse.recvs[i], orr_recv, reuse.pairs[i].client, &reuse.bytes[i], 1);
    }
    reuse.fresh.listener = ground_listen(ORR_FAMILY_IP4, 4, &reuse.listening);
    reuse.close.then = take_the_number;
    reuse.fresh_connect.then = receive_on_the_fresh;
}

static void closed_and_reused_inside_one_pass(void)
{
    for (uint32_t round = 0; round < 20; round++) {
        open_reuse();
        reset();
        ground_settle();
        START(&probes[0], orr_send_all, reuse.pairs[round % 2].server, "a", 1);
        START(&probes[1], orr_send_all, reuse.pairs[1 - round % 2].server, "b", 1);
        EXPECT_END(0, &reuse.fresh_connect);
        for (uint32_t i = 0; i < 2; i++)
            EXPECT_EITHER(1, -ECANCELED, ground_result(&reuse.recvs[i]));
        ck_assert_int_eq(reuse.recvs[0].result == 1 || reuse.recvs[1].result == 1, 1);
        reuse.fresh.server = END_OF(orr_accept, reuse.fresh.listener, NULL);
        ground_settle();
        ck_assert_uint_eq(reuse.fresh_recv.calls, 0); /* nothing of the old came here */
        EXPECT(1, END_OF(orr_send_all, reuse.fresh.server, "z", 1));
        EXPECT_END(1, &reuse.fresh_recv);
        ck_assert_uint_eq(reuse.bytes[2], 'z');
        orr_run_until_idle(ground.loop);
        uint32_t left = reuse.recvs[0].then != NULL ? 0 : 1;
        ground_close(reuse.pairs[left].client);
        for (uint32_t i = 0; i < 2; i++) {
            ground_close(reuse.pairs[i].server);
            ground_close(reuse.pairs[i].listener);
        }
        ground_close_pair(&reuse.fresh);
    }
}

static void close_own_handle(struct probe *probe)
{
    START(&probes[5], orr_close, *(const orr_handle *)probe->context);
    START(&probes[6], orr_recv, *(const orr_handle *)probe->context, in, 1);
}

/* The callback of one operation closes the handle on which others wait. */
static void a_callback_closes_its_own_handle(void)
{
    for (uint32_t polls = 0; polls < 2; polls++) {
        struct pair pair;
        ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
        reset();
        probes[0].then = close_own_handle;
        probes[0].context = &pair.client;
        if (polls == 1)
            START(&probes[0], orr_poll, pair.client, ORR_POLL_IN);
        else
            START(&probes[0], orr_recv, pair.client, in, 1);
        START(&probes[1], orr_poll, pair.client, 0); /* for an end that does not come */
        ground_settle();
        EXPECT(1, END_OF(orr_send_all, pair.server, "x", 1));
        EXPECT_END(polls == 1 ? ORR_POLL_IN : 1, &probes[0]);
        EXPECT_END(0, &probes[5]);
        EXPECT_END(-ECANCELED, &probes[1]);
        EXPECT_END(-EBADF, &probes[6]);
        ground_close(pair.server);
        ground_close(pair.listener);
    }
}

/* ---- a listener's number --------------------------------------------------------------------- */

static orr_handle next_listener;
static struct orr_address next_address;

static void listen_again(struct probe *probe)
{
    must(probe->result == 0);
    next_listener = ground_listen(ORR_FAMILY_IP4, 8, &next_address);
    START(&probes[3], orr_accept, next_listener, NULL);
}

/* A listener is closed while a connection comes for it, and the next one takes its number at once:
 * an accept of the old must not take a connection of the new, nor the other way round. */
static void a_listener_on_the_number_of_another(void)
{
    for (uint32_t round = 0; round < 30; round++) {
        struct orr_address address;
        orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
        orr_handle clients[2] = {ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM),
                                 ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM)};
        reset();
        START(&probes[0], orr_accept, listener, NULL);
        START(&probes[1], orr_connect, clients[0], &address);
        for (uint32_t i = 0; i < round % 3; i++)
            orr_run_for_ns(ground.loop, 0);
        probes[2].then = listen_again;
        START(&probes[2], orr_close, listener);
        EXPECT_END(0, &probes[2]);
        (void)ground_result(&probes[1]);
        ck_assert_uint_eq(probes[0].calls, 1);
        ground_settle();
        ck_assert_uint_eq(probes[3].calls, 0);
        START(&probes[4], orr_connect, clients[1], &next_address);
        EXPECT_END(0, &probes[4]);
        ground_close(ground_result(&probes[3]));
        if (probes[0].result > 0)
            ground_close(probes[0].result);
        else
            EXPECT(-ECANCELED, probes[0].result);
        ground_close(clients[0]);
        ground_close(clients[1]);
        ground_close(next_listener);
    }
}

/* ---- handles that leave the loop ------------------------------------------------------------- */

/* The number that a released handle had is adopted again: the same stream, under a new handle. */
static void a_released_handle_is_adopted(void)
{
    struct pair pair;
    reset();
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    START(&probes[0], orr_recv, pair.server, in, 100);
    EXPECT(-EBUSY, orr_release(ground.loop, pair.server));
    EXPECT(1, END_OF(orr_send, pair.client, "1", 1));
    EXPECT_END(1, &probes[0]);
    EXPECT(2, END_OF(orr_send_all, pair.client, "23", 2));
    int32_t number = orr_release(ground.loop, pair.server);
    ck_assert_int_ge(number, 0);
    EXPECT(-EBADF, orr_release(ground.loop, pair.server));
    EXPECT(-EBADF, orr_descriptor(ground.loop, pair.server));
    orr_handle adopted = orr_adopt(ground.loop, number);
    ck_assert(adopted > 0 && adopted != pair.server);
    EXPECT(2, END_OF(orr_recv_exact, adopted, in, 2));
    ck_assert_mem_eq(in, "23", 2);
    START(&probes[1], orr_recv, adopted, in, 100);
    ground_settle();
    EXPECT(1, END_OF(orr_send, pair.client, "4", 1));
    EXPECT_END(1, &probes[1]);
    ground_close(adopted);
    EXPECT(0, END_OF(orr_recv, pair.client, in, 1));
    ground_close(pair.client);
    ground_close(pair.listener);
}

/* Files, too: where a read stands is the operation's own. */
static void a_released_file_is_adopted(void)
{
    orr_handle file = ground_file("moves");
    EXPECT(5, END_OF(orr_write_all, file, "hello", 5, 0));
    int32_t number = orr_release(ground.loop, file);
    ck_assert_int_ge(number, 0);
    file = orr_adopt(ground.loop, number);
    ck_assert_int_gt(file, 0);
    EXPECT(5, END_OF(orr_read_exact, file, in, 5, 0));
    ck_assert_mem_eq(in, "hello", 5);
    ground_close(file);
}

const struct conformance_case cases_reuse[] = {
    {.name = "a_reused_descriptor_gets_nothing_of_the_old",
     .run = a_reused_descriptor_gets_nothing_of_the_old},
    {.name = "a_connection_races_with_the_close_of_its_listener",
     .run = a_connection_races_with_the_close_of_its_listener},
    {.name = "closed_and_reused_inside_one_pass", .run = closed_and_reused_inside_one_pass},
    {.name = "a_callback_closes_its_own_handle", .run = a_callback_closes_its_own_handle},
    {.name = "a_listener_on_the_number_of_another", .run = a_listener_on_the_number_of_another},
    {.name = "a_released_handle_is_adopted", .run = a_released_handle_is_adopted},
    {.name = "a_released_file_is_adopted", .run = a_released_file_is_adopted},
    {.name = NULL},
};

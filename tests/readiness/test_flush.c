/*
 * test_flush.c: the readiness engine's flush over a scripted poller: order, cancel in every place,
 * when the poller may be left alone, wakes.
 */
#define _GNU_SOURCE 1

#include "fake.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ ORR__WATCH_READ
#define WRITE ORR__WATCH_WRITE

static int32_t pair[2];
static char buffer[64];

static struct orr__readiness *open_with_pair(void)
{
    struct orr__readiness *engine = fake_open(8, false);

    adopt_pair(engine, pair);
    return engine;
}

static void close_with_pair(struct orr__readiness *engine)
{
    close_through(engine, pair[0]);
    ck_assert_int_eq(close(pair[1]), 0);
    fake_close(engine);
}

static void feed(const char *text, size_t length)
{
    ck_assert_int_eq(write(pair[1], text, length), (ssize_t)length);
}

/* ---- the batch ------------------------------------------------------------------------------- */

START_TEST(test_flush__one_flush_cures_a_full_batch)
{
    struct orr__readiness *engine = fake_open(2, false);
    struct orr_completion recvs[3] = {0};

    adopt_pair(engine, pair);
    give_recv(engine, &recvs[0], pair[0], buffer, 1);
    give_recv(engine, &recvs[1], pair[0], buffer, 1);
    ck_assert_int_eq(orr__readiness_submit(engine, &recvs[2]), ORR_SUBMIT_FULL);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 0);
    give_recv(engine, &recvs[2], pair[0], buffer, 1);
    for (int i = 0; i < 3; i++)
        cancel(engine, &recvs[i]);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 3);
    close_with_pair(engine);
}
END_TEST

static void *flush_elsewhere(void *engine)
{
    struct orr_queue completed = {0};

    ck_assert_int_eq(orr__readiness_flush(engine, ORR_WAIT_NOT, &completed), -EEXIST);
    return NULL;
}

START_TEST(test_flush__only_on_the_thread_that_opened)
{
    struct orr__readiness *engine = fake_open(1, false);
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, flush_elsewhere, engine), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    fake_close(engine);
}
END_TEST

/* ---- order ----------------------------------------------------------------------------------- */

/* A later receive does not take what came for an earlier one, though it is there when the later one
 * is submitted. */
START_TEST(test_flush__first_come_first_served)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recvs[3] = {0};

    give_recv(engine, &recvs[0], pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_NOT);
    feed("abc", 3);
    give_recv(engine, &recvs[1], pair[0], buffer + 1, 1);
    give_recv(engine, &recvs[2], pair[0], buffer + 2, 1);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 0);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 3);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(recvs[i].request.slot, i + 1);
    ck_assert_mem_eq(buffer, "abc", 3);
    close_with_pair(engine);
}
END_TEST

/* The directions do not wait for each other. */
START_TEST(test_flush__directions_are_apart)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recv = {0};
    struct orr_completion send_one = {0};

    give_recv(engine, &recv, pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_NOT);
    give_send(engine, &send_one, pair[0], "x", 1);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    must_end(&send_one, 1);
    cancel(engine, &recv);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    close_with_pair(engine);
}
END_TEST

/* A receive that got less than it asked for took all there was: the next one is not attempted
 * before a report; but what a report promises is attempted, whatever came before. */
START_TEST(test_flush__a_drained_socket_waits_for_a_report)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recv = {0};

    feed("ab", 2);
    give_recv(engine, &recv, pair[0], buffer, 8);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    must_end(&recv, 2);
    feed("c", 1);
    give_recv(engine, &recv, pair[0], buffer, 8);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 0);
    fake_must_arm(pair[0], 0, READ);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    must_end(&recv, 1);
    close(pair[1]);
    give_recv(engine, &recv, pair[0], buffer, 8);
    fake_report(pair[0], READ | WRITE);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    must_end(&recv, 0);
    close_through(engine, pair[0]);
    fake_close(engine);
}
END_TEST

/* Every poll looks for itself: one that waits for something else stays. */
START_TEST(test_flush__polls_look_for_themselves)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion polls[3] = {0};

    fill(pair[0]);
    give_poll(engine, &polls[0], pair[0], ORR_POLL_OUT);
    give_poll(engine, &polls[1], pair[0], ORR_POLL_IN);
    give_poll(engine, &polls[2], pair[0], ORR_POLL_IN | ORR_POLL_OUT);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 0);
    fake_must_arm(pair[0], 0, READ | WRITE);
    feed("a", 1);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 2);
    must_end(&polls[1], ORR_POLL_IN);
    must_end(&polls[2], ORR_POLL_IN);
    fake_must_not_arm();
    cancel(engine, &polls[0]);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    fake_must_arm(pair[0], READ | WRITE, READ);
    close_with_pair(engine);
}
END_TEST

/* ---- cancel ---------------------------------------------------------------------------------- */

START_TEST(test_flush__cancel_in_the_batch)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recv = {0};

    feed("a", 1);
    give_recv(engine, &recv, pair[0], buffer, 1);
    cancel(engine, &recv);
    ck_assert(orr__readiness_unflushed(engine));
    cancel(engine, &recv); /* once more changes nothing */
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&recv, -ECANCELED);
    ck_assert_uint_eq(fake.sleeps, 0);
    ck_assert_int_eq(recv.result, -ECANCELED);
    ck_assert_int_eq(read(pair[0], buffer, 1), 1); /* nobody took it */
    close_with_pair(engine);
}
END_TEST

/* The first, one in the middle, the last of those who wait; the others stay in order. */
START_TEST(test_flush__cancel_in_a_queue)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recvs[5] = {0};
    const int canceled[] = {2, 0, 4};

    for (int i = 0; i < 5; i++)
        give_recv(engine, &recvs[i], pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_NOT);
    fake_must_arm(pair[0], 0, READ);
    for (int i = 0; i < 3; i++)
        cancel(engine, &recvs[canceled[i]]);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 3);
    for (int i = 0; i < 3; i++)
        must_end(&recvs[canceled[i]], -ECANCELED);
    feed("xy", 2);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 2);
    must_end(&recvs[1], 1);
    must_end(&recvs[3], 1);
    ck_assert_uint_lt(recvs[1].request.slot, recvs[3].request.slot);
    close_with_pair(engine);
}
END_TEST

START_TEST(test_flush__cancel_of_a_write_ends_its_watch)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion send_one = {0};

    fill(pair[0]);
    give_send(engine, &send_one, pair[0], "x", 1);
    (void)flush(engine, ORR_WAIT_NOT);
    fake_must_arm(pair[0], 0, WRITE);
    cancel(engine, &send_one);
    ck_assert(orr__readiness_unflushed(engine));
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    fake_must_arm(pair[0], WRITE, 0);
    ck_assert(!orr__readiness_unflushed(engine));
    close_with_pair(engine);
}
END_TEST

/* What a canceled receive leaves in its structs is what a failed one leaves. */
START_TEST(test_flush__a_canceled_datagram_has_no_peer)
{
    struct orr__readiness *engine = fake_open(4, false);
    struct orr_datagram datagram = {.buffer = buffer, .length = sizeof buffer, .truncated = true};
    struct orr_completion recv = {0};
    const int32_t descriptor = orr__readiness_socket(engine, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);

    ck_assert_int_ge(descriptor, 0);
    datagram.peer.length = 16;
    give(engine, &recv, ORR_OP_RECV_FROM, descriptor, (union orr_arguments){.datagram = &datagram});
    cancel(engine, &recv);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    must_end(&recv, -ECANCELED);
    ck_assert_uint_eq(datagram.peer.length, 0);
    ck_assert(!datagram.truncated);
    close_through(engine, descriptor);
    fake_close(engine);
}
END_TEST

/* ---- sleeping and skipping ------------------------------------------------------------------- */

START_TEST(test_flush__sleeps_only_with_nothing_to_say)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recv = {0};

    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    ck_assert_uint_eq(fake.sleeps, 1);
    give_recv(engine, &recv, pair[0], buffer, 1);
    cancel(engine, &recv);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    ck_assert_uint_eq(fake.sleeps, 1);
    close_with_pair(engine);
}
END_TEST

/* Batches that always complete something must not keep the poller's reports away. */
START_TEST(test_flush__the_poller_is_never_left_alone_twice)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recv = {0};
    struct orr_completion send_one = {0};
    char got;

    give_recv(engine, &recv, pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_NOT);
    uint32_t waits = fake.waits;
    for (int round = 0; round < 10; round++) {
        give_send(engine, &send_one, pair[0], "x", 1);
        ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
        ck_assert_uint_eq(fake.waits - waits, (uint32_t)round % 2);
        waits = fake.waits;
        ck_assert_int_eq(read(pair[1], &got, 1), 1);
    }
    cancel(engine, &recv);
    (void)flush(engine, ORR_WAIT_NOT);
    close_with_pair(engine);
}
END_TEST

/* Nor when nobody waits: whoever sleeps on the poller's descriptor finds it readable as long as a
 * wake lies there, or a report that nobody wants. */
START_TEST(test_flush__with_nobody_waiting_every_second_flush_looks)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recv = {0};

    give_recv(engine, &recv, pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_NOT);
    feed("a", 1);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    fake_must_arm(pair[0], 0, READ);
    fake_report(pair[0], READ);
    for (int round = 0; round < 2; round++)
        ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 0);
    fake_must_arm(pair[0], READ, 0);
    close_with_pair(engine);
}
END_TEST

START_TEST(test_flush__a_change_forbids_leaving_the_poller_alone)
{
    struct orr__readiness *engine = open_with_pair();
    struct orr_completion recv = {0};
    struct orr_completion send_one = {0};

    (void)flush(engine, ORR_WAIT_NOT);
    give_recv(engine, &recv, pair[0], buffer, 1);
    give_send(engine, &send_one, pair[0], "x", 1);
    const uint32_t waits = fake.waits;
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    ck_assert_uint_eq(fake.waits, waits + 1);
    fake_must_arm(pair[0], 0, READ);
    ck_assert(!orr__readiness_unflushed(engine));
    cancel(engine, &recv);
    (void)flush(engine, ORR_WAIT_NOT);
    close_with_pair(engine);
}
END_TEST

/* ---- wakes ----------------------------------------------------------------------------------- */

/* A wake that a flush came upon which was not to wait is kept for the next one that is. */
START_TEST(test_flush__a_wake_is_kept_for_a_flush_that_waits)
{
    struct orr__readiness *engine = open_with_pair();

    orr__readiness_wake(engine);
    ck_assert_uint_eq(atomic_load(&fake.wakes), 1);
    fake_report_wake();
    (void)flush(engine, ORR_WAIT_NOT);
    (void)flush(engine, ORR_WAIT_NOT);
    const uint32_t sleeps = fake.sleeps;
    (void)flush(engine, ORR_WAIT_FOREVER);
    ck_assert_uint_eq(fake.sleeps, sleeps);
    (void)flush(engine, ORR_WAIT_FOREVER);
    ck_assert_uint_eq(fake.sleeps, sleeps + 1);
    close_with_pair(engine);
}
END_TEST

/* The pool's telling is no wake: nobody asked for one. */
START_TEST(test_flush__what_the_pool_tells_is_no_wake)
{
    struct orr__readiness *engine = open_with_pair();

    fake_report_wake();
    (void)flush(engine, ORR_WAIT_NOT);
    const uint32_t sleeps = fake.sleeps;
    (void)flush(engine, ORR_WAIT_FOREVER);
    ck_assert_uint_eq(fake.sleeps, sleeps + 1);
    close_with_pair(engine);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("flush");

    tcase_add_test(tests, test_flush__one_flush_cures_a_full_batch);
    tcase_add_test(tests, test_flush__only_on_the_thread_that_opened);
    tcase_add_test(tests, test_flush__first_come_first_served);
    tcase_add_test(tests, test_flush__directions_are_apart);
    tcase_add_test(tests, test_flush__a_drained_socket_waits_for_a_report);
    tcase_add_test(tests, test_flush__polls_look_for_themselves);
    tcase_add_test(tests, test_flush__cancel_in_the_batch);
    tcase_add_test(tests, test_flush__cancel_in_a_queue);
    tcase_add_test(tests, test_flush__cancel_of_a_write_ends_its_watch);
    tcase_add_test(tests, test_flush__a_canceled_datagram_has_no_peer);
    tcase_add_test(tests, test_flush__sleeps_only_with_nothing_to_say);
    tcase_add_test(tests, test_flush__the_poller_is_never_left_alone_twice);
    tcase_add_test(tests, test_flush__with_nobody_waiting_every_second_flush_looks);
    tcase_add_test(tests, test_flush__a_change_forbids_leaving_the_poller_alone);
    tcase_add_test(tests, test_flush__a_wake_is_kept_for_a_flush_that_waits);
    tcase_add_test(tests, test_flush__what_the_pool_tells_is_no_wake);
    return suite_run("flush", tests);
}

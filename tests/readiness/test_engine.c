/*
 * test_engine.c: the readiness engine over a poller that says what the test wants: what is watched
 * when, what reports are good for, order, cancel, and when a flush may sleep or leave the poller
 * alone.
 */
#define _GNU_SOURCE 1

#include "fake.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ ORR__WATCH_READ
#define WRITE ORR__WATCH_WRITE
#define HANGUP ORR__WATCH_HANGUP

static int32_t pair[2];
static char buffer[16];

static struct orr__readiness *open_with_pair(bool one_shot)
{
    struct orr__readiness *engine = fake_open(8, one_shot);

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

/* ---- what is watched ------------------------------------------------------------------------- */

START_TEST(test_engine__what_is_ready_needs_no_poller)
{
    struct orr__readiness *engine = open_with_pair(_i);
    struct orr_completion recv = {0};

    feed("abc", 3);
    give_recv(engine, &recv, pair[0], buffer, sizeof buffer);
    ck_assert(orr__readiness_unflushed(engine));
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&recv, 3);
    fake_must_not_arm();
    ck_assert_uint_eq(fake.sleeps, 0);
    ck_assert(!orr__readiness_unflushed(engine));
    close_with_pair(engine);
}
END_TEST

START_TEST(test_engine__a_report_in_vain_ends_the_watching_of_reads)
{
    struct orr__readiness *engine = open_with_pair(false);
    struct orr_completion recv = {0};

    give_recv(engine, &recv, pair[0], buffer, sizeof buffer);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], 0, READ);
    feed("a", 1);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&recv, 1);
    fake_must_not_arm(); /* read on: the next receive needs no change */
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_not_arm(); /* it may be under way, behind the callback of the answer */
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], READ, 0);
    close_with_pair(engine);
}
END_TEST

/* Two groups of a server's connections, one read while the other is answered. */
START_TEST(test_engine__what_came_before_its_receive_changes_nothing)
{
    struct orr__readiness *engine = open_with_pair(false);
    struct orr_completion recv = {0};

    give_recv(engine, &recv, pair[0], buffer, sizeof buffer);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_arm(pair[0], 0, READ);
    feed("a", 1);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&recv, 1);
    for (int i = 0; i < 3; i++) {
        feed("a", 1);
        fake_report(pair[0], READ);
        ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
        give_recv(engine, &recv, pair[0], buffer, sizeof buffer);
        ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
        must_end(&recv, 1);
        fake_must_not_arm();
    }
    close_with_pair(engine);
}
END_TEST

/* A hang-up is told as both directions, whatever is watched. */
START_TEST(test_engine__hang_ups_that_nobody_waits_for_end_the_watching)
{
    struct orr__readiness *engine = open_with_pair(false);
    struct orr_completion poll = {0};

    give_poll(engine, &poll, pair[0], ORR_POLL_IN);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_arm(pair[0], 0, READ);
    cancel(engine, &poll);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&poll, -ECANCELED);
    fake_report(pair[0], READ | WRITE);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], READ, 0);
    close_with_pair(engine);
}
END_TEST

/* A report that helps none of those who wait would come again and again: then edges are watched,
 * until an attempt gets on. */
START_TEST(test_engine__useless_reports_are_asked_for_once)
{
    struct orr__readiness *engine = open_with_pair(false);
    struct orr_completion recvs[2] = {0};

    give_recv(engine, &recvs[0], pair[0], buffer, 1);
    give_recv(engine, &recvs[1], pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_arm(pair[0], 0, READ);
    for (int i = 0; i < 3; i++) {
        fake_report(pair[0], READ | WRITE);
        ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
        if (i == 0)
            fake_must_arm(pair[0], READ, READ | ORR__WATCH_EDGE);
        fake_must_not_arm();
    }
    feed("a", 1);
    fake_report(pair[0], READ | WRITE);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    fake_must_arm(pair[0], READ | ORR__WATCH_EDGE, READ);
    fake_report(pair[0], READ | WRITE);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], READ, READ | ORR__WATCH_EDGE);
    cancel(engine, &recvs[1]);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_not_arm();
    fake_report(pair[0], READ | WRITE);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], READ | ORR__WATCH_EDGE, 0);
    close_with_pair(engine);
}
END_TEST

START_TEST(test_engine__writes_are_watched_only_while_somebody_waits)
{
    struct orr__readiness *engine = open_with_pair(false);
    struct orr_completion send_one = {0};
    static char bytes[65536];

    fill(pair[0]);
    give_send(engine, &send_one, pair[0], "x", 1);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], 0, WRITE);
    while (recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
    fake_report(pair[0], WRITE);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&send_one, 1);
    fake_must_arm(pair[0], WRITE, 0);
    close_with_pair(engine);
}
END_TEST

START_TEST(test_engine__one_shots_are_armed_again_while_somebody_waits)
{
    struct orr__readiness *engine = open_with_pair(true);
    struct orr_completion recvs[2] = {0};

    give_recv(engine, &recvs[0], pair[0], buffer, 1);
    give_recv(engine, &recvs[1], pair[0], buffer + 1, 1);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_arm(pair[0], 0, READ);
    fake_report(pair[0], READ); /* too early */
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], 0, READ);
    feed("a", 1);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&recvs[0], 1);
    fake_must_arm(pair[0], 0, READ);
    feed("b", 1);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&recvs[1], 1);
    fake_must_not_arm();
    close_with_pair(engine);
}
END_TEST

/* What a one-shot poller was asked for once stays: taking it back would cost a call. */
START_TEST(test_engine__one_shots_stay_armed_after_a_cancel)
{
    struct orr__readiness *engine = open_with_pair(true);
    struct orr_completion recv = {0};

    give_recv(engine, &recv, pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_arm(pair[0], 0, READ);
    cancel(engine, &recv);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    fake_must_not_arm();
    give_recv(engine, &recv, pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_not_arm();
    fake_report(pair[0], READ);
    cancel(engine, &recv);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_not_arm(); /* it has fired, and nobody waits */
    close_with_pair(engine);
}
END_TEST

/* Reading tells of hang-ups, too. A one-shot read that an earlier receive left must not stand in
 * for the watch of hang-ups, which has to outlive reports of data. */
START_TEST(test_engine__hang_ups_are_watched_when_reads_are_not)
{
    struct orr__readiness *engine = open_with_pair(_i);
    struct orr_completion recv = {0};
    struct orr_completion poll = {0};

    give_recv(engine, &recv, pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_arm(pair[0], 0, READ);
    cancel(engine, &recv);
    (void)flush(engine, ORR_WAIT_FOREVER);
    give_poll(engine, &poll, pair[0], ORR_POLL_HANGUP);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_not_arm();
    feed("a", 1);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], _i ? 0 : READ, HANGUP);
    ck_assert_int_eq(shutdown(pair[0], SHUT_RDWR), 0);
    fake_report(pair[0], READ | WRITE);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    ck_assert(!is_held(&poll) && (poll.result & ORR_POLL_HANGUP) != 0);
    fake_must_arm(pair[0], HANGUP, 0);
    close_with_pair(engine);
}
END_TEST

/* ---- changes --------------------------------------------------------------------------------- */

START_TEST(test_engine__a_full_poller_is_asked_again_before_any_sleep)
{
    struct orr__readiness *engine = open_with_pair(_i);
    struct orr_completion recv = {0};

    fake.full = 1;
    give_recv(engine, &recv, pair[0], buffer, 1);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_arm(pair[0], 0, READ);
    ck_assert_uint_eq(fake.waits, 1);
    ck_assert_uint_eq(fake.sleeps, 0);
    ck_assert(!orr__readiness_unflushed(engine));
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    ck_assert_uint_eq(fake.sleeps, 1);
    cancel(engine, &recv);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    close_with_pair(engine);
}
END_TEST

/* What a poller keeps until its next wait counts as unflushed, and no flush leaves it there. */
START_TEST(test_engine__pending_changes_are_unflushed)
{
    struct orr__readiness *engine = open_with_pair(_i);
    struct orr_completion recvs[2] = {0};

    fake.collects = true;
    give_recv(engine, &recvs[0], pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_NOT);
    ck_assert_uint_eq(fake.waits, 1);
    ck_assert(!orr__readiness_unflushed(engine));
    fake_report(pair[0], READ); /* too early: something is armed again behind the wait */
    (void)flush(engine, ORR_WAIT_NOT);
    ck_assert(orr__readiness_unflushed(engine));
    const uint32_t waits = fake.waits;
    cancel(engine, &recvs[0]);
    ck_assert(orr__readiness_unflushed(engine));
    (void)flush(engine, ORR_WAIT_NOT);
    ck_assert(!orr__readiness_unflushed(engine));
    ck_assert_uint_eq(fake.waits - waits, 1);
    close_with_pair(engine);
}
END_TEST

START_TEST(test_engine__a_change_that_is_refused_ends_who_waits)
{
    struct orr__readiness *engine = open_with_pair(_i);
    struct orr_completion recv = {0};
    struct orr_completion poll = {0};

    fake.arm_error = -EINVAL;
    give_recv(engine, &recv, pair[0], buffer, 1);
    give_poll(engine, &poll, pair[0], ORR_POLL_IN);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 2);
    must_end(&recv, -EINVAL);
    must_end(&poll, -EINVAL);
    fake_must_arm(pair[0], 0, READ);
    ck_assert_uint_eq(fake.sleeps, 0);
    ck_assert(!orr__readiness_unflushed(engine));
    close_with_pair(engine);
}
END_TEST

/* One direction fails: who waits in the other one goes on. */
START_TEST(test_engine__a_failed_report_ends_only_its_direction)
{
    struct orr__readiness *engine = open_with_pair(true);
    struct orr_completion recv = {0};
    struct orr_completion send_one = {0};
    struct orr_completion polls[3] = {0};

    fill(pair[0]);
    give_recv(engine, &recv, pair[0], buffer, 1);
    give_send(engine, &send_one, pair[0], "x", 1);
    give_poll(engine, &polls[0], pair[0], ORR_POLL_IN);
    give_poll(engine, &polls[1], pair[0], ORR_POLL_OUT);
    give_poll(engine, &polls[2], pair[0], ORR_POLL_HANGUP);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_arm(pair[0], 0, READ | WRITE);
    fake_report_failed(pair[0], WRITE, ENODEV);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 2);
    must_end(&send_one, -ENODEV);
    must_end(&polls[1], -ENODEV);
    fake_must_not_arm();
    fake_report_failed(pair[0], READ, EIO);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 3);
    must_end(&recv, -EIO);
    must_end(&polls[0], -EIO);
    must_end(&polls[2], -EIO);
    fake_must_not_arm();
    close_with_pair(engine);
}
END_TEST

/* An error that a report took out of the socket goes to the first who would be told that there is
 * nothing: whether it waited for the report, or comes later; and to nobody else. */
START_TEST(test_engine__a_reported_error_is_told_once)
{
    struct orr__readiness *engine = open_with_pair(_i % 2);
    const bool later = _i >= 2;
    struct orr_completion recvs[2] = {0};
    struct orr_completion send_one = {0};

    for (int i = later; i < 2; i++)
        give_recv(engine, &recvs[i], pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_FOREVER);
    if (later) {
        cancel(engine, &recvs[1]);
        (void)flush(engine, ORR_WAIT_FOREVER);
    }
    fake_report_error(pair[0], READ, ECONNRESET);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), later ? 0 : 1);
    if (later) {
        give_send(engine, &send_one, pair[0], "x", 1);
        give_recv(engine, &recvs[0], pair[0], buffer, 1);
        give_recv(engine, &recvs[1], pair[0], buffer, 1);
        ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 2);
        must_end(&send_one, 1); /* it got on */
    }
    must_end(&recvs[0], -ECONNRESET);
    ck_assert(is_held(&recvs[1]));
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    cancel(engine, &recvs[1]);
    (void)flush(engine, ORR_WAIT_FOREVER);
    close_with_pair(engine);
}
END_TEST

START_TEST(test_engine__reports_of_unknown_descriptors_mean_nothing)
{
    struct orr__readiness *engine = open_with_pair(_i);

    fake_report(pair[1], READ | WRITE);
    fake_report(1000000, READ);
    fake_report_failed(pair[1], READ, EBADF);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 0);
    fake_must_not_arm();
    close_with_pair(engine);
}
END_TEST

START_TEST(test_engine__a_broken_poller_is_told)
{
    struct orr__readiness *engine = open_with_pair(_i);
    struct orr_queue completed = {0};

    fake.wait_error = -EBADF;
    ck_assert_int_eq(orr__readiness_flush(engine, ORR_WAIT_FOREVER, &completed), -EBADF);
    fake.wait_error = 0;
    close_with_pair(engine);
}
END_TEST

START_TEST(test_engine__a_descriptor_is_forgotten_before_it_is_closed)
{
    struct orr__readiness *engine = open_with_pair(_i);
    struct orr_completion recv = {0};

    give_recv(engine, &recv, pair[0], buffer, 1);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_arm(pair[0], 0, READ);
    cancel(engine, &recv);
    (void)flush(engine, ORR_WAIT_FOREVER);
    fake_must_not_arm();
    close_through(engine, pair[0]);
    ck_assert_uint_eq(fake.call_count, 1);
    ck_assert(fake.calls[0].forgets && fake.calls[0].descriptor == pair[0]);
    ck_assert_uint_eq(fake.calls[0].armed, READ);
    close(pair[1]);
    fake_close(engine);
}
END_TEST

/* Nothing is watched any more, yet the poller still holds the change that said so. */
START_TEST(test_engine__no_change_outlives_a_close)
{
    struct orr__readiness *engine = open_with_pair(true);
    struct orr_completion poll = {0};

    fake.collects = true;
    give_poll(engine, &poll, pair[0], ORR_POLL_HANGUP);
    (void)flush(engine, ORR_WAIT_NOT);
    fake_must_arm(pair[0], 0, HANGUP);
    ck_assert_int_eq(shutdown(pair[0], SHUT_RDWR), 0);
    fake_report(pair[0], READ);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
    fake_must_arm(pair[0], HANGUP, 0);
    ck_assert(orr__readiness_unflushed(engine));
    close_through(engine, pair[0]);
    ck_assert_uint_eq(fake.call_count, 1);
    ck_assert(fake.calls[0].forgets);
    close(pair[1]);
    ck_assert(!orr__readiness_unflushed(engine));
    fake_close(engine);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("engine");

    tcase_add_loop_test(tests, test_engine__what_is_ready_needs_no_poller, 0, 2);
    tcase_add_test(tests, test_engine__a_report_in_vain_ends_the_watching_of_reads);
    tcase_add_test(tests, test_engine__what_came_before_its_receive_changes_nothing);
    tcase_add_test(tests, test_engine__hang_ups_that_nobody_waits_for_end_the_watching);
    tcase_add_test(tests, test_engine__useless_reports_are_asked_for_once);
    tcase_add_test(tests, test_engine__writes_are_watched_only_while_somebody_waits);
    tcase_add_test(tests, test_engine__one_shots_are_armed_again_while_somebody_waits);
    tcase_add_test(tests, test_engine__one_shots_stay_armed_after_a_cancel);
    tcase_add_loop_test(tests, test_engine__hang_ups_are_watched_when_reads_are_not, 0, 2);
    tcase_add_loop_test(tests, test_engine__a_full_poller_is_asked_again_before_any_sleep, 0, 2);
    tcase_add_loop_test(tests, test_engine__pending_changes_are_unflushed, 0, 2);
    tcase_add_loop_test(tests, test_engine__a_change_that_is_refused_ends_who_waits, 0, 2);
    tcase_add_test(tests, test_engine__a_failed_report_ends_only_its_direction);
    tcase_add_loop_test(tests, test_engine__a_reported_error_is_told_once, 0, 4);
    tcase_add_loop_test(tests, test_engine__reports_of_unknown_descriptors_mean_nothing, 0, 2);
    tcase_add_loop_test(tests, test_engine__a_broken_poller_is_told, 0, 2);
    tcase_add_loop_test(tests, test_engine__a_descriptor_is_forgotten_before_it_is_closed, 0, 2);
    tcase_add_test(tests, test_engine__no_change_outlives_a_close);
    return suite_run("engine", tests);
}

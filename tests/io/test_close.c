/*
 * test_close.c: close of a handle (io/cancel.c, io/dispatch.c): what is in flight on it ends first,
 * nothing is let in after, and no operation meets a reused descriptor. The stub itself ends the
 * program if a close arrives while an operation holds the descriptor.
 */
#include "tests/io/every.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <string.h>

#define MANY 1000u

static struct stub stub;
static struct orr_loop *loop;
static orr_handle handle;
static struct probe probes[64];
static struct probe closer;
static char bytes[16];

static orr_handle make(void)
{
    return orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

static void setup(void)
{
    memset(&stub, 0, sizeof stub);
    memset(probes, 0, sizeof probes);
    memset(&closer, 0, sizeof closer);
    probe_count = 0;
    loop = stub_open(&stub, NULL);
    stub_set_ways(&stub, STUB_HOLDS);
    handle = make();
}

static void receive(struct probe *probe, orr_handle from)
{
    orr_recv(loop, &probe->completion, from, bytes, sizeof bytes, probe_called, probe);
}

static void close_it(orr_handle which)
{
    orr_close(loop, &closer.completion, which, probe_called, &closer);
}

static void close_now(orr_handle which)
{
    struct probe probe = {.calls = 0};
    orr_close(loop, &probe.completion, which, probe_called, &probe);
    while (probe.calls == 0)
        orr_run_once(loop);
    ck_assert_int_eq(probe.result, 0);
}

/* ---- operations in flight -------------------------------------------------------------------- */

START_TEST(every_operation_ends_first)
{
    for (uint32_t flushed = 0; flushed < 2; flushed++) {
        setup();
        for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++)
            if (op != ORR_OP_CLOSE)
                every_submit(loop, op, &probes[op], handle);
        if (flushed == 1)
            orr_run_for_ns(loop, 0);
        close_it(handle);
        orr_run_until_idle(loop);
        for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++) {
            if (op == ORR_OP_CLOSE)
                continue;
            probe_check(&probes[op], -ECANCELED);
            ck_assert_uint_lt(probes[op].order, closer.order);
        }
        probe_check(&closer, 0);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(operations_that_were_over_keep_their_results)
{
    setup();
    for (uint32_t i = 0; i < 3; i++)
        receive(&probes[i], handle);
    orr_run_for_ns(loop, 0);
    stub_end(&stub, &probes[1].completion, 9);
    stub.cancel = STUB_CANCEL_LATE;
    close_it(handle);
    orr_run_until_idle(loop);
    probe_check(&probes[0], sizeof bytes);
    probe_check(&probes[1], 9);
    probe_check(&probes[2], sizeof bytes);
    probe_check(&closer, 0);
    ck_assert_uint_eq(closer.order, 4);
    stub_close(&stub);
}
END_TEST

/* The close stays away from the backend until the last one has ended, however long that takes. */
START_TEST(the_close_waits)
{
    setup();
    stub.cancel = STUB_CANCEL_HOLDS;
    receive(&probes[0], handle);
    receive(&probes[1], handle);
    orr_run_for_ns(loop, 0);
    close_it(handle);
    orr_run_for_ns(loop, 1000);
    ck_assert_uint_eq(stub.submits, 2);
    stub_end(&stub, &probes[0].completion, -ECANCELED);
    orr_run_for_ns(loop, 1000);
    ck_assert_uint_eq(stub.submits, 2);
    ck_assert_uint_eq(probe_count, 1);
    stub_end(&stub, &probes[1].completion, 1);
    orr_run_for_ns(loop, 1000);
    ck_assert_uint_eq(stub.submits, 3);
    probe_check(&closer, 0);
    ck_assert_uint_eq(closer.order, 3);
    stub_close(&stub);
}
END_TEST

START_TEST(overflowed_operations_end_and_an_overflowed_close_comes)
{
    setup();
    stub.batch_max = 1;
    orr_handle second = make();
    for (uint32_t i = 0; i < 6; i++)
        receive(&probes[i], i % 2 == 0 ? handle : second);
    close_it(handle);
    orr_run_for_ns(loop, 10);
    for (uint32_t i = 0; i < 6; i += 2)
        probe_check(&probes[i], -ECANCELED);
    for (uint32_t i = 1; i < 6; i += 2)
        ck_assert_uint_eq(probes[i].calls, 0);
    probe_check(&closer, 0);
    ck_assert_uint_eq(stub.held.count, 3);
    orr_drain(loop);
    stub_close(&stub);
}
END_TEST

START_TEST(other_handles_and_timers_are_left_alone)
{
    setup();
    orr_handle others[3] = {make(), make(), make()};
    for (uint32_t i = 0; i < 3; i++)
        receive(&probes[i], others[i]);
    orr_timeout(loop, &probes[3].completion, 50, probe_called, &probes[3]);
    receive(&probes[4], handle);
    orr_run_for_ns(loop, 0);
    close_it(handle);
    orr_run_for_ns(loop, 10);
    probe_check(&probes[4], -ECANCELED);
    probe_check(&closer, 0);
    ck_assert_uint_eq(probe_count, 2);
    orr_run_for_ns(loop, 50);
    probe_check(&probes[3], 0);
    for (uint32_t i = 0; i < 3; i++) {
        stub_end(&stub, &probes[i].completion, i);
        orr_run_once(loop);
        probe_check(&probes[i], i);
    }
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 3);
}
END_TEST

START_TEST(operations_relative_to_a_directory_end_too)
{
    setup();
    orr_open(loop, &probes[0].completion, handle, "a", ORR_OPEN_READ, 0, probe_called, &probes[0]);
    orr_open(loop, &probes[1].completion, ORR_DIRECTORY_CURRENT, "a", ORR_OPEN_READ, 0,
             probe_called, &probes[1]);
    orr_run_for_ns(loop, 0);
    close_now(handle);
    probe_check(&probes[0], -ECANCELED);
    ck_assert_uint_eq(probes[1].calls, 0);
    orr_drain(loop);
    probe_check(&probes[1], -ECANCELED);
    stub_close(&stub);
}
END_TEST

START_TEST(an_interrupted_operation_is_not_tried_again)
{
    setup();
    stub.cancel = STUB_CANCEL_HOLDS;
    receive(&probes[0], handle);
    orr_run_for_ns(loop, 0);
    close_it(handle);
    stub_end(&stub, &probes[0].completion, -EINTR);
    orr_run_until_idle(loop);
    probe_check(&probes[0], -ECANCELED);
    probe_check(&closer, 0);
    ck_assert_uint_eq(stub.submits, 2);
    stub_close(&stub);
}
END_TEST

START_TEST(a_cancel_that_waits_ends_too)
{
    for (uint32_t first = 0; first < 2; first++) { /* the cancel comes first, or the close */
        setup();
        receive(&probes[0], handle);
        orr_run_for_ns(loop, 0);
        if (first == 1)
            close_it(handle);
        orr_cancel(loop, &probes[1].completion, &probes[0].completion, probe_called, &probes[1]);
        if (first == 0)
            close_it(handle);
        orr_run_until_idle(loop);
        probe_check(&probes[0], -ECANCELED);
        probe_check(&probes[1], 0);
        probe_check(&closer, 0);
        ck_assert_uint_eq(stub.cancels, 1);
        ck_assert_uint_eq(probes[0].order, 1);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(cancels_that_find_the_batch_full_are_sent_again)
{
    setup();
    stub.batch_max = 2;
    for (uint32_t i = 0; i < 20; i++)
        receive(&probes[i], handle);
    orr_run_for_ns(loop, 1);
    stub.cancels_full = 7;
    close_it(handle);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < 20; i++)
        probe_check(&probes[i], -ECANCELED);
    ck_assert_uint_eq(closer.order, 21);
    stub_close(&stub);
}
END_TEST

/* ---- callbacks ------------------------------------------------------------------------------- */

static void close_mine(struct probe *probe)
{
    close_it(handle);
    receive(probe, handle); /* too late by one line */
    probe->then = NULL;
}

START_TEST(from_the_callback_of_an_operation_on_it)
{
    setup();
    probes[0].then = close_mine;
    receive(&probes[0], handle);
    receive(&probes[1], handle);
    orr_run_for_ns(loop, 0);
    stub_end(&stub, &probes[0].completion, 1);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(probes[0].calls, 2);
    ck_assert_int_eq(probes[0].result, -EBADF);
    probe_check(&probes[1], -ECANCELED);
    probe_check(&closer, 0);
    stub_close(&stub);
}
END_TEST

static void receive_on_it(struct probe *probe)
{
    (void)probe;
    receive(&probes[10], handle);
}

START_TEST(a_callback_during_the_close_cannot_get_in)
{
    setup();
    probes[0].then = receive_on_it;
    receive(&probes[0], handle);
    orr_run_for_ns(loop, 0);
    close_it(handle);
    orr_run_until_idle(loop);
    probe_check(&probes[0], -ECANCELED);
    probe_check(&probes[10], -EBADF);
    probe_check(&closer, 0);
    ck_assert_uint_eq(stub.submits, 2);
    stub_close(&stub);
}
END_TEST

/* ---- accept and reuse ------------------------------------------------------------------------ */

START_TEST(an_accept_that_wins_the_race_delivers_its_handle)
{
    setup();
    stub.cancel = STUB_CANCEL_LATE;
    orr_accept(loop, &probes[0].completion, handle, NULL, probe_called, &probes[0]);
    orr_run_for_ns(loop, 0);
    close_it(handle);
    orr_run_until_idle(loop);
    probe_check(&closer, 0);
    ck_assert_int_gt(probes[0].result, 0);
    ck_assert_int_eq(orr_descriptor(loop, probes[0].result), 4);
    ck_assert_int_eq(orr_descriptor(loop, handle), -EBADF);
    stub.cancel = STUB_CANCEL_ENDS;
    close_now(probes[0].result);
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 0);
}
END_TEST

/*
 * The backend has closed descriptor 3 and given the number to a new connection; both ends arrive in
 * one flush, in either order. The old handle means the old descriptor and nothing else.
 */
START_TEST(the_descriptor_is_reused_in_the_flush_that_closes_it)
{
    for (uint32_t newest_first = 0; newest_first < 2; newest_first++) {
        setup();
        orr_handle listener = make();
        orr_accept(loop, &probes[0].completion, listener, NULL, probe_called, &probes[0]);
        orr_run_for_ns(loop, 0);
        stub.newest_first = newest_first == 1;
        stub.deliver_max = 1;
        close_it(handle); /* goes to the backend at once */
        stub.ways[ORR_OP_CLOSE] = STUB_HOLDS;
        orr_run_for_ns(loop, 0);
        stub_end(&stub, &closer.completion, 0);
        stub_end(&stub, &probes[0].completion, stub_descriptor(&stub));
        stub.ways[ORR_OP_CLOSE] = STUB_ENDS;
        orr_run_for_ns(loop, 0); /* one of the two has come */
        ck_assert_int_eq(orr_descriptor(loop, handle), -EBADF);
        receive(&probes[1], handle);
        orr_run_for_ns(loop, 0);
        orr_run_for_ns(loop, 0);
        probe_check(&probes[1], -EBADF);
        probe_check(&closer, 0);
        ck_assert_uint_eq(probes[0].calls, 1);
        ck_assert_int_eq(orr_descriptor(loop, probes[0].result), 3);
        ck_assert_int_ne(probes[0].result, handle);
        receive(&probes[2], probes[0].result);
        orr_run_for_ns(loop, 0);
        ck_assert_int_eq(orr_descriptor(loop, handle), -EBADF);
        stub_end(&stub, &probes[2].completion, 8);
        stub.deliver_max = 9;
        orr_run_for_ns(loop, 0);
        probe_check(&probes[2], 8);
        stub_close(&stub);
        ck_assert_uint_eq(stub.discards, 2);
    }
}
END_TEST

/* The backend takes nothing any more, not even the close: the descriptor must go all the same. */
START_TEST(a_close_that_the_backend_never_takes)
{
    setup();
    stub.refuses = true;
    close_it(handle);
    orr_run_until_idle(loop);
    probe_check(&closer, 0);
    ck_assert_uint_eq(stub.discards, 1);
    stub_close(&stub);
}
END_TEST

START_TEST(many_handles_with_operations_over_a_small_batch)
{
    static struct probe receives[MANY][3];
    static struct probe closes[MANY];
    static orr_handle handles[MANY];
    setup();
    memset(receives, 0, sizeof receives);
    memset(closes, 0, sizeof closes);
    stub.batch_max = 4;
    for (uint32_t i = 0; i < MANY; i++) {
        handles[i] = make();
        for (uint32_t j = 0; j < 3; j++)
            receive(&receives[i][j], handles[i]);
    }
    orr_run_for_ns(loop, 1);
    for (uint32_t i = 0; i < MANY; i++)
        orr_close(loop, &closes[i].completion, handles[i], probe_called, &closes[i]);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < MANY; i++) {
        must(closes[i].calls == 1 && closes[i].result == 0);
        for (uint32_t j = 0; j < 3; j++) {
            must(receives[i][j].calls == 1 && receives[i][j].result == -ECANCELED);
            must(receives[i][j].order < closes[i].order);
        }
    }
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 1);
}
END_TEST

PROBE_MAIN("close", every_operation_ends_first, operations_that_were_over_keep_their_results,
           the_close_waits, overflowed_operations_end_and_an_overflowed_close_comes,
           other_handles_and_timers_are_left_alone, operations_relative_to_a_directory_end_too,
           an_interrupted_operation_is_not_tried_again, a_cancel_that_waits_ends_too,
           cancels_that_find_the_batch_full_are_sent_again, from_the_callback_of_an_operation_on_it,
           a_callback_during_the_close_cannot_get_in,
           an_accept_that_wins_the_race_delivers_its_handle,
           the_descriptor_is_reused_in_the_flush_that_closes_it,
           a_close_that_the_backend_never_takes, many_handles_with_operations_over_a_small_batch)

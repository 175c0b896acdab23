/*
 * test_cancel.c: cancel (io/cancel.c) of an operation in every state that it can be in. Whatever
 * the race, the target ends once and first, and the cancel after it says which way it went.
 */
#include "tests/io/dies.h"
#include "tests/io/every.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <string.h>

#define MANY 10000u

static struct stub stub;
static struct orr_loop *loop;
static orr_handle handle;
static struct probe target;
static struct probe cancel;
static struct probe other;
static struct probe targets[MANY];
static struct probe cancels[MANY];
static char bytes[16];

static void setup(void)
{
    memset(&stub, 0, sizeof stub);
    memset(&target, 0, sizeof target);
    memset(&cancel, 0, sizeof cancel);
    memset(&other, 0, sizeof other);
    memset(targets, 0, sizeof targets);
    memset(cancels, 0, sizeof cancels);
    probe_count = 0;
    loop = stub_open(&stub, NULL);
    stub_set_ways(&stub, STUB_HOLDS);
    handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

static void receive(struct probe *probe)
{
    orr_recv(loop, &probe->completion, handle, bytes, sizeof bytes, probe_called, probe);
}

static void cancel_it(struct probe *with, struct probe *of)
{
    orr_cancel(loop, &with->completion, &of->completion, probe_called, with);
}

/* Both ended, in this order, and nothing of them is left in the loop. */
static void finish(int64_t target_result, int64_t cancel_result)
{
    probe_check(&target, target_result);
    probe_check(&cancel, cancel_result);
    ck_assert_uint_lt(target.order, cancel.order);
    ck_assert_uint_eq(loop->cancels_unsent, 0);
    orr_drain(loop);
    ck_assert_uint_eq(target.calls + cancel.calls, 2);
    stub_close(&stub);
}

/* ---- the target's states --------------------------------------------------------------------- */

START_TEST(of_what_is_not_in_flight)
{
    setup();
    cancel_it(&cancel, &target); /* never used */
    ck_assert_uint_eq(cancel.calls, 0);
    orr_run_until_idle(loop);
    probe_check(&cancel, -ENOENT);
    stub_set_ways(&stub, STUB_ENDS);
    receive(&target);
    orr_run_until_idle(loop);
    probe_reset(&cancel);
    cancel_it(&cancel, &target); /* over */
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.cancels, 0);
    finish(sizeof bytes, -ENOENT);
}
END_TEST

START_TEST(of_an_overflowed_operation)
{
    for (uint32_t place = 0; place < 3; place++) { /* first, in the middle, last of the queue */
        setup();
        stub.batch_max = 1;
        for (uint32_t i = 0; i < 4; i++)
            receive(i == place + 1 ? &target : &targets[i]);
        ck_assert_uint_eq(loop->overflow.count, 3);
        cancel_it(&cancel, &target);
        ck_assert_uint_eq(loop->overflow.count, 2);
        orr_run_once(loop);
        orr_run_for_ns(loop, 1);
        ck_assert_uint_eq(stub.cancels, 0);
        ck_assert_uint_eq(stub.held.count, 3);
        finish(-ECANCELED, 0);
    }
}
END_TEST

START_TEST(of_what_is_in_the_batch)
{
    setup();
    receive(&target);
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.cancels, 1);
    finish(-ECANCELED, 0);
}
END_TEST

START_TEST(of_what_the_backend_holds)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    cancel_it(&cancel, &target);
    ck_assert_uint_eq(stub.cancels, 1);
    orr_run_until_idle(loop);
    finish(-ECANCELED, 0);
}
END_TEST

START_TEST(of_every_operation_that_a_backend_has)
{
    for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++) {
        if (op == ORR_OP_CLOSE)
            continue;
        setup();
        every_submit(loop, op, &target, handle);
        orr_run_for_ns(loop, 0);
        cancel_it(&cancel, &target);
        orr_run_until_idle(loop);
        finish(-ECANCELED, 0);
    }
}
END_TEST

static void stop(struct probe *probe)
{
    (void)probe;
    orr_stop(loop);
}

/* It is over, but its callback has not run: it keeps what it had. */
START_TEST(of_what_is_completed)
{
    setup();
    other.then = stop;
    orr_next_tick(loop, &other.completion, probe_called, &other);
    receive(&target);
    orr_run_for_ns(loop, 0); /* takes the other one and stops */
    stub_end(&stub, &target.completion, 7);
    other.then = stop;
    orr_next_tick(loop, &other.completion, probe_called, &other);
    orr_run_once(loop);
    ck_assert_uint_eq(target.completion.request.state, ORR__COMPLETED);
    cancel_it(&cancel, &target);
    other.then = NULL;
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.cancels, 0);
    finish(7, -EALREADY);
}
END_TEST

START_TEST(of_a_timer)
{
    setup();
    orr_timeout(loop, &target.completion, 100, probe_called, &target);
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.now_ns, 0);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), UINT64_MAX);
    finish(-ECANCELED, 0);
}
END_TEST

static void cancel_the_target(struct probe *probe)
{
    (void)probe;
    cancel_it(&cancel, &target);
}

START_TEST(of_a_timer_that_is_due_in_the_same_pass)
{
    setup();
    other.then = cancel_the_target;
    orr_timeout(loop, &other.completion, 100, probe_called, &other);
    orr_timeout(loop, &target.completion, 100, probe_called, &target);
    orr_run_until_idle(loop);
    finish(0, -EALREADY);
}
END_TEST

START_TEST(of_a_wait_for_a_wake)
{
    setup();
    orr_wait_wake(loop, &target.completion, probe_called, &target);
    cancel_it(&cancel, &target);
    orr_wake(loop);
    orr_wait_wake(loop, &other.completion, probe_called, &other);
    orr_run_until_idle(loop);
    probe_check(&other, 0);
    finish(-ECANCELED, 0);
}
END_TEST

START_TEST(of_a_next_tick)
{
    setup();
    orr_next_tick(loop, &target.completion, probe_called, &target);
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    finish(0, -EALREADY);
}
END_TEST

START_TEST(of_what_failed_at_once)
{
    setup();
    orr_recv(loop, &target.completion, 99, bytes, 1, probe_called, &target);
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    finish(-EBADF, -EALREADY);
}
END_TEST

START_TEST(of_what_was_done_at_once)
{
    setup();
    stub_set_ways(&stub, STUB_AT_ONCE);
    receive(&target);
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.cancels, 0);
    finish(sizeof bytes, -EALREADY);
}
END_TEST

/* ---- cancels and closes cannot be canceled --------------------------------------------------- */

START_TEST(of_a_cancel)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    stub.cancel = STUB_CANCEL_HOLDS;
    cancel_it(&cancel, &target);
    cancel_it(&other, &cancel);
    orr_run_for_ns(loop, 0);
    probe_check(&other, -EALREADY);
    stub_end(&stub, &target.completion, -ECANCELED);
    orr_run_until_idle(loop);
    finish(-ECANCELED, 0);
}
END_TEST

START_TEST(a_second_cancel)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    cancel_it(&cancel, &target);
    cancel_it(&other, &target);
    orr_run_until_idle(loop);
    probe_check(&other, -EALREADY);
    ck_assert_uint_eq(stub.cancels, 1);
    finish(-ECANCELED, 0);
}
END_TEST

START_TEST(of_a_close)
{
    for (uint32_t waiting = 0; waiting < 2; waiting++) {
        setup();
        stub.cancel = STUB_CANCEL_HOLDS;
        stub.ways[ORR_OP_CLOSE] = STUB_HOLDS;
        if (waiting == 1)
            receive(&target);
        orr_run_for_ns(loop, 0);
        orr_close(loop, &other.completion, handle, probe_called, &other);
        cancel_it(&cancel, &other);
        orr_run_for_ns(loop, 0);
        probe_check(&cancel, -EALREADY);
        ck_assert_uint_eq(other.calls, 0);
        if (waiting == 1)
            stub_end(&stub, &target.completion, 3);
        stub.ways[ORR_OP_CLOSE] = STUB_ENDS;
        orr_run_until_idle(loop);
        probe_check(&other, 0);
        ck_assert_uint_eq(target.calls, waiting);
        stub_close(&stub);
    }
}
END_TEST

/* ---- races ----------------------------------------------------------------------------------- */

START_TEST(too_late)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    stub.cancel = STUB_CANCEL_LATE;
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    finish(sizeof bytes, -EALREADY);
}
END_TEST

START_TEST(too_late_with_an_error)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    stub.cancel = STUB_CANCEL_LATE;
    stub_script(&stub, ORR_OP_RECV, -ECONNRESET);
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    finish(-ECONNRESET, -EALREADY);
}
END_TEST

/* The operation ended after the last flush; the backend has it on its list by then. */
START_TEST(of_what_the_backend_has_ready)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    stub_end(&stub, &target.completion, 5);
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    finish(5, -EALREADY);
}
END_TEST

START_TEST(the_backend_has_nothing_to_do)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    stub.cancel = STUB_CANCEL_DONE;
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.cancels, 1);
    finish(sizeof bytes, -EALREADY);
}
END_TEST

START_TEST(an_interrupted_target_is_not_tried_again)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    stub.cancel = STUB_CANCEL_LATE;
    stub_script(&stub, ORR_OP_RECV, -EINTR);
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.submits, 1);
    finish(-ECANCELED, 0);
}
END_TEST

START_TEST(full_then_sent_again)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    stub.cancels_full = 3;
    uint64_t flushes = stub.flushes;
    cancel_it(&cancel, &target);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 0);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.cancels, 4);
    ck_assert_uint_ge(stub.flushes, flushes + 3); /* a flush before each that is sent again */
    ck_assert_uint_eq(stub.sleeps, 0);
    finish(-ECANCELED, 0);
}
END_TEST

START_TEST(full_and_meanwhile_the_target_ends)
{
    for (uint32_t how = 0; how < 2; how++) {
        setup();
        receive(&target);
        orr_run_for_ns(loop, 0);
        stub.cancels_full = 1;
        cancel_it(&cancel, &target);
        stub.cancels_full = how; /* 1: the one that is sent again is refused, too */
        stub_end(&stub, &target.completion, 4);
        orr_run_until_idle(loop);
        ck_assert_uint_eq(loop->cancels_unsent, 0);
        ck_assert_uint_eq(orr_loop_timeout_ns(loop), UINT64_MAX);
        finish(4, -EALREADY);
    }
}
END_TEST

/* A cancel that found no room goes before the overflow queue: cancels make room. */
START_TEST(full_goes_before_overflow)
{
    setup();
    stub.batch_max = 1;
    receive(&target);
    orr_run_for_ns(loop, 0);
    receive(&targets[0]); /* fills the batch */
    receive(&targets[1]);
    receive(&targets[2]);
    cancel_it(&cancel, &target);
    ck_assert_uint_eq(loop->cancels_unsent, 1);
    orr_run_once(loop);
    probe_check(&target, -ECANCELED);
    ck_assert_uint_le(stub.held.count, 2);
    orr_run_once(loop);
    finish(-ECANCELED, 0);
}
END_TEST

/* ---- the target submitted again -------------------------------------------------------------- */

static void receive_again(struct probe *probe)
{
    probe->then = NULL;
    receive(probe);
}

/* The cancel that has yet to be called back belongs to the old operation. */
START_TEST(the_targets_callback_submits_it_again)
{
    setup();
    receive(&target);
    orr_run_for_ns(loop, 0);
    target.then = receive_again;
    cancel_it(&cancel, &target);
    orr_run_for_ns(loop, 0);
    probe_check(&target, -ECANCELED);
    orr_run_for_ns(loop, 0);
    probe_check(&cancel, 0);
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(target.calls, 1);
    stub_end(&stub, &target.completion, 2);
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(target.calls, 2);
    ck_assert_int_eq(target.result, 2);
    stub_close(&stub);
}
END_TEST

static void cancel_again(struct probe *probe)
{
    if (probe->calls < 3) {
        receive(&target);
        cancel_it(probe, &target);
    }
}

START_TEST(a_cancel_is_used_again_in_its_own_callback)
{
    setup();
    receive(&target);
    cancel.then = cancel_again;
    cancel_it(&cancel, &target);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(cancel.calls, 3);
    ck_assert_uint_eq(target.calls, 3);
    ck_assert_int_eq(cancel.result, 0);
    stub_close(&stub);
}
END_TEST

static void submit_canceler_again(void *context)
{
    (void)context;
    setup();
    receive(&target);
    cancel_it(&cancel, &target);
    receive(&cancel);
}

START_TEST(a_cancel_in_flight_is_in_flight)
{
    DIES(submit_canceler_again, NULL, "recv at ", "in flight already: cancel submitted at");
}
END_TEST

/* ---- many ------------------------------------------------------------------------------------ */

START_TEST(ten_thousand_over_a_batch_of_eight)
{
    for (uint32_t flushed = 0; flushed < 2; flushed++) {
        setup();
        stub.batch_max = 8;
        stub.deliver_max = 5;
        for (uint32_t i = 0; i < MANY; i++)
            receive(&targets[i]);
        if (flushed == 1)
            orr_run_for_ns(loop, 1);
        for (uint32_t i = 0; i < MANY; i++)
            cancel_it(&cancels[i], &targets[MANY - 1 - i]);
        orr_run_until_idle(loop);
        for (uint32_t i = 0; i < MANY; i++) {
            must(targets[i].calls == 1 && targets[i].result == -ECANCELED);
            must(cancels[MANY - 1 - i].calls == 1 && cancels[MANY - 1 - i].result == 0);
            must(targets[i].order < cancels[MANY - 1 - i].order);
        }
        ck_assert_uint_eq(loop->cancels_unsent, 0);
        ck_assert_uint_eq(loop->statistics.canceled, MANY);
        ck_assert_uint_le(stub.cancels, 4 * MANY); /* asking all again at each flush is quadratic */
        stub_close(&stub);
    }
}
END_TEST

PROBE_MAIN("cancel", of_what_is_not_in_flight, of_an_overflowed_operation, of_what_is_in_the_batch,
           of_what_the_backend_holds, of_every_operation_that_a_backend_has, of_what_is_completed,
           of_a_timer, of_a_timer_that_is_due_in_the_same_pass, of_a_wait_for_a_wake,
           of_a_next_tick, of_what_failed_at_once, of_what_was_done_at_once, of_a_cancel,
           a_second_cancel, of_a_close, too_late, too_late_with_an_error,
           of_what_the_backend_has_ready, the_backend_has_nothing_to_do,
           an_interrupted_target_is_not_tried_again, full_then_sent_again,
           full_and_meanwhile_the_target_ends, full_goes_before_overflow,
           the_targets_callback_submits_it_again, a_cancel_is_used_again_in_its_own_callback,
           a_cancel_in_flight_is_in_flight, ten_thousand_over_a_batch_of_eight)

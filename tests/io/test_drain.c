/*
 * test_drain.c: drain (io/loop.c): everything ends, closes are done, nothing new gets in, and a
 * callback that never stops submitting is caught, whatever it submits.
 */
#include "tests/io/dies.h"
#include "tests/io/every.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <string.h>

static struct stub stub;
static struct orr_loop *loop;
static orr_handle handle;
static struct probe probes[64];
static char bytes[16];

static void setup(uint32_t handles_max)
{
    const struct orr_options options = {.handles_max = handles_max};
    memset(&stub, 0, sizeof stub);
    memset(probes, 0, sizeof probes);
    probe_count = 0;
    loop = stub_open(&stub, &options);
    stub_set_ways(&stub, STUB_HOLDS);
    handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

static void receive(struct probe *probe)
{
    orr_recv(loop, &probe->completion, handle, bytes, sizeof bytes, probe_called, probe);
}

static void close_it(struct probe *probe)
{
    orr_close(loop, &probe->completion, handle, probe_called, probe);
}

static void drain(void)
{
    struct orr_statistics statistics;
    orr_drain(loop);
    orr_loop_statistics(loop, &statistics);
    ck_assert_uint_eq(statistics.in_flight, 0);
    ck_assert_uint_eq(stub.batch.count + stub.held.count + stub.ready.count, 0);
    ck_assert_uint_eq(loop->cancels_unsent, 0);
}

/* ---- what is in flight ----------------------------------------------------------------------- */

START_TEST(ends_everything)
{
    for (uint32_t batch = 1; batch <= 64; batch *= 4) {
        setup(0);
        stub.batch_max = batch;
        for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++)
            if (op != ORR_OP_CLOSE)
                every_submit(loop, op, &probes[op], handle);
        every_submit(loop, ORR_OP_OPEN, &probes[40], ORR_DIRECTORY_CURRENT);
        orr_timeout(loop, &probes[41].completion, 5, probe_called, &probes[41]);
        orr_timeout(loop, &probes[42].completion, UINT64_MAX, probe_called, &probes[42]);
        orr_wait_wake(loop, &probes[43].completion, probe_called, &probes[43]);
        orr_next_tick(loop, &probes[44].completion, probe_called, &probes[44]);
        orr_cancel(loop, &probes[45].completion, &probes[ORR_OP_RECV].completion, probe_called,
                   &probes[45]);
        drain();
        for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++)
            if (op != ORR_OP_CLOSE)
                probe_check(&probes[op], -ECANCELED);
        for (uint32_t i = 40; i < 44; i++)
            probe_check(&probes[i], -ECANCELED);
        probe_check(&probes[44], 0);
        probe_check(&probes[45], 0);
        ck_assert_uint_eq(stub.now_ns, 0);
        stub_close(&stub);
    }
}
END_TEST

static void must_be_draining(struct probe *probe)
{
    must(orr_loop_draining(loop) == (probe != &probes[0]));
}

START_TEST(tells_the_backend)
{
    setup(0);
    orr_next_tick(loop, &probes[0].completion, probe_called, &probes[0]);
    probes[0].then = probes[1].then = must_be_draining;
    orr_run_for_ns(loop, 0);
    receive(&probes[1]);
    ck_assert(!orr_loop_draining(loop));
    drain();
    ck_assert(!orr_loop_draining(loop));
    probe_check(&probes[0], 0);
    probe_check(&probes[1], -ECANCELED);
    stub_close(&stub);
}
END_TEST

START_TEST(of_an_empty_loop)
{
    setup(0);
    drain();
    drain();
    ck_assert_uint_eq(stub.flushes, 0);
    stub_close(&stub);
}
END_TEST

START_TEST(operations_that_were_over_keep_their_results)
{
    for (enum stub_cancel way = STUB_CANCEL_LATE; way <= STUB_CANCEL_DONE; way += 2) {
        setup(0);
        stub.cancel = way;
        receive(&probes[0]);
        receive(&probes[1]);
        orr_run_for_ns(loop, 0);
        stub_end(&stub, &probes[0].completion, 3);
        drain();
        probe_check(&probes[0], 3);
        probe_check(&probes[1], sizeof bytes);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(waits_for_closes)
{
    setup(0);
    receive(&probes[0]);
    orr_run_for_ns(loop, 0);
    close_it(&probes[1]);
    drain();
    probe_check(&probes[0], -ECANCELED);
    probe_check(&probes[1], 0);
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 0);
}
END_TEST

START_TEST(cancels_that_find_the_batch_full_are_sent_again)
{
    setup(0);
    stub.batch_max = 3;
    for (uint32_t i = 0; i < 40; i++)
        receive(&probes[i]);
    orr_run_for_ns(loop, 1);
    stub.cancels_full = 10;
    drain();
    for (uint32_t i = 0; i < 40; i++)
        probe_check(&probes[i], -ECANCELED);
    stub_close(&stub);
}
END_TEST

START_TEST(an_accept_that_wins_the_race_leaves_no_descriptor)
{
    setup(0);
    stub.cancel = STUB_CANCEL_LATE;
    orr_accept(loop, &probes[0].completion, handle, NULL, probe_called, &probes[0]);
    drain();
    ck_assert_int_gt(probes[0].result, 0);
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 2);
}
END_TEST

START_TEST(interrupted_and_partial_operations_are_not_tried_again)
{
    setup(0);
    stub.cancel = STUB_CANCEL_LATE;
    receive(&probes[0]);
    orr_send_all(loop, &probes[1].completion, handle, bytes, sizeof bytes, probe_called,
                 &probes[1]);
    orr_run_for_ns(loop, 0);
    stub_script(&stub, ORR_OP_RECV, -EINTR);
    stub_script(&stub, ORR_OP_SEND, 5);
    drain();
    probe_check(&probes[0], -ECANCELED);
    probe_check(&probes[1], -ECANCELED);
    ck_assert_uint_eq(stub.submits, 2);
    stub_close(&stub);
}
END_TEST

/* ---- what callbacks submit ------------------------------------------------------------------- */

static void submit_everything(struct probe *probe)
{
    (void)probe;
    for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++)
        if (op != ORR_OP_CLOSE)
            every_submit(loop, op, &probes[op], op % 2 == 0 ? handle : 999);
    orr_timeout(loop, &probes[41].completion, 0, probe_called, &probes[41]);
    orr_wait_wake(loop, &probes[42].completion, probe_called, &probes[42]);
    orr_next_tick(loop, &probes[43].completion, probe_called, &probes[43]);
    orr_cancel(loop, &probes[44].completion, &probes[ORR_OP_RECV].completion, probe_called,
               &probes[44]);
    orr_recv_exact(loop, &probes[45].completion, handle, bytes, SIZE_MAX, probe_called,
                   &probes[45]);
    orr_readv(loop, &probes[46].completion, handle, NULL, ORR_VECTORS_MAX + 1, 0, probe_called,
              &probes[46]);
}

START_TEST(whatever_is_submitted_meanwhile_is_canceled)
{
    setup(0);
    probes[0].then = submit_everything;
    receive(&probes[0]);
    orr_run_for_ns(loop, 0);
    drain();
    for (uint32_t i = 0; i < 47; i++)
        if (probes[i].completion.request.op != ORR_OP_NONE)
            probe_check(&probes[i], -ECANCELED);
    ck_assert_uint_eq(probe_count, EVERY_LAST + 1 - EVERY_FIRST - 1 + 6 + 1);
    ck_assert_uint_eq(stub.submits, 1);
    stub_close(&stub);
}
END_TEST

static void close_after(struct probe *probe)
{
    probe->then = NULL;
    close_it(&probes[5]);
}

START_TEST(closes_submitted_meanwhile_are_done)
{
    setup(0);
    probes[0].then = close_after;
    receive(&probes[0]);
    receive(&probes[1]);
    orr_run_for_ns(loop, 0);
    drain();
    probe_check(&probes[0], -ECANCELED);
    probe_check(&probes[1], -ECANCELED);
    probe_check(&probes[5], 0);
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 0);
}
END_TEST

static void stop(struct probe *probe)
{
    (void)probe;
    orr_stop(loop);
}

START_TEST(stop_does_not_stop_it)
{
    setup(0);
    for (uint32_t i = 0; i < 3; i++) {
        probes[i].then = stop;
        receive(&probes[i]);
    }
    orr_stop(loop); /* before it, neither */
    drain();
    for (uint32_t i = 0; i < 3; i++)
        probe_check(&probes[i], -ECANCELED);
    ck_assert(!orr_stopped(loop));
    stub_close(&stub);
}
END_TEST

START_TEST(the_loop_can_be_used_afterwards)
{
    setup(0);
    receive(&probes[0]);
    drain();
    for (uint32_t round = 0; round < 3; round++) {
        memset(probes, 0, sizeof probes);
        stub_set_ways(&stub, STUB_ENDS);
        receive(&probes[0]);
        orr_timeout(loop, &probes[1].completion, 10, probe_called, &probes[1]);
        orr_run_until_idle(loop);
        probe_check(&probes[0], sizeof bytes);
        probe_check(&probes[1], 0);
        drain();
    }
    stub_close(&stub);
}
END_TEST

/* ---- a callback that never stops ------------------------------------------------------------- */

enum again {
    ON_OPEN,
    ON_CLOSED,
    NO_SLOT,
    TOO_LONG,
    TOO_MANY,
    A_TIMER,
    A_TICK,
    A_WAIT,
    A_CANCEL,
    A_BAD_CLOSE
};

static void go_on(struct probe *probe)
{
    struct orr_completion *c = &probe->completion;
    switch (*(const enum again *)probe->context) {
    case ON_OPEN:
        orr_recv(loop, c, handle, bytes, 1, probe_called, probe);
        break;
    case ON_CLOSED:
        orr_recv(loop, c, 999, bytes, 1, probe_called, probe);
        break;
    case NO_SLOT:
        orr_open(loop, c, ORR_DIRECTORY_CURRENT, "a", ORR_OPEN_READ, 0, probe_called, probe);
        break;
    case TOO_LONG:
        orr_recv_exact(loop, c, handle, bytes, SIZE_MAX, probe_called, probe);
        break;
    case TOO_MANY:
        orr_readv(loop, c, handle, NULL, ORR_VECTORS_MAX + 1, 0, probe_called, probe);
        break;
    case A_TIMER:
        orr_timeout(loop, c, 0, probe_called, probe);
        break;
    case A_TICK:
        orr_next_tick(loop, c, probe_called, probe);
        break;
    case A_WAIT:
        orr_wait_wake(loop, c, probe_called, probe);
        break;
    case A_CANCEL:
        orr_cancel(loop, c, &probes[1].completion, probe_called, probe);
        break;
    case A_BAD_CLOSE:
        orr_close(loop, c, 999, probe_called, probe);
        break;
    }
}

static void drain_what_never_stops(void *context)
{
    setup(1);
    probes[0].then = go_on;
    probes[0].context = context;
    receive(&probes[0]);
    orr_drain(loop);
}

START_TEST(a_callback_that_never_stops_is_caught)
{
    static const char *const names[] = {"recv",    "recv",      "open",      "recv",   "readv",
                                        "timeout", "next_tick", "wait_wake", "cancel", "close"};
    for (enum again what = ON_OPEN; what <= A_BAD_CLOSE; what++)
        DIES(drain_what_never_stops, &what, names[what],
             "test_drain.c:", "goes on submitting while the loop drains");
}
END_TEST

PROBE_MAIN("drain", ends_everything, tells_the_backend, of_an_empty_loop,
           operations_that_were_over_keep_their_results, waits_for_closes,
           cancels_that_find_the_batch_full_are_sent_again,
           an_accept_that_wins_the_race_leaves_no_descriptor,
           interrupted_and_partial_operations_are_not_tried_again,
           whatever_is_submitted_meanwhile_is_canceled, closes_submitted_meanwhile_are_done,
           stop_does_not_stop_it, the_loop_can_be_used_afterwards,
           a_callback_that_never_stops_is_caught)

/*
 * test_transfer.c: whole transfers (io/dispatch.c): partial attempts, ends of stream and file,
 * EINTR, and what cancel and close do between two attempts. A model of what each attempt must ask
 * for is compared with what the backend sees.
 */
#include "tests/io/chance.h"
#include "tests/io/probe.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <string.h>

#define LENGTH 1000u
#define ATTEMPTS 2000u
#define OFFSET UINT64_C(0x123456789)

static struct stub stub;
static struct orr_loop *loop;
static orr_handle handle;
static struct probe probe;
static struct probe other;
static char bytes[LENGTH];

static struct {
    const void *buffer;
    uint64_t offset;
    uint32_t length;
} attempts[ATTEMPTS];
static uint32_t attempt_count;

static void note_attempt(struct stub *of, uint64_t deadline_ns)
{
    (void)deadline_ns;
    const struct orr_completion *c = of->batch.head;
    if (c == NULL || c->request.op == ORR_OP_CLOSE)
        return;
    ck_assert_uint_lt(attempt_count, ATTEMPTS);
    attempts[attempt_count].buffer = c->request.arguments.transfer.data;
    attempts[attempt_count].offset = c->request.arguments.transfer.offset;
    attempts[attempt_count].length = c->request.arguments.transfer.length;
    attempt_count++;
}

static void setup(void)
{
    memset(&stub, 0, sizeof stub);
    memset(&probe, 0, sizeof probe);
    memset(&other, 0, sizeof other);
    attempt_count = 0;
    probe_count = 0;
    stub.on_flush = note_attempt;
    loop = stub_open(&stub, NULL);
    handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

static const enum orr_op ops[] = {ORR_OP_RECV, ORR_OP_SEND, ORR_OP_READ, ORR_OP_WRITE};
#define OPS (sizeof ops / sizeof ops[0])

static void submit_whole(enum orr_op op, struct probe *of, size_t length)
{
    struct orr_completion *c = &of->completion;
    if (op == ORR_OP_RECV)
        orr_recv_exact(loop, c, handle, bytes, length, probe_called, of);
    else if (op == ORR_OP_SEND)
        orr_send_all(loop, c, handle, bytes, length, probe_called, of);
    else if (op == ORR_OP_READ)
        orr_read_exact(loop, c, handle, bytes, length, OFFSET, probe_called, of);
    else
        orr_write_all(loop, c, handle, bytes, length, OFFSET, probe_called, of);
}

static void submit_base(enum orr_op op, struct probe *of, size_t length)
{
    struct orr_completion *c = &of->completion;
    if (op == ORR_OP_RECV)
        orr_recv(loop, c, handle, bytes, length, probe_called, of);
    else if (op == ORR_OP_SEND)
        orr_send(loop, c, handle, bytes, length, probe_called, of);
    else if (op == ORR_OP_READ)
        orr_read(loop, c, handle, bytes, length, OFFSET, probe_called, of);
    else
        orr_write(loop, c, handle, bytes, length, OFFSET, probe_called, of);
}

static void check_attempt(enum orr_op op, uint32_t number, uint32_t done, uint32_t length)
{
    bool file = op == ORR_OP_READ || op == ORR_OP_WRITE;
    must(attempts[number].buffer == bytes + done);
    must(attempts[number].length == length - done);
    must(!file || attempts[number].offset == OFFSET + done);
}

/* ---- partial --------------------------------------------------------------------------------- */

START_TEST(any_sequence_of_partial_attempts_makes_the_whole)
{
    uint64_t state = 7;
    for (uint32_t round = 0; round < 400; round++) {
        enum orr_op op = ops[round % OPS];
        uint32_t steps[STUB_SCRIPT_MAX];
        uint32_t count = 0;
        uint32_t sum = 0;
        setup();
        while (sum < LENGTH && count + 1 < STUB_SCRIPT_MAX) {
            steps[count] = 1 + (uint32_t)chance_below(&state, (LENGTH - sum) / 4 + 1);
            stub_script(&stub, op, steps[count]);
            sum += steps[count++];
        }
        if (sum < LENGTH) { /* the rest at once */
            steps[count] = LENGTH - sum;
            stub_script(&stub, op, steps[count++]);
        }
        submit_whole(op, &probe, LENGTH);
        orr_run_until_idle(loop);
        probe_check(&probe, LENGTH);
        ck_assert_uint_eq(attempt_count, count);
        uint32_t done = 0;
        for (uint32_t i = 0; i < count; i++) {
            check_attempt(op, i, done, LENGTH);
            done += steps[i];
        }
        ck_assert_uint_eq(loop->statistics.retried, count - 1);
        ck_assert_uint_eq(loop->statistics.submits, 1);
        stub_close(&stub);
    }
}
END_TEST

static void one_byte(struct stub *of, uint64_t deadline_ns)
{
    note_attempt(of, deadline_ns);
    if (of->batch.head != NULL)
        stub_end(of, of->batch.head, 1);
}

START_TEST(byte_by_byte)
{
    for (size_t i = 0; i < OPS; i++) {
        setup();
        stub.on_flush = one_byte;
        submit_whole(ops[i], &probe, LENGTH);
        orr_run_until_idle(loop);
        probe_check(&probe, LENGTH);
        for (uint32_t done = 0; done < LENGTH; done++)
            check_attempt(ops[i], done, done, LENGTH);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(the_longest_transfer_in_two_attempts)
{
    setup();
    stub_script(&stub, ORR_OP_SEND, 0x7fffeff0);
    submit_whole(ORR_OP_SEND, &probe, ORR_TRANSFER_MAX);
    orr_run_until_idle(loop);
    probe_check(&probe, ORR_TRANSFER_MAX);
    ck_assert_uint_eq(attempts[1].length, 16);
    stub_close(&stub);
}
END_TEST

START_TEST(a_partial_base_operation_is_enough)
{
    for (size_t i = 0; i < OPS; i++) {
        setup();
        stub_script(&stub, ops[i], 3);
        submit_base(ops[i], &probe, LENGTH);
        orr_run_until_idle(loop);
        probe_check(&probe, 3);
        stub_script(&stub, ops[i], 0);
        probe_reset(&probe);
        submit_base(ops[i], &probe, LENGTH);
        orr_run_until_idle(loop);
        probe_check(&probe, 0);
        ck_assert_uint_eq(attempt_count, 2);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(zero_bytes_are_one_attempt)
{
    for (size_t i = 0; i < OPS; i++) {
        setup();
        submit_whole(ops[i], &probe, 0);
        orr_run_until_idle(loop);
        probe_check(&probe, 0);
        ck_assert_uint_eq(attempt_count, 1);
        ck_assert_uint_eq(attempts[0].length, 0);
        stub_close(&stub);
    }
}
END_TEST

/* ---- ends and errors ------------------------------------------------------------------------- */

/* After `parts` attempts of 100 bytes comes `result`. */
static void run_until(enum orr_op op, uint32_t parts, int64_t result)
{
    setup();
    for (uint32_t i = 0; i < parts; i++)
        stub_script(&stub, op, 100);
    stub_script(&stub, op, result);
    submit_whole(op, &probe, LENGTH);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(attempt_count, parts + 1);
}

START_TEST(the_end_of_the_stream_or_file_makes_it_short)
{
    for (uint32_t parts = 0; parts < 10; parts++) {
        run_until(ORR_OP_RECV, parts, 0);
        probe_check(&probe, parts * 100);
        stub_close(&stub);
        run_until(ORR_OP_READ, parts, 0);
        probe_check(&probe, parts * 100);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(a_write_that_takes_nothing_is_an_error)
{
    for (uint32_t parts = 0; parts < 10; parts++) {
        run_until(ORR_OP_SEND, parts, 0);
        probe_check(&probe, -EIO);
        stub_close(&stub);
        run_until(ORR_OP_WRITE, parts, 0);
        probe_check(&probe, -EIO);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(an_error_ends_it)
{
    static const int errors[] = {EIO, ECONNRESET, EAGAIN, ENOSPC, EPIPE, 132};
    for (size_t i = 0; i < OPS * (sizeof errors / sizeof errors[0]); i++) {
        run_until(ops[i % OPS], (uint32_t)i % 10, -errors[i / OPS]);
        probe_check(&probe, -errors[i / OPS]);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(interruptions_are_not_seen)
{
    for (size_t i = 0; i < OPS; i++) {
        setup();
        for (uint32_t j = 0; j < 60; j++)
            stub_script(&stub, ops[i], j % 3 == 0 ? 10 : -EINTR);
        stub_script(&stub, ops[i], LENGTH - 200);
        submit_whole(ops[i], &probe, LENGTH);
        orr_run_until_idle(loop);
        probe_check(&probe, LENGTH);
        ck_assert_uint_eq(attempt_count, 61);
        for (uint32_t j = 0; j < 60; j++)
            check_attempt(ops[i], j, (j + 2) / 3 * 10, LENGTH);
        ck_assert_uint_eq(loop->statistics.retried, 60);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(done_at_once_is_tried_again_in_later_passes)
{
    setup();
    stub_set_ways(&stub, STUB_AT_ONCE);
    for (uint32_t i = 0; i < 10; i++)
        stub_script(&stub, ORR_OP_RECV, 100);
    submit_whole(ORR_OP_RECV, &probe, LENGTH);
    for (uint32_t pass = 0; pass < 10; pass++) {
        ck_assert_uint_eq(probe.calls, 0);
        orr_run_for_ns(loop, 0);
    }
    probe_check(&probe, LENGTH);
    stub_close(&stub);
}
END_TEST

/* ---- between two attempts -------------------------------------------------------------------- */

static void stop(struct probe *of)
{
    (void)of;
    orr_stop(loop);
}

/* Leaves the transfer with 100 bytes done: `where` 0 = in the second attempt, 1 = the first
 * attempt is over and the loop has yet to look at it, 2 = the second attempt waits in the overflow
 * queue. */
static void bring_between(enum orr_op op, uint32_t where)
{
    setup();
    stub_set_ways(&stub, STUB_HOLDS);
    submit_whole(op, &probe, LENGTH);
    orr_run_for_ns(loop, 0);
    if (where == 1) {
        other.then = stop;
        orr_next_tick(loop, &other.completion, probe_called, &other);
    }
    stub.batch_max = where == 2 ? 0 : stub.batch_max;
    stub_end(&stub, &probe.completion, 100);
    orr_run_for_ns(loop, 0);
    ck_assert_uint_eq(probe.calls, 0);
    stub.batch_max = 100;
    static const uint8_t states[] = {ORR__QUEUED, ORR__COMPLETED, ORR__OVERFLOWED};
    ck_assert_uint_eq(probe.completion.request.state, states[where]);
}

START_TEST(cancel_between_two_attempts)
{
    for (uint32_t i = 0; i < OPS * 3; i++) {
        struct probe cancel = {.calls = 0};
        bring_between(ops[i % OPS], i / OPS);
        orr_cancel(loop, &cancel.completion, &probe.completion, probe_called, &cancel);
        orr_run_until_idle(loop);
        probe_check(&probe, -ECANCELED);
        probe_check(&cancel, 0);
        ck_assert_uint_lt(probe.order, cancel.order);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(close_between_two_attempts)
{
    for (uint32_t i = 0; i < OPS * 3; i++) {
        struct probe close = {.calls = 0};
        bring_between(ops[i % OPS], i / OPS);
        orr_close(loop, &close.completion, handle, probe_called, &close);
        orr_run_until_idle(loop);
        probe_check(&probe, -ECANCELED);
        probe_check(&close, 0);
        ck_assert_uint_lt(probe.order, close.order);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(drain_between_two_attempts)
{
    for (uint32_t i = 0; i < OPS * 3; i++) {
        bring_between(ops[i % OPS], i / OPS);
        orr_drain(loop);
        probe_check(&probe, -ECANCELED);
        stub_close(&stub);
    }
}
END_TEST

/* The last attempt completes the transfer although a cancel is on its way. */
START_TEST(cancel_too_late_leaves_the_whole)
{
    for (size_t i = 0; i < OPS; i++) {
        struct probe cancel = {.calls = 0};
        bring_between(ops[i], 0);
        stub.cancel = STUB_CANCEL_LATE;
        orr_cancel(loop, &cancel.completion, &probe.completion, probe_called, &cancel);
        orr_run_until_idle(loop);
        probe_check(&probe, LENGTH);
        probe_check(&cancel, -EALREADY);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(cancel_before_a_late_partial_attempt_ends_it)
{
    for (size_t i = 0; i < OPS; i++) {
        struct probe cancel = {.calls = 0};
        bring_between(ops[i], 0);
        stub.cancel = STUB_CANCEL_LATE;
        stub_script(&stub, ops[i], 100);
        orr_cancel(loop, &cancel.completion, &probe.completion, probe_called, &cancel);
        orr_run_until_idle(loop);
        probe_check(&probe, -ECANCELED);
        probe_check(&cancel, 0);
        stub_close(&stub);
    }
}
END_TEST

/* A second attempt has no privilege over what waits already. */
START_TEST(the_next_attempt_goes_behind_the_overflow_queue)
{
    struct probe later[3] = {{.calls = 0}, {.calls = 0}, {.calls = 0}};
    setup();
    stub.on_flush = NULL;
    stub.batch_max = 1;
    stub_script(&stub, ORR_OP_SEND, 1);
    submit_whole(ORR_OP_SEND, &probe, LENGTH);
    for (uint32_t i = 0; i < 3; i++)
        submit_base(ORR_OP_RECV, &later[i], LENGTH);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(later[i].order, i + 1);
    ck_assert_uint_eq(probe.order, 4);
    stub_close(&stub);
}
END_TEST

static void submit_again(struct probe *of)
{
    if (of->calls < 3)
        submit_whole(ORR_OP_RECV, of, LENGTH);
}

START_TEST(a_second_transfer_starts_from_the_beginning)
{
    setup();
    probe.then = submit_again;
    static const uint32_t parts[] = {400, 400, 200, 400};
    for (uint32_t i = 0; i < 4; i++)
        stub_script(&stub, ORR_OP_RECV, parts[i]);
    submit_whole(ORR_OP_RECV, &probe, LENGTH);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(probe.calls, 3);
    ck_assert_int_eq(probe.result, LENGTH);
    static const uint32_t done[] = {0, 400, 800, 0, 400, 0};
    ck_assert_uint_eq(attempt_count, 6);
    for (uint32_t i = 0; i < 6; i++)
        check_attempt(ORR_OP_RECV, i, done[i], LENGTH);
    stub_close(&stub);
}
END_TEST

PROBE_MAIN("transfer", any_sequence_of_partial_attempts_makes_the_whole, byte_by_byte,
           the_longest_transfer_in_two_attempts, a_partial_base_operation_is_enough,
           zero_bytes_are_one_attempt, the_end_of_the_stream_or_file_makes_it_short,
           a_write_that_takes_nothing_is_an_error, an_error_ends_it, interruptions_are_not_seen,
           done_at_once_is_tried_again_in_later_passes, cancel_between_two_attempts,
           close_between_two_attempts, drain_between_two_attempts, cancel_too_late_leaves_the_whole,
           cancel_before_a_late_partial_attempt_ends_it,
           the_next_attempt_goes_behind_the_overflow_queue,
           a_second_transfer_starts_from_the_beginning)

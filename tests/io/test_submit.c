/*
 * test_submit.c: submitting (io/submit.c): what a request says, that submitting neither calls back
 * nor enters the backend, the caught errors, and the overflow queue: first in, first out, and
 * ahead of new submits.
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
static struct probe probes[MANY];
static char bytes[16];

static void setup(uint32_t batch_entries)
{
    const struct orr_options options = {.batch_entries = batch_entries};
    memset(&stub, 0, sizeof stub);
    memset(probes, 0, sizeof probes);
    probe_count = 0;
    loop = stub_open(&stub, &options);
    handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

static struct orr_statistics statistics(void)
{
    struct orr_statistics now;
    orr_loop_statistics(loop, &now);
    return now;
}

/* A read whose offset is its number, so that the backend knows it. */
static void read_numbered(uint32_t i)
{
    orr_read(loop, &probes[i].completion, handle, bytes, sizeof bytes, i, probe_called, &probes[i]);
}

/* ---- requests -------------------------------------------------------------------------------- */

START_TEST(requests_say_what_was_asked)
{
    setup(0);
    const union orr_arguments *a = &stub.last.arguments;
    const struct orr_vector vector = {bytes, 3};
    struct orr_datagram datagram = {.buffer = bytes, .length = 1};
    struct orr_address address = {.length = 0};
    struct orr_stat file_stat;
    struct probe *p = probes;
    stub_set_ways(&stub, STUB_AT_ONCE);

    orr_recv(loop, &p[0].completion, handle, bytes, 5, probe_called, &p[0]);
    ck_assert(stub.last.op == ORR_OP_RECV && a->transfer.buffer == bytes);
    ck_assert(a->transfer.length == 5 && a->transfer.whole == 0 && stub.last.descriptor == 3);
    orr_send_all(loop, &p[1].completion, handle, bytes, 6, probe_called, &p[1]);
    ck_assert(stub.last.op == ORR_OP_SEND && a->transfer.data == bytes);
    ck_assert(a->transfer.length == 6 && a->transfer.whole == 6 && a->transfer.done == 0);
    orr_write(loop, &p[2].completion, handle, bytes, 7, INT64_MAX - 7, probe_called, &p[2]);
    ck_assert(stub.last.op == ORR_OP_WRITE && a->transfer.offset == INT64_MAX - 7);
    orr_readv(loop, &p[3].completion, handle, &vector, 1, 9, probe_called, &p[3]);
    ck_assert(stub.last.op == ORR_OP_READV && a->transfer.vectors == &vector);
    ck_assert(a->transfer.length == 1 && a->transfer.offset == 9);
    orr_send_to(loop, &p[4].completion, handle, &datagram, probe_called, &p[4]);
    ck_assert(stub.last.op == ORR_OP_SEND_TO && a->datagram == &datagram);
    orr_accept(loop, &p[5].completion, handle, &address, probe_called, &p[5]);
    ck_assert(stub.last.op == ORR_OP_ACCEPT && a->peer.accepted == &address);
    orr_connect(loop, &p[6].completion, handle, &address, probe_called, &p[6]);
    ck_assert(stub.last.op == ORR_OP_CONNECT && a->peer.target == &address);
    orr_shutdown(loop, &p[7].completion, handle, ORR_SHUTDOWN_BOTH, probe_called, &p[7]);
    ck_assert(stub.last.op == ORR_OP_SHUTDOWN && a->events == ORR_SHUTDOWN_BOTH);
    orr_poll(loop, &p[8].completion, handle, ORR_POLL_OUT, probe_called, &p[8]);
    ck_assert(stub.last.op == ORR_OP_POLL && a->events == ORR_POLL_OUT);
    orr_truncate(loop, &p[9].completion, handle, 11, probe_called, &p[9]);
    ck_assert(stub.last.op == ORR_OP_TRUNCATE && a->range.length == 11);
    orr_allocate(loop, &p[10].completion, handle, 12, 13, probe_called, &p[10]);
    ck_assert(stub.last.op == ORR_OP_ALLOCATE && a->range.offset == 12 && a->range.length == 13);
    orr_stat(loop, &p[11].completion, handle, NULL, &file_stat, probe_called, &p[11]);
    ck_assert(stub.last.op == ORR_OP_STAT && a->path.path == NULL && a->path.stat == &file_stat);
    ck_assert_int_eq(stub.last.descriptor, 3);
    orr_drain(loop);
    stub_close(&stub);
}
END_TEST

START_TEST(path_requests_say_what_was_asked)
{
    setup(0);
    const union orr_arguments *a = &stub.last.arguments;
    struct probe *p = probes;
    stub_set_ways(&stub, STUB_AT_ONCE);

    orr_open(loop, &p[0].completion, handle, "a", ORR_OPEN_READ | ORR_OPEN_SYNC, 0640, probe_called,
             &p[0]);
    ck_assert(stub.last.op == ORR_OP_OPEN && strcmp(a->path.path, "a") == 0);
    ck_assert(a->path.flags == (ORR_OPEN_READ | ORR_OPEN_SYNC) && a->path.mode == 0640);
    ck_assert_int_eq(stub.last.descriptor, 3);
    orr_rename(loop, &p[1].completion, ORR_DIRECTORY_CURRENT, "a", "b", probe_called, &p[1]);
    ck_assert(stub.last.op == ORR_OP_RENAME && strcmp(a->path.path_new, "b") == 0);
    ck_assert_int_eq(stub.last.descriptor, -1);
    ck_assert_str_eq(a->path.path, "a");
    orr_link(loop, &p[5].completion, handle, "f", "g", probe_called, &p[5]);
    ck_assert(stub.last.op == ORR_OP_LINK && strcmp(a->path.path_new, "g") == 0);
    ck_assert_str_eq(a->path.path, "f");
    orr_unlink(loop, &p[2].completion, handle, "c", ORR_UNLINK_DIRECTORY, probe_called, &p[2]);
    ck_assert_str_eq(a->path.path, "c");
    ck_assert(stub.last.op == ORR_OP_UNLINK && a->path.flags == ORR_UNLINK_DIRECTORY);
    orr_mkdir(loop, &p[3].completion, handle, "d", 0700, probe_called, &p[3]);
    ck_assert(stub.last.op == ORR_OP_MKDIR && a->path.mode == 0700);
    ck_assert_str_eq(a->path.path, "d");
    orr_stat(loop, &p[4].completion, handle, "e", NULL, probe_called, &p[4]);
    ck_assert_uint_eq(stub.last.op, ORR_OP_STAT);
    ck_assert_str_eq(a->path.path, "e");
    orr_drain(loop);
    stub_close(&stub);
}
END_TEST

START_TEST(lengths_beyond_what_one_operation_does)
{
    setup(0);
    struct orr_vector vectors[ORR_VECTORS_MAX + 1];
    struct probe *p = probes;
    memset(vectors, 0, sizeof vectors);
    orr_recv(loop, &p[0].completion, handle, bytes, SIZE_MAX, probe_called, &p[0]);
    ck_assert_uint_eq(stub.last.arguments.transfer.length, ORR_TRANSFER_MAX);
    orr_recv_exact(loop, &p[1].completion, handle, bytes, ORR_TRANSFER_MAX, probe_called, &p[1]);
    ck_assert_uint_eq(stub.last.arguments.transfer.whole, ORR_TRANSFER_MAX);
    uint64_t submits = stub.submits;
    orr_recv_exact(loop, &p[2].completion, handle, bytes, ORR_TRANSFER_MAX + 1, probe_called,
                   &p[2]);
    orr_writev(loop, &p[3].completion, handle, vectors, ORR_VECTORS_MAX + 1, 0, probe_called,
               &p[3]);
    ck_assert_uint_eq(stub.submits, submits);
    orr_writev(loop, &p[4].completion, handle, vectors, ORR_VECTORS_MAX, 0, probe_called, &p[4]);
    orr_readv(loop, &p[5].completion, handle, NULL, 0, 0, probe_called, &p[5]);
    orr_run_until_idle(loop);
    probe_check(&p[0], ORR_TRANSFER_MAX);
    probe_check(&p[1], ORR_TRANSFER_MAX);
    probe_check(&p[2], -EINVAL);
    probe_check(&p[3], -EINVAL);
    probe_check(&p[4], 0);
    probe_check(&p[5], 0);
    stub_close(&stub);
}
END_TEST

/* A kernel takes offsets below 2^63, and -1 for "where the last one ended". */
START_TEST(offsets_beyond_what_a_file_has)
{
    static const struct orr_vector vector = {bytes, 1};
    const uint64_t bad[] = {UINT64_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 5};
    setup(0);
    uint64_t submits = stub.submits;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct probe *p = &probes[i * 6];
        orr_read(loop, &p[0].completion, handle, bytes, 1, bad[i], probe_called, &p[0]);
        orr_write(loop, &p[1].completion, handle, bytes, 1, bad[i], probe_called, &p[1]);
        orr_read_exact(loop, &p[2].completion, handle, bytes, 1, bad[i], probe_called, &p[2]);
        orr_write_all(loop, &p[3].completion, handle, bytes, 1, bad[i], probe_called, &p[3]);
        orr_readv(loop, &p[4].completion, handle, &vector, 1, bad[i], probe_called, &p[4]);
        orr_writev(loop, &p[5].completion, handle, &vector, 1, bad[i], probe_called, &p[5]);
        orr_run_until_idle(loop);
        for (uint32_t j = 0; j < 6; j++)
            probe_check(&p[j], -EINVAL);
    }
    ck_assert_uint_eq(stub.submits, submits);
    stub_close(&stub);
}
END_TEST

/* ---- submitting ------------------------------------------------------------------------------ */

START_TEST(submitting_never_calls_back_and_never_flushes)
{
    for (enum stub_way way = STUB_ENDS; way <= STUB_AT_ONCE; way++) {
        setup(4); /* most of them overflow */
        stub_set_ways(&stub, way);
        stub.ways[ORR_OP_CLOSE] = way == STUB_AT_ONCE ? way : STUB_ENDS;
        for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++)
            if (op != ORR_OP_CLOSE)
                every_submit(loop, op, &probes[op], handle);
        every_submit(loop, ORR_OP_RECV, &probes[0], 999); /* an error at once */
        orr_timeout(loop, &probes[100].completion, 0, probe_called, &probes[100]);
        orr_next_tick(loop, &probes[101].completion, probe_called, &probes[101]);
        orr_wait_wake(loop, &probes[102].completion, probe_called, &probes[102]);
        orr_cancel(loop, &probes[103].completion, &probes[ORR_OP_RECV].completion, probe_called,
                   &probes[103]);
        every_submit(loop, ORR_OP_CLOSE, &probes[ORR_OP_CLOSE], handle);
        ck_assert_uint_eq(stub.flushes, 0);
        ck_assert_uint_eq(probe_count, 0);
        ck_assert(orr_in_flight(&probes[ORR_OP_RECV].completion));
        orr_drain(loop);
        ck_assert_uint_eq(probe_count, EVERY_LAST + 1 - EVERY_FIRST + 5);
        ck_assert_uint_eq(statistics().in_flight, 0);
        stub_close(&stub);
    }
}
END_TEST

START_TEST(what_the_backend_lacks_is_not_supported)
{
    for (enum orr_op lacking = EVERY_FIRST; lacking <= EVERY_LAST; lacking++) {
        struct orr_backend backend = stub_backend;
        struct probe probe = {.calls = 0};
        if (lacking == ORR_OP_CLOSE)
            continue;
        memset(&stub, 0, sizeof stub);
        backend.operations &= ~ORR_OP_BIT(lacking);
        ck_assert_int_eq(orr_loop_open_with(NULL, &backend, &stub, &loop), 0);
        handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        every_submit(loop, lacking, &probe, handle);
        ck_assert_uint_eq(probe.calls, 0);
        orr_run_until_idle(loop);
        probe_check(&probe, -ENOTSUP);
        ck_assert_uint_eq(stub.submits, 0);
        orr_loop_close(loop);
    }
}
END_TEST

START_TEST(a_callback_may_submit_its_own_completion)
{
    static const uint64_t rounds = 50;
    setup(0);
    for (uint64_t round = 1; round <= rounds; round++) {
        read_numbered(0);
        orr_run_until_idle(loop);
        ck_assert_uint_eq(probes[0].calls, round);
    }
    stub_close(&stub);
}
END_TEST

/* ---- caught errors --------------------------------------------------------------------------- */

/* In parentheses it is the function, not the macro that notes this line. */
static void submit_twice(void *context)
{
    struct orr_completion *c = &probes[0].completion;
    (void)context;
    setup(0);
    (orr_recv)(orr_at(loop, "first.c:11"), c, handle, bytes, 1, probe_called, &probes[0]);
    (orr_fsync)(orr_at(loop, "second.c:22"), c, handle, probe_called, &probes[0]);
}

static void submit_twice_from_unknown_lines(void *context)
{
    struct orr_completion *c = &probes[0].completion;
    (void)context;
    setup(0);
    (orr_timeout)(loop, c, 5, probe_called, &probes[0]);
    (orr_timeout)(loop, c, 5, probe_called, &probes[0]);
}

static void submit_garbage(void *context)
{
    struct orr_completion *c = &probes[0].completion;
    (void)context;
    setup(0);
    memset(c, 0xa5, sizeof *c);
    (orr_next_tick)(orr_at(loop, "garbage.c:3"), c, probe_called, &probes[0]);
}

/* The first number that is no state. */
static void submit_garbage_state(void *context)
{
    struct orr_completion *c = &probes[0].completion;
    (void)context;
    setup(0);
    c->request.state = ORR__STATE_COUNT;
    (orr_next_tick)(loop, c, probe_called, &probes[0]);
}

static void submit_without_callback(void *context)
{
    struct orr_completion *c = &probes[0].completion;
    (void)context;
    setup(0);
    (orr_recv)(orr_at(loop, "mute.c:4"), c, handle, bytes, 1, NULL, NULL);
}

static void cancel_by_itself(void *context)
{
    struct orr_completion *c = &probes[0].completion;
    (void)context;
    setup(0);
    read_numbered(0);
    (orr_cancel)(orr_at(loop, "self.c:5"), c, c, probe_called, &probes[0]);
}

/* A line belongs to one submit only, also if that one fails. */
static void submit_after_a_line(void *context)
{
    struct orr_completion *c = &probes[0].completion;
    (void)context;
    setup(0);
    (orr_recv)(orr_at(loop, "used.c:6"), &probes[1].completion, 99, bytes, 1, probe_called,
               &probes[1]);
    (orr_next_tick)(loop, c, probe_called, &probes[0]);
    (orr_next_tick)(loop, c, probe_called, &probes[0]);
}

START_TEST(misuse_is_caught_and_named)
{
    DIES(submit_twice, NULL, "fsync at second.c:22", "in flight", "recv submitted at first.c:11");
    DIES(submit_twice_from_unknown_lines, NULL, "timeout at an unknown line",
         "timeout submitted at an unknown line");
    DIES(submit_after_a_line, NULL, "next_tick submitted at an unknown line");
    DIES(submit_garbage, NULL, "next_tick at garbage.c:3", "zeroed");
    DIES(submit_garbage_state, NULL, "next_tick at an unknown line", "zeroed");
    DIES(submit_without_callback, NULL, "recv at mute.c:4", "callback");
    DIES(cancel_by_itself, NULL, "cancel at self.c:5", "completion of its own");
}
END_TEST

/* A completion is in flight in every state that it can wait in. */
static void submit_again(void *context)
{
    int state = *(const int *)context;
    setup(1);
    stub_set_ways(&stub, STUB_HOLDS);
    if (state == 0) /* overflowed */
        read_numbered(1);
    read_numbered(0);
    if (state == 1) /* held by the backend */
        orr_run_for_ns(loop, 0);
    if (state == 2) { /* completed, not called back */
        orr_run_for_ns(loop, 0);
        stub_end(&stub, &probes[0].completion, 0);
        orr_stop(loop);
        orr_run_for_ns(loop, 0);
    }
    read_numbered(0);
}

START_TEST(submitting_what_is_in_flight_is_caught_in_every_state)
{
    for (int state = 0; state < 3; state++)
        DIES(submit_again, &state, "in flight already");
}
END_TEST

/* ---- the overflow queue ---------------------------------------------------------------------- */

static uint64_t seen[MANY * 2]; /* the reads' numbers, as they came to the backend */
static uint32_t seen_count;

static void note_batch(struct stub *of, uint64_t deadline_ns)
{
    (void)deadline_ns;
    for (const struct orr_completion *c = of->batch.head; c != NULL; c = c->next)
        if (c->request.op == ORR_OP_READ)
            seen[seen_count++] = c->request.arguments.transfer.offset;
}

static void setup_overflow(uint32_t batch_entries)
{
    setup(batch_entries);
    stub.on_flush = note_batch;
    seen_count = 0;
}

START_TEST(overflow_is_first_in_first_out)
{
    for (uint32_t batch = 1; batch <= 9; batch++) {
        setup_overflow(batch);
        for (uint32_t i = 0; i < 50; i++)
            read_numbered(i);
        ck_assert_uint_eq(statistics().overflowed, 50 - batch);
        orr_run_until_idle(loop);
        ck_assert_uint_eq(seen_count, 50);
        for (uint32_t i = 0; i < 50; i++) {
            ck_assert_uint_eq(seen[i], i);
            probe_check(&probes[i], sizeof bytes);
            ck_assert_uint_eq(probes[i].order, i + 1);
        }
        stub_close(&stub);
    }
}
END_TEST

static uint32_t next_number;

static void read_next(struct probe *probe)
{
    if (next_number < 200) {
        uint32_t number = next_number++;
        probes[number].then = probe->then;
        read_numbered(number);
    }
}

/* What a callback submits goes behind what waits, although the batch is empty at that moment. */
START_TEST(overflow_goes_before_new_submits)
{
    for (uint32_t batch = 1; batch <= 9; batch++) {
        setup_overflow(batch);
        for (uint32_t i = 0; i < 20; i++) {
            probes[i].then = read_next;
            read_numbered(i);
        }
        next_number = 20;
        orr_run_until_idle(loop);
        ck_assert_uint_eq(seen_count, 200);
        for (uint32_t i = 0; i < 200; i++)
            ck_assert_uint_eq(seen[i], i);
        stub_close(&stub);
    }
}
END_TEST

static void read_again(struct probe *probe)
{
    read_numbered((uint32_t)(probe - probes));
}

START_TEST(overflow_is_not_starved_by_a_callback_that_resubmits)
{
    setup_overflow(1);
    probes[0].then = read_again;
    for (uint32_t i = 0; i < 10; i++)
        read_numbered(i);
    for (uint32_t pass = 0; pass < 12; pass++)
        orr_run_once(loop);
    for (uint32_t i = 1; i < 10; i++)
        probe_check(&probes[i], sizeof bytes);
    ck_assert_uint_gt(probes[0].calls, 1);
    probes[0].then = NULL;
    orr_drain(loop);
    stub_close(&stub);
}
END_TEST

START_TEST(ten_thousand_in_flight_over_a_batch_of_eight)
{
    setup_overflow(8);
    stub_set_ways(&stub, STUB_HOLDS);
    for (uint32_t i = 0; i < MANY; i++)
        read_numbered(i);
    orr_run_for_ns(loop, 1);
    ck_assert_uint_eq(stub.held.count, MANY);
    ck_assert_uint_eq(statistics().in_flight, MANY);
    ck_assert_uint_eq(statistics().overflowed, MANY - 8);
    while (stub.held.count > 0) /* newest first */
        stub_end(&stub, stub.held.tail, 1);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < MANY; i++)
        must(probes[i].calls == 1 && probes[i].order == MANY - i && seen[i] == i);
    stub_close(&stub);
}
END_TEST

static void end_oldest(struct stub *of, uint64_t deadline_ns)
{
    (void)deadline_ns;
    stub_end(of, of->held.head, 1);
}

/* The backend is full of what does not end at once: the loop sleeps, it does not ask in circles. */
START_TEST(a_full_backend_is_waited_for)
{
    setup_overflow(4);
    stub.held_max = 4;
    stub.on_sleep = end_oldest;
    stub_set_ways(&stub, STUB_HOLDS);
    for (uint32_t i = 0; i < 100; i++)
        read_numbered(i);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_uint_eq(probes[i].order, i + 1);
    ck_assert_uint_eq(stub.sleeps, 100);
    ck_assert_uint_le(stub.flushes, 210);
    stub_close(&stub);
}
END_TEST

/* Full although it holds nothing: nothing will ever make room, so each operation ends with an
 * error. */
START_TEST(a_backend_that_is_full_with_nothing_in_flight)
{
    setup(4);
    stub.refuses = true;
    for (uint32_t i = 0; i < 20; i++)
        read_numbered(i);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < 20; i++) {
        probe_check(&probes[i], -ENOBUFS);
        ck_assert_uint_eq(probes[i].order, i + 1);
    }
    ck_assert_uint_eq(stub.sleeps, 0);
    memset(probes, 0, sizeof probes);
    stub.refuses = false;
    read_numbered(0);
    orr_run_until_idle(loop);
    probe_check(&probes[0], sizeof bytes);
    stub_close(&stub);
}
END_TEST

START_TEST(what_is_done_at_once_is_done_at_once_from_the_overflow_queue_too)
{
    setup(2);
    for (uint32_t i = 0; i < 4; i++)
        read_numbered(i);
    stub_set_ways(&stub, STUB_AT_ONCE);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < 4; i++)
        probe_check(&probes[i], sizeof bytes);
    stub_close(&stub);
}
END_TEST

PROBE_MAIN("submit", requests_say_what_was_asked, path_requests_say_what_was_asked,
           lengths_beyond_what_one_operation_does, offsets_beyond_what_a_file_has,
           submitting_never_calls_back_and_never_flushes, what_the_backend_lacks_is_not_supported,
           a_callback_may_submit_its_own_completion, misuse_is_caught_and_named,
           submitting_what_is_in_flight_is_caught_in_every_state, overflow_is_first_in_first_out,
           overflow_goes_before_new_submits, overflow_is_not_starved_by_a_callback_that_resubmits,
           ten_thousand_in_flight_over_a_batch_of_eight, a_full_backend_is_waited_for,
           a_backend_that_is_full_with_nothing_in_flight,
           what_is_done_at_once_is_done_at_once_from_the_overflow_queue_too)

/*
 * test_cancel.c: the early end of operations: a completion leaves the backend once, after both its
 * own end and the end of the cancel that aims at it, in whatever order the kernel brings them; and
 * the same in storms, with tiny rings and a kernel in every mood.
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include "../io/chance.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void pair_open(int pair[2])
{
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
}

static void pair_close(const int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

static void submit_recv(struct rig *rig, struct orr_completion *completion, int socket, char *byte)
{
    *byte = 0;
    rig_submit(rig, completion, ORR_OP_RECV, socket,
               ARGUMENTS(.transfer = {.buffer = byte, .length = 1}));
}

static void send_byte(int socket)
{
    must(send(socket, "z", 1, MSG_NOSIGNAL) == 1);
}

/* ---- one at a time --------------------------------------------------------------------------- */

/* In flight, and also in the very batch that submits it. */
START_TEST(test_cancel__ends_the_operation)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int pair[2];
    char byte;

    rig_open_setting(&rig, _i);
    pair_open(pair);
    for (int flushed = 0; flushed < 2; flushed++) {
        submit_recv(&rig, &completion, pair[0], &byte);
        if (flushed != 0)
            rig_flush(&rig, ORR_WAIT_NOT);
        rig_cancel(&rig, &completion);
        must_be(rig_end(&rig, &completion), -ECANCELED);
        must_be(completion.request.backend_bits & 1, 0);
    }
    send_byte(pair[1]); /* nobody takes it but the next */
    submit_recv(&rig, &completion, pair[0], &byte);
    must_be(rig_end(&rig, &completion), 1);
    pair_close(pair);
    rig_close(&rig);
}
END_TEST

START_TEST(test_cancel__asked_twice_is_sent_once)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int pair[2];
    char byte;

    rig_open(&rig, 8);
    pair_open(pair);
    submit_recv(&rig, &completion, pair[0], &byte);
    must(orr__uring.cancel(rig.state, &completion) == ORR_SUBMIT_QUEUED);
    must(orr__uring.cancel(rig.state, &completion) == ORR_SUBMIT_DONE);
    must_be(io_uring_sq_ready(&rig_uring(&rig)->ring), 2);
    must_be(rig_end(&rig, &completion), -ECANCELED);
    pair_close(pair);
    rig_close(&rig);
}
END_TEST

START_TEST(test_cancel__too_late_is_what_was_done)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int pair[2];
    char byte;

    rig_open_setting(&rig, _i);
    pair_open(pair);
    submit_recv(&rig, &completion, pair[0], &byte);
    rig_flush(&rig, ORR_WAIT_NOT);
    send_byte(pair[1]);
    rig_cancel(&rig, &completion);
    must_be(rig_end(&rig, &completion), byte == 'z' ? 1 : -ECANCELED);
    pair_close(pair);
    rig_close(&rig);
}
END_TEST

/*
 * The operation has ended and its cancel is still on its way, because the kernel refuses to take
 * it: if the completion left now and were submitted again, the cancel would hit that.
 */
START_TEST(test_cancel__completion_stays_until_the_cancel_has_ended)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int pair[2];
    char byte;

    rig_open_setting(&rig, _i);
    pair_open(pair);
    submit_recv(&rig, &completion, pair[0], &byte);
    rig_flush(&rig, ORR_WAIT_NOT);
    must(orr__uring.cancel(rig.state, &completion) == ORR_SUBMIT_QUEUED);
    kernel_be(KERNEL_AGAIN, true);
    send_byte(pair[1]);
    rig_flush(&rig, rig_now(&rig) + 20 * ORR_MILLISECOND);
    must_be(byte, 'z');
    must_be(completion.request.backend_bits, 3); /* ended, and a cancel was sent */
    must(rig_holds(&completion));
    kernel_be(KERNEL_WILLING, false);
    must_be(rig_end(&rig, &completion), 1);
    pair_close(pair);
    rig_close(&rig);
}
END_TEST

/* The same completion is submitted again at once: an old cancel would end the new operation. */
START_TEST(test_cancel__never_hits_the_next_operation)
{
    struct orr_completion completion = {0};
    struct rig rig;
    uint64_t luck = (uint64_t)_i;
    int pair[2];
    char byte;

    rig_open_setting(&rig, _i);
    pair_open(pair);
    for (int round = 0; round < 100; round++) {
        submit_recv(&rig, &completion, pair[0], &byte);
        if (chance_below(&luck, 2) == 0)
            rig_flush(&rig, ORR_WAIT_NOT);
        if (chance_below(&luck, 2) == 0)
            send_byte(pair[1]);
        rig_cancel(&rig, &completion);
        const int64_t result = rig_end(&rig, &completion);
        must(result == 1 || result == -ECANCELED);
        char rest;
        while (recv(pair[0], &rest, 1, MSG_DONTWAIT) == 1)
            must(result == -ECANCELED);
        submit_recv(&rig, &completion, pair[0], &byte);
        rig_flush(&rig, ORR_WAIT_NOT);
        must(rig_holds(&completion));
        send_byte(pair[1]);
        must_be(rig_end(&rig, &completion), 1);
    }
    pair_close(pair);
    rig_close(&rig);
}
END_TEST

/* ---- close ----------------------------------------------------------------------------------- */

/* Before Linux 6.0 there is no call that cancels everything and waits for it. */
static bool kernel_cancels_at_close(void)
{
    struct io_uring ring;
    struct io_uring_sync_cancel_reg cancel = {
        .fd = -1, .flags = IORING_ASYNC_CANCEL_ANY, .timeout = {.tv_sec = 1}};

    must(io_uring_queue_init(2, &ring, 0) == 0);
    const int result = io_uring_register_sync_cancel(&ring, &cancel);
    io_uring_queue_exit(&ring);
    return result != -EINVAL;
}

/* What a discarded loop leaves in flight must not write to memory that is the caller's again. */
START_TEST(test_cancel__close_ends_what_is_in_flight)
{
    enum { MANY = 20 };
    struct orr_completion completions[MANY] = {0};
    struct rig rig;
    int pairs[MANY][2];
    char bytes[MANY];

    if (!kernel_cancels_at_close())
        return;
    rig_open_setting(&rig, _i);
    for (int i = 0; i < MANY; i++) {
        pair_open(pairs[i]);
        submit_recv(&rig, &completions[i], pairs[i][0], &bytes[i]);
    }
    rig_flush(&rig, ORR_WAIT_NOT);
    orr__uring.close(rig.state);
    for (int i = 0; i < MANY; i++) {
        char byte;
        send_byte(pairs[i][1]);
        must(recv(pairs[i][0], &byte, 1, MSG_DONTWAIT) == 1);
        must_be(bytes[i], 0);
        pair_close(pairs[i]);
    }
}
END_TEST

/* ---- storms ---------------------------------------------------------------------------------- */

/* Few enough that two sockets each fit the usual limit of descriptors. */
#define STREAMS 100

struct storm {
    struct rig rig;
    struct orr_completion completions[STREAMS];
    int pairs[STREAMS][2];
    char bytes[STREAMS];
    uint64_t luck;
    uint64_t received;
    uint64_t canceled;
};

static void storm_open(struct storm *storm, uint64_t seed)
{
    for (int i = 0; i < STREAMS; i++)
        pair_open(storm->pairs[i]);
    storm->luck = seed;
}

static void storm_close(struct storm *storm)
{
    kernel_be(KERNEL_WILLING, false);
    for (int i = 0; i < STREAMS; i++)
        pair_close(storm->pairs[i]);
    rig_close(&storm->rig);
    free(storm);
}

/* Each receive gets a byte, a cancel, or both in either order, with flushes here and there. */
static void stir(struct storm *storm)
{
    for (int i = 0; i < STREAMS; i++) {
        const uint64_t kind = chance_below(&storm->luck, 4);
        if (kind == 0)
            rig_cancel(&storm->rig, &storm->completions[i]);
        if (kind <= 2)
            send_byte(storm->pairs[i][1]);
        if (kind == 1 || kind == 3)
            rig_cancel(&storm->rig, &storm->completions[i]);
        if (chance_below(&storm->luck, 64) == 0)
            rig_flush(&storm->rig, ORR_WAIT_NOT);
    }
}

/* A byte is received once: by the operation, or it is still there. */
static void settle(struct storm *storm, int i)
{
    const int64_t result = storm->completions[i].result;
    char rest;

    must_be(storm->completions[i].request.backend_bits & 1, 0);
    if (result == 1) {
        must_be(storm->bytes[i], 'z');
        must(recv(storm->pairs[i][0], &rest, 1, MSG_DONTWAIT) == -1);
        storm->received++;
        return;
    }
    must_be(result, -ECANCELED);
    must_be(storm->bytes[i], 0);
    (void)!recv(storm->pairs[i][0], &rest, 1, MSG_DONTWAIT);
    storm->canceled++;
}

static void storm_round(struct storm *storm)
{
    for (int i = 0; i < STREAMS; i++)
        submit_recv(&storm->rig, &storm->completions[i], storm->pairs[i][0], &storm->bytes[i]);
    if (chance_below(&storm->luck, 2) == 0)
        rig_flush(&storm->rig, ORR_WAIT_NOT);
    stir(storm);
    rig_end_all(&storm->rig);
    for (int i = 0; i < STREAMS; i++)
        settle(storm, i);
}

/* Every mood on every kernel with every batch. */
START_TEST(test_cancel__storm)
{
    struct storm *storm = calloc(1, sizeof *storm);

    must(storm != NULL);
    storm_open(storm, (uint64_t)_i);
    rig_open_setting(&storm->rig, _i / KERNEL_BROKEN);
    kernel_be((enum kernel_mood)(_i % KERNEL_BROKEN), false);
    for (int round = 0; round < 8; round++)
        storm_round(storm);
    /* The others strike at what a storm need not contain. */
    must(kernel.strikes > 0 || (kernel.mood != KERNEL_AGAIN && kernel.mood != KERNEL_BUSY));
    must(storm->received > 0 && storm->canceled > 0);
    storm_close(storm);
}
END_TEST

/* Completions by the hundred, and a ring for sixteen. */
START_TEST(test_cancel__storm_over_a_tiny_completion_ring)
{
    struct storm *storm = calloc(1, sizeof *storm);

    must(storm != NULL);
    storm_open(storm, (uint64_t)_i);
    kernel.version = &kernel_versions[_i];
    kernel.completions = 16;
    rig_open(&storm->rig, 8);
    must_be(rig_uring(&storm->rig)->ring.cq.ring_entries, 16);
    for (int round = 0; round < 16; round++) {
        kernel_be(round % 2 == 0 ? KERNEL_WILLING : KERNEL_ANY, false);
        storm_round(storm);
    }
    storm_close(storm);
}
END_TEST

/* Thousands in flight, all canceled: far more cancels than the batch and the ring hold. */
START_TEST(test_cancel__thousands_at_once)
{
    enum { MANY = 5000 };
    struct orr_completion *completions = calloc(MANY, sizeof *completions);
    struct rig rig;
    int ends[2];

    kernel.version = &kernel_versions[_i];
    kernel.completions = 16;
    rig_open(&rig, 8);
    must(completions != NULL && pipe(ends) == 0);
    for (int i = 0; i < MANY; i++)
        rig_submit(&rig, &completions[i], ORR_OP_POLL, ends[0], ARGUMENTS(.events = ORR_POLL_IN));
    for (int i = 0; i < MANY; i++)
        rig_cancel(&rig, &completions[MANY - 1 - i]);
    rig_end_all(&rig);
    for (int i = 0; i < MANY; i++)
        must_be(completions[i].result, -ECANCELED);
    close(ends[0]);
    close(ends[1]);
    rig_close(&rig);
    free(completions);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, test_cancel__ends_the_operation, 0, RIG_SETTINGS);
    tcase_add_test(tests, test_cancel__asked_twice_is_sent_once);
    tcase_add_loop_test(tests, test_cancel__too_late_is_what_was_done, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_cancel__completion_stays_until_the_cancel_has_ended, 0,
                        RIG_SETTINGS);
    tcase_add_loop_test(tests, test_cancel__never_hits_the_next_operation, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_cancel__close_ends_what_is_in_flight, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_cancel__storm, 0, RIG_SETTINGS * KERNEL_BROKEN);
    tcase_add_loop_test(tests, test_cancel__storm_over_a_tiny_completion_ring, 0, KERNEL_VERSIONS);
    tcase_add_loop_test(tests, test_cancel__thousands_at_once, 0, KERNEL_VERSIONS);
}

int main(void)
{
    return rig_run("cancel", add, suite_run);
}

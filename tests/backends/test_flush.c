/*
 * test_flush.c: the exchange of batch and completions: how many system calls it makes, when it
 * sleeps and when it must not, and what becomes of it when the kernel refuses, interrupts, takes a
 * part, or fails.
 *
 * Times are compared in one direction only: a flush may be late on a busy machine, never early.
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include "../io/chance.h"
#include "../io/dies.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Several kernels, one batch: where only the kernel makes a difference. */
static void open_version(struct rig *rig, int version)
{
    kernel.version = &kernel_versions[version];
    rig_open(rig, 8);
}

/* A pipe to poll: `ends[0]` is readable after make_readable, `ends[1]` always writable. */
static void pipe_open(int ends[2])
{
    must(pipe(ends) == 0);
}

static void make_readable(const int ends[2])
{
    must(write(ends[1], "x", 1) == 1);
}

static void pipe_close(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static const union orr_arguments readable = {.events = ORR_POLL_IN};
static const union orr_arguments writable = {.events = ORR_POLL_OUT};

/* ---- system calls ---------------------------------------------------------------------------- */

START_TEST(test_flush__nothing_to_do_is_no_system_call)
{
    struct rig rig;

    rig_open_setting(&rig, _i);
    const uint64_t before = kernel.enters;
    rig_flush(&rig, ORR_WAIT_NOT);
    rig_flush(&rig, 1); /* long past */
    must_be(kernel.enters - before, 0);
    rig_close(&rig);
}
END_TEST

/* Handing over and taking back what is done at once: one system call for all. */
START_TEST(test_flush__a_batch_is_one_system_call)
{
    struct orr_completion polls[256] = {0};
    struct rig rig;
    int ends[2];

    rig_open_setting(&rig, _i);
    pipe_open(ends);
    for (uint32_t i = 0; i < rig.batch_entries; i++)
        must(rig_offer(&rig, &polls[i], ORR_OP_POLL, ends[1], writable) == ORR_SUBMIT_QUEUED);
    const uint64_t before = kernel.enters;
    rig_flush(&rig, ORR_WAIT_FOREVER);
    must_be(kernel.enters - before, 1);
    must_be(rig.held, 0);
    pipe_close(ends);
    rig_close(&rig);
}
END_TEST

/* Kernels with deferred work do it only in an enter that asks for events. */
START_TEST(test_flush__takes_what_became_ready_without_waiting)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int ends[2];

    rig_open_setting(&rig, _i);
    pipe_open(ends);
    for (int round = 0; round < 10; round++) {
        char byte;
        rig_submit(&rig, &completion, ORR_OP_POLL, ends[0], readable);
        rig_flush(&rig, ORR_WAIT_NOT);
        must(rig_holds(&completion));
        make_readable(ends);
        rig_flush(&rig, ORR_WAIT_NOT);
        must(!rig_holds(&completion));
        must(read(ends[0], &byte, 1) == 1);
    }
    pipe_close(ends);
    rig_close(&rig);
}
END_TEST

/* ---- waiting --------------------------------------------------------------------------------- */

/* Spans from a nanosecond up, none a multiple of anything. A wait is one system call, so what is
 * rounded down shows as an early end, or as another enter for the rest. */
START_TEST(test_flush__is_never_early)
{
    struct rig rig;
    uint64_t luck = (uint64_t)_i;

    open_version(&rig, _i);
    for (int round = 0; round < 60; round++) {
        const uint64_t limit_ns = UINT64_C(1) << (1 + round % 21);
        const uint64_t deadline_ns = rig_now(&rig) + 1 + chance_below(&luck, limit_ns);
        const uint64_t before = kernel.enters;
        rig_flush(&rig, deadline_ns);
        must(rig_now(&rig) >= deadline_ns);
        must(kernel.enters - before <= 2);
    }
    rig_close(&rig);
}
END_TEST

/* "For ever", and waits too long for the kernel's clock to hold, end as soon as something does. */
START_TEST(test_flush__long_waits_end_with_the_first_completion)
{
    static const uint64_t deadlines[] = {ORR_WAIT_FOREVER, ORR_WAIT_FOREVER - 1, UINT64_MAX / 2};
    struct orr_completion polls[2] = {0};
    struct rig rig;
    int ends[2];

    open_version(&rig, _i);
    pipe_open(ends);
    for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
        char byte;
        rig_submit(&rig, &polls[0], ORR_OP_POLL, ends[0], readable);
        rig_flush(&rig, ORR_WAIT_NOT);
        make_readable(ends);
        rig_flush(&rig, deadlines[i]);
        must(!rig_holds(&polls[0]));
        rig_submit(&rig, &polls[0], ORR_OP_POLL, ends[1], writable);
        rig_submit(&rig, &polls[1], ORR_OP_POLL, ends[0], readable);
        must(read(ends[0], &byte, 1) == 1);
        rig_flush(&rig, deadlines[i]);
        must(!rig_holds(&polls[0]) && rig_holds(&polls[1]));
        make_readable(ends);
        must_be(rig_end(&rig, &polls[1]), ORR_POLL_IN);
        must(read(ends[0], &byte, 1) == 1);
    }
    pipe_close(ends);
    rig_close(&rig);
}
END_TEST

static void ignore_signal(int number)
{
    (void)number;
}

static void tick_every_us(uint32_t interval_us)
{
    const struct itimerval timer = {.it_interval = {.tv_usec = interval_us},
                                    .it_value = {.tv_usec = interval_us}};
    const struct sigaction action = {.sa_handler = ignore_signal}; /* no SA_RESTART */

    must(sigaction(SIGALRM, &action, NULL) == 0);
    must(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

START_TEST(test_flush__signals_do_not_end_a_wait)
{
    struct rig rig;

    open_version(&rig, _i);
    const uint64_t before = kernel.enters;
    tick_every_us(500);
    for (int round = 0; round < 3; round++) {
        const uint64_t deadline_ns = rig_now(&rig) + 20 * ORR_MILLISECOND;
        rig_flush(&rig, deadline_ns);
        must(rig_now(&rig) >= deadline_ns);
    }
    tick_every_us(0);
    must(kernel.enters - before > 3); /* signals did come */
    rig_close(&rig);
}
END_TEST

/* ---- a kernel that does not do as it is told ------------------------------------------------- */

/* Waits that are cut short, by signals or by the clock's mistake, go on. */
START_TEST(test_flush__waits_cut_short_go_on)
{
    static const enum kernel_mood moods[] = {KERNEL_INTERRUPTED, KERNEL_HASTY};
    struct rig rig;

    open_version(&rig, _i / 2);
    kernel_be(moods[_i % 2], false);
    for (int round = 0; round < 20; round++) {
        const uint64_t deadline_ns = rig_now(&rig) + ORR_MILLISECOND;
        rig_flush(&rig, deadline_ns);
        must(rig_now(&rig) >= deadline_ns);
    }
    must(kernel.strikes > 0);
    rig_close(&rig);
}
END_TEST

/* One flush hands the whole batch over, however many enters it takes. */
START_TEST(test_flush__parts_add_up_to_the_batch)
{
    struct orr_completion polls[256] = {0};
    struct rig rig;
    int ends[2];

    rig_open_setting(&rig, _i);
    pipe_open(ends);
    kernel_be(KERNEL_PARTIAL, true);
    for (int round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < rig.batch_entries; i++)
            must(rig_offer(&rig, &polls[i], ORR_OP_POLL, ends[0], readable) == ORR_SUBMIT_QUEUED);
        rig_flush(&rig, ORR_WAIT_NOT);
        must(!orr__uring.unflushed(rig.state));
        must_be(rig.held, rig.batch_entries);
        make_readable(ends);
        rig_end_all(&rig);
        char byte;
        must(read(ends[0], &byte, 1) == 1);
    }
    must(rig.batch_entries == 1 || kernel.strikes >= 10);
    pipe_close(ends);
    rig_close(&rig);
}
END_TEST

static const enum kernel_mood refusals[] = {KERNEL_AGAIN, KERNEL_BUSY};

#define REFUSALS 2

/* No flush fails because of it, none spins until its deadline, and the batch stays whole. */
START_TEST(test_flush__refused_batches_stay)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int ends[2];

    open_version(&rig, _i / REFUSALS);
    pipe_open(ends);
    rig_submit(&rig, &completion, ORR_OP_POLL, ends[1], writable);
    kernel_be(refusals[_i % REFUSALS], true);
    rig_flush(&rig, ORR_WAIT_NOT);
    must_be(kernel.strikes, 1);
    const uint64_t deadline_ns = rig_now(&rig) + 20 * ORR_MILLISECOND;
    rig_flush(&rig, deadline_ns);
    must(rig_now(&rig) >= deadline_ns);
    must(kernel.strikes > 1 && kernel.strikes < 100); /* about one each millisecond */
    must(rig_holds(&completion) && orr__uring.unflushed(rig.state));
    kernel.strikes_left = 3;
    must_be(rig_end(&rig, &completion), ORR_POLL_OUT);
    must(!orr__uring.unflushed(rig.state));
    pipe_close(ends);
    rig_close(&rig);
}
END_TEST

/* What ends while a batch is refused makes the flush return: that is what makes room. */
START_TEST(test_flush__refused_batches_do_not_hide_completions)
{
    struct orr_completion polls[2] = {0};
    struct rig rig;
    int ends[2];

    open_version(&rig, _i / REFUSALS);
    pipe_open(ends);
    rig_submit(&rig, &polls[0], ORR_OP_POLL, ends[0], readable);
    rig_flush(&rig, ORR_WAIT_NOT);
    rig_submit(&rig, &polls[1], ORR_OP_POLL, ends[1], writable);
    kernel_be(refusals[_i % REFUSALS], true);
    make_readable(ends);
    rig_flush(&rig, ORR_WAIT_FOREVER);
    must(!rig_holds(&polls[0]) && rig_holds(&polls[1]));
    must(orr__uring.unflushed(rig.state) && kernel.strikes > 0);
    kernel_be(KERNEL_WILLING, false);
    must_be(rig_end(&rig, &polls[1]), ORR_POLL_OUT);
    pipe_close(ends);
    rig_close(&rig);
}
END_TEST

/* Every other error is the end of the loop, and must not be mistaken for one of those above. */
START_TEST(test_flush__other_errors_are_its_result)
{
    struct orr_completion completion = {0};
    struct rig rig;
    int ends[2];

    open_version(&rig, 0);
    pipe_open(ends);
    rig_submit(&rig, &completion, ORR_OP_POLL, ends[1], writable);
    kernel_be(KERNEL_BROKEN, true);
    for (int error = 1; error < 134; error++) {
        const bool passes = error == EAGAIN || error == EBUSY || error == EINTR || error == ETIME;
        kernel.error = -error;
        kernel.strikes_left = 1;
        if (passes)
            continue;
        must_be(rig_try_flush(&rig, ORR_WAIT_NOT), -error);
        must(rig_holds(&completion) && orr__uring.unflushed(rig.state));
    }
    kernel_be(KERNEL_WILLING, false);
    must_be(rig_end(&rig, &completion), ORR_POLL_OUT); /* nothing was lost on the way */
    pipe_close(ends);
    rig_close(&rig);
}
END_TEST

/* ---- completions that overflow --------------------------------------------------------------- */

/* Everything ends at once, several times what the completion ring holds: each flush brings some,
 * until all are there. */
START_TEST(test_flush__a_full_completion_ring_loses_nothing)
{
    enum { MANY = 700 };
    struct orr_completion *polls = calloc(MANY, sizeof *polls);
    struct rig rig;
    int ends[2];

    kernel.version = &kernel_versions[_i];
    kernel.completions = 16;
    rig_open(&rig, 8);
    must(polls != NULL && rig_uring(&rig)->ring.cq.ring_entries == 16);
    pipe_open(ends);
    for (int i = 0; i < MANY; i++)
        rig_submit(&rig, &polls[i], ORR_OP_POLL, ends[0], readable);
    rig_flush(&rig, ORR_WAIT_NOT);
    must_be(rig.held, MANY);
    make_readable(ends);
    for (uint64_t held = MANY; rig.held > 0; held = rig.held) {
        rig_flush(&rig, ORR_WAIT_NOT);
        must(rig.held < held);
    }
    for (int i = 0; i < MANY; i++)
        must_be(polls[i].result, ORR_POLL_IN);
    pipe_close(ends);
    rig_close(&rig);
    free(polls);
}
END_TEST

/* The kernel counts the completions that it had no memory for: their operations never end. */
START_TEST(test_flush__lost_completions_are_an_error)
{
    struct rig rig;

    rig_open(&rig, 8);
    *rig_uring(&rig)->ring.cq.koverflow = 1;
    must_be(rig_try_flush(&rig, ORR_WAIT_NOT), -EBADR);
    rig_close(&rig);
}
END_TEST

/* ---- caught errors --------------------------------------------------------------------------- */

struct elsewhere {
    struct rig *rig;
    int result;
};

static void *flush_elsewhere(void *context)
{
    struct elsewhere *elsewhere = context;

    elsewhere->result = rig_try_flush(elsewhere->rig, ORR_WAIT_FOREVER);
    return NULL;
}

/* The batch is not touched, and the thread that opened the ring goes on with it. */
START_TEST(test_flush__belongs_to_the_thread_that_opened)
{
    struct orr_completion completion = {0};
    struct rig rig;
    struct elsewhere elsewhere = {.rig = &rig};
    pthread_t thread;
    int ends[2];

    open_version(&rig, _i);
    pipe_open(ends);
    rig_submit(&rig, &completion, ORR_OP_POLL, ends[1], writable);
    must(pthread_create(&thread, NULL, flush_elsewhere, &elsewhere) == 0);
    must(pthread_join(thread, NULL) == 0);
    must_be(elsewhere.result, -EEXIST);
    must(rig_holds(&completion));
    must_be(rig_end(&rig, &completion), ORR_POLL_OUT);
    pipe_close(ends);
    rig_close(&rig);
}
END_TEST

static void submit_a_stranger(void *context)
{
    struct rig rig;

    (void)context;
    rig_open(&rig, 8);
    struct io_uring *ring = &((struct orr__uring *)rig.state)->ring;
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_nop(sqe);
    sqe->user_data = 0x1003;
    rig_flush(&rig, ORR_WAIT_NOT);
}

START_TEST(test_flush__an_entry_that_nobody_submitted_is_caught)
{
    DIES(submit_a_stranger, NULL, "orrery: internal:", "nobody submitted", "0x1003");
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, test_flush__nothing_to_do_is_no_system_call, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_flush__a_batch_is_one_system_call, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_flush__takes_what_became_ready_without_waiting, 0,
                        RIG_SETTINGS);
    tcase_add_loop_test(tests, test_flush__is_never_early, 0, KERNEL_VERSIONS);
    tcase_add_loop_test(tests, test_flush__long_waits_end_with_the_first_completion, 0,
                        KERNEL_VERSIONS);
    tcase_add_loop_test(tests, test_flush__signals_do_not_end_a_wait, 0, KERNEL_VERSIONS);
    tcase_add_loop_test(tests, test_flush__waits_cut_short_go_on, 0, KERNEL_VERSIONS * 2);
    tcase_add_loop_test(tests, test_flush__parts_add_up_to_the_batch, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_flush__refused_batches_stay, 0, KERNEL_VERSIONS * REFUSALS);
    tcase_add_loop_test(tests, test_flush__refused_batches_do_not_hide_completions, 0,
                        KERNEL_VERSIONS * REFUSALS);
    tcase_add_test(tests, test_flush__other_errors_are_its_result);
    tcase_add_loop_test(tests, test_flush__a_full_completion_ring_loses_nothing, 0,
                        KERNEL_VERSIONS);
    tcase_add_test(tests, test_flush__lost_completions_are_an_error);
    tcase_add_loop_test(tests, test_flush__belongs_to_the_thread_that_opened, 0, KERNEL_VERSIONS);
    tcase_add_test(tests, test_flush__an_entry_that_nobody_submitted_is_caught);
}

int main(void)
{
    return rig_run("flush", add, suite_run);
}

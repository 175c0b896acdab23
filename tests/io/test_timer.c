/*
 * test_timer.c: the timer heap of io/timer.c. The heap itself is compared with a sorted array, move
 * by move; what the loop makes of it is seen through orr_timeout on the stub's clock.
 */
#include "io/internal.h"
#include "tests/io/chance.h"
#include "tests/io/probe.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the heap against a sorted array --------------------------------------------------------- */

#define TIMERS 300u

struct sorted {
    struct orr_loop loop; /* only its timers are used */
    struct orr_completion timers[TIMERS];
    struct orr_completion *order[TIMERS]; /* first to last */
    uint32_t count;
};

static uint64_t deadline_of(const struct orr_completion *timer)
{
    return timer->request.arguments.timer.deadline_ns;
}

static void sorted_add(struct sorted *sorted, struct orr_completion *timer, uint64_t deadline_ns)
{
    uint32_t at = sorted->count;
    for (; at > 0 && deadline_of(sorted->order[at - 1]) > deadline_ns; at--)
        sorted->order[at] = sorted->order[at - 1];
    sorted->order[at] = timer;
    sorted->count++;
    memset(timer, 0, sizeof *timer);
    timer->request.op = ORR_OP_TIMEOUT;
    timer->request.state = ORR__HELD;
    timer->request.arguments.timer.deadline_ns = deadline_ns;
    orr__timer_add(&sorted->loop, timer);
    must(timer->request.state == ORR__TIMER);
}

static void sorted_forget(struct sorted *sorted, uint32_t at)
{
    sorted->count--;
    memmove(&sorted->order[at], &sorted->order[at + 1],
            (sorted->count - at) * sizeof sorted->order[0]);
}

static void sorted_remove(struct sorted *sorted, uint32_t at)
{
    struct orr_completion *timer = sorted->order[at];
    orr__timer_remove(&sorted->loop, timer);
    timer->request.state = ORR__IDLE;
    sorted_forget(sorted, at);
}

static void sorted_expire(struct sorted *sorted, uint64_t now_ns)
{
    orr__timers_expire(&sorted->loop, now_ns);
    struct orr_completion *fired;
    while ((fired = orr_queue_pop(&sorted->loop.completed)) != NULL) {
        must(sorted->count > 0);
        must(fired == sorted->order[0]);
        must(deadline_of(fired) <= now_ns);
        must(fired->result == 0);
        fired->request.state = ORR__IDLE;
        sorted_forget(sorted, 0);
    }
    if (sorted->count > 0 && deadline_of(sorted->order[0]) != UINT64_MAX)
        must(deadline_of(sorted->order[0]) > now_ns);
}

static void check_first(const struct sorted *sorted)
{
    uint64_t first_ns = sorted->count > 0 ? deadline_of(sorted->order[0]) : UINT64_MAX;
    must(orr__timers_deadline(&sorted->loop) == first_ns);
}

struct seen {
    const struct sorted *sorted;
    bool timers[TIMERS];
    uint32_t count;
};

static void see(void *context, const struct orr_completion *completion)
{
    struct seen *seen = context;
    ptrdiff_t at = completion - seen->sorted->timers;
    must(at >= 0 && at < (ptrdiff_t)TIMERS && !seen->timers[at]);
    must(completion->request.state == ORR__TIMER);
    seen->timers[at] = true;
    seen->count++;
}

/* A visit sees each timer once. */
static void check_visit(const struct sorted *sorted)
{
    struct seen seen = {.sorted = sorted};
    orr__timers_visit(&sorted->loop, see, &seen);
    must(seen.count == sorted->count);
}

static struct orr_completion *idle_timer(struct sorted *sorted, uint64_t *state)
{
    uint32_t at = (uint32_t)chance_below(state, TIMERS);
    while (sorted->timers[at].request.state != ORR__IDLE)
        at = (at + 1) % TIMERS;
    return &sorted->timers[at];
}

/* Few distinct deadlines make many equal ones; the range grows with the variant. */
static void play(uint64_t variant)
{
    struct sorted *sorted = calloc(1, sizeof *sorted);
    uint64_t state = variant;
    uint64_t now_ns = 0;
    uint64_t range = UINT64_C(3) << (variant * 4);
    must(sorted != NULL);
    for (uint32_t move = 0; move < 30000; move++) {
        uint64_t kind = chance_below(&state, 10);
        uint64_t busy = move / 3000 % 2 == 0 ? 6 : 3; /* the heap grows, then shrinks */
        if (kind < busy && sorted->count < TIMERS)
            sorted_add(sorted, idle_timer(sorted, &state), now_ns + chance_below(&state, range));
        else if (kind < 9 && sorted->count > 0)
            sorted_remove(sorted, (uint32_t)chance_below(&state, sorted->count));
        else
            sorted_expire(sorted, now_ns += chance_below(&state, range / 3 + 1));
        check_first(sorted);
        if (move % 16 == 0)
            check_visit(sorted);
    }
    sorted_expire(sorted, UINT64_MAX);
    must(sorted->count == 0);
    must(sorted->loop.timers == NULL);
    free(sorted);
}

START_TEST(agrees_with_a_sorted_array)
{
    for (uint64_t variant = 0; variant < 10; variant++)
        play(variant);
}
END_TEST

/* Removes each of a heap's nodes in turn, for heaps of every shape that a few pops make. */
START_TEST(removal_from_every_place)
{
    struct sorted *sorted = calloc(1, sizeof *sorted);
    ck_assert_ptr_nonnull(sorted);
    for (uint32_t pops = 0; pops < 8; pops++) {
        for (uint32_t victim = 0; victim < 24 - pops; victim++) {
            for (uint32_t i = 0; i < 24; i++)
                sorted_add(sorted, &sorted->timers[i], i * 7 % 24);
            for (uint32_t i = 0; i < pops; i++)
                sorted_expire(sorted, deadline_of(sorted->order[0]));
            sorted_remove(sorted, victim);
            sorted_expire(sorted, 100);
            ck_assert_uint_eq(sorted->count, 0);
        }
    }
    free(sorted);
}
END_TEST

START_TEST(the_end_of_time_never_comes)
{
    struct sorted *sorted = calloc(1, sizeof *sorted);
    ck_assert_ptr_nonnull(sorted);
    sorted_add(sorted, &sorted->timers[0], UINT64_MAX);
    sorted_add(sorted, &sorted->timers[1], UINT64_MAX - 1);
    sorted_add(sorted, &sorted->timers[2], UINT64_MAX);
    sorted_expire(sorted, UINT64_MAX - 2);
    ck_assert_uint_eq(sorted->count, 3);
    sorted_expire(sorted, UINT64_MAX);
    ck_assert_uint_eq(sorted->count, 2);
    ck_assert_ptr_eq(sorted->order[0], &sorted->timers[0]);
    ck_assert_uint_eq(sorted->loop.statistics.timers_fired, 1);
    check_first(sorted);
    free(sorted);
}
END_TEST

/* ---- orr_timeout ----------------------------------------------------------------------------- */

static struct stub stub;
static struct orr_loop *loop;

static void open_at(uint64_t now_ns)
{
    memset(&stub, 0, sizeof stub);
    stub.now_ns = now_ns;
    loop = stub_open(&stub, NULL);
    probe_count = 0;
}

static void add(struct probe *probe, uint64_t after_ns)
{
    orr_timeout(loop, &probe->completion, after_ns, probe_called, probe);
}

START_TEST(a_million)
{
    const uint32_t count = 1000000;
    struct orr_loop bare;
    struct orr_completion *timers = calloc(count, sizeof *timers);
    uint64_t state = 1;
    must(timers != NULL);
    memset(&bare, 0, sizeof bare);
    for (uint32_t i = 0; i < count; i++) {
        timers[i].request.state = ORR__HELD;
        timers[i].request.arguments.timer.deadline_ns = chance_below(&state, count / 2);
        orr__timer_add(&bare, &timers[i]);
    }
    for (uint32_t i = 0; i < count; i += 3) {
        orr__timer_remove(&bare, &timers[i]);
        timers[i].request.state = ORR__IDLE;
    }
    uint64_t left = count - (count + 2) / 3;
    const struct orr_completion *before = NULL;
    for (uint64_t now_ns = 0; now_ns < count / 2; now_ns += 1 + chance_below(&state, 1000)) {
        orr__timers_expire(&bare, now_ns);
        struct orr_completion *fired;
        while ((fired = orr_queue_pop(&bare.completed)) != NULL) {
            must(deadline_of(fired) <= now_ns);
            must(before == NULL || deadline_of(before) < deadline_of(fired) ||
                 (deadline_of(before) == deadline_of(fired) && before < fired));
            before = fired;
            left--;
        }
        must(orr__timers_deadline(&bare) > now_ns);
    }
    orr__timers_expire(&bare, count);
    must(bare.completed.count == left);
    free(timers);
}
END_TEST

START_TEST(equal_deadlines_in_submit_order)
{
    static struct probe probes[100];
    open_at(50);
    for (uint32_t i = 0; i < 100; i++)
        add(&probes[i], 1000 - (i >= 50 ? 10 : 0)); /* the second half is submitted 10 ns later */
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 990);
    orr_run_until_idle(loop);
    ck_assert_uint_eq(stub.now_ns, 1050);
    for (uint32_t i = 0; i < 100; i++) {
        probe_check(&probes[i], 0);
        ck_assert_uint_eq(probes[i].order, i >= 50 ? i - 49 : i + 51);
    }
    stub_close(&stub);
}
END_TEST

/* Two submitted at different times for the same instant: the earlier submit first. */
START_TEST(equal_deadlines_submitted_at_different_times)
{
    static struct probe probes[3];
    open_at(0);
    add(&probes[0], 100);
    stub.now_ns = 40;
    add(&probes[1], 60);
    stub.now_ns = 90;
    add(&probes[2], 10);
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < 3; i++) {
        probe_check(&probes[i], 0);
        ck_assert_uint_eq(probes[i].order, i + 1);
    }
    stub_close(&stub);
}
END_TEST

static void look_at_the_clock(struct probe *probe)
{
    must(stub.now_ns >= *(const uint64_t *)probe->context);
}

START_TEST(never_early_even_if_flushes_are)
{
    static struct probe probes[3];
    static uint64_t deadlines[3] = {100, 200, 250};
    open_at(0);
    for (uint32_t i = 0; i < 3; i++) {
        probes[i].then = look_at_the_clock;
        probes[i].context = &deadlines[i];
        add(&probes[i], deadlines[i]);
    }
    stub.early = 7;
    stub.early_ns = 33;
    orr_run_until_idle(loop);
    for (uint32_t i = 0; i < 3; i++)
        probe_check(&probes[i], 0);
    stub_close(&stub);
}
END_TEST

static struct probe second;

static void submit_second(struct probe *probe)
{
    (void)probe;
    add(&second, 0);
}

START_TEST(zero_runs_on_the_next_pass)
{
    static struct probe first;
    open_at(1000);
    memset(&second, 0, sizeof second);
    first.then = submit_second;
    add(&first, 0);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), 0);
    orr_run_for_ns(loop, 0);
    probe_check(&first, 0);
    ck_assert_uint_eq(second.calls, 0);
    orr_run_for_ns(loop, 0);
    probe_check(&second, 0);
    ck_assert_uint_eq(stub.now_ns, 1000);
    ck_assert_uint_eq(stub.sleeps, 0);
    stub_close(&stub);
}
END_TEST

START_TEST(saturates_and_is_canceled)
{
    static struct probe huge;
    static struct probe cancel;
    open_at(1);
    add(&huge, UINT64_MAX);
    ck_assert_uint_eq(orr_loop_timeout_ns(loop), UINT64_MAX);
    orr_run_for_ns(loop, UINT64_C(1) << 62);
    ck_assert_uint_eq(huge.calls, 0);
    orr_cancel(loop, &cancel.completion, &huge.completion, probe_called, &cancel);
    orr_run_once(loop);
    orr_run_once(loop);
    probe_check(&huge, -ECANCELED);
    probe_check(&cancel, 0);
    stub_close(&stub);
}
END_TEST

static void resubmit_soon(struct probe *probe)
{
    if (probe->calls < 1000)
        add(probe, 10);
}

/* A timer is not stranded behind work that never ends. */
START_TEST(is_not_starved_by_ready_completions)
{
    static struct probe busy;
    static struct probe timer;
    open_at(0);
    busy.then = resubmit_soon;
    stub.flush_ns = 10; /* the busy timer is due in every pass */
    add(&busy, 0);
    add(&timer, 55);
    for (uint32_t passes = 0; timer.calls == 0; passes++) {
        ck_assert_uint_lt(passes, 8);
        orr_run_for_ns(loop, 0);
    }
    probe_check(&timer, 0);
    ck_assert_uint_lt(busy.calls, 9);
    orr_drain(loop);
    stub_close(&stub);
}
END_TEST

PROBE_MAIN("timer", agrees_with_a_sorted_array, removal_from_every_place,
           the_end_of_time_never_comes, a_million, equal_deadlines_in_submit_order,
           equal_deadlines_submitted_at_different_times, never_early_even_if_flushes_are,
           zero_runs_on_the_next_pass, saturates_and_is_canceled,
           is_not_starved_by_ready_completions)

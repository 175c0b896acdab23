/*
 * test_allocation.c: nothing is allocated after a loop is open. A program that uses everything the
 * loop has, over a batch that is always too small, runs between two looks at the counter.
 */
#include "tests/io/chance.h"
#include "tests/io/count_allocations.h"
#include "tests/io/every.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROBES 512u
#define HANDLES 16u

static struct stub stub;
static struct orr_loop *loop;
static struct probe probes[PROBES];
static orr_handle handles[HANDLES];
static uint64_t state;
static char bytes[64];

static struct probe *idle_probe(void)
{
    for (uint32_t i = 0; i < PROBES; i++)
        if (!orr_in_flight(&probes[i].completion))
            return &probes[i];
    return NULL;
}

static void cancel_any(struct probe *probe)
{
    struct probe *target = &probes[chance_below(&state, PROBES)];
    if (target != probe)
        orr_cancel(loop, &probe->completion, &target->completion, probe_called, probe);
}

static void close_any(struct probe *probe, uint32_t at)
{
    orr_close(loop, &probe->completion, handles[at], probe_called, probe);
    handles[at] = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

static void submit_one(struct probe *probe)
{
    struct orr_completion *c = &probe->completion;
    uint32_t at = (uint32_t)chance_below(&state, HANDLES);
    switch (chance_below(&state, 9)) {
    case 0:
        orr_timeout(loop, c, chance_below(&state, 100), probe_called, probe);
        break;
    case 1:
        orr_next_tick(loop, c, probe_called, probe);
        break;
    case 2:
        orr_wait_wake(loop, c, probe_called, probe);
        break;
    case 3:
        cancel_any(probe);
        break;
    case 4:
        close_any(probe, at);
        break;
    case 5:
        stub_script(&stub, ORR_OP_SEND, 1 + (int64_t)chance_below(&state, sizeof bytes));
        orr_send_all(loop, c, handles[at], bytes, sizeof bytes, probe_called, probe);
        break;
    default:
        every_submit(loop, (enum orr_op)(1 + chance_below(&state, EVERY_LAST)), probe, handles[at]);
        break;
    }
}

/* Closes what an accept or open made, whenever the program sees it. */
static void close_new(struct probe *probe)
{
    uint8_t op = probe->completion.request.op;
    if ((op == ORR_OP_ACCEPT || op == ORR_OP_OPEN) && probe->result > 0)
        orr_close(loop, &probe->completion, probe->result, probe_called, probe);
}

static void run_busily(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        for (uint64_t submits = chance_below(&state, 30); submits > 0; submits--) {
            struct probe *probe = idle_probe();
            if (probe != NULL)
                submit_one(probe);
        }
        stub.script_count = 0;
        stub.cancels_full = (uint32_t)chance_below(&state, 3);
        stub.cancel = (enum stub_cancel)chance_below(&state, 2);
        stub_set_ways(&stub, (enum stub_way)chance_below(&state, 3));
        if (chance_below(&state, 8) == 0)
            orr_wake(loop);
        orr_run_for_ns(loop, chance_below(&state, 50));
    }
}

START_TEST(nothing_is_allocated_after_the_loop_is_open)
{
    struct orr_statistics statistics;
    uint64_t before = allocations_counted();
    const struct orr_options options = {.batch_entries = 3, .handles_max = 200};
    loop = stub_open(&stub, &options);
    ck_assert_msg(allocations_counted() > before, "the counter counts nothing");
    before = allocations_counted();
    for (uint32_t i = 0; i < PROBES; i++)
        probes[i].then = close_new;
    for (uint32_t i = 0; i < HANDLES; i++)
        handles[i] = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    run_busily(3000);
    orr_drain(loop);
    uint64_t after = allocations_counted();
    orr_loop_statistics(loop, &statistics);
    ck_assert_uint_eq(after, before);
    /* It was busy, in every respect. */
    ck_assert_uint_gt(statistics.submits, 5000);
    ck_assert_uint_gt(statistics.overflowed, 1000);
    ck_assert_uint_gt(statistics.timers_fired, 100);
    ck_assert_uint_gt(statistics.canceled, 100);
    ck_assert_uint_gt(statistics.retried, 10);
    stub_close(&stub);
}
END_TEST

/* Whatever fails on the way, nothing of it is left, and the answer says why. */
START_TEST(opening_with_too_little_memory)
{
    char text[200];
    const struct orr_options options = {.error = text, .error_size = sizeof text};
    struct orr_loop *untouched = NULL;
    int status = -ENOMEM;
    uint32_t n = 0;
    memset(&stub, 0, sizeof stub);
    while (status == -ENOMEM) {
        text[0] = '\0';
        allocations_fail_at(++n);
        uint64_t before = allocations_live();
        status = orr_loop_open_with(&options, &stub_backend, &stub, &untouched);
        uint64_t after = allocations_live();
        if (status == -ENOMEM) {
            ck_assert_ptr_null(untouched);
            ck_assert_uint_eq(after, before);
            ck_assert_msg(strstr(text, "no memory") != NULL, "it said: '%s'", text);
        }
    }
    allocations_fail_at(0);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_ge(n, 3); /* the loop and its handles have failed */
    orr_loop_close(untouched);
}
END_TEST

START_TEST(closing_frees_everything)
{
    memset(&stub, 0, sizeof stub);
    uint64_t before = allocations_live();
    loop = stub_open(&stub, NULL);
    (void)orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    stub_close(&stub);
    uint64_t after = allocations_live();
    ck_assert_uint_eq(after, before);
}
END_TEST

START_TEST(a_backend_that_does_not_open_leaves_nothing)
{
    struct orr_loop *untouched = NULL;
    memset(&stub, 0, sizeof stub);
    stub.open_result = -EPERM;
    uint64_t before = allocations_live();
    int status = orr_loop_open_with(NULL, &stub_backend, &stub, &untouched);
    uint64_t after = allocations_live();
    ck_assert_int_eq(status, -EPERM);
    ck_assert_ptr_null(untouched);
    ck_assert_uint_eq(after, before);
}
END_TEST

PROBE_MAIN("allocation", nothing_is_allocated_after_the_loop_is_open,
           opening_with_too_little_memory, closing_frees_everything,
           a_backend_that_does_not_open_leaves_nothing)

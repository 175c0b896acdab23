/*
 * rig.c: see rig.h.
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include "io/internal.h"

#include <stdio.h>
#include <string.h>

/* One flush makes room in the batch, unless the kernel is in a mood; then it may take some. */
#define FLUSHES_MAX 10000u

uint32_t rig_batch_entries;

/* ---- checks ---------------------------------------------------------------------------------- */

void rig_fail(const char *file, int line, const char *what)
{
    ck_abort_msg("%s:%d: not true: %s (kernel %s, %s; batch %" PRIu32 ")", file, line, what,
                 kernel.version->name, kernel_mood_names[kernel.mood], rig_batch_entries);
}

static void name_result(int64_t result, char *text, size_t size)
{
    if (result < 0 && result > -4096)
        snprintf(text, size, "-%s (%d)", orr_error_name((int)-result), (int)result);
    else
        snprintf(text, size, "%" PRId64, result);
}

void rig_must_be(int64_t actual, int64_t expected, const char *what, const char *file, int line)
{
    char texts[2][64];
    char message[400];

    if (actual == expected)
        return;
    name_result(actual, texts[0], sizeof texts[0]);
    name_result(expected, texts[1], sizeof texts[1]);
    snprintf(message, sizeof message, "%s is %s, not %s", what, texts[0], texts[1]);
    rig_fail(file, line, message);
}

/* ---- open and close -------------------------------------------------------------------------- */

int rig_try(struct rig *rig, uint32_t entries)
{
    memset(rig, 0, sizeof *rig);
    rig->batch_entries = entries;
    rig_batch_entries = entries;
    const struct orr_options options = {.batch_entries = entries,
                                        .handles_max = 1,
                                        .error = rig->error,
                                        .error_size = sizeof rig->error};
    return orr__uring.open(&options, NULL, &rig->state);
}

void rig_open(struct rig *rig, uint32_t entries)
{
    const int result = rig_try(rig, entries);

    ck_assert_msg(result == 0, "open returned %d (kernel %s, batch %" PRIu32 "): %s", result,
                  kernel.version->name, entries, rig->error);
    must(!orr__uring.unflushed(rig->state));
}

void rig_open_setting(struct rig *rig, int setting)
{
    static const uint32_t batches[] = {1, 8, 256};

    kernel.version = &kernel_versions[setting / 3];
    rig_open(rig, batches[setting % 3]);
}

void rig_close(struct rig *rig)
{
    must_be(rig->held, 0);
    orr__uring.close(rig->state);
    rig->state = NULL;
}

const struct orr__uring *rig_uring(const struct rig *rig)
{
    return rig->state;
}

uint64_t rig_now(const struct rig *rig)
{
    return orr__uring.now(rig->state, ORR_CLOCK_MONOTONIC);
}

/* ---- the loop's part ------------------------------------------------------------------------- */

bool rig_holds(const struct orr_completion *completion)
{
    return completion->request.state == ORR__QUEUED;
}

static void check_end(const struct orr_completion *completion)
{
    must(completion->result >= 0 ||
         orr_op_declares(completion->request.op, (int)-completion->result));
}

enum orr_submit rig_offer(struct rig *rig, struct orr_completion *completion, enum orr_op op,
                          int32_t descriptor, union orr_arguments arguments)
{
    must(!rig_holds(completion));
    memset(completion, 0, sizeof *completion);
    completion->request.op = (uint8_t)op;
    completion->request.descriptor = descriptor;
    completion->request.arguments = arguments;
    completion->request.state = ORR__QUEUED;
    const enum orr_submit answer = orr__uring.submit(rig->state, completion);
    if (answer == ORR_SUBMIT_QUEUED)
        rig->held++;
    else
        completion->request.state = ORR__IDLE;
    if (answer == ORR_SUBMIT_DONE)
        check_end(completion);
    return answer;
}

void rig_submit(struct rig *rig, struct orr_completion *completion, enum orr_op op,
                int32_t descriptor, union orr_arguments arguments)
{
    for (uint32_t i = 0; rig_offer(rig, completion, op, descriptor, arguments) == ORR_SUBMIT_FULL;
         i++) {
        must(i < FLUSHES_MAX);
        rig_flush(rig, ORR_WAIT_NOT);
    }
}

/* Like the loop, does not ask for the end of what ended in a flush on the way. */
void rig_cancel(struct rig *rig, struct orr_completion *completion)
{
    for (uint32_t i = 0;
         rig_holds(completion) && orr__uring.cancel(rig->state, completion) == ORR_SUBMIT_FULL;
         i++) {
        must(i < FLUSHES_MAX);
        rig_flush(rig, ORR_WAIT_NOT);
    }
}

int rig_try_flush(struct rig *rig, uint64_t deadline_ns)
{
    struct orr_queue completed = {0};
    struct orr_completion *completion;
    const int result = orr__uring.flush(rig->state, deadline_ns, &completed);

    must(completed.count <= rig->held);
    rig->held -= completed.count;
    while ((completion = orr_queue_pop(&completed)) != NULL) {
        completion->request.state = ORR__IDLE;
        check_end(completion);
    }
    return result;
}

void rig_flush(struct rig *rig, uint64_t deadline_ns)
{
    must_be(rig_try_flush(rig, deadline_ns), 0);
}

/* One flush, as long as it takes for something to happen. */
static void go_on(struct rig *rig, uint64_t give_up_ns)
{
    rig_flush(rig, give_up_ns);
    must(rig_now(rig) < give_up_ns);
}

void rig_must_wake(struct rig *rig)
{
    go_on(rig, rig_now(rig) + RIG_LATE_NS);
}

void rig_must_sleep(struct rig *rig)
{
    const uint64_t deadline_ns = rig_now(rig) + 2 * ORR_MILLISECOND;

    rig_flush(rig, deadline_ns);
    must(rig_now(rig) >= deadline_ns);
}

int64_t rig_end(struct rig *rig, struct orr_completion *completion)
{
    const uint64_t give_up_ns = rig_now(rig) + RIG_LATE_NS;

    while (rig_holds(completion))
        go_on(rig, give_up_ns);
    return completion->result;
}

void rig_end_all(struct rig *rig)
{
    const uint64_t give_up_ns = rig_now(rig) + RIG_LATE_NS;

    while (rig->held > 0)
        go_on(rig, give_up_ns);
}

int64_t rig_do(struct rig *rig, enum orr_op op, int32_t descriptor, union orr_arguments arguments)
{
    struct orr_completion completion = {0};

    rig_submit(rig, &completion, op, descriptor, arguments);
    return rig_end(rig, &completion);
}

/* ---- the suite ------------------------------------------------------------------------------- */

/* Exit status 0: with TAP, Meson takes any other for an error, 77 too. */
int rig_run(const char *name, void (*add)(TCase *tests),
            int (*suite)(const char *name, TCase *tests))
{
    const char *reason = kernel_forbids();

    if (reason != NULL) {
        printf("1..0 # SKIP %s\n", reason);
        return EXIT_SUCCESS;
    }
    TCase *tests = tcase_create(name);
    add(tests);
    return suite(name, tests);
}

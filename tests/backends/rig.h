/*
 * rig.h: the io_uring backend on its own, driven through its vtable as the loop drives it.
 *
 * A rig plays the loop's part: it marks completions as queued, flushes when the batch is full,
 * takes what completed, and keeps count of what the backend holds. It checks what the loop relies
 * on: the backend completes only what it holds (orr_backend_complete), with a result that the
 * operation declares, and remembers nothing of it.
 */
#ifndef TESTS_BACKENDS_RIG_H
#define TESTS_BACKENDS_RIG_H

#include "../suite.h"
#include "kernel.h"

#include "backends/uring.h"

#include <inttypes.h>

/*
 * Checks that name the kernel and the batch when they fail, since most tests run on many. Unlike
 * Check's own they cost nothing while they hold: storms make millions.
 */
#define must(condition) ((condition) ? (void)0 : rig_fail(__FILE__, __LINE__, #condition))
#define must_be(actual, expected) \
    rig_must_be((int64_t)(actual), (int64_t)(expected), #actual, __FILE__, __LINE__)

struct rig {
    void *state; /* the backend's */
    uint32_t batch_entries;
    uint64_t held; /* operations that the backend holds */
    char error[600];
};

/* What is tested now, for messages: a rig sets it when it opens. */
extern uint32_t rig_batch_entries;

/* The settings of loop tests: each kernel version with each size of batch. */
#define RIG_SETTINGS (KERNEL_VERSIONS * 3)

/* Opens the backend; returns what it returned. `error` holds its sentence. */
int rig_try(struct rig *rig, uint32_t batch_entries);
/* The same where it must succeed. */
void rig_open(struct rig *rig, uint32_t batch_entries);
/* On the kernel and with the batch of a setting, 0..RIG_SETTINGS-1. */
void rig_open_setting(struct rig *rig, int setting);
void rig_close(struct rig *rig);

const struct orr__uring *rig_uring(const struct rig *rig);
uint64_t rig_now(const struct rig *rig);

#define ARGUMENTS(...) ((union orr_arguments){__VA_ARGS__})

/* Submits; flushes first if the batch is full. */
void rig_submit(struct rig *rig, struct orr_completion *completion, enum orr_op op,
                int32_t descriptor, union orr_arguments arguments);
/* One attempt, without a flush. */
enum orr_submit rig_offer(struct rig *rig, struct orr_completion *completion, enum orr_op op,
                          int32_t descriptor, union orr_arguments arguments);
/* Asks for the early end of an operation; flushes first if the batch is full. */
void rig_cancel(struct rig *rig, struct orr_completion *completion);

/* The backend's flush, with its result. What completed is idle afterwards. */
int rig_try_flush(struct rig *rig, uint64_t deadline_ns);
/* The same where it must succeed. */
void rig_flush(struct rig *rig, uint64_t deadline_ns);

/* Nothing takes as long, on the slowest machine: what has not come by then never will. */
#define RIG_LATE_NS (20 * ORR_SECOND)

/* A flush that only a wake can end. */
void rig_must_wake(struct rig *rig);
/* A flush that nothing ends: no wake is left over. */
void rig_must_sleep(struct rig *rig);

bool rig_holds(const struct orr_completion *completion);
/* Flushes until an operation has ended; its result. */
int64_t rig_end(struct rig *rig, struct orr_completion *completion);
/* Flushes until everything has ended. */
void rig_end_all(struct rig *rig);
/* Submits an operation and waits for its end. */
int64_t rig_do(struct rig *rig, enum orr_op op, int32_t descriptor, union orr_arguments arguments);

/* Runs the tests that `add` adds; says that they were skipped where the kernel forbids io_uring. */
int rig_run(const char *name, void (*add)(TCase *tests),
            int (*suite)(const char *name, TCase *tests));

void rig_fail(const char *file, int line, const char *what) ORR_NORETURN;
void rig_must_be(int64_t actual, int64_t expected, const char *what, const char *file, int line);

#endif

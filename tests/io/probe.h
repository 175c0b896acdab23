/*
 * probe.h: a completion that remembers what became of it, and the main of a suite.
 *
 * Every callback of a test goes through probe_called, which numbers them: `order` of a probe is its
 * place among all callbacks so far, from 1; `calls` must be exactly 1 in the end (probe_check).
 * `then` makes a callback do something.
 */
#ifndef ORR_TESTS_IO_PROBE_H
#define ORR_TESTS_IO_PROBE_H

#include <check.h>
#include <orrery/io.h>
#include <stdlib.h>

/* ck_assert reports its line to Check's parent each time, this only when it fails: for loops. */
#define must(condition)                               \
    do {                                              \
        if (!(condition))                             \
            ck_abort_msg("not true: %s", #condition); \
    } while (0)

struct probe {
    struct orr_completion completion;
    int64_t result;
    uint64_t calls;
    uint64_t order;
    struct orr_loop *loop;
    void (*then)(struct probe *probe);
    void *context; /* the test's */
};

extern uint64_t probe_count; /* callbacks of all probes */

/* The callback; its context is the probe. */
void probe_called(void *context, struct orr_completion *completion, int64_t result);

/* Makes a used probe as good as new. */
static inline void probe_reset(struct probe *probe)
{
    probe->calls = 0;
    probe->order = 0;
}

/* "-ECONNRESET" or "32": what a failed check prints of a result. */
const char *probe_text(int64_t result);

/* Was called back exactly once, with this result. */
#define probe_check(of, expected) probe_check_at((of), (int64_t)(expected), #of, __FILE__, __LINE__)
void probe_check_at(const struct probe *probe, int64_t expected, const char *what, const char *file,
                    int line);

#define PROBE_MAIN(name, ...)                                           \
    int main(void)                                                      \
    {                                                                   \
        const TTest *const tests[] = {__VA_ARGS__};                     \
        return probe_main(name, tests, sizeof tests / sizeof tests[0]); \
    }

/* Runs these tests as a suite of that name. */
int probe_main(const char *name, const TTest *const *tests, size_t count);

#endif

/*
 * probe.c: the callback of all probes, results as text, and running a suite: see probe.h.
 */
#include "probe.h"

#include "tests/suite.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t probe_count;

void probe_called(void *context, struct orr_completion *completion, int64_t result)
{
    struct probe *probe = context;
    must(completion == &probe->completion);
    must(!orr_in_flight(completion));
    probe->calls++;
    probe->order = ++probe_count;
    probe->result = result;
    if (probe->then != NULL)
        probe->then(probe);
}

const char *probe_text(int64_t result)
{
    static char texts[2][64]; /* two in one message */
    static unsigned turn;
    char *text = texts[turn++ % 2];
    if (result < 0 && result > -4096)
        snprintf(text, sizeof texts[0], "-%s", orr_error_name((int)-result));
    else
        snprintf(text, sizeof texts[0], "%" PRId64, result);
    return text;
}

void probe_check_at(const struct probe *probe, int64_t expected, const char *what, const char *file,
                    int line)
{
    const char *op = orr_op_name(probe->completion.request.op);
    ck_assert_msg(probe->calls == 1,
                  "%s:%d: %s: the %s was called back %" PRIu64 " times, not once", file, line, what,
                  op, probe->calls);
    ck_assert_msg(probe->result == expected, "%s:%d: %s: the %s ended with %s, not %s", file, line,
                  what, op, probe_text(probe->result), probe_text(expected));
}

int probe_main(const char *name, const TTest *const *tests, size_t count)
{
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    return suite_run(name, tcase);
}

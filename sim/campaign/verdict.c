/*
 * verdict.c: from how a process ended, what it printed and what it wrote into its slot to one
 * outcome. A crash becomes a failed check like any other, named so that the same crash has the
 * same name: by the library's own words, by a sanitizer's summary, by the signal.
 *
 * The slot is written by a program that may have gone mad: nothing in it is believed before
 * `finished`, and strings and counts are cut to their bounds after.
 */
#include "campaign.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define CUT(text) ((text)[sizeof(text) - 1] = '\0')

static const char *signal_name(int number, char buffer[ORR__AMOUNT_MAX])
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGABRT, "SIGABRT"}, {SIGALRM, "SIGALRM"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
        {SIGHUP, "SIGHUP"},   {SIGILL, "SIGILL"},   {SIGINT, "SIGINT"},   {SIGKILL, "SIGKILL"},
        {SIGPIPE, "SIGPIPE"}, {SIGQUIT, "SIGQUIT"}, {SIGSEGV, "SIGSEGV"}, {SIGSYS, "SIGSYS"},
        {SIGTERM, "SIGTERM"}, {SIGTRAP, "SIGTRAP"}, {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == number)
            return names[i].name;
    snprintf(buffer, ORR__AMOUNT_MAX, "signal %d", number);
    return buffer;
}

static void take_slot(const struct orr__slot *slot, uint64_t seed, struct orr__result *result)
{
    struct orr_outcome *outcome = &result->outcome;
    result->witness_hash = slot->witness.hash;
    result->finished = slot->finished == 1;
    if (result->finished) {
        *outcome = slot->outcome;
    } else {
        memset(outcome, 0, sizeof *outcome);
        outcome->trace_hash = slot->live_hash;
    }
    outcome->seed = seed;
    CUT(outcome->check);
    CUT(outcome->detail);
    if (outcome->sometimes_count > ORR_SOMETIMES_MAX)
        outcome->sometimes_count = ORR_SOMETIMES_MAX;
    for (uint32_t i = 0; i < outcome->sometimes_count; i++)
        CUT(outcome->sometimes[i].text);
}

/* How the process ended, in a sentence. */
static void say_end(const struct orr__end *end, char *text, size_t size)
{
    char buffer[ORR__AMOUNT_MAX];
    if (end->killed)
        snprintf(text, size, "killed after %s of real time",
                 orr__text_time(buffer, end->timeout_ns));
    else if (WIFSIGNALED(end->status))
        snprintf(text, size, "the process of this seed died by %s",
                 signal_name(WTERMSIG(end->status), buffer));
    else
        snprintf(text, size, "the process of this seed ended with exit status %d",
                 WEXITSTATUS(end->status));
}

static void fail(struct orr_outcome *outcome, const struct orr__end *end, const char *check)
{
    outcome->failed = true;
    snprintf(outcome->check, sizeof outcome->check, "%s", check);
    say_end(end, outcome->detail, sizeof outcome->detail);
}

/* The check that the process's end amounts to, or NULL: it ended as it should. */
static const char *name_end(const struct orr__child *child, const struct orr__end *end,
                            bool finished, char *buffer, size_t size)
{
    const struct orr__capture *capture = &child->capture;
    char amount[ORR__AMOUNT_MAX];
    if (end->killed) {
        snprintf(buffer, size, "hang: no end after %s", orr__text_time(amount, end->timeout_ns));
        return buffer;
    }
    if (capture->summary[0] != '\0')
        return capture->summary;
    if (capture->runtime[0] != '\0')
        return capture->runtime;
    if (WIFSIGNALED(end->status)) {
        int number = WTERMSIG(end->status);
        if (number == SIGABRT && capture->fatal[0] != '\0')
            return capture->fatal;
        snprintf(buffer, size, "crash: %s", signal_name(number, amount));
        return buffer;
    }
    if (finished && WEXITSTATUS(end->status) == 0)
        return NULL;
    snprintf(buffer, size,
             finished ? "the program ended with exit status %d after its run"
                      : "the program called exit(%d)",
             WEXITSTATUS(end->status));
    return buffer;
}

void orr__verdict(const struct orr__child *child, const struct orr__end *end,
                  struct orr__result *ret_result)
{
    char buffer[ORR__LINE_MAX];
    take_slot(child->slot, child->seed, ret_result);
    ret_result->killed = end->killed;
    ret_result->differs = false;
    ret_result->check_failed = ret_result->outcome.failed;
    if (!ret_result->outcome.failed) {
        const char *check = name_end(child, end, ret_result->finished, buffer, sizeof buffer);
        if (check != NULL)
            fail(&ret_result->outcome, end, check);
    }
    ret_result->output_length = 0;
    if (ret_result->outcome.failed)
        ret_result->output_length = orr__capture_tail(&child->capture, ret_result->output);
}

/*
 * replay.c: one seed again, with its story. It runs in a child as in a campaign, so that it
 * begins from the same image and a crash still ends with the trace hash. The child writes its
 * trace and story among its own output, in order, through one pipe; this process hands it on as
 * it comes and adds the verdict, and the line that the story held back if it was cut off.
 */
#define _POSIX_C_SOURCE 200809L /* strnlen */

#include "campaign.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

/* Waits for a run of the seed. False when a signal or a reader who left ended that. */
static bool wait_for(struct orr__nursery *nursery, const struct orr__job *job,
                     struct orr__result *result)
{
    while (!orr__nursery_reap(&nursery->children[0], job, result)) {
        if (orr__nursery_signal() != 0 || orr__flush() < 0)
            return false;
        orr__nursery_wait(nursery, job, UINT64_MAX);
    }
    return orr__flush() == 0;
}

static void print_untold(const struct orr__child *child)
{
    const char *untold = child->slot->untold;
    orr__text_indent(stdout, untold, strnlen(untold, sizeof child->slot->untold), "");
}

static void print_verdict(const struct orr__command *command, const struct orr__child *child,
                          const struct orr__result *result)
{
    const struct orr_outcome *outcome = &result->outcome;
    uint64_t printed = child->capture.length;
    if (printed > 0 && child->capture.tail[(printed - 1) % ORR__OUTPUT_MAX] != '\n')
        putchar('\n');
    if (!result->finished)
        print_untold(child);
    if (outcome->failed) {
        orr__report_verdict(result);
        orr__text_indent(stdout, outcome->detail, strlen(outcome->detail), "  ");
        printf("  %s: ", command->job.trace ? "replay" : "with every event");
        orr__command_again(stdout, command, outcome->seed);
        printf("%s --trace\n", orr__twice_option(result->differs));
    } else {
        printf("seed %" PRIu64 " passes%s\n", outcome->seed,
               command->twice_every > 0 ? ", and a second run was the same" : "");
    }
    printf("trace hash %016" PRIx64 "\n", outcome->trace_hash);
}

struct memory {
    struct orr__result result;
    struct orr__result again;
};

/* Runs the seed, the first run with its story. Returns 0 or -errno; `ret_ended` is false if it was
 * interrupted. */
static int run_once(struct orr__nursery *nursery, const struct orr__job *job, uint64_t seed,
                    enum orr__twin twin, struct orr__result *result, bool *ret_ended)
{
    int status = orr__nursery_start_twin(nursery, &nursery->children[0], job, seed, twin, -1);
    *ret_ended = status == 0 && wait_for(nursery, job, result);
    return status;
}

/* The same seed in other memory, without a word. */
static int run_again(struct orr__nursery *nursery, const struct orr__job *job, uint64_t seed,
                     struct memory *memory, bool *ret_ended)
{
    struct orr__job quiet = *job;
    struct orr__second second;
    quiet.replay = false;
    quiet.trace = false;
    quiet.recorders = NULL;
    quiet.record = NULL;
    int status = run_once(nursery, &quiet, seed, ORR__TWIN_SECOND, &memory->again, ret_ended);
    if (!*ret_ended)
        return status;
    orr__twice_keep(&memory->again, &second);
    orr__twice_judge(&memory->result, &second);
    if (memory->result.differs)
        orr__twice_locate(nursery, job, &memory->result);
    return 0;
}

int orr__replay(struct orr__command *command)
{
    struct orr__nursery nursery;
    void *extra;
    int status = orr__trace_open(command);
    if (status != 0)
        return status;
    status = orr__nursery_open(&nursery, 1, sizeof(struct memory), &extra);
    if (status < 0)
        return orr__error(command, "cannot prepare a process: %s", strerror(-status));
    struct memory *memory = extra;
    struct orr__result *result = &memory->result;
    bool twice = command->twice_every > 0;
    bool ended;
    status = run_once(&nursery, &command->job, command->seed_first,
                      twice ? ORR__TWIN_FIRST : ORR__TWIN_NONE, result, &ended);
    if (ended && twice)
        status = run_again(&nursery, &command->job, command->seed_first, memory, &ended);
    if (ended)
        print_verdict(command, &nursery.children[0], result);
    int traced = ended ? orr__trace_close(command, result) : 0;
    bool failed = result->outcome.failed;
    int number = orr__nursery_signal();
    orr__nursery_close(&nursery);
    if (!ended) /* now that the child writes no more */
        traced = orr__trace_close(command, NULL);
    if (number != 0)
        raise(number);
    if (status < 0)
        return orr__error(command, "cannot start a process: %s", strerror(-status));
    if (orr__flush() < 0)
        return orr__write_error(command, orr__flush());
    if (traced != 0)
        return traced;
    return failed ? ORR__EXIT_FAILING : ORR__EXIT_CLEAN;
}

/*
 * branch.c: how many futures of a run fail from an instant on, and how.
 */
#define _POSIX_C_SOURCE 200809L /* mkdir */

#include "futures.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES_MAX = 4096 };

static const struct orr__future_group *group_at(const struct orr__futures *futures, uint32_t i)
{
    return &futures->seen->groups[futures->groups[i]];
}

/* ---- replay files ---------------------------------------------------------------------------- */

static void path_of(const struct orr__futures *futures, uint64_t seed, char path[PATH_BYTES_MAX])
{
    const struct orr__command *command = futures->command;
    const char *folder = command->output;
    snprintf(path, PATH_BYTES_MAX, "%s%s%s-%" PRIu64 "-future-%" PRIu64 ".replay", folder,
             folder[strlen(folder) - 1] == '/' ? "" : "/", command->job.scenario->name,
             command->seed_first, seed);
}

/* Of the first future of each group. Returns 0 or the exit status, after an error message. */
static int write_files(const struct orr__futures *futures)
{
    char path[PATH_BYTES_MAX];
    const struct orr__command *command = futures->command;
    if (command->output == NULL || futures->group_count == 0)
        return 0;
    if (mkdir(command->output, 0777) < 0 && errno != EEXIST)
        return orr__error(command, "cannot make the folder %s: %s", command->output,
                          strerror(errno));
    for (uint32_t i = 0; i < futures->group_count; i++) {
        const struct orr__future_group *group = group_at(futures, i);
        uint64_t seed = orr__futures_seed(futures, group->first);
        path_of(futures, seed, path);
        int status = orr__futures_write(command, &futures->question, seed,
                                        group->result.outcome.check, path);
        if (status < 0)
            return orr__error(command, "cannot write %s: %s", path, strerror(-status));
    }
    return 0;
}

/* ---- in words -------------------------------------------------------------------------------- */

static void print_replay(const struct orr__futures *futures, uint64_t seed)
{
    char path[PATH_BYTES_MAX];
    const struct orr__command *command = futures->command;
    fputs("  replay: ", stdout);
    if (command->output != NULL) {
        path_of(futures, seed, path);
        orr__command_of_file(stdout, command, path);
        fputs(command->replay_tail, stdout);
    } else {
        orr__futures_again(stdout, command, &futures->question, seed);
    }
    putchar('\n');
}

static void print_failure(const struct orr__futures *futures, const struct orr__future_group *group)
{
    const struct orr__result *result = &group->result;
    const struct orr_outcome *outcome = &result->outcome;
    uint64_t seed = orr__futures_seed(futures, group->first);
    printf("\nfuture %" PRIu64 " fails%s: ", seed,
           result->cause == ORR__CAUSE_CHECK ? " the check" : "");
    orr__text_indent(stdout, outcome->check, strlen(outcome->check), "");
    orr__text_indent(stdout, outcome->detail, strlen(outcome->detail), "  ");
    orr__report_output(result);
    printf("  trace hash %016" PRIx64 "\n", outcome->trace_hash);
    print_replay(futures, seed);
}

static void print_groups(const struct orr__futures *futures)
{
    printf("\n%" PRIu64 " futures failed, for %u causes:\n", futures->failed, futures->group_count);
    for (uint32_t i = 0; i < futures->group_count; i++) {
        const struct orr__future_group *group = group_at(futures, i);
        const struct orr__result *result = &group->result;
        printf("%7" PRIu64 " x %s", group->count,
               result->cause == ORR__CAUSE_CHECK ? "the check: " : "");
        orr__text_indent(stdout, result->group, strlen(result->group), "");
        print_replay(futures, orr__futures_seed(futures, group->first));
    }
}

static void print_report(const struct orr__futures *futures)
{
    char past[ORR__AMOUNT_MAX];
    char time[ORR__AMOUNT_MAX];
    const struct orr__futures_seen *seen = futures->seen;
    const struct orr__command *command = futures->command;
    orr__report_scenario(&command->job);
    printf(" seed %" PRIu64 ", from %" PRIu64 ".%06" PRIu64 " ms on, after %" PRIu64 " event%s:\n",
           command->seed_first, seen->time_ns / ORR_MILLISECOND, seen->time_ns % ORR_MILLISECOND,
           seen->event, ORR__S(seen->event));
    printf("  %" PRIu64 " of %" PRIu64 " future%s fail%s, %" PRIu64 " %%\n", futures->failed,
           futures->counted, ORR__S(futures->counted), futures->failed == 1 ? "s" : "",
           futures->counted > 0 ? futures->failed * 100 / futures->counted : 0);
    printf("  %s for the past, %s for the futures (%" PRIu32 " job%s)\n",
           orr__text_time(past, futures->past_ns), orr__text_time(time, futures->futures_ns),
           futures->nursery.count - 1, ORR__S(futures->nursery.count - 1));
    if (command->failures_max > 0 && futures->failed == command->failures_max)
        puts("  stopped there: --failures 0 runs them all");
    for (uint32_t i = 0; i < futures->group_count && i < ORR__DETAILED_MAX; i++)
        print_failure(futures, group_at(futures, i));
    if (futures->group_count > 1)
        print_groups(futures);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void report_json(const struct orr__futures *futures)
{
    for (uint64_t i = 0; i < futures->counted; i++)
        if (futures->seen->ends[i].state == ORR__FUTURE_FAILS)
            orr__json_future(futures, i);
    orr__json_futures(futures);
}

int orr__futures_error(const struct orr__futures *futures, int status)
{
    const struct orr__command *command = futures->command;
    const struct orr_outcome *past = &futures->past.outcome;
    if (status < 0)
        return orr__error(command, "cannot go on: %s", strerror(-status));
    if (past->failed)
        return orr__error(command, "seed %" PRIu64 " fails before '%s': %s", command->seed_first,
                          futures->question.instant, past->check);
    return orr__error(command,
                      "seed %" PRIu64 " ends before '%s': it has %" PRIu64 " events in %" PRIu64
                      ".%06" PRIu64 " ms",
                      command->seed_first, futures->question.instant, past->events,
                      past->simulated_ns / ORR_MILLISECOND, past->simulated_ns % ORR_MILLISECOND);
}

int orr__branch(struct orr__command *command)
{
    const struct orr__question question = {.instant = command->at,
                                           .then = command->then,
                                           .count = command->futures,
                                           .failures_max = command->failures_max};
    struct orr__futures *futures = orr__futures_open(command, question.count);
    if (futures == NULL)
        return ORR__EXIT_USAGE;
    futures->doing = "futures";
    int status = orr__futures_ask(futures, &question);
    orr__progress_clear(&futures->progress);
    int written = status == 1 ? write_files(futures) : 0;
    if (status == 1 && written == 0 && command->json)
        report_json(futures);
    else if (status == 1 && written == 0)
        print_report(futures);
    bool failed = futures->failed > 0;
    int number = orr__futures_close(futures);
    if (number != 0)
        raise(number);
    if (status != 1)
        return orr__futures_error(futures, status);
    if (written != 0)
        return written;
    if (orr__flush() < 0)
        return orr__write_error(command, orr__flush());
    return failed ? ORR__EXIT_FAILING : ORR__EXIT_CLEAN;
}

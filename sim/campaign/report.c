/*
 * report.c: a campaign in words. Failures come last and each ends with the command that brings it
 * back, so that this is what stands above the prompt.
 */
#include "campaign.h"

#include <inttypes.h>
#include <string.h>

enum {
    OUTPUT_LINES = 20,     /* of what a failing seed printed */
    WIDTH_MAX = 80,        /* of what is no text of others */
    FAMILY_WIDTH_MAX = 20, /* ", disk-error 1.23 k" and a comma */
};

static void print_scenario(const struct orr__job *job)
{
    fputs(job->scenario->name, stdout);
    for (size_t i = 0; i < job->parameter_count; i++)
        printf(" %s=%s", job->parameters[i].name, job->parameters[i].value);
}

/* The name of a check says what should hold; how a process ended is said as it is. */
void orr__report_verdict(const struct orr__result *result)
{
    printf("seed %" PRIu64 " fails%s: ", result->outcome.seed,
           result->check_failed ? " the check" : "");
    orr__text_indent(stdout, result->outcome.check, strlen(result->outcome.check), "");
}

void orr__report_failure(const struct orr__command *command, const struct orr__result *result)
{
    (void)command;
    orr__report_verdict(result);
}

/* ---- the summary ----------------------------------------------------------------------------- */

static void print_seeds(const struct orr__command *command, const struct orr__totals *totals)
{
    char rate[ORR__AMOUNT_MAX];
    char elapsed[ORR__AMOUNT_MAX];
    print_scenario(&command->job);
    printf(": %" PRIu64 " seed%s, %" PRIu64 " failed, in %s (%s seeds/s, %u job%s)\n",
           totals->seeds, ORR__S(totals->seeds), totals->failures,
           orr__text_time(elapsed, totals->elapsed_ns),
           orr__text_count(rate, orr__per_second(totals->seeds, totals->elapsed_ns)), command->jobs,
           ORR__S(command->jobs));
}

static void print_speed(const struct orr__totals *totals)
{
    char count[ORR__AMOUNT_MAX];
    char rate[ORR__AMOUNT_MAX];
    printf("  %s event%s (%s/s)", orr__text_count(count, totals->events), ORR__S(totals->events),
           orr__text_count(rate, orr__per_second(totals->events, totals->elapsed_ns)));
    printf(", %s completion%s (%s/s)", orr__text_count(count, totals->completions),
           ORR__S(totals->completions),
           orr__text_count(rate, orr__per_second(totals->completions, totals->elapsed_ns)));
    printf(", %s simulated (%" PRIu64 " x real time)\n",
           orr__text_time(count, totals->simulated_ns),
           totals->elapsed_ns > 0 ? totals->simulated_ns / totals->elapsed_ns : 0);
}

static void print_faults(const struct orr__totals *totals)
{
    char count[ORR__AMOUNT_MAX];
    int column = printf("  %s fault%s%s", orr__text_count(count, totals->faults),
                        ORR__S(totals->faults), totals->faults > 0 ? ": " : "");
    const char *separator = "";
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++) {
        if (totals->faults_by_family[i] == 0)
            continue;
        if (column > WIDTH_MAX - FAMILY_WIDTH_MAX) {
            printf(",\n");
            column = 0;
            separator = "    ";
        }
        column += printf("%s%s %s", separator, orr_fault_family_name((enum orr_fault_family)i),
                         orr__text_count(count, totals->faults_by_family[i]));
        separator = ", ";
    }
    putchar('\n');
}

static void print_stop(const struct orr__command *command, const struct orr__totals *totals)
{
    switch (totals->stop) {
    case ORR__STOP_END:
        break;
    case ORR__STOP_FAILURES:
        if (command->failures_max == 1)
            puts("  stopped at the first failing seed: --failures 0 runs them all");
        else
            printf("  stopped after %" PRIu64 " failing seeds: --failures 0 runs them all\n",
                   totals->failures);
        break;
    case ORR__STOP_TIME:
        puts("  stopped because the time was over");
        break;
    case ORR__STOP_SIGNAL:
        puts("  stopped by a signal: seeds that were running are not counted");
        break;
    case ORR__STOP_ERROR:
        puts("  stopped by an error: the campaign is not complete");
        break;
    }
}

/* What was cut short may not have had the chance. */
static void print_never_seen(const struct orr__totals *totals)
{
    if (totals->sometimes_lost)
        printf("warning: more than %d different sometimes checks: the rest is not counted\n",
               ORR__SOMETIMES_MAX);
    if (totals->stop != ORR__STOP_END && totals->stop != ORR__STOP_TIME)
        return;
    for (uint32_t i = 0; i < totals->sometimes_count; i++)
        if (totals->sometimes[i].seen == 0)
            printf("warning: reached, but not once true in %" PRIu64 " seed%s: sometimes \"%s\"\n",
                   totals->seeds, ORR__S(totals->seeds), totals->sometimes[i].text);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* Where the last lines of a text begin. */
static uint32_t last_lines(const char *text, uint32_t length)
{
    uint32_t lines = 0;
    for (uint32_t at = length; at > 0; at--)
        if (text[at - 1] == '\n' && at < length && ++lines == OUTPUT_LINES)
            return at;
    return 0;
}

static void print_output(const struct orr__result *result)
{
    if (result->output_length == 0)
        return;
    uint32_t begin = last_lines(result->output, result->output_length);
    puts("  it printed last:");
    orr__text_indent(stdout, result->output + begin, result->output_length - begin, "  | ");
}

static void print_failure(const struct orr__command *command, const struct orr__result *result)
{
    const struct orr_outcome *outcome = &result->outcome;
    putchar('\n');
    orr__report_verdict(result);
    orr__text_indent(stdout, outcome->detail, strlen(outcome->detail), "  ");
    print_output(result);
    printf("  trace hash %016" PRIx64 "\n", outcome->trace_hash);
    fputs("  replay: ", stdout);
    orr__command_again(stdout, command, outcome->seed);
    puts(orr__twice_option(result));
}

void orr__report_end(const struct orr__command *command, const struct orr__totals *totals,
                     const struct orr__result *kept, uint32_t kept_count)
{
    print_seeds(command, totals);
    print_speed(totals);
    print_faults(totals);
    print_stop(command, totals);
    print_never_seen(totals);
    if (totals->failures > kept_count)
        printf("\nThe first %u of the %" PRIu64 " failing seeds named above in full:\n", kept_count,
               totals->failures);
    for (uint32_t i = 0; i < kept_count; i++)
        print_failure(command, &kept[i]);
}

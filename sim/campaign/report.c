/*
 * report.c: a campaign in words. Failures come last, and those with one cause are told once: in
 * full by the first of them, and in a list of all causes where there is more than one failure.
 * Each comes with the command that brings it back, so that this is what stands above the prompt.
 */
#include "campaign.h"

#include <inttypes.h>
#include <string.h>

enum {
    OUTPUT_LINES = 20, /* of what a failing seed printed */
    WIDTH_MAX = 80,    /* of what is no text of others */
    ITEM_MAX = 64,     /* of a list: "disk-error 1.23 k", "partition with disk-full" */
    ITEM_EXTRA = 3,    /* commas around it, and a space */
    NEVER_MAX = 6,     /* families, and pairs of them, that are named */
};

void orr__report_scenario(const struct orr__job *job)
{
    fputs(job->scenario->name, stdout);
    for (size_t i = 0; i < job->parameter_count; i++)
        printf(" %s=%s", job->parameters[i].name, job->parameters[i].value);
}

static void print_replay(const struct orr__command *command, uint64_t seed, const char *replay,
                         bool differs)
{
    fputs("  replay: ", stdout);
    if (replay != NULL)
        fputs(replay, stdout);
    else
        orr__command_again(stdout, command, seed);
    if (replay == NULL)
        fputs(orr__twice_option(differs), stdout);
    putchar('\n');
}

/* The name of a check says what should hold; how a process ended is said as it is. */
void orr__report_verdict(const struct orr__result *result)
{
    printf("seed %" PRIu64 " fails%s: ", result->outcome.seed,
           result->cause == ORR__CAUSE_CHECK ? " the check" : "");
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
    orr__report_scenario(&command->job);
    if (command->shard_count > 1)
        printf(", shard %u/%u", command->shard + 1, command->shard_count);
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

/* Items with commas between them, as many as fit on a line. */
struct list {
    int column;
    const char *separator; /* in front of the next one */
};

static void print_item(struct list *list, const char *item)
{
    if (list->column + (int)strlen(item) + ITEM_EXTRA > WIDTH_MAX) {
        printf(",\n");
        *list = (struct list){.separator = "    "};
    }
    list->column += printf("%s%s", list->separator, item);
    list->separator = ", ";
}

static void print_faults(const struct orr__totals *totals)
{
    char count[ORR__AMOUNT_MAX];
    char item[ITEM_MAX];
    struct list list = {.separator = ""};
    list.column = printf("  %s fault%s%s", orr__text_count(count, totals->faults),
                         ORR__S(totals->faults), totals->faults > 0 ? ": " : "");
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++) {
        if (totals->faults_by_family[i] == 0)
            continue;
        snprintf(item, sizeof item, "%s %s", orr_fault_family_name((enum orr_fault_family)i),
                 orr__text_count(count, totals->faults_by_family[i]));
        print_item(&list, item);
    }
    putchar('\n');
}

/* Families that chance may turn on and that never struck, if they are few. */
static void print_idle_families(const struct orr__totals *totals, struct list *list, uint32_t idle)
{
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT && idle <= NEVER_MAX; i++)
        if (totals->seeds_by_pair[i][i] == 0 &&
            !orr_fault_family_is_on_request((enum orr_fault_family)i))
            print_item(list, orr_fault_family_name((enum orr_fault_family)i));
}

static void print_idle_pairs(const struct orr__totals *totals, struct list *list, uint32_t idle)
{
    char item[ITEM_MAX];
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT && idle <= NEVER_MAX; i++) {
        for (uint32_t j = i + 1; j < ORR_FAMILY_COUNT; j++) {
            if (totals->seeds_by_pair[i][i] == 0 || totals->seeds_by_pair[j][j] == 0 ||
                totals->seeds_by_pair[i][j] > 0)
                continue;
            snprintf(item, sizeof item, "%s with %s",
                     orr_fault_family_name((enum orr_fault_family)i),
                     orr_fault_family_name((enum orr_fault_family)j));
            print_item(list, item);
        }
    }
}

/* Rare pairs are what a campaign is long for. */
static void print_families(const struct orr__totals *totals)
{
    struct orr__pairs pairs = orr__totals_pairs(totals);
    uint32_t idle_pairs = pairs.possible - pairs.struck;
    uint32_t idle = 0;
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        idle += totals->seeds_by_pair[i][i] == 0 &&
                !orr_fault_family_is_on_request((enum orr_fault_family)i);
    if (pairs.families == 0)
        return;
    printf("  %u of %u fault families struck", pairs.families, pairs.families + idle);
    if (pairs.possible > 0)
        printf(", %u of %u pairs of them in one seed", pairs.struck, pairs.possible);
    if ((idle > 0 && idle <= NEVER_MAX) || (idle_pairs > 0 && idle_pairs <= NEVER_MAX)) {
        struct list list = {.separator = ""};
        list.column = printf("\n    never: ") - 1;
        print_idle_families(totals, &list, idle);
        print_idle_pairs(totals, &list, idle_pairs);
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

void orr__report_output(const struct orr__result *result)
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
    orr__report_output(result);
    printf("  trace hash %016" PRIx64 "\n", outcome->trace_hash);
    print_replay(command, outcome->seed, result->replay, result->differs);
}

static void print_groups(const struct orr__command *command, const struct orr__totals *totals)
{
    printf("\n%" PRIu64 " seeds failed, for %u causes:\n", totals->failures, totals->group_count);
    for (uint32_t i = 0; i < totals->group_count; i++) {
        const struct orr__group *group = &totals->groups[i];
        printf("%7" PRIu64 " x %s", group->failures,
               group->cause == ORR__CAUSE_CHECK ? "the check: " : "");
        orr__text_indent(stdout, group->text, strlen(group->text), "");
        print_replay(command, group->seed, group->replay, group->differs);
    }
    if (totals->ungrouped > 0)
        printf("%7" PRIu64 " x for more causes than the %d that are kept\n", totals->ungrouped,
               ORR__GROUPS_MAX);
}

void orr__report_end(const struct orr__command *command, const struct orr__totals *totals,
                     const struct orr__result *kept)
{
    uint32_t detailed =
        totals->group_count < ORR__DETAILED_MAX ? totals->group_count : ORR__DETAILED_MAX;
    print_seeds(command, totals);
    print_speed(totals);
    print_faults(totals);
    print_families(totals);
    print_stop(command, totals);
    print_never_seen(totals);
    if (totals->group_count == 1 && totals->failures > 1)
        printf("\nAll %" PRIu64 " failed for one cause. The first of them in full:\n",
               totals->failures);
    for (uint32_t i = 0; i < detailed; i++)
        print_failure(command, &kept[i]);
    if (totals->group_count > 1)
        print_groups(command, totals);
}

/*
 * totals.c: what seeds add up to. Campaigns and merges add results here, one by one and in the
 * order of the seeds, and tell nothing that is not in the sums: so a campaign that was cut into
 * shards says the same as one that was not.
 *
 * Everything has a bound, because a campaign must not allocate between its seeds. What does not
 * fit is counted, and said.
 */
#include "campaign.h"

#include "../internal.h"

#include <string.h>

/* ---- which seeds ----------------------------------------------------------------------------- */

bool orr__seed_exists(const struct orr__command *command, uint64_t index)
{
    orr__assert(command->seed_first <= command->seed_last);
    orr__assert(command->shard < command->shard_count);
    uint64_t room = command->seed_last - command->seed_first;
    return command->shard <= room && index <= (room - command->shard) / command->shard_count;
}

uint64_t orr__seed_at(const struct orr__command *command, uint64_t index)
{
    return command->seed_first + command->shard + index * command->shard_count;
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* Seeds meet the same checks in much the same order, so the search begins where the last one
 * ended. */
static void add_sometimes(struct orr__totals *totals, const char *text, uint64_t seen)
{
    for (uint32_t i = 0; i < totals->sometimes_count; i++) {
        uint32_t at = (totals->sometimes_next + i) % totals->sometimes_count;
        if (strcmp(totals->sometimes[at].text, text) == 0) {
            totals->sometimes[at].seen += seen;
            totals->sometimes_next = at + 1;
            return;
        }
    }
    if (totals->sometimes_count == ORR__SOMETIMES_MAX) {
        totals->sometimes_lost = true;
        return;
    }
    uint32_t at = totals->sometimes_count++;
    memcpy(totals->sometimes[at].text, text, strlen(text) + 1);
    totals->sometimes[at].seen = seen;
}

static void add_families(struct orr__totals *totals, const struct orr_outcome *outcome)
{
    const uint32_t *faults = outcome->faults_by_family;
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++) {
        totals->faults_by_family[i] += faults[i];
        for (uint32_t j = i; j < ORR_FAMILY_COUNT && faults[i] > 0; j++)
            totals->seeds_by_pair[i][j] += faults[j] > 0;
    }
}

static uint32_t add_failure(struct orr__totals *totals, const struct orr__result *result)
{
    orr__assert(result->cause < ORR__CAUSE_COUNT);
    totals->failures++;
    for (uint32_t i = 0; i < totals->group_count; i++) {
        struct orr__group *group = &totals->groups[i];
        if (group->cause == result->cause && strcmp(group->text, result->group) == 0) {
            group->failures++;
            return ORR__GROUPS_MAX;
        }
    }
    if (totals->group_count == ORR__GROUPS_MAX) {
        totals->ungrouped++;
        return ORR__GROUPS_MAX;
    }
    struct orr__group *group = &totals->groups[totals->group_count];
    group->cause = result->cause;
    memcpy(group->text, result->group, sizeof group->text);
    group->failures = 1;
    group->seed = result->outcome.seed;
    group->replay = result->replay;
    group->differs = result->differs;
    return totals->group_count++;
}

uint32_t orr__totals_add(struct orr__totals *totals, const struct orr__result *result)
{
    const struct orr_outcome *outcome = &result->outcome;
    totals->seeds++;
    totals->events += outcome->events;
    totals->completions += outcome->completions;
    totals->simulated_ns += outcome->simulated_ns;
    totals->faults += outcome->faults;
    add_families(totals, outcome);
    for (uint32_t i = 0; i < outcome->sometimes_count; i++)
        add_sometimes(totals, outcome->sometimes[i].text, outcome->sometimes[i].seen);
    return outcome->failed ? add_failure(totals, result) : ORR__GROUPS_MAX;
}

struct orr__pairs orr__totals_pairs(const struct orr__totals *totals)
{
    struct orr__pairs pairs = {0};
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++) {
        pairs.families += totals->seeds_by_pair[i][i] > 0;
        for (uint32_t j = i + 1; j < ORR_FAMILY_COUNT; j++)
            pairs.struck += totals->seeds_by_pair[i][j] > 0;
    }
    pairs.possible = pairs.families > 0 ? pairs.families * (pairs.families - 1) / 2 : 0;
    return pairs;
}

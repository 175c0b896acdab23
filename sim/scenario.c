/*
 * scenario.c: one run of a scenario in this process: parameters checked, a world made, faults
 * chosen by the swarm, the scenario's function called, and what became of it written down.
 */
#include "future.h"
#include "lanes.h"
#include "libc/libc.h"
#include "replay_file.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX INT64_MAX

enum {
    WIDTH_MAX = 80,        /* of what is told to people */
    FAMILY_WIDTH_MAX = 21, /* ", disk-error 1000000" and a comma */
};

/* ---- parameters ------------------------------------------------------------------------------ */

static const struct orr_parameter *declared(const struct orr_scenario *scenario, const char *name)
{
    for (const struct orr_parameter *p = scenario->parameters; p != NULL && p->name != NULL; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (*text < '0' || *text > '9' || number > ((uint64_t)NUMBER_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

/* True if `value` is one of the words of "a|b|c". */
static bool among(const char *allowed, const char *value)
{
    size_t length = strlen(value);
    while (true) {
        const char *end = strchr(allowed, '|');
        size_t word = end != NULL ? (size_t)(end - allowed) : strlen(allowed);
        if (word == length && memcmp(allowed, value, length) == 0)
            return true;
        if (end == NULL)
            return false;
        allowed = end + 1;
    }
}

static bool check_parameter(const struct orr_scenario *scenario,
                            const struct orr_parameter_value *given, char *why, size_t why_size)
{
    uint64_t number;
    const struct orr_parameter *parameter = declared(scenario, given->name);
    if (parameter == NULL) {
        int length =
            snprintf(why, why_size, "scenario %s has no parameter \"%s\"; it has:", scenario->name,
                     given->name);
        for (const struct orr_parameter *p = scenario->parameters; p != NULL && p->name != NULL;
             p++)
            if (length > 0 && (size_t)length < why_size)
                length += snprintf(why + length, why_size - (size_t)length, " %s", p->name);
        if (scenario->parameters == NULL && length > 0 && (size_t)length < why_size)
            snprintf(why + length, why_size - (size_t)length, " none");
        return false;
    }
    if (parameter->allowed != NULL && !among(parameter->allowed, given->value)) {
        snprintf(why, why_size, "%s=%s: parameter %s of scenario %s must be one of %s", given->name,
                 given->value, given->name, scenario->name, parameter->allowed);
        return false;
    }
    if (parameter->allowed == NULL && !parse_number(given->value, &number)) {
        snprintf(why, why_size,
                 "%s=%s: parameter %s of scenario %s must be a number from 0 to %" PRId64,
                 given->name, given->value, given->name, scenario->name, NUMBER_MAX);
        return false;
    }
    return true;
}

const char *orr_parameter_text(struct orr_world *world, const char *name)
{
    const struct orr_parameter *parameter =
        world->scenario != NULL ? declared(world->scenario, name) : NULL;
    if (parameter == NULL)
        orr_fatal("orr_parameter: scenario %s does not declare \"%s\"",
                  world->scenario != NULL ? world->scenario->name : "(none)", name);
    for (size_t i = world->options->parameter_count; i-- > 0;)
        if (strcmp(world->options->parameters[i].name, name) == 0)
            return world->options->parameters[i].value;
    return parameter->value;
}

uint64_t orr_parameter_number(struct orr_world *world, const char *name)
{
    const char *text = orr_parameter_text(world, name);
    uint64_t number = 0;
    if (!parse_number(text, &number))
        orr_fatal("orr_parameter_number: %s=%s is no number", name, text);
    return number;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void tell_families(const struct orr_world *world)
{
    fprintf(world->story, "seed %" PRIu64 " lets these faults strike, per million chances:\n",
            world->seed);
    int column = 0;
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++) {
        if (world->rates[family] == 0)
            continue;
        if (column > WIDTH_MAX - FAMILY_WIDTH_MAX) {
            fputs(",\n", world->story);
            column = 0;
        }
        column +=
            fprintf(world->story, "%s%s %u", column == 0 ? "  " : ", ",
                    orr_fault_family_name((enum orr_fault_family)family), world->rates[family]);
    }
    fprintf(world->story, "%s\n", column == 0 ? "  none" : "");
}

void orr__story_begin(struct orr_world *world)
{
    if (world->story == NULL || world->story_begun)
        return;
    world->story_begun = true;
    if (world->rulings != NULL && orr__rulings_only(world->rulings))
        fprintf(world->story, "seed %" PRIu64 ", and no fault but those of the replay file\n",
                world->seed);
    else
        tell_families(world);
    fprintf(world->story, "%s, in virtual time (! marks faults):\n",
            orr__story_is_traced(world) ? "every event" : "what happened");
}

static void tell_end(struct orr_world *world)
{
    if (world->story == NULL)
        return;
    uint64_t completions = orr__world_completions(world);
    orr__story_begin(world);
    orr__story_settle(world);
    fprintf(world->story,
            "%" PRIu64 " fault%s in %" PRIu64 ".%06" PRIu64 " ms of virtual time, %" PRIu64
            " event%s, %" PRIu64 " completion%s\n",
            world->faults, ORR__S(world->faults), world->now_ns / ORR_MILLISECOND,
            world->now_ns % ORR_MILLISECOND, world->events_run, ORR__S(world->events_run),
            completions, ORR__S(completions));
    if (world->rulings != NULL)
        orr__rulings_tell_unused(world->rulings, world->story);
    if (world->ahead != NULL)
        fprintf(world->story, "unused: line %" PRIu32 ": the run ended before %s\n",
                world->ahead->line, world->ahead->instant.text);
}

static void fill_outcome(const struct orr_world *world, struct orr_outcome *outcome)
{
    outcome->seed = world->seed;
    outcome->trace_hash = world->hash;
    outcome->events = world->events_run;
    outcome->completions = orr__world_completions(world);
    outcome->simulated_ns = world->now_ns;
    outcome->faults = world->faults;
    memcpy(outcome->faults_by_family, world->faults_by_family, sizeof outcome->faults_by_family);
    outcome->failed = world->failed;
    snprintf(outcome->check, sizeof outcome->check, "%s", world->check);
    snprintf(outcome->detail, sizeof outcome->detail, "%s", world->detail);
    outcome->sometimes_count = world->sometimes_count;
    for (uint32_t i = 0; i < world->sometimes_count; i++) {
        snprintf(outcome->sometimes[i].text, sizeof outcome->sometimes[i].text, "%s",
                 world->sometimes[i].text);
        outcome->sometimes[i].seen = world->sometimes[i].seen;
    }
}

/* The scenario is in the world, too: what its code, and the checks that it makes, ask of the C
 * library must be the same in every run. */
static void run_inside(struct orr_world *world, const struct orr_scenario *scenario)
{
    orr__libc_begin(world);
    struct orr__scope before = orr__scope_enter(world, NULL);
    scenario->run(world);
    orr__scope_leave(before);
}

int orr_scenario_run(const struct orr_scenario *scenario, const struct orr_run_options *options,
                     struct orr_outcome *ret_outcome)
{
    return orr__scenario_run(scenario, options, NULL, NULL, ret_outcome);
}

/* What lies over the seed: the caller's, or what the options and the replay file say; NULL if that
 * is nothing. */
static struct orr_lanes *open_lanes(const struct orr_run_options *options,
                                    const struct orr__rulings *rulings)
{
    size_t count;
    const uint64_t *cells = orr__rulings_cells(rulings, &count);
    if (options->lanes != NULL ||
        (options->byte_count == 0 && count == 0 && options->lane_names == NULL))
        return options->lanes;
    struct orr_lanes *lanes = calloc(1, sizeof *lanes);
    if (lanes == NULL || !orr__lanes_read(lanes, options->bytes, options->byte_count) ||
        !orr__lanes_grow(lanes, count))
        orr_fatal("no memory for %zu bytes of choices", options->byte_count + count);
    for (size_t i = 0; i < count; i++)
        orr__lanes_set(lanes, cells[i]);
    lanes->names = options->lane_names;
    return lanes;
}

static void close_lanes(const struct orr_run_options *options, struct orr_lanes *lanes)
{
    if (lanes == NULL || lanes == options->lanes)
        return;
    orr__lanes_free(lanes);
    free(lanes);
}

int orr__scenario_run(const struct orr_scenario *scenario, const struct orr_run_options *options,
                      struct orr__recorder *recorders, struct orr__stem *stem,
                      struct orr_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof *ret_outcome);
    for (size_t i = 0; i < options->parameter_count; i++)
        if (!check_parameter(scenario, &options->parameters[i], ret_outcome->detail,
                             sizeof ret_outcome->detail))
            return -EINVAL;
    struct orr__rulings *rulings = NULL;
    if (options->replay != NULL) {
        rulings = orr__rulings_parse(options->replay, ret_outcome->detail);
        if (rulings == NULL)
            return -EINVAL;
    }
    struct orr_lanes *lanes = open_lanes(options, rulings);
    bool has_seed = options->lanes != NULL || options->byte_count > 0;
    struct orr_world *world = orr__world_new(has_seed ? lanes->seed : options->seed, lanes,
                                             options->trace, options->story);
    orr__world_record(world, recorders);
    orr_world_police(world);
    world->scenario = scenario;
    world->options = options;
    world->stem = stem;
    world->position = stem != NULL ? stem->position : NULL;
    world->live_hash = options->live_hash;
    world->witness = options->witness;
    orr__world_rule(world, rulings);
    world->ledger = options->ledger;
    world->points = options->points;
    if (options->untold != NULL)
        world->untold = options->untold;
    if (options->events_max > 0)
        world->events_max = options->events_max;
    orr__swarm(world);
    run_inside(world, scenario);
    tell_end(world);
    fill_outcome(world, ret_outcome);
    orr_world_destroy(world);
    close_lanes(options, lanes);
    return 0;
}

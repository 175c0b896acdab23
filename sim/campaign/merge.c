/*
 * merge.c: the verb `merge`: a campaign that was cut into shards, one for each of many machines,
 * told as if it had run on one.
 *
 * The model: shard I of N holds every N-th seed, in order. Taking one seed of each shard in turn
 * is therefore the order of the whole campaign, and its sums are made, seed by seed, by the code
 * that makes those of a campaign; they end where it would have ended, with the K-th failing seed.
 * (A shard ends with its own K-th, which is that one or a later one, so that none before it is
 * missing.) All but the times is then the same by construction.
 *
 * All lines are read and checked before the first word is told: a merge is whole or refused.
 */
#define _POSIX_C_SOURCE 200809L /* strdup */

#include "record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct merge {
    const struct orr__command *command;
    uint32_t count;
    struct orr__shard shards[ORR__SHARDS_MAX]; /* each file where its shard belongs */
    char why[ORR__LINE_WHY_MAX];
    /* The campaign that the shards are part of. */
    struct orr__command whole;
    struct orr_scenario scenario;
    struct orr_parameter *parameters;
    struct orr_parameter_value *given;
    uint64_t elapsed_ns;
    uint64_t taken; /* seeds of the whole, up to the last one that counts */
    struct orr__totals totals;
    struct orr__result result; /* of the seed just read */
    struct orr__result kept[ORR__DETAILED_MAX];
    char *replays[ORR__GROUPS_MAX]; /* of the first seed of each group */
};

/* Says what is wrong with a shard's line. */
static int refuse(const struct merge *merge, const struct orr__shard *shard)
{
    if (shard->line_number == 0)
        return orr__error(merge->command, "%s: %s", shard->path, merge->why);
    return orr__error(merge->command, "%s:%" PRIu64 ": %s", shard->path, shard->line_number,
                      merge->why);
}

/* ---- the files ------------------------------------------------------------------------------- */

/* A shard is of the same campaign as the first one if they agree in all that was asked for. */
static bool check_same(struct merge *merge, const struct orr__shard *shard,
                       const struct orr__shard *first)
{
    static const char *const members[] = {"version", "scenario",     "parameters",
                                          "range",   "failures_max", "timeout_ns"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *own = json_object_get(shard->summary, members[i]);
        json_t *others = json_object_get(first->summary, members[i]);
        if (own == NULL)
            return orr__line_refuse(merge->why, "there is no member \"%s\"", members[i]);
        if (others == NULL || json_equal(own, others))
            continue;
        char *text = json_dumps(own, JSON_ENCODE_ANY);
        char *other_text = json_dumps(others, JSON_ENCODE_ANY);
        orr__line_refuse(merge->why,
                         "this is part of another campaign: \"%s\" is %.200s, and %.200s in %s",
                         members[i], text != NULL ? text : "?",
                         other_text != NULL ? other_text : "?", first->path);
        free(text);
        free(other_text);
        return false;
    }
    if (shard->count != first->count)
        return orr__line_refuse(merge->why,
                                "this is shard %u of %u, and %s is one of %u: all must be of one "
                                "campaign",
                                shard->index + 1, shard->count, first->path, first->count);
    return true;
}

/* Opens the files, and puts each where its shard belongs. Returns 0 or the exit status. */
static int place_files(struct merge *merge)
{
    const char *const *paths = merge->command->words;
    uint32_t files = merge->command->word_count;
    const struct orr__shard *first = NULL;
    for (uint32_t i = 0; i < files; i++) {
        struct orr__shard shard;
        bool good = orr__shard_open(&shard, paths[i], merge->why) &&
                    check_same(merge, &shard, first != NULL ? first : &shard);
        struct orr__shard *place = good ? &merge->shards[shard.index] : NULL;
        if (good && place->path != NULL)
            good = orr__line_refuse(merge->why, "shard %u/%u is in %s already", shard.index + 1,
                                    shard.count, place->path);
        if (!good) {
            int status = refuse(merge, &shard);
            orr__shard_close(&shard);
            return status;
        }
        *place = shard;
        merge->count = shard.count;
        first = first != NULL ? first : place;
    }
    for (uint32_t i = 0; i < merge->count; i++)
        if (merge->shards[i].path == NULL)
            return orr__error(merge->command,
                              "shard %u/%u is missing: its output is in none of the %u file%s",
                              i + 1, merge->count, files, ORR__S(files));
    return 0;
}

/* ---- the campaign as a whole ----------------------------------------------------------------- */

static bool read_parameters(struct merge *merge, json_t *summary)
{
    json_t *parameters = json_object_get(summary, "parameters");
    const char *name;
    json_t *value;
    size_t count = 0;
    merge->parameters = calloc(json_object_size(parameters) + 1, sizeof *merge->parameters);
    if (merge->parameters == NULL)
        return orr__line_refuse(merge->why, "no memory");
    json_object_foreach(parameters, name, value)
    {
        if (!json_is_string(value))
            return orr__line_refuse(merge->why, "parameter \"%s\" is no text", name);
        merge->parameters[count++] =
            (struct orr_parameter){.name = name, .value = json_string_value(value)};
    }
    merge->scenario.parameters = merge->parameters;
    return true;
}

/* The parameters that were typed, by their names: the values are among all parameters. */
static bool read_given(struct merge *merge, const json_t *summary)
{
    const json_t *names = json_object_get(summary, "given");
    const json_t *parameters = json_object_get(summary, "parameters");
    size_t count = json_array_size(names);
    merge->given = calloc(count + 1, sizeof *merge->given);
    if (!json_is_array(names) || merge->given == NULL)
        return orr__line_refuse(merge->why, "there is no array \"given\"");
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const char *value =
            name != NULL ? json_string_value(json_object_get(parameters, name)) : NULL;
        if (value == NULL)
            return orr__line_refuse(merge->why, "number %zu of \"given\" is no parameter", i + 1);
        merge->given[i] = (struct orr_parameter_value){.name = name, .value = value};
    }
    merge->whole.job.parameters = merge->given;
    merge->whole.job.parameter_count = count;
    return true;
}

/* The times are those of machines that ran side by side: of the one that took longest. */
static bool read_times(struct merge *merge, const struct orr__shard *shard)
{
    const json_t *seconds = json_object_get(shard->summary, "seconds");
    uint64_t jobs;
    if (!json_is_number(seconds) || json_number_value(seconds) < 0 ||
        json_number_value(seconds) > (double)(INT64_MAX / ORR_SECOND))
        return orr__line_refuse(merge->why, "there is no number \"seconds\"");
    if (!orr__line_number(shard->summary, "jobs", &jobs, merge->why))
        return false;
    uint64_t elapsed_ns = (uint64_t)(json_number_value(seconds) * (double)ORR_SECOND);
    if (elapsed_ns > merge->elapsed_ns)
        merge->elapsed_ns = elapsed_ns;
    if (jobs > merge->whole.jobs)
        merge->whole.jobs = jobs < ORR__JOBS_MAX ? (uint32_t)jobs : ORR__JOBS_MAX;
    return true;
}

static bool read_range(struct merge *merge, const json_t *summary)
{
    const char *range;
    const char *wanted;
    if (!orr__line_text(summary, "range", &range, merge->why))
        return false;
    return orr__parse_seeds(range, &merge->whole.seed_first, &merge->whole.seed_last, &wanted) ||
           orr__line_refuse(merge->why, "\"range\" is %.100s: this must be %s", range, wanted);
}

static bool read_whole(struct merge *merge, const struct orr__shard *first)
{
    struct orr__command *whole = &merge->whole;
    *whole = (struct orr__command){
        .program = merge->command->program,
        .verb = merge->command->verb,
        .job = {.scenario = &merge->scenario},
        .shard_count = 1,
        .json = merge->command->json,
        .json_all = merge->command->json_all,
    };
    return orr__line_text(first->summary, "scenario", &merge->scenario.name, merge->why) &&
           read_range(merge, first->summary) &&
           orr__line_number(first->summary, "failures_max", &whole->failures_max, merge->why) &&
           orr__line_number(first->summary, "timeout_ns", &whole->job.timeout_ns, merge->why) &&
           read_parameters(merge, first->summary) && read_given(merge, first->summary);
}

/* ---- seeds in order -------------------------------------------------------------------------- */

static bool has_ended(const struct merge *merge)
{
    return merge->whole.failures_max > 0 && merge->totals.failures == merge->whole.failures_max;
}

static bool says(const struct orr__shard *shard, enum orr__stop stop)
{
    const char *stopped = json_string_value(json_object_get(shard->summary, "stopped"));
    return stopped != NULL && strcmp(stopped, orr__stop_name(stop)) == 0;
}

/* What a campaign tells of a seed at once. */
static void tell(const struct merge *merge, const struct orr__shard *shard)
{
    bool failed = merge->result.outcome.failed;
    if (merge->whole.json && (failed || merge->whole.json_all))
        fwrite(shard->line, 1, shard->line_length, stdout);
    else if (!merge->whole.json && failed)
        orr__report_failure(&merge->whole, &merge->result);
}

static bool add(struct merge *merge, const struct orr__shard *shard, bool telling)
{
    uint32_t group = orr__totals_add(&merge->totals, &merge->result);
    if (!telling)
        return true;
    tell(merge, shard);
    if (group == ORR__GROUPS_MAX)
        return true;
    merge->replays[group] = strdup(merge->result.replay);
    merge->result.replay = merge->replays[group];
    merge->totals.groups[group].replay = merge->replays[group];
    if (group < ORR__DETAILED_MAX)
        merge->kept[group] = merge->result;
    return merge->replays[group] != NULL || orr__line_refuse(merge->why, "no memory");
}

/* Takes seed number `index` of the campaign from its shard. */
static bool take(struct merge *merge, struct orr__shard *shard, uint64_t index, bool telling)
{
    json_t *object = NULL;
    bool exists = orr__seed_exists(&merge->whole, index);
    uint64_t seed = orr__seed_at(&merge->whole, index);
    int status = orr__shard_next(shard, seed, &merge->result, &object, merge->why);
    shard->ended = status == 0;
    if (status < 0)
        return false;
    if (shard->ended)
        return !exists || !says(shard, ORR__STOP_END) ||
               orr__line_refuse(merge->why,
                                "all seeds were run, it says, and seed %" PRIu64 " is missing",
                                seed);
    bool good = exists || orr__line_refuse(merge->why, "seed %" PRIu64 " is beyond the last one",
                                           merge->result.outcome.seed);
    if (good && !has_ended(merge)) {
        merge->taken = index + 1;
        good = add(merge, shard, telling);
    }
    json_decref(object);
    return good;
}

/* All seeds of all shards, in the order of the campaign. */
static int take_all(struct merge *merge, bool telling)
{
    uint32_t open = merge->count;
    merge->totals = (struct orr__totals){.elapsed_ns = merge->elapsed_ns};
    for (uint32_t i = 0; i < merge->count; i++)
        orr__shard_rewind(&merge->shards[i]);
    for (uint64_t index = 0; open > 0; index++) {
        struct orr__shard *shard = &merge->shards[index % merge->count];
        if (shard->ended)
            continue;
        if (!take(merge, shard, index, telling))
            return refuse(merge, shard);
        open -= shard->ended;
    }
    return 0;
}

/* Why the whole campaign would have ended. */
static enum orr__stop find_stop(const struct merge *merge)
{
    if (has_ended(merge))
        return orr__seed_exists(&merge->whole, merge->taken) ? ORR__STOP_FAILURES : ORR__STOP_END;
    for (uint32_t i = 0; i < merge->count; i++)
        if (says(&merge->shards[i], ORR__STOP_TIME))
            return ORR__STOP_TIME;
    return ORR__STOP_END;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int report(struct merge *merge)
{
    merge->totals.stop = find_stop(merge);
    if (merge->whole.json)
        orr__json_summary(&merge->whole, &merge->totals);
    else
        orr__report_end(&merge->whole, &merge->totals, merge->kept);
    int status = orr__flush();
    if (status < 0)
        return orr__write_error(merge->command, status);
    return merge->totals.failures > 0 ? ORR__EXIT_FAILING : ORR__EXIT_CLEAN;
}

static int run(struct merge *merge)
{
    int status = place_files(merge);
    if (status != 0)
        return status;
    if (!read_whole(merge, &merge->shards[0]))
        return refuse(merge, &merge->shards[0]);
    for (uint32_t i = 0; i < merge->count; i++)
        if (!read_times(merge, &merge->shards[i]))
            return refuse(merge, &merge->shards[i]);
    status = take_all(merge, false);
    if (status == 0)
        status = take_all(merge, true);
    return status == 0 ? report(merge) : status;
}

int orr__merge(struct orr__command *command)
{
    if (command->word_count == 0)
        return orr__usage_error(command, "which files? give the output of each shard");
    if (command->word_count > ORR__SHARDS_MAX)
        return orr__usage_error(command, "%u files: there are at most %d shards",
                                command->word_count, ORR__SHARDS_MAX);
    struct merge *merge = calloc(1, sizeof *merge);
    if (merge == NULL)
        return orr__error(command, "no memory");
    merge->command = command;
    int status = run(merge);
    for (uint32_t i = 0; i < ORR__SHARDS_MAX; i++)
        orr__shard_close(&merge->shards[i]);
    for (uint32_t i = 0; i < ORR__GROUPS_MAX; i++)
        free(merge->replays[i]);
    free(merge->given);
    free(merge->parameters);
    free(merge);
    return status;
}

/*
 * json.c: the same reports for programs: one object a line. docs/orrery.md and
 * docs/run.schema.json are the schema; ORR__SCHEMA counts its versions, and whoever changes the
 * meaning of a member, or takes one away, counts it up. record.c reads these lines back.
 *
 * jansson's integers are signed; a seed has all 64 bits. So a seed is written by hand in front of
 * the members that jansson writes, and counters stop at 2^63 - 1, which no campaign reaches.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "json.h"
#include "inevitable.h"

#include "campaign_version.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

json_t *orr__json_number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* The length of the valid UTF-8 sequence that begins here, or 0. */
static size_t sequence_length(const char *text, size_t length)
{
    for (size_t bytes = 1; bytes <= 4 && bytes <= length; bytes++) {
        json_t *object = json_stringn(text, bytes);
        json_decref(object);
        if (object != NULL)
            return bytes;
    }
    return 0;
}

/* A JSON string of any bytes: what is not UTF-8 becomes '?'. */
static json_t *text_string(const char *text, size_t length)
{
    json_t *object = json_stringn(text, length);
    if (object != NULL)
        return object;
    char *clean = malloc(length + 1);
    if (clean == NULL)
        return json_string("");
    for (size_t i = 0; i < length;) {
        size_t bytes = sequence_length(text + i, length - i);
        if (bytes == 0)
            clean[i++] = '?';
        for (; bytes > 0; bytes--, i++)
            clean[i] = text[i];
    }
    object = json_stringn(clean, length);
    free(clean);
    return object;
}

json_t *orr__json_text(const char *text)
{
    return text_string(text, strlen(text));
}

static json_t *hash_string(uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

/* How often a `sometimes` check was true. */
static void set_seen(json_t *object, const char *text, uint64_t seen)
{
    json_t *key = orr__json_text(text);
    json_object_set_new(object, json_string_value(key), orr__json_number(seen));
    json_decref(key);
}

/* Every parameter, given or default: a default may change between versions. */
json_t *orr__json_parameters(const struct orr__job *job)
{
    json_t *object = json_object();
    const struct orr_parameter *parameter = job->scenario->parameters;
    for (; parameter != NULL && parameter->name != NULL; parameter++)
        json_object_set_new(object, parameter->name,
                            orr__json_text(orr__parameter_value(job, parameter)));
    return object;
}

static json_t *replay_string(const struct orr__command *command, uint64_t seed, bool differs)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return json_string("");
    orr__command_again(out, command, seed);
    fputs(orr__twice_option(differs), out);
    fclose(out);
    json_t *object = text_string(text, length);
    free(text);
    return object;
}

static void write_line(json_t *object, size_t flags)
{
    json_dumpf(object, stdout, flags);
    json_decref(object);
}

void orr__json_write(json_t *object, uint64_t seed)
{
    printf("{\"seed\": %" PRIu64 ", ", seed);
    write_line(object, JSON_EMBED);
    puts("}");
}

/* ---- a seed ---------------------------------------------------------------------------------- */

/* What only a seed that failed has. */
static void set_failure(json_t *object, const struct orr__command *command,
                        const struct orr__result *result)
{
    const struct orr_outcome *outcome = &result->outcome;
    json_object_set_new(object, "scenario", orr__json_text(command->job.scenario->name));
    json_object_set_new(object, "parameters", orr__json_parameters(&command->job));
    json_object_set_new(object, "cause", json_string(orr__cause_name(result->cause)));
    json_object_set_new(object, "group", orr__json_text(result->group));
    json_object_set_new(object, "check", orr__json_text(outcome->check));
    json_object_set_new(object, "detail", orr__json_text(outcome->detail));
    json_object_set_new(object, "output", text_string(result->output, result->output_length));
    json_object_set_new(object, "finished", json_boolean(result->finished));
    json_object_set_new(object, "replay", replay_string(command, outcome->seed, result->differs));
}

/* The families that struck: a seed has few of them. */
static json_t *struck_object(const struct orr_outcome *outcome)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        if (outcome->faults_by_family[i] > 0)
            json_object_set_new(object, orr_fault_family_name((enum orr_fault_family)i),
                                orr__json_number(outcome->faults_by_family[i]));
    return object;
}

static json_t *seen_object(const struct orr_outcome *outcome)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < outcome->sometimes_count; i++)
        set_seen(object, outcome->sometimes[i].text, outcome->sometimes[i].seen);
    return object;
}

void orr__json_seed(const struct orr__command *command, const struct orr__result *result)
{
    const struct orr_outcome *outcome = &result->outcome;
    json_t *object = json_object();
    json_object_set_new(object, "failed", json_boolean(outcome->failed));
    if (outcome->failed)
        set_failure(object, command, result);
    json_object_set_new(object, "trace_hash", hash_string(outcome->trace_hash));
    json_object_set_new(object, "events", orr__json_number(outcome->events));
    json_object_set_new(object, "completions", orr__json_number(outcome->completions));
    json_object_set_new(object, "simulated_ns", orr__json_number(outcome->simulated_ns));
    json_object_set_new(object, "faults", orr__json_number(outcome->faults));
    json_object_set_new(object, "faults_by_family", struck_object(outcome));
    json_object_set_new(object, "sometimes", seen_object(outcome));
    orr__json_write(object, outcome->seed);
}

/* ---- the summary ----------------------------------------------------------------------------- */

static json_t *faults_object(const struct orr__totals *totals)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        json_object_set_new(object, orr_fault_family_name((enum orr_fault_family)i),
                            orr__json_number(totals->faults_by_family[i]));
    return object;
}

static json_t *fault_seeds_object(const struct orr__totals *totals)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        json_object_set_new(object, orr_fault_family_name((enum orr_fault_family)i),
                            orr__json_number(totals->seeds_by_pair[i][i]));
    return object;
}

/* {"partial": {"latency": 3, "kill": 0}, "latency": {"kill": 1}}: each pair of families that struck
 * at all, once. */
static json_t *pairs_object(const struct orr__totals *totals)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++) {
        if (totals->seeds_by_pair[i][i] == 0)
            continue;
        json_t *others = json_object();
        for (uint32_t j = i + 1; j < ORR_FAMILY_COUNT; j++)
            if (totals->seeds_by_pair[j][j] > 0)
                json_object_set_new(others, orr_fault_family_name((enum orr_fault_family)j),
                                    orr__json_number(totals->seeds_by_pair[i][j]));
        if (json_object_size(others) > 0)
            json_object_set_new(object, orr_fault_family_name((enum orr_fault_family)i), others);
        else
            json_decref(others);
    }
    return object;
}

static json_t *sometimes_object(const struct orr__totals *totals)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < totals->sometimes_count; i++)
        set_seen(object, totals->sometimes[i].text, totals->sometimes[i].seen);
    return object;
}

const char *orr__stop_name(enum orr__stop stop)
{
    static const char *const names[] = {
        [ORR__STOP_END] = "end",       [ORR__STOP_FAILURES] = "failures", [ORR__STOP_TIME] = "time",
        [ORR__STOP_SIGNAL] = "signal", [ORR__STOP_ERROR] = "error",
    };
    return names[stop];
}

/* In words, because many readers hold no number of 64 bits. */
static json_t *range_string(const struct orr__command *command)
{
    char text[64];
    snprintf(text, sizeof text, "%" PRIu64 "..%" PRIu64, command->seed_first, command->seed_last);
    return json_string(text);
}

/* Which parameters were given, in that order. */
static json_t *given_array(const struct orr__job *job)
{
    json_t *array = json_array();
    for (size_t i = 0; i < job->parameter_count; i++)
        json_array_append_new(array, orr__json_text(job->parameters[i].name));
    return array;
}

static json_t *rates_object(const struct orr__totals *totals)
{
    json_t *object = json_object();
    json_object_set_new(object, "seeds_per_second",
                        orr__json_number(orr__per_second(totals->seeds, totals->elapsed_ns)));
    json_object_set_new(object, "events_per_second",
                        orr__json_number(orr__per_second(totals->events, totals->elapsed_ns)));
    json_object_set_new(object, "completions_per_second",
                        orr__json_number(orr__per_second(totals->completions, totals->elapsed_ns)));
    return object;
}

static void write_groups(const struct orr__command *command, const struct orr__totals *totals)
{
    printf(", \"groups\": [");
    for (uint32_t i = 0; i < totals->group_count; i++) {
        const struct orr__group *group = &totals->groups[i];
        json_t *object = json_object();
        json_object_set_new(object, "cause", json_string(orr__cause_name(group->cause)));
        json_object_set_new(object, "group", orr__json_text(group->text));
        json_object_set_new(object, "failures", orr__json_number(group->failures));
        json_object_set_new(object, "replay",
                            group->replay != NULL
                                ? orr__json_text(group->replay)
                                : replay_string(command, group->seed, group->differs));
        printf("%s{\"seed\": %" PRIu64 ", ", i > 0 ? ", " : "", group->seed);
        write_line(object, JSON_EMBED);
        putchar('}');
    }
    putchar(']');
}

/* What was asked for. */
static void set_command(json_t *object, const struct orr__command *command)
{
    json_object_set_new(object, "summary", json_true());
    json_object_set_new(object, "schema", json_integer(ORR__SCHEMA));
    json_object_set_new(object, "version", json_string(ORR_CAMPAIGN_VERSION));
    json_object_set_new(object, "scenario", orr__json_text(command->job.scenario->name));
    json_object_set_new(object, "parameters", orr__json_parameters(&command->job));
    json_object_set_new(object, "given", given_array(&command->job));
    json_object_set_new(object, "range", range_string(command));
    if (command->shard_count > 1)
        json_object_set_new(object, "shard",
                            json_pack("{sIsI}", "index", (json_int_t)command->shard + 1, "count",
                                      (json_int_t)command->shard_count));
    json_object_set_new(object, "failures_max", orr__json_number(command->failures_max));
    json_object_set_new(object, "timeout_ns", orr__json_number(command->job.timeout_ns));
}

void orr__json_summary(const struct orr__command *command, const struct orr__totals *totals)
{
    json_t *object = json_object();
    set_command(object, command);
    json_object_set_new(object, "seeds", orr__json_number(totals->seeds));
    json_object_set_new(object, "failures", orr__json_number(totals->failures));
    json_object_set_new(object, "stopped", json_string(orr__stop_name(totals->stop)));
    json_object_set_new(object, "events", orr__json_number(totals->events));
    json_object_set_new(object, "completions", orr__json_number(totals->completions));
    json_object_set_new(object, "simulated_ns", orr__json_number(totals->simulated_ns));
    json_object_set_new(object, "seconds", json_real((double)totals->elapsed_ns / 1e9));
    json_object_set_new(object, "rates", rates_object(totals));
    json_object_set_new(object, "jobs", orr__json_number(command->jobs));
    json_object_set_new(object, "faults", faults_object(totals));
    json_object_set_new(object, "fault_seeds", fault_seeds_object(totals));
    json_object_set_new(object, "fault_pairs", pairs_object(totals));
    json_object_set_new(object, "sometimes", sometimes_object(totals));
    json_object_set_new(object, "sometimes_lost", json_boolean(totals->sometimes_lost));
    json_object_set_new(object, "ungrouped", orr__json_number(totals->ungrouped));
    putchar('{');
    write_line(object, JSON_EMBED | JSON_REAL_PRECISION(6));
    write_groups(command, totals);
    puts("}");
}

/* ---- list ------------------------------------------------------------------------------------ */

static json_t *allowed_array(const char *allowed)
{
    json_t *array = json_array();
    while (true) {
        size_t length = strcspn(allowed, "|");
        json_array_append_new(array, text_string(allowed, length));
        if (allowed[length] == '\0')
            return array;
        allowed += length + 1;
    }
}

static json_t *parameter_object(const struct orr_parameter *parameter)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", orr__json_text(parameter->name));
    json_object_set_new(object, "default", orr__json_text(parameter->value));
    json_object_set_new(object, "allowed",
                        parameter->allowed != NULL ? allowed_array(parameter->allowed)
                                                   : json_null());
    json_object_set_new(object, "summary",
                        orr__json_text(parameter->summary != NULL ? parameter->summary : ""));
    return object;
}

void orr__json_scenario(const struct orr_scenario *scenario)
{
    json_t *object = json_object();
    json_t *parameters = json_array();
    const struct orr_parameter *parameter = scenario->parameters;
    for (; parameter != NULL && parameter->name != NULL; parameter++)
        json_array_append_new(parameters, parameter_object(parameter));
    json_object_set_new(object, "scenario", orr__json_text(scenario->name));
    json_object_set_new(object, "summary",
                        orr__json_text(scenario->summary != NULL ? scenario->summary : ""));
    json_object_set_new(object, "parameters", parameters);
    write_line(object, 0);
    putchar('\n');
}

/* ---- futures --------------------------------------------------------------------------------- */

static json_t *future_string(const struct orr__command *command,
                             const struct orr__question *question, uint64_t seed)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return json_string("");
    orr__futures_again(out, command, question, seed);
    fclose(out);
    json_t *object = text_string(text, length);
    free(text);
    return object;
}

static void set_cause(json_t *object, const struct orr__result *result)
{
    json_object_set_new(object, "cause", json_string(orr__cause_name(result->cause)));
    json_object_set_new(object, "group", orr__json_text(result->group));
}

void orr__json_future(const struct orr__futures *futures, uint64_t index)
{
    const struct orr__future_end *end = &futures->seen->ends[index];
    uint64_t seed = orr__futures_seed(futures, index);
    json_t *object = json_object();
    json_object_set_new(object, "future", orr__json_number(seed));
    json_object_set_new(object, "failed", json_true());
    json_object_set_new(object, "trace_hash", hash_string(end->trace_hash));
    json_object_set_new(object, "events", orr__json_number(end->events));
    json_object_set_new(object, "simulated_ns", orr__json_number(end->simulated_ns));
    json_object_set_new(object, "faults", orr__json_number(end->faults));
    if (end->group < ORR__GROUPS_MAX)
        set_cause(object, &futures->seen->groups[end->group].result);
    json_object_set_new(object, "replay",
                        future_string(futures->command, &futures->question, seed));
    write_line(object, 0);
    putchar('\n');
}

static json_t *future_groups(const struct orr__futures *futures)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < futures->group_count; i++) {
        const struct orr__future_group *group = &futures->seen->groups[futures->groups[i]];
        json_t *object = json_object();
        set_cause(object, &group->result);
        json_object_set_new(object, "check", orr__json_text(group->result.outcome.check));
        json_object_set_new(object, "detail", orr__json_text(group->result.outcome.detail));
        json_object_set_new(object, "failures", orr__json_number(group->count));
        json_object_set_new(object, "future",
                            orr__json_number(orr__futures_seed(futures, group->first)));
        json_array_append_new(array, object);
    }
    return array;
}

/* Which run it is; the seed stands in front, see above. */
static json_t *run_object(const struct orr__command *command)
{
    json_t *object = json_object();
    json_object_set_new(object, "summary", json_true());
    json_object_set_new(object, "schema", json_integer(ORR__SCHEMA));
    json_object_set_new(object, "version", json_string(ORR_CAMPAIGN_VERSION));
    json_object_set_new(object, "scenario", orr__json_text(command->job.scenario->name));
    json_object_set_new(object, "parameters", orr__json_parameters(&command->job));
    return object;
}

static void write_run(json_t *object, const struct orr__command *command)
{
    printf("{\"seed\": %" PRIu64 ", ", command->seed_first);
    write_line(object, JSON_EMBED | JSON_REAL_PRECISION(6));
    puts("}");
}

void orr__json_futures(const struct orr__futures *futures)
{
    const struct orr__futures_seen *seen = futures->seen;
    json_t *object = run_object(futures->command);
    json_object_set_new(object, "at", orr__json_text(futures->question.instant));
    json_object_set_new(object, "event", orr__json_number(seen->event));
    json_object_set_new(object, "time_ns", orr__json_number(seen->time_ns));
    json_object_set_new(object, "trace_hash", hash_string(seen->trace_hash));
    json_object_set_new(object, "faults", json_string(orr__then_name(futures->question.then)));
    json_object_set_new(object, "futures", orr__json_number(futures->counted));
    json_object_set_new(object, "failures", orr__json_number(futures->failed));
    json_object_set_new(object, "groups", future_groups(futures));
    json_object_set_new(object, "past_seconds", json_real((double)futures->past_ns / 1e9));
    json_object_set_new(object, "seconds",
                        json_real((double)(futures->past_ns + futures->futures_ns) / 1e9));
    write_run(object, futures->command);
}

static json_t *sample_object(const struct orr__decision *decision, const struct orr__sample *sample)
{
    char instant[ORR__INSTANT_MAX];
    struct orr__question question = decision->question;
    json_t *object = json_object();
    snprintf(instant, sizeof instant, "event %" PRIu64, sample->event);
    question.instant = instant;
    json_object_set_new(object, "event", orr__json_number(sample->event));
    json_object_set_new(object, "time_ns", orr__json_number(sample->time_ns));
    json_object_set_new(object, "futures", orr__json_number(sample->futures));
    json_object_set_new(object, "passed", orr__json_number(sample->passed));
    json_object_set_new(object, "same", orr__json_number(sample->same));
    if (sample->passed > 0)
        json_object_set_new(object, "passes",
                            future_string(decision->command, &question, sample->passing_seed));
    if (sample->same > 0)
        json_object_set_new(object, "fails",
                            future_string(decision->command, &question, sample->failing_seed));
    return object;
}

static json_t *rows_array(const struct orr__rows *rows)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct orr__row *row = &rows->rows[i];
        json_t *object = json_object();
        json_object_set_new(object, "time_ns", orr__json_number(row->time_ns));
        json_object_set_new(object, "who", orr__json_text(row->who));
        json_object_set_new(object, "text", orr__json_text(row->text));
        json_object_set_new(object, "decisive", json_boolean(row->is_decisive));
        json_array_append_new(array, object);
    }
    return array;
}

void orr__json_decision(const struct orr__decision *decision)
{
    const struct orr__futures *futures = decision->futures;
    json_t *object = run_object(futures->command);
    json_t *samples = json_array();
    set_cause(object, &decision->result);
    json_object_set_new(object, "check", orr__json_text(decision->result.outcome.check));
    json_object_set_new(object, "faults", json_string(orr__then_name(decision->question.then)));
    json_object_set_new(object, "noticed_event", orr__json_number(decision->noticed));
    json_object_set_new(object, "before",
                        decision->is_early ? json_null()
                                           : sample_object(decision, &decision->before));
    json_object_set_new(object, "after",
                        decision->is_late ? json_null()
                                          : sample_object(decision, &decision->after));
    for (uint32_t i = 0; i < decision->sample_count; i++)
        json_array_append_new(samples, sample_object(decision, &decision->samples[i]));
    json_object_set_new(object, "samples", samples);
    json_object_set_new(object, "rows", rows_array(decision->rows));
    json_object_set_new(object, "runs", orr__json_number(futures->runs));
    json_object_set_new(object, "seconds",
                        json_real((double)(orr__clock_ns() - futures->begin_ns) / 1e9));
    write_run(object, futures->command);
}

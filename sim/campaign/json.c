/*
 * json.c: the same reports for programs: one object a line, written out at once. docs/orrery.md
 * is the schema.
 *
 * jansson's integers are signed; a seed has all 64 bits. So a seed is written by hand in front of
 * the members that jansson writes, and counters stop at 2^63 - 1, which no campaign reaches.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "campaign.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *number(uint64_t value)
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

static json_t *string(const char *text)
{
    return text_string(text, strlen(text));
}

static json_t *hash_string(uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

/* Every parameter, given or default: a default may change between versions. */
static json_t *parameters_object(const struct orr__job *job)
{
    json_t *object = json_object();
    const struct orr_parameter *parameter = job->scenario->parameters;
    for (; parameter != NULL && parameter->name != NULL; parameter++)
        json_object_set_new(object, parameter->name, string(orr__parameter_value(job, parameter)));
    return object;
}

static json_t *replay_string(const struct orr__command *command, const struct orr__result *result)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return json_string("");
    orr__command_again(out, command, result->outcome.seed);
    fputs(orr__twice_option(result), out);
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

void orr__json_failure(const struct orr__command *command, const struct orr__result *result)
{
    const struct orr_outcome *outcome = &result->outcome;
    json_t *object = json_object();
    json_object_set_new(object, "scenario", string(command->job.scenario->name));
    json_object_set_new(object, "parameters", parameters_object(&command->job));
    json_object_set_new(object, "check", string(outcome->check));
    json_object_set_new(object, "detail", string(outcome->detail));
    json_object_set_new(object, "output", text_string(result->output, result->output_length));
    json_object_set_new(object, "finished", json_boolean(result->finished));
    json_object_set_new(object, "trace_hash", hash_string(outcome->trace_hash));
    json_object_set_new(object, "events", number(outcome->events));
    json_object_set_new(object, "simulated_ns", number(outcome->simulated_ns));
    json_object_set_new(object, "faults", number(outcome->faults));
    json_object_set_new(object, "replay", replay_string(command, result));
    printf("{\"seed\": %" PRIu64 ", ", outcome->seed);
    write_line(object, JSON_EMBED);
    puts("}");
}

static json_t *faults_object(const struct orr__totals *totals)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        json_object_set_new(object, orr_fault_family_name((enum orr_fault_family)i),
                            number(totals->faults_by_family[i]));
    return object;
}

static json_t *sometimes_object(const struct orr__totals *totals)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < totals->sometimes_count; i++) {
        json_t *text = string(totals->sometimes[i].text);
        json_object_set_new(object, json_string_value(text), number(totals->sometimes[i].seen));
        json_decref(text);
    }
    return object;
}

static const char *stop_name(enum orr__stop stop)
{
    static const char *const names[] = {
        [ORR__STOP_END] = "end",       [ORR__STOP_FAILURES] = "failures", [ORR__STOP_TIME] = "time",
        [ORR__STOP_SIGNAL] = "signal", [ORR__STOP_ERROR] = "error",
    };
    return names[stop];
}

void orr__json_summary(const struct orr__command *command, const struct orr__totals *totals)
{
    json_t *object = json_object();
    json_object_set_new(object, "summary", json_true());
    json_object_set_new(object, "scenario", string(command->job.scenario->name));
    json_object_set_new(object, "parameters", parameters_object(&command->job));
    json_object_set_new(object, "seeds", number(totals->seeds));
    json_object_set_new(object, "failures", number(totals->failures));
    json_object_set_new(object, "stopped", json_string(stop_name(totals->stop)));
    json_object_set_new(object, "events", number(totals->events));
    json_object_set_new(object, "completions", number(totals->completions));
    json_object_set_new(object, "simulated_ns", number(totals->simulated_ns));
    json_object_set_new(object, "seconds", json_real((double)totals->elapsed_ns / 1e9));
    json_object_set_new(object, "jobs", number(command->jobs));
    json_object_set_new(object, "faults", faults_object(totals));
    json_object_set_new(object, "sometimes", sometimes_object(totals));
    write_line(object, JSON_REAL_PRECISION(6));
    putchar('\n');
}

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
    json_object_set_new(object, "name", string(parameter->name));
    json_object_set_new(object, "default", string(parameter->value));
    json_object_set_new(object, "allowed",
                        parameter->allowed != NULL ? allowed_array(parameter->allowed)
                                                   : json_null());
    json_object_set_new(object, "summary",
                        string(parameter->summary != NULL ? parameter->summary : ""));
    return object;
}

void orr__json_scenario(const struct orr_scenario *scenario)
{
    json_t *object = json_object();
    json_t *parameters = json_array();
    const struct orr_parameter *parameter = scenario->parameters;
    for (; parameter != NULL && parameter->name != NULL; parameter++)
        json_array_append_new(parameters, parameter_object(parameter));
    json_object_set_new(object, "scenario", string(scenario->name));
    json_object_set_new(object, "summary",
                        string(scenario->summary != NULL ? scenario->summary : ""));
    json_object_set_new(object, "parameters", parameters);
    write_line(object, 0);
    putchar('\n');
}

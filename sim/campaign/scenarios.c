/*
 * scenarios.c: which scenarios there are, built in or from shared objects, and which one with
 * which parameters the command line means. Parameters are checked here, before the first seed,
 * because a wrong one is a wrong command and not a failing seed.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "campaign.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- shared objects -------------------------------------------------------------------------- */

/* A bare name means a file here, as everywhere on a command line; to dlopen it would mean a
 * search. */
static void *open_object(const char *path)
{
    if (strchr(path, '/') != NULL)
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    char here[4096];
    int length = snprintf(here, sizeof here, "./%s", path);
    if (length < 0 || (size_t)length >= sizeof here)
        return NULL;
    return dlopen(here, RTLD_NOW | RTLD_LOCAL);
}

static int check_scenarios(const struct orr__command *command, const char *path,
                           const struct orr_scenario *const *scenarios)
{
    for (size_t i = 0; scenarios[i] != NULL; i++)
        if (scenarios[i]->name == NULL || scenarios[i]->run == NULL)
            return orr__error(command, "scenario number %zu of '%s' has no %s", i + 1, path,
                              scenarios[i]->name == NULL ? "name" : "run function");
    return 0;
}

/* The name in "undefined symbol: orr_run_once", if it is one of ours; its length or 0. */
static int missing_symbol(const char *why, const char **ret_name)
{
    if (strstr(why, "undefined symbol") == NULL && strstr(why, "symbol not found") == NULL)
        return 0;
    const char *name = strstr(why, ": orr_");
    if (name == NULL)
        return 0;
    *ret_name = name + strlen(": ");
    return (int)strspn(*ret_name, "abcdefghijklmnopqrstuvwxyz0123456789_");
}

static int cannot_load(const struct orr__command *command, const char *path, const char *why)
{
    const char *symbol;
    int symbol_length = missing_symbol(why, &symbol);
    if (symbol_length > 0)
        return orr__error(command,
                          "cannot load '%s': it takes %.*s from the program that loads it, and %s "
                          "does not export that: link %s with -rdynamic and with all of "
                          "liborrery-sim (shared, or static between -Wl,--whole-archive and "
                          "-Wl,--no-whole-archive), or load the file with the tool orrery",
                          path, symbol_length, symbol, command->program, command->program);
    size_t length = strlen(path);
    if (strncmp(why, path, length) == 0 && strncmp(why + length, ": ", 2) == 0)
        why += length + 2;
    bool foreign = strstr(why, "ELF") != NULL || strstr(why, "file too short") != NULL ||
                   strstr(why, "cannot read file data") != NULL;
    return orr__error(command, "cannot load '%s': %s%s", path, why,
                      foreign ? ": this is no shared object (cc -shared -fPIC makes one)" : "");
}

int orr__scenarios_load(struct orr__command *command)
{
    for (uint32_t i = 0; i < command->load_count; i++) {
        const char *path = command->loads[i];
        if (*path == '\0')
            return orr__usage_error(command, "--load '': this must be the path of a shared object");
        /* Never closed: its scenarios are in use until this process ends. */
        void *object = open_object(path);
        if (object == NULL) {
            const char *why = dlerror();
            return cannot_load(command, path, why != NULL ? why : "the name is too long");
        }
        const void *symbol = dlsym(object, "orr_scenarios");
        if (symbol == NULL)
            return orr__error(command,
                              "'%s' has no symbol orr_scenarios: write "
                              "ORR_SCENARIOS(&your_scenario) in one of its files",
                              path);
        command->loaded[i] = symbol;
        int status = check_scenarios(command, path, command->loaded[i]);
        if (status != 0)
            return status;
    }
    return 0;
}

/* ---- all scenarios --------------------------------------------------------------------------- */

/* Set number `index` in the order that counts, or NULL after the last one. */
static const struct orr_scenario *const *scenario_set(const struct orr__command *command,
                                                      uint32_t index)
{
    if (index < command->load_count)
        return command->loaded[index];
    return index == command->load_count ? command->built_in : NULL;
}

static const struct orr_scenario *find(const struct orr__command *command, const char *name)
{
    for (uint32_t i = 0; i <= command->load_count; i++) {
        const struct orr_scenario *const *scenarios = scenario_set(command, i);
        for (size_t j = 0; scenarios != NULL && scenarios[j] != NULL; j++)
            if (strcmp(scenarios[j]->name, name) == 0)
                return scenarios[j];
    }
    return NULL;
}

void orr__scenarios_visit(const struct orr__command *command,
                          void (*visit)(const struct orr_scenario *scenario, void *context),
                          void *context)
{
    for (uint32_t i = 0; i <= command->load_count; i++) {
        const struct orr_scenario *const *scenarios = scenario_set(command, i);
        for (size_t j = 0; scenarios != NULL && scenarios[j] != NULL; j++)
            if (find(command, scenarios[j]->name) == scenarios[j])
                visit(scenarios[j], context);
    }
}

static void offer(const struct orr_scenario *scenario, void *context)
{
    orr__nearest_offer(context, scenario->name);
}

static int unknown_scenario(const struct orr__command *command, const char *name)
{
    struct orr__nearest nearest = {.wanted = name};
    orr__scenarios_visit(command, offer, &nearest);
    if (nearest.name != NULL)
        return orr__usage_error(command, "unknown scenario '%s': did you mean '%s'?", name,
                                nearest.name);
    return orr__usage_error(command, "unknown scenario '%s': '%s list' names them all", name,
                            command->program);
}

/* ---- parameters ------------------------------------------------------------------------------ */

static const struct orr_parameter *find_parameter(const struct orr_scenario *scenario,
                                                  const char *name, size_t length)
{
    const struct orr_parameter *parameter = scenario->parameters;
    for (; parameter != NULL && parameter->name != NULL; parameter++)
        if (strlen(parameter->name) == length && memcmp(parameter->name, name, length) == 0)
            return parameter;
    return NULL;
}

static int unknown_parameter(const struct orr__command *command, const char *word, size_t length)
{
    const struct orr_parameter *parameter = command->job.scenario->parameters;
    char *names = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&names, &size);
    if (out == NULL)
        return orr__error(command, "no memory");
    for (; parameter != NULL && parameter->name != NULL; parameter++)
        fprintf(out, "%s%s", ftell(out) > 0 ? ", " : "it has ", parameter->name);
    fputs(ftell(out) > 0 ? "" : "it has none", out);
    fclose(out);
    bool seeds =
        strncmp(word, "seed=", length + 1) == 0 || strncmp(word, "seeds=", length + 1) == 0;
    int status = seeds ? orr__usage_error(command, "'%s' is no parameter: did you mean --%.*s %s?",
                                          word, (int)length, word, word + length + 1)
                       : orr__usage_error(command, "scenario '%s' has no parameter '%.*s': %s",
                                          command->job.scenario->name, (int)length, word, names);
    free(names);
    return status;
}

/* Whether `value` is one of the words of "a|b|c". */
static bool is_among(const char *allowed, const char *value)
{
    size_t length = strlen(value);
    while (true) {
        size_t word = strcspn(allowed, "|");
        if (word == length && memcmp(allowed, value, word) == 0)
            return true;
        if (allowed[word] == '\0')
            return false;
        allowed += word + 1;
    }
}

static bool is_number(const char *value)
{
    uint64_t number;
    return value[strspn(value, "0123456789")] == '\0' && orr__parse_number(value, &number) &&
           number <= INT64_MAX;
}

static int check_value(const struct orr__command *command, const struct orr_parameter *parameter,
                       const char *value)
{
    if (parameter->allowed != NULL && !is_among(parameter->allowed, value))
        return orr__usage_error(command, "%s=%s: the value must be one of %s", parameter->name,
                                value, parameter->allowed);
    if (parameter->allowed == NULL && !is_number(value))
        return orr__usage_error(command, "%s=%s: the value must be a number from 0 to %" PRId64,
                                parameter->name, value, INT64_MAX);
    return 0;
}

/* A word that is neither the scenario nor a parameter: what was it meant to be? */
static int too_much(const struct orr__command *command, const struct orr_scenario *scenario,
                    const char *word)
{
    uint64_t number;
    const char *option = strcmp(command->verb, "replay") == 0 ? "seed" : "seeds";
    const struct orr_parameter *parameter = find_parameter(scenario, word, strlen(word));
    if (parameter != NULL)
        return orr__usage_error(command, "parameter '%s' needs a value: %s=%s is the default", word,
                                word, parameter->value);
    if (orr__parse_number(word, &number))
        return orr__usage_error(command, "'%s' is too much: did you mean --%s %s?", word, option,
                                word);
    return orr__usage_error(command,
                            "'%s' is too much: after the scenario '%s' come parameters "
                            "(name=value) and options",
                            word, scenario->name);
}

static int take_parameter(struct orr__command *command, const char *word)
{
    size_t length = strcspn(word, "=");
    if (length == 0)
        return orr__usage_error(command, "'%s' has no name: a parameter is name=value", word);
    const struct orr_parameter *parameter = find_parameter(command->job.scenario, word, length);
    if (parameter == NULL)
        return unknown_parameter(command, word, length);
    for (size_t i = 0; i < command->job.parameter_count; i++)
        if (command->parameters[i].name == parameter->name)
            return orr__usage_error(command, "parameter '%s' is given twice", parameter->name);
    const char *value = word + length + 1;
    command->parameters[command->job.parameter_count++] =
        (struct orr_parameter_value){.name = parameter->name, .value = value};
    return check_value(command, parameter, value);
}

int orr__scenarios_choose(struct orr__command *command)
{
    const char *name = NULL;
    const char *second = NULL;
    for (uint32_t i = 0; i < command->word_count; i++) {
        if (strchr(command->words[i], '=') != NULL)
            continue;
        if (name == NULL)
            name = command->words[i];
        else if (second == NULL)
            second = command->words[i];
    }
    if (name == NULL)
        return orr__usage_error(command, "which scenario? '%s list' names them all",
                                command->program);
    command->job.scenario = find(command, name);
    if (command->job.scenario == NULL)
        return unknown_scenario(command, name);
    if (second != NULL)
        return too_much(command, command->job.scenario, second);
    command->job.parameters = command->parameters;
    for (uint32_t i = 0; i < command->word_count; i++) {
        int status =
            strchr(command->words[i], '=') != NULL ? take_parameter(command, command->words[i]) : 0;
        if (status != 0)
            return status;
    }
    return 0;
}

const char *orr__parameter_value(const struct orr__job *job, const struct orr_parameter *parameter)
{
    for (size_t i = 0; i < job->parameter_count; i++)
        if (strcmp(job->parameters[i].name, parameter->name) == 0)
            return job->parameters[i].value;
    return parameter->value;
}

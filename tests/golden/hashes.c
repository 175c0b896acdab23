/*
 * hashes.c: reads the list of golden runs from standard input, makes each in this process, and
 * prints TAP. It stands on the world and the scenarios alone: no command line, no backend, no
 * library that is not there in 32 bits.
 */
#include "examples/scenarios.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int orr_loop_open(const struct orr_options *options, struct orr_loop **ret_loop);

/* In the place of that with backends: all loops of a program are the world's. */
int orr_loop_open(const struct orr_options *options, struct orr_loop **ret_loop)
{
    const struct orr_options none = {0};
    return orr_loop_open_hosted(options != NULL ? options : &none, ret_loop);
}

enum { WORDS_MAX = 8, LINE_MAX_BYTES = 256 };

static const struct orr_scenario *find(const char *name)
{
    const struct orr_scenario *const scenarios[] = {EXAMPLES_SCENARIOS};
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (strcmp(scenarios[i]->name, name) == 0)
            return scenarios[i];
    return NULL;
}

/* "scenario [name=value ...] seed": splits it in place. */
static bool parse(char *run, const struct orr_scenario **ret_scenario,
                  struct orr_parameter_value parameters[WORDS_MAX],
                  struct orr_run_options *ret_options)
{
    char *save = NULL;
    const char *last = NULL;
    *ret_options = (struct orr_run_options){.parameters = parameters};
    for (char *word = run, *next; word != NULL; word = next) {
        next = strchr(word, ' ');
        if (next != NULL)
            *next++ = '\0';
        char *value = strchr(word, '=');
        if (word == run) {
            *ret_scenario = find(word);
        } else if (value != NULL && ret_options->parameter_count < WORDS_MAX) {
            *value = '\0';
            parameters[ret_options->parameter_count++] =
                (struct orr_parameter_value){.name = word, .value = value + 1};
        } else {
            last = word;
        }
    }
    if (*ret_scenario == NULL || last == NULL)
        return false;
    ret_options->seed = strtoull(last, &save, 10);
    return *save == '\0';
}

/* The hash of a run is the one that the list has. */
static bool holds(char *run, const char *wanted)
{
    struct orr_parameter_value parameters[WORDS_MAX];
    const struct orr_scenario *scenario = NULL;
    struct orr_run_options options;
    static struct orr_outcome outcome;
    char found[17];
    if (!parse(run, &scenario, parameters, &options) ||
        orr_scenario_run(scenario, &options, &outcome) < 0) {
        printf("# the run cannot be made: %s\n", outcome.detail);
        return false;
    }
    snprintf(found, sizeof found, "%016" PRIx64, outcome.trace_hash);
    if (strcmp(found, wanted) != 0)
        printf("# expected %s, found %s\n", wanted, found);
    return strcmp(found, wanted) == 0;
}

int main(void)
{
    char line[LINE_MAX_BYTES];
    int number = 0;
    int failures = 0;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* a crash takes no line along */
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *equals = strstr(line, " = ");
        if (line[0] == '#' || equals == NULL)
            continue;
        *equals = '\0';
        char name[LINE_MAX_BYTES];
        memcpy(name, line, sizeof name);
        equals[3 + strcspn(equals + 3, "\n")] = '\0';
        bool good = holds(line, equals + 3);
        printf("%s %d - %s\n", good ? "ok" : "not ok", ++number, name);
        failures += good ? 0 : 1;
    }
    printf("1..%d\n", number);
    return number == 0 || failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * seeds.c: a scenario with seed after seed, in one process, until a check fails: what bench/guided
 * compares fuzzers with. SCENARIO comes from the build.
 *
 *     seeds FIRST COUNT [name=value ...]
 *
 * Prints how many seeds were run, and "found" or "clean".
 */
#include <orrery/sim.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

extern const struct orr_scenario SCENARIO;

#define PARAMETERS_MAX 8

int main(int argc, char **argv)
{
    static struct orr_outcome outcome;
    struct orr_parameter_value values[PARAMETERS_MAX];
    struct orr_run_options options = {.parameters = values};
    if (argc < 3 || argc - 3 > PARAMETERS_MAX)
        return 2;
    for (int i = 3; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals == NULL)
            return 2;
        *equals = '\0';
        values[options.parameter_count++] =
            (struct orr_parameter_value){.name = argv[i], .value = equals + 1};
    }
    uint64_t first = strtoull(argv[1], NULL, 10);
    uint64_t count = strtoull(argv[2], NULL, 10);
    uint64_t run = 0;
    while (run < count && !outcome.failed) {
        options.seed = first + run++;
        if (orr_scenario_run(&SCENARIO, &options, &outcome) < 0)
            return 2;
    }
    printf("%" PRIu64 " %s\n", run, outcome.failed ? "found" : "clean");
    return 0;
}

/*
 * fuzz.c: a scenario as a fuzz target: runs inputs, and tells what a run did (orrery/fuzz.h).
 *
 * The model: one run is one world in this process. After it the lanes that it drew from are kept as
 * offers for the mutator: of libFuzzer in this process, of AFL++ in another, through a file that
 * both have mapped. Marks are the run as a fuzzer shall see it, coarser than its trace: what it has
 * not seen is worth keeping an input for.
 */
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */

#include <orrery/fuzz.h>

#include "mutate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Where the marks are: `sometimes` checks by their text, pairs of families, faults by owner. */
enum {
    SOMETIMES_BITS = 9,
    PAIRS_AT = 1 << SOMETIMES_BITS,
    STRUCK_AT = PAIRS_AT + 512,
    MARKS_END = STRUCK_AT + (1 << ORR__STRUCK_BITS),
    PARAMETERS_MAX = 16,
    PARAMETERS_BYTES_MAX = 512,
    OPTIONS_MAX = 256,
};
_Static_assert(MARKS_END <= ORR_FUZZ_MARKS, "the marks have room");
_Static_assert(ORR_FAMILY_COUNT *(ORR_FAMILY_COUNT + 1) / 2 <= 512, "the pairs have room");

/* ---- offers ---------------------------------------------------------------------------------- */

static struct orr__offers own_offers;

/* Memory that AFL++'s mutator reads, or our own. */
static struct orr__offers *offers_of_target(void)
{
    static struct orr__offers *offers;
    if (offers != NULL)
        return offers;
    offers = &own_offers;
    const char *path = getenv(ORR__OFFERS_VARIABLE);
    int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return offers;
    void *memory = mmap(NULL, sizeof *offers, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED)
        offers = memory;
    return offers;
}

static void offer_lanes(const struct orr_lanes *lanes, struct orr__offers *offers)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ORR__LANES_MAX; i++)
        if (lanes->reach[i].lane != 0 && lanes->reach[i].end > 0)
            offers->lanes[count++] =
                (struct orr__offer){.lane = lanes->reach[i].lane, .end = lanes->reach[i].end};
    offers->count = count;
}

/* ---- marks ----------------------------------------------------------------------------------- */

static void mark(uint8_t *marks, uint32_t at, uint64_t times)
{
    uint64_t sum = marks[at] + times;
    marks[at] = sum < UINT8_MAX ? (uint8_t)sum : UINT8_MAX;
}

static void mark_all(const struct orr_outcome *outcome, const struct orr_lanes *lanes,
                     uint8_t *marks)
{
    const uint32_t *struck = outcome->faults_by_family;
    uint32_t pair = PAIRS_AT;
    for (uint32_t i = 0; i < outcome->sometimes_count; i++) {
        uint64_t hash = orr__actor_id(outcome->sometimes[i].text);
        mark(marks, (uint32_t)(hash >> (64 - SOMETIMES_BITS)), outcome->sometimes[i].seen);
    }
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        for (uint32_t j = i; j < ORR_FAMILY_COUNT; j++, pair++)
            mark(marks, pair, struck[i] > 0 && struck[j] > 0 ? 1 : 0);
    for (uint32_t i = 0; i < sizeof lanes->struck; i++)
        mark(marks, STRUCK_AT + i, lanes->struck[i]);
}

/* ---- a run ----------------------------------------------------------------------------------- */

/* Splits "name=value name=value"; the values lie in `text`. Returns how many. */
static size_t split(const char *parameters, char text[PARAMETERS_BYTES_MAX],
                    struct orr_parameter_value values[PARAMETERS_MAX])
{
    size_t count = 0;
    if (strlen(parameters) >= PARAMETERS_BYTES_MAX)
        orr_fatal("ORR_FUZZ_TARGET: the parameters have more than %d bytes",
                  PARAMETERS_BYTES_MAX - 1);
    memcpy(text, parameters, strlen(parameters) + 1);
    for (char *at = text + strspn(text, " "); *at != '\0';) {
        char *equals = strchr(at, '=');
        char *end = at + strcspn(at, " ");
        if (equals == NULL || equals > end || count == PARAMETERS_MAX)
            orr_fatal("ORR_FUZZ_TARGET: \"%s\": expected at most %d name=value", at,
                      PARAMETERS_MAX);
        *equals = '\0';
        values[count++] = (struct orr_parameter_value){.name = at, .value = equals + 1};
        at = end + strspn(end, " ");
        *end = '\0';
    }
    return count;
}

static void run(const struct orr_fuzz_target *target, struct orr_lanes *lanes,
                struct orr_outcome *outcome)
{
    char text[PARAMETERS_BYTES_MAX];
    struct orr_parameter_value values[PARAMETERS_MAX];
    struct orr_run_options options = {.parameters = values, .lanes = lanes};
    options.parameter_count = split(target->parameters, text, values);
    if (orr_scenario_run(target->scenario, &options, outcome) < 0)
        orr_fatal("ORR_FUZZ_TARGET(%s, \"%s\"): %s", target->scenario->name, target->parameters,
                  outcome->detail);
}

void orr_fuzz_run(const struct orr_fuzz_target *target, const uint8_t *input, size_t size,
                  uint8_t *marks)
{
    static struct orr_outcome outcome;
    struct orr_lanes *lanes = calloc(1, sizeof *lanes);
    if (lanes == NULL || !orr__lanes_read(lanes, input, size))
        orr_fatal("no memory for an input of %zu bytes", size);
    run(target, lanes, &outcome);
    offer_lanes(lanes, offers_of_target());
    if (marks != NULL)
        mark_all(&outcome, lanes, marks);
    orr__lanes_free(lanes);
    free(lanes);
    if (!outcome.failed)
        return;
    const char *space = target->parameters[0] != '\0' ? " " : "";
    fprintf(stderr,
            "orrery: %s%s%s, seed %" PRIu64 ", %zu bytes: %s\n%s\ntrace hash %016" PRIx64 "\n"
            "  its story: orrery replay %s%s%s --input FILE\n"
            "  as a file to keep: orrery convert %s%s%s --input FILE -o FILE.replay\n",
            target->scenario->name, space, target->parameters, outcome.seed, size, outcome.check,
            outcome.detail, outcome.trace_hash, target->scenario->name, space, target->parameters,
            target->scenario->name, space, target->parameters);
    abort();
}

/* ---- entry points ---------------------------------------------------------------------------- */

size_t orr_fuzz_mutate(uint8_t *input, size_t size, size_t size_max, uint32_t random)
{
    return orr__mutate(offers_of_target(), input, size, size_max, random);
}

size_t orr_fuzz_cross(const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size,
                      uint8_t *input, size_t size_max, uint32_t random)
{
    return orr__cross(one, one_size, two, two_size, input, size_max, random);
}

int orr_fuzz_initialize(int *argc, char ***argv)
{
    static char *options[OPTIONS_MAX + 2];
    static char timeout[] = "-timeout=0";
    if (*argc < 1 || *argc > OPTIONS_MAX)
        return 0;
    options[0] = (*argv)[0];
    options[1] = timeout; /* first: one that is given counts more */
    for (int i = 1; i < *argc; i++)
        options[i + 1] = (*argv)[i];
    options[++*argc] = NULL;
    *argv = options;
    return 0;
}

/* The whole file in an allocation of its own, or NULL. */
static uint8_t *read_input(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file != NULL ? malloc(ORR__INPUT_MAX) : NULL;
    if (bytes != NULL)
        *ret_size = fread(bytes, 1, ORR__INPUT_MAX, file);
    if (bytes != NULL && ferror(file) != 0) {
        free(bytes);
        bytes = NULL;
    }
    if (file != NULL)
        fclose(file);
    return bytes;
}

int orr_fuzz_main(const struct orr_fuzz_target *target, int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s INPUT ...\nruns %s %s with each; a failure ends it\n",
                argc > 0 ? argv[0] : "fuzz", target->scenario->name, target->parameters);
        return 2;
    }
    printf("1..%d\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        size_t size = 0;
        uint8_t *input = read_input(argv[i], &size);
        if (input == NULL) {
            printf("Bail out! cannot read %s: %s\n", argv[i], strerror(errno));
            return 2;
        }
        printf("# %s\n", argv[i]);
        fflush(stdout);
        orr_fuzz_run(target, input, size, NULL);
        free(input);
        printf("ok %d - %s\n", i, argv[i]);
    }
    return 0;
}

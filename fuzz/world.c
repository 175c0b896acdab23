/*
 * world.c: the world itself as a fuzz target: the bytes are the choices of the kv scenario, in
 * lanes beneath which a seed answers (docs/fuzzing.md). The server has no planted bug, so whatever
 * fails is a bug of the server, or of the world.
 *
 * Input: 8 bytes of seed (little endian, missing ones are 0), then the lanes.
 */
#include <orrery/sim.h>

#include <inttypes.h>
#include <stdlib.h>

extern const struct orr_scenario kv_scenario;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEED_BYTES 8u
/* Enough for some hundred commands and a crash or two; a fuzzer needs many runs more than long
 * ones. */
#define STRETCH_MS "60"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct orr_parameter_value parameters[] = {{.name = "ms", .value = STRETCH_MS}};
    uint64_t seed = 0;
    size_t seed_bytes = size < SEED_BYTES ? size : SEED_BYTES;
    for (size_t i = 0; i < seed_bytes; i++)
        seed |= (uint64_t)data[i] << 8 * i;
    struct orr_run_options options = {
        .seed = seed,
        .parameters = parameters,
        .parameter_count = 1,
        .bytes = data + seed_bytes,
        .byte_count = size - seed_bytes,
    };
    struct orr_outcome outcome;
    if (orr_scenario_run(&kv_scenario, &options, &outcome) < 0 || outcome.failed) {
        fprintf(stderr, "kv, seed %" PRIu64 ", %zu bytes of choices: %s\n%s\n", seed,
                size - seed_bytes, outcome.check, outcome.detail);
        abort();
    }
    return 0;
}

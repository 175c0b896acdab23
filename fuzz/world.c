/*
 * world.c: the kv scenario as a fuzz target: its choices are the input (docs/fuzzing.md). The
 * server has no planted bug, so whatever fails is a bug of the server, or of the world. A short
 * stretch: enough for some hundred commands and a crash or two; a fuzzer needs many runs more than
 * long ones.
 */
#include <orrery/fuzz.h>

ORR_FUZZ_TARGET(kv_scenario, "ms=60")

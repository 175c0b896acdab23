/*
 * fuzz_kv.c: the kv scenario as a fuzz target, with a planted bug that bench/guided times.
 */
#include <orrery/fuzz.h>

ORR_FUZZ_TARGET(kv_scenario, "bug=rename-before-fsync ms=60")

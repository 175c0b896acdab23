/*
 * register.c: the register scenario as a fuzz target, its choices the input (docs/fuzzing.md): a
 * replicated register, few nodes and much network, beside kv's one disk.
 */
#include <orrery/fuzz.h>

ORR_FUZZ_TARGET(register_scenario, "ms=200")

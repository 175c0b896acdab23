/*
 * fuzz_handshake.c: handshake.c as a fuzz target, with its planted bug, which bench/guided times.
 */
#include <orrery/fuzz.h>

ORR_FUZZ_TARGET(handshake_scenario, "bug=planted")

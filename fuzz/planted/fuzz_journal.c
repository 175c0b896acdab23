/*
 * fuzz_journal.c: journal.c as a fuzz target, with its planted bug, which bench/guided times.
 */
#include <orrery/fuzz.h>

ORR_FUZZ_TARGET(journal_scenario, "bug=planted")

/*
 * main.c: the planted scenarios' command line: what a fuzz target has found is replayed, shrunk and
 * converted with it.
 */
#include "planted.h"

ORR_MAIN(&handshake_scenario, &journal_scenario)

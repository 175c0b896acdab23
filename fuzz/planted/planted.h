/*
 * planted.h: small scenarios with a bug that needs several faults in order, to measure what finds
 * it: seeds alone, or a fuzzer. Each step towards it has a `sometimes` check.
 */
#ifndef FUZZ_PLANTED_H
#define FUZZ_PLANTED_H

#include <orrery/sim.h>

/* `rates=flat`: every family that the swarm knows is on, each at the same rate in all seeds.
 * Otherwise the swarm's own. To be called before the first node is made. */
void planted_rates(struct orr_world *world);

#define PLANTED_PARAMETERS                                                                   \
    {.name = "bug", .value = "none", .allowed = "none|planted", .summary = "a planted bug"}, \
        {.name = "rates",                                                                    \
         .value = "swarm",                                                                   \
         .allowed = "swarm|flat",                                                            \
         .summary = "flat: all families, at the same rates in every seed"},                  \
    {                                                                                        \
        .name = NULL                                                                         \
    }

extern const struct orr_scenario handshake_scenario;
extern const struct orr_scenario journal_scenario;

#endif

/*
 * scenarios.h: the scenarios of all examples, for who has them built in.
 */
#ifndef EXAMPLES_SCENARIOS_H
#define EXAMPLES_SCENARIOS_H

#include <orrery/sim.h>

extern const struct orr_scenario echo_scenario;
extern const struct orr_scenario kv_scenario;
extern const struct orr_scenario register_scenario;
extern const struct orr_scenario counter_scenario;
extern const struct orr_scenario exchange_scenario;
extern const struct orr_scenario gate_scenario;
extern const struct orr_scenario journal_scenario;
extern const struct orr_scenario lease_scenario;
extern const struct orr_scenario pair_scenario;
extern const struct orr_scenario post_scenario;

/* Their addresses, in the order in which they are listed. */
#define EXAMPLES_SCENARIOS                                                                   \
    &echo_scenario, &kv_scenario, &register_scenario, &counter_scenario, &exchange_scenario, \
        &gate_scenario, &journal_scenario, &lease_scenario, &pair_scenario, &post_scenario

#endif

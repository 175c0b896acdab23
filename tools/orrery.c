/*
 * orrery: the command line over the scenarios of the examples. Everything it does is
 * orr_command_line of <orrery/sim.h>; a program with scenarios of its own is made the same way
 * (ORR_MAIN), or loaded with --load.
 */
#include <orrery/sim.h>

#ifdef ORRERY_WITH_EXAMPLES
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
#endif

static const struct orr_scenario *const scenarios[] = {
#ifdef ORRERY_WITH_EXAMPLES
    &echo_scenario,
    &kv_scenario,
    &register_scenario,
    &counter_scenario,
    &exchange_scenario,
    &gate_scenario,
    &journal_scenario,
    &lease_scenario,
    &pair_scenario,
    &post_scenario,
#endif
    NULL,
};

int main(int argc, char **argv)
{
    return orr_command_line(argc, argv, scenarios);
}

/*
 * orrery: the command line over the scenarios of the examples. Everything it does is
 * orr_command_line of <orrery/sim.h>; a program with scenarios of its own is made the same way
 * (ORR_MAIN), or loaded with --load.
 */
#include <orrery/sim.h>

#ifdef ORRERY_WITH_EXAMPLES
#include "examples/scenarios.h"
#endif

static const struct orr_scenario *const scenarios[] = {
#ifdef ORRERY_WITH_EXAMPLES
    EXAMPLES_SCENARIOS,
#endif
    NULL,
};

int main(int argc, char **argv)
{
    return orr_command_line(argc, argv, scenarios);
}

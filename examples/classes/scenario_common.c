/* scenario_common.c: see scenario_common.h. A kind of faults is one family or several. */
#include "scenario_common.h"

#include <string.h>

#define FAMILY_BIT(family) (1u << (family))

/* What makes messages, or a program, late. */
#define WAITS                                                            \
    (FAMILY_BIT(ORR_FAMILY_LATENCY) | FAMILY_BIT(ORR_FAMILY_BANDWIDTH) | \
     FAMILY_BIT(ORR_FAMILY_CLOG) | FAMILY_BIT(ORR_FAMILY_PARTITION) |    \
     FAMILY_BIT(ORR_FAMILY_PAUSE))

static const struct {
    const char *name;
    uint32_t families;
} kinds[] = {
    {"none", 0},
    {"clock", FAMILY_BIT(ORR_FAMILY_CLOCK)},
    {"connection", FAMILY_BIT(ORR_FAMILY_CONNECTION)},
    {"datagram", FAMILY_BIT(ORR_FAMILY_DATAGRAM)},
    {"handles", FAMILY_BIT(ORR_FAMILY_HANDLES)},
    {"power-loss", FAMILY_BIT(ORR_FAMILY_POWER_LOSS)},
    {"pressure", FAMILY_BIT(ORR_FAMILY_PRESSURE)},
    {"short-transfers", FAMILY_BIT(ORR_FAMILY_PRESSURE) | FAMILY_BIT(ORR_FAMILY_PARTIAL)},
    {"network", WAITS | FAMILY_BIT(ORR_FAMILY_DATAGRAM)},
    {"slow-transfers", WAITS | FAMILY_BIT(ORR_FAMILY_PRESSURE) | FAMILY_BIT(ORR_FAMILY_PARTIAL)},
    {"waits", WAITS | FAMILY_BIT(ORR_FAMILY_HANDLES) | FAMILY_BIT(ORR_FAMILY_PRESSURE)},
};

bool classes_is_without(struct orr_world *world, const char *word)
{
    return strcmp(orr_parameter_text(world, "without"), word) == 0;
}

bool classes_has_bug(struct orr_world *world, const char *word)
{
    return strcmp(orr_parameter_text(world, "bug"), word) == 0;
}

void classes_set_rates(struct orr_world *world)
{
    uint32_t off = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (classes_is_without(world, kinds[i].name))
            off = kinds[i].families;
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++)
        if ((off & FAMILY_BIT(family)) != 0)
            orr_world_set_rate(world, (enum orr_fault_family)family, 0);
}

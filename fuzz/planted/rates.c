/*
 * rates.c: the rates of all families, without a swarm: the middle of what the swarm draws from, on
 * its logarithmic scale, halved as the swarm leaves each family out of every second seed.
 */
#include "planted.h"

#include <string.h>

void planted_rates(struct orr_world *world)
{
    static const struct {
        enum orr_fault_family family;
        uint32_t per_million;
    } flat[] = {
        {ORR_FAMILY_PARTIAL, 10000},   {ORR_FAMILY_LATENCY, 1000},     {ORR_FAMILY_REORDER, 10000},
        {ORR_FAMILY_PRESSURE, 50000},  {ORR_FAMILY_CONNECTION, 250},   {ORR_FAMILY_PARTITION, 1600},
        {ORR_FAMILY_DATAGRAM, 7000},   {ORR_FAMILY_DISK_ERROR, 100},   {ORR_FAMILY_DISK_FULL, 100},
        {ORR_FAMILY_POWER_LOSS, 2700}, {ORR_FAMILY_KILL, 2700},        {ORR_FAMILY_PAUSE, 1000},
        {ORR_FAMILY_CLOCK, 1000},      {ORR_FAMILY_BANDWIDTH, 110000}, {ORR_FAMILY_CLOG, 1600},
        {ORR_FAMILY_HANDLES, 700},
    };
    if (strcmp(orr_parameter_text(world, "rates"), "flat") != 0)
        return;
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++)
        orr_world_set_rate(world, flat[i].family, flat[i].per_million);
}

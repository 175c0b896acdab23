/*
 * choice.c: the choices of a world.
 *
 * value = H(seed, site, actor, occurrence): keyed, not streamed. One more timer or log line leaves
 * every other draw as it was, so a failing seed survives unrelated changes of the program, and a
 * fault has a name. Integers only: no rounding differs between machines. A fuzzer's input lies over
 * the seed, place by place (lanes.h).
 */
#include "lanes.h"
#include "world.h"

#include <string.h>

#define MILLION 1000000u

/* A bijection of 64 bits in which every input bit moves about half of the output bits. */
static uint64_t scramble(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 29;
    x *= UINT64_C(0xa0761d6478bd642f);
    x ^= x >> 32;
    return x;
}

uint64_t orr__mix(uint64_t a, uint64_t b)
{
    return scramble(a + UINT64_C(0x9e3779b97f4a7c15) + scramble(b ^ UINT64_C(0x2545f4914f6cdd1d)));
}

uint64_t orr__actor_id(const char *name)
{
    uint64_t id = 0;
    for (const char *at = name; *at != '\0'; at++)
        id = orr__mix(id, (uint8_t)*at);
    return id;
}

/* The high bits of the product: unbiased enough for any bound far below 2^64, and no division. */
static uint64_t scale(uint64_t value, uint64_t bound)
{
    uint64_t value_high = value >> 32;
    uint64_t value_low = value & UINT32_MAX;
    uint64_t bound_high = bound >> 32;
    uint64_t bound_low = bound & UINT32_MAX;
    uint64_t middle = value_high * bound_low + (value_low * bound_low >> 32);
    uint64_t cross = value_low * bound_high + (middle & UINT32_MAX);
    return value_high * bound_high + (middle >> 32) + (cross >> 32);
}

uint64_t orr__draw(struct orr_world *world, enum orr__site site, uint64_t actor,
                   uint64_t occurrence)
{
    uint64_t key = orr__mix(actor + (uint64_t)site * UINT64_C(0xff51afd7ed558ccd), occurrence);
    uint64_t value =
        scramble(key ^ world->choice_seed * UINT64_C(0xc2b2ae3d27d4eb4f)) ^ world->choice_seed;
    if (world->lanes != NULL)
        return orr__lanes_draw(world, site, actor, occurrence, value);
    return value;
}

uint64_t orr__draw_below(struct orr_world *world, enum orr__site site, uint64_t actor,
                         uint64_t occurrence, uint64_t bound)
{
    orr__assert(bound >= 1);
    uint64_t value;
    if (world->answers != NULL &&
        world->answers->answer(world->answers->context, site, bound, &value)) {
        orr__assert(value < bound);
        return value;
    }
    return scale(orr__draw(world, site, actor, occurrence), bound);
}

uint64_t orr__draw_weighted(struct orr_world *world, enum orr__site site, uint64_t actor,
                            uint64_t occurrence, const uint8_t *weights, uint64_t count)
{
    if (world->answers != NULL)
        return orr__draw_below(world, site, actor, occurrence, count);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += weights[i];
    uint64_t draw = orr__draw_below(world, site, actor, occurrence, sum);
    uint64_t index = 0;
    while (draw >= weights[index])
        draw -= weights[index++];
    return index;
}

uint64_t orr__draw_range(struct orr_world *world, enum orr__site site, uint64_t actor,
                         uint64_t occurrence, uint64_t low, uint64_t high)
{
    orr__assert(low <= high && high - low < UINT64_MAX);
    return low + orr__draw_below(world, site, actor, occurrence, high - low + 1);
}

/*
 * -mean * ln(u): with u = (1 + m) * 2^-k, -log2(u) = k - log2(1 + m), and log2(1 + m) is close to m
 * on [0, 1). Good to a tenth of the mean, which is all a latency needs.
 */
uint64_t orr__draw_exponential(struct orr_world *world, enum orr__site site, uint64_t actor,
                               uint64_t occurrence, uint64_t mean)
{
    uint64_t u = orr__draw(world, site, actor, occurrence) | 1;
    uint32_t zeros = 0;
    while ((u >> 63) == 0) {
        u <<= 1;
        zeros++;
    }
    uint64_t fraction = (u << 1) >> 48;                          /* m, 16 bits */
    uint64_t log2_16 = ((uint64_t)zeros + 1) * 65536 - fraction; /* -log2(u), 16 fractional bits */
    uint64_t means_16 = log2_16 * 45426 / 65536;                 /* times ln 2 */
    uint64_t capped = means_16 > 16 * 65536 ? 16 * 65536 : means_16;
    return mean / 65536 * capped + mean % 65536 * capped / 65536;
}

void orr__draw_bytes(struct orr_world *world, enum orr__site site, uint64_t actor, uint64_t *count,
                     void *buffer, size_t length)
{
    uint8_t *bytes = buffer;
    for (size_t at = 0; at < length; at += 8) {
        uint64_t draw = orr__draw(world, site, actor, (*count)++);
        for (size_t i = 0; i < 8 && at + i < length; i++)
            bytes[at + i] = (uint8_t)(draw >> 8 * i);
    }
}

/* The range of rates that the swarm draws from, parts per million, evenly on a logarithmic scale.
 * For what chance.c does: per node (or world) and 10 ms of virtual time. A family without a range
 * is off unless the scenario sets its rate. */
static const struct {
    const char *name;
    uint32_t low;
    uint32_t high;
} families[ORR_FAMILY_COUNT] = {
    [ORR_FAMILY_PARTIAL] = {"partial", 1000, 400000},
    [ORR_FAMILY_LATENCY] = {"latency", 200, 20000},
    [ORR_FAMILY_REORDER] = {"reorder", 1000, 400000},
    [ORR_FAMILY_PRESSURE] = {"pressure", 10000, 900000},
    [ORR_FAMILY_CONNECTION] = {"connection", 50, 5000},
    [ORR_FAMILY_PARTITION] = {"partition", 500, 20000},
    [ORR_FAMILY_DATAGRAM] = {"datagram", 1000, 200000},
    [ORR_FAMILY_DISK_ERROR] = {"disk-error", 20, 2000},
    [ORR_FAMILY_DISK_FULL] = {"disk-full", 20, 2000},
    [ORR_FAMILY_POWER_LOSS] = {"power-loss", 1000, 30000},
    [ORR_FAMILY_KILL] = {"kill", 1000, 30000},
    [ORR_FAMILY_PAUSE] = {"pause", 200, 20000},
    [ORR_FAMILY_CLOCK] = {"clock", 200, 20000},
    [ORR_FAMILY_MEMORY] = {"memory", 0, 0},
    [ORR_FAMILY_BANDWIDTH] = {"bandwidth", 50000, 1000000},
    [ORR_FAMILY_CLOG] = {"clog", 500, 20000},
    [ORR_FAMILY_HANDLES] = {"handles", 100, 20000},
    [ORR_FAMILY_LOST_SYNC] = {"lost-sync", 0, 0},
    [ORR_FAMILY_BAD_SECTOR] = {"bad-sector", 0, 0},
    [ORR_FAMILY_BIT_ROT] = {"bit-rot", 0, 0},
    [ORR_FAMILY_MISDIRECTED] = {"misdirected", 0, 0},
    [ORR_FAMILY_STUCK] = {"stuck", 0, 0},
    [ORR_FAMILY_UNREACHABLE] = {"unreachable", 50000, 1000000},
};

const char *orr_fault_family_name(enum orr_fault_family family)
{
    return (uint32_t)family < ORR_FAMILY_COUNT ? families[family].name : "unknown";
}

bool orr_fault_family_is_on_request(enum orr_fault_family family)
{
    return (uint32_t)family < ORR_FAMILY_COUNT && families[family].low == 0;
}

void orr__swarm(struct orr_world *world)
{
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++) {
        bool on = !orr_fault_family_is_on_request((enum orr_fault_family)family) &&
                  orr__draw_below(world, ORR__SITE_SWARM, family, 0, 2) == 1;
        uint64_t steps = 1;
        while (on && (uint64_t)families[family].low << steps < families[family].high)
            steps++;
        uint64_t doublings = orr__draw_below(world, ORR__SITE_SWARM, family, 1, steps + 1);
        uint64_t rate = (uint64_t)families[family].low << doublings;
        if (rate > families[family].high)
            rate = families[family].high;
        world->rates[family] = on ? (uint32_t)rate : 0;
    }
}

void orr_world_set_rate(struct orr_world *world, enum orr_fault_family family, uint32_t per_million)
{
    if ((uint32_t)family >= ORR_FAMILY_COUNT || per_million > MILLION)
        orr_fatal("orr_world_set_rate: family %u, %u per million: there are %u families, and a "
                  "million is all",
                  (uint32_t)family, per_million, (uint32_t)ORR_FAMILY_COUNT);
    world->rates[family] = per_million;
}

uint32_t orr_world_rate(const struct orr_world *world, enum orr_fault_family family)
{
    return (uint32_t)family < ORR_FAMILY_COUNT ? world->rates[family] : 0;
}

/* The workload's own choices: the occurrence counts per site name. */
uint64_t orr_choose(struct orr_world *world, const char *site, uint64_t bound)
{
    uint64_t id = orr__actor_id(site);
    uint32_t i = 0;
    while (i < world->workload_count && world->workload[i].id != id)
        i++;
    if (i == ORR__WORKLOAD_SITES_MAX)
        orr_fatal("orr_choose: \"%s\" is one site more than the %d a scenario may have", site,
                  ORR__WORKLOAD_SITES_MAX);
    if (bound == 0)
        orr_fatal("orr_choose: \"%s\" has bound 0: there is nothing to choose from", site);
    if (i == world->workload_count) {
        world->workload[i].id = id;
        world->workload[i].count = 0;
        world->workload_count++;
    }
    if (world->lanes != NULL)
        world->lanes->chosen = site;
    return orr__draw_below(world, ORR__SITE_WORKLOAD, id, world->workload[i].count++, bound);
}

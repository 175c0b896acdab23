/*
 * clock.c: what a node's clocks say, and what that is in the world's time.
 *
 *      monotonic = base + (1 + drift) x (the world's time since the base was taken)
 *      wall      = monotonic + wall_offset
 *
 * A node's oscillator is a little fast or slow; both of its clocks are. A step moves the wall clock
 * only. The base is taken afresh when the drift changes, so the monotonic clock never jumps; and
 * when the machine has lost its power: then it begins again, while the wall clock (which a battery
 * keeps) goes on. Integers only: the drift is in parts per million, rounded towards no drift.
 */
#include "world.h"

#include <inttypes.h>

#define MILLION 1000000
#define MONOTONIC_START_NS ORR_SECOND
/* 2026-01-01: a wall clock that looks like one. */
#define WALL_EPOCH_NS INT64_C(1767225600000000000)
#define YEAR_NS (UINT64_C(365) * 24 * 3600 * ORR_SECOND)

/* Clocks that somebody sets by hand or by a network are this much apart; and while faults strike,
 * on average, that much. */
#define SKEW_CALM_NS (2 * ORR_MILLISECOND)
#define SKEW_MEAN_NS (500 * ORR_MILLISECOND)
/* Quartz: up to 200 ppm. One clock in eight is worse: a stalled or miscounting virtual one. */
#define DRIFT_QUARTZ 200u
#define DRIFT_BAD 20000u
#define BAD_ONE_IN 8u

static uint64_t draw(const struct orr_node *node, uint64_t what, uint64_t bound)
{
    return orr__draw_below(node->world, ORR__SITE_CLOCK, node->id, what, bound);
}

/* Of a number from 0 to 2 x most: -most to most. */
static int64_t around_zero(uint64_t number, uint64_t most)
{
    return (int64_t)number - (int64_t)most;
}

/* ---- how they run ---------------------------------------------------------------------------- */

/* ns x drift / 10^6, towards zero, without overflow. */
static int64_t drifted(uint64_t ns, int32_t drift)
{
    return (int64_t)(ns / MILLION) * drift + (int64_t)(ns % MILLION) * drift / MILLION;
}

static uint64_t monotonic(const struct orr_node *node)
{
    uint64_t elapsed_ns = node->world->now_ns - node->clock_world_ns;
    return node->clock_base_ns + elapsed_ns + (uint64_t)drifted(elapsed_ns, node->drift);
}

uint64_t orr__node_clock(const struct orr_node *node, enum orr_clock clock)
{
    uint64_t now_ns = monotonic(node);
    return clock == ORR_CLOCK_WALL ? now_ns + (uint64_t)node->wall_offset_ns : now_ns;
}

uint64_t orr__world_clock(const struct orr_world *world, enum orr_clock clock)
{
    uint64_t now_ns = MONOTONIC_START_NS + world->now_ns;
    return clock == ORR_CLOCK_WALL ? now_ns + (uint64_t)world->wall_offset_ns : now_ns;
}

uint64_t orr__clock_wait(const struct orr_node *node, uint64_t ns)
{
    if (node->drift == 0 || ns == 0)
        return ns;
    if (ns > UINT64_MAX / 4)
        return UINT64_MAX;
    uint64_t speed = (uint64_t)(MILLION + node->drift);
    /* Two more, for what the divisions and the clock itself round off. */
    return ns / speed * MILLION + ns % speed * MILLION / speed + 2;
}

static void take_base(struct orr_node *node, uint64_t base_ns)
{
    node->clock_base_ns = base_ns;
    node->clock_world_ns = node->world->now_ns;
}

/* ---- how they are set ------------------------------------------------------------------------ */

static void choose_skew_and_drift(struct orr_node *node)
{
    uint64_t skew_ns =
        orr__draw_exponential(node->world, ORR__SITE_CLOCK, node->id, 1, SKEW_MEAN_NS);
    uint32_t most = draw(node, 2, BAD_ONE_IN) == 0 ? DRIFT_BAD : DRIFT_QUARTZ;
    bool ahead = draw(node, 3, 2) == 0;
    const struct orr__point point =
        orr__node_point(node, ORR__FAULT_SKEWED, ORR__SITE_CLOCK, "clock", 0);
    if (!orr__happens(node->world, &point))
        return;
    node->wall_offset_ns += ahead ? (int64_t)skew_ns : -(int64_t)skew_ns;
    node->drift = (int32_t)around_zero(draw(node, 4, 2 * (uint64_t)most + 1), most);
    orr__fault(node->world, &point, 0, "is %" PRIu64 " ms %s and runs %" PRId32 " ppm %s",
               skew_ns / ORR_MILLISECOND, ahead ? "ahead" : "behind",
               node->drift < 0 ? -node->drift : node->drift, node->drift < 0 ? "slow" : "fast");
}

void orr__clock_date(struct orr_world *world)
{
    uint64_t date_ns = orr__draw_below(world, ORR__SITE_CLOCK, 0, 0, YEAR_NS);
    world->wall_offset_ns = WALL_EPOCH_NS + (int64_t)date_ns - (int64_t)MONOTONIC_START_NS;
}

void orr__clock_begin(struct orr_node *node)
{
    struct orr_world *world = node->world;
    take_base(node, MONOTONIC_START_NS + world->now_ns);
    node->wall_offset_ns =
        world->wall_offset_ns + around_zero(draw(node, 0, 2 * SKEW_CALM_NS + 1), SKEW_CALM_NS);
    if (orr__family_on(world, ORR_FAMILY_CLOCK))
        choose_skew_and_drift(node);
}

void orr__clock_restart(struct orr_node *node)
{
    uint64_t before_ns = monotonic(node);
    take_base(node, MONOTONIC_START_NS);
    node->wall_offset_ns += (int64_t)(before_ns - MONOTONIC_START_NS);
}

void orr_node_set_drift(struct orr_node *node, int32_t per_million)
{
    if (per_million < -ORR_DRIFT_MAX || per_million > ORR_DRIFT_MAX)
        orr_fatal("orr_node_set_drift: node %s, %" PRId32 " ppm: from -%d to %d", node->name,
                  per_million, ORR_DRIFT_MAX, ORR_DRIFT_MAX);
    const struct orr__point point =
        orr__node_point(node, ORR__FAULT_DRIFTS, ORR__SITE_CLOCK, "clock", ++node->clock_changes);
    if (!orr__happens(node->world, &point))
        return;
    take_base(node, monotonic(node));
    node->drift = per_million;
    orr__fault(node->world, &point, 0, "runs %" PRId32 " ppm %s from now on",
               per_million < 0 ? -per_million : per_million, per_million < 0 ? "slow" : "fast");
    orr__clock_changed(node);
}

void orr_node_step_clock(struct orr_node *node, int64_t ns)
{
    if (ns < -ORR_CLOCK_STEP_MAX || ns > ORR_CLOCK_STEP_MAX)
        orr_fatal("orr_node_step_clock: node %s, %" PRId64 " ns: at most a year each way",
                  node->name, ns);
    const struct orr__point point = orr__node_point(node, ORR__FAULT_STEPPED, ORR__SITE_CLOCK_STEP,
                                                    "clock", ++node->clock_changes);
    if (orr__happens(node->world, &point))
        orr__clock_step(node, &point, ns);
}

/* A replay file may change how far, and not which way. */
void orr__clock_step(struct orr_node *node, const struct orr__point *point, int64_t ns)
{
    uint64_t size_ns = orr__extent(node->world, point, ns < 0 ? (uint64_t)-ns : (uint64_t)ns, 0,
                                   ORR_CLOCK_STEP_MAX);
    node->wall_offset_ns += ns < 0 ? -(int64_t)size_ns : (int64_t)size_ns;
    orr__fault(node->world, point, size_ns, "steps %" PRIu64 ".%06" PRIu64 " ms %s",
               size_ns / ORR_MILLISECOND, size_ns % ORR_MILLISECOND, ns < 0 ? "back" : "ahead");
}

uint64_t orr_node_now(const struct orr_node *node)
{
    return orr__node_clock(node, ORR_CLOCK_MONOTONIC);
}

int64_t orr_node_wall_clock(const struct orr_node *node)
{
    return (int64_t)orr__node_clock(node, ORR_CLOCK_WALL);
}

/*
 * chance.c: faults that strike nodes and links by chance in the course of time: partitions, clogs,
 * crashes, pauses, steps of the clock; their bounds; and their end, when the world is healed.
 *
 * The model: a chain of appointments for each kind and whom it strikes. The rate of a family is the
 * chance in each 10 ms of virtual time; the pause to the next one is a choice, exponential, so an
 * idle chain costs nothing. Each link of a chain carries its number, which its choices are keyed
 * by; number 0 only makes the first appointment.
 */
#include "world.h"

#include <inttypes.h>

#define STRETCH_NS (10 * ORR_MILLISECOND)
#define CUT_MEAN_NS (500 * ORR_MILLISECOND)
#define GROUP_MAX 64
#define CLOG_MEAN_NS (200 * ORR_MILLISECOND)
#define PAUSE_MEAN_NS (100 * ORR_MILLISECOND)
/* Of the wall clock: what a time service mends; one step in eight is of an operator's hand. */
#define CLOCK_STEP_MEAN_NS (200 * ORR_MILLISECOND)
#define CLOCK_LEAP_MEAN_NS (20 * ORR_MINUTE)
#define LEAP_ONE_IN 8u

/* True if a chain has ended: nothing of its family will strike any more. */
static bool is_over(const struct orr_world *world, uint64_t rate)
{
    return world->healed || rate == 0 || world->now_ns >= world->faults_until_ns;
}

static void appoint(struct orr_world *world, enum orr__site site, uint64_t actor, uint64_t number,
                    uint64_t rate, orr__event_run run, void *object)
{
    uint64_t mean_ns = STRETCH_NS * 1000000 / rate;
    uint64_t pause_ns = orr__draw_exponential(world, site, actor, number, mean_ns);
    uint64_t begin_ns =
        world->now_ns > world->faults_from_ns ? world->now_ns : world->faults_from_ns;
    orr__schedule(world, begin_ns + pause_ns, run, NULL, object, number + 1);
}

/* What strikes does not outlast the time in which faults are allowed. */
static uint64_t bounded(const struct orr_world *world, uint64_t ns)
{
    uint64_t left_ns = world->faults_until_ns - world->now_ns;
    return ns < left_ns ? ns : left_ns;
}

/* The point of an appointment: its name has the number in the chain. */
static struct orr__point appointed(enum orr__fault_kind kind, const char *owner, const char *part,
                                   uint64_t number)
{
    return (struct orr__point){.kind = kind, .owner = owner, .part = part, .number = number};
}

/* ---- partitions ------------------------------------------------------------------------------ */

/* Two nodes that are not the same, and a further bit. */
static bool draw_pair(struct orr_world *world, enum orr__site site, uint64_t number,
                      struct orr_node **ret_from, struct orr_node **ret_to)
{
    uint64_t others = world->node_count - 1;
    uint64_t draw = orr__draw_below(world, site, number, 1, world->node_count * others * 2);
    uint32_t a = (uint32_t)(draw / 2 / others);
    uint32_t b = (uint32_t)(draw / 2 % others);
    *ret_from = orr__world_node(world, a);
    *ret_to = orr__world_node(world, b >= a ? b + 1 : b);
    return draw % 2 == 1;
}

/* What a partition cuts. */
struct cut {
    struct orr_node *group[GROUP_MAX]; /* from all others, if count > 0 */
    uint32_t count;
    uint32_t ways; /* of the group */
    struct orr_node *from;
    struct orr_node *to;
    bool both;
};

/* Where there are more than two: a node loses all the others, or a group of them all the rest. */
static void draw_group(struct orr_world *world, uint64_t number, struct cut *cut)
{
    for (struct orr_node *node = world->nodes; node != NULL && cut->count < GROUP_MAX;
         node = node->next)
        if (orr__draw_below(world, ORR__SITE_PARTITION, number, 2 + node->index, 2) == 0)
            cut->group[cut->count++] = node;
}

/* One group in two is cut off one way only. */
static uint32_t draw_ways(struct orr_world *world, uint64_t number)
{
    static const uint8_t ways[] = {ORR__WAY_BOTH, ORR__WAY_BOTH, ORR_WAY_IN, ORR_WAY_OUT};
    return ways[orr__draw_below(world, ORR__SITE_PARTITION_TIME, number, 2, sizeof ways)];
}

static void draw_cut(struct orr_world *world, uint64_t number, struct cut *cut)
{
    cut->both = draw_pair(world, ORR__SITE_PARTITION, number, &cut->from, &cut->to);
    uint64_t kind =
        world->node_count == 2 ? 0 : orr__draw_below(world, ORR__SITE_PARTITION_TIME, number, 1, 3);
    if (kind == 1)
        cut->group[cut->count++] = cut->from;
    else if (kind == 2)
        draw_group(world, number, cut);
    if (kind == 2 && (cut->count == 0 || cut->count == world->node_count))
        cut->from = NULL; /* a group of none: nothing is cut */
    if (cut->count > 0)
        cut->ways = draw_ways(world, number);
}

static void tell_cut(struct orr_world *world, const struct orr__point *point, const struct cut *cut,
                     uint64_t ns)
{
    if (cut->count > 0)
        orr__fault(world, point, ns, "%s%s cut off for %" PRIu64 " ms%s", cut->group[0]->name,
                   cut->count > 1 ? " and others" : "", ns / ORR_MILLISECOND,
                   orr__ways_text(cut->ways));
    else
        orr__fault(world, point, ns, "%s->%s cut for %" PRIu64 " ms%s", cut->from->name,
                   cut->to->name, ns / ORR_MILLISECOND, cut->both ? ", both ways" : "");
}

static void cut_by_chance(struct orr_world *world, uint64_t number)
{
    const struct orr__point point = appointed(ORR__FAULT_CUT, "partition", NULL, number);
    struct cut cut = {.count = 0};
    draw_cut(world, number, &cut);
    if (cut.from == NULL || !orr__happens(world, &point))
        return;
    uint64_t drawn_ns =
        orr__draw_exponential(world, ORR__SITE_PARTITION_TIME, number, 0, CUT_MEAN_NS) +
        ORR_MILLISECOND;
    uint64_t ns = bounded(world, orr__extent(world, &point, drawn_ns, 0, UINT64_MAX));
    if (cut.count > 0)
        orr__links_split(world, cut.group, cut.count, cut.ways, ns);
    else
        orr__link_cut(world, cut.from, cut.to, ns);
    if (cut.count == 0 && cut.both)
        orr__link_cut(world, cut.to, cut.from, ns);
    tell_cut(world, &point, &cut, ns);
}

static void partition(struct orr_world *world, void *object, uint64_t number)
{
    uint64_t rate = world->rates[ORR_FAMILY_PARTITION];
    if (is_over(world, rate))
        return;
    if (number > 0 && world->node_count > 1)
        cut_by_chance(world, number);
    appoint(world, ORR__SITE_PARTITION_PAUSE, 0, number, rate, partition, object);
}

/* ---- clogs ----------------------------------------------------------------------------------- */

static void clog_a_link(struct orr_world *world, uint64_t number)
{
    const struct orr__point point = appointed(ORR__FAULT_CLOGGED, "clog", NULL, number);
    struct orr_node *from;
    struct orr_node *to;
    (void)draw_pair(world, ORR__SITE_CLOG_TIME, number, &from, &to);
    if (!orr__happens(world, &point))
        return;
    uint64_t drawn_ns = orr__draw_exponential(world, ORR__SITE_CLOG_TIME, number, 0, CLOG_MEAN_NS) +
                        ORR_MILLISECOND;
    uint64_t ns = bounded(world, orr__extent(world, &point, drawn_ns, 0, ORR_CLOG_MAX));
    orr__link_clog(world, from, to, ns);
    orr__fault(world, &point, ns, "%s->%s clogged for %" PRIu64 " ms", from->name, to->name,
               ns / ORR_MILLISECOND);
}

static void clog_by_choice(struct orr_world *world, void *object, uint64_t number)
{
    uint64_t rate = world->rates[ORR_FAMILY_CLOG];
    if (is_over(world, rate))
        return;
    if (number > 0 && world->node_count > 1)
        clog_a_link(world, number);
    appoint(world, ORR__SITE_CLOG, 0, number, rate, clog_by_choice, object);
}

/* ---- crashes --------------------------------------------------------------------------------- */

static uint32_t count_down(const struct orr_world *world)
{
    uint32_t count = 0;
    for (const struct orr_node *node = world->nodes; node != NULL; node = node->next)
        count += node->process == NULL && !node->exited ? 1 : 0;
    return count;
}

/* Nodes that the world may crash: each has its own chain. */
static void crash_by_choice(struct orr_world *world, void *object, uint64_t number)
{
    struct orr_node *node = object;
    uint64_t power =
        (node->crash_kinds & ORR_CRASH_POWER) != 0 ? world->rates[ORR_FAMILY_POWER_LOSS] : 0;
    uint64_t kill =
        (node->crash_kinds & ORR_CRASH_PROCESS) != 0 ? world->rates[ORR_FAMILY_KILL] : 0;
    if (is_over(world, power + kill)) {
        node->crash_appointed = false;
        return;
    }
    if (number > 0 && node->process != NULL && count_down(world) < world->down_max) {
        bool is_power =
            orr__draw_below(world, ORR__SITE_CRASH_KIND, node->id, number, power + kill) < power;
        const struct orr__point point =
            appointed(is_power ? ORR__FAULT_POWER : ORR__FAULT_KILLED, node->name, "power", number);
        if (!world->failed && orr__happens(world, &point))
            orr__node_crash(node, &point, false);
    }
    appoint(world, ORR__SITE_CRASH, node->id, number, power + kill, crash_by_choice, node);
}

void orr_node_allow_crashes(struct orr_node *node, uint32_t kinds)
{
    if ((kinds & ~(uint32_t)(ORR_CRASH_POWER | ORR_CRASH_PROCESS)) != 0)
        orr_fatal(
            "orr_node_allow_crashes: kinds 0x%x: only ORR_CRASH_POWER and ORR_CRASH_PROCESS exist",
            kinds);
    node->crash_kinds = kinds;
    if (kinds != 0 && !node->crash_appointed) {
        node->crash_appointed = true;
        crash_by_choice(node->world, node, 0);
    }
}

/* ---- pauses and clocks ----------------------------------------------------------------------- */

static void pause_by_choice(struct orr_world *world, void *object, uint64_t number)
{
    struct orr_node *node = object;
    uint64_t rate = world->rates[ORR_FAMILY_PAUSE];
    if (is_over(world, rate))
        return;
    if (number > 0) {
        uint64_t ns = ORR_MILLISECOND + orr__draw_exponential(world, ORR__SITE_PAUSE_TIME, node->id,
                                                              number, PAUSE_MEAN_NS);
        const struct orr__point point = appointed(ORR__FAULT_PAUSED, node->name, "pause", number);
        if (orr__happens(world, &point))
            orr__node_pause(node, &point, bounded(world, ns));
    }
    appoint(world, ORR__SITE_PAUSE, node->id, number, rate, pause_by_choice, node);
}

static void step_clock_by_choice(struct orr_world *world, void *object, uint64_t number)
{
    struct orr_node *node = object;
    uint64_t rate = world->rates[ORR_FAMILY_CLOCK];
    if (is_over(world, rate))
        return;
    if (number > 0) {
        uint64_t kind =
            orr__draw_below(world, ORR__SITE_CLOCK_STEP, node->id, number, 2 * LEAP_ONE_IN);
        uint64_t mean_ns = kind / 2 == 0 ? CLOCK_LEAP_MEAN_NS : CLOCK_STEP_MEAN_NS;
        int64_t ns =
            (int64_t)orr__draw_exponential(world, ORR__SITE_CLOCK_STEP, ~node->id, number, mean_ns);
        const struct orr__point point =
            appointed(ORR__FAULT_STEPPED, node->name, "clock-step", number);
        if (orr__happens(world, &point))
            orr__clock_step(node, &point, kind % 2 == 0 ? ns : -ns);
    }
    appoint(world, ORR__SITE_CLOCK_PAUSE, node->id, number, rate, step_clock_by_choice, node);
}

void orr__chance_begin(struct orr_node *node)
{
    struct orr_world *world = node->world;
    if (world->node_count == 2) {
        partition(world, NULL, 0);
        clog_by_choice(world, NULL, 0);
    }
    if (node->program == NULL)
        return; /* its owner runs the loop, and would be paused with it */
    pause_by_choice(world, node, 0);
    step_clock_by_choice(world, node, 0);
}

/* ---- another seed ---------------------------------------------------------------------------- */

/* The chains: who strikes, and by which site the pause to the next is drawn. */
static const struct {
    orr__event_run run;
    enum orr__site site;
} chains[] = {
    {partition, ORR__SITE_PARTITION_PAUSE},
    {clog_by_choice, ORR__SITE_CLOG},
    {crash_by_choice, ORR__SITE_CRASH},
    {pause_by_choice, ORR__SITE_PAUSE},
    {step_clock_by_choice, ORR__SITE_CLOCK_PAUSE},
};
enum { CHAINS = sizeof chains / sizeof *chains };

static uint64_t rate_of(const struct orr_world *world, orr__event_run run, const void *object)
{
    const struct orr_node *node = object;
    if (run == partition)
        return world->rates[ORR_FAMILY_PARTITION];
    if (run == clog_by_choice)
        return world->rates[ORR_FAMILY_CLOG];
    if (run == pause_by_choice)
        return world->rates[ORR_FAMILY_PAUSE];
    if (run == step_clock_by_choice)
        return world->rates[ORR_FAMILY_CLOCK];
    return ((node->crash_kinds & ORR_CRASH_POWER) != 0 ? world->rates[ORR_FAMILY_POWER_LOSS] : 0) +
           ((node->crash_kinds & ORR_CRASH_PROCESS) != 0 ? world->rates[ORR_FAMILY_KILL] : 0);
}

/* The next one of a chain keeps its number, and so its name. A pause has no memory: what is left of
 * it is as long as a whole one. */
static void draw_again(struct orr_world *world, struct orr__event *event)
{
    for (uint32_t i = 0; i < CHAINS; i++) {
        if (event->run != chains[i].run)
            continue;
        struct orr_node *node = event->object;
        uint64_t rate = rate_of(world, event->run, node);
        if (is_over(world, rate))
            return;
        struct orr__event taken = *event;
        event->run = NULL; /* as if it was forgotten */
        appoint(world, chains[i].site, node != NULL ? node->id : 0, taken.a - 1, rate, taken.run,
                taken.object);
        return;
    }
}

/* What is appointed meanwhile is known by its sequence; it moves others towards the end only. */
void orr__chance_renew(struct orr_world *world)
{
    uint64_t end = world->sequence;
    for (uint32_t i = 0; i < world->heap_count; i++)
        if (world->heap[i].sequence < end)
            draw_again(world, &world->events[world->heap[i].event]);
}

/* ---- bounds and the end ---------------------------------------------------------------------- */

void orr_world_limit_down(struct orr_world *world, uint32_t nodes)
{
    world->down_max = nodes;
}

void orr_world_limit_damage(struct orr_world *world, uint32_t nodes)
{
    world->damaged_max = nodes;
}

void orr_world_limit_copies(struct orr_world *world, uint32_t nodes)
{
    world->copies_max = nodes;
}

void orr_world_limit_time(struct orr_world *world, uint64_t from_ns, uint64_t until_ns)
{
    if (from_ns > until_ns)
        orr_fatal("orr_world_limit_time: from %" PRIu64 " ns until %" PRIu64
                  " ns: it ends before it begins",
                  from_ns, until_ns);
    world->faults_from_ns = from_ns;
    world->faults_until_ns = until_ns;
}

void orr_world_heal(struct orr_world *world)
{
    if (world->failed || world->healed)
        return;
    world->healed = true;
    orr__story_line(world, "(world)", "healed: from here on nothing fails");
    orr__links_mend(world);
    for (struct orr_node *node = world->nodes; node != NULL; node = node->next) {
        orr_node_resume(node);
        if (node->process == NULL && !node->exited)
            orr_node_start(node);
    }
}

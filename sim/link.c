/*
 * link.c: links: a directed pair of nodes, how long a packet takes from one to the other, and what
 * can become of the way between them.
 *
 *      now --clogged--> --the line is busy--> leaves --propagation, spike--> arrives
 *
 * A link has a latency (by one of four distributions, integers only) and, if it is slow, a line
 * that carries so many bytes a second, one packet after the other. A clogged link holds everything
 * back and loses nothing; a cut one loses everything. All of this is the link's alone: the way back
 * is another link.
 *
 * A link is made when something takes it first. Large worlds have many links and little wrong with
 * most of them, so what is wrong (struct orr__obstacle) is apart.
 */
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPIKE_MEAN_NS (40 * ORR_MILLISECOND)
#define HEADER_BYTES 66u /* of a TCP segment on Ethernet */
/* Of a bimodal latency: one packet in so many takes the other way. */
#define OTHER_WAY_ONE_IN 8u
/* What chance gives a slow link, bytes a second: this, doubled up to so often. */
#define SLOW_LEAST (UINT64_C(16) << 10)
#define SLOW_DOUBLINGS 11u
/* A datagram that would wait longer than that for the line is dropped. */
#define LINE_QUEUE_NS (200 * ORR_MILLISECOND)
/* What is heard of an outage, besides an errno: nothing; or nobody has asked yet. */
#define OUTAGE_UNASKED 0u
#define OUTAGE_SILENT 1u
_Static_assert(EHOSTUNREACH > OUTAGE_SILENT && EHOSTUNREACH <= UINT8_MAX &&
                   ENETUNREACH > OUTAGE_SILENT && ENETUNREACH <= UINT8_MAX,
               "an outage is told by a byte");
#define NO_ROUTE_ONE_IN 4u
/* Shorter cuts end before an idle connection has asked its nine questions. */
#define LONG_CUT_NS ORR_MINUTE
#define NODES_FIRST 8u
#define SLOTS_FIRST 4u

/* ---- the table ------------------------------------------------------------------------------- */

static void grow_nodes(struct orr_world *world)
{
    uint32_t count = world->links_from == 0 ? NODES_FIRST : world->links_from * 2;
    while (count < world->node_count)
        count *= 2;
    struct orr__links *grown = realloc(world->links, count * sizeof *grown);
    if (grown == NULL)
        orr_fatal("no memory for the links between %u nodes", world->node_count);
    memset(grown + world->links_from, 0, (count - world->links_from) * sizeof *grown);
    world->links = grown;
    world->links_from = count;
}

/* Where the link to that node is, or would be. There is a free slot. */
static struct orr__link **find_slot(const struct orr__links *links, uint32_t to_index)
{
    uint32_t at = to_index & (links->size - 1);
    while (links->slots[at] != NULL && links->slots[at]->to->index != to_index)
        at = (at + 1) & (links->size - 1);
    return &links->slots[at];
}

/* At most three slots of four are used. */
static void make_room(struct orr__links *links)
{
    if (links->count < links->size / 4 * 3)
        return;
    struct orr__links grown = {.size = links->size == 0 ? SLOTS_FIRST : links->size * 2,
                               .count = links->count};
    grown.slots = calloc(grown.size, sizeof(struct orr__link *));
    if (grown.slots == NULL)
        orr_fatal("no memory for %u links from one node", grown.size);
    for (uint32_t i = 0; i < links->size; i++)
        if (links->slots[i] != NULL)
            *find_slot(&grown, links->slots[i]->to->index) = links->slots[i];
    free(links->slots);
    *links = grown;
}

static struct orr__obstacle *obstacle_of(struct orr__link *link)
{
    if (link->obstacle == NULL)
        link->obstacle = calloc(1, sizeof *link->obstacle);
    if (link->obstacle == NULL)
        orr_fatal("no memory for what is wrong with the link %s", link->name);
    return link->obstacle;
}

/* While LATENCY is on, links differ in kind, and not in length only. */
static void choose_distribution(struct orr_world *world, struct orr__link *link)
{
    link->distribution = ORR_LATENCY_UNIFORM;
    link->spread_ns = link->latency_ns / 4;
    if (!orr__family_on(world, ORR_FAMILY_LATENCY))
        return;
    link->distribution =
        (uint8_t)orr__draw_below(world, ORR__SITE_LINK_LATENCY, link->id, 1, ORR_LATENCY_COUNT);
    if (link->distribution == ORR_LATENCY_EXPONENTIAL)
        link->spread_ns = link->latency_ns;
    else if (link->distribution == ORR_LATENCY_BIMODAL)
        link->spread_ns = link->latency_ns * 10;
}

static void choose_bandwidth(struct orr_world *world, struct orr__link *link, bool loops)
{
    struct orr__point point =
        orr__link_point(link, ORR__FAULT_SLOW, ORR__SITE_LINK_BANDWIDTH, false, 0);
    point.part = NULL;
    if (loops || !orr__strikes(world, &point))
        return;
    uint64_t doublings =
        orr__draw_below(world, ORR__SITE_LINK_BANDWIDTH, link->id, 1, SLOW_DOUBLINGS + 1);
    struct orr__obstacle *obstacle = obstacle_of(link);
    obstacle->bytes_per_second = orr__extent(world, &point, SLOW_LEAST << doublings, SLOW_LEAST,
                                             SLOW_LEAST << SLOW_DOUBLINGS);
    obstacle->is_slow_by_chance = true;
    orr__fault(world, &point, obstacle->bytes_per_second, "carries %" PRIu64 " KiB a second",
               obstacle->bytes_per_second >> 10);
}

static struct orr__link *make_link(struct orr_world *world, const struct orr_node *from,
                                   const struct orr_node *to)
{
    size_t size = strlen(from->name) + strlen(to->name) + sizeof "->";
    struct orr__link *link = calloc(1, offsetof(struct orr__link, name) + size);
    if (link == NULL)
        orr_fatal("no memory for the link %s->%s", from->name, to->name);
    snprintf(link->name, size, "%s->%s", from->name, to->name);
    link->from = from;
    link->to = to;
    link->id = orr__actor_id(link->name);
    uint64_t low = from == to ? 5 * ORR_MICROSECOND : 50 * ORR_MICROSECOND;
    link->latency_ns =
        low + orr__draw_exponential(world, ORR__SITE_LINK_LATENCY, link->id, 0, low * 4);
    choose_distribution(world, link);
    choose_bandwidth(world, link, from == to);
    return link;
}

struct orr__link *orr__world_link(struct orr_world *world, const struct orr_node *from,
                                  const struct orr_node *to)
{
    if (world->node_count > world->links_from)
        grow_nodes(world);
    struct orr__links *links = &world->links[from->index];
    make_room(links);
    struct orr__link **at = find_slot(links, to->index);
    if (*at == NULL) {
        *at = make_link(world, from, to);
        links->count++;
    }
    return *at;
}

void orr__links_free(struct orr_world *world)
{
    for (uint32_t from = 0; from < world->links_from; from++) {
        struct orr__links *links = &world->links[from];
        for (uint32_t i = 0; i < links->size; i++) {
            if (links->slots[i] != NULL)
                free(links->slots[i]->obstacle);
            free(links->slots[i]);
        }
        free(links->slots);
    }
    free(world->links);
}

/* ---- packets --------------------------------------------------------------------------------- */

bool orr__link_is_cut(const struct orr_world *world, const struct orr__link *link)
{
    return link->obstacle != NULL && link->obstacle->cut_until_ns > orr__now(world);
}

bool orr__link_is_full(const struct orr_world *world, const struct orr__link *link)
{
    return link->obstacle != NULL &&
           link->obstacle->busy_until_ns > orr__now(world) + LINE_QUEUE_NS;
}

struct orr__point orr__link_point(const struct orr__link *link, enum orr__fault_kind kind,
                                  enum orr__site site, bool datagram, uint64_t number)
{
    return (struct orr__point){
        .kind = kind,
        .site = site,
        .owner = link->name,
        .part = datagram ? "datagram" : "segment",
        .number = number,
        .actor = link->id,
        .occurrence = number,
    };
}

static bool is_told(struct orr_world *world, struct orr__link *link, enum orr__fault_kind kind)
{
    struct orr__point point = orr__link_point(link, kind, ORR__SITE_REFUSE, false, 0);
    point.part = "outage";
    point.actor = ~link->id;
    point.occurrence = kind == ORR__FAULT_NO_ROUTE ? 1 : 2;
    if (!orr__strikes(world, &point))
        return false;
    link->outage = kind == ORR__FAULT_NO_ROUTE ? ENETUNREACH : EHOSTUNREACH;
    orr__fault(world, &point, 0, "%s",
               kind == ORR__FAULT_NO_ROUTE ? "no way leads there" : "nobody is there");
    return true;
}

int orr__link_error(struct orr_world *world, struct orr__link *link)
{
    if (link->outage == OUTAGE_UNASKED) {
        bool routed = orr__draw_below(world, ORR__SITE_REFUSE, ~link->id, 0, NO_ROUTE_ONE_IN) == 0;
        link->outage = OUTAGE_SILENT;
        if (!is_told(world, link, routed ? ORR__FAULT_NO_ROUTE : ORR__FAULT_UNREACHABLE))
            (void)is_told(world, link, routed ? ORR__FAULT_UNREACHABLE : ORR__FAULT_NO_ROUTE);
    }
    return link->outage == OUTAGE_SILENT ? 0 : link->outage;
}

/* When the packet is on the line as a whole. */
static uint64_t departure(const struct orr_world *world, struct orr__link *link, uint32_t bytes)
{
    struct orr__obstacle *obstacle = link->obstacle;
    uint64_t leaves_ns = orr__now(world);
    if (obstacle == NULL)
        return leaves_ns;
    if (obstacle->clogged_until_ns > leaves_ns)
        leaves_ns = obstacle->clogged_until_ns;
    if (obstacle->bytes_per_second == 0)
        return leaves_ns;
    if (obstacle->busy_until_ns > leaves_ns)
        leaves_ns = obstacle->busy_until_ns;
    leaves_ns += (bytes + HEADER_BYTES) * ORR_SECOND / obstacle->bytes_per_second;
    obstacle->busy_until_ns = leaves_ns;
    return leaves_ns;
}

static uint64_t propagation(struct orr_world *world, const struct orr__link *link, uint64_t actor,
                            uint64_t occurrence)
{
    uint64_t spread_ns = link->spread_ns;
    switch ((enum orr_latency)link->distribution) {
    case ORR_LATENCY_UNIFORM:
        return link->latency_ns +
               orr__draw_below(world, ORR__SITE_SEGMENT_LATENCY, actor, occurrence, spread_ns + 1);
    case ORR_LATENCY_EXPONENTIAL:
        return link->latency_ns + orr__draw_exponential(world, ORR__SITE_SEGMENT_LATENCY, actor,
                                                        occurrence, spread_ns);
    case ORR_LATENCY_BIMODAL:
        if (orr__draw_below(world, ORR__SITE_SEGMENT_LATENCY, actor, occurrence,
                            OTHER_WAY_ONE_IN) == 0)
            return link->latency_ns + spread_ns;
        return link->latency_ns;
    case ORR_LATENCY_FIXED:
    case ORR_LATENCY_COUNT:
        break;
    }
    return link->latency_ns;
}

uint64_t orr__link_delay(struct orr_world *world, struct orr__link *link, bool datagram,
                         uint64_t occurrence, uint32_t bytes)
{
    uint64_t actor = link->id + datagram;
    uint64_t ns = departure(world, link, bytes) - orr__now(world) +
                  propagation(world, link, actor, occurrence);
    struct orr__point point =
        orr__link_point(link, ORR__FAULT_LONGER, ORR__SITE_SEGMENT_SPIKE, datagram, occurrence);
    point.actor = actor;
    if (orr__strikes(world, &point)) {
        uint64_t drawn_ns = orr__draw_exponential(world, ORR__SITE_SEGMENT_LATENCY, ~actor,
                                                  occurrence, SPIKE_MEAN_NS);
        uint64_t spike_ns = orr__extent(world, &point, drawn_ns, 0, ORR__LONGER_MAX_NS);
        orr__fault(world, &point, spike_ns, "delayed %" PRIu64 ".%03" PRIu64 " ms",
                   spike_ns / ORR_MILLISECOND, spike_ns / ORR_MICROSECOND % 1000);
        ns += spike_ns;
    }
    return ns;
}

/* ---- what a scenario does to them ------------------------------------------------------------ */

void orr_world_set_link(struct orr_world *world, struct orr_node *from, struct orr_node *to,
                        const struct orr_link_options *options)
{
    if ((uint32_t)options->distribution >= ORR_LATENCY_COUNT ||
        options->latency_ns > ORR_LINK_LATENCY_MAX || options->spread_ns > ORR_LINK_LATENCY_MAX)
        orr_fatal("orr_world_set_link: %s->%s: distribution %u, latency %" PRIu64
                  " ns, spread %" PRIu64 " ns: there are %u distributions, and a minute is most",
                  from->name, to->name, (uint32_t)options->distribution, options->latency_ns,
                  options->spread_ns, (uint32_t)ORR_LATENCY_COUNT);
    int unreachable = options->unreachable;
    if (unreachable != 0 && unreachable != -EHOSTUNREACH && unreachable != -ENETUNREACH)
        orr_fatal("orr_world_set_link: %s->%s: unreachable %d: it is 0, -EHOSTUNREACH or "
                  "-ENETUNREACH",
                  from->name, to->name, unreachable);
    struct orr__link *link = orr__world_link(world, from, to);
    link->outage = unreachable == 0 ? OUTAGE_SILENT : (uint8_t)-unreachable;
    link->distribution = (uint8_t)options->distribution;
    link->latency_ns = options->latency_ns;
    link->spread_ns = options->spread_ns;
    struct orr__obstacle *obstacle = obstacle_of(link);
    obstacle->bytes_per_second = options->bytes_per_second;
    obstacle->is_slow_by_chance = false;
}

void orr__link_cut(struct orr_world *world, struct orr_node *from, struct orr_node *to, uint64_t ns)
{
    struct orr__obstacle *obstacle = obstacle_of(orr__world_link(world, from, to));
    uint64_t until_ns = orr__later(world, ns);
    if (until_ns <= obstacle->cut_until_ns)
        return;
    obstacle->cut_until_ns = until_ns;
    if (ns < LONG_CUT_NS)
        return;
    orr__stacks_parted(from->stack, to->stack);
    orr__stacks_parted(to->stack, from->stack);
}

void orr_world_cut(struct orr_world *world, struct orr_node *from, struct orr_node *to, uint64_t ns)
{
    struct orr__link *link = orr__world_link(world, from, to);
    struct orr__point point = orr__link_point(link, ORR__FAULT_CUT, ORR__SITE_PARTITION, false,
                                              ++obstacle_of(link)->cuts_stated);
    point.part = "cut";
    if (!orr__happens(world, &point))
        return;
    ns = orr__extent(world, &point, ns, 0, UINT64_MAX);
    orr__link_cut(world, from, to, ns);
    orr__fault(world, &point, ns, "cut for %" PRIu64 " ms", ns / ORR_MILLISECOND);
}

void orr__link_clog(struct orr_world *world, struct orr_node *from, struct orr_node *to,
                    uint64_t ns)
{
    struct orr__obstacle *obstacle = obstacle_of(orr__world_link(world, from, to));
    uint64_t until_ns = orr__later(world, ns);
    if (until_ns > obstacle->clogged_until_ns)
        obstacle->clogged_until_ns = until_ns;
}

void orr_world_clog(struct orr_world *world, struct orr_node *from, struct orr_node *to,
                    uint64_t ns)
{
    struct orr__link *link = orr__world_link(world, from, to);
    struct orr__point point = orr__link_point(link, ORR__FAULT_CLOGGED, ORR__SITE_CLOG, false,
                                              ++obstacle_of(link)->clogs_stated);
    point.part = "clog";
    if (!orr__happens(world, &point))
        return;
    ns = orr__extent(world, &point, ns < ORR_CLOG_MAX ? ns : ORR_CLOG_MAX, 0, ORR_CLOG_MAX);
    orr__link_clog(world, from, to, ns);
    orr__fault(world, &point, ns, "clogged for %" PRIu64 " ms", ns / ORR_MILLISECOND);
}

static void mend(const struct orr_world *world, struct orr__obstacle *obstacle)
{
    if (obstacle == NULL)
        return;
    if (obstacle->cut_until_ns > world->now_ns)
        obstacle->cut_until_ns = world->now_ns;
    if (obstacle->clogged_until_ns > world->now_ns)
        obstacle->clogged_until_ns = world->now_ns;
}

void orr_world_mend(struct orr_world *world, struct orr_node *from, struct orr_node *to)
{
    mend(world, orr__world_link(world, from, to)->obstacle);
}

static void mend_for_good(const struct orr_world *world, struct orr__link *link)
{
    if (link == NULL || link->obstacle == NULL)
        return;
    mend(world, link->obstacle);
    if (link->obstacle->is_slow_by_chance)
        link->obstacle->bytes_per_second = 0;
}

void orr__links_mend(struct orr_world *world)
{
    for (uint32_t from = 0; from < world->links_from; from++)
        for (uint32_t i = 0; i < world->links[from].size; i++)
            mend_for_good(world, world->links[from].slots[i]);
}

static bool is_among(const struct orr_node *node, struct orr_node *const *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

const char *orr__ways_text(uint32_t ways)
{
    if (ways == ORR__WAY_BOTH)
        return "";
    return ways == ORR_WAY_IN ? ": hears nobody" : ": nobody hears it";
}

void orr__links_split(struct orr_world *world, struct orr_node *const *nodes, uint32_t count,
                      uint32_t ways, uint64_t ns)
{
    for (struct orr_node *other = world->nodes; other != NULL; other = other->next) {
        if (is_among(other, nodes, count))
            continue;
        for (uint32_t i = 0; i < count; i++) {
            if ((ways & ORR_WAY_OUT) != 0)
                orr__link_cut(world, nodes[i], other, ns);
            if ((ways & ORR_WAY_IN) != 0)
                orr__link_cut(world, other, nodes[i], ns);
        }
    }
}

static void split(struct orr_world *world, struct orr_node *const *nodes, uint32_t count,
                  uint32_t ways, uint64_t ns)
{
    if (count == 0)
        return;
    const struct orr__point point = orr__node_point(nodes[0], ORR__FAULT_CUT, ORR__SITE_PARTITION,
                                                    "links", ++nodes[0]->splits_stated);
    if (!orr__happens(world, &point))
        return;
    ns = orr__extent(world, &point, ns, 0, UINT64_MAX);
    orr__links_split(world, nodes, count, ways, ns);
    orr__fault(world, &point, ns, "cut off for %" PRIu64 " ms, with %" PRIu32 " other%s%s",
               ns / ORR_MILLISECOND, count - 1, ORR__S(count - 1), orr__ways_text(ways));
}

void orr_world_split(struct orr_world *world, struct orr_node *const *nodes, uint32_t count,
                     uint64_t ns)
{
    split(world, nodes, count, ORR__WAY_BOTH, ns);
}

void orr_node_isolate(struct orr_node *node, uint64_t ns)
{
    split(node->world, &node, 1, ORR__WAY_BOTH, ns);
}

void orr_node_isolate_way(struct orr_node *node, enum orr_way way, uint64_t ns)
{
    if (way != ORR_WAY_IN && way != ORR_WAY_OUT)
        orr_fatal("orr_node_isolate_way: %s: way %u: only ORR_WAY_IN and ORR_WAY_OUT exist, "
                  "orr_node_isolate cuts both",
                  node->name, (uint32_t)way);
    split(node->world, &node, 1, (uint32_t)way, ns);
}

/*
 * lanes.c: a fuzzer's choices: inputs as cells, what they answer during a run, and names for them
 * (lanes.h has the words).
 *
 * The model: one hash table from (lane, place) to a byte, filled before the run and only read in
 * it; and one from a lane to how far the run has drawn from it, which tells a fuzzer where bytes
 * would matter. Any bytes are an input: what is too short is left out, and of two bytes for one
 * place the later counts. The normal form has each place once, sorted, in as few chunks as
 * possible, so that equal inputs are equal bytes.
 */
#include "lanes.h"

#include "world.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_LEAST 64u
#define HASH UINT64_C(0x9e3779b97f4a7c15)

/* ---- lanes ----------------------------------------------------------------------------------- */

/* Names as in `lane NAME#N = ...`, in the order of enum orr__site. */
static const char *const site_names[] = {
    "swarm",         "tie",
    "workload",      "random",
    "step-delay",    "op-latency",
    "op-spike",      "op-partial",
    "op-length",     "op-error",
    "op-full",       "reorder",
    "batch",         "ready-limit",
    "buffer",        "link-latency",
    "latency",       "spike",
    "cut",           "length",
    "reset",         "refuse",
    "partition",     "partition-time",
    "datagram-loss", "datagram-copy",
    "crash",         "crash-kind",
    "down-time",     "disk-sector",
    "disk-size",     "disk-name",
    "port",          "directory",
    "clock",         "cancel",
    "loopback",      "partition-pause",
    "pause",         "pause-time",
    "clock-step",    "clock-pause",
    "memory",        "bandwidth",
    "clog",          "clog-time",
    "handles",       "lost-sync",
    "bad-sector",    "bit-rot",
    "misdirected",   "stuck",
    "tree-error",    "list-error",
    "accept",        "socket",
    "poll",          "wake",
};
_Static_assert(sizeof site_names / sizeof *site_names == ORR__SITE_COUNT, "a name for each site");

/* What these draws have as their actor is a time or a number that goes on: they are one lane, in
 * the order of the draws. */
static bool is_streamed(enum orr__site site)
{
    return site == ORR__SITE_TIE || site == ORR__SITE_PARTITION ||
           site == ORR__SITE_PARTITION_TIME || site == ORR__SITE_CLOG_TIME;
}

uint32_t orr__lane(enum orr__site site, uint64_t actor)
{
    uint32_t hash = is_streamed(site) ? 0 : (uint32_t)(orr__mix(actor, HASH) >> 40);
    return ((uint32_t)site + 1) << 24 | hash;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Where the chunk ends that begins at `at`. */
static size_t chunk_end(const uint64_t *cells, size_t count, size_t at)
{
    size_t end = at + 1;
    while (end < count && end - at < ORR__INPUT_CHUNK_MAX &&
           cells[end] >> 8 == (cells[end - 1] >> 8) + 1 &&
           orr__cell_lane(cells[end]) == orr__cell_lane(cells[at]))
        end++;
    return end;
}

size_t orr__input_size(const uint64_t *cells, size_t count)
{
    size_t size = ORR__INPUT_SEED_BYTES;
    for (size_t at = 0; at < count;) {
        size_t end = chunk_end(cells, count, at);
        size += ORR__INPUT_HEAD_BYTES + end - at;
        at = end;
    }
    return size;
}

static void put(uint8_t *bytes, uint64_t number, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t get(const uint8_t *bytes, size_t count)
{
    uint64_t number = 0;
    for (size_t i = 0; i < count; i++)
        number |= (uint64_t)bytes[i] << 8 * i;
    return number;
}

void orr__input_write(uint64_t seed, const uint64_t *cells, size_t count, uint8_t *bytes)
{
    put(bytes, seed, ORR__INPUT_SEED_BYTES);
    bytes += ORR__INPUT_SEED_BYTES;
    for (size_t at = 0; at < count;) {
        size_t end = chunk_end(cells, count, at);
        uint32_t lane = orr__cell_lane(cells[at]);
        bytes[0] = (uint8_t)orr__lane_site(lane);
        put(bytes + 1, lane, 3);
        put(bytes + 4, orr__cell_place(cells[at]), 3);
        bytes[7] = (uint8_t)(end - at);
        bytes += ORR__INPUT_HEAD_BYTES;
        while (at < end)
            *bytes++ = (uint8_t)cells[at++];
    }
}

/* ---- the table of cells ---------------------------------------------------------------------- */

/* Where the cell of that lane and place is, or would be. */
static uint64_t *slot_of(const struct orr_lanes *lanes, uint64_t key)
{
    uint32_t at = (uint32_t)(key * HASH >> 32) & lanes->slots_mask;
    while (lanes->slots[at] != 0 && lanes->slots[at] >> 8 != key)
        at = (at + 1) & lanes->slots_mask;
    return &lanes->slots[at];
}

bool orr__lanes_grow(struct orr_lanes *lanes, size_t more)
{
    size_t size = SLOTS_LEAST;
    while (size < 2 * (lanes->count + more))
        size *= 2;
    orr__assert(size <= UINT32_MAX);
    struct orr_lanes grown = {.slots = calloc(size, sizeof *grown.slots),
                              .slots_mask = (uint32_t)size - 1};
    if (grown.slots == NULL)
        return false;
    for (size_t i = 0; lanes->slots != NULL && i <= lanes->slots_mask; i++)
        if (lanes->slots[i] != 0)
            *slot_of(&grown, lanes->slots[i] >> 8) = lanes->slots[i];
    free(lanes->slots);
    lanes->slots = grown.slots;
    lanes->slots_mask = grown.slots_mask;
    return true;
}

void orr__lanes_set(struct orr_lanes *lanes, uint64_t cell)
{
    uint64_t *slot = slot_of(lanes, cell >> 8);
    orr__assert(cell != 0 && lanes->count < lanes->slots_mask);
    lanes->count += *slot == 0 ? 1 : 0;
    *slot = cell;
}

bool orr__lanes_read(struct orr_lanes *lanes, const uint8_t *bytes, size_t size)
{
    size = size < ORR__INPUT_MAX ? size : ORR__INPUT_MAX;
    size_t at = size < ORR__INPUT_SEED_BYTES ? size : ORR__INPUT_SEED_BYTES;
    lanes->seed = get(bytes, at);
    if (!orr__lanes_grow(lanes, size - at))
        return false;
    while (size - at > ORR__INPUT_HEAD_BYTES) {
        const uint8_t *head = bytes + at;
        uint32_t lane =
            (uint32_t)(head[0] % ORR__SITE_COUNT + 1) << 24 | (uint32_t)get(head + 1, 3);
        uint32_t place = (uint32_t)get(head + 4, 3);
        size_t length = head[7];
        at += ORR__INPUT_HEAD_BYTES;
        length = length < size - at ? length : size - at;
        for (size_t i = 0; i < length && place + i < ORR__PLACE_END; i++)
            orr__lanes_set(lanes, orr__cell(lane, place + (uint32_t)i, bytes[at + i]));
        at += length;
    }
    return true;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *one = a;
    const uint64_t *two = b;
    return *one < *two ? -1 : *one > *two;
}

void orr__lanes_cells(const struct orr_lanes *lanes, uint64_t *cells)
{
    size_t count = 0;
    for (size_t i = 0; i <= lanes->slots_mask && count < lanes->count; i++)
        if (lanes->slots[i] != 0)
            cells[count++] = lanes->slots[i];
    orr__assert(count == lanes->count);
    if (count > 1)
        qsort(cells, count, sizeof *cells, by_number);
}

void orr__lanes_free(struct orr_lanes *lanes)
{
    free(lanes->slots);
    lanes->slots = NULL;
}

/* ---- during a run ---------------------------------------------------------------------------- */

/* The lane's entry, made if it is new; NULL if there are too many. */
static struct orr__reach *reach_of(struct orr_world *world, uint32_t lane, enum orr__site site,
                                   uint64_t actor)
{
    struct orr_lanes *lanes = world->lanes;
    uint32_t at = (uint32_t)(lane * HASH >> 32) % ORR__LANES_MAX;
    while (lanes->reach[at].lane != 0 && lanes->reach[at].lane != lane)
        at = (at + 1) % ORR__LANES_MAX;
    struct orr__reach *reach = &lanes->reach[at];
    if (reach->lane == lane)
        return reach;
    if (lanes->reach_count == ORR__LANES_MAX * 3 / 4)
        return NULL;
    lanes->reach_count++;
    *reach = (struct orr__reach){.lane = lane, .actor = actor};
    if (lanes->names != NULL) {
        char name[ORR__LANE_NAME_MAX];
        orr__lane_name(world, site, actor, name);
        fprintf(lanes->names, "%s\n", name);
    }
    return reach;
}

uint64_t orr__lanes_draw(struct orr_world *world, enum orr__site site, uint64_t actor,
                         uint64_t occurrence, uint64_t value)
{
    struct orr_lanes *lanes = world->lanes;
    uint32_t lane = orr__lane(site, actor);
    struct orr__reach *reach = reach_of(world, lane, site, actor);
    uint64_t place = occurrence;
    if (is_streamed(site))
        place = reach != NULL ? reach->end : ORR__PLACE_END;
    if (place >= ORR__PLACE_END)
        return value;
    if (reach != NULL && place >= reach->end)
        reach->end = (uint32_t)place + 1;
    if (lanes->count == 0)
        return value;
    uint64_t cell = *slot_of(lanes, (uint64_t)lane << 24 | place);
    if (cell == 0)
        return value;
    uint8_t byte = (uint8_t)cell;
    if (byte == 0 || byte == UINT8_MAX)
        return byte == 0 ? 0 : UINT64_MAX;
    return (uint64_t)byte << 56 | value >> 8;
}

void orr__lanes_struck(struct orr_lanes *lanes, const struct orr__point *point)
{
    uint64_t hash = orr__mix(orr__actor_id(point->owner), (uint64_t)point->kind);
    lanes->struck[hash >> (64 - ORR__STRUCK_BITS)] = 1;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* NAME = SITE/[~]OWNER[/OPERATION][+N] | SITE/@HASH; an owner is a node, a loop of it ("server.2"),
 * a link, a family or a site of the workload. */
#define NEIGHBOURS 4u /* up to +4: different draws about the same thing */
#define OPERATION_STEP (orr__op_actor(&(struct orr_node){.id = 0}, 1))

/* "server/recv", "client->server+2", if that is what the id is. */
static bool describe(uint64_t id, uint64_t owner, const char *name, const char *sign,
                     char text[ORR__LANE_NAME_MAX])
{
    if (id - owner <= NEIGHBOURS) {
        char more[8] = "";
        if (id != owner)
            snprintf(more, sizeof more, "+%u", (unsigned)(id - owner));
        snprintf(text, ORR__LANE_NAME_MAX, "%s%s%s", sign, name, more);
        return true;
    }
    for (uint32_t op = 1; op < ORR_OP_COUNT; op++)
        if (id - owner == op * OPERATION_STEP) {
            snprintf(text, ORR__LANE_NAME_MAX, "%s%s/%s", sign, name, orr_op_name((uint8_t)op));
            return true;
        }
    return false;
}

static bool describe_either(uint64_t id, uint64_t owner, const char *name,
                            char text[ORR__LANE_NAME_MAX])
{
    return describe(id, owner, name, "", text) || describe(~id, owner, name, "~", text);
}

static bool describe_node(const struct orr_world *world, uint64_t id, char text[ORR__LANE_NAME_MAX])
{
    for (const struct orr_node *node = world->nodes; node != NULL; node = node->next)
        for (const struct orr__seat *seat = &node->seat; seat != NULL; seat = seat->next)
            if (describe_either(id, seat->id, seat->name, text))
                return true;
    return false;
}

static bool describe_link(const struct orr_world *world, uint64_t id, char text[ORR__LANE_NAME_MAX])
{
    char name[2 * ORR_NODE_NAME_MAX + sizeof "->"];
    for (const struct orr_node *from = world->nodes; from != NULL; from = from->next)
        for (const struct orr_node *to = world->nodes; to != NULL; to = to->next) {
            snprintf(name, sizeof name, "%s->%s", from->name, to->name);
            if (describe_either(id, orr__actor_id(name), name, text))
                return true;
        }
    return false;
}

/* What a line of a replay file can hold as a word. */
static bool is_word(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length < ORR__LANE_NAME_MAX / 2 && strpbrk(text, " \t\r\n#@~") == NULL;
}

static bool describe_actor(const struct orr_world *world, enum orr__site site, uint64_t actor,
                           char text[ORR__LANE_NAME_MAX])
{
    const char *chosen = world->lanes != NULL ? world->lanes->chosen : NULL;
    if (site == ORR__SITE_SWARM && actor < ORR_FAMILY_COUNT) {
        snprintf(text, ORR__LANE_NAME_MAX, "%s",
                 orr_fault_family_name((enum orr_fault_family)actor));
        return true;
    }
    if (site == ORR__SITE_WORKLOAD && chosen != NULL && is_word(chosen)) {
        snprintf(text, ORR__LANE_NAME_MAX, "%s", chosen);
        return true;
    }
    return describe_node(world, actor, text) || describe_link(world, actor, text);
}

void orr__lane_text(uint32_t lane, char name[ORR__LANE_NAME_MAX])
{
    const char *site = site_names[orr__lane_site(lane)];
    uint32_t hash = lane & 0xffffff;
    if (is_streamed((enum orr__site)orr__lane_site(lane)) && hash == 0)
        snprintf(name, ORR__LANE_NAME_MAX, "%s", site);
    else
        snprintf(name, ORR__LANE_NAME_MAX, "%s/@%06x", site, (unsigned)hash);
}

void orr__lane_name(const struct orr_world *world, enum orr__site site, uint64_t actor,
                    char name[ORR__LANE_NAME_MAX])
{
    char text[ORR__LANE_NAME_MAX];
    uint32_t lane = orr__lane(site, actor);
    orr__lane_text(lane, name);
    if (!is_streamed(site) && describe_actor(world, site, actor, text))
        snprintf(name, ORR__LANE_NAME_MAX, "%s/%.*s", site_names[site], ORR__LANE_NAME_MAX - 32,
                 text);
}

/* The number at the end of a word after `sign`, which is cut off; 0 if there is none. */
static uint64_t take_number(char *word, char sign)
{
    char *at = strrchr(word, sign);
    uint64_t number = 0;
    if (at == NULL || at[1] == '\0' || strspn(at + 1, "0123456789") != strlen(at + 1))
        return 0;
    for (const char *digit = at + 1; *digit != '\0'; digit++)
        number = number * 10 + (uint64_t)(*digit - '0');
    *at = '\0';
    return number;
}

/* "/recv", cut off: its number, or 0. */
static uint64_t take_operation(char *word)
{
    char *at = strrchr(word, '/');
    for (uint32_t op = 1; at != NULL && op < ORR_OP_COUNT; op++)
        if (strcmp(orr_op_name((uint8_t)op), at + 1) == 0) {
            *at = '\0';
            return op;
        }
    return 0;
}

static uint64_t actor_named(enum orr__site site, const char *text)
{
    char word[ORR__LANE_NAME_MAX];
    bool flipped = text[0] == '~';
    snprintf(word, sizeof word, "%s", text + flipped);
    for (uint32_t family = 0; site == ORR__SITE_SWARM && family < ORR_FAMILY_COUNT; family++)
        if (strcmp(orr_fault_family_name((enum orr_fault_family)family), word) == 0)
            return family;
    if (site == ORR__SITE_WORKLOAD)
        return orr__actor_id(text);
    uint64_t more = take_number(word, '+');
    uint64_t op = take_operation(word);
    uint64_t seat = take_number(word, '.');
    uint64_t id = orr__actor_id(word);
    if (seat != 0)
        id = orr__mix(id, seat);
    id += op * OPERATION_STEP + more;
    return flipped ? ~id : id;
}

static bool parse_hash(const char *text, uint32_t *ret_hash)
{
    char *end;
    if (strlen(text) != 6 || strspn(text, "0123456789abcdef") != 6)
        return false;
    *ret_hash = (uint32_t)strtoul(text, &end, 16);
    return true;
}

uint32_t orr__lane_named(const char *name)
{
    size_t length = strcspn(name, "/");
    const char *actor = name + length;
    uint32_t hash;
    for (uint32_t site = 0; site < ORR__SITE_COUNT; site++) {
        if (strlen(site_names[site]) != length || memcmp(site_names[site], name, length) != 0)
            continue;
        if (actor[0] == '\0')
            return is_streamed((enum orr__site)site) ? (site + 1) << 24 : 0;
        if (actor[1] == '@')
            return parse_hash(actor + 2, &hash) ? (site + 1) << 24 | hash : 0;
        if (is_streamed((enum orr__site)site) || !is_word(actor[1] == '~' ? actor + 2 : actor + 1))
            return 0;
        return orr__lane((enum orr__site)site, actor_named((enum orr__site)site, actor + 1));
    }
    return 0;
}

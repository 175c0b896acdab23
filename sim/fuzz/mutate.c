/*
 * mutate.c: changes to a fuzzer's inputs by what they mean: another seed, a fault that strikes, a
 * stretch of a lane that is set, taken back, moved or copied; and lanes of two inputs in one.
 *
 * The model: a draft is the seed and the cells, sorted, each place once. Each step changes a few
 * cells, mostly where the last run has drawn: a site is chosen first, then a lane of it, so that
 * ten thousand segments do not drown one power loss. 0 strikes, 255 does not, so these two come
 * more often than chance would have them. One input in four is a seed alone, for a bug that
 * many seeds show needs no guide. At the end what is too long loses whole lanes. What comes in may
 * be any bytes, what goes out is in normal form.
 */
#include "mutate.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEPS_MAX = 8,
    STRETCH_MAX = 32,
    FRESH_ONE_IN = 4, /* a seed alone: what seeds find by themselves is found at a quarter's pace */
    NEAR_END = 8,     /* places: what comes last in a run is often what matters */
};

struct draft {
    const struct orr__offers *offers;
    uint64_t seed;
    uint64_t *cells;
    size_t count;
    size_t capacity;
    uint64_t random;
};

/* ---- chance ---------------------------------------------------------------------------------- */

static uint64_t next_random(struct draft *draft)
{
    return orr__mix(draft->random++, UINT64_C(0x5bd1e995));
}

static uint32_t below(struct draft *draft, size_t bound)
{
    return (uint32_t)((next_random(draft) >> 32) * (uint64_t)bound >> 32);
}

static uint8_t any_byte(struct draft *draft)
{
    uint32_t draw = below(draft, 16);
    if (draw < 7)
        return 0;
    return draw < 11 ? UINT8_MAX : (uint8_t)below(draft, 256);
}

/* Short stretches are more likely than long ones. */
static uint32_t any_length(struct draft *draft)
{
    return 1 + below(draft, 1 + below(draft, STRETCH_MAX));
}

/* ---- cells ----------------------------------------------------------------------------------- */

/* The first cell that is not before. */
static size_t find(const struct draft *draft, uint64_t cell)
{
    size_t low = 0;
    size_t high = draft->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (draft->cells[middle] < cell)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void set(struct draft *draft, uint32_t lane, uint32_t place, uint8_t byte)
{
    if (place >= ORR__PLACE_END)
        return;
    uint64_t cell = orr__cell(lane, place, byte);
    size_t at = find(draft, orr__cell(lane, place, 0));
    if (at < draft->count && draft->cells[at] >> 8 == cell >> 8) {
        draft->cells[at] = cell;
        return;
    }
    if (draft->count == draft->capacity)
        return;
    memmove(draft->cells + at + 1, draft->cells + at, (draft->count - at) * sizeof cell);
    draft->cells[at] = cell;
    draft->count++;
}

static void erase(struct draft *draft, size_t from, size_t to)
{
    memmove(draft->cells + from, draft->cells + to, (draft->count - to) * sizeof *draft->cells);
    draft->count -= to - from;
}

/* The cells of a lane: from the first to before the last. */
static size_t lane_begin(const struct draft *draft, uint32_t lane)
{
    return find(draft, orr__cell(lane, 0, 0));
}

static size_t lane_end(const struct draft *draft, uint32_t lane)
{
    return find(draft, orr__cell(lane, ORR__PLACE_END - 1, UINT8_MAX));
}

/* ---- where ----------------------------------------------------------------------------------- */

/* The n-th offer of a site. */
static const struct orr__offer *offer_of(const struct orr__offers *offers, uint32_t site,
                                         uint32_t n)
{
    for (uint32_t i = 0; i < offers->count; i++)
        if (orr__lane_site(offers->lanes[i].lane) == site && n-- == 0)
            return &offers->lanes[i];
    return NULL;
}

/* A site first, then one of its lanes. NULL if there are none. */
static const struct orr__offer *any_offer(struct draft *draft)
{
    uint32_t lanes[ORR__SITE_COUNT] = {0};
    uint32_t sites[ORR__SITE_COUNT];
    uint32_t site_count = 0;
    for (uint32_t i = 0; i < draft->offers->count; i++) {
        uint32_t site = orr__lane_site(draft->offers->lanes[i].lane);
        if (site < ORR__SITE_COUNT && lanes[site]++ == 0)
            sites[site_count++] = site;
    }
    if (site_count == 0)
        return NULL;
    uint32_t site = sites[below(draft, site_count)];
    return offer_of(draft->offers, site, below(draft, lanes[site]));
}

static uint32_t end_of(const struct draft *draft, uint32_t lane)
{
    for (uint32_t i = 0; i < draft->offers->count; i++)
        if (draft->offers->lanes[i].lane == lane)
            return draft->offers->lanes[i].end;
    size_t end = lane_end(draft, lane);
    return end > lane_begin(draft, lane) ? orr__cell_place(draft->cells[end - 1]) + 2 : 1;
}

/* A lane that the run draws from, or one of the draft. */
static uint32_t any_lane(struct draft *draft)
{
    const struct orr__offer *offer = any_offer(draft);
    if (draft->count > 0 && (offer == NULL || below(draft, 4) == 0))
        return orr__cell_lane(draft->cells[below(draft, draft->count)]);
    if (offer != NULL)
        return offer->lane;
    return orr__lane(ORR__SITE_SWARM, below(draft, ORR_FAMILY_COUNT));
}

static uint32_t any_place(struct draft *draft, uint32_t lane)
{
    uint32_t end = end_of(draft, lane);
    end = end > 0 ? end : 1;
    if (end > NEAR_END && below(draft, 3) == 0)
        return end - 1 - below(draft, NEAR_END);
    return below(draft, end);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void change_seed(struct draft *draft)
{
    draft->seed = next_random(draft);
}

static void set_one(struct draft *draft)
{
    uint32_t lane = any_lane(draft);
    set(draft, lane, any_place(draft, lane), any_byte(draft));
}

/* All the same, all by chance, or one 0 among what does not strike. */
static void set_stretch(struct draft *draft)
{
    uint32_t lane = any_lane(draft);
    uint32_t place = any_place(draft, lane);
    uint32_t length = any_length(draft);
    uint32_t kind = below(draft, 4);
    uint8_t byte = any_byte(draft);
    uint32_t odd = below(draft, length);
    for (uint32_t i = 0; i < length; i++) {
        if (kind == 2)
            byte = any_byte(draft);
        if (kind == 3)
            byte = i == odd ? 0 : UINT8_MAX;
        set(draft, lane, place + i, byte);
    }
}

static void nudge(struct draft *draft)
{
    if (draft->count == 0)
        return;
    uint64_t *cell = &draft->cells[below(draft, draft->count)];
    uint8_t byte = (uint8_t)*cell;
    uint32_t kind = below(draft, 4);
    if (kind < 2)
        byte = (uint8_t)(byte + (kind == 0 ? 1 + below(draft, 8) : 255 - below(draft, 8)));
    else
        byte = any_byte(draft);
    *cell = *cell >> 8 << 8 | byte;
}

/* Back to what the seed says. */
static void cut_stretch(struct draft *draft)
{
    if (draft->count == 0)
        return;
    size_t from = below(draft, draft->count);
    size_t to = from + any_length(draft);
    size_t end = lane_end(draft, orr__cell_lane(draft->cells[from]));
    erase(draft, from, to < end ? to : end);
}

static void cut_lane(struct draft *draft)
{
    if (draft->count == 0)
        return;
    uint32_t lane = orr__cell_lane(draft->cells[below(draft, draft->count)]);
    erase(draft, lane_begin(draft, lane), lane_end(draft, lane));
}

/* The rest of a lane, from some cell on, happens earlier or later. */
static void shift(struct draft *draft)
{
    if (draft->count == 0)
        return;
    size_t from = below(draft, draft->count);
    uint32_t lane = orr__cell_lane(draft->cells[from]);
    size_t end = lane_end(draft, lane);
    uint32_t by = 1 + below(draft, NEAR_END);
    bool later = below(draft, 2) == 0;
    uint32_t first = orr__cell_place(draft->cells[from]);
    uint32_t last = orr__cell_place(draft->cells[end - 1]);
    uint32_t least = 0;
    if (from > 0 && orr__cell_lane(draft->cells[from - 1]) == lane)
        least = orr__cell_place(draft->cells[from - 1]) + 1;
    if (later ? last + by >= ORR__PLACE_END : first < least + by)
        return;
    for (size_t i = from; i < end; i++)
        draft->cells[i] += later ? (uint64_t)by << 8 : UINT64_C(0) - ((uint64_t)by << 8);
}

/* To another place of its lane, or to a lane of the same site. */
static void copy_stretch(struct draft *draft)
{
    uint8_t bytes[STRETCH_MAX];
    uint32_t places[STRETCH_MAX];
    uint32_t count = 0;
    if (draft->count == 0)
        return;
    size_t from = below(draft, draft->count);
    uint32_t lane = orr__cell_lane(draft->cells[from]);
    uint32_t length = any_length(draft);
    for (size_t i = from; i < draft->count && count < length; i++) {
        if (orr__cell_lane(draft->cells[i]) != lane)
            break;
        places[count] = orr__cell_place(draft->cells[i]);
        bytes[count++] = (uint8_t)draft->cells[i];
    }
    uint32_t onto = any_lane(draft);
    if (orr__lane_site(onto) != orr__lane_site(lane))
        onto = lane;
    uint32_t place = any_place(draft, onto);
    if (below(draft, 2) == 0) /* a move */
        erase(draft, from, from + count);
    for (uint32_t i = 0; i < count; i++)
        set(draft, onto, place + (places[i] - places[0]), bytes[i]);
}

/* A family is on, at some rate, or off. */
static void turn_family(struct draft *draft)
{
    uint32_t lane = orr__lane(ORR__SITE_SWARM, below(draft, ORR_FAMILY_COUNT));
    bool on = below(draft, 2) == 0;
    set(draft, lane, 0, on ? UINT8_MAX : 0);
    if (on)
        set(draft, lane, 1, (uint8_t)below(draft, 256));
}

static void step(struct draft *draft)
{
    static const struct {
        uint8_t weight;
        void (*change)(struct draft *draft);
    } steps[] = {
        {2, change_seed}, {16, set_one}, {8, set_stretch},  {6, nudge},       {4, cut_stretch},
        {2, cut_lane},    {3, shift},    {5, copy_stretch}, {4, turn_family},
    };
    uint32_t draw = below(draft, 50);
    size_t i = 0;
    while (draw >= steps[i].weight)
        draw -= steps[i++].weight;
    steps[i].change(draft);
}

/* ---- whole inputs ---------------------------------------------------------------------------- */

/* Reads an input into a draft with room for `size_max` cells. False when there is no memory. */
static bool open_draft(struct draft *draft, const uint8_t *bytes, size_t size, size_t size_max)
{
    struct orr_lanes *lanes = calloc(1, sizeof *lanes);
    draft->capacity = (size > size_max ? size : size_max) + 1;
    draft->cells = calloc(draft->capacity, sizeof *draft->cells);
    bool is_read = lanes != NULL && draft->cells != NULL && orr__lanes_read(lanes, bytes, size);
    if (is_read) {
        draft->seed = lanes->seed;
        draft->count = lanes->count;
        orr__lanes_cells(lanes, draft->cells);
    }
    if (lanes != NULL)
        orr__lanes_free(lanes);
    free(lanes);
    return is_read;
}

/* Writes the draft, without lanes that there is no room for. */
static size_t close_draft(struct draft *draft, uint8_t *bytes, size_t size_max)
{
    uint8_t seed[ORR__INPUT_SEED_BYTES];
    size_t size = orr__input_size(draft->cells, draft->count);
    while (size > size_max && draft->count > 0) {
        cut_lane(draft);
        size = orr__input_size(draft->cells, draft->count);
    }
    if (size <= size_max) {
        orr__input_write(draft->seed, draft->cells, draft->count, bytes);
    } else {
        orr__input_write(draft->seed, NULL, 0, seed);
        memcpy(bytes, seed, size_max);
        size = size_max;
    }
    free(draft->cells);
    return size;
}

size_t orr__mutate(const struct orr__offers *offers, uint8_t *bytes, size_t size, size_t size_max,
                   uint64_t random)
{
    struct draft draft = {.offers = offers, .random = orr__mix(random, 1)};
    if (!open_draft(&draft, bytes, size, size_max)) {
        free(draft.cells);
        return size < size_max ? size : size_max;
    }
    uint32_t steps = 1;
    if (below(&draft, FRESH_ONE_IN) == 0) {
        draft.seed = next_random(&draft);
        draft.count = 0;
        steps = 0;
    }
    while (steps > 0 && steps < STEPS_MAX && below(&draft, 2) == 0)
        steps++;
    while (steps-- > 0)
        step(&draft);
    return close_draft(&draft, bytes, size_max);
}

/* Whether a cell comes from the first input: half of the lanes; what is before or after some part
 * of each lane; or all that the first one has, and what the second has beside it. */
enum crossing { CROSS_LANES, CROSS_PREFIX, CROSS_UNION, CROSSINGS };

struct choice {
    enum crossing crossing;
    uint64_t key;
    uint32_t part; /* of 256 of each lane */
};

static bool takes(const struct choice *choice, const struct draft *of, uint64_t cell, bool first)
{
    uint32_t lane = orr__cell_lane(cell);
    if (choice->crossing == CROSS_LANES)
        return (orr__mix(choice->key, lane) >> 63 == 0) == first;
    if (choice->crossing == CROSS_UNION)
        return true;
    uint64_t last = orr__cell_place(of->cells[lane_end(of, lane) - 1]);
    return (orr__cell_place(cell) <= last * choice->part / 256) == first;
}

size_t orr__cross(const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size,
                  uint8_t *bytes, size_t size_max, uint64_t random)
{
    struct draft a = {.random = orr__mix(random, 2)};
    struct draft b = {.random = 0};
    size_t room = one_size + two_size + size_max;
    if (!open_draft(&a, one, one_size, room) || !open_draft(&b, two, two_size, room)) {
        free(a.cells);
        free(b.cells);
        return 0;
    }
    const struct choice choice = {.crossing = (enum crossing)below(&a, CROSSINGS),
                                  .key = next_random(&a),
                                  .part = below(&a, 256)};
    struct draft made = {.seed = below(&a, 4) == 0 ? b.seed : a.seed,
                         .cells = calloc(room + 1, sizeof *made.cells),
                         .capacity = room + 1,
                         .random = next_random(&a)};
    for (size_t i = 0; made.cells != NULL && i < b.count; i++)
        if (takes(&choice, &b, b.cells[i], false))
            made.cells[made.count++] = b.cells[i];
    for (size_t i = 0; made.cells != NULL && i < a.count; i++)
        if (takes(&choice, &a, a.cells[i], true))
            set(&made, orr__cell_lane(a.cells[i]), orr__cell_place(a.cells[i]),
                (uint8_t)a.cells[i]);
    free(a.cells);
    free(b.cells);
    return made.cells != NULL ? close_draft(&made, bytes, size_max) : 0;
}

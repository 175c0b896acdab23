/*
 * lanes.h: a fuzzer's choices, laid over those of the seed. docs/fuzzing.md has the format.
 *
 * A lane is one kind of choice of one actor: whether a disk error strikes the server's fsyncs, how
 * long segments from the client to the server take, in which order simultaneous events come. Its
 * places are numbered by the occurrence of the draw (of lanes without an actor: by their order). A
 * cell is one byte of one lane at one place. Where no cell is, the seed decides; so a cell never
 * moves another choice.
 *
 *     cell    lane (32 bits)   place (24 bits)   byte (8 bits)
 *     lane    site + 1 (8 bits)   hash of the actor (24 bits)
 *
 * A cell is never 0, and sorted as numbers cells are in the order of the normal form.
 */
#ifndef ORR_SIM_LANES_H
#define ORR_SIM_LANES_H

#include "internal.h"

enum {
    ORR__INPUT_SEED_BYTES = 8,
    ORR__INPUT_HEAD_BYTES = 8, /* of a chunk: site, actor (3), place (3), length */
    ORR__INPUT_CHUNK_MAX = 255,
    ORR__INPUT_MAX = 1 << 20, /* bytes; what is longer is cut */
    ORR__PLACE_END = 1 << 24, /* from here on the seed decides alone */
    ORR__LANES_MAX = 4096,    /* that a run can tell of: a power of two */
    ORR__STRUCK_BITS = 10,    /* faults by whom they struck */
    ORR__LANE_NAME_MAX = 128,
};

/* ---- inputs ---------------------------------------------------------------------------------- */

static inline uint64_t orr__cell(uint32_t lane, uint32_t place, uint8_t byte)
{
    return (uint64_t)lane << 32 | (uint64_t)place << 8 | byte;
}

static inline uint32_t orr__cell_lane(uint64_t cell)
{
    return (uint32_t)(cell >> 32);
}

static inline uint32_t orr__cell_place(uint64_t cell)
{
    return (uint32_t)(cell >> 8) % ORR__PLACE_END;
}

static inline uint32_t orr__lane_site(uint32_t lane)
{
    return (lane >> 24) - 1;
}

/* The lane of a site and an actor. */
uint32_t orr__lane(enum orr__site site, uint64_t actor);
/* How many bytes the input has that these cells, sorted and each place once, and the seed make. */
size_t orr__input_size(const uint64_t *cells, size_t count);
/* Writes it, in normal form: `size` is what orr__input_size says. */
void orr__input_write(uint64_t seed, const uint64_t *cells, size_t count, uint8_t *bytes);

/* ---- during a run ---------------------------------------------------------------------------- */

/* A lane that a run has drawn from, and up to which place. */
struct orr__reach {
    uint32_t lane;
    uint32_t end;
    uint64_t actor;
};

/* What an input says, and what a run tells of itself. */
struct orr_lanes {
    uint64_t seed;
    uint64_t *slots; /* cells, a hash table by lane and place; 0 = free */
    uint32_t slots_mask;
    uint32_t count;
    uint32_t reach_count;
    struct orr__reach reach[ORR__LANES_MAX]; /* a hash table by lane; lane 0 = free */
    uint8_t struck[1 << ORR__STRUCK_BITS];   /* kinds of faults by owner */
    const char *chosen;                      /* the site of the workload that is drawn from */
    FILE *names; /* gets the name of each lane that is drawn from, a line; NULL = none */
};

/* Reads an input, whatever its bytes are. False when there is no memory; free it in any case. */
bool orr__lanes_read(struct orr_lanes *lanes, const uint8_t *bytes, size_t size);
/* Room for so many cells beside those that it has. */
bool orr__lanes_grow(struct orr_lanes *lanes, size_t more);
/* Sets a cell; one that was there goes. There is room. */
void orr__lanes_set(struct orr_lanes *lanes, uint64_t cell);
/* Copies the cells, sorted: there is room for `lanes->count`. */
void orr__lanes_cells(const struct orr_lanes *lanes, uint64_t *cells);
void orr__lanes_free(struct orr_lanes *lanes);
/* The value of a draw: `value`, which the seed has given, unless a cell says otherwise. */
uint64_t orr__lanes_draw(struct orr_world *world, enum orr__site site, uint64_t actor,
                         uint64_t occurrence, uint64_t value);
/* A fault has struck. */
void orr__lanes_struck(struct orr_lanes *lanes, const struct orr__point *point);

/* ---- names ----------------------------------------------------------------------------------- */

/*
 * "op-error/server/fsync": the site, and what of. An actor that this file does not know how to call
 * has its hash: "disk-sector/@9a5f01". The world knows its nodes and links; NULL: only hashes.
 */
void orr__lane_name(const struct orr_world *world, enum orr__site site, uint64_t actor,
                    char name[ORR__LANE_NAME_MAX]);
/* "op-error/@9a5f01", from the lane alone. */
void orr__lane_text(uint32_t lane, char name[ORR__LANE_NAME_MAX]);
/* The lane that a name means; 0 if there is none. */
uint32_t orr__lane_named(const char *name);

#endif

/*
 * history.h: how the files that judge histories fit together. They know no world but for the one
 * function that makes a check of a verdict.
 *
 *   history.c    records calls, takes a history apart by key, judges; the register
 *   search.c     looks for an order of one key's calls
 *   seen.c       remembers where the search has been, within a limit of memory
 *   explain.c    cuts a history without an order down to the few calls that show it, and tells them
 */
#ifndef ORR_SIM_HISTORY_H
#define ORR_SIM_HISTORY_H

#include "internal.h"

#include <orrery/linearizable.h>

/* ---- seen.c ---------------------------------------------------------------------------------- */

/* A set of entries, each some words. */
struct orr__seen {
    uint64_t *words; /* entries one after the other: hash and length in one word, then the entry */
    uint32_t *table; /* open addressing: where an entry begins in words, plus 1; 0 = free */
    uint64_t used;   /* words */
    uint64_t capacity; /* words */
    uint64_t slots;    /* of the table, a power of two */
    uint64_t count;
    uint64_t memory_max; /* bytes of both */
};

enum orr__seen_result { ORR__SEEN_NEW, ORR__SEEN_BEFORE, ORR__SEEN_FULL };

/* Takes no memory yet. */
void orr__seen_open(struct orr__seen *seen, uint64_t memory_max);
void orr__seen_close(struct orr__seen *seen);
/* Room for an entry of up to `count` words, to be filled in and added. NULL = beyond the limit. */
uint64_t *orr__seen_room(struct orr__seen *seen, uint64_t count);
/* Adds the entry that was written to the room, unless it is in the set. */
enum orr__seen_result orr__seen_add(struct orr__seen *seen, uint64_t count);

/* ---- search.c -------------------------------------------------------------------------------- */

#define ORR__STATES_MAX 4u

/* The first moment at which no order goes on: the end of a call. */
struct orr__dead_end {
    uint32_t call;        /* index of that call */
    uint32_t state_count; /* states that are possible just before that end, at most so many */
    bool more_states;
    uint8_t states[ORR__STATES_MAX][ORR_MODEL_STATE_MAX];
};

/* Looks for an order of `count` calls of one key, which are in order of their begins.
 * `*ret_dead_end` is set if there is none. */
enum orr_verdict orr__search(const struct orr_model *model, const struct orr_call *calls,
                             uint32_t count, uint64_t memory_max,
                             struct orr__dead_end *ret_dead_end);

/* ---- history.c ------------------------------------------------------------------------------- */

/* Drops the calls that never returned and that nobody saw take effect: they change nothing. Returns
 * how many are left. */
uint32_t orr__drop_unseen(const struct orr_model *model, struct orr_call *calls, uint32_t count);

/* ---- explain.c ------------------------------------------------------------------------------- */

/* Writes why the calls of one key have no order. Changes `calls`. */
void orr__explain(const struct orr_model *model, struct orr_call *calls, uint32_t count,
                  uint64_t memory_max, const struct orr__dead_end *dead_end, char *text,
                  size_t text_size);

#endif

/*
 * seen.c: the set of configurations that a search has been in, exact and bounded.
 *
 * Entries have different lengths, so they lie one after the other in one array, and a hash table
 * holds where they begin. An entry is compared whole, not by its hash: a verdict is never a matter
 * of luck. Both arrays grow by doubling as long as they stay within the limit; the entry that would
 * take them beyond it is refused.
 */
#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_FIRST UINT64_C(1024)
#define SLOTS_FIRST UINT64_C(256)
#define LENGTH_BITS 32

void orr__seen_open(struct orr__seen *seen, uint64_t memory_max)
{
    *seen = (struct orr__seen){.memory_max = memory_max};
}

void orr__seen_close(struct orr__seen *seen)
{
    free(seen->words);
    free(seen->table);
}

static bool within(const struct orr__seen *seen, uint64_t words, uint64_t slots)
{
    /* A table slot is 32 bits, and so must a place in `words` be. */
    return words < UINT32_MAX &&
           words * sizeof *seen->words + slots * sizeof *seen->table <= seen->memory_max;
}

uint64_t *orr__seen_room(struct orr__seen *seen, uint64_t count)
{
    uint64_t needed = seen->used + 1 + count;
    if (needed > seen->capacity) {
        uint64_t capacity = seen->capacity == 0 ? WORDS_FIRST : seen->capacity;
        while (capacity < needed)
            capacity *= 2;
        if (!within(seen, capacity, seen->slots))
            return NULL;
        seen->words = realloc(seen->words, capacity * sizeof *seen->words);
        if (seen->words == NULL)
            orr_fatal("no memory to judge a history: %" PRIu64 " words", capacity);
        seen->capacity = capacity;
    }
    return seen->words + seen->used + 1;
}

static uint64_t hash_of(const uint64_t *words, uint64_t count)
{
    uint64_t hash = count;
    for (uint64_t i = 0; i < count; i++)
        hash = orr__mix(hash, words[i]);
    return hash;
}

/* The slot that holds the entry, or the free one where it belongs. */
static uint64_t slot_of(const struct orr__seen *seen, const uint64_t *head, uint64_t count)
{
    uint64_t slot = *head >> LENGTH_BITS & (seen->slots - 1);
    while (seen->table[slot] != 0) {
        const uint64_t *other = seen->words + seen->table[slot] - 1;
        if (*other == *head && memcmp(other + 1, head + 1, count * sizeof *head) == 0)
            break;
        slot = (slot + 1) & (seen->slots - 1);
    }
    return slot;
}

/* At most half of the slots are taken. */
static bool grow_table(struct orr__seen *seen)
{
    uint64_t slots = seen->slots == 0 ? SLOTS_FIRST : seen->slots * 2;
    if (!within(seen, seen->capacity, slots))
        return false;
    free(seen->table);
    seen->table = calloc(slots, sizeof *seen->table);
    if (seen->table == NULL)
        orr_fatal("no memory to judge a history: %" PRIu64 " slots", slots);
    seen->slots = slots;
    for (uint64_t at = 0; at < seen->used;) {
        uint64_t count = (uint32_t)seen->words[at];
        seen->table[slot_of(seen, seen->words + at, count)] = (uint32_t)at + 1;
        at += 1 + count;
    }
    return true;
}

enum orr__seen_result orr__seen_add(struct orr__seen *seen, uint64_t count)
{
    if (seen->count * 2 >= seen->slots && !grow_table(seen))
        return ORR__SEEN_FULL;
    uint64_t *head = seen->words + seen->used;
    *head = hash_of(head + 1, count) >> LENGTH_BITS << LENGTH_BITS | count;
    uint64_t slot = slot_of(seen, head, count);
    if (seen->table[slot] != 0)
        return ORR__SEEN_BEFORE;
    seen->table[slot] = (uint32_t)seen->used + 1;
    seen->used += 1 + count;
    seen->count++;
    return ORR__SEEN_NEW;
}

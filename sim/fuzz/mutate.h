/*
 * mutate.h: changes to a fuzzer's inputs by what they mean. Used by a fuzz target under libFuzzer
 * (fuzz.c), and by AFL++ in its own process (afl.c).
 */
#ifndef ORR_SIM_FUZZ_MUTATE_H
#define ORR_SIM_FUZZ_MUTATE_H

#include "../lanes.h"

/* Lanes that a run has drawn from, and how far: where bytes matter. Plain numbers, for AFL++ reads
 * them in memory that it shares with the target. */
struct orr__offers {
    uint32_t count;
    struct orr__offer {
        uint32_t lane;
        uint32_t end;
    } lanes[ORR__LANES_MAX];
};

/* Where a target finds memory for its offers: the path of a file of this size; not set: in its
 * own. */
#define ORR__OFFERS_VARIABLE "ORR_FUZZ_OFFERS"

/*
 * Makes another input out of one: into `bytes`, which hold `size` and have room for `size_max`.
 * Returns its size. The same bytes, offers and `random` give the same.
 */
size_t orr__mutate(const struct orr__offers *offers, uint8_t *bytes, size_t size, size_t size_max,
                   uint64_t random);
/* Makes one out of two: into `bytes`, which is neither of them. */
size_t orr__cross(const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size,
                  uint8_t *bytes, size_t size_max, uint64_t random);

#endif

/*
 * chance.h: repeatable random numbers for tests: splitmix64.
 */
#ifndef ORR_TESTS_IO_CHANCE_H
#define ORR_TESTS_IO_CHANCE_H

#include <stdint.h>

static inline uint64_t chance(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 <= result < bound */
static inline uint64_t chance_below(uint64_t *state, uint64_t bound)
{
    return chance(state) % bound;
}

#endif

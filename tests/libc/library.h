/*
 * library.h: a library that knows no world: it asks the C library for time and for random bytes,
 * as third-party code does, and some of its functions do what no program of a world may do.
 */
#ifndef TESTS_LIBC_LIBRARY_H
#define TESTS_LIBC_LIBRARY_H

#include <stdint.h>

/* What the clocks show, in ns. */
struct library_times {
    uint64_t wall[6]; /* clock_gettime twice, gettimeofday, timespec_get, time, TAI */
    uint64_t monotonic[4];
    uint64_t processor[4]; /* of the process, the thread, clock(), a thread's own clock */
    uint64_t resolution;
};
#define LIBRARY_WALLS 6
#define LIBRARY_MONOTONICS 4
#define LIBRARY_PROCESSORS 4
void library_times(struct library_times *ret_times);
/* The wall clock as another thread sees it. */
uint64_t library_wall_elsewhere(void);

/* One value each of getrandom, getentropy, arc4random, arc4random_uniform, arc4random_buf, rand,
 * random, drand48, mrand48. */
#define LIBRARY_RANDOMS 9
void library_randoms(uint64_t ret_values[LIBRARY_RANDOMS]);
extern const char *const library_random_names[LIBRARY_RANDOMS];
void library_seed(unsigned seed);

/* The generators that a program can seed. */
struct library_generator {
    void (*seed)(unsigned seed);
    int (*next)(void);
};
#define LIBRARY_GENERATORS 3
extern const struct library_generator library_generators[LIBRARY_GENERATORS];

/* Calls that leak; each returns what the call did. */
struct library_leak {
    const char *function;
    const char *check; /* that fails */
    int refused;       /* the answer where the call is not made */
    int (*call)(void);
};
#define LIBRARY_LEAKS 29
extern const struct library_leak library_leaks[LIBRARY_LEAKS];

#endif

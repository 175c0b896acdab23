/*
 * libc.h: the C library under the world: what its clocks and its random functions answer to code
 * that runs in a world, and what that code must not ask of it.
 *
 *   libc.c       where this thread is (in a world or not), and the answers: portable
 *   interpose.c  the C library's functions, defined anew: they ask here first
 *   leak.c       a call that would make a run depend on this machine fails the seed, with its stack
 *
 * A scope is per thread: world code enters one around everything of the program's that it calls,
 * and leaves it after. outside of every scope the real functions answer: the campaign, the loop on
 * a kernel and the test that drives a bare world see real time.
 */
#ifndef ORR_SIM_LIBC_H
#define ORR_SIM_LIBC_H

#include "../internal.h"

/* Whose code runs. */
struct orr__scope {
    struct orr_world *world;      /* NULL = none's: outside */
    struct orr__process *process; /* NULL = the scenario itself */
    const void *stack;            /* frames that lie deeper are that code's */
    struct orr__libc *libc;       /* the node's, or the scenario's */
    uint16_t state48[3];          /* outside: of drand48, while code in a world runs */
};

/* Enters a scope; returns the one before, for the leave. */
struct orr__scope orr__scope_enter(struct orr_world *world, struct orr__process *process);
void orr__scope_leave(struct orr__scope before);

/* Every world calls this, for the linker's sake too: a program that has a world then has the
 * definitions of interpose.c, which it may not ask for by name. */
void orr__interpose(void);

/* Before a whole run, and when a node's life begins: nothing is left of the one before. */
void orr__libc_begin(struct orr_world *world);
void orr__libc_born(struct orr_node *node);

/* Where this thread is. */
const struct orr__scope *orr__scope_here(void);

/* Answers, inside only. */
uint64_t orr__libc_clock(enum orr_clock clock);
/* Virtual time since the world began. */
uint64_t orr__libc_elapsed(void);
/* Bytes of choices: keyed by the node and the count of what its code asked for. */
void orr__libc_bytes(void *buffer, size_t length);
uint64_t orr__libc_draw(void);
/* rand(3): 31 bits. A choice, until the program seeds it: then what that seed gives, always. */
int32_t orr__libc_rand(void);
void orr__libc_srand(uint32_t seed);

enum orr__leak {
    ORR__LEAK_THREAD,
    ORR__LEAK_SLEEP,
    ORR__LEAK_WAIT,
    ORR__LEAK_LOOKUP,
    ORR__LEAK_PROCESS,
    ORR__LEAK_COUNT
};

/* True if the call must not be made: it has failed the seed. `caller` is where the function returns
 * to. Where the world is no police, and outside, calls are made. */
bool orr__libc_leaks(enum orr__leak leak, const char *function, const void *caller);

#endif

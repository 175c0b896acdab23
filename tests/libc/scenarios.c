/*
 * scenarios.c: what libc.sh runs by the command line: a program that asks a library for time and
 * random bytes, tables keyed by pointers, and a leak. Built in every way that a user may link the
 * world in, and as a shared object (LIBC_SHARED_OBJECT) for --load.
 */
#include "library.h"

#include <orrery/sim.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- asks ------------------------------------------------------------------------------------ */

static void on_tick(void *context, struct orr_completion *tick, int64_t result)
{
    (void)context;
    (void)tick;
    (void)result;
}

struct program {
    struct orr_loop *loop;
    struct orr_completion tick;
};

static void tell_answers(struct orr_world *world, const char *who)
{
    struct library_times times;
    uint64_t randoms[LIBRARY_RANDOMS];
    library_times(&times);
    library_randoms(randoms);
    for (uint32_t i = 0; i < LIBRARY_WALLS; i++)
        orr_note(world, "%s wall %" PRIu32 " %" PRIu64, who, i, times.wall[i]);
    for (uint32_t i = 0; i < LIBRARY_MONOTONICS; i++)
        orr_note(world, "%s monotonic %" PRIu32 " %" PRIu64, who, i, times.monotonic[i]);
    for (uint32_t i = 0; i < LIBRARY_RANDOMS; i++)
        orr_note(world, "%s %s %" PRIu64, who, library_random_names[i], randoms[i]);
}

static void *boot(struct orr_loop *loop, void *config)
{
    struct program *program = orr_malloc(loop, sizeof *program);
    *program = (struct program){.loop = loop};
    orr_timeout(loop, &program->tick, ORR_SECOND, on_tick, program);
    tell_answers(config, "node");
    return program;
}

static const struct orr_program program = {.boot = boot};

/* Fails, so that the notes are told. */
static void run_asks(struct orr_world *world)
{
    orr_node_create(world, "asker", &program, world);
    orr_world_run_for(world, 2 * ORR_SECOND);
    tell_answers(world, "scenario");
    orr_unreachable(world, "the answers are told");
}

/* ---- pointers -------------------------------------------------------------------------------- */

enum { BLOCKS = 64, BUCKETS = 61 };

/* A table that a careless program keys by pointer: what it does follows the addresses of blocks of
 * all sizes, of static data and of code. */
static void *boot_table(struct orr_loop *loop, void *config)
{
    struct orr_world *world = config;
    uint64_t order = 0;
    void *blocks[BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc((size_t)1 << i % 21);
        order = order * 31 + (uintptr_t)blocks[i] / 16 % BUCKETS;
    }
    for (uint32_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    order = order * 31 + (uintptr_t)&program % BUCKETS;
    order = order * 31 + (uintptr_t)&boot_table % BUCKETS;
    orr_note(world, "order %" PRIu64, order);
    struct program *table = orr_malloc(loop, sizeof *table);
    *table = (struct program){.loop = loop};
    orr_timeout(loop, &table->tick, order % ORR_SECOND, on_tick, table); /* into the trace hash */
    return table;
}

static void run_pointers(struct orr_world *world)
{
    static const struct orr_program keyed = {.boot = boot_table};
    orr_node_create(world, "table", &keyed, world);
    orr_world_run_for(world, ORR_SECOND);
    orr_unreachable(world, "the order is told");
}

/* ---- leaks ----------------------------------------------------------------------------------- */

static void *boot_leak(struct orr_loop *loop, void *config)
{
    (void)loop;
    library_leaks[0].call();
    return config;
}

static void run_leaks(struct orr_world *world)
{
    static const struct orr_program leaking = {.boot = boot_leak};
    orr_node_create(world, "leaking", &leaking, world);
}

static const struct orr_scenario asks = {
    .name = "asks", .summary = "tells what the C library answers", .run = run_asks};
static const struct orr_scenario pointers = {
    .name = "pointers", .summary = "does what addresses say", .run = run_pointers};
static const struct orr_scenario leaks = {
    .name = "leaks", .summary = "starts a thread", .run = run_leaks};

#ifdef LIBC_SHARED_OBJECT
ORR_SCENARIOS(&asks, &pointers, &leaks)
#else
ORR_MAIN(&asks, &pointers, &leaks)
#endif

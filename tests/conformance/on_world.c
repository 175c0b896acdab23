/*
 * on_world.c: the conformance suite in the simulated world, with a few seeds. `world` is a world
 * where nothing is out of the ordinary; in `world-strained` strikes all that the contract allows to
 * happen to a correct program at any time: partial transfers, latency, reordered completions, tiny
 * batches and buffers. No connection breaks in it and no disk fails.
 */
#include "conformance.h"

#include "tests/suite.h"

#include <orrery/sim.h>
#include <stdio.h>
#include <string.h>

#define STRAIN_PER_MILLION 300000u
#define LOOPS_MAX 8u

static struct orr_world *world;
static uint32_t loop_count;

static const char *unavailable(void)
{
    return NULL;
}

static void open_world(uint64_t seed)
{
    static const enum orr_fault_family strain[] = {ORR_FAMILY_PARTIAL, ORR_FAMILY_LATENCY,
                                                   ORR_FAMILY_REORDER, ORR_FAMILY_PRESSURE};
    world = orr_world_create(seed, NULL);
    for (uint32_t i = 0; i < sizeof strain / sizeof strain[0]; i++)
        if (ground.driver->strained)
            orr_world_set_rate(world, strain[i], STRAIN_PER_MILLION);
    loop_count = 0;
}

/* Each loop is a node of its own. */
static int open_loop(const struct orr_options *options, uint64_t seed, struct orr_loop **ret_loop)
{
    static char names[LOOPS_MAX][16];
    if (world == NULL)
        open_world(seed);
    ck_assert_uint_lt(loop_count, LOOPS_MAX);
    snprintf(names[loop_count], sizeof names[0], "node%u", loop_count);
    return orr_node_open_loop(world, names[loop_count++], options, ret_loop);
}

static orr_handle make_directory(struct orr_loop *loop, char *ret_prefix)
{
    (void)loop;
    snprintf(ret_prefix, CONFORMANCE_PREFIX_MAX, "/ground/");
    EXPECT(0, END_OF(orr_mkdir, ORR_DIRECTORY_CURRENT, "ground", 0755));
    return END_OF(orr_open, ORR_DIRECTORY_CURRENT, "ground", ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0);
}

static void pass_time(struct orr_loop *loop, uint64_t ns)
{
    (void)loop;
    orr_world_run_for(world, ns);
}

/* Time costs nothing here. */
static void be_patient(orr_handle socket)
{
    (void)socket;
}

static void closed(void)
{
    orr_world_destroy(world);
    world = NULL;
}

static void nothing(void)
{
}

int main(int argc, char **argv)
{
    const bool strained = argc > 1 && strcmp(argv[1], "strained") == 0;
    const uint64_t strained_seeds = SUITE_SANITIZED ? 4 : 20;
    const struct conformance_driver driver = {
        .name = strained ? "world-strained" : "world",
        .tables = conformance_common,
        .seeds = strained ? strained_seeds : 2,
        .strained = strained,
        .unavailable = unavailable,
        .open = open_loop,
        .make_directory = make_directory,
        .pass_time = pass_time,
        .limit_descriptors = nothing,
        .lose_patience = be_patient,
        .second_host = "10.0.0.2",
        .closed = closed,
        .begin = nothing,
        .end = nothing,
    };
    return conformance_main(&driver);
}

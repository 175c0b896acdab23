/*
 * libc.c: where a thread is, and what the world answers there for the C library.
 *
 * Time is the node's, through the same function that its loop asks; the scenario itself has a clock
 * that starts where the earliest node's may. Random values are choices of the site of orr_random,
 * of an actor beside the node: what a library draws moves nothing that the program draws by
 * orr_random. Their count goes on over a node's lives, so that a life does not repeat the one
 * before; what srand began ends with the life, as a process's memory does, and so does the state of
 * drand48, which each node has for itself.
 */
#define _DEFAULT_SOURCE 1 /* seed48 */

#include "libc.h"

#include "../world.h"

#include <stdlib.h>
#include <string.h>

#define ACTOR UINT64_C(0x11bc)
#define ACTOR_48 UINT64_C(0x11bd)

/* Initial-exec: a load, no call, wherever the library lies. */
static _Thread_local struct orr__scope here __attribute__((tls_model("initial-exec")));

/* The drand48 family is left to the C library: exact arithmetic on one state of the whole process.
 * That is the state of whoever's code runs. */
static void save48(uint16_t ret_state[3])
{
    uint16_t any[3] = {0};
    memcpy(ret_state, seed48(any), sizeof any);
}

/* Not inlined: where the caller's frame ends, the frames of the code that it calls begin. */
__attribute__((noinline)) struct orr__scope orr__scope_enter(struct orr_world *world,
                                                             struct orr__process *process)
{
    struct orr__scope before = here;
    save48(before.libc != NULL ? before.libc->state48 : before.state48);
    here.world = world;
    here.process = process;
    here.stack = __builtin_dwarf_cfa();
    here.libc = world != NULL ? &world->libc : NULL;
    if (process != NULL)
        here.libc = &process->node->libc;
    if (here.libc != NULL) /* else the campaign's own code runs, in the midst of a run */
        seed48(here.libc->state48);
    return before;
}

void orr__scope_leave(struct orr__scope before)
{
    if (here.libc != NULL)
        save48(here.libc->state48);
    here = before;
    seed48(here.libc != NULL ? here.libc->state48 : here.state48);
}

const struct orr__scope *orr__scope_here(void)
{
    return &here;
}

uint64_t orr__libc_clock(enum orr_clock clock)
{
    if (here.process != NULL)
        return orr__node_clock(here.process->node, clock);
    return orr__world_clock(here.world, clock);
}

uint64_t orr__libc_elapsed(void)
{
    return orr__now(here.world);
}

static void set48(struct orr__libc *libc, uint64_t value)
{
    for (int i = 0; i < 3; i++)
        libc->state48[i] = (uint16_t)(value >> (16 * i));
}

void orr__libc_begin(struct orr_world *world)
{
    world->draw48 = orr__draw(world, ORR__SITE_RANDOM, ACTOR_48, 0);
    set48(&world->libc, world->draw48);
}

/* No choice of its own: a program that draws nothing has none. */
void orr__libc_born(struct orr_node *node)
{
    uint64_t value = orr__mix(node->world->seed ^ node->world->draw48, node->id);
    node->libc.seeded = false;
    set48(&node->libc, orr__mix(value, node->lives));
}

static uint64_t actor(void)
{
    return orr__mix(here.process != NULL ? here.process->node->id : 0, ACTOR);
}

void orr__libc_bytes(void *buffer, size_t length)
{
    orr__draw_bytes(here.world, ORR__SITE_RANDOM, actor(), &here.libc->draws, buffer, length);
}

uint64_t orr__libc_draw(void)
{
    return orr__draw(here.world, ORR__SITE_RANDOM, actor(), here.libc->draws++);
}

int32_t orr__libc_rand(void)
{
    struct orr__libc *libc = here.libc;
    uint64_t value = libc->seeded ? orr__mix(libc->seed, libc->since_seed++) : orr__libc_draw();
    return (int32_t)(value >> 33);
}

void orr__libc_srand(uint32_t seed)
{
    struct orr__libc *libc = here.libc;
    libc->seeded = true;
    libc->seed = seed;
    libc->since_seed = 0;
}

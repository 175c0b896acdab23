/*
 * process.c: the loops of a node, and what they share.
 *
 * A life of a node, from boot to crash, has one loop at first, the one that boot gets. Its program
 * opens further ones by orr_loop_open, as a program does that has a thread for each loop, or one
 * loop inside another. What a kernel keeps for a process is the life's: descriptors and memory.
 * What it keeps for a ring is each loop's own: the batch, what is ready, when its next pass comes.
 * So each loop is stepped by itself (node.c), with choices of its own.
 *
 * The nth loop of a life has the nth seat of the node, which names it and counts its choices over
 * all lives. The first seat is named like the node and has the node's id: a program with one loop
 * knows nothing of all this.
 */
#include "libc/libc.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define DESCRIPTORS_FIRST 3
#define LOOPS_MAX 1024u /* of one node at one time */
#define EVENT_LOOP_OPEN UINT64_C(0x100b)
#define EVENT_LOOP_CLOSE UINT64_C(0x100c)

/* ---- seats ----------------------------------------------------------------------------------- */

static struct orr__seat *make_seat(const struct orr_node *node, uint32_t number)
{
    const size_t name_size = ORR_NODE_NAME_MAX + sizeof ".4294967295";
    struct orr__seat *seat = calloc(1, sizeof *seat);
    char *name = malloc(name_size);
    if (seat == NULL || name == NULL)
        orr_fatal("no memory for loop %u of node %s", number, node->name);
    snprintf(name, name_size, "%s.%u", node->name, number);
    seat->name = name;
    seat->number = number;
    seat->id = orr__mix(node->id, number);
    return seat;
}

/* The first one that is free. */
static struct orr__seat *take_seat(struct orr_node *node)
{
    struct orr__seat *seat = &node->seat;
    while (seat->is_taken) {
        if (seat->number == LOOPS_MAX)
            return NULL;
        if (seat->next == NULL)
            seat->next = make_seat(node, seat->number + 1);
        seat = seat->next;
    }
    seat->is_taken = true;
    return seat;
}

void orr__seats_free(struct orr_node *node)
{
    struct orr__seat *seat = node->seat.next;
    while (seat != NULL) {
        struct orr__seat *next = seat->next;
        free((char *)seat->name);
        free(seat);
        seat = next;
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static struct orr__life *make_life(const struct orr_node *node)
{
    struct orr__life *life = calloc(1, sizeof *life);
    if (life == NULL)
        orr_fatal("no memory for a process of node %s", node->name);
    life->lowest_free = DESCRIPTORS_FIRST;
    return life;
}

static void free_life(struct orr__life *life)
{
    while (life->allocations != NULL) {
        struct orr__allocation *allocation = life->allocations;
        life->allocations = allocation->next;
        free(allocation);
    }
    for (int32_t i = 0; i < life->descriptor_count; i++)
        free(life->descriptors[i].path);
    free(life->descriptors);
    orr__police_life_freed(life);
    free(life);
}

static struct orr__process *make_process(struct orr_node *node, struct orr__seat *seat,
                                         bool external)
{
    struct orr__process *process = calloc(1, sizeof *process);
    if (process == NULL)
        orr_fatal("no memory for %s", seat->name);
    process->world = node->world;
    process->node = node;
    process->life = node->process != NULL ? node->process->life : make_life(node);
    process->seat = seat;
    process->external = external;
    process->timer_ns = UINT64_MAX;
    return process;
}

/* Out of the list, if it is in it. The life goes with the last one. */
static void free_process(struct orr__process *process)
{
    struct orr__life *life = process->life;
    struct orr__process **at = &life->processes;
    while (*at != NULL && *at != process)
        at = &(*at)->next;
    if (*at == process)
        *at = process->next;
    process->seat->is_taken = false;
    orr__police_process_freed(process);
    free(process);
    if (life->processes == NULL)
        free_life(life);
}

static void add_process(struct orr__process *process)
{
    struct orr__process **at = &process->life->processes;
    while (*at != NULL)
        at = &(*at)->next;
    *at = process;
}

int orr__process_open(struct orr_node *node, const struct orr_options *options, bool external,
                      struct orr__process **ret_process)
{
    struct orr__seat *seat = take_seat(node);
    if (seat == NULL) {
        orr_options_error(options, "node %s has %u loops, the most is %u", node->name, LOOPS_MAX,
                          LOOPS_MAX);
        return -EMFILE;
    }
    struct orr__process *process = make_process(node, seat, external);
    int status = orr_loop_open_with(options, &orr__world_backend, process, &process->loop);
    if (status < 0) {
        free_process(process);
        return status;
    }
    add_process(process);
    seat->opens++;
    if (node->process == NULL) {
        node->process = process;
        node->lives++;
        orr__libc_born(node);
    }
    *ret_process = process;
    return 0;
}

/* orr_loop_open in the program of a node. */
static int open_further(const struct orr_options *options, struct orr_loop **ret_loop)
{
    const struct orr__scope *here = orr__scope_here();
    if (here->process == NULL)
        return ORR_HOST_ELSEWHERE;
    struct orr__process *process;
    int status = orr__process_open(here->process->node, options, false, &process);
    if (status < 0)
        return status;
    orr__trace_hash(process->world, EVENT_LOOP_OPEN, process->seat->id, process->seat->opens, 0);
    orr__record_loop(process, "the loop is opened");
    orr__schedule_step(process);
    *ret_loop = process->loop;
    return 0;
}

void orr__process_host(void)
{
    orr_loop_set_host(open_further);
}

/* ---- ending ---------------------------------------------------------------------------------- */

bool orr__life_is_inside(const struct orr__life *life)
{
    const struct orr__process *process = life->processes;
    while (process != NULL && !process->stepping)
        process = process->next;
    return process != NULL;
}

/* Nothing of the loop happens any more. */
static void silence(struct orr__process *process)
{
    struct orr_statistics statistics;
    orr_loop_statistics(process->loop, &statistics);
    process->world->completions += statistics.callbacks;
    orr__forget(process->world, process);
}

struct orr__life *orr__life_end(struct orr_node *node, enum orr_crash kind)
{
    struct orr__life *life = node->process->life;
    for (struct orr__process *process = life->processes; process != NULL; process = process->next)
        silence(process);
    orr__stack_life_ended(node->stack, kind);
    for (int32_t i = 0; i < life->descriptor_count; i++)
        if (life->descriptors[i].kind == ORR__DESCRIPTOR_FILE)
            orr__file_close(life->descriptors[i].file);
    node->process = NULL;
    node->is_paused = false;
    return life;
}

void orr__life_discard(struct orr__life *life)
{
    struct orr__process *process = life->processes;
    while (process != NULL) {
        struct orr__process *next = process->next;
        orr_loop_discard(process->loop); /* frees the process through the backend's close */
        process = next;
    }
}

/* The loop is being closed: by the end of its life, by the owner of an external one, or, a further
 * one, by the program. */
void orr__process_closed(struct orr__process *process)
{
    struct orr_node *node = process->node;
    bool lives = node->process != NULL && node->process->life == process->life;
    if (lives && process == node->process) {
        if (!process->external)
            orr_fatal("orr_loop_close: node %s closes the loop that boot got: that one is the "
                      "world's; call orr_stop",
                      node->name);
        orr__record_life(node, ORR__RECORD_STOP, "closes its loop");
        (void)orr__life_end(node, ORR_CRASH_PROCESS);
    } else if (lives) {
        silence(process);
        orr__trace_hash(process->world, EVENT_LOOP_CLOSE, process->seat->id, process->seat->opens,
                        0);
        orr__record_loop(process, "the loop is closed");
    }
    free_process(process);
}

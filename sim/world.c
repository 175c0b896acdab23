/*
 * world.c: one simulated universe: an event heap in virtual time, checks.
 *
 * Events are ordered by (time, tie, sequence): tie is a choice keyed by the time and the event's
 * number, so that simultaneous events come in any order and an unrelated event elsewhere moves
 * none. Idle time is skipped. Once a check has failed nothing moves any more.
 */
#include "future.h"
#include "libc/libc.h"
#include "witness.h"
#include "replay_file.h"
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_FIRST_CAPACITY 256u
#define HEAP_ARITY 4u
#define DISK_CAPACITY_BYTES (UINT64_C(64) << 20)
#define DISK_TRANSFER_NS (25 * ORR_MICROSECOND)
#define DISK_SYNC_NS ORR_MILLISECOND

/* ---- the event heap -------------------------------------------------------------------------- */

static bool before(const struct orr__heap_node *a, const struct orr__heap_node *b)
{
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns;
    if (a->tie != b->tie)
        return a->tie < b->tie;
    return a->sequence < b->sequence;
}

static void grow(struct orr_world *world)
{
    uint32_t capacity =
        world->event_capacity == 0 ? HEAP_FIRST_CAPACITY : world->event_capacity * 2;
    world->heap = realloc(world->heap, capacity * sizeof *world->heap);
    world->events = realloc(world->events, capacity * sizeof *world->events);
    if (world->heap == NULL || world->events == NULL)
        orr_fatal("no memory for %u simulated events", capacity);
    for (uint32_t i = world->event_capacity; i < capacity; i++) {
        world->events[i] = (struct orr__event){.a = world->event_free};
        world->event_free = i;
    }
    world->event_capacity = capacity;
}

static void heap_push(struct orr_world *world, struct orr__heap_node node)
{
    uint32_t at = world->heap_count++;
    while (at > 0) {
        uint32_t parent = (at - 1) / HEAP_ARITY;
        if (!before(&node, &world->heap[parent]))
            break;
        world->heap[at] = world->heap[parent];
        at = parent;
    }
    world->heap[at] = node;
}

static void heap_pop(struct orr_world *world)
{
    struct orr__heap_node node = world->heap[--world->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t first = at * HEAP_ARITY + 1;
        if (first >= world->heap_count)
            break;
        uint32_t last =
            first + HEAP_ARITY < world->heap_count ? first + HEAP_ARITY : world->heap_count;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < last; child++)
            if (before(&world->heap[child], &world->heap[least]))
                least = child;
        if (!before(&world->heap[least], &node))
            break;
        world->heap[at] = world->heap[least];
        at = least;
    }
    world->heap[at] = node;
}

void orr__schedule(struct orr_world *world, uint64_t time_ns, orr__event_run run, void *owner,
                   void *object, uint64_t a)
{
    orr__assert(time_ns >= world->now_ns && run != NULL);
    if (world->event_free == ORR__EVENT_NONE)
        grow(world);
    uint32_t event = world->event_free;
    world->event_free = (uint32_t)world->events[event].a;
    world->events[event] =
        (struct orr__event){.run = run, .owner = owner, .object = object, .a = a};
    uint32_t tie = (uint32_t)(orr__draw(world, ORR__SITE_TIE, time_ns, a) >> 32);
    heap_push(world,
              (struct orr__heap_node){
                  .time_ns = time_ns, .sequence = world->sequence++, .tie = tie, .event = event});
}

void orr__forget(struct orr_world *world, const void *owner)
{
    for (uint32_t i = 0; i < world->heap_count; i++) {
        struct orr__event *event = &world->events[world->heap[i].event];
        if (event->owner == owner)
            event->run = NULL; /* it still passes through the heap, and does nothing there */
    }
}

/* What an owner appoints for itself, its next pass, has it as the object. */
static bool is_about_object(const struct orr__event *event, const void *owner)
{
    return event->owner == owner && event->run != NULL && event->object != owner;
}

/* Takes the first event of an owner about an object, that runs that function, or (NULL) any. */
static bool take_first(struct orr_world *world, const void *owner, orr__event_run run,
                       struct orr__event *ret_event)
{
    const struct orr__heap_node *first = NULL;
    for (uint32_t i = 0; i < world->heap_count; i++) {
        const struct orr__heap_node *node = &world->heap[i];
        const struct orr__event *event = &world->events[node->event];
        if (is_about_object(event, owner) && (run == NULL || event->run == run) &&
            (first == NULL || before(node, first)))
            first = node;
    }
    if (first == NULL)
        return false;
    *ret_event = world->events[first->event];
    world->events[first->event].run = NULL; /* as if it was forgotten */
    return true;
}

bool orr__hasten(struct orr_world *world, const void *owner)
{
    struct orr__event event;
    if (!take_first(world, owner, NULL, &event))
        return false;
    event.run(world, event.object, event.a);
    return true;
}

bool orr__withdraw(struct orr_world *world, const void *owner, orr__event_run run,
                   void **ret_object, uint64_t *ret_a)
{
    struct orr__event event;
    if (!take_first(world, owner, run, &event))
        return false;
    *ret_object = event.object;
    *ret_a = event.a;
    return true;
}

uint64_t orr__now(const struct orr_world *world)
{
    return world->now_ns;
}

bool orr__world_step(struct orr_world *world, uint64_t limit_ns)
{
    while (!world->failed) {
        bool is_event = world->heap_count > 0 && world->heap[0].time_ns <= limit_ns;
        if (world->position != NULL)
            *world->position = world->events_run;
        if (world->ahead != NULL &&
            orr__future_is_due(world, is_event ? world->heap[0].time_ns : limit_ns)) {
            orr__future_begin(world);
            continue;
        }
        if (!is_event)
            break;
        struct orr__heap_node top = world->heap[0];
        struct orr__event event = world->events[top.event];
        heap_pop(world);
        world->events[top.event] = (struct orr__event){.a = world->event_free};
        world->event_free = top.event;
        if (event.run == NULL)
            continue;
        orr__assert(top.time_ns >= world->now_ns);
        world->now_ns = top.time_ns;
        if (++world->events_run > world->events_max) {
            orr__world_fail(world, "no end in sight", NULL,
                            "after %" PRIu64
                            " events the scenario still runs: the program spins, or the "
                            "limit is too low",
                            world->events_max);
            orr__police_tell_waits(world);
            return false;
        }
        event.run(world, event.object, event.a);
        return true;
    }
    if (!world->failed && limit_ns != UINT64_MAX && limit_ns > world->now_ns)
        world->now_ns = limit_ns;
    return false;
}

static uint64_t limit_after(const struct orr_world *world, uint64_t ns)
{
    return ns > UINT64_MAX - 1 - world->now_ns ? UINT64_MAX - 1 : world->now_ns + ns;
}

void orr_world_run_for(struct orr_world *world, uint64_t ns)
{
    uint64_t limit_ns = limit_after(world, ns);
    while (orr__world_step(world, limit_ns))
        ;
}

uint64_t orr_world_now(const struct orr_world *world)
{
    return world->now_ns;
}

uint64_t orr_world_seed(const struct orr_world *world)
{
    return world->seed;
}

uint64_t orr_world_trace_hash(const struct orr_world *world)
{
    return world->hash;
}

uint64_t orr__world_completions(const struct orr_world *world)
{
    uint64_t completions = world->completions;
    for (const struct orr_node *node = world->nodes; node != NULL; node = node->next) {
        const struct orr__process *process = node->process;
        for (; process != NULL; process = process->next) {
            struct orr_statistics statistics;
            orr_loop_statistics(process->loop, &statistics);
            completions += statistics.callbacks;
        }
    }
    return completions;
}

/* ---- making and ending ----------------------------------------------------------------------- */

struct orr_world *orr__world_new(uint64_t seed, struct orr_lanes *lanes, FILE *trace, FILE *story)
{
    struct orr_world *world = calloc(1, sizeof *world);
    if (world == NULL)
        orr_fatal("no memory for a world");
    orr__interpose();
    orr__process_host();
    world->seed = seed;
    world->choice_seed = seed;
    world->lanes = lanes;
    world->hash = orr__mix(seed, ORR__SITE_COUNT);
    world->events_max = ORR_EVENTS_MAX_DEFAULT;
    world->event_free = ORR__EVENT_NONE;
    world->story = story;
    world->untold = world->untold_own;
    world->faults_until_ns = UINT64_MAX;
    world->down_max = UINT32_MAX;
    world->damaged_max = UINT32_MAX;
    world->copies_max = UINT32_MAX;
    if (trace != NULL) {
        orr__timeline_open(&world->lines, trace, 0, false);
        orr__world_record(world, &world->lines.recorder);
    }
    orr__clock_date(world);
    orr_world_set_disks(world, &(struct orr_disk_options){.file_system = ORR_FILE_SYSTEM_PORTABLE});
    return world;
}

void orr__world_record(struct orr_world *world, struct orr__recorder *recorders)
{
    struct orr__recorder **last = &world->recorder;
    while (*last != NULL)
        last = &(*last)->next;
    *last = recorders;
}

const char *orr_file_system_name(enum orr_file_system file_system)
{
    static const char *const names[] = {[ORR_FILE_SYSTEM_PORTABLE] = "portable",
                                        [ORR_FILE_SYSTEM_POSIX] = "posix",
                                        [ORR_FILE_SYSTEM_EXT4] = "ext4",
                                        [ORR_FILE_SYSTEM_XFS] = "xfs"};
    return (uint32_t)file_system < ORR_FILE_SYSTEM_COUNT ? names[file_system] : "unknown";
}

void orr_world_set_disks(struct orr_world *world, const struct orr_disk_options *options)
{
    struct orr_disk_options disks = *options;
    if ((uint32_t)disks.file_system >= ORR_FILE_SYSTEM_COUNT)
        orr_fatal("orr_world_set_disks: file system %u: there are %u", (uint32_t)disks.file_system,
                  (uint32_t)ORR_FILE_SYSTEM_COUNT);
    if (disks.sector_bytes != 0 && disks.sector_bytes != 512 && disks.sector_bytes != 4096)
        orr_fatal("orr_world_set_disks: sectors of %u bytes: they have 512 or 4096",
                  disks.sector_bytes);
    disks.sector_bytes = disks.sector_bytes != 0 ? disks.sector_bytes : 512;
    disks.capacity_bytes = disks.capacity_bytes != 0 ? disks.capacity_bytes : DISK_CAPACITY_BYTES;
    disks.transfer_ns = disks.transfer_ns != 0 ? disks.transfer_ns : DISK_TRANSFER_NS;
    disks.sync_ns = disks.sync_ns != 0 ? disks.sync_ns : DISK_SYNC_NS;
    world->disks = disks;
}

struct orr_world *orr_world_create(uint64_t seed, FILE *trace)
{
    return orr__world_new(seed, NULL, trace, NULL);
}

void orr_world_destroy(struct orr_world *world)
{
    if (world == NULL)
        return;
    struct orr_node *nodes = world->nodes;
    world->nodes = NULL; /* nobody is left to notice that the others vanish */
    for (struct orr_node *node = nodes; node != NULL; node = node->next)
        orr__node_end(node);
    while (nodes != NULL) {
        struct orr_node *next = nodes->next;
        orr__node_destroy(nodes);
        nodes = next;
    }
    orr__links_free(world);
    orr__rings_free(world);
    orr__copies_forget(world, NULL);
    orr__rulings_free(world->file);
    free(world->heap);
    free(world->events);
    free(world);
}

struct orr_node *orr__world_node(struct orr_world *world, uint32_t index)
{
    struct orr_node *node = world->nodes;
    while (node != NULL && node->index != index)
        node = node->next;
    return node;
}

/* ---- checks ---------------------------------------------------------------------------------- */

void orr__world_fail(struct orr_world *world, const char *check, const char *where,
                     const char *format, ...)
{
    if (world->failed)
        return;
    char why[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    snprintf(world->check, sizeof world->check, "%s", check);
    snprintf(world->detail, sizeof world->detail, "at %" PRIu64 ".%06" PRIu64 " ms%s%s: %s\n%s",
             world->now_ns / ORR_MILLISECOND, world->now_ns % ORR_MILLISECOND,
             where != NULL ? ", " : "", where != NULL ? where : "", why, world->notes);
    orr__witness_about(world, check, where);
    orr__trace_hash(world, ORR__EVENT_FAILED, orr__actor_id(check), 0, 0);
    orr__story_failed(world, check);
    world->failed = true;
}

bool orr_check_always(struct orr_world *world, bool condition, const char *expression,
                      const char *text, const char *site)
{
    if (!condition)
        orr__world_fail(world, text, site, "%s %s", expression,
                        strcmp(expression, "unreachable") == 0 ? "was reached" : "does not hold");
    return condition;
}

bool orr_check_sometimes(struct orr_world *world, bool condition, const char *text)
{
    uint32_t i = 0;
    while (i < world->sometimes_count && strcmp(world->sometimes[i].text, text) != 0)
        i++;
    if (i == ORR_SOMETIMES_MAX)
        orr_fatal("orr_sometimes: \"%s\" is one check more than the %u a scenario may have", text,
                  ORR_SOMETIMES_MAX);
    if (i == world->sometimes_count)
        world->sometimes[world->sometimes_count++] = (struct orr__sometimes){.text = text};
    if (condition && !world->failed) {
        world->sometimes[i].seen++;
        if (world->ahead != NULL)
            orr__future_seen(world, text);
    }
    return condition;
}

bool orr_eventually(struct orr_world *world, bool (*done)(void *context), void *context,
                    uint64_t within_ns, const char *text)
{
    uint64_t limit_ns = limit_after(world, within_ns);
    while (!world->failed && !done(context)) {
        if (orr__world_step(world, limit_ns))
            continue;
        if (world->failed || done(context))
            continue;
        orr__world_fail(world, text, NULL, "still not so after %" PRIu64 " ms of virtual time",
                        within_ns / ORR_MILLISECOND);
        orr__police_tell_waits(world);
    }
    return !world->failed;
}

bool orr_world_failed(const struct orr_world *world)
{
    return world->failed;
}

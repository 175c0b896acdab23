/*
 * plan.c: faults that a scenario states plainly: this operation of that node fails, after that one
 * it crashes. They strike whatever the seed's families are, and are named in the ledger like the
 * others.
 *
 * The model: a list for each node of operations to come, by kind and number over all its lives (the
 * number in "server/fsync#3"). Each strikes once.
 */
#include "future.h"
#include "replay_file.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct orr__plan {
    struct orr__plan *next;
    uint64_t occurrence;
    uint8_t op;
    int error;           /* of an operation that is to fail: negative; else 0 */
    enum orr_crash kind; /* of a crash that is to follow it */
    bool loses_only;     /* what a replay file names */
    bool *used;          /* of a replay file: is told when it strikes; else NULL */
};

/* Beside a kind of crash. */
#define LOSES_ONLY (UINT64_C(1) << 32)

/* What the disk performs, and so can fail without a peer that would have to know of it. */
#define OPERATIONS_OF_DISK                                                                \
    (ORR_OP_BIT(ORR_OP_OPEN) | ORR_OP_BIT(ORR_OP_READ) | ORR_OP_BIT(ORR_OP_READV) |       \
     ORR_OP_BIT(ORR_OP_WRITE) | ORR_OP_BIT(ORR_OP_WRITEV) | ORR_OP_BIT(ORR_OP_FSYNC) |    \
     ORR_OP_BIT(ORR_OP_FDATASYNC) | ORR_OP_BIT(ORR_OP_STAT) | ORR_OP_BIT(ORR_OP_RENAME) | \
     ORR_OP_BIT(ORR_OP_LINK) | ORR_OP_BIT(ORR_OP_UNLINK) | ORR_OP_BIT(ORR_OP_MKDIR) |     \
     ORR_OP_BIT(ORR_OP_TRUNCATE) | ORR_OP_BIT(ORR_OP_ALLOCATE))

static uint8_t operation_named(const char *call, const struct orr_node *node, const char *name)
{
    for (uint32_t op = 1; op < ORR_OP_COUNT; op++)
        if (strcmp(orr_op_name((uint8_t)op), name) == 0)
            return (uint8_t)op;
    orr_fatal("%s: node %s: no operation is called \"%s\"; a trace has their names: open, write, "
              "fsync ...",
              call, node->name, name);
}

static struct orr__plan *add(struct orr_node *node, uint8_t op, uint64_t nth)
{
    struct orr__plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        orr_fatal("no memory for a planned fault of node %s", node->name);
    plan->op = op;
    plan->occurrence = node->op_count[op] + nth - 1;
    plan->next = node->plans;
    node->plans = plan;
    return plan;
}

static void check_nth(const char *call, const struct orr_node *node, uint64_t nth)
{
    if (nth == 0)
        orr_fatal("%s: node %s: operations are counted from 1, the next one", call, node->name);
}

void orr_node_fail(struct orr_node *node, const char *operation, uint64_t nth, int error)
{
    uint8_t op = operation_named("orr_node_fail", node, operation);
    check_nth("orr_node_fail", node, nth);
    if ((OPERATIONS_OF_DISK & ORR_OP_BIT(op)) == 0)
        orr_fatal("orr_node_fail: node %s: %s is no operation on its disk", node->name, operation);
    if (error >= 0 || !orr_op_declares(op, -error))
        orr_fatal("orr_node_fail: node %s: %s never ends with %d; write -EIO or another of its "
                  "declared errors",
                  node->name, operation, error);
    add(node, op, nth)->error = error;
}

void orr_node_crash_after(struct orr_node *node, const char *operation, uint64_t nth,
                          enum orr_crash kind)
{
    uint8_t op = operation_named("orr_node_crash_after", node, operation);
    check_nth("orr_node_crash_after", node, nth);
    if (kind != ORR_CRASH_POWER && kind != ORR_CRASH_PROCESS)
        orr_fatal("orr_node_crash_after: node %s: crash 0x%x: ORR_CRASH_POWER or ORR_CRASH_PROCESS",
                  node->name, (unsigned)kind);
    add(node, op, nth)->kind = kind;
}

/* Takes out of the list the plan for an operation that fails (or, after it, crashes). */
static struct orr__plan *take(struct orr_node *node, uint8_t op, uint64_t occurrence, bool fails)
{
    struct orr__plan **at = &node->plans;
    while (*at != NULL &&
           ((*at)->op != op || (*at)->occurrence != occurrence || ((*at)->error != 0) != fails))
        at = &(*at)->next;
    struct orr__plan *plan = *at;
    if (plan != NULL)
        *at = plan->next;
    return plan;
}

int orr__plan_error(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    struct orr__plan *plan = take(node, op, occurrence, true);
    if (plan == NULL)
        return 0;
    int error = plan->error;
    free(plan);
    const struct orr__point point =
        orr__op_point(node, orr__fault_of_error(-error, false), ORR__SITE_OP_ERROR, op, occurrence);
    if (!orr__happens(node->world, &point))
        return 0;
    orr__fault(node->world, &point, (uint64_t)-error, "%s, as the scenario says",
               orr_error_name(-error));
    return error;
}

static uint64_t crash_argument(enum orr_crash kind, bool loses_only)
{
    return kind | (loses_only ? LOSES_ONLY : 0);
}

static void crash(struct orr_world *world, void *object, uint64_t kind)
{
    (void)world;
    orr_node_crash(object, (enum orr_crash)kind);
}

/* The same, as a replay file says: nothing else in the file keeps it off. */
static void crash_as_appointed(struct orr_world *world, void *object, uint64_t argument)
{
    struct orr_node *node = object;
    uint64_t kind = argument & ~LOSES_ONLY;
    const struct orr__point point =
        orr__node_point(node, kind == ORR_CRASH_POWER ? ORR__FAULT_POWER : ORR__FAULT_KILLED,
                        ORR__SITE_CRASH, "appointed", node->lives);
    if (node->process != NULL && !world->failed)
        orr__node_crash(node, &point, (argument & LOSES_ONLY) != 0);
}

/* For a sweep: the node could crash here. */
static void note_crashes(const struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    FILE *out = node->world->points;
    if (out == NULL || node->world->failed || node->world->healed)
        return;
    if ((node->crash_kinds & ORR_CRASH_POWER) != 0)
        fprintf(out, "%s crash @ after %s#%" PRIu64 "\n", node->name, orr_op_name(op), occurrence);
    if ((node->crash_kinds & ORR_CRASH_PROCESS) != 0)
        fprintf(out, "%s kill @ after %s#%" PRIu64 "\n", node->name, orr_op_name(op), occurrence);
}

void orr__plan_ended(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    if (node->world->ahead != NULL)
        orr__future_ended(node->world, node->name, op, occurrence);
    note_crashes(node, op, occurrence);
    struct orr__plan *plan = take(node, op, occurrence, false);
    if (plan == NULL)
        return;
    if (plan->used != NULL)
        *plan->used = true;
    orr__story_line(node->world, node->name, "%s#%" PRIu64 " has ended: the %s lets it crash",
                    orr_op_name(op), occurrence, plan->used != NULL ? "replay file" : "scenario");
    orr__schedule(node->world, node->world->now_ns, plan->used != NULL ? crash_as_appointed : crash,
                  NULL, node, crash_argument(plan->kind, plan->loses_only));
    free(plan);
}

static void take_appointment(void *context, struct orr__appointment *appointment)
{
    struct orr_node *node = context;
    struct orr_world *world = node->world;
    if (appointment->op != 0) {
        struct orr__plan *plan = add(node, appointment->op, 1);
        plan->occurrence = appointment->occurrence;
        plan->kind = appointment->crash;
        plan->loses_only = appointment->loses_only;
        plan->used = &appointment->is_used;
    } else if (appointment->time_ns >= world->now_ns) {
        appointment->is_used = true;
        orr__schedule(world, appointment->time_ns, crash_as_appointed, NULL, node,
                      crash_argument(appointment->crash, appointment->loses_only));
    }
}

void orr__plans_begin(struct orr_node *node)
{
    if (node->world->rulings != NULL)
        orr__rulings_appoint(node->world->rulings, node->name, take_appointment, node);
}

/* Takes what a replay file has appointed out of the node's plans. */
static void drop_appointed(struct orr_node *node)
{
    struct orr__plan **at = &node->plans;
    while (*at != NULL) {
        struct orr__plan *plan = *at;
        if (plan->used == NULL) {
            at = &plan->next;
            continue;
        }
        *at = plan->next;
        free(plan);
    }
}

void orr__plans_renew(struct orr_world *world)
{
    for (uint32_t i = 0; i < world->heap_count; i++) {
        struct orr__event *event = &world->events[world->heap[i].event];
        if (event->run == crash_as_appointed)
            event->run = NULL;
    }
    for (struct orr_node *node = world->nodes; node != NULL; node = node->next) {
        drop_appointed(node);
        if (node->program != NULL)
            orr__plans_begin(node);
    }
}

void orr__plans_free(struct orr_node *node)
{
    while (node->plans != NULL) {
        struct orr__plan *plan = node->plans;
        node->plans = plan->next;
        free(plan);
    }
}

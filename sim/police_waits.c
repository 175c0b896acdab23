/*
 * police_waits.c: what is in flight and what is open.
 *
 * A run that gets stuck says what every node waits for: operations, the oldest first, then timers,
 * the next one first. A program whose scenario wants that (a process's end closes everything, so
 * others need not) has closed its handles and seen the end of its operations when it stops.
 */
#include "police.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define NODES_TOLD 16u
#define WAITS_TOLD 6u /* of each node */
#define LINE_MAX_BYTES 256

/* ---- operations in flight -------------------------------------------------------------------- */

enum kind { IN_FLIGHT, TIMER, UNKNOWN }; /* in the order in which they are told */

struct waiter {
    const struct orr_completion *completion;
    enum kind kind;
    uint64_t ns; /* since when; of a timer: its deadline */
};

struct waits {
    struct waiter told[WAITS_TOLD];
    uint64_t count; /* of all */
};

static struct waiter wait_of(const struct orr_completion *completion)
{
    struct waiter wait = {.completion = completion, .kind = UNKNOWN};
    uint8_t op = completion->request.op;
    if (op == ORR_OP_TIMEOUT) {
        wait.kind = TIMER;
        wait.ns = completion->request.arguments.timer.deadline_ns;
    } else if (op < ORR_OP_TIMEOUT && completion->request.arguments.backend.mark != NULL) {
        const struct orr__watch *watch = completion->request.arguments.backend.mark;
        wait.kind = IN_FLIGHT;
        wait.ns = watch->since_ns;
    }
    return wait;
}

static bool is_told_before(const struct waiter *a, const struct waiter *b)
{
    return a->kind != b->kind ? a->kind < b->kind : a->ns < b->ns;
}

static void collect(void *context, const struct orr_completion *completion)
{
    struct waits *waits = context;
    struct waiter wait = wait_of(completion);
    uint64_t at = waits->count < WAITS_TOLD ? waits->count : WAITS_TOLD;
    waits->count++;
    while (at > 0 && is_told_before(&wait, &waits->told[at - 1])) {
        if (at < WAITS_TOLD)
            waits->told[at] = waits->told[at - 1];
        at--;
    }
    if (at < WAITS_TOLD)
        waits->told[at] = wait;
}

static void describe(const struct orr_node *node, const struct waiter *wait, char *text,
                     size_t size)
{
    const struct orr_completion *completion = wait->completion;
    char on[16] = "";
    char when[48] = "";
    if (completion->request.descriptor >= 0)
        snprintf(on, sizeof on, " on %d", completion->request.descriptor);
    uint64_t now_ns = orr__node_clock(node, ORR_CLOCK_MONOTONIC);
    uint64_t ns = wait->ns;
    if (wait->kind == TIMER)
        ns = ns > now_ns ? ns - now_ns : 0;
    if (wait->kind == TIMER && wait->ns == UINT64_MAX)
        snprintf(when, sizeof when, ", for ever");
    else if (wait->kind != UNKNOWN)
        snprintf(when, sizeof when, "%s %" PRIu64 ".%06" PRIu64 " ms",
                 wait->kind == TIMER ? ", due in" : " since", ns / ORR_MILLISECOND,
                 ns % ORR_MILLISECOND);
    snprintf(text, size, "%s%s%s, %s", orr_op_name(completion->request.op), on, when,
             orr__police_site(completion->site));
}

/* ---- where a run gets stuck ------------------------------------------------------------------ */

static void add(struct orr_world *world, const char *format, ...) ORR_PRINTF(2, 3);

static void add(struct orr_world *world, const char *format, ...)
{
    size_t length = strlen(world->detail);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->detail + length, sizeof world->detail - length, format, arguments);
    va_end(arguments);
}

static void tell_loop(struct orr_world *world, const struct orr__process *process)
{
    const char *name = process->seat->name;
    struct waits waits = {.count = 0};
    orr_loop_operations(process->loop, collect, &waits);
    if (waits.count == 0)
        add(world, "  %s: nothing\n", name);
    for (uint64_t i = 0; i < waits.count && i < WAITS_TOLD; i++) {
        char text[LINE_MAX_BYTES];
        describe(process->node, &waits.told[i], text, sizeof text);
        add(world, "  %s: %s\n", name, text);
    }
    if (waits.count > WAITS_TOLD)
        add(world, "  %s: and %" PRIu64 " more\n", name, waits.count - WAITS_TOLD);
}

static void tell_node(struct orr_world *world, const struct orr_node *node)
{
    if (node->process == NULL)
        add(world, "  %s: is down\n", node->name);
    for (const struct orr__process *process = node->process; process != NULL;
         process = process->next)
        tell_loop(world, process);
}

void orr__police_tell_waits(struct orr_world *world)
{
    if (!world->policed)
        return;
    size_t length = strlen(world->detail);
    uint32_t told = 0;
    add(world, "%swhat the nodes wait for:\n",
        length > 0 && world->detail[length - 1] != '\n' ? "\n" : "");
    for (const struct orr_node *node = world->nodes; node != NULL; node = node->next)
        if (told++ < NODES_TOLD)
            tell_node(world, node);
    if (told > NODES_TOLD)
        add(world, "  and %u more nodes\n", told - NODES_TOLD);
}

/* ---- where a program stops ------------------------------------------------------------------- */

void orr_node_expect_clean_stop(struct orr_node *node)
{
    node->leaves_nothing = true;
}

void orr__police_opened(struct orr__process *process, int32_t descriptor, const char *path)
{
    if (!process->node->leaves_nothing)
        return;
    size_t size = strlen(path) + 1;
    char *copy = malloc(size);
    if (copy == NULL)
        orr_fatal("no memory for a path of node %s", process->node->name);
    memcpy(copy, path, size);
    process->life->descriptors[descriptor].path = copy;
}

static void describe_open(const struct orr__descriptor *descriptor, char *text, size_t size)
{
    struct orr_address address;
    char place[ORR_ADDRESS_TEXT_MAX] = "?";
    if (descriptor->kind == ORR__DESCRIPTOR_FILE) {
        snprintf(text, size, "file \"%s\"", descriptor->path != NULL ? descriptor->path : "?");
        return;
    }
    bool connected = orr__socket_peer(descriptor->socket, &address) == 0;
    if ((connected || orr__socket_local(descriptor->socket, &address) == 0) &&
        orr_address_format(&address, place, sizeof place) >= 0)
        snprintf(text, size, "socket %s %s", connected ? "to" : "at", place);
    else
        snprintf(text, size, "socket");
}

#define RULE "a node that stops leaves nothing open"

void orr__police_stopped(struct orr_node *node)
{
    const struct orr__life *life = node->process->life;
    char text[LINE_MAX_BYTES];
    if (!node->leaves_nothing || !node->world->policed)
        return;
    for (int32_t i = 0; i < life->descriptor_count; i++) {
        const struct orr__descriptor *descriptor = &life->descriptors[i];
        if (descriptor->kind == ORR__DESCRIPTOR_FREE)
            continue;
        describe_open(descriptor, text, sizeof text);
        orr__world_fail(node->world, RULE, orr__police_site(descriptor->site),
                        "node %s stops while %d, the %s opened here, is open: close it first",
                        node->name, i, text);
    }
    struct waits waits = {.count = 0};
    for (struct orr__process *process = life->processes; process != NULL; process = process->next)
        orr_loop_operations(process->loop, collect, &waits);
    if (waits.count == 0)
        return;
    describe(node, &waits.told[0], text, sizeof text);
    orr__world_fail(node->world, RULE, orr__police_site(waits.told[0].completion->site),
                    "node %s stops while %" PRIu64 " operation%s in flight, the first of them: %s; "
                    "cancel what is left and wait for its callbacks",
                    node->name, waits.count, waits.count == 1 ? " is" : "s are", text);
}

/*
 * police_arguments.c: what an operation was given beside its buffers belongs to the loop, too:
 * paths, addresses, datagrams, arrays of vectors, and what it fills in.
 *
 * A kernel may look at them at once, or when a full queue has room, or from a worker: an address on
 * a stack that has been left by then is one that works until a busy day. So each must be as it was
 * when the callback starts.
 *
 * What an operation fills in is full of garbage until then. The world never sees it: the request
 * leads to a shadow, which begins as a copy and is what the program finds at the end. So what the
 * world does not write stays as it was. Of a datagram to be received, the members that say where
 * to are no garbage: no kernel changes them.
 */
#include "police.h"
#include "witness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16u

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- what there is --------------------------------------------------------------------------- */

static void add(struct orr__watch *watch, const char *what, const void *memory, size_t size,
                bool is_output)
{
    struct orr__argument *argument = &watch->arguments[watch->argument_count];
    if (memory == NULL || size == 0)
        return;
    orr__assert(watch->argument_count < ORR__ARGUMENTS_MAX);
    watch->argument_count++;
    *argument = (struct orr__argument){.what = what, .size = size, .is_output = is_output};
    memcpy(&argument->memory, &memory, sizeof memory); /* an input is only read */
}

static void add_path(struct orr__watch *watch, const char *what, const char *path)
{
    add(watch, what, path, path != NULL ? strlen(path) + 1 : 0, false);
}

static void find(struct orr__watch *watch)
{
    const union orr_arguments *arguments = &watch->completion->request.arguments;
    uint8_t op = watch->completion->request.op;
    switch (op) {
    case ORR_OP_ACCEPT:
        add(watch, "address", arguments->peer.accepted, sizeof *arguments->peer.accepted, true);
        break;
    case ORR_OP_CONNECT:
        add(watch, "address", arguments->peer.target, sizeof *arguments->peer.target, false);
        break;
    case ORR_OP_RECV_FROM:
    case ORR_OP_SEND_TO:
        add(watch, "datagram", arguments->datagram, sizeof *arguments->datagram,
            op == ORR_OP_RECV_FROM);
        break;
    case ORR_OP_READV:
    case ORR_OP_WRITEV:
        add(watch, "vectors", arguments->transfer.vectors,
            arguments->transfer.length * sizeof *arguments->transfer.vectors, false);
        break;
    case ORR_OP_STAT:
        add_path(watch, "path", arguments->path.path);
        add(watch, "orr_stat", arguments->path.stat, sizeof *arguments->path.stat, true);
        break;
    case ORR_OP_RENAME:
    case ORR_OP_LINK:
        add_path(watch, "new path", arguments->path.path_new);
        add_path(watch, "path", arguments->path.path);
        break;
    case ORR_OP_OPEN:
    case ORR_OP_UNLINK:
    case ORR_OP_MKDIR:
        add_path(watch, "path", arguments->path.path);
        break;
    default:
        break;
    }
}

/* ---- from submit to callback ----------------------------------------------------------------- */

/* One after the other in the watch's bytes: each image, and an output's shadow behind it. */
static void make_room(struct orr__watch *watch)
{
    size_t size = 0;
    for (uint32_t i = 0; i < watch->argument_count; i++)
        size += aligned(watch->arguments[i].size) * (watch->arguments[i].is_output ? 2 : 1);
    if (size > watch->argument_capacity) {
        free(watch->argument_bytes);
        watch->argument_bytes = malloc(size);
        watch->argument_capacity = size;
        if (watch->argument_bytes == NULL)
            orr_fatal("no memory to watch %zu bytes of arguments in flight", size);
    }
    uint8_t *next = watch->argument_bytes;
    for (uint32_t i = 0; i < watch->argument_count; i++) {
        struct orr__argument *argument = &watch->arguments[i];
        argument->image = next;
        next += aligned(argument->size);
        argument->shadow = argument->is_output ? next : NULL;
        next += argument->is_output ? aligned(argument->size) : 0;
    }
}

/* The place in the request that leads to what is filled in. */
static void point_to(struct orr_completion *completion, void *output)
{
    union orr_arguments *arguments = &completion->request.arguments;
    if (completion->request.op == ORR_OP_ACCEPT)
        arguments->peer.accepted = output;
    else if (completion->request.op == ORR_OP_STAT)
        arguments->path.stat = output;
    else
        arguments->datagram = output;
}

static void hide(struct orr__watch *watch, const struct orr__argument *argument)
{
    uint8_t garbage = orr__witness_garbage(watch->process->world, ORR__GARBAGE);
    memcpy(argument->shadow, argument->memory, argument->size);
    memset(argument->image, garbage, argument->size);
    if (watch->completion->request.op == ORR_OP_RECV_FROM) {
        struct orr_datagram *image = (struct orr_datagram *)(void *)argument->image;
        image->buffer = watch->completion->request.arguments.datagram->buffer;
        image->length = watch->completion->request.arguments.datagram->length;
    }
    memcpy(argument->memory, argument->image, argument->size);
    point_to(watch->completion, argument->shadow);
}

void orr__watch_arguments(struct orr__watch *watch)
{
    find(watch);
    if (watch->argument_count == 0)
        return;
    make_room(watch);
    for (uint32_t i = 0; i < watch->argument_count; i++) {
        struct orr__argument *argument = &watch->arguments[i];
        if (argument->is_output)
            hide(watch, argument);
        else
            memcpy(argument->image, argument->memory, argument->size);
    }
}

static void report(const struct orr__watch *watch, const struct orr__argument *argument)
{
    const struct orr_completion *completion = watch->completion;
    size_t index = 0;
    while (argument->memory[index] == argument->image[index])
        index++;
    orr__world_fail(
        watch->process->world, "what an operation was given belongs to the loop",
        orr__police_site(completion->site),
        "node %s has changed byte %zu of the %s of this %s (0x%02x is 0x%02x) before it has called "
        "back: %s",
        watch->process->node->name, index, argument->what, orr_op_name(completion->request.op),
        argument->image[index], argument->memory[index],
        argument->is_output ? "only the world may write there; give each operation its own"
                            : "keep it as it is, and in place, until then");
}

void orr__unwatch_arguments(struct orr__watch *watch)
{
    for (uint32_t i = 0; i < watch->argument_count; i++) {
        const struct orr__argument *argument = &watch->arguments[i];
        if (!watch->process->world->failed &&
            memcmp(argument->memory, argument->image, argument->size) != 0)
            report(watch, argument);
        if (!argument->is_output)
            continue;
        memcpy(argument->memory, argument->shadow, argument->size);
        point_to(watch->completion, argument->memory);
    }
}

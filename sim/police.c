/*
 * police.c: rules of the interface that a kernel lets a program break, until a day when it matters.
 * The world has the program fail at once, with the lines that broke the rule.
 *
 * One receive and one send at a time on a stream: a kernel gives two of them no order, so bytes get
 * mixed, but only under load. The same holds for two writes to the same bytes of a file. An
 * operation is in flight from its submit until its callback starts: also while its result waits to
 * be delivered, and while a whole transfer is between two attempts, when no backend holds it. So it
 * is not the sockets' queues that are looked at but the loop's list of what is in flight on the
 * handle, which a completion leads to, from the newest to the oldest, and the watches.
 *
 * What waits in the loop's overflow queue is looked at when it gets into the batch: earlier no
 * backend is shown it, and a hook for every submit would be one that only the world wants. If the
 * other one has been called back by then, this run was lucky; a seed whose batch is large enough
 * sees each submit at once, and will tell.
 */
#include "police.h"
#include "witness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WRITES_LOOKED_AT 4096u /* writes that one is compared with, the newest first */
#define SUBMITS_MAX 100000u    /* of one pass, beyond one for each callback */
#define BLOCKS_MAX 1000000u    /* that one callback asks for */
#define COPY_KEPT 4096u        /* bytes of copy that an idle watch may keep */

void orr_world_police(struct orr_world *world)
{
    world->policed = true;
}

const char *orr__police_site(const char *site)
{
    return site != NULL ? site : "an unknown line";
}

/* ---- watches --------------------------------------------------------------------------------- */

static struct orr__watch *take_watch(struct orr__process *process)
{
    struct orr__life *life = process->life;
    struct orr__watch *watch = life->watches_free;
    if (watch == NULL) {
        watch = calloc(1, sizeof *watch);
        if (watch == NULL)
            orr_fatal("no memory to watch another operation of node %s", process->node->name);
    } else {
        life->watches_free = watch->next;
    }
    watch->next = life->watches;
    watch->previous = NULL;
    if (watch->next != NULL)
        watch->next->previous = watch;
    life->watches = watch;
    return watch;
}

static void free_watch(struct orr__watch *watch)
{
    free(watch->copy);
    free(watch->argument_bytes);
    free(watch);
}

static void list_write(struct orr__watch *watch)
{
    struct orr__life *life = watch->process->life;
    orr__assert(watch->file != 0);
    watch->write_newer = NULL;
    watch->write_older = life->writes;
    if (watch->write_older != NULL)
        watch->write_older->write_newer = watch;
    life->writes = watch;
}

static void unlist_write(struct orr__watch *watch)
{
    struct orr__life *life = watch->process->life;
    if (watch->write_newer != NULL)
        watch->write_newer->write_older = watch->write_older;
    else
        life->writes = watch->write_older;
    if (watch->write_older != NULL)
        watch->write_older->write_newer = watch->write_newer;
}

static void give_back(struct orr__watch *watch)
{
    struct orr__life *life = watch->process->life;
    if (watch->file != 0)
        unlist_write(watch);
    if (watch->previous != NULL)
        watch->previous->next = watch->next;
    else
        life->watches = watch->next;
    if (watch->next != NULL)
        watch->next->previous = watch->previous;
    if (watch->copy_capacity > COPY_KEPT || watch->argument_capacity > COPY_KEPT) {
        free_watch(watch);
        return;
    }
    watch->next = life->watches_free;
    life->watches_free = watch;
}

void orr__police_process_freed(struct orr__process *process)
{
    free(process->close_sites);
}

void orr__police_life_freed(struct orr__life *life)
{
    struct orr__watch *lists[] = {life->watches, life->watches_free};
    for (int i = 0; i < 2; i++) {
        while (lists[i] != NULL) {
            struct orr__watch *watch = lists[i];
            lists[i] = watch->next;
            free_watch(watch);
        }
    }
}

/* In the place of the program's callback. */
static void called_back(void *context, struct orr_completion *completion, int64_t result)
{
    struct orr__watch *watch = completion->request.arguments.backend.mark;
    orr_callback callback = watch->callback;
    completion->callback = callback;
    orr__unwatch_memory(watch);
    orr__unwatch_arguments(watch);
    orr__witness_callback(watch->process, completion, result);
    give_back(watch);
    callback(context, completion, result);
}

static struct orr__watch *begin(struct orr__process *process, struct orr_completion *completion)
{
    struct orr__watch *watch = take_watch(process);
    watch->process = process;
    watch->completion = completion;
    watch->callback = completion->callback;
    watch->since_ns = process->world->now_ns;
    watch->file = 0;
    watch->piece_count = 0;
    watch->argument_count = 0;
    watch->length = 0;
    watch->done = 0;
    completion->callback = called_back;
    completion->request.arguments.backend.mark = watch;
    return watch;
}

/* ---- operations side by side ----------------------------------------------------------------- */

/* The newest operation of these kinds that was submitted on the same handle before, or NULL. */
static const struct orr_completion *older(const struct orr_completion *completion, uint64_t kinds)
{
    const struct orr_completion *other = completion->handle_next;
    while (other != NULL && (kinds & ORR_OP_BIT(other->request.op)) == 0)
        other = other->handle_next;
    return other;
}

static void check_stream(const struct orr__watch *watch)
{
    const struct orr__process *process = watch->process;
    const struct orr_completion *completion = watch->completion;
    uint8_t op = completion->request.op;
    bool is_receive = (ORR__RECEIVES & ORR_OP_BIT(op)) != 0;
    const struct orr_completion *other = older(completion, is_receive ? ORR__RECEIVES : ORR__SENDS);
    if (other == NULL)
        return;
    orr__world_fail(process->world,
                    is_receive ? "a stream has one receive in flight at a time"
                               : "a stream has one send in flight at a time",
                    orr__police_site(completion->site),
                    "node %s submits this %s on %d before its %s from %s has called back: a kernel "
                    "gives the two no order",
                    process->node->name, orr_op_name(op), completion->request.descriptor,
                    orr_op_name(other->request.op), orr__police_site(other->site));
}

static bool overlap(const struct orr__watch *a, const struct orr__watch *b)
{
    return a->file == b->file && a->length > 0 && b->length > 0 &&
           a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

static void check_writes(struct orr__watch *watch, const struct orr__file *file)
{
    const struct orr_completion *completion = watch->completion;
    watch->file = orr__file_number(file);
    watch->offset = completion->request.arguments.transfer.offset;
    list_write(watch);
    const struct orr__watch *other = watch->write_older;
    uint32_t left = WRITES_LOOKED_AT;
    while (other != NULL && left-- > 0 && !overlap(watch, other))
        other = other->write_older;
    if (other == NULL || !overlap(watch, other))
        return;
    orr__world_fail(watch->process->world, "writes in flight do not overlap",
                    orr__police_site(completion->site),
                    "node %s submits this %s of %" PRIu64 " bytes at %" PRIu64
                    " on %d before its %s of %" PRIu64 " bytes at %" PRIu64
                    " of the same file from %s has called back: a kernel gives the two no order",
                    watch->process->node->name, orr_op_name(completion->request.op), watch->length,
                    watch->offset, completion->request.descriptor,
                    orr_op_name(other->completion->request.op), other->length, other->offset,
                    orr__police_site(other->completion->site));
}

/* The disk does not look at addresses, which differ from run to run: a kernel does. That the report
 * depends on one is no harm: it decides nothing else. So it tells none. */
static void check_alignment(const struct orr__watch *watch)
{
    const struct orr_completion *completion = watch->completion;
    uint32_t sector_bytes = watch->process->node->disk_options.sector_bytes;
    uint32_t i = 0;
    while (i < watch->piece_count &&
           (watch->pieces[i].length == 0 || (uintptr_t)watch->pieces[i].base % sector_bytes == 0))
        i++;
    if (i == watch->piece_count)
        return;
    orr__world_fail(watch->process->world, "a buffer of a file opened with DIRECT is aligned",
                    orr__police_site(completion->site),
                    "node %s submits this %s on %d with a buffer whose address is no multiple of "
                    "%u: a kernel refuses it with EINVAL, on most disks; take it from "
                    "aligned_alloc",
                    watch->process->node->name, orr_op_name(completion->request.op),
                    completion->request.descriptor, sector_bytes);
}

/* The loop knows by the completion's state that it is in flight. Zeroes hide that, and then it is
 * twice in the list of its handle: nothing could go on with that. */
static void check_zeroed(const struct orr__watch *watch)
{
    const struct orr_completion *completion = watch->completion;
    const struct orr__watch *other = watch->next;
    if (completion->handle_next != completion)
        return;
    while (other != NULL && other->completion != completion)
        other = other->next;
    orr_fatal("%s at %s: node %s has zeroed the completion while it was in flight%s: it belongs to "
              "the loop until its callback starts",
              orr_op_name(completion->request.op), orr__police_site(completion->site),
              watch->process->node->name, other != NULL ? ", and uses it again" : "");
}

/* ---- handles after their close --------------------------------------------------------------- */

static void remember_close(struct orr__process *process, const struct orr_completion *completion)
{
    uint32_t slot = completion->request.slot;
    if (slot >= process->close_site_count) {
        uint32_t count = slot < 8 ? 16 : slot * 2;
        const char **grown = realloc(process->close_sites, count * sizeof *grown);
        if (grown == NULL)
            orr_fatal("no memory to remember %u closes", count);
        for (uint32_t i = process->close_site_count; i < count; i++)
            grown[i] = NULL;
        process->close_sites = grown;
        process->close_site_count = count;
    }
    process->close_sites[slot] = completion->site;
}

void orr__police_stale(struct orr__process *process, const struct orr_completion *completion,
                       const struct orr_completion *closer, uint32_t slot)
{
    if (!process->world->policed)
        return;
    bool closes = completion->request.op == ORR_OP_CLOSE;
    const char *site = slot < process->close_site_count ? process->close_sites[slot] : NULL;
    orr__world_fail(process->world,
                    closes ? "a handle is closed once" : "a handle is not used after its close",
                    orr__police_site(completion->site),
                    "node %s submits this %s on a handle %s from %s: the system may have given "
                    "its number to another one by now; forget a handle when you close it",
                    process->node->name, orr_op_name(completion->request.op),
                    closer != NULL ? "that is being closed by the close"
                                   : "that was closed, the last time by the close",
                    orr__police_site(closer != NULL ? closer->site : site));
}

/* ---- what is submitted ----------------------------------------------------------------------- */

void orr__police_submit(struct orr__process *process, struct orr_completion *completion)
{
    uint64_t kind = ORR_OP_BIT(completion->request.op);
    if (!process->world->policed || completion->request.arguments.backend.mark != NULL)
        return;
    struct orr__watch *watch = begin(process, completion);
    check_zeroed(watch);
    if (completion->request.op == ORR_OP_CLOSE)
        remember_close(process, completion);
    orr__watch_arguments(watch);
    if ((kind & (ORR__RECEIVES | ORR__SENDS)) == 0)
        return;
    orr__watch_memory(watch);
    int32_t descriptor = completion->request.descriptor;
    const struct orr__socket *socket = orr__socket_of(process, descriptor);
    const struct orr__file *file = orr__file_of(process, descriptor);
    if (file != NULL && orr__file_is_direct(file))
        check_alignment(watch);
    if (socket != NULL && orr__socket_is_stream(socket))
        check_stream(watch);
    else if (file != NULL && (kind & ORR__SENDS) != 0)
        check_writes(watch, file);
}

/* ---- callbacks that do not stop -------------------------------------------------------------- */

static const char *newest_site(const struct orr__process *process)
{
    const struct orr__watch *watch = process->life->watches;
    return orr__police_site(watch != NULL ? watch->completion->site : NULL);
}

/* Nothing but the end of the process gets it out of there. */
void orr__police_allocate(struct orr__process *process)
{
    struct orr_statistics statistics;
    if (!process->world->policed)
        return;
    orr_loop_statistics(process->loop, &statistics);
    if (statistics.callbacks != process->callback)
        process->callback_blocks = 0;
    process->callback = statistics.callbacks;
    if (++process->callback_blocks > BLOCKS_MAX)
        orr_fatal("node %s: a callback has asked for memory %u times, and does not stop; the "
                  "newest operation in flight is from %s",
                  process->node->name, BLOCKS_MAX, newest_site(process));
}

void orr__police_pass(struct orr__process *process)
{
    struct orr_statistics statistics;
    if (!process->world->policed)
        return;
    orr_loop_statistics(process->loop, &statistics);
    uint64_t submits = statistics.submits - process->submits_seen;
    uint64_t callbacks = statistics.callbacks - process->callbacks_seen;
    process->submits_seen = statistics.submits;
    process->callbacks_seen = statistics.callbacks;
    if (submits > callbacks + SUBMITS_MAX)
        orr__world_fail(process->world, "a callback submits without end", newest_site(process),
                        "node %s has submitted %" PRIu64 " operations in a pass of %" PRIu64
                        " callbacks; the newest that got into the batch is from here",
                        process->node->name, submits, callbacks);
}

/* ---- memory ---------------------------------------------------------------------------------- */

void orr__police_attempt(struct orr__process *process, const struct orr_completion *completion,
                         int64_t result)
{
    (void)process;
    struct orr__watch *watch = completion->request.arguments.backend.mark;
    if (watch != NULL && watch->piece_count > 0 && result > 0)
        orr__watch_moved(watch, (uint64_t)result);
}

void orr_node_forbid_unwritten_reads(struct orr_node *node)
{
    node->forbids_unwritten = true;
}

void orr__police_read(struct orr__process *process, const struct orr__file *file,
                      const struct orr_completion *completion, int64_t result)
{
    uint8_t op = completion->request.op;
    uint64_t from;
    uint64_t to;
    if (!process->world->policed || !process->node->forbids_unwritten || result <= 0 ||
        (ORR__RECEIVES & ORR_OP_BIT(op)) == 0 ||
        !orr__file_unwritten(file, completion->request.arguments.transfer.offset, (uint64_t)result,
                             &from, &to))
        return;
    orr__world_fail(
        process->world, "what is read from a file was written", orr__police_site(completion->site),
        "node %s reads, with this %s on %d, bytes %" PRIu64 " to %" PRIu64
        " of a file, which nobody has written: they lie in a hole, or in what truncate "
        "or allocate has added",
        process->node->name, orr_op_name(op), completion->request.descriptor, from, to - 1);
}

bool orr__police_free(struct orr__process *process, const void *memory, size_t size)
{
    const struct orr__watch *watch = process->life->watches;
    while (watch != NULL && !orr__watch_uses(watch, memory, size))
        watch = watch->next;
    if (watch == NULL)
        return false;
    const struct orr_completion *completion = watch->completion;
    orr__world_fail(
        process->world, "memory in flight is not freed", orr__police_site(completion->site),
        "node %s frees (or reallocates) memory that its %s on %d, submitted here, "
        "still uses: free it in the callback, or later",
        process->node->name, orr_op_name(completion->request.op), completion->request.descriptor);
    return true;
}

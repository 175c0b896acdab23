/*
 * backend.c: the vtable of a loop in the world: what a kernel is to a process.
 *
 * Submitted operations wait in the batch, whose capacity is a choice, down to 1. The flush starts
 * them in order (operations.c). What is done is put on the ready list and delivered by a flush,
 * perhaps a few at a time and out of order. backend_bits says where an operation is.
 */
#include "witness.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTORS_MAX 65536
#define BATCHES_SMALL 8u

/* ---- descriptors ----------------------------------------------------------------------------- */

int32_t orr__descriptor_add(struct orr__process *process, enum orr__descriptor_kind kind,
                            void *object, const char *site)
{
    struct orr__life *life = process->life;
    int32_t at = life->lowest_free;
    while (at < life->descriptor_count && life->descriptors[at].kind != ORR__DESCRIPTOR_FREE)
        at++;
    if (at == DESCRIPTORS_MAX)
        return -EMFILE;
    if (at >= life->descriptor_count) {
        int32_t count = life->descriptor_count == 0 ? 16 : life->descriptor_count * 2;
        struct orr__descriptor *grown = realloc(life->descriptors, (size_t)count * sizeof *grown);
        if (grown == NULL)
            orr_fatal("no memory for %d descriptors of node %s", count, process->node->name);
        memset(grown + life->descriptor_count, 0,
               (size_t)(count - life->descriptor_count) * sizeof *grown);
        life->descriptors = grown;
        life->descriptor_count = count;
    }
    life->descriptors[at].kind = kind;
    life->descriptors[at].is_released = false;
    life->descriptors[at].site = site;
    if (kind == ORR__DESCRIPTOR_SOCKET)
        life->descriptors[at].socket = object;
    else
        life->descriptors[at].file = object;
    life->lowest_free = at + 1;
    return at;
}

struct orr__descriptor *orr__descriptor_get(struct orr__process *process, int32_t descriptor)
{
    const struct orr__life *life = process->life;
    if (descriptor < 0 || descriptor >= life->descriptor_count ||
        life->descriptors[descriptor].kind == ORR__DESCRIPTOR_FREE)
        return NULL;
    return &life->descriptors[descriptor];
}

void orr__descriptor_remove(struct orr__process *process, int32_t descriptor)
{
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    orr__assert(entry != NULL);
    entry->kind = ORR__DESCRIPTOR_FREE;
    entry->socket = NULL;
    free(entry->path);
    entry->path = NULL;
    if (descriptor < process->life->lowest_free)
        process->life->lowest_free = descriptor;
}

struct orr__socket *orr__socket_of(struct orr__process *process, int32_t descriptor)
{
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    return entry != NULL && entry->kind == ORR__DESCRIPTOR_SOCKET ? entry->socket : NULL;
}

struct orr__file *orr__file_of(struct orr__process *process, int32_t descriptor)
{
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    return entry != NULL && entry->kind == ORR__DESCRIPTOR_FILE ? entry->file : NULL;
}

/* A program that cannot start at all would prove nothing: its first boot is spared what an
 * immediate call can find missing. */
static bool is_first_boot(const struct orr__process *process)
{
    return process->life->application == NULL && process->node->lives == 1 && !process->external;
}

/* ---- the vtable ------------------------------------------------------------------------------ */

static int backend_open(const struct orr_options *options, void *argument, void **ret_state)
{
    struct orr__process *process = argument;
    const struct orr__seat *seat = process->seat;
    process->batch_capacity = options->batch_entries;
    struct orr__point point =
        orr__seat_point(seat, ORR__FAULT_BATCH, ORR__SITE_BATCH, "batch", seat->opens);
    point.occurrence = seat->opens * 2;
    if (orr__strikes(process->world, &point)) {
        uint64_t drawn = 1 + orr__draw_below(process->world, ORR__SITE_BATCH, seat->id,
                                             seat->opens * 2 + 1, BATCHES_SMALL);
        process->batch_capacity =
            (uint32_t)orr__extent(process->world, &point, drawn, 1, BATCHES_SMALL);
        orr__fault(process->world, &point, process->batch_capacity, "takes %u operation%s",
                   process->batch_capacity, ORR__S(process->batch_capacity));
    }
    *ret_state = process;
    return 0;
}

static void backend_close(void *state)
{
    orr__process_closed(state);
}

static enum orr_submit backend_submit(void *state, struct orr_completion *completion)
{
    struct orr__process *process = state;
    struct orr_queue *batch = &process->batch;
    orr__police_submit(process, completion);
    if (batch->count >= process->batch_capacity) {
        orr__schedule_step(process);
        return ORR_SUBMIT_FULL;
    }
    completion->request.backend_bits = ORR__PLACE_BATCH;
    orr_queue_push(batch, completion);
    orr__witness_submit(process, completion);
    return ORR_SUBMIT_QUEUED;
}

/* Operations still in the batch are started by the flush first, as a kernel reads its queue in
 * order. */
static enum orr_submit backend_cancel(void *state, struct orr_completion *completion)
{
    struct orr__process *process = state;
    orr__witness_cancel(process, completion);
    switch (completion->request.backend_bits & ORR__PLACE_MASK) {
    case ORR__PLACE_BATCH:
        completion->request.backend_bits |= ORR__CANCEL_ASKED;
        return ORR_SUBMIT_QUEUED;
    case ORR__PLACE_SOCKET: {
        struct orr__socket *socket = orr__socket_of(process, completion->request.descriptor);
        orr__assert(socket != NULL);
        orr__socket_cancel(process, socket, completion);
        return ORR_SUBMIT_QUEUED;
    }
    case ORR__PLACE_LATER:
        orr__operation_cancel(process, completion);
        return ORR_SUBMIT_QUEUED;
    default: /* what is ready is over */
        return ORR_SUBMIT_DONE;
    }
}

/* How many completions this flush delivers; one that does not wait perhaps none, as where a kernel
 * has not come to it yet. */
static uint64_t delivery(struct orr__process *process, bool waits)
{
    struct orr__seat *seat = process->seat;
    uint64_t count = process->ready.count;
    uint64_t flush = seat->flush_count++;
    uint64_t least = waits ? 1 : 0;
    struct orr__point point =
        orr__seat_point(seat, ORR__FAULT_DELIVERS, ORR__SITE_READY_LIMIT, "flush", flush);
    point.occurrence = flush * 2;
    if (count <= least || !orr__strikes(process->world, &point))
        return count;
    uint64_t bound = waits ? count - 1 : count + 1; /* progress even where all strikes */
    uint64_t drawn = least + orr__draw_below(process->world, ORR__SITE_READY_LIMIT, seat->id,
                                             flush * 2 + 1, bound);
    uint64_t limit = orr__extent(process->world, &point, drawn, least, least + bound - 1);
    if (limit == count)
        return count;
    orr__fault(process->world, &point, limit, "delivers %" PRIu64 " of %" PRIu64 " completions",
               limit, count);
    return limit;
}

/* A loop that its owner runs has no appointments for its passes: each flush takes the time until
 * the next one instead, and the world moves on meanwhile. So time passes although something is
 * always ready; also after a check has failed, when nothing else moves. */
static void pass_time(struct orr__process *process)
{
    struct orr_world *world = process->world;
    uint64_t limit_ns = world->now_ns + orr__step_delay(process);
    while (orr__world_step(world, limit_ns))
        continue;
    world->now_ns = limit_ns;
}

/* The loop waits, but is not stepped: its owner runs it, or boot does. The world moves on
 * meanwhile. */
static void wait_until(struct orr__process *process, uint64_t deadline_ns)
{
    struct orr_world *world = process->world;
    uint64_t now_ns = orr__node_clock(process->node, ORR_CLOCK_MONOTONIC);
    uint64_t wait_ns = deadline_ns == ORR_WAIT_FOREVER
                           ? UINT64_MAX
                           : orr__clock_wait(process->node, deadline_ns - now_ns);
    uint64_t limit_ns = orr__later(world, wait_ns);
    while (process->ready.count == 0 && !process->wake_pending && world->now_ns < limit_ns) {
        if (orr__world_step(world, limit_ns) || world->now_ns >= limit_ns)
            continue;
        orr_fatal("node %s waits for ever: nothing will happen in the world any more%s",
                  process->node->name, world->failed ? " (a check has failed)" : "");
    }
}

/* A drain from inside a callback of the node holds up nobody: everything is canceled, and what
 * cannot be any more is done at once. */
static void end_at_once(struct orr__process *process)
{
    uint64_t left = process->in_world; /* each event ends one, unless it is stuck */
    while (process->ready.count == 0) {
        if (left-- == 0 || !orr__hasten(process->world, process))
            orr_fatal("node %s waits for ever in orr_drain: an operation of %s never returns",
                      process->node->name, process->seat->name);
    }
}

/* Nothing is ready. */
static void wait_in_flush(struct orr__process *process, uint64_t deadline_ns)
{
    const struct orr__life *life = process->life;
    bool inside = !process->external && orr__life_is_inside(life);
    if (inside && orr_loop_draining(process->loop))
        end_at_once(process);
    else if (inside && life->application != NULL)
        orr_fatal("node %s: a callback runs %s, another loop, and waits: all loops of the thread "
                  "would stand still; from a callback call orr_run_for_ns(loop, 0) or orr_drain",
                  process->node->name, process->seat->name);
    else
        wait_until(process, deadline_ns);
}

static int backend_flush(void *state, uint64_t deadline_ns, struct orr_queue *completed)
{
    struct orr__process *process = state;
    orr__police_pass(process);
    for (uint64_t left = process->batch.count; left > 0; left--)
        orr__operation_start(process, orr_queue_pop(&process->batch));
    if (process->external)
        pass_time(process);
    if (process->ready.count == 0 &&
        deadline_ns > orr__node_clock(process->node, ORR_CLOCK_MONOTONIC))
        wait_in_flush(process, deadline_ns);
    process->wake_pending = false;
    for (uint64_t left = delivery(process, deadline_ns != ORR_WAIT_NOT); left > 0; left--) {
        struct orr_completion *completion = orr_queue_pop(&process->ready);
        orr_backend_complete(completed, completion, completion->result);
    }
    return 0;
}

static bool backend_unflushed(const void *state)
{
    const struct orr__process *process = state;
    return process->batch.count > 0;
}

static uint64_t backend_now(void *state, enum orr_clock clock)
{
    const struct orr__process *process = state;
    return orr__node_clock(process->node, clock);
}

static void backend_wake(void *state)
{
    struct orr__process *process = state;
    process->wake_pending = true;
    orr__schedule_step(process);
}

static int backend_descriptor(void *state)
{
    (void)state;
    return -ENOTSUP;
}

static void backend_random(void *state, void *buffer, size_t length)
{
    struct orr__process *process = state;
    orr__witness_demand(process, ORR__WITNESS_RANDOM, length);
    orr__draw_bytes(process->world, ORR__SITE_RANDOM, process->node->id,
                    &process->node->random_count, buffer, length);
}

static void unlink_allocation(struct orr__life *life, struct orr__allocation *allocation)
{
    if (allocation->previous != NULL)
        allocation->previous->next = allocation->next;
    else
        life->allocations = allocation->next;
    if (allocation->next != NULL)
        allocation->next->previous = allocation->previous;
}

static void *link_allocation(struct orr__life *life, struct orr__allocation *allocation,
                             size_t size)
{
    allocation->size = size;
    allocation->previous = NULL;
    allocation->next = life->allocations;
    if (allocation->next != NULL)
        allocation->next->previous = allocation;
    life->allocations = allocation;
    return allocation->bytes;
}

/* Fresh memory is filled with garbage, always the same: a program that reads it uninitialised still
 * replays. Of two runs that are compared the second has other garbage. */
#define GARBAGE 0xa5
#define BLOCK_MAX ((size_t)1 << 30)

static bool memory_fails(struct orr__process *process, size_t size)
{
    struct orr_node *node = process->node;
    uint64_t occurrence = node->memory_count++;
    const struct orr__point point =
        orr__node_point(node, ORR__FAULT_MEMORY, ORR__SITE_MEMORY, "memory", occurrence);
    if (is_first_boot(process) || !orr__strikes(process->world, &point))
        return false;
    orr__fault(process->world, &point, ENOMEM, "none for %zu byte%s", size, ORR__S(size));
    return true;
}

static void *copy_memory(const struct orr__process *process, const struct orr__allocation *old,
                         size_t size)
{
    struct orr__allocation *fresh = malloc(sizeof *fresh + size);
    if (fresh == NULL)
        return NULL;
    memset(fresh->bytes, orr__witness_garbage(process->world, GARBAGE), size);
    memcpy(fresh->bytes, old->bytes, old->size < size ? old->size : size);
    return link_allocation(process->life, fresh, size);
}

static void *backend_memory(void *state, void *memory, size_t size)
{
    struct orr__process *process = state;
    if (size > BLOCK_MAX) /* the same on every machine, however much it has */
        return NULL;
    struct orr__allocation *old = NULL;
    size_t old_size = 0;
    if (size > 0) {
        orr__police_allocate(process);
        orr__witness_demand(process, ORR__WITNESS_MEMORY, size);
    }
    if (size > 0 && memory_fails(process, size))
        return NULL;
    if (memory != NULL) {
        old = (struct orr__allocation *)(void *)((char *)memory -
                                                 offsetof(struct orr__allocation, bytes));
        old_size = old->size;
        if (orr__police_free(process, memory, old_size)) /* keep what the run still touches */
            return size > 0 ? copy_memory(process, old, size) : NULL;
        unlink_allocation(process->life, old);
    }
    if (size == 0) {
        free(old);
        return NULL;
    }
    struct orr__allocation *fresh = realloc(old, sizeof *fresh + size);
    if (fresh == NULL) {
        if (old != NULL)
            (void)link_allocation(process->life, old, old_size);
        return NULL;
    }
    if (size > old_size)
        memset((char *)fresh->bytes + old_size, orr__witness_garbage(process->world, GARBAGE),
               size - old_size);
    return link_allocation(process->life, fresh, size);
}

static int no_socket(const struct orr__process *process)
{
    struct orr_node *node = process->node;
    uint64_t occurrence = node->socket_count++;
    if (is_first_boot(process))
        return 0;
    const struct orr__point point =
        orr__node_point(node, ORR__FAULT_HANDLES, ORR__SITE_SOCKET, "socket", occurrence);
    return orr__error_at(node->world, &point, EMFILE, ENFILE);
}

static int32_t backend_socket(void *state, enum orr_family family, enum orr_socket_type type)
{
    const struct orr__process *process = state;
    struct orr__socket *socket;
    int status = no_socket(process);
    if (status < 0)
        return status;
    status = orr__socket_create(state, family, type, &socket);
    if (status < 0)
        return status;
    int32_t descriptor =
        orr__descriptor_add(state, ORR__DESCRIPTOR_SOCKET, socket, orr_loop_site(process->loop));
    if (descriptor < 0)
        orr__socket_close(state, socket);
    return descriptor;
}

static int backend_bind(void *state, int32_t descriptor, const struct orr_address *address)
{
    struct orr__socket *socket = orr__socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_bind(state, socket, address);
}

static int backend_listen(void *state, int32_t descriptor, uint32_t backlog)
{
    struct orr__socket *socket = orr__socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_listen(state, socket, backlog);
}

static int backend_option_set(void *state, int32_t descriptor, enum orr_socket_option option,
                              int32_t value)
{
    struct orr__socket *socket = orr__socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_option_set(socket, option, value);
}

static int backend_option_get(void *state, int32_t descriptor, enum orr_socket_option option,
                              int32_t *ret_value)
{
    struct orr__socket *socket = orr__socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_option_get(socket, option, ret_value);
}

static int backend_local_address(void *state, int32_t descriptor, struct orr_address *ret_address)
{
    struct orr__socket *socket = orr__socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_local(socket, ret_address);
}

static int backend_peer_address(void *state, int32_t descriptor, struct orr_address *ret_address)
{
    struct orr__socket *socket = orr__socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_peer(socket, ret_address);
}

/* A listing that fails after some names. */
struct cut_listing {
    orr_directory_visit visit;
    void *context;
    uint64_t names_left;
};

static int visit_until_cut(void *context, const char *name, uint32_t type)
{
    struct cut_listing *listing = context;
    return listing->names_left-- == 0 ? -EIO : listing->visit(listing->context, name, type);
}

static int backend_directory_list(void *state, int32_t descriptor, orr_directory_visit visit,
                                  void *context)
{
    struct orr__process *process = state;
    struct orr__file *file = orr__file_of(process, descriptor);
    struct cut_listing cut = {.visit = visit, .context = context};
    if (file == NULL)
        return -ENOTDIR;
    if (!orr__listing_fails(process->node, &cut.names_left))
        return orr__disk_list(process->node->disk, file, visit, context);
    int answer = orr__disk_list(process->node->disk, file, visit_until_cut, &cut);
    return answer == 0 ? -EIO : answer;
}

/* Between two loops the first one of the life stands in for the owner: it lives as long. */
static void backend_release(void *state, int32_t descriptor)
{
    struct orr__process *process = state;
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    orr__assert(entry != NULL && !entry->is_released);
    entry->is_released = true;
    if (entry->kind == ORR__DESCRIPTOR_SOCKET)
        orr__socket_move(entry->socket, process->life->processes);
}

static int32_t backend_adopt(void *state, int32_t descriptor)
{
    struct orr__process *process = state;
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    if (entry == NULL || !entry->is_released)
        return -ENOTSUP; /* nothing outside the world may touch it */
    entry->is_released = false;
    if (entry->kind == ORR__DESCRIPTOR_SOCKET)
        orr__socket_move(entry->socket, process);
    return descriptor;
}

static void backend_stale(void *state, const struct orr_completion *completion,
                          const struct orr_completion *closer, uint32_t slot)
{
    orr__police_stale(state, completion, closer, slot);
}

static const char *backend_owner(const void *state)
{
    const struct orr__process *process = state;
    return process->seat->name;
}

static void backend_discard(void *state, int32_t descriptor)
{
    (void)orr__descriptor_close(state, descriptor);
}

const struct orr_backend orr__world_backend = {
    .name = "world",
    .operations = ORR_OP_BIT(ORR_OP_TIMEOUT) - ORR_OP_BIT(ORR_OP_ACCEPT), /* all of them */
    .open = backend_open,
    .close = backend_close,
    .submit = backend_submit,
    .cancel = backend_cancel,
    .flush = backend_flush,
    .unflushed = backend_unflushed,
    .now = backend_now,
    .wake = backend_wake,
    .descriptor = backend_descriptor,
    .random = backend_random,
    .memory = backend_memory,
    .socket = backend_socket,
    .bind = backend_bind,
    .listen = backend_listen,
    .option_set = backend_option_set,
    .option_get = backend_option_get,
    .local_address = backend_local_address,
    .peer_address = backend_peer_address,
    .directory_list = backend_directory_list,
    .adopt = backend_adopt,
    .release = backend_release,
    .stale = backend_stale,
    .owner = backend_owner,
    .discard = backend_discard,
};

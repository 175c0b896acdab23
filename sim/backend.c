/*
 * backend.c: the vtable of a loop in the world: what a kernel is to a process.
 *
 * Submitted operations wait in the batch, whose capacity is a choice, down to 1. The flush starts
 * them in order: socket operations at once, as a kernel tries them inline, file operations with a
 * latency, as a kernel hands them to workers. What is done is put on the ready list and delivered
 * by a flush, perhaps a few at a time and out of order.
 *
 * Each operation of a node has a number, counted per kind over all lives of the node: the
 * occurrence that its faults are named by and its choices are keyed by. It travels in
 * completion->result until the end. backend_bits says where the operation is.
 */
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum place {
    PLACE_BATCH = 1,
    PLACE_SOCKET,
    PLACE_FILE,
    PLACE_READY,
    PLACE_MASK = 0x0f,
    CANCEL_ASKED = 0x10
};

#define DESCRIPTORS_MAX 65536
#define DESCRIPTORS_FIRST 3
#define MONOTONIC_START_NS ORR_SECOND
#define SPIKE_MEAN_NS (60 * ORR_MILLISECOND)
#define BATCHES_SMALL 8u

/* ---- descriptors ----------------------------------------------------------------------------- */

int32_t orr__descriptor_add(struct orr__process *process, enum orr__descriptor_kind kind,
                            void *object)
{
    int32_t at = process->lowest_free;
    while (at < process->descriptor_count && process->descriptors[at].kind != ORR__DESCRIPTOR_FREE)
        at++;
    if (at == DESCRIPTORS_MAX)
        return -EMFILE;
    if (at >= process->descriptor_count) {
        int32_t count = process->descriptor_count == 0 ? 16 : process->descriptor_count * 2;
        struct orr__descriptor *grown =
            realloc(process->descriptors, (size_t)count * sizeof *grown);
        if (grown == NULL)
            orr_fatal("no memory for %d descriptors of node %s", count, process->node->name);
        memset(grown + process->descriptor_count, 0,
               (size_t)(count - process->descriptor_count) * sizeof *grown);
        process->descriptors = grown;
        process->descriptor_count = count;
    }
    process->descriptors[at].kind = kind;
    if (kind == ORR__DESCRIPTOR_SOCKET)
        process->descriptors[at].socket = object;
    else
        process->descriptors[at].file = object;
    process->lowest_free = at + 1;
    return at;
}

struct orr__descriptor *orr__descriptor_get(struct orr__process *process, int32_t descriptor)
{
    if (descriptor < 0 || descriptor >= process->descriptor_count ||
        process->descriptors[descriptor].kind == ORR__DESCRIPTOR_FREE)
        return NULL;
    return &process->descriptors[descriptor];
}

void orr__descriptor_remove(struct orr__process *process, int32_t descriptor)
{
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    orr__assert(entry != NULL);
    entry->kind = ORR__DESCRIPTOR_FREE;
    entry->socket = NULL;
    if (descriptor < process->lowest_free)
        process->lowest_free = descriptor;
}

static struct orr__socket *socket_of(struct orr__process *process, int32_t descriptor)
{
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    return entry != NULL && entry->kind == ORR__DESCRIPTOR_SOCKET ? entry->socket : NULL;
}

static struct orr__file *file_of(struct orr__process *process, int32_t descriptor)
{
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    return entry != NULL && entry->kind == ORR__DESCRIPTOR_FILE ? entry->file : NULL;
}

/* ---- faults that any operation can meet ------------------------------------------------------ */

static uint64_t op_actor(const struct orr_node *node, uint8_t op)
{
    return node->id + op * UINT64_C(0x9e3779b97f4a7c15);
}

/* "server/what", valid until the next call. */
static const char *node_subject(const struct orr_node *node, const char *what)
{
    static _Thread_local char subject[ORR_NODE_NAME_MAX + 16];
    snprintf(subject, sizeof subject, "%s/%s", node->name, what);
    return subject;
}

const char *orr__op_subject(const struct orr_node *node, uint8_t op)
{
    return node_subject(node, orr_op_name(op));
}

uint32_t orr__cut_transfer(struct orr_node *node, uint8_t op, uint64_t occurrence, uint32_t length)
{
    struct orr_world *world = node->world;
    uint64_t actor = op_actor(node, op);
    if (length < 2 ||
        !orr__strikes(world, ORR_FAMILY_PARTIAL, ORR__SITE_OP_PARTIAL, actor, occurrence))
        return length;
    uint32_t cut = 1 + (uint32_t)orr__draw_below(world, ORR__SITE_OP_PARTIAL_LENGTH, actor,
                                                 occurrence, length - 1);
    orr__fault(world, ORR_FAMILY_PARTIAL, orr__op_subject(node, op), occurrence, "%u of %u bytes",
               cut, length);
    return cut;
}

/* How long a file operation takes. */
static uint64_t op_latency(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    struct orr_world *world = node->world;
    uint64_t actor = op_actor(node, op);
    bool syncs = op == ORR_OP_FSYNC || op == ORR_OP_FDATASYNC;
    uint64_t low_ns = syncs ? 100 * ORR_MICROSECOND : 5 * ORR_MICROSECOND;
    uint64_t mean_ns = syncs ? 900 * ORR_MICROSECOND : 20 * ORR_MICROSECOND;
    uint64_t ns =
        low_ns + orr__draw_exponential(world, ORR__SITE_OP_LATENCY, actor, occurrence, mean_ns);
    if (orr__strikes(world, ORR_FAMILY_LATENCY, ORR__SITE_OP_SPIKE, actor, occurrence)) {
        uint64_t spike_ns =
            orr__draw_exponential(world, ORR__SITE_OP_LATENCY, ~actor, occurrence, SPIKE_MEAN_NS);
        orr__fault(world, ORR_FAMILY_LATENCY, orr__op_subject(node, op), occurrence,
                   "takes %" PRIu64 " us longer", spike_ns / ORR_MICROSECOND);
        ns += spike_ns;
    }
    return ns;
}

/* -EIO or -ENOSPC if a disk fault strikes this operation, else 0. */
static int op_error(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    const uint64_t can_fail = ORR_OP_BIT(ORR_OP_READ) | ORR_OP_BIT(ORR_OP_READV) |
                              ORR_OP_BIT(ORR_OP_WRITE) | ORR_OP_BIT(ORR_OP_WRITEV) |
                              ORR_OP_BIT(ORR_OP_FSYNC) | ORR_OP_BIT(ORR_OP_FDATASYNC);
    const uint64_t takes_space = ORR_OP_BIT(ORR_OP_WRITE) | ORR_OP_BIT(ORR_OP_WRITEV) |
                                 ORR_OP_BIT(ORR_OP_ALLOCATE) | ORR_OP_BIT(ORR_OP_MKDIR);
    struct orr_world *world = node->world;
    uint64_t actor = op_actor(node, op);
    if ((can_fail & ORR_OP_BIT(op)) != 0 &&
        orr__strikes(world, ORR_FAMILY_DISK_ERROR, ORR__SITE_OP_ERROR, actor, occurrence)) {
        orr__fault(world, ORR_FAMILY_DISK_ERROR, orr__op_subject(node, op), occurrence, "EIO");
        return -EIO;
    }
    if ((takes_space & ORR_OP_BIT(op)) != 0 &&
        orr__strikes(world, ORR_FAMILY_DISK_FULL, ORR__SITE_OP_FULL, actor, occurrence)) {
        orr__fault(world, ORR_FAMILY_DISK_FULL, orr__op_subject(node, op), occurrence, "ENOSPC");
        return -ENOSPC;
    }
    return 0;
}

/* ---- the end of an operation ----------------------------------------------------------------- */

static void trace_end(struct orr__process *process, const struct orr_completion *completion,
                      int64_t result)
{
    if (!orr__tracing(process->world))
        return;
    uint8_t op = completion->request.op;
    bool names =
        op == ORR_OP_OPEN || op == ORR_OP_RENAME || op == ORR_OP_UNLINK || op == ORR_OP_MKDIR;
    const char *path = names ? completion->request.arguments.path.path : "";
    char answer[32];
    if (result < 0)
        snprintf(answer, sizeof answer, "-%s", orr_error_name((int)-result));
    else
        snprintf(answer, sizeof answer, "%" PRId64, result);
    orr__trace_line(
        process->world, process->node->name, "%s#%" PRId64 "%s%s = %s%s%s%s", orr_op_name(op),
        completion->result, names ? " " : "", path, answer, completion->site != NULL ? "  (" : "",
        completion->site != NULL ? completion->site : "", completion->site != NULL ? ")" : "");
}

void orr__ready(struct orr__process *process, struct orr_completion *completion, int64_t result)
{
    struct orr_world *world = process->world;
    struct orr_node *node = process->node;
    trace_end(process, completion, result);
    orr__trace_hash(world, completion->request.op, node->id, (uint64_t)result,
                    (uint64_t)completion->result);
    orr__assert(process->in_world > 0);
    process->in_world--;
    completion->result = result;
    completion->request.backend_bits = PLACE_READY;
    completion->next = NULL;
    completion->previous = process->ready.tail;
    bool overtakes =
        process->ready.head != NULL &&
        orr__strikes(world, ORR_FAMILY_REORDER, ORR__SITE_REORDER, node->id, node->ready_count);
    node->ready_count++;
    if (overtakes) {
        orr__fault(world, ORR_FAMILY_REORDER, node_subject(node, "ready"), node->ready_count - 1,
                   "%s overtakes %" PRIu64 " others", orr_op_name(completion->request.op),
                   process->ready.count);
        completion->previous = NULL;
        completion->next = process->ready.head;
        process->ready.head->previous = completion;
        process->ready.head = completion;
    } else if (process->ready.tail != NULL) {
        process->ready.tail->next = completion;
        process->ready.tail = completion;
    } else {
        process->ready.head = process->ready.tail = completion;
    }
    process->ready.count++;
    orr__schedule_step(process);
}

static struct orr_completion *pop(struct orr_queue *queue)
{
    struct orr_completion *head = queue->head;
    queue->head = head->next;
    if (queue->head != NULL)
        queue->head->previous = NULL;
    else
        queue->tail = NULL;
    queue->count--;
    return head;
}

/* ---- file operations ------------------------------------------------------------------------- */

static int64_t vectored(struct orr__file *file, const struct orr_completion *completion,
                        uint32_t *left)
{
    int64_t done = 0;
    bool reads = completion->request.op == ORR_OP_READV;
    uint64_t offset = completion->request.arguments.transfer.offset;
    const struct orr_vector *vectors = completion->request.arguments.transfer.vectors;
    for (uint32_t i = 0; i<completion->request.arguments.transfer.length && * left> 0; i++) {
        uint32_t length = vectors[i].length < *left ? (uint32_t)vectors[i].length : *left;
        if (length == 0)
            continue;
        int64_t step =
            reads ? orr__file_read(file, vectors[i].base, length, offset + (uint64_t)done)
                  : orr__file_write(file, vectors[i].base, length, offset + (uint64_t)done);
        if (step < 0)
            return done > 0 ? done : step;
        done += step;
        *left -= (uint32_t)step;
        if (step < (int64_t)length)
            break;
    }
    return done;
}

static uint32_t vectors_length(const struct orr_completion *completion)
{
    uint64_t total = 0;
    const struct orr_vector *vectors = completion->request.arguments.transfer.vectors;
    for (uint32_t i = 0; i < completion->request.arguments.transfer.length; i++)
        total += vectors[i].length < ORR_TRANSFER_MAX ? vectors[i].length : ORR_TRANSFER_MAX;
    return total < ORR_TRANSFER_MAX ? (uint32_t)total : (uint32_t)ORR_TRANSFER_MAX;
}

static int64_t transfer_file(struct orr__process *process, struct orr__file *file,
                             struct orr_completion *completion)
{
    uint64_t occurrence = (uint64_t)completion->result;
    uint8_t op = completion->request.op;
    if (op == ORR_OP_READV || op == ORR_OP_WRITEV) {
        uint32_t left =
            orr__cut_transfer(process->node, op, occurrence, vectors_length(completion));
        return vectored(file, completion, &left);
    }
    uint64_t offset = completion->request.arguments.transfer.offset;
    uint32_t length = orr__cut_transfer(process->node, op, occurrence,
                                        completion->request.arguments.transfer.length);
    if (op == ORR_OP_READ)
        return orr__file_read(file, completion->request.arguments.transfer.buffer, length, offset);
    return orr__file_write(file, completion->request.arguments.transfer.data, length, offset);
}

static int64_t open_file(struct orr__process *process, struct orr__file *base,
                         const struct orr_completion *completion)
{
    struct orr__file *file;
    int status = orr__disk_open(process->node->disk, base, completion->request.arguments.path.path,
                                completion->request.arguments.path.flags,
                                completion->request.arguments.path.mode, &file);
    if (status < 0)
        return status;
    int32_t descriptor = orr__descriptor_add(process, ORR__DESCRIPTOR_FILE, file);
    if (descriptor < 0)
        orr__file_close(file);
    return descriptor;
}

static int64_t perform_path(struct orr__process *process, struct orr__file *base,
                            const struct orr_completion *completion)
{
    struct orr__disk *disk = process->node->disk;
    const char *path = completion->request.arguments.path.path;
    switch (completion->request.op) {
    case ORR_OP_OPEN:
        return open_file(process, base, completion);
    case ORR_OP_STAT:
        if (path == NULL && base != NULL)
            return orr__file_stat(base, completion->request.arguments.path.stat);
        return orr__disk_stat(disk, base, path == NULL ? "." : path,
                              completion->request.arguments.path.stat);
    case ORR_OP_RENAME:
        return orr__disk_rename(disk, base, path, completion->request.arguments.path.path_new);
    case ORR_OP_UNLINK:
        return orr__disk_unlink(disk, base, path,
                                (enum orr_unlink_kind)completion->request.arguments.path.flags);
    default:
        return orr__disk_mkdir(disk, base, path, completion->request.arguments.path.mode);
    }
}

static int64_t perform_file(struct orr__process *process, struct orr__file *file,
                            struct orr_completion *completion, uint64_t mark)
{
    uint8_t op = completion->request.op;
    int error = op_error(process->node, op, (uint64_t)completion->result);
    switch (op) {
    case ORR_OP_FSYNC:
    case ORR_OP_FDATASYNC:
        if (error < 0)
            orr__file_sync_failed(file, mark);
        else
            orr__file_sync(file, mark, op == ORR_OP_FDATASYNC);
        return error;
    case ORR_OP_READ:
    case ORR_OP_WRITE:
    case ORR_OP_READV:
    case ORR_OP_WRITEV:
        return error < 0 ? error : transfer_file(process, file, completion);
    case ORR_OP_TRUNCATE:
        return orr__file_truncate(file, completion->request.arguments.range.length);
    case ORR_OP_ALLOCATE:
        return error < 0 ? error
                         : orr__file_allocate(file, completion->request.arguments.range.offset,
                                              completion->request.arguments.range.length);
    default:
        return error < 0 ? error : perform_path(process, file, completion);
    }
}

static void file_operation(struct orr__process *process, struct orr_completion *completion,
                           uint64_t mark)
{
    struct orr__file *file = file_of(process, completion->request.descriptor);
    orr__ready(process, completion, perform_file(process, file, completion, mark));
}

/* The event carries the completion, whose `previous` (ours meanwhile) carries the process. */
static void file_done(struct orr_world *world, void *object, uint64_t mark)
{
    (void)world;
    struct orr_completion *completion = object;
    struct orr__process *process = (struct orr__process *)(void *)completion->previous;
    completion->previous = NULL;
    file_operation(process, completion, mark);
}

/* ---- starting operations, at the flush ------------------------------------------------------- */

static bool on_sockets(uint8_t op)
{
    const uint64_t socket_ops = ORR_OP_BIT(ORR_OP_ACCEPT) | ORR_OP_BIT(ORR_OP_CONNECT) |
                                ORR_OP_BIT(ORR_OP_RECV) | ORR_OP_BIT(ORR_OP_SEND) |
                                ORR_OP_BIT(ORR_OP_RECV_FROM) | ORR_OP_BIT(ORR_OP_SEND_TO) |
                                ORR_OP_BIT(ORR_OP_SHUTDOWN) | ORR_OP_BIT(ORR_OP_POLL);
    return (socket_ops & ORR_OP_BIT(op)) != 0;
}

static int64_t close_descriptor(struct orr__process *process, int32_t descriptor)
{
    struct orr__descriptor *entry = orr__descriptor_get(process, descriptor);
    if (entry == NULL)
        return -EBADF;
    struct orr__descriptor closed = *entry;
    orr__descriptor_remove(process, descriptor);
    if (closed.kind == ORR__DESCRIPTOR_SOCKET)
        orr__socket_close(process, closed.socket);
    else
        orr__file_close(closed.file);
    return 0;
}

static void start_socket_operation(struct orr__process *process, struct orr_completion *completion,
                                   uint64_t occurrence)
{
    struct orr__socket *socket = socket_of(process, completion->request.descriptor);
    if (socket != NULL) {
        bool canceled = (completion->request.backend_bits & CANCEL_ASKED) != 0;
        completion->request.backend_bits = PLACE_SOCKET;
        orr__socket_submit(process, socket, completion, occurrence);
        if (canceled && completion->request.backend_bits == PLACE_SOCKET)
            (void)orr__socket_cancel(process, socket, completion);
    } else if (completion->request.op == ORR_OP_POLL) { /* a file is ready always */
        uint32_t always = ORR_POLL_IN | ORR_POLL_OUT;
        orr__ready(process, completion, completion->request.arguments.events & always);
    } else {
        orr__ready(process, completion, -ENOTSOCK);
    }
}

static void start_file_operation(struct orr__process *process, struct orr_completion *completion,
                                 uint64_t occurrence)
{
    uint8_t op = completion->request.op;
    if (socket_of(process, completion->request.descriptor) != NULL) {
        bool transfers =
            op == ORR_OP_READ || op == ORR_OP_WRITE || op == ORR_OP_READV || op == ORR_OP_WRITEV;
        orr__ready(process, completion, transfers ? -ESPIPE : -EINVAL);
        return;
    }
    bool syncs = op == ORR_OP_FSYNC || op == ORR_OP_FDATASYNC;
    struct orr__file *file = file_of(process, completion->request.descriptor);
    uint64_t mark = syncs && file != NULL ? orr__file_sync_mark(file) : 0;
    uint64_t latency_ns = op_latency(process->node, op, occurrence);
    completion->request.backend_bits = PLACE_FILE;
    completion->previous = (struct orr_completion *)(void *)process;
    orr__schedule(process->world, process->world->now_ns + latency_ns, file_done, process,
                  completion, mark);
}

static void start(struct orr__process *process, struct orr_completion *completion)
{
    uint8_t op = completion->request.op;
    uint64_t occurrence = process->node->op_count[op]++;
    completion->next = NULL;
    completion->previous = NULL;
    completion->result = (int64_t)occurrence;
    process->in_world++;
    if (op == ORR_OP_CLOSE)
        orr__ready(process, completion, close_descriptor(process, completion->request.descriptor));
    else if (on_sockets(op))
        start_socket_operation(process, completion, occurrence);
    else
        start_file_operation(process, completion, occurrence);
}

/* ---- the vtable ------------------------------------------------------------------------------ */

static int backend_open(const struct orr_options *options, void *argument, void **ret_state)
{
    struct orr__process *process = argument;
    struct orr_node *node = process->node;
    process->batch_capacity = options->batch_entries;
    if (orr__strikes(process->world, ORR_FAMILY_PRESSURE, ORR__SITE_BATCH, node->id,
                     node->lives * 2)) {
        process->batch_capacity =
            1 + (uint32_t)orr__draw_below(process->world, ORR__SITE_BATCH, node->id,
                                          node->lives * 2 + 1, BATCHES_SMALL);
        orr__fault(process->world, ORR_FAMILY_PRESSURE, node_subject(node, "batch"), node->lives,
                   "takes %u operations", process->batch_capacity);
    }
    process->lowest_free = DESCRIPTORS_FIRST;
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
    if (batch->count >= process->batch_capacity) {
        orr__schedule_step(process);
        return ORR_SUBMIT_FULL;
    }
    completion->request.backend_bits = PLACE_BATCH;
    completion->next = NULL;
    completion->previous = batch->tail;
    if (batch->tail != NULL)
        batch->tail->next = completion;
    else
        batch->head = completion;
    batch->tail = completion;
    batch->count++;
    return ORR_SUBMIT_QUEUED;
}

/* Operations still in the batch are started by the flush first, as a kernel reads its queue in
 * order. */
static enum orr_submit backend_cancel(void *state, struct orr_completion *completion)
{
    struct orr__process *process = state;
    switch (completion->request.backend_bits & PLACE_MASK) {
    case PLACE_BATCH:
        completion->request.backend_bits |= CANCEL_ASKED;
        return ORR_SUBMIT_QUEUED;
    case PLACE_SOCKET: {
        struct orr__socket *socket = socket_of(process, completion->request.descriptor);
        orr__assert(socket != NULL);
        return orr__socket_cancel(process, socket, completion) ? ORR_SUBMIT_QUEUED
                                                               : ORR_SUBMIT_DONE;
    }
    default: /* a file operation under way cannot be stopped; what is ready is over */
        return ORR_SUBMIT_DONE;
    }
}

/* How many completions this flush delivers. */
static uint64_t delivery(struct orr__process *process)
{
    struct orr_node *node = process->node;
    uint64_t count = process->ready.count;
    uint64_t flush = node->flush_count++;
    if (count <= 1 || !orr__strikes(process->world, ORR_FAMILY_PRESSURE, ORR__SITE_READY_LIMIT,
                                    node->id, flush * 2))
        return count;
    uint64_t limit = 1 + orr__draw_below(process->world, ORR__SITE_READY_LIMIT, node->id,
                                         flush * 2 + 1, count - 1);
    orr__fault(process->world, ORR_FAMILY_PRESSURE, node_subject(node, "flush"), flush,
               "delivers %" PRIu64 " of %" PRIu64 " completions", limit, count);
    return limit;
}

/* The loop is run by its owner and waits: the world moves on meanwhile. */
static void wait(struct orr__process *process, uint64_t deadline_ns)
{
    struct orr_world *world = process->world;
    uint64_t limit_ns =
        deadline_ns == ORR_WAIT_FOREVER ? UINT64_MAX : deadline_ns - MONOTONIC_START_NS;
    while (process->ready.count == 0 && !process->wake_pending && world->now_ns < limit_ns) {
        if (orr__world_step(world, limit_ns) || world->now_ns >= limit_ns)
            continue;
        orr_fatal("node %s waits for ever: nothing will happen in the world any more%s",
                  process->node->name, world->failed ? " (a check has failed)" : "");
    }
}

static int backend_flush(void *state, uint64_t deadline_ns, struct orr_queue *completed)
{
    struct orr__process *process = state;
    for (uint64_t left = process->batch.count; left > 0; left--)
        start(process, pop(&process->batch));
    if (process->ready.count == 0 && deadline_ns > MONOTONIC_START_NS)
        wait(process, deadline_ns);
    process->wake_pending = false;
    for (uint64_t left = delivery(process); left > 0; left--) {
        struct orr_completion *completion = pop(&process->ready);
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
    if (clock == ORR_CLOCK_WALL)
        return (uint64_t)(process->node->wall_offset_ns + (int64_t)process->world->now_ns);
    return MONOTONIC_START_NS + process->world->now_ns;
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
    uint8_t *bytes = buffer;
    for (size_t at = 0; at < length; at += 8) {
        uint64_t draw = orr__draw(process->world, ORR__SITE_RANDOM, process->node->id,
                                  process->node->random_count++);
        for (size_t i = 0; i < 8 && at + i < length; i++)
            bytes[at + i] = (uint8_t)(draw >> 8 * i);
    }
}

static void unlink_allocation(struct orr__process *process, struct orr__allocation *allocation)
{
    if (allocation->previous != NULL)
        allocation->previous->next = allocation->next;
    else
        process->allocations = allocation->next;
    if (allocation->next != NULL)
        allocation->next->previous = allocation->previous;
}

static void *link_allocation(struct orr__process *process, struct orr__allocation *allocation,
                             size_t size)
{
    allocation->size = size;
    allocation->previous = NULL;
    allocation->next = process->allocations;
    if (allocation->next != NULL)
        allocation->next->previous = allocation;
    process->allocations = allocation;
    return allocation->bytes;
}

/* Fresh memory is filled with garbage, always the same: a program that reads it uninitialised still
 * replays. */
#define GARBAGE 0xa5

static void *backend_memory(void *state, void *memory, size_t size)
{
    struct orr__process *process = state;
    struct orr__allocation *old = NULL;
    size_t old_size = 0;
    if (memory != NULL) {
        old = (struct orr__allocation *)(void *)((char *)memory -
                                                 offsetof(struct orr__allocation, bytes));
        old_size = old->size;
        unlink_allocation(process, old);
    }
    if (size == 0) {
        free(old);
        return NULL;
    }
    struct orr__allocation *fresh =
        size > SIZE_MAX - sizeof *fresh ? NULL : realloc(old, sizeof *fresh + size);
    if (fresh == NULL) {
        if (old != NULL)
            (void)link_allocation(process, old, old_size);
        return NULL;
    }
    if (size > old_size)
        memset((char *)fresh->bytes + old_size, GARBAGE, size - old_size);
    return link_allocation(process, fresh, size);
}

static int32_t backend_socket(void *state, enum orr_family family, enum orr_socket_type type)
{
    struct orr__socket *socket;
    int status = orr__socket_create(state, family, type, &socket);
    if (status < 0)
        return status;
    int32_t descriptor = orr__descriptor_add(state, ORR__DESCRIPTOR_SOCKET, socket);
    if (descriptor < 0)
        orr__socket_close(state, socket);
    return descriptor;
}

static int backend_bind(void *state, int32_t descriptor, const struct orr_address *address)
{
    struct orr__socket *socket = socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_bind(state, socket, address);
}

static int backend_listen(void *state, int32_t descriptor, uint32_t backlog)
{
    struct orr__socket *socket = socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_listen(state, socket, backlog);
}

static int backend_option_set(void *state, int32_t descriptor, enum orr_socket_option option,
                              int32_t value)
{
    struct orr__socket *socket = socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_option_set(socket, option, value);
}

static int backend_option_get(void *state, int32_t descriptor, enum orr_socket_option option,
                              int32_t *ret_value)
{
    struct orr__socket *socket = socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_option_get(socket, option, ret_value);
}

static int backend_local_address(void *state, int32_t descriptor, struct orr_address *ret_address)
{
    struct orr__socket *socket = socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_local(socket, ret_address);
}

static int backend_peer_address(void *state, int32_t descriptor, struct orr_address *ret_address)
{
    struct orr__socket *socket = socket_of(state, descriptor);
    return socket == NULL ? -ENOTSOCK : orr__socket_peer(socket, ret_address);
}

static int backend_directory_list(void *state, int32_t descriptor, orr_directory_visit visit,
                                  void *context)
{
    struct orr__process *process = state;
    struct orr__file *file = file_of(process, descriptor);
    return file == NULL ? -ENOTDIR : orr__disk_list(process->node->disk, file, visit, context);
}

static int32_t backend_adopt(void *state, int32_t descriptor)
{
    (void)state;
    (void)descriptor;
    return -ENOTSUP; /* nothing outside the world may touch it */
}

static void backend_discard(void *state, int32_t descriptor)
{
    (void)close_descriptor(state, descriptor);
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
    .discard = backend_discard,
};

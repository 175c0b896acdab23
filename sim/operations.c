/*
 * operations.c: what becomes of an operation once the flush has handed it over: what faults it
 * meets, how long it takes, what it does, and its end.
 *
 * Socket operations start at once, as a kernel tries them inline, and may wait at their socket.
 * File operations take effect after a latency, as a kernel's workers do them. Each operation of a
 * node has a number, counted per kind over all lives and loops of the node: the occurrence that its
 * faults are named by and its choices are keyed by. It travels in completion->result until the end.
 */
#include "witness.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SPIKE_MEAN_NS (60 * ORR_MILLISECOND)

/* ---- faults that any operation can meet ------------------------------------------------------ */

uint64_t orr__op_actor(const struct orr_node *node, uint8_t op)
{
    return node->id + op * UINT64_C(0x9e3779b97f4a7c15);
}

struct orr__point orr__op_point(const struct orr_node *node, enum orr__fault_kind kind,
                                enum orr__site site, uint8_t op, uint64_t occurrence)
{
    return (struct orr__point){
        .kind = kind,
        .site = site,
        .owner = node->name,
        .part = orr_op_name(op),
        .number = occurrence,
        .actor = orr__op_actor(node, op),
        .occurrence = occurrence,
    };
}

/* Of one loop. */
struct orr__point orr__seat_point(const struct orr__seat *seat, enum orr__fault_kind kind,
                                  enum orr__site site, const char *part, uint64_t number)
{
    return (struct orr__point){
        .kind = kind,
        .site = site,
        .owner = seat->name,
        .part = part,
        .number = number,
        .actor = seat->id,
        .occurrence = number,
    };
}

struct orr__point orr__node_point(const struct orr_node *node, enum orr__fault_kind kind,
                                  enum orr__site site, const char *part, uint64_t number)
{
    return (struct orr__point){
        .kind = kind,
        .site = site,
        .owner = node->name,
        .part = part,
        .number = number,
        .actor = node->id,
        .occurrence = number,
    };
}

uint32_t orr__cut_transfer(struct orr_node *node, uint8_t op, uint64_t occurrence, uint32_t length)
{
    struct orr_world *world = node->world;
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_SHORT, ORR__SITE_OP_PARTIAL, op, occurrence);
    if (length < 2 || !orr__strikes(world, &point))
        return length;
    uint64_t drawn = 1 + orr__draw_below(world, ORR__SITE_OP_PARTIAL_LENGTH, point.actor,
                                         occurrence, length - 1);
    uint32_t cut = (uint32_t)orr__extent(world, &point, drawn, 1, length - 1);
    orr__fault(world, &point, cut, "%u of %u bytes", cut, length);
    return cut;
}

static bool is_sync(uint8_t op)
{
    return op == ORR_OP_FSYNC || op == ORR_OP_FDATASYNC;
}

static bool is_write(uint8_t op)
{
    return op == ORR_OP_WRITE || op == ORR_OP_WRITEV;
}

/* How long an operation takes on a file, if it has one. */
static uint64_t op_latency(struct orr_node *node, const struct orr__file *file, uint8_t op,
                           uint64_t occurrence)
{
    struct orr_world *world = node->world;
    uint64_t actor = orr__op_actor(node, op);
    bool syncs = is_sync(op) || (is_write(op) && file != NULL && orr__file_is_sync(file));
    uint64_t low_ns = syncs ? node->disk_options.sync_ns / 10 : node->disk_options.transfer_ns / 5;
    uint64_t mean_ns =
        (syncs ? node->disk_options.sync_ns : node->disk_options.transfer_ns) - low_ns;
    uint64_t ns =
        low_ns + orr__draw_exponential(world, ORR__SITE_OP_LATENCY, actor, occurrence, mean_ns);
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_LONGER, ORR__SITE_OP_SPIKE, op, occurrence);
    if (orr__strikes(world, &point)) {
        uint64_t drawn_ns =
            orr__draw_exponential(world, ORR__SITE_OP_LATENCY, ~actor, occurrence, SPIKE_MEAN_NS);
        uint64_t spike_ns = orr__extent(world, &point, drawn_ns, 0, ORR__LONGER_MAX_NS);
        orr__fault(world, &point, spike_ns, "takes %" PRIu64 ".%03" PRIu64 " ms longer",
                   spike_ns / ORR_MILLISECOND, spike_ns / ORR_MICROSECOND % 1000);
        ns += spike_ns;
    }
    return ns;
}

/* ---- the end of an operation ----------------------------------------------------------------- */

void orr__ready(struct orr__process *process, struct orr_completion *completion, int64_t result)
{
    struct orr_world *world = process->world;
    struct orr_node *node = process->node;
    orr__police_attempt(process, completion, result);
    orr__record_ended(process, completion, result);
    orr__witness_about(world, node->name, completion->site);
    orr__trace_hash(world, completion->request.op, node->id, (uint64_t)result,
                    (uint64_t)completion->result);
    orr__plan_ended(node, completion->request.op, (uint64_t)completion->result);
    orr__assert(process->in_world > 0);
    process->in_world--;
    completion->result = result;
    completion->request.backend_bits = ORR__PLACE_READY;
    completion->next = NULL;
    completion->previous = NULL;
    struct orr__seat *seat = process->seat;
    const struct orr__point point =
        orr__seat_point(seat, ORR__FAULT_OVERTAKES, ORR__SITE_REORDER, "ready", seat->ready_count);
    bool overtakes = process->ready.count > 0 && orr__strikes(world, &point);
    if (overtakes) {
        orr__fault(world, &point, 0, "%s overtakes %" PRIu64 " other%s",
                   orr_op_name(completion->request.op), process->ready.count,
                   ORR__S(process->ready.count));
        orr_queue_push_first(&process->ready, completion);
    } else {
        orr_queue_push(&process->ready, completion);
    }
    seat->ready_count++;
    orr__schedule_step(process);
}

/* ---- file operations ------------------------------------------------------------------------- */

static int64_t vectored(struct orr__file *file, const struct orr_completion *completion,
                        uint32_t left)
{
    int64_t done = 0;
    bool reads = completion->request.op == ORR_OP_READV;
    uint64_t offset = completion->request.arguments.transfer.offset;
    const struct orr_vector *vectors = completion->request.arguments.transfer.vectors;
    if (left == 0) { /* errors come all the same, but what it would read is not looked at */
        int64_t none =
            reads ? orr__file_read(file, NULL, 0, offset) : orr__file_write(file, NULL, 0, offset);
        return none == -EISDIR ? 0 : none;
    }
    for (uint32_t i = 0; i < completion->request.arguments.transfer.length && left > 0; i++) {
        uint32_t length = vectors[i].length < left ? (uint32_t)vectors[i].length : left;
        if (length == 0)
            continue;
        int64_t step =
            reads ? orr__file_read(file, vectors[i].base, length, offset + (uint64_t)done)
                  : orr__file_write(file, vectors[i].base, length, offset + (uint64_t)done);
        if (step < 0)
            return done > 0 ? done : step;
        done += step;
        left -= (uint32_t)step;
        if (step < (int64_t)length)
            break;
    }
    return done;
}

/* What a disk does to bytes, before a transfer looks at them. */
static void meet_disk(struct orr_node *node, struct orr__file *file, uint8_t op,
                      uint64_t occurrence, uint64_t offset, uint32_t length)
{
    if (op == ORR_OP_READ || op == ORR_OP_READV) {
        orr__evict_read(node, file, op, occurrence);
        orr__spoil_read(node, file, op, occurrence, offset, length);
        return;
    }
    orr__spoil_write(node, file, op, occurrence, offset, length);
    if (orr__file_is_sync(file) && orr__sync_is_lost(node, file, op, occurrence))
        orr__file_lose_sync(file);
}

static uint32_t transfer_length(const struct orr_completion *completion)
{
    bool vectors =
        completion->request.op == ORR_OP_READV || completion->request.op == ORR_OP_WRITEV;
    return vectors ? orr__vectors_length(completion)
                   : completion->request.arguments.transfer.length;
}

/* At most `limit` bytes. */
static int64_t transfer_file(struct orr__process *process, struct orr__file *file,
                             struct orr_completion *completion, uint32_t limit)
{
    uint64_t occurrence = (uint64_t)completion->result;
    uint8_t op = completion->request.op;
    bool vectors = op == ORR_OP_READV || op == ORR_OP_WRITEV;
    uint32_t length = transfer_length(completion);
    uint64_t offset = completion->request.arguments.transfer.offset;
    if (length > limit)
        length = limit;
    if (!orr__file_is_direct(file)) /* a cut inside a sector could not be gone on from */
        length = orr__cut_transfer(process->node, op, occurrence, length);
    meet_disk(process->node, file, op, occurrence, offset, length);
    if (vectors)
        return vectored(file, completion, length);
    if (op == ORR_OP_READ)
        return orr__file_read(file, completion->request.arguments.transfer.buffer, length, offset);
    return orr__file_write(file, completion->request.arguments.transfer.data, length, offset);
}

static int64_t policed_transfer(struct orr__process *process, struct orr__file *file,
                                struct orr_completion *completion, uint32_t limit)
{
    int64_t result = transfer_file(process, file, completion, limit);
    orr__police_read(process, file, completion, result);
    return result;
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
    int32_t descriptor = orr__descriptor_add(process, ORR__DESCRIPTOR_FILE, file, completion->site);
    if (descriptor < 0)
        orr__file_close(file);
    else
        orr__police_opened(process, descriptor, completion->request.arguments.path.path);
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
    case ORR_OP_LINK:
        return orr__disk_link(disk, base, path, completion->request.arguments.path.path_new);
    case ORR_OP_UNLINK:
        return orr__disk_unlink(disk, base, path,
                                (enum orr_unlink_kind)completion->request.arguments.path.flags);
    default:
        return orr__disk_mkdir(disk, base, path, completion->request.arguments.path.mode);
    }
}

static int64_t perform_file(struct orr__process *process, struct orr__file *file,
                            struct orr_completion *completion, uint64_t mark, uint32_t limit)
{
    uint8_t op = completion->request.op;
    int error = orr__disk_error(process->node, file, completion, mark);
    switch (op) {
    case ORR_OP_FSYNC:
    case ORR_OP_FDATASYNC:
        if (error < 0)
            orr__sync_fails(process->node, file, completion, mark, error);
        else if (!orr__sync_is_lost(process->node, file, op, (uint64_t)completion->result))
            error = orr__file_sync(file, mark);
        return error;
    case ORR_OP_READ:
    case ORR_OP_WRITE:
    case ORR_OP_READV:
    case ORR_OP_WRITEV:
        return error < 0 ? error : policed_transfer(process, file, completion, limit);
    case ORR_OP_TRUNCATE:
        return error < 0 ? error
                         : orr__file_truncate(file, completion->request.arguments.range.length);
    case ORR_OP_ALLOCATE:
        return error < 0 ? error
                         : orr__file_allocate(file, completion->request.arguments.range.offset,
                                              completion->request.arguments.range.length);
    default:
        return error < 0 ? error : perform_path(process, file, completion);
    }
}

/* What it changes on the disk is known by its name. */
static int64_t perform(struct orr__process *process, struct orr__file *file,
                       struct orr_completion *completion, uint64_t mark, uint32_t limit)
{
    struct orr__disk *disk = process->node->disk;
    orr__disk_begin(disk, completion->request.op, (uint64_t)completion->result);
    int64_t result = perform_file(process, file, completion, mark, limit);
    orr__disk_end(disk);
    return result;
}

static void file_operation(struct orr__process *process, struct orr_completion *completion,
                           uint64_t mark)
{
    struct orr__file *file = orr__file_of(process, completion->request.descriptor);
    orr__ready(process, completion, perform(process, file, completion, mark, UINT32_MAX));
}

/* ---- operations whose time comes later ------------------------------------------------------- */

static void later(struct orr__process *process, struct orr_completion *completion, uint64_t ns,
                  orr__event_run run, uint64_t argument)
{
    bool canceled = (completion->request.backend_bits & ORR__CANCEL_ASKED) != 0;
    completion->request.backend_bits = ORR__PLACE_LATER;
    completion->previous = (struct orr_completion *)(void *)process;
    orr__schedule(process->world, process->world->now_ns + ns, run, process, completion, argument);
    if (canceled)
        orr__operation_cancel(process, completion);
}

/* The event carries the completion, whose `previous` (ours meanwhile) carries the process. NULL if
 * it was canceled in time: then it has ended without having done anything. */
static struct orr__process *time_has_come(struct orr_completion *completion)
{
    struct orr__process *process = (struct orr__process *)(void *)completion->previous;
    completion->previous = NULL;
    if ((completion->request.backend_bits & ORR__CANCEL_ASKED) == 0)
        return process;
    orr__ready(process, completion, -ECANCELED);
    return NULL;
}

/* Somebody may have begun with it: a choice. */
static bool cancel_comes_in_time(struct orr__process *process,
                                 const struct orr_completion *completion)
{
    return orr__draw_below(process->world, ORR__SITE_CANCEL,
                           orr__op_actor(process->node, completion->request.op),
                           (uint64_t)completion->result, 2) == 0;
}

void orr__operation_cancel(struct orr__process *process, struct orr_completion *completion)
{
    if (cancel_comes_in_time(process, completion))
        completion->request.backend_bits |= ORR__CANCEL_ASKED;
}

static void file_done(struct orr_world *world, void *object, uint64_t mark)
{
    (void)world;
    struct orr_completion *completion = object;
    struct orr__process *process = time_has_come(completion);
    if (process != NULL)
        file_operation(process, completion, mark);
}

/* ---- operations that a crash finds in flight ------------------------------------------------- */

#define UNHEARD_ONE_IN 2u
#define IN_PART_ONE_IN 2u /* writes of them */

/* How much of a write is done: all of it, or what a kernel that looks for signals has copied into
 * the cache, page by page; of a DIRECT one, sectors. */
static uint32_t done_bytes(const struct orr__process *process, const struct orr__file *file,
                           const struct orr_completion *completion, const struct orr__point *point)
{
    uint32_t length = transfer_length(completion);
    uint64_t offset = completion->request.arguments.transfer.offset;
    uint64_t unit = orr__file_step(file);
    if (length == 0)
        return 0;
    uint64_t drawn = 1 + orr__draw_below(process->world, ORR__SITE_OP_PARTIAL_LENGTH, ~point->actor,
                                         point->occurrence, IN_PART_ONE_IN * (uint64_t)length);
    if (drawn > length)
        drawn = length;
    uint64_t bytes = orr__extent(process->world, point, drawn, 1, length);
    uint64_t end = (offset + bytes) / unit * unit;
    if (bytes == length || end <= offset)
        return bytes == length ? length : 0;
    return (uint32_t)(end - offset);
}

/* A kernel's worker finishes what it has begun, or stops in the middle of a write, when the process
 * is gone that would have heard of it. What has no effect is not worth a choice. */
static void finish_unheard(struct orr__process *process, struct orr_completion *completion,
                           uint64_t mark)
{
    uint8_t op = completion->request.op;
    struct orr__file *file = orr__file_of(process, completion->request.descriptor);
    const struct orr__point point = orr__op_point(
        process->node, ORR__FAULT_UNHEARD, ORR__SITE_CRASH_KIND, op, (uint64_t)completion->result);
    bool writes = is_write(op);
    if (op == ORR_OP_READ || op == ORR_OP_READV || op == ORR_OP_STAT ||
        !orr__follows(process->world, &point, UNHEARD_ONE_IN))
        return;
    uint32_t limit = writes ? done_bytes(process, file, completion, &point) : 0;
    if (writes)
        orr__fault(process->world, &point, limit, "writes up to %u of %u bytes, and nobody hears",
                   limit, transfer_length(completion));
    else
        orr__fault(process->world, &point, 0, "goes on to its end, and nobody hears");
    (void)perform(process, file, completion, mark, limit);
}

void orr__operations_die(struct orr__process *process)
{
    void *object;
    uint64_t mark;
    while (orr__withdraw(process->world, process, file_done, &object, &mark)) {
        struct orr_completion *completion = object;
        if ((completion->request.backend_bits & ORR__CANCEL_ASKED) == 0)
            finish_unheard(process, completion, mark);
    }
}

/* ---- links ----------------------------------------------------------------------------------- */

static void link_done(struct orr_world *world, void *object, uint64_t file)
{
    (void)world;
    struct orr_completion *completion = object;
    struct orr__process *process = time_has_come(completion);
    if (process == NULL)
        return;
    struct orr__file *base = orr__file_of(process, completion->request.descriptor);
    int error = orr__disk_error(process->node, base, completion, 0);
    orr__disk_begin(process->node->disk, completion->request.op, (uint64_t)completion->result);
    if (error == 0)
        error = orr__disk_link_file(process->node->disk, base, file,
                                    completion->request.arguments.path.path_new);
    orr__disk_end(process->node->disk);
    orr__ready(process, completion, error);
}

/* A kernel looks up the file, and later makes its new name: what happens to the old one meanwhile
 * does not matter, as long as the file keeps one. */
static void link_looks_up(struct orr_world *world, void *object, uint64_t left_ns)
{
    (void)world;
    struct orr_completion *completion = object;
    struct orr__process *process = time_has_come(completion);
    uint64_t file;
    if (process == NULL)
        return;
    if (orr__disk_find_file(process->node->disk,
                            orr__file_of(process, completion->request.descriptor),
                            completion->request.arguments.path.path, &file) == 0)
        later(process, completion, left_ns, link_done, file);
    else
        file_operation(process, completion, 0);
}

/* REORDER lets others come in between. */
static bool is_link_apart(struct orr__process *process, struct orr_completion *completion,
                          uint64_t occurrence, uint64_t latency_ns)
{
    struct orr_node *node = process->node;
    uint8_t op = completion->request.op;
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_APART, ORR__SITE_REORDER, op, occurrence);
    if (op != ORR_OP_LINK || !orr__strikes(process->world, &point))
        return false;
    uint64_t first_ns = orr__draw_below(process->world, ORR__SITE_REORDER, ~point.actor, occurrence,
                                        latency_ns + 1);
    orr__fault(process->world, &point, 0, "finds its file before it makes the name");
    later(process, completion, first_ns, link_looks_up, latency_ns - first_ns);
    return true;
}

/* ---- operations that hang -------------------------------------------------------------------- */

#define STUCK_LOOK_NS ORR_SECOND

/* Nothing ends it but a crash, or the healing of the world; cancel does not, as in a kernel. */
static void still_stuck(struct orr_world *world, void *object, uint64_t mark)
{
    struct orr_completion *completion = object;
    bool over = world->healed || world->now_ns >= world->faults_until_ns;
    orr__schedule(world, world->now_ns + STUCK_LOOK_NS, over ? file_done : still_stuck,
                  completion->previous, completion, mark);
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

int64_t orr__descriptor_close(struct orr__process *process, int32_t descriptor)
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
    struct orr__socket *socket = orr__socket_of(process, completion->request.descriptor);
    if (socket != NULL) {
        bool canceled = (completion->request.backend_bits & ORR__CANCEL_ASKED) != 0;
        completion->request.backend_bits = ORR__PLACE_SOCKET;
        orr__socket_submit(process, socket, completion, occurrence);
        if (canceled && completion->request.backend_bits == ORR__PLACE_SOCKET)
            orr__socket_cancel(process, socket, completion);
    } else if (completion->request.op == ORR_OP_POLL) { /* a file is ready always */
        uint32_t seen = completion->request.arguments.events & (ORR_POLL_IN | ORR_POLL_OUT);
        orr__ready(process, completion, seen != 0 ? (int64_t)seen : -EINVAL);
    } else {
        orr__ready(process, completion, -ENOTSOCK);
    }
}

/* A socket is read and written like received and sent; it has no offset but 0. */
static bool transfers_on_socket(struct orr__process *process,
                                const struct orr_completion *completion)
{
    const uint64_t transfers = ORR_OP_BIT(ORR_OP_READ) | ORR_OP_BIT(ORR_OP_WRITE) |
                               ORR_OP_BIT(ORR_OP_READV) | ORR_OP_BIT(ORR_OP_WRITEV);
    return (transfers & ORR_OP_BIT(completion->request.op)) != 0 &&
           completion->request.arguments.transfer.offset == 0 &&
           orr__socket_of(process, completion->request.descriptor) != NULL;
}

/* The range is looked at before what it is a range of. */
static int allocate_on_socket(const struct orr_completion *completion)
{
    bool strange = completion->request.arguments.range.length == 0 ||
                   completion->request.arguments.range.length > INT64_MAX ||
                   completion->request.arguments.range.offset > INT64_MAX;
    return strange ? -EINVAL : -ENODEV;
}

/* Sockets have no offsets, no pages and nothing below them; but they can be looked at. */
static int file_operation_on_socket(struct orr_completion *completion)
{
    switch (completion->request.op) {
    case ORR_OP_READ:
    case ORR_OP_WRITE:
    case ORR_OP_READV:
    case ORR_OP_WRITEV:
        return -ESPIPE;
    case ORR_OP_ALLOCATE:
        return allocate_on_socket(completion);
    case ORR_OP_FSYNC:
    case ORR_OP_FDATASYNC:
    case ORR_OP_TRUNCATE:
        return -EINVAL;
    default:
        break;
    }
    const char *path = completion->request.arguments.path.path;
    if (path != NULL && path[0] == '\0')
        return -ENOENT; /* names are read before the handle is looked at */
    if (completion->request.op != ORR_OP_STAT || path != NULL)
        return -ENOTDIR;
    struct orr_stat *status = completion->request.arguments.path.stat;
    memset(status, 0, sizeof *status);
    *status = (struct orr_stat){.links = 1, .mode = 0777, .type = ORR_FILE_OTHER};
    return 0;
}

/* A kernel may leave what it could do at once to its workers, or to the end of the system call:
 * what was submitted after it on other handles can be first. */
static bool is_overtaken(struct orr__process *process, struct orr_completion *completion,
                         uint64_t occurrence, orr__event_run run)
{
    struct orr_node *node = process->node;
    uint8_t op = completion->request.op;
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_DEFERRED, ORR__SITE_REORDER, op, occurrence);
    if (!orr__strikes(process->world, &point))
        return false;
    orr__fault(process->world, &point, 0, "takes effect later");
    later(process, completion, op_latency(node, NULL, op, occurrence), run, occurrence);
    return true;
}

static void refusal_comes(struct orr_world *world, void *object, uint64_t occurrence)
{
    (void)world;
    (void)occurrence;
    struct orr_completion *completion = object;
    struct orr__process *process = time_has_come(completion);
    if (process != NULL)
        orr__ready(process, completion, file_operation_on_socket(completion));
}

static void start_file_operation(struct orr__process *process, struct orr_completion *completion,
                                 uint64_t occurrence)
{
    uint8_t op = completion->request.op;
    if (orr__socket_of(process, completion->request.descriptor) != NULL) {
        if (!is_overtaken(process, completion, occurrence, refusal_comes))
            orr__ready(process, completion, file_operation_on_socket(completion));
        return;
    }
    struct orr__file *file = orr__file_of(process, completion->request.descriptor);
    /* What is no sync needs no mark: its number then tells simultaneous events apart. */
    uint64_t mark = is_sync(op) && file != NULL ? orr__file_sync_mark(file) : occurrence;
    uint64_t latency_ns = op_latency(process->node, file, op, occurrence);
    bool sticks = orr__operation_sticks(process->node, op, occurrence);
    if (sticks || !is_link_apart(process, completion, occurrence, latency_ns))
        later(process, completion, latency_ns, sticks ? still_stuck : file_done, mark);
}

static void end_descriptor(struct orr__process *process, struct orr_completion *completion,
                           uint64_t occurrence)
{
    if (completion->request.op == ORR_OP_CLOSE)
        orr__ready(process, completion,
                   orr__descriptor_close(process, completion->request.descriptor));
    else
        start_socket_operation(process, completion, occurrence);
}

static void end_comes(struct orr_world *world, void *object, uint64_t occurrence)
{
    (void)world;
    struct orr_completion *completion = object;
    struct orr__process *process = time_has_come(completion);
    if (process != NULL)
        end_descriptor(process, completion, occurrence);
}

void orr__operation_start(struct orr__process *process, struct orr_completion *completion)
{
    uint8_t op = completion->request.op;
    uint64_t occurrence = process->node->op_count[op]++;
    completion->next = NULL;
    completion->previous = NULL;
    completion->result = (int64_t)occurrence;
    process->in_world++;
    process->starting = completion;
    if ((completion->request.backend_bits & ORR__CANCEL_ASKED) != 0 &&
        cancel_comes_in_time(process, completion)) {
        orr__ready(process, completion, -ECANCELED);
    } else if (op == ORR_OP_CLOSE || op == ORR_OP_SHUTDOWN) {
        if (!is_overtaken(process, completion, occurrence, end_comes))
            end_descriptor(process, completion, occurrence);
    } else if (on_sockets(op) || transfers_on_socket(process, completion)) {
        start_socket_operation(process, completion, occurrence);
    } else {
        start_file_operation(process, completion, occurrence);
    }
    process->starting = NULL;
    orr__record_begun(process, completion);
}

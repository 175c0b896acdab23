/*
 * witness.c: see witness.h.
 *
 * What an operation gives away is a list of pieces: the bytes of a send or write, paths, or an
 * address as text. They are hashed as they stand at the moment when the operation comes into the
 * batch, before the police looks whether they stay so. The parts of a whole transfer are attempts,
 * and each is an event.
 */
#define _POSIX_C_SOURCE 200809L /* strnlen */

#include "witness.h"

#include "police.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define PIECES_MAX 2u /* but for vectors */

/* ---- the hash -------------------------------------------------------------------------------- */

static uint64_t digest(uint64_t hash, const uint8_t *bytes, uint64_t length)
{
    uint64_t word;
    uint64_t at = 0;
    for (; length - at >= sizeof word; at += sizeof word) {
        memcpy(&word, bytes + at, sizeof word);
        hash = orr__mix(hash, word);
    }
    word = 0;
    if (length > at)
        memcpy(&word, bytes + at, length - at);
    return orr__mix(hash ^ word, length);
}

static void hash_record(struct orr_witness *witness, const struct orr__testimony *record)
{
    uint64_t numbers[] = {record->time_ns, record->kind, record->actor,
                          record->a,       record->b,    record->c};
    for (uint32_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        witness->hash = orr__mix(witness->hash, numbers[i]);
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* Who reads has the stream in order; one who has left needs no more. */
static void write_out(const struct orr_witness *witness, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length > 0) {
        ssize_t written = write(witness->stream, next, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        next += written;
        length -= (size_t)written;
    }
}

static void copy_text(char *to, size_t size, const char *from)
{
    if (from != NULL)
        memcpy(to, from, strnlen(from, size - 1));
}

static const char *name_of(const struct orr_world *world, uint64_t actor)
{
    for (const struct orr_node *node = world->nodes; node != NULL; node = node->next)
        for (const struct orr__seat *seat = &node->seat; seat != NULL; seat = seat->next)
            if (seat->id == actor)
                return seat->name;
    for (uint32_t from = 0; from < world->links_from; from++)
        for (uint32_t i = 0; i < world->links[from].size; i++)
            if (world->links[from].slots[i] != NULL && world->links[from].slots[i]->id == actor)
                return world->links[from].slots[i]->name;
    return "(world)";
}

static void stream_record(struct orr_world *world, struct orr__testimony *record,
                          const uint8_t *bytes)
{
    const struct orr_witness *witness = world->witness;
    const char *who = witness->who != NULL ? witness->who : name_of(world, record->actor);
    copy_text(record->who, sizeof record->who, who);
    copy_text(record->site, sizeof record->site, witness->site);
    write_out(witness, record, sizeof *record);
    write_out(witness, bytes, record->size);
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool is_recording(const struct orr_world *world)
{
    return world->witness != NULL && !world->failed;
}

/* One event with what it gives away. In the stream a piece that is long, or not the first, goes on
 * in records of its own. */
static void record(struct orr_world *world, const struct orr__testimony *event,
                   const struct orr_vector *pieces, uint32_t piece_count)
{
    struct orr_witness *witness = world->witness;
    struct orr__testimony out = *event;
    out.time_ns = world->now_ns;
    hash_record(witness, &out);
    bool begun = false;
    for (uint32_t i = 0; i < piece_count; i++) {
        const uint8_t *bytes = pieces[i].base;
        witness->hash = digest(witness->hash, bytes, pieces[i].length);
        for (uint64_t at = 0; witness->stream >= 0 && at < pieces[i].length; at += out.size) {
            uint64_t left = pieces[i].length - at;
            out.size = left < ORR__WITNESS_BYTES_MAX ? (uint32_t)left : ORR__WITNESS_BYTES_MAX;
            stream_record(world, &out, bytes + at);
            out.at += out.size;
            begun = true;
        }
    }
    if (witness->stream >= 0 && !begun)
        stream_record(world, &out, NULL);
    witness->who = NULL;
    witness->site = NULL;
}

void orr__witness_event(struct orr_world *world, uint64_t kind, uint64_t actor, uint64_t a,
                        uint64_t b)
{
    if (is_recording(world))
        record(world, &(struct orr__testimony){.kind = kind, .actor = actor, .a = a, .b = b}, NULL,
               0);
}

void orr__witness_about(struct orr_world *world, const char *who, const char *site)
{
    if (!is_recording(world))
        return;
    world->witness->who = who;
    world->witness->site = site;
}

/* The bytes of a send or write; one piece, or the caller's vectors. */
static uint32_t find_data(const struct orr_completion *completion, struct orr_vector *own,
                          const struct orr_vector **ret_pieces)
{
    const union orr_arguments *arguments = &completion->request.arguments;
    *ret_pieces = own;
    switch (completion->request.op) {
    case ORR_OP_SEND:
    case ORR_OP_WRITE:
        own->base = arguments->transfer.buffer;
        own->length = arguments->transfer.length;
        return 1;
    case ORR_OP_SEND_TO:
        own->base = arguments->datagram->buffer;
        own->length = arguments->datagram->length;
        return 1;
    case ORR_OP_WRITEV:
        *ret_pieces = arguments->transfer.vectors;
        return arguments->transfer.length;
    default:
        return 0;
    }
}

static uint32_t find_paths(const struct orr_completion *completion,
                           struct orr_vector pieces[PIECES_MAX])
{
    const char *paths[PIECES_MAX] = {completion->request.arguments.path.path,
                                     completion->request.arguments.path.path_new};
    uint32_t count = 0;
    for (uint32_t i = 0; i < PIECES_MAX; i++) {
        if (paths[i] == NULL)
            continue;
        pieces[count].length = strlen(paths[i]);
        memcpy(&pieces[count++].base, &paths[i], sizeof paths[i]); /* it is only read */
    }
    return count;
}

static void fill_numbers(const struct orr_completion *completion, struct orr__testimony *event)
{
    const union orr_arguments *arguments = &completion->request.arguments;
    uint64_t op = ORR_OP_BIT(completion->request.op);
    const uint64_t paths =
        ORR_OP_BIT(ORR_OP_OPEN) | ORR_OP_BIT(ORR_OP_UNLINK) | ORR_OP_BIT(ORR_OP_MKDIR);
    const uint64_t ranges = ORR_OP_BIT(ORR_OP_TRUNCATE) | ORR_OP_BIT(ORR_OP_ALLOCATE);
    const uint64_t events = ORR_OP_BIT(ORR_OP_POLL) | ORR_OP_BIT(ORR_OP_SHUTDOWN);
    if ((op & (ORR_OP_BIT(ORR_OP_RECV_FROM) | ORR_OP_BIT(ORR_OP_SEND_TO))) != 0) {
        event->b = arguments->datagram->length;
    } else if ((op & (ORR__RECEIVES | ORR__SENDS)) != 0) {
        bool vectors = (op & (ORR_OP_BIT(ORR_OP_READV) | ORR_OP_BIT(ORR_OP_WRITEV))) != 0;
        event->b = vectors ? orr__vectors_length(completion) : arguments->transfer.length;
        event->c = arguments->transfer.offset;
    } else if ((op & paths) != 0) {
        event->b = arguments->path.flags;
        event->c = arguments->path.mode;
    } else if ((op & ranges) != 0) {
        event->b = arguments->range.length;
        event->c = arguments->range.offset;
    } else if ((op & events) != 0) {
        event->b = arguments->events;
    }
}

/* Where to: as text, for the structure may have bytes that mean nothing. */
static const struct orr_address *find_address(const struct orr_completion *completion)
{
    if (completion->request.op == ORR_OP_CONNECT)
        return completion->request.arguments.peer.target;
    if (completion->request.op == ORR_OP_SEND_TO &&
        completion->request.arguments.datagram->peer.length > 0)
        return &completion->request.arguments.datagram->peer;
    return NULL;
}

static bool is_on_paths(uint8_t op)
{
    return op == ORR_OP_OPEN || op == ORR_OP_STAT || op == ORR_OP_RENAME || op == ORR_OP_LINK ||
           op == ORR_OP_UNLINK || op == ORR_OP_MKDIR;
}

void orr__witness_submit(const struct orr__process *process,
                         const struct orr_completion *completion)
{
    struct orr_world *world = process->world;
    if (!is_recording(world))
        return;
    struct orr__testimony event = {.kind = ORR__WITNESS_SUBMIT + completion->request.op,
                                   .actor = process->node->id,
                                   .a = (uint64_t)completion->request.descriptor};
    struct orr_vector own[PIECES_MAX];
    const struct orr_vector *pieces = own;
    char address[ORR_ADDRESS_TEXT_MAX] = "";
    uint32_t count = is_on_paths(completion->request.op) ? find_paths(completion, own)
                                                         : find_data(completion, own, &pieces);
    fill_numbers(completion, &event);
    if (find_address(completion) != NULL) {
        orr_address_format(find_address(completion), address, sizeof address);
        own[count++] = (struct orr_vector){.base = address, .length = strlen(address)};
    }
    orr__witness_about(world, process->node->name, completion->site);
    record(world, &event, pieces, count);
}

static void record_operation(const struct orr__process *process, enum orr__witness_kind kind,
                             const struct orr_completion *completion, const char *site,
                             int64_t result)
{
    struct orr__testimony event = {.kind = (uint64_t)kind + completion->request.op,
                                   .actor = process->node->id,
                                   .a = (uint64_t)completion->request.descriptor,
                                   .b = (uint64_t)result};
    orr__witness_about(process->world, process->node->name, site);
    record(process->world, &event, NULL, 0);
}

void orr__witness_callback(const struct orr__process *process,
                           const struct orr_completion *completion, int64_t result)
{
    if (is_recording(process->world))
        record_operation(process, ORR__WITNESS_CALLBACK, completion, completion->site, result);
}

void orr__witness_cancel(const struct orr__process *process,
                         const struct orr_completion *completion)
{
    const struct orr_completion *canceler = completion->canceler;
    if (is_recording(process->world))
        record_operation(process, ORR__WITNESS_CANCEL, completion,
                         canceler != NULL ? canceler->site : completion->site, 0);
}

/* ---- timers and demands ---------------------------------------------------------------------- */

static void keep_first(void *context, const struct orr_completion *completion)
{
    const struct orr_completion **first = context;
    if (completion->request.op != ORR_OP_TIMEOUT)
        return;
    uint64_t deadline_ns = completion->request.arguments.timer.deadline_ns;
    uint64_t sequence = completion->request.arguments.timer.sequence;
    uint64_t first_ns = *first != NULL ? (*first)->request.arguments.timer.deadline_ns : UINT64_MAX;
    if (deadline_ns < first_ns || (deadline_ns == first_ns && *first != NULL &&
                                   sequence < (*first)->request.arguments.timer.sequence))
        *first = completion;
}

/* The loop keeps timers to itself; only the one that is due first makes a difference. */
void orr__witness_timer(const struct orr__process *process, uint64_t wait_ns)
{
    struct orr_world *world = process->world;
    const struct orr_completion *first = NULL;
    if (!is_recording(world) || wait_ns == 0 || wait_ns == UINT64_MAX)
        return;
    if (world->witness->stream >= 0)
        orr_loop_operations(process->loop, keep_first, (void *)&first);
    struct orr__testimony event = {
        .kind = ORR__WITNESS_TIMER, .actor = process->node->id, .a = wait_ns};
    orr__witness_about(world, process->node->name, first != NULL ? first->site : NULL);
    record(world, &event, NULL, 0);
}

void orr__witness_demand(const struct orr__process *process, enum orr__witness_kind kind,
                         uint64_t count)
{
    if (is_recording(process->world))
        orr__witness_event(process->world, kind, process->node->id, count, 0);
}

uint8_t orr__witness_garbage(const struct orr_world *world, uint8_t usual)
{
    return world->witness != NULL ? usual ^ world->witness->poison : usual;
}

/* ---- words ----------------------------------------------------------------------------------- */

static void operation_text(const struct orr__testimony *record, uint8_t op, const char *verb,
                           char *text, size_t size)
{
    const uint64_t transfers = ORR__RECEIVES | ORR__SENDS;
    const uint64_t offsets = ORR_OP_BIT(ORR_OP_READ) | ORR_OP_BIT(ORR_OP_WRITE) |
                             ORR_OP_BIT(ORR_OP_READV) | ORR_OP_BIT(ORR_OP_WRITEV);
    char of[32] = "";
    char at[32] = "";
    char on[24] = "";
    if ((transfers & ORR_OP_BIT(op)) != 0)
        snprintf(of, sizeof of, " of %" PRIu64 " byte%s", record->b, ORR__S(record->b));
    if ((offsets & ORR_OP_BIT(op)) != 0)
        snprintf(at, sizeof at, " at %" PRIu64, record->c);
    if ((int64_t)record->a >= 0)
        snprintf(on, sizeof on, " on %" PRIu64, record->a);
    snprintf(text, size, "%s %s%s%s%s", verb, orr_op_name(op), of, at, on);
}

static void result_text(const char *what, int64_t result, char *text, size_t size)
{
    if (result < 0)
        snprintf(text, size, "%s -%s", what, orr_error_name((int)-result));
    else
        snprintf(text, size, "%s %" PRId64, what, result);
}

static void network_text(const struct orr__testimony *record, char *text, size_t size)
{
    static const char *const names[] = {
        [0] = "connect",
        [ORR__NET_SYN_ACK - ORR__NET_SYN] = "accept",
        [ORR__NET_SYN_RETRY - ORR__NET_SYN] = "another connect",
        [ORR__NET_SEGMENT - ORR__NET_SYN] = "segment",
        [ORR__NET_RESET - ORR__NET_SYN] = "reset",
        [ORR__NET_WINDOW - ORR__NET_SYN] = "window",
        [ORR__NET_RETRANSMIT - ORR__NET_SYN] = "retransmission",
        [ORR__NET_KEEP_ALIVE - ORR__NET_SYN] = "keep-alive",
        [ORR__NET_DATAGRAM - ORR__NET_SYN] = "datagram",
        [ORR__NET_UNREACHABLE - ORR__NET_SYN] = "refusal of a datagram",
    };
    uint64_t number = record->kind - ORR__NET_SYN;
    const char *name = number < sizeof names / sizeof *names ? names[number] : "packet";
    snprintf(text, size, "carries a %s (#%" PRIu64 ", %" PRIu64 ")", name, record->a, record->b);
}

static void world_text(const struct orr__testimony *record, char *text, size_t size)
{
    if (record->kind == ORR__EVENT_BOOT)
        snprintf(text, size, "boots (life %" PRIu64 ")", record->a);
    else if (record->kind == ORR__EVENT_CRASH)
        snprintf(text, size, "ends (life %" PRIu64 ")", record->b);
    else if (record->kind == ORR__EVENT_STEP)
        snprintf(text, size, "makes a pass");
    else if (record->kind == ORR__EVENT_PAUSE)
        snprintf(text, size, "goes on after a pause");
    else if (record->kind == ORR__EVENT_WIPE)
        snprintf(text, size, "gets an empty disk");
    else if (record->kind == ORR__EVENT_FAILED)
        snprintf(text, size, "is a check that fails");
    else if (record->kind - ORR__EVENT_FAULT < ORR_FAMILY_COUNT)
        snprintf(text, size, "is struck by the fault %s",
                 orr_fault_family_name((enum orr_fault_family)(record->kind - ORR__EVENT_FAULT)));
    else
        network_text(record, text, size);
}

void orr__witness_text(const struct orr__testimony *record, char *text, size_t size)
{
    uint64_t kind = record->kind;
    char what[64];
    if (kind < ORR_OP_COUNT) {
        snprintf(what, sizeof what, "%s#%" PRIu64 " ends with", orr_op_name((uint8_t)kind),
                 record->b);
        result_text(what, (int64_t)record->a, text, size);
    } else if (kind - ORR__WITNESS_SUBMIT < ORR_OP_COUNT) {
        operation_text(record, (uint8_t)(kind - ORR__WITNESS_SUBMIT), "submits", text, size);
    } else if (kind - ORR__WITNESS_CALLBACK < ORR_OP_COUNT) {
        snprintf(what, sizeof what,
                 "calls back %s:", orr_op_name((uint8_t)(kind - ORR__WITNESS_CALLBACK)));
        result_text(what, (int64_t)record->b, text, size);
    } else if (kind - ORR__WITNESS_CANCEL < ORR_OP_COUNT) {
        snprintf(text, size, "cancels %s", orr_op_name((uint8_t)(kind - ORR__WITNESS_CANCEL)));
    } else if (kind == ORR__WITNESS_TIMER) {
        snprintf(text, size, "has its next timer in %" PRIu64 ".%06" PRIu64 " ms",
                 record->a / ORR_MILLISECOND, record->a % ORR_MILLISECOND);
    } else if (kind == ORR__WITNESS_MEMORY) {
        snprintf(text, size, "asks for %" PRIu64 " byte%s of memory", record->a, ORR__S(record->a));
    } else if (kind == ORR__WITNESS_RANDOM) {
        snprintf(text, size, "asks for %" PRIu64 " random byte%s", record->a, ORR__S(record->a));
    } else {
        world_text(record, text, size);
    }
}

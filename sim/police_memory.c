/*
 * police_memory.c: buffers in flight belong to the loop.
 *
 * A kernel reads a send's buffer, and writes a receive's, at any time until the callback. So the
 * world keeps a copy of what the buffer holds at the submit. Of a send, the bytes must still be
 * those when the world takes them, and when the operation ends. A receive's buffer is filled with
 * garbage, for the program to choke on if it reads before its time; what the world has not written
 * must still be garbage at the end, and is then given back as it was: an operation that receives
 * little, or fails, changes no more of the buffer than a kernel would.
 *
 * Most of a large buffer has often never been used, and holds one value. To copy that, to fill it
 * and to give it back would be most of the work: beyond the first HIDDEN bytes a rest of one value
 * stays as it is. That nobody writes there is looked at all the same.
 *
 * What is compared is the first and the last EDGE bytes of an operation; the middle of a larger one
 * is not looked at, for the sake of speed. A write of the very bytes that are there goes unseen.
 */
#include "police.h"
#include "witness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EDGE (UINT64_C(64) << 10)
#define HIDDEN UINT64_C(4096)

/* ---- the parts that are looked at ------------------------------------------------------------ */

/* Some bytes in a row, in the program's memory and in the copy. */
struct part {
    uint8_t *bytes;
    uint64_t at;      /* where in the transfer */
    uint64_t copy_at; /* where in the copy */
    uint64_t length;
};

struct cursor {
    uint64_t at;
    uint64_t in_piece;
    uint32_t piece;
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Of the `left` bytes at `at`, how many are looked at or left out in a row. */
static uint64_t row(const struct orr__watch *watch, uint64_t at, uint64_t left, bool *ret_looked_at)
{
    *ret_looked_at = true;
    if (watch->length <= 2 * EDGE || at >= watch->length - EDGE)
        return left;
    *ret_looked_at = at < EDGE;
    return least(left, (at < EDGE ? EDGE : watch->length - EDGE) - at);
}

/* Where the copy has what is at `at`. */
static uint64_t in_copy(const struct orr__watch *watch, uint64_t at)
{
    return watch->length > 2 * EDGE && at > EDGE ? at - (watch->length - 2 * EDGE) : at;
}

static bool next_part(const struct orr__watch *watch, struct cursor *cursor, struct part *ret_part)
{
    while (cursor->piece < watch->piece_count && cursor->at < watch->length) {
        const struct orr_vector *piece = &watch->pieces[cursor->piece];
        uint64_t left = least(piece->length - cursor->in_piece, watch->length - cursor->at);
        if (left == 0) {
            cursor->piece++;
            cursor->in_piece = 0;
            continue;
        }
        bool looked_at;
        uint64_t length = row(watch, cursor->at, left, &looked_at);
        *ret_part = (struct part){.bytes = (uint8_t *)piece->base + cursor->in_piece,
                                  .at = cursor->at,
                                  .copy_at = in_copy(watch, cursor->at),
                                  .length = length};
        cursor->at += length;
        cursor->in_piece += length;
        if (looked_at)
            return true;
    }
    return false;
}

/* Leaves of the part what lies from `from` to `to`. False if that is nothing. */
static bool narrow(struct part *part, uint64_t from, uint64_t to)
{
    uint64_t first = part->at > from ? part->at : from;
    uint64_t end = least(part->at + part->length, to);
    if (first >= end)
        return false;
    part->bytes += first - part->at;
    part->copy_at += first - part->at;
    part->length = end - first;
    part->at = first;
    return true;
}

static bool is_all(const uint8_t *bytes, uint64_t length, uint8_t value)
{
    return bytes[0] == value && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* ---- the rest of one value ------------------------------------------------------------------- */

/* How many of the last bytes have that value, rounded down. */
static uint64_t tail_of(const struct part *part, uint8_t value)
{
    uint64_t left = part->length;
    for (uint64_t block = 4096; block >= 64; block /= 8)
        while (left >= block && is_all(part->bytes + left - block, block, value))
            left -= block;
    return part->length - left;
}

static void find_rest(struct orr__watch *watch)
{
    struct cursor cursor = {0};
    struct part part;
    watch->rest_from = watch->length;
    if (!watch->receives)
        return;
    while (next_part(watch, &cursor, &part))
        watch->rest = part.bytes[part.length - 1];
    cursor = (struct cursor){0};
    watch->rest_from = least(watch->length, HIDDEN);
    while (next_part(watch, &cursor, &part)) {
        uint64_t tail = tail_of(&part, watch->rest);
        uint64_t end = part.at + part.length - tail;
        if (tail < part.length && end > HIDDEN)
            watch->rest_from = end;
    }
}

/* ---- what is found --------------------------------------------------------------------------- */

static void report(const struct orr__watch *watch, const struct part *part, uint64_t index,
                   uint8_t was)
{
    const struct orr_completion *completion = watch->completion;
    orr__world_fail(
        watch->process->world, "a buffer in flight belongs to the loop",
        orr__police_site(completion->site),
        "node %s has changed byte %" PRIu64 " of the %" PRIu64 " of this %s on %d (0x%02x is "
        "0x%02x) before it has called back: %s",
        watch->process->node->name, part->at + index, watch->length,
        orr_op_name(completion->request.op), completion->request.descriptor, was,
        part->bytes[index],
        watch->receives ? "only the world may write there; give each operation its own buffer"
                        : "send from a buffer that nobody writes to until then");
}

/* The bytes sent are those of the submit. */
static void check_sent(const struct orr__watch *watch, uint64_t from, uint64_t to)
{
    struct cursor cursor = {0};
    struct part part;
    while (next_part(watch, &cursor, &part)) {
        if (!narrow(&part, from, to))
            continue;
        const uint8_t *copy = watch->copy + part.copy_at;
        if (memcmp(part.bytes, copy, part.length) == 0)
            continue;
        uint64_t index = 0;
        while (part.bytes[index] == copy[index])
            index++;
        report(watch, &part, index, copy[index]);
        return;
    }
}

/* What the world has not written is as it was left: garbage, and the rest. */
static bool is_untouched(const struct orr__watch *watch, const struct part *part, uint8_t value)
{
    if (is_all(part->bytes, part->length, value))
        return true;
    uint64_t index = 0;
    while (part->bytes[index] == value)
        index++;
    report(watch, part, index, value);
    return false;
}

/* Of it, what was made garbage is given back as it was. */
static void give_back(const struct orr__watch *watch)
{
    struct cursor cursor = {0};
    struct part part;
    uint8_t garbage = orr__witness_garbage(watch->process->world, ORR__GARBAGE);
    while (next_part(watch, &cursor, &part)) {
        struct part hidden = part;
        if (narrow(&hidden, watch->done, watch->rest_from)) {
            if (!is_untouched(watch, &hidden, garbage))
                return;
            memcpy(hidden.bytes, watch->copy + hidden.copy_at, hidden.length);
        }
        uint64_t from = watch->done > watch->rest_from ? watch->done : watch->rest_from;
        if (narrow(&part, from, UINT64_MAX) && !is_untouched(watch, &part, watch->rest))
            return;
    }
}

/* ---- from submit to callback ----------------------------------------------------------------- */

static void find_pieces(struct orr__watch *watch)
{
    const struct orr_completion *completion = watch->completion;
    const union orr_arguments *arguments = &completion->request.arguments;
    uint8_t op = completion->request.op;
    watch->pieces = &watch->one;
    watch->piece_count = 1;
    if (op == ORR_OP_RECV_FROM || op == ORR_OP_SEND_TO) {
        watch->one = (struct orr_vector){.base = arguments->datagram->buffer,
                                         .length = arguments->datagram->length};
    } else if (op == ORR_OP_READV || op == ORR_OP_WRITEV) {
        watch->piece_count = arguments->transfer.length;
        watch->pieces = (const struct orr_vector *)(const void *)watch->argument_bytes;
        watch->length = orr__vectors_length(completion);
        return;
    } else {
        watch->one = (struct orr_vector){.base = arguments->transfer.buffer,
                                         .length = arguments->transfer.length};
    }
    watch->length = watch->one.length;
}

static void make_room(struct orr__watch *watch)
{
    size_t size = (size_t)in_copy(watch, watch->rest_from);
    if (size <= watch->copy_capacity)
        return;
    free(watch->copy);
    watch->copy = malloc(size);
    watch->copy_capacity = size;
    if (watch->copy == NULL)
        orr_fatal("no memory to watch %zu bytes in flight", size);
}

void orr__watch_memory(struct orr__watch *watch)
{
    struct cursor cursor = {0};
    struct part part;
    uint8_t garbage = orr__witness_garbage(watch->process->world, ORR__GARBAGE);
    watch->receives = (ORR__RECEIVES & ORR_OP_BIT(watch->completion->request.op)) != 0;
    find_pieces(watch);
    find_rest(watch);
    make_room(watch);
    while (next_part(watch, &cursor, &part)) {
        if (!narrow(&part, 0, watch->rest_from))
            continue;
        memcpy(watch->copy + part.copy_at, part.bytes, part.length);
        if (watch->receives)
            memset(part.bytes, garbage, part.length);
    }
}

void orr__watch_moved(struct orr__watch *watch, uint64_t count)
{
    if (!watch->receives && !watch->process->world->failed)
        check_sent(watch, watch->done, watch->done + count);
    watch->done += count;
}

void orr__unwatch_memory(struct orr__watch *watch)
{
    if (watch->piece_count == 0 || watch->process->world->failed)
        return;
    if (watch->receives)
        give_back(watch);
    else
        check_sent(watch, 0, watch->length);
}

static bool meets(const void *a, size_t a_size, const void *b, size_t b_size)
{
    uintptr_t a_at = (uintptr_t)a;
    uintptr_t b_at = (uintptr_t)b;
    return a_at < b_at + b_size && b_at < a_at + a_size;
}

bool orr__watch_uses(const struct orr__watch *watch, const void *memory, size_t size)
{
    if (meets(watch->completion, sizeof *watch->completion, memory, size))
        return true;
    for (uint32_t i = 0; i < watch->piece_count; i++)
        if (meets(watch->pieces[i].base, watch->pieces[i].length, memory, size))
            return true;
    for (uint32_t i = 0; i < watch->argument_count; i++)
        if (meets(watch->arguments[i].memory, watch->arguments[i].size, memory, size))
            return true;
    return false;
}

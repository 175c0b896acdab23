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
 * What is compared is the first and the last EDGE bytes of an operation; the middle of a larger one
 * is not looked at, for the sake of speed. A write of the very bytes that are there goes unseen.
 */
#include "police.h"
#include "witness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EDGE (UINT64_C(64) << 10)
#define GARBAGE 0xdb

/* ---- the parts that are looked at ------------------------------------------------------------ */

/* Some bytes in a row, in the program's memory and in the copy. */
struct part {
    uint8_t *bytes;
    uint8_t *copy;
    uint64_t at; /* where in the transfer */
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
        uint64_t in_copy = cursor->at;
        if (watch->length > 2 * EDGE && in_copy >= EDGE)
            in_copy -= watch->length - 2 * EDGE;
        *ret_part = (struct part){.bytes = (uint8_t *)piece->base + cursor->in_piece,
                                  .copy = watch->copy + (looked_at ? in_copy : 0),
                                  .at = cursor->at,
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
    part->copy += first - part->at;
    part->length = end - first;
    part->at = first;
    return true;
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
        if (!narrow(&part, from, to) || memcmp(part.bytes, part.copy, part.length) == 0)
            continue;
        uint64_t index = 0;
        while (part.bytes[index] == part.copy[index])
            index++;
        report(watch, &part, index, part.copy[index]);
        return;
    }
}

static bool is_garbage(const uint8_t *bytes, uint64_t length, uint8_t garbage)
{
    return bytes[0] == garbage && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* What the world has not written is garbage still, and is given back as it was. */
static void give_back_rest(const struct orr__watch *watch)
{
    struct cursor cursor = {0};
    struct part part;
    uint8_t garbage = orr__witness_garbage(watch->process->world, GARBAGE);
    while (next_part(watch, &cursor, &part)) {
        if (!narrow(&part, watch->done, UINT64_MAX))
            continue;
        if (!is_garbage(part.bytes, part.length, garbage)) {
            uint64_t index = 0;
            while (part.bytes[index] == garbage)
                index++;
            report(watch, &part, index, garbage);
            return;
        }
        memcpy(part.bytes, part.copy, part.length);
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
    size_t size = (size_t)least(watch->length, 2 * EDGE);
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
    uint8_t garbage = orr__witness_garbage(watch->process->world, GARBAGE);
    watch->receives = (ORR__RECEIVES & ORR_OP_BIT(watch->completion->request.op)) != 0;
    find_pieces(watch);
    make_room(watch);
    while (next_part(watch, &cursor, &part)) {
        memcpy(part.copy, part.bytes, part.length);
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
        give_back_rest(watch);
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

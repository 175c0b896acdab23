/*
 * span.c: the memory of a transfer, whatever operation names it: one buffer, the pieces of a
 * vector, or that of a datagram. Who moves the bytes need not know which.
 */
#include "network.h"

#include <string.h>

uint32_t orr__vectors_length(const struct orr_completion *completion)
{
    uint64_t total = 0;
    const struct orr_vector *vectors = completion->request.arguments.transfer.vectors;
    for (uint32_t i = 0; i < completion->request.arguments.transfer.length; i++)
        total += vectors[i].length < ORR_TRANSFER_MAX ? vectors[i].length : ORR_TRANSFER_MAX;
    return total < ORR_TRANSFER_MAX ? (uint32_t)total : (uint32_t)ORR_TRANSFER_MAX;
}

static void one_piece(struct orr__span *span, void *buffer, uint32_t length)
{
    span->one = (struct orr_vector){.base = buffer, .length = length};
    span->pieces = &span->one;
    span->length = length;
}

void orr__span_of(const struct orr_completion *completion, struct orr__span *ret_span)
{
    const union orr_arguments *arguments = &completion->request.arguments;
    switch (completion->request.op) {
    case ORR_OP_RECV_FROM:
    case ORR_OP_SEND_TO:
        one_piece(ret_span, arguments->datagram->buffer, arguments->datagram->length);
        break;
    case ORR_OP_READV:
    case ORR_OP_WRITEV:
        ret_span->pieces = arguments->transfer.vectors;
        ret_span->length = orr__vectors_length(completion);
        break;
    default:
        one_piece(ret_span, arguments->transfer.buffer, arguments->transfer.length);
        break;
    }
}

uint32_t orr__span_step(const struct orr_vector *piece, uint32_t left)
{
    return piece->length < left ? (uint32_t)piece->length : left;
}

void orr__span_fill(const struct orr__span *span, const void *from, uint32_t length)
{
    const uint8_t *at = from;
    for (const struct orr_vector *piece = span->pieces; length > 0; piece++) {
        uint32_t step = orr__span_step(piece, length);
        if (step > 0)
            memcpy(piece->base, at, step);
        at += step;
        length -= step;
    }
}

void orr__span_copy(const struct orr__span *span, void *to, uint32_t length)
{
    uint8_t *at = to;
    for (const struct orr_vector *piece = span->pieces; length > 0; piece++) {
        uint32_t step = orr__span_step(piece, length);
        if (step > 0)
            memcpy(at, piece->base, step);
        at += step;
        length -= step;
    }
}

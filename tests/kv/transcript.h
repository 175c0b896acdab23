/*
 * transcript.h: what the request parser makes of a stream of bytes, as one readable line.
 *
 *      [SET,a,b][][GET,x\x00y]!Protocol error: invalid bulk length
 *
 * Each command in brackets, an empty argument as '', bytes that are not plain text as \xNN; then
 * the error, or "..." if the stream ends inside a command. Two ways to cut one stream must give one
 * transcript: that is the parser's main promise; tests and the fuzz target check it with this.
 */
#ifndef KV_TEST_TRANSCRIPT_H
#define KV_TEST_TRANSCRIPT_H

#include "examples/kv/buffer.h"
#include "examples/kv/resp.h"

/* Says after how many bytes the next piece ends; the stream has `length` of them, `start` are
 * out already. Must answer start + 1 .. length. */
typedef size_t (*transcript_cut)(void *context, size_t start, size_t length);

/* Shows `stream` to a new parser in pieces (all in one, if `cut` is NULL) and appends what comes
 * out to `ret_text`. Each piece makes the request buffer longer by a new allocation of the exact
 * size, so that a sanitizer sees any read outside. Aborts if the parser breaks a promise that holds
 * for any input. */
void transcript_of(const struct kv_resp_limits *limits, const uint8_t *stream, size_t length,
                   transcript_cut cut, void *context, struct kv_buffer *ret_text);

#endif

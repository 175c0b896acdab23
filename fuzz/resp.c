/*
 * fuzz/resp.c: the RESP request parser against any bytes, and against itself.
 *
 * The first four bytes of the input say how the rest, the stream, is cut into pieces and which
 * limits hold. Oracles:
 *   - the stream cut into pieces has the transcript of the whole stream;
 *   - so has the stream byte by byte, if it is not long;
 *   - the stream as one command's arguments, encoded and parsed again, gives those arguments;
 *   - what transcript.c demands of every input (bounds, limits, `wanted`), and the sanitizers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "examples/kv/ensure.h"
#include "examples/kv/resp.h"
#include "tests/kv/memory.h"
#include "tests/kv/transcript.h"

#define HEAD_LENGTH ((size_t)4)
#define BYTEWISE_LENGTH_MAX ((size_t)2048) /* the pieces are copied: their cost is quadratic */
#define TEXT_LENGTH_MAX ((size_t)64 * 1024 * 1024)

/* First, limits so low that a header of few bytes goes beyond each of them. */
static const struct kv_resp_limits limits_of[2] = {
    {.arguments_max = 16, .bulk_length_max = 70000, .command_length_max = 64 * 1024 + 1},
    {.arguments_max = 1000, .bulk_length_max = 1 << 20, .command_length_max = 1 << 22},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Pieces of 1 .. spread bytes, drawn from a state of 16 bits. */
struct pieces {
    uint32_t state;
    uint32_t spread;
};

static size_t cut_pieces(void *context, size_t start, size_t length)
{
    struct pieces *pieces = context;
    pieces->state = (pieces->state * 75 + 74) % 65537;
    size_t piece = 1 + pieces->state % pieces->spread;
    return piece < length - start ? start + piece : length;
}

static void check_same(const struct kv_buffer *text, const struct kv_buffer *expected)
{
    kv_ensure(!text->failed && !expected->failed);
    kv_ensure(text->length == expected->length);
    kv_ensure(text->length == 0 || memcmp(text->bytes, expected->bytes, text->length) == 0);
}

static void check_cuts(const struct kv_resp_limits *limits, const uint8_t *head,
                       const uint8_t *stream, size_t length, const struct kv_memory *memory)
{
    struct kv_buffer whole;
    struct kv_buffer cut;
    struct pieces pieces[2] = {
        {.state = (uint32_t)head[0] << 8 | head[1], .spread = 1 + (uint32_t)head[2] * head[2]},
        {.spread = 1},
    };
    kv_buffer_init(&whole, memory, TEXT_LENGTH_MAX);
    kv_buffer_init(&cut, memory, TEXT_LENGTH_MAX);
    transcript_of(limits, stream, length, NULL, NULL, &whole);
    for (size_t i = 0; i < (length <= BYTEWISE_LENGTH_MAX ? 2 : 1); i++) {
        transcript_of(limits, stream, length, cut_pieces, &pieces[i], &cut);
        check_same(&cut, &whole);
        kv_buffer_truncate(&cut, 0);
    }
    kv_buffer_free(&whole);
    kv_buffer_free(&cut);
}

/* Encodes the stream as a command of `count` arguments about equally long, and parses it. */
static void check_round_trip(const uint8_t *stream, size_t length, uint32_t count,
                             const struct kv_memory *memory)
{
    struct kv_buffer request;
    struct kv_resp_parser parser;
    struct kv_resp_command command;
    struct kv_slice arguments[16];
    size_t each = length / count;
    kv_buffer_init(&request, memory, TEXT_LENGTH_MAX);
    kv_reply_array(&request, count);
    for (uint32_t i = 0; i < count; i++) {
        kv_reply_bulk(&request, stream + i * each, i + 1 < count ? each : length - i * each);
    }
    kv_resp_init(&parser, &limits_of[1]);
    kv_ensure(kv_resp_parse(&parser, request.bytes, request.length, &command) == KV_RESP_COMMAND);
    kv_ensure(command.length == request.length && command.argument_count == count);
    kv_resp_split(&command, request.bytes, arguments);
    size_t position = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t argument_length = arguments[i].length;
        kv_ensure(argument_length == 0 ||
                  memcmp(arguments[i].bytes, stream + position, argument_length) == 0);
        position += argument_length;
    }
    kv_ensure(position == length);
    kv_buffer_free(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_LENGTH || size > 1 << 20) {
        return 0;
    }
    struct test_memory memory;
    test_memory_init(&memory, -1);
    const uint8_t *stream = data + HEAD_LENGTH;
    size_t length = size - HEAD_LENGTH;
    check_cuts(&limits_of[data[3] & 1], data, stream, length, &memory.memory);
    check_round_trip(stream, length, 1 + (data[3] >> 4), &memory.memory);
    kv_ensure(memory.blocks == 0);
    return 0;
}

/*
 * resp.c: the RESP2 request parser and the reply writers of resp.h.
 *
 * The parser is a state machine over the parts of a command; each state has one function, which
 * either finishes its part and names the next state, or says MORE, or ERROR:
 *
 *      START --'*'--> COUNT --"*n"--> HEADER --"$n"--> BULK --+--> command
 *        |              |"*0", "*-1"    ^                |    |
 *        |              +--> command    +----------------+    |
 *        +--otherwise--> INLINE ------------------------------+
 *
 * Invariants: position <= searched or the part is a bulk; no byte before `searched` is looked at
 * again while the command is incomplete. A line's end is sought within KV_RESP_LINE_LENGTH_MAX
 * bytes of its beginning even when more bytes are there, so that a long line is refused alike
 * whether it came whole or in pieces.
 */
#include "resp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "decimal.h"
#include "ensure.h"

enum phase {
    PHASE_START,
    PHASE_INLINE,
    PHASE_COUNT,
    PHASE_HEADER,
    PHASE_BULK,
    PHASE_FAILED,
};

/* What a state function answers; the outer values are those of kv_resp_parse. */
enum step {
    STEP_MORE = KV_RESP_MORE,
    STEP_COMMAND = KV_RESP_COMMAND,
    STEP_ERROR = KV_RESP_ERROR,
    STEP_NEXT, /* this part is done, go on with the phase now set */
};

static const size_t LINE_END_LENGTH = 2; /* CR LF */

void kv_resp_init(struct kv_resp_parser *parser, const struct kv_resp_limits *limits)
{
    kv_ensure(limits->arguments_max > 0 && limits->arguments_max <= INT32_MAX);
    kv_ensure(limits->bulk_length_max <= KV_RESP_BULK_LENGTH_MAX);
    kv_ensure(limits->command_length_max > KV_RESP_LINE_LENGTH_MAX);
    kv_ensure(limits->command_length_max <= SIZE_MAX / 4);
    *parser = (struct kv_resp_parser){.limits = *limits, .phase = PHASE_START};
}

static enum step fail(struct kv_resp_parser *parser, const char *what)
{
    int length = snprintf(parser->error, sizeof(parser->error), "Protocol error: %s", what);
    kv_ensure(length > 0 && (size_t)length < sizeof(parser->error));
    parser->phase = PHASE_FAILED;
    return STEP_ERROR;
}

/* Waits until the command is known to be `wanted` bytes long at least. */
static enum step more(struct kv_resp_parser *parser, size_t wanted)
{
    parser->wanted = wanted;
    return STEP_MORE;
}

static enum step enter(struct kv_resp_parser *parser, enum phase phase, size_t position)
{
    parser->phase = phase;
    parser->position = position;
    parser->searched = position;
    return STEP_NEXT;
}

/* Seeks `terminator` in the line at `position`. STEP_NEXT: found at *ret_end. */
static enum step find_line_end(struct kv_resp_parser *parser, const uint8_t *bytes, size_t length,
                               char terminator, const char *too_long, size_t *ret_end)
{
    size_t limit = parser->position + KV_RESP_LINE_LENGTH_MAX + 1;
    size_t end = length < limit ? length : limit;
    kv_ensure(parser->searched <= end);
    const uint8_t *found = memchr(bytes + parser->searched, terminator, end - parser->searched);
    if (found != NULL) {
        *ret_end = (size_t)(found - bytes);
        parser->searched = *ret_end;
        return STEP_NEXT;
    }
    parser->searched = end;
    return end == limit ? fail(parser, too_long) : more(parser, length + 1);
}

/* Waits for the whole of a line "<sign>number CR LF". STEP_NEXT: its CR is at *ret_end. */
static enum step find_number_end(struct kv_resp_parser *parser, const uint8_t *bytes, size_t length,
                                 const char *too_long, size_t *ret_end)
{
    size_t end = 0;
    enum step step = find_line_end(parser, bytes, length, '\r', too_long, &end);
    if (step != STEP_NEXT) {
        return step;
    }
    if (length < end + LINE_END_LENGTH) {
        return more(parser, end + LINE_END_LENGTH);
    }
    *ret_end = end;
    return STEP_NEXT;
}

/* Reads the number of such a line and steps over it. False if there is none. */
static bool read_number(struct kv_resp_parser *parser, const uint8_t *bytes, size_t end,
                        int64_t *ret_number)
{
    size_t digits = parser->position + 1;
    parser->position = end + LINE_END_LENGTH;
    return digits <= end && bytes[end + 1] == '\n' &&
           kv_decimal_parse(bytes + digits, end - digits, ret_number);
}

/* The words of an inline command, read from left to right. */
struct words {
    const uint8_t *line;
    size_t length;
    size_t position;
};

enum word_result {
    WORD_NONE, /* the line is at its end */
    WORD_FOUND,
    WORD_UNBALANCED, /* a quote never closed, or closed in the middle of a word */
};

static struct words words_of(const uint8_t *line, size_t length)
{
    bool has_return = length > 0 && line[length - 1] == '\r';
    return (struct words){.line = line, .length = has_return ? length - 1 : length};
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* What ends a bare word: not all bytes that are skipped between words, as in Redis. */
static bool ends_bare_word(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    uint8_t lower = digit | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Reads what follows a backslash in double quotes. */
static uint8_t read_escape(struct words *words)
{
    const uint8_t *next = words->line + words->position;
    if (words->length - words->position >= 3 && next[0] == 'x' && hex_value(next[1]) >= 0 &&
        hex_value(next[2]) >= 0) {
        words->position += 3;
        return (uint8_t)(hex_value(next[1]) * 16 + hex_value(next[2]));
    }
    words->position++;
    switch (next[0]) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return next[0];
    }
}

static void put(uint8_t *out, size_t *length, uint8_t byte)
{
    if (out != NULL) {
        out[*length] = byte;
    }
    (*length)++;
}

/* Reads on after an opening `quote` to the closing one, which must end the word. */
static enum word_result read_quoted(struct words *words, uint8_t quote, uint8_t *out,
                                    size_t *length)
{
    while (words->position < words->length) {
        uint8_t byte = words->line[words->position++];
        bool at_end = words->position == words->length;
        if (byte == quote) {
            bool ends_word = at_end || is_space(words->line[words->position]);
            return ends_word ? WORD_FOUND : WORD_UNBALANCED;
        }
        if (byte == '\\' && !at_end && quote == '"') {
            byte = read_escape(words);
        } else if (byte == '\\' && !at_end && words->line[words->position] == '\'') {
            words->position++;
            byte = '\'';
        }
        put(out, length, byte);
    }
    return WORD_UNBALANCED;
}

static void skip_space(struct words *words)
{
    while (words->position < words->length && is_space(words->line[words->position])) {
        words->position++;
    }
}

/* Reads one word that begins at `position`. With `out`, writes it there without quotes and escapes:
 * `out` may be where the word lies, since no word is longer than its text. */
static enum word_result read_word(struct words *words, uint8_t *out, size_t *ret_length)
{
    if (words->position == words->length) {
        return WORD_NONE;
    }
    size_t length = 0;
    enum word_result result = WORD_FOUND;
    while (words->position < words->length && !ends_bare_word(words->line[words->position])) {
        uint8_t byte = words->line[words->position++];
        if (byte == '"' || byte == '\'') {
            result = read_quoted(words, byte, out, &length);
            break;
        }
        put(out, &length, byte);
    }
    *ret_length = length;
    return result;
}

static enum step finish_inline(struct kv_resp_parser *parser, const uint8_t *bytes, size_t end)
{
    struct words words = words_of(bytes, end);
    uint32_t count = 0;
    for (;;) {
        size_t word_length;
        skip_space(&words);
        enum word_result result = read_word(&words, NULL, &word_length);
        if (result == WORD_UNBALANCED) {
            return fail(parser, "unbalanced quotes in request");
        }
        if (result == WORD_NONE) {
            break;
        }
        if (count == parser->limits.arguments_max || word_length > parser->limits.bulk_length_max) {
            return fail(parser, "too big inline request");
        }
        count++;
    }
    parser->argument_count = count;
    parser->position = end + 1;
    return STEP_COMMAND;
}

static enum step parse_inline(struct kv_resp_parser *parser, const uint8_t *bytes, size_t length)
{
    size_t end = 0;
    enum step step = find_line_end(parser, bytes, length, '\n', "too big inline request", &end);
    return step == STEP_NEXT ? finish_inline(parser, bytes, end) : step;
}

static enum step parse_count(struct kv_resp_parser *parser, const uint8_t *bytes, size_t length)
{
    size_t end = 0;
    enum step step = find_number_end(parser, bytes, length, "too big mbulk count string", &end);
    if (step != STEP_NEXT) {
        return step;
    }
    int64_t count;
    if (!read_number(parser, bytes, end, &count) || count > (int64_t)parser->limits.arguments_max) {
        return fail(parser, "invalid multibulk length");
    }
    parser->argument_count = count > 0 ? (uint32_t)count : 0;
    parser->bulks_left = parser->argument_count;
    return count > 0 ? enter(parser, PHASE_HEADER, parser->position) : STEP_COMMAND;
}

static enum step fail_header(struct kv_resp_parser *parser, uint8_t got)
{
    char what[KV_RESP_ERROR_SIZE / 2];
    snprintf(what, sizeof(what), "expected '$', got '%c'", got == '\0' ? ' ' : got);
    return fail(parser, what);
}

static enum step fail_command_length(struct kv_resp_parser *parser)
{
    char what[KV_RESP_ERROR_SIZE / 2];
    int length = snprintf(what, sizeof(what), "command longer than %zu bytes",
                          parser->limits.command_length_max);
    kv_ensure(length > 0);
    return fail(parser, what);
}

static enum step parse_header(struct kv_resp_parser *parser, const uint8_t *bytes, size_t length)
{
    size_t end = 0;
    enum step step = find_number_end(parser, bytes, length, "too big bulk count string", &end);
    if (step != STEP_NEXT) {
        return step;
    }
    uint8_t sign = bytes[parser->position];
    if (sign != '$') {
        return fail_header(parser, sign);
    }
    int64_t bulk_length;
    if (!read_number(parser, bytes, end, &bulk_length) || bulk_length < 0 ||
        bulk_length > (int64_t)parser->limits.bulk_length_max) {
        return fail(parser, "invalid bulk length");
    }
    parser->bulk_length = (uint32_t)bulk_length;
    if (parser->position + parser->bulk_length + LINE_END_LENGTH >
        parser->limits.command_length_max) {
        return fail_command_length(parser);
    }
    return enter(parser, PHASE_BULK, parser->position);
}

static enum step parse_bulk(struct kv_resp_parser *parser, const uint8_t *bytes, size_t length)
{
    size_t end = parser->position + parser->bulk_length;
    if (length < end + LINE_END_LENGTH) {
        return more(parser, end + LINE_END_LENGTH);
    }
    if (bytes[end] != '\r' || bytes[end + 1] != '\n') {
        return fail(parser, "expected CR LF after bulk");
    }
    parser->position = end + LINE_END_LENGTH;
    parser->bulks_left--;
    return parser->bulks_left > 0 ? enter(parser, PHASE_HEADER, parser->position) : STEP_COMMAND;
}

static enum step parse_start(struct kv_resp_parser *parser, const uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return more(parser, 1);
    }
    return enter(parser, bytes[0] == '*' ? PHASE_COUNT : PHASE_INLINE, 0);
}

static enum step parse_part(struct kv_resp_parser *parser, const uint8_t *bytes, size_t length)
{
    switch ((enum phase)parser->phase) {
    case PHASE_START:
        return parse_start(parser, bytes, length);
    case PHASE_INLINE:
        return parse_inline(parser, bytes, length);
    case PHASE_COUNT:
        return parse_count(parser, bytes, length);
    case PHASE_HEADER:
        return parse_header(parser, bytes, length);
    case PHASE_BULK:
        return parse_bulk(parser, bytes, length);
    case PHASE_FAILED:
        break;
    }
    return STEP_ERROR;
}

enum kv_resp_result kv_resp_parse(struct kv_resp_parser *parser, const uint8_t *bytes,
                                  size_t length, struct kv_resp_command *ret_command)
{
    enum step step;
    do {
        step = parse_part(parser, bytes, length);
    } while (step == STEP_NEXT);
    if (step == STEP_COMMAND) {
        *ret_command = (struct kv_resp_command){
            .length = parser->position,
            .argument_count = parser->argument_count,
            .is_inline = parser->phase == PHASE_INLINE,
        };
        enter(parser, PHASE_START, 0);
    }
    return (enum kv_resp_result)step;
}

static void split_inline(const struct kv_resp_command *command, uint8_t *bytes,
                         struct kv_slice *ret_arguments)
{
    struct words words = words_of(bytes, command->length - 1);
    for (uint32_t i = 0; i < command->argument_count; i++) {
        size_t length = 0;
        skip_space(&words);
        uint8_t *word = bytes + words.position;
        enum word_result result = read_word(&words, word, &length);
        kv_ensure(result == WORD_FOUND);
        ret_arguments[i] = (struct kv_slice){.bytes = word, .length = (uint32_t)length};
    }
}

/* Steps over "<sign>number CR LF" in a command already checked. */
static int64_t take_number(const uint8_t *bytes, size_t length, size_t *position)
{
    const uint8_t *digits = bytes + *position + 1;
    const uint8_t *end = memchr(digits, '\r', length - *position - 1);
    int64_t number = 0;
    kv_ensure(end != NULL && kv_decimal_parse(digits, (size_t)(end - digits), &number));
    *position = (size_t)(end - bytes) + LINE_END_LENGTH;
    return number;
}

void kv_resp_split(const struct kv_resp_command *command, uint8_t *bytes,
                   struct kv_slice *ret_arguments)
{
    if (command->is_inline) {
        split_inline(command, bytes, ret_arguments);
        return;
    }
    size_t position = 0;
    take_number(bytes, command->length, &position);
    for (uint32_t i = 0; i < command->argument_count; i++) {
        int64_t length = take_number(bytes, command->length, &position);
        ret_arguments[i] = (struct kv_slice){.bytes = bytes + position, .length = (uint32_t)length};
        position += (size_t)length + LINE_END_LENGTH;
    }
    kv_ensure(position == command->length);
}

static void append_line_end(struct kv_buffer *replies)
{
    kv_buffer_append(replies, "\r\n", LINE_END_LENGTH);
}

static void append_line(struct kv_buffer *replies, char sign, const char *text)
{
    size_t length = strlen(text);
    kv_buffer_append(replies, &sign, 1);
    if (kv_buffer_reserve(replies, length)) {
        uint8_t *line = replies->bytes + replies->length;
        for (size_t i = 0; i < length; i++) {
            line[i] = text[i] == '\r' || text[i] == '\n' ? ' ' : (uint8_t)text[i];
        }
        replies->length += length;
    }
    append_line_end(replies);
}

static void append_number(struct kv_buffer *replies, char sign, int64_t number)
{
    char text[1 + KV_DECIMAL_LENGTH_MAX];
    text[0] = sign;
    size_t length = kv_decimal_format(number, text + 1);
    kv_buffer_append(replies, text, 1 + length);
    append_line_end(replies);
}

void kv_reply_simple(struct kv_buffer *replies, const char *text)
{
    append_line(replies, '+', text);
}

void kv_reply_error(struct kv_buffer *replies, const char *text)
{
    append_line(replies, '-', text);
}

void kv_reply_integer(struct kv_buffer *replies, int64_t value)
{
    append_number(replies, ':', value);
}

void kv_reply_bulk(struct kv_buffer *replies, const void *bytes, size_t length)
{
    kv_ensure(length <= KV_RESP_BULK_LENGTH_MAX);
    append_number(replies, '$', (int64_t)length);
    kv_buffer_append(replies, bytes, length);
    append_line_end(replies);
}

void kv_reply_nil(struct kv_buffer *replies)
{
    append_number(replies, '$', -1);
}

void kv_reply_array(struct kv_buffer *replies, uint32_t count)
{
    append_number(replies, '*', count);
}

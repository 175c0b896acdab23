/*
 * transcript.c: see transcript.h. It plays a server's connection: a buffer that holds what no
 * command has used yet, grows at the back and is consumed at the front.
 */
#include "tests/kv/transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/kv/ensure.h"

struct connection {
    struct kv_resp_parser parser;
    uint8_t *pending; /* exactly pending_length bytes */
    size_t pending_length;
    struct kv_buffer *text;
};

static void *allocate(size_t length)
{
    void *memory = malloc(length > 0 ? length : 1);
    kv_ensure(memory != NULL);
    return memory;
}

/* Replaces what is pending by its part from `skip` on and `count` new bytes. */
static void replace_pending(struct connection *connection, size_t skip, const uint8_t *bytes,
                            size_t count)
{
    size_t kept = connection->pending_length - skip;
    uint8_t *pending = allocate(kept + count);
    if (kept > 0) {
        memcpy(pending, connection->pending + skip, kept);
    }
    if (count > 0) {
        memcpy(pending + kept, bytes, count);
    }
    free(connection->pending);
    connection->pending = pending;
    connection->pending_length = kept + count;
}

static void write_slice(struct kv_buffer *text, const struct kv_slice *slice)
{
    kv_buffer_append(text, "''", slice->length == 0 ? 2 : 0);
    for (uint32_t i = 0; i < slice->length; i++) {
        char escaped[8];
        uint8_t byte = slice->bytes[i];
        bool is_plain = byte > ' ' && byte <= '~' && strchr("\\,[]'", byte) == NULL;
        int length = is_plain ? snprintf(escaped, sizeof(escaped), "%c", byte)
                              : snprintf(escaped, sizeof(escaped), "\\x%02x", byte);
        kv_buffer_append(text, escaped, (size_t)length);
    }
}

static void write_command(struct connection *connection, const struct kv_resp_command *command)
{
    kv_ensure(command->length > 0 && command->length <= connection->pending_length);
    kv_ensure(command->length <= connection->parser.limits.command_length_max);
    kv_ensure(command->argument_count <= connection->parser.limits.arguments_max);
    struct kv_slice *arguments = allocate(command->argument_count * sizeof(*arguments));
    kv_resp_split(command, connection->pending, arguments);
    kv_buffer_append(connection->text, "[", 1);
    const uint8_t *last = connection->pending;
    for (uint32_t i = 0; i < command->argument_count; i++) {
        kv_ensure(arguments[i].bytes >= last);
        last = arguments[i].bytes + arguments[i].length;
        kv_ensure(last <= connection->pending + command->length);
        kv_ensure(arguments[i].length <= connection->parser.limits.bulk_length_max);
        kv_buffer_append(connection->text, ",", i > 0 ? 1 : 0);
        write_slice(connection->text, &arguments[i]);
    }
    kv_buffer_append(connection->text, "]", 1);
    free(arguments);
}

static void check_more(const struct connection *connection)
{
    const struct kv_resp_parser *parser = &connection->parser;
    kv_ensure(parser->wanted > connection->pending_length);
    kv_ensure(parser->wanted <= KV_RESP_BUFFER_LENGTH(&parser->limits));
}

/* Runs all commands that are whole by now. */
static enum kv_resp_result run_pending(struct connection *connection)
{
    for (;;) {
        struct kv_resp_command command;
        enum kv_resp_result result = kv_resp_parse(&connection->parser, connection->pending,
                                                   connection->pending_length, &command);
        if (result == KV_RESP_MORE) {
            check_more(connection);
        }
        if (result != KV_RESP_COMMAND) {
            return result;
        }
        write_command(connection, &command);
        replace_pending(connection, command.length, NULL, 0);
    }
}

void transcript_of(const struct kv_resp_limits *limits, const uint8_t *stream, size_t length,
                   transcript_cut cut, void *context, struct kv_buffer *ret_text)
{
    struct connection connection = {.text = ret_text, .pending = allocate(0)};
    kv_resp_init(&connection.parser, limits);
    enum kv_resp_result result = run_pending(&connection);
    size_t start = 0;
    while (start < length && result != KV_RESP_ERROR) {
        size_t end = cut == NULL ? length : cut(context, start, length);
        kv_ensure(end > start && end <= length);
        replace_pending(&connection, 0, stream + start, end - start);
        result = run_pending(&connection);
        start = end;
    }
    if (result == KV_RESP_ERROR) {
        kv_buffer_append(ret_text, "!", 1);
        kv_buffer_append(ret_text, connection.parser.error, strlen(connection.parser.error));
    } else if (connection.pending_length > 0) {
        kv_buffer_append(ret_text, "...", 3);
    }
    free(connection.pending);
}

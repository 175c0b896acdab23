/*
 * commands.c: the commands of the server, as Redis has them.
 *
 * A write happens in the log and in the store or in neither, in the order of store.h: stage, append
 * the record, commit. It takes effect at once for the commands after it; what makes it safe to tell
 * is that every reply, to reads as well, waits for the log (connection.c).
 *
 * A reply to a write cannot fail: there is room for it before the command runs. A reply to a read
 * can (MGET of large values), and then becomes an error.
 */
#include "commands.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "decimal.h"
#include "ensure.h"

#define ERROR_SIZE (KV_REPLY_RESERVE / 2)
#define INFO_SIZE 2048
#define PATTERN_SIZE 64

struct command {
    const char *name;
    int32_t arity; /* arguments with the name; negative: at least so many */
    uint32_t key_first;
    int32_t key_last; /* -1: the last argument */
    uint32_t key_step;
    bool is_write;
    void (*run)(struct kv_request *request);
};

static bool slice_is(const struct kv_slice *slice, const char *lower_case)
{
    if (slice->length != strlen(lower_case)) {
        return false;
    }
    for (uint32_t i = 0; i < slice->length; i++) {
        uint8_t byte = slice->bytes[i];
        uint8_t lower = byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
        if (lower != (uint8_t)lower_case[i]) {
            return false;
        }
    }
    return true;
}

/* How much of a client's bytes an error message repeats, for "%.*s". */
static int shown_length(const struct kv_slice *slice)
{
    return slice->length < 64 ? (int)slice->length : 64;
}

static void reply_error_about(struct kv_request *request, const char *before,
                              const struct kv_slice *slice, const char *after)
{
    char text[ERROR_SIZE];
    snprintf(text, sizeof(text), "ERR %s '%.*s'%s", before, shown_length(slice),
             (const char *)slice->bytes, after);
    kv_reply_error(request->replies, text);
}

static void reply_arity_error(struct kv_request *request, const char *name)
{
    char text[ERROR_SIZE];
    snprintf(text, sizeof(text), "ERR wrong number of arguments for '%s' command", name);
    kv_reply_error(request->replies, text);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void reply_write_error(struct kv_request *request, int result)
{
    char text[ERROR_SIZE];
    switch (result) {
    case -EROFS:
        snprintf(text, sizeof(text),
                 "ERR the log could not be written (%s): writes are refused for a moment, reads "
                 "are not; nothing was changed",
                 strerror((int)-request->kv->log.write_error));
        break;
    case -EMSGSIZE:
        snprintf(text, sizeof(text),
                 "ERR the command makes a log record above %" PRIu32 " bytes: split it; nothing "
                 "was changed",
                 KV_RECORD_PAYLOAD_LENGTH_MAX);
        break;
    default:
        snprintf(text, sizeof(text), "ERR out of memory; nothing was changed");
        break;
    }
    kv_reply_error(request->replies, text);
}

static int log_pairs(struct kv *kv, const struct kv_slice *pairs, uint32_t count)
{
    struct kv_record_writer writer;
    int result = kv_log_begin(&kv->log, &writer);
    if (result < 0) {
        return result;
    }
    for (uint32_t i = 0; i < count; i++) {
        kv_record_set(&writer, pairs[2 * i], pairs[2 * i + 1]);
    }
    return kv_log_end(&kv->log, &writer);
}

/* Sets `count` keys, all or none. `pairs`: key, value, key, value … Returns 0 or -errno. */
static int write_pairs(struct kv *kv, const struct kv_slice *pairs, uint32_t count)
{
    int result = 0;
    for (uint32_t i = 0; i < count && result == 0; i++) {
        result = kv_store_stage(&kv->store, pairs[2 * i], pairs[2 * i + 1]);
    }
    if (result == 0) {
        result = log_pairs(kv, pairs, count);
    }
    if (result == 0) {
        kv_store_commit(&kv->store);
    } else {
        kv_store_abort(&kv->store);
    }
    return result;
}

static void reply_written(struct kv_request *request, int result)
{
    if (result == 0) {
        kv_reply_simple(request->replies, "OK");
    } else {
        reply_write_error(request, result);
    }
}

static void run_set(struct kv_request *request)
{
    if (request->count > 3) {
        reply_error_about(request, "SET option", &request->arguments[3],
                          " is not supported: a key keeps its value until it is set or deleted");
        return;
    }
    reply_written(request, write_pairs(request->kv, request->arguments + 1, 1));
}

static void run_mset(struct kv_request *request)
{
    if (request->count % 2 == 0) {
        reply_arity_error(request, "mset");
        return;
    }
    reply_written(request,
                  write_pairs(request->kv, request->arguments + 1, (request->count - 1) / 2));
}

static void run_incr(struct kv_request *request)
{
    char text[KV_DECIMAL_LENGTH_MAX];
    int64_t number = 0;
    struct kv_slice pair[2] = {request->arguments[1]};
    if (kv_store_get(&request->kv->store, pair[0], &pair[1]) &&
        !kv_decimal_parse(pair[1].bytes, pair[1].length, &number)) {
        kv_reply_error(request->replies, "ERR value is not an integer or out of range");
        return;
    }
    if (number == INT64_MAX) {
        kv_reply_error(request->replies, "ERR increment or decrement would overflow");
        return;
    }
    number++;
    pair[1].bytes = (const uint8_t *)text;
    pair[1].length = (uint32_t)kv_decimal_format(number, text);
    int result = write_pairs(request->kv, pair, 1);
    if (result == 0) {
        kv_reply_integer(request->replies, number);
    } else {
        reply_write_error(request, result);
    }
}

static bool has_key(struct kv_request *request, uint32_t argument)
{
    struct kv_slice value;
    return kv_store_get(&request->kv->store, request->arguments[argument], &value);
}

static int64_t count_keys(struct kv_request *request)
{
    int64_t count = 0;
    for (uint32_t i = 1; i < request->count; i++) {
        count += has_key(request, i) ? 1 : 0;
    }
    return count;
}

static int log_deletes(struct kv_request *request)
{
    struct kv_record_writer writer;
    int result = kv_log_begin(&request->kv->log, &writer);
    if (result < 0) {
        return result;
    }
    for (uint32_t i = 1; i < request->count; i++) {
        if (has_key(request, i)) {
            kv_record_del(&writer, request->arguments[i]);
        }
    }
    return kv_log_end(&request->kv->log, &writer);
}

static void run_del(struct kv_request *request)
{
    int result = count_keys(request) > 0 ? log_deletes(request) : 0;
    if (result < 0) {
        reply_write_error(request, result);
        return;
    }
    int64_t deleted = 0;
    for (uint32_t i = 1; i < request->count; i++) {
        deleted += kv_store_delete(&request->kv->store, request->arguments[i]) ? 1 : 0;
    }
    kv_reply_integer(request->replies, deleted);
}

static int log_flush(struct kv_request *request)
{
    struct kv_record_writer writer;
    int result = kv_log_begin(&request->kv->log, &writer);
    if (result < 0) {
        return result;
    }
    kv_record_flush(&writer);
    return kv_log_end(&request->kv->log, &writer);
}

static void run_flushall(struct kv_request *request)
{
    if (request->count > 2 || (request->count == 2 && !slice_is(&request->arguments[1], "async") &&
                               !slice_is(&request->arguments[1], "sync"))) {
        kv_reply_error(request->replies, "ERR syntax error");
        return;
    }
    int result = kv_store_count(&request->kv->store) > 0 ? log_flush(request) : 0;
    if (result == 0) {
        kv_store_clear(&request->kv->store);
    }
    reply_written(request, result);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void reply_value(struct kv_request *request, struct kv_slice key)
{
    struct kv_slice value;
    if (kv_store_get(&request->kv->store, key, &value)) {
        kv_reply_bulk(request->replies, value.bytes, value.length);
    } else {
        kv_reply_nil(request->replies);
    }
}

static void run_get(struct kv_request *request)
{
    reply_value(request, request->arguments[1]);
}

static void run_mget(struct kv_request *request)
{
    kv_reply_array(request->replies, request->count - 1);
    for (uint32_t i = 1; i < request->count; i++) {
        reply_value(request, request->arguments[i]);
    }
}

static void run_exists(struct kv_request *request)
{
    kv_reply_integer(request->replies, count_keys(request));
}

static void run_dbsize(struct kv_request *request)
{
    kv_reply_integer(request->replies, (int64_t)kv_store_count(&request->kv->store));
}

static void run_echo(struct kv_request *request)
{
    kv_reply_bulk(request->replies, request->arguments[1].bytes, request->arguments[1].length);
}

static void run_ping(struct kv_request *request)
{
    if (request->count == 1) {
        kv_reply_simple(request->replies, "PONG");
    } else if (request->count == 2) {
        run_echo(request);
    } else {
        reply_arity_error(request, "ping");
    }
}

static void run_quit(struct kv_request *request)
{
    request->quits = true;
    kv_reply_simple(request->replies, "OK");
}

/* ---- about the server ------------------------------------------------------------------------ */

struct section {
    const char *name;
    int (*print)(const struct kv *kv, char *text, size_t size);
};

static int print_server(const struct kv *kv, char *text, size_t size)
{
    return snprintf(text, size,
                    "# Server\r\nredis_version:7.0.0\r\nserver_name:orrery-kv\r\n"
                    "redis_mode:standalone\r\nio_backend:%s\r\nlisten:%.64s\r\n\r\n",
                    orr_loop_backend_name(kv->loop), kv->config->listen);
}

static int print_clients(const struct kv *kv, char *text, size_t size)
{
    return snprintf(text, size, "# Clients\r\nconnected_clients:%" PRIu32 "\r\n\r\n",
                    kv->connection_count);
}

static int print_persistence(const struct kv *kv, char *text, size_t size)
{
    const struct kv_compaction *compaction = &kv->log.compaction;
    bool is_under_way = compaction->step > KV_COMPACTION_LEAVING;
    return snprintf(text, size,
                    "# Persistence\r\nloading:0\r\naof_enabled:1\r\naof_current_size:%" PRIu64
                    "\r\naof_base_size:%" PRIu64 "\r\naof_rewrites:%" PRIu64
                    "\r\naof_rewrite_in_progress:%d\r\naof_last_bgrewrite_status:%s"
                    "\r\nlog_live_size:%" PRIu64 "\r\nlog_last_rewrite_error:%" PRId64
                    "\r\nlog_sequence_appended:%" PRIu64 "\r\nlog_sequence_durable:%" PRIu64
                    "\r\nlog_last_write_error:%" PRId64 "\r\n\r\n",
                    kv->log.length_durable, compaction->base_length, compaction->count,
                    is_under_way ? 1 : 0, compaction->error == 0 ? "ok" : "err",
                    kv_store_length(&kv->store), compaction->error, kv->log.sequence_appended,
                    kv->log.sequence_durable, kv->log.write_error);
}

static int print_stats(const struct kv *kv, char *text, size_t size)
{
    return snprintf(text, size, "# Stats\r\ntotal_commands_processed:%" PRIu64 "\r\n\r\n",
                    kv->commands_run);
}

static int print_keyspace(const struct kv *kv, char *text, size_t size)
{
    uint64_t keys = kv_store_count(&kv->store);
    return keys == 0 ? snprintf(text, size, "# Keyspace\r\n")
                     : snprintf(text, size,
                                "# Keyspace\r\ndb0:keys=%" PRIu64 ",expires=0,avg_ttl=0\r\n", keys);
}

static const struct section sections[] = {
    {"server", print_server}, {"clients", print_clients},   {"persistence", print_persistence},
    {"stats", print_stats},   {"keyspace", print_keyspace},
};

static bool asks_for_section(const struct kv_request *request, const char *name)
{
    for (uint32_t i = 1; i < request->count; i++) {
        const struct kv_slice *argument = &request->arguments[i];
        if (slice_is(argument, name) || slice_is(argument, "all") ||
            slice_is(argument, "default") || slice_is(argument, "everything")) {
            return true;
        }
    }
    return request->count == 1;
}

static void run_info(struct kv_request *request)
{
    char text[INFO_SIZE];
    size_t length = 0;
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        if (asks_for_section(request, sections[i].name)) {
            int printed = sections[i].print(request->kv, text + length, sizeof(text) - length);
            kv_ensure(printed > 0 && (size_t)printed < sizeof(text) - length);
            length += (size_t)printed;
        }
    }
    kv_reply_bulk(request->replies, text, length);
}

struct parameter {
    const char *name;
    const char *value;
};

/* What clients and benchmarks ask about; nothing of it can be changed while the server runs. */
static const struct parameter parameters[] = {
    {"appendfsync", "always"}, {"appendonly", "yes"}, {"databases", "1"},
    {"maxmemory", "0"},        {"save", ""},
};

/* Whether one of the patterns after CONFIG GET matches. */
static bool asks_for_parameter(const struct kv_request *request, const char *name)
{
    for (uint32_t i = 2; i < request->count; i++) {
        char pattern[PATTERN_SIZE];
        const struct kv_slice *argument = &request->arguments[i];
        if (argument->length >= sizeof(pattern)) {
            continue;
        }
        for (uint32_t byte = 0; byte < argument->length; byte++) {
            uint8_t at = argument->bytes[byte];
            pattern[byte] = (char)(at >= 'A' && at <= 'Z' ? at | 0x20 : at);
        }
        pattern[argument->length] = '\0';
        if (fnmatch(pattern, name, 0) == 0) {
            return true;
        }
    }
    return false;
}

static void reply_text(struct kv_request *request, const char *text)
{
    kv_reply_bulk(request->replies, text, strlen(text));
}

static void run_config_get(struct kv_request *request)
{
    static const size_t count = sizeof(parameters) / sizeof(*parameters);
    uint32_t matches = 0;
    for (size_t i = 0; i < count; i++) {
        matches += asks_for_parameter(request, parameters[i].name) ? 1 : 0;
    }
    kv_reply_array(request->replies, 2 * matches);
    for (size_t i = 0; i < count; i++) {
        if (asks_for_parameter(request, parameters[i].name)) {
            reply_text(request, parameters[i].name);
            reply_text(request, parameters[i].value);
        }
    }
}

static void run_config(struct kv_request *request)
{
    if (!slice_is(&request->arguments[1], "get")) {
        reply_error_about(request, "unknown subcommand", &request->arguments[1],
                          ": only CONFIG GET is supported");
    } else if (request->count < 3) {
        reply_arity_error(request, "config|get");
    } else {
        run_config_get(request);
    }
}

static void run_command(struct kv_request *request);

static const struct command commands[] = {
    {"get", 2, 1, 1, 1, false, run_get},           {"set", -3, 1, 1, 1, true, run_set},
    {"incr", 2, 1, 1, 1, true, run_incr},          {"del", -2, 1, -1, 1, true, run_del},
    {"exists", -2, 1, -1, 1, false, run_exists},   {"mget", -2, 1, -1, 1, false, run_mget},
    {"mset", -3, 1, -1, 2, true, run_mset},        {"ping", -1, 0, 0, 0, false, run_ping},
    {"echo", 2, 0, 0, 0, false, run_echo},         {"dbsize", 1, 0, 0, 0, false, run_dbsize},
    {"flushall", -1, 0, 0, 0, true, run_flushall}, {"info", -1, 0, 0, 0, false, run_info},
    {"command", -1, 0, 0, 0, false, run_command},  {"config", -2, 0, 0, 0, false, run_config},
    {"quit", -1, 0, 0, 0, false, run_quit},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

static void reply_command(struct kv_request *request, const struct command *command)
{
    kv_reply_array(request->replies, 6);
    reply_text(request, command->name);
    kv_reply_integer(request->replies, command->arity);
    kv_reply_array(request->replies, 1);
    kv_reply_simple(request->replies, command->is_write ? "write" : "readonly");
    kv_reply_integer(request->replies, command->key_first);
    kv_reply_integer(request->replies, command->key_last);
    kv_reply_integer(request->replies, command->key_step);
}

static void run_command(struct kv_request *request)
{
    if (request->count == 1) {
        kv_reply_array(request->replies, COMMAND_COUNT);
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
            reply_command(request, &commands[i]);
        }
    } else if (slice_is(&request->arguments[1], "count")) {
        kv_reply_integer(request->replies, (int64_t)COMMAND_COUNT);
    } else if (slice_is(&request->arguments[1], "docs")) {
        kv_reply_array(request->replies, 0); /* redis-cli asks at start, for its hints */
    } else {
        reply_error_about(request, "unknown subcommand", &request->arguments[1],
                          ": COMMAND has COUNT and DOCS");
    }
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static const struct command *find_command(const struct kv_slice *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (slice_is(name, commands[i].name)) {
            return &commands[i];
        }
    }
    return NULL;
}

static void reply_unknown(struct kv_request *request)
{
    char after[ERROR_SIZE / 2] = "";
    if (request->count > 1) {
        const struct kv_slice *argument = &request->arguments[1];
        snprintf(after, sizeof(after), ", with args beginning with: '%.*s'", shown_length(argument),
                 (const char *)argument->bytes);
    }
    reply_error_about(request, "unknown command", &request->arguments[0], after);
}

/* A browser can be made to send a request to any port, with commands as its body. Redis, too, ends
 * the connection at the first line that gives one away. */
static bool is_http(const struct kv_request *request)
{
    return slice_is(&request->arguments[0], "post") || slice_is(&request->arguments[0], "host:");
}

static void dispatch(struct kv_request *request)
{
    const struct command *command = find_command(&request->arguments[0]);
    if (is_http(request)) {
        request->quits = true;
        kv_reply_error(request->replies, "ERR HTTP is not spoken here");
        return;
    }
    if (command == NULL) {
        reply_unknown(request);
        return;
    }
    bool is_wrong = command->arity > 0 ? (int64_t)request->count != command->arity
                                       : (int64_t)request->count < -(int64_t)command->arity;
    if (is_wrong) {
        reply_arity_error(request, command->name);
        return;
    }
    command->run(request);
}

void kv_command_run(struct kv_request *request)
{
    struct kv_buffer *replies = request->replies;
    size_t before = replies->length;
    kv_ensure(request->count > 0);
    kv_ensure(!replies->failed && replies->capacity - before >= KV_REPLY_RESERVE);
    request->kv->commands_run++;
    dispatch(request);
    if (replies->failed) {
        char text[ERROR_SIZE];
        kv_buffer_truncate(replies, before);
        snprintf(text, sizeof(text),
                 "ERR no memory for the reply, or it is above %zu bytes: ask for less at a time",
                 KV_REPLIES_LENGTH_MAX);
        kv_reply_error(replies, text);
    }
    kv_ensure(!replies->failed && replies->length > before);
}

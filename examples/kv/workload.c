/*
 * workload.c: a client that sends batches of commands, reads the replies and judges them by the
 * history.
 *
 * One batch at a time is on its way: some commands in one send, then their replies, in order. The
 * connection is replaced when it fails and when it is silent for too long; what was on its way then
 * counts as sent, not as acknowledged. Replies are parsed strictly: anything that is not the reply
 * to the command fails the run.
 */
#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 6
#define OUT_BYTES 16384
#define IN_BYTES 32768
#define PAD_MAX 1500
#define PATIENCE (2 * ORR_SECOND)
#define PAUSE_MAX_NS (20 * ORR_MILLISECOND)
#define FINAL_BATCHES 8

enum kind { COMMAND_SET, COMMAND_GET, COMMAND_INCR, COMMAND_MSET, COMMAND_MGET, COMMAND_COUNT };

struct command {
    enum kind kind;
    uint32_t owner; /* whose key */
    uint32_t key;
    uint64_t value;    /* written: SET, MSET */
    uint64_t at_least; /* read: the oldest value that is allowed */
};

struct client {
    struct orr_loop *loop;
    struct kv_task *task;
    orr_handle handle;
    bool closing;
    uint64_t replies_before; /* at the last look of the timer */
    struct command batch[BATCH_MAX];
    uint32_t batch_count;
    uint32_t answered;
    uint32_t out_length;
    uint32_t in_length;
    struct orr_completion io;
    struct orr_completion close;
    struct orr_completion timer;
    struct orr_completion pause;
    char out[OUT_BYTES];
    char in[IN_BYTES + 1];
};

static uint64_t choose(struct client *client, uint64_t bound)
{
    uint64_t random;
    orr_random(client->loop, &random, sizeof random);
    return random % bound;
}

/* ---- values: the number, a colon, and padding that only the number decides ------------------- */

static uint32_t pad_length(uint64_t value)
{
    return (uint32_t)(value * 2654435761u % (value % 8 == 0 ? PAD_MAX : 40));
}

static uint32_t format_value(char *text, size_t size, uint64_t value)
{
    int length = snprintf(text, size, "%" PRIu64 ":", value);
    uint32_t pad = pad_length(value);
    for (uint32_t i = 0; i < pad; i++)
        text[(uint32_t)length + i] = (char)('a' + (value + i) % 26);
    return (uint32_t)length + pad;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void append(struct client *client, const char *bytes, uint32_t length)
{
    if (!orr_always(client->task->history->world, length <= OUT_BYTES - client->out_length,
                    "a batch fits into its buffer"))
        return;
    memcpy(client->out + client->out_length, bytes, length);
    client->out_length += length;
}

static void append_header(struct client *client, char sigil, uint32_t number)
{
    char text[16];
    append(client, text, (uint32_t)snprintf(text, sizeof text, "%c%u\r\n", sigil, number));
}

static void append_bulk(struct client *client, const char *bytes, uint32_t length)
{
    append_header(client, '$', length);
    append(client, bytes, length);
    append(client, "\r\n", 2);
}

static void append_key(struct client *client, uint32_t owner, uint32_t key)
{
    char text[32];
    append_bulk(client, text, (uint32_t)snprintf(text, sizeof text, "client-%u:%u", owner, key));
}

static void append_value(struct client *client, uint64_t value)
{
    char text[PAD_MAX + 32];
    append_bulk(client, text, format_value(text, sizeof text, value));
}

static struct kv_key *key_of(struct client *client, const struct command *command)
{
    struct kv_history *history = client->task->history;
    if (command->kind == COMMAND_INCR)
        return &history->counters[command->owner];
    return &history->keys[command->owner][command->key];
}

static uint64_t floor_of(const struct kv_key *key)
{
    return key->acknowledged > key->observed ? key->acknowledged : key->observed;
}

static void write_command(struct client *client, struct command *command)
{
    bool pair = command->kind == COMMAND_MSET;
    struct kv_key *key = key_of(client, command);
    command->value = ++key->sent;
    if (pair)
        key[1].sent = command->value;
    append_header(client, '*', pair ? 5 : 3);
    append_bulk(client, pair ? "MSET" : "SET", pair ? 4 : 3);
    append_key(client, command->owner, command->key);
    append_value(client, command->value);
    if (pair) {
        append_key(client, command->owner, command->key + 1);
        append_value(client, command->value);
    }
}

static void read_command(struct client *client, struct command *command)
{
    bool pair = command->kind == COMMAND_MGET;
    command->at_least = floor_of(key_of(client, command));
    append_header(client, '*', pair ? 3 : 2);
    append_bulk(client, pair ? "MGET" : "GET", pair ? 4 : 3);
    append_key(client, command->owner, command->key);
    if (pair)
        append_key(client, command->owner, command->key + 1);
}

static void increment_command(struct client *client, struct command *command)
{
    char text[32];
    struct kv_key *counter = key_of(client, command);
    counter->sent++;
    command->at_least = counter->acknowledged + 1;
    append_header(client, '*', 2);
    append_bulk(client, "INCR", 4);
    append_bulk(client, text, (uint32_t)snprintf(text, sizeof text, "counter-%u", command->owner));
}

static enum kind choose_kind(struct client *client)
{
    if (client->task->history->reads_only)
        return choose(client, 2) == 0 ? COMMAND_GET : COMMAND_MGET;
    return (enum kind)choose(client, COMMAND_COUNT);
}

static void add_command(struct client *client)
{
    struct command *command = &client->batch[client->batch_count++];
    uint32_t self = client->task->client;
    *command = (struct command){.kind = choose_kind(client), .owner = self};
    switch (command->kind) {
    case COMMAND_SET:
        command->key = (uint32_t)choose(client, KV_PAIR);
        write_command(client, command);
        break;
    case COMMAND_MSET:
        command->key = KV_PAIR;
        write_command(client, command);
        break;
    case COMMAND_GET:
        command->owner = (uint32_t)choose(client, KV_CLIENTS);
        command->key = (uint32_t)choose(client, KV_KEYS);
        read_command(client, command);
        break;
    case COMMAND_MGET:
        command->owner = (uint32_t)choose(client, KV_CLIENTS);
        command->key = KV_PAIR;
        read_command(client, command);
        break;
    case COMMAND_INCR:
    case COMMAND_COUNT:
        increment_command(client, command);
        break;
    }
}

/* ---- judging --------------------------------------------------------------------------------- */

static void judge_read(struct client *client, const struct command *command, struct kv_key *key,
                       uint64_t value)
{
    struct orr_world *world = client->task->history->world;
    if (value < command->at_least)
        orr_note(world,
                 "client-%u read %" PRIu64 " from client-%u:%u; %" PRIu64
                 " was acknowledged, %" PRIu64 " was read before",
                 client->task->client, value, command->owner, command->key, key->acknowledged,
                 key->observed);
    orr_always(world, value >= key->acknowledged || value >= command->at_least,
               "every acknowledged write survives");
    orr_always(world, value >= command->at_least, "no read goes back in time");
    orr_always(world, value <= key->sent, "a read returns only what was written");
    for (uint32_t i = 0; i < KV_REFUSED && value > 0; i++)
        orr_always(world, value != key->refused[i], "a refused write did not happen");
    if (value > key->observed)
        key->observed = value;
}

static void judge_increment(struct client *client, const struct command *command, uint64_t value)
{
    struct orr_world *world = client->task->history->world;
    struct kv_key *counter = key_of(client, command);
    if (value < command->at_least)
        orr_note(world,
                 "INCR of counter-%u answered %" PRIu64 " although %" PRIu64 " was acknowledged",
                 command->owner, value, counter->acknowledged);
    orr_always(world, value >= command->at_least, "every acknowledged write survives");
    orr_always(world, value <= counter->sent, "a read returns only what was written");
    if (value > counter->acknowledged)
        counter->acknowledged = value;
}

static void acknowledge(struct client *client, const struct command *command)
{
    struct kv_key *key = key_of(client, command);
    key->acknowledged = command->value;
    if (command->kind == COMMAND_MSET)
        key[1].acknowledged = command->value;
}

static void refuse(struct client *client, const struct command *command)
{
    struct kv_key *key = key_of(client, command);
    if (command->kind != COMMAND_SET && command->kind != COMMAND_MSET)
        return;
    key[0].refused[key[0].refused_count++ % KV_REFUSED] = command->value;
    if (command->kind == COMMAND_MSET)
        key[1].refused[key[1].refused_count++ % KV_REFUSED] = command->value;
}

/* ---- parsing replies ------------------------------------------------------------------------- */

/* The end of the line that starts at `at` (behind its CRLF), or 0 if it is not all there yet. */
static uint32_t line_end(const struct client *client, uint32_t at)
{
    const char *end = memchr(client->in + at, '\n', client->in_length - at);
    return end == NULL ? 0 : (uint32_t)(end - client->in) + 1;
}

static bool bad_reply(struct client *client, const char *what, uint32_t at)
{
    struct orr_world *world = client->task->history->world;
    uint32_t shown = client->in_length - at < 60 ? client->in_length - at : 60;
    orr_note(world, "client-%u got %s: \"%.*s\"", client->task->client, what, (int)shown,
             client->in + at);
    orr_unreachable(world, "every reply answers its command");
    return false;
}

/* Parses "$N\r\nbytes\r\n" at *at as a value. 1 = there, 0 = not all there yet, -1 = wrong
 * (reported). Nil is value 0. */
static int parse_value(struct client *client, uint32_t *at, uint64_t *ret_value)
{
    uint32_t begin = *at;
    uint32_t end = line_end(client, begin);
    if (end == 0)
        return 0;
    long length = client->in[begin] == '$' ? strtol(client->in + begin + 1, NULL, 10) : -2;
    *ret_value = 0;
    *at = end;
    if (length == -1)
        return 1;
    if (length < 2 || length > PAD_MAX + 32)
        return bad_reply(client, "no value", begin) ? 1 : -1;
    if (client->in_length < end + (uint32_t)length + 2)
        return 0;
    char expected[PAD_MAX + 32];
    uint64_t value = strtoull(client->in + end, NULL, 10);
    uint32_t expected_length = format_value(expected, sizeof expected, value);
    if (expected_length != (uint32_t)length ||
        memcmp(expected, client->in + end, expected_length) != 0)
        return bad_reply(client, "a damaged value", begin) ? 1 : -1;
    *ret_value = value;
    *at = end + (uint32_t)length + 2;
    return 1;
}

static int parse_pair(struct client *client, const struct command *command, uint32_t *at)
{
    uint64_t left;
    uint64_t right;
    uint32_t begin = *at;
    uint32_t next = line_end(client, begin);
    if (next == 0)
        return 0;
    if (memcmp(client->in + begin, "*2\r\n", 4) != 0)
        return bad_reply(client, "no pair", begin) ? 1 : -1;
    int status = parse_value(client, &next, &left);
    if (status == 1)
        status = parse_value(client, &next, &right);
    if (status != 1)
        return status;
    if (left != right)
        orr_note(client->task->history->world, "MGET of a pair returned %" PRIu64 " and %" PRIu64,
                 left, right);
    orr_always(client->task->history->world, left == right, "MSET is all or nothing");
    struct kv_key *key = key_of(client, command);
    judge_read(client, command, &key[0], left);
    judge_read(client, command, &key[1], right);
    *at = next;
    return 1;
}

/* "+OK" or the new value of a counter. */
static int parse_status(struct client *client, const struct command *command, uint32_t *at)
{
    uint32_t begin = *at;
    uint32_t end = line_end(client, begin);
    if (end == 0)
        return 0;
    const char *line = client->in + begin;
    *at = end;
    if (command->kind == COMMAND_INCR && line[0] == ':')
        judge_increment(client, command, strtoull(line + 1, NULL, 10));
    else if (command->kind != COMMAND_INCR && end - begin == 5 && memcmp(line, "+OK\r\n", 5) == 0)
        acknowledge(client, command);
    else
        return bad_reply(client, "no answer to a write", begin) ? 1 : -1;
    return 1;
}

/* An error is an answer too, as when the disk is full: it acknowledges nothing. But the server must
 * understand. */
static int parse_error(struct client *client, const struct command *command, uint32_t *at)
{
    uint32_t begin = *at;
    uint32_t end = line_end(client, begin);
    if (end == 0)
        return 0;
    const char *line = client->in + begin;
    *at = end;
    if (strncmp(line, "-ERR Protocol error", 19) == 0 ||
        strncmp(line, "-ERR unknown command", 20) == 0)
        return bad_reply(client, "a complaint about a good command", begin) ? 1 : -1;
    refuse(client, command);
    return 1;
}

/* One reply. 1 = judged, 0 = not all there yet, -1 = wrong (reported). */
static int parse_reply(struct client *client, const struct command *command, uint32_t *at)
{
    if (*at == client->in_length)
        return 0;
    bool refused = client->in[*at] == '-';
    orr_sometimes(client->task->history->world, refused, "a command is refused with an error");
    if (refused)
        return parse_error(client, command, at);
    if (command->kind == COMMAND_MGET)
        return parse_pair(client, command, at);
    if (command->kind != COMMAND_GET)
        return parse_status(client, command, at);
    uint64_t value;
    int status = parse_value(client, at, &value);
    if (status == 1)
        judge_read(client, command, key_of(client, command), value);
    return status;
}

/* ---- the connection -------------------------------------------------------------------------- */

static void start(struct client *client);
static void send_batch(struct client *client);

static void on_pause_over(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result == 0)
        start(context);
}

static void pause_client(struct client *client)
{
    orr_timeout(client->loop, &client->pause, choose(client, PAUSE_MAX_NS), on_pause_over, client);
}

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    client->closing = false;
    client->task->reconnects++;
    pause_client(client);
}

static void hang_up(struct client *client)
{
    if (client->closing || orr_in_flight(&client->pause))
        return;
    client->closing = true;
    orr_close(client->loop, &client->close, client->handle, on_closed, client);
}

static void receive(struct client *client);

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result <= 0) {
        hang_up(client);
        return;
    }
    client->in_length += (uint32_t)result;
    client->in[client->in_length] = '\0';
    uint32_t at = 0;
    while (client->answered < client->batch_count) {
        uint32_t next = at;
        int status = parse_reply(client, &client->batch[client->answered], &next);
        if (status < 0)
            return; /* the run has failed */
        if (status == 0)
            break;
        at = next;
        client->answered++;
        client->task->replies++;
    }
    client->in_length -= at;
    memmove(client->in, client->in + at, client->in_length);
    if (client->answered < client->batch_count) {
        receive(client);
    } else if (client->in_length > 0) {
        (void)bad_reply(client, "more than it asked for", 0);
    } else {
        client->task->final_batches += client->task->history->final_phase ? 1 : 0;
        send_batch(client);
    }
}

static void receive(struct client *client)
{
    orr_recv(client->loop, &client->io, client->handle, client->in + client->in_length,
             IN_BYTES - client->in_length, on_received, client);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result < 0)
        hang_up(client);
    else
        receive(client);
}

static void send_batch(struct client *client)
{
    client->batch_count = 0;
    client->answered = 0;
    client->out_length = 0;
    client->in_length = 0;
    for (uint64_t count = 1 + choose(client, BATCH_MAX); count > 0; count--)
        add_command(client);
    orr_send_all(client->loop, &client->io, client->handle, client->out, client->out_length,
                 on_sent, client);
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result < 0)
        hang_up(client);
    else
        send_batch(client);
}

static void start(struct client *client)
{
    client->handle = orr_socket(client->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    if (client->handle < 0)
        pause_client(client);
    else
        orr_connect(client->loop, &client->io, client->handle, &client->task->server, on_connected,
                    client);
}

/* A server that lost its power says nothing: who is silent for too long is given up. */
static void on_timer(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        return;
    if (client->replies_before == client->task->replies)
        hang_up(client);
    client->replies_before = client->task->replies;
    orr_timeout(client->loop, completion, PATIENCE, on_timer, client);
}

void *kv_workload_boot(struct orr_loop *loop, void *config)
{
    struct client *client = orr_malloc(loop, sizeof *client);
    if (client == NULL)
        return NULL;
    memset(client, 0, sizeof *client);
    client->loop = loop;
    client->task = config;
    orr_timeout(loop, &client->timer, PATIENCE, on_timer, client);
    start(client);
    return client;
}

bool kv_workload_done(void *context)
{
    const struct kv_task *tasks = context;
    for (uint32_t i = 0; i < KV_CLIENTS; i++)
        if (tasks[i].final_batches < FINAL_BATCHES)
            return false;
    return true;
}

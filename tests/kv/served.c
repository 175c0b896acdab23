/*
 * served.c: see served.h.
 */
#include "tests/kv/served.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT 6379u
#define STEP_NS (2 * ORR_MICROSECOND)
#define STEPS_MAX 200000u /* 400 ms */
#define FILE_LENGTH_MAX ((size_t)1 << 20)

/* Long enough that a log of a few kilobytes is soon full. */
#define VALUE_PADDING \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void *boot_server(struct orr_loop *loop, void *config)
{
    return kv_boot(loop, config);
}

static void *boot_client(struct orr_loop *loop, void *config)
{
    (void)loop;
    return config;
}

static void report(void *context, const char *line)
{
    struct served *served = context;
    size_t length = strlen(served->said);
    snprintf(served->said + length, sizeof(served->said) - length, "%s\n", line);
}

void served_begin(struct served *served, uint64_t compact_above)
{
    static const struct orr_program server_program = {.boot = boot_server};
    static const struct orr_program client_program = {.boot = boot_client};
    memset(served, 0, sizeof(*served));
    served->config = (struct kv_config){
        .directory = ".",
        .listen = "0.0.0.0:6379",
        .compact_above = compact_above,
        .report = report,
        .report_context = served,
    };
    served->socket = ORR_HANDLE_NONE;
    served->world = orr_world_create(1, NULL);
    orr_world_police(served->world);
    served->server = orr_node_create(served->world, "server", &server_program, &served->config);
    served->client = orr_node_create(served->world, "client", &client_program, served);
    served_connect(served);
}

void served_end(struct served *served)
{
    ck_assert(!orr_world_failed(served->world));
    orr_world_destroy(served->world);
}

struct kv *served_kv(const struct served *served)
{
    return orr_node_application(served->server);
}

void served_run(struct served *served)
{
    orr_world_run_for(served->world, STEP_NS);
}

/* What was submitted from outside waits for a pass of the loop. */
static void wake_client(struct served *served)
{
    orr_wake(orr_node_loop(served->client));
}

/* ---- the connection -------------------------------------------------------------------------- */

static void receive(struct served *served);

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct served *served = context;
    (void)completion;
    if (result > 0) {
        ck_assert_uint_lt(served->in_length + (size_t)result, sizeof(served->in));
        memcpy(served->in + served->in_length, served->part, (size_t)result);
        served->in_length += (size_t)result;
        served->in[served->in_length] = '\0';
        receive(served);
    }
}

static void receive(struct served *served)
{
    orr_recv(orr_node_loop(served->client), &served->receiving, served->socket, served->part,
             sizeof(served->part), on_received, served);
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct served *served = context;
    (void)completion;
    ck_assert_int_eq(result, 0);
    served->is_connected = true;
    receive(served);
}

static void ignore(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result;
}

static void hang_up(struct served *served)
{
    if (served->socket == ORR_HANDLE_NONE) {
        return;
    }
    orr_close(orr_node_loop(served->client), &served->closing, served->socket, ignore, NULL);
    wake_client(served);
    served->socket = ORR_HANDLE_NONE;
    served->is_connected = false;
    for (uint32_t i = 0; orr_in_flight(&served->closing) && i < STEPS_MAX; i++) {
        served_run(served);
    }
    ck_assert(!orr_in_flight(&served->receiving) && !orr_in_flight(&served->sending));
    served->in_length = 0;
    served->in[0] = '\0';
}

void served_connect(struct served *served)
{
    struct orr_address address = orr_node_address(served->server, PORT);
    struct orr_loop *loop = orr_node_loop(served->client);
    hang_up(served);
    for (uint32_t i = 0; served_kv(served)->state != KV_STATE_SERVING; i++) {
        ck_assert_msg(i < STEPS_MAX, "the server does not serve: %s", served->said);
        served_run(served);
    }
    served->socket = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    ck_assert_int_ge(served->socket, 0);
    orr_connect(loop, &served->connecting, served->socket, &address, on_connected, served);
    wake_client(served);
    for (uint32_t i = 0; !served->is_connected; i++) {
        ck_assert_uint_lt(i, STEPS_MAX);
        served_run(served);
    }
}

void served_send(struct served *served, const char *text)
{
    for (uint32_t i = 0; orr_in_flight(&served->sending); i++) {
        ck_assert_uint_lt(i, STEPS_MAX);
        served_run(served);
    }
    snprintf(served->out, sizeof(served->out), "%s", text);
    orr_send_all(orr_node_loop(served->client), &served->sending, served->socket, served->out,
                 strlen(served->out), ignore, NULL);
    wake_client(served);
}

void served_expect(struct served *served, const char *replies)
{
    size_t length = strlen(replies);
    for (uint32_t i = 0; served->in_length < length; i++) {
        ck_assert_msg(i < STEPS_MAX, "expected %s, got %s; the server said %s", replies, served->in,
                      served->said);
        served_run(served);
    }
    ck_assert_msg(memcmp(served->in, replies, length) == 0, "expected %s, got %s", replies,
                  served->in);
    served->in_length -= length;
    memmove(served->in, served->in + length, served->in_length + 1);
}

/* ---- keys ------------------------------------------------------------------------------------ */

void served_write_begin(struct served *served)
{
    char text[256];
    struct served_key *key = &served->keys[served->writes % SERVED_KEYS];
    snprintf(text, sizeof(text), "SET key-%u %u:%s\r\n", served->writes % SERVED_KEYS, ++key->sent,
             VALUE_PADDING);
    served_send(served, text);
}

void served_write_end(struct served *served)
{
    struct served_key *key = &served->keys[served->writes++ % SERVED_KEYS];
    served_expect(served, "+OK\r\n");
    key->acknowledged = key->sent;
}

void served_write(struct served *served)
{
    served_write_begin(served);
    served_write_end(served);
}

void served_write_until(struct served *served, enum kv_compaction_step step)
{
    for (uint32_t i = 0; i < 1000; i++) {
        served_write_begin(served);
        while (served->in_length == 0) {
            if (kv_compaction_step(served_kv(served)) == step) {
                return;
            }
            served_run(served);
        }
        served_write_end(served);
    }
    ck_abort_msg("no compaction comes to step %u: %s", step, served->said);
}

void served_crash(struct served *served, enum orr_crash kind)
{
    orr_node_crash(served->server, kind);
    served->writes += served->keys[served->writes % SERVED_KEYS].sent !=
                              served->keys[served->writes % SERVED_KEYS].acknowledged
                          ? 1
                          : 0;
    orr_node_start(served->server);
}

static uint32_t read_number(struct served *served, uint32_t key)
{
    char text[32];
    snprintf(text, sizeof(text), "GET key-%u\r\n", key);
    served_send(served, text);
    const char *end = NULL;
    const char *value = NULL;
    for (uint32_t i = 0; end == NULL; i++) {
        ck_assert_uint_lt(i, STEPS_MAX);
        served_run(served);
        value = strstr(served->in, "\r\n");
        bool is_nil = strncmp(served->in, "$-1\r\n", 5) == 0;
        end = is_nil || value == NULL ? value : strstr(value + 2, "\r\n");
    }
    bool is_nil = strncmp(served->in, "$-1\r\n", 5) == 0;
    uint32_t number = is_nil ? 0 : (uint32_t)strtoul(value + 2, NULL, 10);
    served->in_length = 0;
    served->in[0] = '\0';
    return number;
}

void served_check(struct served *served)
{
    served_connect(served);
    for (uint32_t i = 0; i < SERVED_KEYS; i++) {
        struct served_key *key = &served->keys[i];
        uint32_t number = read_number(served, i);
        ck_assert_msg(number >= key->acknowledged && number <= key->sent,
                      "key-%u is %u; %u was acknowledged, %u sent; the server said %s", i, number,
                      key->acknowledged, key->sent, served->said);
        key->acknowledged = number;
        key->sent = number;
    }
}

int64_t served_file_length(struct served *served, const char *name)
{
    char *bytes = malloc(FILE_LENGTH_MAX);
    ck_assert_ptr_nonnull(bytes);
    int64_t length = orr_node_read_file(served->server, name, bytes, FILE_LENGTH_MAX);
    free(bytes);
    return length;
}

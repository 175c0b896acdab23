/*
 * test_police.c: the world reports a second receive, or send, in flight on one stream, and nothing
 * else.
 *
 * A client connects to a server that takes whatever comes, and then does what the test's plan says.
 * Submits that a report shall name carry a made-up line.
 */
#include "../suite.h"

#include <orrery/sim.h>

#include <stdio.h>
#include <string.h>

#define LARGE (256u << 10) /* more than all buffers on the way hold */
#define CHUNK 5000u
#define SENDS 40u
#define SEEDS 100u

struct client;

struct plan {
    void (*connected)(struct client *client);
    bool faults;       /* those of the seed */
    uint32_t finished; /* plans that came to their end */
};

/* The plan of the run under way: a scenario gets nothing but its world. */
static struct plan *plan;

static char bytes[LARGE];

/* ---- the server ------------------------------------------------------------------------------ */

struct taker {
    struct server *server;
    struct orr_completion completion;
    orr_handle handle;
    char buffer[4096];
};

struct server {
    struct orr_loop *loop;
    orr_handle listener;
    struct orr_completion accepts[2]; /* accepts may be as many as one likes */
};

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct taker *taker = context;
    (void)completion;
    (void)result;
    orr_free(taker->server->loop, taker);
}

static void on_taken(void *context, struct orr_completion *completion, int64_t result)
{
    struct taker *taker = context;
    struct orr_loop *loop = taker->server->loop;
    if (result > 0)
        orr_recv(loop, completion, taker->handle, taker->buffer, sizeof taker->buffer, on_taken,
                 taker);
    else
        orr_close(loop, completion, taker->handle, on_closed, taker);
}

static void on_accept(void *context, struct orr_completion *completion, int64_t result)
{
    struct server *server = context;
    if (result >= 0) {
        struct taker *taker = orr_malloc(server->loop, sizeof *taker);
        memset(taker, 0, sizeof *taker);
        taker->server = server;
        taker->handle = result;
        orr_recv(server->loop, &taker->completion, result, taker->buffer, sizeof taker->buffer,
                 on_taken, taker);
    }
    orr_accept(server->loop, completion, server->listener, NULL, on_accept, server);
}

static void must(bool condition)
{
    if (!condition)
        ck_abort_msg("a call of the test's own failed");
}

static orr_handle bound(struct orr_loop *loop, const char *text, enum orr_socket_type type)
{
    struct orr_address address;
    must(orr_address_parse(text, &address) == 0);
    orr_handle socket = orr_socket(loop, orr_address_family(&address), type);
    must(orr_bind(loop, socket, &address) == 0);
    return socket;
}

static void *boot_server(struct orr_loop *loop, void *config)
{
    (void)config;
    struct server *server = orr_malloc(loop, sizeof *server);
    memset(server, 0, sizeof *server);
    server->loop = loop;
    server->listener = bound(loop, "0.0.0.0:7000", ORR_SOCKET_STREAM);
    must(orr_listen(loop, server->listener, 8) == 0);
    for (int i = 0; i < 2; i++)
        orr_accept(loop, &server->accepts[i], server->listener, NULL, on_accept, server);
    return server;
}

/* ---- the client ------------------------------------------------------------------------------ */

struct client {
    struct orr_loop *loop;
    struct orr_address target;
    orr_handle stream;
    orr_handle datagrams;
    struct orr_completion first;
    struct orr_completion second;
    struct orr_completion others[6];
    struct orr_datagram datagram[2];
    struct orr_vector vector;
    char buffers[4][16];
    uint32_t sends;
};

static void ignore(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result;
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result == 0)
        plan->connected(context);
}

static void *boot_client(struct orr_loop *loop, void *config)
{
    (void)config;
    struct client *client = orr_malloc(loop, sizeof *client);
    memset(client, 0, sizeof *client);
    client->loop = loop;
    must(orr_address_parse("10.0.0.1:7000", &client->target) == 0);
    client->stream = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    orr_connect(loop, &client->first, client->stream, &client->target, on_connected, client);
    return client;
}

static void populate(struct orr_world *world)
{
    static const struct orr_program server = {.boot = boot_server};
    static const struct orr_program client = {.boot = boot_client};
    (void)orr_node_create(world, "server", &server, NULL);
    (void)orr_node_create(world, "client", &client, NULL);
}

static void scenario_run(struct orr_world *world)
{
    for (uint32_t family = 0; !plan->faults && family < ORR_FAMILY_COUNT; family++)
        orr_world_set_rate(world, (enum orr_fault_family)family, 0);
    populate(world);
    orr_world_run_for(world, 10 * ORR_SECOND);
}

static struct orr_outcome run_seed(struct plan *of, uint64_t seed)
{
    static const struct orr_scenario scenario = {.name = "police", .run = scenario_run};
    const struct orr_run_options options = {.seed = seed};
    struct orr_outcome outcome;
    plan = of;
    ck_assert_int_eq(orr_scenario_run(&scenario, &options, &outcome), 0);
    return outcome;
}

/* ---- what is reported ------------------------------------------------------------------------ */

#define FIRST "client.c:11"
#define SECOND "client.c:22"

static void recv_twice(struct client *client)
{
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
    (orr_recv)(orr_at(client->loop, SECOND), &client->second, client->stream, client->buffers[1],
               16, ignore, NULL);
}

static void recv_exact_and_readv(struct client *client)
{
    client->vector = (struct orr_vector){.base = client->buffers[1], .length = 16};
    (orr_recv_exact)(orr_at(client->loop, FIRST), &client->first, client->stream,
                     client->buffers[0], 16, ignore, NULL);
    (orr_readv)(orr_at(client->loop, SECOND), &client->second, client->stream, &client->vector, 1,
                0, ignore, NULL);
}

static void send_all_twice(struct client *client)
{
    (orr_send_all)(orr_at(client->loop, FIRST), &client->first, client->stream, bytes, LARGE,
                   ignore, NULL);
    (orr_send_all)(orr_at(client->loop, SECOND), &client->second, client->stream, bytes, LARGE,
                   ignore, NULL);
}

static void on_time_to_write(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    (orr_write)(orr_at(client->loop, SECOND), &client->second, client->stream, "x", 1, 0, ignore,
                NULL);
}

/* Attempt after attempt was made in between. */
static void send_all_and_write_later(struct client *client)
{
    (orr_send_all)(orr_at(client->loop, FIRST), &client->first, client->stream, bytes, LARGE,
                   ignore, NULL);
    orr_timeout(client->loop, &client->others[0], 100 * ORR_MICROSECOND, on_time_to_write, client);
}

static void on_writable(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    (orr_send)(orr_at(client->loop, SECOND), &client->second, client->stream, "x", 1, ignore, NULL);
}

/* The poll and the first attempt of the whole transfer end together, the poll before: when it is
 * called back, no backend holds the transfer, and the loop has not started the next attempt. */
static void send_between_the_attempts_of_another(struct client *client)
{
    orr_poll(client->loop, &client->others[0], client->stream, ORR_POLL_OUT, on_writable, client);
    (orr_send_all)(orr_at(client->loop, FIRST), &client->first, client->stream, bytes, LARGE,
                   ignore, NULL);
}

static void check_report(void (*connected)(struct client *client), const char *direction,
                         const char *first, const char *second)
{
    struct plan of = {.connected = connected};
    char text[128];
    struct orr_outcome outcome = run_seed(&of, 1);
    ck_assert(outcome.failed);
    snprintf(text, sizeof text, "a stream has one %s in flight at a time", direction);
    ck_assert_str_eq(outcome.check, text);
    snprintf(text, sizeof text, "ms, " SECOND ": node client submits this %s on ", second);
    ck_assert_msg(strstr(outcome.detail, text) != NULL, "%s", outcome.detail);
    snprintf(text, sizeof text, " before its %s from " FIRST " has called back", first);
    ck_assert_msg(strstr(outcome.detail, text) != NULL, "%s", outcome.detail);
    ck_assert_uint_eq(run_seed(&of, 1).trace_hash, outcome.trace_hash);
}

START_TEST(test_police__a_second_receive)
{
    check_report(recv_twice, "receive", "recv", "recv");
    check_report(recv_exact_and_readv, "receive", "recv", "readv");
}
END_TEST

START_TEST(test_police__a_second_send)
{
    check_report(send_all_twice, "send", "send", "send");
    check_report(send_all_and_write_later, "send", "send", "write");
    check_report(send_between_the_attempts_of_another, "send", "send", "send");
}
END_TEST

START_TEST(test_police__a_bare_world_has_to_ask)
{
    for (int asks = 0; asks < 2; asks++) {
        struct plan of = {.connected = recv_twice};
        struct orr_world *world = orr_world_create(1, NULL);
        plan = &of;
        if (asks == 1)
            orr_world_police(world);
        populate(world);
        orr_world_run_for(world, ORR_SECOND);
        ck_assert_int_eq(orr_world_failed(world), asks == 1);
        orr_world_destroy(world);
    }
}
END_TEST

/* ---- what is not ----------------------------------------------------------------------------- */

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        return; /* the seed broke the connection */
    if (++client->sends < SENDS)
        orr_send_all(client->loop, completion, client->stream, bytes, CHUNK, on_sent, client);
    else
        plan->finished++;
}

/* One send after the other, with a receive, a poll and a shutdown beside them. */
static void sends_one_after_the_other(struct client *client)
{
    orr_recv(client->loop, &client->second, client->stream, client->buffers[0], 16, ignore, NULL);
    orr_poll(client->loop, &client->others[0], client->stream, ORR_POLL_IN, ignore, NULL);
    orr_shutdown(client->loop, &client->others[1], client->stream, ORR_SHUTDOWN_RECV, ignore, NULL);
    orr_send_all(client->loop, &client->first, client->stream, bytes, CHUNK, on_sent, client);
}

static void on_first_ended(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    orr_send_all(client->loop, completion, client->stream, bytes, CHUNK, on_sent, client);
}

/* A whole transfer that was stopped half way is over: the next may begin. */
static void sends_after_a_canceled_one(struct client *client)
{
    orr_send_all(client->loop, &client->first, client->stream, bytes, LARGE, on_first_ended,
                 client);
    orr_cancel(client->loop, &client->others[0], &client->first, ignore, NULL);
}

static void on_opened(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result < 0)
        return;
    for (int i = 0; i < 2; i++) {
        orr_write(client->loop, &client->others[i * 2], result, "abc", 3, 0, ignore, NULL);
        orr_read(client->loop, &client->others[i * 2 + 1], result, client->buffers[i], 16, 0,
                 ignore, NULL);
    }
    plan->finished++;
}

/* Datagrams and files may have many. */
static void what_is_no_stream(struct client *client)
{
    client->datagrams = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_DATAGRAM);
    for (int i = 0; i < 2; i++) {
        client->datagram[i] = (struct orr_datagram){.buffer = client->buffers[2 + i], .length = 16};
        orr_recv_from(client->loop, i == 0 ? &client->first : &client->second, client->datagrams,
                      &client->datagram[i], ignore, NULL);
    }
    orr_open(client->loop, &client->others[5], ORR_DIRECTORY_CURRENT, "file",
             ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, on_opened, client);
}

static void check_clean(void (*connected)(struct client *client))
{
    struct plan of = {.connected = connected, .faults = true};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct orr_outcome outcome = run_seed(&of, seed);
        ck_assert_msg(!outcome.failed, "seed %llu: %s %s", (unsigned long long)seed, outcome.check,
                      outcome.detail);
    }
    ck_assert_uint_gt(of.finished, SEEDS / 2);
}

START_TEST(test_police__one_after_the_other_is_right)
{
    check_clean(sends_one_after_the_other);
    check_clean(sends_after_a_canceled_one);
}
END_TEST

START_TEST(test_police__datagrams_and_files_have_many)
{
    check_clean(what_is_no_stream);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("police");
    tcase_add_test(cases, test_police__a_second_receive);
    tcase_add_test(cases, test_police__a_second_send);
    tcase_add_test(cases, test_police__a_bare_world_has_to_ask);
    tcase_add_test(cases, test_police__one_after_the_other_is_right);
    tcase_add_test(cases, test_police__datagrams_and_files_have_many);
    return suite_run("sim/police", cases);
}

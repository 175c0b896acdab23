/*
 * police_fixture.c: see police_fixture.h.
 */
#include "tests/sim/police_fixture.h"

struct plan *plan;
char bytes[LARGE];

void must(bool condition)
{
    if (!condition)
        ck_abort_msg("a call of the test's own failed");
}

orr_handle bound(struct orr_loop *loop, const char *text, enum orr_socket_type type)
{
    struct orr_address address;
    must(orr_address_parse(text, &address) == 0);
    orr_handle socket = orr_socket(loop, orr_address_family(&address), type);
    must(orr_bind(loop, socket, &address) == 0);
    return socket;
}

void ignore(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result;
}

/* ---- the server ------------------------------------------------------------------------------ */

struct taker {
    struct server *server;
    struct orr_completion completion;
    struct orr_completion hello;
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
        if (plan->server_talks)
            orr_send_all(server->loop, &taker->hello, result, "0123456789abcdef", 16, ignore, NULL);
        orr_recv(server->loop, &taker->completion, result, taker->buffer, sizeof taker->buffer,
                 on_taken, taker);
    }
    orr_accept(server->loop, completion, server->listener, NULL, on_accept, server);
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

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result == 0)
        plan->connected(context);
}

static void on_opened(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    client->file = result;
    if (result >= 0)
        plan->opened(client);
}

static void *boot_client(struct orr_loop *loop, void *config)
{
    (void)config;
    struct client *client = orr_malloc(loop, sizeof *client);
    memset(client, 0, sizeof *client);
    client->loop = loop;
    must(orr_address_parse("10.0.0.1:7000", &client->target) == 0);
    if (plan->opened != NULL) {
        orr_open(loop, &client->first, ORR_DIRECTORY_CURRENT, "file",
                 ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, on_opened, client);
        return client;
    }
    client->stream = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    orr_connect(loop, &client->first, client->stream, &client->target, on_connected, client);
    return client;
}

/* ---- runs ------------------------------------------------------------------------------------ */

void populate(struct orr_world *world)
{
    static const struct orr_program server = {.boot = boot_server};
    static const struct orr_program client = {.boot = boot_client};
    (void)orr_node_create(world, "server", &server, NULL);
    struct orr_node *node = orr_node_create(world, "client", &client, NULL);
    if (plan->prepare != NULL)
        plan->prepare(node);
}

static void scenario_run(struct orr_world *world)
{
    for (uint32_t family = 0; !plan->faults && family < ORR_FAMILY_COUNT; family++)
        orr_world_set_rate(world, (enum orr_fault_family)family, 0);
    populate(world);
    orr_world_run_for(world, 10 * ORR_SECOND);
}

struct orr_outcome run_seed(struct plan *of, uint64_t seed)
{
    static const struct orr_scenario scenario = {.name = "police", .run = scenario_run};
    const struct orr_run_options options = {.seed = seed};
    struct orr_outcome outcome;
    plan = of;
    ck_assert_int_eq(orr_scenario_run(&scenario, &options, &outcome), 0);
    return outcome;
}

void check_caught(struct plan *of, const char *check, const char *const *texts)
{
    struct orr_outcome outcome = run_seed(of, 1);
    ck_assert_msg(outcome.failed, "not caught: %s", check);
    ck_assert_str_eq(outcome.check, check);
    for (; *texts != NULL; texts++)
        ck_assert_msg(strstr(outcome.detail, *texts) != NULL, "no \"%s\" in: %s", *texts,
                      outcome.detail);
    ck_assert_uint_eq(run_seed(of, 1).trace_hash, outcome.trace_hash);
}

void check_clean(struct plan of)
{
    of.faults = true;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct orr_outcome outcome = run_seed(&of, seed);
        ck_assert_msg(!outcome.failed, "seed %llu: %s %s", (unsigned long long)seed, outcome.check,
                      outcome.detail);
    }
    ck_assert_uint_gt(of.finished, SEEDS / 2);
}

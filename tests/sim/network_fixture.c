/*
 * network_fixture.c: the world, its idle nodes, and the sockets that most tests begin with.
 */
#include "network_fixture.h"

struct orr_world *world;
struct orr_node *nodes[NODES];
char scratch[1 << 18];

void op_ended(void *context, struct orr_completion *completion, int64_t result)
{
    struct op *op = context;
    (void)completion;
    ck_assert_int_eq(op->result, PENDING);
    op->result = result;
}

static void *idle_boot(struct orr_loop *loop, void *config)
{
    (void)loop;
    return config;
}

void world_begin(uint64_t seed, void (*prepare)(void))
{
    static const char *const names[NODES] = {"client", "server", "third"};
    static const struct orr_program idle = {.boot = idle_boot};
    static char application;
    world = orr_world_create(seed, NULL);
    if (prepare != NULL)
        prepare();
    for (int i = 0; i < NODES; i++)
        nodes[i] = orr_node_create(world, names[i], &idle, &application);
    for (size_t i = 0; i < sizeof scratch; i++)
        scratch[i] = (char)(i * 31 + i / 251);
}

void world_setup(void)
{
    world_begin(1, NULL);
}

void world_teardown(void)
{
    orr_world_destroy(world);
    world = NULL;
}

struct orr_loop *loop_of(int node)
{
    return orr_node_loop(nodes[node]);
}

void run(uint64_t ns)
{
    for (int i = 0; i < NODES; i++)
        if (orr_node_is_up(nodes[i]))
            orr_wake(loop_of(i));
    orr_world_run_for(world, ns);
}

struct orr_address at(int node, uint16_t port)
{
    return orr_node_address(nodes[node], port);
}

struct orr_address parse(const char *text)
{
    struct orr_address address;
    ck_assert_int_eq(orr_address_parse(text, &address), 0);
    return address;
}

orr_handle stream_for(int node, const struct orr_address *address)
{
    orr_handle handle = orr_socket(loop_of(node), orr_address_family(address), ORR_SOCKET_STREAM);
    ck_assert_int_ge(handle, 0);
    return handle;
}

orr_handle listen_at(int node, const char *text, uint32_t backlog)
{
    struct orr_address address = parse(text);
    orr_handle handle = stream_for(node, &address);
    ck_assert_int_eq(orr_bind(loop_of(node), handle, &address), 0);
    ck_assert_int_eq(orr_listen(loop_of(node), handle, backlog), 0);
    return handle;
}

struct pair connected(const char *listen_text, const char *connect_text, int client, int server)
{
    struct pair pair = {.listener = listen_at(server, listen_text, 8)};
    struct orr_address address = parse(connect_text);
    pair.client = stream_for(client, &address);
    EXPECT(0, orr_connect, client, pair.client, &address);
    RESULT(pair.server, orr_accept, server, pair.listener, NULL);
    ck_assert_int_ge(pair.server, 0);
    return pair;
}

struct pair tcp_pair(void)
{
    return connected("0.0.0.0:7000", "10.0.0.2:7000", CLIENT, SERVER);
}

struct pair unix_pair(void)
{
    return connected("unix:/s", "unix:/s", CLIENT, CLIENT);
}

uint64_t fill(int node, orr_handle handle, struct op *op)
{
    uint64_t bytes = 0;
    for (;;) {
        SUBMIT(op, orr_send, node, handle, scratch + bytes % 1000, 1000 - bytes % 1000);
        run(SOON);
        if (op->result == PENDING)
            return bytes;
        ck_assert_int_gt(op->result, 0);
        bytes += (uint64_t)op->result;
    }
}

void drain_bytes(int node, orr_handle handle, uint64_t bytes)
{
    static char got[1000];
    for (uint64_t at = 0; at < bytes;) {
        int64_t received;
        uint64_t wanted = sizeof got - at % sizeof got;
        if (wanted > bytes - at)
            wanted = bytes - at;
        RESULT(received, orr_recv, node, handle, got, (size_t)wanted);
        ck_assert_int_gt(received, 0);
        ck_assert_int_eq(memcmp(got, scratch + at % 1000, (size_t)received), 0);
        at += (uint64_t)received;
    }
}

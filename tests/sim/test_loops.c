/*
 * test_loops.c: several loops on one node: a program opens them by orr_loop_open, as it does in
 * production; they share disk, address and memory, are stepped each by itself, wake one another,
 * and end together.
 *
 * The program is an office: a desk (the loop that boot got) and a worker (a further loop). What
 * they do is the test's.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "tests/io/dies.h"
#include "tests/suite.h"

#include <orrery/sim.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 50u
#define SEEDS 60u
#define LOOPS_MAX 1024u /* of a node */

struct office;

struct plan {
    void (*begin)(struct office *office); /* in boot; the worker is open */
    bool alone;                           /* no worker is opened */
    bool fails;                           /* boot does, after all */
    uint32_t boots;
    uint32_t crashes; /* calls of the crash function */
    uint32_t rounds;  /* of messages */
    uint32_t wakes;
    uint32_t late; /* callbacks of a life that is over */
    uint32_t canceled;
    uint32_t ended;
    uint64_t ticks_ns[ROUNDS]; /* when the desk ticked */
    uint32_t ticks;
    uint64_t worker_ns; /* when the worker ticked last */
    uint32_t together;  /* ticks of both at the same time */
    int64_t result;
    char bytes[8];
};

struct office {
    struct orr_loop *desk;
    struct orr_loop *worker;
    struct plan *plan;
    uint32_t life;
    orr_handle listener;
    orr_handle server; /* the worker's end */
    orr_handle client; /* the desk's */
    orr_handle file;
    int32_t handed; /* number of a connection that was released */
    struct orr_address address;
    struct orr_completion desk_io[4];
    struct orr_completion worker_io[4];
    char sent[4];
    char received[4];
};

static void on_worker_stops_desk(void *context, struct orr_completion *completion, int64_t result);

static bool is_late(const struct office *office)
{
    bool late = office->life != office->plan->boots;
    office->plan->late += late ? 1 : 0;
    return late;
}

static void *boot(struct orr_loop *loop, void *config)
{
    struct plan *plan = config;
    struct office *office = orr_malloc(loop, sizeof *office);
    if (office == NULL)
        return NULL;
    memset(office, 0, sizeof *office);
    office->desk = loop;
    office->plan = plan;
    office->life = ++plan->boots;
    if (!plan->alone && orr_loop_open(NULL, &office->worker) < 0)
        return NULL;
    plan->begin(office);
    return plan->fails ? NULL : office;
}

static void on_crash(void *application)
{
    const struct office *office = application;
    office->plan->crashes++;
}

static const struct orr_program program = {.boot = boot, .crash = on_crash};

static struct orr_node *make(struct orr_world *world, struct plan *plan)
{
    return orr_node_create(world, "server", &program, plan);
}

/* What a run of the plan has in its trace. */
static bool trace_has(struct plan *plan, const char *text)
{
    char *trace;
    size_t size;
    FILE *file = open_memstream(&trace, &size);
    struct orr_world *world = orr_world_create(1, file);
    (void)make(world, plan);
    orr_world_run_for(world, ORR_SECOND);
    orr_world_destroy(world);
    fclose(file);
    bool found = strstr(trace, text) != NULL;
    free(trace);
    return found;
}

/* ---- the two talk ---------------------------------------------------------------------------- */

static void on_pong(void *context, struct orr_completion *completion, int64_t result);

static void ping(struct office *office)
{
    memcpy(office->sent, "ping", 4);
    orr_send_all(office->desk, &office->desk_io[0], office->client, office->sent, 4, on_pong,
                 office);
}

/* The desk's message has left, or the answer has come. */
static void on_pong(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    if (is_late(office) || result != 4)
        return;
    if (completion == &office->desk_io[0]) {
        orr_recv_exact(office->desk, &office->desk_io[1], office->client, office->sent, 4, on_pong,
                       office);
        return;
    }
    if (++office->plan->rounds < ROUNDS)
        ping(office);
    else
        orr_wake(office->worker);
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    if (!is_late(office) && result == 0)
        ping(office);
}

static void on_ping(void *context, struct orr_completion *completion, int64_t result);

static void on_answered(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    if (!is_late(office) && result == 4)
        orr_recv_exact(office->worker, completion, office->server, office->received, 4, on_ping,
                       office);
}

static void on_ping(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    if (!is_late(office) && result == 4)
        orr_send_all(office->worker, completion, office->server, office->received, 4, on_answered,
                     office);
}

static void on_accepted(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    if (is_late(office) || result < 0)
        return;
    office->server = result;
    on_answered(office, completion, 4);
}

static void listen_and_connect(struct office *office)
{
    (void)orr_address_parse("127.0.0.1:7000", &office->address);
    office->listener = orr_socket(office->worker, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    (void)orr_socket_option_set(office->worker, office->listener, ORR_SOCKET_REUSE_ADDRESS, 1);
    if (orr_bind(office->worker, office->listener, &office->address) < 0 ||
        orr_listen(office->worker, office->listener, 4) < 0)
        return;
    orr_accept(office->worker, &office->worker_io[0], office->listener, NULL, on_accepted, office);
    office->client = orr_socket(office->desk, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    orr_connect(office->desk, &office->desk_io[2], office->client, &office->address, on_connected,
                office);
}

static void on_desk_woken(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    if (!is_late(office) && result == 0)
        office->plan->wakes++;
}

static void on_worker_woken(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    if (is_late(office) || result != 0)
        return;
    office->plan->wakes++;
    orr_wake(office->desk);
}

static void talk(struct office *office)
{
    orr_wait_wake(office->worker, &office->worker_io[1], on_worker_woken, office);
    orr_wait_wake(office->desk, &office->desk_io[3], on_desk_woken, office);
    listen_and_connect(office);
}

static uint64_t talk_once(uint64_t seed)
{
    struct plan plan = {.begin = talk};
    struct orr_world *world = orr_world_create(seed, NULL);
    orr_world_police(world);
    (void)make(world, &plan);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert(!orr_world_failed(world));
    ck_assert_uint_eq(plan.rounds, ROUNDS);
    ck_assert_uint_eq(plan.wakes, 2);
    uint64_t hash = orr_world_trace_hash(world);
    orr_world_destroy(world);
    ck_assert_uint_eq(plan.crashes, 1);
    return hash;
}

START_TEST(test_loops__exchange_messages_and_wakes)
{
    uint64_t first = talk_once(1);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        ck_assert_uint_eq(talk_once(seed), talk_once(seed));
    ck_assert_uint_ne(first, talk_once(2));
}
END_TEST

START_TEST(test_loops__a_trace_tells_them_apart)
{
    ck_assert(trace_has(&(struct plan){.begin = talk}, "  server.2           accept#0 on 3 = 5"));
    ck_assert(trace_has(&(struct plan){.begin = talk}, "  server             connect#0 on 4 = 0"));
}
END_TEST

/* ---- one port, one name ---------------------------------------------------------------------- */

#define CLIENTS 40u

struct clients {
    struct orr_address target;
    struct orr_completion io[CLIENTS];
    uint32_t connected;
};

static void on_client_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct clients *clients = context;
    (void)completion;
    clients->connected += result == 0 ? 1 : 0;
}

static void *clients_boot(struct orr_loop *loop, void *config)
{
    struct clients *clients = config;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        orr_handle handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        orr_connect(loop, &clients->io[i], handle, &clients->target, on_client_connected, clients);
    }
    return clients;
}

static void on_accepted_by_one(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    bool by_desk = completion == &office->desk_io[0];
    struct orr_loop *loop = by_desk ? office->desk : office->worker;
    if (result < 0)
        return;
    office->plan->rounds += by_desk ? 1 : 0;
    office->plan->ended += by_desk ? 0 : 1;
    orr_accept(loop, completion, by_desk ? office->client : office->server, NULL,
               on_accepted_by_one, office);
}

static orr_handle listen_on(struct orr_loop *loop, const char *text)
{
    struct orr_address address;
    (void)orr_address_parse(text, &address);
    orr_handle listener = orr_socket(loop, orr_address_family(&address), ORR_SOCKET_STREAM);
    (void)orr_socket_option_set(loop, listener, ORR_SOCKET_REUSE_PORT, 1);
    ck_assert_int_eq(orr_bind(loop, listener, &address), 0);
    ck_assert_int_eq(orr_listen(loop, listener, 0), 0);
    return listener;
}

static void accept_on_both(struct office *office)
{
    office->client = listen_on(office->desk, "0.0.0.0:7000");
    office->server = listen_on(office->worker, "0.0.0.0:7000");
    orr_accept(office->desk, &office->desk_io[0], office->client, NULL, on_accepted_by_one, office);
    orr_accept(office->worker, &office->worker_io[0], office->server, NULL, on_accepted_by_one,
               office);
}

START_TEST(test_loops__accept_on_one_port)
{
    static const struct orr_program clients_program = {.boot = clients_boot};
    struct clients clients = {.connected = 0};
    struct plan plan = {.begin = accept_on_both};
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_node *node = make(world, &plan);
    clients.target = orr_node_address(node, 7000);
    (void)orr_node_create(world, "clients", &clients_program, &clients);
    orr_world_run_for(world, ORR_MINUTE);
    ck_assert_uint_eq(clients.connected, CLIENTS);
    ck_assert_uint_eq(plan.rounds + plan.ended, CLIENTS);
    ck_assert_uint_gt(plan.rounds, CLIENTS / 4);
    ck_assert_uint_gt(plan.ended, CLIENTS / 4);
    orr_world_destroy(world);
}
END_TEST

static void on_hung_up(void *context, struct orr_completion *completion, int64_t result);

/* The desk accepts, and hands each connection over to the worker, who greets and hangs up. */
static void on_greeted(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    office->plan->ended += result == 5 ? 1 : 0;
    orr_close(office->worker, completion, office->client, on_hung_up, office);
}

static void on_handed_over(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)result;
    office->client = orr_adopt(office->worker, office->handed);
    orr_send_all(office->worker, completion, office->client, "hello", 5, on_greeted, office);
}

static void on_accepted_by_desk(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    office->plan->rounds++;
    office->handed = orr_release(office->desk, result);
    ck_assert_int_eq(office->handed, 4);
    ck_assert_int_eq(orr_adopt(office->worker, 3),
                     -ENOTSUP); /* the listener, which is the desk's */
    ck_assert_int_eq(orr_adopt(office->worker, 99), -ENOTSUP);
    orr_wait_wake(office->worker, &office->worker_io[0], on_handed_over, office);
    orr_wake(office->worker);
}

static void accept_next(struct office *office)
{
    orr_accept(office->desk, &office->desk_io[0], office->server, NULL, on_accepted_by_desk,
               office);
}

static void on_hung_up(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    ck_assert_int_eq(result, 0);
    if (office->plan->rounds < CLIENTS)
        accept_next(office);
}

static void hand_over(struct office *office)
{
    office->server = listen_on(office->desk, "0.0.0.0:7000");
    accept_next(office);
}

START_TEST(test_loops__hand_connections_over)
{
    static const struct orr_program clients_program = {.boot = clients_boot};
    struct clients clients = {.connected = 0};
    struct plan plan = {.begin = hand_over};
    struct orr_world *world = orr_world_create(1, NULL);
    orr_world_police(world);
    struct orr_node *node = make(world, &plan);
    clients.target = orr_node_address(node, 7000);
    (void)orr_node_create(world, "clients", &clients_program, &clients);
    orr_world_run_for(world, ORR_MINUTE);
    ck_assert(!orr_world_failed(world));
    ck_assert_uint_eq(plan.rounds, CLIENTS);
    ck_assert_uint_eq(plan.ended, CLIENTS);
    orr_world_destroy(world);
}
END_TEST

/* A connection that was released, and its loop closed: it is the node's, and ends with it. */
static void on_release_and_close(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    ck_assert_int_ge(orr_release(office->worker, result), 0);
    office->plan->rounds++;
    orr_wake(office->desk);
}

static void on_close_that_loop(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    orr_loop_close(office->worker);
}

static void release_and_close(struct office *office)
{
    office->server = listen_on(office->worker, "0.0.0.0:7000");
    orr_accept(office->worker, &office->worker_io[0], office->server, NULL, on_release_and_close,
               office);
    orr_wait_wake(office->desk, &office->desk_io[0], on_close_that_loop, office);
    orr_timeout(office->desk, &office->desk_io[1], 40 * ORR_SECOND, on_worker_stops_desk, office);
}

START_TEST(test_loops__a_released_handle_outlives_its_loop)
{
    static const struct orr_program clients_program = {.boot = clients_boot};
    struct clients clients = {.connected = 0};
    struct plan plan = {.begin = release_and_close};
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_node *node = make(world, &plan);
    clients.target = orr_node_address(node, 7000);
    (void)orr_node_create(world, "clients", &clients_program, &clients);
    orr_world_run_for(world, ORR_MINUTE);
    ck_assert_uint_eq(plan.rounds, 1);
    ck_assert(!orr_node_is_up(node));
    orr_world_destroy(world);
}
END_TEST

static void on_named(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    office->plan->ended += result == 0 ? 1 : 0;
}

/*
 * A listener that moves to another loop, after an accept on it was canceled. Which pass that was
 * in is nothing to the other loop, however many passes it has made by itself: the accept there gets
 * the only connection. The desk makes `rounds` passes more than it must, before all that.
 */
static void on_accepted_after_move(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    office->plan->ended += result >= 0 ? 1 : 0;
}

static void on_connected_at_last(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    ck_assert_int_eq(result, 0);
}

static void on_connect_after_move(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)result;
    office->client = orr_socket(office->desk, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    orr_connect(office->desk, completion, office->client, &office->address, on_connected_at_last,
                office);
}

static void on_listener_moves(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)result;
    office->server = orr_adopt(office->worker, office->handed);
    orr_accept(office->worker, completion, office->server, NULL, on_accepted_after_move, office);
}

static void on_accept_canceled(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    ck_assert_int_eq(result, -ECANCELED);
    office->handed = orr_release(office->desk, office->listener);
    ck_assert_int_ge(office->handed, 0);
    orr_wake(office->worker);
    orr_timeout(office->desk, completion, ORR_SECOND, on_connect_after_move, office);
}

static void on_tick_before_cancel(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)result;
    if (office->plan->rounds-- > 0) {
        orr_timeout(office->desk, completion, ORR_MILLISECOND, on_tick_before_cancel, office);
        return;
    }
    orr_cancel(office->desk, completion, &office->desk_io[0], on_named, office);
}

static void move_listener(struct office *office)
{
    (void)orr_address_parse("127.0.0.1:7000", &office->address);
    office->listener = listen_on(office->desk, "0.0.0.0:7000");
    orr_accept(office->desk, &office->desk_io[0], office->listener, NULL, on_accept_canceled,
               office);
    orr_wait_wake(office->worker, &office->worker_io[0], on_listener_moves, office);
    orr_timeout(office->desk, &office->desk_io[1], ORR_MILLISECOND, on_tick_before_cancel, office);
}

START_TEST(test_loops__a_listener_that_moves_leaves_its_passes_behind)
{
    for (uint32_t rounds = 0; rounds < ROUNDS; rounds++) {
        struct plan plan = {.begin = move_listener, .rounds = rounds};
        struct orr_world *world = orr_world_create(1, NULL);
        orr_world_set_rate(world, ORR_FAMILY_REORDER, 1000000);
        (void)make(world, &plan);
        orr_world_run_for(world, ORR_MINUTE);
        ck_assert_msg(plan.ended == 2, "after %u passes: %u", rounds, plan.ended);
        orr_world_destroy(world);
    }
}
END_TEST

static void on_accepted_by_name(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    if (result >= 0 && ++office->plan->rounds < 4)
        orr_accept(office->worker, completion, office->server, NULL, on_accepted_by_name, office);
}

static void on_accept_at_last(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)result;
    ck_assert_uint_eq(office->plan->ended, 1); /* the backlog has room for one, the others wait */
    orr_accept(office->worker, completion, office->server, NULL, on_accepted_by_name, office);
}

static void connect_by_name(struct office *office)
{
    office->server = listen_on(office->worker, "unix:/name");
    (void)orr_address_parse("unix:/name", &office->address);
    for (uint32_t i = 0; i < 4; i++)
        orr_connect(office->desk, &office->desk_io[i],
                    orr_socket(office->desk, ORR_FAMILY_UNIX, ORR_SOCKET_STREAM), &office->address,
                    on_named, office);
    orr_timeout(office->worker, &office->worker_io[0], ORR_MILLISECOND, on_accept_at_last, office);
}

/* Connects of one loop wait at the listener of another. */
START_TEST(test_loops__connect_by_name)
{
    struct plan plan = {.begin = connect_by_name};
    struct orr_world *world = orr_world_create(1, NULL);
    (void)make(world, &plan);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert_uint_eq(plan.ended, 4);
    ck_assert_uint_eq(plan.rounds, 4);
    orr_world_destroy(world);
}
END_TEST

/* ---- one disk -------------------------------------------------------------------------------- */

static void on_read(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    office->plan->result = result;
}

static void on_opened_by_desk(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    if (result >= 0)
        orr_read_exact(office->desk, completion, result, office->plan->bytes, 5, 0, on_read,
                       office);
}

static void on_done_work(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    if (result == 0)
        orr_open(office->desk, &office->desk_io[0], ORR_DIRECTORY_CURRENT, "work", ORR_OPEN_READ, 0,
                 on_opened_by_desk, office);
}

static void on_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    if (result == 0)
        orr_wake(office->desk);
}

static void on_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    if (result == 5)
        orr_fsync(office->worker, completion, office->file, on_synced, office);
}

static void on_opened(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    office->file = result;
    if (result >= 0)
        orr_write_all(office->worker, completion, result, "hello", 5, 0, on_written, office);
}

static void write_and_read(struct office *office)
{
    orr_wait_wake(office->desk, &office->desk_io[3], on_done_work, office);
    orr_open(office->worker, &office->worker_io[0], ORR_DIRECTORY_CURRENT, "work",
             ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, on_opened, office);
}

START_TEST(test_loops__share_the_disk)
{
    struct plan plan = {.begin = write_and_read};
    struct orr_world *world = orr_world_create(1, NULL);
    orr_world_police(world);
    (void)make(world, &plan);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert_int_eq(plan.result, 5);
    ck_assert_str_eq(plan.bytes, "hello");
    orr_world_destroy(world);
}
END_TEST

/* The faults that a scenario states count the operations of the node, whoever makes them. */
START_TEST(test_loops__share_the_numbers_of_operations)
{
    struct plan plan = {.begin = write_and_read};
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_node *node = make(world, &plan);
    orr_node_crash_after(node, "fsync", 1, ORR_CRASH_POWER);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert(!orr_node_is_up(node));
    ck_assert_int_eq(plan.result, 0);
    orr_world_destroy(world);
}
END_TEST

/* ---- choices --------------------------------------------------------------------------------- */

static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    struct plan *plan = office->plan;
    (void)result;
    plan->ticks_ns[plan->ticks++] = orr_now(office->desk);
    plan->together += orr_now(office->desk) == plan->worker_ns ? 1 : 0;
    if (plan->ticks < ROUNDS)
        orr_timeout(office->desk, completion, ORR_MILLISECOND, on_tick, office);
}

static void on_worker_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    office->plan->ended++;
    if (result == 0)
        orr_timeout(office->worker, completion, ORR_MILLISECOND / 3, on_worker_tick, office);
}

static void tick(struct office *office)
{
    orr_timeout(office->desk, &office->desk_io[0], ORR_MILLISECOND, on_tick, office);
    if (office->worker != NULL)
        orr_timeout(office->worker, &office->worker_io[0], 1, on_worker_tick, office);
}

static void tick_for_a_second(struct plan *plan, uint64_t pause_ns)
{
    struct orr_world *world = orr_world_create(7, NULL);
    struct orr_node *node = make(world, plan);
    orr_node_pause(node, pause_ns);
    orr_world_run_for(world, ORR_SECOND);
    orr_world_destroy(world);
}

START_TEST(test_loops__the_first_knows_nothing_of_the_others)
{
    struct plan alone = {.begin = tick, .alone = true};
    struct plan both = {.begin = tick};
    tick_for_a_second(&alone, 0);
    tick_for_a_second(&both, 0);
    ck_assert_uint_eq(alone.ticks, ROUNDS);
    ck_assert_mem_eq(alone.ticks_ns, both.ticks_ns, sizeof alone.ticks_ns);
    ck_assert_uint_gt(both.ended, 2 * ROUNDS);
}
END_TEST

static void on_same_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    office->plan->worker_ns = orr_now(office->worker);
    office->plan->together +=
        office->plan->ticks > 0 && office->plan->ticks_ns[0] == office->plan->worker_ns ? 1 : 0;
    (void)completion;
    (void)result;
}

/* Both are woken at the same time: when they make their pass is each one's own choice. */
static void tick_together(struct office *office)
{
    orr_wait_wake(office->worker, &office->worker_io[0], on_same_tick, office);
    orr_wait_wake(office->desk, &office->desk_io[0], on_tick, office);
}

START_TEST(test_loops__draw_by_themselves)
{
    uint32_t together = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct plan plan = {.begin = tick_together};
        struct orr_world *world = orr_world_create(seed, NULL);
        struct orr_node *node = make(world, &plan);
        orr_world_run_for(world, ORR_MILLISECOND);
        const struct office *office = orr_node_application(node);
        orr_wake(office->desk);
        orr_wake(office->worker);
        orr_world_run_for(world, ORR_MILLISECOND);
        ck_assert_uint_gt(plan.ticks, 0);
        ck_assert_uint_gt(plan.worker_ns, 0);
        together += plan.together;
        orr_world_destroy(world);
    }
    ck_assert_uint_lt(together, SEEDS / 4);
}
END_TEST

START_TEST(test_loops__pause_together)
{
    struct plan plan = {.begin = tick};
    tick_for_a_second(&plan, ORR_MINUTE);
    ck_assert_uint_eq(plan.ticks + plan.ended, 0);
    tick_for_a_second(&plan, 900 * ORR_MILLISECOND);
    ck_assert_uint_eq(plan.ticks, ROUNDS);
    ck_assert_uint_gt(plan.ended, 100);
    ck_assert_uint_lt(plan.ended, 400);
}
END_TEST

/* ---- opening --------------------------------------------------------------------------------- */

static void open_by_name(struct office *office)
{
    struct orr_loop *loop;
    struct orr_options options = {.backend = "uring", .batch_entries = 1};
    ck_assert_str_eq(orr_loop_backend_name(office->worker), "world");
    ck_assert_int_eq(orr_loop_open(&options, &loop), 0);
    ck_assert_str_eq(orr_loop_backend_name(loop), "world");
    ck_assert_uint_eq(orr_now(loop), orr_now(office->desk));
    orr_loop_close(loop);
    options.batch_entries = UINT32_MAX;
    ck_assert_int_eq(orr_loop_open(&options, &loop), -EINVAL);
    office->plan->rounds++;
}

static void open_too_many(struct office *office)
{
    char error[128] = "";
    struct orr_options options = {.handles_max = 1, .error = error, .error_size = sizeof error};
    struct orr_loop *loops[LOOPS_MAX];
    for (uint32_t i = 2; i < LOOPS_MAX; i++)
        ck_assert_int_eq(orr_loop_open(&options, &loops[i]), 0);
    ck_assert_int_eq(orr_loop_open(&options, &loops[0]), -EMFILE);
    ck_assert_str_eq(error, "node server has 1024 loops, the most is 1024");
    orr_loop_close(loops[7]);
    ck_assert_int_eq(orr_loop_open(&options, &loops[7]), 0);
    office->plan->rounds++;
}

static void boot_once(void (*begin)(struct office *office))
{
    struct plan plan = {.begin = begin};
    struct orr_world *world = orr_world_create(1, NULL);
    (void)make(world, &plan);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert_uint_eq(plan.rounds, 1);
    orr_world_destroy(world);
}

START_TEST(test_loops__are_opened_as_in_production)
{
    struct orr_loop *loop;
    boot_once(open_by_name);
    boot_once(open_too_many);
    ck_assert_int_eq(orr_loop_open(NULL, &loop), 0); /* nobody's code: of this system */
    ck_assert_str_ne(orr_loop_backend_name(loop), "world");
    orr_loop_close(loop);
}
END_TEST

static void on_ended(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    office->plan->ended++;
    office->plan->canceled += result == -ECANCELED ? 1 : 0;
}

static void on_give_work(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    orr_timeout(office->worker, &office->worker_io[0], ORR_MILLISECOND, on_ended, office);
    orr_open(office->worker, &office->worker_io[1], ORR_DIRECTORY_CURRENT, ".",
             ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0, on_ended, office);
}

/* As one loop inside another: both belong to one thread. */
static void give_work(struct office *office)
{
    orr_timeout(office->desk, &office->desk_io[0], ORR_SECOND / 2, on_give_work, office);
}

START_TEST(test_loops__submit_to_one_another)
{
    struct plan plan = {.begin = give_work};
    tick_for_a_second(&plan, 0);
    ck_assert_uint_eq(plan.ended, 2);
}
END_TEST

START_TEST(test_loops__a_boot_that_fails_leaves_none)
{
    struct plan plan = {.begin = tick, .fails = true};
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_node *node = make(world, &plan);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert(!orr_node_is_up(node));
    ck_assert(orr_world_failed(world));
    ck_assert_uint_eq(plan.ended, 0);
    orr_world_destroy(world);
}
END_TEST

/* ---- stopping and closing -------------------------------------------------------------------- */

static void on_worker_stops_desk(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    orr_stop(office->desk);
}

static void stop_from_worker(struct office *office)
{
    tick(office);
    orr_timeout(office->worker, &office->worker_io[1], ORR_MILLISECOND, on_worker_stops_desk,
                office);
}

static void on_worker_stops(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    office->plan->ended = 0;
    orr_stop(office->worker);
}

static void stop_worker(struct office *office)
{
    tick(office);
    orr_timeout(office->worker, &office->worker_io[1], ORR_MILLISECOND, on_worker_stops, office);
}

START_TEST(test_loops__stop)
{
    struct plan whole = {.begin = stop_from_worker};
    struct plan part = {.begin = stop_worker};
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr_node *node = make(world, &whole);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert(!orr_node_is_up(node)); /* the desk's stop ends the program, */
    ck_assert_uint_eq(whole.crashes, 1);
    ck_assert_uint_lt(whole.ended, 10);
    orr_world_destroy(world);

    tick_for_a_second(&part, 0);
    ck_assert_uint_eq(part.ticks, ROUNDS); /* the worker's only itself */
    ck_assert_uint_eq(part.ended, 0);
}
END_TEST

/* A recv that waits, a timer, a wait for a wake, and an operation on the disk. */
static void keep_worker_busy(struct office *office)
{
    struct orr_address any;
    (void)orr_address_parse("0.0.0.0:0", &any);
    office->server = orr_socket(office->worker, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    ck_assert_int_eq(orr_bind(office->worker, office->server, &any), 0);
    orr_recv(office->worker, &office->worker_io[0], office->server, office->received, 4, on_ended,
             office);
    orr_timeout(office->worker, &office->worker_io[1], ORR_MINUTE, on_ended, office);
    orr_wait_wake(office->worker, &office->worker_io[2], on_ended, office);
    orr_open(office->worker, &office->worker_io[3], ORR_DIRECTORY_CURRENT, "file",
             ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, on_ended, office);
}

static void on_desk_closes(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    uint64_t now_ns = orr_now(office->desk);
    orr_drain(office->worker);
    ck_assert_uint_eq(office->plan->ended % 4, 0);
    ck_assert_uint_eq(orr_now(office->desk), now_ns);
    orr_loop_close(office->worker);
    office->plan->rounds++;
    if (office->plan->rounds == 4)
        return;
    ck_assert_int_eq(orr_loop_open(NULL, &office->worker), 0);
    keep_worker_busy(office);
    orr_timeout(office->desk, completion, 2 * ORR_MICROSECOND, on_desk_closes, office);
}

static void close_worker(struct office *office)
{
    keep_worker_busy(office);
    orr_timeout(office->desk, &office->desk_io[0], 2 * ORR_MICROSECOND, on_desk_closes, office);
}

START_TEST(test_loops__close_with_operations_in_flight)
{
    struct plan plan = {.begin = close_worker};
    uint32_t canceled = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct orr_world *world = orr_world_create(seed, NULL);
        orr_world_police(world);
        (void)make(world, &plan);
        orr_world_run_for(world, ORR_SECOND);
        ck_assert(!orr_world_failed(world));
        ck_assert_uint_eq(plan.rounds, 4);
        ck_assert_uint_eq(plan.ended, 16);
        ck_assert_uint_ge(plan.canceled, 12);
        canceled += plan.canceled - 12;
        orr_world_destroy(world);
        plan.rounds = plan.ended = plan.canceled = 0;
    }
    ck_assert_uint_gt(canceled, 0); /* some opens in time, others not */
    ck_assert_uint_lt(canceled, 4 * SEEDS);
}
END_TEST

/* ---- what is caught -------------------------------------------------------------------------- */

static void run_plan(void *context)
{
    struct plan *plan = context;
    struct orr_world *world = orr_world_create(1, NULL);
    (void)make(world, plan);
    orr_world_run_for(world, ORR_SECOND);
}

static void on_close_busy(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    orr_loop_close(office->worker);
}

static void close_busy(struct office *office)
{
    keep_worker_busy(office);
    orr_next_tick(office->desk, &office->desk_io[0], on_close_busy, office);
}

static void on_wait_for_worker(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    orr_run_for_ns(office->worker, 0);
    orr_run_until_idle(office->worker);
}

static void wait_for_worker(struct office *office)
{
    keep_worker_busy(office);
    orr_timeout(office->desk, &office->desk_io[0], ORR_SECOND / 2, on_wait_for_worker, office);
}

static void on_drain_stuck(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    orr_drain(office->worker);
}

static void drain_stuck(struct office *office)
{
    keep_worker_busy(office);
    orr_timeout(office->desk, &office->desk_io[0], ORR_SECOND / 2, on_drain_stuck, office);
}

static void run_stuck_plan(void *context)
{
    (void)context;
    struct plan plan = {.begin = drain_stuck};
    struct orr_world *world = orr_world_create(1, NULL);
    orr_world_set_rate(world, ORR_FAMILY_STUCK, 1000000);
    (void)make(world, &plan);
    orr_world_run_for(world, ORR_SECOND);
}

static void on_close_desk(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    (void)completion;
    (void)result;
    orr_loop_close(office->desk);
}

static void close_desk(struct office *office)
{
    orr_next_tick(office->worker, &office->worker_io[0], on_close_desk, office);
}

START_TEST(test_loops__misuse_is_caught)
{
    DIES(run_plan, &(struct plan){.begin = close_busy}, "4 operations are in flight");
    DIES(run_plan, &(struct plan){.begin = wait_for_worker},
         "node server: a callback runs server.2, another loop, and waits");
    DIES(run_stuck_plan, NULL, "node server waits for ever in orr_drain",
         "an operation of server.2 never returns");
    DIES(run_plan, &(struct plan){.begin = close_desk},
         "orr_loop_close: node server closes the loop that boot got");
}
END_TEST

static void leave_things(struct office *office)
{
    keep_worker_busy(office);
    orr_timeout(office->desk, &office->desk_io[0], ORR_MILLISECOND, on_worker_stops_desk, office);
}

static void leave_operations(struct office *office)
{
    orr_timeout(office->worker, &office->worker_io[1], ORR_MINUTE, on_ended, office);
    orr_timeout(office->desk, &office->desk_io[0], ORR_MILLISECOND, on_worker_stops_desk, office);
}

static void run_clean_stop(struct orr_world *world)
{
    static struct plan plans[] = {{.begin = leave_things}, {.begin = leave_operations}};
    struct orr_node *node = make(world, &plans[orr_world_seed(world)]);
    orr_node_expect_clean_stop(node);
    orr_world_run_for(world, ORR_SECOND);
}

START_TEST(test_loops__a_clean_stop_leaves_nothing_on_any)
{
    static const struct orr_scenario scenario = {.name = "stop", .run = run_clean_stop};
    const char *const texts[] = {"the socket at 0.0.0.0:", "1 operation is in flight"};
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct orr_outcome outcome;
        struct orr_run_options options = {.seed = seed};
        ck_assert_int_eq(orr_scenario_run(&scenario, &options, &outcome), 0);
        ck_assert_str_eq(outcome.check, "a node that stops leaves nothing open");
        ck_assert_ptr_nonnull(strstr(outcome.detail, texts[seed]));
    }
}
END_TEST

static void on_opened_by_both(void *context, struct orr_completion *completion, int64_t result)
{
    struct office *office = context;
    struct orr_loop *loop = completion == &office->desk_io[0] ? office->desk : office->worker;
    orr_write(loop, completion, result, "hello", 5, 3, on_ended, office);
}

static void write_both(struct office *office)
{
    uint32_t flags = ORR_OPEN_WRITE | ORR_OPEN_CREATE;
    orr_open(office->desk, &office->desk_io[0], ORR_DIRECTORY_CURRENT, "file", flags, 0644,
             on_opened_by_both, office);
    orr_open(office->worker, &office->worker_io[0], ORR_DIRECTORY_CURRENT, "file", flags, 0644,
             on_opened_by_both, office);
}

static void run_write_both(struct orr_world *world)
{
    static struct plan plan = {.begin = write_both};
    (void)make(world, &plan);
    orr_world_run_for(world, ORR_SECOND);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void run_stuck(struct orr_world *world)
{
    static struct plan plan = {.begin = keep_worker_busy};
    (void)make(world, &plan);
    orr_world_run_for(world, ORR_MILLISECOND);
    (void)orr_eventually(world, never, NULL, ORR_SECOND, "the worker gets something");
}

START_TEST(test_loops__the_police_looks_at_all)
{
    static const struct orr_scenario both = {.name = "both", .run = run_write_both};
    static const struct orr_scenario stuck = {.name = "stuck", .run = run_stuck};
    struct orr_outcome outcome;
    uint32_t seen = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct orr_run_options options = {.seed = seed};
        ck_assert_int_eq(orr_scenario_run(&both, &options, &outcome), 0);
        seen += strcmp(outcome.check, "writes in flight do not overlap") == 0 ? 1 : 0;
    }
    ck_assert_uint_gt(seen, 0);
    struct orr_run_options options = {.seed = 1};
    ck_assert_int_eq(orr_scenario_run(&stuck, &options, &outcome), 0);
    ck_assert_ptr_nonnull(strstr(outcome.detail, "  server: nothing\n"));
    ck_assert_ptr_nonnull(strstr(outcome.detail, "  server.2: recv on "));
}
END_TEST

/* ---- crashes, faults, replays ---------------------------------------------------------------- */

static void talk_and_work(struct office *office)
{
    talk(office);
    orr_timeout(office->worker, &office->worker_io[2], ORR_MINUTE, on_ended, office);
    orr_open(office->worker, &office->worker_io[3], ORR_DIRECTORY_CURRENT, "work",
             ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, on_opened, office);
}

START_TEST(test_loops__crash_together)
{
    static const enum orr_crash kinds[] = {ORR_CRASH_POWER, ORR_CRASH_PROCESS};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct plan plan = {.begin = talk_and_work};
        struct orr_world *world = orr_world_create(seed, NULL);
        struct orr_node *node = make(world, &plan);
        for (uint32_t life = 1; life <= 6; life++) {
            orr_world_run_for(world, seed * 7 * ORR_MICROSECOND);
            ck_assert_uint_eq(plan.boots, life);
            orr_node_crash(node, kinds[(seed + life) % 2]);
            ck_assert_uint_eq(plan.crashes, life);
            orr_world_run_for(world, seed % 3 * ORR_MILLISECOND);
            orr_node_start(node);
        }
        plan.rounds = 0;
        orr_world_run_for(world, 2 * ORR_MINUTE);
        ck_assert_uint_eq(plan.late, 0);
        ck_assert_uint_eq(plan.rounds, ROUNDS);
        orr_world_destroy(world);
    }
}
END_TEST

static struct plan chaos;

static bool is_done(void *context)
{
    const struct plan *plan = context;
    return plan->rounds >= ROUNDS && plan->wakes >= 2;
}

static void run_chaos(struct orr_world *world)
{
    chaos = (struct plan){.begin = talk_and_work};
    struct orr_node *node = make(world, &chaos);
    orr_node_allow_crashes(node, ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    orr_world_run_for(world, ORR_SECOND);
    orr_world_heal(world);
    orr_always(world, chaos.late == 0, "a life that is over is not called back");
    chaos.rounds = chaos.wakes = 0;
    if (orr_node_is_up(node))
        orr_node_crash(node, ORR_CRASH_PROCESS);
    (void)orr_eventually(world, is_done, &chaos, 10 * ORR_MINUTE, "they talk");
}

START_TEST(test_loops__every_seed_replays)
{
    static const struct orr_scenario scenario = {.name = "chaos", .run = run_chaos};
    uint64_t faults = 0;
    for (uint64_t seed = 1; seed <= 2 * SEEDS; seed++) {
        struct orr_run_options options = {.seed = seed};
        struct orr_outcome first;
        struct orr_outcome again;
        ck_assert_int_eq(orr_scenario_run(&scenario, &options, &first), 0);
        ck_assert_int_eq(orr_scenario_run(&scenario, &options, &again), 0);
        ck_assert_msg(!first.failed, "seed %llu: %s, %s", (unsigned long long)seed, first.check,
                      first.detail);
        ck_assert_uint_eq(first.trace_hash, again.trace_hash);
        ck_assert_uint_eq(first.completions, again.completions);
        faults += first.faults;
    }
    ck_assert_uint_gt(faults, SEEDS);
}
END_TEST

/* Nor any that a line of a replay file could not name. */
static void *boot_nothing(struct orr_loop *loop, void *config)
{
    (void)config;
    return loop;
}

static void name_a_node(void *context)
{
    static const struct orr_program nothing = {.boot = boot_nothing};
    struct orr_world *world = orr_world_create(1, NULL);
    orr_node_create(world, context, &nothing, NULL);
}

START_TEST(test_loops__no_node_has_the_name_of_a_loop)
{
    static const char *const names[] = {"server.2", "a b", "a#1", "a/b", "a->b", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        DIES(name_a_node, (void *)names[i], names[i], "a name has");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("loops");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_loops__exchange_messages_and_wakes);
    tcase_add_test(tests, test_loops__a_trace_tells_them_apart);
    tcase_add_test(tests, test_loops__accept_on_one_port);
    tcase_add_test(tests, test_loops__hand_connections_over);
    tcase_add_test(tests, test_loops__a_released_handle_outlives_its_loop);
    tcase_add_test(tests, test_loops__a_listener_that_moves_leaves_its_passes_behind);
    tcase_add_test(tests, test_loops__connect_by_name);
    tcase_add_test(tests, test_loops__share_the_disk);
    tcase_add_test(tests, test_loops__share_the_numbers_of_operations);
    tcase_add_test(tests, test_loops__the_first_knows_nothing_of_the_others);
    tcase_add_test(tests, test_loops__draw_by_themselves);
    tcase_add_test(tests, test_loops__pause_together);
    tcase_add_test(tests, test_loops__are_opened_as_in_production);
    tcase_add_test(tests, test_loops__submit_to_one_another);
    tcase_add_test(tests, test_loops__a_boot_that_fails_leaves_none);
    tcase_add_test(tests, test_loops__stop);
    tcase_add_test(tests, test_loops__close_with_operations_in_flight);
    tcase_add_test(tests, test_loops__misuse_is_caught);
    tcase_add_test(tests, test_loops__a_clean_stop_leaves_nothing_on_any);
    tcase_add_test(tests, test_loops__the_police_looks_at_all);
    tcase_add_test(tests, test_loops__crash_together);
    tcase_add_test(tests, test_loops__every_seed_replays);
    tcase_add_test(tests, test_loops__no_node_has_the_name_of_a_loop);
    return suite_run("loops", tests);
}

/*
 * world.c: how fast the simulated world is: completions and events a second on one core, without a
 * trace; and how much memory it takes. Three workloads, each in one world with every fault family
 * off, and in one with every family on that the swarm can turn on, also
 * kills and power losses of the server:
 *
 *   echo   a server and 64 connections of 64-byte messages, which are made again when they fail:
 *          the work that the echo benchmark does on the kernel
 *   log    64 writers, each writes 100 bytes and makes them durable, again and again
 *   timer  4096 timers that rearm themselves
 *
 * CPU time of this process is what counts; everything else is virtual. The memory is that of 1,000
 * nodes which listen, and of 10,000 connections between them over which a byte went once: both
 * ends, and what the world keeps of each pair of nodes that has one. The program's own memory does
 * not count; and the nodes connect one after the other, or the events of 10,000 connects at one
 * time would. Prints one JSON object.
 */
#include <orrery/sim.h>

#include "../examples/echo/echo.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 64
#define MESSAGE_BYTES 64
#define WRITE_BYTES 100
#define TIMERS 4096
#define PORT 7000
#define RATE_ON 2000u /* of a million: families that this seed's swarm has left out */
#define IDLE_NODES 1000u
#define IDLE_PEERS 10u /* connections that each of them makes */

/* ---- echo clients ---------------------------------------------------------------------------- */

struct echo_connection {
    struct orr_loop *loop;
    const struct orr_address *server;
    orr_handle handle;
    struct orr_completion io;
    char bytes[MESSAGE_BYTES];
};

struct echo_clients {
    struct echo_connection connections[CONNECTIONS];
};

static void on_echo_sent(void *context, struct orr_completion *completion, int64_t result);
static void start(struct echo_connection *connection);

static void on_echo_closed(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    (void)result;
    start(context);
}

static void give_up(struct echo_connection *connection)
{
    orr_close(connection->loop, &connection->io, connection->handle, on_echo_closed, connection);
}

static void on_echo_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo_connection *connection = context;
    if (result == MESSAGE_BYTES)
        orr_send_all(connection->loop, completion, connection->handle, connection->bytes,
                     MESSAGE_BYTES, on_echo_sent, connection);
    else
        give_up(connection);
}

static void on_echo_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo_connection *connection = context;
    if (result >= 0)
        orr_recv_exact(connection->loop, completion, connection->handle, connection->bytes,
                       MESSAGE_BYTES, on_echo_received, connection);
    else
        give_up(connection);
}

static void on_echo_connected(void *context, struct orr_completion *completion, int64_t result)
{
    if (result == 0)
        on_echo_received(context, completion, MESSAGE_BYTES);
    else
        give_up(context);
}

static void start(struct echo_connection *connection)
{
    connection->handle = orr_socket(connection->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    orr_connect(connection->loop, &connection->io, connection->handle, connection->server,
                on_echo_connected, connection);
}

static void *echo_clients_boot(struct orr_loop *loop, void *config)
{
    struct echo_clients *clients = orr_malloc(loop, sizeof *clients);
    if (clients == NULL)
        return NULL;
    memset(clients, 0, sizeof *clients);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct echo_connection *connection = &clients->connections[i];
        connection->loop = loop;
        connection->server = config;
        start(connection);
    }
    return clients;
}

/* ---- log writers ----------------------------------------------------------------------------- */

struct writer {
    struct orr_loop *loop;
    orr_handle handle;
    uint64_t offset;
    struct orr_completion io;
    char bytes[WRITE_BYTES];
    char path[32];
};

struct writers {
    struct writer writers[CONNECTIONS];
};

static void on_synced(void *context, struct orr_completion *completion, int64_t result);

static void on_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct writer *writer = context;
    if (result < 0)
        return;
    writer->offset += WRITE_BYTES;
    orr_fdatasync(writer->loop, completion, writer->handle, on_synced, writer);
}

static void on_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct writer *writer = context;
    if (result == 0)
        orr_write_all(writer->loop, completion, writer->handle, writer->bytes, WRITE_BYTES,
                      writer->offset % 65536, on_written, writer);
}

static void on_opened(void *context, struct orr_completion *completion, int64_t result)
{
    struct writer *writer = context;
    writer->handle = result;
    if (result >= 0)
        on_synced(writer, completion, 0);
}

static void *writers_boot(struct orr_loop *loop, void *config)
{
    (void)config;
    struct writers *writers = orr_malloc(loop, sizeof *writers);
    if (writers == NULL)
        return NULL;
    memset(writers, 0, sizeof *writers);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct writer *writer = &writers->writers[i];
        writer->loop = loop;
        snprintf(writer->path, sizeof writer->path, "log-%d", i);
        orr_open(loop, &writer->io, ORR_DIRECTORY_CURRENT, writer->path,
                 ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0600, on_opened, writer);
    }
    return writers;
}

/* ---- timers ---------------------------------------------------------------------------------- */

struct ticker {
    struct orr_loop *loop;
    struct orr_completion timers[TIMERS];
};

static void on_timer(void *context, struct orr_completion *completion, int64_t result)
{
    struct ticker *ticker = context;
    if (result == 0)
        orr_timeout(ticker->loop, completion,
                    ORR_MILLISECOND + (uint64_t)(completion - ticker->timers), on_timer, ticker);
}

static void *ticker_boot(struct orr_loop *loop, void *config)
{
    (void)config;
    struct ticker *ticker = orr_malloc(loop, sizeof *ticker);
    if (ticker == NULL)
        return NULL;
    memset(ticker, 0, sizeof *ticker);
    ticker->loop = loop;
    for (int i = 0; i < TIMERS; i++)
        on_timer(ticker, &ticker->timers[i], 0);
    return ticker;
}

/* ---- the three worlds ------------------------------------------------------------------------ */

static const struct orr_program server_program = {.boot = echo_server_boot};
static const struct orr_program clients_program = {.boot = echo_clients_boot};
static const struct orr_program writers_program = {.boot = writers_boot};
static const struct orr_program ticker_program = {.boot = ticker_boot};

static void set_rates(struct orr_world *world)
{
    bool off = strcmp(orr_parameter_text(world, "faults"), "off") == 0;
    for (int i = 0; i < ORR_FAMILY_COUNT; i++) {
        enum orr_fault_family family = (enum orr_fault_family)i;
        if (off)
            orr_world_set_rate(world, family, 0);
        else if (orr_world_rate(world, family) == 0 && !orr_fault_family_is_on_request(family))
            orr_world_set_rate(world, family, RATE_ON);
    }
}

static void run_for(struct orr_world *world)
{
    orr_world_run_for(world, orr_parameter_number(world, "ms") * ORR_MILLISECOND);
}

static void run_echo(struct orr_world *world)
{
    set_rates(world);
    struct orr_address listen_on;
    (void)orr_address_parse("0.0.0.0:7000", &listen_on);
    struct orr_node *server = orr_node_create(world, "server", &server_program, &listen_on);
    orr_node_allow_crashes(server, ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    struct orr_address address = orr_node_address(server, PORT);
    (void)orr_node_create(world, "clients", &clients_program, &address);
    run_for(world);
}

static void run_log(struct orr_world *world)
{
    set_rates(world);
    struct orr_node *server = orr_node_create(world, "server", &writers_program, NULL);
    orr_node_allow_crashes(server, ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    run_for(world);
}

static void run_timer(struct orr_world *world)
{
    set_rates(world);
    struct orr_node *server = orr_node_create(world, "server", &ticker_program, NULL);
    orr_node_allow_crashes(server, ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    run_for(world);
}

static const struct orr_parameter parameters[] = {
    {.name = "faults", .value = "off", .allowed = "on|off", .summary = "fault families"},
    {.name = "ms", .value = "1000", .summary = "virtual time"},
    {.name = NULL},
};

static const struct {
    struct orr_scenario scenario;
    const char *ms;
} workloads[] = {
    {{.name = "echo", .summary = "echo", .parameters = parameters, .run = run_echo}, "10000"},
    {{.name = "log", .summary = "log", .parameters = parameters, .run = run_log}, "40000"},
    {{.name = "timer", .summary = "timer", .parameters = parameters, .run = run_timer}, "1000"},
};

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * ORR_SECOND + (uint64_t)now.tv_nsec;
}

static void measure(const char *separator, const struct orr_scenario *scenario, const char *ms,
                    const char *faults)
{
    const struct orr_parameter_value values[] = {{"faults", faults}, {"ms", ms}};
    struct orr_run_options options = {
        .seed = 1, .parameters = values, .parameter_count = 2, .events_max = UINT64_MAX - 1};
    struct orr_outcome outcome;
    uint64_t started_ns = cpu_ns();
    if (orr_scenario_run(scenario, &options, &outcome) < 0) {
        fprintf(stderr, "world: %s\n", outcome.detail);
        exit(1);
    }
    uint64_t spent_ns = cpu_ns() - started_ns;
    uint64_t spent_ms = spent_ns / ORR_MILLISECOND + 1;
    printf("%s\"%s_faults_%s_completions_per_second\": %" PRIu64
           ", \"%s_faults_%s_events_per_second\": %" PRIu64
           ", \"%s_faults_%s_ns_per_completion\": %" PRIu64,
           separator, scenario->name, faults, outcome.completions * 1000 / spent_ms, scenario->name,
           faults, outcome.events * 1000 / spent_ms, scenario->name, faults,
           spent_ns / (outcome.completions + 1));
}

/* ---- memory ---------------------------------------------------------------------------------- */

struct idler {
    struct orr_loop *loop;
    orr_handle listener;
    struct orr_completion accept;
    struct orr_completion io[2 * IDLE_PEERS];
    struct orr_address peers[IDLE_PEERS];
    orr_handle handles[IDLE_PEERS];
    uint32_t accepted;
    char byte;
};

static uint64_t connections_used;

static void on_idle_end(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    connections_used += result == 1 ? 1 : 0;
}

static void on_idle_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct idler *idler = context;
    if (result == 0)
        orr_send(idler->loop, completion, idler->handles[completion - idler->io], "x", 1,
                 on_idle_end, idler);
}

static void on_idle_accept(void *context, struct orr_completion *completion, int64_t result)
{
    struct idler *idler = context;
    if (result >= 0)
        orr_recv(idler->loop, &idler->io[IDLE_PEERS + idler->accepted++], result, &idler->byte, 1,
                 on_idle_end, idler);
    if (idler->accepted < IDLE_PEERS)
        orr_accept(idler->loop, completion, idler->listener, NULL, on_idle_accept, idler);
}

static void *idler_boot(struct orr_loop *loop, void *config)
{
    struct orr_address address;
    struct idler *idler = config;
    idler->loop = loop;
    idler->listener = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    (void)orr_address_parse("0.0.0.0:7000", &address);
    if (orr_bind(loop, idler->listener, &address) < 0 || orr_listen(loop, idler->listener, 100) < 0)
        return NULL;
    orr_accept(loop, &idler->accept, idler->listener, NULL, on_idle_accept, idler);
    return idler;
}

static void connect_to_peers(struct orr_node *const *nodes, struct idler *idlers, uint32_t number)
{
    struct idler *idler = &idlers[number];
    for (uint32_t i = 0; i < IDLE_PEERS; i++) {
        idler->peers[i] = orr_node_address(nodes[(number + 1 + i) % IDLE_NODES], PORT);
        idler->handles[i] = orr_socket(idler->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        orr_connect(idler->loop, &idler->io[i], idler->handles[i], &idler->peers[i],
                    on_idle_connected, idler);
    }
    orr_wake(idler->loop); /* submitted from outside: the loop has to look */
}

/* What of this process is in memory. */
static uint64_t resident_bytes(void)
{
    unsigned long size = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &size, &resident) != 2)
        exit(1);
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void measure_memory(void)
{
    static const struct orr_program program = {.boot = idler_boot};
    static char names[IDLE_NODES][16];
    static struct orr_node *nodes[IDLE_NODES];
    struct idler *idlers = malloc(IDLE_NODES * sizeof *idlers);
    if (idlers == NULL)
        exit(1);
    memset(idlers, 0xff, IDLE_NODES * sizeof *idlers); /* in memory before anything is measured */
    memset(idlers, 0, IDLE_NODES * sizeof *idlers);
    uint64_t empty = resident_bytes();
    struct orr_world *world = orr_world_create(1, NULL);
    for (uint32_t i = 0; i < IDLE_NODES; i++) {
        snprintf(names[i], sizeof names[i], "node-%u", i);
        nodes[i] = orr_node_create(world, names[i], &program, &idlers[i]);
    }
    orr_world_run_for(world, ORR_SECOND);
    uint64_t idle = resident_bytes();
    for (uint32_t i = 0; i < IDLE_NODES; i++) {
        connect_to_peers(nodes, idlers, i);
        orr_world_run_for(world, 100 * ORR_MILLISECOND);
    }
    uint64_t connected = resident_bytes();
    uint64_t connections = connections_used / 2;
    printf("\"idle_nodes\": %u, \"bytes_per_idle_node\": %" PRIu64
           ", \"idle_connections\": %" PRIu64 ", \"bytes_per_idle_connection\": %" PRIu64,
           IDLE_NODES, (idle - empty) / IDLE_NODES, connections,
           (connected - idle) / (connections > 0 ? connections : 1));
    orr_world_destroy(world);
    free(idlers);
}

int main(void)
{
    printf("{");
    measure_memory(); /* first: what others have used before would be used again */
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        measure(", ", &workloads[i].scenario, workloads[i].ms, "off");
        measure(", ", &workloads[i].scenario, workloads[i].ms, "on");
    }
    printf("}\n");
    return 0;
}

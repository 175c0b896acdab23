/*
 * world.c: how fast the simulated world is: completions and events a second on one core, without a
 * trace. Three workloads, each in one world with every fault family off and once with the swarm's
 * faults on:
 *
 *   echo   a server and 64 connections of 64-byte messages, the work that the echo benchmark does
 * on the kernel log    64 writers, each writes 100 bytes and makes them durable, again and again
 *   timer  4096 timers that rearm themselves
 *
 * CPU time of this process is what counts; everything else is virtual. Prints one JSON object.
 */
#include <orrery/sim.h>

#include "../examples/echo/echo.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS 64
#define MESSAGE_BYTES 64
#define WRITE_BYTES 100
#define TIMERS 4096
#define PORT 7000

/* ---- echo clients ---------------------------------------------------------------------------- */

struct echo_connection {
    struct orr_loop *loop;
    orr_handle handle;
    struct orr_completion io;
    char bytes[MESSAGE_BYTES];
};

struct echo_clients {
    struct echo_connection connections[CONNECTIONS];
};

static void on_echo_sent(void *context, struct orr_completion *completion, int64_t result);

static void on_echo_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo_connection *connection = context;
    if (result == MESSAGE_BYTES)
        orr_send_all(connection->loop, completion, connection->handle, connection->bytes,
                     MESSAGE_BYTES, on_echo_sent, connection);
}

static void on_echo_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo_connection *connection = context;
    if (result >= 0)
        orr_recv_exact(connection->loop, completion, connection->handle, connection->bytes,
                       MESSAGE_BYTES, on_echo_received, connection);
}

static void on_echo_connected(void *context, struct orr_completion *completion, int64_t result)
{
    if (result == 0)
        on_echo_received(context, completion, MESSAGE_BYTES);
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
        connection->handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        orr_connect(loop, &connection->io, connection->handle, config, on_echo_connected,
                    connection);
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

static void quiet(struct orr_world *world)
{
    if (strcmp(orr_parameter_text(world, "faults"), "off") != 0)
        return;
    for (int family = 0; family < ORR_FAMILY_COUNT; family++)
        orr_world_set_rate(world, (enum orr_fault_family)family, 0);
}

static void run_for(struct orr_world *world)
{
    orr_world_run_for(world, orr_parameter_number(world, "ms") * ORR_MILLISECOND);
}

static void run_echo(struct orr_world *world)
{
    quiet(world);
    struct orr_address listen_on;
    (void)orr_address_parse("0.0.0.0:7000", &listen_on);
    struct orr_node *server = orr_node_create(world, "server", &server_program, &listen_on);
    struct orr_address address = orr_node_address(server, PORT);
    (void)orr_node_create(world, "clients", &clients_program, &address);
    run_for(world);
}

static void run_log(struct orr_world *world)
{
    quiet(world);
    (void)orr_node_create(world, "server", &writers_program, NULL);
    run_for(world);
}

static void run_timer(struct orr_world *world)
{
    quiet(world);
    (void)orr_node_create(world, "server", &ticker_program, NULL);
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

int main(void)
{
    printf("{");
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        measure(i == 0 ? "" : ", ", &workloads[i].scenario, workloads[i].ms, "off");
        measure(", ", &workloads[i].scenario, workloads[i].ms, "on");
    }
    printf("}\n");
    return 0;
}

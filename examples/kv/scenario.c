/*
 * scenario.c: the kv server in the simulated world: clients over a network that cuts and resets, a
 * server that is killed and loses its power (by the seed's faults, and in ambushes that the
 * scenario lays whatever families the seed has), a disk that fails. Whatever happens, every
 * acknowledged write survives, no read goes back in time, replies answer their commands, and once
 * the faults end every client is served.
 */
#include "kv.h"
#include "workload.h"

#include <string.h>

#define PORT 6379
#define LIVENESS_NS (2 * ORR_MINUTE)

/* Of an ambush: how long until one, and how long only reads come. */
#define PAUSE_MAX_NS (100 * ORR_MILLISECOND)
#define READS_MAX_NS (50 * ORR_MILLISECOND)

static const char *const client_names[KV_CLIENTS] = {"client-0", "client-1", "client-2"};

static const struct {
    const char *name;
    uint32_t bug;
} bugs[] = {
    {"none", 0},
    {"ack-before-fsync", KV_BUG_ACK_BEFORE_FSYNC},
    {"short-send", KV_BUG_SHORT_SEND},
    {"short-recv", KV_BUG_SHORT_RECV},
    {"ignore-torn-tail", KV_BUG_IGNORE_TORN_TAIL},
};

static uint32_t bug_named(const char *name)
{
    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++)
        if (strcmp(bugs[i].name, name) == 0)
            return bugs[i].bug;
    return 0;
}

static void report(void *context, const char *line)
{
    orr_trace(context, "server: %s", line);
    orr_note(context, "the server said: %s", line);
}

/*
 * What a kill leaves in the page cache alone must be durable before anybody reads it. Chance seldom
 * tells: the next write's sync makes up for one that recovery left out. So here no write comes
 * between the kill and the power loss, and the reads that follow are compared with those before.
 */
static void ambush(struct orr_world *world, struct orr_node *server, struct kv_history *history)
{
    history->reads_only = true;
    orr_node_crash(server, ORR_CRASH_PROCESS);
    for (uint32_t i = 0; i < 2; i++) {
        orr_node_start(server);
        orr_world_run_for(world, orr_choose(world, "ambush: reads", READS_MAX_NS));
        if (i == 0)
            orr_node_crash(server, ORR_CRASH_POWER);
    }
    history->reads_only = false;
}

/* The faults of the seed strike; in one seed of two the scenario adds ambushes of its own. */
static void run_faults(struct orr_world *world, struct orr_node *server, struct kv_history *history)
{
    uint64_t left_ns = orr_parameter_number(world, "ms") * ORR_MILLISECOND;
    uint64_t end_ns = orr_world_now(world) + left_ns;
    bool has_ambushes = orr_choose(world, "ambush: any", 2) == 1;
    while (has_ambushes && left_ns > 0 && !orr_world_failed(world)) {
        orr_world_run_for(world, orr_choose(world, "ambush: pause", PAUSE_MAX_NS));
        ambush(world, server, history);
        left_ns = orr_world_now(world) < end_ns ? end_ns - orr_world_now(world) : 0;
    }
    orr_world_run_for(world, left_ns);
}

static void *boot_server(struct orr_loop *loop, void *config)
{
    return kv_boot(loop, config);
}

static void run(struct orr_world *world)
{
    static const struct orr_program server_program = {.boot = boot_server};
    static const struct orr_program client_program = {.boot = kv_workload_boot};
    struct kv_config config = {
        .directory = ".",
        .listen = "0.0.0.0:6379",
        .bugs = bug_named(orr_parameter_text(world, "bug")),
        .report = report,
        .report_context = world,
    };
    struct kv_history history = {.world = world};
    struct kv_task tasks[KV_CLIENTS];
    struct orr_node *server = orr_node_create(world, "server", &server_program, &config);
    orr_node_allow_crashes(server, ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    for (uint32_t i = 0; i < KV_CLIENTS; i++) {
        tasks[i] = (struct kv_task){
            .history = &history, .server = orr_node_address(server, PORT), .client = i};
        (void)orr_node_create(world, client_names[i], &client_program, &tasks[i]);
    }

    run_faults(world, server, &history);
    orr_world_heal(world);
    history.final_phase = true;
    orr_eventually(world, kv_workload_done, tasks, LIVENESS_NS,
                   "every client is served once the faults end");
    for (uint32_t i = 0; i < KV_CLIENTS; i++)
        orr_sometimes(world, tasks[i].reconnects > 0, "a client has to connect again");
}

static const struct orr_parameter parameters[] = {
    {.name = "bug",
     .value = "none",
     .allowed = "none|ack-before-fsync|short-send|short-recv|ignore-torn-tail",
     .summary = "a planted bug of the server"},
    {.name = "ms", .value = "1000", .summary = "virtual milliseconds in which faults strike"},
    {.name = NULL},
};

const struct orr_scenario kv_scenario = {
    .name = "kv",
    .summary = "a key-value server keeps every acknowledged write, whatever fails",
    .parameters = parameters,
    .run = run,
};

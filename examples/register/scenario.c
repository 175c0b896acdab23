/*
 * scenario.c: the replicated register in the simulated world: clients on nodes of their own read
 * and write the same few keys, while replicas and clients are killed and lose their power, links
 * are cut, disks fail. What the clients saw must have one order; and once the faults end, every
 * call must end.
 *
 * Besides the faults of the seed the scenario lays ambushes of its own:
 *
 *   - in half of the seeds, blackouts: all replicas lose their power at the same moment. What a
 *     majority acknowledged must be on the disks of a majority then; the loss of one replica seldom
 *     shows that it is not, for the others make up for it.
 *   - in half of the seeds, islands: some replicas and some clients hear nothing from each other
 *     for a while, so that majorities change.
 *   - in a quarter each, disks that are often full, or fail often.
 *   - in a few, memory that is refused, operations that do not end before the faults do, or one
 *     replica with sectors that cannot be read any more: the others are a majority without it.
 */
#include "workload.h"

#include <string.h>

#define PORT 7001
#define LIVENESS_NS (2 * ORR_MINUTE)
#define PAUSE_MAX_NS (100 * ORR_MILLISECOND) /* before the next ambush */
#define ISLAND_MAX_NS (50 * ORR_MILLISECOND)
#define DISK_FULL_RATE 50000u /* of a million operations */
#define DISK_ERROR_RATE 5000u
#define RARE_SEEDS 16 /* one of so many has that family that strikes on request only */

static const char *const replica_names[REGISTER_REPLICAS_MAX] = {
    "replica-1", "replica-2", "replica-3", "replica-4", "replica-5"};
static const char *const client_names[REGISTER_CLIENTS] = {"client-0", "client-1", "client-2",
                                                           "client-3"};

static const struct {
    const char *name;
    uint32_t bug;
} bugs[] = {
    {"none", 0},
    {"no-write-back", REGISTER_BUG_NO_WRITE_BACK},
    {"minority", REGISTER_BUG_MINORITY},
    {"unsynced-timestamp", REGISTER_BUG_UNSYNCED_TIMESTAMP},
    {"stale-epoch", REGISTER_BUG_STALE_EPOCH},
};

struct cluster {
    struct orr_world *world;
    struct orr_node *replicas[REGISTER_REPLICAS_MAX];
    struct orr_node *clients[REGISTER_CLIENTS];
    uint32_t replica_count;
    struct register_config config;
    struct orr_history *history;
    struct register_task tasks[REGISTER_CLIENTS];
};

static uint32_t bug_named(const char *name)
{
    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++)
        if (strcmp(bugs[i].name, name) == 0)
            return bugs[i].bug;
    return 0;
}

/* What makes a replica forget what is not durable. */
static bool is_loss(const char *family)
{
    return strcmp(family, "power-loss") == 0 || strcmp(family, "kill") == 0 ||
           strcmp(family, "disk-error") == 0 || strcmp(family, "disk-full") == 0;
}

/* Whether the parameters turn that family off. */
static bool is_off(struct orr_world *world, const char *family)
{
    const char *only = orr_parameter_text(world, "only");
    const char *without = orr_parameter_text(world, "without");
    return (strcmp(only, "any") != 0 && strcmp(only, family) != 0) ||
           strcmp(without, family) == 0 || (strcmp(without, "losses") == 0 && is_loss(family));
}

/* Families on request that a majority must survive, and their rates. */
static const struct {
    enum orr_fault_family family;
    uint32_t rate;
} rare[] = {{ORR_FAMILY_MEMORY, 5000}, {ORR_FAMILY_STUCK, 500}, {ORR_FAMILY_BAD_SECTOR, 20000}};

/* Full and failing disks are rare in a run as short as this. In some seeds they are not, for what a
 * replica does about them is half of its log. */
static void choose_rates(struct orr_world *world)
{
    if (orr_choose(world, "disks: often full", 4) == 0)
        orr_world_set_rate(world, ORR_FAMILY_DISK_FULL, DISK_FULL_RATE);
    if (orr_choose(world, "disks: often failing", 4) == 0)
        orr_world_set_rate(world, ORR_FAMILY_DISK_ERROR, DISK_ERROR_RATE);
    uint64_t chosen = orr_choose(world, "rare family", RARE_SEEDS);
    if (chosen < sizeof rare / sizeof rare[0])
        orr_world_set_rate(world, rare[chosen].family, rare[chosen].rate);
    orr_world_limit_damage(world, 1);
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        if (is_off(world, orr_fault_family_name(i)))
            orr_world_set_rate(world, i, 0);
}

static void report(void *context, const char *line)
{
    orr_trace(context, "replica: %s", line);
}

static void *boot_replica(struct orr_loop *loop, void *config)
{
    return register_replica_boot(loop, config);
}

static void make_replicas(struct cluster *cluster)
{
    static const struct orr_program program = {.boot = boot_replica};
    cluster->config = (struct register_config){
        .directory = ".",
        .listen = "0.0.0.0:7001",
        .bugs = bug_named(orr_parameter_text(cluster->world, "bug")),
        .report = report,
        .report_context = cluster->world,
    };
    cluster->replica_count = strcmp(orr_parameter_text(cluster->world, "nodes"), "5") == 0 ? 5 : 3;
    for (uint32_t i = 0; i < cluster->replica_count; i++) {
        cluster->replicas[i] =
            orr_node_create(cluster->world, replica_names[i], &program, &cluster->config);
        orr_node_allow_crashes(cluster->replicas[i], ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    }
}

static void make_clients(struct cluster *cluster)
{
    static const struct orr_program program = {.boot = register_workload_boot};
    cluster->history = orr_history_create(orr_register_model());
    for (uint32_t i = 0; i < REGISTER_CLIENTS; i++) {
        struct register_task *task = &cluster->tasks[i];
        *task = (struct register_task){
            .world = cluster->world,
            .history = cluster->history,
            .client = i,
            .calls_left = orr_parameter_number(cluster->world, "calls"),
        };
        task->peers.count = cluster->replica_count;
        task->peers.bugs = cluster->config.bugs;
        for (uint32_t j = 0; j < cluster->replica_count; j++)
            task->peers.addresses[j] = orr_node_address(cluster->replicas[j], PORT);
        cluster->clients[i] = orr_node_create(cluster->world, client_names[i], &program, task);
        orr_node_allow_crashes(cluster->clients[i], ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    }
}

static void black_out(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->replica_count; i++)
        orr_node_crash(cluster->replicas[i], ORR_CRASH_POWER);
    for (uint32_t i = 0; i < cluster->replica_count; i++)
        orr_node_start(cluster->replicas[i]);
}

/* Who is on the island hears nothing from those that are not, and the other way round. */
static void isolate(struct cluster *cluster)
{
    struct orr_world *world = cluster->world;
    struct orr_node *island[REGISTER_REPLICAS_MAX + REGISTER_CLIENTS];
    uint32_t count = 0;
    uint64_t ns = orr_choose(world, "island: time", ISLAND_MAX_NS);
    for (uint32_t i = 0; i < cluster->replica_count; i++)
        if (orr_choose(world, "island: replica", 2) == 1)
            island[count++] = cluster->replicas[i];
    for (uint32_t i = 0; i < REGISTER_CLIENTS; i++)
        if (orr_choose(world, "island: client", 2) == 1)
            island[count++] = cluster->clients[i];
    if (count > 0)
        orr_world_split(world, island, count, ns);
}

/* The faults of the seed strike, and what the scenario adds. */
static void run_faults(struct cluster *cluster)
{
    struct orr_world *world = cluster->world;
    uint64_t left_ns = orr_parameter_number(world, "ms") * ORR_MILLISECOND;
    uint64_t end_ns = orr_world_now(world) + left_ns;
    bool has_blackouts = orr_choose(world, "blackouts", 2) == 1 && !is_off(world, "power-loss");
    bool has_islands = orr_choose(world, "islands", 2) == 1 && !is_off(world, "partition");
    while ((has_blackouts || has_islands) && left_ns > 0 && !orr_world_failed(world)) {
        orr_world_run_for(world, orr_choose(world, "ambush: pause", PAUSE_MAX_NS));
        if (has_islands && (!has_blackouts || orr_choose(world, "ambush: which", 2) == 0))
            isolate(cluster);
        else
            black_out(cluster);
        left_ns = orr_world_now(world) < end_ns ? end_ns - orr_world_now(world) : 0;
    }
    orr_world_run_for(world, left_ns);
}

static void run(struct orr_world *world)
{
    struct cluster cluster = {.world = world};
    choose_rates(world);
    make_replicas(&cluster);
    make_clients(&cluster);
    run_faults(&cluster);
    orr_world_heal(world);
    for (uint32_t i = 0; i < REGISTER_CLIENTS; i++)
        cluster.tasks[i].is_final = true;
    orr_eventually(world, register_workload_done, cluster.tasks, LIVENESS_NS,
                   "every call ends once the faults do");
    orr_linearizable(world, cluster.history, "what all clients saw has one order");
    for (uint32_t i = 0; i < REGISTER_CLIENTS; i++)
        orr_sometimes(world, cluster.tasks[i].given_up > 0, "a call is given up half done");
    orr_history_destroy(cluster.history);
}

#define FAMILIES                                                                                  \
    "partial|latency|reorder|pressure|connection|partition|disk-error|disk-full|power-loss|kill|" \
    "pause|clock|bandwidth|clog|handles|unreachable"

static const struct orr_parameter parameters[] = {
    {.name = "bug",
     .value = "none",
     .allowed = "none|no-write-back|minority|unsynced-timestamp|stale-epoch",
     .summary = "a planted bug"},
    {.name = "nodes", .value = "3", .allowed = "3|5", .summary = "replicas", .least = "3"},
    {.name = "calls",
     .value = "60",
     .summary = "calls of each client while faults strike, at most",
     .least = "1"},
    {.name = "ms",
     .value = "1000",
     .summary = "virtual milliseconds in which faults strike",
     .least = "1"},
    {.name = "only",
     .value = "any",
     .allowed = "any|none|" FAMILIES,
     .summary = "the only fault family that strikes, to see what finds a bug"},
    {.name = "without",
     .value = "none",
     .allowed = "none|losses|" FAMILIES,
     .summary = "a fault family that does not strike; losses: power-loss, kill, disk-*"},
    {.name = NULL},
};

const struct orr_scenario register_scenario = {
    .name = "register",
    .summary = "a replicated register has one order of reads and writes, whatever fails",
    .parameters = parameters,
    .run = run,
};

/*
 * scenario_gate.c: clients with few connections at a server of two loops. Once the faults end,
 * every job is done, and every slot is free again.
 *
 * The clients take turns: where nothing is late, no two connections are on their way at the same
 * time.
 */
#include "gate.h"
#include "scenario_common.h"

#define PORT 7300
#define CLIENTS 2
#define JOBS 12u
#define APART_NS (2500 * ORR_MICROSECOND)

static const char *const client_names[CLIENTS] = {"client-1", "client-2"};

static const struct {
    const char *name;
    uint32_t bug;
} bugs[] = {
    {"accept-stops", GATE_BUG_ACCEPT_STOPS},     {"one-per-wake", GATE_BUG_ONE_PER_WAKE},
    {"lost-slot", GATE_BUG_LOST_SLOT},           {"early-reuse", GATE_BUG_EARLY_REUSE},
    {"double-release", GATE_BUG_DOUBLE_RELEASE},
};

static uint32_t bugs_of(struct orr_world *world)
{
    uint32_t planted = 0;
    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++)
        if (classes_has_bug(world, bugs[i].name))
            planted |= bugs[i].bug;
    return planted;
}

static bool are_done(void *context)
{
    const struct gate_task *tasks = context;
    for (int i = 0; i < CLIENTS; i++)
        if (tasks[i].done < tasks[i].jobs)
            return false;
    return true;
}

static void run(struct orr_world *world)
{
    static const struct orr_program server_program = {.boot = gate_server_boot};
    static const struct orr_program client_program = {.boot = gate_client_boot};
    struct gate_server_config config = {.bugs = bugs_of(world)};
    struct gate_task tasks[CLIENTS];
    classes_set_rates(world);
    (void)orr_address_parse("0.0.0.0:7300", &config.address);
    struct orr_node *server = orr_node_create(world, "server", &server_program, &config);
    for (int i = 0; i < CLIENTS; i++) {
        tasks[i] = (struct gate_task){
            .server = orr_node_address(server, PORT), .bugs = config.bugs, .jobs = JOBS};
        (void)orr_node_create(world, client_names[i], &client_program, &tasks[i]);
        orr_world_run_for(world, APART_NS);
    }
    orr_world_run_for(world, 200 * ORR_MILLISECOND);
    orr_world_heal(world);
    orr_eventually(world, are_done, tasks, ORR_MINUTE, "every job is done once the faults end");
    orr_world_run_for(world, ORR_SECOND);
    for (int i = 0; i < CLIENTS; i++) {
        orr_always(world, tasks[i].free_slots == GATE_SLOTS, "every slot is free in the end");
        orr_sometimes(world, tasks[i].failed > 0, "a job has to be made again");
    }
}

static const struct orr_parameter parameters[] = {
    {.name = "bug",
     .value = "none",
     .allowed = "none|accept-stops|one-per-wake|lost-slot|early-reuse|double-release",
     .summary = "a planted bug"},
    {.name = "without",
     .value = "none",
     .allowed = "none|handles|waits",
     .summary = "faults that never strike"},
    {.name = NULL},
};

const struct orr_scenario gate_scenario = {
    .name = "gate",
    .summary = "a pool of connections and a server of two loops lose no job and no slot",
    .parameters = parameters,
    .run = run,
};

/*
 * scenario_lease.c: three clients want one lease, on machines whose clocks differ, drift and are
 * set. Never do two of them hold it.
 */
#include "lease.h"
#include "scenario_common.h"

#define PORT 7400
#define CLIENTS 3
#define LOOKS 600
#define LOOK_NS (500 * ORR_MICROSECOND)

static const char *const client_names[CLIENTS] = {"client-1", "client-2", "client-3"};

static uint32_t holders(struct orr_node *const *nodes)
{
    uint32_t count = 0;
    for (int i = 0; i < CLIENTS; i++)
        count += lease_client_holds(orr_node_application(nodes[i]));
    return count;
}

static void run(struct orr_world *world)
{
    static const struct orr_program server_program = {.boot = lease_server_boot};
    static const struct orr_program client_program = {.boot = lease_client_boot};
    struct lease_server_config config = {
        .bugs = classes_has_bug(world, "wall-clock") ? LEASE_BUG_WALL_CLOCK : 0};
    struct lease_client_config client = {.bugs = config.bugs};
    struct orr_node *nodes[CLIENTS];
    bool was_held = false;
    classes_set_rates(world);
    (void)orr_address_parse("0.0.0.0:7400", &config.address);
    struct orr_node *server = orr_node_create(world, "server", &server_program, &config);
    client.server = orr_node_address(server, PORT);
    for (int i = 0; i < CLIENTS; i++)
        nodes[i] = orr_node_create(world, client_names[i], &client_program, &client);
    for (int i = 0; i < LOOKS && !orr_world_failed(world); i++) {
        orr_world_run_for(world, LOOK_NS);
        orr_always(world, holders(nodes) <= 1, "no two clients hold the lease");
        was_held = was_held || holders(nodes) == 1;
    }
    orr_sometimes(world, was_held, "a client holds the lease");
}

static const struct orr_parameter parameters[] = {
    {.name = "bug", .value = "none", .allowed = "none|wall-clock", .summary = "a planted bug"},
    {.name = "without",
     .value = "none",
     .allowed = "none|clock",
     .summary = "faults that never strike"},
    {.name = NULL},
};

const struct orr_scenario lease_scenario = {
    .name = "lease",
    .summary = "no two clients hold a lease, whatever their clocks say",
    .parameters = parameters,
    .run = run,
};

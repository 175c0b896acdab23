/*
 * scenario.c: the echo program in the simulated world: whatever the network does, and however often
 * the server dies, no client ever reads anything but its own bytes, and once the faults end, all of
 * them get their answers.
 */
#include "echo.h"

#include <orrery/sim.h>

#define PORT 7000
#define CLIENTS 3

static const struct orr_program server_program = {.boot = echo_server_boot};
static const struct orr_program client_program = {.boot = echo_client_boot};

static const char *const client_names[CLIENTS] = {"client-1", "client-2", "client-3"};

static bool all_done(void *context)
{
    const struct echo_task *tasks = context;
    for (int i = 0; i < CLIENTS; i++)
        if (!tasks[i].done)
            return false;
    return true;
}

static void run(struct orr_world *world)
{
    struct orr_address listen_on;
    (void)orr_address_parse("0.0.0.0:7000", &listen_on);
    struct orr_node *server = orr_node_create(world, "server", &server_program, &listen_on);
    orr_node_allow_crashes(server, ORR_CRASH_POWER | ORR_CRASH_PROCESS);

    struct echo_task tasks[CLIENTS] = {{.done = false}};
    for (int i = 0; i < CLIENTS; i++) {
        tasks[i].server = orr_node_address(server, PORT);
        tasks[i].messages = (uint32_t)orr_parameter_number(world, "messages");
        (void)orr_node_create(world, client_names[i], &client_program, &tasks[i]);
    }

    orr_world_run_for(world, 5 * ORR_SECOND); /* the faults of this seed strike */
    orr_world_heal(world);
    orr_eventually(world, all_done, tasks, 10 * ORR_MINUTE, "every client gets all of its answers");
    for (int i = 0; i < CLIENTS; i++) {
        orr_always(world, tasks[i].mismatches == 0, "what comes back is what was sent");
        orr_sometimes(world, tasks[i].reconnects > 0, "a client has to connect again");
    }
}

static const struct orr_parameter parameters[] = {
    {.name = "messages", .value = "50", .summary = "messages that each client sends", .least = "1"},
    {.name = NULL},
};

const struct orr_scenario echo_scenario = {
    .name = "echo",
    .summary = "an echo server answers every client, whatever the network does",
    .parameters = parameters,
    .run = run,
};

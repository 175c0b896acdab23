/*
 * scenario_exchange.c: two peers exchange lists, whatever the network does. No node crashes, so
 * nothing vanishes in silence: once the faults end, every exchange comes to its end.
 */
#include "exchange.h"
#include "scenario_common.h"

#define PORT 7100
#define LISTS 4u

static bool is_done(void *context)
{
    const struct exchange_config *config = context;
    return config->lists >= config->wanted;
}

static void run(struct orr_world *world)
{
    static const struct orr_program listening = {.boot = exchange_boot_listening};
    static const struct orr_program connecting = {.boot = exchange_boot_connecting};
    uint32_t bugs = classes_has_bug(world, "send-first") ? EXCHANGE_BUG_SEND_FIRST : 0;
    struct exchange_config left = {.bugs = bugs};
    struct exchange_config right = {.bugs = bugs, .wanted = LISTS};
    classes_set_rates(world);
    (void)orr_address_parse("0.0.0.0:7100", &left.address);
    struct orr_node *node = orr_node_create(world, "left", &listening, &left);
    right.address = orr_node_address(node, PORT);
    (void)orr_node_create(world, "right", &connecting, &right);
    orr_world_run_for(world, 200 * ORR_MILLISECOND);
    orr_world_heal(world);
    orr_eventually(world, is_done, &right, 30 * ORR_MINUTE, "every exchange comes to its end");
}

static const struct orr_parameter parameters[] = {
    {.name = "bug", .value = "none", .allowed = "none|send-first", .summary = "a planted bug"},
    {.name = "without",
     .value = "none",
     .allowed = "none|pressure",
     .summary = "faults that never strike"},
    {.name = NULL},
};

const struct orr_scenario exchange_scenario = {
    .name = "exchange",
    .summary = "two peers exchange lists over small buffers",
    .parameters = parameters,
    .run = run,
};

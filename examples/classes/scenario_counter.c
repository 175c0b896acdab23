/*
 * scenario_counter.c: clients add to a counter over a network that loses, doubles and reorders
 * datagrams. Each request counts once, and the display never goes back.
 */
#include "counter.h"
#include "scenario_common.h"

#define PORT 7500
#define REQUESTS 20u

static const char *const client_names[COUNTER_CLIENTS] = {"client-1", "client-2"};

struct outcome {
    struct orr_world *world;
    uint64_t shown;
    struct counter_task tasks[COUNTER_CLIENTS];
};

static void on_shows(void *context, uint64_t sum)
{
    struct outcome *outcome = context;
    orr_always(outcome->world, sum >= outcome->shown, "the display never goes back");
    outcome->shown = sum;
}

static bool are_answered(void *context)
{
    const struct outcome *outcome = context;
    for (uint32_t i = 0; i < COUNTER_CLIENTS; i++)
        if (outcome->tasks[i].answered < outcome->tasks[i].requests)
            return false;
    return true;
}

static void run(struct orr_world *world)
{
    static const struct orr_program server_program = {.boot = counter_server_boot};
    static const struct orr_program client_program = {.boot = counter_client_boot};
    static const struct orr_program display_program = {.boot = counter_display_boot};
    struct outcome outcome = {.world = world};
    uint32_t bugs = (classes_has_bug(world, "retry-twice") ? COUNTER_BUG_RETRY_TWICE : 0u) |
                    (classes_has_bug(world, "stale") ? COUNTER_BUG_STALE : 0u);
    struct counter_display_config display_config = {
        .bugs = bugs, .shows = on_shows, .context = &outcome};
    struct counter_server_config config = {.bugs = bugs};
    classes_set_rates(world);
    (void)orr_address_parse("0.0.0.0:7500", &config.address);
    display_config.address = config.address;
    struct orr_node *display = orr_node_create(world, "display", &display_program, &display_config);
    config.display = orr_node_address(display, PORT);
    struct orr_node *server = orr_node_create(world, "server", &server_program, &config);
    for (uint32_t i = 0; i < COUNTER_CLIENTS; i++) {
        outcome.tasks[i] = (struct counter_task){
            .server = orr_node_address(server, PORT), .client = i, .requests = REQUESTS};
        (void)orr_node_create(world, client_names[i], &client_program, &outcome.tasks[i]);
    }
    orr_world_run_for(world, 200 * ORR_MILLISECOND);
    orr_world_heal(world);
    orr_eventually(world, are_answered, &outcome, ORR_MINUTE, "every request is answered");
    orr_world_run_for(world, ORR_SECOND);
    orr_note(world, "the counter is %u", (unsigned)config.sum);
    orr_always(world, config.sum == UINT64_C(1) * COUNTER_CLIENTS * REQUESTS,
               "each request counts once");
}

static const struct orr_parameter parameters[] = {
    {.name = "bug",
     .value = "none",
     .allowed = "none|retry-twice|stale",
     .summary = "a planted bug"},
    {.name = "without",
     .value = "none",
     .allowed = "none|datagram|network",
     .summary = "faults that never strike"},
    {.name = NULL},
};

const struct orr_scenario counter_scenario = {
    .name = "counter",
    .summary = "each request to a counter counts once, and its display never goes back",
    .parameters = parameters,
    .run = run,
};

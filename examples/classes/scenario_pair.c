/*
 * scenario_pair.c: the primary is lost for good at some moment, and the backup takes over with what
 * it has: everything that the client was told is kept.
 */
#include "pair.h"
#include "scenario_common.h"

#define PORT 7600
#define LIFE_MIN_NS (20 * ORR_MILLISECOND)
#define LIFE_MAX_NS (200 * ORR_MILLISECOND)

static void run(struct orr_world *world)
{
    static const struct orr_program keeper_program = {.boot = pair_keeper_boot};
    static const struct orr_program client_program = {.boot = pair_client_boot};
    uint32_t bugs = classes_has_bug(world, "ack-early") ? PAIR_BUG_ACK_EARLY : 0;
    struct pair_keeper_config backup_config = {.bugs = bugs};
    struct pair_keeper_config primary_config = {.bugs = bugs};
    struct pair_task task = {.acknowledged = 0};
    classes_set_rates(world);
    (void)orr_address_parse("0.0.0.0:7600", &backup_config.address);
    primary_config.address = backup_config.address;
    struct orr_node *backup = orr_node_create(world, "backup", &keeper_program, &backup_config);
    primary_config.backup = orr_node_address(backup, PORT);
    struct orr_node *primary = orr_node_create(world, "primary", &keeper_program, &primary_config);
    task.primary = orr_node_address(primary, PORT);
    (void)orr_node_create(world, "client", &client_program, &task);

    uint64_t life_ns = LIFE_MIN_NS + orr_choose(world, "life", LIFE_MAX_NS - LIFE_MIN_NS);
    orr_world_run_for(world, life_ns);
    if (!classes_is_without(world, "power-loss"))
        orr_node_crash(primary, ORR_CRASH_POWER);
    if (orr_node_is_up(primary))
        return; /* nobody needs the backup */
    orr_world_heal(world);
    orr_world_run_for(world, ORR_SECOND); /* what is under way arrives, or never will */
    orr_sometimes(world, task.acknowledged > 0, "a value is kept");
    orr_note(world, "kept: %u, on the backup: %u", (unsigned)task.acknowledged,
             (unsigned)pair_keeper_value(orr_node_application(backup)));
    orr_always(world, pair_keeper_value(orr_node_application(backup)) >= task.acknowledged,
               "what was kept is on the backup");
}

static const struct orr_parameter parameters[] = {
    {.name = "bug", .value = "none", .allowed = "none|ack-early", .summary = "a planted bug"},
    {.name = "without",
     .value = "none",
     .allowed = "none|power-loss",
     .summary = "faults that never strike"},
    {.name = NULL},
};

const struct orr_scenario pair_scenario = {
    .name = "pair",
    .summary = "what was kept on two machines survives the loss of one",
    .parameters = parameters,
    .run = run,
};

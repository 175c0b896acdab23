/*
 * scenario_journal.c: the journal loses its power, by the seed's faults and some times more at
 * moments of the scenario's choice. What it called durable is there at the next start, as it was
 * written.
 *
 * Disks do not fail here: what a program must do about a failed sync is the subject of kv.
 */
#include "journal.h"
#include "scenario_common.h"

#include <string.h>

#define CRASHES 3
#define LIFE_MAX_NS (40 * ORR_MILLISECOND)

struct outcome {
    struct orr_world *world;
    uint64_t durable; /* the last record that counts */
};

static void on_found(void *context, uint64_t number, const uint8_t *payload)
{
    struct outcome *outcome = context;
    uint8_t expected[JOURNAL_PAYLOAD_LENGTH];
    journal_payload(number, expected);
    orr_always(outcome->world, memcmp(payload, expected, sizeof expected) == 0,
               "what is recovered is what was written");
}

static void on_recovered(void *context, uint64_t count)
{
    struct outcome *outcome = context;
    orr_note(outcome->world, "%u records were durable, %u are there", (unsigned)outcome->durable,
             (unsigned)count);
    orr_always(outcome->world, count >= outcome->durable, "every durable record survives");
    orr_sometimes(outcome->world, count > outcome->durable, "a record survives that did not count");
    outcome->durable = count;
}

static void on_durable(void *context, uint64_t number)
{
    struct outcome *outcome = context;
    outcome->durable = number;
}

static uint32_t bugs_of(struct orr_world *world)
{
    return (classes_has_bug(world, "no-checksum") ? JOURNAL_BUG_NO_CHECKSUM : 0u) |
           (classes_has_bug(world, "write-order") ? JOURNAL_BUG_WRITE_ORDER : 0u) |
           (classes_has_bug(world, "no-directory-sync") ? JOURNAL_BUG_DIRECTORY_SYNC : 0u);
}

static void run(struct orr_world *world)
{
    static const struct orr_program program = {.boot = journal_boot};
    struct outcome outcome = {.world = world};
    struct journal_config config = {
        .bugs = bugs_of(world),
        .found = on_found,
        .recovered = on_recovered,
        .durable = on_durable,
        .context = &outcome,
    };
    classes_set_rates(world);
    orr_world_set_rate(world, ORR_FAMILY_DISK_ERROR, 0);
    orr_world_set_rate(world, ORR_FAMILY_DISK_FULL, 0);
    struct orr_node *node = orr_node_create(world, "journal", &program, &config);
    orr_node_allow_crashes(node, ORR_CRASH_POWER);
    for (int i = 0; i < CRASHES; i++) {
        orr_world_run_for(world, orr_choose(world, "life", LIFE_MAX_NS));
        if (!classes_is_without(world, "power-loss"))
            orr_node_crash(node, ORR_CRASH_POWER);
        orr_node_start(node);
    }
    orr_world_heal(world);
    orr_world_run_for(world, ORR_SECOND);
    orr_always(world, outcome.durable == JOURNAL_RECORDS_MAX, "all records are written in the end");
}

static const struct orr_parameter parameters[] = {
    {.name = "bug",
     .value = "none",
     .allowed = "none|no-checksum|write-order|no-directory-sync",
     .summary = "a planted bug"},
    {.name = "without",
     .value = "none",
     .allowed = "none|power-loss",
     .summary = "faults that never strike"},
    {.name = NULL},
};

const struct orr_scenario journal_scenario = {
    .name = "journal",
    .summary = "a journal keeps every record that it called durable",
    .parameters = parameters,
    .run = run,
};

/*
 * scenario.c: the kv server in the simulated world: clients over a network that cuts and resets, a
 * server that is killed and loses its power (by the seed's faults, and in ambushes that the
 * scenario lays whatever families the seed has), a disk that fails, a log that is written anew all
 * the time; in some seeds, memory that is refused and operations that do not end. Whatever happens,
 * every acknowledged write survives, no read goes back in time, replies answer their commands, and
 * once the faults end every client is served, and the server stops when it is told to.
 *
 * A planted bug needs certain faults to be seen; the parameter `without` takes them away, to show
 * that they are what finds it.
 */
#include "kv.h"
#include "workload.h"

#include <string.h>

#define PORT 6379
#define LIVENESS_NS (2 * ORR_MINUTE)

/* Of an ambush: how long until one, and how long only reads come. */
#define PAUSE_MAX_NS (100 * ORR_MILLISECOND)
#define READS_MAX_NS (50 * ORR_MILLISECOND)

/* Of an ambush on a compaction: how often it looks, for how long it waits for the step, and how
 * long it lets it go on. */
#define LOOK_NS (20 * ORR_MICROSECOND)
#define WAIT_NS (100 * ORR_MILLISECOND)
#define STEP_MAX_NS (500 * ORR_MICROSECOND)

/* Of a bad disk, per million operations. */
#define BAD_DISK_RATE 20000u

/* How often a family that strikes on request only is on, of as many seeds. */
#define RARE_SEEDS 16

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
    {"rename-before-fsync", KV_BUG_RENAME_BEFORE_FSYNC},
    {"fsync-retry", KV_BUG_FSYNC_RETRY},
    {"log-gap", KV_BUG_LOG_GAP},
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

/* ---- which faults there are ------------------------------------------------------------------ */

#define FAMILY_BIT(family) (1u << (family))

/* `restarts`: all that makes the server read its log again; a failed write does. */
static const struct {
    const char *name;
    uint32_t families; /* FAMILY_BIT, ored */
} withouts[] = {
    {"none", 0},
    {"short-transfers", FAMILY_BIT(ORR_FAMILY_PARTIAL) | FAMILY_BIT(ORR_FAMILY_PRESSURE)},
    {"power-loss", FAMILY_BIT(ORR_FAMILY_POWER_LOSS)},
    {"disk-error", FAMILY_BIT(ORR_FAMILY_DISK_ERROR)},
    {"restarts", FAMILY_BIT(ORR_FAMILY_POWER_LOSS) | FAMILY_BIT(ORR_FAMILY_KILL) |
                     FAMILY_BIT(ORR_FAMILY_DISK_ERROR) | FAMILY_BIT(ORR_FAMILY_DISK_FULL)},
};

static uint32_t families_without(struct orr_world *world)
{
    const char *name = orr_parameter_text(world, "without");
    for (size_t i = 0; i < sizeof withouts / sizeof withouts[0]; i++)
        if (strcmp(withouts[i].name, name) == 0)
            return withouts[i].families;
    return 0;
}

/* Families on request that the server must survive, and their rates. */
static const struct {
    enum orr_fault_family family;
    uint32_t rate;
} rare[] = {{ORR_FAMILY_MEMORY, 5000}, {ORR_FAMILY_STUCK, 500}};

/*
 * The swarm makes failed syncs rare, since each ends the server. One seed in four has them often,
 * for the syncs of a compaction.
 */
static void set_rates(struct orr_world *world)
{
    uint32_t without = families_without(world);
    if (orr_choose(world, "disk: bad", 4) == 0)
        orr_world_set_rate(world, ORR_FAMILY_DISK_ERROR, BAD_DISK_RATE);
    uint64_t chosen = orr_choose(world, "rare family", RARE_SEEDS);
    if (chosen < sizeof rare / sizeof rare[0])
        orr_world_set_rate(world, rare[chosen].family, rare[chosen].rate);
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++)
        if ((without & FAMILY_BIT(family)) != 0)
            orr_world_set_rate(world, (enum orr_fault_family)family, 0);
}

/* ---- ambushes -------------------------------------------------------------------------------- */

static enum kv_compaction_step step_of(const struct orr_node *server)
{
    const struct kv *kv = orr_node_application(server);
    return kv == NULL ? KV_COMPACTION_IDLE : kv_compaction_step(kv);
}

static void note_step(struct orr_world *world, enum kv_compaction_step step)
{
    orr_sometimes(world, step == KV_COMPACTION_WRITING,
                  "a crash strikes a compaction that writes its file");
    orr_sometimes(world, step == KV_COMPACTION_WAITING || step == KV_COMPACTION_FINISHING,
                  "a crash strikes a compaction before its last sync");
    orr_sometimes(world, step == KV_COMPACTION_RENAMING,
                  "a crash strikes a compaction between its last sync and its rename");
    orr_sometimes(world, step == KV_COMPACTION_RENAMED,
                  "a crash strikes a compaction between its rename and the directory's sync");
    orr_sometimes(world, step == KV_COMPACTION_LEAVING, "a crash strikes just after a compaction");
    orr_sometimes(world, step == KV_COMPACTION_DROPPING,
                  "a crash strikes a compaction that was given up");
}

static void crash(struct orr_world *world, struct orr_node *server, enum orr_crash kind)
{
    bool has_power_loss = (families_without(world) & FAMILY_BIT(ORR_FAMILY_POWER_LOSS)) == 0;
    note_step(world, step_of(server));
    orr_node_crash(server, has_power_loss ? kind : ORR_CRASH_PROCESS);
}

/*
 * What a kill leaves in the page cache alone must be durable before anybody reads it. Chance seldom
 * tells: the next write's sync makes up for one that recovery left out. So here no write comes
 * between the kill and the power loss, and the reads that follow are compared with those before.
 */
static void ambush(struct orr_world *world, struct orr_node *server, struct kv_history *history)
{
    history->reads_only = true;
    crash(world, server, ORR_CRASH_PROCESS);
    for (uint32_t i = 0; i < 2; i++) {
        orr_node_start(server);
        orr_world_run_for(world, orr_choose(world, "ambush: reads", READS_MAX_NS));
        if (i == 0)
            crash(world, server, ORR_CRASH_POWER);
    }
    history->reads_only = false;
}

/* Waits for a compaction to come to a step, for a while. */
static void wait_for_step(struct orr_world *world, struct orr_node *server)
{
    uint64_t range = KV_COMPACTION_DROPPING - KV_COMPACTION_LEAVING + 1;
    uint64_t step = KV_COMPACTION_LEAVING + orr_choose(world, "ambush: step", range);
    uint64_t end_ns = orr_world_now(world) + WAIT_NS;
    while (step_of(server) != step && orr_world_now(world) < end_ns && !orr_world_failed(world))
        orr_world_run_for(world, LOOK_NS);
    if (orr_choose(world, "ambush: at once", 2) == 0)
        orr_world_run_for(world, orr_choose(world, "ambush: in step", STEP_MAX_NS));
}

/* One ambush: at any time, or at a step of a compaction. */
static void lay_ambush(struct orr_world *world, struct orr_node *server, struct kv_history *history)
{
    orr_world_run_for(world, orr_choose(world, "ambush: pause", PAUSE_MAX_NS));
    if (orr_choose(world, "ambush: on a compaction", 2) == 1)
        wait_for_step(world, server);
    if (orr_choose(world, "ambush: power", 2) == 1) {
        crash(world, server, ORR_CRASH_POWER);
        orr_node_start(server);
    } else {
        ambush(world, server, history);
    }
}

/* The faults of the seed strike; in one seed of two the scenario adds ambushes of its own. */
static void run_faults(struct orr_world *world, struct orr_node *server, struct kv_history *history)
{
    uint64_t left_ns = orr_parameter_number(world, "ms") * ORR_MILLISECOND;
    uint64_t end_ns = orr_world_now(world) + left_ns;
    bool has_kill = (families_without(world) & FAMILY_BIT(ORR_FAMILY_KILL)) == 0;
    bool has_ambushes = has_kill && orr_choose(world, "ambush: any", 2) == 1;
    while (has_ambushes && left_ns > 0 && !orr_world_failed(world)) {
        lay_ambush(world, server, history);
        left_ns = orr_world_now(world) < end_ns ? end_ns - orr_world_now(world) : 0;
    }
    orr_world_run_for(world, left_ns);
}

/* ---- the scenario ---------------------------------------------------------------------------- */

static void *boot_server(struct orr_loop *loop, void *config)
{
    return kv_boot(loop, config);
}

static bool has_ended(void *context)
{
    const struct kv *kv = orr_node_application(context);
    return kv != NULL && kv_exit_status(kv) == 0;
}

/* As a signal does in production. Then nothing may be open, and nothing in flight. */
static void stop(struct orr_world *world, struct orr_node *server)
{
    orr_node_expect_clean_stop(server);
    orr_wake(orr_node_loop(server));
    if (orr_eventually(world, has_ended, server, LIVENESS_NS,
                       "the server ends when it is told to"))
        orr_stop(orr_node_loop(server));
    orr_world_run_for(world, ORR_MILLISECOND);
}

static void run(struct orr_world *world)
{
    static const struct orr_program server_program = {.boot = boot_server};
    static const struct orr_program client_program = {.boot = kv_workload_boot};
    struct kv_config config = {
        .directory = ".",
        .listen = "0.0.0.0:6379",
        .compact_above = orr_parameter_number(world, "compact"),
        .bugs = bug_named(orr_parameter_text(world, "bug")),
        .report = report,
        .report_context = world,
    };
    struct kv_history history = {.world = world};
    struct kv_task tasks[KV_CLIENTS];
    set_rates(world);
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
    const struct kv *kv = orr_node_application(server);
    orr_sometimes(world, kv != NULL && kv_compaction_count(kv) > 0,
                  "a compaction comes to its end");
    for (uint32_t i = 0; i < KV_CLIENTS; i++)
        orr_sometimes(world, tasks[i].reconnects > 0, "a client has to connect again");
    if (!orr_world_failed(world))
        stop(world, server);
}

static const struct orr_parameter parameters[] = {
    {.name = "bug",
     .value = "none",
     .allowed = "none|ack-before-fsync|short-send|short-recv|ignore-torn-tail|rename-before-fsync|"
                "fsync-retry|log-gap",
     .summary = "a planted bug of the server"},
    {.name = "ms",
     .value = "1000",
     .summary = "virtual milliseconds in which faults strike",
     .least = "1"},
    {.name = "compact",
     .value = "4096",
     .summary = "bytes of a log that is written anew; 0 = never"},
    {.name = "without",
     .value = "none",
     .allowed = "none|short-transfers|power-loss|disk-error|restarts",
     .summary = "faults that never strike, ambushes too"},
    {.name = NULL},
};

const struct orr_scenario kv_scenario = {
    .name = "kv",
    .summary = "a key-value server keeps every acknowledged write, whatever fails",
    .parameters = parameters,
    .run = run,
};

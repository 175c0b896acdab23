/*
 * sim.h: the seeded world, for scenarios and tests. Production programs do not include this.
 *
 * A scenario is a named function that builds a world out of nodes, lets them run, and states
 * checks. The nodes run the program's own code (what its production main boots) on a loop whose
 * backend is the world: its network, disks and clocks. Everything random in it is a choice, value =
 * H(seed, site, actor, occurrence), so one seed fixes the whole run.
 *
 *     static void run(struct orr_world *world)
 *     {
 *         struct orr_node *server = orr_node_create(world, "server", &kv_program, &config);
 *         struct orr_node *client = orr_node_create(world, "client", &client_program, &history);
 *
 *         orr_node_allow_crashes(server, ORR_CRASH_POWER);
 *         orr_world_run_for(world, 30 * ORR_SECOND);
 *         orr_world_heal(world);
 *         orr_eventually(world, client_is_done, &history, 60 * ORR_SECOND, "the client finishes");
 *     }
 *     const struct orr_scenario kv_scenario = {.name = "kv", .summary = "...", .run = run};
 *     ORR_MAIN(&kv_scenario)
 *
 * Whether concurrent clients saw one order of their calls is a check of its own: linearizable.h.
 *
 * The first check that fails ends the run: the world stands still, run calls return at once, and
 * the scenario returns. Nothing here is thread-safe; nothing here reads a real clock.
 */
#ifndef ORRERY_SIM_H
#define ORRERY_SIM_H

#include <orrery/io.h>

#include <stdio.h>

ORR_BEGIN

struct orr_world;
struct orr_node;
struct orr_witness;
struct orr_lanes;

/* ---- scenarios ------------------------------------------------------------------------------- */

/* A parameter of a scenario, given on the command line as name=value. */
struct orr_parameter {
    const char *name;
    const char *value;   /* the default */
    const char *allowed; /* "a|b|c": only these; NULL: a number from 0 to 2^63 - 1 */
    const char *summary;
    const char *least; /* of one that says how much there is: how little `orrery shrink` may make of
                          it; NULL: it stays */
};

struct orr_scenario {
    const char *name;
    const char *summary;                    /* one line: what it demands */
    const struct orr_parameter *parameters; /* ended by a NULL name; NULL = none */
    void (*run)(struct orr_world *world);
};

/* The value of a declared parameter (asking for another one is a caught error). */
ORR_API const char *orr_parameter_text(struct orr_world *world, const char *name);
ORR_API uint64_t orr_parameter_number(struct orr_world *world, const char *name);

/* ---- nodes ----------------------------------------------------------------------------------- */

/*
 * What a node runs: what a production main would start. `boot` gets a fresh loop and the
 * configuration, submits the first operations, and returns the application (not NULL), or NULL if
 * it cannot start. It keeps no state in globals: several nodes share the process. `crash`, if not
 * NULL, frees what the application holds outside the loop's memory (orr_malloc is freed by the
 * world); it must not use the loop.
 *
 * A program may have any number of loops: where its code, in boot or in a callback, calls
 * orr_loop_open, it gets a further loop of its node. In production it would run that one on a
 * thread of its own, or inside another; here the world runs it, as the first. The loops share the
 * node's disk, address, ports, clocks and memory; handles belong to one loop, as everywhere. They
 * wake one another by orr_wake. A crash ends them all, and so does orr_stop of the first; orr_stop
 * of a further one ends its passes. From a callback orr_run_for_ns(other, 0), orr_drain(other) and
 * then orr_loop_close(other) work as on a kernel (the drain takes no virtual time); a run call that
 * has to wait there is a caught error. Traces and reports call the second loop of the node "server"
 * "server.2"; its operations are counted with the node's: "server/fsync#3".
 */
struct orr_program {
    void *(*boot)(struct orr_loop *loop, void *config);
    void (*crash)(void *application);
};

/* Makes a machine with its own disk, clock and address (10.0.0.N), and boots it. `name` (at most
 * ORR_NODE_NAME_MAX letters, digits, '-' and '_', unique) and `config` must outlive the world. */
ORR_API struct orr_node *orr_node_create(struct orr_world *world, const char *name,
                                         const struct orr_program *program, void *config);
#define ORR_NODE_NAME_MAX 31u

/* The node's address with a port, as other nodes reach it. */
ORR_API struct orr_address orr_node_address(const struct orr_node *node, uint16_t port);
ORR_API const char *orr_node_name(const struct orr_node *node);
/* What boot returned, or NULL while the node is down. */
ORR_API void *orr_node_application(const struct orr_node *node);
/* The loop that boot got, or NULL while the node is down: tests may submit on it from outside.
 */
ORR_API struct orr_loop *orr_node_loop(const struct orr_node *node);
ORR_API bool orr_node_is_up(const struct orr_node *node);

/* What a program that opened `path` on the node's disk would read now, also while the node is down:
 * up to `size` bytes from the start of the file. Returns bytes; -ENOENT and the like. For checks.
 */
ORR_API int64_t orr_node_read_file(struct orr_node *node, const char *path, void *buffer,
                                   size_t size);

enum orr_crash {
    ORR_CRASH_POWER =
        1u << 0, /* power loss: peers hear nothing, unsynced writes may be lost or torn */
    ORR_CRASH_PROCESS = 1u << 1 /* killed: the system closes its sockets, the page cache survives */
};

/* Crashes a node that is up; nothing is called back. Not from inside that node's callbacks. */
ORR_API void orr_node_crash(struct orr_node *node, enum orr_crash kind);
/* Boots a node that is down. */
ORR_API void orr_node_start(struct orr_node *node);
/* Lets the world crash the node by choice, and boot it again after a while. `kinds`: enum
 * orr_crash, ored; the families ORR_FAMILY_POWER_LOSS and ORR_FAMILY_KILL decide per seed. A
 * program that calls orr_stop is booted again too. */
ORR_API void orr_node_allow_crashes(struct orr_node *node, uint32_t kinds);

/*
 * Pauses the program for a stretch of virtual time, as when it is stopped, swapped out or its
 * virtual machine migrates: it runs no callback, while its system goes on to take connections, data
 * and the ends of its operations. Then it goes on, and finds its deadlines passed. No effect on a
 * node that is down or paused. orr_node_resume ends it early.
 */
ORR_API void orr_node_pause(struct orr_node *node, uint64_t ns);
ORR_API void orr_node_resume(struct orr_node *node);
ORR_API bool orr_node_is_paused(const struct orr_node *node);
/* The node's program has closed every handle and seen the end of every operation when it calls
 * orr_stop: what it leaves fails the world. Without this call, the end of the process closes it. */
ORR_API void orr_node_expect_clean_stop(struct orr_node *node);
/* From here on no read of the node's program returns bytes of a file that nobody has written: of a
 * hole, or of space that orr_truncate or orr_allocate has added. What power loss leaves is not held
 * against the program. Call it right after the node was made. */
ORR_API void orr_node_forbid_unwritten_reads(struct orr_node *node);
/* The machine is replaced: the disk of a node that is down is empty from now on. */
ORR_API void orr_node_wipe(struct orr_node *node);

/* What the node's program would be told by orr_now and orr_wall_clock, also while it is down. */
ORR_API uint64_t orr_node_now(const struct orr_node *node);
ORR_API int64_t orr_node_wall_clock(const struct orr_node *node);
/* From now on the node's clocks, and so its timers, run faster by that many parts per million
 * (negative: slower; ORR_DRIFT_MAX each way). */
ORR_API void orr_node_set_drift(struct orr_node *node, int32_t per_million);
#define ORR_DRIFT_MAX 100000
/* Steps the node's wall clock ahead (negative: back), at most a year. The monotonic clock, and so
 * every timer, does not notice. */
ORR_API void orr_node_step_clock(struct orr_node *node, int64_t ns);
#define ORR_CLOCK_STEP_MAX (INT64_C(365) * 24 * 3600 * 1000000000)

/*
 * Faults that a scenario states plainly; they strike whatever the seed's families are. `operation`
 * is a name as in a trace: "write", "fsync", "open" ...; `nth` counts from now: 1 is the next one
 * of the node, also of a later life.
 *
 * orr_node_fail: it ends with `error`, one of its declared errors (-EIO, -ENOSPC ...), and has no
 * other effect than that error has. Only for operations on the disk.
 * orr_node_crash_after: once it has ended, and before the program hears of it if it is one on the
 * disk, the node crashes.
 */
ORR_API void orr_node_fail(struct orr_node *node, const char *operation, uint64_t nth, int error);
ORR_API void orr_node_crash_after(struct orr_node *node, const char *operation, uint64_t nth,
                                  enum orr_crash kind);

/* ---- the world ------------------------------------------------------------------------------- */

/* Lets the world run for a stretch of virtual time. Idle time costs nothing. */
ORR_API void orr_world_run_for(struct orr_world *world, uint64_t ns);
/* Virtual time since the world began, ns. */
ORR_API uint64_t orr_world_now(const struct orr_world *world);
/* From here on no fault strikes: links are whole, crashed nodes boot, nothing fails. For liveness
 * checks. */
ORR_API void orr_world_heal(struct orr_world *world);
/* The seed that the run began with, and a choice of the workload: 0 <= value < bound, keyed by
 * `site` (a stable name) and its count. */
ORR_API uint64_t orr_world_seed(const struct orr_world *world);
ORR_API uint64_t orr_choose(struct orr_world *world, const char *site, uint64_t bound);
/* Cuts the traffic from one node to another (one way) for a stretch of time; a longer cut that is
 * in force stays. orr_world_mend ends it early, and a clog too. */
ORR_API void orr_world_cut(struct orr_world *world, struct orr_node *from, struct orr_node *to,
                           uint64_t ns);
ORR_API void orr_world_mend(struct orr_world *world, struct orr_node *from, struct orr_node *to);
/* Cuts a node, or a group of them, off from all others, both ways. Within the group all is well. */
ORR_API void orr_node_isolate(struct orr_node *node, uint64_t ns);
/* The same one way: IN: the node hears nobody, and all hear it; OUT: nobody hears it. */
enum orr_way { ORR_WAY_IN = 1, ORR_WAY_OUT };
ORR_API void orr_node_isolate_way(struct orr_node *node, enum orr_way way, uint64_t ns);
ORR_API void orr_world_split(struct orr_world *world, struct orr_node *const *nodes, uint32_t count,
                             uint64_t ns);
/* Holds back what goes from one node to another (one way) for a stretch of time, at most
 * ORR_CLOG_MAX: nothing is lost, all of it comes after. What is on its way already arrives. */
ORR_API void orr_world_clog(struct orr_world *world, struct orr_node *from, struct orr_node *to,
                            uint64_t ns);
#define ORR_CLOG_MAX (60 * ORR_MINUTE)

/* How long a packet takes. */
enum orr_latency {
    ORR_LATENCY_UNIFORM,     /* latency to latency + spread */
    ORR_LATENCY_FIXED,       /* latency */
    ORR_LATENCY_EXPONENTIAL, /* latency, and more: on average spread, at most 16 times that */
    ORR_LATENCY_BIMODAL,     /* latency; one in eight: latency + spread */
    ORR_LATENCY_COUNT
};

struct orr_link_options {
    enum orr_latency distribution;
    uint64_t latency_ns; /* at most ORR_LINK_LATENCY_MAX, as the spread */
    uint64_t spread_ns;
    uint64_t bytes_per_second; /* one packet after the other; 0 = no bound */
    int unreachable; /* what a connect hears if nothing gets through: 0 = nothing, until -ETIMEDOUT;
                        -EHOSTUNREACH = after 3 s, as of a neighbour; -ENETUNREACH = at once, of a
                        cut link, as from a router that knows no way */
};
#define ORR_LINK_LATENCY_MAX ORR_MINUTE

/* Sets one direction of a link, in place of what chance has given it (a latency of 50 us and more,
 * a quarter of it as spread; other distributions while the latency family is on). */
ORR_API void orr_world_set_link(struct orr_world *world, struct orr_node *from, struct orr_node *to,
                                const struct orr_link_options *options);

/*
 * Bounds for what chance does; what the scenario itself does is not bounded. Call them before the
 * first node is made.
 *
 * orr_world_limit_down: chance crashes a node only while fewer than that many are down: what a
 * quorum can bear.
 * orr_world_limit_damage: chance damages the disks of so many nodes at most, by the families
 * lost-sync, bad-sector, bit-rot and misdirected: so many copies of a datum are bad.
 * orr_world_limit_copies: chance damages the same sectors of the file with the same path on so many
 * nodes at most, by the same families: for replicas that keep the same bytes at the same places.
 * orr_world_limit_time: no fault strikes before `from_ns` or from `until_ns` on (virtual time);
 * cuts and pauses end by then, and nodes that are down boot as ever.
 */
ORR_API void orr_world_limit_down(struct orr_world *world, uint32_t nodes);
ORR_API void orr_world_limit_damage(struct orr_world *world, uint32_t nodes);
ORR_API void orr_world_limit_copies(struct orr_world *world, uint32_t nodes);
ORR_API void orr_world_limit_time(struct orr_world *world, uint64_t from_ns, uint64_t until_ns);

/* Faults come in families. Per seed a random subset is on, each at a random rate (swarm); what is
 * marked "on request" only if the scenario sets its rate. */
enum orr_fault_family {
    ORR_FAMILY_PARTIAL,     /* transfers shorter than asked, segments cut small */
    ORR_FAMILY_LATENCY,     /* now and then an operation or a segment takes much longer */
    ORR_FAMILY_REORDER,     /* a completion overtakes those that were ready before it */
    ORR_FAMILY_PRESSURE,    /* batches, buffers and backlogs are tiny */
    ORR_FAMILY_CONNECTION,  /* connections are refused or reset */
    ORR_FAMILY_PARTITION,   /* links are cut for a while, both ways or one */
    ORR_FAMILY_DATAGRAM,    /* datagrams are lost, doubled, overtaken */
    ORR_FAMILY_DISK_ERROR,  /* EIO from all that looks at the disk */
    ORR_FAMILY_DISK_FULL,   /* ENOSPC, EDQUOT */
    ORR_FAMILY_POWER_LOSS,  /* nodes that allow it lose power */
    ORR_FAMILY_KILL,        /* processes that allow it are killed */
    ORR_FAMILY_PAUSE,       /* programs stand still for a while */
    ORR_FAMILY_CLOCK,       /* clocks differ, drift, and are stepped */
    ORR_FAMILY_MEMORY,      /* orr_malloc and orr_realloc find no memory (on request) */
    ORR_FAMILY_BANDWIDTH,   /* links carry only so many bytes a second */
    ORR_FAMILY_CLOG,        /* links hold everything back for a while, and lose nothing */
    ORR_FAMILY_HANDLES,     /* EMFILE, ENFILE from open, accept, orr_socket */
    ORR_FAMILY_UNREACHABLE, /* what connects hear of a link that lets nothing pass */
    /* What follows is on request: no program survives it on one disk, or only with checksums. What
     * it has damaged stays so when the world is healed. */
    ORR_FAMILY_LOST_SYNC,   /* an fsync, or a write with SYNC, succeeds, and nothing is durable */
    ORR_FAMILY_BAD_SECTOR,  /* a sector that is read cannot be, from now on, until it is written */
    ORR_FAMILY_BIT_ROT,     /* a bit of what is read has changed on the disk */
    ORR_FAMILY_MISDIRECTED, /* a write reaches the disk at another place of the file */
    ORR_FAMILY_STUCK,       /* an operation on a file never returns, until the world is healed */
    ORR_FAMILY_COUNT
};

/* The family's stable name: "partial", "power-loss", ... */
ORR_API const char *orr_fault_family_name(enum orr_fault_family family);
/* True if the family is "on request": never turned on by the swarm. */
ORR_API bool orr_fault_family_is_on_request(enum orr_fault_family family);
/*
 * Overrides the swarm: the chance, in parts per million of the operations or segments that the
 * family can strike, for bandwidth and unreachable: of the links; for partition, clog, power-loss,
 * kill, pause and steps of the clock: of each 10 ms of virtual time (per world, per node).
 * 0 = never. Call it before the first node is made.
 */
ORR_API void orr_world_set_rate(struct orr_world *world, enum orr_fault_family family,
                                uint32_t per_million);
ORR_API uint32_t orr_world_rate(const struct orr_world *world, enum orr_fault_family family);

/* ---- disks ----------------------------------------------------------------------------------- */

/*
 * What survives a power loss beyond what fsync, fdatasync and ORR_OPEN_SYNC promise. Common to all:
 * unsynced writes survive in any subset and order, torn at sectors; no sync of a file covers other
 * data. tests/litmus/ writes each of them down as sets of states.
 */
enum orr_file_system {
    /* What the file systems in use have in common: a directory keeps its changes in the order in
     * which they were made, a rename is one change, and the name of a new file needs the fsync of
     * its directory. A size may be there before the data it covers. */
    ORR_FILE_SYSTEM_PORTABLE,
    /* POSIX alone: each change of names survives by itself or not; an unsynced rename to a free
     * name may leave both names, or none. */
    ORR_FILE_SYSTEM_POSIX,
    /* ext4 with data=ordered and auto_da_alloc, its defaults: one journal keeps the order of all
     * changes of names and is written by the fsync of any file that it mentions; a size covers only
     * data that is there; a rename over another file brings the data along. */
    ORR_FILE_SYSTEM_EXT4,
    ORR_FILE_SYSTEM_XFS, /* the same, but a rename does not wait for data */
    ORR_FILE_SYSTEM_COUNT
};

/* "portable", "posix", "ext4", "xfs". */
ORR_API const char *orr_file_system_name(enum orr_file_system file_system);

/* The disk of a node. 0 or false everywhere is the default. */
struct orr_disk_options {
    enum orr_file_system file_system;
    uint32_t sector_bytes;   /* written whole or not at all: 512 (default) or 4096 */
    uint64_t capacity_bytes; /* default 64 MiB; more is -ENOSPC */
    uint64_t transfer_ns;    /* mean time of what is no sync; default 25 us */
    uint64_t sync_ns;        /* of an fsync, or a write with ORR_OPEN_SYNC; default 1 ms */
    bool is_lying;           /* acknowledges every sync, and does none of them */
};

/* The disks of the nodes made from here on, also in two calls for two kinds of nodes. */
ORR_API void orr_world_set_disks(struct orr_world *world, const struct orr_disk_options *options);

/* ---- checks ---------------------------------------------------------------------------------- */

/* Must hold whenever it is reached; the first that does not ends the run. Evaluate to the
 * condition. */
#define orr_always(world, condition, text) \
    orr_check_always((world), (condition), #condition, (text), ORR_CHECK_SITE)
/* Must hold at least once in a campaign, or the campaign says so. */
#define orr_sometimes(world, condition, text) orr_check_sometimes((world), (condition), (text))
#define orr_unreachable(world, text) \
    orr_check_always((world), false, "unreachable", (text), ORR_CHECK_SITE)

#define ORR_CHECK_SITE_TEXT_(line) #line
#define ORR_CHECK_SITE_TEXT(line) ORR_CHECK_SITE_TEXT_(line)
#define ORR_CHECK_SITE __FILE__ ":" ORR_CHECK_SITE_TEXT(__LINE__)

/* What the macros above call; `text` must live as long as the world. Return the condition. */
ORR_API bool orr_check_always(struct orr_world *world, bool condition, const char *expression,
                              const char *text, const char *site);
ORR_API bool orr_check_sometimes(struct orr_world *world, bool condition, const char *text);

/* Runs the world until `done` says true; fails the check if that takes longer than `within_ns` of
 * virtual time, and tells what every node waits for. */
ORR_API bool orr_eventually(struct orr_world *world, bool (*done)(void *context), void *context,
                            uint64_t within_ns, const char *text);

/* Adds details to the report of a failing check: call it before the check. Kept: the last
 * ORR_NOTE_MAX bytes; the same text several times in a row is kept once, with their number. */
ORR_API void orr_note(struct orr_world *world, const char *format, ...) ORR_PRINTF(2, 3);
#define ORR_NOTE_MAX 2048u
/* Writes a line of the program's own into the trace (it does not change the trace hash). */
ORR_API void orr_trace(struct orr_world *world, const char *format, ...) ORR_PRINTF(2, 3);

/* True once a check has failed: the world stands still. */
ORR_API bool orr_world_failed(const struct orr_world *world);

/* ---- running a scenario ---------------------------------------------------------------------- */

struct orr_parameter_value {
    const char *name;
    const char *value;
};

struct orr_run_options {
    uint64_t seed;
    const struct orr_parameter_value *parameters;
    size_t parameter_count;
    FILE *trace;          /* every event, one a line; NULL = none */
    FILE *story;          /* faults, boots and the failed check, for people; NULL = none */
    const uint8_t *bytes; /* a fuzzer's input (docs/fuzzing.md), whose seed counts; NULL = none */
    size_t byte_count;
    FILE *lane_names;    /* gets the name of each lane that is drawn from, a line; NULL = none */
    const char *replay;  /* the text of a replay file (docs/replay.md), whose faults strike; its
                           scenario, parameters and seed are not looked at; NULL = none */
    FILE *ledger;        /* gets every fault as a line of a replay file; NULL = none */
    FILE *points;        /* the same of every fault that could strike: what a sweep tries */
    uint64_t events_max; /* more than this is a hang; 0 = ORR_EVENTS_MAX_DEFAULT */
    char *untold; /* ORR_UNTOLD_MAX bytes: gets the line that the story holds back at the moment,
                     the last of a run of the same fault, for whoever watches from another process;
                     NULL = none */
    struct orr_lanes *lanes;     /* of a fuzz target, in place of `bytes`; NULL = none */
    struct orr_witness *witness; /* of the command line's --twice; NULL = none */
    uint64_t *live_hash; /* gets the rolling trace hash after every event, so that whoever watches
                            from another process knows it when this one dies; NULL = none */
};

#define ORR_UNTOLD_MAX 512u
#define ORR_EVENTS_MAX_DEFAULT UINT64_C(20000000)
#define ORR_SOMETIMES_MAX 64u

/* What became of one run. */
struct orr_outcome {
    uint64_t seed;
    uint64_t trace_hash;
    uint64_t events;      /* of the world's heap */
    uint64_t completions; /* operations ended */
    uint64_t simulated_ns;
    uint64_t faults; /* injected */
    uint32_t faults_by_family[ORR_FAMILY_COUNT];
    bool failed;
    char check[256];   /* text of the check that failed */
    char detail[4096]; /* where, when, the notes */
    uint32_t sometimes_count;
    struct {
        char text[96];
        uint64_t seen; /* times it held */
    } sometimes[ORR_SOMETIMES_MAX];
};

/* Runs one seed in this process. Returns 0 with the outcome filled in (a failed check is an
 * outcome, too); -EINVAL and a sentence in outcome->detail if a parameter is unknown or its value
 * is not allowed, or a line of the replay file is wrong. */
ORR_API int orr_scenario_run(const struct orr_scenario *scenario,
                             const struct orr_run_options *options,
                             struct orr_outcome *ret_outcome);

/*
 * The `orrery` command line (list, run, replay, merge, --load) over the given scenarios, ended by
 * NULL (NULL itself: none built in). Returns the exit status: 0 clean, 1 a failing seed, 2 wrong
 * usage.
 */
ORR_API int orr_command_line(int argc, char **argv, const struct orr_scenario *const *scenarios);

/* A whole program made of scenarios, or a shared object for `orrery --load`. */
#define ORR_SCENARIOS(...)                                           \
    ORR_API extern const struct orr_scenario *const orr_scenarios[]; \
    const struct orr_scenario *const orr_scenarios[] = {__VA_ARGS__, NULL};
#define ORR_MAIN(...)                                       \
    ORR_SCENARIOS(__VA_ARGS__)                              \
    int main(int argc, char **argv)                         \
    {                                                       \
        return orr_command_line(argc, argv, orr_scenarios); \
    }

/* ---- a bare world, for tests ----------------------------------------------------------------- */

/* A world with no scenario around it, without faults unless rates are set; trace may be NULL. */
ORR_API struct orr_world *orr_world_create(uint64_t seed, FILE *trace);
ORR_API void orr_world_destroy(struct orr_world *world);
/* From here on a program that breaks a rule of the interface fails the world, as it does in every
 * scenario: a second recv or send in flight on a stream, writes in flight that overlap, a buffer
 * that is touched or memory that is freed while an operation in flight uses it, a handle after its
 * close. */
ORR_API void orr_world_police(struct orr_world *world);
/* A loop of a node without a program, which the caller runs itself (orr_run_once and the like move
 * the world on while they wait) and ends with orr_loop_close. Returns 0 or -errno. */
ORR_API int orr_node_open_loop(struct orr_world *world, const char *name,
                               const struct orr_options *options, struct orr_loop **ret_loop);
ORR_API uint64_t orr_world_trace_hash(const struct orr_world *world);

ORR_END
#endif

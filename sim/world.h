/*
 * world.h: the state of one world, for the files that are the world itself (world.c, choice.c,
 * ledger.c, recorder.c, node.c, backend.c, scenario.c). The rooms behind it (network, disk) use
 * internal.h only.
 */
#ifndef ORR_SIM_WORLD_H
#define ORR_SIM_WORLD_H

#include "internal.h"

/* The order of events: time, then tie (a choice), then the order of scheduling. */
struct orr__heap_node {
    uint64_t time_ns;
    uint64_t sequence;
    uint32_t tie;
    uint32_t event; /* index into events */
};

/* What happens then. In the free list while run is NULL and it is not in the heap. */
struct orr__event {
    orr__event_run run;
    void *owner;
    void *object;
    uint64_t a; /* in the free list: the next free index */
};

struct orr__rulings;
struct orr__future;
struct orr__stem;

#define ORR__EVENT_NONE UINT32_MAX
#define ORR__WORKLOAD_SITES_MAX 64
#define ORR__DETAIL_MAX 4096

/* A test that goes through all choices answers bounded draws itself: true and a value below
 * `bound`, or false for what the seed shall answer. */
struct orr__answers {
    bool (*answer)(void *context, enum orr__site site, uint64_t bound, uint64_t *ret_value);
    void *context;
};

struct orr__sometimes {
    const char *text;
    uint64_t seen;
};

/* The links that lead from one node: a hash table by the number of the node that they lead to. */
struct orr__links {
    struct orr__link **slots;
    uint32_t size; /* a power of two; 0 = there is none yet */
    uint32_t count;
};

struct orr__damage;
struct orr__ring; /* memory for the bytes in a connection, that nobody uses (ring.c) */
#define ORR__RING_SIZES (ORR__RING_BITS_MAX - ORR__RING_BITS_FIRST + 1)

/* A run of the same fault, or of boots and stops of one node, that the story folds. */
#define ORR__FOLD_LIVES ORR_FAMILY_COUNT
struct orr__fold {
    uint32_t kind; /* the fault's family, or ORR__FOLD_LIVES */
    const char *format;
    char subject[3 * ORR_NODE_NAME_MAX + 32];
    uint64_t count; /* so far; 0 = no run */
};

struct orr_world {
    uint64_t seed;
    uint64_t choice_seed; /* the same, or that of a future: what answers draws */
    uint64_t now_ns;
    uint64_t hash;
    uint64_t *live_hash;
    struct orr_witness *witness; /* NULL = none */
    uint64_t events_run;
    uint64_t events_max;
    uint64_t completions; /* callbacks of processes that have ended */

    struct orr__heap_node *heap;
    uint32_t heap_count;
    struct orr__event *events;
    uint32_t event_capacity; /* of heap and events */
    uint32_t event_free;
    uint64_t sequence;

    struct orr_node *nodes; /* in order of creation */
    struct orr_node *last_node;
    uint32_t node_count;
    struct orr__links *links; /* by the number of the node that they lead from */
    uint32_t links_from;      /* nodes that `links` has room for */
    struct orr__ring *rings[ORR__RING_SIZES];

    uint32_t rates[ORR_FAMILY_COUNT];
    uint64_t faults_from_ns;  /* none strikes before it, ... */
    uint64_t faults_until_ns; /* ... or from here on */
    uint32_t damaged;         /* nodes whose disks chance has damaged */
    uint32_t damaged_max;
    uint32_t copies_max;           /* of a datum that chance may damage */
    struct orr__damage *damages;   /* so far, if they are bounded */
    uint32_t down_max;             /* nodes that chance has crashed, at one time */
    struct orr_disk_options disks; /* of the nodes to come; no defaults left open */
    bool healed;
    struct orr_lanes *lanes;            /* a fuzzer's choices (lanes.h), or NULL; not its own */
    const struct orr__answers *answers; /* NULL = none */
    struct orr__rulings *rulings;       /* what a replay file says now, or NULL */
    struct orr__rulings *section;       /* of the replay file: where the run is */
    struct orr__rulings *file;          /* all of it */
    struct orr__future *ahead;          /* NULL = the run goes on as it does */
    bool is_instant_named;              /* what names the instant ahead has come to pass */
    struct orr__stem *stem;             /* who may branch the run, or NULL */
    uint64_t *position;                 /* gets the number of the last instant, or NULL */
    struct {
        uint64_t id;
        uint64_t count;
    } workload[ORR__WORKLOAD_SITES_MAX];
    uint32_t workload_count;

    bool policed;           /* police.c looks at what is submitted, libc/leak.c at calls */
    struct orr__libc libc;  /* the scenario's */
    uint64_t draw48;        /* what drand48 begins with, on each node in another way */
    int64_t wall_offset_ns; /* the date: what a node's would be if it were set right */
    const struct orr_scenario *scenario;
    const struct orr_run_options *options;
    struct orr__recorder *recorder; /* the first of the chain; NULL = nobody records */
    struct orr__timeline lines;     /* the recorder of who wants a trace as lines */
    FILE *story;
    FILE *ledger; /* gets every fault as a line of a replay file, or NULL */
    FILE *points; /* gets every fault that could strike, or NULL */
    bool story_begun;
    struct orr__fold fold;
    char *untold; /* ORR_UNTOLD_MAX bytes: untold_own, or of who called us */
    char untold_own[ORR_UNTOLD_MAX];
    uint64_t faults;
    uint32_t faults_by_family[ORR_FAMILY_COUNT];

    bool failed;
    char check[256];
    char detail[ORR__DETAIL_MAX];
    char notes[ORR_NOTE_MAX];
    size_t note_begin; /* of the last note, in notes */
    size_t note_length;
    uint64_t note_count; /* times in a row; 0 = there is none */
    struct orr__sometimes sometimes[ORR_SOMETIMES_MAX];
    uint32_t sometimes_count;
};

/* So long from now, or never: UINT64_MAX. */
static inline uint64_t orr__later(const struct orr_world *world, uint64_t ns)
{
    return ns > UINT64_MAX - world->now_ns ? UINT64_MAX : world->now_ns + ns;
}

/* world.c */
/* `lanes` may be NULL, and must outlive the world. */
struct orr_world *orr__world_new(uint64_t seed, struct orr_lanes *lanes, FILE *trace, FILE *story);
/* What happens from here on is recorded there, too. */
void orr__world_record(struct orr_world *world, struct orr__recorder *recorders);
/* Runs the next event if its time is <= limit_ns; else moves the clock to limit_ns. False when it
 * did not run one. */
bool orr__world_step(struct orr_world *world, uint64_t limit_ns);

/* ring.c */
void orr__rings_free(struct orr_world *world);

/* link.c */
/* Nothing passes from one to the other for a while. */
void orr__link_cut(struct orr_world *world, struct orr_node *from, struct orr_node *to,
                   uint64_t ns);
/* Nothing leaves. */
void orr__link_clog(struct orr_world *world, struct orr_node *from, struct orr_node *to,
                    uint64_t ns);
/* Nothing passes between these nodes and the others: both ways, or one (orr_way) as they see it. */
#define ORR__WAY_BOTH (ORR_WAY_IN | ORR_WAY_OUT)
void orr__links_split(struct orr_world *world, struct orr_node *const *nodes, uint32_t count,
                      uint32_t ways, uint64_t ns);
/* What a story adds to a cut of one way; nothing for both. */
const char *orr__ways_text(uint32_t ways);
/* Every link is whole, and as fast as the scenario wants it. */
void orr__links_mend(struct orr_world *world);
void orr__links_free(struct orr_world *world);
/* Ends the run as failed, unless it already is. `where` may be NULL. */
void orr__world_fail(struct orr_world *world, const char *check, const char *where,
                     const char *format, ...) ORR_PRINTF(4, 5);

/* Operations ended by a callback so far, in all processes. */
uint64_t orr__world_completions(const struct orr_world *world);

/* scenario.c */
/* Tells which faults can strike, once: with the first node, for until then the scenario may set
 * rates of its own. */
void orr__story_begin(struct orr_world *world);

/* chance.c */
/* A node was made: sets off what can strike it, or needs more than one. */
void orr__chance_begin(struct orr_node *node);
/* Another seed answers: what chance has appointed is drawn again, from now on. */
void orr__chance_renew(struct orr_world *world);

/* plan.c */
/* A node was made: takes in what a replay file appoints for it. */
void orr__plans_begin(struct orr_node *node);
/* The error that the scenario wants of this operation, entered into the ledger; or 0. */
int orr__plan_error(struct orr_node *node, uint8_t op, uint64_t occurrence);
/* An operation has ended: a crash may be due. */
void orr__plan_ended(struct orr_node *node, uint8_t op, uint64_t occurrence);
void orr__plans_free(struct orr_node *node);
/* Other rulings are in force: what the ones before have appointed is off, and theirs is on. */
void orr__plans_renew(struct orr_world *world);

/* clock.c */
void orr__clock_step(struct orr_node *node, const struct orr__point *point, int64_t ns);
/* Chooses the date at which the world begins. */
void orr__clock_date(struct orr_world *world);
/* Sets the clocks of a node that is being made. */
void orr__clock_begin(struct orr_node *node);
/* The machine lost its power: the monotonic clock begins again. */
void orr__clock_restart(struct orr_node *node);
/* In how much of the world's time the node's clocks will have moved by `ns`, at most a little
 * later; UINT64_MAX if that is too far to tell. */
uint64_t orr__clock_wait(const struct orr_node *node, uint64_t ns);

/* choice.c */
void orr__swarm(struct orr_world *world);

/* node.c: what an event or a scenario does, as the fault of a point that has been decided */
void orr__node_crash(struct orr_node *node, const struct orr__point *point, bool loses_only);
void orr__node_pause(struct orr_node *node, const struct orr__point *point, uint64_t ns);
/* The world is being destroyed. First every node's program ends, for connections lead from one node
 * to another; then the nodes go. */
void orr__node_end(struct orr_node *node);
void orr__node_destroy(struct orr_node *node);
/* How long it is until the next pass of a process that has something to do: a choice. */
uint64_t orr__step_delay(struct orr__process *process);
void orr__schedule_step(struct orr__process *process);
/* The node's clock runs differently: its timers are appointed again. */
void orr__clock_changed(struct orr_node *node);

/* process.c */
/* Opens a loop on the node: the first of a new life if it is down, else a further one. */
int orr__process_open(struct orr_node *node, const struct orr_options *options, bool external,
                      struct orr__process **ret_process);
/* The backend's close: the loop is gone. */
void orr__process_closed(struct orr__process *process);
/* What the system does when the node's program is gone. The loops are left to orr__life_discard. */
struct orr__life *orr__life_end(struct orr_node *node, enum orr_crash kind);
void orr__life_discard(struct orr__life *life);
/* True while a callback of the life runs, or its boot. */
bool orr__life_is_inside(const struct orr__life *life);
/* From now on orr_loop_open, called by a program on a node, opens a loop of that node. */
void orr__process_host(void);
void orr__seats_free(struct orr_node *node);

/* Where an operation is (request.backend_bits), and whether its cancel was asked for. */
enum orr__place {
    ORR__PLACE_BATCH = 1,
    ORR__PLACE_SOCKET,
    ORR__PLACE_LATER, /* an event ends it, or starts it */
    ORR__PLACE_READY,
    ORR__PLACE_MASK = 0x0f,
    ORR__CANCEL_ASKED = 0x10
};

/* operations.c */
/* Hands an operation of the batch over: it ends at once, or later. */
void orr__operation_start(struct orr__process *process, struct orr_completion *completion);
/* Cancels an operation that waits for its event, or does not: that is a choice. */
void orr__operation_cancel(struct orr__process *process, struct orr_completion *completion);
/* The process is about to die: what of its operations in flight is done all the same. */
void orr__operations_die(struct orr__process *process);
/* close(2) of any descriptor: 0 or -EBADF. */
int64_t orr__descriptor_close(struct orr__process *process, int32_t descriptor);
uint64_t orr__op_actor(const struct orr_node *node, uint8_t op);

/* disk_faults.c: what strikes the operation with that number; enters the ledger. */
/* -EIO, -ENOSPC, -EDQUOT, -EMFILE, -ENFILE or 0. The completion's result is its number; `file` is
 * what its handle names, or NULL, and `mark` is of a sync. */
int orr__disk_error(struct orr_node *node, struct orr__file *file,
                    const struct orr_completion *completion, uint64_t mark);
/* True if a listing shall fail, after so many names, or at its end if there are fewer. */
bool orr__listing_fails(struct orr_node *node, uint64_t *ret_names);
/* A sync has failed: what it leaves. */
void orr__sync_fails(struct orr_node *node, struct orr__file *file,
                     const struct orr_completion *completion, uint64_t mark, int error);
/* True if a sync shall do nothing and succeed. */
bool orr__sync_is_lost(struct orr_node *node, const struct orr__file *file, uint8_t op,
                       uint64_t occurrence);
bool orr__operation_sticks(struct orr_node *node, uint8_t op, uint64_t occurrence);
/* Before a read of that range: what the disk has done to it meanwhile. */
void orr__spoil_read(struct orr_node *node, struct orr__file *file, uint8_t op, uint64_t occurrence,
                     uint64_t offset, uint32_t length);
/* Before a read: whether the page cache still has what the disk does not. */
void orr__evict_read(struct orr_node *node, struct orr__file *file, uint8_t op,
                     uint64_t occurrence);
/* Before a write: whether it goes elsewhere. */
void orr__spoil_write(struct orr_node *node, struct orr__file *file, uint8_t op,
                      uint64_t occurrence, uint64_t offset, uint32_t length);

/* disk_copies.c */
/* True if chance may damage these bytes of the file with that number: they count as damaged then.
 */
bool orr__copy_may_be_damaged(struct orr_node *node, uint64_t number, uint64_t offset,
                              uint64_t bytes);
/* The node has a new disk; NULL: all nodes. */
void orr__copies_forget(struct orr_world *world, const struct orr_node *node);

/* police.c */
/* Watches an operation from now until its callback, and fails the world if it breaks a rule; it is
 * being submitted, perhaps not for the first time. */
void orr__police_submit(struct orr__process *process, struct orr_completion *completion);
/* An attempt of an operation has ended with that result: the world took bytes, or put them. */
void orr__police_attempt(struct orr__process *process, const struct orr_completion *completion,
                         int64_t result);
/* An operation on a file has moved `result` bytes, or failed. */
void orr__police_read(struct orr__process *process, const struct orr__file *file,
                      const struct orr_completion *completion, int64_t result);
/* True, and the world has failed, if an operation in flight uses memory that is to be freed. */
bool orr__police_free(struct orr__process *process, const void *memory, size_t size);
/* A callback asks for memory. */
void orr__police_allocate(struct orr__process *process);
/* A pass begins. */
void orr__police_pass(struct orr__process *process);
void orr__police_process_freed(struct orr__process *process);
void orr__police_life_freed(struct orr__life *life);
/* An operation names a handle whose close was submitted. */
void orr__police_stale(struct orr__process *process, const struct orr_completion *completion,
                       const struct orr_completion *closer, uint32_t slot);

/* police_waits.c */
/* A file was opened under that path. */
void orr__police_opened(struct orr__process *process, int32_t descriptor, const char *path);
/* The program has stopped, and its life is about to end. */
void orr__police_stopped(struct orr_node *node);
/* Adds to the report of the check that has failed what every node waits for. */
void orr__police_tell_waits(struct orr_world *world);

/* backend.c */
/* The object behind a descriptor, or NULL if it is of another kind, or free. */
struct orr__socket *orr__socket_of(struct orr__process *process, int32_t descriptor);
struct orr__file *orr__file_of(struct orr__process *process, int32_t descriptor);
extern const struct orr_backend orr__world_backend;

#endif

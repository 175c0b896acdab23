/*
 * internal.h: how the rooms of sim/ fit together.
 *
 *   scenario.c   runs one seed: parameters, outcome, story
 *   world.c      the world: event heap, virtual time, links, checks
 *   chance.c     what strikes nodes and links in the course of time: partitions, crashes, pauses
 *   plan.c       faults that a scenario states plainly
 *   choice.c     keyed choices, the swarm's rates
 *   lanes.c      a fuzzer's choices, laid over the seed's; fuzz/ what a fuzz target is made of
 *   fault.c      kinds of faults and their names; whether one strikes, and how hard
 *   replay_file.c what a replay file says of faults
 *   future.c     a run that goes on in another way from an instant on (future.h)
 *   ledger.c     the rolling trace hash, injected faults, the story
 *   recorder.c   events as records for those who show them; timeline.c shows them as text
 *   witness.c   what one of two runs leaves that are to be compared
 *   node.c       nodes: boot, crash, restart, pause; when their loops make a pass
 *   process.c    the loops of a node, and what they share
 *   clock.c      a node's clocks
 *   backend.c    the vtable of a process's loop: batch, ready list, descriptors
 *   operations.c an operation's faults, latency, effect and end; which room does what
 *   libc/        the C library's clocks, random functions and threads, as code in a world sees them
 *   police*.c    rules of the interface that a program breaks
 *   link.c       links; network.c addresses and ports; socket.c sockets; stream.c TCP and Unix
 *                streams; datagram.c UDP
 *   disk.c       a file system with page cache and durable image; disk_faults.c its faults
 *   history.c    histories of clients' calls and their verdict (history.h has its own map)
 *   campaign/    outside of the world: seeds in child processes, progress, the command line
 *
 * Invariants: the only input is the choices; events are ordered by (time, tie, sequence), where tie
 * is a choice; no pointer, address, table order or real clock ever decides anything; everything is
 * an integer.
 */
#ifndef ORR_SIM_INTERNAL_H
#define ORR_SIM_INTERNAL_H

#include "recorder.h"

#include <orrery/backend.h>
#include <orrery/sim.h>

#define orr__assert(condition) \
    ((condition) ? (void)0 : orr_fatal("internal: %s at %s", #condition, ORR_CHECK_SITE))

/* ---- choices --------------------------------------------------------------------------------- */

/* Every place where the world draws. The number is part of the key: add new ones at the end. */
enum orr__site {
    ORR__SITE_SWARM,      /* per family: on or off, and its rate */
    ORR__SITE_TIE,        /* order of simultaneous events */
    ORR__SITE_WORKLOAD,   /* orr_choose */
    ORR__SITE_RANDOM,     /* orr_random; beside the node's: the C library's random functions */
    ORR__SITE_STEP_DELAY, /* from something ready to the process's next pass */
    ORR__SITE_OP_LATENCY, /* how long a file operation takes */
    ORR__SITE_OP_SPIKE,
    ORR__SITE_OP_PARTIAL, /* whether a transfer is cut */
    ORR__SITE_OP_PARTIAL_LENGTH,
    ORR__SITE_OP_ERROR,     /* whether a file operation fails */
    ORR__SITE_OP_FULL,      /* whether the disk is full for this one */
    ORR__SITE_REORDER,      /* a completion overtakes */
    ORR__SITE_BATCH,        /* capacity of the batch of a process */
    ORR__SITE_READY_LIMIT,  /* completions that one flush delivers */
    ORR__SITE_BUFFER,       /* capacity of a stream's buffers */
    ORR__SITE_LINK_LATENCY, /* base latency of a link */
    ORR__SITE_SEGMENT_LATENCY,
    ORR__SITE_SEGMENT_SPIKE,
    ORR__SITE_SEGMENT_CUT,
    ORR__SITE_SEGMENT_LENGTH,
    ORR__SITE_RESET,
    ORR__SITE_REFUSE, /* whether a connect is refused; what it hears of an outage */
    ORR__SITE_PARTITION,
    ORR__SITE_PARTITION_TIME,
    ORR__SITE_DATAGRAM_LOSS,
    ORR__SITE_DATAGRAM_COPY,
    ORR__SITE_CRASH,
    ORR__SITE_CRASH_KIND, /* power or process; whether what it has in flight is done */
    ORR__SITE_DOWN_TIME,
    ORR__SITE_DISK_SECTOR, /* whether an unsynced sector survives power loss, or a failed sync */
    ORR__SITE_DISK_SIZE,   /* whether an unsynced size survives */
    ORR__SITE_DISK_NAME,   /* how many unsynced directory changes survive */
    ORR__SITE_PORT,        /* ephemeral port */
    ORR__SITE_DIRECTORY,   /* order of a directory listing */
    ORR__SITE_CLOCK,       /* where a node's clocks start */
    ORR__SITE_CANCEL,      /* whether a file operation is canceled in time */
    ORR__SITE_LOOPBACK,    /* whether a segment to the same machine takes no time */
    ORR__SITE_PARTITION_PAUSE, /* from one partition to the next */
    ORR__SITE_PAUSE,           /* from one pause of a node to the next */
    ORR__SITE_PAUSE_TIME,
    ORR__SITE_CLOCK_STEP,
    ORR__SITE_CLOCK_PAUSE, /* from one step of a node's clock to the next */
    ORR__SITE_MEMORY,      /* whether an allocation fails */
    ORR__SITE_LINK_BANDWIDTH,
    ORR__SITE_CLOG, /* from one clogged link to the next */
    ORR__SITE_CLOG_TIME,
    ORR__SITE_HANDLES,     /* whether no descriptor is left for an open */
    ORR__SITE_LOST_SYNC,   /* whether a sync is acknowledged and lost */
    ORR__SITE_BAD_SECTOR,  /* whether a sector has become unreadable, and which */
    ORR__SITE_BIT_ROT,     /* whether a bit has changed, and which */
    ORR__SITE_MISDIRECTED, /* whether a write ends up elsewhere, and where */
    ORR__SITE_STUCK,       /* whether an operation never returns */
    ORR__SITE_TREE_ERROR,  /* whether an operation on names or sizes fails */
    ORR__SITE_LIST_ERROR,  /* whether a listing fails, and after how many names */
    ORR__SITE_ACCEPT,      /* whether no descriptor is left for an accept */
    ORR__SITE_SOCKET,      /* ... for a socket */
    ORR__SITE_POLL,        /* whether a poll is told only what has woken it */
    ORR__SITE_WAKE,        /* whether an accept that was canceled is woken instead of another */
    ORR__SITE_COUNT
};

/*
 * One draw: 64 bits keyed by (seed, site, actor, occurrence). `actor` is a stable id (orr__actor_id
 * of a name); the occurrence counts that actor's events of one kind, so that a fault can be named
 * "server/fsync#3". The same key drawn twice gives the same value.
 */
uint64_t orr__draw(struct orr_world *world, enum orr__site site, uint64_t actor,
                   uint64_t occurrence);
/* 0 <= value < bound; bound >= 1. */
uint64_t orr__draw_below(struct orr_world *world, enum orr__site site, uint64_t actor,
                         uint64_t occurrence, uint64_t bound);
/* 0 <= value < count, each as often as its weight says. */
uint64_t orr__draw_weighted(struct orr_world *world, enum orr__site site, uint64_t actor,
                            uint64_t occurrence, const uint8_t *weights, uint64_t count);
/* low <= value <= high. */
uint64_t orr__draw_range(struct orr_world *world, enum orr__site site, uint64_t actor,
                         uint64_t occurrence, uint64_t low, uint64_t high);
/* Exponential with that mean, capped at 16 means; integer arithmetic. */
uint64_t orr__draw_exponential(struct orr_world *world, enum orr__site site, uint64_t actor,
                               uint64_t occurrence, uint64_t mean);
/* Fills a buffer with draws, eight bytes each; `count` is the next occurrence, and moves on. */
void orr__draw_bytes(struct orr_world *world, enum orr__site site, uint64_t actor, uint64_t *count,
                     void *buffer, size_t length);
/* Mixes a name into an id that is the same on every machine. */
uint64_t orr__actor_id(const char *name);
uint64_t orr__mix(uint64_t a, uint64_t b);

/* ---- faults (fault.c) ------------------------------------------------------------------------ */

/* What can strike: each kind belongs to one family, and has a word and perhaps a size, by which the
 * ledger and a replay file name it (fault.c has the table). */
enum orr__fault_kind {
    ORR__FAULT_SHORT,       /* a transfer or a segment is cut */
    ORR__FAULT_LONGER,      /* it takes longer */
    ORR__FAULT_OVERTAKES,   /* a completion comes before those that were ready */
    ORR__FAULT_TURN,        /* another waiter is served first */
    ORR__FAULT_WOKEN,       /* a waiter is woken later */
    ORR__FAULT_HEARS_TWICE, /* a receive that waits is told the error of a connect, too */
    ORR__FAULT_DEFERRED,    /* an operation that could be done at once is not */
    ORR__FAULT_BATCH,       /* the batch takes few operations */
    ORR__FAULT_DELIVERS,    /* a flush delivers some of what is ready */
    ORR__FAULT_BUFFERS,     /* a connection's buffers are small */
    ORR__FAULT_QUEUE,       /* a datagram socket's queue is small */
    ORR__FAULT_BACKLOG,
    ORR__FAULT_REFUSED,
    ORR__FAULT_RESET,
    ORR__FAULT_LOST,
    ORR__FAULT_ASTRAY, /* a datagram is doubled, overtaken, or comes again later */
    ORR__FAULT_CUT,
    ORR__FAULT_CLOGGED,
    ORR__FAULT_SLOW, /* a link carries only so much */
    ORR__FAULT_ERROR,
    ORR__FAULT_FULL,
    ORR__FAULT_HANDLES,
    ORR__FAULT_MEMORY,
    ORR__FAULT_LOST_SYNC,
    ORR__FAULT_BAD_SECTOR,
    ORR__FAULT_BIT_ROT,
    ORR__FAULT_MISDIRECTED,
    ORR__FAULT_STUCK,
    ORR__FAULT_POWER,
    ORR__FAULT_KILLED,
    ORR__FAULT_PAUSED,
    ORR__FAULT_SKEWED,
    ORR__FAULT_DRIFTS,
    ORR__FAULT_STEPPED,
    ORR__FAULT_LISTS,       /* a listing fails after some names */
    ORR__FAULT_APART,       /* a link finds its file, and makes the name later */
    ORR__FAULT_ERROR_ALONE, /* a poll is told of an error, and of nothing else */
    ORR__FAULT_NOT_WOKEN,   /* an accept that was canceled is woken instead of another */
    ORR__FAULT_UNREACHABLE, /* who connects over a link hears that nobody is there, after a while */
    ORR__FAULT_NO_ROUTE,    /* ... that no way leads there, at once */
    ORR__FAULT_WRITTEN,     /* an fsync that fails has written some of it all the same */
    ORR__FAULT_UNHEARD,     /* an operation in flight is done when its process dies */
    ORR__FAULT_EVICTED,     /* pages that a failed sync has called clean are read again */
    ORR__FAULT_OVERWRITES,  /* a misdirected write lands in another file */
    ORR__FAULT_TORN,        /* what a write wrote, at power loss */
    ORR__FAULT_KIND_COUNT
};

/* The longest delay that a replay file can give. */
#define ORR__LONGER_MAX_NS (60 * ORR_MINUTE)

/* The values of ASTRAY. A stale copy comes later, after newer ones. */
enum { ORR__ASTRAY_DOUBLED, ORR__ASTRAY_OVERTAKEN, ORR__ASTRAY_STALE, ORR__ASTRAY_COUNT };
const char *orr__astray_word(uint64_t value);

/*
 * A point where a fault can strike. Its name, "owner/part#number" ("owner#number" without a part),
 * stays the same when other faults come or go: that is what a replay file relies on. Its choice is
 * keyed by site, actor and occurrence.
 */
struct orr__point {
    enum orr__fault_kind kind;
    enum orr__site site;
    const char *owner;
    const char *part;
    uint64_t number;
    uint64_t actor;
    uint64_t occurrence;
};

/* True with the family's rate of this seed; false when the family is off or the world is healed. No
 * draw is made then: other draws do not depend on it. What a replay file says comes first. */
bool orr__strikes(struct orr_world *world, const struct orr__point *point);
/* The same for what strikes by appointment, or because the scenario says so: true unless a replay
 * file keeps it off. */
bool orr__happens(struct orr_world *world, const struct orr__point *point);
/* The same for what another fault may bring along once it has struck: one time in so many. */
bool orr__follows(struct orr_world *world, const struct orr__point *point, uint64_t one_in);
/* How large a fault is that strikes: what was drawn, or what a replay file says, within bounds. */
uint64_t orr__extent(struct orr_world *world, const struct orr__point *point, uint64_t drawn,
                     uint64_t low, uint64_t high);
/* 0 if nothing strikes; else -error, one time in four -rare, or what a replay file says; entered
 * into the ledger. */
int orr__error_at(struct orr_world *world, const struct orr__point *point, int error, int rare);
/* Enters it into the ledger, with its size (0 where its kind has none) and in words: "40 ms". */
void orr__fault(struct orr_world *world, const struct orr__point *point, uint64_t size,
                const char *format, ...) ORR_PRINTF(4, 5);
/* Enters what a power loss has lost: a part of that fault, and no fault of its own. Where it is not
 * named it is a comment. */
void orr__ledger_loss(struct orr_world *world, const struct orr__point *point, uint64_t size,
                      bool is_named);
/* True when the family is on in this seed at all (and the world not healed). */
bool orr__family_on(const struct orr_world *world, enum orr_fault_family family);

/* ---- ledger and trace ------------------------------------------------------------------------ */

/* Kinds of events in the trace hash, beside the operations that end. */
#define ORR__EVENT_BOOT UINT64_C(0xb007)
#define ORR__EVENT_CRASH UINT64_C(0xc4a5)
#define ORR__EVENT_STEP UINT64_C(0x57e9)
#define ORR__EVENT_PAUSE UINT64_C(0x9a05)
#define ORR__EVENT_WIPE UINT64_C(0x319e)
#define ORR__EVENT_FAILED UINT64_C(0xdead)
#define ORR__EVENT_FAULT UINT64_C(0xfa17) /* + its family */
/* And what the network carries. */
enum orr__net {
    ORR__NET_SYN = 0x6e00,
    ORR__NET_SYN_ACK,
    ORR__NET_SYN_RETRY,
    ORR__NET_SEGMENT,
    ORR__NET_RESET,
    ORR__NET_WINDOW,
    ORR__NET_RETRANSMIT,
    ORR__NET_KEEP_ALIVE,
    ORR__NET_DATAGRAM,
    ORR__NET_UNREACHABLE
};

/* Mixes an event into the rolling trace hash: a kind, who, and two numbers. Cheap: called for every
 * event. */
void orr__trace_hash(struct orr_world *world, uint64_t kind, uint64_t actor, uint64_t a,
                     uint64_t b);
/* A line of the trace, or, without a trace, of the story: what a reader must know to follow it. */
void orr__story_line(struct orr_world *world, const char *who, const char *format, ...)
    ORR_PRINTF(3, 4);
/* The same of a node that boots or stops: one that does so over and over is told in one line. */
void orr__story_life(const struct orr_node *node, enum orr__record_kind kind, const char *format,
                     ...) ORR_PRINTF(3, 4);
/* The same of the check that failed. */
void orr__story_failed(struct orr_world *world, const char *check);
/* Tells what the story holds back: the last of a run of the same fault. */
void orr__story_settle(struct orr_world *world);
/* The plural's "s": "%u byte%s", n, ORR__S(n). */
#define ORR__S(count) ((count) == 1 ? "" : "s")

/* ---- records (recorder.c) -------------------------------------------------------------------- */

struct orr__process;
struct orr__link;

/* A packet on its way: "client->server/segment#17". */
struct orr__message {
    const struct orr__link *link;
    uint64_t number;
    uint32_t bytes;
    bool is_datagram;
};

/* True when somebody records: guard with it what is only made to be recorded. */
bool orr__tracing(const struct orr_world *world);
/* True when a recorder tells what the story would. */
bool orr__story_is_traced(const struct orr_world *world);
/* A line about a node (NULL = the scenario). */
void orr__record_text(struct orr_world *world, const struct orr_node *node, const char *format, ...)
    ORR_PRINTF(3, 4);
/* About one loop of a node. */
void orr__record_loop(const struct orr__process *process, const char *text);
/* The same, and `who` is a node's name or "(world)". */
void orr__record_line(struct orr_world *world, const char *who, const char *text);
void orr__record_life(const struct orr_node *node, enum orr__record_kind kind, const char *text);
void orr__record_failed(struct orr_world *world, const char *check);
void orr__record_fault(struct orr_world *world, const struct orr__point *point, const char *text);
/* An operation was started, and may have ended by now: then nothing is left to say. */
void orr__record_begun(const struct orr__process *process, const struct orr_completion *completion);
void orr__record_ended(const struct orr__process *process, const struct orr_completion *completion,
                       int64_t result);
/* The process is about to end, and takes what is in flight along. */
void orr__record_dropped(const struct orr_node *node);
/* `text`: what it is if it carries no bytes of the program ("SYN"), or why it is lost. */
void orr__record_message(struct orr_world *world, enum orr__record_kind kind,
                         const struct orr__message *message, const char *text);

/* ---- events ---------------------------------------------------------------------------------- */

/* Runs when its time has come. `a` is the number given; owner and object as given. */
typedef void (*orr__event_run)(struct orr_world *world, void *object, uint64_t a);

/* Schedules run(object, a) at `time_ns` (>= now). `owner` (may be NULL) is for orr__forget. */
void orr__schedule(struct orr_world *world, uint64_t time_ns, orr__event_run run, void *owner,
                   void *object, uint64_t a);
/* Drops all events of an owner: what a crash does. O(events). */
void orr__forget(struct orr_world *world, const void *owner);
/* Runs the first of an owner's events about some object at once, whenever it was due. False if
 * there is none. O(events). */
bool orr__hasten(struct orr_world *world, const void *owner);
/* Takes the first of an owner's events that run that function: it will not. False if there is none.
 * O(events). */
bool orr__withdraw(struct orr_world *world, const void *owner, orr__event_run run,
                   void **ret_object, uint64_t *ret_a);
uint64_t orr__now(const struct orr_world *world);

/* ---- processes and nodes --------------------------------------------------------------------- */

struct orr__disk;
struct orr__socket;
struct orr__file;
struct orr__stack; /* a node's network stack: listeners, bound ports */
struct orr__plan;
struct orr__watch; /* what the police knows of an operation in flight */

/* A block of a node's memory; the program's bytes follow. */
struct orr__allocation {
    struct orr__allocation *next;
    struct orr__allocation *previous;
    size_t size;
    max_align_t bytes[];
};

enum orr__descriptor_kind { ORR__DESCRIPTOR_FREE, ORR__DESCRIPTOR_SOCKET, ORR__DESCRIPTOR_FILE };

struct orr__descriptor {
    enum orr__descriptor_kind kind;
    bool is_released; /* no loop has it; one may adopt it */
    union {
        struct orr__socket *socket;
        struct orr__file *file;
    };
    const char *site; /* of what made it, or NULL */
    char *path;       /* of a file, where somebody wants to know it */
};

/* One life of a node, from boot to crash: what its loops share. Freed with the last of them. */
struct orr__life {
    struct orr__process *processes; /* the one that boot got, then the others as they were opened */
    void *application;              /* NULL until boot has returned */
    int32_t lowest_free;            /* no descriptor below this one is free */
    int32_t descriptor_count;
    struct orr__descriptor *descriptors;
    struct orr__allocation *allocations; /* the node's memory, a doubly linked list */
    struct orr__watch *watches;          /* police.c: operations in flight, the newest first */
    struct orr__watch *watches_free;
    struct orr__watch *writes; /* of them those that write to a file */
};

/* What names the nth loop of a node over all lives, and counts its choices. A loop that is closed
 * leaves its seat to the next one that is opened. */
struct orr__seat {
    struct orr__seat *next;
    const char *name; /* "server"; of the second loop: "server.2" */
    uint64_t id;
    uint32_t number; /* 1, 2, ... */
    bool is_taken;
    uint64_t opens;
    uint64_t step_count;
    uint64_t ready_count;
    uint64_t flush_count;
};

/* One loop of a life: the state behind its vtable. Freed when it is closed, or at the end of the
 * life; events that point to it or its objects must have it as their owner. */
struct orr__process {
    struct orr_world *world;
    struct orr_node *node;
    struct orr__life *life;
    struct orr__process *next;
    struct orr__seat *seat;
    struct orr_loop *loop;
    struct orr_queue batch; /* submitted, not flushed */
    struct orr_queue ready; /* completed, not delivered; results are set */
    uint32_t batch_capacity;
    uint64_t in_world;                     /* operations flushed and not yet ready */
    const struct orr_completion *starting; /* the operation that the flush is at */
    bool step_scheduled;
    bool wake_pending;
    bool external;            /* run by its owner (orr_node_open_loop), not stepped by the world */
    bool stepping;            /* inside a pass, or boot */
    bool is_step_held;        /* a pass came while the node was paused */
    bool is_over;             /* a further loop that was stopped: no pass comes any more */
    uint64_t timer_ns;        /* the earliest pass appointed for a timer; UINT64_MAX = none */
    uint64_t callback;        /* the loop's number of the callback that is counted ... */
    uint64_t callback_blocks; /* ... and how often it has asked for memory */
    uint64_t submits_seen;    /* the loop's counts at the last flush */
    uint64_t callbacks_seen;
    const char **close_sites; /* of the last close, by the slot of the handle */
    uint32_t close_site_count;
};

/* What the C library keeps of its random functions for a node, or for the scenario. */
struct orr__libc {
    uint64_t draws; /* choices so far, over all lives */
    bool seeded;    /* srand was called in this life */
    uint32_t seed;
    uint64_t since_seed; /* values of rand since then */
    uint16_t state48[3]; /* of drand48, while other code runs */
};

struct orr_node {
    struct orr_world *world;
    struct orr_node *next;
    const char *name;
    uint64_t id;    /* orr__actor_id(name) */
    uint32_t index; /* 0, 1, ... in order of creation */
    const struct orr_program *program;
    void *config;
    struct orr__process *process; /* of the loop that boot got; NULL while down */
    struct orr__seat seat;        /* of that one; the others follow */
    struct orr__disk *disk;
    struct orr_disk_options disk_options; /* no defaults left open */
    struct orr__stack *stack;
    uint32_t crash_kinds;
    bool crash_appointed;            /* an event of crash_by_choice is pending */
    bool exited;                     /* ended by itself, and nobody boots it again */
    uint64_t op_count[ORR_OP_COUNT]; /* over all lives: the occurrence in "server/fsync#3" */
    uint64_t lives;
    uint64_t random_count;
    uint64_t port_count;
    uint64_t memory_count;
    uint64_t list_count;
    uint64_t socket_count;
    uint64_t pauses;
    uint64_t crashes_stated; /* asked for by the scenario, whether they happened or not */
    uint64_t pauses_stated;
    uint64_t splits_stated;
    bool is_paused;
    bool is_damaged;     /* its disk, by chance */
    bool leaves_nothing; /* when it stops, all is closed and over */
    bool forbids_unwritten;
    struct orr__plan *plans;

    /* clock.c */
    uint64_t clock_world_ns; /* the world's time at which ... */
    uint64_t clock_base_ns;  /* ... the monotonic clock said this */
    int32_t drift;           /* parts per million */
    uint64_t clock_changes;
    int64_t wall_offset_ns; /* from the monotonic clock to the wall clock */
    struct orr__libc libc;
};

/* What a clock of the node says, ns. */
uint64_t orr__node_clock(const struct orr_node *node, enum orr_clock clock);
/* The same in no node: what a clock without skew and drift says. For the scenario. */
uint64_t orr__world_clock(const struct orr_world *world, enum orr_clock clock);

/* Ends an operation of a process: puts it on the ready list (REORDER may let it overtake) and
 * schedules the process's next pass. The completion is no longer the world's after this. */
void orr__ready(struct orr__process *process, struct orr_completion *completion, int64_t result);
/* New descriptor for a socket or file (lowest free number), or -EMFILE. */
int32_t orr__descriptor_add(struct orr__process *process, enum orr__descriptor_kind kind,
                            void *object, const char *site);
struct orr__descriptor *orr__descriptor_get(struct orr__process *process, int32_t descriptor);
void orr__descriptor_remove(struct orr__process *process, int32_t descriptor);
/* A point of an operation of the node: "server/recv#17". */
struct orr__point orr__op_point(const struct orr_node *node, enum orr__fault_kind kind,
                                enum orr__site site, uint8_t op, uint64_t occurrence);
/* A point of the node's own: "server/batch#2". */
struct orr__point orr__seat_point(const struct orr__seat *seat, enum orr__fault_kind kind,
                                  enum orr__site site, const char *part, uint64_t number);
struct orr__point orr__node_point(const struct orr_node *node, enum orr__fault_kind kind,
                                  enum orr__site site, const char *part, uint64_t number);
/* The length a transfer is cut to: `length`, or less (>= 1) if PARTIAL strikes this operation;
 * enters the ledger. */
uint32_t orr__cut_transfer(struct orr_node *node, uint8_t op, uint64_t occurrence, uint32_t length);

struct orr_node *orr__world_node_by_address(struct orr_world *world,
                                            const struct orr_address *address);
struct orr_node *orr__world_node(struct orr_world *world, uint32_t index);

/* ---- network (network.c, socket.c, stream.c) ------------------------------------------------- */

/* What is wrong with a link. */
struct orr__obstacle {
    uint64_t bytes_per_second; /* 0 = as many as one likes */
    uint64_t busy_until_ns;    /* the line of a slow link */
    uint64_t cut_until_ns;     /* nothing passes before */
    uint64_t clogged_until_ns; /* nothing leaves before */
    uint64_t cuts_stated;      /* asked for by the scenario, whether they happened or not */
    uint64_t clogs_stated;
    bool is_slow_by_chance;
};

/* A directed pair of nodes. */
struct orr__link {
    const struct orr_node *from;
    const struct orr_node *to;
    uint64_t id;       /* orr__actor_id(name) */
    uint64_t segments; /* occurrence of "client->server/segment#17" */
    uint64_t datagrams;
    uint64_t latency_ns;
    uint64_t spread_ns;
    struct orr__obstacle *obstacle; /* NULL: there never was one */
    uint8_t distribution;           /* enum orr_latency */
    uint8_t outage;                 /* of link.c: what is heard while nothing passes */
    char name[];                    /* "client->server" */
};

struct orr__link *orr__world_link(struct orr_world *world, const struct orr_node *from,
                                  const struct orr_node *to);
bool orr__link_is_cut(const struct orr_world *world, const struct orr__link *link);
/* What a sender hears at some time of a link that lets nothing pass: 0 = nothing, EHOSTUNREACH,
 * ENETUNREACH. Decided when it is asked first; enters the ledger. */
int orr__link_error(struct orr_world *world, struct orr__link *link);
/* True if a packet would wait too long for the line: what can be lost is. */
bool orr__link_is_full(const struct orr_world *world, const struct orr__link *link);
/* From now to the arrival of a segment (datagram: of a datagram) with so many bytes, which is on
 * the line from now on; enters a spike into the ledger. */
uint64_t orr__link_delay(struct orr_world *world, struct orr__link *link, bool datagram,
                         uint64_t occurrence, uint32_t bytes);
/* A point of a segment or datagram on its way: "client->server/segment#17". */
struct orr__point orr__link_point(const struct orr__link *link, enum orr__fault_kind kind,
                                  enum orr__site site, bool datagram, uint64_t number);

/* Memory of 2^bits bytes, FIRST to MAX, from what the world keeps; and back to it (ring.c). Takes
 * NULL. */
#define ORR__RING_BITS_FIRST 7
#define ORR__RING_BITS_MAX 20
uint8_t *orr__ring_take(struct orr_world *world, uint8_t bits);
void orr__ring_give(struct orr_world *world, uint8_t *ring, uint8_t bits);

struct orr__stack *orr__stack_create(struct orr_node *node);
void orr__stack_destroy(struct orr__stack *stack);
/* The life is over: every socket of it ends. POWER: silently. PROCESS: the system closes them, as
 * orr__socket_close. */
void orr__stack_life_ended(struct orr__stack *stack, enum orr_crash kind);

/* A link between the two lets nothing pass for a long time: the idle connections that began at `a`
 * and lead to `b` will ask whether the peer is still there. */
void orr__stacks_parted(struct orr__stack *a, const struct orr__stack *b);

/* The bytes of a READV or WRITEV. */
uint32_t orr__vectors_length(const struct orr_completion *completion);

/* The operations on sockets, at the moment of the flush: ACCEPT CONNECT RECV SEND RECV_FROM SEND_TO
 * SHUTDOWN POLL (of a socket) READ WRITE READV WRITEV (of a socket, at offset 0). The operation
 * ends by orr__ready, now or later. `occurrence` is the node's count of that operation. */
void orr__socket_submit(struct orr__process *process, struct orr__socket *socket,
                        struct orr_completion *completion, uint64_t occurrence);
/* Takes a waiting operation back and ends it with -ECANCELED. */
void orr__socket_cancel(struct orr__process *process, struct orr__socket *socket,
                        struct orr_completion *completion);
/* close(2): FIN, or RST if unread bytes are thrown away. Nothing waits on it (the loop sees to
 * that). */
void orr__socket_close(struct orr__process *process, struct orr__socket *socket);

/* From now on its operations are that loop's. Nothing waits on it. */
void orr__socket_move(struct orr__socket *socket, struct orr__process *process);
bool orr__socket_is_stream(const struct orr__socket *socket);

/* The immediate calls; results as in calls.h. */
int orr__socket_create(struct orr__process *process, enum orr_family family,
                       enum orr_socket_type type, struct orr__socket **ret_socket);
int orr__socket_bind(struct orr__process *process, struct orr__socket *socket,
                     const struct orr_address *address);
int orr__socket_listen(struct orr__process *process, struct orr__socket *socket, uint32_t backlog);
int orr__socket_option_set(struct orr__socket *socket, enum orr_socket_option option,
                           int32_t value);
int orr__socket_option_get(struct orr__socket *socket, enum orr_socket_option option,
                           int32_t *ret_value);
int orr__socket_local(struct orr__socket *socket, struct orr_address *ret_address);
int orr__socket_peer(struct orr__socket *socket, struct orr_address *ret_address);

/* ---- disk (disk.c): a node's file system; knows no time and no faults but power loss
 * ---------- */

/* The options are checked, and the defaults filled in. */
struct orr__disk *orr__disk_create(struct orr_node *node, const struct orr_disk_options *options);
void orr__disk_destroy(struct orr__disk *disk);
/* Power loss: what was not synced survives by choice; open files are gone (orr__file_close was
 * called for each). */
void orr__disk_power_loss(struct orr__disk *disk);
/* The next one loses only what a replay file names, or (false) what the choices say. */
void orr__disk_name_losses(struct orr__disk *disk, bool is_named);
/* From here to the end the changes are those of an operation of the node. */
void orr__disk_begin(struct orr__disk *disk, uint8_t op, uint64_t occurrence);
void orr__disk_end(struct orr__disk *disk);

/* All take effect at once and return >= 0 or -errno as Linux would. `base` is an open directory, or
 * NULL for the root. */
int orr__disk_open(struct orr__disk *disk, struct orr__file *base, const char *path, uint32_t flags,
                   uint32_t mode, struct orr__file **ret_file);
void orr__file_close(struct orr__file *file);
int orr__disk_stat(struct orr__disk *disk, struct orr__file *base, const char *path,
                   struct orr_stat *ret_stat);
int orr__disk_rename(struct orr__disk *disk, struct orr__file *base, const char *path,
                     const char *path_new);
int orr__disk_link(struct orr__disk *disk, struct orr__file *base, const char *path,
                   const char *path_new);
/* A link in two steps: the number of the file that has the name now (-EPERM: a directory has it),
 * and, later, the new name for it. -ENOENT then if it has lost all of its names. */
int orr__disk_find_file(struct orr__disk *disk, struct orr__file *base, const char *path,
                        uint64_t *ret_number);
int orr__disk_link_file(struct orr__disk *disk, struct orr__file *base, uint64_t number,
                        const char *path_new);
int orr__disk_unlink(struct orr__disk *disk, struct orr__file *base, const char *path,
                     enum orr_unlink_kind kind);
int orr__disk_mkdir(struct orr__disk *disk, struct orr__file *base, const char *path,
                    uint32_t mode);
/* True if nothing has that name, and it could be made. */
bool orr__disk_lacks(struct orr__disk *disk, struct orr__file *base, const char *path);
/* The name of a Unix socket: makes it, and tells the number of its inode, which no other ever gets.
 * ret_number NULL: only looks whether it could be made. -EADDRINUSE if something has the name. */
int orr__disk_make_socket(struct orr__disk *disk, const char *path, uint64_t *ret_number);
/* The number of a socket's inode. -ECONNREFUSED if the path leads to something else. */
int orr__disk_find_socket(struct orr__disk *disk, const char *path, uint64_t *ret_number);
int orr__disk_list(struct orr__disk *disk, struct orr__file *directory, orr_directory_visit visit,
                   void *context);
int64_t orr__file_read(struct orr__file *file, void *buffer, uint32_t length, uint64_t offset);
/* -ENOSPC when the disk's capacity is used up (a short write first). */
int64_t orr__file_write(struct orr__file *file, const void *data, uint32_t length, uint64_t offset);
int orr__file_truncate(struct orr__file *file, uint64_t length);
int orr__file_allocate(struct orr__file *file, uint64_t offset, uint64_t length);
int orr__file_stat(struct orr__file *file, struct orr_stat *ret_stat);
/* Opened past the page cache: transfers are whole sectors. */
bool orr__file_is_direct(const struct orr__file *file);
/* What a write does at one go: a sector, or a page of the cache. */
uint64_t orr__file_step(const struct orr__file *file);
/* The first part of a range of a regular file that nobody has written; false if there is none, or
 * the node does not forbid to read it. */
bool orr__file_unwritten(const struct orr__file *file, uint64_t offset, uint64_t length,
                         uint64_t *ret_from, uint64_t *ret_to);
/* Of its inode: 1, 2, ... on the node's disk. */
uint64_t orr__file_number(const struct orr__file *file);
/* A mark of everything written to the file so far; fsync makes durable what came before the mark
 * taken at its submit (later writes stay unsynced: the kernel may or may not have caught them). */
uint64_t orr__file_sync_mark(const struct orr__file *file);
/* An error, though all is durable now: since the last call with this open file a sync by another
 * one failed with it, which is told to each open file once. */
int orr__file_sync(struct orr__file *file, uint64_t mark);
/* True if a sync up to the mark has data to write. */
bool orr__file_is_dirty(const struct orr__file *file, uint64_t mark);
/* fsync failed: the dirty pages up to the mark count as clean. What of them the disk has got is
 * nothing, or a choice; the rest will never be written, and reads go on to return it from the
 * cache, until power loss. */
void orr__file_sync_failed(struct orr__file *file, uint64_t mark, bool has_written, int error);
/* True if a clean page may hold what the disk does not. */
bool orr__file_cache_differs(const struct orr__file *file);
/* Clean pages are read from the disk again, and show what is there. */
void orr__file_evict(struct orr__file *file);
/* A sync of the next write alone does nothing, if the file was opened with SYNC. */
void orr__file_lose_sync(struct orr__file *file);
bool orr__file_is_sync(const struct orr__file *file);

/* Damage (disk_damage.c). Bytes of the file in a range; 0 of a directory. */
uint64_t orr__file_bytes_at(const struct orr__file *file, uint64_t offset, uint32_t length);
/* The sector with the byte at `offset` cannot be read until it is written again. */
void orr__file_spoil_sector(struct orr__file *file, uint64_t offset);
void orr__file_flip_bit(struct orr__file *file, uint64_t offset, uint32_t bit);
/* Sectors of the file, the last one perhaps in part; 0 of a directory. */
uint64_t orr__file_sectors(const struct orr__file *file);
/* The next write reaches the disk at that sector instead of its own. */
void orr__file_misdirect(struct orr__file *file, uint64_t sector);
/* Other files on the disk that have bytes there; and the number of the nth of them, from 0 on. */
uint64_t orr__file_others(const struct orr__file *file);
uint64_t orr__file_other(const struct orr__file *file, uint64_t nth);
/* And that sector is not one of its own file. */
void orr__file_misdirect_into(struct orr__file *file, uint64_t number);

#endif

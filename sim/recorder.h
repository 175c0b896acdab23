/*
 * recorder.h: what happens in a run, event by event, for whoever wants to show it.
 *
 *      world --orr__record_*--> struct orr__record --> every recorder of the chain
 *                                                        timeline.c            text, in columns
 *                                                        campaign/perfetto.c   a trace file
 *                                                        campaign/page.c       a page
 *
 * The world reports each event once and knows no form; a writer knows one form and nothing of the
 * world. What belongs together is named alike, so that no writer has to keep a table: an operation
 * by (node, op, number) from its begin to its end, a message by (node, peer, is_datagram, number)
 * from its departure to its arrival. These are the names that the ledger gives to faults, too.
 *
 * Invariants: recording makes no choice and no event, and does not touch the trace hash; without a
 * recorder it costs a comparison. A record and all it points to is valid during the call only. A
 * writer allocates nothing, or the program under test would see other addresses than without it;
 * and keeps nothing back, for the program may die with the next instruction.
 */
#ifndef ORR_SIM_RECORDER_H
#define ORR_SIM_RECORDER_H

#include <orrery/sim.h>

#define ORR__NO_NODE UINT32_MAX

enum orr__record_kind {
    ORR__RECORD_NODE,   /* a node was made */
    ORR__RECORD_BOOT,   /* its program starts */
    ORR__RECORD_STOP,   /* its program ends by itself */
    ORR__RECORD_BEGIN,  /* an operation was taken up, and lasts */
    ORR__RECORD_END,    /* it has its result */
    ORR__RECORD_DROP,   /* it goes with its process, without a result */
    ORR__RECORD_SEND,   /* a message leaves `node` for `peer` */
    ORR__RECORD_ARRIVE, /* a message of `peer` is at `node` */
    ORR__RECORD_LOSE,   /* a message from `node` to `peer` will never arrive; `text` says why */
    ORR__RECORD_FAULT,
    ORR__RECORD_TEXT, /* anything else that is worth a line */
    ORR__RECORD_FAILED
};

struct orr__record {
    enum orr__record_kind kind;
    uint64_t time_ns;
    uint32_t node;   /* its number in the world, or ORR__NO_NODE */
    const char *who; /* its name; else "(scenario)" or "(world)" */
    uint32_t peer;   /* of a message: the other node */
    const char *peer_name;
    const char *text;    /* as the kind wants it; NULL = nothing to say */
    const char *subject; /* of a fault: "server/fsync", "client->server/segment" */
    enum orr_fault_family family;
    const char *op;     /* of an operation */
    uint64_t number;    /* of the operation, message or fault: "fsync#3" */
    int64_t result;     /* of an operation that ended */
    bool is_instant;    /* ... and took no time, so that no begin was told */
    int32_t descriptor; /* of an operation; -1 = it has none */
    const char *path;   /* of an operation, or NULL */
    const char *site;   /* of an operation: "file:line" of its submit, or NULL */
    uint32_t bytes;     /* of a message */
    bool is_datagram;   /* else it is a segment of a stream */
};

struct orr__recorder {
    struct orr__recorder *next;
    void (*record)(struct orr__recorder *recorder, const struct orr__record *record);
    bool tells_story; /* what it writes stands in the place of the story's lines */
};

struct orr__stem;

/* orr_scenario_run, with recorders, and who follows it from another process (NULL = none). */
int orr__scenario_run(const struct orr_scenario *scenario, const struct orr_run_options *options,
                      struct orr__recorder *recorders, struct orr__stem *stem,
                      struct orr_outcome *ret_outcome);

/* ---- timeline.c: the text forms -------------------------------------------------------------- */

enum {
    ORR__TEXT_MAX = 400,      /* of what is said of one event */
    ORR__WHO_TEXT_MAX = 64,   /* "! power-loss", "server" */
    ORR__COLUMNS_MAX = 12,    /* with more nodes than that a line is told as a list */
    ORR__WIDTH_DEFAULT = 160, /* where no terminal says how wide it is */
    ORR__WIDTH_MAX = 500,
};

/* A line for each event. With a width: one column for each node, and messages as arrows between
 * them, as long as columns are wide enough; else the node's name in front. */
struct orr__timeline {
    struct orr__recorder recorder;
    FILE *out;
    uint32_t width; /* 0 = a list */
    bool is_fixed;  /* never wider than that: a terminal */
    bool is_titled; /* the nodes' names stand above */
    uint32_t lines; /* since then */
    uint32_t count; /* of nodes */
    struct {
        const char *name;
        bool is_up;
    } nodes[ORR__COLUMNS_MAX];
};

void orr__timeline_open(struct orr__timeline *timeline, FILE *out, uint32_t width, bool is_fixed);
/* Who stands in front of an event: its node, or the family of a fault. Returns `who`. */
const char *orr__record_who(const struct orr__record *record, char who[ORR__WHO_TEXT_MAX]);
/* What is said of an event beside its time and node. Returns `text`. */
const char *orr__record_say(const struct orr__record *record, char text[ORR__TEXT_MAX]);
/* How much of a text fits, cut between words where that leaves most of the room used. */
uint32_t orr__text_piece(const char *text, uint32_t room);

#endif

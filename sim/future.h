/*
 * future.h: a run that goes on in another way from an instant on.
 *
 *     scenario kv                        one section of a replay file: what rules until ...
 *     seed 3
 *     only
 *     future 7 from event 812            ... the instant at which the next one begins:
 *     server/fsync#9 = EIO               from here on the seed 7 answers, and this section rules
 *
 * An instant lies between two events: whatever names it (a time, an operation, a fault, a check
 * that was seen), the future begins when the world is about to take the next event. So all that an
 * event does belongs to one side, and a process that was forked there and a run that came there by
 * a file go on alike, to the same trace hash.
 */
#ifndef ORR_SIM_FUTURE_H
#define ORR_SIM_FUTURE_H

#include "internal.h"

enum {
    ORR__INSTANT_MAX = 256, /* bytes of an instant as it is written */
};

struct orr__instant {
    enum {
        ORR__INSTANT_TIME,      /* before the first event at that time or later */
        ORR__INSTANT_EVENT,     /* after so many events */
        ORR__INSTANT_OPERATION, /* after it has ended */
        ORR__INSTANT_FAULT,     /* after it has struck */
        ORR__INSTANT_SEEN       /* after a `sometimes` check was true for the first time */
    } kind;
    uint64_t number; /* ns, events, or the operation's number */
    uint8_t op;
    char name[ORR__INSTANT_MAX]; /* the operation's node, the fault's name, the check's text */
    char text[ORR__INSTANT_MAX]; /* all of it, as it was written */
};

/* "12.5ms", "event 812", "after server/fsync#9", "after server/power#1", "sometimes TEXT". False
 * when it is none of them. */
bool orr__instant_parse(const char *text, struct orr__instant *ret_instant);
/* What a text that is none should have been. */
#define ORR__INSTANT_WANTED                                                                  \
    "an instant, such as 12.5ms, event 812, after server/fsync#9, after server/power#1, or " \
    "sometimes and the text of the check"

/* How a section ends. */
struct orr__future {
    struct orr__instant instant;
    uint64_t seed;
    uint32_t line;
};

/*
 * Who follows a run from another process. `branch` (NULL = nobody wants to) is called once, at the
 * last instant that the replay file names: it returns in each process that is to be a future, with
 * that future's seed, and from there on `live_hash` and `untold` are where it wants these. The
 * thread is outside of the world meanwhile.
 */
struct orr__stem {
    uint64_t (*branch)(struct orr__stem *stem);
    uint64_t event; /* where it stands: events that have run, ... */
    uint64_t time_ns;
    uint64_t trace_hash;
    uint64_t *live_hash;
    char *untold;
    uint64_t *position; /* gets the number of the last instant that was passed */
};

struct orr__rulings;

/* A replay file's rulings, all of its sections, rule the world from now on; it frees them. */
void orr__world_rule(struct orr_world *world, struct orr__rulings *file);
/* True if the instant ahead is now; `next_ns` is the time of the next event. Call these only while
 * one is ahead. */
bool orr__future_is_due(const struct orr_world *world, uint64_t next_ns);
void orr__future_begin(struct orr_world *world);
/* What an instant may be named by has come to pass. */
void orr__future_ended(struct orr_world *world, const char *node, uint8_t op, uint64_t occurrence);
void orr__future_struck(struct orr_world *world, const struct orr__point *point);
void orr__future_seen(struct orr_world *world, const char *text);

#endif

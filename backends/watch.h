/*
 * watch.h: the descriptors of a readiness loop, and who waits on each. Internal to backends/.
 *
 *     descriptor --hash--> index --> watch --> readers   recv, accept, read ...: first come, first
 *                                          --> writers   send, connect, write ...    served
 *                                          --> polls     each looks for itself
 *
 * The model: a table of a fixed size, open addressing over a dense array of numbers; descriptors
 * are small numbers, so the number itself is the hash. A watch keeps its address for as long as its
 * descriptor is open. There is one for each descriptor that the backend made or was asked to wait
 * on, never more than the loop has handles.
 *
 * Why not the system's own table (epoll's data, kqueue's udata): both name one waiter, and kqueue
 * keys by (descriptor, filter), so that a second operation would push out the first.
 */
#ifndef ORR_BACKENDS_WATCH_H
#define ORR_BACKENDS_WATCH_H

#include "attempt.h"

/* Directions, ored. HANGUP: tell only of errors and hang-ups. */
#define ORR__WATCH_READ 1u
#define ORR__WATCH_WRITE 2u
#define ORR__WATCH_HANGUP 4u
/* With directions: report what is ready once, and again only after something has happened. */
#define ORR__WATCH_EDGE 8u

struct orr__watch {
    int32_t descriptor;
    uint8_t kind;   /* enum orr__kind */
    uint8_t armed;  /* directions that the poller watches */
    uint8_t wanted; /* directions that it is to watch from the next look on */
    bool listed;    /* among those whose `armed` is to change */
    bool drained;   /* the last receive took all there was: the next one waits for a report */
    bool stuck;     /* the last report was of no use to those who wait, and will not go away */
    bool unblocked; /* came in blocking mode, which a close gives back */
    bool shares; /* came in non-blocking mode: perhaps by sharing an open file with `unblocked` */
    uint64_t device; /* which file it is, unless the loop made it */
    uint64_t inode;
    int32_t error; /* that a report told and nobody has got, a positive errno */
    struct orr_queue readers;
    struct orr_queue writers;
    struct orr_queue polls;
    struct orr__watch *next; /* in the list of changes, or of free watches */
    struct orr__watch *previous;
};

struct orr__watches {
    struct orr__watch *watches;
    uint32_t *index; /* of a watch + 1; 0 = empty */
    uint32_t mask;
    uint32_t used; /* watches below this one were used before */
    uint32_t count_max;
    uint32_t sharing; /* watches that may share an open file */
    struct orr__watch *free;
};

/* Room for `count` descriptors. False: no memory. */
bool orr__watches_open(struct orr__watches *watches, uint32_t count);
void orr__watches_close(struct orr__watches *watches);
/* The watch of a descriptor, or NULL. */
struct orr__watch *orr__watches_find(const struct orr__watches *watches, int32_t descriptor);
/* A new watch, with nobody waiting. */
struct orr__watch *orr__watches_add(struct orr__watches *watches, int32_t descriptor,
                                    enum orr__kind kind);
/* Another watch that may share this one's open file, and came after it; or NULL. */
struct orr__watch *orr__watches_sharing(const struct orr__watches *watches,
                                        const struct orr__watch *watch);
/* Notes that it may, or that it does no longer. */
void orr__watches_set_sharing(struct orr__watches *watches, struct orr__watch *watch, bool shares);
void orr__watches_remove(struct orr__watches *watches, struct orr__watch *watch);

#endif

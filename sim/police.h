/*
 * police.h: what the files of the police share: the operations that it watches.
 *
 *   police.c            who is watched, from submit to callback; rules on operations side by side
 *   police_memory.c     buffers in flight belong to the loop
 *   police_arguments.c  so do paths, addresses, and what an operation fills in
 *   police_waits.c      what is in flight and open: where a run gets stuck, where a program stops
 *
 * In a world that is policed each operation that reaches the backend is watched until its callback
 * starts, over all attempts of a whole transfer: the watch puts its own function in the place of
 * the callback. No watch makes a choice or an event: a run is the same with the police or without.
 */
#ifndef ORR_SIM_POLICE_H
#define ORR_SIM_POLICE_H

#include "world.h"

/* Memory that an operation was given, beside its buffers. */
struct orr__argument {
    const char *what;
    uint8_t *memory; /* the program's */
    size_t size;
    uint8_t *image;  /* what is in it until the callback */
    uint8_t *shadow; /* what the world fills in instead; NULL if it only reads */
    bool is_output;
};

#define ORR__ARGUMENTS_MAX 2u
#define ORR__GARBAGE 0xdb /* until the callback */

struct orr__watch {
    struct orr__watch *next; /* older; or in the free list */
    struct orr__watch *previous;
    struct orr__process *process;
    struct orr_completion *completion;
    orr_callback callback; /* the program's */
    uint64_t since_ns;

    /* A transfer's memory; `copy` is what was in it at the submit, as far as it is looked at. */
    const struct orr_vector *pieces; /* `one`, or the image of the caller's vectors */
    struct orr_vector one;
    uint32_t piece_count;
    bool receives; /* else it sends, if it has memory at all */
    uint64_t length;
    uint64_t done; /* bytes that the world has put there, or taken */
    uint64_t rest_from; /* from here on all bytes are `rest`, of which there is no copy */
    uint8_t rest;
    uint8_t *copy;
    size_t copy_capacity;

    struct orr__argument arguments[ORR__ARGUMENTS_MAX];
    uint32_t argument_count;
    uint8_t *argument_bytes; /* images and shadows */
    size_t argument_capacity;

    /* A write to a file, in the list of those of its life. */
    struct orr__watch *write_older;
    struct orr__watch *write_newer;
    uint64_t file; /* number of the inode; 0 = it is none */
    uint64_t offset;
};

#define ORR__RECEIVES                                                                   \
    (ORR_OP_BIT(ORR_OP_RECV) | ORR_OP_BIT(ORR_OP_RECV_FROM) | ORR_OP_BIT(ORR_OP_READ) | \
     ORR_OP_BIT(ORR_OP_READV))
#define ORR__SENDS                                                                     \
    (ORR_OP_BIT(ORR_OP_SEND) | ORR_OP_BIT(ORR_OP_SEND_TO) | ORR_OP_BIT(ORR_OP_WRITE) | \
     ORR_OP_BIT(ORR_OP_WRITEV))

/* police.c */
const char *orr__police_site(const char *site);

/* police_memory.c */
/* The operation begins: a receive's buffer is filled with garbage. */
void orr__watch_memory(struct orr__watch *watch);
/* The world put that many bytes into the buffer, or took them. */
void orr__watch_moved(struct orr__watch *watch, uint64_t count);
/* The operation is over: a receive's buffer is given back as it was where the world wrote
 * nothing. */
void orr__unwatch_memory(struct orr__watch *watch);
/* True if the operation needs something of that memory. */
bool orr__watch_uses(const struct orr__watch *watch, const void *memory, size_t size);
/* police_arguments.c */
/* The operation begins: what it fills in holds garbage. Before orr__watch_memory, which looks at
 * the image of the vectors. */
void orr__watch_arguments(struct orr__watch *watch);
/* The operation is over: the program gets what the world has filled in. */
void orr__unwatch_arguments(struct orr__watch *watch);

#endif

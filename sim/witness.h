/*
 * witness.h: what one of two runs of the same seed leaves, so that the two can be compared
 * (campaign/twice.c).
 *
 * The trace hash takes in what the world does. A witness takes in that and what programs hand to
 * it: each operation with its numbers, and the bytes that it sends or writes. So a byte that no
 * seed decides is found where it leaves the program, not where it makes a difference at last, or
 * never. A run without a witness pays one test of a pointer for each of these.
 *
 * All of it goes into one rolling hash. With a stream each event is written to it in full besides,
 * at once, so that nothing is lost when the program crashes. No witness makes a choice or an
 * event: a run is the same with it or without.
 */
#ifndef ORR_SIM_WITNESS_H
#define ORR_SIM_WITNESS_H

#include "internal.h"

#define ORR__WITNESS_WHO_MAX 80u
#define ORR__WITNESS_SITE_MAX 160u
#define ORR__WITNESS_BYTES_MAX 4096u /* of one record: more of them go on */

/* Events beside those of the trace hash. */
enum orr__witness_kind {
    ORR__WITNESS_SUBMIT = 0x10000, /* + operation: an attempt of it comes into the batch */
    ORR__WITNESS_CALLBACK = 0x10100,
    ORR__WITNESS_CANCEL = 0x10200,
    ORR__WITNESS_TIMER = 0x10300,  /* after a pass: the next timer is due in a ns */
    ORR__WITNESS_MEMORY = 0x10301, /* a bytes are asked for */
    ORR__WITNESS_RANDOM = 0x10302
};

/* One event, as the stream has it; `size` bytes that it gives away follow. */
struct orr__testimony {
    uint64_t time_ns;
    uint64_t kind; /* as of orr__trace_hash, or enum orr__witness_kind */
    uint64_t actor;
    uint64_t a;
    uint64_t b;
    uint64_t c;
    uint64_t at; /* of the bytes, among all that the operation gives */
    uint32_t size;
    uint32_t reserved;                /* 0, as all that is not used: records are compared whole */
    char who[ORR__WITNESS_WHO_MAX];   /* a node, a link, or what a fault strikes */
    char site[ORR__WITNESS_SITE_MAX]; /* the line that submitted it, or "" */
};

/* Lies where it outlives the process of the run. */
struct orr_witness {
    uint64_t hash;   /* of everything so far */
    uint8_t poison;  /* changes what memory is filled with that has no contents yet; 0 = as ever */
    int stream;      /* descriptor, or -1 */
    const char *who; /* of the next event, as far as it is known to who makes it */
    const char *site;
};

/* All of these do nothing in a run without a witness. */

/* For orr__trace_hash. */
void orr__witness_event(struct orr_world *world, uint64_t kind, uint64_t actor, uint64_t a,
                        uint64_t b);
/* Names what the next event is about; either may be NULL. */
void orr__witness_about(struct orr_world *world, const char *who, const char *site);
/* An operation came into the batch: with all that the program gives away. */
void orr__witness_submit(const struct orr__process *process,
                         const struct orr_completion *completion);
void orr__witness_callback(const struct orr__process *process,
                           const struct orr_completion *completion, int64_t result);
void orr__witness_cancel(const struct orr__process *process,
                         const struct orr_completion *completion);
/* A pass is over. */
void orr__witness_timer(const struct orr__process *process, uint64_t wait_ns);
/* MEMORY and RANDOM. */
void orr__witness_demand(const struct orr__process *process, enum orr__witness_kind kind,
                         uint64_t count);

/* What memory without contents is filled with, instead of `usual`. */
uint8_t orr__witness_garbage(const struct orr_world *world, uint8_t usual);

/* An event in words: "submits send of 12 bytes on 5". */
void orr__witness_text(const struct orr__testimony *record, char *text, size_t size);

#endif

/*
 * inevitable.h: the instant from which on every future of a failing run fails. inevitable.c finds
 * it, inevitable_tell.c says it.
 */
#ifndef ORR_SIM_INEVITABLE_H
#define ORR_SIM_INEVITABLE_H

#include "futures.h"

enum {
    ORR__SAMPLES_EVEN = 12,                   /* of the picture: over the whole run, ... */
    ORR__SAMPLES_MAX = ORR__SAMPLES_EVEN + 2, /* ... and the two at the edge */
    ORR__SAMPLE_FUTURES_MAX = 16,
};

/* What became of the futures that begin at an instant. */
struct orr__sample {
    uint64_t event;
    uint64_t time_ns;
    uint64_t futures;
    uint64_t passed;
    uint64_t same;         /* fail as the run does; the others fail otherwise */
    uint64_t passing_seed; /* of the first that passes, if one does */
    uint64_t failing_seed; /* of the first that fails so, if one does */
};

struct orr__decision {
    struct orr__futures *futures;
    const struct orr__command *command;
    struct orr__question question; /* the instant is left open */
    struct orr__result result;     /* of the run itself */
    uint64_t noticed;              /* the last instant before the check failed */
    bool is_early;                 /* no future passes from the beginning on */
    bool is_late;                  /* some future passes up to where the check fails */
    struct orr__sample before;     /* the last instant from which some future passes */
    struct orr__sample after;      /* the next one */
    uint32_t sample_count;
    struct orr__sample samples[ORR__SAMPLES_MAX]; /* by event */
    struct orr__rows *rows;
};

void orr__decision_tell(const struct orr__decision *decision);
void orr__json_decision(const struct orr__decision *decision);

#endif

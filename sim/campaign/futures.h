/*
 * futures.h: one run up to an instant, and many processes that continue it from there.
 *
 *     this process --fork--> the stem: runs the past, once
 *                              |  at the instant it stands still, and is a parent itself
 *                              +--fork--> future 1: seed 1 answers from here on
 *                              +--fork--> future 2
 *                              +--fork--> ...         as many at a time as there are jobs
 *
 * The stem is a child of the nursery like any other, until the world calls it back at the instant
 * (sim/future.h). Then it starts, waits for and reaps the futures by the same functions as this
 * process would, in the places beside its own. What became of them it leaves in the memory that it
 * shares with this process, and ends. Of each group of failures the whole result of the first
 * future is kept, in the order of their seeds, so that the answer is the same with any number of
 * jobs.
 *
 * The stem is asked to end by SIGTERM, never killed: else its futures would be nobody's. Whether it
 * came to stand or was too late for the time limit is settled by one exchange of `state`.
 */
#ifndef ORR_SIM_FUTURES_H
#define ORR_SIM_FUTURES_H

#include "campaign.h"

#include "../future.h"
#include "../recorder.h"

#include <stdatomic.h>

enum {
    ORR__FUTURES_DEFAULT = 64,
    ORR__FUTURES_MAX = 100000,
};

/* What is asked. */
struct orr__question {
    const char *instant;
    enum orr__then then;
    uint64_t count;        /* futures: numbers 0, 1, ..., whose seeds orr__futures_seed tells */
    uint64_t failures_max; /* no more are started after so many; 0 = all are run */
    bool until_passes;     /* ... and after one that passes */
};

/* What became of one future. */
struct orr__future_end {
    enum { ORR__FUTURE_NOT_RUN, ORR__FUTURE_PASSES, ORR__FUTURE_FAILS } state;
    uint32_t group; /* of those that fail; ORR__GROUPS_MAX = it is none of those that are kept */
    uint64_t trace_hash;
    uint64_t events;
    uint64_t simulated_ns;
    uint64_t faults;
};

/* Futures that failed for one cause. */
struct orr__future_group {
    uint64_t count;
    uint64_t first;            /* the number of the first one */
    struct orr__result result; /* of that one */
};

enum {
    ORR__WEIGHT_FAULT = 2,
    ORR__ROWS_BEFORE = 5, /* of the trace */
    ORR__ROWS_DECISIVE = 12,
    ORR__ROWS_AFTER = 3,
    ORR__ROWS_MAX = ORR__ROWS_BEFORE + ORR__ROWS_DECISIVE + ORR__ROWS_AFTER,
};

/* A line of the trace. */
struct orr__row {
    uint64_t time_ns;
    bool is_decisive; /* it belongs to the event that decides */
    uint32_t weight;  /* a fault is worth a headline, then an operation */
    char who[64];
    char text[ORR__TEXT_MAX];
};

/* Part of what is shared with the run that is traced. */
struct orr__rows {
    uint32_t count;
    uint32_t decisive; /* rows that are kept */
    uint32_t skipped;  /* decisive ones that are not */
    uint32_t after;
    struct orr__row rows[ORR__ROWS_MAX];
};

/* What the stem and this process share. */
struct orr__futures_seen {
    _Atomic uint32_t state;
    int error;      /* of the stem: it could not start a process */
    uint64_t event; /* where it stands */
    uint64_t time_ns;
    uint64_t trace_hash;
    uint64_t stood_ns; /* real time: when it came there */
    uint64_t done;
    uint64_t passed;
    uint32_t group_count;
    struct orr__future_group groups[ORR__GROUPS_MAX]; /* as they were found */
    struct orr__rows rows;                            /* of a run that is traced */
    struct orr__future_end ends[];                    /* by number */
};

struct orr__futures {
    struct orr__stem stem;
    const struct orr__command *command;
    struct orr__nursery nursery;
    struct orr__futures_seen *seen;
    struct orr__job job;
    char *text; /* the replay file of the question */
    uint64_t own_seed;
    struct orr__progress progress;
    const char *doing; /* said with the progress; NULL = nothing is */
    uint64_t begin_ns;
    uint64_t runs; /* of futures, all questions together */

    struct orr__question question;
    struct orr__result past; /* if it did not come to the instant: what became of it */
    uint64_t past_ns;        /* real time of the past, and of the futures */
    uint64_t futures_ns;
    uint64_t counted; /* futures, from the first on, that count */
    uint64_t failed;
    uint32_t group_count;             /* of those */
    uint32_t groups[ORR__GROUPS_MAX]; /* which, by their first future */

    uint64_t started; /* in the stem */
    uint64_t numbers[ORR__PLACES_MAX];
    struct orr__result result;
};

/* Prepares processes, and room for so many futures. Returns NULL after an error message. */
struct orr__futures *orr__futures_open(const struct orr__command *command, uint64_t count);
/* Returns the signal that asked for the end, or 0. */
int orr__futures_close(struct orr__futures *futures);
/* Runs the past and its futures. Returns 1, or 0 if the run ended before the instant (`past`), or
 * -errno: -EINTR when a signal asked for the end. */
int orr__futures_ask(struct orr__futures *futures, const struct orr__question *question);
/* The seed of the future with that number: 1, 2, ... without the one that the run has already. */
uint64_t orr__futures_seed(const struct orr__futures *futures, uint64_t number);

/* The command's run with a future, as the text of a replay file in memory of its own; NULL: there
 * is none. */
char *orr__futures_text(const struct orr__command *command, const char *instant, uint64_t seed,
                        enum orr__then then);
/* Writes that as a file, with the check that it makes fail. Returns 0 or -errno. */
int orr__futures_write(const struct orr__command *command, const struct orr__question *question,
                       uint64_t seed, const char *check, const char *path);
/* Writes the command that brings a future back, without an end of line. */
void orr__futures_again(FILE *out, const struct orr__command *command,
                        const struct orr__question *question, uint64_t seed);
/* Says why a question has no answer. Returns the exit status. */
int orr__futures_error(const struct orr__futures *futures, int status);

/* json.c: a future of those that count, and a summary of all. */
void orr__json_future(const struct orr__futures *futures, uint64_t index);
void orr__json_futures(const struct orr__futures *futures);

#endif

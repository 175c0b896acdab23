/*
 * run.h: runs a program on one loop, and what is remembered of the run.
 */
#ifndef ORR_TESTS_DIFFERENTIAL_RUN_H
#define ORR_TESTS_DIFFERENTIAL_RUN_H

#include "model.h"

enum fate {
    FATE_NONE,    /* dropped, a wait, or never reached */
    FATE_SKIPPED, /* the model refused it, or it is left out */
    FATE_ENDED,
    FATE_FORCED /* ended by the drain, with an answer that is not determined */
};

/* What became of a step. What no two systems agree on (numbers of handles, ports, times) is not in
 * it. */
struct outcome {
    uint32_t fate;
    uint32_t reserved;
    int64_t result; /* of a new handle: 1 */
    uint64_t extra; /* a hash of the bytes, the stat's facts, whose address it is, ... */
};

#define ENTRIES_MAX 48u
#define ENTRY_PATH_MAX 120u

/* A file or directory that a program left behind. */
struct entry {
    char path[ENTRY_PATH_MAX];
    uint64_t type;
    uint64_t size;  /* of a file */
    uint64_t links; /* its names */
    uint64_t hash;  /* of its bytes */
};

struct record {
    struct outcome outcomes[STEPS_MAX];
    uint32_t entry_count;
    bool large; /* see model.h */
    struct entry entries[ENTRIES_MAX];
    char broken[200]; /* the rule of the contract that the run broke; "" = none */
    bool hangs;       /* the rule was that operations end */
};

/* Where a program runs. */
struct ground {
    struct orr_loop *loop;
    orr_handle directory;        /* empty; the program's own */
    const char *socket_prefix;   /* stands before the name of a Unix socket */
    const char *tree_prefix;     /* before one that is among the files */
    const char *ip4;             /* a loopback address of its own */
    uint64_t patience_ns;        /* how long "let arrive what is on its way" takes */
    uint64_t hang_ns;            /* longer than anything takes */
    uint32_t settle_scale;       /* times the ns of a settle step */
    uint64_t pass_ns;            /* what a pass takes: a kernel takes its time anyway */
    uint32_t socket_count;       /* names used up */
    void (*heal)(void *context); /* before what is left behind is looked at; may be NULL */
    void *context;
};

void run_program(const struct program *program, struct ground *ground, struct record *ret_record);

#endif

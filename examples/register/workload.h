/*
 * workload.h: the clients of the register scenario: each on a node of its own, each makes calls on
 * a few keys that all share, one after the other, and tells a history. No two sets have the same
 * value. Some calls are given up soon, so that they are left half done.
 */
#ifndef REGISTER_WORKLOAD_H
#define REGISTER_WORKLOAD_H

#include <orrery/linearizable.h>

#include "client.h"

#define REGISTER_CLIENTS 4
#define REGISTER_KEYS 3

/* What one client is to do, and what has come of it. Outlives the client's lives. */
struct register_task {
    struct orr_world *world;
    struct orr_history *history;
    struct register_peers peers;
    uint32_t client;      /* which one */
    uint32_t sets;        /* begun so far, in all lives */
    uint32_t given_up;    /* calls */
    uint64_t calls_left;  /* to begin before the final phase */
    bool is_final;        /* the faults are over: every call must end, and is given the time */
    uint32_t final_calls; /* that ended since */
};

/* Boots a client; `config` is a struct register_task. */
void *register_workload_boot(struct orr_loop *loop, void *config);

/* True once every client has ended its calls of the final phase. `context` is the array of
 * REGISTER_CLIENTS tasks. */
bool register_workload_done(void *context);

#endif

/*
 * workload.h: the clients of the kv scenario, and what they know: the history that judges every
 * reply.
 *
 * Each client owns keys that only it writes, with growing numbers as values; all clients read all
 * keys. So for each key three numbers bound what a read may return:
 *
 *   acknowledged  the newest value whose write was answered OK: it must never be lost
 *   observed      the newest value that any client has read: no later read may return an older one
 *   sent          the newest value that was ever sent: nothing newer can exist
 *
 * A write that was answered with an error did not happen: its value must never be read.
 * A write whose answer never came (the connection failed) may or may not have happened: it only
 * raises `sent`.
 */
#ifndef EXAMPLES_KV_WORKLOAD_H
#define EXAMPLES_KV_WORKLOAD_H

#include <orrery/sim.h>

#define KV_CLIENTS 3
#define KV_KEYS \
    4 /* of each client: two for SET, a pair for MSET (written together, equal always) */
#define KV_PAIR 2 /* index of the pair's first key */

#define KV_REFUSED 8 /* refused writes that are remembered per key */

struct kv_key {
    uint64_t acknowledged;
    uint64_t observed;
    uint64_t sent;
    uint64_t
        refused[KV_REFUSED]; /* values whose write was answered with an error: never to be read */
    uint32_t refused_count;
};

struct kv_history {
    struct orr_world *world;
    struct kv_key keys[KV_CLIENTS][KV_KEYS];
    struct kv_key counters[KV_CLIENTS]; /* INCR, one key per client */
    bool reads_only;                    /* new batches write nothing */
    bool final_phase;                   /* the faults are over: every client is to finish */
};

struct kv_task {
    struct kv_history *history;
    struct orr_address server;
    uint32_t client;  /* which one */
    uint64_t replies; /* that came, over all connections */
    uint64_t reconnects;
    uint32_t final_batches; /* answered since the final phase began */
};

/* Boots a client; `config` is a struct kv_task. It never ends by itself. */
void *kv_workload_boot(struct orr_loop *loop, void *config);

/* True once every client has had its answers in the final phase. `context` is the array of
 * KV_CLIENTS tasks. */
bool kv_workload_done(void *context);

#endif

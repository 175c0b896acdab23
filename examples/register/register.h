/*
 * register.h: a replicated register for each key, over 3 or 5 replicas: the algorithm of Attiya,
 * Bar-Noy and Dolev (ABD), as a library of application code.
 *
 *      client ---- QUERY, STORE ---->  replica 1   its values in a log, durable
 *             \--------------------->  replica 2   before a STORE is acknowledged
 *              \-------------------->  replica 3
 *
 * Replicas know nothing of each other: they keep, for each key, the value with the highest stamp
 * that a client gave them. All the rest is the client's (client.h): it asks all of them and goes on
 * with the answers of a majority. Any two majorities share a replica, so a write that a majority
 * has acknowledged is seen by every call that begins later. Calls are linearizable; they go on as
 * long as a majority of the replicas answers; nothing that was acknowledged is lost even if all
 * lose their power at once.
 *
 * Everything does its I/O through the loop it is given and keeps nothing in globals, so that one
 * process can hold replicas and clients, in production or in a simulated world.
 */
#ifndef REGISTER_REGISTER_H
#define REGISTER_REGISTER_H

#include <orrery/io.h>

#define REGISTER_REPLICAS_MAX 5u
#define REGISTER_KEY_MAX 255u    /* bytes; at least one */
#define REGISTER_VALUE_MAX 4096u /* bytes; may be none */

/* Planted bugs, to show that the simulated world finds them; in one build with the correct code. */
enum register_bug {
    REGISTER_BUG_NO_WRITE_BACK = 1u << 0, /* a read returns what it saw before a majority has it */
    REGISTER_BUG_MINORITY = 1u << 1,      /* one answer less than a majority is enough */
    REGISTER_BUG_UNSYNCED_TIMESTAMP = 1u << 2, /* a replica acknowledges what is not durable */
    REGISTER_BUG_STALE_EPOCH = 1u << 3,        /* a client counts answers to what it asked before */
};

/* All of it must outlive the replica. */
struct register_config {
    const char *directory; /* of the log: relative to the current directory, or absolute */
    const char *listen;    /* "127.0.0.1:7001": see orr_address_parse */
    uint32_t bugs;         /* enum register_bug, ored; 0: none */
    /* Gets each message to the operator, one line without its end. May be NULL. */
    void (*report)(void *context, const char *line);
    void *report_context;
};

struct register_replica;

/* Listens, and begins to recover the log; clients are served once it is read. Returns NULL, after a
 * report, if the replica cannot start. If it fails later, it reports why and calls orr_stop.
 *
 * orr_wake on the loop ends the replica cleanly: it lets go of its clients, closes everything, and
 * leaves nothing in flight, so that orr_run_until_idle returns. */
struct register_replica *register_replica_boot(struct orr_loop *loop,
                                               const struct register_config *config);

/* What the process should exit with: 0 after a clean end, 1 after a failure. */
int register_replica_exit_status(const struct register_replica *replica);

/* Gives all memory back. The loop must have been drained. NULL is allowed. */
void register_replica_free(struct register_replica *replica);

#endif

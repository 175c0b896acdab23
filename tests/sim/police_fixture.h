/*
 * police_fixture.h: a client and a server for the tests of the police.
 *
 * The client connects to a server that takes whatever comes, and then does what the test's plan
 * says. Submits that a report shall name carry a made-up line, FIRST or SECOND.
 */
#ifndef ORR_TESTS_POLICE_FIXTURE_H
#define ORR_TESTS_POLICE_FIXTURE_H

#include "../suite.h"

#include <orrery/sim.h>

#include <stdio.h>
#include <string.h>

#define LARGE (256u << 10) /* more than all buffers on the way hold */
#define CHUNK 5000u
#define SENDS 40u
#define SEEDS 100u

#define FIRST "client.c:11"
#define SECOND "client.c:22"

struct client {
    struct orr_loop *loop;
    struct orr_address target;
    orr_handle stream;
    orr_handle datagrams;
    orr_handle file;
    struct orr_completion first;
    struct orr_completion second;
    struct orr_completion others[6];
    struct orr_datagram datagram[2];
    struct orr_vector vector;
    struct orr_vector vectors[2];
    char buffers[4][16];
    char *large;
    struct orr_stat status;
    void (*extend)(struct client *client, struct orr_completion *completion);
    uint32_t sends;
};

struct plan {
    void (*connected)(struct client *client); /* by a stream; its server takes what comes */
    void (*opened)(struct client *client);    /* a file, empty, to read and write, instead */
    void (*prepare)(struct orr_node *node);   /* the client's node; may be NULL */
    bool faults;                              /* those of the seed */
    bool server_talks;                        /* sends 16 bytes on accept */
    void *memory;                             /* the test's own, to be freed after the run */
    uint32_t finished;                        /* runs that came to the plan's end */
};

/* The plan of the run under way: a scenario gets nothing but its world. */
extern struct plan *plan;

/* LARGE bytes that nobody changes. */
extern char bytes[LARGE];

void must(bool condition);
orr_handle bound(struct orr_loop *loop, const char *text, enum orr_socket_type type);
/* A callback that does nothing. */
void ignore(void *context, struct orr_completion *completion, int64_t result);

/* Makes the nodes "server" and "client". */
void populate(struct orr_world *world);
struct orr_outcome run_seed(struct plan *of, uint64_t seed);
/* A run without faults fails this check, and tells all of these texts (ended by NULL) about it. */
void check_caught(struct plan *of, const char *check, const char *const *texts);
/* No seed fails, with faults, and most come to the end of the plan. */
void check_clean(struct plan of);

#endif

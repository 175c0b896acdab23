/*
 * network_fixture.h: a world of three nodes for the tests of its network.
 *
 * The nodes run a program that does nothing: the tests submit on their loops from outside and let
 * the world run. A struct op remembers how its operation ended; one that has not is PENDING.
 */
#ifndef ORR_TESTS_SIM_NETWORK_FIXTURE_H
#define ORR_TESTS_SIM_NETWORK_FIXTURE_H

#include "../suite.h"

#include <orrery/sim.h>

#include <errno.h>
#include <string.h>

enum { CLIENT, SERVER, THIRD, NODES };

#define PENDING INT64_MIN
#define SOON (20 * ORR_MILLISECOND) /* longer than what happens at once takes */

struct op {
    struct orr_completion completion;
    int64_t result;
};

struct pair {
    orr_handle client;
    orr_handle server;
    orr_handle listener;
};

extern struct orr_world *world;
extern struct orr_node *nodes[NODES];
extern char scratch[1 << 18];

/* The callback of every op; its context is the op. */
void op_ended(void *context, struct orr_completion *completion, int64_t result);

/* Makes the world without faults; world_prepare may set rates before the nodes are made. */
void world_begin(uint64_t seed, void (*prepare)(void));
void world_setup(void);
void world_teardown(void);
struct orr_loop *loop_of(int node);
/* Flushes what was submitted and lets time pass. */
void run(uint64_t ns);

struct orr_address at(int node, uint16_t port);
struct orr_address parse(const char *text);
/* A stream socket of the address's family. */
orr_handle stream_for(int node, const struct orr_address *address);
orr_handle listen_at(int node, const char *text, uint32_t backlog);
struct pair connected(const char *listen_text, const char *connect_text, int client, int server);
/* From CLIENT to 10.0.0.2:7000, which is SERVER; or inside CLIENT. */
struct pair tcp_pair(void);
struct pair unix_pair(void);
/* Sends until nothing fits any more: the last send, `op`, waits. Returns the bytes taken. */
uint64_t fill(int node, orr_handle handle, struct op *op);
/* Receives and checks that many bytes of scratch. */
void drain_bytes(int node, orr_handle handle, uint64_t bytes);

#define SUBMIT(op, call, node, ...)                                          \
    do {                                                                     \
        memset((op), 0, sizeof *(op));                                       \
        (op)->result = PENDING;                                              \
        call(loop_of(node), &(op)->completion, __VA_ARGS__, op_ended, (op)); \
    } while (0)

/* Submits, waits a moment, and gives the result. */
#define RESULT(ret, call, node, ...)           \
    do {                                       \
        static struct op op_;                  \
        SUBMIT(&op_, call, node, __VA_ARGS__); \
        run(SOON);                             \
        (ret) = op_.result;                    \
    } while (0)

#define EXPECT(expected, call, node, ...)         \
    do {                                          \
        int64_t result_;                          \
        RESULT(result_, call, node, __VA_ARGS__); \
        ck_assert_int_eq(result_, (expected));    \
    } while (0)

#endif

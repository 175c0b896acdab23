/*
 * conformance.h: the loop's contract as a table of cases, written once against <orrery/io.h> and
 * run on every backend. A second table holds what only a kernel has (threads, foreign descriptors,
 * signals, a loop inside another), with the reason beside each case, and runs on the backends that
 * stand on one.
 *
 *   cases_*.c     the cases, in the order of the contract's subjects; cases.c holds the two tables
 *   conformance.c what cases share, and the run over a driver's table
 *   on_*.c        the drivers, each with a main of its own: a kernel's, the world's
 *
 * A case gets a fresh ground: a loop and an empty directory. It must leave nothing in flight that
 * drain cannot end. What a backend may do differently, a case must allow on all backends; what a
 * backend may not, it must refuse on all, so that every backend passes the same number of cases.
 * Where two systems differ by their nature the ground says so (enum conformance_needs), and nowhere
 * else.
 *
 * The same cases run on a strained world, whose transfers are partial, whose batches are tiny and
 * whose completions come late and out of order. So a case asks for one attempt only where it means
 * it, and believes an order only where the contract gives one.
 */
#ifndef ORR_TESTS_CONFORMANCE_H
#define ORR_TESTS_CONFORMANCE_H

#include "tests/io/probe.h"

#include <errno.h>

struct conformance_case {
    const char *name;
    void (*run)(void);
    uint32_t batch_entries; /* of the loop, 0 = the default */
    uint32_t handles_max;
    uint32_t needs; /* enum conformance_needs, ored */
    bool once;      /* no choice of a world changes it, and it is long: one seed is enough */
};

enum conformance_needs {
    NEEDS_SLEEPERS = 1u << 0 /* who sleeps in poll on the loop's descriptor is woken */
};

/* What a driver does. */
struct conformance_driver {
    const char *name;
    const struct conformance_case *const *tables; /* conformance_common or conformance_kernel */
    uint32_t has;                                 /* enum conformance_needs, ored */
    uint32_t seeds; /* each case runs with seeds 0 .. seeds - 1, one after the other */
    bool strained;  /* transfers may be partial, completions late and out of order */
    /* Why this machine cannot run it, or NULL. */
    const char *(*unavailable)(void);
    int (*open)(const struct orr_options *options, uint64_t seed, struct orr_loop **ret_loop);
    /* Makes a directory with nothing in it. `ret_prefix` (CONFORMANCE_PREFIX_MAX bytes) gets what
     * stands before a file's name in the address of a Unix socket in it. */
    orr_handle (*make_directory)(struct orr_loop *loop, char *ret_prefix);
    /* Lets that much time pass outside of the loop: what a callback takes, or another loop. */
    void (*pass_time)(struct orr_loop *loop, uint64_t ns);
    /* Leaves the process room for a few descriptors more, where it may have very many. */
    void (*limit_descriptors)(void);
    /* A connect of this socket is to give up soon, where that takes real time. */
    void (*lose_patience)(orr_handle socket);
    const char *second_host; /* the IPv4 address of the second loop, for the first */
    /* After orr_loop_close. */
    void (*closed)(void);
    /* Before the first case and after the last. */
    void (*begin)(void);
    void (*end)(void);
};

#define CONFORMANCE_PREFIX_MAX 64u

/* What the case under way stands on. */
struct ground {
    const struct conformance_driver *driver;
    const struct conformance_case *of;
    uint64_t seed;
    struct orr_loop *loop;
    orr_handle directory;
    char prefix[CONFORMANCE_PREFIX_MAX];
    struct probe probe; /* of END_OF */
};

extern struct ground ground;

/* Tables of cases, ended by NULL: for every backend; for those on a kernel. */
extern const struct conformance_case *const conformance_common[];
extern const struct conformance_case *const conformance_kernel[];

/* Runs all cases on a driver, or says why not; the exit status. */
int conformance_main(const struct conformance_driver *driver);

/* ---- for cases ------------------------------------------------------------------------------- */

/* Submits an operation of the ground's loop with a probe: START(&probe, orr_recv, handle, bytes,
 * 5). */
#define START(of, function, ...) \
    function(ground.loop, &(of)->completion, __VA_ARGS__, probe_called, (of))

/* Submits an operation and runs until it has ended; its result. */
#define END_OF(function, ...)                                                                   \
    (ground_begin(),                                                                            \
     function(ground.loop, &ground.probe.completion, __VA_ARGS__, probe_called, &ground.probe), \
     ground_result(&ground.probe))

/* Fails the case unless the result is the expected one. */
#define EXPECT(expected, actual) \
    ground_expect((int64_t)(expected), (int64_t)(actual), #actual, __FILE__, __LINE__)
/* The same for the result of a probe, for which it waits. */
#define EXPECT_END(expected, of) \
    ground_expect((int64_t)(expected), ground_result(of), #of, __FILE__, __LINE__)
/* The result is one of two. */
#define EXPECT_EITHER(first, second, actual)                                              \
    ground_expect_either((int64_t)(first), (int64_t)(second), (int64_t)(actual), #actual, \
                         __FILE__, __LINE__)

void ground_begin(void);
/* Runs the loop until the probe has been called back. */
int64_t ground_result(struct probe *probe);
void ground_expect(int64_t expected, int64_t actual, const char *what, const char *file, int line);
void ground_expect_either(int64_t first, int64_t second, int64_t actual, const char *what,
                          const char *file, int line);
/* Lets happen what happens by itself: some passes that do not wait, then a millisecond. */
void ground_settle(void);
/* A second loop of the same backend, where nothing is set up; NULL if the backend refuses. */
struct orr_loop *ground_open_loop(const struct orr_options *options);

/* Bytes that tell their place, different for each `salt`. */
void ground_fill(void *bytes, size_t length, uint32_t salt);
void ground_check(const void *bytes, size_t length, uint32_t salt);
/* Address space that costs nothing until it is touched; unmapped with the case's process. */
void *ground_space(size_t length);

/* A file of the ground's directory, opened for reading and writing, created if need be. */
orr_handle ground_file(const char *name);
/* Closes a handle and expects 0. */
void ground_close(orr_handle handle);

/* ---- sockets --------------------------------------------------------------------------------- */

/* The families that streams are tried on. */
#define GROUND_FAMILIES 3u
extern const enum orr_family ground_families[GROUND_FAMILIES];
const char *ground_family_name(enum orr_family family);

/* A listener of that family at an address that it chose; ORR_HANDLE_NONE where the machine has no
 * such family (IPv6 may be switched off). */
orr_handle ground_listen(enum orr_family family, uint32_t backlog, struct orr_address *ret_address);
orr_handle ground_socket(enum orr_family family, enum orr_socket_type type);

/* Two ends of a connection, and the listener it came by. */
struct pair {
    orr_handle listener;
    orr_handle client;
    orr_handle server;
};

/* False where the machine has no such family. */
bool ground_pair(enum orr_family family, struct pair *ret_pair);
void ground_close_pair(const struct pair *pair);
/* Runs a body on a fresh pair of each family that the machine has, after a reset of the probes; it
 * must close the two ends. */
void ground_each_pair(void (*reset)(void), void (*body)(struct pair *pair, enum orr_family family));

/* An IPv4 listener that takes no more connections: its backlog is full. `connect` is in flight on
 * the client *ret_client, and nobody answers it as long as nothing is accepted. */
orr_handle ground_full_listener(struct probe *connect, orr_handle *ret_client,
                                struct orr_address *ret_address);

/* A bound datagram socket and its address; ORR_HANDLE_NONE as above. */
orr_handle ground_datagram(enum orr_family family, struct orr_address *ret_address);

#endif

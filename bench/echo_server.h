/*
 * What the echo servers of this folder have in common, so that only their loops differ.
 *
 * Each server listens on a free port of 127.0.0.1, announces it as the first line of its output,
 * echoes whatever its connections send, and when the last connection has gone prints one line of
 * JSON and ends. It needs no signal and no argument for that: a server whose client died ends by
 * itself, and none of the servers pays for watching something the others do not watch.
 *
 * Every connection owns one buffer of the same size and is always in exactly one state: receiving
 * into the buffer, or sending from it. The buffer sits inside the connection and not in a page of
 * its own, because 64 buffers at the same offset in their pages all fall into one cache set.
 */
#ifndef BENCH_ECHO_SERVER_H
#define BENCH_ECHO_SERVER_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ECHO_BUFFER_BYTES = 16384,
    ECHO_BACKLOG = 1024,
};

/* The first line of output: the client may connect once it has been read. */
static inline void echo_announce(uint16_t port)
{
    printf("{\"port\": %" PRIu16 "}\n", port);
    fflush(stdout);
}

/*
 * The last line of output. `syscalls` counts the system calls of the data path over the whole life
 * of the server (the waits, and for a readiness loop the reads and writes too), as the loop itself
 * knows them: a tracer would slow the server, and a slower server finds larger batches.
 */
static inline void echo_report(uint64_t syscalls)
{
    printf("{\"syscalls\": %" PRIu64 "}\n", syscalls);
}

/* Nothing here can be repaired at run time: a benchmark that limps measures something else. */
static inline _Noreturn void echo_die(const char *server, const char *operation, int64_t error)
{
    fprintf(stderr, "%s: %s failed: %s\n", server, operation, strerror((int)-error));
    exit(EXIT_FAILURE);
}

#endif

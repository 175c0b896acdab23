/*
 * attempt.h: one attempt at an operation that may have to wait for somebody else, as a system call
 * on a non-blocking descriptor. Internal to backends/.
 */
#ifndef ORR_BACKENDS_ATTEMPT_H
#define ORR_BACKENDS_ATTEMPT_H

#include <orrery/backend.h>

/* What a descriptor is, as far as it matters for waiting. */
enum orr__kind {
    ORR__KIND_SOCKET,
    ORR__KIND_STREAM, /* a pipe, a terminal, an event descriptor ...: read and written in order */
    ORR__KIND_FILE    /* never waits for somebody else, yet may stop a thread: has offsets */
};

/* No result: the descriptor is not ready. */
#define ORR__NOT_READY INT64_MIN

/* The operations that may have to wait, besides reads and writes of what is no file. */
#define ORR__ATTEMPT_OPERATIONS                                                            \
    (ORR_OP_BIT(ORR_OP_ACCEPT) | ORR_OP_BIT(ORR_OP_CONNECT) | ORR_OP_BIT(ORR_OP_RECV) |    \
     ORR_OP_BIT(ORR_OP_SEND) | ORR_OP_BIT(ORR_OP_RECV_FROM) | ORR_OP_BIT(ORR_OP_SEND_TO) | \
     ORR_OP_BIT(ORR_OP_POLL))

/* Returns >= 0, -errno or ORR__NOT_READY. An accepted descriptor is close-on-exec and does not
 * block. `kind` is the descriptor's; a socket's reads and writes have the offset 0. */
int64_t orr__attempt(const struct orr_completion *completion, enum orr__kind kind);

/* How a connect that was not ready ended, now that its descriptor is reported writable with
 * `error` (0 = the report tells none). */
int64_t orr__attempt_connected(const struct orr_completion *completion, int error);

/* Leaves the output structs of an operation that failed as an attempt that failed would. */
void orr__attempt_failed(const struct orr_completion *completion);

/* Whether a shutdown that ends with -ENOTCONN has shut the socket down all the same. */
static inline bool orr__shuts_without_peer(void)
{
#if defined(__linux__)
    return true;
#else
    return false;
#endif
}

/* What a descriptor is, and of which file: descriptors that share an open file have the same
 * one. */
struct orr__identity {
    enum orr__kind kind;
    uint64_t device;
    uint64_t inode;
};

/* Finds that out. Returns 0 or -errno. */
int orr__descriptor_identify(int32_t descriptor, struct orr__identity *ret_identity);
/* Switches the blocking mode. Returns 1 if it was the other one, 0 if not, or -errno. */
int orr__descriptor_block(int32_t descriptor, bool blocks);

#endif

/*
 * gate.h: a server of two loops, and a client that keeps few connections at a time. What goes wrong
 * here is not in any protocol: it is who owns what, and when it ends.
 *
 *      server   the first loop accepts, and hands connections over by a queue and orr_wake;
 *               the second one serves them: 16 bytes come, the same 16 bytes go back
 *      client   a few slots; a job takes a free one, connects, asks, closes, gives the slot back.
 *               A job that takes too long is ended, and made again
 */
#ifndef CLASSES_GATE_H
#define CLASSES_GATE_H

#include <orrery/io.h>

#define GATE_MESSAGE_LENGTH 16u
#define GATE_SLOTS 2u

enum gate_bug {
    GATE_BUG_ACCEPT_STOPS = 1u << 0,   /* after an accept that failed there is no next one */
    GATE_BUG_ONE_PER_WAKE = 1u << 1,   /* a wake is taken for one connection; wakes can be one */
    GATE_BUG_LOST_SLOT = 1u << 2,      /* a connect that was canceled does not give its slot back */
    GATE_BUG_EARLY_REUSE = 1u << 3,    /* a slot's buffer is used before its receive has ended */
    GATE_BUG_DOUBLE_RELEASE = 1u << 4, /* a reply and the timeout both end a job */
};

struct gate_server_config {
    struct orr_address address;
    uint32_t bugs; /* enum gate_bug, ored */
};

/* Boots the server; `config` is a struct gate_server_config. */
void *gate_server_boot(struct orr_loop *loop, void *config);

struct gate_task {
    struct orr_address server;
    uint32_t bugs;
    uint32_t jobs;       /* to be done */
    uint32_t done;       /* were answered */
    uint32_t failed;     /* tries that were not */
    uint32_t free_slots; /* of GATE_SLOTS */
};

/* Boots the client; `config` is a struct gate_task. */
void *gate_client_boot(struct orr_loop *loop, void *config);

#endif

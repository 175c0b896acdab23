/*
 * counter.h: a counter that clients add to by datagrams, and a display that shows it.
 *
 *      client   client, request, amount ->
 *      server                           <- client, request
 *                                       -> display: version, sum
 *
 * A client that hears nothing asks again, so a request can arrive several times; and datagrams come
 * in any order. The server remembers each client's last request, and the display the version that
 * it shows.
 */
#ifndef CLASSES_COUNTER_H
#define CLASSES_COUNTER_H

#include <orrery/io.h>

#define COUNTER_CLIENTS 2u

enum counter_bug {
    COUNTER_BUG_RETRY_TWICE = 1u << 0, /* a request that comes again is carried out again */
    COUNTER_BUG_STALE = 1u << 1,       /* the display shows whatever came last */
};

struct counter_server_config {
    struct orr_address address;
    struct orr_address display;
    uint32_t bugs; /* enum counter_bug, ored */
    uint64_t sum;  /* the counter */
};

/* Boots the server; `config` is a struct counter_server_config. */
void *counter_server_boot(struct orr_loop *loop, void *config);

struct counter_task {
    struct orr_address server;
    uint64_t client;   /* 0 to COUNTER_CLIENTS - 1 */
    uint64_t requests; /* to be made; each adds 1 */
    uint64_t answered;
};

/* Boots a client; `config` is a struct counter_task. */
void *counter_client_boot(struct orr_loop *loop, void *config);

struct counter_display_config {
    struct orr_address address;
    uint32_t bugs;
    void (*shows)(void *context, uint64_t sum); /* never less than before */
    void *context;
};

/* Boots the display; `config` is a struct counter_display_config. */
void *counter_display_boot(struct orr_loop *loop, void *config);

#endif

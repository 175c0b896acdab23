/*
 * echo.h: a server that sends back what it receives, and a client that checks it. The smallest
 * whole program on Orrery: main.c runs it on the system's kernel, scenario.c runs the same code in
 * the simulated world.
 */
#ifndef EXAMPLES_ECHO_H
#define EXAMPLES_ECHO_H

#include <orrery/io.h>

/* Boots the server on `loop`. `config` is the struct orr_address to listen on. Returns NULL if that
 * is impossible. */
void *echo_server_boot(struct orr_loop *loop, void *config);

/* What the client is to do, and what has come of it. Outlives the client. */
struct echo_task {
    struct orr_address server;
    uint32_t messages;   /* how many are to come back before the client is done */
    uint32_t echoed;     /* how many came back as they were sent */
    uint32_t mismatches; /* how many came back different */
    uint32_t reconnects;
    bool done;
};

/* Boots the client; `config` is a struct echo_task. It starts a new connection whenever one fails
 * or is silent. */
void *echo_client_boot(struct orr_loop *loop, void *config);

#endif

/*
 * lease.h: a server lends one thing for a while, to whoever asks first, by datagrams.
 *
 *      client   "may I?" and a number ->
 *      server                     <- the number, if it is this client's until the term ends
 *
 * The client counts the term from before it asked, the server from after it answered, and the
 * client holds it for a little less, because no two clocks run alike. Then at most one client holds
 * it at any moment, if both count by a clock that nobody sets.
 */
#ifndef CLASSES_LEASE_H
#define CLASSES_LEASE_H

#include <orrery/io.h>

#define LEASE_TERM_NS (60 * ORR_MILLISECOND)
#define LEASE_HELD_NS (LEASE_TERM_NS / 10 * 9) /* clocks that differ by 5 % do no harm */

enum lease_bug {
    LEASE_BUG_WALL_CLOCK = 1u << 0, /* the end of the term is a time of day */
};

struct lease_server_config {
    struct orr_address address;
    uint32_t bugs; /* enum lease_bug, ored */
};

/* Boots the server; `config` is a struct lease_server_config. */
void *lease_server_boot(struct orr_loop *loop, void *config);

struct lease_client_config {
    struct orr_address server;
    uint32_t bugs;
};

/* Boots a client; `config` is a struct lease_client_config. It asks again and again, and lets the
 * lease go now and then. */
void *lease_client_boot(struct orr_loop *loop, void *config);

/* Whether that client, as it knows, holds the lease now. */
bool lease_client_holds(const void *application);

#endif

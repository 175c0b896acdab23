/*
 * exchange.h: two peers that give each other a list over one connection, both at the same time.
 * Neither may wait with its receiving until it has sent all: if both do, and the lists are longer
 * than what the buffers on the way take, both wait for ever.
 */
#ifndef CLASSES_EXCHANGE_H
#define CLASSES_EXCHANGE_H

#include <orrery/io.h>

#define EXCHANGE_LENGTH 12000u /* bytes of a list */

enum exchange_bug {
    EXCHANGE_BUG_SEND_FIRST = 1u << 0, /* receives only when all is sent */
};

struct exchange_config {
    struct orr_address address; /* to listen on, or to connect to */
    uint32_t bugs;              /* enum exchange_bug, ored */
    uint32_t lists;             /* that have come whole; counted by the peer that connects */
    uint32_t wanted;            /* after so many it ends */
};

/* Boot the two peers; `config` is a struct exchange_config. */
void *exchange_boot_listening(struct orr_loop *loop, void *config);
void *exchange_boot_connecting(struct orr_loop *loop, void *config);

#endif

/*
 * pair.h: a value on two machines, for the case that one of them is lost.
 *
 *      client --value--> primary --value--> backup
 *             <--ok-----         <--ok-----
 *
 * Values are numbers that grow. What a client was told is kept must be on the backup by then: when
 * the primary is lost, the backup is all there is.
 */
#ifndef CLASSES_PAIR_H
#define CLASSES_PAIR_H

#include <orrery/io.h>

enum pair_bug {
    PAIR_BUG_ACK_EARLY = 1u << 0, /* the primary answers before the backup has */
};

struct pair_keeper_config {
    struct orr_address address;
    struct orr_address backup; /* length 0: this is the backup */
    uint32_t bugs;             /* enum pair_bug, ored */
};

/* Boots a primary or a backup; `config` is a struct pair_keeper_config. */
void *pair_keeper_boot(struct orr_loop *loop, void *config);
/* The value that it holds. */
uint64_t pair_keeper_value(const void *application);

struct pair_task {
    struct orr_address primary;
    uint64_t acknowledged; /* the last value that is kept */
};

/* Boots the client; `config` is a struct pair_task. */
void *pair_client_boot(struct orr_loop *loop, void *config);

#endif

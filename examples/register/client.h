/*
 * client.h: a client of the replicas: it makes one register out of them.
 *
 * A call has two rounds, each a question to all replicas that is over when a majority has answered:
 *
 *      get   QUERY: the value with the highest stamp      STORE: that value and stamp, again
 *      set   QUERY: the highest stamp                     STORE: the new value, with a higher one
 *
 * Why a get stores: it may have seen the value of a set that is not over and that only one replica
 * has. Without the second round a later get could miss it, and see an older value.
 *
 * Every round has an epoch, and each answer names the epoch of its question: what answers an
 * earlier round, of this call or another, says nothing about this one. Epochs begin at a random
 * number, and the client's name in stamps is one: what an earlier life of a client left on its way
 * means nothing to the next.
 *
 * Connections are made again when they fail or are silent for too long, and the question is asked
 * again on the new one; a replica may do it twice without harm.
 */
#ifndef REGISTER_CLIENT_H
#define REGISTER_CLIENT_H

#include "message.h"
#include "register.h"

/* All of it must outlive the client. */
struct register_peers {
    struct orr_address addresses[REGISTER_REPLICAS_MAX];
    uint32_t count; /* 1 to REGISTER_REPLICAS_MAX */
    uint32_t bugs;  /* enum register_bug, ored; 0: none */
};

/* What a get saw. `value` lives until the next call. */
struct register_found {
    bool exists; /* false: nobody has set the key */
    const uint8_t *value;
    uint32_t length;
};

/* A call is over. `found` is NULL after a set. The next call may begin in here. */
typedef void (*register_done)(void *context, const struct register_found *found);

struct register_client;

/* A client that connects to all replicas. NULL without memory. */
struct register_client *register_client_open(struct orr_loop *loop,
                                             const struct register_peers *peers);

/* Begins a call; one at a time. Key and value (within the limits of register.h) are copied. `done`
 * is called once a majority has done its part, whenever that is. */
void register_client_get(struct register_client *client, const void *key, uint32_t key_length,
                         register_done done, void *context);
void register_client_set(struct register_client *client, const void *key, uint32_t key_length,
                         const void *value, uint32_t value_length, register_done done,
                         void *context);

/* Gives up the call that is under way: `done` will not be called. A set that was given up may have
 * taken effect, may yet do so, or never. */
void register_client_give_up(struct register_client *client);

/* How many replicas have answered the round that is under way, how many must, and what is the
 * matter with a replica that has not: 0 or -errno of its last connection. */
uint32_t register_client_answers(const struct register_client *client);
uint32_t register_client_quorum(const struct register_client *client);
int64_t register_client_error(const struct register_client *client, uint32_t replica);

/* Gives the memory back. The loop must have been drained. NULL is allowed. */
void register_client_free(struct register_client *client);

#endif

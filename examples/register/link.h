/*
 * link.h: a client's connection to one replica: made again for ever, asked one question at a time.
 * Not for users: they include client.h.
 */
#ifndef REGISTER_LINK_H
#define REGISTER_LINK_H

#include "message.h"

/* What a link asks is its owner's current question; what it hears is its owner's to judge. */
struct link_owner {
    struct orr_loop *loop;
    uint64_t epoch; /* of the question; grows with each */
    bool is_asking;
    size_t length; /* of the question */
    uint8_t question[REGISTER_MESSAGE_MAX];
    void (*heard)(struct link_owner *owner, uint32_t replica,
                  const struct register_message *message);
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_UP, LINK_CLOSING };

struct link {
    struct link_owner *owner;
    uint32_t replica; /* which one it leads to */
    struct orr_address address;
    orr_handle handle;
    enum link_state state;
    bool is_sending;
    uint64_t epoch_sent; /* of the last question on this connection; 0 = none */
    uint64_t owed;       /* answers that are to come on it */
    uint64_t active_ns;  /* when something was last heard, or asked of a link that owed nothing */
    int64_t error;       /* how the last connection ended, -errno; 0 = it lasts */
    struct orr_completion send;
    struct orr_completion receive;
    struct orr_completion close;
    struct orr_completion pause; /* before the next connection */
    uint8_t in[REGISTER_MESSAGE_MAX];
    uint8_t out[REGISTER_MESSAGE_MAX];
};

/* Begins to connect. The link must be zeroed but for owner, replica and address. */
void link__start(struct link *link);

/* Asks the owner's question, now or as soon as the link can. */
void link__ask(struct link *link);

/* Looks after it, now and then: one that is silent for too long is given up, one whose replica
 * refused the question is asked again. */
void link__look_after(struct link *link);

#endif

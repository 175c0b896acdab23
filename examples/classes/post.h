/*
 * post.h: a client posts a body, shuts down its sending, and waits for the reply; a server answers
 * each body with a long text, and one that announces too much with a refusal.
 *
 *      client   length (4 bytes), body, shutdown ->
 *      server                        <- status (4 bytes), text if the status is POST_OK, close
 *
 * Two ends of a connection are two things. A client that sends no more still wants its reply; and
 * who closes with bytes unread makes the system answer with RST, on which the other end may lose
 * what it was told.
 */
#ifndef CLASSES_POST_H
#define CLASSES_POST_H

#include <orrery/io.h>

#define POST_BODY_MAX 4096u  /* that is accepted */
#define POST_BODY_LONG 8192u /* what the client sends to be refused */
#define POST_TEXT_LENGTH 6000u

enum post_status { POST_OK = 200, POST_TOO_LONG = 413 };

enum post_bug {
    POST_BUG_HALF_CLOSE = 1u << 0,   /* a client that sends no more is taken for gone */
    POST_BUG_CLOSE_UNREAD = 1u << 1, /* a body that is refused is not read to its end */
};

struct post_server_config {
    struct orr_address address;
    uint32_t bugs; /* enum post_bug, ored */
};

/* Boots the server; `config` is a struct post_server_config. */
void *post_server_boot(struct orr_loop *loop, void *config);

struct post_task {
    struct orr_address server;
    uint32_t posts;    /* to be made, every second one too long */
    uint32_t answered; /* with the right reply */
    uint32_t lost;     /* connections that ended without one */
};

/* Boots the client; `config` is a struct post_task. */
void *post_client_boot(struct orr_loop *loop, void *config);

#endif

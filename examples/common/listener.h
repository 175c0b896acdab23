/*
 * listener.h: a listening socket that hands out its connections, for servers of any protocol.
 *
 * It goes on accepting whatever fails: what fails about one client is that client's loss; what
 * fails because something has run out is tried again after a while.
 */
#ifndef EXAMPLES_COMMON_LISTENER_H
#define EXAMPLES_COMMON_LISTENER_H

#include <orrery/io.h>

struct listener {
    struct orr_loop *loop;
    orr_handle handle;
    bool is_accepting;
    bool (*take)(void *context, orr_handle connection);
    void *context;
    struct orr_completion accept;
    struct orr_completion pause;  /* a timer, after accept ran out of something */
    struct orr_completion close;  /* of the listener */
    struct orr_completion refuse; /* of a connection that was not taken */
};

/*
 * Listens at `address` ("127.0.0.1:6379": see orr_address_parse), but does not accept yet, so that
 * a port in use is known before anything is done. Returns 0, or -errno and a sentence for the
 * operator in `ret_error`. The listener stays where it is until nothing of it is in flight.
 */
int listener_open(struct listener *listener, struct orr_loop *loop, const char *address,
                  char *ret_error, size_t error_size);

/* Begins to accept. `take` gets each connection, and owns it if it returns true. */
void listener_start(struct listener *listener, bool (*take)(void *context, orr_handle connection),
                    void *context);

/* Accepts nobody any more, and leaves nothing in flight for long. */
void listener_close(struct listener *listener);

#endif

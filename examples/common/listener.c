/*
 * listener.c: see listener.h. One accept is in flight, or the timer after one that failed, or the
 * close of a connection that nobody took: whichever ends goes on to the next accept.
 */
#include "listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BACKLOG 511u

/* When accept has run out of handles or memory, how long until it is tried again. */
#define PAUSE_NS (100 * ORR_MILLISECOND)

/* ---- opening --------------------------------------------------------------------------------- */

static int say(const char *address, int64_t result, const char *hint, char *ret_error,
               size_t error_size)
{
    if (result == -EADDRINUSE) {
        hint = "; another program has the port: stop it, or name another port";
    }
    snprintf(ret_error, error_size, "cannot listen on %s: %s%s", address, strerror((int)-result),
             hint);
    return (int)result;
}

/* A server that starts again must get its port while connections of the last one linger. */
int listener_open(struct listener *listener, struct orr_loop *loop, const char *address,
                  char *ret_error, size_t error_size)
{
    struct orr_address parsed;
    *listener = (struct listener){.loop = loop, .handle = ORR_HANDLE_NONE};
    int result = orr_address_parse(address, &parsed);
    if (result < 0) {
        return say(address, result, "; expected an address like 127.0.0.1:6379", ret_error,
                   error_size);
    }
    listener->handle = orr_socket(loop, orr_address_family(&parsed), ORR_SOCKET_STREAM);
    if (listener->handle < 0) {
        return say(address, listener->handle, "", ret_error, error_size);
    }
    if (orr_address_family(&parsed) != ORR_FAMILY_UNIX) {
        result = orr_socket_option_set(loop, listener->handle, ORR_SOCKET_REUSE_ADDRESS, 1);
    }
    if (result == 0) {
        result = orr_bind(loop, listener->handle, &parsed);
    }
    if (result == 0) {
        result = orr_listen(loop, listener->handle, BACKLOG);
    }
    return result == 0 ? 0 : say(address, result, "", ret_error, error_size);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void accept_next(struct listener *listener);

static void on_over(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result == 0) {
        accept_next(context);
    }
}

/* Accept failed for the one client that it was about. */
static bool is_about_client(int64_t result)
{
    return result == -ECONNABORTED || result == -EPROTO || result == -EPERM;
}

static void take(struct listener *listener, orr_handle connection)
{
    /* A small reply should not wait for an acknowledgement. Without the option it is only slow. */
    (void)orr_socket_option_set(listener->loop, connection, ORR_SOCKET_NO_DELAY, 1);
    if (!listener->is_accepting || !listener->take(listener->context, connection)) {
        orr_close(listener->loop, &listener->refuse, connection, on_over, listener);
        return;
    }
    accept_next(listener);
}

static void on_accept(void *context, struct orr_completion *completion, int64_t result)
{
    struct listener *listener = context;
    (void)completion;
    if (result >= 0) {
        take(listener, result);
    } else if (is_about_client(result)) {
        accept_next(listener);
    } else if (result != -ECANCELED && listener->is_accepting) {
        orr_timeout(listener->loop, &listener->pause, PAUSE_NS, on_over, listener);
    }
}

static void accept_next(struct listener *listener)
{
    if (listener->is_accepting) {
        orr_accept(listener->loop, &listener->accept, listener->handle, NULL, on_accept, listener);
    }
}

void listener_start(struct listener *listener, bool (*take_connection)(void *, orr_handle),
                    void *context)
{
    listener->take = take_connection;
    listener->context = context;
    listener->is_accepting = true;
    accept_next(listener);
}

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result; /* nothing was written through it */
}

void listener_close(struct listener *listener)
{
    listener->is_accepting = false;
    orr_close(listener->loop, &listener->close, listener->handle, on_closed, listener);
}

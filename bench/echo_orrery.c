/*
 * The echo server on Orrery: what the two peers are measured against.
 *
 * The model is that of echo_uring.c, operation for operation: one accept always under way; per
 * connection one completion that is a recv, then a send, then a recv. It is written as a user of
 * the library would write it, with whole sends, and uses nothing that a user does not have.
 */
#include <errno.h>
#include <orrery/io.h>

#include "echo_server.h"

struct connection {
    struct orr_completion completion;
    orr_handle handle;
    char buffer[ECHO_BUFFER_BYTES];
};

static struct orr_loop *loop;
static struct orr_completion accepting;
static orr_handle listener;
static uint64_t connections;

static void check(const char *operation, int64_t result)
{
    if (result < 0)
        echo_die("echo_orrery", operation, result);
}

static void on_recv(void *context, struct orr_completion *completion, int64_t result);

static void on_close(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    check("orr_close", result);
    free(context);
    if (--connections == 0)
        orr_stop(loop);
}

static void disconnect(struct connection *connection)
{
    orr_close(loop, &connection->completion, connection->handle, on_close, connection);
}

static void start_recv(struct connection *connection)
{
    orr_recv(loop, &connection->completion, connection->handle, connection->buffer,
             sizeof connection->buffer, on_recv, connection);
}

static void on_send(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    struct connection *connection = context;
    if (result == -EPIPE || result == -ECONNRESET) {
        disconnect(connection);
        return;
    }
    check("orr_send_all", result);
    start_recv(connection);
}

static void on_recv(void *context, struct orr_completion *completion, int64_t result)
{
    struct connection *connection = context;
    if (result == 0 || result == -ECONNRESET) {
        disconnect(connection);
        return;
    }
    check("orr_recv", result);
    orr_send_all(loop, completion, connection->handle, connection->buffer, (size_t)result, on_send,
                 connection);
}

static void on_accept(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    if (result == -ECANCELED)
        return;
    check("orr_accept", result);
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL)
        echo_die("echo_orrery", "malloc of a connection", -ENOMEM);
    memset(&connection->completion, 0, sizeof connection->completion);
    connection->handle = result;
    connections++;
    check("orr_socket_option_set",
          orr_socket_option_set(loop, connection->handle, ORR_SOCKET_NO_DELAY, 1));
    start_recv(connection);
    orr_accept(loop, completion, listener, NULL, on_accept, NULL);
}

static void open_listener(void)
{
    struct orr_address address;
    check("orr_address_parse", orr_address_parse("127.0.0.1:0", &address));
    listener = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    check("orr_socket", listener);
    check("orr_bind", orr_bind(loop, listener, &address));
    check("orr_listen", orr_listen(loop, listener, ECHO_BACKLOG));
    check("orr_local_address", orr_local_address(loop, listener, &address));
    echo_announce(orr_address_port(&address));
}

int main(void)
{
    char error[256] = "";
    const struct orr_options options = {.error = error, .error_size = sizeof error};
    int result = orr_loop_open(&options, &loop);
    if (result < 0) {
        fprintf(stderr, "echo_orrery: %s\n", error);
        return EXIT_FAILURE;
    }
    open_listener();
    orr_accept(loop, &accepting, listener, NULL, on_accept, NULL);
    orr_run_until_idle(loop);
    struct orr_statistics statistics;
    orr_loop_statistics(loop, &statistics);
    echo_report(statistics.flushes);
    orr_drain(loop);
    orr_loop_close(loop);
    return 0;
}

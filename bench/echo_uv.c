/*
 * The echo server on libuv, as libuv means it to be written: the peer from the readiness world.
 *
 * The model: reading is always on; the read callback tries to write at once (uv_try_write), which
 * for small messages is the whole story. What the socket does not take goes through uv_write, and
 * reading pauses until that is done, because the connection has one buffer.
 *
 * System calls are counted from libuv's own shape: every read(2) ends in one read callback, every
 * write in one of our two calls, and every turn of the loop polls once (seen by a prepare handle,
 * which costs a few nanoseconds per turn, not per message).
 */
#include <errno.h>
#include <signal.h>
#include <uv.h>

#include "echo_server.h"

struct connection {
    uv_tcp_t tcp; /* first, and tcp.data points back to the connection */
    uv_write_t write;
    char buffer[ECHO_BUFFER_BYTES];
};

static uv_tcp_t listener;
static uv_prepare_t turn;
static uint64_t syscalls;
static uint64_t connections;

static void check(const char *operation, int result)
{
    if (result < 0)
        echo_die("echo_uv", operation, result);
}

static void on_turn(uv_prepare_t *handle)
{
    (void)handle;
    syscalls++;
}

static void on_closed(uv_handle_t *handle)
{
    if (--connections == 0)
        uv_stop(handle->loop);
    free(handle->data);
}

static void disconnect(struct connection *connection)
{
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested_size, uv_buf_t *ret_buffer)
{
    (void)suggested_size;
    struct connection *connection = handle->data;
    *ret_buffer = uv_buf_init(connection->buffer, sizeof connection->buffer);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer);

static void on_written(uv_write_t *request, int status)
{
    struct connection *connection = request->data;
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read);
    if (status != 0)
        disconnect(connection);
}

static void write_rest(struct connection *connection, size_t sent, size_t length)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    uv_buf_t rest = uv_buf_init(connection->buffer + sent, (unsigned)(length - sent));
    check("uv_read_stop", uv_read_stop(stream));
    connection->write.data = connection;
    syscalls++;
    check("uv_write", uv_write(&connection->write, stream, &rest, 1, on_written));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    syscalls++;
    if (length == 0)
        return;
    if (length < 0) {
        if (length != UV_EOF && length != UV_ECONNRESET)
            check("read", (int)length);
        disconnect(connection);
        return;
    }
    uv_buf_t echo = uv_buf_init(buffer->base, (unsigned)length);
    int sent = uv_try_write(stream, &echo, 1);
    syscalls++;
    if (sent == UV_EAGAIN)
        sent = 0;
    if (sent < 0)
        disconnect(connection);
    else if (sent < length)
        write_rest(connection, (size_t)sent, (size_t)length);
}

static void on_connection(uv_stream_t *server, int status)
{
    check("listen callback", status);
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL)
        echo_die("echo_uv", "malloc of a connection", -ENOMEM);
    check("uv_tcp_init", uv_tcp_init(server->loop, &connection->tcp));
    connection->tcp.data = connection;
    connections++;
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    check("uv_accept", uv_accept(server, stream));
    check("uv_tcp_nodelay", uv_tcp_nodelay(&connection->tcp, 1));
    check("uv_read_start", uv_read_start(stream, on_alloc, on_read));
}

static void open_listener(uv_loop_t *loop)
{
    struct sockaddr_in address;
    int length = sizeof address;
    check("uv_ip4_addr", uv_ip4_addr("127.0.0.1", 0, &address));
    check("uv_tcp_init", uv_tcp_init(loop, &listener));
    check("uv_tcp_bind", uv_tcp_bind(&listener, (struct sockaddr *)&address, 0));
    check("uv_listen", uv_listen((uv_stream_t *)&listener, ECHO_BACKLOG, on_connection));
    check("uv_tcp_getsockname",
          uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length));
    echo_announce(ntohs(address.sin_port));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    uv_loop_t *loop = uv_default_loop();
    check("uv_prepare_init", uv_prepare_init(loop, &turn));
    check("uv_prepare_start", uv_prepare_start(&turn, on_turn));
    open_listener(loop);
    uv_run(loop, UV_RUN_DEFAULT);
    echo_report(syscalls);
    return 0;
}

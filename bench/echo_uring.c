/*
 * An echo server written straight on liburing: the yardstick for the library's echo.
 *
 * The model: one ring; one accept always armed; per connection one operation in flight, recv, then
 * send, then recv. A pass is one io_uring_enter that submits what the last pass prepared, runs the
 * deferred task work and waits for at least one completion; then all completions are handled in
 * place and their slots are given back at once.
 *
 * The setup flags and the registered ring descriptor are those of the io_uring backend, and so are
 * the operations: no multishot, no provided buffers, no fixed files. The yardstick has to do the
 * same work, or the ratio would compare two kernels' features instead of two loops.
 */
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo_server.h"

enum {
    SQ_ENTRIES = 256,
    CQ_ENTRIES = 4096,
};

enum state {
    STATE_RECV,
    STATE_SEND,
};

struct connection {
    int fd;
    enum state state;
    uint32_t length; /* bytes received that are to be echoed */
    uint32_t sent;   /* of these, how many the kernel has taken */
    char buffer[ECHO_BUFFER_BYTES];
};

static struct io_uring ring;
static int listener;
static uint64_t enters;
static uint64_t connections;
static uint64_t accepted;

static _Noreturn void die(const char *operation, int error)
{
    echo_die("echo_uring", operation, error);
}

static struct io_uring_sqe *next_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe == NULL) {
        int submitted = io_uring_submit(&ring);
        enters++;
        sqe = io_uring_get_sqe(&ring);
        if (sqe == NULL)
            die("io_uring_submit of a full queue", submitted < 0 ? submitted : -EBUSY);
    }
    return sqe;
}

/* The accept is the operation without a connection: its user data is NULL. */
static void submit_accept(void)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data(sqe, NULL);
}

static void submit_recv(struct connection *connection)
{
    struct io_uring_sqe *sqe = next_sqe();
    connection->state = STATE_RECV;
    io_uring_prep_recv(sqe, connection->fd, connection->buffer, sizeof connection->buffer, 0);
    io_uring_sqe_set_data(sqe, connection);
}

static void submit_send(struct connection *connection)
{
    struct io_uring_sqe *sqe = next_sqe();
    connection->state = STATE_SEND;
    io_uring_prep_send(sqe, connection->fd, connection->buffer + connection->sent,
                       connection->length - connection->sent, MSG_NOSIGNAL);
    io_uring_sqe_set_data(sqe, connection);
}

static void on_accept(int result)
{
    if (result < 0)
        die("accept", result);
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL)
        die("malloc of a connection", -ENOMEM);
    connection->fd = result;
    connections++;
    accepted++;
    const int on = 1;
    if (setsockopt(result, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        die("setsockopt TCP_NODELAY", -errno);
    submit_recv(connection);
    submit_accept();
}

static void disconnect(struct connection *connection)
{
    close(connection->fd);
    free(connection);
    connections--;
}

static void on_transfer(struct connection *connection, int result)
{
    if (result <= 0) {
        if (result < 0 && result != -ECONNRESET && result != -EPIPE)
            die(connection->state == STATE_RECV ? "recv" : "send", result);
        disconnect(connection);
        return;
    }
    if (connection->state == STATE_RECV) {
        connection->length = (uint32_t)result;
        connection->sent = 0;
        submit_send(connection);
        return;
    }
    connection->sent += (uint32_t)result;
    if (connection->sent < connection->length)
        submit_send(connection);
    else
        submit_recv(connection);
}

/* One enter, then everything it brought. */
static void pass(void)
{
    int submitted = io_uring_submit_and_wait(&ring, 1);
    enters++;
    if (submitted < 0 && submitted != -EINTR)
        die("io_uring_submit_and_wait", submitted);
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe (&ring, head, cqe) {
        struct connection *connection = io_uring_cqe_get_data(cqe);
        if (connection == NULL)
            on_accept(cqe->res);
        else
            on_transfer(connection, cqe->res);
        count++;
    }
    io_uring_cq_advance(&ring, count);
}

static void open_ring(void)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                 IORING_SETUP_CLAMP,
        .cq_entries = CQ_ENTRIES,
    };
    int result = io_uring_queue_init_params(SQ_ENTRIES, &ring, &params);
    if (result < 0)
        die("io_uring_queue_init_params (Linux 6.1 or later is needed)", result);
    result = io_uring_register_ring_fd(&ring);
    if (result < 0)
        die("io_uring_register_ring_fd", result);
}

static void open_listener(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        die("socket", -errno);
    if (bind(listener, (struct sockaddr *)&address, length) != 0)
        die("bind to 127.0.0.1", -errno);
    if (listen(listener, ECHO_BACKLOG) != 0)
        die("listen", -errno);
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        die("getsockname", -errno);
    echo_announce(ntohs(address.sin_port));
}

int main(void)
{
    open_ring();
    open_listener();
    submit_accept();
    do {
        pass();
    } while (connections > 0 || accepted == 0);
    echo_report(enters);
    io_uring_queue_exit(&ring);
    close(listener);
    return 0;
}

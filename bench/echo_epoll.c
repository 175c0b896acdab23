/*
 * An echo server written straight on epoll: the yardstick for the library's echo on epoll.
 *
 * The model: one level-triggered epoll instance; each connection stays registered for reading, so
 * that an exchange of messages changes nothing there. A report that it can be read is one recv of
 * what is there, and one send of it at once. What a socket does not take waits: then the connection
 * is registered for writing instead, because its one buffer is full, until the rest has gone.
 *
 * Nothing is tried in vain: after a short recv the next one waits for a report. That is what the
 * library does, too, and what libuv does; a server that reads until EAGAIN would be slower.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo_server.h"

enum {
    EVENTS_MAX = 256,
};

struct connection {
    int fd;
    bool blocked;    /* registered for writing, with bytes left to send */
    uint32_t length; /* bytes received that are to be echoed */
    uint32_t sent;   /* of these, how many the kernel has taken */
    char buffer[ECHO_BUFFER_BYTES];
};

static int poller;
static int listener;
static uint64_t syscalls;
static uint64_t connections;
static uint64_t accepted;

static _Noreturn void die(const char *operation, int error)
{
    echo_die("echo_epoll", operation, error);
}

/* The listener is the registration without a connection: its data is NULL. */
static void control(int operation, int fd, uint32_t events, struct connection *connection)
{
    struct epoll_event event = {.events = events, .data = {.ptr = connection}};
    syscalls++;
    if (epoll_ctl(poller, operation, fd, &event) != 0)
        die("epoll_ctl", -errno);
}

static void disconnect(struct connection *connection)
{
    close(connection->fd);
    free(connection);
    connections--;
}

static void set_blocked(struct connection *connection, bool blocked)
{
    if (connection->blocked == blocked)
        return;
    connection->blocked = blocked;
    control(EPOLL_CTL_MOD, connection->fd, blocked ? EPOLLOUT : EPOLLIN, connection);
}

static void send_rest(struct connection *connection)
{
    while (connection->sent < connection->length) {
        ssize_t result = send(connection->fd, connection->buffer + connection->sent,
                              connection->length - connection->sent, MSG_NOSIGNAL);
        syscalls++;
        if (result >= 0) {
            connection->sent += (uint32_t)result;
        } else if (errno == EAGAIN) {
            set_blocked(connection, true);
            return;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            disconnect(connection);
            return;
        } else {
            die("send", -errno);
        }
    }
    set_blocked(connection, false);
}

static void receive(struct connection *connection)
{
    ssize_t result = recv(connection->fd, connection->buffer, sizeof connection->buffer, 0);
    syscalls++;
    if (result > 0) {
        connection->length = (uint32_t)result;
        connection->sent = 0;
        send_rest(connection);
    } else if (result == 0 || errno == ECONNRESET) {
        disconnect(connection);
    } else if (errno != EAGAIN) {
        die("recv", -errno);
    }
}

static void add_connection(int fd)
{
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL)
        die("malloc of a connection", -ENOMEM);
    connection->fd = fd;
    connection->blocked = false;
    connections++;
    accepted++;
    const int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        die("setsockopt TCP_NODELAY", -errno);
    control(EPOLL_CTL_ADD, fd, EPOLLIN, connection);
}

static void on_listener(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    syscalls++;
    if (fd >= 0)
        add_connection(fd);
    else if (errno != EAGAIN)
        die("accept4", -errno);
}

/* One wait, then everything it brought. */
static void pass(void)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(poller, events, EVENTS_MAX, -1);
    syscalls++;
    if (count < 0 && errno != EINTR)
        die("epoll_wait", -errno);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (connection == NULL)
            on_listener();
        else if (connection->blocked)
            send_rest(connection);
        else
            receive(connection);
    }
}

static void open_listener(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        die("socket", -errno);
    if (bind(listener, (struct sockaddr *)&address, length) != 0)
        die("bind to 127.0.0.1", -errno);
    if (listen(listener, ECHO_BACKLOG) != 0)
        die("listen", -errno);
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        die("getsockname", -errno);
    control(EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    echo_announce(ntohs(address.sin_port));
}

int main(void)
{
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        die("epoll_create1", -errno);
    open_listener();
    do {
        pass();
    } while (connections > 0 || accepted == 0);
    echo_report(syscalls);
    close(poller);
    close(listener);
    return 0;
}

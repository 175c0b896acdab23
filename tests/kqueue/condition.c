/*
 * condition.c: EVFILT_READ and EVFILT_WRITE as BSD's sockets, pipes and files mean them, by the
 * means of Linux.
 *
 * poll(2) alone does not do: it calls a socket that was never connected hung up (BSD: not ready), a
 * pipe's end that was opened for the other direction broken (BSD: never ready), and does not say
 * which direction of a connection has ended. What it leaves open is asked elsewhere:
 *
 * - TCP: the state of the connection (TCP_INFO). Our direction has ended in all states after
 *   shutdown(SHUT_WR), and once a connection or an attempt at one is over.
 * - Unix streams: a send of 0 bytes, which does nothing but find that it may not (EPIPE).
 * - The pending error: only SO_ERROR tells, and clears what it tells; BSD leaves it for the
 *   program. So it is inferred while POLLERR says that there is one: a TCP connection was refused
 *   if the reset was the first segment that came in (ECONNREFUSED), it timed out if none did
 *   (ETIMEDOUT), and was reset if there were more (ECONNRESET: BSD's answer also where Linux gives
 *   EPIPE, after the peer's FIN). A Unix stream was reset. The program's getsockopt, recv and send
 *   find the error where it was; after that it is gone here too, as on BSD.
 *
 * What stays different: a peer's shutdown(SHUT_RD) of a Unix stream ends our direction at once
 * (BSD: with the next send), the shutdown of a datagram socket's sending direction is not seen, and
 * data of EVFILT_WRITE is an estimate, at least 1.
 */
#define _GNU_SOURCE 1

#include "condition.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The states of TCP_INFO, of which <linux/tcp.h> has no list. */
enum tcp_state {
    TCP_IS_ESTABLISHED = 1,
    TCP_IS_SYN_SENT = 2,
    TCP_IS_SYN_RECEIVED = 3,
    TCP_IS_CLOSED = 7,
    TCP_IS_CLOSE_WAIT = 8,
    TCP_IS_LISTENING = 10,
};

static bool polls(int descriptor, short events)
{
    struct pollfd poller = {.fd = descriptor, .events = events};
    return poll(&poller, 1, 0) == 1 && (poller.revents & events) != 0;
}

static int ioctl_number(int descriptor, unsigned long request)
{
    int number = 0;
    return ioctl(descriptor, request, &number) == 0 ? number : 0;
}

static int option(int socket, int name)
{
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(socket, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
}

static bool is_tcp(int socket)
{
    return option(socket, SO_PROTOCOL) == IPPROTO_TCP;
}

static struct tcp_info tcp_info(int socket)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    (void)getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info;
}

static unsigned int pending_error(int socket)
{
    if (!polls(socket, POLLERR))
        return 0;
    if (!is_tcp(socket))
        return ECONNRESET;
    const unsigned int segments = tcp_info(socket).tcpi_segs_in;
    if (segments == 0)
        return ETIMEDOUT;
    return segments == 1 ? ECONNREFUSED : ECONNRESET;
}

static intptr_t at_least_1(intptr_t number)
{
    return number > 1 ? number : 1;
}

/* ---- read ------------------------------------------------------------------------------------ */

static struct condition read_listener(int socket)
{
    struct condition condition = {.ready = polls(socket, POLLIN)};

    if (condition.ready)
        condition.data = at_least_1(is_tcp(socket) ? tcp_info(socket).tcpi_unacked : 1);
    return condition;
}

static struct condition read_socket(int socket)
{
    struct condition condition = {.eof = polls(socket, POLLRDHUP)};

    if (option(socket, SO_ACCEPTCONN) != 0)
        return read_listener(socket);
    condition.data = ioctl_number(socket, FIONREAD);
    condition.error = condition.eof ? pending_error(socket) : 0;
    condition.ready = condition.eof || polls(socket, POLLIN | POLLERR);
    return condition;
}

static struct condition read_pipe(int pipe)
{
    struct condition condition = {0};

    if ((fcntl(pipe, F_GETFL) & O_ACCMODE) == O_WRONLY)
        return condition;
    condition.data = ioctl_number(pipe, FIONREAD);
    condition.eof = polls(pipe, POLLHUP);
    condition.ready = condition.eof || condition.data > 0;
    return condition;
}

static struct condition read_file(int file, const struct stat *status)
{
    const intptr_t left = status->st_size - lseek(file, 0, SEEK_CUR);
    return (struct condition){.ready = left != 0, .data = left};
}

struct condition condition_of_read(int descriptor)
{
    struct stat status;

    if (fstat(descriptor, &status) != 0)
        return (struct condition){0};
    if (S_ISSOCK(status.st_mode))
        return read_socket(descriptor);
    if (S_ISFIFO(status.st_mode))
        return read_pipe(descriptor);
    if (S_ISREG(status.st_mode))
        return read_file(descriptor, &status);
    return (struct condition){
        .ready = polls(descriptor, POLLIN | POLLHUP | POLLERR),
        .eof = polls(descriptor, POLLHUP),
        .data = ioctl_number(descriptor, FIONREAD),
    };
}

/* ---- write ----------------------------------------------------------------------------------- */

/* Whether a connection stands, and whether our direction of it has ended. */
struct sending {
    bool possible;
    bool ended;
};

static struct sending tcp_sending(int socket)
{
    switch ((enum tcp_state)tcp_info(socket).tcpi_state) {
    case TCP_IS_ESTABLISHED:
    case TCP_IS_CLOSE_WAIT:
        return (struct sending){.possible = true};
    case TCP_IS_SYN_SENT:
    case TCP_IS_SYN_RECEIVED:
    case TCP_IS_LISTENING:
        return (struct sending){0};
    case TCP_IS_CLOSED: /* never opened, if the other direction has not ended either */
        return (struct sending){.ended = polls(socket, POLLRDHUP)};
    default:
        return (struct sending){.ended = true};
    }
}

static struct sending stream_sending(int socket)
{
    const ssize_t sent = send(socket, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL);
    return (struct sending){.possible = sent == 0, .ended = sent < 0 && errno == EPIPE};
}

static struct sending sending(int socket)
{
    const int type = option(socket, SO_TYPE);

    if (is_tcp(socket))
        return tcp_sending(socket);
    if (type == SOCK_STREAM && option(socket, SO_DOMAIN) == AF_UNIX)
        return stream_sending(socket);
    if (type == SOCK_DGRAM)
        return (struct sending){.possible = true};
    return (struct sending){.possible = !polls(socket, POLLHUP),
                            .ended = polls(socket, POLLHUP) && polls(socket, POLLRDHUP)};
}

static struct condition write_socket(int socket)
{
    const struct sending direction = sending(socket);
    struct condition condition = {.eof = direction.ended};

    condition.error = condition.eof ? pending_error(socket) : 0;
    condition.ready =
        direction.ended || polls(socket, POLLERR) || (direction.possible && polls(socket, POLLOUT));
    condition.data = at_least_1(option(socket, SO_SNDBUF) - ioctl_number(socket, SIOCOUTQ));
    return condition;
}

static struct condition write_pipe(int pipe)
{
    struct condition condition = {0};

    if ((fcntl(pipe, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return condition;
    condition.eof = polls(pipe, POLLERR);
    condition.ready = condition.eof || polls(pipe, POLLOUT);
    condition.data = at_least_1(fcntl(pipe, F_GETPIPE_SZ) - ioctl_number(pipe, FIONREAD));
    return condition;
}

struct condition condition_of_write(int descriptor)
{
    struct stat status;

    if (fstat(descriptor, &status) != 0)
        return (struct condition){0};
    if (S_ISSOCK(status.st_mode))
        return write_socket(descriptor);
    if (S_ISFIFO(status.st_mode))
        return write_pipe(descriptor);
    return (struct condition){.ready = polls(descriptor, POLLOUT | POLLHUP | POLLERR)};
}

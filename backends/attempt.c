/*
 * attempt.c: see attempt.h. A table with one small function per operation.
 *
 * Invariants: nothing here waits, raises SIGPIPE or leaves a descriptor open across an exec. What
 * an attempt that is not ready wrote into the operation's structs, a later one writes again.
 */
#define _GNU_SOURCE 1 /* accept4 */

#include "attempt.h"

#include "posix.h"
#include "sigpipe.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* macOS has no flag for it: there each socket carries an option instead (SO_NOSIGPIPE). */
#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0
#endif

static int64_t answer(int64_t result)
{
    if (result >= 0)
        return result;
    return errno == EAGAIN || errno == EWOULDBLOCK ? ORR__NOT_READY : -(int64_t)errno;
}

/* ---- connections ----------------------------------------------------------------------------- */

/* accept4 is on Linux and the BSDs; macOS needs more calls, in which a peer that has reset the
 * connection by then makes an option answer EINVAL. */
static int accept_one(int listener, struct sockaddr *address, socklen_t *length)
{
#if defined(__APPLE__)
    const int descriptor = accept(listener, address, length);
    if (descriptor < 0)
        return -1;
    const int error = orr__posix_prepare_socket(descriptor);
    if (error == 0 && orr__descriptor_block(descriptor, false) >= 0)
        return descriptor;
    (void)close(descriptor);
    errno = error == -EINVAL ? ECONNABORTED : error != 0 ? -error : EIO;
    return -1;
#else
    return accept4(listener, address, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
#endif
}

static int64_t attempt_accept(const struct orr_request *request)
{
    struct orr_address *peer = request->arguments.peer.accepted;

    if (peer == NULL)
        return answer(accept_one(request->descriptor, NULL, NULL));
    socklen_t length = sizeof peer->storage;
    const int64_t result =
        answer(accept_one(request->descriptor, (struct sockaddr *)peer->storage.bytes, &length));
    peer->length = result >= 0 ? length : 0;
    return result;
}

static int64_t connect_once(const struct orr_request *request)
{
    const struct orr_address *target = request->arguments.peer.target;

    if (connect(request->descriptor, (const struct sockaddr *)target->storage.bytes,
                target->length) == 0)
        return 0;
    return errno == EINPROGRESS ? ORR__NOT_READY : -(int64_t)errno;
}

/* EAGAIN is an answer here: no room in a Unix listener's backlog, which no event tells the end of.
 * ECONNABORTED: Linux has just let go of an attempt whose failure was told before. */
static int64_t attempt_connect(const struct orr_request *request)
{
    const int64_t result = connect_once(request);

    return result == -ECONNABORTED ? connect_once(request) : result;
}

/* Takes the socket's error away; a report may have brought it before, and emptied it or not. */
static int64_t connect_error(int descriptor, int reported)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return -errno;
    return -(int64_t)(reported != 0 ? reported : error);
}

#if defined(__linux__)

/*
 * A failure is read and no more: calling connect again would disconnect the socket, and the next
 * receive would not hear of the end. Success must be asked for by that call: only then is the
 * socket connected in the eyes of the next one. EISCONN: another connect has ended it.
 * ECONNABORTED: the error was taken away by another operation.
 */
int64_t orr__attempt_connected(const struct orr_completion *completion, int error)
{
    int64_t result = connect_error(completion->request.descriptor, error);

    if (result == 0)
        result = connect_once(&completion->request);
    if (result == -EISCONN)
        return 0;
    return result == -EALREADY ? ORR__NOT_READY : result;
}

#else

/* Whether a socket without a peer goes on connecting. */
static bool connects_on(int descriptor)
{
    struct pollfd look = {.fd = descriptor, .events = POLLOUT};

    return poll(&look, 1, 0) == 0 || (look.revents & (POLLHUP | POLLERR)) == 0;
}

/*
 * The report's own error comes first: reading it may have emptied SO_ERROR. Without any error, only
 * a peer's address proves that it is not an old report, from before the connect. A socket that is
 * hung up without one was shut down, or its error went to another operation.
 */
int64_t orr__attempt_connected(const struct orr_completion *completion, int error)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    const int descriptor = completion->request.descriptor;
    const int64_t result = connect_error(descriptor, error);

    if (result != 0)
        return result;
    if (getpeername(descriptor, (struct sockaddr *)&peer, &size) == 0)
        return 0;
    if (errno != ENOTCONN)
        return -(int64_t)errno;
    return connects_on(descriptor) ? ORR__NOT_READY : -ECONNRESET;
}

#endif

/* ---- transfers ------------------------------------------------------------------------------- */

static int64_t attempt_recv(const struct orr_request *request)
{
    return answer(recv(request->descriptor, request->arguments.transfer.buffer,
                       request->arguments.transfer.length, 0));
}

static int64_t attempt_send(const struct orr_request *request)
{
    return answer(send(request->descriptor, request->arguments.transfer.data,
                       request->arguments.transfer.length, MSG_NOSIGNAL));
}

static int64_t attempt_recv_from(const struct orr_request *request)
{
    struct orr_datagram *datagram = request->arguments.datagram;
    struct iovec vector = {.iov_base = datagram->buffer, .iov_len = datagram->length};
    struct msghdr message = {.msg_name = datagram->peer.storage.bytes,
                             .msg_namelen = sizeof datagram->peer.storage,
                             .msg_iov = &vector,
                             .msg_iovlen = 1};
    const int64_t result = answer(recvmsg(request->descriptor, &message, 0));

    datagram->peer.length = result >= 0 ? message.msg_namelen : 0;
    datagram->truncated = result >= 0 && (message.msg_flags & MSG_TRUNC) != 0;
    return result;
}

static int64_t attempt_send_to(const struct orr_request *request)
{
    struct orr_datagram *datagram = request->arguments.datagram;
    struct iovec vector = {.iov_base = datagram->buffer, .iov_len = datagram->length};
    const socklen_t length = datagram->peer.length;
    const struct msghdr message = {.msg_name = length > 0 ? datagram->peer.storage.bytes : NULL,
                                   .msg_namelen = length,
                                   .msg_iov = &vector,
                                   .msg_iovlen = 1};

    return answer(sendmsg(request->descriptor, &message, MSG_NOSIGNAL));
}

/* A write to a socket, as a send, which can say that it wants no signal. */
static int64_t attempt_writev_socket(const struct orr_request *request)
{
    struct msghdr message = {.msg_iov = NULL};
    /* Its type differs from system to system; the number is small. */
    message.msg_iovlen = (__typeof__(message.msg_iovlen))request->arguments.transfer.length;

    memcpy(&message.msg_iov, &request->arguments.transfer.vectors, sizeof message.msg_iov);
    return answer(sendmsg(request->descriptor, &message, MSG_NOSIGNAL));
}

/* Reads and writes of what has no offsets: they are ignored, as with a kernel's own positioned
 * calls. */
static int64_t attempt_stream(const struct orr_request *request)
{
    const struct iovec *vectors = (const struct iovec *)request->arguments.transfer.vectors;
    const uint32_t length = request->arguments.transfer.length; /* vectors: their number */

    switch (request->op) {
    case ORR_OP_READ:
        return answer(read(request->descriptor, request->arguments.transfer.buffer, length));
    case ORR_OP_WRITE:
        return answer(write(request->descriptor, request->arguments.transfer.data, length));
    case ORR_OP_READV:
        return answer(readv(request->descriptor, vectors, (int)length));
    default:
        return answer(writev(request->descriptor, vectors, (int)length));
    }
}

/* ---- polls ----------------------------------------------------------------------------------- */

static int64_t attempt_poll(const struct orr_request *request)
{
    struct pollfd look = {.fd = request->descriptor,
                          .events = orr__posix_poll_events(request->arguments.events)};
    const int count = poll(&look, 1, 0);

    if (count < 0)
        return -errno;
    if (count == 0)
        return ORR__NOT_READY;
    return (look.revents & POLLNVAL) != 0 ? -EBADF : (int64_t)orr__posix_poll_seen(look.revents);
}

/* ---- the table ------------------------------------------------------------------------------- */

static int64_t attempt(const struct orr_request *request, enum orr__kind kind)
{
    const bool is_socket = kind == ORR__KIND_SOCKET;

    switch (request->op) {
    case ORR_OP_ACCEPT:
        return attempt_accept(request);
    case ORR_OP_CONNECT:
        return attempt_connect(request);
    case ORR_OP_RECV:
        return attempt_recv(request);
    case ORR_OP_SEND:
        return attempt_send(request);
    case ORR_OP_RECV_FROM:
        return attempt_recv_from(request);
    case ORR_OP_SEND_TO:
        return attempt_send_to(request);
    case ORR_OP_POLL:
        return attempt_poll(request);
    case ORR_OP_WRITE:
        return is_socket ? attempt_send(request) : attempt_stream(request);
    case ORR_OP_WRITEV:
        return is_socket ? attempt_writev_socket(request) : attempt_stream(request);
    default:
        return attempt_stream(request);
    }
}

/* Whether no flag keeps the operation from raising SIGPIPE. Without such a flag the sockets that
 * were made here have an option against it, but adopted ones may not. */
static bool raises_sigpipe(uint8_t op, enum orr__kind kind)
{
    const bool writes = op == ORR_OP_WRITE || op == ORR_OP_WRITEV;

    if (MSG_NOSIGNAL == 0)
        return writes || op == ORR_OP_SEND || op == ORR_OP_SEND_TO;
    return writes && kind != ORR__KIND_SOCKET;
}

int64_t orr__attempt(const struct orr_completion *completion, enum orr__kind kind)
{
    const struct orr_request *request = &completion->request;
    struct orr__sigpipe hold;

    if (!raises_sigpipe(request->op, kind))
        return attempt(request, kind);
    orr__sigpipe_hold(&hold);
    const int64_t result = attempt(request, kind);
    orr__sigpipe_release(&hold);
    return result;
}

void orr__attempt_failed(const struct orr_completion *completion)
{
    const union orr_arguments *arguments = &completion->request.arguments;

    if (completion->request.op == ORR_OP_ACCEPT && arguments->peer.accepted != NULL)
        arguments->peer.accepted->length = 0;
    if (completion->request.op == ORR_OP_RECV_FROM) {
        arguments->datagram->peer.length = 0;
        arguments->datagram->truncated = false;
    }
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static enum orr__kind kind_of(mode_t mode)
{
    if (S_ISSOCK(mode))
        return ORR__KIND_SOCKET;
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode) ? ORR__KIND_FILE : ORR__KIND_STREAM;
}

int orr__descriptor_identify(int32_t descriptor, struct orr__identity *ret_identity)
{
    struct stat status;

    if (fstat(descriptor, &status) != 0)
        return -errno;
    *ret_identity = (struct orr__identity){
        .kind = kind_of(status.st_mode),
        .device = (uint64_t)status.st_dev,
        .inode = (uint64_t)status.st_ino,
    };
    return 0;
}

int orr__descriptor_block(int32_t descriptor, bool blocks)
{
    const int flags = fcntl(descriptor, F_GETFL);
    const int wanted = blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;

    if (flags < 0)
        return -errno;
    if (wanted == flags)
        return 0;
    return fcntl(descriptor, F_SETFL, wanted) == 0 ? 1 : -errno;
}

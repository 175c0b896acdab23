/*
 * uring_prepare.c: requests become submission entries, completion entries become results.
 *
 * The model: a table with one small function per operation, and the opcode beside it, which open
 * probes.
 *
 * Invariants: the kernel reads addresses, headers and paths when the entry is handed over, and
 * writes lengths, headers and records when the operation ends. So whatever it writes lies in the
 * caller's structs (`backend` in orr_datagram and orr_stat), never on a stack. No entry but a write
 * can raise SIGPIPE, no descriptor survives an exec, and no flag asks for more than one attempt
 * (MSG_WAITALL): whole transfers are the loop's.
 */
#define _GNU_SOURCE 1 /* statx */

#include "posix.h"
#include "uring.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Linux 6.9; liburing 2.3 has no name for it. */
#define OPCODE_FTRUNCATE 55

/* orr_datagram.backend in flight. */
struct headers {
    struct msghdr message;
    struct iovec vector;
};

_Static_assert(sizeof(struct headers) <= sizeof(((struct orr_datagram *)NULL)->backend),
               "an orr_datagram has room for the kernel's headers");
_Static_assert(sizeof(struct statx) <= sizeof(((struct orr_stat *)NULL)->backend),
               "an orr_stat has room for the kernel's record");
_Static_assert(sizeof(socklen_t) == sizeof(((struct orr_address *)NULL)->length),
               "the kernel writes the length of an address in place");

/* ---- sockets --------------------------------------------------------------------------------- */

static void prepare_accept(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    struct orr_address *peer = request->arguments.peer.accepted;

    if (peer == NULL) {
        io_uring_prep_accept(sqe, request->descriptor, NULL, NULL, SOCK_CLOEXEC);
        return;
    }
    peer->length = sizeof peer->storage;
    io_uring_prep_accept(sqe, request->descriptor, (struct sockaddr *)peer->storage.bytes,
                         &peer->length, SOCK_CLOEXEC);
}

static void prepare_connect(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    const struct orr_address *target = request->arguments.peer.target;

    io_uring_prep_connect(sqe, request->descriptor, (const struct sockaddr *)target->storage.bytes,
                          target->length);
}

static void prepare_recv(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_recv(sqe, request->descriptor, request->arguments.transfer.buffer,
                       request->arguments.transfer.length, 0);
}

static void prepare_send(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_send(sqe, request->descriptor, request->arguments.transfer.data,
                       request->arguments.transfer.length, MSG_NOSIGNAL);
}

/* Returns where the kernel finds the message header: in the datagram. */
static struct msghdr *fill_headers(struct orr_datagram *datagram, uint32_t name_length)
{
    struct headers *place = (struct headers *)datagram->backend;
    const struct headers headers = {
        .message = {.msg_name = name_length > 0 ? datagram->peer.storage.bytes : NULL,
                    .msg_namelen = name_length,
                    .msg_iov = &place->vector,
                    .msg_iovlen = 1},
        .vector = {.iov_base = datagram->buffer, .iov_len = datagram->length},
    };

    memcpy(datagram->backend, &headers, sizeof headers);
    return &place->message;
}

static void prepare_recv_from(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    struct orr_datagram *datagram = request->arguments.datagram;

    io_uring_prep_recvmsg(sqe, request->descriptor,
                          fill_headers(datagram, sizeof datagram->peer.storage), 0);
}

static void prepare_send_to(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    struct orr_datagram *datagram = request->arguments.datagram;

    io_uring_prep_sendmsg(sqe, request->descriptor, fill_headers(datagram, datagram->peer.length),
                          MSG_NOSIGNAL);
}

static void prepare_shutdown(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_shutdown(sqe, request->descriptor, (int)request->arguments.events);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void prepare_read(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_read(sqe, request->descriptor, request->arguments.transfer.buffer,
                       request->arguments.transfer.length, request->arguments.transfer.offset);
}

static void prepare_write(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_write(sqe, request->descriptor, request->arguments.transfer.data,
                        request->arguments.transfer.length, request->arguments.transfer.offset);
}

static void prepare_readv(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_readv(sqe, request->descriptor,
                        (const struct iovec *)request->arguments.transfer.vectors,
                        request->arguments.transfer.length, request->arguments.transfer.offset);
}

static void prepare_writev(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_writev(sqe, request->descriptor,
                         (const struct iovec *)request->arguments.transfer.vectors,
                         request->arguments.transfer.length, request->arguments.transfer.offset);
}

static void prepare_fsync(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_fsync(sqe, request->descriptor, 0);
}

static void prepare_fdatasync(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_fsync(sqe, request->descriptor, IORING_FSYNC_DATASYNC);
}

static void prepare_truncate(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_rw(OPCODE_FTRUNCATE, sqe, request->descriptor, NULL, 0,
                     request->arguments.range.length);
}

/* Not io_uring_prep_fallocate: liburing 2.3 takes signed offsets there, later ones unsigned. */
static void prepare_allocate(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, request->descriptor, NULL, 0,
                     request->arguments.range.offset);
    sqe->addr = request->arguments.range.length;
}

static void prepare_close(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_close(sqe, request->descriptor);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void prepare_open(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_openat(
        sqe, orr__posix_directory(request->descriptor), request->arguments.path.path,
        orr__posix_open_flags(request->arguments.path.flags), (mode_t)request->arguments.path.mode);
}

static void prepare_stat(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    const char *path = request->arguments.path.path;
    const unsigned wanted =
        STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_MTIME | STATX_INO | STATX_SIZE;

    io_uring_prep_statx(sqe, orr__posix_directory(request->descriptor), path != NULL ? path : "",
                        path != NULL ? 0 : AT_EMPTY_PATH, wanted,
                        (struct statx *)request->arguments.path.stat->backend);
}

static void prepare_rename(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    const int directory = orr__posix_directory(request->descriptor);

    io_uring_prep_renameat(sqe, directory, request->arguments.path.path, directory,
                           request->arguments.path.path_new, 0);
}

static void prepare_link(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    const int directory = orr__posix_directory(request->descriptor);

    io_uring_prep_linkat(sqe, directory, request->arguments.path.path, directory,
                         request->arguments.path.path_new, 0);
}

static void prepare_unlink(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_unlinkat(sqe, orr__posix_directory(request->descriptor),
                           request->arguments.path.path,
                           orr__posix_unlink_flags(request->arguments.path.flags));
}

static void prepare_mkdir(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_mkdirat(sqe, orr__posix_directory(request->descriptor),
                          request->arguments.path.path, (mode_t)request->arguments.path.mode);
}

/* ---- polls ----------------------------------------------------------------------------------- */

static void prepare_poll(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    io_uring_prep_poll_add(sqe, request->descriptor,
                           (unsigned)orr__posix_poll_events(request->arguments.events));
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct {
    uint8_t opcode;
    void (*prepare)(struct io_uring_sqe *sqe, const struct orr_request *request);
} operations[ORR_OP_COUNT] = {
    [ORR_OP_ACCEPT] = {IORING_OP_ACCEPT, prepare_accept},
    [ORR_OP_CONNECT] = {IORING_OP_CONNECT, prepare_connect},
    [ORR_OP_RECV] = {IORING_OP_RECV, prepare_recv},
    [ORR_OP_SEND] = {IORING_OP_SEND, prepare_send},
    [ORR_OP_RECV_FROM] = {IORING_OP_RECVMSG, prepare_recv_from},
    [ORR_OP_SEND_TO] = {IORING_OP_SENDMSG, prepare_send_to},
    [ORR_OP_SHUTDOWN] = {IORING_OP_SHUTDOWN, prepare_shutdown},
    [ORR_OP_READ] = {IORING_OP_READ, prepare_read},
    [ORR_OP_WRITE] = {IORING_OP_WRITE, prepare_write},
    [ORR_OP_READV] = {IORING_OP_READV, prepare_readv},
    [ORR_OP_WRITEV] = {IORING_OP_WRITEV, prepare_writev},
    [ORR_OP_FSYNC] = {IORING_OP_FSYNC, prepare_fsync},
    [ORR_OP_FDATASYNC] = {IORING_OP_FSYNC, prepare_fdatasync},
    [ORR_OP_OPEN] = {IORING_OP_OPENAT, prepare_open},
    [ORR_OP_CLOSE] = {IORING_OP_CLOSE, prepare_close},
    [ORR_OP_STAT] = {IORING_OP_STATX, prepare_stat},
    [ORR_OP_RENAME] = {IORING_OP_RENAMEAT, prepare_rename},
    [ORR_OP_LINK] = {IORING_OP_LINKAT, prepare_link},
    [ORR_OP_UNLINK] = {IORING_OP_UNLINKAT, prepare_unlink},
    [ORR_OP_MKDIR] = {IORING_OP_MKDIRAT, prepare_mkdir},
    [ORR_OP_TRUNCATE] = {OPCODE_FTRUNCATE, prepare_truncate},
    [ORR_OP_ALLOCATE] = {IORING_OP_FALLOCATE, prepare_allocate},
    [ORR_OP_POLL] = {IORING_OP_POLL_ADD, prepare_poll},
};

uint8_t orr__uring_opcode(uint8_t op)
{
    return operations[op].opcode;
}

void orr__uring_prepare(struct io_uring_sqe *sqe, const struct orr_request *request)
{
    operations[request->op].prepare(sqe, request);
}

/* ---- results --------------------------------------------------------------------------------- */

static void take_peer(struct orr_address *peer, int32_t res)
{
    if (peer != NULL && res < 0)
        peer->length = 0;
}

static void take_datagram(struct orr_datagram *datagram, int32_t res)
{
    struct headers headers;

    memcpy(&headers, datagram->backend, sizeof headers);
    datagram->peer.length = res < 0 ? 0 : headers.message.msg_namelen;
    datagram->truncated = res >= 0 && (headers.message.msg_flags & MSG_TRUNC) != 0;
}

static void take_stat(struct orr_stat *ret_stat, int32_t res)
{
    struct statx record;

    if (res < 0)
        return;
    memcpy(&record, ret_stat->backend, sizeof record);
    ret_stat->size = record.stx_size;
    ret_stat->modified_ns =
        record.stx_mtime.tv_sec * (int64_t)ORR_SECOND + (int64_t)record.stx_mtime.tv_nsec;
    ret_stat->inode = record.stx_ino;
    ret_stat->links = record.stx_nlink;
    orr__posix_stat_mode(ret_stat, record.stx_mode);
}

int64_t orr__uring_result(const struct orr_request *request, int32_t res)
{
    switch (request->op) {
    case ORR_OP_ACCEPT:
        take_peer(request->arguments.peer.accepted, res);
        return res;
    case ORR_OP_RECV_FROM:
        take_datagram(request->arguments.datagram, res);
        return res;
    case ORR_OP_STAT:
        take_stat(request->arguments.path.stat, res);
        return res;
    case ORR_OP_POLL:
        return res < 0 ? res : (int64_t)orr__posix_poll_seen((short)res);
    default:
        return res;
    }
}

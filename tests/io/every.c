/*
 * every.c: see every.h. The arguments are static: they outlive every operation.
 */
#include "every.h"

static char bytes[EVERY_LENGTH];
static const struct orr_vector vectors[2] = {{bytes, 40}, {bytes + 40, EVERY_LENGTH - 40}};
static struct orr_datagram datagram = {.buffer = bytes, .length = EVERY_LENGTH};
static struct orr_stat file_stat;
static struct orr_address peer;

static void submit_socket(struct orr_loop *loop, enum orr_op op, struct probe *probe,
                          orr_handle handle)
{
    struct orr_completion *c = &probe->completion;
    switch (op) {
    case ORR_OP_ACCEPT:
        orr_accept(loop, c, handle, &peer, probe_called, probe);
        break;
    case ORR_OP_CONNECT:
        orr_connect(loop, c, handle, &peer, probe_called, probe);
        break;
    case ORR_OP_RECV:
        orr_recv(loop, c, handle, bytes, EVERY_LENGTH, probe_called, probe);
        break;
    case ORR_OP_SEND:
        orr_send(loop, c, handle, bytes, EVERY_LENGTH, probe_called, probe);
        break;
    case ORR_OP_RECV_FROM:
        orr_recv_from(loop, c, handle, &datagram, probe_called, probe);
        break;
    case ORR_OP_SEND_TO:
        orr_send_to(loop, c, handle, &datagram, probe_called, probe);
        break;
    case ORR_OP_SHUTDOWN:
        orr_shutdown(loop, c, handle, ORR_SHUTDOWN_SEND, probe_called, probe);
        break;
    case ORR_OP_POLL:
        orr_poll(loop, c, handle, ORR_POLL_IN, probe_called, probe);
        break;
    default:
        ck_abort_msg("%s has no place here", orr_op_name((uint8_t)op));
    }
}

static void submit_path(struct orr_loop *loop, enum orr_op op, struct probe *probe,
                        orr_handle handle)
{
    struct orr_completion *c = &probe->completion;
    switch (op) {
    case ORR_OP_OPEN:
        orr_open(loop, c, handle, "a", ORR_OPEN_READ, 0, probe_called, probe);
        break;
    case ORR_OP_STAT:
        orr_stat(loop, c, handle, "a", &file_stat, probe_called, probe);
        break;
    case ORR_OP_RENAME:
        orr_rename(loop, c, handle, "a", "b", probe_called, probe);
        break;
    case ORR_OP_LINK:
        orr_link(loop, c, handle, "a", "b", probe_called, probe);
        break;
    case ORR_OP_UNLINK:
        orr_unlink(loop, c, handle, "a", ORR_UNLINK_FILE, probe_called, probe);
        break;
    default:
        orr_mkdir(loop, c, handle, "a", 0755, probe_called, probe);
        break;
    }
}

static void submit_file(struct orr_loop *loop, enum orr_op op, struct probe *probe,
                        orr_handle handle)
{
    struct orr_completion *c = &probe->completion;
    switch (op) {
    case ORR_OP_READ:
        orr_read(loop, c, handle, bytes, EVERY_LENGTH, 0, probe_called, probe);
        break;
    case ORR_OP_WRITE:
        orr_write(loop, c, handle, bytes, EVERY_LENGTH, 0, probe_called, probe);
        break;
    case ORR_OP_READV:
        orr_readv(loop, c, handle, vectors, 2, 0, probe_called, probe);
        break;
    case ORR_OP_WRITEV:
        orr_writev(loop, c, handle, vectors, 2, 0, probe_called, probe);
        break;
    case ORR_OP_FSYNC:
        orr_fsync(loop, c, handle, probe_called, probe);
        break;
    case ORR_OP_FDATASYNC:
        orr_fdatasync(loop, c, handle, probe_called, probe);
        break;
    case ORR_OP_TRUNCATE:
        orr_truncate(loop, c, handle, 1, probe_called, probe);
        break;
    case ORR_OP_ALLOCATE:
        orr_allocate(loop, c, handle, 0, 1, probe_called, probe);
        break;
    case ORR_OP_CLOSE:
        orr_close(loop, c, handle, probe_called, probe);
        break;
    default:
        submit_socket(loop, op, probe, handle);
        break;
    }
}

bool every_takes_path(enum orr_op op)
{
    return op == ORR_OP_OPEN || op == ORR_OP_STAT || op == ORR_OP_RENAME || op == ORR_OP_LINK ||
           op == ORR_OP_UNLINK || op == ORR_OP_MKDIR;
}

void every_submit(struct orr_loop *loop, enum orr_op op, struct probe *probe, orr_handle handle)
{
    if (every_takes_path(op))
        submit_path(loop, op, probe, handle);
    else
        submit_file(loop, op, probe, handle);
}

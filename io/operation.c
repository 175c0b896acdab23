/*
 * operation.c: what is known of each operation beforehand: its name and its declared errors.
 *
 * The errors are a table, not a switch in each backend: whatever number a kernel returns takes the
 * same way to the callback, and a number outside the table is only counted. operations.h lists the
 * ones that a program may want to tell apart.
 */
#include "internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ERRORS_MAX 28
#define RULE_BYTES_MAX 512 /* of what a message tells about a broken rule */

struct operation {
    const char *name;
    int16_t errors[ERRORS_MAX]; /* ended by 0 */
};

static const struct operation operations[ORR_OP_COUNT] = {
    [ORR_OP_NONE] = {"none", {0}},
    [ORR_OP_ACCEPT] = {"accept",
                       {ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL, ENOTSOCK, EOPNOTSUPP,
                        EPERM, EPROTO, EAGAIN}},
    [ORR_OP_CONNECT] = {"connect",
                        {ECONNREFUSED, ETIMEDOUT,     EHOSTUNREACH, ENETUNREACH, ECONNRESET,
                         EADDRINUSE,   EADDRNOTAVAIL, EAFNOSUPPORT, EISCONN,     EALREADY,
                         EINPROGRESS,  ENOENT,        EAGAIN,       EACCES,      EPERM,
                         EPROTOTYPE,   ENOTSOCK,      EINVAL,       ENOBUFS,     ENOMEM,
                         ENOTDIR,      ELOOP,         ENAMETOOLONG}},
    [ORR_OP_RECV] = {"recv",
                     {ECONNRESET, ETIMEDOUT, ECONNREFUSED, ENOTCONN, ENOTSOCK, EHOSTUNREACH, ENOMEM,
                      EAGAIN, EINVAL}},
    [ORR_OP_SEND] = {"send",
                     {EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN, ENOTSOCK, EHOSTUNREACH, ENETUNREACH,
                      ENOBUFS, ENOMEM, EMSGSIZE, EDESTADDRREQ, ECONNREFUSED, EAGAIN, EINVAL}},
    [ORR_OP_RECV_FROM] = {"recv_from",
                          {ECONNREFUSED, ENOMEM, ENOTSOCK, ENOTCONN, EAGAIN, EINVAL, ECONNRESET,
                           ETIMEDOUT}},
    [ORR_OP_SEND_TO] = {"send_to",
                        {EMSGSIZE, ENOBUFS, ENETUNREACH, EHOSTUNREACH, ECONNREFUSED, EPERM, EACCES,
                         EDESTADDRREQ, EAFNOSUPPORT, EINVAL, ENOTSOCK, EISCONN, ENOMEM, EAGAIN,
                         EPIPE, EOPNOTSUPP, ECONNRESET, ETIMEDOUT, ENOTCONN}},
    [ORR_OP_SHUTDOWN] = {"shutdown", {ENOTCONN, ENOTSOCK, EINVAL}},
    [ORR_OP_READ] = {"read",
                     {EIO, EISDIR, EINVAL, ESPIPE, EOVERFLOW, ENXIO, ENOMEM, ENOBUFS, EAGAIN,
                      ECONNRESET, ETIMEDOUT, ENOTCONN, ECONNREFUSED, EHOSTUNREACH}},
    [ORR_OP_WRITE] = {"write",
                      {EIO,          EINVAL,      EFBIG,      ENOSPC,      EDQUOT,   EROFS,
                       EPERM,        ESPIPE,      EOVERFLOW,  ENXIO,       ENOMEM,   ENOBUFS,
                       EAGAIN,       EPIPE,       ECONNRESET, ETIMEDOUT,   ENOTCONN, ECONNREFUSED,
                       EHOSTUNREACH, ENETUNREACH, EMSGSIZE,   EDESTADDRREQ}},
    [ORR_OP_READV] = {"readv",
                      {EIO, EISDIR, EINVAL, ESPIPE, EOVERFLOW, ENXIO, ENOMEM, ENOBUFS, EAGAIN,
                       ECONNRESET, ETIMEDOUT, ENOTCONN, ECONNREFUSED, EHOSTUNREACH}},
    [ORR_OP_WRITEV] = {"writev",
                       {EIO,          EINVAL,      EFBIG,      ENOSPC,      EDQUOT,   EROFS,
                        EPERM,        ESPIPE,      EOVERFLOW,  ENXIO,       ENOMEM,   ENOBUFS,
                        EAGAIN,       EPIPE,       ECONNRESET, ETIMEDOUT,   ENOTCONN, ECONNREFUSED,
                        EHOSTUNREACH, ENETUNREACH, EMSGSIZE,   EDESTADDRREQ}},
    [ORR_OP_FSYNC] = {"fsync", {EIO, ENOSPC, EDQUOT, EROFS, EINVAL}},
    [ORR_OP_FDATASYNC] = {"fdatasync", {EIO, ENOSPC, EDQUOT, EROFS, EINVAL}},
    [ORR_OP_OPEN] = {"open", {ENOENT, EEXIST, EACCES, EPERM, EISDIR, ENOTDIR,      EMFILE,
                              ENFILE, ENOSPC, EDQUOT, EROFS, ELOOP,  ENAMETOOLONG, EINVAL,
                              EIO,    ENOMEM, EBUSY,  ENXIO, EFBIG,  EOVERFLOW,    ETXTBSY}},
    [ORR_OP_CLOSE] = {"close", {EIO, ENOSPC, EDQUOT}},
    [ORR_OP_STAT] = {"stat",
                     {ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EIO, ENOMEM, EOVERFLOW}},
    [ORR_OP_RENAME] = {"rename",
                       {ENOENT, EEXIST, ENOTEMPTY, EISDIR, ENOTDIR, EXDEV, EACCES, EPERM, EBUSY,
                        EINVAL, EROFS, ENOSPC, EDQUOT, ELOOP, ENAMETOOLONG, EMLINK, EIO, ENOMEM}},
    [ORR_OP_LINK] = {"link",
                     {EEXIST, ENOENT, ENOTDIR, EPERM, EXDEV, EMLINK, EACCES, EROFS, ENOSPC, EDQUOT,
                      ELOOP, ENAMETOOLONG, EINVAL, EIO, ENOMEM}},
    [ORR_OP_UNLINK] = {"unlink",
                       {ENOENT, EISDIR, ENOTDIR, ENOTEMPTY, EEXIST, EBUSY, EACCES, EPERM, EROFS,
                        ELOOP, ENAMETOOLONG, EINVAL, EIO, ENOMEM}},
    [ORR_OP_MKDIR] = {"mkdir",
                      {EEXIST, ENOENT, ENOTDIR, ENOSPC, EDQUOT, EROFS, EACCES, EPERM, ELOOP, EMLINK,
                       ENAMETOOLONG, EINVAL, EIO, ENOMEM}},
    [ORR_OP_TRUNCATE] = {"truncate",
                         {EFBIG, EINVAL, EIO, EISDIR, EROFS, ENOSPC, EDQUOT, EPERM, EACCES,
                          ETXTBSY}},
    [ORR_OP_ALLOCATE] = {"allocate",
                         {ENOSPC, EDQUOT, EFBIG, EINVAL, EIO, EISDIR, ENODEV, EOPNOTSUPP, EPERM,
                          EROFS, ESPIPE, ETXTBSY}},
    [ORR_OP_POLL] = {"poll", {ENOMEM, EINVAL}},
    [ORR_OP_TIMEOUT] = {"timeout", {0}},
    [ORR_OP_NEXT_TICK] = {"next_tick", {0}},
    [ORR_OP_WAKE] = {"wait_wake", {0}},
    [ORR_OP_CANCEL] = {"cancel", {EALREADY, ENOENT}},
};

const char *orr_op_name(uint8_t op)
{
    return op < ORR_OP_COUNT ? operations[op].name : "unknown";
}

bool orr_op_declares(uint8_t op, int error)
{
    if (op >= ORR_OP_COUNT || error <= 0)
        return false;
    if (error == EBADF || error == ECANCELED || error == ENOTSUP)
        return true;
    for (int i = 0; i < ERRORS_MAX && operations[op].errors[i] != 0; i++)
        if (operations[op].errors[i] == error)
            return true;
    return false;
}

bool orr_in_flight(const struct orr_completion *completion)
{
    return completion->request.state != ORR__IDLE;
}

void orr__misuse(const struct orr_loop *loop, const char *site, uint8_t op, const char *rule, ...)
{
    char text[RULE_BYTES_MAX];
    const struct orr_backend *backend = loop->backend;
    const char *owner = backend->owner != NULL ? backend->owner(loop->backend_state) : NULL;
    va_list arguments;
    va_start(arguments, rule);
    vsnprintf(text, sizeof text, rule, arguments);
    va_end(arguments);
    orr_fatal("%s at %s%s%s%s: %s", orr_op_name(op), site != NULL ? site : "an unknown line",
              owner != NULL ? " (loop of " : "", owner != NULL ? owner : "",
              owner != NULL ? ")" : "", text);
}

void orr_fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("orrery: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    fflush(stderr);
    abort();
}

void orr_options_error(const struct orr_options *options, const char *format, ...)
{
    if (options == NULL || options->error == NULL || options->error_size == 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(options->error, options->error_size, format, arguments);
    va_end(arguments);
}

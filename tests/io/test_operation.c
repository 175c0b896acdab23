/*
 * test_operation.c: names and declared errors (io/operation.c, io/error.c), and the way of every
 * error of every operation to its callback. What is declared is stated here a second time, from
 * operations.h's comments, so that neither list can change alone.
 */
#include "tests/io/dies.h"
#include "tests/io/every.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ERRORS_LAST 133 /* the last that Linux has */

/* What operations.h declares of each, beside EBADF, ECANCELED and ENOTSUP, which all have. */
static const struct {
    enum orr_op op;
    const char *name;
    const char *errors;
} declared[] = {
    {ORR_OP_ACCEPT, "accept",
     "ECONNABORTED EMFILE ENFILE ENOBUFS ENOMEM EINVAL ENOTSOCK EOPNOTSUPP EPERM EPROTO"},
    {ORR_OP_CONNECT, "connect",
     "ECONNREFUSED ETIMEDOUT EHOSTUNREACH ENETUNREACH ECONNRESET EADDRINUSE EADDRNOTAVAIL "
     "EAFNOSUPPORT EISCONN EALREADY ENOENT ENOTDIR ELOOP ENAMETOOLONG EAGAIN EACCES EPERM "
     "EPROTOTYPE "
     "ENOTSOCK"},
    {ORR_OP_RECV, "recv",
     "ECONNRESET ETIMEDOUT ECONNREFUSED ENOTCONN ENOTSOCK EHOSTUNREACH ENOMEM"},
    {ORR_OP_SEND, "send",
     "EPIPE ECONNRESET ETIMEDOUT ENOTCONN ENOTSOCK EHOSTUNREACH ENETUNREACH ENOBUFS ENOMEM "
     "EMSGSIZE "
     "EDESTADDRREQ ECONNREFUSED"},
    {ORR_OP_RECV_FROM, "recv_from", "ECONNREFUSED ENOMEM ENOTSOCK"},
    {ORR_OP_SEND_TO, "send_to",
     "EMSGSIZE ENOBUFS ENETUNREACH EHOSTUNREACH ECONNREFUSED EPERM EACCES EDESTADDRREQ "
     "EAFNOSUPPORT "
     "EINVAL ENOTSOCK EISCONN ENOMEM"},
    {ORR_OP_SHUTDOWN, "shutdown", "ENOTCONN ENOTSOCK EINVAL"},
    {ORR_OP_READ, "read",
     "EIO EISDIR EINVAL ESPIPE EOVERFLOW ENXIO ENOMEM ENOBUFS EAGAIN ECONNRESET ETIMEDOUT "
     "ENOTCONN ECONNREFUSED EHOSTUNREACH"},
    {ORR_OP_WRITE, "write",
     "EIO EINVAL EFBIG ENOSPC EDQUOT EROFS EPERM ESPIPE EOVERFLOW ENXIO ENOMEM ENOBUFS EAGAIN "
     "EPIPE ECONNRESET ETIMEDOUT ENOTCONN ECONNREFUSED EHOSTUNREACH ENETUNREACH EMSGSIZE "
     "EDESTADDRREQ"},
    {ORR_OP_READV, "readv",
     "EIO EISDIR EINVAL ESPIPE EOVERFLOW ENXIO ENOMEM ENOBUFS EAGAIN ECONNRESET ETIMEDOUT "
     "ENOTCONN ECONNREFUSED EHOSTUNREACH"},
    {ORR_OP_WRITEV, "writev",
     "EIO EINVAL EFBIG ENOSPC EDQUOT EROFS EPERM ESPIPE EOVERFLOW ENXIO ENOMEM ENOBUFS EAGAIN "
     "EPIPE ECONNRESET ETIMEDOUT ENOTCONN ECONNREFUSED EHOSTUNREACH ENETUNREACH EMSGSIZE "
     "EDESTADDRREQ"},
    {ORR_OP_FSYNC, "fsync", "EIO ENOSPC EDQUOT EROFS EINVAL"},
    {ORR_OP_FDATASYNC, "fdatasync", "EIO ENOSPC EDQUOT EROFS EINVAL"},
    {ORR_OP_OPEN, "open",
     "ENOENT EEXIST EACCES EPERM EISDIR ENOTDIR EMFILE ENFILE ENOSPC EDQUOT EROFS ELOOP "
     "ENAMETOOLONG "
     "EINVAL EIO ENOMEM EBUSY ENXIO EFBIG EOVERFLOW ETXTBSY"},
    {ORR_OP_CLOSE, "close", "EIO ENOSPC EDQUOT"},
    {ORR_OP_STAT, "stat", "ENOENT ENOTDIR EACCES ELOOP ENAMETOOLONG EIO ENOMEM EOVERFLOW"},
    {ORR_OP_RENAME, "rename",
     "ENOENT EEXIST ENOTEMPTY EISDIR ENOTDIR EXDEV EACCES EPERM EBUSY EINVAL EROFS ENOSPC EDQUOT "
     "ELOOP ENAMETOOLONG EMLINK EIO ENOMEM"},
    {ORR_OP_LINK, "link",
     "EEXIST ENOENT ENOTDIR EPERM EXDEV EMLINK EACCES EROFS ENOSPC EDQUOT ELOOP ENAMETOOLONG "
     "EINVAL "
     "EIO ENOMEM"},
    {ORR_OP_UNLINK, "unlink",
     "ENOENT EISDIR ENOTDIR ENOTEMPTY EEXIST EBUSY EACCES EPERM EROFS ELOOP ENAMETOOLONG EINVAL "
     "EIO "
     "ENOMEM"},
    {ORR_OP_MKDIR, "mkdir",
     "EEXIST ENOENT ENOTDIR ENOSPC EDQUOT EROFS EACCES EPERM ELOOP EMLINK ENAMETOOLONG EINVAL EIO "
     "ENOMEM"},
    {ORR_OP_TRUNCATE, "truncate",
     "EFBIG EINVAL EIO EISDIR EROFS ENOSPC EDQUOT EPERM EACCES ETXTBSY"},
    {ORR_OP_ALLOCATE, "allocate",
     "ENOSPC EDQUOT EFBIG EINVAL EIO EISDIR ENODEV EOPNOTSUPP EPERM EROFS ESPIPE ETXTBSY"},
    {ORR_OP_POLL, "poll", ""},
    {ORR_OP_TIMEOUT, "timeout", ""},
    {ORR_OP_NEXT_TICK, "next_tick", ""},
    {ORR_OP_WAKE, "wait_wake", ""},
    {ORR_OP_CANCEL, "cancel", "EALREADY ENOENT"},
};

#define DECLARED (sizeof declared / sizeof declared[0])

static bool holds_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(words, word); at != NULL; at = strstr(at + 1, word))
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static bool is_declared(enum orr_op op, int error)
{
    const char *name = orr_error_name(error);
    if (error == EBADF || error == ECANCELED || error == ENOTSUP)
        return true;
    for (size_t i = 0; i < DECLARED; i++)
        if (declared[i].op == op)
            return holds_word(declared[i].errors, name);
    return false;
}

START_TEST(names)
{
    ck_assert_uint_eq(DECLARED, ORR_OP_COUNT - 1);
    for (size_t i = 0; i < DECLARED; i++)
        ck_assert_str_eq(orr_op_name((uint8_t)declared[i].op), declared[i].name);
    ck_assert_str_eq(orr_op_name(ORR_OP_NONE), "none");
    for (uint32_t op = ORR_OP_COUNT; op < 256; op++)
        ck_assert_str_eq(orr_op_name((uint8_t)op), "unknown");
}
END_TEST

START_TEST(what_operations_h_declares_is_declared)
{
    for (enum orr_op op = ORR_OP_ACCEPT; op < ORR_OP_COUNT; op++)
        for (int error = 1; error <= ERRORS_LAST; error++)
            if (is_declared(op, error))
                ck_assert_msg(orr_op_declares((uint8_t)op, error), "%s should declare %s",
                              orr_op_name((uint8_t)op), orr_error_name(error));
    for (uint32_t op = 0; op < 256; op++) {
        must(!orr_op_declares((uint8_t)op, 0));
        must(!orr_op_declares((uint8_t)op, -EIO));
        must(!orr_op_declares((uint8_t)op, 4000));
        must(op < ORR_OP_COUNT || !orr_op_declares((uint8_t)op, EBADF));
    }
}
END_TEST

/* EAGAIN and such can come from adopted descriptors; nothing else is declared in secret. */
START_TEST(what_is_declared_beyond_operations_h)
{
    static const char beyond[] = "EAGAIN ECONNRESET EINPROGRESS EINVAL ENOBUFS ENOMEM ENOTCONN "
                                 "EPIPE ETIMEDOUT";
    for (enum orr_op op = ORR_OP_ACCEPT; op < ORR_OP_COUNT; op++)
        for (int error = 1; error <= ERRORS_LAST; error++)
            if (orr_op_declares((uint8_t)op, error) && !is_declared(op, error))
                ck_assert_msg(holds_word(beyond, orr_error_name(error)), "%s declares %s",
                              orr_op_name((uint8_t)op), orr_error_name(error));
}
END_TEST

START_TEST(error_names)
{
    static const char *const known[] = {
        "EACCES",     "EADDRINUSE", "EAGAIN",       "EBADF",  "ECANCELED", "ECONNREFUSED",
        "ECONNRESET", "EDQUOT",     "EEXIST",       "EINTR",  "EINVAL",    "EIO",
        "EISDIR",     "EMFILE",     "ENAMETOOLONG", "ENOENT", "ENOSPC",    "ENOTSUP",
        "EPIPE",      "ETIMEDOUT",  "EXDEV",
    };
    static const int numbers[] = {
        EACCES,       EADDRINUSE, EAGAIN, EBADF,   ECANCELED, ECONNREFUSED, ECONNRESET,
        EDQUOT,       EEXIST,     EINTR,  EINVAL,  EIO,       EISDIR,       EMFILE,
        ENAMETOOLONG, ENOENT,     ENOSPC, ENOTSUP, EPIPE,     ETIMEDOUT,    EXDEV,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        ck_assert_str_eq(orr_error_name(numbers[i]), known[i]);
    ck_assert_str_eq(orr_error_name(0), "an unknown error");
    ck_assert_str_eq(orr_error_name(-EIO), "an unknown error");
    ck_assert_str_eq(orr_error_name(4000), "an unknown error");
    /* Every declared error has a name. */
    for (enum orr_op op = ORR_OP_ACCEPT; op < ORR_OP_COUNT; op++)
        for (int error = 1; error <= ERRORS_LAST; error++)
            if (orr_op_declares((uint8_t)op, error))
                ck_assert_msg(strcmp(orr_error_name(error), "an unknown error") != 0,
                              "%s declares errno %d, which has no name", orr_op_name((uint8_t)op),
                              error);
}
END_TEST

/* ---- every error of every operation ---------------------------------------------------------- */

static struct stub stub;
static struct orr_loop *loop;

/* The operation ends with this error by way of the backend, at once or by a flush. */
static void check_error(enum orr_op op, int error, enum stub_way way)
{
    struct probe probe = {.calls = 0};
    struct orr_statistics statistics;
    memset(&stub, 0, sizeof stub);
    loop = stub_open(&stub, NULL);
    orr_handle handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    stub.ways[op] = way;
    stub_script(&stub, op, -error);
    every_submit(loop, op, &probe, handle);
    orr_run_until_idle(loop);
    orr_loop_statistics(loop, &statistics);
    uint64_t unexpected = error != EINTR && !orr_op_declares((uint8_t)op, error);
    const char *name = orr_op_name((uint8_t)op);
    must(probe.calls == 1);
    if (error == EINTR) /* tried again; a close is over all the same */
        ck_assert_msg(probe.result >= 0 && statistics.retried == (op != ORR_OP_CLOSE),
                      "%s let EINTR through: %s", name, probe_text(probe.result));
    else
        ck_assert_msg(probe.result == -error, "%s: errno %d arrived as %s", name, error,
                      probe_text(probe.result));
    ck_assert_msg(statistics.unexpected_errors == unexpected, "%s: errno %d was counted %d times",
                  name, error, (int)statistics.unexpected_errors);
    must(statistics.canceled == (error == ECANCELED));
    stub_close(&stub);
}

START_TEST(every_error_of_every_operation_reaches_the_callback)
{
    for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++)
        for (int error = 1; error <= ERRORS_LAST; error++)
            for (enum stub_way way = STUB_ENDS; way <= STUB_AT_ONCE; way += 2)
                check_error(op, error, way);
}
END_TEST

START_TEST(numbers_that_are_no_errno_reach_the_callback_too)
{
    static const int numbers[] = {134, 512, 4095, 4096, 100000, INT32_MAX};
    for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++)
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            check_error(op, numbers[i], STUB_ENDS);
}
END_TEST

/* ---- messages -------------------------------------------------------------------------------- */

static void fatal(void *context)
{
    (void)context;
    orr_fatal("the answer is %d, not %s", 42, "less");
}

START_TEST(fatal_prints_and_aborts)
{
    DIES(fatal, NULL, "orrery: the answer is 42, not less\n");
}
END_TEST

START_TEST(options_error_fits_what_room_there_is)
{
    char text[8] = "????????";
    struct orr_options options = {.error = text, .error_size = sizeof text};
    orr_options_error(NULL, "nobody listens");
    options.error_size = 0;
    orr_options_error(&options, "no room");
    ck_assert_int_eq(text[0], '?');
    options.error_size = sizeof text;
    orr_options_error(&options, "%s", "much too long");
    ck_assert_str_eq(text, "much to");
    options.error = NULL;
    orr_options_error(&options, "nowhere to write");
}
END_TEST

START_TEST(a_completion_is_small)
{
    ck_assert_uint_le(sizeof(struct orr_completion), 128);
    ck_assert_uint_le(sizeof(union orr_arguments), 40);
}
END_TEST

PROBE_MAIN("operation", names, what_operations_h_declares_is_declared,
           what_is_declared_beyond_operations_h, error_names,
           every_error_of_every_operation_reaches_the_callback,
           numbers_that_are_no_errno_reach_the_callback_too, fatal_prints_and_aborts,
           options_error_fits_what_room_there_is, a_completion_is_small)

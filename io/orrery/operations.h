/*
 * operations.h: everything that can be submitted.
 *
 * Every function here hands a completion to the loop and returns at once; the answer comes to
 * `callback` in a later run call, also when the answer is an error. The completion, buffers, paths,
 * addresses and output structs belong to the loop until then. Common to all:
 *
 *   -EBADF      the handle is not open in this loop, or its close was submitted
 *   -ECANCELED  the operation was canceled, its handle closed, or the loop drained
 *   -ENOTSUP    the backend lacks the operation
 *
 * EINTR never arrives, SIGPIPE never fires, every descriptor is close-on-exec. Transfers may be
 * partial: transfer.h has whole ones. Errors beyond those listed can arrive (a driver may invent
 * one); they are counted in orr_statistics.unexpected_errors.
 */
#ifndef ORRERY_OPERATIONS_H
#define ORRERY_OPERATIONS_H

#include <orrery/calls.h>
#include <orrery/completion.h>

ORR_BEGIN

/*
 * Takes one connection from a listening socket. Result: the new handle, blocking for nobody.
 * `ret_peer` (may be NULL) gets its address. -ECONNABORTED (the peer gave up: accept again),
 * -EMFILE (handles_max or the process's limit: close something first), -ENFILE, -ENOBUFS, -ENOMEM,
 * -EINVAL (not listening), -ENOTSOCK, -EOPNOTSUPP, -EPERM, -EPROTO.
 */
ORR_API void orr_accept(struct orr_loop *loop, struct orr_completion *completion,
                        orr_handle listener, struct orr_address *ret_peer, orr_callback callback,
                        void *context);

/*
 * Connects a stream socket, or fixes the peer of a datagram socket. Result: 0; -ECONNREFUSED,
 * -ETIMEDOUT, -EHOSTUNREACH, -ENETUNREACH, -ECONNRESET, -EADDRINUSE, -EADDRNOTAVAIL, -EAFNOSUPPORT,
 * -EISCONN, -EALREADY, -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG and -EAGAIN (Unix sockets: no such
 * path, backlog full), -EACCES, -EPERM, -EPROTOTYPE, -ENOTSOCK.
 */
ORR_API void orr_connect(struct orr_loop *loop, struct orr_completion *completion,
                         orr_handle socket, const struct orr_address *peer, orr_callback callback,
                         void *context);

/*
 * Receives up to `length` bytes of a stream. Result: bytes; 0 = the peer will send no more (or
 * length was 0). -ECONNRESET, -ETIMEDOUT, -ECONNREFUSED, -ENOTCONN, -ENOTSOCK, -EHOSTUNREACH,
 * -ENOMEM. One recv at a time for each stream: two have no order.
 */
ORR_API void orr_recv(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
                      void *buffer, size_t length, orr_callback callback, void *context);

/*
 * Sends up to `length` bytes. Result: bytes that the system took, perhaps fewer. -EPIPE,
 * -ECONNRESET, -ETIMEDOUT, -ENOTCONN, -ENOTSOCK, -EHOSTUNREACH, -ENETUNREACH, -ENOBUFS, -ENOMEM,
 * -EMSGSIZE, -EDESTADDRREQ, -ECONNREFUSED (datagrams). One send at a time for each stream.
 */
ORR_API void orr_send(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
                      const void *data, size_t length, orr_callback callback, void *context);

/* A datagram: where from or where to, and what. Fill in `buffer` and `length`, and `peer` to
 * send. */
struct orr_datagram {
    struct orr_address peer; /* SEND_TO: whereto, length 0 = connected peer; RECV_FROM: sender */
    void *buffer;
    uint32_t length;      /* bytes at `buffer`; never changed: the result counts the bytes */
    bool truncated;       /* RECV_FROM: the datagram was longer than the buffer */
    uint64_t backend[10]; /* the backend's headers while in flight */
};

/* Result: bytes of one datagram. -ECONNREFUSED (an earlier one was refused), -ENOMEM, -ENOTSOCK. */
ORR_API void orr_recv_from(struct orr_loop *loop, struct orr_completion *completion,
                           orr_handle socket, struct orr_datagram *datagram, orr_callback callback,
                           void *context);
/* Result: bytes. -EMSGSIZE (too long), -ENOBUFS, -ENETUNREACH, -EHOSTUNREACH, -ECONNREFUSED,
 * -EPERM, -EACCES, -EDESTADDRREQ, -EAFNOSUPPORT, -EINVAL, -ENOTSOCK, -EISCONN, -ENOMEM. */
ORR_API void orr_send_to(struct orr_loop *loop, struct orr_completion *completion,
                         orr_handle socket, struct orr_datagram *datagram, orr_callback callback,
                         void *context);

enum orr_shutdown { ORR_SHUTDOWN_RECV = 0, ORR_SHUTDOWN_SEND = 1, ORR_SHUTDOWN_BOTH = 2 };

/* Ends one or both directions of a stream, after what was sent. Result: 0; -ENOTCONN, -ENOTSOCK,
 * -EINVAL. */
ORR_API void orr_shutdown(struct orr_loop *loop, struct orr_completion *completion,
                          orr_handle socket, enum orr_shutdown how, orr_callback callback,
                          void *context);

/*
 * Reads or writes up to `length` bytes at `offset` of a file. Result: bytes; read: 0 = end of file.
 * -EIO, -EISDIR, -EINVAL, -EFBIG, -ENOSPC, -EDQUOT, -EROFS, -EPERM, -ESPIPE, -EOVERFLOW, -ENXIO,
 * -ENOMEM, -ENOBUFS, -EAGAIN (an adopted non-blocking descriptor), -EPIPE (adopted descriptors). A
 * write is durable only after fsync. A socket can be read and written like received and sent, with
 * those errors, at offset 0; -ESPIPE at any other, which is where a whole transfer goes on.
 */
ORR_API void orr_read(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                      void *buffer, size_t length, uint64_t offset, orr_callback callback,
                      void *context);
ORR_API void orr_write(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                       const void *data, size_t length, uint64_t offset, orr_callback callback,
                       void *context);

struct orr_vector {
    void *base;
    size_t length;
};

#define ORR_VECTORS_MAX 1024u

/*
 * orr_read and orr_write with several buffers, filled or written one after the other as if they
 * were one; at most ORR_VECTORS_MAX (else -EINVAL). The array belongs to the loop, as they do.
 */
ORR_API void orr_readv(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                       const struct orr_vector *vectors, uint32_t count, uint64_t offset,
                       orr_callback callback, void *context);
ORR_API void orr_writev(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                        const struct orr_vector *vectors, uint32_t count, uint64_t offset,
                        orr_callback callback, void *context);

/*
 * Makes what was written before the submit durable; fdatasync leaves out times and the like, but
 * not the size. On a directory handle: its entries. Result: 0; -EIO, -ENOSPC, -EDQUOT, -EROFS,
 * -EINVAL. After an error the system may have dropped the unwritten data and call the file clean: a
 * second fsync that succeeds proves nothing.
 */
ORR_API void orr_fsync(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                       orr_callback callback, void *context);
ORR_API void orr_fdatasync(struct orr_loop *loop, struct orr_completion *completion,
                           orr_handle file, orr_callback callback, void *context);

enum orr_open_flags {
    ORR_OPEN_READ = 1u << 0,
    ORR_OPEN_WRITE = 1u << 1,
    ORR_OPEN_CREATE = 1u << 2,    /* make the file if it is missing, with `mode` */
    ORR_OPEN_EXCLUSIVE = 1u << 3, /* with CREATE: -EEXIST if it is there */
    ORR_OPEN_TRUNCATE = 1u << 4,
    ORR_OPEN_DIRECTORY =
        1u << 5,              /* a directory: for paths relative to it, for fsync, for listing */
    ORR_OPEN_SYNC = 1u << 6,  /* every write is durable when it ends (O_DSYNC) */
    ORR_OPEN_DIRECT = 1u << 7 /* past the page cache (O_DIRECT); -EINVAL where impossible */
};

/*
 * Opens a file or directory. `directory` is a directory handle or ORR_DIRECTORY_CURRENT. Result: a
 * handle; -ENOENT, -EEXIST, -EACCES, -EPERM, -EISDIR, -ENOTDIR, -EMFILE, -ENFILE, -ENOSPC, -EDQUOT,
 * -EROFS, -ELOOP, -ENAMETOOLONG, -EINVAL, -EIO, -ENOMEM, -EBUSY, -ENXIO, -EFBIG, -EOVERFLOW,
 * -ETXTBSY.
 */
ORR_API void orr_open(struct orr_loop *loop, struct orr_completion *completion,
                      orr_handle directory, const char *path, uint32_t flags, uint32_t mode,
                      orr_callback callback, void *context);

/*
 * Closes a handle. Operations still in flight on it end first, with -ECANCELED or with what they
 * had already done; submits after this one get -EBADF. Result: 0 (the handle is gone whatever the
 * result); -EIO, -ENOSPC, -EDQUOT: an earlier write was lost. A close cannot be canceled.
 */
ORR_API void orr_close(struct orr_loop *loop, struct orr_completion *completion, orr_handle handle,
                       orr_callback callback, void *context);

enum orr_file_type { ORR_FILE_OTHER, ORR_FILE_REGULAR, ORR_FILE_DIRECTORY };

struct orr_stat {
    uint64_t size;       /* bytes */
    int64_t modified_ns; /* wall clock, since 1970 */
    uint64_t inode;
    uint32_t links;
    uint32_t mode; /* permission bits */
    uint32_t type; /* enum orr_file_type */
    uint32_t reserved;
    uint64_t backend[32]; /* the backend's record while in flight */
};

/* What `path` names; path NULL = `directory`, a handle of any kind, itself. Result: 0; -ENOENT,
 * -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG, -EIO, -ENOMEM, -EOVERFLOW. */
ORR_API void orr_stat(struct orr_loop *loop, struct orr_completion *completion,
                      orr_handle directory, const char *path, struct orr_stat *ret_stat,
                      orr_callback callback, void *context);

/* Renames, both paths relative to one directory; what stood at path_new is replaced at once.
 * Durable after fsync of the directories. Result: 0; -ENOENT, -EEXIST, -ENOTEMPTY, -EISDIR,
 * -ENOTDIR, -EXDEV, -EACCES, -EPERM, -EBUSY, -EINVAL, -EROFS, -ENOSPC, -EDQUOT, -ELOOP,
 * -ENAMETOOLONG, -EMLINK, -EIO, -ENOMEM. */
ORR_API void orr_rename(struct orr_loop *loop, struct orr_completion *completion,
                        orr_handle directory, const char *path, const char *path_new,
                        orr_callback callback, void *context);

/* Gives a file a second name, both paths relative to one directory. Durable after fsync of the
 * directory of the new one. Result: 0; -EEXIST, -ENOENT, -ENOTDIR, -EPERM (a directory, or the file
 * system has no hard links), -EXDEV, -EMLINK, -EACCES, -EROFS, -ENOSPC, -EDQUOT, -ELOOP,
 * -ENAMETOOLONG, -EINVAL, -EIO, -ENOMEM. */
ORR_API void orr_link(struct orr_loop *loop, struct orr_completion *completion,
                      orr_handle directory, const char *path, const char *path_new,
                      orr_callback callback, void *context);

enum orr_unlink_kind { ORR_UNLINK_FILE = 0, ORR_UNLINK_DIRECTORY = 1 };

/* Removes a name. Result: 0; -ENOENT, -EISDIR, -ENOTDIR, -ENOTEMPTY, -EEXIST, -EBUSY, -EACCES,
 * -EPERM, -EROFS, -ELOOP, -ENAMETOOLONG, -EINVAL, -EIO, -ENOMEM. */
ORR_API void orr_unlink(struct orr_loop *loop, struct orr_completion *completion,
                        orr_handle directory, const char *path, enum orr_unlink_kind kind,
                        orr_callback callback, void *context);

/* Makes a directory. Result: 0; -EEXIST, -ENOENT, -ENOTDIR, -ENOSPC, -EDQUOT, -EROFS, -EACCES,
 * -EPERM, -ELOOP, -EMLINK, -ENAMETOOLONG, -EINVAL, -EIO, -ENOMEM. */
ORR_API void orr_mkdir(struct orr_loop *loop, struct orr_completion *completion,
                       orr_handle directory, const char *path, uint32_t mode, orr_callback callback,
                       void *context);

/* Sets a file's size; new bytes are zero. Result: 0; -EFBIG, -EINVAL, -EIO, -EISDIR, -EROFS,
 * -ENOSPC, -EDQUOT, -EPERM, -EACCES, -ETXTBSY. */
ORR_API void orr_truncate(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                          uint64_t length, orr_callback callback, void *context);

/* Reserves space, growing the file to offset + length if it is shorter. Result: 0; -ENOSPC,
 * -EDQUOT, -EFBIG, -EINVAL, -EIO, -EISDIR, -ENODEV, -EOPNOTSUPP (the file system cannot), -EPERM,
 * -EROFS, -ESPIPE, -ETXTBSY. */
ORR_API void orr_allocate(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                          uint64_t offset, uint64_t length, orr_callback callback, void *context);

enum orr_poll_events {
    ORR_POLL_IN = 1u << 0,
    ORR_POLL_OUT = 1u << 1,
    ORR_POLL_ERROR = 1u << 2, /* reported always */
    ORR_POLL_HANGUP = 1u << 3 /* reported always */
};

/* Waits once until a handle (see orr_adopt for foreign descriptors) is ready. Result: the events
 * seen. */
ORR_API void orr_poll(struct orr_loop *loop, struct orr_completion *completion, orr_handle handle,
                      uint32_t events, orr_callback callback, void *context);

/*
 * Ends with 0 after `after_ns`, never early; equal deadlines in submit order. 0 runs on the next
 * pass. A deadline past the end of time (UINT64_MAX) never comes: only cancel or drain ends it.
 */
ORR_API void orr_timeout(struct orr_loop *loop, struct orr_completion *completion,
                         uint64_t after_ns, orr_callback callback, void *context);

/* Ends with 0 on the next pass, without a look at the clock. */
ORR_API void orr_next_tick(struct orr_loop *loop, struct orr_completion *completion,
                           orr_callback callback, void *context);

/* Ends with 0 at the next orr_wake, at once if one came since the last that was taken. */
ORR_API void orr_wait_wake(struct orr_loop *loop, struct orr_completion *completion,
                           orr_callback callback, void *context);

/*
 * Asks for the early end of another operation of this loop. The target's callback always comes
 * first, once, with -ECANCELED or with what it had already done (bytes received may be in the
 * buffer: look at the result). Then this completion ends: 0 = the target ended with -ECANCELED;
 * -EALREADY = it ended with a result of its own, it is a close or a cancel, or another cancel waits
 * for it; -ENOENT = it was not in flight at submit.
 */
ORR_API void orr_cancel(struct orr_loop *loop, struct orr_completion *completion,
                        struct orr_completion *target, orr_callback callback, void *context);

ORR_END
#endif

/*
 * calls.h: the immediate calls: what no kernel makes one wait for. They answer at once, on every
 * backend in the same way, and go through the backend so that the world can answer too: sockets,
 * addresses, directory listing, clocks, random bytes, memory.
 */
#ifndef ORRERY_CALLS_H
#define ORRERY_CALLS_H

#include <orrery/types.h>

ORR_BEGIN

/* ---- addresses ------------------------------------------------------------------------------- */

enum orr_family { ORR_FAMILY_NONE, ORR_FAMILY_IP4, ORR_FAMILY_IP6, ORR_FAMILY_UNIX };

/* A network address, kept in the form the system wants. Make and read it with the functions
 * below. */
struct orr_address {
    uint32_t length; /* bytes of `storage` that count; 0 = no address */
    uint32_t reserved;
    union {
        uint64_t align;
        uint8_t bytes[112];
    } storage;
};

#define ORR_ADDRESS_TEXT_MAX 128u

/*
 * Reads "127.0.0.1:6379", "[::1]:6379" or "unix:/path". Numbers only: no name is looked up. Returns
 * 0, or -EINVAL if the text is none of these, the port is not 0..65535, or the path is longer than
 * 107 bytes (macOS and the BSDs: 103).
 */
ORR_API int orr_address_parse(const char *text, struct orr_address *ret_address);
/* Writes the same form, NUL-terminated; ORR_ADDRESS_TEXT_MAX bytes always suffice. Returns its
 * length, or -ENOSPC, or -EINVAL (not an address). */
ORR_API int orr_address_format(const struct orr_address *address, char *text, size_t text_size);
ORR_API enum orr_family orr_address_family(const struct orr_address *address);
/* The port of an IPv4 or IPv6 address, else 0. */
ORR_API uint16_t orr_address_port(const struct orr_address *address);
ORR_API bool orr_address_equal(const struct orr_address *a, const struct orr_address *b);

/* ---- sockets --------------------------------------------------------------------------------- */

enum orr_socket_type { ORR_SOCKET_STREAM, ORR_SOCKET_DATAGRAM };

/* Makes a socket: STREAM of any family, DATAGRAM of IPv4 or IPv6. Returns a handle; -EMFILE,
 * -ENFILE, -EINVAL, -EAFNOSUPPORT, -ENOBUFS, -ENOMEM, -EACCES. */
ORR_API orr_handle orr_socket(struct orr_loop *loop, enum orr_family family,
                              enum orr_socket_type type);

/* Returns 0; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EINVAL (bound already), -EBADF, ... Port 0 =
 * any free one; orr_local_address tells which. */
ORR_API int orr_bind(struct orr_loop *loop, orr_handle socket, const struct orr_address *address);
/* Returns 0; -EADDRINUSE, -EINVAL, -EOPNOTSUPP, -EBADF. */
ORR_API int orr_listen(struct orr_loop *loop, orr_handle socket, uint32_t backlog);

enum orr_socket_option {
    ORR_SOCKET_NO_DELAY,       /* TCP_NODELAY, 0 or 1 */
    ORR_SOCKET_REUSE_ADDRESS,  /* SO_REUSEADDR, 0 or 1 */
    ORR_SOCKET_REUSE_PORT,     /* SO_REUSEPORT, 0 or 1 */
    ORR_SOCKET_KEEP_ALIVE,     /* SO_KEEPALIVE, 0 or 1 */
    ORR_SOCKET_RECEIVE_BUFFER, /* SO_RCVBUF, bytes */
    ORR_SOCKET_SEND_BUFFER,    /* SO_SNDBUF, bytes */
    ORR_SOCKET_ONLY_IP6,       /* IPV6_V6ONLY, 0 or 1 */
    ORR_SOCKET_OPTION_COUNT
};

/* Returns 0 or -errno (-ENOPROTOOPT: not an option of this kind of socket; -EINVAL; -EBADF). */
ORR_API int orr_socket_option_set(struct orr_loop *loop, orr_handle socket,
                                  enum orr_socket_option option, int32_t value);
ORR_API int orr_socket_option_get(struct orr_loop *loop, orr_handle socket,
                                  enum orr_socket_option option, int32_t *ret_value);

/* Returns 0; -ENOTCONN (no peer), -ENOTSOCK, -EBADF. */
ORR_API int orr_local_address(struct orr_loop *loop, orr_handle socket,
                              struct orr_address *ret_address);
ORR_API int orr_peer_address(struct orr_loop *loop, orr_handle socket,
                             struct orr_address *ret_address);

/*
 * Gives the loop a descriptor that something else opened (a pipe, a terminal, a library's socket).
 * On success, the loop owns it: orr_close closes it. On epoll and kqueue it is in non-blocking mode
 * until then, and so is every duplicate of it. Returns a handle; -EMFILE, -EBADF. Under the world
 * only what orr_release of a loop of the same node gave: anything else is -ENOTSUP.
 */
ORR_API orr_handle orr_adopt(struct orr_loop *loop, int32_t descriptor);
/*
 * Takes a handle out of the loop without closing it: the handle is gone, and the system's number
 * that this returns is the caller's, for orr_adopt by another loop, which may run on another
 * thread. So an accepted connection gets to the loop that serves it. Returns the number; -EBADF;
 * -EBUSY (operations are in flight on it: cancel them first, and wait for their ends).
 */
ORR_API int32_t orr_release(struct orr_loop *loop, orr_handle handle);
/* The system's own number of a handle, for calls that this interface lacks. -EBADF. */
ORR_API int32_t orr_descriptor(struct orr_loop *loop, orr_handle handle);

/* ---- directories ----------------------------------------------------------------------------- */

/* Called once for each entry but "." and ".."; `type` is an enum orr_file_type (0 where the system
 * does not tell). `name` lives until it returns. Return 0 to go on; another value ends the listing.
 */
typedef int (*orr_directory_visit)(void *context, const char *name, uint32_t type);

/* Lists a directory handle, in whatever order the system has. Returns 0, what `visit` returned, or
 * -errno. */
ORR_API int orr_directory_list(struct orr_loop *loop, orr_handle directory,
                               orr_directory_visit visit, void *context);

/* ---- clocks, random bytes, memory ------------------------------------------------------------ */

/* Monotonic clock, ns since an arbitrary start: the one that timers use. */
ORR_API uint64_t orr_now(struct orr_loop *loop);
/* Wall clock, ns since 1970; can jump. */
ORR_API int64_t orr_wall_clock(struct orr_loop *loop);

/* Fills `buffer` with random bytes of cryptographic quality (under the world: from the seed). */
ORR_API void orr_random(struct orr_loop *loop, void *buffer, size_t length);

/*
 * Memory of the program that runs on this loop. In production the C library's; under the world it
 * is the node's: gone at a crash, and refused (NULL) above 1 GiB. Sizes of 0 are not
 * allowed. orr_free takes NULL.
 */
ORR_API void *orr_malloc(struct orr_loop *loop, size_t size);
ORR_API void *orr_realloc(struct orr_loop *loop, void *memory, size_t size);
ORR_API void orr_free(struct orr_loop *loop, void *memory);

ORR_END
#endif

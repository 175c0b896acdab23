/*
 * posix.h: what every backend on a POSIX system does in the same way: the immediate calls, and
 * single requests as plain system calls. Internal to backends/.
 *
 * The calls keep no state. Their first parameter is the backend's own and ignored, so that they
 * stand in a vtable as they are.
 */
#ifndef ORR_BACKENDS_POSIX_H
#define ORR_BACKENDS_POSIX_H

#include <orrery/backend.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* The operations that never wait for somebody else: orr__posix_perform does these and no others. */
#define ORR__POSIX_OPERATIONS                                                               \
    (ORR_OP_BIT(ORR_OP_SHUTDOWN) | ORR_OP_BIT(ORR_OP_READ) | ORR_OP_BIT(ORR_OP_WRITE) |     \
     ORR_OP_BIT(ORR_OP_READV) | ORR_OP_BIT(ORR_OP_WRITEV) | ORR_OP_BIT(ORR_OP_FSYNC) |      \
     ORR_OP_BIT(ORR_OP_FDATASYNC) | ORR_OP_BIT(ORR_OP_OPEN) | ORR_OP_BIT(ORR_OP_CLOSE) |    \
     ORR_OP_BIT(ORR_OP_STAT) | ORR_OP_BIT(ORR_OP_RENAME) | ORR_OP_BIT(ORR_OP_UNLINK) |      \
     ORR_OP_BIT(ORR_OP_MKDIR) | ORR_OP_BIT(ORR_OP_TRUNCATE) | ORR_OP_BIT(ORR_OP_ALLOCATE) | \
     ORR_OP_BIT(ORR_OP_LINK))

/* Does one of ORR__POSIX_OPERATIONS here and now. Returns >= 0 or -errno. */
int64_t orr__posix_perform(const struct orr_completion *completion);

/* The directory that a path is relative to, as the system wants it. */
static inline int orr__posix_directory(int32_t descriptor)
{
    return descriptor >= 0 ? descriptor : AT_FDCWD;
}

/* O_... of enum orr_open_flags; always close-on-exec. */
int orr__posix_open_flags(uint32_t flags);
/* AT_... of enum orr_unlink_kind. */
int orr__posix_unlink_flags(uint32_t kind);
/* Fills in `type` and `mode` from a st_mode. */
void orr__posix_stat_mode(struct orr_stat *ret_stat, uint32_t st_mode);

/* POLL... of enum orr_poll_events, and back. */
short orr__posix_poll_events(uint32_t events);
uint32_t orr__posix_poll_seen(short system);
/* Makes a socket close-on-exec, and keeps it from raising SIGPIPE where only the socket can.
 * Returns 0 or -errno. */
int orr__posix_prepare_socket(int descriptor);
/*
 * Sends to sockets say that they want no SIGPIPE, but a write to an adopted pipe cannot: the signal
 * is ignored in the whole process, unless the program handles it itself.
 */
void orr__posix_ignore_broken_pipes(void);
/* Explains why `what` was not made: no descriptor left, or the errno. */
void orr__posix_explain_descriptors(const struct orr_options *options, const char *what, int error);
/* How long a flush may sleep until its deadline. */
uint64_t orr__posix_left_ns(uint64_t deadline_ns);
/* As the system wants it; at most a day, which costs nothing and no system refuses. */
struct timespec orr__posix_sleep_span(uint64_t sleep_ns);

uint64_t orr__posix_now(void *state, enum orr_clock clock);
void orr__posix_random(void *state, void *buffer, size_t length);
void *orr__posix_memory(void *state, void *memory, size_t size);
int32_t orr__posix_socket(void *state, enum orr_family family, enum orr_socket_type type);
int orr__posix_bind(void *state, int32_t descriptor, const struct orr_address *address);
int orr__posix_listen(void *state, int32_t descriptor, uint32_t backlog);
int orr__posix_option_set(void *state, int32_t descriptor, enum orr_socket_option option,
                          int32_t value);
int orr__posix_option_get(void *state, int32_t descriptor, enum orr_socket_option option,
                          int32_t *ret_value);
int orr__posix_local_address(void *state, int32_t descriptor, struct orr_address *ret_address);
int orr__posix_peer_address(void *state, int32_t descriptor, struct orr_address *ret_address);
int orr__posix_directory_list(void *state, int32_t descriptor, orr_directory_visit visit,
                              void *context);
int32_t orr__posix_adopt(void *state, int32_t descriptor);
void orr__posix_discard(void *state, int32_t descriptor);

#endif

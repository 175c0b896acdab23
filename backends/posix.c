/*
 * posix.c: the immediate calls and the plain system calls of a POSIX system.
 *
 * The model: one function per hook of the vtable, without state. What differs between systems in
 * these calls stays in here; what differs between kernel interfaces (how one waits) is in the
 * backends.
 *
 * Invariants: every descriptor made here is close-on-exec; out-parameters are untouched on failure;
 * no call waits for another program (files count as not waiting, as everywhere in POSIX).
 */
#define _GNU_SOURCE 1 /* fallocate, SOCK_CLOEXEC, getrandom, O_DIRECT */

#include "posix.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/random.h>
#endif

_Static_assert(sizeof(((struct orr_address *)NULL)->storage) >= sizeof(struct sockaddr_un) &&
                   sizeof(((struct orr_address *)NULL)->storage) >= sizeof(struct sockaddr_in6),
               "an orr_address holds every kind of address");
_Static_assert(sizeof(struct orr_vector) == sizeof(struct iovec) &&
                   offsetof(struct orr_vector, base) == offsetof(struct iovec, iov_base) &&
                   offsetof(struct orr_vector, length) == offsetof(struct iovec, iov_len),
               "an orr_vector is an iovec");
_Static_assert((int)ORR_SHUTDOWN_RECV == SHUT_RD && (int)ORR_SHUTDOWN_SEND == SHUT_WR &&
                   (int)ORR_SHUTDOWN_BOTH == SHUT_RDWR,
               "enum orr_shutdown is the system's");

/* ---- requests as plain system calls ---------------------------------------------------------- */

static int64_t answer(int64_t result)
{
    return result < 0 ? -(int64_t)errno : result;
}

/* macOS and OpenBSD have no such flag: there the page cache is used all the same. */
#if defined(O_DIRECT)
#define DIRECT O_DIRECT
#else
#define DIRECT 0
#endif

int orr__posix_open_flags(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        int system;
    } table[] = {
        {ORR_OPEN_CREATE, O_CREAT},   {ORR_OPEN_EXCLUSIVE, O_EXCL},
        {ORR_OPEN_TRUNCATE, O_TRUNC}, {ORR_OPEN_DIRECTORY, O_DIRECTORY},
        {ORR_OPEN_SYNC, O_DSYNC},     {ORR_OPEN_DIRECT, DIRECT},
    };
    /* O_NOCTTY: opening a terminal must not give a daemon a controlling one. */
    int result = O_CLOEXEC | O_NOCTTY;

    if ((flags & ORR_OPEN_WRITE) == 0)
        result |= O_RDONLY;
    else
        result |= (flags & ORR_OPEN_READ) != 0 ? O_RDWR : O_WRONLY;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if ((flags & table[i].flag) != 0)
            result |= table[i].system;
    }
    return result;
}

int orr__posix_unlink_flags(uint32_t kind)
{
    return kind == ORR_UNLINK_DIRECTORY ? AT_REMOVEDIR : 0;
}

void orr__posix_stat_mode(struct orr_stat *ret_stat, uint32_t st_mode)
{
    ret_stat->mode = st_mode & 07777u;
    ret_stat->type = S_ISREG(st_mode)   ? ORR_FILE_REGULAR
                     : S_ISDIR(st_mode) ? ORR_FILE_DIRECTORY
                                        : ORR_FILE_OTHER;
}

#if defined(__APPLE__)
#define MODIFIED st_mtimespec
#else
#define MODIFIED st_mtim
#endif

static int stat_itself(int descriptor, struct stat *ret_status)
{
    return descriptor >= 0 ? fstat(descriptor, ret_status) : stat(".", ret_status);
}

static int64_t perform_stat(const struct orr_request *request)
{
    const char *path = request->arguments.path.path;
    struct orr_stat *ret_stat = request->arguments.path.stat;
    struct stat status;

    const int failed = path != NULL
                           ? fstatat(orr__posix_directory(request->descriptor), path, &status, 0)
                           : stat_itself(request->descriptor, &status);
    if (failed != 0)
        return -errno;
    ret_stat->size = (uint64_t)status.st_size;
    ret_stat->modified_ns =
        (int64_t)status.MODIFIED.tv_sec * (int64_t)ORR_SECOND + status.MODIFIED.tv_nsec;
    ret_stat->inode = status.st_ino;
    ret_stat->links = (uint32_t)status.st_nlink;
    orr__posix_stat_mode(ret_stat, status.st_mode);
    return 0;
}

static int64_t perform_transfer(const struct orr_request *request)
{
    const union orr_arguments *arguments = &request->arguments;
    const off_t offset = (off_t)arguments->transfer.offset;
    const struct iovec *vectors = (const struct iovec *)arguments->transfer.vectors;
    const uint32_t length = arguments->transfer.length; /* vectors: their number */

    switch (request->op) {
    case ORR_OP_READ:
        return answer(pread(request->descriptor, arguments->transfer.buffer, length, offset));
    case ORR_OP_WRITE:
        return answer(pwrite(request->descriptor, arguments->transfer.data, length, offset));
    case ORR_OP_READV:
        return answer(preadv(request->descriptor, vectors, (int)length, offset));
    default:
        return answer(pwritev(request->descriptor, vectors, (int)length, offset));
    }
}

/*
 * O_NONBLOCK for the call alone: it keeps the open of a FIFO from waiting for the other end, as
 * io_uring's does not. Who answers EAGAIN to it is no FIFO (a lease that another program is asked
 * to give up), and is waited for.
 */
static int64_t open_at(int directory, const char *path, int flags, mode_t mode)
{
    const int descriptor = openat(directory, path, flags | O_NONBLOCK, mode);

    if (descriptor >= 0)
        (void)fcntl(descriptor, F_SETFL, flags);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
        return answer(openat(directory, path, flags, mode));
    return answer(descriptor);
}

/* Operations on names. */
static int64_t perform_path(const struct orr_request *request)
{
    const int directory = orr__posix_directory(request->descriptor);
    const char *path = request->arguments.path.path;
    const uint32_t flags = request->arguments.path.flags;
    const mode_t mode = (mode_t)request->arguments.path.mode;

    switch (request->op) {
    case ORR_OP_OPEN:
        return open_at(directory, path, orr__posix_open_flags(flags), mode);
    case ORR_OP_RENAME:
        return answer(renameat(directory, path, directory, request->arguments.path.path_new));
    case ORR_OP_LINK:
        return answer(linkat(directory, path, directory, request->arguments.path.path_new, 0));
    case ORR_OP_UNLINK:
        return answer(unlinkat(directory, path, orr__posix_unlink_flags(flags)));
    case ORR_OP_MKDIR:
        return answer(mkdirat(directory, path, mode));
    default:
        return perform_stat(request);
    }
}

/* ---- what systems do in their own ways ------------------------------------------------------- */

/* macOS' fsync leaves the data in the drive's cache; only this flushes it, where the file system
 * can. Others have no fdatasync that is worth more than fsync. */
static int sync_file(int descriptor, bool data_only)
{
#if defined(__APPLE__)
    (void)data_only;
    return fcntl(descriptor, F_FULLFSYNC) == 0 ? 0 : fsync(descriptor);
#else
    return data_only ? fdatasync(descriptor) : fsync(descriptor);
#endif
}

/* macOS reserves behind what is allocated; the size is grown apart. posix_fallocate tells its error
 * in its result. */
static int64_t allocate(int descriptor, off_t offset, off_t length)
{
#if defined(__linux__)
    return answer(fallocate(descriptor, 0, offset, length));
#elif defined(__APPLE__)
    struct stat status;
    if (offset < 0 || length <= 0)
        return -EINVAL;
    if (fstat(descriptor, &status) != 0)
        return -errno;
    if (offset + length <= status.st_size)
        return 0;
    fstore_t store = {.fst_flags = F_ALLOCATEALL,
                      .fst_posmode = F_PEOFPOSMODE,
                      .fst_length = offset + length - status.st_size};
    if (fcntl(descriptor, F_PREALLOCATE, &store) != 0)
        return -errno;
    return answer(ftruncate(descriptor, offset + length));
#elif defined(__OpenBSD__)
    (void)descriptor;
    (void)offset;
    (void)length;
    return -EOPNOTSUPP;
#else
    return -posix_fallocate(descriptor, offset, length);
#endif
}

int64_t orr__posix_perform(const struct orr_completion *completion)
{
    const struct orr_request *request = &completion->request;
    const int descriptor = request->descriptor;
    const off_t offset = (off_t)request->arguments.range.offset;
    const off_t length = (off_t)request->arguments.range.length;

    switch (request->op) {
    case ORR_OP_READ:
    case ORR_OP_WRITE:
    case ORR_OP_READV:
    case ORR_OP_WRITEV:
        return perform_transfer(request);
    case ORR_OP_OPEN:
    case ORR_OP_STAT:
    case ORR_OP_RENAME:
    case ORR_OP_LINK:
    case ORR_OP_UNLINK:
    case ORR_OP_MKDIR:
        return perform_path(request);
    case ORR_OP_FSYNC:
        return answer(sync_file(descriptor, false));
    case ORR_OP_FDATASYNC:
        return answer(sync_file(descriptor, true));
    case ORR_OP_TRUNCATE:
        return answer(ftruncate(descriptor, length));
    case ORR_OP_ALLOCATE:
        return allocate(descriptor, offset, length);
    case ORR_OP_SHUTDOWN:
        return answer(shutdown(descriptor, (int)request->arguments.events));
    case ORR_OP_CLOSE:
        return answer(close(descriptor)); /* also after EINTR the descriptor is gone */
    default:
        return -ENOTSUP;
    }
}

/* ---- clocks, random bytes, memory ------------------------------------------------------------ */

uint64_t orr__posix_left_ns(uint64_t deadline_ns)
{
    if (deadline_ns == ORR_WAIT_NOT || deadline_ns == ORR_WAIT_FOREVER)
        return deadline_ns;
    const uint64_t now_ns = orr__posix_now(NULL, ORR_CLOCK_MONOTONIC);
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

struct timespec orr__posix_sleep_span(uint64_t sleep_ns)
{
    const uint64_t day_ns = UINT64_C(86400) * ORR_SECOND;
    const uint64_t bounded_ns = sleep_ns < day_ns ? sleep_ns : day_ns;

    return (struct timespec){.tv_sec = (time_t)(bounded_ns / ORR_SECOND),
                             .tv_nsec = (long)(bounded_ns % ORR_SECOND)};
}

uint64_t orr__posix_now(void *state, enum orr_clock clock)
{
    struct timespec time;

    (void)state;
    if (clock_gettime(clock == ORR_CLOCK_WALL ? CLOCK_REALTIME : CLOCK_MONOTONIC, &time) != 0)
        orr_fatal("clock_gettime failed: errno %d; the system has no such clock", errno);
    return (uint64_t)time.tv_sec * ORR_SECOND + (uint64_t)time.tv_nsec;
}

#if defined(__linux__)

void orr__posix_random(void *state, void *buffer, size_t length)
{
    uint8_t *bytes = buffer;
    size_t done = 0;

    (void)state;
    while (done < length) {
        const ssize_t got = getrandom(bytes + done, length - done, 0);
        if (got >= 0)
            done += (size_t)got;
        else if (errno != EINTR)
            orr_fatal("getrandom of %zu bytes failed: errno %d", length, errno);
    }
}

#else

void orr__posix_random(void *state, void *buffer, size_t length)
{
    (void)state;
    arc4random_buf(buffer, length);
}

#endif

void *orr__posix_memory(void *state, void *memory, size_t size)
{
    (void)state;
    if (size > 0)
        return realloc(memory, size);
    free(memory);
    return NULL;
}

/* ---- sockets --------------------------------------------------------------------------------- */

/*
 * Sockets stay in blocking mode: readiness is the kernel interface's affair, and a descriptor
 * handed to code outside (orr_descriptor) behaves as such code expects.
 */
int32_t orr__posix_socket(void *state, enum orr_family family, enum orr_socket_type type)
{
    static const int domains[] = {
        [ORR_FAMILY_IP4] = AF_INET,
        [ORR_FAMILY_IP6] = AF_INET6,
        [ORR_FAMILY_UNIX] = AF_UNIX,
    };
    const uint32_t domain = (uint32_t)family;
    const int kind = type == ORR_SOCKET_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM;

    (void)state;
    if (domain == ORR_FAMILY_NONE || domain >= sizeof domains / sizeof domains[0])
        return -EAFNOSUPPORT;
#if defined(SOCK_CLOEXEC)
    return (int32_t)answer(socket(domains[domain], kind | SOCK_CLOEXEC, 0));
#else
    const int descriptor = socket(domains[domain], kind, 0);
    const int error = descriptor < 0 ? -errno : orr__posix_prepare_socket(descriptor);
    if (error == 0)
        return descriptor;
    if (descriptor >= 0)
        (void)close(descriptor);
    return error;
#endif
}

int orr__posix_prepare_socket(int descriptor)
{
    if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0)
        return -errno;
#if defined(SO_NOSIGPIPE)
    const int on = 1;
    if (setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) != 0)
        return -errno;
#endif
    return 0;
}

int orr__posix_bind(void *state, int32_t descriptor, const struct orr_address *address)
{
    (void)state;
    return (int)answer(
        bind(descriptor, (const struct sockaddr *)address->storage.bytes, address->length));
}

int orr__posix_listen(void *state, int32_t descriptor, uint32_t backlog)
{
    (void)state;
    return (int)answer(listen(descriptor, backlog > INT_MAX ? INT_MAX : (int)backlog));
}

static const struct {
    int level;
    int name;
} socket_options[ORR_SOCKET_OPTION_COUNT] = {
    [ORR_SOCKET_NO_DELAY] = {IPPROTO_TCP, TCP_NODELAY},
    [ORR_SOCKET_REUSE_ADDRESS] = {SOL_SOCKET, SO_REUSEADDR},
    [ORR_SOCKET_REUSE_PORT] = {SOL_SOCKET, SO_REUSEPORT},
    [ORR_SOCKET_KEEP_ALIVE] = {SOL_SOCKET, SO_KEEPALIVE},
    [ORR_SOCKET_RECEIVE_BUFFER] = {SOL_SOCKET, SO_RCVBUF},
    [ORR_SOCKET_SEND_BUFFER] = {SOL_SOCKET, SO_SNDBUF},
    [ORR_SOCKET_ONLY_IP6] = {IPPROTO_IPV6, IPV6_V6ONLY},
};

/* Of an option of another kind of socket, Linux says either. */
static int option_error(void)
{
    return errno == EOPNOTSUPP ? -ENOPROTOOPT : -errno;
}

int orr__posix_option_set(void *state, int32_t descriptor, enum orr_socket_option option,
                          int32_t value)
{
    const int number = value;

    (void)state;
    if (setsockopt(descriptor, socket_options[option].level, socket_options[option].name, &number,
                   sizeof number) != 0)
        return option_error();
    return 0;
}

int orr__posix_option_get(void *state, int32_t descriptor, enum orr_socket_option option,
                          int32_t *ret_value)
{
    int number = 0;
    socklen_t size = sizeof number;

    (void)state;
    if (getsockopt(descriptor, socket_options[option].level, socket_options[option].name, &number,
                   &size) != 0)
        return option_error();
    *ret_value = number;
    return 0;
}

typedef int (*address_call)(int descriptor, struct sockaddr *address, socklen_t *length);

static int address_of(address_call call, int32_t descriptor, struct orr_address *ret_address)
{
    struct orr_address address = {0};
    socklen_t length = sizeof address.storage;

    if (call(descriptor, (struct sockaddr *)address.storage.bytes, &length) != 0)
        return -errno;
    address.length = length;
    *ret_address = address;
    return 0;
}

int orr__posix_local_address(void *state, int32_t descriptor, struct orr_address *ret_address)
{
    (void)state;
    return address_of(getsockname, descriptor, ret_address);
}

int orr__posix_peer_address(void *state, int32_t descriptor, struct orr_address *ret_address)
{
    (void)state;
    return address_of(getpeername, descriptor, ret_address);
}

/* ---- directories ----------------------------------------------------------------------------- */

static uint32_t entry_type(const struct dirent *entry)
{
    if (entry->d_type == DT_REG)
        return ORR_FILE_REGULAR;
    return entry->d_type == DT_DIR ? ORR_FILE_DIRECTORY : ORR_FILE_OTHER;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int visit_entries(DIR *stream, orr_directory_visit visit, void *context)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL)
            return -errno; /* 0 at the end */
        if (is_dots(entry->d_name))
            continue;
        const int result = visit(context, entry->d_name, entry_type(entry));
        if (result != 0)
            return result;
    }
}

/*
 * Opens "." instead of duplicating the descriptor: a duplicate shares its position with the
 * original, so two listings of one handle, one inside the other, would cut each other short.
 */
int orr__posix_directory_list(void *state, int32_t descriptor, orr_directory_visit visit,
                              void *context)
{
    (void)state;
    const int own =
        openat(orr__posix_directory(descriptor), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0)
        return -errno;
    DIR *stream = fdopendir(own);
    if (stream == NULL) {
        const int error = errno;
        (void)close(own);
        return -error;
    }
    const int result = visit_entries(stream, visit, context);
    (void)closedir(stream);
    return result;
}

/* ---- polls ----------------------------------------------------------------------------------- */

static const struct {
    uint32_t event;
    short system;
} poll_events[] = {
    {ORR_POLL_IN, POLLIN},
    {ORR_POLL_OUT, POLLOUT},
    {ORR_POLL_ERROR, POLLERR},
    {ORR_POLL_HANGUP, POLLHUP},
};

#define POLL_EVENTS (sizeof poll_events / sizeof poll_events[0])

short orr__posix_poll_events(uint32_t events)
{
    int system = 0;

    for (size_t i = 0; i < POLL_EVENTS; i++) {
        if ((events & poll_events[i].event) != 0)
            system |= poll_events[i].system;
    }
    return (short)system;
}

uint32_t orr__posix_poll_seen(short system)
{
    uint32_t events = 0;

    for (size_t i = 0; i < POLL_EVENTS; i++) {
        if ((system & poll_events[i].system) != 0)
            events |= poll_events[i].event;
    }
    return events;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* The blocking mode is left alone: it belongs to the open file, which other processes may share. */
int32_t orr__posix_adopt(void *state, int32_t descriptor)
{
    (void)state;
    const int flags = fcntl(descriptor, F_GETFD);
    if (flags < 0 || fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) != 0)
        return -errno;
    return descriptor;
}

void orr__posix_discard(void *state, int32_t descriptor)
{
    (void)state;
    (void)close(descriptor);
}

void orr__posix_explain_descriptors(const struct orr_options *options, const char *what, int error)
{
    struct rlimit limit = {0};

    if (error != -EMFILE && error != -ENFILE) {
        orr_options_error(options, "opening %s failed with errno %d", what, -error);
        return;
    }
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    orr_options_error(options,
                      "no descriptor is left for %s: this process may have %" PRIu64
                      " (RLIMIT_NOFILE, ulimit -n), or the system's limit (fs.file-max) is reached",
                      what, (uint64_t)limit.rlim_cur);
}

/* ---- signals --------------------------------------------------------------------------------- */

void orr__posix_ignore_broken_pipes(void)
{
    struct sigaction present;

    if (sigaction(SIGPIPE, NULL, &present) == 0 && (present.sa_flags & SA_SIGINFO) == 0 &&
        present.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

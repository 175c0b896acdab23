/*
 * interpose.c: functions of the C library, defined anew. The dynamic linker, or the linker where
 * liborrery-sim is static, gives every module of the process these instead of the C library's:
 * the program under test, and libraries that it calls and that know nothing of a world.
 *
 * The model. Each asks where its thread is: one load. In a scope of a world it answers from there,
 * or reports a leak; outside it forwards to the function that would have been called without this
 * file. Which one that is gets looked up once, before main. Calls that the C library makes itself
 * do not come through here, nor do bare system calls.
 *
 * Sanitizers define some of these, too, and need to see the calls that are really made. Where the
 * definitions of this file hide a sanitizer's wrapper (both are in the program itself), the wrapper
 * has another name, __interceptor_NAME, and calls are forwarded to that. Where its wrapper comes
 * before this library, it is the wrapper that calls these functions, and forwarding to it would
 * never end: the next definition after this library is the right one then, as it is without
 * sanitizers.
 *
 * Elsewhere than with glibc the file is empty, and all is real: a program cannot replace functions
 * of the system's library in this way on macOS.
 */
#define _GNU_SOURCE 1 /* RTLD_NEXT, ppoll, getentropy, thrd_create, gethostbyname2 */

#include "libc.h"

#ifdef __GLIBC__

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

/* The C library's headers name the parameters with two underscores, which we may not; and a member
 * is declared by its bare name.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name,bugprone-macro-parentheses) */

/* Older C libraries have none of these, and their headers do not declare them; the checks of
 * arguments that _FORTIFY_SOURCE adds never are declared. */
#if !defined(__GLIBC__) || !__GLIBC_PREREQ(2, 36)
uint32_t arc4random(void);
uint32_t arc4random_uniform(uint32_t bound);
void arc4random_buf(void *buffer, size_t length);
#endif
#if !__GLIBC_PREREQ(2, 35)
int epoll_pwait2(int epoll, struct epoll_event *ret_events, int count,
                 const struct timespec *timeout, const sigset_t *mask);
#endif
int __poll_chk(struct pollfd *descriptors, nfds_t count, int timeout_ms, size_t size);
int __ppoll_chk(struct pollfd *descriptors, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t size);

/* ---- the functions behind -------------------------------------------------------------------- */

#define FORWARDED(X)      \
    X(clock_gettime)      \
    X(clock_getres)       \
    X(gettimeofday)       \
    X(time)               \
    X(timespec_get)       \
    X(clock)              \
    X(getrandom)          \
    X(getentropy)         \
    X(arc4random)         \
    X(arc4random_uniform) \
    X(arc4random_buf)     \
    X(rand)               \
    X(random)             \
    X(srand)              \
    X(srandom)            \
    X(pthread_create)     \
    X(thrd_create)        \
    X(nanosleep)          \
    X(clock_nanosleep)    \
    X(sleep)              \
    X(usleep)             \
    X(thrd_sleep)         \
    X(poll)               \
    X(ppoll)              \
    X(__poll_chk)         \
    X(__ppoll_chk)        \
    X(select)             \
    X(pselect)            \
    X(epoll_wait)         \
    X(epoll_pwait)        \
    X(epoll_pwait2)       \
    X(sem_wait)           \
    X(sem_timedwait)      \
    X(sigwait)            \
    X(sigwaitinfo)        \
    X(sigtimedwait)       \
    X(flock)              \
    X(system)             \
    X(popen)              \
    X(posix_spawn)        \
    X(posix_spawnp)       \
    X(getaddrinfo)        \
    X(getnameinfo)        \
    X(gethostbyname)      \
    X(gethostbyname2)     \
    X(gethostbyaddr)

#define DECLARE_WRAPPER(name) extern __typeof__(name) __interceptor_##name __attribute__((weak));
FORWARDED(DECLARE_WRAPPER)

#define MEMBER(name) __typeof__(&(name)) name;
static struct {
    bool found;
    FORWARDED(MEMBER)
} behind;

/* Whether a name leads the program here, and not to a sanitizer's wrapper before. */
static bool comes_first(void)
{
    Dl_info own;
    Dl_info first;
    void *definition = dlsym(RTLD_DEFAULT, "clock_gettime");
    return definition != NULL && dladdr(definition, &first) != 0 && dladdr(&behind, &own) != 0 &&
           first.dli_fbase == own.dli_fbase;
}

/* A function's address goes by way of void *, as dlsym's does. */
static void find(const char *name, const void *wrapper, void *ret_function)
{
    const void *found = wrapper != NULL ? wrapper : dlsym(RTLD_NEXT, name);
    memcpy(ret_function, &found, sizeof found);
}

#define FIND(name) find(#name, first ? (const void *)&__interceptor_##name : NULL, &behind.name);
static void find_all(void)
{
    bool first = comes_first();
    FORWARDED(FIND)
    if (behind.clock_gettime == NULL)
        orr_fatal("liborrery-sim stands in front of the C library, which a program linked with "
                  "-static has no way to reach: link it without");
    behind.found = true;
}

__attribute__((constructor)) void orr__interpose(void)
{
    if (!behind.found)
        find_all();
}

/* Other modules' constructors may call before ours ran. */
#define REAL(name) (orr__interpose(), behind.name)

static bool inside(void)
{
    return orr__scope_here()->world != NULL;
}

/* ---- clocks ---------------------------------------------------------------------------------- */

/* What a clock shows in the world. Virtual time passes between callbacks only, so the processor
 * time that a program used is taken to be all of it. */
static bool clock_in_world(clockid_t clock, uint64_t *ret_ns)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ret_ns = orr__libc_clock(ORR_CLOCK_WALL);
        return true;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ret_ns = orr__libc_clock(ORR_CLOCK_MONOTONIC);
        return true;
    default: /* negative numbers are the processor clocks of threads and processes */
        *ret_ns = orr__libc_elapsed();
        return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
    }
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / ORR_SECOND),
                             .tv_nsec = (long)(ns % ORR_SECOND)};
}

ORR_API int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    if (!inside())
        return REAL(clock_gettime)(clock, ret_time);
    uint64_t ns;
    if (!clock_in_world(clock, &ns)) {
        errno = EINVAL;
        return -1;
    }
    *ret_time = timespec_of(ns);
    return 0;
}

ORR_API int clock_getres(clockid_t clock, struct timespec *ret_resolution)
{
    if (!inside())
        return REAL(clock_getres)(clock, ret_resolution);
    uint64_t ns;
    if (!clock_in_world(clock, &ns)) {
        errno = EINVAL;
        return -1;
    }
    if (ret_resolution != NULL)
        *ret_resolution = timespec_of(1);
    return 0;
}

ORR_API int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    if (!inside())
        return REAL(gettimeofday)(ret_time, zone);
    uint64_t ns = orr__libc_clock(ORR_CLOCK_WALL);
    *ret_time = (struct timeval){.tv_sec = (time_t)(ns / ORR_SECOND),
                                 .tv_usec = (suseconds_t)(ns % ORR_SECOND / ORR_MICROSECOND)};
    return 0;
}

ORR_API time_t time(time_t *ret_time)
{
    if (!inside())
        return REAL(time)(ret_time);
    time_t seconds = (time_t)(orr__libc_clock(ORR_CLOCK_WALL) / ORR_SECOND);
    if (ret_time != NULL)
        *ret_time = seconds;
    return seconds;
}

ORR_API int timespec_get(struct timespec *ret_time, int base)
{
    if (!inside())
        return REAL(timespec_get)(ret_time, base);
    if (base != TIME_UTC)
        return 0;
    *ret_time = timespec_of(orr__libc_clock(ORR_CLOCK_WALL));
    return base;
}

ORR_API clock_t clock(void)
{
    if (!inside())
        return REAL(clock)();
    return (clock_t)(orr__libc_elapsed() / (ORR_SECOND / CLOCKS_PER_SEC));
}

/* ---- random ---------------------------------------------------------------------------------- */

ORR_API ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    if (!inside())
        return REAL(getrandom)(buffer, length, flags);
    orr__libc_bytes(buffer, length);
    return (ssize_t)length;
}

ORR_API int getentropy(void *buffer, size_t length)
{
    if (!inside())
        return REAL(getentropy)(buffer, length);
    if (length > 256) {
        errno = EIO;
        return -1;
    }
    orr__libc_bytes(buffer, length);
    return 0;
}

ORR_API uint32_t arc4random(void)
{
    if (!inside())
        return REAL(arc4random)();
    return (uint32_t)(orr__libc_draw() >> 32);
}

ORR_API uint32_t arc4random_uniform(uint32_t bound)
{
    if (!inside())
        return REAL(arc4random_uniform)(bound);
    return (uint32_t)((orr__libc_draw() >> 32) * bound >> 32);
}

ORR_API void arc4random_buf(void *buffer, size_t length)
{
    if (!inside())
        REAL(arc4random_buf)(buffer, length);
    else
        orr__libc_bytes(buffer, length);
}

ORR_API int rand(void)
{
    return inside() ? orr__libc_rand() : REAL(rand)();
}

ORR_API long random(void)
{
    return inside() ? orr__libc_rand() : REAL(random)();
}

ORR_API void srand(unsigned seed)
{
    if (inside())
        orr__libc_srand(seed);
    else
        REAL(srand)(seed);
}

ORR_API void srandom(unsigned seed)
{
    if (inside())
        orr__libc_srand(seed);
    else
        REAL(srandom)(seed);
}

/* ---- threads --------------------------------------------------------------------------------- */

ORR_API int pthread_create(pthread_t *restrict ret_thread,
                           const pthread_attr_t *restrict attributes, void *(*run)(void *),
                           void *restrict argument)
{
    if (orr__libc_leaks(ORR__LEAK_THREAD, "pthread_create", CALLER))
        return EAGAIN;
    return REAL(pthread_create)(ret_thread, attributes, run, argument);
}

ORR_API int thrd_create(thrd_t *ret_thread, thrd_start_t run, void *argument)
{
    if (orr__libc_leaks(ORR__LEAK_THREAD, "thrd_create", CALLER))
        return thrd_error;
    return REAL(thrd_create)(ret_thread, run, argument);
}

/* ---- sleeps ---------------------------------------------------------------------------------- */

ORR_API int nanosleep(const struct timespec *wait, struct timespec *ret_left)
{
    if (orr__libc_leaks(ORR__LEAK_SLEEP, "nanosleep", CALLER))
        return 0;
    return REAL(nanosleep)(wait, ret_left);
}

ORR_API int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wait,
                            struct timespec *ret_left)
{
    if (orr__libc_leaks(ORR__LEAK_SLEEP, "clock_nanosleep", CALLER))
        return 0;
    return REAL(clock_nanosleep)(clock, flags, wait, ret_left);
}

ORR_API unsigned sleep(unsigned seconds)
{
    if (orr__libc_leaks(ORR__LEAK_SLEEP, "sleep", CALLER))
        return 0;
    return REAL(sleep)(seconds);
}

ORR_API int usleep(useconds_t microseconds)
{
    if (orr__libc_leaks(ORR__LEAK_SLEEP, "usleep", CALLER))
        return 0;
    return REAL(usleep)(microseconds);
}

ORR_API int thrd_sleep(const struct timespec *wait, struct timespec *ret_left)
{
    if (orr__libc_leaks(ORR__LEAK_SLEEP, "thrd_sleep", CALLER))
        return 0;
    return REAL(thrd_sleep)(wait, ret_left);
}

/* ---- waits for real descriptors: none is ready ----------------------------------------------- */

ORR_API int poll(struct pollfd *descriptors, nfds_t count, int timeout_ms)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "poll", CALLER))
        return 0;
    return REAL(poll)(descriptors, count, timeout_ms);
}

ORR_API int __poll_chk(struct pollfd *descriptors, nfds_t count, int timeout_ms, size_t size)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "poll", CALLER))
        return 0;
    return REAL(__poll_chk)(descriptors, count, timeout_ms, size);
}

ORR_API int ppoll(struct pollfd *descriptors, nfds_t count, const struct timespec *timeout,
                  const sigset_t *mask)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "ppoll", CALLER))
        return 0;
    return REAL(ppoll)(descriptors, count, timeout, mask);
}

ORR_API int __ppoll_chk(struct pollfd *descriptors, nfds_t count, const struct timespec *timeout,
                        const sigset_t *mask, size_t size)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "ppoll", CALLER))
        return 0;
    return REAL(__ppoll_chk)(descriptors, count, timeout, mask, size);
}

ORR_API int select(int count, fd_set *restrict reads, fd_set *restrict writes,
                   fd_set *restrict exceptions, struct timeval *restrict timeout)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "select", CALLER))
        return 0;
    return REAL(select)(count, reads, writes, exceptions, timeout);
}

ORR_API int pselect(int count, fd_set *restrict reads, fd_set *restrict writes,
                    fd_set *restrict exceptions, const struct timespec *restrict timeout,
                    const sigset_t *restrict mask)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "pselect", CALLER))
        return 0;
    return REAL(pselect)(count, reads, writes, exceptions, timeout, mask);
}

ORR_API int epoll_wait(int epoll, struct epoll_event *ret_events, int count, int timeout_ms)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "epoll_wait", CALLER))
        return 0;
    return REAL(epoll_wait)(epoll, ret_events, count, timeout_ms);
}

ORR_API int epoll_pwait(int epoll, struct epoll_event *ret_events, int count, int timeout_ms,
                        const sigset_t *mask)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "epoll_pwait", CALLER))
        return 0;
    return REAL(epoll_pwait)(epoll, ret_events, count, timeout_ms, mask);
}

ORR_API int epoll_pwait2(int epoll, struct epoll_event *ret_events, int count,
                         const struct timespec *timeout, const sigset_t *mask)
{
    if (orr__libc_leaks(ORR__LEAK_WAIT, "epoll_pwait2", CALLER))
        return 0;
    return REAL(epoll_pwait2)(epoll, ret_events, count, timeout, mask);
}

/* ---- waits for other threads and processes: nobody else is there ----------------------------- */

/* True if the call must not be made; then errno is not one that has it made again. */
static bool waits_in_vain(const char *function, const void *caller)
{
    if (!orr__libc_leaks(ORR__LEAK_WAIT, function, caller))
        return false;
    errno = EINVAL;
    return true;
}

ORR_API int sem_wait(sem_t *semaphore)
{
    return waits_in_vain("sem_wait", CALLER) ? -1 : REAL(sem_wait)(semaphore);
}

ORR_API int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline)
{
    return waits_in_vain("sem_timedwait", CALLER) ? -1 : REAL(sem_timedwait)(semaphore, deadline);
}

ORR_API int sigwait(const sigset_t *restrict set, int *restrict ret_signal)
{
    return waits_in_vain("sigwait", CALLER) ? EINVAL : REAL(sigwait)(set, ret_signal);
}

ORR_API int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict ret_info)
{
    return waits_in_vain("sigwaitinfo", CALLER) ? -1 : REAL(sigwaitinfo)(set, ret_info);
}

ORR_API int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict ret_info,
                         const struct timespec *restrict timeout)
{
    return waits_in_vain("sigtimedwait", CALLER) ? -1 : REAL(sigtimedwait)(set, ret_info, timeout);
}

ORR_API int flock(int descriptor, int how)
{
    return waits_in_vain("flock", CALLER) ? -1 : REAL(flock)(descriptor, how);
}

/* ---- processes: but for fork, which the campaign calls in the midst of a run ----------------- */

ORR_API int system(const char *command)
{
    return orr__libc_leaks(ORR__LEAK_PROCESS, "system", CALLER) ? -1 : REAL(system)(command);
}

ORR_API FILE *popen(const char *command, const char *mode)
{
    return orr__libc_leaks(ORR__LEAK_PROCESS, "popen", CALLER) ? NULL : REAL(popen)(command, mode);
}

ORR_API int posix_spawn(pid_t *restrict ret_process, const char *restrict path,
                        const posix_spawn_file_actions_t *restrict actions,
                        const posix_spawnattr_t *restrict attributes, char *const arguments[],
                        char *const environment[])
{
    if (orr__libc_leaks(ORR__LEAK_PROCESS, "posix_spawn", CALLER))
        return EAGAIN;
    return REAL(posix_spawn)(ret_process, path, actions, attributes, arguments, environment);
}

ORR_API int posix_spawnp(pid_t *ret_process, const char *file,
                         const posix_spawn_file_actions_t *actions,
                         const posix_spawnattr_t *attributes, char *const arguments[],
                         char *const environment[])
{
    if (orr__libc_leaks(ORR__LEAK_PROCESS, "posix_spawnp", CALLER))
        return EAGAIN;
    return REAL(posix_spawnp)(ret_process, file, actions, attributes, arguments, environment);
}

/* ---- names ----------------------------------------------------------------------------------- */

ORR_API int getaddrinfo(const char *restrict host, const char *restrict service,
                        const struct addrinfo *restrict hints, struct addrinfo **restrict ret_list)
{
    if (orr__libc_leaks(ORR__LEAK_LOOKUP, "getaddrinfo", CALLER))
        return EAI_FAIL;
    return REAL(getaddrinfo)(host, service, hints, ret_list);
}

ORR_API int getnameinfo(const struct sockaddr *restrict address, socklen_t length,
                        char *restrict ret_host, socklen_t host_length, char *restrict ret_service,
                        socklen_t service_length, int flags)
{
    if (orr__libc_leaks(ORR__LEAK_LOOKUP, "getnameinfo", CALLER))
        return EAI_FAIL;
    return REAL(getnameinfo)(address, length, ret_host, host_length, ret_service, service_length,
                             flags);
}

static bool finds_nothing(const char *function, const void *caller)
{
    if (!orr__libc_leaks(ORR__LEAK_LOOKUP, function, caller))
        return false;
    h_errno = NO_RECOVERY;
    return true;
}

ORR_API struct hostent *gethostbyname(const char *name)
{
    return finds_nothing("gethostbyname", CALLER) ? NULL : REAL(gethostbyname)(name);
}

ORR_API struct hostent *gethostbyname2(const char *name, int family)
{
    return finds_nothing("gethostbyname2", CALLER) ? NULL : REAL(gethostbyname2)(name, family);
}

ORR_API struct hostent *gethostbyaddr(const void *address, socklen_t length, int family)
{
    if (finds_nothing("gethostbyaddr", CALLER))
        return NULL;
    return REAL(gethostbyaddr)(address, length, family);
}

#else

void orr__interpose(void)
{
}

#endif

/* NOLINTEND(readability-inconsistent-declaration-parameter-name,bugprone-macro-parentheses) */

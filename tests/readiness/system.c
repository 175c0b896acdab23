/*
 * system.c: see system.h. Each wrap fails with an errno that the call can really have.
 */
#define _GNU_SOURCE 1

#include "system.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

_Thread_local struct system sys;

static bool fails(void)
{
    return ++sys.calls == sys.fail_at;
}

/* For calls that answer -1 and an errno. */
#define FAIL(error)      \
    do {                 \
        errno = (error); \
        return -1;       \
    } while (0)

/* ---- memory ---------------------------------------------------------------------------------- */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);

void *__wrap_calloc(size_t count, size_t size)
{
    if (fails())
        return NULL;
    sys.memory++;
    return __real_calloc(count, size);
}

void __wrap_free(void *memory)
{
    sys.memory -= memory != NULL;
    __real_free(memory);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event *event);
int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);

int __wrap_epoll_create1(int flags)
{
    if (sys.epoll_error != 0)
        FAIL(sys.epoll_error);
    if (fails())
        FAIL(EMFILE);
    return __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event *event)
{
    if (fails())
        FAIL(ENOSPC);
    return __real_epoll_ctl(epoll, operation, descriptor, event);
}

int __wrap_eventfd(unsigned value, int flags)
{
    if (fails())
        FAIL(ENFILE);
    return __real_eventfd(value, flags);
}

/* ---- io_uring -------------------------------------------------------------------------------- */

int __real_io_uring_setup(unsigned entries, struct io_uring_params *params);
int __wrap_io_uring_setup(unsigned entries, struct io_uring_params *params);
int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params);

int __wrap_io_uring_setup(unsigned entries, struct io_uring_params *params)
{
    return sys.uring_error != 0 ? sys.uring_error : __real_io_uring_setup(entries, params);
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                                      struct io_uring_params *params)
{
    if (sys.uring_error != 0)
        return sys.uring_error;
    return __real_io_uring_queue_init_params(entries, ring, params);
}

/* ---- threads --------------------------------------------------------------------------------- */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *context), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *context), void *context);
int __real_pthread_attr_init(pthread_attr_t *attributes);
int __wrap_pthread_attr_init(pthread_attr_t *attributes);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __real_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *context), void *context)
{
    return fails() ? EAGAIN : __real_pthread_create(thread, attributes, run, context);
}

int __wrap_pthread_attr_init(pthread_attr_t *attributes)
{
    return fails() ? ENOMEM : __real_pthread_attr_init(attributes);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    return fails() ? ENOMEM : __real_pthread_mutex_init(mutex, attributes);
}

int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    return fails() ? ENOMEM : __real_pthread_cond_init(condition, attributes);
}

/*
 * eventfd.h: Linux's eventfd as a wake: signaled from anywhere, readable until it is emptied.
 * Internal to backends/.
 */
#ifndef ORR_BACKENDS_EVENTFD_H
#define ORR_BACKENDS_EVENTFD_H

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A descriptor or -errno. */
static inline int orr__eventfd_open(void)
{
    const int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    return descriptor >= 0 ? descriptor : -errno;
}

/*
 * From any thread and from signal handlers: touches the eventfd and nothing else. EAGAIN: it counts
 * to 2^64 - 2 and is readable then, all the same.
 */
static inline void orr__eventfd_signal(int descriptor)
{
    const uint64_t one = 1;
    const int error = errno;

    (void)!write(descriptor, &one, sizeof one);
    errno = error;
}

/* EAGAIN: it is empty already. What signals it from now on makes it readable again. */
static inline void orr__eventfd_empty(int descriptor)
{
    uint64_t count;

    (void)!read(descriptor, &count, sizeof count);
}

#endif

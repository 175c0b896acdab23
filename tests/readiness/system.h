/*
 * system.h: the calls by which a loop opens, made to fail (ld --wrap, see meson.build).
 *
 *     the backends --> calloc, epoll_create1, eventfd, pthread_create ... --> the system
 *                           \__ wrapped: the Nth of them fails, or all of one kind
 */
#ifndef TESTS_READINESS_SYSTEM_H
#define TESTS_READINESS_SYSTEM_H

#include <stdint.h>

/* Of the thread that tests: sanitizers make some of these calls on threads that start. */
struct system {
    uint64_t calls;   /* of all that are wrapped */
    uint64_t fail_at; /* the number of the call that fails; 0 = none */
    int64_t memory;   /* allocations that were not freed */
    int uring_error;  /* -errno that every io_uring_setup answers; 0 = this machine's answer */
    int epoll_error;  /* errno of every epoll_create1 */
};

extern _Thread_local struct system sys;

#endif

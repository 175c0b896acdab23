/*
 * backends.h: the backends that this system can have, for the choice in open.c. Internal to
 * backends/.
 *
 * ORR__HAVE_KQUEUE is set where the system has kqueue, and by builds that put an implementation of
 * it on another system.
 */
#ifndef ORR_BACKENDS_BACKENDS_H
#define ORR_BACKENDS_BACKENDS_H

#include <orrery/backend.h>

#if !defined(__linux__)
#define ORR__HAVE_KQUEUE 1
#endif

extern const struct orr_backend orr__uring;  /* Linux's io_uring; needs no argument */
extern const struct orr_backend orr__epoll;  /* Linux's epoll; needs no argument */
extern const struct orr_backend orr__kqueue; /* kqueue of macOS and the BSDs; needs no argument */

#endif

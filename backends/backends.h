/*
 * backends.h: the backends that this system can have, for the choice in open.c. Internal to
 * backends/.
 */
#ifndef ORR_BACKENDS_BACKENDS_H
#define ORR_BACKENDS_BACKENDS_H

#include <orrery/backend.h>

extern const struct orr_backend orr__uring; /* Linux's io_uring; needs no argument */

#endif

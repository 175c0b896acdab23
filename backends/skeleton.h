/*
 * skeleton.h: the backend of skeleton.c, for the test that runs it.
 */
#ifndef ORR_BACKENDS_SKELETON_H
#define ORR_BACKENDS_SKELETON_H

#include <orrery/backend.h>

extern const struct orr_backend orr__skeleton; /* needs no argument */

#endif

/*
 * open.c: the backend that orr_loop_open chooses: what this system has, without a question.
 *
 * Kept apart from the backends, so that none of them knows of another.
 */
#include "backends.h"

#include <errno.h>

#if defined(__linux__)

int orr_loop_open(const struct orr_options *options, struct orr_loop **ret_loop)
{
    return orr_loop_open_with(options, &orr__uring, NULL, ret_loop);
}

#else

int orr_loop_open(const struct orr_options *options, struct orr_loop **ret_loop)
{
    (void)ret_loop;
    orr_options_error(options,
                      "this system has no production backend: io_uring needs Linux 5.11 or "
                      "later; the simulated world works here (orr_loop_open_with)");
    return -ENOSYS;
}

#endif

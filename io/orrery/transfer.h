/*
 * transfer.h: whole transfers, made of the partial ones.
 *
 * Each repeats its base operation from inside the loop until everything is done, so they behave
 * alike on every backend and meet every partial transfer the world invents. One completion, one
 * callback; cancel, close and drain end them like their base operation. A length above
 * ORR_TRANSFER_MAX ends with -EINVAL: a whole transfer is never cut silently.
 */
#ifndef ORRERY_TRANSFER_H
#define ORRERY_TRANSFER_H

#include <orrery/operations.h>

ORR_BEGIN

/* Result: `length`, or fewer bytes if the stream or file ended first; errors as orr_recv,
 * orr_read. */
ORR_API void orr_recv_exact(struct orr_loop *loop, struct orr_completion *completion,
                            orr_handle socket, void *buffer, size_t length, orr_callback callback,
                            void *context);
ORR_API void orr_read_exact(struct orr_loop *loop, struct orr_completion *completion,
                            orr_handle file, void *buffer, size_t length, uint64_t offset,
                            orr_callback callback, void *context);

/* Result: `length`; errors as orr_send, orr_write (after which some of the bytes may have been sent
 * or written); -EIO when the system takes 0 bytes of a write without saying why. */
ORR_API void orr_send_all(struct orr_loop *loop, struct orr_completion *completion,
                          orr_handle socket, const void *data, size_t length, orr_callback callback,
                          void *context);
ORR_API void orr_write_all(struct orr_loop *loop, struct orr_completion *completion,
                           orr_handle file, const void *data, size_t length, uint64_t offset,
                           orr_callback callback, void *context);

ORR_END
#endif

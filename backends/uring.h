/*
 * uring.h: what the files of the io_uring backend share. Internal to backends/.
 *
 *   uring.c          the vtable: submit, cancel, flush, wake
 *   uring_prepare.c  a request becomes a submission entry; a completion entry becomes a result
 *   uring_open.c     the setup ladder, the probe, what is wrong when it fails; close
 */
#ifndef ORR_BACKENDS_URING_H
#define ORR_BACKENDS_URING_H

#include "backends.h"

#include <liburing.h>
#include <pthread.h>

/* One loop's ring. */
struct orr__uring {
    struct io_uring ring;
    uint32_t batch_entries; /* what the option says; the kernel may have made the ring larger */
    uint32_t enter_flags;   /* of every enter */
    uint64_t missing;       /* ORR_OP_BIT of the operations that this kernel's io_uring lacks */
    pthread_t owner;        /* the ring answers to the thread that opened it */
    int wake_descriptor;    /* eventfd */
    int nest_descriptor;    /* eventfd that the kernel signals for who nests the loop, or -1 */
    bool wake_armed;        /* a poll on it is in the batch or in the kernel */
    bool wake_once;         /* the kernel (before 5.13) has no polls that stay armed */
    bool woken;             /* a wake that no waiting flush has returned for */
    int wake_error;         /* why it cannot be armed */
    uint64_t wakes;         /* that were taken */
    uint64_t writes;        /* WRITE and WRITEV in flight: the kernel could raise SIGPIPE */
};

/* uring_prepare.c */
/* The IORING_OP_... of an operation. */
uint8_t orr__uring_opcode(uint8_t op);
/* Fills in everything of `sqe` but user_data. */
void orr__uring_prepare(struct io_uring_sqe *sqe, const struct orr_request *request);
/* Moves what the kernel left in the operation's structs to where the caller reads it. */
int64_t orr__uring_result(const struct orr_request *request, int32_t res);

/* uring_open.c */
int orr__uring_probe(const struct orr_options *options);
int orr__uring_open(const struct orr_options *options, void *argument, void **ret_state);
void orr__uring_close(void *state);

/* uring.c */
int orr__uring_flush(void *state, uint64_t deadline_ns, struct orr_queue *completed);

#endif

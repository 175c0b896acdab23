/*
 * submit.c: the submit functions. Each takes an idle completion, fills in its request and hands it
 * over; none blocks, none calls back. An operation that cannot even start (closed handle, lacking
 * operation, draining loop) is completed with its error, so that the caller has one way to hear of
 * it: the callback.
 *
 * Order: while operations wait in the overflow queue, or cancels for room in the batch, new ones go
 * behind them: a callback that fills every batch must not keep a cancel from being sent.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

void orr__begin(struct orr_loop *loop, struct orr_completion *completion, enum orr_op op,
                orr_callback callback, void *context)
{
    const char *site = loop->site;
    loop->site = NULL;
    uint8_t state = completion->request.state;
    if (state >= ORR__STATE_COUNT)
        orr__misuse(loop, site, (uint8_t)op,
                    "the completion must be zeroed before its first use");
    if (state != ORR__IDLE)
        orr__misuse(
            loop, site, (uint8_t)op,
            "the completion is in flight already: %s submitted at %s has not called back",
            orr_op_name(completion->request.op),
            completion->site != NULL ? completion->site : "an unknown line");
    if (callback == NULL)
        orr__misuse(loop, site, (uint8_t)op, "every operation needs a callback");
    memset(completion, 0, sizeof *completion);
    completion->callback = callback;
    completion->context = context;
    completion->site = site;
    completion->request.op = (uint8_t)op;
    completion->request.descriptor = -1;
    completion->request.state = ORR__HELD;
    loop->statistics.submits++;
}

void orr__complete(struct orr_loop *loop, struct orr_completion *completion, int64_t result)
{
    orr__assert(completion->request.state != ORR__IDLE &&
                completion->request.state != ORR__COMPLETED);
    completion->next = NULL;
    completion->previous = NULL;
    completion->result = result;
    completion->request.state = ORR__COMPLETED;
    orr_queue_push(&loop->completed, completion);
}

bool orr__refused(struct orr_loop *loop, struct orr_completion *completion)
{
    if (!loop->draining)
        return false;
    if (++loop->refusals > ORR_DRAIN_REFUSALS_MAX)
        orr__misuse(
            loop, completion->site, completion->request.op,
            "a callback goes on submitting while the loop drains: it must stop at -ECANCELED");
    orr__complete(loop, completion, -ECANCELED);
    return true;
}

void orr__start(struct orr_loop *loop, struct orr_completion *completion)
{
    struct orr_request *request = &completion->request;
    orr__assert(completion->next == NULL && completion->previous == NULL);
    if (loop->overflow.count == 0 && loop->cancels_unsent == 0) {
        request->state = ORR__QUEUED;
        request->backend_bits = 0;
        switch (loop->backend->submit(loop->backend_state, completion)) {
        case ORR_SUBMIT_QUEUED:
            loop->in_backend++;
            return;
        case ORR_SUBMIT_DONE:
            orr__complete(loop, completion, completion->result);
            return;
        case ORR_SUBMIT_FULL:
            break;
        }
    }
    request->state = ORR__OVERFLOWED;
    loop->statistics.overflowed++;
    orr_queue_push(&loop->overflow, completion);
}

/* Ends an operation that cannot start. */
static void fail(struct orr_loop *loop, struct orr_completion *completion, int64_t error)
{
    if (!orr__refused(loop, completion))
        orr__complete(loop, completion, error);
}

/* Starts an operation if the loop takes it and the backend has it. */
static void start_checked(struct orr_loop *loop, struct orr_completion *completion)
{
    if (orr__refused(loop, completion))
        return;
    if ((loop->backend->operations & ORR_OP_BIT(completion->request.op)) == 0) {
        orr__complete(loop, completion, -ENOTSUP);
        return;
    }
    orr__slot_link(loop, completion);
    orr__start(loop, completion);
}

/* Finds the handle's descriptor and starts; on ACCEPT and OPEN a slot for the new handle is kept
 * first. */
static void start_on(struct orr_loop *loop, struct orr_completion *completion, orr_handle handle)
{
    uint32_t slot = orr__slot_of(loop, handle);
    if (slot == 0 || loop->slots[slot].closer != NULL) {
        orr__handle_stale(loop, completion, handle);
        fail(loop, completion, -EBADF);
        return;
    }
    completion->request.slot = slot;
    completion->request.descriptor = loop->slots[slot].descriptor;
    start_checked(loop, completion);
}

/* True if a slot was kept for the handle to come; else the operation ended with -EMFILE. */
static bool keep_slot(struct orr_loop *loop, struct orr_completion *completion)
{
    completion->request.slot_new = orr__slot_reserve(loop);
    if (completion->request.slot_new != 0)
        return true;
    fail(loop, completion, -EMFILE);
    return false;
}

void orr_accept(struct orr_loop *loop, struct orr_completion *completion, orr_handle listener,
                struct orr_address *ret_peer, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_ACCEPT, callback, context);
    completion->request.arguments.peer.accepted = ret_peer;
    if (keep_slot(loop, completion))
        start_on(loop, completion, listener);
}

void orr_connect(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
                 const struct orr_address *peer, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_CONNECT, callback, context);
    completion->request.arguments.peer.target = peer;
    start_on(loop, completion, socket);
}

struct span {
    void *buffer;
    const void *data;
    size_t length;
    uint64_t offset;
    bool whole;
};

/* The transfers differ in the opcode and in whether a partial one is enough. */
static void transfer(struct orr_loop *loop, struct orr_completion *completion, orr_handle handle,
                     struct span span)
{
    size_t length = span.length > ORR_TRANSFER_MAX ? ORR_TRANSFER_MAX : span.length;
    bool cut = span.whole && length < span.length;
    if (cut || span.offset > INT64_MAX - length) { /* a kernel reads offset -1 as "where I was" */
        fail(loop, completion, -EINVAL);
        return;
    }
    if (span.buffer != NULL)
        completion->request.arguments.transfer.buffer = span.buffer;
    else
        completion->request.arguments.transfer.data = span.data;
    completion->request.arguments.transfer.length = (uint32_t)length;
    completion->request.arguments.transfer.offset = span.offset;
    completion->request.arguments.transfer.whole = span.whole ? (uint32_t)length : 0;
    start_on(loop, completion, handle);
}

void orr_recv(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
              void *buffer, size_t length, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_RECV, callback, context);
    transfer(loop, completion, socket, (struct span){.buffer = buffer, .length = length});
}

void orr_recv_exact(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
                    void *buffer, size_t length, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_RECV, callback, context);
    transfer(loop, completion, socket,
             (struct span){.buffer = buffer, .length = length, .whole = true});
}

void orr_send(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
              const void *data, size_t length, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_SEND, callback, context);
    transfer(loop, completion, socket, (struct span){.data = data, .length = length});
}

void orr_send_all(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
                  const void *data, size_t length, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_SEND, callback, context);
    transfer(loop, completion, socket,
             (struct span){.data = data, .length = length, .whole = true});
}

void orr_read(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
              void *buffer, size_t length, uint64_t offset, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_READ, callback, context);
    transfer(loop, completion, file,
             (struct span){.buffer = buffer, .length = length, .offset = offset});
}

void orr_read_exact(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                    void *buffer, size_t length, uint64_t offset, orr_callback callback,
                    void *context)
{
    orr__begin(loop, completion, ORR_OP_READ, callback, context);
    transfer(loop, completion, file,
             (struct span){.buffer = buffer, .length = length, .offset = offset, .whole = true});
}

void orr_write(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
               const void *data, size_t length, uint64_t offset, orr_callback callback,
               void *context)
{
    orr__begin(loop, completion, ORR_OP_WRITE, callback, context);
    transfer(loop, completion, file,
             (struct span){.data = data, .length = length, .offset = offset});
}

void orr_write_all(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                   const void *data, size_t length, uint64_t offset, orr_callback callback,
                   void *context)
{
    orr__begin(loop, completion, ORR_OP_WRITE, callback, context);
    transfer(loop, completion, file,
             (struct span){.data = data, .length = length, .offset = offset, .whole = true});
}

static void vectored(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                     const struct orr_vector *vectors, uint32_t count, uint64_t offset)
{
    if (count > ORR_VECTORS_MAX || offset > INT64_MAX - ORR_TRANSFER_MAX) {
        fail(loop, completion, -EINVAL);
        return;
    }
    completion->request.arguments.transfer.vectors = vectors;
    completion->request.arguments.transfer.length = count;
    completion->request.arguments.transfer.offset = offset;
    start_on(loop, completion, file);
}

void orr_readv(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
               const struct orr_vector *vectors, uint32_t count, uint64_t offset,
               orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_READV, callback, context);
    vectored(loop, completion, file, vectors, count, offset);
}

void orr_writev(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                const struct orr_vector *vectors, uint32_t count, uint64_t offset,
                orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_WRITEV, callback, context);
    vectored(loop, completion, file, vectors, count, offset);
}

void orr_recv_from(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
                   struct orr_datagram *datagram, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_RECV_FROM, callback, context);
    completion->request.arguments.datagram = datagram;
    start_on(loop, completion, socket);
}

void orr_send_to(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
                 struct orr_datagram *datagram, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_SEND_TO, callback, context);
    completion->request.arguments.datagram = datagram;
    start_on(loop, completion, socket);
}

void orr_shutdown(struct orr_loop *loop, struct orr_completion *completion, orr_handle socket,
                  enum orr_shutdown how, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_SHUTDOWN, callback, context);
    completion->request.arguments.events = (uint32_t)how;
    start_on(loop, completion, socket);
}

void orr_poll(struct orr_loop *loop, struct orr_completion *completion, orr_handle handle,
              uint32_t events, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_POLL, callback, context);
    completion->request.arguments.events = events;
    start_on(loop, completion, handle);
}

void orr_fsync(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
               orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_FSYNC, callback, context);
    start_on(loop, completion, file);
}

void orr_fdatasync(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                   orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_FDATASYNC, callback, context);
    start_on(loop, completion, file);
}

void orr_truncate(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                  uint64_t length, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_TRUNCATE, callback, context);
    completion->request.arguments.range.length = length;
    start_on(loop, completion, file);
}

void orr_allocate(struct orr_loop *loop, struct orr_completion *completion, orr_handle file,
                  uint64_t offset, uint64_t length, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_ALLOCATE, callback, context);
    completion->request.arguments.range.offset = offset;
    completion->request.arguments.range.length = length;
    start_on(loop, completion, file);
}

/* Paths may be relative to a directory handle or to the current directory. */
static void start_at(struct orr_loop *loop, struct orr_completion *completion, orr_handle directory)
{
    if (directory == ORR_DIRECTORY_CURRENT)
        start_checked(loop, completion);
    else
        start_on(loop, completion, directory);
}

void orr_open(struct orr_loop *loop, struct orr_completion *completion, orr_handle directory,
              const char *path, uint32_t flags, uint32_t mode, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_OPEN, callback, context);
    completion->request.arguments.path.path = path;
    completion->request.arguments.path.flags = flags;
    completion->request.arguments.path.mode = mode;
    if (keep_slot(loop, completion))
        start_at(loop, completion, directory);
}

void orr_stat(struct orr_loop *loop, struct orr_completion *completion, orr_handle directory,
              const char *path, struct orr_stat *ret_stat, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_STAT, callback, context);
    completion->request.arguments.path.path = path;
    completion->request.arguments.path.stat = ret_stat;
    start_at(loop, completion, directory);
}

void orr_rename(struct orr_loop *loop, struct orr_completion *completion, orr_handle directory,
                const char *path, const char *path_new, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_RENAME, callback, context);
    completion->request.arguments.path.path = path;
    completion->request.arguments.path.path_new = path_new;
    start_at(loop, completion, directory);
}

void orr_link(struct orr_loop *loop, struct orr_completion *completion, orr_handle directory,
              const char *path, const char *path_new, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_LINK, callback, context);
    completion->request.arguments.path.path = path;
    completion->request.arguments.path.path_new = path_new;
    start_at(loop, completion, directory);
}

void orr_unlink(struct orr_loop *loop, struct orr_completion *completion, orr_handle directory,
                const char *path, enum orr_unlink_kind kind, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_UNLINK, callback, context);
    completion->request.arguments.path.path = path;
    completion->request.arguments.path.flags = (uint32_t)kind;
    start_at(loop, completion, directory);
}

void orr_mkdir(struct orr_loop *loop, struct orr_completion *completion, orr_handle directory,
               const char *path, uint32_t mode, orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_MKDIR, callback, context);
    completion->request.arguments.path.path = path;
    completion->request.arguments.path.mode = mode;
    start_at(loop, completion, directory);
}

void orr_timeout(struct orr_loop *loop, struct orr_completion *completion, uint64_t after_ns,
                 orr_callback callback, void *context)
{
    orr__begin(loop, completion, ORR_OP_TIMEOUT, callback, context);
    if (orr__refused(loop, completion))
        return;
    completion->request.arguments.timer.deadline_ns =
        orr__add_saturated(orr__now_ns(loop), after_ns);
    orr__timer_add(loop, completion);
}

void orr_next_tick(struct orr_loop *loop, struct orr_completion *completion, orr_callback callback,
                   void *context)
{
    orr__begin(loop, completion, ORR_OP_NEXT_TICK, callback, context);
    if (!orr__refused(loop, completion))
        orr__complete(loop, completion, 0);
}

void orr_wait_wake(struct orr_loop *loop, struct orr_completion *completion, orr_callback callback,
                   void *context)
{
    orr__begin(loop, completion, ORR_OP_WAKE, callback, context);
    if (orr__refused(loop, completion))
        return;
    completion->request.state = ORR__WAITING;
    orr_queue_push(&loop->wakes, completion);
}

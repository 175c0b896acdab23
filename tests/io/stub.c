/*
 * stub.c: the backend of stub.h. One list for each stage of an operation's way; a stage ends
 * where the test says so. It calls nothing of the loop but orr_backend_complete.
 */
#include "stub.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* backend_bits: the list that an operation is in, and whether a cancel is under way. */
enum { IN_BATCH = 1, IN_HELD, IN_READY, LIST_MASK = 0x0f, CANCEL_ASKED = 0x10 };

void stub_fail(int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "stub.c:%d: the loop broke the backend's rules: ", line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void append(struct orr_queue *list, struct orr_completion *completion, uint8_t place)
{
    completion->next = NULL;
    completion->previous = list->tail;
    *(list->tail != NULL ? &list->tail->next : &list->head) = completion;
    list->tail = completion;
    list->count++;
    completion->request.backend_bits =
        (uint8_t)((completion->request.backend_bits & ~LIST_MASK) | place);
}

static void detach(struct orr_queue *list, struct orr_completion *completion)
{
    *(completion->previous != NULL ? &completion->previous->next : &list->head) = completion->next;
    *(completion->next != NULL ? &completion->next->previous : &list->tail) = completion->previous;
    list->count--;
}

static struct orr_queue *list_of(struct stub *stub, const struct orr_completion *completion)
{
    switch (completion->request.backend_bits & LIST_MASK) {
    case IN_BATCH:
        return &stub->batch;
    case IN_HELD:
        return &stub->held;
    case IN_READY:
        return &stub->ready;
    default:
        stub_fail(__LINE__, "a %s that the stub does not have",
                  orr_op_name(completion->request.op));
    }
}

/* ---- results --------------------------------------------------------------------------------- */

static bool transfers(uint8_t op)
{
    return op == ORR_OP_RECV || op == ORR_OP_SEND || op == ORR_OP_READ || op == ORR_OP_WRITE;
}

static bool takes_scripted(struct stub *stub, uint8_t op, int64_t *ret_result)
{
    for (uint32_t i = 0; i < stub->script_count; i++) {
        if (stub->script[i].op != op)
            continue;
        *ret_result = stub->script[i].result;
        stub->script_count--;
        memmove(&stub->script[i], &stub->script[i + 1],
                (stub->script_count - i) * sizeof stub->script[0]);
        return true;
    }
    return false;
}

int32_t stub_descriptor(struct stub *stub)
{
    for (int32_t i = 3; i < STUB_DESCRIPTORS_MAX; i++) {
        if (!stub->descriptors[i]) {
            stub->descriptors[i] = true;
            stub->descriptor_end = i >= stub->descriptor_end ? i + 1 : stub->descriptor_end;
            return i;
        }
    }
    return -EMFILE;
}

int64_t stub_result(struct stub *stub, const struct orr_request *request)
{
    int64_t result = 0;
    if (transfers(request->op))
        return request->arguments.transfer.length;
    if (request->op == ORR_OP_ACCEPT || request->op == ORR_OP_OPEN)
        return stub_descriptor(stub);
    if (request->op == ORR_OP_POLL)
        return request->arguments.events;
    if (request->op == ORR_OP_RECV_FROM || request->op == ORR_OP_SEND_TO)
        return request->arguments.datagram->length;
    if (request->op == ORR_OP_READV || request->op == ORR_OP_WRITEV)
        for (uint32_t i = 0; i < request->arguments.transfer.length; i++)
            result += (int64_t)request->arguments.transfer.vectors[i].length;
    return result;
}

static int64_t own_result(struct stub *stub, const struct orr_completion *completion)
{
    int64_t result;
    if (takes_scripted(stub, completion->request.op, &result))
        return result;
    if (stub->on_result != NULL)
        return stub->on_result(stub, &completion->request);
    return stub_result(stub, &completion->request);
}

/* An operation is over: it lets go of its descriptor. */
static void release(struct stub *stub, const struct orr_request *request)
{
    if (request->descriptor < 0)
        return;
    stub_assert(stub->users[request->descriptor] > 0, "a %s let go twice",
                orr_op_name(request->op));
    stub->users[request->descriptor]--;
    if (request->op == ORR_OP_CLOSE)
        stub->descriptors[request->descriptor] = false;
}

void stub_end(struct stub *stub, struct orr_completion *completion, int64_t result)
{
    stub_assert((completion->request.backend_bits & LIST_MASK) != IN_READY, "ended twice");
    detach(list_of(stub, completion), completion);
    release(stub, &completion->request);
    completion->result = result;
    append(&stub->ready, completion, IN_READY);
}

void stub_script(struct stub *stub, enum orr_op op, int64_t result)
{
    stub_assert(stub->script_count < STUB_SCRIPT_MAX, "the script is too long");
    stub->script[stub->script_count].op = (uint8_t)op;
    stub->script[stub->script_count].result = result;
    stub->script_count++;
}

void stub_set_ways(struct stub *stub, enum stub_way way)
{
    for (uint32_t op = 0; op < ORR_OP_COUNT; op++)
        if (op != ORR_OP_CLOSE)
            stub->ways[op] = way;
}

/* ---- submit and cancel ----------------------------------------------------------------------- */

static void look_at(struct stub *stub, const struct orr_completion *completion)
{
    const struct orr_request *request = &completion->request;
    const char *name = orr_op_name(request->op);
    stub_assert(completion->next == NULL && completion->previous == NULL, "a %s is linked", name);
    stub_assert(request->backend_bits == 0, "a %s arrives with backend bits", name);
    stub_assert(request->op > ORR_OP_NONE && request->op <= ORR_OP_POLL,
                "a %s is no backend's business", name);
    if (request->descriptor < 0)
        return;
    stub_assert(stub->descriptors[request->descriptor], "a %s of descriptor %d, which is closed",
                name, request->descriptor);
    stub_assert(request->op != ORR_OP_CLOSE || stub->users[request->descriptor] == 0,
                "a close of descriptor %d, which is in use", request->descriptor);
}

static enum orr_submit submit(void *state, struct orr_completion *completion)
{
    struct stub *stub = state;
    look_at(stub, completion);
    stub->submits++;
    if (stub->refuses || stub->batch_used >= stub->batch_max ||
        stub->batch.count + stub->held.count >= stub->held_max) {
        stub->fulls++;
        return ORR_SUBMIT_FULL;
    }
    stub->last = completion->request;
    if (stub->on_submit != NULL)
        stub->on_submit(stub, completion);
    if (completion->request.descriptor >= 0)
        stub->users[completion->request.descriptor]++;
    if (stub->ways[completion->request.op] == STUB_AT_ONCE) {
        completion->result = own_result(stub, completion);
        release(stub, &completion->request);
        completion->next = completion; /* they were the backend's, who need not tidy up */
        completion->previous = completion;
        return ORR_SUBMIT_DONE;
    }
    stub->batch_used++;
    append(&stub->batch, completion, IN_BATCH);
    return ORR_SUBMIT_QUEUED;
}

static enum orr_submit cancel(void *state, struct orr_completion *completion)
{
    struct stub *stub = state;
    stub->cancels++;
    (void)list_of(stub, completion);
    stub_assert((completion->request.backend_bits & CANCEL_ASKED) == 0, "a %s is canceled twice",
                orr_op_name(completion->request.op));
    if (stub->cancels_full > 0 || stub->batch_used >= stub->batch_max) {
        stub->cancels_full -= stub->cancels_full > 0;
        return ORR_SUBMIT_FULL;
    }
    completion->request.backend_bits |= CANCEL_ASKED;
    if (stub->cancel == STUB_CANCEL_DONE)
        return ORR_SUBMIT_DONE;
    stub->batch_used++;
    return ORR_SUBMIT_QUEUED;
}

/* ---- flush ----------------------------------------------------------------------------------- */

static void hand_over(struct stub *stub)
{
    struct orr_completion *next;
    stub->batch_used = 0;
    for (struct orr_completion *c = stub->batch.head; c != NULL; c = next) {
        next = c->next;
        detach(&stub->batch, c);
        append(&stub->held, c, IN_HELD);
    }
    for (struct orr_completion *c = stub->held.head; c != NULL; c = next) {
        bool asked = (c->request.backend_bits & CANCEL_ASKED) != 0;
        next = c->next;
        if (asked && stub->cancel == STUB_CANCEL_ENDS)
            stub_end(stub, c, -ECANCELED);
        else if ((asked && stub->cancel != STUB_CANCEL_HOLDS) ||
                 (!asked && stub->ways[c->request.op] != STUB_HOLDS))
            stub_end(stub, c, own_result(stub, c));
    }
}

static void sleep_until(struct stub *stub, uint64_t deadline_ns)
{
    stub_assert(stub->loop == NULL || stub->loop->completed.count == 0,
                "a flush sleeps although operations wait to be called back");
    stub->sleeps++;
    if (stub->on_sleep != NULL)
        stub->on_sleep(stub, deadline_ns);
    if (stub->ready.count > 0 || stub->woken)
        return;
    if (stub->early > 0) {
        stub->early--;
        stub->now_ns += stub->early_ns;
        return;
    }
    stub_assert(deadline_ns != ORR_WAIT_FOREVER, "a flush sleeps for ever");
    if (deadline_ns > stub->now_ns)
        stub->now_ns = deadline_ns;
}

static void deliver(struct stub *stub, struct orr_queue *completed)
{
    for (uint64_t i = 0; i < stub->deliver_max && stub->ready.count > 0; i++) {
        struct orr_completion *c = stub->newest_first ? stub->ready.tail : stub->ready.head;
        detach(&stub->ready, c);
        orr_backend_complete(completed, c, c->result);
    }
}

static int flush(void *state, uint64_t deadline_ns, struct orr_queue *completed)
{
    struct stub *stub = state;
    stub->flushes++;
    stub->deadline_ns = deadline_ns;
    if (stub->on_flush != NULL)
        stub->on_flush(stub, deadline_ns);
    hand_over(stub);
    if (stub->ready.count == 0 && !stub->woken && deadline_ns > stub->now_ns)
        sleep_until(stub, deadline_ns);
    stub->now_ns += stub->flush_ns;
    stub->woken = false;
    deliver(stub, completed);
    return stub->flush_result;
}

static bool unflushed(const void *state)
{
    const struct stub *stub = state;
    return stub->batch_used > 0;
}

/* ---- the rest of the table ------------------------------------------------------------------- */

static int open_stub(const struct orr_options *options, void *argument, void **ret_state)
{
    struct stub *stub = argument;
    if (stub->open_result < 0) {
        orr_options_error(options, "the stub does not open: %s",
                          orr_error_name(-stub->open_result));
        return stub->open_result;
    }
    if (stub->batch_max == 0)
        stub->batch_max = options->batch_entries;
    if (stub->held_max == 0)
        stub->held_max = UINT64_MAX;
    if (stub->deliver_max == 0)
        stub->deliver_max = UINT64_MAX;
    stub->is_open = true;
    *ret_state = stub;
    return 0;
}

static void close_stub(void *state)
{
    struct stub *stub = state;
    stub->is_open = false;
}

static uint64_t now(void *state, enum orr_clock clock)
{
    const struct stub *stub = state;
    return clock == ORR_CLOCK_MONOTONIC ? stub->now_ns : stub->wall_ns;
}

static void wake(void *state)
{
    struct stub *stub = state;
    stub->wakes++;
    stub->woken = true;
}

static int descriptor(void *state)
{
    const struct stub *stub = state;
    return stub->descriptor_result;
}

static void fill_random(void *state, void *buffer, size_t length)
{
    (void)state;
    memset(buffer, 0x5a, length);
}

static void *memory(void *state, void *block, size_t size)
{
    struct stub *stub = state;
    if (size == 0) {
        stub->blocks--;
        free(block);
        return NULL;
    }
    stub->blocks += block == NULL;
    return realloc(block, size);
}

static int called(struct stub *stub, const char *call, int32_t on, int32_t number)
{
    stub->call = call;
    stub->call_descriptor = on;
    stub->call_number = number;
    return stub->call_result;
}

static int32_t socket_call(void *state, enum orr_family family, enum orr_socket_type type)
{
    int result = called(state, "socket", (int32_t)family, (int32_t)type);
    return result < 0 ? result : stub_descriptor(state);
}

static int bind_call(void *state, int32_t on, const struct orr_address *address)
{
    return called(state, "bind", on, orr_address_port(address));
}

static int listen_call(void *state, int32_t on, uint32_t backlog)
{
    return called(state, "listen", on, (int32_t)backlog);
}

static int option_set(void *state, int32_t on, enum orr_socket_option option, int32_t value)
{
    return called(state, "option_set", on, (int32_t)option * 1000 + value);
}

static int option_get(void *state, int32_t on, enum orr_socket_option option, int32_t *ret_value)
{
    *ret_value = 7;
    return called(state, "option_get", on, (int32_t)option);
}

static int local_address(void *state, int32_t on, struct orr_address *ret_address)
{
    (void)orr_address_parse("127.0.0.1:1", ret_address);
    return called(state, "local_address", on, 0);
}

static int peer_address(void *state, int32_t on, struct orr_address *ret_address)
{
    (void)orr_address_parse("127.0.0.1:2", ret_address);
    return called(state, "peer_address", on, 0);
}

static int directory_list(void *state, int32_t on, orr_directory_visit visit, void *context)
{
    int result = called(state, "directory_list", on, 0);
    return result < 0 ? result : visit(context, "entry", ORR_FILE_REGULAR);
}

static int32_t adopt(void *state, int32_t foreign)
{
    int result = called(state, "adopt", foreign, 0);
    return result < 0 ? result : stub_descriptor(state);
}

static void release_call(void *state, int32_t on)
{
    struct stub *stub = state;
    stub_assert(stub->descriptors[on], "descriptor %d is released, but closed", on);
    stub->descriptors[on] = false;
    (void)called(state, "release", on, 0);
}

static void discard(void *state, int32_t on)
{
    struct stub *stub = state;
    stub_assert(stub->descriptors[on], "descriptor %d is discarded, but closed", on);
    stub->descriptors[on] = false;
    stub->discards++;
}

const struct orr_backend stub_backend = {
    .name = "stub",
    .operations = (UINT64_C(1) << (ORR_OP_POLL + 1)) - 2, /* accept to poll */
    .open = open_stub,
    .close = close_stub,
    .submit = submit,
    .cancel = cancel,
    .flush = flush,
    .unflushed = unflushed,
    .now = now,
    .wake = wake,
    .descriptor = descriptor,
    .random = fill_random,
    .memory = memory,
    .socket = socket_call,
    .bind = bind_call,
    .listen = listen_call,
    .option_set = option_set,
    .option_get = option_get,
    .local_address = local_address,
    .peer_address = peer_address,
    .directory_list = directory_list,
    .adopt = adopt,
    .release = release_call,
    .discard = discard,
};

struct orr_loop *stub_open(struct stub *stub, const struct orr_options *options)
{
    stub->loop = NULL;
    int status = orr_loop_open_with(options, &stub_backend, stub, &stub->loop);
    stub_assert(status == 0, "it did not open: %d", status);
    return stub->loop;
}

void stub_close(struct stub *stub)
{
    stub_assert(stub->batch.count + stub->held.count + stub->ready.count == 0,
                "it was not drained");
    orr_loop_close(stub->loop);
    stub_assert(!stub->is_open, "the loop was closed and the stub was not");
    for (int32_t i = 0; i < stub->descriptor_end; i++)
        stub_assert(!stub->descriptors[i], "descriptor %d was left open", i);
}

/*
 * fuzz/loop.c: the bytes are a program of submits, cancels, closes, wakes and run calls on a loop
 * over the stub backend, which is told by further bytes when to be full, how to end operations and
 * in which order. Everything the loop does is compared with a model that knows only its contract:
 *
 *   - every operation ends exactly once, inside a run call, never in the pass that submitted it;
 *   - the backend gets operations in the order of their submits (overflow goes first);
 *   - timers end in the order (deadline, submit), none early;
 *   - a cancel ends after its target and says which way that went;
 *   - a close ends after all operations on its handle; after its submit the handle is refused;
 *   - a wake ends all that wait for one, in the next pass;
 *   - the statistics agree, and the stub's own rules hold (see tests/io/stub.h).
 *
 * When the bytes run out every decision is the benign one: everything works and nothing is full.
 */
#include "tests/io/stub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS 48u
#define HANDLES 4u
#define STEPS_MAX 400u
#define LENGTH 9u
#define NEVER 0xff

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ensure(condition)                                                            \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "fuzz/loop.c:%d: not true: %s\n", __LINE__, #condition); \
            abort();                                                                 \
        }                                                                            \
    } while (0)

enum kind { READ, SEND_ALL, ACCEPT, TIMEOUT, TICK, WAIT, CANCEL, CLOSE, KIND_COUNT };

/* One operation, and what the model knows of it. */
struct item {
    struct orr_completion completion;
    enum kind kind;
    bool flying;
    uint8_t again;   /* submits left to its callback */
    uint64_t number; /* of the submit */
    uint64_t pass;   /* the one that it was submitted in, 0 = between run calls */
    uint64_t deadline_ns;
    bool is_known; /* `result` is what it must end with */
    int64_t result;
    orr_handle handle;
    bool on_handle; /* it counts as an operation of that handle */
    bool seen;      /* by the backend: later attempts have no order */
    struct item *target;
    struct item *canceler;
};

struct machine {
    const uint8_t *bytes;
    size_t length;
    struct stub stub;
    struct orr_loop *loop;
    struct item items[ITEMS];
    orr_handle handles[HANDLES];
    bool closed[HANDLES];
    uint64_t submits;
    uint64_t callbacks;
    uint64_t canceled;
    uint64_t pass; /* the pass under way, if run calls were single passes */
    bool running;
    bool draining;
    bool stopped;
};

static struct machine machine;
static char bytes[LENGTH];

static uint32_t decide(void)
{
    if (machine.length == 0)
        return 0;
    machine.length--;
    return *machine.bytes++;
}

/* ---- the end of an operation ----------------------------------------------------------------- */

static void submit_item(struct item *item, enum kind kind);

static void check_timer(const struct item *item)
{
    ensure(item->deadline_ns <= machine.stub.now_ns && item->deadline_ns != UINT64_MAX);
    for (uint32_t i = 0; i < ITEMS; i++) {
        const struct item *other = &machine.items[i];
        if (other->flying && other->kind == TIMEOUT && !other->is_known && other != item)
            ensure(other->deadline_ns > item->deadline_ns ||
                   (other->deadline_ns == item->deadline_ns && other->number > item->number));
    }
}

static void check_close(const struct item *item)
{
    for (uint32_t i = 0; i < ITEMS; i++)
        ensure(!machine.items[i].flying || !machine.items[i].on_handle ||
               machine.items[i].handle != item->handle);
}

static void keep_handle(orr_handle handle)
{
    ensure(orr_descriptor(machine.loop, handle) >= 0);
    for (uint32_t i = 0; i < HANDLES; i++) {
        ensure(machine.handles[i] != handle || machine.closed[i]);
        if (machine.closed[i]) {
            machine.handles[i] = handle;
            machine.closed[i] = false;
            return;
        }
    }
}

static void check_result(const struct item *item, int64_t result)
{
    if (item->is_known)
        ensure(result == item->result);
    else if (item->on_handle)
        ensure(result != -EBADF && result != -EINTR);
    if (item->kind == TIMEOUT && result == 0)
        check_timer(item);
    if (item->kind == SEND_ALL && result >= 0)
        ensure(result == LENGTH);
    if (item->kind == CLOSE && result == 0)
        check_close(item);
    if (item->kind == CANCEL && item->target != NULL)
        ensure(!item->target->flying || item->target->canceler != item);
}

static void called_back(void *context, struct orr_completion *completion, int64_t result)
{
    struct item *item = context;
    ensure(&item->completion == completion && !orr_in_flight(completion));
    ensure(machine.running && item->flying);
    ensure(item->pass == 0 || item->pass != machine.pass);
    item->flying = false;
    check_result(item, result);
    machine.callbacks++;
    machine.canceled += result == -ECANCELED;
    if (item->canceler != NULL) {
        item->canceler->is_known = true;
        item->canceler->result = result == -ECANCELED ? 0 : -EALREADY;
        item->canceler->target = NULL;
        item->canceler = NULL;
    }
    if (item->kind == ACCEPT && result > 0)
        keep_handle(result);
    if (item->again > 0 && !machine.draining) {
        uint8_t left = item->again;
        submit_item(item, item->kind);
        item->again = (uint8_t)(left - 1);
    }
}

/* ---- submits --------------------------------------------------------------------------------- */

static void know(struct item *item, int64_t result)
{
    item->is_known = true;
    item->result = result;
}

static void submit_cancel(struct item *item)
{
    struct item *target = &machine.items[decide() % ITEMS];
    if (target == item)
        target = &machine.items[(uint32_t)(item - machine.items + 1) % ITEMS];
    item->target = NULL;
    if (!target->flying) {
        know(item, -ENOENT);
    } else if (target->kind == CANCEL || target->kind == CLOSE || target->canceler != NULL) {
        know(item, -EALREADY);
    } else if (!machine.draining) {
        item->target = target;
        target->canceler = item;
        if (target->kind == TIMEOUT && target->completion.request.state == ORR__TIMER)
            know(target, -ECANCELED);
    }
    orr_cancel(machine.loop, &item->completion, &target->completion, called_back, item);
}

static void submit_close(struct item *item, uint32_t at)
{
    know(item, machine.closed[at] ? -EBADF : 0);
    machine.closed[at] = true;
    orr_close(machine.loop, &item->completion, item->handle, called_back, item);
}

static void submit_on_handle(struct item *item)
{
    uint32_t at = decide() % HANDLES;
    struct orr_loop *loop = machine.loop;
    struct orr_completion *c = &item->completion;
    item->handle = machine.handles[at];
    if (item->kind == CLOSE) {
        submit_close(item, at);
        return;
    }
    item->on_handle = !machine.closed[at];
    if (machine.closed[at] && item->kind != ACCEPT) /* that may be -EMFILE instead */
        know(item, -EBADF);
    if (item->kind == READ)
        orr_read(loop, c, item->handle, bytes, LENGTH, item->number, called_back, item);
    else if (item->kind == SEND_ALL)
        orr_send_all(loop, c, item->handle, bytes, LENGTH, called_back, item);
    else
        orr_accept(loop, c, item->handle, NULL, called_back, item);
}

static void submit_timeout(struct item *item)
{
    uint32_t after_ns = decide();
    bool never = after_ns == NEVER && !machine.running; /* or run_until_idle would not end */
    uint64_t length_ns = never ? UINT64_MAX : after_ns % 32;
    item->deadline_ns = orr__add_saturated(machine.stub.now_ns, length_ns);
    orr_timeout(machine.loop, &item->completion, length_ns, called_back, item);
}

static void submit_item(struct item *item, enum kind kind)
{
    item->kind = kind;
    item->flying = true;
    item->again = 0;
    item->number = ++machine.submits;
    item->pass = machine.pass;
    item->is_known = false;
    item->on_handle = false;
    item->seen = false;
    switch (kind) {
    case TIMEOUT:
        submit_timeout(item);
        break;
    case TICK:
        know(item, 0);
        orr_next_tick(machine.loop, &item->completion, called_back, item);
        break;
    case WAIT:
        orr_wait_wake(machine.loop, &item->completion, called_back, item);
        break;
    case CANCEL:
        submit_cancel(item);
        break;
    default:
        submit_on_handle(item);
        break;
    }
    ensure(item->flying && orr_in_flight(&item->completion));
}

static void submit_any(uint32_t kind)
{
    for (uint32_t i = 0; i < ITEMS; i++) {
        if (machine.items[i].flying)
            continue;
        uint8_t again = (uint8_t)(decide() % 4);
        submit_item(&machine.items[i], (enum kind)(kind % KIND_COUNT));
        machine.items[i].again = again;
        return;
    }
}

/* ---- the backend ----------------------------------------------------------------------------- */

/* First attempts come in the order of their submits; closes come when their handle is quiet. */
static void check_order(struct stub *stub, struct orr_completion *completion)
{
    struct item *item = completion->context;
    (void)stub;
    ensure(item->flying);
    if (item->kind == CLOSE || item->seen)
        return;
    item->seen = true;
    for (uint32_t i = 0; i < ITEMS; i++) {
        const struct item *other = &machine.items[i];
        ensure(other->completion.request.state != ORR__OVERFLOWED || other->seen ||
               other->number > item->number || other->kind == CLOSE);
    }
}

static int64_t decide_result(struct stub *stub, const struct orr_request *request)
{
    uint32_t how = decide();
    bool transfers = request->op == ORR_OP_READ || request->op == ORR_OP_SEND;
    if (how % 8 == 1 && request->op != ORR_OP_CLOSE)
        return -EINTR;
    if (how % 8 == 2 && request->op != ORR_OP_CLOSE)
        return -EIO;
    if (how % 8 >= 3 && transfers)
        return how / 8 % (request->arguments.transfer.length + 1);
    return stub_result(stub, request);
}

/* Something must end the sleep of a run call that waits for ever. */
static void end_something(struct stub *stub, uint64_t deadline_ns)
{
    ensure(machine.loop->completed.count == 0);
    ensure(machine.loop->timers == NULL || deadline_ns <= orr__timers_deadline(machine.loop));
    if (stub->held.count > 0)
        stub_end(stub, stub->held.head, decide_result(stub, &stub->held.head->request));
    else if (deadline_ns == ORR_WAIT_FOREVER)
        orr_wake(machine.loop);
}

static void turn_knob(void)
{
    uint32_t value = decide();
    switch (decide() % 8) {
    case 0:
        stub_set_ways(&machine.stub, (enum stub_way)(value % 3));
        break;
    case 1:
        machine.stub.cancel = (enum stub_cancel)(value % 4);
        break;
    case 2:
        machine.stub.newest_first = value % 2 == 1;
        break;
    case 3:
        machine.stub.deliver_max = 1 + value % 8;
        break;
    case 4:
        machine.stub.refuses = value % 2 == 1;
        break;
    case 5:
        machine.stub.cancels_full = value % 16;
        break;
    case 6:
        machine.stub.held_max = 1 + value % 16;
        break;
    default:
        machine.stub.early = value % 8;
        machine.stub.early_ns = value / 8;
        break;
    }
}

static void end_held(void)
{
    uint64_t at = decide();
    if (machine.stub.held.count == 0)
        return;
    struct orr_completion *held = machine.stub.held.head;
    for (at %= machine.stub.held.count; at > 0; at--)
        held = held->next;
    stub_end(&machine.stub, held, decide_result(&machine.stub, &held->request));
}

/* ---- run calls ------------------------------------------------------------------------------- */

static bool waits_for_ever(void)
{
    for (uint32_t i = 0; i < ITEMS; i++)
        if (machine.items[i].flying && machine.items[i].kind == TIMEOUT &&
            machine.items[i].deadline_ns == UINT64_MAX)
            return true;
    return false;
}

/* One pass that does not wait: what was submitted in it must not be called back in it. */
static void run_one_pass(void)
{
    static uint64_t passes;
    bool woken = atomic_load(&machine.loop->wake_signal);
    uint64_t submits = machine.submits;
    uint64_t now_ns = machine.stub.now_ns;
    machine.pass = ++passes;
    orr_run_for_ns(machine.loop, 0);
    machine.pass = 0;
    ensure(machine.stub.now_ns == now_ns);
    for (uint32_t i = 0; i < ITEMS && woken && !machine.stopped; i++)
        ensure(!machine.items[i].flying || machine.items[i].kind != WAIT ||
               machine.items[i].number > submits);
}

static void run(uint32_t how)
{
    bool stopped = machine.stopped; /* from outside: the call returns at once */
    uint64_t callbacks = machine.callbacks;
    machine.running = true;
    if (how == 0)
        run_one_pass();
    else if (how == 1)
        orr_run_for_ns(machine.loop, decide() % 64);
    else if (how == 2)
        orr_run_once(machine.loop);
    else if (!waits_for_ever())
        orr_run_until_idle(machine.loop);
    machine.running = false;
    ensure(how == 3 || !stopped || machine.callbacks == callbacks);
    if (how != 3)
        machine.stopped = false;
}

static void drain(void)
{
    machine.running = true;
    machine.draining = true;
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct item *item = &machine.items[i];
        if (item->flying && item->completion.request.state == ORR__TIMER)
            know(item, -ECANCELED);
    }
    orr_drain(machine.loop);
    machine.running = false;
    machine.draining = false;
    machine.stopped = false;
    ensure(machine.callbacks == machine.submits);
}

static void step(void)
{
    uint32_t what = decide();
    switch (what % 16) {
    default: /* 0 to 8 */
        submit_any(what / 16);
        break;
    case 9:
        turn_knob();
        break;
    case 10:
        end_held();
        break;
    case 11:
        orr_wake(machine.loop);
        break;
    case 12:
    case 13:
    case 14:
        run(what / 16 % 4);
        break;
    case 15:
        if (what < 0x80)
            drain();
        else
            machine.stub.now_ns += what;
        break;
    }
}

/* ---- a run of the whole ---------------------------------------------------------------------- */

static void open_machine(const uint8_t *data, size_t size)
{
    memset(&machine, 0, sizeof machine);
    machine.bytes = data;
    machine.length = size;
    uint32_t shape = decide();
    const struct orr_options options = {.batch_entries = 1 + shape % 8,
                                        .handles_max = HANDLES + shape / 8 % 8};
    machine.stub.on_submit = check_order;
    machine.stub.on_result = decide_result;
    machine.stub.on_sleep = end_something;
    machine.loop = stub_open(&machine.stub, &options);
    for (uint32_t i = 0; i < HANDLES; i++)
        machine.handles[i] = orr_socket(machine.loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

static void check_statistics(void)
{
    struct orr_statistics statistics;
    orr_loop_statistics(machine.loop, &statistics);
    ensure(statistics.in_flight == 0 && statistics.submits == machine.submits);
    ensure(statistics.callbacks == machine.callbacks);
    ensure(statistics.canceled == machine.canceled);
    ensure(statistics.flushes == machine.stub.flushes);
    ensure(machine.loop->cancels_unsent == 0 && machine.loop->in_backend == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_machine(data, size);
    for (uint32_t i = 0; i < STEPS_MAX && machine.length > 0; i++)
        step();
    drain();
    for (uint32_t i = 0; i < ITEMS; i++)
        ensure(!machine.items[i].flying);
    check_statistics();
    stub_close(&machine.stub);
    return 0;
}

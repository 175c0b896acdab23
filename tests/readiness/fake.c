/*
 * fake.c: see fake.h.
 */
#define _GNU_SOURCE 1

#include "fake.h"

#include "io/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake fake;

/* ---- the poller ------------------------------------------------------------------------------ */

static int fake_poller_open(const struct orr_options *options, void **ret_state)
{
    (void)options;
    ck_assert(!fake.open);
    fake.open = true;
    *ret_state = &fake;
    return 0;
}

static void fake_poller_close(void *state)
{
    ck_assert(state == &fake && fake.open);
    fake.open = false;
}

static void note_call(struct fake_call call)
{
    ck_assert_uint_lt(fake.call_count, FAKE_CALLS_MAX);
    fake.calls[fake.call_count++] = call;
}

static int arm(void *state, int32_t descriptor, uint8_t armed, uint8_t wanted)
{
    ck_assert(state == &fake);
    ck_assert_uint_ne(armed, wanted);
    if (fake.full > 0) {
        fake.full--;
        return ORR__POLLER_FULL;
    }
    note_call((struct fake_call){descriptor, armed, wanted, false});
    if (fake.arm_error != 0 && (wanted & ~armed) != 0)
        return fake.arm_error;
    fake.has_pending = fake.collects;
    return 0;
}

static bool pending(const void *state)
{
    ck_assert(state == &fake);
    return fake.has_pending;
}

static void forget(void *state, int32_t descriptor, uint8_t armed)
{
    ck_assert(state == &fake);
    ck_assert_int_ge(fcntl(descriptor, F_GETFD), 0); /* it is open still */
    note_call((struct fake_call){descriptor, armed, 0, true});
}

static int wait_for_reports(void *state, uint64_t sleep_ns, struct orr__event *ret_events)
{
    const uint32_t count = fake.report_count;

    ck_assert(state == &fake);
    fake.waits++;
    fake.sleeps += sleep_ns != 0;
    fake.full = 0;
    fake.has_pending = false;
    if (fake.wait_error != 0)
        return fake.wait_error;
    memcpy(ret_events, fake.reports, count * sizeof *ret_events);
    fake.report_count = 0;
    return (int)count;
}

static void poller_wake(void *state)
{
    struct fake *own = state;

    atomic_fetch_add(&own->wakes, 1);
}

static int descriptor_of(const void *state)
{
    (void)state;
    return 4711;
}

#define HOOKS                                                                            \
    .name = "fake", .open = fake_poller_open, .close = fake_poller_close, .arm = arm,    \
    .pending = pending, .forget = forget, .wait = wait_for_reports, .wake = poller_wake, \
    .descriptor = descriptor_of

static const struct orr__poller level = {HOOKS};
static const struct orr__poller one_shots = {.one_shot = true, HOOKS};

struct orr__readiness *fake_open(uint32_t batch_entries, bool one_shot)
{
    const struct orr_options options = {.batch_entries = batch_entries, .handles_max = 64};
    void *engine;

    ck_assert_int_eq(orr__readiness_open(&options, one_shot ? &one_shots : &level, &engine), 0);
    return engine;
}

void fake_close(struct orr__readiness *engine)
{
    orr__readiness_close(engine);
    ck_assert(!fake.open);
    fake = (struct fake){0};
}

static void add_report(struct orr__event event)
{
    ck_assert_uint_lt(fake.report_count, FAKE_REPORTS_MAX);
    fake.reports[fake.report_count++] = event;
}

void fake_report(int32_t descriptor, uint32_t ready)
{
    add_report((struct orr__event){.descriptor = descriptor, .ready = (uint8_t)ready});
}

void fake_report_error(int32_t descriptor, uint32_t ready, int error)
{
    add_report(
        (struct orr__event){.descriptor = descriptor, .ready = (uint8_t)ready, .error = error});
}

void fake_report_failed(int32_t descriptor, uint32_t ready, int failed)
{
    add_report(
        (struct orr__event){.descriptor = descriptor, .ready = (uint8_t)ready, .failed = failed});
}

void fake_report_wake(void)
{
    add_report((struct orr__event){.descriptor = ORR__EVENT_WAKE});
}

void fake_must_arm(int32_t descriptor, uint32_t armed, uint32_t wanted)
{
    const struct fake_call *call = &fake.calls[0];

    ck_assert_uint_eq(fake.call_count, 1);
    ck_assert(!call->forgets);
    ck_assert_int_eq(call->descriptor, descriptor);
    ck_assert_uint_eq(call->armed, armed);
    ck_assert_uint_eq(call->wanted, wanted);
    fake.call_count = 0;
}

void fake_must_not_arm(void)
{
    ck_assert_uint_eq(fake.call_count, 0);
}

/* ---- operations ------------------------------------------------------------------------------ */

void give(struct orr__readiness *engine, struct orr_completion *completion, enum orr_op op,
          int32_t descriptor, union orr_arguments arguments)
{
    ck_assert(!is_held(completion));
    *completion = (struct orr_completion){
        .request = {.op = (uint8_t)op, .descriptor = descriptor, .arguments = arguments},
    };
    completion->request.state = ORR__QUEUED;
    ck_assert_int_eq(orr__readiness_submit(engine, completion), ORR_SUBMIT_QUEUED);
}

void give_recv(struct orr__readiness *engine, struct orr_completion *completion, int32_t descriptor,
               char *buffer, uint32_t length)
{
    give(engine, completion, ORR_OP_RECV, descriptor,
         (union orr_arguments){.transfer = {.buffer = buffer, .length = length}});
}

void give_send(struct orr__readiness *engine, struct orr_completion *completion, int32_t descriptor,
               const void *data, uint32_t length)
{
    give(engine, completion, ORR_OP_SEND, descriptor,
         (union orr_arguments){.transfer = {.data = data, .length = length}});
}

void give_poll(struct orr__readiness *engine, struct orr_completion *completion, int32_t descriptor,
               uint32_t events)
{
    give(engine, completion, ORR_OP_POLL, descriptor, (union orr_arguments){.events = events});
}

void cancel(struct orr__readiness *engine, struct orr_completion *completion)
{
    ck_assert(is_held(completion));
    ck_assert_int_eq(orr__readiness_cancel(engine, completion), ORR_SUBMIT_DONE);
    ck_assert(is_held(completion)); /* it ends in a flush */
}

uint64_t flush(struct orr__readiness *engine, uint64_t deadline_ns)
{
    struct orr_queue completed = {0};
    struct orr_completion *completion;
    uint32_t order = 0;

    ck_assert_int_eq(orr__readiness_flush(engine, deadline_ns, &completed), 0);
    while ((completion = orr_queue_pop(&completed)) != NULL) {
        completion->request.state = ORR__IDLE;
        completion->request.slot = ++order;
    }
    return order;
}

bool is_held(const struct orr_completion *completion)
{
    return completion->request.state == ORR__QUEUED;
}

void must_end(const struct orr_completion *completion, int64_t result)
{
    ck_assert(!is_held(completion));
    ck_assert_int_eq(completion->result, result);
}

void end_in_pool(struct orr__readiness *engine, const struct orr_completion *completion)
{
    while (is_held(completion)) {
        (void)sched_yield();
        (void)flush(engine, ORR_WAIT_NOT);
    }
}

void close_through(struct orr__readiness *engine, int32_t descriptor)
{
    struct orr_completion completion = {0};

    give(engine, &completion, ORR_OP_CLOSE, descriptor, (union orr_arguments){.events = 0});
    end_in_pool(engine, &completion);
    must_end(&completion, 0);
    ck_assert_int_eq(fcntl(descriptor, F_GETFD), -1);
}

void adopt_pair(struct orr__readiness *engine, int32_t ret_pair[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_pair), 0);
    ck_assert_int_eq(orr__readiness_adopt(engine, ret_pair[0]), ret_pair[0]);
}

void fill(int32_t descriptor)
{
    static const char bytes[4096];

    while (send(descriptor, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        continue;
    ck_assert_int_eq(errno, EAGAIN);
}

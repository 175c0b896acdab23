/*
 * run.c: the interpreter: takes a program's steps one after the other, waits where the model or the
 * program says so, ends everything, and looks at what is left. Beside the answers it checks what
 * the contract promises of any run: each operation ends once, a cancel agrees with its target and
 * comes after it, timers are never early and keep their order, streams carry the bytes that were
 * sent.
 *
 * A program cannot hang the test: a timer far away is always in flight, which also keeps the world
 * from standing still.
 */
#include "run_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define WAIT_ROUNDS 40u /* of a racing program's wait */
#define WAIT_ROUND_NS 20000u

void run_break(struct run *run, const char *format, ...)
{
    va_list arguments;
    if (run->record->broken[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(run->record->broken, sizeof run->record->broken, format, arguments);
    va_end(arguments);
}

/* ---- the end of an operation ----------------------------------------------------------------- */

/* Makes more than one attempt: after an error, some of the bytes may have been carried. */
static bool goes_on(uint8_t op)
{
    return op == STEP_SEND_ALL || op == STEP_RECV_EXACT || op == STEP_WRITE_ALL ||
           op == STEP_READ_EXACT;
}

/* Streams carry the same bytes from their first on. */
static void check_stream(struct run *run, const struct operation *operation,
                         const struct step *step)
{
    struct run_slot *slot = &run->slots[step->slot];
    const uint8_t op = run_step(run, step).op;
    if (slot->handle != operation->handle || slot->type != ORR_SOCKET_STREAM || !slot->is_socket)
        return;
    if (operation->result < 0) {
        run->blurred = run->blurred || goes_on(step->op);
        return;
    }
    if (step_sends(op))
        slot->sent += (uint64_t)operation->result;
    if (!step_receives(op))
        return;
    for (uint64_t i = 0; i < (uint64_t)operation->result && !run->blurred; i++)
        if (operation->bytes[i] != run_byte(slot->received + i)) {
            run_break(run, "step %u: byte %" PRIu64 " of the stream is wrong", operation->at,
                      slot->received + i);
            return;
        }
    slot->received += (uint64_t)operation->result;
}

static void check_cancel(struct run *run, const struct operation *cancel, const struct step *step)
{
    const struct operation *target = &run->operations[cancel->at - step->other];
    uint8_t op = run->program->steps[target->at].op;
    bool canceled = target->result == -ECANCELED;
    if (!cancel->target_in_flight) {
        if (cancel->result != -ENOENT)
            run_break(run, "step %u: cancel of what was not in flight: not -ENOENT", cancel->at);
        return;
    }
    bool before = op == STEP_CLOSE || op == STEP_CANCEL || cancel->result == -EALREADY;
    if (!before && (target->calls != 1 || target->order > cancel->order))
        run_break(run, "step %u: the cancel ended before its target", cancel->at);
    if (cancel->result == 0 && !canceled)
        run_break(run, "step %u: cancel says 0, its target ended by itself", cancel->at);
    if (cancel->result != 0 && cancel->result != -EALREADY && !run->draining)
        run_break(run, "step %u: cancel says %" PRId64, cancel->at, cancel->result);
}

static void check_timeout(struct run *run, const struct operation *operation,
                          const struct step *step)
{
    if (operation->result != 0)
        return;
    if (orr_now(run->loop) < operation->submitted_ns + step->length)
        run_break(run, "step %u: the timeout is early", operation->at);
    for (uint32_t i = 0; i < operation->at; i++)
        if (run->program->steps[i].op == STEP_TIMEOUT && run->operations[i].submitted &&
            run->operations[i].calls == 0 && run->program->steps[i].length <= step->length)
            run_break(run, "step %u: the timeout overtakes that of step %u", operation->at, i);
}

static void keep_handle(struct run *run, struct operation *operation, const struct step *step)
{
    orr_handle handle = operation->result;
    if (handle < 0)
        return;
    operation->result = 1;
    run->handles[run->handle_count++] = handle;
    struct run_slot slot = {.handle = handle};
    if (step->op == STEP_ACCEPT) {
        slot.is_socket = true;
        slot.family = run->slots[step->slot].family;
    }
    run->slots[step->other] = slot;
}

void run_called(void *context, struct orr_completion *completion, int64_t result)
{
    struct operation *operation = context;
    struct run *run = operation->run;
    const struct step *step = &run->program->steps[operation->at];
    struct outcome *outcome = &run->record->outcomes[operation->at];
    if (completion != &operation->completion || operation->calls++ > 0)
        run_break(run, "step %u: called back twice", operation->at);
    operation->order = ++run->calls;
    operation->result = result;
    if (step->op == STEP_OPEN || step->op == STEP_ACCEPT)
        keep_handle(run, operation, step);
    check_stream(run, operation, step);
    if (step->op == STEP_CANCEL)
        check_cancel(run, operation, step);
    else if (step->op == STEP_TIMEOUT)
        check_timeout(run, operation, step);
    if (outcome->fate == FATE_FORCED)
        return;
    *outcome = (struct outcome){
        .fate = FATE_ENDED, .result = operation->result, .extra = run_extra(run, operation)};
}

/* ---- waits ----------------------------------------------------------------------------------- */

static void hangs(void *context, struct orr_completion *completion, int64_t result)
{
    struct run *run = context;
    (void)completion;
    if (result == 0)
        run->hangs = true;
}

static bool waits_for_something(const struct run *run, uint32_t *ret_at)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        if (run->operations[i].submitted && run->operations[i].calls == 0 &&
            model_can_end(&run->model, i)) {
            *ret_at = i;
            return true;
        }
    return false;
}

static void wait_for_all(struct run *run)
{
    uint32_t at = 0;
    while (!run->hangs && waits_for_something(run, &at))
        orr_run_once(run->loop);
    if (run->hangs)
        run_break(run, "step %u does not end", at);
    run->record->hangs = run->hangs;
    model_waited(&run->model);
}

static void let_arrive(struct run *run)
{
    for (int i = 0; i < 3; i++)
        orr_run_for_ns(run->loop, 0);
    orr_run_for_ns(run->loop, run->ground->patience_ns);
    model_settled(&run->model);
}

static bool is_idle(const struct run *run)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        if (orr_in_flight(&run->operations[i].completion))
            return false;
    return true;
}

static void wait_a_while(struct run *run)
{
    for (uint32_t i = 0; i < WAIT_ROUNDS && !is_idle(run); i++)
        orr_run_for_ns(run->loop, (uint64_t)WAIT_ROUND_NS * run->ground->settle_scale);
}

struct waiting {
    bool called;
    int64_t result;
};

static void waited_for(void *context, struct orr_completion *completion, int64_t result)
{
    struct waiting *waiting = context;
    (void)completion;
    waiting->called = true;
    waiting->result = result;
}

int64_t run_and_wait(struct run *run, run_submit_function submit, void *arguments)
{
    struct orr_completion completion = {.next = NULL};
    struct waiting waiting = {.called = false};
    submit(run, &completion, waited_for, &waiting, arguments);
    while (!waiting.called)
        orr_run_once(run->loop);
    return waiting.result;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static bool admitted(struct run *run, const struct step *step, uint32_t at)
{
    enum model_verdict verdict = MODEL_GO;
    while (!run->program->races && !run->hangs &&
           (verdict = model_admit(&run->model, step, at)) != MODEL_GO) {
        if (verdict == MODEL_SKIP)
            break;
        if (verdict == MODEL_WAIT)
            wait_for_all(run);
        else
            let_arrive(run);
    }
    return verdict == MODEL_GO && !run->hangs && !run_forbids(run, step);
}

/* A racing program may cancel whatever was submitted, and fill slots as it likes. */
static bool has_target(const struct run *run, const struct step *step, uint32_t at)
{
    if (step->op != STEP_CANCEL)
        return true;
    return step->other > 0 && step->other <= at && run->operations[at - step->other].submitted;
}

static void control(struct run *run, const struct step *step)
{
    switch (step->op) {
    case STEP_WAIT:
        if (run->program->races)
            wait_a_while(run);
        else
            wait_for_all(run);
        break;
    case STEP_PASSES:
        for (uint32_t i = 0; i < step->length; i++)
            orr_run_for_ns(run->loop, run->ground->pass_ns);
        break;
    default:
        orr_run_for_ns(run->loop, (uint64_t)step->length * run->ground->settle_scale);
        break;
    }
}

static void take_step(struct run *run, uint32_t at)
{
    const struct step *step = &run->program->steps[at];
    struct outcome *outcome = &run->record->outcomes[at];
    if (step->op == STEP_NONE)
        return;
    if (step->op >= STEP_WAIT) {
        control(run, step);
        return;
    }
    if (!admitted(run, step, at) || !has_target(run, step, at)) {
        outcome->fate = FATE_SKIPPED;
        return;
    }
    if (!run->program->races)
        model_take(&run->model, step, at);
    if (step_submits(step->op)) {
        run_submit(run, at);
        return;
    }
    uint64_t extra = 0;
    outcome->result = run_immediate(run, step, &extra);
    if (step->op == STEP_BIND && step->kind == BY_PATH && outcome->result == 0)
        model_bound_by_path(&run->model, step);
    outcome->extra = extra;
    outcome->fate = FATE_ENDED;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void begin(struct run *run, const struct program *program, struct ground *ground,
                  struct record *record)
{
    static uint8_t bytes[STEPS_MAX][TRANSFER_MAX];
    memset(run, 0, sizeof *run);
    memset(record, 0, sizeof *record);
    run->program = program;
    run->ground = ground;
    run->loop = ground->loop;
    run->record = record;
    model_init(&run->model);
    for (uint32_t i = 0; i < SLOTS; i++)
        run->slots[i].handle = i == 0 ? ground->directory : ORR_HANDLE_NONE;
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        run->operations[i].run = run;
        run->operations[i].at = i;
        run->operations[i].bytes = bytes[i];
    }
    orr_timeout(run->loop, &run->watchdog, ground->hang_ns, hangs, run);
}

static void force_the_rest(struct run *run)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        if (run->operations[i].submitted && run->operations[i].calls == 0 &&
            model_is_partial(&run->model, i))
            run->record->outcomes[i].fate = FATE_FORCED;
    run->draining = true;
    orr_drain(run->loop);
    for (uint32_t i = 0; i < STEPS_MAX; i++)
        if (run->operations[i].submitted && run->operations[i].calls != 1)
            run_break(run, "step %u: called back %u times", i, run->operations[i].calls);
}

static void close_one(struct run *run, struct orr_completion *completion, orr_callback callback,
                      void *context, void *arguments)
{
    orr_close(run->loop, completion, *(orr_handle *)arguments, callback, context);
}

static void close_all(struct run *run)
{
    for (uint32_t i = 0; i < run->handle_count; i++) {
        int64_t result = run_and_wait(run, close_one, &run->handles[i]);
        if (result != 0 && result != -EBADF)
            run_break(run, "a close at the end says %" PRId64, result);
    }
}

void run_program(const struct program *program, struct ground *ground, struct record *ret_record)
{
    static struct run run;
    struct orr_statistics before;
    struct orr_statistics after;
    orr_loop_statistics(ground->loop, &before);
    begin(&run, program, ground, ret_record);
    for (uint32_t i = 0; i < program->count && !run.hangs; i++)
        take_step(&run, i);
    if (program->races)
        wait_a_while(&run);
    else if (!run.hangs)
        wait_for_all(&run);
    if (ground->heal != NULL)
        ground->heal(ground->context);
    force_the_rest(&run);
    close_all(&run);
    ret_record->large = run.model.large;
    run_look_at_files(&run);
    orr_loop_statistics(ground->loop, &after);
    if (after.unexpected_errors != before.unexpected_errors)
        run_break(&run, "%" PRIu64 " results are outside of the declared errors",
                  after.unexpected_errors - before.unexpected_errors);
}

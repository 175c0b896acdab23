/*
 * inevitable.c: the event of a failing run that decides it.
 *
 *     instants   0 . . . . . . . . . b|a . . . . . n     b: some future passes
 *                                                        a: none does; n: a check notices
 *
 * The model: an instant is decided if no future from there passes, and some fail as the run itself
 * does. Bisection between one that is not and one that is finds two neighbours; that is the edge
 * only if all before it are open and all after it are decided, which nothing guarantees: few
 * futures may miss a narrow way out. So the instant behind the edge is asked again with twice as
 * many futures. If one of them passes, the search goes on behind it, and asks more from there on.
 * Samples over the whole run then show what the bisection did not look at.
 *
 * In the futures no fault strikes unless the command line wants it: then what is certain has been
 * decided by what was, and not by what may come.
 */
#include "inevitable.h"

#include "../recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

enum { ROUNDS_MAX = 5 }; /* of searches, each with twice as many futures */

/* ---- questions ------------------------------------------------------------------------------- */

static void count(const struct orr__decision *decision, struct orr__sample *sample)
{
    const struct orr__futures *futures = decision->futures;
    const struct orr__futures_seen *seen = futures->seen;
    for (uint64_t i = 0; i < futures->question.count; i++) {
        const struct orr__future_end *end = &seen->ends[i];
        uint64_t seed = orr__futures_seed(futures, i);
        if (end->state == ORR__FUTURE_PASSES && sample->passed++ == 0)
            sample->passing_seed = seed;
        if (end->state == ORR__FUTURE_FAILS && end->group < ORR__GROUPS_MAX &&
            orr__group_has(decision->result.cause, decision->result.group,
                           &seen->groups[end->group].result) &&
            sample->same++ == 0)
            sample->failing_seed = seed;
        sample->futures += end->state != ORR__FUTURE_NOT_RUN;
    }
}

/* Asks for the futures from an instant on; ends early at one that passes, unless all are wanted.
 * Returns 0 or -errno: -EAGAIN if the run did not come there again. */
static int ask(struct orr__decision *decision, uint64_t event, uint64_t futures, bool all,
               struct orr__sample *ret_sample)
{
    char instant[ORR__INSTANT_MAX];
    struct orr__question question = decision->question;
    snprintf(instant, sizeof instant, "event %" PRIu64, event);
    question.instant = instant;
    question.count = futures;
    question.until_passes = !all;
    int status = orr__futures_ask(decision->futures, &question);
    if (status <= 0)
        return status < 0 ? status : -EAGAIN;
    *ret_sample = (struct orr__sample){.event = decision->futures->seen->event,
                                       .time_ns = decision->futures->seen->time_ns};
    count(decision, ret_sample);
    return 0;
}

static bool is_decided(const struct orr__sample *sample)
{
    return sample->passed == 0 && sample->same > 0;
}

/* ---- the search ------------------------------------------------------------------------------ */

/* From an instant that is open and one that is decided to two neighbours. */
static int bisect(struct orr__decision *decision, uint64_t *low, uint64_t *high, uint64_t futures)
{
    int status = 0;
    while (status == 0 && *high - *low > 1) {
        struct orr__sample sample;
        uint64_t middle = *low + (*high - *low) / 2;
        status = ask(decision, middle, futures, false, &sample);
        if (status == 0 && is_decided(&sample))
            *high = middle;
        else
            *low = middle;
    }
    return status;
}

/* Where the check has failed all futures have: there is none. */
static int search(struct orr__decision *decision)
{
    uint64_t end = decision->noticed + 1;
    uint64_t low = 0;
    uint64_t high = end;
    uint64_t futures = decision->command->futures;
    decision->futures->doing = "deciding";
    int status = ask(decision, 0, futures, false, &decision->after);
    if (status < 0)
        return status;
    decision->is_early = is_decided(&decision->after);
    if (decision->is_early)
        return ask(decision, 0, 2 * futures, true, &decision->after);
    for (int round = 0; status == 0 && round < ROUNDS_MAX; round++, futures *= 2) {
        status = bisect(decision, &low, &high, futures);
        if (status < 0 || high == end)
            break;
        status = ask(decision, high, 2 * futures, false, &decision->after);
        if (status < 0 || is_decided(&decision->after))
            break;
        low = high;
        high = end;
    }
    decision->is_late = high == end;
    return status == 0 ? ask(decision, low, decision->command->futures, true, &decision->before)
                       : status;
}

/* ---- the picture ----------------------------------------------------------------------------- */

/* Keeps the samples in order; an instant is asked once. */
static void add_sample(struct orr__decision *decision, const struct orr__sample *sample)
{
    uint32_t at = decision->sample_count;
    while (at > 0 && decision->samples[at - 1].event > sample->event)
        at--;
    if (at > 0 && decision->samples[at - 1].event == sample->event)
        return;
    memmove(&decision->samples[at + 1], &decision->samples[at],
            (decision->sample_count - at) * sizeof *sample);
    decision->samples[at] = *sample;
    decision->sample_count++;
}

static int take_samples(struct orr__decision *decision)
{
    int status = 0;
    uint64_t futures = decision->command->futures < ORR__SAMPLE_FUTURES_MAX
                           ? decision->command->futures
                           : ORR__SAMPLE_FUTURES_MAX;
    decision->futures->doing = "sampling";
    if (!decision->is_early)
        add_sample(decision, &decision->before);
    if (!decision->is_late)
        add_sample(decision, &decision->after);
    for (uint64_t i = 0; i < ORR__SAMPLES_EVEN && status == 0; i++) {
        struct orr__sample sample;
        uint64_t event = decision->noticed * i / (ORR__SAMPLES_EVEN - 1);
        status = ask(decision, event, futures, true, &sample);
        if (status == 0)
            add_sample(decision, &sample);
    }
    return status;
}

/* ---- the trace around it --------------------------------------------------------------------- */

/* Writes into memory that is shared, and allocates nothing. */
struct tracer {
    struct orr__recorder recorder;
    struct orr__stem stem; /* keeps that memory in the child, and knows where the run is */
    struct orr__rows *rows;
    uint64_t before; /* the instant after which the decisive event comes */
};

static void write_row(struct orr__row *row, const struct orr__record *record, bool is_decisive)
{
    row->time_ns = record->time_ns;
    row->is_decisive = is_decisive;
    row->weight = record->kind == ORR__RECORD_FAULT ? ORR__WEIGHT_FAULT : record->op != NULL;
    if (row->weight == ORR__WEIGHT_FAULT)
        snprintf(row->who, sizeof row->who, "! %s", orr_fault_family_name(record->family));
    else
        snprintf(row->who, sizeof row->who, "%.60s", record->who);
    orr__record_say(record, row->text);
}

static void keep_row(struct orr__recorder *recorder, const struct orr__record *record)
{
    struct tracer *tracer = (struct tracer *)recorder;
    struct orr__rows *rows = tracer->rows;
    uint64_t position = *tracer->stem.position;
    if (record->kind == ORR__RECORD_NODE || record->kind == ORR__RECORD_FAILED)
        return;
    if (position < tracer->before && rows->count == ORR__ROWS_BEFORE) {
        memmove(&rows->rows[0], &rows->rows[1], (rows->count - 1) * sizeof rows->rows[0]);
        rows->count--;
    }
    bool is_decisive = position == tracer->before;
    if (is_decisive && rows->decisive == ORR__ROWS_DECISIVE) {
        rows->skipped++;
        return;
    }
    if (position > tracer->before && rows->after++ >= ORR__ROWS_AFTER)
        return;
    rows->decisive += is_decisive;
    write_row(&rows->rows[rows->count++], record, is_decisive);
}

/* Runs it once more, with a recorder. */
static int trace(struct orr__decision *decision)
{
    static struct tracer tracer;
    struct orr__job job = decision->command->job;
    struct orr__futures *futures = decision->futures;
    decision->rows = &futures->seen->rows;
    tracer = (struct tracer){
        .recorder = {.record = keep_row}, .rows = decision->rows, .before = decision->before.event};
    memset(decision->rows, 0, sizeof *decision->rows);
    if (decision->is_early || decision->is_late)
        return 0;
    job.recorders = &tracer.recorder;
    job.stem = &tracer.stem;
    return orr__nursery_run(&futures->nursery, &job, decision->command->seed_first, &futures->past);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The run itself: how it fails, and where. -ENOENT: it does not. */
static int run_once(struct orr__decision *decision)
{
    struct orr__nursery *nursery = &decision->futures->nursery;
    int status = orr__nursery_run(nursery, &decision->command->job, decision->command->seed_first,
                                  &decision->result);
    decision->noticed = nursery->children[0].slot->position;
    return status == 0 && !decision->result.outcome.failed ? -ENOENT : status;
}

static int decide(struct orr__decision *decision)
{
    int status = run_once(decision);
    if (status == 0)
        status = search(decision);
    if (status == 0)
        status = take_samples(decision);
    return status == 0 ? trace(decision) : status;
}

static int finish(const struct orr__decision *decision, int status)
{
    const struct orr__command *command = decision->command;
    if (status == -ENOENT)
        return orr__error(command, "seed %" PRIu64 " passes: nothing in it is inevitable",
                          command->seed_first);
    if (status == -EAGAIN)
        return orr__error(command,
                          "seed %" PRIu64 " ends otherwise when it is run again: the run is not "
                          "deterministic",
                          command->seed_first);
    if (status < 0)
        return orr__error(command, "cannot go on: %s", strerror(-status));
    if (orr__flush() < 0)
        return orr__write_error(command, orr__flush());
    return ORR__EXIT_FAILING;
}

int orr__inevitable(struct orr__command *command)
{
    struct orr__decision *decision = orr__private_map(sizeof *decision);
    struct orr__futures *futures =
        orr__futures_open(command, command->futures * (UINT64_C(1) << ROUNDS_MAX));
    if (futures == NULL)
        return ORR__EXIT_USAGE;
    if (decision == NULL)
        return orr__error(command, "no memory");
    decision->command = command;
    decision->futures = futures;
    decision->question.then = command->then_given ? command->then : ORR__THEN_NONE;
    int status = decide(decision);
    orr__progress_clear(&futures->progress);
    if (status == 0 && command->json)
        orr__json_decision(decision);
    else if (status == 0)
        orr__decision_tell(decision);
    int number = orr__futures_close(futures);
    if (number != 0)
        raise(number);
    return finish(decision, status);
}

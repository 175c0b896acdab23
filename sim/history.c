/*
 * history.c: histories of calls, their verdict key by key, and the model of a register.
 *
 * The history counts begins and ends in one sequence, so two moments are never equal and the order
 * of calls is exactly the order in which they were told, whatever the clock said.
 */
#include "history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST UINT64_C(64)

struct orr_history {
    const struct orr_model *model;
    struct orr_call *calls; /* in order of their begins */
    uint64_t count;
    uint64_t capacity;
    uint64_t moments; /* begins and ends so far */
};

/* ---- recording ------------------------------------------------------------------------------- */

struct orr_history *orr_history_create(const struct orr_model *model)
{
    if (model->state_size == 0 || model->state_size > ORR_MODEL_STATE_MAX)
        orr_fatal("orr_history_create: a state of %zu bytes: 1 to %u are possible",
                  model->state_size, ORR_MODEL_STATE_MAX);
    struct orr_history *history = calloc(1, sizeof *history);
    if (history == NULL)
        orr_fatal("no memory for a history");
    history->model = model;
    return history;
}

void orr_history_destroy(struct orr_history *history)
{
    if (history == NULL)
        return;
    free(history->calls);
    free(history);
}

uint64_t orr_history_begin(struct orr_history *history, const struct orr_call *call)
{
    if (history->count == history->capacity) {
        uint64_t capacity = history->capacity == 0 ? CAPACITY_FIRST : history->capacity * 2;
        /* A search numbers begins and ends with 32 bits. */
        if (capacity > UINT32_MAX / 4)
            orr_fatal("orr_history_begin: %" PRIu64 " calls are the most", history->capacity);
        history->calls = realloc(history->calls, capacity * sizeof *history->calls);
        if (history->calls == NULL)
            orr_fatal("no memory for a history of %" PRIu64 " calls", capacity);
        history->capacity = capacity;
    }
    struct orr_call *added = &history->calls[history->count];
    *added = *call;
    added->result = 0;
    added->ended_ns = 0;
    added->begun = ++history->moments;
    added->ended = 0;
    return history->count++;
}

void orr_history_end(struct orr_history *history, uint64_t call, uint64_t result, uint64_t ended_ns)
{
    if (call >= history->count)
        orr_fatal("orr_history_end: call %" PRIu64 ", but only %" PRIu64 " have begun", call,
                  history->count);
    struct orr_call *ended = &history->calls[call];
    if (ended->ended != 0)
        orr_fatal("orr_history_end: call %" PRIu64 " has ended before", call);
    ended->result = result;
    ended->ended_ns = ended_ns;
    ended->ended = ++history->moments;
}

uint64_t orr_history_count(const struct orr_history *history)
{
    return history->count;
}

const struct orr_call *orr_history_call(const struct orr_history *history, uint64_t call)
{
    return call < history->count ? &history->calls[call] : NULL;
}

/* ---- judging --------------------------------------------------------------------------------- */

static int compare_calls(const void *a, const void *b)
{
    const struct orr_call *left = a;
    const struct orr_call *right = b;
    if (left->key != right->key)
        return left->key < right->key ? -1 : 1;
    return left->begun < right->begun ? -1 : left->begun > right->begun;
}

static bool is_seen(const struct orr_model *model, const struct orr_call *calls, uint32_t count,
                    const struct orr_call *call)
{
    for (uint32_t i = 0; i < count; i++)
        if (calls[i].ended != 0 && model->shows(&calls[i], call))
            return true;
    return false;
}

uint32_t orr__drop_unseen(const struct orr_model *model, struct orr_call *calls, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count && model->shows != NULL; i++)
        if (calls[i].ended == 0 && !is_seen(model, calls, count, &calls[i]))
            calls[i].begun = 0; /* marked: the others are still compared with what was there */
    for (uint32_t i = 0; i < count; i++)
        if (calls[i].begun != 0)
            calls[kept++] = calls[i];
    return kept;
}

/* Judges the calls of one key. */
static enum orr_verdict judge_key(const struct orr_model *model, struct orr_call *calls,
                                  uint32_t count, uint64_t memory_max, char *text, size_t text_size)
{
    struct orr__dead_end dead_end;
    uint64_t key = calls[0].key;
    uint32_t kept = orr__drop_unseen(model, calls, count);
    enum orr_verdict verdict = orr__search(model, calls, kept, memory_max, &dead_end);
    if (verdict == ORR_VERDICT_NOT_LINEARIZABLE)
        orr__explain(model, calls, kept, memory_max, &dead_end, text, text_size);
    else if (verdict == ORR_VERDICT_UNKNOWN && text_size > 0)
        snprintf(text, text_size,
                 "key %" PRIu64 ": unknown: %" PRIu64 " bytes do not suffice to try all orders of "
                 "its %" PRIu32 " calls; make histories shorter, use more keys, or allow more "
                 "memory",
                 key, memory_max, kept);
    return verdict;
}

static enum orr_verdict judge_keys(const struct orr_model *model, struct orr_call *calls,
                                   uint64_t count, uint64_t memory_max, char *text,
                                   size_t text_size)
{
    enum orr_verdict verdict = ORR_VERDICT_LINEARIZABLE;
    uint64_t next;
    for (uint64_t first = 0; first < count; first = next) {
        next = first;
        while (next < count && calls[next].key == calls[first].key)
            next++;
        /* The first key that has no order tells; one that is unknown only if none is worse. */
        bool is_known = verdict == ORR_VERDICT_LINEARIZABLE;
        char found[ORR_NOTE_MAX] = "";
        enum orr_verdict of_key = judge_key(model, calls + first, (uint32_t)(next - first),
                                            memory_max, found, sizeof found);
        if (text_size > 0 &&
            (of_key == ORR_VERDICT_NOT_LINEARIZABLE || (of_key == ORR_VERDICT_UNKNOWN && is_known)))
            snprintf(text, text_size, "%s", found);
        if (of_key == ORR_VERDICT_NOT_LINEARIZABLE)
            return of_key;
        if (of_key == ORR_VERDICT_UNKNOWN)
            verdict = of_key;
    }
    return verdict;
}

enum orr_verdict orr_history_judge(const struct orr_history *history, uint64_t memory_max,
                                   char *ret_text, size_t text_size)
{
    if (history->count == 0)
        return ORR_VERDICT_LINEARIZABLE;
    struct orr_call *calls = malloc(history->count * sizeof *calls);
    if (calls == NULL)
        orr_fatal("no memory to judge a history of %" PRIu64 " calls", history->count);
    memcpy(calls, history->calls, history->count * sizeof *calls);
    qsort(calls, history->count, sizeof *calls, compare_calls);
    enum orr_verdict verdict =
        judge_keys(history->model, calls, history->count,
                   memory_max == 0 ? ORR_HISTORY_MEMORY_DEFAULT : memory_max, ret_text, text_size);
    free(calls);
    return verdict;
}

bool orr_check_linearizable(struct orr_world *world, const struct orr_history *history,
                            const char *text, const char *site)
{
    char why[ORR_NOTE_MAX];
    enum orr_verdict verdict = orr_history_judge(history, 0, why, sizeof why);
    if (verdict == ORR_VERDICT_LINEARIZABLE)
        return true;
    orr_note(world, "%s", why);
    return orr_check_always(world, false, "orr_linearizable(history)", text, site);
}

/* ---- the register ---------------------------------------------------------------------------- */

static bool register_apply(void *state, const struct orr_call *call)
{
    uint64_t value;
    memcpy(&value, state, sizeof value);
    if (call->kind == ORR_REGISTER_READ)
        return call->ended == 0 || call->result == value;
    memcpy(state, &call->argument, sizeof call->argument);
    return true;
}

static bool register_reads(const struct orr_call *call)
{
    return call->kind == ORR_REGISTER_READ;
}

static bool register_shows(const struct orr_call *call, const struct orr_call *other)
{
    return call->kind == ORR_REGISTER_READ && other->kind == ORR_REGISTER_WRITE &&
           call->result == other->argument;
}

static void register_describe(const struct orr_call *call, char *text, size_t text_size)
{
    if (call->kind == ORR_REGISTER_WRITE)
        snprintf(text, text_size, "write %" PRIu64, call->argument);
    else if (call->ended == 0)
        snprintf(text, text_size, "read");
    else
        snprintf(text, text_size, "read %" PRIu64, call->result);
}

static void register_describe_state(const void *state, char *text, size_t text_size)
{
    uint64_t value;
    memcpy(&value, state, sizeof value);
    snprintf(text, text_size, "%" PRIu64, value);
}

const struct orr_model *orr_register_model(void)
{
    static const struct orr_model model = {
        .state_size = sizeof(uint64_t),
        .apply = register_apply,
        .reads = register_reads,
        .shows = register_shows,
        .describe = register_describe,
        .describe_state = register_describe_state,
    };
    return &model;
}

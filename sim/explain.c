/*
 * explain.c: from a history without an order to the few calls that show it.
 *
 * The search tells the first end that no order can pass. Until just before it all is well, with it
 * nothing is, so what begins later is left out, and what ends later counts as not returned. Of the
 * rest, calls are left out in groups that get smaller, as long as what remains has no order either.
 * A call may go only if no call that stays shows it: a read of a value whose write was left out
 * would be a contradiction of our own making. What is left is told in order of the begins.
 *
 * The work has a limit: after so many searches what is left is told as it is.
 */
#include "history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SEARCHES_MAX 4000u
#define CALLS_TOLD_MAX 12u

struct cut {
    const struct orr_model *model;
    struct orr_call *calls;
    uint32_t count;
    struct orr_call *fewer; /* room for as many */
    bool *leave;            /* of each call: it is in the group to be left out */
    uint64_t memory_max;
    uint32_t searches;
    struct orr__dead_end dead_end;
};

/* ---- leaving calls out ----------------------------------------------------------------------- */

/* What begins after `end` is left out, what ends after it has not returned. `ended_ns` stays, for
 * the report. */
static uint32_t cut_at(struct orr_call *calls, uint32_t count, uint64_t end)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count && calls[i].begun < end; i++) {
        calls[kept] = calls[i];
        if (calls[kept].ended > end)
            calls[kept].ended = 0;
        kept++;
    }
    return kept;
}

static bool is_shown(const struct cut *cut, uint32_t call)
{
    for (uint32_t i = 0; i < cut->count; i++)
        if (!cut->leave[i] && cut->calls[i].ended != 0 &&
            cut->model->shows(&cut->calls[i], &cut->calls[call]))
            return true;
    return false;
}

/* Of the group, what calls outside of it show stays, and what that shows in turn. Returns how many
 * can go. */
static uint32_t close_group(struct cut *cut, uint32_t first, uint32_t past)
{
    uint32_t left;
    bool changed = true;
    while (changed) {
        changed = false;
        left = 0;
        for (uint32_t i = first; i < past; i++) {
            if (cut->leave[i] && is_shown(cut, i)) {
                cut->leave[i] = false;
                changed = true;
            }
            left += cut->leave[i] ? 1 : 0;
        }
    }
    return left;
}

static bool still_without_order(struct cut *cut, struct orr__dead_end *ret_dead_end)
{
    uint32_t fewer = 0;
    for (uint32_t i = 0; i < cut->count; i++)
        if (!cut->leave[i])
            cut->fewer[fewer++] = cut->calls[i];
    cut->searches++;
    if (orr__search(cut->model, cut->fewer, fewer, cut->memory_max, ret_dead_end) !=
        ORR_VERDICT_NOT_LINEARIZABLE)
        return false;
    memcpy(cut->calls, cut->fewer, fewer * sizeof *cut->calls);
    cut->count = fewer;
    return true;
}

/* One pass over all groups of that size. */
static void leave_out(struct cut *cut, uint32_t size)
{
    for (uint32_t first = 0; first < cut->count && cut->searches < SEARCHES_MAX;) {
        uint32_t past = size < cut->count - first ? first + size : cut->count;
        memset(cut->leave, 0, cut->count * sizeof *cut->leave);
        for (uint32_t i = first; i < past; i++)
            cut->leave[i] = true;
        struct orr__dead_end dead_end;
        uint32_t before = cut->count;
        if (close_group(cut, first, past) > 0 && still_without_order(cut, &dead_end)) {
            cut->dead_end = dead_end;
            first = past - (before - cut->count);
        } else {
            first = past;
        }
    }
}

static void cut_down(struct cut *cut)
{
    for (uint32_t size = cut->count / 2; size > 0; size /= 2)
        leave_out(cut, size);
    uint32_t before;
    do { /* a write can go once the reads that show it are gone */
        before = cut->count;
        leave_out(cut, 1);
    } while (cut->count < before && cut->searches < SEARCHES_MAX);
}

/* ---- telling --------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t size;
    size_t length;
};

static void say(struct text *text, const char *format, ...) ORR_PRINTF(2, 3);

static void say(struct text *text, const char *format, ...)
{
    if (text->length + 1 >= text->size)
        return;
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(text->bytes + text->length, text->size - text->length, format, arguments);
    va_end(arguments);
    size_t room = text->size - text->length - 1;
    text->length += (size_t)length < room ? (size_t)length : room;
}

static void say_time(struct text *text, uint64_t ns)
{
    say(text, "%" PRIu64 ".%06" PRIu64 " ms", ns / ORR_MILLISECOND, ns % ORR_MILLISECOND);
}

/* Which states there could be instead. */
static void say_states(const struct cut *cut, struct text *text)
{
    const struct orr__dead_end *dead_end = &cut->dead_end;
    say(text, "  <- impossible: by then there could be");
    for (uint32_t i = 0; i < dead_end->state_count; i++) {
        char state[ORR_MODEL_TEXT_MAX] = "";
        cut->model->describe_state(dead_end->states[i], state, sizeof state);
        bool is_last = i > 0 && i + 1 == dead_end->state_count && !dead_end->more_states;
        say(text, "%s %s", is_last ? " or" : i > 0 ? "," : "", state);
    }
    say(text, dead_end->more_states ? " and others" : " only");
}

static void say_call(const struct cut *cut, struct text *text, uint32_t index)
{
    const struct orr_call *call = &cut->calls[index];
    char what[ORR_MODEL_TEXT_MAX] = "";
    cut->model->describe(call, what, sizeof what);
    say(text, "\n  client %" PRIu32 ": %s, ", call->client, what);
    say_time(text, call->begun_ns);
    if (call->ended_ns != 0) {
        say(text, " to ");
        say_time(text, call->ended_ns);
    } else {
        say(text, ", never returned");
    }
    if (index == cut->dead_end.call)
        say_states(cut, text);
}

/* The last ones, if they are many: the first ones are furthest from what went wrong. */
static void tell(const struct cut *cut, struct text *text)
{
    uint32_t skipped = cut->count > CALLS_TOLD_MAX ? cut->count - CALLS_TOLD_MAX : 0;
    say(text, "key %" PRIu64 ": these calls have no order", cut->calls[0].key);
    if (skipped > 0)
        say(text, " (the first %" PRIu32 " are not shown)", skipped);
    for (uint32_t i = 0; i < cut->count; i++)
        if (i >= skipped || i == cut->dead_end.call)
            say_call(cut, text, i);
}

void orr__explain(const struct orr_model *model, struct orr_call *calls, uint32_t count,
                  uint64_t memory_max, const struct orr__dead_end *dead_end, char *text,
                  size_t text_size)
{
    uint64_t end = calls[dead_end->call].ended;
    struct cut cut = {.model = model, .calls = calls, .memory_max = memory_max};
    cut.dead_end = *dead_end;
    cut.count = orr__drop_unseen(model, calls, cut_at(calls, count, end));
    cut.fewer = malloc(cut.count * sizeof *cut.fewer);
    cut.leave = calloc(cut.count, sizeof *cut.leave);
    if (cut.fewer == NULL || cut.leave == NULL)
        orr_fatal("no memory to explain a history of %" PRIu32 " calls", cut.count);
    (void)still_without_order(&cut, &cut.dead_end); /* the dead end in terms of what is left */
    if (model->shows != NULL)
        cut_down(&cut);
    struct text out = {.bytes = text, .size = text_size};
    tell(&cut, &out);
    free(cut.fewer);
    free(cut.leave);
}

/*
 * parting.c: where two runs of one seed part that differ by one fault.
 *
 * The model: a recorder (recorder.h) writes each event of a run into a file, a line for each, in
 * the words of a trace:
 *
 *     KIND \t TIME \t WHO \t TEXT \n
 *
 * Two such texts are compared line by line. The line that marks the fault itself is no event: what
 * counts is what it does. From the first difference on the two are merged by time; lines that are
 * in both are told apart from those that are in one only, and a few of the latter are kept.
 *
 * The process of the seed writes each line at once, for it may die of the next event; what it wrote
 * is read when it has ended. A run with more than ORR__EVENTS_BYTES_MAX of such lines is compared
 * as far as that goes.
 */
#include "trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How far the merging goes where one side has nothing to show. */
#define EVENTS_MERGED_MAX 100000u

/* ---- writing --------------------------------------------------------------------------------- */

static struct {
    struct orr__recorder recorder; /* first: the recorder is the file */
    struct orr__emit emit;
    uint64_t bytes;
} events;

/* What would end a line, or a word of it, becomes a space. */
static void emit_words(const char *text)
{
    char clean[ORR__TEXT_MAX];
    size_t length = 0;
    for (; length < sizeof clean && text[length] != '\0'; length++) {
        clean[length] = text[length];
        if ((unsigned char)text[length] < 0x20)
            clean[length] = ' ';
    }
    orr__emit_bytes(&events.emit, clean, length);
    events.bytes += length;
}

static void write_event(struct orr__recorder *recorder, const struct orr__record *record)
{
    (void)recorder;
    char text[ORR__TEXT_MAX];
    char who[ORR__WHO_TEXT_MAX];
    char head[40];
    int length =
        snprintf(head, sizeof head, "%d\t%" PRIu64 "\t", (int)record->kind, record->time_ns);
    if (record->kind == ORR__RECORD_NODE || events.bytes >= ORR__EVENTS_BYTES_MAX - ORR__EMIT_MAX)
        return;
    orr__emit_text(&events.emit, head);
    emit_words(orr__record_who(record, who));
    orr__emit_text(&events.emit, "\t");
    emit_words(orr__record_say(record, text));
    orr__emit_text(&events.emit, "\n");
    events.bytes += (uint64_t)length + 2;
    orr__emit_flush(&events.emit);
}

struct orr__recorder *orr__events_recorder(void)
{
    events.recorder.record = write_event;
    return &events.recorder;
}

int orr__events_begin(const char *path)
{
    events.bytes = 0;
    return orr__emit_open(&events.emit, path);
}

int orr__events_end(const char *path, char text[ORR__EVENTS_BYTES_MAX + 1])
{
    orr__emit_close(&events.emit);
    return orr__private_take_into(path, text, ORR__EVENTS_BYTES_MAX);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* A line of the text; at its end there is none, and `length` is 0. */
struct event {
    const char *line;
    size_t length;
    uint64_t time_ns; /* UINT64_MAX: no event */
};

static struct event event_at(const char *line)
{
    struct event event = {.line = line, .length = strcspn(line, "\n"), .time_ns = UINT64_MAX};
    if (line[event.length] != '\n') /* the program died in the middle of it */
        event.length = 0;
    const char *tab = memchr(line, '\t', event.length);
    if (tab != NULL)
        event.time_ns = strtoull(tab + 1, NULL, 10);
    return event;
}

static struct event event_after(const struct event *event)
{
    return event_at(event->line + event->length + (event->length > 0));
}

static bool is_same(const struct event *a, const struct event *b)
{
    return a->length == b->length && memcmp(a->line, b->line, a->length) == 0;
}

/* What stands behind so many tabs. */
static const char *field(const struct event *event, int tabs)
{
    const char *at = event->line;
    const char *end = event->line + event->length;
    while (tabs > 0 && at < end)
        tabs -= *at++ == '\t';
    return at;
}

static struct orr__moment moment_of(const struct event *event)
{
    struct orr__moment moment = {.time_ns = event->time_ns};
    const char *who = field(event, 2);
    const char *text = field(event, 3);
    snprintf(moment.who, sizeof moment.who, "%.*s", (int)strcspn(who, "\t\n"), who);
    snprintf(moment.text, sizeof moment.text, "%.*s", (int)strcspn(text, "\n"), text);
    return moment;
}

static bool is_of_kind(const struct event *event, enum orr__record_kind kind)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%d\t", (int)kind);
    return event->length > (size_t)length && strncmp(event->line, text, (size_t)length) == 0;
}

/* The fault's own line; of an appointed crash the line that announces it, too. */
static bool is_mark(const struct event *event, const char *mark)
{
    const char *text = field(event, 3);
    if (event->length == 0)
        return false;
    if (is_of_kind(event, ORR__RECORD_FAULT))
        return strncmp(text, mark, strlen(mark)) == 0;
    const char *announced = strstr(text, " has ended: the replay file lets it crash\n");
    return announced != NULL && announced < event->line + event->length;
}

/* ---- from the parting on --------------------------------------------------------------------- */

/* The same line comes up in the other run, later at the same time. */
static bool comes_up(const struct event *event, struct event other)
{
    while (other.length > 0 && other.time_ns == event->time_ns) {
        if (is_same(event, &other))
            return true;
        other = event_after(&other);
    }
    return false;
}

/* Two runs side by side. */
struct sides {
    struct event with;
    struct event without;
    struct orr__moment next; /* what has been skipped before it */
    uint32_t shown_with;
    uint32_t shown_without;
    bool drops; /* the last moment is of dropped operations */
};

/* "recv#499 on 7 dropped": all that go at once with one process are one moment, "dropped: recv#499
 * on 7, fdatasync#64 on 5". True if the last moment took this one in. */
static bool join_drop(struct sides *sides, struct orr__moment *moment, bool is_drop,
                      struct orr__parting *parting)
{
    static const char end[] = " dropped";
    uint32_t count = parting->moment_count;
    struct orr__moment *last = count > 0 ? &parting->moments[count - 1] : NULL;
    bool joins = is_drop && sides->drops && last != NULL &&
                 last->is_without == moment->is_without && last->time_ns == moment->time_ns &&
                 strcmp(last->who, moment->who) == 0;
    size_t length = strlen(moment->text) - (is_drop ? sizeof end - 1 : 0);
    char text[ORR__PARTING_WORDS];
    if (joins)
        snprintf(text, sizeof text, "%.*s, %.*s", ORR__PARTING_WORDS / 2, last->text, (int)length,
                 moment->text);
    else if (is_drop)
        snprintf(text, sizeof text, "dropped: %.*s", (int)length, moment->text);
    if (is_drop)
        memcpy(joins ? last->text : moment->text, text, sizeof text);
    sides->drops = is_drop;
    return joins;
}

static void take(struct sides *sides, bool is_without, struct orr__parting *parting)
{
    struct event *event = is_without ? &sides->without : &sides->with;
    uint32_t *shown = is_without ? &sides->shown_without : &sides->shown_with;
    struct orr__moment moment = moment_of(event);
    moment.is_without = is_without;
    if (join_drop(sides, &moment, is_of_kind(event, ORR__RECORD_DROP), parting)) {
        *event = event_after(event);
        return;
    }
    if (*shown < ORR__PARTING_SIDE) {
        moment.skipped_both = sides->next.skipped_both;
        moment.skipped_with = sides->next.skipped_with;
        moment.skipped_without = sides->next.skipped_without;
        parting->moments[parting->moment_count++] = moment;
        sides->next = (struct orr__moment){.time_ns = 0};
        (*shown)++;
    } else if (is_without) {
        sides->next.skipped_without++;
    } else {
        sides->next.skipped_with++;
    }
    *event = event_after(event);
}

/* Which of two different events comes next. At one time they take turns, but for a line that comes
 * up in the other run as well: it waits. */
static bool is_next_without(const struct event *with, const struct event *without,
                            const struct orr__parting *parting)
{
    if (with->time_ns != without->time_ns)
        return with->time_ns > without->time_ns;
    if (comes_up(with, *without) || comes_up(without, *with))
        return comes_up(with, *without);
    if (parting->moment_count == 0)
        return false;
    const struct orr__moment *last = &parting->moments[parting->moment_count - 1];
    return !last->is_without && last->time_ns == with->time_ns && last->who[0] != '!';
}

static void merge(struct sides *sides, struct orr__parting *parting)
{
    uint32_t merged = 0;
    while ((sides->with.length > 0 || sides->without.length > 0) &&
           (sides->shown_with < ORR__PARTING_SIDE || sides->shown_without < ORR__PARTING_SIDE) &&
           merged++ < EVENTS_MERGED_MAX) {
        const struct event *with = &sides->with;
        const struct event *without = &sides->without;
        if (is_same(with, without)) {
            sides->next.skipped_both++;
            sides->with = event_after(with);
            sides->without = event_after(without);
            continue;
        }
        take(sides, is_next_without(with, without, parting), parting);
    }
}

/* ---- up to it -------------------------------------------------------------------------------- */

static void keep_last(struct orr__parting *parting, const struct event *event)
{
    if (parting->last_count == ORR__PARTING_LAST)
        memmove(parting->last, parting->last + 1, (ORR__PARTING_LAST - 1) * sizeof *parting->last);
    else
        parting->last_count++;
    parting->last[parting->last_count - 1] = moment_of(event);
}

static void note_strike(struct orr__parting *parting, const struct event *event)
{
    struct orr__moment moment = moment_of(event);
    if (parting->strikes)
        return;
    parting->strikes = true;
    parting->strikes_ns = moment.time_ns;
    memcpy(parting->strikes_text, moment.text, sizeof parting->strikes_text);
}

static struct event skip_marks(struct event event, const char *mark)
{
    while (is_mark(&event, mark))
        event = event_after(&event);
    return event;
}

void orr__parting_find(const char *with, const char *without, const char *mark,
                       struct orr__parting *ret_parting)
{
    struct sides sides = {.with = event_at(with), .without = event_at(without)};
    memset(ret_parting, 0, sizeof *ret_parting);
    for (struct event at = sides.with; at.length > 0; at = event_after(&at))
        if (is_mark(&at, mark))
            note_strike(ret_parting, &at);
    struct event before = sides.with; /* with the marks, which are shown where they strike */
    sides.with = skip_marks(before, mark);
    while (sides.with.length > 0 && is_same(&sides.with, &sides.without)) {
        ret_parting->common++;
        keep_last(ret_parting, &sides.with);
        before = event_after(&sides.with);
        sides.with = skip_marks(before, mark);
        sides.without = event_after(&sides.without);
    }
    ret_parting->part = sides.with.length > 0 || sides.without.length > 0;
    if (!ret_parting->part)
        return;
    sides.with = before;
    merge(&sides, ret_parting);
}

/*
 * ledger.c: what happened: the rolling trace hash, the ledger of injected faults, and the story.
 *
 * The hash takes in every event as numbers and stable ids, never as addresses, and stops at the
 * first failed check: what follows is no part of the run. The text of faults is only made when
 * somebody wants to read it; it never changes the hash.
 *
 * The story is for eyes: faults, boots, crashes, the check that failed. A run of the same fault is
 * folded into the first one and a line that counts the others and tells the last. The first is told
 * at once, because the program may die of it; that line waits in `untold`, which another process
 * can read when this one has died. Where a trace stands in the story's place there is no folding:
 * each fault is told among the events that it changed (recorder.h).
 */
#include "future.h"
#include "lanes.h"
#include "witness.h"
#include "replay_file.h"
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define WHO_WIDTH 13 /* "! disk-error" */
#define WHO_MAX 18
#define FAULTS_SHOWN 1 /* before the story folds what goes on */
#define LIVES_SHOWN 4
#define LINE_MAX_BYTES ORR_UNTOLD_MAX
#define TEXT_MAX_BYTES 400 /* so that a line never loses its end */

void orr__trace_hash(struct orr_world *world, uint64_t kind, uint64_t actor, uint64_t a, uint64_t b)
{
    if (world->failed)
        return;
    world->hash =
        orr__mix(orr__mix(world->hash ^ world->now_ns, actor + kind), a ^ (b << 32 | b >> 32));
    if (world->live_hash != NULL)
        *world->live_hash = world->hash;
    if (world->witness != NULL)
        orr__witness_event(world, kind, actor, a, b);
}

/* "   12.345678 ms  server        text" */
static void compose(char line[LINE_MAX_BYTES], uint64_t now_ns, const char *who, const char *text)
{
    snprintf(line, LINE_MAX_BYTES, "%6" PRIu64 ".%06" PRIu64 " ms  %-*.64s %.399s\n",
             now_ns / ORR_MILLISECOND, now_ns % ORR_MILLISECOND, WHO_WIDTH, who, text);
}

static void print_line(FILE *out, uint64_t now_ns, const char *who, const char *text)
{
    char line[LINE_MAX_BYTES];
    compose(line, now_ns, who, text);
    fputs(line, out);
}

void orr_trace(struct orr_world *world, const char *format, ...)
{
    if (!orr__tracing(world))
        return;
    char text[TEXT_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    orr__record_text(world, NULL, "%s", text);
}

/* ---- the story ------------------------------------------------------------------------------- */

void orr__story_settle(struct orr_world *world)
{
    if (world->untold[0] != '\0' && world->story != NULL)
        fputs(world->untold, world->story);
    world->untold[0] = '\0';
    world->fold.count = 0;
}

/* What strikes often and harms little is the same wherever it strikes; of a disk's error or a
 * connection's end a reader wants to know each subject. The lives of a node that stops again and
 * again are one thing, whatever is said of them. */
static bool continues(const struct orr__fold *fold, const struct orr__fold *next)
{
    static const uint32_t frequent = 1u << ORR_FAMILY_PARTIAL | 1u << ORR_FAMILY_LATENCY |
                                     1u << ORR_FAMILY_REORDER | 1u << ORR_FAMILY_PRESSURE |
                                     1u << ORR_FAMILY_DATAGRAM;
    if (fold->count == 0 || fold->kind != next->kind)
        return false;
    if (next->kind != ORR__FOLD_LIVES && strcmp(fold->format, next->format) != 0)
        return false;
    return (frequent & 1u << next->kind) != 0 || strcmp(fold->subject, next->subject) == 0;
}

/* Tells a line that may go on a run, or begin one. */
static void tell_folded(struct orr_world *world, const struct orr__fold *next, const char *who,
                        const char *text)
{
    struct orr__fold *fold = &world->fold;
    if (!continues(fold, next)) {
        orr__story_settle(world);
        *fold = *next;
    }
    uint64_t shown = fold->kind == ORR__FOLD_LIVES ? LIVES_SHOWN : FAULTS_SHOWN;
    if (++fold->count <= shown) {
        print_line(world->story, world->now_ns, who, text);
        return;
    }
    char folded[TEXT_MAX_BYTES + 64];
    snprintf(folded, sizeof folded, "... x %" PRIu64 ", the last %s", fold->count - shown, text);
    compose(world->untold, world->now_ns, who, fold->count > shown + 1 ? folded : text);
}

static struct orr__fold fold_of(uint32_t kind, const char *subject, const char *format)
{
    struct orr__fold fold = {.kind = kind, .format = format};
    snprintf(fold.subject, sizeof fold.subject, "%.*s", (int)sizeof fold.subject - 1, subject);
    return fold;
}

/* The story's own lines are wanted: no trace stands in their place. */
static bool is_told(const struct orr_world *world)
{
    return world->story != NULL && !world->failed && !orr__story_is_traced(world);
}

static bool is_wanted(const struct orr_world *world)
{
    return orr__tracing(world) || is_told(world);
}

void orr__story_line(struct orr_world *world, const char *who, const char *format, ...)
{
    if (!is_wanted(world))
        return;
    char text[TEXT_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    orr__record_line(world, who, text);
    if (!is_told(world))
        return;
    orr__story_settle(world);
    print_line(world->story, world->now_ns, who, text);
}

void orr__story_failed(struct orr_world *world, const char *check)
{
    orr__record_failed(world, check);
    if (!is_told(world))
        return;
    orr__story_settle(world);
    print_line(world->story, world->now_ns, "! failed", check);
}

void orr__story_life(const struct orr_node *node, enum orr__record_kind kind, const char *format,
                     ...)
{
    struct orr_world *world = node->world;
    if (!is_wanted(world))
        return;
    char text[TEXT_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    orr__record_life(node, kind, text);
    if (!is_told(world))
        return;
    struct orr__fold next = fold_of(ORR__FOLD_LIVES, node->name, format);
    tell_folded(world, &next, node->name, text);
}

/* The id of "owner/part". */
static uint64_t subject_id(const struct orr__point *point)
{
    uint64_t id = orr__actor_id(point->owner);
    if (point->part == NULL)
        return id;
    id = orr__mix(id, '/');
    for (const char *at = point->part; *at != '\0'; at++)
        id = orr__mix(id, (uint8_t)*at);
    return id;
}

static void write_ledger(const struct orr_world *world, const struct orr__point *point,
                         uint64_t size, const char *what)
{
    orr__fault_write(world->ledger, point, size);
    fprintf(world->ledger, "  # %" PRIu64 ".%06" PRIu64 " ms: %s\n",
            world->now_ns / ORR_MILLISECOND, world->now_ns % ORR_MILLISECOND, what);
}

void orr__ledger_loss(struct orr_world *world, const struct orr__point *point, uint64_t size,
                      bool is_named)
{
    if (world->ledger == NULL || world->failed)
        return;
    fputs(is_named ? "" : "# ", world->ledger);
    write_ledger(world, point, size, "does not survive");
}

static void tell_fault(struct orr_world *world, const struct orr__point *point, const char *format,
                       const char *what)
{
    char name[ORR__POINT_NAME_MAX];
    char text[TEXT_MAX_BYTES];
    char who[WHO_MAX];
    enum orr_fault_family family = orr__fault_family(point->kind);
    orr__point_name(point, name);
    snprintf(text, sizeof text, "%s %s", name, what);
    snprintf(who, sizeof who, "! %s", orr_fault_family_name(family));
    name[strcspn(name, "#")] = '\0';
    struct orr__fold next = fold_of((uint32_t)family, name, format);
    tell_folded(world, &next, who, text);
}

void orr__fault(struct orr_world *world, const struct orr__point *point, uint64_t size,
                const char *format, ...)
{
    if (world->failed)
        return;
    enum orr_fault_family family = orr__fault_family(point->kind);
    if (world->ahead != NULL)
        orr__future_struck(world, point);
    world->faults++;
    world->faults_by_family[family]++;
    if (world->lanes != NULL)
        orr__lanes_struck(world->lanes, point);
    char name[ORR__POINT_NAME_MAX];
    if (world->witness != NULL) {
        orr__point_name(point, name);
        orr__witness_about(world, name, NULL);
    }
    orr__trace_hash(world, ORR__EVENT_FAULT + (uint64_t)family, subject_id(point), point->number,
                    0);
    if (!is_wanted(world) && world->ledger == NULL)
        return;
    char what[TEXT_MAX_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (world->ledger != NULL)
        write_ledger(world, point, size, what);
    orr__record_fault(world, point, what);
    if (is_told(world))
        tell_fault(world, point, format, what);
}

/* ---- notes ----------------------------------------------------------------------------------- */

/* If the last note has this text: counts it there instead of a second time. */
static bool same_note(struct orr_world *world, const char *text, size_t length)
{
    char *last = world->notes + world->note_begin;
    if (world->note_count == 0 || world->note_length != length || memcmp(last, text, length) != 0)
        return false;
    size_t room = sizeof world->notes - world->note_begin - length;
    char times[32];
    int added = snprintf(times, sizeof times, " (x %" PRIu64 ")\n", world->note_count + 1);
    if ((size_t)added >= room)
        return false;
    memcpy(last + length, times, (size_t)added + 1);
    world->note_count++;
    return true;
}

void orr_note(struct orr_world *world, const char *format, ...)
{
    if (world->failed)
        return;
    char text[ORR_NOTE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    size_t added = strlen(text);
    if (same_note(world, text, added))
        return;
    text[added++] = '\n';
    size_t kept = strlen(world->notes);
    if (kept + added >= sizeof world->notes) { /* the oldest go first */
        size_t drop = kept + added - sizeof world->notes + 1;
        while (drop < kept && world->notes[drop - 1] != '\n')
            drop++;
        memmove(world->notes, world->notes + drop, kept - drop);
        kept -= drop;
    }
    memcpy(world->notes + kept, text, added);
    world->notes[kept + added] = '\0';
    world->note_begin = kept;
    world->note_length = added - 1;
    world->note_count = 1;
}

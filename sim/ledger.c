/*
 * ledger.c: what happened: the rolling trace hash, the text trace, and the ledger of injected
 * faults.
 *
 * The hash takes in every event as numbers and stable ids, never as addresses, and stops at the
 * first failed check: what follows is no part of the run. The text of traces and faults is only
 * made when somebody wants to read it; it never changes the hash.
 */
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define HASH_FAULT UINT64_C(0xfa17)
#define WHO_WIDTH 18
#define LINE_MAX_BYTES 512

void orr__trace_hash(struct orr_world *world, uint64_t kind, uint64_t actor, uint64_t a, uint64_t b)
{
    if (world->failed)
        return;
    world->hash =
        orr__mix(orr__mix(world->hash ^ world->now_ns, actor + kind), a ^ (b << 32 | b >> 32));
    if (world->live_hash != NULL)
        *world->live_hash = world->hash;
}

bool orr__tracing(const struct orr_world *world)
{
    return world->trace != NULL && !world->failed;
}

/* "   12.345678ms server             text" */
static void line(FILE *out, uint64_t now_ns, const char *who, const char *text)
{
    fprintf(out, "%6" PRIu64 ".%06" PRIu64 "ms  %-*s %s\n", now_ns / ORR_MILLISECOND,
            now_ns % ORR_MILLISECOND, WHO_WIDTH, who, text);
}

void orr__trace_line(struct orr_world *world, const char *who, const char *format, ...)
{
    if (!orr__tracing(world))
        return;
    char text[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    line(world->trace, world->now_ns, who, text);
}

void orr_trace(struct orr_world *world, const char *format, ...)
{
    if (!orr__tracing(world))
        return;
    char text[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    line(world->trace, world->now_ns, "(scenario)", text);
}

void orr__fault(struct orr_world *world, enum orr_fault_family family, const char *subject,
                uint64_t occurrence, const char *format, ...)
{
    if (world->failed)
        return;
    world->faults++;
    world->faults_by_family[family]++;
    orr__trace_hash(world, HASH_FAULT + (uint64_t)family, orr__actor_id(subject), occurrence, 0);
    if (world->story == NULL && world->trace == NULL)
        return;
    char what[LINE_MAX_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    char text[LINE_MAX_BYTES];
    snprintf(text, sizeof text, "%s#%" PRIu64 " %s", subject, occurrence, what);
    const char *name = orr_fault_family_name(family);
    if (world->trace != NULL) { /* where every event is told, the ledger need not be told again */
        char marked[WHO_WIDTH];
        snprintf(marked, sizeof marked, "! %s", name);
        line(world->trace, world->now_ns, marked, text);
    } else {
        line(world->story, world->now_ns, name, text);
    }
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
}

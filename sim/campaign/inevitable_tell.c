/*
 * inevitable_tell.c: what decides a failing run, in words, and a picture of how many futures pass
 * from when on.
 */
#include "inevitable.h"

#include <inttypes.h>
#include <string.h>

enum {
    BAR_WIDTH = 32,
    WHO_WIDTH = 14,
};

static void print_time(const char *before, uint64_t ns)
{
    printf("%s%6" PRIu64 ".%06" PRIu64 " ms", before, ns / ORR_MILLISECOND, ns % ORR_MILLISECOND);
}

static void print_ms(uint64_t ns)
{
    printf("%" PRIu64 ".%06" PRIu64 " ms", ns / ORR_MILLISECOND, ns % ORR_MILLISECOND);
}

static void print_replay(const struct orr__decision *decision, uint64_t event, uint64_t seed)
{
    char instant[ORR__INSTANT_MAX];
    struct orr__question question = decision->question;
    snprintf(instant, sizeof instant, "event %" PRIu64, event);
    question.instant = instant;
    fputs("    replay: ", stdout);
    orr__futures_again(stdout, decision->command, &question, seed);
    putchar('\n');
}

/* ---- the rows of the trace ------------------------------------------------------------------- */

static void print_rows(const struct orr__rows *rows)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct orr__row *row = &rows->rows[i];
        print_time(row->is_decisive ? "  > " : "    ", row->time_ns);
        printf("  %-*s ", WHO_WIDTH, row->who);
        orr__text_indent(stdout, row->text, strlen(row->text), "");
        bool is_last = i + 1 == rows->count || !rows->rows[i + 1].is_decisive;
        if (row->is_decisive && is_last && rows->skipped > 0)
            printf("  >   ... and %" PRIu32 " more\n", rows->skipped);
    }
}

/* ---- the edge -------------------------------------------------------------------------------- */

static void print_others(const struct orr__sample *sample)
{
    uint64_t others = sample->futures - sample->passed - sample->same;
    if (others > 0)
        printf(", %" PRIu64 " fail%s otherwise", others, others == 1 ? "s" : "");
}

static void print_before(const struct orr__decision *decision)
{
    const struct orr__sample *sample = &decision->before;
    printf("  from event %" PRIu64 ": %" PRIu64 " of %" PRIu64 " futures pass", sample->event,
           sample->passed, sample->futures);
    if (sample->passed > 0)
        printf(" (the first is %" PRIu64 ")", sample->passing_seed);
    printf(", %" PRIu64 " fail so", sample->same);
    print_others(sample);
    putchar('\n');
    if (sample->passed > 0)
        print_replay(decision, sample->event, sample->passing_seed);
}

static void print_after(const struct orr__decision *decision)
{
    const struct orr__sample *sample = &decision->after;
    printf("  from event %" PRIu64 ": none of %" PRIu64 " futures passes, %" PRIu64 " fail so",
           sample->event, sample->futures, sample->same);
    print_others(sample);
    putchar('\n');
    print_replay(decision, sample->event, sample->failing_seed);
}

/* What decides: a fault if there is one, else an operation, else the first thing there is. */
static const struct orr__row *headline(const struct orr__rows *rows)
{
    const struct orr__row *found = NULL;
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct orr__row *row = &rows->rows[i];
        if (row->is_decisive && (found == NULL || row->weight > found->weight))
            found = row;
    }
    return found;
}

static void print_decision(const struct orr__decision *decision)
{
    const struct orr_outcome *outcome = &decision->result.outcome;
    const struct orr__row *row = headline(decision->rows);
    uint64_t ns = row != NULL ? row->time_ns : decision->after.time_ns;
    printf("decided at ");
    print_ms(ns);
    if (decision->result.finished && outcome->simulated_ns >= ns) {
        printf(", ");
        print_ms(outcome->simulated_ns - ns);
        printf(" before it is noticed");
    }
    fputs(row != NULL ? ": " : ", by an event without a trace\n", stdout);
    if (row != NULL && row->weight < ORR__WEIGHT_FAULT)
        printf("%s: ", row->who);
    if (row != NULL)
        orr__text_indent(stdout, row->text, strlen(row->text), "");
}

static void print_edge(const struct orr__decision *decision)
{
    if (decision->is_early) {
        puts("decided before it begins:");
        print_after(decision);
        return;
    }
    if (decision->is_late) {
        puts("decided only by the event in which it is noticed:");
        print_before(decision);
        return;
    }
    print_decision(decision);
    print_rows(decision->rows);
    print_before(decision);
    print_after(decision);
}

/* ---- the picture ----------------------------------------------------------------------------- */

static void print_bar(const struct orr__sample *sample)
{
    uint64_t length = sample->futures > 0 ? sample->passed * BAR_WIDTH / sample->futures : 0;
    length += sample->passed > 0 && length == 0;
    for (uint64_t i = 0; i < BAR_WIDTH; i++)
        putchar(i < length ? '#' : '.');
}

static void print_picture(const struct orr__decision *decision)
{
    bool has_edge = !decision->is_early && !decision->is_late;
    puts("\nfutures that pass, by the instant at which they begin:");
    for (uint32_t i = 0; i < decision->sample_count; i++) {
        const struct orr__sample *sample = &decision->samples[i];
        bool is_edge = has_edge && sample->event == decision->after.event;
        print_time(is_edge ? "  > " : "    ", sample->time_ns);
        printf("  event %-9" PRIu64 " ", sample->event);
        print_bar(sample);
        printf(" %" PRIu64 " of %" PRIu64 "\n", sample->passed, sample->futures);
    }
}

/* What the bisection took for granted, and is not so. */
static void print_doubts(const struct orr__decision *decision)
{
    for (uint32_t i = 0; i < decision->sample_count && !decision->is_late; i++) {
        const struct orr__sample *sample = &decision->samples[i];
        if (sample->event > decision->after.event && sample->passed > 0) {
            printf("but from event %" PRIu64 " on %" PRIu64 " of %" PRIu64
                   " pass again: give --futures a larger number\n",
                   sample->event, sample->passed, sample->futures);
            return;
        }
    }
}

void orr__decision_tell(const struct orr__decision *decision)
{
    char time[ORR__AMOUNT_MAX];
    const struct orr__futures *futures = decision->futures;
    const struct orr__result *result = &decision->result;
    orr__report_scenario(&decision->command->job);
    printf(" seed %" PRIu64 " fails%s: ", decision->command->seed_first,
           result->cause == ORR__CAUSE_CHECK ? " the check" : "");
    orr__text_indent(stdout, result->outcome.check, strlen(result->outcome.check), "");
    print_edge(decision);
    print_picture(decision);
    print_doubts(decision);
    printf("%" PRIu64 " futures in %s\n", futures->runs,
           orr__text_time(time, orr__clock_ns() - futures->begin_ns));
}

/*
 * page.c: a run as a page for a browser, in one file: what page/ has (style, script), then the
 * events as lines of text inside of it, each a JSON array, and the verdict. The page draws them
 * when it has been read to its end, wherever that is.
 *
 * What is in a line: a letter, the time in ns, the number of the node (-1 = none), and
 *
 *   n name              a node was made
 *   u text, d text      it boots, it stops
 *   b op number on path site
 *   e op number result error on path site instant
 *   x op number         dropped
 *   s, a, l             peer, 1 for a datagram, number, bytes, text: sent, arrived, lost
 *   f family subject number text
 *   t who text
 *   ! text              the check that failed
 */
#include "trace.h"

#include "page_text.h"

#include <inttypes.h>
#include <string.h>

static const char letters[] = {
    [ORR__RECORD_NODE] = 'n',  [ORR__RECORD_BOOT] = 'u',   [ORR__RECORD_STOP] = 'd',
    [ORR__RECORD_BEGIN] = 'b', [ORR__RECORD_END] = 'e',    [ORR__RECORD_DROP] = 'x',
    [ORR__RECORD_SEND] = 's',  [ORR__RECORD_ARRIVE] = 'a', [ORR__RECORD_LOSE] = 'l',
    [ORR__RECORD_FAULT] = 'f', [ORR__RECORD_TEXT] = 't',   [ORR__RECORD_FAILED] = '!',
};

static void string(struct orr__emit *emit, const char *text)
{
    orr__emit_text(emit, ",");
    orr__emit_string(emit, text);
}

static void number(struct orr__emit *emit, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, ",%" PRId64, value);
    orr__emit_text(emit, text);
}

static void operation(struct orr__emit *emit, const struct orr__record *record)
{
    string(emit, record->op);
    number(emit, (int64_t)record->number);
    if (record->kind == ORR__RECORD_DROP)
        return;
    if (record->kind == ORR__RECORD_END) {
        number(emit, record->result);
        string(emit, record->result < 0 ? orr_error_name((int)-record->result) : NULL);
    }
    number(emit, record->descriptor);
    string(emit, record->path);
    string(emit, record->site);
    if (record->kind == ORR__RECORD_END)
        number(emit, record->is_instant);
}

static void message(struct orr__emit *emit, const struct orr__record *record)
{
    number(emit, (int64_t)record->peer);
    number(emit, record->is_datagram);
    number(emit, (int64_t)record->number);
    number(emit, (int64_t)record->bytes);
    string(emit, record->text);
}

static void fault(struct orr__emit *emit, const struct orr__record *record)
{
    string(emit, orr_fault_family_name(record->family));
    string(emit, record->subject);
    number(emit, (int64_t)record->number);
    string(emit, record->text);
}

static void write_record(struct orr__recorder *recorder, const struct orr__record *record)
{
    struct orr__emit *emit = &((struct orr__trace_file *)(void *)recorder)->emit;
    char head[] = {'[', '"', letters[record->kind], '"', '\0'};
    orr__emit_text(emit, head);
    number(emit, (int64_t)record->time_ns);
    number(emit, record->node == ORR__NO_NODE ? -1 : (int64_t)record->node);
    switch (record->kind) {
    case ORR__RECORD_NODE:
        string(emit, record->who);
        break;
    case ORR__RECORD_BEGIN:
    case ORR__RECORD_END:
    case ORR__RECORD_DROP:
        operation(emit, record);
        break;
    case ORR__RECORD_SEND:
    case ORR__RECORD_ARRIVE:
    case ORR__RECORD_LOSE:
        message(emit, record);
        break;
    case ORR__RECORD_FAULT:
        fault(emit, record);
        break;
    case ORR__RECORD_TEXT:
        string(emit, record->who);
        string(emit, record->text);
        break;
    case ORR__RECORD_BOOT:
    case ORR__RECORD_STOP:
    case ORR__RECORD_FAILED:
        string(emit, record->text);
        break;
    }
    orr__emit_text(emit, "]\n");
    orr__emit_flush(emit);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void begin(struct orr__trace_file *file, const struct orr__command *command)
{
    struct orr__emit *emit = &file->emit;
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, command->seed_first);
    orr__emit_bytes(emit, page_text, sizeof page_text);
    orr__emit_text(emit, "<script type=\"application/json\" id=\"run\">{\"scenario\":");
    orr__emit_string(emit, command->job.scenario->name);
    orr__emit_text(emit, ",\"seed\":");
    orr__emit_string(emit, seed);
    orr__emit_text(emit, ",\"replay\":");
    orr__emit_replay(emit, command);
    orr__emit_text(emit, "}</script>\n<script type=\"text/plain\" id=\"events\">\n");
}

static void end(struct orr__trace_file *file, const struct orr__command *command,
                const struct orr__result *result)
{
    struct orr__emit *emit = &file->emit;
    char hash[24];
    (void)command;
    if (result == NULL)
        return;
    const struct orr_outcome *outcome = &result->outcome;
    snprintf(hash, sizeof hash, "%016" PRIx64, outcome->trace_hash);
    orr__emit_text(emit,
                   "\n</script>\n<script type=\"application/json\" id=\"verdict\">{\"failed\":");
    orr__emit_text(emit, outcome->failed ? "true" : "false");
    orr__emit_text(emit, ",\"check\":");
    orr__emit_string(emit, outcome->check);
    orr__emit_text(emit, ",\"detail\":");
    orr__emit_string(emit, outcome->detail);
    orr__emit_text(emit, ",\"hash\":");
    orr__emit_string(emit, hash);
    orr__emit_text(emit, "}</script>\n");
}

struct orr__trace_file orr__trace_page = {
    .recorder = {.record = write_record},
    .begin = begin,
    .end = end,
};

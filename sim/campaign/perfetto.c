/*
 * perfetto.c: a run in the Trace Event Format, in its form as an array, which ui.perfetto.dev and
 * chrome://tracing open, also when its end is missing.
 *
 *   process 1       the world: what belongs to no node
 *   process N + 2   node N, with two threads: "life and faults" (boots, stops, faults as instants
 *                   under their stable names), "messages" (a slice of 1 ns where one leaves or
 *                   arrives, joined by flow arrows)
 *   async slices    operations, of a node's process: from the flush that takes one up to its result
 *
 * Times are microseconds of virtual time with three decimals. Ids are numbers, for not every reader
 * takes other ones: a mix of the names that join two events (recorder.h).
 */
#include "trace.h"

#include <inttypes.h>
#include <string.h>

enum { WORLD_PROCESS = 1, NODE_PROCESS = 2, THREADS = 10, THREAD_LIFE = 1, THREAD_MESSAGES = 2 };

/* ---- ids ------------------------------------------------------------------------------------- */

/* FNV-1a, 64 bits. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        hash = (hash ^ (value >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t operation_id(const struct orr__record *record)
{
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), record->node);
    for (const char *letter = record->op; *letter != '\0'; letter++)
        hash = mix(hash, (uint64_t)*letter);
    return mix(hash, record->number);
}

static uint64_t message_id(const struct orr__record *record)
{
    bool arrives = record->kind == ORR__RECORD_ARRIVE;
    uint64_t hash = mix(UINT64_C(0x84222325cbf29ce4), arrives ? record->peer : record->node);
    hash = mix(hash, arrives ? record->node : record->peer);
    return mix(mix(hash, record->is_datagram), record->number);
}

/* ---- events ---------------------------------------------------------------------------------- */

static uint32_t process_of(const struct orr__record *record)
{
    return record->node == ORR__NO_NODE ? WORLD_PROCESS : NODE_PROCESS + record->node;
}

/* ",\n{"ph":"i","pid":2,"tid":21,"ts":12.345,"cat":"fault","name":": the caller adds the name, more
 * members and the brace. */
static void begin_event(struct orr__emit *emit, const struct orr__record *record, const char *phase,
                        uint32_t thread, const char *category)
{
    char text[160];
    uint32_t process = process_of(record);
    snprintf(text, sizeof text,
             ",\n{\"ph\":\"%s\",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32 ",\"ts\":%" PRIu64
             ".%03" PRIu64 ",\"cat\":\"%s\",\"name\":",
             phase, process, process * THREADS + thread, record->time_ns / ORR_MICROSECOND,
             record->time_ns % ORR_MICROSECOND, category);
    orr__emit_text(emit, text);
}

static void member_id(struct orr__emit *emit, uint64_t id)
{
    char text[40];
    snprintf(text, sizeof text, ",\"id\":\"0x%" PRIx64 "\"", id);
    orr__emit_text(emit, text);
}

/* One of the members of "args", and a comma before it unless it is the first. */
static void argument(struct orr__emit *emit, const char *name, const char *text, bool is_first)
{
    if (text == NULL)
        return;
    orr__emit_text(emit, is_first ? "\"" : ",\"");
    orr__emit_text(emit, name);
    orr__emit_text(emit, "\":");
    orr__emit_string(emit, text);
}

static void instant(struct orr__emit *emit, const struct orr__record *record, const char *category,
                    const char *name, const char *scope)
{
    begin_event(emit, record, "i", THREAD_LIFE, category);
    orr__emit_string(emit, name);
    orr__emit_text(emit, ",\"s\":\"");
    orr__emit_text(emit, scope);
    orr__emit_text(emit, "\",\"args\":{");
}

static void operation_half(struct orr__emit *emit, const struct orr__record *record,
                           const char *phase)
{
    char text[ORR__TEXT_MAX];
    bool ends = *phase == 'e';
    begin_event(emit, record, phase, 0, "operation");
    orr__emit_string(emit, record->op);
    member_id(emit, operation_id(record));
    orr__emit_text(emit, ",\"args\":{");
    snprintf(text, sizeof text, "%.40s/%s#%" PRIu64, record->who, record->op, record->number);
    argument(emit, "operation", text, true);
    if (record->descriptor >= 0) {
        orr__emit_text(emit, ",\"on\":");
        orr__emit_number(emit, (uint64_t)record->descriptor);
    }
    argument(emit, "path", record->path, false);
    argument(emit, "site", record->site, false);
    if (ends && record->kind == ORR__RECORD_DROP)
        argument(emit, "result", "dropped", false);
    else if (ends && record->result < 0)
        argument(emit, "result", orr_error_name((int)-record->result), false);
    if (ends && record->kind == ORR__RECORD_END && record->result >= 0) {
        orr__emit_text(emit, ",\"result\":");
        orr__emit_number(emit, (uint64_t)record->result);
    }
    orr__emit_text(emit, "}}");
}

static void operation(struct orr__emit *emit, const struct orr__record *record)
{
    if (record->kind == ORR__RECORD_BEGIN || record->is_instant)
        operation_half(emit, record, "b");
    if (record->kind != ORR__RECORD_BEGIN)
        operation_half(emit, record, "e");
}

static void message(struct orr__emit *emit, const struct orr__record *record)
{
    char text[ORR__TEXT_MAX];
    orr__record_say(record, text);
    if (record->kind == ORR__RECORD_LOSE) {
        begin_event(emit, record, "i", THREAD_MESSAGES, "message");
        orr__emit_string(emit, text);
        orr__emit_text(emit, ",\"s\":\"t\"}");
        return;
    }
    bool arrives = record->kind == ORR__RECORD_ARRIVE;
    begin_event(emit, record, "X", THREAD_MESSAGES, "message");
    orr__emit_string(emit, text);
    orr__emit_text(emit, ",\"dur\":0.001,\"args\":{\"bytes\":");
    orr__emit_number(emit, record->bytes);
    argument(emit, arrives ? "from" : "to", record->peer_name, false);
    orr__emit_text(emit, "}}");
    begin_event(emit, record, arrives ? "f" : "s", THREAD_MESSAGES, "message");
    orr__emit_text(emit, "\"message\"");
    member_id(emit, message_id(record));
    orr__emit_text(emit, arrives ? ",\"bp\":\"e\"}" : "}");
}

static void fault(struct orr__emit *emit, const struct orr__record *record)
{
    char name[ORR__TEXT_MAX];
    snprintf(name, sizeof name, "%.200s#%" PRIu64, record->subject, record->number);
    instant(emit, record, "fault", name, "t");
    argument(emit, "family", orr_fault_family_name(record->family), true);
    argument(emit, "what", record->text, false);
    orr__emit_text(emit, "}}");
}

/* {"ph":"M","pid":2,"tid":21,"name":"thread_name","args":{"name":"messages"}}. Text is a string, or
 * else a number. */
static void metadata(struct orr__emit *emit, uint32_t process, uint32_t thread, const char *what,
                     const char *member, const char *text)
{
    char head[96];
    snprintf(head, sizeof head,
             "{\"ph\":\"M\",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32 ",\"name\":\"%s\"", process,
             process * THREADS + thread, what);
    orr__emit_text(emit, head);
    orr__emit_text(emit, ",\"args\":{\"");
    orr__emit_text(emit, member);
    orr__emit_text(emit, "\":");
    if (text != NULL)
        orr__emit_string(emit, text);
    else
        orr__emit_number(emit, process);
    orr__emit_text(emit, "}}");
}

static void name_process(struct orr__emit *emit, uint32_t process, const char *name)
{
    metadata(emit, process, 0, "process_name", "name", name);
    orr__emit_text(emit, ",\n");
    metadata(emit, process, 0, "process_sort_index", "sort_index", NULL);
    orr__emit_text(emit, ",\n");
    metadata(emit, process, THREAD_LIFE, "thread_name", "name", "life and faults");
}

static void node(struct orr__emit *emit, const struct orr__record *record)
{
    uint32_t process = process_of(record);
    orr__emit_text(emit, ",\n");
    name_process(emit, process, record->who);
    orr__emit_text(emit, ",\n");
    metadata(emit, process, THREAD_MESSAGES, "thread_name", "name", "messages");
}

static void write_record(struct orr__recorder *recorder, const struct orr__record *record)
{
    struct orr__emit *emit = &((struct orr__trace_file *)(void *)recorder)->emit;
    switch (record->kind) {
    case ORR__RECORD_NODE:
        node(emit, record);
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
    case ORR__RECORD_BOOT:
    case ORR__RECORD_STOP:
        instant(emit, record, "life", record->text, "t");
        orr__emit_text(emit, "}}");
        break;
    case ORR__RECORD_TEXT:
        instant(emit, record, "text", record->text, "t");
        orr__emit_text(emit, "}}");
        break;
    case ORR__RECORD_FAILED:
        instant(emit, record, "failed", record->text, "g");
        orr__emit_text(emit, "}}");
        break;
    }
    orr__emit_flush(emit);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void begin(struct orr__trace_file *file, const struct orr__command *command)
{
    (void)command;
    orr__emit_text(&file->emit, "[\n");
    name_process(&file->emit, WORLD_PROCESS, "the world");
}

/* What failed becomes part of the world's name; where to find it in time, its instant says. */
static void verdict(struct orr__emit *emit, const struct orr__command *command,
                    const struct orr_outcome *outcome)
{
    char name[ORR__LINE_MAX + 64];
    snprintf(name, sizeof name, "the world: seed %" PRIu64 " %s%s", command->seed_first,
             outcome->failed ? "fails: " : "passes", outcome->failed ? outcome->check : "");
    orr__emit_text(emit, ",\n");
    metadata(emit, WORLD_PROCESS, 0, "process_name", "name", name);
    orr__emit_text(emit, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":10,\"name\":\"replay\","
                         "\"args\":{\"command\":");
    orr__emit_replay(emit, command);
    orr__emit_text(emit, "}}");
}

static void end(struct orr__trace_file *file, const struct orr__command *command,
                const struct orr__result *result)
{
    if (result != NULL)
        verdict(&file->emit, command, &result->outcome);
    orr__emit_text(&file->emit, "\n]\n");
}

struct orr__trace_file orr__trace_perfetto = {
    .recorder = {.record = write_record},
    .begin = begin,
    .end = end,
};

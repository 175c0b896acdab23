/*
 * recorder.c: events of the world made into records (recorder.h), one function for each kind.
 *
 * All of them do nothing without a recorder, and after a check has failed: what follows is no part
 * of the run.
 */
#include "recorder.h"

#include "police.h"
#include "replay_file.h"

#include <stdarg.h>
#include <string.h>

bool orr__tracing(const struct orr_world *world)
{
    return world->recorder != NULL && !world->failed;
}

bool orr__story_is_traced(const struct orr_world *world)
{
    const struct orr__recorder *recorder = world->recorder;
    while (recorder != NULL && !recorder->tells_story)
        recorder = recorder->next;
    return recorder != NULL;
}

static struct orr__record begin(enum orr__record_kind kind, const struct orr_node *node)
{
    return (struct orr__record){
        .kind = kind,
        .node = node != NULL ? node->index : ORR__NO_NODE,
        .who = node != NULL ? node->name : "(scenario)",
        .peer = ORR__NO_NODE,
        .descriptor = -1,
    };
}

static void report(struct orr_world *world, struct orr__record *record)
{
    record->time_ns = world->now_ns;
    for (struct orr__recorder *to = world->recorder; to != NULL; to = to->next)
        to->record(to, record);
}

/* ---- nodes and lines ------------------------------------------------------------------------- */

void orr__record_life(const struct orr_node *node, enum orr__record_kind kind, const char *text)
{
    if (!orr__tracing(node->world))
        return;
    struct orr__record record = begin(kind, node);
    record.text = text;
    report(node->world, &record);
}

void orr__record_text(struct orr_world *world, const struct orr_node *node, const char *format, ...)
{
    if (!orr__tracing(world))
        return;
    char text[ORR__TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct orr__record record = begin(ORR__RECORD_TEXT, node);
    record.text = text;
    report(world, &record);
}

void orr__record_loop(const struct orr__process *process, const char *text)
{
    if (!orr__tracing(process->world))
        return;
    struct orr__record record = begin(ORR__RECORD_TEXT, process->node);
    record.who = process->seat->name;
    record.text = text;
    report(process->world, &record);
}

void orr__record_line(struct orr_world *world, const char *who, const char *text)
{
    if (!orr__tracing(world))
        return;
    const struct orr_node *node = world->nodes;
    while (node != NULL && strcmp(node->name, who) != 0)
        node = node->next;
    struct orr__record record = begin(ORR__RECORD_TEXT, node);
    record.who = who;
    record.text = text;
    report(world, &record);
}

void orr__record_failed(struct orr_world *world, const char *check)
{
    if (!orr__tracing(world))
        return;
    struct orr__record record = begin(ORR__RECORD_FAILED, NULL);
    record.text = check;
    report(world, &record);
}

/* "server", "server.2" of its second loop, or "server->client": that is the first one's. Of two
 * names that fit the longer one is meant. */
static const struct orr_node *node_of(const struct orr_world *world, const char *owner)
{
    const struct orr_node *found = NULL;
    size_t found_length = 0;
    for (const struct orr_node *node = world->nodes; node != NULL; node = node->next) {
        size_t length = strlen(node->name);
        bool fits = strncmp(owner, node->name, length) == 0 &&
                    (owner[length] == '\0' || owner[length] == '.' ||
                     strncmp(owner + length, "->", 2) == 0);
        if (fits && length > found_length) {
            found = node;
            found_length = length;
        }
    }
    return found;
}

void orr__record_fault(struct orr_world *world, const struct orr__point *point, const char *text)
{
    if (!orr__tracing(world))
        return;
    char subject[ORR__POINT_NAME_MAX];
    struct orr__record record = begin(ORR__RECORD_FAULT, node_of(world, point->owner));
    orr__point_name(point, subject);
    *strrchr(subject, '#') = '\0';
    record.family = orr__fault_family(point->kind);
    record.subject = subject;
    record.number = point->number;
    record.text = text;
    report(world, &record);
}

/* ---- operations ------------------------------------------------------------------------------ */

static void record_operation(const struct orr__process *process, enum orr__record_kind kind,
                             const struct orr_completion *completion, int64_t result)
{
    uint8_t op = completion->request.op;
    bool names = op == ORR_OP_OPEN || op == ORR_OP_RENAME || op == ORR_OP_LINK ||
                 op == ORR_OP_UNLINK || op == ORR_OP_MKDIR;
    struct orr__record record = begin(kind, process->node);
    record.who = process->seat->name;
    record.op = orr_op_name(op);
    record.number = (uint64_t)completion->result;
    record.result = result;
    record.is_instant = process->starting == completion;
    if (names)
        record.path = completion->request.arguments.path.path;
    else
        record.descriptor = completion->request.descriptor;
    record.site = completion->site;
    report(process->world, &record);
}

void orr__record_begun(const struct orr__process *process, const struct orr_completion *completion)
{
    if (orr__tracing(process->world) &&
        (completion->request.backend_bits & ORR__PLACE_MASK) != ORR__PLACE_READY)
        record_operation(process, ORR__RECORD_BEGIN, completion, 0);
}

void orr__record_ended(const struct orr__process *process, const struct orr_completion *completion,
                       int64_t result)
{
    if (orr__tracing(process->world))
        record_operation(process, ORR__RECORD_END, completion, result);
}

/* The police knows what is in flight. */
void orr__record_dropped(const struct orr_node *node)
{
    if (!orr__tracing(node->world))
        return;
    const struct orr__watch *watch = node->process->life->watches;
    for (; watch != NULL; watch = watch->next) {
        uint8_t place = watch->completion->request.backend_bits & ORR__PLACE_MASK;
        if (place == ORR__PLACE_SOCKET || place == ORR__PLACE_LATER)
            record_operation(watch->process, ORR__RECORD_DROP, watch->completion, 0);
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

void orr__record_message(struct orr_world *world, enum orr__record_kind kind,
                         const struct orr__message *message, const char *text)
{
    if (!orr__tracing(world))
        return;
    const struct orr__link *link = message->link;
    bool arrives = kind == ORR__RECORD_ARRIVE;
    const struct orr_node *peer = arrives ? link->from : link->to;
    struct orr__record record = begin(kind, arrives ? link->to : link->from);
    record.peer = peer->index;
    record.peer_name = peer->name;
    record.number = message->number;
    record.bytes = message->bytes;
    record.is_datagram = message->is_datagram;
    record.text = text;
    report(world, &record);
}

/*
 * timeline.c: a run as text, a line for each event: a list, or a timeline with a column for each
 * node, for people.
 *
 *                       server                    client-0
 *          0.400000 ms  |                         | #3 > server, 24 bytes
 *          0.512000 ms  | #3, 24 bytes <----------|
 *          0.512000 ms  | recv#0 on 5 = 24        |
 *          0.700000 ms  | ! power-loss server/power#1 loses power
 *
 * The line of a node runs through its column while it is up. A message leaves under its number, and
 * arrives under the same one, at the end of an arrow where there is room for one. Text that is
 * longer than its column runs on over the others, for a line tells one event only, and is wrapped
 * at the right edge.
 *
 * The names stand above, and are repeated when a node has come, for columns are narrower then, and
 * every so many lines.
 */
#define _POSIX_C_SOURCE 200809L /* strnlen */

#include "recorder.h"

#include <inttypes.h>
#include <string.h>

enum {
    NODE_COLUMN = 18, /* "   12.345678 ms  " comes before it */
    WHO_WIDTH = 18,   /* of a list: "! misdirected" and names of nodes */
    COLUMN_MIN = 20,
    COLUMN_MAX = 44,
    TEXT_INDENT = 2, /* "| " */
    TEXT_ROOM_MIN = 12,
    LINES_TITLED = 40,              /* lines under one line of names */
    WORDS_MAX = ORR__TEXT_MAX + 80, /* a text with the words around it */
};

/* ---- what is said of an event ---------------------------------------------------------------- */

static void say_operation(const struct orr__record *record, char text[ORR__TEXT_MAX])
{
    char on[24] = "";
    char end[48] = " ...";
    if (record->path == NULL && record->descriptor >= 0)
        snprintf(on, sizeof on, " on %d", record->descriptor);
    if (record->kind == ORR__RECORD_DROP)
        snprintf(end, sizeof end, " dropped");
    else if (record->kind == ORR__RECORD_END && record->result < 0)
        snprintf(end, sizeof end, " = -%s", orr_error_name((int)-record->result));
    else if (record->kind == ORR__RECORD_END)
        snprintf(end, sizeof end, " = %" PRId64, record->result);
    bool sited = record->site != NULL && record->kind == ORR__RECORD_END;
    snprintf(text, ORR__TEXT_MAX, "%s#%" PRIu64 "%s%s%.200s%s%s%.100s%s", record->op,
             record->number, on, record->path != NULL ? " " : "",
             record->path != NULL ? record->path : "", end, sited ? "  (" : "",
             sited ? record->site : "", sited ? ")" : "");
}

/* "#17", or "datagram#3": those are counted apart. */
static void say_number(const struct orr__record *record, char number[40])
{
    snprintf(number, 40, "%s#%" PRIu64, record->is_datagram ? "datagram" : "", record->number);
}

/* ", 24 bytes", or ", SYN". */
static void say_contents(const struct orr__record *record, char contents[64])
{
    if (record->text != NULL && record->kind != ORR__RECORD_LOSE)
        snprintf(contents, 64, ", %.40s", record->text);
    else
        snprintf(contents, 64, ", %" PRIu32 " byte%s", record->bytes,
                 record->bytes == 1 ? "" : "s");
}

static void say_message(const struct orr__record *record, char text[ORR__TEXT_MAX])
{
    char number[40];
    char contents[64];
    const char *peer = record->peer == record->node ? "itself" : record->peer_name;
    say_number(record, number);
    say_contents(record, contents);
    if (record->kind == ORR__RECORD_ARRIVE)
        snprintf(text, ORR__TEXT_MAX, "%s > %s%s", peer, number, contents);
    else if (record->kind == ORR__RECORD_SEND)
        snprintf(text, ORR__TEXT_MAX, "%s > %s%s", number, peer, contents);
    else
        snprintf(text, ORR__TEXT_MAX, "%s > %s lost: %.200s", number, peer, record->text);
}

const char *orr__record_say(const struct orr__record *record, char text[ORR__TEXT_MAX])
{
    switch (record->kind) {
    case ORR__RECORD_BEGIN:
    case ORR__RECORD_END:
    case ORR__RECORD_DROP:
        say_operation(record, text);
        break;
    case ORR__RECORD_SEND:
    case ORR__RECORD_ARRIVE:
    case ORR__RECORD_LOSE:
        say_message(record, text);
        break;
    case ORR__RECORD_FAULT:
        snprintf(text, ORR__TEXT_MAX, "%s#%" PRIu64 " %.300s", record->subject, record->number,
                 record->text);
        break;
    default:
        snprintf(text, ORR__TEXT_MAX, "%s", record->text != NULL ? record->text : "");
        break;
    }
    return text;
}

/* ---- the list -------------------------------------------------------------------------------- */

const char *orr__record_who(const struct orr__record *record, char who[ORR__WHO_TEXT_MAX])
{
    if (record->kind == ORR__RECORD_FAULT)
        snprintf(who, ORR__WHO_TEXT_MAX, "! %s", orr_fault_family_name(record->family));
    else
        snprintf(who, ORR__WHO_TEXT_MAX, "%.60s",
                 record->kind == ORR__RECORD_FAILED ? "! failed" : record->who);
    return who;
}

static void say_time(uint64_t ns, char time[40])
{
    snprintf(time, 40, "%6" PRIu64 ".%06" PRIu64 " ms  ", ns / ORR_MILLISECOND,
             ns % ORR_MILLISECOND);
}

static void list(const struct orr__timeline *timeline, const struct orr__record *record)
{
    char time[40];
    char who[ORR__WHO_TEXT_MAX];
    char text[ORR__TEXT_MAX];
    say_time(record->time_ns, time);
    fprintf(timeline->out, "%s%-*s %s\n", time, WHO_WIDTH, orr__record_who(record, who),
            orr__record_say(record, text));
}

/* ---- columns --------------------------------------------------------------------------------- */

/* A line being laid out: spaces, until something is put there. */
struct row {
    uint32_t width;
    char cells[ORR__WIDTH_MAX + 1];
};

/* How wide a node's column is, or 0: there is no room for columns. */
static uint32_t column_width(const struct orr__timeline *timeline)
{
    if (timeline->width <= NODE_COLUMN || timeline->count == 0 ||
        timeline->count > ORR__COLUMNS_MAX)
        return 0;
    uint32_t width = (timeline->width - NODE_COLUMN) / timeline->count;
    if (width < COLUMN_MIN)
        return timeline->is_fixed ? 0 : COLUMN_MIN;
    return width < COLUMN_MAX ? width : COLUMN_MAX;
}

static uint32_t column_of(const struct orr__timeline *timeline, uint32_t node)
{
    return NODE_COLUMN + node * column_width(timeline);
}

static void put(struct row *row, uint32_t at, const char *text, uint32_t length)
{
    for (uint32_t i = 0; i < length && at + i < row->width; i++) {
        row->cells[at + i] = text[i];
        if (text[i] >= 0 && text[i] < 0x20)
            row->cells[at + i] = ' ';
    }
}

static void clear(const struct orr__timeline *timeline, struct row *row)
{
    uint32_t needed = column_of(timeline, timeline->count);
    row->width = timeline->is_fixed || timeline->width > needed ? timeline->width : needed;
    memset(row->cells, ' ', sizeof row->cells);
    for (uint32_t i = 0; i < timeline->count; i++)
        if (timeline->nodes[i].is_up)
            put(row, column_of(timeline, i), "|", 1);
}

static void print(const struct orr__timeline *timeline, struct row *row)
{
    uint32_t length = row->width;
    while (length > 0 && row->cells[length - 1] == ' ')
        length--;
    row->cells[length] = '\0';
    fprintf(timeline->out, "%s\n", row->cells);
}

static void print_names(struct orr__timeline *timeline)
{
    struct row row = {.width = 0};
    clear(timeline, &row);
    memset(row.cells, ' ', sizeof row.cells);
    for (uint32_t i = 0; i < timeline->count; i++)
        put(&row, column_of(timeline, i), timeline->nodes[i].name,
            (uint32_t)strnlen(timeline->nodes[i].name, column_width(timeline) - 1));
    print(timeline, &row);
    timeline->is_titled = true;
    timeline->lines = 0;
}

uint32_t orr__text_piece(const char *text, uint32_t room)
{
    uint32_t length = (uint32_t)strlen(text);
    if (length <= room)
        return length;
    uint32_t cut = room;
    while (cut > room / 3 && text[cut] != ' ')
        cut--;
    return text[cut] == ' ' ? cut : room;
}

/* From the node that sent it to the one that has it, where the text leaves room. */
static void draw_arrow(const struct orr__timeline *timeline, struct row *row,
                       const struct orr__record *record, uint32_t text_end)
{
    uint32_t from = column_of(timeline, record->peer);
    uint32_t to = column_of(timeline, record->node);
    if (from < to) {
        memset(row->cells + from + 1, '-', to - from - 2);
        row->cells[to - 1] = '>';
    } else if (text_end + 3 < from) {
        row->cells[text_end + 1] = '<';
        memset(row->cells + text_end + 2, '-', from - text_end - 2);
    }
}

static bool has_arrow(const struct orr__record *record)
{
    return record->kind == ORR__RECORD_ARRIVE && record->peer != record->node;
}

/* The arrow says where a message comes from. */
static void say_arrival(const struct orr__timeline *timeline, const struct orr__record *record,
                        char words[WORDS_MAX])
{
    char number[40];
    char contents[64];
    say_number(record, number);
    say_contents(record, contents);
    int length = snprintf(words, WORDS_MAX, "%s%s", number, contents);
    uint32_t end = column_of(timeline, record->node) + TEXT_INDENT + (uint32_t)length;
    uint32_t from = column_of(timeline, record->peer);
    if (record->peer > record->node && end + 3 >= from)
        snprintf(words, WORDS_MAX, "%s%s < %s", number, contents, record->peer_name);
}

static void say_in_column(const struct orr__timeline *timeline, const struct orr__record *record,
                          char words[WORDS_MAX])
{
    char text[ORR__TEXT_MAX];
    if (has_arrow(record)) {
        say_arrival(timeline, record, words);
        return;
    }
    const char *front = "";
    if (record->kind == ORR__RECORD_FAULT)
        front = orr_fault_family_name(record->family);
    else if (record->kind == ORR__RECORD_BOOT || record->node == ORR__NO_NODE)
        front = record->who;
    if (record->kind == ORR__RECORD_FAILED)
        front = "failed";
    bool marked = record->kind == ORR__RECORD_FAULT || record->kind == ORR__RECORD_FAILED;
    snprintf(words, WORDS_MAX, "%s%s%s%s", marked ? "! " : "", front, *front != '\0' ? " " : "",
             orr__record_say(record, text));
}

/* The program is over, by itself or not. */
static bool ends_life(const struct orr__record *record)
{
    if (record->kind == ORR__RECORD_STOP)
        return true;
    return record->kind == ORR__RECORD_FAULT && record->node != ORR__NO_NODE &&
           (record->family == ORR_FAMILY_POWER_LOSS || record->family == ORR_FAMILY_KILL);
}

static void print_row(const struct orr__timeline *timeline, const struct orr__record *record)
{
    struct row row = {.width = 0};
    char words[WORDS_MAX];
    char time[40];
    uint32_t at = record->node == ORR__NO_NODE ? NODE_COLUMN
                                               : column_of(timeline, record->node) + TEXT_INDENT;
    say_in_column(timeline, record, words);
    say_time(record->time_ns, time);
    clear(timeline, &row);
    put(&row, 0, time, (uint32_t)strlen(time));
    if (ends_life(record))
        put(&row, at - TEXT_INDENT, "x", 1);
    if (at + TEXT_ROOM_MIN > row.width)
        at = row.width > TEXT_ROOM_MIN ? row.width - TEXT_ROOM_MIN : 0;
    const char *rest = words;
    do {
        uint32_t length = orr__text_piece(rest, row.width - at);
        put(&row, at, rest, length);
        if (rest == words && has_arrow(record))
            draw_arrow(timeline, &row, record, at + length);
        else if (rest[length] == '\0' && at + length < row.width)
            row.cells[at + length] = ' ';
        print(timeline, &row);
        rest += length;
        rest += strspn(rest, " ");
        clear(timeline, &row);
    } while (*rest != '\0');
}

/* ---- the recorder ---------------------------------------------------------------------------- */

static void take_note(struct orr__timeline *timeline, const struct orr__record *record)
{
    bool known = record->node < ORR__COLUMNS_MAX;
    if (record->kind == ORR__RECORD_NODE) {
        if (known)
            timeline->nodes[record->node].name = record->who;
        timeline->count++;
        timeline->is_titled = false;
    } else if (known && record->kind == ORR__RECORD_BOOT) {
        timeline->nodes[record->node].is_up = true;
    } else if (known && ends_life(record)) {
        timeline->nodes[record->node].is_up = false;
    }
}

/* While nodes are made and boot, more of them may come, and no column would stay in its place:
 * until one of them does something, what happens is listed. */
static bool needs_names(const struct orr__timeline *timeline, const struct orr__record *record)
{
    if (timeline->is_titled)
        return timeline->lines >= LINES_TITLED;
    return record->kind >= ORR__RECORD_BEGIN && record->kind <= ORR__RECORD_LOSE;
}

static void write_line(struct orr__recorder *recorder, const struct orr__record *record)
{
    struct orr__timeline *timeline = (struct orr__timeline *)(void *)recorder;
    take_note(timeline, record);
    if (record->kind == ORR__RECORD_NODE)
        return;
    bool has_columns = column_width(timeline) > 0;
    if (has_columns && needs_names(timeline, record))
        print_names(timeline);
    if (!has_columns || !timeline->is_titled) {
        list(timeline, record);
        return;
    }
    timeline->lines++;
    print_row(timeline, record);
}

void orr__timeline_open(struct orr__timeline *timeline, FILE *out, uint32_t width, bool is_fixed)
{
    *timeline = (struct orr__timeline){
        .recorder = {.record = write_line, .tells_story = true},
        .out = out,
        .width = width < ORR__WIDTH_MAX ? width : ORR__WIDTH_MAX,
        .is_fixed = is_fixed,
    };
}

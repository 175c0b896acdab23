/*
 * replay_file.c: reads what a replay file says, and answers for it during a run.
 *
 *     scenario kv
 *     parameter bug=ack-before-fsync
 *     seed 3
 *     only                                    # no fault but these:
 *     server/fsync#3 = EIO
 *     client-2->server/segment#17 += 40ms
 *     server/recv#5 = nothing                 # without `only`: this one not
 *     server crash @ after fsync#9            # or kill; or @ 12.5ms
 *     lane op-error/server/fsync#3 = 00ff     # bytes of a fuzzer
 *
 * The model: one pass over the lines, each a few words; the rulings are then sorted by name, for
 * run after run asks for points that are not there. A "#" begins a comment where a line or a word
 * begins. What is wrong is refused with the number of its line; what is right but comes up in no
 * run is told after the run, for names change when programs do.
 */
#include "replay_file.h"

#include "lanes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_BYTES_MAX = 512,
    WORDS_MAX = 6, /* "server crash @ after fsync#9 only" */
};

/* A section of a file: all of it, unless there are futures. */
struct orr__rulings {
    struct orr__ruling *rulings; /* sorted by name */
    size_t count;
    size_t capacity;
    struct orr__appointment *appointments;
    size_t appointment_count;
    uint64_t *cells; /* of lanes */
    size_t cell_count;
    bool only;
    bool same;                 /* the section before goes on to rule */
    struct orr__future ahead;  /* where it ends, ... */
    struct orr__rulings *next; /* ... and what begins there; NULL = nothing does */
};

/* One line under way. */
struct line {
    uint32_t number;
    char *words[WORDS_MAX];
    uint32_t count;
    char text[LINE_BYTES_MAX];
    char *why; /* ORR__WHY_MAX bytes */
};

static bool ORR_PRINTF(2, 3) refuse(const struct line *line, const char *format, ...)
{
    int length = snprintf(line->why, ORR__WHY_MAX, "line %" PRIu32 ": ", line->number);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line->why + length, ORR__WHY_MAX - (size_t)length, format, arguments);
    va_end(arguments);
    return false;
}

static bool no_memory(const struct line *line)
{
    return refuse(line, "no memory");
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the text into words. False if there are too many: no line has so many. */
static bool split(struct line *line)
{
    char *at = line->text;
    line->count = 0;
    while (true) {
        while (is_blank(*at))
            *at++ = '\0';
        if (*at == '\0' || *at == '#')
            break;
        if (line->count == WORDS_MAX)
            return refuse(line, "\"%s\" is one word more than a line can have", at);
        line->words[line->count++] = at;
        while (*at != '\0' && !is_blank(*at))
            at++;
    }
    *at = '\0';
    return true;
}

static bool parse_number(const char *text, const char **ret_end, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_end = at;
    *ret_number = number;
    return at != text;
}

static bool parse_whole(const char *text, uint64_t *ret_number)
{
    const char *end;
    return parse_number(text, &end, ret_number) && *end == '\0';
}

/* "40ms", "1.5s", "250us", "7ns". */
bool orr__replay_time_parse(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ns", 1}, {"us", ORR_MICROSECOND}, {"ms", ORR_MILLISECOND}, {"s", ORR_SECOND}};
    uint64_t whole;
    uint64_t part = 0;
    uint64_t scale = 1;
    const char *at;
    if (!parse_number(text, &at, &whole))
        return false;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9' && scale < ORR_SECOND; at++, scale *= 10)
            part = part * 10 + (uint64_t)(*at - '0');
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(at, units[i].name) != 0)
            continue;
        if (whole > UINT64_MAX / 2 / units[i].ns || scale > units[i].ns)
            return false;
        *ret_ns = whole * units[i].ns + part * (units[i].ns / scale);
        return true;
    }
    return false;
}

uint8_t orr__operation_named(const char *name)
{
    for (uint32_t op = 1; op < ORR_OP_COUNT; op++)
        if (strcmp(orr_op_name((uint8_t)op), name) == 0)
            return (uint8_t)op;
    return 0;
}

static int error_named(const char *name)
{
    enum { ERRORS_END = 4096 };
    for (int error = 1; error < ERRORS_END && name[0] == 'E'; error++)
        if (strcmp(orr_error_name(error), name) == 0)
            return error;
    return 0;
}

/* ---- the size of a fault --------------------------------------------------------------------- */

/* "server/fsync#3" -> "fsync", in `part`; "" without one. */
static void part_of(const char *name, char part[ORR__POINT_NAME_MAX])
{
    const char *slash = strrchr(name, '/');
    snprintf(part, ORR__POINT_NAME_MAX, "%s", slash != NULL ? slash + 1 : "");
    part[strcspn(part, "#")] = '\0';
}

/* "= EIO": which fault that is depends on the error, and on what has it. */
static bool take_error(const struct line *line, struct orr__ruling *ruling, int error)
{
    char part[ORR__POINT_NAME_MAX];
    part_of(ruling->name, part);
    uint8_t op = orr__operation_named(part);
    ruling->size = (uint64_t)error;
    ruling->has_size = true;
    ruling->kind = orr__fault_of_error(error, strcmp(part, "memory") == 0);
    if (strcmp(part, "memory") == 0)
        return ruling->kind == ORR__FAULT_MEMORY ||
               refuse(line, "%s: memory is refused with ENOMEM only", line->words[2]);
    if (op == 0 && strcmp(part, "socket") != 0)
        return refuse(line, "\"%s\" is no operation, so it cannot end with %s", part,
                      line->words[2]);
    if (op != 0 && !orr_op_declares(op, error))
        return refuse(line, "%s never ends with %s", part, line->words[2]);
    return true;
}

static bool take_size(const struct line *line, struct orr__ruling *ruling, const char *text)
{
    bool time = orr__fault_unit(ruling->kind) == ORR__UNIT_TIME;
    if (orr__fault_unit(ruling->kind) == ORR__UNIT_LOSS && strcmp(text, "only") == 0) {
        ruling->size = ORR__LOSS_ONLY;
        ruling->has_size = true;
        return true;
    }
    if (orr__fault_unit(ruling->kind) == ORR__UNIT_LOSS)
        return refuse(line, "\"%s\": expected power-loss, or power-loss only", text);
    if (orr__fault_unit(ruling->kind) == ORR__UNIT_NONE)
        return refuse(line, "\"%s\": this fault has no size", text);
    if (time ? !orr__replay_time_parse(text, &ruling->size) : !parse_whole(text, &ruling->size))
        return refuse(line, "\"%s\" is no %s", text,
                      time ? "time: write 40ms, 1.5s, 250us or 7ns" : "number");
    ruling->has_size = true;
    return true;
}

static bool take_word(const struct line *line, struct orr__ruling *ruling, const char *word)
{
    int error = error_named(word);
    if (error != 0)
        return take_error(line, ruling, error);
    if (strcmp(word, "nothing") == 0) {
        ruling->keeps_off = true;
        return true;
    }
    for (uint64_t value = 0; value < ORR__ASTRAY_COUNT; value++)
        if (strcmp(orr__astray_word(value), word) == 0) {
            ruling->kind = ORR__FAULT_ASTRAY;
            ruling->size = value;
            ruling->has_size = true;
            return true;
        }
    for (uint32_t kind = 0; kind < ORR__FAULT_KIND_COUNT; kind++) {
        const char *known = orr__fault_word((enum orr__fault_kind)kind);
        ruling->kind = (enum orr__fault_kind)kind;
        if (known != NULL && strcmp(known, word) == 0)
            return true;
    }
    return refuse(line,
                  "\"%s\" is no fault: expected an error such as EIO, \"nothing\", or a word "
                  "of the ledger, such as short, reset or power-loss",
                  word);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool grow(void **array, size_t size, size_t count)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return true;
    void *larger = realloc(*array, (count == 0 ? 1 : 2 * count) * size);
    if (larger != NULL)
        *array = larger;
    return larger != NULL;
}

/* NAME#N = WORD [SIZE], NAME#N += TIME */
static bool take_ruling(struct orr__rulings *rulings, const struct line *line)
{
    struct orr__ruling ruling = {.line = line->number};
    const char *number = strrchr(line->words[0], '#');
    uint64_t ignored;
    if (number == NULL || number == line->words[0] || !parse_whole(number + 1, &ignored))
        return refuse(line, "\"%s\": a fault is named like server/fsync#3", line->words[0]);
    if (strlen(line->words[0]) >= sizeof ruling.name)
        return refuse(line, "\"%s\" is longer than any name", line->words[0]);
    memcpy(ruling.name, line->words[0], strlen(line->words[0]) + 1);
    bool later = strcmp(line->words[1], "+=") == 0;
    if (line->count < 3)
        return refuse(line, "after \"%s\" a fault is missing, such as EIO or 40ms", line->words[1]);
    if (later)
        ruling.kind = ORR__FAULT_LONGER;
    else if (!take_word(line, &ruling, line->words[2]))
        return false;
    uint32_t used = later ? 2 : 3;
    if (line->count > used + 1)
        return refuse(line, "\"%s\" is too much", line->words[used + 1]);
    if (line->count > used && (ruling.keeps_off || !take_size(line, &ruling, line->words[used])))
        return ruling.keeps_off ? refuse(line, "\"%s\" is too much", line->words[used]) : false;
    if (rulings == NULL)
        return true;
    if (!grow((void **)&rulings->rulings, sizeof ruling, rulings->count))
        return no_memory(line);
    rulings->rulings[rulings->count++] = ruling;
    return true;
}

/* "fsync#9" */
static bool take_operation(const struct line *line, struct orr__appointment *appointment,
                           char *text)
{
    char *number = strchr(text, '#');
    if (number == NULL || !parse_whole(number + 1, &appointment->occurrence))
        return refuse(line, "\"%s\": expected an operation and its number, such as fsync#9", text);
    *number = '\0';
    appointment->op = orr__operation_named(text);
    if (appointment->op == 0)
        return refuse(line, "no operation is called \"%s\"; a trace has their names", text);
    return true;
}

/* NODE crash|kill @ after OP#N, NODE crash|kill @ TIME; behind a crash: only */
static bool take_appointment(struct orr__rulings *rulings, const struct line *line)
{
    struct orr__appointment appointment = {.line = line->number};
    bool after = line->count > 3 && strcmp(line->words[3], "after") == 0;
    if (strlen(line->words[0]) > ORR_NODE_NAME_MAX)
        return refuse(line, "\"%s\" is longer than a node's name", line->words[0]);
    memcpy(appointment.node, line->words[0], strlen(line->words[0]) + 1);
    appointment.crash = strcmp(line->words[1], "crash") == 0 ? ORR_CRASH_POWER : ORR_CRASH_PROCESS;
    uint32_t count = after ? 5 : 4;
    appointment.loses_only = appointment.crash == ORR_CRASH_POWER && line->count == count + 1 &&
                             strcmp(line->words[count], "only") == 0;
    if (line->count != count + appointment.loses_only || strcmp(line->words[2], "@") != 0)
        return refuse(line, "expected %s %s @ after OPERATION#N, or @ TIME%s", line->words[0],
                      line->words[1],
                      appointment.crash == ORR_CRASH_POWER ? "; only may follow" : "");
    if (after && !take_operation(line, &appointment, line->words[4]))
        return false;
    if (!after && !orr__replay_time_parse(line->words[3], &appointment.time_ns))
        return refuse(line, "\"%s\" is no time: write 40ms, 1.5s, 250us or 7ns", line->words[3]);
    if (rulings == NULL)
        return true;
    if (!grow((void **)&rulings->appointments, sizeof appointment, rulings->appointment_count))
        return no_memory(line);
    rulings->appointments[rulings->appointment_count++] = appointment;
    return true;
}

/* A digit that strspn has seen to be one. */
static uint8_t digit_of(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool take_cell(struct orr__rulings *rulings, struct orr__replay_head *head,
                      const struct line *line, uint64_t cell)
{
    if (head->cell_count < head->cells_max)
        head->cells[head->cell_count] = cell;
    head->cell_count++;
    if (rulings == NULL)
        return true;
    if (!grow((void **)&rulings->cells, sizeof cell, rulings->cell_count))
        return no_memory(line);
    rulings->cells[rulings->cell_count++] = cell;
    return true;
}

/* lane NAME#N = HEX */
static bool take_lane(struct orr__rulings *rulings, struct orr__replay_head *head,
                      const struct line *line)
{
    const char *form = "expected lane NAME#N = BYTES, such as lane op-error/server/fsync#3 = 00ff";
    char *number = line->count == 4 ? strrchr(line->words[1], '#') : NULL;
    uint64_t place;
    if (head->future_count > 0)
        return refuse(line, "lane: in a future its seed answers alone; lanes stand above it");
    if (number == NULL || strcmp(line->words[2], "=") != 0 || !parse_whole(number + 1, &place))
        return refuse(line, "%s", form);
    *number = '\0';
    uint32_t lane = orr__lane_named(line->words[1]);
    const char *bytes = line->words[3];
    size_t count = strlen(bytes) / 2;
    if (lane == 0)
        return refuse(line, "no lane is called \"%s\": its first part is a site, such as op-error",
                      line->words[1]);
    if (strlen(bytes) % 2 != 0 || strspn(bytes, "0123456789abcdef") != strlen(bytes))
        return refuse(line, "\"%s\": bytes are pairs of digits from 0 to 9 and a to f", bytes);
    if (place >= ORR__PLACE_END || count > ORR__PLACE_END - place)
        return refuse(line, "place %" PRIu64 ": a lane ends at place %d", place,
                      ORR__PLACE_END - 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)(digit_of(bytes[2 * i]) * 16 + digit_of(bytes[2 * i + 1]));
        uint64_t cell = orr__cell(lane, (uint32_t)(place + i), byte);
        if (!take_cell(rulings, head, line, cell))
            return false;
    }
    return true;
}

static bool take_parameter(struct orr__replay_head *head, const struct line *line)
{
    const char *text = line->words[1];
    size_t length = strcspn(text, "=");
    if (length == 0 || text[length] == '\0')
        return refuse(line, "\"%s\": expected NAME=VALUE", text);
    if (head->parameter_count == ORR__REPLAY_PARAMETERS_MAX)
        return refuse(line, "no more than %d parameters", ORR__REPLAY_PARAMETERS_MAX);
    if (length >= sizeof head->parameters[0].name ||
        strlen(text) >= sizeof head->parameters[0].text)
        return refuse(line, "\"%s\" is longer than a parameter may be", text);
    memcpy(head->parameters[head->parameter_count].name, text, length);
    head->parameters[head->parameter_count].name[length] = '\0';
    memcpy(head->parameters[head->parameter_count++].text, text, strlen(text) + 1);
    return true;
}

static bool take_scenario(struct orr__replay_head *head, const struct line *line)
{
    if (head->scenario[0] != '\0')
        return refuse(line, "a second scenario: a file is one run");
    if (strlen(line->words[1]) >= sizeof head->scenario)
        return refuse(line, "\"%s\" is longer than a scenario's name", line->words[1]);
    memcpy(head->scenario, line->words[1], strlen(line->words[1]) + 1);
    return true;
}

static bool take_seed(struct orr__replay_head *head, const struct line *line)
{
    if (head->has_seed)
        return refuse(line, "a second seed: a file is one run");
    if (!parse_whole(line->words[1], &head->seed))
        return refuse(line, "\"%s\" is no seed: a number from 0 to 18446744073709551615",
                      line->words[1]);
    head->has_seed = true;
    return true;
}

/* "scenario", "parameter", "seed": two words. */
static bool is_head(const struct line *line)
{
    return strcmp(line->words[0], "scenario") == 0 || strcmp(line->words[0], "parameter") == 0 ||
           strcmp(line->words[0], "seed") == 0;
}

static bool take_head(struct orr__replay_head *head, const struct line *line)
{
    if (line->count != 2)
        return refuse(line, "expected %s and one word", line->words[0]);
    if (line->words[0][1] == 'c')
        return take_scenario(head, line);
    return line->words[0][0] == 'p' ? take_parameter(head, line) : take_seed(head, line);
}

/* "check TEXT": the text is the rest of the line, whatever it is. */
static bool take_check(struct orr__replay_head *head, const struct line *line)
{
    const char *text = line->text + strspn(line->text, " \t") + sizeof "check" - 1;
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    if (length == 0 || length >= sizeof head->check)
        return refuse(line, "expected check and its text, of at most %zu bytes",
                      sizeof head->check - 1);
    memcpy(head->check, text, length);
    head->check[length] = '\0';
    return true;
}

static bool begins_check(const char *text)
{
    text += strspn(text, " \t");
    return strncmp(text, "check", 5) == 0 && is_blank(text[5]);
}

/* A word of one digit or more. */
static size_t digits_of(const char *text)
{
    size_t length = strspn(text, "0123456789");
    return length > 0 && is_blank(text[length]) ? length : 0;
}

static bool begins_future(const char *text)
{
    text += strspn(text, " \t");
    return strncmp(text, "future", 6) == 0 && is_blank(text[6]) &&
           digits_of(text + 6 + strspn(text + 6, " \t")) > 0;
}

/* Cuts off a comment, and blanks at the end. */
static void trim(char *text)
{
    size_t length = 0;
    while (text[length] != '\0' &&
           !(text[length] == '#' && length > 0 && is_blank(text[length - 1])))
        length++;
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    text[length] = '\0';
}

/* "future SEED from INSTANT": the instant is the rest of the line. */
static bool read_future(struct line *line, struct orr__future *future)
{
    char *number = line->text + strspn(line->text, " \t") + sizeof "future" - 1;
    number += strspn(number, " \t");
    char *from = number + digits_of(number);
    from += strspn(from, " \t");
    number[digits_of(number)] = '\0';
    if (!parse_whole(number, &future->seed))
        return refuse(line, "\"%s\" is no seed: a number from 0 to 18446744073709551615", number);
    if (strncmp(from, "from", 4) != 0 || !is_blank(from[4]))
        return refuse(line, "expected future SEED from INSTANT");
    from += 4;
    from += strspn(from, " \t");
    trim(from);
    future->line = line->number;
    return orr__instant_parse(from, &future->instant) ||
           refuse(line, "\"%.60s\" is not " ORR__INSTANT_WANTED, from);
}

/* Ends the section, and begins the next. */
static bool take_future(struct orr__rulings **rulings, struct orr__replay_head *head,
                        struct line *line)
{
    struct orr__future future = {.seed = 0};
    if (!read_future(line, &future))
        return false;
    if (head->future_count == ORR__REPLAY_FUTURES_MAX)
        return refuse(line, "no more than %d futures", ORR__REPLAY_FUTURES_MAX);
    head->future_count++;
    head->future_seed = future.seed;
    if (*rulings == NULL)
        return true;
    (*rulings)->next = calloc(1, sizeof **rulings);
    if ((*rulings)->next == NULL)
        return no_memory(line);
    (*rulings)->ahead = future;
    *rulings = (*rulings)->next;
    return true;
}

/* "only", "same": a word alone. */
static bool take_mode(struct orr__rulings *rulings, const struct orr__replay_head *head,
                      const struct line *line)
{
    bool same = line->words[0][0] == 's';
    if (same && head->future_count == 0)
        return refuse(line, "same: as what? There is no line \"future SEED from INSTANT\" above");
    if (rulings == NULL)
        return true;
    rulings->same = rulings->same || same;
    rulings->only = rulings->only || !same;
    if (rulings->same && (rulings->only || rulings->count + rulings->appointment_count > 0))
        return refuse(line, "same, and something else: what rules from this instant on?");
    return true;
}

static bool is_mode(const struct line *line)
{
    return line->count == 1 &&
           (strcmp(line->words[0], "only") == 0 || strcmp(line->words[0], "same") == 0);
}

static bool take_line(struct orr__rulings **section, struct orr__replay_head *head,
                      struct line *line)
{
    if (begins_check(line->text))
        return take_check(head, line);
    if (begins_future(line->text))
        return take_future(section, head, line);
    struct orr__rulings *rulings = *section;
    if (!split(line))
        return false;
    if (line->count == 0)
        return true;
    const char *second = line->count > 1 ? line->words[1] : "";
    if (is_mode(line))
        return take_mode(rulings, head, line);
    if (rulings != NULL && rulings->same && !is_head(line))
        return refuse(line, "same, and something else: what rules from this instant on?");
    if (strcmp(second, "=") == 0 || strcmp(second, "+=") == 0)
        return take_ruling(rulings, line);
    if (strcmp(second, "crash") == 0 || strcmp(second, "kill") == 0)
        return take_appointment(rulings, line);
    if (strcmp(line->words[0], "lane") == 0)
        return take_lane(rulings, head, line);
    if (is_head(line))
        return take_head(head, line);
    return refuse(line,
                  "\"%s\": expected scenario, parameter, seed, check, only, lane, future, NODE "
                  "crash @ ..., or a fault such as server/fsync#3 = EIO",
                  line->words[0]);
}

/* ---- the whole file -------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct orr__ruling *one = a;
    const struct orr__ruling *two = b;
    int order = strcmp(one->name, two->name);
    if (order != 0)
        return order;
    if (one->kind != two->kind)
        return one->kind < two->kind ? -1 : 1;
    return one->line < two->line ? -1 : one->line > two->line;
}

/* "= nothing" beside a fault of the same name. Two lines of one fault are no contradiction: a point
 * can come up twice, and then each has its turn. */
static bool check_doubles(const struct orr__rulings *rulings, char why[ORR__WHY_MAX])
{
    for (size_t i = 1; i < rulings->count; i++) {
        const struct orr__ruling *a = &rulings->rulings[i - 1];
        const struct orr__ruling *b = &rulings->rulings[i];
        if (strcmp(a->name, b->name) != 0 || (!a->keeps_off && !b->keeps_off))
            continue;
        snprintf(why, ORR__WHY_MAX, "line %" PRIu32 ": line %" PRIu32 " says otherwise of %s",
                 a->line > b->line ? a->line : b->line, a->line > b->line ? b->line : a->line,
                 a->name);
        return false;
    }
    return true;
}

static bool take_lines(struct orr__rulings *rulings, const char *text,
                       struct orr__replay_head *head, char why[ORR__WHY_MAX])
{
    struct line line = {.why = why};
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        line.number++;
        if (length >= sizeof line.text)
            return refuse(&line, "longer than %d bytes", LINE_BYTES_MAX - 1);
        memcpy(line.text, text, length);
        line.text[length] = '\0';
        if (!take_line(&rulings, head, &line))
            return false;
        text += length + (text[length] == '\n' ? 1 : 0);
    }
    return true;
}

struct orr__rulings *orr__rulings_parse(const char *text, char why[ORR__WHY_MAX])
{
    struct orr__replay_head head = {.seed = 0};
    struct orr__rulings *rulings = calloc(1, sizeof *rulings);
    if (rulings == NULL) {
        snprintf(why, ORR__WHY_MAX, "no memory");
        return NULL;
    }
    bool right = take_lines(rulings, text, &head, why);
    for (struct orr__rulings *section = rulings; right && section != NULL;
         section = section->next) {
        if (section->count > 1)
            qsort(section->rulings, section->count, sizeof *section->rulings, by_name);
        right = check_doubles(section, why);
    }
    if (right)
        return rulings;
    orr__rulings_free(rulings);
    return NULL;
}

bool orr__replay_head_parse(const char *text, struct orr__replay_head *ret_head,
                            char why[ORR__WHY_MAX])
{
    *ret_head =
        (struct orr__replay_head){.cells = ret_head->cells, .cells_max = ret_head->cells_max};
    return take_lines(NULL, text, ret_head, why);
}

void orr__rulings_free(struct orr__rulings *rulings)
{
    while (rulings != NULL) {
        struct orr__rulings *next = rulings->next;
        free(rulings->rulings);
        free(rulings->appointments);
        free(rulings->cells);
        free(rulings);
        rulings = next;
    }
}

struct orr__future *orr__rulings_future(struct orr__rulings *section)
{
    return section->next != NULL ? &section->ahead : NULL;
}

struct orr__rulings *orr__rulings_next(const struct orr__rulings *section)
{
    return section->next;
}

bool orr__rulings_same(const struct orr__rulings *section)
{
    return section->same;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The first ruling with that name, or where it would be. */
static size_t first_named(const struct orr__rulings *rulings, const char *name)
{
    size_t low = 0;
    size_t high = rulings->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(rulings->rulings[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The next ruling from `i` on that speaks of the point, or NULL. */
static struct orr__ruling *next_of(const struct orr__rulings *rulings, size_t i, const char *name,
                                   enum orr__fault_kind kind)
{
    for (; i < rulings->count && strcmp(rulings->rulings[i].name, name) == 0; i++)
        if (rulings->rulings[i].kind == kind || rulings->rulings[i].keeps_off)
            return &rulings->rulings[i];
    return NULL;
}

const struct orr__ruling *orr__rulings_find(struct orr__rulings *rulings,
                                            const struct orr__point *point)
{
    char name[ORR__POINT_NAME_MAX];
    orr__point_name(point, name);
    struct orr__ruling *ruling = next_of(rulings, first_named(rulings, name), name, point->kind);
    if (ruling != NULL)
        ruling->is_used = true;
    return ruling;
}

const struct orr__ruling *orr__rulings_take_size(struct orr__rulings *rulings,
                                                 const struct orr__point *point)
{
    char name[ORR__POINT_NAME_MAX];
    orr__point_name(point, name);
    struct orr__ruling *ruling = next_of(rulings, first_named(rulings, name), name, point->kind);
    while (ruling != NULL && ruling->is_spent) {
        struct orr__ruling *next =
            next_of(rulings, (size_t)(ruling - rulings->rulings) + 1, name, point->kind);
        if (next == NULL)
            break; /* the last one counts for all that follow */
        ruling = next;
    }
    if (ruling != NULL)
        ruling->is_used = ruling->is_spent = true;
    return ruling;
}

const uint64_t *orr__rulings_cells(const struct orr__rulings *rulings, size_t *ret_count)
{
    *ret_count = rulings != NULL ? rulings->cell_count : 0;
    return rulings != NULL ? rulings->cells : NULL;
}

bool orr__rulings_only(const struct orr__rulings *rulings)
{
    return rulings->only;
}

void orr__rulings_appoint(struct orr__rulings *rulings, const char *node,
                          void (*visit)(void *context, struct orr__appointment *appointment),
                          void *context)
{
    for (size_t i = 0; i < rulings->appointment_count; i++)
        if (strcmp(rulings->appointments[i].node, node) == 0)
            visit(context, &rulings->appointments[i]);
}

/* In the order of the lines; a file has few. */
void orr__rulings_tell_unused(const struct orr__rulings *rulings, FILE *out)
{
    for (uint32_t line = 0; line != UINT32_MAX;) {
        uint32_t next = UINT32_MAX;
        const char *name = NULL;
        for (size_t i = 0; i < rulings->count; i++)
            if (!rulings->rulings[i].is_used && rulings->rulings[i].line > line &&
                rulings->rulings[i].line < next) {
                next = rulings->rulings[i].line;
                name = rulings->rulings[i].name;
            }
        for (size_t i = 0; i < rulings->appointment_count; i++)
            if (!rulings->appointments[i].is_used && rulings->appointments[i].line > line &&
                rulings->appointments[i].line < next) {
                next = rulings->appointments[i].line;
                name = rulings->appointments[i].node;
            }
        if (name != NULL)
            fprintf(out, "unused: line %" PRIu32 ": %s did not come up in this run\n", next, name);
        line = next;
    }
}

/*
 * explain.c: what each fault of a failing run is needed for.
 *
 * The model: the run is run again without one of its faults, for each of them, and compared with
 * the failing one event by event (parting.c). Where the two part is where the fault makes its
 * difference; what becomes of the other run tells whether it is needed.
 *
 *     with    ---o---o---o---x---o---o---o  fails
 *     without ---o---o---o---.--o--o---o--  passes
 *                        ^ the last event that is the same in both
 *
 * A seed is shrunk first: of the fifty faults of a run a reader learns nothing. All runs come
 * before the first word, so that the statement can stand first. Memory is laid out before them, see
 * campaign.h; the result lies in a mapping of its own.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "json.h"

#include "sim/replay_file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEMS_MAX = 64, /* more faults are no explanation */
    WIDTH_DEFAULT = 100,
    WIDTH_LEAST = 60,
    TIME_COLUMN = 18, /* "   12.345678 ms   " */
    GAP = 3,          /* " | " */
    NAME_BYTES_MAX = 512,
    TIME_BYTES_MAX = 48,
    MOMENT_BYTES_MAX = sizeof((struct orr__moment *)NULL)->who + ORR__PARTING_WORDS + 2,
};

/* A fault of the run: what a line of the file says, or several of one point. */
struct item {
    char name[NAME_BYTES_MAX]; /* as for --without */
    char text[NAME_BYTES_MAX];
    uint32_t lines;
    bool is_appointment;
    struct orr__parting parting;
    struct orr_outcome outcome; /* of the run without it */
    enum orr__cause cause;
    bool is_same; /* it fails as with it */
};

struct explain {
    struct orr__command *command;
    const char *file; /* the replay file */
    struct orr__nursery nursery;
    struct orr__result *result; /* of the run under way */
    struct orr_outcome outcome; /* of the failing run */
    enum orr__cause cause;
    char group[ORR__LINE_MAX];
    char *events_with;
    char *events_without;
    uint32_t item_count;
    uint32_t items_lost; /* beyond ITEMS_MAX */
    struct item items[ITEMS_MAX];
    const char *texts[ITEMS_MAX]; /* the file without each of them */
    struct orr__progress progress;
    uint64_t begin_ns;
    char path[ORR__PATH_MAX_BYTES];
};

/* ---- which faults ---------------------------------------------------------------------------- */

static struct item *find_item(struct explain *explain, const struct orr__fault_line *line)
{
    for (uint32_t i = 0; i < explain->item_count; i++)
        if (orr__fault_line_is(line, explain->items[i].name))
            return &explain->items[i];
    return NULL;
}

static void add_item(struct explain *explain, const struct orr__fault_line *line)
{
    struct item *item = find_item(explain, line);
    if (item == NULL && explain->item_count == ITEMS_MAX) {
        explain->items_lost++;
        return;
    }
    if (item == NULL) {
        item = &explain->items[explain->item_count++];
        item->is_appointment = line->is_appointment;
        snprintf(item->name, sizeof item->name, "%.*s", (int)line->name_length, line->text);
        snprintf(item->text, sizeof item->text, "%.*s", (int)line->text_length, line->text);
    }
    item->lines++;
}

/* Those that struck, by their recorded lines; of an appointed crash the file's line stands for it.
 */
static void take_items(struct explain *explain, const char *recorded)
{
    struct orr__fault_line line;
    const char *at = recorded;
    while (orr__fault_line_next(&at, &line))
        if (line.comment != NULL && !orr__fault_line_is_appointed(&line))
            add_item(explain, &line);
    at = explain->command->job.faults;
    while (orr__fault_line_next(&at, &line))
        if (line.is_appointment)
            add_item(explain, &line);
}

/* What the line of the fault begins with among the events. */
static void mark_of(const struct item *item, char mark[NAME_BYTES_MAX])
{
    if (item->is_appointment)
        snprintf(mark, NAME_BYTES_MAX, "%.*s/appointed#", (int)strcspn(item->name, " \t"),
                 item->name);
    else
        snprintf(mark, NAME_BYTES_MAX, "%.*s ", NAME_BYTES_MAX - 2, item->name);
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void show_progress(struct explain *explain, uint32_t item)
{
    char text[80];
    snprintf(text, sizeof text, "run %u of %u", item + 1, explain->item_count);
    orr__progress_text(&explain->progress, text, orr__clock_ns() - explain->begin_ns);
}

/* The failing run, for its faults. */
static int run_recorded(struct explain *explain)
{
    struct orr__job job = explain->command->job;
    char *recorded;
    size_t bytes;
    job.record = explain->path;
    int status =
        orr__nursery_run(&explain->nursery, &job, explain->command->seed_first, explain->result);
    int taken = orr__private_take(explain->path, &recorded, &bytes);
    if (status < 0 || taken < 0)
        return status < 0 ? status : taken;
    const struct orr__result *result = explain->result;
    explain->outcome = result->outcome;
    explain->cause = result->cause;
    memcpy(explain->group, result->group, sizeof explain->group);
    if (!result->outcome.failed)
        return -ENOENT;
    if (!orr__replay_file_expects(explain->command, result->outcome.check))
        return -ESTALE;
    take_items(explain, recorded);
    return 0;
}

static int run_with_events(struct explain *explain, const char *faults, char *events)
{
    struct orr__job job = explain->command->job;
    job.faults = faults;
    job.recorders = orr__events_recorder();
    int status = orr__events_begin(explain->path);
    if (status < 0)
        return status;
    status =
        orr__nursery_run(&explain->nursery, &job, explain->command->seed_first, explain->result);
    int taken = orr__events_end(explain->path, events);
    return status < 0 ? status : taken;
}

static int run_without(struct explain *explain, struct item *item, const char *faults)
{
    char mark[NAME_BYTES_MAX];
    const struct orr__result *result = explain->result;
    int status = run_with_events(explain, faults, explain->events_without);
    if (status < 0)
        return status;
    mark_of(item, mark);
    orr__parting_find(explain->events_with, explain->events_without, mark, &item->parting);
    item->outcome = result->outcome;
    item->cause = result->cause;
    item->is_same = orr__group_has(explain->cause, explain->group, result);
    return 0;
}

static int work(struct explain *explain)
{
    int status = run_recorded(explain);
    for (uint32_t i = 0; i < explain->item_count && status == 0; i++) {
        explain->texts[i] =
            orr__faults_without(explain->command->job.faults, explain->items[i].name);
        status = explain->texts[i] != NULL ? 0 : -ENOMEM;
    }
    if (status == 0 && explain->item_count > 0)
        status = run_with_events(explain, explain->command->job.faults, explain->events_with);
    for (uint32_t i = 0; i < explain->item_count && status == 0; i++) {
        show_progress(explain, i);
        status = run_without(explain, &explain->items[i], explain->texts[i]);
    }
    return status;
}

/* ---- in words -------------------------------------------------------------------------------- */

static uint32_t count_needed(const struct explain *explain)
{
    uint32_t needed = 0;
    for (uint32_t i = 0; i < explain->item_count; i++)
        needed += !explain->items[i].is_same;
    return needed;
}

static void say_time(uint64_t ns, char time[TIME_BYTES_MAX])
{
    snprintf(time, TIME_BYTES_MAX, "%" PRIu64 ".%06" PRIu64 " ms", ns / ORR_MILLISECOND,
             ns % ORR_MILLISECOND);
}

/* " (3 lines)", where several lines are about one point. */
static void print_fault(const struct item *item)
{
    char time[TIME_BYTES_MAX];
    fputs(item->text, stdout);
    if (item->lines > 1)
        printf(" (and %u more line%s of this name)", item->lines - 1, ORR__S(item->lines - 1));
    if (!item->parting.strikes)
        return;
    say_time(item->parting.strikes_ns, time);
    printf(", at %s", time);
}

static void print_statement(const struct explain *explain)
{
    const struct orr_outcome *outcome = &explain->outcome;
    uint32_t needed = count_needed(explain);
    printf("%s: seed %" PRIu64 " fails%s: ", explain->file, outcome->seed,
           explain->cause == ORR__CAUSE_CHECK ? " the check" : "");
    orr__text_indent(stdout, outcome->check, strlen(outcome->check), "");
    orr__text_indent(stdout, outcome->detail, strcspn(outcome->detail, "\n"), "  ");
    if (explain->item_count == 0)
        puts("it needs no fault: it fails by itself");
    else if (needed == explain->item_count)
        printf("it needs %s:\n", needed == 1 ? "this fault" : "each of these faults");
    else
        printf("it needs %u of these %u faults; without any other one it still fails so:\n", needed,
               explain->item_count);
    for (uint32_t i = 0; i < explain->item_count; i++) {
        printf("  %u. ", i + 1);
        print_fault(&explain->items[i]);
        puts(explain->items[i].is_same ? " (not needed)" : "");
    }
}

/* Of each of the two columns behind the time. */
static uint32_t column_width(void)
{
    uint32_t width = orr__trace_width();
    if (width == 0)
        width = WIDTH_DEFAULT;
    if (width < WIDTH_LEAST)
        width = WIDTH_LEAST;
    return (width - TIME_COLUMN - GAP) / 2;
}

/* A text being laid out in a column: what is left of it, and how far it is indented. */
struct column {
    const char *rest;
    uint32_t indent;
};

/* The next line of it; what goes on is indented. Returns how wide it is. */
static uint32_t print_piece(struct column *column, uint32_t width)
{
    enum { INDENT = 2 };
    if (*column->rest == '\0')
        return 0;
    uint32_t length = orr__text_piece(column->rest, width - column->indent);
    uint32_t shown = length;
    while (shown > 0 && column->rest[shown - 1] == ' ')
        shown--;
    printf("%*s%.*s", (int)column->indent, "", (int)shown, column->rest);
    shown += column->indent;
    column->rest += length;
    column->rest += strspn(column->rest, " ");
    column->indent = INDENT;
    return shown;
}

/* One event of each run, or of one of them: the other text is "". */
static void print_row(uint32_t width, const char *time, const char *with, const char *without)
{
    struct column left = {.rest = with};
    struct column right = {.rest = without};
    do {
        printf("%-*s", TIME_COLUMN, time);
        uint32_t used = print_piece(&left, width);
        printf("%*s |%s", (int)(width - used), "", *right.rest != '\0' ? " " : "");
        print_piece(&right, width);
        putchar('\n');
        time = "";
    } while (*left.rest != '\0' || *right.rest != '\0');
}

static void say_moment(const struct orr__moment *moment, char time[TIME_BYTES_MAX],
                       char text[MOMENT_BYTES_MAX])
{
    snprintf(time, TIME_BYTES_MAX, "%6" PRIu64 ".%06" PRIu64 " ms",
             moment->time_ns / ORR_MILLISECOND, moment->time_ns % ORR_MILLISECOND);
    bool is_node = moment->who[0] != '!' && moment->who[0] != '(';
    snprintf(text, MOMENT_BYTES_MAX, "%s%s%s", moment->who, is_node ? ": " : " ", moment->text);
}

static uint64_t count_skipped(const struct orr__moment *moment)
{
    return moment->skipped_both + moment->skipped_with + moment->skipped_without;
}

/* "  ... 12 the same in both, 3 more with it". */
static void print_skipped(const struct orr__moment *moment)
{
    const char *separator = " ";
    if (count_skipped(moment) == 0)
        return;
    fputs("           ...", stdout);
    if (moment->skipped_both > 0) {
        printf("%s%" PRIu64 " the same in both", separator, moment->skipped_both);
        separator = ", ";
    }
    if (moment->skipped_with > 0) {
        printf("%s%" PRIu64 " more with it", separator, moment->skipped_with);
        separator = ", ";
    }
    if (moment->skipped_without > 0)
        printf("%s%" PRIu64 " more without it", separator, moment->skipped_without);
    putchar('\n');
}

static void print_common(const struct orr__parting *parting)
{
    char time[TIME_BYTES_MAX];
    char text[MOMENT_BYTES_MAX];
    if (parting->common == 0)
        puts("  they part with the first event");
    else
        printf("  the same in both: %" PRIu64 " event%s, the last\n", parting->common,
               ORR__S(parting->common));
    for (uint32_t i = 0; i < parting->last_count; i++) {
        say_moment(&parting->last[i], time, text);
        printf("%-*s%s\n", TIME_COLUMN, time, text);
    }
}

/* True if the next event is of the other run and at the same time: both stand in one row. A fault
 * stands alone: its other side is what comes of it. */
static bool is_pair(const struct orr__parting *parting, uint32_t at)
{
    const struct orr__moment *first = &parting->moments[at];
    const struct orr__moment *second = first + 1;
    return at + 1 < parting->moment_count && !first->is_without && second->is_without &&
           first->time_ns == second->time_ns && first->who[0] != '!' && count_skipped(second) == 0;
}

static void print_parting(const struct orr__parting *parting)
{
    uint32_t width = column_width();
    char time[TIME_BYTES_MAX];
    char texts[2][MOMENT_BYTES_MAX];
    print_common(parting);
    print_row(width, "  here they part", "with the fault", "without it");
    for (uint32_t i = 0; i < parting->moment_count; i++) {
        const struct orr__moment *moment = &parting->moments[i];
        texts[0][0] = texts[1][0] = '\0';
        print_skipped(moment);
        say_moment(moment, time, texts[moment->is_without]);
        if (is_pair(parting, i))
            say_moment(&parting->moments[++i], time, texts[1]);
        print_row(width, time, texts[0], texts[1]);
    }
}

/* "fails: every acknowledged write survives, at 529.621939 ms". */
static void say_end(const struct orr_outcome *outcome, char *text, size_t size)
{
    char time[TIME_BYTES_MAX];
    say_time(outcome->simulated_ns, time);
    snprintf(text, size, "%s%.*s%s%s", outcome->failed ? "fails: " : "passes", ORR__LINE_MAX,
             outcome->failed ? outcome->check : "", outcome->simulated_ns > 0 ? ", at " : "",
             outcome->simulated_ns > 0 ? time : "");
}

static void print_ends(const struct explain *explain, const struct item *item)
{
    char text[ORR__PARTING_WORDS];
    say_end(&explain->outcome, text, sizeof text);
    fputs("  with it     ", stdout);
    orr__text_indent(stdout, text, strlen(text), "");
    say_end(&item->outcome, text, sizeof text);
    fputs("  without it  ", stdout);
    orr__text_indent(stdout, text, strlen(text), "");
    if (item->is_same)
        printf("              still fails so: the set is not minimal; shrink it\n");
    else if (item->outcome.failed)
        puts("              another failure: this one does need the fault");
}

static void write_command(const struct explain *explain, const struct item *item, FILE *out)
{
    const struct orr__command *command = explain->command;
    orr__command_of_file(out, command, explain->file);
    orr__command_parameters(out, command);
    fputs(command->replay_tail, out);
    if (item == NULL)
        return;
    fputs(" --without ", out);
    orr__text_quote(out, item->name);
}

static void print_item(const struct explain *explain, uint32_t number)
{
    const struct item *item = &explain->items[number];
    printf("\n%u. ", number + 1);
    print_fault(item);
    putchar('\n');
    if (item->parting.part)
        print_parting(&item->parting);
    else
        printf("  the same in both: all %" PRIu64 " events that were compared\n",
               item->parting.common);
    print_ends(explain, item);
    fputs("  replay: ", stdout);
    write_command(explain, item, stdout);
    putchar('\n');
}

static void tell(const struct explain *explain)
{
    print_statement(explain);
    for (uint32_t i = 0; i < explain->item_count; i++)
        print_item(explain, i);
    if (count_needed(explain) < explain->item_count) {
        fputs("\nnot minimal; shrink it: ", stdout);
        orr__text_quote(stdout, explain->command->program);
        fputs(" shrink ", stdout);
        orr__text_quote(stdout, explain->file);
        orr__command_parameters(stdout, explain->command);
        puts(explain->command->replay_tail);
    }
    fputs("\nwith all of them\n  replay: ", stdout);
    write_command(explain, NULL, stdout);
    putchar('\n');
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static json_t *command_string(const struct explain *explain, const struct item *item)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return json_string("");
    write_command(explain, item, out);
    fclose(out);
    json_t *string = orr__json_text(text);
    free(text);
    return string;
}

static json_t *moment_object(const struct orr__moment *moment)
{
    json_t *object = json_object();
    json_object_set_new(object, "time_ns", orr__json_number(moment->time_ns));
    json_object_set_new(object, "who", orr__json_text(moment->who));
    json_object_set_new(object, "event", orr__json_text(moment->text));
    return object;
}

static json_t *side_array(const struct orr__parting *parting, bool is_without)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < parting->moment_count; i++)
        if (parting->moments[i].is_without == is_without)
            json_array_append_new(array, moment_object(&parting->moments[i]));
    return array;
}

static json_t *end_object(const struct orr_outcome *outcome, enum orr__cause cause)
{
    json_t *object = json_object();
    json_object_set_new(object, "failed", json_boolean(outcome->failed));
    json_object_set_new(object, "simulated_ns", orr__json_number(outcome->simulated_ns));
    if (!outcome->failed)
        return object;
    json_object_set_new(object, "cause", json_string(orr__cause_name(cause)));
    json_object_set_new(object, "check", orr__json_text(outcome->check));
    json_object_set_new(object, "detail", orr__json_text(outcome->detail));
    return object;
}

static json_t *item_object(const struct explain *explain, const struct item *item)
{
    const struct orr__parting *parting = &item->parting;
    json_t *object = json_object();
    json_t *last = json_array();
    for (uint32_t i = 0; i < parting->last_count; i++)
        json_array_append_new(last, moment_object(&parting->last[i]));
    json_object_set_new(object, "fault", orr__json_text(item->text));
    json_object_set_new(object, "needed", json_boolean(!item->is_same));
    if (parting->strikes)
        json_object_set_new(object, "strikes_ns", orr__json_number(parting->strikes_ns));
    json_object_set_new(object, "common_events", orr__json_number(parting->common));
    json_object_set_new(object, "last", last);
    json_object_set_new(object, "with", side_array(parting, false));
    json_object_set_new(object, "without", side_array(parting, true));
    json_object_set_new(object, "end_without", end_object(&item->outcome, item->cause));
    json_object_set_new(object, "replay_without", command_string(explain, item));
    return object;
}

static void tell_json(const struct explain *explain)
{
    json_t *object = json_object();
    json_t *faults = json_array();
    for (uint32_t i = 0; i < explain->item_count; i++)
        json_array_append_new(faults, item_object(explain, &explain->items[i]));
    json_object_set_new(object, "file", orr__json_text(explain->file));
    json_object_set_new(object, "scenario", orr__json_text(explain->command->job.scenario->name));
    json_object_set_new(object, "parameters", orr__json_parameters(&explain->command->job));
    json_object_set_new(object, "end", end_object(&explain->outcome, explain->cause));
    json_object_set_new(object, "faults", faults);
    json_object_set_new(object, "replay", command_string(explain, NULL));
    orr__json_write(object, explain->outcome.seed);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int finish(const struct explain *explain, int status)
{
    const struct orr__command *command = explain->command;
    if (status == -ENOENT)
        return orr__error(command, "%s passes: there is nothing to explain", explain->file);
    if (status == -ESTALE)
        return orr__error(
            command,
            "%s fails otherwise than it says: %s; mend its line \"check %s\", or take "
            "it out",
            explain->file, explain->outcome.check, command->file_head->check);
    if (status < 0)
        return orr__error(command, "cannot go on: %s", strerror(-status));
    if (explain->items_lost > 0)
        return orr__error(command, "%s: more than %d faults strike: run '%s shrink %s' first",
                          explain->file, ITEMS_MAX, command->program, explain->file);
    if (command->json)
        tell_json(explain);
    else
        tell(explain);
    return ORR__EXIT_FAILING;
}

/* A seed becomes a file with the faults that it needs. The words then are the file's alone. */
static int shrink_first(struct orr__command *command)
{
    const char *path = NULL;
    int status = orr__shrink_quietly(command, command->json, &path);
    if (status != 0)
        return status;
    command->words_given = 1;
    return orr__replay_file_choose(command, path);
}

static struct explain *make(struct orr__command *command)
{
    struct explain *explain = orr__private_map(sizeof *explain);
    if (explain == NULL)
        return NULL;
    explain->command = command;
    explain->file = command->file;
    explain->begin_ns = orr__clock_ns();
    explain->events_with = orr__private_map(ORR__EVENTS_BYTES_MAX);
    explain->events_without = orr__private_map(ORR__EVENTS_BYTES_MAX);
    orr__private_path(explain->path, sizeof explain->path);
    return explain->events_with != NULL && explain->events_without != NULL ? explain : NULL;
}

int orr__explain_faults(struct orr__command *command)
{
    void *extra;
    if (command->file != NULL && command->output != NULL)
        return orr__usage_error(command, "--output: of a replay file no other one is written");
    int status = command->file == NULL ? shrink_first(command) : 0;
    if (status != 0)
        return status;
    struct explain *explain = make(command);
    if (explain == NULL)
        return orr__error(command, "no memory");
    status = orr__nursery_open(&explain->nursery, 1, sizeof *explain->result, &extra);
    if (status < 0)
        return orr__error(command, "cannot prepare a process: %s", strerror(-status));
    explain->result = extra;
    orr__progress_open(&explain->progress, command->json);
    status = work(explain);
    orr__progress_clear(&explain->progress);
    int number = orr__nursery_signal();
    orr__nursery_close(&explain->nursery);
    if (number != 0)
        raise(number);
    return finish(explain, status);
}

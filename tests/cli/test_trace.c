/*
 * test_trace.c: what --trace writes: that the text, the page and the file for Perfetto tell the
 * same run, joined as it was; that a run is the same with them and without, also to its end by a
 * crash; that a file that cannot be written is told.
 */
#define _GNU_SOURCE 1 /* mkdtemp */

#include "tests/suite.h"

#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { IDS_MAX = 20000 };

static struct command command;
static char folder[] = "/tmp/orrery-trace-XXXXXX";
static char page[64];
static char events[64];

static void setup(void)
{
    unsetenv("COLUMNS");
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6); /* a name of its own for each test */
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(page, sizeof page, "%s/page.html", folder);
    snprintf(events, sizeof events, "%s/events.json", folder);
}

static void teardown(void)
{
    unlink(page);
    unlink(events);
    rmdir(folder);
    command_clear(&command);
}

/* Runs "replay WORDS" with both files, and `more`. */
static void replay(const char *program, const char *words, const char *more)
{
    char line[512];
    snprintf(line, sizeof line, "replay %s --trace=html:%s --trace=perfetto:%s%s", words, page,
             events, more);
    command_run(&command, command_path(program), line);
}

static char *contents(const char *path)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    char *text = NULL;
    size_t size = 0;
    ck_assert_int_gt(getdelim(&text, &size, '\0', file), 0);
    fclose(file);
    return text;
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        found++;
    return found;
}

static json_t *load_events(void)
{
    json_error_t error;
    json_t *array = json_load_file(events, 0, &error);
    ck_assert_msg(json_is_array(array), "%s: line %d: %s", events, error.line, error.text);
    return array;
}

static const char *optional_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* Events of a phase and category; "" = any. */
static size_t count_events(const json_t *array, const char *phase, const char *category)
{
    size_t index;
    size_t found = 0;
    json_t *event;
    json_array_foreach(array, index, event) found +=
        strcmp(member_text(event, "ph"), phase) == 0 &&
        (*category == '\0' || strcmp(optional_text(event, "cat"), category) == 0);
    return found;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

struct ids {
    const char *ids[IDS_MAX];
    double times[IDS_MAX];
    size_t count;
};

/* The begin of this id that has no end so far, or -1. */
static int find_open(const struct ids *open, const char *id)
{
    for (size_t i = open->count; i-- > 0;)
        if (strcmp(open->ids[i], id) == 0)
            return (int)i;
    return -1;
}

/* Every end has a begin with the same id before it, at no later time; returns how many pairs. The
 * begins that have no end stay in `open`. */
static size_t pair_up(const json_t *array, const char *begin, const char *end, struct ids *open)
{
    size_t index;
    size_t pairs = 0;
    json_t *event;
    open->count = 0;
    json_array_foreach(array, index, event)
    {
        const char *phase = member_text(event, "ph");
        double time = json_number_value(json_object_get(event, "ts"));
        if (strcmp(phase, begin) == 0) {
            const char *id = member_text(event, "id");
            ck_assert_msg(find_open(open, id) < 0, "%s begins twice", id);
            ck_assert_uint_lt(open->count, IDS_MAX);
            open->ids[open->count] = id;
            open->times[open->count++] = time;
        } else if (strcmp(phase, end) == 0) {
            int at = find_open(open, member_text(event, "id"));
            ck_assert_msg(at >= 0, "%s ends without a begin", member_text(event, "id"));
            ck_assert(time >= open->times[at]);
            open->ids[at] = open->ids[--open->count];
            open->times[at] = open->times[open->count];
            pairs++;
        }
    }
    return pairs;
}

START_TEST(test_trace__joins_what_belongs_together)
{
    static struct ids open;
    static const char *const runs[] = {"echo --seed 2", "kv ms=200 --seed 17", "register --seed 3"};
    replay("CLI_ORRERY", runs[_i], " --trace");
    ck_assert_int_eq(command.status, 0);
    json_t *array = load_events();
    size_t operations = pair_up(array, "b", "e", &open);
    ck_assert_uint_gt(operations, 300);
    ck_assert_uint_lt(open.count, 100); /* in flight at the end */
    size_t messages = pair_up(array, "s", "f", &open);
    ck_assert_uint_gt(messages, 100);
    ck_assert_uint_lt(open.count, 100); /* lost, or under way */
    /* Each message is a slice where it leaves and one where it arrives, for arrows join slices. */
    ck_assert_uint_eq(count_events(array, "X", "message"),
                      count_events(array, "s", "message") + count_events(array, "f", "message"));
    /* The text tells as many: one line for each that leaves, one for each that arrives. */
    char *text = contents(page);
    ck_assert_uint_eq(count(text, "\n[\"s\","), count_events(array, "s", ""));
    ck_assert_uint_eq(count(text, "\n[\"a\","), messages);
    ck_assert_uint_eq(count(text, "\n[\"e\",") + count(text, "\n[\"x\","), operations);
    ck_assert_uint_eq(count(text, "\n[\"n\","), count(command.out, " boots (life 1)\n"));
    ck_assert_uint_eq(count(text, "\n[\"f\","), count_events(array, "i", "fault"));
    ck_assert_uint_eq(count(text, "\n[\"f\","), count(command.out, " ! "));
    free(text);
    json_decref(array);
}
END_TEST

/* The third message of a client is "#2" in the columns of both nodes, and in the files. */
START_TEST(test_trace__names_agree)
{
    replay("CLI_ORRERY", "echo --seed 7", " --trace");
    ck_contains(command.out, "#2 > server, 256 bytes");
    ck_contains(command.out, "| #2, 256 bytes <-");
    char *text = contents(events);
    ck_contains(text, "\"name\":\"#2 > server, 256 bytes\",\"dur\":0.001");
    ck_contains(text, "\"name\":\"client-3 > #2, 256 bytes\",\"dur\":0.001");
    ck_contains(text, "\"args\":{\"operation\":\"server/accept#0\",\"on\":3,\"site\":"
                      "\"examples/echo/server.c:");
    ck_contains(text, "\"name\":\"process_name\",\"args\":{\"name\":\"client-3\"}");
    free(text);
}
END_TEST

START_TEST(test_trace__changes_nothing)
{
    static const char *const runs[] = {"echo --seed 2", "kv ms=200 --seed 17",
                                       "register bug=minority --seed 5"};
    char line[128];
    snprintf(line, sizeof line, "replay %s", runs[_i]);
    command_run(&command, command_path("CLI_ORRERY"), line);
    char *plain = strdup(command.out);
    int status = command.status;
    replay("CLI_ORRERY", runs[_i], "");
    ck_assert_int_eq(command.status, status);
    ck_assert_str_eq(command.out, plain); /* files leave the story as it is */
    replay("CLI_ORRERY", runs[_i], " --trace=text");
    char *hash = lines_copy(plain, -1);
    char *traced = lines_copy(command.out, -1);
    ck_assert_str_eq(hash, traced);
    free(hash);
    free(traced);
    free(plain);
}
END_TEST

/* Twice the same run is twice the same file, to the byte. */
START_TEST(test_trace__files_replay)
{
    replay("CLI_ORRERY", "register --seed 3", "");
    char *first[] = {contents(page), contents(events)};
    replay("CLI_ORRERY", "register --seed 3", " --trace");
    char *second[] = {contents(page), contents(events)};
    for (int i = 0; i < 2; i++) {
        ck_assert_str_eq(first[i], second[i]);
        free(first[i]);
        free(second[i]);
    }
}
END_TEST

static const struct {
    const char *words;
    const char *check;
} ends[] = {
    {"slow end=crash --seed 3", "crash: SIGABRT"},
    {"segfaults --seed 3", ""},
    {"hangs --seed 3 --timeout 200ms", "hang: no end after 200 ms"},
    {"exits --seed 3", "the program called exit(3)"},
    {"slow end=check --seed 3", "the end is calm"},
};

START_TEST(test_trace__survives_the_end)
{
    replay("CLI_PROGRAM", ends[_i].words, "");
    ck_assert_int_eq(command.status, 1);
    json_t *array = load_events();
    char *text = contents(page);
    bool slow = strncmp(ends[_i].words, "slow", 4) == 0;
    if (slow) {
        ck_assert_uint_eq(count_events(array, "i", "fault"), 20);
        ck_assert_uint_eq(count(text, "\n[\"f\","), 20);
        ck_contains(text, "\"latency\",\"asker/stat\",19,\"takes ");
    }
    ck_contains(text,
                "</script>\n<script type=\"application/json\" id=\"verdict\">{\"failed\":true,"
                "\"check\":\"");
    ck_contains(text, ends[_i].check);
    ck_contains(text, "\"replay\":\"");
    ck_contains(text, " --seed 3");
    free(text);
    text = contents(events);
    ck_contains(text, "\"args\":{\"name\":\"the world: seed 3 fails: ");
    ck_contains(text, ends[_i].check);
    free(text);
    json_decref(array);
}
END_TEST

/* A run out of a replay file is told by that file. */
START_TEST(test_trace__of_a_replay_file)
{
    char words[128];
    snprintf(words, sizeof words, "echo --seed 7 --record %s/echo.replay", folder);
    replay("CLI_ORRERY", words, "");
    char *hash = lines_copy(command.out, -1);
    snprintf(words, sizeof words, "%s/echo.replay", folder);
    replay("CLI_ORRERY", words, " --trace");
    char *again = lines_copy(command.out, -1);
    ck_assert_str_eq(hash, again);
    char *text = contents(page);
    char *told = strstr(text, "\"replay\":");
    ck_assert_ptr_nonnull(told);
    told[strcspn(told, "\n")] = '\0';
    ck_contains(told, "/echo.replay\"}</script>");
    free(text);
    free(again);
    free(hash);
    unlink(words);
}
END_TEST

/* Who leaves before the end has heard of no verdict, and the files tell none. */
START_TEST(test_trace__no_end_is_no_verdict)
{
    char line[512];
    snprintf(
        line, sizeof line,
        "%s replay kv ms=3000 --seed 17 --trace --trace=html:%s --trace=perfetto:%s | head -n 40",
        command_path("CLI_ORRERY"), page, events);
    command_shell(&command, line);
    ck_assert_uint_eq(lines_count(command.out), 40);
    char *text = contents(page);
    ck_contains(text, "id=\"events\">\n[\"n\",0,0,\"server\"]\n");
    ck_assert_ptr_null(strstr(text, "id=\"verdict\">{"));
    free(text);
    json_decref(load_events());
}
END_TEST

/* What a program prints into a trace stays text. */
START_TEST(test_trace__text_stays_text)
{
    replay("CLI_PROGRAM", "hostile --seed 1", "");
    ck_assert_int_eq(command.status, 1);
    char *text = contents(page);
    const char *run = strstr(text, "id=\"events\">");
    ck_assert_ptr_nonnull(run);
    ck_assert_uint_eq(count(run, "</script>"), 2); /* of the events, and of the verdict */
    ck_assert_uint_eq(count(run, "<script"), 1);
    ck_contains(run, "\\u003c/script>");
    ck_contains(run, "\\\"\\\\ ?\xc3\xa9\\u0009 end\"]\n");
    free(text);
    json_decref(load_events());
}
END_TEST

START_TEST(test_trace__a_full_disk_is_told)
{
    command_run(&command, command_path("CLI_PROGRAM"),
                "replay clean --seed 1 --trace=html:/dev/full");
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, "--trace=html:/dev/full: cannot write this file: No space left");
    ck_contains(command.out, "seed 1 passes\n");
}
END_TEST

START_TEST(test_trace__is_as_wide_as_wanted)
{
    char line[256];
    for (int width = 60; width <= 200; width += 35) {
        snprintf(line, sizeof line, "COLUMNS=%d %s replay kv ms=100 --seed 17 --trace", width,
                 command_path("CLI_ORRERY"));
        command_shell(&command, line);
        bool has_columns = width >= 18 + 4 * 20;
        ck_assert_int_eq(count(command.out, "\n                  server ") > 0, has_columns);
        size_t widest = 0;
        for (const char *at = command.out; *at != '\0'; at += strcspn(at, "\n") + 1)
            if (strstr(at, " |") != NULL && strcspn(at, "\n") > widest)
                widest = strcspn(at, "\n");
        ck_assert_msg(!has_columns || widest <= (size_t)width, "%zu > %d", widest, width);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("trace");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_trace__joins_what_belongs_together, 0, 3);
    tcase_add_test(tests, test_trace__names_agree);
    tcase_add_loop_test(tests, test_trace__changes_nothing, 0, 3);
    tcase_add_test(tests, test_trace__files_replay);
    tcase_add_loop_test(tests, test_trace__survives_the_end, 0, (int)(sizeof ends / sizeof *ends));
    tcase_add_test(tests, test_trace__of_a_replay_file);
    tcase_add_test(tests, test_trace__no_end_is_no_verdict);
    tcase_add_test(tests, test_trace__text_stays_text);
    tcase_add_test(tests, test_trace__a_full_disk_is_told);
    tcase_add_test(tests, test_trace__is_as_wide_as_wanted);
    return suite_run("trace", tests);
}

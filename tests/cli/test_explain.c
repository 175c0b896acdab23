/*
 * test_explain.c: what a run without one of its faults is, and what that says of the fault. Also
 * shrink with a replay file as its beginning, and replay --without.
 */
#define _GNU_SOURCE 1 /* mkdtemp */

#include "tests/suite.h"

#include "command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD "check one of two is right\nscenario picky\nseed 1\nonly\n"
#define THIRD "asker/stat#3 = EIO\n"
#define FIFTH "asker/stat#5 = EIO\n"
#define SIXTH "asker/stat#6 = EIO\n"

enum { LINE_BYTES_MAX = 1024 };

static struct command command;
static const char *program;
static char folder[] = "/tmp/orrery-explain-XXXXXX";
static char file[64];
static char shrunk[64];

static void setup(void)
{
    program = command_path("CLI_PROGRAM");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/a.replay", folder);
    snprintf(shrunk, sizeof shrunk, "%s/a-shrunk.replay", folder);
}

static void teardown(void)
{
    command_clear(&command);
    unlink(file);
    unlink(shrunk);
    rmdir(folder);
}

static void write_file(const char *text)
{
    FILE *out = fopen(file, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_ge(fputs(text, out), 0);
    ck_assert_int_eq(fclose(out), 0);
}

static char *read_file(const char *path)
{
    static char text[4096];
    FILE *in = fopen(path, "r");
    ck_assert_msg(in != NULL, "%s is not there", path);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    return text;
}

/* "VERB FILE MORE" */
static void run(const char *verb, const char *more)
{
    char line[LINE_BYTES_MAX];
    snprintf(line, sizeof line, "%s %s%s", verb, file, more);
    command_run(&command, program, line);
}

static bool says(const char *part)
{
    return strstr(command.out, part) != NULL;
}

/* What stands behind the n-th text in the output, up to the end of the line; the caller frees it.
 */
static char *behind(const char *text, int n)
{
    const char *at = command.out;
    for (int i = 0; i <= n; i++) {
        at = strstr(at, text);
        ck_assert_msg(at != NULL, "\"%s\" is not in:\n%s", text, command.out);
        at += strlen(text);
    }
    return strndup(at, strcspn(at, "\n"));
}

/* The line of the output that holds a text. */
static char *line_with(const char *text)
{
    const char *at = strstr(command.out, text);
    ck_assert_msg(at != NULL, "\"%s\" is not in:\n%s", text, command.out);
    while (at > command.out && at[-1] != '\n')
        at--;
    return strndup(at, strcspn(at, "\n"));
}

/* ---- explain --------------------------------------------------------------------------------- */

START_TEST(test_explain__two_faults_and_where_each_parts)
{
    write_file(HEAD THIRD FIFTH);
    run("explain", "");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, ": seed 1 fails the check: one of two is right\n");
    ck_contains(command.out, "it needs each of these faults:\n  1. asker/stat#3 = EIO, at ");
    ck_contains(command.out, "\n  2. asker/stat#5 = EIO, at ");
    ck_assert(!says("shrink it"));
    /* The last in both is the beginning of the operation, and its end is another one. */
    char *row = line_with("asker: stat#3 = -EIO");
    ck_contains(row, " | asker: stat#3 = 0");
    free(row);
    const char *common = strstr(command.out, "asker: stat#3 ...");
    ck_assert(common != NULL && common < strstr(command.out, "asker: stat#3 = -EIO"));
    row = line_with("asker: stat#5 = -EIO");
    ck_contains(row, " | asker: stat#5 = 0");
    free(row);
    row = line_with("asker: stat#4 = 0"); /* both have it: it stands above the columns */
    ck_assert_ptr_null(strchr(row, '|'));
    free(row);
    ck_contains(command.out, "\n  with it     fails: one of two is right, at ");
    ck_contains(command.out, "\n  without it  passes, at 100000.000000 ms\n");
}
END_TEST

START_TEST(test_explain__its_commands_bring_each_back)
{
    static const int statuses[] = {0, 0, 1};
    for (int i = 0; i < 3; i++) {
        write_file(HEAD THIRD FIFTH);
        run("explain", "");
        char *line = behind("\n  replay: ", i);
        command_shell(&command, line);
        ck_assert_msg(command.status == statuses[i], "%s: %d", line, command.status);
        free(line);
    }
}
END_TEST

START_TEST(test_explain__what_is_not_needed)
{
    write_file(HEAD THIRD FIFTH SIXTH);
    run("explain", "");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "it needs 2 of these 3 faults; without any other one it still fails");
    char *line = line_with("  3. asker/stat#6 = EIO");
    ck_contains(line, " (not needed)");
    free(line);
    ck_contains(command.out, "still fails so: the set is not minimal; shrink it\n");
    line = behind("\nnot minimal; shrink it: ", 0);
    command_shell(&command, line);
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "needs exactly 2 of 3 faults:\n");
    free(line);
}
END_TEST

/* Without the first fault the second makes another check fail: needed all the same. */
START_TEST(test_explain__another_failure)
{
    write_file(HEAD THIRD FIFTH);
    run("explain", " alone=wrong");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "it needs each of these faults:\n");
    ck_contains(command.out, "\n  without it  fails: the sixth is right, at ");
    ck_contains(command.out, "another failure: ");
    char *line = behind("\n  replay: ", 0);
    ck_contains(line, " alone=wrong --without ");
    command_shell(&command, line);
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "fails the check: the sixth is right\n");
    free(line);
}
END_TEST

START_TEST(test_explain__a_crash_that_the_file_appoints)
{
    write_file("scenario picky\nseed 1\nonly\nasker crash @ after stat#2 # then\n");
    run("explain", "");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "it needs this fault:\n  1. asker crash @ after stat#2, at ");
    ck_contains(command.out, "! power-loss asker/appointed#1 loses");
    ck_contains(command.out, "\n  without it  passes, at ");
    char *line = behind("\n  replay: ", 0);
    ck_contains(line, " --without 'asker crash @ after stat#2'");
    command_shell(&command, line);
    ck_assert_int_eq(command.status, 0);
    free(line);
}
END_TEST

/* A delay shows where the answer comes with it, and where without it: not at its mark. */
START_TEST(test_explain__a_delay)
{
    write_file(
        "check one of two is right\nscenario picky\nseed 1\nonly\nasker/stat#1 += 40ms\n" THIRD
            FIFTH);
    run("explain", "");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "it needs 2 of these 3 faults");
    const char *parts = strstr(command.out, "\n1. asker/stat#1 += 40ms");
    ck_assert_ptr_nonnull(parts);
    const char *common = strstr(parts, "asker: stat#1 ...\n");
    const char *here = strstr(parts, "\n  here they part");
    const char *right = strstr(parts, " | asker: stat#1 = 0");
    const char *end = strstr(parts, "\n2. ");
    ck_assert_msg(common != NULL && common < here && here < right && right < end, "%s", parts);
}
END_TEST

START_TEST(test_explain__no_fault_is_needed)
{
    char line[LINE_BYTES_MAX];
    snprintf(line, sizeof line, "explain slow end=check --seed 3 -o %s", file);
    command_run(&command, program, line);
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "seed 3 fails the check: the end is calm\n");
    ck_contains(command.out, "it needs no fault: it fails by itself\n");
    ck_contains(read_file(file), "# Needs exactly 0 of 20 faults.");
    char *last = behind("\n  replay: ", 0);
    command_shell(&command, last);
    ck_assert_int_eq(command.status, 1);
    free(last);
}
END_TEST

START_TEST(test_explain__refuses)
{
    write_file("scenario picky\nseed 1\nonly\n" THIRD);
    run("explain", "");
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, "a.replay passes: there is nothing to explain\n");
    write_file("check the moon is full\nscenario picky\nseed 1\nonly\n" THIRD FIFTH);
    run("explain", "");
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, "fails otherwise than it says: one of two is right; mend its line "
                             "\"check the moon is full\"");
    run("explain", " -o b.replay");
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, "--output: ");
    command_run(&command, program, "explain picky");
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, "which seed? give --seed N");
    ck_assert_str_eq(command.out, "");
}
END_TEST

START_TEST(test_explain__fits_a_terminal)
{
    static const struct {
        const char *columns;
        size_t width;
    } terminals[] = {{"", 100}, {"COLUMNS=72 ", 72}};
    write_file(HEAD THIRD FIFTH);
    for (size_t i = 0; i < sizeof terminals / sizeof *terminals; i++) {
        char line[LINE_BYTES_MAX];
        snprintf(line, sizeof line, "%s%s explain %s | grep -E ' [|]( |$)'", terminals[i].columns,
                 program, file);
        command_shell(&command, line);
        ck_assert_uint_gt(lines_count(command.out), 4);
        for (const char *at = command.out; *at != '\0'; at += strcspn(at, "\n") + 1)
            ck_assert_msg(strcspn(at, "\n") <= terminals[i].width, "%.200s", at);
    }
}
END_TEST

/* The moment of the array whose event begins so; the test ends if there is none. */
static json_t *find_event(const json_t *moments, const char *text)
{
    size_t index;
    json_t *moment;
    json_array_foreach(moments, index, moment)
    {
        if (starts_with(member_text(moment, "event"), text))
            return moment;
    }
    ck_abort_msg("no event \"%s\"", text);
    return NULL;
}

START_TEST(test_explain__for_programs)
{
    write_file(HEAD THIRD FIFTH SIXTH);
    run("explain", " --json");
    ck_assert_int_eq(command.status, 1);
    ck_assert_uint_eq(lines_count(command.out), 1);
    json_t *object = lines_json(command.out, 0);
    const json_t *faults = json_object_get(object, "faults");
    ck_assert_uint_eq(json_array_size(faults), 3);
    ck_assert_int_eq(member_number(object, "seed"), 1);
    ck_assert_str_eq(member_text(object, "scenario"), "picky");
    ck_assert_str_eq(member_text(json_object_get(object, "end"), "check"), "one of two is right");
    const json_t *first = json_array_get(faults, 0);
    ck_assert_str_eq(member_text(first, "fault"), "asker/stat#3 = EIO");
    ck_assert(json_is_true(json_object_get(first, "needed")));
    ck_assert(json_is_false(json_object_get(json_array_get(faults, 2), "needed")));
    const json_t *with = find_event(json_object_get(first, "with"), "stat#3 = -EIO");
    const json_t *without = find_event(json_object_get(first, "without"), "stat#3 = 0");
    ck_assert_str_eq(member_text(with, "who"), "asker");
    ck_assert_int_eq(member_number(with, "time_ns"), member_number(without, "time_ns"));
    ck_assert_int_eq(member_number(with, "time_ns"), member_number(first, "strikes_ns"));
    ck_assert(json_is_false(json_object_get(json_object_get(first, "end_without"), "failed")));
    command_shell(&command, member_text(first, "replay_without"));
    ck_assert_int_eq(command.status, 0);
    json_decref(object);
}
END_TEST

/* ---- shrink and replay, of a file ------------------------------------------------------------ */

START_TEST(test_shrink__a_replay_file)
{
    write_file(HEAD THIRD FIFTH SIXTH "asker/stat#1 += 40ms # my words\n");
    run("shrink", "");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "needs exactly 2 of 4 faults:\n  asker/stat#3 = EIO  # ");
    const char *text = read_file(shrunk);
    ck_contains(text, "check one of two is right\nscenario picky\nseed 1\nonly");
    ck_contains(text, "\nasker/stat#3 = EIO  # ");
    ck_contains(text, "\nasker/stat#5 = EIO  # ");
    ck_assert_ptr_null(strstr(text, "stat#6"));
    ck_assert_ptr_null(strstr(text, "stat#1"));
    char *line = behind("  replay: ", 0);
    command_shell(&command, line);
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "fails the check: one of two is right\n");
    free(line);
}
END_TEST

/* A crash comes back by the line that appoints it, not by the name that it has in the ledger. */
START_TEST(test_shrink__a_crash_that_the_file_appoints)
{
    write_file("scenario picky\nseed 1\nonly\n" THIRD "asker  crash @ after stat#4\n" SIXTH);
    run("shrink", "");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "seed 1 fails: all is answered\nneeds exactly 1 of 2 faults:\n"
                             "  asker  crash @ after stat#4\n");
    char *line = behind("  replay: ", 0);
    command_shell(&command, line);
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "fails the check: all is answered\n");
    free(line);
}
END_TEST

START_TEST(test_shrink__the_check_of_a_file_counts)
{
    write_file("check the moon is full\nscenario picky\nseed 1\nonly\n" THIRD FIFTH);
    run("shrink", "");
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, "a.replay fails otherwise than it says: one of two is right; ");
    ck_assert_int_ne(access(shrunk, F_OK), 0);
    write_file(HEAD THIRD);
    run("shrink", "");
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, "a.replay passes: there is nothing to shrink\n");
}
END_TEST

START_TEST(test_replay__without)
{
    write_file(HEAD THIRD FIFTH);
    run("replay", "");
    ck_assert_int_eq(command.status, 1);
    run("replay", " --without asker/stat#3");
    ck_assert_int_eq(command.status, 0);
    ck_assert(!says("asker/stat#3 "));
    ck_contains(command.out, "asker/stat#5 EIO");
    /* What strikes by chance stays away, too, and the command that is printed knows of it. */
    command_run(&command, program, "replay slow end=check --seed 3 --without asker/stat#0");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "\n19 faults in ");
    char *line = behind("with every event: ", 0);
    command_shell(&command, line);
    ck_contains(command.out, "\n19 faults in ");
    free(line);
    command_run(&command, program, "replay slow --seed 3 --without asker/stat#999");
    ck_contains(command.out, "\nunused: line 1: asker/stat#999 did not come up in this run\n");
    command_run(&command, program, "replay slow --seed 3 --without asker");
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, "--without asker: this must be the name of a fault");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("explain");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_explain__two_faults_and_where_each_parts);
    tcase_add_test(tests, test_explain__its_commands_bring_each_back);
    tcase_add_test(tests, test_explain__what_is_not_needed);
    tcase_add_test(tests, test_explain__another_failure);
    tcase_add_test(tests, test_explain__a_crash_that_the_file_appoints);
    tcase_add_test(tests, test_explain__a_delay);
    tcase_add_test(tests, test_explain__no_fault_is_needed);
    tcase_add_test(tests, test_explain__refuses);
    tcase_add_test(tests, test_explain__fits_a_terminal);
    tcase_add_test(tests, test_explain__for_programs);
    tcase_add_test(tests, test_shrink__a_replay_file);
    tcase_add_test(tests, test_shrink__a_crash_that_the_file_appoints);
    tcase_add_test(tests, test_shrink__the_check_of_a_file_counts);
    tcase_add_test(tests, test_replay__without);
    return suite_run_apart("explain", tests);
}

/*
 * test_replay.c: a seed comes back: the same story and the same trace hash every time, also of a
 * crash, and by the very command that the campaign printed. What the story folds, and the report of
 * a campaign beside it. And --load: the same from a shared object.
 */
#define _GNU_SOURCE 1 /* mkdtemp, symlink */

#include "tests/suite.h"

#include "command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REPLAYS = 10 };

static struct command command;
static const char *program;

static void setup(void)
{
    program = command_path("CLI_PROGRAM");
}

static void teardown(void)
{
    command_clear(&command);
}

/* The first failure that a campaign finds; its members are read with member_text. */
static json_t *find_failure(const char *path, const char *line)
{
    command_run(&command, path, line);
    ck_assert_int_eq(command.status, 1);
    return lines_json(command.out, 0);
}

static void expect_hash(const char *hash)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "trace hash %s", hash);
    char *last = lines_copy(command.out, -1);
    ck_assert_str_eq(last, wanted);
    free(last);
}

static const struct {
    const char *run;
    const char *replay;
    const char *says;
} failures[] = {
    {"run fails --seed 17 --json", "replay fails --seed 17", "sums are right"},
    {"run fatal --seed 17 --json", "replay fatal --seed 17",
     "this goes before\norrery: the rule number 7 is broken\n"
     "seed 17 fails: orrery: the rule number 7 is broken\n"},
    {"run aborts --seed 17 --json", "replay aborts --seed 17",
     "last words without a newline\nseed 17 fails: crash: SIGABRT\n"},
    {"run segfaults --seed 17 --json", "replay segfaults --seed 17", "seed 17 fails: "},
    {"run exits --seed 17 --json", "replay exits --seed 0x11",
     "seed 17 fails: the program called exit(3)\n"},
    {"run hangs --seed 17 --timeout 200ms --json", "replay hangs --seed 17 --timeout 200ms",
     "seed 17 fails: hang: no end after 200 ms\n"},
    {"run floods --seed 17 --json", "replay floods --seed 17", "line 0 of the flood\n"},
};

START_TEST(test_replay__same_hash_as_the_campaign_ten_times_in_ten)
{
    json_t *failure = find_failure(program, failures[_i].run);
    for (int i = 0; i < REPLAYS; i++) {
        command_run(&command, program, failures[_i].replay);
        ck_assert_int_eq(command.status, 1);
        ck_contains(command.out, failures[_i].says);
        expect_hash(member_text(failure, "trace_hash"));
    }
    if (strncmp(failures[_i].run, "run exits", 9) != 0 &&
        strncmp(failures[_i].run, "run floods", 10) != 0)
        ck_assert_str_ne(member_text(failure, "trace_hash"), "0000000000000000");
    json_decref(failure);
}
END_TEST

START_TEST(test_replay__same_story_every_time)
{
    command_run(&command, program, "replay fails --seed 5 --trace");
    char *first = strdup(command.out);
    for (int i = 1; i < REPLAYS; i++) {
        command_run(&command, program, "replay fails --seed 5 --trace");
        ck_assert_str_eq(command.out, first);
    }
    free(first);
}
END_TEST

/* How many lines hold this text. */
static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (const char *at = command.out; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

START_TEST(test_replay__folds_what_goes_on)
{
    command_run(&command, program, "replay slow --seed 3");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "lets these faults strike, per million chances:\n  latency 1000000\n");
    ck_contains(command.out, " ms  asker         boots (life 1)\n");
    ck_contains(command.out, " ms  ! latency     asker/stat#0 takes ");
    ck_contains(command.out, " ms  ! latency     ... x 19, the last asker/stat#19 takes ");
    ck_assert_uint_eq(count_lines("! latency"), 2);
    ck_contains(command.out, "\n20 faults in ");
    /* Two are told as they are; one has no plural. */
    command_run(&command, program, "replay slow faults=2 --seed 3");
    ck_contains(command.out, " ms  ! latency     asker/stat#1 takes ");
    ck_assert_ptr_null(strstr(command.out, "..."));
    command_run(&command, program, "replay slow faults=1 --seed 3");
    ck_contains(command.out, "\n1 fault in ");
    ck_contains(command.out, ", 1 completion\n");
    /* With a trace each stands in its place. */
    command_run(&command, program, "replay slow --seed 3 --trace");
    ck_assert_uint_eq(count_lines("! latency"), 20);
    ck_assert_ptr_null(strstr(command.out, "... x "));
}
END_TEST

/* The last faults before a crash are what matters: they are told although the story held them. */
START_TEST(test_replay__a_crash_does_not_swallow_the_fold)
{
    command_run(&command, program, "replay slow end=crash --seed 3");
    ck_assert_int_eq(command.status, 1);
    const char *last = strstr(command.out, "... x 19, the last asker/stat#19 takes ");
    ck_assert_ptr_nonnull(last);
    ck_contains(last, "\nseed 3 fails: crash: SIGABRT\n");
    ck_assert_uint_eq(count_lines("! latency"), 2);
}
END_TEST

START_TEST(test_replay__folds_a_node_that_does_not_stay_up)
{
    command_run(&command, program, "replay restless --seed 3");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, " ms  stopper       boots (life 2)\n");
    ck_contains(command.out, " ms  stopper       ... x ");
    ck_assert_uint_eq(count_lines(" ms  stopper "), 5);
}
END_TEST

/* A failure is told once, in the words of the check, and ends with the command that shows more. */
START_TEST(test_replay__ends_with_the_command)
{
    command_run(&command, program, "replay slow end=check --seed 3");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, " ms  ! failed      the end is calm\n");
    ck_contains(command.out, "\nseed 3 fails the check: the end is calm\n  at 100000.000000 ms, ");
    ck_assert_uint_eq(count_lines("something else"), 1);
    char *line = lines_copy(command.out, -2);
    ck_assert(starts_with(line, "  with every event: "));
    command_shell(&command, strchr(line, ':') + 1);
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "every event, in virtual time");
    ck_contains(command.out, "\n  replay: ");
    free(line);
}
END_TEST

START_TEST(test_replay__fits_a_terminal)
{
    command_run(&command, command_path("CLI_ORRERY"), "replay kv ms=200 --seed 5");
    ck_assert_int_eq(command.status, 0);
    for (const char *line = command.out; *line != '\0'; line += strcspn(line, "\n") + 1)
        ck_assert_msg(strcspn(line, "\n") <= 100, "%.200s", line);
}
END_TEST

START_TEST(test_report__of_one)
{
    command_run(&command, program, "run slow faults=1 --seed 1");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, ": 1 seed, 0 failed, in ");
    ck_contains(command.out, "\n  1 fault: latency 1\n");
    ck_contains(command.out, ", 1 completion (");
    command_run(&command, program, "run never --seed 1");
    ck_contains(command.out, "\n  0 faults\n");
    ck_contains(command.out, "not once true in 1 seed: ");
}
END_TEST

/* What a scenario repeats is told once. */
START_TEST(test_report__notes_are_counted)
{
    command_run(&command, program, "run slow end=check");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "\n  the same again (x 3)\n  something else\n");
}
END_TEST

START_TEST(test_replay__seeds_differ)
{
    command_run(&command, program, "replay some --seed 5");
    char *five = lines_copy(command.out, -1);
    command_run(&command, program, "replay some --seed 6");
    char *six = lines_copy(command.out, -1);
    ck_assert_str_ne(five, six);
    free(five);
    free(six);
}
END_TEST

START_TEST(test_replay__passes)
{
    command_run(&command, program, "replay clean --seed 3");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "seed 3 passes\ntrace hash ");
    ck_assert_str_eq(command.err, "");
}
END_TEST

START_TEST(test_replay__trace_changes_nothing)
{
    json_t *failure = find_failure(program, "run some --json");
    char line[128];
    snprintf(line, sizeof line, "replay some --seed %lld", member_number(failure, "seed"));
    command_run(&command, program, line);
    size_t untraced = lines_count(command.out);
    strncat(line, " --trace", sizeof line - strlen(line) - 1);
    command_run(&command, program, line);
    ck_assert_uint_gt(lines_count(command.out), untraced);
    expect_hash(member_text(failure, "trace_hash"));
    json_decref(failure);
}
END_TEST

/* The command a campaign prints, typed into a shell, in a place whose name needs quoting. */
START_TEST(test_replay__the_printed_command_works)
{
    char folder[] = "/tmp/it's a place-XXXXXX";
    char path[256];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/the program", folder);
    ck_assert_int_eq(symlink(program, path), 0);
    json_t *failure = find_failure(path, "run choosy bug=one-off size=4 --json --timeout 25s");
    command_shell(&command, member_text(failure, "replay"));
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "size 4");
    ck_contains(member_text(failure, "replay"), " --timeout 25s");
    expect_hash(member_text(failure, "trace_hash"));
    json_decref(failure);
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(test_load__scenarios_of_a_shared_object)
{
    const char *orrery = command_path("CLI_ORRERY");
    const char *object = command_path("CLI_OBJECT");
    char line[4096];
    snprintf(line, sizeof line, "--load %s list", object);
    command_run(&command, orrery, line);
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "fails: ends in its own way\n");
    snprintf(line, sizeof line, "run fails --load %s --json", object);
    json_t *failure = find_failure(orrery, line);
    ck_contains(member_text(failure, "replay"), " --load ");
    command_shell(&command, member_text(failure, "replay"));
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "sums are right");
    expect_hash(member_text(failure, "trace_hash"));
    /* The same scenario built into a program is the same world. */
    command_run(&command, program, "replay fails --seed 1");
    expect_hash(member_text(failure, "trace_hash"));
    json_decref(failure);
}
END_TEST

START_TEST(test_load__a_bare_name_is_a_file_here)
{
    const char *object = command_path("CLI_OBJECT");
    char *folder = strdup(object);
    char line[4096];
    *strrchr(folder, '/') = '\0';
    ck_assert_int_eq(chdir(folder), 0);
    snprintf(line, sizeof line, "run clean --seeds 3 --load %s", strrchr(object, '/') + 1);
    command_run(&command, command_path("CLI_ORRERY"), line);
    ck_assert_int_eq(command.status, 0);
    free(folder);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("replay");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_replay__same_hash_as_the_campaign_ten_times_in_ten, 0,
                        (int)(sizeof failures / sizeof *failures));
    tcase_add_test(tests, test_replay__same_story_every_time);
    tcase_add_test(tests, test_replay__folds_what_goes_on);
    tcase_add_test(tests, test_replay__a_crash_does_not_swallow_the_fold);
    tcase_add_test(tests, test_replay__folds_a_node_that_does_not_stay_up);
    tcase_add_test(tests, test_replay__ends_with_the_command);
    tcase_add_test(tests, test_replay__fits_a_terminal);
    tcase_add_test(tests, test_report__of_one);
    tcase_add_test(tests, test_report__notes_are_counted);
    tcase_add_test(tests, test_replay__seeds_differ);
    tcase_add_test(tests, test_replay__passes);
    tcase_add_test(tests, test_replay__trace_changes_nothing);
    tcase_add_test(tests, test_replay__the_printed_command_works);
    tcase_add_test(tests, test_load__scenarios_of_a_shared_object);
    tcase_add_test(tests, test_load__a_bare_name_is_a_file_here);
    return suite_run("replay", tests);
}

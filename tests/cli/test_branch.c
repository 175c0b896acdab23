/*
 * test_branch.c: futures of a run. A future that was forked at an instant and the same one replayed
 * from the start have the same trace hash; the run up to there is the run without it; how many fail
 * does not depend on the number of jobs; the event that decides a run is the one that does.
 *
 * The scenario: a coin falls at the 30th tick of a clock, and is looked at when it has ticked 80.
 */
#define _GNU_SOURCE 1 /* mkdtemp */

#include "tests/suite.h"

#include "command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FUTURES = 2, LINE_MAX_BYTES = 512 };

static struct command command;
static struct command other;
static const char *program;
static char folder[64];

static void setup(void)
{
    program = command_path("CLI_PROGRAM");
    snprintf(folder, sizeof folder, "/tmp/orrery-branch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    char line[128];
    snprintf(line, sizeof line, "rm -r %s", folder);
    command_shell(&command, line);
    command_clear(&command);
    command_clear(&other);
}

/* Runs the program with words that may hold quotes. */
static void run(struct command *ret_command, const char *line)
{
    char text[2 * LINE_MAX_BYTES];
    snprintf(text, sizeof text, "%s %s", program, line);
    command_shell(ret_command, text);
}

static void expect_hash(const char *hash)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "trace hash %s", hash);
    char *last = lines_copy(other.out, -1);
    ck_assert_str_eq(last, wanted);
    free(last);
}

static const char *const instants[] = {
    "event 0",
    "event 40",
    "15.25ms",
    "after gambler/stat#9",
    "after victim/crash#1",
    "sometimes forty ticks are over",
};
enum { INSTANTS = sizeof instants / sizeof *instants };
static const char *const modes[] = {"seed", "none", "same"};
enum { MODES = sizeof modes / sizeof *modes };

START_TEST(test_branch__what_was_forked_is_what_is_replayed)
{
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof line,
             "branch gamble end=all --seed 1 --futures %d --at '%s' --faults %s --json", FUTURES,
             instants[_i / MODES], modes[_i % MODES]);
    run(&command, line);
    ck_assert_int_eq(command.status, 1);
    ck_assert_uint_eq(lines_count(command.out), FUTURES + 1);
    char before[32] = "";
    for (int i = 0; i < FUTURES; i++) {
        json_t *future = lines_json(command.out, i);
        ck_assert_int_eq(member_number(future, "future"), i + 2); /* 1 is the run's own seed */
        command_shell(&other, member_text(future, "replay"));
        ck_assert_int_eq(other.status, 1);
        expect_hash(member_text(future, "trace_hash"));
        ck_assert_str_ne(member_text(future, "trace_hash"), before);
        snprintf(before, sizeof before, "%s", member_text(future, "trace_hash"));
        json_decref(future);
    }
}
END_TEST

START_TEST(test_branch__a_file_brings_a_future_back)
{
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof line,
             "branch gamble end=all --seed 1 --futures 1 --at '%s' --faults %s -o %s/f --json",
             instants[_i], modes[_i % MODES], folder);
    run(&command, line);
    ck_assert_int_eq(command.status, 1);
    json_t *future = lines_json(command.out, 0);
    snprintf(line, sizeof line, "replay %s/f/gamble-1-future-2.replay --record %s/record.replay",
             folder, folder);
    run(&other, line);
    ck_assert_int_eq(other.status, 1);
    ck_assert_ptr_null(strstr(other.out, "unused"));
    expect_hash(member_text(future, "trace_hash"));
    snprintf(line, sizeof line, "replay %s/record.replay --twice", folder);
    run(&other, line);
    expect_hash(member_text(future, "trace_hash"));
    json_decref(future);
}
END_TEST

/* A future of the future that a file holds. */
START_TEST(test_branch__a_future_has_futures)
{
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof line,
             "branch gamble end=all --seed 1 --futures 1 --at 'event 40' -o %s/f --json", folder);
    run(&command, line);
    snprintf(line, sizeof line,
             "branch %s/f/gamble-1-future-2.replay --futures 2 --at 'event 90' --json", folder);
    run(&command, line);
    ck_assert_int_eq(command.status, 1);
    for (int i = 0; i < 2; i++) {
        json_t *future = lines_json(command.out, i);
        ck_assert_int_eq(member_number(future, "future"), i == 0 ? 1 : 3); /* 2 is the file's */
        command_shell(&other, member_text(future, "replay"));
        expect_hash(member_text(future, "trace_hash"));
        json_decref(future);
    }
    snprintf(line, sizeof line,
             "branch %s/f/gamble-1-future-2.replay --futures 2 --at 'event 30' --json", folder);
    run(&command, line); /* before the one that the file names: there is no such instant */
    ck_assert_int_eq(command.status, 1);
    json_t *summary = lines_json(command.out, -1);
    ck_assert_int_eq(member_number(summary, "event"), 40);
    json_decref(summary);
}
END_TEST

START_TEST(test_branch__the_past_is_as_it_was)
{
    char line[LINE_MAX_BYTES];
    run(&command, "replay gamble --seed 1 --trace");
    snprintf(line, sizeof line, "replay gamble --seed 1 --trace --at '%s' --future 9",
             instants[_i]);
    run(&other, line);
    char *begins = strstr(other.out, "future 9 begins here");
    ck_assert_ptr_nonnull(begins);
    while (begins > other.out && begins[-1] != '\n')
        begins--;
    ck_assert_int_eq(strncmp(other.out, command.out, (size_t)(begins - other.out)), 0);
    ck_assert_str_ne(other.out, command.out);
}
END_TEST

/* All but the times. */
static void run_without_times(struct command *ret_command, const char *line)
{
    run(ret_command, line);
    char *times = strstr(ret_command->out, "\"past_seconds\"");
    if (times == NULL)
        times = strstr(ret_command->out, "\"seconds\"");
    ck_assert_ptr_nonnull(times);
    *times = '\0';
}

START_TEST(test_branch__same_with_any_number_of_jobs)
{
    run_without_times(&command, "branch gamble --seed 1 --at 'event 60' --futures 20 --jobs 1 "
                                "--json");
    run_without_times(&other, "branch gamble --seed 1 --at 'event 60' --futures 20 --jobs 5 "
                              "--json");
    ck_assert_str_eq(command.out, other.out);
    run_without_times(&command, "branch gamble --seed 1 --at 'event 60' --futures 20 --jobs 1 "
                                "--failures 2 --json");
    run_without_times(&other, "branch gamble --seed 1 --at 'event 60' --futures 20 --jobs 5 "
                              "--failures 2 --json");
    ck_assert_str_eq(command.out, other.out);
    ck_assert_uint_eq(lines_count(command.out), 2); /* and the summary, which is cut off */
    /* The first that fails so, 1, takes longer than another, 11. */
    run_without_times(&command, "branch gamble end=slow --seed 4 --at 'event 60' --futures 12 "
                                "--jobs 1 --json");
    run_without_times(&other, "branch gamble end=slow --seed 4 --at 'event 60' --futures 12 "
                              "--jobs 12 --json");
    ck_assert_str_eq(command.out, other.out);
}
END_TEST

START_TEST(test_branch__failures_by_cause)
{
    run(&command, "branch gamble end=hang --seed 1 --at 'event 60' --futures 20 --timeout 400ms");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "gamble end=hang seed 1, from ");
    ck_contains(command.out, " of 20 futures fail, ");
    ck_contains(command.out, " fails the check: the coin is not 0\n");
    ck_contains(command.out, " fails: crash: SIGABRT\n");
    ck_contains(command.out, " fails: hang: no end after 400 ms\n");
    ck_contains(command.out, " futures failed, for 3 causes:\n");
    run(&command, "branch gamble --seed 1 --at 'event 200' --futures 3");
    ck_contains(command.out, "3 of 3 futures fail, 100 %");
    ck_contains(command.out, "it printed last:\n  | after the coin\n"); /* once, not from before */
    run(&command, "branch clean --seed 1 --at 100ms --futures 3");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "0 of 3 futures fail, 0 %");
}
END_TEST

static const struct {
    const char *line;
    const char *says;
} wrong[] = {
    {"branch gamble --seed 1", "from when on? give --at INSTANT"},
    {"branch gamble --at 1ms", "which seed? give --seed N"},
    {"branch gamble --seed 1 --at soon", "--at soon: this must be an instant, such as 12.5ms"},
    {"branch gamble --seed 1 --at 'event x'", "this must be an instant"},
    {"branch gamble --seed 1 --at 'after stat'", "this must be an instant"},
    {"branch gamble --seed 1 --at 1ms --futures 0", "a number from 1 to 100000"},
    {"branch gamble --seed 1 --at 1ms --faults all", "--faults all: this must be seed"},
    {"branch gamble --seed 1 --at 1h", "this must be an instant"},
    {"branch clean --seed 1 --at 10s", "seed 1 ends before '10s': it has "},
    {"branch gamble --seed 1 --at 'sometimes never'",
     "seed 1 fails before 'sometimes never': the coin is not 0"},
    {"branch hangs --seed 1 --at 'after nobody/crash#1' --timeout 300ms",
     "seed 1 fails before 'after nobody/crash#1': hang: no end after 300 ms"},
    {"replay gamble --seed 1 --at 1ms", "which future from there? give --future N"},
    {"replay gamble --seed 1 --future 3", "from when on? give --at INSTANT"},
    {"replay gamble --seed 1 --faults none", "of which future? give --at and --future"},
    {"replay ./ --at 1ms --future 3", "--at: not for a folder, give one of its files"},
    {"inevitable clean --seed 1 --futures 2", "seed 1 passes: nothing in it is inevitable"},
};

START_TEST(test_branch__says_what_is_wrong)
{
    run(&command, wrong[_i].line);
    ck_assert_int_eq(command.status, 2);
    ck_contains(command.err, wrong[_i].says);
    ck_assert_str_eq(command.out, "");
}
END_TEST

/* Who has the write end of a pipe is alive. */
START_TEST(test_branch__leaves_no_process_behind)
{
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    int null = open("/dev/null", O_WRONLY);
    pid_t pid = command_start(
        program, "branch gamble end=hang --seed 1 --at 20ms --futures 40 --timeout 0 --jobs 4",
        null, null);
    close(ends[1]);
    usleep(300000);
    kill(pid, SIGTERM);
    ck_assert_int_eq(command_wait(pid), 128 + SIGTERM);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    close(null);
}
END_TEST

/* ---- what decides a run ---------------------------------------------------------------------- */

static bool has_decisive_row(const json_t *answer, const char *text)
{
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(answer, "rows"), i, row)
    {
        if (json_is_true(json_object_get(row, "decisive")) &&
            strcmp(member_text(row, "text"), text) == 0)
            return true;
    }
    return false;
}

START_TEST(test_branch__the_event_that_decides)
{
    run(&command, "inevitable gamble --seed 1 --futures 8 --json");
    ck_assert_int_eq(command.status, 1);
    json_t *answer = lines_json(command.out, 0);
    const json_t *before = json_object_get(answer, "before");
    const json_t *after = json_object_get(answer, "after");
    ck_assert_int_eq(member_number(before, "event") + 1, member_number(after, "event"));
    ck_assert_int_gt(member_number(before, "passed"), 0);
    ck_assert_int_eq(member_number(after, "passed"), 0);
    ck_assert_int_eq(member_number(after, "same"), 16); /* asked twice as many */
    ck_assert_int_gt(member_number(answer, "noticed_event"), member_number(after, "event") + 50);
    ck_assert(has_decisive_row(answer, "the coin shows 0"));
    command_shell(&other, member_text(before, "passes"));
    ck_assert_int_eq(other.status, 0);
    command_shell(&other, member_text(after, "fails"));
    ck_assert_int_eq(other.status, 1);
    ck_contains(other.out, "fails the check: the coin is not 0");
    json_decref(answer);
    run(&other, "inevitable gamble --seed 1 --futures 8 --jobs 5");
    ck_contains(other.out, "gamble seed 1 fails the check: the coin is not 0\ndecided at ");
    ck_contains(other.out, "  (scenario)     the coin shows 0\n");
    ck_contains(other.out, ": none of 16 futures passes, 16 fail so\n");
    ck_contains(other.out, "\nfutures that pass, by the instant at which they begin:\n");
}
END_TEST

START_TEST(test_branch__decided_at_either_end)
{
    run(&command, "inevitable some --seed 2 --futures 4");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "decided before it begins:\n");
    ck_contains(command.out, ": none of 8 futures passes, 8 fail so\n");
    run(&command, "inevitable gamble end=late --seed 3 --futures 8");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "decided only by the event in which it is noticed:\n");
    run(&command, "inevitable gamble --seed 2 --futures 8"); /* a crash */
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "gamble seed 2 fails: crash: SIGABRT\n"
                             "decided only by the event in which it is noticed:\n");
}
END_TEST

int main(void)
{
    TCase *branch = tcase_create("branch");
    tcase_add_checked_fixture(branch, setup, teardown);
    tcase_add_loop_test(branch, test_branch__what_was_forked_is_what_is_replayed, 0,
                        INSTANTS * MODES);
    tcase_add_loop_test(branch, test_branch__a_file_brings_a_future_back, 0, INSTANTS);
    tcase_add_test(branch, test_branch__a_future_has_futures);
    tcase_add_loop_test(branch, test_branch__the_past_is_as_it_was, 0, INSTANTS);
    tcase_add_test(branch, test_branch__same_with_any_number_of_jobs);
    tcase_add_test(branch, test_branch__failures_by_cause);
    tcase_add_loop_test(branch, test_branch__says_what_is_wrong, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(branch, test_branch__leaves_no_process_behind);
    tcase_add_test(branch, test_branch__the_event_that_decides);
    tcase_add_test(branch, test_branch__decided_at_either_end);
    return suite_run_apart("branch", branch);
}

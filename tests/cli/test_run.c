/*
 * test_run.c: campaigns over tiny scenarios: each way a seed can end is a failing seed and
 * nothing more, and the report is the same however many run at a time.
 */
#define _GNU_SOURCE 1 /* pipe2, pseudo terminals */

#include "tests/suite.h"

#include "command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void run(const char *line)
{
    command_run(&command, program, line);
}

/* The status, and the summary with these counts. */
static void expect(int status, long long seeds, long long failures)
{
    json_t *summary = lines_json(command.out, -1);
    ck_assert_int_eq(command.status, status);
    ck_assert(json_is_true(json_object_get(summary, "summary")));
    ck_assert_int_eq(member_number(summary, "seeds"), seeds);
    ck_assert_int_eq(member_number(summary, "failures"), failures);
    json_decref(summary);
}

static void expect_text(int index, const char *name, const char *text)
{
    json_t *object = lines_json(command.out, index);
    ck_assert_str_eq(member_text(object, name), text);
    json_decref(object);
}

/* ---- ways to end ----------------------------------------------------------------------------- */

START_TEST(test_run__clean)
{
    run("run clean --seeds 7");
    ck_assert_int_eq(command.status, 0);
    ck_assert_str_eq(command.err, "");
    ck_assert(starts_with(command.out, "clean: 7 seeds, 0 failed, in "));
    ck_assert_ptr_null(strstr(command.out, "warning"));
}
END_TEST

START_TEST(test_run__a_seed_meets_a_clean_process)
{
    char line[4096];
    snprintf(line, sizeof line, "echo words | %s run untouched --seeds 4 --jobs 2", program);
    command_shell(&command, line);
    ck_assert_str_eq(command.err, "");
    ck_assert_msg(command.status == 0, "%s", command.out);
}
END_TEST

/* Nothing of the seeds that ran in the same place before is taken for this one's answer. */
START_TEST(test_run__an_answer_is_the_seed_s_own)
{
    run("run fifth_exits --jobs 1 --json");
    expect(1, 5, 1);
    expect_text(0, "check", "the program called exit(3)");
    expect_text(0, "trace_hash", "0000000000000000");
}
END_TEST

static const struct {
    const char *line;
    const char *check;
    const char *detail;
    bool finished;
} ways[] = {
    {"run fails --json", "sums are right", "a note with \"quotes\", ? and a \x1b[31m colour", true},
    {"run fatal --json", "orrery: the rule number 7 is broken", "died by SIGABRT", false},
    {"run aborts --json", "crash: SIGABRT", "died by SIGABRT", false},
    {"run exits --json", "the program called exit(3)", "exit status 3", false},
    {"run exits status=0 --json", "the program called exit(0)", "exit status 0", false},
    {"run hangs --timeout 300ms --json", "hang: no end after 300 ms", "killed after 300 ms", false},
    {"run floods --json", "the end of the flood", "unreachable", true},
};

START_TEST(test_run__ways_to_end)
{
    run(ways[_i].line);
    expect(1, 1, 1);
    json_t *failure = lines_json(command.out, 0);
    ck_assert_int_eq(member_number(failure, "seed"), 1);
    ck_assert_str_eq(member_text(failure, "check"), ways[_i].check);
    ck_contains(member_text(failure, "detail"), ways[_i].detail);
    ck_assert_uint_eq(strspn(member_text(failure, "trace_hash"), "0123456789abcdef"), 16);
    ck_assert_uint_eq(strlen(member_text(failure, "trace_hash")), 16);
    ck_assert_int_eq(json_is_true(json_object_get(failure, "finished")), ways[_i].finished);
    json_decref(failure);
}
END_TEST

START_TEST(test_run__segmentation_fault)
{
    run("run segfaults --json");
    expect(1, 1, 1);
    json_t *failure = lines_json(command.out, 0);
    const char *check = member_text(failure, "check");
    if (SUITE_SANITIZED)
        ck_assert(strstr(check, "Sanitizer") != NULL || strstr(check, "runtime error") != NULL);
    else
        ck_assert_str_eq(check, "crash: SIGSEGV");
    json_decref(failure);
}
END_TEST

/* Only a leak checker can see it; then it is a failing seed. */
START_TEST(test_run__leak)
{
    command_check_leaks();
    run("run leaks --seeds 3 --json");
    expect(SUITE_SANITIZED, SUITE_SANITIZED ? 1 : 3, SUITE_SANITIZED);
    if (SUITE_SANITIZED) {
        json_t *failure = lines_json(command.out, 0);
        ck_contains(member_text(failure, "check"), "SUMMARY: AddressSanitizer: 100 byte(s) leaked");
        json_decref(failure);
    }
}
END_TEST

START_TEST(test_run__keeps_the_last_output)
{
    run("run floods --json");
    json_t *failure = lines_json(command.out, 0);
    const char *output = member_text(failure, "output");
    ck_assert(starts_with(output, "line "));
    ck_assert_uint_gt(strlen(output), 7000);
    ck_assert_uint_le(strlen(output), 8192);
    char *last = lines_copy(output, -1);
    ck_assert_str_eq(last, "line 19999 of the flood");
    free(last);
    json_decref(failure);
    run("run fatal --json");
    expect_text(0, "output", "this goes before\norrery: the rule number 7 is broken\n");
    run("run aborts --json");
    expect_text(0, "output", "last words without a newline");
}
END_TEST

START_TEST(test_run__kills_what_a_seed_left_behind)
{
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    run("run forks --json");
    expect(1, 1, 1);
    json_t *failure = lines_json(command.out, 0);
    const char *process = strstr(member_text(failure, "detail"), "process ");
    ck_assert_ptr_nonnull(process);
    pid_t pid = (pid_t)strtol(process + strlen("process "), NULL, 10);
    ck_assert_int_eq(command_wait(pid), 128 + SIGKILL);
    json_decref(failure);
}
END_TEST

/* ---- which seeds ----------------------------------------------------------------------------- */

static const struct {
    const char *line;
    long long seeds;
} ranges[] = {
    {"run clean --json --seeds 12", 12},
    {"run clean --json --seeds 3..9", 7},
    {"run clean --json --seeds 0..0", 1},
    {"run clean --json --seeds 0xa..0xF", 6},
    {"run clean --json --seed 77", 1},
    {"run clean --json --seeds 18446744073709551610..18446744073709551615", 6},
    {"run --json --seeds=5 clean --jobs=2", 5},
    {"run --json -- clean", 1000}, /* not under a sanitizer, which would take long */
};

START_TEST(test_run__ranges)
{
    run(ranges[_i].line);
    expect(0, ranges[_i].seeds, 0);
}
END_TEST

START_TEST(test_run__the_largest_seed)
{
    run("run fails --seed 0xffffffffffffffff --json");
    ck_assert_int_eq(command.status, 1);
    ck_assert(starts_with(command.out, "{\"seed\": 18446744073709551615, "));
    ck_contains(command.out, " replay fails --seed 18446744073709551615\"");
}
END_TEST

START_TEST(test_run__time_limit)
{
    run("run clean --time 300ms --json");
    expect_text(-1, "stopped", "time");
    run("run clean --time 1h --seeds 3 --json");
    expect_text(-1, "stopped", "end");
    expect(0, 3, 0);
}
END_TEST

START_TEST(test_run__parameters_reach_the_seed)
{
    run("run size=9 choosy --json bug=two-off");
    expect(1, 1, 1);
    json_t *failure = lines_json(command.out, 0);
    const json_t *parameters = json_object_get(failure, "parameters");
    ck_contains(member_text(failure, "detail"), "size 9");
    ck_assert_str_eq(member_text(parameters, "bug"), "two-off");
    ck_assert_str_eq(member_text(parameters, "size"), "9");
    ck_contains(member_text(failure, "replay"), " replay choosy size=9 bug=two-off --seed 1");
    json_decref(failure);
    run("run choosy --seeds 2 --json");
    expect(0, 2, 0);
}
END_TEST

/* ---- failures in order ----------------------------------------------------------------------- */

/* Everything but what is measured in real time. */
static char *without_real_time(const char *out)
{
    json_t *summary = lines_json(out, -1);
    json_object_del(summary, "seconds");
    json_object_del(summary, "rates");
    json_object_del(summary, "jobs");
    char *last = json_dumps(summary, 0);
    const char *last_line = strrchr(out, '{');
    while (last_line > out && last_line[-1] != '\n')
        last_line--;
    size_t size = (size_t)(last_line - out) + strlen(last) + 1;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    snprintf(text, size, "%.*s%s", (int)(last_line - out), out, last);
    free(last);
    json_decref(summary);
    return text;
}

START_TEST(test_run__same_with_any_number_of_jobs)
{
    static const char *const lines[] = {
        "run some --seeds 40 --json --jobs ",
        "run some --seeds 60 --json --failures 5 --jobs ",
        "run some --seeds 40 --json --failures 0 --jobs ",
        "run fatal --seeds 20 --json --failures 0 --jobs ",
        "run one_late --seeds 60 --json --failures 1 --jobs ",
        "run one_late --seeds 60 --json --failures 2 --jobs ",
    };
    static const char *const jobs[] = {"1", "8", "2", "8"};
    const size_t jobs_count = SUITE_SANITIZED ? 2 : sizeof jobs / sizeof *jobs;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *first = NULL;
        for (size_t j = 0; j < jobs_count; j++) {
            char line[256];
            snprintf(line, sizeof line, "%s%s", lines[i], jobs[j]);
            run(line);
            ck_assert_int_eq(command.status, 1);
            char *text = without_real_time(command.out);
            if (first == NULL)
                first = strdup(text);
            ck_assert_msg(strcmp(text, first) == 0, "%s%s differs", lines[i], jobs[j]);
            free(text);
        }
        free(first);
    }
}
END_TEST

START_TEST(test_run__failures_stop_it_in_order)
{
    run("run one_late --seeds 60 --json --jobs 8");
    expect(1, 2, 1);
    expect_text(0, "check", "the seed is not 2");
    expect_text(-1, "stopped", "failures");
    run("run one_late --seeds 60 --json --failures 2 --jobs 8");
    expect(1, 40, 2);
    expect_text(1, "check", "the seed is not 40");
    run("run one_late --seeds 60 --json --failures 3 --jobs 8");
    expect(1, 60, 2);
    expect_text(-1, "stopped", "end");
    run("run one_late --seeds 3..40 --json");
    expect(1, 38, 1);
    expect_text(-1, "stopped", "end");
}
END_TEST

/* Far more seeds than the campaign holds results for wait for one that is late. */
START_TEST(test_run__a_slow_seed_loses_no_other)
{
    run("run one_late ms=2000 --seeds 2..2500 --json --failures 0 --jobs 8");
    expect(1, 2499, 2);
    expect_text(0, "check", "the seed is not 2");
    expect_text(1, "check", "the seed is not 40");
}
END_TEST

START_TEST(test_run__all_failures_are_told_in_order)
{
    run("run some --seeds 200 --json --failures 0 --jobs 8");
    json_t *summary = lines_json(command.out, -1);
    int failures = (int)member_number(summary, "failures");
    ck_assert_int_eq(member_number(summary, "seeds"), 200);
    ck_assert_int_ge(failures, 10);
    ck_assert_uint_eq(lines_count(command.out), (size_t)failures + 1);
    long long before = 0;
    for (int i = 0; i < failures; i++) {
        json_t *failure = lines_json(command.out, i);
        ck_assert_int_gt(member_number(failure, "seed"), before);
        before = member_number(failure, "seed");
        json_decref(failure);
    }
    json_decref(summary);
}
END_TEST

/* What was found before does not show in the memory that a seed begins with. */
START_TEST(test_run__every_seed_begins_from_the_same_image)
{
    run("run heap --seeds 20 --failures 0 --json --jobs 1");
    expect(1, 20, 20);
    json_t *first = lines_json(command.out, 0);
    for (int i = 1; i < 20; i++)
        expect_text(i, "detail", member_text(first, "detail"));
    json_decref(first);
}
END_TEST

/* ---- the report for eyes --------------------------------------------------------------------- */

START_TEST(test_run__report)
{
    run("run fails --failures 12 --seeds 20");
    ck_assert_int_eq(command.status, 1);
    ck_assert(
        starts_with(command.out, "seed 1 fails the check: sums are right\nseed 2 fails the "));
    ck_contains(command.out, "\nseed 12 fails the check: sums are right\n");
    ck_contains(command.out, "fails: 12 seeds, 12 failed, in ");
    ck_contains(command.out, "stopped after 12 failing seeds");
    ck_contains(command.out, "\n\nAll 12 failed for one cause. The first of them in full:\n\n"
                             "seed 1 fails the check: sums are right\n");
    ck_assert_ptr_null(strstr(command.out, "\n\nseed 2 "));
    ck_contains(command.out, "\\x1b[31m colour");
    ck_assert_ptr_null(strchr(command.out, '\x1b'));
    char *last = lines_copy(command.out, -1);
    ck_assert(starts_with(last, "  replay: "));
    ck_contains(last, " replay fails --seed 1");
    free(last);
}
END_TEST

/* Each cause in full by its first seed, and a list of all causes at last. */
START_TEST(test_run__groups_of_failures)
{
    static const int first_seeds[] = {1, 2, 4, 5, 6};
    run("run mixed --failures 0 --seeds 16");
    ck_contains(command.out, "mixed: 16 seeds, 12 failed, in ");
    for (size_t i = 0; i < sizeof first_seeds / sizeof *first_seeds; i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "\n\nseed %d fails", first_seeds[i]);
        ck_contains(command.out, wanted);
        snprintf(wanted, sizeof wanted, " replay mixed --seed %d\n", first_seeds[i]);
        ck_contains(command.out, wanted);
    }
    ck_assert_ptr_null(strstr(command.out, "\n\nseed 3 "));
    const char *list = strstr(command.out, "\n\n12 seeds failed, for 5 causes:\n"
                                           "      2 x the check: the first check\n  replay: ");
    ck_assert_msg(list != NULL, "%s", command.out);
    ck_contains(list, "\n      4 x the check: the second check\n");
    ck_contains(list, "\n      2 x the program called exit(3)\n");
    if (!SUITE_SANITIZED) {
        ck_contains(list, "\n      2 x crash: SIGSEGV at cli-scenarios+0x");
        ck_contains(command.out, "  the process of this seed died by SIGSEGV at cli-scenarios+0x");
    }
    char *last = lines_copy(command.out, -1);
    ck_contains(last, " replay mixed --seed 6");
    free(last);
}
END_TEST

/* The shard is what a machine runs of a campaign: every third seed. */
START_TEST(test_run__shard)
{
    run("run fails --seeds 3..20 --failures 0 --shard 2/3");
    ck_contains(command.out, "fails, shard 2/3: 6 seeds, 6 failed, in ");
    for (int seed = 3; seed <= 20; seed++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "seed %d fails the check", seed);
        ck_assert_int_eq(strstr(command.out, wanted) != NULL, seed % 3 == 1);
    }
    run("run fails --seed 18446744073709551615 --shard 2/3");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "fails, shard 2/3: 0 seeds, 0 failed, in ");
}
END_TEST

START_TEST(test_run__shows_the_output_of_a_crash)
{
    run("run fatal");
    ck_contains(command.out, "  the process of this seed died by SIGABRT\n"
                             "  it printed last:\n"
                             "  | this goes before\n"
                             "  | orrery: the rule number 7 is broken\n");
    run("run floods");
    ck_contains(command.out, "it printed last:\n  | line 19980 of the flood\n");
    ck_contains(command.out, "\n  | line 19999 of the flood\n  trace hash ");
}
END_TEST

START_TEST(test_run__warns_of_what_was_never_seen)
{
    run("run never --seeds 5");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "warning: reached, but not once true in 5 seeds: "
                             "sometimes \"a thing that never happens\"\n");
    ck_assert_ptr_null(strstr(command.out, "a thing that always happens"));
    run("run never --seeds 5 --json");
    json_t *summary = lines_json(command.out, -1);
    const json_t *sometimes = json_object_get(summary, "sometimes");
    ck_assert_int_eq(member_number(sometimes, "a thing that never happens"), 0);
    ck_assert_int_eq(member_number(sometimes, "a thing that always happens"), 5);
    ck_assert_ptr_nonnull(json_object_get(json_object_get(summary, "faults"), "power-loss"));
    json_decref(summary);
}
END_TEST

/* ---- the surroundings ------------------------------------------------------------------------ */

/* A terminal: its master side, and `ret_terminal` for the program. */
static int open_terminal(int *ret_terminal)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(master, 0);
    ck_assert(grantpt(master) == 0 && unlockpt(master) == 0);
    *ret_terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(*ret_terminal, 0);
    return master;
}

/* What a run writes to stderr when that is a terminal. */
static void run_on_terminal(const char *line, int status, char *seen, size_t size)
{
    int terminal;
    int master = open_terminal(&terminal);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    pid_t pid = command_start(program, line, null, terminal);
    close(terminal);
    size_t length = 0;
    ssize_t part;
    while ((part = read(master, seen + length, size - 1 - length)) > 0)
        length += (size_t)part;
    seen[length] = '\0';
    ck_assert_int_eq(command_wait(pid), status);
    close(master);
    close(null);
}

START_TEST(test_run__progress_on_a_terminal)
{
    char seen[8192];
    run_on_terminal("run hangs --timeout 1500ms --jobs 1", 1, seen, sizeof seen);
    ck_assert(starts_with(seen, "0 of 1000: 0 failed  "));
    ck_contains(seen, " seeds/s  ");
    ck_contains(seen, " x real time)\r");
    run_on_terminal("run hangs --timeout 1500ms --jobs 1 --json", 1, seen, sizeof seen);
    ck_assert_str_eq(seen, "");
}
END_TEST

/* Reads one line from a pipe, byte by byte, so that nothing behind it is taken. */
static void read_line(int pipe)
{
    char byte = 0;
    while (byte != '\n')
        ck_assert_int_eq(read(pipe, &byte, 1), 1);
}

START_TEST(test_run__interrupt_ends_with_a_summary)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = command_start(program, "run some --time 1h --failures 0 --json", ends[1], 2);
    close(ends[1]);
    read_line(ends[0]);
    ck_assert_int_eq(kill(pid, SIGINT), 0);
    FILE *out = fdopen(ends[0], "r");
    char line[16384];
    char last[16384] = "";
    while (fgets(line, sizeof line, out) != NULL)
        memcpy(last, line, sizeof last);
    fclose(out);
    ck_assert_int_eq(command_wait(pid), 128 + SIGINT);
    ck_contains(last, "{\"summary\": true, ");
    ck_contains(last, "\"stopped\": \"signal\"");
}
END_TEST

/* A failure that waits for an earlier seed is not lost by an interrupt. */
START_TEST(test_run__interrupt_tells_what_is_known)
{
    int terminal;
    int master = open_terminal(&terminal);
    FILE *out = tmpfile();
    pid_t pid = command_start(program,
                              "run one_late ms=9000000 --timeout 0 --seeds 2..60 --jobs 2 "
                              "--failures 0",
                              fileno(out), terminal);
    close(terminal);
    char seen[65536] = "";
    size_t length = 0;
    while (strstr(seen, "58 of 59: 1 failed") == NULL) {
        ssize_t part = read(master, seen + length, sizeof seen - 1 - length);
        ck_assert_int_gt(part, 0);
        length += (size_t)part;
        seen[length] = '\0';
    }
    ck_assert_int_eq(kill(pid, SIGTERM), 0);
    ck_assert_int_eq(command_wait(pid), 128 + SIGTERM);
    char text[4096];
    rewind(out);
    text[fread(text, 1, sizeof text - 1, out)] = '\0';
    ck_assert(starts_with(text, "seed 40 fails the check: the seed is not 40\n"));
    ck_contains(text, ": 58 seeds, 1 failed, in ");
    ck_contains(text, "stopped by a signal");
    fclose(out);
    close(master);
}
END_TEST

START_TEST(test_run__a_reader_who_leaves_ends_it)
{
    int ends[2];
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = command_start(program, "run fails --time 1h --failures 0 --json", ends[1], null);
    close(ends[1]);
    read_line(ends[0]);
    close(ends[0]);
    ck_assert_int_eq(command_wait(pid), 128 + SIGPIPE);
    close(null);
}
END_TEST

START_TEST(test_run__a_full_disk_is_said)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    FILE *err = tmpfile();
    ck_assert(full >= 0 && err != NULL);
    ck_assert_int_eq(
        command_wait(command_start(program, "run fails --seeds 20", full, fileno(err))), 2);
    ck_assert_int_eq(
        command_wait(command_start(program, "run clean --json --seeds 20", full, fileno(err))), 2);
    ck_assert_int_eq(command_wait(command_start(program, "list", full, fileno(err))), 2);
    ck_assert_int_eq(
        command_wait(command_start(program, "replay clean --seed 1", full, fileno(err))), 2);
    char text[4096];
    rewind(err);
    size_t length = fread(text, 1, sizeof text - 1, err);
    text[length] = '\0';
    ck_assert_uint_eq(lines_count(text), 4);
    ck_contains(text, ": cannot write to standard output: No space left on device\n");
    fclose(err);
    close(full);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int main(void)
{
    TCase *tests = tcase_create("run");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_run__clean);
    tcase_add_test(tests, test_run__a_seed_meets_a_clean_process);
    tcase_add_test(tests, test_run__an_answer_is_the_seed_s_own);
    tcase_add_loop_test(tests, test_run__ways_to_end, 0, COUNT(ways));
    tcase_add_test(tests, test_run__segmentation_fault);
    tcase_add_test(tests, test_run__leak);
    tcase_add_test(tests, test_run__keeps_the_last_output);
    tcase_add_test(tests, test_run__kills_what_a_seed_left_behind);
    tcase_add_loop_test(tests, test_run__ranges, 0, COUNT(ranges) - SUITE_SANITIZED);
    tcase_add_test(tests, test_run__the_largest_seed);
    tcase_add_test(tests, test_run__time_limit);
    tcase_add_test(tests, test_run__parameters_reach_the_seed);
    tcase_add_test(tests, test_run__same_with_any_number_of_jobs);
    tcase_add_test(tests, test_run__failures_stop_it_in_order);
    if (!SUITE_SANITIZED) /* thousands of processes, and the same code */
        tcase_add_test(tests, test_run__a_slow_seed_loses_no_other);
    tcase_add_test(tests, test_run__all_failures_are_told_in_order);
    tcase_add_test(tests, test_run__every_seed_begins_from_the_same_image);
    tcase_add_test(tests, test_run__report);
    tcase_add_test(tests, test_run__groups_of_failures);
    tcase_add_test(tests, test_run__shard);
    tcase_add_test(tests, test_run__shows_the_output_of_a_crash);
    tcase_add_test(tests, test_run__warns_of_what_was_never_seen);
    tcase_add_test(tests, test_run__progress_on_a_terminal);
    tcase_add_test(tests, test_run__interrupt_ends_with_a_summary);
    tcase_add_test(tests, test_run__interrupt_tells_what_is_known);
    tcase_add_test(tests, test_run__a_reader_who_leaves_ends_it);
    tcase_add_test(tests, test_run__a_full_disk_is_said);
    return suite_run_apart("run", tests);
}

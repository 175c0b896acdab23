/*
 * test_twice.c: what no seed decides is found, and found where it is: the node, the line that lets
 * it out, and the bytes. What is clean passes, and which seeds are run twice is always the same.
 */
#define _GNU_SOURCE 1 /* mkdtemp, setenv */

#include "tests/cli/command.h"
#include "tests/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHECK "the run is not deterministic"

static struct command command;
static const char *program;
static char directory[] = "/tmp/orrery-twice-XXXXXX";

static void setup(void)
{
    program = command_path("TWICE_PROGRAM");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(setenv("TWICE_DIRECTORY", directory, 1), 0);
}

static void teardown(void)
{
    char line[64];
    command_clear(&command);
    snprintf(line, sizeof line, "rm -r %s", directory);
    command_shell(&command, line);
    command_clear(&command);
}

/* "(tests/twice/leaks.c:123)": the line of leaks.c that is marked so. */
static void find_site(const char *mark, char *site, size_t size)
{
    char text[512];
    char wanted[64];
    FILE *source = fopen(command_path("TWICE_SOURCE"), "r");
    ck_assert_ptr_nonnull(source);
    snprintf(wanted, sizeof wanted, "/* LEAK %s */", mark);
    int line = 1;
    while (fgets(text, sizeof text, source) != NULL && strstr(text, wanted) == NULL)
        line++;
    ck_assert_msg(!feof(source), "no line of leaks.c is marked %s", wanted);
    fclose(source);
    snprintf(site, size, "  (tests/twice/leaks.c:%d)\n", line);
}

/* The line that tells the event of a run: of the node, at the mark, in these words. */
static void expect_event(const char *which, const char *words, const char *mark)
{
    char begin[32];
    char site[64];
    find_site(mark, site, sizeof site);
    snprintf(begin, sizeof begin, "\n    %-7s", which);
    const char *line = strstr(command.out, begin);
    ck_assert_msg(line != NULL, "no %s run in:\n%s", which, command.out);
    line += strlen(begin);
    char *told = strndup(line, strcspn(line, "\n") + 1);
    ck_contains(told, " ms  leaky ");
    ck_contains(told, words);
    ck_contains(told, site);
    free(told);
}

static const struct {
    const char *leak;
    const char *words; /* of the event */
    const char *mark;
    const char *bytes; /* or NULL: it gives none away */
    bool needs_malloc; /* of the C library */
} leaks[] = {
    {"clock", "has its next timer in 1.", "timeout", NULL, false},
    {"address", "has its next timer in 1.", "timeout", NULL, false},
    {"entropy", "submits send_to of 20 bytes on ", "send", "from byte 4 on", false},
    {"order", "submits send_to of 16 bytes on ", "send", "from byte 0 on", true},
    {"directory", "submits send_to of 8192 bytes on ", "send", "from byte ", false},
    {"name", "submits mkdir", "mkdir", "from byte ", false},
    {"memory", "submits write of 48 bytes at 0 on ", "write", "from byte 4 on", false},
    {"heap", "submits write of 48 bytes at 0 on ", "write", "from byte ", true},
    {"peer", "submits send_to of 48 bytes on ", "send", "from byte 58 on", false},
    {"early", "submits send_to of 48 bytes on ", "send", "from byte 58 on", false},
    {"stack", "submits write of 8192 bytes at 0 on ", "write", "from byte ", false},
};

static void expect_located(int number)
{
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, ": " CHECK "\n");
    ck_contains(command.out, "they part after ");
    expect_event("first", leaks[number].words, leaks[number].mark);
    expect_event("second", leaks[number].words, leaks[number].mark);
    if (leaks[number].bytes != NULL) {
        ck_contains(command.out, "the first bytes of it that differ, ");
        ck_contains(command.out, leaks[number].bytes);
    }
    ck_contains(command.out, "\n  before it, in both:\n");
}

START_TEST(test_leak__is_found_and_located)
{
    char line[128];
    if (leaks[_i].needs_malloc && strcmp(command_path("TWICE_SANITIZED"), "1") == 0)
        return; /* the sanitizer's allocator does not heed what the second run asks of malloc */
    snprintf(line, sizeof line, "run leaks leak=%s --seed 5 --twice", leaks[_i].leak);
    command_run(&command, program, line);
    expect_located(_i);
    ck_contains(command.out, " --seed 5 --twice\n");
    snprintf(line, sizeof line, "replay leaks leak=%s --seed 5 --twice", leaks[_i].leak);
    command_run(&command, program, line);
    expect_located(_i);
    ck_contains(command.out, " --seed 5 --twice --trace\n");
    /* One run alone tells nothing. */
    snprintf(line, sizeof line, "run leaks leak=%s --seed 5 --twice=none", leaks[_i].leak);
    command_run(&command, program, line);
    ck_assert_int_eq(command.status, 0);
}
END_TEST

/* The garbage of each kind of memory. */
static const struct {
    const char *leak;
    const char *first;
    const char *second;
    bool is_usual; /* in the memory of a process without a sanitizer */
} garbage[] = {
    {"memory", "a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5", "99 99 99 99 99 99 99 99 99 99 99 99", false},
    {"large", "00 00 00 00 00 00 00 00 00 00 00 00", "a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5 a5", true},
    {"stack", "00 00 00 00 00 00 00 00 00 00 00 00", "5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a", true},
};

START_TEST(test_leak__shows_the_bytes)
{
    char line[128];
    if (garbage[_i].is_usual && strcmp(command_path("TWICE_SANITIZED"), "1") == 0)
        return;
    snprintf(line, sizeof line, "run leaks leak=%s --seed 5 --twice", garbage[_i].leak);
    command_run(&command, program, line);
    snprintf(line, sizeof line, "\n    first   %s ...\n", garbage[_i].first);
    ck_contains(command.out, line);
    snprintf(line, sizeof line, "\n    second  %s ...\n", garbage[_i].second);
    ck_contains(command.out, line);
}
END_TEST

/* What one run does and the other does not. */
START_TEST(test_leak__of_a_cancel)
{
    command_run(&command, program, "run leaks leak=cancel --seed 5 --twice");
    ck_assert_int_eq(command.status, 1);
    expect_event("second", "cancels recv_from", "cancel");
}
END_TEST

/* What came before is told: here, the callback from which it comes. */
START_TEST(test_leak__tells_what_came_before)
{
    command_run(&command, program, "run leaks leak=early --seed 5 --twice");
    const char *before = strstr(command.out, "\n  before it, in both:\n");
    ck_assert_ptr_nonnull(before);
    ck_contains(before, " ms  leaky calls back open: 1  (tests/twice/leaks.c:");
    ck_contains(before, " ms  leaky asks for 48 bytes of memory\n");
}
END_TEST

START_TEST(test_leak__of_a_run_that_crashes)
{
    command_run(&command, program, "run leaks leak=crash --seed 5 --twice");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, "\n  the first run passes, after ");
    ck_contains(command.out, "\n  the second run fails: crash: SIGABRT\n");
    ck_contains(command.out, "\n    second does nothing any more\n");
}
END_TEST

/* The second run of all differs from the first, and later ones from neither: it is told all the
 * same. */
START_TEST(test_leak__that_does_not_show_again)
{
    command_run(&command, program, "run leaks leak=once --seed 5 --twice --jobs 1");
    ck_assert_int_eq(command.status, 1);
    ck_contains(command.out, ": " CHECK "\n");
    ck_contains(command.out, "no first difference was found in 8 more pairs of runs: ");
}
END_TEST

START_TEST(test_clean__passes)
{
    command_run(&command, program, "run leaks --seeds 60 --twice --failures 0");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "leaks: 60 seeds, 0 failed, ");
    command_run(&command, program, "replay leaks --seed 5 --twice");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "\nseed 5 passes, and a second run was the same\ntrace hash ");
}
END_TEST

/* A seed counts once, with the numbers and the hash of a run that is the only one. */
START_TEST(test_clean__counts_once)
{
    json_t *sums[2];
    for (int i = 0; i < 2; i++) {
        command_run(&command, program,
                    i == 0 ? "run leaks --seeds 70 --json --twice=none"
                           : "run leaks --seeds 70 --json --twice=all --jobs 7");
        sums[i] = lines_json(command.out, -1);
    }
    const char *const members[] = {"seeds", "failures", "events", "completions", "simulated_ns"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        ck_assert_int_eq(member_number(sums[0], members[i]), member_number(sums[1], members[i]));
    json_decref(sums[0]);
    json_decref(sums[1]);
}
END_TEST

static const struct {
    const char *line;
    int64_t found; /* the first failing seed; -1 = none */
} shares[] = {
    {"--seeds 100", 64},
    {"--seeds 63", -1},
    {"--seeds 1..100 --jobs 1", 64},
    {"--seeds 100 --jobs 9", 64},
    {"--seeds 65..127", -1},
    {"--seeds 100 --twice=40", 40},
    {"--seeds 41..79 --twice=40", -1},
    {"--seeds 100 --twice", 1},
    {"--seeds 100 --twice=all", 1},
    {"--seeds 100 --twice=none", -1},
    {"--seeds 100 --twice=0x30", 48},
};

START_TEST(test_share__is_the_same_seeds_always)
{
    char line[128];
    snprintf(line, sizeof line, "run leaks leak=memory --json %s", shares[_i].line);
    command_run(&command, program, line);
    ck_assert_int_eq(command.status, shares[_i].found < 0 ? 0 : 1);
    if (shares[_i].found < 0)
        return;
    json_t *failure = lines_json(command.out, 0);
    ck_assert_int_eq(member_number(failure, "seed"), shares[_i].found);
    ck_assert_str_eq(member_text(failure, "check"), CHECK);
    ck_assert_str_eq(member_text(failure, "cause"), "nondeterminism");
    snprintf(line, sizeof line, " --seed %lld --twice", (long long)shares[_i].found);
    ck_contains(member_text(failure, "replay"), line);
    /* And that command finds it again, in the same run. */
    command_shell(&command, member_text(failure, "replay"));
    ck_assert_int_eq(command.status, 1);
    snprintf(line, sizeof line, "trace hash %s\n", member_text(failure, "trace_hash"));
    ck_contains(command.out, line);
    json_decref(failure);
}
END_TEST

/* What looks for the difference writes no trace: that is the first run's. */
START_TEST(test_replay__has_the_trace_of_one_run)
{
    char line[256];
    snprintf(line, sizeof line,
             "%s replay leaks leak=memory --seed 5 --twice --trace=html:%s/page >%s/told; "
             "grep -c '^\\[\"n\",0,0,' %s/page",
             program, directory, directory, directory);
    command_shell(&command, line);
    ck_assert_str_eq(command.out, "1\n");
}
END_TEST

static const char *const examples[] = {"echo", "kv", "register"};

START_TEST(test_examples__are_deterministic)
{
    char line[128];
    snprintf(line, sizeof line, "run %s --seeds 8 --twice --failures 0", examples[_i]);
    command_run(&command, command_path("TWICE_ORRERY"), line);
    ck_assert_msg(command.status == 0, "%s", command.out);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("twice");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_leak__is_found_and_located, 0,
                        (int)(sizeof leaks / sizeof *leaks));
    tcase_add_loop_test(tests, test_leak__shows_the_bytes, 0,
                        (int)(sizeof garbage / sizeof *garbage));
    tcase_add_test(tests, test_leak__of_a_cancel);
    tcase_add_test(tests, test_leak__tells_what_came_before);
    tcase_add_test(tests, test_leak__of_a_run_that_crashes);
    tcase_add_test(tests, test_leak__that_does_not_show_again);
    tcase_add_test(tests, test_clean__passes);
    tcase_add_test(tests, test_clean__counts_once);
    tcase_add_test(tests, test_replay__has_the_trace_of_one_run);
    tcase_add_loop_test(tests, test_share__is_the_same_seeds_always, 0,
                        (int)(sizeof shares / sizeof *shares));
    const char *orrery = getenv("TWICE_ORRERY");
    if (orrery != NULL && orrery[0] != '\0')
        tcase_add_loop_test(tests, test_examples__are_deterministic, 0,
                            (int)(sizeof examples / sizeof *examples));
    return suite_run_apart("twice", tests);
}

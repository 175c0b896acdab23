/*
 * test_usage.c: what the command line refuses, and what it says about itself. Wrong usage is one
 * sentence that names the thing, where to read more, and the status 2, before anything runs.
 */
#include "tests/suite.h"

#include "command.h"

#include <stdio.h>
#include <string.h>

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

static const struct {
    const char *line;
    const char *says;
    const char *see;
} wrong[] = {
    {"", "which command?", " --help\n"},
    {"rum", "unknown command 'rum': did you mean 'run'?", " --help\n"},
    {"frobnicate", "unknown command 'frobnicate'", " --help\n"},
    {"--jobs 3 list", "unknown option --jobs before the command: it goes after 'run'", " --help\n"},
    {"list clean", "list takes no argument, not 'clean'", " list --help\n"},
    {"list --jsn", "unknown option --jsn: did you mean --json?", " list --help\n"},
    {"list --seeds 3", "unknown option --seeds: 'run' has it, 'list' has not", " list --help\n"},
    {"run", "which scenario?", " run --help\n"},
    {"run som", "unknown scenario 'som': did you mean 'some'?", " run --help\n"},
    {"run xyzzy", "unknown scenario 'xyzzy'", " run --help\n"},
    {"run clean fails", "'fails' is too much", " run --help\n"},
    {"run clean a=1", "scenario 'clean' has no parameter 'a': it has none", " run --help\n"},
    {"run choosy bgu=none", "has no parameter 'bgu': it has bug, size", " run --help\n"},
    {"run choosy bu=none", "has no parameter 'bu'", " run --help\n"},
    {"run choosy bug=three", "bug=three: the value must be one of none|one-off|two-off",
     " run --help\n"},
    {"run choosy bug=", "bug=: the value must be one of", " run --help\n"},
    {"run choosy bug=one", "bug=one: the value must be one of", " run --help\n"},
    {"run choosy bug=none|one-off", "the value must be one of", " run --help\n"},
    {"run choosy bug=none bug=none", "parameter 'bug' is given twice", " run --help\n"},
    {"run choosy size=-1", "size=-1: the value must be a number from 0 to 9223372036854775807",
     " run --help\n"},
    {"run choosy size=9223372036854775808", "must be a number from 0 to", " run --help\n"},
    {"run choosy size=0x10", "must be a number from 0 to", " run --help\n"},
    {"run choosy size=", "must be a number from 0 to", " run --help\n"},
    {"run clean --seeds", "--seeds needs a value", " run --help\n"},
    {"run clean --seeds 0", "--seeds 0: this must be at least one seed", " run --help\n"},
    {"run clean --seeds -5", "--seeds -5: this must be a count", " run --help\n"},
    {"run clean --seeds 5..4", "this must be a range A..B with A not above B", " run --help\n"},
    {"run clean --seeds 5..", "--seeds 5..: this must be a range A..B", " run --help\n"},
    {"run clean --seeds ..5", "--seeds ..5: this must be a range A..B", " run --help\n"},
    {"run clean --seeds 1...5", "this must be a range A..B", " run --help\n"},
    {"run clean --seeds 5x", "--seeds 5x: this must be a count", " run --help\n"},
    {"run clean --seeds 18446744073709551616", "this must be a count", " run --help\n"},
    {"run clean --seeds 0x10000000000000000", "this must be a count", " run --help\n"},
    {"run clean --seeds 0x", "this must be a count", " run --help\n"},
    {"run clean --seeds 9 --seed 5", "--seed 5: the seeds are given already", " run --help\n"},
    {"run clean --seed 5 --seeds 9", "--seeds 9: the seeds are given already", " run --help\n"},
    {"replay clean --seed 5 --seed 6", "--seed 6: the seeds are given already", " replay --help\n"},
    {"run clean 40", "'40' is too much: did you mean --seeds 40?", " run --help\n"},
    {"replay clean 40", "'40' is too much: did you mean --seed 40?", " replay --help\n"},
    {"replay choosy seed=6", "'seed=6' is no parameter: did you mean --seed 6?",
     " replay --help\n"},
    {"run choosy bug", "parameter 'bug' needs a value: bug=none is the default", " run --help\n"},
    {"run choosy =3", "'=3' has no name: a parameter is name=value", " run --help\n"},
    {"run clean --time 5x", "--time 5x: this must be a time like 60s", " run --help\n"},
    {"run clean --time 0s", "--time 0s: this must be a time like 60s, 5m or 2h, above 0",
     " run --help\n"},
    {"run clean --time 99999999999h", "at most 2562047h", " run --help\n"},
    {"run clean --time", "--time needs a value", " run --help\n"},
    {"run clean --twice=0", "--twice=0: this must be all, none, or N, from 1 to 184467440737095516",
     " run --help\n"},
    {"run clean --twice=some", "--twice=some: this must be all, none", " run --help\n"},
    {"run clean --twice=-1", "this must be all, none", " run --help\n"},
    {"run clean --twice=", "this must be all, none", " run --help\n"},
    {"run clean --twice=18446744073709551616", "N, from 1 to 18446744073709551615",
     " run --help\n"},
    {"replay clean --seed 5 --twice=2", "--twice=2: this option takes no value",
     " replay --help\n"},
    {"replay /tmp/ --twice", "--twice: not for a folder, give one of its files",
     " replay --help\n"},
    {"list --twice", "unknown option --twice: 'run' has it, 'list' has not", " list --help\n"},
    {"run clean --timeout soon", "--timeout soon: this must be a time", " run --help\n"},
    {"run clean --timeout 2562048h", "at most 2562047h, or 0 for none", " run --help\n"},
    {"run clean --jobs 0", "--jobs 0: this must be a number from 1 to 256", " run --help\n"},
    {"run clean --jobs -1", "--jobs -1: this must be a number from 1 to 256", " run --help\n"},
    {"run clean --jobs 18446744073709551616", "this must be a number from 1 to 256",
     " run --help\n"},
    {"run clean --jobs", "--jobs needs a value", " run --help\n"},
    {"run clean --jobs 257", "--jobs 257: this must be a number", " run --help\n"},
    {"run clean --failures some", "--failures some: this must be a number", " run --help\n"},
    {"run clean --failures 18446744073709551616",
     "this must be a number up to 18446744073709551615, or 0", " run --help\n"},
    {"list --json=yes", "--json=yes: this option takes no value", " list --help\n"},
    {"run clean --json=yes", "--json yes: this must be 'all', for every seed, or left out",
     " run --help\n"},
    {"run clean --json=", "--json '': this must be 'all'", " run --help\n"},
    {"run clean --shard 0/3",
     "--shard 0/3: this must be I/N, the I-th of N shards, from 1/N to N/N", " run --help\n"},
    {"run clean --shard 4/3", "--shard 4/3: this must be I/N", " run --help\n"},
    {"run clean --shard 1/1001", "N at most 1000", " run --help\n"},
    {"run clean --shard 3", "--shard 3: this must be I/N", " run --help\n"},
    {"run clean --shard 1/3/3", "--shard 1/3/3: this must be I/N", " run --help\n"},
    {"run clean --shard -1/3", "--shard -1/3: this must be I/N", " run --help\n"},
    {"run clean --shard", "--shard needs a value", " run --help\n"},
    {"merge", "which files? give the output of each shard", " merge --help\n"},
    {"merge --seeds 3", "unknown option --seeds: 'run' has it, 'merge' has not", " merge --help\n"},
    {"merg", "unknown command 'merg': did you mean 'merge'?", " --help\n"},
    {"run clean -x", "unknown option -x", " run --help\n"},
    {"run clean --trace", "unknown option --trace: 'replay' has it, 'run' has not",
     " run --help\n"},
    {"replay clean --seed 1 --trace=svg",
     "--trace=svg: this must be text, perfetto:FILE or html:FILE", " replay --help\n"},
    {"replay clean --seed 1 --trace=texts", "--trace=texts: this must be text", " replay --help\n"},
    {"replay clean --seed 1 --trace=", "--trace=: this must be text", " replay --help\n"},
    {"replay clean --seed 1 --trace=html", "--trace=html: this must be text", " replay --help\n"},
    {"replay clean --seed 1 --trace=html:", "a file must follow, as in --trace=html:trace.html",
     " replay --help\n"},
    {"replay clean --seed 1 --trace=perfetto:",
     "a file must follow, as in --trace=perfetto:trace.json", " replay --help\n"},
    {"replay /tmp/ --trace=html:a.html", "--trace: the files of a folder leave no trace",
     " replay --help\n"},
    {"replay clean --seed 1 --trace --trace=text", "this kind of trace is wanted already",
     " replay --help\n"},
    {"replay clean --seed 1 --trace=html:/nowhere/a.html",
     "--trace=html:/nowhere/a.html: cannot write this file: No such file or directory", NULL},
    {"replay clean --seed 1 --trace=perfetto:/",
     "--trace=perfetto:/: cannot write this file: Is a directory", NULL},
    {"replay clean --seeds 4", "unknown option --seeds: did you mean --seed?", " replay --help\n"},
    {"replay clean", "which seed? give --seed N", " replay --help\n"},
    {"replay clean --seed 0x1g", "--seed 0x1g: this must be a number", " replay --help\n"},
    {"replay clean --seed 1..2", "--seed 1..2: this must be a number", " replay --help\n"},
    {"replay --seed 1", "which scenario?", " replay --help\n"},
    {"replay clean --seed 18446744073709551616", "a number from 0 to 18446744073709551615",
     " replay --help\n"},
    {"replay clean --seed", "--seed needs a value", " replay --help\n"},
    {"list --load", "--load needs a value", " list --help\n"},
    {"list --load=", "--load '': this must be the path of a shared object", " list --help\n"},
    {"run clean --seed=", "--seed '': this must be a number", " run --help\n"},
    {"run clean --seeds=", "--seeds '': this must be a count", " run --help\n"},
    {"--load /nowhere/their.so list", "cannot load '/nowhere/their.so': cannot open", NULL},
    {"--load /dev/null list", "cannot load '/dev/null': file too short: this is no shared object",
     NULL},
    {"--load /tmp list", "cannot load '/tmp': cannot read file data", NULL},
    {"list --load their-own.so", "cannot load 'their-own.so': ./their-own.so", NULL},
};

START_TEST(test_usage__wrong)
{
    command_run(&command, program, wrong[_i].line);
    ck_assert_int_eq(command.status, 2);
    ck_assert_str_eq(command.out, "");
    ck_contains(command.err, wrong[_i].says);
    ck_assert_uint_eq(lines_count(command.err), wrong[_i].see != NULL ? 2 : 1);
    if (wrong[_i].see != NULL) {
        char *last = lines_copy(command.err, -1);
        ck_assert(starts_with(last, "see "));
        ck_contains(last, program);
        free(last);
        ck_contains(command.err, wrong[_i].see);
    }
}
END_TEST

/* A shared object, but with nothing for us in it. */
START_TEST(test_usage__foreign_object)
{
    char line[4096];
    snprintf(line, sizeof line, "list --load %s", command_path("CLI_FOREIGN"));
    command_run(&command, program, line);
    ck_assert_int_eq(command.status, 2);
    ck_assert_str_eq(command.out, "");
    ck_contains(command.err, "has no symbol orr_scenarios: write ORR_SCENARIOS(&your_scenario)");
}
END_TEST

/* The program is linked without -rdynamic: nothing in it is there for a shared object to take. */
START_TEST(test_usage__load_into_a_program_that_exports_nothing)
{
    char line[4096];
    snprintf(line, sizeof line, "list --load %s", command_path("CLI_OBJECT"));
    command_run(&command, program, line);
    ck_assert_int_eq(command.status, 2);
    ck_assert_str_eq(command.out, "");
    ck_assert_uint_eq(lines_count(command.err), 1);
    ck_contains(command.err, ": it takes orr_");
    ck_contains(command.err, "cli-scenarios with -rdynamic");
}
END_TEST

/* The examples are lines that this program understands, with a scenario of its own. */
START_TEST(test_usage__help_can_be_typed)
{
    static const struct {
        const char *line;
        const char *example;
    } pages[] = {
        {"--help", " run slow end=check --seeds 10000\n"},
        {"list --help", " list --json\n"},
        {"run --help", " run slow end=check --seeds 5000\n"},
        {"replay --help", " replay slow end=check --seed 17 --trace\n"},
        {"branch --help", " branch slow end=check --seed 17 --at 'event 10' --futures 100\n"},
        {"inevitable --help", " inevitable slow end=check --seed 17\n"},
        {"merge --help", " run slow end=check --seeds 50 --json --shard 1/2 >1.json\n"},
    };
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        char wanted[4096];
        command_run(&command, program, pages[i].line);
        snprintf(wanted, sizeof wanted, "\n  %s%s", program, pages[i].example);
        ck_contains(command.out, wanted);
        char script[8192];
        const char *examples = strstr(command.out, "\nExample:\n");
        ck_assert_ptr_nonnull(examples);
        snprintf(script, sizeof script,
                 "set -u; d=$(mktemp -d) && cd \"$d\" || exit 9\n%sstatus=$?; rm -r \"$d\"\n"
                 "exit $status",
                 examples + strlen("\nExample:\n"));
        command_shell(&command, script);
        ck_assert_int_lt(command.status, 2);
        ck_assert_str_eq(command.err, "");
    }
    command_run(&command, command_path("CLI_ORRERY"), "run --help");
    ck_contains(command.out, "/orrery run kv bug=ack-before-fsync --seeds 5000\n");
}
END_TEST

START_TEST(test_usage__help_has_an_example)
{
    static const char *const lines[] = {"--help",
                                        "-h",
                                        "list --help",
                                        "run --help",
                                        "replay --help",
                                        "merge --help",
                                        "branch --help",
                                        "inevitable -h",
                                        "run kv --seeds 5 -h"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        command_run(&command, program, lines[i]);
        ck_assert_int_eq(command.status, 0);
        ck_assert_str_eq(command.err, "");
        ck_assert(starts_with(command.out, "usage: "));
        ck_contains(command.out, "\nExample:\n  ");
    }
}
END_TEST

START_TEST(test_usage__help_names_every_option)
{
    static const char *const options[] = {"--seeds N",    "--seeds A..B", "--time",    "--jobs",
                                          "--failures K", "--timeout",    "--json",    "--load",
                                          "--seed N",     "--shard",      "--json=all"};
    command_run(&command, program, "run --help");
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        ck_contains(command.out, options[i]);
    command_run(&command, program, "replay --help");
    ck_contains(command.out, "--trace ");
    ck_contains(command.out, "--trace=html:FILE");
    ck_contains(command.out, "--trace=perfetto:FILE");
    ck_contains(command.out, "--seed N");
    ck_contains(command.out, "--at INSTANT --future N");
    command_run(&command, program, "branch --help");
    ck_contains(command.out, "--at INSTANT");
    ck_contains(command.out, "--futures K");
    ck_contains(command.out, "--faults WHICH");
    ck_contains(command.out, "-o FOLDER");
    command_run(&command, program, "inevitable --help");
    ck_contains(command.out, "--futures K");
    ck_contains(command.out, "--faults WHICH");
}
END_TEST

START_TEST(test_usage__version)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "orrery %s\n", command_path("CLI_VERSION"));
    command_run(&command, program, "--version");
    ck_assert_int_eq(command.status, 0);
    ck_assert_str_eq(command.out, wanted);
}
END_TEST

START_TEST(test_list__for_eyes)
{
    command_run(&command, program, "list");
    ck_assert_int_eq(command.status, 0);
    ck_contains(command.out, "clean: ends in its own way\n");
    ck_contains(command.out, "choosy: ends in its own way\n"
                             "    bug=none  a planted bug\n"
                             "        one of none|one-off|two-off\n"
                             "    size=3  how much\n");
    ck_contains(command.out, " run SCENARIO [name=value ...]\n");
}
END_TEST

START_TEST(test_list__json)
{
    command_run(&command, program, "list --json");
    ck_assert_int_eq(command.status, 0);
    json_t *choosy = lines_json(command.out, -1);
    ck_assert_str_eq(member_text(choosy, "scenario"), "choosy");
    ck_assert_str_eq(member_text(choosy, "summary"), "ends in its own way");
    const json_t *parameters = json_object_get(choosy, "parameters");
    ck_assert_uint_eq(json_array_size(parameters), 2);
    const json_t *bug = json_array_get(parameters, 0);
    ck_assert_str_eq(member_text(bug, "name"), "bug");
    ck_assert_str_eq(member_text(bug, "default"), "none");
    const json_t *allowed = json_object_get(bug, "allowed");
    ck_assert_uint_eq(json_array_size(allowed), 3);
    ck_assert_str_eq(json_string_value(json_array_get(allowed, 2)), "two-off");
    ck_assert(json_is_null(json_object_get(json_array_get(parameters, 1), "allowed")));
    json_decref(choosy);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("usage");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_usage__wrong, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(tests, test_usage__foreign_object);
    tcase_add_test(tests, test_usage__load_into_a_program_that_exports_nothing);
    tcase_add_test(tests, test_usage__help_can_be_typed);
    tcase_add_test(tests, test_usage__help_has_an_example);
    tcase_add_test(tests, test_usage__help_names_every_option);
    tcase_add_test(tests, test_usage__version);
    tcase_add_test(tests, test_list__for_eyes);
    tcase_add_test(tests, test_list__json);
    return suite_run_apart("usage", tests);
}

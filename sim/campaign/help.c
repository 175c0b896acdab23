/*
 * help.c: what --help says, each page with examples that can be typed as they stand.
 */
#include "campaign.h"

void orr__help(const char *program)
{
    printf("usage: %s COMMAND [ARGUMENT ...]\n"
           "\n"
           "Runs programs in simulated worlds, one world per seed, and brings any failure back.\n"
           "\n"
           "  list     the scenarios and their parameters\n"
           "  run      a campaign: many seeds of a scenario\n"
           "  replay   one seed again, with its story\n"
           "\n"
           "Options:\n"
           "  --load FILE.so   adds the scenarios of a shared object (ORR_SCENARIOS)\n"
           "  --help           this, or after a command: about that command\n"
           "  --version\n"
           "\n"
           "Example:\n"
           "  %s list\n"
           "  %s --load ./scenarios.so run SCENARIO --seeds 10000\n",
           program, program, program);
}

void orr__help_list(const char *program)
{
    printf("usage: %s list [OPTION ...]\n"
           "\n"
           "Lists the scenarios, each with its parameters, their defaults and allowed values.\n"
           "\n"
           "Options:\n"
           "  --json           one object per scenario and line\n"
           "  --load FILE.so   adds the scenarios of a shared object\n"
           "\n"
           "Example:\n"
           "  %s list --load ./scenarios.so\n",
           program, program);
}

void orr__help_run(const char *program)
{
    printf(
        "usage: %s run SCENARIO [name=value ...] [OPTION ...]\n"
        "\n"
        "Runs many seeds of a scenario, each in a process of its own: a failed check, a crash, a\n"
        "sanitizer's report, an exit or a hang of the program under test is a failing seed.\n"
        "\n"
        "Options:\n"
        "  --seeds N        the seeds 1 to N (default 1000)\n"
        "  --seeds A..B     the seeds A to B; decimal or 0x hexadecimal, 64 bits\n"
        "  --seed N         that seed alone\n"
        "  --time D         stops starting seeds after this time: 90s, 5m, 2h (without --seeds:\n"
        "                   as many as fit)\n"
        "  --jobs J         seeds that run at the same time, 1 to %d (default: the processors)\n"
        "  --failures K     stops at the K-th failing seed (default 1); 0 runs all seeds\n"
        "  --timeout D      a seed that runs longer is a hang (default 30s); 0 = no limit\n"
        "  --json           one object per failing seed and line, at last a summary\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 0 no seed failed, 1 a seed failed, 2 wrong usage.\n"
        "\n"
        "Example:\n"
        "  %s run kv bug=ack-before-fsync --seeds 5000\n",
        program, ORR__JOBS_MAX, program);
}

void orr__help_replay(const char *program)
{
    printf(
        "usage: %s replay SCENARIO [name=value ...] --seed N [OPTION ...]\n"
        "\n"
        "Runs one seed again and tells its story: the faults, what the program printed, and the\n"
        "check that failed. The last line is the trace hash: the same run has the same one.\n"
        "\n"
        "Options:\n"
        "  --seed N         decimal or 0x hexadecimal, 64 bits\n"
        "  --trace          every event, too\n"
        "  --timeout D      longer is a hang (default 30s); 0 = no limit, for a debugger\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 0 the seed passes, 1 it fails, 2 wrong usage.\n"
        "\n"
        "Example:\n"
        "  %s replay kv bug=ack-before-fsync --seed 17 --trace\n",
        program, program);
}

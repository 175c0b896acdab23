/*
 * help.c: what --help says, each page with examples that can be typed as they stand: they name
 * this program and a scenario that it has.
 */
#include "futures.h"

#include <string.h>

/* What the examples run. */
struct example {
    const struct orr_scenario *scenario;
    const struct orr_parameter *parameter; /* of it; NULL = none */
};

static const struct orr_parameter *find_parameter(const struct orr_scenario *scenario)
{
    const struct orr_parameter *parameter = scenario->parameters;
    for (; parameter != NULL && parameter->name != NULL; parameter++)
        if (parameter->allowed != NULL)
            return parameter;
    return NULL;
}

/* The first scenario, or better one with a choice to make. */
static void consider(const struct orr_scenario *scenario, void *context)
{
    struct example *example = context;
    const struct orr_parameter *parameter = find_parameter(scenario);
    if (example->scenario != NULL && (example->parameter != NULL || parameter == NULL))
        return;
    *example = (struct example){.scenario = scenario, .parameter = parameter};
}

/* " bug=one-off": the first value that is not the default. */
static void print_choice(const struct orr_parameter *parameter)
{
    const char *value = parameter->allowed;
    size_t length = strcspn(value, "|");
    if (strlen(parameter->value) == length && memcmp(parameter->value, value, length) == 0 &&
        value[length] == '|') {
        value += length + 1;
        length = strcspn(value, "|");
    }
    printf(" %s=%.*s", parameter->name, (int)length, value);
}

static void print_program(const struct orr__command *command)
{
    fputs("  ", stdout);
    orr__text_quote(stdout, command->program);
}

/* "  ./note run note bug=one", without the end of the line. */
static void print_example(const struct orr__command *command, const char *verb)
{
    struct example example = {NULL, NULL};
    orr__scenarios_visit(command, consider, &example);
    print_program(command);
    printf(" %s ", verb);
    if (example.scenario == NULL) {
        fputs("--load ./scenarios.so SCENARIO", stdout);
        return;
    }
    orr__text_quote(stdout, example.scenario->name);
    if (example.parameter != NULL)
        print_choice(example.parameter);
}

void orr__help(const struct orr__command *command)
{
    printf("usage: %s COMMAND [ARGUMENT ...]\n"
           "\n"
           "Runs programs in simulated worlds, one world per seed, and brings any failure back.\n"
           "\n"
           "  list     the scenarios and their parameters\n"
           "  run      a campaign: many seeds of a scenario\n"
           "  replay   one seed again, with its story\n"
           "  shrink   a failing seed down to the faults that it needs\n"
           "  explain  what each of these faults is needed for\n"
           "  sweep    a seed with every single fault that could strike in it\n"
           "  merge    campaigns of several machines as one\n"
           "  branch   many futures of a run, from one instant on\n"
           "  inevitable\n"
           "           the instant after which no future of a failing run passes\n"
           "  convert  a fuzzer's input into a replay file, and back\n"
           "\n"
           "Options:\n"
           "  --load FILE.so   adds the scenarios of a shared object (ORR_SCENARIOS)\n"
           "  --help           this, or after a command: about that command\n"
           "  --version\n"
           "\n"
           "Example:\n",
           command->program);
    print_program(command);
    puts(" list");
    print_example(command, "run");
    puts(" --seeds 10000");
}

void orr__help_list(const struct orr__command *command)
{
    printf("usage: %s list [OPTION ...]\n"
           "\n"
           "Lists the scenarios, each with its parameters, their defaults and allowed values.\n"
           "\n"
           "Options:\n"
           "  --json           one object per scenario and line\n"
           "  --load FILE.so   adds the scenarios of a shared object\n"
           "\n"
           "Example:\n",
           command->program);
    print_program(command);
    puts(" list --json");
}

void orr__help_run(const struct orr__command *command)
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
        "  --twice[=N]      runs the seeds that N divides two times, in other memory, and "
        "compares\n"
        "                   event by event: all (without a value), none, or N (default %d)\n"
        "  --json           one object per failing seed and line, at last a summary\n"
        "  --json=all       one object for every seed\n"
        "  --shard I/N      only every N-th of these seeds, from the I-th on: one machine's "
        "share;\n"
        "                   with --json, one object for every seed, for merge\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 0 no seed failed, 1 a seed failed, 2 wrong usage.\n"
        "\n"
        "Example:\n",
        command->program, ORR__JOBS_MAX, ORR__TWICE_DEFAULT);
    print_example(command, "run");
    puts(" --seeds 5000");
}

void orr__help_replay(const struct orr__command *command)
{
    printf(
        "usage: %s replay SCENARIO [name=value ...] --seed N [OPTION ...]\n"
        "       %s replay FILE.replay [name=value ...] [OPTION ...]\n"
        "       %s replay SCENARIO [name=value ...] --input FILE [OPTION ...]\n"
        "       %s replay FOLDER/ [name=value ...] [--jobs J]\n"
        "\n"
        "Runs one seed again and tells its story: the faults, what the program printed, and the\n"
        "check that failed. The last line is the trace hash: the same run has the same one.\n"
        "A replay file says which faults strike (see shrink); of a folder each is run, as a test.\n"
        "\n"
        "Options:\n"
        "  --seed N         decimal or 0x hexadecimal, 64 bits\n"
        "  --input FILE     what a fuzz target was given: a seed and choices in lanes\n"
        "  --trace          every event, in a column for each node\n"
        "  --trace=html:FILE\n"
        "                   the run as a page that a browser shows\n"
        "  --trace=perfetto:FILE\n"
        "                   the run for ui.perfetto.dev or chrome://tracing\n"
        "  --twice          runs it once more, in other memory, and compares event by event\n"
        "  --record FILE    writes a replay file with every fault, to be read and edited\n"
        "  --without NAME   nothing strikes there: server/fsync#3; once for each such fault\n"
        "  --jobs J         of a folder, runs at the same time, 1 to %d (default: the processors)\n"
        "  --at INSTANT --future N\n"
        "                   goes on under that seed from an instant on (see branch); --faults\n"
        "                   seed, none or same says what strikes then\n"
        "  --timeout D      longer is a hang (default 30s); 0 = no limit, for a debugger\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 0 the seed passes, 1 it fails, 2 wrong usage.\n"
        "\n"
        "Example:\n",
        command->program, command->program, command->program, command->program, ORR__JOBS_MAX);
    print_example(command, "replay");
    puts(" --seed 17 --trace");
}

void orr__help_shrink(const struct orr__command *command)
{
    printf(
        "usage: %s shrink SCENARIO [name=value ...] --seed N [OPTION ...]\n"
        "       %s shrink FILE.replay [name=value ...] [OPTION ...]\n"
        "\n"
        "Finds out which faults a failing seed needs: leaves out others for as long as the same\n"
        "check fails, until none can be left out, then makes shorter what takes time. Writes a\n"
        "replay file: plain text, to be read, edited and kept. Of a replay file that fails it\n"
        "finds which of its faults are needed.\n"
        "\n"
        "Options:\n"
        "  --seed N         decimal or 0x hexadecimal, 64 bits\n"
        "  --input FILE     what a fuzz target was given, in place of a seed\n"
        "  -o FILE          the replay file (default SCENARIO-N.replay, or of a file\n"
        "                   FILE-shrunk.replay); --output is the same\n"
        "  --jobs J         runs at the same time, 1 to %d (default: the processors)\n"
        "  --timeout D      a run that takes longer is a hang (default 30s); 0 = no limit\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 1 it fails, and the file is written; 2 it passes, or wrong usage.\n"
        "\n"
        "Example:\n",
        command->program, command->program, ORR__JOBS_MAX);
    print_example(command, "shrink");
    puts(" --seed 17 -o 17.replay");
}

void orr__help_explain(const struct orr__command *command)
{
    printf(
        "usage: %s explain FILE.replay [name=value ...] [OPTION ...]\n"
        "       %s explain SCENARIO [name=value ...] --seed N [OPTION ...]\n"
        "\n"
        "Tells what each fault of a failing run is needed for: runs it again without that one, "
        "and\n"
        "shows where the two runs part, what happens then in each, and what becomes of it. A seed\n"
        "is shrunk first, into a replay file.\n"
        "\n"
        "Options:\n"
        "  --seed N         decimal or 0x hexadecimal, 64 bits\n"
        "  --input FILE     what a fuzz target was given, in place of a seed\n"
        "  -o FILE          of a seed, the replay file (default SCENARIO-N.replay)\n"
        "  --jobs J         of a seed, runs at the same time while it is shrunk, 1 to %d\n"
        "  --json           one object\n"
        "  --timeout D      a run that takes longer is a hang (default 30s); 0 = no limit\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 1 it fails, and is explained; 2 it passes, or wrong usage.\n"
        "\n"
        "Example:\n",
        command->program, command->program, ORR__JOBS_MAX);
    print_example(command, "explain");
    puts(" --seed 17");
    print_program(command);
    puts(" explain 17.replay");
}

void orr__help_sweep(const struct orr__command *command)
{
    printf(
        "usage: %s sweep SCENARIO [name=value ...] [--seed N] [OPTION ...]\n"
        "\n"
        "Runs a seed without faults to see where one could strike, then once with each of them:\n"
        "an error of each operation, a delay of each segment, a crash after each operation ...\n"
        "Ends with a statement: all of them survived, or which did not, each as a replay file.\n"
        "\n"
        "Options:\n"
        "  --seed N         decimal or 0x hexadecimal, 64 bits (default 1)\n"
        "  --pairs N        then N pairs of them, drawn by the seed\n"
        "  --time D         stops after this time: 90s, 5m, 2h\n"
        "  -o PREFIX        replay files are PREFIX-1.replay ... (default: the scenario's name)\n"
        "  --jobs J         runs at the same time, 1 to %d (default: the processors)\n"
        "  --timeout D      a run that takes longer is a hang (default 30s); 0 = no limit\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 0 all survived, 1 a fault is not survived, 2 wrong usage.\n"
        "\n"
        "Example:\n",
        command->program, ORR__JOBS_MAX);
    print_example(command, "sweep");
    puts(" --seed 1 --time 60s");
}

void orr__help_convert(const struct orr__command *command)
{
    printf(
        "usage: %s convert SCENARIO [name=value ...] --input FILE -o FILE.replay [OPTION ...]\n"
        "       %s convert FILE.replay -o FILE [OPTION ...]\n"
        "\n"
        "Makes a replay file out of what a fuzz target was given (a crash of libFuzzer or AFL++):\n"
        "plain text, each choice in its lane, to be read, edited and kept; or an input out of a\n"
        "replay file, for a corpus. Either way the run is the same, with the same trace hash.\n"
        "Faults and futures of a replay file have no place in an input: only seed and lanes have.\n"
        "\n"
        "Options:\n"
        "  --input FILE     the fuzz target's input\n"
        "  -o FILE          what is written; --output is the same\n"
        "  --timeout D      the run that names the lanes ends then (default 30s); 0 = no limit\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 0 it was written, 2 wrong usage.\n"
        "\n"
        "Example:\n",
        command->program, command->program);
    print_example(command, "convert");
    puts(" --input crash-1 -o crash-1.replay");
}

void orr__help_merge(const struct orr__command *command)
{
    printf("usage: %s merge FILE ... [OPTION ...]\n"
           "\n"
           "Reads what the shards of a campaign wrote, each by run --shard I/N --json, and tells\n"
           "the campaign as if it had run as one: all but the times is the same. The files may\n"
           "come in any order; none may be missing.\n"
           "\n"
           "Options:\n"
           "  --json           one object per failing seed and line, at last a summary\n"
           "  --json=all       one object for every seed\n"
           "\n"
           "Exit status: 0 no seed failed, 1 a seed failed, 2 the files make no campaign.\n"
           "\n"
           "Example:\n",
           command->program);
    print_example(command, "run");
    puts(" --seeds 50 --json --shard 1/2 >1.json");
    print_example(command, "run");
    puts(" --seeds 50 --json --shard 2/2 >2.json");
    print_program(command);
    puts(" merge 1.json 2.json");
}

void orr__help_branch(const struct orr__command *command)
{
    printf(
        "usage: %s branch SCENARIO [name=value ...] --seed N --at INSTANT [OPTION ...]\n"
        "       %s branch FILE.replay [name=value ...] --at INSTANT [OPTION ...]\n"
        "\n"
        "Runs a seed up to an instant, once, and continues it from there many times, each time\n"
        "under another seed: how many of these futures fail, and how.\n"
        "\n"
        "INSTANT is one of\n"
        "  12.5ms                  before what happens at that time of the world\n"
        "  'event 812'             after so many events\n"
        "  'after server/fsync#9'  after the end of that operation of that node\n"
        "  'after server/power#1'  after that fault, by its name in the story\n"
        "  'sometimes TEXT'        after that check was true for the first time\n"
        "\n"
        "Options:\n"
        "  --seed N         decimal or 0x hexadecimal, 64 bits\n"
        "  --input FILE     what a fuzz target was given, in place of a seed\n"
        "  --at INSTANT     where the futures begin\n"
        "  --futures K      how many, 1 to %d (default %d)\n"
        "  --faults WHICH   what strikes in them: seed (as the future's seed says, the default),\n"
        "                   none, or same (what the replay file says goes on)\n"
        "  --failures K     stops at the K-th future that fails; default 0: runs all\n"
        "  -o FOLDER        writes a replay file there of the first future of each cause\n"
        "  --jobs J         futures that run at the same time, 1 to %d (default: the processors)\n"
        "  --timeout D      a future that runs longer is a hang (default 30s); 0 = no limit\n"
        "  --json           one object per future that fails and line, at last a summary\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 0 no future failed, 1 one failed, 2 the run ends before, or wrong usage.\n"
        "\n"
        "Example:\n",
        command->program, command->program, ORR__FUTURES_MAX, ORR__FUTURES_DEFAULT,
        ORR__JOBS_MAX - 1);
    print_example(command, "branch");
    puts(" --seed 17 --at 'event 10' --futures 100");
}

void orr__help_inevitable(const struct orr__command *command)
{
    printf(
        "usage: %s inevitable SCENARIO [name=value ...] --seed N [OPTION ...]\n"
        "       %s inevitable FILE.replay [name=value ...] [OPTION ...]\n"
        "\n"
        "Finds the event of a failing run that decides it: before it some future passes, after it\n"
        "none does. That is where the failure was caused, which may be long before a check "
        "notices\n"
        "it. The event is found by bisection, and confirmed with twice as many futures.\n"
        "\n"
        "Options:\n"
        "  --seed N         decimal or 0x hexadecimal, 64 bits\n"
        "  --input FILE     what a fuzz target was given, in place of a seed\n"
        "  --futures K      from each instant, 1 to %d (default %d)\n"
        "  --faults WHICH   what strikes in them: none (the default), same (what the replay file\n"
        "                   says goes on), or seed (as the future's seed says)\n"
        "  --jobs J         futures that run at the same time, 1 to %d (default: the processors)\n"
        "  --timeout D      a future that runs longer is a hang (default 30s); 0 = no limit\n"
        "  --json           the answer as one object\n"
        "  --load FILE.so   adds the scenarios of a shared object\n"
        "\n"
        "Exit status: 1 it fails, and this is why; 2 it passes, or wrong usage.\n"
        "\n"
        "Example:\n",
        command->program, command->program, ORR__FUTURES_MAX, ORR__FUTURES_DEFAULT,
        ORR__JOBS_MAX - 1);
    print_example(command, "inevitable");
    puts(" --seed 17");
}

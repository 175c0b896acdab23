/*
 * command.c: the command line: which verb, which options, what they say. All of it is read and
 * checked before the first process starts, so that wrong usage is one sentence and the exit
 * status 2.
 *
 * Options may stand before, between and after the words; getopt_long is asked to give the words
 * in order (a leading '-') instead of permuting argv, which the environment could switch off.
 */
#define _GNU_SOURCE 1 /* getopt_long */

#include "futures.h"

#include "campaign_version.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SEEDS_DEFAULT = 1000,
    TIMEOUT_DEFAULT_S = 30,
    WORDS_LEAST = 255, /* room for so many, see campaign.h: sizes that no option changes */
    WORD = 1,          /* what getopt_long returns for what is no option */
};

/* Where an option may stand. */
enum {
    IN_MAIN = 1,
    IN_LIST = 2,
    IN_RUN = 4,
    IN_REPLAY = 8,
    IN_SHRINK = 16,
    IN_MERGE = 32,
    IN_SWEEP = 64,
    IN_EXPLAIN = 128,
    IN_BRANCH = 256,
    IN_INEVITABLE = 512,
    IN_FUTURES = IN_BRANCH | IN_INEVITABLE,
    IN_CONVERT = 1024,
    HAVE_FILES = IN_REPLAY | IN_SHRINK | IN_EXPLAIN | IN_FUTURES,
};

enum option_value {
    OPTION_HELP = 256,
    OPTION_VERSION,
    OPTION_LOAD,
    OPTION_JSON,
    OPTION_SEEDS,
    OPTION_SEED,
    OPTION_TIME,
    OPTION_JOBS,
    OPTION_FAILURES,
    OPTION_TIMEOUT,
    OPTION_TRACE,
    OPTION_TWICE,
    OPTION_RECORD,
    OPTION_OUTPUT,
    OPTION_PAIRS,
    OPTION_SHARD,
    OPTION_WITHOUT,
    OPTION_AT,
    OPTION_FUTURE,
    OPTION_FUTURES,
    OPTION_FAULTS,
    OPTION_INPUT,
};

static const struct {
    const char *name;
    int has_argument;
    enum option_value value;
    uint32_t where;
} known_options[] = {
    {"help", no_argument, OPTION_HELP,
     IN_MAIN | IN_LIST | IN_RUN | IN_MERGE | IN_SWEEP | IN_CONVERT | HAVE_FILES},
    {"version", no_argument, OPTION_VERSION, IN_MAIN},
    {"load", required_argument, OPTION_LOAD,
     IN_MAIN | IN_LIST | IN_RUN | IN_SWEEP | IN_CONVERT | HAVE_FILES},
    {"json", no_argument, OPTION_JSON, IN_LIST | IN_EXPLAIN | IN_FUTURES},
    {"json", optional_argument, OPTION_JSON, IN_RUN | IN_MERGE},
    {"seeds", required_argument, OPTION_SEEDS, IN_RUN},
    {"time", required_argument, OPTION_TIME, IN_RUN | IN_SWEEP},
    {"jobs", required_argument, OPTION_JOBS, IN_RUN | IN_SWEEP | HAVE_FILES},
    {"failures", required_argument, OPTION_FAILURES, IN_RUN | IN_BRANCH},
    {"timeout", required_argument, OPTION_TIMEOUT, IN_RUN | IN_SWEEP | IN_CONVERT | HAVE_FILES},
    {"seed", required_argument, OPTION_SEED, IN_RUN | IN_SWEEP | HAVE_FILES},
    {"trace", optional_argument, OPTION_TRACE, IN_REPLAY},
    {"twice", optional_argument, OPTION_TWICE, IN_RUN},
    {"twice", no_argument, OPTION_TWICE, IN_REPLAY},
    {"record", required_argument, OPTION_RECORD, IN_REPLAY},
    {"without", required_argument, OPTION_WITHOUT, IN_REPLAY},
    {"output", required_argument, OPTION_OUTPUT,
     IN_SHRINK | IN_SWEEP | IN_EXPLAIN | IN_BRANCH | IN_CONVERT},
    {"input", required_argument, OPTION_INPUT, IN_CONVERT | HAVE_FILES},
    {"pairs", required_argument, OPTION_PAIRS, IN_SWEEP},
    {"shard", required_argument, OPTION_SHARD, IN_RUN},
    {"at", required_argument, OPTION_AT, IN_REPLAY | IN_BRANCH},
    {"future", required_argument, OPTION_FUTURE, IN_REPLAY},
    {"futures", required_argument, OPTION_FUTURES, IN_FUTURES},
    {"faults", required_argument, OPTION_FAULTS, IN_REPLAY | IN_FUTURES},
};
enum { OPTIONS = sizeof known_options / sizeof *known_options };

struct verb {
    const char *name;
    uint32_t options;
    void (*help)(const struct orr__command *command);
    int (*run)(struct orr__command *command);
};

static const struct verb verbs[] = {
    {"list", IN_LIST, orr__help_list, orr__list},
    {"run", IN_RUN, orr__help_run, orr__campaign},
    {"replay", IN_REPLAY, orr__help_replay, orr__replay},
    {"shrink", IN_SHRINK, orr__help_shrink, orr__shrink},
    {"explain", IN_EXPLAIN, orr__help_explain, orr__explain_faults},
    {"sweep", IN_SWEEP, orr__help_sweep, orr__sweep},
    {"convert", IN_CONVERT, orr__help_convert, orr__convert},
    {"merge", IN_MERGE, orr__help_merge, orr__merge},
    {"branch", IN_BRANCH, orr__help_branch, orr__branch},
    {"inevitable", IN_INEVITABLE, orr__help_inevitable, orr__inevitable},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const struct verb in_main = {NULL, IN_MAIN, orr__help, NULL};

/* What an option or the end of them asks for. */
enum next {
    NEXT_GO_ON,
    NEXT_HELP,
    NEXT_VERSION,
    NEXT_WRONG /* and it was said */
};

/* ---- messages -------------------------------------------------------------------------------- */

static void ORR_PRINTF(2, 0)
    print_error(const struct orr__command *command, const char *format, va_list arguments)
{
    const char *slash = strrchr(command->program, '/');
    fprintf(stderr, "%s: ", slash != NULL ? slash + 1 : command->program);
    vfprintf(stderr, format, arguments);
}

int orr__usage_error(const struct orr__command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error(command, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nsee %s%s%s --help\n", command->program, command->verb != NULL ? " " : "",
            command->verb != NULL ? command->verb : "");
    return ORR__EXIT_USAGE;
}

int orr__error(const struct orr__command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error(command, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return ORR__EXIT_USAGE;
}

int orr__write_error(const struct orr__command *command, int status)
{
    if (status == -EPIPE)
        raise(SIGPIPE);
    return orr__error(command, "cannot write to standard output: %s", strerror(-status));
}

/* ---- values of options ----------------------------------------------------------------------- */

static enum next wrong_value(const struct orr__command *command, const char *option,
                             const char *text, const char *wanted)
{
    orr__usage_error(command, "--%s %s: this must be %s", option, *text != '\0' ? text : "''",
                     wanted);
    return NEXT_WRONG;
}

/* Which seeds is said once: a second time would silently undo the first. */
static bool seeds_are_free(const struct orr__command *command, const char *option, const char *text)
{
    if (command->seed_given)
        orr__usage_error(command,
                         "--%s %s: the seeds are given already; give --seed or --seeds once",
                         option, text);
    return !command->seed_given;
}

static enum next take_seed(struct orr__command *command, const char *text)
{
    if (!orr__parse_number(text, &command->seed_first))
        return wrong_value(command, "seed", text,
                           "a number from 0 to 18446744073709551615, decimal or 0x hexadecimal");
    if (!seeds_are_free(command, "seed", text))
        return NEXT_WRONG;
    command->seed_last = command->seed_first;
    command->seed_given = true;
    return NEXT_GO_ON;
}

static enum next take_seeds(struct orr__command *command, const char *text)
{
    const char *wanted;
    if (!orr__parse_seeds(text, &command->seed_first, &command->seed_last, &wanted))
        return wrong_value(command, "seeds", text, wanted);
    if (!seeds_are_free(command, "seeds", text))
        return NEXT_WRONG;
    command->seed_given = true;
    return NEXT_GO_ON;
}

static enum next take_time(struct orr__command *command, const char *text)
{
    if (!orr__parse_duration(text, &command->time_ns) || command->time_ns == 0)
        return wrong_value(command, "time", text,
                           "a time like 60s, 5m or 2h, above 0 and at most 2562047h");
    return NEXT_GO_ON;
}

static enum next take_timeout(struct orr__command *command, const char *text)
{
    if (!orr__parse_duration(text, &command->job.timeout_ns))
        return wrong_value(command, "timeout", text,
                           "a time like 30s, 500ms or 5m, at most 2562047h, or 0 for none");
    command->timeout_text = text;
    return NEXT_GO_ON;
}

static enum next take_jobs(struct orr__command *command, const char *text)
{
    uint64_t jobs;
    if (!orr__parse_number(text, &jobs) || jobs < 1 || jobs > ORR__JOBS_MAX)
        return wrong_value(command, "jobs", text, "a number from 1 to 256");
    command->jobs = (uint32_t)jobs;
    command->jobs_given = true;
    return NEXT_GO_ON;
}

static enum next take_failures(struct orr__command *command, const char *text)
{
    if (!orr__parse_number(text, &command->failures_max))
        return wrong_value(command, "failures", text,
                           "a number up to 18446744073709551615, or 0 to run all seeds");
    command->failures_given = true;
    return NEXT_GO_ON;
}

static enum next take_json(struct orr__command *command, const char *text)
{
    if (text != NULL && strcmp(text, "all") != 0)
        return wrong_value(command, "json", text, "'all', for every seed, or left out");
    command->json = true;
    command->json_all = text != NULL;
    return NEXT_GO_ON;
}

static enum next take_shard(struct orr__command *command, const char *text)
{
    if (!orr__parse_shard(text, &command->shard, &command->shard_count))
        return wrong_value(command, "shard", text,
                           "I/N, the I-th of N shards, from 1/N to N/N, N at most 1000");
    return NEXT_GO_ON;
}

static enum next take_twice(struct orr__command *command, const char *text)
{
    command->twice_given = true;
    if (text == NULL || strcmp(text, "all") == 0)
        command->twice_every = 1;
    else if (strcmp(text, "none") == 0)
        command->twice_every = 0;
    else if (!orr__parse_number(text, &command->twice_every) || command->twice_every == 0) {
        orr__usage_error(command,
                         "--twice=%s: this must be all, none, or N, from 1 to "
                         "18446744073709551615, for the seeds that N divides",
                         text);
        return NEXT_WRONG;
    }
    return NEXT_GO_ON;
}

static enum next take_at(struct orr__command *command, const char *text)
{
    struct orr__instant instant;
    if (!orr__instant_parse(text, &instant))
        return wrong_value(command, "at", text, ORR__INSTANT_WANTED);
    command->at = text;
    return NEXT_GO_ON;
}

static enum next take_future(struct orr__command *command, const char *text)
{
    if (!orr__parse_number(text, &command->future))
        return wrong_value(command, "future", text,
                           "a future's seed, a number from 0 to 18446744073709551615");
    command->future_given = true;
    return NEXT_GO_ON;
}

static enum next take_futures(struct orr__command *command, const char *text)
{
    if (!orr__parse_number(text, &command->futures) || command->futures < 1 ||
        command->futures > ORR__FUTURES_MAX)
        return wrong_value(command, "futures", text, "a number from 1 to 100000");
    return NEXT_GO_ON;
}

static enum next take_faults(struct orr__command *command, const char *text)
{
    uint32_t then = 0;
    while (then < ORR__THENS && strcmp(orr__then_name((enum orr__then)then), text) != 0)
        then++;
    if (then == ORR__THENS)
        return wrong_value(command, "faults", text,
                           "seed (those of the future's seed strike), none, or same (as before)");
    command->then = (enum orr__then)then;
    command->then_given = true;
    return NEXT_GO_ON;
}

static enum next take_load(struct orr__command *command, const char *text)
{
    if (command->load_count == ORR__LOADS_MAX) {
        orr__usage_error(command, "--load %s: no more than %d shared objects", text,
                         ORR__LOADS_MAX);
        return NEXT_WRONG;
    }
    command->loads[command->load_count++] = text;
    return NEXT_GO_ON;
}

static enum next take_without(struct orr__command *command, const char *text)
{
    if (command->without_count == ORR__WITHOUT_MAX) {
        orr__usage_error(command, "--without %s: no more than %d faults", text, ORR__WITHOUT_MAX);
        return NEXT_WRONG;
    }
    command->without[command->without_count++] = text;
    return NEXT_GO_ON;
}

static enum next take_option(struct orr__command *command, int value, const char *text)
{
    switch ((enum option_value)value) {
    case OPTION_HELP:
        return NEXT_HELP;
    case OPTION_VERSION:
        return NEXT_VERSION;
    case OPTION_LOAD:
        return take_load(command, text);
    case OPTION_JSON:
        return take_json(command, text);
    case OPTION_SEEDS:
        return take_seeds(command, text);
    case OPTION_SEED:
        return take_seed(command, text);
    case OPTION_TIME:
        return take_time(command, text);
    case OPTION_JOBS:
        return take_jobs(command, text);
    case OPTION_FAILURES:
        return take_failures(command, text);
    case OPTION_TIMEOUT:
        return take_timeout(command, text);
    case OPTION_TRACE:
        return orr__trace_take(command, text) == 0 ? NEXT_GO_ON : NEXT_WRONG;
    case OPTION_TWICE:
        return take_twice(command, text);
    case OPTION_RECORD:
        command->job.record = text;
        return NEXT_GO_ON;
    case OPTION_INPUT:
        command->input = text;
        return NEXT_GO_ON;
    case OPTION_OUTPUT:
        command->output = text;
        return NEXT_GO_ON;
    case OPTION_PAIRS:
        if (!orr__parse_number(text, &command->pairs))
            return wrong_value(command, "pairs", text, "a number");
        return NEXT_GO_ON;
    case OPTION_SHARD:
        return take_shard(command, text);
    case OPTION_WITHOUT:
        return take_without(command, text);
    case OPTION_AT:
        return take_at(command, text);
    case OPTION_FUTURE:
        return take_future(command, text);
    case OPTION_FUTURES:
        return take_futures(command, text);
    case OPTION_FAULTS:
        return take_faults(command, text);
    }
    return NEXT_WRONG;
}

/* ---- options --------------------------------------------------------------------------------- */

static void fill_options(const struct verb *verb, struct option options[OPTIONS + 1])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < OPTIONS; i++) {
        if ((known_options[i].where & verb->options) == 0)
            continue;
        options[count++] = (struct option){.name = known_options[i].name,
                                           .has_arg = known_options[i].has_argument,
                                           .val = (int)known_options[i].value};
    }
    options[count] = (struct option){.name = NULL};
}

/* No option of this name here: says where there is one, and which one here is alike. */
static void say_unknown(const struct orr__command *command, const struct verb *verb,
                        const struct option *options, const char *refused)
{
    const char *name = refused + strspn(refused, "-");
    struct orr__nearest nearest = {.wanted = name};
    const struct verb *owner = NULL;
    size_t length = strcspn(name, "=");
    for (uint32_t i = 0; i < OPTIONS; i++)
        for (uint32_t j = 0; j < VERBS && owner == NULL; j++)
            if ((known_options[i].where & verbs[j].options) != 0 &&
                strlen(known_options[i].name) == length &&
                memcmp(known_options[i].name, name, length) == 0)
                owner = &verbs[j];
    for (; options->name != NULL; options++)
        orr__nearest_offer(&nearest, options->name);
    if (owner != NULL && verb->run == NULL)
        orr__usage_error(command, "unknown option %s before the command: it goes after '%s'",
                         refused, owner->name);
    else if (nearest.name != NULL && (owner == NULL || nearest.distance == 1))
        orr__usage_error(command, "unknown option %s: did you mean --%s?", refused, nearest.name);
    else if (owner != NULL)
        orr__usage_error(command, "unknown option %s: '%s' has it, '%s' has not", refused,
                         owner->name, verb->name);
    else
        orr__usage_error(command, "unknown option %s", refused);
}

/* getopt_long refused an option: says which and why. `refused` is the word that holds it. */
static enum next refuse(const struct orr__command *command, const struct verb *verb,
                        const struct option *options, const char *refused, bool no_value)
{
    if (no_value)
        orr__usage_error(command, "%s needs a value", refused);
    else if (optopt >= OPTION_HELP)
        orr__usage_error(command, "%s: this option takes no value", refused);
    else if (optopt != 0)
        orr__usage_error(command, "unknown option -%c", optopt);
    else
        say_unknown(command, verb, options, refused);
    return NEXT_WRONG;
}

/* -h is --help, -o is --output. */
static int long_form(int value)
{
    if (value == 'h')
        return OPTION_HELP;
    return value == 'o' ? OPTION_OUTPUT : value;
}

/* Reads argv from its second word on. Words are kept, or, for the main options, end the reading. */
static enum next read_options(struct orr__command *command, const struct verb *verb, int argc,
                              char **argv)
{
    struct option options[OPTIONS + 1];
    fill_options(verb, options);
    optind = 0; /* begin anew, in the C libraries that have getopt_long's '-' and '+' */
    opterr = 0;
    while (true) {
        int value = getopt_long(argc, argv, verb->run == NULL ? "+:h" : "-:ho:", options, NULL);
        enum next next = NEXT_GO_ON;
        if (value == -1)
            break;
        if (value == WORD)
            command->words[command->word_count++] = optarg;
        else if (value == '?' || value == ':')
            next = refuse(command, verb, options, argv[optind - 1], value == ':');
        else
            next = take_option(command, long_form(value), optarg);
        if (next != NEXT_GO_ON)
            return next;
    }
    if (verb->run != NULL)
        for (int i = optind; i < argc; i++) /* what stands after "--" */
            command->words[command->word_count++] = argv[i];
    return NEXT_GO_ON;
}

/* ---- the command that brings a seed back --------------------------------------------------- */

static int write_replay(struct orr__command *command)
{
    size_t size;
    FILE *head = open_memstream(&command->replay_head, &size);
    if (head == NULL)
        return orr__error(command, "no memory");
    orr__text_quote(head, command->program);
    fputs(" replay ", head);
    orr__text_quote(head, command->file != NULL ? command->file : command->job.scenario->name);
    for (size_t i = 0; i < command->job.parameter_count && command->file == NULL; i++)
        fprintf(head, " %s=%s", command->parameters[i].name, command->parameters[i].value);
    orr__command_parameters(head, command);
    if (command->file == NULL)
        fputs(command->input != NULL ? " --input " : " --seed ", head);
    if (command->file == NULL && command->input != NULL)
        orr__text_quote(head, command->input);
    fclose(head);
    FILE *tail = open_memstream(&command->replay_tail, &size);
    if (tail == NULL)
        return orr__error(command, "no memory");
    if (command->timeout_text != NULL)
        fprintf(tail, " --timeout %s", command->timeout_text);
    if (command->future_given) {
        fputs(" --at ", tail);
        orr__text_quote(tail, command->at);
        fprintf(tail, " --future %" PRIu64 " --faults %s", command->future,
                orr__then_name(command->then));
    }
    for (uint32_t i = 0; i < command->load_count; i++) {
        fputs(" --load ", tail);
        orr__text_quote(tail, command->loads[i]);
    }
    for (uint32_t i = 0; i < command->without_count; i++) {
        fputs(" --without ", tail);
        orr__text_quote(tail, command->without[i]);
    }
    fclose(tail);
    return 0;
}

void orr__command_again(FILE *out, const struct orr__command *command, uint64_t seed)
{
    fputs(command->replay_head, out);
    if (command->file == NULL && command->input == NULL)
        fprintf(out, "%" PRIu64, seed);
    fputs(command->replay_tail, out);
}

void orr__command_of_file(FILE *out, const struct orr__command *command, const char *path)
{
    orr__text_quote(out, command->program);
    fputs(" replay ", out);
    if (!orr__is_replay_file(path))
        fputs("./", out);
    orr__text_quote(out, path);
}

void orr__command_parameters(FILE *out, const struct orr__command *command)
{
    for (uint32_t i = 1; i < command->words_given && command->file != NULL; i++) {
        fputc(' ', out);
        orr__text_quote(out, command->words[i]);
    }
}

/* ---- verbs ----------------------------------------------------------------------------------- */

/* A run with a future that the command line names. */
static int add_future(struct orr__command *command)
{
    if ((command->at != NULL) != command->future_given)
        return orr__usage_error(command, command->at != NULL
                                             ? "--at: which future from there? give --future N"
                                             : "--future: from when on? give --at INSTANT");
    if (command->then_given && !command->future_given)
        return orr__usage_error(command, "--faults: of which future? give --at and --future");
    if (command->at == NULL)
        return 0;
    command->job.faults = orr__futures_text(command, command->at, command->future, command->then);
    return command->job.faults != NULL ? 0 : orr__error(command, "no memory");
}

/* What the options leave open. */
static int complete(struct orr__command *command, const struct verb *verb)
{
    command->job.replay = verb->options == IN_REPLAY;
    if (verb->options == IN_BRANCH && !command->failures_given)
        command->failures_max = 0;
    if (verb->options == IN_LIST) {
        if (command->word_count > 0)
            return orr__usage_error(command, "list takes no argument, not '%s'", command->words[0]);
        return 0;
    }
    if (verb->options == IN_MERGE) /* the words are files */
        return 0;
    bool is_file = (verb->options & (IN_CONVERT | HAVE_FILES)) != 0 && command->word_count > 0 &&
                   orr__is_replay_file(command->words[0]);
    if (is_file && command->input != NULL)
        return orr__usage_error(command, "--input: not beside %s, which is a run",
                                command->words[0]);
    command->words_given = command->word_count;
    if (verb->options == IN_REPLAY && command->jobs_given)
        return orr__usage_error(command, "--jobs: only for a folder of replay files");
    int status = is_file ? orr__replay_file_open(command) : 0;
    if (command->input != NULL)
        status = orr__input_open(command);
    if (status == 0)
        status = orr__scenarios_choose(command);
    if (status == 0)
        status = orr__replay_without(command);
    if (status != 0)
        return status;
    if ((verb->options & HAVE_FILES) != 0 && !command->seed_given)
        return orr__usage_error(command, "which seed? give --seed N");
    if (verb->options == IN_CONVERT && !command->seed_given)
        return orr__usage_error(command, "which input? give --input FILE, or a replay file");
    if (verb->options == IN_BRANCH && command->at == NULL)
        return orr__usage_error(command, "from when on? give --at INSTANT");
    status = verb->options == IN_REPLAY ? add_future(command) : 0;
    if (status != 0)
        return status;
    if (verb->options == IN_REPLAY && !command->twice_given)
        command->twice_every = 0;
    if (verb->options == IN_RUN && command->time_ns > 0 && !command->seed_given)
        command->seed_last = UINT64_MAX;
    if (command->shard_count > 1 && command->json) /* what merge needs */
        command->json_all = true;
    return write_replay(command);
}

static uint32_t processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    if (count < 1)
        return 1;
    return count > ORR__JOBS_MAX ? ORR__JOBS_MAX : (uint32_t)count;
}

static int finish(const struct orr__command *command, const struct verb *verb, enum next next)
{
    if (next == NEXT_WRONG)
        return ORR__EXIT_USAGE;
    if (next == NEXT_HELP)
        verb->help(command);
    else
        printf("orrery %s\n", ORR_CAMPAIGN_VERSION);
    return ORR__EXIT_CLEAN;
}

static int run_verb(struct orr__command *command, const struct verb *verb, int argc, char **argv)
{
    command->verb = verb->name;
    if ((verb->options & (IN_LIST | IN_MERGE)) == 0)
        command->addresses_status = orr__addresses_fix(command->argv);
    enum next next = read_options(command, verb, argc, argv);
    if (next != NEXT_GO_ON)
        return finish(command, verb, next);
    int status = orr__scenarios_load(command);
    bool is_folder =
        verb->options == IN_REPLAY && command->word_count > 0 && orr__is_folder(command->words[0]);
    if (status == 0 && is_folder && (command->at != NULL || command->future_given))
        status = orr__usage_error(command, "--at: not for a folder, give one of its files");
    if (status == 0 && !is_folder)
        status = complete(command, verb);
    if (status == 0)
        status = is_folder ? orr__replay_folder(command) : verb->run(command);
    if (status == ORR__EXIT_FAILING)
        orr__addresses_tell(command);
    return status;
}

static int choose_verb(struct orr__command *command, int argc, char **argv)
{
    struct orr__nearest nearest;
    enum next next = read_options(command, &in_main, argc, argv);
    if (next != NEXT_GO_ON)
        return finish(command, &in_main, next);
    if (optind >= argc)
        return orr__usage_error(command,
                                "which command? list, run, replay, shrink, explain, sweep, branch, "
                                "inevitable, convert or merge");
    nearest = (struct orr__nearest){.wanted = argv[optind]};
    for (uint32_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i].name, argv[optind]) == 0)
            return run_verb(command, &verbs[i], argc - optind, argv + optind);
        orr__nearest_offer(&nearest, verbs[i].name);
    }
    if (nearest.name != NULL)
        return orr__usage_error(command, "unknown command '%s': did you mean '%s'?", argv[optind],
                                nearest.name);
    return orr__usage_error(
        command,
        "unknown command '%s': there are list, run, replay, shrink, explain, sweep, branch, "
        "inevitable, convert and merge",
        argv[optind]);
}

int orr_command_line(int argc, char **argv, const struct orr_scenario *const *scenarios)
{
    size_t words = argc < WORDS_LEAST ? WORDS_LEAST : (size_t)argc;
    struct orr__command command = {
        .argv = argv,
        .program = argc > 0 ? argv[0] : "orrery",
        .built_in = scenarios,
        .job = {.timeout_ns = TIMEOUT_DEFAULT_S * ORR_SECOND},
        .seed_first = 1,
        .seed_last = SEEDS_DEFAULT,
        .jobs = processors(),
        .failures_max = 1,
        .shard_count = 1,
        .futures = ORR__FUTURES_DEFAULT,
        .twice_every = ORR__TWICE_DEFAULT,
    };
    command.words = calloc(words + 1, sizeof *command.words);
    command.parameters = calloc(words + 1, sizeof *command.parameters);
    int status = command.words != NULL && command.parameters != NULL
                     ? choose_verb(&command, argc, argv)
                     : orr__error(&command, "no memory");
    free(command.words);
    free(command.parameters);
    orr__replay_file_close(&command);
    free(command.replay_head);
    free(command.replay_tail);
    return status;
}

/*
 * sweep.c: one seed with every single fault that could strike in it, then with pairs of them.
 *
 * The model: a run without faults tells at which points one could strike, each as a line of a
 * replay file: an error of this operation, a delay of that segment, a crash after each operation of
 * a node that may crash. Then there is a run for each line. What chance would meet in a campaign
 * one day is met here for certain, for one fault at a time; so the end is a statement and not an
 * estimate. Pairs are too many to try them all: some are drawn.
 *
 * Lines, texts and results lie in mappings of their own, see campaign.h. Failures are told in the
 * order of the lines, whatever order the processes end in.
 */
#include "campaign.h"

#include "sim/internal.h" /* orr__actor_id, orr__mix */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_BYTES_MAX = 512, /* "only", and two lines */
    GROUPS_MAX = 64,
};

/* Which lines a run is given. */
struct trial {
    const char *line;
    const char *other; /* NULL: a single fault */
};

/* Failures of one cause: the first of them, and how many. */
struct group {
    enum orr__cause cause;
    char text[ORR__LINE_MAX];
    char check[ORR__LINE_MAX];
    uint64_t count;
    uint64_t first; /* index of its trial */
};

struct sweep {
    struct orr__command *command;
    struct orr__nursery nursery;
    struct orr__result *results; /* one for each job */
    char *texts;                 /* TEXT_BYTES_MAX for each job */
    uint64_t *trial_of;          /* the index that a job is at */
    char *points;
    const char **lines; /* each once */
    uint64_t line_count;
    struct group *groups;
    uint32_t group_count;
    uint64_t failures;
    uint64_t ungrouped;
    uint64_t done;
    uint64_t total;
    uint64_t begin_ns;
    struct orr__progress progress;
    char path[ORR__PATH_MAX_BYTES];
};

static bool stopped(const struct sweep *sweep)
{
    uint64_t time_ns = sweep->command->time_ns;
    return orr__nursery_signal() != 0 ||
           (time_ns > 0 && orr__clock_ns() - sweep->begin_ns >= time_ns);
}

/* ---- points ---------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_hash(const void *a, const void *b)
{
    uint64_t one = orr__actor_id(*(const char *const *)a);
    uint64_t two = orr__actor_id(*(const char *const *)b);
    if (one != two)
        return one < two ? -1 : 1;
    return by_text(a, b);
}

/* Cuts the text into lines and keeps each once, in an order that mixes all kinds: should the time
 * be over before the end, a fair part of each was tried. Returns 0 or -ENOMEM. */
static int take_lines(struct sweep *sweep)
{
    uint64_t count = 0;
    for (const char *at = sweep->points; *at != '\0'; at++)
        count += *at == '\n';
    sweep->lines = orr__private_map(count * sizeof *sweep->lines);
    if (sweep->lines == NULL)
        return -ENOMEM;
    count = 0;
    for (char *at = sweep->points; *at != '\0';) {
        char *end = strchr(at, '\n');
        if (end == NULL)
            break;
        *end = '\0';
        sweep->lines[count++] = at;
        at = end + 1;
    }
    qsort(sweep->lines, count, sizeof *sweep->lines, by_text);
    for (uint64_t i = 0; i < count; i++)
        if (i == 0 || strcmp(sweep->lines[i], sweep->lines[sweep->line_count - 1]) != 0)
            sweep->lines[sweep->line_count++] = sweep->lines[i];
    qsort(sweep->lines, sweep->line_count, sizeof *sweep->lines, by_hash);
    return 0;
}

/* The run without faults. */
static int find_points(struct sweep *sweep)
{
    struct orr__job job = sweep->command->job;
    size_t bytes;
    job.points = sweep->path;
    job.faults = "only\n";
    int status =
        orr__nursery_run(&sweep->nursery, &job, sweep->command->seed_first, &sweep->results[0]);
    if (status == 0)
        status = orr__private_take(sweep->path, &sweep->points, &bytes);
    return status == 0 ? take_lines(sweep) : status;
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* Trials below line_count are the single faults; those above it are pairs, drawn by the seed. */
static struct trial trial_at(const struct sweep *sweep, uint64_t index)
{
    uint64_t count = sweep->line_count > 0 ? sweep->line_count : 1;
    if (index < sweep->line_count)
        return (struct trial){.line = sweep->lines[index]};
    uint64_t draw = orr__mix(sweep->command->seed_first, index);
    return (struct trial){.line = sweep->lines[draw % count],
                          .other = sweep->lines[orr__mix(draw, 0) % count]};
}

static const char *compose(const struct sweep *sweep, uint32_t job, uint64_t index)
{
    char *text = sweep->texts + job * (size_t)TEXT_BYTES_MAX;
    struct trial trial = trial_at(sweep, index);
    snprintf(text, TEXT_BYTES_MAX, "only\n%s\n%s\n", trial.line,
             trial.other != NULL ? trial.other : "");
    return text;
}

static void add_to_group(struct sweep *sweep, const struct orr__result *result, uint64_t index)
{
    uint32_t i = 0;
    while (i < sweep->group_count && (sweep->groups[i].cause != result->cause ||
                                      strcmp(sweep->groups[i].text, result->group) != 0))
        i++;
    if (i == GROUPS_MAX) {
        sweep->ungrouped++;
        return;
    }
    struct group *group = &sweep->groups[i];
    if (i == sweep->group_count) {
        sweep->group_count++;
        group->cause = result->cause;
        group->first = index;
        memcpy(group->text, result->group, sizeof group->text);
        snprintf(group->check, sizeof group->check, "%s", result->outcome.check);
    }
    group->count++;
    if (index < group->first)
        group->first = index;
}

static void show_progress(struct sweep *sweep)
{
    char text[120];
    char time[ORR__AMOUNT_MAX];
    uint64_t elapsed_ns = orr__clock_ns() - sweep->begin_ns;
    snprintf(text, sizeof text, "%" PRIu64 " of %" PRIu64 " runs, %" PRIu64 " failed, %s",
             sweep->done, sweep->total, sweep->failures, orr__text_time(time, elapsed_ns));
    orr__progress_text(&sweep->progress, text, elapsed_ns);
}

static int start_next(struct sweep *sweep, uint32_t job, uint64_t index)
{
    struct orr__job with = sweep->command->job;
    with.faults = compose(sweep, job, index);
    sweep->trial_of[job] = index;
    return orr__nursery_start(&sweep->nursery, &sweep->nursery.children[job], &with,
                              sweep->command->seed_first);
}

static void collect(struct sweep *sweep, uint32_t job)
{
    const struct orr__result *result = &sweep->results[job];
    sweep->done++;
    if (!result->outcome.failed)
        return;
    sweep->failures++;
    add_to_group(sweep, result, sweep->trial_of[job]);
}

/* Runs the trials from `next` to before `end`. Returns 0 or -errno. */
static int run(struct sweep *sweep, uint64_t next, uint64_t end)
{
    uint32_t running = 0;
    while ((next < end && !stopped(sweep)) || running > 0) {
        for (uint32_t i = 0; i < sweep->nursery.count && next < end && !stopped(sweep); i++) {
            if (sweep->nursery.children[i].pid != 0)
                continue;
            int status = start_next(sweep, i, next);
            if (status < 0)
                return status;
            next++;
            running++;
        }
        orr__nursery_wait(&sweep->nursery, &sweep->command->job,
                          orr__clock_ns() + 100 * ORR_MILLISECOND);
        if (orr__nursery_signal() != 0)
            return -EINTR;
        for (uint32_t i = 0; i < sweep->nursery.count; i++) {
            if (!orr__nursery_reap(&sweep->nursery.children[i], &sweep->command->job,
                                   &sweep->results[i]))
                continue;
            running--;
            collect(sweep, i);
        }
        show_progress(sweep);
    }
    return 0;
}

/* ---- the statement --------------------------------------------------------------------------- */

static int write_file(const struct sweep *sweep, const struct group *group, uint32_t number,
                      char path[ORR__PATH_MAX_BYTES])
{
    const struct orr__command *command = sweep->command;
    struct trial trial = trial_at(sweep, group->first);
    snprintf(path, ORR__PATH_MAX_BYTES, "%s-%u.replay",
             command->output != NULL ? command->output : command->job.scenario->name, number);
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return -errno;
    orr__replay_file_begin(out, &command->job, command->seed_first, group->check);
    fprintf(out, "%s\n%s\n", trial.line, trial.other != NULL ? trial.other : "");
    return fclose(out) == 0 ? 0 : -errno;
}

static int tell_group(const struct sweep *sweep, const struct group *group, uint32_t number)
{
    const struct orr__command *command = sweep->command;
    char path[ORR__PATH_MAX_BYTES];
    struct trial trial = trial_at(sweep, group->first);
    printf("%7" PRIu64 " x ", group->count);
    orr__text_indent(stdout, group->check, strlen(group->check), "");
    printf("          first: %s%s%s\n", trial.line, trial.other != NULL ? ", " : "",
           trial.other != NULL ? trial.other : "");
    int status = write_file(sweep, group, number, path);
    if (status < 0)
        return orr__error(command, "cannot write %s: %s", path, strerror(-status));
    fputs("          replay: ", stdout);
    orr__command_of_file(stdout, command, path);
    printf("%s\n", command->replay_tail);
    return 0;
}

static void tell_number(const struct sweep *sweep, uint64_t singles)
{
    char time[ORR__AMOUNT_MAX];
    uint64_t pairs = sweep->done - singles;
    bool all = singles == sweep->line_count;
    if (sweep->failures > 0)
        printf("%" PRIu64 " of %" PRIu64 " run%s fail; tried: ", sweep->failures, sweep->done,
               ORR__S(sweep->done));
    if (all)
        printf("all %" PRIu64 " single faults", singles);
    else
        printf("%" PRIu64 " of %" PRIu64 " single faults", singles, sweep->line_count);
    if (pairs > 0)
        printf(" and %" PRIu64 " pair%s", pairs, ORR__S(pairs));
    printf("%s%s (seed %" PRIu64 ", %s)\n", sweep->failures == 0 ? " survived" : "",
           all ? "" : ", then the time was over", sweep->command->seed_first,
           orr__text_time(time, orr__clock_ns() - sweep->begin_ns));
}

static int tell(const struct sweep *sweep)
{
    uint64_t singles = sweep->done < sweep->line_count ? sweep->done : sweep->line_count;
    for (uint32_t i = 0; i < sweep->group_count; i++) {
        int status = tell_group(sweep, &sweep->groups[i], i + 1);
        if (status != 0)
            return status;
    }
    if (sweep->ungrouped > 0)
        printf("%7" PRIu64 " x for more causes than the %d that are kept\n", sweep->ungrouped,
               GROUPS_MAX);
    tell_number(sweep, singles);
    return sweep->failures > 0 ? ORR__EXIT_FAILING : ORR__EXIT_CLEAN;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int work(struct sweep *sweep)
{
    const struct orr_outcome *outcome = &sweep->results[0].outcome;
    int status = find_points(sweep);
    if (status < 0)
        return status;
    if (outcome->failed)
        return -EBUSY;
    sweep->total = sweep->line_count + (sweep->line_count > 1 ? sweep->command->pairs : 0);
    status = run(sweep, 0, sweep->line_count);
    if (status == 0 && !stopped(sweep))
        status = run(sweep, sweep->line_count, sweep->total);
    return status;
}

static int finish(const struct sweep *sweep, int status)
{
    const struct orr__command *command = sweep->command;
    if (status == -EBUSY)
        return orr__error(command,
                          "seed %" PRIu64 " fails without any fault: %s: there is nothing to add",
                          command->seed_first, sweep->results[0].outcome.check);
    if (status < 0)
        return orr__error(command, "cannot go on: %s", strerror(-status));
    return tell(sweep);
}

/* Memory for what is known before the points are. */
static struct sweep *make(struct orr__command *command)
{
    struct sweep *sweep = orr__private_map(sizeof *sweep);
    if (sweep == NULL)
        return NULL;
    sweep->command = command;
    sweep->begin_ns = orr__clock_ns();
    sweep->results = orr__private_map(command->jobs * sizeof *sweep->results);
    sweep->texts = orr__private_map(command->jobs * (size_t)TEXT_BYTES_MAX);
    sweep->trial_of = orr__private_map(command->jobs * sizeof *sweep->trial_of);
    sweep->groups = orr__private_map(GROUPS_MAX * sizeof *sweep->groups);
    orr__private_path(sweep->path, sizeof sweep->path);
    bool all = sweep->results != NULL && sweep->texts != NULL && sweep->trial_of != NULL &&
               sweep->groups != NULL;
    return all ? sweep : NULL;
}

int orr__sweep(struct orr__command *command)
{
    struct sweep *sweep = make(command);
    void *nothing;
    if (sweep == NULL)
        return orr__error(command, "no memory");
    int status = orr__nursery_open(&sweep->nursery, command->jobs, 0, &nothing);
    if (status < 0)
        return orr__error(command, "cannot prepare %u processes: %s", command->jobs,
                          strerror(-status));
    orr__progress_open(&sweep->progress, false);
    status = work(sweep);
    orr__progress_clear(&sweep->progress);
    int number = orr__nursery_signal();
    orr__nursery_close(&sweep->nursery);
    if (number != 0)
        raise(number);
    return finish(sweep, status);
}

/*
 * futures.c: one run up to an instant, and the futures from there: see futures.h.
 */
#define _POSIX_C_SOURCE 200809L /* kill */

#include "futures.h"

#include "../replay_file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum {
    STATE_PAST,    /* the stem is on its way */
    STATE_STANDS,  /* it came to the instant */
    STATE_DONE,    /* all futures that it was to run have ended */
    STATE_TOO_LATE /* the time was over before it came */
};

#define WAKE_NS (100 * ORR_MILLISECOND)

/* ---- the text -------------------------------------------------------------------------------- */

static const char *const then_lines[ORR__THENS] = {
    [ORR__THEN_SEED] = "",
    [ORR__THEN_NONE] = "only\n",
    [ORR__THEN_SAME] = "same\n",
};

const char *orr__then_name(enum orr__then then)
{
    static const char *const names[ORR__THENS] = {
        [ORR__THEN_SEED] = "seed", [ORR__THEN_NONE] = "none", [ORR__THEN_SAME] = "same"};
    orr__assert(then < ORR__THENS);
    return names[then];
}

/* Of the text with any future. */
static size_t text_room(const struct orr__command *command)
{
    const size_t added = ORR__INSTANT_MAX + 64;
    return (command->file_text != NULL ? strlen(command->file_text) : 0) + added;
}

static void compose(const struct orr__command *command, const char *instant, uint64_t seed,
                    enum orr__then then, char *text)
{
    snprintf(text, text_room(command), "%s\nfuture %" PRIu64 " from %s\n%s",
             command->file_text != NULL ? command->file_text : "", seed, instant, then_lines[then]);
}

char *orr__futures_text(const struct orr__command *command, const char *instant, uint64_t seed,
                        enum orr__then then)
{
    char *text = orr__private_map(text_room(command));
    if (text != NULL)
        compose(command, instant, seed, then, text);
    return text;
}

/* Lines of a file that say which run it is: the new one has its own. */
static bool is_head(const char *line)
{
    static const char *const words[] = {"scenario", "parameter", "seed", "check", "lane"};
    line += strspn(line, " \t");
    size_t length = strcspn(line, " \t\r\n");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == length && memcmp(words[i], line, length) == 0)
            return true;
    return false;
}

int orr__futures_write(const struct orr__command *command, const struct orr__question *question,
                       uint64_t seed, const char *check, const char *path)
{
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return -errno;
    orr__replay_file_head(out, &command->job, command->seed_first, check);
    const char *line = command->file_text != NULL ? command->file_text : "";
    while (*line != '\0') {
        int length = (int)strcspn(line, "\n");
        if (!is_head(line))
            fprintf(out, "%.*s\n", length, line);
        line += length + (line[length] == '\n');
    }
    fprintf(out, "future %" PRIu64 " from %s  # from here on this seed answers\n%s", seed,
            question->instant, then_lines[question->then]);
    return fclose(out) == 0 ? 0 : -errno;
}

void orr__futures_again(FILE *out, const struct orr__command *command,
                        const struct orr__question *question, uint64_t seed)
{
    orr__command_again(out, command, command->seed_first);
    fputs(" --at ", out);
    orr__text_quote(out, question->instant);
    fprintf(out, " --future %" PRIu64, seed);
    if (question->then != ORR__THEN_SEED)
        fprintf(out, " --faults %s", orr__then_name(question->then));
}

/* ---- in the stem ----------------------------------------------------------------------------- */

uint64_t orr__futures_seed(const struct orr__futures *futures, uint64_t number)
{
    uint64_t seed = number + 1;
    return seed < futures->own_seed || futures->own_seed == 0 ? seed : seed + 1;
}

static struct orr__future_group *group_of(struct orr__futures_seen *seen,
                                          const struct orr__result *result)
{
    for (uint32_t i = 0; i < seen->group_count; i++)
        if (orr__group_has(result->cause, result->group, &seen->groups[i].result))
            return &seen->groups[i];
    if (seen->group_count == ORR__GROUPS_MAX)
        return NULL;
    struct orr__future_group *group = &seen->groups[seen->group_count++];
    group->first = UINT64_MAX;
    return group;
}

static void take(struct orr__futures *futures, uint64_t number)
{
    struct orr__futures_seen *seen = futures->seen;
    const struct orr__result *result = &futures->result;
    struct orr__future_end *end = &seen->ends[number];
    end->trace_hash = result->outcome.trace_hash;
    end->events = result->outcome.events;
    end->simulated_ns = result->outcome.simulated_ns;
    end->faults = result->outcome.faults;
    end->state = result->outcome.failed ? ORR__FUTURE_FAILS : ORR__FUTURE_PASSES;
    end->group = ORR__GROUPS_MAX;
    seen->done++;
    if (!result->outcome.failed) {
        seen->passed++;
        return;
    }
    struct orr__future_group *group = group_of(seen, result);
    if (group == NULL)
        return;
    end->group = (uint32_t)(group - seen->groups);
    if (number < group->first) {
        group->first = number;
        group->result = *result;
    }
}

static bool wants_more(const struct orr__futures *futures)
{
    const struct orr__question *question = &futures->question;
    const struct orr__futures_seen *seen = futures->seen;
    uint64_t failed = seen->done - seen->passed;
    return futures->started < question->count && seen->error == 0 && orr__nursery_signal() == 0 &&
           !(question->until_passes && seen->passed > 0) &&
           (question->failures_max == 0 || failed < question->failures_max);
}

/* Fills the free places. Returns the place of this process, if it is a future, else 0: the stem's
 * own. */
static uint32_t start(struct orr__futures *futures, uint32_t *running)
{
    struct orr__nursery *nursery = &futures->nursery;
    for (uint32_t i = 1; i < nursery->count && wants_more(futures); i++) {
        struct orr__child *child = &nursery->children[i];
        if (child->pid != 0)
            continue;
        uint64_t number = futures->started;
        futures->numbers[i] = number;
        int status =
            orr__nursery_branch(nursery, child, &futures->job, orr__futures_seed(futures, number));
        if (status == 1)
            return i;
        if (status < 0 && *running == 0)
            futures->seen->error = -status;
        if (status < 0) /* again when one of those that run has ended */
            return 0;
        futures->started++;
        ++*running;
    }
    return 0;
}

static void collect(struct orr__futures *futures, uint32_t *running)
{
    for (uint32_t i = 1; i < futures->nursery.count; i++) {
        if (!orr__nursery_reap(&futures->nursery.children[i], &futures->job, &futures->result))
            continue;
        --*running;
        take(futures, futures->numbers[i]);
    }
}

/* The others are of no use any more. */
static bool is_decided(const struct orr__futures *futures)
{
    return orr__nursery_signal() != 0 ||
           (futures->question.until_passes && futures->seen->passed > 0);
}

static bool exchange(struct orr__futures_seen *seen, uint32_t state)
{
    uint32_t past = STATE_PAST;
    return atomic_compare_exchange_strong(&seen->state, &past, state);
}

/* The world calls: the instant has come. Returns in the futures only. */
static uint64_t stand(struct orr__stem *stem)
{
    struct orr__futures *futures = (struct orr__futures *)stem;
    struct orr__nursery *nursery = &futures->nursery;
    struct orr__futures_seen *seen = futures->seen;
    uint32_t running = 0;
    if (!exchange(seen, STATE_STANDS))
        _exit(0);
    seen->event = stem->event;
    seen->time_ns = stem->time_ns;
    seen->trace_hash = stem->trace_hash;
    seen->stood_ns = orr__clock_ns();
    orr__nursery_stand();
    uint32_t place = start(futures, &running);
    while (place == 0 && running > 0 && !is_decided(futures)) {
        orr__nursery_wait(nursery, &futures->job, UINT64_MAX);
        collect(futures, &running);
        place = start(futures, &running);
    }
    if (place > 0) {
        struct orr__slot *slot = nursery->children[place].slot;
        stem->live_hash = &slot->live_hash;
        stem->untold = slot->untold;
        stem->position = &slot->position;
        return orr__futures_seed(futures, futures->numbers[place]);
    }
    for (uint32_t i = 1; i < nursery->count; i++)
        orr__nursery_kill(&nursery->children[i]);
    atomic_store(&seen->state, STATE_DONE);
    _exit(0);
}

/* ---- in this process ------------------------------------------------------------------------- */

struct orr__futures *orr__futures_open(const struct orr__command *command, uint64_t count)
{
    struct orr__futures *futures = orr__private_map(sizeof *futures);
    void *seen;
    uint32_t jobs = command->jobs < ORR__JOBS_MAX ? command->jobs : ORR__JOBS_MAX - 1;
    if (futures != NULL)
        futures->text = orr__private_map(text_room(command));
    if (futures == NULL || futures->text == NULL) {
        orr__error(command, "no memory");
        return NULL;
    }
    futures->command = command;
    futures->begin_ns = orr__clock_ns();
    futures->stem.branch = stand;
    futures->own_seed = command->file_head != NULL && command->file_head->future_count > 0
                            ? command->file_head->future_seed
                            : command->seed_first;
    orr__progress_open(&futures->progress, command->json);
    int status =
        orr__nursery_open(&futures->nursery, 1 + jobs,
                          sizeof *futures->seen + count * sizeof *futures->seen->ends, &seen);
    if (status == 0) {
        futures->seen = seen;
        return futures;
    }
    orr__error(command, "cannot prepare %u processes: %s", jobs, strerror(-status));
    return NULL;
}

int orr__futures_close(struct orr__futures *futures)
{
    int number = orr__nursery_signal();
    orr__progress_clear(&futures->progress);
    orr__nursery_close(&futures->nursery);
    return number;
}

static void show_progress(struct orr__futures *futures)
{
    char text[160];
    char time[ORR__AMOUNT_MAX];
    const struct orr__futures_seen *seen = futures->seen;
    uint64_t elapsed_ns = orr__clock_ns() - futures->begin_ns;
    if (!futures->progress.wanted)
        return;
    snprintf(text, sizeof text, "%s from %s: %" PRIu64 " of %" PRIu64 ", %" PRIu64 " failed  %s",
             futures->doing, futures->question.instant, seen->done, futures->question.count,
             seen->done - seen->passed, orr__text_time(time, elapsed_ns));
    orr__progress_text(&futures->progress, text, elapsed_ns);
}

/* Waits for the stem. Only while it is on its way is its time limited. */
static int wait_for_stem(struct orr__futures *futures, struct orr__child *stem)
{
    uint64_t deadline_ns = stem->deadline_ns;
    bool asked = false;
    stem->deadline_ns = UINT64_MAX;
    while (!orr__nursery_reap(stem, &futures->job, &futures->past)) {
        if (orr__nursery_signal() != 0 && !asked) {
            kill(stem->pid, SIGTERM);
            asked = true;
        }
        if (orr__clock_ns() > deadline_ns && exchange(futures->seen, STATE_TOO_LATE))
            stem->deadline_ns = 0; /* the wait kills it */
        orr__nursery_wait(&futures->nursery, &futures->job, orr__clock_ns() + WAKE_NS);
        show_progress(futures);
    }
    return orr__nursery_signal() != 0 ? -EINTR : 0;
}

/* Which futures count, and the groups of those that fail, in the order of the numbers. */
static void settle(struct orr__futures *futures)
{
    struct orr__futures_seen *seen = futures->seen;
    const struct orr__question *question = &futures->question;
    futures->counted = futures->failed = futures->group_count = 0;
    for (uint32_t i = 0; i < seen->group_count; i++)
        seen->groups[i].count = 0;
    for (uint64_t i = 0; i < question->count; i++) {
        const struct orr__future_end *end = &seen->ends[i];
        bool enough = question->failures_max > 0 && futures->failed == question->failures_max;
        if (end->state == ORR__FUTURE_NOT_RUN || enough)
            return;
        futures->counted++;
        futures->failed += end->state == ORR__FUTURE_FAILS;
        if (end->state == ORR__FUTURE_PASSES || end->group == ORR__GROUPS_MAX)
            continue;
        if (seen->groups[end->group].count++ == 0)
            futures->groups[futures->group_count++] = end->group;
    }
}

int orr__futures_ask(struct orr__futures *futures, const struct orr__question *question)
{
    struct orr__futures_seen *seen = futures->seen;
    struct orr__child *stem = &futures->nursery.children[0];
    memset(seen, 0, sizeof *seen + question->count * sizeof *seen->ends);
    futures->question = *question;
    futures->started = 0;
    futures->job = futures->command->job;
    futures->job.stem = &futures->stem;
    compose(futures->command, question->instant, 0, question->then, futures->text);
    futures->job.faults = futures->text;
    uint64_t begin_ns = orr__clock_ns();
    int status =
        orr__nursery_start(&futures->nursery, stem, &futures->job, futures->command->seed_first);
    if (status == 0)
        status = wait_for_stem(futures, stem);
    uint64_t end_ns = orr__clock_ns();
    if (status < 0 || seen->error != 0)
        return status < 0 ? status : -seen->error;
    uint32_t state = atomic_load(&seen->state);
    if (state != STATE_DONE)
        return state == STATE_STANDS ? -EIO : 0;
    futures->past_ns = seen->stood_ns - begin_ns;
    futures->futures_ns = end_ns - seen->stood_ns;
    futures->runs += seen->done;
    settle(futures);
    return 1;
}

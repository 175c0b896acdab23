/*
 * shrink.c: a failing seed, or a replay file that fails, down to the faults that it needs.
 *
 * The model: the run is recorded, every fault a line of a replay file. Crashes that a replay file
 * has appointed are recorded, too, but come back only by its own lines, which stand for them; so
 * they go in as they are. Then runs with fewer lines are tried: without all, without a half, a
 * quarter ... and at last without each single one. What still fails in the same check stays away.
 * In the end no fault can be left out: the set is 1-minimal. shrink_move.c looks for smaller ones
 * that this does not come to. Then the scenario is made smaller where it says how
 * (orr_parameter.least), and what takes time shorter, as far as that goes. A power loss loses as
 * little as it may: nothing, or else those of its lost writes and names that are needed, each a
 * line like a fault.
 *
 *     kept   ====----====----====      trials of one round, as many at a time as there are jobs:
 *                 ^    ^    ^          each leaves another chunk out; the first that still fails
 *                 1    2    3          in order counts, whichever ended first
 *
 * So the result is the same with one job and with many. Lines, texts and results lie in mappings
 * of their own, see campaign.h.
 */
#include "shrink.h"

#include "sim/replay_file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

enum {
    SHORTER_COUNT = 4,  /* of a time: none of it, an eighth, a quarter, a half */
    SHORTER_ROUNDS = 8, /* a time that has been made 2^8 times shorter is short enough */
    HALVINGS_MAX = 16,  /* of a parameter */
};

const struct orr__shrink_trial orr__shrink_nothing = {.time_ns = UINT64_MAX};

static bool stopped(void)
{
    return orr__nursery_signal() != 0;
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* A fault as a line, "" if it does not fit. Returns its length. */
static size_t write_fault(char *at, size_t room, const struct orr__shrink_fault *fault,
                          uint64_t time_ns)
{
    int length = time_ns == UINT64_MAX ? snprintf(at, room, "%.*s%s\n", (int)fault->length,
                                                  fault->text, fault->loses_only ? " only" : "")
                                       : snprintf(at, room, "%.*s %" PRIu64 "ns\n",
                                                  (int)fault->length, fault->text, time_ns);
    return length > 0 && (size_t)length < room ? (size_t)length : 0;
}

/* The text that a run is given. */
const char *orr__shrink_compose(const struct orr__shrink *shrink, uint32_t job,
                                const struct orr__shrink_trial *trial)
{
    char *text = shrink->texts + job * shrink->text_bytes;
    size_t at = (size_t)snprintf(text, shrink->text_bytes, "only\n");
    for (size_t i = 0; i < trial->set_count; i++) {
        const struct orr__shrink_fault *fault = &shrink->faults[trial->set[i]];
        at += write_fault(text + at, shrink->text_bytes - at, fault, fault->time_ns);
    }
    if (trial->set_count > 0)
        return text;
    for (size_t i = 0; i < shrink->kept_count; i++) {
        const struct orr__shrink_fault *fault = &shrink->faults[shrink->kept[i]];
        bool is_changed = trial->time_ns != UINT64_MAX && i == trial->changed;
        if (i < trial->from || i >= trial->to)
            at += write_fault(text + at, shrink->text_bytes - at, fault,
                              is_changed ? trial->time_ns : fault->time_ns);
    }
    return text;
}

static void show_progress(struct orr__shrink *shrink)
{
    char text[120];
    char time[ORR__AMOUNT_MAX];
    uint64_t elapsed_ns = orr__clock_ns() - shrink->begin_ns;
    snprintf(text, sizeof text, "%zu of %zu faults left after %" PRIu64 " runs, %s",
             shrink->kept_count, shrink->fault_count, shrink->runs,
             orr__text_time(time, elapsed_ns));
    orr__progress_text(&shrink->progress, text, elapsed_ns);
}

/* Runs all jobs to their ends. Returns 0 or -errno. */
int orr__shrink_run(struct orr__shrink *shrink, const struct orr__job *jobs, uint32_t count)
{
    uint32_t running = 0;
    for (; running < count; running++) {
        int status = orr__nursery_start(&shrink->nursery, &shrink->nursery.children[running],
                                        &jobs[running], shrink->command->seed_first);
        if (status < 0)
            return status;
    }
    while (running > 0 && !stopped()) {
        orr__nursery_wait(&shrink->nursery, &jobs[0], orr__clock_ns() + 100 * ORR_MILLISECOND);
        for (uint32_t i = 0; i < count; i++)
            running -=
                orr__nursery_reap(&shrink->nursery.children[i], &jobs[0], &shrink->results[i]);
        show_progress(shrink);
    }
    shrink->runs += count;
    return stopped() ? -EINTR : 0;
}

/* Which of the trials, the first of them, still fails; `count` if none does. As many run at a time
 * as there are jobs. Returns 0 or -errno. */
int orr__shrink_first_that_fails(struct orr__shrink *shrink, const struct orr__shrink_trial *trials,
                                 uint32_t count, uint32_t *ret_first)
{
    struct orr__job jobs[ORR__JOBS_MAX];
    *ret_first = count;
    for (uint32_t begin = 0; begin < count && *ret_first == count;) {
        uint32_t left = count - begin;
        uint32_t together = left < shrink->nursery.count ? left : shrink->nursery.count;
        for (uint32_t i = 0; i < together; i++) {
            jobs[i] = shrink->job;
            jobs[i].faults = orr__shrink_compose(shrink, i, &trials[begin + i]);
        }
        int status = orr__shrink_run(shrink, jobs, together);
        if (status < 0)
            return status;
        for (uint32_t i = together; i > 0; i--)
            if (orr__group_has(shrink->cause, shrink->group, &shrink->results[i - 1]))
                *ret_first = begin + i - 1;
        begin += together;
    }
    return 0;
}

/* ---- fewer faults ---------------------------------------------------------------------------- */

static void drop(struct orr__shrink *shrink, size_t from, size_t to)
{
    memmove(shrink->kept + from, shrink->kept + to,
            (shrink->kept_count - to) * sizeof *shrink->kept);
    shrink->kept_count -= to - from;
}

/* Tries to do without each chunk of that size. Returns 0 or -errno. */
static int try_chunks(struct orr__shrink *shrink, size_t size)
{
    int status = 0;
    size_t at = 0;
    while (at < shrink->kept_count && status == 0) {
        struct orr__shrink_trial trials[ORR__JOBS_MAX];
        uint32_t count = 0;
        size_t next = at;
        for (; next < shrink->kept_count && count < shrink->nursery.count; next += size) {
            size_t to = next + size < shrink->kept_count ? next + size : shrink->kept_count;
            trials[count++] =
                (struct orr__shrink_trial){.from = next, .to = to, .time_ns = UINT64_MAX};
        }
        uint32_t first;
        status = orr__shrink_first_that_fails(shrink, trials, count, &first);
        at = first < count ? trials[first].from : next;
        if (first < count)
            drop(shrink, at, trials[first].to);
    }
    return status;
}

static int drop_faults(struct orr__shrink *shrink)
{
    int status = 0;
    size_t size = shrink->kept_count;
    size_t before;
    while (size > 1 && status == 0) {
        status = try_chunks(shrink, size);
        size = (size < shrink->kept_count ? size : shrink->kept_count) / 2;
    }
    do {
        before = shrink->kept_count;
        status = status == 0 ? try_chunks(shrink, 1) : status;
    } while (status == 0 && shrink->kept_count < before);
    return status;
}

/* ---- shorter ones ---------------------------------------------------------------------------- */

static int shorten(struct orr__shrink *shrink, size_t index)
{
    static const uint64_t divisors[SHORTER_COUNT] = {0, 8, 4, 2};
    struct orr__shrink_fault *fault = &shrink->faults[shrink->kept[index]];
    for (int round = 0; round < SHORTER_ROUNDS && fault->time_ns > 0; round++) {
        struct orr__shrink_trial trials[SHORTER_COUNT];
        uint32_t first;
        for (uint32_t i = 0; i < SHORTER_COUNT; i++)
            trials[i] = (struct orr__shrink_trial){
                .changed = index,
                .time_ns = divisors[i] == 0 ? 0 : fault->time_ns / divisors[i],
            };
        int status = orr__shrink_first_that_fails(shrink, trials, SHORTER_COUNT, &first);
        if (status < 0 || first == SHORTER_COUNT)
            return status;
        fault->time_ns = trials[first].time_ns;
    }
    return 0;
}

static int shorten_all(struct orr__shrink *shrink)
{
    int status = 0;
    for (size_t i = 0; i < shrink->kept_count && status == 0; i++)
        if (shrink->faults[shrink->kept[i]].time_ns != UINT64_MAX)
            status = shorten(shrink, i);
    return status;
}

/* ---- smaller parameters ---------------------------------------------------------------------- */

/* The place of a parameter's value among those of the job; a new one for what is not given. */
static size_t place_of(const struct orr__shrink *shrink, const char *name)
{
    size_t i = 0;
    while (i < shrink->job.parameter_count && strcmp(shrink->values[i].name, name) != 0)
        i++;
    return i;
}

/* Keeps the value if it still fails so, and tells whether it does. Returns 0 or -errno. */
static int try_value(struct orr__shrink *shrink, const struct orr_parameter *parameter,
                     uint64_t number, bool *ret_fails)
{
    uint32_t first;
    size_t place = place_of(shrink, parameter->name);
    struct orr__job before = shrink->job;
    struct orr_parameter_value value_before = shrink->values[place];
    char number_before[ORR__SHRINK_NUMBER_BYTES_MAX];
    memcpy(number_before, shrink->numbers[place], sizeof number_before);
    snprintf(shrink->numbers[place], ORR__SHRINK_NUMBER_BYTES_MAX, "%" PRIu64, number);
    shrink->values[place] =
        (struct orr_parameter_value){.name = parameter->name, .value = shrink->numbers[place]};
    if (place == shrink->job.parameter_count)
        shrink->job.parameter_count++;
    int status = orr__shrink_first_that_fails(shrink, &orr__shrink_nothing, 1, &first);
    *ret_fails = status == 0 && first == 0;
    if (*ret_fails)
        return 0;
    memcpy(shrink->numbers[place], number_before, sizeof number_before);
    shrink->values[place] = value_before;
    shrink->job = before;
    return status;
}

/* The least, else what halving comes to. One of a list of words is the least of them or stays. */
static int lower_parameter(struct orr__shrink *shrink, const struct orr_parameter *parameter)
{
    uint64_t low;
    uint64_t high;
    bool fails;
    if (!orr__parse_number(parameter->least, &low) ||
        !orr__parse_number(orr__parameter_value(&shrink->job, parameter), &high) || low >= high)
        return 0;
    int status = try_value(shrink, parameter, low, &fails);
    if (fails || parameter->allowed != NULL)
        return status;
    for (int i = 0; i < HALVINGS_MAX && status == 0 && high - low > 1; i++) {
        uint64_t middle = low + (high - low) / 2;
        status = try_value(shrink, parameter, middle, &fails);
        if (fails)
            high = middle;
        else
            low = middle;
    }
    return status;
}

static int lower_parameters(struct orr__shrink *shrink)
{
    const struct orr_parameter *parameter = shrink->job.scenario->parameters;
    int status = 0;
    for (; status == 0 && parameter != NULL && parameter->name != NULL; parameter++)
        if (parameter->least != NULL &&
            shrink->job.parameter_count < ORR__SHRINK_PARAMETERS_MAX - 1)
            status = lower_parameter(shrink, parameter);
    return status;
}

/* ---- the recorded run ------------------------------------------------------------------------ */

bool orr__shrink_ends_with(const struct orr__shrink_fault *fault, const char *end)
{
    size_t length = strlen(end);
    return fault->length >= length &&
           memcmp(fault->text + fault->length - length, end, length) == 0;
}

/* "NAME += 40ms": the time of a line, which is then cut off. */
static void take_time(struct orr__shrink_fault *fault)
{
    uint32_t at = fault->length;
    char time[ORR__SHRINK_SIZE_BYTES_MAX];
    fault->time_ns = UINT64_MAX;
    while (at > 0 && fault->text[at - 1] != ' ')
        at--;
    if (at == 0 || fault->length - at >= sizeof time)
        return;
    memcpy(time, fault->text + at, fault->length - at);
    time[fault->length - at] = '\0';
    if (!orr__replay_time_parse(time, &fault->time_ns)) {
        fault->time_ns = UINT64_MAX;
        return;
    }
    fault->length = at - 1;
}

/* As the ledger says it: orr__ledger_loss. */
bool orr__shrink_is_loss(const struct orr__fault_line *line)
{
    static const char end[] = ": does not survive";
    const size_t length = sizeof end - 1;
    return line->comment_length >= length &&
           memcmp(line->comment + line->comment_length - length, end, length) == 0;
}

void orr__shrink_add_fault(struct orr__shrink *shrink, const struct orr__fault_line *line)
{
    struct orr__shrink_fault fault = {.text = line->text,
                                      .length = line->text_length,
                                      .time_ns = UINT64_MAX,
                                      .is_appointment = line->is_appointment,
                                      .is_loss = orr__shrink_is_loss(line)};
    if (!line->is_appointment)
        take_time(&fault);
    shrink->kept[shrink->kept_count++] = shrink->fault_count;
    shrink->faults[shrink->fault_count++] = fault;
}

/* A line is complete with its comment: the program may have died in the middle of it. */
static void take_faults(struct orr__shrink *shrink)
{
    struct orr__fault_line line;
    const char *at = shrink->recorded;
    while (orr__fault_line_next(&at, &line))
        if (line.comment != NULL && !orr__fault_line_is_appointed(&line))
            orr__shrink_add_fault(shrink, &line);
    at = shrink->command->job.faults != NULL ? shrink->command->job.faults : "";
    while (orr__fault_line_next(&at, &line))
        if (line.is_appointment)
            orr__shrink_add_fault(shrink, &line);
    for (size_t i = 0; i < shrink->fault_count; i++)
        shrink->struck += !shrink->faults[i].is_loss;
}

/* Runs the seed with `faults` (NULL: its own) and reads which struck. */
int orr__shrink_record(struct orr__shrink *shrink, const char *faults)
{
    struct orr__job job = shrink->job;
    job.record = shrink->record_path;
    job.faults = faults;
    int status = orr__shrink_run(shrink, &job, 1);
    int taken = orr__private_take(shrink->record_path, &shrink->recorded, &shrink->recorded_bytes);
    return status == 0 ? taken : status;
}

/* Does it fail so with the kept faults? Returns 0 or -errno. */
int orr__shrink_try_kept(struct orr__shrink *shrink, bool *ret_fails)
{
    uint32_t first;
    int status = orr__shrink_first_that_fails(shrink, &orr__shrink_nothing, 1, &first);
    *ret_fails = status == 0 && first == 0;
    return status;
}

static int prepare(struct orr__shrink *shrink)
{
    const char *own = shrink->command->job.faults != NULL ? shrink->command->job.faults : "";
    size_t lines = 1;
    for (const char *at = shrink->recorded; *at != '\0'; at++)
        lines += *at == '\n';
    for (const char *at = own; *at != '\0'; at++)
        lines += *at == '\n';
    lines += ORR__SHRINK_LOSSES_MAX + ORR__SHRINK_MOVES_MAX;
    shrink->text_bytes = shrink->recorded_bytes + strlen(own) + lines * ORR__SHRINK_SIZE_BYTES_MAX +
                         (ORR__SHRINK_LOSSES_MAX + ORR__SHRINK_MOVES_MAX) * ORR__POINT_NAME_MAX;
    shrink->faults = orr__private_map(lines * sizeof *shrink->faults);
    shrink->kept = orr__private_map(lines * sizeof *shrink->kept);
    shrink->texts = orr__private_map(shrink->text_bytes * shrink->nursery.count);
    if (shrink->faults == NULL || shrink->kept == NULL || shrink->texts == NULL)
        return -ENOMEM;
    take_faults(shrink);
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The kept faults, run once more: what they are called and when they strike. */
static int confirm(struct orr__shrink *shrink)
{
    int status = orr__shrink_record(shrink, orr__shrink_compose(shrink, 0, &orr__shrink_nothing));
    if (status == 0 && !orr__group_has(shrink->cause, shrink->group, &shrink->results[0]))
        return -EAGAIN;
    return status;
}

static int work(struct orr__shrink *shrink)
{
    int status = orr__shrink_record(shrink, shrink->command->job.faults);
    if (status < 0)
        return status;
    const struct orr_outcome *outcome = &shrink->results[0].outcome;
    if (!outcome->failed)
        return -ENOENT;
    memcpy(shrink->check, outcome->check, sizeof shrink->check);
    if (!orr__replay_file_expects(shrink->command, outcome->check))
        return -ESTALE;
    shrink->cause = shrink->results[0].cause;
    memcpy(shrink->group, shrink->results[0].group, sizeof shrink->group);
    status = prepare(shrink);
    if (status == 0)
        status = confirm(shrink);
    if (status == 0)
        status = drop_faults(shrink);
    if (status == 0)
        status = orr__shrink_move(shrink);
    if (status == 0)
        status = lower_parameters(shrink);
    if (status == 0)
        status = shorten_all(shrink);
    if (status == 0)
        status = orr__shrink_losses(shrink);
    if (status == 0) /* what was needed only because another took long, or lost much */
        status = drop_faults(shrink);
    return status == 0 ? confirm(shrink) : status;
}

static int finish(const struct orr__shrink *shrink, int status)
{
    const struct orr__command *command = shrink->command;
    if (status == -ENOENT && command->file != NULL)
        return orr__error(command, "%s passes: there is nothing to shrink", command->file);
    if (status == -ENOENT)
        return orr__error(command, "seed %" PRIu64 " passes: there is nothing to shrink",
                          command->seed_first);
    if (status == -ESTALE)
        return orr__error(
            command,
            "%s fails otherwise than it says: %s; mend its line \"check %s\", or take "
            "it out",
            command->file, shrink->check, command->file_head->check);
    if (status == -EAGAIN)
        return orr__error(command,
                          "seed %" PRIu64 " fails otherwise when it is run again: the run is not "
                          "deterministic",
                          command->seed_first);
    if (status < 0)
        return orr__error(command, "cannot go on: %s", strerror(-status));
    return 0;
}

/* Shrinks into the file. Returns 0 or the exit status, after an error message. */
static int shrink_into_file(struct orr__shrink *shrink, bool quiet)
{
    struct orr__command *command = shrink->command;
    void *results;
    int status = orr__nursery_open(&shrink->nursery, command->jobs,
                                   command->jobs * sizeof *shrink->results, &results);
    if (status < 0)
        return orr__error(command, "cannot prepare %u processes: %s", command->jobs,
                          strerror(-status));
    shrink->results = results;
    orr__progress_open(&shrink->progress, quiet);
    status = work(shrink);
    orr__progress_clear(&shrink->progress);
    int number = orr__nursery_signal();
    orr__nursery_close(&shrink->nursery);
    if (number != 0)
        raise(number);
    status = finish(shrink, status);
    return status == 0 ? orr__shrink_write_file(shrink) : status;
}

/* NULL after an error message. */
static struct orr__shrink *make(struct orr__command *command)
{
    struct orr__shrink *shrink = orr__private_map(sizeof *shrink);
    if (shrink == NULL) {
        orr__error(command, "no memory");
        return NULL;
    }
    if (command->job.parameter_count >= ORR__SHRINK_PARAMETERS_MAX) {
        orr__error(command, "no more than %d parameters", ORR__SHRINK_PARAMETERS_MAX - 1);
        return NULL;
    }
    shrink->command = command;
    shrink->begin_ns = orr__clock_ns();
    shrink->job = command->job;
    shrink->job.parameters = shrink->values;
    memcpy(shrink->values, command->job.parameters,
           command->job.parameter_count * sizeof *shrink->values);
    shrink->output = orr__shrink_output_path(command, shrink->path);
    orr__private_path(shrink->record_path, sizeof shrink->record_path);
    return shrink;
}

int orr__shrink(struct orr__command *command)
{
    struct orr__shrink *shrink = make(command);
    if (shrink == NULL)
        return ORR__EXIT_USAGE;
    int status = shrink_into_file(shrink, false);
    if (status != 0)
        return status;
    orr__shrink_tell(shrink);
    return ORR__EXIT_FAILING;
}

int orr__shrink_quietly(struct orr__command *command, bool quiet, const char **ret_path)
{
    struct orr__shrink *shrink = make(command);
    if (shrink == NULL)
        return ORR__EXIT_USAGE;
    *ret_path = shrink->output;
    return shrink_into_file(shrink, quiet);
}

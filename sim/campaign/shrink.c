/*
 * shrink.c: a failing seed, or a replay file that fails, down to the faults that it needs.
 *
 * The model: the run is recorded, every fault a line of a replay file. Crashes that a replay file
 * has appointed are recorded, too, but come back only by its own lines, which stand for them; so
 * they go in as they are. Then runs with fewer
 * lines are tried: without all, without a half, a quarter ... and at last without each single one.
 * What still fails in the same check stays away. In the end no fault can be left out: the set is
 * 1-minimal. Then the scenario is made smaller where it says how (orr_parameter.least), and what
 * takes time shorter, as far as that goes. A power loss loses as little as it may: nothing, or else
 * those of its lost writes and names that are needed, each a line like a fault.
 *
 *     kept   ====----====----====      trials of one round, as many at a time as there are jobs:
 *                 ^    ^    ^          each leaves another chunk out; the first that still fails
 *                 1    2    3          in order counts, whichever ended first
 *
 * So the result is the same with one job and with many. Lines, texts and results lie in mappings
 * of their own, see campaign.h.
 */
#include "campaign.h"

#include "sim/replay_file.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

enum {
    SIZE_BYTES_MAX = 32, /* of a time: "61234567ns" */
    SHORTER_COUNT = 4,   /* of a time: none of it, an eighth, a quarter, a half */
    SHORTER_ROUNDS = 8,  /* a time that has been made 2^8 times shorter is short enough */
    PARAMETERS_MAX = 64,
    NUMBER_BYTES_MAX = 24,
    HALVINGS_MAX = 16, /* of a parameter */
    LOSSES_MAX = 1024, /* parts of power losses that are looked at */
};

/* A fault of the recorded run. */
struct fault {
    const char *text; /* without the comment, and without the time if it has one */
    uint32_t length;
    uint64_t time_ns; /* UINT64_MAX = it has none */
    bool is_appointment;
    bool is_loss;    /* a part of a power loss: what does not survive it */
    bool loses_only; /* a power loss that loses nothing but such parts */
};

/* What a run leaves out, or makes shorter. */
struct trial {
    size_t from; /* of the kept faults: those from here ... */
    size_t to;   /* ... to before this one are left out */
    size_t changed;
    uint64_t time_ns; /* of the changed one; UINT64_MAX = none is changed */
};

struct shrink {
    struct orr__command *command;
    struct orr__job job; /* the command's, with smaller parameters */
    struct orr_parameter_value values[PARAMETERS_MAX];
    char numbers[PARAMETERS_MAX][NUMBER_BYTES_MAX]; /* of values that were made smaller */
    struct orr__nursery nursery;
    struct orr__result *results; /* one for each job */
    char *texts;                 /* the replay file of each job, text_bytes each */
    size_t text_bytes;
    char *recorded;
    size_t recorded_bytes;
    struct fault *faults;
    size_t fault_count;
    size_t struck; /* of them, in the recorded run */
    size_t losses; /* that were added */
    size_t *kept;  /* indices of faults */
    size_t kept_count;
    char check[sizeof((struct orr_outcome *)NULL)->check];
    enum orr__cause cause;
    char group[ORR__LINE_MAX];
    uint64_t runs;
    uint64_t begin_ns;
    struct orr__progress progress;
    char record_path[ORR__PATH_MAX_BYTES];
    const char *output; /* the path of the result: the command's, or made here */
    char path[ORR__PATH_MAX_BYTES];
};

static bool stopped(void)
{
    return orr__nursery_signal() != 0;
}

/* ---- runs ------------------------------------------------------------------------------------ */

static size_t write_fault(char *at, size_t room, const struct fault *fault, uint64_t time_ns)
{
    int length = time_ns == UINT64_MAX ? snprintf(at, room, "%.*s%s\n", (int)fault->length,
                                                  fault->text, fault->loses_only ? " only" : "")
                                       : snprintf(at, room, "%.*s %" PRIu64 "ns\n",
                                                  (int)fault->length, fault->text, time_ns);
    return length > 0 && (size_t)length < room ? (size_t)length : 0;
}

/* The text that a run is given. */
static const char *compose(const struct shrink *shrink, uint32_t job, const struct trial *trial)
{
    char *text = shrink->texts + job * shrink->text_bytes;
    size_t at = (size_t)snprintf(text, shrink->text_bytes, "only\n");
    for (size_t i = 0; i < shrink->kept_count; i++) {
        const struct fault *fault = &shrink->faults[shrink->kept[i]];
        bool is_changed = trial->time_ns != UINT64_MAX && i == trial->changed;
        if (i < trial->from || i >= trial->to)
            at += write_fault(text + at, shrink->text_bytes - at, fault,
                              is_changed ? trial->time_ns : fault->time_ns);
    }
    return text;
}

static void show_progress(struct shrink *shrink)
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
static int run(struct shrink *shrink, const struct orr__job *jobs, uint32_t count)
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
static int first_that_fails(struct shrink *shrink, const struct trial *trials, uint32_t count,
                            uint32_t *ret_first)
{
    struct orr__job jobs[ORR__JOBS_MAX];
    *ret_first = count;
    for (uint32_t begin = 0; begin < count && *ret_first == count;) {
        uint32_t left = count - begin;
        uint32_t together = left < shrink->nursery.count ? left : shrink->nursery.count;
        for (uint32_t i = 0; i < together; i++) {
            jobs[i] = shrink->job;
            jobs[i].faults = compose(shrink, i, &trials[begin + i]);
        }
        int status = run(shrink, jobs, together);
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

static void drop(struct shrink *shrink, size_t from, size_t to)
{
    memmove(shrink->kept + from, shrink->kept + to,
            (shrink->kept_count - to) * sizeof *shrink->kept);
    shrink->kept_count -= to - from;
}

/* Tries to do without each chunk of that size. Returns 0 or -errno. */
static int try_chunks(struct shrink *shrink, size_t size)
{
    int status = 0;
    size_t at = 0;
    while (at < shrink->kept_count && status == 0) {
        struct trial trials[ORR__JOBS_MAX];
        uint32_t count = 0;
        size_t next = at;
        for (; next < shrink->kept_count && count < shrink->nursery.count; next += size) {
            size_t to = next + size < shrink->kept_count ? next + size : shrink->kept_count;
            trials[count++] = (struct trial){.from = next, .to = to, .time_ns = UINT64_MAX};
        }
        uint32_t first;
        status = first_that_fails(shrink, trials, count, &first);
        at = first < count ? trials[first].from : next;
        if (first < count)
            drop(shrink, at, trials[first].to);
    }
    return status;
}

static int drop_faults(struct shrink *shrink)
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

static int shorten(struct shrink *shrink, size_t index)
{
    static const uint64_t divisors[SHORTER_COUNT] = {0, 8, 4, 2};
    struct fault *fault = &shrink->faults[shrink->kept[index]];
    for (int round = 0; round < SHORTER_ROUNDS && fault->time_ns > 0; round++) {
        struct trial trials[SHORTER_COUNT];
        uint32_t first;
        for (uint32_t i = 0; i < SHORTER_COUNT; i++)
            trials[i] = (struct trial){
                .changed = index,
                .time_ns = divisors[i] == 0 ? 0 : fault->time_ns / divisors[i],
            };
        int status = first_that_fails(shrink, trials, SHORTER_COUNT, &first);
        if (status < 0 || first == SHORTER_COUNT)
            return status;
        fault->time_ns = trials[first].time_ns;
    }
    return 0;
}

static int shorten_all(struct shrink *shrink)
{
    int status = 0;
    for (size_t i = 0; i < shrink->kept_count && status == 0; i++)
        if (shrink->faults[shrink->kept[i]].time_ns != UINT64_MAX)
            status = shorten(shrink, i);
    return status;
}

/* ---- smaller parameters ---------------------------------------------------------------------- */

static const struct trial nothing = {.time_ns = UINT64_MAX};

/* The place of a parameter's value among those of the job; a new one for what is not given. */
static size_t place_of(const struct shrink *shrink, const char *name)
{
    size_t i = 0;
    while (i < shrink->job.parameter_count && strcmp(shrink->values[i].name, name) != 0)
        i++;
    return i;
}

/* Keeps the value if it still fails so, and tells whether it does. Returns 0 or -errno. */
static int try_value(struct shrink *shrink, const struct orr_parameter *parameter, uint64_t number,
                     bool *ret_fails)
{
    uint32_t first;
    size_t place = place_of(shrink, parameter->name);
    struct orr__job before = shrink->job;
    struct orr_parameter_value value_before = shrink->values[place];
    char number_before[NUMBER_BYTES_MAX];
    memcpy(number_before, shrink->numbers[place], sizeof number_before);
    snprintf(shrink->numbers[place], NUMBER_BYTES_MAX, "%" PRIu64, number);
    shrink->values[place] =
        (struct orr_parameter_value){.name = parameter->name, .value = shrink->numbers[place]};
    if (place == shrink->job.parameter_count)
        shrink->job.parameter_count++;
    int status = first_that_fails(shrink, &nothing, 1, &first);
    *ret_fails = status == 0 && first == 0;
    if (*ret_fails)
        return 0;
    memcpy(shrink->numbers[place], number_before, sizeof number_before);
    shrink->values[place] = value_before;
    shrink->job = before;
    return status;
}

/* The least, else what halving comes to. One of a list of words is the least of them or stays. */
static int lower_parameter(struct shrink *shrink, const struct orr_parameter *parameter)
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

static int lower_parameters(struct shrink *shrink)
{
    const struct orr_parameter *parameter = shrink->job.scenario->parameters;
    int status = 0;
    for (; status == 0 && parameter != NULL && parameter->name != NULL; parameter++)
        if (parameter->least != NULL && shrink->job.parameter_count < PARAMETERS_MAX - 1)
            status = lower_parameter(shrink, parameter);
    return status;
}

/* ---- the recorded run ------------------------------------------------------------------------ */

/* "NAME += 40ms": the time of a line, which is then cut off. */
static void take_time(struct fault *fault)
{
    uint32_t at = fault->length;
    char time[SIZE_BYTES_MAX];
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
static bool is_loss(const struct orr__fault_line *line)
{
    static const char end[] = ": does not survive";
    const size_t length = sizeof end - 1;
    return line->comment_length >= length &&
           memcmp(line->comment + line->comment_length - length, end, length) == 0;
}

static void add_fault(struct shrink *shrink, const struct orr__fault_line *line)
{
    struct fault fault = {.text = line->text,
                          .length = line->text_length,
                          .time_ns = UINT64_MAX,
                          .is_appointment = line->is_appointment,
                          .is_loss = is_loss(line)};
    if (!line->is_appointment)
        take_time(&fault);
    shrink->kept[shrink->kept_count++] = shrink->fault_count;
    shrink->faults[shrink->fault_count++] = fault;
}

/* A line is complete with its comment: the program may have died in the middle of it. */
static void take_faults(struct shrink *shrink)
{
    struct orr__fault_line line;
    const char *at = shrink->recorded;
    while (orr__fault_line_next(&at, &line))
        if (line.comment != NULL && !orr__fault_line_is_appointed(&line))
            add_fault(shrink, &line);
    at = shrink->command->job.faults != NULL ? shrink->command->job.faults : "";
    while (orr__fault_line_next(&at, &line))
        if (line.is_appointment)
            add_fault(shrink, &line);
    for (size_t i = 0; i < shrink->fault_count; i++)
        shrink->struck += !shrink->faults[i].is_loss;
}

/* Runs the seed with `faults` (NULL: its own) and reads which struck. */
static int record(struct shrink *shrink, const char *faults)
{
    struct orr__job job = shrink->job;
    job.record = shrink->record_path;
    job.faults = faults;
    int status = run(shrink, &job, 1);
    int taken = orr__private_take(shrink->record_path, &shrink->recorded, &shrink->recorded_bytes);
    return status == 0 ? taken : status;
}

/* ---- a power loss that loses less ------------------------------------------------------------ */

static bool is_power_loss(const struct fault *fault)
{
    static const char end[] = " = power-loss";
    const uint32_t length = sizeof end - 1;
    return fault->length > length && memcmp(fault->text + fault->length - length, end, length) == 0;
}

/* The line of the recorded run that is the fault's, or NULL. */
static const char *line_of(const struct shrink *shrink, const struct fault *fault)
{
    const char *line = shrink->recorded;
    while (line != NULL && (strncmp(line, fault->text, fault->length) != 0 ||
                            strncmp(line + fault->length, "  #", 3) != 0)) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return line;
}

/* What the power loss has lost, each thing a comment behind it. */
static void add_losses(struct shrink *shrink, const struct fault *fault)
{
    struct orr__fault_line line;
    const char *at = line_of(shrink, fault);
    for (at = at != NULL ? strchr(at, '\n') : NULL; at != NULL && shrink->losses < LOSSES_MAX;
         at = strchr(at + 1, '\n')) {
        const char *comment = at + 3;
        if (strncmp(at + 1, "# ", 2) != 0 || !orr__fault_line_next(&comment, &line) ||
            !is_loss(&line))
            break;
        add_fault(shrink, &line);
        shrink->losses++;
    }
}

/* Does it fail so with the kept faults? Returns 0 or -errno. */
static int try_kept(struct shrink *shrink, bool *ret_fails)
{
    uint32_t first;
    int status = first_that_fails(shrink, &nothing, 1, &first);
    *ret_fails = status == 0 && first == 0;
    return status;
}

/* Loses nothing, or what it has lost and no more; else it stays as it was. */
static int lower_loss(struct shrink *shrink, struct fault *fault)
{
    bool fails;
    size_t kept_before = shrink->kept_count;
    size_t faults_before = shrink->fault_count;
    fault->loses_only = true;
    int status = try_kept(shrink, &fails);
    if (status == 0 && !fails) {
        add_losses(shrink, fault);
        status = try_kept(shrink, &fails);
    }
    if (status == 0 && !fails) {
        shrink->kept_count = kept_before;
        shrink->fault_count = faults_before;
        fault->loses_only = false;
    }
    return status;
}

static int lower_losses(struct shrink *shrink)
{
    size_t count = shrink->kept_count;
    int status = record(shrink, compose(shrink, 0, &nothing));
    for (size_t i = 0; i < count && status == 0; i++) {
        struct fault *fault = &shrink->faults[shrink->kept[i]];
        if (is_power_loss(fault))
            status = lower_loss(shrink, fault);
    }
    return status;
}

static int prepare(struct shrink *shrink)
{
    const char *own = shrink->command->job.faults != NULL ? shrink->command->job.faults : "";
    size_t lines = 1;
    for (const char *at = shrink->recorded; *at != '\0'; at++)
        lines += *at == '\n';
    for (const char *at = own; *at != '\0'; at++)
        lines += *at == '\n';
    lines += LOSSES_MAX;
    shrink->text_bytes = shrink->recorded_bytes + strlen(own) + lines * SIZE_BYTES_MAX +
                         LOSSES_MAX * ORR__POINT_NAME_MAX;
    shrink->faults = orr__private_map(lines * sizeof *shrink->faults);
    shrink->kept = orr__private_map(lines * sizeof *shrink->kept);
    shrink->texts = orr__private_map(shrink->text_bytes * shrink->nursery.count);
    if (shrink->faults == NULL || shrink->kept == NULL || shrink->texts == NULL)
        return -ENOMEM;
    take_faults(shrink);
    return 0;
}

/* ---- the result ------------------------------------------------------------------------------ */

/* What does not survive a power loss is a part of it. */
static size_t count_needed(const struct shrink *shrink)
{
    size_t needed = 0;
    for (size_t i = 0; i < shrink->kept_count; i++)
        needed += !shrink->faults[shrink->kept[i]].is_loss;
    return needed;
}

/* The kept faults as they struck at last. */
static void write_faults(const struct shrink *shrink, FILE *out, const char *indent)
{
    struct orr__fault_line line;
    const char *at = shrink->recorded;
    while (orr__fault_line_next(&at, &line))
        if (!orr__fault_line_is_appointed(&line))
            fprintf(out, "%s%.*s  # %.*s\n", indent, (int)line.text_length, line.text,
                    (int)line.comment_length, line.comment != NULL ? line.comment : "");
    for (size_t i = 0; i < shrink->kept_count; i++) {
        const struct fault *fault = &shrink->faults[shrink->kept[i]];
        if (fault->is_appointment)
            fprintf(out, "%s%.*s\n", indent, (int)fault->length, fault->text);
    }
}

/* Returns 0 or the exit status, after an error message. */
static int write_file(const struct shrink *shrink)
{
    size_t needed = count_needed(shrink);
    const char *path = shrink->output;
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return orr__error(shrink->command, "cannot write %s: %s", path, strerror(errno));
    fprintf(out, "# Needs exactly %zu of %zu faults. orrery explain tells what for.\n", needed,
            shrink->struck);
    orr__replay_file_begin(out, &shrink->job, shrink->command->seed_first, shrink->check);
    write_faults(shrink, out, "");
    if (fclose(out) != 0)
        return orr__error(shrink->command, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

/* "kv-3.replay"; of a file, "this-shrunk.replay" beside it. */
static const char *output_path(const struct orr__command *command, char path[ORR__PATH_MAX_BYTES])
{
    static const char ending[] = ".replay";
    if (command->output != NULL)
        return command->output;
    if (command->file == NULL) {
        snprintf(path, ORR__PATH_MAX_BYTES, "%s-%" PRIu64 "%s", command->job.scenario->name,
                 command->seed_first, ending);
        return path;
    }
    size_t length = strlen(command->file);
    if (length > strlen(ending) && strcmp(command->file + length - strlen(ending), ending) == 0)
        length -= strlen(ending);
    snprintf(path, ORR__PATH_MAX_BYTES, "%.*s-shrunk%s", (int)length, command->file, ending);
    return path;
}

static void tell(const struct shrink *shrink)
{
    const char *path = shrink->output;
    char time[ORR__AMOUNT_MAX];
    const struct orr__command *command = shrink->command;
    printf("seed %" PRIu64 " fails: %s\n", command->seed_first, shrink->check);
    if (shrink->kept_count == 0)
        printf("needs none of its %zu fault%s\n", shrink->struck, ORR__S(shrink->struck));
    else
        printf("needs exactly %zu of %zu fault%s:\n", count_needed(shrink), shrink->struck,
               ORR__S(shrink->struck));
    write_faults(shrink, stdout, "  ");
    printf("%" PRIu64 " runs in %s; written to %s\n  replay: ", shrink->runs,
           orr__text_time(time, orr__clock_ns() - shrink->begin_ns), path);
    orr__command_of_file(stdout, command, path);
    printf("%s\n", command->replay_tail);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The kept faults, run once more: what they are called and when they strike. */
static int confirm(struct shrink *shrink)
{
    int status = record(shrink, compose(shrink, 0, &nothing));
    if (status == 0 && !orr__group_has(shrink->cause, shrink->group, &shrink->results[0]))
        return -EAGAIN;
    return status;
}

static int work(struct shrink *shrink)
{
    int status = record(shrink, shrink->command->job.faults);
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
        status = lower_parameters(shrink);
    if (status == 0)
        status = shorten_all(shrink);
    if (status == 0)
        status = lower_losses(shrink);
    if (status == 0) /* what was needed only because another took long, or lost much */
        status = drop_faults(shrink);
    return status == 0 ? confirm(shrink) : status;
}

static int finish(const struct shrink *shrink, int status)
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
static int shrink_into_file(struct shrink *shrink, bool quiet)
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
    return status == 0 ? write_file(shrink) : status;
}

/* NULL after an error message. */
static struct shrink *make(struct orr__command *command)
{
    struct shrink *shrink = orr__private_map(sizeof *shrink);
    if (shrink == NULL) {
        orr__error(command, "no memory");
        return NULL;
    }
    if (command->job.parameter_count >= PARAMETERS_MAX) {
        orr__error(command, "no more than %d parameters", PARAMETERS_MAX - 1);
        return NULL;
    }
    shrink->command = command;
    shrink->begin_ns = orr__clock_ns();
    shrink->job = command->job;
    shrink->job.parameters = shrink->values;
    memcpy(shrink->values, command->job.parameters,
           command->job.parameter_count * sizeof *shrink->values);
    shrink->output = output_path(command, shrink->path);
    orr__private_path(shrink->record_path, sizeof shrink->record_path);
    return shrink;
}

int orr__shrink(struct orr__command *command)
{
    struct shrink *shrink = make(command);
    if (shrink == NULL)
        return ORR__EXIT_USAGE;
    int status = shrink_into_file(shrink, false);
    if (status != 0)
        return status;
    tell(shrink);
    return ORR__EXIT_FAILING;
}

int orr__shrink_quietly(struct orr__command *command, bool quiet, const char **ret_path)
{
    struct shrink *shrink = make(command);
    if (shrink == NULL)
        return ORR__EXIT_USAGE;
    *ret_path = shrink->output;
    return shrink_into_file(shrink, quiet);
}

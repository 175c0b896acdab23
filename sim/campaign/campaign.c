/*
 * campaign.c: many seeds, as many at a time as there are jobs.
 *
 * The model: seeds are started in order. They end in any order, and their results wait in a
 * window until all before them are in; then they are *taken*: summed up, and told if they failed.
 * What a campaign says is made of taken results only. So it is the same with one job and with
 * many: the first failures are those with the smallest seeds, and the sums end with the last of
 * them.
 *
 *       taken         started
 *         v             v
 *     ####+--#-##-#--###........   # result in, - running, . not started
 *         <-- window -->
 *
 * Telling is done by a process aside, which may allocate. Where every seed is told, those that
 * passed wait in the window a little longer, so that one process tells many.
 *
 * A seed that takes very long holds the window up once WINDOW seeds wait for it; the time limit
 * ends that.
 */
#include "campaign.h"

#include <signal.h>
#include <string.h>

enum {
    WINDOW = 2048,
    TOLD_TOGETHER = 64, /* seeds that passed: what a process is worth that tells them */
};

#define PROGRESS_PERIOD_NS (100 * ORR_MILLISECOND)
#define TELLING_PERIOD_NS (200 * ORR_MILLISECOND)

struct entry {
    enum { ENTRY_FREE, ENTRY_FIRST_IN, ENTRY_IN, ENTRY_TAKEN } state;
    struct orr__result result;
    struct orr__second second; /* of a seed that is run twice */
};

/* Memory that seeds do not inherit, see campaign.h. */
struct memory {
    struct entry window[WINDOW];                /* of the seed with index i: i % WINDOW */
    struct orr__result kept[ORR__DETAILED_MAX]; /* the first of each group */
    struct orr__result second;                  /* one that has just ended */
};

/* Seeds are counted from 0 here: index i is the seed orr__seed_at(command, i). */
struct campaign {
    const struct orr__command *command;
    struct orr__nursery nursery;
    struct memory *memory;
    uint64_t started;
    bool second_due; /* of the seed that was started last */
    uint64_t taken;
    uint64_t told; /* of those taken: with what must be told of them */
    uint64_t told_ns;
    uint32_t running;
    uint64_t failures_waiting; /* in the window */
    bool stopped;
    int write_status; /* of what was told last */
    uint64_t begin_ns;
    struct orr__totals totals;
    struct orr__progress progress;
};

static uint64_t elapsed_ns(const struct campaign *campaign)
{
    return orr__clock_ns() - campaign->begin_ns;
}

static bool time_is_over(const struct campaign *campaign)
{
    uint64_t time_ns = campaign->command->time_ns;
    return time_ns > 0 && elapsed_ns(campaign) >= time_ns;
}

static void stop(struct campaign *campaign, enum orr__stop why)
{
    campaign->stopped = true;
    campaign->totals.stop = why;
}

/* ---- taking results in order ----------------------------------------------------------------- */

static struct entry *entry_at(const struct campaign *campaign, uint64_t index)
{
    return &campaign->memory->window[index % WINDOW];
}

/* In a process aside: all that was taken and not told. */
static void tell(const void *context)
{
    const struct campaign *campaign = context;
    const struct orr__command *command = campaign->command;
    for (uint64_t index = campaign->told; index < campaign->taken; index++) {
        const struct entry *entry = entry_at(campaign, index);
        if (entry->state != ENTRY_TAKEN || (!command->json_all && !entry->result.outcome.failed))
            continue;
        if (command->json)
            orr__json_seed(command, &entry->result);
        else
            orr__report_failure(command, &entry->result);
    }
}

static void tell_taken(struct campaign *campaign)
{
    if (campaign->told == campaign->taken || campaign->write_status < 0)
        return;
    orr__progress_clear(&campaign->progress);
    campaign->write_status = orr__nursery_aside(&campaign->nursery, tell, campaign);
    for (; campaign->told < campaign->taken; campaign->told++)
        entry_at(campaign, campaign->told)->state = ENTRY_FREE;
    campaign->told_ns = orr__clock_ns();
    if (campaign->write_status < 0)
        stop(campaign, ORR__STOP_ERROR);
}

static void take(struct campaign *campaign, struct entry *entry)
{
    struct orr__result *result = &entry->result;
    if (result->differs)
        orr__twice_locate(&campaign->nursery, &campaign->command->job, result);
    uint32_t group = orr__totals_add(&campaign->totals, result);
    entry->state = ENTRY_TAKEN;
    entry->second.in = false;
    if (group < ORR__DETAILED_MAX)
        campaign->memory->kept[group] = *result;
    if (!result->outcome.failed)
        return;
    campaign->failures_waiting--;
    if (campaign->totals.failures == campaign->command->failures_max)
        stop(campaign, ORR__STOP_FAILURES);
}

/* Failures are told at once, each by itself; seeds that passed can wait for others. */
static void tell_in_time(struct campaign *campaign, bool failed)
{
    if (!failed && !campaign->command->json_all) {
        entry_at(campaign, campaign->told)->state = ENTRY_FREE;
        campaign->told = campaign->taken;
    } else if (failed || campaign->taken - campaign->told == TOLD_TOGETHER) {
        tell_taken(campaign);
    }
}

static void take_in_order(struct campaign *campaign)
{
    while (!campaign->stopped && campaign->taken < campaign->started) {
        struct entry *entry = entry_at(campaign, campaign->taken);
        if (entry->state != ENTRY_IN)
            return;
        campaign->taken++;
        take(campaign, entry);
        tell_in_time(campaign, entry->result.outcome.failed);
    }
}

/* After an interrupt: what is known is told, though seeds between are missing. */
static void take_what_is_in(struct campaign *campaign)
{
    for (; campaign->taken < campaign->started; campaign->taken++) {
        struct entry *entry = entry_at(campaign, campaign->taken);
        if (entry->state == ENTRY_IN)
            take(campaign, entry);
    }
}

/* ---- running --------------------------------------------------------------------------------- */

/* Seeds are not started once enough failures are in: all that could come are larger. */
static bool wants_more(const struct campaign *campaign)
{
    const struct orr__command *command = campaign->command;
    uint64_t failures = campaign->totals.failures + campaign->failures_waiting;
    return !campaign->stopped && orr__seed_exists(command, campaign->started) &&
           campaign->started - campaign->told < WINDOW &&
           (command->failures_max == 0 || failures < command->failures_max) &&
           !time_is_over(campaign);
}

/* The next run: of the next seed, or once more of the one before, when it is one of those. */
static int start_next(struct campaign *campaign, struct orr__child *child)
{
    const struct orr__command *command = campaign->command;
    bool second = campaign->second_due;
    uint64_t seed = orr__seed_at(command, campaign->started - (second ? 1 : 0));
    enum orr__twin twin = ORR__TWIN_NONE;
    if (orr__twice_chooses(command->twice_every, seed))
        twin = second ? ORR__TWIN_SECOND : ORR__TWIN_FIRST;
    int status = orr__nursery_start_twin(&campaign->nursery, child, &command->job, seed, twin, -1);
    if (status < 0)
        return status;
    campaign->started += second ? 0 : 1;
    campaign->second_due = twin == ORR__TWIN_FIRST;
    campaign->running++;
    return 0;
}

static bool wants_run(const struct campaign *campaign)
{
    return (campaign->second_due && !campaign->stopped) || wants_more(campaign);
}

static void start_seeds(struct campaign *campaign)
{
    for (uint32_t i = 0; i < campaign->nursery.count && wants_run(campaign); i++) {
        struct orr__child *child = &campaign->nursery.children[i];
        if (child->pid != 0)
            continue;
        int status = start_next(campaign, child);
        if (status < 0 && campaign->running == 0) {
            orr__error(campaign->command, "cannot start a process: %s", strerror(-status));
            stop(campaign, ORR__STOP_ERROR);
        }
        if (status < 0) /* again when one of those that run has ended */
            return;
    }
}

static void count_done(struct campaign *campaign, const struct orr_outcome *outcome)
{
    campaign->failures_waiting += outcome->failed;
    campaign->progress.seeds++;
    campaign->progress.failures += outcome->failed;
    campaign->progress.events += outcome->events;
    campaign->progress.simulated_ns += outcome->simulated_ns;
}

/* A run has ended: the seed may wait for the other one. */
static void enter(struct campaign *campaign, struct entry *entry, enum orr__twin twin)
{
    if (twin == ORR__TWIN_SECOND)
        orr__twice_keep(&campaign->memory->second, &entry->second);
    else
        entry->state = ENTRY_FIRST_IN;
    if (twin != ORR__TWIN_NONE && !(entry->state == ENTRY_FIRST_IN && entry->second.in))
        return;
    if (twin != ORR__TWIN_NONE)
        orr__twice_judge(&entry->result, &entry->second);
    entry->state = ENTRY_IN;
    count_done(campaign, &entry->result.outcome);
}

static void collect(struct campaign *campaign)
{
    for (uint32_t i = 0; i < campaign->nursery.count; i++) {
        struct orr__child *child = &campaign->nursery.children[i];
        uint64_t index =
            (child->seed - orr__seed_at(campaign->command, 0)) / campaign->command->shard_count;
        struct entry *entry = entry_at(campaign, index);
        struct orr__result *result =
            child->twin == ORR__TWIN_SECOND ? &campaign->memory->second : &entry->result;
        if (!orr__nursery_reap(child, &campaign->command->job, result))
            continue;
        campaign->running--;
        enter(campaign, entry, child->twin);
    }
}

static void show_progress(struct campaign *campaign)
{
    if (campaign->progress.wanted)
        orr__progress_show(&campaign->progress, campaign->command, elapsed_ns(campaign));
}

/* When there is something to write although no seed ends. */
static uint64_t next_wake(const struct campaign *campaign)
{
    uint64_t wake_ns = UINT64_MAX;
    if (campaign->taken > campaign->told)
        wake_ns = campaign->told_ns + TELLING_PERIOD_NS;
    uint64_t progress_ns = orr__clock_ns() + PROGRESS_PERIOD_NS;
    return campaign->progress.wanted && progress_ns < wake_ns ? progress_ns : wake_ns;
}

static void run(struct campaign *campaign)
{
    start_seeds(campaign);
    while (campaign->running > 0 && !campaign->stopped) {
        orr__nursery_wait(&campaign->nursery, &campaign->command->job, next_wake(campaign));
        collect(campaign);
        take_in_order(campaign);
        if (orr__clock_ns() - campaign->told_ns >= TELLING_PERIOD_NS)
            tell_taken(campaign);
        if (orr__nursery_signal() != 0 && !campaign->stopped) {
            stop(campaign, ORR__STOP_SIGNAL);
            take_what_is_in(campaign);
        }
        start_seeds(campaign);
        show_progress(campaign);
    }
    tell_taken(campaign);
    bool complete = !orr__seed_exists(campaign->command, campaign->taken);
    if (campaign->totals.stop == ORR__STOP_FAILURES && complete)
        campaign->totals.stop = ORR__STOP_END;
    else if (!campaign->stopped && !complete)
        campaign->totals.stop = ORR__STOP_TIME;
    campaign->totals.elapsed_ns = elapsed_ns(campaign);
}

static void report(const struct campaign *campaign)
{
    if (campaign->command->json)
        orr__json_summary(campaign->command, &campaign->totals);
    else
        orr__report_end(campaign->command, &campaign->totals, campaign->memory->kept);
}

int orr__campaign(struct orr__command *command)
{
    struct campaign campaign = {.command = command, .begin_ns = orr__clock_ns()};
    void *memory;
    int status =
        orr__nursery_open(&campaign.nursery, command->jobs, sizeof *campaign.memory, &memory);
    if (status < 0)
        return orr__error(command, "cannot prepare %u processes: %s", command->jobs,
                          strerror(-status));
    campaign.memory = memory;
    orr__progress_open(&campaign.progress, command->json);
    run(&campaign);
    orr__progress_clear(&campaign.progress);
    report(&campaign);
    if (campaign.write_status == 0)
        campaign.write_status = orr__flush();
    int number = orr__nursery_signal();
    orr__nursery_close(&campaign.nursery);
    if (number != 0) /* end as the sender of the signal meant it, now that all is told */
        raise(number);
    if (campaign.write_status < 0)
        return orr__write_error(command, campaign.write_status);
    if (campaign.totals.stop == ORR__STOP_ERROR)
        return ORR__EXIT_USAGE;
    return campaign.totals.failures > 0 ? ORR__EXIT_FAILING : ORR__EXIT_CLEAN;
}

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
 * A seed that takes very long holds the window up once WINDOW seeds wait for it; the time limit
 * ends that.
 */
#include "campaign.h"

#include <signal.h>
#include <string.h>

enum { WINDOW = 2048 };

#define PROGRESS_PERIOD_NS (100 * ORR_MILLISECOND)

struct entry {
    bool in; /* all that is needed */
    bool first_in;
    struct orr__result result;
    struct orr__second second; /* of a seed that is run twice */
};

/* Memory that seeds do not inherit, see campaign.h. */
struct memory {
    struct entry window[WINDOW]; /* of the seed with index i: i % WINDOW */
    struct orr__result kept[ORR__DETAILED_MAX];
    struct orr__result second; /* one that has just ended */
};

/* Seeds are counted from 0 here: index i is the seed seed_first + i. */
struct campaign {
    const struct orr__command *command;
    struct orr__nursery nursery;
    struct memory *memory;
    uint64_t started;
    bool second_due; /* of the seed that was started last */
    uint64_t taken;
    uint32_t running;
    uint64_t failures_waiting; /* in the window */
    uint32_t kept_count;
    uint32_t sometimes_at; /* where the next `sometimes` text is likely to be */
    bool stopped;
    int write_status; /* of the last failure told */
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

/* ---- sums ------------------------------------------------------------------------------------ */

/* Seeds meet the same checks in much the same order, so the search begins where the last one
 * ended. */
static void add_sometimes(struct campaign *campaign, const char *text, uint64_t seen)
{
    struct orr__totals *totals = &campaign->totals;
    for (uint32_t i = 0; i < totals->sometimes_count; i++) {
        uint32_t at = (campaign->sometimes_at + i) % totals->sometimes_count;
        if (strcmp(totals->sometimes[at].text, text) == 0) {
            totals->sometimes[at].seen += seen;
            campaign->sometimes_at = at + 1;
            return;
        }
    }
    if (totals->sometimes_count == ORR__SOMETIMES_MAX) {
        totals->sometimes_lost = true;
        return;
    }
    uint32_t at = totals->sometimes_count++;
    memcpy(totals->sometimes[at].text, text, strlen(text) + 1);
    totals->sometimes[at].seen = seen;
}

static void add_outcome(struct campaign *campaign, const struct orr_outcome *outcome)
{
    struct orr__totals *totals = &campaign->totals;
    totals->seeds++;
    totals->failures += outcome->failed;
    totals->events += outcome->events;
    totals->completions += outcome->completions;
    totals->simulated_ns += outcome->simulated_ns;
    totals->faults += outcome->faults;
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        totals->faults_by_family[i] += outcome->faults_by_family[i];
    for (uint32_t i = 0; i < outcome->sometimes_count; i++)
        add_sometimes(campaign, outcome->sometimes[i].text, outcome->sometimes[i].seen);
}

/* ---- taking results in order ----------------------------------------------------------------- */

struct telling {
    const struct orr__command *command;
    const struct orr__result *result;
};

static void tell(const void *context)
{
    const struct telling *telling = context;
    if (telling->command->json)
        orr__json_failure(telling->command, telling->result);
    else
        orr__report_failure(telling->command, telling->result);
}

static void take_failure(struct campaign *campaign, struct orr__result *result)
{
    struct telling telling = {.command = campaign->command, .result = result};
    campaign->failures_waiting--;
    if (result->differs)
        orr__twice_locate(&campaign->nursery, &campaign->command->job, result);
    if (campaign->kept_count < ORR__DETAILED_MAX)
        campaign->memory->kept[campaign->kept_count++] = *result;
    orr__progress_clear(&campaign->progress);
    campaign->write_status = orr__nursery_aside(&campaign->nursery, tell, &telling);
    if (campaign->write_status < 0)
        stop(campaign, ORR__STOP_ERROR);
    else if (campaign->totals.failures == campaign->command->failures_max)
        stop(campaign, ORR__STOP_FAILURES);
}

static void take(struct campaign *campaign, struct entry *entry)
{
    entry->in = false;
    entry->first_in = false;
    entry->second.in = false;
    add_outcome(campaign, &entry->result.outcome);
    if (entry->result.outcome.failed)
        take_failure(campaign, &entry->result);
}

static void take_in_order(struct campaign *campaign)
{
    while (!campaign->stopped && campaign->taken < campaign->started) {
        struct entry *entry = &campaign->memory->window[campaign->taken % WINDOW];
        if (!entry->in)
            return;
        campaign->taken++;
        take(campaign, entry);
    }
}

/* After an interrupt: what is known is told, though seeds between are missing. */
static void take_what_is_in(struct campaign *campaign)
{
    for (; campaign->taken < campaign->started; campaign->taken++) {
        struct entry *entry = &campaign->memory->window[campaign->taken % WINDOW];
        if (entry->in)
            take(campaign, entry);
    }
}

/* ---- running --------------------------------------------------------------------------------- */

/* Seeds are not started once enough failures are in: all that could come are larger. */
static bool wants_more(const struct campaign *campaign)
{
    const struct orr__command *command = campaign->command;
    uint64_t failures = campaign->totals.failures + campaign->failures_waiting;
    return !campaign->stopped && campaign->started <= command->seed_last - command->seed_first &&
           campaign->started - campaign->taken < WINDOW &&
           (command->failures_max == 0 || failures < command->failures_max) &&
           !time_is_over(campaign);
}

/* The next run: of the next seed, or once more of the one before, when it is one of those. */
static int start_next(struct campaign *campaign, struct orr__child *child)
{
    const struct orr__command *command = campaign->command;
    bool second = campaign->second_due;
    uint64_t seed = command->seed_first + campaign->started - (second ? 1 : 0);
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
        entry->first_in = true;
    if (twin != ORR__TWIN_NONE && !(entry->first_in && entry->second.in))
        return;
    if (twin != ORR__TWIN_NONE)
        orr__twice_judge(&entry->result, &entry->second);
    entry->in = true;
    count_done(campaign, &entry->result.outcome);
}

static void collect(struct campaign *campaign)
{
    for (uint32_t i = 0; i < campaign->nursery.count; i++) {
        struct orr__child *child = &campaign->nursery.children[i];
        uint64_t index = child->seed - campaign->command->seed_first;
        struct entry *entry = &campaign->memory->window[index % WINDOW];
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

static void run(struct campaign *campaign)
{
    start_seeds(campaign);
    while (campaign->running > 0 && !campaign->stopped) {
        uint64_t wake_ns =
            campaign->progress.wanted ? orr__clock_ns() + PROGRESS_PERIOD_NS : UINT64_MAX;
        orr__nursery_wait(&campaign->nursery, &campaign->command->job, wake_ns);
        collect(campaign);
        take_in_order(campaign);
        if (orr__nursery_signal() != 0 && !campaign->stopped) {
            stop(campaign, ORR__STOP_SIGNAL);
            take_what_is_in(campaign);
        }
        start_seeds(campaign);
        show_progress(campaign);
    }
    uint64_t last = campaign->command->seed_last - campaign->command->seed_first;
    if (campaign->totals.stop == ORR__STOP_FAILURES && campaign->taken > last)
        campaign->totals.stop = ORR__STOP_END;
    else if (!campaign->stopped && campaign->taken <= last)
        campaign->totals.stop = ORR__STOP_TIME;
    campaign->totals.elapsed_ns = elapsed_ns(campaign);
}

static void report(const struct campaign *campaign)
{
    if (campaign->command->json)
        orr__json_summary(campaign->command, &campaign->totals);
    else
        orr__report_end(campaign->command, &campaign->totals, campaign->memory->kept,
                        campaign->kept_count);
}

int orr__campaign(const struct orr__command *command)
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

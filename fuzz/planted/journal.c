/*
 * journal.c: a journal on one disk: a record, a sync, the next record. After a sync that failed the
 * record is written again, in whole; the planted bug forgets that when that write is short, and
 * only a crash before the next sync shows it. So three faults are needed, in this order, about one
 * record: EIO of a sync, a short write, a crash within the pause before the sync is tried again.
 */
#include "planted.h"

#include <string.h>

#define RECORDS 40u
#define RECORD_BYTES 64u
#define RETRY_PAUSE (20 * ORR_MILLISECOND)

/* What outlives the program. */
struct task {
    struct orr_world *world;
    bool is_planted;
    bool is_torn; /* the disk holds half a record that counts as whole */
    uint32_t records;
};

struct journal {
    struct orr_loop *loop;
    struct task *task;
    orr_handle file;
    bool is_again; /* the record was written before, and its sync failed */
    uint32_t done; /* bytes of the record */
    struct orr_completion io;
    uint8_t record[RECORD_BYTES];
};

static void write_rest(struct journal *journal);

static void on_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct journal *journal = context;
    struct task *task = journal->task;
    (void)completion;
    journal->is_again = result < 0;
    orr_sometimes(task->world, result < 0, "a sync fails");
    task->is_torn = false;
    journal->done = 0;
    if (result == 0 && ++task->records >= RECORDS)
        return;
    write_rest(journal);
}

static void on_paused(void *context, struct orr_completion *completion, int64_t result)
{
    struct journal *journal = context;
    (void)result;
    orr_fsync(journal->loop, completion, journal->file, on_synced, journal);
}

static void on_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct journal *journal = context;
    struct task *task = journal->task;
    if (result > 0)
        journal->done += (uint32_t)result;
    bool is_short = journal->done < RECORD_BYTES;
    if (orr_sometimes(task->world, journal->is_again && is_short && result > 0,
                      "a record that is written again is cut"))
        task->is_torn = task->is_planted;
    else if (is_short) {
        write_rest(journal);
        return;
    }
    if (journal->is_again)
        orr_timeout(journal->loop, completion, RETRY_PAUSE, on_paused, journal);
    else
        on_paused(journal, completion, 0);
}

static void write_rest(struct journal *journal)
{
    uint64_t at = (uint64_t)journal->task->records * RECORD_BYTES + journal->done;
    orr_write(journal->loop, &journal->io, journal->file, journal->record + journal->done,
              RECORD_BYTES - journal->done, at, on_written, journal);
}

static void on_opened(void *context, struct orr_completion *completion, int64_t result)
{
    struct journal *journal = context;
    (void)completion;
    if (result < 0)
        return;
    journal->file = result;
    write_rest(journal);
}

static void *boot(struct orr_loop *loop, void *config)
{
    struct task *task = config;
    struct journal *journal = orr_malloc(loop, sizeof *journal);
    orr_always(task->world, !task->is_torn, "every record is whole after a crash");
    if (journal == NULL)
        return NULL;
    *journal = (struct journal){.loop = loop, .task = task};
    memset(journal->record, 'r', sizeof journal->record);
    orr_open(loop, &journal->io, ORR_DIRECTORY_CURRENT, "journal", ORR_OPEN_WRITE | ORR_OPEN_CREATE,
             0666, on_opened, journal);
    return journal;
}

static void run(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot};
    struct task task = {.world = world};
    task.is_planted = strcmp(orr_parameter_text(world, "bug"), "planted") == 0;
    planted_rates(world);
    struct orr_node *node = orr_node_create(world, "journal", &program, &task);
    orr_node_allow_crashes(node, ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    orr_world_run_for(world, 150 * ORR_MILLISECOND);
    orr_world_heal(world);
    orr_world_run_for(world, 20 * ORR_MILLISECOND);
}

static const struct orr_parameter parameters[] = {PLANTED_PARAMETERS};

const struct orr_scenario journal_scenario = {
    .name = "journal",
    .summary = "a journal's records are whole after a crash",
    .parameters = parameters,
    .run = run,
};

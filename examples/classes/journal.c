/*
 * journal.c: see journal.h.
 *
 *      open index, data --> sync the directory --> read entry, payload ... --> append, append ...
 *
 * One operation is in flight at a time. Recovery ends at the first entry that is not there or whose
 * payload is another one; what stands there is overwritten by the next append.
 */
#include "journal.h"

#include <string.h>

#define ENTRY_LENGTH 32u /* a divisor of a sector: an entry is written whole or not at all */
#define FILE_MODE 0600u
#define PAUSE_NS ORR_MILLISECOND

struct entry {
    uint64_t number; /* from 1 on; 0: there is none */
    uint64_t checksum;
    uint64_t reserved[2];
};

struct journal {
    struct orr_loop *loop;
    const struct journal_config *config;
    orr_handle index;
    orr_handle data;
    orr_handle directory;
    uint64_t count;
    struct entry entry;
    uint8_t payload[JOURNAL_PAYLOAD_LENGTH];
    struct orr_completion io;
};

/* FNV-1a over number and payload. */
static uint64_t checksum_of(uint64_t number, const uint8_t *payload)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325) ^ number;
    for (size_t i = 0; i < JOURNAL_PAYLOAD_LENGTH; i++)
        sum = (sum ^ payload[i]) * UINT64_C(0x100000001b3);
    return sum;
}

void journal_payload(uint64_t number, uint8_t payload[JOURNAL_PAYLOAD_LENGTH])
{
    for (size_t i = 0; i < JOURNAL_PAYLOAD_LENGTH; i++)
        payload[i] = (uint8_t)(number * 31 + i * 7 + 1);
}

static bool has_bug(const struct journal *journal, enum journal_bug bug)
{
    return (journal->config->bugs & bug) != 0;
}

/* Whether the program goes on. If not, it ends here. */
static bool goes_on(struct journal *journal, int64_t result)
{
    if (result < 0)
        orr_stop(journal->loop);
    return result >= 0;
}

/* ---- appending ------------------------------------------------------------------------------- */

static void append(void *context, struct orr_completion *io, int64_t result);

static void on_index_synced(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    if (!goes_on(journal, result))
        return;
    journal->count++;
    journal->config->durable(journal->config->context, journal->count);
    orr_timeout(journal->loop, io, PAUSE_NS, append, journal);
}

static void on_data_synced(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    if (goes_on(journal, result))
        orr_fdatasync(journal->loop, io, journal->index, on_index_synced, journal);
}

static void on_entry_written(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    if (!goes_on(journal, result))
        return;
    if (has_bug(journal, JOURNAL_BUG_WRITE_ORDER))
        on_data_synced(journal, io, 0);
    else
        orr_fdatasync(journal->loop, io, journal->data, on_data_synced, journal);
}

static void on_payload_written(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    if (goes_on(journal, result))
        orr_write_all(journal->loop, io, journal->index, &journal->entry, ENTRY_LENGTH,
                      journal->count * ENTRY_LENGTH, on_entry_written, journal);
}

static void append(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    uint64_t number = journal->count + 1;
    if (result < 0 || number > JOURNAL_RECORDS_MAX)
        return;
    journal_payload(number, journal->payload);
    journal->entry =
        (struct entry){.number = number, .checksum = checksum_of(number, journal->payload)};
    orr_write_all(journal->loop, io, journal->data, journal->payload, JOURNAL_PAYLOAD_LENGTH,
                  journal->count * JOURNAL_PAYLOAD_LENGTH, on_payload_written, journal);
}

/* ---- recovery -------------------------------------------------------------------------------- */

static void read_entry(struct journal *journal, struct orr_completion *io);

static void finish(struct journal *journal, struct orr_completion *io)
{
    journal->config->recovered(journal->config->context, journal->count);
    append(journal, io, 0);
}

static void on_payload_read(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    uint64_t number = journal->count + 1;
    if (!goes_on(journal, result))
        return;
    bool is_whole = result == JOURNAL_PAYLOAD_LENGTH &&
                    checksum_of(number, journal->payload) == journal->entry.checksum;
    if (!is_whole && !has_bug(journal, JOURNAL_BUG_NO_CHECKSUM)) {
        finish(journal, io);
        return;
    }
    journal->count = number;
    journal->config->found(journal->config->context, number, journal->payload);
    read_entry(journal, io);
}

static void on_entry_read(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    if (!goes_on(journal, result))
        return;
    if (result != ENTRY_LENGTH || journal->entry.number != journal->count + 1) {
        finish(journal, io);
        return;
    }
    memset(journal->payload, 0, sizeof journal->payload);
    orr_read_exact(journal->loop, io, journal->data, journal->payload, JOURNAL_PAYLOAD_LENGTH,
                   journal->count * JOURNAL_PAYLOAD_LENGTH, on_payload_read, journal);
}

static void read_entry(struct journal *journal, struct orr_completion *io)
{
    orr_read_exact(journal->loop, io, journal->index, &journal->entry, ENTRY_LENGTH,
                   journal->count * ENTRY_LENGTH, on_entry_read, journal);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void on_directory_synced(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    if (goes_on(journal, result))
        read_entry(journal, io);
}

static void on_directory_open(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    journal->directory = result;
    if (goes_on(journal, result))
        orr_fsync(journal->loop, io, journal->directory, on_directory_synced, journal);
}

static void on_data_open(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    journal->data = result;
    if (!goes_on(journal, result))
        return;
    if (has_bug(journal, JOURNAL_BUG_DIRECTORY_SYNC))
        on_directory_synced(journal, io, 0);
    else
        orr_open(journal->loop, io, ORR_DIRECTORY_CURRENT, ".", ORR_OPEN_READ | ORR_OPEN_DIRECTORY,
                 0, on_directory_open, journal);
}

static void on_index_open(void *context, struct orr_completion *io, int64_t result)
{
    struct journal *journal = context;
    journal->index = result;
    if (goes_on(journal, result))
        orr_open(journal->loop, io, ORR_DIRECTORY_CURRENT, "data",
                 ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE, FILE_MODE, on_data_open,
                 journal);
}

void *journal_boot(struct orr_loop *loop, void *config)
{
    struct journal *journal = orr_malloc(loop, sizeof *journal);
    if (journal == NULL)
        return NULL;
    memset(journal, 0, sizeof *journal);
    journal->loop = loop;
    journal->config = config;
    orr_open(loop, &journal->io, ORR_DIRECTORY_CURRENT, "index",
             ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE, FILE_MODE, on_index_open, journal);
    return journal;
}

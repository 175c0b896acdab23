/*
 * journal.h: a program that keeps numbered records, each durable before it counts.
 *
 * Two files: `data` holds the payloads, one after the other, and `index` an entry for each with its
 * checksum. Both are written and synced; which of the writes reaches the disk first nobody knows,
 * and the checksum tells whether both have.
 */
#ifndef CLASSES_JOURNAL_H
#define CLASSES_JOURNAL_H

#include <orrery/io.h>

#define JOURNAL_PAYLOAD_LENGTH 1024u
#define JOURNAL_RECORDS_MAX 64u

enum journal_bug {
    JOURNAL_BUG_NO_CHECKSUM = 1u << 0, /* an entry is believed without a look at its payload */
    JOURNAL_BUG_WRITE_ORDER = 1u << 1, /* the index is synced alone: the data was written first */
    JOURNAL_BUG_DIRECTORY_SYNC = 1u << 2, /* new files are synced, and their directory is not */
};

struct journal_config {
    uint32_t bugs; /* enum journal_bug, ored */
    /* A record was found at the start; so many were, and nothing more; a record is durable. */
    void (*found)(void *context, uint64_t number, const uint8_t *payload);
    void (*recovered)(void *context, uint64_t count);
    void (*durable)(void *context, uint64_t number);
    void *context;
};

/* Boots; `config` is a struct journal_config. An error of the disk ends it by orr_stop. */
void *journal_boot(struct orr_loop *loop, void *config);

/* The payload that a record with this number has. */
void journal_payload(uint64_t number, uint8_t payload[JOURNAL_PAYLOAD_LENGTH]);

#endif

/*
 * store.h: the keys and values in memory, what the log amounts to.
 *
 * A write goes through three steps, because it must happen in the store and in the log or in
 * neither, and both may run out of memory:
 *
 *      stage    takes all the memory the write needs; readers see nothing of it
 *      (the record is appended to the log)
 *      commit   makes what was staged visible, and cannot fail; or abort, as if nothing had been
 *
 * Nothing is staged between two commands.
 */
#ifndef KV_STORE_H
#define KV_STORE_H

#include <stdint.h>

#include "buffer.h"
#include "record.h"

struct kv_entry;

struct kv_store {
    const struct kv_memory *memory;
    struct kv_entry *entries; /* a uthash table; in the order they were first set */
    struct kv_entry *staged;
    uint64_t length;           /* see kv_store_length */
    struct kv_entry *walk;     /* the next one of the walk; NULL: it is over, or none was begun */
    uint64_t walk_entries_max; /* how many more it looks at */
};

/* An empty store. `memory` must outlive it. */
void kv_store_init(struct kv_store *store, const struct kv_memory *memory);

/* Empties it; it may be used again. */
void kv_store_clear(struct kv_store *store);

uint64_t kv_store_count(const struct kv_store *store);

/* True and the value, if the key has one. It is valid until the store is changed. */
bool kv_store_get(const struct kv_store *store, struct kv_slice key, struct kv_slice *ret_value);

/* Stages a value for a key; the last one staged for a key counts. Returns 0, or -ENOMEM: abort. */
int kv_store_stage(struct kv_store *store, struct kv_slice key, struct kv_slice value);
void kv_store_commit(struct kv_store *store);
void kv_store_abort(struct kv_store *store);

/* Returns whether the key had a value. */
bool kv_store_delete(struct kv_store *store, struct kv_slice key);

/* What the records of a log would hold if it had one SET for each key, bytes. */
uint64_t kv_store_length(const struct kv_store *store);

/* A walk over the keys, during which the store may change: it comes once past every key that has a
 * value all the time, with the value of that moment, and comes to an end however many are added.
 * Begin ends the walk that was under way. Next is false when it is over; its slices are valid until
 * the store is changed. Nothing may be staged. */
void kv_store_walk_begin(struct kv_store *store);
bool kv_store_walk_next(struct kv_store *store, struct kv_slice *ret_key,
                        struct kv_slice *ret_value);

/* Does what a record in the log says. Returns 0 or -ENOMEM. */
int kv_store_apply(struct kv_store *store, const struct kv_operation *operation);

#endif

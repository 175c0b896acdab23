/*
 * store.c: the store of store.h on uthash.
 *
 * An entry holds its key behind it in one allocation, and its value in another, so that setting a
 * key anew leaves the table alone. An entry that is staged for the first time is in the table
 * without a value: adding to the table is what can fail, so it happens while staging.
 *
 * The table's entries are also in a list, in the order in which they were added, and a walk follows
 * that: what is added meanwhile comes behind what was there, so a walk over as many entries as
 * there were at its begin has seen all of those that are left.
 *
 * uthash takes its memory through the `store` in scope, and reports a refusal by leaving the entry
 * without a table.
 */
#include "store.h"

#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(length) store->memory->allocate(store->memory->context, (length))
#define uthash_free(bytes, length) store->memory->release(store->memory->context, (bytes))
#include <uthash.h>

#include "ensure.h"

/* A value: its bytes follow. */
struct value {
    uint32_t length;
    uint8_t bytes[];
};

struct kv_entry {
    UT_hash_handle hh;
    struct value *value;  /* NULL: staged for the first time */
    struct value *staged; /* NULL: not staged */
    struct kv_entry *staged_next;
    uint8_t key[];
};

static void *allocate(struct kv_store *store, size_t length)
{
    return store->memory->allocate(store->memory->context, length);
}

static void release(struct kv_store *store, void *memory)
{
    store->memory->release(store->memory->context, memory);
}

void kv_store_init(struct kv_store *store, const struct kv_memory *memory)
{
    *store = (struct kv_store){.memory = memory};
}

static struct kv_entry *find(const struct kv_store *store, struct kv_slice key)
{
    struct kv_entry *entry;
    HASH_FIND(hh, store->entries, key.bytes, key.length, entry);
    return entry;
}

static struct kv_entry *add(struct kv_store *store, struct kv_slice key)
{
    struct kv_entry *entry = allocate(store, sizeof(*entry) + key.length);
    if (entry == NULL) {
        return NULL;
    }
    *entry = (struct kv_entry){.value = NULL};
    if (key.length > 0) {
        memcpy(entry->key, key.bytes, key.length);
    }
    HASH_ADD_KEYPTR(hh, store->entries, entry->key, key.length, entry);
    if (entry->hh.tbl == NULL) {
        release(store, entry);
        return NULL;
    }
    return entry;
}

static uint64_t length_of(const struct kv_entry *entry)
{
    uint64_t value_length = entry->value->length;
    return KV_OPERATION_OVERHEAD + entry->hh.keylen + value_length;
}

static void drop(struct kv_store *store, struct kv_entry *entry)
{
    kv_ensure(store->entries != NULL);
    if (entry->value != NULL) {
        store->length -= length_of(entry);
    }
    if (store->walk == entry) {
        store->walk = entry->hh.next;
    }
    HASH_DELETE(hh, store->entries, entry);
    release(store, entry->value);
    release(store, entry);
}

void kv_store_clear(struct kv_store *store)
{
    struct kv_entry *entry;
    struct kv_entry *next;
    kv_ensure(store->staged == NULL);
    HASH_ITER (hh, store->entries, entry, next) {
        drop(store, entry);
    }
}

uint64_t kv_store_count(const struct kv_store *store)
{
    return HASH_COUNT(store->entries);
}

bool kv_store_get(const struct kv_store *store, struct kv_slice key, struct kv_slice *ret_value)
{
    const struct kv_entry *entry = find(store, key);
    if (entry == NULL) {
        return false;
    }
    *ret_value = (struct kv_slice){.bytes = entry->value->bytes, .length = entry->value->length};
    return true;
}

int kv_store_stage(struct kv_store *store, struct kv_slice key, struct kv_slice value)
{
    struct value *staged = allocate(store, sizeof(*staged) + value.length);
    if (staged == NULL) {
        return -ENOMEM;
    }
    staged->length = value.length;
    if (value.length > 0) {
        memcpy(staged->bytes, value.bytes, value.length);
    }
    struct kv_entry *entry = find(store, key);
    if (entry == NULL) {
        entry = add(store, key);
    }
    if (entry == NULL) {
        release(store, staged);
        return -ENOMEM;
    }
    if (entry->staged == NULL) {
        entry->staged_next = store->staged;
        store->staged = entry;
    }
    release(store, entry->staged);
    entry->staged = staged;
    return 0;
}

/* Takes one entry off the list of those staged. NULL: none is left. */
static struct kv_entry *take_staged(struct kv_store *store, struct value **ret_staged)
{
    struct kv_entry *entry = store->staged;
    if (entry != NULL) {
        store->staged = entry->staged_next;
        *ret_staged = entry->staged;
        entry->staged = NULL;
    }
    return entry;
}

void kv_store_commit(struct kv_store *store)
{
    struct kv_entry *entry;
    struct value *staged;
    while ((entry = take_staged(store, &staged)) != NULL) {
        if (entry->value != NULL) {
            store->length -= length_of(entry);
        }
        release(store, entry->value);
        entry->value = staged;
        store->length += length_of(entry);
    }
}

void kv_store_abort(struct kv_store *store)
{
    struct kv_entry *entry;
    struct value *staged;
    while ((entry = take_staged(store, &staged)) != NULL) {
        release(store, staged);
        if (entry->value == NULL) {
            drop(store, entry);
        }
    }
}

bool kv_store_delete(struct kv_store *store, struct kv_slice key)
{
    struct kv_entry *entry = find(store, key);
    kv_ensure(store->staged == NULL);
    if (entry == NULL) {
        return false;
    }
    drop(store, entry);
    return true;
}

uint64_t kv_store_length(const struct kv_store *store)
{
    return store->length;
}

void kv_store_walk_begin(struct kv_store *store)
{
    store->walk = store->entries;
    store->walk_entries_max = kv_store_count(store);
}

bool kv_store_walk_next(struct kv_store *store, struct kv_slice *ret_key,
                        struct kv_slice *ret_value)
{
    struct kv_entry *entry = store->walk;
    kv_ensure(store->staged == NULL);
    if (entry == NULL || store->walk_entries_max == 0) {
        store->walk = NULL;
        return false;
    }
    store->walk = entry->hh.next;
    store->walk_entries_max--;
    *ret_key = (struct kv_slice){.bytes = entry->key, .length = entry->hh.keylen};
    *ret_value = (struct kv_slice){.bytes = entry->value->bytes, .length = entry->value->length};
    return true;
}

int kv_store_apply(struct kv_store *store, const struct kv_operation *operation)
{
    kv_ensure(operation->type >= KV_OPERATION_SET && operation->type <= KV_OPERATION_FLUSH);
    if (operation->type == KV_OPERATION_FLUSH) {
        kv_store_clear(store);
        return 0;
    }
    if (operation->type == KV_OPERATION_DEL) {
        kv_store_delete(store, operation->key);
        return 0;
    }
    int result = kv_store_stage(store, operation->key, operation->value);
    if (result < 0) {
        kv_store_abort(store);
        return result;
    }
    kv_store_commit(store);
    return 0;
}

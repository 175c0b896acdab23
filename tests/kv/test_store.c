/*
 * test_store.c: the store of examples/kv/store.c: what is staged is invisible until the commit and
 * gone after an abort, whichever allocation fails.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "examples/kv/store.h"
#include "tests/kv/memory.h"
#include "tests/suite.h"

/* More keys than the table's first buckets hold without growing. */
#define KEYS_MANY 1000u

static struct test_memory memory;
static struct kv_store store;

static void setup(void)
{
    test_memory_init(&memory, -1);
    kv_store_init(&store, &memory.memory);
}

static void teardown(void)
{
    kv_store_clear(&store);
    ck_assert_int_eq(memory.blocks, 0);
}

static struct kv_slice slice(const char *text)
{
    return (struct kv_slice){.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text)};
}

/* `expected` NULL: the key must have no value. */
static void check_value(const char *key, const char *expected)
{
    struct kv_slice value;
    bool is_there = kv_store_get(&store, slice(key), &value);
    ck_assert_msg(is_there == (expected != NULL), "key %s is %s", key, is_there ? "there" : "gone");
    if (expected != NULL) {
        ck_assert_uint_eq(value.length, strlen(expected));
        ck_assert_mem_eq(value.bytes, expected, value.length);
    }
}

static void put(const char *key, const char *value)
{
    ck_assert_int_eq(kv_store_stage(&store, slice(key), slice(value)), 0);
    kv_store_commit(&store);
}

START_TEST(test_store__set_get_delete)
{
    check_value("a", NULL);
    put("a", "1");
    put("b", "2");
    put("a", "longer than before");
    check_value("a", "longer than before");
    check_value("b", "2");
    ck_assert_uint_eq(kv_store_count(&store), 2);
    ck_assert(kv_store_delete(&store, slice("a")));
    ck_assert(!kv_store_delete(&store, slice("a")));
    check_value("a", NULL);
    kv_store_clear(&store);
    ck_assert_uint_eq(kv_store_count(&store), 0);
    put("b", "3");
    check_value("b", "3");
}
END_TEST

START_TEST(test_store__empty_and_binary_keys_and_values)
{
    struct kv_slice binary = {.bytes = (const uint8_t *)"a\0b", .length = 3};
    struct kv_slice value;
    put("", "");
    put("a", "short");
    ck_assert_int_eq(kv_store_stage(&store, binary, binary), 0);
    kv_store_commit(&store);
    check_value("", "");
    check_value("a", "short");
    ck_assert(kv_store_get(&store, binary, &value));
    ck_assert_uint_eq(value.length, 3);
    ck_assert_mem_eq(value.bytes, "a\0b", 3);
}
END_TEST

START_TEST(test_store__the_last_staged_value_counts)
{
    put("a", "1");
    ck_assert_int_eq(kv_store_stage(&store, slice("a"), slice("2")), 0);
    ck_assert_int_eq(kv_store_stage(&store, slice("b"), slice("3")), 0);
    ck_assert_int_eq(kv_store_stage(&store, slice("a"), slice("4")), 0);
    ck_assert_int_eq(kv_store_stage(&store, slice("b"), slice("5")), 0);
    check_value("a", "1");
    kv_store_commit(&store);
    check_value("a", "4");
    check_value("b", "5");
}
END_TEST

START_TEST(test_store__abort_leaves_no_trace)
{
    put("a", "1");
    ck_assert_int_eq(kv_store_stage(&store, slice("a"), slice("2")), 0);
    ck_assert_int_eq(kv_store_stage(&store, slice("b"), slice("3")), 0);
    kv_store_abort(&store);
    check_value("a", "1");
    check_value("b", NULL);
    ck_assert_uint_eq(kv_store_count(&store), 1);
}
END_TEST

/* Three keys are set together, one of them new twice; each allocation fails once. */
START_TEST(test_store__any_allocation_may_fail)
{
    static const char *const keys[] = {"a", "b", "c", "b"};
    int result = -ENOMEM;
    for (int64_t allowed = 0; result != 0; allowed++) {
        ck_assert_int_lt(allowed, 100);
        memory.allocations_left = allowed;
        result = 0;
        for (size_t i = 0; i < 4 && result == 0; i++) {
            result = kv_store_stage(&store, slice(keys[i]), slice(keys[i]));
        }
        if (result != 0) {
            ck_assert_int_eq(result, -ENOMEM);
            kv_store_abort(&store);
            ck_assert_uint_eq(kv_store_count(&store), 0);
            ck_assert_int_eq(memory.blocks, 0);
        }
    }
    kv_store_commit(&store);
    memory.allocations_left = -1;
    check_value("a", "a");
    check_value("b", "b");
    check_value("c", "c");
}
END_TEST

/* While the table grows, each of its allocations is refused the first time. */
START_TEST(test_store__many_keys_with_failing_allocations)
{
    char key[32];
    for (uint32_t i = 0; i < KEYS_MANY; i++) {
        snprintf(key, sizeof(key), "key %u", i);
        for (int64_t allowed = 0;; allowed++) {
            ck_assert_int_lt(allowed, 10);
            memory.allocations_left = allowed;
            if (kv_store_stage(&store, slice(key), slice(key)) == 0) {
                break;
            }
            kv_store_abort(&store);
            ck_assert_uint_eq(kv_store_count(&store), i);
        }
        kv_store_commit(&store);
    }
    memory.allocations_left = -1;
    ck_assert_uint_eq(kv_store_count(&store), KEYS_MANY);
    for (uint32_t i = 0; i < KEYS_MANY; i++) {
        snprintf(key, sizeof(key), "key %u", i);
        check_value(key, key);
    }
}
END_TEST

START_TEST(test_store__applies_what_the_log_says)
{
    struct kv_operation set = {.type = KV_OPERATION_SET, .key = slice("a"), .value = slice("1")};
    struct kv_operation del = {.type = KV_OPERATION_DEL, .key = slice("a")};
    struct kv_operation flush = {.type = KV_OPERATION_FLUSH};
    ck_assert_int_eq(kv_store_apply(&store, &set), 0);
    check_value("a", "1");
    ck_assert_int_eq(kv_store_apply(&store, &del), 0);
    check_value("a", NULL);
    ck_assert_int_eq(kv_store_apply(&store, &del), 0);
    ck_assert_int_eq(kv_store_apply(&store, &set), 0);
    ck_assert_int_eq(kv_store_apply(&store, &flush), 0);
    check_value("a", NULL);
    memory.allocations_left = 0;
    ck_assert_int_eq(kv_store_apply(&store, &set), -ENOMEM);
    check_value("a", NULL);
}
END_TEST

START_TEST(test_store__length_is_that_of_one_set_a_key)
{
    struct kv_slice key = slice("a");
    ck_assert_uint_eq(kv_store_length(&store), 0);
    put("a", "12");
    put("key", "");
    ck_assert_uint_eq(kv_store_length(&store), 2 * KV_OPERATION_OVERHEAD + 3 + 3);
    put("a", "1234567");
    ck_assert_uint_eq(kv_store_length(&store), 2 * KV_OPERATION_OVERHEAD + 8 + 3);
    ck_assert_int_eq(kv_store_stage(&store, slice("b"), slice("1")), 0);
    ck_assert_int_eq(kv_store_stage(&store, key, slice("1")), 0);
    kv_store_abort(&store);
    ck_assert_uint_eq(kv_store_length(&store), 2 * KV_OPERATION_OVERHEAD + 8 + 3);
    ck_assert(kv_store_delete(&store, key));
    ck_assert_uint_eq(kv_store_length(&store), KV_OPERATION_OVERHEAD + 3);
    kv_store_clear(&store);
    ck_assert_uint_eq(kv_store_length(&store), 0);
}
END_TEST

/* Walks on over `count` keys, or to the end, and marks those it meets: they are letters. */
static uint32_t walk(uint32_t count, bool *seen)
{
    struct kv_slice key;
    struct kv_slice value;
    uint32_t met = 0;
    while (met < count && kv_store_walk_next(&store, &key, &value)) {
        ck_assert_uint_eq(key.length, 1);
        ck_assert_uint_eq(value.length, 1);
        seen[key.bytes[0] - 'a'] = true;
        met++;
    }
    return met;
}

START_TEST(test_store__walk_meets_every_key_once)
{
    bool seen[26] = {false};
    ck_assert_uint_eq(walk(1, seen), 0);
    kv_store_walk_begin(&store);
    ck_assert_uint_eq(walk(1, seen), 0);
    put("a", "1");
    put("b", "2");
    put("c", "3");
    kv_store_walk_begin(&store);
    ck_assert_uint_eq(walk(2, seen), 2);
    kv_store_walk_begin(&store);
    ck_assert_uint_eq(walk(26, seen), 3);
    ck_assert_uint_eq(walk(26, seen), 0);
    ck_assert(seen[0] && seen[1] && seen[2]);
}
END_TEST

/* Five keys a to e are there at the begin, `_i` are met, then any of them go and others come. */
START_TEST(test_store__walk_lasts_while_the_store_changes)
{
    static const char *const letters[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (uint32_t gone = 0; gone < 32; gone++) {
        bool seen[26] = {false};
        for (uint32_t i = 0; i < 5; i++) {
            put(letters[i], "1");
        }
        kv_store_walk_begin(&store);
        ck_assert_uint_eq(walk((uint32_t)_i, seen), (uint32_t)_i);
        for (uint32_t i = 0; i < 5; i++) {
            if ((gone >> i & 1) != 0) {
                kv_store_delete(&store, slice(letters[i]));
            }
        }
        for (uint32_t i = 5; i < 8; i++) {
            put(letters[i], "2");
        }
        ck_assert_uint_le(walk(26, seen), 5);
        for (uint32_t i = 0; i < 5; i++) {
            ck_assert_msg(seen[i] || (gone >> i & 1) != 0, "gone %x: %s is missed", gone,
                          letters[i]);
        }
        kv_store_clear(&store);
    }
}
END_TEST

START_TEST(test_store__walk_ends_however_many_keys_come)
{
    bool seen[26] = {false};
    put("a", "1");
    put("b", "1");
    kv_store_walk_begin(&store);
    ck_assert_uint_eq(walk(1, seen), 1);
    put("c", "1");
    ck_assert_uint_eq(walk(1, seen), 1);
    put("d", "1");
    ck_assert_uint_eq(walk(1, seen), 0);
    kv_store_walk_begin(&store);
    kv_store_clear(&store);
    put("e", "1");
    ck_assert_uint_eq(walk(1, seen), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("store");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_store__set_get_delete);
    tcase_add_test(tcase, test_store__empty_and_binary_keys_and_values);
    tcase_add_test(tcase, test_store__the_last_staged_value_counts);
    tcase_add_test(tcase, test_store__abort_leaves_no_trace);
    tcase_add_test(tcase, test_store__any_allocation_may_fail);
    tcase_add_test(tcase, test_store__many_keys_with_failing_allocations);
    tcase_add_test(tcase, test_store__length_is_that_of_one_set_a_key);
    tcase_add_test(tcase, test_store__walk_meets_every_key_once);
    tcase_add_loop_test(tcase, test_store__walk_lasts_while_the_store_changes, 0, 6);
    tcase_add_test(tcase, test_store__walk_ends_however_many_keys_come);
    tcase_add_test(tcase, test_store__applies_what_the_log_says);
    return suite_run("kv/store", tcase);
}

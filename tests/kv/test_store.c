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
    tcase_add_test(tcase, test_store__applies_what_the_log_says);
    return suite_run("kv/store", tcase);
}

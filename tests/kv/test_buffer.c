/*
 * test_buffer.c: growth, the ceiling, sticky failure and memory of examples/kv/buffer.c.
 */
#include <string.h>

#include "examples/kv/buffer.h"
#include "tests/kv/memory.h"
#include "tests/suite.h"

static struct test_memory memory;
static struct kv_buffer buffer;

static void setup(void)
{
    test_memory_init(&memory, -1);
    kv_buffer_init(&buffer, &memory.memory, 10000);
}

static void teardown(void)
{
    kv_buffer_free(&buffer);
    ck_assert_int_eq(memory.blocks, 0);
}

START_TEST(test_buffer__keeps_what_was_appended)
{
    for (uint32_t i = 0; i < 2500; i++) {
        kv_buffer_append(&buffer, &i, sizeof(i));
    }
    ck_assert(!buffer.failed);
    ck_assert_uint_eq(buffer.length, 10000);
    for (uint32_t i = 0; i < 2500; i++) {
        ck_assert_mem_eq(buffer.bytes + i * sizeof(i), &i, sizeof(i));
    }
    ck_assert_uint_eq(buffer.capacity, 10000);
}
END_TEST

START_TEST(test_buffer__ceiling_is_exact_and_failure_sticks)
{
    static const uint8_t zeros[10000];
    kv_buffer_append(&buffer, zeros, 9999);
    kv_buffer_append(&buffer, "ab", 2);
    ck_assert(buffer.failed);
    kv_buffer_append(&buffer, "c", 1);
    ck_assert_uint_eq(buffer.length, 9999);
    ck_assert(!kv_buffer_reserve(&buffer, 0));
    kv_buffer_truncate(&buffer, 9999);
    kv_buffer_append(&buffer, "c", 1);
    ck_assert(!buffer.failed);
    ck_assert_uint_eq(buffer.length, 10000);
    ck_assert_uint_eq(buffer.bytes[9999], 'c');
}
END_TEST

START_TEST(test_buffer__refused_memory_changes_nothing)
{
    kv_buffer_append(&buffer, "abc", 3);
    memory.allocations_left = 0;
    ck_assert(!kv_buffer_reserve(&buffer, 5000));
    ck_assert(buffer.failed);
    ck_assert_uint_eq(buffer.length, 3);
    ck_assert_mem_eq(buffer.bytes, "abc", 3);
    memory.allocations_left = -1;
    kv_buffer_truncate(&buffer, 2);
    ck_assert(kv_buffer_reserve(&buffer, 5000));
    ck_assert_mem_eq(buffer.bytes, "ab", 2);
}
END_TEST

START_TEST(test_buffer__huge_requests_do_not_overflow)
{
    kv_buffer_append(&buffer, "abc", 3);
    ck_assert(!kv_buffer_reserve(&buffer, SIZE_MAX));
    kv_buffer_truncate(&buffer, 3);
    ck_assert(!kv_buffer_reserve(&buffer, SIZE_MAX - 2));
}
END_TEST

START_TEST(test_buffer__consume_moves_the_rest_to_the_front)
{
    kv_buffer_append(&buffer, "abcdef", 6);
    kv_buffer_consume(&buffer, 0);
    kv_buffer_consume(&buffer, 2);
    ck_assert_uint_eq(buffer.length, 4);
    ck_assert_mem_eq(buffer.bytes, "cdef", 4);
    kv_buffer_consume(&buffer, 4);
    ck_assert_uint_eq(buffer.length, 0);
}
END_TEST

START_TEST(test_buffer__is_usable_after_free)
{
    kv_buffer_append(&buffer, "abc", 3);
    kv_buffer_free(&buffer);
    ck_assert_int_eq(memory.blocks, 0);
    kv_buffer_append(&buffer, NULL, 0);
    ck_assert_uint_eq(buffer.length, 0);
    kv_buffer_append(&buffer, "d", 1);
    ck_assert_uint_eq(buffer.length, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("buffer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_buffer__keeps_what_was_appended);
    tcase_add_test(tcase, test_buffer__ceiling_is_exact_and_failure_sticks);
    tcase_add_test(tcase, test_buffer__refused_memory_changes_nothing);
    tcase_add_test(tcase, test_buffer__huge_requests_do_not_overflow);
    tcase_add_test(tcase, test_buffer__consume_moves_the_rest_to_the_front);
    tcase_add_test(tcase, test_buffer__is_usable_after_free);
    return suite_run("kv/buffer", tcase);
}

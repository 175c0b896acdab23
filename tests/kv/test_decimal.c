/*
 * test_decimal.c: integers as text, at the edges of their range and of their grammar.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/kv/decimal.h"
#include "tests/suite.h"

static const int64_t numbers[] = {
    0,
    1,
    -1,
    9,
    10,
    -10,
    99,
    100,
    INT32_MAX,
    INT32_MIN,
    INT64_MAX,
    INT64_MAX - 1,
    INT64_MIN,
    INT64_MIN + 1,
    922337203685477580,
    -922337203685477580,
    1000000000000000000,
};

static const char *const refused[] = {
    "",
    "-",
    "+1",
    "01",
    "-01",
    "-0",
    "00",
    " 1",
    "1 ",
    "1a",
    "a",
    "--1",
    "0x1",
    "1.0",
    "9223372036854775808",
    "-9223372036854775809",
    "10000000000000000000",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
    "111111111111111111111",
    "-111111111111111111111",
};

START_TEST(test_decimal__both_ways)
{
    char expected[32];
    char text[KV_DECIMAL_LENGTH_MAX];
    int64_t value = numbers[_i];
    int length = snprintf(expected, sizeof(expected), "%" PRId64, value);
    ck_assert_uint_eq(kv_decimal_format(value, text), (size_t)length);
    ck_assert_mem_eq(text, expected, (size_t)length);
    int64_t parsed = ~value;
    ck_assert(kv_decimal_parse((const uint8_t *)expected, (size_t)length, &parsed));
    ck_assert_int_eq(parsed, value);
}
END_TEST

START_TEST(test_decimal__refused)
{
    int64_t value = 42;
    ck_assert_msg(!kv_decimal_parse((const uint8_t *)refused[_i], strlen(refused[_i]), &value),
                  "\"%s\" was taken for %" PRId64, refused[_i], value);
    ck_assert_int_eq(value, 42);
}
END_TEST

START_TEST(test_decimal__reads_no_further_than_told)
{
    int64_t value;
    ck_assert(kv_decimal_parse((const uint8_t *)"1234", 2, &value));
    ck_assert_int_eq(value, 12);
    ck_assert(!kv_decimal_parse((const uint8_t *)"1\0"
                                                 "2",
                                3, &value));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("decimal");
    tcase_add_loop_test(tcase, test_decimal__both_ways, 0, sizeof(numbers) / sizeof(*numbers));
    tcase_add_loop_test(tcase, test_decimal__refused, 0, sizeof(refused) / sizeof(*refused));
    tcase_add_test(tcase, test_decimal__reads_no_further_than_told);
    return suite_run("kv/decimal", tcase);
}

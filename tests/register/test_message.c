/*
 * test_message.c: messages come back as they were written, and nothing damaged is believed.
 */
#include "examples/register/message.h"

#include <string.h>

#include "../suite.h"

static uint8_t bytes[REGISTER_MESSAGE_MAX];

/* A message with a key and a value of those lengths. */
static struct register_message message_of(uint32_t key_length, uint32_t value_length)
{
    static uint8_t key[REGISTER_KEY_MAX];
    static uint8_t value[REGISTER_VALUE_MAX];
    memset(key, 'k', sizeof key);
    for (uint32_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)(i * 7);
    return (struct register_message){
        .type = REGISTER_STORE,
        .epoch = UINT64_C(0x0123456789abcdef),
        .stamp = {.counter = UINT64_MAX, .writer = 5},
        .key = key,
        .key_length = key_length,
        .value = value,
        .value_length = value_length,
    };
}

START_TEST(test_message__comes_back_as_it_was)
{
    static const uint32_t lengths[][2] = {
        {0, 0}, {1, 0}, {0, 1}, {3, 100}, {REGISTER_KEY_MAX, REGISTER_VALUE_MAX}};
    const uint32_t *length = lengths[_i];
    struct register_message in = message_of(length[0], length[1]);
    struct register_message out;
    size_t body;
    ck_assert_uint_eq(register_message_encode(&in, bytes),
                      REGISTER_HEADER_LENGTH + length[0] + length[1]);
    ck_assert(register_message_body(bytes, &body));
    ck_assert_uint_eq(body, length[0] + length[1]);
    ck_assert(register_message_decode(bytes, &out));
    ck_assert_uint_eq(out.type, in.type);
    ck_assert_uint_eq(out.epoch, in.epoch);
    ck_assert_uint_eq(out.stamp.counter, in.stamp.counter);
    ck_assert_uint_eq(out.stamp.writer, in.stamp.writer);
    ck_assert_uint_eq(out.key_length, in.key_length);
    ck_assert_uint_eq(out.value_length, in.value_length);
    ck_assert_mem_eq(out.key, in.key, in.key_length);
    ck_assert_mem_eq(out.value, in.value, in.value_length);
}
END_TEST

START_TEST(test_message__any_damaged_bit_is_noticed)
{
    struct register_message in = message_of(5, 40);
    struct register_message out;
    size_t length = register_message_encode(&in, bytes);
    for (size_t bit = 0; bit < length * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!register_message_decode(bytes, &out), "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(register_message_decode(bytes, &out));
}
END_TEST

/* A header that announces too much is none: it must not make anybody read on. */
START_TEST(test_message__lengths_are_limited)
{
    struct register_message in = message_of(1, 1);
    size_t body;
    (void)register_message_encode(&in, bytes);
    bytes[41] = 1; /* the key: 257 bytes */
    ck_assert(!register_message_body(bytes, &body));
    (void)register_message_encode(&in, bytes);
    bytes[45] = 0x10; /* the value: 4097 bytes */
    ck_assert(!register_message_body(bytes, &body));
    (void)register_message_encode(&in, bytes);
    bytes[47] = 0x80;
    ck_assert(!register_message_body(bytes, &body));
}
END_TEST

START_TEST(test_message__stamps_are_ordered)
{
    struct register_stamp a = {1, 9};
    struct register_stamp b = {2, 3};
    struct register_stamp c = {2, 4};
    ck_assert(register_stamp_is_newer(b, a) && !register_stamp_is_newer(a, b));
    ck_assert(register_stamp_is_newer(c, b) && !register_stamp_is_newer(b, c));
    ck_assert(!register_stamp_is_newer(a, a));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("message");
    tcase_add_loop_test(tests, test_message__comes_back_as_it_was, 0, 5);
    tcase_add_test(tests, test_message__any_damaged_bit_is_noticed);
    tcase_add_test(tests, test_message__lengths_are_limited);
    tcase_add_test(tests, test_message__stamps_are_ordered);
    return suite_run("message", tests);
}

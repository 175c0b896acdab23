/*
 * message.c: the bytes of message.h.
 */
#include "message.h"

#include <string.h>
#include <zlib.h>

#include "../common/little_endian.h"

#define MAGIC UINT32_C(0x9d676572) /* "reg" and a byte that is no letter */

enum field {
    MAGIC_AT = 0,
    CHECKSUM_AT = 4,
    TYPE_AT = 8,
    ZERO_AT = 12,
    EPOCH_AT = 16,
    COUNTER_AT = 24,
    WRITER_AT = 32,
    KEY_LENGTH_AT = 40,
    VALUE_LENGTH_AT = 44,
};

bool register_stamp_is_newer(struct register_stamp stamp, struct register_stamp than)
{
    return stamp.counter != than.counter ? stamp.counter > than.counter
                                         : stamp.writer > than.writer;
}

static uint32_t checksum(const uint8_t *bytes, size_t length)
{
    return (uint32_t)crc32(0, bytes + TYPE_AT, (uInt)(length - TYPE_AT));
}

size_t register_message_encode(const struct register_message *message,
                               uint8_t ret_bytes[REGISTER_MESSAGE_MAX])
{
    size_t length = REGISTER_HEADER_LENGTH + message->key_length + message->value_length;
    put_u32(ret_bytes + MAGIC_AT, MAGIC);
    put_u32(ret_bytes + TYPE_AT, message->type);
    put_u32(ret_bytes + ZERO_AT, 0);
    put_u64(ret_bytes + EPOCH_AT, message->epoch);
    put_u64(ret_bytes + COUNTER_AT, message->stamp.counter);
    put_u64(ret_bytes + WRITER_AT, message->stamp.writer);
    put_u32(ret_bytes + KEY_LENGTH_AT, message->key_length);
    put_u32(ret_bytes + VALUE_LENGTH_AT, message->value_length);
    uint8_t *body = ret_bytes + REGISTER_HEADER_LENGTH;
    if (message->key_length > 0)
        memcpy(body, message->key, message->key_length);
    if (message->value_length > 0)
        memcpy(body + message->key_length, message->value, message->value_length);
    put_u32(ret_bytes + CHECKSUM_AT, checksum(ret_bytes, length));
    return length;
}

bool register_message_body(const uint8_t header[REGISTER_HEADER_LENGTH], size_t *ret_length)
{
    uint32_t key_length = get_u32(header + KEY_LENGTH_AT);
    uint32_t value_length = get_u32(header + VALUE_LENGTH_AT);
    if (get_u32(header + MAGIC_AT) != MAGIC || key_length > REGISTER_KEY_MAX ||
        value_length > REGISTER_VALUE_MAX)
        return false;
    *ret_length = key_length + value_length;
    return true;
}

bool register_message_decode(const uint8_t *bytes, struct register_message *ret_message)
{
    size_t body;
    if (!register_message_body(bytes, &body) ||
        checksum(bytes, REGISTER_HEADER_LENGTH + body) != get_u32(bytes + CHECKSUM_AT))
        return false;
    *ret_message = (struct register_message){
        .type = get_u32(bytes + TYPE_AT),
        .epoch = get_u64(bytes + EPOCH_AT),
        .stamp = {.counter = get_u64(bytes + COUNTER_AT), .writer = get_u64(bytes + WRITER_AT)},
        .key_length = get_u32(bytes + KEY_LENGTH_AT),
        .value_length = get_u32(bytes + VALUE_LENGTH_AT),
        .key = bytes + REGISTER_HEADER_LENGTH,
    };
    ret_message->value = ret_message->key + ret_message->key_length;
    return true;
}

/*
 * message.h: what clients and replicas say to each other, as bytes of a stream.
 *
 *      message = header (48 bytes), key, value
 *
 *       0  magic          u32       16  epoch     u64       40  key length     u32
 *       4  checksum       u32       24  counter   u64       44  value length   u32
 *       8  type           u32       32  writer    u64
 *      12  0              u32
 *
 * All numbers are little-endian. The checksum, zlib's CRC-32, is over everything that follows it:
 * what is damaged on its way is not believed, and ends the connection.
 *
 *      the client sends             the replica answers, with the same epoch
 *      QUERY  key                   VALUE   stamp, value (counter 0: it has none)
 *      STORE  key, stamp, value     STORED  or REFUSED: it could not be written
 *
 * A replica answers in the order in which it was asked.
 */
#ifndef REGISTER_MESSAGE_H
#define REGISTER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "register.h"

#define REGISTER_HEADER_LENGTH ((size_t)48)
#define REGISTER_MESSAGE_MAX (REGISTER_HEADER_LENGTH + REGISTER_KEY_MAX + REGISTER_VALUE_MAX)

/* Orders the writes of a key: by counter, then by writer, a number that no two clients share. No
 * write has counter 0. */
struct register_stamp {
    uint64_t counter;
    uint64_t writer;
};

enum register_message_type {
    REGISTER_QUERY = 1,
    REGISTER_STORE = 2,
    REGISTER_VALUE = 3,
    REGISTER_STORED = 4,
    REGISTER_REFUSED = 5,
};

struct register_message {
    uint32_t type;
    uint64_t epoch; /* of the client's round that it belongs to */
    struct register_stamp stamp;
    uint32_t key_length;
    uint32_t value_length;
    const uint8_t *key; /* both: in the bytes that were read, or are to be written */
    const uint8_t *value;
};

bool register_stamp_is_newer(struct register_stamp stamp, struct register_stamp than);

/* Writes a message to `ret_bytes`; returns its length. Key and value may not lie in there. */
size_t register_message_encode(const struct register_message *message,
                               uint8_t ret_bytes[REGISTER_MESSAGE_MAX]);

/* How many bytes follow a header, or false if it is none. */
bool register_message_body(const uint8_t header[REGISTER_HEADER_LENGTH], size_t *ret_length);

/* Reads a whole message, header and body. False if it is damaged. */
bool register_message_decode(const uint8_t *bytes, struct register_message *ret_message);

#endif

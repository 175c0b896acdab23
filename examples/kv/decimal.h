/*
 * decimal.h: 64-bit integers as text, the way Redis writes and reads them.
 *
 * Reading is strict: an optional minus, then digits without a leading zero, nothing before or
 * after, and in range. So there is exactly one text for each number, which INCR relies on (a value
 * is an integer only if writing it again gives the same bytes). strtoll is looser in all of that,
 * and needs a terminating NUL that a slice of a receive buffer does not have.
 */
#ifndef KV_DECIMAL_H
#define KV_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest text: "-9223372036854775808". Not NUL-terminated. */
#define KV_DECIMAL_LENGTH_MAX ((size_t)20)

/* Writes `value` to `ret_text` and returns the length. */
size_t kv_decimal_format(int64_t value, char ret_text[KV_DECIMAL_LENGTH_MAX]);

/* Reads all of `text` as one number. False if it is none, or out of range. */
bool kv_decimal_parse(const uint8_t *text, size_t length, int64_t *ret_value);

#endif

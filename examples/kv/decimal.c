/*
 * decimal.c: see decimal.h. Both directions work on the magnitude as an unsigned number, because
 * the magnitude of INT64_MIN does not fit in an int64_t.
 */
#include "decimal.h"

#include <string.h>

size_t kv_decimal_format(int64_t value, char ret_text[KV_DECIMAL_LENGTH_MAX])
{
    char reversed[KV_DECIMAL_LENGTH_MAX];
    size_t count = 0;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        reversed[count++] = (char)('0' + (char)(magnitude % 10));
        magnitude /= 10;
    } while (magnitude > 0);
    if (value < 0) {
        reversed[count++] = '-';
    }
    for (size_t i = 0; i < count; i++) {
        ret_text[i] = reversed[count - 1 - i];
    }
    return count;
}

/* Digits only, no leading zero, at most `limit`. */
static bool parse_magnitude(const uint8_t *digits, size_t count, uint64_t limit,
                            uint64_t *ret_magnitude)
{
    if (count == 0 || count > KV_DECIMAL_LENGTH_MAX || (digits[0] == '0' && count > 1)) {
        return false;
    }
    uint64_t magnitude = 0;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(digits[i] - '0');
        if (magnitude > (limit - digit) / 10) {
            return false;
        }
        magnitude = magnitude * 10 + digit;
    }
    *ret_magnitude = magnitude;
    return true;
}

bool kv_decimal_parse(const uint8_t *text, size_t length, int64_t *ret_value)
{
    uint64_t magnitude;
    if (length > 0 && text[0] == '-') {
        if (!parse_magnitude(text + 1, length - 1, (uint64_t)INT64_MAX + 1, &magnitude) ||
            magnitude == 0) {
            return false;
        }
        *ret_value = -(int64_t)(magnitude - 1) - 1;
        return true;
    }
    if (!parse_magnitude(text, length, (uint64_t)INT64_MAX, &magnitude)) {
        return false;
    }
    *ret_value = (int64_t)magnitude;
    return true;
}

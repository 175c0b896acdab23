/*
 * parse.c: the numbers of a command line. Each parser takes the whole text or refuses it: what is
 * half understood would run other seeds than the user meant.
 */
#include "campaign.h"

#include <string.h>

static int32_t digit_value(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return INT32_MAX;
}

/* Takes `length` digits of a base. */
static bool parse_digits(const char *digits, size_t length, uint32_t base, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        uint64_t digit = (uint64_t)digit_value(digits[i]);
        if (digit >= base || number > (UINT64_MAX - digit) / base)
            return false;
        number = number * base + digit;
    }
    *ret_number = number;
    return true;
}

static bool parse_number(const char *text, size_t length, uint64_t *ret_number)
{
    if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return parse_digits(text + 2, length - 2, 16, ret_number);
    return parse_digits(text, length, 10, ret_number);
}

bool orr__parse_number(const char *text, uint64_t *ret_number)
{
    return parse_number(text, strlen(text), ret_number);
}

bool orr__parse_seeds(const char *text, uint64_t *ret_first, uint64_t *ret_last,
                      const char **ret_why)
{
    const char *dots = strstr(text, "..");
    uint64_t first = 1;
    uint64_t last;
    if (dots == NULL) {
        if (!orr__parse_number(text, &last)) {
            *ret_why =
                "a count (1000) or a range (1..1000) of seeds from 0 to 18446744073709551615";
            return false;
        }
    } else if (!parse_number(text, (size_t)(dots - text), &first) ||
               !orr__parse_number(dots + 2, &last)) {
        *ret_why = "a range A..B of seeds, each decimal or 0x hexadecimal and below 2^64";
        return false;
    }
    if (first > last) {
        *ret_why = dots == NULL ? "at least one seed" : "a range A..B with A not above B";
        return false;
    }
    *ret_first = first;
    *ret_last = last;
    return true;
}

bool orr__parse_shard(const char *text, uint32_t *ret_shard, uint32_t *ret_count)
{
    const char *slash = strchr(text, '/');
    uint64_t shard;
    uint64_t count;
    if (slash == NULL || !parse_digits(text, (size_t)(slash - text), 10, &shard) ||
        !parse_digits(slash + 1, strlen(slash + 1), 10, &count) || shard < 1 || shard > count ||
        count > ORR__SHARDS_MAX)
        return false;
    *ret_shard = (uint32_t)shard - 1;
    *ret_count = (uint32_t)count;
    return true;
}

bool orr__parse_duration(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"", ORR_SECOND},  {"s", ORR_SECOND},   {"ms", ORR_MILLISECOND},
        {"m", ORR_MINUTE}, {"min", ORR_MINUTE}, {"h", 60 * ORR_MINUTE},
    };
    size_t digits = strspn(text, "0123456789");
    uint64_t number;
    if (!parse_digits(text, digits, 10, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + digits, units[i].name) == 0 && number <= INT64_MAX / units[i].ns) {
            *ret_ns = number * units[i].ns;
            return true;
        }
    }
    return false;
}

/*
 * record.c: one line of `run --json`, read back. Nothing is taken for granted: the file may come
 * from another program, another version, or a disk that was full.
 */
#include "record.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    HASH_DIGITS = 16,
    LOADING = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, /* a program may print any byte */
};

bool orr__line_refuse(char why[ORR__LINE_WHY_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, ORR__LINE_WHY_MAX, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* The length of a string with its quotes. */
static size_t string_length(const char *line, size_t length)
{
    for (size_t i = 1; i < length; i++) {
        if (line[i] == '"')
            return i + 1;
        i += line[i] == '\\';
    }
    return length;
}

/* Whether the token is an integer that needs the 64th bit. */
static bool is_large(const char *token, size_t length)
{
    char digits[24];
    uint64_t number;
    if (length >= sizeof digits)
        return false;
    memcpy(digits, token, length);
    digits[length] = '\0';
    return digits[strspn(digits, "0123456789")] == '\0' && orr__parse_number(digits, &number) &&
           number > INT64_MAX;
}

/* Copies a line with quotes around the integers that are too large for jansson. There is room for
 * them: each has 19 digits and more, and the copy twice the length. */
static size_t quote_large(const char *line, size_t length, char *copy)
{
    static const char token[] = "0123456789+-.eE";
    size_t written = 0;
    for (size_t i = 0; i < length;) {
        size_t part = 0;
        while (i + part < length && line[i + part] != '\0' && strchr(token, line[i + part]) != NULL)
            part++;
        bool large = part > 0 && is_large(line + i, part);
        if (part == 0)
            part = line[i] == '"' ? string_length(line + i, length - i) : 1;
        if (large)
            copy[written++] = '"';
        memcpy(copy + written, line + i, part);
        written += part;
        if (large)
            copy[written++] = '"';
        i += part;
    }
    return written;
}

json_t *orr__line_read(const char *line, size_t length, char why[ORR__LINE_WHY_MAX])
{
    json_error_t error;
    json_t *object = json_loadb(line, length, LOADING, &error);
    if (object == NULL && json_error_code(&error) == json_error_numeric_overflow) {
        char *copy = malloc(2 * length + 1);
        if (copy != NULL)
            object = json_loadb(copy, quote_large(line, length, copy), LOADING, &error);
        free(copy);
    }
    if (object == NULL) {
        orr__line_refuse(why, "no JSON in column %d: %s", error.column, error.text);
        return NULL;
    }
    if (!json_is_object(object)) {
        json_decref(object);
        orr__line_refuse(why, "no object");
        return NULL;
    }
    return object;
}

/* ---- members --------------------------------------------------------------------------------- */

/* A number, or one that quote_large has put into quotes. */
static bool number_of(const json_t *value, uint64_t *ret_number)
{
    if (json_is_string(value) && is_large(json_string_value(value), json_string_length(value)))
        return orr__parse_number(json_string_value(value), ret_number);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret_number = (uint64_t)json_integer_value(value);
    return true;
}

bool orr__line_number(const json_t *object, const char *name, uint64_t *ret_number,
                      char why[ORR__LINE_WHY_MAX])
{
    return number_of(json_object_get(object, name), ret_number) ||
           orr__line_refuse(why, "there is no number \"%s\"", name);
}

bool orr__line_text(const json_t *object, const char *name, const char **ret_text,
                    char why[ORR__LINE_WHY_MAX])
{
    *ret_text = json_string_value(json_object_get(object, name));
    return *ret_text != NULL || orr__line_refuse(why, "there is no text \"%s\"", name);
}

bool orr__line_flag(const json_t *object, const char *name, bool *ret_flag,
                    char why[ORR__LINE_WHY_MAX])
{
    const json_t *value = json_object_get(object, name);
    *ret_flag = json_is_true(value);
    return json_is_boolean(value) ||
           orr__line_refuse(why, "there is no true or false \"%s\"", name);
}

/* A text of less than `size` bytes, copied. */
static bool copy_text(const json_t *object, const char *name, char *copy, size_t size,
                      char why[ORR__LINE_WHY_MAX])
{
    const char *text;
    if (!orr__line_text(object, name, &text, why))
        return false;
    size_t length = strlen(text);
    if (length >= size)
        return orr__line_refuse(why, "\"%s\" has %zu bytes, and at most %zu are written", name,
                                length, size - 1);
    memcpy(copy, text, length + 1);
    return true;
}

/* ---- a seed ---------------------------------------------------------------------------------- */

static bool read_hash(const json_t *object, uint64_t *ret_hash, char why[ORR__LINE_WHY_MAX])
{
    char digits[2 + HASH_DIGITS + 1] = "0x";
    if (!copy_text(object, "trace_hash", digits + 2, HASH_DIGITS + 1, why))
        return false;
    return (strlen(digits) == 2 + HASH_DIGITS && orr__parse_number(digits, ret_hash)) ||
           orr__line_refuse(why, "\"trace_hash\" must have %d hexadecimal digits", HASH_DIGITS);
}

static bool find_family(const char *name, uint32_t *ret_family)
{
    for (*ret_family = 0; *ret_family < ORR_FAMILY_COUNT; ++*ret_family)
        if (strcmp(orr_fault_family_name((enum orr_fault_family) * ret_family), name) == 0)
            return true;
    return false;
}

static bool read_families(json_t *object, struct orr_outcome *outcome, char why[ORR__LINE_WHY_MAX])
{
    json_t *families = json_object_get(object, "faults_by_family");
    const char *name;
    json_t *value;
    if (!json_is_object(families))
        return orr__line_refuse(why, "there is no object \"faults_by_family\"");
    json_object_foreach(families, name, value)
    {
        uint32_t family;
        uint64_t number;
        if (!find_family(name, &family))
            return orr__line_refuse(why, "no fault family is called \"%s\"", name);
        if (!number_of(value, &number) || number > UINT32_MAX)
            return orr__line_refuse(why, "the faults of \"%s\" are no number of 32 bits", name);
        outcome->faults_by_family[family] = (uint32_t)number;
    }
    return true;
}

static bool read_sometimes(json_t *object, struct orr_outcome *outcome, char why[ORR__LINE_WHY_MAX])
{
    json_t *checks = json_object_get(object, "sometimes");
    const char *text;
    json_t *value;
    if (!json_is_object(checks))
        return orr__line_refuse(why, "there is no object \"sometimes\"");
    json_object_foreach(checks, text, value)
    {
        size_t length = strlen(text);
        if (outcome->sometimes_count == ORR_SOMETIMES_MAX)
            return orr__line_refuse(why, "\"sometimes\" has more than %u checks",
                                    ORR_SOMETIMES_MAX);
        uint32_t at = outcome->sometimes_count++;
        if (length >= sizeof outcome->sometimes[at].text)
            return orr__line_refuse(why, "a sometimes check is longer than %zu bytes",
                                    sizeof outcome->sometimes[at].text - 1);
        memcpy(outcome->sometimes[at].text, text, length + 1);
        if (!number_of(value, &outcome->sometimes[at].seen))
            return orr__line_refuse(why, "sometimes \"%s\" has no number", text);
    }
    return true;
}

static bool read_failure(const json_t *object, struct orr__result *result,
                         char why[ORR__LINE_WHY_MAX])
{
    const char *cause;
    const char *output;
    if (!orr__line_text(object, "cause", &cause, why) ||
        !copy_text(object, "group", result->group, sizeof result->group, why) ||
        !copy_text(object, "check", result->outcome.check, sizeof result->outcome.check, why) ||
        !copy_text(object, "detail", result->outcome.detail, sizeof result->outcome.detail, why) ||
        !orr__line_text(object, "output", &output, why) ||
        !orr__line_flag(object, "finished", &result->finished, why) ||
        !orr__line_text(object, "replay", &result->replay, why))
        return false;
    result->cause = orr__cause_find(cause);
    if (result->cause == ORR__CAUSE_COUNT)
        return orr__line_refuse(why, "there is no cause \"%s\"", cause);
    size_t length = json_string_length(json_object_get(object, "output"));
    if (length > sizeof result->output)
        return orr__line_refuse(why, "\"output\" has %zu bytes, and at most %zu are written",
                                length, sizeof result->output);
    memcpy(result->output, output, length);
    result->output_length = (uint32_t)length;
    return true;
}

bool orr__line_seed(json_t *object, struct orr__result *ret_result, char why[ORR__LINE_WHY_MAX])
{
    struct orr_outcome *outcome = &ret_result->outcome;
    memset(outcome, 0, sizeof *outcome);
    ret_result->cause = ORR__CAUSE_COUNT;
    ret_result->group[0] = '\0';
    ret_result->replay = NULL;
    ret_result->finished = true;
    ret_result->output_length = 0;
    if (!orr__line_number(object, "seed", &outcome->seed, why) ||
        !orr__line_flag(object, "failed", &outcome->failed, why) ||
        !read_hash(object, &outcome->trace_hash, why) ||
        !orr__line_number(object, "events", &outcome->events, why) ||
        !orr__line_number(object, "completions", &outcome->completions, why) ||
        !orr__line_number(object, "simulated_ns", &outcome->simulated_ns, why) ||
        !orr__line_number(object, "faults", &outcome->faults, why))
        return false;
    return read_families(object, outcome, why) && read_sometimes(object, outcome, why) &&
           (!outcome->failed || read_failure(object, ret_result, why));
}

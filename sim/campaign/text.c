/*
 * text.c: words for people: names that are alike, quoting for a shell, numbers with units, and
 * the output of strangers made harmless for a terminal.
 */
#include "campaign.h"

#include <inttypes.h>
#include <string.h>

/* ---- names alike ----------------------------------------------------------------------------- */

enum { NAME_MAX_COMPARED = 63 };

/* Levenshtein's distance, one row at a time; what is longer than any name is just far away. */
uint32_t orr__text_distance(const char *a, const char *b)
{
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    uint32_t row[NAME_MAX_COMPARED + 1];
    if (a_length > NAME_MAX_COMPARED || b_length > NAME_MAX_COMPARED)
        return UINT32_MAX;
    for (uint32_t i = 0; i <= b_length; i++)
        row[i] = i;
    for (size_t i = 0; i < a_length; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i + 1;
        for (size_t j = 0; j < b_length; j++) {
            uint32_t replaced = diagonal + (a[i] != b[j]);
            uint32_t shifted = 1 + (row[j] < row[j + 1] ? row[j] : row[j + 1]);
            diagonal = row[j + 1];
            row[j + 1] = replaced < shifted ? replaced : shifted;
        }
    }
    return row[b_length];
}

void orr__nearest_offer(struct orr__nearest *nearest, const char *name)
{
    uint32_t distance = orr__text_distance(nearest->wanted, name);
    uint32_t distance_max = 1 + (uint32_t)strlen(name) / 3;
    if (distance > distance_max || (nearest->name != NULL && distance >= nearest->distance))
        return;
    nearest->name = name;
    nearest->distance = distance;
}

/* ---- quoting --------------------------------------------------------------------------------- */

void orr__text_quote(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "@%+=:,./_-";
    if (*word != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    }
    fputc('\'', out);
}

void orr__text_indent(FILE *out, const char *text, size_t length, const char *indent)
{
    bool at_start = true;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (at_start)
            fputs(indent, out);
        at_start = byte == '\n';
        if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f)
            fprintf(out, "\\x%02x", byte);
        else
            fputc(byte, out);
    }
    if (!at_start)
        fputc('\n', out);
}

/* ---- amounts --------------------------------------------------------------------------------- */

const char *orr__text_count(char buffer[ORR__AMOUNT_MAX], uint64_t count)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", " E"};
    uint64_t unit = 1;
    uint32_t power = 0;
    while (count / unit >= 1000 && power < 6) {
        unit *= 1000;
        power++;
    }
    uint64_t whole = count / unit;
    uint64_t thousandths = power == 0 ? 0 : count % unit / (unit / 1000);
    if (power == 0 || whole >= 100)
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 "%s", whole, units[power]);
    else if (whole >= 10)
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 ".%" PRIu64 "%s", whole, thousandths / 100,
                 units[power]);
    else
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 ".%02" PRIu64 "%s", whole, thousandths / 10,
                 units[power]);
    return buffer;
}

const char *orr__text_time(char buffer[ORR__AMOUNT_MAX], uint64_t ns)
{
    static const uint64_t hour = 60 * ORR_MINUTE;
    static const uint64_t day = 24 * 60 * ORR_MINUTE;
    if (ns < ORR_SECOND)
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 " ms", ns / ORR_MILLISECOND);
    else if (ns < ORR_MINUTE && ns % ORR_SECOND != 0)
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 ".%02" PRIu64 " s", ns / ORR_SECOND,
                 ns % ORR_SECOND / (10 * ORR_MILLISECOND));
    else if (ns < ORR_MINUTE)
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 " s", ns / ORR_SECOND);
    else if (ns < hour)
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 " min %" PRIu64 " s", ns / ORR_MINUTE,
                 ns % ORR_MINUTE / ORR_SECOND);
    else if (ns < day)
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 " h %" PRIu64 " min", ns / hour,
                 ns % hour / ORR_MINUTE);
    else
        snprintf(buffer, ORR__AMOUNT_MAX, "%" PRIu64 " days %" PRIu64 " h", ns / day,
                 ns % day / hour);
    return buffer;
}

uint64_t orr__per_second(uint64_t count, uint64_t ns)
{
    uint64_t us = ns / ORR_MICROSECOND;
    return us == 0 ? 0 : (uint64_t)((double)count * 1e6 / (double)us);
}

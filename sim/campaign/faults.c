/*
 * faults.c: the faults of a replay file as lines of text: one after the other, and a file without
 * one of them. What a line means is left to replay_file.c; here it has a name and a text.
 *
 *     server/fsync#3 = EIO              # 12.345678 ms: EIO
 *     '----name----'
 *     '------- text -------'              '---- comment ----'
 *     server crash @ after fsync#9
 *     '---- text, and name ------'
 *
 * Nothing is allocated, see campaign.h.
 */
#include "campaign.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* A word of a line that ends at `end`. */
struct word {
    const char *begin;
    size_t length;
};

/* The next word; empty at the end of the line, and where a comment begins. */
static struct word next_word(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    struct word word = {.begin = at};
    if (at < end && *at == '#')
        return word;
    while (at + word.length < end && !is_blank(at[word.length]))
        word.length++;
    return word;
}

static bool word_is(struct word word, const char *text)
{
    return strlen(text) == word.length && memcmp(word.begin, text, word.length) == 0;
}

/* Reads the line from `line` to `end`. False if it is about something else. */
static bool read_line(const char *line, const char *end, struct orr__fault_line *ret_line)
{
    struct word first = next_word(line, end);
    struct word second = next_word(first.begin + first.length, end);
    bool rules = word_is(second, "=") || word_is(second, "+=");
    bool appoints = word_is(second, "crash") || word_is(second, "kill");
    if (word_is(first, "check") || (!rules && !appoints))
        return false;
    struct word word = second;
    struct word last = word;
    for (; word.length > 0; word = next_word(word.begin + word.length, end))
        last = word;
    *ret_line = (struct orr__fault_line){
        .text = first.begin,
        .text_length = (uint32_t)(last.begin + last.length - first.begin),
        .is_appointment = appoints,
    };
    ret_line->name_length = appoints ? ret_line->text_length : (uint32_t)first.length;
    if (word.begin < end) { /* "# 12 ms: EIO" */
        ret_line->comment = word.begin + 1;
        ret_line->comment += ret_line->comment < end && is_blank(*ret_line->comment);
        ret_line->comment_length = (uint32_t)(end - ret_line->comment);
    }
    return true;
}

bool orr__fault_line_next(const char **at, struct orr__fault_line *ret_line)
{
    while (**at != '\0') {
        const char *line = *at;
        const char *end = line + strcspn(line, "\n");
        *at = *end == '\n' ? end + 1 : end;
        if (read_line(line, end, ret_line))
            return true;
    }
    return false;
}

/* As two lines are the same for whoever reads words. */
static bool same_words(const char *a, const char *a_end, const char *b)
{
    const char *b_end = b + strlen(b);
    struct word one;
    struct word two;
    do {
        one = next_word(a, a_end);
        two = next_word(b, b_end);
        if (one.length != two.length || memcmp(one.begin, two.begin, one.length) != 0)
            return false;
        a = one.begin + one.length;
        b = two.begin + two.length;
    } while (one.length > 0);
    return true;
}

bool orr__fault_line_is(const struct orr__fault_line *line, const char *name)
{
    return same_words(line->text, line->text + line->name_length, name);
}

bool orr__fault_line_is_appointed(const struct orr__fault_line *line)
{
    static const char part[] = "/appointed#";
    for (uint32_t i = 0; i + sizeof part - 1 <= line->name_length; i++)
        if (memcmp(line->text + i, part, sizeof part - 1) == 0)
            return true;
    return false;
}

/* ---- a file without one of them -------------------------------------------------------------- */

char *orr__faults_without(const char *text, const char *name)
{
    static const char nothing[] = " = nothing\n";
    size_t size = strlen(text) + 1 + strlen(name) + sizeof nothing;
    char *without = orr__private_map(size);
    size_t length = 0;
    if (without == NULL)
        return NULL;
    while (*text != '\0') {
        struct orr__fault_line line;
        const char *end = text + strcspn(text, "\n");
        if (!read_line(text, end, &line) || !orr__fault_line_is(&line, name)) {
            memcpy(without + length, text, (size_t)(end - text));
            length += (size_t)(end - text);
            without[length++] = '\n';
        }
        text = *end == '\n' ? end + 1 : end;
    }
    if (strpbrk(name, " \t") != NULL) /* an appointment: without its line there is none */
        return without;
    snprintf(without + length, size - length, "%s%s", name, nothing);
    return without;
}

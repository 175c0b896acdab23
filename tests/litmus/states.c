/*
 * states.c: sets of states, and the short way in which the tables write them. See litmus.h.
 */
#include "tests/litmus/litmus.h"

#include <stdlib.h>
#include <string.h>

/* Where the state is, or would have to be. */
static size_t place_of(const struct litmus_set *set, const char *state)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(set->states[middle], state) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool litmus_set_has(const struct litmus_set *set, const char *state)
{
    size_t at = place_of(set, state);
    return at < set->count && strcmp(set->states[at], state) == 0;
}

void litmus_set_add(struct litmus_set *set, const char *state)
{
    if (litmus_set_has(set, state))
        return;
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? 16 : 2 * set->capacity;
        set->states = realloc(set->states, set->capacity * sizeof *set->states);
        if (set->states == NULL)
            litmus_die("no memory for %zu states", set->capacity);
    }
    size_t at = place_of(set, state);
    memmove(set->states + at + 1, set->states + at, (set->count - at) * sizeof *set->states);
    snprintf(set->states[at], sizeof set->states[at], "%s", state);
    set->count++;
}

void litmus_set_clear(struct litmus_set *set)
{
    free(set->states);
    *set = (struct litmus_set){0};
}

/* ---- the tables' notation -------------------------------------------------------------------- */

/* One state without its superfluous spaces. */
static void add_trimmed(struct litmus_set *set, const char *text)
{
    char state[LITMUS_STATE_MAX];
    size_t length = 0;
    for (const char *at = text; *at != '\0'; at++)
        if (*at != ' ' || (length > 0 && state[length - 1] != ' '))
            state[length++] = *at;
    while (length > 0 && state[length - 1] == ' ')
        length--;
    state[length] = '\0';
    litmus_set_add(set, state);
}

static void expand(struct litmus_set *set, const char *text);

/* text = before + OPTION + after: expands with each option. */
static void expand_with(struct litmus_set *set, const char *text, size_t before, const char *option,
                        size_t option_length, const char *after)
{
    char whole[LITMUS_STATE_MAX];
    int length = snprintf(whole, sizeof whole, "%.*s%.*s%s", (int)before, text, (int)option_length,
                          option, after);
    if (length >= (int)sizeof whole)
        litmus_die("too long: %s", text);
    expand(set, whole);
}

/* Expands the first [] or {} of a text, and so all. */
static void expand(struct litmus_set *set, const char *text)
{
    size_t before = strcspn(text, "[{");
    if (text[before] == '\0') {
        add_trimmed(set, text);
        return;
    }
    bool letters = text[before] == '[';
    const char *at = text + before + 1;
    const char *end = strchr(at, letters ? ']' : '}');
    if (end == NULL)
        litmus_die("not closed: %s", text);
    while (letters && at < end) {
        expand_with(set, text, before, at, *at == '~' ? 0 : 1, end + 1);
        at++;
    }
    while (!letters && at <= end) {
        size_t length = strcspn(at, ",}");
        expand_with(set, text, before, at, length, end + 1);
        at += length + 1;
    }
}

void litmus_set_parse(struct litmus_set *set, const char *text)
{
    while (*text != '\0') {
        char alternative[LITMUS_STATE_MAX];
        size_t length = strcspn(text, "|");
        if (length >= sizeof alternative)
            litmus_die("too long: %s", text);
        memcpy(alternative, text, length);
        alternative[length] = '\0';
        expand(set, alternative);
        text += length + (text[length] == '|' ? 1 : 0);
    }
}

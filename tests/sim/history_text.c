/*
 * history_text.c: reads the little language of history_text.h.
 */
#include "history_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 16

struct reader {
    struct orr_history *history;
    uint64_t now_ns;
    bool busy[CLIENTS];
    uint64_t call[CLIENTS]; /* that is under way */
};

static void begin(struct reader *reader, uint32_t client, const char *what)
{
    char *end = (char *)what + 1;
    struct orr_call call = {.client = client, .begun_ns = reader->now_ns};
    ck_assert_msg(*what == 'r' || *what == 'w', "neither r nor w: %s", what);
    call.kind = *what == 'w' ? ORR_REGISTER_WRITE : ORR_REGISTER_READ;
    if (*what == 'w')
        call.argument = strtoull(what + 1, &end, 10);
    if (*end == '@')
        call.key = strtoull(end + 1, NULL, 10);
    ck_assert(!reader->busy[client]);
    reader->busy[client] = true;
    reader->call[client] = orr_history_begin(reader->history, &call);
}

static void read_word(struct reader *reader, const char *word)
{
    char *at;
    uint32_t client = (uint32_t)strtoul(word, &at, 10);
    ck_assert_msg(at != word && client < CLIENTS, "no client: %s", word);
    reader->now_ns += ORR_MILLISECOND;
    if (*at == '(') {
        begin(reader, client, at + 1);
        return;
    }
    ck_assert_msg(reader->busy[client] && (*at == ')' || *at == '?'), "no end: %s", word);
    reader->busy[client] = false;
    if (*at == ')')
        orr_history_end(reader->history, reader->call[client], strtoull(at + 1, NULL, 10),
                        reader->now_ns);
}

struct orr_history *history_of(const char *text)
{
    struct reader reader = {.history = orr_history_create(orr_register_model())};
    char word[32];
    size_t length = 0;
    for (const char *at = text;; at++) {
        if (*at != ' ' && *at != '\0') {
            ck_assert(length + 1 < sizeof word);
            word[length++] = *at;
            continue;
        }
        word[length] = '\0';
        if (length > 0)
            read_word(&reader, word);
        length = 0;
        if (*at == '\0')
            return reader.history;
    }
}

enum orr_verdict verdict_of(const char *text)
{
    struct orr_history *history = history_of(text);
    enum orr_verdict verdict = orr_history_judge(history, 0, NULL, 0);
    orr_history_destroy(history);
    return verdict;
}

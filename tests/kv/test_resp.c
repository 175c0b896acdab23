/*
 * test_resp.c: the RESP parser and reply writers of examples/kv/resp.c.
 *
 * Each row of the table is a stream and its transcript (transcript.h). Every stream is fed whole,
 * byte by byte, and cut in two at every place; all must agree with the row. The rows' refusals were
 * compared with the answers of a Redis 7.0 server.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/kv/resp.h"
#include "tests/kv/memory.h"
#include "tests/kv/transcript.h"
#include "tests/suite.h"

#define TEXT_LENGTH_MAX ((size_t)8 * 1024 * 1024)

static const struct kv_resp_limits limits = {
    .arguments_max = 1000,
    .bulk_length_max = 2 * 1024 * 1024,
    .command_length_max = 4 * 1024 * 1024,
};

static struct test_memory memory;
static struct kv_buffer text;

static void setup(void)
{
    test_memory_init(&memory, -1);
    kv_buffer_init(&text, &memory.memory, TEXT_LENGTH_MAX);
}

static void teardown(void)
{
    kv_buffer_free(&text);
    ck_assert_int_eq(memory.blocks, 0);
}

struct row {
    const char *stream;
    size_t length; /* of a stream with NULs; 0: strlen */
    const char *transcript;
};

#define BINARY(literal) literal, sizeof(literal) - 1
#define PLAIN(literal) literal, 0

static const struct row rows[] = {
    {PLAIN(""), ""},
    {PLAIN("*1\r\n$4\r\nPING\r\n"), "[PING]"},
    {PLAIN("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"), "[SET,k,'']"},
    {PLAIN("*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n"), "[PING][ECHO,hi]"},
    {PLAIN("*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPI"), "[PING][PING]..."},
    {BINARY("*2\r\n$3\r\nGET\r\n$6\r\n\r\n\0$*\xff\r\n"), "[GET,\\x0d\\x0a\\x00$*\\xff]"},
    {PLAIN("*2\r\n$4\r\nECHO\r\n$14\r\n*1\r\n$4\r\nPING\r\n\r\n"),
     "[ECHO,*1\\x0d\\x0a$4\\x0d\\x0aPING\\x0d\\x0a]"},

    /* Empty commands. */
    {PLAIN("\r\n\n   \r\n*0\r\n*-1\r\n*-9223372036854775808\r\nPING\r\n"), "[][][][][][][PING]"},
    {PLAIN("*1\r\n$0\r\n\r\n"), "['']"},

    /* Counts. */
    {PLAIN("*abc\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*abc"), "..."},
    {PLAIN("*\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*01\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*+1\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*-0\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("* 1\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*1001\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*2147483648\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*18446744073709551617\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*99999999999999999999999999\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*1\n$4\r\nPING\r\n"), "!Protocol error: invalid multibulk length"},
    {PLAIN("*1\rx$4\r\nPING\r\n"), "!Protocol error: invalid multibulk length"},
    {BINARY("*1\0\r\n"), "!Protocol error: invalid multibulk length"},

    /* Lengths. */
    {PLAIN("*1\r\n$-1\r\n"), "!Protocol error: invalid bulk length"},
    {PLAIN("*1\r\n$\r\n"), "!Protocol error: invalid bulk length"},
    {PLAIN("*1\r\n$04\r\nPING\r\n"), "!Protocol error: invalid bulk length"},
    {PLAIN("*1\r\n$+4\r\nPING\r\n"), "!Protocol error: invalid bulk length"},
    {PLAIN("*1\r\n$2097153\r\n"), "!Protocol error: invalid bulk length"},
    {PLAIN("*1\r\n$536870913\r\n"), "!Protocol error: invalid bulk length"},
    {PLAIN("*1\r\n$9223372036854775808\r\n"), "!Protocol error: invalid bulk length"},
    {PLAIN("*1\r\n$4\nPING\n"), "..."},
    {PLAIN("*1\r\n$4\nPING\n\r\n"), "!Protocol error: invalid bulk length"},
    {PLAIN("*1\r\n\r\n"), "!Protocol error: expected '$', got '\r'"},
    {PLAIN("*1\r\n:4\r\n"), "!Protocol error: expected '$', got ':'"},
    {PLAIN("*1\r\n:4\r"), "..."},
    {PLAIN("*2\r\n$4\r\nECHO\r\nPING\r\n"), "!Protocol error: expected '$', got 'P'"},
    {BINARY("*1\r\n\0\r\n"), "!Protocol error: expected '$', got ' '"},
    {BINARY("*1\r\n\xff\r\n"), "!Protocol error: expected '$', got '\xff'"},
    {PLAIN("*1\r\n$4\r\nPINGxx"), "!Protocol error: expected CR LF after bulk"},
    {PLAIN("*1\r\n$4\r\nPINGx"), "..."},
    {PLAIN("*1\r\n$3\r\nPING\r\n"), "!Protocol error: expected CR LF after bulk"},
    {PLAIN("PING\r\n*x\r\nPING\r\n"), "[PING]!Protocol error: invalid multibulk length"},

    /* Inline commands. */
    {PLAIN("PING\r\nPING\n"), "[PING][PING]"},
    {PLAIN("  SET \t a\x0b  b\x0c c \r\n"), "[SET,a\\x0b,b\\x0c,c]"},
    {PLAIN("ECHO a\rb\r\n"), "[ECHO,a,b]"},
    {PLAIN("ECHO a\r\r\n"), "[ECHO,a]"},
    {PLAIN("ECHO \"a b\\x41\\x4g\\n\\r\\t\\b\\a\\q\\\"\"\r\n"),
     "[ECHO,a\\x20bAx4g\\x0a\\x0d\\x09\\x08\\x07q\"]"},
    {PLAIN("ECHO \"\\x00\\xfF\\x\" \"\\x4\"\r\n"), "[ECHO,\\x00\\xffx,x4]"},
    {PLAIN("ECHO 'a\\'b\\n\"'\r\n"), "[ECHO,a\\x27b\\x5cn\"]"},
    {PLAIN("ECHO \"\" '' x\r\n"), "[ECHO,'','',x]"},
    {PLAIN("ECHO a\"b c\" d'e f'\r\n"), "[ECHO,ab\\x20c,de\\x20f]"},
    {PLAIN("ECHO a\\x41\r\n"), "[ECHO,a\\x5cx41]"},
    {BINARY("ECHO a\0b \"c\0\" \0\r\n"), "[ECHO,a\\x00b,c\\x00,\\x00]"},
    {BINARY("\xff\xfe \x80\r\n"), "[\\xff\\xfe,\\x80]"},
    {PLAIN("ECHO \"a\"b\r\n"), "!Protocol error: unbalanced quotes in request"},
    {PLAIN("ECHO 'a'b\r\n"), "!Protocol error: unbalanced quotes in request"},
    {PLAIN("ECHO \"a\r\n"), "!Protocol error: unbalanced quotes in request"},
    {PLAIN("ECHO 'a\r\n"), "!Protocol error: unbalanced quotes in request"},
    {PLAIN("ECHO \"a\\\r\n"), "!Protocol error: unbalanced quotes in request"},
    {PLAIN("ECHO \"a\\\"\r\n"), "!Protocol error: unbalanced quotes in request"},
    {PLAIN("ECHO 'a\\'\r\n"), "!Protocol error: unbalanced quotes in request"},
    {PLAIN("ECHO \"a"), "..."},
    {PLAIN("$4\r\n"), "[$4]"},
};

static void check_transcript(const struct row *row, size_t length, const char *how, size_t cut_at)
{
    kv_buffer_append(&text, "", 1);
    ck_assert(!text.failed);
    ck_assert_msg(strcmp((const char *)text.bytes, row->transcript) == 0,
                  "stream \"%.*s\" %s %zu: expected \"%s\", got \"%s\"", (int)length, row->stream,
                  how, cut_at, row->transcript, (const char *)text.bytes);
    kv_buffer_truncate(&text, 0);
}

static size_t cut_bytes(void *context, size_t start, size_t length)
{
    (void)length;
    return start + *(const size_t *)context;
}

static size_t cut_once(void *context, size_t start, size_t length)
{
    size_t at = *(const size_t *)context;
    return start < at ? at : length;
}

START_TEST(test_resp__rows_however_they_are_cut)
{
    const struct row *row = &rows[_i];
    const uint8_t *stream = (const uint8_t *)row->stream;
    size_t length = row->length > 0 ? row->length : strlen(row->stream);
    transcript_of(&limits, stream, length, NULL, NULL, &text);
    check_transcript(row, length, "whole", 0);
    size_t one = 1;
    transcript_of(&limits, stream, length, cut_bytes, &one, &text);
    check_transcript(row, length, "in pieces of", one);
    for (size_t at = 1; at < length; at++) {
        transcript_of(&limits, stream, length, cut_once, &at, &text);
        check_transcript(row, length, "cut at", at);
    }
}
END_TEST

static void put_text(uint8_t *to, const char *bytes)
{
    for (size_t i = 0; bytes[i] != '\0'; i++) {
        to[i] = (uint8_t)bytes[i];
    }
}

/* A line of `sign`, then `count` times `fill`, then `end`; its transcript in one and in two pieces
 * must be `expected`. */
static void check_long_line(char sign, char fill, size_t count, const char *end,
                            const char *expected)
{
    size_t length = 1 + count + strlen(end);
    uint8_t *line = malloc(length);
    ck_assert_ptr_nonnull(line);
    line[0] = (uint8_t)sign;
    memset(line + 1, fill, count);
    put_text(line + 1 + count, end);
    size_t piece = length / 2;
    for (int pass = 0; pass < 2; pass++) {
        transcript_of(&limits, line, length, pass == 0 ? NULL : cut_once, &piece, &text);
        ck_assert_uint_eq(text.length, strlen(expected));
        ck_assert_mem_eq(text.bytes, expected, text.length);
        kv_buffer_truncate(&text, 0);
    }
    free(line);
}

START_TEST(test_resp__lines_have_a_limit)
{
    static const size_t max = KV_RESP_LINE_LENGTH_MAX;
    check_long_line(' ', ' ', max - 1, "\n", "[]");
    check_long_line(' ', ' ', max, "\n", "!Protocol error: too big inline request");
    check_long_line(' ', ' ', max - 1, "", "...");
    check_long_line(' ', ' ', max, "", "!Protocol error: too big inline request");
    check_long_line('*', '1', max - 1, "\r\n", "!Protocol error: invalid multibulk length");
    check_long_line('*', '1', max, "\r\n", "!Protocol error: too big mbulk count string");
    check_long_line('*', '1', max - 1, "", "...");
    check_long_line('*', '1', max, "", "!Protocol error: too big mbulk count string");
}
END_TEST

START_TEST(test_resp__a_long_bulk_header_is_refused)
{
    static const char expected[] = "!Protocol error: too big bulk count string";
    size_t length = 4 + 1 + KV_RESP_LINE_LENGTH_MAX;
    uint8_t *stream = malloc(length);
    ck_assert_ptr_nonnull(stream);
    memset(stream, '1', length);
    put_text(stream, "*1\r\n$");
    transcript_of(&limits, stream, length - 1, NULL, NULL, &text);
    ck_assert_mem_eq(text.bytes, "...", 3);
    kv_buffer_truncate(&text, 0);
    transcript_of(&limits, stream, length, NULL, NULL, &text);
    ck_assert_uint_eq(text.length, sizeof(expected) - 1);
    ck_assert_mem_eq(text.bytes, expected, sizeof(expected) - 1);
    free(stream);
}
END_TEST

START_TEST(test_resp__inline_words_have_a_limit)
{
    uint8_t line[2 * 1001 + 1];
    for (size_t i = 0; i < sizeof(line); i++) {
        line[i] = i % 2 == 0 ? 'a' : ' ';
    }
    static const char expected[] = "!Protocol error: too big inline request";
    line[2 * 1001] = '\n';
    transcript_of(&limits, line, sizeof(line), NULL, NULL, &text);
    ck_assert_uint_eq(text.length, sizeof(expected) - 1);
    ck_assert_mem_eq(text.bytes, expected, sizeof(expected) - 1);
    kv_buffer_truncate(&text, 0);
    line[2 * 1000] = '\n';
    transcript_of(&limits, line, 2 * 1000 + 1, NULL, NULL, &text);
    ck_assert_mem_eq(text.bytes, "[a,a", 4);
}
END_TEST

START_TEST(test_resp__a_command_has_a_limit_known_from_its_headers)
{
    struct kv_resp_limits small = limits;
    struct kv_resp_parser parser;
    struct kv_resp_command command;
    small.command_length_max = KV_RESP_LINE_LENGTH_MAX + 1;
    /* "*1 CR LF" and "$65526 CR LF" are 12 bytes; with the bulk's CR LF this is one too many. */
    static const char header[] = "*1\r\n$65524\r\n";
    kv_resp_init(&parser, &small);
    ck_assert_int_eq(kv_resp_parse(&parser, (const uint8_t *)header, sizeof(header) - 1, &command),
                     KV_RESP_ERROR);
    ck_assert_str_eq(parser.error, "Protocol error: command longer than 65537 bytes");
    ck_assert_int_eq(kv_resp_parse(&parser, (const uint8_t *)"PING\r\n", 6, &command),
                     KV_RESP_ERROR);
    static const char fitting[] = "*1\r\n$65523\r\n";
    kv_resp_init(&parser, &small);
    ck_assert_int_eq(
        kv_resp_parse(&parser, (const uint8_t *)fitting, sizeof(fitting) - 1, &command),
        KV_RESP_MORE);
    ck_assert_uint_eq(parser.wanted, small.command_length_max);
}
END_TEST

/* What was looked at once is not looked at again: it may change without being noticed. */
START_TEST(test_resp__a_large_bulk_in_pieces_is_not_read_again)
{
    static const char head[] = "*2\r\n$4\r\nECHO\r\n$1048576\r\n";
    size_t length = sizeof(head) - 1 + 1048576 + 2;
    uint8_t *bytes = calloc(1, length);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, head, sizeof(head) - 1);
    put_text(bytes + length - 2, "\r\n");
    struct kv_resp_parser parser;
    struct kv_resp_command command;
    kv_resp_init(&parser, &limits);
    for (size_t seen = sizeof(head) - 1; seen < length; seen += 1000) {
        ck_assert_int_eq(kv_resp_parse(&parser, bytes, seen, &command), KV_RESP_MORE);
        ck_assert_uint_eq(parser.wanted, length);
        memset(bytes, '*', seen < length - 2 ? seen : length - 2);
    }
    ck_assert_int_eq(kv_resp_parse(&parser, bytes, length, &command), KV_RESP_COMMAND);
    ck_assert_uint_eq(command.length, length);
    ck_assert_uint_eq(command.argument_count, 2);
    free(bytes);
}
END_TEST

START_TEST(test_resp__a_long_line_in_pieces_is_not_searched_again)
{
    uint8_t line[60001];
    struct kv_resp_parser parser;
    struct kv_resp_command command;
    kv_resp_init(&parser, &limits);
    for (size_t seen = 1; seen < sizeof(line); seen++) {
        line[seen - 1] = 'a';
        ck_assert_int_eq(kv_resp_parse(&parser, line, seen, &command), KV_RESP_MORE);
        line[seen - 1] = '\n';
    }
    line[sizeof(line) - 1] = '\n';
    ck_assert_int_eq(kv_resp_parse(&parser, line, sizeof(line), &command), KV_RESP_COMMAND);
    ck_assert_uint_eq(command.length, sizeof(line));
}
END_TEST

START_TEST(test_resp__asking_again_without_more_changes_nothing)
{
    static const char stream[] = "*1\r\n$4\r\nPING\r\n";
    struct kv_resp_parser parser;
    struct kv_resp_command command;
    kv_resp_init(&parser, &limits);
    for (size_t seen = 0; seen < sizeof(stream) - 1; seen++) {
        for (int again = 0; again < 3; again++) {
            ck_assert_int_eq(kv_resp_parse(&parser, (const uint8_t *)stream, seen, &command),
                             KV_RESP_MORE);
        }
    }
    ck_assert_int_eq(kv_resp_parse(&parser, (const uint8_t *)stream, sizeof(stream) - 1, &command),
                     KV_RESP_COMMAND);
}
END_TEST

static void write_all_replies(struct kv_buffer *replies)
{
    kv_reply_simple(replies, "OK");
    kv_reply_error(replies, "ERR a\r\nb");
    kv_reply_integer(replies, INT64_MIN);
    kv_reply_integer(replies, INT64_MAX);
    kv_reply_integer(replies, 0);
    kv_reply_bulk(replies, "a\0\r\n", 4);
    kv_reply_bulk(replies, NULL, 0);
    kv_reply_nil(replies);
    kv_reply_array(replies, 0);
    kv_reply_array(replies, 1000000);
}

static const char all_replies[] = "+OK\r\n-ERR a  b\r\n:-9223372036854775808\r\n"
                                  ":9223372036854775807\r\n:0\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n"
                                  "$-1\r\n*0\r\n*1000000\r\n";

START_TEST(test_resp__replies)
{
    write_all_replies(&text);
    ck_assert(!text.failed);
    ck_assert_uint_eq(text.length, sizeof(all_replies) - 1);
    ck_assert_mem_eq(text.bytes, all_replies, sizeof(all_replies) - 1);
}
END_TEST

START_TEST(test_resp__replies_fail_at_any_ceiling_without_writing_past_it)
{
    for (size_t ceiling = 0; ceiling < sizeof(all_replies) - 1; ceiling++) {
        struct kv_buffer small;
        kv_buffer_init(&small, &memory.memory, ceiling);
        write_all_replies(&small);
        ck_assert(small.failed);
        ck_assert_uint_le(small.length, ceiling);
        if (small.length > 0) {
            ck_assert_mem_eq(small.bytes, all_replies, small.length);
        }
        kv_buffer_free(&small);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("resp");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_resp__rows_however_they_are_cut, 0,
                        sizeof(rows) / sizeof(*rows));
    tcase_add_test(tcase, test_resp__lines_have_a_limit);
    tcase_add_test(tcase, test_resp__a_long_bulk_header_is_refused);
    tcase_add_test(tcase, test_resp__inline_words_have_a_limit);
    tcase_add_test(tcase, test_resp__a_command_has_a_limit_known_from_its_headers);
    tcase_add_test(tcase, test_resp__a_large_bulk_in_pieces_is_not_read_again);
    tcase_add_test(tcase, test_resp__a_long_line_in_pieces_is_not_searched_again);
    tcase_add_test(tcase, test_resp__asking_again_without_more_changes_nothing);
    tcase_add_test(tcase, test_resp__replies);
    tcase_add_test(tcase, test_resp__replies_fail_at_any_ceiling_without_writing_past_it);
    return suite_run("kv/resp", tcase);
}

/*
 * test_parts.c: the parts of sim/campaign/ that need no process: numbers, amounts, names alike,
 * quoting, and what is kept of a program's output.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "tests/suite.h"

#include "sim/campaign/campaign.h"

#include <stdio.h>
#include <string.h>

/* ---- parse.c --------------------------------------------------------------------------------- */

START_TEST(test_parse__durations)
{
    static const struct {
        const char *text;
        uint64_t ns; /* UINT64_MAX = refused */
    } cases[] = {
        {"0", 0},
        {"7", 7 * ORR_SECOND},
        {"60s", ORR_MINUTE},
        {"5m", 5 * ORR_MINUTE},
        {"5min", 5 * ORR_MINUTE},
        {"2h", 120 * ORR_MINUTE},
        {"250ms", 250 * ORR_MILLISECOND},
        {"9223372036s", 9223372036 * ORR_SECOND},
        {"9223372037s", UINT64_MAX},
        {"99999999999999999999", UINT64_MAX},
        {"", UINT64_MAX},
        {"s", UINT64_MAX},
        {"-1s", UINT64_MAX},
        {"1.5s", UINT64_MAX},
        {" 1s", UINT64_MAX},
        {"1 s", UINT64_MAX},
        {"1sm", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ns = UINT64_MAX;
        bool taken = orr__parse_duration(cases[i].text, &ns);
        ck_assert_msg(taken == (cases[i].ns != UINT64_MAX) && ns == cases[i].ns, "%s",
                      cases[i].text);
    }
}
END_TEST

START_TEST(test_parse__numbers)
{
    static const struct {
        const char *text;
        uint64_t number;
    } cases[] = {
        {"0", 0},
        {"007", 7},
        {"18446744073709551615", UINT64_MAX},
        {"0xffffffffffffffff", UINT64_MAX},
        {"0XaB", 0xab},
    };
    static const char *const refused[] = {"",
                                          "x",
                                          "0x",
                                          "-1",
                                          "+1",
                                          "1 ",
                                          " 1",
                                          "1a",
                                          "0xg",
                                          "1_",
                                          "1e3",
                                          "18446744073709551616",
                                          "0x10000000000000000"};
    uint64_t number;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert(orr__parse_number(cases[i].text, &number));
        ck_assert_uint_eq(number, cases[i].number);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        ck_assert_msg(!orr__parse_number(refused[i], &number), "%s", refused[i]);
}
END_TEST

/* ---- text.c ---------------------------------------------------------------------------------- */

START_TEST(test_text__distance)
{
    ck_assert_uint_eq(orr__text_distance("", ""), 0);
    ck_assert_uint_eq(orr__text_distance("abc", "abc"), 0);
    ck_assert_uint_eq(orr__text_distance("", "abc"), 3);
    ck_assert_uint_eq(orr__text_distance("kitten", "sitting"), 3);
    ck_assert_uint_eq(orr__text_distance("replay", "rplay"), 1);
    ck_assert_uint_eq(orr__text_distance("ab", "ba"), 2);
    char long_name[100];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_assert_uint_eq(orr__text_distance(long_name, long_name), UINT32_MAX);
}
END_TEST

START_TEST(test_text__nearest)
{
    struct orr__nearest nearest = {.wanted = "replya"};
    orr__nearest_offer(&nearest, "list");
    ck_assert_ptr_null(nearest.name);
    orr__nearest_offer(&nearest, "replays");
    orr__nearest_offer(&nearest, "replay");
    orr__nearest_offer(&nearest, "run");
    ck_assert_str_eq(nearest.name, "replays");
    nearest = (struct orr__nearest){.wanted = "x"};
    orr__nearest_offer(&nearest, "kv");
    ck_assert_ptr_null(nearest.name);
}
END_TEST

START_TEST(test_text__quote)
{
    static const char *const cases[][2] = {
        {"build/orrery", "build/orrery"},
        {"a=b", "a=b"},
        {"", "''"},
        {"a b", "'a b'"},
        {"it's", "'it'\\''s'"},
        {"$x", "'$x'"},
        {"~", "'~'"},
        {"a\nb", "'a\nb'"},
        {"*", "'*'"},
        {"!", "'!'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text;
        size_t length;
        FILE *out = open_memstream(&text, &length);
        orr__text_quote(out, cases[i][0]);
        fclose(out);
        ck_assert_str_eq(text, cases[i][1]);
        free(text);
    }
}
END_TEST

START_TEST(test_text__indent)
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    orr__text_indent(out, "a\n\x1b[2J\r\n\nlast", 15 - 3, "> ");
    orr__text_indent(out, "", 0, "> ");
    fclose(out);
    ck_assert_str_eq(text, "> a\n> \\x1b[2J\\x0d\n> \n> las\n");
    free(text);
}
END_TEST

START_TEST(test_text__amounts)
{
    char buffer[ORR__AMOUNT_MAX];
    ck_assert_str_eq(orr__text_count(buffer, 0), "0");
    ck_assert_str_eq(orr__text_count(buffer, 999), "999");
    ck_assert_str_eq(orr__text_count(buffer, 1000), "1.00 k");
    ck_assert_str_eq(orr__text_count(buffer, 1029), "1.02 k");
    ck_assert_str_eq(orr__text_count(buffer, 34567), "34.5 k");
    ck_assert_str_eq(orr__text_count(buffer, 999999), "999 k");
    ck_assert_str_eq(orr__text_count(buffer, UINT64_MAX), "18.4 E");
    ck_assert_str_eq(orr__text_time(buffer, 0), "0 ms");
    ck_assert_str_eq(orr__text_time(buffer, 250 * ORR_MILLISECOND), "250 ms");
    ck_assert_str_eq(orr__text_time(buffer, 30 * ORR_SECOND), "30 s");
    ck_assert_str_eq(orr__text_time(buffer, 3456 * ORR_MILLISECOND), "3.45 s");
    ck_assert_str_eq(orr__text_time(buffer, 61 * ORR_SECOND), "1 min 1 s");
    ck_assert_str_eq(orr__text_time(buffer, 150 * ORR_MINUTE), "2 h 30 min");
    ck_assert_str_eq(orr__text_time(buffer, UINT64_MAX), "213503 days 23 h");
    ck_assert_uint_eq(orr__per_second(500, ORR_SECOND / 2), 1000);
    ck_assert_uint_eq(orr__per_second(500, 0), 0);
}
END_TEST

/* ---- capture.c ------------------------------------------------------------------------------- */

static struct orr__capture capture;
static char output[ORR__OUTPUT_MAX];

static void add(const char *text)
{
    orr__capture_add(&capture, text, strlen(text));
}

static void expect_tail(const char *text)
{
    uint32_t length = orr__capture_tail(&capture, output);
    ck_assert_uint_eq(length, strlen(text));
    ck_assert_mem_eq(output, text, length);
}

START_TEST(test_capture__short_output_whole)
{
    orr__capture_clear(&capture);
    expect_tail("");
    add("one\ntwo");
    add(" and a half\n");
    expect_tail("one\ntwo and a half\n");
}
END_TEST

/* The tail of any amount, given in pieces of any size, begins at a line and is the end of the
 * whole. */
START_TEST(test_capture__tail_of_any_pieces)
{
    static char whole[5 * ORR__OUTPUT_MAX];
    size_t length = 0;
    for (uint32_t line = 0; length + 64 < sizeof whole; line++)
        length += (size_t)snprintf(whole + length, sizeof whole - length, "%u %.*s\n",
                                   (unsigned)line, (int)(line % 40), "abcdefghijklmnopqrstuvwxyz");
    orr__capture_clear(&capture);
    for (size_t at = 0, piece = 1; at < length; piece = piece * 7 % 9001 + 1) {
        size_t part = piece < length - at ? piece : length - at;
        orr__capture_add(&capture, whole + at, part);
        at += part;
        uint32_t kept = orr__capture_tail(&capture, output);
        ck_assert_uint_le(kept, at);
        ck_assert_mem_eq(output, whole + at - kept, kept);
        if (kept < at)
            ck_assert_int_eq(whole[at - kept - 1], '\n');
        ck_assert_uint_ge(kept + 64, at < ORR__OUTPUT_MAX ? at : ORR__OUTPUT_MAX);
    }
}
END_TEST

START_TEST(test_capture__one_endless_line)
{
    orr__capture_clear(&capture);
    for (uint32_t i = 0; i < 3 * ORR__OUTPUT_MAX; i++)
        add("x");
    ck_assert_uint_eq(orr__capture_tail(&capture, output), ORR__OUTPUT_MAX);
    orr__capture_end(&capture);
    ck_assert_str_eq(capture.fatal, "");
}
END_TEST

START_TEST(test_capture__lines_that_say_why)
{
    orr__capture_clear(&capture);
    add("orrery: first\nnot orrery: this\norr");
    add("ery: last");
    ck_assert_str_eq(capture.fatal, "orrery: first");
    add("\nx.c:3:4: runtime error: store to null pointer\nx.c:9:9: runtime error: later\n");
    add("SUMMARY: a user's own\nSUMMARY: AddressSanitizer: bad in f\n");
    add("SUMMARY: UndefinedBehaviorSanitizer: later\n");
    for (uint32_t i = 0; i < ORR__OUTPUT_MAX; i++)
        add("a flood\n");
    add("orrery: without a newline");
    orr__capture_end(&capture);
    ck_assert_str_eq(capture.fatal, "orrery: without a newline");
    ck_assert_str_eq(capture.runtime, "x.c:3:4: runtime error: store to null pointer");
    ck_assert_str_eq(capture.summary, "SUMMARY: AddressSanitizer: bad in f");
    orr__capture_clear(&capture);
    orr__capture_end(&capture);
    ck_assert_str_eq(capture.fatal, "");
    ck_assert_str_eq(capture.runtime, "");
    ck_assert_str_eq(capture.summary, "");
}
END_TEST

START_TEST(test_capture__long_lines_are_cut)
{
    orr__capture_clear(&capture);
    add("orrery: ");
    for (uint32_t i = 0; i < 1000; i++)
        add("y");
    add("\n");
    ck_assert_uint_eq(strlen(capture.fatal), ORR__LINE_MAX - 1);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("parts");
    tcase_add_test(tests, test_parse__durations);
    tcase_add_test(tests, test_parse__numbers);
    tcase_add_test(tests, test_text__distance);
    tcase_add_test(tests, test_text__nearest);
    tcase_add_test(tests, test_text__quote);
    tcase_add_test(tests, test_text__indent);
    tcase_add_test(tests, test_text__amounts);
    tcase_add_test(tests, test_capture__short_output_whole);
    tcase_add_test(tests, test_capture__tail_of_any_pieces);
    tcase_add_test(tests, test_capture__one_endless_line);
    tcase_add_test(tests, test_capture__lines_that_say_why);
    tcase_add_test(tests, test_capture__long_lines_are_cut);
    return suite_run("parts", tests);
}

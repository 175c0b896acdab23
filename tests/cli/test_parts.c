/*
 * test_parts.c: the parts of sim/campaign/ that need no process: numbers, amounts, names alike,
 * quoting, what is kept of a program's output, groups of failures, sums, lines of replay files,
 * where two runs part.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "tests/suite.h"

#include "sim/campaign/campaign.h"
#include "sim/recorder.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

/* ---- frame.c and group.c --------------------------------------------------------------------- */

START_TEST(test_frame__of_the_program)
{
    static const struct {
        const char *line;
        const char *text; /* NULL = no frame of the program */
    } cases[] = {
        {"    #1 0x55d0c0de in store /home/me/kv/store.c:120:9", "store store.c:120:9"},
        {"#12 0x1 in f x.c:3", "f x.c:3"},
        {"    #0 0x55d0c0de in ns::f(int, char) /a/b.cc:3", "ns::f(int, char) b.cc:3"},
        {"    #1 0x55d0beef  (/home/me/kv+0x4beef) (BuildId: 1f2e)", "kv+0x4beef"},
        {"    #1 0x55d0beef in g (/home/me/kv+0x4beef)", "g kv+0x4beef"},
        {"    #0 0x7f in __interceptor_malloc ../../src/libsanitizer/asan/asan_malloc.cpp:69",
         NULL},
        {"    #0 0x7f in __interceptor_malloc (/home/me/kv+0x4beef)", NULL},
        {"    #0 0x7f in malloc (/home/me/kv+0x4beef)", NULL},
        {"    #0 0x7f in memcpy ../../src/libsanitizer/common.inc:827", NULL},
        {"    #0 0x7f in operator new(unsigned long) (/home/me/kv+0x4beef)", NULL},
        {"    #0 0x7f  (/lib/x86_64-linux-gnu/libasan.so.8+0xb4)", NULL},
        {"#define f 0x12 in g x.c:3", NULL},
        {"    #1 is the best", NULL},
        {"    #", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[ORR__LINE_MAX] = "untouched";
        bool read = orr__frame_read(cases[i].line, text);
        ck_assert_msg(read == (cases[i].text != NULL), "%s", cases[i].line);
        ck_assert_str_eq(text, read ? cases[i].text : "untouched");
    }
}
END_TEST

/* The name of the group of a seed that printed this. */
static const char *group_of(enum orr__cause cause, const char *check, const char *printed)
{
    static struct orr__child child;
    static struct orr__result result;
    static struct orr__slot slot;
    child.slot = &slot;
    result.cause = cause;
    snprintf(result.outcome.check, sizeof result.outcome.check, "%s", check);
    orr__capture_clear(&child.capture);
    orr__capture_add(&child.capture, printed, strlen(printed));
    orr__capture_end(&child.capture);
    orr__group_name(&child, &result);
    return result.group;
}

START_TEST(test_group__names)
{
    ck_assert_str_eq(group_of(ORR__CAUSE_CHECK, "it holds", "orrery: it holds not"), "it holds");
    ck_assert_str_eq(group_of(ORR__CAUSE_SANITIZER, "any",
                              "    #0 0x1 in shown x.c:1\n"
                              "==7==ERROR: AddressSanitizer: heap-use-after-free on 0x60 at 0x5\n"
                              "READ of size 4 at 0x602000000010 thread T0\n"
                              "    #0 0x1 in __interceptor_memcpy (/kv+0x1)\n"
                              "    #1 0x2 in copy /home/me/copy.c:12:5\n"
                              "    #2 0x3 in main /home/me/main.c:1\n"
                              "SUMMARY: AddressSanitizer: heap-use-after-free (/kv+0x1) in x\n"),
                     "AddressSanitizer: heap-use-after-free in copy copy.c:12:5");
    ck_assert_str_eq(group_of(ORR__CAUSE_SANITIZER, "any",
                              "SUMMARY: ThreadSanitizer: data race /home/me/x.c:3:4 in f\n"),
                     "ThreadSanitizer: data race /home/me/x.c:3:4 in f");
    ck_assert_str_eq(group_of(ORR__CAUSE_LEAK, "any",
                              "==7==ERROR: LeakSanitizer: detected memory leaks\n"
                              "    #0 0x1 in malloc (/kv+0x1)\n    #1 0x2 in keep /me/x.c:9:1\n"
                              "SUMMARY: AddressSanitizer: 100 byte(s) leaked in 1 allocation\n"),
                     "leak from keep x.c:9:1");
    ck_assert_str_eq(group_of(ORR__CAUSE_LEAK, "any",
                              "SUMMARY: LeakSanitizer: 9 byte(s) leaked in 1 allocation\n"),
                     "leak");
    ck_assert_str_eq(
        group_of(ORR__CAUSE_SANITIZER, "any",
                 "/me/x.c:3:4: runtime error: index 12 is out of 'int [10]', 0x7fA0 is "
                 "misaligned\n"
                 "SUMMARY: UndefinedBehaviorSanitizer: undefined-behavior /me/x.c\n"),
        "runtime error: index # is out of 'int [#]', # is misaligned at x.c:3:4");
    ck_assert_str_eq(group_of(ORR__CAUSE_CRASH, "crash: SIGABRT",
                              "kv: store.c:9: put: Assertion `size > 0' failed.\n"),
                     "crash: SIGABRT: kv: store.c:9: put: Assertion `size > 0' failed.");
    ck_assert_str_eq(group_of(ORR__CAUSE_CRASH, "crash: SIGABRT", "no words"), "crash: SIGABRT");
    ck_assert_str_eq(group_of(ORR__CAUSE_EXIT, "the program called exit(3)", ""),
                     "the program called exit(3)");
}
END_TEST

START_TEST(test_group__causes_have_names)
{
    for (uint32_t cause = 0; cause < ORR__CAUSE_COUNT; cause++)
        ck_assert_uint_eq(orr__cause_find(orr__cause_name((enum orr__cause)cause)), cause);
    ck_assert_uint_eq(orr__cause_find("luck"), ORR__CAUSE_COUNT);
    ck_assert_uint_eq(orr__cause_find(""), ORR__CAUSE_COUNT);
}
END_TEST

/* ---- totals.c -------------------------------------------------------------------------------- */

static struct orr__totals totals;
static struct orr__result result;

/* Groups beyond the last are counted together, and those that are known go on. */
START_TEST(test_totals__groups_are_bounded)
{
    memset(&totals, 0, sizeof totals);
    result.outcome.failed = true;
    for (uint32_t i = 0; i < 3 * (ORR__GROUPS_MAX + 5); i++) {
        uint32_t cause = i % (ORR__GROUPS_MAX + 5);
        result.outcome.seed = i;
        result.cause = (enum orr__cause)(cause % 2);
        snprintf(result.group, sizeof result.group, "cause %u", (unsigned)cause / 2);
        uint32_t group = orr__totals_add(&totals, &result);
        ck_assert_uint_eq(group, i < ORR__GROUPS_MAX ? i : ORR__GROUPS_MAX);
    }
    ck_assert_uint_eq(totals.group_count, ORR__GROUPS_MAX);
    ck_assert_uint_eq(totals.ungrouped, 15);
    for (uint32_t i = 0; i < ORR__GROUPS_MAX; i++) {
        ck_assert_uint_eq(totals.groups[i].failures, 3);
        ck_assert_uint_eq(totals.groups[i].seed, i);
    }
}
END_TEST

static void add_seed_with(uint32_t families)
{
    memset(&result, 0, sizeof result);
    for (uint32_t i = 0; i < ORR_FAMILY_COUNT; i++)
        result.outcome.faults_by_family[i] = families >> i & 1 ? 2 : 0;
    ck_assert_uint_eq(orr__totals_add(&totals, &result), ORR__GROUPS_MAX);
}

START_TEST(test_totals__pairs)
{
    memset(&totals, 0, sizeof totals);
    ck_assert_uint_eq(orr__totals_pairs(&totals).possible, 0);
    add_seed_with(0);
    add_seed_with(1);
    ck_assert_uint_eq(orr__totals_pairs(&totals).families, 1);
    ck_assert_uint_eq(orr__totals_pairs(&totals).possible, 0);
    add_seed_with(1 | 4);
    add_seed_with(4 | 2);
    add_seed_with(4 | 2);
    add_seed_with(8);
    struct orr__pairs pairs = orr__totals_pairs(&totals);
    ck_assert_uint_eq(pairs.families, 4);
    ck_assert_uint_eq(pairs.possible, 6);
    ck_assert_uint_eq(pairs.struck, 2);
    ck_assert_uint_eq(totals.seeds_by_pair[1][2], 2);
    ck_assert_uint_eq(totals.seeds_by_pair[2][2], 3);
    ck_assert_uint_eq(totals.faults_by_family[2], 6);
}
END_TEST

START_TEST(test_totals__seeds_of_shards)
{
    struct orr__command command = {.seed_first = 10, .seed_last = 16, .shard_count = 3};
    for (command.shard = 0; command.shard < 3; command.shard++) {
        uint64_t count = 0;
        for (; orr__seed_exists(&command, count); count++)
            ck_assert_uint_eq(orr__seed_at(&command, count), 10 + command.shard + 3 * count);
        ck_assert_uint_eq(count, command.shard == 0 ? 3 : 2);
    }
    command = (struct orr__command){.seed_last = UINT64_MAX, .shard_count = 1};
    ck_assert(orr__seed_exists(&command, UINT64_MAX));
    command = (struct orr__command){.seed_last = 1, .shard = 2, .shard_count = 3};
    ck_assert(!orr__seed_exists(&command, 0));
}
END_TEST

/* ---- faults.c -------------------------------------------------------------------------------- */

START_TEST(test_faults__lines)
{
    static const struct {
        const char *name;
        const char *text;
        const char *comment;
    } cases[] = {
        {"a/fsync#3", "a/fsync#3 = EIO", "1 ms: EIO"},
        {"a->b/segment#1", "a->b/segment#1  +=\t40ms", NULL},
        {"a crash @ after fsync#9", "a crash @ after fsync#9", ""},
        {"a kill @ 12ms", "a kill @ 12ms", "x"},
        {"c/recv#0", "c/recv#0 = nothing", NULL},
    };
    const char *at = "check = is no fault\nscenario s\n# a = b\n\nseed 1\nonly\n"
                     "a/fsync#3 = EIO  # 1 ms: EIO\n  a->b/segment#1  +=\t40ms \n"
                     "a crash @ after fsync#9 #\na kill @ 12ms #x\nc/recv#0 = nothing";
    struct orr__fault_line line;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert(orr__fault_line_next(&at, &line));
        ck_assert_uint_eq(line.text_length, strlen(cases[i].text));
        ck_assert_int_eq(memcmp(line.text, cases[i].text, line.text_length), 0);
        ck_assert(orr__fault_line_is(&line, cases[i].name));
        ck_assert(!orr__fault_line_is(&line, "a/fsync#31"));
        ck_assert(!orr__fault_line_is(&line, "a/fsync#"));
        ck_assert_int_eq(line.comment != NULL, cases[i].comment != NULL);
        if (cases[i].comment != NULL) {
            ck_assert_uint_eq(line.comment_length, strlen(cases[i].comment));
            ck_assert_int_eq(memcmp(line.comment, cases[i].comment, line.comment_length), 0);
        }
        ck_assert_int_eq(line.is_appointment, strchr(cases[i].name, '@') != NULL);
    }
    ck_assert(!orr__fault_line_next(&at, &line));
    ck_assert_str_eq(at, "");
}
END_TEST

START_TEST(test_faults__without)
{
    static const char text[] = "seed 1\na/fsync#3 = EIO\na/fsync#31 = EIO\na/fsync#3 += 1ms\n"
                               "a crash @ after  fsync#3 # so";
    char *without = orr__faults_without(text, "a/fsync#3");
    ck_assert_str_eq(without, "seed 1\na/fsync#31 = EIO\na crash @ after  fsync#3 # so\n"
                              "a/fsync#3 = nothing\n");
    munmap(without, strlen(text) + 1);
    without = orr__faults_without(text, "a crash @ after fsync#3");
    ck_assert_str_eq(without, "seed 1\na/fsync#3 = EIO\na/fsync#31 = EIO\na/fsync#3 += 1ms\n");
    munmap(without, strlen(text) + 1);
}
END_TEST

/* ---- parting.c ------------------------------------------------------------------------------- */

/* "TIME WHO TEXT|..." as the lines of a run's events; a text that begins with '!' is a fault's. */
static char *events_of(const char *short_form)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    while (*short_form != '\0') {
        int time;
        char who[16];
        char what[64];
        ck_assert_int_eq(sscanf(short_form, "%d %15s %63[^|]", &time, who, what), 3);
        fprintf(out, "%d\t%d\t%s\t%s\n",
                what[0] == '!'                     ? ORR__RECORD_FAULT
                : strstr(what, " dropped") != NULL ? ORR__RECORD_DROP
                                                   : ORR__RECORD_TEXT,
                time, who, what + (what[0] == '!'));
        short_form += strcspn(short_form, "|");
        short_form += *short_form == '|';
    }
    fclose(out);
    return text;
}

static void find_parting(const char *with, const char *without, struct orr__parting *parting)
{
    char *one = events_of(with);
    char *two = events_of(without);
    orr__parting_find(one, two, "x#1 ", parting);
    free(one);
    free(two);
}

/* "1<a 2>b": the moments in order, '<' of the run with the fault, each with its time. */
static void expect_moments(const struct orr__parting *parting, const char *expected)
{
    char text[1024] = "";
    for (uint32_t i = 0; i < parting->moment_count; i++) {
        const struct orr__moment *moment = &parting->moments[i];
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%d%s%s", i > 0 ? " " : "",
                 (int)moment->time_ns, moment->is_without ? ">" : "<", moment->text);
    }
    ck_assert_str_eq(text, expected);
}

START_TEST(test_parting__the_mark_is_no_event)
{
    struct orr__parting parting;
    find_parting("1 n a|2 !f !x#1 EIO|2 n b|3 n c", "1 n a|2 n b|3 n c", &parting);
    ck_assert(!parting.part);
    ck_assert(parting.strikes);
    ck_assert_uint_eq(parting.strikes_ns, 2);
    ck_assert_uint_eq(parting.common, 3);
    /* Any other fault is one, also one whose name begins so. */
    find_parting("1 n a|2 !f !x#11 EIO|2 n b", "1 n a|2 n b", &parting);
    ck_assert(parting.part);
    ck_assert(!parting.strikes);
    ck_assert_uint_eq(parting.common, 1);
    expect_moments(&parting, "2<x#11 EIO");
    /* Where it strikes last before they part it is told. */
    find_parting("1 n a|2 !f !x#1 EIO|2 n b", "1 n a|2 n c", &parting);
    expect_moments(&parting, "2<x#1 EIO 2<b 2>c");
    ck_assert_uint_eq(parting.last_count, 1);
    ck_assert_str_eq(parting.last[0].text, "a");
}
END_TEST

START_TEST(test_parting__by_time)
{
    struct orr__parting parting;
    find_parting("1 n a|5 n b|9 n c", "1 n a|2 n d|5 n b|7 n e|9 n c", &parting);
    expect_moments(&parting, "2>d 7>e");
    ck_assert_uint_eq(parting.moments[1].skipped_both, 1);
    /* At one time: what the other run has, too, is waited for, on either side. */
    find_parting("1 n x|1 n y|1 n z", "1 n y|1 n z", &parting);
    expect_moments(&parting, "1<x");
    find_parting("1 n y|1 n z", "1 n x|1 n y|1 n z", &parting);
    expect_moments(&parting, "1>x");
    find_parting("1 n p|1 n q|1 n r", "1 n s|1 n t|1 n r", &parting);
    expect_moments(&parting, "1<p 1>s 1<q 1>t");
    find_parting("", "1 n a", &parting);
    ck_assert_uint_eq(parting.common, 0);
    expect_moments(&parting, "1>a");
}
END_TEST

START_TEST(test_parting__a_few_of_each_side)
{
    struct orr__parting parting;
    find_parting(
        "1 n a|2 n b|3 n c|4 n d|5 n e|9 n A|9 n B",
        "1 n a|2 n b|3 n c|4 n d|5 n e|6 n 1|6 n 2|6 n 3|6 n 4|6 n 5|6 n 6|6 n 7|6 n 8|9 n B",
        &parting);
    ck_assert_uint_eq(parting.common, 5);
    ck_assert_uint_eq(parting.last_count, ORR__PARTING_LAST);
    ck_assert_str_eq(parting.last[0].text, "c");
    ck_assert_str_eq(parting.last[2].text, "e");
    expect_moments(&parting, "6>1 6>2 6>3 6>4 6>5 6>6 9<A");
    ck_assert_uint_eq(parting.moments[6].skipped_without, 2);
    ck_assert_uint_eq(parting.moments[6].skipped_with, 0);
}
END_TEST

START_TEST(test_parting__what_goes_with_a_process_is_one_moment)
{
    struct orr__parting parting;
    find_parting("1 n recv#1 on 3 dropped|1 n fsync#2 on 4 dropped|1 m recv#7 on 3 dropped|2 n a",
                 "2 n b", &parting);
    expect_moments(&parting, "1<dropped: recv#1 on 3, fsync#2 on 4 1<dropped: recv#7 on 3 2<a 2>b");
}
END_TEST

/* The last line of a program that died is no event. */
START_TEST(test_parting__a_line_that_was_cut_off)
{
    struct orr__parting parting;
    char cut[64];
    snprintf(cut, sizeof cut, "%d\t1\tn\ta\n%d\t2\tn\tb", ORR__RECORD_TEXT, ORR__RECORD_TEXT);
    char *whole = events_of("1 n a|2 n bb");
    orr__parting_find(cut, whole, "x#1 ", &parting);
    ck_assert_uint_eq(parting.common, 1);
    expect_moments(&parting, "2>bb");
    free(whole);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("parts");
    tcase_add_test(tests, test_frame__of_the_program);
    tcase_add_test(tests, test_group__names);
    tcase_add_test(tests, test_group__causes_have_names);
    tcase_add_test(tests, test_totals__groups_are_bounded);
    tcase_add_test(tests, test_totals__pairs);
    tcase_add_test(tests, test_totals__seeds_of_shards);
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
    tcase_add_test(tests, test_faults__lines);
    tcase_add_test(tests, test_faults__without);
    tcase_add_test(tests, test_parting__the_mark_is_no_event);
    tcase_add_test(tests, test_parting__by_time);
    tcase_add_test(tests, test_parting__a_few_of_each_side);
    tcase_add_test(tests, test_parting__what_goes_with_a_process_is_one_moment);
    tcase_add_test(tests, test_parting__a_line_that_was_cut_off);
    return suite_run("parts", tests);
}

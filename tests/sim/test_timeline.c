/*
 * test_timeline.c: the text of a trace, from records made here: columns and their width, arrows
 * between them, what is wrapped and what is listed. What the world records is the command line's
 * test (cli/test_trace.c).
 */
#define _GNU_SOURCE 1 /* open_memstream */

#include "tests/suite.h"

#include "sim/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"server", "client-0", "client-1"};

static struct orr__timeline timeline;
static FILE *out;
static char *text;
static size_t text_size;

static void open_timeline(uint32_t width, bool is_fixed)
{
    out = open_memstream(&text, &text_size);
    ck_assert_ptr_nonnull(out);
    orr__timeline_open(&timeline, out, width, is_fixed);
}

static void teardown(void)
{
    fclose(out);
    free(text);
}

static void tell(struct orr__record record)
{
    record.time_ns = 1234567;
    record.who = record.node < 3 ? names[record.node] : "(scenario)";
    record.peer_name = record.peer < 3 ? names[record.peer] : NULL;
    timeline.recorder.record(&timeline.recorder, &record);
    fflush(out);
}

static void make_nodes(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        tell((struct orr__record){.kind = ORR__RECORD_NODE, .node = i});
        tell((struct orr__record){.kind = ORR__RECORD_BOOT, .node = i, .text = "boots (life 1)"});
    }
}

/* The lines from a number on, until `wanted` ends. */
static void expect_from(uint32_t line, const char *wanted)
{
    const char *at = text;
    for (; line > 0; line--) {
        at = strchr(at, '\n');
        ck_assert_ptr_nonnull(at);
        at++;
    }
    ck_assert_msg(strncmp(at, wanted, strlen(wanted)) == 0, "instead of\n%s\nthere is\n%s", wanted,
                  at);
}

static struct orr__record operation(enum orr__record_kind kind, uint32_t node, const char *op,
                                    uint64_t number)
{
    return (struct orr__record){.kind = kind,
                                .node = node,
                                .peer = ORR__NO_NODE,
                                .op = op,
                                .number = number,
                                .descriptor = 5,
                                .site = "kv.c:12"};
}

static struct orr__record message(enum orr__record_kind kind, uint32_t node, uint32_t peer)
{
    return (struct orr__record){
        .kind = kind, .node = node, .peer = peer, .number = 17, .bytes = 24, .descriptor = -1};
}

START_TEST(test_timeline__columns)
{
    open_timeline(18 + 3 * 24, true);
    make_nodes(3);
    tell(operation(ORR__RECORD_BEGIN, 1, "recv", 0));
    tell(message(ORR__RECORD_SEND, 0, 1));
    tell(message(ORR__RECORD_ARRIVE, 1, 0));
    tell(message(ORR__RECORD_ARRIVE, 2, 0));
    tell(message(ORR__RECORD_ARRIVE, 0, 2));
    struct orr__record end = operation(ORR__RECORD_END, 1, "recv", 0);
    end.result = 24;
    tell(end);
    expect_from(0, "     1.234567 ms  server             boots (life 1)\n"
                   "     1.234567 ms  client-0           boots (life 1)\n"
                   "     1.234567 ms  client-1           boots (life 1)\n"
                   "                  server                  client-0                client-1\n");
    expect_from(
        4, "     1.234567 ms  |                       | recv#0 on 5 ...       |\n"
           "     1.234567 ms  | #17 > client-0, 24 bytes                      |\n"
           "     1.234567 ms  |---------------------->| #17, 24 bytes         |\n"
           "     1.234567 ms  |---------------------------------------------->| #17, 24 bytes\n"
           "     1.234567 ms  | #17, 24 bytes <-------------------------------|\n"
           "     1.234567 ms  |                       | recv#0 on 5 = 24  (kv.c:12)\n");
}
END_TEST

START_TEST(test_timeline__messages)
{
    open_timeline(18 + 3 * 24, true);
    make_nodes(3);
    struct orr__record datagram = message(ORR__RECORD_SEND, 1, 0);
    datagram.is_datagram = true;
    tell(datagram);
    struct orr__record lost = message(ORR__RECORD_LOSE, 0, 1);
    lost.text = "the link is cut";
    tell(lost);
    tell(message(ORR__RECORD_ARRIVE, 1, 1));
    struct orr__record syn = message(ORR__RECORD_SEND, 0, 2);
    syn.text = "SYN";
    tell(syn);
    /* Where there is no room for an arrow, the sender's name stands there. */
    struct orr__record wide = message(ORR__RECORD_ARRIVE, 0, 1);
    wide.is_datagram = true;
    wide.number = 1234567;
    tell(wide);
    expect_from(4, "     1.234567 ms  |                       | datagram#17 > server, 24 bytes\n"
                   "     1.234567 ms  | #17 > client-0 lost: the link is cut          |\n"
                   "     1.234567 ms  |                       | itself > #17, 24 bytes\n"
                   "     1.234567 ms  | #17 > client-1, SYN   |                       |\n"
                   "     1.234567 ms  | datagram#1234567, 24 bytes < client-0         |\n");
}
END_TEST

START_TEST(test_timeline__lives_and_faults)
{
    open_timeline(18 + 3 * 24, true);
    make_nodes(3);
    tell(operation(ORR__RECORD_BEGIN, 0, "fsync", 3));
    struct orr__record fault = {.kind = ORR__RECORD_FAULT,
                                .node = 1,
                                .family = ORR_FAMILY_DISK_ERROR,
                                .subject = "client-0/fsync",
                                .number = 3,
                                .text = "EIO"};
    tell(fault);
    fault = (struct orr__record){.kind = ORR__RECORD_FAULT,
                                 .node = 0,
                                 .family = ORR_FAMILY_POWER_LOSS,
                                 .subject = "server/power",
                                 .number = 1,
                                 .text = "loses power"};
    tell(fault);
    tell(operation(ORR__RECORD_DROP, 0, "fsync", 3));
    struct orr__record failed = operation(ORR__RECORD_END, 1, "fsync", 3);
    failed.result = -EIO;
    failed.site = NULL;
    tell(failed);
    tell((struct orr__record){.kind = ORR__RECORD_BOOT, .node = 0, .text = "boots (life 2)"});
    tell(
        (struct orr__record){.kind = ORR__RECORD_TEXT, .node = ORR__NO_NODE, .text = "so it goes"});
    tell((struct orr__record){
        .kind = ORR__RECORD_FAILED, .node = ORR__NO_NODE, .text = "all is well"});
    expect_from(4, "     1.234567 ms  | fsync#3 on 5 ...      |                       |\n"
                   "     1.234567 ms  |                       | ! disk-error client-0/fsync#3 EIO\n"
                   "     1.234567 ms  x ! power-loss server/power#1 loses power       |\n"
                   "     1.234567 ms    fsync#3 on 5 dropped  |                       |\n"
                   "     1.234567 ms                          | fsync#3 on 5 = -EIO   |\n"
                   "     1.234567 ms  | server boots (life 2) |                       |\n"
                   "     1.234567 ms  (scenario) so it goes   |                       |\n"
                   "     1.234567 ms  ! failed all is well    |                       |\n");
}
END_TEST

/* What is too long for the rest of the line goes on below, cut between words. */
START_TEST(test_timeline__is_never_wider_than_the_terminal)
{
    for (uint32_t width = 1; width <= 200; width++) {
        open_timeline(width, true);
        make_nodes(3);
        struct orr__record end = operation(ORR__RECORD_END, 2, "recv", 123456789);
        end.site = "a/rather/long/path/to/a/file_with_a_long_name.c:1234";
        tell(end);
        struct orr__record note = {.kind = ORR__RECORD_TEXT, .node = 2};
        note.text = "words and wordsandmorewordswithoutanyspacethatgoonandon and an end of it";
        tell(note);
        for (const char *line = text; *line != '\0' && width >= 18 + 3 * 20;
             line += strcspn(line, "\n") + 1)
            ck_assert_msg(strcspn(line, "\n") <= width, "%u: %s", width, text);
        ck_assert_ptr_nonnull(strstr(text, "and"));
        teardown();
    }
    open_timeline(18 + 3 * 20, true);
    make_nodes(3);
    struct orr__record end = operation(ORR__RECORD_END, 2, "recv", 0);
    end.site = "examples/kv.c:12";
    tell(end);
    expect_from(4,
                "     1.234567 ms  |                   |                   | recv#0 on 5 = 0\n"
                "                  |                   |                   | (examples/kv.c:12)\n");
}
END_TEST

START_TEST(test_timeline__a_list_where_columns_do_not_fit)
{
    open_timeline(18 + 3 * 20 - 1, true);
    make_nodes(3);
    tell(message(ORR__RECORD_SEND, 0, 1));
    tell(message(ORR__RECORD_ARRIVE, 1, 0));
    expect_from(3, "     1.234567 ms  server             #17 > client-0, 24 bytes\n"
                   "     1.234567 ms  client-0           server > #17, 24 bytes\n");
    teardown();
    open_timeline(0, false); /* wanted as a list */
    make_nodes(1);
    tell(operation(ORR__RECORD_BEGIN, 0, "recv", 0));
    expect_from(1, "     1.234567 ms  server             recv#0 on 5 ...\n");
    teardown();
    open_timeline(20, false); /* no terminal: as wide as it must be */
    make_nodes(3);
    tell(operation(ORR__RECORD_BEGIN, 2, "recv", 0));
    expect_from(4, "     1.234567 ms  |                   |                   | recv#0 on 5 ...\n");
    teardown();
    open_timeline(18 + 2 * 44, true); /* more nodes than columns */
    make_nodes(ORR__COLUMNS_MAX);
    tell(operation(ORR__RECORD_BEGIN, 0, "recv", 0));
    ck_assert_ptr_null(strstr(text, "|"));
}
END_TEST

/* Nodes that come later make columns narrower, and the names are told again; also after a while. */
START_TEST(test_timeline__names_are_told_again)
{
    static const char title[] = "                  server";
    open_timeline(18 + 3 * 24, true);
    make_nodes(2);
    for (uint32_t i = 0; i < 41; i++)
        tell(operation(ORR__RECORD_BEGIN, 0, "recv", i));
    expect_from(2, title);
    expect_from(43, title);
    tell((struct orr__record){.kind = ORR__RECORD_NODE, .node = 2});
    tell((struct orr__record){.kind = ORR__RECORD_BOOT, .node = 2, .text = "boots (life 1)"});
    tell(operation(ORR__RECORD_BEGIN, 0, "recv", 41));
    expect_from(45, "     1.234567 ms  client-1           boots (life 1)\n"
                    "                  server                  client-0                client-1\n"
                    "     1.234567 ms  | recv#41 on 5 ...      |                       |\n");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("timeline");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, test_timeline__columns);
    tcase_add_test(tests, test_timeline__messages);
    tcase_add_test(tests, test_timeline__lives_and_faults);
    tcase_add_test(tests, test_timeline__is_never_wider_than_the_terminal);
    tcase_add_test(tests, test_timeline__a_list_where_columns_do_not_fit);
    tcase_add_test(tests, test_timeline__names_are_told_again);
    return suite_run("timeline", tests);
}

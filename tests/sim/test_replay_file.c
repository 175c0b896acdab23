/*
 * test_replay_file.c: what a replay file may say, what is refused, and that a fault is written as
 * the line that lets it strike.
 */
#define _POSIX_C_SOURCE 200809L /* fmemopen */

#include "sim/replay_file.h"
#include "sim/world.h"

#include "../suite.h"

#include <errno.h>
#include <string.h>

/* ---- lines ----------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *why;
} wrong[] = {
    {"fsync = EIO", "line 1: \"fsync\": a fault is named like server/fsync#3"},
    {"only\nserver/fsync#3x = EIO", "line 2: \"server/fsync#3x\""},
    {"server/fsync#3 =", "line 1: after \"=\" a fault is missing"},
    {"server/fsync#3 = EFOO", "line 1: \"EFOO\" is no fault"},
    {"server/fsync#3 = ENOENT", "line 1: fsync never ends with ENOENT"},
    {"server/foo#3 = EIO", "line 1: \"foo\" is no operation, so it cannot end with EIO"},
    {"server/memory#3 = EIO", "line 1: EIO: memory is refused with ENOMEM only"},
    {"server/fsync#3 += 40", "line 1: \"40\" is no time: write 40ms"},
    {"server/fsync#3 += 1.5ns", "line 1: \"1.5ns\" is no time"},
    {"server/recv#3 = short many", "line 1: \"many\" is no number"},
    {"server/recv#3 = short 5 6", "line 1: \"6\" is too much"},
    {"server/recv#3 = nothing 5", "line 1: \"5\" is too much"},
    {"a->b/segment#1 = reset 5", "line 1: \"5\": this fault has no size"},
    {"a/power#1 = power-loss 5", "line 1: \"5\": expected power-loss, or power-loss only"},
    {"server crash @", "line 1: expected server crash @ after OPERATION#N, or @ TIME"},
    {"server crash @ after fsync", "line 1: \"fsync\": expected an operation and its number"},
    {"server crash @ after foo#1", "line 1: no operation is called \"foo\""},
    {"server kill @ soon", "line 1: \"soon\" is no time"},
    {"server crash @ 5ms all",
     "line 1: expected server crash @ after OPERATION#N, or @ TIME; only"},
    {"server kill @ 5ms only", "line 1: expected server kill @ after OPERATION#N, or @ TIME"},
    {"server crash @ after fsync#1 only 2", "line 1: \"2\" is one word more than a line can have"},
    {"a-name-that-is-longer-than-any-node-can-have crash @ 1s", "line 1: "},
    {"seed 1\nseed 2", "line 2: a second seed: a file is one run"},
    {"seed -1", "line 1: \"-1\" is no seed"},
    {"seed", "line 1: expected seed and one word"},
    {"scenario a\nscenario b", "line 2: a second scenario"},
    {"parameter bug", "line 1: \"bug\": expected NAME=VALUE"},
    {"parameter =3", "line 1: \"=3\": expected NAME=VALUE"},
    {"hello", "line 1: \"hello\": expected scenario, parameter, seed"},
    {"a b c d e f g", "line 1: \"g\" is one word more than a line can have"},
    {"check ", "line 1: expected check and its text"},
    {"s/recv#1 = nothing\ns/recv#1 = short 5", "line 2: line 1 says otherwise of s/recv#1"},
    {"future x from 1ms", "line 1: \"future\": expected scenario, parameter, seed"},
    {"future 1 at 1ms", "line 1: expected future SEED from INSTANT"},
    {"future 99999999999999999999 from 1ms", "line 1: \"99999999999999999999\" is no seed"},
    {"future 1 from soon", "line 1: \"soon\" is not an instant, such as 12.5ms"},
    {"future 1 from event", "line 1: \"event\" is not an instant"},
    {"future 1 from event 1 2", "line 1: \"event 1 2\" is not an instant"},
    {"future 1 from after fsync", "line 1: \"after fsync\" is not an instant"},
    {"future 1 from sometimes", "line 1: \"sometimes\" is not an instant"},
    {"same", "line 1: same: as what?"},
    {"future 1 from 1ms\nsame\nonly", "line 3: same, and something else"},
    {"future 1 from 1ms\nsame\ns/recv#1 = nothing", "line 3: same, and something else"},
    {"future 1 from 1ms\ns/recv#1 = nothing\nsame", "line 3: same, and something else"},
    {"future 1 from 1ms\ns/recv#1 = nothing\ns/recv#1 = short 5", "line 3: line 2 says otherwise"},
};

START_TEST(test_replay_file__refuses_what_is_wrong_with_its_line)
{
    char why[ORR__WHY_MAX] = "";
    ck_assert_ptr_null(orr__rulings_parse(wrong[_i].text, why));
    ck_assert_msg(strstr(why, wrong[_i].why) == why, "\"%s\": %s", wrong[_i].text, why);
}
END_TEST

START_TEST(test_replay_file__a_line_has_a_bound)
{
    char text[1024];
    char why[ORR__WHY_MAX] = "";
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    ck_assert_ptr_null(orr__rulings_parse(text, why));
    ck_assert_str_eq(why, "line 1: longer than 511 bytes");
}
END_TEST

START_TEST(test_replay_file__reads_the_head)
{
    static const char text[] = "# a comment\n"
                               "check  every # write survives\r\n"
                               "\tscenario kv   # another one\n"
                               "parameter bug=x\n"
                               "parameter clients=3\n"
                               "seed 18446744073709551615\n"
                               "only\n";
    struct orr__replay_head head = {.cells = NULL};
    char why[ORR__WHY_MAX] = "";
    ck_assert_msg(orr__replay_head_parse(text, &head, why), "%s", why);
    ck_assert_str_eq(head.check, "every # write survives");
    ck_assert_str_eq(head.scenario, "kv");
    ck_assert_uint_eq(head.seed, UINT64_MAX);
    ck_assert_uint_eq(head.parameter_count, 2);
    ck_assert_str_eq(head.parameters[1].name, "clients");
    ck_assert_str_eq(head.parameters[1].text, "clients=3");
}
END_TEST

/* ---- what a file decides --------------------------------------------------------------------- */

static struct orr_world *world_with(const char *text)
{
    char why[ORR__WHY_MAX] = "";
    struct orr_world *world = orr_world_create(1, NULL);
    struct orr__rulings *rulings = orr__rulings_parse(text, why);
    ck_assert_msg(rulings != NULL, "%s", why);
    orr__world_rule(world, rulings);
    return world;
}

static const struct {
    const char *text;
    struct orr__instant instant;
} instants[] = {
    {"12.5ms", {.kind = ORR__INSTANT_TIME, .number = 12500000}},
    {"event 812", {.kind = ORR__INSTANT_EVENT, .number = 812}},
    {"after server/fsync#9",
     {.kind = ORR__INSTANT_OPERATION, .number = 9, .op = ORR_OP_FSYNC, .name = "server"}},
    {"after server/power#1", {.kind = ORR__INSTANT_FAULT, .number = 1, .name = "server/power#1"}},
    {"after partition#3", {.kind = ORR__INSTANT_FAULT, .number = 3, .name = "partition#3"}},
    {"sometimes a reader is late", {.kind = ORR__INSTANT_SEEN, .name = "a reader is late"}},
};

START_TEST(test_replay_file__instants)
{
    struct orr__instant instant;
    const struct orr__instant *wanted = &instants[_i].instant;
    ck_assert(orr__instant_parse(instants[_i].text, &instant));
    ck_assert_int_eq(instant.kind, wanted->kind);
    ck_assert_uint_eq(instant.number, wanted->number);
    ck_assert_uint_eq(instant.op, wanted->op);
    ck_assert_str_eq(instant.name, wanted->name);
    ck_assert_str_eq(instant.text, instants[_i].text);
}
END_TEST

static struct orr__point point_of(enum orr__fault_kind kind, const char *part, uint64_t number)
{
    return (struct orr__point){.kind = kind,
                               .site = ORR__SITE_OP_ERROR,
                               .owner = "server",
                               .part = part,
                               .number = number,
                               .occurrence = number};
}

static bool strikes(struct orr_world *world, uint64_t number)
{
    const struct orr__point point = point_of(ORR__FAULT_ERROR, "fsync", number);
    return orr__strikes(world, &point);
}

static uint64_t draw(struct orr_world *world)
{
    return orr__draw(world, ORR__SITE_RANDOM, 1, 2);
}

/* Each section rules its part of the run, and its seed answers. */
START_TEST(test_replay_file__sections)
{
    struct orr_world *world = world_with("only\nserver/fsync#3 = EIO\n"
                                         "future 7 from 1ms  # a comment\nsame\n"
                                         "future 8 from 2ms\nonly\nserver/fsync#4 = EIO\n"
                                         "future 1 from 3ms\n");
    uint64_t first = draw(world);
    orr_world_set_rate(world, ORR_FAMILY_DISK_ERROR, 1000000);
    ck_assert(strikes(world, 3) && !strikes(world, 4) && !strikes(world, 5));
    orr_world_run_for(world, ORR_MILLISECOND - 1);
    ck_assert_uint_eq(draw(world), first);
    orr_world_run_for(world, 1);
    uint64_t second = draw(world);
    ck_assert_uint_ne(second, first);
    ck_assert(strikes(world, 3) && !strikes(world, 4) && !strikes(world, 5));
    orr_world_run_for(world, ORR_MILLISECOND);
    ck_assert_uint_ne(draw(world), second);
    ck_assert_uint_eq(orr_world_seed(world), 1);
    ck_assert(!strikes(world, 3) && strikes(world, 4) && !strikes(world, 5));
    orr_world_run_for(world, ORR_MILLISECOND);
    ck_assert_uint_eq(draw(world), first); /* the seed that it began with */
    ck_assert(strikes(world, 3) && strikes(world, 4) && strikes(world, 5));
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_replay_file__what_it_names_strikes_whatever_the_seed_says)
{
    struct orr_world *world = world_with("server/fsync#3 = EIO\nserver/fsync#4 = nothing\n");
    struct orr__point fsync = point_of(ORR__FAULT_ERROR, "fsync", 3);
    ck_assert(orr__strikes(world, &fsync));
    fsync.number = 2;
    ck_assert(!orr__strikes(world, &fsync)); /* the family is off in this seed */
    orr_world_set_rate(world, ORR_FAMILY_DISK_ERROR, 1000000);
    ck_assert(orr__strikes(world, &fsync));
    fsync.number = 4;
    ck_assert(!orr__strikes(world, &fsync));
    ck_assert(!orr__happens(world, &fsync));
    fsync.number = 3;
    fsync.kind = ORR__FAULT_LONGER;
    ck_assert(!orr__strikes(world, &fsync)); /* another fault of the same operation */
    orr_world_heal(world);
    fsync.kind = ORR__FAULT_ERROR;
    ck_assert(!orr__strikes(world, &fsync));
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_replay_file__only_lets_nothing_else_strike)
{
    struct orr_world *world = world_with("only\nserver/fsync#3 = EIO\n");
    struct orr__point fsync = point_of(ORR__FAULT_ERROR, "fsync", 3);
    struct orr__point crash = point_of(ORR__FAULT_POWER, "crash", 1);
    orr_world_set_rate(world, ORR_FAMILY_DISK_ERROR, 1000000);
    ck_assert(orr__strikes(world, &fsync));
    fsync.number = 2;
    ck_assert(!orr__strikes(world, &fsync));
    ck_assert(!orr__happens(world, &crash));
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_replay_file__says_how_large_within_bounds)
{
    struct orr_world *world = world_with("server/recv#1 = short 7\nserver/recv#2 = short 700\n"
                                         "server/recv#3 = short\nserver/send#1 += 1.5s\n"
                                         "server/recv#1 = short 9\n");
    struct orr__point recv = point_of(ORR__FAULT_SHORT, "recv", 1);
    struct orr__point send = point_of(ORR__FAULT_LONGER, "send", 1);
    ck_assert_uint_eq(orr__extent(world, &recv, 50, 1, 99), 7); /* the point comes up twice, ... */
    ck_assert_uint_eq(orr__extent(world, &recv, 50, 1, 99), 9); /* ... then goes on */
    ck_assert_uint_eq(orr__extent(world, &recv, 50, 1, 99), 9);
    recv.number = 2;
    ck_assert_uint_eq(orr__extent(world, &recv, 50, 1, 99), 99);
    recv.number = 3;
    ck_assert_uint_eq(orr__extent(world, &recv, 50, 1, 99), 50);
    ck_assert_uint_eq(orr__extent(world, &send, 0, 0, 10 * ORR_SECOND), 1500 * ORR_MILLISECOND);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_replay_file__a_fault_is_written_as_the_line_that_lets_it_strike)
{
    enum orr__fault_kind kind = (enum orr__fault_kind)_i;
    bool is_memory = kind == ORR__FAULT_MEMORY;
    const struct orr__point point = point_of(kind, is_memory ? "memory" : "write", 7);
    uint64_t size = 1;
    if (orr__fault_unit(kind) == ORR__UNIT_ERROR)
        size = kind == ORR__FAULT_FULL      ? ENOSPC
               : kind == ORR__FAULT_HANDLES ? EMFILE
               : is_memory                  ? ENOMEM
                                            : EIO;
    struct orr__point opens = point;
    if (kind == ORR__FAULT_HANDLES)
        opens.part = "open";
    char text[200];
    FILE *out = fmemopen(text, sizeof text, "w");
    orr__fault_write(out, &opens, size);
    ck_assert_int_eq(fclose(out), 0);
    struct orr_world *world = world_with(text);
    ck_assert(orr__strikes(world, &opens));
    uint64_t unit_high = orr__fault_unit(kind) == ORR__UNIT_NONE ? 1 : 200;
    ck_assert_uint_eq(orr__extent(world, &opens, size, 0, unit_high), size);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_replay_file__tells_what_did_not_come_up)
{
    struct orr_world *world = world_with("server/fsync#3 = EIO\n\nserver/fsync#4 = nothing\n"
                                         "server crash @ after fsync#9\n");
    struct orr__point fsync = point_of(ORR__FAULT_ERROR, "fsync", 4);
    char text[400] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    ck_assert(!orr__strikes(world, &fsync));
    orr__rulings_tell_unused(world->rulings, out);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_str_eq(text, "unused: line 1: server/fsync#3 did not come up in this run\n"
                           "unused: line 4: server did not come up in this run\n");
    orr_world_destroy(world);
}
END_TEST

/* ---- appointments ---------------------------------------------------------------------------- */

struct writer {
    struct orr_loop *loop;
    struct orr_completion completion;
    orr_handle file;
    uint32_t syncs;
};

static void on_sync(void *context, struct orr_completion *completion, int64_t result)
{
    struct writer *writer = context;
    (void)result;
    writer->syncs++;
    orr_fsync(writer->loop, completion, writer->file, on_sync, writer);
}

static void on_open(void *context, struct orr_completion *completion, int64_t result)
{
    struct writer *writer = context;
    writer->file = result;
    orr_fsync(writer->loop, completion, writer->file, on_sync, writer);
}

static void *boot(struct orr_loop *loop, void *config)
{
    struct writer *writer = config;
    writer->loop = loop;
    orr_open(loop, &writer->completion, ORR_DIRECTORY_CURRENT, "file",
             ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0600, on_open, writer);
    return writer;
}

static const struct orr_program program = {.boot = boot};

START_TEST(test_replay_file__a_node_crashes_after_an_operation)
{
    struct orr_world *world = world_with("only\nserver crash @ after fsync#2\n");
    struct writer writer = {.syncs = 0};
    struct orr_node *node = orr_node_create(world, "server", &program, &writer);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert(!orr_node_is_up(node));
    ck_assert_uint_eq(writer.syncs, 2); /* #0 and #1: of #2 the program does not hear */
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_replay_file__a_node_is_killed_at_a_time)
{
    struct orr_world *world = world_with("server kill @ 12.5ms\n");
    struct writer writer = {.syncs = 0};
    struct orr_node *node = orr_node_create(world, "server", &program, &writer);
    orr_world_run_for(world, 12 * ORR_MILLISECOND);
    ck_assert(orr_node_is_up(node));
    orr_world_run_for(world, ORR_MILLISECOND);
    ck_assert(!orr_node_is_up(node));
    orr_world_destroy(world);
}
END_TEST

static const char *const ending[] = {
    "server crash @ after fsync#2\nserver kill @ 500ms\nfuture 7 from after server/fsync#1\n",
    "only\nfuture 7 from after server/fsync#1\nserver kill @ 500ms\n",
};

/* What the first section has appointed is off; what the second one has, is on. */
START_TEST(test_replay_file__appointments_end_with_their_section)
{
    struct orr_world *world = world_with(ending[_i]);
    struct writer writer = {.syncs = 0};
    struct orr_node *node = orr_node_create(world, "server", &program, &writer);
    orr_world_run_for(world, 499 * ORR_MILLISECOND);
    ck_assert(orr_node_is_up(node));
    ck_assert_uint_gt(writer.syncs, 3);
    orr_world_run_for(world, ORR_MILLISECOND);
    ck_assert_int_eq(orr_node_is_up(node), _i == 0);
    orr_world_destroy(world);
}
END_TEST

/* When the node first loses its power, with and without a future. */
static uint64_t power_lost_ns(const char *text)
{
    struct orr_world *world = world_with(text);
    struct writer writer = {.syncs = 0};
    orr_world_set_rate(world, ORR_FAMILY_POWER_LOSS, 1000);
    struct orr_node *node = orr_node_create(world, "server", &program, &writer);
    orr_node_allow_crashes(node, ORR_CRASH_POWER);
    while (orr_node_is_up(node))
        orr_world_run_for(world, ORR_MILLISECOND);
    uint64_t now_ns = orr_world_now(world);
    orr_world_destroy(world);
    return now_ns;
}

START_TEST(test_replay_file__what_chance_has_appointed_is_drawn_again)
{
    uint64_t fate_ns = power_lost_ns("");
    ck_assert_uint_eq(power_lost_ns("future 7 from 1ms\nsame\n"), fate_ns);
    ck_assert_uint_ne(power_lost_ns("future 7 from 1ms\n"), fate_ns);
    ck_assert_uint_ne(power_lost_ns("future 7 from 1ms\n"), power_lost_ns("future 8 from 1ms\n"));
    ck_assert_uint_eq(power_lost_ns("future 7 from 1ms\n"), power_lost_ns("future 7 from 1ms\n"));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("replay_file");
    tcase_add_loop_test(tests, test_replay_file__refuses_what_is_wrong_with_its_line, 0,
                        sizeof wrong / sizeof *wrong);
    tcase_add_test(tests, test_replay_file__a_line_has_a_bound);
    tcase_add_test(tests, test_replay_file__reads_the_head);
    tcase_add_test(tests, test_replay_file__what_it_names_strikes_whatever_the_seed_says);
    tcase_add_test(tests, test_replay_file__only_lets_nothing_else_strike);
    tcase_add_test(tests, test_replay_file__says_how_large_within_bounds);
    tcase_add_loop_test(tests, test_replay_file__a_fault_is_written_as_the_line_that_lets_it_strike,
                        0, ORR__FAULT_KIND_COUNT);
    tcase_add_test(tests, test_replay_file__tells_what_did_not_come_up);
    tcase_add_test(tests, test_replay_file__a_node_crashes_after_an_operation);
    tcase_add_test(tests, test_replay_file__a_node_is_killed_at_a_time);
    tcase_add_loop_test(tests, test_replay_file__instants, 0, sizeof instants / sizeof *instants);
    tcase_add_test(tests, test_replay_file__sections);
    tcase_add_loop_test(tests, test_replay_file__appointments_end_with_their_section, 0, 2);
    tcase_add_test(tests, test_replay_file__what_chance_has_appointed_is_drawn_again);
    return suite_run("replay_file", tests);
}

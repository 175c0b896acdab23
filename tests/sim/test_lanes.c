/*
 * test_lanes.c: a fuzzer's choices lie over the seed's and move no others; any bytes are an input;
 * lanes have names that mean them; and one run has the same trace hash however its input comes.
 */
#include "sim/lanes.h"

#include "sim/replay_file.h"
#include "sim/world.h"

#include "../suite.h"

#include <stdlib.h>
#include <string.h>

#define SEED_5 5, 0, 0, 0, 0, 0, 0, 0

/* A chunk for the lane of a site and an actor. */
static size_t put_chunk(uint8_t *bytes, enum orr__site site, uint64_t actor, uint32_t place,
                        const uint8_t *values, uint8_t count)
{
    uint32_t lane = orr__lane(site, actor);
    const uint8_t head[ORR__INPUT_HEAD_BYTES] = {
        (uint8_t)site,  (uint8_t)lane,         (uint8_t)(lane >> 8),   (uint8_t)(lane >> 16),
        (uint8_t)place, (uint8_t)(place >> 8), (uint8_t)(place >> 16), count};
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + sizeof head, values, count);
    return sizeof head + count;
}

static struct orr_lanes *read_lanes(const uint8_t *bytes, size_t size)
{
    struct orr_lanes *lanes = calloc(1, sizeof *lanes);
    ck_assert_ptr_nonnull(lanes);
    ck_assert(orr__lanes_read(lanes, bytes, size));
    return lanes;
}

static void free_lanes(struct orr_lanes *lanes)
{
    orr__lanes_free(lanes);
    free(lanes);
}

/* The input in normal form. */
static uint8_t *normal(const uint8_t *bytes, size_t size, size_t *ret_size)
{
    struct orr_lanes *lanes = read_lanes(bytes, size);
    uint64_t *cells = calloc(lanes->count + 1, sizeof *cells);
    orr__lanes_cells(lanes, cells);
    *ret_size = orr__input_size(cells, lanes->count);
    uint8_t *made = malloc(*ret_size);
    orr__input_write(lanes->seed, cells, lanes->count, made);
    free(cells);
    free_lanes(lanes);
    return made;
}

START_TEST(test_lanes__a_cell_answers_one_draw_and_moves_no_other)
{
    uint8_t bytes[64] = {SEED_5};
    const uint8_t values[] = {0x00, 0xff, 0x80};
    size_t size = 8 + put_chunk(bytes + 8, ORR__SITE_RESET, 1, 4, values, sizeof values);
    struct orr_lanes *lanes = read_lanes(bytes, size);
    struct orr_world *plain = orr_world_create(5, NULL);
    struct orr_world *laned = orr__world_new(lanes->seed, lanes, NULL, NULL);
    ck_assert_uint_eq(orr_world_seed(laned), 5);
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t value = orr__draw(laned, ORR__SITE_RESET, 1, i);
        if (i < 4 || i > 6)
            ck_assert_uint_eq(value, orr__draw(plain, ORR__SITE_RESET, 1, i));
        ck_assert_uint_eq(orr__draw(laned, ORR__SITE_RESET, 2, i),
                          orr__draw(plain, ORR__SITE_RESET, 2, i));
        ck_assert_uint_eq(orr__draw(laned, ORR__SITE_REFUSE, 1, i),
                          orr__draw(plain, ORR__SITE_REFUSE, 1, i));
    }
    ck_assert_uint_eq(orr__draw_below(laned, ORR__SITE_RESET, 1, 4, 1000), 0);
    ck_assert_uint_eq(orr__draw_below(laned, ORR__SITE_RESET, 1, 5, 1000), 999);
    uint64_t middle = orr__draw_below(laned, ORR__SITE_RESET, 1, 6, 1000);
    ck_assert_msg(middle >= 500 && middle < 504, "0x80 of 1000 is %u", (unsigned)middle);
    ck_assert_uint_eq(orr__draw(laned, ORR__SITE_RESET, 1, 6) << 8 >> 8,
                      orr__draw(plain, ORR__SITE_RESET, 1, 6) >> 8);
    orr_world_destroy(plain);
    orr_world_destroy(laned);
    free_lanes(lanes);
}
END_TEST

/* Simultaneous events have the time as their actor: one lane, in the order of the draws. */
START_TEST(test_lanes__the_schedule_is_one_lane)
{
    uint8_t bytes[64] = {SEED_5};
    const uint8_t values[] = {0xff, 0x00};
    size_t size = 8 + put_chunk(bytes + 8, ORR__SITE_TIE, 99, 1, values, sizeof values);
    struct orr_lanes *lanes = read_lanes(bytes, size);
    struct orr_world *plain = orr_world_create(5, NULL);
    struct orr_world *laned = orr__world_new(5, lanes, NULL, NULL);
    uint32_t before = 0;
    for (uint32_t i = 0; i < ORR__LANES_MAX; i++) /* the world draws a date when it begins */
        before += lanes->reach[i].lane == orr__lane(ORR__SITE_TIE, 0) ? lanes->reach[i].end : 0;
    ck_assert_uint_eq(before, 0);
    ck_assert_uint_eq(orr__draw(laned, ORR__SITE_TIE, 1000, 7),
                      orr__draw(plain, ORR__SITE_TIE, 1000, 7));
    ck_assert_uint_eq(orr__draw(laned, ORR__SITE_TIE, 2000, 7), UINT64_MAX);
    ck_assert_uint_eq(orr__draw(laned, ORR__SITE_TIE, 5, 9), 0);
    ck_assert_uint_eq(orr__draw(laned, ORR__SITE_TIE, 6, 1), orr__draw(plain, ORR__SITE_TIE, 6, 1));
    orr_world_destroy(plain);
    orr_world_destroy(laned);
    free_lanes(lanes);
}
END_TEST

START_TEST(test_lanes__of_two_bytes_for_a_place_the_later_counts)
{
    uint8_t bytes[64] = {SEED_5};
    const uint8_t values[] = {1, 2, 3};
    const uint8_t later[] = {9};
    size_t size = 8 + put_chunk(bytes + 8, ORR__SITE_RESET, 1, 4, values, sizeof values);
    size += put_chunk(bytes + size, ORR__SITE_RESET, 1, 5, later, 1);
    struct orr_lanes *lanes = read_lanes(bytes, size);
    uint64_t cells[3];
    uint32_t lane = orr__lane(ORR__SITE_RESET, 1);
    ck_assert_uint_eq(lanes->count, 3);
    orr__lanes_cells(lanes, cells);
    ck_assert_uint_eq(cells[0], orr__cell(lane, 4, 1));
    ck_assert_uint_eq(cells[1], orr__cell(lane, 5, 9));
    ck_assert_uint_eq(cells[2], orr__cell(lane, 6, 3));
    free_lanes(lanes);
}
END_TEST

/* Random bytes, and chunks cut short: read without a fault, and the normal form is its own. */
START_TEST(test_lanes__any_bytes_are_an_input)
{
    uint8_t bytes[400];
    for (uint64_t round = 0; round < 3000; round++) {
        size_t size = orr__mix(round, 1) % sizeof bytes;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)orr__mix(round, 2 + i);
        for (size_t i = 8; i + 7 < size; i += 8 + bytes[i + 7]) /* short chunks, near each other */
            if (round % 2 == 0) {
                bytes[i] %= 3;
                memset(bytes + i + 1, 0, 6);
                bytes[i + 4] = (uint8_t)(i % 7);
                bytes[i + 7] %= 12;
            }
        size_t once_size;
        size_t twice_size;
        uint8_t *once = normal(bytes, size, &once_size);
        uint8_t *twice = normal(once, once_size, &twice_size);
        ck_assert_uint_eq(once_size, twice_size);
        ck_assert_mem_eq(once, twice, once_size);
        free(once);
        free(twice);
    }
}
END_TEST

static void check_name(const struct orr_world *world, enum orr__site site, uint64_t actor,
                       const char *expected)
{
    char name[ORR__LANE_NAME_MAX];
    orr__lane_name(world, site, actor, name);
    ck_assert_str_eq(name, expected);
    ck_assert_msg(orr__lane_named(name) == orr__lane(site, actor), "%s is another lane", name);
}

static void *boot(struct orr_loop *loop, void *config)
{
    (void)config;
    return loop;
}

START_TEST(test_lanes__names_mean_their_lanes)
{
    static const struct orr_program program = {.boot = boot};
    struct orr_world *world = orr_world_create(5, NULL);
    const struct orr_node *server = orr_node_create(world, "server", &program, NULL);
    (void)orr_node_create(world, "client", &program, NULL);
    uint64_t link = orr__actor_id("client->server");
    check_name(world, ORR__SITE_OP_ERROR, orr__op_actor(server, ORR_OP_FSYNC),
               "op-error/server/fsync");
    check_name(world, ORR__SITE_OP_ERROR, ~orr__op_actor(server, ORR_OP_RECV),
               "op-error/~server/recv");
    check_name(world, ORR__SITE_CRASH, server->id, "crash/server");
    check_name(world, ORR__SITE_BUFFER, ~server->id - 1, "buffer/~server+1");
    check_name(world, ORR__SITE_SEGMENT_SPIKE, link, "spike/client->server");
    check_name(world, ORR__SITE_SEGMENT_SPIKE, link + 1, "spike/client->server+1");
    check_name(world, ORR__SITE_SWARM, ORR_FAMILY_POWER_LOSS, "swarm/power-loss");
    check_name(world, ORR__SITE_TIE, 12345, "tie");
    char name[ORR__LANE_NAME_MAX];
    orr__lane_name(world, ORR__SITE_DISK_SECTOR, 12345, name);
    ck_assert_msg(strncmp(name, "disk-sector/@", 13) == 0, "%s", name);
    ck_assert_uint_eq(orr__lane_named(name), orr__lane(ORR__SITE_DISK_SECTOR, 12345));
    ck_assert_uint_eq(orr__lane_named("workload/key"),
                      orr__lane(ORR__SITE_WORKLOAD, orr__actor_id("key")));
    ck_assert_uint_eq(orr__lane_named("batch/server.2"),
                      orr__lane(ORR__SITE_BATCH, orr__mix(server->id, 2)));
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_lanes__every_site_has_a_name)
{
    char name[ORR__LANE_NAME_MAX];
    for (uint32_t site = 0; site < ORR__SITE_COUNT; site++)
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t lane = (site + 1) << 24 | i * 0x123456;
            orr__lane_text(lane, name);
            ck_assert_msg(orr__lane_named(name) == lane, "%s is another lane", name);
        }
    static const char *const wrong[] = {"",         "/",           "nothing/server",   "op-error",
                                        "tie/x",    "op-error/@1", "op-error/@12345g", "op-error/",
                                        "swarm/a b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(orr__lane_named(wrong[i]) == 0, "\"%s\" is a lane", wrong[i]);
}
END_TEST

/* ---- one run, however its input comes -------------------------------------------------------- */

struct ticker {
    struct orr_loop *loop;
    struct orr_completion timer;
};

static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct ticker *ticker = context;
    if (result == 0)
        orr_timeout(ticker->loop, completion, ORR_MILLISECOND, on_tick, ticker);
}

static void *boot_ticker(struct orr_loop *loop, void *config)
{
    struct ticker *ticker = orr_malloc(loop, sizeof *ticker);
    (void)config;
    if (ticker == NULL)
        return NULL;
    *ticker = (struct ticker){.loop = loop};
    on_tick(ticker, &ticker->timer, 0);
    return ticker;
}

static void run(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_ticker};
    (void)orr_node_create(world, "a", &program, NULL);
    (void)orr_node_create(world, "b", &program, NULL);
    orr_world_run_for(world, 20 * ORR_MILLISECOND);
}

static uint64_t hash_of(const struct orr_run_options *options)
{
    static const struct orr_scenario scenario = {.name = "ticks", .summary = "", .run = run};
    static struct orr_outcome outcome;
    int status = orr_scenario_run(&scenario, options, &outcome);
    ck_assert_msg(status == 0, "%s", outcome.detail);
    return outcome.trace_hash;
}

START_TEST(test_lanes__one_run_however_its_input_comes)
{
    uint8_t bytes[64] = {SEED_5};
    const uint8_t values[] = {0xff, 0xff};
    size_t size = 8 + put_chunk(bytes + 8, ORR__SITE_SWARM, ORR_FAMILY_PAUSE, 0, values, 2);
    size += put_chunk(bytes + size, ORR__SITE_PAUSE, orr__actor_id("b"), 0, values, 1);
    struct orr_lanes *lanes = read_lanes(bytes, size);
    const struct orr_run_options seed_alone = {.seed = 5};
    const struct orr_run_options as_bytes = {.seed = 77, .bytes = bytes, .byte_count = size};
    const struct orr_run_options as_lanes = {.lanes = lanes};
    const struct orr_run_options as_text = {.seed = 5,
                                            .replay = "lane pause/b#0 = ff\n"
                                                      "lane swarm/pause#0 = ffff\n"};
    const struct orr_run_options seed_in_bytes = {.bytes = bytes, .byte_count = 8};
    uint64_t hash = hash_of(&as_bytes);
    ck_assert_uint_ne(hash, hash_of(&seed_alone));
    ck_assert_uint_eq(hash, hash_of(&as_lanes));
    ck_assert_uint_eq(hash, hash_of(&as_text));
    ck_assert_uint_eq(hash_of(&seed_in_bytes), hash_of(&seed_alone));
    free_lanes(lanes);
}
END_TEST

#define PAUSES "lane swarm/pause#0 = ffff\nlane pause/b#0 = fc\n"
#define LATER "lane pause-time/b#1 = ff\n"
#define FUTURE "future 6 from event 1\nsame\n"

static uint64_t hash_of_text(const char *text)
{
    const struct orr_run_options options = {.seed = 5, .replay = text};
    return hash_of(&options);
}

/* From the instant on the future's seed answers: a lane that decides only later is as none. */
START_TEST(test_lanes__they_end_where_a_future_begins)
{
    ck_assert_uint_ne(hash_of_text(PAUSES LATER), hash_of_text(PAUSES));
    ck_assert_uint_eq(hash_of_text(PAUSES LATER FUTURE), hash_of_text(PAUSES FUTURE));
    ck_assert_uint_ne(hash_of_text(PAUSES FUTURE), hash_of_text(FUTURE));
}
END_TEST

START_TEST(test_lanes__wrong_lines_are_refused)
{
    static const struct {
        const char *text;
        const char *why;
    } lines[] = {
        {"lane op-error/a#3 = 0", "pairs of digits"},
        {"lane op-error/a#3 = 0G", "pairs of digits"},
        {"lane op-eror/a#3 = 00", "no lane is called \"op-eror/a\""},
        {"lane op-error/a = 00", "lane NAME#N = BYTES"},
        {"lane op-error/a#3 00", "lane NAME#N = BYTES"},
        {"lane op-error/a#16777215 = 0000", "a lane ends at place 16777215"},
        {"future 6 from 1ms\nlane op-error/a#3 = 00", "in a future its seed answers alone"},
    };
    char why[ORR__WHY_MAX];
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert_ptr_null(orr__rulings_parse(lines[i].text, why));
        ck_assert_msg(strstr(why, lines[i].why) != NULL && strstr(why, "line ") == why, "%s: %s",
                      lines[i].text, why);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("lanes");
    tcase_add_test(tests, test_lanes__a_cell_answers_one_draw_and_moves_no_other);
    tcase_add_test(tests, test_lanes__the_schedule_is_one_lane);
    tcase_add_test(tests, test_lanes__of_two_bytes_for_a_place_the_later_counts);
    tcase_add_test(tests, test_lanes__any_bytes_are_an_input);
    tcase_add_test(tests, test_lanes__names_mean_their_lanes);
    tcase_add_test(tests, test_lanes__every_site_has_a_name);
    tcase_add_test(tests, test_lanes__one_run_however_its_input_comes);
    tcase_add_test(tests, test_lanes__they_end_where_a_future_begins);
    tcase_add_test(tests, test_lanes__wrong_lines_are_refused);
    return suite_run("lanes", tests);
}

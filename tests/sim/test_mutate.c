/*
 * test_mutate.c: the mutator that knows lanes: whatever comes in, an input in normal form and
 * within the bound comes out; the same random number gives the same; it goes where a run has drawn,
 * and every kind of change happens.
 */
#include "sim/fuzz/mutate.h"

#include "../suite.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 600u

static struct orr__offers offers;

static void fill(uint8_t *bytes, size_t size, uint64_t round)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)orr__mix(round, i);
}

/* Reads it back: the cells, sorted. */
static size_t cells_of(const uint8_t *bytes, size_t size, uint64_t *cells, uint64_t *ret_seed)
{
    struct orr_lanes *lanes = calloc(1, sizeof *lanes);
    ck_assert_ptr_nonnull(lanes);
    ck_assert(orr__lanes_read(lanes, bytes, size));
    ck_assert_uint_le(lanes->count, ROOM);
    orr__lanes_cells(lanes, cells);
    size_t count = lanes->count;
    *ret_seed = lanes->seed;
    orr__lanes_free(lanes);
    free(lanes);
    return count;
}

static void check_normal(const uint8_t *bytes, size_t size)
{
    uint64_t cells[ROOM];
    uint8_t again[ROOM];
    uint64_t seed;
    size_t count = cells_of(bytes, size, cells, &seed);
    if (size < ORR__INPUT_SEED_BYTES)
        return; /* no room for a whole seed: nothing to compare */
    ck_assert_uint_eq(orr__input_size(cells, count), size);
    orr__input_write(seed, cells, count, again);
    ck_assert_mem_eq(again, bytes, size);
}

static void offer(enum orr__site site, uint64_t actor, uint32_t end)
{
    offers.lanes[offers.count++] = (struct orr__offer){.lane = orr__lane(site, actor), .end = end};
}

static void some_offers(void)
{
    offers.count = 0;
    for (uint64_t i = 0; i < 200; i++)
        offer(ORR__SITE_SEGMENT_SPIKE, i, 1000);
    offer(ORR__SITE_CRASH, 7, 2);
    offer(ORR__SITE_TIE, 0, 5000);
}

START_TEST(test_mutate__any_bytes_become_an_input_within_the_bound)
{
    some_offers();
    for (uint64_t round = 0; round < 4000; round++) {
        uint8_t bytes[ROOM];
        uint8_t again[ROOM];
        uint8_t other[ROOM];
        size_t size = orr__mix(round, 1) % ROOM;
        size_t room = round % 5 == 0 ? orr__mix(round, 2) % 20 : orr__mix(round, 2) % ROOM;
        fill(bytes, size, round);
        memcpy(again, bytes, size);
        fill(other, ROOM, round + 1);
        size_t made = orr__mutate(&offers, bytes, size, room, round);
        ck_assert_uint_le(made, room);
        check_normal(bytes, made);
        ck_assert_uint_eq(orr__mutate(&offers, again, size, room, round), made);
        ck_assert_mem_eq(again, bytes, made);
        uint8_t child[ROOM];
        size_t crossed = orr__cross(bytes, made, other, ROOM, child, room, round);
        ck_assert_uint_le(crossed, room);
        check_normal(child, crossed);
        ck_assert_uint_eq(orr__cross(bytes, made, other, ROOM, again, room, round), crossed);
        ck_assert_mem_eq(again, child, crossed);
    }
}
END_TEST

/* A site with one lane of two places is not drowned by one with two hundred lanes of a thousand;
 * no other lanes come but those of the swarm; 0 is frequent. */
START_TEST(test_mutate__goes_where_a_run_has_drawn)
{
    uint32_t crash = 0;
    uint32_t spike = 0;
    uint32_t elsewhere = 0;
    uint32_t strikes = 0;
    uint32_t all = 0;
    some_offers();
    for (uint64_t round = 0; round < 4000; round++) {
        uint8_t bytes[ROOM] = {0};
        uint64_t cells[ROOM];
        uint64_t seed;
        size_t size = orr__mutate(&offers, bytes, 8, ROOM, round);
        size_t count = cells_of(bytes, size, cells, &seed);
        for (size_t i = 0; i < count; i++) {
            uint32_t site = orr__lane_site(orr__cell_lane(cells[i]));
            crash += site == ORR__SITE_CRASH;
            spike += site == ORR__SITE_SEGMENT_SPIKE;
            elsewhere += site != ORR__SITE_CRASH && site != ORR__SITE_SEGMENT_SPIKE &&
                         site != ORR__SITE_TIE && site != ORR__SITE_SWARM;
            strikes += (uint8_t)cells[i] == 0;
            all++;
        }
    }
    ck_assert_uint_eq(elsewhere, 0);
    ck_assert_msg(crash > spike / 4, "%u cells in crash, %u in spike", crash, spike);
    ck_assert_msg(strikes > all / 4 && strikes < all * 3 / 4, "%u of %u strike", strikes, all);
}
END_TEST

/* What a mutation does to an input of three lanes: each kind of change is seen. */
START_TEST(test_mutate__every_kind_of_change_comes)
{
    uint32_t lane = orr__lane(ORR__SITE_CRASH, 7);
    uint64_t before[6];
    uint8_t start[ROOM];
    bool seed_changed = false;
    bool grew = false;
    bool shrank = false;
    bool moved = false;
    bool changed = false;
    for (uint32_t i = 0; i < 6; i++)
        before[i] = orr__cell(lane + i / 2, 10 + 5 * (i % 2), (uint8_t)(40 + i));
    size_t size = orr__input_size(before, 6);
    orr__input_write(3, before, 6, start);
    some_offers();
    for (uint64_t round = 0; round < 2000; round++) {
        uint8_t bytes[ROOM];
        uint64_t cells[ROOM];
        uint64_t seed;
        memcpy(bytes, start, size);
        size_t made = orr__mutate(&offers, bytes, size, ROOM, round);
        size_t count = cells_of(bytes, made, cells, &seed);
        seed_changed |= seed != 3;
        grew |= seed == 3 && count > 6;
        shrank |= seed == 3 && count < 6;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < 6; j++) {
                bool same_lane = orr__cell_lane(cells[i]) == orr__cell_lane(before[j]);
                moved |=
                    same_lane && (uint8_t)cells[i] == (uint8_t)before[j] && cells[i] != before[j];
                changed |= cells[i] >> 8 == before[j] >> 8 && cells[i] != before[j];
            }
    }
    ck_assert(seed_changed && grew && shrank && moved && changed);
}
END_TEST

/* A child has cells of both, and none that neither has. */
START_TEST(test_mutate__a_cross_has_lanes_of_both)
{
    uint8_t one[ROOM];
    uint8_t two[ROOM];
    uint64_t cells[ROOM];
    uint64_t seed;
    uint32_t from_one = 0;
    uint32_t from_two = 0;
    uint32_t mixed = 0;
    for (uint32_t i = 0; i < 16; i++)
        cells[i] = orr__cell(orr__lane(ORR__SITE_CRASH, 0) + i, 1, 1);
    size_t size = orr__input_size(cells, 16);
    orr__input_write(1, cells, 16, one);
    for (uint32_t i = 0; i < 16; i++)
        cells[i] = orr__cell(orr__lane(ORR__SITE_CRASH, 0) + i, 1, 2);
    orr__input_write(2, cells, 16, two);
    for (uint64_t round = 0; round < 300; round++) {
        uint8_t child[ROOM];
        uint32_t ones = 0;
        size_t made = orr__cross(one, size, two, size, child, ROOM, round);
        size_t count = cells_of(child, made, cells, &seed);
        ck_assert_uint_le(count, 16);
        ck_assert(seed == 1 || seed == 2);
        for (size_t i = 0; i < count; i++) {
            ck_assert((uint8_t)cells[i] == 1 || (uint8_t)cells[i] == 2);
            ones += (uint8_t)cells[i] == 1;
        }
        from_one += ones;
        from_two += (uint32_t)count - ones;
        mixed += ones > 0 && ones < count;
    }
    ck_assert_msg(from_one > 1000 && from_two > 500 && mixed > 50, "%u, %u, %u mixed", from_one,
                  from_two, mixed);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("mutate");
    tcase_add_test(tests, test_mutate__any_bytes_become_an_input_within_the_bound);
    tcase_add_test(tests, test_mutate__goes_where_a_run_has_drawn);
    tcase_add_test(tests, test_mutate__every_kind_of_change_comes);
    tcase_add_test(tests, test_mutate__a_cross_has_lanes_of_both);
    return suite_run("mutate", tests);
}

/*
 * test_choice.c: choices are keyed, bounded, and the same everywhere: some are written down here as
 * numbers.
 */
#include "sim/world.h"

#include "../suite.h"

START_TEST(test_choice__same_key_same_value)
{
    struct orr_world *a = orr_world_create(7, NULL);
    struct orr_world *b = orr_world_create(7, NULL);
    for (uint64_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(orr__draw(a, ORR__SITE_TIE, i, i * 3),
                          orr__draw(b, ORR__SITE_TIE, i, i * 3));
    orr_world_destroy(a);
    orr_world_destroy(b);
}
END_TEST

/* A draw in between, at another key, moves nothing: that is what keyed means. */
START_TEST(test_choice__draws_do_not_depend_on_each_other)
{
    struct orr_world *world = orr_world_create(7, NULL);
    uint64_t before = orr__draw(world, ORR__SITE_RESET, 1, 5);
    for (uint64_t i = 0; i < 100; i++)
        (void)orr__draw(world, ORR__SITE_RESET, 1, i);
    ck_assert_uint_eq(orr__draw(world, ORR__SITE_RESET, 1, 5), before);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_choice__every_part_of_the_key_counts)
{
    struct orr_world *world = orr_world_create(7, NULL);
    struct orr_world *other = orr_world_create(8, NULL);
    uint64_t value = orr__draw(world, ORR__SITE_RESET, 1, 5);
    ck_assert_uint_ne(orr__draw(world, ORR__SITE_REFUSE, 1, 5), value);
    ck_assert_uint_ne(orr__draw(world, ORR__SITE_RESET, 2, 5), value);
    ck_assert_uint_ne(orr__draw(world, ORR__SITE_RESET, 1, 6), value);
    ck_assert_uint_ne(orr__draw(other, ORR__SITE_RESET, 1, 5), value);
    orr_world_destroy(world);
    orr_world_destroy(other);
}
END_TEST

/* Written down once: a change here changes what every seed means. */
START_TEST(test_choice__values_are_the_same_on_every_machine)
{
    struct orr_world *world = orr_world_create(42, NULL);
    ck_assert_uint_eq(orr__actor_id("server"), UINT64_C(0xcee4138f5f46b7e7));
    ck_assert_uint_eq(orr__draw(world, ORR__SITE_SWARM, 0, 0), UINT64_C(0xd702169d9543aead));
    ck_assert_uint_eq(orr__draw(world, ORR__SITE_RANDOM, orr__actor_id("server"), 1000000),
                      UINT64_C(0x9562ce19f0cc41bd));
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_choice__range_is_covered_and_kept)
{
    struct orr_world *world = orr_world_create(3, NULL);
    bool seen[7] = {false};
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t value = orr__draw_range(world, ORR__SITE_BUFFER, 0, i, 10, 16);
        ck_assert(value >= 10 && value <= 16);
        seen[value - 10] = true;
    }
    for (int i = 0; i < 7; i++)
        ck_assert_msg(seen[i], "%d never came", 10 + i);
    orr_world_destroy(world);
}
END_TEST

/* Large bounds take the 64-bit product: all quarters of the range are met, about evenly. */
START_TEST(test_choice__large_bounds_are_even)
{
    struct orr_world *world = orr_world_create(3, NULL);
    const uint64_t bound = UINT64_MAX - 5;
    uint32_t quarters[4] = {0};
    for (uint64_t i = 0; i < 4000; i++) {
        uint64_t value = orr__draw_below(world, ORR__SITE_BUFFER, 1, i, bound);
        ck_assert_uint_lt(value, bound);
        quarters[value / (bound / 4 + 1)]++;
    }
    for (int i = 0; i < 4; i++)
        ck_assert_msg(quarters[i] > 850 && quarters[i] < 1150, "quarter %d: %u of 4000", i,
                      quarters[i]);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_choice__exponential_has_its_mean_and_its_cap)
{
    struct orr_world *world = orr_world_create(9, NULL);
    const uint64_t mean = 1000000;
    uint64_t sum = 0;
    uint64_t above = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t value = orr__draw_exponential(world, ORR__SITE_OP_LATENCY, 0, i, mean);
        ck_assert_uint_le(value, 16 * mean);
        sum += value;
        above += value > mean ? 1 : 0;
    }
    uint64_t average = sum / 20000;
    ck_assert_msg(average > 900000 && average < 1100000, "the mean is %lu", (unsigned long)average);
    ck_assert_msg(above > 20000 * 32 / 100 && above < 20000 * 42 / 100,
                  "%lu of 20000 above the mean", (unsigned long)above);
    ck_assert_uint_eq(orr__draw_exponential(world, ORR__SITE_OP_LATENCY, 0, 1, 0), 0);
    orr_world_destroy(world);
}
END_TEST

static bool strikes(struct orr_world *world, uint64_t occurrence)
{
    const struct orr__point point = {
        .kind = ORR__FAULT_SHORT,
        .site = ORR__SITE_OP_PARTIAL,
        .owner = "node",
        .part = "recv",
        .number = occurrence,
        .occurrence = occurrence,
    };
    return orr__strikes(world, &point);
}

START_TEST(test_choice__faults_strike_at_their_rate_and_not_when_healed)
{
    struct orr_world *world = orr_world_create(9, NULL);
    uint32_t struck = 0;
    ck_assert(!strikes(world, 0));
    orr_world_set_rate(world, ORR_FAMILY_PARTIAL, 250000);
    for (uint64_t i = 0; i < 10000; i++)
        struck += strikes(world, i) ? 1 : 0;
    ck_assert_msg(struck > 2300 && struck < 2700, "%u of 10000 at 25 %%", struck);
    orr_world_heal(world);
    for (uint64_t i = 0; i < 10000; i++)
        ck_assert(!strikes(world, i));
    orr_world_destroy(world);
}
END_TEST

/* But for those that only a scenario asks for. */
START_TEST(test_choice__swarm_turns_every_family_on_and_off)
{
    const uint32_t asked_for = 1u << ORR_FAMILY_MEMORY | 1u << ORR_FAMILY_LOST_SYNC |
                               1u << ORR_FAMILY_BAD_SECTOR | 1u << ORR_FAMILY_BIT_ROT |
                               1u << ORR_FAMILY_MISDIRECTED | 1u << ORR_FAMILY_STUCK;
    uint32_t on[ORR_FAMILY_COUNT] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct orr_world *world = orr_world_create(seed, NULL);
        orr__swarm(world);
        for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++)
            on[family] += orr_world_rate(world, (enum orr_fault_family)family) > 0 ? 1 : 0;
        orr_world_destroy(world);
    }
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++)
        ck_assert_msg((asked_for >> family & 1) != 0 ? on[family] == 0
                                                     : on[family] > 60 && on[family] < 140,
                      "%s is on in %u of 200 seeds",
                      orr_fault_family_name((enum orr_fault_family)family), on[family]);
}
END_TEST

START_TEST(test_choice__workload_counts_per_site)
{
    struct orr_world *a = orr_world_create(5, NULL);
    struct orr_world *b = orr_world_create(5, NULL);
    uint64_t first = orr_choose(a, "key", 1000);
    uint64_t second = orr_choose(a, "key", 1000);
    ck_assert_uint_eq(orr_choose(b, "key", 1000), first);
    (void)orr_choose(b, "another", 1000);
    ck_assert_uint_eq(orr_choose(b, "key", 1000), second);
    orr_world_destroy(a);
    orr_world_destroy(b);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("choice");
    tcase_add_test(tests, test_choice__same_key_same_value);
    tcase_add_test(tests, test_choice__draws_do_not_depend_on_each_other);
    tcase_add_test(tests, test_choice__every_part_of_the_key_counts);
    tcase_add_test(tests, test_choice__values_are_the_same_on_every_machine);
    tcase_add_test(tests, test_choice__range_is_covered_and_kept);
    tcase_add_test(tests, test_choice__large_bounds_are_even);
    tcase_add_test(tests, test_choice__exponential_has_its_mean_and_its_cap);
    tcase_add_test(tests, test_choice__faults_strike_at_their_rate_and_not_when_healed);
    tcase_add_test(tests, test_choice__swarm_turns_every_family_on_and_off);
    tcase_add_test(tests, test_choice__workload_counts_per_site);
    return suite_run("choice", tests);
}

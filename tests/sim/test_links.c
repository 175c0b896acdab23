/*
 * test_links.c: what becomes of the way between two nodes: how long it takes, how much it carries,
 * who is cut off from whom, and that healing ends it all.
 */
#include "sim/world.h"

#include "../suite.h"

#define PACKETS 4000
#define LATENCY_NS ORR_MILLISECOND
#define SPREAD_NS (2 * ORR_MILLISECOND)
#define HEADER_BYTES 66

static void *boot(struct orr_loop *loop, void *config)
{
    (void)config;
    return loop;
}

static const struct orr_program program = {.boot = boot};

#define NODES 5

static struct orr_node *nodes[NODES];

static struct orr_world *make_world(uint64_t seed, enum orr_fault_family family, uint32_t rate)
{
    static const char *const names[NODES] = {"a", "b", "c", "d", "e"};
    struct orr_world *world = orr_world_create(seed, NULL);
    orr_world_set_rate(world, family, rate);
    for (uint32_t i = 0; i < NODES; i++)
        nodes[i] = orr_node_create(world, names[i], &program, NULL);
    return world;
}

static uint64_t delay(struct orr_world *world, uint64_t number, uint32_t bytes)
{
    return orr__link_delay(world, orr__world_link(world, nodes[0], nodes[1]), false, number, bytes);
}

/* Sets the link from a to b and measures it. */
static void measure(enum orr_latency distribution, uint64_t ret_delays[PACKETS])
{
    struct orr_world *world = make_world(1, ORR_FAMILY_LATENCY, 0);
    const struct orr_link_options options = {
        .distribution = distribution, .latency_ns = LATENCY_NS, .spread_ns = SPREAD_NS};
    orr_world_set_link(world, nodes[0], nodes[1], &options);
    for (uint64_t i = 0; i < PACKETS; i++)
        ret_delays[i] = delay(world, i, 100);
    orr_world_destroy(world);
}

static uint64_t mean(const uint64_t values[PACKETS])
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < PACKETS; i++)
        sum += values[i];
    return sum / PACKETS;
}

START_TEST(test_links__a_fixed_latency)
{
    uint64_t delays[PACKETS];
    measure(ORR_LATENCY_FIXED, delays);
    for (uint32_t i = 0; i < PACKETS; i++)
        ck_assert_uint_eq(delays[i], LATENCY_NS);
}
END_TEST

START_TEST(test_links__a_uniform_latency)
{
    uint64_t delays[PACKETS];
    measure(ORR_LATENCY_UNIFORM, delays);
    for (uint32_t i = 0; i < PACKETS; i++) {
        ck_assert_uint_ge(delays[i], LATENCY_NS);
        ck_assert_uint_le(delays[i], LATENCY_NS + SPREAD_NS);
    }
    ck_assert_uint_gt(mean(delays), LATENCY_NS + SPREAD_NS * 45 / 100);
    ck_assert_uint_lt(mean(delays), LATENCY_NS + SPREAD_NS * 55 / 100);
}
END_TEST

START_TEST(test_links__an_exponential_latency)
{
    uint64_t delays[PACKETS];
    uint32_t long_ones = 0;
    measure(ORR_LATENCY_EXPONENTIAL, delays);
    for (uint32_t i = 0; i < PACKETS; i++) {
        ck_assert_uint_ge(delays[i], LATENCY_NS);
        ck_assert_uint_le(delays[i], LATENCY_NS + 16 * SPREAD_NS);
        long_ones += delays[i] > LATENCY_NS + 3 * SPREAD_NS ? 1 : 0;
    }
    ck_assert_uint_gt(mean(delays), LATENCY_NS + SPREAD_NS * 85 / 100);
    ck_assert_uint_lt(mean(delays), LATENCY_NS + SPREAD_NS * 115 / 100);
    ck_assert_msg(long_ones > PACKETS / 40 && long_ones < PACKETS / 12, "%u of %u", long_ones,
                  PACKETS);
}
END_TEST

START_TEST(test_links__a_bimodal_latency)
{
    uint64_t delays[PACKETS];
    uint32_t other_way = 0;
    measure(ORR_LATENCY_BIMODAL, delays);
    for (uint32_t i = 0; i < PACKETS; i++) {
        ck_assert(delays[i] == LATENCY_NS || delays[i] == LATENCY_NS + SPREAD_NS);
        other_way += delays[i] > LATENCY_NS ? 1 : 0;
    }
    ck_assert_msg(other_way > PACKETS / 10 && other_way < PACKETS / 6, "%u of %u", other_way,
                  PACKETS);
}
END_TEST

/* A line of 1000 bytes a millisecond: packets go one after the other; an idle line saves nothing
 * up. */
START_TEST(test_links__a_slow_line_carries_one_packet_after_the_other)
{
    struct orr_world *world = make_world(1, ORR_FAMILY_LATENCY, 0);
    const struct orr_link_options options = {
        .distribution = ORR_LATENCY_FIXED, .latency_ns = LATENCY_NS, .bytes_per_second = 1000000};
    const uint32_t bytes = 1000 - HEADER_BYTES;
    orr_world_set_link(world, nodes[0], nodes[1], &options);
    for (uint64_t round = 0; round < 2; round++) {
        for (uint64_t i = 1; i <= 150; i++)
            ck_assert_uint_eq(delay(world, i, bytes), LATENCY_NS + i * ORR_MILLISECOND);
        orr_world_run_for(world, ORR_MINUTE);
    }
    const struct orr__link *link = orr__world_link(world, nodes[0], nodes[1]);
    for (uint64_t i = 0; i < 200; i++)
        (void)delay(world, i, bytes);
    ck_assert(!orr__link_is_full(world, link));
    (void)delay(world, 0, bytes);
    ck_assert(orr__link_is_full(world, link));
    orr_world_run_for(world, 2 * ORR_MILLISECOND);
    ck_assert(!orr__link_is_full(world, link));
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_links__a_clogged_link_holds_everything_back)
{
    struct orr_world *world = make_world(1, ORR_FAMILY_LATENCY, 0);
    const struct orr_link_options options = {.distribution = ORR_LATENCY_FIXED,
                                             .latency_ns = LATENCY_NS};
    orr_world_set_link(world, nodes[0], nodes[1], &options);
    orr_world_clog(world, nodes[0], nodes[1], ORR_SECOND);
    orr_world_clog(world, nodes[0], nodes[1], ORR_MILLISECOND); /* the longer one stays */
    ck_assert_uint_eq(delay(world, 0, 1), ORR_SECOND + LATENCY_NS);
    orr_world_run_for(world, ORR_SECOND / 4);
    ck_assert_uint_eq(delay(world, 1, 1), ORR_SECOND * 3 / 4 + LATENCY_NS);
    ck_assert(!orr__link_is_cut(world, orr__world_link(world, nodes[0], nodes[1])));
    orr_world_mend(world, nodes[0], nodes[1]);
    ck_assert_uint_eq(delay(world, 2, 1), LATENCY_NS);
    orr_world_destroy(world);
}
END_TEST

static bool is_cut(struct orr_world *world, uint32_t from, uint32_t to)
{
    return orr__link_is_cut(world, orr__world_link(world, nodes[from], nodes[to]));
}

START_TEST(test_links__a_split_cuts_between_the_groups_and_nowhere_else)
{
    struct orr_world *world = make_world(1, ORR_FAMILY_LATENCY, 0);
    orr_world_split(world, nodes, 2, ORR_SECOND);
    for (uint32_t from = 0; from < NODES; from++)
        for (uint32_t to = 0; to < NODES; to++)
            ck_assert_int_eq(is_cut(world, from, to), (from < 2) != (to < 2));
    orr_world_mend(world, nodes[0], nodes[2]);
    ck_assert(!is_cut(world, 0, 2));
    ck_assert(is_cut(world, 2, 0));
    orr_world_run_for(world, ORR_SECOND);
    orr_node_isolate(nodes[4], UINT64_MAX);
    for (uint32_t from = 0; from < NODES; from++)
        for (uint32_t to = 0; to < NODES; to++)
            ck_assert_int_eq(is_cut(world, from, to), from != to && (from == 4 || to == 4));
    orr_world_heal(world);
    for (uint32_t from = 0; from < NODES; from++)
        ck_assert(!is_cut(world, from, 4) && !is_cut(world, 4, from));
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_links__a_node_that_is_deaf_and_one_that_is_mute)
{
    struct orr_world *world = make_world(1, ORR_FAMILY_LATENCY, 0);
    orr_node_isolate_way(nodes[1], ORR_WAY_IN, ORR_SECOND);
    for (uint32_t from = 0; from < NODES; from++)
        for (uint32_t to = 0; to < NODES; to++)
            ck_assert_int_eq(is_cut(world, from, to), from != to && to == 1);
    orr_world_run_for(world, ORR_SECOND);
    orr_node_isolate_way(nodes[4], ORR_WAY_OUT, UINT64_MAX);
    for (uint32_t from = 0; from < NODES; from++)
        for (uint32_t to = 0; to < NODES; to++)
            ck_assert_int_eq(is_cut(world, from, to), from != to && from == 4);
    orr_world_destroy(world);
}
END_TEST

/* Who is deaf or mute among the nodes, and hears or is heard otherwise. */
static void count_one_way(struct orr_world *world, uint32_t *deaf, uint32_t *mute)
{
    for (uint32_t node = 0; node < NODES; node++) {
        uint32_t in = 0;
        uint32_t out = 0;
        for (uint32_t other = 0; other < NODES; other++) {
            in += other != node && is_cut(world, other, node) ? 1 : 0;
            out += other != node && is_cut(world, node, other) ? 1 : 0;
        }
        *deaf += in == NODES - 1 && out == 0 ? 1 : 0;
        *mute += out == NODES - 1 && in == 0 ? 1 : 0;
    }
}

/* What chance does to links: over some seeds every form of a partition is seen. */
START_TEST(test_links__chance_cuts_one_way_both_ways_nodes_and_groups)
{
    uint32_t one_way = 0;
    uint32_t both_ways = 0;
    uint32_t groups = 0;
    uint32_t deaf = 0;
    uint32_t mute = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct orr_world *world = make_world(seed, ORR_FAMILY_PARTITION, 100000);
        for (uint32_t i = 0; i < 200; i++) {
            uint32_t cut = 0;
            orr_world_run_for(world, 10 * ORR_MILLISECOND);
            for (uint32_t from = 0; from < NODES; from++) {
                for (uint32_t to = from + 1; to < NODES; to++) {
                    one_way += is_cut(world, from, to) != is_cut(world, to, from) ? 1 : 0;
                    both_ways += is_cut(world, from, to) && is_cut(world, to, from) ? 1 : 0;
                    cut += is_cut(world, from, to) && is_cut(world, to, from) ? 1 : 0;
                }
            }
            groups += cut >= NODES - 1 ? 1 : 0;
            count_one_way(world, &deaf, &mute);
        }
        orr_world_destroy(world);
    }
    ck_assert_uint_gt(one_way, 100);
    ck_assert_uint_gt(both_ways, 100);
    ck_assert_uint_gt(groups, 100);
    ck_assert_msg(deaf > 20 && mute > 20, "%u deaf, %u mute", deaf, mute);
}
END_TEST

START_TEST(test_links__chance_makes_links_slow_until_the_world_is_healed)
{
    uint32_t slow = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct orr_world *world = make_world(seed, ORR_FAMILY_BANDWIDTH, 500000);
        const struct orr__link *link = orr__world_link(world, nodes[0], nodes[1]);
        slow += link->obstacle != NULL && link->obstacle->bytes_per_second > 0 ? 1 : 0;
        orr_world_heal(world);
        ck_assert(link->obstacle == NULL || link->obstacle->bytes_per_second == 0);
        orr_world_destroy(world);
    }
    ck_assert_msg(slow > 30 && slow < 70, "%u of 100", slow);
}
END_TEST

START_TEST(test_links__chance_clogs_and_heal_ends_it)
{
    uint32_t clogged = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct orr_world *world = make_world(seed, ORR_FAMILY_CLOG, 200000);
        for (uint32_t i = 0; i < 100; i++) {
            orr_world_run_for(world, 10 * ORR_MILLISECOND);
            clogged += delay(world, i, 1) > 100 * ORR_MILLISECOND ? 1 : 0;
        }
        orr_world_heal(world);
        ck_assert_uint_lt(delay(world, 0, 1), 10 * ORR_MILLISECOND);
        orr_world_destroy(world);
    }
    ck_assert_uint_gt(clogged, 50);
}
END_TEST

/* While LATENCY is on, links are of every kind. */
START_TEST(test_links__links_differ_in_kind)
{
    uint32_t seen[ORR_LATENCY_COUNT] = {0};
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct orr_world *world = make_world(seed, ORR_FAMILY_LATENCY, 1000);
        seen[orr__world_link(world, nodes[0], nodes[1])->distribution]++;
        orr_world_destroy(world);
    }
    for (uint32_t kind = 0; kind < ORR_LATENCY_COUNT; kind++)
        ck_assert_uint_gt(seen[kind], 10);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("links");
    tcase_add_test(tests, test_links__a_fixed_latency);
    tcase_add_test(tests, test_links__a_uniform_latency);
    tcase_add_test(tests, test_links__an_exponential_latency);
    tcase_add_test(tests, test_links__a_bimodal_latency);
    tcase_add_test(tests, test_links__a_slow_line_carries_one_packet_after_the_other);
    tcase_add_test(tests, test_links__a_clogged_link_holds_everything_back);
    tcase_add_test(tests, test_links__a_split_cuts_between_the_groups_and_nowhere_else);
    tcase_add_test(tests, test_links__a_node_that_is_deaf_and_one_that_is_mute);
    tcase_add_test(tests, test_links__chance_cuts_one_way_both_ways_nodes_and_groups);
    tcase_add_test(tests, test_links__chance_makes_links_slow_until_the_world_is_healed);
    tcase_add_test(tests, test_links__chance_clogs_and_heal_ends_it);
    tcase_add_test(tests, test_links__links_differ_in_kind);
    return suite_run("links", tests);
}

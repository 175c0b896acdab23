/*
 * test_differential.c: the differential test can fail. A hook lets the world answer wrongly, in a
 * way that only a certain combination of steps shows; the harness must find that and shrink it to
 * little more than those steps. And what all of it rests on: a seed is always the same program, a
 * world always answers it alike, and the shrinker keeps what matters.
 */
#include "judge.h"

#include "tests/suite.h"

#include <errno.h>
#include <string.h>

#define PROGRAMS_MAX 3000u

static void skip_without_kernel(void)
{
    if (kernels_find(stderr) == 0)
        exit(EXIT_SUCCESS); /* the programs say so: they are skipped */
}

/* ---- canaries -------------------------------------------------------------------------------- */

/* The world forgets that a directory cannot be made twice. */
static void forget_directories(const struct program *program, struct record *record)
{
    for (uint32_t i = 0; i < program->count; i++)
        if (program->steps[i].op == STEP_MKDIR && record->outcomes[i].result == -EEXIST)
            record->outcomes[i].result = 0;
}

/* The world receives a wrong byte if it receives many. */
static void spoil_bytes(const struct program *program, struct record *record)
{
    for (uint32_t i = 0; i < program->count; i++)
        if (program->steps[i].op == STEP_RECV_EXACT && record->outcomes[i].result > 100)
            record->outcomes[i].extra ^= 1;
}

/* The world never lets a cancel come in time. */
static void miss_cancels(const struct program *program, struct record *record)
{
    for (uint32_t i = 0; i < program->count; i++)
        if (program->races && program->steps[i].op == STEP_ACCEPT &&
            record->outcomes[i].result == -ECANCELED)
            record->outcomes[i].result = -EINVAL;
}

/* The world leaves one byte too many in the files of a program. */
static void lengthen_files(const struct program *program, struct record *record)
{
    (void)program;
    for (uint32_t i = 0; i < record->entry_count; i++)
        if (record->entries[i].size >= 4096)
            record->entries[i].size++;
}

static const struct canary {
    void (*hook)(const struct program *program, struct record *record);
    uint32_t steps_max; /* of the shrunk program */
} canaries[] = {
    {forget_directories, 2},
    {spoil_bytes, 8}, /* socket, bind, listen, socket, connect, accept, send, recv */
    {miss_cancels, 6},
    {lengthen_files, 2},
};

#define CANARIES ((int)(sizeof canaries / sizeof canaries[0]))

START_TEST(test_differential__finds_and_shrinks_a_wrong_world)
{
    struct program program;
    struct verdict verdict = {.disagrees = false};
    skip_without_kernel();
    kernels_begin();
    world_canary = canaries[_i].hook;
    for (uint64_t seed = 1; seed <= PROGRAMS_MAX && !verdict.disagrees; seed++) {
        program_generate(seed, &program);
        judge(&program, &verdict);
    }
    ck_assert_msg(verdict.disagrees, "none of %u programs saw it", PROGRAMS_MAX);
    program_shrink(&program, judge_apart);
    ck_assert_msg(judge_apart(&program), "what is left does not show it");
    ck_assert_msg(program_length(&program) <= canaries[_i].steps_max, "%u steps are left",
                  program_length(&program));
    kernels_end();
}
END_TEST

/* ---- what it rests on ------------------------------------------------------------------------ */

START_TEST(test_differential__a_seed_is_a_program)
{
    static struct program first;
    static struct program second;
    uint32_t racing = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        program_generate(seed, &first);
        memset(&second, 0x5a, sizeof second);
        program_generate(seed, &second);
        ck_assert_mem_eq(&first, &second, sizeof first);
        ck_assert_uint_ge(program_length(&first), 5);
        ck_assert_uint_le(first.count, STEPS_MAX);
        racing += first.races ? 1 : 0;
    }
    ck_assert_uint_gt(racing, 200);
    ck_assert_uint_lt(racing, 500);
}
END_TEST

START_TEST(test_differential__a_world_answers_alike)
{
    static struct record first;
    static struct record second;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct program program;
        const struct world_options options = {.kind = WORLD_ANY, .seed = seed};
        program_generate(seed, &program);
        world_run(&options, &program, &first);
        world_run(&options, &program, &second);
        ck_assert_mem_eq(&first, &second, sizeof first);
    }
}
END_TEST

/* Each operation is met often, and ends well often: else the programs would prove little. */
START_TEST(test_differential__programs_do_something)
{
    static struct record record;
    static uint32_t taken[STEP_OPS];
    static uint32_t good[STEP_OPS];
    const struct world_options options = {.kind = WORLD_CALM, .seed = 1};
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct program program;
        program_generate(seed, &program);
        world_run(&options, &program, &record);
        ck_assert_str_eq(record.broken, "");
        for (uint32_t i = 0; i < program.count; i++) {
            bool ended = record.outcomes[i].fate == FATE_ENDED;
            taken[program.steps[i].op] += ended ? 1 : 0;
            good[program.steps[i].op] += ended && record.outcomes[i].result >= 0 ? 1 : 0;
        }
    }
    for (uint32_t op = STEP_SOCKET; op < STEP_WAIT; op++) {
        ck_assert_msg(taken[op] >= 20, "%s: taken %u times", step_name((uint8_t)op), taken[op]);
        ck_assert_msg(good[op] >= 5, "%s: good %u times", step_name((uint8_t)op), good[op]);
    }
}
END_TEST

static bool has_mkdir_and_close(const struct program *program)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < program->count; i++) {
        seen |= program->steps[i].op == STEP_MKDIR ? 1u : 0u;
        seen |= program->steps[i].op == STEP_CLOSE ? 2u : 0u;
    }
    return seen == 3;
}

START_TEST(test_differential__shrinks_to_what_matters)
{
    uint32_t tried = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct program program;
        program_generate(seed, &program);
        if (!has_mkdir_and_close(&program))
            continue;
        program_shrink(&program, has_mkdir_and_close);
        ck_assert(has_mkdir_and_close(&program));
        ck_assert_uint_eq(program_length(&program), 2);
        tried++;
    }
    ck_assert_uint_gt(tried, 10);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("differential");
    tcase_add_loop_test(tcase, test_differential__finds_and_shrinks_a_wrong_world, 0, CANARIES);
    tcase_add_test(tcase, test_differential__a_seed_is_a_program);
    tcase_add_test(tcase, test_differential__a_world_answers_alike);
    tcase_add_test(tcase, test_differential__programs_do_something);
    tcase_add_test(tcase, test_differential__shrinks_to_what_matters);
    return suite_run("differential", tcase);
}

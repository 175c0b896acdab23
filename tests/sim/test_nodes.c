/*
 * test_nodes.c: what befalls a node: pauses, clocks that differ, memory that is short, a new disk;
 * faults that a scenario states plainly; and the bounds of what chance does.
 */
#include "sim/world.h"

#include "../suite.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define TICK_NS ORR_MILLISECOND

/* A program that ticks, and appends a byte to a file and makes it durable at each tick. */
struct diary {
    uint32_t boots;
    uint32_t ticks;
    uint64_t last_now_ns; /* of the program's monotonic clock */
    uint64_t longest_ns;  /* between two ticks */
    int64_t write_result; /* the last one */
    int64_t sync_result;
    uint32_t syncs;
    uint32_t refusals; /* of memory */
    bool asks_for_memory;
    bool only_ticks; /* and no operation's end wakes it meanwhile */
};

struct program {
    struct orr_loop *loop;
    struct diary *diary;
    orr_handle file;
    uint64_t length;
    struct orr_completion timer;
    struct orr_completion io;
};

static void on_synced(void *context, struct orr_completion *completion, int64_t result)
{
    struct program *program = context;
    (void)completion;
    program->diary->sync_result = result;
    program->diary->syncs += result == 0 ? 1 : 0;
}

static void on_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct program *program = context;
    program->diary->write_result = result;
    if (result != 1)
        return;
    program->length++;
    orr_fsync(program->loop, completion, program->file, on_synced, program);
}

static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct program *program = context;
    struct diary *diary = program->diary;
    uint64_t now_ns = orr_now(program->loop);
    ck_assert_int_eq(result, 0);
    ck_assert_uint_ge(now_ns, diary->last_now_ns);
    if (diary->ticks > 0 && now_ns - diary->last_now_ns > diary->longest_ns)
        diary->longest_ns = now_ns - diary->last_now_ns;
    diary->last_now_ns = now_ns;
    diary->ticks++;
    if (program->file > 0 && !diary->only_ticks && !orr_in_flight(&program->io))
        orr_write(program->loop, &program->io, program->file, "x", 1, program->length, on_written,
                  program);
    if (diary->asks_for_memory) {
        void *memory = orr_malloc(program->loop, 100);
        diary->refusals += memory == NULL ? 1 : 0;
        orr_free(program->loop, memory);
    }
    orr_timeout(program->loop, completion, TICK_NS, on_tick, program);
}

static void on_open(void *context, struct orr_completion *completion, int64_t result)
{
    struct program *program = context;
    (void)completion;
    program->file = result;
}

static void *boot(struct orr_loop *loop, void *config)
{
    struct program *program = orr_malloc(loop, sizeof *program);
    if (program == NULL)
        return NULL;
    memset(program, 0, sizeof *program);
    program->loop = loop;
    program->diary = config;
    program->diary->boots++;
    program->diary->last_now_ns = 0;
    orr_open(loop, &program->io, ORR_DIRECTORY_CURRENT, "diary",
             ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, on_open, program);
    orr_timeout(loop, &program->timer, TICK_NS, on_tick, program);
    return program;
}

static const struct orr_program diary_program = {.boot = boot};

static struct orr_node *make(struct orr_world *world, const char *name, struct diary *diary)
{
    memset(diary, 0, sizeof *diary);
    return orr_node_create(world, name, &diary_program, diary);
}

/* ---- pauses ---------------------------------------------------------------------------------- */

START_TEST(test_nodes__a_paused_program_stands_still_and_goes_on)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    struct orr_node *node = make(world, "a", &diary);
    orr_world_run_for(world, 10 * ORR_MILLISECOND);
    uint32_t before = diary.ticks;
    ck_assert_uint_gt(before, 5);
    orr_node_pause(node, 50 * ORR_MILLISECOND);
    ck_assert(orr_node_is_paused(node));
    orr_world_run_for(world, 49 * ORR_MILLISECOND);
    ck_assert_uint_eq(diary.ticks, before);
    orr_world_run_for(world, 11 * ORR_MILLISECOND);
    ck_assert(!orr_node_is_paused(node));
    ck_assert_uint_gt(diary.ticks, before + 5);
    ck_assert_uint_ge(diary.longest_ns, 49 * ORR_MILLISECOND);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_nodes__a_pause_ends_early_by_resume_by_crash_and_by_heal)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    struct orr_node *node = make(world, "a", &diary);
    orr_node_pause(node, ORR_MINUTE);
    orr_node_resume(node);
    orr_world_run_for(world, 10 * ORR_MILLISECOND);
    ck_assert_uint_gt(diary.ticks, 5);
    orr_node_pause(node, UINT64_MAX);
    orr_node_crash(node, ORR_CRASH_PROCESS);
    ck_assert(!orr_node_is_paused(node));
    orr_node_start(node);
    uint32_t before = diary.ticks;
    orr_world_run_for(world, 10 * ORR_MILLISECOND);
    ck_assert_uint_gt(diary.ticks, before + 5);
    orr_node_pause(node, UINT64_MAX);
    orr_world_run_for(world, ORR_MINUTE);
    before = diary.ticks;
    orr_world_heal(world);
    orr_world_run_for(world, 10 * ORR_MILLISECOND);
    ck_assert_uint_gt(diary.ticks, before + 5);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_nodes__chance_pauses_programs)
{
    uint64_t longest_ns[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct orr_world *world = orr_world_create(1, NULL);
        struct diary diary;
        orr_world_set_rate(world, ORR_FAMILY_PAUSE, i == 0 ? 0 : 200000);
        (void)make(world, "a", &diary);
        orr_world_run_for(world, 2 * ORR_SECOND);
        longest_ns[i] = diary.longest_ns;
        orr_world_destroy(world);
    }
    ck_assert_uint_lt(longest_ns[0], 2 * ORR_MILLISECOND);
    ck_assert_uint_gt(longest_ns[1], 50 * ORR_MILLISECOND);
}
END_TEST

/* ---- clocks ---------------------------------------------------------------------------------- */

START_TEST(test_nodes__a_fast_clock_ticks_more_often)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary fast;
    struct diary slow;
    struct orr_node *a = make(world, "a", &fast);
    struct orr_node *b = make(world, "b", &slow);
    orr_node_set_drift(a, ORR_DRIFT_MAX);
    orr_node_set_drift(b, -ORR_DRIFT_MAX);
    uint64_t a_ns = orr_node_now(a);
    uint64_t b_ns = orr_node_now(b);
    orr_world_run_for(world, 10 * ORR_SECOND);
    ck_assert_uint_eq(orr_node_now(a) - a_ns, 11 * ORR_SECOND);
    ck_assert_uint_eq(orr_node_now(b) - b_ns, 9 * ORR_SECOND);
    ck_assert_uint_gt(fast.ticks, slow.ticks * 11 / 10);
    orr_world_destroy(world);
}
END_TEST

/* Never early: what orr_timeout was asked for has passed on the program's clock. */
START_TEST(test_nodes__timers_are_not_early_whatever_the_drift)
{
    for (int32_t drift = -ORR_DRIFT_MAX; drift <= ORR_DRIFT_MAX; drift += 9973) {
        struct orr_world *world = orr_world_create((uint64_t)(drift + ORR_DRIFT_MAX), NULL);
        struct diary diary;
        struct orr_node *node = make(world, "a", &diary);
        diary.only_ticks = true;
        orr_node_set_drift(node, drift);
        uint64_t begin_ns = orr_node_now(node);
        orr_world_run_for(world, 100 * ORR_MILLISECOND);
        uint64_t passed_ns = orr_node_now(node) - begin_ns;
        ck_assert_uint_le(diary.ticks, passed_ns / TICK_NS);
        ck_assert_uint_ge(diary.ticks, passed_ns / TICK_NS * 95 / 100);
        orr_world_destroy(world);
    }
}
END_TEST

START_TEST(test_nodes__a_step_moves_the_wall_clock_alone)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    struct orr_node *node = make(world, "a", &diary);
    int64_t wall_ns = orr_node_wall_clock(node);
    uint64_t now_ns = orr_node_now(node);
    orr_node_step_clock(node, -5 * (int64_t)ORR_SECOND);
    ck_assert_int_eq(orr_node_wall_clock(node), wall_ns - 5 * (int64_t)ORR_SECOND);
    ck_assert_uint_eq(orr_node_now(node), now_ns);
    orr_node_step_clock(node, ORR_CLOCK_STEP_MAX);
    ck_assert_int_eq(orr_node_wall_clock(node),
                     wall_ns - 5 * (int64_t)ORR_SECOND + ORR_CLOCK_STEP_MAX);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_nodes__power_loss_restarts_the_monotonic_clock_alone)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    struct orr_node *node = make(world, "a", &diary);
    orr_world_run_for(world, ORR_MINUTE);
    uint64_t now_ns = orr_node_now(node);
    int64_t wall_ns = orr_node_wall_clock(node);
    orr_node_crash(node, ORR_CRASH_PROCESS);
    ck_assert_uint_eq(orr_node_now(node), now_ns);
    orr_node_start(node);
    orr_node_crash(node, ORR_CRASH_POWER);
    ck_assert_uint_lt(orr_node_now(node), now_ns);
    ck_assert_int_eq(orr_node_wall_clock(node), wall_ns);
    orr_world_destroy(world);
}
END_TEST

/* Over some seeds: every node's clock is its own, and is stepped both ways. */
START_TEST(test_nodes__the_clock_family_skews_drifts_and_steps)
{
    uint32_t back = 0;
    uint32_t ahead = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct orr_world *world = orr_world_create(seed, NULL);
        orr_world_set_rate(world, ORR_FAMILY_CLOCK, 1000000);
        struct diary diaries[2];
        struct orr_node *a = make(world, "a", &diaries[0]);
        struct orr_node *b = make(world, "b", &diaries[1]);
        ck_assert_int_ne(orr_node_wall_clock(a), orr_node_wall_clock(b));
        int64_t last_ns = orr_node_wall_clock(a);
        for (uint32_t i = 0; i < 100; i++) {
            orr_world_run_for(world, 10 * ORR_MILLISECOND);
            back += orr_node_wall_clock(a) < last_ns ? 1 : 0;
            ahead += orr_node_wall_clock(a) > last_ns + 100 * (int64_t)ORR_MILLISECOND ? 1 : 0;
            last_ns = orr_node_wall_clock(a);
        }
        ck_assert_uint_ne(orr_node_now(a), orr_node_now(b));
        orr_world_destroy(world);
    }
    ck_assert_uint_gt(back, 100);
    ck_assert_uint_gt(ahead, 100);
}
END_TEST

/* ---- plain faults ---------------------------------------------------------------------------- */

START_TEST(test_nodes__the_third_write_fails_and_no_other)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    struct orr_node *node = make(world, "a", &diary);
    orr_node_fail(node, "write", 3, -ENOSPC);
    while (diary.write_result >= 0)
        orr_world_run_for(world, ORR_MICROSECOND);
    ck_assert_int_eq(diary.write_result, -ENOSPC);
    ck_assert_uint_eq(diary.syncs, 2);
    orr_world_run_for(world, 100 * ORR_MILLISECOND);
    ck_assert_int_eq(diary.write_result, 1);
    ck_assert_uint_gt(diary.syncs, 10);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_nodes__a_node_crashes_after_its_third_sync)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    char bytes[16];
    struct orr_node *node = make(world, "a", &diary);
    orr_node_crash_after(node, "fsync", 3, ORR_CRASH_POWER);
    orr_world_run_for(world, ORR_SECOND);
    ck_assert(!orr_node_is_up(node));
    ck_assert_uint_eq(diary.syncs, 2); /* of the third the program has not heard */
    int64_t length = orr_node_read_file(node, "diary", bytes, sizeof bytes);
    ck_assert(length == 3 || length == -ENOENT); /* its name was never made durable */
    orr_world_destroy(world);
}
END_TEST

/* A program that is in the middle of something when its process dies. */
struct busy {
    struct orr_loop *loop;
    struct orr_completion completion;
    char bytes[10000];
    uint8_t op; /* what that is */
    uint32_t flags;
    bool is_over;
};

static void on_busy_end(void *context, struct orr_completion *completion, int64_t result)
{
    struct busy *busy = context;
    (void)completion;
    (void)result;
    busy->is_over = true;
}

static void on_busy_open(void *context, struct orr_completion *completion, int64_t result)
{
    struct busy *busy = context;
    static const struct orr_vector halves[] = {{.length = 4096}, {.length = 4096}};
    static struct orr_vector vectors[2];
    memcpy(vectors, halves, sizeof vectors);
    vectors[0].base = busy->bytes;
    vectors[1].base = busy->bytes;
    if (busy->op == ORR_OP_WRITE)
        orr_write(busy->loop, completion, result, busy->bytes, sizeof busy->bytes, 0, on_busy_end,
                  busy);
    else if (busy->op == ORR_OP_WRITEV)
        orr_writev(busy->loop, completion, result, vectors, 2, 0, on_busy_end, busy);
    else
        orr_mkdir(busy->loop, completion, ORR_DIRECTORY_CURRENT, "d", 0755, on_busy_end, busy);
}

static void *boot_busy(struct orr_loop *loop, void *config)
{
    struct busy *busy = config;
    busy->loop = loop;
    busy->is_over = false;
    memset(busy->bytes, 'x', sizeof busy->bytes);
    orr_open(loop, &busy->completion, ORR_DIRECTORY_CURRENT, "f",
             ORR_OPEN_WRITE | ORR_OPEN_CREATE | busy->flags, 0644, on_busy_open, busy);
    return busy;
}

/* The size of the file after a kill while the operation was in flight; of a mkdir 1 if it has made
 * the directory. */
static int64_t left_of_busy(uint64_t seed, uint8_t op, uint32_t flags)
{
    static const struct orr_program program = {.boot = boot_busy};
    static char read[12000];
    static struct busy busy;
    struct orr_stat status;
    busy = (struct busy){.op = op, .flags = flags};
    struct orr_world *world = orr_world_create(seed, NULL);
    struct orr_node *node = orr_node_create(world, "a", &program, &busy);
    while (node->op_count[op] == 0)
        orr_world_run_for(world, ORR_MICROSECOND);
    ck_assert(!busy.is_over);
    orr_node_crash(node, ORR_CRASH_PROCESS);
    int64_t left = orr_node_read_file(node, "f", read, sizeof read);
    for (int64_t i = 0; i < left; i++)
        if (read[i] != 'x')
            ck_abort_msg("byte %d", (int)i);
    if (op == ORR_OP_MKDIR)
        left = orr__disk_stat(node->disk, NULL, "d", &status) == 0 ? 1 : 0;
    ck_assert_uint_eq(world->faults, left > 0 ? 2 : world->faults); /* the kill, and this */
    orr_world_destroy(world);
    return left;
}

/* A kernel's worker may not have begun, be in the middle, or have come to its end. */
START_TEST(test_nodes__what_a_kill_finds_in_flight_may_be_done)
{
    static const uint32_t whole[] = {[ORR_OP_WRITE] = 10000, [ORR_OP_WRITEV] = 8192};
    for (uint32_t way = 0; way < 3; way++) {
        uint8_t op = way == 0 ? ORR_OP_WRITE : ORR_OP_WRITEV;
        uint32_t flags = way == 2 ? ORR_OPEN_DIRECT : 0;
        uint32_t seen[3] = {0}; /* nothing, a part, all */
        for (uint64_t seed = 0; seed < 40; seed++) {
            int64_t left = left_of_busy(seed, op, flags);
            ck_assert(left == whole[op] || left % (way == 2 ? 512 : 4096) == 0);
            seen[left == 0 ? 0 : left < whole[op] ? 1 : 2]++;
        }
        for (uint32_t i = 0; i < 3; i++)
            ck_assert_uint_ge(seen[i], 2);
    }
    uint32_t made = 0;
    for (uint64_t seed = 0; seed < 40; seed++)
        made += left_of_busy(seed, ORR_OP_MKDIR, 0) > 0 ? 1 : 0;
    ck_assert_uint_ge(made, 5);
    ck_assert_uint_le(made, 35);
}
END_TEST

START_TEST(test_nodes__a_plan_counts_from_now_on_over_all_lives)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    struct orr_node *node = make(world, "a", &diary);
    orr_world_run_for(world, 20 * ORR_MILLISECOND);
    orr_node_crash_after(node, "write", 1, ORR_CRASH_PROCESS);
    orr_node_crash_after(node, "write", 2, ORR_CRASH_PROCESS);
    orr_world_run_for(world, 20 * ORR_MILLISECOND);
    ck_assert(!orr_node_is_up(node));
    orr_node_start(node);
    orr_world_run_for(world, 20 * ORR_MILLISECOND);
    ck_assert(!orr_node_is_up(node));
    orr_node_start(node);
    orr_world_run_for(world, 20 * ORR_MILLISECOND);
    ck_assert(orr_node_is_up(node));
    orr_world_destroy(world);
}
END_TEST

static void plan_something_impossible(int which)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    struct orr_node *node = make(world, "a", &diary);
    if (which == 0)
        orr_node_fail(node, "fsink", 1, -EIO);
    else if (which == 1)
        orr_node_fail(node, "fsync", 0, -EIO);
    else if (which == 2)
        orr_node_fail(node, "fsync", 1, -ECONNREFUSED);
    else if (which == 3)
        orr_node_fail(node, "recv", 1, -EIO);
    else
        orr_node_wipe(node);
}

START_TEST(test_nodes__an_impossible_plan_is_a_caught_error)
{
    plan_something_impossible(_i);
}
END_TEST

/* ---- disk and memory ------------------------------------------------------------------------- */

START_TEST(test_nodes__a_wiped_node_has_an_empty_disk)
{
    struct orr_world *world = orr_world_create(1, NULL);
    struct diary diary;
    char byte;
    struct orr_node *node = make(world, "a", &diary);
    orr_world_run_for(world, 20 * ORR_MILLISECOND);
    ck_assert_int_eq(orr_node_read_file(node, "diary", &byte, 1), 1);
    orr_node_crash(node, ORR_CRASH_PROCESS);
    ck_assert_int_eq(orr_node_read_file(node, "diary", &byte, 1), 1);
    orr_node_wipe(node);
    ck_assert_int_eq(orr_node_read_file(node, "diary", &byte, 1), -ENOENT);
    orr_node_start(node);
    orr_world_run_for(world, 20 * ORR_MILLISECOND);
    ck_assert_int_eq(orr_node_read_file(node, "diary", &byte, 1), 1);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_nodes__memory_is_refused_on_request_only)
{
    for (uint32_t rate = 0; rate <= 500000; rate += 500000) {
        struct orr_world *world = orr_world_create(1, NULL);
        orr_world_set_rate(world, ORR_FAMILY_MEMORY, rate);
        struct diary diary;
        (void)make(world, "a", &diary);
        diary.asks_for_memory = true;
        orr_world_run_for(world, ORR_SECOND);
        ck_assert_uint_eq(diary.boots, 1); /* the first boot is spared */
        ck_assert_uint_eq(diary.refusals > 0, rate > 0);
        ck_assert_uint_lt(diary.refusals, diary.ticks);
        orr_world_destroy(world);
    }
}
END_TEST

static orr_handle boot_sockets[2];

static void *boot_with_a_socket(struct orr_loop *loop, void *config)
{
    uint32_t *boots = config;
    boot_sockets[(*boots)++] = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    return config;
}

START_TEST(test_nodes__the_first_boot_finds_a_socket)
{
    static const struct orr_program program = {.boot = boot_with_a_socket};
    uint32_t boots = 0;
    struct orr_world *world = orr_world_create(1, NULL);
    orr_world_set_rate(world, ORR_FAMILY_HANDLES, 1000000);
    struct orr_node *node = orr_node_create(world, "a", &program, &boots);
    orr_node_crash(node, ORR_CRASH_PROCESS);
    orr_node_start(node);
    ck_assert_uint_eq(boots, 2);
    ck_assert_int_ge(boot_sockets[0], 0);
    ck_assert(boot_sockets[1] == -EMFILE || boot_sockets[1] == -ENFILE);
    orr_world_destroy(world);
}
END_TEST

/* ---- the loop's batch and order -------------------------------------------------------------- */

#define ORDER 6

struct order {
    struct orr_completion completions[ORDER];
    const struct orr_completion *ended[ORDER];
    uint32_t count;
    uint32_t passes; /* until all had ended */
    uint64_t overflowed;
    uint64_t looks_ns; /* at a file, some times, after that */
};

static void note_order(void *context, struct orr_completion *completion, int64_t result)
{
    struct order *order = context;
    ck_assert_int_ge(result, 0);
    order->ended[order->count++] = completion;
}

static void on_look(void *context, struct orr_completion *completion, int64_t result)
{
    bool *ended = context;
    (void)completion;
    ck_assert_int_ge(result, 0);
    *ended = true;
}

static uint64_t time_of_looks(struct orr_world *world, struct orr_loop *loop)
{
    struct orr_completion completion = {0};
    struct orr_stat status;
    bool ended;
    uint64_t begin_ns = orr_world_now(world);
    for (uint32_t i = 0; i < 10; i++) {
        ended = false;
        orr_stat(loop, &completion, ORR_DIRECTORY_CURRENT, "/", &status, on_look, &ended);
        while (!ended)
            orr_run_once(loop);
    }
    return orr_world_now(world) - begin_ns;
}

/* Datagrams, which a kernel takes at once; then some looks at a file. */
static struct order run_order(enum orr_fault_family family, uint32_t rate)
{
    struct orr_world *world = orr_world_create(5, NULL);
    struct orr_loop *loop;
    struct order order = {.count = 0};
    struct orr_datagram datagrams[ORDER];
    char byte[] = "x";
    struct orr_statistics statistics;
    orr_world_set_rate(world, family, rate);
    ck_assert_int_eq(orr_node_open_loop(world, "a", NULL, &loop), 0);
    for (uint32_t i = 0; i < ORDER; i++) {
        orr_handle socket = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
        memset(&datagrams[i], 0, sizeof datagrams[i]);
        ck_assert_int_eq(orr_address_parse("127.0.0.1:9", &datagrams[i].peer), 0);
        datagrams[i].buffer = byte;
        datagrams[i].length = 1;
        orr_send_to(loop, &order.completions[i], socket, &datagrams[i], note_order, &order);
    }
    for (; order.count < ORDER; order.passes++)
        orr_run_once(loop);
    orr_loop_statistics(loop, &statistics);
    order.overflowed = statistics.overflowed;
    order.looks_ns = time_of_looks(world, loop);
    orr_drain(loop);
    orr_loop_close(loop);
    orr_world_destroy(world);
    return order;
}

static bool is_in_order(const struct order *order)
{
    const struct orr_completion *first = order->ended[0];
    for (uint32_t i = 1; i < ORDER; i++)
        if (order->ended[i] != first + i)
            return false;
    return true;
}

START_TEST(test_nodes__reorder_lets_an_end_overtake_others)
{
    struct order calm = run_order(ORR_FAMILY_REORDER, 0);
    struct order wild = run_order(ORR_FAMILY_REORDER, 1000000);
    ck_assert(is_in_order(&calm));
    ck_assert(!is_in_order(&wild));
}
END_TEST

START_TEST(test_nodes__pressure_makes_batches_and_deliveries_small)
{
    struct order calm = run_order(ORR_FAMILY_PRESSURE, 0);
    struct order hard = run_order(ORR_FAMILY_PRESSURE, 1000000);
    ck_assert_uint_eq(calm.overflowed, 0);
    ck_assert_uint_eq(calm.passes, 1);
    ck_assert_uint_gt(hard.overflowed, 0);
    ck_assert_uint_gt(hard.passes, 1);
}
END_TEST

/* A batch that is large, as a choice, and a delivery that is not. */
START_TEST(test_nodes__pressure_delivers_a_part_also_of_a_whole_batch)
{
    struct orr_world *world = orr_world_create(5, NULL);
    struct orr_loop *loop;
    struct order order = {.count = 0};
    ck_assert_int_eq(orr_node_open_loop(world, "a", NULL, &loop), 0);
    orr_world_set_rate(world, ORR_FAMILY_PRESSURE, 1000000);
    for (uint32_t i = 0; i < ORDER; i++)
        orr_poll(loop, &order.completions[i], orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM),
                 ORR_POLL_OUT, note_order, &order);
    for (; order.count < ORDER; order.passes++)
        orr_run_once(loop);
    ck_assert_uint_gt(order.passes, 1);
    orr_drain(loop);
    orr_loop_close(loop);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_nodes__latency_makes_operations_on_files_long)
{
    struct order calm = run_order(ORR_FAMILY_LATENCY, 0);
    struct order slow = run_order(ORR_FAMILY_LATENCY, 1000000);
    ck_assert_uint_lt(calm.looks_ns, 10 * ORR_MILLISECOND);
    ck_assert_uint_gt(slow.looks_ns, 100 * ORR_MILLISECOND);
}
END_TEST

/* ---- bounds ---------------------------------------------------------------------------------- */

#define CROWD 5

static uint32_t most_down(uint32_t limit)
{
    static const char *const names[CROWD] = {"a", "b", "c", "d", "e"};
    struct orr_world *world = orr_world_create(7, NULL);
    struct diary diaries[CROWD];
    struct orr_node *nodes[CROWD];
    uint32_t most = 0;
    orr_world_set_rate(world, ORR_FAMILY_KILL, 200000);
    orr_world_set_rate(world, ORR_FAMILY_POWER_LOSS, 200000);
    orr_world_limit_down(world, limit);
    for (uint32_t i = 0; i < CROWD; i++) {
        nodes[i] = make(world, names[i], &diaries[i]);
        orr_node_allow_crashes(nodes[i], ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t down = 0;
        orr_world_run_for(world, ORR_MILLISECOND);
        for (uint32_t k = 0; k < CROWD; k++)
            down += orr_node_is_up(nodes[k]) ? 0 : 1;
        most = down > most ? down : most;
    }
    orr_world_destroy(world);
    return most;
}

START_TEST(test_nodes__no_more_are_down_than_the_budget_allows)
{
    ck_assert_uint_eq(most_down(0), 0);
    ck_assert_uint_eq(most_down(1), 1);
    ck_assert_uint_eq(most_down(2), 2);
    ck_assert_uint_gt(most_down(CROWD), 3);
}
END_TEST

START_TEST(test_nodes__faults_keep_to_their_time)
{
    struct orr_world *world = orr_world_create(3, NULL);
    for (int family = 0; family < ORR_FAMILY_MEMORY; family++)
        orr_world_set_rate(world, (enum orr_fault_family)family, 300000);
    orr_world_limit_time(world, ORR_SECOND, 2 * ORR_SECOND);
    struct diary a;
    struct diary b;
    orr_node_allow_crashes(make(world, "a", &a), ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    orr_node_allow_crashes(make(world, "b", &b), ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    orr_world_run_for(world, ORR_SECOND - 1);
    ck_assert_uint_eq(world->faults, 0);
    orr_world_run_for(world, ORR_SECOND);
    uint64_t faults = world->faults;
    ck_assert_uint_gt(faults, 100);
    orr_world_run_for(world, 10 * ORR_SECOND);
    ck_assert_uint_eq(world->faults, faults);
    uint32_t ticks = a.ticks;
    orr_world_run_for(world, ORR_SECOND);
    ck_assert_uint_gt(a.ticks, ticks);
    orr_world_destroy(world);
}
END_TEST

START_TEST(test_nodes__the_same_seed_is_the_same_run)
{
    uint64_t hashes[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct orr_world *world = orr_world_create(11, NULL);
        for (int family = 0; family < ORR_FAMILY_COUNT; family++)
            orr_world_set_rate(world, (enum orr_fault_family)family, 50000);
        struct diary a;
        struct diary b;
        orr_node_allow_crashes(make(world, "a", &a), ORR_CRASH_POWER | ORR_CRASH_PROCESS);
        (void)make(world, "b", &b);
        orr_world_run_for(world, ORR_SECOND);
        hashes[i] = orr_world_trace_hash(world);
        orr_world_destroy(world);
    }
    ck_assert_uint_eq(hashes[0], hashes[1]);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("nodes");
    tcase_add_test(tests, test_nodes__a_paused_program_stands_still_and_goes_on);
    tcase_add_test(tests, test_nodes__a_pause_ends_early_by_resume_by_crash_and_by_heal);
    tcase_add_test(tests, test_nodes__chance_pauses_programs);
    tcase_add_test(tests, test_nodes__a_fast_clock_ticks_more_often);
    tcase_add_test(tests, test_nodes__timers_are_not_early_whatever_the_drift);
    tcase_add_test(tests, test_nodes__a_step_moves_the_wall_clock_alone);
    tcase_add_test(tests, test_nodes__power_loss_restarts_the_monotonic_clock_alone);
    tcase_add_test(tests, test_nodes__the_clock_family_skews_drifts_and_steps);
    tcase_add_test(tests, test_nodes__the_third_write_fails_and_no_other);
    tcase_add_test(tests, test_nodes__a_node_crashes_after_its_third_sync);
    tcase_add_test(tests, test_nodes__what_a_kill_finds_in_flight_may_be_done);
    tcase_add_test(tests, test_nodes__a_plan_counts_from_now_on_over_all_lives);
    tcase_add_loop_test_raise_signal(tests, test_nodes__an_impossible_plan_is_a_caught_error,
                                     SIGABRT, 0, 5);
    tcase_add_test(tests, test_nodes__a_wiped_node_has_an_empty_disk);
    tcase_add_test(tests, test_nodes__memory_is_refused_on_request_only);
    tcase_add_test(tests, test_nodes__the_first_boot_finds_a_socket);
    tcase_add_test(tests, test_nodes__reorder_lets_an_end_overtake_others);
    tcase_add_test(tests, test_nodes__pressure_makes_batches_and_deliveries_small);
    tcase_add_test(tests, test_nodes__pressure_delivers_a_part_also_of_a_whole_batch);
    tcase_add_test(tests, test_nodes__latency_makes_operations_on_files_long);
    tcase_add_test(tests, test_nodes__no_more_are_down_than_the_budget_allows);
    tcase_add_test(tests, test_nodes__faults_keep_to_their_time);
    tcase_add_test(tests, test_nodes__the_same_seed_is_the_same_run);
    return suite_run_apart("nodes", tests);
}

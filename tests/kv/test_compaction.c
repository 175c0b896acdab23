/*
 * test_compaction.c: a server that writes its log anew (examples/kv/log_compaction.c), step by
 * step: what a crash, an end, an error or another write does to each. The scenario does the same by
 * chance, and with faults.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/kv/served.h"
#include "tests/suite.h"

#define COMPACT_ABOVE 4096u

static struct served served;

static void setup(void)
{
    served_begin(&served, COMPACT_ABOVE);
}

static void teardown(void)
{
    served_end(&served);
}

static void run_for_ms(uint32_t ms)
{
    orr_world_run_for(served.world, ms * ORR_MILLISECOND);
}

static void write_until_done(uint64_t count)
{
    for (uint32_t i = 0; kv_compaction_count(served_kv(&served)) < count; i++) {
        ck_assert_uint_lt(i, 1000);
        served_write(&served);
    }
}

START_TEST(test_compaction__shrinks_the_log_again_and_again)
{
    for (uint64_t count = 1; count <= 3; count++) {
        write_until_done(count);
        run_for_ms(100);
        ck_assert_int_lt(served_file_length(&served, KV_LOG_NAME), COMPACT_ABOVE / 2);
        ck_assert_int_eq(served_file_length(&served, KV_LOG_NEW_NAME), -ENOENT);
        ck_assert_uint_eq((uint64_t)served_file_length(&served, KV_LOG_NAME),
                          served_kv(&served)->log.length_durable);
    }
    served_check(&served);
    served_crash(&served, ORR_CRASH_POWER);
    served_check(&served);
}
END_TEST

START_TEST(test_compaction__does_not_begin_while_the_live_data_is_most_of_the_log)
{
    static char text[4000];
    for (uint32_t i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "SET large-%u %0*u\r\n", i, 3900, i);
        served_send(&served, text);
        served_expect(&served, "+OK\r\n");
        run_for_ms(100);
    }
    ck_assert_int_gt(served_file_length(&served, KV_LOG_NAME), 3 * COMPACT_ABOVE);
    ck_assert_uint_eq(kv_compaction_count(served_kv(&served)), 0);
    write_until_done(1);
}
END_TEST

START_TEST(test_compaction__never_if_not_asked_for)
{
    served_end(&served);
    served_begin(&served, 0);
    for (uint32_t i = 0; i < 200; i++) {
        served_write(&served);
    }
    ck_assert_uint_eq(kv_compaction_count(served_kv(&served)), 0);
    ck_assert_int_gt(served_file_length(&served, KV_LOG_NAME), 4 * COMPACT_ABOVE);
}
END_TEST

static const enum kv_compaction_step steps[] = {
    KV_COMPACTION_WRITING,  KV_COMPACTION_WAITING, KV_COMPACTION_FINISHING,
    KV_COMPACTION_RENAMING, KV_COMPACTION_RENAMED,
};

#define STEP_COUNT (sizeof(steps) / sizeof(*steps))

/* Whatever is in force after the crash, it goes on as before: writes, another compaction. */
START_TEST(test_compaction__a_crash_at_any_step_loses_nothing)
{
    enum orr_crash kind = _i % 2 == 0 ? ORR_CRASH_PROCESS : ORR_CRASH_POWER;
    served_write_until(&served, steps[(size_t)_i / 2]);
    served_crash(&served, kind);
    served_check(&served);
    ck_assert_int_eq(served_file_length(&served, KV_LOG_NEW_NAME), -ENOENT);
    served_crash(&served, ORR_CRASH_POWER);
    served_check(&served);
    write_until_done(1);
    served_crash(&served, kind);
    served_check(&served);
}
END_TEST

START_TEST(test_compaction__an_end_at_any_step_is_clean)
{
    served_write_until(&served, steps[_i]);
    orr_wake(orr_node_loop(served.server));
    run_for_ms(10000);
    struct kv *kv = served_kv(&served);
    ck_assert_int_eq(kv->state, KV_STATE_ENDED);
    ck_assert_int_eq(kv_exit_status(kv), 0);
    ck_assert_int_eq(kv->log.compaction.step, KV_COMPACTION_IDLE);
    ck_assert(!orr_in_flight(&kv->log.compaction.completion));
    ck_assert_int_eq(served_file_length(&served, KV_LOG_NEW_NAME), -ENOENT);
    served_crash(&served, ORR_CRASH_POWER);
    served_check(&served);
}
END_TEST

/* The store changes under the walk: keys go and come while the live ones are taken. */
START_TEST(test_compaction__what_is_deleted_meanwhile_stays_deleted)
{
    bool flushes = _i / (int)STEP_COUNT == 1;
    served_write_until(&served, steps[(size_t)_i % STEP_COUNT]);
    served_write_end(&served);
    served_send(&served, flushes ? "FLUSHALL\r\n" : "DEL key-0 key-3 key-7\r\n");
    served_expect(&served, flushes ? "+OK\r\n" : ":3\r\n");
    for (uint32_t i = 0; i < SERVED_KEYS; i++) {
        if (flushes || i == 0 || i == 3 || i == 7) {
            served.keys[i] = (struct served_key){.sent = 0};
        }
    }
    served_send(&served, "SET fresh 1\r\n");
    served_expect(&served, "+OK\r\n");
    run_for_ms(100);
    ck_assert_uint_eq(kv_compaction_count(served_kv(&served)), 1);
    served_crash(&served, ORR_CRASH_POWER);
    served_check(&served);
    served_send(&served, "GET fresh\r\nDBSIZE\r\n");
    served_expect(&served, flushes ? "$1\r\n1\r\n:1\r\n" : "$1\r\n1\r\n:6\r\n");
}
END_TEST

static void on_other(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    served.other_result = result;
}

static void finish_other(void)
{
    while (orr_in_flight(&served.other)) {
        served_send(&served, "PING\r\n"); /* the server's loop makes a pass for it */
        served_expect(&served, "+PONG\r\n");
    }
    ck_assert_int_eq(served.other_result, 0);
}

/* A directory has the new file's name, so it can neither be removed nor made. */
START_TEST(test_compaction__an_error_leaves_the_old_log_in_force)
{
    orr_mkdir(orr_node_loop(served.server), &served.other, ORR_DIRECTORY_CURRENT, KV_LOG_NEW_NAME,
              0755, on_other, NULL);
    finish_other();
    served_write_until(&served, KV_COMPACTION_DROPPING);
    served_write_end(&served);
    ck_assert_ptr_nonnull(strstr(served.said, KV_LOG_NEW_NAME));
    served_send(&served, "INFO persistence\r\n");
    run_for_ms(10);
    ck_assert_ptr_nonnull(strstr(served.in, "aof_last_bgrewrite_status:err"));
    served_crash(&served, ORR_CRASH_PROCESS);
    served_check(&served);
    for (uint32_t i = 0; i < 100; i++) {
        served_write(&served);
    }
    ck_assert_uint_eq(kv_compaction_count(served_kv(&served)), 0);
    orr_unlink(orr_node_loop(served.server), &served.other, ORR_DIRECTORY_CURRENT, KV_LOG_NEW_NAME,
               ORR_UNLINK_DIRECTORY, on_other, NULL);
    finish_other();
    write_until_done(1);
    served_send(&served, "INFO persistence\r\n");
    run_for_ms(10);
    ck_assert_ptr_nonnull(strstr(served.in, "aof_last_bgrewrite_status:ok"));
    ck_assert_ptr_nonnull(strstr(served.in, "aof_rewrites:1\r\n"));
    served_crash(&served, ORR_CRASH_POWER);
    served_check(&served);
}
END_TEST

/* Somebody removes the new file before its rename: for the server, as if a rename that failed had
 * taken place. */
START_TEST(test_compaction__a_rename_that_may_have_happened_ends_the_server)
{
    served_write_until(&served, KV_COMPACTION_FINISHING);
    orr_unlink(orr_node_loop(served.server), &served.other, ORR_DIRECTORY_CURRENT, KV_LOG_NEW_NAME,
               ORR_UNLINK_FILE, on_other, NULL);
    run_for_ms(100);
    ck_assert_int_eq(served.other_result, 0);
    ck_assert(!orr_node_is_up(served.server));
    ck_assert_ptr_nonnull(strstr(served.said, "a rename failed"));
    orr_node_start(served.server);
    served_check(&served);
}
END_TEST

/* Nor can it be told if the new name cannot be removed. */
START_TEST(test_compaction__a_rename_that_cannot_be_undone_ends_the_server)
{
    served_write_until(&served, KV_COMPACTION_FINISHING);
    orr_node_fail(served.server, "rename", 1, -EIO);
    orr_node_fail(served.server, "unlink", 1, -EIO);
    run_for_ms(100);
    ck_assert(!orr_node_is_up(served.server));
    ck_assert_ptr_nonnull(strstr(served.said, "cannot be removed"));
    orr_node_start(served.server);
    served_check(&served);
    ck_assert_int_eq(served_file_length(&served, KV_LOG_NEW_NAME), -ENOENT);
}
END_TEST

struct failure {
    const char *operation;
    uint64_t nth; /* from the beginning of a compaction on */
    int error;
};

/* The log's own syncs are fdatasync. */
static const struct failure failures[] = {
    {"open", 1, -EIO},      /* of the new file */
    {"fsync", 1, -EIO},     /* of what was written while batches went on */
    {"fsync", 2, -EIO},     /* of the rest */
    {"rename", 1, -ENOSPC}, /* after which the new name is still there */
    {"rename", 1, -EIO},    /* the same */
};

START_TEST(test_compaction__what_fails_is_dropped_and_tried_again_later)
{
    const struct failure *failure = &failures[_i];
    served_write_until(&served, KV_COMPACTION_WRITING);
    orr_node_fail(served.server, failure->operation, failure->nth, failure->error);
    served_write_end(&served);
    while (served_kv(&served)->log.compaction.step != KV_COMPACTION_IDLE) {
        served_run(&served);
    }
    ck_assert_int_eq(served_kv(&served)->log.compaction.error, failure->error);
    ck_assert_uint_eq(kv_compaction_count(served_kv(&served)), 0);
    ck_assert_int_eq(served_file_length(&served, KV_LOG_NEW_NAME), -ENOENT);
    ck_assert_ptr_nonnull(strstr(served.said, "nothing is lost"));
    served_write(&served);
    ck_assert_uint_eq(served_kv(&served)->log.compaction.step, KV_COMPACTION_IDLE);
    write_until_done(1);
    ck_assert_int_eq(served_kv(&served)->log.compaction.error, 0);
    served_crash(&served, ORR_CRASH_POWER);
    served_check(&served);
}
END_TEST

/* Once the name has moved, nobody can tell which file a power loss leaves there. */
START_TEST(test_compaction__a_failed_sync_of_the_directory_ends_the_server)
{
    served_write_until(&served, KV_COMPACTION_RENAMING);
    orr_node_fail(served.server, "fsync", 1, -EIO);
    run_for_ms(100);
    ck_assert(!orr_node_is_up(served.server));
    ck_assert_ptr_nonnull(strstr(served.said, "cannot make durable the name of"));
    orr_node_start(served.server);
    served_check(&served);
    served_write(&served);
    served_crash(&served, ORR_CRASH_POWER);
    served_check(&served);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("compaction");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_compaction__shrinks_the_log_again_and_again);
    tcase_add_test(tcase, test_compaction__does_not_begin_while_the_live_data_is_most_of_the_log);
    tcase_add_test(tcase, test_compaction__never_if_not_asked_for);
    tcase_add_loop_test(tcase, test_compaction__a_crash_at_any_step_loses_nothing, 0,
                        2 * STEP_COUNT);
    tcase_add_loop_test(tcase, test_compaction__an_end_at_any_step_is_clean, 0, STEP_COUNT);
    tcase_add_loop_test(tcase, test_compaction__what_is_deleted_meanwhile_stays_deleted, 0,
                        2 * STEP_COUNT);
    tcase_add_test(tcase, test_compaction__an_error_leaves_the_old_log_in_force);
    tcase_add_test(tcase, test_compaction__a_rename_that_may_have_happened_ends_the_server);
    tcase_add_test(tcase, test_compaction__a_rename_that_cannot_be_undone_ends_the_server);
    tcase_add_loop_test(tcase, test_compaction__what_fails_is_dropped_and_tried_again_later, 0,
                        sizeof(failures) / sizeof(*failures));
    tcase_add_test(tcase, test_compaction__a_failed_sync_of_the_directory_ends_the_server);
    return suite_run("kv/compaction", tcase);
}

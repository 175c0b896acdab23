/*
 * test_replies.c: what the client is told when the disk fails between two batches of the log
 * (examples/kv/connection.c).
 */
#include <errno.h>

#include "tests/kv/served.h"
#include "tests/suite.h"

/* Records in the first batch. */
#define FIRST_BATCH 5u

static struct served served;

/* All replies wait, on one connection. The first batch is durable when the second fails: calling
 * any write of it an error would be a lie. */
START_TEST(test_replies__durable_writes_are_told_though_the_next_one_fails)
{
    served_begin(&served, 0);
    const struct kv_log *log = &served_kv(&served)->log;
    served_send(&served, "SET a 1\r\nSET b 1\r\nSET c 1\r\nSET d 1\r\nSET e 1\r\n");
    while (!log->is_committing) {
        served_run(&served);
    }
    orr_node_fail(served.server, "write", 1, -ENOSPC); /* the first batch is with the system */
    served_send(&served, "SET f 1\r\n");
    while (log->sequence_appended == FIRST_BATCH) {
        served_run(&served);
    }
    ck_assert(log->is_committing && log->sequence_writing == FIRST_BATCH);
    served_expect(&served, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n-ERR ");
    ck_assert_uint_eq(log->sequence_durable, FIRST_BATCH);
    served_end(&served);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("replies");
    tcase_add_test(tcase, test_replies__durable_writes_are_told_though_the_next_one_fails);
    return suite_run("kv/replies", tcase);
}

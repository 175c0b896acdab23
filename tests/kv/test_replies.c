/*
 * test_replies.c: what the client is told when the disk fails between two batches of the log
 * (examples/kv/connection.c).
 */
#include <string.h>

#include "tests/kv/served.h"
#include "tests/suite.h"

/* Three writes in ten fail; some seeds meet the order that a test wants. */
#define DISK_FULL_RATE 300000u
#define SEEDS 200u

/* Records in the first batch. */
#define FIRST_BATCH 5u

static struct served served;

/* Begins a world whose server serves. False if its disk was full before. */
static bool begin(uint64_t seed)
{
    served_begin(&served, seed, 0, DISK_FULL_RATE);
    for (uint32_t i = 0; i < 10000 && served_kv(&served) != NULL; i++) {
        if (served_kv(&served)->state == KV_STATE_SERVING) {
            served_connect(&served);
            return true;
        }
        served_run(&served);
    }
    return false;
}

/* Sends writes so that the last one comes while the batch of those before is being written. */
static bool write_two_batches(void)
{
    const struct kv_log *log = &served_kv(&served)->log;
    served_send(&served, "SET a 1\r\nSET b 1\r\nSET c 1\r\nSET d 1\r\nSET e 1\r\n");
    while (!log->is_committing) {
        served_run(&served);
    }
    served_send(&served, "SET f 1\r\n");
    while (log->is_committing && log->sequence_appended == FIRST_BATCH) {
        served_run(&served);
    }
    return log->sequence_writing == FIRST_BATCH && log->sequence_appended == FIRST_BATCH + 1;
}

/* All replies waited, on one connection. The first batch is durable when the second fails: calling
 * any write of it an error would be a lie. */
START_TEST(test_replies__durable_writes_are_told_though_the_next_one_fails)
{
    uint32_t met = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (begin(seed) && write_two_batches()) {
            const struct kv_log *log = &served_kv(&served)->log;
            orr_world_run_for(served.world, 100 * ORR_MILLISECOND);
            if (log->sequence_durable == FIRST_BATCH) {
                met++;
                served_expect(&served, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n-ERR ");
            }
        }
        served_end(&served);
    }
    ck_assert_uint_gt(met, 5);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("replies");
    tcase_add_test(tcase, test_replies__durable_writes_are_told_though_the_next_one_fails);
    return suite_run("kv/replies", tcase);
}

/*
 * test_pool.c: the threads for files. What their operations wait for is under the test's control:
 * the close of a socket that lingers stops its thread until the peer takes the bytes, or is gone.
 */
#define _GNU_SOURCE 1

#include "fake.h"

#include "io/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 5000

static struct orr__pool pool;
static sem_t told;

static void tell(void *context)
{
    ck_assert_ptr_eq(context, &told);
    ck_assert_int_eq(sem_post(&told), 0);
}

static void open_pool(void)
{
    ck_assert_int_eq(sem_init(&told, 0, 0), 0);
    ck_assert_int_eq(orr__pool_open(&pool, tell, &told), 0);
    ck_assert_uint_eq(pool.thread_count, ORR__POOL_THREADS);
}

static void close_pool(void)
{
    orr__pool_close(&pool);
    ck_assert_int_eq(sem_destroy(&told), 0);
}

static void prepare(struct orr_completion *completion, enum orr_op op)
{
    *completion = (struct orr_completion){.request = {.op = (uint8_t)op, .descriptor = -1}};
    completion->request.state = ORR__QUEUED;
}

static void give_all(struct orr_completion *completions, uint32_t count)
{
    struct orr_queue queue = {0};

    for (uint32_t i = 0; i < count; i++)
        orr_queue_push(&queue, &completions[i]);
    orr__pool_give(&pool, &queue);
    ck_assert_ptr_null(queue.head);
}

/* What has ended; waits until there is something. */
static uint64_t collect(void)
{
    struct orr_queue completed = {0};
    struct orr_completion *completion;
    uint64_t count = 0;

    while (completed.head == NULL) {
        while (sem_wait(&told) != 0)
            ck_assert_int_eq(errno, EINTR);
        orr__pool_collect(&pool, &completed);
    }
    while ((completion = orr_queue_pop(&completed)) != NULL) {
        completion->request.state = ORR__IDLE;
        count++;
    }
    return count;
}

/* Threads that wait in the close of a socket, until `release`. */
static struct orr_completion stuck[ORR__POOL_THREADS];
static int peers[ORR__POOL_THREADS];

/* A socket full of bytes that its peer does not take. */
static int full_socket(int *ret_peer)
{
    static const char bytes[65536];
    const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(connect(full, (const struct sockaddr *)&address, sizeof address), 0);
    *ret_peer = accept(listener, NULL, NULL);
    ck_assert_int_ge(*ret_peer, 0);
    ck_assert_int_eq(close(listener), 0);
    ck_assert_int_eq(setsockopt(full, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    while (send(full, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
    ck_assert_int_eq(errno, EAGAIN);
    return full;
}

static void stick(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        prepare(&stuck[i], ORR_OP_CLOSE);
        stuck[i].request.descriptor = full_socket(&peers[i]);
    }
    give_all(stuck, count);
}

static bool nothing_waits(void)
{
    (void)pthread_mutex_lock(&pool.lock);
    const bool nothing = pool.waiting.head == NULL;
    (void)pthread_mutex_unlock(&pool.lock);
    return nothing;
}

static void until_started(void)
{
    while (!nothing_waits())
        (void)sched_yield();
}

static void release(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(close(peers[i]), 0);
}

static void check_stuck(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ck_assert(!is_held(&stuck[i]));
        ck_assert_int_eq(stuck[i].result, 0);
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(test_pool__opens_and_closes_without_work)
{
    open_pool();
    struct orr_queue none = {0};
    orr__pool_give(&pool, &none);
    orr__pool_collect(&pool, &none);
    ck_assert_ptr_null(none.head);
    close_pool();
}
END_TEST

/* Thousands at once, of which many are taken back: each ends exactly once, here or there. */
START_TEST(test_pool__thousands)
{
    static struct orr_completion completions[MANY];
    static struct orr_stat stats[MANY];
    uint64_t taken = 0;
    uint64_t ended = 0;

    open_pool();
    for (uint32_t i = 0; i < MANY; i++) {
        prepare(&completions[i], ORR_OP_STAT);
        completions[i].request.arguments.path.path = i % 2 == 0 ? "/" : "/no/such/file";
        completions[i].request.arguments.path.stat = &stats[i];
    }
    for (uint32_t i = 0; i < MANY; i += 100)
        give_all(&completions[i], 100);
    for (uint32_t i = 0; i < MANY; i += 3) {
        if (!orr__pool_take_back(&pool, &completions[i]))
            continue;
        ck_assert(completions[i].next == NULL && completions[i].previous == NULL);
        completions[i].request.state = ORR__IDLE;
        completions[i].result = -ECANCELED;
        taken++;
    }
    while (taken + ended < MANY)
        ended += collect();
    ck_assert_uint_eq(pool.outstanding, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        const int64_t expected = i % 2 == 0 ? 0 : -ENOENT;
        const bool canceled = i % 3 == 0 && completions[i].result == -ECANCELED;
        if (is_held(&completions[i]) || (completions[i].result != expected && !canceled))
            ck_abort_msg("operation %u ended with %lld", i, (long long)completions[i].result);
    }
    close_pool();
}
END_TEST

START_TEST(test_pool__takes_back_what_has_not_started)
{
    struct orr_completion waits = {0};

    open_pool();
    stick(ORR__POOL_THREADS);
    until_started();
    prepare(&waits, ORR_OP_STAT);
    waits.request.arguments.path.path = NULL; /* whoever starts it, crashes */
    give_all(&waits, 1);
    ck_assert(orr__pool_take_back(&pool, &waits));
    ck_assert_uint_eq(pool.outstanding, ORR__POOL_THREADS);
    ck_assert(nothing_waits());
    release(ORR__POOL_THREADS);
    for (uint64_t ended = 0; ended < ORR__POOL_THREADS;)
        ended += collect();
    check_stuck(ORR__POOL_THREADS);
    close_pool();
}
END_TEST

START_TEST(test_pool__keeps_what_runs_and_what_has_ended)
{
    open_pool();
    stick(1);
    until_started();
    ck_assert(!orr__pool_take_back(&pool, &stuck[0]));
    release(1);
    ck_assert_int_eq(sem_wait(&told), 0);
    ck_assert(!orr__pool_take_back(&pool, &stuck[0]));
    ck_assert_int_eq(sem_post(&told), 0);
    ck_assert_uint_eq(collect(), 1);
    check_stuck(1);
    close_pool();
}
END_TEST

/* The other threads go on while one is stopped. */
START_TEST(test_pool__one_that_is_stopped_does_not_stop_the_others)
{
    struct orr_completion stats[50] = {0};
    struct orr_stat stat;

    open_pool();
    stick(ORR__POOL_THREADS - 1);
    for (int i = 0; i < 50; i++) {
        prepare(&stats[i], ORR_OP_STAT);
        stats[i].request.arguments.path.path = "/";
        stats[i].request.arguments.path.stat = &stat;
    }
    give_all(stats, 50);
    for (uint64_t ended = 0; ended < 50;)
        ended += collect();
    ck_assert(is_held(&stuck[0]));
    release(ORR__POOL_THREADS - 1);
    for (uint64_t ended = 0; ended < ORR__POOL_THREADS - 1;)
        ended += collect();
    check_stuck(ORR__POOL_THREADS - 1);
    close_pool();
}
END_TEST

static void *close_elsewhere(void *context)
{
    (void)context;
    orr__pool_close(&pool);
    return NULL;
}

/* Waits for what runs, and never starts what waits. */
START_TEST(test_pool__closes_with_work_running_and_waiting)
{
    struct orr_completion waits = {0};
    pthread_t closer;

    open_pool();
    stick(ORR__POOL_THREADS);
    until_started();
    prepare(&waits, ORR_OP_STAT);
    waits.request.arguments.path.path = NULL;
    give_all(&waits, 1);
    ck_assert_int_eq(pthread_create(&closer, NULL, close_elsewhere, NULL), 0);
    for (bool closing = false; !closing;) {
        (void)pthread_mutex_lock(&pool.lock);
        closing = pool.closing;
        (void)pthread_mutex_unlock(&pool.lock);
    }
    release(ORR__POOL_THREADS);
    ck_assert_int_eq(pthread_join(closer, NULL), 0);
    ck_assert_uint_eq(pool.ended.count, ORR__POOL_THREADS);
    ck_assert_ptr_eq(pool.waiting.head, &waits);
    for (uint32_t i = 0; i < ORR__POOL_THREADS; i++)
        stuck[i].request.state = ORR__IDLE;
    check_stuck(ORR__POOL_THREADS);
    ck_assert_int_eq(sem_destroy(&told), 0);
}
END_TEST

/* ---- under the engine ------------------------------------------------------------------------ */

START_TEST(test_pool__an_engine_cancels_what_waits_and_ends_what_runs)
{
    struct orr__readiness *engine = fake_open(16, false);
    struct orr_completion closes[ORR__POOL_THREADS] = {0};
    struct orr_completion waits = {0};

    for (uint32_t i = 0; i < ORR__POOL_THREADS; i++)
        give(engine, &closes[i], ORR_OP_CLOSE, full_socket(&peers[i]), (union orr_arguments){0});
    (void)flush(engine, ORR_WAIT_NOT);
    pthread_mutex_t *lock = &engine->pool.lock;
    for (bool started = false; !started;) {
        (void)pthread_mutex_lock(lock);
        started = engine->pool.waiting.head == NULL;
        (void)pthread_mutex_unlock(lock);
    }
    give(engine, &waits, ORR_OP_STAT, -1, (union orr_arguments){0}); /* of nothing, to nowhere */
    (void)flush(engine, ORR_WAIT_NOT);
    for (uint32_t i = 0; i < ORR__POOL_THREADS; i++)
        cancel(engine, &closes[i]);
    cancel(engine, &waits);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&waits, -ECANCELED);
    release(ORR__POOL_THREADS);
    for (uint32_t i = 0; i < ORR__POOL_THREADS; i++)
        end_in_pool(engine, &closes[i]);
    fake_close(engine);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("pool");

    tcase_add_test(tests, test_pool__opens_and_closes_without_work);
    tcase_add_test(tests, test_pool__thousands);
    tcase_add_test(tests, test_pool__takes_back_what_has_not_started);
    tcase_add_test(tests, test_pool__keeps_what_runs_and_what_has_ended);
    tcase_add_test(tests, test_pool__one_that_is_stopped_does_not_stop_the_others);
    tcase_add_test(tests, test_pool__closes_with_work_running_and_waiting);
    tcase_add_test(tests, test_pool__an_engine_cancels_what_waits_and_ends_what_runs);
    return suite_run("pool", tests);
}

/*
 * pool.c: see pool.h.
 */
#define _GNU_SOURCE 1

#include "pool.h"

#include "posix.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

/* System calls need little; sanitizers need more of it. */
#define STACK_BYTES ((size_t)256 * 1024)

/* `result` of an operation in the pool; no system call gives these. */
#define WAITS INT64_MIN
#define STARTED (INT64_MIN + 1)

static void finish(struct orr__pool *pool, struct orr_completion *completion, int64_t result)
{
    (void)pthread_mutex_lock(&pool->lock);
    completion->result = result;
    const bool first = pool->ended.head == NULL;
    orr_queue_push(&pool->ended, completion);
    (void)pthread_mutex_unlock(&pool->lock);
    if (first)
        pool->tell(pool->context);
}

/* The next operation, or NULL when the pool closes. */
static struct orr_completion *start_next(struct orr__pool *pool)
{
    struct orr_completion *completion = NULL;

    (void)pthread_mutex_lock(&pool->lock);
    while (pool->waiting.head == NULL && !pool->closing) {
        pool->idle++;
        (void)pthread_cond_wait(&pool->work, &pool->lock);
        pool->idle--;
    }
    if (!pool->closing) {
        completion = orr_queue_pop(&pool->waiting);
        completion->result = STARTED;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return completion;
}

static void *work(void *argument)
{
    struct orr__pool *pool = argument;
    struct orr_completion *completion;

    while ((completion = start_next(pool)) != NULL)
        finish(pool, completion, orr__posix_perform(completion));
    return NULL;
}

static int start_threads(struct orr__pool *pool, const pthread_attr_t *attributes)
{
    int error = 0;

    while (error == 0 && pool->thread_count < ORR__POOL_THREADS) {
        error = pthread_create(&pool->threads[pool->thread_count], attributes, work, pool);
        if (error == 0)
            pool->thread_count++;
    }
    return -error;
}

/* New threads inherit the mask: with everything blocked, no handler ever runs on them. */
static int start_threads_without_signals(struct orr__pool *pool)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int error = -pthread_attr_init(&attributes);

    if (error < 0)
        return error;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)sigfillset(&all);
    error = -pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error == 0) {
        error = start_threads(pool, &attributes);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attributes);
    return error;
}

int orr__pool_open(struct orr__pool *pool, void (*tell)(void *context), void *context)
{
    memset(pool, 0, sizeof *pool);
    pool->tell = tell;
    pool->context = context;
    int error = -pthread_mutex_init(&pool->lock, NULL);
    if (error < 0)
        return error;
    error = -pthread_cond_init(&pool->work, NULL);
    if (error < 0) {
        (void)pthread_mutex_destroy(&pool->lock);
        return error;
    }
    error = start_threads_without_signals(pool);
    if (error < 0)
        orr__pool_close(pool);
    return error;
}

void orr__pool_close(struct orr__pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_mutex_destroy(&pool->lock);
}

void orr__pool_give(struct orr__pool *pool, struct orr_queue *operations)
{
    struct orr_completion *completion;

    if (operations->head == NULL)
        return;
    pool->outstanding += operations->count;
    (void)pthread_mutex_lock(&pool->lock);
    uint64_t wanted = operations->count;
    while ((completion = orr_queue_pop(operations)) != NULL) {
        completion->result = WAITS;
        orr_queue_push(&pool->waiting, completion);
    }
    if (wanted > pool->idle)
        wanted = pool->idle;
    (void)pthread_mutex_unlock(&pool->lock);
    for (; wanted > 0; wanted--)
        (void)pthread_cond_signal(&pool->work);
}

bool orr__pool_take_back(struct orr__pool *pool, struct orr_completion *completion)
{
    (void)pthread_mutex_lock(&pool->lock);
    const bool waits = completion->result == WAITS;
    if (waits)
        orr_queue_remove(&pool->waiting, completion);
    (void)pthread_mutex_unlock(&pool->lock);
    if (waits)
        pool->outstanding--;
    return waits;
}

void orr__pool_collect(struct orr__pool *pool, struct orr_queue *completed)
{
    struct orr_queue ended;
    struct orr_completion *completion;

    if (pool->outstanding == 0)
        return;
    (void)pthread_mutex_lock(&pool->lock);
    ended = pool->ended;
    pool->ended = (struct orr_queue){0};
    (void)pthread_mutex_unlock(&pool->lock);
    pool->outstanding -= ended.count;
    while ((completion = orr_queue_pop(&ended)) != NULL)
        orr_backend_complete(completed, completion, completion->result);
}

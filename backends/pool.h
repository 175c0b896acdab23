/*
 * pool.h: a few threads that do what could stop the loop: operations on files. Internal to
 * backends/.
 *
 *     loop's thread --give--> waiting --> a thread: the system call --> ended --collect--> loop
 *                                                                         \--tell--> wakes it
 *
 * The model: one pool per loop, with a fixed number of threads that are there from the start, so
 * that nothing is allocated later and no operation fails for want of a thread. The queues are
 * linked through the completions; any number can wait.
 *
 * Invariants: the queues, and the `result` of an operation in the pool, are touched under the lock
 * only; `result` tells whether it waits or was started. A thread reads the request of what it has
 * started, and nothing else of the loop's. The threads
 * take no signals: those are the program's.
 */
#ifndef ORR_BACKENDS_POOL_H
#define ORR_BACKENDS_POOL_H

#include <orrery/backend.h>

#include <pthread.h>

/* Enough to keep a disk busy while one operation is slow; the same number as others have. */
#define ORR__POOL_THREADS 4

struct orr__pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct orr_queue waiting;
    struct orr_queue ended;
    uint32_t idle; /* threads that wait for work */
    bool closing;
    uint32_t thread_count;       /* that were started; then the loop's thread alone reads it */
    uint64_t outstanding;        /* given and not collected; the loop's thread alone */
    void (*tell)(void *context); /* from any thread: something is in `ended` again */
    void *context;
    pthread_t threads[ORR__POOL_THREADS];
};

/* Starts the threads. Returns 0 or -errno; then nothing is left behind. */
int orr__pool_open(struct orr__pool *pool, void (*tell)(void *context), void *context);
/* Waits for what was started, forgets what waits. */
void orr__pool_close(struct orr__pool *pool);
/* Takes all of `operations`. */
void orr__pool_give(struct orr__pool *pool, struct orr_queue *operations);
/* True if the operation had not started: it is out of the pool. False: it will end by itself. */
bool orr__pool_take_back(struct orr__pool *pool, struct orr_completion *completion);
/* Moves what has ended to `completed`. */
void orr__pool_collect(struct orr__pool *pool, struct orr_queue *completed);

#endif

/*
 * fake.h: a readiness engine over a poller that a test scripts, driven through the vtable.
 *
 *     test --submit, cancel, flush--> engine --arm, forget, wait--> fake poller <--reports-- test
 *                                        \--system calls--> real sockets and pipes
 *
 * The model: the fake keeps what it is asked to watch, and reports what the test wrote into it: the
 * truth, too much, too little or nonsense. Nothing here sleeps: a wait that may sleep notes it and
 * returns. So every flush is one step, and each test says what must happen in it.
 */
#ifndef TESTS_READINESS_FAKE_H
#define TESTS_READINESS_FAKE_H

#include "../suite.h"

#include "backends/readiness.h"

#define FAKE_CALLS_MAX 64
#define FAKE_REPORTS_MAX 16

/* One arm (forgets = false) or forget. */
struct fake_call {
    int32_t descriptor;
    uint8_t armed;
    uint8_t wanted;
    bool forgets;
};

struct fake {
    struct fake_call calls[FAKE_CALLS_MAX]; /* since the last fake_take_calls */
    uint32_t call_count;
    struct orr__event reports[FAKE_REPORTS_MAX]; /* of the next wait */
    uint32_t report_count;
    uint32_t full;    /* so many arms answer ORR__POLLER_FULL; a wait makes room again */
    int arm_error;    /* -errno of every arm that adds a direction */
    int wait_error;   /* -errno of every wait */
    bool collects;    /* changes stay pending until a wait, as kqueue's */
    bool has_pending; /* some do */
    uint32_t waits;   /* calls of wait, and how many of them could have slept */
    uint32_t sleeps;
    atomic_uint wakes; /* by any thread */
    bool open;
};

extern struct fake fake;

/* An engine over a fake poller, level-triggered or one-shot. */
struct orr__readiness *fake_open(uint32_t batch_entries, bool one_shot);
void fake_close(struct orr__readiness *engine);

/* The next wait reports this. */
void fake_report(int32_t descriptor, uint32_t ready);
void fake_report_error(int32_t descriptor, uint32_t ready, int error);
void fake_report_failed(int32_t descriptor, uint32_t ready, int failed);
void fake_report_wake(void);

/* Every call since the last time was exactly this one arm, or none was made. */
void fake_must_arm(int32_t descriptor, uint32_t armed, uint32_t wanted);
void fake_must_not_arm(void);

/* ---- operations ------------------------------------------------------------------------------ */

/* Submits to the engine; the answer must be QUEUED. */
void give(struct orr__readiness *engine, struct orr_completion *completion, enum orr_op op,
          int32_t descriptor, union orr_arguments arguments);
void give_recv(struct orr__readiness *engine, struct orr_completion *completion, int32_t descriptor,
               char *buffer, uint32_t length);
void give_send(struct orr__readiness *engine, struct orr_completion *completion, int32_t descriptor,
               const void *data, uint32_t length);
void give_poll(struct orr__readiness *engine, struct orr_completion *completion, int32_t descriptor,
               uint32_t events);
void cancel(struct orr__readiness *engine, struct orr_completion *completion);

/* One flush, and how many operations it ended. What ended is idle then; `order` of each is its
 * place among them. */
uint64_t flush(struct orr__readiness *engine, uint64_t deadline_ns);
bool is_held(const struct orr_completion *completion);
/* Has ended, with this result. */
void must_end(const struct orr_completion *completion, int64_t result);
/* Flushes until an operation that the pool does has ended. */
void end_in_pool(struct orr__readiness *engine, const struct orr_completion *completion);
/* Closes a descriptor through the engine. */
void close_through(struct orr__readiness *engine, int32_t descriptor);

/* A connected pair of stream sockets, of which the engine has adopted the first. */
void adopt_pair(struct orr__readiness *engine, int32_t ret_pair[2]);
/* Fills what can be sent to a socket until it would block. */
void fill(int32_t descriptor);

#endif

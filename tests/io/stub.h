/*
 * stub.h: a backend that a test holds in its hand.
 *
 * It keeps three lists, linked through the completions like a real backend's: `batch` (submitted),
 * `held` (handed over by a flush) and `ready` (over, appended to the loop's list by the next
 * flush). The knobs say when the batch is full, what becomes of each kind of operation, how
 * cancels are answered and when flushes come back. Time stands still except while a flush sleeps:
 * then it jumps.
 *
 * Beside doing as it is told, the stub watches the loop; each breach ends the program with a
 * message:
 *   - a completion arrives unlinked, with clear backend bits, of a kind that the backend has;
 *   - its descriptor is open, and no close arrives while an operation holds the descriptor;
 *   - only operations that it holds are canceled, and each once unless the answer was FULL;
 *   - a flush does not sleep while the loop has something to call back, nor for ever with
 *     nothing to wait for.
 */
#ifndef ORR_TESTS_IO_STUB_H
#define ORR_TESTS_IO_STUB_H

#include "io/internal.h"

#define STUB_DESCRIPTORS_MAX 20000
#define STUB_SCRIPT_MAX 64u

#define stub_assert(condition, ...) ((condition) ? (void)0 : stub_fail(__LINE__, __VA_ARGS__))

/* What becomes of an operation. */
enum stub_way {
    STUB_ENDS,   /* over at the flush that takes it */
    STUB_HOLDS,  /* stays until stub_end, or a cancel */
    STUB_AT_ONCE /* submit answers DONE */
};

/* What becomes of a cancel. */
enum stub_cancel {
    STUB_CANCEL_ENDS,  /* the next flush ends the operation with -ECANCELED */
    STUB_CANCEL_LATE,  /* the next flush ends it with its own result: it was over already */
    STUB_CANCEL_HOLDS, /* on its way until stub_end */
    STUB_CANCEL_DONE   /* answers DONE; the next flush ends the operation with its own result */
};

struct stub {
    /* The knobs. */
    enum stub_way ways[ORR_OP_COUNT];
    enum stub_cancel cancel;
    uint64_t batch_max;    /* submits and cancels between two flushes; from the options at first */
    uint64_t held_max;     /* more operations than this in all answer FULL */
    uint64_t deliver_max;  /* completions that one flush delivers */
    uint32_t cancels_full; /* so many cancels answer FULL whatever the batch holds */
    uint32_t early;        /* so many sleeps come back early, `early_ns` later */
    uint64_t early_ns;
    uint64_t flush_ns; /* every flush takes so long */
    bool newest_first; /* the order in which a flush delivers */
    bool refuses;      /* every submit answers FULL */
    int open_result;
    int flush_result;
    int call_result; /* of the immediate calls */
    int32_t descriptor_result;
    void (*on_flush)(struct stub *stub, uint64_t deadline_ns); /* at the start of each flush */
    void (*on_sleep)(struct stub *stub, uint64_t deadline_ns); /* may end something, or wake */
    void (*on_submit)(struct stub *stub, struct orr_completion *completion);    /* one was taken */
    int64_t (*on_result)(struct stub *stub, const struct orr_request *request); /* decides it */
    void *context;                                                              /* of the four */

    /* The record. */
    uint64_t submits; /* asked, whatever the answer */
    uint64_t fulls;   /* submits that were answered FULL */
    uint64_t cancels; /* asked, whatever the answer */
    uint64_t flushes;
    uint64_t sleeps;
    uint64_t wakes;
    uint64_t discards;
    uint64_t blocks;         /* of memory */
    uint64_t deadline_ns;    /* of the last flush */
    struct orr_request last; /* what the last submit that was taken brought */
    const char *call;        /* the last immediate call, and what it was about */
    int32_t call_descriptor;
    int32_t call_number;
    bool is_open;

    /* The rest is the stub's own. */
    uint64_t now_ns;
    uint64_t wall_ns;
    struct orr_loop *loop;
    struct orr_queue batch;
    struct orr_queue held;
    struct orr_queue ready;
    uint64_t batch_used;
    bool woken;
    int32_t descriptor_end; /* none above was ever open */
    bool descriptors[STUB_DESCRIPTORS_MAX];
    uint32_t users[STUB_DESCRIPTORS_MAX]; /* operations that hold it */
    struct {
        uint8_t op;
        int64_t result;
    } script[STUB_SCRIPT_MAX];
    uint32_t script_count;
};

extern const struct orr_backend stub_backend;

void stub_fail(int line, const char *format, ...) ORR_PRINTF(2, 3) ORR_NORETURN;

/* Opens a loop over a stub that is all zero, or has knobs set; zero limits mean: none. */
struct orr_loop *stub_open(struct stub *stub, const struct orr_options *options);
/* Closes the loop after looking that nothing is left. */
void stub_close(struct stub *stub);

/* Sets the way of all operations but close. */
void stub_set_ways(struct stub *stub, enum stub_way way);
/* The next operation of this kind that ends by itself has this result; several queue up. */
void stub_script(struct stub *stub, enum orr_op op, int64_t result);
/* Ends an operation that the stub has: the next flush delivers it. */
void stub_end(struct stub *stub, struct orr_completion *completion, int64_t result);
/* The result that an operation has if nothing was scripted. */
int64_t stub_result(struct stub *stub, const struct orr_request *request);
/* A descriptor that is open in the stub and known to no handle. */
int32_t stub_descriptor(struct stub *stub);

#endif

/*
 * linearizable.h: whether what concurrent clients saw can be explained by one thing that does their
 * calls one after the other. For scenarios, and for tests that have no world.
 *
 * A history is a list of calls. A call takes effect at one moment between its begin and its end; it
 * is linearizable if there are such moments for all of them, so that the calls in their order give
 * the results that the clients got. A call that never returned (its client gave up, or died) may
 * have taken effect at any moment after its begin, or never.
 *
 *     struct orr_history *history = orr_history_create(orr_register_model());
 *     uint64_t id = orr_history_begin(history, &(struct orr_call){
 *         .client = 1, .key = 7, .kind = ORR_REGISTER_READ, .begun_ns = orr_world_now(world)});
 *     ... the answer comes: 42
 *     orr_history_end(history, id, 42, orr_world_now(world));
 *     ... all clients are done
 *     orr_linearizable(world, history, "reads and writes have one order");
 *     orr_history_destroy(history);
 *
 * The order in which begins and ends are told is what counts: a call that ended before another one
 * began comes before it. Times are for the report only.
 *
 * Calls with different keys have nothing to do with each other (a history is linearizable if and
 * only if that of each key is), so each key is judged alone. What a key holds is the model's to
 * say: a register, or one that you write.
 */
#ifndef ORRERY_LINEARIZABLE_H
#define ORRERY_LINEARIZABLE_H

#include <orrery/sim.h>

ORR_BEGIN

struct orr_call {
    uint64_t key;
    uint64_t argument; /* what was asked, in the model's words */
    uint64_t result;   /* what came back; means something once `ended` is not 0 */
    uint32_t client;   /* for the report */
    uint32_t kind;     /* the model's: what sort of call */
    uint64_t begun_ns; /* for the report */
    uint64_t ended_ns;
    uint64_t begun; /* the history's: place in the order of all begins and ends, from 1 on */
    uint64_t ended; /* 0 = never returned */
};

/* ---- models ---------------------------------------------------------------------------------- */

#define ORR_MODEL_STATE_MAX 64u
#define ORR_MODEL_TEXT_MAX 96u

/*
 * A thing that does one call after the other. Its state is a few bytes that hold no pointer and no
 * padding: states are compared as bytes. A state begins as zeros.
 */
struct orr_model {
    size_t state_size; /* bytes, 1 to ORR_MODEL_STATE_MAX */
    /* Does a call. Returns whether it can return what it did in that state (true if it has not
     * returned); on false, `state` may be left in any shape. Depends on nothing but these two. */
    bool (*apply)(void *state, const struct orr_call *call);
    /* The next two are what allows long histories, and short reports. Each may be NULL. */
    /* True only if `call`, which returned, leaves every state in which it can return its result as
     * it is: a read; a compare-and-set that failed. NULL: false for all. */
    bool (*reads)(const struct orr_call *call);
    /* False only if `call`, which returned, is as possible without `other` as with it, in whatever
     * order calls come: a read and the write of another value. So calls that no other shows can be
     * left out: give every write a value of its own. NULL: true for all. */
    bool (*shows)(const struct orr_call *call, const struct orr_call *other);
    /* For reports: "write 17", "read 17", "write 17" again if it did not return; and "17" for a
     * state. Up to ORR_MODEL_TEXT_MAX bytes with the NUL. */
    void (*describe)(const struct orr_call *call, char *text, size_t text_size);
    void (*describe_state)(const void *state, char *text, size_t text_size);
};

enum orr_register_call { ORR_REGISTER_READ, ORR_REGISTER_WRITE };

/* A register of one number, 0 at first. A write's value is its argument; a read's, its result. */
ORR_API const struct orr_model *orr_register_model(void);

/* ---- histories ------------------------------------------------------------------------------- */

struct orr_history;

/* An empty history; `model` must outlive it. Ends the program if there is no memory, as all that
 * follows. */
ORR_API struct orr_history *orr_history_create(const struct orr_model *model);
/* NULL is allowed. */
ORR_API void orr_history_destroy(struct orr_history *history);

/* A call begins now. Of `call` (copied) client, key, kind, argument and begun_ns count. Returns its
 * number. */
ORR_API uint64_t orr_history_begin(struct orr_history *history, const struct orr_call *call);
/* The call returns now. A call ends once, or never. */
ORR_API void orr_history_end(struct orr_history *history, uint64_t call, uint64_t result,
                             uint64_t ended_ns);
/* How many calls there are; and one of them, in order of their begins, from 0 on. It lives until
 * the history changes. */
ORR_API uint64_t orr_history_count(const struct orr_history *history);
ORR_API const struct orr_call *orr_history_call(const struct orr_history *history, uint64_t call);

/* ---- judging --------------------------------------------------------------------------------- */

enum orr_verdict {
    ORR_VERDICT_LINEARIZABLE,
    ORR_VERDICT_NOT_LINEARIZABLE,
    ORR_VERDICT_UNKNOWN /* too much: the search met its limit before it knew */
};

#define ORR_HISTORY_MEMORY_DEFAULT (UINT64_C(64) << 20)

/*
 * Judges a history, key after key, with at most `memory_max` bytes (0 = the default) for what a
 * search remembers; that bounds its time, too. Writes to `ret_text` (may be NULL if text_size is 0)
 * for NOT_LINEARIZABLE the key and the fewest calls it found that have no order, for UNKNOWN the
 * key and what to do, else nothing. ORR_NOTE_MAX bytes hold it, unless the model is wordy.
 */
ORR_API enum orr_verdict orr_history_judge(const struct orr_history *history, uint64_t memory_max,
                                           char *ret_text, size_t text_size);

/* The same as a check of a scenario, with a note that tells the calls: true if the history is
 * linearizable, else the run ends as failed; also when it is too much to know. */
#define orr_linearizable(world, history, text) \
    orr_check_linearizable((world), (history), (text), ORR_CHECK_SITE)
/* What the macro calls; `text` must live as long as the world. */
ORR_API bool orr_check_linearizable(struct orr_world *world, const struct orr_history *history,
                                    const char *text, const char *site);

ORR_END
#endif

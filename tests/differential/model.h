/*
 * model.h: just enough of the contract to keep a determined program determined.
 *
 * The model predicts no results; two backends agreeing is what the test is about. It knows which
 * operations can end without another step, and which would race with one in flight, so that the
 * result would be anybody's guess. It is told every step before the interpreter takes it, and every
 * wait; since it looks at nothing else, it says the same on every backend.
 */
#ifndef ORR_TESTS_DIFFERENTIAL_MODEL_H
#define ORR_TESTS_DIFFERENTIAL_MODEL_H

#include "program.h"

#define CONNECTIONS_MAX STEPS_MAX
#define QUEUE_MAX 8u
#define NOBODY 255u

enum model_kind {
    MODEL_EMPTY, /* nothing yet, closed, or an open that may have failed: nothing on it blocks */
    MODEL_STREAM,
    MODEL_LISTENER,
    MODEL_CONNECTED,
    MODEL_DATAGRAM
};

struct model_slot {
    enum model_kind kind;
    enum orr_family family;
    uint32_t address; /* the number of the address it is or was bound to, 0 = none */
    uint32_t connection;
    uint32_t end;
    uint32_t backlog; /* of a listener */
    uint32_t queued;
    uint32_t queue[QUEUE_MAX]; /* connections to be accepted */
    uint32_t datagrams;        /* to be received */
    uint32_t datagram_bytes;
    uint32_t sender; /* of the last one: slot */
    uint32_t peer;   /* connected to this address, 0 = not connected */
    bool guess;      /* bound to an address that another had or has, or not: who knows */
    bool by_path;    /* its address is or was a name among the files */
    uint32_t names;  /* how often names had changed when it was bound to that */
    bool refused;    /* a datagram met a closed port: the next operation hears of it */
    bool shut;
    bool was_refused; /* a connect to nobody: how fast it was told decides what listen says */
    bool mute;        /* a datagram socket whose sends end with -EPIPE */
};

struct model_connection {
    enum orr_family family;
    uint32_t slots[2];       /* NOBODY: not accepted yet, or closed */
    uint32_t outstanding[2]; /* bytes that this end can receive */
    bool shut_receive[2];
    bool shut_send[2];
    bool closed[2];
    bool dead;      /* reset: everything on it ends */
    bool unsettled; /* an end of it is on its way */
    bool carrying;  /* bytes may be on their way */
};

struct model_pending {
    bool in_flight;
    bool ended; /* without another look: canceled, or of a kind that never waits */
    bool canceled;
    struct step step;
};

struct model {
    struct model_slot slots[SLOTS];
    struct model_connection connections[CONNECTIONS_MAX];
    struct model_pending pending[STEPS_MAX];
    uint32_t connection_count;
    uint32_t address_count;
    uint64_t guessed; /* addresses that a guess may have: a bit each */
    uint32_t names_changed;
    bool quiet; /* nothing is on its way */
    bool large; /* more is outstanding at once than fits into the smallest buffers of the world */
};

enum model_verdict {
    MODEL_GO,
    MODEL_WAIT,   /* for all that can end; then ask again */
    MODEL_SETTLE, /* lets arrive what is on its way; then ask again */
    MODEL_SKIP    /* its result would be anybody's guess, or nothing at all */
};

void model_init(struct model *model);
/* What has to come before step `at`. */
enum model_verdict model_admit(const struct model *model, const struct step *step, uint32_t at);
/* The step is taken. */
void model_take(struct model *model, const struct step *step, uint32_t at);
/* A bind by path succeeded. All backends agree on whether it does, or the step itself tells. */
void model_bound_by_path(struct model *model, const struct step *step);
/* True if the operation of that step is in flight and ends without another step. */
bool model_can_end(const struct model *model, uint32_t at);
/* It has a part of what it waits for: its end by force is not determined. */
bool model_is_partial(const struct model *model, uint32_t at);
/* All that can end has ended. */
void model_waited(struct model *model);
/* What was on its way has arrived. */
void model_settled(struct model *model);

/* The step as what lies in its slot takes it. */
struct step model_step(const struct model *model, const struct step *step);
/* The address that a datagram goes to, 0 = none. */
uint32_t model_datagram_target(const struct model *model, const struct step *step);

/* ---- kinds of steps -------------------------------------------------------------------------- */

bool step_receives(uint8_t op);
bool step_sends(uint8_t op);
/* Works on files or names, not on sockets. */
bool step_is_file(uint8_t op);
/* The step as a socket takes it: at offset 0, reads receive and writes send, in one attempt. */
struct step step_on_socket(const struct step *step);

#endif

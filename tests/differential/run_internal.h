/*
 * run_internal.h: the run under way, shared by the parts of the interpreter.
 *
 *   run.c        steps, waits, the end of operations
 *   run_submit.c how each step is submitted
 *   run_look.c   what is remembered of an operation, and of what the program left behind
 */
#ifndef ORR_TESTS_DIFFERENTIAL_RUN_INTERNAL_H
#define ORR_TESTS_DIFFERENTIAL_RUN_INTERNAL_H

#include "run.h"

#define VECTORS_MAX 4u

struct run;

struct operation {
    struct orr_completion completion;
    struct run *run;
    uint32_t at;
    bool submitted;
    bool target_in_flight; /* of a cancel, at submit */
    uint32_t calls;
    uint32_t order;
    int64_t result;
    orr_handle handle;
    uint64_t submitted_ns;
    struct orr_address address;
    struct orr_datagram datagram;
    struct orr_stat stat;
    struct orr_vector vectors[VECTORS_MAX];
    uint8_t *bytes; /* TRANSFER_MAX */
};

struct run_slot {
    orr_handle handle; /* or ORR_HANDLE_NONE */
    bool is_socket;
    bool is_closed;
    enum orr_family family;
    enum orr_socket_type type;
    struct orr_address address; /* that it was bound to; length 0 = none */
    uint64_t sent;              /* bytes of the stream */
    uint64_t received;
};

#define HANDLES_MAX (STEPS_MAX + 1)

struct run {
    const struct program *program;
    struct ground *ground;
    struct orr_loop *loop;
    struct record *record;
    struct model model; /* of determined programs */
    struct run_slot slots[SLOTS];
    struct operation operations[STEPS_MAX];
    orr_handle handles[HANDLES_MAX]; /* all that were opened */
    uint32_t handle_count;
    uint32_t calls;
    struct orr_completion watchdog;
    bool hangs;
    bool blurred;  /* how many bytes a stream carried is not known any more */
    bool draining; /* the end of the program: what ends now ends by force */
};

/* run.c */
void run_called(void *context, struct orr_completion *completion, int64_t result);
void run_break(struct run *run, const char *format, ...) ORR_PRINTF(2, 3);
/* Submits with a completion of the interpreter's own, and waits. */
typedef void (*run_submit_function)(struct run *run, struct orr_completion *completion,
                                    orr_callback callback, void *context, void *arguments);
int64_t run_and_wait(struct run *run, run_submit_function submit, void *arguments);

/* run_submit.c */
void run_submit(struct run *run, uint32_t at);
/* Immediate calls: the result, and what it says. */
int64_t run_immediate(struct run *run, const struct step *step, uint64_t *ret_extra);
/* What is left out everywhere, and two transfers one way on one stream. */
bool run_forbids(const struct run *run, const struct step *step);

/* The step as what lies in its slot takes it. */
struct step run_step(const struct run *run, const struct step *step);

/* run_look.c */
uint64_t run_hash(uint64_t hash, const void *bytes, size_t length);
/* What the answer says besides its result. */
uint64_t run_extra(struct run *run, struct operation *operation);
uint64_t run_address_facts(struct run *run, const struct orr_address *address,
                           enum orr_socket_type type);
uint64_t run_list_facts(struct run *run, orr_handle directory, int64_t *ret_result);
void run_look_at_files(struct run *run);
/* The byte at that place of every stream. */
uint8_t run_byte(uint64_t at);

#endif

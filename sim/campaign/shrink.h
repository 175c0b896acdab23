/*
 * shrink.h: what the parts of a shrink share: the faults of the recorded run, those that are kept,
 * and runs with some of them. shrink.c tells how it goes.
 *
 * Texts of faults lie in mappings that stay until the process ends.
 */
#ifndef ORRERY_CAMPAIGN_SHRINK_H
#define ORRERY_CAMPAIGN_SHRINK_H

#include "campaign.h"

enum {
    ORR__SHRINK_SIZE_BYTES_MAX = 32, /* of a time: "61234567ns" */
    ORR__SHRINK_PARAMETERS_MAX = 64,
    ORR__SHRINK_NUMBER_BYTES_MAX = 24,
    ORR__SHRINK_LOSSES_MAX = 1024, /* parts of power losses that are looked at */
    ORR__SHRINK_MOVES_MAX = 64,    /* other places of a crash that are tried at once */
    ORR__SHRINK_SET_MAX = 2,
};

/* A fault of the recorded run. */
struct orr__shrink_fault {
    const char *text; /* without the comment, and without the time if it has one */
    uint32_t length;
    uint64_t time_ns; /* UINT64_MAX = it has none */
    bool is_appointment;
    bool is_moved;   /* an appointment that stands for a crash of the recorded run */
    bool is_loss;    /* a part of a power loss: what does not survive it */
    bool loses_only; /* a power loss that loses nothing but such parts */
};

/* What a run leaves out, or makes shorter; or what else it is given. */
struct orr__shrink_trial {
    size_t set[ORR__SHRINK_SET_MAX]; /* in the place of the kept faults: these ... */
    size_t set_count;                /* ... unless there are none */
    size_t from;                     /* of the kept faults: those from here ... */
    size_t to;                       /* ... to before this one are left out */
    size_t changed;
    uint64_t time_ns; /* of the changed one; UINT64_MAX = none is changed */
};

struct orr__shrink {
    struct orr__command *command;
    struct orr__job job; /* the command's, with smaller parameters */
    struct orr_parameter_value values[ORR__SHRINK_PARAMETERS_MAX];
    char numbers[ORR__SHRINK_PARAMETERS_MAX]
                [ORR__SHRINK_NUMBER_BYTES_MAX]; /* of values that were made smaller */
    struct orr__nursery nursery;
    struct orr__result *results; /* one for each job */
    char *texts;                 /* the replay file of each job, text_bytes each */
    size_t text_bytes;
    char *recorded;
    size_t recorded_bytes;
    struct orr__shrink_fault *faults;
    size_t fault_count;
    size_t struck; /* of them, in the recorded run */
    size_t losses; /* that were added */
    size_t *kept;  /* indices of faults */
    size_t kept_count;
    char check[sizeof((struct orr_outcome *)NULL)->check];
    enum orr__cause cause;
    char group[ORR__LINE_MAX];
    uint64_t runs;
    uint64_t begin_ns;
    struct orr__progress progress;
    char record_path[ORR__PATH_MAX_BYTES];
    const char *output; /* the path of the result: the command's, or made here */
    char path[ORR__PATH_MAX_BYTES];
};

/* The kept faults as they are. */
extern const struct orr__shrink_trial orr__shrink_nothing;

/* Runs all jobs to their ends. Returns 0 or -errno. */
int orr__shrink_run(struct orr__shrink *shrink, const struct orr__job *jobs, uint32_t count);
/* The text that a run is given, for that place of the nursery. */
const char *orr__shrink_compose(const struct orr__shrink *shrink, uint32_t job,
                                const struct orr__shrink_trial *trial);
bool orr__shrink_ends_with(const struct orr__shrink_fault *fault, const char *end);
/* Which of the trials, the first of them, still fails; `count` if none does. As many run at a time
 * as there are jobs. Returns 0 or -errno. */
int orr__shrink_first_that_fails(struct orr__shrink *shrink, const struct orr__shrink_trial *trials,
                                 uint32_t count, uint32_t *ret_first);
/* Does it fail so with the kept faults? Returns 0 or -errno. */
int orr__shrink_try_kept(struct orr__shrink *shrink, bool *ret_fails);
/* Runs the seed with `faults` (NULL: its own) and reads which struck. */
int orr__shrink_record(struct orr__shrink *shrink, const char *faults);
void orr__shrink_add_fault(struct orr__shrink *shrink, const struct orr__fault_line *line);
/* A line that is a part of a power loss. */
bool orr__shrink_is_loss(const struct orr__fault_line *line);

/* Has power losses lose no more than is needed (shrink_loss.c). Returns 0 or -errno. */
int orr__shrink_losses(struct orr__shrink *shrink);
/* Looks for a smaller set than that of the kept faults (shrink_move.c). Returns 0 or -errno. */
int orr__shrink_move(struct orr__shrink *shrink);

/* Where the result goes (shrink_tell.c): "kv-3.replay"; of a file, "this-shrunk.replay" beside
 * it. */
const char *orr__shrink_output_path(const struct orr__command *command,
                                    char path[ORR__PATH_MAX_BYTES]);
/* Returns 0 or the exit status, after an error message. */
int orr__shrink_write_file(const struct orr__shrink *shrink);
void orr__shrink_tell(const struct orr__shrink *shrink);

#endif

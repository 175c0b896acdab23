/*
 * campaign.h: what the files of sim/campaign/ share: seeds in processes of their own, and the
 * command line.
 *
 *   addresses.c  memory laid out in the same way in every run
 *   command.c    orr_command_line: verbs and options; help.c: what --help says
 *   scenarios.c  the built-in scenarios and those of shared objects; parameters
 *   campaign.c   many seeds: order, stopping; totals.c: sums, and groups of failures
 *   merge.c      the campaigns of several machines as one; shards.c: their files
 *   nursery.c    the processes: fork, shared memory, captured output, time limit
 *   capture.c    what a process printed: its last bytes, and the lines that say why it died
 *   verdict.c    from how a process ended to the check that failed
 *   input.c      a fuzzer's input in place of a seed; `convert`
 *   replay.c     one seed with its story; replay_source.c: out of a file; trace.c: its traces
 *                (trace.h has a map of their files)
 *   futures.c    one run, and many processes that continue it from an instant on (futures.h);
 *                branch.c: the verb; inevitable.c: from which instant on all of them fail
 *   replay_folder.c all the replay files of a folder, as tests
 *   shrink.c     a failing seed down to the faults that it needs; explain.c: what each of them is
 *                needed for; parting.c: where two runs part; faults.c: lines of replay files
 *   sweep.c      a passing seed with every single fault; private.c: memory that seeds do not notice
 *   group.c      which failures have one cause; frame.c: the frames of a sanitizer's report
 *   crash.c      where in the program a signal struck
 *   twice.c      seeds that are run twice, and where two runs differ; disturb.c: other memory for
 *                the second
 *   report.c     failures and the summary for eyes; json.c: the same for programs
 *   record.c     what json.c wrote, read back
 *   progress.c   the moving line on a terminal
 *   list.c       `list`; parse.c: numbers, seeds, durations; text.c: names alike, quoting, units
 *
 * The model. The process that the user started never runs a scenario. It forks one child per
 * seed, so that each seed begins from the same image, and whatever it does to itself (a crash,
 * exit, a hang) ends that seed alone. From the first fork to the last this process neither
 * allocates nor frees: a heap that changed with what was found before would make a seed depend on
 * the seeds before it. What grows lives in shared mappings, which a child gives up but for its own
 * slot. What is allocated before the first fork has sizes that no option changes, so that a seed's
 * own memory has the same addresses in a campaign and in its replay.
 *
 * Results are taken in the order of the seeds, whatever order the processes end in, so that a
 * campaign says the same with any number of jobs.
 */
#ifndef ORR_SIM_CAMPAIGN_H
#define ORR_SIM_CAMPAIGN_H

#include "../witness.h"

#include <orrery/sim.h>

#include <sys/types.h>

struct orr__replay_head;
struct orr__stem;

enum {
    ORR__JOBS_MAX = 256,
    ORR__PLACES_MAX = ORR__JOBS_MAX + 2, /* and for two runs that are compared event by event */
    ORR__LOADS_MAX = 16,
    ORR__OUTPUT_MAX = 8192, /* bytes kept of what a seed printed: the last ones */
    ORR__LINE_MAX = 256,    /* of the lines kept: a check is no longer */
    ORR__SHARDS_MAX = 1000, /* merge has a file open for each */
    ORR__WITHOUT_MAX = 16,
    ORR__PATH_MAX_BYTES = 4096,
};

/* ---- one seed in a process (nursery.c, capture.c, verdict.c) ------------------------------- */

/* What every seed of a command runs. */
struct orr__job {
    const struct orr_scenario *scenario;
    const struct orr_parameter_value *parameters;
    size_t parameter_count;
    uint64_t timeout_ns; /* of real time per seed; 0 = none */
    bool replay;         /* the child writes its story, and all it prints is passed on to stdout */
    bool trace;          /* the story includes every event */
    const char *faults;  /* the text of a replay file that says which strike, or NULL */
    const char *record;  /* a replay file of the run is written there, or NULL */
    const char *points;  /* the faults that could strike are written there, or NULL */
    const char *names;   /* the names of the lanes that are drawn from, too, or NULL */
    uint8_t *input;      /* a fuzzer's, in normal form, its seed included; NULL = the seed alone */
    size_t input_bytes;
    uint64_t *cells; /* of the input */
    size_t cell_count;
    const char *lane_names;          /* for them, each in a line, or a replay file; or NULL */
    struct orr__recorder *recorders; /* what writes the traces; NULL = nothing does */
    struct orr__stem *stem;          /* what makes a parent of the child; NULL = nothing does */
};

/* What a process printed. Bytes go around in `tail`; the lines that say why it died are kept
 * apart, so that a flood of others does not wash them away. */
struct orr__capture {
    uint64_t length; /* of everything so far */
    uint32_t line_length;
    char tail[ORR__OUTPUT_MAX];
    char line[ORR__LINE_MAX];    /* the line under way, its first bytes */
    char fatal[ORR__LINE_MAX];   /* the last line that begins with "orrery: " */
    char summary[ORR__LINE_MAX]; /* the first SUMMARY line of a sanitizer */
    char runtime
        [ORR__LINE_MAX];       /* the first ": runtime error: " line: not every sanitizer sums up */
    char frame[ORR__LINE_MAX]; /* of a sanitizer's report, the first frame of the program */
    char assertion[ORR__LINE_MAX]; /* what assert() said last */
};

/* Why a seed failed, by kind. */
enum orr__cause {
    ORR__CAUSE_CHECK, /* of the scenario or the world */
    ORR__CAUSE_FATAL, /* the library found a programming error */
    ORR__CAUSE_SANITIZER,
    ORR__CAUSE_LEAK,  /* a sanitizer, too */
    ORR__CAUSE_CRASH, /* a signal */
    ORR__CAUSE_EXIT,
    ORR__CAUSE_HANG,
    ORR__CAUSE_NONDETERMINISM, /* a second run did something else */
    ORR__CAUSE_COUNT           /* also: it did not fail */
};

/* Which seed, and what became of it. */
struct orr__result {
    struct orr_outcome outcome; /* a crash is in it, too: as failed check and detail */
    enum orr__cause cause;
    char group[ORR__LINE_MAX]; /* what all failures of one cause have in common; "" = none */
    const char *replay; /* the command that brings it back; NULL = this campaign's own command */
    bool finished; /* the scenario ran to its end: counters and trace hash are the world's own */
    bool killed;   /* the time was over */
    bool differs;  /* of two runs: another one did something else */
    uint64_t recorded_hash; /* of one of two runs */
    uint32_t output_length;
    char output[ORR__OUTPUT_MAX]; /* only of a seed that failed */
};

/* How a process ended. */
struct orr__end {
    int status;  /* of waitpid */
    bool killed; /* by us: the time was over */
    uint64_t timeout_ns;
};

/* The part of memory through which a child answers. */
struct orr__slot {
    uint64_t live_hash;
    uint64_t position; /* the last instant that was passed: events that had run (sim/future.h) */
    char untold[ORR_UNTOLD_MAX]; /* of the story */
    uint64_t fault_address;      /* the instruction that a signal struck, if fault_signal */
    uint32_t fault_signal;
    struct orr_witness witness; /* of one of two runs */
    uint32_t finished;          /* set last: what is in outcome before that is not believed */
    struct orr_outcome outcome;
};

/* Which run of a seed: its only one, or one of two. The first of two is like the only one; the
 * second has other garbage in its memory, and other addresses. */
enum orr__twin { ORR__TWIN_NONE, ORR__TWIN_FIRST, ORR__TWIN_SECOND };

/* One place where a seed can run. */
struct orr__child {
    pid_t pid; /* 0 = free */
    enum orr__twin twin;
    int output; /* read end of the pipe that is its stdout and stderr; -1 = closed */
    uint64_t seed;
    uint64_t deadline_ns; /* UINT64_MAX = none */
    bool killed;
    struct orr__slot *slot;
    struct orr__capture capture;
};

struct orr__nursery {
    struct orr__child *children;
    uint32_t count;
    void *slots; /* ORR__PLACES_MAX of them */
    size_t slot_size;
    void *extra; /* what the caller asked for */
    size_t extra_size;
    int null; /* stdin of the children */
};

/*
 * Makes places for `count` children, and `extra_size` zeroed bytes that outlive forks without
 * being copied (NULL inside the children). SIGINT, SIGTERM and SIGHUP only end orr__nursery_wait
 * from here to the close. Returns 0 or -errno.
 */
int orr__nursery_open(struct orr__nursery *nursery, uint32_t count, size_t extra_size,
                      void **ret_extra);
/* Kills the children that run, and puts signals back. */
void orr__nursery_close(struct orr__nursery *nursery);
/* Starts a seed in a free place. Returns 0 or -errno. */
int orr__nursery_start(struct orr__nursery *nursery, struct orr__child *child,
                       const struct orr__job *job, uint64_t seed);
/* The same for one of two runs of the seed. `stream` gets its events, or -1. */
int orr__nursery_start_twin(struct orr__nursery *nursery, struct orr__child *child,
                            const struct orr__job *job, uint64_t seed, enum orr__twin twin,
                            int stream);
/* Makes a parent of a child of job.stem: from here on it may branch, wait and reap, in any place of
 * the nursery but its own. */
void orr__nursery_stand(void);
/* Forks such a child into a free place. Returns 1 in the new process, which goes on with the run
 * and answers in that place, else 0 or -errno. */
int orr__nursery_branch(struct orr__nursery *nursery, struct orr__child *child,
                        const struct orr__job *job, uint64_t seed);
/* Ends a child that runs, and frees its place. */
void orr__nursery_kill(struct orr__child *child);
/* Waits until a child ended, printed, or ran out of time (then it is killed), `wake_ns` has come,
 * or a signal asks for the end; takes in what was printed, and passes it on if `replay`. */
void orr__nursery_wait(struct orr__nursery *nursery, const struct orr__job *job, uint64_t wake_ns);
/* Runs one seed to its end, in the first place. Returns 0, or -errno: -EINTR when a signal asked
 * for the end. */
int orr__nursery_run(struct orr__nursery *nursery, const struct orr__job *job, uint64_t seed,
                     struct orr__result *ret_result);
/* If the child has ended: frees its place and says what became of the seed. */
bool orr__nursery_reap(struct orr__child *child, const struct orr__job *job,
                       struct orr__result *ret_result);
/* The signal that asked for the end, or 0. */
int orr__nursery_signal(void);
/* Hands on what stdout buffers. Returns 0, or -errno of the first write to it that failed. */
int orr__flush(void);
/* Runs a function in a process of its own, so that what it allocates leaves this one as it is, and
 * waits for it. Returns 0, or -errno if it could not be run or could not write to stdout. */
int orr__nursery_aside(struct orr__nursery *nursery, void (*function)(const void *context),
                       const void *context);
/* Real time, ns since some moment. */
uint64_t orr__clock_ns(void);

void orr__capture_clear(struct orr__capture *capture);
void orr__capture_add(struct orr__capture *capture, const char *bytes, size_t length);
/* Ends the last line. */
void orr__capture_end(struct orr__capture *capture);
/* Copies the last bytes, from the beginning of a line. Returns how many. */
uint32_t orr__capture_tail(const struct orr__capture *capture, char output[ORR__OUTPUT_MAX]);

/* Fills in the result of a seed from the child's slot, its end and its output. */
void orr__verdict(const struct orr__child *child, const struct orr__end *end,
                  struct orr__result *ret_result);

/* In a child: has its slot told which instruction dies by SIGSEGV and the like, unless a sanitizer
 * watches these signals. */
void orr__crash_watch(struct orr__slot *slot);
/* " in f+0x12" or " at program+0x4f0", or "" if the slot does not tell. Returns the text. */
const char *orr__crash_text(const struct orr__slot *slot, char *text, size_t size);

/* If the line is a frame of a sanitizer's report, and of the program rather than of the sanitizer:
 * "f x.c:12", or "program+0x4f0" where there are no names. */
bool orr__frame_read(const char *line, char text[ORR__LINE_MAX]);

/* Names the group of a failed result, whose cause and check are known. */
void orr__group_name(const struct orr__child *child, struct orr__result *result);
/* True if it failed for that cause: the same failure, not any. */
bool orr__group_has(enum orr__cause cause, const char *group, const struct orr__result *result);
/* "check", "fatal", "sanitizer", ... and back; ORR__CAUSE_COUNT = no such name. */
const char *orr__cause_name(enum orr__cause cause);
enum orr__cause orr__cause_find(const char *name);

/* ---- seeds that are run twice (twice.c, disturb.c) ------------------------------------------- */

/* What is kept of a second run. */
struct orr__second {
    bool in; /* it has ended */
    bool failed;
    bool finished;
    uint64_t recorded_hash;
    uint64_t events;
    char check[ORR__LINE_MAX];
};

enum { ORR__TWICE_DEFAULT = 64 };

/* True if this seed is run twice, one in `every`: the same ones always. 0 = none. */
bool orr__twice_chooses(uint64_t every, uint64_t seed);
void orr__twice_keep(const struct orr__result *result, struct orr__second *ret_second);
/* Compares two runs; if they are not the same, the first becomes a failure that says so. */
void orr__twice_judge(struct orr__result *first, const struct orr__second *second);
/* Runs the seed of such a failure in pairs until the first event that differs is found, and adds it
 * to the detail. Takes a while, allocates nothing in this process. */
int orr__twice_locate(struct orr__nursery *nursery, const struct orr__job *job,
                      struct orr__result *result);
/* " --twice" if the failure does not come back without, else "". */
const char *orr__twice_option(bool differs);

/* Calls a function in memory that lies elsewhere and holds garbage; for the rest of the process. */
void orr__disturb(void (*function)(void *context), void *context);

/* ---- the command line ------------------------------------------------------------------------ */

/* Which faults strike in a future: those of its seed, none, or the same as before the instant. */
enum orr__then { ORR__THEN_SEED, ORR__THEN_NONE, ORR__THEN_SAME, ORR__THENS };
/* "seed", "none", "same". */
const char *orr__then_name(enum orr__then then);

enum orr__trace_kind { ORR__TRACE_TEXT, ORR__TRACE_PERFETTO, ORR__TRACE_PAGE, ORR__TRACE_KINDS };

/* Everything the command line said. */
struct orr__command {
    char **argv;
    const char *program; /* argv[0] */
    const char *verb;
    const struct orr_scenario *const *built_in; /* ended by NULL */
    const char *loads[ORR__LOADS_MAX];          /* shared objects, as typed */
    const struct orr_scenario *const *loaded[ORR__LOADS_MAX];
    uint32_t load_count;

    const char **words; /* what is no option: the scenario and name=value */
    uint32_t word_count;
    uint32_t words_given; /* of them, by the command line, when replay files add others */
    struct orr_parameter_value *parameters;
    struct orr__job job;
    const char *timeout_text;             /* as typed, or NULL */
    const char *traces[ORR__TRACE_KINDS]; /* wanted, and the file; NULL = not wanted */

    uint64_t seed_first;
    uint64_t seed_last;
    bool seed_given;
    uint64_t time_ns; /* 0 = no limit */
    uint32_t jobs;
    bool jobs_given;
    uint64_t failures_max; /* stop after so many; 0 = never */
    bool failures_given;
    uint32_t shard;       /* of those seeds, every shard_count-th, from this one on; from 0 */
    uint32_t shard_count; /* 1 = all seeds */
    uint64_t twice_every; /* which seeds are run twice */
    bool twice_given;
    bool json;
    bool json_all;        /* not only seeds that failed */
    int addresses_status; /* 0 = they are the same in every run, or -errno: why not */

    char *replay_head; /* "build/orrery replay kv bug=x --seed ", to be followed by the seed ... */
    char *replay_tail; /* ... and this */

    const char *file; /* the replay file as typed, or NULL; then the head needs no seed */
    char *file_text;
    size_t file_bytes;
    struct orr__replay_head *file_head;
    const char *input;                     /* the file of a fuzzer's input, or NULL */
    const char *output;                    /* where `convert`, `shrink`, `sweep` write, or NULL */
    uint64_t pairs;                        /* of faults that `sweep` tries */
    const char *without[ORR__WITHOUT_MAX]; /* faults of the run that shall not strike */
    uint32_t without_count;

    const char *at; /* the instant where futures begin, or NULL */
    bool future_given;
    uint64_t future;  /* the seed of the one to replay */
    uint64_t futures; /* how many, of other verbs */
    enum orr__then then;
    bool then_given;
};

/* Writes the command line that replays a file, up to the file. */
void orr__command_of_file(FILE *out, const struct orr__command *command, const char *path);
/* Writes the parameters that stand on the command line behind a replay file. */
void orr__command_parameters(FILE *out, const struct orr__command *command);
/* Writes the command line that brings a seed back, without an end of line. */
void orr__command_again(FILE *out, const struct orr__command *command, uint64_t seed);

/* The status of wrong usage, and of what cannot run at all. */
enum { ORR__EXIT_CLEAN = 0, ORR__EXIT_FAILING = 1, ORR__EXIT_USAGE = 2 };

/* Prints "PROGRAM: message", and where to read more. Returns ORR__EXIT_USAGE. */
int orr__usage_error(const struct orr__command *command, const char *format, ...) ORR_PRINTF(2, 3);
/* The same for what is not the user's mistake: without the hint. */
int orr__error(const struct orr__command *command, const char *format, ...) ORR_PRINTF(2, 3);

/* For a write to stdout that failed with -errno. A reader who left is no error to speak of: this
 * process ends by SIGPIPE then, as others do. */
int orr__write_error(const struct orr__command *command, int status);

/* Has the system lay memory out in the same way in every run: starts the program over, if need be.
 * Returns 0, or -errno where that is refused. */
int orr__addresses_fix(char **argv);
/* Says so after a failing seed if it was refused. */
void orr__addresses_tell(const struct orr__command *command);

/* The verbs. Each returns the exit status. */
int orr__list(struct orr__command *command);
int orr__campaign(struct orr__command *command);
int orr__replay(struct orr__command *command);
int orr__shrink(struct orr__command *command);
/* Shrinks, and says nothing of it but errors. Returns 0 and the path of the file, or the exit
 * status. */
int orr__shrink_quietly(struct orr__command *command, bool quiet, const char **ret_path);
int orr__explain_faults(struct orr__command *command);
int orr__sweep(struct orr__command *command);
int orr__merge(struct orr__command *command);
int orr__branch(struct orr__command *command);
int orr__inevitable(struct orr__command *command);
int orr__convert(struct orr__command *command);

/* The pages of --help (help.c). */
void orr__help(const struct orr__command *command);
void orr__help_list(const struct orr__command *command);
void orr__help_run(const struct orr__command *command);
void orr__help_replay(const struct orr__command *command);
void orr__help_shrink(const struct orr__command *command);
void orr__help_explain(const struct orr__command *command);
void orr__help_sweep(const struct orr__command *command);
void orr__help_convert(const struct orr__command *command);
void orr__help_merge(const struct orr__command *command);
void orr__help_branch(const struct orr__command *command);
void orr__help_inevitable(const struct orr__command *command);

/* ---- private.c ------------------------------------------------------------------------------- */

/* Zeroed memory in a mapping of its own, with a byte to spare; NULL: there is none. */
void *orr__private_map(size_t bytes);
/* Reads a whole regular file into such memory, ended by a NUL; the caller unmaps it. Returns 0 or
 * -errno: -EISDIR if it is no regular file, -EFBIG if it is larger than that. */
int orr__private_read(const char *path, size_t bytes_max, char **ret_text, size_t *ret_bytes);
/* The same of a file of any size, and removes it. */
int orr__private_take(const char *path, char **ret_text, size_t *ret_bytes);
/* The same into memory that is there, as much as fits, ended by a NUL. */
int orr__private_take_into(const char *path, char *text, size_t bytes_max);
/* A path in the folder for temporary files that no other process uses. */
void orr__private_path(char *path, size_t size);

/* ---- replay files (replay_source.c) ---------------------------------------------------------- */

/* True if a word is the name of a replay file and not of a scenario. */
bool orr__is_replay_file(const char *word);
/* Reads the replay file that is the first word, and puts its scenario and parameters in that
 * word's place. Returns 0 or the exit status, after an error message. */
int orr__replay_file_open(struct orr__command *command);
void orr__replay_file_close(struct orr__command *command);
/* True if a word is the path of a folder, with a '/' in it. */
bool orr__is_folder(const char *word);
/* True if a check that failed is the one that the command's file was kept for; true without such a
 * file. */
bool orr__replay_file_expects(const struct orr__command *command, const char *check);
/* Opens a replay file in the place of what the words said, and takes its scenario. Parameters of
 * the command line stay. Returns as above. */
int orr__replay_file_choose(struct orr__command *command, const char *path);
/* Has the job run without the faults that --without names. Returns as above. */
int orr__replay_without(struct orr__command *command);
/* Replays all files of the folder that is the first word. Returns the exit status. */
int orr__replay_folder(struct orr__command *command);
/* Writes which run it is: check (NULL: none), scenario, parameters, seed, lanes. */
void orr__replay_file_head(FILE *out, const struct orr__job *job, uint64_t seed, const char *check);
/* Writes what stands before the faults: the same, and `only`. */
void orr__replay_file_begin(FILE *out, const struct orr__job *job, uint64_t seed,
                            const char *check);

/* ---- inputs (input.c) ------------------------------------------------------------------------ */

/* Reads the file of --input; its seed is the command's. Returns 0 or the exit status, after an
 * error message. */
int orr__input_open(struct orr__command *command);
/* Takes the lanes of the replay file that was read, if it has any. Returns as above. */
int orr__input_of_file(struct orr__command *command);
void orr__input_close(struct orr__command *command);
/* Writes the job's lanes, as lines of a replay file. */
void orr__input_lines(FILE *out, const struct orr__job *job);

/* ---- faults as lines (faults.c) -------------------------------------------------------------- */

/* A line of a replay file that says of a fault, or of a crash, that it strikes. */
struct orr__fault_line {
    const char *text; /* "server/fsync#3 = EIO", and not ended there */
    const char *comment;
    uint32_t text_length;
    uint32_t name_length; /* "server/fsync#3"; of an appointed crash all of it */
    uint32_t comment_length;
    bool is_appointment; /* "server crash @ after fsync#9" */
};

/* The next one of the text from `at` on, which moves on behind it. False: there is none. */
bool orr__fault_line_next(const char **at, struct orr__fault_line *ret_line);
/* True if the line is about the fault of that name. */
bool orr__fault_line_is(const struct orr__fault_line *line, const char *name);
/* True if a recorded line is a crash that a line of a file has appointed, which stands for it. */
bool orr__fault_line_is_appointed(const struct orr__fault_line *line);
/* The text of a replay file, without the fault of that name, in a mapping. NULL: no memory. */
char *orr__faults_without(const char *text, const char *name);

/* ---- where two runs part (parting.c) --------------------------------------------------------- */

enum {
    ORR__PARTING_LAST = 3, /* events before it */
    ORR__PARTING_SIDE = 6, /* events after it, on each side */
    ORR__PARTING_WORDS = 480,
};

struct orr__moment {
    uint64_t time_ns;
    bool is_without; /* it is in the run without the fault */
    /* Events before it that are not shown: in both runs, with the fault only, without it only. */
    uint64_t skipped_both;
    uint64_t skipped_with;
    uint64_t skipped_without;
    char who[64];
    char text[ORR__PARTING_WORDS];
};

struct orr__parting {
    bool part;    /* else they are the same to their ends, as far as they are known */
    bool strikes; /* the fault did */
    uint64_t strikes_ns;
    char strikes_text[ORR__PARTING_WORDS];
    uint64_t common; /* events that are the same in both, before they part */
    uint32_t last_count;
    struct orr__moment last[ORR__PARTING_LAST];
    uint32_t moment_count; /* in the order of time */
    struct orr__moment moments[2 * ORR__PARTING_SIDE];
};

/* What writes the events of a run into a file, and its room for the next run: one for a process.
 * orr__events_begin returns 0 or -errno, orr__events_end too, after it has read the file into
 * `text`, ended by a NUL, and removed it. */
enum { ORR__EVENTS_BYTES_MAX = 64 << 20 };
struct orr__recorder *orr__events_recorder(void);
int orr__events_begin(const char *path);
int orr__events_end(const char *path, char text[ORR__EVENTS_BYTES_MAX + 1]);
/* Compares the events of a run with those of the run without a fault. The fault's own mark is no
 * event: it begins with `mark`, "server/fsync#3 ". */
void orr__parting_find(const char *with, const char *without, const char *mark,
                       struct orr__parting *ret_parting);

/* ---- traces (trace.c) ------------------------------------------------------------------------ */

/* How wide the terminal is, or the environment's COLUMNS; 0 = neither says anything. */
uint32_t orr__trace_width(void);
/* Takes the value of --trace, NULL = none. Returns 0 or the exit status, after an error message. */
int orr__trace_take(struct orr__command *command, const char *text);
/* Makes the files and the recorders of the job. Returns 0 or the exit status, after an error
 * message. */
int orr__trace_open(struct orr__command *command);
/* Completes the files, which are of use without that, too; result NULL = nobody waited for the end
 * of the run. Returns as above. */
int orr__trace_close(struct orr__command *command, const struct orr__result *result);

/* ---- scenarios (scenarios.c) ----------------------------------------------------------------- */

/* Opens the shared objects of --load. Returns 0 or the exit status, after an error message. */
int orr__scenarios_load(struct orr__command *command);
/* Calls visit for each scenario; of two with one name only the first counts, and loaded ones come
 * first. */
void orr__scenarios_visit(const struct orr__command *command,
                          void (*visit)(const struct orr_scenario *scenario, void *context),
                          void *context);
/* Finds the scenario and its parameters among the words. Returns 0 or the exit status, after an
 * error message. */
int orr__scenarios_choose(struct orr__command *command);
/* The value that a run of the job has for a parameter: the given one or the default. */
const char *orr__parameter_value(const struct orr__job *job, const struct orr_parameter *parameter);

/* ---- reports --------------------------------------------------------------------------------- */

enum {
    ORR__DETAILED_MAX = 10,   /* failures told in full at the end: the first of each group */
    ORR__GROUPS_MAX = 64,     /* of failures with one cause */
    ORR__SOMETIMES_MAX = 256, /* different `sometimes` checks of a campaign */
};

enum orr__stop {
    ORR__STOP_END,      /* every seed was run */
    ORR__STOP_FAILURES, /* as many failures as wanted */
    ORR__STOP_TIME,
    ORR__STOP_SIGNAL,
    ORR__STOP_ERROR /* no process, no output: it was said */
};

/* Failing seeds with one cause. */
struct orr__group {
    enum orr__cause cause;
    char text[ORR__LINE_MAX];
    uint64_t failures;
    uint64_t seed;      /* the first of them */
    const char *replay; /* as in its result */
    bool differs;
};

/* What a campaign amounts to: sums over the seeds in order, up to the last one that counts. */
struct orr__totals {
    uint64_t seeds;
    uint64_t failures;
    uint64_t events;
    uint64_t completions;
    uint64_t simulated_ns;
    uint64_t faults;
    uint64_t faults_by_family[ORR_FAMILY_COUNT];
    /* Seeds in which both families struck (the smaller one first), or the one (twice the same). */
    uint64_t seeds_by_pair[ORR_FAMILY_COUNT][ORR_FAMILY_COUNT];
    uint32_t group_count; /* in the order of their first seeds */
    struct orr__group groups[ORR__GROUPS_MAX];
    uint64_t ungrouped; /* failures beyond the last group that fits */
    uint32_t sometimes_count;
    uint32_t sometimes_next; /* where the next `sometimes` text is likely to be */
    bool sometimes_lost;     /* there were more than fit */
    struct {
        char text[96];
        uint64_t seen;
    } sometimes[ORR__SOMETIMES_MAX];

    uint64_t elapsed_ns; /* of real time */
    enum orr__stop stop;
};

/* The moving line: what has been done so far, in whatever order. */
struct orr__progress {
    bool wanted;
    uint32_t width; /* of the line now on the terminal */
    uint64_t next_ns;
    uint64_t seeds;
    uint64_t failures;
    uint64_t events;
    uint64_t simulated_ns;
};

/* Adds a seed, all smaller ones being in already. Returns the group that it is the first of, or
 * ORR__GROUPS_MAX. */
uint32_t orr__totals_add(struct orr__totals *totals, const struct orr__result *result);
/* How many pairs there are of families that struck, and how many struck in one seed. */
struct orr__pairs {
    uint32_t families; /* that struck */
    uint32_t possible;
    uint32_t struck;
};
struct orr__pairs orr__totals_pairs(const struct orr__totals *totals);

/* The seeds of the command's shard by number, from 0 on: whether there is one, and which. */
bool orr__seed_exists(const struct orr__command *command, uint64_t index);
uint64_t orr__seed_at(const struct orr__command *command, uint64_t index);

void orr__progress_open(struct orr__progress *progress, bool json);
/* Rewrites the line if it is time to. */
void orr__progress_show(struct orr__progress *progress, const struct orr__command *command,
                        uint64_t elapsed_ns);
/* The same with a text of one's own. */
void orr__progress_text(struct orr__progress *progress, const char *text, uint64_t elapsed_ns);
void orr__progress_clear(struct orr__progress *progress);

/* "seed 7 fails: crash: SIGSEGV": what failed, in a line. */
void orr__report_verdict(const struct orr__result *result);
/* The last lines of what it printed, if it printed anything. */
void orr__report_output(const struct orr__result *result);
/* "kv bug=x": the scenario and the parameters that were given. */
void orr__report_scenario(const struct orr__job *job);
/* The line of a failing seed at once; at the end the summary, and the first failures of the first
 * groups, as many as are detailed. */
void orr__report_failure(const struct orr__command *command, const struct orr__result *result);
void orr__report_end(const struct orr__command *command, const struct orr__totals *totals,
                     const struct orr__result *kept);

/* Of what json.c writes. */
enum { ORR__SCHEMA = 1 };
void orr__json_seed(const struct orr__command *command, const struct orr__result *result);
void orr__json_summary(const struct orr__command *command, const struct orr__totals *totals);
void orr__json_scenario(const struct orr_scenario *scenario);
const char *orr__stop_name(enum orr__stop stop);

/* ---- parse.c and text.c ---------------------------------------------------------------------- */

/* Each takes the whole text or returns false. Numbers are decimal or 0x hexadecimal. */
bool orr__parse_number(const char *text, uint64_t *ret_number);
/* "N" (1 to N) or "A..B". On failure `ret_why` is a sentence that may hold one %s, the text. */
bool orr__parse_seeds(const char *text, uint64_t *ret_first, uint64_t *ret_last,
                      const char **ret_why);
/* "I/N", I from 1 to N, N at most ORR__SHARDS_MAX; `ret_shard` counts from 0. */
bool orr__parse_shard(const char *text, uint32_t *ret_shard, uint32_t *ret_count);
/* "60s", "5m", "2h", "500ms"; a bare number is seconds. */
bool orr__parse_duration(const char *text, uint64_t *ret_ns);

/* How many letters differ. */
uint32_t orr__text_distance(const char *a, const char *b);
/* Remembers the nearer of two names; what is too far from `wanted` is never near. */
struct orr__nearest {
    const char *wanted;
    const char *name; /* NULL = nothing alike */
    uint32_t distance;
};
void orr__nearest_offer(struct orr__nearest *nearest, const char *name);
/* Writes a word so that a shell reads it back as it was. */
void orr__text_quote(FILE *out, const char *word);
/* Writes lines with an indent; what could move a terminal's cursor is written as \xNN. */
void orr__text_indent(FILE *out, const char *text, size_t length, const char *indent);

/* The plural's "s": "%u seed%s", n, ORR__S(n). */
#define ORR__S(count) ((count) == 1 ? "" : "s")
#define ORR__AMOUNT_MAX 32
/* "812", "1.2 k", "3.45 M"; "30 s", "1 h 12 min". Return the buffer. */
const char *orr__text_count(char buffer[ORR__AMOUNT_MAX], uint64_t count);
const char *orr__text_time(char buffer[ORR__AMOUNT_MAX], uint64_t ns);
/* count per second of a stretch of time. */
uint64_t orr__per_second(uint64_t count, uint64_t ns);

#endif

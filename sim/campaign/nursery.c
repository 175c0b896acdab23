/*
 * nursery.c: one process per seed. fork, not threads and not exec: a seed may corrupt memory,
 * exit or hang, and starting one costs far less than a millisecond.
 *
 * The model: a fixed number of places, each with a slot of shared memory for the answer and,
 * while a seed runs in it, a pipe for what that seed prints. A pipe, not a file: output stays
 * bounded however much a program prints, and `replay` can pass it on while it is written. A child
 * gives up all shared memory but its own slot, so a wild write cannot reach another seed's
 * answer.
 *
 * Signals are blocked except inside ppoll: SIGCHLD, or the user's wish to stop, can arrive only
 * where it is waited for. Children are process groups of their own: Ctrl-C is for this process,
 * and what a child leaves behind goes with it.
 */
#define _GNU_SOURCE 1 /* ppoll, pipe2 */

#include "campaign.h"

#include "../future.h"
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_MAX = 16384,
    READS_AFTER_END_MAX = 64, /* more than a pipe holds: what comes later is not the seed's */
    CPU_GRACE_S = 60,
    POISON = 0x3c, /* of second runs: any byte that changes others */
};

static const int handled[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGPIPE};
enum { HANDLED = sizeof handled / sizeof *handled };

static volatile sig_atomic_t end_signal;
static struct orr__slot *own_slot; /* in a child: where it answers */
static struct sigaction actions_before[HANDLED];
static sigset_t mask_before;

uint64_t orr__clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ORR_SECOND + (uint64_t)now.tv_nsec;
}

/* ---- signals --------------------------------------------------------------------------------- */

static void on_signal(int number)
{
    if (number != SIGCHLD)
        end_signal = number;
}

/* SIGPIPE is ignored, so that a reader who leaves shows as an error of the write. */
static void signals_take(void)
{
    sigset_t block;
    sigemptyset(&block);
    end_signal = 0;
    for (uint32_t i = 0; i < HANDLED; i++) {
        struct sigaction action = {.sa_handler = handled[i] == SIGPIPE ? SIG_IGN : on_signal};
        sigaction(handled[i], NULL, &actions_before[i]);
        bool ignored = actions_before[i].sa_handler == SIG_IGN; /* nohup: leave it so */
        if (!ignored || handled[i] == SIGCHLD)
            sigaction(handled[i], &action, NULL);
        if (handled[i] != SIGPIPE)
            sigaddset(&block, handled[i]);
    }
    sigprocmask(SIG_BLOCK, &block, &mask_before);
}

static void signals_give_back(void)
{
    for (uint32_t i = 0; i < HANDLED; i++)
        sigaction(handled[i], &actions_before[i], NULL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

/* What ppoll waits with: the user's mask, and ours let through. */
static sigset_t waiting_mask(void)
{
    sigset_t mask = mask_before;
    for (uint32_t i = 0; i < HANDLED; i++)
        sigdelset(&mask, handled[i]);
    return mask;
}

int orr__nursery_signal(void)
{
    return end_signal;
}

/* ---- open and close -------------------------------------------------------------------------- */

static void release(struct orr__nursery *nursery)
{
    if (nursery->slots != NULL)
        munmap(nursery->slots, ORR__PLACES_MAX * nursery->slot_size);
    if (nursery->extra != NULL)
        munmap(nursery->extra, nursery->extra_size);
    free(nursery->children);
}

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

static struct orr__slot *slot_of(const struct orr__nursery *nursery, uint32_t index)
{
    return (struct orr__slot *)(void *)((char *)nursery->slots + index * nursery->slot_size);
}

static void *map(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

/* Room for the most jobs, however many there are; pages that are not used cost nothing. The extra
 * comes last: where it was is free again in a child, whatever its size. */
static int allocate(struct orr__nursery *nursery, size_t extra_size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    nursery->slot_size = round_up(sizeof(struct orr__slot), page);
    nursery->extra_size = round_up(extra_size + 1, page);
    nursery->children = calloc(ORR__PLACES_MAX, sizeof *nursery->children);
    nursery->slots = map(ORR__PLACES_MAX * nursery->slot_size);
    nursery->extra = map(nursery->extra_size);
    if (nursery->children != NULL && nursery->slots != NULL && nursery->extra != NULL)
        return 0;
    release(nursery);
    return -ENOMEM;
}

static void prepare_place(struct orr__nursery *nursery, uint32_t index)
{
    nursery->children[index].slot = slot_of(nursery, index);
    nursery->children[index].output = -1;
}

int orr__nursery_open(struct orr__nursery *nursery, uint32_t count, size_t extra_size,
                      void **ret_extra)
{
    nursery->count = count;
    nursery->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nursery->null < 0)
        return -errno;
    int status = allocate(nursery, extra_size);
    if (status < 0) {
        close(nursery->null);
        return status;
    }
    for (uint32_t i = 0; i < count; i++)
        prepare_place(nursery, i);
    for (uint32_t i = ORR__JOBS_MAX; i < ORR__PLACES_MAX; i++)
        prepare_place(nursery, i);
    fflush(NULL); /* or every child would print it again */
    signals_take();
    *ret_extra = nursery->extra;
    return 0;
}

static void kill_child(struct orr__child *child)
{
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL); /* should it have left its group */
}

static void free_place(struct orr__child *child)
{
    if (child->output >= 0)
        close(child->output);
    child->output = -1;
    child->pid = 0;
}

void orr__nursery_kill(struct orr__child *child)
{
    if (child->pid == 0)
        return;
    kill_child(child);
    waitpid(child->pid, NULL, 0);
    free_place(child);
}

void orr__nursery_close(struct orr__nursery *nursery)
{
    for (uint32_t i = 0; i < nursery->count; i++)
        orr__nursery_kill(&nursery->children[i]);
    signals_give_back();
    release(nursery);
    close(nursery->null);
}

/* ---- the child ------------------------------------------------------------------------------- */

/* Makes a limit smaller; false when it is small enough already. */
static bool lower(struct rlimit *limit, uint64_t soft)
{
    bool larger = limit->rlim_cur > soft;
    if (larger)
        limit->rlim_cur = soft;
    return larger;
}

/* Crashes by the thousand leave no core files. Should the parent be killed, processor time is the
 * limit. */
static void child_limits(const struct orr__job *job)
{
    struct rlimit core;
    struct rlimit cpu;
    if (!job->replay && getrlimit(RLIMIT_CORE, &core) == 0 && lower(&core, 0))
        setrlimit(RLIMIT_CORE, &core);
    if (job->timeout_ns > 0 && getrlimit(RLIMIT_CPU, &cpu) == 0 &&
        lower(&cpu, job->timeout_ns / ORR_SECOND + CPU_GRACE_S))
        setrlimit(RLIMIT_CPU, &cpu);
}

/* Slots of others stay taken, as addresses without memory: what the seed maps lies where it would
 * lie in any other slot. */
static void give_up(void *begin, size_t size)
{
    int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (size > 0 && mmap(begin, size, PROT_NONE, flags, -1, 0) == MAP_FAILED)
        munmap(begin, size);
}

/* What a child is for. */
struct errand {
    struct orr__slot *slot;
    const struct orr__job *job;
    uint64_t seed;
    enum orr__twin twin;
};

static void give_up_slots(const struct orr__nursery *nursery, const struct orr__slot *slot)
{
    char *begin = nursery->slots;
    char *own = begin + ((const char *)slot - begin);
    char *after = own + nursery->slot_size;
    give_up(begin, (size_t)(own - begin));
    give_up(after, ORR__PLACES_MAX * nursery->slot_size - (size_t)(after - begin));
}

/* Who is to be a parent itself keeps everything until then. */
static void give_up_memory(const struct orr__nursery *nursery, const struct errand *errand)
{
    if (errand->job->stem != NULL)
        return;
    give_up_slots(nursery, errand->slot);
    munmap(nursery->extra, nursery->extra_size);
}

/* A crash takes at most the line under way with it. A buffer is given because without one a stream
 * that was written to before, by whoever called us, keeps the mode it had. */
static void child_streams(const struct orr__nursery *nursery, int output)
{
    static char buffer[BUFSIZ];
    dup2(nursery->null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
}

/* Written line by line: should the program die, what was written before is there. */
static FILE *open_record(const struct orr__job *job, uint64_t seed)
{
    FILE *record = job->record != NULL ? fopen(job->record, "we") : NULL;
    if (record == NULL)
        return NULL;
    setvbuf(record, NULL, _IOLBF, BUFSIZ);
    orr__replay_file_begin(record, job, seed, NULL);
    return record;
}

static FILE *open_points(const struct orr__job *job)
{
    return job->points != NULL ? fopen(job->points, "we") : NULL;
}

static FILE *open_names(const struct orr__job *job)
{
    FILE *names = job->names != NULL ? fopen(job->names, "we") : NULL;
    if (names != NULL)
        setvbuf(names, NULL, _IOLBF, BUFSIZ);
    return names;
}

/* `outcome` has what is to be told; the slot is the one of the process that has come to the end,
 * which need not be the one that began. */
static void answer(const struct orr_outcome *outcome)
{
    own_slot->outcome = *outcome;
    own_slot->finished = 1;
}

static void run_seed(void *context)
{
    static struct orr_outcome outcome;
    static struct orr__stem nobody;
    const struct errand *errand = context;
    struct orr__slot *slot = errand->slot;
    const struct orr__job *job = errand->job;
    struct orr__stem *stem = job->stem != NULL ? job->stem : &nobody;
    struct orr_run_options options = {
        .seed = errand->seed,
        .parameters = job->parameters,
        .parameter_count = job->parameter_count,
        .story = job->replay ? stdout : NULL,
        .untold = slot->untold,
        .witness = errand->twin != ORR__TWIN_NONE ? &slot->witness : NULL,
        .live_hash = &slot->live_hash,
        .replay = job->faults,
        .ledger = open_record(job, errand->seed),
        .points = open_points(job),
        .bytes = job->input,
        .byte_count = job->input_bytes,
        .lane_names = open_names(job),
    };
    if (job->record != NULL && options.ledger == NULL) {
        outcome.failed = true;
        snprintf(outcome.check, sizeof outcome.check, "cannot write %.100s: %s", job->record,
                 strerror(errno));
        answer(&outcome);
        return;
    }
    stem->position = &slot->position;
    int status = orr__scenario_run(job->scenario, &options, job->recorders, stem, &outcome);
    if (options.ledger != NULL)
        fclose(options.ledger);
    if (options.points != NULL)
        fclose(options.points);
    if (options.lane_names != NULL)
        fclose(options.lane_names);
    if (status < 0) {
        outcome.failed = true;
        snprintf(outcome.check, sizeof outcome.check, "the scenario cannot run: %s",
                 strerror(-status));
    }
    answer(&outcome);
}

/* A leak checker does not look into mapped memory, where the nursery may lie: what it holds is
 * found through here. */
static struct orr__child *volatile inherited;

/* exit, not _exit: a leak checker, and whatever else the program asked to be called, has its
 * say. */
static void ORR_NORETURN child_main(const struct orr__nursery *nursery, struct errand errand,
                                    int output)
{
    inherited = nursery->children;
    setpgid(0, 0);
    signals_give_back();
    give_up_memory(nursery, &errand);
    child_streams(nursery, output);
    child_limits(errand.job);
    own_slot = errand.slot;
    orr__crash_watch(errand.slot);
    if (errand.twin == ORR__TWIN_SECOND)
        orr__disturb(run_seed, &errand);
    else
        run_seed(&errand);
    exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------ */

int orr__nursery_start(struct orr__nursery *nursery, struct orr__child *child,
                       const struct orr__job *job, uint64_t seed)
{
    return orr__nursery_start_twin(nursery, child, job, seed, ORR__TWIN_NONE, -1);
}

/* Forks. Returns 1 in the new process, with what it shall write to; else 0 or -errno. */
static int hatch(struct orr__child *child, const struct orr__job *job, uint64_t seed,
                 enum orr__twin twin, int stream, int *ret_output)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    child->slot->live_hash = 0;
    child->slot->untold[0] = '\0';
    child->slot->fault_signal = 0;
    child->slot->finished = 0;
    child->slot->position = 0;
    child->slot->witness =
        (struct orr_witness){.poison = twin == ORR__TWIN_SECOND ? POISON : 0, .stream = stream};
    pid_t pid = fork();
    if (pid == 0) {
        *ret_output = ends[1];
        return 1;
    }
    int status = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (status < 0) {
        close(ends[0]);
        return status;
    }
    setpgid(pid, pid); /* the child does it, too: whoever comes first */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    child->pid = pid;
    child->output = ends[0];
    child->seed = seed;
    child->twin = twin;
    child->killed = false;
    child->deadline_ns = job->timeout_ns > 0 ? orr__clock_ns() + job->timeout_ns : UINT64_MAX;
    orr__capture_clear(&child->capture);
    return 0;
}

int orr__nursery_start_twin(struct orr__nursery *nursery, struct orr__child *child,
                            const struct orr__job *job, uint64_t seed, enum orr__twin twin,
                            int stream)
{
    int output = -1;
    int status = hatch(child, job, seed, twin, stream, &output);
    struct errand errand = {.slot = child->slot, .job = job, .seed = seed, .twin = twin};
    if (status == 1)
        child_main(nursery, errand, output);
    return status;
}

/* ---- a child that is a parent ---------------------------------------------------------------- */

void orr__nursery_stand(void)
{
    fflush(NULL); /* or every future would print it again */
    signals_take();
}

/* What was the nursery's extra stays taken, as addresses: what a future maps lies where it would
 * lie in a process that never was branched. */
int orr__nursery_branch(struct orr__nursery *nursery, struct orr__child *child,
                        const struct orr__job *job, uint64_t seed)
{
    int output = -1;
    int status = hatch(child, job, seed, ORR__TWIN_NONE, -1, &output);
    if (status != 1)
        return status;
    inherited = nursery->children;
    setpgid(0, 0);
    signals_give_back();
    give_up_slots(nursery, child->slot);
    give_up(nursery->extra, nursery->extra_size);
    child_streams(nursery, output);
    own_slot = child->slot;
    orr__crash_watch(child->slot);
    return 1;
}

int orr__flush(void)
{
    static int status;
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0)
        status = errno != 0 ? -errno : -EIO;
    return status;
}

static void put_off(struct orr__child *child, uint64_t ns)
{
    if (child->deadline_ns != UINT64_MAX)
        child->deadline_ns += ns;
}

/* The time it takes to hand output on is not the child's: a reader may look at it for an hour. */
static void pass_on(struct orr__child *child, const char *bytes, size_t length)
{
    uint64_t begin_ns = orr__clock_ns();
    fwrite(bytes, 1, length, stdout);
    orr__flush();
    put_off(child, orr__clock_ns() - begin_ns);
}

/* Takes in one piece of output. False when there is none for now, or none any more. */
static bool take_output(struct orr__child *child, const struct orr__job *job)
{
    char bytes[READ_MAX];
    if (child->output < 0)
        return false;
    ssize_t length = read(child->output, bytes, sizeof bytes);
    if (length > 0) {
        orr__capture_add(&child->capture, bytes, (size_t)length);
        if (job->replay)
            pass_on(child, bytes, (size_t)length);
        return true;
    }
    if (length == 0) { /* closed by the child; it may go on without */
        close(child->output);
        child->output = -1;
    }
    return false;
}

static uint64_t next_deadline(const struct orr__nursery *nursery, uint64_t wake_ns)
{
    for (uint32_t i = 0; i < nursery->count; i++) {
        const struct orr__child *child = &nursery->children[i];
        if (child->pid != 0 && !child->killed && child->deadline_ns < wake_ns)
            wake_ns = child->deadline_ns;
    }
    return wake_ns;
}

static bool has_ended(const struct orr__child *child)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

/* What ended in time is not late because this process was stopped for a while. */
static void kill_late(struct orr__nursery *nursery)
{
    uint64_t now_ns = orr__clock_ns();
    for (uint32_t i = 0; i < nursery->count; i++) {
        struct orr__child *child = &nursery->children[i];
        bool late = child->pid != 0 && !child->killed && child->deadline_ns <= now_ns;
        if (late && !has_ended(child)) {
            kill_child(child);
            child->killed = true;
        }
    }
}

void orr__nursery_wait(struct orr__nursery *nursery, const struct orr__job *job, uint64_t wake_ns)
{
    struct pollfd polled[ORR__PLACES_MAX];
    for (uint32_t i = 0; i < nursery->count; i++)
        polled[i] = (struct pollfd){.fd = nursery->children[i].output, .events = POLLIN};
    uint64_t until_ns = next_deadline(nursery, wake_ns);
    uint64_t now_ns = orr__clock_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / ORR_SECOND),
                            .tv_nsec = (long)(wait_ns % ORR_SECOND)};
    sigset_t mask = waiting_mask();
    if (ppoll(polled, nursery->count, until_ns == UINT64_MAX ? NULL : &wait, &mask) > 0) {
        for (uint32_t i = 0; i < nursery->count; i++)
            if (polled[i].revents != 0)
                take_output(&nursery->children[i], job);
    }
    kill_late(nursery);
}

bool orr__nursery_reap(struct orr__child *child, const struct orr__job *job,
                       struct orr__result *ret_result)
{
    if (child->pid == 0 || !has_ended(child))
        return false;
    kill(-child->pid, SIGKILL); /* what it left behind; its number is ours until waitpid */
    struct orr__end end = {.killed = child->killed, .timeout_ns = job->timeout_ns};
    waitpid(child->pid, &end.status, 0);
    for (uint32_t i = 0; i < READS_AFTER_END_MAX && take_output(child, job); i++)
        continue;
    orr__capture_end(&child->capture);
    orr__verdict(child, &end, ret_result);
    free_place(child);
    return true;
}

int orr__nursery_run(struct orr__nursery *nursery, const struct orr__job *job, uint64_t seed,
                     struct orr__result *ret_result)
{
    struct orr__child *child = &nursery->children[0];
    int status = orr__nursery_start(nursery, child, job, seed);
    while (status == 0 && !orr__nursery_reap(child, job, ret_result)) {
        if (orr__nursery_signal() != 0)
            return -EINTR;
        orr__nursery_wait(nursery, job, UINT64_MAX);
    }
    return status;
}

int orr__nursery_aside(struct orr__nursery *nursery, void (*function)(const void *context),
                       const void *context)
{
    uint64_t begin_ns = orr__clock_ns();
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        function(context);
        _exit(-orr__flush());
    }
    if (pid < 0)
        return -errno;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -EIO;
    for (uint32_t i = 0; i < nursery->count; i++)
        put_off(&nursery->children[i], orr__clock_ns() - begin_ns);
    return -WEXITSTATUS(status);
}

/*
 * main.c: differential PROGRAMS [--seed N]: runs that many programs, from that seed on, and prints
 * what disagrees. With --tap: in blocks, each a test.
 *
 * Programs run in processes of their own, one for each processor, which take one seed after the
 * other. What a process was about when it died is in memory that it shares, so that a crash has its
 * seed, too.
 */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS, fork */
#include "judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64u
#define DISAGREEMENTS_MAX 2000u
#define PRINTED_MAX 10u /* of the disagreements; the others are only counted */
#define TAP_BLOCK 50u

struct job {
    pid_t process;
    uint64_t seed; /* the one under way; then the next */
    uint64_t end;
    uint64_t done;
    uint64_t unsteady;
};

static struct shared {
    struct job jobs[JOBS_MAX];
    uint32_t count; /* of disagreements, only written with __atomic */
    struct disagreement {
        uint64_t seed;
        char text[512]; /* as it was seen first */
    } found[DISAGREEMENTS_MAX];
} * shared;

static void note_disagreement(uint64_t seed, const struct verdict *verdict)
{
    uint32_t at = __atomic_fetch_add(&shared->count, 1, __ATOMIC_SEQ_CST);
    if (at >= DISAGREEMENTS_MAX)
        return;
    shared->found[at].seed = seed;
    if (verdict == NULL)
        snprintf(shared->found[at].text, sizeof shared->found[at].text, "its process died");
    else
        snprintf(shared->found[at].text, sizeof shared->found[at].text, "%s, step %u: %s",
                 verdict->where, verdict->at, verdict->why);
}

/* ---- one process ----------------------------------------------------------------------------- */

static void run_seed(struct job *job, uint64_t seed)
{
    struct program program;
    struct verdict verdict;
    program_generate(seed, &program);
    judge(&program, &verdict);
    if (verdict.disagrees)
        note_disagreement(seed, &verdict);
    job->unsteady += verdict.unsteady && !verdict.disagrees ? 1 : 0;
    job->done++;
}

static void begin_job(struct job *job)
{
    fflush(NULL);
    job->process = fork();
    if (job->process < 0) {
        perror("fork");
        exit(2);
    }
    if (job->process > 0)
        return;
    for (; job->seed < job->end; job->seed++) {
        alarm(600); /* only what hangs */
        run_seed(job, job->seed);
    }
    kernels_close();
    _exit(EXIT_SUCCESS);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static uint64_t done_by_all(uint32_t jobs)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < jobs; i++)
        done += shared->jobs[i].done;
    return done;
}

static void show_progress(uint32_t jobs, uint64_t programs)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " programs, %u disagreements ",
                done_by_all(jobs), programs, shared->count);
}

/* A process that died is about a seed; the rest of its seeds goes on in another. */
static void job_ended(struct job *job, int status)
{
    job->process = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        exit(2); /* it said why */
    note_disagreement(job->seed, NULL);
    job->done++;
    job->seed++;
    if (job->seed < job->end)
        begin_job(job);
}

static bool reap(uint32_t jobs, bool wait)
{
    int status = 0;
    pid_t process = waitpid(-1, &status, wait ? 0 : WNOHANG);
    for (uint32_t i = 0; i < jobs && process > 0; i++)
        if (shared->jobs[i].process == process)
            job_ended(&shared->jobs[i], status);
    return process >= 0;
}

static void run_all(uint64_t seed, uint64_t programs)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t jobs = processors < 1                ? 1
                    : processors > (long)JOBS_MAX ? JOBS_MAX
                                                  : (uint32_t)processors;
    bool terminal = isatty(STDERR_FILENO);
    memset(shared, 0, sizeof *shared);
    for (uint64_t i = 0; i < jobs; i++) {
        shared->jobs[i].seed = seed + programs * i / jobs;
        shared->jobs[i].end = seed + programs * (i + 1) / jobs;
        begin_job(&shared->jobs[i]);
    }
    while (reap(jobs, !terminal)) {
        show_progress(jobs, programs);
        if (terminal)
            usleep(100000);
    }
    if (terminal)
        fprintf(stderr, "\r%60s\r", "");
}

static int by_seed(const void *a, const void *b)
{
    const struct disagreement *first = a;
    const struct disagreement *second = b;
    return (first->seed > second->seed) - (first->seed < second->seed);
}

/* All of them; the first ones shrunk. */
static void print_disagreements(FILE *file)
{
    uint32_t count = shared->count < DISAGREEMENTS_MAX ? shared->count : DISAGREEMENTS_MAX;
    qsort(shared->found, count, sizeof shared->found[0], by_seed);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(file, "disagreement: seed %" PRIu64 ": %s\n", shared->found[i].seed,
                shared->found[i].text);
        if (i < PRINTED_MAX)
            disagreement_print(file, shared->found[i].seed);
    }
}

static int soak(uint64_t seed, uint64_t programs)
{
    uint64_t unsteady = 0;
    run_all(seed, programs);
    print_disagreements(stdout);
    for (uint32_t i = 0; i < JOBS_MAX; i++)
        unsteady += shared->jobs[i].unsteady;
    if (unsteady > 0)
        printf("%" PRIu64 " programs needed more patience\n", unsteady);
    printf("%" PRIu64 " programs, %u disagreements\n", programs, shared->count);
    return shared->count > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int tap(uint64_t seed, uint64_t programs)
{
    uint64_t blocks = (programs + TAP_BLOCK - 1) / TAP_BLOCK;
    bool failed = false;
    printf("1..%" PRIu64 "\n", blocks);
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t first = seed + i * TAP_BLOCK;
        uint64_t count = i + 1 < blocks ? TAP_BLOCK : programs - i * TAP_BLOCK;
        run_all(first, count);
        printf("%s %" PRIu64 " - programs of seeds %" PRIu64 " to %" PRIu64 "\n",
               shared->count == 0 ? "ok" : "not ok", i + 1, first, first + count - 1);
        failed = failed || shared->count > 0;
        print_disagreements(stderr);
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the command line ------------------------------------------------------------------------ */

static int usage(void)
{
    fprintf(stderr, "usage: differential PROGRAMS [--seed N] [--tap]\n"
                    "PROGRAMS is a number from 1 to 1000000000, N one from 0 to 2^63 - 1\n");
    return 2;
}

static bool number(const char *text, uint64_t max, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > max)
        return false;
    *ret_number = value;
    return true;
}

int main(int argc, char **argv)
{
    uint64_t programs = 0;
    uint64_t seed = 1;
    bool as_tap = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--tap") == 0)
            as_tap = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            if (!number(argv[++i], INT64_MAX, &seed))
                return usage();
        } else if (!number(argv[i], 1000000000, &programs))
            return usage();
    }
    if (programs == 0)
        return usage();
    if (kernels_find(stdout) == 0) {
        printf(as_tap ? "1..0 # SKIP no kernel backend works here\n"
                      : "no kernel backend works here\n");
        return as_tap ? EXIT_SUCCESS : 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    kernels_begin();
    int status = as_tap ? tap(seed, programs) : soak(seed, programs);
    kernels_end();
    return status;
}

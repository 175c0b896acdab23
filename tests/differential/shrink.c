/*
 * shrink.c: the shortest program found that still disagrees. Steps are dropped in runs, long ones
 * first, then one by one, until none can be dropped; each trial runs in a process of its own, so
 * that crashes and hangs are shrunk like everything else.
 */
#define _POSIX_C_SOURCE 200809L /* fork */
#include "judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define APART_SECONDS 100u
#define RACING_TRIES 3u /* a kernel's outcome may need some */
#define PRINT_TRIES 50u

static pid_t begin_apart(bool silent)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child > 0)
        return child;
    alarm(APART_SECONDS);
    if (silent && freopen("/dev/null", "w", stderr) == NULL)
        _exit(2);
    return 0;
}

/* True if it ended well: it agreed. */
static bool end_apart(pid_t child)
{
    int status = 0;
    if (waitpid(child, &status, 0) != child) {
        perror("waitpid");
        exit(2);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

bool judge_apart(const struct program *program)
{
    uint32_t tries = program->races ? RACING_TRIES : 1;
    for (uint32_t i = 0; i < tries; i++) {
        pid_t child = begin_apart(true);
        if (child == 0) {
            struct verdict verdict;
            kernels_hurry();
            judge(program, &verdict);
            kernels_close();
            _exit(verdict.disagrees ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        if (!end_apart(child))
            return true;
    }
    return false;
}

static bool drop(struct program *program, uint32_t from, uint32_t count,
                 bool (*disagrees)(const struct program *program))
{
    struct program shorter = *program;
    for (uint32_t i = from; i < from + count && i < program->count; i++)
        shorter.steps[i] = (struct step){.op = STEP_NONE};
    if (program_length(&shorter) == program_length(program) || !disagrees(&shorter))
        return false;
    *program = shorter;
    return true;
}

void program_shrink(struct program *program, bool (*disagrees)(const struct program *program))
{
    bool dropped = true;
    for (uint32_t size = STEPS_MAX / 2; size > 0; size = dropped && size == 1 ? 1 : size / 2) {
        dropped = false;
        for (uint32_t end = program->count; end > 0; end -= end < size ? end : size)
            if (drop(program, end < size ? 0 : end - size, size, disagrees))
                dropped = true;
    }
}

void disagreement_print(FILE *file, uint64_t seed)
{
    struct program program;
    program_generate(seed, &program);
    bool again = judge_apart(&program);
    if (again)
        program_shrink(&program, judge_apart);
    fprintf(file, "%s: ", again ? "the shortest program found" : "it did not come again");
    fflush(file);
    pid_t child = begin_apart(false);
    if (child == 0) {
        struct verdict verdict;
        for (uint32_t i = 0; i < PRINT_TRIES; i++) {
            kernels_hurry();
            judge(&program, &verdict);
            if (verdict.disagrees)
                break;
        }
        verdict_print(file, &program, &verdict);
        fflush(file);
        kernels_close();
        _exit(EXIT_SUCCESS);
    }
    if (!end_apart(child)) {
        fprintf(file, "it crashes or hangs:\n");
        for (uint32_t i = 0; i < program.count; i++)
            if (program.steps[i].op != STEP_NONE) {
                step_print(file, &program, i);
                fprintf(file, "\n");
            }
    }
    fprintf(file, "again: ./dev soak differential 1 --seed %" PRIu64 "\n", seed);
}

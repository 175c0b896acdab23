/*
 * judge.h: whether kernel and world agree on a program, why not, and the shortest program that
 * shows it.
 */
#ifndef ORR_TESTS_DIFFERENTIAL_JUDGE_H
#define ORR_TESTS_DIFFERENTIAL_JUDGE_H

#include "grounds.h"

struct verdict {
    bool disagrees;
    bool unsteady; /* a kernel was first of another opinion, and then not any more */
    uint32_t at;   /* the first step on which they do; STEPS_MAX = what is left behind, or a rule */
    char where[96]; /* "uring and the calm world (seed 7)" */
    char why[400];
};

/* Runs the program everywhere. The records that were compared last stay for verdict_print. */
void judge(const struct program *program, struct verdict *ret_verdict);
/* The program, with both answers to each step, and why they disagree. */
void verdict_print(FILE *file, const struct program *program, const struct verdict *verdict);

/* In a process of its own, where it may crash or hang: true if it does, or disagrees. */
bool judge_apart(const struct program *program);
/* Drops steps while the rest still disagrees. */
void program_shrink(struct program *program, bool (*disagrees)(const struct program *program));
/* Shrinks and prints a program that disagrees, and the command that repeats it. */
void disagreement_print(FILE *file, uint64_t seed);

#endif

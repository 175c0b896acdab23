/*
 * grounds.h: where programs run: every kernel backend of this machine, and the world.
 */
#ifndef ORR_TESTS_DIFFERENTIAL_GROUNDS_H
#define ORR_TESTS_DIFFERENTIAL_GROUNDS_H

#include "run.h"

#define KERNELS_MAX 2u

/* The kernel backends that programs run on, by name, ended by NULL. */
extern const char *kernels[KERNELS_MAX + 1];

/* Finds them: those of this build that the machine has. Prints a line that begins with "#" for
 * each that is left out, with the reason. Returns their number. */
uint32_t kernels_find(FILE *file);

/* Before the first program, in the process that outlives all others: a directory for what they
 * make. kernels_end removes it, whatever became of them. */
void kernels_begin(void);
void kernels_end(void);

/* Runs a program on a kernel, in a fresh directory. `patience_ns`: how long what is on its way may
 * take to arrive. The loop is opened once a process; kernels_close ends it. */
void kernel_run(const char *kernel, const struct program *program, uint64_t patience_ns,
                struct record *ret_record);
void kernels_close(void);
/* From now on, what takes a second hangs: for the shrinker, which asks often. */
void kernels_hurry(void);

enum world_kind {
    WORLD_CALM,     /* nothing is out of the ordinary */
    WORLD_STRAINED, /* what may happen to a determined program without a change in its answers */
    WORLD_ANY,      /* each family that no error comes from is on or off, and so are long pauses */
    WORLD_FAULTY    /* disks fail, connections break */
};

/* Partial transfers show in a program that asks for single attempts; tiny buffers in one that has
 * much under way. */
struct world_options {
    enum world_kind kind;
    uint64_t seed;
    bool without_partial;
    bool without_pressure;
};

void world_run(const struct world_options *options, const struct program *program,
               struct record *ret_record);

/* A hook of the self-test: changes what the world answered. NULL = none. */
extern void (*world_canary)(const struct program *program, struct record *record);

#endif

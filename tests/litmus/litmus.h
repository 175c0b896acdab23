/*
 * litmus.h: what a power loss may leave of a small program, written down as tables.
 *
 *   cases_*.c  the tables: program, and the exact set of states that the rules allow
 *   program.c  runs a program in a world, through the public interface, and cuts the power
 *   explore.c  runs it once for each way in which the world can choose, and collects the states
 *   named.c    runs it once for each way in which a replay file can name what is lost
 *   states.c   sets of states, and how the tables write them
 *   main.c     demands of every case that each allowed state is reached and no other; prints TAP
 *
 * A test of many seeds shows that a state can happen. This one shows that it cannot: the draws of
 * the disk at a power loss and a failed fsync are answered by a counter that goes through all of
 * them, depth first, so the set of states is complete.
 *
 * Every case runs on every file system that the world can be. The expected sets are derived from
 * what the interfaces and the file systems document, not from what the world does: that is why they
 * find wrong rules.
 *
 * A program is steps divided by ';':
 *
 *   creat F            make an empty file         write F AT X      overwrite from unit AT on
 *   mkdir D            make a directory           append F X        write X at the end
 *   rename A B         rename                     dsync F AT X      the same, opened with SYNC
 *   unlink F, rmdir D  remove the name            direct F AT X     the same, opened with DIRECT
 *   open F, close F    keep the file open         trunc F N         set the size to N units
 *   fsync F            a file or a directory      alloc F AT N      reserve N units from AT on
 *   fdatasync F        the same                   badsync F         an fsync that fails
 *   link A B           a second name              lostsync F        one that lies: it does nothing
 *
 * X has a letter for each unit, '.' for zeros. A unit has 512 bytes, a sector, unless the case says
 * otherwise. What `setup` does is durable before `program` begins.
 *
 * A state is the list of what is there, in order of bytes: "d/" a directory, "f:AB." a file of
 * three units, the last zeros, "f*3:AB." if its link count is 3 and that is not the number of its
 * names, '?' for a unit that is not all one byte, '<' at the end for a size that is no whole number
 * of units. Sets of states are divided by '|'; [AB] stands for A or B, and in it ~ for nothing;
 * {x,y} for the texts x or y.
 */
#ifndef ORR_TESTS_LITMUS_H
#define ORR_TESTS_LITMUS_H

#include "sim/world.h"

#define LITMUS_STATE_MAX 256u

struct litmus_case {
    const char *name;
    const char *setup;
    const char *program;
    uint32_t unit;   /* bytes; 0 = 512 */
    uint32_t sector; /* bytes, 512 or 4096; 0 = 512 */
    /* What may be there, by enum orr_file_system; NULL = as on a portable disk. */
    const char *allowed[ORR_FILE_SYSTEM_COUNT];
};

#define PORTABLE allowed[ORR_FILE_SYSTEM_PORTABLE]
#define POSIX allowed[ORR_FILE_SYSTEM_POSIX]
#define EXT4 allowed[ORR_FILE_SYSTEM_EXT4]
#define XFS allowed[ORR_FILE_SYSTEM_XFS]

/* Ended by a case without a name. */
extern const struct litmus_case litmus_data[];
extern const struct litmus_case litmus_names[];
extern const struct litmus_case litmus_replace[];
extern const struct litmus_case litmus_sync[];

/* ---- states.c -------------------------------------------------------------------------------- */

/* A set of texts, in order of bytes. */
struct litmus_set {
    char (*states)[LITMUS_STATE_MAX];
    size_t count;
    size_t capacity;
};

void litmus_set_add(struct litmus_set *set, const char *state);
bool litmus_set_has(const struct litmus_set *set, const char *state);
void litmus_set_clear(struct litmus_set *set);
/* Adds the states that a table's text stands for. */
void litmus_set_parse(struct litmus_set *set, const char *text);

/* ---- program.c ------------------------------------------------------------------------------- */

/* What is there before the power loss, and after it. */
struct litmus_states {
    char before[LITMUS_STATE_MAX];
    char after[LITMUS_STATE_MAX];
};

/* How the power loss comes. */
struct litmus_loss {
    const struct orr__answers *answers; /* to the draws of the disk from the program on, or NULL */
    /* Called before it, or NULL. */
    void (*begin)(void *context, struct orr_world *world, struct orr__disk *disk);
    void *context;
};

/* Runs setup and program in a new world, and cuts the power. */
void litmus_run(const struct litmus_case *litmus, enum orr_file_system file_system,
                const struct litmus_loss *loss, struct litmus_states *ret_states);

/* ---- named.c --------------------------------------------------------------------------------- */

/* Runs a case with every combination of named losses, adds the number of runs, and returns how
 * many states are not allowed. */
uint32_t litmus_try_named(const struct litmus_case *litmus, enum orr_file_system file_system,
                          const struct litmus_set *allowed, uint64_t *ret_runs);
/* Runs what is written down of some, adds how many, and returns how many are otherwise. */
uint32_t litmus_try_exact(uint32_t *ret_count);

/* ---- explore.c ------------------------------------------------------------------------------- */

/* Adds the states of all choices; returns the number of runs. */
uint64_t litmus_explore(const struct litmus_case *litmus, enum orr_file_system file_system,
                        struct litmus_set *set);

/* Ends the test program with a sentence. */
_Noreturn void litmus_die(const char *format, ...) ORR_PRINTF(1, 2);

#endif

/*
 * program.h: what the differential test runs: small random programs against <orrery/io.h>.
 *
 * A program is an array of steps of fixed size that follows from one seed. Steps name handles by
 * slot: `socket`, `open` and `accept` fill slots, all others use what lies in one, which may be
 * nothing. Names are indices into one table of paths, and bytes follow from the step that sends or
 * writes them. So any subset of a program's steps is a program again: the shrinker just drops some.
 *
 * There are two classes. In a *determined* program every result follows from the contract: the
 * model (model.h) says which operations can end and which would race, and the interpreter waits
 * before a step that would race. All backends must agree on everything. A *racing* program submits
 * whenever it likes; of each step, the kernel's outcome must be one that the world shows, too.
 */
#ifndef ORR_TESTS_DIFFERENTIAL_PROGRAM_H
#define ORR_TESTS_DIFFERENTIAL_PROGRAM_H

#include <orrery/io.h>
#include <stdio.h>

#define STEPS_MAX 40u
#define SLOTS 8u /* slot 0 holds the directory of the program */
#define PATHS 25u
#define TIMEOUT_FOR_EVER 1000000u
#define TRANSFER_MAX 6000u /* bytes of one step */
#define BY_PATH 1u         /* the address of a Unix socket is a name among the files */

enum step_op {
    STEP_NONE, /* dropped */
    /* immediate calls */
    STEP_SOCKET,     /* slot; kind = family, how = type */
    STEP_BIND,       /* slot; other = slot whose address is taken, or itself: a free one, or with
                        kind BY_PATH path */
    STEP_LISTEN,     /* slot; length = backlog */
    STEP_OPTION_SET, /* slot; kind = option, length = value */
    STEP_OPTION_GET, /* slot; kind = option */
    STEP_LOCAL,      /* slot */
    STEP_PEER,       /* slot */
    STEP_LIST,       /* slot */
    /* operations */
    STEP_ACCEPT,  /* slot = listener, other = slot that is filled */
    STEP_CONNECT, /* slot; other = slot whose address is the target; with kind BY_PATH path is */
    STEP_RECV,
    STEP_SEND,
    STEP_RECV_EXACT,
    STEP_SEND_ALL,
    STEP_RECV_FROM,
    STEP_SEND_TO,  /* other = slot whose address is the target, or itself: the peer */
    STEP_SHUTDOWN, /* kind = how */
    STEP_READ,
    STEP_WRITE,
    STEP_READ_EXACT,
    STEP_WRITE_ALL,
    STEP_READV,  /* kind = vectors */
    STEP_WRITEV, /* kind = vectors */
    STEP_FSYNC,
    STEP_FDATASYNC,
    STEP_OPEN, /* slot = directory, other = slot that is filled; path, flags, length = mode */
    STEP_CLOSE,
    STEP_STAT,     /* path, PATHS = the handle itself */
    STEP_RENAME,   /* path, path_new */
    STEP_LINK,     /* path, path_new */
    STEP_UNLINK,   /* path, kind */
    STEP_MKDIR,    /* path, length = mode */
    STEP_TRUNCATE, /* length */
    STEP_ALLOCATE, /* offset, length */
    STEP_POLL,     /* flags = events */
    STEP_TIMEOUT,  /* length = ns, from TIMEOUT_FOR_EVER on: for ever */
    STEP_TICK,
    STEP_CANCEL, /* other = how many steps before */
    /* control */
    STEP_WAIT,   /* for all that can end */
    STEP_PASSES, /* length = number */
    STEP_SETTLE, /* length = ns */
    STEP_OPS
};

struct step {
    uint8_t op; /* enum step_op */
    uint8_t slot;
    uint8_t other;
    uint8_t kind;
    uint8_t path;
    uint8_t path_new;
    uint16_t flags;
    uint32_t length;
    uint32_t reserved; /* where padding would be: a program is compared as bytes */
    uint64_t offset;
};

struct program {
    uint64_t seed;
    bool races;
    uint32_t count;
    struct step steps[STEPS_MAX];
};

/* Makes the program of a seed. */
void program_generate(uint64_t seed, struct program *ret_program);

/* The paths that programs use, relative to their directory. */
const char *program_path(uint8_t at);

const char *step_name(uint8_t op);
/* True for what submits a completion. */
bool step_submits(uint8_t op);
bool step_is_immediate(uint8_t op);
/* One line, without its end: "  3  s2 = open(s0, "d/a", read|create)". */
void step_print(FILE *file, const struct program *program, uint32_t at);
/* How many steps are left. */
uint32_t program_length(const struct program *program);

#endif

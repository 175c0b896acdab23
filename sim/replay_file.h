/*
 * replay_file.h: replay files, as fault.c and the command line read them. docs/replay.md has the
 * format.
 */
#ifndef ORR_SIM_REPLAY_FILE_H
#define ORR_SIM_REPLAY_FILE_H

#include "future.h"
#include "internal.h"

enum {
    ORR__POINT_NAME_MAX = 112, /* "client->server/segment#" and a number */
    ORR__WHY_MAX = 256,        /* of a sentence that says what is wrong */
    ORR__REPLAY_PARAMETERS_MAX = 32,
    ORR__REPLAY_FUTURES_MAX = 16,
};

/* What the size of a fault is. */
enum orr__fault_unit {
    ORR__UNIT_NONE,
    ORR__UNIT_COUNT,
    ORR__UNIT_TIME,   /* ns */
    ORR__UNIT_ERROR,  /* an errno, and the fault's word */
    ORR__UNIT_LOSS,   /* what power loss loses: 0 = what the seed says, or ORR__LOSS_ONLY */
    ORR__UNIT_ASTRAY, /* ORR__ASTRAY_..., and the fault's word */
};

enum { ORR__LOSS_ONLY = 1 }; /* what the file names: disk_named.c */

/* fault.c */
const char *orr__fault_word(enum orr__fault_kind kind);
enum orr__fault_unit orr__fault_unit(enum orr__fault_kind kind);
enum orr_fault_family orr__fault_family(enum orr__fault_kind kind);
/* The fault that ends an operation (or a request for memory) with that errno. */
enum orr__fault_kind orr__fault_of_error(int error, bool memory);
void orr__point_name(const struct orr__point *point, char name[ORR__POINT_NAME_MAX]);
/* "server/fsync#3 = EIO", without an end of line. */
void orr__fault_write(FILE *out, const struct orr__point *point, uint64_t size);

/* What a file says of one fault. */
struct orr__ruling {
    char name[ORR__POINT_NAME_MAX];
    enum orr__fault_kind kind;
    bool keeps_off; /* "= nothing" */
    bool has_size;
    bool is_used;  /* the point has come up in this run */
    bool is_spent; /* ... and had its size from this line */
    uint64_t size;
    uint32_t line;
};

/* "server crash @ after fsync#9", "server crash @ 12ms only". */
struct orr__appointment {
    char node[ORR_NODE_NAME_MAX + 1];
    enum orr_crash crash;
    bool loses_only; /* what the file names: disk_named.c */
    uint8_t op;      /* 0 = at a time */
    uint64_t occurrence;
    uint64_t time_ns;
    uint32_t line;
    bool is_used;
};

/* A file that was read: what it says of faults. */
struct orr__rulings;

/* What else it says; the texts lie in the file's. */
struct orr__replay_head {
    char scenario[64];
    uint64_t seed;
    bool has_seed;
    uint32_t parameter_count;
    struct {
        char name[64];
        char text[128]; /* NAME=VALUE */
    } parameters[ORR__REPLAY_PARAMETERS_MAX];
    char check[256]; /* the check that it makes fail, or "" */
    uint32_t future_count;
    uint64_t future_seed; /* of the last one */
    uint64_t *cells; /* of its lanes (lanes.h): room for `cells_max`, which may be less than there
                        are; the caller's */
    size_t cells_max;
    size_t cell_count;
};

/* Reads what a file's text says of faults. NULL, with a sentence in `why`, when a line is wrong
 * (its number is told), or there is no memory. */
struct orr__rulings *orr__rulings_parse(const char *text, char why[ORR__WHY_MAX]);
/* Reads what else it says; allocates nothing, and takes no more than the cells from `ret_head`.
 * False, with a sentence in `why`, when a line is wrong. */
bool orr__replay_head_parse(const char *text, struct orr__replay_head *ret_head,
                            char why[ORR__WHY_MAX]);
/* "40ms", "1.5s", "250us", "7ns". */
bool orr__replay_time_parse(const char *text, uint64_t *ret_ns);
void orr__rulings_free(struct orr__rulings *rulings);
/* Where a section ends, or NULL: it is the last; the next one; and whether that leaves in force
 * what ruled before. */
struct orr__future *orr__rulings_future(struct orr__rulings *section);
struct orr__rulings *orr__rulings_next(const struct orr__rulings *section);
bool orr__rulings_same(const struct orr__rulings *section);
/* The operation of that name, or 0. */
uint8_t orr__operation_named(const char *name);
/* What it says of a point, which is noted as used; or NULL. */
const struct orr__ruling *orr__rulings_find(struct orr__rulings *rulings,
                                            const struct orr__point *point);
/* The same, for its size: of several lines each has its turn, and the last one goes on. */
const struct orr__ruling *orr__rulings_take_size(struct orr__rulings *rulings,
                                                 const struct orr__point *point);
/* The cells of its lanes; none if `rulings` is NULL. */
const uint64_t *orr__rulings_cells(const struct orr__rulings *rulings, size_t *ret_count);
/* No fault but those it names. */
bool orr__rulings_only(const struct orr__rulings *rulings);
/* Calls visit for each appointment of that node; who keeps it notes when it is used. */
void orr__rulings_appoint(struct orr__rulings *rulings, const char *node,
                          void (*visit)(void *context, struct orr__appointment *appointment),
                          void *context);
/* Says which lines were of no use to a run. */
void orr__rulings_tell_unused(const struct orr__rulings *rulings, FILE *out);

#endif

/*
 * shrink_move.c: sets of faults that leaving out one at a time does not come to.
 *
 * The model: a crash that was to come at a time hits what the node does then, and every fault that
 * shifts the node's work decides what that is. So a crash that is needed keeps others that are not:
 * without each of them it hits something else. It needs none of them where it is appointed after
 * the right operation. Smaller sets are looked for in this order; the first that fails so is kept:
 *
 *     one fault of the recorded run
 *     one crash, after an operation of the run without faults
 *     two of the kept faults
 *     one of them, and a crash after an operation that the run without faults does not have
 *
 * The node and the kind of crash are those of a kept one. Of places there are too many to try them
 * all. Rare operations are where a program does what it seldom does, so of a kind with half as many
 * twice as many are tried, from the first on: all renames, some writes, a receive.
 */
#include "shrink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SINGLES_MAX = 512,
    PAIRS_MAX = 128,
    PLACES_MAX = 8,  /* nodes and kinds of crashes */
    KINDS_MAX = 256, /* of operations, of all those nodes */
    PREFIX_BYTES_MAX = ORR_NODE_NAME_MAX + sizeof " crash @ after ",
};

/* A crash after an operation: the line of a replay file. */
struct move {
    const char *text;
    size_t length;
    size_t ordinal; /* among the operations of its kind */
    size_t kind;
    size_t rank;  /* the less, the sooner it is tried */
    size_t place; /* among all */
};

struct moves {
    char prefixes[PLACES_MAX][PREFIX_BYTES_MAX]; /* "server crash @ after " */
    size_t prefix_count;
    struct {
        const char *text; /* "server crash @ after fsync" */
        size_t length;
        size_t count;
    } kinds[KINDS_MAX];
    size_t kind_count;
    char *base; /* where faults could strike in the run without any */
    struct move *moves;
    size_t count;
};

/* Keeps the first of these sets that still fails. Returns 0 or -errno. */
static int try_sets(struct orr__shrink *shrink, const struct orr__shrink_trial *sets,
                    uint32_t count, uint32_t *ret_first)
{
    int status = orr__shrink_first_that_fails(shrink, sets, count, ret_first);
    if (status < 0 || *ret_first == count)
        return status;
    shrink->kept_count = sets[*ret_first].set_count;
    memcpy(shrink->kept, sets[*ret_first].set, shrink->kept_count * sizeof *shrink->kept);
    return 0;
}

static int try_singles(struct orr__shrink *shrink)
{
    struct orr__shrink_trial sets[SINGLES_MAX];
    uint32_t count = 0;
    uint32_t first;
    for (size_t i = 0; i < shrink->fault_count && count < SINGLES_MAX; i++)
        sets[count++] =
            (struct orr__shrink_trial){.set = {i}, .set_count = 1, .time_ns = UINT64_MAX};
    return try_sets(shrink, sets, count, &first);
}

static int try_pairs(struct orr__shrink *shrink)
{
    struct orr__shrink_trial sets[PAIRS_MAX];
    uint32_t count = 0;
    uint32_t first;
    for (size_t i = 0; i < shrink->kept_count; i++)
        for (size_t j = i + 1; j < shrink->kept_count && count < PAIRS_MAX; j++)
            sets[count++] = (struct orr__shrink_trial){
                .set = {shrink->kept[i], shrink->kept[j]}, .set_count = 2, .time_ns = UINT64_MAX};
    return try_sets(shrink, sets, count, &first);
}

/* ---- where a crash can go -------------------------------------------------------------------- */

/* "server/crash#3 = power-loss" -> "server crash @ after ". */
static void add_prefix(struct moves *moves, const struct orr__shrink_fault *fault)
{
    bool kills = orr__shrink_ends_with(fault, " = killed");
    size_t node = strcspn(fault->text, "/ \n");
    if (fault->is_loss || moves->prefix_count >= PLACES_MAX || node > ORR_NODE_NAME_MAX)
        return;
    char *prefix = moves->prefixes[moves->prefix_count];
    if (fault->is_appointment)
        kills = strncmp(fault->text + node, " kill ", 6) == 0;
    else if (!kills && !orr__shrink_ends_with(fault, " = power-loss") &&
             !orr__shrink_ends_with(fault, " only"))
        return;
    snprintf(prefix, PREFIX_BYTES_MAX, "%.*s %s @ after ", (int)node, fault->text,
             kills ? "kill" : "crash");
    for (size_t i = 0; i < moves->prefix_count; i++)
        if (strcmp(moves->prefixes[i], prefix) == 0)
            return;
    moves->prefix_count++;
}

static bool is_candidate(const struct moves *moves, const char *line)
{
    for (size_t i = 0; i < moves->prefix_count; i++)
        if (strncmp(line, moves->prefixes[i], strlen(moves->prefixes[i])) == 0)
            return true;
    return false;
}

/* The place of its kind in the table, or KINDS_MAX. */
static size_t kind_of(struct moves *moves, const char *line)
{
    size_t length = strcspn(line, "#\n");
    size_t i = 0;
    while (i < moves->kind_count &&
           (moves->kinds[i].length != length || memcmp(moves->kinds[i].text, line, length) != 0))
        i++;
    if (i == moves->kind_count && i < KINDS_MAX) {
        moves->kinds[i].text = line;
        moves->kinds[i].length = length;
        moves->kinds[i].count = 0;
        moves->kind_count++;
    }
    return i;
}

/* The candidates among the lines, in the order of the run. Returns 0 or -ENOMEM. */
static int collect(struct moves *moves, const char *lines)
{
    size_t count = 0;
    for (const char *at = lines; *at != '\0'; at++)
        count += *at == '\n';
    moves->moves = orr__private_map(count * sizeof *moves->moves);
    if (moves->moves == NULL)
        return -ENOMEM;
    moves->count = 0;
    moves->kind_count = 0;
    for (const char *at = lines; count > 0; at = strchr(at, '\n') + 1, count--) {
        size_t kind = is_candidate(moves, at) ? kind_of(moves, at) : KINDS_MAX;
        if (kind == KINDS_MAX)
            continue;
        moves->moves[moves->count] = (struct move){.text = at,
                                                   .length = strcspn(at, "\n"),
                                                   .kind = kind,
                                                   .ordinal = moves->kinds[kind].count++,
                                                   .place = moves->count};
        moves->count++;
    }
    return 0;
}

static int by_rank(const void *a, const void *b)
{
    const struct move *one = a;
    const struct move *two = b;
    if (one->rank != two->rank)
        return one->rank < two->rank ? -1 : 1;
    return one->place < two->place ? -1 : 1;
}

static void rank(struct moves *moves)
{
    for (size_t i = 0; i < moves->count; i++)
        moves->moves[i].rank =
            (moves->moves[i].ordinal + 1) * moves->kinds[moves->moves[i].kind].count;
    qsort(moves->moves, moves->count, sizeof *moves->moves, by_rank);
}

/* Where faults could strike in the run with those. Returns 0 or -errno. */
static int find_points(struct orr__shrink *shrink, const struct orr__shrink_trial *trial,
                       char **ret_points)
{
    struct orr__job job = shrink->job;
    size_t bytes;
    job.faults = orr__shrink_compose(shrink, 0, trial);
    job.points = shrink->record_path;
    int status = orr__shrink_run(shrink, &job, 1);
    int taken = orr__private_take(shrink->record_path, ret_points, &bytes);
    return status == 0 ? taken : status;
}

/* The first line in which the two differ. */
static const char *parting(const char *base, const char *with)
{
    const char *line = with;
    while (*with != '\0' && *with == *base) {
        line = *with == '\n' ? with + 1 : line;
        with++;
        base++;
    }
    return line;
}

/* ---- a crash in another place ---------------------------------------------------------------- */

/* Tries a crash in each of the places, with that fault if it is none of SIZE_MAX. */
static int try_moves(struct orr__shrink *shrink, struct moves *moves, size_t with, uint32_t most,
                     bool *ret_found)
{
    struct orr__shrink_trial sets[ORR__SHRINK_MOVES_MAX];
    uint32_t count = moves->count < most ? (uint32_t)moves->count : most;
    uint32_t first;
    rank(moves);
    for (uint32_t i = 0; i < count; i++) {
        size_t place = shrink->fault_count + i;
        shrink->faults[place] = (struct orr__shrink_fault){
            .text = moves->moves[i].text,
            .length = (uint32_t)moves->moves[i].length,
            .time_ns = UINT64_MAX,
            .is_appointment = true,
            .is_moved = true,
        };
        sets[i] = (struct orr__shrink_trial){.set = {place}, .set_count = 1, .time_ns = UINT64_MAX};
        if (with != SIZE_MAX)
            sets[i].set[sets[i].set_count++] = with;
    }
    int status = try_sets(shrink, sets, count, &first);
    *ret_found = status == 0 && first < count;
    if (*ret_found) {
        shrink->faults[shrink->fault_count] = shrink->faults[shrink->fault_count + first];
        shrink->kept[0] = shrink->fault_count++;
    }
    return status;
}

static int move_alone(struct orr__shrink *shrink, struct moves *moves, bool *ret_found)
{
    const struct orr__shrink_trial none = {.to = shrink->kept_count, .time_ns = UINT64_MAX};
    int status = find_points(shrink, &none, &moves->base);
    if (status == 0)
        status = collect(moves, moves->base);
    return status == 0 ? try_moves(shrink, moves, SIZE_MAX, ORR__SHRINK_MOVES_MAX, ret_found)
                       : status;
}

static int move_with(struct orr__shrink *shrink, struct moves *moves, size_t with, bool *ret_found)
{
    const struct orr__shrink_trial alone = {.set = {with}, .set_count = 1, .time_ns = UINT64_MAX};
    char *points;
    int status = find_points(shrink, &alone, &points);
    if (status == 0)
        status = collect(moves, parting(moves->base, points));
    return status == 0 ? try_moves(shrink, moves, with, ORR__SHRINK_MOVES_MAX / 2, ret_found)
                       : status;
}

/* A crash alone, two of the kept faults, or one of them and a crash: the first that does. */
static int move_crash(struct orr__shrink *shrink, struct moves *moves)
{
    int status = 0;
    bool found = false;
    size_t count = shrink->kept_count;
    for (size_t i = 0; i < count; i++)
        add_prefix(moves, &shrink->faults[shrink->kept[i]]);
    if (moves->prefix_count > 0)
        status = move_alone(shrink, moves, &found);
    if (status < 0 || found || count <= ORR__SHRINK_SET_MAX)
        return status;
    status = try_pairs(shrink);
    if (moves->prefix_count == 0 || shrink->kept_count < count)
        return status;
    for (size_t i = 0; i < count && status == 0 && !found; i++)
        status = move_with(shrink, moves, shrink->kept[i], &found);
    return status;
}

int orr__shrink_move(struct orr__shrink *shrink)
{
    size_t before = shrink->kept_count;
    if (before < 2)
        return 0;
    int status = try_singles(shrink);
    if (status < 0 || shrink->kept_count < before)
        return status;
    struct moves *moves = orr__private_map(sizeof *moves);
    return moves != NULL ? move_crash(shrink, moves) : -ENOMEM;
}

/*
 * explore.c: one run for each way in which the world can choose. See litmus.h.
 *
 * The answers of a run are a path: of each draw the value and the bound. The next path differs in
 * the last draw that has a greater value to give; what comes after it is forgotten and begins at 0
 * again. The same answers lead to the same draws, so every path is taken once.
 */
#include "tests/litmus/litmus.h"

#include <stdlib.h>

#define RUNS_MAX 2000000u

struct path {
    struct {
        uint64_t value;
        uint64_t bound;
    } * draws;
    size_t length;
    size_t capacity;
    size_t at; /* draws answered in this run */
};

static bool is_of_disk(enum orr__site site)
{
    return site == ORR__SITE_DISK_SECTOR || site == ORR__SITE_DISK_SIZE ||
           site == ORR__SITE_DISK_NAME;
}

static bool answer(void *context, enum orr__site site, uint64_t bound, uint64_t *ret_value)
{
    struct path *path = context;
    if (!is_of_disk(site))
        return false;
    if (path->at == path->capacity) {
        path->capacity = path->capacity == 0 ? 64 : 2 * path->capacity;
        path->draws = realloc(path->draws, path->capacity * sizeof *path->draws);
        if (path->draws == NULL)
            litmus_die("no memory for a path of %zu draws", path->capacity);
    }
    if (path->at == path->length) {
        path->draws[path->at].value = 0;
        path->draws[path->at].bound = bound;
        path->length++;
    }
    if (path->draws[path->at].bound != bound)
        litmus_die("draw %zu had bound %llu and has %llu: the same answers lead elsewhere",
                   path->at, (unsigned long long)path->draws[path->at].bound,
                   (unsigned long long)bound);
    *ret_value = path->draws[path->at++].value;
    return true;
}

/* False after the last path. */
static bool next(struct path *path)
{
    if (path->at != path->length)
        litmus_die("%zu draws of %zu were made: the same answers lead elsewhere", path->at,
                   path->length);
    path->at = 0;
    while (path->length > 0 &&
           path->draws[path->length - 1].value + 1 == path->draws[path->length - 1].bound)
        path->length--;
    if (path->length == 0)
        return false;
    path->draws[path->length - 1].value++;
    return true;
}

uint64_t litmus_explore(const struct litmus_case *litmus, enum orr_file_system file_system,
                        struct litmus_set *set)
{
    struct path path = {0};
    struct orr__answers answers = {.answer = answer, .context = &path};
    const struct litmus_loss loss = {.answers = &answers};
    uint64_t runs = 0;
    do {
        struct litmus_states states;
        if (++runs > RUNS_MAX)
            litmus_die("%s: more than %u runs: make it smaller", litmus->name, RUNS_MAX);
        litmus_run(litmus, file_system, &loss, &states);
        litmus_set_add(set, states.after);
    } while (next(&path));
    free(path.draws);
    return runs;
}

/*
 * search.c: looks for an order of one key's calls that gives their results: Wing and Gong's search
 * with Lowe's memory of configurations.
 *
 * The begins and ends of all calls stand in one list, in the order in which they happened:
 *
 *      head - [begin 0] - [begin 1] - [end 0] - [begin 2] - [end 1] - [end 2]
 *
 * A call can come next if its begin stands before the first end: then no call that is still in the
 * list ended before it began. Taking it lifts its begin and its end out of the list; going back
 * puts them in again, in reverse order. Meeting an end means that nothing before it could be taken:
 * its call would come too late. The order is found when no end is left.
 *
 * Where a search is, its configuration, is the set of calls it has taken and the state. From the
 * same configuration it always comes to the same result, so each is entered once. Two more
 * observations make the common histories cheap:
 *
 *   - A read that can come next may come at once: whatever order there is with it later, there is
 *     with it in front. No other choice need be tried. (It must be a read: a write of the value
 *     that is there changes nothing now, but would if it came later.)
 *   - A call that never returned, and would leave the state as it is, need not be taken here.
 *
 * A configuration is remembered as the bits of the set from the first word that is not full on
 * (calls are taken roughly in order, so most of the set is a full beginning), and the state.
 */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#define HEAD 0u
#define WORD_BITS 64u

struct step {
    uint32_t call;
    bool forced; /* no other choice is worth a try */
};

struct search {
    const struct orr_model *model;
    const struct orr_call *calls;
    uint32_t left; /* calls that returned and are not taken yet */
    uint32_t *next;
    uint32_t *previous;
    uint32_t *bit; /* of each call in the set: those that returned first */
    uint64_t *set;
    uint32_t words;          /* of the set */
    uint32_t words_returned; /* of them hold calls that returned */
    struct step *steps;
    uint32_t step_count;
    uint8_t *states; /* before each step, and now */
    struct orr__seen seen;
    bool full;
    uint64_t dead_end; /* the latest end that could not be passed: its place in the history */
    struct orr__dead_end *ret_dead_end;
};

/* ---- the list -------------------------------------------------------------------------------- */

static uint32_t begin_node(uint32_t call)
{
    return 1 + 2 * call;
}

static uint32_t end_node(uint32_t call)
{
    return 2 + 2 * call;
}

static uint32_t call_of(uint32_t node)
{
    return (node - 1) / 2;
}

static bool is_begin(uint32_t node)
{
    return node % 2 == 1;
}

static void lift(struct search *search, uint32_t node)
{
    search->next[search->previous[node]] = search->next[node];
    search->previous[search->next[node]] = search->previous[node];
}

static void put_back(struct search *search, uint32_t node)
{
    search->next[search->previous[node]] = node;
    search->previous[search->next[node]] = node;
}

struct moment {
    uint64_t place;
    uint32_t node;
};

static int compare_moments(const void *a, const void *b)
{
    const struct moment *left = a;
    const struct moment *right = b;
    return left->place < right->place ? -1 : left->place > right->place;
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        orr_fatal("no memory to judge a history: %zu times %zu bytes", count, size);
    return memory;
}

/* The list is a ring through the head. */
static void make_list(struct search *search, uint32_t count)
{
    struct moment *moments = allocate(2 * (size_t)count + 1, sizeof *moments);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        moments[used++] = (struct moment){search->calls[i].begun, begin_node(i)};
        if (search->calls[i].ended != 0)
            moments[used++] = (struct moment){search->calls[i].ended, end_node(i)};
    }
    qsort(moments, used, sizeof *moments, compare_moments);
    uint32_t last = HEAD;
    for (uint32_t i = 0; i < used; i++) {
        search->next[last] = moments[i].node;
        search->previous[moments[i].node] = last;
        last = moments[i].node;
    }
    search->next[last] = HEAD;
    search->previous[HEAD] = last;
    free(moments);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static uint8_t *state_after(struct search *search, uint32_t steps)
{
    return search->states + (size_t)steps * search->model->state_size;
}

/* Does the call to a copy of the state, which becomes the state if the step is taken. */
static bool apply(struct search *search, uint32_t call, bool *ret_changed)
{
    size_t size = search->model->state_size;
    uint8_t *now = state_after(search, search->step_count);
    uint8_t *then = now + size;
    memcpy(then, now, size);
    if (!search->model->apply(then, &search->calls[call]))
        return false;
    *ret_changed = memcmp(then, now, size) != 0;
    return true;
}

static void take(struct search *search, uint32_t call, bool forced)
{
    search->set[search->bit[call] / WORD_BITS] |= UINT64_C(1) << search->bit[call] % WORD_BITS;
    search->steps[search->step_count++] = (struct step){.call = call, .forced = forced};
    lift(search, begin_node(call));
    if (search->calls[call].ended != 0) {
        lift(search, end_node(call));
        search->left--;
    }
}

static struct step untake(struct search *search)
{
    struct step step = search->steps[--search->step_count];
    if (search->calls[step.call].ended != 0) {
        put_back(search, end_node(step.call));
        search->left++;
    }
    put_back(search, begin_node(step.call));
    search->set[search->bit[step.call] / WORD_BITS] &=
        ~(UINT64_C(1) << search->bit[step.call] % WORD_BITS);
    return step;
}

static bool is_read(const struct search *search, uint32_t call)
{
    return search->model->reads != NULL && search->calls[call].ended != 0 &&
           search->model->reads(&search->calls[call]);
}

/* Takes all reads that can come next. */
static void settle(struct search *search)
{
    uint32_t node = search->next[HEAD];
    while (node != HEAD && is_begin(node)) {
        uint32_t call = call_of(node);
        uint32_t before = search->previous[node];
        bool changed;
        if (is_read(search, call) && apply(search, call, &changed)) {
            take(search, call, true);
            node = search->next[before];
        } else {
            node = search->next[node];
        }
    }
}

/* Goes back to before the last step that was a choice. False if there was none. */
static bool go_back(struct search *search, uint32_t *ret_call)
{
    while (search->step_count > 0) {
        struct step step = untake(search);
        *ret_call = step.call;
        if (!step.forced)
            return true;
    }
    return false;
}

/* ---- configurations -------------------------------------------------------------------------- */

static enum orr__seen_result remember(struct search *search)
{
    uint32_t first = 0;
    uint32_t last = search->words;
    while (first < search->words_returned && search->set[first] == UINT64_MAX)
        first++;
    while (last > first && search->set[last - 1] == 0)
        last--;
    size_t size = search->model->state_size;
    uint64_t state_words = (size + sizeof(uint64_t) - 1) / sizeof(uint64_t);
    uint64_t count = 1 + (last - first) + state_words;
    uint64_t *entry = orr__seen_room(&search->seen, count);
    if (entry == NULL)
        return ORR__SEEN_FULL;
    entry[0] = first;
    memcpy(entry + 1, search->set + first, (last - first) * sizeof *entry);
    entry[count - 1] = 0; /* the state may not fill its last word */
    memcpy(entry + count - state_words, state_after(search, search->step_count), size);
    return orr__seen_add(&search->seen, count);
}

/* Takes a call and what follows from it, if it can be and leads to a new configuration. */
static bool try_call(struct search *search, uint32_t call)
{
    bool changed;
    if (!apply(search, call, &changed) || (!changed && search->calls[call].ended == 0))
        return false;
    take(search, call, false);
    settle(search);
    enum orr__seen_result result = remember(search);
    if (result == ORR__SEEN_NEW)
        return true;
    search->full = result == ORR__SEEN_FULL;
    (void)go_back(search, &call);
    return false;
}

/* ---- the search ------------------------------------------------------------------------------ */

/* The end of a call was met before it was taken. Of the latest of these ends, the states there. */
static void meet_end(struct search *search, uint32_t call)
{
    struct orr__dead_end *dead_end = search->ret_dead_end;
    size_t size = search->model->state_size;
    const uint8_t *state = state_after(search, search->step_count);
    if (search->calls[call].ended < search->dead_end)
        return;
    if (search->calls[call].ended > search->dead_end) {
        search->dead_end = search->calls[call].ended;
        *dead_end = (struct orr__dead_end){.call = call};
    }
    for (uint32_t i = 0; i < dead_end->state_count; i++)
        if (memcmp(dead_end->states[i], state, size) == 0)
            return;
    if (dead_end->state_count < ORR__STATES_MAX)
        memcpy(dead_end->states[dead_end->state_count++], state, size);
    else
        dead_end->more_states = true;
}

static enum orr_verdict run(struct search *search)
{
    settle(search);
    uint32_t node = search->next[HEAD];
    while (search->left > 0 && !search->full) {
        if (is_begin(node)) {
            node = try_call(search, call_of(node)) ? search->next[HEAD] : search->next[node];
            continue;
        }
        uint32_t call;
        meet_end(search, call_of(node));
        if (!go_back(search, &call))
            return ORR_VERDICT_NOT_LINEARIZABLE;
        node = search->next[begin_node(call)];
    }
    return search->full ? ORR_VERDICT_UNKNOWN : ORR_VERDICT_LINEARIZABLE;
}

static void number_calls(struct search *search, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        search->left += search->calls[i].ended != 0 ? 1 : 0;
    uint32_t returned = 0;
    uint32_t pending = (search->left + WORD_BITS - 1) / WORD_BITS * WORD_BITS;
    search->words_returned = pending / WORD_BITS;
    for (uint32_t i = 0; i < count; i++)
        search->bit[i] = search->calls[i].ended != 0 ? returned++ : pending++;
    search->words = (pending + WORD_BITS - 1) / WORD_BITS;
}

enum orr_verdict orr__search(const struct orr_model *model, const struct orr_call *calls,
                             uint32_t count, uint64_t memory_max,
                             struct orr__dead_end *ret_dead_end)
{
    struct orr__dead_end dead_end = {0};
    struct search search = {.model = model, .calls = calls, .ret_dead_end = &dead_end};
    search.next = allocate(2 * (size_t)count + 1, sizeof *search.next);
    search.previous = allocate(2 * (size_t)count + 1, sizeof *search.previous);
    search.bit = allocate((size_t)count + 1, sizeof *search.bit);
    search.steps = allocate((size_t)count + 1, sizeof *search.steps);
    search.states = allocate((size_t)count + 2, model->state_size);
    number_calls(&search, count);
    search.set = allocate((size_t)search.words + 1, sizeof *search.set);
    make_list(&search, count);
    orr__seen_open(&search.seen, memory_max);
    enum orr_verdict verdict = run(&search);
    if (verdict == ORR_VERDICT_NOT_LINEARIZABLE)
        *ret_dead_end = dead_end;
    orr__seen_close(&search.seen);
    free(search.next);
    free(search.previous);
    free(search.bit);
    free(search.steps);
    free(search.states);
    free(search.set);
    return verdict;
}

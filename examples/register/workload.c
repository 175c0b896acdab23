/*
 * workload.c: see workload.h.
 *
 * A value is its number as 8 bytes, then padding that only the number decides, so that a damaged or
 * mixed one is recognised. Numbers are unique: (client + 1) * NUMBERS plus a count.
 */
#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/little_endian.h"

#define NUMBERS 1000000u
#define FINAL_CALLS 4u
#define THINK_MAX_NS (4 * ORR_MILLISECOND)
#define PATIENCE_NS (300 * ORR_MILLISECOND)
#define HURRY_MAX_NS (50 * ORR_MILLISECOND)
#define HASTE_MAX_NS (3 * ORR_MILLISECOND)
#define NUMBER_LENGTH 8u

struct workload {
    struct orr_loop *loop;
    struct register_task *task;
    struct register_client *client;
    uint64_t call; /* of the history */
    bool is_calling;
    bool is_final_call;
    uint32_t key;
    struct orr_completion think;
    struct orr_completion patience; /* a timer; what it measures is patience_until_ns */
    uint64_t patience_until_ns;
    struct orr_completion hurry; /* a timer, for one call that is not to last */
    uint64_t hurried_call;
    uint8_t value[REGISTER_VALUE_MAX];
};

static uint64_t choose(struct workload *workload, uint64_t bound)
{
    uint64_t random;
    orr_random(workload->loop, &random, sizeof random);
    return random % bound;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* One in eight is long. */
static uint32_t value_length(uint64_t number)
{
    uint64_t mixed = number * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    return NUMBER_LENGTH +
           (uint32_t)(mixed % (number % 8 == 0 ? REGISTER_VALUE_MAX - NUMBER_LENGTH + 1 : 40));
}

static uint32_t make_value(uint64_t number, uint8_t value[REGISTER_VALUE_MAX])
{
    uint32_t length = value_length(number);
    put_u64(value, number);
    for (uint32_t i = NUMBER_LENGTH; i < length; i++)
        value[i] = (uint8_t)(number + i);
    return length;
}

/* The number of a value that a get saw; 0 for none. A damaged one fails the run. */
static uint64_t number_of(struct workload *workload, const struct register_found *found)
{
    if (!found->exists)
        return 0;
    uint64_t number = found->length < NUMBER_LENGTH ? 0 : get_u64(found->value);
    bool is_whole = number != 0 && make_value(number, workload->value) == found->length &&
                    memcmp(workload->value, found->value, found->length) == 0;
    if (!is_whole)
        orr_note(workload->task->world, "client-%u got %u bytes of key %u that nobody set",
                 workload->task->client, found->length, workload->key);
    orr_always(workload->task->world, is_whole, "a get returns a whole value");
    return number;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void on_thought(void *context, struct orr_completion *completion, int64_t result);

static void think(struct workload *workload)
{
    const struct register_task *task = workload->task;
    bool has_more = task->is_final ? task->final_calls < FINAL_CALLS : task->calls_left > 0;
    /* Nothing to do: looks again, for the final phase is still to come. */
    uint64_t ns = has_more ? choose(workload, THINK_MAX_NS) : 10 * THINK_MAX_NS;
    orr_timeout(workload->loop, &workload->think, ns, on_thought, workload);
}

static void on_done(void *context, const struct register_found *found)
{
    struct workload *workload = context;
    struct register_task *task = workload->task;
    uint64_t number = found == NULL ? 0 : number_of(workload, found);
    orr_history_end(task->history, workload->call, number, orr_world_now(task->world));
    workload->is_calling = false;
    task->final_calls += workload->is_final_call ? 1 : 0;
    think(workload);
}

static void give_up(struct workload *workload)
{
    register_client_give_up(workload->client);
    workload->is_calling = false;
    workload->task->given_up++;
    think(workload);
}

static void on_patience(void *context, struct orr_completion *completion, int64_t result)
{
    struct workload *workload = context;
    if (result < 0 || !workload->is_calling)
        return;
    uint64_t now_ns = orr_now(workload->loop);
    if (now_ns >= workload->patience_until_ns && !workload->task->is_final)
        give_up(workload);
    else
        orr_timeout(workload->loop, completion,
                    now_ns < workload->patience_until_ns ? workload->patience_until_ns - now_ns
                                                         : PATIENCE_NS,
                    on_patience, workload);
}

static void on_hurry(void *context, struct orr_completion *completion, int64_t result)
{
    struct workload *workload = context;
    (void)completion;
    if (result == 0 && workload->is_calling && workload->call == workload->hurried_call &&
        !workload->task->is_final)
        give_up(workload);
}

/* Every call has an end: one in eight in the middle of its work, one in four before an island or a
 * crash is over. */
static void limit_call(struct workload *workload)
{
    workload->patience_until_ns = orr_now(workload->loop) + PATIENCE_NS;
    if (!orr_in_flight(&workload->patience))
        orr_timeout(workload->loop, &workload->patience, PATIENCE_NS, on_patience, workload);
    uint64_t kind = choose(workload, 8);
    if (kind < 3 && !orr_in_flight(&workload->hurry)) {
        workload->hurried_call = workload->call;
        orr_timeout(workload->loop, &workload->hurry,
                    choose(workload, kind == 0 ? HASTE_MAX_NS : HURRY_MAX_NS), on_hurry, workload);
    }
}

static void begin_call(struct workload *workload)
{
    struct register_task *task = workload->task;
    char key[16];
    workload->key = (uint32_t)choose(workload, REGISTER_KEYS);
    uint32_t key_length = (uint32_t)snprintf(key, sizeof key, "key-%u", workload->key);
    bool is_set = choose(workload, 2) == 0;
    uint64_t number = (task->client + 1) * (uint64_t)NUMBERS + task->sets;
    task->sets += is_set ? 1 : 0;
    workload->is_calling = true;
    workload->is_final_call = task->is_final;
    workload->call = orr_history_begin(
        task->history, &(struct orr_call){.client = task->client,
                                          .key = workload->key,
                                          .kind = is_set ? ORR_REGISTER_WRITE : ORR_REGISTER_READ,
                                          .argument = is_set ? number : 0,
                                          .begun_ns = orr_world_now(task->world)});
    limit_call(workload);
    if (is_set)
        register_client_set(workload->client, key, key_length, workload->value,
                            make_value(number, workload->value), on_done, workload);
    else
        register_client_get(workload->client, key, key_length, on_done, workload);
}

static void on_thought(void *context, struct orr_completion *completion, int64_t result)
{
    struct workload *workload = context;
    struct register_task *task = workload->task;
    (void)completion;
    if (result < 0)
        return;
    bool is_last = task->is_final && task->final_calls >= FINAL_CALLS;
    if (is_last || (!task->is_final && task->calls_left == 0)) {
        think(workload);
        return;
    }
    task->calls_left -= task->is_final ? 0 : 1;
    begin_call(workload);
}

void *register_workload_boot(struct orr_loop *loop, void *config)
{
    struct workload *workload = orr_malloc(loop, sizeof *workload);
    struct register_task *task = config;
    if (workload == NULL)
        return NULL;
    memset(workload, 0, sizeof *workload);
    workload->loop = loop;
    workload->task = task;
    workload->client = register_client_open(loop, &task->peers);
    if (workload->client == NULL)
        return NULL;
    think(workload);
    return workload;
}

bool register_workload_done(void *context)
{
    const struct register_task *tasks = context;
    for (uint32_t i = 0; i < REGISTER_CLIENTS; i++)
        if (tasks[i].final_calls < FINAL_CALLS)
            return false;
    return true;
}

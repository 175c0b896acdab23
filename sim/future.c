/*
 * future.c: the instants at which a run goes on in another way, and what changes there.
 *
 * From the instant on another seed answers every draw, and a fuzzer's bytes are over. The rulings
 * of the replay file change to those below its line "future", unless these say "same". What has
 * begun ends as it was to end: a segment on its way arrives when it was to arrive. But what chance
 * has only appointed, the next power loss, the next partition, is drawn again from here on; else
 * every future would meet the fate of the run that it leaves (chance.c, plan.c).
 */
#include "future.h"

#include "libc/libc.h"
#include "replay_file.h"
#include "world.h"

#include <inttypes.h>
#include <string.h>

/* ---- instants as text ------------------------------------------------------------------------ */

/* The rest of a text behind a word, or NULL. */
static const char *behind(const char *text, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(text, word, length) != 0 || (text[length] != ' ' && text[length] != '\t'))
        return NULL;
    return text + length + strspn(text + length, " \t");
}

static bool parse_count(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (*text == '\0')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return *text == '\0';
}

/* "server/fsync#9": of an operation the node, of anything else the whole name is kept. */
static bool parse_name(const char *name, struct orr__instant *instant)
{
    char part[ORR__INSTANT_MAX];
    const char *slash = strrchr(name, '/');
    const char *number = strrchr(name, '#');
    if (number == NULL || number == name || strpbrk(name, " \t") != NULL ||
        !parse_count(number + 1, &instant->number))
        return false;
    instant->kind = ORR__INSTANT_FAULT;
    snprintf(instant->name, sizeof instant->name, "%s", name);
    if (slash == NULL || slash > number)
        return true;
    snprintf(part, sizeof part, "%.*s", (int)(number - slash - 1), slash + 1);
    instant->op = orr__operation_named(part);
    if (instant->op == 0)
        return true;
    instant->kind = ORR__INSTANT_OPERATION;
    instant->name[slash - name] = '\0';
    return true;
}

bool orr__instant_parse(const char *text, struct orr__instant *ret_instant)
{
    const char *rest;
    struct orr__instant instant = {.number = 0};
    if (strlen(text) >= sizeof instant.text || strchr(text, '\n') != NULL)
        return false;
    memcpy(instant.text, text, strlen(text) + 1);
    *ret_instant = instant;
    if ((rest = behind(text, "after")) != NULL)
        return parse_name(rest, ret_instant);
    if ((rest = behind(text, "event")) != NULL) {
        ret_instant->kind = ORR__INSTANT_EVENT;
        return parse_count(rest, &ret_instant->number);
    }
    if ((rest = behind(text, "sometimes")) != NULL) {
        ret_instant->kind = ORR__INSTANT_SEEN;
        memcpy(ret_instant->name, rest, strlen(rest) + 1);
        return *rest != '\0';
    }
    ret_instant->kind = ORR__INSTANT_TIME;
    return orr__replay_time_parse(text, &ret_instant->number);
}

/* ---- whether it has come --------------------------------------------------------------------- */

bool orr__future_is_due(const struct orr_world *world, uint64_t next_ns)
{
    const struct orr__instant *instant = &world->ahead->instant;
    if (instant->kind == ORR__INSTANT_TIME)
        return next_ns >= instant->number;
    if (instant->kind == ORR__INSTANT_EVENT)
        return world->events_run >= instant->number;
    return world->is_instant_named;
}

void orr__future_ended(struct orr_world *world, const char *node, uint8_t op, uint64_t occurrence)
{
    const struct orr__instant *instant = &world->ahead->instant;
    if (instant->kind == ORR__INSTANT_OPERATION && instant->op == op &&
        instant->number == occurrence && strcmp(instant->name, node) == 0)
        world->is_instant_named = true;
}

void orr__future_struck(struct orr_world *world, const struct orr__point *point)
{
    char name[ORR__POINT_NAME_MAX];
    if (world->ahead->instant.kind != ORR__INSTANT_FAULT)
        return;
    orr__point_name(point, name);
    if (strcmp(world->ahead->instant.name, name) == 0)
        world->is_instant_named = true;
}

void orr__future_seen(struct orr_world *world, const char *text)
{
    const struct orr__instant *instant = &world->ahead->instant;
    if (instant->kind == ORR__INSTANT_SEEN && strcmp(instant->name, text) == 0)
        world->is_instant_named = true;
}

/* ---- what begins there ----------------------------------------------------------------------- */

static void look_ahead(struct orr_world *world)
{
    world->ahead = world->section != NULL ? orr__rulings_future(world->section) : NULL;
    world->is_instant_named = false;
}

void orr__world_rule(struct orr_world *world, struct orr__rulings *file)
{
    orr__assert(world->file == NULL);
    world->file = file;
    world->section = file;
    world->rulings = file;
    look_ahead(world);
}

/* In each process that is to be a future; the run that came here does not return. */
static uint64_t branch(struct orr_world *world)
{
    struct orr__stem *stem = world->stem;
    struct orr__scope before = orr__scope_enter(NULL, NULL);
    stem->event = world->events_run;
    stem->time_ns = world->now_ns;
    stem->trace_hash = world->hash;
    uint64_t seed = stem->branch(stem);
    orr__scope_leave(before);
    world->live_hash = stem->live_hash;
    world->untold = stem->untold;
    world->position = stem->position;
    *world->live_hash = world->hash;
    return seed;
}

/* What was recorded of a future begins it in the same way. */
static void write_ledger(const struct orr_world *world, const struct orr__future *future,
                         uint64_t seed)
{
    if (world->ledger != NULL)
        fprintf(world->ledger, "future %" PRIu64 " from %s\nonly\n", seed, future->instant.text);
}

void orr__future_begin(struct orr_world *world)
{
    struct orr__future *future = world->ahead;
    struct orr__rulings *next = orr__rulings_next(world->section);
    bool is_last = orr__rulings_future(next) == NULL;
    bool branches = is_last && world->stem != NULL && world->stem->branch != NULL;
    orr__assert(future != NULL && !world->failed);
    uint64_t seed = branches ? branch(world) : future->seed;
    orr__story_line(world, "(world)", "future %" PRIu64 " begins here, after %" PRIu64 " event%s",
                    seed, world->events_run, ORR__S(world->events_run));
    write_ledger(world, future, seed);
    world->choice_seed = seed;
    world->section = next;
    world->lanes = NULL;
    if (!orr__rulings_same(next)) {
        world->rulings = next;
        orr__plans_renew(world);
        orr__chance_renew(world);
    }
    look_ahead(world);
}

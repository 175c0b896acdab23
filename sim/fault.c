/*
 * fault.c: the kinds of faults and their names; whether one strikes at a point, and how hard.
 *
 * The model: at a point the seed decides by a choice, with its family's rate. A replay file comes
 * first: it lets a named fault strike, or keeps it off, or all others, and says how large it is.
 * Points have names that do not depend on which other faults strike, so one can be taken away and
 * the rest stays. The ledger writes a fault as the line of a replay file that lets it strike:
 * what was written with every line of a run, and `only`, is that run again.
 */
#include "replay_file.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define MILLION 1000000u
#define SWEPT_DELAY_MS 100
#define RARE_ONE_IN 4u

static const struct {
    const char *word; /* of a replay file; NULL: the size is its name */
    enum orr_fault_family family;
    enum orr__fault_unit unit;
} kinds[ORR__FAULT_KIND_COUNT] = {
    [ORR__FAULT_SHORT] = {"short", ORR_FAMILY_PARTIAL, ORR__UNIT_COUNT},
    [ORR__FAULT_LONGER] = {"+=", ORR_FAMILY_LATENCY, ORR__UNIT_TIME},
    [ORR__FAULT_OVERTAKES] = {"overtakes", ORR_FAMILY_REORDER, ORR__UNIT_NONE},
    [ORR__FAULT_TURN] = {"turn", ORR_FAMILY_REORDER, ORR__UNIT_COUNT},
    [ORR__FAULT_WOKEN] = {"woken-later", ORR_FAMILY_REORDER, ORR__UNIT_TIME},
    [ORR__FAULT_HEARS_TWICE] = {"hears-twice", ORR_FAMILY_REORDER, ORR__UNIT_NONE},
    [ORR__FAULT_DEFERRED] = {"deferred", ORR_FAMILY_REORDER, ORR__UNIT_NONE},
    [ORR__FAULT_BATCH] = {"takes", ORR_FAMILY_PRESSURE, ORR__UNIT_COUNT},
    [ORR__FAULT_DELIVERS] = {"delivers", ORR_FAMILY_PRESSURE, ORR__UNIT_COUNT},
    [ORR__FAULT_BUFFERS] = {"small-buffers", ORR_FAMILY_PRESSURE, ORR__UNIT_NONE},
    [ORR__FAULT_QUEUE] = {"small-queue", ORR_FAMILY_PRESSURE, ORR__UNIT_COUNT},
    [ORR__FAULT_BACKLOG] = {"backlog", ORR_FAMILY_PRESSURE, ORR__UNIT_COUNT},
    [ORR__FAULT_REFUSED] = {"refused", ORR_FAMILY_CONNECTION, ORR__UNIT_NONE},
    [ORR__FAULT_RESET] = {"reset", ORR_FAMILY_CONNECTION, ORR__UNIT_NONE},
    [ORR__FAULT_LOST] = {"lost", ORR_FAMILY_DATAGRAM, ORR__UNIT_NONE},
    [ORR__FAULT_ASTRAY] = {NULL, ORR_FAMILY_DATAGRAM, ORR__UNIT_ASTRAY},
    [ORR__FAULT_CUT] = {"cut", ORR_FAMILY_PARTITION, ORR__UNIT_TIME},
    [ORR__FAULT_CLOGGED] = {"clogged", ORR_FAMILY_CLOG, ORR__UNIT_TIME},
    [ORR__FAULT_SLOW] = {"slow", ORR_FAMILY_BANDWIDTH, ORR__UNIT_COUNT},
    [ORR__FAULT_ERROR] = {NULL, ORR_FAMILY_DISK_ERROR, ORR__UNIT_ERROR},
    [ORR__FAULT_FULL] = {NULL, ORR_FAMILY_DISK_FULL, ORR__UNIT_ERROR},
    [ORR__FAULT_HANDLES] = {NULL, ORR_FAMILY_HANDLES, ORR__UNIT_ERROR},
    [ORR__FAULT_MEMORY] = {NULL, ORR_FAMILY_MEMORY, ORR__UNIT_ERROR},
    [ORR__FAULT_LOST_SYNC] = {"lost-sync", ORR_FAMILY_LOST_SYNC, ORR__UNIT_NONE},
    [ORR__FAULT_BAD_SECTOR] = {"bad-sector", ORR_FAMILY_BAD_SECTOR, ORR__UNIT_COUNT},
    [ORR__FAULT_BIT_ROT] = {"bit-rot", ORR_FAMILY_BIT_ROT, ORR__UNIT_COUNT},
    [ORR__FAULT_MISDIRECTED] = {"misdirected", ORR_FAMILY_MISDIRECTED, ORR__UNIT_COUNT},
    [ORR__FAULT_STUCK] = {"stuck", ORR_FAMILY_STUCK, ORR__UNIT_NONE},
    [ORR__FAULT_POWER] = {"power-loss", ORR_FAMILY_POWER_LOSS, ORR__UNIT_LOSS},
    [ORR__FAULT_KILLED] = {"killed", ORR_FAMILY_KILL, ORR__UNIT_NONE},
    [ORR__FAULT_PAUSED] = {"paused", ORR_FAMILY_PAUSE, ORR__UNIT_TIME},
    [ORR__FAULT_SKEWED] = {"skewed", ORR_FAMILY_CLOCK, ORR__UNIT_NONE},
    [ORR__FAULT_DRIFTS] = {"drifts", ORR_FAMILY_CLOCK, ORR__UNIT_NONE},
    [ORR__FAULT_STEPPED] = {"stepped", ORR_FAMILY_CLOCK, ORR__UNIT_TIME},
    [ORR__FAULT_LISTS] = {"lists", ORR_FAMILY_DISK_ERROR, ORR__UNIT_COUNT},
    [ORR__FAULT_APART] = {"apart", ORR_FAMILY_REORDER, ORR__UNIT_NONE},
    [ORR__FAULT_ERROR_ALONE] = {"error-alone", ORR_FAMILY_REORDER, ORR__UNIT_NONE},
    [ORR__FAULT_NOT_WOKEN] = {"not-woken", ORR_FAMILY_REORDER, ORR__UNIT_NONE},
    [ORR__FAULT_UNREACHABLE] = {"unreachable", ORR_FAMILY_UNREACHABLE, ORR__UNIT_NONE},
    [ORR__FAULT_NO_ROUTE] = {"no-route", ORR_FAMILY_UNREACHABLE, ORR__UNIT_NONE},
    [ORR__FAULT_EVICTED] = {"evicted", ORR_FAMILY_DISK_ERROR, ORR__UNIT_NONE},
    [ORR__FAULT_OVERWRITES] = {"overwrites", ORR_FAMILY_MISDIRECTED, ORR__UNIT_COUNT},
    [ORR__FAULT_UNHEARD] = {"unheard", ORR_FAMILY_KILL, ORR__UNIT_COUNT},
    [ORR__FAULT_WRITTEN] = {"written", ORR_FAMILY_DISK_ERROR, ORR__UNIT_NONE},
    [ORR__FAULT_TORN] = {"torn", ORR_FAMILY_POWER_LOSS, ORR__UNIT_COUNT},
};

const char *orr__fault_word(enum orr__fault_kind kind)
{
    return kinds[kind].word;
}

const char *orr__astray_word(uint64_t value)
{
    static const char *const words[ORR__ASTRAY_COUNT] = {
        [ORR__ASTRAY_DOUBLED] = "doubled",
        [ORR__ASTRAY_OVERTAKEN] = "overtaken",
        [ORR__ASTRAY_STALE] = "stale-copy",
    };
    orr__assert(value < ORR__ASTRAY_COUNT);
    return words[value];
}

enum orr__fault_unit orr__fault_unit(enum orr__fault_kind kind)
{
    return kinds[kind].unit;
}

enum orr_fault_family orr__fault_family(enum orr__fault_kind kind)
{
    return kinds[kind].family;
}

enum orr__fault_kind orr__fault_of_error(int error, bool memory)
{
    if (memory && error == ENOMEM)
        return ORR__FAULT_MEMORY;
    if (error == ENOSPC || error == EDQUOT)
        return ORR__FAULT_FULL;
    return error == EMFILE || error == ENFILE ? ORR__FAULT_HANDLES : ORR__FAULT_ERROR;
}

void orr__point_name(const struct orr__point *point, char name[ORR__POINT_NAME_MAX])
{
    snprintf(name, ORR__POINT_NAME_MAX, "%s%s%s#%" PRIu64, point->owner,
             point->part != NULL ? "/" : "", point->part != NULL ? point->part : "", point->number);
}

/* ---- whether it strikes ---------------------------------------------------------------------- */

static bool may_strike_now(const struct orr_world *world)
{
    return !world->healed && world->now_ns >= world->faults_from_ns &&
           world->now_ns < world->faults_until_ns;
}

bool orr__family_on(const struct orr_world *world, enum orr_fault_family family)
{
    return world->rates[family] > 0 && may_strike_now(world);
}

/* Whether a replay file decides. */
static bool is_ruled(struct orr_world *world, const struct orr__point *point, bool *ret_strikes)
{
    if (world->rulings == NULL)
        return false;
    const struct orr__ruling *ruling = orr__rulings_find(world->rulings, point);
    *ret_strikes = ruling != NULL && !ruling->keeps_off;
    return ruling != NULL || orr__rulings_only(world->rulings);
}

/* What a sweep will try. Families on request only where the scenario has asked. */
static void note_point(const struct orr_world *world, const struct orr__point *point)
{
    static const int errors[ORR__FAULT_KIND_COUNT] = {
        [ORR__FAULT_ERROR] = EIO,
        [ORR__FAULT_FULL] = ENOSPC,
        [ORR__FAULT_HANDLES] = EMFILE,
        [ORR__FAULT_MEMORY] = ENOMEM,
    };
    enum orr_fault_family family = kinds[point->kind].family;
    if (world->points == NULL || world->failed ||
        (orr_fault_family_is_on_request(family) && world->rates[family] == 0))
        return;
    char name[ORR__POINT_NAME_MAX];
    orr__point_name(point, name);
    if (point->kind == ORR__FAULT_LONGER)
        fprintf(world->points, "%s += %dms\n", name, SWEPT_DELAY_MS);
    else if (kinds[point->kind].unit == ORR__UNIT_ERROR)
        fprintf(world->points, "%s = %s\n", name, orr_error_name(errors[point->kind]));
    else if (kinds[point->kind].unit == ORR__UNIT_ASTRAY)
        for (uint64_t value = 0; value < ORR__ASTRAY_COUNT; value++)
            fprintf(world->points, "%s = %s\n", name, orr__astray_word(value));
    else
        fprintf(world->points, "%s = %s\n", name, kinds[point->kind].word);
}

bool orr__strikes(struct orr_world *world, const struct orr__point *point)
{
    uint32_t rate = world->rates[kinds[point->kind].family];
    bool strikes = false;
    if ((rate == 0 && world->rulings == NULL) || !may_strike_now(world))
        return false;
    note_point(world, point);
    if (is_ruled(world, point, &strikes))
        return strikes;
    return rate > 0 &&
           orr__draw_below(world, point->site, point->actor, point->occurrence, MILLION) < rate;
}

bool orr__follows(struct orr_world *world, const struct orr__point *point, uint64_t one_in)
{
    bool strikes = false;
    note_point(world, point);
    if (is_ruled(world, point, &strikes))
        return strikes;
    return orr__draw_below(world, point->site, point->actor, point->occurrence, one_in) == 0;
}

bool orr__happens(struct orr_world *world, const struct orr__point *point)
{
    bool strikes = true;
    note_point(world, point);
    return !is_ruled(world, point, &strikes) || strikes;
}

uint64_t orr__extent(struct orr_world *world, const struct orr__point *point, uint64_t drawn,
                     uint64_t low, uint64_t high)
{
    orr__assert(low <= drawn && drawn <= high);
    if (world->rulings == NULL)
        return drawn;
    const struct orr__ruling *ruling = orr__rulings_take_size(world->rulings, point);
    if (ruling == NULL || !ruling->has_size)
        return drawn;
    if (ruling->size < low)
        return low;
    return ruling->size > high ? high : ruling->size;
}

int orr__error_at(struct orr_world *world, const struct orr__point *point, int error, int rare)
{
    if (!orr__strikes(world, point))
        return 0;
    bool is_rare = rare != error && orr__draw_below(world, point->site, ~point->actor,
                                                    point->occurrence, RARE_ONE_IN) == 0;
    uint64_t drawn = (uint64_t)(is_rare ? rare : error);
    int chosen = (int)orr__extent(world, point, drawn, 1, INT_MAX);
    orr__fault(world, point, (uint64_t)chosen, "%s", orr_error_name(chosen));
    return -chosen;
}

/* ---- as a line of a replay file -------------------------------------------------------------- */

static void write_time(FILE *out, uint64_t ns)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = {{"s", ORR_SECOND}, {"ms", ORR_MILLISECOND}, {"us", ORR_MICROSECOND}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ns > 0 && ns % units[i].ns == 0) {
            fprintf(out, " %" PRIu64 "%s", ns / units[i].ns, units[i].unit);
            return;
        }
    fprintf(out, " %" PRIu64 "ns", ns);
}

void orr__fault_write(FILE *out, const struct orr__point *point, uint64_t size)
{
    char name[ORR__POINT_NAME_MAX];
    orr__point_name(point, name);
    fprintf(out, "%s%s%s", name, point->kind == ORR__FAULT_LONGER ? "" : " =",
            kinds[point->kind].word != NULL ? " " : "");
    if (kinds[point->kind].word != NULL)
        fputs(kinds[point->kind].word, out);
    switch (kinds[point->kind].unit) {
    case ORR__UNIT_NONE:
        break;
    case ORR__UNIT_COUNT:
        fprintf(out, " %" PRIu64, size);
        break;
    case ORR__UNIT_TIME:
        write_time(out, size);
        break;
    case ORR__UNIT_ERROR:
        fprintf(out, " %s", orr_error_name((int)size));
        break;
    case ORR__UNIT_LOSS:
        fputs(size == ORR__LOSS_ONLY ? " only" : "", out);
        break;
    case ORR__UNIT_ASTRAY:
        fprintf(out, " %s", orr__astray_word(size));
        break;
    }
}

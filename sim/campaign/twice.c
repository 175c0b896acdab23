/*
 * twice.c: seeds that are run twice, to prove that nothing but the seed decides.
 *
 * The model. Both runs hash everything that happens and everything that programs give away
 * (witness.h); the second one has other addresses and other garbage in its memory (disturb.c).
 * The hashes are compared, no more: that costs next to nothing. Only if they differ the seed is run
 * again, in pairs, where each run writes its events into a pipe. The two streams are compared while
 * they come, so nothing is stored, and a run that gets ahead waits; at the first difference both
 * are ended. It may take some pairs where what leaks in from outside is seldom another.
 *
 * Finding that place goes on in a process of its own, with two places of the nursery that nobody
 * else uses: the runs begin from the same image as the seed did.
 */
#define _GNU_SOURCE 1 /* pipe2 */

#include "campaign.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define CHECK "the run is not deterministic"

enum {
    PAIRS_MAX = 8,    /* until the difference must have shown */
    COMMON_SHOWN = 4, /* events before it */
    HEX_BYTES = 12,
    SIDES = 2,
    POLL_MS = 100, /* between looks at the time and at signals */
};

/* ---- comparing results ----------------------------------------------------------------------- */

bool orr__twice_chooses(uint64_t every, uint64_t seed)
{
    return every > 0 && seed % every == 0;
}

void orr__twice_keep(const struct orr__result *result, struct orr__second *ret_second)
{
    *ret_second = (struct orr__second){.in = true,
                                       .failed = result->outcome.failed,
                                       .finished = result->finished,
                                       .recorded_hash = result->recorded_hash,
                                       .events = result->outcome.events};
    snprintf(ret_second->check, sizeof ret_second->check, "%s", result->outcome.check);
}

static bool same(const struct orr__result *first, const struct orr__second *second)
{
    return first->finished == second->finished && first->outcome.failed == second->failed &&
           first->outcome.events == second->events && first->recorded_hash == second->recorded_hash;
}

/* Adds to the detail what fits. */
static void ORR_PRINTF(2, 3) add(struct orr_outcome *outcome, const char *format, ...)
{
    size_t length = strlen(outcome->detail);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(outcome->detail + length, sizeof outcome->detail - length, format, arguments);
    va_end(arguments);
}

static void add_end(struct orr_outcome *outcome, const char *which, bool failed, uint64_t events,
                    const char *check)
{
    add(outcome, "the %s run %s%s", which, failed ? "fails: " : "passes", failed ? check : "");
    if (events > 0)
        add(outcome, ", after %" PRIu64 " event%s", events, ORR__S(events));
    add(outcome, "\n");
}

/* Where the time was over, the machine decided how far the run came. */
void orr__twice_judge(struct orr__result *first, const struct orr__second *second)
{
    struct orr_outcome *outcome = &first->outcome;
    if (first->killed || same(first, second))
        return;
    char check[sizeof outcome->check];
    memcpy(check, outcome->check, sizeof check);
    bool failed = outcome->failed;
    outcome->failed = true;
    first->cause = ORR__CAUSE_NONDETERMINISM;
    snprintf(first->group, sizeof first->group, "%s", CHECK);
    first->differs = true;
    snprintf(outcome->check, sizeof outcome->check, "%s", CHECK);
    outcome->detail[0] = '\0';
    add(outcome, "two runs of this seed differ: the second had other garbage in its memory, at "
                 "other addresses\n");
    add_end(outcome, "first", failed, outcome->events, check);
    add_end(outcome, "second", second->failed, second->events, second->check);
}

const char *orr__twice_option(bool differs)
{
    return differs ? " --twice" : "";
}

/* ---- streams --------------------------------------------------------------------------------- */

/* An event as it came through the pipe. */
struct event {
    struct orr__testimony record;
    uint8_t bytes[ORR__WITNESS_BYTES_MAX];
};

/* One run of a pair. */
struct side {
    struct orr__child *child;
    int stream;  /* read end, or -1: it has ended */
    size_t have; /* bytes of `event` */
    struct event event;
};

struct pair {
    struct side sides[SIDES];
    uint64_t events;                            /* the same in both so far */
    struct orr__testimony common[COMMON_SHOWN]; /* of number n: n % COMMON_SHOWN */
};

enum pair_end { PAIR_SAME, PAIR_DIFFERS, PAIR_STOPPED };

/* The bytes of the event that must be there before it is complete. */
static size_t wanted(const struct side *side)
{
    size_t head = sizeof side->event.record;
    return side->have < head ? head : head + side->event.record.size;
}

static bool is_complete(const struct side *side)
{
    return side->have >= sizeof side->event.record && side->have == wanted(side);
}

static bool is_waited_for(const struct side *side)
{
    return side->stream >= 0 && !is_complete(side);
}

static void take_stream(struct side *side)
{
    char *into = (char *)&side->event;
    while (is_waited_for(side)) {
        ssize_t length = read(side->stream, into + side->have, wanted(side) - side->have);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (length <= 0) {
            close(side->stream);
            side->stream = -1;
            return;
        }
        side->have += (size_t)length;
        if (side->have >= sizeof side->event.record &&
            side->event.record.size > ORR__WITNESS_BYTES_MAX)
            side->event.record.size = 0; /* a program gone mad wrote there */
    }
}

/* What it prints was shown by the run before. */
static void take_output(struct orr__child *child)
{
    char bytes[4096];
    if (child->output >= 0 && read(child->output, bytes, sizeof bytes) == 0) {
        close(child->output);
        child->output = -1;
    }
}

static void wait_for(struct pair *pair)
{
    struct pollfd polled[SIDES * 2];
    for (uint32_t i = 0; i < SIDES; i++) {
        const struct side *side = &pair->sides[i];
        polled[i] =
            (struct pollfd){.fd = is_waited_for(side) ? side->stream : -1, .events = POLLIN};
        polled[SIDES + i] = (struct pollfd){.fd = side->child->output, .events = POLLIN};
    }
    if (poll(polled, SIDES * 2, POLL_MS) <= 0)
        return;
    for (uint32_t i = 0; i < SIDES; i++) {
        if (polled[i].revents != 0)
            take_stream(&pair->sides[i]);
        if (polled[SIDES + i].revents != 0)
            take_output(pair->sides[i].child);
    }
}

static bool is_ready(const struct side *side)
{
    return side->stream < 0 || is_complete(side);
}

static bool events_are_equal(const struct side *a, const struct side *b)
{
    return a->have == b->have && memcmp(&a->event, &b->event, a->have) == 0;
}

/* Signals are blocked here: one that asks for the end waits. */
static bool must_stop(const struct pair *pair)
{
    sigset_t pending;
    uint64_t now_ns = orr__clock_ns();
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
           sigismember(&pending, SIGHUP) == 1 || pair->sides[0].child->deadline_ns <= now_ns ||
           pair->sides[1].child->deadline_ns <= now_ns;
}

static enum pair_end compare(struct pair *pair)
{
    struct side *a = &pair->sides[0];
    struct side *b = &pair->sides[1];
    while (!must_stop(pair)) {
        wait_for(pair);
        while (is_ready(a) && is_ready(b)) {
            if (!is_complete(a) && !is_complete(b))
                return PAIR_SAME;
            if (is_complete(a) != is_complete(b) || !events_are_equal(a, b))
                return PAIR_DIFFERS;
            pair->common[pair->events++ % COMMON_SHOWN] = a->event.record;
            a->have = 0;
            b->have = 0;
            take_stream(a);
            take_stream(b);
        }
    }
    return PAIR_STOPPED;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static int start_side(struct orr__nursery *nursery, const struct orr__job *job, uint64_t seed,
                      enum orr__twin twin, struct side *side)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int status = orr__nursery_start_twin(nursery, side->child, job, seed, twin, ends[1]);
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    side->stream = ends[0];
    return status;
}

static void end_side(struct side *side)
{
    orr__nursery_kill(side->child);
    if (side->stream >= 0)
        close(side->stream);
}

static enum pair_end run_pair(struct orr__nursery *nursery, const struct orr__job *job,
                              uint64_t seed, struct pair *pair)
{
    memset(pair, 0, sizeof *pair);
    enum pair_end end = PAIR_STOPPED;
    for (uint32_t i = 0; i < SIDES; i++) {
        pair->sides[i].child = &nursery->children[ORR__JOBS_MAX + i];
        pair->sides[i].stream = -1;
    }
    if (start_side(nursery, job, seed, ORR__TWIN_FIRST, &pair->sides[0]) == 0 &&
        start_side(nursery, job, seed, ORR__TWIN_SECOND, &pair->sides[1]) == 0)
        end = compare(pair);
    for (uint32_t i = 0; i < SIDES; i++)
        end_side(&pair->sides[i]);
    return end;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void add_event(struct orr_outcome *outcome, const char *which,
                      const struct orr__testimony *record)
{
    char text[128];
    orr__witness_text(record, text, sizeof text);
    add(outcome, "  %-7s%6" PRIu64 ".%06" PRIu64 " ms  %s %s%s%s%s\n", which,
        record->time_ns / ORR_MILLISECOND, record->time_ns % ORR_MILLISECOND, record->who, text,
        record->site[0] != '\0' ? "  (" : "", record->site, record->site[0] != '\0' ? ")" : "");
}

static void add_side(struct orr_outcome *outcome, const char *which, const struct side *side)
{
    if (is_complete(side))
        add_event(outcome, which, &side->event.record);
    else
        add(outcome, "  %-7sdoes nothing any more\n", which);
}

static void add_hex(struct orr_outcome *outcome, const char *which, const struct event *event,
                    uint32_t from)
{
    uint32_t to = event->record.size;
    if (to > from + HEX_BYTES)
        to = from + HEX_BYTES;
    add(outcome, "  %-7s", which);
    for (uint32_t i = from; i < to; i++)
        add(outcome, " %02x", event->bytes[i]);
    add(outcome, "%s\n", to < event->record.size ? " ..." : "");
}

/* Where the same operation gives away other bytes. */
static void add_bytes(struct orr_outcome *outcome, const struct event *a, const struct event *b)
{
    uint32_t least = a->record.size < b->record.size ? a->record.size : b->record.size;
    uint32_t from = 0;
    while (from < least && a->bytes[from] == b->bytes[from])
        from++;
    if (a->record.kind != b->record.kind || a->record.at != b->record.at || from == least)
        return;
    add(outcome, "the first bytes of it that differ, from byte %" PRIu64 " on, are\n",
        a->record.at + from);
    add_hex(outcome, "first", a, from);
    add_hex(outcome, "second", b, from);
}

static void add_difference(struct orr_outcome *outcome, const struct pair *pair)
{
    const struct side *a = &pair->sides[0];
    const struct side *b = &pair->sides[1];
    add(outcome, "they part after %" PRIu64 " event%s that are the same, here:\n", pair->events,
        ORR__S(pair->events));
    add_side(outcome, "first", a);
    add_side(outcome, "second", b);
    if (is_complete(a) && is_complete(b))
        add_bytes(outcome, &a->event, &b->event);
    uint64_t shown = pair->events < COMMON_SHOWN ? pair->events : COMMON_SHOWN;
    if (shown > 0)
        add(outcome, "before it, in both:\n");
    for (uint64_t i = pair->events - shown; i < pair->events; i++)
        add_event(outcome, "", &pair->common[i % COMMON_SHOWN]);
}

struct search {
    struct orr__nursery *nursery;
    const struct orr__job *job;
    struct orr__result *result;
};

static void search(const void *context)
{
    const struct search *search = context;
    static struct pair pair;
    struct orr_outcome *outcome = &search->result->outcome;
    enum pair_end end = PAIR_SAME;
    uint32_t pairs = 0;
    while (end == PAIR_SAME && pairs < PAIRS_MAX) {
        end = run_pair(search->nursery, search->job, outcome->seed, &pair);
        pairs++;
    }
    if (end == PAIR_DIFFERS)
        add_difference(outcome, &pair);
    else
        add(outcome,
            "no first difference was found in %u more pair%s of runs%s: what leaks in is seldom "
            "another\n",
            pairs, ORR__S(pairs), end == PAIR_STOPPED ? ", the last cut short" : "");
}

int orr__twice_locate(struct orr__nursery *nursery, const struct orr__job *job,
                      struct orr__result *result)
{
    struct orr__job quiet = *job;
    quiet.replay = false;
    quiet.trace = false;
    quiet.record = NULL;
    quiet.recorders = NULL;
    struct search context = {.nursery = nursery, .job = &quiet, .result = result};
    return orr__nursery_aside(nursery, search, &context);
}

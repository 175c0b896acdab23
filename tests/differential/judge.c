/*
 * judge.c: see judge.h.
 *
 * A determined program has one answer everywhere: on each kernel, in a calm world and in strained
 * ones. A kernel needs time to let arrive what is on its way, and nothing tells how much on this
 * machine; so a kernel that disagrees is asked again with more patience, and only the last word
 * counts.
 *
 * Of a racing program, the outcome of each step on a kernel must be the outcome of that step in
 * some world. Worlds are tried while one is missing.
 *
 * In a faulty world only the contract's own rules are checked, by the run itself: declared errors,
 * one end for each operation, agreement of cancels, bytes of streams.
 */
#include "judge.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WORLDS_MAX 4000u
#define STRAINED_WORLDS 2u
#define FAULTY_WORLDS 2u

static const uint64_t patience_ns[] = {30 * ORR_MICROSECOND, 3 * ORR_MILLISECOND,
                                       100 * ORR_MILLISECOND};
#define TRIES (sizeof patience_ns / sizeof patience_ns[0])

static struct record kernel_record;
static struct record world_record;
static bool seen[STEPS_MAX];
static bool entry_seen[ENTRIES_MAX];

/* ---- comparing ------------------------------------------------------------------------------- */

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
    return a->fate == b->fate &&
           (a->fate != FATE_ENDED || (a->result == b->result && a->extra == b->extra));
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
    return strcmp(a->path, b->path) == 0 && a->type == b->type && a->size == b->size &&
           a->links == b->links && a->hash == b->hash;
}

static const char *result_text(const struct outcome *outcome)
{
    static char texts[4][64];
    static uint32_t turn;
    char *text = texts[turn++ % 4];
    if (outcome->fate == FATE_NONE)
        return "";
    if (outcome->fate == FATE_SKIPPED)
        return "skipped";
    if (outcome->fate == FATE_FORCED)
        return "forced";
    if (outcome->result < 0 && outcome->result > -4096)
        snprintf(text, sizeof texts[0], "-%s", orr_error_name((int)-outcome->result));
    else
        snprintf(text, sizeof texts[0], "%" PRId64, outcome->result);
    if (outcome->extra != 0)
        snprintf(text + strlen(text), sizeof texts[0] - strlen(text), " {%04" PRIx64 "}",
                 (outcome->extra ^ outcome->extra >> 16) & 0xffff);
    return text;
}

static void disagree(struct verdict *verdict, uint32_t at, const char *why)
{
    verdict->disagrees = true;
    verdict->at = at;
    snprintf(verdict->why, sizeof verdict->why, "%s", why);
}

/* A rule that a run broke by itself. */
static void check_rules(struct verdict *verdict, const struct record *record)
{
    if (!verdict->disagrees && record->broken[0] != '\0')
        disagree(verdict, STEPS_MAX, record->broken);
}

static void compare(struct verdict *verdict, const struct program *program)
{
    for (uint32_t i = 0; i < program->count; i++)
        if (!same_outcome(&kernel_record.outcomes[i], &world_record.outcomes[i])) {
            char why[sizeof verdict->why];
            snprintf(why, sizeof why, "%s answers %s | %s", step_name(program->steps[i].op),
                     result_text(&kernel_record.outcomes[i]),
                     result_text(&world_record.outcomes[i]));
            disagree(verdict, i, why);
            return;
        }
    uint32_t count = kernel_record.entry_count > world_record.entry_count
                         ? kernel_record.entry_count
                         : world_record.entry_count;
    for (uint32_t i = 0; i < count; i++)
        if (!same_entry(&kernel_record.entries[i], &world_record.entries[i])) {
            char why[sizeof verdict->why];
            snprintf(why, sizeof why, "what is left behind differs at \"%.100s\" and \"%.100s\"",
                     kernel_record.entries[i].path, world_record.entries[i].path);
            disagree(verdict, STEPS_MAX, why);
            return;
        }
}

/* ---- determined programs --------------------------------------------------------------------- */

/* One attempt of more than a byte shows whether it was cut. */
static bool shows_partial(const struct program *program)
{
    for (uint32_t i = 0; i < program->count; i++) {
        uint8_t op = program->steps[i].op;
        if ((op == STEP_READ || op == STEP_WRITE || op == STEP_READV || op == STEP_WRITEV ||
             op == STEP_RECV || op == STEP_SEND) &&
            program->steps[i].length > 1)
            return true;
    }
    return false;
}

static void run_world(struct verdict *verdict, const struct program *program,
                      const struct world_options *options)
{
    static const char *const kinds[] = {"calm", "strained", "any", "faulty"};
    world_run(options, program, &world_record);
    snprintf(verdict->where, sizeof verdict->where, "%s world, seed %" PRIu64, kinds[options->kind],
             options->seed);
    check_rules(verdict, &world_record);
}

static void judge_strained(struct verdict *verdict, const struct program *program)
{
    struct world_options options = {.kind = WORLD_STRAINED,
                                    .without_partial = shows_partial(program),
                                    .without_pressure = world_record.large};
    for (uint32_t i = 0; i < STRAINED_WORLDS && !verdict->disagrees; i++) {
        options.seed = program->seed * STRAINED_WORLDS + i;
        run_world(verdict, program, &options);
        if (!verdict->disagrees)
            compare(verdict, program);
    }
}

static void judge_faulty(struct verdict *verdict, const struct program *program)
{
    struct world_options options = {.kind = WORLD_FAULTY, .without_pressure = true};
    for (uint32_t i = 0; i < FAULTY_WORLDS && !verdict->disagrees; i++) {
        options.seed = program->seed * FAULTY_WORLDS + i;
        run_world(verdict, program, &options);
    }
}

static void judge_determined(struct verdict *verdict, const struct program *program,
                             const char *kernel)
{
    const struct world_options calm = {.kind = WORLD_CALM, .seed = program->seed};
    const struct verdict before = *verdict;
    for (uint32_t i = 0; i < TRIES; i++) {
        *verdict = before;
        verdict->unsteady = before.unsteady || i > 0;
        run_world(verdict, program, &calm);
        if (verdict->disagrees)
            return;
        kernel_run(kernel, program, patience_ns[i], &kernel_record);
        snprintf(verdict->where, sizeof verdict->where, "%s and the calm world", kernel);
        check_rules(verdict, &kernel_record);
        if (!verdict->disagrees)
            compare(verdict, program);
        if (!verdict->disagrees || kernel_record.hangs)
            break;
    }
    if (!verdict->disagrees)
        judge_strained(verdict, program);
}

/* ---- racing programs ------------------------------------------------------------------------- */

/* POSIX leaves open what a stream socket is after a connect that failed; what is in flight beside
 * it finds it before or after. */
static bool is_beside_failed_connect(const struct program *program, uint32_t at)
{
    const struct step *step = &program->steps[at];
    uint8_t op = step_on_socket(step).op;
    if (!step_receives(op) && !step_sends(op) && op != STEP_POLL && op != STEP_SHUTDOWN)
        return false;
    for (uint32_t i = 0; i < at; i++)
        if (program->steps[i].op == STEP_CONNECT && program->steps[i].slot == step->slot &&
            kernel_record.outcomes[i].fate == FATE_ENDED && kernel_record.outcomes[i].result < 0)
            return true;
    return false;
}

/* The contract lets a cancel say any of three things, and a timer be canceled or not. That they
 * agree, and that timers are not early, the run has checked; which one it is follows from how fast
 * callbacks are, of which a world knows nothing. */
static bool is_ruled(const struct program *program, uint32_t at)
{
    uint8_t op = program->steps[at].op;
    if (kernel_record.outcomes[at].fate == FATE_SKIPPED) /* for what was in flight just then */
        return true;
    if (is_beside_failed_connect(program, at))
        return true;
    return (op == STEP_CANCEL || op == STEP_TIMEOUT) &&
           kernel_record.outcomes[at].fate == FATE_ENDED;
}

/* Notes what of the kernel's outcome this world shows, too. */
static bool note_seen(const struct program *program)
{
    bool all = true;
    for (uint32_t i = 0; i < program->count; i++) {
        seen[i] = seen[i] || is_ruled(program, i) ||
                  same_outcome(&kernel_record.outcomes[i], &world_record.outcomes[i]);
        all = all && seen[i];
    }
    for (uint32_t i = 0; i < kernel_record.entry_count; i++) {
        for (uint32_t j = 0; j < world_record.entry_count && !entry_seen[i]; j++)
            entry_seen[i] = same_entry(&kernel_record.entries[i], &world_record.entries[j]);
        all = all && entry_seen[i];
    }
    return all;
}

static void judge_racing(struct verdict *verdict, const struct program *program, const char *kernel)
{
    struct world_options options = {.kind = WORLD_ANY};
    bool all = false;
    memset(seen, 0, sizeof seen);
    memset(entry_seen, 0, sizeof entry_seen);
    kernel_run(kernel, program, patience_ns[0], &kernel_record);
    snprintf(verdict->where, sizeof verdict->where, "%s", kernel);
    check_rules(verdict, &kernel_record);
    for (uint64_t i = 0; i < WORLDS_MAX && !all && !verdict->disagrees; i++) {
        options.seed = i;
        run_world(verdict, program, &options);
        all = note_seen(program);
    }
    if (all || verdict->disagrees)
        return;
    snprintf(verdict->where, sizeof verdict->where, "%s and all of %u worlds", kernel, WORLDS_MAX);
    for (uint32_t i = 0; i < program->count; i++)
        if (!seen[i]) {
            char why[sizeof verdict->why];
            snprintf(why, sizeof why,
                     "%s answers %s, which no world does (beside it: the last one)",
                     step_name(program->steps[i].op), result_text(&kernel_record.outcomes[i]));
            disagree(verdict, i, why);
            return;
        }
    disagree(verdict, STEPS_MAX, "no world leaves behind what the kernel does");
}

void judge(const struct program *program, struct verdict *ret_verdict)
{
    memset(ret_verdict, 0, sizeof *ret_verdict);
    for (uint32_t i = 0; kernels[i] != NULL && !ret_verdict->disagrees; i++) {
        if (program->races)
            judge_racing(ret_verdict, program, kernels[i]);
        else
            judge_determined(ret_verdict, program, kernels[i]);
    }
    if (!ret_verdict->disagrees)
        judge_faulty(ret_verdict, program);
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_entries(FILE *file, const char *whose, const struct record *record)
{
    fprintf(file, "  left behind on %s:\n", whose);
    for (uint32_t i = 0; i < record->entry_count; i++) {
        const struct entry *entry = &record->entries[i];
        fprintf(file,
                "    %.60s  type %" PRIu64 ", %" PRIu64 " bytes {%04" PRIx64 "}, %" PRIu64
                " links\n",
                entry->path, entry->type, entry->size, entry->hash & 0xffff, entry->links);
    }
}

void verdict_print(FILE *file, const struct program *program, const struct verdict *verdict)
{
    fprintf(file, "%s (kernel | world):\n", program->races ? "racing" : "determined");
    for (uint32_t i = 0; i < program->count; i++) {
        if (program->steps[i].op == STEP_NONE)
            continue;
        fprintf(file, "%c ", i == verdict->at && verdict->disagrees ? '>' : ' ');
        step_print(file, program, i);
        fprintf(file, "  = %s | %s\n", result_text(&kernel_record.outcomes[i]),
                result_text(&world_record.outcomes[i]));
    }
    if (verdict->at == STEPS_MAX && verdict->disagrees) {
        print_entries(file, "the kernel", &kernel_record);
        print_entries(file, "the world", &world_record);
    }
    fprintf(file, "  %s: %s\n", verdict->where, verdict->disagrees ? verdict->why : "they agree");
}

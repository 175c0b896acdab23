/*
 * shrink_loss.c: a power loss that loses less.
 *
 * The model: what a power loss has lost stands as comments behind its line of the recorded run. It
 * is made to lose nothing; if that does not fail, just those things, each a line like a fault, so
 * that the next round of shrink.c does without what it can. If that does not fail either (some
 * losses have no name), it stays as it was.
 */
#include "shrink.h"

#include <string.h>

static bool is_power_loss(const struct orr__shrink_fault *fault)
{
    if (fault->is_appointment)
        return strncmp(fault->text + strcspn(fault->text, " "), " crash ", 7) == 0 &&
               !orr__shrink_ends_with(fault, " only");
    return orr__shrink_ends_with(fault, " = power-loss");
}

/* Whether a line of the recorded run is the fault's. Of an appointment it may be another one of
 * that node's: then more is named than that crash has lost, which does no harm. */
static bool is_line_of(const char *line, const struct orr__shrink_fault *fault)
{
    static const char appointed[] = "/appointed#";
    size_t length = fault->is_appointment ? strcspn(fault->text, " ") : fault->length;
    return strncmp(line, fault->text, length) == 0 &&
           strncmp(line + length, fault->is_appointment ? appointed : "  #",
                   fault->is_appointment ? sizeof appointed - 1 : 3) == 0;
}

/* What the power loss that ends at `at` has lost, each thing a comment behind it. */
static void add_losses_behind(struct orr__shrink *shrink, const char *at)
{
    struct orr__fault_line line;
    for (; at != NULL && shrink->losses < ORR__SHRINK_LOSSES_MAX; at = strchr(at + 1, '\n')) {
        const char *comment = at + 3;
        if (strncmp(at + 1, "# ", 2) != 0 || !orr__fault_line_next(&comment, &line) ||
            !orr__shrink_is_loss(&line))
            break;
        orr__shrink_add_fault(shrink, &line);
        shrink->losses++;
    }
}

static void add_losses(struct orr__shrink *shrink, const struct orr__shrink_fault *fault)
{
    for (const char *line = shrink->recorded; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (is_line_of(line, fault))
            add_losses_behind(shrink, strchr(line, '\n'));
    }
}

/* Loses nothing, or what it has lost and no more; else it stays as it was. */
static int lower_loss(struct orr__shrink *shrink, struct orr__shrink_fault *fault)
{
    bool fails;
    size_t kept_before = shrink->kept_count;
    size_t faults_before = shrink->fault_count;
    fault->loses_only = true;
    int status = orr__shrink_try_kept(shrink, &fails);
    if (status == 0 && !fails) {
        add_losses(shrink, fault);
        status = orr__shrink_try_kept(shrink, &fails);
    }
    if (status == 0 && !fails) {
        shrink->kept_count = kept_before;
        shrink->fault_count = faults_before;
        fault->loses_only = false;
    }
    return status;
}

int orr__shrink_losses(struct orr__shrink *shrink)
{
    size_t count = shrink->kept_count;
    int status = orr__shrink_record(shrink, orr__shrink_compose(shrink, 0, &orr__shrink_nothing));
    for (size_t i = 0; i < count && status == 0; i++) {
        struct orr__shrink_fault *fault = &shrink->faults[shrink->kept[i]];
        if (is_power_loss(fault))
            status = lower_loss(shrink, fault);
    }
    return status;
}

/*
 * group.c: which failing seeds failed for the same cause. Two of them belong together if they have
 * the same kind of cause and the same text, and the text holds what is the same each time: the
 * check; of a crash, the signal and the place; of a sanitizer's report, its class and the first
 * frame of the program. Addresses, sizes and values, which differ from seed to seed, are left out.
 */
#include "campaign.h"

#include "../internal.h"

#include <string.h>

static const char *const names[] = {
    [ORR__CAUSE_CHECK] = "check",         [ORR__CAUSE_FATAL] = "fatal",
    [ORR__CAUSE_SANITIZER] = "sanitizer", [ORR__CAUSE_LEAK] = "leak",
    [ORR__CAUSE_CRASH] = "crash",         [ORR__CAUSE_EXIT] = "exit",
    [ORR__CAUSE_HANG] = "hang",           [ORR__CAUSE_NONDETERMINISM] = "nondeterminism",
};

const char *orr__cause_name(enum orr__cause cause)
{
    orr__assert(cause < ORR__CAUSE_COUNT);
    return names[cause];
}

enum orr__cause orr__cause_find(const char *name)
{
    uint32_t cause = 0;
    while (cause < ORR__CAUSE_COUNT && strcmp(names[cause], name) != 0)
        cause++;
    return (enum orr__cause)cause;
}

/* ---- sanitizers ------------------------------------------------------------------------------ */

/* "SUMMARY: AddressSanitizer: heap-use-after-free /home/me/x.c:12 in f": the class are the words
 * before the place. */
static void name_summary(const struct orr__capture *capture, char text[ORR__LINE_MAX])
{
    const char *report = capture->summary + strlen("SUMMARY: ");
    size_t length = strcspn(report, ":");
    length += report[length] == ':';
    while (report[length] == ' ') {
        size_t word = strcspn(report + length + 1, " ");
        if (memchr(report + length + 1, '/', word) != NULL ||
            memchr(report + length + 1, ':', word) != NULL || report[length + 1] == '(')
            break;
        length += 1 + word;
    }
    const char *place = report + length + strspn(report + length, " ");
    bool framed = capture->frame[0] != '\0';
    snprintf(text, ORR__LINE_MAX, "%.*s%s%.150s", (int)(length < 100 ? length : 100), report,
             framed ? " in " : (*place != '\0' ? " " : ""), framed ? capture->frame : place);
}

static void name_leak(const struct orr__capture *capture, char text[ORR__LINE_MAX])
{
    bool framed = capture->frame[0] != '\0';
    snprintf(text, ORR__LINE_MAX, "leak%s%.240s", framed ? " from " : "", capture->frame);
}

/* "x.c:3:4: runtime error: index 12 out of bounds": "index # out of bounds at x.c:3:4". */
static void name_runtime(const struct orr__capture *capture, char text[ORR__LINE_MAX])
{
    static const char mark[] = ": runtime error: ";
    const char *message = strstr(capture->runtime, mark);
    char place[ORR__LINE_MAX];
    char blurred[ORR__LINE_MAX];
    size_t length = 0;
    snprintf(place, sizeof place, "%.*s", (int)(message - capture->runtime), capture->runtime);
    const char *slash = strrchr(place, '/');
    for (const char *at = message + strlen(mark); *at != '\0';) {
        size_t digits = strspn(at, "0123456789");
        char kept = *at;
        if (digits > 0)
            kept = '#';
        blurred[length++] = kept;
        if (digits == 1 && at[0] == '0' && at[1] == 'x')
            digits = 2 + strspn(at + 2, "0123456789abcdefABCDEF");
        at += digits > 0 ? digits : 1;
    }
    blurred[length] = '\0';
    snprintf(text, ORR__LINE_MAX, "runtime error: %.160s at %.75s", blurred,
             slash != NULL ? slash + 1 : place);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* A crash where assert() has spoken is known by that; else by the place, if it is known. */
static void name_crash(const struct orr__child *child, struct orr__result *result)
{
    char place[ORR__LINE_MAX];
    if (*orr__crash_text(child->slot, place, sizeof place) == '\0' &&
        child->capture.assertion[0] != '\0')
        snprintf(result->group, sizeof result->group, "%.31s: %.220s", result->outcome.check,
                 child->capture.assertion);
    else
        snprintf(result->group, sizeof result->group, "%.31s%.220s", result->outcome.check, place);
}

void orr__group_name(const struct orr__child *child, struct orr__result *result)
{
    const struct orr__capture *capture = &child->capture;
    bool summed_up = capture->summary[0] != '\0' &&
                     (capture->runtime[0] == '\0' ||
                      strstr(capture->summary, "UndefinedBehaviorSanitizer") == NULL);
    if (result->cause == ORR__CAUSE_CRASH)
        name_crash(child, result);
    else if (result->cause == ORR__CAUSE_LEAK)
        name_leak(capture, result->group);
    else if (result->cause == ORR__CAUSE_SANITIZER && summed_up)
        name_summary(capture, result->group);
    else if (result->cause == ORR__CAUSE_SANITIZER)
        name_runtime(capture, result->group);
    else
        snprintf(result->group, sizeof result->group, "%.*s", ORR__LINE_MAX - 1,
                 result->outcome.check);
}

bool orr__group_has(enum orr__cause cause, const char *group, const struct orr__result *result)
{
    return result->outcome.failed && result->cause == cause && strcmp(result->group, group) == 0;
}

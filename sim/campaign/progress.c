/*
 * progress.c: one line on the terminal that is written over again and again. Only for people:
 * nothing when stderr is no terminal, or when a program reads the output. It erases itself with
 * spaces, which every terminal understands.
 */
#include "campaign.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PERIOD_NS (200 * ORR_MILLISECOND)

enum {
    LINE_MAX_BYTES = 256,
    WIDTH_DEFAULT = 80,
};

void orr__progress_open(struct orr__progress *progress, bool json)
{
    progress->wanted = !json && isatty(STDERR_FILENO) == 1;
    progress->next_ns = PERIOD_NS;
}

static uint32_t terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        return size.ws_col;
    return WIDTH_DEFAULT;
}

/* Fills `line` with the text of now. Returns its length. */
static size_t compose(char line[LINE_MAX_BYTES], const struct orr__progress *progress,
                      const struct orr__command *command, uint64_t elapsed_ns)
{
    char of[ORR__AMOUNT_MAX] = "";
    char seeds[ORR__AMOUNT_MAX];
    char events[ORR__AMOUNT_MAX];
    char simulated[ORR__AMOUNT_MAX];
    uint64_t last = command->seed_last - command->seed_first;
    if (command->time_ns > 0)
        orr__text_time(of, command->time_ns);
    else
        snprintf(of, sizeof of, "%" PRIu64, last + (last < UINT64_MAX));
    int length =
        snprintf(line, LINE_MAX_BYTES,
                 "%" PRIu64 " of %s: %" PRIu64
                 " failed  %s seeds/s  %s events/s  %s simulated (%" PRIu64 " x real time)",
                 progress->seeds, of, progress->failures,
                 orr__text_count(seeds, orr__per_second(progress->seeds, elapsed_ns)),
                 orr__text_count(events, orr__per_second(progress->events, elapsed_ns)),
                 orr__text_time(simulated, progress->simulated_ns),
                 elapsed_ns > 0 ? progress->simulated_ns / elapsed_ns : 0);
    return length < LINE_MAX_BYTES ? (size_t)length : LINE_MAX_BYTES - 1;
}

static void write_out(const char *bytes, size_t length)
{
    /* A terminal that takes no more loses a line of progress, nothing else. */
    ssize_t written = write(STDERR_FILENO, bytes, length);
    (void)written;
}

void orr__progress_clear(struct orr__progress *progress)
{
    char blank[LINE_MAX_BYTES + 2];
    if (progress->width == 0)
        return;
    memset(blank, ' ', sizeof blank);
    blank[0] = '\r';
    blank[progress->width + 1] = '\r';
    write_out(blank, progress->width + 2);
    progress->width = 0;
}

void orr__progress_show(struct orr__progress *progress, const struct orr__command *command,
                        uint64_t elapsed_ns)
{
    char line[LINE_MAX_BYTES];
    if (!progress->wanted || elapsed_ns < progress->next_ns)
        return;
    (void)compose(line, progress, command, elapsed_ns);
    orr__progress_text(progress, line, elapsed_ns);
}

void orr__progress_text(struct orr__progress *progress, const char *text, uint64_t elapsed_ns)
{
    if (!progress->wanted || elapsed_ns < progress->next_ns)
        return;
    progress->next_ns = elapsed_ns + PERIOD_NS;
    size_t length = strlen(text);
    size_t width = terminal_width() - 1;
    if (length > width)
        length = width;
    orr__progress_clear(progress);
    write_out(text, length);
    progress->width = (uint32_t)length;
}

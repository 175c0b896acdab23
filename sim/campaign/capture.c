/*
 * capture.c: what a seed's process printed, in bounded memory: a ring of the last bytes, and the
 * few lines that name the cause of a death, found while the bytes pass by. A program under test
 * may print gigabytes before it dies, and its last words come after a sanitizer's report as often
 * as before.
 */
#include "campaign.h"

#include <string.h>

static bool begins_with(const char *line, const char *prefix)
{
    return strncmp(line, prefix, strlen(prefix)) == 0;
}

static void keep(char kept[ORR__LINE_MAX], const struct orr__capture *capture)
{
    memcpy(kept, capture->line, capture->line_length);
    kept[capture->line_length] = '\0';
}

/* A report's frames come after its headline; before that, others may have shown stacks. */
static void judge_frame(struct orr__capture *capture)
{
    char frame[ORR__LINE_MAX];
    if (strstr(capture->line, "ERROR: ") != NULL && strstr(capture->line, "Sanitizer: ") != NULL)
        capture->frame[0] = '\0';
    else if (capture->frame[0] == '\0' && orr__frame_read(capture->line, frame))
        memcpy(capture->frame, frame, sizeof frame);
}

static void judge_line(struct orr__capture *capture)
{
    capture->line[capture->line_length] = '\0';
    judge_frame(capture);
    if (begins_with(capture->line, "orrery: "))
        keep(capture->fatal, capture);
    else if (capture->summary[0] == '\0' && begins_with(capture->line, "SUMMARY: ") &&
             strstr(capture->line, "Sanitizer") != NULL)
        keep(capture->summary, capture);
    else if (capture->runtime[0] == '\0' && strstr(capture->line, ": runtime error: ") != NULL)
        keep(capture->runtime, capture);
    else if (strstr(capture->line, ": Assertion `") != NULL)
        keep(capture->assertion, capture);
    capture->line_length = 0;
}

void orr__capture_clear(struct orr__capture *capture)
{
    capture->length = 0;
    capture->line_length = 0;
    capture->fatal[0] = '\0';
    capture->summary[0] = '\0';
    capture->runtime[0] = '\0';
    capture->frame[0] = '\0';
    capture->assertion[0] = '\0';
}

static void add_to_tail(struct orr__capture *capture, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t at = (size_t)(capture->length % ORR__OUTPUT_MAX);
        size_t part = length < ORR__OUTPUT_MAX - at ? length : ORR__OUTPUT_MAX - at;
        memcpy(capture->tail + at, bytes, part);
        capture->length += part;
        bytes += part;
        length -= part;
    }
}

/* Adds a piece without a newline to the line under way; what does not fit is left out. */
static void add_to_line(struct orr__capture *capture, const char *bytes, size_t length)
{
    size_t room = ORR__LINE_MAX - 1 - capture->line_length;
    size_t part = length < room ? length : room;
    memcpy(capture->line + capture->line_length, bytes, part);
    capture->line_length += (uint32_t)part;
}

void orr__capture_add(struct orr__capture *capture, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    add_to_tail(capture, bytes, length);
    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        const char *stop = newline != NULL ? newline : end;
        add_to_line(capture, bytes, (size_t)(stop - bytes));
        if (newline == NULL)
            break;
        judge_line(capture);
        bytes = newline + 1;
    }
}

void orr__capture_end(struct orr__capture *capture)
{
    if (capture->line_length > 0)
        judge_line(capture);
}

uint32_t orr__capture_tail(const struct orr__capture *capture, char output[ORR__OUTPUT_MAX])
{
    if (capture->length <= ORR__OUTPUT_MAX) {
        memcpy(output, capture->tail, (size_t)capture->length);
        return (uint32_t)capture->length;
    }
    size_t at = (size_t)(capture->length % ORR__OUTPUT_MAX);
    memcpy(output, capture->tail + at, ORR__OUTPUT_MAX - at);
    memcpy(output + ORR__OUTPUT_MAX - at, capture->tail, at);
    const char *newline = memchr(output, '\n', ORR__OUTPUT_MAX - 1);
    if (newline == NULL)
        return ORR__OUTPUT_MAX;
    size_t length = ORR__OUTPUT_MAX - (size_t)(newline + 1 - output);
    memmove(output, newline + 1, length);
    return (uint32_t)length;
}

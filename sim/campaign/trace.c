/*
 * trace.c: the traces of a replay: as text on stdout, as files (trace.h).
 *
 * Every kind is there at most once, so that what it needs lies in static memory: nothing is
 * allocated for a trace, and a seed has the same addresses with it and without.
 */
#define _DEFAULT_SOURCE 1 /* TIOCGWINSZ */

#include "trace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct {
    const char *prefix;
    struct orr__trace_file *file; /* NULL = text, on stdout */
} kinds[ORR__TRACE_KINDS] = {
    [ORR__TRACE_TEXT] = {"text", NULL},
    [ORR__TRACE_PERFETTO] = {"perfetto:", &orr__trace_perfetto},
    [ORR__TRACE_PAGE] = {"html:", &orr__trace_page},
};

/* ---- the option ------------------------------------------------------------------------------ */

static int take_kind(struct orr__command *command, enum orr__trace_kind kind, const char *text,
                     const char *path)
{
    if (command->traces[kind] != NULL)
        return orr__usage_error(command, "--trace=%s: this kind of trace is wanted already", text);
    if (kinds[kind].file != NULL && *path == '\0')
        return orr__usage_error(command, "--trace=%s: a file must follow, as in --trace=%strace.%s",
                                text, kinds[kind].prefix,
                                kind == ORR__TRACE_PAGE ? "html" : "json");
    command->traces[kind] = path;
    command->job.trace = command->traces[ORR__TRACE_TEXT] != NULL;
    return 0;
}

int orr__trace_take(struct orr__command *command, const char *text)
{
    if (text == NULL)
        return take_kind(command, ORR__TRACE_TEXT, kinds[ORR__TRACE_TEXT].prefix, "");
    for (uint32_t i = 0; i < ORR__TRACE_KINDS; i++) {
        size_t length = strlen(kinds[i].prefix);
        bool fits = strncmp(text, kinds[i].prefix, length) == 0;
        if (fits && (kinds[i].file != NULL || text[length] == '\0'))
            return take_kind(command, (enum orr__trace_kind)i, text, text + length);
    }
    return orr__usage_error(
        command, "--trace=%s: this must be text, perfetto:FILE or html:FILE, or nothing for text",
        text);
}

/* ---- open and close -------------------------------------------------------------------------- */

uint32_t orr__trace_width(void)
{
    const char *columns = getenv("COLUMNS");
    uint64_t width;
    struct winsize size;
    if (columns != NULL && orr__parse_number(columns, &width) && width > 0)
        return width < ORR__WIDTH_MAX ? (uint32_t)width : ORR__WIDTH_MAX;
    if (isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        return size.ws_col;
    return 0;
}

static void add(struct orr__command *command, struct orr__recorder *recorder)
{
    recorder->next = command->job.recorders;
    command->job.recorders = recorder;
}

static int file_error(const struct orr__command *command, uint32_t kind, int status)
{
    return orr__error(command, "--trace=%s%s: cannot write this file: %s", kinds[kind].prefix,
                      command->traces[kind], strerror(-status));
}

int orr__trace_open(struct orr__command *command)
{
    static struct orr__timeline timeline;
    for (uint32_t i = 0; i < ORR__TRACE_KINDS; i++) {
        struct orr__trace_file *file = kinds[i].file;
        if (command->traces[i] == NULL || file == NULL)
            continue;
        int status = orr__emit_open(&file->emit, command->traces[i]);
        if (status < 0)
            return file_error(command, i, status);
        file->begin(file, command);
        orr__emit_flush(&file->emit);
        add(command, &file->recorder);
    }
    if (command->traces[ORR__TRACE_TEXT] != NULL) {
        uint32_t width = orr__trace_width();
        orr__timeline_open(&timeline, stdout, width > 0 ? width : ORR__WIDTH_DEFAULT, width > 0);
        add(command, &timeline.recorder);
    }
    return 0;
}

int orr__trace_close(struct orr__command *command, const struct orr__result *result)
{
    int status = 0;
    for (uint32_t i = 0; i < ORR__TRACE_KINDS; i++) {
        struct orr__trace_file *file = kinds[i].file;
        if (command->traces[i] == NULL || file == NULL)
            continue;
        file->end(file, command, result);
        orr__emit_close(&file->emit);
        if (file->emit.status < 0)
            status = file_error(command, i, file->emit.status);
    }
    return status;
}

/*
 * trace.h: what the files share that write a run into a file.
 *
 *   trace.c     --trace: which kinds, opening and closing
 *   emit.c      text and JSON into a file
 *   perfetto.c  events for ui.perfetto.dev and chrome://tracing
 *   page.c      a page for a browser: page/ has what is drawn, and page.c puts the events in
 *
 * The process of the seed writes the events, each at once; the one that started it wrote the
 * beginning before, and writes the end after: the file is complete however the seed ends. Both
 * write through the same open file, one after the other.
 *
 * jansson is not used here: it allocates, and the program under test would get other addresses.
 */
#ifndef ORR_SIM_CAMPAIGN_TRACE_H
#define ORR_SIM_CAMPAIGN_TRACE_H

#include "campaign.h"

#include "recorder.h"

enum { ORR__EMIT_MAX = 4096 };

/* A file that is written to in pieces; what it holds back goes with orr__emit_flush. */
struct orr__emit {
    int file;
    int status; /* 0, or -errno of the first write that failed */
    uint32_t length;
    char bytes[ORR__EMIT_MAX];
};

/* Creates the file, or empties it. Returns 0 or -errno. */
int orr__emit_open(struct orr__emit *emit, const char *path);
void orr__emit_close(struct orr__emit *emit);
void orr__emit_flush(struct orr__emit *emit);
void orr__emit_bytes(struct orr__emit *emit, const char *bytes, size_t length);
void orr__emit_text(struct orr__emit *emit, const char *text);
void orr__emit_number(struct orr__emit *emit, uint64_t number);
/* A JSON string, which can stand in a script of a page, too; a byte that is not UTF-8 becomes '?'.
 * NULL is written as null. */
void orr__emit_string(struct orr__emit *emit, const char *text);

/* A kind of file. */
struct orr__trace_file {
    struct orr__recorder recorder; /* first: the recorder is the file */
    struct orr__emit emit;
    void (*begin)(struct orr__trace_file *file, const struct orr__command *command);
    void (*end)(struct orr__trace_file *file, const struct orr__command *command,
                const struct orr__result *result); /* NULL: there is no verdict */
};

extern struct orr__trace_file orr__trace_perfetto;
extern struct orr__trace_file orr__trace_page;

/* The command that brings the seed back, as a JSON string. */
void orr__emit_replay(struct orr__emit *emit, const struct orr__command *command);

#endif

/*
 * shrink_tell.c: what a shrink has come to: the replay file, and the words on the terminal.
 */
#include "shrink.h"

#include "sim/replay_file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What does not survive a power loss is a part of it. */
static size_t count_needed(const struct orr__shrink *shrink)
{
    size_t needed = 0;
    for (size_t i = 0; i < shrink->kept_count; i++)
        needed += !shrink->faults[shrink->kept[i]].is_loss;
    return needed;
}

/* "exactly 2 of 41 faults". A crash that was moved is none of those that struck. */
static void write_count(const struct orr__shrink *shrink, FILE *out)
{
    size_t needed = count_needed(shrink);
    bool moved = false;
    for (size_t i = 0; i < shrink->kept_count; i++)
        moved |= shrink->faults[shrink->kept[i]].is_moved;
    if (moved)
        fprintf(out, "exactly %zu fault%s, where %zu struck, with a crash in another place", needed,
                ORR__S(needed), shrink->struck);
    else
        fprintf(out, "exactly %zu of %zu fault%s", needed, shrink->struck, ORR__S(shrink->struck));
}

/* The kept faults as they struck at last. */
static void write_faults(const struct orr__shrink *shrink, FILE *out, const char *indent)
{
    struct orr__fault_line line;
    const char *at = shrink->recorded;
    for (size_t i = 0; i < shrink->kept_count; i++) {
        const struct orr__shrink_fault *fault = &shrink->faults[shrink->kept[i]];
        if (fault->is_appointment)
            fprintf(out, "%s%.*s%s\n", indent, (int)fault->length, fault->text,
                    fault->loses_only ? " only" : "");
    }
    while (orr__fault_line_next(&at, &line))
        if (!orr__fault_line_is_appointed(&line))
            fprintf(out, "%s%.*s  # %.*s\n", indent, (int)line.text_length, line.text,
                    (int)line.comment_length, line.comment != NULL ? line.comment : "");
}

/* Returns 0 or the exit status, after an error message. */
int orr__shrink_write_file(const struct orr__shrink *shrink)
{
    const char *path = shrink->output;
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return orr__error(shrink->command, "cannot write %s: %s", path, strerror(errno));
    fputs("# Needs ", out);
    write_count(shrink, out);
    fputs(". orrery explain tells what for.\n", out);
    orr__replay_file_begin(out, &shrink->job, shrink->command->seed_first, shrink->check);
    write_faults(shrink, out, "");
    if (fclose(out) != 0)
        return orr__error(shrink->command, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

/* "kv-3.replay"; of a file, "this-shrunk.replay" beside it. */
const char *orr__shrink_output_path(const struct orr__command *command,
                                    char path[ORR__PATH_MAX_BYTES])
{
    static const char ending[] = ".replay";
    if (command->output != NULL)
        return command->output;
    if (command->file == NULL) {
        snprintf(path, ORR__PATH_MAX_BYTES, "%s-%" PRIu64 "%s", command->job.scenario->name,
                 command->seed_first, ending);
        return path;
    }
    size_t length = strlen(command->file);
    if (length > strlen(ending) && strcmp(command->file + length - strlen(ending), ending) == 0)
        length -= strlen(ending);
    snprintf(path, ORR__PATH_MAX_BYTES, "%.*s-shrunk%s", (int)length, command->file, ending);
    return path;
}

void orr__shrink_tell(const struct orr__shrink *shrink)
{
    const char *path = shrink->output;
    char time[ORR__AMOUNT_MAX];
    const struct orr__command *command = shrink->command;
    printf("seed %" PRIu64 " fails: %s\n", command->seed_first, shrink->check);
    if (shrink->kept_count == 0) {
        printf("needs none of its %zu fault%s\n", shrink->struck, ORR__S(shrink->struck));
    } else {
        printf("needs ");
        write_count(shrink, stdout);
        printf(":\n");
    }
    write_faults(shrink, stdout, "  ");
    printf("%" PRIu64 " runs in %s; written to %s\n  replay: ", shrink->runs,
           orr__text_time(time, orr__clock_ns() - shrink->begin_ns), path);
    orr__command_of_file(stdout, command, path);
    printf("%s\n", command->replay_tail);
}

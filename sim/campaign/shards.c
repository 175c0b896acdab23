/*
 * shards.c: the file of one shard, line by line; see record.h.
 *
 * What ends early (a full disk, a machine that went away) must not pass for a campaign: a file
 * counts only if its last line is a whole summary, and if the seeds before it are those that the
 * summary counts, in their order and without a gap.
 */
#define _POSIX_C_SOURCE 200809L /* getline */

#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NEEDED ": one line for each seed is needed, as --json=all and --shard write them"

/* Reads a line. False at the end of the file. */
static bool next_line(struct orr__shard *shard)
{
    ssize_t length = getline(&shard->line, &shard->line_size, shard->file);
    if (length <= 0)
        return false;
    shard->line_number++;
    shard->line_length = (size_t)length;
    return true;
}

/* ---- the summary ----------------------------------------------------------------------------- */

static bool check_stop(const struct orr__shard *shard, char why[ORR__LINE_WHY_MAX])
{
    static const enum orr__stop early[] = {ORR__STOP_SIGNAL, ORR__STOP_ERROR};
    const char *stopped;
    if (!orr__line_text(shard->summary, "stopped", &stopped, why))
        return false;
    for (size_t i = 0; i < sizeof early / sizeof *early; i++) {
        if (strcmp(stopped, orr__stop_name(early[i])) != 0)
            continue;
        orr__line_refuse(why, "the campaign was ended by %s: run it again",
                         early[i] == ORR__STOP_SIGNAL ? "a signal" : "an error");
        return false;
    }
    return true;
}

/* A campaign that was not cut is its own only shard. */
static bool read_shard(struct orr__shard *shard, char why[ORR__LINE_WHY_MAX])
{
    const json_t *object = json_object_get(shard->summary, "shard");
    uint64_t index = 1;
    uint64_t count = 1;
    if (object != NULL && (!orr__line_number(object, "index", &index, why) ||
                           !orr__line_number(object, "count", &count, why)))
        return false;
    if (index < 1 || index > count || count > ORR__SHARDS_MAX)
        return orr__line_refuse(why, "there is no shard %" PRIu64 " of %" PRIu64, index, count);
    shard->index = (uint32_t)index - 1;
    shard->count = (uint32_t)count;
    return true;
}

static bool read_summary(struct orr__shard *shard, char why[ORR__LINE_WHY_MAX])
{
    uint64_t schema;
    if (shard->line[shard->line_length - 1] != '\n')
        return orr__line_refuse(why, "the file is cut off: its last line has no end");
    shard->summary = orr__line_read(shard->line, shard->line_length, why);
    if (shard->summary == NULL)
        return false;
    if (!json_is_true(json_object_get(shard->summary, "summary")))
        return orr__line_refuse(why, "the file is cut off: its last line is no summary");
    if (!orr__line_number(shard->summary, "schema", &schema, why))
        return false;
    if (schema != ORR__SCHEMA)
        return orr__line_refuse(
            why, "this was written by another version of orrery (schema %" PRIu64 ", not %d)",
            schema, ORR__SCHEMA);
    return read_shard(shard, why) && check_stop(shard, why) &&
           orr__line_number(shard->summary, "seeds", &shard->seeds, why) &&
           orr__line_number(shard->summary, "failures", &shard->failures, why);
}

/* ---- the file -------------------------------------------------------------------------------- */

/* What cannot be read twice, a pipe, is copied first. */
static bool make_seekable(struct orr__shard *shard)
{
    char bytes[BUFSIZ];
    size_t length;
    if (fseek(shard->file, 0, SEEK_SET) == 0)
        return true;
    FILE *copy = tmpfile();
    if (copy == NULL)
        return false;
    while ((length = fread(bytes, 1, sizeof bytes, shard->file)) > 0)
        if (fwrite(bytes, 1, length, copy) != length)
            break;
    bool whole = ferror(shard->file) == 0 && fflush(copy) == 0 && ferror(copy) == 0;
    fclose(shard->file);
    shard->file = copy;
    return whole && fseek(copy, 0, SEEK_SET) == 0;
}

bool orr__shard_open(struct orr__shard *shard, const char *path, char why[ORR__LINE_WHY_MAX])
{
    *shard = (struct orr__shard){.path = path, .file = fopen(path, "re")};
    if (shard->file == NULL || !make_seekable(shard))
        return orr__line_refuse(why, "cannot read it: %s", strerror(errno));
    while (next_line(shard))
        continue;
    if (ferror(shard->file) != 0)
        return orr__line_refuse(why, "cannot read it: %s", strerror(errno));
    if (shard->line_number == 0)
        return orr__line_refuse(why, "the file is empty");
    shard->summary_line = shard->line_number;
    return read_summary(shard, why);
}

void orr__shard_rewind(struct orr__shard *shard)
{
    rewind(shard->file);
    shard->line_number = 0;
    shard->seeds_read = 0;
    shard->failures_read = 0;
    shard->ended = false;
}

void orr__shard_close(struct orr__shard *shard)
{
    json_decref(shard->summary);
    free(shard->line);
    if (shard->file != NULL)
        fclose(shard->file);
}

/* ---- its seeds ------------------------------------------------------------------------------- */

static int end_of_seeds(const struct orr__shard *shard, char why[ORR__LINE_WHY_MAX])
{
    if (shard->seeds_read == shard->seeds && shard->failures_read == shard->failures)
        return 0;
    orr__line_refuse(why,
                     "the summary counts %" PRIu64 " seed%s, %" PRIu64
                     " failed, and the lines before it %" PRIu64 " and %" PRIu64 "%s",
                     shard->seeds, ORR__S(shard->seeds), shard->failures, shard->seeds_read,
                     shard->failures_read, shard->seeds_read == 0 ? NEEDED : "");
    return -1;
}

static bool check_seed(uint64_t seed, uint64_t wanted, char why[ORR__LINE_WHY_MAX])
{
    if (seed == wanted)
        return true;
    return orr__line_refuse(why, "seed %" PRIu64 " stands where seed %" PRIu64 " belongs%s", seed,
                            wanted, NEEDED);
}

int orr__shard_next(struct orr__shard *shard, uint64_t seed, struct orr__result *ret_result,
                    json_t **ret_object, char why[ORR__LINE_WHY_MAX])
{
    if (!next_line(shard)) {
        orr__line_refuse(why, "the file has changed");
        return -1;
    }
    if (shard->line_number == shard->summary_line)
        return end_of_seeds(shard, why);
    json_t *object = orr__line_read(shard->line, shard->line_length, why);
    if (object == NULL)
        return -1;
    if (!orr__line_seed(object, ret_result, why) ||
        !check_seed(ret_result->outcome.seed, seed, why)) {
        json_decref(object);
        return -1;
    }
    shard->seeds_read++;
    shard->failures_read += ret_result->outcome.failed;
    *ret_object = object;
    return 1;
}

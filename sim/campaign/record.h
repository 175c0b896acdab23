/*
 * record.h: the lines of `run --json`, read back, for merge.c.
 *
 * A shard is a file with one line for each of its seeds, in their order, and a summary as its last
 * line. It is read twice: once to find the summary, which says what the seeds before it are part
 * of, and then seed by seed. What is wrong with it is said in words, which `why` gets, and is wrong
 * with the line that was read last.
 */
#ifndef ORR_SIM_CAMPAIGN_RECORD_H
#define ORR_SIM_CAMPAIGN_RECORD_H

#include "campaign.h"

#include <jansson.h>

enum { ORR__LINE_WHY_MAX = 1024 }; /* of what is wrong, in words */

/* Writes what is wrong. Returns false. */
bool orr__line_refuse(char why[ORR__LINE_WHY_MAX], const char *format, ...) ORR_PRINTF(2, 3);

/* A line as an object, or NULL and why. Its integers may have 64 bits without a sign: what is more
 * than jansson holds is there as a string of digits. */
json_t *orr__line_read(const char *line, size_t length, char why[ORR__LINE_WHY_MAX]);

/* Members. They return false and say why, once, if there is none of that name and type. */
bool orr__line_number(const json_t *object, const char *name, uint64_t *ret_number,
                      char why[ORR__LINE_WHY_MAX]);
bool orr__line_text(const json_t *object, const char *name, const char **ret_text,
                    char why[ORR__LINE_WHY_MAX]);
bool orr__line_flag(const json_t *object, const char *name, bool *ret_flag,
                    char why[ORR__LINE_WHY_MAX]);

/* What orr__json_seed wrote. `replay` belongs to the object. */
bool orr__line_seed(json_t *object, struct orr__result *ret_result, char why[ORR__LINE_WHY_MAX]);

struct orr__shard {
    const char *path;
    FILE *file;           /* NULL = not opened */
    uint64_t line_number; /* of the line read last */
    char *line;           /* that line, without its end */
    size_t line_size;
    size_t line_length;
    uint64_t summary_line;
    json_t *summary;
    uint32_t index; /* which shard, from 0 */
    uint32_t count; /* of how many */
    uint64_t seeds; /* that the summary counts */
    uint64_t failures;
    uint64_t seeds_read;
    uint64_t failures_read;
    bool ended; /* the summary was reached again */
};

/* Opens a file and reads its summary. Returns false and says why. */
bool orr__shard_open(struct orr__shard *shard, const char *path, char why[ORR__LINE_WHY_MAX]);
/* Reads the next seed, which must be `seed`, into the result. Returns 1; 0 at the summary, which
 * must count what was read; -1 and says why. The result's `replay` is valid as long as the object,
 * which the caller puts away with json_decref. */
int orr__shard_next(struct orr__shard *shard, uint64_t seed, struct orr__result *ret_result,
                    json_t **ret_object, char why[ORR__LINE_WHY_MAX]);
/* Begins again with the first line. */
void orr__shard_rewind(struct orr__shard *shard);
/* Takes a shard that was not opened, too. */
void orr__shard_close(struct orr__shard *shard);

#endif

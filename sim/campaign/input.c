/*
 * input.c: a fuzzer's input for a command, out of its file (--input) or out of the lanes of a
 * replay file; and `convert`, which makes one of the other.
 *
 * The model: the job holds the input in normal form and its cells, both in memory that seeds do not
 * notice, whatever they came from; so each command runs the same bytes as the fuzz target did. A
 * replay file has each cell in a line with the name of its lane. Those names come from a run, which
 * tells what it draws from; what it does not tell of has a hash for a name, and means the same.
 */
#include "campaign.h"

#include "sim/lanes.h"
#include "sim/replay_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE_CELLS_MAX = 32 };

/* ---- what a job holds ------------------------------------------------------------------------ */

/* Takes over the lanes' cells and their seed. */
static int keep(struct orr__command *command, const struct orr_lanes *lanes)
{
    struct orr__job *job = &command->job;
    uint64_t *cells = orr__private_map(lanes->count * sizeof *cells);
    if (cells == NULL)
        return orr__error(command, "no memory");
    orr__lanes_cells(lanes, cells);
    size_t bytes = orr__input_size(cells, lanes->count);
    uint8_t *input = orr__private_map(bytes);
    if (input == NULL)
        return orr__error(command, "no memory");
    orr__input_write(lanes->seed, cells, lanes->count, input);
    job->cells = cells;
    job->cell_count = lanes->count;
    job->input = input;
    job->input_bytes = bytes;
    return 0;
}

/* Takes an input, and further cells; its seed is the command's. */
static int take(struct orr__command *command, const uint8_t *bytes, size_t size,
                const uint64_t *cells, size_t cell_count)
{
    struct orr_lanes *lanes = calloc(1, sizeof *lanes);
    if (lanes == NULL)
        return orr__error(command, "no memory");
    bool has_memory = orr__lanes_read(lanes, bytes, size) && orr__lanes_grow(lanes, cell_count);
    for (size_t i = 0; has_memory && i < cell_count; i++)
        orr__lanes_set(lanes, cells[i]);
    int status = has_memory ? keep(command, lanes) : orr__error(command, "no memory");
    if (status == 0) {
        command->seed_first = command->seed_last = lanes->seed;
        command->seed_given = true;
    }
    orr__lanes_free(lanes);
    free(lanes);
    return status;
}

int orr__input_open(struct orr__command *command)
{
    char *bytes;
    size_t size;
    if (command->seed_given)
        return orr__usage_error(command, "--seed: the seed stands in %s", command->input);
    int status = orr__private_read(command->input, ORR__INPUT_MAX, &bytes, &size);
    if (status == -EFBIG)
        return orr__error(command, "%s: an input has at most %d bytes", command->input,
                          ORR__INPUT_MAX);
    if (status < 0)
        return orr__error(command, "cannot read %s: %s", command->input, strerror(-status));
    status = take(command, (const uint8_t *)bytes, size, NULL, 0);
    munmap(bytes, size + 1);
    return status;
}

int orr__input_of_file(struct orr__command *command)
{
    char why[ORR__WHY_MAX];
    uint8_t seed[ORR__INPUT_SEED_BYTES];
    struct orr__replay_head *head = command->file_head;
    orr__input_close(command);
    if (head->cell_count == 0)
        return 0;
    command->job.lane_names = command->file_text;
    size_t room = head->cell_count * sizeof *head->cells;
    head->cells = orr__private_map(room);
    head->cells_max = head->cell_count;
    if (head->cells == NULL || !orr__replay_head_parse(command->file_text, head, why))
        return orr__error(command, "no memory");
    orr__input_write(head->seed, NULL, 0, seed);
    int status = take(command, seed, sizeof seed, head->cells, head->cell_count);
    munmap(head->cells, room + 1);
    head->cells = NULL;
    head->cells_max = 0;
    return status;
}

void orr__input_close(struct orr__command *command)
{
    struct orr__job *job = &command->job;
    if (job->input != NULL)
        munmap(job->input, job->input_bytes + 1);
    if (job->cells != NULL)
        munmap(job->cells, job->cell_count * sizeof *job->cells + 1);
    job->input = NULL;
    job->input_bytes = 0;
    job->cells = NULL;
    job->cell_count = 0;
    job->lane_names = NULL;
}

/* ---- as lines -------------------------------------------------------------------------------- */

/* The name of the lane, if the first line of `names` is about its actor: "crash/server", or, as a
 * replay file has it, "lane crash/server#3 = 00". */
static bool is_about(const char *names, uint32_t lane, char name[ORR__LANE_NAME_MAX])
{
    const char *site = strncmp(names, "lane ", 5) == 0 ? names + 5 : names;
    const char *actor = site + strcspn(site, "/#\n");
    size_t length = strcspn(actor, "#\n");
    orr__lane_text(lane, name);
    size_t site_length = strcspn(name, "/");
    if (site_length + length >= ORR__LANE_NAME_MAX)
        return false;
    memcpy(name + site_length, actor, length);
    name[site_length + length] = '\0';
    return orr__lane_named(name) == lane;
}

/* The name of the lane, if a line of `names` is about its actor; else what the lane says itself. */
static void name_of(const char *names, uint32_t lane, char name[ORR__LANE_NAME_MAX])
{
    for (const char *at = names; at != NULL && *at != '\0'; at += *at == '\n') {
        if (is_about(at, lane, name))
            return;
        at += strcspn(at, "\n");
    }
    orr__lane_text(lane, name);
}

void orr__input_lines(FILE *out, const struct orr__job *job)
{
    char name[ORR__LANE_NAME_MAX];
    const uint64_t *cells = job->cells;
    for (size_t at = 0; at < job->cell_count;) {
        uint32_t lane = orr__cell_lane(cells[at]);
        size_t end = at + 1;
        if (at == 0 || orr__cell_lane(cells[at - 1]) != lane)
            name_of(job->lane_names, lane, name);
        while (end < job->cell_count && end - at < LINE_CELLS_MAX &&
               cells[end] >> 8 == (cells[end - 1] >> 8) + 1 && orr__cell_lane(cells[end]) == lane)
            end++;
        fprintf(out, "lane %s#%u = ", name, (unsigned)orr__cell_place(cells[at]));
        for (; at < end; at++)
            fprintf(out, "%02x", (unsigned)(uint8_t)cells[at]);
        fputc('\n', out);
    }
}

/* ---- convert --------------------------------------------------------------------------------- */

/* Runs the input once: for the names of its lanes, and for the check that fails. */
static int find_names(struct orr__command *command, struct orr__result *result)
{
    struct orr__nursery nursery;
    struct orr__job job = command->job;
    char path[4096];
    char *names = NULL;
    size_t size;
    void *extra;
    orr__private_path(path, sizeof path);
    job.names = path;
    int status = orr__nursery_open(&nursery, 1, 1, &extra);
    if (status == 0)
        status = orr__nursery_run(&nursery, &job, command->seed_first, result);
    int taken = orr__private_take(path, &names, &size);
    int number = orr__nursery_signal();
    orr__nursery_close(&nursery);
    if (number != 0)
        return -EINTR;
    command->job.lane_names = names;
    return status < 0 ? status : taken;
}

static int close_output(const struct orr__command *command, FILE *out)
{
    bool is_wrong = ferror(out) != 0;
    if (fclose(out) != 0 || is_wrong)
        return orr__error(command, "cannot write %s: %s", command->output, strerror(errno));
    return ORR__EXIT_CLEAN;
}

static int write_replay_file(const struct orr__command *command, const struct orr__result *result)
{
    bool failed = result->outcome.failed;
    FILE *out = fopen(command->output, "we");
    if (out == NULL)
        return orr__error(command, "cannot write %s: %s", command->output, strerror(errno));
    orr__replay_file_head(out, &command->job, command->seed_first,
                          failed ? result->outcome.check : NULL);
    int status = close_output(command, out);
    if (status != ORR__EXIT_CLEAN)
        return status;
    printf("%s: seed %" PRIu64 ", %zu choices: %s%s\n  replay: ", command->output,
           command->seed_first, command->job.cell_count, failed ? "fails: " : "passes",
           failed ? result->outcome.check : "");
    orr__command_of_file(stdout, command, command->output);
    printf("%s\n", command->replay_tail);
    return ORR__EXIT_CLEAN;
}

static int write_input(const struct orr__command *command)
{
    uint8_t seed[ORR__INPUT_SEED_BYTES];
    const struct orr__job *job = &command->job;
    orr__input_write(command->seed_first, NULL, 0, seed);
    FILE *out = fopen(command->output, "wbe");
    if (out == NULL)
        return orr__error(command, "cannot write %s: %s", command->output, strerror(errno));
    if (job->input != NULL)
        fwrite(job->input, 1, job->input_bytes, out);
    else
        fwrite(seed, 1, sizeof seed, out);
    return close_output(command, out);
}

int orr__convert(struct orr__command *command)
{
    if (command->output == NULL)
        return orr__usage_error(command, "where to? give -o FILE");
    if (command->file != NULL)
        return write_input(command);
    struct orr__result *result = orr__private_map(sizeof *result);
    if (result == NULL)
        return orr__error(command, "no memory");
    int status = find_names(command, result);
    if (status < 0)
        return orr__error(command, "cannot run the input: %s", strerror(-status));
    return write_replay_file(command, result);
}

/*
 * replay_source.c: a run out of a replay file: its scenario, parameters and seed take the place of
 * words of the command line; its faults go to the child as text. And the beginning of such a file,
 * where one is written.
 *
 * The text lies in a mapping of its own, and reading it here allocates nothing: a seed's own memory
 * has the addresses that it has without a file, see campaign.h.
 */
#include "campaign.h"

#include "sim/replay_file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

/* A file by hand has a few lines; one with every fault of a run, some hundred thousand. */
#define FILE_BYTES_MAX ((size_t)64 << 20)

bool orr__is_replay_file(const char *word)
{
    size_t length = strlen(word);
    const size_t ending = sizeof ".replay" - 1;
    return strchr(word, '=') == NULL &&
           (strchr(word, '/') != NULL ||
            (length > ending && strcmp(word + length - ending, ".replay") == 0));
}

static int read_file(struct orr__command *command)
{
    command->file_head = orr__private_map(sizeof *command->file_head);
    int status = command->file_head != NULL
                     ? orr__private_read(command->file, FILE_BYTES_MAX, &command->file_text,
                                         &command->file_bytes)
                     : -ENOMEM;
    if (status == -EISDIR)
        return orr__error(command, "%s: this is no file", command->file);
    if (status < 0)
        return orr__error(command, "cannot read %s: %s", command->file, strerror(-status));
    return 0;
}

/* A parameter that stands on the command line, too: that one counts. */
static bool is_given(const struct orr__command *command, const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = 1; i < command->word_count; i++)
        if (strncmp(command->words[i], name, length) == 0 && command->words[i][length] == '=')
            return true;
    return false;
}

/* The words have room for so many more, see orr_command_line. */
static void take_head(struct orr__command *command)
{
    struct orr__replay_head *head = command->file_head;
    command->words[0] = head->scenario;
    for (uint32_t i = 0; i < head->parameter_count; i++) {
        if (!is_given(command, head->parameters[i].name))
            command->words[command->word_count++] = head->parameters[i].text;
    }
    command->seed_first = command->seed_last = head->seed;
    command->seed_given = true;
    command->job.faults = command->file_text;
}

int orr__replay_file_open(struct orr__command *command)
{
    char why[ORR__WHY_MAX];
    command->file = command->words[0];
    if (command->seed_given)
        return orr__usage_error(command, "--seed: the seed stands in %s", command->file);
    int status = read_file(command);
    if (status != 0 || command->file_head == NULL)
        return status;
    if (!orr__replay_head_parse(command->file_text, command->file_head, why))
        return orr__error(command, "%s: %s", command->file, why);
    if (command->file_head->scenario[0] == '\0' || !command->file_head->has_seed)
        return orr__error(command, "%s: a line \"%s\" is missing", command->file,
                          command->file_head->has_seed ? "scenario NAME" : "seed N");
    take_head(command);
    return orr__input_of_file(command);
}

int orr__replay_file_choose(struct orr__command *command, const char *path)
{
    command->words[0] = path;
    command->word_count = command->words_given;
    command->job.parameter_count = 0;
    command->seed_given = false;
    int status = orr__replay_file_open(command);
    return status == 0 ? orr__scenarios_choose(command) : status;
}

bool orr__replay_file_expects(const struct orr__command *command, const char *check)
{
    const struct orr__replay_head *head = command->file_head;
    return head == NULL || head->check[0] == '\0' || strcmp(head->check, check) == 0;
}

/* ---- without some of its faults -------------------------------------------------------------- */

int orr__replay_without(struct orr__command *command)
{
    struct orr__replay_head head = {.cells = NULL};
    char why[ORR__WHY_MAX];
    for (uint32_t i = 0; i < command->without_count; i++) {
        const char *name = command->without[i];
        const char *text = command->job.faults != NULL ? command->job.faults : "";
        command->job.faults = orr__faults_without(text, name);
        if (command->job.faults == NULL)
            return orr__error(command, "no memory");
        if (!orr__replay_head_parse(command->job.faults, &head, why))
            return orr__usage_error(
                command, "--without %s: this must be the name of a fault, such as server/fsync#3",
                name);
    }
    return 0;
}

void orr__replay_file_close(struct orr__command *command)
{
    orr__input_close(command);
    if (command->file_text != NULL)
        munmap(command->file_text, command->file_bytes + 1);
    if (command->file_head != NULL)
        munmap(command->file_head, sizeof *command->file_head + 1);
    command->file_text = NULL;
    command->file_head = NULL;
}

void orr__replay_file_head(FILE *out, const struct orr__job *job, uint64_t seed, const char *check)
{
    if (check != NULL)
        fprintf(out, "check %s\n", check);
    fprintf(out, "scenario %s\n", job->scenario->name);
    for (size_t i = 0; i < job->parameter_count; i++)
        fprintf(out, "parameter %s=%s\n", job->parameters[i].name, job->parameters[i].value);
    fprintf(out, "seed %" PRIu64 "\n", seed);
    orr__input_lines(out, job);
}

void orr__replay_file_begin(FILE *out, const struct orr__job *job, uint64_t seed, const char *check)
{
    orr__replay_file_head(out, job, seed, check);
    fputs("only  # no faults but these:\n", out);
}

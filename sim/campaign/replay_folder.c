/*
 * replay_folder.c: every replay file of a folder: failures that were found once, kept as tests. A
 * line for each, and its story on request by the command that it ends with.
 *
 * All files are read before the first one runs, as many run at a time as there are jobs, and
 * results are told in the order of the names: the same with any number of jobs. What grows lies in
 * mappings, see campaign.h.
 */
#define _GNU_SOURCE 1 /* scandir */

#include "campaign.h"

#include "sim/replay_file.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file of the folder, and what became of it. */
struct file {
    char path[ORR__PATH_MAX_BYTES];
    struct orr__job job;
    uint64_t seed;
    char expected[ORR__LINE_MAX]; /* the check that it was kept for, or "" */
    bool is_done;
    bool failed;
    char check[ORR__LINE_MAX];
};

struct folder {
    struct orr__command *command;
    struct file *files; /* in the order of their names */
    uint32_t count;
    uint32_t told;
    uint32_t failures;
    struct orr__nursery nursery;
    struct orr__result *results;     /* one for each job */
    uint32_t running[ORR__JOBS_MAX]; /* which file a job is at */
};

bool orr__is_folder(const char *word)
{
    struct stat status;
    return strchr(word, '=') == NULL && strchr(word, '/') != NULL && stat(word, &status) == 0 &&
           S_ISDIR(status.st_mode);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int is_replay(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && orr__is_replay_file(entry->d_name);
}

/* The text, the head and the lanes of the file stay mapped: the job points into them. */
static int open_file(struct orr__command *command, struct file *file)
{
    int status = orr__replay_file_choose(command, file->path);
    if (status != 0)
        return status;
    size_t bytes = command->job.parameter_count * sizeof *command->parameters;
    struct orr_parameter_value *parameters = orr__private_map(bytes);
    if (parameters == NULL)
        return orr__error(command, "no memory");
    memcpy(parameters, command->parameters, bytes);
    file->job = command->job;
    file->job.parameters = parameters;
    file->seed = command->seed_first;
    snprintf(file->expected, sizeof file->expected, "%s", command->file_head->check);
    command->file_text = NULL;
    command->file_head = NULL;
    command->job.input = NULL;
    command->job.cells = NULL;
    return 0;
}

/* Finds the files of the folder and reads them. Returns 0 or the exit status, after an error
 * message. */
static int read_folder(struct folder *folder, const char *path)
{
    struct dirent **entries;
    int status = 0;
    int count = scandir(path, &entries, is_replay, alphasort);
    if (count < 0)
        return orr__error(folder->command, "cannot read %s: %s", path, strerror(errno));
    folder->files = orr__private_map((size_t)count * sizeof *folder->files);
    for (int i = 0; i < count; i++) {
        struct file *file = &folder->files[folder->count++];
        snprintf(file->path, sizeof file->path, "%s%s%s", path,
                 path[strlen(path) - 1] == '/' ? "" : "/", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (count == 0)
        return orr__error(folder->command, "%s holds no file NAME.replay", path);
    for (uint32_t i = 0; i < folder->count && status == 0; i++)
        status = open_file(folder->command, &folder->files[i]);
    return status;
}

/* ---- running --------------------------------------------------------------------------------- */

static void tell(struct folder *folder, const struct file *file)
{
    if (!file->failed) {
        printf("passes  %s\n", file->path);
        return;
    }
    bool again = strcmp(file->expected, file->check) == 0;
    printf("FAILS   %s: %s%s\n  ", file->path, file->check,
           file->expected[0] == '\0' || again ? "" : " (not what it was kept for)");
    orr__command_of_file(stdout, folder->command, file->path);
    orr__command_parameters(stdout, folder->command);
    putchar('\n');
    folder->failures++;
}

static void take_result(struct folder *folder, uint32_t job)
{
    struct file *file = &folder->files[folder->running[job]];
    const struct orr_outcome *outcome = &folder->results[job].outcome;
    file->is_done = true;
    file->failed = outcome->failed;
    snprintf(file->check, sizeof file->check, "%.*s", ORR__LINE_MAX - 1, outcome->check);
    for (; folder->told < folder->count && folder->files[folder->told].is_done; folder->told++)
        tell(folder, &folder->files[folder->told]);
}

/* Starts files in free places. Returns the next one to start, or -errno. */
static int64_t start_some(struct folder *folder, int64_t next)
{
    for (uint32_t i = 0; i < folder->nursery.count && next < folder->count; i++) {
        if (folder->nursery.children[i].pid != 0)
            continue;
        const struct file *file = &folder->files[next];
        int status = orr__nursery_start(&folder->nursery, &folder->nursery.children[i], &file->job,
                                        file->seed);
        if (status < 0)
            return status;
        folder->running[i] = (uint32_t)next++;
    }
    return next;
}

static int run(struct folder *folder)
{
    int64_t next = 0;
    while (folder->told < folder->count) {
        next = start_some(folder, next);
        if (next < 0)
            return (int)next;
        orr__nursery_wait(&folder->nursery, &folder->files[0].job, UINT64_MAX);
        if (orr__nursery_signal() != 0)
            return -EINTR;
        for (uint32_t i = 0; i < folder->nursery.count; i++) {
            const struct orr__job *job = &folder->files[folder->running[i]].job;
            if (orr__nursery_reap(&folder->nursery.children[i], job, &folder->results[i]))
                take_result(folder, i);
        }
        if (orr__flush() < 0)
            return orr__flush();
    }
    return 0;
}

static int refuse(const struct orr__command *command)
{
    if (command->seed_given)
        return orr__usage_error(command, "--seed: the seeds stand in the files of %s",
                                command->words[0]);
    if (command->input != NULL)
        return orr__usage_error(command, "--input: not for a folder");
    if (command->twice_given)
        return orr__usage_error(command, "--twice: not for a folder, give one of its files");
    if (command->without_count > 0)
        return orr__usage_error(command, "--without: not for a folder, give one of its files");
    for (uint32_t i = 0; i < ORR__TRACE_KINDS; i++)
        if (command->traces[i] != NULL)
            return orr__usage_error(command, "--trace: the files of a folder leave no trace: "
                                             "replay one of them");
    return 0;
}

int orr__replay_folder(struct orr__command *command)
{
    void *results;
    struct folder *folder = orr__private_map(sizeof *folder);
    if (folder == NULL)
        return orr__error(command, "no memory");
    folder->command = command;
    command->words_given = command->word_count;
    command->job.replay = false;
    int status = refuse(command);
    if (status == 0)
        status = read_folder(folder, command->words[0]);
    if (status != 0)
        return status;
    status = orr__nursery_open(&folder->nursery, command->jobs,
                               command->jobs * sizeof *folder->results, &results);
    if (status < 0)
        return orr__error(command, "cannot prepare %u processes: %s", command->jobs,
                          strerror(-status));
    folder->results = results;
    status = run(folder);
    int number = orr__nursery_signal();
    orr__nursery_close(&folder->nursery);
    if (number != 0)
        raise(number);
    if (orr__flush() < 0)
        return orr__write_error(command, orr__flush());
    if (status < 0)
        return orr__error(command, "cannot go on: %s", strerror(-status));
    printf("%u replayed, %u failed\n", folder->count, folder->failures);
    return folder->failures > 0 ? ORR__EXIT_FAILING : ORR__EXIT_CLEAN;
}

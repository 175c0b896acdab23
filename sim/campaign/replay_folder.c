/*
 * replay_folder.c: every replay file of a folder, one after the other, in the order of their names:
 * failures that were found once, kept as tests. A line for each, and its story on request by the
 * command that it ends with.
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

enum { PATH_BYTES_MAX = 4096 };

bool orr__is_folder(const char *word)
{
    struct stat status;
    return strchr(word, '=') == NULL && strchr(word, '/') != NULL && stat(word, &status) == 0 &&
           S_ISDIR(status.st_mode);
}

static int is_replay(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && orr__is_replay_file(entry->d_name);
}

/* Runs the file that the command holds. Returns 0 or -errno. */
static int run(const struct orr__command *command, struct orr__result *ret_result)
{
    struct orr__nursery nursery;
    void *memory;
    int status = orr__nursery_open(&nursery, 1, sizeof *ret_result, &memory);
    if (status < 0)
        return status;
    status = orr__nursery_run(&nursery, &command->job, command->seed_first, memory);
    if (status == 0)
        memcpy(ret_result, memory, sizeof *ret_result);
    int number = orr__nursery_signal();
    orr__nursery_close(&nursery);
    if (number != 0)
        raise(number);
    return status;
}

static void tell(const struct orr__command *command, const struct orr__result *result)
{
    const char *check = command->file_head->check;
    if (!result->outcome.failed) {
        printf("passes  %s\n", command->file);
        return;
    }
    bool again = strcmp(check, result->outcome.check) == 0;
    printf("FAILS   %s: %s%s\n  ", command->file, result->outcome.check,
           check[0] == '\0' || again ? "" : " (not what it was kept for)");
    orr__command_of_file(command, command->file);
    for (uint32_t i = 1; i < command->words_given; i++) {
        putchar(' ');
        orr__text_quote(stdout, command->words[i]);
    }
    putchar('\n');
}

/* One file, with the parameters of the command line. Returns the exit status. */
static int run_file(struct orr__command *command, const char *path)
{
    struct orr__result *result = calloc(1, sizeof *result);
    if (result == NULL)
        return orr__error(command, "no memory");
    command->words[0] = path;
    command->word_count = command->words_given;
    command->job.parameter_count = 0;
    command->seed_given = false;
    int status = orr__replay_file_open(command);
    if (status == 0)
        status = orr__scenarios_choose(command);
    if (status == 0) {
        int error = run(command, result);
        if (error < 0) {
            status = orr__error(command, "cannot run %s: %s", path, strerror(-error));
        } else {
            tell(command, result);
            status = result->outcome.failed ? ORR__EXIT_FAILING : ORR__EXIT_CLEAN;
        }
    }
    orr__replay_file_close(command);
    free(result);
    return status;
}

int orr__replay_folder(struct orr__command *command)
{
    struct dirent **entries;
    const char *folder = command->words[0];
    uint32_t failures = 0;
    int count = scandir(folder, &entries, is_replay, alphasort);
    int status = 0;
    if (command->seed_given)
        return orr__usage_error(command, "--seed: the seeds stand in the files of %s", folder);
    if (command->input != NULL)
        return orr__usage_error(command, "--input: not for a folder");
    for (uint32_t i = 0; i < ORR__TRACE_KINDS; i++)
        if (command->traces[i] != NULL)
            return orr__usage_error(command, "--trace: the files of a folder leave no trace: "
                                             "replay one of them");
    if (count < 0)
        return orr__error(command, "cannot read %s: %s", folder, strerror(errno));
    command->words_given = command->word_count;
    command->job.replay = false;
    for (int i = 0; i < count; i++) {
        char path[PATH_BYTES_MAX];
        snprintf(path, sizeof path, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/",
                 entries[i]->d_name);
        if (status != ORR__EXIT_USAGE)
            status = run_file(command, path);
        failures += status == ORR__EXIT_FAILING;
        free(entries[i]);
    }
    free(entries);
    if (status == ORR__EXIT_USAGE)
        return status;
    if (count == 0)
        return orr__error(command, "%s holds no file NAME.replay", folder);
    printf("%d replayed, %u failed\n", count, failures);
    return failures > 0 ? ORR__EXIT_FAILING : ORR__EXIT_CLEAN;
}

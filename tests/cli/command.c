/*
 * command.c: see command.h. Output goes to temporary files: they take whatever comes, in any
 * amount, while nobody reads.
 */
#define _GNU_SOURCE 1 /* environ, posix_spawn, fileno */

#include "command.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 64 };

const char *command_path(const char *variable)
{
    const char *path = getenv(variable);
    ck_assert_msg(path != NULL, "%s is not set: run this through meson test", variable);
    return path;
}

static bool leaks_are_settled;

void command_check_leaks(void)
{
    leaks_are_settled = true;
}

static void settle_leaks(void)
{
    const char *options = getenv("ASAN_OPTIONS");
    char more[1024];
    if (leaks_are_settled)
        return;
    snprintf(more, sizeof more, "%s:detect_leaks=0", options != NULL ? options : "");
    ck_assert_int_eq(setenv("ASAN_OPTIONS", more, 1), 0);
    leaks_are_settled = true;
}

void command_clear(struct command *command)
{
    free(command->out);
    free(command->err);
    command->out = NULL;
    command->err = NULL;
}

static pid_t start(char **argv, int out, int err)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    settle_leaks();
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    int error = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    ck_assert_msg(error == 0, "cannot start %s: %s", argv[0], strerror(error));
    return pid;
}

pid_t command_start(const char *program, const char *line, int out, int err)
{
    char *words = strdup(line);
    char *path = strdup(program);
    char *argv[WORDS_MAX] = {path};
    size_t count = 1;
    for (char *word = words; word != NULL && *word != '\0';) {
        char *space = strchr(word, ' ');
        if (space != NULL)
            *space = '\0';
        ck_assert_uint_lt(count, WORDS_MAX - 1);
        argv[count++] = word;
        word = space != NULL ? space + 1 : NULL;
    }
    pid_t pid = start(argv, out, err);
    free(words);
    free(path);
    return pid;
}

int command_wait(pid_t pid)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static char *contents(FILE *file)
{
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    ck_assert_int_ge(length, 0);
    rewind(file);
    char *text = malloc((size_t)length + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, (size_t)length, file), (size_t)length);
    text[length] = '\0';
    fclose(file);
    return text;
}

static FILE *new_file(void)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    return file;
}

void command_run(struct command *command, const char *program, const char *line)
{
    command_clear(command);
    FILE *out = new_file();
    FILE *err = new_file();
    command->status = command_wait(command_start(program, line, fileno(out), fileno(err)));
    command->out = contents(out);
    command->err = contents(err);
}

void command_shell(struct command *command, const char *line)
{
    char shell[] = "/bin/sh";
    char option[] = "-c";
    char *script = strdup(line);
    char *argv[] = {shell, option, script, NULL};
    command_clear(command);
    FILE *out = new_file();
    FILE *err = new_file();
    command->status = command_wait(start(argv, fileno(out), fileno(err)));
    command->out = contents(out);
    command->err = contents(err);
    free(script);
}

/* ---- lines and members ----------------------------------------------------------------------- */

size_t lines_count(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

char *lines_copy(const char *text, int index)
{
    int wanted = index >= 0 ? index : (int)lines_count(text) + index;
    for (; wanted > 0 && text != NULL; wanted--) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    ck_assert_msg(text != NULL && *text != '\0', "there is no line %d", index);
    return strndup(text, strcspn(text, "\n"));
}

json_t *lines_json(const char *text, int index)
{
    json_error_t error;
    char *line = lines_copy(text, index);
    json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json_is_object(object), "%s in: %s", error.text, line);
    free(line);
    return object;
}

bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

const char *member_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    ck_assert_msg(text != NULL, "there is no text \"%s\"", name);
    return text;
}

long long member_number(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    ck_assert_msg(json_is_integer(member), "there is no integer \"%s\"", name);
    return json_integer_value(member);
}

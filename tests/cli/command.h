/*
 * command.h: runs a program as a user would, and keeps what it said. Failures of the machinery
 * itself end the test (ck_abort), so that callers need not check.
 */
#ifndef TESTS_CLI_COMMAND_H
#define TESTS_CLI_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct command {
    int status; /* the exit status, or 128 + the signal */
    char *out;
    char *err;
};

/* Frees what an earlier run kept, if any: begin with a zeroed struct. */
void command_clear(struct command *command);

/* Runs `program` with the words of `line`, which single spaces separate, stdin closed. */
void command_run(struct command *command, const char *program, const char *line);
/* Runs a line in a shell. */
void command_shell(struct command *command, const char *line);
/* Starts a program with these descriptors as stdout and stderr; command_wait gives its status. */
pid_t command_start(const char *program, const char *line, int out, int err);
int command_wait(pid_t pid);

/* What is started looks for leaks, if a sanitizer watches it; to be called before the first start.
 * Otherwise it does not: each of its processes would, at its end, which takes longer than a short
 * seed. */
void command_check_leaks(void);

/* The path that the build gave us. */
const char *command_path(const char *variable);

/* Lines of a text, without the newline: how many, and a copy of number `index`; -1 is the last. */
size_t lines_count(const char *text);
char *lines_copy(const char *text, int index);
/* That line as a JSON object. */
json_t *lines_json(const char *text, int index);
bool starts_with(const char *text, const char *prefix);

/* Members of an object; a missing one, or one of another type, ends the test. */
const char *member_text(const json_t *object, const char *name);
long long member_number(const json_t *object, const char *name);

#define ck_contains(text, part) \
    ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" is not in:\n%s", (part), (text))

#endif

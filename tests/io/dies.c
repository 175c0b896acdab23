/*
 * dies.c: see dies.h.
 */
#define _POSIX_C_SOURCE 200809L /* fork, pipe */
#include "dies.h"

#include <check.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_the_child(void (*run)(void *context), void *context, int out)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    dup2(out, STDERR_FILENO);
    run(context);
    _exit(0);
}

static size_t read_all(int in, char *text, size_t size)
{
    size_t length = 0;
    ssize_t count;
    while (length + 1 < size && (count = read(in, text + length, size - 1 - length)) > 0)
        length += (size_t)count;
    text[length] = '\0';
    return length;
}

void dies(void (*run)(void *context), void *context, const char *const *needles)
{
    int ends[2];
    char text[4096];
    int status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        be_the_child(run, context, ends[1]);
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                  "it should have aborted, but its wait status is %d; it printed: %s", status,
                  text);
    for (; *needles != NULL; needles++)
        ck_assert_msg(strstr(text, *needles) != NULL, "'%s' is not in what it printed: %s",
                      *needles, text);
}

/*
 * open.c: the backend that orr_loop_open chooses: the first of an ordered table that this system
 * has and allows, or the one that is asked for by name.
 *
 * Kept apart from the backends, so that none of them knows of another.
 *
 * A program that runs in a simulated world gets a loop there, whatever it asks for: see
 * orr_loop_set_host.
 *
 * Only a refusal (the system lacks a backend, or forbids it) leads to the next one. A loop that
 * fails for want of memory or descriptors says so: it would be a surprise to find it slow instead.
 */
#include "backends.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fastest first. */
static const struct orr_backend *const table[] = {
#if defined(__linux__)
    &orr__uring,
    &orr__epoll,
#endif
#if defined(ORR__HAVE_KQUEUE)
    &orr__kqueue,
#endif
};

#define TABLE_LENGTH (sizeof table / sizeof table[0])

/* Forces one by its name; the program's own choice in orr_options goes before it. */
#define VARIABLE "ORR_BACKEND"

/* Room for the reasons of every refusal. */
#define REASON_MAX 512u

static void append(char *text, size_t size, const char *more)
{
    const size_t length = strlen(text);

    if (length < size)
        (void)snprintf(text + length, size - length, "%s", more);
}

static int open_one(const struct orr_options *options, const struct orr_backend *backend,
                    struct orr_loop **ret_loop)
{
    const int status = backend->probe != NULL ? backend->probe(options) : 0;

    return status < 0 ? status : orr_loop_open_with(options, backend, NULL, ret_loop);
}

static bool is_refusal(int status)
{
    return status == -ENOSYS || status == -EPERM || status == -EACCES;
}

static int open_first(const struct orr_options *options, struct orr_loop **ret_loop)
{
    struct orr_options attempt = *options;
    char reasons[(REASON_MAX + 32) * TABLE_LENGTH] = "";
    char reason[REASON_MAX];
    int first = 0;

    attempt.error = reason;
    attempt.error_size = sizeof reason;
    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        reason[0] = '\0';
        const int status = open_one(&attempt, table[i], ret_loop);
        if (status >= 0)
            return status;
        if (!is_refusal(status)) {
            orr_options_error(options, "%s", reason);
            return status;
        }
        append(reasons, sizeof reasons, i > 0 ? "; " : "");
        append(reasons, sizeof reasons, table[i]->name);
        append(reasons, sizeof reasons, ": ");
        append(reasons, sizeof reasons, reason);
        first = first < 0 ? first : status;
    }
    orr_options_error(options, "no backend can be used here; tried were %s", reasons);
    return first;
}

static int open_named(const struct orr_options *options, const char *name, const char *asked_by,
                      struct orr_loop **ret_loop)
{
    char names[32 * TABLE_LENGTH] = "";

    for (size_t i = 0; i < TABLE_LENGTH; i++) {
        if (strcmp(table[i]->name, name) == 0)
            return open_one(options, table[i], ret_loop);
        append(names, sizeof names, i > 0 ? ", " : "");
        append(names, sizeof names, table[i]->name);
    }
    orr_options_error(options, "%s asks for the backend '%.40s'; this system has: %s", asked_by,
                      name, names);
    return -EINVAL;
}

int orr_loop_open(const struct orr_options *options, struct orr_loop **ret_loop)
{
    const struct orr_options none = {0};
    const struct orr_options *asked = options != NULL ? options : &none;
    const char *variable = getenv(VARIABLE);
    const int hosted = orr_loop_open_hosted(asked, ret_loop);

    if (hosted != ORR_HOST_ELSEWHERE)
        return hosted;
    if (asked->backend != NULL)
        return open_named(asked, asked->backend, "orr_options.backend", ret_loop);
    if (variable != NULL && variable[0] != '\0')
        return open_named(asked, variable, "the environment variable " VARIABLE, ret_loop);
    return open_first(asked, ret_loop);
}

/*
 * on_kernel.c: the conformance suite on a production backend, which argv[1] names; with argv[2] =
 * "kernel", the cases that only a kernel can run. Directories are made in a temporary one, which is
 * removed when all cases have run, also after a case that failed.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "conformance.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libkqueue does part of its work in threads, and a kqueue of it polls readable only for them. */
#if defined(OVER_LIBKQUEUE)
#define SLEEPERS 0u
#else
#define SLEEPERS NEEDS_SLEEPERS
#endif

static const char *backend = ""; /* none has this name */

static char base[] = "/tmp/orrery-XXXXXX";

static int open_loop(const struct orr_options *options, uint64_t seed, struct orr_loop **ret_loop)
{
    struct orr_options forced = options != NULL ? *options : (struct orr_options){0};
    (void)seed;
    forced.backend = backend;
    return orr_loop_open(&forced, ret_loop);
}

/* A misspelled name is not a reason: then every case fails. */
static const char *unavailable(void)
{
    static char sentence[512];
    const struct orr_options options = {.error = sentence, .error_size = sizeof sentence};
    struct orr_loop *loop;
    int status = open_loop(&options, 0, &loop);
    if (status == 0)
        orr_loop_close(loop);
    return status == -ENOSYS || status == -EPERM ? sentence : NULL;
}

static orr_handle make_directory(struct orr_loop *loop, char *ret_prefix)
{
    char path[CONFORMANCE_PREFIX_MAX - 1];
    snprintf(path, sizeof path, "%s/%d", base, (int)getpid());
    snprintf(ret_prefix, CONFORMANCE_PREFIX_MAX, "%s/", path);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_str_eq(orr_loop_backend_name(loop), ground.driver->name);
    return END_OF(orr_open, ORR_DIRECTORY_CURRENT, path, ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0);
}

static void closed(void)
{
}

static void begin(void)
{
    umask(022);
    if (mkdtemp(base) == NULL) {
        perror(base);
        exit(EXIT_FAILURE);
    }
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void end(void)
{
    if (nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        perror(base);
}

int main(int argc, char **argv)
{
    const bool kernel = argc > 2 && strcmp(argv[2], "kernel") == 0;
    const struct conformance_driver driver = {
        .name = argc > 1 ? argv[1] : "",
        .tables = kernel ? conformance_kernel : conformance_common,
        .has = NEEDS_SOCKET_FILES | SLEEPERS,
        .seeds = 1,
        .unavailable = unavailable,
        .open = open_loop,
        .make_directory = make_directory,
        .closed = closed,
        .begin = begin,
        .end = end,
    };
    backend = driver.name;
    return conformance_main(&driver);
}

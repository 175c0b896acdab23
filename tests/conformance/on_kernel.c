/*
 * on_kernel.c: the conformance suite on a production backend, which argv[1] names; with argv[2] =
 * "kernel", the cases that only a kernel can run. Directories are made in a temporary one, which is
 * removed when all cases have run, also after a case that failed.
 */
#define _GNU_SOURCE 1 /* mkdtemp, nftw, TCP_USER_TIMEOUT */
#include "conformance.h"

#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
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

#if defined(OVER_LIBKQUEUE)

/* It is there. To try it here would not do: a thread of libkqueue closes descriptors of a kqueue
 * some time after it was closed, when the suite has others under their numbers. */
static const char *unavailable(void)
{
    return NULL;
}

#else

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

#endif

static orr_handle make_directory(struct orr_loop *loop, char *ret_prefix)
{
    static unsigned count;
    char path[CONFORMANCE_PREFIX_MAX - 1];
    snprintf(path, sizeof path, "%s/%d-%u", base, (int)getpid(), count++);
    snprintf(ret_prefix, CONFORMANCE_PREFIX_MAX, "%s/", path);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_str_eq(orr_loop_backend_name(loop), ground.driver->name);
    return END_OF(orr_open, ORR_DIRECTORY_CURRENT, path, ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0);
}

static void pass_time(struct orr_loop *loop, uint64_t ns)
{
    uint64_t until_ns = orr_now(loop) + ns;
    for (uint64_t now_ns; (now_ns = orr_now(loop)) < until_ns;) {
        const uint64_t left_ns = until_ns - now_ns;
        const struct timespec pause = {.tv_sec = (time_t)(left_ns / ORR_SECOND),
                                       .tv_nsec = (long)(left_ns % ORR_SECOND)};
        nanosleep(&pause, NULL);
    }
}

static struct rlimit limit_before;

/* As many as are below the first free one from 40 on. */
static void limit_descriptors(void)
{
    struct rlimit limit;
    int highest = fcntl(STDERR_FILENO, F_DUPFD, 40);
    ck_assert_int_ge(highest, 0);
    close(highest);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit_before = limit;
    limit.rlim_cur = (rlim_t)highest;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* After a second of trying the kernel sees that this was too long. */
static void lose_patience(orr_handle socket)
{
    const unsigned limit_ms = 100;
    ck_assert_int_eq(setsockopt(orr_descriptor(ground.loop, socket), IPPROTO_TCP, TCP_USER_TIMEOUT,
                                &limit_ms, sizeof limit_ms),
                     0);
}

static void closed(void)
{
    if (limit_before.rlim_max != 0)
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
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
        .has = SLEEPERS,
        .seeds = 1,
        .unavailable = unavailable,
        .open = open_loop,
        .make_directory = make_directory,
        .pass_time = pass_time,
        .limit_descriptors = limit_descriptors,
        .lose_patience = lose_patience,
        .second_host = "127.0.0.1",
        .closed = closed,
        .begin = begin,
        .end = end,
    };
    backend = driver.name;
    return conformance_main(&driver);
}

/*
 * test_open.c: which backend orr_loop_open takes, what it says when it takes none, and that a loop
 * that could not be opened leaves nothing behind, whatever failed.
 */
#define _GNU_SOURCE 1

#include "../suite.h"
#include "system.h"

#include "backends/pool.h"

#include <orrery/backend.h>

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

static char sentence[2048];
static uint64_t call_to_fail; /* in the next open; 0 = none */
static int64_t memory_kept;   /* by the last open: allocations */

static int open_with(const char *option, const char *environment, struct orr_loop **ret_loop)
{
    const struct orr_options options = {
        .handles_max = 8, .backend = option, .error = sentence, .error_size = sizeof sentence};

    sentence[0] = '\0';
    if (environment != NULL)
        ck_assert_int_eq(setenv("ORR_BACKEND", environment, 1), 0);
    else
        ck_assert_int_eq(unsetenv("ORR_BACKEND"), 0);
    /* Check, too, allocates: nothing of it in between. */
    const int64_t before = sys.memory;
    sys.calls = 0;
    sys.fail_at = call_to_fail;
    const int status = orr_loop_open(&options, ret_loop);
    sys.fail_at = 0;
    memory_kept = sys.memory - before;
    return status;
}

/* Opens, does something, and is the backend of that name. */
static void takes(const char *name, const char *option, const char *environment)
{
    struct orr_loop *loop = NULL;
    const int status = open_with(option, environment, &loop);

    ck_assert_msg(status == 0, "%d: %s", status, sentence);
    ck_assert_str_eq(orr_loop_backend_name(loop), name);
    ck_assert_str_eq(sentence, "");
    orr_run_for_ns(loop, 0);
    orr_loop_close(loop);
}

static void refuses(int expected, const char *option, const char *environment,
                    const char *const *needles)
{
    struct orr_loop *loop = NULL;

    ck_assert_int_eq(open_with(option, environment, &loop), expected);
    ck_assert_ptr_null(loop);
    for (; *needles != NULL; needles++)
        ck_assert_msg(strstr(sentence, *needles) != NULL, "'%s' is not in: %s", *needles, sentence);
}

#define REFUSES(expected, option, environment, ...) \
    refuses((expected), (option), (environment), (const char *const[]){__VA_ARGS__, NULL})

/* ---- the choice ------------------------------------------------------------------------------ */

START_TEST(test_open__takes_what_is_asked_for)
{
    takes("epoll", "epoll", NULL);
    takes("epoll", NULL, "epoll");
    takes("epoll", "epoll", "uring");
    takes("epoll", "epoll", "no-such-backend");
    sys.uring_error = -ENOSYS;
    takes("epoll", NULL, "");
    REFUSES(-ENOSYS, "uring", "epoll", "io_uring is missing");
    REFUSES(-ENOSYS, NULL, "uring", "io_uring is missing");
}
END_TEST

START_TEST(test_open__knows_no_other_name)
{
    REFUSES(-EINVAL, "iocp", NULL, "orr_options.backend asks for the backend 'iocp'",
            "this system has: uring, epoll");
    REFUSES(-EINVAL, NULL, "Epoll",
            "the environment variable ORR_BACKEND asks for the backend 'Epoll'",
            "this system has: uring, epoll");
    REFUSES(-EINVAL, "", "epoll", "orr_options.backend asks for the backend ''");
    REFUSES(-EINVAL, "a-name-that-is-much-longer-than-any-backend-of-ours", NULL,
            "'a-name-that-is-much-longer-than-any-back'");
}
END_TEST

/* What the system lacks or forbids leads to the next one. */
START_TEST(test_open__falls_through_what_is_refused)
{
    static const int errors[] = {ENOSYS, EPERM, EACCES};

    sys.uring_error = -errors[_i];
    takes("epoll", NULL, NULL);
    sys.epoll_error = EPERM;
    REFUSES(-errors[_i], NULL, NULL, "no backend can be used here; tried were uring: io_uring is ",
            _i == 0 ? "missing" : "forbidden", "; epoll: ", "errno 1");
    REFUSES(-EPERM, "epoll", NULL, "errno 1");
}
END_TEST

/* A loop that fails for want of something is not another, slower loop. */
START_TEST(test_open__does_not_fall_through_what_is_used_up)
{
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, EINVAL};

    sys.uring_error = -errors[_i];
    REFUSES(-errors[_i], NULL, NULL, "io_uring");
    ck_assert_ptr_null(strstr(sentence, "epoll"));
    sys.uring_error = -ENOSYS;
    sys.epoll_error = errors[_i];
    REFUSES(-errors[_i], NULL, NULL, "an epoll instance");
    ck_assert_ptr_null(strstr(sentence, "io_uring"));
}
END_TEST

START_TEST(test_open__needs_no_options)
{
    struct orr_loop *loop;

    ck_assert_int_eq(setenv("ORR_BACKEND", "epoll", 1), 0);
    ck_assert_int_eq(orr_loop_open(NULL, &loop), 0);
    orr_loop_close(loop);
    ck_assert_int_eq(setenv("ORR_BACKEND", "none", 1), 0);
    ck_assert_int_eq(orr_loop_open(NULL, &loop), -EINVAL);
}
END_TEST

/* ---- failures -------------------------------------------------------------------------------- */

/* ThreadSanitizer starts a thread of its own with the program's first. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FOREIGN_THREADS 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define FOREIGN_THREADS 1
#endif
#if !defined(FOREIGN_THREADS)
#define FOREIGN_THREADS 0
#endif

static uint32_t entries_of(const char *directory)
{
    DIR *stream = opendir(directory);
    uint32_t count = 0;

    ck_assert_ptr_nonnull(stream);
    while (readdir(stream) != NULL)
        count++;
    ck_assert_int_eq(closedir(stream), 0);
    return count;
}

/* A thread that was joined may still be seen for a moment. */
static void until_threads_are(uint32_t expected)
{
    while (entries_of("/proc/self/task") != expected)
        (void)sched_yield();
}

static bool blocks_signals(void)
{
    sigset_t mask;

    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    return sigismember(&mask, SIGTERM) == 1;
}

static void check_error(int status)
{
    static const int expected[] = {-ENOMEM, -EMFILE, -ENFILE, -ENOSPC, -EAGAIN};
    bool known = false;

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        known = known || status == expected[i];
    ck_assert_msg(known, "call %d fails with %d", (int)call_to_fail, status);
    ck_assert_msg(sentence[0] != '\0', "call %d fails with %d, and nothing is said",
                  (int)call_to_fail, status);
}

static int answer;
static uint32_t asked;

static int host(const struct orr_options *options, struct orr_loop **ret_loop)
{
    (void)options;
    (void)ret_loop;
    asked++;
    return answer;
}

/* A simulated world is asked before anything else, and answers for what runs in it only. */
START_TEST(test_open__a_host_comes_first)
{
    struct orr_loop *loop = NULL;
    orr_loop_set_host(host);
    answer = ORR_HOST_ELSEWHERE;
    takes("epoll", "epoll", NULL);
    ck_assert_uint_eq(asked, 1);
    answer = -EMFILE;
    ck_assert_int_eq(open_with("epoll", NULL, &loop), -EMFILE);
    ck_assert_int_eq(open_with("none that there is", NULL, &loop), -EMFILE);
    answer = 0;
    ck_assert_int_eq(open_with(NULL, "epoll", &loop), 0);
    ck_assert_ptr_null(loop);
    ck_assert_uint_eq(asked, 4);
    orr_loop_set_host(NULL);
    takes("epoll", "epoll", NULL);
    ck_assert_uint_eq(asked, 4);
}
END_TEST

/* Whichever call fails, nothing stays: no memory, descriptor, thread or blocked signal. */
START_TEST(test_open__failures_leave_nothing)
{
    struct orr_loop *loop = NULL;
    const uint32_t threads = entries_of("/proc/self/task") + FOREIGN_THREADS;
    const uint32_t descriptors = entries_of("/proc/self/fd");
    int status;

    takes("epoll", "epoll", NULL);
    until_threads_are(threads);
    for (call_to_fail = 1; (status = open_with("epoll", NULL, &loop)) != 0; call_to_fail++) {
        check_error(status);
        ck_assert_int_eq(memory_kept, 0);
        ck_assert_ptr_null(loop);
        ck_assert_uint_eq(entries_of("/proc/self/fd"), descriptors);
        until_threads_are(threads);
        ck_assert(!blocks_signals());
    }
    orr_loop_close(loop);
    ck_assert_uint_eq(entries_of("/proc/self/fd"), descriptors);
    until_threads_are(threads);
    /* The loop and its handles; engine, watches, index; epoll, its instance, wake, registration;
     * lock, condition, attributes, threads. */
    ck_assert_uint_eq(call_to_fail - 1, 2 + 3 + 4 + 3 + ORR__POOL_THREADS);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("open");

    tcase_add_test(tests, test_open__takes_what_is_asked_for);
    tcase_add_test(tests, test_open__knows_no_other_name);
    tcase_add_loop_test(tests, test_open__falls_through_what_is_refused, 0, 3);
    tcase_add_loop_test(tests, test_open__does_not_fall_through_what_is_used_up, 0, 4);
    tcase_add_test(tests, test_open__needs_no_options);
    tcase_add_test(tests, test_open__a_host_comes_first);
    tcase_add_test(tests, test_open__failures_leave_nothing);
    return suite_run_apart("open", tests);
}

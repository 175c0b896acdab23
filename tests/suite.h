/*
 * suite.h: what every Check program here ends with: run one test case, print TAP, say how many
 * failed.
 */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Code that a sanitizer watches is many times slower: tests of many seeds have fewer there. */
#if defined(__SANITIZE_ADDRESS__)
#define SUITE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SUITE_SANITIZED 1
#endif
#endif
#ifndef SUITE_SANITIZED
#define SUITE_SANITIZED 0
#endif

/* Longer than any test takes, also under sanitizers on a loaded machine: it only ends what hangs.
 */
#define SUITE_TIMEOUT_SECONDS 120

static inline int suite_run_in(enum fork_status processes, const char *name, TCase *tests)
{
    Suite *suite = suite_create(name);
    tcase_set_timeout(tests, SUITE_TIMEOUT_SECONDS);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, processes);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* One process for all tests. Each of its own would cost more than most tests, and much more under a
 * sanitizer that looks for leaks at its end. CK_FORK=yes in the environment gives them one, to see
 * which of them crashes. */
static inline int suite_run(const char *name, TCase *tests)
{
    const char *forks = getenv("CK_FORK");
    return suite_run_in(forks != NULL && strcmp(forks, "yes") == 0 ? CK_FORK : CK_NOFORK, name,
                        tests);
}

/* For tests that change their process, or end it. */
static inline int suite_run_apart(const char *name, TCase *tests)
{
    return suite_run_in(CK_FORK, name, tests);
}

#endif

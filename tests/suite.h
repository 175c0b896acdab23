/*
 * suite.h: what every Check program here ends with: run one test case, print TAP, say how many
 * failed.
 */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Longer than any test takes, also under sanitizers on a loaded machine: it only ends what hangs.
 */
#define SUITE_TIMEOUT_SECONDS 120

static inline int suite_run(const char *name, TCase *tests)
{
    Suite *suite = suite_create(name);
    tcase_set_timeout(tests, SUITE_TIMEOUT_SECONDS);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif

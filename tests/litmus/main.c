/*
 * main.c: runs the tables of litmus tests on every file system and prints TAP. With an argument:
 * only the cases whose names contain it.
 */
#include "tests/litmus/litmus.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct litmus_case *const tables[] = {litmus_data, litmus_names, litmus_replace,
                                                   litmus_sync};
#define TABLES (sizeof tables / sizeof tables[0])

static uint32_t test_count;
static uint32_t failures;

_Noreturn void litmus_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("Bail out! ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(EXIT_FAILURE);
}

/* ---- one case -------------------------------------------------------------------------------- */

static uint32_t tell_missing(const struct litmus_set *in, const struct litmus_set *from,
                             const char *what, bool aloud)
{
    uint32_t missing = 0;
    for (size_t i = 0; i < in->count; i++) {
        if (litmus_set_has(from, in->states[i]))
            continue;
        missing++;
        if (aloud)
            printf("# %s: %s\n", what, in->states[i]);
    }
    return missing;
}

/* True if the states reached are those allowed. */
static bool compare(const struct litmus_case *litmus, enum orr_file_system file_system,
                    const char *text, bool aloud, size_t *ret_states, uint64_t *ret_runs)
{
    struct litmus_set allowed = {0};
    struct litmus_set reached = {0};
    litmus_set_parse(&allowed, text);
    *ret_runs = litmus_explore(litmus, file_system, &reached);
    *ret_states = reached.count;
    uint32_t wrong = tell_missing(&reached, &allowed, "reached, but not allowed", aloud);
    wrong += tell_missing(&allowed, &reached, "allowed, but never reached", aloud);
    litmus_set_clear(&allowed);
    litmus_set_clear(&reached);
    return wrong == 0;
}

static void say(bool good, const char *name, const char *what, size_t states, uint64_t runs)
{
    printf("%s %u - %s [%s]: %zu state%s in %llu run%s\n", good ? "ok" : "not ok", ++test_count,
           name, what, states, ORR__S(states), (unsigned long long)runs, ORR__S(runs));
    failures += good ? 0 : 1;
}

static const char *allowed_by(const struct litmus_case *litmus, enum orr_file_system file_system)
{
    const char *allowed = litmus->allowed[file_system];
    return allowed != NULL ? allowed : litmus->PORTABLE;
}

static void run_case(const struct litmus_case *litmus, enum orr_file_system file_system)
{
    size_t states;
    uint64_t runs;
    bool good = compare(litmus, file_system, allowed_by(litmus, file_system), true, &states, &runs);
    say(good, litmus->name, orr_file_system_name(file_system), states, runs);
}

/* What replay files name, in all cases on a file system: no state that is not allowed. */
static void run_named(enum orr_file_system file_system)
{
    uint32_t wrong = 0;
    uint64_t runs = 0;
    for (size_t table = 0; table < TABLES; table++)
        for (const struct litmus_case *litmus = tables[table]; litmus->name != NULL; litmus++) {
            struct litmus_set allowed = {0};
            litmus_set_parse(&allowed, allowed_by(litmus, file_system));
            uint32_t wrong_here = litmus_try_named(litmus, file_system, &allowed, &runs);
            if (wrong_here > 0)
                printf("# in %s\n", litmus->name);
            wrong += wrong_here;
            litmus_set_clear(&allowed);
        }
    printf("%s %u - what is named leaves what is allowed [%s]: %llu runs\n",
           wrong == 0 ? "ok" : "not ok", ++test_count, orr_file_system_name(file_system),
           (unsigned long long)runs);
    failures += wrong;
}

static void run_exact(void)
{
    uint32_t count = 0;
    uint32_t wrong = litmus_try_exact(&count);
    printf("%s %u - what is named is lost, and nothing else: %u cases\n",
           wrong == 0 ? "ok" : "not ok", ++test_count, count);
    failures += wrong;
}

/* What one file system may leave, a weaker one may leave as well. */
static void run_inclusion(enum orr_file_system strong, enum orr_file_system weak)
{
    uint32_t wrong = 0;
    size_t states = 0;
    for (size_t table = 0; table < TABLES; table++)
        for (const struct litmus_case *litmus = tables[table]; litmus->name != NULL; litmus++) {
            struct litmus_set less = {0};
            struct litmus_set more = {0};
            litmus_set_parse(&less, allowed_by(litmus, strong));
            litmus_set_parse(&more, allowed_by(litmus, weak));
            states += less.count;
            wrong += tell_missing(&less, &more, litmus->name, true);
            litmus_set_clear(&less);
            litmus_set_clear(&more);
        }
    printf("%s %u - what %s may leave, %s may leave: %zu states\n", wrong == 0 ? "ok" : "not ok",
           ++test_count, orr_file_system_name(strong), orr_file_system_name(weak), states);
    failures += wrong;
}

/* ---- the harness itself ---------------------------------------------------------------------- */

/* A case that must fail does. */
static void run_wrong_case(const char *name, const char *allowed)
{
    const struct litmus_case wrong = {
        .name = name, .setup = "creat f; append f A", .program = "write f 0 B"};
    size_t states;
    uint64_t runs;
    bool good = compare(&wrong, ORR_FILE_SYSTEM_PORTABLE, allowed, false, &states, &runs);
    say(!good, name, "self-test", states, runs);
}

static void run_self_tests(void)
{
    run_wrong_case("a set that allows too much fails", "f:A | f:B | f:.");
    run_wrong_case("a set that allows too little fails", "f:A");
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : "";
    run_self_tests();
    run_inclusion(ORR_FILE_SYSTEM_EXT4, ORR_FILE_SYSTEM_XFS);
    run_inclusion(ORR_FILE_SYSTEM_XFS, ORR_FILE_SYSTEM_PORTABLE);
    run_inclusion(ORR_FILE_SYSTEM_PORTABLE, ORR_FILE_SYSTEM_POSIX);
    run_exact();
    for (uint32_t i = 0; i < ORR_FILE_SYSTEM_COUNT; i++)
        run_named((enum orr_file_system)i);
    for (size_t table = 0; table < TABLES; table++)
        for (const struct litmus_case *litmus = tables[table]; litmus->name != NULL; litmus++)
            for (uint32_t i = 0; i < ORR_FILE_SYSTEM_COUNT; i++)
                if (strstr(litmus->name, wanted) != NULL)
                    run_case(litmus, (enum orr_file_system)i);
    printf("1..%u\n", test_count);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

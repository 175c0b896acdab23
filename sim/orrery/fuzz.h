/*
 * fuzz.h: a scenario as a fuzz target, for libFuzzer, for AFL++, or on its own. One line makes it:
 *
 *     #include <orrery/fuzz.h>
 *     ORR_FUZZ_TARGET(my_scenario, "ms=60 bug=none")
 *
 *     clang -g -fsanitize=fuzzer,address my_fuzz.c my_scenario.c -lorrery-sim -lorrery
 *     afl-clang-fast -fsanitize=fuzzer my_fuzz.c my_scenario.c -lorrery-sim -lorrery
 *     cc -DORR_FUZZ_MAIN my_fuzz.c my_scenario.c -lorrery-sim -lorrery  # runs the files it gets
 *
 * The input is a seed and choices laid over it in lanes (docs/fuzzing.md); any bytes are one, and
 * none at all are seed 0. A check that fails, like a crash, ends the process by a signal. The
 * target brings a mutator that knows lanes, and tells the fuzzer, beside the code that was covered,
 * which `sometimes` checks held, which families of faults struck together, and which faults struck
 * whom.
 * AFL++ loads the mutator by AFL_CUSTOM_MUTATOR_LIBRARY=liborrery-afl.so.
 *
 * `orrery convert` makes a replay file out of an input, and an input out of that.
 */
#ifndef ORRERY_FUZZ_H
#define ORRERY_FUZZ_H

#include <orrery/sim.h>

ORR_BEGIN

struct orr_fuzz_target {
    const struct orr_scenario *scenario;
    const char *parameters; /* "name=value name=value", or "" */
};

/* What a run did beside covering code: each number is 0 or how often, 255 for more. */
#define ORR_FUZZ_MARKS 2048u

/* Runs an input; `marks` (NULL, or ORR_FUZZ_MARKS of them) are added to. Returns if the run
 * passes; if a check fails, says so and how to bring it back, and aborts. Wrong parameters are a
 * caught error. */
ORR_API void orr_fuzz_run(const struct orr_fuzz_target *target, const uint8_t *input, size_t size,
                          uint8_t *marks);
/* Makes another input out of one, in place: `input` has `size` bytes and room for `size_max`,
 * which the result keeps to. It goes mostly where the last orr_fuzz_run has drawn. Returns the new
 * size. */
ORR_API size_t orr_fuzz_mutate(uint8_t *input, size_t size, size_t size_max, uint32_t random);
/* Makes one out of two, into `input`. Returns its size, at most `size_max`. */
ORR_API size_t orr_fuzz_cross(const uint8_t *one, size_t one_size, const uint8_t *two,
                              size_t two_size, uint8_t *input, size_t size_max, uint32_t random);
/* Adds -timeout=0 to libFuzzer's options unless there is one: its alarm looks at the clock, which
 * in a world is virtual. The number of events ends a world that does not end by itself. */
ORR_API int orr_fuzz_initialize(int *argc, char ***argv);
/* Runs the inputs that are files among the arguments, and prints TAP. Returns the exit status. */
ORR_API int orr_fuzz_main(const struct orr_fuzz_target *target, int argc, char **argv);

/* Marks are counters that libFuzzer looks at after each run. To AFL++ each is an edge. */
#if defined(__AFL_COMPILER)
#define ORR_FUZZ_INITIALIZE_(argc, argv) ((void)(argc), (void)(argv), 0)
/* AFL++'s: an edge was taken, whose number its runtime has put there. */
void __sanitizer_cov_trace_pc_guard(uint32_t *guard);
#define ORR_FUZZ_MARKS_                                             \
    static uint8_t orr_fuzz_marks[ORR_FUZZ_MARKS];                  \
    static uint32_t orr_fuzz_edges[ORR_FUZZ_MARKS]                  \
        __attribute__((section("__sancov_guards"), used));          \
    static void orr_fuzz_tell(void)                                 \
    {                                                               \
        for (uint32_t i = 0; i < ORR_FUZZ_MARKS; i++)               \
            for (; orr_fuzz_marks[i] > 0; orr_fuzz_marks[i]--)      \
                __sanitizer_cov_trace_pc_guard(&orr_fuzz_edges[i]); \
    }
#elif defined(__linux__)
#define ORR_FUZZ_MARKS_                                               \
    static uint8_t orr_fuzz_marks[ORR_FUZZ_MARKS]                     \
        __attribute__((section("__libfuzzer_extra_counters"), used)); \
    static void orr_fuzz_tell(void)                                   \
    {                                                                 \
    }
#else
#define ORR_FUZZ_MARKS_                            \
    static uint8_t orr_fuzz_marks[ORR_FUZZ_MARKS]; \
    static void orr_fuzz_tell(void)                \
    {                                              \
    }
#endif

#if !defined(ORR_FUZZ_INITIALIZE_)
#define ORR_FUZZ_INITIALIZE_(argc, argv) orr_fuzz_initialize((argc), (argv))
#endif

#if defined(ORR_FUZZ_MAIN)
#define ORR_FUZZ_MAIN_                                    \
    int main(int argc, char **argv)                       \
    {                                                     \
        return orr_fuzz_main(&orr_fuzz_this, argc, argv); \
    }
#else
#define ORR_FUZZ_MAIN_
#endif

/* The entry points of a fuzzer, for a scenario that another file defines, and its parameters. */
#define ORR_FUZZ_TARGET(of, with)                                                             \
    extern const struct orr_scenario of;                                                      \
    static const struct orr_fuzz_target orr_fuzz_this = {&(of), (with)};                      \
    ORR_FUZZ_MARKS_                                                                           \
    int LLVMFuzzerInitialize(int *argc, char ***argv);                                        \
    int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);                            \
    size_t LLVMFuzzerCustomMutator(uint8_t *input, size_t size, size_t size_max,              \
                                   unsigned int random);                                      \
    size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two, \
                                     size_t two_size, uint8_t *input, size_t size_max,        \
                                     unsigned int random);                                    \
    int LLVMFuzzerInitialize(int *argc, char ***argv)                                         \
    {                                                                                         \
        return ORR_FUZZ_INITIALIZE_(argc, argv);                                              \
    }                                                                                         \
    int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)                             \
    {                                                                                         \
        orr_fuzz_run(&orr_fuzz_this, input, size, orr_fuzz_marks);                            \
        orr_fuzz_tell();                                                                      \
        return 0;                                                                             \
    }                                                                                         \
    size_t LLVMFuzzerCustomMutator(uint8_t *input, size_t size, size_t size_max,              \
                                   unsigned int random)                                       \
    {                                                                                         \
        return orr_fuzz_mutate(input, size, size_max, random);                                \
    }                                                                                         \
    size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two, \
                                     size_t two_size, uint8_t *input, size_t size_max,        \
                                     unsigned int random)                                     \
    {                                                                                         \
        return orr_fuzz_cross(one, one_size, two, two_size, input, size_max, random);         \
    }                                                                                         \
    ORR_FUZZ_MAIN_

ORR_END
#endif

/*
 * plain.c: a scenario under libFuzzer's own mutations, which know nothing of lanes: what
 * bench/guided compares the mutator with. SCENARIO and PARAMETERS come from the build.
 */
#include <orrery/fuzz.h>

extern const struct orr_scenario SCENARIO;
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

ORR_FUZZ_MARKS_

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return orr_fuzz_initialize(argc, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const struct orr_fuzz_target target = {&SCENARIO, PARAMETERS};
    orr_fuzz_run(&target, input, size, orr_fuzz_marks);
    orr_fuzz_tell();
    return 0;
}

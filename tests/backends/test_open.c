/*
 * test_open.c: opening the backend: the ladder of setup flags, the sizes of the rings, what is said
 * when there is no io_uring, and that nothing stays behind then.
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- helpers --------------------------------------------------------------------------------- */

/* The lowest free descriptor: moves up when one is left open below it. */
static int next_descriptor(void)
{
    const int next = dup(STDOUT_FILENO);

    ck_assert_int_ge(next, 0);
    close(next);
    return next;
}

/* Fails to open with this error and a sentence that has every needle (NULL ends them) in it. */
static void refuses(int expected, const char *const *needles)
{
    struct rig rig;
    const int before = next_descriptor();

    must_be(rig_try(&rig, 256), expected);
    must(rig.state == NULL);
    for (; *needles != NULL; needles++)
        ck_assert_msg(strstr(rig.error, *needles) != NULL, "'%s' is not in: %s", *needles,
                      rig.error);
    must_be(next_descriptor(), before);
}

#define REFUSES(expected, ...) refuses((expected), (const char *const[]){__VA_ARGS__, NULL})

static void descriptors_max_set(int max)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* ---- the ladder ------------------------------------------------------------------------------ */

static const uint32_t ladder[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_SUBMIT_ALL,
    0,
};

#define LADDER_FLAGS                                                                       \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | \
     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN)

/* Each rung is tried only after the kernel did not know the one above; this machine's kernel may
 * know fewer than the version that it plays. */
START_TEST(test_open__ladder_ends_at_the_newest_rung_that_the_kernel_knows)
{
    struct rig rig;

    kernel.version = &kernel_versions[_i];
    rig_open(&rig, 8);
    must(kernel.setups >= 1 && kernel.setups <= sizeof ladder / sizeof ladder[0]);
    for (uint32_t i = 0; i < kernel.setups; i++)
        must_be(kernel.asked[i].flags & LADDER_FLAGS, ladder[i]);
    must_be(rig_uring(&rig)->ring.flags & LADDER_FLAGS, ladder[kernel.setups - 1]);
    must((ladder[kernel.setups - 1] & kernel.version->setup_refused) == 0);
    rig_close(&rig);
}
END_TEST

START_TEST(test_open__einval_on_the_last_rung_is_the_answer)
{
    kernel.setup_error = -EINVAL;
    REFUSES(-EINVAL, "256 entries", "errno 22");
    must_be(kernel.setups, sizeof ladder / sizeof ladder[0]);
}
END_TEST

/* Only EINVAL means "an unknown flag": with ENOSYS or EPERM no rung is better than another. */
START_TEST(test_open__other_errors_do_not_climb_down)
{
    static const int errors[] = {-ENOSYS, -EPERM, -EACCES, -EMFILE, -ENFILE, -EFAULT};
    struct rig rig;

    kernel.setup_error = errors[_i];
    must_be(rig_try(&rig, 256), errors[_i]);
    must_be(kernel.setups, 1);
}
END_TEST

/* ---- sizes ----------------------------------------------------------------------------------- */

/* The batch holds exactly what the option says, also where the kernel rounds the ring up; a flush
 * cures "full". */
START_TEST(test_open__batch_holds_exactly_its_entries)
{
    static const uint32_t sizes[] = {1, 2, 5, 255, 256, ORR_BATCH_ENTRIES_MAX};
    const uint32_t entries = sizes[_i];
    struct orr_completion *polls = calloc(entries + 1, sizeof *polls);
    struct rig rig;
    int ends[2];

    rig_open(&rig, entries);
    must(polls != NULL && pipe(ends) == 0);
    const union orr_arguments in = {.events = ORR_POLL_IN};
    for (uint32_t i = 0; i < entries; i++)
        must(rig_offer(&rig, &polls[i], ORR_OP_POLL, ends[0], in) == ORR_SUBMIT_QUEUED);
    must(rig_offer(&rig, &polls[entries], ORR_OP_POLL, ends[0], in) == ORR_SUBMIT_FULL);
    must(orr__uring.cancel(rig.state, &polls[0]) == ORR_SUBMIT_FULL);
    must(orr__uring.unflushed(rig.state));
    rig_flush(&rig, ORR_WAIT_NOT);
    must(rig_offer(&rig, &polls[entries], ORR_OP_POLL, ends[0], in) == ORR_SUBMIT_QUEUED);
    must(write(ends[1], "x", 1) == 1);
    rig_end_all(&rig);
    for (uint32_t i = 0; i <= entries; i++)
        must_be(polls[i].result, ORR_POLL_IN);
    rig_close(&rig);
    close(ends[0]);
    close(ends[1]);
    free(polls);
}
END_TEST

START_TEST(test_open__completion_ring_is_larger_than_the_batch)
{
    static const struct {
        uint32_t entries;
        uint32_t completions;
    } sizes[] = {{1, 16}, {8, 128}, {256, 4096}, {4096, 65536}, {ORR_BATCH_ENTRIES_MAX, 65536}};
    struct rig rig;

    rig_open(&rig, sizes[_i].entries);
    must((kernel.asked[0].flags & IORING_SETUP_CQSIZE) != 0);
    must_be(kernel.asked[0].cq_entries, sizes[_i].completions);
    must(rig_uring(&rig)->ring.cq.ring_entries >= sizes[_i].completions);
    rig_close(&rig);
}
END_TEST

/* Where locked memory is scarce, a smaller completion ring is better than none... */
START_TEST(test_open__completion_ring_shrinks_to_fit_the_memory)
{
    struct rig rig;

    kernel.completions_max = 1024;
    rig_open(&rig, 256);
    must_be(rig_uring(&rig)->ring.cq.ring_entries, 1024);
    rig_close(&rig);
}
END_TEST

/* ... but not smaller than twice the batch, the kernel's own measure. */
START_TEST(test_open__completion_ring_shrinks_no_further_than_twice_the_batch)
{
    struct rig rig;

    kernel.completions_max = 512;
    rig_open(&rig, 256);
    rig_close(&rig);
    kernel.completions_max = 511;
    REFUSES(-ENOMEM, "256 entries", "RLIMIT_MEMLOCK", "batch_entries", "ulimit -l");
}
END_TEST

/* ---- refusals -------------------------------------------------------------------------------- */

START_TEST(test_open__missing)
{
    kernel.setup_error = -ENOSYS;
    REFUSES(-ENOSYS, "io_uring is missing", "ENOSYS", "Linux 5.11", "seccomp", "io_uring_setup",
            "io_uring_enter", "io_uring_register");
}
END_TEST

START_TEST(test_open__forbidden_by_a_filter)
{
    kernel.disabled = "0\n";
    kernel.setup_error = -EPERM;
    REFUSES(-EPERM, "io_uring is forbidden", "errno 1", "seccomp", "io_uring_setup");
    kernel.setup_error = -EACCES;
    REFUSES(-EACCES, "io_uring is forbidden", "errno 13", "seccomp");
}
END_TEST

START_TEST(test_open__forbidden_by_a_setting)
{
    kernel.setup_error = -EPERM;
    kernel.disabled = "2\n";
    REFUSES(-EPERM, "kernel.io_uring_disabled is 2", "sysctl -w kernel.io_uring_disabled=0");
    kernel.disabled = "1\n";
    REFUSES(-EPERM, "kernel.io_uring_disabled is 1", "kernel.io_uring_group");
    kernel.disabled = ""; /* unreadable: no setting is named */
    REFUSES(-EPERM, "io_uring is forbidden (errno 1)");
}
END_TEST

/* A filter may allow setup and deny enter: that must not be found out by the first flush. */
START_TEST(test_open__forbidden_to_enter)
{
    kernel.disabled = "0\n";
    kernel.error = -EPERM;
    kernel_be(KERNEL_BROKEN, true);
    REFUSES(-EPERM, "io_uring is forbidden", "io_uring_enter");
}
END_TEST

START_TEST(test_open__forbidden_to_ask)
{
    kernel.probe_denied = true;
    REFUSES(-ENOSYS, "io_uring_register", "seccomp");
}
END_TEST

/* The limit lets the eventfd through in the second round, and not the ring. */
START_TEST(test_open__no_descriptor_left)
{
    struct rlimit limit;
    const int next = next_descriptor();

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int room = 0; room < 2; room++) {
        struct rig rig;
        char number[16];
        descriptors_max_set(next + room);
        must_be(rig_try(&rig, 256), -EMFILE);
        descriptors_max_set((int)limit.rlim_cur);
        snprintf(number, sizeof number, " %d ", next + room);
        must(strstr(rig.error, number) != NULL && strstr(rig.error, "RLIMIT_NOFILE") != NULL);
        must_be(next_descriptor(), next);
    }
}
END_TEST

static const struct {
    uint32_t flag;
    const char *name;
} features[] = {
    {IORING_FEAT_NODROP, "IORING_FEAT_NODROP"},
    {IORING_FEAT_SUBMIT_STABLE, "IORING_FEAT_SUBMIT_STABLE"},
    {IORING_FEAT_FAST_POLL, "IORING_FEAT_FAST_POLL"},
    {IORING_FEAT_EXT_ARG, "IORING_FEAT_EXT_ARG"},
};

#define FEATURES ((int)(sizeof features / sizeof features[0]))

START_TEST(test_open__too_old_for_a_feature)
{
    kernel.features_missing = features[_i].flag;
    REFUSES(-ENOSYS, "too old", features[_i].name, "Linux 5.11");
}
END_TEST

/* What waits for others cannot be a plain system call. */
START_TEST(test_open__too_old_for_an_operation)
{
    static const struct {
        uint8_t op;
        const char *name;
    } operations[] = {
        {ORR_OP_ACCEPT, "accept"}, {ORR_OP_CONNECT, "connect"},     {ORR_OP_RECV, "recv"},
        {ORR_OP_SEND, "send"},     {ORR_OP_RECV_FROM, "recv_from"}, {ORR_OP_SEND_TO, "send_to"},
        {ORR_OP_POLL, "poll"},
    };

    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        kernel.operations_missing = ORR_OP_BIT(operations[i].op);
        REFUSES(-ENOSYS, "lacks", operations[i].name, "Linux 5.11");
    }
}
END_TEST

START_TEST(test_open__needs_no_room_for_a_sentence)
{
    const struct orr_options options = {.batch_entries = 8, .handles_max = 1};
    void *state = &state;

    kernel.setup_error = -ENOSYS;
    must_be(orr__uring.open(&options, NULL, &state), -ENOSYS);
    must(state == &state); /* untouched */
}
END_TEST

/* ---- what other processes get of a ring ------------------------------------------------------ */

START_TEST(test_open__descriptors_are_close_on_exec)
{
    struct rig rig;

    rig_open(&rig, 8);
    must((fcntl(orr__uring.descriptor(rig.state), F_GETFD) & FD_CLOEXEC) != 0);
    must((fcntl(rig_uring(&rig)->wake_descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    rig_close(&rig);
}
END_TEST

/* A ring in a child would be the parent's: two writers of one tail. */
START_TEST(test_open__a_child_has_no_ring)
{
    struct rig rig;
    unsigned char resident;
    int status;

    rig_open(&rig, 8);
    void *place = rig_uring(&rig)->ring.sq.ring_ptr;
    must(mincore(place, 1, &resident) == 0);
    const pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        _exit(mincore(place, 1, &resident) == -1 && errno == ENOMEM ? 0 : 1);
    must(waitpid(child, &status, 0) == child && WIFEXITED(status));
    must_be(WEXITSTATUS(status), 0);
    rig_close(&rig);
}
END_TEST

START_TEST(test_open__close_leaves_no_descriptor)
{
    const int before = next_descriptor();

    for (int i = 0; i < 20; i++) {
        struct rig rig;
        rig_open(&rig, 8);
        rig_close(&rig);
    }
    must_be(next_descriptor(), before);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, test_open__ladder_ends_at_the_newest_rung_that_the_kernel_knows, 0,
                        KERNEL_VERSIONS);
    tcase_add_test(tests, test_open__einval_on_the_last_rung_is_the_answer);
    tcase_add_loop_test(tests, test_open__other_errors_do_not_climb_down, 0, 6);
    tcase_add_loop_test(tests, test_open__batch_holds_exactly_its_entries, 0, 6);
    tcase_add_loop_test(tests, test_open__completion_ring_is_larger_than_the_batch, 0, 5);
    tcase_add_test(tests, test_open__completion_ring_shrinks_to_fit_the_memory);
    tcase_add_test(tests, test_open__completion_ring_shrinks_no_further_than_twice_the_batch);
    tcase_add_test(tests, test_open__missing);
    tcase_add_test(tests, test_open__forbidden_by_a_filter);
    tcase_add_test(tests, test_open__forbidden_by_a_setting);
    tcase_add_test(tests, test_open__forbidden_to_enter);
    tcase_add_test(tests, test_open__forbidden_to_ask);
    tcase_add_test(tests, test_open__no_descriptor_left);
    tcase_add_loop_test(tests, test_open__too_old_for_a_feature, 0, FEATURES);
    tcase_add_test(tests, test_open__too_old_for_an_operation);
    tcase_add_test(tests, test_open__needs_no_room_for_a_sentence);
    tcase_add_test(tests, test_open__descriptors_are_close_on_exec);
    tcase_add_test(tests, test_open__a_child_has_no_ring);
    tcase_add_test(tests, test_open__close_leaves_no_descriptor);
}

int main(void)
{
    return rig_run("open", add, suite_run_apart);
}

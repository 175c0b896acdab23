/*
 * test_handle.c: the table of handles (io/handle.c): a handle is good from its making to the submit
 * of its close, and -EBADF for ever after, whatever descriptor number the backend hands out next.
 */
#include "tests/io/every.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static struct stub stub;
static struct orr_loop *loop;

static void setup(uint32_t handles_max)
{
    const struct orr_options options = {.handles_max = handles_max};
    memset(&stub, 0, sizeof stub);
    loop = stub_open(&stub, &options);
}

static orr_handle make(void)
{
    return orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
}

/* Runs one operation to its end. */
static int64_t end_of(enum orr_op op, orr_handle handle)
{
    struct probe probe = {.calls = 0};
    every_submit(loop, op, &probe, handle);
    orr_run_until_idle(loop);
    must(probe.calls == 1);
    return probe.result;
}

static void check_all_refuse(orr_handle handle)
{
    for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++) {
        uint64_t submits = stub.submits;
        int64_t result = end_of(op, handle);
        ck_assert_msg(result == -EBADF, "%s of a handle that is not open ended with %s",
                      orr_op_name((uint8_t)op), probe_text(result));
        ck_assert_msg(stub.submits == submits, "the backend saw the %s", orr_op_name((uint8_t)op));
    }
}

static int visit(void *context, const char *name, uint32_t type)
{
    (void)context;
    (void)name;
    (void)type;
    return 0;
}

static void check_calls_refuse(orr_handle handle)
{
    struct orr_address address;
    int32_t value;
    memset(&address, 0, sizeof address);
    stub.call = "none";
    ck_assert_int_eq(orr_bind(loop, handle, &address), -EBADF);
    ck_assert_int_eq(orr_listen(loop, handle, 1), -EBADF);
    ck_assert_int_eq(orr_socket_option_set(loop, handle, ORR_SOCKET_NO_DELAY, 1), -EBADF);
    ck_assert_int_eq(orr_socket_option_get(loop, handle, ORR_SOCKET_NO_DELAY, &value), -EBADF);
    ck_assert_int_eq(orr_local_address(loop, handle, &address), -EBADF);
    ck_assert_int_eq(orr_peer_address(loop, handle, &address), -EBADF);
    ck_assert_int_eq(orr_directory_list(loop, handle, visit, NULL), -EBADF);
    ck_assert_int_eq(orr_descriptor(loop, handle), -EBADF);
    ck_assert_str_eq(stub.call, "none");
}

START_TEST(a_number_that_is_no_handle_is_refused)
{
    setup(0);
    orr_handle good = make();
    const orr_handle bad[] = {
        0,
        -1,
        -3,
        INT64_MIN,
        INT64_MAX,
        good + 1,
        good + (INT64_C(1) << 24),
        good - 1,
        good << 1,
        INT64_C(1) << 24,
        (INT64_C(1) << 24) - 1,
        good | INT64_MIN,
        INT64_C(1) << 32,
        -good,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_all_refuse(bad[i]);
        check_calls_refuse(bad[i]);
    }
    check_calls_refuse(ORR_DIRECTORY_CURRENT);
    ck_assert_int_eq(orr_descriptor(loop, good), 3);
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 1);
}
END_TEST

/* "Relative to the current directory" is for paths only. */
START_TEST(the_current_directory_is_no_file)
{
    setup(0);
    for (enum orr_op op = EVERY_FIRST; op <= EVERY_LAST; op++) {
        int64_t result = end_of(op, ORR_DIRECTORY_CURRENT);
        if (op == ORR_OP_OPEN)
            ck_assert_int_gt(result, 0);
        else
            ck_assert_int_eq(result, every_takes_path(op) ? 0 : -EBADF);
        if (every_takes_path(op))
            ck_assert_int_eq(stub.last.descriptor, -1);
    }
    stub_close(&stub);
}
END_TEST

START_TEST(a_closed_handle_is_refused)
{
    setup(0);
    orr_handle handle = make();
    struct probe close = {.calls = 0};
    orr_close(loop, &close.completion, handle, probe_called, &close);
    check_calls_refuse(handle); /* from the submit of the close on */
    check_all_refuse(handle);
    probe_check(&close, 0);
    check_all_refuse(handle);
    check_calls_refuse(handle);
    ck_assert_uint_eq(stub.discards, 0);
    stub_close(&stub);
}
END_TEST

/* The backend reuses the descriptor, the table the slot: the old handles must not notice. */
START_TEST(a_handle_never_comes_back)
{
    orr_handle old[2000];
    setup(4);
    for (uint32_t i = 0; i < 2000; i++) {
        old[i] = make();
        ck_assert_int_gt(old[i], 0);
        ck_assert_int_eq(orr_descriptor(loop, old[i]), 3);
        for (uint32_t j = 0; j < i; j++) {
            must(old[j] != old[i]);
            must(orr_descriptor(loop, old[j]) == -EBADF);
        }
        ck_assert_int_eq(end_of(ORR_OP_CLOSE, old[i]), 0);
    }
    orr_handle last = make();
    ck_assert_int_eq(end_of(ORR_OP_CLOSE, old[1999]), -EBADF);
    ck_assert_int_eq(orr_descriptor(loop, last), 3);
    stub_close(&stub);
}
END_TEST

START_TEST(closing_twice_is_refused)
{
    setup(0);
    orr_handle handle = make();
    struct probe first = {.calls = 0};
    struct probe second = {.calls = 0};
    orr_close(loop, &first.completion, handle, probe_called, &first);
    orr_close(loop, &second.completion, handle, probe_called, &second);
    orr_run_until_idle(loop);
    probe_check(&first, 0);
    probe_check(&second, -EBADF);
    ck_assert_int_eq(end_of(ORR_OP_CLOSE, handle), -EBADF);
    stub_close(&stub);
}
END_TEST

START_TEST(a_close_that_fails_frees_the_handle_all_the_same)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, EINTR, EBADF};
    setup(1);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        orr_handle handle = make();
        ck_assert_int_gt(handle, 0);
        stub_script(&stub, ORR_OP_CLOSE, -errors[i]);
        int64_t expected = errors[i] == EINTR ? 0 : -errors[i];
        ck_assert_int_eq(end_of(ORR_OP_CLOSE, handle), expected);
        check_calls_refuse(handle);
    }
    stub_close(&stub);
}
END_TEST

START_TEST(handles_max_is_the_limit_of_all_that_make_handles)
{
    orr_handle handles[5];
    setup(5);
    for (uint32_t round = 0; round < 3; round++) {
        handles[0] = make();
        handles[1] = end_of(ORR_OP_OPEN, ORR_DIRECTORY_CURRENT);
        handles[2] = end_of(ORR_OP_ACCEPT, handles[0]);
        handles[3] = orr_adopt(loop, 99);
        handles[4] = orr_socket(loop, ORR_FAMILY_IP6, ORR_SOCKET_DATAGRAM);
        for (uint32_t i = 0; i < 5; i++)
            ck_assert_int_gt(handles[i], 0);
        uint64_t submits = stub.submits;
        ck_assert_int_eq(make(), -EMFILE);
        ck_assert_int_eq(orr_adopt(loop, 99), -EMFILE);
        ck_assert_int_eq(end_of(ORR_OP_OPEN, ORR_DIRECTORY_CURRENT), -EMFILE);
        ck_assert_int_eq(end_of(ORR_OP_ACCEPT, handles[0]), -EMFILE);
        ck_assert_uint_eq(stub.submits, submits);
        for (uint32_t i = 0; i < 5; i++)
            ck_assert_int_eq(end_of(ORR_OP_CLOSE, handles[i]), 0);
    }
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 0);
}
END_TEST

/* An accept in flight keeps a slot: its success must not be lost for want of one. */
START_TEST(an_operation_that_makes_a_handle_keeps_its_slot)
{
    static struct probe accepts[3];
    setup(3);
    orr_handle listener = make();
    stub.ways[ORR_OP_ACCEPT] = STUB_HOLDS;
    for (uint32_t i = 0; i < 3; i++)
        orr_accept(loop, &accepts[i].completion, listener, NULL, probe_called, &accepts[i]);
    ck_assert_int_eq(make(), -EMFILE);
    orr_run_once(loop);
    probe_check(&accepts[2], -EMFILE);
    stub_end(&stub, &accepts[0].completion, -ECONNABORTED); /* gives its slot back */
    orr_run_once(loop);
    probe_check(&accepts[0], -ECONNABORTED);
    orr_handle other = make();
    ck_assert_int_gt(other, 0);
    stub_end(&stub, &accepts[1].completion, stub_descriptor(&stub));
    orr_run_once(loop);
    ck_assert_int_gt(accepts[1].result, 0);
    ck_assert_int_eq(orr_descriptor(loop, accepts[1].result), 5);
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 3);
}
END_TEST

START_TEST(a_call_that_fails_keeps_no_slot)
{
    setup(1);
    for (uint32_t i = 0; i < 10; i++) {
        stub.call_result = -ENFILE;
        ck_assert_int_eq(make(), -ENFILE);
        ck_assert_int_eq(orr_adopt(loop, 5), -ENFILE);
        stub_script(&stub, ORR_OP_OPEN, -ENOENT);
        ck_assert_int_eq(end_of(ORR_OP_OPEN, ORR_DIRECTORY_CURRENT), -ENOENT);
        ck_assert_int_eq(end_of(ORR_OP_ACCEPT, 12345), -EBADF);
        stub.call_result = 0;
        orr_handle handle = make();
        ck_assert_int_gt(handle, 0);
        ck_assert_int_eq(end_of(ORR_OP_CLOSE, handle), 0);
    }
    stub_close(&stub);
}
END_TEST

#define MANY ORR_HANDLES_DEFAULT

START_TEST(the_whole_table_is_used)
{
    static orr_handle handles[MANY];
    setup(0);
    for (uint32_t i = 0; i < MANY; i++) {
        handles[i] = make();
        must(handles[i] > 0);
    }
    ck_assert_int_eq(make(), -EMFILE);
    for (uint32_t i = 0; i < MANY; i++)
        must(orr_descriptor(loop, handles[i]) == (int32_t)i + 3);
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, MANY);
}
END_TEST

PROBE_MAIN("handle", a_number_that_is_no_handle_is_refused, the_current_directory_is_no_file,
           a_closed_handle_is_refused, a_handle_never_comes_back, closing_twice_is_refused,
           a_close_that_fails_frees_the_handle_all_the_same,
           handles_max_is_the_limit_of_all_that_make_handles,
           an_operation_that_makes_a_handle_keeps_its_slot, a_call_that_fails_keeps_no_slot,
           the_whole_table_is_used)

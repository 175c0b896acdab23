/*
 * test_calls.c: the immediate calls (io/calls.c): each finds the backend's descriptor, passes on
 * what it was given and answers what the backend answers.
 */
#include "tests/io/dies.h"
#include "tests/io/probe.h"
#include "tests/io/stub.h"

#include <errno.h>
#include <string.h>

static struct stub stub;
static struct orr_loop *loop;
static orr_handle handle;
static struct orr_address address;

static void setup(void)
{
    memset(&stub, 0, sizeof stub);
    loop = stub_open(&stub, NULL);
    (void)orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    handle = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    ck_assert_int_eq(orr_address_parse("127.0.0.1:99", &address), 0);
}

static void check_call(const char *call, int32_t number)
{
    ck_assert_str_eq(stub.call, call);
    ck_assert_int_eq(stub.call_descriptor, 4);
    ck_assert_int_eq(stub.call_number, number);
}

static int visit_once(void *context, const char *name, uint32_t type)
{
    ck_assert_str_eq(name, "entry");
    ck_assert_uint_eq(type, ORR_FILE_REGULAR);
    return *(const int *)context;
}

START_TEST(arguments_and_answers_are_passed_on)
{
    static const int answers[] = {0, -EADDRINUSE, -ENOTCONN, -EIO};
    setup();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        int answer = answers[i];
        int visited = 5;
        int32_t value = 0;
        struct orr_address got;
        stub.call_result = answer;
        ck_assert_int_eq(orr_bind(loop, handle, &address), answer);
        check_call("bind", 99);
        ck_assert_int_eq(orr_listen(loop, handle, 17), answer);
        check_call("listen", 17);
        ck_assert_int_eq(orr_socket_option_set(loop, handle, ORR_SOCKET_KEEP_ALIVE, 1), answer);
        check_call("option_set", ORR_SOCKET_KEEP_ALIVE * 1000 + 1);
        ck_assert_int_eq(orr_socket_option_get(loop, handle, ORR_SOCKET_SEND_BUFFER, &value),
                         answer);
        check_call("option_get", ORR_SOCKET_SEND_BUFFER);
        ck_assert_int_eq(value, 7);
        ck_assert_int_eq(orr_local_address(loop, handle, &got), answer);
        check_call("local_address", 0);
        ck_assert_uint_eq(orr_address_port(&got), 1);
        ck_assert_int_eq(orr_peer_address(loop, handle, &got), answer);
        check_call("peer_address", 0);
        ck_assert_uint_eq(orr_address_port(&got), 2);
        int listed = orr_directory_list(loop, handle, visit_once, &visited);
        ck_assert_int_eq(listed, answer == 0 ? 5 : answer);
        check_call("directory_list", 0);
    }
    stub.call_result = 0;
    ck_assert_int_gt(orr_socket(loop, ORR_FAMILY_UNIX, ORR_SOCKET_STREAM), 0);
    ck_assert_int_eq(stub.call_descriptor, ORR_FAMILY_UNIX);
    ck_assert_int_eq(stub.call_number, ORR_SOCKET_STREAM);
    ck_assert_int_gt(orr_adopt(loop, 1234), 0);
    ck_assert_int_eq(stub.call_descriptor, 1234);
    stub_close(&stub);
}
END_TEST

START_TEST(release_lets_go_of_a_handle)
{
    struct probe probe = {.calls = 0};
    char byte;
    setup();
    int32_t number = orr_descriptor(loop, handle);
    orr_recv(loop, &probe.completion, handle, &byte, 1, probe_called, &probe);
    stub.call = "none";
    ck_assert_int_eq(orr_release(loop, handle), -EBUSY);
    ck_assert_str_eq(stub.call, "none");
    orr_drain(loop);
    ck_assert_int_eq(orr_release(loop, handle), number);
    ck_assert_str_eq(stub.call, "release");
    ck_assert_int_eq(stub.call_descriptor, number);
    ck_assert_int_eq(orr_release(loop, handle), -EBADF);
    ck_assert_int_eq(orr_descriptor(loop, handle), -EBADF);
    ck_assert_int_eq(orr_release(loop, ORR_HANDLE_NONE), -EBADF);
    stub_close(&stub);
    ck_assert_uint_eq(stub.discards, 1); /* the other handle's */
}
END_TEST

START_TEST(options_that_are_none)
{
    static const int numbers[] = {ORR_SOCKET_OPTION_COUNT, ORR_SOCKET_OPTION_COUNT + 1, -1,
                                  1 << 30};
    int32_t value = 42;
    setup();
    stub.call = "none";
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        enum orr_socket_option option = (enum orr_socket_option)numbers[i];
        ck_assert_int_eq(orr_socket_option_set(loop, handle, option, 1), -ENOPROTOOPT);
        ck_assert_int_eq(orr_socket_option_get(loop, handle, option, &value), -ENOPROTOOPT);
    }
    ck_assert_int_eq(value, 42);
    ck_assert_str_eq(stub.call, "none");
    stub_close(&stub);
}
END_TEST

START_TEST(clocks_and_random_bytes)
{
    uint8_t buffer[4] = {0, 0, 0, 0};
    setup();
    stub.now_ns = UINT64_C(1) << 63;
    stub.wall_ns = 1700000000 * ORR_SECOND;
    ck_assert_uint_eq(orr_now(loop), UINT64_C(1) << 63);
    ck_assert_int_eq(orr_wall_clock(loop), 1700000000 * (int64_t)ORR_SECOND);
    orr_random(loop, buffer, 3);
    ck_assert(buffer[0] == 0x5a && buffer[2] == 0x5a && buffer[3] == 0);
    stub_close(&stub);
}
END_TEST

START_TEST(memory)
{
    setup();
    char *block = orr_malloc(loop, 10);
    ck_assert_ptr_nonnull(block);
    memset(block, 1, 10);
    block = orr_realloc(loop, block, 1000);
    ck_assert(block[9] == 1);
    char *second = orr_realloc(loop, NULL, 1);
    ck_assert_uint_eq(stub.blocks, 2);
    orr_free(loop, second);
    orr_free(loop, block);
    orr_free(loop, NULL);
    ck_assert_uint_eq(stub.blocks, 0);
    stub_close(&stub);
}
END_TEST

static void malloc_nothing(void *context)
{
    (void)context;
    setup();
    (void)orr_malloc(loop, 0);
}

static void realloc_to_nothing(void *context)
{
    (void)context;
    setup();
    (void)orr_realloc(loop, orr_malloc(loop, 1), 0);
}

START_TEST(memory_of_no_size_is_caught)
{
    DIES(malloc_nothing, NULL, "0 bytes");
    DIES(realloc_to_nothing, NULL, "0 bytes", "orr_free");
}
END_TEST

PROBE_MAIN("calls", arguments_and_answers_are_passed_on, release_lets_go_of_a_handle,
           options_that_are_none, clocks_and_random_bytes, memory, memory_of_no_size_is_caught)

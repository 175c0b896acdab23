/*
 * cases_file.c: reading, writing and the like on one file: offsets, ends, vectors, whole transfers,
 * sync, truncate, allocate, what is refused.
 */
#include "tests/conformance/cases.h"

#include <string.h>

#define MIB (1024u * 1024u)

static uint8_t out[MIB];
static uint8_t in[MIB];

static int64_t write_all(orr_handle file, const void *data, size_t length, uint64_t offset)
{
    return END_OF(orr_write_all, file, data, length, offset);
}

static int64_t read_exact(orr_handle file, void *buffer, size_t length, uint64_t offset)
{
    return END_OF(orr_read_exact, file, buffer, length, offset);
}

static uint64_t size_of(orr_handle file)
{
    struct orr_stat status;
    EXPECT(0, END_OF(orr_stat, file, NULL, &status));
    return status.size;
}

/* One attempt may be partial in a strained world only. */
#define EXPECT_TRANSFER(whole, actual) \
    expect_transfer((int64_t)(whole), (actual), #actual, __LINE__)

static void expect_transfer(int64_t whole, int64_t actual, const char *what, int line)
{
    if (!ground.driver->strained || actual <= 0 || actual > whole)
        ground_expect(whole, actual, what, __FILE__, line);
}

static void check_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        must(bytes[i] == 0);
}

/* ---- reading and writing --------------------------------------------------------------------- */

static void reads_give_what_writes_took(void)
{
    orr_handle file = ground_file("f");
    ground_fill(out, 3000, 1);
    EXPECT(1000, write_all(file, out, 1000, 0));
    EXPECT(1000, write_all(file, out + 2000, 1000, 2000));
    EXPECT(1000, write_all(file, out + 1000, 1000, 1000));
    EXPECT(3000, read_exact(file, in, 3000, 0));
    ground_check(in, 3000, 1);
    EXPECT(100, read_exact(file, in, 100, 1234));
    ck_assert_mem_eq(in, out + 1234, 100);
    EXPECT(10, write_all(file, "0123456789", 10, 995)); /* over what is there */
    EXPECT(3000, read_exact(file, in, 3000, 0));
    ck_assert_mem_eq(in + 995, "0123456789", 10);
    ck_assert_mem_eq(in + 1005, out + 1005, 1995);
    ck_assert_uint_eq(size_of(file), 3000);
    ground_close(file);
}

static void single_attempts(void)
{
    orr_handle file = ground_file("f");
    ground_fill(out, 10000, 2);
    int64_t wrote = END_OF(orr_write, file, out, 10000, 0);
    EXPECT_TRANSFER(10000, wrote);
    ck_assert_uint_eq(size_of(file), (uint64_t)wrote);
    int64_t read = END_OF(orr_read, file, in, 20000, 0);
    EXPECT_TRANSFER(wrote, read);
    ck_assert_mem_eq(in, out, (size_t)read);
    ground_close(file);
}

static void the_end_of_the_file(void)
{
    orr_handle file = ground_file("f");
    EXPECT(0, END_OF(orr_read, file, in, 100, 0)); /* empty */
    EXPECT(0, read_exact(file, in, 100, 0));
    EXPECT(10, write_all(file, out, 10, 0));
    memset(in, 0x77, 200);
    EXPECT(10, read_exact(file, in, 100, 0));
    ck_assert_uint_eq(in[10], 0x77);
    EXPECT(10, read_exact(file, in, 10, 0)); /* up to the edge */
    EXPECT(4, read_exact(file, in, 100, 6));
    EXPECT(0, END_OF(orr_read, file, in, 100, 10));
    EXPECT(0, END_OF(orr_read, file, in, 100, 11));
    EXPECT(0, END_OF(orr_read, file, in, 1, UINT64_C(1) << 40));
    ck_assert_uint_eq(size_of(file), 10);
    ground_close(file);
}

static void holes_read_as_zero(void)
{
    orr_handle file = ground_file("f");
    EXPECT(1, write_all(file, "x", 1, 100000));
    ck_assert_uint_eq(size_of(file), 100001);
    memset(in, 0x55, 100001);
    EXPECT(100001, read_exact(file, in, 100001, 0));
    check_zero(in, 100000);
    ck_assert_uint_eq(in[100000], 'x');
    EXPECT(1, write_all(file, "y", 1, UINT64_C(1) << 33)); /* far, and sparse */
    EXPECT(1, read_exact(file, in, 1, UINT64_C(1) << 33));
    ck_assert_uint_eq(in[0], 'y');
    ground_close(file);
}

static void zero_lengths(void)
{
    orr_handle file = ground_file("f");
    EXPECT(0, END_OF(orr_write, file, out, 0, 0));
    EXPECT(0, write_all(file, out, 0, 500));
    ck_assert_uint_eq(size_of(file), 0);
    EXPECT(5, write_all(file, "abcde", 5, 0));
    EXPECT(0, END_OF(orr_read, file, in, 0, 0));
    EXPECT(0, read_exact(file, in, 0, 2));
    EXPECT(0, END_OF(orr_readv, file, NULL, 0, 0));
    EXPECT(0, END_OF(orr_writev, file, NULL, 0, 0));
    ck_assert_uint_eq(size_of(file), 5);
    ground_close(file);
}

static void a_mebibyte_at_once(void)
{
    orr_handle file = ground_file("f");
    ground_fill(out, MIB, 4);
    EXPECT(MIB, write_all(file, out, MIB, 0));
    memset(in, 0, MIB);
    EXPECT(MIB, read_exact(file, in, MIB, 0));
    ground_check(in, MIB, 4);
    EXPECT(MIB - 4097, read_exact(file, in, MIB, 4097));
    ck_assert_mem_eq(in, out + 4097, MIB - 4097);
    ground_close(file);
}

/* 4 GiB and a little: what is cut to 32 bits asks for less than is there. */
static void lengths_beyond_one_transfer(void)
{
    const size_t length = (size_t)0x100000002;
    uint8_t *space = ground_space(length + 10);
    const struct orr_vector vectors[] = {{space + 5, length}, {space, 5}};
    orr_handle file = ground_file("f");
    ground_fill(out, 10, 1);
    EXPECT(10, write_all(file, out, 10, 0));
    int64_t got = END_OF(orr_read, file, space, length, 0);
    EXPECT_TRANSFER(10, got);
    ground_check(space, (size_t)got, 1);
    got = END_OF(orr_readv, file, vectors, 2, 0);
    EXPECT_TRANSFER(10, got);
    ground_check(space + 5, (size_t)got, 1);
    EXPECT(-EINVAL, read_exact(file, space, length, 0));
    EXPECT(-EINVAL, write_all(file, space, length, 0));
    ck_assert_uint_eq(size_of(file), 10);
    ground_close(file);
}

/* Any number at once on one handle; those that do not overlap do not disturb each other. */
static void many_at_once_on_one_handle(void)
{
    static struct probe probes[512];
    orr_handle file = ground_file("f");
    memset(probes, 0, sizeof probes);
    ground_fill(out, 512 * 100, 5);
    for (uint32_t i = 0; i < 512; i++)
        START(&probes[i], orr_write_all, file, out + i * 100, 100, i * 100);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 512; i++)
        EXPECT_END(100, &probes[i]);
    memset(probes, 0, sizeof probes);
    for (uint32_t i = 0; i < 512; i++)
        START(&probes[i], orr_read_exact, file, in + i * 100, 100, i * 100);
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 512; i++)
        EXPECT_END(100, &probes[i]);
    ground_check(in, 512 * 100, 5);
    ground_close(file);
}

static void two_handles_on_one_file(void)
{
    orr_handle first = ground_file("f");
    orr_handle second = ground_file("f");
    EXPECT(5, write_all(first, "hello", 5, 0));
    EXPECT(5, read_exact(second, in, 10, 0));
    ck_assert_mem_eq(in, "hello", 5);
    ground_close(first);
    EXPECT(3, write_all(second, "abc", 3, 5));
    EXPECT(8, read_exact(second, in, 10, 0));
    ck_assert_mem_eq(in, "helloabc", 8);
    ground_close(second);
}

/* ---- vectors --------------------------------------------------------------------------------- */

static void vectors_scatter_and_gather(void)
{
    orr_handle file = ground_file("f");
    const struct orr_vector from[] = {{out, 10}, {out + 10, 0}, {out + 10, 1}, {out + 11, 89}};
    const struct orr_vector to[] = {{in + 50, 50}, {in, 50}, {in + 100, 20}};
    ground_fill(out, 100, 6);
    int64_t wrote = END_OF(orr_writev, file, from, 4, 7);
    EXPECT_TRANSFER(100, wrote);
    EXPECT(100 - wrote, write_all(file, out + wrote, 100 - (size_t)wrote, 7 + (uint64_t)wrote));
    ck_assert_uint_eq(size_of(file), 107);
    memset(in, 0, 200);
    int64_t read = END_OF(orr_readv, file, to, 3, 7);
    EXPECT_TRANSFER(100, read);
    for (int64_t i = 0; i < read; i++)
        must(in[i < 50 ? i + 50 : i - 50] == out[i]);
    check_zero(in + 100, 20);
    ground_close(file);
}

static void as_many_vectors_as_there_may_be(void)
{
    static struct orr_vector vectors[ORR_VECTORS_MAX + 1];
    orr_handle file = ground_file("f");
    ground_fill(out, ORR_VECTORS_MAX * 3, 7);
    for (uint32_t i = 0; i <= ORR_VECTORS_MAX; i++)
        vectors[i] = (struct orr_vector){out + i * 3, 3};
    int64_t wrote = END_OF(orr_writev, file, vectors, ORR_VECTORS_MAX, 0);
    EXPECT_TRANSFER(ORR_VECTORS_MAX * 3, wrote);
    EXPECT(wrote, read_exact(file, in, MIB, 0));
    ground_check(in, (size_t)wrote, 7);
    EXPECT(-EINVAL, END_OF(orr_writev, file, vectors, ORR_VECTORS_MAX + 1, 0));
    EXPECT(-EINVAL, END_OF(orr_readv, file, vectors, ORR_VECTORS_MAX + 1, 0));
    ck_assert_uint_eq(size_of(file), (uint64_t)wrote);
    ground_close(file);
}

/* ---- sync, truncate, allocate ---------------------------------------------------------------- */

static void sync_of_files_and_directories(void)
{
    orr_handle file = ground_file("f");
    EXPECT(0, END_OF(orr_fsync, file));
    EXPECT(100, write_all(file, out, 100, 0));
    EXPECT(0, END_OF(orr_fsync, file));
    EXPECT(100, write_all(file, out, 100, 100));
    EXPECT(0, END_OF(orr_fdatasync, file));
    EXPECT(0, END_OF(orr_fsync, ground.directory));
    EXPECT(0, END_OF(orr_fdatasync, ground.directory));
    ground_close(file);
    orr_handle readable = END_OF(orr_open, ground.directory, "f", ORR_OPEN_READ, 0);
    EXPECT(0, END_OF(orr_fsync, readable));
    ground_close(readable);
}

static void truncate_sets_the_size(void)
{
    orr_handle file = ground_file("f");
    ground_fill(out, 10000, 8);
    EXPECT(10000, write_all(file, out, 10000, 0));
    EXPECT(0, END_OF(orr_truncate, file, 5000));
    ck_assert_uint_eq(size_of(file), 5000);
    EXPECT(5000, read_exact(file, in, 10000, 0));
    ground_check(in, 5000, 8);
    EXPECT(0, END_OF(orr_truncate, file, 9000)); /* what was cut off does not come back */
    memset(in, 0x55, 9000);
    EXPECT(9000, read_exact(file, in, 10000, 0));
    ground_check(in, 5000, 8);
    check_zero(in + 5000, 4000);
    EXPECT(0, END_OF(orr_truncate, file, 0));
    ck_assert_uint_eq(size_of(file), 0);
    EXPECT(0, END_OF(orr_truncate, file, 0));
    EXPECT(1, write_all(file, "z", 1, 3));
    EXPECT(4, read_exact(file, in, 10, 0));
    ck_assert_mem_eq(in, "\0\0\0z", 4);
    ground_close(file);
}

static void allocate_reserves_and_grows(void)
{
    orr_handle file = ground_file("f");
    ground_fill(out, 100, 9);
    EXPECT(100, write_all(file, out, 100, 0));
    int64_t result = END_OF(orr_allocate, file, 0, 5000);
    if (result == -EOPNOTSUPP) /* this file system cannot */
        return;
    EXPECT(0, result);
    ck_assert_uint_eq(size_of(file), 5000);
    memset(in, 0x55, 5000);
    EXPECT(5000, read_exact(file, in, 10000, 0));
    ground_check(in, 100, 9);
    check_zero(in + 100, 4900);
    EXPECT(0, END_OF(orr_allocate, file, 10, 20)); /* inside: the size stays */
    ck_assert_uint_eq(size_of(file), 5000);
    EXPECT(0, END_OF(orr_allocate, file, 8000, 1000));
    ck_assert_uint_eq(size_of(file), 9000);
    EXPECT(-EINVAL, END_OF(orr_allocate, file, 0, 0));
    ground_close(file);
}

static void truncate_and_allocate_of_impossible_sizes(void)
{
    orr_handle file = ground_file("f");
    EXPECT(5, write_all(file, "abcde", 5, 0));
    EXPECT(-EINVAL, END_OF(orr_truncate, file, UINT64_MAX));
    EXPECT(-EINVAL, END_OF(orr_truncate, file, (uint64_t)INT64_MAX + 1));
    EXPECT(-EFBIG, END_OF(orr_truncate, file, INT64_MAX));
    EXPECT(-EINVAL, END_OF(orr_allocate, file, UINT64_MAX, 1));
    EXPECT(-EINVAL, END_OF(orr_allocate, file, 0, UINT64_MAX));
    EXPECT(-EFBIG, END_OF(orr_allocate, file, INT64_MAX, INT64_MAX));
    ck_assert_uint_eq(size_of(file), 5);
    ground_close(file);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void directions_that_were_not_opened(void)
{
    ground_close(ground_file("f"));
    orr_handle reader = END_OF(orr_open, ground.directory, "f", ORR_OPEN_READ, 0);
    orr_handle writer = END_OF(orr_open, ground.directory, "f", ORR_OPEN_WRITE, 0);
    const struct orr_vector vector = {out, 1};
    EXPECT(-EBADF, END_OF(orr_write, reader, out, 1, 0));
    EXPECT(-EBADF, END_OF(orr_writev, reader, &vector, 1, 0));
    EXPECT(-EINVAL, END_OF(orr_truncate, reader, 0));
    EXPECT(-EBADF, END_OF(orr_allocate, reader, 0, 1));
    EXPECT(1, write_all(writer, "a", 1, 0));
    EXPECT(-EBADF, END_OF(orr_read, writer, in, 1, 0));
    EXPECT(-EBADF, END_OF(orr_readv, writer, &vector, 1, 0));
    EXPECT(0, END_OF(orr_fsync, writer));
    ground_close(reader);
    ground_close(writer);
}

static void directories_are_no_files(void)
{
    EXPECT(-EISDIR, END_OF(orr_read, ground.directory, in, 10, 0));
    EXPECT(-EBADF, END_OF(orr_write, ground.directory, out, 10, 0));
    EXPECT(-EINVAL, END_OF(orr_truncate, ground.directory, 0));
    EXPECT(-EBADF, END_OF(orr_allocate, ground.directory, 0, 10));
}

static void offsets_beyond_all_files(void)
{
    orr_handle file = ground_file("f");
    EXPECT(-EINVAL, END_OF(orr_read, file, in, 1, UINT64_MAX));
    EXPECT(-EINVAL, END_OF(orr_write, file, out, 1, UINT64_MAX));
    EXPECT(-EINVAL, END_OF(orr_write_all, file, out, 1, (uint64_t)INT64_MAX + 1));
    EXPECT(-EFBIG, END_OF(orr_write, file, out, 1, INT64_MAX - 1));
    EXPECT(0, END_OF(orr_read, file, in, 1, INT64_MAX - 1));
    ck_assert_uint_eq(size_of(file), 0);
    ground_close(file);
}

static void sockets_operations_on_files(void)
{
    orr_handle file = ground_file("f");
    struct orr_address address;
    struct orr_datagram datagram = {.buffer = in, .length = 10};
    EXPECT(0, orr_address_parse("127.0.0.1:9", &address));
    EXPECT(-ENOTSOCK, END_OF(orr_recv, file, in, 10));
    EXPECT(-ENOTSOCK, END_OF(orr_send, file, out, 10));
    EXPECT(-ENOTSOCK, END_OF(orr_accept, file, NULL));
    EXPECT(-ENOTSOCK, END_OF(orr_connect, file, &address));
    EXPECT(-ENOTSOCK, END_OF(orr_shutdown, file, ORR_SHUTDOWN_BOTH));
    EXPECT(-ENOTSOCK, END_OF(orr_recv_from, file, &datagram));
    EXPECT(-ENOTSOCK, END_OF(orr_send_to, file, &datagram));
    EXPECT(-ENOTSOCK, orr_bind(ground.loop, file, &address));
    EXPECT(-ENOTSOCK, orr_listen(ground.loop, file, 1));
    EXPECT(-ENOTSOCK, orr_local_address(ground.loop, file, &address));
    EXPECT(-ENOTSOCK, orr_peer_address(ground.loop, file, &address));
    EXPECT(-ENOTSOCK, orr_socket_option_set(ground.loop, file, ORR_SOCKET_KEEP_ALIVE, 1));
    EXPECT(ORR_POLL_IN | ORR_POLL_OUT, END_OF(orr_poll, file, ORR_POLL_IN | ORR_POLL_OUT));
    ground_close(file);
}

static void opened_for_sync_or_direct(void)
{
    const uint32_t flags = ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE;
    orr_handle file = END_OF(orr_open, ground.directory, "s", flags | ORR_OPEN_SYNC, 0644);
    EXPECT(100, write_all(file, out, 100, 0));
    EXPECT(100, read_exact(file, in, 200, 0));
    ground_close(file);
    static _Alignas(4096) uint8_t block[4096];
    file = END_OF(orr_open, ground.directory, "d", flags | ORR_OPEN_DIRECT, 0644);
    if (file == -EINVAL) /* this file system cannot */
        return;
    ground_fill(block, sizeof block, 3);
    int64_t length = END_OF(orr_write, file, block, sizeof block, 0);
    EXPECT_TRANSFER(sizeof block, length);
    memset(block, 0, sizeof block);
    int64_t read = END_OF(orr_read, file, block, sizeof block, 0);
    EXPECT_TRANSFER(length, read);
    ground_check(block, (size_t)read, 3);
    ground_close(file);
}

const struct conformance_case cases_file[] = {
    {.name = "reads_give_what_writes_took", .run = reads_give_what_writes_took},
    {.name = "single_attempts", .run = single_attempts},
    {.name = "the_end_of_the_file", .run = the_end_of_the_file},
    {.name = "holes_read_as_zero", .run = holes_read_as_zero},
    {.name = "zero_lengths", .run = zero_lengths},
    {.name = "a_mebibyte_at_once", .run = a_mebibyte_at_once},
    {.name = "lengths_beyond_one_transfer", .run = lengths_beyond_one_transfer},
    {.name = "many_at_once_on_one_handle", .run = many_at_once_on_one_handle, .batch_entries = 16},
    {.name = "two_handles_on_one_file", .run = two_handles_on_one_file},
    {.name = "vectors_scatter_and_gather", .run = vectors_scatter_and_gather},
    {.name = "as_many_vectors_as_there_may_be", .run = as_many_vectors_as_there_may_be},
    {.name = "sync_of_files_and_directories", .run = sync_of_files_and_directories},
    {.name = "truncate_sets_the_size", .run = truncate_sets_the_size},
    {.name = "allocate_reserves_and_grows", .run = allocate_reserves_and_grows},
    {.name = "truncate_and_allocate_of_impossible_sizes",
     .run = truncate_and_allocate_of_impossible_sizes},
    {.name = "directions_that_were_not_opened", .run = directions_that_were_not_opened},
    {.name = "directories_are_no_files", .run = directories_are_no_files},
    {.name = "offsets_beyond_all_files", .run = offsets_beyond_all_files},
    {.name = "sockets_operations_on_files", .run = sockets_operations_on_files},
    {.name = "opened_for_sync_or_direct", .run = opened_for_sync_or_direct},
    {.name = NULL},
};

/*
 * cases_socket_rw.c: read, write, readv and writev of sockets. At offset 0 they receive and send;
 * at any other they end with -ESPIPE; a read of nothing does not even look at the socket.
 */
#include "tests/conformance/cases.h"

#include <string.h>

#define LENGTH 100u /* fits into the smallest buffers */

static struct orr_vector piece(const void *base, size_t length)
{
    return (struct orr_vector){.base = (void *)(uintptr_t)base, .length = length};
}

/* Two datagram sockets connected to each other; false where the machine has no such family. */
static bool datagram_pair(enum orr_family family, orr_handle ret_ends[2])
{
    struct orr_address addresses[2];
    for (uint32_t i = 0; i < 2; i++) {
        ret_ends[i] = ground_datagram(family, &addresses[i]);
        if (ret_ends[i] == ORR_HANDLE_NONE)
            return false;
    }
    for (uint32_t i = 0; i < 2; i++)
        EXPECT(0, END_OF(orr_connect, ret_ends[i], &addresses[1 - i]));
    return true;
}

/* ---- streams --------------------------------------------------------------------------------- */

/* Writes everything, one attempt after the other, in pieces of which one is empty. */
static void write_all(orr_handle to, const char *data, size_t length, bool vectors)
{
    for (size_t at = 0; at < length;) {
        size_t half = (length - at) / 2;
        struct orr_vector pieces[3] = {piece(data + at, half), piece(NULL, 0),
                                       piece(data + at + half, length - at - half)};
        int64_t step = vectors ? END_OF(orr_writev, to, pieces, 3, 0)
                               : END_OF(orr_write, to, data + at, length - at, 0);
        ck_assert_msg(step > 0, "write gives %s", probe_text(step));
        at += (size_t)step;
    }
}

static void read_all(orr_handle from, char *bytes, size_t length, bool vectors)
{
    for (size_t at = 0; at < length;) {
        size_t third = (length - at) / 3;
        struct orr_vector pieces[3] = {piece(bytes + at, third), piece(NULL, 0),
                                       piece(bytes + at + third, length - at - third)};
        int64_t step = vectors ? END_OF(orr_readv, from, pieces, 3, 0)
                               : END_OF(orr_read, from, bytes + at, length - at, 0);
        ck_assert_msg(step > 0, "read gives %s", probe_text(step));
        at += (size_t)step;
    }
}

static void streams_are_read_and_written(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES * 4; i++) {
        char data[LENGTH];
        char bytes[LENGTH] = "";
        struct pair pair;
        if (!ground_pair(ground_families[i / 4], &pair))
            continue;
        ground_fill(data, sizeof data, i);
        write_all(pair.client, data, sizeof data, (i & 1) != 0);
        read_all(pair.server, bytes, sizeof bytes, (i & 2) != 0);
        ground_check(bytes, sizeof bytes, i);
        ground_close_pair(&pair);
    }
}

static void a_read_waits_for_bytes(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        char byte = 0;
        struct orr_vector one = piece(&byte, 1);
        struct probe read = {.calls = 0};
        struct pair pair;
        if (!ground_pair(ground_families[i], &pair))
            continue;
        START(&read, orr_read, pair.server, &byte, 1, 0);
        ground_settle();
        ck_assert_uint_eq(read.calls, 0);
        EXPECT(0, END_OF(orr_cancel, &read.completion));
        EXPECT_END(-ECANCELED, &read);
        read.calls = 0;
        START(&read, orr_readv, pair.server, &one, 1, 0);
        ground_settle();
        ck_assert_uint_eq(read.calls, 0);
        EXPECT(1, END_OF(orr_write, pair.client, "x", 1, 0));
        EXPECT_END(1, &read);
        ck_assert_int_eq(byte, 'x');
        ground_close_pair(&pair);
    }
}

static void reads_and_writes_meet_the_end_of_a_stream(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        char byte;
        struct orr_vector one = piece("x", 1);
        struct pair pair;
        if (!ground_pair(ground_families[i], &pair))
            continue;
        EXPECT(0, END_OF(orr_shutdown, pair.client, ORR_SHUTDOWN_SEND));
        EXPECT(-EPIPE, END_OF(orr_write, pair.client, "x", 1, 0));
        EXPECT(-EPIPE, END_OF(orr_writev, pair.client, &one, 1, 0));
        EXPECT(0, END_OF(orr_read, pair.server, &byte, 1, 0));
        ground_close_pair(&pair);
    }
}

/* Whatever a system says of a recv and a send, it says of these. */
static void streams_that_are_not_connected(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        char byte;
        orr_handle socket = orr_socket(ground.loop, ground_families[i], ORR_SOCKET_STREAM);
        if (ground_families[i] == ORR_FAMILY_IP6 && socket == -EAFNOSUPPORT)
            continue;
        EXPECT(END_OF(orr_recv, socket, &byte, 1), END_OF(orr_read, socket, &byte, 1, 0));
        EXPECT(END_OF(orr_send, socket, "x", 1), END_OF(orr_write, socket, "x", 1, 0));
        EXPECT(-ESPIPE, END_OF(orr_read, socket, &byte, 1, 1));
        EXPECT(-ESPIPE, END_OF(orr_write, socket, "x", 1, 1));
        ground_close(socket);
    }
}

/* A read that is refused is refused at once, though another one waits. */
static void a_refused_offset_waits_for_nobody(void)
{
    static struct probe waits;
    struct pair pair;
    char byte;
    char more;
    memset(&waits, 0, sizeof waits);
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    START(&waits, orr_read, pair.client, &byte, 1, 0);
    ground_settle();
    EXPECT(-ESPIPE, END_OF(orr_read, pair.client, &more, 1, 1));
    ck_assert_uint_eq(waits.calls, 0);
    EXPECT(1, END_OF(orr_write, pair.server, "x", 1, 0));
    EXPECT_END(1, &waits);
    ground_close_pair(&pair);
}

/* ---- all kinds ------------------------------------------------------------------------------- */

static void refuses_offsets(orr_handle from, orr_handle to)
{
    char byte = 0;
    struct orr_vector in = piece(&byte, 1);
    struct orr_vector out = piece("x", 1);
    EXPECT(-ESPIPE, END_OF(orr_write, from, "x", 1, 1));
    EXPECT(-ESPIPE, END_OF(orr_write, from, "x", 0, 4096));
    EXPECT(-ESPIPE, END_OF(orr_writev, from, &out, 1, 1));
    EXPECT(1, END_OF(orr_write, from, "y", 1, 0));
    EXPECT(-ESPIPE, END_OF(orr_read, to, &byte, 1, 1));
    EXPECT(-ESPIPE, END_OF(orr_read, to, &byte, 0, 1));
    EXPECT(-ESPIPE, END_OF(orr_readv, to, &in, 1, 1));
    EXPECT(1, END_OF(orr_read, to, &byte, 1, 0)); /* the only one that was sent */
    ck_assert_int_eq(byte, 'y');
}

static void a_socket_has_no_offset_but_0(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct pair pair;
        orr_handle ends[2];
        if (ground_pair(ground_families[i], &pair)) {
            refuses_offsets(pair.client, pair.server);
            ground_close_pair(&pair);
        }
        if (ground_families[i] != ORR_FAMILY_UNIX && datagram_pair(ground_families[i], ends)) {
            refuses_offsets(ends[0], ends[1]);
            ground_close(ends[0]);
            ground_close(ends[1]);
        }
    }
}

/* Bytes that are there stay there, and where none are nothing waits. */
static void reads_nothing(orr_handle from, orr_handle to)
{
    char byte = 0;
    struct orr_vector empty = piece(&byte, 0);
    EXPECT(0, END_OF(orr_read, to, &byte, 0, 0));
    EXPECT(0, END_OF(orr_readv, to, &empty, 1, 0));
    EXPECT(1, END_OF(orr_write, from, "x", 1, 0));
    EXPECT(ORR_POLL_IN, END_OF(orr_poll, to, ORR_POLL_IN));
    EXPECT(0, END_OF(orr_read, to, &byte, 0, 0));
    EXPECT(0, END_OF(orr_readv, to, &empty, 1, 0));
    EXPECT(0, END_OF(orr_readv, to, NULL, 0, 0));
    EXPECT(1, END_OF(orr_read, to, &byte, 1, 0));
    ck_assert_int_eq(byte, 'x');
}

static void a_read_of_nothing_does_not_queue(void)
{
    char bytes[2];
    struct probe recv = {.calls = 0};
    struct pair pair;
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    START(&recv, orr_recv, pair.server, bytes, 1);
    ground_settle();
    EXPECT(0, END_OF(orr_read, pair.server, &bytes[1], 0, 0));
    EXPECT(0, END_OF(orr_cancel, &recv.completion));
    EXPECT_END(-ECANCELED, &recv);
    ground_close_pair(&pair);
}

static void a_read_of_nothing_does_nothing(void)
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct pair pair;
        orr_handle ends[2];
        if (ground_pair(ground_families[i], &pair)) {
            reads_nothing(pair.client, pair.server);
            ground_close_pair(&pair);
        }
        if (ground_families[i] != ORR_FAMILY_UNIX && datagram_pair(ground_families[i], ends)) {
            reads_nothing(ends[0], ends[1]);
            ground_close(ends[0]);
            ground_close(ends[1]);
        }
    }
}

/* ---- datagrams ------------------------------------------------------------------------------- */

static void one_write_is_one_datagram(void)
{
    orr_handle ends[2];
    char bytes[16] = "";
    struct orr_vector out[3] = {piece("de", 2), piece(NULL, 0), piece("fgh", 3)};
    struct orr_vector in[2] = {piece(bytes, 1), piece(bytes + 1, 3)};
    ck_assert(datagram_pair(ORR_FAMILY_IP4, ends));
    EXPECT(3, END_OF(orr_write, ends[0], "abc", 3, 0));
    EXPECT(3, END_OF(orr_read, ends[1], bytes, sizeof bytes, 0));
    ck_assert_str_eq(bytes, "abc");
    EXPECT(5, END_OF(orr_writev, ends[0], out, 3, 0));
    EXPECT(5, END_OF(orr_read, ends[1], bytes, sizeof bytes, 0));
    ck_assert_str_eq(bytes, "defgh");
    EXPECT(5, END_OF(orr_writev, ends[0], out, 3, 0));
    EXPECT(4, END_OF(orr_readv, ends[1], in, 2, 0)); /* the rest is cut off */
    ck_assert_str_eq(bytes, "defgh");
    EXPECT(0, END_OF(orr_write, ends[0], "abc", 0, 0)); /* an empty one */
    EXPECT(1, END_OF(orr_write, ends[0], "x", 1, 0));
    EXPECT(0, END_OF(orr_read, ends[1], bytes, sizeof bytes, 0));
    EXPECT(1, END_OF(orr_read, ends[1], bytes, sizeof bytes, 0));
    ground_close(ends[0]);
    ground_close(ends[1]);
}

static void datagrams_that_cannot_be_written(void)
{
    static const char large[65508];
    struct orr_vector halves[2] = {piece(large, 32754), piece(large, 32754)};
    struct orr_address address;
    orr_handle ends[2];
    orr_handle socket = ground_datagram(ORR_FAMILY_IP4, &address);
    EXPECT(-EDESTADDRREQ, END_OF(orr_write, socket, "x", 1, 0));
    ground_close(socket);
    ck_assert(datagram_pair(ORR_FAMILY_IP4, ends));
    EXPECT(-EMSGSIZE, END_OF(orr_write, ends[0], large, sizeof large, 0));
    EXPECT(-EMSGSIZE, END_OF(orr_writev, ends[0], halves, 2, 0));
    ground_close(ends[1]);
    EXPECT(1, END_OF(orr_write, ends[0], "x", 1, 0));
    ground_settle();
    char byte;
    EXPECT(-ECONNREFUSED, END_OF(orr_read, ends[0], &byte, 1, 0));
    ground_close(ends[0]);
}

const struct conformance_case cases_socket_rw[] = {
    {.name = "streams_are_read_and_written", .run = streams_are_read_and_written},
    {.name = "a_read_waits_for_bytes", .run = a_read_waits_for_bytes},
    {.name = "reads_and_writes_meet_the_end_of_a_stream",
     .run = reads_and_writes_meet_the_end_of_a_stream},
    {.name = "streams_that_are_not_connected", .run = streams_that_are_not_connected},
    {.name = "a_socket_has_no_offset_but_0", .run = a_socket_has_no_offset_but_0},
    {.name = "a_refused_offset_waits_for_nobody", .run = a_refused_offset_waits_for_nobody},
    {.name = "a_read_of_nothing_does_nothing", .run = a_read_of_nothing_does_nothing},
    {.name = "a_read_of_nothing_does_not_queue", .run = a_read_of_nothing_does_not_queue},
    {.name = "one_write_is_one_datagram", .run = one_write_is_one_datagram},
    {.name = "datagrams_that_cannot_be_written", .run = datagrams_that_cannot_be_written},
    {.name = NULL},
};

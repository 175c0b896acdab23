/*
 * test_attempt.c: each operation of the readiness engine as one attempt: what it returns when it is
 * ready, when it is not, and when it fails, and what it leaves in the caller's structs.
 */
#define _GNU_SOURCE 1

#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define LATE_MS 20000

static int64_t attempt(enum orr_op op, int32_t descriptor, enum orr__kind kind,
                       union orr_arguments arguments)
{
    const struct orr_completion completion = {
        .request = {.op = (uint8_t)op, .descriptor = descriptor, .arguments = arguments}};

    return orr__attempt(&completion, kind);
}

static int64_t attempt_bytes(enum orr_op op, int32_t descriptor, enum orr__kind kind, char *bytes,
                             uint32_t length)
{
    return attempt(op, descriptor, kind,
                   (union orr_arguments){.transfer = {.buffer = bytes, .length = length}});
}

static int socket_of(int type)
{
    const int descriptor = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    ck_assert_int_ge(descriptor, 0);
    return descriptor;
}

static struct orr_address bound(int descriptor)
{
    const struct sockaddr_in loopback = {.sin_family = AF_INET,
                                         .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct orr_address address;
    socklen_t size = sizeof address.storage;

    ck_assert_int_eq(bind(descriptor, (const struct sockaddr *)&loopback, sizeof loopback), 0);
    ck_assert_int_eq(getsockname(descriptor, (struct sockaddr *)address.storage.bytes, &size), 0);
    address.length = size;
    return address;
}

static void until(int descriptor, short events)
{
    struct pollfd look = {.fd = descriptor, .events = events};

    ck_assert_int_eq(poll(&look, 1, LATE_MS), 1);
}

/* ---- connections ----------------------------------------------------------------------------- */

static int64_t accept_with(int listener, struct orr_address *peer)
{
    return attempt(ORR_OP_ACCEPT, listener, ORR__KIND_SOCKET,
                   (union orr_arguments){.peer = {.accepted = peer}});
}

static int64_t connect_to(int descriptor, const struct orr_address *target)
{
    return attempt(ORR_OP_CONNECT, descriptor, ORR__KIND_SOCKET,
                   (union orr_arguments){.peer = {.target = target}});
}

static int64_t connected(int descriptor, const struct orr_address *target, int error)
{
    const struct orr_completion completion = {
        .request = {.op = ORR_OP_CONNECT,
                    .descriptor = descriptor,
                    .arguments = {.peer = {.target = target}}}};

    return orr__attempt_connected(&completion, error);
}

START_TEST(test_attempt__accept)
{
    const int listener = socket_of(SOCK_STREAM);
    const int client = socket_of(SOCK_STREAM);
    const struct orr_address address = bound(listener);
    struct orr_address peer = {.length = 99};

    ck_assert_int_eq(accept_with(listener, &peer), -EINVAL); /* it does not listen yet */
    ck_assert_uint_eq(peer.length, 0);
    ck_assert_int_eq(listen(listener, 4), 0);
    peer.length = 99;
    ck_assert_int_eq(accept_with(listener, &peer), ORR__NOT_READY);
    ck_assert_uint_eq(peer.length, 0);
    ck_assert_int_eq(accept_with(listener, NULL), ORR__NOT_READY);
    (void)connect_to(client, &address);
    until(listener, POLLIN);
    const int64_t accepted = accept_with(listener, &peer);
    ck_assert_int_ge(accepted, 0);
    ck_assert_uint_eq(peer.length, sizeof(struct sockaddr_in));
    ck_assert_int_ne(fcntl((int)accepted, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_ne(fcntl((int)accepted, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(accept_with(-1, NULL), -EBADF);
    close((int)accepted);
    close(client);
    close(listener);
}
END_TEST

START_TEST(test_attempt__connect)
{
    const int listener = socket_of(SOCK_STREAM);
    const int client = socket_of(SOCK_STREAM);
    const struct orr_address address = bound(listener);

    ck_assert_int_eq(listen(listener, 4), 0);
    int64_t result = connect_to(client, &address);
    while (result == ORR__NOT_READY) {
        until(client, POLLOUT);
        result = connected(client, &address, 0);
    }
    ck_assert_int_eq(result, 0);
    const int64_t again = connect_to(client, &address); /* the first to ask hears of the end */
    ck_assert(again == 0 || again == -EISCONN);
    ck_assert_int_eq(connect_to(client, &address), -EISCONN);
    ck_assert_int_eq(connected(client, &address, 0), 0);
    ck_assert_int_eq(connect_to(-1, &address), -EBADF);
    close(client);
    close(listener);
}
END_TEST

START_TEST(test_attempt__connect_to_nobody)
{
    const int unused = socket_of(SOCK_STREAM);
    const int client = socket_of(SOCK_STREAM);
    const struct orr_address address = bound(unused);

    int64_t result = connect_to(client, &address);
    while (result == ORR__NOT_READY) {
        until(client, POLLOUT);
        result = connected(client, &address, 0);
    }
    ck_assert_int_eq(result, -ECONNREFUSED);
    close(client);
    close(unused);
}
END_TEST

#if defined(__linux__)

/* A report from before the connect: nothing is decided, because a listener whose queue is full does
 * not answer. */
START_TEST(test_attempt__connect_reported_too_early)
{
    const int listener = socket_of(SOCK_STREAM);
    const int clients[2] = {socket_of(SOCK_STREAM), socket_of(SOCK_STREAM)};
    const struct orr_address address = bound(listener);

    ck_assert_int_eq(listen(listener, 0), 0);
    (void)connect_to(clients[0], &address);
    until(listener, POLLIN);
    ck_assert_int_eq(connect_to(clients[1], &address), ORR__NOT_READY);
    ck_assert_int_eq(connected(clients[1], &address, 0), ORR__NOT_READY);
    ck_assert_int_eq(connected(clients[1], &address, 0), ORR__NOT_READY);
    ck_assert_int_eq(connect_to(clients[1], &address), -EALREADY); /* a second one */
    close(clients[0]);
    close(clients[1]);
    close(listener);
}
END_TEST

/* Somebody else took the socket's error: the report's own is told, if it had one. */
START_TEST(test_attempt__connect_whose_error_is_gone)
{
    for (int error = 0; error <= ECONNREFUSED; error += ECONNREFUSED) {
        const int unused = socket_of(SOCK_STREAM);
        const int client = socket_of(SOCK_STREAM);
        const struct orr_address address = bound(unused);
        int taken = 0;
        socklen_t size = sizeof taken;

        if (connect_to(client, &address) == ORR__NOT_READY) {
            until(client, POLLOUT);
            ck_assert_int_eq(getsockopt(client, SOL_SOCKET, SO_ERROR, &taken, &size), 0);
            ck_assert_int_eq(taken, ECONNREFUSED);
            ck_assert_int_eq(connected(client, &address, error),
                             error != 0 ? -error : -ECONNABORTED);
        }
        close(client);
        close(unused);
    }
}
END_TEST

/* No event tells when a Unix listener's backlog has room again: EAGAIN is an answer. */
START_TEST(test_attempt__connect_to_a_full_backlog)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct orr_address address = {.length = sizeof(sa_family_t)};
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof address.storage;
    int clients[3];
    int64_t result = 0;

    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)address.storage.bytes, &size), 0);
    address.length = size;
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        result = connect_to(clients[i], &address);
    }
    ck_assert_int_eq(result, -EAGAIN);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    close(listener);
}
END_TEST

#endif

/* ---- transfers ------------------------------------------------------------------------------- */

START_TEST(test_attempt__transfers_on_a_stream)
{
    int pair[2];
    char bytes[8] = "abcdefg";
    char got[8] = "";
    const struct iovec out[2] = {{bytes, 2}, {bytes + 2, 2}};
    const struct iovec in[2] = {{got, 3}, {got + 3, 5}};
    const union orr_arguments writes = {
        .transfer = {.vectors = (const struct orr_vector *)out, .length = 2}};
    const union orr_arguments reads = {
        .transfer = {.vectors = (const struct orr_vector *)in, .length = 2}};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    for (enum orr__kind kind = ORR__KIND_SOCKET; kind <= ORR__KIND_STREAM; kind++) {
        ck_assert_int_eq(attempt_bytes(ORR_OP_RECV, pair[0], kind, got, 8), ORR__NOT_READY);
        ck_assert_int_eq(attempt_bytes(ORR_OP_READ, pair[0], kind, got, 8), ORR__NOT_READY);
        ck_assert_int_eq(attempt(ORR_OP_READV, pair[0], kind, reads), ORR__NOT_READY);
        ck_assert_int_eq(attempt_bytes(ORR_OP_SEND, pair[1], kind, bytes, 2), 2);
        ck_assert_int_eq(attempt_bytes(ORR_OP_RECV, pair[0], kind, got, 8), 2);
        ck_assert_int_eq(attempt_bytes(ORR_OP_WRITE, pair[1], kind, bytes, 3), 3);
        ck_assert_int_eq(attempt_bytes(ORR_OP_READ, pair[0], kind, got, 8), 3);
        ck_assert_int_eq(attempt(ORR_OP_WRITEV, pair[1], kind, writes), 4);
        ck_assert_int_eq(attempt(ORR_OP_READV, pair[0], kind, reads), 4);
        ck_assert_mem_eq(got, "abcd", 4);
    }
    fill(pair[1]);
    ck_assert_int_eq(attempt_bytes(ORR_OP_SEND, pair[1], ORR__KIND_SOCKET, bytes, 1),
                     ORR__NOT_READY);
    ck_assert_int_eq(attempt_bytes(ORR_OP_WRITE, pair[1], ORR__KIND_SOCKET, bytes, 1),
                     ORR__NOT_READY);
    close(pair[0]);
    ck_assert_int_eq(attempt_bytes(ORR_OP_SEND, pair[1], ORR__KIND_SOCKET, bytes, 1), -EPIPE);
    close(pair[1]);
    ck_assert_int_eq(attempt_bytes(ORR_OP_RECV, pair[0], ORR__KIND_SOCKET, got, 8), -EBADF);
}
END_TEST

/* As on io_uring, a pipe ignores them. */
START_TEST(test_attempt__offsets)
{
    union orr_arguments arguments = {.transfer = {.length = 1, .offset = 5}};
    char byte = 'x';
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    arguments.transfer.buffer = &byte;
    ck_assert_int_eq(attempt(ORR_OP_WRITE, ends[1], ORR__KIND_STREAM, arguments), 1);
    ck_assert_int_eq(attempt(ORR_OP_READ, ends[0], ORR__KIND_STREAM, arguments), 1);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(test_attempt__datagrams)
{
    const int sender = socket_of(SOCK_DGRAM);
    const int receiver = socket_of(SOCK_DGRAM);
    char bytes[4] = "abc";
    char got[2];
    struct orr_datagram out = {.buffer = bytes, .length = 3, .peer = bound(receiver)};
    struct orr_datagram in = {.buffer = got, .length = 2, .truncated = true};
    const struct orr_address from = bound(sender);

    in.peer.length = 99;
    ck_assert_int_eq(attempt(ORR_OP_RECV_FROM, receiver, ORR__KIND_SOCKET,
                             (union orr_arguments){.datagram = &in}),
                     ORR__NOT_READY);
    ck_assert_uint_eq(in.peer.length, 0);
    ck_assert(!in.truncated);
    ck_assert_int_eq(
        attempt(ORR_OP_SEND_TO, sender, ORR__KIND_SOCKET, (union orr_arguments){.datagram = &out}),
        3);
    until(receiver, POLLIN);
    ck_assert_int_eq(attempt(ORR_OP_RECV_FROM, receiver, ORR__KIND_SOCKET,
                             (union orr_arguments){.datagram = &in}),
                     2);
    ck_assert(in.truncated);
    ck_assert_uint_eq(in.peer.length, from.length);
    ck_assert_mem_eq(in.peer.storage.bytes, from.storage.bytes, from.length);
    ck_assert_int_eq(
        attempt(ORR_OP_RECV_FROM, -1, ORR__KIND_SOCKET, (union orr_arguments){.datagram = &in}),
        -EBADF);
    ck_assert_uint_eq(in.peer.length, 0);
    ck_assert(!in.truncated);
    out.peer.length = 0; /* to the peer it is connected to: there is none */
    ck_assert_int_eq(
        attempt(ORR_OP_SEND_TO, sender, ORR__KIND_SOCKET, (union orr_arguments){.datagram = &out}),
        -EDESTADDRREQ);
    close(sender);
    close(receiver);
}
END_TEST

/* ---- polls, failures, descriptors ------------------------------------------------------------ */

static int64_t poll_for(int descriptor, uint32_t events)
{
    return attempt(ORR_OP_POLL, descriptor, ORR__KIND_STREAM,
                   (union orr_arguments){.events = events});
}

START_TEST(test_attempt__polls)
{
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_eq(poll_for(ends[0], ORR_POLL_IN), ORR__NOT_READY);
    ck_assert_int_eq(poll_for(ends[1], ORR_POLL_OUT), ORR_POLL_OUT);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(poll_for(ends[0], ORR_POLL_IN), ORR_POLL_IN);
    ck_assert_int_eq(poll_for(ends[0], ORR_POLL_HANGUP), ORR__NOT_READY);
    close(ends[1]);
    ck_assert_int_eq(poll_for(ends[0], ORR_POLL_HANGUP), ORR_POLL_HANGUP);
    close(ends[0]);
    ck_assert_int_eq(poll_for(ends[0], ORR_POLL_IN), -EBADF);
}
END_TEST

START_TEST(test_attempt__failed_leaves_what_a_failed_attempt_leaves)
{
    struct orr_address peer = {.length = 99};
    struct orr_datagram datagram = {.truncated = true};
    struct orr_completion completion = {
        .request = {.op = ORR_OP_ACCEPT, .arguments = {.peer = {.accepted = &peer}}}};

    orr__attempt_failed(&completion);
    ck_assert_uint_eq(peer.length, 0);
    completion.request.arguments.peer.accepted = NULL;
    orr__attempt_failed(&completion);
    datagram.peer.length = 99;
    completion.request =
        (struct orr_request){.op = ORR_OP_RECV_FROM, .arguments = {.datagram = &datagram}};
    orr__attempt_failed(&completion);
    ck_assert_uint_eq(datagram.peer.length, 0);
    ck_assert(!datagram.truncated);
    datagram.peer.length = 99;
    completion.request.op = ORR_OP_SEND_TO; /* its peer is the caller's */
    orr__attempt_failed(&completion);
    ck_assert_uint_eq(datagram.peer.length, 99);
}
END_TEST

START_TEST(test_attempt__identities)
{
    struct orr__identity identities[2];
    int pair[2];
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const int directory = open("/", O_RDONLY | O_CLOEXEC);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct {
        int descriptor;
        enum orr__kind kind;
    } kinds[] = {{pair[0], ORR__KIND_SOCKET},
                 {ends[0], ORR__KIND_STREAM},
                 {file, ORR__KIND_FILE},
                 {directory, ORR__KIND_FILE},
                 {null, ORR__KIND_STREAM}};
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(orr__descriptor_identify(kinds[i].descriptor, &identities[0]), 0);
        ck_assert_int_eq(identities[0].kind, kinds[i].kind);
    }
    ck_assert_int_eq(orr__descriptor_identify(-1, &identities[0]), -EBADF);
    ck_assert_int_eq(orr__descriptor_block(pair[0], true), 0);
    ck_assert_int_eq(orr__descriptor_block(pair[0], false), 1);
    ck_assert_int_eq(orr__descriptor_block(pair[0], false), 0);
    ck_assert_int_eq(orr__descriptor_block(pair[0], true), 1);
    ck_assert_int_eq(orr__descriptor_block(-1, true), -EBADF);
    const int all[] = {pair[0], pair[1], ends[0], ends[1], file, directory, null};
    for (int i = 0; i < 7; i++)
        close(all[i]);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("attempt");

    tcase_add_test(tests, test_attempt__accept);
    tcase_add_test(tests, test_attempt__connect);
    tcase_add_test(tests, test_attempt__connect_to_nobody);
#if defined(__linux__)
    tcase_add_test(tests, test_attempt__connect_reported_too_early);
    tcase_add_test(tests, test_attempt__connect_whose_error_is_gone);
    tcase_add_test(tests, test_attempt__connect_to_a_full_backlog);
#endif
    tcase_add_test(tests, test_attempt__transfers_on_a_stream);
    tcase_add_test(tests, test_attempt__offsets);
    tcase_add_test(tests, test_attempt__datagrams);
    tcase_add_test(tests, test_attempt__polls);
    tcase_add_test(tests, test_attempt__failed_leaves_what_a_failed_attempt_leaves);
    tcase_add_test(tests, test_attempt__identities);
    return suite_run("attempt", tests);
}

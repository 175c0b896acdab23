/*
 * test_epoll.c: the readiness engine over the kernel's epoll, on descriptors that behave in ways of
 * their own: errors that stay, files that are always ready, open files that two descriptors share.
 */
#define _GNU_SOURCE 1

#include "fake.h"

#include "../io/dies.h"
#include "backends/backends.h"
#include "io/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nothing takes as long: what has not come by then never will. */
#define LATE_MS 20000

static struct orr__readiness *open_engine(void)
{
    const struct orr_options options = {.batch_entries = 16, .handles_max = 16};
    void *engine;

    ck_assert_int_eq(orr__epoll.open(&options, NULL, &engine), 0);
    return engine;
}

static bool is_readable(struct orr__readiness *engine, int timeout_ms)
{
    struct pollfd look = {.fd = orr__readiness_descriptor(engine), .events = POLLIN};

    return poll(&look, 1, timeout_ms) == 1;
}

static void adopt(struct orr__readiness *engine, int descriptor)
{
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(orr__readiness_adopt(engine, descriptor), descriptor);
}

static bool blocks(int descriptor)
{
    const int flags = fcntl(descriptor, F_GETFL);

    ck_assert_int_ge(flags, 0);
    return (flags & O_NONBLOCK) == 0;
}

/* ---- nothing to say -------------------------------------------------------------------------- */

/* Whoever sleeps on the descriptor must find it quiet a few flushes later, though no operation
 * waits: after a wake, after the pool has told (which it may do late), and with data that nobody
 * receives. */
START_TEST(test_epoll__the_descriptor_falls_silent)
{
    struct orr__readiness *engine = open_engine();
    struct orr_completion recv = {0};
    struct orr_completion stat = {0};
    struct orr_stat status;
    int32_t pair[2];
    char byte;

    adopt_pair(engine, pair);
    for (int round = 0; round < 3; round++) {
        if (round == 0)
            orr__readiness_wake(engine);
        if (round == 1) {
            give(engine, &stat, ORR_OP_STAT, -1,
                 (union orr_arguments){.path = {.path = "/", .stat = &status}});
            (void)flush(engine, ORR_WAIT_NOT);
        }
        if (round == 2) {
            give_recv(engine, &recv, pair[0], &byte, 1);
            (void)flush(engine, ORR_WAIT_NOT);
            ck_assert_int_eq(write(pair[1], "ab", 2), 2);
        }
        if (round != 1 || is_held(&stat))
            ck_assert(is_readable(engine, LATE_MS));
        while (is_held(&recv) || is_held(&stat))
            (void)flush(engine, ORR_WAIT_NOT);
        for (int i = 0; i < 10 && is_readable(engine, 0); i++)
            (void)flush(engine, ORR_WAIT_NOT);
        ck_assert(!is_readable(engine, 0));
    }
    close_through(engine, pair[0]);
    close(pair[1]);
    orr__readiness_close(engine);
}
END_TEST

/* A datagram socket that keeps its errors, connected to a port where nobody is. */
static int socket_with_errors(void)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    const int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(other, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(other, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(connect(descriptor, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(close(other), 0);
    ck_assert_int_eq(setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
    ck_assert_int_eq(send(descriptor, "x", 1, 0), 1);
    struct pollfd look = {.fd = descriptor, .events = 0};
    ck_assert_int_eq(poll(&look, 1, LATE_MS), 1);
    ck_assert_int_eq(recv(descriptor, &look, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    ck_assert_int_eq(poll(&look, 1, 0), 1); /* it stays in the queue of errors */
    return descriptor;
}

/* The error is reported for ever, and the receive cannot take it away: flushes must sleep all the
 * same, and what comes must be received. */
START_TEST(test_epoll__an_error_that_stays_does_not_keep_it_awake)
{
    struct orr__readiness *engine = open_engine();
    struct orr_completion recv = {0};
    const int descriptor = socket_with_errors();
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char byte;

    adopt(engine, descriptor);
    give_recv(engine, &recv, descriptor, &byte, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 0);
    ck_assert(!is_readable(engine, 0));

    /* From the peer's address, so that the connected socket takes it. */
    const int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(getpeername(descriptor, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(bind(sender, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(sendto(sender, "y", 1, 0, (const struct sockaddr *)&address, size), 1);
        while (is_held(&recv))
            (void)flush(engine, ORR_WAIT_FOREVER);
        must_end(&recv, 1);
        give_recv(engine, &recv, descriptor, &byte, 1);
    }
    cancel(engine, &recv);
    (void)flush(engine, ORR_WAIT_NOT);
    close(sender);
    close_through(engine, descriptor);
    orr__readiness_close(engine);
}
END_TEST

/* ---- what is always ready -------------------------------------------------------------------- */

START_TEST(test_epoll__what_is_always_ready)
{
    static const char *const paths[] = {"/dev/null", "/dev/zero", "/", "/proc/self/exe"};
    struct orr__readiness *engine = open_engine();
    struct orr_completion poll_both = {0};
    struct orr_completion poll_hangup = {0};
    const int descriptor = open(paths[_i], O_RDONLY | O_CLOEXEC);

    adopt(engine, descriptor);
    give_poll(engine, &poll_both, descriptor, ORR_POLL_IN | ORR_POLL_OUT);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&poll_both, ORR_POLL_IN | ORR_POLL_OUT);
    give_poll(engine, &poll_hangup, descriptor, ORR_POLL_HANGUP);
    ck_assert_uint_eq(flush(engine, ORR_WAIT_FOREVER), 1);
    must_end(&poll_hangup, -EINVAL);
    close_through(engine, descriptor);
    orr__readiness_close(engine);
}
END_TEST

START_TEST(test_epoll__reads_of_what_is_always_ready)
{
    struct orr__readiness *engine = open_engine();
    struct orr_completion reads[3] = {0};
    const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int descriptors[] = {zero, null, directory};
    char bytes[4] = "abc";

    for (int i = 0; i < 3; i++) {
        adopt(engine, descriptors[i]);
        give(engine, &reads[i], ORR_OP_READ, descriptors[i],
             (union orr_arguments){.transfer = {.buffer = bytes, .length = 4}});
    }
    (void)flush(engine, ORR_WAIT_NOT);
    must_end(&reads[0], 4);
    must_end(&reads[1], 0);
    end_in_pool(engine, &reads[2]);
    must_end(&reads[2], -EISDIR);
    for (int i = 0; i < 3; i++)
        close_through(engine, descriptors[i]);
    orr__readiness_close(engine);
}
END_TEST

/* ---- adopted descriptors --------------------------------------------------------------------- */

/* The blocking mode is the open file's, which others may share: a close gives it back. */
START_TEST(test_epoll__a_close_gives_the_blocking_mode_back)
{
    struct orr__readiness *engine = open_engine();
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    const int shared = dup(ends[0]);
    adopt(engine, ends[0]);
    ck_assert(!blocks(shared));
    close_through(engine, ends[0]);
    ck_assert(blocks(shared));
    ck_assert_int_eq(fcntl(shared, F_SETFL, O_NONBLOCK), 0);
    adopt(engine, ends[1]);
    orr__readiness_discard(engine, ends[1]);
    ck_assert_int_eq(fcntl(ends[1], F_GETFD), -1);
    adopt(engine, dup(shared));
    ck_assert(!blocks(shared)); /* it was the caller's wish, and stays */
    close(shared);
    orr__readiness_close(engine);
}
END_TEST

/* Two of the loop's descriptors share an open file, as standard input and output on a terminal do:
 * the first to be closed must not make the other one block. */
START_TEST(test_epoll__a_close_does_not_make_another_descriptor_block)
{
    struct orr__readiness *engine = open_engine();
    struct orr_completion read_one = {0};
    int32_t pair[2];
    int32_t shared[3];
    char byte;

    adopt_pair(engine, pair);
    shared[0] = pair[0];
    shared[1] = dup(pair[0]);
    shared[2] = dup(pair[0]);
    const int outside = dup(pair[0]);
    adopt(engine, shared[1]);
    adopt(engine, shared[2]);
    for (int i = 0; i < 3; i++) {
        ck_assert(!blocks(outside));
        give(engine, &read_one, ORR_OP_READ, shared[i],
             (union orr_arguments){.transfer = {.buffer = &byte, .length = 1}});
        ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 0);
        cancel(engine, &read_one);
        ck_assert_uint_eq(flush(engine, ORR_WAIT_NOT), 1);
        close_through(engine, shared[i]);
    }
    ck_assert(blocks(outside));
    close(outside);
    close(pair[1]);
    orr__readiness_close(engine);
}
END_TEST

static void adopt_twice(void *engine)
{
    int32_t pair[2];

    adopt_pair(engine, pair);
    (void)orr__readiness_adopt(engine, pair[0]);
}

START_TEST(test_epoll__a_descriptor_is_adopted_once)
{
    struct orr__readiness *engine = open_engine();

    ck_assert_int_eq(orr__readiness_adopt(engine, -1), -EBADF);
    ck_assert_int_eq(orr__readiness_adopt(engine, 1000), -EBADF);
    DIES(adopt_twice, engine, "orr_adopt: descriptor", "is the loop's already");
    orr__readiness_close(engine);
}
END_TEST

/* Sockets of types that orr_socket does not make: what comes is whole, in order, and not lost when
 * one receive after another gets less than it asked for. */
START_TEST(test_epoll__messages_of_adopted_sockets)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    struct orr__readiness *engine = open_engine();
    struct orr_completion recv = {0};
    char bytes[8];
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, types[_i] | SOCK_CLOEXEC, 0, pair), 0);
    adopt(engine, pair[0]);
    for (char c = 'a'; c < 'd'; c++)
        ck_assert_int_eq(write(pair[1], &c, 1), 1);
    for (char c = 'a'; c < 'd';) {
        give_recv(engine, &recv, pair[0], bytes, sizeof bytes);
        while (is_held(&recv))
            (void)flush(engine, ORR_WAIT_FOREVER);
        ck_assert_int_gt(recv.result, 0);
        for (int64_t i = 0; i < recv.result; i++, c++)
            ck_assert_int_eq(bytes[i], c);
    }
    close_through(engine, pair[0]);
    close(pair[1]);
    orr__readiness_close(engine);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("epoll");

    tcase_add_test(tests, test_epoll__the_descriptor_falls_silent);
    tcase_add_test(tests, test_epoll__an_error_that_stays_does_not_keep_it_awake);
    tcase_add_loop_test(tests, test_epoll__what_is_always_ready, 0, 4);
    tcase_add_test(tests, test_epoll__reads_of_what_is_always_ready);
    tcase_add_test(tests, test_epoll__a_close_gives_the_blocking_mode_back);
    tcase_add_test(tests, test_epoll__a_close_does_not_make_another_descriptor_block);
    tcase_add_test(tests, test_epoll__a_descriptor_is_adopted_once);
    tcase_add_loop_test(tests, test_epoll__messages_of_adopted_sockets, 0, 3);
    return suite_run("epoll", tests);
}

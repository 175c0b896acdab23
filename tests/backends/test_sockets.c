/*
 * test_sockets.c: every socket operation, poll, and the immediate calls, done by the kernel: on
 * each kernel version with each batch, over IPv4, IPv6 and Unix sockets.
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAMILIES 3
#define STREAM_SETTINGS (RIG_SETTINGS * FAMILIES)
#define DATAGRAM_SETTINGS (RIG_SETTINGS * 2) /* Unix sockets have streams only */

/* ---- two ends -------------------------------------------------------------------------------- */

static const char *address_text(enum orr_family family)
{
    static char path[64];

    if (family == ORR_FAMILY_IP4)
        return "127.0.0.1:0";
    if (family == ORR_FAMILY_IP6)
        return "[::1]:0";
    snprintf(path, sizeof path, "unix:/tmp/orrery-uring-%d", (int)getpid());
    return path;
}

/* A bound socket and its address, or -1: this machine has no IPv6. */
static int32_t bound_socket(const struct rig *rig, enum orr_family family,
                            enum orr_socket_type type, struct orr_address *ret_address)
{
    struct orr_address any;

    must_be(orr_address_parse(address_text(family), &any), 0);
    const int32_t bound = orr__uring.socket(rig->state, family, type);
    if (bound == -EAFNOSUPPORT)
        return -1;
    must(bound >= 0);
    must((fcntl(bound, F_GETFD) & FD_CLOEXEC) != 0);
    const int result = orr__uring.bind(rig->state, bound, &any);
    if (result == -EADDRNOTAVAIL && family == ORR_FAMILY_IP6) {
        close(bound);
        return -1;
    }
    must_be(result, 0);
    must_be(orr__uring.local_address(rig->state, bound, ret_address), 0);
    return bound;
}

struct stream {
    struct rig rig;
    enum orr_family family;
    struct orr_address address; /* the listener's */
    struct orr_address peer;    /* the client's, as accept told it */
    int32_t listener;
    int32_t client;
    int32_t server;
};

static union orr_arguments target(const struct orr_address *address)
{
    return ARGUMENTS(.peer = {.target = address});
}

static union orr_arguments accepted(struct orr_address *address)
{
    return ARGUMENTS(.peer = {.accepted = address});
}

/* The backend on setting % RIG_SETTINGS, a socket of family setting / RIG_SETTINGS. False: there is
 * no such family here. */
static bool socket_open(struct stream *stream, int setting)
{
    memset(stream, 0, sizeof *stream);
    stream->family = (enum orr_family)(ORR_FAMILY_IP4 + setting / RIG_SETTINGS);
    rig_open_setting(&stream->rig, setting % RIG_SETTINGS);
    stream->listener =
        bound_socket(&stream->rig, stream->family, ORR_SOCKET_STREAM, &stream->address);
    if (stream->listener < 0) {
        rig_close(&stream->rig);
        return false;
    }
    return true;
}

static bool listener_open(struct stream *stream, int setting)
{
    if (!socket_open(stream, setting))
        return false;
    must_be(orr__uring.listen(stream->rig.state, stream->listener, UINT32_MAX), 0);
    return true;
}

static void listener_close(struct stream *stream)
{
    orr__uring.discard(stream->rig.state, stream->listener);
    if (stream->family == ORR_FAMILY_UNIX)
        unlink(address_text(ORR_FAMILY_UNIX) + strlen("unix:"));
    rig_close(&stream->rig);
}

static bool stream_open(struct stream *stream, int setting)
{
    struct orr_completion accept_completion = {0};

    if (!listener_open(stream, setting))
        return false;
    rig_submit(&stream->rig, &accept_completion, ORR_OP_ACCEPT, stream->listener,
               accepted(&stream->peer));
    stream->client = orr__uring.socket(stream->rig.state, stream->family, ORR_SOCKET_STREAM);
    must_be(rig_do(&stream->rig, ORR_OP_CONNECT, stream->client, target(&stream->address)), 0);
    stream->server = (int32_t)rig_end(&stream->rig, &accept_completion);
    must(stream->server >= 0);
    return true;
}

static void stream_close(struct stream *stream)
{
    orr__uring.discard(stream->rig.state, stream->client);
    orr__uring.discard(stream->rig.state, stream->server);
    listener_close(stream);
}

static union orr_arguments bytes(void *buffer, size_t length)
{
    return ARGUMENTS(.transfer = {.buffer = buffer, .length = (uint32_t)length});
}

static union orr_arguments text_of(const char *text)
{
    return ARGUMENTS(.transfer = {.data = text, .length = (uint32_t)strlen(text)});
}

static void hand_over(struct rig *rig)
{
    rig_flush(rig, ORR_WAIT_NOT);
    must(!orr__uring.unflushed(rig->state));
}

/* ---- streams --------------------------------------------------------------------------------- */

START_TEST(test_sockets__accept_tells_the_peer)
{
    struct stream stream;
    struct orr_address local;

    if (!stream_open(&stream, _i))
        return;
    must((fcntl(stream.server, F_GETFD) & FD_CLOEXEC) != 0);
    must_be(orr__uring.local_address(stream.rig.state, stream.client, &local), 0);
    must(orr_address_family(&stream.peer) == stream.family);
    must(orr_address_equal(&stream.peer, &local));
    must_be(orr__uring.peer_address(stream.rig.state, stream.client, &local), 0);
    must(orr_address_equal(&stream.address, &local));
    memset(&local, 7, sizeof local);
    const struct orr_address before = local;
    must_be(orr__uring.peer_address(stream.rig.state, stream.listener, &local), -ENOTCONN);
    must(memcmp(&local, &before, sizeof local) == 0); /* untouched */
    stream_close(&stream);
}
END_TEST

START_TEST(test_sockets__recv_waits_for_send)
{
    struct stream stream;
    struct orr_completion recv_completion = {0};
    char text[64] = "";

    if (!stream_open(&stream, _i))
        return;
    rig_submit(&stream.rig, &recv_completion, ORR_OP_RECV, stream.server, bytes(text, 64));
    hand_over(&stream.rig);
    must(rig_holds(&recv_completion));
    must_be(rig_do(&stream.rig, ORR_OP_SEND, stream.client, text_of("abc")), 3);
    must_be(rig_end(&stream.rig, &recv_completion), 3);
    must(memcmp(text, "abc", 4) == 0);
    must_be(rig_do(&stream.rig, ORR_OP_SEND, stream.server, text_of("answer")), 6);
    must_be(rig_do(&stream.rig, ORR_OP_RECV, stream.client, bytes(text, 2)), 2);
    must_be(rig_do(&stream.rig, ORR_OP_RECV, stream.client, bytes(text, 64)), 4);
    must(memcmp(text, "swer", 4) == 0);
    stream_close(&stream);
}
END_TEST

static volatile sig_atomic_t pipe_signals;

static void count_signal(int number)
{
    (void)number;
    pipe_signals++;
}

/* A closed direction is 0 for one side and EPIPE for the other, and never SIGPIPE. */
START_TEST(test_sockets__shutdown)
{
    struct stream stream;
    struct orr_completion recv_completion = {0};
    char text[4];
    const struct sigaction count = {.sa_handler = count_signal};

    if (!stream_open(&stream, _i))
        return;
    must(sigaction(SIGPIPE, &count, NULL) == 0);
    rig_submit(&stream.rig, &recv_completion, ORR_OP_RECV, stream.server, bytes(text, 4));
    must_be(
        rig_do(&stream.rig, ORR_OP_SHUTDOWN, stream.client, ARGUMENTS(.events = ORR_SHUTDOWN_SEND)),
        0);
    must_be(rig_end(&stream.rig, &recv_completion), 0);
    must_be(rig_do(&stream.rig, ORR_OP_SEND, stream.client, text_of("abc")), -EPIPE);
    must_be(pipe_signals, 0);
    must_be(rig_do(&stream.rig, ORR_OP_SEND, stream.server, text_of("xyz")), 3);
    must_be(rig_do(&stream.rig, ORR_OP_RECV, stream.client, bytes(text, 4)), 3);
    const int32_t lonely = orr__uring.socket(stream.rig.state, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    must_be(rig_do(&stream.rig, ORR_OP_RECV, lonely, bytes(text, 4)), -ENOTCONN);
    must_be(rig_do(&stream.rig, ORR_OP_SHUTDOWN, lonely, ARGUMENTS(.events = ORR_SHUTDOWN_BOTH)),
            -ENOTCONN);
    close(lonely);
    stream_close(&stream);
}
END_TEST

START_TEST(test_sockets__poll)
{
    struct stream stream;
    struct orr_completion poll_completion = {0};

    if (!stream_open(&stream, _i))
        return;
    must_be(rig_do(&stream.rig, ORR_OP_POLL, stream.server,
                   ARGUMENTS(.events = ORR_POLL_IN | ORR_POLL_OUT)),
            ORR_POLL_OUT);
    rig_submit(&stream.rig, &poll_completion, ORR_OP_POLL, stream.server,
               ARGUMENTS(.events = ORR_POLL_IN));
    hand_over(&stream.rig);
    must(rig_holds(&poll_completion));
    must_be(rig_do(&stream.rig, ORR_OP_SEND, stream.client, text_of("abc")), 3);
    must_be(rig_end(&stream.rig, &poll_completion), ORR_POLL_IN);
    orr__uring.discard(stream.rig.state, stream.client);
    const int64_t events = rig_do(&stream.rig, ORR_OP_POLL, stream.server,
                                  ARGUMENTS(.events = ORR_POLL_OUT | ORR_POLL_IN));
    must(events > 0 && (events & ORR_POLL_IN) != 0);
    orr__uring.discard(stream.rig.state, stream.server);
    listener_close(&stream);
}
END_TEST

START_TEST(test_sockets__canceled_accept_leaves_no_address)
{
    struct stream stream;
    struct orr_completion accept_completion = {0};
    struct orr_address peer;

    if (!listener_open(&stream, _i))
        return;
    memset(&peer, 7, sizeof peer);
    for (int asked = 0; asked < 2; asked++) {
        rig_submit(&stream.rig, &accept_completion, ORR_OP_ACCEPT, stream.listener,
                   accepted(asked != 0 ? &peer : NULL));
        rig_flush(&stream.rig, ORR_WAIT_NOT);
        rig_cancel(&stream.rig, &accept_completion);
        must_be(rig_end(&stream.rig, &accept_completion), -ECANCELED);
        must_be(peer.length, asked != 0 ? 0 : 0x07070707);
    }
    listener_close(&stream);
}
END_TEST

/* Bound and not listening: nobody else can get the address in the meantime. */
START_TEST(test_sockets__nobody_listens)
{
    struct stream stream;

    if (!socket_open(&stream, _i))
        return;
    const int32_t client = orr__uring.socket(stream.rig.state, stream.family, ORR_SOCKET_STREAM);
    must_be(rig_do(&stream.rig, ORR_OP_CONNECT, client, target(&stream.address)), -ECONNREFUSED);
    must_be(rig_do(&stream.rig, ORR_OP_ACCEPT, stream.listener, accepted(NULL)), -EINVAL);
    orr__uring.discard(stream.rig.state, client);
    listener_close(&stream);
}
END_TEST

/* ---- datagrams ------------------------------------------------------------------------------- */

struct datagrams {
    struct rig rig;
    struct orr_address addresses[2];
    int32_t sockets[2];
    struct orr_datagram received;
    char buffer[8];
};

static bool datagrams_open(struct datagrams *datagrams, int setting)
{
    const enum orr_family family = (enum orr_family)(ORR_FAMILY_IP4 + setting / RIG_SETTINGS);

    memset(datagrams, 0xee, sizeof *datagrams);
    rig_open_setting(&datagrams->rig, setting % RIG_SETTINGS);
    for (int i = 0; i < 2; i++)
        datagrams->sockets[i] =
            bound_socket(&datagrams->rig, family, ORR_SOCKET_DATAGRAM, &datagrams->addresses[i]);
    datagrams->received.buffer = datagrams->buffer;
    datagrams->received.length = sizeof datagrams->buffer;
    if (datagrams->sockets[0] < 0)
        rig_close(&datagrams->rig);
    return datagrams->sockets[0] >= 0;
}

static void datagrams_close(struct datagrams *datagrams)
{
    for (int i = 0; i < 2; i++)
        orr__uring.discard(datagrams->rig.state, datagrams->sockets[i]);
    rig_close(&datagrams->rig);
}

/* From socket 1, to socket 0 unless it is connected there. */
static int64_t send_it(struct datagrams *datagrams, char *text, bool connected)
{
    struct orr_datagram sent;

    memset(&sent, 0xee, sizeof sent);
    sent.buffer = text;
    sent.length = (uint32_t)strlen(text);
    sent.peer = datagrams->addresses[0];
    if (connected)
        sent.peer.length = 0;
    const int64_t result = rig_do(&datagrams->rig, ORR_OP_SEND_TO, datagrams->sockets[1],
                                  ARGUMENTS(.datagram = &sent));
    must(sent.buffer == text && sent.length == strlen(text));
    return result;
}

static union orr_arguments into(struct datagrams *datagrams)
{
    return ARGUMENTS(.datagram = &datagrams->received);
}

START_TEST(test_sockets__datagrams_come_whole_or_truncated)
{
    static const struct {
        const char *text;
        int received;
        bool truncated;
    } cases[] = {{"0123456789", 8, true}, {"", 0, false}, {"01234567", 8, false}, {"a", 1, false}};
    struct datagrams datagrams;

    if (!datagrams_open(&datagrams, _i))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct orr_completion receive = {0};
        char text[16];
        snprintf(text, sizeof text, "%s", cases[i].text);
        rig_submit(&datagrams.rig, &receive, ORR_OP_RECV_FROM, datagrams.sockets[0],
                   into(&datagrams));
        must_be(send_it(&datagrams, text, false), (int64_t)strlen(text));
        must_be(rig_end(&datagrams.rig, &receive), cases[i].received);
        must_be(datagrams.received.truncated, cases[i].truncated);
        must(memcmp(datagrams.buffer, text, (size_t)cases[i].received) == 0);
        must(datagrams.received.length == sizeof datagrams.buffer);
        must(orr_address_equal(&datagrams.received.peer, &datagrams.addresses[1]));
    }
    datagrams_close(&datagrams);
}
END_TEST

START_TEST(test_sockets__connected_datagrams)
{
    struct datagrams datagrams;
    char text[] = "abcd";

    if (!datagrams_open(&datagrams, _i))
        return;
    must_be(send_it(&datagrams, text, true), -EDESTADDRREQ);
    must_be(rig_do(&datagrams.rig, ORR_OP_CONNECT, datagrams.sockets[1],
                   target(&datagrams.addresses[0])),
            0);
    must_be(send_it(&datagrams, text, true), 4);
    must_be(rig_do(&datagrams.rig, ORR_OP_RECV_FROM, datagrams.sockets[0], into(&datagrams)), 4);
    must_be(rig_do(&datagrams.rig, ORR_OP_SEND, datagrams.sockets[1], bytes(text, 2)), 2);
    must_be(rig_do(&datagrams.rig, ORR_OP_RECV, datagrams.sockets[0], bytes(text, 4)), 2);
    datagrams_close(&datagrams);
}
END_TEST

START_TEST(test_sockets__canceled_receive_leaves_no_address)
{
    struct datagrams datagrams;
    struct orr_completion receive = {0};

    if (!datagrams_open(&datagrams, _i))
        return;
    rig_submit(&datagrams.rig, &receive, ORR_OP_RECV_FROM, datagrams.sockets[0], into(&datagrams));
    rig_cancel(&datagrams.rig, &receive);
    must_be(rig_end(&datagrams.rig, &receive), -ECANCELED);
    must(datagrams.received.peer.length == 0 && !datagrams.received.truncated);
    datagrams_close(&datagrams);
}
END_TEST

/* ---- adopted descriptors --------------------------------------------------------------------- */

/* A pipe's reads wait. Where reads are plain system calls, the kernel has to be older than any that
 * the backend opens on: there is no such version. */
START_TEST(test_sockets__reads_of_a_pipe_wait)
{
    struct rig rig;
    struct orr_completion completion = {0};
    char text[4];
    int ends[2];

    rig_open_setting(&rig, _i);
    if (kernel.version->plain_missing) {
        rig_close(&rig);
        return;
    }
    must(pipe(ends) == 0);
    must_be(orr__uring.adopt(rig.state, ends[0]), ends[0]);
    must((fcntl(ends[0], F_GETFD) & FD_CLOEXEC) != 0);
    must((fcntl(ends[0], F_GETFL) & O_NONBLOCK) == 0);
    rig_submit(&rig, &completion, ORR_OP_READ, ends[0], bytes(text, 4));
    hand_over(&rig);
    must(rig_holds(&completion));
    must(write(ends[1], "xy", 2) == 2);
    must_be(rig_end(&rig, &completion), 2);
    close(ends[1]);
    must_be(rig_do(&rig, ORR_OP_READ, ends[0], bytes(text, 4)), 0);
    must_be(rig_do(&rig, ORR_OP_POLL, ends[0], ARGUMENTS(.events = ORR_POLL_OUT)),
            ORR_POLL_HANGUP); /* reported though nobody asked */
    close(ends[0]);
    rig_close(&rig);
}
END_TEST

/* ---- the immediate calls --------------------------------------------------------------------- */

static void option_must_hold(const struct rig *rig, int32_t socket, enum orr_socket_option option,
                             int32_t value)
{
    int32_t got = -1;

    must_be(orr__uring.option_set(rig->state, socket, option, value), 0);
    must_be(orr__uring.option_get(rig->state, socket, option, &got), 0);
    must(value > 1 ? got >= value : got == value); /* the kernel enlarges sizes */
}

START_TEST(test_sockets__options)
{
    static const enum orr_socket_option switches[] = {ORR_SOCKET_NO_DELAY, ORR_SOCKET_REUSE_ADDRESS,
                                                      ORR_SOCKET_REUSE_PORT, ORR_SOCKET_KEEP_ALIVE};
    struct rig rig;
    int32_t value = 77;

    rig_open(&rig, 8);
    const int32_t stream = orr__uring.socket(rig.state, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        option_must_hold(&rig, stream, switches[i], 1);
        option_must_hold(&rig, stream, switches[i], 0);
    }
    option_must_hold(&rig, stream, ORR_SOCKET_RECEIVE_BUFFER, 8192);
    option_must_hold(&rig, stream, ORR_SOCKET_SEND_BUFFER, 8192);
    must_be(orr__uring.option_set(rig.state, stream, ORR_SOCKET_ONLY_IP6, 1), -ENOPROTOOPT);
    must_be(orr__uring.option_get(rig.state, 9999, ORR_SOCKET_NO_DELAY, &value), -EBADF);
    must_be(value, 77);
    const int32_t six = orr__uring.socket(rig.state, ORR_FAMILY_IP6, ORR_SOCKET_STREAM);
    if (six >= 0) {
        option_must_hold(&rig, six, ORR_SOCKET_ONLY_IP6, 1);
        option_must_hold(&rig, six, ORR_SOCKET_ONLY_IP6, 0);
        orr__uring.discard(rig.state, six);
    }
    orr__uring.discard(rig.state, stream);
    must_be(fcntl(stream, F_GETFD), -1);
    rig_close(&rig);
}
END_TEST

START_TEST(test_sockets__immediate_errors)
{
    struct rig rig;
    struct orr_address address;
    int ends[2];

    rig_open(&rig, 8);
    must(pipe(ends) == 0);
    must_be(orr_address_parse("127.0.0.1:0", &address), 0);
    must_be(orr__uring.socket(rig.state, ORR_FAMILY_NONE, ORR_SOCKET_STREAM), -EAFNOSUPPORT);
    must_be(orr__uring.socket(rig.state, (enum orr_family)77, ORR_SOCKET_STREAM), -EAFNOSUPPORT);
    must_be(orr__uring.bind(rig.state, ends[0], &address), -ENOTSOCK);
    must_be(orr__uring.listen(rig.state, ends[0], 5), -ENOTSOCK);
    must_be(orr__uring.listen(rig.state, 9999, 5), -EBADF);
    must_be(orr__uring.local_address(rig.state, ends[0], &address), -ENOTSOCK);
    must_be(orr__uring.adopt(rig.state, 9999), -EBADF);
    close(ends[0]);
    close(ends[1]);
    rig_close(&rig);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, test_sockets__accept_tells_the_peer, 0, STREAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__recv_waits_for_send, 0, STREAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__shutdown, 0, STREAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__poll, 0, STREAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__canceled_accept_leaves_no_address, 0, STREAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__nobody_listens, 0, STREAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__datagrams_come_whole_or_truncated, 0,
                        DATAGRAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__connected_datagrams, 0, DATAGRAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__canceled_receive_leaves_no_address, 0,
                        DATAGRAM_SETTINGS);
    tcase_add_loop_test(tests, test_sockets__reads_of_a_pipe_wait, 0, RIG_SETTINGS);
    tcase_add_test(tests, test_sockets__options);
    tcase_add_test(tests, test_sockets__immediate_errors);
}

int main(void)
{
    return rig_run("sockets", add, suite_run);
}

/*
 * test_conditions.c: when a descriptor is ready, and with what data, end and error: pipes, Unix and
 * TCP sockets, datagrams, files.
 *
 * What a pending error is read with (SO_ERROR, recv) must find it after the shim has told of it.
 */
#define _GNU_SOURCE 1

#include "calls.h"
#include "kqueue_shim.h"

#include "tests/suite.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int kq;

static void open_kqueue(void)
{
    kq = kqueue();
    must(kq >= 0);
}

/* Also that waiting for nothing does not spin: few looks, however long it waits. */
static void must_wait_for_nothing(void)
{
    const struct timespec short_time = {.tv_nsec = 20000000};
    const uint64_t looks = kqueue_shim.looks;
    struct kevent event;

    must_be(kevent(kq, NULL, 0, &event, 1, &short_time), 0);
    must(kqueue_shim.looks - looks <= 4);
}

static struct kevent must_see_end(int ident, short filter, unsigned int error)
{
    const struct kevent event = must_see(kq, ident, filter);
    must((event.flags & EV_EOF) != 0);
    must_be((int)event.fflags, (int)error);
    return event;
}

static struct kevent must_see_no_end(int ident, short filter)
{
    const struct kevent event = must_see(kq, ident, filter);
    must((event.flags & EV_EOF) == 0);
    must_be((int)event.fflags, 0);
    return event;
}

static int pending_error(int socket)
{
    int error = -1;
    socklen_t length = sizeof error;
    must_be(getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return error;
}

static void must_write(int descriptor, size_t length)
{
    static const char bytes[4096];
    must(length <= sizeof bytes);
    must_be((int)write(descriptor, bytes, length), (int)length);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

struct tcp {
    int listener;
    int client;
    int server;
    struct sockaddr_in address;
};

static void tcp_listen(struct tcp *tcp)
{
    socklen_t length = sizeof tcp->address;

    tcp->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    tcp->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    must_be(bind(tcp->listener, (struct sockaddr *)&tcp->address, length), 0);
    must_be(getsockname(tcp->listener, (struct sockaddr *)&tcp->address, &length), 0);
    must_be(listen(tcp->listener, 8), 0);
}

static int tcp_connect(const struct tcp *tcp)
{
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int result = connect(client, (const struct sockaddr *)&tcp->address, sizeof tcp->address);
    must(result == 0 || errno == EINPROGRESS);
    return client;
}

static void tcp_pair(struct tcp *tcp)
{
    tcp_listen(tcp);
    tcp->client = tcp_connect(tcp);
    must_change(kq, tcp->listener, EVFILT_READ, EV_ADD | EV_ONESHOT);
    must_see(kq, tcp->listener, EVFILT_READ);
    tcp->server = accept4(tcp->listener, NULL, NULL, SOCK_NONBLOCK);
    must(tcp->server >= 0);
    close(tcp->listener);
}

/* Closes so that the peer gets a reset. */
static void tcp_abort(int socket)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    must_be(setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(socket);
}

START_TEST(test_tcp__listener_counts_who_waits)
{
    struct tcp tcp;

    open_kqueue();
    tcp_listen(&tcp);
    must_change(kq, tcp.listener, EVFILT_READ, EV_ADD);
    must_change(kq, tcp.listener, EVFILT_WRITE, EV_ADD);
    must_wait_for_nothing();
    tcp_connect(&tcp);
    must_be((int)must_see_no_end(tcp.listener, EVFILT_READ).data, 1);
    tcp_connect(&tcp);
    must_be((int)must_see_no_end(tcp.listener, EVFILT_READ).data, 2);
    must(accept(tcp.listener, NULL, NULL) >= 0);
    must(accept(tcp.listener, NULL, NULL) >= 0);
    must_wait_for_nothing();
}
END_TEST

START_TEST(test_tcp__data_and_space)
{
    struct tcp tcp;

    open_kqueue();
    tcp_pair(&tcp);
    must_change(kq, tcp.server, EVFILT_READ, EV_ADD);
    must_wait_for_nothing();
    must_write(tcp.client, 10);
    must_be((int)must_see_no_end(tcp.server, EVFILT_READ).data, 10);
    must_change(kq, tcp.server, EVFILT_READ, EV_DELETE);
    must_change(kq, tcp.client, EVFILT_WRITE, EV_ADD);
    must(must_see_no_end(tcp.client, EVFILT_WRITE).data >= 1);
    while (send(tcp.client, "0123456789", 10, MSG_DONTWAIT) > 0)
        continue;
    must_be(errno, EAGAIN);
    must_wait_for_nothing();
    char bytes[65536];
    while (recv(tcp.server, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
    must_see_no_end(tcp.client, EVFILT_WRITE);
}
END_TEST

/* Linux calls it hung up and writable. */
START_TEST(test_tcp__never_connected_is_not_ready)
{
    const int fresh = socket(AF_INET, SOCK_STREAM, 0);

    open_kqueue();
    must_change(kq, fresh, EVFILT_READ, EV_ADD);
    must_change(kq, fresh, EVFILT_WRITE, EV_ADD);
    must_wait_for_nothing();
    must_wait_for_nothing();
}
END_TEST

/* A knote that waited through the time before the connection works after it, level as ever. */
START_TEST(test_tcp__connects_under_a_knote)
{
    struct tcp tcp;
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    open_kqueue();
    tcp_listen(&tcp);
    must_change(kq, client, EVFILT_WRITE, EV_ADD);
    must_wait_for_nothing();
    (void)connect(client, (struct sockaddr *)&tcp.address, sizeof tcp.address);
    for (int i = 0; i < 3; i++)
        must_see_no_end(client, EVFILT_WRITE);
}
END_TEST

START_TEST(test_tcp__refused)
{
    struct tcp tcp;
    const short filter = _i == 0 ? EVFILT_WRITE : EVFILT_READ;

    open_kqueue();
    tcp_listen(&tcp);
    close(tcp.listener);
    tcp.client = tcp_connect(&tcp);
    must_change(kq, tcp.client, filter, EV_ADD);
    must_see_end(tcp.client, filter, ECONNREFUSED);
    must_see_end(tcp.client, filter, ECONNREFUSED);
    must_be(pending_error(tcp.client), ECONNREFUSED); /* the shim has left it, */
    must_see_end(tcp.client, filter, 0);              /* and now the program has it */
}
END_TEST

START_TEST(test_tcp__half_close)
{
    struct tcp tcp;

    open_kqueue();
    tcp_pair(&tcp);
    must_write(tcp.client, 5);
    shutdown(tcp.client, SHUT_WR);
    must_change(kq, tcp.server, EVFILT_READ, EV_ADD);
    must_be((int)must_see_end(tcp.server, EVFILT_READ, 0).data, 5);
    char bytes[5];
    must_be((int)recv(tcp.server, bytes, sizeof bytes, 0), 5);
    must_be((int)must_see_end(tcp.server, EVFILT_READ, 0).data, 0);
    must_change(kq, tcp.server, EVFILT_READ, EV_DELETE);

    must_change(kq, tcp.server, EVFILT_WRITE, EV_ADD | EV_ONESHOT); /* the other way is open */
    must_see_no_end(tcp.server, EVFILT_WRITE);
    must_change(kq, tcp.client, EVFILT_WRITE, EV_ADD | EV_ONESHOT); /* the client's own is not, */
    must_see_end(tcp.client, EVFILT_WRITE, 0);
    must_change(kq, tcp.client, EVFILT_READ, EV_ADD); /* and nothing has come to it yet */
    must_wait_for_nothing();
    close(tcp.server);
    must_see_end(tcp.client, EVFILT_READ, 0);
}
END_TEST

START_TEST(test_tcp__reset)
{
    struct tcp tcp;
    char byte;

    open_kqueue();
    tcp_pair(&tcp);
    tcp_abort(tcp.client);
    must_change(kq, tcp.server, EVFILT_READ, EV_ADD | EV_ONESHOT);
    must_see_end(tcp.server, EVFILT_READ, ECONNRESET);
    must_change(kq, tcp.server, EVFILT_WRITE, EV_ADD | EV_ONESHOT);
    must_see_end(tcp.server, EVFILT_WRITE, ECONNRESET);
    must_fail(recv(tcp.server, &byte, 1, 0), ECONNRESET);
}
END_TEST

/* On Linux the pending error is EPIPE then. */
START_TEST(test_tcp__reset_after_the_end)
{
    struct tcp tcp;

    open_kqueue();
    tcp_pair(&tcp);
    shutdown(tcp.client, SHUT_WR);
    tcp_abort(tcp.client);
    must_change(kq, tcp.server, EVFILT_WRITE, EV_ADD);
    must_see_end(tcp.server, EVFILT_WRITE, ECONNRESET);
}
END_TEST

/* ---- Unix sockets ---------------------------------------------------------------------------- */

static void unix_pair(int *ret_sockets, int type)
{
    open_kqueue();
    must_be(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ret_sockets), 0);
}

START_TEST(test_unix__data_then_end)
{
    int sockets[2];
    char bytes[8];

    unix_pair(sockets, SOCK_STREAM);
    must_change(kq, sockets[0], EVFILT_READ, EV_ADD);
    must_wait_for_nothing();
    must_write(sockets[1], 8);
    must_be((int)must_see_no_end(sockets[0], EVFILT_READ).data, 8);
    close(sockets[1]);
    must_be((int)must_see_end(sockets[0], EVFILT_READ, 0).data, 8);
    must_be((int)read(sockets[0], bytes, 8), 8);
    must_be((int)must_see_end(sockets[0], EVFILT_READ, 0).data, 0);
    must_change(kq, sockets[0], EVFILT_READ, EV_DELETE);
    must_change(kq, sockets[0], EVFILT_WRITE, EV_ADD);
    must_see_end(sockets[0], EVFILT_WRITE, 0);
}
END_TEST

START_TEST(test_unix__half_close)
{
    int sockets[2];

    unix_pair(sockets, SOCK_STREAM);
    must_change(kq, sockets[1], EVFILT_READ, EV_ADD);
    must_change(kq, sockets[0], EVFILT_READ, EV_ADD);
    must_wait_for_nothing();
    shutdown(sockets[0], SHUT_WR);
    must_see_end(sockets[1], EVFILT_READ, 0);
    must_change(kq, sockets[1], EVFILT_READ, EV_DELETE);
    must_wait_for_nothing();
    must_change(kq, sockets[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT);
    must_see_end(sockets[0], EVFILT_WRITE, 0);
    must_change(kq, sockets[1], EVFILT_WRITE, EV_ADD | EV_ONESHOT);
    must_see_no_end(sockets[1], EVFILT_WRITE);
}
END_TEST

START_TEST(test_unix__closed_with_data_unread)
{
    int sockets[2];

    unix_pair(sockets, SOCK_STREAM);
    must_write(sockets[0], 1);
    close(sockets[1]);
    must_change(kq, sockets[0], EVFILT_READ, EV_ADD);
    must_see_end(sockets[0], EVFILT_READ, ECONNRESET);
    must_be(pending_error(sockets[0]), ECONNRESET);
}
END_TEST

START_TEST(test_unix__fills)
{
    int sockets[2];
    char bytes[4096] = {0};

    unix_pair(sockets, SOCK_STREAM);
    must_change(kq, sockets[0], EVFILT_WRITE, EV_ADD);
    must(must_see_no_end(sockets[0], EVFILT_WRITE).data >= 1);
    while (write(sockets[0], bytes, sizeof bytes) > 0)
        continue;
    must_wait_for_nothing();
    while (read(sockets[1], bytes, sizeof bytes) > 0)
        continue;
    must_see_no_end(sockets[0], EVFILT_WRITE);
}
END_TEST

START_TEST(test_unix__listener)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX}; /* the kernel finds a name */
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);

    open_kqueue();
    must_be(bind(listener, (const struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    must_be(getsockname(listener, (struct sockaddr *)&name, &length), 0);
    must_change(kq, client, EVFILT_WRITE, EV_ADD);
    must_change(kq, listener, EVFILT_READ, EV_ADD);
    must_wait_for_nothing();
    must_be(listen(listener, 4), 0);
    must_change(kq, listener, EVFILT_READ, EV_ADD);
    must_wait_for_nothing();
    must_be(connect(client, (const struct sockaddr *)&name, length), 0);
    must_change(kq, client, EVFILT_WRITE, EV_DELETE);
    must_be((int)must_see_no_end(listener, EVFILT_READ).data, 1);
}
END_TEST

START_TEST(test_unix__packets)
{
    int sockets[2];
    char bytes[8];

    unix_pair(sockets, SOCK_SEQPACKET);
    must_change(kq, sockets[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT);
    must_see_no_end(sockets[0], EVFILT_WRITE);
    must_change(kq, sockets[1], EVFILT_READ, EV_ADD);
    must_wait_for_nothing(); /* asking whether it could be sent has sent nothing */
    must_write(sockets[0], 3);
    must_see_no_end(sockets[1], EVFILT_READ);
    must_be((int)read(sockets[1], bytes, sizeof bytes), 3);
    close(sockets[0]);
    must_see_end(sockets[1], EVFILT_READ, 0);
}
END_TEST

/* ---- datagrams ------------------------------------------------------------------------------- */

START_TEST(test_udp__error_is_ready_and_no_end)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int peer = socket(AF_INET, SOCK_DGRAM, 0);
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    char byte;

    open_kqueue();
    must_be(bind(peer, (struct sockaddr *)&address, length), 0);
    must_be(getsockname(peer, (struct sockaddr *)&address, &length), 0);
    must_be(connect(udp, (struct sockaddr *)&address, length), 0);
    must_change(kq, udp, EVFILT_WRITE, EV_ADD | EV_ONESHOT);
    must_see_no_end(udp, EVFILT_WRITE);
    must_change(kq, peer, EVFILT_READ, EV_ADD | EV_ONESHOT);
    must_be((int)send(udp, "", 0, 0), 0);
    must_be((int)must_see_no_end(peer, EVFILT_READ).data, 0);
    close(peer);
    must_write(udp, 1);
    must_change(kq, udp, EVFILT_READ, EV_ADD);
    must_see_no_end(udp, EVFILT_READ);
    must_fail(recv(udp, &byte, 1, MSG_DONTWAIT), ECONNREFUSED);
    must_wait_for_nothing();
}
END_TEST

/* ---- pipes and files ------------------------------------------------------------------------- */

static void open_pipe(int *ret_ends)
{
    open_kqueue();
    must_be(pipe2(ret_ends, O_NONBLOCK), 0);
}

START_TEST(test_pipe__data_then_end)
{
    int ends[2];
    char bytes[7];

    open_pipe(ends);
    must_change(kq, ends[0], EVFILT_READ, EV_ADD);
    must_wait_for_nothing();
    must_write(ends[1], 7);
    must_be((int)must_see_no_end(ends[0], EVFILT_READ).data, 7);
    close(ends[1]);
    must_be((int)must_see_end(ends[0], EVFILT_READ, 0).data, 7);
    must_be((int)read(ends[0], bytes, sizeof bytes), 7);
    must_be((int)must_see_end(ends[0], EVFILT_READ, 0).data, 0);
}
END_TEST

START_TEST(test_pipe__fills)
{
    int ends[2];
    static char bytes[1 << 20];

    open_pipe(ends);
    must_change(kq, ends[1], EVFILT_WRITE, EV_ADD);
    must(must_see_no_end(ends[1], EVFILT_WRITE).data >= 1);
    must(write(ends[1], bytes, sizeof bytes) > 0);
    must_wait_for_nothing();
    must(read(ends[0], bytes, sizeof bytes) > 0);
    must_see_no_end(ends[1], EVFILT_WRITE);
}
END_TEST

START_TEST(test_pipe__without_readers)
{
    int ends[2];

    open_pipe(ends);
    must_change(kq, ends[1], EVFILT_WRITE, EV_ADD);
    close(ends[0]);
    must_see_end(ends[1], EVFILT_WRITE, 0);
    must_change(kq, ends[1], EVFILT_WRITE, EV_ADD); /* an old knote is no new one */
    must_see_end(ends[1], EVFILT_WRITE, 0);
    must_change(kq, ends[1], EVFILT_WRITE, EV_DELETE);
    must_fail(change(kq, ends[1], EVFILT_WRITE, EV_ADD, NULL), EPIPE);
    must_see_nothing(kq);
}
END_TEST

/* The filter of the other direction can be added and never fires. */
START_TEST(test_pipe__wrong_direction)
{
    int ends[2];

    open_pipe(ends);
    must_change(kq, ends[0], EVFILT_WRITE, EV_ADD);
    must_change(kq, ends[1], EVFILT_READ, EV_ADD);
    must_write(ends[1], 1);
    must_wait_for_nothing();
    if (_i == 0)
        close(ends[0]);
    else
        close(ends[1]);
    must_wait_for_nothing();
}
END_TEST

START_TEST(test_file__until_its_end)
{
    FILE *file = tmpfile();
    const int descriptor = fileno(file);
    char bytes[4];

    open_kqueue();
    must_write(descriptor, 4);
    must_change(kq, descriptor, EVFILT_READ, EV_ADD);
    must_wait_for_nothing();
    must_be((int)lseek(descriptor, 0, SEEK_SET), 0);
    for (int i = 0; i < 3; i++)
        must_be((int)must_see_no_end(descriptor, EVFILT_READ).data, 4);
    must_be((int)read(descriptor, bytes, 4), 4);
    must_wait_for_nothing();
    must_change(kq, descriptor, EVFILT_WRITE, EV_ADD);
    for (int i = 0; i < 3; i++)
        must_see_no_end(descriptor, EVFILT_WRITE);
    must_change(kq, descriptor, EVFILT_WRITE, EV_DISABLE);
    must_wait_for_nothing();
    must_be(fclose(file), 0);
}
END_TEST

static TCase *tests(void)
{
    TCase *tests = tcase_create("conditions");

    tcase_add_test(tests, test_tcp__listener_counts_who_waits);
    tcase_add_test(tests, test_tcp__data_and_space);
    tcase_add_test(tests, test_tcp__never_connected_is_not_ready);
    tcase_add_test(tests, test_tcp__connects_under_a_knote);
    tcase_add_loop_test(tests, test_tcp__refused, 0, 2);
    tcase_add_test(tests, test_tcp__half_close);
    tcase_add_test(tests, test_tcp__reset);
    tcase_add_test(tests, test_tcp__reset_after_the_end);
    tcase_add_test(tests, test_unix__data_then_end);
    tcase_add_test(tests, test_unix__half_close);
    tcase_add_test(tests, test_unix__closed_with_data_unread);
    tcase_add_test(tests, test_unix__fills);
    tcase_add_test(tests, test_unix__listener);
    tcase_add_test(tests, test_unix__packets);
    tcase_add_test(tests, test_udp__error_is_ready_and_no_end);
    tcase_add_test(tests, test_pipe__data_then_end);
    tcase_add_test(tests, test_pipe__fills);
    tcase_add_test(tests, test_pipe__without_readers);
    tcase_add_loop_test(tests, test_pipe__wrong_direction, 0, 2);
    tcase_add_test(tests, test_file__until_its_end);
    return tests;
}

int main(void)
{
    return suite_run("kqueue conditions", tests());
}

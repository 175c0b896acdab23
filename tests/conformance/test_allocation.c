/*
 * test_allocation.c: nothing is allocated on a production backend, which argv[1] names, after the
 * loop is open. An echo server with its clients, files, timers, cancels, closes and wakes run over
 * a batch that is too small, between two looks at the counter; no assertion in between (see
 * count_allocations.h).
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "tests/io/count_allocations.h"
#include "tests/io/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS 16u
#define ROUNDS 40u

/* A connection that is made, used and closed, over and over, and a file beside it. */
struct client {
    struct probe connect;
    struct probe send;
    struct probe recv;
    struct probe echo;
    struct probe timer;
    struct probe cancel;
    struct probe close;
    orr_handle client;
    orr_handle server;
    uint32_t rounds;
    char out[100];
    char in[100];
    char echoed[100];
};

static struct orr_loop *loop;
static struct client clients[CLIENTS];
static struct orr_address address;
static orr_handle listener;
static orr_handle file;
static struct probe accepts[CLIENTS];
static struct probe writes[CLIENTS];
static char bytes[5000];
static uint32_t failures; /* what went otherwise than it should */

static void start(struct client *client);

/* ---- a round of a client: connect, send, receive, write to the file, close ------------------- */

static void on_accept(struct probe *probe)
{
    struct client *client = probe->context;
    failures += probe->result <= 0;
    client->server = probe->result;
    orr_recv_exact(loop, &client->echo.completion, client->server, client->echoed, 100,
                   probe_called, &client->echo);
}

static void on_echo(struct probe *probe)
{
    struct client *client = probe->context;
    if (probe->completion.request.op == ORR_OP_RECV)
        orr_send_all(loop, &probe->completion, client->server, client->echoed, 100, probe_called,
                     probe);
    else
        orr_close(loop, &probe->completion, client->server, probe_called, probe);
    if (probe->completion.request.op == ORR_OP_CLOSE)
        probe->then = NULL;
}

static void on_connect(struct probe *probe)
{
    struct client *client = probe->context;
    failures += probe->result != 0;
    orr_send_all(loop, &client->send.completion, client->client, client->out, 100, probe_called,
                 &client->send);
    orr_recv_exact(loop, &client->recv.completion, client->client, client->in, 100, probe_called,
                   &client->recv);
    orr_timeout(loop, &client->timer.completion, 3600 * ORR_SECOND, probe_called, &client->timer);
}

static void on_recv(struct probe *probe)
{
    struct client *client = probe->context;
    uint32_t at = (uint32_t)(client - clients);
    failures += probe->result != 100 || memcmp(client->in, client->out, 100) != 0;
    orr_cancel(loop, &client->cancel.completion, &client->timer.completion, probe_called,
               &client->cancel);
    orr_write_all(loop, &writes[at].completion, file, bytes, sizeof bytes, at * sizeof bytes,
                  probe_called, &writes[at]);
    orr_close(loop, &client->close.completion, client->client, probe_called, &client->close);
}

static void on_close(struct probe *probe)
{
    struct client *client = probe->context;
    failures += probe->result != 0;
    client->rounds++;
}

static void start(struct client *client)
{
    uint32_t at = (uint32_t)(client - clients);
    client->client = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    client->connect = (struct probe){.context = client, .then = on_connect};
    client->recv = (struct probe){.context = client, .then = on_recv};
    client->echo = (struct probe){.context = client, .then = on_echo};
    client->close = (struct probe){.context = client, .then = on_close};
    accepts[at] = (struct probe){.context = client, .then = on_accept};
    orr_accept(loop, &accepts[at].completion, listener, NULL, probe_called, &accepts[at]);
    orr_connect(loop, &client->connect.completion, client->client, &address, probe_called,
                &client->connect);
}

static void run_busily(void)
{
    struct probe sync = {.calls = 0};
    struct probe woken = {.calls = 0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < CLIENTS; i++)
            start(&clients[i]);
        orr_wait_wake(loop, &woken.completion, probe_called, &woken);
        orr_wake(loop);
        orr_fdatasync(loop, &sync.completion, file, probe_called, &sync);
        orr_run_until_idle(loop);
    }
    orr_drain(loop);
}

/* ---- the test -------------------------------------------------------------------------------- */

static const char *backend;
static char reason[512];

static int open_loop(void)
{
    const struct orr_options options = {
        .batch_entries = 4, .backend = backend, .error = reason, .error_size = sizeof reason};
    return orr_loop_open(&options, &loop);
}

static void open_file(void)
{
    char directory[] = "/tmp/orrery-XXXXXX";
    char path[64];
    struct probe open = {.calls = 0};
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/f", directory);
    orr_open(loop, &open.completion, ORR_DIRECTORY_CURRENT, path, ORR_OPEN_WRITE | ORR_OPEN_CREATE,
             0644, probe_called, &open);
    orr_run_until_idle(loop);
    ck_assert_int_gt(open.result, 0);
    file = open.result;
    unlink(path);
    rmdir(directory);
}

START_TEST(nothing_is_allocated_after_the_loop_is_open)
{
    struct orr_statistics statistics;
    uint64_t before = allocations_counted();
    ck_assert_msg(open_loop() == 0, "%s", reason);
    ck_assert_str_eq(orr_loop_backend_name(loop), backend);
    ck_assert_uint_gt(allocations_counted(), before);
    open_file();
    listener = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    ck_assert_int_eq(orr_address_parse("127.0.0.1:0", &address), 0);
    ck_assert_int_eq(orr_bind(loop, listener, &address), 0);
    ck_assert_int_eq(orr_listen(loop, listener, CLIENTS), 0);
    ck_assert_int_eq(orr_local_address(loop, listener, &address), 0);
    before = allocations_counted();
    run_busily();
    uint64_t after = allocations_counted();
    ck_assert_uint_eq(after, before);
    ck_assert_uint_eq(failures, 0);
    for (uint32_t i = 0; i < CLIENTS; i++)
        ck_assert_uint_eq(clients[i].rounds, ROUNDS);
    orr_loop_statistics(loop, &statistics);
    ck_assert_uint_gt(statistics.overflowed, 1000);
    ck_assert_uint_eq(statistics.canceled, CLIENTS * ROUNDS);
    orr_loop_close(loop);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {nothing_is_allocated_after_the_loop_is_open};
    backend = argc > 1 ? argv[1] : "";
    int status = open_loop();
    if (status == 0)
        orr_loop_close(loop);
    if (status == -ENOSYS || status == -EPERM) {
        printf("1..0 # SKIP %s\n", reason);
        return EXIT_SUCCESS;
    }
    return probe_main("allocation", tests, 1);
}

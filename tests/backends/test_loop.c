/*
 * test_loop.c: a backend under the real loop, with batches from one entry to the largest: echoes
 * over TCP, cancels and closes in every state, drain, wakes, nesting. What the conformance suite
 * asks of every backend is there; here is what only real kernels make happen: many at once.
 *
 *     test_backends_loop [epoll]      without an argument: io_uring
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include "backends/backends.h"

#include <orrery/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint32_t batches[] = {1, 2, 5, 8, 256, ORR_BATCH_ENTRIES_MAX};

#define BATCHES ((int)(sizeof batches / sizeof batches[0]))

static const struct orr_backend *backend = &orr__uring;

static struct orr_loop *open_loop(int i)
{
    struct orr_loop *loop;
    char error[600] = "";
    const struct orr_options options = {
        .batch_entries = batches[i], .error = error, .error_size = sizeof error};

    rig_batch_entries = batches[i];
    const int result = orr_loop_open_with(&options, backend, NULL, &loop);
    ck_assert_msg(result == 0, "%d: %s", result, error);
    return loop;
}

/* Every operation had its callback, and no error that the operation does not declare. */
static void close_loop(struct orr_loop *loop)
{
    struct orr_statistics statistics;

    orr_loop_statistics(loop, &statistics);
    must_be(statistics.in_flight, 0);
    must_be(statistics.unexpected_errors, 0);
    orr_loop_close(loop);
}

/* One operation whose callback only takes note. */
struct note {
    struct orr_completion completion;
    int64_t result;
    uint32_t calls;
};

static void take_note(void *context, struct orr_completion *completion, int64_t result)
{
    struct note *note = context;

    must(completion == &note->completion);
    note->result = result;
    note->calls++;
}

static int64_t end_of(struct orr_loop *loop, struct note *note)
{
    while (note->calls == 0)
        orr_run_once(loop);
    must_be(note->calls, 1);
    note->calls = 0;
    return note->result;
}

static void close_handle(struct orr_loop *loop, orr_handle handle)
{
    struct note note = {.calls = 0};

    orr_close(loop, &note.completion, handle, take_note, &note);
    must_be(end_of(loop, &note), 0);
}

/* The reading end of a new pipe as a handle; the writing end. */
static orr_handle adopt_pipe(struct orr_loop *loop, int *ret_writer)
{
    int ends[2];

    must(pipe2(ends, O_CLOEXEC) == 0);
    const orr_handle handle = orr_adopt(loop, ends[0]);
    must(handle >= 0);
    *ret_writer = ends[1];
    return handle;
}

/* ---- echo ------------------------------------------------------------------------------------ */

#define CLIENTS 40
#define MESSAGES 40
#define MESSAGE_MAX 3000

struct echo;

/* One end of a connection. A client sends a message, checks the echo, sends the next. */
struct side {
    struct orr_completion completion;
    struct echo *echo;
    orr_handle handle;
    uint32_t left; /* messages that a client has to send; a server's is 0 */
    uint8_t buffer[MESSAGE_MAX];
};

struct echo {
    struct orr_loop *loop;
    struct orr_completion accept;
    orr_handle listener;
    uint32_t accepted;
    uint32_t closed;
    struct side servers[CLIENTS];
    struct side clients[CLIENTS];
};

static void side_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct side *side = context;

    (void)completion;
    must_be(result, 0);
    side->echo->closed++;
}

static uint32_t message_length(uint32_t left)
{
    return 1 + left * 977 % MESSAGE_MAX;
}

static void server_sent(void *context, struct orr_completion *completion, int64_t result);

static void server_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct side *side = context;

    must(result >= 0);
    if (result == 0)
        orr_close(side->echo->loop, completion, side->handle, side_closed, side);
    else
        orr_send_all(side->echo->loop, completion, side->handle, side->buffer, (size_t)result,
                     server_sent, side);
}

static void server_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct side *side = context;

    must(result > 0);
    orr_recv(side->echo->loop, completion, side->handle, side->buffer, sizeof side->buffer,
             server_received, side);
}

static void client_connected(void *context, struct orr_completion *completion, int64_t result);

static void client_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct side *side = context;

    must_be(result, message_length(side->left));
    for (uint32_t i = 0; i < result; i++)
        must_be(side->buffer[i], (uint8_t)(side->left + i));
    if (--side->left > 0)
        client_connected(side, completion, 0);
    else
        orr_close(side->echo->loop, completion, side->handle, side_closed, side);
}

static void client_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct side *side = context;

    must_be(result, message_length(side->left));
    memset(side->buffer, 0, sizeof side->buffer);
    orr_recv_exact(side->echo->loop, completion, side->handle, side->buffer, (size_t)result,
                   client_received, side);
}

static void client_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct side *side = context;

    must_be(result, 0);
    for (uint32_t i = 0; i < message_length(side->left); i++)
        side->buffer[i] = (uint8_t)(side->left + i);
    orr_send_all(side->echo->loop, completion, side->handle, side->buffer,
                 message_length(side->left), client_sent, side);
}

static void client_accepted(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo *echo = context;

    must(result >= 0);
    struct side *side = &echo->servers[echo->accepted++];
    side->echo = echo;
    side->handle = result;
    server_sent(side, &side->completion, 1);
    if (echo->accepted < CLIENTS)
        orr_accept(echo->loop, completion, echo->listener, NULL, client_accepted, echo);
}

static void connect_client(struct echo *echo, struct side *side, const struct orr_address *address)
{
    side->echo = echo;
    side->left = MESSAGES;
    side->handle = orr_socket(echo->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    must(side->handle >= 0);
    orr_connect(echo->loop, &side->completion, side->handle, address, client_connected, side);
}

START_TEST(test_loop__echo)
{
    struct echo *echo = calloc(1, sizeof *echo);
    struct orr_address address;

    must(echo != NULL);
    echo->loop = open_loop(_i);
    must_be(orr_address_parse("127.0.0.1:0", &address), 0);
    echo->listener = orr_socket(echo->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    must_be(orr_bind(echo->loop, echo->listener, &address), 0);
    must_be(orr_listen(echo->loop, echo->listener, CLIENTS), 0);
    must_be(orr_local_address(echo->loop, echo->listener, &address), 0);
    orr_accept(echo->loop, &echo->accept, echo->listener, NULL, client_accepted, echo);
    for (int i = 0; i < CLIENTS; i++)
        connect_client(echo, &echo->clients[i], &address);
    orr_run_until_idle(echo->loop);
    must_be(echo->closed, 2 * CLIENTS);
    close_handle(echo->loop, echo->listener);
    close_loop(echo->loop);
    free(echo);
}
END_TEST

/* ---- cancel, close, drain -------------------------------------------------------------------- */

/* Reads that have something, reads that wait; before their submit, in the batch, in the kernel. */
START_TEST(test_loop__cancels_and_closes)
{
    enum { READS = 200 };
    struct orr_loop *loop = open_loop(_i);

    for (int i = 0; i < READS; i++) {
        struct note read_note = {.calls = 0};
        struct note cancel_note = {.calls = 0};
        char byte = 0;
        int writer;
        const orr_handle handle = adopt_pipe(loop, &writer);
        orr_read(loop, &read_note.completion, handle, &byte, 1, 0, take_note, &read_note);
        if (i % 3 == 0)
            must(write(writer, "q", 1) == 1);
        if (i % 5 != 0)
            orr_run_for_ns(loop, 0);
        orr_cancel(loop, &cancel_note.completion, &read_note.completion, take_note, &cancel_note);
        if (i % 7 == 0) /* the read and its cancel have ended when the close has */
            close_handle(loop, handle);
        else
            orr_run_until_idle(loop);
        must(read_note.calls == 1 && cancel_note.calls == 1);
        if (read_note.result == -ECANCELED)
            must(cancel_note.result == 0 && byte == 0);
        else
            must(read_note.result == 1 && byte == 'q' &&
                 (cancel_note.result == -EALREADY || cancel_note.result == -ENOENT));
        if (i % 7 != 0)
            close_handle(loop, handle);
        close(writer);
    }
    close_loop(loop);
}
END_TEST

/* Far more than the batch holds: in the kernel, in the batch, in the overflow queue. */
START_TEST(test_loop__drain_ends_thousands)
{
    enum { MANY = 5000 };
    struct orr_loop *loop = open_loop(_i);
    struct note *notes = calloc(MANY, sizeof *notes);
    int writer;
    const orr_handle handle = adopt_pipe(loop, &writer);

    must(notes != NULL);
    for (int i = 0; i < MANY; i++)
        orr_poll(loop, &notes[i].completion, handle, ORR_POLL_IN, take_note, &notes[i]);
    if (_i % 2 == 0)
        orr_run_for_ns(loop, ORR_MILLISECOND);
    orr_drain(loop);
    for (int i = 0; i < MANY; i++)
        must(notes[i].calls == 1 && notes[i].result == -ECANCELED);
    close_handle(loop, handle);
    close(writer);
    close_loop(loop);
    free(notes);
}
END_TEST

/* Writes of a file that are canceled while others wait, run, and have ended: what says that it was
 * written is in the file, and what was canceled has cost nobody else his. */
START_TEST(test_loop__files_and_cancels)
{
    enum { WRITES = 600 };
    struct orr_loop *loop = open_loop(_i);
    struct note *writes = calloc(WRITES, sizeof *writes);
    struct note *cancels = calloc(WRITES, sizeof *cancels);
    char path[] = "/tmp/orrery-loop-XXXXXX";
    const orr_handle file = orr_adopt(loop, mkstemp(path));
    char got;

    must(writes != NULL && cancels != NULL && file >= 0 && unlink(path) == 0);
    for (int i = 0; i < WRITES; i++) {
        orr_write(loop, &writes[i].completion, file, "w", 1, (uint64_t)i, take_note, &writes[i]);
        if (i % 8 == 0)
            orr_run_for_ns(loop, 0);
        if (i % 3 == 0)
            orr_cancel(loop, &cancels[i].completion, &writes[i].completion, take_note, &cancels[i]);
    }
    orr_run_until_idle(loop);
    for (int i = 0; i < WRITES; i++) {
        must(writes[i].calls == 1);
        must_be(cancels[i].calls, i % 3 == 0 ? 1 : 0);
        if (writes[i].result == -ECANCELED) {
            must(i % 3 == 0 && cancels[i].result == 0);
            continue;
        }
        must_be(writes[i].result, 1);
        must(pread(orr_descriptor(loop, file), &got, 1, i) == 1 && got == 'w');
    }
    close_handle(loop, file);
    close_loop(loop);
    free(writes);
    free(cancels);
}
END_TEST

struct pump {
    struct orr_loop *loop;
    struct orr_completion completion;
    struct note victim;
    struct note cancel;
    orr_handle pipe;
    orr_handle file;
    uint32_t reads;
    char bytes[8];
};

static void pump_on(void *context, struct orr_completion *completion, int64_t result)
{
    struct pump *pump = context;

    must(result >= 0);
    if (++pump->reads == 4)
        orr_cancel(pump->loop, &pump->cancel.completion, &pump->victim.completion, take_note,
                   &pump->cancel);
    if (pump->cancel.calls == 0 && pump->reads < 2000)
        orr_read(pump->loop, completion, pump->file, pump->bytes, sizeof pump->bytes, 0, pump_on,
                 pump);
}

/* A callback that fills the batch each time it is called must not keep a cancel from being sent:
 * with a batch of one, the cancel finds it full every time. */
START_TEST(test_loop__a_busy_batch_does_not_starve_cancels)
{
    struct pump pump = {.loop = open_loop(_i)};
    struct note open_note = {.calls = 0};
    char victim_byte;
    int writer;

    orr_open(pump.loop, &open_note.completion, ORR_DIRECTORY_CURRENT, "/dev/zero", ORR_OPEN_READ, 0,
             take_note, &open_note);
    pump.file = end_of(pump.loop, &open_note);
    must(pump.file >= 0);
    pump.pipe = adopt_pipe(pump.loop, &writer);
    orr_read(pump.loop, &pump.victim.completion, pump.pipe, &victim_byte, 1, 0, take_note,
             &pump.victim);
    orr_run_for_ns(pump.loop, 0);
    pump_on(&pump, &pump.completion, 0);
    orr_run_until_idle(pump.loop);
    must(pump.cancel.calls == 1 && pump.cancel.result == 0);
    must_be(pump.victim.result, -ECANCELED);
    must(pump.reads < 200);
    close_handle(pump.loop, pump.pipe);
    close_handle(pump.loop, pump.file);
    close(writer);
    close_loop(pump.loop);
}
END_TEST

/* The longest transfer that one operation does, and the last offset there is. */
START_TEST(test_loop__limits_of_offsets)
{
    struct orr_loop *loop = open_loop(_i);
    struct note note = {.calls = 0};
    char path[] = "/tmp/orrery-uring-XXXXXX";
    char bytes[4];
    const orr_handle file = orr_adopt(loop, mkstemp(path));

    must(file >= 0 && unlink(path) == 0);
    orr_read(loop, &note.completion, file, bytes, 4, INT64_MAX - 4, take_note, &note);
    must_be(end_of(loop, &note), 0);
    orr_read(loop, &note.completion, file, bytes, 4, UINT64_MAX / 2 + 1, take_note, &note);
    must_be(end_of(loop, &note), -EINVAL);
    orr_write(loop, &note.completion, file, bytes, 4, INT64_MAX - 2, take_note, &note);
    must(end_of(loop, &note) < 0);
    close_handle(loop, file);
    close_loop(loop);
}
END_TEST

/* ---- wake and nesting ------------------------------------------------------------------------ */

static void *wake_loop(void *context)
{
    orr_wake(context);
    return NULL;
}

START_TEST(test_loop__wakes_from_a_thread)
{
    struct orr_loop *loop = open_loop(_i);

    for (int round = 0; round < 20; round++) {
        struct note note = {.calls = 0};
        pthread_t thread;
        orr_wait_wake(loop, &note.completion, take_note, &note);
        must(pthread_create(&thread, NULL, wake_loop, loop) == 0);
        must_be(end_of(loop, &note), 0);
        must(pthread_join(thread, NULL) == 0);
    }
    close_loop(loop);
}
END_TEST

/* An outer loop: sleeps on the descriptor whenever the loop says that there is no need to run. */
static void run_nested(struct orr_loop *loop, const struct note *until)
{
    struct pollfd descriptor = {.fd = orr_loop_descriptor(loop), .events = POLLIN};

    while (until->calls == 0) {
        const uint64_t late_ns = orr_now(loop) + RIG_LATE_NS;
        if (orr_loop_timeout_ns(loop) > 0)
            must(poll(&descriptor, 1, (int)(RIG_LATE_NS / ORR_MILLISECOND)) == 1);
        must(orr_now(loop) < late_ns);
        orr_run_for_ns(loop, 0);
    }
}

START_TEST(test_loop__nested_in_another)
{
    struct orr_loop *loop = open_loop(_i);
    int writer;
    const orr_handle handle = adopt_pipe(loop, &writer);

    for (int round = 0; round < 20; round++) {
        struct note wake = {.calls = 0};
        struct note read_note = {.calls = 0};
        pthread_t thread;
        char byte;
        orr_read(loop, &read_note.completion, handle, &byte, 1, 0, take_note, &read_note);
        orr_wait_wake(loop, &wake.completion, take_note, &wake);
        must(pthread_create(&thread, NULL, wake_loop, loop) == 0);
        run_nested(loop, &wake);
        must(pthread_join(thread, NULL) == 0);
        must_be(read_note.calls, 0);
        must(write(writer, "x", 1) == 1);
        run_nested(loop, &read_note);
        must_be(read_note.result, 1);
    }
    close_handle(loop, handle);
    close(writer);
    close_loop(loop);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, test_loop__echo, 0, BATCHES);
    tcase_add_loop_test(tests, test_loop__cancels_and_closes, 0, BATCHES);
    tcase_add_loop_test(tests, test_loop__drain_ends_thousands, 0, BATCHES);
    tcase_add_loop_test(tests, test_loop__files_and_cancels, 0, BATCHES);
    tcase_add_loop_test(tests, test_loop__a_busy_batch_does_not_starve_cancels, 0, BATCHES);
    tcase_add_loop_test(tests, test_loop__limits_of_offsets, 0, BATCHES);
    tcase_add_loop_test(tests, test_loop__wakes_from_a_thread, 0, BATCHES);
    tcase_add_loop_test(tests, test_loop__nested_in_another, 0, BATCHES);
}

int main(int count, char **arguments)
{
    if (count < 2)
        return rig_run("loop", add, suite_run);
    if (count > 2 || strcmp(arguments[1], orr__epoll.name) != 0) {
        fprintf(stderr, "usage: %s [epoll]\n", arguments[0]);
        return EXIT_FAILURE;
    }
    backend = &orr__epoll;
    TCase *tests = tcase_create("loop");
    add(tests);
    return suite_run("loop", tests);
}

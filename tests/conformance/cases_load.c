/*
 * cases_load.c: operations of all kinds at once, over small batches: files beside timers and
 * sockets, their cancels and closes, completions that go from queue to queue, what the kernel may
 * still point to after the submit, what is submitted last, and where callbacks run (rules 1, 2, 5,
 * 6, 9 and 10).
 */
#include "tests/conformance/cases.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define FILES 24u
#define BLOCK 4096u
#define MANY 300u

static struct probe probes[MANY];
static struct probe cancels[MANY];
static uint8_t out[FILES][BLOCK];
static uint8_t in[FILES][BLOCK];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
    memset(cancels, 0, sizeof cancels);
}

/* ---- files beside timers and sockets --------------------------------------------------------- */

/* A file that is opened, written, synced, read, looked at, closed and unlinked, step by step. */
struct file {
    struct probe probe;
    struct orr_stat status;
    orr_handle handle;
    uint32_t at;
    char name[16];
};

static struct file files[FILES];
static uint32_t files_left;

static void next_step(struct probe *probe)
{
    struct file *file = probe->context;
    const uint32_t flags = ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE;
    switch (probe->calls) {
    case 0:
        START(probe, orr_open, ground.directory, file->name, flags, 0644);
        break;
    case 1:
        must(probe->result > 0);
        file->handle = probe->result;
        START(probe, orr_write_all, file->handle, out[file->at], BLOCK, 10);
        break;
    case 2:
        must(probe->result == BLOCK);
        START(probe, orr_fsync, file->handle);
        break;
    case 3:
        must(probe->result == 0);
        START(probe, orr_read_exact, file->handle, in[file->at], BLOCK, 10);
        break;
    case 4:
        must(probe->result == BLOCK);
        START(probe, orr_stat, ground.directory, file->name, &file->status);
        break;
    case 5:
        must(probe->result == 0 && file->status.size == BLOCK + 10);
        START(probe, orr_close, file->handle);
        break;
    case 6:
        must(probe->result == 0);
        START(probe, orr_unlink, ground.directory, file->name, ORR_UNLINK_FILE);
        break;
    default:
        must(probe->result == 0 && probe->calls == 7);
        files_left--;
    }
}

static void start_file(uint32_t at)
{
    struct file *file = &files[at];
    memset(file, 0, sizeof *file);
    file->at = at;
    file->probe.context = file;
    file->probe.then = next_step;
    snprintf(file->name, sizeof file->name, "file%u", at);
    ground_fill(out[at], BLOCK, at);
    next_step(&file->probe);
}

/* A byte goes through the pair, as often as the one before has come. */
static void send_a_byte(const struct pair *pair)
{
    static uint8_t byte;
    struct probe *send = &probes[1];
    struct probe *recv = &probes[2];
    if (orr_in_flight(&send->completion) || orr_in_flight(&recv->completion))
        return;
    START(send, orr_send, pair->server, "x", 1);
    START(recv, orr_recv, pair->client, &byte, 1);
}

/* However much is under way on files, each pass calls back the timer that is due, and bytes
 * come. */
static void files_beside_timers_and_sockets(void)
{
    struct pair pair;
    reset();
    ck_assert(ground_pair(ORR_FAMILY_UNIX, &pair));
    files_left = FILES;
    for (uint32_t i = 0; i < FILES; i++)
        start_file(i);
    while (files_left > 0) {
        send_a_byte(&pair);
        probe_reset(&probes[0]);
        START(&probes[0], orr_timeout, 0);
        orr_run_for_ns(ground.loop, 0);
        EXPECT_END(0, &probes[0]);
        orr_run_for_ns(ground.loop, 20000);
    }
    ck_assert_uint_gt(probes[2].calls, 0);
    for (uint32_t i = 0; i < FILES; i++)
        ground_check(in[i], BLOCK, i);
    orr_run_until_idle(ground.loop);
    ground_close_pair(&pair);
}

/* ---- ends of many file operations ------------------------------------------------------------ */

/* Starts one of several kinds on a file or beside it. */
static void start_kind(uint32_t i, orr_handle file)
{
    static struct orr_stat statuses[MANY];
    static char names[MANY][16];
    struct probe *probe = &probes[i];
    snprintf(names[i], sizeof names[i], "n%u", i);
    switch (i % 6) {
    case 0:
        START(probe, orr_write_all, file, out, BLOCK, (uint64_t)i * BLOCK);
        break;
    case 1:
        START(probe, orr_fsync, file);
        break;
    case 2:
        START(probe, orr_read, file, in[i % FILES], BLOCK, 0);
        break;
    case 3:
        START(probe, orr_stat, file, NULL, &statuses[i]);
        break;
    case 4:
        START(probe, orr_fdatasync, file);
        break;
    default:
        START(probe, orr_open, ground.directory, names[i], ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644);
    }
}

/* It was done, or canceled; a handle that it made is closed. */
static void check_kind(uint32_t i)
{
    int64_t result = probes[i].result;
    ck_assert_uint_eq(probes[i].calls, 1);
    ck_assert_msg(result >= 0 || result == -ECANCELED, "%s: %s",
                  orr_op_name(probes[i].completion.request.op), probe_text(result));
    if (i % 6 == 0)
        ck_assert_msg(result == BLOCK || result == -ECANCELED, "%s", probe_text(result));
    if (i % 6 == 5 && result > 0)
        ground_close(result);
}

/* Each is canceled some passes after its start, some before they were handed over. */
static void cancels_of_many_file_operations(void)
{
    orr_handle file = ground_file("f");
    reset();
    for (uint32_t i = 0; i < MANY; i++) {
        start_kind(i, file);
        if (i % 5 == 0)
            orr_run_for_ns(ground.loop, i % 20 == 0 ? 20000 : 0);
        uint32_t target = i - i % 7 / 2;
        if (!orr_in_flight(&cancels[target].completion) && cancels[target].calls == 0)
            START(&cancels[target], orr_cancel, &probes[target].completion);
    }
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < MANY; i++) {
        check_kind(i);
        if (cancels[i].calls == 0)
            continue;
        ck_assert_uint_eq(cancels[i].calls, 1);
        if (cancels[i].result == -ENOENT) /* it had ended before the cancel's submit */
            continue;
        EXPECT(probes[i].result == -ECANCELED ? 0 : -EALREADY, cancels[i].result);
        ck_assert_uint_lt(probes[i].order, cancels[i].order);
    }
    ground_close(file);
}

/* They end before the close does, and none of them reaches the file that comes next, on the same
 * descriptor. */
static void close_with_many_file_operations(void)
{
    for (uint32_t round = 0; round < 8; round++) {
        struct probe close = {.calls = 0};
        uint8_t bytes[16];
        orr_handle file = ground_file("old");
        reset();
        for (uint32_t i = 0; i < MANY; i++)
            start_kind(i, file);
        for (uint32_t i = 0; i < round % 4; i++)
            orr_run_for_ns(ground.loop, i * 10000);
        START(&close, orr_close, file);
        EXPECT_END(0, &close);
        for (uint32_t i = 0; i < MANY; i++)
            if (i % 6 != 5)
                ck_assert(probes[i].calls == 1 && probes[i].order < close.order);
        orr_handle next = ground_file("new");
        EXPECT(0, END_OF(orr_read, next, bytes, sizeof bytes, 0));
        EXPECT(-EBADF, END_OF(orr_write, file, out, 1, 0));
        orr_run_until_idle(ground.loop);
        for (uint32_t i = 0; i < MANY; i++)
            check_kind(i);
        EXPECT(0, END_OF(orr_read, next, bytes, sizeof bytes, 0));
        ground_close(next);
    }
}

/* ---- completions ----------------------------------------------------------------------------- */

#define TURNS 60u

static orr_handle turn_file;
static orr_handle turn_socket;

/* The same completion waits as a timer, in the overflow queue, in the backend, for a wake and among
 * those that are ready, in an order of its own; a link left over from one queue would show in the
 * next. */
static void take_a_turn(struct probe *probe)
{
    uint32_t at = (uint32_t)(probe - probes);
    uint64_t turn = probe->calls;
    if (turn == TURNS)
        return;
    must(turn == 0 || probe->result >= 0 || probe->result == -ECANCELED);
    switch ((turn * 5 + at * 3 + turn / 9 * 2) % 6) {
    case 0:
        START(probe, orr_timeout, at % 3 * 1000);
        break;
    case 1:
        START(probe, orr_read, turn_file, in[at % FILES], 16, 0);
        break;
    case 2:
        orr_next_tick(ground.loop, &probe->completion, probe_called, probe);
        break;
    case 3:
        orr_wait_wake(ground.loop, &probe->completion, probe_called, probe);
        orr_wake(ground.loop);
        break;
    case 4:
        START(probe, orr_poll, turn_socket, ORR_POLL_OUT);
        break;
    default:
        START(probe, orr_poll, turn_socket, ORR_POLL_IN); /* never: until it is canceled */
        if (!orr_in_flight(&cancels[at].completion))
            START(&cancels[at], orr_cancel, &probe->completion);
    }
}

static void completions_go_from_queue_to_queue(void)
{
    struct orr_address address;
    turn_file = ground_file("f");
    turn_socket = ground_datagram(ORR_FAMILY_IP4, &address);
    reset();
    for (uint32_t i = 0; i < 50; i++) {
        probes[i].then = take_a_turn;
        take_a_turn(&probes[i]);
    }
    orr_run_until_idle(ground.loop);
    for (uint32_t i = 0; i < 50; i++)
        ck_assert_uint_eq(probes[i].calls, TURNS);
    ground_close(turn_file);
    ground_close(turn_socket);
}

/* ---- what the kernel points to --------------------------------------------------------------- */

#define STACK_BYTES 32768

/* Fills the stack below the caller with another pattern each time. */
static __attribute__((noinline)) void dirty_the_stack(int pattern)
{
    volatile uint8_t bytes[STACK_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)pattern;
}

struct pointed {
    orr_handle listener;
    orr_handle first;
    orr_handle second;
    orr_handle file;
    orr_handle client;
    struct orr_address listening;
    struct orr_address first_address;
    struct orr_address second_address;
};

static struct orr_address accepted;
static struct orr_datagram sent;
static struct orr_datagram got;
static struct orr_stat status;
static const struct orr_vector from[] = {{out[0], 100}, {out[1], 100}};
static const struct orr_vector into[] = {{in[0], 50}, {in[1], 150}};

/* One of each operation that carries a structure, a path or an address. */
static void start_pointed(const struct pointed *of)
{
    got = (struct orr_datagram){.buffer = in[2], .length = 100};
    sent = (struct orr_datagram){.buffer = out[2], .length = 50, .peer = of->second_address};
    START(&probes[0], orr_accept, of->listener, &accepted);
    START(&probes[1], orr_connect, of->client, &of->listening);
    START(&probes[2], orr_recv_from, of->second, &got);
    START(&probes[3], orr_send_to, of->first, &sent);
    START(&probes[4], orr_stat, ground.directory, "f", &status);
    START(&probes[5], orr_writev, of->file, from, 2, 0);
    START(&probes[6], orr_timeout, 300000);
    START(&probes[7], orr_mkdir, ground.directory, "d", 0755);
    START(&probes[8], orr_rename, ground.directory, "g", "h");
}

static void check_pointed(const struct pointed *of)
{
    struct orr_address local;
    orr_handle server = ground_result(&probes[0]);
    ck_assert_int_gt(server, 0);
    EXPECT_END(0, &probes[1]);
    EXPECT(0, orr_local_address(ground.loop, of->client, &local));
    ck_assert(orr_address_equal(&accepted, &local));
    EXPECT_END(50, &probes[2]);
    EXPECT_END(50, &probes[3]);
    ck_assert(orr_address_equal(&got.peer, &of->first_address) && !got.truncated);
    ground_check(in[2], 50, 2);
    EXPECT_END(0, &probes[4]);
    ck_assert_uint_eq(status.type, ORR_FILE_REGULAR);
    int64_t wrote = ground_result(&probes[5]);
    ck_assert(wrote == 200 || (ground.driver->strained && wrote > 0));
    EXPECT_END(0, &probes[6]);
    EXPECT_END(0, &probes[7]);
    EXPECT_END(0, &probes[8]);
    int64_t length = END_OF(orr_readv, of->file, into, 2, 0);
    ck_assert(length == wrote || (ground.driver->strained && length > 0));
    ground_check(in[0], length < 50 ? (size_t)length : 50, 0);
    EXPECT(0, END_OF(orr_unlink, ground.directory, "d", ORR_UNLINK_DIRECTORY));
    EXPECT(0, END_OF(orr_rename, ground.directory, "h", "g"));
    ground_close(server);
}

/* What the backend makes of a request lives in the caller's structures or in its own memory until
 * the end: the stack of the submit, of a flush or of a timed wait is soon another's. */
static void nothing_in_flight_lies_on_the_stack(void)
{
    struct pointed of;
    for (uint32_t i = 0; i < 3; i++)
        ground_fill(out[i], BLOCK, i);
    of.file = ground_file("f");
    ground_close(ground_file("g"));
    of.first = ground_datagram(ORR_FAMILY_IP4, &of.first_address);
    of.second = ground_datagram(ORR_FAMILY_IP4, &of.second_address);
    of.listener = ground_listen(ORR_FAMILY_IP4, 4, &of.listening);
    for (uint32_t round = 0; round < 4; round++) {
        reset();
        of.client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        start_pointed(&of);
        for (int i = 0; i < 40; i++) {
            dirty_the_stack(i);
            orr_run_for_ns(ground.loop, round % 2 == 0 ? 0 : 20000);
        }
        check_pointed(&of);
        ground_close(of.client);
    }
    ground_close(of.file);
    ground_close(of.first);
    ground_close(of.second);
    ground_close(of.listener);
}

/* ---- what is submitted last ------------------------------------------------------------------ */

/* A connection from the ground's loop to another: the ends, in that order. */
static void connect_to(struct orr_loop *second, orr_handle ret_ends[2])
{
    struct orr_loop *first = ground.loop;
    struct orr_address address;
    char text[ORR_ADDRESS_TEXT_MAX];
    ground.loop = second;
    orr_handle listener = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(0, orr_address_parse("0.0.0.0:0", &address));
    EXPECT(0, orr_bind(second, listener, &address));
    EXPECT(0, orr_listen(second, listener, 1));
    EXPECT(0, orr_local_address(second, listener, &address));
    snprintf(text, sizeof text, "%s:%u", ground.driver->second_host, orr_address_port(&address));
    EXPECT(0, orr_address_parse(text, &address));
    START(&probes[1], orr_accept, listener, NULL);
    ground.loop = first;
    ret_ends[0] = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    START(&probes[0], orr_connect, ret_ends[0], &address);
    while (probes[0].calls == 0 || probes[1].calls == 0) {
        orr_run_for_ns(first, 0);
        orr_run_for_ns(second, 0);
    }
    EXPECT_END(0, &probes[0]);
    ret_ends[1] = probes[1].result;
    ck_assert_int_gt(ret_ends[1], 0);
}

static void send_from_the_callback(struct probe *probe)
{
    START(&probes[1], orr_send, *(const orr_handle *)probe->context, "x", 1);
}

/* What a callback submits last is handed over before the run call returns: whoever waits for it
 * outside need not run the loop again. */
static void what_a_callback_submits_is_on_its_way(void)
{
    struct orr_loop *first = ground.loop;
    struct orr_loop *second = ground_open_loop(NULL);
    orr_handle ends[2];
    reset();
    connect_to(second, ends);
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t byte = 0;
        reset();
        probes[0].then = send_from_the_callback;
        probes[0].context = &ends[0];
        orr_next_tick(first, &probes[0].completion, probe_called, &probes[0]);
        if (i == 0)
            orr_run_for_ns(first, 0);
        else if (i == 1)
            orr_run_once(first);
        else
            orr_run_for_ns(first, 1);
        ck_assert_uint_eq(probes[0].calls, 1);
        ground.loop = second;
        EXPECT(1, END_OF(orr_recv, ends[1], &byte, 1));
        ground.loop = first;
        EXPECT_END(1, &probes[1]);
    }
    orr_loop_close(second);
}

/* ---- threads --------------------------------------------------------------------------------- */

static pthread_t main_thread;

static void check_thread(struct probe *probe)
{
    (void)probe;
    must(pthread_equal(main_thread, pthread_self()));
}

/* Whatever a backend does in threads of its own, nobody is called back there. */
static void callbacks_come_on_the_loops_thread(void)
{
    struct pair pair;
    orr_handle file = ground_file("f");
    ck_assert(ground_pair(ORR_FAMILY_UNIX, &pair));
    main_thread = pthread_self();
    for (uint32_t round = 0; round < 100; round++) {
        reset();
        for (uint32_t i = 0; i < 9; i++)
            probes[i].then = check_thread;
        START(&probes[0], orr_write_all, file, out[0], sizeof out[0], 0);
        START(&probes[1], orr_fdatasync, file);
        START(&probes[2], orr_read, file, in[0], 10, 0);
        START(&probes[3], orr_stat, ground.directory, "f", &status);
        START(&probes[4], orr_mkdir, ground.directory, "f", 0755);
        START(&probes[5], orr_recv, pair.client, in[1], 1);
        START(&probes[6], orr_send, pair.server, out[0], 1);
        orr_wait_wake(ground.loop, &probes[7].completion, probe_called, &probes[7]);
        START(&probes[8], orr_timeout, 100000);
        orr_wake(ground.loop);
        orr_run_until_idle(ground.loop);
        for (uint32_t i = 0; i < 9; i++)
            ck_assert_uint_eq(probes[i].calls, 1);
    }
    ground_close_pair(&pair);
    ground_close(file);
}

const struct conformance_case cases_load[] = {
    {.name = "files_beside_timers_and_sockets",
     .run = files_beside_timers_and_sockets,
     .batch_entries = 8},
    {.name = "cancels_of_many_file_operations",
     .run = cancels_of_many_file_operations,
     .batch_entries = 8},
    {.name = "close_with_many_file_operations",
     .run = close_with_many_file_operations,
     .batch_entries = 8},
    {.name = "close_with_many_file_operations_in_one_batch",
     .run = close_with_many_file_operations},
    {.name = "completions_go_from_queue_to_queue",
     .run = completions_go_from_queue_to_queue,
     .batch_entries = 2},
    {.name = "nothing_in_flight_lies_on_the_stack", .run = nothing_in_flight_lies_on_the_stack},
    {.name = "what_a_callback_submits_is_on_its_way", .run = what_a_callback_submits_is_on_its_way},
    {.name = "callbacks_come_on_the_loops_thread", .run = callbacks_come_on_the_loops_thread},
    {.name = NULL},
};

/*
 * cases_descriptor.c: what only a kernel has, where descriptors come in: which the loop holds and
 * gives back, foreign ones, signals of broken pipes, calls that block, lengths beyond what one
 * system call takes (rules 2, 4, 10 and 13).
 */
#define _GNU_SOURCE 1 /* F_GETFD, pipe */
#include "tests/conformance/cases.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct probe probes[16];
static uint8_t in[100];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

/* ---- descriptors of the loop ----------------------------------------------------------------- */

#define DESCRIPTORS_MAX 1024

/* What is open in the process: 0 = closed, 1 = open, 2 = open and inherited by what it executes. */
static void list_descriptors(uint8_t *ret_list)
{
    for (int i = 0; i < DESCRIPTORS_MAX; i++) {
        int flags = fcntl(i, F_GETFD);
        ret_list[i] = flags < 0 ? 0 : (flags & FD_CLOEXEC) != 0 ? 1 : 2;
    }
}

/* A loop of its own in ground.loop, and what was open before. */
static struct orr_loop *open_inner(uint8_t *ret_before)
{
    struct orr_loop *outer = ground.loop;
    list_descriptors(ret_before);
    ground.loop = ground_open_loop(NULL);
    reset();
    return outer;
}

static void close_inner(struct orr_loop *outer)
{
    orr_drain(ground.loop);
    orr_loop_close(ground.loop);
    ground.loop = outer;
}

/* Those that one sees and those that the loop has for itself. */
static void every_descriptor_is_close_on_exec(void)
{
    static uint8_t before[DESCRIPTORS_MAX];
    static uint8_t now[DESCRIPTORS_MAX];
    struct pair pair;
    uint32_t seen = 0;
    struct orr_loop *outer = open_inner(before);
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    (void)ground_datagram(ORR_FAMILY_IP4, &(struct orr_address){0});
    EXPECT_EITHER(0, -EEXIST, END_OF(orr_mkdir, ORR_DIRECTORY_CURRENT, "/tmp", 0755));
    ck_assert_int_gt(END_OF(orr_open, ORR_DIRECTORY_CURRENT, "/tmp", ORR_OPEN_DIRECTORY, 0), 0);
    ck_assert_int_ge(orr_loop_descriptor(ground.loop), 0);
    list_descriptors(now);
    for (int i = 0; i < DESCRIPTORS_MAX; i++) {
        seen += now[i] != before[i];
        ck_assert_msg(now[i] == before[i] || now[i] == 1, "%d is inherited", i);
    }
    ck_assert_uint_ge(seen, 6); /* the loop's own and five handles */
    close_inner(outer);
}

/* Connections that are accepted while the accept is canceled or its listener closed. */
static void race_with_connections(void)
{
    for (uint32_t round = 0; round < 20; round++) {
        struct orr_address address;
        orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
        reset();
        START(&probes[0], orr_accept, listener, NULL);
        START(&probes[1], orr_accept, listener, NULL);
        START(&probes[2], orr_connect, ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM), &address);
        START(&probes[3], orr_open, ORR_DIRECTORY_CURRENT, "/tmp", ORR_OPEN_DIRECTORY, 0);
        for (uint32_t i = 0; i < round % 4; i++)
            orr_run_for_ns(ground.loop, 0);
        if (round % 3 == 0)
            START(&probes[4], orr_close, listener);
        else if (orr_in_flight(&probes[0].completion))
            START(&probes[4], orr_cancel, &probes[0].completion);
        START(&probes[5], orr_cancel, &probes[3].completion);
        orr_drain(ground.loop);
    }
}

#define HANG_MS 15000u

/* Whatever became of the operations: when the loop is closed, the process has what it had (over
 * libkqueue after a while: a thread of it closes a part). */
static void a_loop_leaves_no_descriptor(void)
{
    static uint8_t before[DESCRIPTORS_MAX];
    static uint8_t after[DESCRIPTORS_MAX];
    struct pair pair;
    int ends[2];
    struct orr_loop *outer = open_inner(before);
    race_with_connections();
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair)); /* stays open */
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_gt(orr_adopt(ground.loop, ends[0]), 0);
    ck_assert_int_gt(orr_adopt(ground.loop, ends[1]), 0);
    (void)orr_loop_descriptor(ground.loop);
    close_inner(outer);
    list_descriptors(after);
    for (uint32_t i = 0; i < HANG_MS && memcmp(before, after, sizeof after) != 0; i++) {
        ground.driver->pass_time(outer, ORR_MILLISECOND);
        list_descriptors(after);
    }
    for (int i = 0; i < DESCRIPTORS_MAX; i++)
        ck_assert_msg(before[i] == after[i], "%d: %d before, %d after", i, before[i], after[i]);
}

/* ---- foreign descriptors --------------------------------------------------------------------- */

static void adopted_descriptors(void)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    reset();
    orr_handle reader = orr_adopt(ground.loop, ends[0]);
    orr_handle writer = orr_adopt(ground.loop, ends[1]);
    ck_assert(reader > 0 && writer > 0);
    EXPECT(FD_CLOEXEC, fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
    EXPECT(ends[0], orr_descriptor(ground.loop, reader));
    START(&probes[0], orr_poll, reader, ORR_POLL_IN);
    START(&probes[1], orr_read, reader, in, sizeof in, 0);
    ground_settle();
    ck_assert_uint_eq(probes[0].calls + probes[1].calls, 0);
    EXPECT(4, END_OF(orr_write, writer, "pipe", 4, 0));
    EXPECT_END(4, &probes[1]);
    ck_assert_mem_eq(in, "pipe", 4);
    EXPECT_END(ORR_POLL_IN, &probes[0]);
    START(&probes[2], orr_poll, reader, ORR_POLL_IN);
    ground_close(writer);
    EXPECT_END(ORR_POLL_HANGUP, &probes[2]);
    EXPECT(0, END_OF(orr_read, reader, in, sizeof in, 0));
    ground_close(reader);
    EXPECT(-1, fcntl(ends[0], F_GETFD));
    EXPECT(-1, fcntl(ends[1], F_GETFD));
    EXPECT(-EBADF, orr_adopt(ground.loop, ends[0]));
    EXPECT(-EBADF, orr_adopt(ground.loop, -1));
}

/* A connection that one loop has accepted is served by another. A world has the case among its own
 * tests: there a second loop belongs to a program. */
static void a_handle_moves_to_another_loop(void)
{
    struct pair pair;
    struct probe probe = {.calls = 0};
    reset();
    ck_assert(ground_pair(ORR_FAMILY_IP4, &pair));
    struct orr_loop *second = ground_open_loop(NULL);
    START(&probes[0], orr_recv, pair.server, in, sizeof in); /* so that a poller knows it */
    ground_settle();
    EXPECT(1, END_OF(orr_send, pair.client, "1", 1));
    EXPECT_END(1, &probes[0]);
    orr_handle moved = orr_adopt(second, orr_release(ground.loop, pair.server));
    ck_assert_int_gt(moved, 0);
    orr_recv(second, &probe.completion, moved, in, sizeof in, probe_called, &probe);
    orr_run_for_ns(second, 0);
    ck_assert_uint_eq(probe.calls, 0);
    EXPECT(2, END_OF(orr_send_all, pair.client, "23", 2));
    orr_run_until_idle(second);
    probe_check(&probe, 2);
    orr_loop_close(second); /* and closes what it has */
    EXPECT(0, END_OF(orr_recv, pair.client, in, sizeof in));
    ground_close(pair.client);
    ground_close(pair.listener);
}

/* Other processes may share the open file: whether it blocks is theirs to say. The loop does not
 * block, either way, and leaves the mode as it was when the handle is closed; in between a backend
 * may need the other one. */
static void adoption_gives_the_mode_back(void)
{
    for (int mode = 0; mode <= O_NONBLOCK; mode += O_NONBLOCK) {
        int ends[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_RDWR | mode), 0);
        int shared = dup(ends[0]);
        reset();
        orr_handle stream = orr_adopt(ground.loop, ends[0]);
        START(&probes[0], orr_poll, stream, ORR_POLL_IN);
        START(&probes[1], orr_timeout, ORR_MILLISECOND);
        EXPECT_END(0, &probes[1]);
        ck_assert_uint_eq(probes[0].calls, 0);
        ck_assert_int_eq(write(ends[1], "abc", 3), 3);
        EXPECT_END(ORR_POLL_IN, &probes[0]);
        EXPECT(3, END_OF(orr_read, stream, in, sizeof in, 0));
        EXPECT(2, END_OF(orr_write, stream, "de", 2, 0));
        ground_close(stream);
        ck_assert_int_eq(fcntl(shared, F_GETFL), O_RDWR | mode);
        close(shared);
        close(ends[1]);
    }
}

static uint64_t flushes(void)
{
    struct orr_statistics statistics;
    orr_loop_statistics(ground.loop, &statistics);
    return statistics.flushes;
}

/* The file stays open when one of its descriptors is closed, and so may what the kernel was told to
 * watch. Neither is the closed one heard of again (which would keep the loop awake), nor
 * the other less. */
static void two_descriptors_of_one_file(void)
{
    for (uint32_t round = 0; round < 4; round++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        reset();
        orr_handle first = orr_adopt(ground.loop, ends[0]);
        orr_handle second = orr_adopt(ground.loop, dup(ends[0]));
        START(&probes[round % 2], orr_poll, first, ORR_POLL_IN);
        START(&probes[1 - round % 2], orr_poll, second, ORR_POLL_IN);
        ground_settle();
        START(&probes[2], orr_close, round < 2 ? first : second);
        EXPECT_END(0, &probes[2]);
        EXPECT_END(-ECANCELED, &probes[round < 2 ? round % 2 : 1 - round % 2]);
        orr_handle third = orr_adopt(ground.loop, dup(ends[1])); /* on the number just freed */
        START(&probes[3], orr_poll, third, ORR_POLL_OUT);
        EXPECT_END(ORR_POLL_OUT, &probes[3]);
        ground_settle();
        ck_assert_int_eq(write(ends[1], "x", 1), 1);
        EXPECT_END(ORR_POLL_IN, &probes[round < 2 ? 1 - round % 2 : round % 2]);
        uint64_t before = flushes();
        orr_run_for_ns(ground.loop, 2 * ORR_MILLISECOND); /* the byte is there, nobody waits */
        ck_assert_uint_le(flushes(), before + 16);
        ground_close(third);
        ground_close(round < 2 ? second : first);
        close(ends[1]);
    }
}

/* ---- broken pipes ---------------------------------------------------------------------------- */

/* Neither a pipe nor a socket that is written to like a file raises a signal. */
static void no_signal_from_a_broken_pipe(void)
{
    int ends[2];
    struct pair pair;
    ck_assert_int_eq(pipe(ends), 0);
    orr_handle writer = orr_adopt(ground.loop, ends[1]);
    close(ends[0]);
    EXPECT(-EPIPE, END_OF(orr_write, writer, "x", 1, 0));
    EXPECT(-EPIPE, END_OF(orr_write_all, writer, "x", 1, 0));
    ground_close(writer);
    ck_assert(ground_pair(ORR_FAMILY_UNIX, &pair));
    ground_close(pair.server);
    EXPECT(-EPIPE, END_OF(orr_write, pair.client, "x", 1, 0));
    ground_close(pair.client);
    ground_close(pair.listener);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

static void handle_broken_pipes(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal;
    signals_seen = 0;
    ck_assert_int_eq(sigaction(SIGPIPE, &action, NULL), 0);
}

/* 1 if the thread blocks SIGPIPE, 0 if not. */
static int blocks_sigpipe(void)
{
    sigset_t mask;
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    return sigismember(&mask, SIGPIPE);
}

/* A program that handles SIGPIPE itself gets none from a stream, either. */
static void no_signal_though_the_program_handles_it(void)
{
    struct sigaction action;
    struct pair pair;
    struct orr_datagram datagram = {.buffer = in, .length = 1};
    const struct orr_vector vector = {in, 1};
    handle_broken_pipes();
    struct orr_loop *second = ground_open_loop(NULL); /* leaves the handler in its place */
    ck_assert_int_eq(sigaction(SIGPIPE, NULL, &action), 0);
    ck_assert(action.sa_handler == count_signal);
    orr_loop_close(second);
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        if (!ground_pair(ground_families[i], &pair))
            continue;
        EXPECT(0, END_OF(orr_shutdown, pair.client, ORR_SHUTDOWN_SEND));
        EXPECT(-EPIPE, END_OF(orr_send, pair.client, "x", 1));
        EXPECT(-EPIPE, END_OF(orr_send_all, pair.client, "x", 1));
        EXPECT(-EPIPE, END_OF(orr_send_to, pair.client, &datagram));
        EXPECT(-EPIPE, END_OF(orr_write, pair.client, "x", 1, 0));
        EXPECT(-EPIPE, END_OF(orr_write_all, pair.client, "x", 1, 0));
        EXPECT(-EPIPE, END_OF(orr_writev, pair.client, &vector, 1, 0));
        ground_close_pair(&pair);
    }
    ck_assert_int_eq(signals_seen, 0);
}

/* A pipe that takes no more, and a write that waits for room. */
static void write_and_wait(orr_handle writer, struct probe *waits)
{
    static uint8_t block[65536];
    for (uint32_t i = 0; i < 64; i++) {
        memset(waits, 0, sizeof *waits);
        START(waits, orr_write, writer, block, sizeof block, 0);
        ground_settle();
        if (waits->calls == 0)
            return;
        ck_assert_int_gt(waits->result, 0);
    }
    ck_abort_msg("a pipe takes 4 MiB");
}

/* Nor from a pipe, whether the write fails at once or after a wait. */
static void no_signal_from_a_pipe_though_the_program_handles_it(void)
{
    int ends[2];
    const struct orr_vector vector = {in, 1};
    ck_assert_int_eq(pipe(ends), 0);
    handle_broken_pipes();
    reset();
    orr_handle reader = orr_adopt(ground.loop, ends[0]);
    orr_handle writer = orr_adopt(ground.loop, ends[1]);
    write_and_wait(writer, &probes[0]);
    ground_close(reader);
    EXPECT_END(-EPIPE, &probes[0]);
    EXPECT(-EPIPE, END_OF(orr_write, writer, "x", 1, 0));
    EXPECT(-EPIPE, END_OF(orr_write_all, writer, "x", 1, 0));
    EXPECT(-EPIPE, END_OF(orr_writev, writer, &vector, 1, 0));
    ground_close(writer);
    ck_assert_int_eq(signals_seen, 0);
    ck_assert_int_eq(blocks_sigpipe(), 0);
}

/* A SIGPIPE that is the program's own is neither let through nor taken away. */
static void a_signal_that_the_program_blocks_stays(void)
{
    int ends[2];
    sigset_t set;
    ck_assert_int_eq(pipe(ends), 0);
    orr_handle writer = orr_adopt(ground.loop, ends[1]);
    close(ends[0]);
    handle_broken_pipes();
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    EXPECT(-EPIPE, END_OF(orr_write, writer, "x", 1, 0));
    ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    ck_assert_int_eq(signals_seen, 0);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    ck_assert_int_eq(raise(SIGPIPE), 0);
    EXPECT(-EPIPE, END_OF(orr_write, writer, "x", 1, 0));
    ck_assert_int_eq(signals_seen, 0);
    ck_assert_int_eq(blocks_sigpipe(), 1);
    ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    ck_assert_int_eq(signals_seen, 1);
    ground_close(writer);
}

/* ---- what would block, and what is too long -------------------------------------------------- */

#define BLOCKED 3u

/* A pipe with a name in the ground's directory. */
static void make_fifo(char path[CONFORMANCE_PREFIX_MAX + 8])
{
    snprintf(path, CONFORMANCE_PREFIX_MAX + 8, "%sfifo", ground.prefix);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

/* The open of a pipe with a name may wait for the other end where the kernel looks for the name
 * (io_uring). It holds up neither the submit nor the loop, nor other operations on files. */
static void an_open_that_blocks_blocks_nobody(void)
{
    char path[CONFORMANCE_PREFIX_MAX + 8];
    int writers[BLOCKED];
    make_fifo(path);
    reset();
    for (uint32_t i = 0; i < BLOCKED; i++)
        START(&probes[i], orr_open, ground.directory, "fifo", ORR_OPEN_READ, 0);
    START(&probes[BLOCKED], orr_timeout, ORR_MILLISECOND);
    EXPECT_END(0, &probes[BLOCKED]);
    orr_handle file = ground_file("f");
    EXPECT(3, END_OF(orr_write_all, file, "abc", 3, 0));
    EXPECT(0, END_OF(orr_fsync, file));
    ground_close(file);
    for (uint32_t i = 0; i < BLOCKED; i++)
        writers[i] = open(path, O_WRONLY | O_CLOEXEC);
    for (uint32_t i = 0; i < BLOCKED; i++) {
        orr_handle reader = ground_result(&probes[i]);
        ck_assert_msg(reader > 0, "%s", probe_text(reader));
        ground_close(reader);
        close(writers[i]);
    }
}

/* Nobody ever opens the other end; more of them than a backend may have threads. */
static void a_drain_ends_the_open_of_a_fifo(void)
{
    char path[CONFORMANCE_PREFIX_MAX + 8];
    make_fifo(path);
    reset();
    for (uint32_t i = 0; i < 10; i++)
        START(&probes[i], orr_open, ground.directory, "fifo", ORR_OPEN_WRITE, 0);
    ground_settle();
    orr_drain(ground.loop);
    for (uint32_t i = 0; i < 10; i++)
        EXPECT_EITHER(-ENXIO, -ECANCELED, ground_result(&probes[i]));
    START(&probes[10], orr_open, ground.directory, "fifo", ORR_OPEN_READ, 0);
    ground_settle();
    orr_drain(ground.loop);
    orr_handle reader = ground_result(&probes[10]);
    ck_assert_msg(reader > 0 || reader == -ECANCELED, "%s", probe_text(reader));
    if (reader > 0)
        ground_close(reader);
}

#define GIB (UINT64_C(1) << 30)

/* More than a system call takes, or than its result can say: cut like any partial transfer. The
 * memory is never touched, and nothing is kept of what is written. */
static void transfers_beyond_the_longest_are_cut(void)
{
    uint8_t *space = ground_space(5 * GIB);
    const struct orr_vector vectors[3] = {{space, GIB}, {space, GIB}, {space, GIB}};
    orr_handle null = orr_adopt(ground.loop, open("/dev/null", O_RDWR));
    EXPECT(ORR_TRANSFER_MAX, END_OF(orr_write, null, space, ORR_TRANSFER_MAX, 0));
    EXPECT(ORR_TRANSFER_MAX, END_OF(orr_write, null, space, ORR_TRANSFER_MAX + 1, 0));
    EXPECT(ORR_TRANSFER_MAX, END_OF(orr_write, null, space, 2 * GIB, 0));
    EXPECT(ORR_TRANSFER_MAX, END_OF(orr_write, null, space, 4 * GIB + 1, 0));
    EXPECT(ORR_TRANSFER_MAX, END_OF(orr_writev, null, vectors, 3, 0));
    EXPECT(ORR_TRANSFER_MAX, END_OF(orr_write_all, null, space, ORR_TRANSFER_MAX, 0));
    EXPECT(-EINVAL, END_OF(orr_write_all, null, space, 4 * GIB + 1, 0));
    EXPECT(0, END_OF(orr_read, null, space, 4 * GIB + 1, 0));
    ground_close(null);
}

const struct conformance_case cases_descriptor[] = {
    /* Descriptors of this process: a world's are numbers of its own, which nothing inherits. */
    {.name = "every_descriptor_is_close_on_exec", .run = every_descriptor_is_close_on_exec},
    {.name = "a_loop_leaves_no_descriptor", .run = a_loop_leaves_no_descriptor},
    /* Foreign descriptors: a world adopts none, for nothing outside of it may act in it. */
    {.name = "adopted_descriptors", .run = adopted_descriptors},
    {.name = "a_handle_moves_to_another_loop", .run = a_handle_moves_to_another_loop},
    {.name = "adoption_gives_the_mode_back", .run = adoption_gives_the_mode_back},
    {.name = "two_descriptors_of_one_file", .run = two_descriptors_of_one_file},
    /* Pipes are adopted, and signals are this system's. */
    {.name = "no_signal_from_a_broken_pipe", .run = no_signal_from_a_broken_pipe},
    {.name = "no_signal_though_the_program_handles_it",
     .run = no_signal_though_the_program_handles_it},
    {.name = "no_signal_from_a_pipe_though_the_program_handles_it",
     .run = no_signal_from_a_pipe_though_the_program_handles_it},
    {.name = "a_signal_that_the_program_blocks_stays",
     .run = a_signal_that_the_program_blocks_stays},
    /* A world's disk has no FIFOs: the interface cannot make one. */
    {.name = "an_open_that_blocks_blocks_nobody", .run = an_open_that_blocks_blocks_nobody},
    {.name = "a_drain_ends_the_open_of_a_fifo", .run = a_drain_ends_the_open_of_a_fifo},
    /* A device that keeps nothing is adopted; a world's disk would keep all of the bytes. */
    {.name = "transfers_beyond_the_longest_are_cut", .run = transfers_beyond_the_longest_are_cut},
    {.name = NULL},
};

/*
 * The load on echo servers: N connections to each, every one a closed loop of one message.
 *
 * The model: all servers run at the same time, but only one at a time has work. The client gives
 * each in turn a slice: it sends on all connections of that server, lets the exchange settle,
 * measures for some milliseconds, and drains it (sends nothing new, waits for what is under way).
 * A cycle is one slice of every server, and cycles go on to the end. So the servers are compared
 * within a few hundredths of a second: on a shared machine speed drifts by tens of percent within
 * seconds, and measuring one server after the other would measure the drift. Consecutive cycles
 * begin with another server and alternate in direction, so that none has a fixed predecessor.
 *
 * A slice's CPU time is read from the server's own process clock at the two moments between which
 * messages are counted; /proc/PID/schedstat lags by up to a tick for a running process.
 *
 * The client must be cheaper than the server, or the server would idle and its batches shrink:
 * hence one io_uring_enter per pass, MSG_WAITALL so that a message is one completion, no completion
 * for a send that went well, and no receive attempt before the socket is ready. Every reply is
 * compared byte for byte. A run is bounded in connections, bytes and time, and an alarm ends it
 * should a server never answer.
 *
 * The output is one line of JSON per measured slice and one per server at the end; times are in
 * nanoseconds, servers and cycles are counted from 0.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SERVERS_MAX = 8,
    CONNECTIONS_MAX = 1024,
    BYTES_MIN = 16, /* the two numbers that make each message differ from the last */
    BYTES_MAX = 16384,
    CYCLES_MAX = 10000,
    CYCLES_WARM_UP = 5, /* made before the first cycle that counts */
    SLICE_MS_MAX = 10000,
    SETTLE_MS = 5,
    RUN_S_MAX = 600,
    GRACE_S = 10,
    SQ_ENTRIES = 2 * CONNECTIONS_MAX,
    CQ_ENTRIES = 4 * CONNECTIONS_MAX,
};

enum phase {
    PHASE_SETTLE,
    PHASE_MEASURE,
    PHASE_DRAIN,
};

/* Round-trip times, 32 buckets to each power of two: a bucket is at most 3 % wide. */
enum {
    BUCKET_BITS = 5,
    BUCKETS_PER_POWER = 1 << BUCKET_BITS,
    BUCKETS = 64 * BUCKETS_PER_POWER,
};

struct connection {
    struct server *server;
    int fd;
    uint64_t sent_at_ns;
    uint64_t messages;
    char *message;
    char *reply;
};

struct server {
    uint16_t port;
    clockid_t cpu_clock;
    struct connection *connections;
    uint64_t messages; /* echoed, in all phases */
    uint64_t round_trips[BUCKETS];
};

struct sample {
    uint64_t wall_ns;
    uint64_t server_cpu_ns;
    uint64_t client_cpu_ns;
    uint64_t messages;
};

static struct {
    uint32_t connections;
    uint32_t bytes;
    uint32_t cycles;
    uint32_t slice_ms;
} options = {.connections = 64, .bytes = 64, .cycles = 20, .slice_ms = 20};

static struct server servers[SERVERS_MAX];
static uint32_t servers_count;
static struct io_uring ring;
static enum phase phase;
static bool counting; /* past the warm-up */

__attribute__((format(printf, 2, 3))) static _Noreturn void die(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("echo_load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

static _Noreturn void die_errno(const char *operation, int error)
{
    die(EXIT_FAILURE, "%s failed: %s", operation, strerror(-error));
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        die_errno("clock_gettime", -errno);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t bucket_of(uint64_t ns)
{
    if (ns < BUCKETS_PER_POWER)
        return (uint32_t)ns;
    uint32_t power = 63u - (uint32_t)__builtin_clzll(ns);
    uint32_t shift = power - BUCKET_BITS;
    return (shift + 1) * BUCKETS_PER_POWER + (uint32_t)((ns >> shift) - BUCKETS_PER_POWER);
}

/* The smallest time that falls into the bucket: bucket_of() turned round. */
static uint64_t bucket_floor_ns(uint32_t bucket)
{
    if (bucket < BUCKETS_PER_POWER)
        return bucket;
    uint32_t shift = bucket / BUCKETS_PER_POWER - 1;
    return (uint64_t)(BUCKETS_PER_POWER + bucket % BUCKETS_PER_POWER) << shift;
}

static uint64_t percentile_ns(const struct server *server, uint64_t percent)
{
    uint64_t count = 0;
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++)
        count += server->round_trips[bucket];
    uint64_t rank = count * percent / 100;
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
        seen += server->round_trips[bucket];
        if (seen > rank)
            return bucket_floor_ns(bucket);
    }
    return 0;
}

/* A receive carries its connection; a send completes only to complain, and carries nothing. */
static void submit_message(struct connection *connection, uint64_t now_ns)
{
    connection->sent_at_ns = now_ns;
    connection->messages++;
    memcpy(connection->message, &connection->messages, sizeof connection->messages);
    struct io_uring_sqe *send = io_uring_get_sqe(&ring);
    struct io_uring_sqe *recv = io_uring_get_sqe(&ring);
    if (send == NULL || recv == NULL)
        die(EXIT_FAILURE, "the submission queue is full at %d entries", SQ_ENTRIES);
    io_uring_prep_send(send, connection->fd, connection->message, options.bytes,
                       MSG_WAITALL | MSG_NOSIGNAL);
    send->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data(send, NULL);
    io_uring_prep_recv(recv, connection->fd, connection->reply, options.bytes, MSG_WAITALL);
    recv->ioprio |= IORING_RECVSEND_POLL_FIRST;
    io_uring_sqe_set_data(recv, connection);
}

static void on_reply(struct connection *connection, int32_t result, uint64_t now_ns)
{
    struct server *server = connection->server;
    if (result < 0)
        die_errno("recv", result);
    if ((uint32_t)result != options.bytes)
        die(EXIT_FAILURE, "server %td ended a connection after %" PRId32 " of %" PRIu32 " bytes",
            server - servers, result, options.bytes);
    if (memcmp(connection->message, connection->reply, options.bytes) != 0)
        die(EXIT_FAILURE,
            "server %td echoed other bytes than it was sent in message %" PRIu64
            " of connection %td",
            server - servers, connection->messages, connection - server->connections);
    server->messages++;
    if (phase == PHASE_MEASURE && counting)
        server->round_trips[bucket_of(now_ns - connection->sent_at_ns)]++;
    if (phase != PHASE_DRAIN)
        submit_message(connection, now_ns);
}

/* One enter, then all replies it brought; returns how many connections fell silent. */
static uint32_t pass(void)
{
    int submitted = io_uring_submit_and_wait(&ring, 1);
    if (submitted < 0 && submitted != -EINTR)
        die_errno("io_uring_submit_and_wait", submitted);
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    struct io_uring_cqe *cqe;
    unsigned head;
    uint32_t count = 0;
    io_uring_for_each_cqe (&ring, head, cqe) {
        struct connection *connection = io_uring_cqe_get_data(cqe);
        if (connection != NULL)
            on_reply(connection, cqe->res, now_ns);
        else
            die_errno("send", cqe->res < 0 ? cqe->res : -EPIPE);
        count++;
    }
    io_uring_cq_advance(&ring, count);
    return phase == PHASE_DRAIN ? count : 0;
}

static void pass_for_ms(uint32_t ms)
{
    uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + ms * UINT64_C(1000000);
    while (clock_ns(CLOCK_MONOTONIC) < end_ns)
        pass();
}

static struct sample take_sample(const struct server *server)
{
    return (struct sample){
        .wall_ns = clock_ns(CLOCK_MONOTONIC),
        .server_cpu_ns = clock_ns(server->cpu_clock),
        .client_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
        .messages = server->messages,
    };
}

static void report_slice(const struct server *server, uint32_t cycle, const struct sample *begin,
                         const struct sample *end)
{
    printf("{\"server\": %td, \"cycle\": %" PRIu32, server - servers, cycle);
    printf(", \"messages\": %" PRIu64, end->messages - begin->messages);
    printf(", \"wall_ns\": %" PRIu64, end->wall_ns - begin->wall_ns);
    printf(", \"server_cpu_ns\": %" PRIu64, end->server_cpu_ns - begin->server_cpu_ns);
    printf(", \"client_cpu_ns\": %" PRIu64 "}\n", end->client_cpu_ns - begin->client_cpu_ns);
}

static void report_server(const struct server *server)
{
    printf("{\"server\": %td, \"messages_total\": %" PRIu64, server - servers, server->messages);
    printf(", \"p50_ns\": %" PRIu64, percentile_ns(server, 50));
    printf(", \"p99_ns\": %" PRIu64 "}\n", percentile_ns(server, 99));
}

static void run_slice(struct server *server, uint32_t cycle)
{
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    phase = PHASE_SETTLE;
    for (uint32_t i = 0; i < options.connections; i++)
        submit_message(&server->connections[i], now_ns);
    pass_for_ms(SETTLE_MS);
    phase = PHASE_MEASURE;
    struct sample begin = take_sample(server);
    pass_for_ms(options.slice_ms);
    struct sample end = take_sample(server);
    phase = PHASE_DRAIN;
    for (uint32_t silent = 0; silent < options.connections;)
        silent += pass();
    if (counting)
        report_slice(server, cycle - CYCLES_WARM_UP, &begin, &end);
}

static void run_cycle(uint32_t cycle)
{
    bool backwards = cycle / servers_count % 2 != 0;
    for (uint32_t i = 0; i < servers_count; i++) {
        uint32_t place = (cycle + i) % servers_count;
        run_slice(&servers[backwards ? servers_count - 1 - place : place], cycle);
    }
}

static char *new_buffer(void)
{
    char *buffer = calloc(1, options.bytes);
    if (buffer == NULL)
        die_errno("calloc of a message", -ENOMEM);
    return buffer;
}

/* Each connection fills its messages with bytes of its own, so that a mixed-up reply is seen. */
static void open_connection(struct server *server, struct connection *connection, uint64_t index)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(server->port),
    };
    connection->server = server;
    connection->message = new_buffer();
    connection->reply = new_buffer();
    memset(connection->message, (int)('a' + index % 26), options.bytes);
    memcpy(connection->message + sizeof connection->messages, &index, sizeof index);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        die_errno("socket", -errno);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die_errno("connect to the server on 127.0.0.1", -errno);
    const int on = 1;
    if (setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        die_errno("setsockopt TCP_NODELAY", -errno);
}

static void open_server(struct server *server)
{
    server->connections = calloc(options.connections, sizeof *server->connections);
    if (server->connections == NULL)
        die_errno("calloc of the connections", -ENOMEM);
    for (uint32_t i = 0; i < options.connections; i++)
        open_connection(server, &server->connections[i], i);
}

static void close_server(struct server *server)
{
    for (uint32_t i = 0; i < options.connections; i++) {
        close(server->connections[i].fd);
        free(server->connections[i].message);
        free(server->connections[i].reply);
    }
    free(server->connections);
}

static void open_ring(void)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE,
        .cq_entries = CQ_ENTRIES,
    };
    int result = io_uring_queue_init_params(SQ_ENTRIES, &ring, &params);
    if (result < 0)
        die_errno("io_uring_queue_init_params (Linux 6.1 or later is needed)", result);
    result = io_uring_register_ring_fd(&ring);
    if (result < 0)
        die_errno("io_uring_register_ring_fd", result);
}

/* Reads a number that ends at `stop` and returns what follows it. */
static const char *parse_number(const char *name, const char *text, char stop, uint32_t min,
                                uint32_t max, uint32_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != stop || value < min || value > max)
        die(2, "%s is '%s', but has to be a number from %" PRIu32 " to %" PRIu32, name, text, min,
            max);
    *ret_value = (uint32_t)value;
    return end + 1;
}

static void parse_server(const char *text)
{
    if (servers_count == SERVERS_MAX)
        die(2, "--server %s is one too many: at most %d", text, SERVERS_MAX);
    struct server *server = &servers[servers_count++];
    uint32_t port;
    uint32_t pid;
    text = parse_number("the port of --server PORT:PID", text, ':', 1, UINT16_MAX, &port);
    parse_number("the process of --server PORT:PID", text, '\0', 1, INT32_MAX, &pid);
    server->port = (uint16_t)port;
    int error = clock_getcpuclockid((pid_t)pid, &server->cpu_clock);
    if (error != 0)
        die(2, "process %" PRIu32 " of --server has no CPU clock: %s", pid, strerror(error));
}

static void parse_option(int option, const char *text)
{
    switch (option) {
    case 's':
        parse_server(text);
        break;
    case 'c':
        parse_number("--connections", text, '\0', 1, CONNECTIONS_MAX, &options.connections);
        break;
    case 'b':
        parse_number("--bytes", text, '\0', BYTES_MIN, BYTES_MAX, &options.bytes);
        break;
    case 'n':
        parse_number("--cycles", text, '\0', 1, CYCLES_MAX, &options.cycles);
        break;
    case 'm':
        parse_number("--slice-ms", text, '\0', 1, SLICE_MS_MAX, &options.slice_ms);
        break;
    default:
        die(2, "usage: echo_load --server PORT:PID [--server ...] [--connections N] [--bytes N]"
               " [--cycles N] [--slice-ms N]");
    }
}

static void parse_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"server", required_argument, NULL, 's'},   {"connections", required_argument, NULL, 'c'},
        {"bytes", required_argument, NULL, 'b'},    {"cycles", required_argument, NULL, 'n'},
        {"slice-ms", required_argument, NULL, 'm'}, {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        parse_option(option, optarg);
    if (optind != argc || servers_count == 0)
        parse_option('?', NULL);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    uint32_t cycles = CYCLES_WARM_UP + options.cycles;
    uint32_t run_s = cycles * servers_count * (SETTLE_MS + options.slice_ms) / 1000;
    if (run_s > RUN_S_MAX)
        die(2, "this would take %" PRIu32 " s, but a run is at most %d s: ask for fewer cycles",
            run_s, RUN_S_MAX);
    alarm(run_s + GRACE_S);
    open_ring();
    for (uint32_t i = 0; i < servers_count; i++)
        open_server(&servers[i]);
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        counting = cycle >= CYCLES_WARM_UP;
        run_cycle(cycle);
    }
    for (uint32_t i = 0; i < servers_count; i++)
        report_server(&servers[i]);
    for (uint32_t i = 0; i < servers_count; i++)
        close_server(&servers[i]);
    io_uring_queue_exit(&ring);
    return 0;
}

/*
 * conformance.c: see conformance.h. Each case is a test of its own in a process of its own; a loop
 * is opened in there, so that a kernel that binds it to its opener is content.
 */
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "conformance.h"

#include "tests/conformance/cases.h"
#include "tests/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct ground ground;

/* ---- running --------------------------------------------------------------------------------- */

void ground_begin(void)
{
    ck_assert_msg(!orr_in_flight(&ground.probe.completion), "END_OF inside END_OF");
    memset(&ground.probe, 0, sizeof ground.probe);
}

int64_t ground_result(struct probe *probe)
{
    while (probe->calls == 0)
        orr_run_once(ground.loop);
    ck_assert_uint_eq(probe->calls, 1);
    return probe->result;
}

void ground_settle(void)
{
    for (uint32_t i = 0; i < 20; i++)
        orr_run_for_ns(ground.loop, 0);
    orr_run_for_ns(ground.loop, ORR_MILLISECOND);
}

void ground_expect(int64_t expected, int64_t actual, const char *what, const char *file, int line)
{
    ck_assert_msg(actual == expected, "%s: %s:%d: %s gives %s instead of %s", ground.driver->name,
                  file, line, what, probe_text(actual), probe_text(expected));
}

void ground_expect_either(int64_t first, int64_t second, int64_t actual, const char *what,
                          const char *file, int line)
{
    if (actual != first)
        ground_expect(second, actual, what, file, line);
}

struct orr_loop *ground_open_loop(const struct orr_options *options)
{
    struct orr_loop *loop = NULL;
    int status = ground.driver->open(options, ground.seed, &loop);
    ck_assert_msg(status == 0, "%s: a loop did not open: %s", ground.driver->name,
                  probe_text(status));
    return loop;
}

/* ---- bytes and files ------------------------------------------------------------------------- */

static uint8_t byte_at(size_t at, uint32_t salt)
{
    return (uint8_t)((at * 167 + at / 256 * 13 + at / 65536 * 7 + salt * 29) & 0xff);
}

void ground_fill(void *bytes, size_t length, uint32_t salt)
{
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)bytes)[i] = byte_at(i, salt);
}

void ground_check(const void *bytes, size_t length, uint32_t salt)
{
    for (size_t i = 0; i < length; i++)
        if (((const uint8_t *)bytes)[i] != byte_at(i, salt))
            ck_abort_msg("%s: byte %zu of %zu is %d instead of %d", ground.driver->name, i, length,
                         ((const uint8_t *)bytes)[i], byte_at(i, salt));
}

void *ground_space(size_t length)
{
    void *space = mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_msg(space != MAP_FAILED, "no address space for %zu bytes", length);
    return space;
}

orr_handle ground_file(const char *name)
{
    const uint32_t flags = ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE;
    orr_handle file = END_OF(orr_open, ground.directory, name, flags, 0644);
    ck_assert_msg(file > 0, "%s: %s did not open: %s", ground.driver->name, name, probe_text(file));
    return file;
}

void ground_close(orr_handle handle)
{
    EXPECT(0, END_OF(orr_close, handle));
}

/* ---- sockets --------------------------------------------------------------------------------- */

const enum orr_family ground_families[GROUND_FAMILIES] = {ORR_FAMILY_IP4, ORR_FAMILY_IP6,
                                                          ORR_FAMILY_UNIX};

const char *ground_family_name(enum orr_family family)
{
    static const char *const names[] = {"none", "IPv4", "IPv6", "Unix"};
    return names[family];
}

orr_handle ground_socket(enum orr_family family, enum orr_socket_type type)
{
    orr_handle socket = orr_socket(ground.loop, family, type);
    ck_assert_msg(socket > 0, "%s: no %s socket: %s", ground.driver->name,
                  ground_family_name(family), probe_text(socket));
    return socket;
}

/* A fresh address to bind to. */
static struct orr_address free_address(enum orr_family family)
{
    static uint32_t count;
    struct orr_address address;
    char text[ORR_ADDRESS_TEXT_MAX];
    if (family == ORR_FAMILY_UNIX)
        snprintf(text, sizeof text, "unix:%ss%u", ground.prefix, count++);
    else
        snprintf(text, sizeof text, "%s:0", family == ORR_FAMILY_IP4 ? "127.0.0.1" : "[::1]");
    EXPECT(0, orr_address_parse(text, &address));
    return address;
}

/* Binds, and tells the address; false where this machine has no such family. */
static bool bind_anywhere(orr_handle socket, enum orr_family family,
                          struct orr_address *ret_address)
{
    struct orr_address address = free_address(family);
    int status = orr_bind(ground.loop, socket, &address);
    if (family == ORR_FAMILY_IP6 && status == -EADDRNOTAVAIL)
        return false;
    EXPECT(0, status);
    EXPECT(0, orr_local_address(ground.loop, socket, ret_address));
    return true;
}

/* A bound socket, or ORR_HANDLE_NONE. */
static orr_handle bound(enum orr_family family, enum orr_socket_type type,
                        struct orr_address *ret_address)
{
    orr_handle socket = orr_socket(ground.loop, family, type);
    if (family == ORR_FAMILY_IP6 && socket == -EAFNOSUPPORT)
        return ORR_HANDLE_NONE;
    ck_assert_int_gt(socket, 0);
    if (bind_anywhere(socket, family, ret_address))
        return socket;
    ground_close(socket);
    return ORR_HANDLE_NONE;
}

orr_handle ground_listen(enum orr_family family, uint32_t backlog, struct orr_address *ret_address)
{
    orr_handle listener = bound(family, ORR_SOCKET_STREAM, ret_address);
    if (listener != ORR_HANDLE_NONE)
        EXPECT(0, orr_listen(ground.loop, listener, backlog));
    return listener;
}

orr_handle ground_datagram(enum orr_family family, struct orr_address *ret_address)
{
    return bound(family, ORR_SOCKET_DATAGRAM, ret_address);
}

bool ground_pair(enum orr_family family, struct pair *ret_pair)
{
    struct orr_address address;
    struct probe accept = {.calls = 0};
    struct probe connect = {.calls = 0};
    ret_pair->listener = ground_listen(family, 8, &address);
    if (ret_pair->listener == ORR_HANDLE_NONE)
        return false;
    ret_pair->client = ground_socket(family, ORR_SOCKET_STREAM);
    START(&accept, orr_accept, ret_pair->listener, NULL);
    START(&connect, orr_connect, ret_pair->client, &address);
    EXPECT_END(0, &connect);
    ret_pair->server = ground_result(&accept);
    ck_assert_msg(ret_pair->server > 0, "%s: accept gives %s", ground.driver->name,
                  probe_text(ret_pair->server));
    return true;
}

void ground_close_pair(const struct pair *pair)
{
    ground_close(pair->client);
    ground_close(pair->server);
    ground_close(pair->listener);
}

void ground_each_pair(void (*reset)(void), void (*body)(struct pair *pair, enum orr_family family))
{
    for (uint32_t i = 0; i < GROUND_FAMILIES; i++) {
        struct pair pair;
        if (!ground_pair(ground_families[i], &pair))
            continue;
        reset();
        body(&pair, ground_families[i]);
        ground_close(pair.listener);
    }
}

/* Longer than a connect to this machine takes that does not get stuck; in a strained world, whose
 * time costs nothing, shorter than the system's patience. */
#define STUCK_NS (100 * ORR_MILLISECOND)
#define STUCK_STRAINED_NS (60 * ORR_SECOND)
#define BACKLOG_MAX 100u

orr_handle ground_full_listener(struct probe *connect, orr_handle *ret_client,
                                struct orr_address *ret_address)
{
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 1, ret_address);
    for (uint32_t i = 0; i < BACKLOG_MAX; i++) {
        uint64_t stuck_ns =
            orr_now(ground.loop) + (ground.driver->strained ? STUCK_STRAINED_NS : STUCK_NS);
        memset(connect, 0, sizeof *connect);
        *ret_client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        START(connect, orr_connect, *ret_client, ret_address);
        while (connect->calls == 0 && orr_now(ground.loop) < stuck_ns)
            orr_run_for_ns(ground.loop, ORR_MILLISECOND);
        if (connect->calls == 0)
            return listener;
        EXPECT(0, connect->result);
    }
    ck_abort_msg("%s: a backlog of 1 takes %u connections", ground.driver->name, BACKLOG_MAX);
}

/* ---- the run over drivers and cases ---------------------------------------------------------- */

static const struct conformance_driver *driver_under_way;

static const struct conformance_case *case_at(uint32_t at)
{
    const struct conformance_case *const *tables = driver_under_way->tables;
    for (uint32_t i = 0; tables[i] != NULL; i++)
        for (const struct conformance_case *c = tables[i]; c->name != NULL; c++)
            if (at-- == 0)
                return c;
    return NULL;
}

static void set_up(const struct conformance_case *of, uint64_t seed)
{
    const struct orr_options options = {.batch_entries = of->batch_entries,
                                        .handles_max = of->handles_max};
    memset(&ground, 0, sizeof ground);
    probe_count = 0;
    ground.driver = driver_under_way;
    ground.of = of;
    ground.seed = seed;
    ground.loop = ground_open_loop(&options);
    ground.directory = ground.driver->make_directory(ground.loop, ground.prefix);
    ck_assert_msg(ground.directory > 0, "%s: no directory: %s", ground.driver->name,
                  probe_text(ground.directory));
}

static void tear_down(void)
{
    struct orr_statistics statistics;
    orr_drain(ground.loop);
    orr_loop_statistics(ground.loop, &statistics);
    ck_assert_uint_eq(statistics.in_flight, 0);
    ck_assert_uint_eq(statistics.submits, statistics.callbacks);
    ck_assert_msg(statistics.unexpected_errors == 0, "%s: %" PRIu64 " undeclared errors",
                  ground.driver->name, statistics.unexpected_errors);
    orr_loop_close(ground.loop);
    ground.driver->closed();
}

#define CASES_MAX 400u

/* What a case's process leaves behind when it dies: shared with the parent. */
static struct progress {
    uint64_t seed;
    bool under_way;
} * progress;

static void run_case(int number)
{
    const struct conformance_case *of = case_at((uint32_t)number);
    const uint64_t seeds = of->once ? 1 : driver_under_way->seeds;
    progress[number].under_way = true;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        progress[number].seed = seed;
        set_up(of, seed);
        of->run();
        tear_down();
    }
    progress[number].under_way = false;
}

static void tell_seeds(void)
{
    for (uint32_t i = 0; driver_under_way->seeds > 1 && i < CASES_MAX; i++)
        if (progress[i].under_way)
            fprintf(stderr, "%s: %s failed with seed %" PRIu64 "\n", driver_under_way->name,
                    case_at(i)->name, progress[i].seed);
}

static void add_cases(TCase *tcase, const struct conformance_driver *driver)
{
    static TTest tests[CASES_MAX];
    const struct conformance_case *of;
    for (uint32_t at = 0; (of = case_at(at)) != NULL; at++) {
        if (at == CASES_MAX)
            ck_abort_msg("more than %u cases: raise CASES_MAX", CASES_MAX);
        tests[at] = (TTest){of->name, run_case, "tests/conformance", 1};
        if ((of->needs & ~driver->has) == 0)
            _tcase_add_test(tcase, &tests[at], 0, 0, (int)at, (int)at + 1);
    }
}

static int run_driver(const struct conformance_driver *driver)
{
    TCase *tcase = tcase_create(driver->name);
    driver_under_way = driver;
    progress = mmap(NULL, CASES_MAX * sizeof *progress, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED) {
        perror("mmap");
        return EXIT_FAILURE;
    }
    add_cases(tcase, driver);
    driver->begin();
    int status = suite_run(driver->name, tcase);
    driver->end();
    tell_seeds();
    return status;
}

int conformance_main(const struct conformance_driver *driver)
{
    const char *reason = driver->unavailable();
    if (reason == NULL)
        return run_driver(driver);
    printf("1..0 # SKIP %s\n", reason);
    return EXIT_SUCCESS;
}

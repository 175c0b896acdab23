/*
 * cases_limit.c: what the system has an end of: descriptors, and the patience of a connect.
 */
#include "tests/conformance/cases.h"

#include <string.h>

static struct probe probes[2];

static void reset(void)
{
    memset(probes, 0, sizeof probes);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* Handles of a loop that is not the first to have no more: a world's processes have 65536
 * descriptors. */
#define HANDLES_MAX 70000u

/* Closed again to make room. */
#define ROOM 4u

static orr_handle room[ROOM];

/* Takes all descriptors that the process can have. */
static void fill_up(void)
{
    orr_handle socket;
    uint32_t count = 0;
    while ((socket = orr_socket(ground.loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM)) > 0)
        room[count++ % ROOM] = socket;
    EXPECT(-EMFILE, socket);
    ck_assert_uint_ge(count, ROOM);
}

static void make_room(void)
{
    for (uint32_t i = 0; i < ROOM; i++)
        ground_close(room[i]);
}

/* The process has no descriptor left. Who waits to be accepted is accepted when there is one. */
static void the_limit_of_the_process(void)
{
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
    orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    ground_close(ground_file("f"));
    EXPECT(0, END_OF(orr_connect, client, &address));
    ground.driver->limit_descriptors();
    fill_up();
    EXPECT(-EMFILE, END_OF(orr_open, ground.directory, "f", ORR_OPEN_READ, 0));
    EXPECT(-EMFILE, END_OF(orr_accept, listener, NULL));
    make_room();
    orr_handle server = END_OF(orr_accept, listener, NULL);
    ck_assert_int_gt(server, 0);
    ground_close(server);
    ground_close(client);
    ground_close(listener);
}

/* The same for an accept that waited already when the last descriptor went (io_uring keeps one for
 * it). */
static void the_limit_of_the_process_while_waiting(void)
{
    struct orr_address address;
    orr_handle listener = ground_listen(ORR_FAMILY_IP4, 8, &address);
    orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    reset();
    ground.driver->limit_descriptors();
    START(&probes[0], orr_accept, listener, NULL);
    ground_settle();
    fill_up();
    START(&probes[1], orr_connect, client, &address);
    EXPECT_END(0, &probes[1]);
    orr_handle server = ground_result(&probes[0]);
    ck_assert_msg(server > 0 || server == -EMFILE, "%s", probe_text(server));
    make_room();
    if (server == -EMFILE)
        server = END_OF(orr_accept, listener, NULL);
    ck_assert_int_gt(server, 0);
    ground_close(server);
    ground_close(client);
    ground_close(listener);
}

/* ---- patience -------------------------------------------------------------------------------- */

/* The listener's backlog is full, so that the system drops what comes, and gives up in the end. */
static void a_connect_times_out(void)
{
    struct orr_address address;
    orr_handle stuck;
    orr_handle listener = ground_full_listener(&probes[0], &stuck, &address);
    orr_handle client = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    ground.driver->lose_patience(client);
    memset(&probes[1], 0, sizeof probes[1]);
    START(&probes[1], orr_connect, client, &address);
    EXPECT_END(-ETIMEDOUT, &probes[1]);
    ground_close(client);
    ground_close(stuck);
    ground_close(listener);
}

const struct conformance_case cases_limit[] = {
    {.name = "the_limit_of_the_process",
     .run = the_limit_of_the_process,
     .handles_max = HANDLES_MAX},
    {.name = "the_limit_of_the_process_while_waiting",
     .run = the_limit_of_the_process_while_waiting,
     .handles_max = HANDLES_MAX},
    {.name = "a_connect_times_out", .run = a_connect_times_out},
    {.name = NULL},
};

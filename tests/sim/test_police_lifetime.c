/*
 * test_police_lifetime.c: the world reports handles used after their close, completions used while
 * they are in flight, and, where the scenario asks for it, what a program leaves when it stops; and
 * a run that gets stuck tells what every node waits for. And callbacks that do not stop.
 */
#include "tests/io/dies.h"
#include "tests/sim/police_fixture.h"

/* ---- handles after their close --------------------------------------------------------------- */

static void send_while_closing(struct client *client)
{
    (orr_close)(orr_at(client->loop, FIRST), &client->first, client->stream, ignore, NULL);
    (orr_send)(orr_at(client->loop, SECOND), &client->second, client->stream, "x", 1, ignore, NULL);
}

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    (orr_fsync)(orr_at(client->loop, SECOND), &client->second, client->file, ignore, NULL);
}

static void fsync_after_close(struct client *client)
{
    (orr_close)(orr_at(client->loop, FIRST), &client->first, client->file, on_closed, client);
}

static void close_twice(struct client *client)
{
    (orr_close)(orr_at(client->loop, FIRST), &client->first, client->stream, ignore, NULL);
    (orr_close)(orr_at(client->loop, SECOND), &client->second, client->stream, ignore, NULL);
}

START_TEST(test_police_lifetime__a_handle_after_its_close)
{
    const char *const rule = "a handle is not used after its close";
    check_caught(&(struct plan){.connected = send_while_closing}, rule,
                 (const char *[]){"ms, " SECOND ": node client submits this send on a handle that "
                                  "is being closed by the close from " FIRST,
                                  NULL});
    check_caught(&(struct plan){.opened = fsync_after_close}, rule,
                 (const char *[]){"ms, " SECOND ": node client submits this fsync on a handle that "
                                  "was closed, the last time by the close from " FIRST,
                                  NULL});
    check_caught(&(struct plan){.connected = close_twice}, "a handle is closed once",
                 (const char *[]){"ms, " SECOND ": node client submits this close on a handle that "
                                  "is being closed by the close from " FIRST,
                                  NULL});
}
END_TEST

static void on_reopened(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result >= 0) /* perhaps under the number of the one that was closed */
        orr_close(client->loop, completion, result, ignore, NULL);
    plan->finished++;
}

static void on_closed_well(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    orr_open(client->loop, completion, ORR_DIRECTORY_CURRENT, "file", ORR_OPEN_READ, 0, on_reopened,
             client);
}

/* A close with operations in flight ends them, and a handle that never was is no stale one. */
static void closes_well(struct client *client)
{
    orr_read(client->loop, &client->others[0], client->file, client->buffers[0], 16, 0, ignore,
             NULL);
    orr_read(client->loop, &client->others[1], -1, client->buffers[1], 16, 0, ignore, NULL);
    orr_close(client->loop, &client->others[2], client->file, on_closed_well, client);
}

START_TEST(test_police_lifetime__a_close_in_its_time)
{
    check_clean((struct plan){.opened = closes_well});
}
END_TEST

/* ---- completions in flight ------------------------------------------------------------------- */

static void submit_again(struct client *client)
{
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
    (orr_send)(orr_at(client->loop, SECOND), &client->first, client->stream, "x", 1, ignore, NULL);
}

static void zero_and_submit_again(struct client *client)
{
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
    memset(&client->first, 0, sizeof client->first);
    (orr_send)(orr_at(client->loop, SECOND), &client->first, client->stream, "x", 1, ignore, NULL);
}

static void run_plan(void *context)
{
    (void)run_seed(context, 1);
}

START_TEST(test_police_lifetime__a_completion_in_flight_is_not_used)
{
    struct plan again = {.connected = submit_again};
    struct plan zeroed = {.connected = zero_and_submit_again};
    DIES(run_plan, &again,
         "send at " SECOND " (loop of client): the completion is in flight already: recv submitted "
         "at " FIRST);
    DIES(run_plan, &zeroed,
         "send at " SECOND ": node client has zeroed the completion while it was in flight");
}
END_TEST

/* ---- what a program leaves ------------------------------------------------------------------- */

#define LEAVES "a node that stops leaves nothing open"

static void stop_at_once(struct client *client)
{
    orr_stop(client->loop);
}

static void on_the_stream_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    if (client->sends == 1)
        (orr_timeout)(orr_at(client->loop, SECOND), &client->second, ORR_SECOND, ignore, NULL);
    plan->finished++;
    orr_stop(client->loop);
}

static void stop_in_order(struct client *client)
{
    orr_close(client->loop, &client->others[0],
              plan->opened != NULL ? client->file : client->stream, on_the_stream_closed, client);
}

static void stop_with_a_timer(struct client *client)
{
    client->sends = 1;
    stop_in_order(client);
}

START_TEST(test_police_lifetime__a_program_that_leaves_something)
{
    struct plan plans[] = {
        {.connected = stop_at_once, .prepare = orr_node_expect_clean_stop},
        {.opened = stop_at_once, .prepare = orr_node_expect_clean_stop},
        {.connected = stop_with_a_timer, .prepare = orr_node_expect_clean_stop},
    };
    check_caught(&plans[0], LEAVES,
                 (const char *[]){"ms, tests/sim/police_fixture.c:",
                                  "node client stops while 3, the socket to 10.0.0.1:7000 opened "
                                  "here, is open",
                                  NULL});
    check_caught(&plans[1], LEAVES,
                 (const char *[]){
                     "node client stops while 3, the file \"file\" opened here, is open", NULL});
    check_caught(&plans[2], LEAVES,
                 (const char *[]){"ms, " SECOND
                                  ": node client stops while 1 operation is in flight,"
                                  " the first of them: timeout, due in 1000.000000 ms, " SECOND,
                                  NULL});
}
END_TEST

START_TEST(test_police_lifetime__a_program_that_leaves_nothing)
{
    check_clean((struct plan){.opened = stop_in_order, .prepare = orr_node_expect_clean_stop});
    check_clean((struct plan){.connected = stop_in_order, .prepare = orr_node_expect_clean_stop});
}
END_TEST

static void stop_and_finish(struct client *client)
{
    plan->finished++;
    orr_stop(client->loop);
}

START_TEST(test_police_lifetime__without_a_word_the_system_closes)
{
    check_clean((struct plan){.connected = stop_and_finish});
}
END_TEST

/* ---- runs that get stuck --------------------------------------------------------------------- */

static bool never(void *context)
{
    (void)context;
    return false;
}

static void wait_for_ever(struct client *client)
{
    for (int i = 0; i < 6; i++)
        (orr_timeout)(orr_at(client->loop, "client.c:33"), &client->others[i],
                      (uint64_t)(60 + i) * ORR_SECOND, ignore, NULL);
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
}

static void stuck(struct orr_world *world)
{
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++)
        orr_world_set_rate(world, (enum orr_fault_family)family, 0);
    populate(world);
    (void)orr_eventually(world, never, NULL, 10 * ORR_SECOND, "it comes to an end");
}

START_TEST(test_police_lifetime__a_stuck_run_tells_who_waits_for_what)
{
    static const struct orr_scenario scenario = {.name = "stuck", .run = stuck};
    const struct orr_run_options options = {.seed = 1};
    static const char *const texts[] = {
        "\nwhat the nodes wait for:\n  server: ",
        "  server: accept on 3 since ",
        "  server: recv on 4 since ",
        "  client: recv on 3 since ",
        " ms, " FIRST "\n  client: timeout, due in ",
        " ms, client.c:33\n  client: and 1 more\n",
    };
    struct plan of = {.connected = wait_for_ever};
    struct orr_outcome outcome;
    plan = &of;
    ck_assert_int_eq(orr_scenario_run(&scenario, &options, &outcome), 0);
    ck_assert_str_eq(outcome.check, "it comes to an end");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(strstr(outcome.detail, texts[i]) != NULL, "no \"%s\" in: %s", texts[i],
                      outcome.detail);
}
END_TEST

static void next_tick_again(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    orr_next_tick(client->loop, completion, next_tick_again, client);
}

static void spin(struct client *client)
{
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
    next_tick_again(client, &client->second, 0);
}

START_TEST(test_police_lifetime__a_run_without_end_tells_it_too)
{
    static const struct orr_scenario scenario = {.name = "stuck", .run = stuck};
    const struct orr_run_options options = {.seed = 1, .events_max = 1000};
    struct plan of = {.connected = spin};
    struct orr_outcome outcome;
    plan = &of;
    ck_assert_int_eq(orr_scenario_run(&scenario, &options, &outcome), 0);
    ck_assert_str_eq(outcome.check, "no end in sight");
    ck_assert_msg(strstr(outcome.detail, "  client: recv on 3 since ") != NULL, "%s",
                  outcome.detail);
}
END_TEST

/* ---- callbacks that do not stop -------------------------------------------------------------- */

#define FEW 90000
#define MANY 110000
#define ENDLESS 1500000u /* nothing would end it otherwise, but the machine's memory */

/* With memory of its own: the loop knows no bound. */
static void submit_many(struct client *client, int count)
{
    struct orr_completion *completions = calloc((size_t)count, sizeof *completions);
    must(completions != NULL);
    plan->memory = completions;
    for (int i = 0; i < count; i++)
        (orr_truncate)(orr_at(client->loop, SECOND), &completions[i], client->file, 0, ignore,
                       NULL);
    plan->finished++;
}

static void submit_too_many(struct client *client)
{
    submit_many(client, MANY);
}

static void submit_a_lot(struct client *client)
{
    submit_many(client, FEW);
}

static void allocate_without_end(struct client *client)
{
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
    for (uint32_t i = 0; i < ENDLESS; i++)
        (void)orr_malloc(client->loop, 1);
}

START_TEST(test_police_lifetime__a_callback_that_does_not_stop)
{
    struct plan many = {.opened = submit_too_many};
    struct plan few = {.opened = submit_a_lot};
    struct plan endless = {.connected = allocate_without_end};
    struct orr_outcome outcome = run_seed(&many, 1);
    ck_assert_str_eq(outcome.check, "a callback submits without end");
    ck_assert_msg(strstr(outcome.detail, "ms, " SECOND ": node client has submitted 110000 ") !=
                      NULL,
                  "%s", outcome.detail);
    free(many.memory);
    outcome = run_seed(&few, 1);
    ck_assert_msg(!outcome.failed, "%s", outcome.detail);
    ck_assert_uint_eq(few.finished, 1);
    free(few.memory);
    DIES(run_plan, &endless, "node client: a callback has asked for memory 1000000 times",
         "in flight is from " FIRST);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("police_lifetime");
    tcase_add_test(cases, test_police_lifetime__a_handle_after_its_close);
    tcase_add_test(cases, test_police_lifetime__a_close_in_its_time);
    tcase_add_test(cases, test_police_lifetime__a_completion_in_flight_is_not_used);
    tcase_add_test(cases, test_police_lifetime__a_program_that_leaves_something);
    tcase_add_test(cases, test_police_lifetime__a_program_that_leaves_nothing);
    tcase_add_test(cases, test_police_lifetime__without_a_word_the_system_closes);
    tcase_add_test(cases, test_police_lifetime__a_stuck_run_tells_who_waits_for_what);
    tcase_add_test(cases, test_police_lifetime__a_run_without_end_tells_it_too);
    tcase_add_test(cases, test_police_lifetime__a_callback_that_does_not_stop);
    return suite_run("sim/police_lifetime", cases);
}

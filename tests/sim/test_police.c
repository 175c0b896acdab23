/*
 * test_police.c: the world reports operations that must not be in flight side by side, and no
 * others: two receives, or two sends, on one stream; two writes to the same bytes of a file. And,
 * where the scenario forbids them, reads of what nobody has written.
 */
#include "tests/sim/police_fixture.h"

/* ---- what is reported ------------------------------------------------------------------------ */

static void recv_twice(struct client *client)
{
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
    (orr_recv)(orr_at(client->loop, SECOND), &client->second, client->stream, client->buffers[1],
               16, ignore, NULL);
}

static void recv_exact_and_readv(struct client *client)
{
    client->vector = (struct orr_vector){.base = client->buffers[1], .length = 16};
    (orr_recv_exact)(orr_at(client->loop, FIRST), &client->first, client->stream,
                     client->buffers[0], 16, ignore, NULL);
    (orr_readv)(orr_at(client->loop, SECOND), &client->second, client->stream, &client->vector, 1,
                0, ignore, NULL);
}

static void send_all_twice(struct client *client)
{
    (orr_send_all)(orr_at(client->loop, FIRST), &client->first, client->stream, bytes, LARGE,
                   ignore, NULL);
    (orr_send_all)(orr_at(client->loop, SECOND), &client->second, client->stream, bytes, LARGE,
                   ignore, NULL);
}

static void on_time_to_write(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    (orr_write)(orr_at(client->loop, SECOND), &client->second, client->stream, "x", 1, 0, ignore,
                NULL);
}

/* Attempt after attempt was made in between. */
static void send_all_and_write_later(struct client *client)
{
    (orr_send_all)(orr_at(client->loop, FIRST), &client->first, client->stream, bytes, LARGE,
                   ignore, NULL);
    orr_timeout(client->loop, &client->others[0], 100 * ORR_MICROSECOND, on_time_to_write, client);
}

static void on_writable(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    (orr_send)(orr_at(client->loop, SECOND), &client->second, client->stream, "x", 1, ignore, NULL);
}

/* The poll and the first attempt of the whole transfer end together, the poll before: when it is
 * called back, no backend holds the transfer, and the loop has not started the next attempt. */
static void send_between_the_attempts_of_another(struct client *client)
{
    orr_poll(client->loop, &client->others[0], client->stream, ORR_POLL_OUT, on_writable, client);
    (orr_send_all)(orr_at(client->loop, FIRST), &client->first, client->stream, bytes, LARGE,
                   ignore, NULL);
}

static void check_report(void (*connected)(struct client *client), const char *direction,
                         const char *first, const char *second)
{
    char check[128];
    char there[128];
    char here[128];
    snprintf(check, sizeof check, "a stream has one %s in flight at a time", direction);
    snprintf(here, sizeof here, "ms, " SECOND ": node client submits this %s on ", second);
    snprintf(there, sizeof there, " before its %s from " FIRST " has called back", first);
    check_caught(&(struct plan){.connected = connected}, check,
                 (const char *[]){here, there, NULL});
}

START_TEST(test_police__a_second_receive)
{
    check_report(recv_twice, "receive", "recv", "recv");
    check_report(recv_exact_and_readv, "receive", "recv", "readv");
}
END_TEST

START_TEST(test_police__a_second_send)
{
    check_report(send_all_twice, "send", "send", "send");
    check_report(send_all_and_write_later, "send", "send", "write");
    check_report(send_between_the_attempts_of_another, "send", "send", "send");
}
END_TEST

START_TEST(test_police__a_bare_world_has_to_ask)
{
    for (int asks = 0; asks < 2; asks++) {
        struct plan of = {.connected = recv_twice};
        struct orr_world *world = orr_world_create(1, NULL);
        plan = &of;
        if (asks == 1)
            orr_world_police(world);
        populate(world);
        orr_world_run_for(world, ORR_SECOND);
        ck_assert_int_eq(orr_world_failed(world), asks == 1);
        orr_world_destroy(world);
    }
}
END_TEST

/* ---- what is not ----------------------------------------------------------------------------- */

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        return; /* the seed broke the connection */
    if (++client->sends < SENDS)
        orr_send_all(client->loop, completion, client->stream, bytes, CHUNK, on_sent, client);
    else
        plan->finished++;
}

/* One send after the other, with a receive, a poll and a shutdown beside them. */
static void sends_one_after_the_other(struct client *client)
{
    orr_recv(client->loop, &client->second, client->stream, client->buffers[0], 16, ignore, NULL);
    orr_poll(client->loop, &client->others[0], client->stream, ORR_POLL_IN, ignore, NULL);
    orr_shutdown(client->loop, &client->others[1], client->stream, ORR_SHUTDOWN_RECV, ignore, NULL);
    orr_send_all(client->loop, &client->first, client->stream, bytes, CHUNK, on_sent, client);
}

static void on_first_ended(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    orr_send_all(client->loop, completion, client->stream, bytes, CHUNK, on_sent, client);
}

/* A whole transfer that was stopped half way is over: the next may begin. */
static void sends_after_a_canceled_one(struct client *client)
{
    orr_send_all(client->loop, &client->first, client->stream, bytes, LARGE, on_first_ended,
                 client);
    orr_cancel(client->loop, &client->others[0], &client->first, ignore, NULL);
}

static void many_datagrams(struct client *client)
{
    client->datagrams = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_DATAGRAM);
    for (int i = 0; i < 2; i++) {
        client->datagram[i] = (struct orr_datagram){.buffer = client->buffers[2 + i], .length = 16};
        orr_recv_from(client->loop, i == 0 ? &client->first : &client->second, client->datagrams,
                      &client->datagram[i], ignore, NULL);
    }
    plan->finished++;
}

/* Side by side, and reads of what is written. */
static void many_on_a_file(struct client *client)
{
    for (int i = 0; i < 2; i++) {
        orr_write(client->loop, &client->others[i * 2], client->file, "abc", 3, (uint64_t)i * 3,
                  ignore, NULL);
        orr_read(client->loop, &client->others[i * 2 + 1], client->file, client->buffers[i], 16, 0,
                 ignore, NULL);
    }
    plan->finished++;
}

START_TEST(test_police__one_after_the_other_is_right)
{
    check_clean((struct plan){.connected = sends_one_after_the_other});
    check_clean((struct plan){.connected = sends_after_a_canceled_one});
}
END_TEST

START_TEST(test_police__datagrams_and_files_have_many)
{
    check_clean((struct plan){.connected = many_datagrams});
    check_clean((struct plan){.opened = many_on_a_file});
}
END_TEST

/* ---- writes to the same bytes ---------------------------------------------------------------- */

#define OVERLAP "writes in flight do not overlap"

static void overlapping_writes(struct client *client)
{
    (orr_write)(orr_at(client->loop, FIRST), &client->first, client->file, bytes, 100, 50, ignore,
                NULL);
    (orr_write_all)(orr_at(client->loop, SECOND), &client->second, client->file, bytes, 51, 0,
                    ignore, NULL);
}

static void on_opened_again(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    must(result >= 0 && result != client->file);
    client->vectors[0] = (struct orr_vector){.base = bytes, .length = 10};
    client->vectors[1] = (struct orr_vector){.base = bytes, .length = 20};
    (orr_writev)(orr_at(client->loop, FIRST), &client->second, client->file, client->vectors, 2, 0,
                 ignore, NULL);
    (orr_write)(orr_at(client->loop, SECOND), &client->others[1], result, bytes, 1, 29, ignore,
                NULL);
}

static void through_two_handles(struct client *client)
{
    orr_open(client->loop, &client->others[0], ORR_DIRECTORY_CURRENT, "file", ORR_OPEN_WRITE, 0,
             on_opened_again, client);
}

START_TEST(test_police__overlapping_writes)
{
    check_caught(&(struct plan){.opened = overlapping_writes}, OVERLAP,
                 (const char *[]){
                     "ms, " SECOND ": node client submits this write of 51 bytes at 0",
                     " before its write of 100 bytes at 50 of the same file from " FIRST, NULL});
    check_caught(
        &(struct plan){.opened = through_two_handles}, OVERLAP,
        (const char *[]){"ms, " SECOND ": node client submits this write of 1 bytes at 29",
                         " before its writev of 30 bytes at 0 of the same file from " FIRST, NULL});
}
END_TEST

/* ---- past the page cache --------------------------------------------------------------------- */

static _Alignas(4096) char sectors[3 * 512];
static size_t begin_at; /* of the buffer, in there */

static void on_opened_past_the_cache(void *context, struct orr_completion *completion,
                                     int64_t result)
{
    struct client *client = context;
    (void)completion;
    must(result >= 0);
    client->vectors[0] = (struct orr_vector){.base = sectors, .length = 512};
    client->vectors[1] = (struct orr_vector){.base = sectors + 512 + begin_at, .length = 512};
    if (client->sends > 0)
        (orr_readv)(orr_at(client->loop, FIRST), &client->first, result, client->vectors, 2, 0,
                    ignore, NULL);
    else
        (orr_write)(orr_at(client->loop, FIRST), &client->first, result, sectors + begin_at, 1024,
                    0, ignore, NULL);
    plan->finished++;
}

static void past_the_cache(struct client *client)
{
    orr_open(client->loop, &client->others[0], ORR_DIRECTORY_CURRENT, "file",
             ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_DIRECT, 0, on_opened_past_the_cache, client);
}

static void reads_past_the_cache(struct client *client)
{
    client->sends = 1;
    past_the_cache(client);
}

START_TEST(test_police__buffers_past_the_cache_are_aligned)
{
    static const char check[] = "a buffer of a file opened with DIRECT is aligned";
    begin_at = 16;
    check_caught(&(struct plan){.opened = past_the_cache}, check,
                 (const char *[]){"ms, " FIRST ": node client submits this write on ",
                                  " is no multiple of 512: a kernel refuses it", NULL});
    check_caught(&(struct plan){.opened = reads_past_the_cache}, check,
                 (const char *[]){"ms, " FIRST ": node client submits this readv on ", NULL});
    begin_at = 0;
    check_clean((struct plan){.opened = past_the_cache});
    check_clean((struct plan){.opened = reads_past_the_cache});
}
END_TEST

#define IDLE 5000

static void write_amid_many(struct client *client)
{
    struct orr_completion *polls = calloc(IDLE, sizeof *polls);
    must(polls != NULL);
    plan->memory = polls;
    (orr_write)(orr_at(client->loop, FIRST), &client->first, client->file, bytes, 100, 50, ignore,
                NULL);
    client->datagrams = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_DATAGRAM);
    for (int i = 0; i < IDLE; i++)
        orr_poll(client->loop, &polls[i], client->datagrams, ORR_POLL_IN, ignore, NULL);
    (orr_write)(orr_at(client->loop, SECOND), &client->second, client->file, bytes, 51, 0, ignore,
                NULL);
}

/* Many operations came after the first write, and a disk is slow: they fill batch after batch. */
START_TEST(test_police__an_overlapping_write_long_ago)
{
    static const struct orr_disk_options slow = {.transfer_ns = ORR_SECOND};
    struct plan of = {.opened = write_amid_many};
    struct orr_world *world = orr_world_create(1, NULL);
    plan = &of;
    orr_world_police(world);
    orr_world_set_disks(world, &slow);
    populate(world);
    orr_world_run_for(world, 10 * ORR_SECOND);
    ck_assert(orr_world_failed(world));
    orr_world_destroy(world);
    free(of.memory);
}
END_TEST

static void write_again(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    if (++client->sends < SENDS)
        orr_write_all(client->loop, completion, client->file, bytes, CHUNK, 0, write_again, client);
    else
        plan->finished++;
}

static void on_two_opened(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result < 0)
        return;
    orr_write_all(client->loop, completion, result, bytes, CHUNK, 0, ignore, NULL);
    write_again(client, &client->second, 0);
}

/* One after the other in one file, beside those in another. */
static void writes_that_do_not_meet(struct client *client)
{
    orr_open(client->loop, &client->others[0], ORR_DIRECTORY_CURRENT, "other",
             ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, on_two_opened, client);
    orr_write(client->loop, &client->others[1], client->file, bytes, 10, CHUNK, ignore, NULL);
    orr_write(client->loop, &client->others[2], client->file, bytes, 0, 5, ignore, NULL);
}

START_TEST(test_police__writes_that_do_not_meet)
{
    check_clean((struct plan){.opened = writes_that_do_not_meet});
}
END_TEST

/* ---- reads of what nobody has written -------------------------------------------------------- */

static void read_into(struct client *client, uint64_t offset)
{
    (orr_read)(orr_at(client->loop, SECOND), &client->first, client->file, client->buffers[0], 16,
               offset, ignore, NULL);
}

static void on_extended(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result >= 0)
        plan->finished++;
    read_into(context, 95);
}

static void on_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result == 100)
        client->extend(client, completion);
}

static void truncates(struct client *client, struct orr_completion *completion)
{
    orr_truncate(client->loop, completion, client->file, 200, on_extended, client);
}

static void allocates(struct client *client, struct orr_completion *completion)
{
    orr_allocate(client->loop, completion, client->file, 0, 200, on_extended, client);
}

static void leaves_a_hole(struct client *client, struct orr_completion *completion)
{
    orr_write_all(client->loop, completion, client->file, bytes, 100, 5000, on_extended, client);
}

static void rewrites(struct client *client, struct orr_completion *completion)
{
    orr_write_all(client->loop, completion, client->file, bytes, 100, 100, on_extended, client);
}

static void on_filled(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    if (result >= 0)
        orr_write_all(client->loop, completion, client->file, bytes, 50, 80, on_extended, client);
}

/* What truncate has added is written before it is read. */
static void fills(struct client *client, struct orr_completion *completion)
{
    orr_truncate(client->loop, completion, client->file, 300, on_filled, client);
}

static void write_100(struct client *client)
{
    orr_write_all(client->loop, &client->second, client->file, bytes, 100, 0, on_written, client);
}

static void write_and_truncate(struct client *client)
{
    client->extend = truncates;
    write_100(client);
}

static void write_and_allocate(struct client *client)
{
    client->extend = allocates;
    write_100(client);
}

static void write_beyond(struct client *client)
{
    client->extend = leaves_a_hole;
    write_100(client);
}

static void write_on(struct client *client)
{
    client->extend = rewrites;
    write_100(client);
}

static void write_what_was_added(struct client *client)
{
    client->extend = fills;
    write_100(client);
}

START_TEST(test_police__reads_of_what_nobody_wrote)
{
    struct plan plans[] = {
        {.opened = write_and_truncate}, {.opened = write_and_allocate}, {.opened = write_beyond}};
    for (int i = 0; i < 3; i++) {
        ck_assert(!run_seed(&plans[i], 1).failed); /* unless the scenario forbids it */
        plans[i].prepare = orr_node_forbid_unwritten_reads;
        check_caught(&plans[i], "what is read from a file was written",
                     (const char *[]){"ms, " SECOND ": node client reads, with this read on 3, "
                                      "bytes 100 to 110 of a file",
                                      NULL});
    }
}
END_TEST

START_TEST(test_police__reads_of_what_was_written)
{
    check_clean((struct plan){.opened = write_on, .prepare = orr_node_forbid_unwritten_reads});
    check_clean(
        (struct plan){.opened = write_what_was_added, .prepare = orr_node_forbid_unwritten_reads});
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("police");
    tcase_add_test(cases, test_police__a_second_receive);
    tcase_add_test(cases, test_police__a_second_send);
    tcase_add_test(cases, test_police__a_bare_world_has_to_ask);
    tcase_add_test(cases, test_police__one_after_the_other_is_right);
    tcase_add_test(cases, test_police__datagrams_and_files_have_many);
    tcase_add_test(cases, test_police__overlapping_writes);
    tcase_add_test(cases, test_police__buffers_past_the_cache_are_aligned);
    tcase_add_test(cases, test_police__an_overlapping_write_long_ago);
    tcase_add_test(cases, test_police__writes_that_do_not_meet);
    tcase_add_test(cases, test_police__reads_of_what_nobody_wrote);
    tcase_add_test(cases, test_police__reads_of_what_was_written);
    return suite_run("sim/police", cases);
}

/*
 * test_police_memory.c: the world reports a program that touches, or frees, what an operation in
 * flight uses, and shows garbage to one that reads too early.
 */
#include "tests/sim/police_fixture.h"

#define RULE "a buffer in flight belongs to the loop"
#define GARBAGE ((char)0xdb)

/* ---- what is reported ------------------------------------------------------------------------ */

static void send_and_change(struct client *client)
{
    memset(client->buffers[0], 'a', 16);
    (orr_send)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
    client->buffers[0][7] = 'b';
}

static void writev_and_change(struct client *client)
{
    client->vectors[0] = (struct orr_vector){.base = client->buffers[0], .length = 16};
    client->vectors[1] = (struct orr_vector){.base = client->buffers[2], .length = 16};
    (orr_writev)(orr_at(client->loop, FIRST), &client->second, client->file, client->vectors, 2, 0,
                 ignore, NULL);
    client->buffers[2][3] = 'b';
}

static void send_to_and_change(struct client *client)
{
    client->datagrams = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_DATAGRAM);
    client->datagram[0] =
        (struct orr_datagram){.peer = client->target, .buffer = client->buffers[0], .length = 16};
    (orr_send_to)(orr_at(client->loop, FIRST), &client->second, client->datagrams,
                  &client->datagram[0], ignore, NULL);
    client->buffers[0][15] = 'b';
}

static void change_last(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    client->large[LARGE - 1] = 'b';
}

static void change_first(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    client->large[0] = 'b';
}

static void send_large(struct client *client, orr_callback on_time)
{
    client->large = orr_malloc(client->loop, LARGE);
    memset(client->large, 'a', LARGE);
    (orr_send_all)(orr_at(client->loop, FIRST), &client->first, client->stream, client->large,
                   LARGE, ignore, NULL);
    orr_timeout(client->loop, &client->others[0], 100 * ORR_MICROSECOND, on_time, client);
}

/* The last byte changes while attempt after attempt is made. */
static void send_all_and_change_later(struct client *client)
{
    send_large(client, change_last);
}

/* The world has taken the first byte by then; a kernel might not have. */
static void send_all_and_change_what_is_taken(struct client *client)
{
    send_large(client, change_first);
}

static void put_back(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    client->large[0] = 'a';
}

/* At the end all is as it was, but other bytes were sent. */
static void send_all_and_change_for_a_while(struct client *client)
{
    send_large(client, put_back);
    client->large[0] = 'b';
}

static void check_sender(struct plan of, const char *what)
{
    char text[128];
    snprintf(text, sizeof text, "ms, " FIRST ": node client has changed byte %s on ", what);
    check_caught(&of, RULE, (const char *[]){text, "before it has called back: send from", NULL});
}

START_TEST(test_police_memory__a_send_that_is_changed)
{
    check_sender((struct plan){.connected = send_and_change}, "7 of the 16 of this send");
    check_sender((struct plan){.opened = writev_and_change}, "19 of the 32 of this writev");
    check_sender((struct plan){.connected = send_to_and_change}, "15 of the 16 of this send_to");
    check_sender((struct plan){.connected = send_all_and_change_later},
                 "262143 of the 262144 of this send");
    check_sender((struct plan){.connected = send_all_and_change_what_is_taken},
                 "0 of the 262144 of this send");
    check_sender((struct plan){.connected = send_all_and_change_for_a_while},
                 "0 of the 262144 of this send");
}
END_TEST

static void recv_and_write(struct client *client)
{
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->buffers[0], 16,
               ignore, NULL);
    orr_shutdown(client->loop, &client->second, client->stream, ORR_SHUTDOWN_RECV, ignore, NULL);
    client->buffers[0][2] = 'x';
}

static void read_twice_into_one(struct client *client)
{
    orr_write(client->loop, &client->others[0], client->file, "abc", 3, 0, ignore, NULL);
    for (int i = 0; i < 2; i++)
        (orr_read)(orr_at(client->loop, FIRST), &client->others[1 + i], client->file,
                   client->buffers[0], 16, 0, ignore, NULL);
}

/* Into a part of it that has never been used: all of it is zero. */
static void recv_much(struct client *client, size_t written)
{
    client->large = orr_malloc(client->loop, LARGE);
    memset(client->large, 0, LARGE);
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->large, LARGE,
               ignore, NULL);
    orr_shutdown(client->loop, &client->second, client->stream, ORR_SHUTDOWN_RECV, ignore, NULL);
    client->large[written] = 'x';
}

static void recv_much_and_write(struct client *client)
{
    recv_much(client, 50000);
}

static void recv_much_and_write_last(struct client *client)
{
    recv_much(client, LARGE - 1);
}

START_TEST(test_police_memory__a_receive_that_is_written_to)
{
    check_caught(&(struct plan){.connected = recv_much_and_write}, RULE,
                 (const char *[]){"changed byte 50000 of the 262144 of this recv on ",
                                  "(0x00 is 0x78)", NULL});
    check_caught(&(struct plan){.connected = recv_much_and_write_last}, RULE,
                 (const char *[]){"changed byte 262143 of the 262144 of this recv on ", NULL});
    check_caught(&(struct plan){.connected = recv_and_write}, RULE,
                 (const char *[]){"ms, " FIRST ": node client has changed byte 2 of the 16 of this "
                                  "recv on ",
                                  "(0xdb is 0x78) before it has called back: only the world",
                                  NULL});
    check_caught(
        &(struct plan){.opened = read_twice_into_one}, RULE,
        (const char *[]){"of the 16 of this read on ", "give each operation its own buffer", NULL});
}
END_TEST

static void free_buffer(struct client *client)
{
    client->large = orr_malloc(client->loop, LARGE);
    (orr_recv)(orr_at(client->loop, FIRST), &client->first, client->stream, client->large + 100, 16,
               ignore, NULL);
    orr_free(client->loop, client->large);
}

static void free_completion(struct client *client)
{
    struct orr_completion *completion = orr_malloc(client->loop, sizeof *completion);
    memset(completion, 0, sizeof *completion);
    (orr_fsync)(orr_at(client->loop, FIRST), completion, client->file, ignore, NULL);
    orr_free(client->loop, completion);
}

static void grow_buffer(struct client *client)
{
    client->large = orr_malloc(client->loop, 16);
    memset(client->large, 'a', 16);
    (orr_send)(orr_at(client->loop, FIRST), &client->first, client->stream, client->large, 16,
               ignore, NULL);
    client->large = orr_realloc(client->loop, client->large, 32);
    must(memcmp(client->large, "aaaaaaaaaaaaaaaa", 16) == 0);
}

START_TEST(test_police_memory__what_is_in_flight_is_freed)
{
    const char *const rule = "memory in flight is not freed";
    check_caught(&(struct plan){.connected = free_buffer}, rule,
                 (const char *[]){"ms, " FIRST ": node client frees", "that its recv on ", NULL});
    check_caught(&(struct plan){.opened = free_completion}, rule,
                 (const char *[]){"ms, " FIRST ": node client frees", "that its fsync on ", NULL});
    check_caught(&(struct plan){.connected = grow_buffer}, rule,
                 (const char *[]){"(or reallocates) memory that its send on ", NULL});
}
END_TEST

/* ---- what a program sees --------------------------------------------------------------------- */

static void on_short_read(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result == 3)
        must(memcmp(client->buffers[0], "abczzzzzzzzzzzzz", 16) == 0);
    if (result <= 0)
        must(memcmp(client->buffers[0], "zzzzzzzzzzzzzzzz", 16) == 0);
    if (result == 3)
        plan->finished++;
}

static void on_short_write(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    memset(client->buffers[0], 'z', 16);
    orr_read(client->loop, completion, client->file, client->buffers[0], 16, 0, on_short_read,
             client);
    for (int i = 0; i < 16; i++)
        must(client->buffers[0][i] == GARBAGE);
}

/* Garbage while it is in flight; then what was read, and beyond it what was there. */
static void reads_little(struct client *client)
{
    orr_write_all(client->loop, &client->second, client->file, "abc", 3, 0, on_short_write, client);
}

#define USED 9984u /* bytes of a large buffer that were used before: a multiple of 64 */

static void fill_large(struct client *client)
{
    memset(client->large, 'z', USED);
    memset(client->large + USED, 'y', LARGE - USED);
}

static void check_large(const struct client *client, size_t from, char used)
{
    for (size_t i = from; i < LARGE; i++)
        must(client->large[i] == (i < USED ? used : 'y'));
}

static void on_large_read(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    size_t count = result > 0 ? (size_t)result : 0;
    must(memcmp(client->large, "abc", count) == 0);
    check_large(client, count, 'z');
    if (count == 3)
        plan->finished++;
}

static void on_first_large_read(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    on_large_read(context, completion, result);
    fill_large(client);
    client->vectors[0] = (struct orr_vector){.base = client->large, .length = 5000};
    client->vectors[1] =
        (struct orr_vector){.base = client->large + 5000, .length = LARGE - 5000};
    orr_readv(client->loop, completion, client->file, client->vectors, 2, 0, on_large_read, client);
    check_large(client, 0, GARBAGE);
}

static void on_written(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)result;
    client->large = orr_malloc(client->loop, LARGE);
    fill_large(client);
    orr_read(client->loop, completion, client->file, client->large, LARGE, 0, on_first_large_read,
             client);
}

/* Of a large buffer garbage hides what was used before. */
static void reads_little_into_much(struct client *client)
{
    orr_write_all(client->loop, &client->second, client->file, "abc", 3, 0, on_written, client);
}

START_TEST(test_police_memory__garbage_until_the_end)
{
    check_clean((struct plan){.opened = reads_little});
    check_clean((struct plan){.opened = reads_little_into_much});
}
END_TEST

/* ---- what is not ----------------------------------------------------------------------------- */

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    memset(client->buffers[0], 'r', 16);
    if (result > 0 && ++client->sends < 100)
        orr_recv(client->loop, completion, client->stream, client->buffers[0], 16, on_received,
                 client);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    memset(client->large, 's', LARGE);
    if (result >= 0 && ++client->sends < SENDS)
        orr_send(client->loop, completion, client->stream, client->large, LARGE, on_sent, client);
    else
        plan->finished++;
}

/* Changes and frees in callbacks, and memory next to what is in flight. */
static void touches_its_own(struct client *client)
{
    client->large = orr_malloc(client->loop, LARGE);
    orr_recv_exact(client->loop, &client->second, client->stream, client->buffers[0], 16,
                   on_received, client);
    memset(client->buffers[1], 'x', 16);
    on_sent(client, &client->first, 0);
    orr_free(client->loop, orr_malloc(client->loop, 16));
}

static void on_canceled(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    (void)result;
    memset(client->large, 'c', LARGE);
    orr_free(client->loop, client->large);
    plan->finished++;
}

/* Once it has ended, memory is the program's: also of a whole transfer that was stopped. */
static void frees_what_was_canceled(struct client *client)
{
    client->large = orr_malloc(client->loop, LARGE);
    orr_send_all(client->loop, &client->first, client->stream, client->large, LARGE, on_canceled,
                 client);
    orr_cancel(client->loop, &client->others[0], &client->first, ignore, NULL);
}

START_TEST(test_police_memory__before_and_after_it_is_the_programs)
{
    check_clean((struct plan){.connected = touches_its_own, .server_talks = true});
    check_clean((struct plan){.connected = frees_what_was_canceled});
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("police_memory");
    tcase_add_test(cases, test_police_memory__a_send_that_is_changed);
    tcase_add_test(cases, test_police_memory__a_receive_that_is_written_to);
    tcase_add_test(cases, test_police_memory__what_is_in_flight_is_freed);
    tcase_add_test(cases, test_police_memory__garbage_until_the_end);
    tcase_add_test(cases, test_police_memory__before_and_after_it_is_the_programs);
    return suite_run("sim/police_memory", cases);
}

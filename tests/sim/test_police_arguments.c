/*
 * test_police_arguments.c: the world reports a program that touches, or frees, what an operation in
 * flight was given beside its buffers: paths, addresses, datagrams, vectors, and what it fills in.
 */
#include "tests/sim/police_fixture.h"

#include <stddef.h>

#define RULE "what an operation was given belongs to the loop"
#define GARBAGE ((char)0xdb)

/* ---- operations, with all that they are given in one block ----------------------------------- */

struct given {
    struct orr_address address;
    struct orr_datagram datagram;
    struct orr_stat status;
    struct orr_vector vectors[2];
    char path[16];
    char path_new[16];
};

/* On a handle of the client's: its file, a listener or a socket for datagrams. */
typedef void (*operation)(struct client *client, struct given *given);

static void accepts(struct client *client, struct given *given)
{
    orr_handle listener = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_STREAM);
    must(orr_listen(client->loop, listener, 8) == 0);
    (orr_accept)(orr_at(client->loop, FIRST), &client->second, listener, &given->address, ignore,
                 NULL);
    orr_cancel(client->loop, &client->others[0], &client->second, ignore, NULL);
}

static void connects(struct client *client, struct given *given)
{
    orr_handle socket = orr_socket(client->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    given->address = client->target;
    (orr_connect)(orr_at(client->loop, FIRST), &client->second, socket, &given->address, ignore,
                  NULL);
}

static void recvs_from(struct client *client, struct given *given)
{
    orr_handle socket = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_DATAGRAM);
    given->datagram = (struct orr_datagram){.buffer = client->buffers[0], .length = 16};
    (orr_recv_from)(orr_at(client->loop, FIRST), &client->second, socket, &given->datagram, ignore,
                    NULL);
    orr_cancel(client->loop, &client->others[0], &client->second, ignore, NULL);
}

static void sends_to(struct client *client, struct given *given)
{
    orr_handle socket = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_DATAGRAM);
    given->datagram =
        (struct orr_datagram){.peer = client->target, .buffer = client->buffers[0], .length = 16};
    (orr_send_to)(orr_at(client->loop, FIRST), &client->second, socket, &given->datagram, ignore,
                  NULL);
}

static void prepare_vectors(struct client *client, struct given *given)
{
    given->vectors[0] = (struct orr_vector){.base = client->buffers[0], .length = 16};
    given->vectors[1] = (struct orr_vector){.base = client->buffers[1], .length = 16};
}

static void readvs(struct client *client, struct given *given)
{
    prepare_vectors(client, given);
    (orr_readv)(orr_at(client->loop, FIRST), &client->second, client->file, given->vectors, 2, 0,
                ignore, NULL);
}

static void writevs(struct client *client, struct given *given)
{
    prepare_vectors(client, given);
    (orr_writev)(orr_at(client->loop, FIRST), &client->second, client->file, given->vectors, 2, 0,
                 ignore, NULL);
}

static void opens(struct client *client, struct given *given)
{
    (orr_open)(orr_at(client->loop, FIRST), &client->second, ORR_DIRECTORY_CURRENT, given->path,
               ORR_OPEN_READ, 0, ignore, NULL);
}

static void stats(struct client *client, struct given *given)
{
    (orr_stat)(orr_at(client->loop, FIRST), &client->second, ORR_DIRECTORY_CURRENT, given->path,
               &given->status, ignore, NULL);
}

static void renames(struct client *client, struct given *given)
{
    (orr_rename)(orr_at(client->loop, FIRST), &client->second, ORR_DIRECTORY_CURRENT, given->path,
                 given->path_new, ignore, NULL);
}

static void links(struct client *client, struct given *given)
{
    (orr_link)(orr_at(client->loop, FIRST), &client->second, ORR_DIRECTORY_CURRENT, given->path,
               given->path_new, ignore, NULL);
}

static void unlinks(struct client *client, struct given *given)
{
    (orr_unlink)(orr_at(client->loop, FIRST), &client->second, ORR_DIRECTORY_CURRENT, given->path,
                 ORR_UNLINK_FILE, ignore, NULL);
}

static void makes_directory(struct client *client, struct given *given)
{
    (orr_mkdir)(orr_at(client->loop, FIRST), &client->second, ORR_DIRECTORY_CURRENT, given->path,
                0755, ignore, NULL);
}

#define AT(member) offsetof(struct given, member)
#define DATAGRAM(member) (AT(datagram) + offsetof(struct orr_datagram, member))

static const struct row {
    operation operation;
    size_t at;        /* the byte in struct given that is touched */
    const char *what; /* the report of that */
    const char *op;
} rows[] = {
    {accepts, AT(address.storage), "byte 8 of the address of this accept (0xdb is ", "accept"},
    {connects, AT(address.storage) + 2, "byte 10 of the address of this connect ", "connect"},
    {recvs_from, DATAGRAM(peer), "byte 0 of the datagram of this recv_from (0xdb is ", "recv_from"},
    {recvs_from, DATAGRAM(truncated), "of the datagram of this recv_from (0xdb is ", "recv_from"},
    {recvs_from, DATAGRAM(length), "of the datagram of this recv_from (0x10 is ", "recv_from"},
    {recvs_from, DATAGRAM(backend) + 79, "of the datagram of this recv_from", "recv_from"},
    {sends_to, DATAGRAM(peer.storage) + 2, "byte 10 of the datagram of this send_to ", "send_to"},
    {sends_to, DATAGRAM(length), "of the datagram of this send_to (0x10 is ", "send_to"},
    {readvs, AT(vectors), "byte 0 of the vectors of this readv ", "readv"},
    {writevs, AT(vectors[1].length), "of the vectors of this writev (0x10 is ", "writev"},
    {opens, AT(path), "byte 0 of the path of this open (0x66 is ", "open"},
    {opens, AT(path) + 4, "byte 4 of the path of this open (0x00 is ", "open"},
    {stats, AT(path), "byte 0 of the path of this stat (0x66 is ", "stat"},
    {stats, AT(status.size), "byte 0 of the orr_stat of this stat (0xdb is ", "stat"},
    {stats, AT(status.backend[31]) + 7, "of the orr_stat of this stat (0xdb is ", "stat"},
    {renames, AT(path), "byte 0 of the path of this rename ", "rename"},
    {renames, AT(path_new) + 1, "byte 1 of the new path of this rename ", "rename"},
    {links, AT(path), "byte 0 of the path of this link ", "link"},
    {links, AT(path_new), "byte 0 of the new path of this link ", "link"},
    {unlinks, AT(path), "byte 0 of the path of this unlink ", "unlink"},
    {makes_directory, AT(path), "byte 0 of the path of this mkdir ", "mkdir"},
};

#define ROWS (sizeof rows / sizeof *rows)

static const struct row *row;

/* ---- what is reported ------------------------------------------------------------------------ */

static void submit(struct client *client, struct given *given)
{
    memcpy(given->path, "file", 5);
    memcpy(given->path_new, "other", 6);
    row->operation(client, given);
}

static void touch(struct client *client)
{
    static struct given given;
    submit(client, &given);
    ((char *)&given)[row->at] ^= 1;
}

START_TEST(test_police_arguments__what_was_given_is_changed)
{
    row = &rows[_i];
    check_caught(&(struct plan){.opened = touch}, RULE,
                 (const char *[]){"ms, " FIRST ": node client has changed byte ", row->what,
                                  "before it has called back: ", NULL});
}
END_TEST

static void give_up(struct client *client)
{
    struct given *given = orr_malloc(client->loop, sizeof *given);
    memset(given, 0, sizeof *given);
    submit(client, given);
    orr_free(client->loop, given);
}

START_TEST(test_police_arguments__what_was_given_is_freed)
{
    char text[64];
    row = &rows[_i];
    snprintf(text, sizeof text, "memory that its %s on ", row->op);
    check_caught(&(struct plan){.opened = give_up}, "memory in flight is not freed",
                 (const char *[]){"ms, " FIRST ": node client frees", text, NULL});
}
END_TEST

static void stat_twice_into_one(struct client *client)
{
    for (int i = 0; i < 2; i++)
        (orr_stat)(orr_at(client->loop, FIRST), &client->others[i], client->file, NULL,
                   &client->status, ignore, NULL);
}

START_TEST(test_police_arguments__two_operations_fill_in_one)
{
    check_caught(&(struct plan){.opened = stat_twice_into_one}, RULE,
                 (const char *[]){" of the orr_stat of this stat ", "give each operation its own",
                                  NULL});
}
END_TEST

/* ---- what a program sees --------------------------------------------------------------------- */

static bool is_all(const void *memory, size_t size, char value)
{
    const char *text = memory;
    size_t i = 0;
    while (i < size && text[i] == value)
        i++;
    return i == size;
}

static void on_stat(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    (void)completion;
    if (result < 0) {
        must(is_all(&client->status, sizeof client->status, 'z'));
        return;
    }
    must(client->status.type == ORR_FILE_REGULAR && client->status.size == 0);
    plan->finished++;
}

/* Garbage while it is in flight; then what was found out, or what was there. */
static void stats_a_file(struct client *client)
{
    memset(&client->status, 'z', sizeof client->status);
    orr_stat(client->loop, &client->second, client->file, NULL, &client->status, on_stat, client);
    must(is_all(&client->status, sizeof client->status, GARBAGE));
}

static void on_datagram(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    struct orr_address own;
    (void)completion;
    must(client->datagram[0].buffer == client->buffers[0] && client->datagram[0].length == 16);
    if (result != 3)
        return;
    must(orr_address_parse("10.0.0.2:9", &own) == 0);
    must(memcmp(&client->datagram[0].peer, &own, 8 + own.length) == 0);
    must(!client->datagram[0].truncated);
    must(memcmp(client->buffers[0], "abczzzzzzzzzzzzz", 16) == 0);
    plan->finished++;
}

/* To itself. */
static void receives_a_datagram(struct client *client)
{
    client->datagrams = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_DATAGRAM);
    if (client->datagrams < 0)
        return;
    memset(client->buffers[0], 'z', 16);
    client->datagram[0] = (struct orr_datagram){.buffer = client->buffers[0], .length = 16};
    orr_recv_from(client->loop, &client->second, client->datagrams, &client->datagram[0],
                  on_datagram, client);
    must(is_all(&client->datagram[0].peer, sizeof client->datagram[0].peer, GARBAGE));
    must(client->datagram[0].buffer == client->buffers[0] && client->datagram[0].length == 16);
    memcpy(client->buffers[1], "abc", 3);
    client->datagram[1] = (struct orr_datagram){.buffer = client->buffers[1], .length = 3};
    must(orr_address_parse("10.0.0.2:9", &client->datagram[1].peer) == 0);
    orr_send_to(client->loop, &client->others[0], client->datagrams, &client->datagram[1], ignore,
                NULL);
}

static void on_accepted(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    char text[ORR_ADDRESS_TEXT_MAX];
    (void)completion;
    if (result < 0)
        return;
    must(orr_address_format(&client->datagram[0].peer, text, sizeof text) >= 0);
    must(strncmp(text, "10.0.0.2:", 9) == 0);
    plan->finished++;
}

/* From itself. */
static void accepts_a_connection(struct client *client)
{
    orr_handle listener = bound(client->loop, "0.0.0.0:9", ORR_SOCKET_STREAM);
    orr_handle socket = orr_socket(client->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    if (listener < 0 || socket < 0)
        return;
    must(orr_listen(client->loop, listener, 8) == 0);
    must(orr_address_parse("10.0.0.2:9", &client->target) == 0);
    orr_accept(client->loop, &client->second, listener, &client->datagram[0].peer, on_accepted,
               client);
    orr_connect(client->loop, &client->others[0], socket, &client->target, ignore, NULL);
}

START_TEST(test_police_arguments__garbage_until_the_end)
{
    check_clean((struct plan){.opened = stats_a_file});
    check_clean((struct plan){.connected = receives_a_datagram});
    check_clean((struct plan){.connected = accepts_a_connection});
}
END_TEST

/* ---- what is not ----------------------------------------------------------------------------- */

static void on_opened_again(void *context, struct orr_completion *completion, int64_t result)
{
    struct client *client = context;
    memset(client->buffers[0], 'x', 16);
    if (result >= 0)
        orr_close(client->loop, completion, result, ignore, NULL);
    plan->finished++;
}

/* One address and one path for several operations, all of which only read it, and changes once it
 * is over. */
static void shares_what_is_read(struct client *client)
{
    static struct orr_address target;
    static char path[16];
    memcpy(path, "file", 5);
    memcpy(client->buffers[0], "file", 5);
    target = client->target;
    for (int i = 0; i < 2; i++) {
        orr_handle socket = orr_socket(client->loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
        orr_connect(client->loop, &client->others[i], socket, &target, ignore, NULL);
        orr_open(client->loop, &client->others[2 + i], ORR_DIRECTORY_CURRENT, path, ORR_OPEN_READ,
                 0, ignore, NULL);
    }
    orr_open(client->loop, &client->second, ORR_DIRECTORY_CURRENT, client->buffers[0],
             ORR_OPEN_READ, 0, on_opened_again, client);
    orr_free(client->loop, orr_malloc(client->loop, 16));
}

START_TEST(test_police_arguments__what_is_read_may_be_shared)
{
    check_clean((struct plan){.opened = shares_what_is_read});
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("police_arguments");
    tcase_add_loop_test(cases, test_police_arguments__what_was_given_is_changed, 0, ROWS);
    tcase_add_loop_test(cases, test_police_arguments__what_was_given_is_freed, 0, ROWS);
    tcase_add_test(cases, test_police_arguments__two_operations_fill_in_one);
    tcase_add_test(cases, test_police_arguments__garbage_until_the_end);
    tcase_add_test(cases, test_police_arguments__what_is_read_may_be_shared);
    return suite_run("sim/police_arguments", cases);
}

/*
 * cases_socket_name.c: the name of a Unix socket is an entry of a directory: bind makes it, connect
 * looks it up, and apart from the two it is a file like any other, which outlives the socket.
 */
#include "tests/conformance/cases.h"

#include <stdio.h>
#include <string.h>

static struct orr_address address_of(const char *name)
{
    char text[ORR_ADDRESS_TEXT_MAX];
    struct orr_address address;
    snprintf(text, sizeof text, "unix:%s%s", ground.prefix, name);
    EXPECT(0, orr_address_parse(text, &address));
    return address;
}

static int64_t connects(const char *name)
{
    struct orr_address address = address_of(name);
    orr_handle client = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    int64_t result = END_OF(orr_connect, client, &address);
    ground_close(client);
    return result;
}

static int64_t binds(orr_handle socket, const char *name)
{
    struct orr_address address = address_of(name);
    return orr_bind(ground.loop, socket, &address);
}

static int64_t opens(const char *name, uint32_t flags)
{
    return END_OF(orr_open, ground.directory, name, flags, 0644);
}

static int64_t stats(const char *name)
{
    struct orr_stat status;
    return END_OF(orr_stat, ground.directory, name, &status);
}

static void unlinks(const char *name)
{
    EXPECT(0, END_OF(orr_unlink, ground.directory, name, ORR_UNLINK_FILE));
}

static orr_handle listens(const char *name)
{
    orr_handle listener = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    EXPECT(0, binds(listener, name));
    EXPECT(0, orr_listen(ground.loop, listener, 8));
    return listener;
}

static void makes_directory(const char *name)
{
    EXPECT(0, END_OF(orr_mkdir, ground.directory, name, 0755));
}

/* Bytes go from one end of a connection to the other. */
static void exchanges(orr_handle from, orr_handle to)
{
    char bytes[4] = "";
    EXPECT(3, END_OF(orr_send_all, from, "abc", 3));
    EXPECT(3, END_OF(orr_recv_exact, to, bytes, 3));
    ck_assert_str_eq(bytes, "abc");
}

/* ---- the entry ------------------------------------------------------------------------------- */

static int list_type(void *context, const char *name, uint32_t type)
{
    if (strcmp(name, "s") == 0)
        *(uint32_t *)context = type;
    return 0;
}

static void a_socket_file_is_neither_file_nor_directory(void)
{
    struct orr_stat status;
    uint32_t listed = 77;
    orr_handle listener = listens("s");
    EXPECT(0, END_OF(orr_stat, ground.directory, "s", &status));
    ck_assert_uint_eq(status.type, ORR_FILE_OTHER);
    ck_assert_uint_eq(status.size, 0);
    ck_assert_uint_eq(status.links, 1);
    EXPECT(0, orr_directory_list(ground.loop, ground.directory, list_type, &listed));
    ck_assert_uint_eq(listed, ORR_FILE_OTHER);
    EXPECT(-ENOTDIR, stats("s/"));
    EXPECT(-ENOTDIR, stats("s/x"));
    EXPECT(-EEXIST, END_OF(orr_mkdir, ground.directory, "s", 0755));
    EXPECT(-ENOTDIR, END_OF(orr_unlink, ground.directory, "s", ORR_UNLINK_DIRECTORY));
    ground_close(listener);
}

/* Some systems say EOPNOTSUPP. */
static void a_socket_file_cannot_be_opened(void)
{
    const uint32_t create = ORR_OPEN_WRITE | ORR_OPEN_CREATE;
    orr_handle listener = listens("s");
    EXPECT_EITHER(-ENXIO, -EOPNOTSUPP, opens("s", ORR_OPEN_READ));
    EXPECT_EITHER(-ENXIO, -EOPNOTSUPP, opens("s", ORR_OPEN_WRITE | ORR_OPEN_TRUNCATE));
    EXPECT_EITHER(-ENXIO, -EOPNOTSUPP, opens("s", create));
    EXPECT(-EEXIST, opens("s", create | ORR_OPEN_EXCLUSIVE));
    EXPECT(-ENOTDIR, opens("s", ORR_OPEN_READ | ORR_OPEN_DIRECTORY));
    EXPECT(-ENOTDIR, opens("s/", ORR_OPEN_READ));
    EXPECT(0, connects("s"));
    ground_close(listener);
}

/* ---- bind ------------------------------------------------------------------------------------ */

static void a_name_in_use_cannot_be_bound(void)
{
    orr_handle socket = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    ground_close(ground_file("file"));
    makes_directory("directory");
    EXPECT(-EADDRINUSE, binds(socket, "file"));
    EXPECT(-EADDRINUSE, binds(socket, "directory"));
    EXPECT(-EADDRINUSE, binds(socket, "directory/"));
    EXPECT(-EADDRINUSE, binds(socket, "."));
    EXPECT(-EADDRINUSE, binds(socket, "directory/.."));
    EXPECT(-ENOENT, binds(socket, "new/"));
    EXPECT(-ENOENT, binds(socket, "missing/s"));
    EXPECT(-ENOTDIR, binds(socket, "file/s"));
    EXPECT(0, binds(socket, "directory/./s")); /* none of these has bound it */
    EXPECT(0, stats("directory/s"));
    ground_close(socket);
}

/* The name is looked at before the socket. */
static void a_second_bind_leaves_no_name(void)
{
    orr_handle socket = listens("s");
    EXPECT(-EADDRINUSE, binds(socket, "s"));
    EXPECT(-ENOENT, binds(socket, "missing/s"));
    EXPECT(-EINVAL, binds(socket, "other"));
    EXPECT(-ENOENT, stats("other"));
    ground_close(socket);
}

static void the_address_of_a_unix_socket_is_what_bind_was_given(void)
{
    struct orr_address given = address_of("./s");
    struct orr_address found;
    orr_handle listener = listens("./s");
    EXPECT(0, END_OF(orr_rename, ground.directory, "s", "renamed"));
    EXPECT(0, orr_local_address(ground.loop, listener, &found));
    ck_assert(orr_address_equal(&given, &found));
    ground_close(listener);
}

/* ---- connect --------------------------------------------------------------------------------- */

static void connects_to_what_is_no_listener(void)
{
    orr_handle socket = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    ground_close(ground_file("file"));
    makes_directory("directory");
    EXPECT(0, binds(socket, "s"));
    EXPECT(-ECONNREFUSED, connects("s")); /* it does not listen */
    EXPECT(-ENOTDIR, connects("s/"));
    EXPECT(-ENOTDIR, connects("s/x"));
    EXPECT(-ECONNREFUSED, connects("file"));
    EXPECT(-ENOTDIR, connects("file/"));
    EXPECT(-ECONNREFUSED, connects("directory"));
    EXPECT(-ENOENT, connects("missing"));
    EXPECT(-ENOENT, connects("missing/s"));
    ground_close(socket);
    EXPECT(-ECONNREFUSED, connects("s")); /* nobody has it any more */
}

static void one_socket_file_has_many_paths(void)
{
    static const char *const paths[] = {"./s", "directory/../s", "directory//..//s"};
    orr_handle listener = listens("s");
    makes_directory("directory");
    for (uint32_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        EXPECT(0, connects(paths[i]));
        ground_close(END_OF(orr_accept, listener, NULL));
    }
    ground_close(listener);
}

/* ---- rename and unlink ----------------------------------------------------------------------- */

static void a_renamed_listener_is_found_under_its_new_name(void)
{
    orr_handle first = listens("s");
    makes_directory("directory");
    EXPECT(0, END_OF(orr_rename, ground.directory, "s", "directory/t"));
    EXPECT(-ENOENT, connects("s"));
    EXPECT(0, connects("directory/t"));
    orr_handle second = listens("s"); /* the name is free */
    EXPECT(0, connects("s"));
    EXPECT(0, END_OF(orr_rename, ground.directory, "s", "directory/t"));
    ground_close(second);
    EXPECT(-ECONNREFUSED, connects("directory/t")); /* it is the second's, not the first's */
    ground_close(first);
}

static void a_file_may_take_the_place_of_a_socket_file(void)
{
    orr_handle listener = listens("s");
    ground_close(ground_file("file"));
    EXPECT(0, END_OF(orr_rename, ground.directory, "file", "s"));
    EXPECT(-ECONNREFUSED, connects("s"));
    ground_close(ground_file("s"));
    ground_close(listener);
}

static void connections_outlive_the_name(void)
{
    struct orr_address address = address_of("s");
    orr_handle client = ground_socket(ORR_FAMILY_UNIX, ORR_SOCKET_STREAM);
    orr_handle first = listens("s");
    EXPECT(0, END_OF(orr_connect, client, &address)); /* to be accepted */
    unlinks("s");
    EXPECT(-ENOENT, connects("s"));
    orr_handle second = listens("s");
    EXPECT(0, connects("s"));
    orr_handle server = END_OF(orr_accept, first, NULL);
    ck_assert_int_gt(server, 0);
    exchanges(client, server);
    exchanges(server, client);
    ground_close(first);
    ground_close(second);
    exchanges(client, server);
    EXPECT(-ECONNREFUSED, connects("s"));
    unlinks("s");
    ground_close(listens("s"));
    ground_close(client);
    ground_close(server);
}

#define NAMED(test)                  \
    {                                \
        .name = #test, .run = (test) \
    }

const struct conformance_case cases_socket_name[] = {
    NAMED(a_socket_file_is_neither_file_nor_directory),
    NAMED(a_socket_file_cannot_be_opened),
    NAMED(a_name_in_use_cannot_be_bound),
    NAMED(a_second_bind_leaves_no_name),
    NAMED(the_address_of_a_unix_socket_is_what_bind_was_given),
    NAMED(connects_to_what_is_no_listener),
    NAMED(one_socket_file_has_many_paths),
    NAMED(a_renamed_listener_is_found_under_its_new_name),
    NAMED(a_file_may_take_the_place_of_a_socket_file),
    NAMED(connections_outlive_the_name),
    {.name = NULL},
};

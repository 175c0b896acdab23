/*
 * cases_name.c: names and directories: open's flags, stat, rename, unlink, mkdir, listing, and the
 * errors of each, which are those of Linux.
 */
#include "tests/conformance/cases.h"

#include <stdio.h>
#include <string.h>

#define READ ORR_OPEN_READ
#define WRITE ORR_OPEN_WRITE
#define MAKE (ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE)

static char long_name[400];

static int64_t open_it(const char *path, uint32_t flags)
{
    return END_OF(orr_open, ground.directory, path, flags, 0644);
}

static int64_t stat_it(const char *path, struct orr_stat *ret_stat)
{
    memset(ret_stat, 0x55, sizeof *ret_stat);
    return END_OF(orr_stat, ground.directory, path, ret_stat);
}

static int64_t rename_it(const char *path, const char *path_new)
{
    return END_OF(orr_rename, ground.directory, path, path_new);
}

static int64_t link_it(const char *path, const char *path_new)
{
    return END_OF(orr_link, ground.directory, path, path_new);
}

static int64_t unlink_it(const char *path, enum orr_unlink_kind kind)
{
    return END_OF(orr_unlink, ground.directory, path, kind);
}

static int64_t mkdir_it(const char *path)
{
    return END_OF(orr_mkdir, ground.directory, path, 0755);
}

static void make_file(const char *name, const char *content)
{
    orr_handle file = ground_file(name);
    size_t length = strlen(content);
    EXPECT((int64_t)length, END_OF(orr_write_all, file, content, length, 0));
    ground_close(file);
}

/* The file of that name holds this. */
static void check_file(const char *name, const char *content)
{
    char bytes[100];
    orr_handle file = open_it(name, READ);
    ck_assert_msg(file > 0, "%s: %s: %s", ground.driver->name, name, probe_text(file));
    int64_t length = END_OF(orr_read_exact, file, bytes, sizeof bytes - 1, 0);
    EXPECT((int64_t)strlen(content), length);
    bytes[length] = '\0';
    ck_assert_str_eq(bytes, content);
    ground_close(file);
}

static void check_missing(const char *name)
{
    struct orr_stat status;
    EXPECT(-ENOENT, stat_it(name, &status));
}

/* ---- open ------------------------------------------------------------------------------------ */

static void open_creates_only_if_asked(void)
{
    EXPECT(-ENOENT, open_it("a", READ));
    EXPECT(-ENOENT, open_it("a", READ | WRITE));
    EXPECT(-ENOENT, open_it("a", WRITE | ORR_OPEN_TRUNCATE));
    check_missing("a");
    make_file("a", "one");
    check_file("a", "one");
    ground_close(open_it("a", MAKE)); /* is there: opened as it is */
    check_file("a", "one");
}

static void open_exclusive(void)
{
    ground_close(open_it("a", MAKE | ORR_OPEN_EXCLUSIVE));
    EXPECT(-EEXIST, open_it("a", MAKE | ORR_OPEN_EXCLUSIVE));
    EXPECT(0, mkdir_it("d"));
    EXPECT(-EEXIST, open_it("d", MAKE | ORR_OPEN_EXCLUSIVE));
    ground_close(open_it("b", MAKE | ORR_OPEN_EXCLUSIVE));
}

static void open_truncates(void)
{
    make_file("a", "something");
    orr_handle old = open_it("a", READ);
    orr_handle file = open_it("a", WRITE | ORR_OPEN_TRUNCATE);
    char bytes[10];
    EXPECT(0, END_OF(orr_read, old, bytes, 10, 0));
    EXPECT(3, END_OF(orr_write_all, file, "new", 3, 0));
    ground_close(file);
    ground_close(old);
    check_file("a", "new");
}

static void open_directories(void)
{
    EXPECT(0, mkdir_it("d"));
    make_file("f", "");
    orr_handle directory = open_it("d", READ | ORR_OPEN_DIRECTORY);
    ck_assert_int_gt(directory, 0);
    ground_close(END_OF(orr_open, directory, "inside", MAKE, 0644));
    check_file("d/inside", "");
    ground_close(directory);
    ground_close(open_it("d", READ)); /* also without the flag */
    EXPECT(-ENOTDIR, open_it("f", READ | ORR_OPEN_DIRECTORY));
    EXPECT(-EISDIR, open_it("d", WRITE));
    EXPECT(-EISDIR, open_it("d", READ | WRITE));
    EXPECT(-EISDIR, open_it("d", MAKE));
    EXPECT(-ENOENT, open_it("missing", READ | ORR_OPEN_DIRECTORY));
}

static void paths(void)
{
    EXPECT(0, mkdir_it("d"));
    EXPECT(0, mkdir_it("d/e"));
    make_file("d/e/f", "deep");
    check_file("d/e/f", "deep");
    check_file("d/./e/../e//f", "deep");
    check_file("./d/e/f", "deep");
    EXPECT(-ENOENT, open_it("", READ));
    EXPECT(-ENOENT, open_it("d/missing/f", READ));
    EXPECT(-ENOENT, open_it("missing/f", MAKE));
    EXPECT(-ENOTDIR, open_it("d/e/f/g", READ));
    EXPECT(-ENOTDIR, open_it("d/e/f/", READ));
    EXPECT(-ENOTDIR, open_it("d/e/f/..", READ));
    EXPECT(-EISDIR, open_it("d/new/", MAKE));
    orr_handle directory = open_it("d/e", READ | ORR_OPEN_DIRECTORY);
    ground_close(END_OF(orr_open, directory, "f", READ, 0));
    ground_close(END_OF(orr_open, directory, "../e/f", READ, 0));
    ground_close(directory);
    make_file("f", "");
    orr_handle file = open_it("f", READ);
    EXPECT(-ENOTDIR, END_OF(orr_open, file, "x", READ, 0));
    ground_close(file);
}

static void names_that_are_too_long(void)
{
    struct orr_stat status;
    memset(long_name, 'n', 256);
    long_name[256] = '\0';
    EXPECT(-ENAMETOOLONG, open_it(long_name, MAKE));
    EXPECT(-ENAMETOOLONG, mkdir_it(long_name));
    EXPECT(-ENAMETOOLONG, stat_it(long_name, &status));
    EXPECT(-ENAMETOOLONG, unlink_it(long_name, ORR_UNLINK_FILE));
    long_name[255] = '\0'; /* as long as may be */
    make_file(long_name, "long");
    check_file(long_name, "long");
    EXPECT(0, unlink_it(long_name, ORR_UNLINK_FILE));
}

/* ---- stat ------------------------------------------------------------------------------------ */

static void stat_tells_of_files(void)
{
    struct orr_stat status;
    struct orr_stat again;
    orr_handle file = END_OF(orr_open, ground.directory, "a", MAKE, 0640);
    EXPECT(5, END_OF(orr_write_all, file, "12345", 5, 0));
    EXPECT(0, stat_it("a", &status));
    ck_assert_uint_eq(status.size, 5);
    ck_assert_uint_eq(status.type, ORR_FILE_REGULAR);
    ck_assert_uint_eq(status.mode, 0640);
    ck_assert_uint_eq(status.links, 1);
    ck_assert_int_gt(status.modified_ns, 978307200 * (int64_t)ORR_SECOND); /* 2001 */
    memset(&again, 0, sizeof again);
    EXPECT(0, END_OF(orr_stat, file, NULL, &again));
    ck_assert_uint_eq(again.inode, status.inode);
    ck_assert_uint_eq(again.size, 5);
    EXPECT(5, END_OF(orr_write_all, file, "67890", 5, 5));
    EXPECT(0, END_OF(orr_stat, file, NULL, &again));
    ck_assert_uint_eq(again.size, 10);
    ck_assert_int_ge(again.modified_ns, status.modified_ns);
    ground_close(file);
}

static void stat_tells_of_directories(void)
{
    struct orr_stat directory;
    struct orr_stat other;
    EXPECT(0, END_OF(orr_mkdir, ground.directory, "d", 0750));
    EXPECT(0, stat_it("d", &directory));
    ck_assert_uint_eq(directory.type, ORR_FILE_DIRECTORY);
    ck_assert_uint_eq(directory.mode, 0750);
    EXPECT(0, stat_it("d/.", &other));
    ck_assert_uint_eq(other.inode, directory.inode);
    EXPECT(0, END_OF(orr_stat, ground.directory, NULL, &other));
    ck_assert_uint_eq(other.type, ORR_FILE_DIRECTORY);
    ck_assert_uint_ne(other.inode, directory.inode);
    EXPECT(0, stat_it("d/..", &directory));
    ck_assert_uint_eq(other.inode, directory.inode);
    make_file("f", "");
    EXPECT(0, stat_it("f", &directory));
    ck_assert_uint_ne(other.inode, directory.inode);
    EXPECT(-ENOENT, stat_it("missing", &other));
    EXPECT(-ENOTDIR, stat_it("f/x", &other));
    EXPECT(-ENOENT, stat_it("", &other));
}

/* Of any kind: a socket, too. */
static void stat_of_a_socket(void)
{
    struct orr_stat status;
    orr_handle socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(0, END_OF(orr_stat, socket, NULL, &status));
    ck_assert_uint_eq(status.type, ORR_FILE_OTHER);
    ground_close(socket);
}

/* ---- rename ---------------------------------------------------------------------------------- */

static void rename_moves_and_replaces(void)
{
    struct orr_stat status;
    make_file("a", "one");
    EXPECT(0, rename_it("a", "b"));
    check_missing("a");
    check_file("b", "one");
    make_file("c", "two");
    orr_handle old = open_it("c", READ);
    EXPECT(0, rename_it("b", "c")); /* what stood there is replaced, and lives while it is open */
    check_missing("b");
    check_file("c", "one");
    char bytes[10];
    EXPECT(3, END_OF(orr_read_exact, old, bytes, 10, 0));
    ck_assert_mem_eq(bytes, "two", 3);
    EXPECT(0, END_OF(orr_stat, old, NULL, &status));
    ck_assert_uint_eq(status.links, 0);
    ground_close(old);
    EXPECT(0, rename_it("c", "c")); /* onto itself */
    check_file("c", "one");
}

static void rename_of_directories(void)
{
    EXPECT(0, mkdir_it("d"));
    make_file("d/f", "inside");
    EXPECT(0, rename_it("d", "e"));
    check_file("e/f", "inside");
    check_missing("d");
    EXPECT(0, mkdir_it("empty"));
    EXPECT(0, rename_it("e", "empty")); /* replaces an empty one */
    check_file("empty/f", "inside");
    EXPECT(0, mkdir_it("other"));
    EXPECT(-ENOTEMPTY, rename_it("other", "empty"));
    EXPECT(-EINVAL, rename_it("empty", "empty/sub"));
    EXPECT(-ENOTDIR, rename_it("empty", "empty/f/x"));
    make_file("file", "");
    EXPECT(-ENOTDIR, rename_it("other", "file"));
    EXPECT(-EISDIR, rename_it("file", "other"));
    EXPECT(0, rename_it("empty/f", "moved"));
    check_file("moved", "inside");
    EXPECT(0, rename_it("moved", "empty/g"));
    check_file("empty/g", "inside");
}

static void rename_errors(void)
{
    make_file("a", "one");
    EXPECT(-ENOENT, rename_it("missing", "b"));
    EXPECT(-ENOENT, rename_it("a", "missing/b"));
    EXPECT(-ENOENT, rename_it("", "b"));
    EXPECT(-ENOENT, rename_it("a", ""));
    EXPECT(-ENOTDIR, rename_it("a/x", "b"));
    EXPECT(-ENOTDIR, rename_it("a", "a/x"));
    memset(long_name, 'n', 256);
    long_name[256] = '\0';
    EXPECT(-ENAMETOOLONG, rename_it("a", long_name));
    check_file("a", "one");
}

/* ---- link ------------------------------------------------------------------------------------ */

static uint32_t links_of(const char *path)
{
    struct orr_stat status;
    EXPECT(0, stat_it(path, &status));
    return status.links;
}

static void link_gives_a_second_name(void)
{
    struct orr_stat first;
    struct orr_stat second;
    make_file("a", "one");
    EXPECT(0, mkdir_it("d"));
    EXPECT(0, link_it("a", "d/b"));
    EXPECT(0, stat_it("a", &first));
    EXPECT(0, stat_it("d/b", &second));
    ck_assert_uint_eq(first.inode, second.inode);
    ck_assert_uint_eq(first.links, 2);
    orr_handle file = open_it("d/b", WRITE);
    EXPECT(1, END_OF(orr_write_all, file, "O", 1, 0));
    ground_close(file);
    check_file("a", "One");
    EXPECT(0, unlink_it("a", ORR_UNLINK_FILE));
    check_missing("a");
    check_file("d/b", "One");
    ck_assert_uint_eq(links_of("d/b"), 1);
}

static void rename_between_two_names_of_a_file_does_nothing(void)
{
    make_file("a", "one");
    EXPECT(0, link_it("a", "b"));
    EXPECT(0, rename_it("a", "b"));
    ck_assert_uint_eq(links_of("a"), 2);
    ck_assert_uint_eq(links_of("b"), 2);
    make_file("c", "two");
    EXPECT(0, rename_it("c", "a")); /* one of its two names is replaced */
    check_file("a", "two");
    ck_assert_uint_eq(links_of("b"), 1);
}

static void link_errors(void)
{
    make_file("a", "one");
    make_file("b", "two");
    EXPECT(0, mkdir_it("d"));
    EXPECT(-EEXIST, link_it("a", "b"));
    EXPECT(-EEXIST, link_it("a", "a"));
    EXPECT(-EEXIST, link_it("a", "d"));
    EXPECT(-EEXIST, link_it("a", "d/."));
    EXPECT(-ENOENT, link_it("missing", "c"));
    EXPECT(-ENOENT, link_it("a", "missing/c"));
    EXPECT(-ENOENT, link_it("", "c"));
    EXPECT(-ENOENT, link_it("a", ""));
    EXPECT(-ENOTDIR, link_it("a/x", "c"));
    EXPECT(-ENOTDIR, link_it("a", "b/x"));
    EXPECT(-EPERM, link_it("d", "e"));
    memset(long_name, 'n', 256);
    long_name[256] = '\0';
    EXPECT(-ENAMETOOLONG, link_it("a", long_name));
    ck_assert_uint_eq(links_of("a"), 1);
}

/* ---- unlink and mkdir ------------------------------------------------------------------------ */

static void unlink_removes_names(void)
{
    struct orr_stat status;
    make_file("a", "content");
    orr_handle file = open_it("a", READ | WRITE);
    EXPECT(0, unlink_it("a", ORR_UNLINK_FILE));
    check_missing("a");
    EXPECT(-ENOENT, unlink_it("a", ORR_UNLINK_FILE));
    char bytes[20];
    EXPECT(7, END_OF(orr_read_exact, file, bytes, 20, 0)); /* lives while it is open */
    EXPECT(3, END_OF(orr_write_all, file, "CON", 3, 0));
    EXPECT(0, END_OF(orr_stat, file, NULL, &status));
    ck_assert_uint_eq(status.links, 0);
    make_file("a", "another");
    EXPECT(7, END_OF(orr_read_exact, file, bytes, 20, 0));
    ck_assert_mem_eq(bytes, "CONtent", 7);
    ground_close(file);
    check_file("a", "another");
}

static void unlink_knows_directories(void)
{
    make_file("f", "");
    EXPECT(0, mkdir_it("d"));
    make_file("d/f", "");
    EXPECT(-EISDIR, unlink_it("d", ORR_UNLINK_FILE));
    EXPECT(-ENOTDIR, unlink_it("f", ORR_UNLINK_DIRECTORY));
    EXPECT(-ENOTEMPTY, unlink_it("d", ORR_UNLINK_DIRECTORY));
    EXPECT(0, unlink_it("d/f", ORR_UNLINK_FILE));
    EXPECT(0, unlink_it("d", ORR_UNLINK_DIRECTORY));
    check_missing("d");
    EXPECT(-ENOENT, unlink_it("d", ORR_UNLINK_DIRECTORY));
    EXPECT(-ENOENT, unlink_it("missing/f", ORR_UNLINK_FILE));
    EXPECT(-ENOTDIR, unlink_it("f/x", ORR_UNLINK_FILE));
    EXPECT(-ENOENT, unlink_it("", ORR_UNLINK_FILE));
    EXPECT(0, unlink_it("f", ORR_UNLINK_FILE));
}

/* A directory that is gone takes nothing in any more. */
static void a_removed_directory_that_is_open(void)
{
    EXPECT(0, mkdir_it("d"));
    orr_handle directory = open_it("d", READ | ORR_OPEN_DIRECTORY);
    EXPECT(0, unlink_it("d", ORR_UNLINK_DIRECTORY));
    EXPECT(-ENOENT, END_OF(orr_open, directory, "f", MAKE, 0644));
    EXPECT(-ENOENT, END_OF(orr_mkdir, directory, "e", 0755));
    ground_close(directory);
}

static void mkdir_errors(void)
{
    EXPECT(0, mkdir_it("d"));
    make_file("f", "");
    EXPECT(-EEXIST, mkdir_it("d"));
    EXPECT(-EEXIST, mkdir_it("f"));
    EXPECT(-EEXIST, mkdir_it("."));
    EXPECT(-ENOENT, mkdir_it("missing/d"));
    EXPECT(-ENOTDIR, mkdir_it("f/d"));
    EXPECT(-ENOENT, mkdir_it(""));
    EXPECT(0, mkdir_it("d/e"));
    EXPECT(0, mkdir_it("slash/"));
    struct orr_stat status;
    EXPECT(0, stat_it("slash", &status));
    ck_assert_uint_eq(status.type, ORR_FILE_DIRECTORY);
}

/* ---- listing --------------------------------------------------------------------------------- */

#define LISTED_MAX 200u

struct listing {
    uint32_t count;
    uint32_t stop_at;
    char names[LISTED_MAX][32];
    uint32_t types[LISTED_MAX];
};

static int note_entry(void *context, const char *name, uint32_t type)
{
    struct listing *listing = context;
    ck_assert_uint_lt(listing->count, LISTED_MAX);
    snprintf(listing->names[listing->count], sizeof listing->names[0], "%s", name);
    listing->types[listing->count] = type;
    listing->count++;
    return listing->count == listing->stop_at ? 42 : 0;
}

static uint32_t type_of(const struct listing *listing, const char *name)
{
    for (uint32_t i = 0; i < listing->count; i++)
        if (strcmp(listing->names[i], name) == 0)
            return listing->types[i];
    return UINT32_MAX;
}

static void listing_names_everything_once(void)
{
    static struct listing listing;
    char name[16];
    memset(&listing, 0, sizeof listing);
    EXPECT(0, orr_directory_list(ground.loop, ground.directory, note_entry, &listing));
    ck_assert_uint_eq(listing.count, 0);
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "entry%u", i);
        if (i % 2 == 0)
            make_file(name, "");
        else
            EXPECT(0, mkdir_it(name));
    }
    EXPECT(0, unlink_it("entry0", ORR_UNLINK_FILE));
    EXPECT(0, rename_it("entry2", "renamed"));
    EXPECT(0, orr_directory_list(ground.loop, ground.directory, note_entry, &listing));
    ck_assert_uint_eq(listing.count, 99);
    for (uint32_t i = 4; i < 100; i++) {
        snprintf(name, sizeof name, "entry%u", i);
        uint32_t type = type_of(&listing, name);
        if (type != ORR_FILE_OTHER) /* where the system does not tell */
            ck_assert_uint_eq(type, i % 2 == 0 ? ORR_FILE_REGULAR : ORR_FILE_DIRECTORY);
    }
    ck_assert_uint_ne(type_of(&listing, "renamed"), UINT32_MAX);
    ck_assert_uint_eq(type_of(&listing, "entry2"), UINT32_MAX);
}

static void listing_ends_when_told(void)
{
    static struct listing listing;
    memset(&listing, 0, sizeof listing);
    make_file("a", "");
    make_file("b", "");
    make_file("c", "");
    listing.stop_at = 2;
    EXPECT(42, orr_directory_list(ground.loop, ground.directory, note_entry, &listing));
    ck_assert_uint_eq(listing.count, 2);
    memset(&listing, 0, sizeof listing);
    EXPECT(0, orr_directory_list(ground.loop, ground.directory, note_entry, &listing));
    ck_assert_uint_eq(listing.count, 3); /* from the beginning again */
}

/* A name of nothing is none, whatever it shall be relative to. */
static void names_in_what_is_no_directory(void)
{
    struct orr_stat status;
    orr_handle handles[] = {ground_file("f"), ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM)};
    for (int i = 0; i < 2; i++) {
        EXPECT(-ENOTDIR, END_OF(orr_open, handles[i], "x", READ, 0));
        EXPECT(-ENOTDIR, END_OF(orr_stat, handles[i], "x", &status));
        EXPECT(-ENOTDIR, END_OF(orr_rename, handles[i], "x", "y"));
        EXPECT(-ENOTDIR, END_OF(orr_link, handles[i], "x", "y"));
        EXPECT(-ENOTDIR, END_OF(orr_unlink, handles[i], "x", ORR_UNLINK_FILE));
        EXPECT(-ENOTDIR, END_OF(orr_mkdir, handles[i], "x", 0755));
        EXPECT(-ENOENT, END_OF(orr_open, handles[i], "", READ, 0));
        EXPECT(-ENOENT, END_OF(orr_stat, handles[i], "", &status));
        EXPECT(-ENOENT, END_OF(orr_rename, handles[i], "", "y"));
        EXPECT(-ENOENT, END_OF(orr_link, handles[i], "", "y"));
        EXPECT(-ENOENT, END_OF(orr_unlink, handles[i], "", ORR_UNLINK_FILE));
        EXPECT(-ENOENT, END_OF(orr_mkdir, handles[i], "", 0755));
        ground_close(handles[i]);
    }
}

static void listing_wants_a_directory(void)
{
    static struct listing listing;
    orr_handle file = ground_file("f");
    orr_handle socket = ground_socket(ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    EXPECT(-ENOTDIR, orr_directory_list(ground.loop, file, note_entry, &listing));
    EXPECT(-ENOTDIR, orr_directory_list(ground.loop, socket, note_entry, &listing));
    EXPECT(-EBADF, orr_directory_list(ground.loop, 999, note_entry, &listing));
    ck_assert_uint_eq(listing.count, 0);
    ground_close(file);
    ground_close(socket);
}

const struct conformance_case cases_name[] = {
    {.name = "open_creates_only_if_asked", .run = open_creates_only_if_asked},
    {.name = "open_exclusive", .run = open_exclusive},
    {.name = "open_truncates", .run = open_truncates},
    {.name = "open_directories", .run = open_directories},
    {.name = "paths", .run = paths},
    {.name = "names_that_are_too_long", .run = names_that_are_too_long},
    {.name = "stat_tells_of_files", .run = stat_tells_of_files},
    {.name = "stat_tells_of_directories", .run = stat_tells_of_directories},
    {.name = "stat_of_a_socket", .run = stat_of_a_socket},
    {.name = "rename_moves_and_replaces", .run = rename_moves_and_replaces},
    {.name = "rename_of_directories", .run = rename_of_directories},
    {.name = "rename_errors", .run = rename_errors},
    {.name = "link_gives_a_second_name", .run = link_gives_a_second_name},
    {.name = "rename_between_two_names_of_a_file_does_nothing",
     .run = rename_between_two_names_of_a_file_does_nothing},
    {.name = "link_errors", .run = link_errors},
    {.name = "unlink_removes_names", .run = unlink_removes_names},
    {.name = "unlink_knows_directories", .run = unlink_knows_directories},
    {.name = "a_removed_directory_that_is_open", .run = a_removed_directory_that_is_open},
    {.name = "mkdir_errors", .run = mkdir_errors},
    {.name = "listing_names_everything_once", .run = listing_names_everything_once},
    {.name = "listing_ends_when_told", .run = listing_ends_when_told},
    {.name = "names_in_what_is_no_directory", .run = names_in_what_is_no_directory},
    {.name = "listing_wants_a_directory", .run = listing_wants_a_directory},
    {.name = NULL},
};

/*
 * test_disk.c: the calls of the simulated disk (sim/disk*.c) while the power stays on.
 *
 * What a call must answer is not written down here a second time: the differential tests make each
 * call on the real file system as well, in a temporary directory, and compare. The rest is about
 * what a real disk would not show on demand: space, memory, the order of listings.
 */
#define _GNU_SOURCE

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sim/disk_fixture.h"

#define OPEN_FILES 6
#define TRANSFER_MAX_TESTED 9000u

/* ---- the same on both ------------------------------------------------------------------------ */

/* A simulated and a real disk that get the same calls. */
struct twin {
    struct fixture simulated;
    char directory[64];
    int root; /* descriptor of the real root */
    struct {
        struct orr__file *file; /* NULL = closed */
        int descriptor;
    } open[OPEN_FILES];
    char trace[2200]; /* the call under way, for messages */
};

static void twin_open(struct twin *twin, uint64_t seed)
{
    memset(twin, 0, sizeof *twin);
    fixture_open(&twin->simulated, seed);
    umask(0);
    snprintf(twin->directory, sizeof twin->directory, "%s/orrery-disk-XXXXXX", P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(twin->directory));
    twin->root = open(twin->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(twin->root, 0);
}

static void remove_real(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return;
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    DIR *directory = fdopendir(descriptor);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_real(descriptor, entry->d_name);
    closedir(directory);
    ck_assert_int_eq(unlinkat(parent, name, AT_REMOVEDIR), 0);
}

static void twin_close_file(struct twin *twin, uint32_t slot)
{
    if (twin->open[slot].file == NULL)
        return;
    orr__file_close(twin->open[slot].file);
    ck_assert_int_eq(close(twin->open[slot].descriptor), 0);
    twin->open[slot].file = NULL;
}

static void twin_close(struct twin *twin)
{
    for (uint32_t slot = 0; slot < OPEN_FILES; slot++)
        twin_close_file(twin, slot);
    ck_assert_int_eq(close(twin->root), 0);
    remove_real(AT_FDCWD, twin->directory);
    fixture_close(&twin->simulated);
}

/* A real call has answered `real` (< 0: see errno). */
static void compare(const struct twin *twin, int64_t simulated, int64_t real)
{
    int64_t expected = real < 0 ? -errno : real;
    ck_assert_msg(simulated == expected,
                  "seed %llu: %s: the kernel answers %lld, the simulated disk %lld",
                  (unsigned long long)twin->simulated.seed, twin->trace, (long long)expected,
                  (long long)simulated);
}

static uint32_t below(struct twin *twin, uint32_t bound)
{
    return (uint32_t)fixture_below(&twin->simulated, bound);
}

/* A path that never leads out of the directory it starts from. */
static void make_path(struct twin *twin, char *path, size_t size)
{
    static const char *const names[] = {"a", "b", "c", "d", "a", "b", "."};
    uint32_t components = 1 + below(twin, 3);
    uint32_t depth = 0;
    size_t at = 0;
    path[0] = '\0';
    if (below(twin, 64) == 0)
        return;
    for (uint32_t i = 0; i < components; i++) {
        const char *name = names[below(twin, 7)];
        bool up = depth > 0 && below(twin, 8) == 0;
        bool slash = i + 1 < components || below(twin, 8) == 0;
        if (up)
            name = "..";
        if (up)
            depth--;
        else if (name[0] != '.')
            depth++;
        if (below(twin, 48) == 0) {
            size_t length = 250 + below(twin, 10);
            memset(path + at, 'n', length);
            at += length;
            depth++;
            name = "";
        }
        at += (size_t)snprintf(path + at, size - at, "%s%s", name,
                               !slash                ? ""
                               : below(twin, 8) == 0 ? "//"
                                                     : "/");
    }
}

static struct orr__file *choose_base(struct twin *twin, int *ret_descriptor)
{
    uint32_t slot = below(twin, 2 * OPEN_FILES);
    if (slot >= OPEN_FILES || twin->open[slot].file == NULL) {
        *ret_descriptor = twin->root;
        return NULL;
    }
    *ret_descriptor = twin->open[slot].descriptor;
    return twin->open[slot].file;
}

static int real_flags(uint32_t flags)
{
    int real = O_CLOEXEC;
    if ((flags & ORR_OPEN_WRITE) != 0)
        real |= (flags & ORR_OPEN_READ) != 0 ? O_RDWR : O_WRONLY;
    real |= (flags & ORR_OPEN_CREATE) != 0 ? O_CREAT : 0;
    real |= (flags & ORR_OPEN_EXCLUSIVE) != 0 ? O_EXCL : 0;
    real |= (flags & ORR_OPEN_TRUNCATE) != 0 ? O_TRUNC : 0;
    real |= (flags & ORR_OPEN_DIRECTORY) != 0 ? O_DIRECTORY : 0;
    return real;
}

static void both_open(struct twin *twin, uint32_t slot, struct orr__file *base, int real_base,
                      const char *path, uint32_t flags)
{
    struct orr__file *file = NULL;
    twin_close_file(twin, slot);
    snprintf(twin->trace, sizeof twin->trace, "open(\"%s\", 0x%x)", path, flags);
    uint32_t mode = 0700 | below(twin, 0100);
    int status = orr__disk_open(twin->simulated.disk, base, path, flags, mode, &file);
    int descriptor = openat(real_base, path, real_flags(flags), mode);
    compare(twin, status, descriptor < 0 ? descriptor : 0);
    if (descriptor < 0)
        return;
    twin->open[slot].file = file;
    twin->open[slot].descriptor = descriptor;
}

static void do_open(struct twin *twin)
{
    char path[1024];
    int real_base;
    uint32_t slot = below(twin, OPEN_FILES);
    twin_close_file(twin, slot);
    struct orr__file *base = choose_base(twin, &real_base);
    make_path(twin, path, sizeof path);
    uint32_t flags = below(twin, 2) == 0 ? ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE
                                         : below(twin, ORR_OPEN_SYNC);
    if ((flags & ORR_OPEN_CREATE) != 0) /* what both at once mean has changed between kernels */
        flags &= ~(uint32_t)ORR_OPEN_DIRECTORY;
    both_open(twin, slot, base, real_base, path, flags);
}

static void compare_stat(const struct twin *twin, const struct orr_stat *simulated,
                         const struct stat *real)
{
    bool directory = S_ISDIR(real->st_mode);
    compare(twin, simulated->type, directory ? ORR_FILE_DIRECTORY : ORR_FILE_REGULAR);
    if (directory) /* sizes and links of directories differ between file systems */
        return;
    compare(twin, (int64_t)simulated->size, real->st_size);
    compare(twin, simulated->links, (int64_t)real->st_nlink);
    compare(twin, simulated->mode, real->st_mode & 07777);
}

static void do_stat(struct twin *twin)
{
    char path[1024];
    int real_base;
    struct orr_stat simulated;
    struct stat real;
    struct orr__file *base = choose_base(twin, &real_base);
    make_path(twin, path, sizeof path);
    snprintf(twin->trace, sizeof twin->trace, "stat(\"%s\")", path);
    int status = orr__disk_stat(twin->simulated.disk, base, path, &simulated);
    compare(twin, status, fstatat(real_base, path, &real, 0));
    if (status == 0)
        compare_stat(twin, &simulated, &real);
}

static void do_mkdir(struct twin *twin)
{
    char path[1024];
    int real_base;
    struct orr__file *base = choose_base(twin, &real_base);
    make_path(twin, path, sizeof path);
    snprintf(twin->trace, sizeof twin->trace, "mkdir(\"%s\")", path);
    int status = orr__disk_mkdir(twin->simulated.disk, base, path, 0755);
    compare(twin, status, mkdirat(real_base, path, 0755));
}

static void do_unlink(struct twin *twin)
{
    char path[1024];
    int real_base;
    bool directory = below(twin, 2) == 0;
    struct orr__file *base = choose_base(twin, &real_base);
    make_path(twin, path, sizeof path);
    snprintf(twin->trace, sizeof twin->trace, "%s(\"%s\")", directory ? "rmdir" : "unlink", path);
    int status = orr__disk_unlink(twin->simulated.disk, base, path,
                                  directory ? ORR_UNLINK_DIRECTORY : ORR_UNLINK_FILE);
    compare(twin, status, unlinkat(real_base, path, directory ? AT_REMOVEDIR : 0));
}

static void do_rename(struct twin *twin)
{
    char path[1024];
    char path_new[1024];
    int real_base;
    struct orr__file *base = choose_base(twin, &real_base);
    make_path(twin, path, sizeof path);
    make_path(twin, path_new, sizeof path_new);
    snprintf(twin->trace, sizeof twin->trace, "rename(\"%s\", \"%s\")", path, path_new);
    int status = orr__disk_rename(twin->simulated.disk, base, path, path_new);
    compare(twin, status, renameat(real_base, path, real_base, path_new));
}

static void do_link(struct twin *twin)
{
    char path[1024];
    char path_new[1024];
    int real_base;
    struct orr__file *base = choose_base(twin, &real_base);
    make_path(twin, path, sizeof path);
    make_path(twin, path_new, sizeof path_new);
    snprintf(twin->trace, sizeof twin->trace, "link(\"%s\", \"%s\")", path, path_new);
    int status = orr__disk_link(twin->simulated.disk, base, path, path_new);
    compare(twin, status, linkat(real_base, path, real_base, path_new, 0));
}

/* A transfer, truncate, allocate or stat of an open file or directory. */
static void do_on_file(struct twin *twin)
{
    static uint8_t simulated_bytes[TRANSFER_MAX_TESTED];
    static uint8_t real_bytes[TRANSFER_MAX_TESTED];
    uint32_t slot = below(twin, OPEN_FILES);
    struct orr__file *file = twin->open[slot].file;
    int real = twin->open[slot].descriptor;
    uint32_t length = below(twin, below(twin, 4) == 0 ? TRANSFER_MAX_TESTED : 600);
    uint32_t offset = below(twin, below(twin, 4) == 0 ? 20000 : 1000);
    uint32_t what = below(twin, 6);
    if (file == NULL)
        return;
    snprintf(twin->trace, sizeof twin->trace, "call %u on file %u, length %u, offset %u", what,
             slot, length, offset);
    if (what <= 1) {
        int64_t count = orr__file_read(file, simulated_bytes, length, offset);
        compare(twin, count, pread(real, real_bytes, length, offset));
        if (count > 0)
            ck_assert_mem_eq(simulated_bytes, real_bytes, (size_t)count);
    } else if (what <= 3) {
        fixture_fill(&twin->simulated, real_bytes, length);
        int64_t count = orr__file_write(file, real_bytes, length, offset);
        compare(twin, count, pwrite(real, real_bytes, length, offset));
    } else if (what == 4) {
        compare(twin, orr__file_truncate(file, offset), ftruncate(real, offset));
    } else {
        struct orr_stat simulated_stat;
        struct stat real_stat;
        compare(twin, orr__file_stat(file, &simulated_stat), fstat(real, &real_stat));
        compare_stat(twin, &simulated_stat, &real_stat);
    }
}

/* posix_fallocate answers the error itself, and is emulated where the file system cannot. */
static void do_allocate(struct twin *twin)
{
    uint32_t slot = below(twin, OPEN_FILES);
    uint32_t length = below(twin, 5000);
    uint32_t offset = below(twin, 5000);
    if (twin->open[slot].file == NULL)
        return;
    snprintf(twin->trace, sizeof twin->trace, "allocate(file %u, %u, %u)", slot, offset, length);
    int simulated = orr__file_allocate(twin->open[slot].file, offset, length);
    errno = posix_fallocate(twin->open[slot].descriptor, offset, length);
    compare(twin, simulated, errno == 0 ? 0 : -1);
}

/* ---- the whole tree -------------------------------------------------------------------------- */

struct tree_comparison {
    struct twin *twin;
    uint32_t count;
};

static void compare_bytes(struct twin *twin, const char *path, uint64_t size)
{
    uint8_t *simulated = orr__disk_memory(NULL, size + 1);
    uint8_t *real = orr__disk_memory(NULL, size + 1);
    int descriptor = openat(twin->root, path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(pread(descriptor, real, size + 1, 0), (ssize_t)size);
    close(descriptor);
    fixture_read(&twin->simulated, path, simulated, (uint32_t)size + 1);
    ck_assert_int_eq(memcmp(simulated, real, size), 0);
    free(simulated);
    free(real);
}

static void compare_entry(void *context, const char *path, const struct orr_stat *stat)
{
    struct tree_comparison *comparison = context;
    struct twin *twin = comparison->twin;
    struct stat real;
    const char *relative = path + strspn(path, "/");
    comparison->count++;
    snprintf(twin->trace, sizeof twin->trace, "at the end, %.900s", relative);
    compare(twin, 0, fstatat(twin->root, relative, &real, 0));
    compare_stat(twin, stat, &real);
    if (stat->type == ORR_FILE_REGULAR)
        compare_bytes(twin, relative, stat->size);
}

static uint32_t count_real(int parent, const char *name)
{
    uint32_t count = 0;
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return 0;
    DIR *directory = fdopendir(descriptor);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            count += 1 + count_real(descriptor, entry->d_name);
    closedir(directory);
    return count;
}

static void compare_trees(struct twin *twin)
{
    struct tree_comparison comparison = {.twin = twin};
    fixture_walk(&twin->simulated, compare_entry, &comparison);
    ck_assert_uint_eq(comparison.count, count_real(twin->root, "."));
}

START_TEST(test_disk__answers_as_the_kernel_does)
{
    static void (*const calls[])(struct twin *) = {
        do_open,   do_open,    do_open,    do_stat,    do_mkdir,    do_mkdir,
        do_unlink, do_rename,  do_rename,  do_link,    do_link,     do_rename,
        do_unlink, do_on_file, do_on_file, do_on_file, do_allocate,
    };
    struct twin twin;
    twin_open(&twin, (uint64_t)_i);
    for (uint32_t i = 0; i < 1500; i++)
        calls[below(&twin, sizeof calls / sizeof calls[0])](&twin);
    compare_trees(&twin);
    twin_close(&twin);
}
END_TEST

START_TEST(test_disk__answers_as_the_kernel_does_at_the_limits)
{
    struct twin twin;
    char path[5000];
    twin_open(&twin, 1);
    for (size_t length = 4090; length < 4100; length++) {
        for (size_t i = 0; i < length; i++)
            path[i] = i % 2 == 0 ? '.' : '/';
        path[length] = '\0';
        both_open(&twin, 0, NULL, twin.root, path, ORR_OPEN_READ);
        path[length - 1] = 'x';
        both_open(&twin, 0, NULL, twin.root, path, ORR_OPEN_READ);
    }
    both_open(&twin, 0, NULL, twin.root, "file", ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE);
    uint8_t bytes[3];
    static const uint64_t lengths[] = {
        0, 1, UINT64_C(1) << 40, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    for (uint32_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        snprintf(twin.trace, sizeof twin.trace, "truncate(%llu)", (unsigned long long)lengths[i]);
        if (lengths[i] != INT64_MAX) /* file systems differ in their limits */
            compare(&twin, orr__file_truncate(twin.open[0].file, lengths[i]),
                    ftruncate(twin.open[0].descriptor, (off_t)lengths[i]));
        snprintf(twin.trace, sizeof twin.trace, "write at %llu", (unsigned long long)lengths[i]);
        compare(&twin, orr__file_write(twin.open[0].file, "abc", 3, lengths[i]),
                pwrite(twin.open[0].descriptor, "abc", 3, (off_t)lengths[i]));
        snprintf(twin.trace, sizeof twin.trace, "read at %llu", (unsigned long long)lengths[i]);
        compare(&twin, orr__file_read(twin.open[0].file, bytes, 3, lengths[i]),
                pread(twin.open[0].descriptor, bytes, 3, (off_t)lengths[i]));
    }
    twin_close(&twin);
}
END_TEST

static int no_entry(void *context, const char *name, uint32_t type)
{
    (void)context;
    (void)type;
    ck_abort_msg("\"%s\" is in a directory that does not exist", name);
    return 1;
}

/* Calls relative to an open directory (in slot 0) that may have been removed. */
static void both_call_from(struct twin *twin, const char *path)
{
    struct orr__disk *simulated = twin->simulated.disk;
    struct orr__file *file = twin->open[0].file;
    int base = twin->open[0].descriptor;
    struct orr_stat simulated_stat;
    struct stat real_stat;
    snprintf(twin->trace, sizeof twin->trace, "from a removed directory: \"%s\"", path);
    compare(twin, orr__disk_stat(simulated, file, path, &simulated_stat),
            fstatat(base, path, &real_stat, 0));
    compare(twin, orr__disk_mkdir(simulated, file, path, 0755), mkdirat(base, path, 0755));
    compare(twin, orr__disk_unlink(simulated, file, path, ORR_UNLINK_DIRECTORY),
            unlinkat(base, path, AT_REMOVEDIR));
    both_open(twin, 1, file, base, path, ORR_OPEN_READ);
    both_open(twin, 1, file, base, path, ORR_OPEN_WRITE | ORR_OPEN_CREATE);
    compare(twin, orr__disk_rename(simulated, file, path, "y"), renameat(base, path, base, "y"));
    compare(twin, orr__disk_rename(simulated, file, "y", path), renameat(base, "y", base, path));
    compare(twin, orr__disk_unlink(simulated, file, path, ORR_UNLINK_FILE),
            unlinkat(base, path, 0));
}

/* A directory that is open while it is removed, and then its parent, too. */
START_TEST(test_disk__answers_as_the_kernel_does_in_removed_directories)
{
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    const char *const paths[] = {".",    "..", "../..",   "../a", "x",      "./x",
                                 "../x", "",   "../../x", "x/y",  long_name};
    static const char *const gone[] = {"a/b", "a"};
    struct twin twin;
    struct orr_stat stat;
    twin_open(&twin, 1);
    struct orr__disk *simulated = twin.simulated.disk;
    compare(&twin, orr__disk_mkdir(simulated, NULL, "a", 0755), mkdirat(twin.root, "a", 0755));
    compare(&twin, orr__disk_mkdir(simulated, NULL, "a/b", 0755), mkdirat(twin.root, "a/b", 0755));
    both_open(&twin, 0, NULL, twin.root, "a/b", ORR_OPEN_DIRECTORY);
    for (uint32_t i = 0; i < 2; i++) {
        snprintf(twin.trace, sizeof twin.trace, "rmdir(\"%s\")", gone[i]);
        compare(&twin, orr__disk_unlink(simulated, NULL, gone[i], ORR_UNLINK_DIRECTORY),
                unlinkat(twin.root, gone[i], AT_REMOVEDIR));
        for (uint32_t path = 0; path < sizeof paths / sizeof paths[0]; path++)
            both_call_from(&twin, paths[path]);
    }
    ck_assert_int_eq(orr__file_stat(twin.open[0].file, &stat), 0);
    ck_assert_uint_eq(stat.links, 0);
    ck_assert_int_eq(orr__disk_list(simulated, twin.open[0].file, no_entry, NULL), 0);
    twin_close(&twin);
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

static struct fixture disk;

static void setup(void)
{
    fixture_open(&disk, 7);
}

static void teardown(void)
{
    fixture_close(&disk);
}

START_TEST(test_disk__unlinked_file_lives_until_its_last_close)
{
    uint8_t buffer[16];
    fixture_write(&disk, "file", "hello", 5, 0);
    struct orr__file *first = fixture_open_file(&disk, "file", ORR_OPEN_READ);
    struct orr__file *second = fixture_open_file(&disk, "file", ORR_OPEN_WRITE | ORR_OPEN_READ);
    ck_assert_int_eq(orr__disk_unlink(disk.disk, NULL, "file", ORR_UNLINK_FILE), 0);
    ck_assert(!fixture_exists(&disk, "file"));
    ck_assert_int_eq(orr__file_write(second, " you", 4, 5), 4);
    orr__file_close(second);
    ck_assert_int_eq(orr__file_read(first, buffer, sizeof buffer, 0), 9);
    ck_assert_mem_eq(buffer, "hello you", 9);
    ck_assert_uint_eq(disk.disk->used_pages, 1);
    orr__file_close(first);
    ck_assert_uint_eq(disk.disk->used_pages, 0);
    fixture_sync(&disk, "/");
    ck_assert_uint_eq(disk.disk->inode_count, 1);
}
END_TEST

/* The same name means another file: what was open stays the old one. */
START_TEST(test_disk__rename_over_an_open_file_leaves_it_alone)
{
    uint8_t buffer[16];
    fixture_write(&disk, "old", "old", 3, 0);
    fixture_write(&disk, "new", "new", 3, 0);
    struct orr__file *old = fixture_open_file(&disk, "old", ORR_OPEN_READ);
    ck_assert_int_eq(orr__disk_rename(disk.disk, NULL, "new", "old"), 0);
    ck_assert_int_eq(orr__file_read(old, buffer, sizeof buffer, 0), 3);
    ck_assert_mem_eq(buffer, "old", 3);
    ck_assert_uint_eq(fixture_read(&disk, "old", buffer, sizeof buffer), 3);
    ck_assert_mem_eq(buffer, "new", 3);
    ck_assert(!fixture_exists(&disk, "new"));
    orr__file_close(old);
}
END_TEST

START_TEST(test_disk__rename_to_itself_is_no_change)
{
    fixture_mkdir(&disk, "a");
    fixture_write(&disk, "a/file", "x", 1, 0);
    uint64_t changes = disk.disk->name_change_count;
    ck_assert_int_eq(orr__disk_rename(disk.disk, NULL, "a/file", "a/../a/./file"), 0);
    ck_assert_int_eq(orr__disk_rename(disk.disk, NULL, "a", "a/"), 0);
    ck_assert_uint_eq(disk.disk->name_change_count, changes);
}
END_TEST

/* A directory begins with a block. ext4 has its inodes from the beginning, others make them. */
START_TEST(test_disk__full_disk_takes_no_directory_and_perhaps_no_file)
{
    for (uint32_t i = 0; i < ORR_FILE_SYSTEM_COUNT; i++) {
        struct fixture other;
        struct orr__file *file;
        fixture_open_on(&other, 1, (enum orr_file_system)i);
        fixture_write(&other, "f", "x", 1, 0);
        orr__disk_set_capacity(other.disk, ORR__PAGE);
        ck_assert_int_eq(orr__disk_mkdir(other.disk, NULL, "d", 0755), -ENOSPC);
        int created =
            orr__disk_open(other.disk, NULL, "g", ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, &file);
        ck_assert_int_eq(created, i == ORR_FILE_SYSTEM_EXT4 ? 0 : -ENOSPC);
        if (created == 0)
            orr__file_close(file);
        ck_assert_int_eq(orr__disk_link(other.disk, NULL, "f", "h"), 0);
        ck_assert_int_eq(orr__disk_rename(other.disk, NULL, "f", "k"), 0);
        fixture_unlink(&other, "k");
        fixture_unlink(&other, "h");
        ck_assert_int_eq(orr__disk_mkdir(other.disk, NULL, "d", 0755), 0);
        fixture_close(&other);
    }
}
END_TEST

START_TEST(test_disk__full_disk_writes_short_and_then_not_at_all)
{
    static uint8_t bytes[4 * ORR__PAGE];
    struct orr_stat stat;
    fixture_fill(&disk, bytes, sizeof bytes);
    orr__disk_set_capacity(disk.disk, 3 * ORR__PAGE);
    struct orr__file *file =
        fixture_open_file(&disk, "file", ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE);
    ck_assert_int_eq(orr__file_write(file, bytes, ORR__PAGE, 100), ORR__PAGE); /* two pages */
    ck_assert_int_eq(orr__file_write(file, bytes, 3 * ORR__PAGE, ORR__PAGE + 100),
                     2 * ORR__PAGE - 100);
    ck_assert_int_eq(orr__file_write(file, bytes, 1, 3 * ORR__PAGE), -ENOSPC);
    ck_assert_int_eq(orr__file_write(file, bytes, 1, UINT64_C(1) << 40), -ENOSPC);
    ck_assert_int_eq(orr__file_write(file, bytes, 1, (UINT64_C(1) << 40) + 5), -ENOSPC);
    ck_assert_int_eq(orr__file_stat(file, &stat), 0);
    ck_assert_uint_eq(stat.size, 3 * ORR__PAGE);
    ck_assert_int_eq(orr__file_write(file, bytes, 3 * ORR__PAGE, 0), 3 * ORR__PAGE); /* in place */
    ck_assert_int_eq(orr__file_truncate(file, ORR__PAGE), 0);
    ck_assert_int_eq(orr__file_write(file, bytes, 3 * ORR__PAGE, UINT64_C(1) << 40), 2 * ORR__PAGE);
    ck_assert_int_eq(orr__disk_unlink(disk.disk, NULL, "file", ORR_UNLINK_FILE), 0);
    ck_assert_int_eq(orr__disk_mkdir(disk.disk, NULL, "no", 0755), -ENOSPC); /* it is still open */
    orr__file_close(file);
    fixture_write(&disk, "other", bytes, 3 * ORR__PAGE, 0);
}
END_TEST

START_TEST(test_disk__allocated_space_is_there_when_the_disk_is_full)
{
    static uint8_t bytes[4 * ORR__PAGE];
    struct orr_stat stat;
    orr__disk_set_capacity(disk.disk, 4 * ORR__PAGE);
    struct orr__file *file =
        fixture_open_file(&disk, "file", ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE);
    struct orr__file *other = fixture_open_file(&disk, "other", ORR_OPEN_WRITE | ORR_OPEN_CREATE);
    ck_assert_int_eq(orr__file_allocate(file, 0, 4 * ORR__PAGE + 1), -ENOSPC);
    ck_assert_int_eq(orr__file_allocate(file, 0, INT64_MAX), -EFBIG);
    ck_assert_int_eq(orr__file_allocate(file, 0, UINT64_C(1) << 42), -ENOSPC);
    ck_assert_int_eq(orr__file_stat(file, &stat), 0);
    ck_assert_uint_eq(stat.size, 0);
    ck_assert_int_eq(orr__file_allocate(file, 10, 3 * ORR__PAGE - 10), 0);
    ck_assert_int_eq(orr__file_allocate(file, 0, ORR__PAGE), 0);
    ck_assert_int_eq(orr__file_stat(file, &stat), 0);
    ck_assert_uint_eq(stat.size, 3 * ORR__PAGE);
    ck_assert_int_eq(orr__file_write(other, bytes, 2 * ORR__PAGE, 0), ORR__PAGE);
    ck_assert_int_eq(orr__file_write(file, bytes, 3 * ORR__PAGE, 0), 3 * ORR__PAGE);
    orr__file_close(file);
    orr__file_close(other);
}
END_TEST

START_TEST(test_disk__direct_transfers_are_whole_sectors)
{
    static uint8_t bytes[1024];
    uint32_t flags = ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_DIRECT;
    struct orr__file *file = NULL;
    ck_assert_int_eq(orr__disk_open(disk.disk, NULL, "file", flags, 0644, &file), 0);
    ck_assert_int_eq(orr__file_write(file, bytes, 1024, 512), 1024);
    ck_assert_int_eq(orr__file_write(file, bytes, 1000, 512), -EINVAL);
    ck_assert_int_eq(orr__file_write(file, bytes, 512, 100), -EINVAL);
    ck_assert_int_eq(orr__file_read(file, bytes, 100, 0), -EINVAL);
    ck_assert_int_eq(orr__file_read(file, bytes, 1024, 1024), 512);
    orr__file_close(file);
    ck_assert_int_eq(orr__disk_open(disk.disk, NULL, ".", ORR_OPEN_DIRECT, 0, &file), -EINVAL);
}
END_TEST

START_TEST(test_disk__stat_counts_directories_and_reads_the_clock)
{
    struct orr_stat stat;
    fixture_mkdir(&disk, "a");
    fixture_mkdir(&disk, "a/b");
    fixture_mkdir(&disk, "a/c");
    fixture_write(&disk, "a/file", "x", 1, 0);
    ck_assert_int_eq(orr__disk_stat(disk.disk, NULL, "a", &stat), 0);
    ck_assert_uint_eq(stat.links, 4);
    ck_assert_int_eq(orr__disk_rename(disk.disk, NULL, "a/b", "b"), 0);
    ck_assert_int_eq(orr__disk_unlink(disk.disk, NULL, "a/c", ORR_UNLINK_DIRECTORY), 0);
    ck_assert_int_eq(orr__disk_stat(disk.disk, NULL, "a", &stat), 0);
    ck_assert_uint_eq(stat.links, 2);
    ck_assert_int_eq(stat.modified_ns, 1000);
    fixture_mkdir(&disk, "a/b");
    ck_assert_int_eq(orr__disk_rename(disk.disk, NULL, "b", "a/b"), 0); /* over an empty one */
    ck_assert_int_eq(orr__disk_stat(disk.disk, NULL, "a", &stat), 0);
    ck_assert_uint_eq(stat.links, 3);
    orr_world_run_for(disk.world, 500);
    fixture_write(&disk, "a/file", "y", 1, 0);
    ck_assert_int_eq(orr__disk_stat(disk.disk, NULL, "a/file", &stat), 0);
    ck_assert_int_eq(stat.modified_ns, 1500);
    struct orr__file *base = fixture_open_file(&disk, "a", ORR_OPEN_DIRECTORY);
    ck_assert_int_eq(orr__disk_stat(disk.disk, base, "//a", &stat), 0);
    orr__file_close(base);
    ck_assert_int_eq(stat.modified_ns, 1000);
}
END_TEST

/* ---- listing --------------------------------------------------------------------------------- */

#define LISTED 12

struct order {
    char text[LISTED * 2 + 1];
    struct fixture *unlink_from; /* the visitor unlinks what it sees */
    struct orr__file **close;    /* and closes the directory first */
    int stop_after;
};

static int note_name(void *context, const char *name, uint32_t type)
{
    struct order *order = context;
    ck_assert_uint_eq(type, ORR_FILE_REGULAR);
    ck_assert_uint_eq(strlen(name), 1);
    ck_assert_uint_lt(strlen(order->text), LISTED);
    strncat(order->text, name, 1);
    if (order->close != NULL && *order->close != NULL) {
        orr__file_close(*order->close);
        *order->close = NULL;
    }
    if (order->unlink_from != NULL)
        ck_assert_int_eq(orr__disk_unlink(order->unlink_from->disk, NULL, name, ORR_UNLINK_FILE),
                         0);
    return --order->stop_after == 0 ? 42 : 0;
}

static void make_names(struct fixture *fixture)
{
    for (char name[2] = "a"; name[0] < 'a' + LISTED; name[0]++)
        fixture_write(fixture, name, "", 0, 0);
}

static int compare_characters(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

START_TEST(test_disk__lists_every_name_once_in_an_order_by_choice)
{
    char first[LISTED + 1] = "";
    uint32_t others = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct fixture fixture;
        struct order once = {0};
        struct order again = {0};
        fixture_open(&fixture, seed);
        make_names(&fixture);
        ck_assert_int_eq(orr__disk_list(fixture.disk, NULL, note_name, &once), 0);
        ck_assert_int_eq(orr__disk_list(fixture.disk, NULL, note_name, &again), 0);
        ck_assert_str_eq(once.text, again.text);
        if (seed == 0)
            memcpy(first, once.text, sizeof first);
        others += strcmp(first, once.text) != 0 ? 1 : 0;
        qsort(once.text, LISTED, 1, compare_characters);
        ck_assert_str_eq(once.text, "abcdefghijkl");
        fixture_close(&fixture);
    }
    ck_assert_uint_gt(others, 15);
}
END_TEST

START_TEST(test_disk__order_of_a_listing_changes_with_the_directory)
{
    uint32_t others = 0;
    for (uint32_t i = 0; i < 10; i++) {
        struct order before = {0};
        struct order after = {0};
        make_names(&disk);
        ck_assert_int_eq(orr__disk_list(disk.disk, NULL, note_name, &before), 0);
        fixture_write(&disk, "z", "", 0, 0);
        ck_assert_int_eq(orr__disk_unlink(disk.disk, NULL, "z", ORR_UNLINK_FILE), 0);
        ck_assert_int_eq(orr__disk_list(disk.disk, NULL, note_name, &after), 0);
        others += strcmp(before.text, after.text) != 0 ? 1 : 0;
    }
    ck_assert_uint_ge(others, 8);
}
END_TEST

START_TEST(test_disk__visitor_may_unlink_and_close)
{
    struct order order = {.unlink_from = &disk};
    struct orr__file *root = fixture_open_file(&disk, ".", ORR_OPEN_DIRECTORY);
    order.close = &root;
    make_names(&disk);
    ck_assert_int_eq(orr__disk_list(disk.disk, root, note_name, &order), 0);
    ck_assert_uint_eq(strlen(order.text), LISTED);
    struct order rest = {0};
    ck_assert_int_eq(orr__disk_list(disk.disk, NULL, note_name, &rest), 0);
    ck_assert_str_eq(rest.text, "");
}
END_TEST

START_TEST(test_disk__listing_ends_when_the_visitor_says_so)
{
    struct order order = {.stop_after = 3};
    make_names(&disk);
    ck_assert_int_eq(orr__disk_list(disk.disk, NULL, note_name, &order), 42);
    ck_assert_uint_eq(strlen(order.text), 3);
    struct orr__file *file = fixture_open_file(&disk, "a", ORR_OPEN_READ);
    ck_assert_int_eq(orr__disk_list(disk.disk, file, note_name, &order), -ENOTDIR);
    orr__file_close(file);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

/* A program that never syncs its directories, or its files, costs no more and no more memory. */
START_TEST(test_disk__what_waits_for_a_sync_is_bounded)
{
    static uint8_t bytes[1 << 20];
    for (uint32_t i = 0; i < 20000; i++) {
        fixture_write(&disk, "temporary", bytes, 100, 0);
        ck_assert_int_eq(orr__disk_unlink(disk.disk, NULL, "temporary", ORR_UNLINK_FILE), 0);
        ck_assert_uint_le(disk.disk->inode_count, ORR__NAME_CHANGES_MAX + 2);
    }
    struct orr__file *file = fixture_open_file(&disk, "log", ORR_OPEN_WRITE | ORR_OPEN_CREATE);
    const struct orr__changes *changes = &file->inode->file.changes;
    for (uint32_t i = 0; i < 20000; i++) {
        ck_assert_int_eq(orr__file_write(file, bytes, 100, 0), 100);
        ck_assert_uint_le(changes->count, ORR__FILE_CHANGES_MAX);
    }
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_int_eq(orr__file_write(file, bytes, sizeof bytes, 0), sizeof bytes);
        ck_assert_uint_le(changes->bytes, ORR__FILE_UNSYNCED_MAX);
    }
    orr__file_close(file);
}
END_TEST

/* The space of what was removed without a sync is used again, and so is the memory behind it. */
START_TEST(test_disk__removed_files_are_not_kept_for_ever)
{
    static uint8_t bytes[4 << 20];
    for (uint32_t i = 0; i < 200; i++) {
        fixture_write(&disk, "new", bytes, sizeof bytes, 0);
        fixture_sync(&disk, "new");
        ck_assert_int_eq(orr__disk_rename(disk.disk, NULL, "new", "snapshot"), 0);
        ck_assert_uint_le(disk.disk->unlinked_bytes, disk.disk->capacity_pages * ORR__PAGE);
        ck_assert_uint_eq(disk.disk->used_pages, sizeof bytes / ORR__PAGE);
    }
    fixture_sync(&disk, "/");
    ck_assert_uint_eq(disk.disk->unlinked_bytes, 0);
    ck_assert_uint_eq(disk.disk->inode_count, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim/disk");
    TCase *kernel = tcase_create("kernel");
    tcase_set_timeout(kernel, 120);
    tcase_add_loop_test(kernel, test_disk__answers_as_the_kernel_does, 0, 32);
    tcase_add_test(kernel, test_disk__answers_as_the_kernel_does_at_the_limits);
    tcase_add_test(kernel, test_disk__answers_as_the_kernel_does_in_removed_directories);
    suite_add_tcase(suite, kernel);
    TCase *calls = tcase_create("calls");
    tcase_set_timeout(calls, 120);
    tcase_add_checked_fixture(calls, setup, teardown);
    tcase_add_test(calls, test_disk__unlinked_file_lives_until_its_last_close);
    tcase_add_test(calls, test_disk__rename_over_an_open_file_leaves_it_alone);
    tcase_add_test(calls, test_disk__rename_to_itself_is_no_change);
    tcase_add_test(calls, test_disk__full_disk_takes_no_directory_and_perhaps_no_file);
    tcase_add_test(calls, test_disk__full_disk_writes_short_and_then_not_at_all);
    tcase_add_test(calls, test_disk__allocated_space_is_there_when_the_disk_is_full);
    tcase_add_test(calls, test_disk__direct_transfers_are_whole_sectors);
    tcase_add_test(calls, test_disk__stat_counts_directories_and_reads_the_clock);
    tcase_add_test(calls, test_disk__lists_every_name_once_in_an_order_by_choice);
    tcase_add_test(calls, test_disk__order_of_a_listing_changes_with_the_directory);
    tcase_add_test(calls, test_disk__visitor_may_unlink_and_close);
    tcase_add_test(calls, test_disk__listing_ends_when_the_visitor_says_so);
    tcase_add_test(calls, test_disk__what_waits_for_a_sync_is_bounded);
    tcase_add_test(calls, test_disk__removed_files_are_not_kept_for_ever);
    suite_add_tcase(suite, calls);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

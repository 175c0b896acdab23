/*
 * test_files.c: every file operation and every operation on names, done by the kernel: on each
 * kernel version with each batch. On older versions some of them are plain system calls, on the
 * last all of them: the results must be the same.
 */
#define _GNU_SOURCE 1

#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a directory with one file in it --------------------------------------------------------- */

struct place {
    struct rig rig;
    char path[64];
    int32_t directory;
    int32_t file; /* "file" in it, empty */
};

static int32_t open_at(struct place *place, int32_t directory, const char *path, uint32_t flags)
{
    return (int32_t)rig_do(&place->rig, ORR_OP_OPEN, directory,
                           ARGUMENTS(.path = {.path = path, .flags = flags, .mode = 0640}));
}

static void place_open(struct place *place, int setting)
{
    memset(place, 0, sizeof *place);
    snprintf(place->path, sizeof place->path, "/tmp/orrery-uring-XXXXXX");
    must(mkdtemp(place->path) != NULL);
    rig_open_setting(&place->rig, setting);
    place->directory = open_at(place, -1, place->path, ORR_OPEN_DIRECTORY | ORR_OPEN_READ);
    must(place->directory >= 0);
    place->file = open_at(place, place->directory, "file",
                          ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_EXCLUSIVE);
    must(place->file >= 0);
}

static int64_t close_it(struct place *place, int32_t descriptor)
{
    return rig_do(&place->rig, ORR_OP_CLOSE, descriptor, ARGUMENTS(.events = 0));
}

static int64_t unlink_it(struct place *place, const char *path, uint32_t kind)
{
    return rig_do(&place->rig, ORR_OP_UNLINK, place->directory,
                  ARGUMENTS(.path = {.path = path, .flags = kind}));
}

static void place_close(struct place *place)
{
    must_be(unlink_it(place, "file", ORR_UNLINK_FILE), 0);
    must_be(close_it(place, place->file), 0);
    must_be(close_it(place, place->directory), 0);
    must(rmdir(place->path) == 0);
    rig_close(&place->rig);
}

static int64_t write_at(struct place *place, const char *text, uint64_t offset)
{
    return rig_do(
        &place->rig, ORR_OP_WRITE, place->file,
        ARGUMENTS(.transfer = {.data = text, .length = (uint32_t)strlen(text), .offset = offset}));
}

static int64_t size_of(const struct place *place)
{
    struct stat status;

    must(fstat(place->file, &status) == 0);
    return status.st_size;
}

/* ---- opening and closing --------------------------------------------------------------------- */

START_TEST(test_files__open_and_close)
{
    struct place place;

    place_open(&place, _i);
    const int32_t directory = place.directory;
    must((fcntl(place.file, F_GETFD) & FD_CLOEXEC) != 0);
    must((fcntl(directory, F_GETFD) & FD_CLOEXEC) != 0);
    must_be(
        open_at(&place, directory, "file", ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_EXCLUSIVE),
        -EEXIST);
    must_be(open_at(&place, directory, "none", ORR_OPEN_READ), -ENOENT);
    must_be(open_at(&place, directory, "file", ORR_OPEN_READ | ORR_OPEN_DIRECTORY), -ENOTDIR);
    must_be(open_at(&place, directory, ".", ORR_OPEN_WRITE), -EISDIR);
    must_be(write_at(&place, "some text", 0), 9);
    const int32_t again = open_at(&place, directory, "file", ORR_OPEN_WRITE | ORR_OPEN_TRUNCATE);
    must(again >= 0);
    must_be(fcntl(again, F_GETFL) & O_ACCMODE, O_WRONLY);
    must_be(size_of(&place), 0);
    must_be(close_it(&place, again), 0);
    must_be(close_it(&place, again), -EBADF);
    place_close(&place);
}
END_TEST

/* ---- transfers ------------------------------------------------------------------------------- */

START_TEST(test_files__read_and_write_at_an_offset)
{
    struct place place;
    char text[16] = {0};

    place_open(&place, _i);
    must_be(write_at(&place, "hello world", 5), 11);
    const union orr_arguments read_arguments =
        ARGUMENTS(.transfer = {.buffer = text, .length = sizeof text, .offset = 6});
    must_be(rig_do(&place.rig, ORR_OP_READ, place.file, read_arguments), 10);
    must(memcmp(text, "ello world", 11) == 0);
    must_be(rig_do(&place.rig, ORR_OP_READ, place.file,
                   ARGUMENTS(.transfer = {.buffer = text, .length = 1, .offset = 16})),
            0); /* at the end */
    must_be(rig_do(&place.rig, ORR_OP_READ, place.directory, read_arguments), -EISDIR);
    must_be(rig_do(&place.rig, ORR_OP_READ, 9999, read_arguments), -EBADF);
    place_close(&place);
}
END_TEST

START_TEST(test_files__vectors)
{
    struct place place;
    char three[3];
    char five[5];
    const struct orr_vector vectors[] = {{three, sizeof three}, {five, sizeof five}};
    const union orr_arguments arguments =
        ARGUMENTS(.transfer = {.vectors = vectors, .length = 2, .offset = 1});

    place_open(&place, _i);
    must_be(write_at(&place, "hello world", 0), 11);
    must_be(rig_do(&place.rig, ORR_OP_READV, place.file, arguments), 8);
    must(memcmp(three, "ell", 3) == 0 && memcmp(five, "o wor", 5) == 0);
    memcpy(five, "12345", 5);
    union orr_arguments farther = arguments;
    farther.transfer.offset = 100;
    must_be(rig_do(&place.rig, ORR_OP_WRITEV, place.file, farther), 8);
    must_be(size_of(&place), 108);
    char text[8];
    must(pread(place.file, text, sizeof text, 100) == 8 && memcmp(text, "ell12345", 8) == 0);
    place_close(&place);
}
END_TEST

START_TEST(test_files__fsync_of_files_and_directories)
{
    struct place place;
    const union orr_arguments none = ARGUMENTS(.events = 0);
    int ends[2];

    place_open(&place, _i);
    must_be(write_at(&place, "durable", 0), 7);
    must_be(rig_do(&place.rig, ORR_OP_FDATASYNC, place.file, none), 0);
    must_be(rig_do(&place.rig, ORR_OP_FSYNC, place.file, none), 0);
    must_be(rig_do(&place.rig, ORR_OP_FSYNC, place.directory, none), 0);
    must(pipe(ends) == 0);
    must_be(rig_do(&place.rig, ORR_OP_FSYNC, ends[0], none), -EINVAL);
    must_be(rig_do(&place.rig, ORR_OP_FDATASYNC, ends[0], none), -EINVAL);
    close(ends[0]);
    close(ends[1]);
    place_close(&place);
}
END_TEST

static union orr_arguments range(uint64_t offset, uint64_t length)
{
    return ARGUMENTS(.range = {.offset = offset, .length = length});
}

START_TEST(test_files__truncate_and_allocate)
{
    struct place place;

    place_open(&place, _i);
    must_be(rig_do(&place.rig, ORR_OP_TRUNCATE, place.file, range(0, 4096)), 0);
    must_be(size_of(&place), 4096);
    must_be(rig_do(&place.rig, ORR_OP_TRUNCATE, place.file, range(0, 10)), 0);
    must_be(size_of(&place), 10);
    must_be(rig_do(&place.rig, ORR_OP_ALLOCATE, place.file, range(4096, 8192)), 0);
    must_be(size_of(&place), 12288);
    /* Beyond what the system can say. */
    must_be(rig_do(&place.rig, ORR_OP_TRUNCATE, place.file, range(0, UINT64_MAX)), -EINVAL);
    must_be(rig_do(&place.rig, ORR_OP_ALLOCATE, place.file, range(0, UINT64_MAX)), -EINVAL);
    must_be(rig_do(&place.rig, ORR_OP_ALLOCATE, place.file, range(UINT64_MAX, 1)), -EINVAL);
    place_close(&place);
}
END_TEST

/* ---- names ----------------------------------------------------------------------------------- */

static int64_t stat_it(struct place *place, int32_t descriptor, const char *path,
                       struct orr_stat *status)
{
    memset(status, 0xee, sizeof *status);
    return rig_do(&place->rig, ORR_OP_STAT, descriptor,
                  ARGUMENTS(.path = {.path = path, .stat = status}));
}

START_TEST(test_files__stat)
{
    struct place place;
    struct orr_stat status;
    struct stat expected;

    place_open(&place, _i);
    must_be(write_at(&place, "12345", 0), 5);
    must(fstat(place.file, &expected) == 0);
    for (int by_name = 0; by_name < 2; by_name++) {
        must_be(stat_it(&place, by_name != 0 ? place.directory : place.file,
                        by_name != 0 ? "file" : NULL, &status),
                0);
        must(status.size == 5 && status.type == ORR_FILE_REGULAR && status.links == 1);
        must(status.mode == (expected.st_mode & 07777) && status.inode == expected.st_ino);
        must_be(status.modified_ns,
                (int64_t)expected.st_mtim.tv_sec * (int64_t)ORR_SECOND + expected.st_mtim.tv_nsec);
    }
    must_be(stat_it(&place, place.directory, NULL, &status), 0);
    must_be(status.type, ORR_FILE_DIRECTORY);
    must_be(stat_it(&place, -1, "/dev/null", &status), 0);
    must_be(status.type, ORR_FILE_OTHER);
    must_be(stat_it(&place, place.directory, "none", &status), -ENOENT);
    must_be(stat_it(&place, place.directory, "file/none", &status), -ENOTDIR);
    place_close(&place);
}
END_TEST

static int64_t mkdir_it(struct place *place, const char *path)
{
    return rig_do(&place->rig, ORR_OP_MKDIR, place->directory,
                  ARGUMENTS(.path = {.path = path, .mode = 0700}));
}

static int64_t rename_it(struct place *place, const char *path, const char *path_new)
{
    return rig_do(&place->rig, ORR_OP_RENAME, place->directory,
                  ARGUMENTS(.path = {.path = path, .path_new = path_new}));
}

static int64_t link_it(struct place *place, const char *path, const char *path_new)
{
    return rig_do(&place->rig, ORR_OP_LINK, place->directory,
                  ARGUMENTS(.path = {.path = path, .path_new = path_new}));
}

START_TEST(test_files__names)
{
    struct place place;

    place_open(&place, _i);
    must_be(mkdir_it(&place, "folder"), 0);
    must_be(mkdir_it(&place, "folder"), -EEXIST);
    must_be(mkdir_it(&place, "none/folder"), -ENOENT);
    must_be(rename_it(&place, "file", "folder/file"), 0);
    must_be(rename_it(&place, "file", "other"), -ENOENT);
    must_be(unlink_it(&place, "folder", ORR_UNLINK_DIRECTORY), -ENOTEMPTY);
    must_be(rename_it(&place, "folder/file", "file"), 0);
    must_be(link_it(&place, "file", "folder/second"), 0);
    must_be(link_it(&place, "file", "folder/second"), -EEXIST);
    must_be(unlink_it(&place, "folder/second", ORR_UNLINK_FILE), 0);
    must_be(unlink_it(&place, "folder", ORR_UNLINK_FILE), -EISDIR);
    must_be(unlink_it(&place, "file", ORR_UNLINK_DIRECTORY), -ENOTDIR);
    must_be(unlink_it(&place, "folder", ORR_UNLINK_DIRECTORY), 0);
    must_be(unlink_it(&place, "folder", ORR_UNLINK_DIRECTORY), -ENOENT);
    place_close(&place);
}
END_TEST

/* A path belongs to the backend until the operation ends, so it may be one that the kernel reads
 * late; one buffer of names that are all different shows a mix-up. */
START_TEST(test_files__many_names_at_once)
{
    enum { MANY = 40 };
    struct place place;
    struct orr_completion makes[MANY] = {0};
    char names[MANY][8];

    place_open(&place, _i);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "d%d", i);
        rig_submit(&place.rig, &makes[i], ORR_OP_MKDIR, place.directory,
                   ARGUMENTS(.path = {.path = names[i], .mode = 0700}));
    }
    rig_end_all(&place.rig);
    for (int i = 0; i < MANY; i++) {
        must_be(makes[i].result, 0);
        must_be(unlink_it(&place, names[i], ORR_UNLINK_DIRECTORY), 0);
    }
    place_close(&place);
}
END_TEST

/* ---- the immediate calls --------------------------------------------------------------------- */

struct visits {
    int files;
    int folders;
    int stop_after;
};

static int visit(void *context, const char *name, uint32_t type)
{
    struct visits *visits = context;

    must(strcmp(name, "file") == 0 || strcmp(name, "folder") == 0);
    visits->files += type == ORR_FILE_REGULAR ? 1 : 0;
    visits->folders += type == ORR_FILE_DIRECTORY ? 1 : 0;
    return visits->files + visits->folders == visits->stop_after ? 7 : 0;
}

static int list(struct place *place, int32_t descriptor, struct visits *visits)
{
    return orr__uring.directory_list(place->rig.state, descriptor, visit, visits);
}

/* Twice over one handle: a listing leaves no position behind. */
START_TEST(test_files__directory_list)
{
    struct place place;

    place_open(&place, _i);
    must_be(mkdir_it(&place, "folder"), 0);
    for (int round = 0; round < 2; round++) {
        struct visits visits = {.stop_after = -1};
        must_be(list(&place, place.directory, &visits), 0);
        must(visits.files == 1 && visits.folders == 1);
    }
    struct visits one = {.stop_after = 1};
    must_be(list(&place, place.directory, &one), 7);
    must_be(one.files + one.folders, 1);
    must_be(list(&place, place.file, &one), -ENOTDIR);
    must_be(list(&place, 9999, &one), -EBADF);
    must_be(unlink_it(&place, "folder", ORR_UNLINK_DIRECTORY), 0);
    place_close(&place);
}
END_TEST

START_TEST(test_files__random_bytes_and_memory)
{
    struct rig rig;
    uint8_t bytes[2][300] = {{0}};
    unsigned differing = 0;

    rig_open(&rig, 8);
    orr__uring.random(rig.state, bytes[0], sizeof bytes[0]);
    orr__uring.random(rig.state, bytes[1], sizeof bytes[1]);
    for (size_t i = 0; i < sizeof bytes[0]; i++)
        differing += bytes[0][i] != bytes[1][i] ? 1 : 0;
    must(differing > 200 && bytes[0][299] + bytes[1][299] + bytes[0][298] + bytes[1][298] > 0);
    char *memory = orr__uring.memory(rig.state, NULL, 10);
    must(memory != NULL);
    memcpy(memory, "remember", 9);
    memory = orr__uring.memory(rig.state, memory, 100000);
    must(memory != NULL && strcmp(memory, "remember") == 0);
    must(orr__uring.memory(rig.state, memory, 0) == NULL);
    rig_close(&rig);
}
END_TEST

static void add(TCase *tests)
{
    tcase_add_loop_test(tests, test_files__open_and_close, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_files__read_and_write_at_an_offset, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_files__vectors, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_files__fsync_of_files_and_directories, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_files__truncate_and_allocate, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_files__stat, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_files__names, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_files__many_names_at_once, 0, RIG_SETTINGS);
    tcase_add_loop_test(tests, test_files__directory_list, 0, RIG_SETTINGS);
    tcase_add_test(tests, test_files__random_bytes_and_memory);
}

int main(void)
{
    return rig_run("files", add, suite_run);
}

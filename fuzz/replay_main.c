/*
 * replay_main.c: runs a fuzz target over files instead of under libFuzzer, for compilers without
 * it, and as a test: every seed of the corpus, and every input that once found a defect.
 *
 *      replay FILE-OR-DIRECTORY ...
 *
 * prints TAP: a plan, then one "ok" for each file. A directory stands for the files in it, in the
 * order of their names. A target reports a failure by ending the process; the plan then promised
 * more than there is, and the last line says which file it was.
 */
#define _POSIX_C_SOURCE 200809L /* scandir, strdup, stat */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_LENGTH_MAX ((size_t)64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct paths {
    char **items;
    size_t count;
    size_t capacity;
};

static void die(const char *what, const char *path)
{
    printf("Bail out! %s %s: %s\n", what, path, strerror(errno));
    exit(EXIT_FAILURE);
}

static void add_path(struct paths *paths, const char *path)
{
    if (paths->count == paths->capacity) {
        paths->capacity = paths->capacity == 0 ? 64 : paths->capacity * 2;
        paths->items = realloc(paths->items, paths->capacity * sizeof(*paths->items));
    }
    char *copy = strdup(path);
    if (paths->items == NULL || copy == NULL) {
        die("remembering", path);
    }
    paths->items[paths->count++] = copy;
}

static void add_directory(struct paths *paths, const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, alphasort);
    if (count < 0) {
        die("listing", directory);
    }
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct stat status;
        int length = snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
        if (length < 0 || (size_t)length >= sizeof(path) || stat(path, &status) < 0) {
            die("looking at", entries[i]->d_name);
        }
        if (S_ISREG(status.st_mode)) {
            add_path(paths, path);
        }
        free(entries[i]);
    }
    free(entries);
}

static void add_argument(struct paths *paths, const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        die("looking at", path);
    }
    if (S_ISDIR(status.st_mode)) {
        add_directory(paths, path);
    } else {
        add_path(paths, path);
    }
}

/* Returns an allocation of exactly the file's length, so that a sanitizer sees a read past it. */
static uint8_t *read_file(const char *path, size_t *ret_length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) < 0) {
        die("opening", path);
    }
    long end = ftell(file);
    if (end < 0 || (size_t)end > INPUT_LENGTH_MAX) {
        errno = end < 0 ? errno : EFBIG;
        die("measuring", path);
    }
    rewind(file);
    size_t length = (size_t)end;
    uint8_t *bytes = malloc(length > 0 ? length : 1);
    if (bytes == NULL || fread(bytes, 1, length, file) != length) {
        die("reading", path);
    }
    fclose(file);
    *ret_length = length;
    return bytes;
}

static void replay(const char *path, size_t number)
{
    size_t length;
    printf("# %s\n", path);
    fflush(stdout);
    uint8_t *bytes = read_file(path, &length);
    LLVMFuzzerTestOneInput(bytes, length);
    free(bytes);
    printf("ok %zu - %s\n", number, path);
}

int main(int argc, char **argv)
{
    struct paths paths = {.count = 0};
    for (int i = 1; i < argc; i++) {
        add_argument(&paths, argv[i]);
    }
    if (paths.count == 0) {
        fprintf(stderr, "usage: %s FILE-OR-DIRECTORY ...\nno input file was named or found\n",
                argv[0]);
        return 2;
    }
    printf("1..%zu\n", paths.count);
    for (size_t i = 0; i < paths.count; i++) {
        replay(paths.items[i], i + 1);
        free(paths.items[i]);
    }
    free(paths.items);
    return EXIT_SUCCESS;
}

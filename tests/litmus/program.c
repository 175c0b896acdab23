/*
 * program.c: runs a litmus test's program on a node's loop, cuts the power, and tells what is left
 * on the disk. See litmus.h for the steps.
 */
#include "tests/litmus/litmus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/disk.h"

#define WORDS_MAX 4u
#define SECTOR_BYTES 512u
#define BYTES_MAX (64u * 1024u)
#define HELD_MAX 4u
#define INODES_MAX 64u
#define EVERYTHING 1000000u /* of a million */

struct run {
    const struct litmus_case *litmus;
    uint32_t unit;
    struct orr_world *world;
    struct orr_loop *loop;
    struct orr_completion completion;
    const char *step; /* for messages */
    char *words[WORDS_MAX];
    int64_t result;
    bool done;
    struct {
        char name[32];
        orr_handle handle;
    } held[HELD_MAX];
    uint32_t held_count;
    uint32_t names[INODES_MAX]; /* that lead to each inode */
    uint8_t bytes[BYTES_MAX];
};

/* ---- one operation --------------------------------------------------------------------------- */

static void ended(void *context, struct orr_completion *completion, int64_t result)
{
    struct run *run = context;
    (void)completion;
    run->result = result;
    run->done = true;
}

static int64_t wait_for(struct run *run)
{
    while (!run->done)
        orr_run_once(run->loop);
    run->done = false;
    return run->result;
}

#define END_OF(run, function, ...) \
    (function((run)->loop, &(run)->completion, __VA_ARGS__, ended, (run)), wait_for(run))

static void expect(const struct run *run, int64_t expected, int64_t result)
{
    if (result != expected)
        litmus_die("%s: step \"%s\": expected %" PRId64 ", got %" PRId64 " (%s)", run->litmus->name,
                   run->step, expected, result, result < 0 ? orr_error_name((int)-result) : "");
}

static uint32_t number(const struct run *run, uint32_t word)
{
    return (uint32_t)strtoul(run->words[word], NULL, 10);
}

/* ---- handles --------------------------------------------------------------------------------- */

static uint32_t find_held(const struct run *run, const char *name)
{
    uint32_t i = 0;
    while (i < run->held_count && strcmp(run->held[i].name, name) != 0)
        i++;
    return i;
}

static orr_handle open_with(struct run *run, uint32_t flags)
{
    int64_t handle = END_OF(run, orr_open, ORR_DIRECTORY_CURRENT, run->words[1], flags, 0644);
    if (handle < 0)
        expect(run, 0, handle);
    return (orr_handle)handle;
}

/* The handle that `open` keeps, or a new one. Directories are opened by a name that ends in '/'. */
static orr_handle handle_of(struct run *run)
{
    uint32_t held = find_held(run, run->words[1]);
    if (held < run->held_count)
        return run->held[held].handle;
    bool is_directory = run->words[1][strlen(run->words[1]) - 1] == '/';
    return open_with(run, is_directory ? ORR_OPEN_READ | ORR_OPEN_DIRECTORY
                                       : ORR_OPEN_READ | ORR_OPEN_WRITE);
}

static void close_unless_held(struct run *run, orr_handle handle)
{
    if (find_held(run, run->words[1]) == run->held_count)
        expect(run, 0, END_OF(run, orr_close, handle));
}

static void do_open(struct run *run)
{
    if (run->held_count == HELD_MAX)
        litmus_die("%s: more than %u open files", run->litmus->name, HELD_MAX);
    orr_handle handle = open_with(run, ORR_OPEN_READ | ORR_OPEN_WRITE);
    snprintf(run->held[run->held_count].name, sizeof run->held[0].name, "%s", run->words[1]);
    run->held[run->held_count++].handle = handle;
}

static void do_close(struct run *run)
{
    uint32_t held = find_held(run, run->words[1]);
    if (held == run->held_count)
        litmus_die("%s: step \"%s\": it is not open", run->litmus->name, run->step);
    expect(run, 0, END_OF(run, orr_close, run->held[held].handle));
    run->held[held] = run->held[--run->held_count];
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void do_creat(struct run *run)
{
    orr_handle handle = open_with(run, ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_EXCLUSIVE);
    expect(run, 0, END_OF(run, orr_close, handle));
}

static void do_mkdir(struct run *run)
{
    expect(run, 0, END_OF(run, orr_mkdir, ORR_DIRECTORY_CURRENT, run->words[1], 0755));
}

static void do_rename(struct run *run)
{
    expect(run, 0, END_OF(run, orr_rename, ORR_DIRECTORY_CURRENT, run->words[1], run->words[2]));
}

static void do_link(struct run *run)
{
    expect(run, 0, END_OF(run, orr_link, ORR_DIRECTORY_CURRENT, run->words[1], run->words[2]));
}

static void do_unlink(struct run *run)
{
    expect(run, 0, END_OF(run, orr_unlink, ORR_DIRECTORY_CURRENT, run->words[1], ORR_UNLINK_FILE));
}

static void do_rmdir(struct run *run)
{
    expect(run, 0,
           END_OF(run, orr_unlink, ORR_DIRECTORY_CURRENT, run->words[1], ORR_UNLINK_DIRECTORY));
}

static void write_text(struct run *run, orr_handle handle, const char *text, uint64_t offset)
{
    uint32_t length = (uint32_t)strlen(text) * run->unit;
    if (length > BYTES_MAX)
        litmus_die("%s: more than %u bytes in a write", run->litmus->name, BYTES_MAX);
    for (uint32_t i = 0; text[i] != '\0'; i++)
        memset(run->bytes + i * run->unit, text[i] == '.' ? 0 : text[i], run->unit);
    expect(run, length, END_OF(run, orr_write, handle, run->bytes, length, offset));
}

static void do_write(struct run *run)
{
    orr_handle handle = handle_of(run);
    write_text(run, handle, run->words[3], (uint64_t)number(run, 2) * run->unit);
    close_unless_held(run, handle);
}

static void do_append(struct run *run)
{
    orr_handle handle = handle_of(run);
    struct orr_stat stat;
    expect(run, 0, END_OF(run, orr_stat, handle, NULL, &stat));
    write_text(run, handle, run->words[2], stat.size);
    close_unless_held(run, handle);
}

static void write_opened(struct run *run, uint32_t flags)
{
    orr_handle handle = open_with(run, ORR_OPEN_WRITE | flags);
    write_text(run, handle, run->words[3], (uint64_t)number(run, 2) * run->unit);
    expect(run, 0, END_OF(run, orr_close, handle));
}

static void do_dsync(struct run *run)
{
    write_opened(run, ORR_OPEN_SYNC);
}

static void do_direct(struct run *run)
{
    write_opened(run, ORR_OPEN_DIRECT);
}

static void do_trunc(struct run *run)
{
    orr_handle handle = handle_of(run);
    expect(run, 0, END_OF(run, orr_truncate, handle, (uint64_t)number(run, 2) * run->unit));
    close_unless_held(run, handle);
}

static void do_alloc(struct run *run)
{
    orr_handle handle = handle_of(run);
    expect(run, 0,
           END_OF(run, orr_allocate, handle, (uint64_t)number(run, 2) * run->unit,
                  (uint64_t)number(run, 3) * run->unit));
    close_unless_held(run, handle);
}

static void do_fsync(struct run *run)
{
    orr_handle handle = handle_of(run);
    expect(run, 0, END_OF(run, orr_fsync, handle));
    close_unless_held(run, handle);
}

static void do_fdatasync(struct run *run)
{
    orr_handle handle = handle_of(run);
    expect(run, 0, END_OF(run, orr_fdatasync, handle));
    close_unless_held(run, handle);
}

static void do_badsync(struct run *run)
{
    orr_handle handle = handle_of(run);
    orr_world_set_rate(run->world, ORR_FAMILY_DISK_ERROR, EVERYTHING);
    expect(run, -EIO, END_OF(run, orr_fsync, handle));
    orr_world_set_rate(run->world, ORR_FAMILY_DISK_ERROR, 0);
    close_unless_held(run, handle);
}

static void do_lostsync(struct run *run)
{
    orr_handle handle = handle_of(run);
    orr_world_set_rate(run->world, ORR_FAMILY_LOST_SYNC, EVERYTHING);
    expect(run, 0, END_OF(run, orr_fsync, handle));
    orr_world_set_rate(run->world, ORR_FAMILY_LOST_SYNC, 0);
    close_unless_held(run, handle);
}

static const struct {
    const char *word;
    uint32_t arguments;
    void (*run)(struct run *run);
} steps[] = {
    {"creat", 1, do_creat},     {"mkdir", 1, do_mkdir},       {"rename", 2, do_rename},
    {"unlink", 1, do_unlink},   {"link", 2, do_link},         {"rmdir", 1, do_rmdir},
    {"open", 1, do_open},       {"close", 1, do_close},       {"write", 3, do_write},
    {"append", 2, do_append},   {"dsync", 3, do_dsync},       {"direct", 3, do_direct},
    {"trunc", 2, do_trunc},     {"alloc", 3, do_alloc},       {"fsync", 1, do_fsync},
    {"badsync", 1, do_badsync}, {"lostsync", 1, do_lostsync}, {"fdatasync", 1, do_fdatasync},
};

/* Runs one step, whose text is taken apart. */
static void run_step(struct run *run, char *text)
{
    char *rest = NULL;
    uint32_t count = 0;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (count == WORDS_MAX)
            litmus_die("%s: step \"%s\" has too many words", run->litmus->name, run->step);
        run->words[count++] = word;
    }
    if (count == 0)
        return;
    for (uint32_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (strcmp(steps[i].word, run->words[0]) == 0 && steps[i].arguments + 1 == count) {
            steps[i].run(run);
            return;
        }
    litmus_die("%s: there is no step \"%s\" with %u words", run->litmus->name, run->words[0],
               count);
}

static void run_steps(struct run *run, const char *text)
{
    while (text != NULL && *text != '\0') {
        char step[128];
        char copy[128];
        size_t length = strcspn(text, ";");
        snprintf(step, sizeof step, "%.*s", (int)length, text);
        memcpy(copy, step, sizeof copy);
        run->step = step;
        run_step(run, copy);
        text += length + (text[length] == ';' ? 1 : 0);
    }
}

/* ---- looking at the disk --------------------------------------------------------------------- */

struct names {
    char *items[32];
    uint32_t count;
};

static int note_name(void *context, const char *name, uint32_t type)
{
    struct names *names = context;
    (void)type;
    names->items[names->count++] = orr__text_copy(name);
    return names->count == sizeof names->items / sizeof names->items[0] ? 1 : 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef void (*visitor)(struct run *run, struct orr__file *file, const char *path, char *state);

/* Visits everything below `path` ("" = the root), directories before what they hold. */
static void walk(struct run *run, struct orr__disk *disk, const char *path, visitor visit,
                 char *state)
{
    struct names names = {.count = 0};
    struct orr__file *file;
    orr__assert(orr__disk_open(disk, NULL, *path != '\0' ? path : "/", 0, 0, &file) == 0);
    visit(run, file, path, state);
    if (file->inode->is_directory)
        orr__assert(orr__disk_list(disk, file, note_name, &names) == 0);
    orr__file_close(file);
    if (names.count > 0)
        qsort(names.items, names.count, sizeof names.items[0], compare_names);
    for (uint32_t i = 0; i < names.count; i++) {
        char inner[128];
        snprintf(inner, sizeof inner, "%s%s%s", path, *path != '\0' ? "/" : "", names.items[i]);
        walk(run, disk, inner, visit, state);
        free(names.items[i]);
    }
}

static void sync_one(struct run *run, struct orr__file *file, const char *path, char *state)
{
    (void)run;
    (void)path;
    (void)state;
    orr__file_sync(file, orr__file_sync_mark(file));
}

static void count_name(struct run *run, struct orr__file *file, const char *path, char *state)
{
    struct orr_stat stat;
    (void)path;
    (void)state;
    orr__assert(orr__file_stat(file, &stat) == 0 && stat.inode < INODES_MAX);
    run->names[stat.inode]++;
}

static char letter(const uint8_t *bytes, uint32_t length)
{
    for (uint32_t i = 1; i < length; i++)
        if (bytes[i] != bytes[0])
            return '?';
    return bytes[0] == 0 ? '.' : (char)bytes[0];
}

static void describe(struct run *run, struct orr__file *file, const char *path, char *state)
{
    struct orr_stat stat;
    size_t at = strlen(state);
    if (*path == '\0')
        return;
    if (at > 0)
        state[at++] = ' ';
    at += (size_t)snprintf(state + at, LITMUS_STATE_MAX - at, "%s%s", path,
                           file->inode->is_directory ? "/" : "");
    if (file->inode->is_directory)
        return;
    orr__assert(orr__file_stat(file, &stat) == 0);
    if (stat.links != run->names[stat.inode])
        at += (size_t)snprintf(state + at, LITMUS_STATE_MAX - at, "*%u", stat.links);
    at += (size_t)snprintf(state + at, LITMUS_STATE_MAX - at, ":");
    int64_t size = orr__file_read(file, run->bytes, BYTES_MAX, 0);
    for (int64_t offset = 0; offset < size; offset += run->unit) {
        int64_t length = size - offset < run->unit ? size - offset : run->unit;
        if (at + 2 >= LITMUS_STATE_MAX)
            litmus_die("%s: the state is too long: %s", run->litmus->name, state);
        state[at++] = size < 0 ? '!' : letter(run->bytes + offset, (uint32_t)length);
        if (length < run->unit)
            state[at++] = '<';
    }
    state[at] = '\0';
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void tell_state(struct run *run, struct orr__disk *disk, char *state)
{
    memset(run->names, 0, sizeof run->names);
    walk(run, disk, "", count_name, state);
    walk(run, disk, "", describe, state);
}

void litmus_run(const struct litmus_case *litmus, enum orr_file_system file_system,
                const struct litmus_loss *loss, struct litmus_states *ret_states)
{
    static struct run run;
    run.litmus = litmus;
    run.unit = litmus->unit != 0 ? litmus->unit : SECTOR_BYTES;
    run.held_count = 0;
    run.world = orr_world_create(1, NULL);
    struct orr_disk_options disks = {.file_system = file_system, .sector_bytes = litmus->sector};
    orr_world_set_disks(run.world, &disks);
    struct orr_options options = {.batch_entries = 16, .handles_max = 16};
    if (orr_node_open_loop(run.world, "node", &options, &run.loop) != 0)
        litmus_die("%s: no loop", litmus->name);
    struct orr__disk *disk = orr__world_node(run.world, 0)->disk;
    ret_states->before[0] = '\0';
    ret_states->after[0] = '\0';
    run_steps(&run, litmus->setup);
    walk(&run, disk, "", sync_one, ret_states->before);
    run.world->answers = loss->answers;
    run_steps(&run, litmus->program);
    orr_drain(run.loop);
    orr_loop_close(run.loop);
    tell_state(&run, disk, ret_states->before);
    if (loss->begin != NULL)
        loss->begin(loss->context, run.world, disk);
    orr__disk_power_loss(disk);
    run.world->answers = NULL;
    tell_state(&run, disk, ret_states->after);
    orr_world_destroy(run.world);
}

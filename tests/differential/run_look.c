/*
 * run_look.c: what is remembered of an operation besides its result, and of what a program left
 * behind: facts that every system must agree on, as one number each.
 */
#include "run_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 12u
#define READ_MAX 8192u

uint64_t run_hash(uint64_t hash, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

uint8_t run_byte(uint64_t at)
{
    return (uint8_t)((at * 167 + at / 256 * 13 + at / 65536 * 7) & 0xff);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static uint64_t stat_facts(const struct orr_stat *stat)
{
    uint64_t facts[4] = {stat->type, stat->mode};
    if (stat->type == ORR_FILE_REGULAR) { /* file systems count directories as they like */
        facts[2] = stat->size;
        facts[3] = stat->links;
    }
    if (stat->type == ORR_FILE_OTHER) /* the permissions of a socket are the system's idea */
        facts[1] = 0;
    return run_hash(1, facts, sizeof facts);
}

/* Whose it is: the family, whether it names a port, and the slot of that type whose own address
 * equals it: streams and datagrams may have the same port by chance. */
uint64_t run_address_facts(struct run *run, const struct orr_address *address,
                           enum orr_socket_type type)
{
    uint64_t owner = 0;
    for (uint32_t i = 1; i < SLOTS && owner == 0; i++) {
        struct orr_address local = run->slots[i].address;
        if (run->slots[i].is_socket)
            (void)orr_local_address(run->loop, run->slots[i].handle, &local);
        if (address->length > 0 && run->slots[i].type == type && orr_address_equal(&local, address))
            owner = i;
    }
    uint64_t family = (uint64_t)orr_address_family(address);
    if (family == ORR_FAMILY_UNIX && address->length <= 2)
        return 1; /* unnamed */
    return owner << 16 | family << 8 | (orr_address_port(address) != 0 ? 1u : 0u);
}

struct listing {
    uint64_t sum;
    uint32_t count;
};

static int visit(void *context, const char *name, uint32_t type)
{
    struct listing *listing = context;
    uint64_t hash = run_hash(run_hash(3, name, strlen(name)), &type, sizeof type);
    listing->sum += hash * hash;
    listing->count++;
    return 0;
}

uint64_t run_list_facts(struct run *run, orr_handle directory, int64_t *ret_result)
{
    struct listing listing = {.sum = 0};
    *ret_result = orr_directory_list(run->loop, directory, visit, &listing);
    return *ret_result < 0 ? 0 : listing.sum + listing.count;
}

static uint64_t received_facts(const struct operation *operation)
{
    const struct orr_datagram *datagram = &operation->datagram;
    uint64_t hash = run_hash(2, operation->bytes, (size_t)operation->result);
    bool truncated = datagram->truncated;
    return run_hash(hash, &truncated, sizeof truncated);
}

uint64_t run_extra(struct run *run, struct operation *operation)
{
    const struct step *step = &run->program->steps[operation->at];
    if (operation->result < 0)
        return 0;
    switch (step->op) {
    case STEP_RECV:
    case STEP_RECV_EXACT:
    case STEP_READ:
    case STEP_READ_EXACT:
    case STEP_READV:
        return run_hash(2, operation->bytes, (size_t)operation->result);
    case STEP_RECV_FROM: {
        uint64_t facts =
            run_address_facts(run, &operation->datagram.peer, run->slots[step->slot].type);
        return run_hash(received_facts(operation), &facts, sizeof facts);
    }
    case STEP_STAT:
        return stat_facts(&operation->stat);
    case STEP_ACCEPT:
        return run_address_facts(run, &operation->address, ORR_SOCKET_STREAM);
    default:
        return 0;
    }
}

/* ---- what a program left behind -------------------------------------------------------------- */

struct name_call {
    orr_handle handle;
    const char *path;
    uint32_t flags;
    struct orr_stat *stat;
    void *bytes;
    uint64_t offset;
};

static void open_it(struct run *run, struct orr_completion *completion, orr_callback callback,
                    void *context, void *arguments)
{
    const struct name_call *call = arguments;
    orr_open(run->loop, completion, call->handle, call->path, call->flags, 0, callback, context);
}

static void stat_it(struct run *run, struct orr_completion *completion, orr_callback callback,
                    void *context, void *arguments)
{
    const struct name_call *call = arguments;
    orr_stat(run->loop, completion, call->handle, NULL, call->stat, callback, context);
}

static void read_it(struct run *run, struct orr_completion *completion, orr_callback callback,
                    void *context, void *arguments)
{
    const struct name_call *call = arguments;
    orr_read_exact(run->loop, completion, call->handle, call->bytes, READ_MAX, call->offset,
                   callback, context);
}

static void close_it(struct run *run, struct orr_completion *completion, orr_callback callback,
                     void *context, void *arguments)
{
    const struct name_call *call = arguments;
    orr_close(run->loop, completion, call->handle, callback, context);
}

static struct entry *add_entry(struct run *run, const char *path)
{
    struct record *record = run->record;
    if (record->entry_count == ENTRIES_MAX) {
        run_break(run, "more than %u files are left", ENTRIES_MAX);
        return NULL;
    }
    struct entry *entry = &record->entries[record->entry_count++];
    memset(entry, 0, sizeof *entry);
    snprintf(entry->path, sizeof entry->path, "%.*s", (int)sizeof entry->path - 1, path);
    return entry;
}

static void look_at_bytes(struct run *run, orr_handle file, struct entry *entry)
{
    static uint8_t bytes[READ_MAX];
    struct orr_stat stat;
    struct name_call call = {.handle = file, .stat = &stat, .bytes = bytes};
    (void)run_and_wait(run, stat_it, &call);
    entry->type = ORR_FILE_REGULAR;
    entry->size = stat.size;
    entry->links = stat.links;
    int64_t length = READ_MAX;
    while (length == READ_MAX && call.offset < 4 * TRANSFER_MAX + 64 * READ_MAX) {
        length = run_and_wait(run, read_it, &call);
        if (length < 0)
            run_break(run, "%s cannot be read: -%s", entry->path, orr_error_name((int)-length));
        else
            entry->hash = run_hash(entry->hash, bytes, (size_t)length);
        call.offset += READ_MAX;
    }
}

struct names {
    char names[ENTRIES_MAX][300];
    uint32_t types[ENTRIES_MAX];
    uint32_t count;
};

static int collect(void *context, const char *name, uint32_t type)
{
    struct names *names = context;
    if (names->count == ENTRIES_MAX)
        return 1;
    names->types[names->count] = type;
    snprintf(names->names[names->count++], sizeof names->names[0], "%s", name);
    return 0;
}

static void look_at_directory(struct run *run, orr_handle directory, const char *path,
                              uint32_t depth);

static void look_at_name(struct run *run, orr_handle directory, const char *path, const char *name,
                         uint32_t type, uint32_t depth)
{
    char full[600];
    snprintf(full, sizeof full, "%.250s/%s", path, name);
    if (type == ORR_FILE_OTHER) { /* a socket, which cannot be opened */
        (void)add_entry(run, full);
        return;
    }
    struct name_call call = {.handle = directory, .path = name, .flags = ORR_OPEN_READ};
    call.handle = run_and_wait(run, open_it, &call);
    struct entry *entry = add_entry(run, full);
    if (call.handle < 0 || entry == NULL) {
        run_break(run, "%.100s cannot be opened: %" PRId64, full, call.handle);
        return;
    }
    struct orr_stat stat;
    call.stat = &stat;
    (void)run_and_wait(run, stat_it, &call);
    entry->type = stat.type;
    if (stat.type == ORR_FILE_DIRECTORY)
        look_at_directory(run, call.handle, full, depth + 1);
    else
        look_at_bytes(run, call.handle, entry);
    (void)run_and_wait(run, close_it, &call);
}

static void look_at_directory(struct run *run, orr_handle directory, const char *path,
                              uint32_t depth)
{
    if (depth == DEPTH_MAX)
        return;
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL)
        abort();
    int status = orr_directory_list(run->loop, directory, collect, names);
    if (status != 0)
        run_break(run, "%s cannot be listed: %d", path, status);
    for (uint32_t i = 0; i < names->count; i++)
        look_at_name(run, directory, path, names->names[i], names->types[i], depth);
    free(names);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

void run_look_at_files(struct run *run)
{
    look_at_directory(run, run->ground->directory, "", 0);
    qsort(run->record->entries, run->record->entry_count, sizeof run->record->entries[0], by_path);
}

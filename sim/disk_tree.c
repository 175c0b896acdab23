/*
 * disk_tree.c: inodes, directories, and which of their unsynced changes become durable.
 *
 * All name changes of a disk wait in one list, in the order in which they were made. What becomes
 * durable is, for each directory, a prefix of the changes that touch it: all up to a sequence by
 * fsync, up to a choice by power loss. Some changes drag others along, always older ones, so that
 * one pass from the newest to the oldest finds them all:
 *
 *   - A rename between two directories is one change: with it comes everything older in both.
 *   - The end of a directory brings all changes inside it: what was moved out of it has arrived
 *     elsewhere.
 *   - A rename from one directory into another that would not be found after a power loss, because
 *     its own name (or that of one above it) is not durable yet, brings everything older on the
 *     disk. Else what is moved could be neither here nor there, and two directories could end up in
 *     each other.
 *
 * That is a little more than POSIX promises and no more than a journal does. Without it, synced
 * files would vanish in ways that no real file system shows. Two kinds of disks are different:
 *
 *   - One journal (ext4, xfs): the prefix is one of all changes on the disk, with those of sizes
 *     that change alone.
 *   - POSIX alone: no prefix, each change by itself; a rename of a file is two changes, the new
 *     name and the end of the old one. The rename of a directory stays one and brings all older
 *     changes of directories, or else what is left would be no tree.
 *
 * The references of an inode: one for its name, durable name, each mention in a change, open file,
 * and child directory.
 */
#include "disk.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- inodes ---------------------------------------------------------------------------------- */

struct orr__inode *orr__inode_create(struct orr__disk *disk, bool is_directory, uint32_t mode)
{
    struct orr__inode *inode = orr__disk_memory(NULL, sizeof *inode);
    *inode = (struct orr__inode){.disk = disk,
                                 .previous = disk->last,
                                 .number = disk->inode_next++,
                                 .mode = mode & 07777,
                                 .modified_ns = orr__disk_wall_clock(disk),
                                 .is_directory = is_directory};
    inode->actor = orr__mix(disk->node->id, inode->number);
    if (disk->last != NULL)
        disk->last->next = inode;
    else
        disk->first = inode;
    disk->last = inode;
    disk->inode_count++;
    return inode;
}

static void destroy(struct orr__inode *inode)
{
    struct orr__disk *disk = inode->disk;
    if (inode->previous != NULL)
        inode->previous->next = inode->next;
    else
        disk->first = inode->next;
    if (inode->next != NULL)
        inode->next->previous = inode->previous;
    else
        disk->last = inode->previous;
    disk->inode_count--;
    if (inode->is_directory) {
        orr__names_clear(&inode->directory.names);
        orr__names_clear(&inode->directory.durable_names);
    } else {
        orr__file_body_clear(&inode->file);
    }
    free(inode);
}

void orr__inode_hold(struct orr__inode *inode)
{
    inode->references++;
}

/* What the disk keeps of a file without a name, in case it still has one after a power loss. */
static uint64_t kept_bytes(const struct orr__inode *inode)
{
    return inode->file.changes.bytes + inode->file.durable.count * ORR__PAGE;
}

void orr__inode_release(struct orr__inode *inode)
{
    while (inode != NULL) {
        orr__assert(inode->references > 0);
        if (--inode->references > 0)
            return;
        orr__assert(inode->name_count == 0 && inode->open_count == 0);
        struct orr__inode *parent = NULL;
        if (inode->is_directory) {
            orr__assert(inode->directory.names.count == 0 &&
                        inode->directory.durable_names.count == 0);
            parent = inode->directory.parent;
        } else {
            inode->disk->unlinked_bytes -= kept_bytes(inode);
        }
        destroy(inode);
        inode = parent;
    }
}

/* ---- changes of names ------------------------------------------------------------------------ */

static bool is_kept(const struct orr__inode *directory, uint64_t sequence)
{
    return directory != NULL && sequence <= directory->directory.keep;
}

static void keep(struct orr__inode *directory, uint64_t sequence)
{
    if (directory != NULL && directory->directory.keep < sequence)
        directory->directory.keep = sequence;
}

/* Marks the changes that become durable: those that `keep` of their directories asks for, those up
 * to `keep_all`, and what they drag along. */
static void mark_kept(struct orr__disk *disk, uint64_t keep_all)
{
    uint64_t keep_directories = 0;
    for (struct orr__name_change *change = disk->change_last; change != NULL;
         change = change->previous) {
        uint64_t sequence = change->sequence;
        change->kept = sequence <= keep_all || is_kept(change->from, sequence) ||
                       is_kept(change->to, sequence) ||
                       (change->inode->is_directory && sequence <= keep_directories);
        if (!change->kept)
            continue;
        if (disk->rules.keeps_order) {
            keep(change->from, sequence);
            keep(change->to, sequence);
            keep(change->removed, sequence);
        }
        if (change->drags_all && keep_all < sequence)
            keep_all = sequence;
        if (change->drags_directories && keep_directories < sequence)
            keep_directories = sequence;
    }
}

/* Takes a change out of the list, with its references unless they are counted anew anyway. */
static void remove_change(struct orr__disk *disk, struct orr__name_change *change, bool release)
{
    if (change->previous != NULL)
        change->previous->next = change->next;
    else
        disk->change_first = change->next;
    if (change->next != NULL)
        change->next->previous = change->previous;
    else
        disk->change_last = change->previous;
    disk->name_change_count--;
    struct orr__inode *held[] = {change->inode, change->from, change->to, change->removed};
    for (uint32_t i = 0; release && i < sizeof held / sizeof held[0]; i++)
        orr__inode_release(held[i]);
    free(change->name_from);
    free(change->name_to);
    free(change);
}

/* Applies a change to the durable names. */
static void apply(struct orr__disk *disk, struct orr__name_change *change)
{
    if (change->from != NULL) {
        struct orr__names *names = &change->from->directory.durable_names;
        const struct orr__inode *inode = orr__names_find(names, change->name_from);
        orr__assert(inode == change->inode || !disk->rules.keeps_order);
        if (inode != NULL)
            orr__inode_release(orr__names_remove(names, change->name_from));
        change->from->directory.pending--;
    }
    if (change->to != NULL) {
        orr__assert(change->inode != NULL);
        if (change->inode->is_directory &&
            change->inode->directory.named_sequence == change->sequence)
            change->inode->directory.name_is_durable = true;
        orr__inode_hold(change->inode);
        orr__inode_release(
            orr__names_set(&change->to->directory.durable_names, change->name_to, change->inode));
        change->to->directory.pending -= change->to != change->from ? 1 : 0;
    }
    if (change->drags_data)
        orr__file_write_back(&change->inode->file, change->sequence);
    remove_change(disk, change, true);
}

static void apply_kept(struct orr__disk *disk)
{
    struct orr__name_change *next;
    for (struct orr__name_change *change = disk->change_first; change != NULL; change = next) {
        next = change->next;
        if (change->kept)
            apply(disk, change);
    }
}

static void commit(struct orr__disk *disk, uint64_t keep_all)
{
    if (disk->rules.one_journal && disk->journaled < keep_all)
        disk->journaled = keep_all < disk->sequence ? keep_all : disk->sequence;
    mark_kept(disk, keep_all);
    apply_kept(disk);
}

void orr__journal_sync(struct orr__disk *disk, uint64_t sequence)
{
    if (disk->rules.one_journal && disk->journaled < sequence)
        commit(disk, sequence);
}

/* The newest change up to a sequence that touches the directory. */
static uint64_t last_touch(const struct orr__inode *directory, uint64_t sequence)
{
    const struct orr__name_change *change = directory->disk->change_last;
    while (change != NULL &&
           (change->sequence > sequence || (change->from != directory && change->to != directory)))
        change = change->previous;
    return change != NULL ? change->sequence : 0;
}

void orr__tree_sync(struct orr__inode *directory, uint64_t sequence)
{
    if (directory->directory.pending == 0)
        return;
    if (directory->disk->rules.one_journal) {
        orr__journal_sync(directory->disk, last_touch(directory, sequence));
        return;
    }
    keep(directory, sequence);
    commit(directory->disk, 0);
}

static void touch(struct orr__inode *directory)
{
    orr__inode_hold(directory);
    directory->directory.pending++;
    directory->change_count++;
    directory->modified_ns = orr__disk_wall_clock(directory->disk);
}

/* True if the directory would be found after a power loss, where it is now. */
static bool path_is_durable(const struct orr__inode *directory)
{
    const struct orr__inode *root = directory->disk->root;
    while (directory != root && directory->directory.name_is_durable)
        directory = directory->directory.parent;
    return directory == root;
}

/* As a system does by itself when much waits. */
static void bound_changes(struct orr__disk *disk)
{
    if (disk->name_change_count <= ORR__NAME_CHANGES_MAX)
        return;
    const struct orr__name_change *change = disk->change_first;
    for (uint64_t left = ORR__NAME_CHANGES_MAX / 2; left > 0; left--) {
        orr__assert(change != NULL);
        change = change->next;
    }
    orr__assert(change != NULL);
    commit(disk, change->sequence);
}

/* Appends a change that has just been made. */
static struct orr__name_change *push(struct orr__inode *from, const char *name_from,
                                     struct orr__inode *to, const char *name_to,
                                     struct orr__inode *inode, struct orr__inode *removed)
{
    struct orr__disk *disk = inode->disk;
    struct orr__name_change *change = orr__disk_memory(NULL, sizeof *change);
    *change =
        (struct orr__name_change){.previous = disk->change_last,
                                  .sequence = ++disk->sequence,
                                  .from = from,
                                  .to = to,
                                  .name_from = from != NULL ? orr__text_copy(name_from) : NULL,
                                  .name_to = to != NULL ? orr__text_copy(name_to) : NULL,
                                  .inode = inode,
                                  .removed = removed,
                                  .origin = disk->origin};
    if (disk->change_last != NULL)
        disk->change_last->next = change;
    else
        disk->change_first = change;
    disk->change_last = change;
    inode->recorded = change->sequence;
    if (from != NULL && to != NULL)
        change->drags_all = disk->rules.keeps_order && from != to && !path_is_durable(to);
    change->drags_directories = !disk->rules.keeps_order && from != NULL && to != NULL;
    if (to != NULL && inode->is_directory) {
        inode->directory.named_sequence = change->sequence;
        inode->directory.name_is_durable = false;
    }
    orr__inode_hold(inode);
    if (removed != NULL)
        orr__inode_hold(removed);
    if (from != NULL)
        touch(from);
    if (to != NULL && to != from)
        touch(to);
    else if (to != NULL)
        orr__inode_hold(to);
    disk->name_change_count++;
    return change;
}

void orr__inode_unused(struct orr__inode *inode)
{
    struct orr__disk *disk = inode->disk;
    if (inode->is_directory || inode->name_count > 0 || inode->open_count > 0)
        return;
    disk->used_pages -= inode->file.cache.count;
    orr__bytes_clear(&inode->file.cache);
    inode->file.cache_differs = true;
    disk->unlinked_bytes += kept_bytes(inode);
    if (disk->unlinked_bytes > disk->capacity_pages * ORR__PAGE)
        commit(disk, UINT64_MAX); /* as real ones do, to get the space back */
}

/* The directory gets a child directory, or (count -1) loses one. */
static void count_subdirectory(struct orr__inode *directory, const struct orr__inode *child,
                               int count)
{
    if (child->is_directory)
        directory->directory.subdirectories += (uint32_t)count;
}

static void set_parent(struct orr__inode *inode, struct orr__inode *directory)
{
    if (!inode->is_directory)
        return;
    orr__inode_hold(directory);
    orr__inode_release(inode->directory.parent);
    inode->directory.parent = directory;
}

/* The inode has lost its name. */
static void unname(struct orr__inode *inode)
{
    inode->name_count--;
    orr__inode_unused(inode);
    orr__inode_release(inode);
}

void orr__tree_add(struct orr__inode *directory, const char *name, struct orr__inode *inode)
{
    orr__names_set(&directory->directory.names, name, inode);
    inode->name_count++;
    orr__inode_hold(inode);
    set_parent(inode, directory);
    count_subdirectory(directory, inode, 1);
    push(NULL, NULL, directory, name, inode, NULL);
    bound_changes(inode->disk);
}

void orr__tree_remove(struct orr__inode *directory, const char *name)
{
    struct orr__inode *inode = orr__names_remove(&directory->directory.names, name);
    count_subdirectory(directory, inode, -1);
    push(directory, name, NULL, NULL, inode, inode->is_directory ? inode : NULL);
    bound_changes(directory->disk);
    unname(inode);
}

/* The changes of a rename. */
static void push_move(struct orr__inode *from, const char *name_from, struct orr__inode *to,
                      const char *name_to, struct orr__inode *inode, struct orr__inode *replaced)
{
    const struct orr__rules *rules = &inode->disk->rules;
    if (!rules->keeps_order && !inode->is_directory) {
        push(NULL, NULL, to, name_to, inode, NULL);
        push(from, name_from, NULL, NULL, inode, NULL);
        return;
    }
    struct orr__inode *removed = replaced != NULL && replaced->is_directory ? replaced : NULL;
    push(from, name_from, to, name_to, inode, removed)->drags_data =
        rules->rename_flushes && replaced != NULL && !inode->is_directory;
}

void orr__tree_move(struct orr__inode *from, const char *name_from, struct orr__inode *to,
                    const char *name_to)
{
    struct orr__inode *inode = orr__names_remove(&from->directory.names, name_from);
    struct orr__inode *replaced = orr__names_set(&to->directory.names, name_to, inode);
    count_subdirectory(from, inode, -1);
    count_subdirectory(to, inode, 1);
    set_parent(inode, to);
    push_move(from, name_from, to, name_to, inode, replaced);
    bound_changes(inode->disk);
    if (replaced == NULL)
        return;
    count_subdirectory(to, replaced, -1);
    unname(replaced);
}

/* ---- the whole disk -------------------------------------------------------------------------- */

static const struct orr__rules rules[] = {
    [ORR_FILE_SYSTEM_PORTABLE] = {.keeps_order = true, .frees_carefully = true},
    [ORR_FILE_SYSTEM_POSIX] = {.keeps_order = false},
    [ORR_FILE_SYSTEM_EXT4] = {.keeps_order = true,
                              .one_journal = true,
                              .orders_data = true,
                              .rename_flushes = true,
                              .frees_carefully = true,
                              .has_inodes = true},
    [ORR_FILE_SYSTEM_XFS] = {.keeps_order = true,
                             .one_journal = true,
                             .orders_data = true,
                             .frees_carefully = true},
};

struct orr__disk *orr__disk_create(struct orr_node *node, const struct orr_disk_options *options)
{
    struct orr__disk *disk = orr__disk_memory(NULL, sizeof *disk);
    *disk = (struct orr__disk){.node = node,
                               .rules = rules[options->file_system],
                               .sector_bytes = options->sector_bytes,
                               .inode_next = 1,
                               .capacity_pages = options->capacity_bytes / ORR__PAGE};
    disk->root = orr__inode_create(disk, true, 0755);
    disk->root->references = 1;
    disk->root->name_count = 1;
    disk->root->directory.parent = disk->root;
    return disk;
}

static void drop_changes(struct orr__disk *disk)
{
    while (disk->change_first != NULL)
        remove_change(disk, disk->change_first, false);
}

void orr__disk_destroy(struct orr__disk *disk)
{
    if (disk == NULL)
        return;
    drop_changes(disk);
    while (disk->first != NULL)
        destroy(disk->first);
    free(disk);
}

/* How many of a directory's pending changes come before the first that is named as lost. */
static uint64_t kept_by_name(const struct orr__inode *directory)
{
    uint64_t count = 0;
    const struct orr__name_change *change = directory->disk->change_first;
    for (; change != NULL; change = change->next) {
        if (change->from != directory && change->to != directory)
            continue;
        if (orr__loss_is_lost(directory->disk, change->origin))
            break;
        count++;
    }
    return count;
}

enum mood { NONE, ALL, SOME, MOODS };
static const uint8_t mood_weights[MOODS] = {1, 1, 2};

/* How many of its pending changes a directory keeps: none, all, or any number in between. */
static void choose_names(struct orr__inode *directory)
{
    struct orr__directory_body *body = &directory->directory;
    struct orr_node *node = directory->disk->node;
    uint64_t mood = orr__draw_weighted(node->world, ORR__SITE_DISK_NAME, directory->actor,
                                       directory->change_count, mood_weights, MOODS);
    body->keep_count = mood == NONE ? 0 : body->pending;
    if (mood == SOME)
        body->keep_count = orr__draw_below(node->world, ORR__SITE_DISK_NAME, ~directory->actor,
                                           directory->change_count, body->pending + 1);
    if (directory->disk->loss_is_named)
        body->keep_count = kept_by_name(directory);
    orr__story_line(node->world, node->name,
                    "disk: directory %" PRIu64 ": unsynced names: at least %" PRIu64 " of %" PRIu64
                    " kept",
                    directory->number, body->keep_count, body->pending);
}

static void keep_next(struct orr__inode *directory, uint64_t sequence)
{
    if (directory == NULL || directory->directory.keep_count == 0)
        return;
    directory->directory.keep_count--;
    keep(directory, sequence);
}

/* Each directory keeps a prefix of its changes. */
static void settle_prefixes(struct orr__disk *disk)
{
    for (struct orr__inode *inode = disk->first; inode != NULL; inode = inode->next)
        if (inode->is_directory && inode->directory.pending > 0)
            choose_names(inode);
    for (struct orr__name_change *change = disk->change_first; change != NULL;
         change = change->next) {
        keep_next(change->from, change->sequence);
        if (change->to != change->from)
            keep_next(change->to, change->sequence);
    }
    commit(disk, 0);
}

/* Each change by itself. */
static void settle_each(struct orr__disk *disk)
{
    struct orr_node *node = disk->node;
    if (disk->change_first == NULL)
        return;
    uint64_t mood = orr__draw_weighted(node->world, ORR__SITE_DISK_NAME, node->id, disk->sequence,
                                       mood_weights, MOODS);
    uint64_t kept = 0;
    uint64_t keep_directories = 0;
    for (struct orr__name_change *change = disk->change_last; change != NULL;
         change = change->previous) {
        uint64_t draw = mood == SOME ? orr__draw_below(node->world, ORR__SITE_DISK_NAME, ~node->id,
                                                       change->sequence, 2)
                                     : mood;
        if (disk->loss_is_named)
            draw = orr__loss_is_lost(disk, change->origin) ? NONE : ALL;
        change->kept =
            draw == ALL || (change->inode->is_directory && change->sequence <= keep_directories);
        if (change->kept && change->drags_directories && keep_directories < change->sequence)
            keep_directories = change->sequence;
        kept += change->kept ? 1 : 0;
    }
    orr__story_line(node->world, node->name,
                    "disk: unsynced names: %" PRIu64 " of %" PRIu64 " kept", kept,
                    disk->name_change_count);
    apply_kept(disk);
}

static int compare_sequences(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right ? 1 : 0;
}

/* The sequence of the first record of the journal that is named as lost, or UINT64_MAX. */
static uint64_t first_named(const struct orr__disk *disk)
{
    uint64_t first = UINT64_MAX;
    for (const struct orr__name_change *change = disk->change_first; change != NULL;
         change = change->next)
        if (change->sequence < first && orr__loss_is_lost(disk, change->origin))
            first = change->sequence;
    for (const struct orr__inode *inode = disk->first; inode != NULL; inode = inode->next) {
        const struct orr__change *change = inode->is_directory ? NULL : inode->file.changes.head;
        for (; change != NULL; change = change->next)
            if (change->length == 0 && change->sequence < first &&
                orr__loss_is_lost(disk, change->origin))
                first = change->sequence;
    }
    return first;
}

static uint64_t count_below(const uint64_t *records, uint64_t count, uint64_t limit)
{
    uint64_t below = 0;
    while (below < count && records[below] < limit)
        below++;
    return below;
}

/* The sequences of what the journal has not written yet, ascending. */
static uint64_t *unwritten_records(struct orr__disk *disk, uint64_t *ret_count)
{
    uint64_t capacity = disk->name_change_count;
    for (struct orr__inode *inode = disk->first; inode != NULL; inode = inode->next)
        capacity += inode->is_directory ? 0 : inode->file.changes.count;
    uint64_t *records = orr__disk_memory(NULL, (capacity + 1) * sizeof *records);
    uint64_t count = 0;
    for (const struct orr__name_change *change = disk->change_first; change != NULL;
         change = change->next)
        records[count++] = change->sequence;
    for (struct orr__inode *inode = disk->first; inode != NULL; inode = inode->next) {
        const struct orr__change *change = inode->is_directory ? NULL : inode->file.changes.head;
        for (; change != NULL; change = change->next)
            if (change->length == 0 && change->size_after != change->size_before &&
                change->sequence > disk->journaled)
                records[count++] = change->sequence;
    }
    qsort(records, count, sizeof *records, compare_sequences);
    *ret_count = count;
    return records;
}

/* One journal keeps a prefix of all that waits for it. */
static void settle_journal(struct orr__disk *disk)
{
    struct orr_node *node = disk->node;
    uint64_t count;
    uint64_t *records = unwritten_records(disk, &count);
    if (count > 0) {
        uint64_t mood = orr__draw_weighted(node->world, ORR__SITE_DISK_NAME, node->id,
                                           disk->sequence, mood_weights, MOODS);
        uint64_t kept = mood == NONE ? 0 : count;
        if (mood == SOME)
            kept = orr__draw_below(node->world, ORR__SITE_DISK_NAME, ~node->id, disk->sequence,
                                   count + 1);
        if (disk->loss_is_named)
            kept = count_below(records, count, first_named(disk));
        orr__story_line(node->world, node->name,
                        "disk: journal: %" PRIu64 " of %" PRIu64 " records kept", kept, count);
        if (kept > 0)
            orr__journal_sync(disk, records[kept - 1]);
    }
    free(records);
}

/* Makes durable what the choices keep of the pending changes, and forgets the rest. */
static void settle_names(struct orr__disk *disk)
{
    if (disk->rules.one_journal)
        settle_journal(disk);
    else if (disk->rules.keeps_order)
        settle_prefixes(disk);
    else
        settle_each(disk);
    for (const struct orr__name_change *change = disk->change_first; change != NULL;
         change = change->next)
        orr__loss_tell(disk, change->origin, ORR__FAULT_LOST, 0);
    drop_changes(disk);
}

/* Marks what the durable names lead to from the root. */
static void reach(struct orr__disk *disk)
{
    for (struct orr__inode *inode = disk->first; inode != NULL; inode = inode->next)
        inode->reached = false;
    disk->root->reached = true;
    struct orr__inode *last = disk->root;
    last->work = NULL;
    for (struct orr__inode *directory = disk->root; directory != NULL;
         directory = directory->work) {
        const struct orr__names *names = &directory->directory.durable_names;
        for (size_t i = 0; i < names->count; i++) {
            struct orr__inode *inode = names->items[i].inode;
            orr__assert(!inode->reached || !inode->is_directory);
            inode->reached = true;
            if (!inode->is_directory)
                continue;
            inode->work = NULL;
            last->work = inode;
            last = inode;
        }
    }
}

/* Makes the names what the durable names are, and counts references anew. */
static void reset_names(struct orr__disk *disk)
{
    for (struct orr__inode *inode = disk->first; inode != NULL; inode = inode->next) {
        orr__assert(inode->open_count == 0);
        inode->name_count = inode == disk->root ? 1 : 0;
        inode->references = inode == disk->root ? 1 : 0;
        if (!inode->is_directory)
            continue;
        orr__names_copy(&inode->directory.names, &inode->directory.durable_names);
        inode->directory.pending = 0;
        inode->directory.name_is_durable = true;
        inode->directory.subdirectories = 0;
    }
    for (struct orr__inode *inode = disk->root; inode != NULL; inode = inode->work) {
        const struct orr__names *names = &inode->directory.names;
        for (size_t i = 0; i < names->count; i++) {
            struct orr__inode *child = names->items[i].inode;
            child->references += 2;
            child->name_count++;
            if (!child->is_directory)
                continue;
            child->directory.parent = inode;
            inode->references++;
            inode->directory.subdirectories++;
        }
    }
}

void orr__disk_power_loss(struct orr__disk *disk)
{
    settle_names(disk);
    reach(disk);
    reset_names(disk);
    struct orr__inode *next;
    for (struct orr__inode *inode = disk->first; inode != NULL; inode = next) {
        next = inode->next;
        if (!inode->reached)
            destroy(inode);
    }
    disk->used_pages = 0;
    disk->unlinked_bytes = 0;
    for (struct orr__inode *inode = disk->root; inode != NULL; inode = inode->work) {
        const struct orr__names *names = &inode->directory.names;
        for (size_t i = 0; i < names->count; i++) {
            struct orr__inode *child = names->items[i].inode;
            if (child->is_directory || !child->reached)
                continue;
            child->reached = false; /* it may have another name */
            orr__file_power_loss(child, names->items[i].text);
            disk->used_pages += child->file.cache.count;
        }
    }
}

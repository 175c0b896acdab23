/*
 * disk_file.c: the bytes of files: cache, unsynced changes, durable image; and what power loss
 * makes of them.
 *
 * Every write, truncate and extension goes to the cache and, with a copy of its bytes, to the end
 * of the file's list of changes. fsync applies the oldest ones to the durable image: an append and
 * its fsync cost what was appended, not the file. A write of the bytes that are there already is a
 * change like any other: that is how a program repairs what a failed fsync dropped.
 *
 * Three kinds of changes differ from a plain write. What is written with O_DSYNC is durable at
 * once, though older changes still wait in front of it in the list. What is written with O_DIRECT
 * is in no page that a failed fsync could drop. A size that changes alone (truncate, allocate) is a
 * record of the file system's journal, if it has one, and keeps its place among the names there.
 */
#include "disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- changes --------------------------------------------------------------------------------- */

/* Takes the oldest change out of the list. */
static void drop_first(struct orr__changes *changes)
{
    struct orr__change *change = changes->head;
    changes->head = change->next;
    if (changes->head == NULL)
        changes->tail = NULL;
    changes->count--;
    changes->bytes -= change->length;
    free(change);
}

void orr__file_changes_drop(struct orr__file_body *file)
{
    while (file->changes.head != NULL)
        drop_first(&file->changes);
}

void orr__file_body_clear(struct orr__file_body *file)
{
    orr__file_changes_drop(file);
    orr__ranges_clear(&file->unwritten);
    orr__bytes_clear(&file->cache);
    orr__bytes_clear(&file->durable);
    free(file->bad);
}

/* Makes the oldest change durable. */
static void write_back_first(struct orr__file_body *file)
{
    const struct orr__change *change = file->changes.head;
    orr__assert(change->size_before == file->durable.size);
    orr__bytes_write(&file->durable, change->data, change->length, change->landing);
    orr__bytes_resize(&file->durable, change->size_after);
    drop_first(&file->changes);
}

void orr__file_write_back(struct orr__file_body *file, uint64_t mark)
{
    while (file->changes.head != NULL && file->changes.head->sequence <= mark)
        write_back_first(file);
}

/* As a system does by itself when much waits. */
static void bound_unsynced(struct orr__inode *inode)
{
    const struct orr__changes *changes = &inode->file.changes;
    uint64_t sequence = 0;
    if (changes->count <= ORR__FILE_CHANGES_MAX && changes->bytes <= ORR__FILE_UNSYNCED_MAX)
        return;
    while (changes->count > ORR__FILE_CHANGES_MAX / 2 ||
           changes->bytes > ORR__FILE_UNSYNCED_MAX / 2) {
        sequence = changes->head->sequence;
        write_back_first(&inode->file);
    }
    orr__journal_sync(inode->disk, sequence);
}

void orr__changes_append(struct orr__changes *changes, struct orr__change *change)
{
    change->next = NULL;
    if (changes->tail != NULL)
        changes->tail->next = change;
    else
        changes->head = change;
    changes->tail = change;
    changes->count++;
    changes->bytes += change->length;
}

/* Appends a change that has just been made to the cache; length 0 = only the size. */
static struct orr__change *push(struct orr__inode *inode, const void *data, uint32_t length,
                                uint64_t offset, uint64_t size_before)
{
    struct orr__change *change = orr__disk_memory(NULL, sizeof *change + length);
    *change = (struct orr__change){.sequence = ++inode->disk->sequence,
                                   .number = ++inode->change_count,
                                   .offset = offset,
                                   .landing = offset,
                                   .size_before = size_before,
                                   .size_after = inode->file.cache.size,
                                   .length = length,
                                   .origin = inode->disk->origin};
    if (length > 0)
        memcpy(change->data, data, length);
    orr__changes_append(&inode->file.changes, change);
    return change;
}

/* ---- what nobody has written ----------------------------------------------------------------- */

static void note_resize(struct orr__inode *inode, uint64_t size_before, uint64_t size)
{
    if (!inode->disk->node->forbids_unwritten)
        return;
    if (size > size_before)
        orr__ranges_append(&inode->file.unwritten, size_before, size);
    else
        orr__ranges_remove(&inode->file.unwritten, size, UINT64_MAX);
}

static void note_write(struct orr__inode *inode, uint64_t size_before, uint64_t offset,
                       uint32_t length)
{
    if (!inode->disk->node->forbids_unwritten)
        return;
    if (offset > size_before)
        orr__ranges_append(&inode->file.unwritten, size_before, offset);
    else
        orr__ranges_remove(&inode->file.unwritten, offset, offset + length);
}

bool orr__file_unwritten(const struct orr__file *file, uint64_t offset, uint64_t length,
                         uint64_t *ret_from, uint64_t *ret_to)
{
    struct orr__range part;
    if (!orr__ranges_find(&file->inode->file.unwritten, offset, offset + length, &part))
        return false;
    *ret_from = part.from;
    *ret_to = part.to;
    return true;
}

void orr__file_resize(struct orr__inode *inode, uint64_t size)
{
    struct orr__bytes *cache = &inode->file.cache;
    uint64_t size_before = cache->size;
    uint64_t pages_before = cache->count;
    inode->modified_ns = orr__disk_wall_clock(inode->disk);
    if (size == size_before)
        return;
    orr__bytes_resize(cache, size);
    orr__file_cut_bad(inode, size);
    note_resize(inode, size_before, size);
    inode->disk->used_pages -= pages_before - cache->count;
    inode->recorded = push(inode, NULL, 0, 0, size_before)->sequence;
    bound_unsynced(inode);
}

/* ---- open files ------------------------------------------------------------------------------ */

void orr__file_close(struct orr__file *file)
{
    struct orr__inode *inode = file->inode;
    orr__assert(inode->open_count > 0);
    inode->open_count--;
    orr__inode_unused(inode);
    orr__inode_release(inode);
    free(file);
}

/* Beyond the end of all numbers: offsets are signed in a kernel. */
static bool out_of_range(uint64_t offset, uint32_t length)
{
    return offset > INT64_MAX - (uint64_t)length;
}

/* O_DIRECT wants whole sectors. The buffer's address must not decide: the police looks
 * at it. */
static bool misaligned(const struct orr__file *file, uint32_t length, uint64_t offset)
{
    uint64_t sector_bytes = file->disk->sector_bytes;
    return (file->flags & ORR_OPEN_DIRECT) != 0 &&
           (length % sector_bytes != 0 || offset % sector_bytes != 0);
}

int64_t orr__file_read(struct orr__file *file, void *buffer, uint32_t length, uint64_t offset)
{
    if ((file->flags & ORR_OPEN_READ) == 0)
        return -EBADF;
    if (out_of_range(offset, length))
        return -EINVAL;
    if (file->inode->is_directory)
        return -EISDIR;
    if (misaligned(file, length, offset))
        return -EINVAL;
    int64_t readable = orr__file_readable(file->inode, offset, length);
    if (readable < 0)
        return readable;
    return orr__bytes_read(&file->inode->file.cache, buffer, (uint32_t)readable, offset);
}

bool orr__disk_is_full(const struct orr__disk *disk)
{
    return disk->used_pages >= disk->capacity_pages;
}

static uint64_t pages_free(const struct orr__disk *disk)
{
    return disk->used_pages < disk->capacity_pages ? disk->capacity_pages - disk->used_pages : 0;
}

/* How many of `length` bytes at `offset` there is space for. */
static uint32_t room(const struct orr__inode *inode, uint32_t length, uint64_t offset)
{
    uint64_t left = pages_free(inode->disk);
    uint64_t first = offset / ORR__PAGE;
    uint64_t last = (offset + length - 1) / ORR__PAGE;
    if (last - first < left)
        return length;
    for (uint64_t index = first; index <= last; index++) {
        if (orr__bytes_page(&inode->file.cache, index) != NULL)
            continue;
        if (left == 0)
            return index == first ? 0 : (uint32_t)(index * ORR__PAGE - offset);
        left--;
    }
    return length;
}

/* Makes the newest change durable: its range and the size, but not what is older elsewhere. */
static void sync_change(struct orr__inode *inode, struct orr__change *change)
{
    struct orr__file_body *file = &inode->file;
    change->written = true;
    if (change->size_after != change->size_before)
        inode->recorded = change->sequence;
    orr__journal_sync(inode->disk, inode->recorded);
    while (file->changes.head != NULL && file->changes.head->written)
        write_back_first(file);
    bound_unsynced(inode);
}

/* What follows from how the file was opened, and from the faults that wait for this write. */
static void settle_write(struct orr__file *file, struct orr__change *change)
{
    struct orr__inode *inode = file->inode;
    bool syncs = orr__file_is_sync(file) && !file->loses_sync;
    change->direct = orr__file_is_direct(file);
    if (file->misdirected)
        orr__file_land(file, change);
    file->misdirected = false;
    file->lands_in = 0;
    file->loses_sync = false;
    if (syncs)
        sync_change(inode, change);
    else
        bound_unsynced(inode);
}

int64_t orr__file_write(struct orr__file *file, const void *data, uint32_t length, uint64_t offset)
{
    struct orr__inode *inode = file->inode;
    if ((file->flags & ORR_OPEN_WRITE) == 0)
        return -EBADF;
    if (out_of_range(offset, length) || misaligned(file, length, offset))
        return -EINVAL;
    if (length == 0)
        return 0;
    if (offset >= ORR__FILE_SIZE_MAX)
        return -EFBIG;
    if (length > ORR__FILE_SIZE_MAX - offset)
        length = (uint32_t)(ORR__FILE_SIZE_MAX - offset);
    length = room(inode, length, offset);
    if (length == 0)
        return -ENOSPC;
    if (orr__file_write_over(inode, offset, length) != 0)
        return -EIO;
    struct orr__bytes *cache = &inode->file.cache;
    uint64_t size_before = cache->size;
    uint64_t pages_before = cache->count;
    orr__bytes_write(cache, data, length, offset);
    inode->disk->used_pages += cache->count - pages_before;
    inode->modified_ns = orr__disk_wall_clock(inode->disk);
    note_write(inode, size_before, offset, length);
    struct orr__change *change = push(inode, data, length, offset, size_before);
    settle_write(file, change);
    return length;
}

int orr__file_truncate(struct orr__file *file, uint64_t length)
{
    if (length > INT64_MAX || (file->flags & ORR_OPEN_WRITE) == 0)
        return -EINVAL;
    if (length > ORR__FILE_SIZE_MAX)
        return -EFBIG;
    orr__file_resize(file->inode, length);
    return 0;
}

int orr__file_allocate(struct orr__file *file, uint64_t offset, uint64_t length)
{
    if (offset > INT64_MAX || length > INT64_MAX || length == 0)
        return -EINVAL;
    if ((file->flags & ORR_OPEN_WRITE) == 0)
        return -EBADF;
    if (offset + length > ORR__FILE_SIZE_MAX)
        return -EFBIG;
    struct orr__inode *inode = file->inode;
    struct orr__bytes *cache = &inode->file.cache;
    uint64_t first = offset / ORR__PAGE;
    uint64_t last = (offset + length - 1) / ORR__PAGE;
    if (last - first >= pages_free(inode->disk) + cache->count)
        return -ENOSPC; /* even if every page that there is lies in the range */
    uint64_t missing = 0;
    for (uint64_t index = first; index <= last; index++)
        missing += orr__bytes_page(cache, index) == NULL ? 1 : 0;
    if (missing > pages_free(inode->disk))
        return -ENOSPC;
    for (uint64_t index = first; index <= last; index++)
        orr__bytes_page_make(cache, index);
    inode->disk->used_pages += missing;
    if (cache->size < offset + length)
        orr__file_resize(inode, offset + length);
    return 0;
}

bool orr__file_is_sync(const struct orr__file *file)
{
    return (file->flags & ORR_OPEN_SYNC) != 0;
}

void orr__file_lose_sync(struct orr__file *file)
{
    file->loses_sync = true;
}

bool orr__file_is_direct(const struct orr__file *file)
{
    return (file->flags & ORR_OPEN_DIRECT) != 0;
}

uint64_t orr__file_step(const struct orr__file *file)
{
    return orr__file_is_direct(file) ? file->inode->disk->sector_bytes : ORR__PAGE;
}

uint64_t orr__file_number(const struct orr__file *file)
{
    return file->inode->number;
}

uint64_t orr__file_sync_mark(const struct orr__file *file)
{
    return file->disk->sequence;
}

/* What fdatasync leaves out, the times, is not lost here anyway. */
int orr__file_sync(struct orr__file *file, uint64_t mark)
{
    struct orr__inode *inode = file->inode;
    if (inode->is_directory) {
        orr__tree_sync(inode, mark);
        return 0;
    }
    uint64_t recorded = inode->recorded < mark ? inode->recorded : mark;
    for (const struct orr__change *change = inode->file.changes.head;
         change != NULL && change->sequence <= mark; change = change->next)
        if (change->size_after != change->size_before)
            recorded = mark; /* the size is recorded now, behind all that is older */
    orr__file_write_back(&inode->file, mark);
    orr__journal_sync(inode->disk, recorded);
    bool told = file->sync_errors == inode->file.sync_errors;
    file->sync_errors = inode->file.sync_errors;
    return told ? 0 : inode->file.sync_error;
}

/*
 * disk_file.c: the bytes of files: cache, unsynced changes, durable image; and what power loss
 * makes of them.
 *
 * Every write, truncate and extension goes to the cache and, with a copy of its bytes, to the end
 * of the file's list of changes. fsync applies the oldest ones to the durable image: an append and
 * its fsync cost what was appended, not the file. A write of the bytes that are there already is a
 * change like any other: that is how a program repairs what a failed fsync dropped.
 *
 * At power loss:
 *   - A sector is written whole. What can be on disk is the durable sector, or what the sector in
 *     the cache was after one of the changes that touched it. So each change survives whole, is
 *     lost, or is torn into sectors that do and sectors that do not; where several survive in a
 *     sector, the newest shows.
 *   - The size is the file system's own record: it is what it was after one of the changes (or in
 *     the middle of an extending write, at a sector), whatever became of the data. Where it covers
 *     lost data there are zeros. A truncate survives if it was made before that.
 *
 * So any subset of the changes, in any order, may be there, and nothing but old, new and zero
 * bytes.
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

void orr__file_body_clear(struct orr__file_body *file)
{
    while (file->changes.head != NULL)
        drop_first(&file->changes);
    orr__bytes_clear(&file->cache);
    orr__bytes_clear(&file->durable);
}

/* Makes the oldest change durable. */
static void write_back_first(struct orr__file_body *file)
{
    const struct orr__change *change = file->changes.head;
    orr__assert(change->size_before == file->durable.size);
    orr__bytes_write(&file->durable, change->data, change->length, change->offset);
    orr__bytes_resize(&file->durable, change->size_after);
    drop_first(&file->changes);
}

/* Makes the changes up to `mark` durable. */
static void write_back(struct orr__file_body *file, uint64_t mark)
{
    while (file->changes.head != NULL && file->changes.head->sequence <= mark)
        write_back_first(file);
}

/* As a system does by itself when much waits. */
static void bound_unsynced(struct orr__file_body *file)
{
    const struct orr__changes *changes = &file->changes;
    if (changes->count <= ORR__FILE_CHANGES_MAX && changes->bytes <= ORR__FILE_UNSYNCED_MAX)
        return;
    while (changes->count > ORR__FILE_CHANGES_MAX / 2 ||
           changes->bytes > ORR__FILE_UNSYNCED_MAX / 2)
        write_back_first(file);
}

/* Appends a change that has just been made to the cache; length 0 = only the size. */
static void push(struct orr__inode *inode, const void *data, uint32_t length, uint64_t offset,
                 uint64_t size_before)
{
    struct orr__changes *changes = &inode->file.changes;
    struct orr__change *change = orr__disk_memory(NULL, sizeof *change + length);
    *change = (struct orr__change){.sequence = ++inode->change_count,
                                   .offset = offset,
                                   .size_before = size_before,
                                   .size_after = inode->file.cache.size,
                                   .length = length};
    if (length > 0)
        memcpy(change->data, data, length);
    if (changes->tail != NULL)
        changes->tail->next = change;
    else
        changes->head = change;
    changes->tail = change;
    changes->count++;
    changes->bytes += length;
    bound_unsynced(&inode->file);
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
    inode->disk->used_pages -= pages_before - cache->count;
    push(inode, NULL, 0, 0, size_before);
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

/* O_DIRECT wants whole sectors. The buffer's address is not looked at: it must not decide. */
static bool misaligned(const struct orr__file *file, uint32_t length, uint64_t offset)
{
    return (file->flags & ORR_OPEN_DIRECT) != 0 &&
           (length % ORR__SECTOR != 0 || offset % ORR__SECTOR != 0);
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
    return orr__bytes_read(&file->inode->file.cache, buffer, length, offset);
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
    struct orr__bytes *cache = &inode->file.cache;
    uint64_t size_before = cache->size;
    uint64_t pages_before = cache->count;
    orr__bytes_write(cache, data, length, offset);
    inode->disk->used_pages += cache->count - pages_before;
    inode->modified_ns = orr__disk_wall_clock(inode->disk);
    push(inode, data, length, offset, size_before);
    /* A system syncs the range of this write only; here all that is older goes with it. */
    if ((file->flags & ORR_OPEN_SYNC) != 0)
        write_back(&inode->file, inode->change_count);
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

bool orr__file_is_direct(const struct orr__file *file)
{
    return (file->flags & ORR_OPEN_DIRECT) != 0;
}

uint64_t orr__file_sync_mark(const struct orr__file *file)
{
    if (file->inode->is_directory)
        return file->disk->name_change_sequence;
    return file->inode->change_count;
}

/* What fdatasync leaves out, the times, is not lost here anyway. */
void orr__file_sync(struct orr__file *file, uint64_t mark)
{
    if (file->inode->is_directory)
        orr__tree_sync(file->inode, mark);
    else
        write_back(&file->inode->file, mark);
}

/*
 * The data is lost, the sizes are not: they are in the file system's journal, not in the file's
 * pages, and go with the next fsync that succeeds. For the same reason a directory loses nothing:
 * its changes wait for another fsync.
 */
void orr__file_sync_failed(struct orr__file *file, uint64_t mark)
{
    if (file->inode->is_directory)
        return;
    struct orr__changes *changes = &file->inode->file.changes;
    struct orr__change **link = &changes->head;
    struct orr__change *last = NULL;
    while (*link != NULL && (*link)->sequence <= mark) {
        struct orr__change *change = *link;
        changes->bytes -= change->length;
        change->length = 0;
        if (change->size_before != change->size_after) {
            last = change;
            link = &change->next;
            continue;
        }
        *link = change->next;
        changes->count--;
        free(change);
    }
    if (*link == NULL)
        changes->tail = last;
    file->inode->file.cache_differs = true;
}

/* ---- power loss ------------------------------------------------------------------------------ */

/* What a draw is about: part of its key. */
enum purpose { MOOD, CUT, FATE, TEAR, TEAR_AT, TEAR_BITS, SIZE_MOOD, SIZE_CHANGE, SIZE_SECTOR };

static uint64_t choose(const struct orr__inode *inode, enum purpose purpose, uint64_t occurrence,
                       uint64_t bound)
{
    enum orr__site site = purpose < SIZE_MOOD ? ORR__SITE_DISK_SECTOR : ORR__SITE_DISK_SIZE;
    return orr__draw_below(inode->disk->node->world, site, orr__mix(inode->actor, purpose),
                           occurrence, bound);
}

/* The sectors that a change touches: how many, from offset / ORR__SECTOR on. */
static uint64_t sector_count(const struct orr__change *change)
{
    if (change->length == 0)
        return 0;
    return (change->offset + change->length - 1) / ORR__SECTOR - change->offset / ORR__SECTOR + 1;
}

static enum orr__fate choose_fate(const struct orr__inode *inode, const struct orr__change *change)
{
    uint64_t fates = sector_count(change) > 1 ? 3 : 2; /* one sector cannot be torn */
    return (enum orr__fate)choose(inode, FATE, change->sequence, fates);
}

/*
 * A fate for each change. If each were drawn by itself, many changes would never all be lost, or
 * all be there but for the last: so first it is drawn whether all are lost (1 in 8), all survive (1
 * in 8), the oldest ones survive (2 in 8), or each has its own fate.
 */
static void choose_fates(struct orr__inode *inode)
{
    const struct orr__changes *changes = &inode->file.changes;
    uint64_t mood = choose(inode, MOOD, inode->change_count, 8);
    uint64_t cut = choose(inode, CUT, inode->change_count, changes->count + 1);
    uint64_t number = 0;
    for (struct orr__change *change = changes->head; change != NULL;
         change = change->next, number++) {
        if (mood == 0)
            change->fate = ORR__FATE_LOST;
        else if (mood == 1 || (mood <= 3 && number < cut))
            change->fate = ORR__FATE_WHOLE;
        else if (mood > 3 || number == cut)
            change->fate = choose_fate(inode, change);
        else
            change->fate = ORR__FATE_LOST;
    }
}

/* The newest change that is in the size; NULL = none. Mostly it is the newest that survived. */
static const struct orr__change *choose_newest_size(const struct orr__inode *inode, uint64_t mood)
{
    const struct orr__changes *changes = &inode->file.changes;
    if (mood == 0)
        return changes->tail;
    uint64_t pick =
        mood == 1 ? choose(inode, SIZE_CHANGE, inode->change_count, changes->count + 1) : 0;
    const struct orr__change *newest = NULL;
    uint64_t number = 1;
    for (const struct orr__change *change = changes->head; change != NULL;
         change = change->next, number++)
        if (mood == 1 ? number <= pick : change->fate != ORR__FATE_LOST)
            newest = change;
    return newest;
}

/* A size on the way of an extending change: the end of one of its sectors but the last. */
static uint64_t choose_size_within(const struct orr__inode *inode, const struct orr__change *change)
{
    uint64_t low = change->size_before / ORR__SECTOR + 1;
    uint64_t high = change->size_after > 0 ? (change->size_after - 1) / ORR__SECTOR : 0;
    if (change->size_after <= change->size_before || high < low)
        return change->size_after;
    return ORR__SECTOR * (low + choose(inode, SIZE_SECTOR, change->sequence, high - low + 1));
}

/* Which sectors of a torn change survive: the first ones, or any. */
struct tear {
    const struct orr__inode *inode;
    uint64_t sequence;
    uint64_t first; /* that many survive; 0 = each by a bit of its own */
    uint64_t bits;
};

static struct tear choose_tear(const struct orr__inode *inode, const struct orr__change *change)
{
    struct tear tear = {.inode = inode, .sequence = change->sequence};
    if (change->fate == ORR__FATE_WHOLE)
        tear.first = UINT64_MAX;
    else if (choose(inode, TEAR, change->sequence, 2) == 0)
        tear.first = 1 + choose(inode, TEAR_AT, change->sequence, sector_count(change) - 1);
    return tear;
}

/* Asked for each sector of a change, in order. */
static bool sector_survives(struct tear *tear, uint64_t number)
{
    if (tear->first > 0)
        return number < tear->first;
    if (number % 64 == 0)
        tear->bits = orr__draw(tear->inode->disk->node->world, ORR__SITE_DISK_SECTOR,
                               orr__mix(orr__mix(tear->inode->actor, TEAR_BITS), tear->sequence),
                               number / 64);
    return (tear->bits >> number % 64 & 1) != 0;
}

/*
 * The cache as it was after each change, as far as needed: a page is copied from the durable image
 * when a change first touches it, and by then no surviving sector has changed that page there.
 * Bytes at or behind `floor` have been cut meanwhile: a page that comes later has zeros there.
 */
struct shadow {
    struct orr__bytes bytes;
    uint64_t floor;
};

static void shadow_load(struct shadow *shadow, const struct orr__bytes *durable, uint64_t index)
{
    if (orr__bytes_page(&shadow->bytes, index) != NULL)
        return;
    uint8_t *page = orr__bytes_page_make(&shadow->bytes, index);
    const uint8_t *from = orr__bytes_page(durable, index);
    uint64_t start = index * ORR__PAGE;
    if (from != NULL && start < shadow->floor)
        memcpy(page, from, shadow->floor - start < ORR__PAGE ? shadow->floor - start : ORR__PAGE);
}

static void shadow_apply(struct shadow *shadow, const struct orr__bytes *durable,
                         const struct orr__change *change)
{
    if (change->length > 0)
        for (uint64_t index = change->offset / ORR__PAGE;
             index <= (change->offset + change->length - 1) / ORR__PAGE; index++)
            shadow_load(shadow, durable, index);
    orr__bytes_write(&shadow->bytes, change->data, change->length, change->offset);
    orr__bytes_resize(&shadow->bytes, change->size_after);
    if (shadow->floor > change->size_after)
        shadow->floor = change->size_after;
}

/* Copies the sectors of a change that survive from the shadow to the durable image. */
static void keep_sectors(struct orr__inode *inode, const struct shadow *shadow,
                         const struct orr__change *change)
{
    struct tear tear = choose_tear(inode, change);
    uint64_t first = change->offset / ORR__SECTOR;
    uint64_t count = sector_count(change);
    for (uint64_t number = 0; number < count; number++) {
        uint64_t offset = (first + number) * ORR__SECTOR;
        if (!sector_survives(&tear, number))
            continue;
        const uint8_t *page = orr__bytes_page(&shadow->bytes, offset / ORR__PAGE);
        orr__bytes_write(&inode->file.durable, page + offset % ORR__PAGE, ORR__SECTOR, offset);
    }
}

/* Makes the durable image of the changes' fates, with that size, which has the cuts up to a
 * sequence in it. */
static void settle(struct orr__inode *inode, uint64_t size, uint64_t size_sequence)
{
    struct orr__bytes *durable = &inode->file.durable;
    struct shadow shadow = {.bytes = {.size = durable->size}, .floor = UINT64_MAX};
    for (struct orr__change *change = inode->file.changes.head; change != NULL;
         change = change->next) {
        shadow_apply(&shadow, durable, change);
        if (change->size_after < change->size_before && change->sequence <= size_sequence)
            orr__bytes_resize(durable, change->size_after);
        if (change->fate != ORR__FATE_LOST)
            keep_sectors(inode, &shadow, change);
    }
    orr__bytes_resize(durable, size);
    orr__bytes_clear(&shadow.bytes);
}

static void trace_loss(const struct orr__inode *inode, const char *name, uint64_t size,
                       uint64_t size_before)
{
    const struct orr_node *node = inode->disk->node;
    uint64_t fates[3] = {0};
    for (const struct orr__change *change = inode->file.changes.head; change != NULL;
         change = change->next)
        fates[change->fate]++;
    orr__story_line(node->world, node->name,
                    "disk: file \"%s\": unsynced changes: %" PRIu64 " kept, %" PRIu64
                    " torn, %" PRIu64 " lost; size %" PRIu64 ", was %" PRIu64,
                    name, fates[ORR__FATE_WHOLE], fates[ORR__FATE_TORN], fates[ORR__FATE_LOST],
                    size, size_before);
}

void orr__file_power_loss(struct orr__inode *inode, const char *name)
{
    struct orr__file_body *file = &inode->file;
    if (file->changes.count == 0 && !file->cache_differs)
        return;
    if (file->changes.count > 0) {
        choose_fates(inode);
        uint64_t mood = choose(inode, SIZE_MOOD, inode->change_count, 8);
        const struct orr__change *newest = choose_newest_size(inode, mood);
        uint64_t size = newest != NULL ? newest->size_after : file->durable.size;
        if (newest != NULL && mood == 2)
            size = choose_size_within(inode, newest);
        trace_loss(inode, name, size, file->cache.size);
        settle(inode, size, newest != NULL ? newest->sequence : 0);
    }
    while (file->changes.head != NULL)
        drop_first(&file->changes);
    orr__bytes_copy(&file->cache, &file->durable);
    file->cache_differs = false;
}

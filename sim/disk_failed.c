/*
 * disk_failed.c: what an fsync leaves that fails; and how reads come to see it.
 *
 * Linux marks the pages clean, whatever became of them: nobody writes them again. What the disk has
 * got is nothing, all (only the flush failed, or the journal), or some sectors: each of them as the
 * cache had it after one of the writes. That waits in the disk's own cache: it stays in the list
 * of changes, for the next sync or a power loss. The rest is lost. Reads still show it, until the
 * clean pages are given up and read from the disk again. A page that has been written to since is
 * dirty and stays.
 *
 * The sizes are not lost: they are in the file system's journal, not in the file's pages, and go
 * with the next fsync that succeeds. For the same reason a directory loses nothing: its changes
 * wait for another fsync.
 */
#include "disk.h"

#include <stdlib.h>
#include <string.h>

/* A sector of dirty pages. */
struct sector {
    uint64_t number;
    uint64_t touches; /* changes that wrote to it */
    uint64_t written; /* the oldest ones of them that the disk has got */
    uint64_t seen;    /* so far, while the changes are gone through */
};

struct sectors {
    struct sector *items; /* ascending */
    size_t count;
    uint64_t bytes; /* of each */
};

/* True if a sync has its bytes to write. */
static bool is_dirty(const struct orr__change *change)
{
    return change->length > 0 && !change->direct && !change->written;
}

bool orr__file_is_dirty(const struct orr__file *file, uint64_t mark)
{
    if (file->inode->is_directory)
        return false;
    const struct orr__change *change = file->inode->file.changes.head;
    while (change != NULL && change->sequence <= mark && !is_dirty(change))
        change = change->next;
    return change != NULL && change->sequence <= mark;
}

/* ---- what the disk has got ------------------------------------------------------------------- */

static int compare_sectors(const void *a, const void *b)
{
    const struct sector *left = a;
    const struct sector *right = b;
    return left->number < right->number ? -1 : left->number > right->number ? 1 : 0;
}

/* Of a sorted list: one item for each sector. */
static void merge(struct sectors *sectors)
{
    size_t kept = 0;
    for (size_t i = 0; i < sectors->count; i++) {
        if (kept == 0 || sectors->items[kept - 1].number != sectors->items[i].number)
            sectors->items[kept++] = sectors->items[i];
        else
            sectors->items[kept - 1].touches++;
    }
    sectors->count = kept;
}

static struct sectors dirty_sectors(const struct orr__inode *inode, uint64_t mark)
{
    const struct orr__changes *changes = &inode->file.changes;
    struct sectors sectors = {.bytes = inode->disk->sector_bytes};
    /* A change touches one sector more than it fills, or two. */
    size_t capacity = (size_t)(changes->bytes / sectors.bytes + 2 * changes->count);
    sectors.items = orr__disk_memory(NULL, (capacity + 1) * sizeof *sectors.items);
    for (const struct orr__change *change = changes->head;
         change != NULL && change->sequence <= mark; change = change->next) {
        if (!is_dirty(change))
            continue;
        uint64_t end = change->offset + change->length;
        for (uint64_t number = change->offset / sectors.bytes; number * sectors.bytes < end;
             number++) {
            orr__assert(sectors.count < capacity);
            sectors.items[sectors.count++] = (struct sector){.number = number, .touches = 1};
        }
    }
    if (sectors.count > 0)
        qsort(sectors.items, sectors.count, sizeof *sectors.items, compare_sectors);
    merge(&sectors);
    return sectors;
}

/* Pages are written by ascending offset: all, or those up to one, or, as they are in a queue, any;
 * and some may have been written earlier, when not every change was in them. */
static void choose_written(struct orr__inode *inode, struct sectors *sectors)
{
    enum { ALL, FIRST, EACH, MOODS };
    enum { MOOD = 0x5f, CUT, SECTOR }; /* no purpose of a power loss has these numbers */
    static const uint8_t weights[MOODS] = {2, 1, 1};
    struct orr_world *world = inode->disk->node->world;
    uint64_t failures = inode->file.sync_errors;
    uint64_t mood = orr__draw_weighted(world, ORR__SITE_DISK_SECTOR, orr__mix(inode->actor, MOOD),
                                       failures, weights, MOODS);
    uint64_t cut = mood == FIRST
                       ? orr__draw_below(world, ORR__SITE_DISK_SECTOR, orr__mix(inode->actor, CUT),
                                         failures, sectors->count) +
                             1
                       : sectors->count;
    uint64_t actor = orr__mix(orr__mix(inode->actor, SECTOR), failures);
    for (size_t i = 0; i < sectors->count; i++) {
        struct sector *sector = &sectors->items[i];
        sector->written = i < cut ? sector->touches : 0;
        if (mood == EACH)
            sector->written = orr__draw_below(world, ORR__SITE_DISK_SECTOR, actor, sector->number,
                                              sector->touches + 1);
    }
}

static struct sector *sector_at(const struct sectors *sectors, uint64_t offset)
{
    struct sector key = {.number = offset / sectors->bytes};
    struct sector *sector =
        bsearch(&key, sectors->items, sectors->count, sizeof key, compare_sectors);
    orr__assert(sector != NULL && sector->seen < sector->touches);
    return sector;
}

/* The next change that wrote to the sector: has the disk got it? */
static bool is_written(const struct sectors *sectors, uint64_t offset)
{
    const struct sector *sector = sector_at(sectors, offset);
    return sector->seen < sector->written;
}

/* ---- the changes ----------------------------------------------------------------------------- */

/* Where the part of a change ends, from `from` on, that is written, or is not. */
static uint64_t end_of_part(const struct sectors *sectors, const struct orr__change *change,
                            uint64_t from)
{
    uint64_t end = change->offset + change->length;
    uint64_t at = from;
    do
        at = (at / sectors->bytes + 1) * sectors->bytes;
    while (at < end && is_written(sectors, at) == is_written(sectors, from));
    return at < end ? at : end;
}

/* A part of a change, as one by itself: the size is recorded already. */
static void append_part(struct orr__inode *inode, const struct orr__change *change, uint64_t from,
                        uint64_t to)
{
    uint32_t length = (uint32_t)(to - from);
    struct orr__change *part = orr__disk_memory(NULL, sizeof *part + length);
    *part = (struct orr__change){.sequence = change->sequence,
                                 .number = ++inode->change_count,
                                 .offset = from,
                                 .landing = change->landing + (from - change->offset),
                                 .size_before = change->size_after,
                                 .size_after = change->size_after,
                                 .length = length,
                                 .direct = true};
    memcpy(part->data, change->data + (from - change->offset), length);
    orr__changes_append(&inode->file.changes, part);
}

/* The size, which is not lost, and the parts that are written. */
static void append_parts(struct orr__inode *inode, const struct sectors *sectors,
                         const struct orr__change *change)
{
    uint64_t end = change->offset + change->length;
    inode->file.cache_differs = true;
    if (change->size_before != change->size_after) {
        struct orr__change *size = orr__disk_memory(NULL, sizeof *size);
        *size = *change;
        size->length = 0;
        orr__changes_append(&inode->file.changes, size);
    }
    for (uint64_t at = change->offset; at < end;) {
        uint64_t next = end_of_part(sectors, change, at);
        if (is_written(sectors, at))
            append_part(inode, change, at, next);
        at = next;
    }
}

/* What stays of a change waits in the disk's cache from now on. */
static void settle(struct orr__inode *inode, const struct sectors *sectors,
                   struct orr__change *change)
{
    uint64_t begin = change->offset;
    uint64_t end = begin + change->length;
    bool is_whole = is_written(sectors, begin) && end_of_part(sectors, change, begin) == end;
    change->direct = true;
    if (is_whole)
        orr__changes_append(&inode->file.changes, change);
    else
        append_parts(inode, sectors, change);
    for (uint64_t at = begin / sectors->bytes * sectors->bytes; at < end; at += sectors->bytes)
        sector_at(sectors, at)->seen++;
    if (!is_whole)
        free(change);
}

void orr__file_sync_failed(struct orr__file *file, uint64_t mark, bool has_written, int error)
{
    struct orr__inode *inode = file->inode;
    if (inode->is_directory)
        return;
    struct orr__changes *changes = &inode->file.changes;
    struct sectors sectors = dirty_sectors(inode, mark);
    file->sync_errors = ++inode->file.sync_errors;
    inode->file.sync_error = error;
    if (has_written)
        choose_written(inode, &sectors);
    struct orr__change *next = changes->head;
    *changes = (struct orr__changes){0};
    while (next != NULL) {
        struct orr__change *change = next;
        next = change->next;
        if (change->sequence <= mark && is_dirty(change))
            settle(inode, &sectors, change);
        else
            orr__changes_append(changes, change);
    }
    free(sectors.items);
}

/* ---- clean pages that are given up ----------------------------------------------------------- */

bool orr__file_cache_differs(const struct orr__file *file)
{
    return !file->inode->is_directory && file->inode->file.cache_differs;
}

/* What is on the disk, or in the disk's cache. */
static void disk_image(const struct orr__file_body *file, struct orr__bytes *image)
{
    orr__bytes_copy(image, &file->durable);
    for (const struct orr__change *change = file->changes.head; change != NULL;
         change = change->next) {
        if (change->direct || change->written)
            orr__bytes_write(image, change->data, change->length, change->landing);
        orr__bytes_resize(image, change->size_after);
    }
}

/* Pages that are written to and not on the disk stay as they are. Returns how many. */
static uint64_t keep_dirty(const struct orr__file_body *file, struct orr__bytes *image)
{
    uint64_t kept = 0;
    for (const struct orr__change *change = file->changes.head; change != NULL;
         change = change->next) {
        if (!is_dirty(change))
            continue;
        uint64_t last = (change->offset + change->length - 1) / ORR__PAGE;
        for (uint64_t index = change->offset / ORR__PAGE; index <= last; index++) {
            const uint8_t *page = orr__bytes_page(&file->cache, index);
            if (page == NULL) /* cut since */
                continue;
            memcpy(orr__bytes_page_make(image, index), page, ORR__PAGE);
            kept++;
        }
    }
    return kept;
}

/* Space that is reserved stays so: no page of the cache goes. */
void orr__file_evict(struct orr__file *file)
{
    struct orr__file_body *body = &file->inode->file;
    struct orr__bytes image = {0};
    uint64_t pages_before = body->cache.count;
    disk_image(body, &image);
    orr__assert(image.size == body->cache.size);
    body->cache_differs = keep_dirty(body, &image) > 0;
    for (size_t i = 0; i < body->cache.count; i++)
        memset(body->cache.pages[i].bytes, 0, ORR__PAGE);
    for (size_t i = 0; i < image.count; i++)
        memcpy(orr__bytes_page_make(&body->cache, image.pages[i].index), image.pages[i].bytes,
               ORR__PAGE);
    file->disk->used_pages += body->cache.count - pages_before;
    orr__bytes_clear(&image);
}

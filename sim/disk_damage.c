/*
 * disk_damage.c: what a disk does to bytes that it once took: sectors that cannot be read any more,
 * bits that change, writes that end up elsewhere.
 *
 * Who calls decides when (disk_faults.c); here is what it means. Damage is a state of the disk, as
 * what a power loss leaves is: healing the world does not undo it, writing again does.
 *
 *   - A bad sector belongs to the file, at an offset. Reads end before it, or fail. Writing all of
 *     it makes it good (a disk has spare ones); writing a part fails, for the rest must be read.
 *   - A changed bit is changed in the durable image and in the cache: it is found by who reads.
 *   - A misdirected write is right in the cache. Its bytes reach the disk at another place of the
 *     file, or past its end, which means nowhere, or in another file, whose cache goes on to show
 *     what it has; where they should have gone the old ones stay.
 */
#include "disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first bad sector that touches the range, as its place in the list, or bad_count. */
static size_t find_bad(const struct orr__inode *inode, uint64_t offset, uint64_t length)
{
    const struct orr__file_body *file = &inode->file;
    uint64_t bytes = inode->disk->sector_bytes;
    size_t first = file->bad_count;
    for (size_t i = 0; i < file->bad_count; i++) {
        uint64_t start = file->bad[i] * bytes;
        if (start < offset + length && offset < start + bytes &&
            (first == file->bad_count || file->bad[i] < file->bad[first]))
            first = i;
    }
    return first;
}

int64_t orr__file_readable(const struct orr__inode *inode, uint64_t offset, uint32_t length)
{
    size_t bad = find_bad(inode, offset, length);
    if (bad == inode->file.bad_count)
        return length;
    uint64_t start = inode->file.bad[bad] * inode->disk->sector_bytes;
    return start > offset ? (int64_t)(start - offset) : -EIO;
}

static void forget_bad(struct orr__file_body *file, size_t at)
{
    file->bad[at] = file->bad[--file->bad_count];
}

int orr__file_write_over(struct orr__inode *inode, uint64_t offset, uint32_t length)
{
    uint64_t bytes = inode->disk->sector_bytes;
    struct orr__file_body *file = &inode->file;
    for (size_t i = 0; i < file->bad_count; i++) {
        uint64_t start = file->bad[i] * bytes;
        bool touched = start < offset + length && offset < start + bytes;
        if (touched && (start < offset || start + bytes > offset + length))
            return -EIO;
    }
    for (size_t i = file->bad_count; i > 0; i--) {
        uint64_t start = file->bad[i - 1] * bytes;
        if (start >= offset && start < offset + length)
            forget_bad(file, i - 1);
    }
    return 0;
}

void orr__file_cut_bad(struct orr__inode *inode, uint64_t size)
{
    struct orr__file_body *file = &inode->file;
    for (size_t i = file->bad_count; i > 0; i--)
        if (file->bad[i - 1] * inode->disk->sector_bytes >= size)
            forget_bad(file, i - 1);
}

uint64_t orr__file_bytes_at(const struct orr__file *file, uint64_t offset, uint32_t length)
{
    if (file->inode->is_directory || offset >= file->inode->file.cache.size)
        return 0;
    uint64_t left = file->inode->file.cache.size - offset;
    return left < length ? left : length;
}

void orr__file_spoil_sector(struct orr__file *file, uint64_t offset)
{
    struct orr__file_body *body = &file->inode->file;
    if (find_bad(file->inode, offset, 1) < body->bad_count)
        return;
    body->bad = orr__disk_memory(body->bad, (body->bad_count + 1) * sizeof *body->bad);
    body->bad[body->bad_count++] = offset / file->disk->sector_bytes;
}

static void flip(struct orr__bytes *bytes, uint64_t offset, uint32_t bit)
{
    uint8_t *page = orr__bytes_page(bytes, offset / ORR__PAGE);
    if (page != NULL && offset < bytes->size)
        page[offset % ORR__PAGE] ^= (uint8_t)(1u << bit);
}

void orr__file_flip_bit(struct orr__file *file, uint64_t offset, uint32_t bit)
{
    flip(&file->inode->file.cache, offset, bit);
    flip(&file->inode->file.durable, offset, bit);
}

uint64_t orr__file_sectors(const struct orr__file *file)
{
    if (file->inode->is_directory)
        return 0;
    uint64_t bytes = file->disk->sector_bytes;
    return (file->inode->file.cache.size + bytes - 1) / bytes;
}

void orr__file_misdirect(struct orr__file *file, uint64_t sector)
{
    file->misdirected = true;
    file->landing = sector;
}

static bool is_other(const struct orr__inode *inode, const struct orr__file *file)
{
    return inode != file->inode && !inode->is_directory && inode->file.durable.size > 0;
}

uint64_t orr__file_others(const struct orr__file *file)
{
    uint64_t count = 0;
    for (const struct orr__inode *inode = file->disk->first; inode != NULL; inode = inode->next)
        count += is_other(inode, file) ? 1 : 0;
    return count;
}

uint64_t orr__file_other(const struct orr__file *file, uint64_t nth)
{
    const struct orr__inode *inode = file->disk->first;
    while (!is_other(inode, file) || nth-- > 0)
        inode = inode->next;
    return inode->number;
}

void orr__file_misdirect_into(struct orr__file *file, uint64_t number)
{
    file->lands_in = number;
}

/* As much of a change as the sectors of the file have room for. */
static void overwrite(struct orr__inode *inode, uint64_t sector, const struct orr__change *change)
{
    uint64_t bytes = inode->disk->sector_bytes;
    uint64_t size = inode->file.durable.size;
    uint64_t at = sector % ((size + bytes - 1) / bytes) * bytes + change->offset % bytes;
    if (at >= size)
        return;
    uint64_t length = size - at < change->length ? size - at : change->length;
    orr__bytes_write(&inode->file.durable, change->data, (uint32_t)length, at);
    inode->file.cache_differs = true;
}

void orr__file_land(struct orr__file *file, struct orr__change *change)
{
    uint64_t bytes = file->disk->sector_bytes;
    file->inode->file.cache_differs = true;
    change->landing = file->landing * bytes + change->offset % bytes;
    if (file->lands_in == 0)
        return;
    change->landing = ORR__FILE_SIZE_MAX + change->offset % bytes; /* nowhere in its own */
    for (struct orr__inode *inode = file->disk->first; inode != NULL; inode = inode->next)
        if (inode->number == file->lands_in && is_other(inode, file))
            overwrite(inode, file->landing, change);
}

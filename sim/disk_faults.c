/*
 * disk_faults.c: which faults of a disk strike an operation on files.
 *
 * Each function decides by choice, enters the ledger, and does or tells what follows. What kernels
 * and disks do every day (errors, no space) can strike in any seed. What no program can survive on
 * one disk alone, or only by checksums, is left out of the swarm: a scenario asks for it by its
 * rate.
 */
#include "world.h"

#include <errno.h>
#include <inttypes.h>

#define WRITTEN_ONE_IN 2u    /* fsyncs that fail, and have written something */
#define EVICTED_ONE_IN 4u    /* reads of a file whose clean pages differ from the disk */
#define OVERWRITES_ONE_IN 2u /* misdirected writes */
#define LISTED_NAMES_MAX 3u  /* before a listing fails: a directory of a test has few */

/* Whether a family strikes that damages the disk for good: only so many nodes may be damaged. */
static bool damages(struct orr_node *node, const struct orr__point *point)
{
    struct orr_world *world = node->world;
    if (!node->is_damaged && world->damaged >= world->damaged_max)
        return false;
    if (!orr__strikes(world, point))
        return false;
    world->damaged += node->is_damaged ? 0 : 1;
    node->is_damaged = true;
    return true;
}

/* A second draw of an operation that has been struck. */
static uint64_t draw_below(struct orr_node *node, enum orr__site site, uint8_t op,
                           uint64_t occurrence, uint64_t bound)
{
    return orr__draw_below(node->world, site, ~orr__op_actor(node, op), occurrence, bound);
}

static bool is_one_of(uint8_t op, uint64_t operations)
{
    return (operations & ORR_OP_BIT(op)) != 0;
}

static int error_of(struct orr_node *node, enum orr__fault_kind kind, enum orr__site site,
                    const struct orr_completion *completion, int error, int rare)
{
    const struct orr__point point =
        orr__op_point(node, kind, site, completion->request.op, (uint64_t)completion->result);
    return orr__error_at(node->world, &point, error, rare);
}

/* What reads or writes bytes, or makes them durable. */
#define MOVES_BYTES                                                                  \
    (ORR_OP_BIT(ORR_OP_READ) | ORR_OP_BIT(ORR_OP_READV) | ORR_OP_BIT(ORR_OP_WRITE) | \
     ORR_OP_BIT(ORR_OP_WRITEV) | ORR_OP_BIT(ORR_OP_FSYNC) | ORR_OP_BIT(ORR_OP_FDATASYNC))
/* What reads directories and inodes, or changes them. */
#define CHANGES_TREE                                                                  \
    (ORR_OP_BIT(ORR_OP_OPEN) | ORR_OP_BIT(ORR_OP_STAT) | ORR_OP_BIT(ORR_OP_RENAME) |  \
     ORR_OP_BIT(ORR_OP_LINK) | ORR_OP_BIT(ORR_OP_UNLINK) | ORR_OP_BIT(ORR_OP_MKDIR) | \
     ORR_OP_BIT(ORR_OP_TRUNCATE) | ORR_OP_BIT(ORR_OP_ALLOCATE))
#define TAKES_SPACE                                                                       \
    (ORR_OP_BIT(ORR_OP_WRITE) | ORR_OP_BIT(ORR_OP_WRITEV) | ORR_OP_BIT(ORR_OP_ALLOCATE) | \
     ORR_OP_BIT(ORR_OP_MKDIR) | ORR_OP_BIT(ORR_OP_LINK) | ORR_OP_BIT(ORR_OP_RENAME))

/*
 * A file system fails with EIO when it cannot read a block of a directory, of an inode or of its
 * maps, or when its journal has been stopped, and finds that out before it changes what programs
 * see: a rename, unlink, link or mkdir has done nothing then, an open has made no file, a truncate
 * has cut nothing. (That a change was made and its journal failed is told to the fsync.) Nothing is
 * read for the stat of an open file: its inode is in memory.
 */
static bool looks_at_disk(const struct orr_completion *completion)
{
    bool of_open_file =
        completion->request.op == ORR_OP_STAT && completion->request.arguments.path.path == NULL;
    return is_one_of(completion->request.op, CHANGES_TREE) && !of_open_file;
}

/* An inode for what an open makes; a block for what is allocated only when it is written back. */
static bool takes_space(const struct orr_node *node, struct orr__file *file,
                        const struct orr_completion *completion, uint64_t mark)
{
    uint8_t op = completion->request.op;
    if (op == ORR_OP_FSYNC || op == ORR_OP_FDATASYNC)
        return orr__file_is_dirty(file, mark);
    if (op == ORR_OP_OPEN)
        return (completion->request.arguments.path.flags & ORR_OPEN_CREATE) != 0 &&
               orr__disk_lacks(node->disk, file, completion->request.arguments.path.path);
    return is_one_of(op, TAKES_SPACE);
}

int orr__disk_error(struct orr_node *node, struct orr__file *file,
                    const struct orr_completion *completion, uint64_t mark)
{
    uint8_t op = completion->request.op;
    int error = 0;
    int wanted = orr__plan_error(node, op, (uint64_t)completion->result);
    if (wanted != 0)
        return wanted;
    if (is_one_of(op, MOVES_BYTES))
        error = error_of(node, ORR__FAULT_ERROR, ORR__SITE_OP_ERROR, completion, EIO, EIO);
    if (looks_at_disk(completion))
        error = error_of(node, ORR__FAULT_ERROR, ORR__SITE_TREE_ERROR, completion, EIO, EIO);
    if (error == 0 && takes_space(node, file, completion, mark))
        error = error_of(node, ORR__FAULT_FULL, ORR__SITE_OP_FULL, completion, ENOSPC, EDQUOT);
    if (error == 0 && op == ORR_OP_OPEN)
        error = error_of(node, ORR__FAULT_HANDLES, ORR__SITE_HANDLES, completion, EMFILE, ENFILE);
    return error;
}

/* Names come in blocks, one of which cannot be read. */
bool orr__listing_fails(struct orr_node *node, uint64_t *ret_names)
{
    struct orr_world *world = node->world;
    const struct orr__point point = orr__node_point(node, ORR__FAULT_LISTS, ORR__SITE_LIST_ERROR,
                                                    "directory_list", node->list_count++);
    if (!orr__strikes(world, &point))
        return false;
    uint64_t drawn = orr__draw_below(world, ORR__SITE_LIST_ERROR, ~node->id, point.occurrence,
                                     LISTED_NAMES_MAX + 1);
    *ret_names = orr__extent(world, &point, drawn, 0, UINT32_MAX);
    orr__fault(world, &point, *ret_names, "EIO after at most %" PRIu64 " name%s", *ret_names,
               ORR__S(*ret_names));
    return true;
}

/* That a sync has failed does not say that nothing was written: the first sectors may have been, or
 * all, if only the flush failed or the journal. */
void orr__sync_fails(struct orr_node *node, struct orr__file *file,
                     const struct orr_completion *completion, uint64_t mark, int error)
{
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_WRITTEN, ORR__SITE_DISK_SECTOR, completion->request.op,
                      (uint64_t)completion->result);
    bool has_written =
        orr__file_is_dirty(file, mark) && orr__follows(node->world, &point, WRITTEN_ONE_IN);
    if (has_written)
        orr__fault(node->world, &point, 0, "has written some of it all the same");
    orr__file_sync_failed(file, mark, has_written, error);
}

bool orr__sync_is_lost(struct orr_node *node, const struct orr__file *file, uint8_t op,
                       uint64_t occurrence)
{
    if (node->disk_options.is_lying)
        return true;
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_LOST_SYNC, ORR__SITE_LOST_SYNC, op, occurrence);
    if (!damages(node, &point) ||
        !orr__copy_may_be_damaged(node, orr__file_number(file), 0, UINT64_MAX))
        return false;
    orr__fault(node->world, &point, 0, "is acknowledged, and nothing is durable");
    return true;
}

bool orr__operation_sticks(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_STUCK, ORR__SITE_STUCK, op, occurrence);
    if (!orr__strikes(node->world, &point))
        return false;
    orr__fault(node->world, &point, 0, "never returns");
    return true;
}

static void spoil_sector(struct orr_node *node, struct orr__file *file, uint8_t op,
                         uint64_t occurrence, uint64_t offset, uint64_t bytes)
{
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_BAD_SECTOR, ORR__SITE_BAD_SECTOR, op, occurrence);
    if (!damages(node, &point))
        return;
    uint64_t drawn = offset + draw_below(node, ORR__SITE_BAD_SECTOR, op, occurrence, bytes);
    uint64_t at = orr__extent(node->world, &point, drawn, offset, offset + bytes - 1);
    if (!orr__copy_may_be_damaged(node, orr__file_number(file), at, 1))
        return;
    orr__file_spoil_sector(file, at);
    orr__fault(node->world, &point, at, "the sector at %" PRIu64 " cannot be read any more", at);
}

static void rot(struct orr_node *node, struct orr__file *file, uint8_t op, uint64_t occurrence,
                uint64_t offset, uint64_t bytes)
{
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_BIT_ROT, ORR__SITE_BIT_ROT, op, occurrence);
    if (!damages(node, &point))
        return;
    uint64_t drawn = draw_below(node, ORR__SITE_BIT_ROT, op, occurrence, bytes * 8);
    uint64_t bit = orr__extent(node->world, &point, drawn, 0, bytes * 8 - 1);
    if (!orr__copy_may_be_damaged(node, orr__file_number(file), offset + bit / 8, 1))
        return;
    orr__file_flip_bit(file, offset + bit / 8, bit % 8);
    orr__fault(node->world, &point, bit, "bit %" PRIu64 " of the byte at %" PRIu64 " has changed",
               bit % 8, offset + bit / 8);
}

void orr__spoil_read(struct orr_node *node, struct orr__file *file, uint8_t op, uint64_t occurrence,
                     uint64_t offset, uint32_t length)
{
    uint64_t bytes = orr__file_bytes_at(file, offset, length);
    if (bytes == 0)
        return;
    spoil_sector(node, file, op, occurrence, offset, bytes);
    rot(node, file, op, occurrence, offset, bytes);
}

/* A clean page may be given up at any time. Reads past the cache never see one. */
void orr__evict_read(struct orr_node *node, struct orr__file *file, uint8_t op, uint64_t occurrence)
{
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_EVICTED, ORR__SITE_DISK_SECTOR, op, occurrence);
    if (!orr__file_cache_differs(file))
        return;
    if (!orr__file_is_direct(file)) {
        if (!orr__follows(node->world, &point, EVICTED_ONE_IN))
            return;
        orr__fault(node->world, &point, 0, "finds in the cache what the disk has, and no more");
    }
    orr__file_evict(file);
}

/* Where a misdirected write goes may belong to another file. */
static void hit_another_file(struct orr_node *node, struct orr__file *file, uint8_t op,
                             uint64_t occurrence, uint64_t sector, uint32_t length)
{
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_OVERWRITES, ORR__SITE_DISK_SECTOR, op, occurrence);
    uint64_t others = orr__file_others(file);
    if (others == 0 || !orr__follows(node->world, &point, OVERWRITES_ONE_IN))
        return;
    uint64_t drawn =
        orr__file_other(file, draw_below(node, ORR__SITE_DISK_SECTOR, op, occurrence, others));
    uint64_t number = orr__extent(node->world, &point, drawn, 1, UINT64_MAX);
    uint64_t bytes = node->disk_options.sector_bytes;
    if (!orr__copy_may_be_damaged(node, number, sector * bytes, length))
        return;
    orr__file_misdirect_into(file, number);
    orr__fault(node->world, &point, number, "the file is another one: inode %" PRIu64, number);
}

void orr__spoil_write(struct orr_node *node, struct orr__file *file, uint8_t op,
                      uint64_t occurrence, uint64_t offset, uint32_t length)
{
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_MISDIRECTED, ORR__SITE_MISDIRECTED, op, occurrence);
    uint64_t sectors = orr__file_sectors(file);
    uint64_t sector_bytes = node->disk_options.sector_bytes;
    if (length == 0 || !damages(node, &point))
        return;
    uint64_t drawn = draw_below(node, ORR__SITE_MISDIRECTED, op, occurrence, sectors + 1);
    uint64_t sector = orr__extent(node->world, &point, drawn, 0, sectors);
    if (!orr__copy_may_be_damaged(node, orr__file_number(file), offset, length) ||
        !orr__copy_may_be_damaged(node, orr__file_number(file), sector * sector_bytes, length))
        return;
    orr__file_misdirect(file, sector);
    orr__fault(node->world, &point, sector, "goes to sector %" PRIu64 " of the file", sector);
    hit_another_file(node, file, op, occurrence, sector, length);
}

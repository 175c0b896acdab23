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
#include <limits.h>

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

/* -error, or another one that a replay file names; 0 if nothing strikes. One in four is `rare`. */
static int error_of(struct orr_node *node, const struct orr__point *point, uint8_t op, int error,
                    int rare)
{
    struct orr_world *world = node->world;
    if (!orr__strikes(world, point))
        return 0;
    bool is_rare = rare != error && draw_below(node, point->site, op, point->occurrence, 4) == 0;
    uint64_t drawn = (uint64_t)(is_rare ? rare : error);
    int chosen = (int)orr__extent(world, point, drawn, 1, INT_MAX);
    orr__fault(world, point, (uint64_t)chosen, "%s", orr_error_name(chosen));
    return -chosen;
}

int orr__disk_error(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    const uint64_t can_fail = ORR_OP_BIT(ORR_OP_READ) | ORR_OP_BIT(ORR_OP_READV) |
                              ORR_OP_BIT(ORR_OP_WRITE) | ORR_OP_BIT(ORR_OP_WRITEV) |
                              ORR_OP_BIT(ORR_OP_FSYNC) | ORR_OP_BIT(ORR_OP_FDATASYNC);
    const uint64_t takes_space = ORR_OP_BIT(ORR_OP_WRITE) | ORR_OP_BIT(ORR_OP_WRITEV) |
                                 ORR_OP_BIT(ORR_OP_ALLOCATE) | ORR_OP_BIT(ORR_OP_MKDIR) |
                                 ORR_OP_BIT(ORR_OP_LINK);
    int wanted = orr__plan_error(node, op, occurrence);
    if (wanted != 0)
        return wanted;
    if (is_one_of(op, can_fail)) {
        const struct orr__point point =
            orr__op_point(node, ORR__FAULT_ERROR, ORR__SITE_OP_ERROR, op, occurrence);
        int error = error_of(node, &point, op, EIO, EIO);
        if (error != 0)
            return error;
    }
    if (is_one_of(op, takes_space)) {
        const struct orr__point point =
            orr__op_point(node, ORR__FAULT_FULL, ORR__SITE_OP_FULL, op, occurrence);
        return error_of(node, &point, op, ENOSPC, EDQUOT);
    }
    if (op != ORR_OP_OPEN)
        return 0;
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_HANDLES, ORR__SITE_HANDLES, op, occurrence);
    return error_of(node, &point, op, EMFILE, ENFILE);
}

bool orr__sync_is_lost(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    if (node->disk_options.is_lying)
        return true;
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_LOST_SYNC, ORR__SITE_LOST_SYNC, op, occurrence);
    if (!damages(node, &point))
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

void orr__spoil_write(struct orr_node *node, struct orr__file *file, uint8_t op,
                      uint64_t occurrence)
{
    const struct orr__point point =
        orr__op_point(node, ORR__FAULT_MISDIRECTED, ORR__SITE_MISDIRECTED, op, occurrence);
    uint64_t sectors = orr__file_sectors(file);
    if (!damages(node, &point))
        return;
    uint64_t drawn = draw_below(node, ORR__SITE_MISDIRECTED, op, occurrence, sectors + 1);
    uint64_t sector = orr__extent(node->world, &point, drawn, 0, sectors);
    orr__file_misdirect(file, sector);
    orr__fault(node->world, &point, sector, "goes to sector %" PRIu64 " of the file", sector);
}

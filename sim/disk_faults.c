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

static bool strikes(struct orr_node *node, enum orr_fault_family family, enum orr__site site,
                    uint8_t op, uint64_t occurrence)
{
    return orr__strikes(node->world, family, site, orr__op_actor(node, op), occurrence);
}

/* The same of a family that damages the disk for good: only so many nodes may be damaged. */
static bool damages(struct orr_node *node, enum orr_fault_family family, enum orr__site site,
                    uint8_t op, uint64_t occurrence)
{
    struct orr_world *world = node->world;
    if (!node->is_damaged && world->damaged >= world->damaged_max)
        return false;
    if (!strikes(node, family, site, op, occurrence))
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

static int enter(struct orr_node *node, enum orr_fault_family family, uint8_t op,
                 uint64_t occurrence, int error)
{
    orr__fault(node->world, family, orr__op_subject(node, op), occurrence, "%s",
               orr_error_name(error));
    return -error;
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
    if (is_one_of(op, can_fail) &&
        strikes(node, ORR_FAMILY_DISK_ERROR, ORR__SITE_OP_ERROR, op, occurrence))
        return enter(node, ORR_FAMILY_DISK_ERROR, op, occurrence, EIO);
    if (is_one_of(op, takes_space) &&
        strikes(node, ORR_FAMILY_DISK_FULL, ORR__SITE_OP_FULL, op, occurrence))
        return enter(node, ORR_FAMILY_DISK_FULL, op, occurrence,
                     draw_below(node, ORR__SITE_OP_FULL, op, occurrence, 4) == 0 ? EDQUOT : ENOSPC);
    if (op == ORR_OP_OPEN && strikes(node, ORR_FAMILY_HANDLES, ORR__SITE_HANDLES, op, occurrence))
        return enter(node, ORR_FAMILY_HANDLES, op, occurrence,
                     draw_below(node, ORR__SITE_HANDLES, op, occurrence, 4) == 0 ? ENFILE : EMFILE);
    return 0;
}

bool orr__sync_is_lost(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    if (node->disk_options.is_lying)
        return true;
    if (!damages(node, ORR_FAMILY_LOST_SYNC, ORR__SITE_LOST_SYNC, op, occurrence))
        return false;
    orr__fault(node->world, ORR_FAMILY_LOST_SYNC, orr__op_subject(node, op), occurrence,
               "is acknowledged, and nothing is durable");
    return true;
}

bool orr__operation_sticks(struct orr_node *node, uint8_t op, uint64_t occurrence)
{
    if (!strikes(node, ORR_FAMILY_STUCK, ORR__SITE_STUCK, op, occurrence))
        return false;
    orr__fault(node->world, ORR_FAMILY_STUCK, orr__op_subject(node, op), occurrence,
               "never returns");
    return true;
}

void orr__spoil_read(struct orr_node *node, struct orr__file *file, uint8_t op, uint64_t occurrence,
                     uint64_t offset, uint32_t length)
{
    uint64_t bytes = orr__file_bytes_at(file, offset, length);
    if (bytes > 0 && damages(node, ORR_FAMILY_BAD_SECTOR, ORR__SITE_BAD_SECTOR, op, occurrence)) {
        uint64_t at = offset + draw_below(node, ORR__SITE_BAD_SECTOR, op, occurrence, bytes);
        orr__file_spoil_sector(file, at);
        orr__fault(node->world, ORR_FAMILY_BAD_SECTOR, orr__op_subject(node, op), occurrence,
                   "the sector at %" PRIu64 " cannot be read any more", at);
    }
    if (bytes > 0 && damages(node, ORR_FAMILY_BIT_ROT, ORR__SITE_BIT_ROT, op, occurrence)) {
        uint64_t bit = draw_below(node, ORR__SITE_BIT_ROT, op, occurrence, bytes * 8);
        orr__file_flip_bit(file, offset + bit / 8, bit % 8);
        orr__fault(node->world, ORR_FAMILY_BIT_ROT, orr__op_subject(node, op), occurrence,
                   "bit %" PRIu64 " of the byte at %" PRIu64 " has changed", bit % 8,
                   offset + bit / 8);
    }
}

void orr__spoil_write(struct orr_node *node, struct orr__file *file, uint8_t op,
                      uint64_t occurrence)
{
    uint64_t sectors = orr__file_sectors(file);
    if (!damages(node, ORR_FAMILY_MISDIRECTED, ORR__SITE_MISDIRECTED, op, occurrence))
        return;
    uint64_t sector = draw_below(node, ORR__SITE_MISDIRECTED, op, occurrence, sectors + 1);
    orr__file_misdirect(file, sector);
    orr__fault(node->world, ORR_FAMILY_MISDIRECTED, orr__op_subject(node, op), occurrence,
               "goes to sector %" PRIu64 " of the file", sector);
}

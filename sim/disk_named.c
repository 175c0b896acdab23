/*
 * disk_named.c: what a replay file names of what power loss leaves.
 *
 *     server/crash#7 = power-loss only         nothing is lost but
 *     server/write#17 = lost                   what this write wrote
 *     server/rename#2 = lost                   this name
 *     server/write#18 = torn 3                 all but its first 3 sectors, and its size
 *     server/write#19 = torn 0                 its bytes, and the file has its size all the same
 *
 * A change of a file or a name knows the operation that made it. Where the seed decides, what is
 * lost is told to the ledger as comments; with `only`, as lines that let the run come back.
 *
 * Whatever is named, the rules of the file system hold: what the journal keeps in order goes
 * together, and a size covers what is behind it. So a file can ask for no state that the choices
 * of a seed could not leave.
 */
#include "disk.h"

#include "replay_file.h"
#include "world.h"

void orr__disk_begin(struct orr__disk *disk, uint8_t op, uint64_t occurrence)
{
    disk->origin = (struct orr__origin){.op = op, .occurrence = occurrence};
}

void orr__disk_end(struct orr__disk *disk)
{
    disk->origin = (struct orr__origin){.op = 0};
}

void orr__disk_name_losses(struct orr__disk *disk, bool is_named)
{
    disk->loss_is_named = is_named;
}

static struct orr__point point_of(const struct orr__disk *disk, enum orr__fault_kind kind,
                                  struct orr__origin origin)
{
    return orr__op_point(disk->node, kind, ORR__SITE_DISK_SECTOR, origin.op, origin.occurrence);
}

static const struct orr__ruling *find(const struct orr__disk *disk, enum orr__fault_kind kind,
                                      struct orr__origin origin)
{
    struct orr_world *world = disk->node->world;
    const struct orr__point point = point_of(disk, kind, origin);
    if (world->rulings == NULL || origin.op == 0)
        return NULL;
    const struct orr__ruling *ruling = orr__rulings_find(world->rulings, &point);
    return ruling != NULL && !ruling->keeps_off ? ruling : NULL;
}

bool orr__loss_is_lost(const struct orr__disk *disk, struct orr__origin origin)
{
    return find(disk, ORR__FAULT_LOST, origin) != NULL;
}

bool orr__loss_is_torn(const struct orr__disk *disk, struct orr__origin origin,
                       uint64_t *ret_sectors)
{
    const struct orr__ruling *ruling = find(disk, ORR__FAULT_TORN, origin);
    if (ruling == NULL)
        return false;
    *ret_sectors = ruling->has_size ? ruling->size : 1;
    return true;
}

void orr__loss_tell(const struct orr__disk *disk, struct orr__origin origin,
                    enum orr__fault_kind kind, uint64_t sectors)
{
    const struct orr__point point = point_of(disk, kind, origin);
    orr__assert(kind == ORR__FAULT_TORN || kind == ORR__FAULT_LOST);
    if (origin.op != 0)
        orr__ledger_loss(disk->node->world, &point, sectors, disk->loss_is_named);
}

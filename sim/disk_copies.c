/*
 * disk_copies.c: how many copies of a datum chance may damage.
 *
 * Replicas that keep the same bytes at the same places can each lose some of them, as long as one
 * whole copy of each is left: sector 1 here, sector 2 there. So a scenario can bound the nodes
 * whose file of the same path is damaged in the same sectors (orr_world_limit_copies). The model: a
 * list of what has been damaged, kept while the node keeps its disk. A name that is new, and a file
 * that has none any more, are data of their own.
 */
#include "disk.h"
#include "world.h"

#include <stdlib.h>

/* A part of a file that chance has damaged. */
struct orr__damage {
    struct orr__damage *next;
    const struct orr_node *node;
    uint64_t path; /* mixed into a number */
    uint64_t from; /* sectors */
    uint64_t to;
};

/* Looks for the inode with that number below a directory; mixes the names on the way to it into
 * `*path`. */
static bool find_path(const struct orr__inode *directory, uint64_t number, uint64_t *path)
{
    const struct orr__names *names = &directory->directory.names;
    uint64_t above = *path;
    for (size_t i = 0; i < names->count; i++) {
        const struct orr__inode *child = names->items[i].inode;
        *path = orr__mix(above, orr__actor_id(names->items[i].text));
        if (child->number == number || (child->is_directory && find_path(child, number, path)))
            return true;
    }
    return false;
}

static uint64_t path_of(const struct orr_node *node, uint64_t number)
{
    uint64_t path = 0;
    if (number == node->disk->root->number || find_path(node->disk->root, number, &path))
        return path;
    return orr__mix(node->id, number); /* of this node alone */
}

static bool has(const struct orr_world *world, const struct orr_node *node,
                const struct orr__damage *wanted)
{
    const struct orr__damage *damage = world->damages;
    while (damage != NULL && (damage->node != node || damage->path != wanted->path ||
                              damage->from >= wanted->to || damage->to <= wanted->from))
        damage = damage->next;
    return damage != NULL;
}

bool orr__copy_may_be_damaged(struct orr_node *node, uint64_t number, uint64_t offset,
                              uint64_t bytes)
{
    struct orr_world *world = node->world;
    uint64_t sector_bytes = node->disk->sector_bytes;
    uint32_t others = 0;
    if (world->copies_max == UINT32_MAX)
        return true;
    orr__assert(bytes > 0);
    struct orr__damage *damage = orr__disk_memory(NULL, sizeof *damage);
    *damage = (struct orr__damage){.next = world->damages,
                                   .node = node,
                                   .path = path_of(node, number),
                                   .from = offset / sector_bytes,
                                   .to = (offset + bytes - 1) / sector_bytes + 1};
    for (const struct orr_node *other = world->nodes; other != NULL; other = other->next)
        others += other != node && has(world, other, damage) ? 1 : 0;
    if (others >= world->copies_max) {
        free(damage);
        return false;
    }
    world->damages = damage;
    return true;
}

void orr__copies_forget(struct orr_world *world, const struct orr_node *node)
{
    struct orr__damage **at = &world->damages;
    while (*at != NULL) {
        struct orr__damage *damage = *at;
        if (node != NULL && damage->node != node) {
            at = &damage->next;
            continue;
        }
        *at = damage->next;
        free(damage);
    }
}

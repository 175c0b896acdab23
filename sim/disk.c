/*
 * disk.c: the calls on paths: what Linux answers, in the order in which Linux looks.
 *
 * A path is walked to the directory of its last component, which is then looked up, made, renamed
 * or removed there. The order of the checks is the kernel's: a program that sees ENOTDIR here sees
 * it there. There are no symbolic links, no permissions and no mount points; ".." of
 * the root is the root, and an absolute path starts there.
 */
#include "disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORY_SIZE 4096u
#define SOCKET_MODE 0755u /* 0777 without what a usual umask takes */

int64_t orr__disk_wall_clock(const struct orr__disk *disk)
{
    return (int64_t)orr__node_clock(disk->node, ORR_CLOCK_WALL);
}

void orr__disk_set_capacity(struct orr__disk *disk, uint64_t bytes)
{
    disk->capacity_pages = bytes / ORR__PAGE;
}

/* ---- paths ----------------------------------------------------------------------------------- */

enum last { LAST_ROOT, LAST_DOT, LAST_DOTDOT, LAST_NAME };

/* Where a path leads: the directory, and the last component in it. */
struct place {
    struct orr__inode *directory;
    enum last last;
    bool slash;    /* the path ends with one: it must be a directory */
    bool too_long; /* the name: no directory can hold it */
    char name[ORR__NAME_MAX + 1];
};

/* What the place holds: 0, or -ENOENT, -ENAMETOOLONG. */
static int find(const struct place *place, struct orr__inode **ret_inode)
{
    struct orr__inode *inode = place->directory;
    if (place->last == LAST_DOTDOT)
        inode = place->directory->directory.parent;
    if (place->last == LAST_NAME) {
        if (place->directory->name_count == 0)
            return -ENOENT;
        if (place->too_long)
            return -ENAMETOOLONG;
        inode = orr__names_find(&place->directory->directory.names, place->name);
    }
    if (inode == NULL)
        return -ENOENT;
    *ret_inode = inode;
    return 0;
}

static void set_last(struct place *place, const char *component, size_t length)
{
    place->too_long = length > ORR__NAME_MAX;
    if (!place->too_long) {
        memcpy(place->name, component, length);
        place->name[length] = '\0';
    }
    if (length == 1 && component[0] == '.')
        place->last = LAST_DOT;
    else if (length == 2 && component[0] == '.' && component[1] == '.')
        place->last = LAST_DOTDOT;
    else
        place->last = LAST_NAME;
}

/* Makes what the place holds its directory. */
static int enter(struct place *place)
{
    struct orr__inode *inode;
    int error = find(place, &inode);
    if (error != 0)
        return error;
    if (!inode->is_directory)
        return -ENOTDIR;
    place->directory = inode;
    return 0;
}

static int walk(struct orr__disk *disk, const struct orr__file *base, const char *path,
                struct place *ret_place)
{
    struct place place = {.directory = base != NULL ? base->inode : disk->root};
    if (path[0] == '\0')
        return -ENOENT;
    if (strlen(path) > ORR__PATH_MAX)
        return -ENAMETOOLONG;
    if (path[0] == '/')
        place.directory = disk->root;
    if (!place.directory->is_directory)
        return -ENOTDIR;
    const char *at = path + strspn(path, "/");
    while (*at != '\0') {
        int error = enter(&place);
        if (error != 0)
            return error;
        size_t component = strcspn(at, "/");
        set_last(&place, at, component);
        at += component;
        place.slash = *at == '/';
        at += strspn(at, "/");
    }
    *ret_place = place;
    return 0;
}

/* True if the directory lies in the other one, at any depth, or is it. */
static bool is_inside(const struct orr__inode *directory, const struct orr__inode *other)
{
    const struct orr__inode *root = directory->disk->root;
    while (directory != other && directory != root)
        directory = directory->directory.parent;
    return directory == other;
}

/* ---- open and stat --------------------------------------------------------------------------- */

/* May something that exists be opened like that? */
static int check_open(const struct orr__inode *inode, uint32_t flags, bool slash)
{
    if ((flags & ORR_OPEN_CREATE) != 0 && (flags & ORR_OPEN_EXCLUSIVE) != 0)
        return -EEXIST;
    if (!inode->is_directory)
        return slash || (flags & ORR_OPEN_DIRECTORY) != 0 ? -ENOTDIR
               : inode->is_socket                         ? -ENXIO
                                                          : 0;
    if ((flags & (ORR_OPEN_CREATE | ORR_OPEN_WRITE | ORR_OPEN_TRUNCATE)) != 0)
        return -EISDIR;
    return (flags & ORR_OPEN_DIRECT) != 0 ? -EINVAL : 0;
}

/* Finds or makes what shall be opened. */
static int open_inode(struct orr__disk *disk, const struct place *place, uint32_t flags,
                      uint32_t mode, struct orr__inode **ret_inode)
{
    struct orr__inode *inode;
    bool create = (flags & ORR_OPEN_CREATE) != 0;
    if (create && place->last == LAST_NAME && place->slash)
        return -EISDIR;
    int error = find(place, &inode);
    if (error == -ENOENT && create && place->directory->name_count > 0) {
        if (orr__disk_is_full(disk) && !disk->rules.has_inodes)
            return -ENOSPC;
        *ret_inode = orr__inode_create(disk, false, mode);
        orr__tree_add(place->directory, place->name, *ret_inode);
        return 0;
    }
    if (error == 0)
        error = check_open(inode, flags, place->slash);
    if (error != 0)
        return error;
    if ((flags & ORR_OPEN_TRUNCATE) != 0)
        orr__file_resize(inode, 0);
    *ret_inode = inode;
    return 0;
}

int orr__disk_open(struct orr__disk *disk, struct orr__file *base, const char *path, uint32_t flags,
                   uint32_t mode, struct orr__file **ret_file)
{
    if ((flags & ORR_OPEN_CREATE) != 0 && (flags & ORR_OPEN_DIRECTORY) != 0)
        return -EINVAL;
    struct place place;
    struct orr__inode *inode;
    int error = walk(disk, base, path, &place);
    if (error != 0)
        return error;
    error = open_inode(disk, &place, flags, mode, &inode);
    if (error != 0)
        return error;
    struct orr__file *file = orr__disk_memory(NULL, sizeof *file);
    if ((flags & ORR_OPEN_WRITE) == 0)
        flags |= ORR_OPEN_READ;
    *file = (struct orr__file){.disk = disk, .inode = inode, .flags = flags};
    if (!inode->is_directory)
        file->sync_errors = inode->file.sync_errors;
    orr__inode_hold(inode);
    inode->open_count++;
    *ret_file = file;
    return 0;
}

bool orr__disk_lacks(struct orr__disk *disk, struct orr__file *base, const char *path)
{
    struct place place;
    struct orr__inode *inode;
    return walk(disk, base, path, &place) == 0 && find(&place, &inode) == -ENOENT &&
           place.directory->name_count > 0;
}

static uint32_t links(const struct orr__inode *inode)
{
    if (!inode->is_directory || inode->name_count == 0)
        return inode->name_count;
    return 2 + inode->directory.subdirectories;
}

static uint32_t type_of(const struct orr__inode *inode)
{
    if (inode->is_socket)
        return ORR_FILE_OTHER;
    return inode->is_directory ? ORR_FILE_DIRECTORY : ORR_FILE_REGULAR;
}

static void fill_stat(const struct orr__inode *inode, struct orr_stat *ret_stat)
{
    ret_stat->size = inode->is_directory ? DIRECTORY_SIZE : inode->file.cache.size;
    ret_stat->modified_ns = inode->modified_ns;
    ret_stat->inode = inode->number;
    ret_stat->links = links(inode);
    ret_stat->mode = inode->mode;
    ret_stat->type = type_of(inode);
    ret_stat->reserved = 0;
}

int orr__file_stat(struct orr__file *file, struct orr_stat *ret_stat)
{
    fill_stat(file->inode, ret_stat);
    return 0;
}

int orr__disk_stat(struct orr__disk *disk, struct orr__file *base, const char *path,
                   struct orr_stat *ret_stat)
{
    struct place place;
    struct orr__inode *inode;
    int error = walk(disk, base, path, &place);
    if (error != 0)
        return error;
    error = find(&place, &inode);
    if (error != 0)
        return error;
    if (place.slash && !inode->is_directory)
        return -ENOTDIR;
    fill_stat(inode, ret_stat);
    return 0;
}

/* ---- making directories ---------------------------------------------------------------------- */

int orr__disk_mkdir(struct orr__disk *disk, struct orr__file *base, const char *path, uint32_t mode)
{
    struct place place;
    struct orr__inode *inode;
    int error = walk(disk, base, path, &place);
    if (error != 0)
        return error;
    error = find(&place, &inode);
    if (error == 0)
        return -EEXIST;
    if (error == -ENOENT && place.directory->name_count > 0) {
        if (orr__disk_is_full(disk)) /* a directory begins with a block of its own */
            return -ENOSPC;
        orr__tree_add(place.directory, place.name, orr__inode_create(disk, true, mode));
        return 0;
    }
    return error;
}

/* ---- names of sockets ------------------------------------------------------------------------ */

int orr__disk_make_socket(struct orr__disk *disk, const char *path, uint64_t *ret_number)
{
    struct place place;
    struct orr__inode *inode;
    int error = walk(disk, NULL, path, &place);
    if (error != 0)
        return error;
    error = find(&place, &inode);
    if (error == 0)
        return -EADDRINUSE;
    if (error != -ENOENT || place.slash)
        return error;
    if (ret_number == NULL)
        return 0;
    inode = orr__inode_create(disk, false, SOCKET_MODE);
    inode->is_socket = true;
    orr__tree_add(place.directory, place.name, inode);
    *ret_number = inode->number;
    return 0;
}

int orr__disk_find_socket(struct orr__disk *disk, const char *path, uint64_t *ret_number)
{
    struct place place;
    struct orr__inode *inode;
    int error = walk(disk, NULL, path, &place);
    if (error == 0)
        error = find(&place, &inode);
    if (error != 0)
        return error;
    if (place.slash && !inode->is_directory)
        return -ENOTDIR;
    if (!inode->is_socket)
        return -ECONNREFUSED;
    *ret_number = inode->number;
    return 0;
}

/* ---- removing and renaming ------------------------------------------------------------------- */

static int check_rmdir(const struct place *place)
{
    static const int errors[] = {
        [LAST_ROOT] = -EBUSY, [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY, [LAST_NAME] = 0};
    if (place->last != LAST_NAME)
        return errors[place->last];
    struct orr__inode *inode;
    int error = find(place, &inode);
    if (error != 0)
        return error;
    if (!inode->is_directory)
        return -ENOTDIR;
    return inode->directory.names.count > 0 ? -ENOTEMPTY : 0;
}

static int check_unlink(const struct place *place)
{
    if (place->last != LAST_NAME)
        return -EISDIR;
    struct orr__inode *inode;
    int error = find(place, &inode);
    if (error != 0)
        return error;
    if (inode->is_directory)
        return -EISDIR;
    return place->slash ? -ENOTDIR : 0;
}

int orr__disk_unlink(struct orr__disk *disk, struct orr__file *base, const char *path,
                     enum orr_unlink_kind kind)
{
    struct place place;
    int error = walk(disk, base, path, &place);
    if (error == 0)
        error = kind == ORR_UNLINK_DIRECTORY ? check_rmdir(&place) : check_unlink(&place);
    if (error != 0)
        return error;
    orr__tree_remove(place.directory, place.name);
    return 0;
}

/* May `inode` take the place of `target`? */
static int check_replace(const struct orr__inode *inode, const struct orr__inode *target)
{
    if (inode == target)
        return 0;
    if (!inode->is_directory)
        return target->is_directory ? -EISDIR : 0;
    if (!target->is_directory)
        return -ENOTDIR;
    return target->directory.names.count > 0 ? -ENOTEMPTY : 0;
}

/* Both names are in their directories, or the second is free there (target NULL). */
static int check_rename(const struct place *from, const struct orr__inode *inode,
                        const struct place *to, const struct orr__inode *target)
{
    if (!inode->is_directory && (from->slash || to->slash))
        return -ENOTDIR;
    if (inode->is_directory && is_inside(to->directory, inode))
        return -EINVAL;
    if (target == NULL)
        return 0;
    if (target->is_directory && is_inside(from->directory, target))
        return -ENOTEMPTY;
    return check_replace(inode, target);
}

int orr__disk_rename(struct orr__disk *disk, struct orr__file *base, const char *path,
                     const char *path_new)
{
    struct place from;
    struct place to;
    struct orr__inode *inode;
    struct orr__inode *target = NULL;
    int error = walk(disk, base, path, &from);
    if (error == 0)
        error = walk(disk, base, path_new, &to);
    if (error != 0)
        return error;
    if (from.last != LAST_NAME || to.last != LAST_NAME)
        return -EBUSY;
    error = find(&from, &inode);
    if (error != 0)
        return error;
    error = find(&to, &target);
    if (error == -ENOENT && to.directory->name_count > 0)
        error = 0;
    if (error == 0)
        error = check_rename(&from, inode, &to, target);
    if (error == 0 && inode != target)
        orr__tree_move(from.directory, from.name, to.directory, to.name);
    return error;
}

/* ---- second names ---------------------------------------------------------------------------- */

static int look_up(struct orr__disk *disk, struct orr__file *base, const char *path,
                   struct orr__inode **ret_inode)
{
    struct place place;
    int error = walk(disk, base, path, &place);
    if (error == 0)
        error = find(&place, ret_inode);
    if (error == 0 && place.slash && !(*ret_inode)->is_directory)
        error = -ENOTDIR;
    return error;
}

/* `inode` may have lost its names since it was looked up, or be NULL: gone. */
static int link_inode(struct orr__disk *disk, struct orr__file *base, struct orr__inode *inode,
                      const char *path_new)
{
    struct place to;
    struct orr__inode *target;
    int error = walk(disk, base, path_new, &to);
    if (error != 0)
        return error;
    error = find(&to, &target);
    if (error == 0)
        return -EEXIST;
    if (error != -ENOENT || to.slash || to.directory->name_count == 0)
        return error;
    if (inode != NULL && inode->is_directory)
        return -EPERM;
    if (inode == NULL || inode->name_count == 0)
        return -ENOENT;
    orr__tree_add(to.directory, to.name, inode);
    return 0;
}

int orr__disk_link(struct orr__disk *disk, struct orr__file *base, const char *path,
                   const char *path_new)
{
    struct orr__inode *inode;
    int error = look_up(disk, base, path, &inode);
    return error != 0 ? error : link_inode(disk, base, inode, path_new);
}

int orr__disk_find_file(struct orr__disk *disk, struct orr__file *base, const char *path,
                        uint64_t *ret_number)
{
    struct orr__inode *inode;
    int error = look_up(disk, base, path, &inode);
    if (error == 0 && inode->is_directory)
        error = -EPERM;
    if (error == 0)
        *ret_number = inode->number;
    return error;
}

int orr__disk_link_file(struct orr__disk *disk, struct orr__file *base, uint64_t number,
                        const char *path_new)
{
    struct orr__inode *inode = disk->first;
    while (inode != NULL && inode->number != number)
        inode = inode->next;
    return link_inode(disk, base, inode, path_new);
}

/* ---- listing --------------------------------------------------------------------------------- */

struct listed {
    uint64_t key;
    char *text;
    uint32_t type;
};

static int compare_listed(const void *a, const void *b)
{
    const struct listed *left = a;
    const struct listed *right = b;
    if (left->key != right->key)
        return left->key < right->key ? -1 : 1;
    return strcmp(left->text, right->text);
}

/* A copy of the names in an order by choice: the visitor may change the directory, and close it. */
static struct listed *snapshot(const struct orr__inode *directory)
{
    const struct orr__names *names = &directory->directory.names;
    struct orr_world *world = directory->disk->node->world;
    uint64_t order =
        orr__draw(world, ORR__SITE_DIRECTORY, directory->actor, directory->change_count);
    struct listed *listed = orr__disk_memory(NULL, names->count * sizeof *listed);
    for (size_t i = 0; i < names->count; i++) {
        const struct orr__inode *inode = names->items[i].inode;
        listed[i].key = orr__mix(order, orr__actor_id(names->items[i].text));
        listed[i].text = orr__text_copy(names->items[i].text);
        listed[i].type = type_of(inode);
    }
    qsort(listed, names->count, sizeof *listed, compare_listed);
    return listed;
}

int orr__disk_list(struct orr__disk *disk, struct orr__file *directory, orr_directory_visit visit,
                   void *context)
{
    const struct orr__inode *inode = directory != NULL ? directory->inode : disk->root;
    if (!inode->is_directory)
        return -ENOTDIR;
    size_t count = inode->directory.names.count;
    if (count == 0)
        return 0;
    struct listed *listed = snapshot(inode);
    int answer = 0;
    for (size_t i = 0; i < count; i++) {
        if (answer == 0)
            answer = visit(context, listed[i].text, listed[i].type);
        free(listed[i].text);
    }
    free(listed);
    return answer;
}

/*
 * disk_loss.c: what power loss leaves of a file's bytes and size.
 *
 *   - A sector is written whole. What can be on disk is the durable sector, or what the sector in
 *     the cache was after one of the changes that touched it. So each change survives whole, is
 *     lost, or is torn into sectors that do and sectors that do not; where several survive in a
 *     sector, the newest shows.
 *   - The size is the file system's own record: it is what it was after one of the changes,
 *     whatever became of the data; a write that extends by several sectors may have come half of
 *     the way. Where the size covers lost data there are zeros.
 *   - A truncate survives if it was made before that. A file system with a journal does not use the
 *     blocks it frees before it is durable: what was written there later is lost with it.
 *   - Where data is ordered, the size covers only what has been written: of the changes up to the
 *     one that gave the size, all sectors behind the old end survive. It grows by pages.
 *
 * So any subset of the changes, in any order, may be there, and nothing but old, new and zero
 * bytes.
 */
#include "disk.h"

#include <inttypes.h>
#include <string.h>

/* ---- choices --------------------------------------------------------------------------------- */

/* What a draw is about: part of its key. */
enum purpose {
    MOOD,
    CUT,
    FATE,
    TEAR,
    TEAR_AT,
    TEAR_BITS,
    SIZE_MOOD,
    SIZE_CHANGE,
    SIZE_STEP,
    SIZE_WITHIN
};

static uint64_t choose(const struct orr__inode *inode, enum purpose purpose, uint64_t occurrence,
                       uint64_t bound)
{
    enum orr__site site = purpose < SIZE_MOOD ? ORR__SITE_DISK_SECTOR : ORR__SITE_DISK_SIZE;
    return orr__draw_below(inode->disk->node->world, site, orr__mix(inode->actor, purpose),
                           occurrence, bound);
}

/* One of several, once for all changes of the file. */
static uint64_t choose_weighted(const struct orr__inode *inode, enum purpose purpose,
                                const uint8_t *weights, uint64_t count)
{
    enum orr__site site = purpose < SIZE_MOOD ? ORR__SITE_DISK_SECTOR : ORR__SITE_DISK_SIZE;
    return orr__draw_weighted(inode->disk->node->world, site, orr__mix(inode->actor, purpose),
                              inode->change_count, weights, count);
}

/* The sectors that a change touches: how many, from offset / sector_bytes on. */
static uint64_t sector_count(const struct orr__inode *inode, const struct orr__change *change)
{
    uint64_t sector_bytes = inode->disk->sector_bytes;
    if (change->length == 0)
        return 0;
    return (change->offset + change->length - 1) / sector_bytes - change->offset / sector_bytes + 1;
}

static enum orr__fate choose_fate(const struct orr__inode *inode, const struct orr__change *change)
{
    uint64_t fates = sector_count(inode, change) > 1 ? 3 : 2; /* one sector cannot be torn */
    return (enum orr__fate)choose(inode, FATE, change->number, fates);
}

/* The fates that a replay file names; what is not named survives. Of a torn change the size does,
 * also where nothing is left of its bytes. */
static void name_fates(struct orr__inode *inode)
{
    struct orr__change *change = inode->file.changes.head;
    for (; change != NULL; change = change->next) {
        uint64_t sectors = 0;
        bool torn = orr__loss_is_torn(inode->disk, change->origin, &sectors);
        change->fate = ORR__FATE_WHOLE;
        if (change->written)
            continue;
        if (orr__loss_is_lost(inode->disk, change->origin) || (torn && sectors == 0))
            change->fate = ORR__FATE_LOST;
        else if (torn && sectors < sector_count(inode, change))
            change->fate = ORR__FATE_TORN;
        change->size_survives = torn;
    }
}

/*
 * A fate for each change. If each were drawn by itself, many changes would never all be lost, or
 * all be there but for the last: so first it is drawn whether all are lost, all survive, the oldest
 * ones survive, or each has its own fate.
 */
static void choose_fates(struct orr__inode *inode)
{
    if (inode->disk->loss_is_named) {
        name_fates(inode);
        return;
    }
    enum { ALL_LOST, ALL_SURVIVE, OLDEST_SURVIVE, EACH_ITS_OWN, MOODS };
    static const uint8_t weights[MOODS] = {1, 1, 2, 4};
    const struct orr__changes *changes = &inode->file.changes;
    uint64_t mood = choose_weighted(inode, MOOD, weights, MOODS);
    uint64_t cut =
        mood == OLDEST_SURVIVE ? choose(inode, CUT, inode->change_count, changes->count + 1) : 0;
    uint64_t number = 0;
    for (struct orr__change *change = changes->head; change != NULL;
         change = change->next, number++) {
        if (change->written)
            change->fate = ORR__FATE_WHOLE;
        else if (mood == ALL_LOST)
            change->fate = ORR__FATE_LOST;
        else if (mood == ALL_SURVIVE || (mood == OLDEST_SURVIVE && number < cut))
            change->fate = ORR__FATE_WHOLE;
        else if (mood == EACH_ITS_OWN || number == cut)
            change->fate = choose_fate(inode, change);
        else
            change->fate = ORR__FATE_LOST;
    }
}

/* The newest change that is in the size (NULL = none), and the size. */
struct size {
    const struct orr__change *newest;
    uint64_t bytes;
};

/* Steps on the way of an extending write: the multiples of `step` between the two sizes. */
static uint64_t choose_size_within(const struct orr__inode *inode, const struct orr__change *change,
                                   uint64_t step)
{
    uint64_t low = change->size_before / step + 1;
    uint64_t high = change->size_after > 0 ? (change->size_after - 1) / step : 0;
    if (change->length == 0 || change->written || high < low)
        return change->size_after;
    return step * (low + choose(inode, SIZE_STEP, change->number, high - low + 1));
}

/* Mostly it is the newest change that survived. */
static struct size choose_size(const struct orr__inode *inode)
{
    enum { OF_ALL, OF_ANY, WITHIN, OF_SURVIVORS, MOODS };
    static const uint8_t weights[MOODS] = {1, 1, 1, 5};
    const struct orr__file_body *file = &inode->file;
    uint64_t mood = inode->disk->loss_is_named ? OF_SURVIVORS
                                               : choose_weighted(inode, SIZE_MOOD, weights, MOODS);
    uint64_t pick = mood == OF_ALL ? file->changes.count : 0;
    if (mood == OF_ANY)
        pick = choose(inode, SIZE_CHANGE, inode->change_count, file->changes.count + 1);
    struct size size = {.bytes = file->durable.size};
    uint64_t number = 1;
    for (const struct orr__change *change = file->changes.head; change != NULL;
         change = change->next, number++)
        if (number <= pick || change->written || change->size_survives ||
            (mood >= WITHIN && change->fate != ORR__FATE_LOST))
            size.newest = change;
    if (size.newest != NULL)
        size.bytes = mood == WITHIN
                         ? choose_size_within(inode, size.newest, inode->disk->sector_bytes)
                         : size.newest->size_after;
    return size;
}

/* The change up to which the file was written when its size was: between the last that must be in
 * the size and the first that must not. */
static const struct orr__change *choose_written(const struct orr__inode *inode)
{
    enum { LEAST, MOST, ANY, MOODS };
    static const uint8_t weights[MOODS] = {1, 1, 2};
    uint64_t journaled = inode->disk->journaled;
    uint64_t least = 0;
    uint64_t most = 0;
    uint64_t named = UINT64_MAX; /* as many come before the first that is named as lost */
    for (const struct orr__change *change = inode->file.changes.head; change != NULL;
         change = change->next) {
        bool alone = change->length == 0;
        if (alone && change->sequence > journaled)
            break;
        if (named == UINT64_MAX && orr__loss_is_lost(inode->disk, change->origin))
            named = most;
        most++;
        if (alone || change->written)
            least = most;
    }
    uint64_t mood = choose_weighted(inode, SIZE_MOOD, weights, MOODS);
    uint64_t pick = mood == LEAST ? least : most;
    if (mood == ANY)
        pick = least + choose(inode, SIZE_CHANGE, inode->change_count, most - least + 1);
    if (inode->disk->loss_is_named && named < most)
        pick = named > least ? named : least;
    else if (inode->disk->loss_is_named)
        pick = most;
    const struct orr__change *newest = NULL;
    const struct orr__change *change = inode->file.changes.head;
    for (; pick > 0; pick--, change = change->next)
        newest = change;
    return newest;
}

static struct size choose_ordered_size(const struct orr__inode *inode)
{
    struct size size = {.newest = choose_written(inode), .bytes = inode->file.durable.size};
    if (size.newest == NULL)
        return size;
    size.bytes = size.newest->size_after;
    if (!inode->disk->loss_is_named && size.newest->size_after > size.newest->size_before &&
        choose(inode, SIZE_WITHIN, inode->change_count, 2) == 1)
        size.bytes = choose_size_within(inode, size.newest, ORR__PAGE);
    return size;
}

#define TEAR_BITS_MAX 32u /* of one draw */

/* Which sectors of a torn change survive: the first ones, or any. */
struct tear {
    const struct orr__inode *inode;
    uint64_t number; /* of the change */
    uint64_t count;  /* of sectors */
    uint64_t first;  /* that many survive; 0 = each by a bit of its own */
    uint64_t bits;
};

static struct tear choose_tear(const struct orr__inode *inode, const struct orr__change *change)
{
    struct tear tear = {
        .inode = inode, .number = change->number, .count = sector_count(inode, change)};
    if (change->fate != ORR__FATE_TORN)
        tear.first = UINT64_MAX;
    else if (inode->disk->loss_is_named)
        (void)orr__loss_is_torn(inode->disk, change->origin, &tear.first);
    else if (choose(inode, TEAR, change->number, 2) == 0)
        tear.first = 1 + choose(inode, TEAR_AT, change->number, tear.count - 1);
    return tear;
}

/* Asked for each sector of a change, in order. */
static bool sector_survives(struct tear *tear, uint64_t number)
{
    if (tear->first > 0)
        return number < tear->first;
    if (number % TEAR_BITS_MAX == 0) {
        uint64_t left = tear->count - number;
        uint64_t actor = orr__mix(orr__mix(tear->inode->actor, TEAR_BITS), tear->number);
        tear->bits = orr__draw_below(tear->inode->disk->node->world, ORR__SITE_DISK_SECTOR, actor,
                                     number / TEAR_BITS_MAX,
                                     UINT64_C(1) << (left < TEAR_BITS_MAX ? left : TEAR_BITS_MAX));
    }
    return (tear->bits >> number % TEAR_BITS_MAX & 1) != 0;
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

/* What of the changes survives whatever their fates are, and what does not. */
struct limits {
    uint64_t ordered; /* sectors that end behind this one survive, of the changes in the size */
    uint64_t freed;   /* sectors at or behind this one do not: their blocks are not theirs yet */
};

/* Where data is ordered: the smallest size that the file has had, which is where what the size
 * covers begins. A write with O_DSYNC may have left holes below it. */
static uint64_t ordered_from(const struct orr__inode *inode, struct size size)
{
    uint64_t from = inode->file.durable.size;
    if (!inode->disk->rules.orders_data || size.newest == NULL)
        return UINT64_MAX;
    for (const struct orr__change *change = inode->file.changes.head; change != NULL;
         change = change->next) {
        if (change->sequence > size.newest->sequence)
            break;
        if (change->size_after < from || (change->written && change->size_after > from))
            from = change->size_after;
    }
    return from < size.bytes ? from : UINT64_MAX;
}

/* Copies the sectors of a change that survive from the shadow to the durable image. */
static void keep_sectors(struct orr__inode *inode, const struct shadow *shadow,
                         struct orr__change *change, struct limits limits)
{
    struct tear tear = choose_tear(inode, change);
    uint64_t bytes = inode->disk->sector_bytes;
    uint64_t first = change->offset / bytes;
    for (uint64_t number = 0; number < tear.count; number++) {
        uint64_t offset = (first + number) * bytes;
        bool survives = change->fate != ORR__FATE_LOST && sector_survives(&tear, number);
        change->sectors_kept += survives;
        if ((!survives && offset + bytes <= limits.ordered) || offset >= limits.freed)
            continue;
        const uint8_t *page = orr__bytes_page(&shadow->bytes, offset / ORR__PAGE);
        orr__bytes_write(&inode->file.durable, page + offset % ORR__PAGE, (uint32_t)bytes,
                         offset + change->landing - change->offset);
    }
}

/* Makes the durable image of the changes' fates, with that size, which has the cuts up to its
 * newest change in it. */
static void settle(struct orr__inode *inode, struct size size)
{
    struct orr__bytes *durable = &inode->file.durable;
    struct shadow shadow = {.bytes = {.size = durable->size}, .floor = UINT64_MAX};
    struct limits limits = {.ordered = ordered_from(inode, size), .freed = UINT64_MAX};
    uint64_t size_sequence = size.newest != NULL ? size.newest->sequence : 0;
    for (struct orr__change *change = inode->file.changes.head; change != NULL;
         change = change->next) {
        bool cuts = change->size_after < change->size_before;
        uint64_t freed = (change->size_after + ORR__PAGE - 1) / ORR__PAGE * ORR__PAGE;
        shadow_apply(&shadow, durable, change);
        if (change->sequence > size_sequence)
            limits.ordered = UINT64_MAX;
        if (cuts && change->sequence <= size_sequence)
            orr__bytes_resize(durable, change->size_after);
        else if (cuts && inode->disk->rules.frees_carefully && freed < limits.freed)
            limits.freed = freed;
        keep_sectors(inode, &shadow, change, limits);
    }
    orr__bytes_resize(durable, size.bytes);
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

/* The size that was drawn is on the way to the one that the change gave: a replay file cannot say
 * so, and the nearest that it can is that it was lost. */
static bool is_cut(const struct orr__inode *inode, const struct orr__change *change,
                   struct size size)
{
    return !inode->disk->loss_is_named && change == size.newest && size.bytes < change->size_after;
}

/* What is lost of a change; the size that it gave may be there. */
static void tell_ledger(const struct orr__inode *inode, struct size size)
{
    const struct orr__change *change = inode->file.changes.head;
    for (; change != NULL; change = change->next) {
        bool grows = change->length > 0 && change->size_after > change->size_before;
        bool is_in_size = size.newest != NULL && change->sequence <= size.newest->sequence;
        bool torn = change->sectors_kept > 0 || (grows && is_in_size);
        if (change->fate != ORR__FATE_WHOLE && change->sectors_kept < sector_count(inode, change))
            orr__loss_tell(inode->disk, change->origin, torn ? ORR__FAULT_TORN : ORR__FAULT_LOST,
                           change->sectors_kept);
        else if (change->fate == ORR__FATE_LOST || (grows && !is_in_size) ||
                 is_cut(inode, change, size))
            orr__loss_tell(inode->disk, change->origin, ORR__FAULT_LOST, 0);
    }
}

void orr__file_power_loss(struct orr__inode *inode, const char *name)
{
    struct orr__file_body *file = &inode->file;
    orr__ranges_clear(&file->unwritten);
    if (file->changes.count == 0 && !file->cache_differs)
        return;
    if (file->changes.count > 0) {
        choose_fates(inode);
        struct size size =
            inode->disk->rules.orders_data ? choose_ordered_size(inode) : choose_size(inode);
        trace_loss(inode, name, size.bytes, file->cache.size);
        settle(inode, size);
        tell_ledger(inode, size);
    }
    orr__file_changes_drop(file);
    orr__bytes_copy(&file->cache, &file->durable);
    orr__file_cut_bad(inode, file->cache.size);
    file->cache_differs = false;
}

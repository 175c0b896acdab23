/*
 * disk_ranges.c: the parts of a file that nobody has written: holes, and what truncate and allocate
 * have added. They come at the end of a file only, and are eaten up by writes; power loss forgets
 * them, for what it leaves behind is not the program's doing.
 */
#include "disk.h"

#include <stdlib.h>
#include <string.h>

/* Makes `count` places at `at`. */
static void insert(struct orr__ranges *ranges, size_t at, size_t count)
{
    if (ranges->count + count > ranges->capacity) {
        ranges->capacity = (ranges->count + count) * 2;
        ranges->items = orr__disk_memory(ranges->items, ranges->capacity * sizeof *ranges->items);
    }
    memmove(&ranges->items[at + count], &ranges->items[at],
            (ranges->count - at) * sizeof *ranges->items);
    ranges->count += count;
}

void orr__ranges_append(struct orr__ranges *ranges, uint64_t from, uint64_t to)
{
    if (from == to)
        return;
    orr__assert(from < to);
    if (ranges->count > 0) {
        struct orr__range *last = &ranges->items[ranges->count - 1];
        orr__assert(last->to <= from);
        if (last->to == from) {
            last->to = to;
            return;
        }
    }
    insert(ranges, ranges->count, 1);
    ranges->items[ranges->count - 1] = (struct orr__range){.from = from, .to = to};
}

void orr__ranges_remove(struct orr__ranges *ranges, uint64_t from, uint64_t to)
{
    size_t kept = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        struct orr__range range = ranges->items[i];
        bool left = range.from < from;
        bool right = range.to > to;
        if (range.to <= from || range.from >= to) {
            ranges->items[kept++] = range;
        } else if (left && right) { /* the only one that it meets */
            insert(ranges, i, 1);
            ranges->items[i] = (struct orr__range){.from = range.from, .to = from};
            ranges->items[i + 1] = (struct orr__range){.from = to, .to = range.to};
            return;
        } else if (left || right) {
            ranges->items[kept++] =
                (struct orr__range){.from = left ? range.from : to, .to = left ? from : range.to};
        }
    }
    ranges->count = kept;
}

bool orr__ranges_find(const struct orr__ranges *ranges, uint64_t from, uint64_t to,
                      struct orr__range *ret_part)
{
    size_t i = 0;
    while (i < ranges->count && ranges->items[i].to <= from)
        i++;
    if (i == ranges->count || ranges->items[i].from >= to || from >= to)
        return false;
    *ret_part = ranges->items[i];
    if (ret_part->from < from)
        ret_part->from = from;
    if (ret_part->to > to)
        ret_part->to = to;
    return true;
}

void orr__ranges_clear(struct orr__ranges *ranges)
{
    free(ranges->items);
    *ranges = (struct orr__ranges){0};
}

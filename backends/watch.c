/*
 * watch.c: see watch.h.
 */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

bool orr__watches_open(struct orr__watches *watches, uint32_t count)
{
    uint32_t places = 16;

    while (places / 2 < count)
        places *= 2;
    *watches = (struct orr__watches){.mask = places - 1, .count_max = count};
    watches->watches = calloc(count, sizeof *watches->watches);
    watches->index = calloc(places, sizeof *watches->index);
    if (watches->watches != NULL && watches->index != NULL)
        return true;
    orr__watches_close(watches);
    return false;
}

void orr__watches_close(struct orr__watches *watches)
{
    free(watches->watches);
    free(watches->index);
    *watches = (struct orr__watches){0};
}

static uint32_t home_of(const struct orr__watches *watches, int32_t descriptor)
{
    return (uint32_t)descriptor & watches->mask;
}

/* Where a descriptor's number stands in the index, or the empty place where it would. */
static uint32_t place_of(const struct orr__watches *watches, int32_t descriptor)
{
    uint32_t place = home_of(watches, descriptor);

    while (watches->index[place] != 0 &&
           watches->watches[watches->index[place] - 1].descriptor != descriptor)
        place = (place + 1) & watches->mask;
    return place;
}

struct orr__watch *orr__watches_find(const struct orr__watches *watches, int32_t descriptor)
{
    const uint32_t number = watches->index[place_of(watches, descriptor)];

    return number != 0 ? &watches->watches[number - 1] : NULL;
}

struct orr__watch *orr__watches_add(struct orr__watches *watches, int32_t descriptor,
                                    enum orr__kind kind)
{
    const uint32_t place = place_of(watches, descriptor);
    struct orr__watch *watch = watches->free;

    if (watches->index[place] != 0)
        orr_fatal("descriptor %d was closed behind the loop's back: close it with orr_close, or do "
                  "not give it to the loop",
                  descriptor);
    if (watch != NULL)
        watches->free = watch->next;
    else if (watches->used < watches->count_max)
        watch = &watches->watches[watches->used++];
    else
        orr_fatal("internal: more than %u descriptors for as many handles", watches->count_max);
    *watch = (struct orr__watch){.descriptor = descriptor, .kind = (uint8_t)kind};
    watches->index[place] = (uint32_t)(watch - watches->watches) + 1;
    return watch;
}

/* A search, for the rare case: a table by file would cost every descriptor. Some systems number no
 * sockets: those count as strangers. */
struct orr__watch *orr__watches_sharing(const struct orr__watches *watches,
                                        const struct orr__watch *watch)
{
    if (watch->inode == 0 || watches->sharing == 0)
        return NULL;
    for (uint32_t i = 0; i < watches->used; i++) {
        struct orr__watch *other = &watches->watches[i];
        if (other->shares && other->device == watch->device && other->inode == watch->inode)
            return other;
    }
    return NULL;
}

void orr__watches_set_sharing(struct orr__watches *watches, struct orr__watch *watch, bool shares)
{
    watches->sharing += shares && !watch->shares;
    watches->sharing -= !shares && watch->shares;
    watch->shares = shares;
}

/* Closes the gap: what stands behind it and could not stand in its home moves up. */
static void close_gap(struct orr__watches *watches, uint32_t gap)
{
    uint32_t place = gap;

    for (;;) {
        place = (place + 1) & watches->mask;
        if (watches->index[place] == 0)
            break;
        const struct orr__watch *watch = &watches->watches[watches->index[place] - 1];
        const uint32_t from_home = (place - home_of(watches, watch->descriptor)) & watches->mask;
        const uint32_t from_gap = (place - gap) & watches->mask;
        if (from_home < from_gap)
            continue;
        watches->index[gap] = watches->index[place];
        gap = place;
    }
    watches->index[gap] = 0;
}

void orr__watches_remove(struct orr__watches *watches, struct orr__watch *watch)
{
    const uint32_t place = place_of(watches, watch->descriptor);

    if (watches->index[place] == 0 || watch->listed || watch->readers.head != NULL ||
        watch->writers.head != NULL || watch->polls.head != NULL)
        orr_fatal("internal: descriptor %d is closed while operations wait on it",
                  watch->descriptor);
    close_gap(watches, place);
    orr__watches_set_sharing(watches, watch, false);
    watch->next = watches->free;
    watches->free = watch;
}

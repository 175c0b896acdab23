/*
 * disk_names.c: the names in a directory.
 *
 * A sorted array: found by binary search, and walked in an order that is the same on every machine.
 * A hash table would need a second structure for that; a directory of ten thousand names still
 * inserts in microseconds.
 */
#include "disk.h"

#include <stdlib.h>
#include <string.h>

char *orr__text_copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(orr__disk_memory(NULL, size), text, size);
}

/* Where the name is, or would be inserted. */
static size_t position(const struct orr__names *names, const char *text, bool *ret_found)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names->items[middle].text, text);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

struct orr__inode *orr__names_find(const struct orr__names *names, const char *text)
{
    bool found;
    size_t at = position(names, text, &found);
    return found ? names->items[at].inode : NULL;
}

struct orr__inode *orr__names_set(struct orr__names *names, const char *text,
                                  struct orr__inode *inode)
{
    bool found;
    size_t at = position(names, text, &found);
    if (found) {
        struct orr__inode *before = names->items[at].inode;
        names->items[at].inode = inode;
        return before;
    }
    if (names->count == names->capacity) {
        names->capacity = names->capacity == 0 ? 4 : names->capacity * 2;
        names->items = orr__disk_memory(names->items, names->capacity * sizeof *names->items);
    }
    memmove(&names->items[at + 1], &names->items[at], (names->count - at) * sizeof *names->items);
    names->items[at] = (struct orr__name){.text = orr__text_copy(text), .inode = inode};
    names->count++;
    return NULL;
}

struct orr__inode *orr__names_remove(struct orr__names *names, const char *text)
{
    bool found;
    size_t at = position(names, text, &found);
    orr__assert(found);
    struct orr__inode *inode = names->items[at].inode;
    free(names->items[at].text);
    names->count--;
    memmove(&names->items[at], &names->items[at + 1], (names->count - at) * sizeof *names->items);
    return inode;
}

void orr__names_copy(struct orr__names *to, const struct orr__names *from)
{
    orr__names_clear(to);
    to->count = from->count;
    to->capacity = from->count;
    if (from->count == 0)
        return;
    to->items = orr__disk_memory(NULL, from->count * sizeof *to->items);
    for (size_t i = 0; i < from->count; i++)
        to->items[i] = (struct orr__name){.text = orr__text_copy(from->items[i].text),
                                          .inode = from->items[i].inode};
}

void orr__names_clear(struct orr__names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].text);
    free(names->items);
    *names = (struct orr__names){0};
}

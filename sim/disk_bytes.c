/*
 * disk_bytes.c: a string of bytes with holes, made of pages.
 *
 * Pages lie in an array, ascending by index, so that an append costs a look at the last one, and
 * anything else a binary search. A file that is mostly hole costs what it holds, as on a real disk:
 * a length in the terabytes is no problem. Not one growing buffer, because truncate can make a file
 * long without making it big.
 *
 * Invariant: all bytes of a page at or behind `size` are zero, so that growing never shows what
 * was cut.
 */
#include "disk.h"

#include <stdlib.h>
#include <string.h>

void *orr__disk_memory(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL)
        orr_fatal("no memory for %zu bytes of a simulated disk: run fewer jobs at once", size);
    return memory;
}

/* Where the page is, or would be inserted. */
static size_t position(const struct orr__bytes *bytes, uint64_t index)
{
    size_t low = 0;
    size_t high = bytes->count;
    if (high > 0 && bytes->pages[high - 1].index < index)
        return high;
    if (high > 0 && bytes->pages[high - 1].index == index)
        return high - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes->pages[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint8_t *orr__bytes_page(const struct orr__bytes *bytes, uint64_t index)
{
    size_t at = position(bytes, index);
    return at < bytes->count && bytes->pages[at].index == index ? bytes->pages[at].bytes : NULL;
}

uint8_t *orr__bytes_page_make(struct orr__bytes *bytes, uint64_t index)
{
    size_t at = position(bytes, index);
    if (at < bytes->count && bytes->pages[at].index == index)
        return bytes->pages[at].bytes;
    if (bytes->count == bytes->capacity) {
        bytes->capacity = bytes->capacity == 0 ? 4 : bytes->capacity * 2;
        bytes->pages = orr__disk_memory(bytes->pages, bytes->capacity * sizeof *bytes->pages);
    }
    memmove(&bytes->pages[at + 1], &bytes->pages[at], (bytes->count - at) * sizeof *bytes->pages);
    uint8_t *page = orr__disk_memory(NULL, ORR__PAGE);
    memset(page, 0, ORR__PAGE);
    bytes->pages[at] = (struct orr__page){.index = index, .bytes = page};
    bytes->count++;
    return page;
}

/* How many of `length` bytes lie in the page of `offset`. */
static uint32_t in_page(uint64_t offset, uint32_t length)
{
    uint64_t left = ORR__PAGE - offset % ORR__PAGE;
    return left < length ? (uint32_t)left : length;
}

uint32_t orr__bytes_read(const struct orr__bytes *bytes, void *buffer, uint32_t length,
                         uint64_t offset)
{
    if (offset >= bytes->size)
        return 0;
    if (length > bytes->size - offset)
        length = (uint32_t)(bytes->size - offset);
    uint8_t *out = buffer;
    for (uint32_t done = 0; done < length;) {
        uint64_t at = offset + done;
        uint32_t part = in_page(at, length - done);
        const uint8_t *page = orr__bytes_page(bytes, at / ORR__PAGE);
        if (page != NULL)
            memcpy(out + done, page + at % ORR__PAGE, part);
        else
            memset(out + done, 0, part);
        done += part;
    }
    return length;
}

void orr__bytes_write(struct orr__bytes *bytes, const void *data, uint32_t length, uint64_t offset)
{
    const uint8_t *in = data;
    for (uint32_t done = 0; done < length;) {
        uint64_t at = offset + done;
        uint32_t part = in_page(at, length - done);
        memcpy(orr__bytes_page_make(bytes, at / ORR__PAGE) + at % ORR__PAGE, in + done, part);
        done += part;
    }
    if (length > 0 && bytes->size < offset + length)
        bytes->size = offset + length;
}

void orr__bytes_resize(struct orr__bytes *bytes, uint64_t size)
{
    if (size < bytes->size) {
        uint64_t first_gone = (size + ORR__PAGE - 1) / ORR__PAGE;
        while (bytes->count > 0 && bytes->pages[bytes->count - 1].index >= first_gone)
            free(bytes->pages[--bytes->count].bytes);
        uint8_t *page = size % ORR__PAGE != 0 ? orr__bytes_page(bytes, size / ORR__PAGE) : NULL;
        if (page != NULL)
            memset(page + size % ORR__PAGE, 0, ORR__PAGE - size % ORR__PAGE);
    }
    bytes->size = size;
}

void orr__bytes_copy(struct orr__bytes *to, const struct orr__bytes *from)
{
    orr__bytes_clear(to);
    to->size = from->size;
    to->count = from->count;
    to->capacity = from->count;
    if (from->count == 0)
        return;
    to->pages = orr__disk_memory(NULL, from->count * sizeof *to->pages);
    for (size_t i = 0; i < from->count; i++) {
        to->pages[i].index = from->pages[i].index;
        to->pages[i].bytes = orr__disk_memory(NULL, ORR__PAGE);
        memcpy(to->pages[i].bytes, from->pages[i].bytes, ORR__PAGE);
    }
}

void orr__bytes_clear(struct orr__bytes *bytes)
{
    for (size_t i = 0; i < bytes->count; i++)
        free(bytes->pages[i].bytes);
    free(bytes->pages);
    *bytes = (struct orr__bytes){0};
}

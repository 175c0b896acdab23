/*
 * buffer.c: the growing byte buffer of buffer.h.
 *
 * It grows by doubling, so that appending n bytes in any pieces costs O(n) copies. There is no
 * reallocate in `struct kv_memory`: the copy here is what it would do, and the nodes' allocator
 * stays two functions.
 */
#include "buffer.h"

#include <string.h>

#include "ensure.h"

/* The first allocation: a few small replies fit without growing again. */
#define CAPACITY_MIN ((size_t)256)

void kv_buffer_init(struct kv_buffer *buffer, const struct kv_memory *memory, size_t length_max)
{
    kv_ensure(memory != NULL);
    kv_ensure(length_max <= SIZE_MAX / 2); /* doubling cannot overflow */
    *buffer = (struct kv_buffer){.memory = memory, .length_max = length_max};
}

void kv_buffer_free(struct kv_buffer *buffer)
{
    buffer->memory->release(buffer->memory->context, buffer->bytes);
    kv_buffer_init(buffer, buffer->memory, buffer->length_max);
}

static size_t capacity_for(const struct kv_buffer *buffer, size_t length)
{
    size_t capacity = buffer->capacity > CAPACITY_MIN ? buffer->capacity : CAPACITY_MIN;
    while (capacity < length) {
        capacity *= 2;
    }
    return capacity < buffer->length_max ? capacity : buffer->length_max;
}

bool kv_buffer_reserve(struct kv_buffer *buffer, size_t extra)
{
    kv_ensure(buffer->length <= buffer->capacity);
    if (extra <= buffer->capacity - buffer->length) {
        return !buffer->failed;
    }
    if (buffer->failed || extra > buffer->length_max - buffer->length) {
        buffer->failed = true;
        return false;
    }
    const struct kv_memory *memory = buffer->memory;
    size_t capacity = capacity_for(buffer, buffer->length + extra);
    uint8_t *bytes = memory->allocate(memory->context, capacity);
    if (bytes == NULL) {
        buffer->failed = true;
        return false;
    }
    if (buffer->length > 0) {
        memcpy(bytes, buffer->bytes, buffer->length);
    }
    memory->release(memory->context, buffer->bytes);
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void kv_buffer_append(struct kv_buffer *buffer, const void *bytes, size_t count)
{
    if (kv_buffer_reserve(buffer, count) && count > 0) {
        memcpy(buffer->bytes + buffer->length, bytes, count);
        buffer->length += count;
    }
}

void kv_buffer_consume(struct kv_buffer *buffer, size_t count)
{
    kv_ensure(count <= buffer->length);
    if (count > 0) {
        memmove(buffer->bytes, buffer->bytes + count, buffer->length - count);
        buffer->length -= count;
    }
}

void kv_buffer_truncate(struct kv_buffer *buffer, size_t length)
{
    kv_ensure(length <= buffer->length);
    buffer->length = length;
    buffer->failed = false;
}

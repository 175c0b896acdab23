/*
 * buffer.h: a growing run of bytes with a ceiling, used for requests, replies and log records.
 *
 *      bytes                length            capacity         length_max
 *        |  what is in it     |   room to spare  |  may grow up to  |
 *
 * The memory comes from whoever made the buffer (`struct kv_memory`), because a node's memory has
 * to come from its own allocator: a simulated crash then takes it away at once, and a simulated
 * allocation failure reaches us.
 *
 * Failure is sticky: once an append did not fit (ceiling reached or memory refused), `failed` is
 * set, every later append is ignored, and what was in the buffer stays as it was. Code that writes
 * a reply of many parts therefore checks once, at the end, and goes back to where the reply began
 * with kv_buffer_truncate, which also clears the failure. The alternative, a result from each
 * append, is forgotten at one of forty places sooner or later.
 */
#ifndef KV_BUFFER_H
#define KV_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of bytes inside somebody else's buffer. */
struct kv_slice {
    const uint8_t *bytes;
    uint32_t length;
};

/* Where memory comes from. `allocate` may answer NULL; `release` takes NULL. */
struct kv_memory {
    void *(*allocate)(void *context, size_t length);
    void (*release)(void *context, void *memory);
    void *context;
};

struct kv_buffer {
    const struct kv_memory *memory;
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    size_t length_max;
    bool failed;
};

/* An empty buffer that owns no memory yet and never holds more than `length_max` bytes.
 * `memory` must outlive the buffer. */
void kv_buffer_init(struct kv_buffer *buffer, const struct kv_memory *memory, size_t length_max);

/* Gives the memory back; the buffer is empty and may be used again. */
void kv_buffer_free(struct kv_buffer *buffer);

/* Makes room for `extra` bytes after the last one. False (and `failed`) if there is none to have:
 * then nothing has moved. A true answer may have moved `bytes`. */
bool kv_buffer_reserve(struct kv_buffer *buffer, size_t extra);

/* Adds `count` bytes at the end, or sets `failed`. `bytes` may be NULL when `count` is 0, and must
 * not lie in the buffer itself. */
void kv_buffer_append(struct kv_buffer *buffer, const void *bytes, size_t count);

/* Drops the first `count` bytes (at most `length`); the others move to the front. */
void kv_buffer_consume(struct kv_buffer *buffer, size_t count);

/* Drops all from `length` (at most the present one) on, and clears `failed`. */
void kv_buffer_truncate(struct kv_buffer *buffer, size_t length);

#endif

/*
 * calls.c: the immediate calls: find the backend's descriptor, pass the call on, wrap new
 * descriptors into handles.
 */
#include "internal.h"

#include <errno.h>

/* The backend's descriptor of an open handle that is not being closed, or -EBADF. */
static int32_t descriptor_of(const struct orr_loop *loop, orr_handle handle)
{
    uint32_t slot = orr__slot_of(loop, handle);
    if (slot == 0 || loop->slots[slot].closer != NULL)
        return -EBADF;
    return loop->slots[slot].descriptor;
}

static orr_handle make_socket(struct orr_loop *loop, enum orr_family family,
                              enum orr_socket_type type)
{
    bool known = family == ORR_FAMILY_IP4 || family == ORR_FAMILY_IP6 || family == ORR_FAMILY_UNIX;
    bool stream = type == ORR_SOCKET_STREAM;
    if (!known || (!stream && (type != ORR_SOCKET_DATAGRAM || family == ORR_FAMILY_UNIX)))
        return -EINVAL;
    uint32_t slot = orr__slot_reserve(loop);
    if (slot == 0)
        return -EMFILE;
    int32_t descriptor = loop->backend->socket(loop->backend_state, family, type);
    if (descriptor < 0) {
        orr__slot_release(loop, slot);
        return descriptor;
    }
    return orr__slot_fill(loop, slot, descriptor);
}

orr_handle orr_socket(struct orr_loop *loop, enum orr_family family, enum orr_socket_type type)
{
    orr_handle handle = make_socket(loop, family, type);
    loop->site = NULL; /* this line's, not that of the next submit */
    return handle;
}

orr_handle orr_adopt(struct orr_loop *loop, int32_t descriptor)
{
    uint32_t slot = orr__slot_reserve(loop);
    if (slot == 0)
        return -EMFILE;
    int32_t adopted = loop->backend->adopt(loop->backend_state, descriptor);
    if (adopted < 0) {
        orr__slot_release(loop, slot);
        return adopted;
    }
    return orr__slot_fill(loop, slot, adopted);
}

int32_t orr_release(struct orr_loop *loop, orr_handle handle)
{
    int32_t descriptor = descriptor_of(loop, handle);
    if (descriptor < 0)
        return descriptor;
    uint32_t slot = orr__slot_of(loop, handle);
    if (loop->slots[slot].operations != NULL)
        return -EBUSY;
    if (loop->backend->release != NULL)
        loop->backend->release(loop->backend_state, descriptor);
    orr__slot_release(loop, slot);
    return descriptor;
}

int32_t orr_descriptor(struct orr_loop *loop, orr_handle handle)
{
    return descriptor_of(loop, handle);
}

int orr_bind(struct orr_loop *loop, orr_handle socket, const struct orr_address *address)
{
    int32_t descriptor = descriptor_of(loop, socket);
    return descriptor < 0 ? descriptor
                          : loop->backend->bind(loop->backend_state, descriptor, address);
}

int orr_listen(struct orr_loop *loop, orr_handle socket, uint32_t backlog)
{
    int32_t descriptor = descriptor_of(loop, socket);
    return descriptor < 0 ? descriptor
                          : loop->backend->listen(loop->backend_state, descriptor, backlog);
}

int orr_socket_option_set(struct orr_loop *loop, orr_handle socket, enum orr_socket_option option,
                          int32_t value)
{
    int32_t descriptor = descriptor_of(loop, socket);
    if (descriptor < 0)
        return descriptor;
    if ((uint32_t)option >= ORR_SOCKET_OPTION_COUNT)
        return -ENOPROTOOPT;
    return loop->backend->option_set(loop->backend_state, descriptor, option, value);
}

int orr_socket_option_get(struct orr_loop *loop, orr_handle socket, enum orr_socket_option option,
                          int32_t *ret_value)
{
    int32_t descriptor = descriptor_of(loop, socket);
    if (descriptor < 0)
        return descriptor;
    if ((uint32_t)option >= ORR_SOCKET_OPTION_COUNT)
        return -ENOPROTOOPT;
    return loop->backend->option_get(loop->backend_state, descriptor, option, ret_value);
}

int orr_local_address(struct orr_loop *loop, orr_handle socket, struct orr_address *ret_address)
{
    int32_t descriptor = descriptor_of(loop, socket);
    if (descriptor < 0)
        return descriptor;
    return loop->backend->local_address(loop->backend_state, descriptor, ret_address);
}

int orr_peer_address(struct orr_loop *loop, orr_handle socket, struct orr_address *ret_address)
{
    int32_t descriptor = descriptor_of(loop, socket);
    if (descriptor < 0)
        return descriptor;
    return loop->backend->peer_address(loop->backend_state, descriptor, ret_address);
}

int orr_directory_list(struct orr_loop *loop, orr_handle directory, orr_directory_visit visit,
                       void *context)
{
    int32_t descriptor = descriptor_of(loop, directory);
    if (descriptor < 0)
        return descriptor;
    return loop->backend->directory_list(loop->backend_state, descriptor, visit, context);
}

uint64_t orr_now(struct orr_loop *loop)
{
    return orr__now_ns(loop);
}

int64_t orr_wall_clock(struct orr_loop *loop)
{
    return (int64_t)loop->backend->now(loop->backend_state, ORR_CLOCK_WALL);
}

void orr_random(struct orr_loop *loop, void *buffer, size_t length)
{
    loop->backend->random(loop->backend_state, buffer, length);
}

void *orr_malloc(struct orr_loop *loop, size_t size)
{
    return orr_realloc(loop, NULL, size);
}

void *orr_realloc(struct orr_loop *loop, void *memory, size_t size)
{
    if (size == 0)
        orr_fatal("orr_malloc or orr_realloc of 0 bytes: use orr_free to free");
    return loop->backend->memory(loop->backend_state, memory, size);
}

void orr_free(struct orr_loop *loop, void *memory)
{
    if (memory != NULL)
        (void)loop->backend->memory(loop->backend_state, memory, 0);
}

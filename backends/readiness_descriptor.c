/*
 * readiness_descriptor.c: how the engine gets to know a descriptor, and how it forgets one.
 *
 * The model: sockets that the engine makes or accepts are non-blocking from the start. Whatever
 * else comes to it is looked at once, when it is adopted or first waited on, and switched if need
 * be.
 *
 * Invariants: a descriptor is forgotten before it is closed or released, with everything that the
 * poller was told or is still to be told of it. The blocking mode belongs to the open file, so
 * whoever shares the file gets it back.
 */
#define _GNU_SOURCE 1

#include "readiness.h"

#include "posix.h"

#include <errno.h>
#include <unistd.h>

struct orr__watch *orr__readiness_learn(struct orr__readiness *readiness, int32_t descriptor,
                                        int *ret_error)
{
    struct orr__watch *watch = orr__watches_find(&readiness->watches, descriptor);
    struct orr__identity identity;

    if (watch != NULL)
        return watch;
    *ret_error = orr__descriptor_identify(descriptor, &identity);
    if (*ret_error < 0)
        return NULL;
    const bool waits = identity.kind != ORR__KIND_FILE;
    const int switched = waits ? orr__descriptor_block(descriptor, false) : 0;
    *ret_error = switched < 0 ? switched : 0;
    if (switched < 0)
        return NULL;
    watch = orr__watches_add(&readiness->watches, descriptor, identity.kind);
    watch->device = identity.device;
    watch->inode = identity.inode;
    watch->unblocked = switched > 0;
    orr__watches_set_sharing(&readiness->watches, watch, waits && switched == 0);
    return watch;
}

/* The blocking mode belongs to the open file, which others may share: it is given back, unless one
 * of the loop's own descriptors shares the file and does so later. */
static void give_mode_back(struct orr__readiness *readiness, struct orr__watch *watch)
{
    struct orr__watch *heir = orr__watches_sharing(&readiness->watches, watch);

    if (heir == NULL) {
        (void)orr__descriptor_block(watch->descriptor, true);
        return;
    }
    orr__watches_set_sharing(&readiness->watches, heir, false);
    heir->unblocked = true;
}

void orr__readiness_forget(struct orr__readiness *readiness, int32_t descriptor)
{
    struct orr__watch *watch = orr__watches_find(&readiness->watches, descriptor);

    if (watch == NULL)
        return;
    if (watch->armed != 0 || readiness->poller->pending(readiness->poller_state))
        readiness->poller->forget(readiness->poller_state, descriptor, watch->armed);
    if (watch->listed)
        orr__readiness_unlist(readiness, watch);
    if (watch->unblocked)
        give_mode_back(readiness, watch);
    orr__watches_remove(&readiness->watches, watch);
}

int32_t orr__readiness_socket(void *state, enum orr_family family, enum orr_socket_type type)
{
    struct orr__readiness *readiness = state;
    const int32_t descriptor = orr__posix_socket(state, family, type);

    if (descriptor < 0)
        return descriptor;
    const int error = orr__descriptor_block(descriptor, false);
    if (error < 0) {
        (void)close(descriptor);
        return error;
    }
    (void)orr__watches_add(&readiness->watches, descriptor, ORR__KIND_SOCKET);
    return descriptor;
}

int32_t orr__readiness_adopt(void *state, int32_t descriptor)
{
    struct orr__readiness *readiness = state;
    int error = orr__posix_adopt(state, descriptor);

    if (orr__watches_find(&readiness->watches, descriptor) != NULL)
        orr_fatal("orr_adopt: descriptor %d is the loop's already: it was adopted twice, or closed "
                  "without orr_close",
                  descriptor);
    if (error >= 0)
        return orr__readiness_learn(readiness, descriptor, &error) != NULL ? descriptor : error;
    return error;
}

void orr__readiness_release(void *state, int32_t descriptor)
{
    orr__readiness_forget(state, descriptor);
}

void orr__readiness_discard(void *state, int32_t descriptor)
{
    orr__readiness_forget(state, descriptor);
    orr__posix_discard(NULL, descriptor);
}

void orr__readiness_unlist(struct orr__readiness *readiness, struct orr__watch *watch)
{
    watch->listed = false;
    if (watch->previous != NULL)
        watch->previous->next = watch->next;
    else
        readiness->changes = watch->next;
    if (watch->next != NULL)
        watch->next->previous = watch->previous;
}

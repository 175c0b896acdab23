/*
 * ensure.h: the invariant check of the key-value server.
 *
 * A broken invariant in a server that promises durability must stop it before it acknowledges
 * anything more, so the check is in every build: <assert.h> would vanish under NDEBUG.
 */
#ifndef KV_ENSURE_H
#define KV_ENSURE_H

#include <stdio.h>
#include <stdlib.h>

#define kv_ensure(condition)                                                                      \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: kv: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                              \
        }                                                                                         \
    } while (0)

#endif

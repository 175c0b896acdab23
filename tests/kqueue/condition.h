/*
 * condition.h: is a descriptor ready in the sense of a BSD filter? For the kqueue of tests.
 *
 * Stateless: each call asks the kernel anew, consumes nothing (no byte, no pending socket error)
 * and changes nothing.
 */
#ifndef TESTS_KQUEUE_CONDITION_H
#define TESTS_KQUEUE_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

struct condition {
    bool ready;
    bool eof;
    unsigned int error; /* the socket's pending error, at eof only: there it is fflags */
    intptr_t data;
};

struct condition condition_of_read(int descriptor);
struct condition condition_of_write(int descriptor);

#endif

/*
 * fixture.h: what tests of the shim's calls start from: a kqueue, and a pipe with one byte in it.
 */
#ifndef TESTS_KQUEUE_FIXTURE_H
#define TESTS_KQUEUE_FIXTURE_H

#include "calls.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static int kq;
static int ends[2];
static char first; /* somewhere to point udata */

static inline void open_all(void)
{
    kq = kqueue();
    must(kq >= 0);
    must_be(pipe2(ends, O_NONBLOCK), 0);
    must_be((int)write(ends[1], "x", 1), 1);
}

static inline void take_byte(void)
{
    char byte;
    must_be((int)read(ends[0], &byte, 1), 1);
}

static inline void must_poll(int events)
{
    struct pollfd poller = {.fd = kq, .events = POLLIN};
    must_be(poll(&poller, 1, 0), events);
}

#endif

/*
 * knotes.h: the knotes of one kqueue, and the epoll that watches their descriptors. kqueue.c makes
 * calls of it.
 *
 *     kqueue descriptor: an epoll of --> sides[READ]:  an epoll of the descriptors of read knotes
 *                                    --> sides[WRITE]: the same of write knotes
 *                                    --> own: an eventfd, readable while the shim knows of more
 *
 * None of this locks or waits. All results are 0 or an errno, if nothing else is said.
 */
#ifndef TESTS_KQUEUE_KNOTES_H
#define TESTS_KQUEUE_KNOTES_H

#include <sys/event.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>

#define KNOTES_MAX 4096

enum { SIDE_READ, SIDE_WRITE, SIDES };

enum watch { WATCH_NOT, WATCH_LEVEL, WATCH_EDGE, WATCH_FILE };

struct knote {
    bool alive;
    bool enabled;
    bool hit;         /* epoll saw something, or a user event is triggered */
    enum watch watch; /* how its side's epoll has it; WATCH_FILE: it refused */
    struct kevent event;
};

struct knotes {
    int descriptor; /* the kqueue's own */
    int sides[SIDES];
    int own;
    bool own_readable;
    size_t cursor; /* whose turn it is to be reported first */
    size_t high;   /* no knote lives at or above it */
    struct knote table[KNOTES_MAX];
    struct epoll_event hits[KNOTES_MAX];
};

/* On failure nothing is open. */
int knotes_open(struct knotes *kq);

/* Closes all but the kqueue's descriptor. */
void knotes_close(struct knotes *kq);

/* One entry of a change list. */
int knotes_change(struct knotes *kq, const struct kevent *change);

/* Writes what is ready now; returns how many, 0 to `events_max`. */
int knotes_report(struct knotes *kq, struct kevent *events, int events_max);

/* To be called last whenever something was changed: the descriptor is readable if there is more. */
void knotes_settle(struct knotes *kq);

/* Drops the knotes of a descriptor that is about to be closed; not later: epoll finds its entry
 * while the number means the file. */
void knotes_forget(struct knotes *kq, int descriptor);

/* The C library's, past the linker's --wrap. */
int __real_close(int descriptor);

#endif

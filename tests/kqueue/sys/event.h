/*
 * sys/event.h: the BSD kqueue interface for tests on Linux; kqueue.c beside this folder implements
 * it.
 *
 * It declares only what macOS, FreeBSD, NetBSD and OpenBSD have in common (no kqueue1, kevent64 or
 * NOTE_LOWAT), so that what compiles here compiles there. Values are those of macOS. As there,
 * struct timespec is the includer's to define.
 */
#ifndef TESTS_KQUEUE_SYS_EVENT_H
#define TESTS_KQUEUE_SYS_EVENT_H

#include <stdint.h>

struct timespec;

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned int fflags;
    intptr_t data;
    void *udata;
};

/* Evaluates each argument once. */
#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_) \
    do {                                                               \
        struct kevent *const event_to_set_ = (event);                  \
        event_to_set_->ident = (uintptr_t)(ident_);                    \
        event_to_set_->filter = (short)(filter_);                      \
        event_to_set_->flags = (unsigned short)(flags_);               \
        event_to_set_->fflags = (unsigned int)(fflags_);               \
        event_to_set_->data = (intptr_t)(data_);                       \
        event_to_set_->udata = (void *)(udata_);                       \
    } while (0)

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_USER (-10)

/* Actions. */
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008

/* Ways to report. */
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080

/* What only kevent sets. */
#define EV_SYSFLAGS 0xF000
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

/* fflags of EVFILT_USER: trigger it; 24 bits of the program's own, and what to do with them. */
#define NOTE_TRIGGER 0x01000000u
#define NOTE_FFNOP 0x00000000u
#define NOTE_FFAND 0x40000000u
#define NOTE_FFOR 0x80000000u
#define NOTE_FFCOPY 0xC0000000u
#define NOTE_FFCTRLMASK 0xC0000000u
#define NOTE_FFLAGSMASK 0x00FFFFFFu

int kqueue(void);
int kevent(int kq, const struct kevent *changelist, int nchanges, struct kevent *eventlist,
           int nevents, const struct timespec *timeout);

#endif

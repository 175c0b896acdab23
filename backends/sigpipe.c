/*
 * sigpipe.c: see sigpipe.h.
 *
 * The signal of a broken pipe is sent to the thread that writes, and waits there while the thread
 * blocks it. One that waited already, because the program blocks it, is the program's and stays.
 */
#define _GNU_SOURCE 1

#include "sigpipe.h"

#include <errno.h>
#include <stddef.h>

static bool is_ignored(void)
{
    struct sigaction present;

    return sigaction(SIGPIPE, NULL, &present) == 0 && (present.sa_flags & SA_SIGINFO) == 0 &&
           present.sa_handler == SIG_IGN;
}

static bool is_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static sigset_t only_sigpipe(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    return set;
}

void orr__sigpipe_hold(struct orr__sigpipe *hold)
{
    const sigset_t set = only_sigpipe();
    const int error = errno;

    hold->held =
        !is_ignored() && !is_pending() && pthread_sigmask(SIG_BLOCK, &set, &hold->before) == 0;
    errno = error;
}

void orr__sigpipe_release(const struct orr__sigpipe *hold)
{
    const sigset_t set = only_sigpipe();
    const int error = errno;
    int number;

    if (!hold->held)
        return;
    if (is_pending())
        (void)sigwait(&set, &number);
    (void)pthread_sigmask(SIG_SETMASK, &hold->before, NULL);
    errno = error;
}

/*
 * sigpipe.h: keeps SIGPIPE from a program that handles it itself. Internal to backends/.
 *
 * A send says that it wants no signal; a write to what is no socket cannot. So the thread holds the
 * signal while it writes, and takes away what the write has raised. A program that ignores SIGPIPE,
 * as opening a loop makes it do unless it has a handler, pays one look.
 */
#ifndef ORR_BACKENDS_SIGPIPE_H
#define ORR_BACKENDS_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct orr__sigpipe {
    bool held;
    sigset_t before;
};

/* From here on no SIGPIPE reaches this thread, until the release; errno stays as it is. */
void orr__sigpipe_hold(struct orr__sigpipe *hold);
void orr__sigpipe_release(const struct orr__sigpipe *hold);

#endif

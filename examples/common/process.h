/*
 * process.h: what a server's main does because it is a process, and not because of what it serves:
 * opening a loop, ending on a signal, keeping a directory to itself. For mains only: application
 * code gets its loop, and may share its process with others.
 */
#ifndef EXAMPLES_COMMON_PROCESS_H
#define EXAMPLES_COMMON_PROCESS_H

#include <orrery/io.h>

/* Opens a loop; NULL after saying on stderr, in the name of `program`, why there is none. */
struct orr_loop *process_open_loop(const char *program);

/* From now on SIGTERM and SIGINT wake the loop, one loop per process; until they are ignored, which
 * must be before the loop is closed. */
void process_wake_on_signals(struct orr_loop *loop);
void process_ignore_signals(void);

/* Takes the directory for this process until it ends or closes the descriptor that is returned: two
 * writers would ruin a log. -1 after saying why not. */
int process_lock_directory(const char *program, const char *directory);

#endif

/*
 * process.c: see process.h. The one global is the loop that a signal handler has to find.
 */
#define _POSIX_C_SOURCE 200809L /* sigaction, O_DIRECTORY */

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* For the signal handler only. */
static struct orr_loop *signal_loop;

struct orr_loop *process_open_loop(const char *program)
{
    char error[256] = "";
    struct orr_options options = {.error = error, .error_size = sizeof(error)};
    struct orr_loop *loop;
    int result = orr_loop_open(&options, &loop);
    if (result < 0) {
        fprintf(stderr, "%s: cannot open an I/O loop: %s\n", program,
                error[0] != '\0' ? error : strerror(-result));
        return NULL;
    }
    return loop;
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    orr_wake(signal_loop);
}

static void handle_signals(void (*handler)(int signal_number))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

void process_wake_on_signals(struct orr_loop *loop)
{
    signal_loop = loop;
    handle_signals(on_signal);
}

void process_ignore_signals(void)
{
    handle_signals(SIG_IGN);
}

int process_lock_directory(const char *program, const char *directory)
{
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        fprintf(stderr,
                "%s: cannot open the directory %s: %s; make it, or name another one with --dir\n",
                program, directory, strerror(errno));
        return -1;
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
        const char *reason = errno == EWOULDBLOCK ? "another server uses it" : strerror(errno);
        fprintf(stderr,
                "%s: cannot lock the directory %s: %s; stop that one, or name another directory "
                "with --dir\n",
                program, directory, reason);
        close(descriptor);
        return -1;
    }
    return descriptor;
}

/*
 * addresses.c: the same addresses in every run. A program that orders by pointers, or hashes them,
 * does something else each time the system lays its memory out at random. That is switched off for
 * this process and what it forks, which takes starting the program over: the layout is made by
 * exec.
 *
 * The mark in the environment says that this is the second start, so that a system that takes the
 * wish and ignores it is not asked for ever.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */

#include "campaign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/personality.h>

#define MARK "ORRERY_STARTED_OVER"
#define ASK 0xffffffffUL

/* Starts the program over in a process that has this personality. Returns -errno when it cannot. */
static int start_over(unsigned long before, char **argv)
{
    if (personality(before | ADDR_NO_RANDOMIZE) < 0)
        return -errno;
    int status = -ENOMEM;
    if (setenv(MARK, "1", 1) == 0) {
        fflush(NULL);
        execv("/proc/self/exe", argv);
        status = -errno;
        unsetenv(MARK);
    }
    personality(before);
    return status;
}

int orr__addresses_fix(char **argv)
{
    bool again = getenv(MARK) != NULL;
    unsetenv(MARK); /* seeds see the environment that the user gave */
    int before = personality(ASK);
    if (before < 0)
        return -errno;
    if (((unsigned)before & ADDR_NO_RANDOMIZE) != 0)
        return 0;
    return again ? -EPERM : start_over((unsigned)before, argv);
}

#else

int orr__addresses_fix(char **argv)
{
    (void)argv;
    return -ENOTSUP;
}

#endif

void orr__addresses_tell(const struct orr__command *command)
{
    if (command->addresses_status == 0)
        return;
    fprintf(stderr,
            "%s: memory has other addresses in every run here (%s): if the seed does not replay, "
            "look for code that depends on the order of pointers\n",
            command->program, strerror(-command->addresses_status));
}

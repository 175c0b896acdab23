/*
 * dies.h: tests of caught errors: what must abort is run in a child process, and what it prints is
 * compared, so that a test knows an abort for the right reason from any other.
 */
#ifndef ORR_TESTS_IO_DIES_H
#define ORR_TESTS_IO_DIES_H

#include <stdint.h>

/* Runs run(context) in a child, which must end by SIGABRT having printed each of the needles (NULL
 * ends them) to stderr; fails the test otherwise. */
void dies(void (*run)(void *context), void *context, const char *const *needles);

#define DIES(run, context, ...) dies((run), (context), (const char *const[]){__VA_ARGS__, NULL})

#endif

/*
 * every.h: submits an operation given by its number, with harmless arguments, so that a test can go
 * over all of them.
 */
#ifndef ORR_TESTS_IO_EVERY_H
#define ORR_TESTS_IO_EVERY_H

#include "tests/io/probe.h"

#define EVERY_LENGTH 64u /* bytes of each transfer */

/* The first and last operation that reach a backend. */
#define EVERY_FIRST ORR_OP_ACCEPT
#define EVERY_LAST ORR_OP_POLL

/* Any of EVERY_FIRST to EVERY_LAST, on `handle`. */
void every_submit(struct orr_loop *loop, enum orr_op op, struct probe *probe, orr_handle handle);

/* True for the operations that take a directory and a path. */
bool every_takes_path(enum orr_op op);

#endif

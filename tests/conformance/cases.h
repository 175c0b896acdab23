/*
 * cases.h: the tables of cases, one for each cases_*.c, each ended by a case without a name.
 */
#ifndef ORR_TESTS_CONFORMANCE_CASES_H
#define ORR_TESTS_CONFORMANCE_CASES_H

#include "tests/conformance/conformance.h"

extern const struct conformance_case
    cases_loop[]; /* run calls, callbacks, overflow, caught errors */
extern const struct conformance_case cases_time[]; /* timers, clocks, wake */
extern const struct conformance_case cases_file[]; /* what one does with a file */
extern const struct conformance_case cases_name[]; /* what one does with names and directories */
extern const struct conformance_case
    cases_socket[]; /* the immediate calls, connect, accept, poll */
extern const struct conformance_case cases_socket_name[]; /* Unix sockets and their files */
extern const struct conformance_case cases_socket_rw[];   /* read and write of sockets */
extern const struct conformance_case cases_stream[];      /* bytes, and the ends of streams */
extern const struct conformance_case cases_datagram[];
extern const struct conformance_case cases_streams[]; /* traps: many operations on one stream */
extern const struct conformance_case cases_cancel[];  /* cancel, close, drain */
extern const struct conformance_case cases_reuse[];   /* descriptors that come and go */
extern const struct conformance_case cases_load[];    /* many operations of all kinds at once */
extern const struct conformance_case cases_limit[];   /* what the system has an end of */

/* On kernels only. */
extern const struct conformance_case cases_thread[];     /* threads, signals, processor time */
extern const struct conformance_case cases_nested[];     /* a loop inside another */
extern const struct conformance_case cases_descriptor[]; /* descriptors of the system */

#endif

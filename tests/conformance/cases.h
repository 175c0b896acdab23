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
extern const struct conformance_case cases_cancel[]; /* cancel, close, drain */
extern const struct conformance_case cases_kernel[]; /* what only a kernel has */

/* All of them, ended by NULL. */
extern const struct conformance_case *const conformance_tables[];

#endif

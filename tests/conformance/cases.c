/*
 * cases.c: the table of tables.
 */
#include "tests/conformance/cases.h"

const struct conformance_case *const conformance_tables[] = {
    cases_loop,     cases_time,   cases_file,   cases_name,        cases_socket,    cases_stream,
    cases_datagram, cases_cancel, cases_kernel, cases_socket_name, cases_socket_rw, NULL,
};

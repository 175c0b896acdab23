/*
 * cases.c: the tables of tables.
 */
#include "tests/conformance/cases.h"

const struct conformance_case *const conformance_common[] = {
    cases_loop,   cases_time,        cases_file,      cases_name,   cases_socket,
    cases_stream, cases_streams,     cases_datagram,  cases_cancel, cases_reuse,
    cases_load,   cases_socket_name, cases_socket_rw, cases_limit,  NULL,
};

const struct conformance_case *const conformance_kernel[] = {
    cases_thread,
    cases_nested,
    cases_descriptor,
    NULL,
};

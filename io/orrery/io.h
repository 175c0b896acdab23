/*
 * io.h: the whole interface of Orrery for programs: one completion-based I/O interface that runs
 * unchanged on the system's kernel interface and in the simulated world. Include this.
 *
 *     static void on_recv(void *context, struct orr_completion *completion, int64_t result);
 *     ...
 *     orr_recv(loop, &connection->recv, connection->handle, buffer, sizeof buffer, on_recv,
 * connection); orr_run_until_idle(loop);
 *
 * loop.h opens and runs; operations.h and transfer.h submit; calls.h answers at once; site.h
 * (included last) makes every submit remember its line.
 */
#ifndef ORRERY_IO_H
#define ORRERY_IO_H

#include <orrery/types.h>
#include <orrery/completion.h>
#include <orrery/calls.h>
#include <orrery/loop.h>
#include <orrery/operations.h>
#include <orrery/transfer.h>
#include <orrery/site.h>

#endif

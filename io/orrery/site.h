/*
 * site.h: lets every submit remember the line that made it.
 *
 * In C each operation, and orr_socket, is a function and a macro of the same name: the macro notes
 * "file:line" in the loop and then calls the function, so that an error or a trace can say where an
 * operation was submitted. A language that calls the functions themselves just has no line;
 * (orr_recv)(loop, ...) avoids the macro in C.
 */
#ifndef ORRERY_SITE_H
#define ORRERY_SITE_H

#include <orrery/transfer.h>

ORR_BEGIN

/* Notes where the next submit to `loop` is made. `site` must live as long as the loop. Returns the
 * loop. */
ORR_API struct orr_loop *orr_at(struct orr_loop *loop, const char *site);

ORR_END

#if !defined(__cplusplus) && !defined(ORR_NO_SITES)

#define ORR_SITE_TEXT_(line) #line
#define ORR_SITE_TEXT(line) ORR_SITE_TEXT_(line)
#define ORR_SITE __FILE__ ":" ORR_SITE_TEXT(__LINE__)

#define orr_socket(loop, ...) orr_socket(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_accept(loop, ...) orr_accept(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_connect(loop, ...) orr_connect(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_recv(loop, ...) orr_recv(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_send(loop, ...) orr_send(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_recv_from(loop, ...) orr_recv_from(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_send_to(loop, ...) orr_send_to(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_shutdown(loop, ...) orr_shutdown(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_read(loop, ...) orr_read(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_write(loop, ...) orr_write(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_readv(loop, ...) orr_readv(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_writev(loop, ...) orr_writev(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_fsync(loop, ...) orr_fsync(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_fdatasync(loop, ...) orr_fdatasync(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_open(loop, ...) orr_open(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_close(loop, ...) orr_close(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_stat(loop, ...) orr_stat(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_rename(loop, ...) orr_rename(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_link(loop, ...) orr_link(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_unlink(loop, ...) orr_unlink(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_mkdir(loop, ...) orr_mkdir(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_truncate(loop, ...) orr_truncate(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_allocate(loop, ...) orr_allocate(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_poll(loop, ...) orr_poll(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_timeout(loop, ...) orr_timeout(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_next_tick(loop, ...) orr_next_tick(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_wait_wake(loop, ...) orr_wait_wake(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_cancel(loop, ...) orr_cancel(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_recv_exact(loop, ...) orr_recv_exact(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_read_exact(loop, ...) orr_read_exact(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_send_all(loop, ...) orr_send_all(orr_at((loop), ORR_SITE), __VA_ARGS__)
#define orr_write_all(loop, ...) orr_write_all(orr_at((loop), ORR_SITE), __VA_ARGS__)

#endif
#endif

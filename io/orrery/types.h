/*
 * types.h: the words that every other header uses: handles, times, callbacks, export marks.
 *
 * Every quantity has an explicit width and its unit in its name. Results are one signed number:
 * >= 0 is success (bytes, a handle, or 0), < 0 is -errno.
 */
#ifndef ORRERY_TYPES_H
#define ORRERY_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define ORR_BEGIN extern "C" {
#define ORR_END }
#else
#define ORR_BEGIN
#define ORR_END
#endif

#if defined(__GNUC__)
#define ORR_API __attribute__((visibility("default")))
#define ORR_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define ORR_NORETURN __attribute__((noreturn))
#else
#define ORR_API
#define ORR_PRINTF(text, first)
#define ORR_NORETURN
#endif

#define ORR_MICROSECOND UINT64_C(1000)
#define ORR_MILLISECOND UINT64_C(1000000)
#define ORR_SECOND UINT64_C(1000000000)
#define ORR_MINUTE (60 * ORR_SECOND)

/*
 * A handle names a socket, a file or a directory of one loop. It is never negative and never used
 * twice: it holds a slot of the loop's table and the slot's generation, so a handle kept after its
 * close answers -EBADF for ever instead of reaching whatever the kernel opened under the same
 * number.
 */
typedef int64_t orr_handle;

#define ORR_HANDLE_NONE ((orr_handle)-1)
/* Stands where a directory handle is asked for: paths are relative to the current directory (in the
 * world: to the root of the node's disk). */
#define ORR_DIRECTORY_CURRENT ((orr_handle)-2)

/* The longest transfer that one operation does; a longer one is cut to it, like any partial
 * transfer. */
#define ORR_TRANSFER_MAX ((size_t)0x7ffff000)

struct orr_loop;
struct orr_completion;

/*
 * Ends an operation. `context` is what was given when the operation was submitted, `result` is >= 0
 * or -errno. The completion and its buffers belong to the caller again: the same completion may be
 * submitted from inside the callback.
 */
typedef void (*orr_callback)(void *context, struct orr_completion *completion, int64_t result);

#endif

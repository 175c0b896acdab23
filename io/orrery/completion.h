/*
 * completion.h: the caller-owned struct of one operation, and the list of operations.
 *
 * The caller gives the memory: zeroed before its first use, at one address from submit until its
 * callback starts. In that time it belongs to the loop, with every buffer, path and address that
 * the operation names. Submitting a completion that is in flight is a caught error.
 *
 * The fields are visible because the caller must know the size; none is for the caller to touch
 * except `context`, which the caller may read. Backends read `request` (see backend.h).
 *
 *      idle --submit--> overflowed --> queued --> completed --callback--> idle
 *                 \_____________________/            /
 *                  \--> waiting (timer, wake, cancel, close) -/
 */
#ifndef ORRERY_COMPLETION_H
#define ORRERY_COMPLETION_H

#include <orrery/types.h>

ORR_BEGIN

struct orr_address;
struct orr_datagram;
struct orr_stat;
struct orr_vector;

enum orr_op {
    ORR_OP_NONE,
    ORR_OP_ACCEPT,
    ORR_OP_CONNECT,
    ORR_OP_RECV,
    ORR_OP_SEND,
    ORR_OP_RECV_FROM,
    ORR_OP_SEND_TO,
    ORR_OP_SHUTDOWN,
    ORR_OP_READ,
    ORR_OP_WRITE,
    ORR_OP_READV,
    ORR_OP_WRITEV,
    ORR_OP_FSYNC,
    ORR_OP_FDATASYNC,
    ORR_OP_OPEN,
    ORR_OP_CLOSE,
    ORR_OP_STAT,
    ORR_OP_RENAME,
    ORR_OP_LINK,
    ORR_OP_UNLINK,
    ORR_OP_MKDIR,
    ORR_OP_TRUNCATE,
    ORR_OP_ALLOCATE,
    ORR_OP_POLL,
    /* From here on the loop does the work; no backend sees these. */
    ORR_OP_TIMEOUT,
    ORR_OP_NEXT_TICK,
    ORR_OP_WAKE,
    ORR_OP_CANCEL,
    ORR_OP_COUNT
};

/* What an operation was asked to do; which fields count depends on `op`. 40 bytes. */
union orr_arguments {
    struct { /* RECV SEND READ WRITE; READV WRITEV use `vectors` and a count in `length` */
        union {
            void *buffer;
            const void *data;
            const struct orr_vector *vectors;
        };
        uint64_t offset; /* in the file, bytes */
        uint32_t length; /* asked for in this attempt, bytes */
        uint32_t done;   /* bytes done by earlier attempts of a whole transfer */
        uint32_t whole;  /* bytes of the whole transfer, 0 = one attempt is enough */
        uint32_t reserved;
    } transfer;
    struct { /* ACCEPT (filled in, may be NULL), CONNECT */
        struct orr_address *accepted;
        const struct orr_address *target;
    } peer;
    struct orr_datagram *datagram; /* RECV_FROM, SEND_TO */
    struct {                       /* OPEN STAT RENAME LINK UNLINK MKDIR */
        const char *path;
        const char *path_new;
        struct orr_stat *stat;
        uint32_t flags;
        uint32_t mode;
    } path;
    struct { /* TRUNCATE ALLOCATE */
        uint64_t offset;
        uint64_t length;
    } range;
    uint32_t events; /* POLL: enum orr_poll_events; SHUTDOWN: enum orr_shutdown */
    struct {         /* TIMEOUT: a node of the loop's pairing heap */
        uint64_t deadline_ns;
        uint64_t sequence;
        struct orr_completion *child;
        struct orr_completion *sibling;
        struct orr_completion *before;
    } timer;
    struct orr_completion *target; /* CANCEL */
    struct {                       /* any operation that a backend sees */
        uint64_t others[4];        /* the fields above are in here */
        void *mark;                /* the backend's: NULL when it sees the operation first */
    } backend;
};

/* The request object: the whole of what a backend is told about an operation. */
struct orr_request {
    uint8_t op;           /* enum orr_op */
    uint8_t state;        /* the loop's: where the completion is */
    uint8_t flags;        /* the loop's: cancel wanted, cancel sent, ... */
    uint8_t backend_bits; /* the backend's while it holds the completion; 0 on arrival */
    int32_t descriptor; /* the backend's own number of the handle; -1 = none (current directory) */
    uint32_t slot;      /* the loop's: slot of the handle table; 0 = no handle */
    uint32_t slot_new;  /* the loop's: slot kept for the handle that ACCEPT or OPEN makes */
    union orr_arguments arguments;
};

struct orr_completion {
    struct orr_completion *next; /* the queue it is in; the backend's while queued there */
    struct orr_completion *previous;
    struct orr_completion *handle_next; /* operations of the same handle */
    struct orr_completion **handle_link;
    orr_callback callback;
    void *context;
    struct orr_completion *canceler; /* the CANCEL that waits for this operation's end */
    const char *site;                /* "file:line" of the submit, or NULL */
    int64_t result;
    struct orr_request request;
};

#if !defined(__cplusplus)
_Static_assert(sizeof(struct orr_completion) <= 128, "a completion is at most 128 bytes");
#endif

/* The operation's name, "recv", "fsync", ...; "unknown" for a number that is none. */
ORR_API const char *orr_op_name(uint8_t op);

/* The name of a positive errno, "ECONNRESET", for messages; "an unknown error" for a number that is
 * none. */
ORR_API const char *orr_error_name(int error);

/* True while the completion belongs to the loop: from submit until its callback starts. */
ORR_API bool orr_in_flight(const struct orr_completion *completion);

ORR_END
#endif

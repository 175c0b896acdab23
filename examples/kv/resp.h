/*
 * resp.h: the RESP2 protocol, as Redis clients speak it: requests in, replies out.
 *
 * A request is an array of bulk strings, or an inline command (a line of words, for people with
 * telnet). Requests follow each other without waiting (pipelining), and the network may cut them
 * anywhere. The parser takes whatever has arrived so far and says one of three things:
 *
 *      KV_RESP_MORE      not a whole command yet: come back with the same bytes and some more
 *      KV_RESP_COMMAND   a whole command: so long, so many arguments
 *      KV_RESP_ERROR     not the protocol: reply `parser.error` and close the connection
 *
 * It copies nothing and allocates nothing. Finding a command's end and finding its arguments are
 * two steps: kv_resp_parse remembers how far it got and never looks twice at a byte, whatever the
 * pieces (a bulk is stepped over, not read); kv_resp_split then fills in the arguments of a whole
 * command, whose number is known by then. So one array of arguments serves all connections, and a
 * waiting connection holds none.
 *
 * Whether a stream of bytes is taken or refused, and with which words, does not depend on where it
 * was cut. Refusals and leniencies are those of Redis 7.0, except where that would hurt: the two
 * bytes after a length or a bulk must be CR LF (Redis skips them unread: the data of a client whose
 * lengths are wrong would then run as commands), a command as a whole has a limit, and a NUL in an
 * inline command is a byte like any other (Redis does not see the end of a line behind one).
 */
#ifndef KV_RESP_H
#define KV_RESP_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* The longest line without its end: an inline command, or a count or length line. As in Redis. */
#define KV_RESP_LINE_LENGTH_MAX ((size_t)64 * 1024)

/* The largest bulk that limits may allow. As in Redis. */
#define KV_RESP_BULK_LENGTH_MAX ((uint32_t)512 * 1024 * 1024)

#define KV_RESP_ERROR_SIZE 80

/* What one server accepts. */
struct kv_resp_limits {
    uint32_t arguments_max;    /* per command, the command's name included */
    uint32_t bulk_length_max;  /* bytes; at most KV_RESP_BULK_LENGTH_MAX */
    size_t command_length_max; /* bytes of a whole command as sent */
};

/* A buffer of this length never fills up with KV_RESP_MORE. */
#define KV_RESP_BUFFER_LENGTH(limits) ((limits)->command_length_max + KV_RESP_LINE_LENGTH_MAX + 2)

enum kv_resp_result {
    KV_RESP_MORE,
    KV_RESP_COMMAND,
    KV_RESP_ERROR,
};

/* A whole command at the front of the bytes parsed. */
struct kv_resp_command {
    size_t length;           /* bytes to drop once it has run */
    uint32_t argument_count; /* 0: an empty command (a lone CR LF, "*0"): drop it, no reply */
    uint32_t is_inline;
};

/* One connection's parser. Only `wanted` and `error` are for readers. All positions count from the
 * first byte of the command. */
struct kv_resp_parser {
    struct kv_resp_limits limits;
    uint32_t phase;
    uint32_t argument_count;
    uint32_t bulks_left;
    uint32_t bulk_length;
    size_t position; /* where the part being read begins */
    size_t searched; /* the line being read does not end before here */
    size_t wanted;   /* after KV_RESP_MORE: with fewer bytes than this there is no progress */
    char error[KV_RESP_ERROR_SIZE]; /* after KV_RESP_ERROR: "Protocol error: ..." */
};

/* Begins at the start of a stream. */
void kv_resp_init(struct kv_resp_parser *parser, const struct kv_resp_limits *limits);

/* Looks for a whole command at the front of `bytes`. After KV_RESP_MORE the next call must show the
 * same bytes, at any address, followed by more (or by none: the answer is the same). After
 * KV_RESP_COMMAND, `*ret_command` is set and the next call must begin where the command ended.
 * After KV_RESP_ERROR every call answers KV_RESP_ERROR. */
enum kv_resp_result kv_resp_parse(struct kv_resp_parser *parser, const uint8_t *bytes,
                                  size_t length, struct kv_resp_command *ret_command);

/* Fills in the `command->argument_count` arguments of a command that kv_resp_parse found at the
 * front of `bytes`. They point into `bytes`, where quotes and escapes of an inline command are
 * resolved in place: split a command once. */
void kv_resp_split(const struct kv_resp_command *command, uint8_t *bytes,
                   struct kv_slice *ret_arguments);

/* Replies, appended to `replies`; when they do not fit, the buffer's `failed` says so. The text of
 * a simple string or error is one line: CR and LF in it become spaces. */
void kv_reply_simple(struct kv_buffer *replies, const char *text);
void kv_reply_error(struct kv_buffer *replies, const char *text);
void kv_reply_integer(struct kv_buffer *replies, int64_t value);
void kv_reply_bulk(struct kv_buffer *replies, const void *bytes, size_t length);
void kv_reply_nil(struct kv_buffer *replies);
void kv_reply_array(struct kv_buffer *replies, uint32_t count);

#endif

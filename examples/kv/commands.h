/*
 * commands.h: what each command does.
 */
#ifndef KV_COMMANDS_H
#define KV_COMMANDS_H

#include "server.h"

struct kv_request {
    struct kv *kv;
    const struct kv_slice *arguments; /* the command's name first */
    uint32_t count;                   /* at least 1 */
    struct kv_buffer *replies;        /* with room for KV_REPLY_RESERVE bytes */
    bool quits;                       /* set by a command: close the connection after the reply */
};

/* Runs a command to its end: appends exactly one reply. The reply may be told once the log is
 * durable up to what is appended now. */
void kv_command_run(struct kv_request *request);

#endif

/*
 * served.h: a kv server in a bare world, and one client that a test tells what to send.
 *
 * Nothing fails but what a test makes fail, so what happens is the same every time. Time passes in
 * small steps (served_run), between which a test looks at the server from the inside and crashes or
 * stops it.
 *
 * The client's keys have growing numbers as values. An acknowledged one must be there for ever; one
 * that was sent and not answered may be.
 */
#ifndef KV_TEST_SERVED_H
#define KV_TEST_SERVED_H

#include <orrery/sim.h>

#include "examples/kv/server.h"

#define SERVED_KEYS 8u

struct served_key {
    uint32_t acknowledged;
    uint32_t sent;
};

struct served {
    struct orr_world *world;
    struct orr_node *server;
    struct orr_node *client;
    struct kv_config config;
    orr_handle socket;
    struct orr_completion connecting;
    struct orr_completion sending;
    struct orr_completion receiving;
    struct orr_completion closing;
    struct orr_completion other; /* for the test, on the server's loop */
    int64_t other_result;
    bool is_connected;
    char out[4096];
    char part[4096]; /* being received */
    char in[16384];  /* replies, and a NUL */
    size_t in_length;
    char said[16384]; /* by the server: lines */
    struct served_key keys[SERVED_KEYS];
    uint32_t writes; /* sent, ever */
};

/* Boots the server with a log that is written anew above so many bytes, and connects the client.
 * `served` stays where it is. */
void served_begin(struct served *served, uint64_t compact_above);
void served_end(struct served *served);

/* NULL while the server is down. */
struct kv *served_kv(const struct served *served);

/* A few microseconds. */
void served_run(struct served *served);

/* Connects the client, anew if it was connected, once the server serves. */
void served_connect(struct served *served);

/* Sends commands, inline or RESP, all before them having been taken. */
void served_send(struct served *served, const char *text);
/* Waits for replies, demands that they are these, and forgets them. */
void served_expect(struct served *served, const char *replies);

/* Sends a write of the next key; takes its reply; does both. */
void served_write_begin(struct served *served);
void served_write_end(struct served *served);
void served_write(struct served *served);

/* Writes until a compaction is at that step, perhaps with a write on its way. */
void served_write_until(struct served *served, enum kv_compaction_step step);

/* Crashes the server and boots it again; connects and demands every acknowledged write. */
void served_crash(struct served *served, enum orr_crash kind);
void served_check(struct served *served);

/* Bytes of a file on the server's disk, or -ENOENT. */
int64_t served_file_length(struct served *served, const char *name);

#endif

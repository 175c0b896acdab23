/*
 * program.c: the names of steps and paths, and how a program is printed. The text is for people:
 * what repeats a program is its seed.
 */
#include "program.h"

#include <inttypes.h>
#include <string.h>

/* 255 bytes are the longest name. */
#define TEN "nnnnnnnnnn"
#define FIFTY TEN TEN TEN TEN TEN
#define LONGEST FIFTY FIFTY FIFTY FIFTY FIFTY "nnnnn"

static const char *const paths[PATHS] = {
    "a",    "b",   "c",     "d",      "e",     "d/a",    "d/b",       "d/e", "d/e/a",
    "e/a",  "e/d", "e/d/a", "./a",    "d/./b", "d/../a", "d/..",      "a/",  "d/",
    "d/e/", "a/x", "",      "gone/x", ".",     LONGEST,  LONGEST "n",
};

static const char *const names[STEP_OPS] = {
    [STEP_NONE] = "nothing",
    [STEP_SOCKET] = "socket",
    [STEP_BIND] = "bind",
    [STEP_LISTEN] = "listen",
    [STEP_OPTION_SET] = "option_set",
    [STEP_OPTION_GET] = "option_get",
    [STEP_LOCAL] = "local_address",
    [STEP_PEER] = "peer_address",
    [STEP_LIST] = "directory_list",
    [STEP_ACCEPT] = "accept",
    [STEP_CONNECT] = "connect",
    [STEP_RECV] = "recv",
    [STEP_SEND] = "send",
    [STEP_RECV_EXACT] = "recv_exact",
    [STEP_SEND_ALL] = "send_all",
    [STEP_RECV_FROM] = "recv_from",
    [STEP_SEND_TO] = "send_to",
    [STEP_SHUTDOWN] = "shutdown",
    [STEP_READ] = "read",
    [STEP_WRITE] = "write",
    [STEP_READ_EXACT] = "read_exact",
    [STEP_WRITE_ALL] = "write_all",
    [STEP_READV] = "readv",
    [STEP_WRITEV] = "writev",
    [STEP_FSYNC] = "fsync",
    [STEP_FDATASYNC] = "fdatasync",
    [STEP_OPEN] = "open",
    [STEP_CLOSE] = "close",
    [STEP_STAT] = "stat",
    [STEP_RENAME] = "rename",
    [STEP_LINK] = "link",
    [STEP_UNLINK] = "unlink",
    [STEP_MKDIR] = "mkdir",
    [STEP_TRUNCATE] = "truncate",
    [STEP_ALLOCATE] = "allocate",
    [STEP_POLL] = "poll",
    [STEP_TIMEOUT] = "timeout",
    [STEP_TICK] = "next_tick",
    [STEP_CANCEL] = "cancel",
    [STEP_WAIT] = "wait for all that can end",
    [STEP_PASSES] = "passes",
    [STEP_SETTLE] = "settle",
};

const char *program_path(uint8_t at)
{
    return paths[at % PATHS];
}

const char *step_name(uint8_t op)
{
    return names[op];
}

bool step_is_immediate(uint8_t op)
{
    return op >= STEP_SOCKET && op <= STEP_LIST;
}

bool step_submits(uint8_t op)
{
    return op >= STEP_ACCEPT && op <= STEP_CANCEL;
}

uint32_t program_length(const struct program *program)
{
    uint32_t length = 0;
    for (uint32_t i = 0; i < program->count; i++)
        length += program->steps[i].op != STEP_NONE ? 1 : 0;
    return length;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void print_path(FILE *file, uint8_t at)
{
    const char *path = program_path(at);
    if (at == PATHS)
        fprintf(file, "NULL");
    else if (strlen(path) > 20)
        fprintf(file, "\"%.4s...\" of %zu bytes", path, strlen(path));
    else
        fprintf(file, "\"%s\"", path);
}

static void print_flags(FILE *file, uint16_t flags, const char *const *of)
{
    const char *between = "";
    for (uint32_t i = 0; of[i] != NULL; i++)
        if ((flags >> i & 1) != 0) {
            fprintf(file, "%s%s", between, of[i]);
            between = "|";
        }
    if (*between == '\0')
        fprintf(file, "0");
}

static void print_path_step(FILE *file, const struct step *step)
{
    static const char *const open_flags[] = {"read",     "write",     "create", "exclusive",
                                             "truncate", "directory", "sync",   NULL};
    fprintf(file, "s%u, ", step->slot);
    print_path(file, step->path);
    if (step->op == STEP_OPEN) {
        fprintf(file, ", ");
        print_flags(file, step->flags, open_flags);
        fprintf(file, ", %03o", step->length);
    } else if (step->op == STEP_RENAME || step->op == STEP_LINK) {
        fprintf(file, ", ");
        print_path(file, step->path_new);
    } else if (step->op == STEP_MKDIR) {
        fprintf(file, ", %03o", step->length);
    } else if (step->op == STEP_UNLINK) {
        fprintf(file, step->kind == ORR_UNLINK_DIRECTORY ? ", directory" : ", file");
    }
}

static void print_target(FILE *file, const struct step *step)
{
    fprintf(file, "s%u, ", step->slot);
    if (step->kind == BY_PATH && step->op != STEP_SEND_TO)
        print_path(file, step->path);
    else if (step->other == step->slot)
        fprintf(file, step->op == STEP_BIND ? "a free address" : "peer");
    else
        fprintf(file, "address of s%u", step->other);
}

static void print_socket_step(FILE *file, const struct step *step)
{
    static const char *const families[] = {"none", "ip4", "ip6", "unix"};
    static const char *const options[] = {"no_delay",   "reuse_address",  "reuse_port",
                                          "keep_alive", "receive_buffer", "send_buffer",
                                          "only_ip6"};
    static const char *const hows[] = {"recv", "send", "both"};
    switch (step->op) {
    case STEP_SOCKET:
        fprintf(file, "%s, %s", families[step->kind], step->other == 0 ? "stream" : "datagram");
        break;
    case STEP_LISTEN:
        fprintf(file, "s%u, backlog %u", step->slot, step->length);
        break;
    case STEP_OPTION_SET:
        fprintf(file, "s%u, %s, %u", step->slot, options[step->kind], step->length);
        break;
    case STEP_OPTION_GET:
        fprintf(file, "s%u, %s", step->slot, options[step->kind]);
        break;
    case STEP_SHUTDOWN:
        fprintf(file, "s%u, %s", step->slot, hows[step->kind]);
        break;
    default:
        print_target(file, step);
        break;
    }
}

static void print_bytes_step(FILE *file, const struct step *step)
{
    static const char *const events[] = {"in", "out", "error", "hangup", NULL};
    fprintf(file, "s%u", step->slot);
    switch (step->op) {
    case STEP_RECV:
    case STEP_SEND:
    case STEP_RECV_EXACT:
    case STEP_SEND_ALL:
    case STEP_RECV_FROM:
        fprintf(file, ", %u bytes", step->length);
        break;
    case STEP_READ:
    case STEP_WRITE:
    case STEP_READ_EXACT:
    case STEP_WRITE_ALL:
    case STEP_ALLOCATE:
        fprintf(file, ", %u bytes at %" PRIu64, step->length, step->offset);
        break;
    case STEP_READV:
    case STEP_WRITEV:
        fprintf(file, ", %u bytes in %u vectors at %" PRIu64, step->length, step->kind,
                step->offset);
        break;
    case STEP_TRUNCATE:
        fprintf(file, ", to %" PRIu64, step->offset);
        break;
    case STEP_POLL:
        fprintf(file, ", ");
        print_flags(file, step->flags, events);
        break;
    default:
        break;
    }
}

static void print_arguments(FILE *file, const struct step *step, uint32_t at)
{
    switch (step->op) {
    case STEP_OPEN:
    case STEP_STAT:
    case STEP_RENAME:
    case STEP_LINK:
    case STEP_UNLINK:
    case STEP_MKDIR:
        print_path_step(file, step);
        break;
    case STEP_SEND_TO:
        fprintf(file, "%u bytes, ", step->length);
        print_socket_step(file, step);
        break;
    case STEP_SOCKET:
    case STEP_BIND:
    case STEP_LISTEN:
    case STEP_OPTION_SET:
    case STEP_OPTION_GET:
    case STEP_CONNECT:
    case STEP_SHUTDOWN:
        print_socket_step(file, step);
        break;
    case STEP_TIMEOUT:
    case STEP_SETTLE:
        if (step->op == STEP_TIMEOUT && step->length >= TIMEOUT_FOR_EVER)
            fprintf(file, "for ever");
        else
            fprintf(file, "%u ns", step->length);
        break;
    case STEP_PASSES:
        fprintf(file, "%u", step->length);
        break;
    case STEP_CANCEL:
        fprintf(file, "step %u", at - step->other);
        break;
    case STEP_WAIT:
    case STEP_TICK:
        break;
    default:
        print_bytes_step(file, step);
        break;
    }
}

void step_print(FILE *file, const struct program *program, uint32_t at)
{
    const struct step *step = &program->steps[at];
    fprintf(file, "%3u  ", at);
    if (step->op == STEP_OPEN || step->op == STEP_ACCEPT)
        fprintf(file, "s%u = ", step->other);
    else if (step->op == STEP_SOCKET)
        fprintf(file, "s%u = ", step->slot);
    fprintf(file, "%s(", step_name(step->op));
    print_arguments(file, step, at);
    fprintf(file, ")");
}

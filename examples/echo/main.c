/*
 * main.c: the echo program on the system's kernel. "echo serve ADDRESS" serves until SIGINT or
 * SIGTERM; "echo ask ADDRESS [MESSAGES]" sends messages there and checks what comes back.
 */
#include "echo.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_DEFAULT 1000
#define MESSAGES_MAX 1000000000

static struct orr_loop *signaled_loop;

static void on_signal(int number)
{
    (void)number;
    orr_wake(signaled_loop);
}

static void on_wake(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result == 0)
        orr_stop(context);
}

static int usage(FILE *out)
{
    fputs("usage: echo serve ADDRESS            for example: echo serve 127.0.0.1:7000\n"
          "       echo ask ADDRESS [MESSAGES]   for example: echo ask 127.0.0.1:7000 1000\n",
          out);
    return out == stdout ? 0 : 2;
}

static int serve(struct orr_loop *loop, const char *text, struct orr_address *address)
{
    if (echo_server_boot(loop, address) == NULL) {
        fprintf(
            stderr,
            "echo: cannot listen on %s: is the port in use, or the address not this machine's?\n",
            text);
        return 1;
    }
    static struct orr_completion wake; /* in flight until the drain at the latest */
    orr_wait_wake(loop, &wake, on_wake, loop);
    signaled_loop = loop;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("listening on %s\n", text);
    fflush(stdout);
    orr_run_until_idle(loop);
    return 0;
}

static int ask(struct orr_loop *loop, const struct orr_address *address, uint32_t messages)
{
    struct echo_task task = {.server = *address, .messages = messages};
    if (echo_client_boot(loop, &task) == NULL) {
        fputs("echo: no memory\n", stderr);
        return 1;
    }
    orr_run_until_idle(loop);
    printf("%u messages came back, %u of them different, %u reconnects\n",
           task.echoed + task.mismatches, task.mismatches, task.reconnects);
    return task.mismatches == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    bool serves = argc == 3 && strcmp(argv[1], "serve") == 0;
    bool asks = (argc == 3 || argc == 4) && strcmp(argv[1], "ask") == 0;
    if (!serves && !asks)
        return usage(stderr);
    char *end = NULL;
    long messages = argc == 4 ? strtol(argv[3], &end, 10) : MESSAGES_DEFAULT;
    struct orr_address address;
    if (orr_address_parse(argv[2], &address) < 0 || messages < 1 || messages > MESSAGES_MAX ||
        (end != NULL && *end != '\0')) {
        fprintf(stderr, "echo: bad address or number of messages (1 to %d)\n", MESSAGES_MAX);
        return usage(stderr);
    }
    char error[256] = "";
    struct orr_loop *loop;
    if (orr_loop_open(&(struct orr_options){.error = error, .error_size = sizeof error}, &loop) <
        0) {
        fprintf(stderr, "echo: %s\n", error);
        return 1;
    }
    int status = serves ? serve(loop, argv[2], &address) : ask(loop, &address, (uint32_t)messages);
    orr_drain(loop);
    orr_loop_close(loop);
    return status;
}

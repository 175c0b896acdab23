/*
 * main.c: the key-value server as a program.
 *
 *      kv --port 6379 --dir /var/lib/kv --compact-above 67108864
 *
 * It opens a loop, boots the server, and runs until nothing is in flight. SIGTERM and SIGINT wake
 * the loop, which the server takes as the wish to end. All that belongs to a process and not to a
 * server is here: options, signals, messages on stderr, the exit status, and the lock that keeps a
 * second server from the same directory (two writers would ruin the log).
 *
 * Exit status: 0 after a clean end, 1 after a failure, 2 for wrong usage.
 */
#define _POSIX_C_SOURCE 200809L /* getopt, close */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../common/process.h"
#include "kv.h"

#define PORT_DEFAULT 6379l
#define PORT_MAX 65535l
#define COMPACT_ABOVE_DEFAULT (64ull * 1024 * 1024)
#define COMPACT_ABOVE_MIN 4096ull

enum { EXIT_USAGE = 2 };

struct options {
    long port;
    const char *directory;
    unsigned long long compact_above;
};

static void print_usage(FILE *stream)
{
    fprintf(
        stream,
        "usage: kv [--port PORT] [--dir DIRECTORY] [--compact-above BYTES]\n"
        "A durable key-value server for Redis clients, on 127.0.0.1.\n"
        "\n"
        "  --port PORT       listen there (1 to %ld; default %ld)\n"
        "  --dir DIRECTORY   keep the log there (default: the current directory)\n"
        "  --compact-above BYTES\n"
        "                    write the log anew, in the background, when it is longer than that\n"
        "                    and than twice the live data (%llu or more; default %llu)\n"
        "  --help            print this and exit\n"
        "\n"
        "Replies are sent when what they say is durable. SIGTERM and SIGINT end it cleanly.\n",
        PORT_MAX, PORT_DEFAULT, COMPACT_ABOVE_MIN, COMPACT_ABOVE_DEFAULT);
}

static int wrong_usage(const char *what, const char *value)
{
    fprintf(stderr, "kv: %s: '%s'; try kv --help\n", what, value);
    return EXIT_USAGE;
}

static int parse_port(const char *text, long *ret_port)
{
    char *end;
    errno = 0;
    long port = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || port < 1 || port > PORT_MAX) {
        return wrong_usage("--port wants a number from 1 to 65535", text);
    }
    *ret_port = port;
    return EXIT_SUCCESS;
}

static int parse_compact_above(const char *text, unsigned long long *ret_bytes)
{
    char *end;
    errno = 0;
    unsigned long long bytes = strtoull(text, &end, 10);
    bool is_number = *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
    if (!is_number || bytes < COMPACT_ABOVE_MIN) {
        return wrong_usage("--compact-above wants a number of bytes, 4096 or more", text);
    }
    *ret_bytes = bytes;
    return EXIT_SUCCESS;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *ret_options)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"dir", required_argument, NULL, 'd'},
        {"compact-above", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'p':
            if (parse_port(optarg, &ret_options->port) != EXIT_SUCCESS) {
                return EXIT_USAGE;
            }
            break;
        case 'd':
            ret_options->directory = optarg;
            break;
        case 'c':
            if (parse_compact_above(optarg, &ret_options->compact_above) != EXIT_SUCCESS) {
                return EXIT_USAGE;
            }
            break;
        case 'h':
            print_usage(stdout);
            return EXIT_SUCCESS;
        default: /* getopt_long has said what is wrong */
            fprintf(stderr, "kv: try kv --help\n");
            return EXIT_USAGE;
        }
    }
    return optind == argc ? -1 : wrong_usage("unexpected argument", argv[optind]);
}

static void report(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "kv: %s\n", line);
}

static int serve(const struct options *options)
{
    char listen[sizeof("127.0.0.1:65535")];
    struct orr_loop *loop = process_open_loop("kv");
    if (loop == NULL) {
        return EXIT_FAILURE;
    }
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", (int)options->port);
    struct kv_config config = {
        .directory = options->directory,
        .listen = listen,
        .compact_above = options->compact_above,
        .report = report,
    };
    process_wake_on_signals(loop);
    struct kv *kv = kv_boot(loop, &config);
    int status = EXIT_FAILURE;
    if (kv != NULL) {
        orr_run_until_idle(loop);
        status = kv_exit_status(kv);
    }
    orr_drain(loop);
    process_ignore_signals(); /* the loop goes */
    kv_free(kv);
    orr_loop_close(loop);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = {
        .port = PORT_DEFAULT, .directory = ".", .compact_above = COMPACT_ABOVE_DEFAULT};
    int status = parse_options(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    int lock = process_lock_directory("kv", options.directory);
    if (lock < 0) {
        return EXIT_FAILURE;
    }
    status = serve(&options);
    close(lock);
    return status;
}

/*
 * main.c: the replicated register as a program: a replica, or a client that makes one call.
 *
 *      register --id 1 --peers HOST:PORT,HOST:PORT,HOST:PORT --dir DIRECTORY
 *      register --peers HOST:PORT,HOST:PORT,HOST:PORT get KEY
 *      register --peers HOST:PORT,HOST:PORT,HOST:PORT set KEY VALUE
 *
 * All that belongs to a process and not to a replica or client is here: arguments, signals, the
 * lock of the directory, messages, the exit status: 0 after a clean end or a call that was done, 1
 * after a failure or for a key that nobody has set, 2 for wrong usage.
 */
#define _POSIX_C_SOURCE 200809L /* getopt_long's optarg, close */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/process.h"
#include "client.h"
#include "register.h"

#define TIMEOUT_MS_DEFAULT 5000l
#define TIMEOUT_MS_MAX 3600000l

enum { EXIT_USAGE = 2 };

struct options {
    struct register_peers peers;
    char names[REGISTER_REPLICAS_MAX][ORR_ADDRESS_TEXT_MAX];
    long id; /* 0: a client */
    const char *directory;
    long timeout_ms;
    char **words; /* what is not an option: the call */
    int word_count;
};

/* ---- arguments ------------------------------------------------------------------------------- */

static void print_usage(void)
{
    printf(
        "usage: register --id N --peers ADDRESS,ADDRESS,ADDRESS [--dir DIRECTORY]   a replica\n"
        "       register --peers ADDRESS,ADDRESS,ADDRESS [--timeout MS] get KEY     a client\n"
        "       register --peers ADDRESS,ADDRESS,ADDRESS [--timeout MS] set KEY VALUE\n"
        "\n"
        "A replicated register for each key, over 3 or 5 replicas: calls are linearizable, go on\n"
        "as long as a majority of the replicas answers, and what was acknowledged survives any\n"
        "crash of any number of them.\n"
        "\n"
        "  --peers LIST      the addresses of all replicas, in the same order everywhere\n"
        "  --id N            be the Nth of them (from 1 on)\n"
        "  --dir DIRECTORY   of a replica: keep the log there (default: the current directory)\n"
        "  --timeout MS      of a client: give up after that (default %ld)\n"
        "  --help            print this and exit\n"
        "\n"
        "Three replicas on this machine, and a talk with them:\n"
        "\n"
        "  peers=127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003\n"
        "  for id in 1 2 3; do\n"
        "      mkdir -p /tmp/register-$id\n"
        "      register --id $id --peers $peers --dir /tmp/register-$id &\n"
        "  done\n"
        "  register --peers $peers set planet earth\n"
        "  register --peers $peers get planet\n"
        "  kill -9 %%2                                # two of three go on\n"
        "  register --peers $peers get planet\n"
        "\n"
        "SIGTERM and SIGINT end a replica cleanly. Exit status: 0 done, 1 failed or not found, 2\n"
        "wrong usage. A set that timed out may have been done, or yet be.\n",
        TIMEOUT_MS_DEFAULT);
}

static int wrong_usage(const char *what, const char *value)
{
    fprintf(stderr, "register: %s%s%s%s; try register --help\n", what, value != NULL ? ": '" : "",
            value != NULL ? value : "", value != NULL ? "'" : "");
    return EXIT_USAGE;
}

/* Returns -1 to go on, as all that follow, else the exit status. */
static int parse_number(const char *name, const char *text, long max, long *ret_number)
{
    char *end;
    char what[96];
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 1 || number > max) {
        snprintf(what, sizeof what, "%s wants a number from 1 to %ld", name, max);
        return wrong_usage(what, text);
    }
    *ret_number = number;
    return -1;
}

static int parse_peer(const char *text, size_t length, struct options *options)
{
    uint32_t number = options->peers.count;
    char name[ORR_ADDRESS_TEXT_MAX] = "";
    if (number == REGISTER_REPLICAS_MAX)
        return wrong_usage("--peers wants 3 or 5 addresses, these are more", text);
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name), text);
    if (length >= sizeof name || orr_address_parse(name, &options->peers.addresses[number]) < 0 ||
        orr_address_port(&options->peers.addresses[number]) == 0)
        return wrong_usage("--peers wants addresses such as 127.0.0.1:7001, numbers and no names",
                           name);
    for (uint32_t i = 0; i < number; i++)
        if (orr_address_equal(&options->peers.addresses[i], &options->peers.addresses[number]))
            return wrong_usage("--peers has the same address twice", name);
    memcpy(options->names[number], name, sizeof name);
    options->peers.count++;
    return -1;
}

static int parse_peers(const char *text, struct options *options)
{
    options->peers.count = 0;
    for (const char *at = text;;) {
        size_t length = strcspn(at, ",");
        int status = parse_peer(at, length, options);
        if (status >= 0)
            return status;
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    if (options->peers.count != 3 && options->peers.count != 5)
        return wrong_usage("--peers wants 3 or 5 addresses, with commas between", text);
    return -1;
}

static int parse_option(int option, struct options *options)
{
    switch (option) {
    case 'i':
        return parse_number("--id", optarg, REGISTER_REPLICAS_MAX, &options->id);
    case 'p':
        return parse_peers(optarg, options);
    case 'd':
        options->directory = optarg;
        return -1;
    case 't':
        return parse_number("--timeout", optarg, TIMEOUT_MS_MAX, &options->timeout_ms);
    case 'h':
        print_usage();
        return EXIT_SUCCESS;
    default: /* getopt_long has said what is wrong */
        fprintf(stderr, "register: try register --help\n");
        return EXIT_USAGE;
    }
}

static int check_options(const struct options *options)
{
    char **words = options->words;
    int count = options->word_count;
    if (options->peers.count == 0)
        return wrong_usage("--peers with the addresses of all replicas is missing", NULL);
    if (options->id > (long)options->peers.count)
        return wrong_usage("--id is greater than the number of addresses in --peers", NULL);
    if (options->id > 0)
        return count == 0 ? -1 : wrong_usage("a replica takes no call", words[0]);
    if (count == 0)
        return wrong_usage("neither a replica (--id) nor a client's call",
                           "get KEY, set KEY VALUE");
    bool is_get = strcmp(words[0], "get") == 0;
    if (!is_get && strcmp(words[0], "set") != 0)
        return wrong_usage("no such call; there are get KEY and set KEY VALUE", words[0]);
    if (count != (is_get ? 2 : 3))
        return wrong_usage(is_get ? "get wants one KEY" : "set wants a KEY and a VALUE", NULL);
    if (strlen(words[1]) == 0 || strlen(words[1]) > REGISTER_KEY_MAX)
        return wrong_usage("a key has 1 to 255 bytes", words[1]);
    if (!is_get && strlen(words[2]) > REGISTER_VALUE_MAX)
        return wrong_usage("a value has at most 4096 bytes; this one is longer, for key", words[1]);
    return -1;
}

static int parse_options(int argc, char **argv, struct options *ret_options)
{
    static const struct option known[] = {
        {"id", required_argument, NULL, 'i'},  {"peers", required_argument, NULL, 'p'},
        {"dir", required_argument, NULL, 'd'}, {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int status = parse_option(option, ret_options);
        if (status >= 0)
            return status;
    }
    ret_options->words = argv + optind;
    ret_options->word_count = argc - optind;
    return check_options(ret_options);
}

/* ---- a replica ------------------------------------------------------------------------------- */

static void report(void *context, const char *line)
{
    const struct options *options = context;
    fprintf(stderr, "register %ld: %s\n", options->id, line);
}

static int serve(struct orr_loop *loop, struct options *options)
{
    struct register_config config = {
        .directory = options->directory,
        .listen = options->names[options->id - 1],
        .report = report,
        .report_context = options,
    };
    process_wake_on_signals(loop);
    struct register_replica *replica = register_replica_boot(loop, &config);
    int status = EXIT_FAILURE;
    if (replica != NULL) {
        orr_run_until_idle(loop);
        status = register_replica_exit_status(replica);
    }
    orr_drain(loop);
    process_ignore_signals(); /* the loop goes */
    register_replica_free(replica);
    return status;
}

/* ---- a client -------------------------------------------------------------------------------- */

struct talk {
    struct orr_loop *loop;
    const struct options *options;
    struct register_client *client;
    struct orr_completion timeout;
    int status;
};

static void on_done(void *context, const struct register_found *found)
{
    struct talk *talk = context;
    talk->status = EXIT_SUCCESS;
    if (found != NULL && !found->exists) {
        fprintf(stderr, "register: nobody has set '%s'\n", talk->options->words[1]);
        talk->status = EXIT_FAILURE;
    } else if (found != NULL) {
        fwrite(found->value, 1, found->length, stdout);
        putchar('\n');
    }
    orr_stop(talk->loop);
}

static void on_timeout(void *context, struct orr_completion *completion, int64_t result)
{
    struct talk *talk = context;
    const struct options *options = talk->options;
    (void)completion;
    if (result < 0)
        return;
    fprintf(stderr, "register: no majority within %ld ms: %u of %u answered, %u must%s\n",
            options->timeout_ms, register_client_answers(talk->client), options->peers.count,
            register_client_quorum(talk->client),
            strcmp(options->words[0], "set") == 0 ? "; the value may have been set, or yet be"
                                                  : "");
    for (uint32_t i = 0; i < options->peers.count; i++) {
        int64_t error = register_client_error(talk->client, i);
        if (error != 0)
            fprintf(stderr, "register: %s: %s\n", options->names[i], strerror((int)-error));
    }
    orr_stop(talk->loop);
}

static int ask(struct orr_loop *loop, const struct options *options)
{
    struct talk talk = {.loop = loop, .options = options, .status = EXIT_FAILURE};
    char **words = options->words;
    talk.client = register_client_open(loop, &options->peers);
    if (talk.client == NULL) {
        fprintf(stderr, "register: no memory\n");
        return EXIT_FAILURE;
    }
    orr_timeout(loop, &talk.timeout, (uint64_t)options->timeout_ms * ORR_MILLISECOND, on_timeout,
                &talk);
    if (strcmp(words[0], "get") == 0)
        register_client_get(talk.client, words[1], (uint32_t)strlen(words[1]), on_done, &talk);
    else
        register_client_set(talk.client, words[1], (uint32_t)strlen(words[1]), words[2],
                            (uint32_t)strlen(words[2]), on_done, &talk);
    orr_run_until_idle(loop);
    orr_drain(loop);
    register_client_free(talk.client);
    return talk.status;
}

int main(int argc, char **argv)
{
    struct options options = {.directory = ".", .timeout_ms = TIMEOUT_MS_DEFAULT};
    int status = parse_options(argc, argv, &options);
    if (status >= 0)
        return status;
    int lock = -1;
    if (options.id > 0 && (lock = process_lock_directory("register", options.directory)) < 0)
        return EXIT_FAILURE;
    struct orr_loop *loop = process_open_loop("register");
    if (loop == NULL)
        return EXIT_FAILURE;
    status = options.id > 0 ? serve(loop, &options) : ask(loop, &options);
    orr_loop_close(loop);
    if (lock >= 0)
        close(lock);
    return status;
}

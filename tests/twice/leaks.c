/*
 * leaks.c: a node that lets something in that no seed decides, past the world's C library, and
 * makes something of it: each in another way, told by the parameter. test_twice.c demands that the
 * command line finds each, and names the line; a line that lets out what came in is marked LEAK.
 */
#define _GNU_SOURCE 1 /* syscall */

#include <orrery/sim.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCKS = 16,
    BLOCK_BYTES = 48,
    PAGE_BYTES = 8192,
    LARGE_BYTES = 100000, /* more than any block was that has been freed */
    PORT = 9,
    HEAD_BYTES = 4, /* that are the same always */
};

struct leaky {
    struct orr_loop *loop;
    const char *leak;
    struct orr_completion tick;
    struct orr_completion operation;
    struct orr_datagram datagram;
    orr_handle file;
    char page[PAGE_BYTES]; /* what goes out */
};

static void on_end(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result;
}

/* ---- what comes in --------------------------------------------------------------------------- */

static uint64_t real_clock_ns(void)
{
    struct timespec now = {.tv_sec = 0};
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ORR_SECOND + (uint64_t)now.tv_nsec;
}

/* A generator of its own, which a careless program seeds with where a block lies. */
static uint64_t address_random(void)
{
    char *block = malloc(BLOCK_BYTES);
    uint64_t state = (uint64_t)(uintptr_t)block;
    free(block);
    state ^= state << 13;
    state ^= state >> 7;
    return state ^ state << 17;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t) * (char *const *)a;
    uintptr_t right = (uintptr_t) * (char *const *)b;
    return (left > right) - (left < right);
}

/* The numbers of blocks, in the order of their addresses. */
static void sort_blocks(char *out)
{
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        *blocks[i] = (char)('a' + i);
    }
    qsort(blocks, BLOCKS, sizeof *blocks, by_address);
    for (int i = 0; i < BLOCKS; i++)
        out[i] = *blocks[i];
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

/* A byte that nobody has written: another one in each of two runs. */
static unsigned char unwritten(struct leaky *leaky)
{
    const unsigned char *block = orr_malloc(leaky->loop, BLOCK_BYTES);
    return block[1];
}

/* The names in a real directory, as they come; each run leaves one there. Returns their number
 * before that. */
static int list_directory(char *out, size_t size)
{
    const char *path = getenv("TWICE_DIRECTORY");
    char name[256];
    int count = 0;
    DIR *directory = opendir(path);
    if (directory == NULL)
        abort();
    out[0] = '\0';
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        size_t length = strlen(out);
        snprintf(out + length, size - length, "%s ", entry->d_name);
    }
    closedir(directory);
    snprintf(name, sizeof name, "%s/%ld", path, (long)getpid());
    FILE *file = fopen(name, "w");
    if (file == NULL)
        abort();
    fclose(file);
    return count;
}

/* A line on the stack of which only the beginning is written. */
static void half_a_page(char *out)
{
    char page[PAGE_BYTES];
    snprintf(page, sizeof page, "only this");
    memcpy(out, page, sizeof page);
}

/* ---- what goes out --------------------------------------------------------------------------- */

/* Each on one line: compilers differ in which one a longer call is on. */

static void write_page(struct leaky *leaky, uint32_t length)
{
    struct orr_loop *loop = leaky->loop;
    struct orr_completion *operation = &leaky->operation;
    const char *page = leaky->page;
    orr_write(loop, operation, leaky->file, page, length, 0, on_end, leaky); /* LEAK write */
}

static void send_page(struct leaky *leaky, uint32_t length, unsigned char port)
{
    struct orr_loop *loop = leaky->loop;
    struct orr_datagram *datagram = &leaky->datagram;
    orr_handle socket = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    char peer[32];
    snprintf(peer, sizeof peer, "10.0.0.9:%u", port);
    orr_address_parse(peer, &datagram->peer);
    datagram->buffer = leaky->page;
    datagram->length = length;
    orr_send_to(loop, &leaky->operation, socket, datagram, on_end, leaky); /* LEAK send */
}

/* Waits for a datagram, and gives up at once if the byte is not what the first run has. */
static void give_up(struct leaky *leaky, unsigned char byte)
{
    struct orr_loop *loop = leaky->loop;
    orr_handle socket = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_DATAGRAM);
    leaky->datagram.buffer = leaky->page;
    leaky->datagram.length = PAGE_BYTES;
    orr_recv_from(loop, &leaky->operation, socket, &leaky->datagram, on_end, leaky);
    if (byte != 0xa5)
        orr_cancel(loop, &leaky->tick, &leaky->operation, on_end, leaky); /* LEAK cancel */
}

static void make_directory(struct leaky *leaky)
{
    const orr_handle here = ORR_DIRECTORY_CURRENT;
    struct orr_loop *loop = leaky->loop;
    const char *name = leaky->page;
    orr_mkdir(loop, &leaky->operation, here, name, 0755, on_end, leaky); /* LEAK mkdir */
}

static void wait_for(struct leaky *leaky, uint64_t ns)
{
    orr_timeout(leaky->loop, &leaky->operation, ns, on_end, leaky); /* LEAK timeout */
}

static bool is(const struct leaky *leaky, const char *leak)
{
    return strcmp(leaky->leak, leak) == 0;
}

/* The block is written but for a few bytes, and all of it goes out. */
static void leak_block(struct leaky *leaky, char *block)
{
    memset(block, 'x', HEAD_BYTES);
    memcpy(leaky->page, block, BLOCK_BYTES);
    write_page(leaky, BLOCK_BYTES);
}

static void leak_memory(struct leaky *leaky)
{
    char *block;
    if (is(leaky, "memory")) {
        block = orr_malloc(leaky->loop, BLOCK_BYTES);
        leak_block(leaky, block);
    } else if (is(leaky, "heap")) {
        block = malloc(BLOCK_BYTES);
        leak_block(leaky, block);
        free(block);
    } else if (is(leaky, "large")) {
        block = malloc(LARGE_BYTES);
        leak_block(leaky, block);
        free(block);
    } else if (is(leaky, "stack")) {
        half_a_page(leaky->page);
        write_page(leaky, PAGE_BYTES);
    } else if (is(leaky, "crash")) {
        if (unwritten(leaky) != 0xa5)
            abort();
    } else if (is(leaky, "peer")) {
        send_page(leaky, BLOCK_BYTES, unwritten(leaky));
    } else if (is(leaky, "cancel")) {
        give_up(leaky, unwritten(leaky));
    }
}

static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct leaky *leaky = context;
    (void)completion;
    (void)result;
    memset(leaky->page, 'x', sizeof leaky->page);
    if (is(leaky, "clock")) {
        wait_for(leaky, ORR_MILLISECOND + real_clock_ns() % ORR_MILLISECOND);
    } else if (is(leaky, "address")) {
        wait_for(leaky, ORR_MILLISECOND + address_random() % ORR_MILLISECOND);
    } else if (is(leaky, "entropy")) {
        if (syscall(SYS_getrandom, leaky->page + HEAD_BYTES, 16, 0) != 16)
            abort();
        send_page(leaky, HEAD_BYTES + 16, PORT);
    } else if (is(leaky, "order")) {
        sort_blocks(leaky->page);
        send_page(leaky, BLOCKS, PORT);
    } else if (is(leaky, "directory")) {
        list_directory(leaky->page, sizeof leaky->page);
        send_page(leaky, PAGE_BYTES, PORT);
    } else if (is(leaky, "name")) {
        snprintf(leaky->page, sizeof leaky->page, "run-%ld", (long)getpid());
        make_directory(leaky);
    } else if (is(leaky, "once")) {
        int runs = list_directory(leaky->page, sizeof leaky->page);
        wait_for(leaky, runs == 1 ? ORR_MILLISECOND : ORR_SECOND);
    } else {
        leak_memory(leaky);
    }
}

static void on_open(void *context, struct orr_completion *completion, int64_t result)
{
    struct leaky *leaky = context;
    (void)completion;
    leaky->file = (orr_handle)result;
    if (is(leaky, "early"))
        send_page(leaky, BLOCK_BYTES, unwritten(leaky));
    orr_timeout(leaky->loop, &leaky->tick, ORR_MILLISECOND, on_tick, leaky);
}

/* ---- the scenario ---------------------------------------------------------------------------- */

static void *boot_leaky(struct orr_loop *loop, void *config)
{
    struct leaky *leaky = orr_malloc(loop, sizeof *leaky);
    memset(leaky, 0, sizeof *leaky);
    leaky->loop = loop;
    leaky->leak = config;
    orr_open(loop, &leaky->operation, ORR_DIRECTORY_CURRENT, "page",
             ORR_OPEN_WRITE | ORR_OPEN_CREATE, 0644, on_open, leaky);
    return leaky;
}

/* A neighbour that does much, and lets nothing in. */
static void on_beat(void *context, struct orr_completion *completion, int64_t result)
{
    if (result == 0)
        orr_timeout(context, completion, ORR_MILLISECOND / 7, on_beat, context);
}

static void *boot_sound(struct orr_loop *loop, void *config)
{
    struct orr_completion *beat = orr_malloc(loop, sizeof *beat);
    (void)config;
    memset(beat, 0, sizeof *beat);
    orr_timeout(loop, beat, ORR_MILLISECOND, on_beat, loop);
    return beat;
}

static void run(struct orr_world *world)
{
    static const struct orr_program leaky = {.boot = boot_leaky};
    static const struct orr_program sound = {.boot = boot_sound};
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++)
        orr_world_set_rate(world, (enum orr_fault_family)family, 0);
    orr_node_create(world, "sound", &sound, NULL);
    orr_node_create(world, "leaky", &leaky, (char *)(uintptr_t)orr_parameter_text(world, "leak"));
    orr_world_run_for(world, 10 * ORR_MILLISECOND);
}

static const struct orr_parameter parameters[] = {
    {.name = "leak",
     .value = "none",
     .allowed = "none|clock|address|entropy|order|directory|name|once|memory|heap|large|stack|"
                "crash|peer|cancel|early",
     .summary = "what is let in"},
    {.name = NULL},
};

static const struct orr_scenario leaks = {
    .name = "leaks", .summary = "lets something in", .parameters = parameters, .run = run};

ORR_MAIN(&leaks)

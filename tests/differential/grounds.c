/*
 * grounds.c: see grounds.h. A kernel's loop lives as long as its process, which holds a directory
 * under /tmp and makes a fresh one in it for each program. A world lives for one run.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#define _DEFAULT_SOURCE 1 /* flock */
#include "grounds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <orrery/sim.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HANG_NS (20 * ORR_SECOND)
#define HANG_HURRY_NS ORR_SECOND
#define WORLD_HANG_NS (2000 * ORR_SECOND)
#define WORLD_PATIENCE_NS (20 * ORR_SECOND)
#define STRAIN_PER_MILLION 300000u

void (*world_canary)(const struct program *program, struct record *record);

/* ---- kernels --------------------------------------------------------------------------------- */

/* The backends of this build: DIFFERENTIAL_KERNELS where they are not the system's own. */
#if defined(DIFFERENTIAL_KERNELS)
static const char *const built[] = {DIFFERENTIAL_KERNELS};
#elif defined(__linux__)
static const char *const built[] = {"uring", "epoll"};
#else
static const char *const built[] = {"kqueue"};
#endif

#define BUILT (sizeof built / sizeof built[0])
static_assert(BUILT <= KERNELS_MAX, "the list has room for all of them");

const char *kernels[KERNELS_MAX + 1];

static int kernel_open(const char *kernel, const struct orr_options *options,
                       struct orr_loop **ret_loop)
{
    struct orr_options forced = *options;
    forced.backend = kernel;
    return orr_loop_open(&forced, ret_loop);
}

uint32_t kernels_find(FILE *file)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < BUILT; i++) {
        char sentence[512] = "";
        const struct orr_options options = {.error = sentence, .error_size = sizeof sentence};
        struct orr_loop *loop;
        int status = kernel_open(built[i], &options, &loop);
        if (status == 0) {
            orr_loop_close(loop);
            kernels[count++] = built[i];
        } else {
            fprintf(file, "# %s is left out: %s\n", built[i], sentence);
        }
    }
    kernels[count] = NULL;
    return count;
}

/* What this process has open: one kernel at a time. */
static struct {
    const char *kernel;
    struct orr_loop *loop;
    pid_t owner;
    uint64_t count;
} here;

static uint64_t hang_ns = HANG_NS;
static char base[32];

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fail(path);
}

void kernels_hurry(void)
{
    hang_ns = HANG_HURRY_NS;
}

void kernels_begin(void)
{
    umask(022);
    snprintf(base, sizeof base, "/tmp/orrery-XXXXXX");
    if (mkdtemp(base) == NULL)
        fail(base);
}

void kernels_end(void)
{
    kernels_close();
    remove_tree(base);
}

void kernels_close(void)
{
    if (here.kernel == NULL || here.owner != getpid())
        return;
    orr_loop_close(here.loop);
    here.kernel = NULL;
}

static void open_here(const char *kernel)
{
    if (here.kernel != NULL && here.owner == getpid() && strcmp(here.kernel, kernel) == 0)
        return;
    kernels_close();
    const struct orr_options options = {.handles_max = 256};
    if (kernel_open(kernel, &options, &here.loop) != 0)
        fail(kernel);
    here.kernel = kernel;
    here.owner = getpid();
}

struct opening {
    bool called;
    int64_t result;
};

static void opened(void *context, struct orr_completion *completion, int64_t result)
{
    struct opening *opening = context;
    (void)completion;
    opening->called = true;
    opening->result = result;
}

static orr_handle open_directory(struct orr_loop *loop, const char *path)
{
    struct orr_completion completion = {.next = NULL};
    struct opening opening = {.called = false};
    orr_open(loop, &completion, ORR_DIRECTORY_CURRENT, path, ORR_OPEN_READ | ORR_OPEN_DIRECTORY, 0,
             opened, &opening);
    while (!opening.called)
        orr_run_once(loop);
    return opening.result;
}

static void make_directory(struct orr_loop *loop, const char *path)
{
    struct orr_completion completion = {.next = NULL};
    struct opening opening = {.called = false};
    orr_mkdir(loop, &completion, ORR_DIRECTORY_CURRENT, path, 0755, opened, &opening);
    while (!opening.called)
        orr_run_once(loop);
}

static void close_directory(struct orr_loop *loop, orr_handle directory)
{
    struct orr_completion completion = {.next = NULL};
    struct opening opening = {.called = false};
    orr_close(loop, &completion, directory, opened, &opening);
    while (!opening.called)
        orr_run_once(loop);
}

/*
 * A program keeps the addresses of sockets that it has closed, and uses them. By then the port may
 * be another process's, where addresses cannot keep them apart: there is one ::1, and a socket
 * that was not bound takes what comes to any address. So of the programs that use ports, one runs
 * at a time on a machine. The lock is on a directory that is there anyway, and goes with its
 * process.
 */
static bool uses_ports(const struct program *program)
{
    for (uint32_t i = 0; i < program->count; i++)
        if (program->steps[i].op == STEP_SOCKET && program->steps[i].kind != ORR_FAMILY_UNIX)
            return true;
    return false;
}

static void lock_ports(int operation)
{
    static int lock = -1;
    static pid_t owner;
    if (owner != getpid()) { /* a lock of the parent's would be shared with it */
        lock = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        owner = getpid();
    }
    if (lock < 0 || flock(lock, operation) != 0)
        fail("/tmp");
}

void kernel_run(const char *kernel, const struct program *program, uint64_t patience_ns,
                struct record *ret_record)
{
    char top[64];
    char tree[96];
    char in_tree[100];
    char prefix[96];
    char ip4[32];
    open_here(kernel);
    snprintf(top, sizeof top, "%s/%d-%llu", base, (int)here.owner,
             (unsigned long long)here.count++);
    snprintf(tree, sizeof tree, "%s/tree", top);
    snprintf(in_tree, sizeof in_tree, "%s/", tree);
    snprintf(prefix, sizeof prefix, "%s/", top);
    /* An address of its own keeps this process away from the ports of all others. */
    snprintf(ip4, sizeof ip4, "127.%u.%u.%u", 1 + (unsigned)(getpid() >> 8 & 0x7f),
             (unsigned)(getpid() & 0xff), 1 + (unsigned)(here.count % 200));
    if (mkdir(top, 0755) != 0 || mkdir(tree, 0755) != 0)
        fail(tree);
    struct ground ground = {.loop = here.loop,
                            .directory = open_directory(here.loop, tree),
                            .socket_prefix = prefix,
                            .tree_prefix = in_tree,
                            .ip4 = ip4,
                            .patience_ns = patience_ns,
                            .hang_ns = hang_ns,
                            .settle_scale = 1};
    bool locks = uses_ports(program);
    if (locks)
        lock_ports(LOCK_EX);
    run_program(program, &ground, ret_record);
    if (locks)
        lock_ports(LOCK_UN);
    close_directory(here.loop, ground.directory);
    remove_tree(top);
}

/* ---- the world ------------------------------------------------------------------------------- */

static void heal(void *context)
{
    orr_world_heal(context);
}

/* Bits of the seed, far from those that the world itself draws. */
static uint64_t bits_of(uint64_t seed)
{
    uint64_t bits = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return bits ^ bits >> 27;
}

static void set_rates(struct orr_world *world, const struct world_options *options)
{
    static const enum orr_fault_family strain[] = {ORR_FAMILY_LATENCY, ORR_FAMILY_REORDER,
                                                   ORR_FAMILY_PARTIAL, ORR_FAMILY_PRESSURE};
    uint64_t bits = bits_of(options->seed);
    for (uint32_t i = 0; i < sizeof strain / sizeof strain[0]; i++) {
        bool on = options->kind == WORLD_STRAINED || options->kind == WORLD_FAULTY;
        if (options->kind == WORLD_ANY)
            on = options->seed > 0 && (bits >> i & 1) != 0;
        if ((strain[i] == ORR_FAMILY_PARTIAL && options->without_partial) ||
            (strain[i] == ORR_FAMILY_PRESSURE && options->without_pressure))
            on = false;
        orr_world_set_rate(world, strain[i], on ? STRAIN_PER_MILLION : 0);
    }
}

/* What only a faulty world has. Not before the program's ground is made, which nothing may fail. */
static void set_faults(struct orr_world *world)
{
    orr_world_set_rate(world, ORR_FAMILY_DISK_ERROR, STRAIN_PER_MILLION);
    orr_world_set_rate(world, ORR_FAMILY_DISK_FULL, STRAIN_PER_MILLION);
    orr_world_set_rate(world, ORR_FAMILY_CONNECTION, STRAIN_PER_MILLION);
}

/* How fast a machine is, is no part of the contract: pauses may be nothing, or for ever. */
static uint32_t scale_of(const struct world_options *options)
{
    static const uint32_t scales[] = {1, 0, 30, 5000};
    return options->kind == WORLD_ANY ? scales[bits_of(options->seed) >> 20 & 3] : 1;
}

static uint64_t pass_of(const struct world_options *options)
{
    static const uint64_t passes_ns[] = {0, ORR_MICROSECOND, 30 * ORR_MICROSECOND, ORR_MILLISECOND};
    return options->kind == WORLD_ANY ? passes_ns[bits_of(options->seed) >> 24 & 3] : 0;
}

void world_run(const struct world_options *options, const struct program *program,
               struct record *ret_record)
{
    struct orr_world *world = orr_world_create(options->seed, NULL);
    set_rates(world, options);
    struct orr_loop *loop;
    const struct orr_options loop_options = {.handles_max = 256};
    if (orr_node_open_loop(world, "node", &loop_options, &loop) != 0)
        fail("orr_node_open_loop");
    make_directory(loop, "a-directory-for-the-files"); /* a name in it is as long as an address */
    make_directory(loop, "a-directory-for-sockets");
    struct ground ground = {.loop = loop,
                            .directory = open_directory(loop, "a-directory-for-the-files"),
                            .socket_prefix = "/a-directory-for-sockets/",
                            .tree_prefix = "/a-directory-for-the-files/",
                            .ip4 = "127.1.2.3",
                            .patience_ns = WORLD_PATIENCE_NS,
                            .hang_ns = WORLD_HANG_NS,
                            .settle_scale = scale_of(options),
                            .pass_ns = pass_of(options),
                            .heal = heal,
                            .context = world};
    if (options->kind == WORLD_FAULTY)
        set_faults(world);
    run_program(program, &ground, ret_record);
    close_directory(loop, ground.directory);
    orr_loop_close(loop);
    orr_world_destroy(world);
    if (world_canary != NULL)
        world_canary(program, ret_record);
}

/*
 * node.c: nodes: how they boot, crash and pause, and when their loops (process.c) make a pass.
 *
 * A crash drops the loops, their descriptors, timers and completions without a callback, and the
 * memory that the program took from a loop. What stays is the disk (after power loss: what the
 * disk kept) and the counters that name the node's operations, so that "server/fsync#3" is the
 * third fsync of all its lives.
 */
#include "libc/libc.h"
#include "replay_file.h"
#include "witness.h"
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* From crash to boot: what a supervisor waits, and while faults strike a choice more. */
#define DOWN_LEAST_NS (100 * ORR_MILLISECOND)
#define DOWN_MEAN_NS (200 * ORR_MILLISECOND)
#define NODES_MAX 4096u

static void check_name(struct orr_world *world, const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > ORR_NODE_NAME_MAX)
        orr_fatal("node \"%s\": a name has 1 to %u bytes", name, ORR_NODE_NAME_MAX);
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (name[strspn(name, allowed)] != '\0') /* else a fault of it could not be named in a file */
        orr_fatal("node \"%s\": a name has letters, digits, '-' and '_'", name);
    for (const struct orr_node *node = world->nodes; node != NULL; node = node->next)
        if (strcmp(node->name, name) == 0)
            orr_fatal("node \"%s\" exists already: names are unique in a world", name);
    if (world->node_count == NODES_MAX)
        orr_fatal("node \"%s\" is one more than the %u that a world can have", name, NODES_MAX);
}

static struct orr_node *make_node(struct orr_world *world, const char *name)
{
    check_name(world, name);
    struct orr_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        orr_fatal("no memory for node %s", name);
    node->world = world;
    node->name = name;
    node->id = orr__actor_id(name);
    node->seat = (struct orr__seat){.name = name, .id = node->id, .number = 1};
    node->index = world->node_count++;
    if (world->last_node != NULL)
        world->last_node->next = node;
    else
        world->nodes = node;
    world->last_node = node;
    node->disk_options = world->disks;
    node->disk = orr__disk_create(node, &node->disk_options);
    node->stack = orr__stack_create(node);
    orr__story_begin(world);
    orr__record_life(node, ORR__RECORD_NODE, NULL);
    orr__clock_begin(node);
    return node;
}

struct orr_node *orr_node_create(struct orr_world *world, const char *name,
                                 const struct orr_program *program, void *config)
{
    struct orr_node *node = make_node(world, name);
    node->program = program;
    node->config = config;
    orr__plans_begin(node);
    orr__chance_begin(node);
    orr_node_start(node);
    return node;
}

const char *orr_node_name(const struct orr_node *node)
{
    return node->name;
}

struct orr_address orr_node_address(const struct orr_node *node, uint16_t port)
{
    uint32_t number = node->index + 1;
    char text[ORR_ADDRESS_TEXT_MAX];
    snprintf(text, sizeof text, "10.0.%u.%u:%u", number / 256, number % 256, port);
    struct orr_address address;
    if (orr_address_parse(text, &address) < 0)
        orr_fatal("internal: %s is no address", text);
    return address;
}

struct orr_node *orr__world_node_by_address(struct orr_world *world,
                                            const struct orr_address *address)
{
    uint32_t number = 0;
    if (orr_address_family(address) == ORR_FAMILY_IP4) {
        struct sockaddr_in native;
        memcpy(&native, address->storage.bytes, sizeof native);
        uint32_t host = ntohl(native.sin_addr.s_addr);
        if (host >> 16 == (10u << 8))
            number = host & 0xffff;
    } else if (orr_address_family(address) == ORR_FAMILY_IP6) {
        struct sockaddr_in6 native;
        memcpy(&native, address->storage.bytes, sizeof native);
        static const uint8_t prefix[14] = {0xfd};
        if (memcmp(native.sin6_addr.s6_addr, prefix, sizeof prefix) == 0)
            number = (uint32_t)native.sin6_addr.s6_addr[14] << 8 | native.sin6_addr.s6_addr[15];
    }
    return number == 0 ? NULL : orr__world_node(world, number - 1);
}

void *orr_node_application(const struct orr_node *node)
{
    return node->process != NULL ? node->process->life->application : NULL;
}

struct orr_loop *orr_node_loop(const struct orr_node *node)
{
    return node->process != NULL ? node->process->loop : NULL;
}

bool orr_node_is_up(const struct orr_node *node)
{
    return node->process != NULL;
}

int64_t orr_node_read_file(struct orr_node *node, const char *path, void *buffer, size_t size)
{
    struct orr__file *file;
    int status = orr__disk_open(node->disk, NULL, path, ORR_OPEN_READ, 0, &file);
    if (status < 0)
        return status;
    uint32_t length = size < ORR_TRANSFER_MAX ? (uint32_t)size : (uint32_t)ORR_TRANSFER_MAX;
    int64_t result = orr__file_read(file, buffer, length, 0);
    orr__file_close(file);
    return result;
}

/* ---- lives ----------------------------------------------------------------------------------- */

static void boot_later(struct orr_world *world, void *object, uint64_t life)
{
    struct orr_node *node = object;
    (void)world;
    if (node->process == NULL && node->lives == life)
        orr_node_start(node);
}

static void schedule_boot(struct orr_node *node)
{
    struct orr_world *world = node->world;
    uint64_t down_ns = DOWN_LEAST_NS;
    if (!world->healed)
        down_ns +=
            orr__draw_exponential(world, ORR__SITE_DOWN_TIME, node->id, node->lives, DOWN_MEAN_NS);
    orr__schedule(world, world->now_ns + down_ns, boot_later, NULL, node, node->lives);
}

static void run_crash_function(struct orr_node *node)
{
    const struct orr_program *program = node->program;
    void *application = node->process->life->application;
    if (program == NULL || program->crash == NULL || application == NULL)
        return;
    struct orr__scope before = orr__scope_enter(node->world, node->process);
    program->crash(application);
    orr__scope_leave(before);
}

void orr_node_crash(struct orr_node *node, enum orr_crash kind)
{
    struct orr_world *world = node->world;
    bool power = kind == ORR_CRASH_POWER;
    const struct orr__point point =
        orr__node_point(node, power ? ORR__FAULT_POWER : ORR__FAULT_KILLED, ORR__SITE_CRASH,
                        "crash", ++node->crashes_stated);
    if (node->process != NULL && !world->failed && orr__happens(world, &point))
        orr__node_crash(node, &point, false);
}

void orr__node_crash(struct orr_node *node, const struct orr__point *point, bool loses_only)
{
    struct orr__process *process = node->process;
    struct orr_world *world = node->world;
    orr__assert(process != NULL && !world->failed);
    if (orr__life_is_inside(process->life))
        orr_fatal("orr_node_crash: node %s is inside one of its own callbacks", node->name);
    if (process->external)
        orr_fatal("orr_node_crash: the loop of node %s was opened by orr_node_open_loop: close it "
                  "instead",
                  node->name);
    bool power = point->kind == ORR__FAULT_POWER;
    enum orr_crash kind = power ? ORR_CRASH_POWER : ORR_CRASH_PROCESS;
    uint64_t least = loses_only ? ORR__LOSS_ONLY : 0;
    uint64_t loss = power ? orr__extent(world, point, least, least, ORR__LOSS_ONLY) : 0;
    orr__fault(world, point, loss, power ? "loses power" : "is killed");
    orr__trace_hash(world, ORR__EVENT_CRASH, node->id, kind, node->lives);
    for (struct orr__process *each = process->life->processes; each != NULL; each = each->next)
        orr__operations_die(each);
    orr__record_dropped(node);
    run_crash_function(node);
    struct orr__life *life = orr__life_end(node, kind);
    if (power) {
        orr__disk_name_losses(node->disk, loss == ORR__LOSS_ONLY);
        orr__disk_power_loss(node->disk);
        orr__clock_restart(node);
    }
    orr__life_discard(life);
    if (node->crash_kinds != 0)
        schedule_boot(node);
}

/* The program called orr_stop: its process exits. A supervisor boots it again if crashes are
 * allowed. */
static void program_exits(struct orr_node *node, const char *why)
{
    orr__trace_hash(node->world, ORR__EVENT_CRASH, node->id, 0, node->lives);
    orr__story_life(node, ORR__RECORD_STOP, "%s", why);
    orr__record_dropped(node);
    if (node->process->life->application != NULL)
        orr__police_stopped(node);
    run_crash_function(node);
    orr__life_discard(orr__life_end(node, ORR_CRASH_PROCESS));
    node->exited = node->crash_kinds == 0;
    if (!node->exited)
        schedule_boot(node);
}

static void look_after_further(struct orr_node *node);

void orr_node_start(struct orr_node *node)
{
    struct orr_world *world = node->world;
    if (node->process != NULL || world->failed || node->program == NULL)
        return;
    struct orr__process *process;
    char error[128] = "";
    struct orr_options options = {.error = error, .error_size = sizeof error};
    int status = orr__process_open(node, &options, false, &process);
    if (status < 0)
        orr_fatal("node %s cannot open its loop: %s", node->name, error);
    node->exited = false;
    orr__trace_hash(world, ORR__EVENT_BOOT, node->id, node->lives, 0);
    orr__story_life(node, ORR__RECORD_BOOT, "boots (life %" PRIu64 ")", node->lives);
    struct orr__scope before = orr__scope_enter(world, process);
    process->stepping = true;
    void *application = node->program->boot(process->loop, node->config);
    process->life->application = application;
    process->stepping = false;
    orr__scope_leave(before);
    if (application == NULL && node->lives == 1) /* else checks would hold for nothing */
        orr__world_fail(world, "every program starts", NULL, "boot of node %s returned NULL",
                        node->name);
    if (application == NULL || orr_stopped(process->loop)) {
        program_exits(node, application == NULL ? "cannot start: boot failed" : "stops");
        return;
    }
    orr__schedule_step(process);
    look_after_further(node);
}

/* ---- stepping -------------------------------------------------------------------------------- */

static void step(struct orr_world *world, void *object, uint64_t a);

/* Appoints the next pass for the loop's own needs: its timers, and work that waits inside it. */
static void appoint(struct orr__process *process)
{
    uint64_t wait_ns = orr__clock_wait(process->node, orr_loop_timeout_ns(process->loop));
    orr__witness_timer(process, wait_ns);
    if (wait_ns == 0 || process->ready.count > 0) {
        orr__schedule_step(process);
        return;
    }
    uint64_t now_ns = process->world->now_ns;
    if (wait_ns >= UINT64_MAX - now_ns || now_ns + wait_ns >= process->timer_ns)
        return;
    process->timer_ns = now_ns + wait_ns;
    orr__schedule(process->world, process->timer_ns, step, process, process, process->seat->id);
}

/* The program may have stopped further loops, or submitted to them from a callback of another. */
static void look_after_further(struct orr_node *node)
{
    for (struct orr__process *process = node->process->next; process != NULL;
         process = process->next) {
        process->is_over = process->is_over || orr_stopped(process->loop);
        if (!process->is_over)
            appoint(process);
    }
}

/* A pass is over. Nothing ends while boot is still under way: it looks itself. */
static void look_after(struct orr_node *node)
{
    if (node->process->stepping)
        return;
    if (orr_stopped(node->process->loop)) {
        program_exits(node, "stops");
        return;
    }
    appoint(node->process);
    look_after_further(node);
}

static void step(struct orr_world *world, void *object, uint64_t a)
{
    struct orr__process *process = object;
    (void)a;
    process->step_scheduled = false;
    if (process->is_over)
        return;
    if (process->node->is_paused) {
        process->is_step_held = true;
        return;
    }
    if (process->timer_ns <= world->now_ns) {
        process->timer_ns = UINT64_MAX;
        orr__record_loop(process, "a timer is due");
    }
    orr__trace_hash(world, ORR__EVENT_STEP, process->seat->id, 0, 0);
    struct orr__scope before = orr__scope_enter(world, process);
    process->stepping = true;
    orr_run_for_ns(process->loop, 0);
    process->stepping = false;
    orr__scope_leave(before);
    look_after(process->node);
}

uint64_t orr__step_delay(struct orr__process *process)
{
    struct orr__seat *seat = process->seat;
    return orr__draw_range(process->world, ORR__SITE_STEP_DELAY, seat->id, seat->step_count++, 200,
                           5 * ORR_MICROSECOND);
}

void orr__schedule_step(struct orr__process *process)
{
    if (process->step_scheduled || process->external || process->is_over)
        return;
    process->step_scheduled = true;
    uint64_t delay_ns = orr__step_delay(process);
    orr__schedule(process->world, process->world->now_ns + delay_ns, step, process, process,
                  process->seat->id);
}

void orr__clock_changed(struct orr_node *node)
{
    for (struct orr__process *process = node->process; process != NULL; process = process->next)
        if (!process->external && !process->is_over)
            appoint(process);
}

/* ---- pauses ---------------------------------------------------------------------------------- */

static void resume_later(struct orr_world *world, void *object, uint64_t pause)
{
    struct orr_node *node = object;
    (void)world;
    if (node->pauses == pause)
        orr_node_resume(node);
}

void orr_node_pause(struct orr_node *node, uint64_t ns)
{
    const struct orr__point point =
        orr__node_point(node, ORR__FAULT_PAUSED, ORR__SITE_PAUSE, "halt", ++node->pauses_stated);
    if (orr__happens(node->world, &point))
        orr__node_pause(node, &point, ns);
}

void orr__node_pause(struct orr_node *node, const struct orr__point *point, uint64_t ns)
{
    struct orr_world *world = node->world;
    if (node->process != NULL && node->process->external)
        orr_fatal("orr_node_pause: the loop of node %s was opened by orr_node_open_loop: do not "
                  "run it instead",
                  node->name);
    if (node->process == NULL || node->is_paused || world->failed)
        return;
    node->is_paused = true;
    node->pauses++;
    ns = orr__extent(world, point, ns, 0, UINT64_MAX);
    orr__fault(world, point, ns, "paused for %" PRIu64 ".%03" PRIu64 " ms", ns / ORR_MILLISECOND,
               ns / ORR_MICROSECOND % 1000);
    if (ns <= UINT64_MAX - world->now_ns)
        orr__schedule(world, world->now_ns + ns, resume_later, NULL, node, node->pauses);
}

void orr_node_resume(struct orr_node *node)
{
    if (!node->is_paused)
        return;
    node->is_paused = false;
    orr__trace_hash(node->world, ORR__EVENT_PAUSE, node->id, node->pauses, 0);
    orr__record_text(node->world, node, "goes on");
    for (struct orr__process *process = node->process; process != NULL; process = process->next) {
        if (process->is_step_held)
            orr__schedule_step(process);
        process->is_step_held = false;
    }
}

bool orr_node_is_paused(const struct orr_node *node)
{
    return node->is_paused;
}

void orr_node_wipe(struct orr_node *node)
{
    if (node->process != NULL)
        orr_fatal("orr_node_wipe: node %s is up: crash it first", node->name);
    orr__disk_destroy(node->disk);
    node->disk = orr__disk_create(node, &node->disk_options);
    node->world->damaged -= node->is_damaged ? 1 : 0;
    node->is_damaged = false;
    orr__copies_forget(node->world, node);
    orr__trace_hash(node->world, ORR__EVENT_WIPE, node->id, node->lives, 0);
    orr__story_line(node->world, node->name, "gets an empty disk");
}

/* ---- loops that a test runs itself ----------------------------------------------------------- */

int orr_node_open_loop(struct orr_world *world, const char *name, const struct orr_options *options,
                       struct orr_loop **ret_loop)
{
    struct orr_node *node = world->nodes;
    while (node != NULL && strcmp(node->name, name) != 0)
        node = node->next;
    if (node == NULL) {
        node = make_node(world, name);
        orr__plans_begin(node);
        orr__chance_begin(node);
    }
    if (node->process != NULL)
        return -EBUSY;
    struct orr__process *process;
    int status = orr__process_open(node, options, true, &process);
    if (status < 0)
        return status;
    orr__record_life(node, ORR__RECORD_BOOT, "has a loop");
    *ret_loop = process->loop;
    return 0;
}

void orr__node_end(struct orr_node *node)
{
    struct orr__process *process = node->process;
    if (process != NULL && process->external)
        orr_fatal("orr_world_destroy: the loop of node %s is open: close it first", node->name);
    if (process != NULL) {
        run_crash_function(node);
        orr__life_discard(orr__life_end(node, ORR_CRASH_POWER));
    }
}

void orr__node_destroy(struct orr_node *node)
{
    orr__stack_destroy(node->stack);
    orr__disk_destroy(node->disk);
    orr__plans_free(node);
    orr__seats_free(node);
    free(node);
}

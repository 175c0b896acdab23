/*
 * replica.c: a replica as a whole: boot, accept, stop.
 *
 *      RECOVERING --log read--> SERVING --wake--> STOPPING --no connection left--> CLOSING_LOG
 *          |                       |                 |                                  |
 *          +---- wake, failure ----+---- failure ----+------------ failure, closed -----+--> ENDED
 *
 * What the log says of durability is all that a replica relies on: see ../kv/log.h. When a sync
 * fails the replica ends, with everything in flight: the next start writes again what may be in the
 * page cache alone. Stopping lets go of requests that are under way: their clients have the other
 * replicas, and do not know whether this one has taken them, as after a crash.
 */
#include "replica.h"

#include <inttypes.h>
#include <stdio.h>

#define REPORT_SIZE 1024

static void say(struct register_replica *replica, const char *line)
{
    if (replica->config->report != NULL)
        replica->config->report(replica->config->report_context, line);
}

static void *allocate(void *context, size_t length)
{
    return orr_malloc(context, length);
}

static void release(void *context, void *memory)
{
    orr_free(context, memory);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void end(struct register_replica *replica, int exit_status)
{
    replica->state = REPLICA_ENDED;
    replica->exit_status = exit_status;
    orr_stop(replica->loop);
}

static void close_log_if_alone(struct register_replica *replica)
{
    if (replica->state != REPLICA_STOPPING || replica->connections != NULL ||
        replica->log.phase != KV_LOG_READY)
        return;
    replica->state = REPLICA_CLOSING_LOG;
    kv_log_close(&replica->log);
}

void replica__connection_gone(struct register_replica *replica)
{
    close_log_if_alone(replica);
}

static void on_wake(void *context, struct orr_completion *completion, int64_t result)
{
    struct register_replica *replica = context;
    (void)completion;
    if (result < 0)
        return;
    if (replica->state == REPLICA_RECOVERING) {
        end(replica, 0); /* nothing was promised to anybody yet */
    } else if (replica->state == REPLICA_SERVING) {
        replica->state = REPLICA_STOPPING;
        listener_close(&replica->listener);
        replica__connections_close(replica);
        close_log_if_alone(replica);
    }
}

/* ---- the log's events ------------------------------------------------------------------------ */

static int on_log_apply(void *context, const struct kv_operation *operation)
{
    struct register_replica *replica = context;
    return kv_store_apply(&replica->store, operation);
}

static void on_log_reset(void *context)
{
    struct register_replica *replica = context;
    kv_store_clear(&replica->store);
}

static bool take_client(void *context, orr_handle handle)
{
    return replica__connection_open(context, handle);
}

static void on_log_ready(void *context)
{
    struct register_replica *replica = context;
    char line[REPORT_SIZE];
    if (replica->state == REPLICA_ENDED)
        return; /* told to stop while the last step of the recovery was under way */
    snprintf(line, sizeof line, "serving %s with %" PRIu64 " keys from %s", replica->config->listen,
             kv_store_count(&replica->store), replica->config->directory);
    say(replica, line);
    replica->state = REPLICA_SERVING;
    listener_start(&replica->listener, take_client, replica);
}

static void on_log_durable(void *context)
{
    replica__connections_resume(context);
}

static void on_log_rolled_back(void *context)
{
    replica__connections_resume(context);
    close_log_if_alone(context);
}

static void on_log_closed(void *context)
{
    struct register_replica *replica = context;
    replica->state = REPLICA_ENDED;
    replica->exit_status = 0;
    say(replica, "stopped");
}

static void on_log_failed(void *context)
{
    struct register_replica *replica = context;
    if (replica->state != REPLICA_ENDED)
        end(replica, 1);
}

static void on_log_report(void *context, const char *line)
{
    say(context, line);
}

static const struct kv_log_events log_events = {
    .apply = on_log_apply,
    .reset = on_log_reset,
    .ready = on_log_ready,
    .durable = on_log_durable,
    .rolled_back = on_log_rolled_back,
    .closed = on_log_closed,
    .failed = on_log_failed,
    .report = on_log_report,
};

/* ---- boot ------------------------------------------------------------------------------------ */

struct register_replica *register_replica_boot(struct orr_loop *loop,
                                               const struct register_config *config)
{
    struct register_replica *replica = orr_malloc(loop, sizeof *replica);
    if (replica == NULL) {
        if (config->report != NULL)
            config->report(config->report_context, "no memory for the replica");
        return NULL;
    }
    *replica = (struct register_replica){
        .loop = loop,
        .config = config,
        .log_config = {.directory = config->directory},
        .memory = {.allocate = allocate, .release = release, .context = loop},
        .state = REPLICA_RECOVERING,
        .exit_status = 1,
    };
    kv_store_init(&replica->store, &replica->memory);
    kv_log_init(&replica->log, loop, &replica->memory, &replica->log_config, &log_events, replica);
    char error[REPORT_SIZE];
    if (listener_open(&replica->listener, loop, config->listen, error, sizeof error) < 0) {
        say(replica, error);
        register_replica_free(replica);
        return NULL;
    }
    orr_wait_wake(loop, &replica->wake, on_wake, replica);
    kv_log_open(&replica->log);
    return replica;
}

int register_replica_exit_status(const struct register_replica *replica)
{
    return replica->exit_status;
}

void register_replica_free(struct register_replica *replica)
{
    if (replica == NULL)
        return;
    replica__connections_free(replica);
    kv_store_clear(&replica->store);
    kv_log_free(&replica->log);
    orr_free(replica->loop, replica);
}

/*
 * kv.c: the server as a whole: boot, accept, stop.
 *
 *      RECOVERING --log read--> SERVING --wake--> STOPPING --no connection left--> CLOSING_LOG
 *          |                       |                 |                                  |
 *          +---- wake, failure ----+---- failure ----+------------ failure, closed -----+--> ENDED
 *
 * The server listens before it reads the log, so that a port in use is known at once and before
 * anything is touched; it accepts only when it can serve. A failure ends it by orr_stop, with
 * everything still in flight: nothing that it could say to a client would be true for certain. A
 * clean end leaves nothing in flight.
 */
#include "kv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "connection.h"
#include "ensure.h"
#include "server.h"

#define REPORT_SIZE 1024

/* How long a stopping server waits for clients that do not take their replies. */
#define STOP_NS (5 * ORR_SECOND)

void kv__report(struct kv *kv, const char *format, ...)
{
    char line[REPORT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (kv->config->report != NULL) {
        kv->config->report(kv->config->report_context, line);
    }
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

static void ignore(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result;
}

static void end(struct kv *kv, int exit_status)
{
    kv->state = KV_STATE_ENDED;
    kv->exit_status = exit_status;
    orr_stop(kv->loop);
}

static void close_log_if_alone(struct kv *kv)
{
    if (kv->state == KV_STATE_STOPPING && kv->connection_count == 0 &&
        kv->log.phase == KV_LOG_READY) {
        kv->state = KV_STATE_CLOSING_LOG;
        kv_log_close(&kv->log);
    }
}

void kv__connection_gone(struct kv *kv)
{
    close_log_if_alone(kv);
}

static void on_deadline(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv *kv = context;
    (void)completion;
    if (result < 0) {
        return;
    }
    struct kv_connection *connection = NULL;
    while ((connection = kv_connection_next(kv, connection)) != NULL) {
        kv_connection_abort(connection);
    }
}

static void stop(struct kv *kv)
{
    kv->state = KV_STATE_STOPPING;
    listener_close(&kv->listener);
    orr_timeout(kv->loop, &kv->deadline, STOP_NS, on_deadline, kv);
    struct kv_connection *connection = NULL;
    while ((connection = kv_connection_next(kv, connection)) != NULL) {
        kv_connection_finish(connection);
    }
    close_log_if_alone(kv);
}

static void on_wake(void *context, struct orr_completion *completion, int64_t result)
{
    struct kv *kv = context;
    (void)completion;
    if (result < 0) {
        return;
    }
    if (kv->state == KV_STATE_RECOVERING) {
        end(kv, 0); /* nothing was promised to anybody yet */
    } else if (kv->state == KV_STATE_SERVING) {
        stop(kv);
    }
}

/* ---- the log's events ------------------------------------------------------------------------ */

static int on_log_apply(void *context, const struct kv_operation *operation)
{
    struct kv *kv = context;
    return kv_store_apply(&kv->store, operation);
}

static void on_log_reset(void *context)
{
    struct kv *kv = context;
    kv_store_clear(&kv->store);
}

static bool take_client(void *context, orr_handle handle)
{
    return kv_connection_open(context, handle) == 0;
}

static void on_log_ready(void *context)
{
    struct kv *kv = context;
    if (kv->state == KV_STATE_ENDED) {
        return; /* told to stop while the last step of the recovery was under way */
    }
    kv__report(kv, "serving %s with %" PRIu64 " keys from %s/%s", kv->config->listen,
               kv_store_count(&kv->store), kv->config->directory, KV_LOG_NAME);
    kv->state = KV_STATE_SERVING;
    listener_start(&kv->listener, take_client, kv);
}

static void on_log_durable(void *context)
{
    kv_connections_resume(context);
}

static void on_log_rolled_back(void *context)
{
    struct kv *kv = context;
    char error[KV_REPLY_RESERVE];
    snprintf(error, sizeof(error), "ERR the log could not be written (%s); nothing was changed",
             strerror((int)-kv->log.write_error));
    struct kv_connection *connection = NULL;
    while ((connection = kv_connection_next(kv, connection)) != NULL) {
        kv_connection_fail_held(connection, error);
    }
    kv_connections_resume(kv);
    close_log_if_alone(kv);
}

static uint64_t on_log_live_length(void *context)
{
    const struct kv *kv = context;
    return kv_store_length(&kv->store);
}

static void on_log_snapshot_begin(void *context)
{
    struct kv *kv = context;
    kv_store_walk_begin(&kv->store);
}

static bool on_log_snapshot(void *context, struct kv_record_writer *writer, uint64_t length)
{
    struct kv *kv = context;
    struct kv_slice key;
    struct kv_slice value;
    uint64_t taken = 0;
    while (kv_store_walk_next(&kv->store, &key, &value)) {
        kv_record_set(writer, key, value);
        taken += KV_OPERATION_OVERHEAD + key.length + value.length;
        if (taken >= length) {
            return true;
        }
    }
    return false;
}

static void on_log_closed(void *context)
{
    struct kv *kv = context;
    kv->state = KV_STATE_ENDED;
    kv->exit_status = 0;
    kv__report(kv, "stopped; %" PRIu64 " keys are in %s/%s", kv_store_count(&kv->store),
               kv->config->directory, KV_LOG_NAME);
    orr_cancel(kv->loop, &kv->cancel, &kv->deadline, ignore, kv);
}

static void on_log_failed(void *context)
{
    struct kv *kv = context;
    if (kv->state != KV_STATE_ENDED) {
        end(kv, 1);
    }
}

static void on_log_report(void *context, const char *line)
{
    kv__report(context, "%s", line);
}

static const struct kv_log_events log_events = {
    .apply = on_log_apply,
    .reset = on_log_reset,
    .ready = on_log_ready,
    .durable = on_log_durable,
    .rolled_back = on_log_rolled_back,
    .live_length = on_log_live_length,
    .snapshot_begin = on_log_snapshot_begin,
    .snapshot = on_log_snapshot,
    .closed = on_log_closed,
    .failed = on_log_failed,
    .report = on_log_report,
};

/* ---- boot ------------------------------------------------------------------------------------ */

static bool start_listening(struct kv *kv)
{
    char error[REPORT_SIZE];
    int result = listener_open(&kv->listener, kv->loop, kv->config->listen, error, sizeof(error));
    if (result < 0) {
        kv__report(kv, "%s", error);
    }
    return result == 0;
}

struct kv *kv_boot(struct orr_loop *loop, const struct kv_config *config)
{
    struct kv *kv = orr_malloc(loop, sizeof(*kv));
    if (kv == NULL) {
        if (config->report != NULL) {
            config->report(config->report_context, "no memory for the server");
        }
        return NULL;
    }
    *kv = (struct kv){
        .loop = loop,
        .config = config,
        .memory = {.allocate = allocate, .release = release, .context = loop},
        .limits = {.arguments_max = KV_ARGUMENTS_MAX,
                   .bulk_length_max = KV_BULK_LENGTH_MAX,
                   .command_length_max = KV_COMMAND_LENGTH_MAX},
        .state = KV_STATE_RECOVERING,
        .exit_status = 1,
    };
    kv_store_init(&kv->store, &kv->memory);
    kv_log_init(&kv->log, loop, &kv->memory, config, &log_events, kv);
    if (!start_listening(kv)) {
        kv_free(kv);
        return NULL;
    }
    orr_wait_wake(loop, &kv->wake, on_wake, kv);
    kv_log_open(&kv->log);
    return kv;
}

int kv_exit_status(const struct kv *kv)
{
    return kv->exit_status;
}

enum kv_compaction_step kv_compaction_step(const struct kv *kv)
{
    return (enum kv_compaction_step)kv->log.compaction.step;
}

uint64_t kv_compaction_count(const struct kv *kv)
{
    return kv->log.compaction.count;
}

void kv_free(struct kv *kv)
{
    if (kv == NULL) {
        return;
    }
    struct kv_connection *connection;
    while ((connection = kv_connection_next(kv, NULL)) != NULL) {
        kv_connection_free(connection);
    }
    kv_store_clear(&kv->store);
    kv_log_free(&kv->log);
    orr_free(kv->loop, kv->arguments);
    orr_free(kv->loop, kv);
}

/*
 * run_submit.c: how each step becomes a call of <orrery/io.h>.
 */
#include "run_internal.h"

#include <string.h>

/* ---- what is left out ------------------------------------------------------------------------ */

struct step run_step(const struct run *run, const struct step *step)
{
    return run->slots[step->slot].is_socket ? step_on_socket(step) : *step;
}

static bool busy_one_way(const struct run *run, const struct step *step)
{
    orr_handle handle = run->slots[step->slot].handle;
    uint8_t own = step_on_socket(step).op;
    for (uint32_t i = 0; i < STEPS_MAX; i++) {
        const struct operation *other = &run->operations[i];
        uint8_t op = step_on_socket(&run->program->steps[i]).op;
        bool same_way =
            (step_sends(op) && step_sends(own)) || (step_receives(op) && step_receives(own));
        if (same_way && other->handle == handle && orr_in_flight(&other->completion))
            return true;
    }
    return false;
}

/* Where io_uring and the system calls of the same kernel differ: io_uring reads both names before
 * it looks anything up, and does not ask a directory for nothing. */
static bool differs_by_call(const struct step *step, bool is_socket)
{
    bool reads = step->op == STEP_READ || step->op == STEP_READ_EXACT || step->op == STEP_READV;
    if (step->op == STEP_RENAME || step->op == STEP_LINK)
        return program_path(step->path_new)[0] == '\0';
    if (is_socket) /* where io_uring sends nothing, and writev does not send */
        return step->op == STEP_WRITEV && step->length == 0;
    return reads && step->length == 0;
}

bool run_forbids(const struct run *run, const struct step *step)
{
    const struct run_slot *slot = &run->slots[step->slot];
    if (step->op == STEP_CLOSE && step->slot == 0)
        return true; /* what is left behind is looked at through it */
    if (step->op == STEP_OPTION_SET && step->kind == ORR_SOCKET_REUSE_PORT && step->length != 0 &&
        slot->family == ORR_FAMILY_UNIX)
        return true; /* some Linux refuse it, some do not */
    if (differs_by_call(step, slot->is_socket))
        return true;
    if (step->op == STEP_SHUTDOWN && step->kind != ORR_SHUTDOWN_SEND && slot->is_socket &&
        slot->type == ORR_SOCKET_DATAGRAM)
        return true; /* Linux then says 0 to who waits and EAGAIN to who does not */
    if ((step->op == STEP_BIND || step->op == STEP_CONNECT) && step->kind == BY_PATH &&
        slot->family != ORR_FAMILY_UNIX)
        return true;
    /* The contract: one receive and one send at a time on a stream. */
    return slot->is_socket && slot->type == ORR_SOCKET_STREAM && busy_one_way(run, step);
}

/* ---- immediate calls ------------------------------------------------------------------------- */

static int64_t make_socket(struct run *run, const struct step *step)
{
    struct run_slot *slot = &run->slots[step->slot];
    enum orr_family family = (enum orr_family)step->kind;
    enum orr_socket_type type = (enum orr_socket_type)step->other;
    orr_handle handle = orr_socket(run->loop, family, type);
    if (handle < 0)
        return handle;
    *slot = (struct run_slot){.handle = handle, .is_socket = true, .family = family, .type = type};
    run->handles[run->handle_count++] = handle;
    return 1;
}

static struct orr_address address_of_path(const struct run *run, const struct step *step)
{
    struct orr_address address = {.length = 0};
    char text[ORR_ADDRESS_TEXT_MAX + 512];
    snprintf(text, sizeof text, "unix:%s%s", run->ground->tree_prefix, program_path(step->path));
    (void)orr_address_parse(text, &address); /* a name that is too long stays none */
    return address;
}

static int64_t bind_socket(struct run *run, const struct step *step)
{
    struct run_slot *slot = &run->slots[step->slot];
    struct orr_address address = run->slots[step->other].address;
    char text[ORR_ADDRESS_TEXT_MAX];
    if (step->kind == BY_PATH) {
        address = address_of_path(run, step);
    } else if (step->other == step->slot) {
        if (slot->family == ORR_FAMILY_UNIX)
            snprintf(text, sizeof text, "unix:%s%u", run->ground->socket_prefix,
                     run->ground->socket_count++);
        else
            snprintf(text, sizeof text, slot->family == ORR_FAMILY_IP6 ? "[::1]:0" : "%s:0",
                     run->ground->ip4);
        (void)orr_address_parse(text, &address);
    }
    int status = orr_bind(run->loop, slot->handle, &address);
    if (status == 0)
        (void)orr_local_address(run->loop, slot->handle, &slot->address);
    return status;
}

static int64_t listen_socket(struct run *run, const struct step *step)
{
    struct run_slot *slot = &run->slots[step->slot];
    int status = orr_listen(run->loop, slot->handle, step->length);
    if (status == 0)
        (void)orr_local_address(run->loop, slot->handle, &slot->address);
    return status;
}

static int64_t look_at_address(struct run *run, const struct step *step, uint64_t *ret_extra)
{
    orr_handle handle = run->slots[step->slot].handle;
    struct orr_address address = {.length = 0};
    int status = step->op == STEP_LOCAL ? orr_local_address(run->loop, handle, &address)
                                        : orr_peer_address(run->loop, handle, &address);
    if (status == 0)
        *ret_extra = run_address_facts(run, &address, run->slots[step->slot].type);
    return status;
}

int64_t run_immediate(struct run *run, const struct step *step, uint64_t *ret_extra)
{
    orr_handle handle = run->slots[step->slot].handle;
    int64_t result = 0;
    int32_t value = 0;
    switch (step->op) {
    case STEP_SOCKET:
        return make_socket(run, step);
    case STEP_BIND:
        return bind_socket(run, step);
    case STEP_LISTEN:
        return listen_socket(run, step);
    case STEP_OPTION_SET:
        return orr_socket_option_set(run->loop, handle, (enum orr_socket_option)step->kind,
                                     (int32_t)step->length);
    case STEP_OPTION_GET:
        result =
            orr_socket_option_get(run->loop, handle, (enum orr_socket_option)step->kind, &value);
        *ret_extra = (uint64_t)value;
        return result;
    case STEP_LIST:
        *ret_extra = run_list_facts(run, handle, &result);
        return result;
    default:
        return look_at_address(run, step, ret_extra);
    }
}

/* ---- operations ------------------------------------------------------------------------------ */

static uint32_t fill_vectors(struct operation *operation, const struct step *step)
{
    uint32_t count = step->kind < 1 ? 1 : step->kind > VECTORS_MAX ? VECTORS_MAX : step->kind;
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) { /* the second one is empty, the last takes the rest */
        uint32_t pieces = i == 0 && count > 1 ? count - 1 : count - i;
        uint32_t length = i == 1 ? 0 : (step->length - at) / pieces;
        operation->vectors[i] = (struct orr_vector){operation->bytes + at, length};
        at += length;
    }
    return count;
}

static void fill_bytes(struct run *run, struct operation *operation, const struct step *step)
{
    const struct run_slot *slot = &run->slots[step->slot];
    bool stream = step_sends(run_step(run, step).op) && slot->type == ORR_SOCKET_STREAM;
    uint64_t from = stream ? slot->sent : operation->at * UINT64_C(1009) + step->offset;
    bool receives = step_receives(step->op) || step->op == STEP_READ ||
                    step->op == STEP_READ_EXACT || step->op == STEP_READV;
    for (uint32_t i = 0; i < step->length && i < TRANSFER_MAX; i++)
        operation->bytes[i] = receives ? 0xee : run_byte(from + i);
}

static void fill_datagram(struct run *run, struct operation *operation, const struct step *step)
{
    struct orr_datagram *datagram = &operation->datagram;
    memset(datagram, 0, sizeof *datagram);
    datagram->buffer = operation->bytes;
    datagram->length = step->length;
    if (step->op == STEP_SEND_TO && step->other != step->slot)
        datagram->peer = run->slots[step->other].address;
}

#define ON(function, ...) \
    function(run->loop, &operation->completion, __VA_ARGS__, run_called, operation)

static void submit_socket(struct run *run, struct operation *operation, const struct step *step)
{
    orr_handle handle = operation->handle;
    uint8_t *bytes = operation->bytes;
    switch (step->op) {
    case STEP_ACCEPT:
        ON(orr_accept, handle, &operation->address);
        break;
    case STEP_CONNECT:
        operation->address =
            step->kind == BY_PATH ? address_of_path(run, step) : run->slots[step->other].address;
        ON(orr_connect, handle, &operation->address);
        break;
    case STEP_RECV:
        ON(orr_recv, handle, bytes, step->length);
        break;
    case STEP_SEND:
        ON(orr_send, handle, bytes, step->length);
        break;
    case STEP_RECV_EXACT:
        ON(orr_recv_exact, handle, bytes, step->length);
        break;
    case STEP_SEND_ALL:
        ON(orr_send_all, handle, bytes, step->length);
        break;
    case STEP_RECV_FROM:
        fill_datagram(run, operation, step);
        ON(orr_recv_from, handle, &operation->datagram);
        break;
    case STEP_SEND_TO:
        fill_datagram(run, operation, step);
        ON(orr_send_to, handle, &operation->datagram);
        break;
    case STEP_SHUTDOWN:
        ON(orr_shutdown, handle, (enum orr_shutdown)step->kind);
        break;
    default:
        ON(orr_poll, handle, step->flags);
        break;
    }
}

static void submit_file(struct run *run, struct operation *operation, const struct step *step)
{
    orr_handle handle = operation->handle;
    uint8_t *bytes = operation->bytes;
    uint64_t offset = step->offset;
    switch (step->op) {
    case STEP_READ:
        ON(orr_read, handle, bytes, step->length, offset);
        break;
    case STEP_WRITE:
        ON(orr_write, handle, bytes, step->length, offset);
        break;
    case STEP_READ_EXACT:
        ON(orr_read_exact, handle, bytes, step->length, offset);
        break;
    case STEP_WRITE_ALL:
        ON(orr_write_all, handle, bytes, step->length, offset);
        break;
    case STEP_READV:
        ON(orr_readv, handle, operation->vectors, fill_vectors(operation, step), offset);
        break;
    case STEP_WRITEV:
        ON(orr_writev, handle, operation->vectors, fill_vectors(operation, step), offset);
        break;
    case STEP_FSYNC:
        orr_fsync(run->loop, &operation->completion, handle, run_called, operation);
        break;
    case STEP_FDATASYNC:
        orr_fdatasync(run->loop, &operation->completion, handle, run_called, operation);
        break;
    case STEP_TRUNCATE:
        ON(orr_truncate, handle, offset);
        break;
    default:
        ON(orr_allocate, handle, offset, step->length);
        break;
    }
}

static void submit_name(struct run *run, struct operation *operation, const struct step *step)
{
    orr_handle directory = operation->handle;
    const char *path = program_path(step->path);
    switch (step->op) {
    case STEP_OPEN:
        ON(orr_open, directory, path, step->flags, step->length);
        break;
    case STEP_STAT:
        ON(orr_stat, directory, step->path == PATHS ? NULL : path, &operation->stat);
        break;
    case STEP_RENAME:
        ON(orr_rename, directory, path, program_path(step->path_new));
        break;
    case STEP_LINK:
        ON(orr_link, directory, path, program_path(step->path_new));
        break;
    case STEP_UNLINK:
        ON(orr_unlink, directory, path, (enum orr_unlink_kind)step->kind);
        break;
    default:
        ON(orr_mkdir, directory, path, step->length);
        break;
    }
}

static void submit_other(struct run *run, struct operation *operation, const struct step *step)
{
    switch (step->op) {
    case STEP_CLOSE:
        run->slots[step->slot].is_closed = true;
        orr_close(run->loop, &operation->completion, operation->handle, run_called, operation);
        break;
    case STEP_TIMEOUT:
        operation->submitted_ns = orr_now(run->loop);
        ON(orr_timeout, step->length < TIMEOUT_FOR_EVER ? step->length : UINT64_MAX);
        break;
    case STEP_TICK:
        orr_next_tick(run->loop, &operation->completion, run_called, operation);
        break;
    default: {
        struct operation *target = &run->operations[operation->at - step->other];
        operation->target_in_flight = orr_in_flight(&target->completion);
        ON(orr_cancel, &target->completion);
        break;
    }
    }
}

void run_submit(struct run *run, uint32_t at)
{
    const struct step *step = &run->program->steps[at];
    struct operation *operation = &run->operations[at];
    operation->handle = run->slots[step->slot].handle;
    operation->submitted = true;
    switch (step->op) {
    case STEP_CLOSE:
    case STEP_TIMEOUT:
    case STEP_TICK:
    case STEP_CANCEL:
        submit_other(run, operation, step);
        return;
    case STEP_OPEN:
    case STEP_STAT:
    case STEP_RENAME:
    case STEP_LINK:
    case STEP_UNLINK:
    case STEP_MKDIR:
        submit_name(run, operation, step);
        return;
    default:
        fill_bytes(run, operation, step);
        break;
    }
    if (step_is_file(step->op))
        submit_file(run, operation, step);
    else
        submit_socket(run, operation, step);
}

/*
 * link.c: the life of one connection, and the next.
 *
 *      DOWN --pause--> CONNECTING --> UP --error, silence--> CLOSING --> DOWN
 *
 * One receive is in flight while the link is up, one send at most. A question that comes while one
 * is being sent waits for that to end; what it replaces is not sent any more, unless it has begun.
 * A peer that lost its power says nothing, not even that the connection is gone: hence the limit to
 * silence, which holds only while an answer is owed.
 */
#include "link.h"

#include <errno.h>
#include <string.h>

/* Longer than a healthy replica takes for anything. */
#define SILENCE_NS ORR_SECOND

/* Before a connection is made anew: half of it to all of it, by chance, so that clients that lost
 * one replica together do not come back together. */
#define PAUSE_NS (50 * ORR_MILLISECOND)

/* ---- ending ---------------------------------------------------------------------------------- */

static void on_pause_over(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result == 0)
        link__start(context);
}

static void pause_link(struct link *link)
{
    uint64_t random;
    orr_random(link->owner->loop, &random, sizeof random);
    link->state = LINK_DOWN;
    orr_timeout(link->owner->loop, &link->pause, PAUSE_NS / 2 + random % (PAUSE_NS / 2),
                on_pause_over, link);
}

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    (void)result; /* the handle is gone whatever it says */
    pause_link(context);
}

/* What is in flight ends first, with -ECANCELED. */
static void hang_up(struct link *link, int64_t error)
{
    if (link->state == LINK_CLOSING)
        return;
    link->error = error;
    link->state = LINK_CLOSING;
    orr_close(link->owner->loop, &link->close, link->handle, on_closed, link);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void receive(struct link *link);

static void on_body(void *context, struct orr_completion *completion, int64_t result)
{
    struct link *link = context;
    struct register_message message;
    size_t body;
    (void)completion;
    if (link->state == LINK_CLOSING)
        return;
    if (result < 0 || !register_message_body(link->in, &body) || (size_t)result != body ||
        !register_message_decode(link->in, &message) || link->owed == 0) {
        hang_up(link, result < 0 ? result : -EPROTO);
        return;
    }
    link->active_ns = orr_now(link->owner->loop);
    link->owed--;
    link->owner->heard(link->owner, link->replica, &message);
    if (link->state == LINK_UP)
        receive(link);
}

static void on_header(void *context, struct orr_completion *completion, int64_t result)
{
    struct link *link = context;
    size_t body;
    if (link->state == LINK_CLOSING)
        return;
    if (result != (int64_t)REGISTER_HEADER_LENGTH || !register_message_body(link->in, &body)) {
        bool has_ended = result >= 0 && result < (int64_t)REGISTER_HEADER_LENGTH;
        hang_up(link, result < 0 ? result : has_ended ? -ECONNRESET : -EPROTO);
        return;
    }
    if (body == 0)
        on_body(link, completion, 0);
    else
        orr_recv_exact(link->owner->loop, completion, link->handle,
                       link->in + REGISTER_HEADER_LENGTH, body, on_body, link);
}

static void receive(struct link *link)
{
    orr_recv_exact(link->owner->loop, &link->receive, link->handle, link->in,
                   REGISTER_HEADER_LENGTH, on_header, link);
}

/* ---- questions ------------------------------------------------------------------------------- */

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct link *link = context;
    (void)completion;
    link->is_sending = false;
    if (result < 0)
        hang_up(link, result);
    else if (link->epoch_sent != link->owner->epoch)
        link__ask(link);
}

void link__ask(struct link *link)
{
    struct link_owner *owner = link->owner;
    if (link->state != LINK_UP || link->is_sending || !owner->is_asking)
        return;
    if (link->owed == 0)
        link->active_ns = orr_now(owner->loop);
    memcpy(link->out, owner->question, owner->length);
    link->epoch_sent = owner->epoch;
    link->owed++;
    link->is_sending = true;
    orr_send_all(owner->loop, &link->send, link->handle, link->out, owner->length, on_sent, link);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct link *link = context;
    (void)completion;
    if (link->state == LINK_CLOSING)
        return;
    if (result < 0) {
        hang_up(link, result);
        return;
    }
    link->state = LINK_UP;
    link->error = 0;
    link->active_ns = orr_now(link->owner->loop);
    receive(link);
    link__ask(link);
}

void link__start(struct link *link)
{
    struct orr_loop *loop = link->owner->loop;
    link->handle = orr_socket(loop, orr_address_family(&link->address), ORR_SOCKET_STREAM);
    if (link->handle < 0) {
        link->error = link->handle;
        pause_link(link);
        return;
    }
    /* A question should not wait for an acknowledgement. Without the option it is only slow. */
    (void)orr_socket_option_set(loop, link->handle, ORR_SOCKET_NO_DELAY, 1);
    link->state = LINK_CONNECTING;
    link->is_sending = false;
    link->epoch_sent = 0;
    link->owed = 0;
    link->active_ns = orr_now(loop);
    orr_connect(loop, &link->send, link->handle, &link->address, on_connected, link);
}

void link__look_after(struct link *link)
{
    bool owes = link->state == LINK_CONNECTING || (link->state == LINK_UP && link->owed > 0);
    if (owes && orr_now(link->owner->loop) - link->active_ns >= SILENCE_NS)
        hang_up(link, -ETIMEDOUT);
    else if (!owes)
        link__ask(link);
}

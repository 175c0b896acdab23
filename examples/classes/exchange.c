/*
 * exchange.c: see exchange.h. An exchange is one send and one receive, which end in any order; then
 * the connection is closed. Only the peer that connects begins another one.
 */
#include "exchange.h"

#include <errno.h>
#include <string.h>

#define BACKLOG 8
#define PAUSE_NS (10 * ORR_MILLISECOND)

struct exchange {
    struct orr_loop *loop;
    struct exchange_config *config;
    orr_handle listener;
    orr_handle handle;
    bool listens;
    bool is_closing;
    uint32_t in_flight; /* of send and recv */
    struct orr_completion accept;
    struct orr_completion send;
    struct orr_completion recv;
    struct orr_completion close;
    uint8_t out[EXCHANGE_LENGTH];
    uint8_t in[EXCHANGE_LENGTH];
};

static void begin(struct exchange *exchange);

static void on_pause(void *context, struct orr_completion *completion, int64_t result)
{
    (void)completion;
    if (result == 0)
        begin(context);
}

static void on_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct exchange *exchange = context;
    (void)result;
    if (exchange->listens || exchange->config->lists < exchange->config->wanted)
        orr_timeout(exchange->loop, completion, PAUSE_NS, on_pause, exchange);
}

static void hang_up(struct exchange *exchange)
{
    if (exchange->is_closing)
        return;
    exchange->is_closing = true;
    orr_close(exchange->loop, &exchange->close, exchange->handle, on_closed, exchange);
}

/* Send or receive has ended; after both the exchange is over. */
static void end_half(struct exchange *exchange, int64_t result)
{
    exchange->in_flight--;
    if (result != (int64_t)EXCHANGE_LENGTH || exchange->in_flight == 0)
        hang_up(exchange);
}

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct exchange *exchange = context;
    (void)completion;
    if (result == (int64_t)EXCHANGE_LENGTH)
        exchange->config->lists++;
    end_half(exchange, result);
}

static void receive(struct exchange *exchange)
{
    orr_recv_exact(exchange->loop, &exchange->recv, exchange->handle, exchange->in, EXCHANGE_LENGTH,
                   on_received, exchange);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct exchange *exchange = context;
    (void)completion;
    bool sends_first = (exchange->config->bugs & EXCHANGE_BUG_SEND_FIRST) != 0;
    if (sends_first && result == (int64_t)EXCHANGE_LENGTH)
        receive(exchange);
    else if (sends_first)
        exchange->in_flight--; /* the receive that will not be */
    end_half(exchange, result);
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct exchange *exchange = context;
    (void)completion;
    if (result < 0) {
        hang_up(exchange);
        return;
    }
    exchange->in_flight = 2;
    orr_send_all(exchange->loop, &exchange->send, exchange->handle, exchange->out, EXCHANGE_LENGTH,
                 on_sent, exchange);
    if ((exchange->config->bugs & EXCHANGE_BUG_SEND_FIRST) == 0)
        receive(exchange);
}

static void on_accepted(void *context, struct orr_completion *completion, int64_t result)
{
    struct exchange *exchange = context;
    if (result < 0) {
        orr_timeout(exchange->loop, completion, PAUSE_NS, on_pause, exchange);
        return;
    }
    exchange->handle = result;
    on_connected(exchange, completion, 0);
}

static void begin(struct exchange *exchange)
{
    exchange->is_closing = false;
    if (exchange->listens) {
        orr_accept(exchange->loop, &exchange->accept, exchange->listener, NULL, on_accepted,
                   exchange);
        return;
    }
    exchange->handle = orr_socket(exchange->loop, orr_address_family(&exchange->config->address),
                                  ORR_SOCKET_STREAM);
    if (exchange->handle < 0)
        orr_timeout(exchange->loop, &exchange->close, PAUSE_NS, on_pause, exchange);
    else
        orr_connect(exchange->loop, &exchange->accept, exchange->handle, &exchange->config->address,
                    on_connected, exchange);
}

static struct exchange *boot(struct orr_loop *loop, struct exchange_config *config)
{
    struct exchange *exchange = orr_malloc(loop, sizeof *exchange);
    if (exchange != NULL) {
        memset(exchange, 0, sizeof *exchange);
        exchange->loop = loop;
        exchange->config = config;
    }
    return exchange;
}

void *exchange_boot_listening(struct orr_loop *loop, void *config)
{
    struct exchange *exchange = boot(loop, config);
    if (exchange == NULL)
        return NULL;
    exchange->listens = true;
    exchange->listener = orr_socket(loop, ORR_FAMILY_IP4, ORR_SOCKET_STREAM);
    if (exchange->listener < 0 ||
        orr_bind(loop, exchange->listener, &exchange->config->address) < 0 ||
        orr_listen(loop, exchange->listener, BACKLOG) < 0)
        return NULL;
    begin(exchange);
    return exchange;
}

void *exchange_boot_connecting(struct orr_loop *loop, void *config)
{
    struct exchange *exchange = boot(loop, config);
    if (exchange != NULL)
        begin(exchange);
    return exchange;
}

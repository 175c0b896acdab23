/*
 * client.c: rounds and calls. The links carry questions; here answers are counted.
 *
 * At most one call is under way, and in it one round. A call that was given up leaves the question
 * where it is (links stop asking it), and its answers, should they come, belong to no round.
 */
#include "client.h"

#include <string.h>

#include "link.h"

#define LOOK_NS (100 * ORR_MILLISECOND)

enum call_kind { CALL_NONE, CALL_GET, CALL_SET };

struct register_client {
    struct link_owner owner; /* the first member: links know no other */
    const struct register_peers *peers;
    uint64_t writer;       /* the client's name in stamps */
    uint64_t counter_last; /* the highest in a stamp of this client */
    enum call_kind call;
    enum register_message_type awaited; /* REGISTER_VALUE or REGISTER_STORED */
    uint32_t answered;                  /* a bit for each replica */
    struct register_stamp stamp;        /* the highest that was seen, then the one that is stored */
    uint32_t key_length;
    uint32_t value_length;
    uint8_t key[REGISTER_KEY_MAX];
    uint8_t value[REGISTER_VALUE_MAX]; /* a get: that of `stamp`; a set: the new one */
    register_done done;
    void *context;
    struct orr_completion look;
    struct link links[REGISTER_REPLICAS_MAX];
};

/* ---- rounds ---------------------------------------------------------------------------------- */

uint32_t register_client_quorum(const struct register_client *client)
{
    uint32_t majority = client->peers->count / 2 + 1;
    return (client->peers->bugs & REGISTER_BUG_MINORITY) != 0 ? majority - 1 : majority;
}

uint32_t register_client_answers(const struct register_client *client)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < client->peers->count; i++)
        count += client->answered >> i & 1;
    return count;
}

static void begin_round(struct register_client *client, const struct register_message *question,
                        enum register_message_type awaited)
{
    struct register_message message = *question;
    message.epoch = ++client->owner.epoch;
    client->owner.length = register_message_encode(&message, client->owner.question);
    client->owner.is_asking = true;
    client->awaited = awaited;
    client->answered = 0;
    for (uint32_t i = 0; i < client->peers->count; i++)
        link__ask(&client->links[i]);
}

static void begin_query(struct register_client *client)
{
    client->stamp = (struct register_stamp){0, 0};
    begin_round(client,
                &(struct register_message){
                    .type = REGISTER_QUERY, .key = client->key, .key_length = client->key_length},
                REGISTER_VALUE);
}

static void begin_store(struct register_client *client)
{
    begin_round(client,
                &(struct register_message){.type = REGISTER_STORE,
                                           .stamp = client->stamp,
                                           .key = client->key,
                                           .key_length = client->key_length,
                                           .value = client->value,
                                           .value_length = client->value_length},
                REGISTER_STORED);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void end_call(struct register_client *client)
{
    struct register_found found = {
        .exists = client->stamp.counter > 0,
        .value = client->value,
        .length = client->value_length,
    };
    bool is_get = client->call == CALL_GET;
    register_client_give_up(client); /* it is over: nothing more is asked */
    client->done(client->context, is_get ? &found : NULL);
}

/* A majority has told what it has. */
static void end_query(struct register_client *client)
{
    if (client->call == CALL_SET) {
        /* Higher than what a majority has seen, and than what this client gave up. */
        uint64_t highest = client->stamp.counter > client->counter_last ? client->stamp.counter
                                                                        : client->counter_last;
        client->counter_last = highest + 1;
        client->stamp = (struct register_stamp){highest + 1, client->writer};
        begin_store(client);
    } else if (client->stamp.counter == 0 ||
               (client->peers->bugs & REGISTER_BUG_NO_WRITE_BACK) != 0) {
        end_call(client);
    } else {
        begin_store(client);
    }
}

/* A value that a replica has. */
static void see(struct register_client *client, const struct register_message *message)
{
    if (!register_stamp_is_newer(message->stamp, client->stamp))
        return;
    client->stamp = message->stamp;
    if (client->call == CALL_GET) {
        client->value_length = message->value_length;
        memcpy(client->value, message->value, message->value_length);
    }
}

static bool is_current(const struct register_client *client, const struct register_message *message)
{
    return message->epoch == client->owner.epoch ||
           (client->peers->bugs & REGISTER_BUG_STALE_EPOCH) != 0;
}

static void on_heard(struct link_owner *owner, uint32_t replica,
                     const struct register_message *message)
{
    struct register_client *client = (struct register_client *)owner;
    if (client->call == CALL_NONE || !is_current(client, message) ||
        message->type != client->awaited)
        return;
    client->answered |= UINT32_C(1) << replica;
    if (client->awaited == REGISTER_VALUE)
        see(client, message);
    if (register_client_answers(client) < register_client_quorum(client))
        return;
    if (client->awaited == REGISTER_VALUE)
        end_query(client);
    else
        end_call(client);
}

static void begin_call(struct register_client *client, enum call_kind kind, const void *key,
                       uint32_t key_length, register_done done, void *context)
{
    client->call = kind;
    client->key_length = key_length;
    memcpy(client->key, key, key_length);
    client->done = done;
    client->context = context;
    begin_query(client);
}

void register_client_get(struct register_client *client, const void *key, uint32_t key_length,
                         register_done done, void *context)
{
    client->value_length = 0;
    begin_call(client, CALL_GET, key, key_length, done, context);
}

void register_client_set(struct register_client *client, const void *key, uint32_t key_length,
                         const void *value, uint32_t value_length, register_done done,
                         void *context)
{
    client->value_length = value_length;
    if (value_length > 0)
        memcpy(client->value, value, value_length);
    begin_call(client, CALL_SET, key, key_length, done, context);
}

void register_client_give_up(struct register_client *client)
{
    client->call = CALL_NONE;
    client->owner.is_asking = false;
}

int64_t register_client_error(const struct register_client *client, uint32_t replica)
{
    return client->links[replica].error;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_look(void *context, struct orr_completion *completion, int64_t result)
{
    struct register_client *client = context;
    if (result < 0)
        return;
    for (uint32_t i = 0; i < client->peers->count; i++)
        if ((client->answered >> i & 1) == 0 || client->call == CALL_NONE)
            link__look_after(&client->links[i]);
    orr_timeout(client->owner.loop, completion, LOOK_NS, on_look, client);
}

struct register_client *register_client_open(struct orr_loop *loop,
                                             const struct register_peers *peers)
{
    struct register_client *client = orr_malloc(loop, sizeof *client);
    if (client == NULL)
        return NULL;
    memset(client, 0, sizeof *client);
    client->owner.loop = loop;
    client->owner.heard = on_heard;
    client->peers = peers;
    uint32_t epoch;
    orr_random(loop, &client->writer, sizeof client->writer);
    orr_random(loop, &epoch, sizeof epoch);
    client->owner.epoch = (uint64_t)epoch << 32 | 1;
    for (uint32_t i = 0; i < peers->count; i++) {
        client->links[i].owner = &client->owner;
        client->links[i].replica = i;
        client->links[i].address = peers->addresses[i];
        link__start(&client->links[i]);
    }
    orr_timeout(loop, &client->look, LOOK_NS, on_look, client);
    return client;
}

void register_client_free(struct register_client *client)
{
    if (client != NULL)
        orr_free(client->owner.loop, client);
}

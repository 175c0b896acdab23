/*
 * test_network_chaos.c: an echo service and its clients under every family of faults, over many
 * seeds. Whatever strikes: no byte is changed, lost or invented in a stream that ends in order;
 * every operation ends once; after healing every session ends; the same seed gives the same hash.
 */
#include "../suite.h"

#include <orrery/sim.h>

#include <errno.h>
#include <string.h>

#define SESSIONS 4
#define CHUNK 4096
#define TOTAL_MAX 30000
#define SEEDS (SUITE_SANITIZED ? 4 : 40)

/* ck_assert reports its line to Check's parent each time; this only when it fails. */
#define must(condition)                            \
    do {                                           \
        if (!(condition))                          \
            ck_abort_msg("not true: " #condition); \
    } while (0)

/* What a node runs: an echo server, clients, or both in one loop. Outlives crashes. */
struct role {
    const char *listens;
    const char *connects;
    bool stop; /* start no more sessions */
    uint64_t crashes;
    const struct role *server;
    uint64_t whole;    /* sessions that ended in order */
    uint64_t broken;   /* sessions that ended with an error */
    uint64_t received; /* bytes that came back */
};

struct app {
    struct orr_loop *loop;
    struct role *role;
    struct orr_address target;
    orr_handle listener;
    struct orr_completion accept;
    struct session *sessions[SESSIONS];
};

/* One echo connection of the server. */
struct echo {
    struct app *app;
    orr_handle handle;
    struct orr_completion op;
    char bytes[CHUNK];
};

/* One connection of a client: sends a pattern and expects it back, with a send and a recv in
 * flight. */
struct session {
    struct app *app;
    int index;
    orr_handle handle;
    struct orr_completion connect; /* and shutdown, close, pause */
    struct orr_completion send;
    struct orr_completion recv;
    struct orr_completion cancel;
    uint32_t in_flight;
    uint64_t server_crashes;
    uint64_t key;
    uint64_t total;
    uint64_t sent;
    uint64_t received;
    bool failed;
    bool ended;
    bool cancels; /* the cancel is in flight */
    char out[CHUNK];
    char in[CHUNK];
};

static uint64_t draw(struct orr_loop *loop, uint64_t bound)
{
    uint64_t value;
    orr_random(loop, &value, sizeof value);
    return value % bound;
}

static char pattern(uint64_t key, uint64_t at)
{
    return (char)((at * 31 + at / 251 + key) & 0xff);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void on_echo_recv(void *context, struct orr_completion *completion, int64_t result);

static void on_echo_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo *echo = context;
    (void)completion;
    must(result == 0);
    orr_free(echo->app->loop, echo);
}

static void on_echo_shut(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo *echo = context;
    if (result != 0)
        must(result == -ENOTCONN);
    orr_close(echo->app->loop, completion, echo->handle, on_echo_closed, echo);
}

static void on_echo_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo *echo = context;
    if (result < 0)
        orr_close(echo->app->loop, completion, echo->handle, on_echo_closed, echo);
    else
        orr_recv(echo->app->loop, completion, echo->handle, echo->bytes,
                 1 + draw(echo->app->loop, CHUNK), on_echo_recv, echo);
}

static void on_echo_recv(void *context, struct orr_completion *completion, int64_t result)
{
    struct echo *echo = context;
    if (result > 0)
        orr_send_all(echo->app->loop, completion, echo->handle, echo->bytes, (size_t)result,
                     on_echo_sent, echo);
    else if (result == 0)
        orr_shutdown(echo->app->loop, completion, echo->handle, ORR_SHUTDOWN_SEND, on_echo_shut,
                     echo);
    else
        orr_close(echo->app->loop, completion, echo->handle, on_echo_closed, echo);
}

static void on_accept(void *context, struct orr_completion *completion, int64_t result)
{
    struct app *app = context;
    must(result >= 0);
    struct echo *echo = orr_malloc(app->loop, sizeof *echo);
    memset(echo, 0, sizeof *echo);
    echo->app = app;
    echo->handle = result;
    on_echo_sent(echo, &echo->op, 0);
    orr_accept(app->loop, completion, app->listener, NULL, on_accept, app);
}

static void serve_at(void *context, struct orr_completion *completion, int64_t result)
{
    struct app *app = context;
    struct orr_address address;
    (void)completion;
    must(result == 0 || result == -ENOENT);
    must(orr_address_parse(app->role->listens, &address) == 0);
    app->listener = orr_socket(app->loop, orr_address_family(&address), ORR_SOCKET_STREAM);
    must(orr_socket_option_set(app->loop, app->listener, ORR_SOCKET_REUSE_ADDRESS, 1) == 0);
    must(orr_socket_option_set(app->loop, app->listener, ORR_SOCKET_KEEP_ALIVE, 1) == 0);
    must(orr_bind(app->loop, app->listener, &address) == 0);
    must(orr_listen(app->loop, app->listener, 4) == 0);
    orr_accept(app->loop, &app->accept, app->listener, NULL, on_accept, app);
}

/* The name of a Unix socket may be there from an earlier life. */
static void serve(struct app *app)
{
    const char *path = strchr(app->role->listens, '/');
    if (path != NULL)
        orr_unlink(app->loop, &app->accept, ORR_DIRECTORY_CURRENT, path, ORR_UNLINK_FILE, serve_at,
                   app);
    else
        serve_at(app, NULL, 0);
}

/* ---- the clients ----------------------------------------------------------------------------- */

static void start_session(struct app *app, int index);

static void on_pause(void *context, struct orr_completion *completion, int64_t result)
{
    struct session *session = context;
    (void)completion;
    (void)result;
    struct app *app = session->app;
    int index = session->index;
    orr_free(app->loop, session);
    app->sessions[index] = NULL;
    if (!app->role->stop)
        start_session(app, index);
}

static void on_session_closed(void *context, struct orr_completion *completion, int64_t result)
{
    struct session *session = context;
    struct role *role = session->app->role;
    must(result == 0);
    must(session->in_flight == 0);
    role->received += session->received;
    /* A killed server's system says FIN as if all were well. */
    bool same_server = session->server_crashes == role->server->crashes;
    if (!session->failed && same_server)
        must(session->received == session->total);
    if (session->failed)
        role->broken++;
    else
        role->whole++;
    orr_timeout(session->app->loop, completion, draw(session->app->loop, ORR_MILLISECOND), on_pause,
                session);
}

/* Closes once nothing more is to come. */
static void settle(struct session *session)
{
    if (session->in_flight > 0 || !session->ended)
        return;
    orr_close(session->app->loop, &session->connect, session->handle, on_session_closed, session);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result);

static void on_shut(void *context, struct orr_completion *completion, int64_t result)
{
    struct session *session = context;
    (void)completion;
    session->in_flight--;
    session->failed = session->failed || result != 0;
    settle(session);
}

static void send_more(struct session *session)
{
    struct app *app = session->app;
    session->in_flight++;
    if (session->sent == session->total || session->ended) {
        orr_shutdown(app->loop, &session->send, session->handle, ORR_SHUTDOWN_SEND, on_shut,
                     session);
        return;
    }
    uint64_t length = 1 + draw(app->loop, CHUNK);
    if (length > session->total - session->sent)
        length = session->total - session->sent;
    for (uint64_t i = 0; i < length; i++)
        session->out[i] = pattern(session->key, session->sent + i);
    orr_send(app->loop, &session->send, session->handle, session->out, (size_t)length, on_sent,
             session);
}

static void on_sent(void *context, struct orr_completion *completion, int64_t result)
{
    struct session *session = context;
    (void)completion;
    session->in_flight--;
    if (result > 0) {
        session->sent += (uint64_t)result;
        send_more(session);
    } else { /* what had arrived can still be read */
        must(result == -EPIPE || result == -ECONNRESET || result == -ETIMEDOUT);
        session->failed = true;
        settle(session);
    }
}

static void on_received(void *context, struct orr_completion *completion, int64_t result);

static void recv_more(struct session *session)
{
    struct app *app = session->app;
    session->in_flight++;
    orr_recv(app->loop, &session->recv, session->handle, session->in, 1 + draw(app->loop, CHUNK),
             on_received, session);
}

static void on_canceled(void *context, struct orr_completion *completion, int64_t result)
{
    struct session *session = context;
    (void)completion;
    must(result == 0 || result == -EALREADY);
    session->cancels = false;
    session->in_flight--;
    settle(session);
}

static void on_received(void *context, struct orr_completion *completion, int64_t result)
{
    struct session *session = context;
    struct orr_loop *loop = session->app->loop;
    (void)completion;
    session->in_flight--;
    for (int64_t i = 0; i < result; i++)
        if (session->in[i] != pattern(session->key, session->received + (uint64_t)i))
            ck_abort_msg("byte %llu of a stream is wrong",
                         (unsigned long long)session->received + (unsigned long long)i);
    if (result > 0)
        session->received += (uint64_t)result;
    must(session->received <= session->sent + CHUNK);
    if (result > 0 || result == -ECANCELED) {
        recv_more(session);
        if (!session->cancels && draw(loop, 50) == 0) {
            session->cancels = true;
            session->in_flight++;
            orr_cancel(loop, &session->cancel, &session->recv, on_canceled, session);
        }
        return;
    }
    if (result < 0)
        must(result == -ECONNRESET || result == -ETIMEDOUT || result == -EPIPE);
    session->failed = session->failed || result < 0;
    session->ended = true;
    settle(session);
}

static void on_connected(void *context, struct orr_completion *completion, int64_t result)
{
    struct session *session = context;
    (void)completion;
    session->in_flight--;
    if (result == 0) {
        send_more(session);
        recv_more(session);
        return;
    }
    must(result == -ECONNREFUSED || result == -ETIMEDOUT || result == -ENOENT);
    session->failed = true;
    session->ended = true;
    settle(session);
}

static void start_session(struct app *app, int index)
{
    struct session *session = orr_malloc(app->loop, sizeof *session);
    memset(session, 0, sizeof *session);
    session->app = app;
    session->index = index;
    session->server_crashes = app->role->server->crashes;
    session->key = draw(app->loop, 256);
    session->total = draw(app->loop, TOTAL_MAX);
    session->handle = orr_socket(app->loop, orr_address_family(&app->target), ORR_SOCKET_STREAM);
    must(orr_socket_option_set(app->loop, session->handle, ORR_SOCKET_KEEP_ALIVE, 1) == 0);
    session->in_flight = 1;
    app->sessions[index] = session;
    orr_connect(app->loop, &session->connect, session->handle, &app->target, on_connected, session);
}

static void *boot(struct orr_loop *loop, void *config)
{
    struct role *role = config;
    struct app *app = orr_malloc(loop, sizeof *app);
    memset(app, 0, sizeof *app);
    app->loop = loop;
    app->role = role;
    if (role->listens != NULL)
        serve(app);
    if (role->connects != NULL) {
        must(orr_address_parse(role->connects, &app->target) == 0);
        for (int i = 0; i < SESSIONS && !role->stop; i++)
            start_session(app, i);
    }
    return app;
}

static void crashed(void *application)
{
    const struct app *app = application;
    app->role->crashes++;
}

/* ---- the runs -------------------------------------------------------------------------------- */

#define ROLES 5

struct party {
    struct role roles[ROLES];
    struct orr_node *nodes[ROLES];
};

static bool all_done(void *context)
{
    const struct party *party = context;
    for (int i = 0; i < ROLES; i++) {
        const struct app *app = orr_node_application(party->nodes[i]);
        for (int k = 0; app != NULL && k < SESSIONS; k++)
            if (app->sessions[k] != NULL)
                return false;
    }
    return true;
}

/* One seed with each family off, rare or frequent. Returns the trace hash. */
static uint64_t chaos(uint64_t seed, struct party *party)
{
    static const struct orr_program program = {.boot = boot, .crash = crashed};
    static const char *const names[ROLES] = {"server", "client", "other", "inner", "local"};
    static const uint32_t frequent[ORR_FAMILY_COUNT] = {
        [ORR_FAMILY_PARTIAL] = 300000,   [ORR_FAMILY_LATENCY] = 20000,
        [ORR_FAMILY_REORDER] = 300000,   [ORR_FAMILY_PRESSURE] = 500000,
        [ORR_FAMILY_CONNECTION] = 20000, [ORR_FAMILY_PARTITION] = 20000,
        [ORR_FAMILY_POWER_LOSS] = 60000, [ORR_FAMILY_KILL] = 60000};
    *party = (struct party){0};
    struct role *roles = party->roles;
    roles[0] = (struct role){.listens = "[::]:7000"};
    roles[1] = (struct role){.connects = "10.0.0.1:7000", .server = &roles[0]};
    roles[2] = (struct role){.connects = "[fd00::1]:7000", .server = &roles[0]};
    roles[3] =
        (struct role){.listens = "0.0.0.0:80", .connects = "127.0.0.1:80", .server = &roles[3]};
    roles[4] = (struct role){.listens = "unix:/e", .connects = "unix:/e", .server = &roles[4]};
    struct orr_world *world = orr_world_create(seed, NULL);
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++) {
        uint64_t kind = orr_choose(world, "rate", 3);
        uint32_t rate = kind == 0 ? 0 : frequent[family] / (kind == 1 ? 20 : 1);
        orr_world_set_rate(world, (enum orr_fault_family)family, rate);
    }
    for (int i = 0; i < ROLES; i++)
        party->nodes[i] = orr_node_create(world, names[i], &program, &roles[i]);
    for (int i = 0; i < ROLES; i++)
        orr_node_allow_crashes(party->nodes[i], ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    orr_world_run_for(world, 100 * ORR_MILLISECOND);
    for (int i = 0; i < ROLES; i++)
        roles[i].stop = true;
    orr_world_heal(world);
    orr_eventually(world, all_done, party, 4 * 3600 * ORR_SECOND, "every session ends");
    if (orr_world_failed(world))
        ck_abort_msg("seed %llu: some session never ends", (unsigned long long)seed);
    uint64_t hash = orr_world_trace_hash(world);
    orr_world_destroy(world);
    return hash;
}

START_TEST(test_network_chaos__streams_survive)
{
    uint64_t whole = 0;
    uint64_t broken = 0;
    static struct party party;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        chaos(seed, &party);
        for (int i = 0; i < ROLES; i++) {
            whole += party.roles[i].whole;
            broken += party.roles[i].broken;
        }
    }
    ck_assert_uint_gt(whole, SEEDS * 10);
    ck_assert_uint_gt(broken, SEEDS);
}
END_TEST

START_TEST(test_network_chaos__same_seed_same_run)
{
    static struct party first;
    static struct party second;
    uint64_t hash_before = 0;
    for (uint64_t seed = 0; seed < SEEDS / 2; seed++) {
        uint64_t hash = chaos(seed, &first);
        ck_assert_uint_eq(hash, chaos(seed, &second));
        ck_assert_uint_ne(hash, hash_before);
        hash_before = hash;
        for (int i = 0; i < ROLES; i++)
            ck_assert_uint_eq(first.roles[i].received, second.roles[i].received);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("network_chaos");
    tcase_add_test(cases, test_network_chaos__streams_survive);
    tcase_add_test(cases, test_network_chaos__same_seed_same_run);
    return suite_run("sim/network_chaos", cases);
}

/*
 * scenario_post.c: a client posts bodies to a server. Nothing here breaks a connection but the two
 * programs themselves, so every post must get its reply.
 */
#include "post.h"
#include "scenario_common.h"

#define PORT 7200
#define POSTS 8u

static bool is_done(void *context)
{
    const struct post_task *task = context;
    return task->answered + task->lost >= task->posts;
}

static void run(struct orr_world *world)
{
    static const struct orr_program server_program = {.boot = post_server_boot};
    static const struct orr_program client_program = {.boot = post_client_boot};
    struct post_server_config config = {
        .bugs = (classes_has_bug(world, "half-close") ? POST_BUG_HALF_CLOSE : 0u) |
                (classes_has_bug(world, "close-unread") ? POST_BUG_CLOSE_UNREAD : 0u)};
    struct post_task task = {.posts = POSTS};
    classes_set_rates(world);
    orr_world_set_rate(world, ORR_FAMILY_CONNECTION, 0);
    orr_world_set_rate(world, ORR_FAMILY_PARTITION, 0);
    (void)orr_address_parse("0.0.0.0:7200", &config.address);
    struct orr_node *server = orr_node_create(world, "server", &server_program, &config);
    task.server = orr_node_address(server, PORT);
    (void)orr_node_create(world, "client", &client_program, &task);
    orr_world_run_for(world, 200 * ORR_MILLISECOND);
    orr_world_heal(world);
    orr_eventually(world, is_done, &task, ORR_MINUTE, "every post ends");
    orr_always(world, task.lost == 0, "every post gets its reply");
}

static const struct orr_parameter parameters[] = {
    {.name = "bug",
     .value = "none",
     .allowed = "none|half-close|close-unread",
     .summary = "a planted bug"},
    {.name = "without",
     .value = "none",
     .allowed = "none|short-transfers|slow-transfers",
     .summary = "faults that never strike"},
    {.name = NULL},
};

const struct orr_scenario post_scenario = {
    .name = "post",
    .summary = "every post gets its reply, however small the buffers are",
    .parameters = parameters,
    .run = run,
};

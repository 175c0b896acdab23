/*
 * test_queue.c: the intrusive queue of io/queue.c, against an array of what should be in it.
 */
#include "io/internal.h"
#include "tests/io/dies.h"
#include "tests/io/probe.h"

#include <string.h>

#define COUNT 8u

static struct orr_completion items[COUNT];
static struct orr_queue queue;

static void check_is(const struct orr_completion *const *model, uint32_t count)
{
    ck_assert_uint_eq(queue.count, count);
    const struct orr_completion *item = queue.head;
    const struct orr_completion *previous = NULL;
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_ptr_eq(item, model[i]);
        ck_assert_ptr_eq(item->previous, previous);
        previous = item;
        item = item->next;
    }
    ck_assert_ptr_null(item);
    ck_assert_ptr_eq(queue.tail, previous);
}

static void check_outside(const struct orr_completion *item)
{
    ck_assert_ptr_null(item->next);
    ck_assert_ptr_null(item->previous);
}

static void fill(uint32_t count)
{
    memset(items, 0, sizeof items);
    memset(&queue, 0, sizeof queue);
    for (uint32_t i = 0; i < count; i++)
        orr_queue_push(&queue, &items[i]);
}

START_TEST(first_in_first_out)
{
    for (uint32_t count = 0; count <= COUNT; count++) {
        fill(count);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_ptr_eq(orr_queue_pop(&queue), &items[i]);
            check_outside(&items[i]);
            ck_assert_uint_eq(queue.count, count - 1 - i);
        }
        ck_assert_ptr_null(orr_queue_pop(&queue));
        check_is(NULL, 0);
    }
}
END_TEST

/* Every subset of the items is removed, once from the front and once from the back. */
START_TEST(removes_every_subset)
{
    for (uint32_t subset = 0; subset < 1u << (COUNT + 1); subset++) {
        const struct orr_completion *model[COUNT];
        uint32_t left = 0;
        bool backwards = (subset & 1u) != 0;
        fill(COUNT);
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t at = backwards ? COUNT - 1 - i : i;
            if ((subset >> (at + 1) & 1u) != 0) {
                orr_queue_remove(&queue, &items[at]);
                check_outside(&items[at]);
            }
        }
        for (uint32_t i = 0; i < COUNT; i++)
            if ((subset >> (i + 1) & 1u) == 0)
                model[left++] = &items[i];
        check_is(model, left);
    }
}
END_TEST

START_TEST(is_used_again_after_it_was_empty)
{
    fill(1);
    orr_queue_remove(&queue, &items[0]);
    orr_queue_push(&queue, &items[1]);
    orr_queue_push(&queue, &items[0]);
    const struct orr_completion *model[] = {&items[1], &items[0]};
    check_is(model, 2);
}
END_TEST

static void push_again(void *context)
{
    orr_queue_push(&queue, context);
}

START_TEST(pushing_what_is_queued_is_caught)
{
    for (uint32_t count = 1; count <= 3; count++) {
        for (uint32_t i = 0; i < count; i++) {
            fill(count);
            DIES(push_again, &items[i], "orrery: internal", "io/queue.c");
        }
    }
}
END_TEST

static void push_to_another(void *context)
{
    struct orr_queue other = {NULL, NULL, 0};
    orr_queue_push(&other, context);
}

/* An item alone in its queue has no link that could tell; two in a row have. */
START_TEST(pushing_a_linked_item_to_another_queue_is_caught)
{
    fill(2);
    DIES(push_to_another, &items[0], "orrery: internal", "io/queue.c");
    DIES(push_to_another, &items[1], "orrery: internal", "io/queue.c");
}
END_TEST

static void remove_from_empty(void *context)
{
    struct orr_queue empty = {NULL, NULL, 0};
    orr_queue_remove(&empty, context);
}

START_TEST(removing_from_an_empty_queue_is_caught)
{
    fill(1);
    DIES(remove_from_empty, &items[0], "orrery: internal", "io/queue.c");
}
END_TEST

static void complete_idle(void *context)
{
    orr_backend_complete(&queue, context, 0);
}

START_TEST(a_backend_completes_only_what_it_holds)
{
    for (uint8_t state = 0; state < ORR__STATE_COUNT; state++) {
        fill(0);
        items[0].request.op = ORR_OP_RECV;
        items[0].request.state = state;
        if (state == ORR__QUEUED)
            continue;
        DIES(complete_idle, &items[0], "a backend completed a recv that it does not hold");
    }
    items[0].request.state = ORR__QUEUED;
    items[0].next = &items[1]; /* what a backend left there */
    items[0].previous = &items[2];
    orr_backend_complete(&queue, &items[0], -77);
    const struct orr_completion *model[] = {&items[0]};
    check_is(model, 1);
    ck_assert_int_eq(items[0].result, -77);
    ck_assert_uint_eq(items[0].request.state, ORR__COMPLETED);
}
END_TEST

PROBE_MAIN("queue", first_in_first_out, removes_every_subset, is_used_again_after_it_was_empty,
           pushing_what_is_queued_is_caught, pushing_a_linked_item_to_another_queue_is_caught,
           removing_from_an_empty_queue_is_caught, a_backend_completes_only_what_it_holds)

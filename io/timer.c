/*
 * timer.c: the loop's timers: an intrusive pairing heap, ordered by (deadline, order of submit).
 * The nodes are the completions themselves, so any number of timers needs no memory of ours; adding
 * takes constant time, removing a logarithmic amortised one. Kernel timers would cost several times
 * more each and would differ between backends.
 *
 * `child` is a node's first child, `sibling` the next child of the same parent, `before` the
 * previous sibling, or the parent for a first child; NULL for the root.
 */
#include "internal.h"

typedef struct orr_completion node;

#define T(completion) ((completion)->request.arguments.timer)

static bool earlier(const node *a, const node *b)
{
    if (T(a).deadline_ns != T(b).deadline_ns)
        return T(a).deadline_ns < T(b).deadline_ns;
    return T(a).sequence < T(b).sequence;
}

/* Makes the later of two roots the first child of the other. */
static node *meld(node *a, node *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (earlier(b, a)) {
        node *swap = a;
        a = b;
        b = swap;
    }
    T(b).sibling = T(a).child;
    if (T(a).child != NULL)
        T(T(a).child).before = b;
    T(b).before = a;
    T(a).child = b;
    return a;
}

static node *detach(node *root)
{
    T(root).sibling = NULL;
    T(root).before = NULL;
    return root;
}

/* Melds a list of siblings into one heap: in pairs from left to right, then the pairs from right to
 * left. */
static node *meld_siblings(node *first)
{
    node *pairs = NULL; /* linked through sibling, last pair first */
    while (first != NULL) {
        node *a = first;
        node *b = T(a).sibling;
        first = b != NULL ? T(b).sibling : NULL;
        node *pair = meld(detach(a), b != NULL ? detach(b) : NULL);
        T(pair).sibling = pairs;
        pairs = pair;
    }
    node *root = NULL;
    while (pairs != NULL) {
        node *next = T(pairs).sibling;
        root = meld(root, detach(pairs));
        pairs = next;
    }
    return root;
}

void orr__timer_add(struct orr_loop *loop, struct orr_completion *completion)
{
    T(completion).sequence = loop->timer_sequence++;
    T(completion).child = NULL;
    completion->request.state = ORR__TIMER;
    loop->timers = meld(loop->timers, detach(completion));
}

void orr__timer_remove(struct orr_loop *loop, struct orr_completion *completion)
{
    orr__assert(completion->request.state == ORR__TIMER);
    node *children = meld_siblings(T(completion).child);
    T(completion).child = NULL;
    if (completion == loop->timers) {
        loop->timers = children;
        return;
    }
    node *before = T(completion).before;
    orr__assert(before != NULL);
    if (T(before).child == completion)
        T(before).child = T(completion).sibling;
    else
        T(before).sibling = T(completion).sibling;
    if (T(completion).sibling != NULL)
        T(T(completion).sibling).before = before;
    detach(completion);
    loop->timers = meld(loop->timers, children);
}

void orr__timers_expire(struct orr_loop *loop, uint64_t now_ns)
{
    while (loop->timers != NULL && T(loop->timers).deadline_ns <= now_ns &&
           T(loop->timers).deadline_ns != UINT64_MAX) {
        node *due = loop->timers;
        orr__timer_remove(loop, due);
        loop->statistics.timers_fired++;
        orr__complete(loop, due, 0);
    }
}

/* The next one in preorder: the first child, or the next sibling, of it or of a parent. */
static const node *next_in_heap(const node *at)
{
    if (T(at).child != NULL)
        return T(at).child;
    while (at != NULL && T(at).sibling == NULL) {
        while (T(at).before != NULL && T(T(at).before).child != at)
            at = T(at).before;
        at = T(at).before;
    }
    return at != NULL ? T(at).sibling : NULL;
}

void orr__timers_visit(const struct orr_loop *loop, orr_operation_visit visit, void *context)
{
    for (const node *at = loop->timers; at != NULL; at = next_in_heap(at))
        visit(context, at);
}

uint64_t orr__timers_deadline(const struct orr_loop *loop)
{
    return loop->timers != NULL ? T(loop->timers).deadline_ns : UINT64_MAX;
}

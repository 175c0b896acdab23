/*
 * leak.c: a call that would make the run depend on this machine, where and when no seed decides: a
 * thread, a process, a sleep, a wait for what lies outside of the world. It is not made; the check
 * that it breaks fails, and the report shows the stack: from the call up to where the world called
 * the program.
 *
 * A frame is told as module+address, where the address is relative to the module, so that a report
 * is the same in every run and addr2line can name the line. It is an address inside the call, not
 * the one after it, which may belong to the next line. None of it enters the trace hash.
 */
#define _GNU_SOURCE 1 /* dladdr1 */

#include "libc.h"

#include "../world.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <string.h>

#ifdef __GLIBC__

#include <link.h>
#include <unwind.h>

enum {
    FRAMES_MAX = 12,
    FRAME_BYTES_MAX = 112, /* of the text of one */
};

static const struct {
    const char *check;
    const char *why;
} leaks[ORR__LEAK_COUNT] = {
    [ORR__LEAK_THREAD] = {"the program starts no thread",
                          "what a thread does when is up to the machine, and no seed brings it "
                          "back: do its work in callbacks of the loop"},
    [ORR__LEAK_SLEEP] = {"the program does not sleep",
                         "no virtual time passes in a callback, and a loop that sleeps serves "
                         "nobody: wait with orr_timeout"},
    [ORR__LEAK_WAIT] = {"the program waits for nothing outside of the world",
                        "when a real descriptor is ready is up to the machine, and no seed brings "
                        "it back: submit operations to the loop"},
    [ORR__LEAK_LOOKUP] = {"the program looks up no name outside of the world",
                          "the answer comes from this machine and its network: give nodes their "
                          "addresses in the configuration"},
    [ORR__LEAK_PROCESS] = {"the program starts no process",
                           "what another process does when is up to the machine, and no seed "
                           "brings it back: do its work in callbacks of the loop"},
};

/* ---- the stack ------------------------------------------------------------------------------- */

struct stack {
    const char *caller; /* the first frame to show */
    const char *end;    /* frames from here on are the world's */
    bool begun;
    uint32_t count;
    char frames[FRAMES_MAX][FRAME_BYTES_MAX];
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void tell_frame(char text[FRAME_BYTES_MAX], const char *return_address)
{
    Dl_info info;
    struct link_map *map = NULL;
    const char *address = return_address - 1;
    if (dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || map == NULL) {
        snprintf(text, FRAME_BYTES_MAX, "(code of no module)");
        return;
    }
    snprintf(text, FRAME_BYTES_MAX, "%.40s+0x%" PRIx64 "%s%.60s", base_name(info.dli_fname),
             (uint64_t)((uintptr_t)address - map->l_addr), info.dli_sname != NULL ? " " : "",
             info.dli_sname != NULL ? info.dli_sname : "");
}

static _Unwind_Reason_Code take_frame(struct _Unwind_Context *context, void *argument)
{
    struct stack *stack = argument;
    _Unwind_Ptr number = _Unwind_GetIP(context);
    const char *return_address;
    memcpy(&return_address, &number, sizeof return_address);
    if ((uintptr_t)_Unwind_GetCFA(context) >= (uintptr_t)stack->end || stack->count == FRAMES_MAX)
        return _URC_END_OF_STACK;
    if (return_address == stack->caller)
        stack->begun = true;
    if (stack->begun)
        tell_frame(stack->frames[stack->count++], return_address);
    return _URC_NO_REASON;
}

static void note_stack(struct orr_world *world, const struct stack *stack)
{
    char text[FRAMES_MAX * (FRAME_BYTES_MAX + 3) + 128];
    size_t length = (size_t)snprintf(text, sizeof text, "called from (addr2line -e FILE ADDRESS):");
    for (uint32_t i = 0; i < stack->count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "\n  %s", stack->frames[i]);
    orr_note(world, "%s", text);
}

/* ---- the report ------------------------------------------------------------------------------ */

static void report(const struct orr__scope *scope, enum orr__leak leak, const char *function,
                   const void *caller)
{
    struct stack stack = {.caller = caller, .end = scope->stack};
    _Unwind_Backtrace(take_frame, &stack);
    if (stack.count == 0) /* the caller's code has no unwind tables */
        tell_frame(stack.frames[stack.count++], caller);
    note_stack(scope->world, &stack);
    const char *node = scope->process != NULL ? scope->process->node->name : NULL;
    orr__world_fail(scope->world, leaks[leak].check, stack.frames[0], "%s%s calls %s: %s",
                    node != NULL ? "node " : "the scenario", node != NULL ? node : "", function,
                    leaks[leak].why);
}

bool orr__libc_leaks(enum orr__leak leak, const char *function, const void *caller)
{
    const struct orr__scope *scope = orr__scope_here();
    if (scope->world == NULL || !scope->world->policed)
        return false;
    if (!scope->world->failed)
        report(scope, leak, function, caller);
    return true;
}

#endif

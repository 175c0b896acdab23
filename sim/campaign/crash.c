/*
 * crash.c: where a signal struck. Many crashes have the same signal; what tells them apart is the
 * instruction. The child notes its address in the slot and dies as it would have died; the parent,
 * which has the same program at the same addresses, names it.
 *
 * Nothing else is done in the child: its memory may be in any state. On a stack that has
 * overflowed not even that works, and the signal alone has to do.
 */
#define _GNU_SOURCE 1 /* dladdr, registers in ucontext_t */

#include "campaign.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static struct orr__slot *own_slot;

/* The instruction that a signal interrupted, or 0 on machines unknown here. */
static uint64_t instruction_of(const void *context)
{
#if defined(__linux__) && defined(__x86_64__)
    return (uint64_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__linux__) && defined(__aarch64__)
    return ((const ucontext_t *)context)->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

/* SA_RESETHAND has put the default back: the signal is delivered again, to it, on return. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)info;
    own_slot->fault_address = instruction_of(context);
    own_slot->fault_signal = (uint32_t)number;
    raise(number);
}

void orr__crash_watch(struct orr__slot *slot)
{
    own_slot = slot;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct sigaction action = {.sa_sigaction = on_fault,
                                   .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};
        struct sigaction before;
        if (sigaction(faults[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(faults[i], &action, NULL);
    }
}

const char *orr__crash_text(const struct orr__slot *slot, char *text, size_t size)
{
    Dl_info info;
    const void *address;
    uintptr_t number = (uintptr_t)slot->fault_address;
    text[0] = '\0';
    if (slot->fault_signal == 0 || number == 0)
        return text;
    memcpy(&address, &number, sizeof address);
    if (dladdr(address, &info) == 0) {
        snprintf(text, size, " at 0x%" PRIxPTR, number);
    } else if (info.dli_sname != NULL) {
        snprintf(text, size, " in %s+0x%" PRIxPTR, info.dli_sname,
                 number - (uintptr_t)info.dli_saddr);
    } else {
        const char *slash = strrchr(info.dli_fname, '/');
        snprintf(text, size, " at %s+0x%" PRIxPTR, slash != NULL ? slash + 1 : info.dli_fname,
                 number - (uintptr_t)info.dli_fbase);
    }
    return text;
}

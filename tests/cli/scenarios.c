/*
 * scenarios.c: one tiny scenario for each way a seed can end, for test_cli.c. Built twice: as a
 * program (ORR_MAIN) and, with CLI_SHARED_OBJECT, as a shared object for --load.
 */
#define _DEFAULT_SOURCE 1 /* fork, pause, syscall */

#include <orrery/backend.h>
#include <orrery/sim.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- a node that ticks, so that there are events to trace ---------------------------------- */

struct clock {
    struct orr_loop *loop;
    struct orr_completion tick;
};

static void on_tick(void *context, struct orr_completion *completion, int64_t result)
{
    struct clock *clock = context;
    if (result == 0)
        orr_timeout(clock->loop, completion, ORR_MILLISECOND, on_tick, clock);
}

static void *boot_clock(struct orr_loop *loop, void *config)
{
    (void)config;
    struct clock *clock = orr_malloc(loop, sizeof *clock);
    if (clock == NULL)
        return NULL;
    *clock = (struct clock){.loop = loop};
    orr_timeout(loop, &clock->tick, ORR_MILLISECOND, on_tick, clock);
    return clock;
}

static void tick_for(struct orr_world *world, uint64_t ns)
{
    static const struct orr_program program = {.boot = boot_clock};
    orr_node_create(world, "clock", &program, NULL);
    orr_world_run_for(world, ns);
}

/* ---- a node that the same fault strikes again and again, and one that does not stay up ------- */

struct asker {
    struct orr_loop *loop;
    struct orr_completion ask;
    struct orr_stat stat;
    uint64_t asks_left;
    bool crashes; /* after the last one */
};

static void on_answer(void *context, struct orr_completion *completion, int64_t result)
{
    struct asker *asker = context;
    (void)result;
    if (asker->asks_left == 0) {
        if (asker->crashes)
            abort();
        return;
    }
    asker->asks_left--;
    orr_stat(asker->loop, completion, ORR_DIRECTORY_CURRENT, ".", &asker->stat, on_answer, asker);
}

static void *boot_asker(struct orr_loop *loop, void *config)
{
    struct asker *asker = config;
    asker->loop = loop;
    on_answer(asker, &asker->ask, 0);
    return asker;
}

/* ---- a node that needs its answers, some more than others ------------------------------------ */

enum { ANSWERS = 8 };

struct picky {
    struct orr_loop *loop;
    struct orr_completion ask;
    struct orr_stat stat;
    uint32_t count;
    int64_t answers[ANSWERS];
};

static void on_picked(void *context, struct orr_completion *completion, int64_t result)
{
    struct picky *picky = context;
    picky->answers[picky->count++] = result;
    if (picky->count < ANSWERS)
        orr_stat(picky->loop, completion, ORR_DIRECTORY_CURRENT, ".", &picky->stat, on_picked,
                 picky);
}

static void *boot_picky(struct orr_loop *loop, void *config)
{
    struct picky *picky = config;
    picky->loop = loop;
    orr_stat(loop, &picky->ask, ORR_DIRECTORY_CURRENT, ".", &picky->stat, on_picked, picky);
    return picky;
}

static void run_picky(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_picky};
    struct picky picky = {.loop = NULL};
    orr_node_create(world, "asker", &program, &picky);
    orr_world_run_for(world, 100 * ORR_SECOND);
    orr_always(world, picky.count == ANSWERS, "all is answered");
    orr_always(world, picky.answers[3] == 0 || picky.answers[5] == 0, "one of two is right");
    orr_always(world, picky.answers[5] == 0 || orr_parameter_text(world, "alone")[0] == 'f',
               "the sixth is right");
}

static void only_latency(struct orr_world *world)
{
    for (uint32_t family = 0; family < ORR_FAMILY_COUNT; family++)
        orr_world_set_rate(world, (enum orr_fault_family)family,
                           family == ORR_FAMILY_LATENCY ? 1000000 : 0);
}

static void run_slow(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_asker};
    struct asker asker = {
        .asks_left = orr_parameter_number(world, "faults"),
        .crashes = strcmp(orr_parameter_text(world, "end"), "crash") == 0,
    };
    only_latency(world);
    orr_node_create(world, "asker", &program, &asker);
    orr_world_run_for(world, 100 * ORR_SECOND);
    for (uint32_t i = 0; i < 3; i++)
        orr_note(world, "the same again");
    orr_note(world, "something else");
    orr_always(world, strcmp(orr_parameter_text(world, "end"), "check") != 0, "the end is calm");
}

static void on_stop(void *context, struct orr_completion *completion, int64_t result)
{
    struct clock *clock = context;
    (void)completion;
    if (result == 0)
        orr_stop(clock->loop);
}

static void *boot_stopper(struct orr_loop *loop, void *config)
{
    (void)config;
    struct clock *clock = orr_malloc(loop, sizeof *clock);
    if (clock == NULL)
        return NULL;
    *clock = (struct clock){.loop = loop};
    orr_timeout(loop, &clock->tick, ORR_MILLISECOND, on_stop, clock);
    return clock;
}

static void run_restless(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_stopper};
    only_latency(world);
    struct orr_node *node = orr_node_create(world, "stopper", &program, NULL);
    orr_node_allow_crashes(node, ORR_CRASH_PROCESS);
    orr_world_run_for(world, 100 * ORR_SECOND);
}

/* Past the C library, for in a world nobody sleeps. */
static void take_time(uint64_t ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    syscall(SYS_nanosleep, &time, NULL);
}

/* ---- a run that is decided long before its end ---------------------------------------------- */

struct gambler {
    struct orr_world *world;
    struct orr_loop *loop;
    struct orr_completion tick;
    struct orr_completion ask;
    struct orr_stat stat;
    const char *end;
    uint32_t ticks;
    uint64_t coin;
};

static void on_asked(void *context, struct orr_completion *completion, int64_t result)
{
    (void)context;
    (void)completion;
    (void)result;
}

/* The coin falls at 30, and is looked at when it is 80. */
static void look_at_the_coin(struct gambler *gambler)
{
    struct orr_world *world = gambler->world;
    bool hangs = strcmp(gambler->end, "hang") == 0;
    if (gambler->ticks == 20)
        fputs("before the coin, ", stdout);
    if (gambler->ticks == 30) {
        gambler->coin = orr_choose(world, "coin", 4);
        orr_trace(world, "the coin shows %u", (unsigned)gambler->coin);
    }
    orr_sometimes(world, gambler->ticks == 40, "forty ticks are over");
    if (gambler->ticks == 50 && gambler->coin == 1 && orr_choose(world, "stumble", 2) == 0)
        abort();
    if (gambler->ticks == 50 && strcmp(gambler->end, "slow") == 0 &&
        orr_choose(world, "slow", 2) == 0)
        take_time(100);
    for (volatile bool turns = hangs && gambler->ticks == 50 && gambler->coin == 2; turns;)
        continue;
    if (gambler->ticks == 80) {
        puts("after the coin");
        orr_always(world, gambler->coin != 0, "the coin is not 0");
    }
}

static void on_gamble(void *context, struct orr_completion *completion, int64_t result)
{
    struct gambler *gambler = context;
    if (result != 0)
        return;
    gambler->ticks++;
    look_at_the_coin(gambler);
    orr_stat(gambler->loop, &gambler->ask, ORR_DIRECTORY_CURRENT, ".", &gambler->stat, on_asked,
             gambler);
    orr_timeout(gambler->loop, completion, ORR_MILLISECOND, on_gamble, gambler);
}

static void *boot_gambler(struct orr_loop *loop, void *config)
{
    struct gambler *gambler = config;
    gambler->loop = loop;
    orr_timeout(loop, &gambler->tick, ORR_MILLISECOND, on_gamble, gambler);
    return gambler;
}

static void run_gamble(struct orr_world *world)
{
    static const struct orr_program program = {.boot = boot_gambler};
    static const struct orr_program other = {.boot = boot_clock};
    struct gambler gambler = {
        .world = world, .end = orr_parameter_text(world, "end"), .coin = UINT64_MAX};
    orr_world_set_rate(world, ORR_FAMILY_LATENCY, 0); /* two questions at a time are none */
    orr_world_set_rate(world, ORR_FAMILY_STUCK, 0);
    orr_world_set_rate(world, ORR_FAMILY_PAUSE, 20000);
    orr_node_create(world, "gambler", &program, &gambler);
    struct orr_node *victim = orr_node_create(world, "victim", &other, NULL);
    orr_node_allow_crashes(victim, ORR_CRASH_POWER | ORR_CRASH_PROCESS);
    orr_world_run_for(world, 20 * ORR_MILLISECOND + 500 * ORR_MICROSECOND);
    orr_node_crash(victim, ORR_CRASH_POWER);
    orr_world_run_for(world, 300 * ORR_MILLISECOND);
    if (strcmp(gambler.end, "late") == 0)
        orr_always(world, orr_choose(world, "late", 4) != 0, "the last coin is not 0");
    if (strcmp(gambler.end, "all") == 0)
        orr_unreachable(world, "the end");
}

/* ---- ways to end ----------------------------------------------------------------------------- */

static void run_clean(struct orr_world *world)
{
    tick_for(world, ORR_SECOND);
    orr_sometimes(world, true, "a thing that always happens");
}

/* How much memory this process shares with others, in bytes. */
static uint64_t shared_memory(void)
{
    char line[512];
    uint64_t sum = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin;
        unsigned long end;
        char mode[5];
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, mode) == 3 && strcmp(mode, "rw-s") == 0)
            sum += end - begin;
    }
    if (maps != NULL)
        fclose(maps);
    return sum;
}

/* A seed has its own streams, signals as the user had them, and no way into another seed. */
static void run_untouched(struct orr_world *world)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE};
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action;
        sigaction(signals[i], NULL, &action);
        orr_always(world, action.sa_handler == SIG_DFL, "signals do what they did");
        orr_always(world, !sigismember(&mask, signals[i]), "signals arrive");
    }
    orr_always(world, getchar() == EOF, "nobody's standard input is read");
    orr_always(world, shared_memory() <= 64 * 1024, "only one slot is shared");
}

/* Only one seed ends badly, in a place where others ended well before. */
static void run_fifth_exits(struct orr_world *world)
{
    if (orr_world_seed(world) == 5)
        exit(3);
    tick_for(world, ORR_SECOND);
}

static void run_never(struct orr_world *world)
{
    orr_sometimes(world, true, "a thing that always happens");
    orr_sometimes(world, false, "a thing that never happens");
}

static void run_fails(struct orr_world *world)
{
    tick_for(world, ORR_SECOND);
    orr_note(world, "a note with \"quotes\", \xff and a \x1b[31m colour");
    orr_always(world, 1 + 1 == 3, "sums are right");
}

static void run_some(struct orr_world *world)
{
    uint64_t draw = orr_choose(world, "cli/draw", 10);
    tick_for(world, ORR_SECOND / 10);
    orr_sometimes(world, draw == 1, "the draw is 1");
    orr_note(world, "the draw is %llu", (unsigned long long)draw);
    orr_always(world, draw != 0, "the draw is not 0");
}

static void run_fatal(struct orr_world *world)
{
    tick_for(world, ORR_SECOND);
    puts("this goes before");
    orr_fatal("the rule number %d is broken", 7);
}

static void run_aborts(struct orr_world *world)
{
    tick_for(world, ORR_SECOND);
    fputs("last words without a newline", stdout);
    fflush(stdout);
    abort();
}

static void run_segfaults(struct orr_world *world)
{
    volatile int *volatile nowhere = NULL;
    tick_for(world, ORR_SECOND);
    *nowhere = 1;
}

static void run_exits(struct orr_world *world)
{
    exit((int)orr_parameter_number(world, "status"));
}

static void run_hangs(struct orr_world *world)
{
    tick_for(world, ORR_SECOND);
    for (volatile uint32_t turns = 0;; turns++)
        continue;
}

/* Seed 2 takes its time and fails, seed 40 fails at once, all others pass at once. */
static void run_one_late(struct orr_world *world)
{
    uint64_t seed = orr_world_seed(world);
    if (seed == 2)
        take_time(orr_parameter_number(world, "ms"));
    orr_always(world, seed != 2, "the seed is not 2");
    orr_always(world, seed != 40, "the seed is not 40");
}

static void run_floods(struct orr_world *world)
{
    for (uint32_t line = 0; line < 20000; line++)
        printf("line %u of the flood\n", (unsigned)line);
    fflush(stdout);
    orr_unreachable(world, "the end of the flood");
}

/* Leaves a process behind that holds on to stdout. */
static void run_forks(struct orr_world *world)
{
    pid_t pid = fork();
    while (pid == 0)
        pause();
    orr_note(world, "process %ld", (long)pid);
    orr_unreachable(world, "a process is left behind");
}

static void run_leaks(struct orr_world *world)
{
    void *volatile lost = malloc(100);
    orr_always(world, lost != NULL, "there is memory");
    lost = NULL;
}

/* Tells where the heap gives memory: it must not depend on the seeds before. */
static void run_heap(struct orr_world *world)
{
    char *small = malloc(40);
    char *large = malloc(3000);
    orr_note(world, "addresses %p %p", (void *)small, (void *)large);
    orr_unreachable(world, "the heap is told");
    free(small);
    free(large);
}

/* Two seeds in eight pass; the others fail for five causes, two of which are signals in places of
 * their own. */
static void run_mixed(struct orr_world *world)
{
    volatile int *volatile nowhere = NULL;
    tick_for(world, ORR_SECOND / 10);
    switch (orr_world_seed(world) % 8) {
    case 1:
        orr_sometimes(world, true, "a seed before a check that fails");
        orr_unreachable(world, "the first check");
        break;
    case 2:
    case 3:
        orr_unreachable(world, "the second check");
        break;
    case 4:
        *nowhere = 1;
        break;
    case 5:
        nowhere[1] = 1;
        break;
    case 6:
        exit(3);
    default:
        break;
    }
}

static void run_choosy(struct orr_world *world)
{
    orr_note(world, "size %llu", (unsigned long long)orr_parameter_number(world, "size"));
    orr_always(world, orr_parameter_text(world, "bug")[0] == 'n', "there is no bug");
}

/* Text that would end a script of a page, and begin one; and bytes that are no text. */
static void run_hostile(struct orr_world *world)
{
    tick_for(world, 10 * ORR_MILLISECOND);
    orr_trace(world, "%s",
              "</script><script>document.documentElement.dataset.error='hostile';"
              "</script><!--<script> \"\\ \xff\xc3\xa9\t end");
    orr_unreachable(world, "a check <b>of markup</b> & \"quotes\"");
}

static const struct orr_parameter choosy_parameters[] = {
    {.name = "bug", .value = "none", .allowed = "none|one-off|two-off", .summary = "a planted bug"},
    {.name = "size", .value = "3", .summary = "how much"},
    {.name = NULL},
};

static const struct orr_parameter slow_parameters[] = {
    {.name = "faults", .value = "20", .summary = "how many"},
    {.name = "end",
     .value = "calm",
     .allowed = "calm|check|crash",
     .summary = "what comes after them"},
    {.name = NULL},
};

static const struct orr_parameter picky_parameters[] = {
    {.name = "alone", .value = "fine", .allowed = "fine|wrong", .summary = "the sixth error"},
    {.name = NULL},
};

static const struct orr_parameter gamble_parameters[] = {
    {.name = "end",
     .value = "coin",
     .allowed = "coin|all|hang|late|slow",
     .summary = "what fails beside the coin"},
    {.name = NULL},
};

static const struct orr_parameter one_late_parameters[] = {
    {.name = "ms", .value = "300", .summary = "milliseconds of real time that seed 2 takes"},
    {.name = NULL},
};

static const struct orr_parameter exits_parameters[] = {
    {.name = "status", .value = "3", .summary = "the exit status"},
    {.name = NULL},
};

#define SCENARIO(text, ...)        \
    (&(const struct orr_scenario){ \
        .name = #text, .summary = "ends in its own way", .run = run_##text, __VA_ARGS__})

#define SCENARIOS                                                                                  \
    SCENARIO(clean), SCENARIO(untouched), SCENARIO(fifth_exits), SCENARIO(never), SCENARIO(fails), \
        SCENARIO(some), SCENARIO(fatal), SCENARIO(aborts), SCENARIO(segfaults),                    \
        SCENARIO(exits, .parameters = exits_parameters), SCENARIO(hangs),                          \
        SCENARIO(one_late, .parameters = one_late_parameters), SCENARIO(floods), SCENARIO(forks),  \
        SCENARIO(leaks), SCENARIO(heap), SCENARIO(restless), SCENARIO(hostile), SCENARIO(mixed),   \
        SCENARIO(slow, .parameters = slow_parameters),                                             \
        SCENARIO(picky, .parameters = picky_parameters),                                           \
        SCENARIO(gamble, .parameters = gamble_parameters),                                         \
        SCENARIO(choosy, .parameters = choosy_parameters)

#ifdef CLI_SHARED_OBJECT
ORR_SCENARIOS(SCENARIOS)
#else
ORR_MAIN(SCENARIOS)
#endif

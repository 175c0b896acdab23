/*
 * library.c: see library.h. Compiled as a shared library of its own, without a word about Orrery:
 * its calls are bound by the dynamic linker.
 */
#define _GNU_SOURCE 1 /* getentropy, ppoll, CLOCK_TAI, gethostbyname2 */

#include "library.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

/* Not in the headers of every C library that Orrery is built with. */
uint32_t arc4random(void);
uint32_t arc4random_uniform(uint32_t bound);
void arc4random_buf(void *buffer, size_t length);

/* ---- clocks ---------------------------------------------------------------------------------- */

static uint64_t ns_of(struct timespec time)
{
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static uint64_t ask(clockid_t clock)
{
    struct timespec time = {.tv_sec = 0};
    return clock_gettime(clock, &time) == 0 ? ns_of(time) : 0;
}

static uint64_t ask_day(void)
{
    struct timeval time = {.tv_sec = 0};
    gettimeofday(&time, NULL);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_usec * 1000;
}

static uint64_t ask_utc(void)
{
    struct timespec time = {.tv_sec = 0};
    return timespec_get(&time, TIME_UTC) == TIME_UTC ? ns_of(time) : 0;
}

void library_times(struct library_times *ret_times)
{
    clockid_t own = 0;
    time_t seconds = 0;
    struct timespec resolution = {.tv_sec = 0};
    pthread_getcpuclockid(pthread_self(), &own);
    clock_getres(CLOCK_REALTIME, &resolution);
    uint64_t told = (uint64_t)time(&seconds);
    *ret_times = (struct library_times){
        .wall = {ask(CLOCK_REALTIME), ask(CLOCK_REALTIME_COARSE), ask_day(), ask_utc(),
                 told == (uint64_t)seconds ? told * SECOND : 0, ask(CLOCK_TAI)},
        .monotonic = {ask(CLOCK_MONOTONIC), ask(CLOCK_MONOTONIC_RAW), ask(CLOCK_MONOTONIC_COARSE),
                      ask(CLOCK_BOOTTIME)},
        .processor = {ask(CLOCK_PROCESS_CPUTIME_ID), ask(CLOCK_THREAD_CPUTIME_ID),
                      (uint64_t)clock() * (SECOND / CLOCKS_PER_SEC), ask(own)},
        .resolution = ns_of(resolution),
    };
}

static void *ask_elsewhere(void *ret_wall)
{
    *(uint64_t *)ret_wall = ask(CLOCK_REALTIME);
    return NULL;
}

uint64_t library_wall_elsewhere(void)
{
    pthread_t thread;
    uint64_t wall = 0;
    if (pthread_create(&thread, NULL, ask_elsewhere, &wall) == 0)
        pthread_join(thread, NULL);
    return wall;
}

/* ---- random ---------------------------------------------------------------------------------- */

const char *const library_random_names[LIBRARY_RANDOMS] = {
    "getrandom", "getentropy", "arc4random", "arc4random_uniform", "arc4random_buf", "rand",
    "random",    "drand48",    "mrand48",
};

void library_randoms(uint64_t ret_values[LIBRARY_RANDOMS])
{
    unsigned char odd[3] = {0}; /* no whole draw */
    memset(ret_values, 0, LIBRARY_RANDOMS * sizeof *ret_values);
    if (getrandom(&ret_values[0], sizeof *ret_values, 0) != sizeof *ret_values ||
        getentropy(&ret_values[1], sizeof *ret_values) != 0)
        abort();
    ret_values[2] = arc4random();
    ret_values[3] = arc4random_uniform(1000000000);
    arc4random_buf(odd, sizeof odd);
    ret_values[4] = (uint64_t)odd[0] << 16 | (uint64_t)odd[1] << 8 | odd[2];
    ret_values[5] = (uint64_t)rand();
    ret_values[6] = (uint64_t)random();
    ret_values[7] = (uint64_t)(drand48() * 0x1p48);
    ret_values[8] = (uint64_t)mrand48();
}

void library_seed(unsigned seed)
{
    srand(seed);
}

static void seed_random(unsigned seed)
{
    srandom(seed);
}

static int next_random(void)
{
    return (int)random();
}

static void seed_48(unsigned seed)
{
    srand48((long)seed);
}

static int next_48(void)
{
    return (int)lrand48();
}

const struct library_generator library_generators[LIBRARY_GENERATORS] = {
    {library_seed, rand},
    {seed_random, next_random},
    {seed_48, next_48},
};

/* ---- leaks ----------------------------------------------------------------------------------- */

static const struct timespec moment = {.tv_nsec = 1};

static void *run(void *argument)
{
    return argument;
}

static int run_c11(void *argument)
{
    return argument != NULL;
}

int library_thread(void);
int library_thread(void)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, NULL);
    if (error == 0)
        pthread_join(thread, NULL);
    return error;
}

static int thread_c11(void)
{
    thrd_t thread;
    int status = thrd_create(&thread, run_c11, NULL);
    if (status == thrd_success)
        thrd_join(thread, NULL);
    return status;
}

static int sleep_nano(void)
{
    return nanosleep(&moment, NULL);
}

static int sleep_clock(void)
{
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static int sleep_seconds(void)
{
    return (int)sleep(0);
}

static int sleep_micro(void)
{
    return usleep(1);
}

static int sleep_c11(void)
{
    return thrd_sleep(&moment, NULL);
}

/* A descriptor that is ready: told apart from a call that is not made. */
static int with_ready(int (*wait)(int descriptor))
{
    int ends[2];
    if (pipe(ends) != 0 || write(ends[1], "x", 1) != 1)
        abort();
    int result = wait(ends[0]);
    close(ends[0]);
    close(ends[1]);
    return result;
}

static int wait_poll(int descriptor)
{
    struct pollfd polled = {.fd = descriptor, .events = POLLIN};
    return poll(&polled, 1, -1);
}

static int wait_ppoll(int descriptor)
{
    struct pollfd polled = {.fd = descriptor, .events = POLLIN};
    return ppoll(&polled, 1, NULL, NULL);
}

static int wait_select(int descriptor)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(descriptor, &set);
    return select(descriptor + 1, &set, NULL, NULL, NULL);
}

static int wait_pselect(int descriptor)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(descriptor, &set);
    return pselect(descriptor + 1, &set, NULL, NULL, NULL, NULL);
}

static int wait_epoll(int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
    int result = epoll_wait(epoll, &event, 1, -1);
    close(epoll);
    return result;
}

static int wait_epoll_masked(int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
    int result = epoll_pwait(epoll, &event, 1, -1, NULL);
    close(epoll);
    return result;
}

static int wait_epoll_timespec(int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
    int result = epoll_pwait2(epoll, &event, 1, NULL, NULL);
    close(epoll);
    return result;
}

#define WAIT(name)                                                                   \
    static int name##_ready(void)                                                    \
    {                                                                                \
        return with_ready(wait_##name) - 1; /* 0 where it was made, as the others */ \
    }
WAIT(poll)
WAIT(ppoll)
WAIT(select)
WAIT(pselect)
WAIT(epoll)
WAIT(epoll_masked)
WAIT(epoll_timespec)

static int look_up(void)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    int error = getaddrinfo("127.0.0.1", NULL, &hints, &list);
    if (error == 0)
        freeaddrinfo(list);
    return error;
}

static int look_up_back(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    return getnameinfo((struct sockaddr *)&address, sizeof address, host, sizeof host, NULL, 0,
                       NI_NUMERICHOST);
}

static int look_up_old(void)
{
    return gethostbyname("127.0.0.1") != NULL ? 0 : -1;
}

static int look_up_family(void)
{
    return gethostbyname2("127.0.0.1", AF_INET) != NULL ? 0 : -1;
}

/* Of an address that is none, so that nobody is asked: only the error tells whether it was made. */
static int look_up_back_old(void)
{
    h_errno = 0;
    return gethostbyaddr("x", 1, AF_INET) == NULL && h_errno == NO_RECOVERY ? -1 : 0;
}

/* What is waited for is there. */
static int with_semaphore(int (*wait)(sem_t *semaphore))
{
    sem_t semaphore;
    sem_init(&semaphore, 0, 1);
    int result = wait(&semaphore);
    sem_destroy(&semaphore);
    return result;
}

static int wait_until(sem_t *semaphore)
{
    return sem_timedwait(semaphore, &moment);
}

static int semaphore_is_up(void)
{
    return with_semaphore(sem_wait);
}

static int semaphore_is_up_in_time(void)
{
    return with_semaphore(wait_until);
}

static int with_signal(int (*wait)(const sigset_t *set))
{
    sigset_t set;
    sigset_t before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &before);
    raise(SIGUSR1);
    int result = wait(&set);
    signal(SIGUSR1, SIG_IGN); /* forgets one that was not waited for */
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGUSR1, SIG_DFL);
    return result;
}

static int wait_signal(const sigset_t *set)
{
    int number;
    return sigwait(set, &number);
}

static int wait_signal_info(const sigset_t *set)
{
    return sigwaitinfo(set, NULL) == SIGUSR1 ? 0 : -1;
}

static int wait_signal_timed(const sigset_t *set)
{
    return sigtimedwait(set, NULL, &moment) == SIGUSR1 ? 0 : -1;
}

static int signal_is_here(void)
{
    return with_signal(wait_signal);
}

static int signal_is_here_info(void)
{
    return with_signal(wait_signal_info);
}

static int signal_is_here_timed(void)
{
    return with_signal(wait_signal_timed);
}

static int lock_is_free(void)
{
    FILE *file = tmpfile();
    if (file == NULL)
        abort();
    int result = flock(fileno(file), LOCK_EX);
    fclose(file);
    return result;
}

static int process_system(void)
{
    return system("exit 0");
}

static int process_pipe(void)
{
    FILE *pipe = popen("exit 0", "r");
    return pipe != NULL ? pclose(pipe) : -1;
}

static int await(int error, pid_t process)
{
    if (error == 0)
        waitpid(process, NULL, 0);
    return error;
}

static int process_spawn(void)
{
    char name[] = "true";
    char *arguments[] = {name, NULL};
    pid_t process;
    int error = posix_spawn(&process, "/bin/true", NULL, NULL, arguments, NULL);
    return await(error, process);
}

static int process_spawn_found(void)
{
    char name[] = "true";
    char *arguments[] = {name, NULL};
    pid_t process;
    int error = posix_spawnp(&process, "true", NULL, NULL, arguments, NULL);
    return await(error, process);
}

#define PROCESS "the program starts no process"
#define LOOKUP "the program looks up no name outside of the world"
#define THREAD "the program starts no thread"
#define SLEEP "the program does not sleep"
#define REAL_WAIT "the program waits for nothing outside of the world"

const struct library_leak library_leaks[LIBRARY_LEAKS] = {
    {"pthread_create", THREAD, EAGAIN, library_thread},
    {"thrd_create", THREAD, thrd_error, thread_c11},
    {"nanosleep", SLEEP, 0, sleep_nano},
    {"clock_nanosleep", SLEEP, 0, sleep_clock},
    {"sleep", SLEEP, 0, sleep_seconds},
    {"usleep", SLEEP, 0, sleep_micro},
    {"thrd_sleep", SLEEP, 0, sleep_c11},
    {"poll", REAL_WAIT, -1, poll_ready},
    {"ppoll", REAL_WAIT, -1, ppoll_ready},
    {"select", REAL_WAIT, -1, select_ready},
    {"pselect", REAL_WAIT, -1, pselect_ready},
    {"epoll_wait", REAL_WAIT, -1, epoll_ready},
    {"epoll_pwait", REAL_WAIT, -1, epoll_masked_ready},
    {"epoll_pwait2", REAL_WAIT, -1, epoll_timespec_ready},
    {"sem_wait", REAL_WAIT, -1, semaphore_is_up},
    {"sem_timedwait", REAL_WAIT, -1, semaphore_is_up_in_time},
    {"sigwait", REAL_WAIT, EINVAL, signal_is_here},
    {"sigwaitinfo", REAL_WAIT, -1, signal_is_here_info},
    {"sigtimedwait", REAL_WAIT, -1, signal_is_here_timed},
    {"flock", REAL_WAIT, -1, lock_is_free},
    {"system", PROCESS, -1, process_system},
    {"popen", PROCESS, -1, process_pipe},
    {"posix_spawn", PROCESS, EAGAIN, process_spawn},
    {"posix_spawnp", PROCESS, EAGAIN, process_spawn_found},
    {"getaddrinfo", LOOKUP, EAI_FAIL, look_up},
    {"getnameinfo", LOOKUP, EAI_FAIL, look_up_back},
    {"gethostbyname", LOOKUP, -1, look_up_old},
    {"gethostbyname2", LOOKUP, -1, look_up_family},
    {"gethostbyaddr", LOOKUP, -1, look_up_back_old},
};

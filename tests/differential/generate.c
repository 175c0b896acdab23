/*
 * generate.c: a program out of a seed. The generator throws dice; it knows slots by what they
 * probably hold, so that most steps mean something and some do not. What a step may do is decided
 * later, by the model and the switches.
 */
#include "model.h"

#include <string.h>

struct dice {
    uint64_t state;
};

static uint32_t throw_die(struct dice *dice, uint32_t bound)
{
    dice->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = dice->state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ z >> 31) % bound);
}

static bool one_in(struct dice *dice, uint32_t count)
{
    return throw_die(dice, count) == 0;
}

/* What a slot probably holds. */
enum guess { NOTHING, DIRECTORY, A_FILE, STREAM, BOUND, LISTENER, PAIRED, DATAGRAM, GUESSES };

struct maker {
    struct dice dice;
    struct program *program;
    enum guess slots[SLOTS];
    enum orr_family families[SLOTS];
    enum orr_family family; /* that this program prefers */
    bool small;
    uint8_t made_path; /* of the last file that was made */
    uint8_t made_in;   /* slot of its directory */
};

static void add(struct maker *maker, struct step step)
{
    struct program *program = maker->program;
    if (program->count < STEPS_MAX)
        program->steps[program->count++] = step;
}

/* A slot that probably holds that, now and then any; 0 = there is none. */
static uint8_t pick(struct maker *maker, enum guess wanted)
{
    uint8_t found = 0;
    uint32_t seen = 0;
    if (one_in(&maker->dice, 25))
        return (uint8_t)(1 + throw_die(&maker->dice, SLOTS - 1));
    for (uint8_t i = wanted == DIRECTORY ? 0 : 1; i < SLOTS; i++)
        if (maker->slots[i] == wanted && one_in(&maker->dice, ++seen))
            found = i;
    return found;
}

static uint8_t any_slot(struct maker *maker)
{
    return (uint8_t)(1 + throw_die(&maker->dice, SLOTS - 1));
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static uint32_t some_length(struct maker *maker)
{
    static const uint32_t lengths[] = {0, 1, 1, 2, 5, 10, 64, 100, 511, 512, 1000, 4096, 5000};
    uint32_t bound = maker->small ? 8 : sizeof lengths / sizeof lengths[0];
    return lengths[throw_die(&maker->dice, bound)];
}

static uint64_t some_offset(struct maker *maker)
{
    static const uint64_t offsets[] = {0,    0,    0,     1,      5,     10,   100,  511,
                                       512,  1000, 4095,  4096,   5000,  8192, 9000, 20000,
                                       4097, 6000, 12288, 100000, 65536, 3,    2,    50};
    static const uint64_t strange[] = {INT64_MAX, INT64_MAX - 100, UINT64_MAX, UINT64_C(1) << 63,
                                       UINT64_MAX - 4095};
    if (one_in(&maker->dice, 30))
        return strange[throw_die(&maker->dice, sizeof strange / sizeof strange[0])];
    return offsets[throw_die(&maker->dice, sizeof offsets / sizeof offsets[0])];
}

static uint8_t some_path(struct maker *maker)
{
    return (uint8_t)throw_die(&maker->dice, one_in(&maker->dice, 4) ? PATHS : 10);
}

/* ---- steps on files -------------------------------------------------------------------------- */

static void add_open_of(struct maker *maker, uint8_t in, uint8_t path, uint16_t flags)
{
    uint8_t slot = any_slot(maker);
    add(maker, (struct step){.op = STEP_OPEN,
                             .slot = in,
                             .other = slot,
                             .path = path,
                             .flags = flags,
                             .length = one_in(&maker->dice, 3) ? 0600 : 0644});
    if (maker->slots[slot] <= A_FILE)
        maker->slots[slot] = (flags & ORR_OPEN_DIRECTORY) != 0 ? DIRECTORY : A_FILE;
    if ((flags & ORR_OPEN_CREATE) != 0) {
        maker->made_in = in;
        maker->made_path = path;
    }
}

static void add_open(struct maker *maker)
{
    static const uint16_t flags[] = {
        ORR_OPEN_READ,
        ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE,
        ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE,
        ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE,
        ORR_OPEN_READ | ORR_OPEN_WRITE,
        ORR_OPEN_WRITE,
        ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_EXCLUSIVE,
        ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_TRUNCATE,
        ORR_OPEN_READ | ORR_OPEN_WRITE | ORR_OPEN_CREATE | ORR_OPEN_SYNC,
        ORR_OPEN_READ | ORR_OPEN_DIRECTORY,
        ORR_OPEN_READ | ORR_OPEN_DIRECTORY,
        ORR_OPEN_READ | ORR_OPEN_CREATE,
    };
    uint16_t chosen = flags[throw_die(&maker->dice, sizeof flags / sizeof flags[0])];
    if (one_in(&maker->dice, 20)) /* any combination that has a way to go */
        chosen = (uint16_t)(1 + throw_die(&maker->dice, (1u << 7) - 1));
    if ((chosen & (ORR_OPEN_READ | ORR_OPEN_WRITE)) == 0)
        chosen |= ORR_OPEN_READ;
    if ((chosen & ORR_OPEN_CREATE) != 0) /* Linux changed its mind about both, and when it looks */
        chosen &= (uint16_t)~ORR_OPEN_DIRECTORY;
    uint8_t in = one_in(&maker->dice, 3) ? pick(maker, DIRECTORY) : 0;
    add_open_of(maker, in, some_path(maker), chosen);
}

/* A second name for the last file that was made. What is written through one handle shows through
 * another; and a rename from one name of a file to another is none. */
static void add_link(struct maker *maker)
{
    struct step step = {.op = STEP_LINK,
                        .slot = maker->made_in,
                        .path = maker->made_path,
                        .path_new = some_path(maker)};
    add(maker, step);
    uint32_t choice = throw_die(&maker->dice, 4);
    if (choice < 2)
        add_open_of(maker, step.slot, step.path_new, ORR_OPEN_READ | ORR_OPEN_WRITE);
    step.op = STEP_RENAME;
    if (choice == 2)
        add(maker, step);
}

static void add_transfer(struct maker *maker)
{
    static const uint8_t ops[] = {STEP_READ,       STEP_WRITE,     STEP_READ_EXACT,
                                  STEP_WRITE_ALL,  STEP_READV,     STEP_WRITEV,
                                  STEP_READ_EXACT, STEP_WRITE_ALL, STEP_WRITE_ALL};
    add(maker, (struct step){.op = ops[throw_die(&maker->dice, sizeof ops)],
                             .slot = pick(maker, A_FILE),
                             .kind = (uint8_t)(1 + throw_die(&maker->dice, 4)),
                             .length = some_length(maker),
                             .offset = some_offset(maker)});
}

/* Several at once, to places that do not meet: `apart` bytes each. Two bursts of writes in flight
 * would meet, which the interface forbids, and which ends in more ways than worlds are tried. */
static void add_burst(struct maker *maker)
{
    uint8_t slot = pick(maker, A_FILE);
    uint32_t count = 2 + throw_die(&maker->dice, 5);
    uint32_t apart = one_in(&maker->dice, 2) ? 100 : 4096;
    bool reads = one_in(&maker->dice, 2);
    if (!reads)
        add(maker, (struct step){.op = STEP_WAIT});
    for (uint32_t i = 0; i < count; i++)
        add(maker, (struct step){.op = reads ? STEP_READ_EXACT : STEP_WRITE_ALL,
                                 .slot = slot,
                                 .length = 1 + throw_die(&maker->dice, apart),
                                 .offset = (uint64_t)((i * 5) % count) * apart});
    if (one_in(&maker->dice, 2))
        add(maker, (struct step){.op = STEP_FSYNC, .slot = slot});
}

static void add_name(struct maker *maker)
{
    static const uint8_t ops[] = {STEP_STAT,  STEP_STAT,  STEP_RENAME, STEP_RENAME, STEP_UNLINK,
                                  STEP_MKDIR, STEP_MKDIR, STEP_LIST,   STEP_STAT,   STEP_LINK};
    struct step step = {.op = ops[throw_die(&maker->dice, sizeof ops)],
                        .slot = one_in(&maker->dice, 4) ? pick(maker, DIRECTORY) : 0,
                        .kind = (uint8_t)throw_die(&maker->dice, 2),
                        .path = some_path(maker),
                        .path_new = some_path(maker),
                        .length = one_in(&maker->dice, 3) ? 0700 : 0755};
    if (step.op != STEP_MKDIR && one_in(&maker->dice, 3)) { /* something that may be there */
        step.slot = maker->made_in;
        step.path = maker->made_path;
    }
    add(maker, step);
}

static void add_handle(struct maker *maker)
{
    static const uint8_t ops[] = {STEP_FSYNC,    STEP_FDATASYNC, STEP_STAT,
                                  STEP_TRUNCATE, STEP_ALLOCATE,  STEP_TRUNCATE};
    add(maker, (struct step){.op = ops[throw_die(&maker->dice, sizeof ops)],
                             .slot = pick(maker, one_in(&maker->dice, 8) ? DIRECTORY : A_FILE),
                             .path = PATHS,
                             .length = some_length(maker),
                             .offset = some_offset(maker)});
}

static void add_file_step(struct maker *maker)
{
    switch (throw_die(&maker->dice, 11)) {
    case 0:
    case 1:
        add_open(maker);
        break;
    case 10:
        add_link(maker);
        break;
    case 2:
    case 3:
    case 4:
        add_transfer(maker);
        break;
    case 5:
        add_burst(maker);
        break;
    case 6:
    case 7:
        add_name(maker);
        break;
    case 8:
        add_handle(maker);
        break;
    default:
        if (one_in(&maker->dice, 2)) {
            uint8_t slot = pick(maker, A_FILE);
            add(maker, (struct step){.op = STEP_CLOSE, .slot = slot});
        } else {
            add_open(maker);
        }
        break;
    }
}

/* ---- steps on sockets ------------------------------------------------------------------------ */

static enum orr_family some_family(struct maker *maker)
{
    if (!one_in(&maker->dice, 8))
        return maker->family;
    return (enum orr_family)(ORR_FAMILY_IP4 + throw_die(&maker->dice, 3));
}

static uint8_t add_socket(struct maker *maker, enum orr_socket_type type)
{
    uint8_t slot = pick(maker, NOTHING);
    enum orr_family family = some_family(maker);
    if (slot == 0)
        return 0;
    if (type == ORR_SOCKET_DATAGRAM && family == ORR_FAMILY_UNIX)
        family = ORR_FAMILY_IP4;
    add(maker,
        (struct step){
            .op = STEP_SOCKET, .slot = slot, .kind = (uint8_t)family, .other = (uint8_t)type});
    maker->slots[slot] = type == ORR_SOCKET_STREAM ? STREAM : DATAGRAM;
    maker->families[slot] = family;
    return slot;
}

/* To an address of its own; a Unix socket now and then to a name among the files. */
static void add_bind_of(struct maker *maker, uint8_t slot)
{
    struct step step = {.op = STEP_BIND, .slot = slot, .other = slot};
    if (maker->families[slot] == ORR_FAMILY_UNIX && one_in(&maker->dice, 2)) {
        step.kind = BY_PATH;
        step.path = some_path(maker);
    }
    add(maker, step);
}

static void add_bind(struct maker *maker)
{
    uint8_t slot = pick(maker, one_in(&maker->dice, 2) ? STREAM : DATAGRAM);
    if (one_in(&maker->dice, 6))
        add(maker, (struct step){.op = STEP_BIND, .slot = slot, .other = any_slot(maker)});
    else
        add_bind_of(maker, slot);
}

static void add_listener(struct maker *maker)
{
    uint8_t slot = add_socket(maker, ORR_SOCKET_STREAM);
    if (slot == 0)
        return;
    if (!one_in(&maker->dice, 12))
        add_bind_of(maker, slot);
    uint32_t backlog = maker->small ? 1 : throw_die(&maker->dice, 5);
    add(maker, (struct step){.op = STEP_LISTEN, .slot = slot, .length = backlog});
    maker->slots[slot] = LISTENER;
}

/* A connection, most of the time; in any order that works. */
static void add_pair(struct maker *maker)
{
    uint8_t listener = pick(maker, LISTENER);
    if (listener == 0 || maker->slots[listener] != LISTENER) {
        add_listener(maker);
        listener = pick(maker, LISTENER);
    }
    enum orr_family preferred = maker->family;
    maker->family = maker->families[listener];
    uint8_t client = add_socket(maker, ORR_SOCKET_STREAM);
    maker->family = preferred;
    uint8_t server = pick(maker, NOTHING);
    if (listener == 0 || client == 0 || server == 0)
        return;
    struct step accept = {.op = STEP_ACCEPT, .slot = listener, .other = server};
    bool first = one_in(&maker->dice, 2);
    if (first)
        add(maker, accept);
    add(maker, (struct step){.op = STEP_CONNECT, .slot = client, .other = listener});
    if (!first)
        add(maker, accept);
    maker->slots[client] = PAIRED;
    maker->slots[server] = PAIRED;
    maker->families[server] = maker->families[listener];
    add(maker, (struct step){.op = STEP_WAIT});
}

/* A connect to a name among the files, which most often leads nowhere. */
static void add_connect_by_path(struct maker *maker)
{
    add(maker, (struct step){.op = STEP_CONNECT,
                             .slot = pick(maker, STREAM),
                             .kind = BY_PATH,
                             .path = some_path(maker)});
}

/* As a file: nearly always at the only offset that a socket has. */
static void add_socket_as_file(struct maker *maker, uint8_t slot)
{
    static const uint8_t ops[] = {STEP_READ,  STEP_WRITE,  STEP_READ_EXACT, STEP_WRITE_ALL,
                                  STEP_READV, STEP_WRITEV, STEP_READ,       STEP_WRITE};
    uint32_t length = some_length(maker);
    if (!maker->program->races && length > 1)
        length = one_in(&maker->dice, 4) ? length : 1;
    add(maker, (struct step){.op = ops[throw_die(&maker->dice, sizeof ops)],
                             .slot = slot,
                             .kind = (uint8_t)(1 + throw_die(&maker->dice, 4)),
                             .length = length,
                             .offset = one_in(&maker->dice, 12) ? some_offset(maker) : 0});
}

static void add_stream_transfer(struct maker *maker)
{
    static const uint8_t ops[] = {STEP_SEND_ALL,   STEP_SEND_ALL, STEP_SEND_ALL, STEP_RECV_EXACT,
                                  STEP_RECV_EXACT, STEP_RECV,     STEP_SEND};
    if (one_in(&maker->dice, 5)) {
        add_socket_as_file(maker, pick(maker, PAIRED));
        return;
    }
    uint8_t op = ops[throw_die(&maker->dice, sizeof ops)];
    uint32_t length = some_length(maker);
    if ((op == STEP_RECV || op == STEP_SEND) && !maker->program->races && length > 1)
        length = one_in(&maker->dice, 4) ? length : 1;
    add(maker, (struct step){.op = op, .slot = pick(maker, PAIRED), .length = length});
}

static uint32_t count_of(const struct maker *maker, enum guess wanted)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < SLOTS; i++)
        count += maker->slots[i] == wanted ? 1 : 0;
    return count;
}

static void add_datagram_transfer(struct maker *maker, uint8_t slot, uint8_t other)
{
    static const uint8_t ops[] = {STEP_RECV_FROM, STEP_RECV, STEP_SEND, STEP_CONNECT};
    uint8_t op = STEP_SEND_TO;
    if (one_in(&maker->dice, 2))
        op = ops[throw_die(&maker->dice, sizeof ops)];
    add(maker, (struct step){.op = op, .slot = slot, .other = other, .length = some_length(maker)});
    if (op == STEP_SEND_TO && one_in(&maker->dice, 2))
        add(maker,
            (struct step){.op = STEP_RECV_FROM, .slot = other, .length = some_length(maker)});
}

static void add_datagram_step(struct maker *maker)
{
    if (count_of(maker, DATAGRAM) < 2) {
        uint8_t made = add_socket(maker, ORR_SOCKET_DATAGRAM);
        add(maker, (struct step){.op = STEP_BIND, .slot = made, .other = made});
        return;
    }
    uint8_t slot = pick(maker, DATAGRAM);
    if (one_in(&maker->dice, 8))
        add_socket_as_file(maker, slot);
    else
        add_datagram_transfer(maker, slot, pick(maker, DATAGRAM));
}

static void add_option(struct maker *maker)
{
    uint8_t option = (uint8_t)throw_die(&maker->dice, ORR_SOCKET_OPTION_COUNT);
    bool buffer = option == ORR_SOCKET_RECEIVE_BUFFER || option == ORR_SOCKET_SEND_BUFFER;
    if (buffer || one_in(&maker->dice, 2))
        add(maker, (struct step){.op = STEP_OPTION_SET,
                                 .slot = any_slot(maker),
                                 .kind = option,
                                 .length = buffer ? 65536 : throw_die(&maker->dice, 3)});
    else /* how large buffers are is the system's idea */
        add(maker, (struct step){.op = STEP_OPTION_GET, .slot = any_slot(maker), .kind = option});
}

static void add_look(struct maker *maker)
{
    switch (throw_die(&maker->dice, 5)) { /* no poll for nothing: Linux ends it at any change */
    case 0:
        add(maker, (struct step){.op = STEP_LOCAL, .slot = any_slot(maker)});
        break;
    case 1:
        add(maker, (struct step){.op = STEP_PEER, .slot = any_slot(maker)});
        break;
    case 2:
        add_option(maker);
        break;
    default:
        add(maker, (struct step){.op = STEP_POLL,
                                 .slot = any_slot(maker),
                                 .flags = (uint16_t)(1 + throw_die(&maker->dice, 3))});
        break;
    }
}

static void add_end(struct maker *maker)
{
    uint8_t slot = one_in(&maker->dice, 4) ? any_slot(maker) : pick(maker, PAIRED);
    if (one_in(&maker->dice, 2)) {
        add(maker, (struct step){.op = STEP_SHUTDOWN,
                                 .slot = slot,
                                 .kind = (uint8_t)throw_die(&maker->dice, 3)});
        return;
    }
    add(maker, (struct step){.op = STEP_CLOSE, .slot = slot});
    if (slot != 0)
        maker->slots[slot] = NOTHING;
}

static void add_socket_step(struct maker *maker)
{
    switch (throw_die(&maker->dice, 18)) {
    case 0:
    case 1:
        add_pair(maker);
        break;
    case 2:
        add_listener(maker);
        break;
    case 3:
        (void)add_socket(maker, one_in(&maker->dice, 3) ? ORR_SOCKET_DATAGRAM : ORR_SOCKET_STREAM);
        break;
    case 4:
        add_bind(maker);
        break;
    case 5:
    case 6:
    case 16:
        add_datagram_step(maker);
        break;
    case 7:
        add_look(maker);
        break;
    case 17:
        if (maker->family == ORR_FAMILY_UNIX)
            add_connect_by_path(maker);
        else
            add_look(maker);
        break;
    case 8:
    case 9:
        add_end(maker);
        break;
    default:
        add_stream_transfer(maker);
        break;
    }
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void add_time_step(struct maker *maker)
{
    static const uint32_t ns[] = {0, 1, 1000, 20000, 50000, TIMEOUT_FOR_EVER};
    uint32_t length = ns[throw_die(&maker->dice, sizeof ns / sizeof ns[0])];
    add(maker,
        (struct step){.op = one_in(&maker->dice, 4) ? STEP_TICK : STEP_TIMEOUT, .length = length});
}

static void add_control(struct maker *maker)
{
    uint32_t choice = throw_die(&maker->dice, 4);
    if (choice == 0)
        add(maker, (struct step){.op = STEP_PASSES, .length = 1 + throw_die(&maker->dice, 3)});
    else if (choice == 1 || !maker->program->races)
        add(maker, (struct step){.op = STEP_WAIT});
    else
        add(maker,
            (struct step){.op = STEP_SETTLE, .length = 1000 * (1 + throw_die(&maker->dice, 30))});
}

static void add_cancel(struct maker *maker)
{
    uint8_t before = (uint8_t)(1 + throw_die(&maker->dice, 4));
    if (before <= maker->program->count)
        add(maker, (struct step){.op = STEP_CANCEL, .other = before});
}

static void add_step(struct maker *maker, uint32_t files, uint32_t sockets)
{
    uint32_t choice = throw_die(&maker->dice, 20);
    if (choice < 2)
        add_control(maker);
    else if (choice == 2)
        add_time_step(maker);
    else if (choice == 3 || (maker->program->races && choice < 6))
        add_cancel(maker);
    else if (throw_die(&maker->dice, files + sockets) < files)
        add_file_step(maker);
    else
        add_socket_step(maker);
}

void program_generate(uint64_t seed, struct program *ret_program)
{
    struct maker maker = {.dice = {.state = seed * UINT64_C(0xd1342543de82ef95) + 7},
                          .program = ret_program};
    memset(ret_program, 0, sizeof *ret_program);
    ret_program->seed = seed;
    ret_program->races = one_in(&maker.dice, 3);
    maker.slots[0] = DIRECTORY;
    maker.family = (enum orr_family)(ORR_FAMILY_IP4 + throw_die(&maker.dice, 3));
    maker.small = one_in(&maker.dice, 2);
    static const uint32_t mixes[][2] = {{1, 0}, {0, 1}, {1, 1}, {0, 1}};
    const uint32_t *mix = mixes[throw_die(&maker.dice, 4)];
    uint32_t length = 5 + throw_die(&maker.dice, STEPS_MAX - 5);
    while (ret_program->count < length)
        add_step(&maker, mix[0], mix[1]);
}

/*
 * named.c: power losses that lose what a replay file names. Whatever a file names, no state may be
 * left that the choices of a seed could not leave: every case is run with every combination of what
 * its unsynced operations can come to. And named as nothing, nothing is lost.
 */
#include "tests/litmus/litmus.h"

#include <string.h>

#include "sim/disk.h"
#include "sim/future.h"
#include "sim/replay_file.h"

enum {
    ORIGINS_MAX = 6,
    FATES = 4, /* kept, lost, torn 0, torn 1 */
    TEXT_MAX = 512,
};

/* The unsynced operations of a run, and which combination of their fates this one is. */
struct naming {
    struct orr__origin origins[ORIGINS_MAX];
    uint32_t count;
    uint64_t combination;
    const char *losses; /* this text instead */
};

static void note(struct naming *naming, struct orr__origin origin)
{
    uint32_t i = 0;
    while (i < naming->count && (naming->origins[i].op != origin.op ||
                                 naming->origins[i].occurrence != origin.occurrence))
        i++;
    if (i == naming->count && i < ORIGINS_MAX && origin.op != 0)
        naming->origins[naming->count++] = origin;
}

static void find_origins(struct naming *naming, const struct orr__disk *disk)
{
    naming->count = 0;
    for (const struct orr__name_change *change = disk->change_first; change != NULL;
         change = change->next)
        note(naming, change->origin);
    for (const struct orr__inode *inode = disk->first; inode != NULL; inode = inode->next) {
        const struct orr__change *change = inode->is_directory ? NULL : inode->file.changes.head;
        for (; change != NULL; change = change->next)
            note(naming, change->origin);
    }
}

static void write_losses(const struct naming *naming, char text[TEXT_MAX])
{
    static const char *const words[FATES] = {NULL, "lost", "torn 0", "torn 1"};
    uint64_t left = naming->combination;
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < naming->count; i++, left /= FATES)
        if (words[left % FATES] != NULL)
            length += (size_t)snprintf(text + length, TEXT_MAX - length, "node/%s#%llu = %s\n",
                                       orr_op_name(naming->origins[i].op),
                                       (unsigned long long)naming->origins[i].occurrence,
                                       words[left % FATES]);
}

static void name_losses(void *context, struct orr_world *world, struct orr__disk *disk)
{
    struct naming *naming = context;
    char text[TEXT_MAX];
    char why[ORR__WHY_MAX];
    find_origins(naming, disk);
    write_losses(naming, text);
    struct orr__rulings *rulings =
        orr__rulings_parse(naming->losses != NULL ? naming->losses : text, why);
    if (rulings == NULL)
        litmus_die("%s", why);
    orr__world_rule(world, rulings);
    orr__disk_name_losses(disk, true);
}

uint32_t litmus_try_named(const struct litmus_case *litmus, enum orr_file_system file_system,
                          const struct litmus_set *allowed, uint64_t *ret_runs)
{
    struct naming naming = {.count = 0};
    uint64_t combinations = 1;
    uint32_t wrong = 0;
    for (; naming.combination < combinations; naming.combination++) {
        struct litmus_states states;
        const struct litmus_loss loss = {.begin = name_losses, .context = &naming};
        litmus_run(litmus, file_system, &loss, &states);
        if (naming.combination == 0)
            for (uint32_t i = 0; i < naming.count; i++)
                combinations *= FATES;
        bool drops = strstr(litmus->program, "badsync") != NULL;
        if (naming.combination == 0 && !drops && strcmp(states.before, states.after) != 0) {
            printf("# nothing is named, and %s is left of %s\n", states.after, states.before);
            wrong++;
        }
        if (!litmus_set_has(allowed, states.after)) {
            printf("# combination %llu is not allowed: %s\n",
                   (unsigned long long)naming.combination, states.after);
            wrong++;
        }
        ++*ret_runs;
    }
    return wrong;
}

static const struct {
    const char *program;
    const char *losses;
    const char *state;
    const char *state_ext4; /* NULL = the same */
} exact[] = {
    {"append f BC; append f DE", "", "f:ABCDE", NULL},
    {"append f BC; append f DE", "node/write#2 = lost\n", "f:ABC", NULL},
    {"append f BC; append f DE", "node/write#1 = lost\n", "f:A..DE", "f:A"},
    {"append f BC; append f DE", "node/write#2 = torn 1\n", "f:ABCD.", "f:ABCDE"},
    {"append f BC; append f DE", "node/write#2 = torn 0\n", "f:ABC..", "f:ABCDE"},
    {"append f BC", "node/write#1 = torn 2\n", "f:ABC", NULL},
    {"write f 0 BC; write f 0 DE", "node/write#2 = torn 1\n", "f:DC", "f:DE"},
    {"trunc f 0", "node/truncate#0 = lost\n", "f:A", NULL},
    {"rename f g; creat h", "node/rename#0 = lost\n", "f:A", NULL},
    {"rename f g; creat h", "node/open#2 = lost\n", "g:A", NULL},
};

uint32_t litmus_try_exact(uint32_t *ret_count)
{
    static const enum orr_file_system systems[] = {ORR_FILE_SYSTEM_PORTABLE, ORR_FILE_SYSTEM_EXT4};
    uint32_t wrong = 0;
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        for (size_t j = 0; j < sizeof systems / sizeof *systems; j++) {
            const struct litmus_case litmus = {
                .name = "named", .setup = "creat f; append f A", .program = exact[i].program};
            struct naming naming = {.losses = exact[i].losses};
            const struct litmus_loss loss = {.begin = name_losses, .context = &naming};
            struct litmus_states states;
            litmus_run(&litmus, systems[j], &loss, &states);
            const char *expected =
                j == 1 && exact[i].state_ext4 != NULL ? exact[i].state_ext4 : exact[i].state;
            ++*ret_count;
            if (strcmp(states.after, expected) == 0)
                continue;
            wrong++;
            printf("# %s, %.*s on %s: %s, not %s\n", exact[i].program,
                   (int)strcspn(exact[i].losses, "\n"), exact[i].losses,
                   orr_file_system_name(systems[j]), states.after, expected);
        }
    return wrong;
}

/*
 * disk.h: how the files of a node's disk fit together. Only they (and their test) include it; the
 * rest of sim/ sees the interface in internal.h.
 *
 *   disk.c        the calls on paths: walking, open, stat, rename, unlink, mkdir, list
 *   disk_tree.c   inodes, names, name changes that wait for the fsync of their directory; power
 *                 loss of the whole
 *   disk_file.c   open files: read, write, truncate, allocate; changes that wait for fsync
 *   disk_failed.c what an fsync leaves that fails
 *   disk_loss.c   power loss of one file
 *   disk_copies.c how many copies of a datum may be damaged
 *   disk_named.c  what a replay file names of it
 *   disk_damage.c bad sectors, changed bits, misdirected writes
 *   disk_bytes.c  the sparse bytes of a file
 *   disk_ranges.c parts of a file that nobody has written
 *   disk_names.c  the sorted names of a directory
 *
 * Everything exists twice. A file has a cache (what reads return) and a durable image; a directory
 * has names and durable names. The way from the first to the second is a list of changes in the
 * order in which they were made:
 *
 *   call --> cache, names                durable image, durable names
 *     '----> change, change, change ... --fsync or power loss--^
 *
 * fsync applies a prefix of the list to the durable side; power loss applies whatever the choices
 * say, and then the cache and the names are what is durable.
 *
 * Why not one copy and a log to undo? Because power loss applies any subset, in any order: what
 * each unsynced change wrote must be known anyway, and the durable copy makes "nothing else may
 * change" hold by construction.
 *
 * Invariants:
 *   - durable + all changes in order = cache, but for the data that a failed fsync dropped; in
 *     sizes always.
 *   - A directory has at most one name. A file can have several.
 *   - What no name, durable name, change, open file or child directory refers to is freed at once.
 *   - No pointer decides anything: choices are keyed by the node's id, the inode's number and a
 *     count of its changes.
 */
#ifndef ORR_SIM_DISK_H
#define ORR_SIM_DISK_H

#include "internal.h"

#define ORR__PAGE UINT64_C(4096) /* the unit of space */
/* As on ext4: 2^32 - 1 blocks. */
#define ORR__FILE_SIZE_MAX (UINT64_C(0xffffffff) * ORR__PAGE)
#define ORR__NAME_MAX 255u
#define ORR__PATH_MAX 4095u /* without the final NUL */

/*
 * A system writes back by itself what nobody syncs; this world does it as late as its memory
 * allows: when so much waits, the older half becomes durable. A program that syncs never gets
 * there.
 */
#define ORR__FILE_CHANGES_MAX 4096u
#define ORR__FILE_UNSYNCED_MAX (UINT64_C(8) << 20) /* bytes */
#define ORR__NAME_CHANGES_MAX 512u                 /* on one disk */

/* ---- bytes ----------------------------------------------------------------------------------- */

struct orr__page {
    uint64_t index; /* offset / ORR__PAGE */
    uint8_t *bytes; /* ORR__PAGE of them */
};

/* A string of `size` bytes with holes: pages by index, ascending. A hole reads as zeros; so do all
 * bytes of a page that lie behind `size`. */
struct orr__bytes {
    uint64_t size;
    struct orr__page *pages;
    size_t count;
    size_t capacity;
};

/* realloc that never fails; free is free(). */
void *orr__disk_memory(void *memory, size_t size);

/* The page, or NULL for a hole. */
uint8_t *orr__bytes_page(const struct orr__bytes *bytes, uint64_t index);
/* The page, made if it is a hole. */
uint8_t *orr__bytes_page_make(struct orr__bytes *bytes, uint64_t index);
/* Reads up to `size`; returns how many. */
uint32_t orr__bytes_read(const struct orr__bytes *bytes, void *buffer, uint32_t length,
                         uint64_t offset);
/* Makes pages as needed; `size` grows to the end of what is written. */
void orr__bytes_write(struct orr__bytes *bytes, const void *data, uint32_t length, uint64_t offset);
/* Cuts (what is cut becomes a hole) or grows (by a hole). */
void orr__bytes_resize(struct orr__bytes *bytes, uint64_t size);
void orr__bytes_copy(struct orr__bytes *to, const struct orr__bytes *from);
void orr__bytes_clear(struct orr__bytes *bytes);

/* ---- names ----------------------------------------------------------------------------------- */

struct orr__inode;

struct orr__name {
    char *text;
    struct orr__inode *inode;
};

/* The names in a directory, ascending by bytes. Owns the texts, not the inodes. */
struct orr__names {
    struct orr__name *items;
    size_t count;
    size_t capacity;
};

/* A copy of a text. */
char *orr__text_copy(const char *text);

struct orr__inode *orr__names_find(const struct orr__names *names, const char *text);
/* Returns the inode that had the name, or NULL. */
struct orr__inode *orr__names_set(struct orr__names *names, const char *text,
                                  struct orr__inode *inode);
/* Returns the inode that had the name: it must be there. */
struct orr__inode *orr__names_remove(struct orr__names *names, const char *text);
void orr__names_copy(struct orr__names *to, const struct orr__names *from);
void orr__names_clear(struct orr__names *names);

/* ---- inodes ---------------------------------------------------------------------------------- */

/* The operation that made a change; op 0 = none of the node's. */
struct orr__origin {
    uint8_t op;
    uint64_t occurrence;
};

enum orr__fate { ORR__FATE_LOST, ORR__FATE_WHOLE, ORR__FATE_TORN };

/* An unsynced change of a file: a write with a copy of its bytes, or (length 0) nothing but a new
 * size. It cuts if size_after < size_before. */
struct orr__change {
    struct orr__change *next;
    uint64_t sequence; /* 1, 2, ... on the disk, names included */
    uint64_t number;   /* 1, 2, ... in its file */
    uint64_t offset;
    uint64_t landing;     /* where the bytes reach the disk: offset, unless they are misdirected */
    uint64_t size_before; /* of the file */
    uint64_t size_after;
    uint32_t length;
    enum orr__fate fate;   /* at power loss */
    uint64_t sectors_kept; /* if it is torn */
    struct orr__origin origin;
    bool size_survives; /* a replay file says so, whatever becomes of the bytes */
    bool direct; /* in no dirty page, but on its way to the disk: a failed fsync does not drop it */
    bool written; /* its sectors and the size with them are durable, what is older is not */
    uint8_t data[];
};

struct orr__changes {
    struct orr__change *head;
    struct orr__change *tail;
    uint64_t count;
    uint64_t bytes; /* of data */
};

/* Parts of a file, ascending; they do not touch. */
struct orr__range {
    uint64_t from;
    uint64_t to;
};

struct orr__ranges {
    struct orr__range *items;
    size_t count;
    size_t capacity;
};

/* `from` lies at or behind the end of all others. */
void orr__ranges_append(struct orr__ranges *ranges, uint64_t from, uint64_t to);
void orr__ranges_remove(struct orr__ranges *ranges, uint64_t from, uint64_t to);
/* The first part that is in the ranges and in from .. to; false if there is none. */
bool orr__ranges_find(const struct orr__ranges *ranges, uint64_t from, uint64_t to,
                      struct orr__range *ret_part);
void orr__ranges_clear(struct orr__ranges *ranges);

struct orr__file_body {
    struct orr__bytes cache;
    struct orr__bytes durable;
    struct orr__changes changes;
    uint64_t *bad; /* sectors that cannot be read, in no order */
    size_t bad_count;
    uint64_t sync_errors;         /* fsyncs that failed */
    int sync_error;               /* the last one's */
    struct orr__ranges unwritten; /* of the cache, where the node forbids to read such */
    bool cache_differs; /* from durable, changes aside: a failed fsync, or the cache was dropped */
};

struct orr__directory_body {
    struct orr__names names;
    struct orr__names durable_names;
    struct orr__inode *parent; /* a reference, but for the root, which is its own parent */
    uint32_t subdirectories;
    uint64_t named_sequence; /* the name change that gave it its present name */
    bool name_is_durable;    /* that change is */
    uint64_t pending;        /* name changes that touch it */
    uint64_t keep;           /* its changes up to this one are durable, or about to be */
    uint64_t keep_count;     /* while power loss chooses: how many more are kept */
};

struct orr__inode {
    struct orr__disk *disk;
    struct orr__inode *next; /* all inodes of the disk, ascending by number */
    struct orr__inode *previous;
    struct orr__inode *work; /* worklist of the search for what power loss left */
    uint64_t number;
    uint64_t actor; /* of its choices */
    uint64_t references;
    uint32_t open_count;
    uint32_t mode;
    int64_t modified_ns;
    uint64_t change_count; /* of a file's bytes and size, or a directory's names, ever */
    uint64_t recorded;     /* sequence of the last change of its names, or of its size by itself */
    uint32_t name_count;   /* 0: it was removed, and lives as long as something refers to it */
    bool is_directory;
    bool is_socket; /* the name of a Unix socket: a file that has no bytes and cannot be opened */
    bool reached;   /* while power loss looks for what is left */
    union {
        struct orr__file_body file;
        struct orr__directory_body directory;
    };
};

/*
 * An unsynced change of names: something appears (`to`), disappears (`from`), or both at once (a
 * rename). All changes of a disk are in one list; those that touch a directory are its pending
 * ones.
 */
struct orr__name_change {
    struct orr__name_change *next;
    struct orr__name_change *previous;
    uint64_t sequence; /* 1, 2, ... on the disk */
    struct orr__inode *from;
    struct orr__inode *to;
    char *name_from;
    char *name_to;
    struct orr__inode *inode;
    struct orr__inode *removed; /* the directory that ceases to exist by this, or NULL */
    struct orr__origin origin;
    bool drags_all;         /* if it becomes durable, everything older does */
    bool drags_directories; /* if it becomes durable, all older changes of directories do */
    bool drags_data;        /* if it becomes durable, the bytes of the file do */
    bool kept;              /* while changes are committed */
};

/* What a file system promises beyond POSIX: see enum orr_file_system. */
struct orr__rules {
    bool keeps_order;     /* a directory keeps a prefix of its changes; a rename is one change */
    bool one_journal;     /* so does the whole file system, sizes that change alone included */
    bool orders_data;     /* a size covers no data that was not written */
    bool rename_flushes;  /* a rename over another file brings the data along */
    bool frees_carefully; /* freed blocks are not written to before that is durable */
    bool has_inodes;      /* made in advance: a new file takes no space */
};

struct orr__disk {
    struct orr_node *node;
    struct orr__rules rules;
    uint64_t sector_bytes; /* written whole or not at all */
    struct orr__inode *root;
    struct orr__inode *first;
    struct orr__inode *last;
    uint64_t inode_count;
    uint64_t inode_next; /* number of the next one: never used twice */
    struct orr__name_change *change_first;
    struct orr__name_change *change_last;
    uint64_t name_change_count; /* now in the list */
    uint64_t sequence;          /* of the last change of anything */
    uint64_t journaled;         /* one journal: it is durable up to this sequence */
    uint64_t capacity_pages;
    uint64_t used_pages;       /* of the caches of files that have a name or are open */
    struct orr__origin origin; /* of the changes that are made now */
    bool loss_is_named;        /* a replay file says what this power loss loses */
    uint64_t unlinked_bytes;   /* kept of files that have neither, until their removal is durable */
};

struct orr__file {
    struct orr__disk *disk;
    struct orr__inode *inode;
    uint32_t flags;       /* enum orr_open_flags; READ is set when WRITE is not */
    uint64_t sync_errors; /* of the file, those reported here or before it was opened */
    uint64_t landing;     /* sector of a misdirected write */
    uint64_t lands_in;    /* number of another inode; 0 = it is its own */
    bool misdirected;     /* the next write is */
    bool loses_sync;      /* the next write with SYNC is as one without */
};

/* ---- between the files of the disk ----------------------------------------------------------- */

int64_t orr__disk_wall_clock(const struct orr__disk *disk);
/* For tests. What is stored already stays, even if it is more. */
void orr__disk_set_capacity(struct orr__disk *disk, uint64_t bytes);

/* disk_tree.c. The names given are right: checked, free (add, move: or to be replaced), in use
 * (remove, move). */
struct orr__inode *orr__inode_create(struct orr__disk *disk, bool is_directory, uint32_t mode);
void orr__inode_hold(struct orr__inode *inode);
/* Drops a reference; the last one frees it. */
void orr__inode_release(struct orr__inode *inode);
/* For a file that has lost its name or its last open file: if it has neither now, its space is
 * free. */
void orr__inode_unused(struct orr__inode *inode);
void orr__tree_add(struct orr__inode *directory, const char *name, struct orr__inode *inode);
void orr__tree_remove(struct orr__inode *directory, const char *name);
void orr__tree_move(struct orr__inode *from, const char *name_from, struct orr__inode *to,
                    const char *name_to);
/* Makes durable what touches the directory up to a sequence, and what that depends on. */
void orr__tree_sync(struct orr__inode *directory, uint64_t sequence);
/* One journal: makes it durable up to a sequence. */
void orr__journal_sync(struct orr__disk *disk, uint64_t sequence);

/* disk_file.c */
/* No page is free. */
bool orr__disk_is_full(const struct orr__disk *disk);
void orr__file_body_clear(struct orr__file_body *file);
void orr__file_changes_drop(struct orr__file_body *file);
void orr__changes_append(struct orr__changes *changes, struct orr__change *change);
/* Makes the changes up to `mark` durable. */
void orr__file_write_back(struct orr__file_body *file, uint64_t mark);
/* Sets the size; a change unless it is the same. */
void orr__file_resize(struct orr__inode *inode, uint64_t size);

/* disk_damage.c */
/* How much of a read comes to an end before a bad sector; -EIO if it begins in one. */
int64_t orr__file_readable(const struct orr__inode *inode, uint64_t offset, uint32_t length);
/* Before a write: makes bad sectors good. -EIO if a part of one stays. */
int orr__file_write_over(struct orr__inode *inode, uint64_t offset, uint32_t length);
/* Where a misdirected write lands; what lands in another file is there at once. */
void orr__file_land(struct orr__file *file, struct orr__change *change);
/* Forgets the bad sectors at or behind a new size. */
void orr__file_cut_bad(struct orr__inode *inode, uint64_t size);

/* disk_named.c: of a power loss that loses only what is named. */
/* What that operation made is lost. */
bool orr__loss_is_lost(const struct orr__disk *disk, struct orr__origin origin);
/* What it wrote is torn: after so many sectors, which may be none of them. */
bool orr__loss_is_torn(const struct orr__disk *disk, struct orr__origin origin,
                       uint64_t *ret_sectors);
/* Tells the ledger that it was LOST, or TORN with so many sectors kept. */
void orr__loss_tell(const struct orr__disk *disk, struct orr__origin origin,
                    enum orr__fault_kind kind, uint64_t sectors);

/* disk_loss.c */
/* Chooses what the unsynced changes leave; the cache becomes a copy of the durable image. `name` is
 * for the trace. */
void orr__file_power_loss(struct orr__inode *inode, const char *name);

#endif

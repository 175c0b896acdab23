/*
 * cases_sync.c: what fsync, O_DSYNC and O_DIRECT promise, and what they do not.
 *
 * fsync is about one file, and in POSIX about nothing else. A file system with one journal (ext4,
 * xfs) writes it up to the file's own record: all changes of names that are older come with it.
 */
#include "tests/litmus/litmus.h"

const struct litmus_case litmus_sync[] = {
    {
        .name = "append and fsync",
        .setup = "creat f",
        .program = "append f AB; fsync f",
        .PORTABLE = "f:AB",
    },
    {
        .name = "append and fdatasync",
        .setup = "creat f",
        .program = "append f AB; fdatasync f",
        .PORTABLE = "f:AB",
    },
    {
        .name = "append after fsync",
        .setup = "creat f",
        .program = "append f A; fsync f; append f B",
        .PORTABLE = "f:A | f:A[B.]",
        .EXT4 = "f:A | f:AB",
        .XFS = "f:A | f:AB",
    },
    {
        .name = "truncate and fsync",
        .setup = "creat f; append f AB",
        .program = "trunc f 1; fsync f",
        .PORTABLE = "f:A",
    },
    {
        .name = "two files with one fsync",
        .setup = "creat f; creat g",
        .program = "append f A; append g B; fsync f",
        .PORTABLE = "f:A g: | f:A g:[B.]",
        .EXT4 = "f:A g: | f:A g:B",
        .XFS = "f:A g: | f:A g:B",
    },
    {
        .name = "two files with two fsyncs",
        .setup = "creat f; creat g",
        .program = "append f A; append g B; fsync g; fsync f",
        .PORTABLE = "f:A g:B",
    },
    {
        .name = "fsync of the directory does not cover data",
        .setup = "creat f",
        .program = "append f A; fsync /",
        .PORTABLE = "f: | f:[A.]",
        .EXT4 = "f: | f:A",
        .XFS = "f: | f:A",
    },
    {
        .name = "create and fsync, no fsync of the directory",
        .program = "creat f; append f A; fsync f",
        .PORTABLE = "| f:A",
        .EXT4 = "f:A",
        .XFS = "f:A",
    },
    {
        .name = "create, fsync, fsync of the directory",
        .program = "creat f; append f A; fsync f; fsync /",
        .PORTABLE = "f:A",
    },
    {
        .name = "create and fdatasync, no fsync of the directory",
        .program = "creat f; append f A; fdatasync f",
        .PORTABLE = "| f:A",
        .EXT4 = "f:A",
        .XFS = "f:A",
    },
    {
        .name = "create, then fsync of another file",
        .setup = "creat g",
        .program = "creat f; append g A; fsync g",
        .PORTABLE = "{,f:} g:A",
        .EXT4 = "f: g:A",
        .XFS = "f: g:A",
    },
    {
        /* The overwritten file's record need not change: the journal need not be written. */
        .name = "create, then fsync of an overwritten file",
        .setup = "creat g; append g A",
        .program = "creat f; write g 0 B; fsync g",
        .PORTABLE = "{,f:} g:B",
    },
    {
        .name = "a directory, a file in it, fsync of the file",
        .program = "mkdir d; creat d/f; fsync d/f",
        .PORTABLE = "| d/ {,d/f:}",
        .EXT4 = "d/ d/f:",
        .XFS = "d/ d/f:",
    },
    {
        .name = "a directory, a file in it, fsync of the directory",
        .program = "mkdir d; creat d/f; fsync d/",
        .PORTABLE = "| d/ d/f:",
        .EXT4 = "d/ d/f:",
        .XFS = "d/ d/f:",
    },
    {
        .name = "a directory, a file in it, fsync of the parent",
        .program = "mkdir d; creat d/f; fsync /",
        .PORTABLE = "d/ {,d/f:}",
    },
    {
        /* Linux marks the pages clean: the second fsync has nothing to write. But the first one may
         * have written them before it failed. */
        .name = "fsync fails once, then succeeds",
        .setup = "creat f; append f A",
        .program = "write f 0 B; badsync f; fsync f",
        .PORTABLE = "f:[AB]",
    },
    {
        .name = "fsync of three sectors fails, then succeeds",
        .setup = "creat f; append f ABC",
        .program = "write f 0 DEF; badsync f; fsync f",
        .PORTABLE = "f:[AD][BE][CF]",
    },
    {
        .name = "fsync fails, what it has written waits in the disk's cache",
        .setup = "creat f; append f AB",
        .program = "write f 0 CD; badsync f",
        .PORTABLE = "f:[AC][BD]",
    },
    {
        /* The sector may have been written when only the first of them was in it, never when only
         * the second was. */
        .name = "fsync of two writes to a sector fails, then succeeds",
        .setup = "creat f; append f AB",
        .program = "write f 0 C; write f 1 D; badsync f; fsync f",
        .unit = 1,
        .PORTABLE = "f:AB | f:CB | f:CD",
    },
    {
        .name = "fsync fails, the write is repeated",
        .setup = "creat f; append f A",
        .program = "write f 0 B; badsync f; write f 0 B; fsync f",
        .PORTABLE = "f:B",
    },
    {
        .name = "fsync of an append fails, then succeeds",
        .setup = "creat f; append f A",
        .program = "append f B; badsync f; fsync f",
        .PORTABLE = "f:A[B.]",
    },
    {
        .name = "fsync of an append of two sectors fails",
        .setup = "creat f; append f A",
        .program = "append f BC; badsync f",
        .PORTABLE = "f:A | f:A[B.] | f:A[B.][C.]",
        .EXT4 = "f:A | f:A[B.][C.]",
        .XFS = "f:A | f:A[B.][C.]",
    },
    {
        /* What it has written before is older than the cut. */
        .name = "fsync fails, then truncate and fsync",
        .setup = "creat f; append f A",
        .program = "append f BC; badsync f; trunc f 2; fsync f",
        .PORTABLE = "f:A[B.]",
    },
    {
        .name = "fsync of the directory fails, then succeeds",
        .program = "creat f; badsync /; fsync /",
        .PORTABLE = "f:",
    },
    {
        .name = "the disk acknowledges an fsync and does nothing",
        .setup = "creat f",
        .program = "append f A; lostsync f",
        .PORTABLE = "f: | f:[A.]",
        .EXT4 = "f: | f:A",
        .XFS = "f: | f:A",
    },
    {
        .name = "the disk lies, the next fsync does not",
        .setup = "creat f",
        .program = "append f A; lostsync f; append f B; fsync f",
        .PORTABLE = "f:AB",
    },
    {
        .name = "append with SYNC",
        .setup = "creat f",
        .program = "dsync f 0 A",
        .PORTABLE = "f:A",
    },
    {
        /* Only what this write wrote: the page before it waits for an fsync. */
        .name = "overwrite, then another page with SYNC",
        .setup = "creat f; append f AB",
        .program = "write f 0 C; dsync f 1 D",
        .unit = 4096,
        .PORTABLE = "f:[AC?]D",
    },
    {
        .name = "append, then append with SYNC",
        .setup = "creat f",
        .program = "append f A; dsync f 1 B",
        .PORTABLE = "f:[A.]B",
    },
    {
        .name = "append with SYNC, then overwrite it",
        .setup = "creat f",
        .program = "dsync f 0 AB; write f 0 CD",
        .PORTABLE = "f:[AC][BD]",
    },
    {
        .name = "create and append with SYNC, no fsync of the directory",
        .program = "creat f; dsync f 0 A",
        .PORTABLE = "| f:A",
        .EXT4 = "f:A",
        .XFS = "f:A",
    },
    {
        /* Past the page cache is not on the disk: its own cache may lose it. */
        .name = "append with DIRECT",
        .setup = "creat f",
        .program = "direct f 0 AB",
        .PORTABLE = "f: | f:[A.] | f:[A.][B.]",
        .EXT4 = "f: | f:AB",
        .XFS = "f: | f:AB",
    },
    {
        .name = "overwrite with DIRECT and fsync",
        .setup = "creat f; append f AB",
        .program = "direct f 0 CD; fsync f",
        .PORTABLE = "f:CD",
    },
    {
        /* A failed fsync drops pages of the cache: this write has none. */
        .name = "overwrite with DIRECT, fsync fails, then succeeds",
        .setup = "creat f; append f A",
        .program = "direct f 0 B; badsync f; fsync f",
        .PORTABLE = "f:B",
    },
    {
        .name = "overwrite with DIRECT, fsync fails",
        .setup = "creat f; append f A",
        .program = "direct f 0 B; badsync f",
        .PORTABLE = "f:[AB]",
    },
    {.name = NULL},
};

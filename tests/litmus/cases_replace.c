/*
 * cases_replace.c: replacing the contents of a file, the right way and the others; and orders that
 * programs rely on between files.
 *
 * These are the patterns in which studies of crash consistency have found most bugs. ext4 writes
 * the data of a file that is renamed over another one before the rename (auto_da_alloc); xfs does
 * not, and neither does anybody else have to.
 */
#include "tests/litmus/litmus.h"

const struct litmus_case litmus_replace[] = {
    {
        .name = "write a new file, rename it over, no fsync",
        .setup = "creat f; append f A",
        .program = "creat t; append t B; rename t f",
        .PORTABLE = "f:A | f:A t: | f:A t:[B.] | f: | f:[B.]",
        .POSIX = "f:A {,t:,t:B,t:.} | f: {,t:} | f:B {,t:B} | f:. {,t:.}",
        .EXT4 = "f:A | f:A t: | f:A t:B | f:B",
        .XFS = "f:A | f:A t: | f:A t:B | f: | f:B",
    },
    {
        .name = "write a new file, fsync it, rename it over",
        .setup = "creat f; append f A",
        .program = "creat t; append t B; fsync t; rename t f",
        .PORTABLE = "f:A {,t:B} | f:B",
        .POSIX = "f:[AB] {,t:B}",
        .EXT4 = "f:A t:B | f:B",
        .XFS = "f:A t:B | f:B",
    },
    {
        .name = "write a new file, rename it over, fsync of the directory",
        .setup = "creat f; append f A",
        .program = "creat t; append t B; rename t f; fsync /",
        .PORTABLE = "f: | f:[B.]",
        .EXT4 = "f:B",
        .XFS = "f: | f:B",
    },
    {
        .name = "write a new file, fsync it, rename it over, fsync of the directory",
        .setup = "creat f; append f A",
        .program = "creat t; append t B; fsync t; rename t f; fsync /",
        .PORTABLE = "f:B",
    },
    {
        /* Nothing is replaced: ext4 does not hurry either. */
        .name = "write a new file, rename it to a free name, fsync of the directory",
        .program = "creat t; append t B; rename t f; fsync /",
        .PORTABLE = "f: | f:[B.]",
        .EXT4 = "f: | f:B",
        .XFS = "f: | f:B",
    },
    {
        .name = "write a new file, rename it over, fsync under the new name",
        .setup = "creat f; append f A",
        .program = "creat t; append t B; rename t f; fsync f",
        .PORTABLE = "f:A {,t:B} | f:B",
        .POSIX = "f:[AB] {,t:B}",
        .EXT4 = "f:B",
        .XFS = "f:B",
    },
    {
        .name = "replace by truncate and write",
        .setup = "creat f; append f A",
        .program = "trunc f 0; append f B",
        .PORTABLE = "f:A | f: | f:[B.]",
        .EXT4 = "f:A | f: | f:B",
        .XFS = "f:A | f: | f:B",
    },
    {
        .name = "replace by truncate and write, fsync",
        .setup = "creat f; append f A",
        .program = "trunc f 0; append f B; fsync f",
        .PORTABLE = "f:B",
    },
    {
        .name = "a mark after an append, fsync of the directory",
        .setup = "creat log",
        .program = "append log A; creat ok; fsync /",
        .PORTABLE = "log: ok: | log:[A.] ok:",
        .EXT4 = "log: ok: | log:A ok:",
        .XFS = "log: ok: | log:A ok:",
    },
    {
        .name = "a mark after an append and its fsync",
        .setup = "creat log",
        .program = "append log A; fsync log; creat ok",
        .PORTABLE = "log:A {,ok:}",
    },
    {
        .name = "a journal for an overwrite, no fsync",
        .setup = "creat f; append f A; creat j",
        .program = "append j A; write f 0 B",
        .PORTABLE = "f:[AB] j: | f:[AB] j:[A.]",
        .EXT4 = "f:[AB] j: | f:[AB] j:A",
        .XFS = "f:[AB] j: | f:[AB] j:A",
    },
    {
        .name = "a journal for an overwrite, fsync between",
        .setup = "creat f; append f A; creat j",
        .program = "append j A; fsync j; write f 0 B",
        .PORTABLE = "f:[AB] j:A",
    },
    {
        .name = "a journal removed after the overwrite is synced",
        .setup = "creat f; append f A; creat j; append j A",
        .program = "write f 0 B; fsync f; unlink j",
        .PORTABLE = "f:B {,j:A}",
    },
    {
        .name = "a journal removed before the overwrite is synced",
        .setup = "creat f; append f A; creat j; append j A",
        .program = "write f 0 B; unlink j; fsync /",
        .PORTABLE = "f:[AB]",
    },
    {
        /* The truncate is in the journal, before the name. */
        .name = "truncate, then create another file",
        .setup = "creat f; append f A",
        .program = "trunc f 0; creat g",
        .PORTABLE = "{f:,f:A} {,g:}",
        .EXT4 = "f:A | f: {,g:}",
        .XFS = "f:A | f: {,g:}",
    },
    {
        .name = "truncate two files",
        .setup = "creat f; append f A; creat g; append g B",
        .program = "trunc f 0; trunc g 0",
        .PORTABLE = "{f:,f:A} {g:,g:B}",
        .EXT4 = "f:A g:B | f: g:B | f: g:",
        .XFS = "f:A g:B | f: g:B | f: g:",
    },
    {
        .name = "truncate, then fsync of another file that grew",
        .setup = "creat f; append f A; creat g",
        .program = "trunc f 0; append g B; fsync g",
        .PORTABLE = "{f:,f:A} g:B",
        .EXT4 = "f: g:B",
        .XFS = "f: g:B",
    },
    {.name = NULL},
};

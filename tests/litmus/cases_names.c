/*
 * cases_names.c: creating, removing and renaming.
 *
 * Portable: what the file systems in use have in common. A directory keeps its changes in the order
 * in which they were made, and a rename is one change, also between two directories. One journal
 * (ext4, xfs) keeps the order among directories, too. POSIX alone promises neither: a name that was
 * not synced is there or not, and a rename is the new name and the end of the old one, each for
 * itself. Only directories are moved in one piece there: in two pieces no tree would be left.
 */
#include "tests/litmus/litmus.h"

const struct litmus_case litmus_names[] = {
    {
        .name = "create",
        .program = "creat f",
        .PORTABLE = "| f:",
    },
    {
        .name = "create two",
        .program = "creat a; creat b",
        .PORTABLE = "| a: | a: b:",
        .POSIX = "{,a:} {,b:}",
    },
    {
        .name = "create in two directories",
        .setup = "mkdir d; mkdir e",
        .program = "creat d/a; creat e/b",
        .PORTABLE = "d/ {,d/a:} e/ {,e/b:}",
        .EXT4 = "d/ e/ | d/ d/a: e/ | d/ d/a: e/ e/b:",
        .XFS = "d/ e/ | d/ d/a: e/ | d/ d/a: e/ e/b:",
    },
    {
        .name = "create in two directories, fsync of the second",
        .setup = "mkdir d; mkdir e",
        .program = "creat d/a; creat e/b; fsync e/",
        .PORTABLE = "d/ {,d/a:} e/ e/b:",
        .EXT4 = "d/ d/a: e/ e/b:",
        .XFS = "d/ d/a: e/ e/b:",
    },
    {
        .name = "unlink",
        .setup = "creat f; append f A",
        .program = "unlink f",
        .PORTABLE = "| f:A",
    },
    {
        .name = "unlink and fsync of the directory",
        .setup = "creat f; append f A",
        .program = "unlink f; fsync /",
        .PORTABLE = "|",
    },
    {
        .name = "unlink and create again",
        .setup = "creat f; append f A",
        .program = "unlink f; creat f",
        .PORTABLE = "| f:A | f:",
    },
    {
        /* What is written to a file without a name matters if the name comes back. */
        .name = "unlink while open, then write",
        .setup = "creat f; append f A",
        .program = "open f; unlink f; write f 0 B",
        .PORTABLE = "| f:[AB]",
    },
    {
        .name = "unlink while open, then fsync",
        .setup = "creat f; append f A",
        .program = "open f; unlink f; write f 0 B; fsync f",
        .PORTABLE = "| f:B",
        .EXT4 = "|",
        .XFS = "|",
    },
    {
        .name = "unlink while open, closed before the power fails",
        .setup = "creat f; append f A",
        .program = "open f; unlink f; close f",
        .PORTABLE = "| f:A",
    },
    {
        .name = "make and remove a directory",
        .program = "mkdir d; rmdir d",
        .PORTABLE = "| d/",
    },
    {
        .name = "make a directory and a file in it",
        .program = "mkdir d; creat d/f",
        .PORTABLE = "| d/ {,d/f:}",
    },
    {
        /* No unlinked file comes back into a directory that is gone, and none stays alone. */
        .name = "empty and remove a directory",
        .setup = "mkdir d; creat d/f",
        .program = "unlink d/f; rmdir d",
        .PORTABLE = "| d/ {,d/f:}",
    },
    {
        .name = "rename",
        .setup = "creat f; append f A",
        .program = "rename f g",
        .PORTABLE = "f:A | g:A",
        .POSIX = "{,f:A} {,g:A}",
    },
    {
        .name = "rename and fsync of the file",
        .setup = "creat f; append f A",
        .program = "rename f g; fsync g",
        .PORTABLE = "f:A | g:A",
        .POSIX = "{,f:A} {,g:A}",
        .EXT4 = "g:A",
        .XFS = "g:A",
    },
    {
        .name = "rename and fsync of the directory",
        .setup = "creat f; append f A",
        .program = "rename f g; fsync /",
        .PORTABLE = "g:A",
    },
    {
        .name = "rename over another file",
        .setup = "creat f; append f A; creat g; append g B",
        .program = "rename g f",
        .PORTABLE = "f:A g:B | f:B",
        .POSIX = "f:[AB] {,g:B}",
    },
    {
        .name = "rename twice",
        .setup = "creat a; append a A",
        .program = "rename a b; rename b c",
        .PORTABLE = "a:A | b:A | c:A",
        .POSIX = "{,a:A} {,b:A} {,c:A}",
    },
    {
        .name = "swap two files",
        .setup = "creat a; append a A; creat b; append b B",
        .program = "rename a t; rename b a; rename t b",
        .PORTABLE = "a:A b:B | b:B t:A | a:B t:A | a:B b:A",
        .POSIX = "{,a:A,a:B} {,b:A,b:B} {,t:A}",
    },
    {
        .name = "rename between two directories",
        .setup = "mkdir d; mkdir e; creat d/f",
        .program = "rename d/f e/f",
        .PORTABLE = "d/ d/f: e/ | d/ e/ e/f:",
        .POSIX = "d/ {,d/f:} e/ {,e/f:}",
    },
    {
        .name = "rename between two directories, fsync of the new one",
        .setup = "mkdir d; mkdir e; creat d/f",
        .program = "rename d/f e/f; fsync e/",
        .PORTABLE = "d/ e/ e/f:",
        .POSIX = "d/ {,d/f:} e/ e/f:",
    },
    {
        .name = "rename between two directories, fsync of the old one",
        .setup = "mkdir d; mkdir e; creat d/f",
        .program = "rename d/f e/f; fsync d/",
        .PORTABLE = "d/ e/ e/f:",
        .POSIX = "d/ e/ {,e/f:}",
    },
    {
        .name = "rename between two directories, fsync of both",
        .setup = "mkdir d; mkdir e; creat d/f",
        .program = "rename d/f e/f; fsync e/; fsync d/",
        .PORTABLE = "d/ e/ e/f:",
    },
    {
        .name = "rename a directory",
        .setup = "mkdir d; creat d/f",
        .program = "rename d e",
        .PORTABLE = "d/ d/f: | e/ e/f:",
    },
    {
        .name = "create in a directory, then rename it",
        .setup = "mkdir d",
        .program = "creat d/f; rename d e",
        .PORTABLE = "d/ {,d/f:} | e/ {,e/f:}",
        .EXT4 = "d/ {,d/f:} | e/ e/f:",
        .XFS = "d/ {,d/f:} | e/ e/f:",
    },
    {
        .name = "link",
        .setup = "creat f; append f A",
        .program = "link f g",
        .PORTABLE = "f:A {,g:A}",
    },
    {
        .name = "link and fsync of the file",
        .setup = "creat f; append f A",
        .program = "link f g; fsync f",
        .PORTABLE = "f:A {,g:A}",
        .EXT4 = "f:A g:A",
        .XFS = "f:A g:A",
    },
    {
        .name = "link and fsync of the directory",
        .setup = "creat f; append f A",
        .program = "link f g; fsync /",
        .PORTABLE = "f:A g:A",
    },
    {
        /* The old way to rename: never without a name, where a directory keeps its order. */
        .name = "link, then unlink the old name",
        .setup = "creat f; append f A",
        .program = "link f g; unlink f",
        .PORTABLE = "f:A {,g:A} | g:A",
        .POSIX = "{,f:A} {,g:A}",
    },
    {
        /* Both names lead to the same bytes, whatever became of them. */
        .name = "link, then write",
        .setup = "creat f; append f A",
        .program = "link f g; write g 0 B",
        .PORTABLE = "f:A {,g:A} | f:B {,g:B}",
    },
    {
        /* Two changes of two directories: unlike a rename, they may be lost for themselves. */
        .name = "link into another directory, unlink",
        .setup = "mkdir d; mkdir e; creat d/f",
        .program = "link d/f e/f; unlink d/f",
        .PORTABLE = "d/ {,d/f:} e/ {,e/f:}",
        .EXT4 = "d/ d/f: e/ | d/ d/f: e/ e/f: | d/ e/ e/f:",
        .XFS = "d/ d/f: e/ | d/ d/f: e/ e/f: | d/ e/ e/f:",
    },
    {
        .name = "write a new file, fsync it, link it to its name, fsync of the directory",
        .program = "creat t; append t A; fsync t; link t f; unlink t; fsync /",
        .PORTABLE = "f:A",
    },
    {
        .name = "rename over one of two names",
        .setup = "creat f; append f A; link f g; creat h",
        .program = "rename h f",
        .PORTABLE = "f:A g:A h: | f: g:A",
        .POSIX = "{f:,f:A} g:A {,h:}",
    },
    {
        .name = "rotate a log",
        .setup = "creat log; append log A",
        .program = "rename log old; creat log",
        .PORTABLE = "log:A | old:A | log: old:A",
        .POSIX = "{,log:A,log:} {,old:A}",
    },
    {.name = NULL},
};

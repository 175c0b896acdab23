/*
 * cases_data.c: the bytes and the size of one file.
 *
 * A write reaches the disk sector by sector, in any order. The size is the file system's record,
 * not part of the data: POSIX lets it come first, and then there are zeros. Where data is ordered
 * (ext4, xfs) the size covers only what has been written, in steps of a page.
 */
#include "tests/litmus/litmus.h"

const struct litmus_case litmus_data[] = {
    {
        .name = "append without fsync",
        .setup = "creat log; append log A",
        .program = "append log BC",
        .PORTABLE = "log:A | log:A[B.] | log:A[B.][C.]",
        .EXT4 = "log:A | log:ABC",
        .XFS = "log:A | log:ABC",
    },
    {
        .name = "two appends without fsync",
        .setup = "creat log",
        .program = "append log A; append log B",
        .PORTABLE = "log: | log:[A.] | log:[A.][B.]",
        .EXT4 = "log: | log:A | log:AB",
        .XFS = "log: | log:A | log:AB",
    },
    {
        /* Where data is ordered the size goes on page by page, as pages are written. */
        .name = "append two pages to a disk with sectors of a page",
        .setup = "creat log",
        .program = "append log AB",
        .unit = 4096,
        .sector = 4096,
        .PORTABLE = "log: | log:[A.] | log:[A.][B.]",
        .EXT4 = "log: | log:A | log:AB",
        .XFS = "log: | log:A | log:AB",
    },
    {
        .name = "overwrite a page of a disk with sectors of a page",
        .setup = "creat f; append f ABABABAB",
        .program = "write f 0 CDCDCDCD",
        .sector = 4096,
        .PORTABLE = "f:ABABABAB | f:CDCDCDCD",
    },
    {
        .name = "overwrite two sectors",
        .setup = "creat f; append f AB",
        .program = "write f 0 CD",
        .PORTABLE = "f:[AC][BD]",
    },
    {
        .name = "overwrite three sectors with two writes",
        .setup = "creat f; append f ABC",
        .program = "write f 0 DE; write f 2 F",
        .PORTABLE = "f:[AD][BE][CF]",
    },
    {
        .name = "overwrite a sector twice",
        .setup = "creat f; append f A",
        .program = "write f 0 B; write f 0 C",
        .PORTABLE = "f:[ABC]",
    },
    {
        /* What is written of a sector is the sector as the cache has it: D comes with C. */
        .name = "two bytes of one sector",
        .setup = "creat f; append f AB",
        .program = "write f 0 C; write f 1 D",
        .unit = 1,
        .PORTABLE = "f:AB | f:CB | f:CD",
    },
    {
        .name = "append a byte to a sector",
        .setup = "creat f; append f A",
        .program = "append f B",
        .unit = 1,
        .PORTABLE = "f:A | f:A[B.]",
        .EXT4 = "f:A | f:AB",
        .XFS = "f:A | f:AB",
    },
    {
        .name = "overwrite and extend in one write",
        .setup = "creat f; append f AB",
        .program = "write f 1 CD",
        .PORTABLE = "f:A[BC] | f:A[BC][D.]",
        .EXT4 = "f:A[BC] | f:A[BC]D",
        .XFS = "f:A[BC] | f:A[BC]D",
    },
    {
        /* The room on the way to the new sector may come in steps, too. */
        .name = "write beyond the end",
        .setup = "creat f; append f A",
        .program = "write f 2 C",
        .PORTABLE = "f:A | f:A. | f:A.[C.]",
        .EXT4 = "f:A | f:A.C",
        .XFS = "f:A | f:A.C",
    },
    {
        .name = "write into a hole",
        .setup = "creat f; trunc f 2",
        .program = "write f 0 A",
        .PORTABLE = "f:[A.].",
    },
    {
        .name = "truncate",
        .setup = "creat f; append f AB",
        .program = "trunc f 1",
        .PORTABLE = "f:AB | f:A",
    },
    {
        /* One record of the file system: no size in between. */
        .name = "extend by truncate",
        .setup = "creat f; append f A",
        .program = "trunc f 3",
        .PORTABLE = "f:A | f:A..",
    },
    {
        .name = "truncate, then extend",
        .setup = "creat f; append f AB",
        .program = "trunc f 1; trunc f 2",
        .PORTABLE = "f:AB | f:A | f:A.",
    },
    {
        /* The freed block is not used again before the truncate is durable. POSIX does not know of
         * blocks: the new sector with the old size. */
        .name = "truncate to nothing, then write",
        .setup = "creat f; append f AB",
        .program = "trunc f 0; write f 0 C",
        .PORTABLE = "f:AB | f: | f:[C.]",
        .POSIX = "f:AB | f: | f:[C.] | f:CB",
        .EXT4 = "f:AB | f: | f:C",
        .XFS = "f:AB | f: | f:C",
    },
    {
        /* The block stays: what is written into it may be there with the old size. */
        .name = "truncate inside a block, then append",
        .setup = "creat f; append f AB",
        .program = "trunc f 1; append f C",
        .PORTABLE = "f:A | f:A[BC.]",
        .EXT4 = "f:A | f:A[BC]",
        .XFS = "f:A | f:A[BC]",
    },
    {
        .name = "append, then truncate it away",
        .setup = "creat f; append f A",
        .program = "append f B; trunc f 1",
        .PORTABLE = "f:A | f:A[B.]",
        .EXT4 = "f:A | f:AB",
        .XFS = "f:A | f:AB",
    },
    {
        .name = "reserve space",
        .setup = "creat f",
        .program = "alloc f 0 2",
        .PORTABLE = "f: | f:..",
    },
    {
        .name = "reserve space and write into it",
        .setup = "creat f",
        .program = "alloc f 0 2; write f 0 AB",
        .PORTABLE = "f: | f:[A.][B.]",
    },
    {
        .name = "write into space reserved before",
        .setup = "creat f; alloc f 0 2",
        .program = "write f 0 AB",
        .PORTABLE = "f:[A.][B.]",
    },
    {.name = NULL},
};

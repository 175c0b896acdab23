#!/bin/sh
# libc.sh ORRERY OBJECT REFUSE PRODUCTION-LIBRARIES -- PROGRAM...: the C library under the world, by the command line.
# PROGRAMs have the scenarios of scenarios.c built in, each linked in another way, OBJECT has them for --load. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
orrery=$1
object=$2
refuse=$3
shift 3
libraries=
while [ "$1" != -- ]; do
    libraries="$libraries $1"
    shift
done
shift
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Two files that must be there and be the same.
same() # NAME FILE FILE
{
    [ -s "$2" ] && diff "$2" "$3" >"$work/diff"
    check "$1" $?
    sed 's/^/# /' "$work/diff" 2>"$work/none"
}

# The failing seed without what names the program. Addresses of modules differ from build to build, but not from run to run.
told()
{
    grep -v '^  replay: \|^  with every event: \|simulated' | sed 's/^[^ ]*: 1 seed.*//'
}

# ---- the same answers, however the world is linked in --------------------------------------------

"$orrery" run asks --seed 7 --load "$object" | told >"$work/asks"
[ "$(grep -c '^  \(node\|scenario\) [a-z0-9_ ]*$' "$work/asks")" -eq 38 ]
check 'the answers are told' $?
"$orrery" run asks --seed 7 --load "$object" | told >"$work/again"
same 'orrery --load: again' "$work/asks" "$work/again"
"$orrery" run asks --seed 8 --load "$object" | told >"$work/other"
[ -s "$work/other" ] && ! diff "$work/asks" "$work/other" >"$work/diff"
check 'another seed, other answers' $?
for program in "$@"; do
    "$program" run asks --seed 7 | told >"$work/program"
    same "${program##*/} gives the same answers" "$work/asks" "$work/program"
done

# ---- leaks ---------------------------------------------------------------------------------------

for program in "$@"; do
    "$program" run leaks --seed 1 >"$work/leak"
    status=$?
    [ $status -eq 1 ] && grep -q '^seed 1 fails the check: the program starts no thread$' "$work/leak" &&
        grep -q 'node leaking calls pthread_create: ' "$work/leak" &&
        grep -q '^    libc-library.so+0x[0-9a-f]* library_thread$' "$work/leak"
    check "${program##*/} reports a thread" $?
    told <"$work/leak" >"$work/first"
    "$program" run leaks --seed 1 | told >"$work/second"
    same "${program##*/} reports it in the same words" "$work/first" "$work/second"
done

# ---- addresses -----------------------------------------------------------------------------------

# The trace hash of a program that does what addresses say.
hash()
{
    "$@" 2>"$work/err" | sed -n 's/^ *trace hash //p' | tail -n 1
}

"$refuse" "$1" replay pointers --seed 3 >"$work/refused" 2>"$work/said"
status=$?
if [ $status -eq 77 ]; then
    skipped 'refused: told' 'no filter can be set up here'
    skipped 'refused: not told where nothing failed' 'no filter can be set up here'
else
    [ $status -eq 1 ] && [ "$(wc -l <"$work/said")" -eq 1 ] &&
        grep -q ': memory has other addresses in every run here (Operation not permitted): ' "$work/said"
    check 'refused: told' $?
    "$refuse" "$orrery" list >"$work/refused" 2>"$work/said"
    status=$?
    [ $status -eq 0 ] && [ ! -s "$work/said" ]
    check 'refused: not told where nothing failed' $?
fi

for program in "$@"; do
    expected=$(hash "$program" replay pointers --seed 3)
    if [ -s "$work/err" ]; then
        skipped "${program##*/}: pointers replay" 'addresses cannot be fixed here'
        continue
    fi
    status=0
    for words in 'replay pointers --seed 3 --trace' \
        "replay pointers --seed 3 --trace=html:$work/page.html --trace=perfetto:$work/trace.json" 'run pointers --seed 3' 'run pointers --seeds 3..3 --jobs 7' \
        'run pointers --seeds 3..40 --jobs 3 --failures 1 --time 60s'; do
        # shellcheck disable=SC2086 # words on purpose
        found=$(hash "$program" $words)
        if [ -z "$expected" ] || [ "$found" != "$expected" ]; then
            echo "# $words: ${found:-none} instead of ${expected:-none}"
            status=1
        fi
    done
    check "${program##*/}: pointers replay" $status
done

env -i "$1" run asks --seed 1 >"$work/out" 2>&1
[ $? -eq 1 ]
check 'an empty environment will do' $?

# ---- production ----------------------------------------------------------------------------------

for library in $libraries; do
    nm --defined-only "$library" >"$work/symbols" && grep -q ' T orr_loop_open$' "$work/symbols" &&
        ! grep -E ' [A-Za-z] (clock_gettime|gettimeofday|time|getrandom|rand|pthread_create|nanosleep|poll|orr__scope_enter|orr__interpose)$' \
            "$work/symbols" >"$work/found"
    check "${library##*/} holds none of it" $?
done

finish

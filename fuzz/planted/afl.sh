#!/bin/sh
# afl.sh SOURCE BUILD MUTATOR: journal.c as a target of AFL++: it builds, AFL++ sees its marks as edges, and the mutator
# finds new inputs for it, in lanes that the target has drawn from. Skipped without AFL++. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../../tests/tap.sh"
source=$1
build=$2
mutator=$3
command -v afl-clang-fast >/dev/null && command -v afl-fuzz >/dev/null || exit 77
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
log=$work/log
unset ASAN_OPTIONS UBSAN_OPTIONS # AFL++ wants its own, and nothing here has a sanitizer
cd "$source" || exit 1
AFL_QUIET=1 afl-clang-fast -O1 -fsanitize=fuzzer -Iio -Isim fuzz/planted/fuzz_journal.c fuzz/planted/journal.c \
    fuzz/planted/rates.c "$build/liborrery-sim.a" "$build/liborrery.a" -luring -ljansson -ldl -lpthread \
    -o "$work/target" >"$work/log" 2>&1
check 'it builds' $?

# Without faults, and with some: what differs is the world's doing, and few edges of the program's.
mkdir "$work/in"
printf 'ORRERY\000\000' >"$work/in/seed"
AFL_QUIET=1 afl-showmap -o "$work/map" -- "$work/target" "$work/in/seed" >"$work/log" 2>&1
[ "$(grep -c . "$work/map")" -ge 10 ]
check 'a run leaves edges' $?

# A number of executions, not a time. A machine's settings are not this test's business.
AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 \
    AFL_CUSTOM_MUTATOR_LIBRARY=$mutator AFL_CUSTOM_MUTATOR_ONLY=1 \
    afl-fuzz -s 1 -E 400 -t 10000 -i "$work/in" -o "$work/out" -- "$work/target" >"$work/log" 2>&1
statistics=$work/out/default/fuzzer_stats
cat "$statistics" >>"$work/log"
[ "$(sed -n 's/^total_edges *: //p' "$statistics")" -gt 2048 ] && [ "$(sed -n 's/^edges_found *: //p' "$statistics")" -gt 40 ]
check 'AFL++ counts the marks as edges' $?
find "$work/out/default/queue" -name '*op:*orrery-afl*' -size +8c >"$work/log"
[ "$(grep -c . "$work/log")" -ge 3 ]
check 'the mutator finds inputs that are new' $?
finish

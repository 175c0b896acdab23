#!/bin/sh
# builds.sh: the trace hashes of hashes.txt hold whatever compiles the world and the scenarios. For each configuration
# io/, sim/ and the examples' code are compiled, with hashes.c as main, and all runs made. Prints TAP. What a machine
# cannot link (32-bit libraries are missing) is skipped.
#
# The builds of ./dev test are no part of the list: gcc -O2, and clang -O2 with sanitizers. With each compiler at one end of its
# levels, and these two in the middle, no pair is far from one that is tried; each further one would take half a minute.
set -u
configurations='gcc -O0
clang -O3
gcc -O2 -m32
clang -O1 -m32'

cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
sources=$(printf '%s\n' io/*.c sim/*.c sim/libc/*.c examples/*/*.c tests/golden/hashes.c |
    grep -Ev '^examples/.*/(main|process)\.c$')
libraries='-lz -ldl -lpthread'
jobs=$(nproc)
export work

# Why a configuration makes no programs here, in a line; silent if it does.
obstacle() # COMPILER OPTION...
{
    echo '#include <zlib.h>
    int main(void) { return crc32(0, 0, 0) != 0; }' >"$work/try.c"
    # shellcheck disable=SC2086 # words on purpose
    "$@" -o "$work/try" "$work/try.c" $libraries >"$work/said" 2>&1 && "$work/try" >>"$work/said" 2>&1 && return
    grep -m 1 -E 'error|cannot|not found' "$work/said" || echo 'it compiles, but does not run'
}

# Compiles, links and runs.
holds() # COMPILER OPTION...
{
    rm -rf "$work/objects" "$work/hashes"
    mkdir "$work/objects"
    # shellcheck disable=SC2016 # the inner shell's words
    echo "$sources" | xargs -P "$jobs" -I '{}' sh -c '
        source=$1
        shift
        exec "$@" -std=c11 -Iio -Isim -I. -c "$source" -o "$work/objects/$(echo "$source" | tr / -).o"
    ' sh '{}' "$@" >"$work/said" 2>&1 || return 1
    # shellcheck disable=SC2086 # words on purpose
    "$@" -o "$work/hashes" "$work"/objects/*.o $libraries >>"$work/said" 2>&1 || return 1
    "$work/hashes" <tests/golden/hashes.txt >"$work/said" 2>&1
}

number=0
failures=0
echo "1..$(echo "$configurations" | wc -l)"
while read -r configuration; do
    number=$((number + 1))
    # shellcheck disable=SC2086 # words on purpose
    why=$(obstacle $configuration)
    if [ -n "$why" ]; then
        echo "ok $number - $configuration # SKIP $why"
        continue
    fi
    # shellcheck disable=SC2086 # words on purpose
    if holds $configuration; then
        echo "ok $number - $configuration"
    else
        echo "not ok $number - $configuration"
        sed 's/^/# /' "$work/said" | grep -v '^# ok ' | tail -n 40
        failures=$((failures + 1))
    fi
done <<LIST
$configurations
LIST
[ $failures -eq 0 ]

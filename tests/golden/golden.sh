#!/bin/sh
# golden.sh ORRERY: replays the runs that hashes.txt lists and demands their trace hashes, which hold for every compiler,
# optimisation level and sanitizer. Prints TAP. `golden.sh ORRERY --write` prints the list anew, for changes that are
# meant to change what seeds mean: those belong into the changelog.
set -u
orrery=$1
ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 # as in tests/tap.sh
export ASAN_OPTIONS
list=$(dirname "$0")/hashes.txt

hash_of() # SCENARIO [KEY=VALUE] SEED
{
    seed=
    for word in "$@"; do seed=$word; done
    arguments=$(echo "$*" | sed 's/ [^ ]*$//')
    # shellcheck disable=SC2086 # words on purpose
    "$orrery" replay $arguments --seed "$seed" 2>&1 | sed -n '$s/^trace hash //p'
}

if [ "${2-}" = --write ]; then
    grep '^#' "$list"
    grep -v '^#' "$list" | while read -r line; do
        run=${line% = *}
        # shellcheck disable=SC2086 # words on purpose
        echo "$run = $(hash_of $run)"
    done
    exit
fi

echo "1..$(grep -vc '^#' "$list")"
number=0
failures=0
while read -r line; do
    case $line in '#'*) continue ;; esac
    number=$((number + 1))
    run=${line% = *}
    expected=${line#* = }
    # shellcheck disable=SC2086 # words on purpose
    found=$(hash_of $run)
    if [ "$found" = "$expected" ]; then
        echo "ok $number - $run"
    else
        echo "not ok $number - $run"
        echo "# expected $expected, found ${found:-none}"
        failures=$((failures + 1))
    fi
done <"$list"
[ $failures -eq 0 ]

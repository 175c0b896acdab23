#!/bin/sh
# readme.sh SOURCE-ROOT CC LINK-ARGUMENT ...: the program on the README's first screen, taken from the README, must compile
# without a warning, fail as the README says, and come back with the command it prints. Prints TAP.
set -u
root=$1
compiler=$2
shift 2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
number=0
failures=0

check() # NAME STATUS
{
    number=$((number + 1))
    if [ "$2" -eq 0 ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        sed 's/^/# /' "$work/log"
        failures=$((failures + 1))
    fi
}

echo 1..5
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$root/README.md" >"$work/note.c"
[ "$(wc -l <"$work/note.c")" -le 32 ] 2>"$work/log"
check 'the program fits on the first screen' $?
# shellcheck disable=SC2086 # CC may hold arguments
$compiler -std=c11 -Wall -Wextra -Wno-unused-parameter -Werror -I"$root/io" -I"$root/sim" "$work/note.c" -o "$work/note" \
    "$@" >"$work/log" 2>&1
check 'it compiles' $?
"$work/note" run note >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'what was called saved survives power loss' "$work/log"
check 'its bug is found' $?
seed=$(sed -n 's/.*replay note --seed \([0-9]*\).*/\1/p' "$work/log" | head -n 1)
"$work/note" replay note --seed "${seed:-none}" >"$work/log" 2>&1
[ $? -eq 1 ] && tail -n 1 "$work/log" | grep -q '^trace hash [0-9a-f]\{16\}$'
check 'the command that is printed brings it back' $?
sed 's/result == 5; .*/false;/' "$work/note.c" >"$work/fixed.c"
# shellcheck disable=SC2086 # CC may hold arguments
$compiler -std=c11 -I"$root/io" -I"$root/sim" "$work/fixed.c" -o "$work/fixed" "$@" >"$work/log" 2>&1 &&
    "$work/fixed" run note --seeds 50 >"$work/log" 2>&1
check 'a program that promises nothing breaks no promise' $?
[ $failures -eq 0 ]

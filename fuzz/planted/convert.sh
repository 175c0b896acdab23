#!/bin/sh
# convert.sh PLANTED TARGET INPUT: an input that a fuzzer has found, in normal form. The target that runs it, the command
# line that does, and the replay file that is made out of it are one run: the same check, the same trace hash. Made back
# into an input it is the same bytes. It can be shrunk. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../../tests/tap.sh"
planted=$1
target=$2
input=$3
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
log=$work/log

# The trace hash in what the last command said.
hash()
{
    sed -n 's/^trace hash \([0-9a-f]*\)$/\1/p' "$work/log"
}

"$target" "$input" >"$work/log" 2>&1
[ $? -gt 1 ] && grep -q 'every record is whole after a crash' "$work/log"
check 'the target ends by a signal, and says which check fails' $?
hash=$(hash)

"$planted" replay journal bug=planted --input "$input" >"$work/log" 2>&1
[ $? -eq 1 ] && [ -n "$hash" ] && [ "$(hash)" = "$hash" ]
check 'replay --input is that run' $?

"$planted" convert journal bug=planted --input "$input" -o "$work/found.replay" >"$work/log" 2>&1 &&
    grep -q '^check every record is whole after a crash$' "$work/found.replay"
check 'it becomes a replay file that knows its check' $?
cp "$work/found.replay" "$work/log"
grep -q '^lane [a-z-]*/journal' "$work/log" || grep -q '^lane swarm/[a-z-]*#' "$work/log"
check 'its lanes have names' $?

"$planted" replay "$work/found.replay" >"$work/log" 2>&1
[ $? -eq 1 ] && [ "$(hash)" = "$hash" ]
check 'the file is that run' $?

"$planted" convert "$work/found.replay" -o "$work/input" >"$work/log" 2>&1 && cmp "$work/input" "$input" >>"$work/log" 2>&1
check 'and becomes the same input, byte for byte' $?

# Bytes behind the last chunk, too few for one, mean nothing.
{ cat "$input"; printf 'abc'; } >"$work/longer"
"$planted" convert journal bug=planted --input "$work/longer" -o "$work/longer.replay" >"$work/log" 2>&1 &&
    cmp "$work/longer.replay" "$work/found.replay" >>"$work/log" 2>&1
check 'an input that is not in normal form becomes the same file' $?

"$planted" shrink journal bug=planted --input "$input" -o "$work/shrunk.replay" >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q '^lane ' "$work/shrunk.replay" && "$planted" replay "$work/shrunk.replay" >>"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'every record is whole after a crash' "$work/log"
check 'it can be shrunk, and what is left fails in the same way' $?

# A replay file that is shrunk, or explained, goes on under its own lanes, each with its name and once.
lanes()
{
    grep '^lane ' "$1" | sort
}
lanes "$work/found.replay" >"$work/lanes"
"$planted" shrink "$work/found.replay" -o "$work/again.replay" >"$work/log" 2>&1
[ $? -eq 1 ] && lanes "$work/again.replay" | diff "$work/lanes" - >>"$work/log" && [ -s "$work/lanes" ] &&
    "$planted" replay "$work/again.replay" >>"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'every record is whole after a crash' "$work/log"
check 'a replay file that is shrunk keeps its lanes' $?
"$planted" explain "$work/again.replay" >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'fails the check: every record is whole after a crash' "$work/log"
check 'what is left is explained' $?

mkdir "$work/futures"
"$planted" branch "$work/found.replay" --at 'after journal/power#1' --futures 4 -o "$work/futures" >"$work/log" 2>&1
cat "$work/futures"/*.replay >"$work/future.replay"
lanes "$work/future.replay" | diff "$work/lanes" - >>"$work/log" && "$planted" replay "$work/future.replay" >>"$work/log" 2>&1
[ $? -eq 1 ] && "$planted" replay journal bug=planted --input "$input" --at 'after journal/power#1' \
    --future "$(sed -n 's/^future \([0-9]*\) .*/\1/p' "$work/future.replay")" >"$work/input.log" 2>&1
[ $? -eq 1 ] && [ "$(hash)" = "$(sed -n 's/^trace hash //p' "$work/input.log")" ]
check 'a future of it keeps them, and is the future of the input' $?

# The lanes of a file are not those of the next.
mkdir "$work/folder"
cp "$work/found.replay" "$work/folder/1.replay"
grep -v -e '^lane ' -e '^check ' "$work/found.replay" >"$work/folder/2.replay"
"$planted" replay "$work/folder/" >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'FAILS .*/1.replay: every record is whole after a crash' "$work/log" && grep -q 'passes .*/2.replay' "$work/log"
check 'in a folder each file has its own lanes' $?

"$planted" replay journal bug=planted --input "$input" --seed 3 >"$work/log" 2>&1
[ $? -eq 2 ] && "$planted" convert journal --input "$work/none" -o "$work/x" >>"$work/log" 2>&1
[ $? -eq 2 ] && "$planted" convert journal --input "$input" >>"$work/log" 2>&1
[ $? -eq 2 ] && "$planted" replay "$work/found.replay" --input "$input" >>"$work/log" 2>&1
[ $? -eq 2 ] && [ "$(grep -c . "$work/log")" -ge 7 ]
check 'wrong usage is told' $?
finish

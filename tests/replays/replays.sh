#!/bin/sh
# replays.sh ORRERY FILE SEEDS: every replay file beside FILE still fails in the check that it was kept for, and passes without
# the bug that was planted; recorded runs replay to the same hash; shrinking ends with what each single fault is needed
# for, with any number of jobs, from a seed or a file. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
orrery=$1
seeds=$3
folder=$(dirname "$2")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
log=$work/log

for file in "$folder"/*.replay; do
    name=$(basename "$file" .replay)
    text=$(sed -n 's/^check //p' "$file")
    "$orrery" replay "$file" >"$work/log" 2>&1
    [ $? -eq 1 ] && grep -q "^seed .* fails the check: $text\$" "$work/log" && ! grep -q '^unused' "$work/log"
    check "$name fails as it did" $?
done

"$orrery" replay "$folder/" bug=none >"$work/log" 2>&1 && ! grep -q FAILS "$work/log"
check "all of them pass without their bugs" $?

mkdir "$work/some" && cp "$folder"/gate-*.replay "$folder"/journal-*.replay "$work/some"
"$orrery" replay "$work/some/" --jobs 1 >"$work/one" 2>"$work/log"
[ $? -eq 1 ] && "$orrery" replay "$work/some/" --jobs 3 >"$work/three" 2>"$work/log"
[ $? -eq 1 ] && [ "$(grep -c '^FAILS' "$work/three")" -gt 5 ] && cmp "$work/one" "$work/three" >"$work/log" 2>&1
check "of a folder any number of jobs tells the same" $?

hash_of() # WORD ...
{
    "$orrery" replay "$@" 2>&1 | tee "$work/log" | sed -n 's/^trace hash //p'
}

for scenario in echo kv register; do
    differ=
    for seed in $(seq 1 "$seeds"); do
        first=$(hash_of $scenario --seed "$seed" --record "$work/$seed.replay")
        [ -n "$first" ] && [ "$first" = "$(hash_of "$work/$seed.replay")" ] || differ="$differ $seed"
    done
    echo "differ:$differ" >"$work/log"
    [ -z "$differ" ]
    check "$scenario: what was recorded of $seeds seeds is those runs again" $?
done

# Forked at an instant, and replayed from the start.
"$orrery" branch "$folder/kv-ack-before-fsync.replay" --at 'after server/crash#7' --futures 4 -o "$work/futures" --json \
    >"$work/log" 2>&1
forked=$(sed -n 's/^{"future": 1, .*"trace_hash": "\([0-9a-f]*\)".*/\1/p' "$work/log")
[ "$(grep -c '"failed": true' "$work/log")" -eq 4 ] && [ -n "$forked" ] &&
    [ "$forked" = "$(hash_of "$work/futures/kv-3-future-1.replay")" ]
check "once the server has lost what it acknowledged every future fails, and comes back" $?
"$orrery" branch "$folder/kv-ack-before-fsync.replay" --at 516.5ms --futures 4 --faults none >"$work/log" 2>&1
check "just before no future without faults fails" $?

if [ "$seeds" -lt 12 ]; then # under a sanitizer, which test_explain.c and test_branch.c have look at the rest
    finish
    exit
fi

"$orrery" shrink kv bug=short-recv --seed 2 --jobs 1 -o "$work/one.replay" >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q '^needs exactly' "$work/log"
check "shrink ends with what is needed" $?
"$orrery" shrink kv bug=short-recv --seed 2 --jobs 3 -o "$work/three.replay" >"$work/log" 2>&1
cmp "$work/one.replay" "$work/three.replay" >>"$work/log" 2>&1
check "with more jobs the same" $?

text=$(sed -n 's/^check //p' "$work/one.replay")
needless=
grep -n '#[0-9]* +\{0,1\}= ' "$work/one.replay" | cut -d: -f1 >"$work/lines"
while read -r line; do
    sed "${line}d" "$work/one.replay" >"$work/less.replay"
    "$orrery" replay "$work/less.replay" >"$work/log" 2>&1
    grep -q "fails the check: $text\$" "$work/log" && needless="$needless $line"
done <"$work/lines"
[ -z "$needless" ]
check "without any of its faults it does not fail so" $?

"$orrery" explain "$work/one.replay" >"$work/log" 2>&1
[ $? -eq 1 ] && ! grep -q 'not needed' "$work/log" && grep -q '^  here they part' "$work/log"
check "and explain finds each of them needed" $?
"$orrery" replay kv bug=short-recv --seed 2 --record "$work/whole.replay" >"$work/log" 2>&1
"$orrery" shrink "$work/whole.replay" -o "$work/again.replay" >"$work/log" 2>&1
[ $? -eq 1 ] && cmp "$work/one.replay" "$work/again.replay" >>"$work/log" 2>&1
check "a recorded file shrinks to the same" $?

"$orrery" shrink "$folder/register-unsynced-timestamp.replay" -o "$work/less.replay" >"$log" 2>&1
[ $? -eq 1 ] && grep -q ' = power-loss only  #' "$work/less.replay" &&
    grep -q '^replica-[0-9]/write#[0-9]* = lost' "$work/less.replay"
check "a power loss is made to lose less" $?
first=$(hash_of "$work/less.replay" --record "$work/recorded.replay")
[ -n "$first" ] && [ "$first" = "$(hash_of "$work/recorded.replay")" ] && ! grep -q '^unused' "$work/log" &&
    grep -q '^replica-[0-9]/write#[0-9]* = lost' "$work/recorded.replay"
check "and what it lost is recorded, and comes back" $?
sed '/ = lost/d' "$work/less.replay" >"$work/none.replay"
"$orrery" replay "$work/none.replay" >"$log" 2>&1
check "without that loss it passes" $?

appoint() # LINE: status and check of a run with a crash behind the first compaction
{
    printf 'scenario kv\nparameter bug=rename-before-fsync\nseed 113\nonly\n%s\n' "$1" >"$work/appointed.replay"
    "$orrery" replay "$work/appointed.replay" >"$log" 2>&1
}
appoint 'server crash @ after rename#0'
[ $? -eq 1 ] && grep -q 'fails the check: every acknowledged write survives' "$log"
check "a crash that is appointed loses what the seed says" $?
appoint 'server crash @ after rename#0 only'
check "or only what is named" $?
appoint "server crash @ after rename#0 only
server/write#25 = torn 0"
[ $? -eq 1 ] && grep -q 'fails the check: every client is served once the faults end' "$log"
check "then that is lost" $?

"$orrery" shrink register bug=minority nodes=5 --seed 1 -o "$work/small.replay" >"$work/log" 2>&1
grep -q '^parameter nodes=3$' "$work/small.replay" && grep -q '^parameter ms=[0-9]\{1,2\}$' "$work/small.replay"
check "what a scenario says may be less is made less" $?

"$orrery" sweep echo messages=2 --seed 1 --pairs 50 --jobs 1 >"$work/log" 2>&1 &&
    grep -q '^all [0-9]* single faults and 50 pairs survived' "$work/log"
check "echo survives every single fault" $?
counted=$(sed 's/ survived.*//' "$work/log")
"$orrery" sweep echo messages=2 --seed 1 --pairs 50 --jobs 3 >"$work/log" 2>&1
[ "$counted" = "$(sed 's/ survived.*//' "$work/log")" ]
check "with more jobs as many" $?
"$orrery" sweep kv bug=short-recv ms=1 --seed 2 -o "$work/swept" >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'every reply answers its command' "$work/log" && grep -q 'replay: ' "$work/log"
check "a sweep finds the fault that a bug does not survive" $?
"$orrery" replay "$work/swept-1.replay" >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q "^check " "$work/swept-1.replay" && ! grep -q '^unused' "$work/log"
check "and its replay file brings it back" $?

finish

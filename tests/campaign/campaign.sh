#!/bin/sh
# campaign.sh ORRERY SEEDS: the examples' scenarios are clean over that many seeds, and every planted bug is found within a
# bounded number (docs/register.md has how often those of register show), with a hash that its replay has too. And why they
# are found: the faults that show a bug are enough to find it, and without them it is not found. Two of register's need no
# fault at all; one of them, no-write-back, shows without faults in one of 1000 seeds. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=1
orrery=$1
seeds=$2
bugs='kv:ack-before-fsync:5000 kv:short-send:5000 kv:short-recv:5000 kv:ignore-torn-tail:5000 kv:rename-before-fsync:5000
    kv:fsync-retry:5000 kv:log-gap:5000 register:no-write-back:200 register:minority:200 register:unsynced-timestamp:200
    register:stale-epoch:200'
small='counter:retry-twice:200 counter:stale:200 exchange:send-first:200 gate:accept-stops:400 gate:one-per-wake:400
    gate:lost-slot:200 gate:early-reuse:200 gate:double-release:2000 journal:no-checksum:200 journal:write-order:200
    journal:no-directory-sync:200 lease:wall-clock:400 pair:ack-early:200 post:half-close:200 post:close-unread:200'
# With few seeds (under sanitizers) two bugs are searched, and nobody asks why they are found. The replay files of all are
# replayed there, too.
few=$((seeds < 50))
if [ "$few" -eq 1 ]; then
    bugs='kv:ack-before-fsync:5000 register:stale-epoch:200'
else
    bugs="$bugs $small"
fi
hidden='kv:short-send:short-transfers kv:short-recv:short-transfers kv:ack-before-fsync:restarts kv:ignore-torn-tail:restarts
    kv:rename-before-fsync:restarts kv:fsync-retry:disk-error kv:log-gap:restarts register:unsynced-timestamp:losses
    counter:retry-twice:network counter:stale:datagram exchange:send-first:pressure gate:accept-stops:handles
    gate:one-per-wake:waits gate:lost-slot:waits gate:early-reuse:waits gate:double-release:waits
    journal:no-checksum:power-loss journal:write-order:power-loss journal:no-directory-sync:power-loss
    lease:wall-clock:clock pair:ack-early:power-loss post:half-close:short-transfers post:close-unread:slow-transfers'
shown='minority:none stale-epoch:none no-write-back:disk-full no-write-back:disk-error unsynced-timestamp:power-loss'
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
log=$work/log

member() # NAME
{
    sed -n 's/.*"'"$1"'": *"\{0,1\}\([0-9a-f]*\).*/\1/p' "$work/log" | head -n 1
}

fields() # TRIPLE: sets scenario, bug, word
{
    scenario=${1%%:*}
    word=${1##*:}
    bug=${1#*:}
    bug=${bug%:*}
}

for scenario in echo kv register counter exchange gate journal lease pair post; do
    "$orrery" run "$scenario" --seeds "$seeds" --failures 3 >"$work/log" 2>&1
    check "$scenario holds over $seeds seeds" $?
done
"$orrery" run register nodes=5 --seeds $((seeds / 5)) --failures 3 >"$work/log" 2>&1
check "register holds with five replicas" $?
"$orrery" run register nodes=5 bug=minority --seeds 200 >"$work/log" 2>&1
[ $? -eq 1 ]
check "register bug=minority is found with five replicas" $?
for triple in $bugs; do
    fields "$triple"
    "$orrery" run "$scenario" "bug=$bug" --seeds "$word" --json >"$work/log" 2>&1
    [ $? -eq 1 ] && [ -n "$(member seed)" ] && [ -n "$(member trace_hash)" ]
    check "$scenario bug=$bug is found within $word seeds" $?
    seed=$(member seed)
    hash=$(member trace_hash)
    "$orrery" replay "$scenario" "bug=$bug" --seed "${seed:-1}" >"$work/log" 2>&1
    [ $? -eq 1 ] && [ "$(tail -n 1 "$work/log")" = "trace hash $hash" ]
    check "$scenario bug=$bug comes back with its trace hash" $?
done
if [ "$few" -eq 1 ]; then
    finish
    exit
fi
for triple in $hidden; do
    fields "$triple"
    "$orrery" run "$scenario" "bug=$bug" "without=$word" --seeds $((seeds / 3)) >"$work/log" 2>&1
    check "$scenario bug=$bug does no harm without=$word" $?
done
for pair in $shown; do
    "$orrery" run register "bug=${pair%:*}" "only=${pair#*:}" --seeds 200 >"$work/log" 2>&1
    [ $? -eq 1 ]
    check "register bug=${pair%:*} is found only=${pair#*:}" $?
done
"$orrery" run register bug=no-write-back only=none --seeds $((seeds / 5)) --failures 2 --json >"$work/log" 2>&1
[ "$(tail -n 1 "$work/log" | sed -n 's/.*"failures": \([0-9]*\),.*/\1/p')" -le 1 ]
check 'register bug=no-write-back seldom does harm only=none' $?
finish

#!/bin/sh
# campaign.sh ORRERY SEEDS: the examples' scenarios are clean over that many seeds, and every planted bug is found within
# 5000, with a hash that its replay has too; those of kv are not found where the faults do not strike that show
# them. Prints TAP.
set -u
orrery=$1
seeds=$2
bugs='kv:ack-before-fsync kv:short-send kv:short-recv kv:ignore-torn-tail kv:rename-before-fsync kv:fsync-retry kv:log-gap
    register:no-write-back register:minority register:unsynced-timestamp register:stale-epoch'
hidden='short-send:short-transfers short-recv:short-transfers ack-before-fsync:restarts ignore-torn-tail:power-loss
    rename-before-fsync:power-loss fsync-retry:disk-error fsync-retry:power-loss log-gap:restarts'
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
        sed 's/^/# /' "$work/log" | tail -n 40
        failures=$((failures + 1))
    fi
}

member() # NAME
{
    sed -n 's/.*"'"$1"'": *"\{0,1\}\([0-9a-f]*\).*/\1/p' "$work/log" | head -n 1
}

echo 1..33
for scenario in echo kv register; do
    "$orrery" run "$scenario" --seeds "$seeds" --failures 3 >"$work/log" 2>&1
    check "$scenario holds over $seeds seeds" $?
done
for pair in $bugs; do
    scenario=${pair%:*}
    bug=${pair#*:}
    "$orrery" run "$scenario" "bug=$bug" --seeds 5000 --json >"$work/log" 2>&1
    [ $? -eq 1 ] && [ -n "$(member seed)" ] && [ -n "$(member trace_hash)" ]
    check "$scenario bug=$bug is found" $?
    seed=$(member seed)
    hash=$(member trace_hash)
    "$orrery" replay "$scenario" "bug=$bug" --seed "${seed:-1}" >"$work/log" 2>&1
    [ $? -eq 1 ] && [ "$(tail -n 1 "$work/log")" = "trace hash $hash" ]
    check "$scenario bug=$bug comes back with its trace hash" $?
done
for pair in $hidden; do
    bug=${pair%:*}
    fault=${pair#*:}
    "$orrery" run kv "bug=$bug" "without=$fault" --seeds $((seeds / 5)) >"$work/log" 2>&1
    check "bug=$bug does no harm without=$fault" $?
done
[ $failures -eq 0 ]

# shellcheck shell=sh
# tap.sh: to be sourced by tests that are shell scripts: one line of TAP for each check, a plan at the end. What a failed
# check had written to $log is shown beneath it.

# Many short runs: under a sanitizer each would look for leaks at its end, and that takes longer. campaign.sh has them do it.
ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0
export ASAN_OPTIONS
log=/dev/null
number=0
failures=0

check() # NAME STATUS
{
    number=$((number + 1))
    if [ "$2" -eq 0 ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        tail -n 40 "$log" | sed 's/^/# /'
        failures=$((failures + 1))
    fi
}

skipped() # NAME REASON
{
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# The last words of a test: how many there were. Fails if one did.
finish()
{
    echo "1..$number"
    [ "$failures" -eq 0 ]
}

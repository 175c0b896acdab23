"""search.py: how long it takes to find a failing seed of a planted bug, on one core.

The command line searches a range of seeds with one job, and is stopped at the first failing seed. One range would measure
luck: whoever measures takes several disjoint ones, one after the other. CPU seconds are those of all processes of the
search.
"""

import json
import os
import signal
import subprocess
import time

RANGE_SEEDS = 5000
RANGE_S = 120  # a search that takes longer is given up
END_S = 10
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """A search that did not run: no number is better than a wrong one."""


def search_cpu_s(leader):
    """CPU seconds of all live processes of a search, and of those they have waited for."""
    ticks = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_PER_S


def first_failing_seed(stream):
    """The seed of the first failing one, or None when the output ends without any."""
    for line in stream:
        try:
            found = json.loads(line)
        except ValueError:
            raise Failure(f"a line of the search is not JSON: {line[:200]!r}") from None
        if "seed" in found and "check" in found:
            return int(found["seed"])
    return None


def end(process, seconds):
    """Ends a search: asks at once, insists after so many seconds."""
    os.killpg(process.pid, signal.SIGTERM)
    signal.alarm(seconds)


def search(command, number):
    """Searches a range of its own for each number. `seeds` is how many were tried, or None if it was given up."""
    first = 1 + number * RANGE_SEEDS
    last = first + RANGE_SEEDS - 1
    command = command + ["--seeds", f"{first}..{last}", "--jobs", "1", "--json"]
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    signal.alarm(RANGE_S)
    seed = first_failing_seed(process.stdout)
    wall_s = time.monotonic() - begin
    cpu_s = search_cpu_s(process.pid)
    ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    stopped = ended == 0 and seed is not None
    if stopped:
        end(process, END_S)
    if ended == 0:
        _, status, usage = os.wait4(process.pid, 0)
    signal.alarm(0)
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if not stopped:  # it has waited for all its children: the kernel's sum is exact
        cpu_s = usage.ru_utime + usage.ru_stime
    seeds = (last if seed is None else seed) - first + 1
    if seed is None and process.returncode == -signal.SIGKILL:
        seeds = None
    elif seed is None and process.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with status {process.returncode}")
    return {"seed": seed, "seeds": seeds, "cpu_s": cpu_s, "wall_s": wall_s}

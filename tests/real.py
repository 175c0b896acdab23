"""real.py: for tests that run real programs on the real kernel: cases that print TAP, and what they all need.

A case is a function that gets a directory of its own; it passes unless it raises, and is skipped if it returns the
reason. No case depends on how fast anything is: waits end when what they wait for happens, and only a hang meets the
limits.
"""

import shutil
import socket
import subprocess
import tempfile
import time

LIMIT_SECONDS = 60


class Failure(Exception):
    """A case did not hold; the text says what."""


def demand(condition, text):
    if not condition:
        raise Failure(text)


def wait_until(condition, text):
    """Waits until condition() is true; text() says what is wrong after the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        demand(time.monotonic() < deadline, text())
        time.sleep(0.01)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_case(case):
    directory = tempfile.mkdtemp(prefix="orrery-test-")
    try:
        return True, case(directory)
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        return False, str(failure)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run_cases(cases, reason):
    """Runs them all, or none for a reason. Returns the exit status."""
    if reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    print(f"1..{len(cases)}")
    failures = 0
    for number, case in enumerate(cases, 1):
        passed, text = run_case(case)
        skipped = f" # SKIP {text}" if passed and text else ""
        print(f"{'ok' if passed else 'not ok'} {number} - {case.__doc__}{skipped}", flush=True)
        if not passed:
            failures += 1
            print("\n".join("# " + line for line in text.splitlines()[:40]), flush=True)
    return 1 if failures else 0

#!/usr/bin/env python3
"""Sums what `meson test` found in several build directories: the end of `./dev test`.

    count.py suites DIR                      the names of a configured directory's suites
    count.py programs DIR SUITE              what runs in a suite, as targets of Ninja: for one that needs few of them
    count.py count [--broken TEXT]... LABEL=LOG...
        LOG is what --logbase names, without suffix: LOG.json and LOG.junit.xml are read.
        A --broken build is one failure. The last line is `N passed, N failed`.

Meson's own exit status counts programs; here every case of a TAP program counts. A program that
crashed, hung or lied about its plan counts as one failure more than its cases say, and so does one
that ended well without a single result: Meson calls that skipped, here it is a test that cannot fail.

Before the last line stands a table of the conformance suite, if it ran: a line for each backend, which
is what follows the slash in the name of a test called conformance.../BACKEND.
"""

import argparse
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

LOG_LINES_MAX = 200
GOOD = {"OK", "EXPECTEDFAIL"}


class Sum:
    """The counts of all cases so far, and what is to be said about them."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = []
        self.failures = []  # (title, lines of the log)
        self.conformance = []  # (label, test, backend, passed, failed, skipped)

    def fail(self, title, log=()):
        self.failed += 1
        self.failures.append((title, list(log)))


def tests_of(directory):
    """Each test of a configured build directory, and its suites."""
    text = subprocess.run(["meson", "introspect", "--tests", directory], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout
    return [(test, [suite.split(":", 1)[-1] for suite in test["suite"]]) for test in json.loads(text)]


def suites(directory):
    return sorted({suite for _, of in tests_of(directory) for suite in of})


def programs(directory, suite):
    paths = {test["cmd"][0] for test, of in tests_of(directory) if suite in of}
    return sorted(os.path.relpath(path, os.path.realpath(directory)) for path in paths)


def log_of(program):
    """What a program printed, without the lines of cases that went well; the end of it if long."""
    lines = [line for line in program.get("stdout", "").splitlines()
             if not line.startswith(("ok ", "1.."))]
    lines += program.get("stderr", "").splitlines()
    if len(lines) > LOG_LINES_MAX:
        lines = [f"... {len(lines) - LOG_LINES_MAX} lines more, see the log"] + lines[-LOG_LINES_MAX:]
    return lines


def ending(program):
    code = program["returncode"]
    return f"{program['result']}, " + (f"killed by signal {-code}" if code < 0 else f"exit {code}")


def count_cases(total, title, program, cases):
    """A TAP program: one by one."""
    names = []
    for case in cases:
        if case.find("skipped") is not None:
            reason = (case.findtext("system-out") or "").strip()
            total.skipped.append(f"{title}: {case.get('name')} ({reason})")
        elif case.find("failure") is not None or case.find("error") is not None:
            names.append(case.get("name"))
        else:
            total.passed += 1
    total.failed += len(names)
    if names:
        total.failures.append((f"{title}: " + "; ".join(names), log_of(program)))
    elif program["result"] not in GOOD | {"SKIP"}:
        total.fail(f"{title} ({ending(program)})", log_of(program))


def count_program(total, title, program):
    """A program whose exit status is its only result, or that had none."""
    if program["result"] in GOOD:
        total.passed += 1
    elif program["result"] == "SKIP" and (program["returncode"] != 0 or program["stdout"].strip()):
        total.skipped.append(f"{title} ({' '.join(program['stdout'].split())})")
    elif program["result"] == "SKIP":
        total.fail(f"{title} (ended with status 0 and printed no result)")
    else:
        total.fail(f"{title} ({ending(program)})", log_of(program))


def is_conformance(name):
    return name.startswith("conformance") and name.count("/") == 1


def count_one(total, label, program, cases):
    """A program, with its cases if it printed any; what it adds to the table of backends."""
    name = program["name"].split(" / ")[-1]
    before = (total.passed, total.failed, len(total.skipped))
    title = f"{label}: {program['name'].split(':', 1)[-1]}"
    if cases is not None:
        count_cases(total, title, program, cases)
    else:
        count_program(total, title, program)
    after = (total.passed, total.failed, len(total.skipped))
    if is_conformance(name):
        counts = [now - then for now, then in zip(after, before)]
        if counts == [0, 0, 1]:
            counts[2] = "all"
        total.conformance.append([label] + name.split("/") + counts)


def count_log(total, label, log):
    try:
        with open(log + ".json", encoding="utf-8") as file:
            programs = [json.loads(line) for line in file]
        root = xml.etree.ElementTree.parse(log + ".junit.xml").getroot()
    except (OSError, ValueError, xml.etree.ElementTree.ParseError) as error:
        total.fail(f"{label}: meson test left no whole log ({error})")
        return
    if not programs:
        total.fail(f"{label}: no test ran")
    for program in programs:
        own = [suite for suite in root if suite.get("name", "").endswith("." + program["name"])]
        count_one(total, label, program, own[0].findall("testcase") if own else None)


def print_conformance(total):
    if not total.conformance:
        return
    head = ["build", "test", "backend", "passed", "failed", "skipped"]
    rows = [head] + sorted(([str(field) for field in row] for row in total.conformance),
                           key=lambda row: row[:3])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    print()
    for row in rows:
        names = [row[i].ljust(widths[i]) for i in range(3)]
        counts = [row[i].rjust(widths[i]) for i in range(3, len(head))]
        print("  ".join(names + counts))


def print_sum(total):
    for line in total.skipped:
        print(f"skipped: {line}")
    for title, log in total.failures:
        print(f"\nFAILED: {title}")
        print("".join(f"    {line}\n" for line in log), end="")
    print_conformance(total)
    print(f"\n{total.passed} passed, {total.failed} failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("suites").add_argument("directory")
    built = commands.add_parser("programs")
    built.add_argument("directory")
    built.add_argument("suite")
    counted = commands.add_parser("count")
    counted.add_argument("--broken", action="append", default=[], metavar="TEXT")
    counted.add_argument("logs", nargs="*", metavar="LABEL=LOG")
    options = parser.parse_args()
    if options.command == "suites":
        print("\n".join(suites(options.directory)))
        return 0
    if options.command == "programs":
        print("\n".join(programs(options.directory, options.suite)))
        return 0
    total = Sum()
    for text in options.broken:
        total.fail(text)
    for log in options.logs:
        count_log(total, *log.split("=", 1))
    print_sum(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())

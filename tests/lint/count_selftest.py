#!/usr/bin/env python3
"""The test of count.py, which decides whether all tests passed: a project of tests that pass, fail,
skip, crash, hang and lie is run by the real Meson, and each must be counted for what it is.
Prints TAP.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

COUNT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "count.py")

# name: (shell text, TAP?, passed, failed, skipped)
PROGRAMS = {
    "good": ("echo 1..2; echo ok 1 - a; echo ok 2 - b", True, 2, 0, 0),
    "one-skipped": ("echo 1..2; echo ok 1 - a; echo 'ok 2 - b # SKIP no ring'", True, 1, 0, 1),
    "bad": ("echo 1..3; echo ok 1 - a; echo not ok 2 - b; echo '# why'; echo ok 3 - c",
            True, 2, 1, 0),
    "all-bad": ("echo 1..2; echo not ok 1 - a; echo not ok 2 - b; exit 1", True, 0, 2, 0),
    "crash": ("echo 1..3; echo ok 1 - a; kill -SEGV $$", True, 1, 1, 0),
    "crash-first": ("kill -SEGV $$", True, 0, 1, 0),
    "short": ("echo 1..3; echo ok 1 - a", True, 1, 1, 0),
    "bail": ("echo 1..2; echo ok 1 - a; echo Bail out! no disk", True, 1, 1, 0),
    "status": ("echo 1..1; echo ok 1 - a; exit 3", True, 1, 1, 0),
    "hang": ("echo 1..2; echo ok 1 - a; exec sleep 60", True, 1, 1, 0),
    "all-skipped": ("echo '1..0 # SKIP no io_uring'", True, 0, 0, 1),
    "silent": ("exit 0", True, 0, 1, 0),
    "plain-good": ("exit 0", False, 1, 0, 0),
    "plain-bad": ("echo the reason >&2; exit 1", False, 0, 1, 0),
    "plain-error": ("exit 99", False, 0, 1, 0),
    "plain-skipped": ("echo no io_uring; exit 77", False, 0, 0, 1),
    "conformance/quartz": ("echo 1..2; echo ok 1 - a; echo ok 2 - b", True, 2, 0, 0),
    "conformance-kernel/quartz": ("echo 1..3; echo ok 1 - a; echo not ok 2 - b;"
                                  " echo 'ok 3 - c # SKIP no thread'", True, 1, 1, 1),
    "conformance/amber": ("echo '1..0 # SKIP no amber'", True, 0, 0, 1),
    "conformance/crash": ("echo 1..2; echo ok 1 - a; kill -SEGV $$", True, 1, 1, 0),
}

# The lines of the table that those called conformance.../BACKEND make, without the label.
TABLE = {
    "conformance/quartz": "conformance quartz 2 0 0",
    "conformance-kernel/quartz": "conformance-kernel quartz 1 1 1",
    "conformance/amber": "conformance amber 0 0 all",
    "conformance/crash": "conformance crash 1 1 0",
}
HEAD = "build test backend passed failed skipped"


def write_project(folder, names):
    lines = ["project('sample')", "sh = find_program('sh')"]
    for name in names:
        text, tap = PROGRAMS[name][:2]
        text = text.replace("'", "\\'")
        lines.append(f"test('{name}', sh, args: ['-c', '{text}'], suite: 'suite-{name}', timeout: 1,"
                     f" protocol: '{'tap' if tap else 'exitcode'}')")
    with open(os.path.join(folder, "meson.build"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def count(*arguments):
    """(exit status, output) of count.py."""
    result = run(sys.executable, COUNT, *arguments)
    return result.returncode, result.stdout


def table_of(output):
    """The lines between the last two empty ones, each with single spaces, if they are the table."""
    parts = output.strip("\n").split("\n\n")
    lines = [" ".join(line.split()) for line in parts[-2].splitlines()] if len(parts) > 1 else []
    return lines[1:] if lines and lines[0] == HEAD else []


def demand(condition, text):
    if not condition:
        raise AssertionError(text)


def case_program(build, name):
    """One program alone: its line of the log, as if no other had run."""
    logs = f"{build}/meson-logs"
    own = f"{logs}/{name.replace('/', '-')}"
    with open(f"{logs}/all.json", encoding="utf-8") as log:
        lines = [line for line in log if json.loads(line)["name"].endswith(f" / {name}")]
    demand(len(lines) == 1, f"{len(lines)} results of {name}")
    with open(f"{own}.json", "w", encoding="utf-8") as log:
        log.writelines(lines)
    shutil.copy(f"{logs}/all.junit.xml", f"{own}.junit.xml")
    status, output = count("count", f"label={own}")
    _, _, passed, failed, skipped = PROGRAMS[name]
    demand(output.endswith(f"\n{passed} passed, {failed} failed\n"), output)
    demand(output.count("skipped: label: ") == skipped, output)
    demand((f"FAILED: label: suite-{name} / {name}" in output) == (failed > 0), output)
    demand(status == (1 if failed else 0), f"status {status}")
    demand(table_of(output) == ([f"label {TABLE[name]}"] if name in TABLE else []), output)
    if name in ("bad", "plain-bad"):
        demand({"bad": "# why", "plain-bad": "the reason"}[name] in output, output)


def case_together(build):
    """All programs in one log, the same log twice, and a broken build."""
    log = f"{build}/meson-logs/all"
    passed, failed = (sum(program[i] for program in PROGRAMS.values()) for i in (2, 3))
    status, output = count("count", "--broken", "gcc: does not compile", f"a={log}", f"b={log}")
    demand(output.endswith(f"\n{2 * passed} passed, {2 * failed + 1} failed\n"), output)
    demand("FAILED: gcc: does not compile" in output, output)
    demand(table_of(output) == [f"{label} {line}" for label in "ab" for line in
                                sorted(TABLE.values())], output)
    demand(status == 1, f"status {status}")


def case_suites(build):
    status, output = count("suites", build)
    demand(status == 0 and output.split() == sorted(f"suite-{name}" for name in PROGRAMS), output)


def case_programs(build):
    status, output = count("programs", build, "suite-good")
    demand(status == 0 and len(output.split()) == 1, output)
    status, output = count("programs", build, "suite-of-none")
    demand(status == 0 and not output.split(), output)


def case_missing_log(build):
    status, output = count("count", f"a={build}/meson-logs/never-written")
    demand(status == 1 and output.endswith("\n0 passed, 1 failed\n"), output)


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        build = os.path.join(folder, "b")
        write_project(folder, PROGRAMS)
        run("meson", "setup", build, folder)
        run("meson", "test", "-C", build, "--logbase", "all")
        todo = [(name, lambda n=name: case_program(build, n)) for name in PROGRAMS]
        todo += [("all together", lambda: case_together(build)),
                 ("suites", lambda: case_suites(build)),
                 ("programs", lambda: case_programs(build)),
                 ("missing log", lambda: case_missing_log(build))]
        print(f"1..{len(todo)}")
        for number, (name, function) in enumerate(todo, 1):
            try:
                function()
                print(f"ok {number} - {name}")
            except AssertionError as error:
                failed += 1
                print(f"not ok {number} - {name}")
                print("# " + str(error).replace("\n", "\n# "))
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

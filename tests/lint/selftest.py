#!/usr/bin/env python3
"""Proves that the lint test can fail: every rule gets bad files and must name their lines, and gets
good files that look like bad ones and must keep silent. Prints TAP.

A case is (rule, path, text, lines): the file alone makes a tree, and the rule must find exactly
these lines of it. A rule without a bad and a good case here is itself a failure.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source tree stays as it is
import lint  # noqa: E402 (the line above must come first)

HEAD = "/* file.c: what this file is for, in enough words. */\n"
LONGEST_BODY = "{\n" + "    step();\n" * 67 + "}\n"  # with a head of one line: 70, allowed
LONG_BODY = "{\n" + "    step();\n" * 68 + "}\n"
UNFINISHED = "TO" + "DO"

CASES = [
    ("rule_columns", "io/a.c", "x" * 101 + "\n" + "x" * 100 + "\n", [1]),
    ("rule_columns", "io/a.c", "x" * 100 + "\n", []),
    ("rule_white_space", "io/a.c", "int a;\t\n", [1, 1]),
    ("rule_white_space", "script", "#!/bin/sh \necho\n", [1]),
    ("rule_white_space", "docs/a.md", "no newline at the end", [1]),
    ("rule_white_space", "docs/a.md", "an empty line at the end\n\n", [3]),
    ("rule_white_space", "docs/a.md", "fine\n\nfine\n", []),
    ("rule_opening_comment", "io/a.c", "#include <stdio.h>\n" + HEAD, [1]),
    ("rule_opening_comment", "io/a.c", "/* a.c */\nint a;\n", [1]),
    ("rule_opening_comment", "io/a.c", HEAD, []),
    ("rule_opening_comment", "io/a.c", "// a.c: what this file is for,\n// and why.\n", []),
    ("rule_unfinished", "docs/a.md", f"one\n{UNFINISHED}: more\n", [2]),
    ("rule_unfinished", "io/a.c", '"/tmp/dir-XX' + 'XXXX"\n', []),
    ("rule_leaks", "docs/a.md", "in /wo" + "rk/main\nsee issue #12\nan Agent did it\n"
     "../sha" + "red/a.md\n", [1, 2, 3, 4]),
    ("rule_leaks", "docs/a.md", "the reagent, the issue at hand, build/work/a and "
     "unshared/\n", []),
    ("rule_function_length", "io/a.c", HEAD + "int f(void)\n" + LONG_BODY, [2]),
    ("rule_function_length", "io/a.c", HEAD + "START_TEST(f)\n" + LONG_BODY, [2]),
    ("rule_function_length", "io/a.c", HEAD + "int f(void)\n" + LONGEST_BODY
     + "int g(void) { return 1; }\n", []),
    ("rule_function_length", "io/a.c", HEAD + "static const int table[] = " + LONG_BODY, []),
    ("rule_function_length", "io/a.c", HEAD + "struct big {\n" + "    int a;\n" * 90 + "};\n", []),
    ("rule_function_length", "io/a.c", HEAD + "struct s t = (struct s)" + LONG_BODY, []),
    ("rule_function_length", "io/a.c", HEAD + 'char c = \'{\';\nchar *s = "{\\"{";\n', []),
    ("rule_function_length", "io/a.c", HEAD + "#if A\nint f(void) {\n#else\nint g(void) {\n"
     "#endif\n}\n", [1]),
    ("rule_function_length", "io/orrery/a.h", HEAD + '#ifdef __cplusplus\nextern "C" {\n#endif\n'
     "static inline int f(void)\n" + LONGEST_BODY + "#ifdef __cplusplus\n}\n#endif\n", []),
    ("rule_function_length", "io/orrery/a.h", HEAD + 'extern "C" {\nstatic int f(void)\n'
     + LONG_BODY + "}\n", [3]),
    ("rule_banned_calls", "tests/a.c", HEAD + "strcpy(a, b);\nx = atoi (s);\n", [2, 3]),
    ("rule_banned_calls", "io/a.c", HEAD + "#define COPY(a, b) strcat(a, b)\n", [2]),
    ("rule_banned_calls", "io/a.c", HEAD + '/* strcpy(a, b) */\nputs("sprintf(");\nsnprintf(a);\n'
     "my_gets(a);\nparser->gets(a);\ngets = 1;\n", []),
    ("rule_determinism", "io/a.c", HEAD + "time(NULL);\n", [2]),
    ("rule_determinism", "sim/a.c", HEAD + 'a = getenv("A");\nb = rand();\n', [2, 3]),
    ("rule_determinism", "examples/kv/server.c", HEAD + "clock_gettime(0, &now);\n", [2]),
    ("rule_determinism", "examples/kv/main.c", HEAD + "clock_gettime(0, &now);\n", []),
    ("rule_determinism", "sim/campaign/a.c", HEAD + "clock_gettime(0, &now);\n", []),
    ("rule_determinism", "backends/a.c", HEAD + "getrandom(a, 8, 0);\n", []),
    ("rule_determinism", "sim/libc/a.c", HEAD + "int rand(void)\n{\n    return 1;\n}\n", []),
    ("rule_determinism", "io/a.c", HEAD + "backend->random(state);\nbackend.time();\n"
     "int (*random)(void *state);\norr_random(loop);\nuint64_t time = 0;\n", []),
    ("rule_floats", "io/a.c", HEAD + "double a;\nint b = (int)1.5;\nint c = 1e9;\n", [2, 3, 4]),
    ("rule_floats", "sim/a.c", HEAD + "#define RATE 0.5\n", [2]),
    ("rule_floats", "sim/campaign/a.c", HEAD + "double rate = 0.5;\n", []),
    ("rule_floats", "io/a.c", HEAD + '/* 0.5 of a double */\nint a = 0x1e9;\nputs("1.5");\n'
     "int double_click = a1.b, c = x.e1;\n", []),
    ("rule_includes", "io/a.c", HEAD + "#include <liburing.h>\n", [2]),
    ("rule_includes", "io/a.c", HEAD + "#include <errno.h>\n#include <sys/socket.h>\n", []),
    ("rule_includes", "backends/a.c", HEAD + "#include <liburing.h>\n#include <zlib.h>\n", [3]),
    ("rule_includes", "sim/a.c", HEAD + "# include <jansson.h>\n", [2]),
    ("rule_includes", "sim/campaign/a.c", HEAD + "#include <jansson.h>\n", []),
    ("rule_includes", "sim/libc/a.c", HEAD + "#include <unwind.h>\n#include <jansson.h>\n", [3]),
    ("rule_includes", "tests/a.c", HEAD + "#include <check.h>\n#include <liburing.h>\n", []),
    ("rule_includes", "io/a.c", HEAD + "/*\n#include <liburing.h>\n*/\n", []),
    ("rule_header_comments", "io/orrery/a.h", HEAD + "#define ORR_BEGIN\nORR_BEGIN\n\n"
     "ORR_API int orr_f(int a);\n", [5]),
    ("rule_header_comments", "io/orrery/a.h", HEAD + "\nORR_API int orr_f(int a,\n    int b);\n"
     "\n/* Says what g does. */\nint orr_g(void);\nint orr_h(void) ORR_PRINTF(1, 2);\n\n"
     "void *orr_i(void (*callback)(void));\n", [3, 10]),
    ("rule_header_comments", "sim/orrery/a.h", HEAD + "\ntypedef void (*orr_f)(void);\n"
     "struct orr_s {\n    int (*f)(void);\n};\nint orr_g(void); /* what it does */\n", []),
    ("rule_header_comments", "io/internal.h", HEAD + "\nint orr__f(void);\n", []),
]

# A rule over several files: path and text of each, then the places that it must find.
TREES = [
    ("rule_includes", {
        "io/internal.h": HEAD,
        "io/orrery/io.h": HEAD,
        "sim/internal.h": HEAD,
        "sim/orrery/sim.h": HEAD + "#include <orrery/io.h>\n",
        "backends/uring.h": HEAD + '#include "io/internal.h"\n#include <orrery/io.h>\n',
        "io/a.c": HEAD + '#include "internal.h"\n#include "../sim/internal.h"\n',
        "io/b.c": HEAD + "#include <orrery/sim.h>\n",
        "backends/a.c": HEAD + '#include "sim/internal.h"\n#include "uring.h"\n',
        "sim/a.c": HEAD + '#include "internal.h"\n#include "backends/uring.h"\n',
        "sim/campaign/a.c": HEAD + '#include "../internal.h"\n#include "../../backends/uring.h"\n',
        "examples/kv/server.c": HEAD + "#include <orrery/io.h>\n#include <orrery/sim.h>\n",
        "examples/kv/scenario.c": HEAD + '#include <orrery/sim.h>\n#include "io/internal.h"\n',
        "examples/kv/workload.c": HEAD + "#include <orrery/sim.h>\n",
        "tools/orrery.c": HEAD + '#include <orrery/sim.h>\n#include "backends/uring.h"\n',
        "tests/a.c": HEAD + '#include "io/internal.h"\n#include "backends/uring.h"\n',
    }, ["backends/a.c:2", "examples/kv/scenario.c:3", "examples/kv/server.c:3", "io/a.c:3",
        "io/b.c:2", "sim/a.c:3", "sim/campaign/a.c:3", "tools/orrery.c:3"]),
]


def write_tree(root, files):
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)
    return lint.Tree(root)


def places(findings):
    """The "path:line" of each finding, sorted."""
    return sorted(":".join(finding.split(":")[:2]) for finding in findings)


def case_rule(rule, files, expected):
    with tempfile.TemporaryDirectory() as root:
        found = list(getattr(lint, rule)(write_tree(root, files)))
    if places(found) != sorted(expected):
        raise AssertionError(f"expected {sorted(expected)}, found {found}")


def case_coverage():
    """Each rule is in the list that runs, fires in one case and keeps silent in another."""
    named = {name for name in dir(lint) if name.startswith("rule_")}
    run = {rule.__name__ for rule in lint.RULES}
    fires = {case[0] for case in CASES if case[3]}
    silent = {case[0] for case in CASES if not case[3]}
    if not named == run == fires == silent:
        raise AssertionError(f"rules {sorted(named)}; not run {sorted(named - run)}; no bad case "
                             f"{sorted(named - fires)}; no good case {sorted(named - silent)}")


# ---- checks that need a compiler or a tool ---------------------------------------------------------


def expect(findings, text):
    """Exactly the check must fire, and say what is wrong; None: it must keep silent."""
    found = list(findings)
    if text is None and found:
        raise AssertionError(f"a false alarm: {found}")
    if text is not None and not any(text in finding for finding in found):
        raise AssertionError(f"no finding says '{text}': {found}")


def compile_to(root, output, source, *options):
    """Compiles `source` (C text) with gcc into root/output and returns the path."""
    lint.need("gcc")
    path = os.path.join(root, output)
    with open(path + ".c", "w", encoding="utf-8") as file:
        file.write(source)
    subprocess.run(["gcc", "-o", path, path + ".c", *options], check=True)
    return path


def case_header_alone(compiler):
    headers = {
        "io/orrery/good.h": "#ifndef G\n#define G\n#include <stdint.h>\nint64_t orr_f(void);\n"
                            "#endif\n",
        "io/orrery/incomplete.h": "int64_t orr_f(void);\n",
        "io/orrery/unguarded.h": "struct orr_s {\n    int a;\n};\n",
    }
    with tempfile.TemporaryDirectory() as root:
        tree = write_tree(root, headers)
        good, incomplete, unguarded = tree.public_headers()
        expect(lint.check_header_alone(tree, good, compiler), None)
        expect(lint.check_header_alone(tree, incomplete, compiler), "incomplete.h:1")
        expect(lint.check_header_alone(tree, unguarded, compiler), "unguarded.h:1")


def case_header_cplusplus():
    """A C++ keyword in a header passes the C compiler and fails the C++ one."""
    with tempfile.TemporaryDirectory() as root:
        tree = write_tree(root, {"io/orrery/word.h": "#pragma once\nint orr_f(int class);\n"})
        expect(lint.check_header_alone(tree, tree.public_headers()[0], "gcc"), None)
        expect(lint.check_header_alone(tree, tree.public_headers()[0], "g++"), "word.h:1")


def case_production():
    interface = "int orr_run(void) { return 0; }\n"
    world = "int orr_world_step(void) { return 0; }\nstatic int helper(void) { return 0; }\n" \
            "int orr__choice(void) { return helper(); }\n"
    clean = "static int helper(void) { return 1; }\nint orr_run(void);\n" \
            "int main(void) { return orr_run() + helper(); }\n"
    dirty = "int orr__choice(void);\nint orr_run(void);\n" \
            "int main(void) { return orr_run() + orr__choice(); }\n"
    with tempfile.TemporaryDirectory() as root:
        sim = compile_to(root, "sim.o", world, "-c", "-fvisibility=hidden")
        io = compile_to(root, "io.o", interface, "-c", "-fvisibility=hidden")
        good = compile_to(root, "good", clean, io)
        bad = compile_to(root, "bad", dirty, io, sim)
        stripped = compile_to(root, "stripped", dirty, io, sim, "-s")
        expect(lint.check_production(good, sim), None)
        expect(lint.check_production(bad, sim), "holds orr__choice")
        expect(lint.check_production(stripped, sim), "stripped")


def case_exports():
    header = {"io/orrery/a.h": HEAD + "int orr_f(void);\nint orr_g(int a);\n"}
    good = "int orr_f(void) { return 0; }\nint orr_g(int a) { return a; }\n"
    hidden = good.replace("int orr_g", '__attribute__((visibility("hidden"))) int orr_g')
    with tempfile.TemporaryDirectory() as root:
        tree = write_tree(root, header)
        for name, source, finding in (
                ("good.so", good, None),
                ("hidden.so", hidden, "does not export orr_g"),
                ("internal.so", good + "int orr__h(void) { return 0; }\n", "exports orr__h"),
                ("foreign.so", good + "int helper(void) { return 0; }\n", "exports helper")):
            library = compile_to(root, name, source, "-shared", "-fPIC")
            expect(lint.check_exports(tree, library), finding)
        anew = "int rand(void)\n{\n    return 4;\n}\n"
        tree = write_tree(root, {"sim/libc/a.c": HEAD + anew})
        for name, finding in (("libsim.so", None), ("libio.so", "exports rand")):
            expect(lint.check_exports(tree, compile_to(root, name, anew, "-shared", "-fPIC")),
                   finding)


def case_shellcheck():
    with tempfile.TemporaryDirectory() as root:
        tree = write_tree(root, {"x/good": "#!/bin/sh\necho \"$1\"\n", "x/other": "echo $1\n",
                                 "x/bad": "#!/bin/sh\nrm -r $1\n"})
        if tree.shell_scripts() != ["x/bad", "x/good"]:
            raise AssertionError(f"shell scripts: {tree.shell_scripts()}")
        expect(lint.check_shell(tree, "x/good"), None)
        expect(lint.check_shell(tree, "x/bad"), "SC2086")


GOOD_C = HEAD + "int f(int a);\nint f(int a)\n{\n    return a;\n}\n"
BAD_C = HEAD + "int f(int a);\nint f(int a)\n{\n    int b[2] = {a, a};\n    return b[2];\n}\n"


def case_cppcheck():
    for text, finding in ((GOOD_C, None), (BAD_C, "out of bounds")):
        with tempfile.TemporaryDirectory() as root:
            expect(lint.check_cppcheck(write_tree(root, {"io/a.c": text})), finding)


def case_tidy():
    with tempfile.TemporaryDirectory() as root:
        tree = write_tree(root, {"io/good.c": GOOD_C, "sim/bad.c": BAD_C, "tests/other.c": BAD_C})
        here = os.path.dirname(os.path.abspath(__file__))
        shutil.copy(os.path.join(here, "..", "..", ".clang-tidy"), root)
        commands = [{"directory": root, "file": file, "command": f"gcc -Wlogical-op -c {file}"}
                    for file in ("io/good.c", "sim/bad.c", "tests/other.c")]
        with open(os.path.join(root, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump(commands, file)
        folder, compiled = lint.tidy_database(root)
        if lint.tidy_sources(tree, compiled) != ["io/good.c", "sim/bad.c"]:
            raise AssertionError(f"clang-tidy reads {lint.tidy_sources(tree, compiled)}")
        expect(lint.check_tidy(tree, folder, "io/good.c"), None)
        expect(lint.check_tidy(tree, folder, "sim/bad.c"), "clang-analyzer")


# ---- the run -------------------------------------------------------------------------------------


def cases():
    """(name, function) of each test case."""
    found = [("every rule is run and has a bad and a good case", case_coverage)]
    for rule, path, text, lines in CASES:
        expected = [f"{path}:{line}" for line in lines]
        found.append((f"{rule}: {', '.join(expected) or 'nothing in ' + path}",
                      lambda r=rule, f={path: text}, e=expected: case_rule(r, f, e)))
    for rule, files, expected in TREES:
        found.append((f"{rule}: over several folders",
                      lambda r=rule, f=files, e=expected: case_rule(r, f, e)))
    for compiler in ("gcc", "clang", "g++", "clang++"):
        found.append((f"headers alone: {compiler}", lambda c=compiler: case_header_alone(c)))
    found += [("headers alone: C++ keywords", case_header_cplusplus),
              ("symbols of sim/ in production", case_production),
              ("exports of a shared library", case_exports), ("shellcheck", case_shellcheck),
              ("cppcheck", case_cppcheck), ("clang-tidy", case_tidy)]
    return found


def main():
    failed = 0
    todo = cases()
    print(f"1..{len(todo)}")
    for number, (name, function) in enumerate(todo, 1):
        try:
            function()
            print(f"ok {number} - {name}")
        except lint.Skip as skip:
            print(f"ok {number} - {name} # SKIP {skip}")
        except AssertionError as error:
            failed += 1
            print(f"not ok {number} - {name}")
            print("# " + str(error).replace("\n", "\n# "))
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

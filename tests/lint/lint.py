#!/usr/bin/env python3
"""The house rules as a test: reads the source tree and prints TAP, one test case for each rule.

    python3 tests/lint/lint.py                                    the rules that need only the sources
    python3 tests/lint/lint.py --build DIR --production BINARY... --sim-library A
                               --shared-library SO...             the whole, as Meson runs it

A rule is a function from the tree to its findings, each "file:line: what is wrong and what to do".
The rules read C through a small scanner (class CFile) that blanks comments, strings and
preprocessor lines and keeps every byte in its line and column, so that a rule never trips over
a word in a comment. That is not a parser: it knows braces, parentheses and semicolons, which is
enough for code that a compiler has accepted. selftest.py proves that each rule fires.
"""

import argparse
import concurrent.futures
import functools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
OPENING_COMMENT_WORDS_MIN = 5

C_FOLDERS = ("io", "backends", "sim", "tools", "examples", "tests", "fuzz", "bench")
SKIPPED_FOLDERS = {".git", ".cache", "build", "__pycache__", "corpus"}
TEXT_SUFFIXES = (".c", ".h", ".py", ".sh", ".md", ".build", ".txt", ".yml", ".dict", ".replay")
TEXT_NAMES = {".gitignore", ".clang-format", ".clang-tidy", "LICENSE"}

# ---- the tree ------------------------------------------------------------------------------------


class TextFile:
    """One text file: its path from the root, its bytes as text, its lines."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8", errors="surrogateescape") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")

    def at(self, position, message):
        return f"{self.path}:{self.text.count(chr(10), 0, position) + 1}: {message}"


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


class CFile(TextFile):
    """A C source or header. `code` is `text` with comments, literals and directives blanked."""

    TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)

    def __init__(self, root, path):
        super().__init__(root, path)
        self.uncommented = self.TOKENS.sub(
            lambda m: blank(m) if m.group(0)[0] == "/" else m.group(0), self.text)
        literals = self.TOKENS.sub(blank, self.text)
        self.with_macros = literals
        self.code = self.DIRECTIVE.sub(blank, literals)

    def includes(self):
        """(line, form, name): form is '<' or '"'."""
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)', self.uncommented,
                                 re.M):
            line = self.text.count("\n", 0, match.start()) + 1
            yield line, match.group(1), match.group(2)

    @functools.cached_property
    def statements(self):
        """What stands outside of all braces: (start, end, text, closer). `closer` is ';', '{' (a
        body or an initialiser: `end` is its closing brace) or '' (the file ended inside it)."""
        found, start, position, code = [], 0, 0, self.code
        while position < len(code):
            character = code[position]
            if character == ";":
                found.append((start, position, code[start:position], ";"))
                start = position + 1
            elif character == "{" and not re.fullmatch(r"\s*extern\s*", code[start:position]):
                closing = matching_brace(code, position)
                found.append((start, closing, code[start:position], "{"))
                position = closing
                start = position + 1
            elif character in "{}":  # of extern "C"
                start = position + 1
            position += 1
        return [(skip_space(code, begin), end, text, closer) for begin, end, text, closer in found]

    @functools.cached_property
    def functions(self):
        """(name, first line, last line) of each function with a body."""
        found = []
        for start, end, text, closer in self.statements:
            name = closer == "{" and function_name(text)
            if name:
                lines = [self.code.count("\n", 0, at) + 1 for at in (start, end)]
                found.append((name, lines[0], lines[1]))
        return found


def matching_brace(code, position):
    depth = 0
    for match in re.finditer(r"[{}]", code[position:]):
        depth += 1 if match.group(0) == "{" else -1
        if depth == 0:
            return position + match.start()
    return len(code)


def skip_space(code, position):
    while position < len(code) and code[position].isspace():
        position += 1
    return position


def without_attributes(text):
    previous = None
    while previous != text:
        previous = text
        text = re.sub(r"\b(?:__attribute__|ORR_PRINTF|_Alignas|_Static_assert)\s*"
                      r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", " ", text)
    return text


def function_name(text):
    """The name that a declaration or a definition's head declares as a function, or None."""
    text = without_attributes(text)
    if "=" in text or re.match(r"\s*typedef\b", text):
        return None
    head = re.match(r"[^()]*?\b([A-Za-z_]\w*)\s*\(", text)
    if not head or head.group(1) in ("if", "while", "for", "switch", "sizeof"):
        return None
    return head.group(1) if text.rstrip().endswith(")") else None


def is_script(path):
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


class Tree:
    """The files under one root, without build directories and corpora."""

    def __init__(self, root):
        self.root = root
        paths = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
            relative = os.path.relpath(folder, root)
            paths += [os.path.normpath(os.path.join(relative, name)) for name in sorted(names)]
        self.paths = set(paths)
        self.texts = [TextFile(root, path) for path in paths
                      if path.endswith(TEXT_SUFFIXES) or os.path.basename(path) in TEXT_NAMES
                      or is_script(os.path.join(root, path))]
        self.c_files = [CFile(root, path) for path in paths
                        if path.endswith((".c", ".h")) and path.split("/")[0] in C_FOLDERS]

    def shell_scripts(self):
        return [file.path for file in self.texts if re.match(r"#!/bin/(ba)?sh\b", file.text)]

    def public_headers(self):
        return [file for file in self.c_files if re.match(r"(io|sim)/orrery/[^/]+\.h$", file.path)]


def within(path, *folders):
    return any(path.startswith(folder + "/") for folder in folders)


def production_main(path):
    return within(path, "examples") and os.path.basename(path).startswith("main")


# ---- rules: text ---------------------------------------------------------------------------------


def rule_columns(tree):
    """lines have at most 100 columns"""
    for file in tree.c_files:
        for number, line in enumerate(file.lines, 1):
            if len(line) > COLUMNS_MAX:
                yield f"{file.path}:{number}: {len(line)} columns, the most is {COLUMNS_MAX}"


def rule_white_space(tree):
    """no tabs, no trailing spaces, one newline at the end"""
    for file in tree.texts:
        for number, line in enumerate(file.lines, 1):
            if "\t" in line:
                yield f"{file.path}:{number}: a tab: use spaces"
            if line != line.rstrip():
                yield f"{file.path}:{number}: spaces at the end of the line"
        if file.text and (not file.text.endswith("\n") or file.text.endswith("\n\n")):
            yield f"{file.path}:{len(file.lines)}: the file must end with exactly one newline"


def rule_opening_comment(tree):
    """every .c and .h opens with a comment that says what it is"""
    for file in tree.c_files:
        match = re.match(r"\s*(?:/\*(.*?)\*/|((?://[^\n]*\n\s*)+))", file.text, re.S)
        words = re.findall(r"\w+", match.group(0)) if match else []
        if len(words) < OPENING_COMMENT_WORDS_MIN:
            yield f"{file.path}:1: no opening comment: say the file's purpose, model and invariants"


def rule_unfinished(tree):
    """no marks of unfinished work"""
    marks = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
    for file in tree.texts:
        for match in marks.finditer(file.text):
            yield file.at(match.start(), f"{match.group(0)}: finish it or leave it out")


def rule_leaks(tree):
    """no path of one machine, no word about how the text was made"""
    words = re.compile(r"(?<![\w.$}])/(?:work|root)/|\.\./shared/|\bagents?\b|\bsession id|"
                       r"\bissue #?\d", re.I)
    for file in tree.texts:
        if within(file.path, "tests/lint"):
            continue
        for match in words.finditer(file.text):
            yield file.at(match.start(), f"'{match.group(0)}' has no meaning for a reader")


# ---- rules: C ------------------------------------------------------------------------------------


def rule_function_length(tree):
    """functions have at most 70 lines"""
    for file in tree.c_files:
        if file.code.count("{") != file.code.count("}"):
            yield (f"{file.path}:1: braces do not match (does a brace stand in only one branch "
                   "of an #if?), so functions cannot be measured")
        for name, first, last in file.functions:
            if last - first + 1 > FUNCTION_LINES_MAX:
                yield (f"{file.path}:{first}: {name} has {last - first + 1} lines, "
                       f"the most is {FUNCTION_LINES_MAX}: split it")


BANNED = {
    "strcpy": "memcpy with a checked length", "strcat": "memcpy with a checked length",
    "sprintf": "snprintf", "vsprintf": "vsnprintf", "gets": "fgets", "strtok": "a parser",
    "atoi": "strtol, and check it", "atol": "strtol, and check it",
    "atoll": "strtoll, and check it", "atof": "integers", "alloca": "an array of fixed size",
}
NON_DETERMINISTIC = (
    "rand", "srand", "rand_r", "random", "srandom", "drand48", "arc4random", "getrandom",
    "getentropy", "time", "clock", "clock_gettime", "gettimeofday", "timespec_get", "getenv",
    "secure_getenv")


def calls(file, names):
    """Calls of the named functions, macro bodies too; members (state->random(...)) are others."""
    pattern = r"(?<![\w.>])(" + "|".join(names) + r")\s*\("
    for match in re.finditer(pattern, file.with_macros):
        before = file.with_macros[:match.start()].rstrip()
        if not before.endswith(("->", ".")):
            yield match.start(), match.group(1)


def rule_banned_calls(tree):
    """no call that overflows, hides errors or grows the stack"""
    for file in tree.c_files:
        for position, name in calls(file, BANNED):
            yield file.at(position, f"{name} is banned: use {BANNED[name]}")


def rule_determinism(tree):
    """no clock, no random source and no environment but where reality is the subject"""
    real = ("backends", "sim/campaign", "sim/fuzz", "sim/libc", "tools", "bench", "tests")
    for file in tree.c_files:
        if within(file.path, *real) or production_main(file.path):
            continue
        for position, name in calls(file, NON_DETERMINISTIC):
            yield file.at(position, f"{name} makes a run depend on the machine: use orr_now, "
                                    "orr_wall_clock, orr_random or a parameter")


def rule_floats(tree):
    """no floating point in io/ and sim/ (sim/campaign/ reports with it)"""
    number = r"(?<![\w.])(?:\d+\.\d*|\.\d+|\d+[eE][+-]?\d+)"
    pattern = re.compile(r"\b(?:float|double|_Complex)\b|" + number)
    for file in tree.c_files:
        if within(file.path, "io", "sim") and not within(file.path, "sim/campaign"):
            for match in pattern.finditer(file.with_macros):
                yield file.at(match.start(), f"'{match.group(0)}': integers only, floating point "
                                             "differs between machines and compilers")


LIBC = set("""
    assert.h ctype.h dirent.h dlfcn.h endian.h errno.h fcntl.h getopt.h inttypes.h limits.h netdb.h
    poll.h pthread.h sched.h setjmp.h signal.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h
    semaphore.h spawn.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h threads.h time.h unistd.h
    arpa/inet.h netinet/in.h netinet/tcp.h sys/file.h sys/ioctl.h sys/mman.h sys/param.h
    sys/random.h sys/resource.h sys/socket.h sys/stat.h sys/statvfs.h sys/time.h sys/types.h
    sys/uio.h sys/un.h sys/utsname.h sys/wait.h""".split())
KERNEL = {"liburing.h", "sys/epoll.h", "sys/event.h", "sys/eventfd.h", "sys/syscall.h",
          "linux/io_uring.h", "linux/stat.h", "linux/time_types.h"}
CAMPAIGN = {"jansson.h", "malloc.h", "sys/personality.h"}
INSIDES = {"link.h", "unwind.h", "sys/select.h"}

# What each folder may include: own folders and system headers; None = any.
MAY_INCLUDE = {
    "io": ({"io"}, LIBC),
    "backends": ({"io", "backends"}, LIBC | KERNEL),
    "sim/campaign": ({"io", "sim"}, LIBC | CAMPAIGN),
    "sim/libc": ({"io", "sim"}, LIBC | KERNEL | INSIDES),
    "sim": ({"io", "sim"}, LIBC),
    "tools": ({"io", "sim", "tools", "examples"}, None),
    "examples": ({"io/orrery", "sim/orrery", "examples"}, None),
    "tests": None,
    "fuzz": None,
    "bench": None,
}


def included_path(tree, file, form, name):
    """The path in the tree that an include means, or None: a system header."""
    folders = [os.path.dirname(file.path)] if form == '"' else []
    for folder in folders + ["io", "sim", ""]:
        path = os.path.normpath(os.path.join(folder, name))
        if path in tree.paths:
            return path
    return None


def rule_includes(tree):
    """a folder includes only what its place in the house allows"""
    for file in tree.c_files:
        folder = max((f for f in MAY_INCLUDE if within(file.path, f)), key=len)
        if MAY_INCLUDE[folder] is None:
            continue
        own, system = MAY_INCLUDE[folder]
        for line, form, name in file.includes():
            path = included_path(tree, file, form, name)
            if path is None and form == "<" and system is not None and name not in system:
                yield f"{file.path}:{line}: {folder}/ must not include <{name}>"
            elif path is not None and not within(path, *own):
                yield f"{file.path}:{line}: {folder}/ must not include {path}"
            elif (folder == "examples" and path and within(path, "sim")
                  and not re.search(r"scenario|workload", os.path.basename(file.path))):
                yield (f"{file.path}:{line}: only a scenario*.c or workload*.c includes {path}: "
                       "application code must not know the world")


def rule_header_comments(tree):
    """every function of a public header is documented"""
    for file in tree.public_headers():
        documented_line = -1  # the last line of a declaration that is documented
        for start, end, text, closer in file.statements:
            start = skip_space(file.code, start + opening_macros(file.code[start:end]))
            first, last = (file.text.count("\n", 0, at) for at in (start, end))
            above = file.lines[first - 1].strip() if first > 0 else ""
            beside = file.text[end:].split("\n", 1)[0]
            documented = (above.endswith("*/") or above.startswith("//") or "/*" in beside
                          or documented_line == first - 1)
            if documented:
                documented_line = last
            elif closer == ";" and function_name(text):
                yield (f"{file.path}:{first + 1}: {function_name(text)} has no comment above it: "
                       "what, units, who owns what until when, which errors")


def opening_macros(text):
    """The length of macros on lines of their own (ORR_BEGIN) before a declaration."""
    match = re.match(r"(?:\s*[A-Z][A-Z0-9_]*[ \t]*\n)*", text)
    return match.end()


# ---- rules: compilers and tools --------------------------------------------------------------------


class Skip(Exception):
    """Raised by a rule that cannot be checked here; the text says why."""


def run(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)


def need(tool):
    if not shutil.which(tool):
        raise Skip(f"{tool} is not installed")


def check_header_alone(tree, header, compiler):
    """Compiles a header twice in one empty file: it is complete and guarded."""
    need(compiler)
    name = re.sub(r"^(io|sim)/", "", header.path)
    cplusplus = compiler.endswith("++")
    options = ["-x", "c++", "-std=c++11"] if cplusplus else ["-x", "c", "-std=c11", "-Wpedantic"]
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "alone")
        with open(source, "w", encoding="utf-8") as file:
            file.write(f"#include <{name}>\n#include <{name}>\n")
            file.write("int main(void);\n")
        result = run([compiler, *options, "-Wall", "-Wextra", "-Wundef", "-Werror", "-fsyntax-only",
                      "-I", os.path.join(tree.root, "io"), "-I", os.path.join(tree.root, "sim"),
                      source])
    if result.returncode != 0:
        yield f"{header.path}:1: does not compile alone with {compiler}"
        yield from result.stdout.splitlines()[:20]


def symbols(path, *options):
    """(name, kind) of the symbols that a file defines, as nm prints them."""
    result = run(["nm", "--defined-only", *options, path])
    if result.returncode != 0:
        raise RuntimeError(f"nm {path}: {result.stdout.strip()}")
    return [(fields[2], fields[1]) for fields in map(str.split, result.stdout.splitlines())
            if len(fields) == 3]


def check_production(binary, sim_library):
    """A production binary holds no symbol that sim/ defines for others."""
    need("nm")
    world = {name for name, kind in symbols(sim_library) if kind.isupper()}
    held = {name for name, _ in symbols(binary)}
    if not any(name.startswith("orr_") for name in held):
        yield f"{binary}: no orr_ symbol: stripped, so that nothing can be said about it"
    for name in sorted(held & world):
        yield f"{binary}: holds {name} of sim/: production must not link the world"


def check_exports(tree, library):
    """A shared library exports what the public headers declare for it, under our prefix only; the
    world's also the functions of the C library that it defines anew. A header may declare what a
    compiler's runtime defines, whose names begin with two underscores."""
    need("nm")
    folder = "sim" if "sim" in os.path.basename(library) else "io"
    exported = {name for name, kind in symbols(library, "-D") if kind not in "Aa"}
    declared = {function_name(text) for file in tree.public_headers() if within(file.path, folder)
                for _, _, text, closer in file.statements if closer == ";"} - {None}
    declared = {name for name in declared if not name.startswith("__")}
    for name in sorted(declared - exported):
        yield f"{library}: does not export {name}, which a public header declares (ORR_API?)"
    anew = {name for file in tree.c_files if folder == "sim" and within(file.path, "sim/libc")
            for name, _, _ in file.functions}
    for name in sorted(exported - anew):
        if not re.match(r"orr_(?!_)", name):
            yield f"{library}: exports {name}: only orr_ names are public"


def check_shell(tree, path):
    need("shellcheck")
    result = run(["shellcheck", "--severity=style", "--external-sources", "--source-path", tree.root,
                  os.path.join(tree.root, path)])
    if result.returncode != 0:
        yield from result.stdout.splitlines()


# cppcheck judges one file at a time, so what it says about whole programs is not asked for, and it
# reads no system header. __GNUC__ tells it which functions do not return. The suppressions:
#   missingIncludeSystem     it is told not to read them
#   unusedStructMember       public structs have members for their users
#   constParameter*          callbacks have the type that the interface gives them
CPPCHECK = ["cppcheck", "--quiet", "--std=c11", "--enable=warning,performance,portability",
            "--inline-suppr", "--error-exitcode=9", "--template=gcc", "-j2", "-D__GNUC__=12",
            "--suppress=missingIncludeSystem", "--suppress=unusedStructMember",
            "--suppress=constParameter", "--suppress=constParameterPointer",
            "--suppress=constParameterCallback"]


def check_cppcheck(tree):
    """cppcheck has nothing to say about io/, backends/ and sim/"""
    need("cppcheck")
    sources = [file.path for file in tree.c_files
               if within(file.path, "io", "backends", "sim") and file.path.endswith(".c")]
    if not sources:
        raise Skip("no sources")
    result = subprocess.run(CPPCHECK + ["-I", "io", "-I", "sim"] + sources, cwd=tree.root,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        yield from result.stdout.splitlines()


def tidy_database(build):
    """A folder with one command a source, the first: clang-tidy 14 invents findings in the second."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    first = {}
    for entry in entries:
        first.setdefault(os.path.realpath(os.path.join(entry["directory"], entry["file"])), entry)
    folder = os.path.join(build, "tidy")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(list(first.values()), file)
    return folder, set(first)


def tidy_sources(tree, compiled):
    """The sources of the core that the build directory compiles."""
    return [file.path for file in tree.c_files if within(file.path, "io", "backends", "sim")
            and os.path.realpath(os.path.join(tree.root, file.path)) in compiled]


def check_tidy(tree, build, path):
    """Gives clang-tidy one source; gcc's own warning flags mean nothing to it."""
    need("clang-tidy")
    result = run(["clang-tidy", "--quiet", "-p", build, "--warnings-as-errors=*",
                  "--extra-arg=-Wno-unknown-warning-option", os.path.join(tree.root, path)])
    if result.returncode != 0:
        yield from without_notes(result.stdout.splitlines())


def without_notes(lines):
    """What clang-tidy found, without the path that the analyzer took to it."""
    kept = False
    for line in lines:
        if re.search(r": (?:error|warning|note): ", line):
            kept = ": note: " not in line
        if kept:
            yield line


# ---- the run -------------------------------------------------------------------------------------

RULES = [rule_columns, rule_white_space, rule_opening_comment, rule_unfinished, rule_leaks,
         rule_function_length, rule_banned_calls, rule_determinism, rule_floats, rule_includes,
         rule_header_comments]


def cases(tree, options):
    """(name, function that yields findings) of every test case."""
    found = [(rule.__doc__, functools.partial(rule, tree)) for rule in RULES]
    for header in tree.public_headers():
        for compiler in ("gcc", "clang", "g++", "clang++"):
            found.append((f"{header.path} compiles alone with {compiler}",
                          functools.partial(check_header_alone, tree, header, compiler)))
    for binary in options.production:
        found.append((f"{os.path.basename(binary)} holds no symbol of sim/",
                      functools.partial(check_production, binary, options.sim_library)))
    for library in options.shared_library:
        found.append((f"{os.path.basename(library)} exports the public interface and no more",
                      functools.partial(check_exports, tree, library)))
    for path in tree.shell_scripts():
        found.append((f"shellcheck {path}", functools.partial(check_shell, tree, path)))
    found.append((check_cppcheck.__doc__, functools.partial(check_cppcheck, tree)))
    if options.build:
        folder, compiled = tidy_database(options.build)
        for path in tidy_sources(tree, compiled):
            found.append((f"clang-tidy {path}",
                          functools.partial(check_tidy, tree, folder, path)))
    return found


def measure(tree):
    """How long functions are, as a report: only the maximum is a rule."""
    for folder in C_FOLDERS:
        lengths = sorted(last - first + 1 for file in tree.c_files if within(file.path, folder)
                         for _, first, last in file.functions)
        if lengths:
            yield (f"{folder}/: {len(lengths)} functions, lines: "
                   f"median {statistics.median(lengths):g}, "
                   f"p90 {lengths[(len(lengths) - 1) * 9 // 10]}, max {lengths[-1]}")


def judge(function):
    """(findings, reason to skip or None)."""
    try:
        return list(function()), None
    except Skip as skip:
        return [], str(skip)


def report(number, name, findings, skipped):
    directive = f" # SKIP {skipped}" if skipped else ""
    print(f"{'not ok' if findings else 'ok'} {number} - {name}{directive}")
    for finding in findings:
        print("# " + finding.replace("\n", "\n# "))
    sys.stdout.flush()


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="Checks the house rules, prints TAP.")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)),
                        help="the source tree (default: the one that holds this file)")
    parser.add_argument("--build", help="a configured build directory, for clang-tidy")
    parser.add_argument("--production", nargs="*", default=[], metavar="BINARY",
                        help="binaries that must hold no symbol of sim/ (needs --sim-library)")
    parser.add_argument("--sim-library", help="the static library of sim/")
    parser.add_argument("--shared-library", nargs="*", default=[], metavar="SO",
                        help="shared libraries whose exports to check")
    options = parser.parse_args()
    if options.production and not options.sim_library:
        parser.error("--production needs --sim-library, to know which symbols are the world's")

    tree = Tree(options.root)
    todo = cases(tree, options)
    print(f"1..{len(todo)}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        judged = pool.map(judge, [function for _, function in todo])
        for number, ((name, _), (findings, skipped)) in enumerate(zip(todo, judged), 1):
            report(number, name, findings, skipped)
            failed += bool(findings)
    for line in measure(tree):
        print("# " + line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Deletes the world's rules one at a time and looks whether some test or planted bug notices.

Each rule of rules.toml is an edit of one file. In a copy of the tree it is made, what depends on it is built, and the
tests that should notice run until one does. A rule that nothing notices is unproven: either a test is missing, or the
rule is. Nothing in the tree itself is touched.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = pathlib.Path(__file__).with_name("rules.toml")
SETUP = ["--buildtype=debugoptimized", "-Dtests=enabled", "-Dexamples=enabled", "-Dfuzz=disabled",
         "-Dbench=disabled"]
TEST_SECONDS = 900
BUG_SEEDS = 3000  # a planted bug is found within far fewer


class Rule(typing.NamedTuple):
    name: str
    file: str
    old: str
    new: str
    proof: list[str]


class Failure(Exception):
    """The rules or the build are wrong: no verdict."""


def read_rules(wanted):
    with open(RULES, "rb") as file:
        rules = [Rule(**entry) for entry in tomllib.load(file)["rule"]]
    for rule in rules:
        count = (ROOT / rule.file).read_text(encoding="utf-8").count(rule.old)
        if count != 1:
            raise Failure(f"rule '{rule.name}': its text is {count} times in {rule.file}, not once: mend rules.toml")
    return [rule for rule in rules if wanted is None or wanted in rule.name]


def run(command, tree, seconds=TEST_SECONDS):
    """The exit status and the output; a command that takes too long has failed."""
    try:
        done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return -1, "takes too long"
    return done.returncode, done.stdout


class Tree:
    """A copy of the tree with a build directory of its own."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        for name in filter(None, names.stdout.split("\0")):
            if (ROOT / name).is_file():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.path / name)
        self.build = self.path / "build" / "mutate"
        self.must(["meson", "setup", str(self.build), *SETUP])
        self.must(["ninja", "-C", str(self.build)])

    def must(self, command):
        status, output = run(command, self.path)
        if status != 0:
            raise Failure(f"{' '.join(command)} ended with status {status}:\n{output[-2000:]}")

    def notices(self, proof):
        """True if the test fails, or the planted bug is not found any more."""
        if proof.startswith("bug "):
            _, scenario, bug = proof.split()
            status, _ = run([str(self.build / "orrery"), "run", scenario, f"bug={bug}", "--seeds", str(BUG_SEEDS)],
                            self.path)
            return status == 0
        status, _ = run(["meson", "test", "-C", str(self.build), "--no-rebuild", proof], self.path)
        return status != 0

    def verdict(self, rule):
        """What noticed that the rule is gone, or None."""
        file = self.path / rule.file
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(rule.old, rule.new), encoding="utf-8")
        try:
            status, output = run(["ninja", "-C", str(self.build)], self.path)
            if status != 0:
                raise Failure(f"rule '{rule.name}': without it the tree does not compile:\n{output[-2000:]}")
            return next((proof for proof in rule.proof if self.notices(proof)), None)
        finally:
            file.write_text(text, encoding="utf-8")

    def check_proofs(self, rules):
        """With all rules in place every proof must hold, or it would prove anything."""
        self.must(["ninja", "-C", str(self.build)])
        for proof in sorted({proof for rule in rules for proof in rule.proof}):
            if self.notices(proof):
                raise Failure(f"'{proof}' fails with all rules in place: it can prove nothing")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("rule", nargs="?", help="only rules whose name has this in it, such as 'partition'")
    options = parser.parse_args()
    try:
        rules = read_rules(options.rule)
        if not rules:
            raise Failure(f"no rule has '{options.rule}' in its name")
        with tempfile.TemporaryDirectory(prefix="orrery-mutate-") as path:
            print(f"building, and running {len({p for r in rules for p in r.proof})} proofs with all rules in place",
                  flush=True)
            tree = Tree(path)
            tree.check_proofs(rules)
            unproven = 0
            width = max(len(rule.name) for rule in rules)
            for rule in rules:
                proof = tree.verdict(rule)
                unproven += proof is None
                print(f"{rule.name:<{width}}  {proof or 'UNPROVEN'}", flush=True)
    except Failure as failure:
        print(f"mutate: {failure}", file=sys.stderr)
        return 2
    print(f"{len(rules)} rules, {unproven} unproven")
    return 0 if unproven == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

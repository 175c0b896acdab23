#!/usr/bin/env python3
"""Deletes the world's rules one at a time and looks whether some test or planted bug notices.

Each rule of rules.toml is an edit of one file. In a copy of the tree it is made, what depends on it is built, and the
tests that should notice run until one does. A rule that nothing notices is unproven: either a test is missing, or the
rule is. Nothing in the tree itself is touched.
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import queue
import re
import sys
import tempfile
import tomllib
import typing

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from tree import ROOT, Failure, Tree, run

RULES = pathlib.Path(__file__).with_name("rules.toml")
KINDS = ROOT / "sim" / "internal.h"  # of faults
SETUP = ["--buildtype=debugoptimized", "-Dtests=enabled", "-Dexamples=enabled", "-Dfuzz=disabled",
         "-Dbench=disabled"]
JOBS_MAX = 16
BUG_SEEDS = 3000  # a planted bug is found within far fewer


class Rule(typing.NamedTuple):
    name: str
    file: str
    old: str
    new: str
    proof: list[str]
    faults: tuple[str, ...] = ()


def check_faults(rules):
    """Each kind of fault has a rule: one that is added without a test is noticed here."""
    kinds = set(re.findall(r"^\s+ORR__FAULT_(?!KIND_COUNT)(\w+),", KINDS.read_text(encoding="utf-8"), re.MULTILINE))
    named = {fault for rule in rules for fault in rule.faults}
    if named - kinds:
        raise Failure(f"rules.toml names faults that do not exist: {', '.join(sorted(named - kinds))}")
    if kinds - named:
        raise Failure(f"no rule of rules.toml deletes these faults: {', '.join(sorted(kinds - named))}: add one each")


def read_rules(wanted):
    with open(RULES, "rb") as file:
        rules = [Rule(**entry) for entry in tomllib.load(file)["rule"]]
    for rule in rules:
        count = (ROOT / rule.file).read_text(encoding="utf-8").count(rule.old)
        if count != 1:
            raise Failure(f"rule '{rule.name}': its text is {count} times in {rule.file}, not once: mend rules.toml")
    check_faults(rules)
    return [rule for rule in rules if wanted is None or wanted in rule.name]


class MutableTree(Tree):
    """A copy of the tree in which rules can be deleted."""

    def __init__(self, path):
        super().__init__(path, SETUP)

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
        edits = [{"file": rule.file, "old": rule.old, "new": rule.new}]
        with self.edited(edits, f"rule '{rule.name}'"):
            return next((proof for proof in rule.proof if self.notices(proof)), None)

    def check_proofs(self, rules):
        """With all rules in place every proof must hold, or it would prove anything."""
        self.make()
        for proof in sorted({proof for rule in rules for proof in rule.proof}):
            if self.notices(proof):
                raise Failure(f"'{proof}' fails with all rules in place: it can prove nothing")


def positive(text):
    number = int(text)
    if not 1 <= number <= JOBS_MAX:
        raise argparse.ArgumentTypeError(f"{text}: from 1 to {JOBS_MAX}")
    return number


def verdicts(trees, rules):
    """Each rule with what noticed that it is gone, in order; as many at a time as there are trees."""
    free = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def judge(rule):
        tree = free.get()
        try:
            return tree.verdict(rule)
        finally:
            free.put(tree)

    with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
        results = [pool.submit(judge, rule) for rule in rules]
        try:
            for rule, result in zip(rules, results):
                yield rule, result.result()
        finally:
            pool.shutdown(cancel_futures=True)


def judge_all(rules, jobs):
    """Prints the table; returns how many rules nothing notices."""
    proofs = len({proof for rule in rules for proof in rule.proof})
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(tempfile.TemporaryDirectory(prefix="orrery-mutate-")) for _ in range(jobs)]
        print(f"building {jobs} trees, and running {proofs} proofs with all rules in place", flush=True)
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            trees = list(pool.map(MutableTree, paths))
        trees[0].check_proofs(rules)
        unproven = 0
        width = max(len(rule.name) for rule in rules)
        for rule, proof in verdicts(trees, rules):
            unproven += proof is None
            print(f"{rule.name:<{width}}  {proof or 'UNPROVEN'}", flush=True)
    return unproven


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("rule", nargs="?", help="only rules whose name has this in it, such as 'partition'")
    parser.add_argument("--jobs", type=positive, default=min(os.cpu_count() or 1, JOBS_MAX), metavar="J",
                        help=f"rules that are deleted at the same time, each in its own copy of the tree, 1 to {JOBS_MAX}"
                             " (default: the processors)")
    options = parser.parse_args()
    try:
        rules = read_rules(options.rule)
        if not rules:
            raise Failure(f"no rule has '{options.rule}' in its name")
        unproven = judge_all(rules, min(options.jobs, len(rules)))
    except Failure as failure:
        print(f"mutate: {failure}", file=sys.stderr)
        return 2
    print(f"{len(rules)} rules, {unproven} unproven")
    return 0 if unproven == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

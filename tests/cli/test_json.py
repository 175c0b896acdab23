#!/usr/bin/env python3
"""test_json.py PROGRAM SOURCE-ROOT [few]: what `run --json` writes is what docs/ says, and shards of
a campaign, merged, are the campaign. PROGRAM is cli-scenarios, whose scenarios fail in many ways.
With `few` (under a sanitizer) those that need hundreds of seeds are left out. Prints TAP."""

import copy
import itertools
import json
import os
import random
import re
import select
import subprocess
import sys
import tempfile
import traceback

from schema import Schema, members

PROGRAM, ROOT = sys.argv[1:3]
FEW = sys.argv[3:] == ["few"]
MIXED = ["mixed", "--seeds", "16", "--failures", "0"] # a crash takes a sanitizer its time
CAMPAIGN = ["some", "--seeds", "26", "--failures", "0"]
TIMES = ("seconds", "rates", "jobs")
PATIENCE_S = 60


def program(*arguments, stdin=None):
    """Runs it. Many short seeds: under a sanitizer, each process would look for leaks."""
    environment = dict(os.environ)
    environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return subprocess.run([PROGRAM, *arguments], env=environment, stdin=stdin, text=True,
                          capture_output=True, check=False, errors="replace")


def lines(*arguments):
    done = program(*arguments)
    assert done.stderr == "", done.stderr
    assert done.returncode in (0, 1), done.returncode
    return [json.loads(line) for line in done.stdout.splitlines()]


class Files:
    """A directory for the outputs of shards."""

    def __init__(self, folder):
        self.folder = folder
        self.names = itertools.count()

    def write(self, text):
        path = os.path.join(self.folder, f"{next(self.names)}.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def shards(self, campaign, count):
        """The outputs of all shards of a campaign, as files."""
        return [self.write(program("run", *campaign, "--json", "--shard",
                                   f"{index}/{count}").stdout)
                for index in range(1, count + 1)]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def without_times(objects):
    """All that is the same in every run: not times, nor the process numbers in reports."""
    objects = copy.deepcopy(objects)
    for name in TIMES:
        del objects[-1][name]
    for line in objects:
        if line.get("cause") == "sanitizer":
            del line["output"]
    return objects


def equal(one, other):
    assert one == other, "\n".join(
        [f"- {a}\n+ {b}" for a, b in itertools.zip_longest(one, other) if a != b])


# ---- the schema ----------------------------------------------------------------------------------


def load_schema():
    with open(os.path.join(ROOT, "docs/run.schema.json"), encoding="utf-8") as file:
        return json.load(file)


def test_schema_fits(files):
    """every line fits the schema"""
    schema = Schema(load_schema())
    shards = files.shards(CAMPAIGN, 2)
    for arguments in (
            ["run", *MIXED, "--json=all"], ["run", *CAMPAIGN, "--json"],
            ["run", "fails", "--json"], ["run", "never", "--seeds", "3", "--json=all"],
            ["run", "floods", "--json"], ["run", "choosy", "bug=one-off", "--json"],
            ["run", "hangs", "--timeout", "100ms", "--json"], ["run", "aborts", "--json"],
            ["run", "clean", "--time", "10ms", "--json"],
            ["run", "fails", "--seed", "0xffffffffffffffff", "--json"],
            ["run", "clean", "--seeds", "2", "--shard", "3/3", "--json"],
            ["merge", "--json=all", *shards]):
        for line in lines(*arguments):
            errors = schema.errors(line)
            assert not errors, (arguments, errors)
    for path in shards:
        assert not schema.errors(json.loads(read(path).splitlines()[-1]))


def test_schema_refuses(_files):
    """the schema refuses a line without a member, with another one, or with one of another type"""
    schema = Schema(load_schema())
    samples = lines("run", *CAMPAIGN, "--json=all")
    for sample in (samples[0], samples[1], samples[-1]):
        assert not schema.errors(sample)
        for name in sample:
            less = {key: value for key, value in sample.items() if key != name}
            assert schema.errors(less), f"without {name}"
            assert schema.errors({**sample, name: None}), f"{name}: null"
            other = "text" if not isinstance(sample[name], str) else 3
            assert schema.errors({**sample, name: other}), f"{name}: {other}"
        assert schema.errors({**sample, "more": 1}), "more"


def test_documentation(_files):
    """docs/orrery.md names every member"""
    text = read(os.path.join(ROOT, "docs/orrery.md"))
    text = text[text.index("## JSON"):]
    missing = [name for name in members(load_schema()) if f"`{name}`" not in text]
    assert not missing, missing


# ---- what is in the lines ------------------------------------------------------------------------


def test_all_seeds(_files):
    """--json=all has a line for every seed, and changes neither those of failures nor the summary"""
    every = lines("run", *CAMPAIGN, "--json=all", "--jobs", "3")
    failing = lines("run", *CAMPAIGN, "--json")
    equal([line["seed"] for line in every[:-1]], list(range(1, 27)))
    equal(without_times([line for line in every if line.get("failed", True)]),
          without_times(failing))
    many = lines("run", "clean", "--seeds", "200", "--json=all")
    equal([line["seed"] for line in many[:-1]], list(range(1, 201)))


def count_groups(seeds):
    groups = {}
    for line in seeds:
        if line["failed"]:
            group = groups.setdefault((line["cause"], line["group"]), {
                "seed": line["seed"], "cause": line["cause"], "group": line["group"],
                "failures": 0, "replay": line["replay"]})
            group["failures"] += 1
    return list(groups.values())


def count_pairs(seeds, families):
    struck = [name for name in families if any(name in line["faults_by_family"] for line in seeds)]
    pairs = {}
    for one, other in itertools.combinations(struck, 2):
        pairs.setdefault(one, {})[other] = sum(
            one in line["faults_by_family"] and other in line["faults_by_family"]
            for line in seeds)
    return pairs


def test_sums(_files):
    """the summary is the sum of the seeds"""
    *seeds, summary = lines("run", "some", "--seeds", "120", "--failures", "0", "--json=all")
    assert summary["seeds"] == len(seeds) == 120
    assert summary["failures"] == sum(line["failed"] for line in seeds) > 0
    for name in ("events", "completions", "simulated_ns"):
        assert summary[name] == sum(line[name] for line in seeds) > 0
    for family, faults in summary["faults"].items():
        assert faults == sum(line["faults_by_family"].get(family, 0) for line in seeds)
        assert summary["fault_seeds"][family] == sum(
            family in line["faults_by_family"] for line in seeds)
    assert sum(summary["faults"].values()) == sum(line["faults"] for line in seeds) > 0
    assert summary["fault_pairs"] == count_pairs(seeds, summary["faults"])
    assert any(count for others in summary["fault_pairs"].values() for count in others.values())
    assert summary["sometimes"] == {
        "the draw is 1": sum(line["sometimes"]["the draw is 1"] for line in seeds)}
    assert summary["groups"] == count_groups(seeds)


def test_groups(_files):
    """failures are grouped by cause and place"""
    *seeds, summary = lines("run", *MIXED, "--json")
    equal(summary["groups"], count_groups(seeds))
    equal([(group["seed"], group["failures"]) for group in summary["groups"]],
          [(1, 2), (2, 4), (4, 2), (5, 2), (6, 2)])
    causes = [group["cause"] for group in summary["groups"]]
    equal(causes[:2] + causes[4:], ["check", "check", "exit"])
    assert causes[2] == causes[3] in ("crash", "sanitizer"), causes
    assert summary["groups"][2]["group"] != summary["groups"][3]["group"]
    assert summary["ungrouped"] == 0


def test_pairs(_files):
    """the report for eyes counts the pairs of families, and names the few that never met"""
    named = 0
    for seeds in ("30", "80", "250"):
        campaign = ["some", "--seeds", seeds, "--failures", "0"]
        counts = [(one, other, count) for one, others in
                  lines("run", *campaign, "--json")[-1]["fault_pairs"].items()
                  for other, count in others.items()]
        never = [f"{one} with {other}" for one, other, count in counts if count == 0]
        text = program("run", *campaign).stdout
        assert (f" fault families struck, {len(counts) - len(never)} of {len(counts)} pairs of "
                "them in one seed\n") in text, text
        found = re.search(r"^    never: (.*(?:,\n    .*)*)$", text, re.M)
        told = found.group(1).replace("\n    ", " ").split(", ") if found else []
        if len(never) <= 6:
            equal([item for item in told if " with " in item], never)
            named += len(never)
    assert named > 0


def test_told_in_time(_files):
    """seeds that passed are told while one that takes long holds up the end"""
    with subprocess.Popen([PROGRAM, "run", "one_late", "ms=9000000", "--timeout", "0", "--seeds",
                           "0..2", "--jobs", "1", "--json=all"], stdout=subprocess.PIPE) as process:
        told = b""
        while told.count(b"\n") < 2 and select.select([process.stdout], [], [], PATIENCE_S)[0]:
            told += os.read(process.stdout.fileno(), 65536)
        process.terminate()
    equal([json.loads(line)["seed"] for line in told.splitlines()], [0, 1])


# ---- merge ---------------------------------------------------------------------------------------

# Seeds 2, 4, 7, 13, 28 and 31 of "some" fail, and 18446744073709551585.
MERGED = (
    CAMPAIGN,
    ["mixed", "--seeds", "3..4", "--failures", "0"],
    ["some", "--seeds", "40"],
    ["some", "--seeds", "3..40", "--failures", "3"],
    ["some", "--seeds", "2..15", "--failures", "4"],
    ["some", "--seeds", "2..13", "--failures", "4"],
    ["some", "--seeds", "18446744073709551580..18446744073709551615", "--failures", "0"],
    ["never", "--seeds", "2"],
    ["choosy", "size=9", "bug=one-off", "--seeds", "4", "--failures", "0", "--timeout", "20s"],
)


def test_merge_json(files):
    """merged shards are the campaign, but for the times"""
    for campaign in MERGED:
        whole = lines("run", *campaign, "--json")
        every = lines("run", *campaign, "--json=all")
        for count in (1, 2, 3, 7) if campaign is CAMPAIGN else (3,):
            shards = files.shards(campaign, count)
            if count == 1:
                shards = [files.write(program("run", *campaign, "--json=all").stdout)]
            shards.reverse()
            equal(without_times(lines("merge", "--json", *shards)), without_times(whole))
            equal(without_times(lines("merge", "--json=all", *shards)), without_times(every))


def text_without_times(*arguments):
    text = program(*arguments).stdout
    if "Sanitizer" in text:
        text = re.sub(r"^  \| .*$", "", text, flags=re.M)
    text = re.sub(r" failed, in .*", " failed", text)
    return re.sub(r"^.* x real time\)$", "", text, flags=re.M).splitlines()


def test_merge_text(files):
    """the report for eyes is that of the campaign, too, with its exit status"""
    for campaign in MERGED:
        shards = files.shards(campaign, 3)
        equal(text_without_times("merge", *shards), text_without_times("run", *campaign))
        assert program("merge", *shards).returncode == program("run", *campaign).returncode


def test_merge_pipe(files):
    """a pipe is read like a file"""
    one, two = files.shards(CAMPAIGN, 2)
    with subprocess.Popen(["cat", one], stdout=subprocess.PIPE) as cat:
        done = program("merge", "--json", two, "/dev/stdin", stdin=cat.stdout)
    equal(without_times([json.loads(line) for line in done.stdout.splitlines()]),
          without_times(lines("merge", "--json", one, two)))


def test_merge_times(files):
    """the times are those of the shard that took longest; --time ends shards where it will"""
    campaign = ["clean", "--time", "40ms"]
    shards = files.shards(campaign, 2)
    ends = [json.loads(read(path).splitlines()[-1]) for path in shards]
    summary = lines("merge", "--json", *shards)[-1]
    assert abs(summary["seconds"] - max(end["seconds"] for end in ends)) < 1e-6
    assert summary["jobs"] == max(end["jobs"] for end in ends)
    assert summary["seeds"] == sum(end["seeds"] for end in ends) > 0
    assert summary["stopped"] == "time"


def replaced(path, files, old, new):
    text = read(path)
    assert old in text, old
    return files.write(text.replace(old, new))


def without_line(path, files, number):
    kept = read(path).splitlines(keepends=True)
    del kept[number - 1]
    return files.write("".join(kept))


def test_merge_refuses(files):
    """what makes no campaign is refused, with the file and the line, and nothing is told"""
    one, two = files.shards(CAMPAIGN, 2)
    three = files.shards(CAMPAIGN, 3)
    text = read(one)
    last = len(text.splitlines())
    named = files.shards(["choosy", "--seeds", "4"], 2)
    other = files.shards(["choosy", "size=4", "--seeds", "4"], 2)
    plain = files.write(program("run", *CAMPAIGN, "--json").stdout)
    calm = files.write(program("run", "clean", "--seeds", "3", "--json").stdout)
    cases = [
        ([one], None, "shard 2/2 is missing: its output is in none of the 1 file"),
        ([one, two, one], (one, last), f"shard 1/2 is in {one} already"),
        ([one, three[1]], (three[1], None), f"this is shard 2 of 3, and {one} is one of 2"),
        ([named[0], other[1]], (other[1], None),
         '"parameters" is {"bug": "none", "size": "4"}, and {"bug": "none", "size": "3"} in '),
        ([one, named[1]], (named[1], None), '"scenario" is "choosy", and "some" in '),
        ([one, files.shards([*CAMPAIGN[:2], "27", *CAMPAIGN[3:]], 2)[1]], "*",
         '"range" is "1..27", and "1..26" in '),
        ([one, files.shards([*CAMPAIGN[:3], "--failures", "90"], 2)[1]], "*",
         '"failures_max" is 90, and 0 in '),
        ([one, files.shards([*CAMPAIGN, "--timeout", "9s"], 2)[1]], "*",
         '"timeout_ns" is 9000000000, and 30000000000 in '),
        ([one, replaced(two, files, '"version": "', '"version": "9')], "*", '"version" is "9'),
        ([one, replaced(two, files, '"schema": 1,', '"schema": 2,')], "*",
         "this was written by another version of orrery (schema 2, not 1)"),
        ([plain], (plain, 1), "seed 2 stands where seed 1 belongs: one line for each seed is "
                              "needed, as --json=all and --shard write them"),
        ([calm], (calm, 1), "the summary counts 3 seeds, 0 failed, and the lines before it 0 and "
                            "0: one line for each seed is needed"),
        ([files.write(text[:-2])], (None, last), "the file is cut off: its last line has no end"),
        ([files.write(text[:text.rindex("{\"summary\"")])], (None, last - 1),
         "the file is cut off: its last line is no summary"),
        ([files.write("")], None, "the file is empty"),
        ([files.write("hello\n")], (None, 1), "no JSON in column "),
        ([files.write("[1]\n")], (None, 1), "no object"),
        (["/nowhere/1.json"], None, "/nowhere/1.json: cannot read it: No such file or directory"),
        (["/"], None, "/: cannot read it: Is a directory"),
        ([without_line(one, files, 3), two], (None, 3), "seed 7 stands where seed 5 belongs"),
        ([without_line(one, files, last - 1), two], (None, last - 1),
         "the summary counts 13 seeds, "),
        ([replaced(one, files, '"stopped": "end"', '"stopped": "signal"'), two], (None, last),
         "the campaign was ended by a signal: run it again"),
        ([replaced(one, files, '"stopped": "end"', '"stopped": "error"'), two], (None, last),
         "the campaign was ended by an error: run it again"),
        ([replaced(one, files, '"seed": 9,', '"seed": 9 9,'), two], (None, 5), "no JSON in column"),
        ([replaced(one, files, '"cause": "check"', '"cause": "luck"'), two], "*",
         'there is no cause "luck"'),
        ([replaced(one, files, '"faults_by_family": {', '"faults_by_family": {"tides": 1, '), two],
         "*", 'fault family'),
        ([replaced(one, files, '"trace_hash": "', '"trace_hash": "g'), two], "*", "trace_hash"),
        ([replaced(one, files, '"completions"', '"completion"'), two], "*",
         'there is no number "completions"'),
    ]
    for paths, place, says in cases:
        done = program("merge", *paths)
        where = ""
        if isinstance(place, tuple):
            number = place[1] or len(read(place[0]).splitlines())
            where = f"{place[0] or paths[0]}:{number}: "
        assert done.returncode == 2 and done.stdout == "", (says, done.stdout)
        assert done.stderr.count("\n") == 1, done.stderr
        assert where in done.stderr and says in done.stderr, (where, says, done.stderr)
        assert place != "*" or re.search(r"\.json:\d+: ", done.stderr), done.stderr


def test_merge_damage(files):
    """a damaged file is refused or harmless, and never the end of the program"""
    one, two = files.shards(["some", "--seeds", "12", "--failures", "0"], 2)
    text = read(one)
    draw = random.Random(1)
    statuses = set()
    for _ in range(60):
        at = draw.randrange(len(text))
        damaged = draw.choice([
            text[:at], text[:at] + draw.choice('{}[]",:0x\0\n') + text[at + 1:],
            text[:at] + text[at + draw.randrange(1, 40):]])
        done = program("merge", "--json", files.write(damaged), two)
        assert done.returncode in (0, 1, 2), (done.returncode, done.stderr, damaged)
        assert (done.returncode == 2) == (done.stdout == ""), done.stderr
        statuses.add(done.returncode)
    assert statuses == {1, 2}


# ---- main ----------------------------------------------------------------------------------------


def main():
    tests = [test for name, test in globals().items() if name.startswith("test_")]
    if FEW:
        tests = [test for test in tests if test not in (test_pairs, test_merge_json, test_merge_text)]
    failures = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(Files(folder))
                print(f"ok {number} - {test.__doc__}", flush=True)
            except Exception:  # pylint: disable=broad-except # whatever it is, the test failed
                failures += 1
                print(f"not ok {number} - {test.__doc__}")
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()),
                      end="", flush=True)
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())

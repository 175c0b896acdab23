#!/usr/bin/env python3
"""page.py ORRERY CLI-SCENARIOS: pages of --trace=html:FILE in a real browser: what they draw, what the mouse and the
keyboard do to them, and that they stay whole whatever is in a run.

What must be drawn is counted from the events that the file holds. Prints TAP; without a browser all is skipped.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from browser import Browser, find_browser
from real import Failure, demand, run_cases

ORRERY, SCENARIOS = (os.path.abspath(path) for path in sys.argv[1:3])
FAILING = ("kv", "bug=ack-before-fsync", "--seed", "29")
SOME_COLOURS = 12
LARGE = 50000

browser = None


class Run:
    """A page that a replay wrote, and the events in it."""

    def __init__(self, directory, *words, program=ORRERY):
        self.path = os.path.join(directory, "run.html")
        done = subprocess.run([program, "replay", *words, f"--trace=html:{self.path}"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        demand(done.returncode in (0, 1), done.stdout.decode(errors="replace"))
        self.said = done.stdout.decode(errors="replace")
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        body = text.split('id="events">\n')[1].split("\n</script>")[0]
        self.events = [json.loads(line) for line in body.splitlines()]

    def some(self, kinds, holds=lambda event: True):
        return [event for event in self.events if event[0] in kinds and holds(event)]

    def operations(self, holds=lambda event: True):
        """Those that began, and those that took no time."""
        instant = self.some("e", lambda event: event[10] == 1 and holds(event))
        return len(self.some("b", holds)) + len(instant)

    def messages(self, holds=lambda event: True):
        """Those that left; and those that were lost before they did, under numbers that none left with."""
        left = {tuple(event[2:6]) for event in self.some("s")}
        stayed = self.some("l", lambda event: tuple(event[2:6]) not in left and holds(event))
        return len(self.some("s", holds)) + len(stayed)

    def within(self, first, last):
        """How many operations and messages there are between two times, in part or as a whole."""
        spans, found = {}, [0, 0]
        for event in self.events:
            letter, at, node = event[:3]
            if letter in "bex":
                key = (0, node, event[3], event[4])
            elif letter in "sal":
                ends = (event[3], node) if letter == "a" else (node, event[3])
                key = (1, *ends, event[4], event[5])
            else:
                continue
            begin, _ = spans.setdefault(key, (at, None))
            if letter not in "bs":
                spans[key] = (begin, at)
        for key, (begin, end) in spans.items():
            found[key[0]] += begin <= last and (end is None or end >= first)
        return found

    def lanes(self):
        """One for each node, and one for what belongs to none."""
        return len(self.nodes()) + (1 if self.some("ft!", lambda event: event[2] < 0) else 0)

    def nodes(self):
        return [event[3] for event in self.some("n")]


def expect(**wanted):
    counts = browser.counts()
    for name, value in wanted.items():
        demand(counts.get(name) == value, f"{name}: {value} expected, {counts.get(name)} drawn: {counts}")
    demand("error" not in counts and not browser.problems, f"{counts.get('error')} {browser.problems}")
    return counts


def text_of(selector):
    return browser.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")


def is_hidden(selector):
    return browser.evaluate(f"document.querySelector({json.dumps(selector)}).hidden")


# ---- what is drawn -------------------------------------------------------------------------------


def case_whole(directory):
    """a failing run: every lane, bar, arrow and mark, the check and the command that brings it back"""
    run = Run(directory, *FAILING)
    browser.show(run.path)
    notes = len(run.some("tud"))
    counts = expect(lanes=run.lanes(), events=len(run.events), operations=run.operations(),
                    messages=run.messages(), fault=len(run.some("f!")), note=notes, failed="true", drawn="yes")
    demand(counts["painted"] > 1000, f"only {counts['painted']} things are painted")
    demand(counts["arrows"] > 500, f"only {counts['arrows']} arrows are painted")
    demand(text_of("#check") == "every acknowledged write survives" and not is_hidden("#check"), text_of("#check"))
    demand(text_of("#replay") in run.said and " --seed 29" in text_of("#replay"), text_of("#replay"))
    demand(text_of("#chip") == "fails" and "trace hash " + text_of("#hash")[11:] in run.said, text_of("#hash"))
    demand("does not hold" in text_of("#detail") or "answered" in text_of("#detail"), text_of("#detail"))


def case_passing(directory):
    """a passing run: no check is named"""
    run = Run(directory, "echo", "--seed", "7")
    browser.show(run.path)
    expect(lanes=run.lanes(), operations=run.operations(), messages=run.messages(), failed="false")
    demand(text_of("#chip") == "passes" and is_hidden("#check"), text_of("#chip"))


def case_colours(directory):
    """pixels: both colour schemes have their ground, and enough colours on it"""
    run = Run(directory, *FAILING)
    grounds = []
    for scheme in ("light", "dark"):
        browser.show(run.path, wide=700, high_=500, scheme=scheme)
        rows = browser.pixels()
        colours = {}
        for row in rows[250:450]:
            for colour in row[140:]:
                colours[colour] = colours.get(colour, 0) + 1
        demand(len(colours) > SOME_COLOURS, f"{scheme}: only {len(colours)} colours")
        grounds.append(sum(rows[3][3]))
        demand("failed" in browser.counts(), "no run")
    demand(grounds[0] > 3 * 200 and grounds[1] < 3 * 60, f"grounds {grounds}")


def case_cut_off(directory):
    """a file that ends in the middle of an event draws what is there"""
    run = Run(directory, *FAILING)
    with open(run.path, "rb") as file:
        data = file.read()
    begin = data.index(b'id="events">\n')
    path = os.path.join(directory, "cut.html")
    with open(path, "wb") as file:
        file.write(data[:begin + (len(data) - begin) // 2])
    browser.show(path)
    counts = expect(lanes=run.lanes(), failed="false")
    demand(len(run.events) // 3 < counts["events"] < len(run.events), f"{counts['events']} events")
    demand(text_of("#chip") == "was cut off", text_of("#chip"))


def case_crash(directory):
    """a program that crashed leaves all up to the crash, and its name"""
    run = Run(directory, "slow", "end=crash", "--seed", "3", program=SCENARIOS)
    browser.show(run.path)
    expect(fault=20, operations=run.operations(), failed="true")
    demand(text_of("#check") == "crash: SIGABRT", text_of("#check"))


def case_hostile(directory):
    """text of a program that looks like markup stays text"""
    run = Run(directory, "hostile", "--seed", "1", program=SCENARIOS)
    browser.show(run.path)
    expect(failed="true", note=len(run.some("tud")))
    demand(text_of("#check") == 'a check <b>of markup</b> & "quotes"', text_of("#check"))
    demand(browser.evaluate("document.querySelectorAll('#check b').length") == 0, "markup in the check")


def case_large(directory):
    """a run of more than 50000 events is drawn, and of a part of it only that part"""
    run = Run(directory, "register", "nodes=5", "ms=4000", "calls=4000", "--seed", "4")
    demand(len(run.events) > LARGE, f"only {len(run.events)} events")
    browser.show(run.path, wide=1400)
    expect(operations=run.operations(), messages=run.messages())
    for part in (0.25, 0.5, 0.75):
        first = run.events[int(len(run.events) * part)][1] // 1000 * 1000
        last = first + 2000000
        browser.show(run.path, f"#scale=time&from={first / 1e6}&to={last / 1e6}")
        operations, messages = run.within(first + 100, last - 100)
        most = run.within(first - 100, last + 100)
        counts = expect(drawn="yes")
        demand(operations <= counts["operations"] <= most[0] and messages <= counts["messages"] <= most[1],
               f"{operations} to {most[0]} operations, {messages} to {most[1]} messages expected: {counts}")
        demand(counts["painted"] < 3000, f"{counts['painted']} painted")


# ---- what it can do ------------------------------------------------------------------------------


def case_address(directory):
    """the address filters by text, node and kind"""
    run = Run(directory, *FAILING)
    server = run.nodes().index("server")
    browser.show(run.path, "#filter=FSYNC")
    expect(operations=run.operations(lambda event: "fsync" in event[3]), messages=0)
    browser.show(run.path, "#node=server")
    expect(operations=run.operations(lambda event: event[2] == server), messages=0)
    browser.show(run.path, "#node=server,client-0&kind=operation,message")
    counts = expect(operations=run.operations(lambda event: event[2] <= 1), note=0, fault=0,
                    messages=run.messages(lambda event: event[2] <= 1 and event[3] <= 1))
    demand(counts["lanes"] in (2, 3), f"{counts['lanes']} lanes")
    browser.show(run.path, "#kind=fault&scale=time")
    expect(operations=0, messages=0, note=0, fault=len(run.some("f!")))
    demand(text_of("#scale") == "time as it is", text_of("#scale"))
    browser.show(run.path, "#filter=nothing-is-called-that")
    expect(operations=0, messages=0, fault=0, note=0)
    browser.show(run.path, "#select=server/crash%232")
    demand("loses power" in text_of("#selected"), text_of("#selected"))
    expect(failed="true")


def case_controls(directory):
    """the filter box and the buttons do the same"""
    run = Run(directory, *FAILING)
    browser.show(run.path)
    browser.click("#filter")
    browser.call("Input.insertText", text="fsync")
    browser.settle()
    expect(operations=run.operations(lambda event: "fsync" in event[3]))
    browser.evaluate("{ const box = document.getElementById('filter'); box.value = ''; "
                     "box.dispatchEvent(new Event('input')); }")
    browser.settle()
    expect(operations=run.operations())
    browser.click("#kinds button:nth-child(1)")
    expect(operations=0, messages=run.messages())
    browser.click("#kinds button:nth-child(1)")
    browser.click("#nodes button:nth-child(1)")
    expect(operations=run.operations(lambda event: event[2] != 0))
    demand(browser.evaluate("document.querySelector('#nodes button').getAttribute('aria-pressed')") == "false",
           "the button does not tell that its node is hidden")
    browser.click("#nodes button:nth-child(1)")
    expect(operations=run.operations())


def case_moving(directory):
    """the wheel zooms, dragging pans, keys go from fault to fault and back to the whole"""
    run = Run(directory, *FAILING)
    browser.show(run.path)
    whole = expect(operations=run.operations())["operations"]
    for _ in range(6):
        browser.mouse("mouseWheel", 700, 500, deltaX=0, deltaY=-300)
    browser.settle()
    zoomed = expect(drawn="yes")
    demand(0 < zoomed["operations"] < whole // 3, f"{zoomed['operations']} of {whole} after zooming")
    status = text_of("#status")
    browser.mouse("mousePressed", 700, 500, button="left", buttons=1, clickCount=1)
    for x in range(690, 300, -50):
        browser.mouse("mouseMoved", x, 500, button="left", buttons=1)
    browser.mouse("mouseReleased", 350, 500, button="left", clickCount=1)
    browser.settle()
    demand(expect(drawn="yes") != zoomed or text_of("#status") != status, "dragging does nothing")
    browser.key("0")
    expect(operations=whole)
    browser.key("n")
    first = text_of("#selected")
    browser.key("n")
    second = text_of("#selected")
    browser.key("p")
    demand("family" in first and first != second and text_of("#selected") == first, f"{first} / {second}")
    browser.key("e")
    demand("every acknowledged write survives" in text_of("#selected"), text_of("#selected"))
    browser.key("0")
    browser.key("s")
    demand(text_of("#scale") == "time as it is", text_of("#scale"))
    expect(operations=whole)


def case_hover(directory):
    """what is under the mouse is told in full, and kept by a click"""
    run = Run(directory, "echo", "--seed", "7")
    browser.show(run.path, "#from=0&to=3&kind=operation")
    found = set()
    top = browser.evaluate("document.getElementById('lanes').getBoundingClientRect().top")
    for y in range(int(top) + 30, 760, 6):
        for x in (300, 520, 900):
            browser.mouse("mouseMoved", x, y)
            if not is_hidden("#tip"):
                found.add(text_of("#tip"))
                kept = (x, y)
    demand(len(found) > 3, f"only {found}")
    demand(all("ms" in text and "node" in text and "#" in text for text in found), str(found))
    demand(any("examples/echo/" in text for text in found), str(found))
    browser.mouse("mousePressed", *kept, button="left", buttons=1, clickCount=1)
    browser.mouse("mouseReleased", *kept, button="left", clickCount=1)
    browser.settle()
    demand("#" in text_of("#selected") and "result" in text_of("#selected"), text_of("#selected"))
    browser.key("Escape")
    demand("wheel: zoom" in text_of("#selected"), text_of("#selected"))
    expect(failed="false")


CASES = [case_whole, case_passing, case_colours, case_cut_off, case_crash, case_hostile, case_large, case_address,
         case_controls, case_moving, case_hover]


def start(directory):
    """Starts the browser. Returns why there is none that shows a file, or None."""
    global browser
    path = find_browser()
    if not path:
        return "no chromium"
    probe = os.path.join(directory, "probe.html")
    with open(probe, "w", encoding="utf-8") as file:
        file.write("<title>probe</title>")
    try:
        browser = Browser(path, directory)
        browser.show(probe)
        return None if browser.evaluate("document.title") == "probe" else f"{path} shows no file of {directory}"
    except (Failure, OSError) as failure:
        return f"{path} does not start: {str(failure).splitlines()[0]}"


def main():
    with tempfile.TemporaryDirectory(prefix="orrery-browser-", ignore_cleanup_errors=True) as directory:
        reason = start(directory)
        status = run_cases(CASES, reason)
        if browser:
            browser.close()
        return status


sys.exit(main())

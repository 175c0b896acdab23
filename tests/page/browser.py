"""browser.py: a headless Chromium that a test drives, over the DevTools protocol on a pair of pipes: JSON texts that
a zero byte ends. One browser, one page at a time.

What a page throws, and what it asks of any network, is kept: see Browser.problems.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import time
import zlib

from real import LIMIT_SECONDS, Failure, demand

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FILE_LEAST = 50  # pipes get numbers out of the way of 3 and 4, which the browser reads and writes
EXECUTE = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
           "os.execv(sys.argv[3], sys.argv[3:])")


def find_browser():
    return next((path for path in map(shutil.which, NAMES) if path), None)


def high(file):
    number = fcntl.fcntl(file, fcntl.F_DUPFD, FILE_LEAST)
    os.close(file)
    return number


class Browser:
    """The process and its one page."""

    def __init__(self, path, directory):
        their_input, self.to_browser = map(high, os.pipe())
        self.from_browser, their_output = map(high, os.pipe())
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                   "--remote-debugging-pipe", "--no-first-run", f"--user-data-dir={directory}/profile"]
        self.log = open(f"{directory}/browser.log", "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(
            [sys.executable, "-c", EXECUTE, str(their_input), str(their_output), path, *options, "about:blank"],
            pass_fds=(their_input, their_output),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**os.environ, "HOME": directory})
        os.close(their_input)
        os.close(their_output)
        self.number = 0
        self.session = None
        self.pending = b""
        self.problems = []
        self.loads = 0
        self.attach()

    def attach(self):
        pages = [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        demand(pages, "the browser opened no page")
        self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.to_browser)
        os.close(self.from_browser)
        self.log.close()

    def receive(self):
        deadline = time.monotonic() + LIMIT_SECONDS
        while b"\0" not in self.pending:
            ready, _, _ = select.select([self.from_browser], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self.from_browser, 1 << 20) if ready else b""
            if not piece:
                self.log.seek(0)
                raise Failure("the browser says nothing more:\n" + self.log.read()[-2000:])
            self.pending += piece
        text, self.pending = self.pending.split(b"\0", 1)
        return json.loads(text)

    def take_event(self, event):
        method, values = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(values["exceptionDetails"])[:500])
        elif method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Network.requestWillBeSent":
            address = values["request"]["url"]
            if not address.startswith(("file:", "data:", "about:")):
                self.problems.append(f"asks the network for {address}")

    def call(self, method, **values):
        self.number += 1
        message = {"id": self.number, "method": method, "params": values}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                demand("error" not in answer, f"{method}: {answer.get('error')}")
                return answer["result"]
            self.take_event(answer)

    # ---- the page

    def show(self, path, fragment="", wide=1200, high_=800, scheme="light"):
        """Opens a file, and waits until it is loaded."""
        self.problems.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=wide, height=high_, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url="about:blank")
        loads = self.loads
        self.call("Page.navigate", url=f"file://{path}{fragment}")
        while self.loads == loads or self.evaluate("document.readyState") != "complete":
            self.evaluate("0")
        self.settle()

    def settle(self):
        """Waits until what was asked for is drawn."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        demand("exceptionDetails" not in result, json.dumps(result.get("exceptionDetails"))[:500])
        return result["result"].get("value")

    def counts(self):
        """The attributes that the page counts in: numbers as numbers."""
        values = self.evaluate("({...document.documentElement.dataset})")
        return {name: int(value) if value.isdigit() else value for name, value in values.items()}

    def mouse(self, kind, x, y, **values):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **values)

    def click(self, selector):
        x, y = self.evaluate(f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
                             f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)
        self.settle()

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **text)
        self.settle()

    def pixels(self):
        """The rows of a screenshot, each a list of (red, green, blue)."""
        return decode_png(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


def unfilter(kind, line, above, step):
    for i, value in enumerate(line):
        left = line[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        if kind == 1:
            value += left
        elif kind == 2:
            value += above[i]
        elif kind == 3:
            value += (left + above[i]) // 2
        elif kind == 4:
            guess = left + above[i] - corner
            value += min((left, above[i], corner), key=lambda near: abs(guess - near))
        line[i] = value & 0xff
    return line


def decode_png(data):
    """A PNG of 8 bits a channel, not interlaced: what browsers write."""
    at, body = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            wide, tall, _, colour = struct.unpack(">IIBB", data[at + 8:at + 18])
        elif kind == b"IDAT":
            body += data[at + 8:at + 8 + length]
        at += 12 + length
    step = {2: 3, 6: 4}[colour]
    raw, rows, above = zlib.decompress(body), [], bytes(wide * step)
    for row in range(tall):
        start = row * (wide * step + 1)
        above = unfilter(raw[start], bytearray(raw[start + 1:start + 1 + wide * step]), above, step)
        rows.append([tuple(above[i:i + 3]) for i in range(0, wide * step, step)])
    return rows

"""tree.py: a copy of the source tree with a build directory of its own, and edits of it that are kept as data.

For measurements and tests that change the source and look what happens. Nothing in the tree itself is touched. An edit
is a file with two texts: the first is there exactly once, and the second takes its place.
"""

import contextlib
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEST_SECONDS = 900


class Failure(Exception):
    """The edits or the build are wrong: no verdict."""


def run(command, folder, seconds=TEST_SECONDS):
    """The exit status and the output; a command that takes too long has failed."""
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return -1, "takes too long"
    return done.returncode, done.stdout


def must(command, folder):
    status, output = run(command, folder)
    if status != 0:
        raise Failure(f"{' '.join(command)} ended with status {status}:\n{output[-2000:]}")


def copy(path):
    """Copies every file that git knows."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for name in filter(None, names.stdout.split("\0")):
        if (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)


class Tree:
    """The copy, built."""

    def __init__(self, path, setup, targets=()):
        self.path = pathlib.Path(path)
        self.build = self.path / "build" / "copy"
        self.targets = list(targets)
        copy(self.path)
        must(["meson", "setup", str(self.build), *setup], self.path)
        self.make()

    def make(self):
        """Builds what the edits in force have changed."""
        must(["ninja", "-C", str(self.build), *self.targets], self.path)

    def edit(self, edits, what):
        """Makes edits ({file, old, new}) for good."""
        for edit in edits:
            file = self.path / edit["file"]
            text = file.read_text(encoding="utf-8")
            count = text.count(edit["old"])
            if count != 1:
                raise Failure(f"{what}: a text of it is {count} times in {edit['file']}, not once")
            file.write_text(text.replace(edit["old"], edit["new"]), encoding="utf-8")

    @contextlib.contextmanager
    def edited(self, edits, what):
        """With these edits in force, and built, until the context is left."""
        before = {edit["file"]: (self.path / edit["file"]).read_text(encoding="utf-8") for edit in edits}
        try:
            self.edit(edits, what)
            status, output = run(["ninja", "-C", str(self.build), *self.targets], self.path)
            if status != 0:
                raise Failure(f"{what}: with it the tree does not compile:\n{output[-2000:]}")
            yield
        finally:
            for name, text in before.items():
                (self.path / name).write_text(text, encoding="utf-8")

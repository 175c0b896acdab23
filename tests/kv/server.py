#!/usr/bin/env python3
"""server.py KV: the real server on the real kernel, as an operator and as Redis clients meet it.

Prints TAP. Each case starts its own server on a free port of 127.0.0.1 with a directory of its own. What needs
io_uring is skipped, with the reason, where the system forbids it.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from real import LIMIT_SECONDS, demand, free_port, run_cases

KV = os.path.abspath(sys.argv[1])


class Server:
    """A running kv; ends with the with-block."""

    def __init__(self, directory, port=None, options=()):
        self.directory = directory
        self.options = options
        self.port = port or free_port()
        self.log = os.path.join(directory, "kv.log")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.close()

    def start(self):
        deadline = time.monotonic() + LIMIT_SECONDS
        self.launch()
        while "serving" not in self.said():
            demand(time.monotonic() < deadline, f"the server does not serve: {self.said()}")
            if self.process.poll() is not None:
                # The kernel lets go of a killed process's ring, and so of its port, a moment after its end: start
                # again, as a supervisor would.
                demand("in use" in self.said(), f"the server does not start: {self.said()}")
                self.output.close()
                self.launch()
            time.sleep(0.01)

    def launch(self):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([KV, "--port", str(self.port), "--dir", self.directory, *self.options],
                                        stdout=self.output, stderr=subprocess.STDOUT)

    def said(self):
        return os.pread(self.output.fileno(), 1 << 20, 0).decode()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.output.close()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_SECONDS)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), LIMIT_SECONDS)

    def ask(self, raw):
        """Sends bytes, ends the sending side, and returns all that comes back."""
        with self.connect() as client:
            client.sendall(raw)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while True:
                part = client.recv(1 << 16)
                if not part:
                    return answer
                answer += part

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True,
                              timeout=LIMIT_SECONDS, check=False)
        demand(done.returncode == 0, f"redis-cli {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout.rstrip("\n")


def command(*words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


# ---- cases ---------------------------------------------------------------------------------------

def case_redis_cli(directory):
    """redis-cli speaks with it"""
    with Server(directory) as server:
        talk = [("PING", "PONG"), ("ECHO hello", "hello"), ("SET planet earth", "OK"), ("GET planet", "earth"),
                ("GET nothing", ""), ("EXISTS planet nothing planet", "2"), ("INCR visits", "1"),
                ("INCR visits", "2"), ("MSET a 1 b 2", "OK"), ("MGET a b c", "1\n2\n"), ("DEL a nothing", "1"),
                ("DBSIZE", "3"), ("INCR planet", "ERR value is not an integer or out of range"),
                ("FLUSHALL", "OK"), ("DBSIZE", "0")]
        for words, answer in talk:
            said = server.cli(*words.split())
            demand(said == answer.rstrip("\n") or said == answer or said.rstrip() == answer.rstrip(),
                   f"{words}: {said!r} instead of {answer!r}")
        demand("redis_version" in server.cli("INFO"), "INFO names a version")
        demand("ERR" in server.cli("SET", "k", "v", "EX", "5"), "an option of SET that it lacks is refused")
        demand("ERR unknown command" in server.cli("LPUSH", "k", "v"), "an unknown command is an error")
        demand(server.terminate() == 0, "SIGTERM ends it with status 0")


def case_redis_benchmark(directory):
    """redis-benchmark runs without an error"""
    with Server(directory) as server:
        done = subprocess.run(["redis-benchmark", "-p", str(server.port), "-t", "set,get,incr", "-n", "20000", "-P", "16",
                               "-q"], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
        text = done.stdout + done.stderr
        demand(done.returncode == 0 and "rror" not in text, text)
        demand(text.count("requests per second") == 3, text)
        demand(server.terminate() == 0, "SIGTERM ends it with status 0")


def case_kill(directory):
    """kill -9 in the middle of a load loses no acknowledged write"""
    port = free_port()
    acknowledged = 0
    for life in range(4):
        with Server(directory, port) as server:
            with server.connect() as client:
                client.sendall(b"".join(command("GET", f"key:{n}") for n in range(acknowledged)))
                for number in range(acknowledged):
                    value = f"value:{number}".encode()
                    expected = b"$%d\r\n%s\r\n" % (len(value), value)
                    answer = b""
                    while len(answer) < len(expected):
                        answer += client.recv(len(expected) - len(answer))
                    demand(answer == expected, f"life {life}: key:{number} is {answer!r}")
                load = subprocess.Popen(["redis-benchmark", "-p", str(port), "-t", "set", "-n", "10000000", "-r", "100000", "-P", "16",
                                         "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                acknowledged = write_until_killed(client, server, acknowledged)
            load.kill()
            load.wait()
    demand(acknowledged > 1000, f"only {acknowledged} writes were acknowledged")


def write_until_killed(client, server, acknowledged):
    """Writes batches, kills the server while one is on its way, and returns how many writes were acknowledged."""
    goal = acknowledged + 400 + random.randrange(400)
    sent = acknowledged
    while acknowledged < goal:
        client.sendall(b"".join(command("SET", f"key:{n}", f"value:{n}") for n in range(sent, sent + 50)))
        sent += 50
        answer = b""
        while acknowledged + len(answer) // 5 < sent and acknowledged + len(answer) // 5 < goal:
            answer += client.recv(4096)
        demand(answer == b"+OK\r\n" * (len(answer) // 5) + b"+OK\r\n"[:len(answer) % 5], f"{answer[:60]!r}")
        acknowledged += len(answer) // 5
        if acknowledged < goal:
            demand(len(answer) % 5 == 0, "a reply is cut")
    server.kill()
    return acknowledged


def info(server):
    """The numbers that INFO tells, by name."""
    lines = (line.split(":", 1) for line in server.cli("INFO", "persistence").splitlines() if ":" in line)
    return {name: value.strip() for name, value in lines}


def overwrite(client, round_number, keys):
    """Sets every key anew, in one batch of commands, all of them acknowledged."""
    client.sendall(b"".join(command("SET", f"key:{n}", f"value:{round_number}:{n}:" + "x" * 100) for n in range(keys)))
    expected = b"+OK\r\n" * keys
    answer = b""
    while len(answer) < len(expected):
        part = client.recv(1 << 16)
        demand(part, "the server hangs up")
        answer += part
    demand(answer == expected, f"{answer[:60]!r}")


def check_overwritten(server, round_number, keys):
    """Every key has the value of the last round that was acknowledged, or of the one that was on its way."""
    for number in range(keys):
        value = server.cli("GET", f"key:{number}")
        possible = [f"value:{r}:{number}:" + "x" * 100 for r in (round_number, round_number + 1)]
        demand(value in possible, f"key:{number} is {value[:40]!r} after round {round_number}")


def case_compaction(directory):
    """a log of overwrites is written anew, again and again, and shrinks"""
    keys = 40
    with Server(directory, options=("--compact-above", "32768")) as server:
        with server.connect() as client:
            longest = 0
            rounds = 0
            deadline = time.monotonic() + LIMIT_SECONDS
            while int(info(server)["aof_rewrites"]) < 5:
                demand(time.monotonic() < deadline, f"{info(server)} after {rounds} rounds")
                overwrite(client, rounds, keys)
                rounds += 1
                longest = max(longest, os.path.getsize(server.log))
        state = info(server)
        demand(state["aof_last_bgrewrite_status"] == "ok", f"{state}")
        demand(0 < int(state["aof_base_size"]) < longest, f"{state}, longest {longest}")
        demand(server.terminate() == 0, "SIGTERM ends it with status 0")
        demand("written anew" in server.said(), server.said())
    demand(os.path.getsize(server.log) < rounds * keys * 100, "the log holds every round")
    demand(os.listdir(directory) == ["kv.log"], f"{os.listdir(directory)}")
    with Server(directory) as server:
        check_overwritten(server, rounds - 1, keys)


def case_kill_in_compaction(directory):
    """kill -9 while the log is written anew loses no acknowledged write"""
    keys = 40
    port = free_port()
    new_path = os.path.join(directory, "kv.log.new")
    rounds = 0
    struck = 0
    for life in range(12):
        with Server(directory, port, ("--compact-above", "4096")) as server:
            if life > 0:
                demand(not os.path.exists(new_path), "a leftover is not removed")
                check_overwritten(server, rounds - 1, keys)
            with server.connect() as client:
                for _ in range(life + 1):
                    overwrite(client, rounds, keys)
                    rounds += 1
                while life % 2 == 1 and not os.path.exists(new_path) and rounds < 1000:
                    overwrite(client, rounds, keys)
                    rounds += 1
                client.sendall(b"".join(command("SET", f"key:{n}", f"value:{rounds}:{n}:" + "x" * 100)
                                        for n in range(keys)))
                server.kill()
                struck += os.path.exists(new_path)
    print(f"# {struck} of 12 kills left a new log unfinished", flush=True)


def case_protocol(directory):
    """RESP of any shape gets an answer or an error, and harms nobody else"""
    with Server(directory) as server:
        demand(server.ask(b"PING\r\n") == b"+PONG\r\n", "inline")
        demand(server.ask(b"*0\r\n\r\nPING\r\n") == b"+PONG\r\n", "empty commands")
        demand(server.ask(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\nhalf") == b"", "half a command is dropped")
        for bad in (b"*1\r\n$-5\r\n", b"*99999999999\r\n", b"*1\r\n$99999999999999999999\r\n", b"*2\r\nGET\r\n",
                    b"*-7\r\n*1\r\n:5\r\n"):
            answer = server.ask(bad)
            demand(answer.startswith(b"-ERR Protocol error"), f"{bad!r}: {answer!r}")
        binary = bytes(range(256)) * 64
        answer = server.ask(command("SET", binary, binary) + command("GET", binary))
        demand(answer == b"+OK\r\n$%d\r\n%s\r\n" % (len(binary), binary), "binary keys and values")
        rng = random.Random(5)
        for _ in range(200):
            server.ask(bytes(rng.choice(b"*$-+:0123456789\r\nGETS ") for _ in range(rng.randrange(200))))
        demand(server.cli("PING") == "PONG", "it still serves")
        demand(server.terminate() == 0, "SIGTERM ends it with status 0")


def refused(directory, *arguments):
    done = subprocess.run([KV, *arguments], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    return done.returncode, done.stdout + done.stderr


def case_operator_errors(directory):
    """what an operator gets wrong is named, with the right exit status"""
    with Server(directory) as server:
        other = os.path.join(directory, "other")
        os.mkdir(other)
        status, text = refused(directory, "--port", str(server.port), "--dir", other)
        demand(status == 1 and str(server.port) in text, f"port in use: {status} {text}")
        demand(server.terminate() == 0, "SIGTERM ends it with status 0")
    status, text = refused(directory, "--port", str(free_port()), "--dir", "/nowhere/at/all")
    demand(status == 1 and "/nowhere/at/all" in text, f"missing directory: {status} {text}")
    for arguments in (["--compact-above", "4095"], ["--compact-above", "-1"], ["--compact-above", "9999k"],
                      ["--port", "70000", "--dir", directory], ["--port", "x", "--dir", directory], ["--fast"]):
        status, text = refused(directory, *arguments)
        demand(status == 2 and text, f"{arguments}: {status} {text}")
    status, text = refused(directory, "--help")
    demand(status == 0 and "--port" in text and "--compact-above" in text, "--help")


def case_foreign_log(directory):
    """a file that is no log is refused and left alone"""
    path = os.path.join(directory, "kv.log")
    foreign = b"Dear diary, today I was not a log file.\n" * 100
    with open(path, "wb") as file:
        file.write(foreign)
    status, text = refused(directory, "--port", str(free_port()), "--dir", directory)
    demand(status == 1 and "kv.log" in text, f"{status} {text}")
    with open(path, "rb") as file:
        demand(file.read() == foreign, "the foreign file was changed")


def fill(directory, count):
    with Server(directory) as server:
        answer = server.ask(b"".join(command("SET", f"key:{n}", f"value:{n}") for n in range(count)))
        demand(answer == b"+OK\r\n" * count, "filled")
        demand(server.terminate() == 0, "SIGTERM ends it with status 0")
    return os.path.join(directory, "kv.log")


def case_torn_tail(directory):
    """a torn tail is cut off, everything before it is there"""
    path = fill(directory, 100)
    with open(path, "ab") as file:
        file.write(os.urandom(77))
    with Server(directory) as server:
        demand(server.cli("DBSIZE") == "100", "all keys are there")
        demand(server.cli("SET", "after", "it") == "OK", "it writes on")
        demand(server.terminate() == 0, "SIGTERM ends it with status 0")
    with Server(directory) as server:
        demand(server.cli("GET", "after") == "it", "what was written after the tail is there")
        demand(server.cli("DBSIZE") == "101", "all keys are there")


def case_corrupt_middle(directory):
    """a log that is damaged before acknowledged records is refused, not cut"""
    with Server(directory) as server:
        for number in range(20):
            demand(server.cli("SET", f"key:{number}", "x" * 100) == "OK", "filled")
        demand(server.terminate() == 0, "SIGTERM ends it with status 0")
    path = os.path.join(directory, "kv.log")
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(size // 3)
        file.write(b"\xff" * 8)
    status, text = refused(directory, "--port", str(free_port()), "--dir", directory)
    demand(status == 1 and "kv.log" in text, f"{status} {text}")
    demand(os.path.getsize(path) == size, "the damaged log was cut")


def case_full_disk(directory):
    """on a full disk writes are refused with an error, reads go on, nothing acknowledged is lost"""
    small = os.path.join(directory, "small")
    os.mkdir(small)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], capture_output=True, check=False)
    if mounted.returncode != 0:
        return "no right to mount a small disk here"
    try:
        kept = 0
        with Server(small) as server:
            with server.connect() as client:
                answer = b"+OK\r\n"
                while answer == b"+OK\r\n":
                    client.sendall(command("SET", f"key:{kept}", "x" * 4000))
                    answer = client.recv(4096)
                    kept += answer == b"+OK\r\n"
                demand(answer.startswith(b"-") and b"space" in answer, f"{answer!r}")
                demand(kept > 10, f"{kept} writes fit")
            demand(server.cli("GET", "key:0") == "x" * 4000, "reads go on")
        with Server(small) as server:
            demand(server.cli("EXISTS", *(f"key:{n}" for n in range(kept))) == str(kept), "nothing acknowledged is lost")
    finally:
        subprocess.run(["umount", small], check=False)
    return None


CASES = [case_redis_cli, case_redis_benchmark, case_kill, case_compaction, case_kill_in_compaction, case_protocol, case_operator_errors, case_foreign_log,
         case_torn_tail, case_corrupt_middle, case_full_disk]


def why_not():
    """Why this system cannot run the server at all, or None."""
    directory = tempfile.mkdtemp()
    try:
        done = subprocess.run([KV, "--port", str(free_port()), "--dir", directory], capture_output=True, text=True,
                              timeout=1, check=False)
        text = done.stdout + done.stderr
        return text.strip().splitlines()[-1] if "io_uring" in text else None
    except subprocess.TimeoutExpired:
        return None
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(run_cases(CASES, why_not()))

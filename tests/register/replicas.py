#!/usr/bin/env python3
"""replicas.py REGISTER: real replicas on the real kernel, killed, stopped and started, and the client beside them.

Prints TAP. Each case starts its own replicas on free ports of 127.0.0.1 with directories of their own.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from real import LIMIT_SECONDS, demand, free_port, run_cases, wait_until

REGISTER = os.path.abspath(sys.argv[1])


class Replica:
    """One replica: a process, most of the time."""

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.directory = os.path.join(cluster.directory, str(number))
        os.mkdir(self.directory)
        self.process = None

    def launch(self):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([REGISTER, "--id", str(self.number), "--peers", self.cluster.peers, "--dir",
                                         self.directory], stdout=self.output, stderr=subprocess.STDOUT)

    def said(self):
        return os.pread(self.output.fileno(), 1 << 20, 0).decode()

    def is_serving(self):
        # The kernel lets go of a killed process's ring, and so of its port, a moment after its end: start again, as a
        # supervisor would.
        if self.process.poll() is not None:
            demand("in use" in self.said(), f"replica {self.number} does not start: {self.said()}")
            self.output.close()
            self.launch()
        return "serving" in self.said()

    def start(self):
        self.launch()
        wait_until(self.is_serving, lambda: f"replica {self.number} does not serve: {self.said()}")

    def end(self, signal_number):
        self.process.send_signal(signal_number)
        status = self.process.wait(LIMIT_SECONDS)
        self.output.close()
        self.process = None
        return status


class Cluster:
    """Replicas that run; they end with the with-block."""

    def __init__(self, directory, count=3):
        self.directory = directory
        self.ports = []
        while len(self.ports) < count:
            port = free_port()
            self.ports += [port] if port not in self.ports else []
        self.peers = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.replicas = [Replica(self, number) for number in range(1, count + 1)]

    def __enter__(self):
        for replica in self.replicas:
            replica.start()
        return self

    def __exit__(self, *_):
        for replica in self.replicas:
            if replica.process:
                replica.end(signal.SIGKILL)

    def begin(self, *words):
        return subprocess.Popen([REGISTER, "--peers", self.peers, *words], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def ask(self, *words):
        """(exit status, what it said) of a client."""
        client = self.begin("--timeout", str(LIMIT_SECONDS * 1000), *words)
        text, _ = client.communicate(timeout=2 * LIMIT_SECONDS)
        return client.returncode, text.rstrip("\n")

    def set(self, key, value):
        demand(self.ask("set", key, value) == (0, ""), f"set {key} {value}")

    def get(self, key):
        status, text = self.ask("get", key)
        demand(status == 0, f"get {key}: {status} {text}")
        return text


# ---- cases ---------------------------------------------------------------------------------------

def case_set_and_get(directory):
    """values are set and got, by any client"""
    with Cluster(directory) as cluster:
        status, text = cluster.ask("get", "planet")
        demand(status == 1 and "nobody has set 'planet'" in text, f"{status} {text}")
        cluster.set("planet", "earth")
        demand(cluster.get("planet") == "earth", "what was set")
        cluster.set("planet", "mars")
        cluster.set("moon", "phobos")
        demand(cluster.get("planet") == "mars" and cluster.get("moon") == "phobos", "keys are apart")
        cluster.set("empty", "")
        demand(cluster.get("empty") == "", "a value of no bytes is a value")
        cluster.set("k" * 255, "v" * 4096)
        demand(cluster.get("k" * 255) == "v" * 4096, "the largest key and value")


def case_kill_one(directory):
    """one of three is killed, and calls go on; it comes back, and may replace another one"""
    with Cluster(directory) as cluster:
        first, second, third = cluster.replicas
        cluster.set("planet", "earth")
        second.end(signal.SIGKILL)
        demand(cluster.get("planet") == "earth", "two of three answer")
        cluster.set("planet", "mars")
        second.start()
        third.end(signal.SIGKILL)
        demand(cluster.get("planet") == "mars", "the one that came back missed a set, the other did not")
        cluster.set("planet", "venus")
        third.start()
        first.end(signal.SIGKILL)
        demand(cluster.get("planet") == "venus", "and the other way round")


def case_kill_all(directory):
    """all are killed at once under load: what was acknowledged is there"""
    with Cluster(directory) as cluster:
        acknowledged = {}
        for life in range(3):
            for number in range(10):
                cluster.set(f"key:{life}:{number}", f"value:{number}")
                acknowledged[f"key:{life}:{number}"] = f"value:{number}"
            load = [cluster.begin("--timeout", "1", "set", f"load:{number}", "x") for number in range(5)]
            for replica in cluster.replicas:
                replica.end(signal.SIGKILL)
            for client in load:
                client.communicate(timeout=LIMIT_SECONDS)
            for replica in cluster.replicas:
                replica.start()
            for key, value in acknowledged.items():
                demand(cluster.get(key) == value, f"life {life}: {key}")


def case_no_majority(directory):
    """without a majority a call ends with an error that tells who is missing"""
    with Cluster(directory) as cluster:
        cluster.set("planet", "earth")
        cluster.replicas[0].end(signal.SIGKILL)
        cluster.replicas[2].end(signal.SIGKILL)
        for words in (["get", "planet"], ["set", "planet", "mars"]):
            client = cluster.begin("--timeout", "2000", *words)
            text, _ = client.communicate(timeout=LIMIT_SECONDS)
            demand(client.returncode == 1 and "no majority within 2000 ms" in text and "2 must" in text, text)
            demand(f"127.0.0.1:{cluster.ports[0]}: " in text and f"127.0.0.1:{cluster.ports[2]}: " in text, text)
            demand(("may have been set" in text) == (words[0] == "set"), text)
        cluster.replicas[0].start()
        demand(cluster.get("planet") in ("earth", "mars"), "the set that failed happened or did not")


def case_five(directory):
    """five replicas go on with three"""
    with Cluster(directory, 5) as cluster:
        cluster.set("planet", "earth")
        cluster.replicas[0].end(signal.SIGKILL)
        cluster.replicas[3].end(signal.SIGKILL)
        demand(cluster.get("planet") == "earth", "three of five answer")
        cluster.set("planet", "mars")
        demand(cluster.get("planet") == "mars", "three of five take a set")


def case_never_back(directory):
    """one client counts up, others read meanwhile: no value is seen after a newer one"""
    with Cluster(directory) as cluster:
        cluster.set("count", "0")
        seen = 0
        for number in range(1, 21):
            writer = cluster.begin("set", "count", str(number))
            for _ in range(2):
                value = int(cluster.get("count"))
                demand(seen <= value <= number, f"{value} after {seen} while {number} is set")
                seen = value
            demand(writer.communicate(timeout=LIMIT_SECONDS)[0] == "" and writer.returncode == 0, f"set {number}")
            if number == 10:
                cluster.replicas[1].end(signal.SIGKILL)


def case_stop(directory):
    """SIGTERM ends all of them with status 0, idle or with clients that hold on to them"""
    with Cluster(directory) as cluster:
        cluster.set("planet", "earth")
        held = [socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) for port in cluster.ports]
        for replica in cluster.replicas:
            said = replica.output
            status = replica.process.send_signal(signal.SIGTERM) or replica.process.wait(LIMIT_SECONDS)
            text = os.pread(said.fileno(), 1 << 20, 0).decode()
            demand(status == 0 and "stopped" in text, f"{status} {text}")
        for connection in held:
            connection.close()
        for replica in cluster.replicas:
            replica.output.close()
            replica.start()
        demand(cluster.get("planet") == "earth", "it is there at the next start")


def case_garbage(directory):
    """bytes that are no message end their connection and harm nobody else"""
    with Cluster(directory) as cluster:
        cluster.set("planet", "earth")
        for garbage in (b"GET / HTTP/1.1\r\n\r\n" * 10, bytes(4096), b"\x72\x65\x67\x9d" + b"\xff" * 200):
            for port in cluster.ports:
                with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as client:
                    client.sendall(garbage)
                    try:
                        demand(client.recv(1) == b"", "an answer to garbage")
                    except ConnectionResetError:
                        pass
        demand(cluster.get("planet") == "earth", "they still serve")


def refused(*arguments):
    done = subprocess.run([REGISTER, *arguments], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    return done.returncode, done.stdout + done.stderr


def case_operator_errors(directory):
    """what an operator gets wrong is named, with the right exit status"""
    peers = "127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003"
    wrong = [[], ["--peers", peers], ["--peers", "127.0.0.1:1,127.0.0.1:2", "get", "x"], ["--peers", "a,b,c", "get", "x"],
             ["--peers", "unix:/tmp/a,unix:/tmp/b,unix:/tmp/c", "get", "x"], ["--peers", "127.0.0.1:0,127.0.0.1:2,127.0.0.1:3", "get", "x"],
             ["--peers", "127.0.0.1:1,127.0.0.1:1,127.0.0.1:2", "get", "x"], ["--peers", peers, "put", "x"],
             ["--peers", peers + "," + peers, "get", "x"], ["--peers", peers, "get"], ["--peers", peers, "set", "x"],
             ["--peers", peers, "get", ""], ["--peers", peers, "get", "k" * 256], ["--peers", peers, "set", "k", "v" * 4097],
             ["--id", "4", "--peers", peers], ["--id", "0", "--peers", peers], ["--id", "1", "--peers", peers, "get", "x"],
             ["--peers", peers, "--timeout", "soon", "get", "x"], ["--fast"]]
    for arguments in wrong:
        status, text = refused(*arguments)
        demand(status == 2 and "register" in text and "--help" in text, f"{arguments}: {status} {text}")
    status, text = refused("--help")
    demand(status == 0 and "--peers" in text and "Three replicas" in text, "--help")
    status, text = refused("--id", "1", "--peers", peers, "--dir", "/nowhere/at/all")
    demand(status == 1 and "/nowhere/at/all" in text, f"missing directory: {status} {text}")
    with Cluster(directory) as cluster:
        first = cluster.replicas[0]
        status, text = refused("--id", "1", "--peers", cluster.peers, "--dir", first.directory)
        demand(status == 1 and first.directory in text, f"directory in use: {status} {text}")
        other = os.path.join(directory, "other")
        os.mkdir(other)
        status, text = refused("--id", "1", "--peers", cluster.peers, "--dir", other)
        demand(status == 1 and str(cluster.ports[0]) in text, f"port in use: {status} {text}")


CASES = [case_set_and_get, case_kill_one, case_kill_all, case_no_majority, case_five, case_never_back, case_stop,
         case_garbage, case_operator_errors]


def why_not():
    """Why this system cannot run a replica at all, or None."""
    directory = tempfile.mkdtemp()
    peers = ",".join(f"127.0.0.1:{free_port()}" for _ in range(3))
    try:
        done = subprocess.run([REGISTER, "--id", "1", "--peers", peers, "--dir", directory], capture_output=True,
                              text=True, timeout=1, check=False)
        text = done.stdout + done.stderr
        return text.strip().splitlines()[-1] if "io_uring" in text else None
    except subprocess.TimeoutExpired:
        return None
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(run_cases(CASES, why_not()))

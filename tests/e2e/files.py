#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Weights that are a file: read where they lie, rewritten and cut short under the worker. TAP.

Runs under User-mode Linux, on ggml's CPU.
"""
import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, check  # noqa: E402  pylint: disable=wrong-import-position

CLIENT = os.path.join(infini.TREE, "build/e2e/weights")
MODULE = os.path.join(infini.TREE, "build/kmod-uml-fast/infini.ko")
MIB = 1 << 20
# What weights.c computes.
COLUMNS = ROWS = 4096
BLOCK, Q4_0_BYTES = 32, 18
LIMIT_MIB = 32


class World:
    """The daemon, and a file of weights for it in memory."""

    def __init__(self, out):
        self.daemon = infini.Daemon(out, ["cpu0"], "[backend ggml]\ndevices = cpu0\n", "idle_exit_s = 0\n")
        self.path = "/tmp/weights"
        self.clients = []

    def log(self):
        with open(self.daemon.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def write(self, data, mode="wb"):
        with open(self.path, mode) as file:
            file.write(data)

    def client(self, kind="f32", vdev="v"):
        client = Client(self.path, kind, vdev)
        self.clients.append(client)
        return client

    def end(self):
        for client in self.clients:
            client.end()
        self.clients.clear()


class Client:
    """One that multiplies when it is told to."""

    def __init__(self, path, kind, vdev):
        self.process = subprocess.Popen([CLIENT, path, kind], env=infini.tenant(vdev), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline().strip()
        check(line, f"the client ended with {self.process.poll()}")
        return line

    def ask(self, word):
        self.say(word)
        return self.hear()

    def wait_for_jobs(self):
        """Until two have ended well."""
        check(self.process.stdout.read(2) == "..", "its jobs do not end")

    def end(self):
        self.process.stdin.close()
        check(self.process.wait(60) == 0, f"the client ended with {self.process.returncode}")


def f32(value):
    return struct.pack("<f", value) * (COLUMNS * ROWS)


def stats(vdev="v"):
    return infini.vdevs()[vdev]["stats"]


def worker():
    return infini.vdevs()["v"]["executor_pid"]


def case_read(world):
    """weights of twice the vdev's memory are read in the file, and counted beside it"""
    world.write(f32(1.0))
    client = world.client()
    check(client.ask("once") == str(COLUMNS), "another product")
    counts = stats()
    check(counts["file_bytes"] == 4 * COLUMNS * ROWS, f"{counts['file_bytes']} bytes of files")
    check(counts["memory_used_bytes"] < LIMIT_MIB * MIB, f"{counts['memory_used_bytes']} bytes charged")
    world.write(f32(2.0), "r+b")
    check(client.ask("once") == str(2 * COLUMNS), "not what is in the file now")


def case_shared(world):
    """four vdevs that name one file have it in memory once"""
    for vdev in ("w", "x", "y"):
        infini.ctl("vdev", "create", vdev, "--device", "cpu0", "--memory", f"{LIMIT_MIB}M")
    before = available()
    for vdev in ("w", "x", "y"):
        check(world.client(vdev=vdev).ask("once") == str(2 * COLUMNS), "another product")
    took = before - available()
    print(f"# three more took {took / MIB:.0f} MiB, the file has {4 * COLUMNS * ROWS / MIB:.0f}", flush=True)
    check(took < 2 * 4 * COLUMNS * ROWS, "each has its own")


def available():
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"MemAvailable: +(\d+)", file.read())[1]) << 10


def case_rewritten(world):
    """bytes without a meaning, written while jobs run: they end, and the worker is the same"""
    pid = worker()
    client = world.clients[0]
    client.say("until-refused")
    client.wait_for_jobs()
    for seed in range(8):
        world.write((os.urandom(1 << 20) * 64)[seed:], "r+b")
    client.wait_for_jobs()
    check(worker() == pid, "the worker is another")
    # What runs on for the next case.


def case_truncated(world):
    """the file cut short under a job: it ends with ENODATA, the log says why, the worker is the same"""
    pid = worker()
    client = world.clients[0]
    os.truncate(world.path, 4096)
    check(client.hear().lstrip(".") == "ENODATA", "another end")
    check(client.ask("once") == "ENODATA", "a later job does without the file")
    check(worker() == pid, "the worker is another")
    check("the file behind buffer" in world.log(), "nothing is logged")


def case_usable(world):
    """with the file whole again, a new buffer of it is of use, in the same worker"""
    pid = worker()
    world.write(f32(3.0))
    check(world.clients[0].ask("anew") == str(3 * COLUMNS), "another product")
    check(worker() == pid, "the worker is another")


def case_quantised(world):
    """quantised weights of any bits are computed with, whatever comes of it"""
    world.end()
    world.path = "/tmp/quantised"
    bytes_of_row = COLUMNS // BLOCK * Q4_0_BYTES
    world.write(b"\0" * bytes_of_row * ROWS)
    client = world.client("q4_0")
    check(client.ask("once") == "0", "zeros make something else")
    pid = worker()
    for _ in range(4):
        world.write(os.urandom(bytes_of_row * ROWS), "r+b")
        check(not client.ask("once").startswith("E"), "a job failed")
    check(worker() == pid, "the worker is another")


def case_end(world):
    """nothing of it stays, and the module can be unloaded"""
    world.end()
    for vdev in ("v", "w", "x", "y"):
        infini.wait_until(f"clients of {vdev} are gone", lambda v=vdev: not stats(v)["clients"])
        infini.wait_until(f"files of {vdev} are let go", lambda v=vdev: not stats(v)["file_bytes"])
        infini.ctl("vdev", "delete", vdev)
    world.daemon.stop()
    infini.unload_module()


def main():
    tap = Tap()
    infini.load_module(MODULE)
    world = World(sys.argv[1])
    world.daemon.start()
    infini.ctl("vdev", "create", "v", "--device", "cpu0", "--memory", f"{LIMIT_MIB}M")
    for case in (case_read, case_shared, case_rewritten, case_truncated, case_usable, case_quantised,
                 case_end):
        tap.case(case, world)
    tap.end()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Weights that are a file: read where they lie, rewritten and cut short under the worker. TAP.

Runs under User-mode Linux, on ggml's CPU.
"""
import os
import re
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from guest import (ENDLESS, MODEL, ON_VDEV, PLAIN, complaint, completion, generating, run,  # noqa: E402
                   same_text, start, whole_text)
from tap import Tap, check, chosen  # noqa: E402  pylint: disable=wrong-import-position

CLIENT = os.path.join(infini.TREE, "build/e2e/weights")
MIB = 1 << 20
# What weights.c computes.
COLUMNS = ROWS = 4096
BLOCK, Q4_0_BYTES = 32, 18
LIMIT_MIB = 32
VDEVS = ("v", "w", "x", "y")
# Of the model: its head and the embeddings, which llama.cpp itself reads, come first.
READ_BY_LLAMA = MIB


class World:
    """The daemon, and a file of weights for it in memory."""

    def __init__(self, out):
        self.daemon = infini.Daemon(out, ["cpu0"], "[backend ggml]\ndevices = cpu0\n", "idle_exit_s = 0\n")
        self.path = "/tmp/weights"
        self.clients = []
        self.llamas = []
        self.text = b""

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
    before = available()
    for vdev in VDEVS[1:]:
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


# ---- unmodified llama.cpp ----

def llama(world, vdev, *more):
    """One that generates until it is ended."""
    process = start(completion(*ON_VDEV, *more, *ENDLESS, model=world.path), vdev)
    generating(vdev)
    return process


def end(processes):
    for process in processes:
        process.kill()
        process.communicate()


def resident(pid, path):
    """Bytes of a file that a process has mapped: those in memory, and its share of them."""
    rss = pss = 0
    inside = False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if "-" in words[0]:
                inside = words[-1] == path
            elif inside and words[0] == "Rss:":
                rss += int(words[1]) << 10
            elif inside and words[0] == "Pss:":
                pss += int(words[1]) << 10
    return rss, pss


def case_llama(world):
    """llama.cpp with its weights in a file: the text of the plain CPU device"""
    world.end()
    world.path = "/tmp/model.gguf"
    shutil.copy(MODEL, world.path)
    world.text = whole_text(completion(*ON_VDEV, model=world.path), infini.tenant("v"))
    same_text(world.text, whole_text(completion(*PLAIN)), "the vdev against the plain CPU")


def case_llama_uploads(world):
    """llama.cpp without mmap uploads the weights: they are charged, no file is behind them"""
    uploads = llama(world, "v", "-lm", "none")
    maps = llama(world, "w")
    try:
        counts = [stats(vdev) for vdev in ("v", "w")]
        check(not counts[0]["file_bytes"], f"{counts[0]['file_bytes']} bytes of files")
        less = counts[0]["memory_used_bytes"] - counts[1]["memory_used_bytes"]
        print(f"# {less / MIB:.1f} MiB less are charged with the file", flush=True)
        check(less > os.path.getsize(MODEL) // 2, f"{less} bytes less are charged with the file")
    finally:
        end([uploads, maps])


def case_llama_copies(world):
    """llama.cpp with a file that is gone: its weights are copied, it says so, the text is the same"""
    gone = "/tmp/gone.gguf"
    shutil.copy(MODEL, gone)
    with open(gone, "rb") as file:
        os.unlink(gone)
        done = subprocess.run(completion(*ON_VDEV, model=f"/dev/fd/{file.fileno()}"),
                              pass_fds=[file.fileno()], env=infini.tenant("v"), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=240, check=False)
    err = done.stderr.decode(errors="replace")
    check(not done.returncode, f"exit status {done.returncode}: {err[-300:]}")
    check("copied, and not shared" in err, "nothing is said of it")
    # Its last words may be missing, as they may of any.
    least = min(len(done.stdout), len(world.text))
    check(least > 60, f"{done.stdout}")
    same_text(done.stdout[:least], world.text[:least], "copied weights")


def case_llama_overlay(world):
    """a model on an overlay, where mappings have another inode number than files: read in place too"""
    folder, name = os.path.split(MODEL)
    os.makedirs("/tmp/overlay")
    # To be read only it wants two folders.
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={folder}:{folder}/../e2e",
                    "/tmp/overlay"], check=True)
    path = os.path.join("/tmp/overlay", name)
    env = dict(infini.tenant("v"), INFINI_TRACE="1")
    status, text, err = run(completion(*ON_VDEV, model=path), env)
    check(not status, f"exit status {status}: {err[-300:]}")
    check(" copied_bytes=0" in err and " mapped_bytes=0" not in err, err[-300:])
    least = min(len(text), len(world.text))
    same_text(text[:least], world.text[:least], "weights on an overlay")
    subprocess.run(["umount", "/tmp/overlay"], check=True)


def case_llama_shares(world):
    """four llama.cpp on four vdevs have the weights in memory once"""
    world.llamas = [llama(world, vdev) for vdev in VDEVS]
    size = os.path.getsize(world.path)
    total = 0
    for vdev, process in zip(VDEVS, world.llamas):
        counts = stats(vdev)
        check(0 < counts["file_bytes"] < size + 4096, f"{counts['file_bytes']} bytes of files")
        rss, pss = resident(infini.vdevs()[vdev]["executor_pid"], world.path)
        check(rss > size // 2, f"the worker has {rss} bytes of the file")
        total += pss + resident(process.pid, world.path)[1]
    print(f"# the file's {size / MIB:.1f} MiB are {total / MIB:.1f} in eight processes", flush=True)
    check(total <= size + 4096, f"{total} bytes of a file of {size}")


def case_llama_truncated(world):
    """the model cut short under them: each says so and ends, the workers are the same"""
    pids = [infini.vdevs()[vdev]["executor_pid"] for vdev in VDEVS]
    os.truncate(world.path, READ_BY_LLAMA)
    for vdev, process in zip(VDEVS, world.llamas):
        lines = complaint(process, f"truncated model on {vdev}")
        check(any("truncated" in line for line in lines), f"lines {lines}")
    check(pids == [infini.vdevs()[vdev]["executor_pid"] for vdev in VDEVS], "a worker is another")


def case_end(world):
    """nothing of it stays, and the module can be unloaded"""
    world.end()
    for vdev in VDEVS:
        infini.wait_until(f"clients of {vdev} are gone", lambda v=vdev: not stats(v)["clients"])
        infini.wait_until(f"files of {vdev} are let go", lambda v=vdev: not stats(v)["file_bytes"])
        infini.ctl("vdev", "delete", vdev)
    world.daemon.stop()
    infini.unload_module()


def main():
    tap = Tap()
    infini.load_module()
    world = World(sys.argv[1])
    world.daemon.start()
    for vdev in VDEVS:
        infini.ctl("vdev", "create", vdev, "--device", "cpu0", "--memory", f"{LIMIT_MIB}M")
    for case in chosen(globals(), sys.argv[2:]):
        tap.case(case, world)
    tap.end()


if __name__ == "__main__":
    main()

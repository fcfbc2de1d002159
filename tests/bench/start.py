#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Time from a program's start to its first token, and the memory that this takes, through Infini and without;
as root in a machine whose compute runs at the host's speed. Counted, what all processes together execute until
then, in a machine that counts its instructions, where a nanosecond is half of one.

start.py OUT [counted]: prints rows.
"""
import os
import signal
import subprocess
import sys
import time

import llama
from llama import INFINI, PLAIN, infini
from row import row, show

MODELS = (("stories", "2.0 M"), ("24M", "24 M"), ("110M", "110 M"))
ROUNDS, COUNTED_ROUNDS = 7, 3
FOUR = ("a", "b", "c", "d")
MIB = 1 << 20


# Where "-dev" names a device, llama.cpp loads all its libraries to look for it, and once more for the model. The vdev
# is the only device that it finds by itself here.
WORDS = {INFINI: ["-ngl", "99"], PLAIN: llama.words(PLAIN)}


def command(way, name, tokens):
    return ["llama-completion", "-m", llama.model(name), "-no-cnv", "-p", "w1", "-n", str(tokens), "-c", "64",
            "-b", "32", "--temp", "0", "-t", "1", "-fit", "off", "--simple-io", "--no-warmup", "--ignore-eos",
            "--no-display-prompt", *WORDS[way]]


def workers():
    """Processes that compute for vdevs."""
    return [vdev["executor_pid"] for vdev in infini.vdevs().values() if vdev.get("executor_pid")]


def field_bytes(pid, file, field):
    with open(f"/proc/{pid}/{file}", encoding="ascii") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field + ":"))


def executed():
    """Nanoseconds that any process has run for; what nobody ran for, such as waiting for the host's files, is not
    in it."""
    with open("/proc/schedstat", encoding="ascii") as file:
        return sum(int(line.split()[7]) for line in file if line.startswith("cpu"))


class Tenant:
    """A program that has said its first token and stands still."""

    def __init__(self, way, name, vdev="a", clock=time.monotonic):
        began = clock()
        self.process = subprocess.Popen(command(way, name, 40), env=llama.environment(way, vdev),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        if not self.process.stdout.read(1):
            raise infini.Trouble(f"llama-completion, {way}, {name}: no token, status {self.process.wait()}")
        self.took = clock() - began
        self.process.send_signal(signal.SIGSTOP)
        if bool(workers()) != (way == INFINI):
            raise infini.Trouble(f"llama-completion, {way}, {name}: workers {workers()}")

    def peak(self):
        """Of it and of the worker, which started with it; pages that both have count once."""
        return sum(field_bytes(pid, "status", "VmHWM") - field_bytes(pid, "smaps_rollup", "Rss") +
                   field_bytes(pid, "smaps_rollup", "Pss") for pid in (self.process.pid, *workers()))

    def end(self):
        self.process.kill()
        self.process.wait()


def gone():
    """The next one starts with no worker."""
    infini.wait_until("workers end", lambda: not workers())


def started(way, name, clock):
    """What one start takes, by that clock, and bytes."""
    tenant = Tenant(way, name, clock=clock)
    peak = tenant.peak()
    tenant.end()
    gone()
    return tenant.took, peak


def proportional(way, name, vdevs):
    """Bytes of that many tenants and their workers; a page that several have counts once."""
    tenants = [Tenant(way, name, vdev) for vdev in vdevs]
    try:
        pids = [tenant.process.pid for tenant in tenants] + workers()
        return sum(field_bytes(pid, "smaps_rollup", "Pss") for pid in pids)
    finally:
        for tenant in tenants:
            tenant.end()
        gone()


def weights_held(way, name):
    """How often four tenants of one file hold its weights: what three more of them take, less what three
    more of a file next to nothing take."""
    more = [proportional(way, each, FOUR) - proportional(way, each, FOUR[:1]) for each in (name, "0.9M")]
    return 1 + (more[0] - more[1]) / os.path.getsize(llama.model(name))


def rounds(name, number, clock=time.monotonic):
    """What each way took, round for round."""
    samples = {INFINI: [], PLAIN: []}
    for _ in range(number):
        for way, some in samples.items():
            some.append(started(way, name, clock))
    return [list(zip(*some)) for some in samples.values()]


def timed():
    for name, words in MODELS:
        (ours, peak), (plain, plain_peak) = rounds(name, ROUNDS)
        show(row(f"start to first token, {words}", list(ours), "s", list(plain), PLAIN, "<= 1.05",
                 f"no worker before; least {min(ours):.2f} s and {min(plain):.2f} s"))
        show(row(f"memory at its peak, {words}", [m / MIB for m in peak], "MiB", [m / MIB for m in plain_peak],
                 PLAIN, "<= 1.05", "client and worker"))
    show(row("copies of the weights that four tenants of one file hold, 110 M", weights_held(INFINI, "110M"),
             "copies", weights_held(PLAIN, "110M"), PLAIN, "<= 1.05"))


def counted():
    for name, words in MODELS:
        # The first one finds files that nobody has read.
        rounds(name, 1)
        (ours, _), (plain, _) = rounds(name, COUNTED_ROUNDS, executed)
        show(row(f"start to first token, {words}, by instructions", [ns / 2e6 for ns in ours], "million",
                 [ns / 2e6 for ns in plain], PLAIN, "<= 1.05", "of all processes; no worker before"))


def main():
    # A worker that is not needed ends at once.
    with llama.World(sys.argv[1], FOUR, "600M", idle_exit_s=1):
        if sys.argv[2:] == ["counted"]:
            counted()
        else:
            timed()


if __name__ == "__main__":
    main()

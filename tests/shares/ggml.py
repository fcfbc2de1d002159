#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Promises of the scheduler with llama.cpp as tenants, in real time.

Runs under User-mode Linux, whose one processor is the device and runs the clients too. The clients
go first there, so that a client that samples a token is soon back with its next job. What is
measured is occupancy, by the kernel, over a time in which all had work. When the host takes the
processor away, whoever has the slot is charged for it and pays it back over the next second or two:
so a measurement begins and ends when that has not happened for a while.
Prints TAP, writes OUT/ggml.json.
"""
import argparse
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import MODULE, Table, infini, option_words  # noqa: E402

MODEL = os.path.join(infini.TREE, "tests/model/stories.gguf")
SECONDS = 10
PROMPTS = ("Once upon a time", "The little fox")
# Shares may be off by this much of themselves.
WITHIN_PCT = 5
BACKLOGGED = 0.98


class Host:
    """Watches for times in which the machine as a whole stood still."""

    STALL_S, CALM_S, PATIENCE_S = 0.02, 2, 15

    def __init__(self):
        self.stalled = time.monotonic()
        self.stalls = 0
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        before = time.monotonic()
        while True:
            time.sleep(0.005)
            now = time.monotonic()
            if now - before > self.STALL_S:
                self.stalled = now
                self.stalls += 1
            before = now

    def wait_calm(self):
        """Until there was no stall for a while; on a host that is never calm not for ever."""
        end = time.monotonic() + self.PATIENCE_S
        while time.monotonic() - self.stalled < self.CALM_S and time.monotonic() < end:
            time.sleep(0.05)


class Tenant:
    """A vdev with llama.cpp processes on it that never come to an end."""

    def __init__(self, name, commands, **options):
        self.name = name
        infini.ctl("vdev", "create", name, "--device", "cpu0", "--memory", "200M")
        self.set(**options)
        self.clients = [subprocess.Popen(
            command, env=infini.tenant(name), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
        infini.wait_until(f"vdev {name} is at work", self.at_work, 120)

    def at_work(self):
        """Every client has come past its model and its prompt."""
        for client in self.clients:
            if client.poll() is not None:
                raise infini.Trouble(f"llama.cpp on vdev {self.name} ended: {client.returncode}")
        stats = infini.vdevs()[self.name]["stats"]
        return stats["queues"] >= len(self.clients) and stats["tokens_evaluated"] >= 600

    def set(self, **options):
        if options:
            infini.ctl("vdev", "set", self.name, *option_words(options))

    def end(self):
        for client in self.clients:
            client.kill()
        for client in self.clients:
            client.wait()
        infini.ctl("vdev", "delete", self.name, "--force")


def generations():
    """Two generations that go on and on; as little as possible is done beside computing."""
    return [["llama-completion", "-m", MODEL, "-no-cnv", "-p", prompt, "-n", "1000000", "-c",
             "512", "--context-shift", "--ignore-eos", "--samplers", "top_k", "--top-k", "1", "-t",
             "1", "-fit", "off", "--simple-io", "--log-disable", "-ngl", "99", "-dev", "INFINI0"]
            for prompt in PROMPTS]


def prompts():
    """A prompt of 512 tokens again and again: jobs of many quanta."""
    return [["llama-bench", "-m", MODEL, "-p", "512", "-n", "0", "-r", "1000000", "-t", "1",
             "-ngl", "99", "-dev", "INFINI0"]]


class Window:
    """What the kernel counted for every vdev over some seconds."""

    def __init__(self, host, seconds=SECONDS, calm_before=True):
        if calm_before:
            host.wait_calm()
        stalls, begin, before = host.stalls, time.monotonic(), infini.vdevs()
        time.sleep(seconds)
        host.wait_calm()
        self.seconds, after = time.monotonic() - begin, infini.vdevs()
        self.stalls = host.stalls - stalls
        self.rise = {name: {key: value - before[name]["stats"][key]
                            for key, value in vdev["stats"].items() if isinstance(value, int)}
                     for name, vdev in after.items()}

    def got(self, name):
        return self.rise[name]["occupancy_ns"] / 1e9

    def percent(self, name):
        return 100 * self.got(name) / self.seconds

    def backlogged(self, names):
        """The part of the time in which all of them had work, or less."""
        return min(self.rise[name]["runnable_ns"] for name in names) / 1e9 / self.seconds

    def per_second(self, name, *kinds):
        """Tokens of these kinds."""
        return sum(self.rise[name][f"tokens_{kind}"] for kind in kinds) / self.seconds

    def detail(self, names):
        stalls = f"; the host stalled {self.stalls} times" if self.stalls else ""
        return f"{self.seconds:.0f} s, " + ", ".join(
            f"{name} {self.per_second(name, 'generated'):.0f} tokens/s" for name in names) + stalls


def weights(table, name, tenants, parts, calm_before=True):
    for tenant, part in zip(tenants, parts):
        tenant.set(weight=part)
    time.sleep(0.1)
    window = Window(table.host, calm_before=calm_before)
    names = [tenant.name for tenant in tenants]
    table.ratio(name, [part / min(parts) for part in parts], [window.got(n) for n in names],
                WITHIN_PCT, window.backlogged(names), BACKLOGGED, window.detail(names))
    return window


def case_weights(table):
    """two and four vdevs with two generations each"""
    tenants = []
    try:
        tenants = [Tenant(name, generations()) for name in ("a", "b")]
        weights(table, "weights 10:90", tenants, (100, 900))
        weights(table, "hot update of 10:90 to 90:10, from 100 ms on", tenants, (900, 100),
                calm_before=False)
        tenants += [Tenant(name, generations()) for name in ("c", "d")]
        window = weights(table, "weights 1:1:1:1", tenants, (100,) * 4)
        table.at_least("four vdevs together keep the device busy", 98,
                       sum(window.percent(tenant.name) for tenant in tenants))
        weights(table, "weights 1:2:4:8", tenants, (100, 200, 400, 800))
    finally:
        for tenant in tenants:
            tenant.end()


def case_limits(table):
    """cap, floor and rate of a vdev with two generations"""
    tenants = []
    try:
        tenants = [Tenant("a", generations())]
        tenants[0].set(cap="20%")
        table.near("cap 20 % alone", 20, Window(table.host).percent("a"), 1)
        tenants[0].set(cap="none", rate="100")
        time.sleep(3)
        window = Window(table.host)
        table.near("100 tokens/s after the burst, prompts and answers", 100,
                   window.per_second("a", "evaluated"), 1, "tokens/s", window.detail("a"))
        tenants[0].set(rate="none", weight=1, floor="30%")
        tenants += [Tenant(name, generations(), weight=1000) for name in ("b", "c")]
        window = Window(table.host)
        table.at_least("floor 30 % of weight 1 against two of weight 1000", 29.7,
                       window.percent("a"))
    finally:
        for tenant in tenants:
            tenant.end()


def wait_p99_ms(vdev):
    """Of the jobs of the next seconds, from submission or preemption to dispatch."""
    line = json.loads(infini.ctl("stats", vdev, "--interval", f"{SECONDS}s", "--json"))
    return line["vdevs"][0]["queue_wait_p99_ns"] / 1e6


def case_latency(table):
    """a generation beside two vdevs with long prompts"""
    tenants = []
    try:
        tenants = [Tenant(name, prompts(), **{"class": "batch"}) for name in ("b", "c")]
        tenants.append(Tenant("a", generations()[:1], **{"class": "latency"}))
        first = wait_p99_ms("a")
        tenants[-1].set(**{"class": "batch"})
        same = wait_p99_ms("a")
        table.at_most("latency class: p99 wait, half of that in the class of the prompts",
                      same / 2, first, "ms", f"in the same class {same:.1f} ms")
    finally:
        for tenant in tenants:
            tenant.end()


CASES = {name.removeprefix("case_"): value for name, value in list(globals().items())
         if name.startswith("case_")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("cases", nargs="*", help=f"only these: {' '.join(CASES)}")
    args = parser.parse_args()
    infini.load_module(MODULE)
    daemon = infini.Daemon(args.out, ["cpu0"], "[backend ggml]\ndevices = cpu0\n",
                           "idle_exit_s = 0\nthreads_max = 1\n")
    daemon.start()
    # After the daemon, whose workers are to come behind the clients.
    os.nice(-20)
    table = Table(args.out, "ggml", Host())
    table.run(CASES, args.cases)
    daemon.stop()
    infini.unload_module()
    sys.exit(table.end())


if __name__ == "__main__":
    main()

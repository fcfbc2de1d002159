#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Promises of the scheduler in real time: llama.cpp as tenants on the devices of libggml, and kernels in
OpenCL C.

Runs under User-mode Linux, whose one processor is the device and runs the clients too. The clients
go first there, so that a client that samples a token is soon back with its next job. What is
measured is occupancy, by the kernel, over a time in which all had work. When the host takes the
processor away, whoever has the slot is charged for it and pays it back over the next second or two:
so a measurement begins and ends when that has not happened for a while.
Prints TAP, writes OUT/BACKEND.json.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import null  # noqa: E402  pylint: disable=wrong-import-position
from world import LOAD, Chip, Table, infini, option_words  # noqa: E402

MODEL = os.path.join(infini.TREE, "tests/model/stories.gguf")
KERNEL = os.path.join(infini.TREE, "tests/shares/turn.cl")
SECONDS = 10
PROMPTS = ("Once upon a time", "The little fox")
# Shares may be off by this much of themselves.
WITHIN_PCT = 5
BACKLOGGED = 0.98
# Compiling is part of a kernel's first job.
MOST_MS = 600000
PARAMETERS = "/sys/module/infini/parameters"
TRACING = "/sys/kernel/tracing"


class Ggml:
    """The CPU of libggml; what runs on it is llama.cpp."""

    name, device, config, memory = "ggml", "cpu0", "[backend ggml]\ndevices = cpu0\n", "200M"
    rate_detail = "prompts and answers"
    limits = ()
    # When a client has come past its model and its prompt, and how long that may take.
    tokens, patience_s = 600, 120
    # A long job against another of its kind is in the slot no longer than this in the mean.
    slice_ms = 20
    # Tokens of a long prompt.
    prompt = 2048
    # Of a measurement of weights: one job more or less of who gets a fifteenth is not to show.
    seconds = 10

    def start(self, out):
        """What there must be before infinid."""

    def end(self):
        """What start() left."""

    def steady(self, vdev):
        """Two generations that go on and on; as little as possible is done beside computing."""
        return [["llama-completion", "-m", MODEL, "-no-cnv", "-p", prompt, "-n", "1000000", "-c",
                 "512", "--context-shift", "--ignore-eos", "--samplers", "top_k", "--top-k", "1", "-t",
                 "1", "-fit", "off", "--simple-io", "--log-disable", "-ngl", "99", "-dev", "INFINI0"]
                for prompt in PROMPTS]

    def long(self, vdev):
        """A long prompt again and again: jobs of many quanta."""
        tokens = str(self.prompt)
        return [["llama-bench", "-m", MODEL, "-p", tokens, "-b", tokens, "-ub", tokens, "-n", "0",
                 "-r", "1000000", "-t", "1", "-ngl", "99", "-dev", "INFINI0"]]

    def at_work(self, stats, nr_clients):
        return stats["queues"] >= nr_clients and stats["tokens_evaluated"] >= self.tokens


class Vulkan(Ggml):
    """Mesa's lavapipe."""

    name, device, config = "vulkan", "vulkan0", "[backend ggml]\ndevices = vulkan0\n"
    # Compiling its shaders is slow; a segment of a longer prompt takes a part of the measured time that is seen.
    tokens, patience_s, slice_ms, prompt, seconds = 60, 400, 100, 128, 40

    def start(self, out):
        # ggml leaves software devices out unless they are asked for by number.
        os.environ["GGML_VK_VISIBLE_DEVICES"] = "0"


class Remote(Ggml):
    """As many servers of ggml as there are vdevs at once."""

    name, device = "remote", "far"
    # It computes in processes of its own, on the same processor here.
    tokens, patience_s, slice_ms, prompt, seconds = 60, 400, 100, 512, 40
    endpoints = [f"127.0.0.1:{port}" for port in range(50052, 50056)]
    config = f"[backend ggml]\ndevices = none\n[remote far]\nendpoint = {' '.join(endpoints)}\nretry_s = 1\n"
    limits = (("more vdevs at once than the remote machine has servers",
               "a server has one client from its first word to its last"),)

    def start(self, out):
        self.servers = []
        for endpoint in self.endpoints:
            self.servers.append(infini.rpc_server(endpoint, os.path.join(out, f"server-{endpoint}.log")))

    def end(self):
        for server in self.servers:
            server.kill()
            server.wait()


class OpenCL:
    """PoCL on the CPU; what runs on it are kernels that may be cut, and others that may not."""

    name, device, memory = "opencl", "opencl0", "200M"
    config = "[backend ggml]\nenabled = no\n[backend opencl]\nenabled = yes\n"
    rate_detail = "of which clients tell"
    patience_s, slice_ms, seconds = 120, 20, 10
    limits = (("100 tokens/s in spite of a client that tells of none",
               "what a kernel in OpenCL C computes are no tokens to the backend; a cap bounds such a vdev"),
              ("preemption of a kernel that may not be cut",
               "level LAUNCH: others wait for its end, at most for the job's timeout"))

    def start(self, out):
        """The driver is a library."""

    def end(self):
        """Nothing was left."""

    def load(self, vdev, **words):
        words = {"cl": KERNEL, "segment_us": 200, "inflight": 2, "claims": 1, **words}
        return [[LOAD, "-d", "100000000", "-t",
                 ",".join([f"vdev={vdev}", *(f"{key}={value}" for key, value in words.items())])]]

    def steady(self, vdev):
        """Jobs of half a quantum or so."""
        return self.load(vdev, segments=5)

    def long(self, vdev):
        """Jobs of many quanta."""
        return self.load(vdev, segments=500)

    def whole(self, vdev):
        """The same, not to be cut."""
        return self.load(vdev, segments=500, whole=1)

    def at_work(self, stats, nr_clients):
        return stats["queues"] >= nr_clients and stats["jobs_completed"] >= 3


CHIPS = {chip.name: chip for chip in (Ggml, Vulkan, Remote, OpenCL)}


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
    """A vdev with processes on it that never come to an end; @kind: "steady", "long" or "whole"."""

    def __init__(self, chip, name, kind="steady", clients=None, **options):
        self.chip, self.name = chip, name
        infini.ctl("vdev", "create", name, "--device", chip.device, "--memory", chip.memory)
        self.set(**options)
        self.clients = []
        try:
            for command in getattr(chip, kind)(name)[:clients]:
                self.start(command)
            infini.wait_until(f"vdev {name} is at work", self.at_work, chip.patience_s)
        except infini.Trouble:
            stats = infini.vdevs()[name]["stats"]
            print(f"# {name}: {stats['queues']} queues, {stats['jobs_completed']} jobs, "
                  f"{stats['tokens_evaluated']} tokens", flush=True)
            self.end()
            raise

    def start(self, command):
        self.clients.append(subprocess.Popen(
            command, env=infini.tenant(self.name), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.chip.log))

    def at_work(self):
        for client in self.clients:
            if client.poll() is not None:
                raise infini.Trouble(f"{client.args[0]} on vdev {self.name} ended: {client.returncode}")
        return self.chip.at_work(infini.vdevs()[self.name]["stats"], len(self.clients))

    def set(self, **options):
        if options:
            infini.ctl("vdev", "set", self.name, *option_words(options))

    def end(self):
        for client in self.clients:
            client.kill()
        for client in self.clients:
            client.wait()
        infini.ctl("vdev", "delete", self.name, "--force")


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

    def per_second(self, name, *counters):
        return sum(self.rise[name][counter] for counter in counters) / self.seconds

    def detail(self, names):
        stalls = f"; the host stalled {self.stalls} times" if self.stalls else ""
        return f"{self.seconds:.0f} s, " + ", ".join(
            f"{name} {self.per_second(name, 'tokens_generated'):.0f} tokens/s" for name in names) + stalls


def weights(table, name, tenants, parts, calm_before=True):
    for tenant, part in zip(tenants, parts):
        tenant.set(weight=part)
    time.sleep(0.1)
    window = Window(table.host, table.chip.seconds, calm_before)
    names = [tenant.name for tenant in tenants]
    table.ratio(name, [part / min(parts) for part in parts], [window.got(n) for n in names],
                WITHIN_PCT, window.backlogged(names), BACKLOGGED, window.detail(names))
    return window


def case_weights(table):
    """two and four vdevs, each always with work"""
    tenants = []
    try:
        tenants = [Tenant(table.chip, name) for name in ("a", "b")]
        weights(table, "weights 10:90", tenants, (100, 900))
        weights(table, "hot update of 10:90 to 90:10, from 100 ms on", tenants, (900, 100),
                calm_before=False)
        tenants += [Tenant(table.chip, name) for name in ("c", "d")]
        window = weights(table, "weights 1:1:1:1", tenants, (100,) * 4)
        table.at_least("four vdevs together keep the device busy", 98,
                       sum(window.percent(tenant.name) for tenant in tenants))
        weights(table, "weights 1:2:4:8", tenants, (100, 200, 400, 800))
    finally:
        for tenant in tenants:
            tenant.end()


def per_second(window, name):
    """Tokens; a generated one is evaluated too, where the worker counts."""
    return max(window.per_second(name, "tokens_evaluated"), window.per_second(name, "tokens_generated"))


def case_limits(table):
    """cap, floor and rate of a vdev"""
    tenants = []
    try:
        tenants = [Tenant(table.chip, "a")]
        tenants[0].set(cap="20%")
        table.near("cap 20 % alone", 20, Window(table.host).percent("a"), 1)
        tenants[0].set(cap="none")
        time.sleep(0.1)
        rate = max(min(100, round(per_second(Window(table.host), "a") / 2)), 1)
        tenants[0].set(rate=rate)
        time.sleep(3)
        window = Window(table.host)
        table.near(f"{rate} tokens/s after the burst, {table.chip.rate_detail}", rate,
                   per_second(window, "a"), 0.1 + rate / 100, "tokens/s", window.detail("a"))
        tenants[0].set(rate="none", weight=1, floor="30%")
        tenants += [Tenant(table.chip, name, weight=1000) for name in ("b", "c")]
        window = Window(table.host)
        table.at_least("floor 30 % of weight 1 against two of weight 1000", 29.7,
                       window.percent("a"))
    finally:
        for tenant in tenants:
            tenant.end()


class Trace:
    """Jobs that were stopped: segments and milliseconds in the slot each time before that."""

    EVENTS = ("infini_job_dispatch", "infini_job_preempt")
    LINE = re.compile(r"(infini_job_\w+): .*?(client=\d+ queue=\d+) .*?(seqno=\d+) .*?segment=(\d+) "
                      r".*?occupancy_ns=(\d+)")

    def __init__(self):
        self.slices = []

    def __enter__(self):
        with open(os.path.join(TRACING, "trace"), "w", encoding="ascii"):
            pass
        self.enable("1")
        return self

    def __exit__(self, *_):
        self.enable("0")
        before = {}
        with open(os.path.join(TRACING, "trace"), encoding="utf-8", errors="replace") as file:
            for event, *job, segment, occupancy in self.LINE.findall(file.read()):
                now = int(segment), int(occupancy) / 1e6
                begin = before.setdefault(tuple(job), now)
                if event == "infini_job_dispatch":
                    continue
                before[tuple(job)] = now
                # Others were given back without having begun.
                if now[0] > begin[0]:
                    self.slices.append((now[0] - begin[0], now[1] - begin[1]))

    def enable(self, value):
        for event in self.EVENTS:
            with open(os.path.join(TRACING, "events/infini", event, "enable"), "w", encoding="ascii") as file:
                file.write(value)

    def segments(self):
        """Of a slice, in the mean; 0 when nothing was stopped."""
        return sum(segments for segments, _ in self.slices) / max(len(self.slices), 1)

    def segment_ms(self):
        """The longest."""
        return max((ms / segments for segments, ms in self.slices), default=0.0)


def wait_p99_ms(vdev):
    """Of the jobs of the next seconds, from submission or preemption to dispatch."""
    line = json.loads(infini.ctl("stats", vdev, "--interval", f"{SECONDS}s", "--json"))
    return line["vdevs"][0]["queue_wait_p99_ns"] / 1e6


def case_latency(table):
    """short jobs beside two vdevs with long ones"""
    tenants = []
    try:
        tenants = [Tenant(table.chip, name, "long", **{"class": "batch"}) for name in ("b", "c")]
        tenants.append(Tenant(table.chip, "a", clients=1, **{"class": "latency"}))
        with Trace() as trace:
            first = wait_p99_ms("a")
        tenants[-1].set(**{"class": "batch"})
        same, segment = wait_p99_ms("a"), trace.segment_ms()
        table.at_most("latency class: p99 wait, one segment of the long jobs or half of that in their class",
                      max(same / 2, segment), first, "ms",
                      f"in the same class {same:.1f} ms, the longest segment {segment:.1f} ms")
    finally:
        for tenant in tenants:
            tenant.end()


def slices(table, kind, name):
    """Long jobs against each other: ms of a slice in the mean, how often they were stopped, and each time."""
    tenants, trace = [], Trace()
    try:
        tenants = [Tenant(table.chip, vdev, kind) for vdev in ("a", "b")]
        with trace:
            window = weights(table, name, tenants, (100, 100))
        return (max(1000 * window.got(t.name) / max(window.rise[t.name]["slices"], 1) for t in tenants),
                sum(window.rise[t.name]["preemptions"] for t in tenants), trace)
    finally:
        for tenant in tenants:
            tenant.end()


def case_preemption(table):
    """a long job is stopped between its segments"""
    mean, stopped, trace = slices(table, "long", "long jobs against each other")
    name = "long jobs against each other: a slice, in the mean"
    segments, longest = trace.segments(), trace.segment_ms()
    detail = f"{stopped} preemptions in {SECONDS} s, {segments:.1f} segments each, the longest {longest:.1f} ms"
    if longest > table.chip.slice_ms:
        table.limit(f"{name}: {table.chip.slice_ms} ms", "a segment takes longer on this chip, and what is "
                    "computed at once cannot be cut")
        table.at_most(f"{name}, in segments", 1, segments, "", detail)
    else:
        table.at_most(name, table.chip.slice_ms, mean, "ms", detail)
    if not hasattr(table.chip, "whole"):
        return
    mean, stopped, _ = slices(table, "whole", "jobs that may not be cut against each other")
    print(f"# not to be cut: {mean:.1f} ms a slice, {stopped} preemptions", flush=True)


def set_timeouts(milliseconds):
    """What jobs get that ask for nothing, and the most that they may ask for."""
    for name in ("default_timeout_ms", "max_timeout_ms"):
        with open(os.path.join(PARAMETERS, name), "w", encoding="utf-8") as file:
            file.write(str(milliseconds))


def job_ms(window, name):
    return 1000 * window.got(name) / max(window.rise[name]["jobs_completed"], 1)


def case_timeout(table):
    """a job ends when its time is up, and only that job"""
    tenants = []
    try:
        tenants = [Tenant(table.chip, "b"), Tenant(table.chip, "a", "long")]
        before, window = infini.vdevs(), Window(table.host)
        short, long = (job_ms(window, name) for name in ("b", "a"))
        milliseconds = max(round(long / 2), 1)
        set_timeouts(milliseconds)
        infini.wait_until("the client whose jobs take too long ends", lambda:
                          tenants[1].clients[0].poll() is not None)
        set_timeouts(MOST_MS)
        ended = {vdev: infini.vdevs()[vdev]["stats"]["jobs_timed_out"] for vdev in ("a", "b")}
        table.at_least(f"timeout of {milliseconds} ms: jobs of {long:.1f} ms that end so", 1, ended["a"], "",
                       f"their client ended with {tenants[1].clients[0].returncode}")
        table.at_most(f"timeout of {milliseconds} ms: jobs of the other vdev, of {short:.1f} ms", 0,
                      ended["b"], "")
        generations = [vdevs["b"]["stats"]["executor_generation"] for vdevs in (before, infini.vdevs())]
        table.ratio("the other vdev's executor stays", [1, 1], generations, 0)
    finally:
        set_timeouts(MOST_MS)
        for tenant in tenants:
            tenant.end()


def case_memory(table):
    """a memory limit holds, and all of it can be had"""
    null.memory(table)


def case_level(table):
    """what is not promised"""
    for name, reason in table.chip.limits:
        table.limit(name, reason)


CASES = {name.removeprefix("case_"): value for name, value in list(globals().items())
         if name.startswith("case_")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=CHIPS)
    parser.add_argument("out")
    parser.add_argument("cases", nargs="*", help=f"only these: {' '.join(CASES)}")
    args = parser.parse_args()
    chip = CHIPS[args.backend]()
    Chip.device, Chip.memory = chip.device, 96
    infini.load_module()
    chip.log = open(os.path.join(args.out, "clients.log"), "w", encoding="utf-8")
    chip.start(args.out)
    daemon = infini.Daemon(args.out, [chip.device], chip.config, "idle_exit_s = 0\nthreads_max = 1\n")
    daemon.start()
    set_timeouts(MOST_MS)
    # After the daemon, whose workers are to come behind the clients.
    os.nice(-20)
    table = Table(args.out, chip.name, Host())
    table.chip = chip
    table.run(CASES, args.cases)
    daemon.stop()
    chip.end()
    infini.unload_module()
    sys.exit(table.end())


if __name__ == "__main__":
    main()

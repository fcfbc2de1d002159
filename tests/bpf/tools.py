# SPDX-License-Identifier: GPL-2.0-or-later
"""The BPF tools in a machine, load for them, and the world in which both are: for guest.py."""
import json
import os
import signal
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import infini  # noqa: E402  pylint: disable=wrong-import-position

NAMES = ("infinitop", "infinilat", "infinisnoop")
TOP, LAT, SNOOP = TOOLS = tuple(os.path.join(infini.TREE, "build/bpf", name) for name in NAMES)
LOAD = os.path.join(infini.TREE, "build/shares/load")
PINS = "/sys/fs/bpf/infini"
NULL = ("null0", "[backend null]\nenabled = yes\n", "60M")
CPU = ("cpu0", "[backend ggml]\ndevices = cpu0\n", "300M")


def ensure(true, what):
    if not true:
        raise infini.Trouble(what)


def command(*words, **options):
    """Its status, what it printed and what it complained of."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=60, **options)
    return done.returncode, done.stdout, done.stderr.strip()


def one_line(status, reason, *words, tools=TOOLS, **options):
    """Each tool ends with @status after one line that holds @reason."""
    for tool in tools:
        got, out, err = command(tool, *words, **options)
        ensure(got == status and not out and reason in err and "\n" not in err
               and err.startswith(os.path.basename(tool) + ": "),
               f"{tool} {' '.join(words)}: status {got}, said {err!r}, printed {out!r}")


def programs():
    """Names of the BPF programs of the tools that the kernel holds."""
    return [p["name"] for p in json.loads(command("bpftool", "-j", "prog", "show")[1])
            if p.get("name", "").startswith(("top_", "lat_", "snoop_"))]


def module_counters():
    return {v["name"]: v["stats"] for v in json.loads(infini.ctl("stats", "--json"))}


class Tool:
    """A tool, attached and running once this is made; @lines are what it printed, as objects."""

    running = []

    def __init__(self, *words, tool=TOP):
        if tool != SNOOP:
            words = ("--interval", "200ms", *words)
        self.name = os.path.basename(tool)
        self.process = subprocess.Popen([tool, "--json", *words], stdout=subprocess.PIPE, text=True)
        self.lines = []
        Tool.running.append(self.process)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        ensure(line, f"{self.name} ended by itself")
        self.lines.append(json.loads(line))

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.lines += map(json.loads, self.process.stdout.read().splitlines())
        return self.process.wait(20)

    def end_well(self):
        ensure(self.end() == 0, f"{self.name} did not end well")
        ensure(not self.lines[-1]["lost"], f"{self.name} lost {self.lines[-1]['lost']} events")
        return self

    def rows(self):
        """Of infinitop and infinilat: what they counted in all, by vdev."""
        return {row["vdev"]: row for row in self.lines[-1]["rows"]}

    def jobs(self, vdev):
        """Of infinisnoop: its jobs, or requests, of @vdev."""
        return [line for line in self.lines
                if line["type"] in ("job", "request") and line["vdev"] == vdev]


def tenants(milliseconds):
    """Two tenants of different weight and shape, until the time is over."""
    return [LOAD, "-d", str(milliseconds),
            "-t", "vdev=a,segments=4,segment_us=500,inflight=4,tokens=3",
            "-t", "vdev=b,segments=200,segment_us=500,inflight=2,tokens=7,clients=2"]


def work(milliseconds, **options):
    """Load until both tenants have been given tokens: how fast a machine is, is no matter here.

    Pids of the tenants, of which the last got the tokens."""
    before = module_counters()
    pids = []
    for _ in range(10):
        load = subprocess.Popen(tenants(milliseconds), stdout=subprocess.DEVNULL, **options)
        pids.append(load.pid)
        ensure(load.wait(60) == 0, "the load failed")
        if all(now["tokens_generated"] > before[name]["tokens_generated"]
               for name, now in module_counters().items()):
            return pids
    raise infini.Trouble("a tenant got no tokens")


def module_did(before):
    """What the module counted since, by vdev."""
    return {name: {key: value - before[name][key] for key, value in now.items()
                   if isinstance(value, int)}
            for name, now in module_counters().items()}


class World:
    """The module, infinid with one backend, and two vdevs of weights 1 and 3."""

    def __init__(self, out, module, backend=NULL):
        self.out, self.module = out, module
        self.device, self.sections, self.memory = backend

    def __enter__(self):
        infini.load_module(path=self.module)
        self.daemon = infini.Daemon(self.out, [self.device], self.sections, "idle_exit_s = 0\n")
        self.daemon.start()
        for name, weight in (("a", "100"), ("b", "300")):
            infini.ctl("vdev", "create", name, "--device", self.device, "--memory", self.memory,
                       "--weight", weight)

    def __exit__(self, *_):
        for name in ("a", "b"):
            infini.ctl_try("vdev", "delete", name, "--force")
        self.daemon.stop()


class Tap:
    """Runs cases, one line each."""

    def __init__(self):
        self.number, self.failed = 0, 0

    def run(self, case, name):
        self.number += 1
        begin = time.monotonic()
        Tool.running.clear()
        try:
            case()
            print(f"ok {self.number} - {name}", flush=True)
        except Exception as trouble:  # pylint: disable=broad-except
            if not isinstance(trouble, infini.Trouble):
                traceback.print_exc(file=sys.stdout)
            self.failed += 1
            # It shall not spoil the next case.
            for process in Tool.running:
                process.kill()
                process.wait()
            print(f"# {trouble}\nnot ok {self.number} - {name}", flush=True)
        print(f"# {time.monotonic() - begin:.1f} s")

    def end(self):
        print(f"1..{self.number}")
        sys.exit(1 if self.failed else 0)

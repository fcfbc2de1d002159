#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs every layer of tests, shows progress, writes build/check/results.json.

A layer is one command that prints TAP, KTAP or cmocka's own lines. A layer that prints no test,
or ends badly without saying which test failed, has failed itself. Once everything is built, as many
layers run at once as the machine has processors and memory for, and one more.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(TREE, "build", "check")
CHROOT = ["tests/vm/chroot", "--", "env", "CMOCKA_MESSAGE_OUTPUT=TAP"]

# A machine of a layer and what is around it, and the most of them that were tried at once.
LANE_MEMORY_KIB = 5 << 20
LANES_MAX = 3

# Name, what it is, command, seconds it may take. Those that others need, each alone; then the rest, those in
# machines last, of them the longest first.
FIRST = [
    ("tree", "rules of the source tree", ["python3", "tests/tree/check.py"], 120),
    ("build", "module and userspace, warnings are errors", ["tests/build-check"], 1800),
]
LAYERS = [
    ("docs", "manual and documents against the sources", ["tests/docs/check"], 300),
    ("core", "scheduler core on the host, sanitizers", ["make", "-s", "-C", "tests/core", "check"],
     900),
    ("bench", "how the benchmark reports", ["python3", "tests/bench/test_report.py"], 60),
    ("lib", "libinfini, error paths", CHROOT + ["make", "-s", "-C", "tests/lib", "check"], 600),
    ("ctl", "infinictl, words and units", CHROOT + ["make", "-s", "-C", "tests/ctl", "check"],
     600),
    ("daemon", "infinid against a fake channel",
     CHROOT + ["make", "-s", "-C", "tests/daemon", "check"], 600),
    ("backends", "every backend against the contract of backends",
     CHROOT + ["make", "-s", "-C", "tests/backends", "check"], 1800),
    ("ggml", "ggml backend, validation and segments",
     CHROOT + ["make", "-s", "-C", "tests/ggml", "check"], 1200),
    ("opencl", "OpenCL backend on PoCL, refusals and segments",
     CHROOT + ["make", "-s", "-C", "tests/opencl", "check"], 600),
    ("cuda", "CUDA backend on a driver that needs no GPU",
     CHROOT + ["make", "-s", "-C", "tests/cuda", "check"], 600),
    ("fuzz", "what reads bytes of strangers and the module's calls, from a fixed seed",
     ["tests/fuzz/run"], 1800),
    ("frontend", "ggml plugin under unmodified llama.cpp",
     CHROOT + ["make", "-s", "-C", "tests/frontend", "check"], 1200),
    ("native", "preemptions and operators at native speed, User-mode Linux",
     ["tests/e2e/check-native"], 1800),
    ("bpf", "what the BPF tools count and leave, in QEMU", ["tests/bpf/check"], 2400),
    ("selftest", "every ioctl and netlink command, QEMU and User-mode Linux",
     ["tests/selftest/check"], 2400),
    ("e2e", "llama.cpp tenants and new users' mistakes, User-mode Linux and QEMU",
     ["tests/e2e/check"], 2400),
    ("containers", "podman and containerd hand vdevs to containers, User-mode Linux and QEMU",
     ["tests/containers/check"], 2400),
    ("shares", "promised shares on the null backend, in virtual time", ["tests/shares/check"], 1200),
    ("recovery", "infinid replaced under load, and whatever else dies, User-mode Linux",
     ["tests/e2e/check-recovery"], 1200),
    ("metrics", "what Prometheus and infinictl bill are told under load, User-mode Linux",
     ["tests/e2e/check-metrics"], 1200),
    ("pool", "unlike devices side by side, and one of them lost, User-mode Linux",
     ["tests/e2e/check-pool"], 1200),
    ("flood", "a client that asks for all it can get and waits for nothing, User-mode Linux",
     ["tests/e2e/check-flood"], 900),
    ("vulkan", "a Vulkan device without memory for one vdev, User-mode Linux",
     ["tests/e2e/check-vulkan"], 900),
    ("files", "weights in a file, rewritten and cut short under their worker, User-mode Linux",
     ["tests/e2e/check-files"], 900),
    ("mixed", "unlike chips at once, vdevs placed by description, User-mode Linux",
     ["tests/e2e/check-mixed", "uml"], 1200),
    ("opencl-vdev", "OpenCL on vdevs, tenants who mean harm too, User-mode Linux",
     ["tests/e2e/check", "opencl"], 1800),
    ("attacks", "twenty attacks of tenants, and from inside workers, User-mode Linux",
     ["tests/e2e/check-attacks"], 900),
    ("commands", "command lines of the documents, programs of the manual, User-mode Linux",
     ["tests/docs/run"], 900),
    ("kunit", "core and objects under User-mode Linux, KASAN and lockdep",
     ["tests/kunit/run"], 1800),
    ("gpu", "kernels, faults and a lost GPU on a driver that needs none, User-mode Linux",
     ["tests/e2e/check-cuda"], 900),
]

TAP = re.compile(r"^\s*(not ok|ok)\s+\d*\s*(?:- )?(.*)$")
CMOCKA = re.compile(r"^\[\s+(OK|FAILED|SKIPPED)\s+\] (\S+)$")
SKIP = re.compile(r"^(.*?)\s*# SKIP\b\s*(.*)$", re.IGNORECASE)


def parse(line):
    """A line of output as (name, status, reason), or None."""
    match = CMOCKA.match(line)
    if match:
        return match[2], {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[match[1]], ""
    match = TAP.match(line)
    if not match:
        return None
    name = match[2].strip() or "unnamed"
    skip = SKIP.match(name)
    if skip and match[1] == "ok":
        return skip[1] or "unnamed", "skipped", skip[2]
    return name, "passed" if match[1] == "ok" else "failed", ""


class Report:
    """Rows of all layers, and the line on a terminal that says what happens."""

    def __init__(self):
        self.rows = []
        self.live = sys.stdout.isatty()
        self.lock = threading.Lock()

    def add(self, row):
        with self.lock:
            self.rows.append(row)
            if self.live:
                print(f"\r\033[K  {row['layer']}: {row['name'][:60]}", end="", flush=True)

    def show(self, lines):
        if not lines:
            return
        with self.lock:
            if self.live:
                print("\r\033[K", end="")
            print("\n".join(lines), flush=True)

    def count(self, status):
        return sum(row["status"] == status for row in self.rows)

    def write(self):
        os.makedirs(OUT, exist_ok=True)
        path = os.path.join(OUT, "results.json")
        with self.lock:
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(self.rows, file, indent=1)
            os.replace(path + ".new", path)


class Layer:
    """One command. What fails is said with what it says of itself in comments, before its result or
    after it, because the log is out of reach where another machine ran the tests; of a layer that
    ends badly and names no test, all that it said last besides results."""

    REMARKS, WORDS = 12, 40

    def __init__(self, name, what, command, seconds):
        self.name, self.what, self.command, self.seconds = name, what, command, seconds
        self.log = os.path.join(OUT, name + ".log")
        self.child = None
        self.counts = collections.Counter()
        self.lines = [f"{name}: {what}"]
        self.skipped = collections.Counter()
        self.words = collections.deque(maxlen=self.WORDS)
        self.before = collections.deque(maxlen=self.REMARKS)
        self.after = 0
        self.last = time.monotonic()

    def result(self, report, name, status, reason=""):
        now = time.monotonic()
        self.counts[status] += 1
        if status == "failed":
            self.lines += [*self.before, f"  FAILED  {name}{': ' + reason if reason else ''}"]
        elif status == "skipped":
            self.skipped[reason or "no reason is told"] += 1
        self.before.clear()
        self.after = self.REMARKS if status == "failed" else 0
        report.add({"layer": self.name, "name": name, "status": status,
                    "seconds": round(now - self.last, 2), "reason": reason})
        self.last = now

    def remark(self, line):
        if not line.strip():
            return
        remark, line = line.lstrip().startswith("# "), f"    {line.strip()[:200]}"
        if not remark:
            self.words.append(line)
            return
        if self.after:
            self.after -= 1
            self.lines.append(line)
        else:
            self.before.append(line)

    def stop(self):
        if self.child and self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)

    def read(self, report):
        """The command's output, all of it also in build/check/LAYER.log; returns its status."""
        os.makedirs(OUT, exist_ok=True)
        with open(self.log, "w", buffering=1, encoding="utf-8") as file:
            self.child = subprocess.Popen(self.command, cwd=TREE, stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                          errors="replace", text=True, start_new_session=True)
            limit = threading.Timer(self.seconds, self.stop)
            limit.start()
            try:
                for line in self.child.stdout:
                    file.write(line)
                    row = parse(line.rstrip())
                    if row:
                        self.result(report, *row)
                    else:
                        self.remark(line)
            finally:
                limit.cancel()
            return self.child.wait()

    def run(self, report):
        begin = self.last = time.monotonic()
        status = self.read(report)
        log = os.path.relpath(self.log, TREE)
        if status == 77 and not self.counts:
            with open(self.log, encoding="utf-8") as file:
                reason = file.read().strip().splitlines()
            self.result(report, "layer", "skipped", reason[-1] if reason else "")
        elif not self.counts or (status and not self.counts["failed"]):
            reason = f"no end within {self.seconds} s" if status == -signal.SIGTERM else \
                f"exit status {status}" if status else "printed no test"
            self.lines += self.words
            self.result(report, "layer", "failed", f"{reason}; see {log}")
        self.lines += [f"  SKIPPED {count}: {reason}" for reason, count in self.skipped.items()]
        self.lines.append(
            f"  {self.counts['passed']} passed, {self.counts['failed']} failed, "
            f"{self.counts['skipped']} skipped in {time.monotonic() - begin:.0f} s"
            f"{'; see ' + log if self.counts['failed'] else ''}")
        report.show(self.lines)
        report.write()


def lanes():
    """How many layers at once: one more than processors, as layers wait for what they test, too."""
    with open("/proc/meminfo", encoding="ascii") as file:
        free = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    return max(1, min(LANES_MAX, len(os.sched_getaffinity(0)) + 1, free // LANE_MEMORY_KIB))


def run_all(layers, width, report):
    """All of them, in the order of the table. Ends what runs when it is interrupted."""
    with concurrent.futures.ThreadPoolExecutor(width) as pool:
        runs = [pool.submit(layer.run, report) for layer in layers]
        try:
            for run in runs:
                run.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for layer in layers:
                layer.stop()
            raise


def parse_arguments():
    parser = argparse.ArgumentParser(description="Runs Infini's tests.")
    parser.add_argument("--layer", action="append", help="only this layer; 'help' lists them")
    parser.add_argument("--lanes", type=int, help="so many layers at once (default: what the "
                        f"processors and the memory allow, {LANES_MAX} at most)")
    args = parser.parse_args()
    if args.lanes is not None and args.lanes < 1:
        parser.error(f"--lanes {args.lanes}: at least 1")
    names = [layer[0] for layer in FIRST + LAYERS]
    for name in args.layer or []:
        if name not in names:
            if name != "help":
                print(f"check: no layer \"{name}\"; there are", file=sys.stderr)
            for layer, what, *_ in FIRST + LAYERS:
                print(f"{layer:10} {what}")
            sys.exit(0 if name == "help" else 2)
    return args


def main():
    args = parse_arguments()
    begin = time.monotonic()
    report = Report()
    first, rest = ([Layer(*row) for row in table if not args.layer or row[0] in args.layer]
                   for table in (FIRST, LAYERS))
    try:
        run_all(first, 1, report)
        run_all(rest, args.lanes or lanes(), report)
    except KeyboardInterrupt:
        report.show(["interrupted"])
        sys.exit(130)
    # Once more, where whoever sees the last lines alone sees them.
    report.show([f"FAILED {row['layer']}: {row['name']}" for row in report.rows
                 if row["status"] == "failed"])
    report.show([f"{report.count('passed')} passed, {report.count('failed')} failed, "
                 f"{report.count('skipped')} skipped in {time.monotonic() - begin:.0f} s"])
    sys.exit(1 if report.count("failed") else 0)


if __name__ == "__main__":
    main()

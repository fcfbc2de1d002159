#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs every layer of tests, shows progress, writes build/check/results.json.

A layer is one command that prints TAP, KTAP or cmocka's own lines. A layer that prints no test,
or ends badly without saying which test failed, has failed itself.
"""
import argparse
import collections
import json
import os
import re
import signal
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(TREE, "build", "check")
CHROOT = ["tests/vm/chroot", "--", "env", "CMOCKA_MESSAGE_OUTPUT=TAP"]

# name, what it is, command, seconds it may take
LAYERS = [
    ("tree", "rules of the source tree", ["python3", "tests/tree/check.py"], 120),
    ("core", "scheduler core on the host, sanitizers", ["make", "-s", "-C", "tests/core", "check"],
     900),
    ("build", "module and userspace, warnings are errors", ["tests/build-check"], 1800),
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
    ("kunit", "core and objects under User-mode Linux, KASAN and lockdep",
     ["tests/kunit/run"], 1800),
    ("selftest", "every ioctl and netlink command, QEMU and User-mode Linux",
     ["tests/selftest/check"], 2400),
    ("shares", "promised shares on the null backend, in virtual time", ["tests/shares/check"], 1200),
    ("bpf", "what the BPF tools count and leave, in QEMU", ["tests/bpf/check"], 2400),
    ("e2e", "llama.cpp tenants and new users' mistakes, in QEMU", ["tests/e2e/check"], 2400),
    ("opencl-vdev", "OpenCL on vdevs, tenants who mean harm too, in QEMU",
     ["tests/e2e/check", "opencl"], 1800),
    ("metrics", "what Prometheus and infinictl bill are told under load, in QEMU",
     ["tests/e2e/check-metrics"], 1200),
    ("containers", "podman and containerd hand vdevs to containers, in QEMU",
     ["tests/containers/check"], 2400),
    ("gpu", "kernels, faults and a lost GPU on a driver that needs none, User-mode Linux",
     ["tests/e2e/check-cuda"], 900),
    ("pool", "unlike devices side by side, and one of them lost, User-mode Linux",
     ["tests/e2e/check-pool"], 1200),
    ("flood", "a client that asks for all it can get and waits for nothing, User-mode Linux",
     ["tests/e2e/check-flood"], 900),
    ("attacks", "twenty attacks of tenants, and from inside workers, User-mode Linux",
     ["tests/e2e/check-attacks"], 900),
    ("vulkan", "a Vulkan device without memory for one vdev, User-mode Linux",
     ["tests/e2e/check-vulkan"], 900),
    ("native", "preemptions and operators at native speed, User-mode Linux",
     ["tests/e2e/check-native"], 1800),
    ("recovery", "infinid replaced under load, and whatever else dies, User-mode Linux",
     ["tests/e2e/check-recovery"], 1200),
    ("mixed", "unlike chips at once, vdevs placed by description, User-mode Linux",
     ["tests/e2e/check-mixed", "uml"], 1200),
]

TAP = re.compile(r"^\s*(not ok|ok)\s+\d*\s*(?:- )?(.*)$")
CMOCKA = re.compile(r"^\[\s+(OK|FAILED|SKIPPED)\s+\] (\S+)$")
SKIP = re.compile(r"^(.*?)\s*# SKIP\b\s*(.*)$", re.IGNORECASE)


class Remarks:
    """What a failed test says of itself in comments, before its result or after it: printed, because
    the log is out of reach where another machine ran the tests."""

    MOST = 12

    def __init__(self):
        self.before = collections.deque(maxlen=self.MOST)
        self.after = 0

    def line(self, line):
        if not line.lstrip().startswith("# "):
            return
        if self.after:
            self.after -= 1
            self.show(line)
        else:
            self.before.append(line)

    def result(self, status):
        if status == "failed":
            for line in self.before:
                self.show(line)
        self.before.clear()
        self.after = self.MOST if status == "failed" else 0

    @staticmethod
    def show(line):
        print(f"    {line.strip()[:200]}", flush=True)


class Results:
    """Rows of the report and the line on the terminal."""

    def __init__(self):
        self.rows = []
        self.live = sys.stdout.isatty()
        self.last = time.monotonic()

    def add(self, layer, name, status, reason=""):
        now = time.monotonic()
        self.rows.append({"layer": layer, "name": name, "status": status,
                          "seconds": round(now - self.last, 2), "reason": reason})
        self.last = now
        if status != "passed":
            self.clear()
            print(f"  {status.upper():7} {layer}: {name}{': ' + reason if reason else ''}")
        elif self.live:
            print(f"\r\033[K  {layer}: {self.count('passed')} passed, now {name[:60]}",
                  end="", flush=True)

    def clear(self):
        if self.live:
            print("\r\033[K", end="")

    def count(self, status, layer=None):
        return sum(row["status"] == status and layer in (None, row["layer"])
                   for row in self.rows)

    def write(self):
        os.makedirs(OUT, exist_ok=True)
        path = os.path.join(OUT, "results.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=1)
        os.replace(path + ".new", path)


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


def run(layer, what, command, seconds, results):
    """One layer; its whole output goes to build/check/LAYER.log."""
    begin = time.monotonic()
    print(f"{layer}: {what}", flush=True)
    os.makedirs(OUT, exist_ok=True)
    log = os.path.join(OUT, layer + ".log")
    remarks = Remarks()
    with open(log, "w", buffering=1, encoding="utf-8") as file:
        child = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                 errors="replace", text=True, start_new_session=True)
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(child.pid, signal.SIGTERM))
        signal.alarm(seconds)
        try:
            for line in child.stdout:
                file.write(line)
                row = parse(line.rstrip())
                if row:
                    results.add(layer, *row)
                    remarks.result(row[1])
                else:
                    remarks.line(line)
            status = child.wait()
        except KeyboardInterrupt:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
            raise
        finally:
            signal.alarm(0)
    ran = any(row["layer"] == layer for row in results.rows)
    if status == 77 and not ran:
        with open(log, encoding="utf-8") as file:
            reason = file.read().strip().splitlines()
        results.add(layer, "layer", "skipped", reason[-1] if reason else "")
    elif not ran or (status and not results.count("failed", layer)):
        reason = f"no end within {seconds} s" if status == -signal.SIGTERM else \
            f"exit status {status}" if status else "printed no test"
        results.add(layer, "layer", "failed", f"{reason}; see {os.path.relpath(log, TREE)}")
    results.clear()
    print(f"  {results.count('passed', layer)} passed, {results.count('failed', layer)} failed, "
          f"{results.count('skipped', layer)} skipped in {time.monotonic() - begin:.0f} s"
          f"{'; see ' + os.path.relpath(log, TREE) if results.count('failed', layer) else ''}",
          flush=True)
    results.write()


def main():
    parser = argparse.ArgumentParser(description="Runs Infini's tests.")
    parser.add_argument("--layer", action="append", help="only this layer; 'help' lists them")
    args = parser.parse_args()
    names = [layer[0] for layer in LAYERS]
    for name in args.layer or []:
        if name not in names:
            if name != "help":
                print(f"check: no layer \"{name}\"; there are", file=sys.stderr)
            for layer, what, *_ in LAYERS:
                print(f"{layer:10} {what}")
            sys.exit(0 if name == "help" else 2)
    results = Results()
    try:
        for layer, what, command, seconds in LAYERS:
            if not args.layer or layer in args.layer:
                run(layer, what, command, seconds, results)
    except KeyboardInterrupt:
        results.clear()
        print("interrupted")
        sys.exit(130)
    print(f"{results.count('passed')} passed, {results.count('failed')} failed, "
          f"{results.count('skipped')} skipped")
    sys.exit(1 if results.count("failed") else 0)


if __name__ == "__main__":
    main()

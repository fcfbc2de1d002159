#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every case of every operator that a vdev on one device claims, by ggml's own test of operators: what fails
on the vdev and not on the same device without Infini is a fault of ours. Each operator is a line of TAP.

Runs by hand under User-mode Linux, for hours: the largest cases touch a gigabyte, and on lavapipe each shader is
compiled first. With --each N no more than so many cases of each operator, spread over its smaller ones. OPERATOR
may be a case, as ggml writes it. --resume goes on where an earlier run was stopped.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import every_operator  # noqa: E402  pylint: disable=wrong-import-position
import infini  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, check  # noqa: E402  pylint: disable=wrong-import-position

ENDPOINT = "127.0.0.1:50052"
# Per device: what ggml calls it without Infini, and what infinid is told of it.
DEVICES = {
    "cpu0": ("CPU", "[backend ggml]\ndevices = cpu0\n"),
    "vulkan0": ("Vulkan0", "[backend ggml]\ndevices = vulkan0\n"),
    "far": ("CPU", f"[backend ggml]\ndevices = none\n[remote far]\nendpoint = {ENDPOINT}\nretry_s = 1\n"),
}
# A worker keeps the shaders that it has compiled.
GENERAL = "idle_exit_s = 3600\nthreads_max = 1\n"


class Sweep:
    """One device and its vdev; counts what was tried."""

    def __init__(self, out, device, each, resume):
        self.out, self.device, self.each, self.resume = os.path.join(out, device), device, each, resume
        self.plain, config = DEVICES[device]
        os.makedirs(self.out, exist_ok=True)
        self.daemon = infini.Daemon(self.out, [device], config, GENERAL)
        self.tenant, self.environment = infini.tenant("v"), dict(os.environ)
        self.claimed, self.passed = {}, 0

    def start(self):
        # The largest cases take longer than a job may that does not say how long it takes.
        infini.load_module("default_timeout_ms=600000")
        if self.device == "far":
            infini.rpc_server(ENDPOINT, os.path.join(self.out, "server.log"))
        self.daemon.start()
        infini.wait_until(f"{self.device} is on line", lambda: self.device in infini.devices(), 300)
        infini.ctl("vdev", "create", "v", "--device", self.device, "--memory", "4G")
        self.claimed = {operator: [f"{operator}({case})" for case, claimed in cases.items() if claimed]
                        for operator, cases in every_operator.claims("INFINI0", self.tenant).items()}

    def operator(self, name, only):
        """Every case of one that the vdev claims, or some, or those that are named."""
        begin = time.monotonic()
        claimed = self.claimed.get(name, [])
        want = only or every_operator.spread(claimed, self.each)
        check(want and set(want) <= set(claimed), f"the vdev does not claim {name}, or not all these cases of it")
        found = every_operator.verdicts("INFINI0", want, self.tenant, os.path.join(self.out, f"{name}.log"),
                                        self.resume)
        bad, ours = every_operator.failures(want, found, self.plain, self.environment,
                                            os.path.join(self.out, f"{name}-plain.log"))
        self.passed += len(want) - len(bad)
        print(f"# {name}: {len(want) - len(bad)} of {len(want)} pass, {len(claimed)} claimed, in "
              f"{time.monotonic() - begin:.0f} s", flush=True)
        check(not ours, f"{len(ours)} cases fail on the vdev alone, the first {ours[:1]}")


def case_of(sweep, name, only):
    what = f"{sweep.each} of the" if sweep.each else f"{len(only)} of the" if only else "all"

    def case(_):
        sweep.operator(name, only)

    case.__doc__ = f"{name}: {what} cases that a vdev on {sweep.device} claims"
    return case


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("device", choices=sorted(DEVICES))
    parser.add_argument("--each", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("operator", nargs="*")
    args = parser.parse_args()
    if args.each < 0:
        parser.error(f"--each {args.each}: 0, for all, or more")
    tap = Tap()
    sweep = Sweep(args.out, args.device, args.each, args.resume)
    sweep.start()
    wanted = {name: [] for name, cases in sweep.claimed.items() if cases and not args.operator}
    for word in args.operator:
        name, case, _ = word.partition("(")
        wanted.setdefault(name, []).extend([word] if case else [])
    for name, only in wanted.items():
        tap.case(case_of(sweep, name, only), None)
    print(f"# {sweep.passed} cases pass on {sweep.device}, of {sum(map(len, sweep.claimed.values()))} claimed")
    tap.end()


if __name__ == "__main__":
    main()

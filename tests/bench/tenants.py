#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What several tenants get out of one device together, beside as many plain processes that the CPU's scheduler
takes in turns; as root in a machine with one processor.

tenants.py OUT [counted]: prints rows.

Counted, for a machine whose clock counts instructions: what several tenants take of those. Such a clock knows no caches.

All processes generate for ever and stand still but for those whose turn to be measured it is, so that every
measurement is soon followed by those that it is compared with.
"""
import statistics
import sys
import time

import llama
from llama import INFINI, PLAIN, infini
from row import row, show

NUMBERS = (1, 2, 4, 8)
# Which, how it is called, after how many tokens a process says so: a hundred times a second or so.
MODELS = (("stories", "2.0 M", 16), ("24M", "24 M", 2))
ROUNDS, SECONDS = 7, 1.5
VDEVS = tuple(f"t{i}" for i in range(max(NUMBERS)))
# An instruction takes 2 ns of that clock, ten times what it takes a processor, so the quantum is ten times as long, too.
COUNTED_NUMBERS, COUNTED_ROUNDS, COUNTED_SECONDS, COUNTED_QUANTUM = (1, 2, 4), 3, 2, "20ms"


def together(tenants, tokens):
    """Tokens per second of all."""
    for tenant in tenants:
        tenant.rounds()
        tenant.go()
    # What began before they were halted is not theirs.
    time.sleep(SECONDS / 5)
    for tenant in tenants:
        tenant.rounds()
    began = time.monotonic()
    time.sleep(SECONDS)
    rounds = sum(tenant.rounds() for tenant in tenants)
    took = time.monotonic() - began
    for tenant in tenants:
        tenant.halt()
    return rounds * tokens / took


def measure(name, tokens):
    """Samples by way and number."""
    tenants = {INFINI: [], PLAIN: []}
    try:
        for way, some in tenants.items():
            for vdev in VDEVS:
                some.append(llama.Endless(way, name, tokens, vdev))
                some[-1].halt()
        samples = {(way, nr): [] for nr in NUMBERS for way in tenants}
        for _ in range(ROUNDS):
            for (way, nr), some in samples.items():
                some.append(together(tenants[way][:nr], tokens))
        return samples
    finally:
        for some in tenants.values():
            for tenant in some:
                tenant.end()


def generated(vdevs):
    """Tokens of all, and the time."""
    known = infini.vdevs()
    return sum(known[vdev]["stats"]["tokens_generated"] for vdev in vdevs), time.monotonic()


def counted(vdevs):
    """Samples by number."""
    tenants = []
    for vdev in vdevs:
        infini.ctl("vdev", "set", vdev, "--quantum", COUNTED_QUANTUM)
        tenants.append(llama.Endless(INFINI, "stories", 16, vdev))
        tenants[-1].halt()
    samples = {nr: [] for nr in COUNTED_NUMBERS}
    for _ in range(COUNTED_ROUNDS):
        for nr, some in samples.items():
            for tenant in tenants[:nr]:
                tenant.go()
            time.sleep(COUNTED_SECONDS / 5)
            before, began = generated(vdevs)
            time.sleep(COUNTED_SECONDS)
            after, ended = generated(vdevs)
            some.append((after - before) / (ended - began))
            for tenant in tenants[:nr]:
                tenant.halt()
    for tenant in tenants:
        tenant.end()
    return samples


def main_counted(out):
    vdevs = VDEVS[:max(COUNTED_NUMBERS)]
    with llama.World(out, vdevs, "200M"):
        samples = counted(vdevs)
        for nr in COUNTED_NUMBERS[1:]:
            show(row(f"{nr} tenants together, 2.0 M, by instructions", samples[nr], "tokens/s", samples[1],
                     "one tenant", ">= 0.98"))


def main():
    if sys.argv[2:] == ["counted"]:
        main_counted(sys.argv[1])
        return
    with llama.World(sys.argv[1], VDEVS, "200M"):
        for name, words, tokens in MODELS:
            samples = measure(name, tokens)
            one = samples[INFINI, 1]
            for nr in NUMBERS[1:]:
                what = f"{nr} tenants together, {words}"
                ours = samples[INFINI, nr]
                pairs = statistics.median(a / b for a, b in zip(ours, one))
                show(row(what, ours, "tokens/s", one, "one tenant", ">= 0.98",
                         f"median of the ratios of each round: {pairs:.3f}"))
                show(row(what, ours, "tokens/s", samples[PLAIN, nr], f"{nr} plain processes"))


if __name__ == "__main__":
    main()

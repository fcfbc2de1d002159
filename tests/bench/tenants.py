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


class Said:
    """Tokens since it was last asked, as the processes say."""

    def __init__(self, tokens):
        self.tokens = tokens

    def __call__(self, tenants):
        return sum(tenant.rounds() for tenant in tenants) * self.tokens


class Counted:
    """Tokens of all vdevs since it was last asked, one by one, as the module says."""

    def __init__(self):
        self.last = 0

    def __call__(self, _):
        before, self.last = self.last, sum(vdev["stats"]["tokens_generated"] for vdev in infini.vdevs().values())
        return self.last - before


def together(tenants, seconds, since):
    """Tokens per second of all."""
    for tenant in tenants:
        tenant.rounds()
        tenant.go()
    # What began before they were halted is not theirs.
    time.sleep(seconds / 5)
    since(tenants)
    began = time.monotonic()
    time.sleep(seconds)
    tokens = since(tenants)
    took = time.monotonic() - began
    for tenant in tenants:
        tenant.halt()
    return tokens / took


def measure(model, ways, numbers, often, since):
    """Samples by way and number, of @often rounds and seconds."""
    name, _, tokens = model
    rounds, seconds = often
    tenants = {way: [] for way in ways}
    try:
        for way, some in tenants.items():
            for vdev in VDEVS[:max(numbers)]:
                some.append(llama.Endless(way, name, tokens, vdev))
                some[-1].halt()
        samples = {(way, nr): [] for nr in numbers for way in ways}
        for _ in range(rounds):
            for (way, nr), some in samples.items():
                some.append(together(tenants[way][:nr], seconds, since))
        return samples
    finally:
        for some in tenants.values():
            for tenant in some:
                tenant.end()


def timed():
    for model in MODELS:
        samples = measure(model, (INFINI, PLAIN), NUMBERS, (ROUNDS, SECONDS), Said(model[2]))
        one = samples[INFINI, 1]
        for nr in NUMBERS[1:]:
            what = f"{nr} tenants together, {model[1]}"
            ours = samples[INFINI, nr]
            pairs = statistics.median(a / b for a, b in zip(ours, one))
            show(row(what, ours, "tokens/s", one, "one tenant", ">= 0.98",
                     f"median of the ratios of each round: {pairs:.3f}"))
            show(row(what, ours, "tokens/s", samples[PLAIN, nr], f"{nr} plain processes"))


def counted():
    for vdev in VDEVS:
        infini.ctl("vdev", "set", vdev, "--quantum", COUNTED_QUANTUM)
    model = MODELS[0]
    samples = measure(model, (INFINI,), COUNTED_NUMBERS, (COUNTED_ROUNDS, COUNTED_SECONDS), Counted())
    for nr in COUNTED_NUMBERS[1:]:
        show(row(f"{nr} tenants together, {model[1]}, by instructions", samples[INFINI, nr], "tokens/s",
                 samples[INFINI, 1], "one tenant", ">= 0.98"))


def main():
    with llama.World(sys.argv[1], VDEVS, "200M"):
        if sys.argv[2:] == ["counted"]:
            counted()
        else:
            timed()


if __name__ == "__main__":
    main()

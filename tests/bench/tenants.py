#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What several tenants get out of one device together, beside as many plain processes that the CPU's scheduler
takes in turns; as root in a machine with one processor.

tenants.py OUT: prints rows.

All processes generate for ever and stand still but for those whose turn to be measured it is, so that every
measurement is soon followed by those that it is compared with.
"""
import statistics
import sys
import time

import llama
from llama import INFINI, PLAIN
from row import row, show

NUMBERS = (1, 2, 4, 8)
# Which, how it is called, after how many tokens a process says so: a hundred times a second or so.
MODELS = (("stories", "2.0 M", 16), ("24M", "24 M", 2))
ROUNDS, SECONDS = 7, 1.5
VDEVS = tuple(f"t{i}" for i in range(max(NUMBERS)))


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


def main():
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

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens per second of decoding and of prompts, through Infini and its peers in turns; as root in a machine
whose compute runs at the host's speed.

speed.py OUT [NAME...]: prints rows; with names only those of these models.

Runs are short and many. What a busy host takes from one only ever makes it longer, so a number is that of
the fastest tenth; the spread is of all.
"""
import statistics
import sys

import llama
from llama import INFINI, PLAIN, RPC
from row import failed, row, show, spread_pct

# What, model, tokens of the prompt, tokens generated, runs, rounds, goals against peers
CASES = [
    ("decoding, 0.9 M", "0.9M", 0, 16, 12, 6, {RPC: ">= 5", PLAIN: None}),
    ("decoding, 2.0 M (stories)", "stories", 0, 16, 12, 4, {RPC: None, PLAIN: None}),
    ("decoding, 24 M", "24M", 0, 8, 8, 4, {RPC: None, PLAIN: None}),
    ("decoding, 110 M", "110M", 0, 4, 6, 5, {PLAIN: ">= 0.97", RPC: None}),
    ("decoding, 110 M in Q4_0", "110M-q4_0", 0, 4, 8, 5, {PLAIN: ">= 0.97", RPC: None}),
    ("prompt of 128, 24 M", "24M", 128, 0, 5, 4, {PLAIN: ">= 0.98"}),
    ("prompt of 128, 110 M", "110M", 128, 0, 6, 4, {PLAIN: ">= 0.98"}),
    ("prompt of 128, 110 M in Q4_0", "110M-q4_0", 128, 0, 6, 4, {PLAIN: ">= 0.97", RPC: None}),
]


def fastest(samples):
    """Tokens per second of the fastest tenth."""
    return 1e9 / statistics.quantiles(samples, n=10, method="inclusive")[0]


def measure(case):
    what, name, prompt, tokens, runs, rounds, goals = case
    samples = {way: [] for way in (INFINI, *goals)}
    for turn in range(rounds):
        # The machine gets warm, or busy: nobody is always first.
        ways = list(samples)
        for way in ways[turn % len(ways):] + ways[:turn % len(ways)]:
            samples[way] += llama.bench(way, name, prompt, tokens, runs)[0]
    medians = ", ".join(f"{way} {1e9 / statistics.median(some):.1f}" for way, some in samples.items())
    for peer, goal in goals.items():
        yield row(what, fastest(samples[INFINI]), "tokens/s", fastest(samples[peer]), peer, goal,
                  f"medians: {medians}", spread_pct(samples[INFINI]))


def main():
    out, *names = sys.argv[1:]
    with llama.World(out) as world:
        world.serve()
        for case in CASES:
            if names and case[1] not in names:
                continue
            try:
                show(*measure(case))
            except llama.infini.Trouble as error:
                show(failed(case[0], str(error)))


if __name__ == "__main__":
    main()

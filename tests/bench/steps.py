#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a decode step takes in all processes together: system calls, context switches, bytes, instructions; as
root in a machine that counts its instructions, where a nanosecond is half of one.

steps.py OUT [NAME...]: prints rows; with names only those of these models.
"""
import re
import sys
import time

import count
import llama
from llama import INFINI, PLAIN, RPC
from row import row, show

MODELS = (("stories", "2.0 M", 2048), ("24M", "24 M", 32000))
FEW, MANY = 2, 10
ROUNDS, TOKENS = 3, 16


def trace(said):
    """The plugin's own counters."""
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", said)}


def loopback():
    """Bytes that went over it."""
    with open("/proc/net/dev", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.strip().startswith("lo:"))


class Step:
    """What a decode step takes; of a run that goes on for ever."""

    def __init__(self, way, name):
        tenant = llama.Endless(way, name, TOKENS)
        # What it has said so far is not counted, and it stands still at a line's end.
        tenant.halt()
        tenant.rounds()
        tenant.go()
        tenant.wait(1)
        tenant.halt()
        with count.Counter() as counter:
            calls, switches = counter.during(lambda: self.run(tenant))
        tenant.end()
        self.calls, self.switches, self.sent, self.ns = (
            number / ROUNDS / TOKENS for number in (calls, switches, self.sent, self.ns))

    def run(self, tenant):
        self.sent, self.ns = -loopback(), -time.monotonic_ns()
        tenant.go()
        tenant.wait(ROUNDS)
        tenant.halt()
        self.sent, self.ns = self.sent + loopback(), self.ns + time.monotonic_ns()


def crossing(name):
    """The plugin's counters of bytes, of one step: the difference of a long and a short run."""
    few, many = (trace(llama.bench(INFINI, name, 0, tokens, 1, "--no-warmup")[1]) for tokens in (FEW, MANY))
    return {key: (many[key] - few[key]) / (MANY - FEW) for key in many}


def rows(name, words, vocabulary):
    ours, rpc, plain = (Step(way, name) for way in (INFINI, RPC, PLAIN))
    crossed = crossing(name)
    yield row(f"system calls of a decode step, {words}", ours.calls, "calls", goal="<= 3",
              note="of the client, its worker and everybody else")
    for peer, step in ((RPC, rpc), (PLAIN, plain)):
        yield row(f"system calls of a decode step, {words}", ours.calls, "calls", step.calls, peer)
        yield row(f"context switches of a decode step, {words}", ours.switches, "switches", step.switches,
                  peer)
    logits, inputs = crossed["mirror_bytes"], crossed["inline_bytes"]
    other = crossed["staged_bytes"] + crossed["read_bytes"]
    yield row(f"bytes of results copied in a step, {words}", logits, "bytes", 4 * vocabulary, "the logits",
              "<= 1")
    yield row(f"bytes that cross in a step, {words}", logits + inputs + other, "bytes", rpc.sent, RPC,
              note=f"inputs {inputs:.0f}, inside of the submission; {other:.0f} by jobs of their own")
    for peer, step in ((PLAIN, plain), (RPC, rpc)):
        yield row(f"decoding in QEMU, {words}", 1e9 / ours.ns, "tokens/s", 1e9 / step.ns, peer,
                  note=f"a step {ours.ns / 2000:.0f} thousand instructions, {(ours.ns - step.ns) / 2000:+.0f}")


def main():
    out, *names = sys.argv[1:]
    with llama.World(out) as world:
        world.serve()
        for each in MODELS:
            if not names or each[0] in names:
                show(*rows(*each))


if __name__ == "__main__":
    main()

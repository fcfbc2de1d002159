#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The round trip of an empty job beside other ways to another process and back; in a machine, as root.

roundtrip.py OUT: prints rows. With "two" for a machine with two processors, where one that waits may look for
what it waits for before it sleeps, and both is measured.
"""
import json
import os
import statistics
import subprocess
import sys

import count
import machine
from row import absent, row, show

PROGRAM = os.path.join(machine.infini.TREE, "build/tests/bench/roundtrip")
ROUNDS, TRIPS = 30, 40
FEW, MANY, PAIRS = 100, 1100, 5
# Who waits learns from earlier trips how long to look.
TRIPS_OF_TWO = 400
SPIN = "/sys/module/infini/parameters/spin_us"

# What the program calls it, and how the table does.
OURS = [("infini", "bare executor"), ("infinid", "infinid's worker")]
PEERS = [("eventfd", "eventfd ping-pong", "<= 1.0"), ("pipe", "pipe", None),
         ("socket", "UNIX socket", None), ("cuse", "CUSE ioctl", "<= 0.4"),
         ("ublk", "ublk null, depth 1", "<= 1.0")]


def program(rounds, trips, names):
    done = subprocess.run([PROGRAM, str(rounds), str(trips), *names], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise machine.infini.Trouble(f"roundtrip {' '.join(names)} ended with {done.returncode}")
    return done.stdout.splitlines()


def times(trips, samples_name):
    """Microseconds of a trip, a sample for each round; why there are none."""
    names = [name for name, *_ in OURS + PEERS]
    samples, missing = {name: [] for name in names}, {}
    for line in program(ROUNDS, trips, names):
        name, said = line.split(" ", 1)
        if said.startswith("not here: "):
            missing[name] = said.removeprefix("not here: ")
        else:
            samples[name].append(int(said) / trips / 1000)
    with open(os.path.join(sys.argv[1], f"{samples_name}.json"), "w", encoding="utf-8") as file:
        json.dump(samples, file)
    return samples, missing


def per_trip(name):
    """System calls and context switches of a trip, in all processes."""
    with count.Counter() as counter:
        program(1, 1, [name])
        pairs = [(counter.during(lambda: program(1, FEW, [name])),
                  counter.during(lambda: program(1, MANY, [name]))) for _ in range(PAIRS)]
    # A quarter of the trips more goes before those that are measured. What else happens while a
    # program begins differs by tens of calls, now and then.
    trips = (MANY - FEW) * 1.25
    return [statistics.median(many[what] - few[what] for few, many in pairs) / trips
            for what in range(len(count.EVENTS))]


def time_rows(samples, missing, where="", goals=True):
    for ours, ours_name in OURS:
        for peer, peer_name, goal in PEERS:
            name, goal = f"round trip{where}, {ours_name}", goal if goals else None
            if peer in missing:
                yield absent(name, missing[peer], peer_name, goal)
            else:
                yield row(name, samples[ours], "us", samples[peer], peer_name, goal)


def count_rows(missing):
    counts = {name: per_trip(name) for name, *_ in OURS + PEERS if name not in missing}
    for place, what in enumerate(("system calls", "context switches")):
        for ours, ours_name in OURS:
            name = f"{what} of a round trip, {ours_name}"
            for peer, peer_name, _ in PEERS:
                if peer not in missing:
                    yield row(name, counts[ours][place], what, counts[peer][place], peer_name)
            if not place:
                yield row(name, round(counts[ours][place], 2), what, goal="<= 2")


def one():
    samples, missing = times(TRIPS, "samples")
    yield from time_rows(samples, missing)
    yield from count_rows(missing)


def two():
    """Who waits looks before it sleeps, and then does not."""
    for samples_name, where, goals in (("looking", " on two processors", True),
                                       ("asleep", " on two processors, asleep", False)):
        yield from time_rows(*times(TRIPS_OF_TWO, samples_name), where, goals)
        switches = {name: per_trip(name)[1] for name, *_ in OURS + PEERS[:1]}
        for ours, ours_name in OURS:
            yield row(f"context switches of a round trip{where}, {ours_name}", switches[ours],
                      "context switches", switches[PEERS[0][0]], PEERS[0][1])
        count.write(SPIN, "0")


def main():
    with machine.World(sys.argv[1]) as world:
        machine.modprobe("cuse", "ublk_drv")
        with world.alone():
            show(*(two() if sys.argv[2:] == ["two"] else one()))


if __name__ == "__main__":
    main()

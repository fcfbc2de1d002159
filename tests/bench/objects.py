#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What vdevs and what they hold take of memory and of time, from loading the module on; in a machine, as root.

objects.py OUT: prints rows.
"""
import collections
import os
import subprocess
import sys
import time

import machine
from row import row, show

PROGRAM = os.path.join(machine.infini.TREE, "build/tests/bench/objects")
ROUNDS = 15
# What the program calls it, what the table does.
MEMORY = [("vdev", "a vdev, without a node", "its struct device and its entry in sysfs come on top of its structure"),
          ("vdev-with-node", "a vdev with a node", "and the node's inode and directory entries"),
          ("client", "a client", "an open file of a vdev"),
          ("queue", "a queue of one job", "one page is its timeline, which its client maps"),
          ("job", "a job", "what a queue as deep as there may be has more than one of one job"),
          ("buffer", "a SHARED buffer of one page", "the page included")]


def program(*words):
    """Numbers by name, in the order of the lines."""
    done = subprocess.run([PROGRAM, words[0], "null0", *words[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode:
        raise machine.infini.Trouble(f"objects {' '.join(words)} ended with {done.returncode}")
    numbers = collections.defaultdict(list)
    for line in done.stdout.splitlines():
        name, number = line.split()
        numbers[name].append(int(number))
    return numbers


def memory_rows(world):
    """Without infinid, which starts a worker for each client."""
    with machine.stopped(world.daemon.process):
        numbers = program("memory")
    numbers["job"] = [(numbers["deep-queue"][0] - numbers["queue"][0]) / (numbers["depth"][0] - 1)]
    for name, words, note in MEMORY:
        yield row(f"memory of {words}", numbers[name][0], "bytes", note=note)


def many_rows():
    """The last hundred against the first."""
    numbers = program("many")
    for name, words, ends in (("create", "creating a vdev beside 800", (-1, 0)),
                              ("delete", "deleting a vdev beside 800", (0, -1))):
        many, few = (numbers[name][end] / 1000 for end in ends)
        yield row(words, many, "us", few, "beside less than 100", "<= 2")


def first_rows():
    numbers = program("first", str(ROUNDS))
    first, plain = ([ns / 1000 for ns in numbers[name]] for name in ("first", "exec"))
    yield row("from no vdev to the end of its first job", first, "us", plain, "fork and exec of /bin/true", "<= 2",
              f"with the start of a worker and its sandbox; least {min(first):.0f} us and {min(plain):.0f} us")


def main():
    began = time.monotonic()
    world = machine.World(sys.argv[1])
    loaded = time.monotonic()
    with world:
        ready = time.monotonic()
        show(row("loading the module", (loaded - began) * 1000, "ms", note="insmod"),
             row("starting infinid", (ready - loaded) * 1000, "ms", note="until the device of the null backend is on "
                 "line, and a vdev more"))
        show(*first_rows())
        with world.alone():
            show(*many_rows())
            show(*memory_rows(world))


if __name__ == "__main__":
    main()

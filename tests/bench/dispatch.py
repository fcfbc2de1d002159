#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a job costs the scheduler's core, in instructions counted by callgrind on the host: alone, among
many vdevs and queues that are idle, and among as many that wait for the slot. Prints rows."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from row import absent, failed, row, show

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(TREE, "build/core/bench")
ALONE = (1, 1)
# name, vdevs, queues of each
SIZES = [("10^3 vdevs", 1000, 1), ("10^4 vdevs", 10000, 1), ("10^5 queues of one vdev", 1, 100000),
         ("10^5 queues of 10^3 vdevs", 1000, 100)]
NAME = "scheduling a job beside {} {}"
GOAL = "<= 2"


def count(vdevs, queues, *idle):
    """Instructions per job."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        run = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
                              f"--callgrind-out-file={out}", PROGRAM, str(vdevs), str(queues), "0",
                              *idle], check=True, text=True, stdout=subprocess.PIPE)
        with open(out + ".1", encoding="utf-8") as file:
            total = int(re.search(r"^(?:totals|summary): (\d+)", file.read(), re.M)[1])
    return total / int(run.stdout)


def main():
    made = subprocess.run(["make", "-s", "-C", os.path.join(TREE, "tests/core"), PROGRAM, f"O={TREE}/build/core"],
                          stdout=sys.stderr, check=False)
    if not shutil.which("valgrind"):
        show(*(absent(NAME.format("busy", size[0]), "no valgrind", "alone", GOAL) for size in SIZES))
        return
    if made.returncode:
        show(failed("scheduling a job", "tests/core/bench does not build: no valgrind/callgrind.h?"))
        return
    alone = count(*ALONE)
    for name, *size in SIZES:
        for what, words in (("idle", ("idle",)), ("busy", ())):
            show(row(NAME.format(what, name), count(*size, *words), "instructions", alone, "alone",
                     GOAL))


if __name__ == "__main__":
    main()

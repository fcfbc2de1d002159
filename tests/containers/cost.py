#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a vdev adds to "podman run", in a machine that counts its instructions (--icount).

cost.py OUT PAIRS: starts with and without a vdev in turn, each pair the other way round than the one
before it. Two times of each: to the first word of the container's command, and what podman, its
monitor, the runtime and the command had of the processor until all had ended, by their control group.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import runtime
from runtime import check, infini, podman, write

GROUP = "/sys/fs/cgroup/cost"
TIMES = ("to the first word", "on the processor")
GOAL = 5		# per cent


def awake():
    """Where nothing runs, time jumps to the next timer: so something runs where nothing else would."""
    return subprocess.Popen(["chrt", "--idle", "0", "sh", "-c", "while :; do :; done"])


def on_processor():
    with open(os.path.join(GROUP, "cpu.stat"), encoding="utf-8") as file:
        return int(dict(line.split() for line in file)["usage_usec"]) / 1e6


def enter():
    with open(os.path.join(GROUP, "podman/cgroup.procs"), "w", encoding="utf-8") as file:
        file.write("0")


def start(vdevs):
    """One container that says a word: its times in seconds."""
    command = podman("--cgroup-parent", "/cost", "--", "echo", "up", vdevs=vdevs)
    had, begin = on_processor(), time.monotonic()
    # Entering is Python's, before podman is there.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          preexec_fn=enter) as process:
        word = os.read(process.stdout.fileno(), 16)
        first = time.monotonic()
        check(not process.wait(240) and word == b"up\n", f"the container said {word}")
    infini.wait_until("all of it has ended", alone)
    return dict(zip(TIMES, (first - begin, on_processor() - had)))


def alone():
    with open(os.path.join(GROUP, "cgroup.events"), encoding="utf-8") as file:
        return "populated 0" in file.read()


def local(path):
    """A copy in the machine: what lies on the host is as slow as that is busy."""
    return shutil.copy(path, "/tmp/storage")


def pairs(number):
    """So many of both kinds; the first ones are only to have all files in memory."""
    kinds = {"without": (), "with": ("a",)}
    runs = []
    for pair in range(-1, number):
        order = list(kinds) if pair % 2 else list(reversed(kinds))
        run = {kind: start(kinds[kind]) for kind in order}
        print(f"# pair {pair + 1}: " + ", ".join(
            f"{kind} {' '.join('%.3f' % run[kind][what] for what in TIMES)}" for kind in kinds),
              flush=True)
        if pair >= 0:
            runs.append(run)
    return runs


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "quartiles": [low, high], "least": min(values), "most": max(values)}


def summary(runs, what):
    """Medians of both kinds, and of what each pair differs by."""
    row = {kind: spread([run[kind][what] for run in runs]) for kind in ("without", "with")}
    row["more_percent"] = spread([100 * (run["with"][what] / run["without"][what] - 1)
                                  for run in runs])
    row["medians_more_percent"] = 100 * (row["with"]["median"] / row["without"]["median"] - 1)
    return row


def show(rows, number):
    print(f"podman run of {number} containers without and {number} with a vdev, in turn; "
          "medians (quartiles)")
    print("%-18s %22s %22s %26s  %s" % ("seconds", "without", "with", "a pair's difference", "goal"))
    for what, row in rows.items():
        cells = ["%.3f (%.3f..%.3f)" % (row[kind]["median"], *row[kind]["quartiles"])
                 for kind in ("without", "with")]
        more = row["more_percent"]
        print("%-18s %22s %22s %26s  < %d %%: %s" % (
            what, *cells, "%+.1f %% (%+.1f..%+.1f)" % (more["median"], *more["quartiles"]), GOAL,
            "met" if met(row) else "missed"))


def met(row):
    return row["medians_more_percent"] < GOAL and row["more_percent"]["median"] < GOAL


def main():
    out, number = sys.argv[1], int(sys.argv[2])
    runtime.prepare()
    os.makedirs(os.path.join(GROUP, "podman"))
    plugin, library = (local(path) for path in (infini.PLUGIN, runtime.LIBRARY))
    daemon = infini.Daemon(
        out, ["null0"], f"[cdi]\nplugin = {plugin}\nlibrary = {library}\n"
        "[backend null]\nenabled = yes\ndevices = null0\n", "ledger = /tmp/ledger.db\n")
    infini.load_module()
    daemon.start()
    infini.ctl("vdev", "create", "a", "--device", "null0", "--memory", "64M")
    infini.wait_until("containers learn of the vdev", lambda: os.path.exists(runtime.SPEC) and
                      "vdev=a" in infini.ctl("cdi", "list"))
    spinner = awake()
    runs = pairs(number)
    spinner.kill()
    daemon.stop()
    rows = {what: summary(runs, what) for what in TIMES}
    show(rows, number)
    write(os.path.join(out, "report.json"), json.dumps({"runs": runs, "times": rows}, indent=1))
    return 0 if all(met(row) for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

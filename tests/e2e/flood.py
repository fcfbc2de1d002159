#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that floods: what it is refused, whose memory it takes, and who else notices. TAP.

Runs under User-mode Linux. Whether others keep their share beside thousands of queues and tiny jobs is
measured in virtual time: the cases "lies" and "queues" of make shares.
"""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import infini  # noqa: E402  pylint: disable=wrong-import-position
from tap import Tap, check  # noqa: E402  pylint: disable=wrong-import-position

FLOOD = os.path.join(infini.TREE, "build/e2e/flood")
LOAD = os.path.join(infini.TREE, "build/shares/load")
GROUP = "/sys/fs/cgroup/flood"
MIB = 1 << 20
VDEV_MIB = 16
GROUP_MIB = 64
QUEUES = 100_000
JOBS = 1_000_000


def used_bytes():
    """Memory of the whole machine that is not free, caches aside."""
    with open("/proc/meminfo", encoding="utf-8") as file:
        rows = {row.split(":")[0]: int(row.split()[1]) << 10 for row in file}
    return rows["MemTotal"] - rows["MemAvailable"]


def group_bytes(name):
    with open(os.path.join(GROUP, name), encoding="utf-8") as file:
        return int(file.read())


class Flood:
    """The client, in a memory cgroup of its own."""

    def __init__(self, queues=QUEUES, jobs=JOBS, limit_mib=GROUP_MIB):
        os.makedirs(GROUP, exist_ok=True)
        with open(os.path.join(GROUP, "memory.max"), "w", encoding="utf-8") as file:
            file.write(str(limit_mib * MIB))
        self.process = subprocess.Popen(
            ["sh", "-c", f'echo $$ >{GROUP}/cgroup.procs; exec "$@"', "sh", FLOOD, "flood",
             str(queues), str(jobs)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def counts(self):
        words = self.process.stdout.readline().split()
        check(words, f"it ended with {self.process.poll()}")
        print("#", *words, flush=True)
        return {name: int(number) for name, number in zip(words[::2], words[1::2])}

    def end(self):
        self.process.kill()
        self.process.communicate()
        infini.wait_until("nothing of it is left", lambda: not any(
            infini.vdevs()["flood"]["stats"][key]
            for key in ("clients", "queues", "buffers", "programs", "memory_used_bytes")))


def case_limits(_):
    """100,000 queues and 1,000,000 jobs: limits hold, its cgroup pays, nothing stays"""
    before = used_bytes()
    flood = Flood()
    try:
        got = flood.counts()
        charged, grown = group_bytes("memory.current"), used_bytes() - before
        held = infini.vdevs()["flood"]["stats"]["memory_used_bytes"]
    finally:
        flood.end()
    print(f"# its vdev held {held / MIB:.1f} MiB, its cgroup was charged {charged / MIB:.1f} MiB, "
          f"the machine used {grown / MIB:.1f} MiB more", flush=True)
    check(got["jobs"] >= JOBS, f"{got['jobs']} jobs")
    check(got["clients"] == 256 and got["queues"] <= 256 * 64, f"more than there may be: {got}")
    check(got["ENOSPC"] >= QUEUES - got["queues"], f"queues were not refused: {got}")
    check(held <= VDEV_MIB * MIB, "the vdev holds more than it may")
    check(grown <= charged + 24 * MIB, "memory that nobody was charged for")


def case_small_group(_):
    """a cgroup too small for what it asks: it is refused or killed, the machine's memory is not touched"""
    before = used_bytes()
    limit = 8
    flood = Flood(jobs=1000, limit_mib=limit)
    try:
        line = flood.process.stdout.readline()
        grown = used_bytes() - before
        print(f"# {line.strip() or 'killed'}; the machine used {grown / MIB:.1f} MiB more", flush=True)
        check(line or flood.process.wait() == -signal.SIGKILL, "it ended in another way")
    finally:
        flood.end()
    check(grown <= (limit + 24) * MIB, "memory that nobody was charged for")


def case_others(_):
    """another vdev of the same device works on beside it"""
    flood = Flood(jobs=1 << 40)
    try:
        infini.wait_until("it floods", lambda:
                          infini.vdevs()["flood"]["stats"]["jobs_completed"] > 10000)
        done = subprocess.run([LOAD, "-d", "3000", "-s", "3000", "-t",
                               "vdev=other,segments=4,segment_us=250,inflight=2"], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check(not done.returncode, done.stderr)
        stats = {name: row["stats"] for name, row in infini.vdevs().items()}
    finally:
        flood.end()
    for name, row in stats.items():
        print(f"# {name}: {row['jobs_completed']} jobs in {row['occupancy_ns'] / 1e9:.2f} s of the device")
    check(stats["other"]["jobs_completed"] > 100, "it hardly did anything")
    # Those that were under way when it closed.
    check(stats["other"]["jobs_failed"] <= 2, f"{stats['other']['jobs_failed']} of its jobs failed")


def main():
    tap = Tap()
    infini.load_module()
    daemon = infini.Daemon(sys.argv[1], ["null0"], "[backend null]\nenabled = yes\ndevices = null0\n",
                           "idle_exit_s = 0\n")
    daemon.start()
    with open("/sys/fs/cgroup/cgroup.subtree_control", "w", encoding="utf-8") as file:
        file.write("+memory")
    for name in ("flood", "other"):
        infini.ctl("vdev", "create", name, "--device", "null0", "--memory", f"{VDEV_MIB}M")
    for function in (case_limits, case_small_group, case_others):
        tap.case(function, None)
    daemon.stop()
    infini.unload_module()
    tap.end()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts of the kernel's own events, by a tracing instance: nothing is recorded, only counted."""
import os

TRACING = "/sys/kernel/tracing"
EVENTS = ("raw_syscalls/sys_enter", "sched/sched_switch")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class Counter:
    """System calls and context switches of all processes but this one."""

    def __init__(self):
        self.path = os.path.join(TRACING, "instances", "bench")
        self.mine = f"common_pid != {os.getpid()}"

    def file(self, event, name):
        return os.path.join(self.path, "events", event, name)

    def __enter__(self):
        os.mkdir(self.path)
        for event in EVENTS:
            write(self.file(event, "trigger"), f"hist:keys=common_pid if {self.mine}")
        return self

    def __exit__(self, *_):
        os.rmdir(self.path)

    def hits(self, event):
        with open(self.file(event, "hist"), encoding="ascii") as file:
            entries = [line for line in file if line.startswith("{")]
        return sum(int(entry.split("hitcount:")[1]) for entry in entries)

    def during(self, work):
        """How often each event happened while @work was called."""
        before = [self.hits(event) for event in EVENTS]
        work()
        return [self.hits(event) - was for event, was in zip(EVENTS, before)]

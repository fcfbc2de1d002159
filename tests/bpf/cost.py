#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the BPF tools cost a tenant: nanoseconds of a machine that counts its instructions (--icount).

cost.py OUT: OUT has typed.ko and classic.ko, and gets report.json. A goal is for what the events add
to a job: the median of many short batches, while the tools are attached and their processes stand
still. The machine has one processor, so that with them running what they print is in the tenant's
time, too: the mean beside it.
"""
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

from tools import (CPU, LAT, SNOOP, TOP, World, ensure, infini, module_counters,
                   module_did)

MODEL = os.path.join(infini.TREE, "tests/model/stories.gguf")
EMPTY = os.path.join(infini.TREE, "build/tests/bpf/empty")
BATCHES, JOBS = 200, 20		# of empty jobs
RUNS, TOKENS = 15, 4		# of llama-bench
SETS = {"off": (), "infinitop": (TOP,), "infinilat": (LAT,), "infinisnoop": (SNOOP,),
        "all three": (TOP, LAT, SNOOP), "off again": ()}
# What it is, and by how much it may take longer.
GOALS = {"empty job": 10, "decode step": 1}


class Awake:
    """Where nothing runs, time jumps to the next timer, and while a file is read from the host every
    deadline passes. So something that only runs where nothing else would, except under a measurement."""

    process = None

    @classmethod
    def start(cls):
        cls.process = subprocess.Popen(["chrt", "--idle", "0", "sh", "-c", "while :; do :; done"])


class Stopped:
    """These processes stand still."""

    def __init__(self, processes):
        self.processes = processes

    def __enter__(self):
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)
            # It stops when it runs next, and until then the scheduler has one more to look at.
            os.waitpid(process.pid, os.WUNTRACED)

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGCONT)


class Reader:
    """A tool as users run it, its output in a file; made once it is attached."""

    def __init__(self, tool):
        self.name = os.path.basename(tool)
        self.path = os.path.join("/tmp", self.name)
        words = () if tool == SNOOP else ("--interval", "1s")
        with open(self.path, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen([tool, "--json", *words], stdout=file)
        infini.wait_until(f"{self.name} is attached", lambda: os.path.getsize(self.path))

    def cpu_ns(self):
        """Time on the processor so far."""
        with open(f"/proc/{self.process.pid}/schedstat", encoding="utf-8") as file:
            return int(file.read().split()[0])

    def end(self, jobs):
        """It counted what the module did on the vdev, and lost nothing."""
        self.process.send_signal(signal.SIGTERM)
        ensure(not self.process.wait(60), f"{self.name} did not end well")
        with open(self.path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        os.unlink(self.path)
        ensure(not lines[-1]["lost"], f"{self.name} lost {lines[-1]['lost']} events")
        if self.name == "infinisnoop":
            counted = sum(line["type"] == "job" for line in lines)
        else:
            rows = lines[-1]["rows"]
            counted = sum(row["total"]["jobs_completed"] if "total" in row else row["run"]["count"]
                          for row in rows)
        ensure(counted == jobs, f"{self.name} counted {counted} jobs, the module {jobs}")


def run(*words):
    """What it printed. Without a deadline, see Awake; the machine has one."""
    done = subprocess.run(words, env=infini.tenant("a"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    ensure(not done.returncode, f"{words[0]} ended with {done.returncode}: {done.stderr[-300:]}")
    return done.stdout


def empty_jobs():
    """Nanoseconds of each batch's job."""
    return [int(line) / JOBS for line in run(EMPTY, "a", str(BATCHES), str(JOBS)).split()]


def decode_steps():
    """Nanoseconds of each run's step: generation only, the model and the prompt are not in it."""
    done = run("llama-bench", "-m", MODEL, "-p", "0", "-n", str(TOKENS), "-r", str(RUNS),
               "-t", "1", "-ngl", "99", "-dev", "INFINI0", "-o", "json")
    return [ns / TOKENS for ns in json.loads(done)[0]["samples_ns"]]


def measure(tools, work):
    """@work with @tools attached: what the events cost, and what the readers do besides."""
    readers = [Reader(tool) for tool in tools]
    before = module_counters()
    with Stopped([Awake.process]):
        # What the kernel frees of the tools before.
        time.sleep(1)
        cpu_ns = sum(reader.cpu_ns() for reader in readers)
        beside = work()
        cpu_ns = sum(reader.cpu_ns() for reader in readers) - cpu_ns
        with Stopped([reader.process for reader in readers]):
            alone = work()
    did = module_did(before)["a"]
    for reader in readers:
        reader.end(did["jobs_completed"])
    return {"events_ns": statistics.median(alone), "least_ns": min(alone), "most_ns": max(alone),
            "beside_readers_ns": statistics.fmean(beside), "readers_ns": cpu_ns,
            "jobs": did["jobs_completed"], "tokens": did["tokens_generated"]}


def series(what, kind, work):
    """A row for each set of tools, held against that without any."""
    rows, off = [], None
    for name, tools in SETS.items():
        row = {"what": what, "programs": kind, "tools": name, **measure(tools, work)}
        off = off or row
        for key in ("events", "beside_readers"):
            row[f"{key}_pct"] = 100 * (row[f"{key}_ns"] / off[f"{key}_ns"] - 1)
        row["goal_pct"] = GOALS[what] if tools else None
        row["pass"] = not tools or row["events_pct"] <= GOALS[what]
        rows.append(row)
        print(f"{kind:8} {what:12} {name:11} {row['events_ns']:10.0f} {row['events_pct']:+7.2f} % "
              f"{f'<= {GOALS[what]} %' if tools else '':8} {'' if row['pass'] else 'MISSED':6} "
              f"{row['beside_readers_ns']:10.0f} {row['beside_readers_pct']:+7.2f} %", flush=True)
    return rows


def main():
    out = sys.argv[1]
    print(f"{'PROGRAMS':8} {'WHAT':12} {'TOOLS':11} {'EVENTS NS':>10} {'':9} {'GOAL':8} {'':6} "
          f"{'+READERS NS':>10}")
    # Nobody runs before who woke it sleeps: what happens is the same each time, and as it is where
    # the worker has a processor of its own.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    Awake.start()
    rows = []
    for kind in ("typed", "classic"):
        with World(out, os.path.join(out, f"{kind}.ko"), CPU):
            ensure(os.path.exists("/sys/kernel/btf/infini") == (kind == "typed"),
                   f"the module is not the {kind} one")
            # The worker starts, for which there is a deadline.
            run(EMPTY, "a", "1", "1")
            rows += series("empty job", kind, empty_jobs)
            # What programs are is lost in a step, and a run of llama-bench takes half a minute.
            if kind == "typed":
                rows += series("decode step", kind, decode_steps)
        infini.unload_module()
    passed = all(row["pass"] for row in rows)
    with open(os.path.join(out, "report.json"), "w", encoding="utf-8") as file:
        json.dump({"pass": passed, "kernel": platform.release(), "clock": "icount", "rows": rows},
                  file, indent=1)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
